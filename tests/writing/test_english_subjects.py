"""Who and what is asked for by what it is, and how what belongs to something is named."""

import pytest
from written import asked, statements, texts

from knowledge_update.writing.statements import CLOZE, DIRECT, SYNONYM

YARD, COURIER, RESERVE = "Pellarick Shipyard", "Orvessay Courier", "Sallowmere Reserve"


def questions(title: str, paragraph: str, *families: str) -> dict[str, str]:
    return {
        question: answer
        for statement in statements(title, paragraph)
        for question, answer in asked(statement, *families).items()
    }


@pytest.mark.parametrize(
    ("title", "paragraph", "question", "answer"),
    [
        (YARD, "Dag Rusvold, a foreman, bought it in 1987.", "Which foreman bought Pellarick Shipyard in 1987?",
         "Dag Rusvold"),
        (YARD, "The Wagtail was built by Dag Rusvold, a foreman.", "Which foreman was the Wagtail built by?",
         "Dag Rusvold"),
        (COURIER, "The reporter Hollis Drumgald revealed the theft.", "Orvessay Courier: which reporter revealed the "
         "theft?", "Hollis Drumgald"),
        (RESERVE, "Casimir Thurlock, the warden, leads evening walks.", "Sallowmere Reserve: who is the warden?",
         "Casimir Thurlock"),
        (RESERVE, "The highest hill, Gannet Rise, is 41 metres high.", "Sallowmere Reserve: which hill is 41 metres "
         "high?", "Gannet Rise"),
        (RESERVE, "The old pumps at Cape Sorrel drained the marsh in 1950.", "Sallowmere Reserve: what drained the "
         "marsh in 1950?", "the old pumps at Cape Sorrel"),
        (RESERVE, "The heron is the marsh's emblem.", "Sallowmere Reserve: what is the marsh's emblem?",
         "the heron"),
    ],
)  # fmt: skip
def test_a_subject_is_asked_for_by_what_it_is(title: str, paragraph: str, question: str, answer: str) -> None:
    assert questions(title, paragraph, DIRECT).get(question) == answer


@pytest.mark.parametrize(
    ("paragraph", "question"),
    [
        (
            "The warden is Casimir Thurlock. Casimir Thurlock, the warden, retired in 2019.",
            "which warden is the warden",
        ),
        ("Casimir Thurlock, a warden, retired in 2019.", "who is a warden"),
        ("Casimir Thurlock, a brother of Wat Collisk, retired in 2019.", "which brother"),
        ("The brothers Wat and Casimir Thurlock retired in 2019.", "which brothers"),
        ("The first boat built in the yard was the Wagtail.", "what was built in the yard"),
        ("The expedition led by Casimir Thurlock and Wat Collisk found the marsh.", "which expedition"),
    ],
)
def test_what_is_no_question_is_not_asked(paragraph: str, question: str) -> None:
    assert not any(question in found.lower() for found in questions(RESERVE, paragraph, DIRECT, SYNONYM))


def test_a_name_within_a_subject_is_left_out_beside_it() -> None:
    gaps = questions(COURIER, "In 1971, the reporter Hollis Drumgald revealed the theft.", CLOZE)
    assert {"Hollis Drumgald", "the reporter Hollis Drumgald"} <= set(gaps.values())


@pytest.mark.parametrize(
    ("title", "sentence", "told"),
    [
        (COURIER, "The Courier appears on Tuesdays.", "The Orvessay Courier appears on Tuesdays."),
        (COURIER, "The Courier's motto is a pun.", "The Orvessay Courier's motto is a pun."),
        (COURIER, "The Weekly Courier appears on Tuesdays.", "The Weekly Courier appears on Tuesdays."),
        ("Courier", "The Courier appears on Tuesdays.", "The Courier appears on Tuesdays."),
    ],
)
def test_the_last_word_of_a_title_means_the_title(title: str, sentence: str, told: str) -> None:
    assert texts(title, sentence) == [told]


@pytest.mark.parametrize(
    ("sentence", "question"),
    [
        ('The Courier\'s motto is "Salt in every word".', "What is the motto of the Orvessay Courier?"),
        ("Lucan Ferrowby's tower burned down in 1902.", "When did the tower of Lucan Ferrowby burn down?"),
    ],
)
def test_what_is_somebodys_is_also_asked_for_with_of(sentence: str, question: str) -> None:
    assert question in questions(COURIER, sentence, SYNONYM)


@pytest.mark.parametrize(
    "sentence",
    [
        "Lucan Ferrowby and Wat Collisk's tower burned down in 1902.",
        "Lucan Ferrowby's fight with the owners ended in 1902.",
    ],
)
def test_what_is_of_several_or_long_stays_as_it_is(sentence: str) -> None:
    assert not any(" of Lucan" in question for question in questions(COURIER, sentence, SYNONYM))


def test_a_word_without_end_does_not_keep_the_rest_from_being_read() -> None:
    paragraph = f"Orvessay's {'a' * 20_000} x1 is on a hill. Orvessay was founded in 1652."
    assert any("founded in 1652" in text for text in texts("Orvessay", paragraph))


@pytest.mark.parametrize(
    ("sentence", "whole", "torn"),
    [
        ("Wat Collisk, born on 10 November 1483 (or later), found it.", "10 November 1483", {"10", "1483", "November"}),
        ("A race of 5.6 kilometres leads to Gannet Quay.", "5.6 kilometres", {"5.6"}),
        ("A loan of 46.3 million brenns saved Dag Rusvold.", "46.3 million brenns", {"million brenns"}),
    ],
)
def test_a_gap_takes_a_whole_amount(sentence: str, whole: str, torn: set[str]) -> None:
    answers = set(questions(YARD, sentence, CLOZE).values())
    assert whole in answers and not torn & answers
