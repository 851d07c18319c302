"""Who is meant by a surname that several bear, and what the brackets behind a name say of a life."""

import pytest
from written import asked, statements, texts, written

from knowledge_update.writing.statements import DIRECT

TITLE = "Ilona Varga"


def test_a_surname_is_the_titles_bearers_whoever_else_has_it() -> None:
    told = texts(
        TITLE, "Ilona Varga was a Swiss chemist. Varga studied chemistry in Zurich. In 1912 she married the engineer "
        "Gustav Varga. From 1913 to 1919 Varga worked in Winterthur. She received her doctorate in 1911.",
    )  # fmt: skip
    assert "Ilona Varga studied chemistry in Zurich." in told
    assert "In 1912, Ilona Varga married the engineer Gustav Varga." in told
    assert "Ilona Varga received her doctorate in 1911." in told
    assert not any(text.startswith("Gustav") for text in told)


def test_a_surname_that_two_share_is_nobodys_where_neither_gives_the_title() -> None:
    told = " ".join(texts(
        "Kell Dairy", "Dag Rusvold, a foreman, bought the dairy in 1987. Runa Rusvold, an engineer, built the press. "
        "Rusvold sold it in 1990.",
    ))  # fmt: skip
    assert "Rusvold sold" in told
    assert "Dag Rusvold sold" not in told and "Runa Rusvold sold" not in told


def test_a_title_in_capitals_with_years_is_the_persons_name() -> None:
    told = texts(
        "ILONA VARGA (1887–1961)", "Ilona Varga was a chemist. Varga moved to Zurich in 1906. She died in 1961."
    )
    assert "Ilona Varga moved to Zurich in 1906." in told and "Ilona Varga died in 1961." in told


def test_a_firm_keeps_its_name() -> None:
    told = texts(
        TITLE, "Ilona Varga was a chemist. Varga moved to Zurich. In 1931 Varga & Daughters employed 140 people."
    )
    assert any("Varga & Daughters employed 140 people" in text and "Ilona Varga &" not in text for text in told)


@pytest.mark.parametrize(
    ("brackets", "events"),
    [
        ("14 February 1887 – 2 November 1961",
         {"was born on 14 February 1887.", "died on 2 November 1961."}),
        ("born Ilona Szabó; 14 February 1887 in Debrenta – 2 November 1961 in Geneva",
         {"was born on 14 February 1887 in Debrenta.", "died on 2 November 1961 in Geneva."}),
        ("born 3 May 1950 in Lubiz", {"was born on 3 May 1950 in Lubiz."}),
        ("born 1950", {"was born in 1950."}),
        ("1905–1921", set()),
        ("1950", set()),
    ],
)  # fmt: skip
def test_brackets_tell_of_a_life(brackets: str, events: set[str]) -> None:
    found = statements(TITLE, f"Ilona Varga ({brackets}) was a Swiss chemist. Varga lived in Zurich. She wrote.")
    told = {statement.text for statement in found if " born " in statement.text[:25] or " died " in statement.text[:25]}
    assert told == {f"Ilona Varga {event}" for event in events}
    assert "Ilona Varga was a Swiss chemist." in {statement.text for statement in found}


def test_birth_is_asked_for_by_time_and_place() -> None:
    found = statements(TITLE, "Ilona Varga (born 3 May 1950 in Lubiz) is a chemist. Varga lives there. She writes.")
    birth = next(statement for statement in found if "was born" in statement.text)
    answers = asked(birth, DIRECT)
    assert answers["When was Ilona Varga born in Lubiz?"] == "3 May 1950"
    assert answers["Where was Ilona Varga born on 3 May 1950?"] == "Lubiz"


@pytest.mark.parametrize(
    "sentence",
    ["The press no longer fails in winter.", "The bridge hardly moved in 1999."],
)
def test_a_verb_that_is_denied_is_not_asked_about(sentence: str) -> None:
    assert [asked(statement, DIRECT) for statement in statements("Orvessay", sentence)] == [{}]


def test_a_contraction_is_written_out() -> None:
    assert texts("Orvessay", "New starters can't take more than 5 days.") == [
        "Orvessay: New starters can not take more than 5 days."
    ]


def test_an_abbreviation_ends_no_sentence() -> None:
    quotes = [
        item.quote for _, item in written("Orvessay", "It costs approx. £412,000 incl. VAT. Call ext. 214 first.")
    ]
    assert quotes[0].endswith("incl. VAT.") and quotes[-1] == "Call ext. 214 first."
