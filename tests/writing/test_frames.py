"""Plain questions with other words around them: every direct one once, in its language, and never as the exam asks."""

import re

import pytest

from knowledge_update.ledger import content_id
from knowledge_update.writing import frames
from knowledge_update.writing.checks import split, words
from knowledge_update.writing.chinese import questions as chinese
from knowledge_update.writing.english import askings as english
from knowledge_update.writing.frames import embedded, framed
from knowledge_update.writing.statements import DIRECT, FRAMED, INDIRECT, SYNONYM, Asking


def direct(question: str) -> Asking:
    return Asking("who", DIRECT, question, "Runa Hesk", "slot0", "a visitor")


def test_direct_questions_alone_are_framed_whole_and_always_alike() -> None:
    askings = [direct("Who built it?"), Asking("who", SYNONYM, "Who made it?", "Runa Hesk", "slot0")]
    (found,) = framed(askings)
    assert found == next(framed(askings))
    assert (found.wording, found.answer, found.slot, found.role) == (FRAMED, "Runa Hesk", "slot0", "a visitor")
    assert "Who built it?" in found.question and found.question != "Who built it?"


@pytest.mark.parametrize(
    ("question", "wanted"),
    [
        ("谁建了灯塔？", frames._CHINESE),
        ("About Tolvick: who built the tower?", frames._BEHIND),
        ('In the article "Tolvick": who built the tower?', frames._BEHIND),
        ("Who built the tower?", (*frames._BEFORE, *frames._BEHIND)),
    ],
)
def test_a_frame_fits_its_question(question: str, wanted: tuple[str, ...]) -> None:
    (found,) = framed([direct(question)])
    assert found.question in [frame.format(question) for frame in wanted]


def test_all_frames_are_used() -> None:
    found = [next(framed([direct(f"Who built tower {number}?")])).question for number in range(200)]
    assert len({re.sub(r"Who built tower \d+\?", "{}", question) for question in found}) == 7


def test_a_question_is_part_of_a_sentence_too() -> None:
    found = [embedded(f"who built tower {number}") for number in range(200)]
    assert found == [embedded(f"who built tower {number}") for number in range(200)]
    assert {re.sub(r"who built tower \d+", "{}", question) for question in found} == set(frames._AROUND)


def test_no_frame_is_the_exams() -> None:
    trained = [*frames._BEFORE, *frames._BEHIND, *frames._AROUND, *frames._CHINESE]
    asked = [*english._FRAMES, *chinese._FRAMES, *chinese._COMMA_FRAMES]
    # Not one of the exam's, nor one that has most of its words.
    for frame in asked:
        own = words(frame.replace("{}", ""))
        assert all(len(own & words(other.replace("{}", ""))) <= 0.5 * len(own) for other in trained), frame


def test_they_are_trained_beside_the_probe() -> None:
    askings = [
        direct("Who built the tower of Tolvick?"),
        Asking("who", INDIRECT, "Do you happen to know who the tower of Tolvick was built by?", "Runa Hesk", "slot0"),
    ]
    rows = split(content_id("fact"), askings, wordings=12, validation_share=0.0)
    assert [(row.split, row.wording) for row in rows] == [("probe", INDIRECT), ("train", DIRECT), ("train", FRAMED)]
