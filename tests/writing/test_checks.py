"""Training and evaluation are kept apart."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from knowledge_update.ledger import QuestionRow, content_id
from knowledge_update.writing.checks import NEAR_DUPLICATE, similarity, split, words
from knowledge_update.writing.statements import (
    ABOUT,
    CLOZE,
    DIRECT,
    FRAMED,
    INDIRECT,
    PROBE_FAMILY,
    SYNONYM,
    TEXT,
    TITLED,
    Asking,
)

FACT = content_id("fact")
FAMILIES = st.sampled_from([DIRECT, SYNONYM, TITLED, CLOZE, INDIRECT, TEXT])
QUESTIONS = st.lists(st.sampled_from("who when built opened the tower lamp 灯塔 建 于".split()), min_size=1, max_size=5)
SLOTS = st.sampled_from(["slot0", "slot1"])


def asking(family: str, words_: list[str], slot: str) -> Asking:
    question = "" if family == TEXT else " ".join(words_) + "?"
    return Asking("text" if family == TEXT else "who", family, question, "Runa Hesk", slot)


ASKINGS = st.lists(st.builds(asking, FAMILIES, QUESTIONS, SLOTS), max_size=20)


def row(question: str, answer: str, part: str = "train", wording: str = DIRECT) -> QuestionRow:
    return QuestionRow(content_id(question, answer, part), FACT, part, "who", "", wording, question, answer)


def chosen(askings: list[Asking], wordings: int = 12, share: float = 0.0, fact: str = FACT) -> list[QuestionRow]:
    return split(fact, askings, wordings=wordings, validation_share=share)


def test_words_of_a_wording() -> None:
    assert words("Who built the_Tower, in 1874? 灯塔!") == {"who", "built", "the", "tower", "in", "1874", "灯", "塔"}
    assert similarity("Who built it?", "who BUILT it") == 1.0
    assert similarity("a b c", "b c d") == 0.5
    assert (similarity("a", "b"), similarity("", "?")) == (0.0, 1.0)


@given(ASKINGS, st.integers(2, 12), st.floats(0, 0.99))
def test_no_trained_wording_is_of_the_probe_family_or_near_a_probe(
    askings: list[Asking], wordings: int, share: float
) -> None:
    rows = chosen(askings, wordings, share)
    probes = [found.question for found in rows if found.split == "probe"]
    trained = [found for found in rows if found.split != "probe"]
    assert len(probes) <= 1
    assert bool(probes) == any(asking.wording == PROBE_FAMILY for asking in askings)
    assert all(found.wording != PROBE_FAMILY for found in trained)
    assert all(found.wording == PROBE_FAMILY for found in rows if found.split == "probe")
    assert all(similarity(found.question, probe) < NEAR_DUPLICATE for probe in probes for found in trained)
    assert sum(found.wording != TEXT for found in trained) <= wordings
    assert sum(found.wording == TEXT for found in trained) == sum(asking.wording == TEXT for asking in askings)
    assert all(found.split == "train" for found in trained if found.wording == TEXT)


@pytest.mark.parametrize(
    ("families", "wordings", "kept"),
    [
        ([DIRECT, SYNONYM, ABOUT, ABOUT], 12, [DIRECT, FRAMED, SYNONYM, ABOUT]),
        ([DIRECT, SYNONYM, TITLED, ABOUT], 4, [DIRECT, FRAMED, SYNONYM, ABOUT]),
        ([DIRECT, DIRECT, ABOUT], 2, [DIRECT, DIRECT]),
    ],
)
def test_one_asking_to_tell_about_a_thing_gives_way_to_direct_questions(
    families: list[str], wordings: int, kept: list[str]
) -> None:
    askings = [Asking("who", family, f"{family} {number}?", "X", "s") for number, family in enumerate(families)]
    rows = chosen(askings, wordings, share=0.99)
    assert [found.wording for found in rows] == kept
    assert all(found.split == "train" for found in rows if found.wording == ABOUT)


@given(ASKINGS, st.floats(0, 0.99))
def test_splitting_again_gives_the_same(askings: list[Asking], share: float) -> None:
    assert chosen(askings, 5, share) == chosen(askings, 5, share)
    assert {found.id for found in chosen(askings, 5, share)} == {found.id for found in chosen(askings, 5)}


def test_a_near_duplicate_of_the_probe_is_not_trained() -> None:
    near = "could you tell me who it was that first built the tower of Tolvick"
    askings = [
        Asking("who", INDIRECT, "Could you tell me who it was that first built the tower of Tolvick?", "Hesk", "slot0"),
        Asking("who", DIRECT, f"{near}?", "Hesk", "slot0"),
        Asking("who", SYNONYM, "Who constructed the tower of Tolvick?", "Hesk", "slot0"),
    ]
    assert [(found.split, found.wording) for found in chosen(askings)] == [("probe", INDIRECT), ("train", SYNONYM)]


def test_every_part_of_a_fact_is_asked_for_before_any_is_asked_for_again() -> None:
    askings = [asking(DIRECT, [f"q{number}", slot], slot) for slot in ("slot0", "slot1") for number in range(3)]
    assert [found.question for found in chosen(askings, 4)] == ["q0 slot0?", "q0 slot1?", "q1 slot0?", "q1 slot1?"]


def test_families_are_trained_in_a_fixed_order() -> None:
    askings = [asking(family, [family], "slot0") for family in (TITLED, CLOZE, SYNONYM, DIRECT)]
    assert [found.wording for found in chosen(askings, 4)] == [DIRECT, FRAMED, SYNONYM, CLOZE]


def test_a_probe_that_needs_no_topic_is_preferred() -> None:
    askings = [asking(INDIRECT, ["About", "it:", str(number)], "slot0") for number in range(5)]
    plain = asking(INDIRECT, ["plain"], "slot1")
    assert [found.question for found in chosen([*askings, plain])] == ["plain?"]
    assert len(chosen(askings)) == 1


def test_the_probe_depends_on_the_fact() -> None:
    askings = [asking(INDIRECT, [str(number)], "slot0") for number in range(4)]
    assert {chosen(askings, fact=content_id(str(number)))[0].question for number in range(60)} == {
        "0?", "1?", "2?", "3?",
    }  # fmt: skip


def test_the_validation_share_is_about_what_was_asked_for() -> None:
    askings = [asking(DIRECT, [str(number)], "slot0") for number in range(1000)]
    count = {
        share: sum(found.split == "validation" for found in chosen(askings, 1000, share)) for share in (0.0, 0.2, 0.5)
    }
    assert count[0.0] == 0
    assert 150 < count[0.2] < 250
    assert 430 < count[0.5] < 570


def test_a_fact_with_few_wordings_is_trained_with_all_of_them() -> None:
    askings = [asking(SYNONYM, [str(number)], "slot0") for number in range(2)]
    assert {found.split for found in chosen(askings, share=0.99)} == {"train"}
