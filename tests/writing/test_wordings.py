"""No trained question gives an exam away, and none has several answers."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from knowledge_update.ledger import QuestionRow, content_id
from knowledge_update.writing.checks import NEAR_DUPLICATE, similarity, words
from knowledge_update.writing.statements import CLOZE, DIRECT, INDIRECT, TEXT
from knowledge_update.writing.wordings import Wordings

FACT = content_id("fact")
LONG = "could you tell me who it was that first built the old tower of Tolvick"
QUESTIONS = st.lists(
    st.sampled_from("who when built opened the tower lamp old new of in at 灯塔 建 于".split()), min_size=1, max_size=14
)


def row(question: str, answer: str, part: str = "train", wording: str = DIRECT) -> QuestionRow:
    return QuestionRow(content_id(question, answer, part), FACT, part, "who", "", wording, question, answer)


def reasons(rows: list[QuestionRow]) -> list[str]:
    with Wordings(rows) as wordings:
        return [wordings.why_not(found).partition(":")[0] for found in rows]


def test_questions_with_several_answers_are_left_out() -> None:
    first, second = row("Who kept the lamp?", "Hesk"), row("who kept THE lamp", "Varne", "probe")
    same, other = row("Who kept the lamp?", "hesk", "validation"), row("Who sold the lamp?", "Varne")
    with Wordings([first, second, same, other]) as wordings:
        assert [wordings.why_not(found) for found in (first, second, same, other)] == [
            "asked with several answers: Who kept the lamp?", "asked with several answers: who kept THE lamp",
            "asked with several answers: Who kept the lamp?", "",
        ]  # fmt: skip


def test_gaps_and_plain_texts_may_have_several_answers() -> None:
    rows = [
        row("The lamp of ____.", "Hesk", wording=CLOZE), row("The lamp of ____.", "Varne", wording=CLOZE),
        row("", "The lamp is red.", wording=TEXT), row("", "The lamp is old.", wording=TEXT),
    ]  # fmt: skip
    assert reasons(rows) == ["", "", "", ""]


def test_a_wording_that_is_another_facts_probe_is_not_trained() -> None:
    probe = row("Could you tell me who kept the lamp?", "Hesk", "probe", INDIRECT)
    twin = row("could you tell me: Who kept the lamp", "Hesk")
    aside = row("Could you tell me who kept the lamp", "Hesk", "validation")
    other = row("Who kept the lamp?", "Hesk")
    assert reasons([probe, twin, aside, other]) == ["", "worded like a probe", "worded like a probe", ""]


@pytest.mark.parametrize(
    ("question", "answer", "told"),
    [
        (f"{LONG}?", "Runa Hesk", "worded like a probe"),
        (f"{LONG} then?", "runa hesk.", "worded nearly like a probe"),
        (f"{LONG} then?", "Odd Varne", ""),
        (f"{LONG} then, in that year?", "Runa Hesk", ""),
    ],
    ids=["same words", "one word more", "another answer", "four words more"],
)
def test_what_is_nearly_a_probe_is_not_trained(question: str, answer: str, told: str) -> None:
    probe = row(f"{LONG.capitalize()}?", "Runa Hesk", "probe", INDIRECT)
    assert reasons([probe, row(question, answer)])[1] == told


@given(
    st.lists(
        st.builds(row, QUESTIONS.map(" ".join), st.sampled_from("ab"), st.sampled_from(["train", "probe"])), max_size=12
    )
)
def test_what_is_left_is_consistent(rows: list[QuestionRow]) -> None:
    """The same as comparing every trained question with every probe."""
    with Wordings(rows) as wordings:
        kept = [found for found in rows if not wordings.why_not(found)]
    for found in kept:
        assert all(other.answer == found.answer for other in rows if words(other.question) == words(found.question))
    trained, probes = ([f for f in rows if f.split == part] for part in ("train", "probe"))
    with Wordings(rows) as wordings:
        for found in trained:
            near = any(
                similarity(found.question, probe.question) >= NEAR_DUPLICATE
                and (probe.answer == found.answer or words(probe.question) == words(found.question))
                for probe in probes
            )
            several = any(o.answer != found.answer for o in rows if words(o.question) == words(found.question))
            assert bool(wordings.why_not(found)) == (near or several)


def test_near_probes_are_found_among_many() -> None:
    draw = random.Random(0)
    vocabulary = [f"word{number}" for number in range(300)]
    probes = [row(" ".join(draw.sample(vocabulary, 20)), "x", "probe", INDIRECT) for _ in range(300)]
    # One word of twenty exchanged for another: 19 of 21 are shared.
    near = [row(" ".join([*probe.question.split()[1:], "other"]), "x") for probe in probes]
    far = [row(" ".join([*probe.question.split()[2:], "other", "more"]), "x") for probe in probes]
    with Wordings([*probes, *near, *far]) as wordings:
        assert all(wordings.why_not(found).startswith("worded nearly") for found in near)
        assert not any(wordings.why_not(found) for found in far)
