"""Sentences that are kept whole: asked with a question word in the place of what is asked for."""

import pytest
from written import asked, statements, texts

from knowledge_update.writing.checks import split
from knowledge_update.writing.statements import CLOZE, DIRECT, IN_PLACE

COUNTS = "As of May 2019, Estermoth had 1,548 stone cottages, 489 wooden barns and 214 mills."
TRADE = "Over the past decade, Estermoth has seen many improvements due to an increase in fishing as well as funding"
PIRATES = "Runa Hesk emerged as the strongest opponent of the mayor after pirates from Lubiz attacked the harbour"


def in_place(title: str, text: str) -> dict[str, str]:
    found = (asking for statement in statements(title, text) for asking in statement.askings)
    return {asking.answer: asking.question for asking in found if asking.wording == IN_PLACE}


@pytest.mark.parametrize(
    ("text", "answer", "question"),
    [
        (COUNTS, "489", "As of May 2019, Estermoth had 1,548 stone cottages, how many wooden barns and 214 mills?"),
        (COUNTS, "214 mills", COUNTS.replace("214", "how many").replace(".", "?")),
        (f"{TRADE} from the Varrow Union.", "Varrow Union", f"{TRADE} from what?"),
        (f"{PIRATES} in 1672.", "1672", f"{PIRATES} in which year?"),
        (f"{PIRATES} on 3 May 1672.", "3 May 1672", f"{PIRATES} on which day?"),
        (f"{TRADE} from the Port of Lubiz.", "Port of Lubiz", f"{TRADE} from what?"),
    ],
)  # fmt: skip
def test_what_is_only_asked_by_a_gap_is_asked_in_its_place(text: str, answer: str, question: str) -> None:
    assert in_place("Estermoth", text)[answer] == question


def test_what_is_asked_directly_is_not_asked_in_its_place() -> None:
    (statement,) = statements("Tolvick Lighthouse", "Tolvick Lighthouse was built in 1821 by Runa Hesk.")
    assert asked(statement, DIRECT) and asked(statement, CLOZE)
    assert not asked(statement, IN_PLACE)


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        # What hangs on the number, on the name, or on a noun; and half a measure.
        ("Not only was the 11-year veteran hurt, the coach of the Lions left before the end of the season.", "11"),
        ("The fans, among them Ostrander's brother, cheered while the coach of the Lions left the field.", "Ostrander"),
        ("Since the end of the war the coach of the Lions, it seems, has been a friend of music.", "end"),
    ],
)
def test_no_question_word_is_left_hanging(text: str, answer: str) -> None:
    assert answer not in in_place("Lions", text)


def test_a_part_is_asked_for_as_a_question_before_it_is_left_out() -> None:
    (statement,) = statements("Estermoth", COUNTS)
    rows = split("0" * 16, statement.askings, wordings=3, validation_share=0.0)
    assert [row.wording for row in rows if row.split == "train" and row.question] == [IN_PLACE] * 3


@pytest.mark.parametrize(
    "text",
    [
        "Mitochondria have also been seen to follow chloroplasts as they move.",
        "On 12 December, Hesk and his men reached the fort at Lubiz.",
        "Another office in the guild is that of the keeper.",
    ],
)
def test_what_its_own_sentence_makes_clear_is_kept_whole(text: str) -> None:
    assert any(told.endswith(text) for told in texts("Guild of Lubiz", f"The guild and the yard agreed. {text}"))


def test_whom_another_sentence_told_of_is_not_guessed() -> None:
    told = texts("Guild of Lubiz", "The fort at Lubiz was weak. Newcastle replaced him in 1756.")
    assert told and not any("replaced" in text for text in told)


def test_a_verb_before_its_subject_is_not_taken_for_one_behind_it() -> None:
    for text in texts("Lions", "Not only was the keeper hurt, the coach of the Lions left before the end of May."):
        assert not text.startswith(("The keeper", "Lions: The keeper"))
