"""The invented facts of the measurement "time to knowledge": deterministic, three wordings, one never trained."""

from collections.abc import Callable
from typing import Any

import pytest

from knowledge_update.evaluation.scoring import contains


@pytest.fixture(scope="module")
def invented(imported: Callable[[str], Any]) -> Any:
    return imported("invented")


def test_the_same_seed_makes_the_same_facts(invented: Any) -> None:
    made = invented.facts(240, 0)
    assert made == invented.facts(240, 0)
    assert made[:50] == invented.facts(50, 0)
    assert not {fact.statement for fact in made} & {fact.statement for fact in invented.facts(240, 1)}


@pytest.mark.parametrize("seed", range(5))
def test_no_question_is_trained_and_asked(invented: Any, seed: int) -> None:
    made = invented.facts(240, seed)
    trained = {row["messages"][0]["content"] for row in invented.training_rows(made)}
    asked = {row["messages"][0]["content"] for row in invented.held_out_rows(made)}
    assert (len(trained), len(asked)) == (480, 240)
    assert not trained & asked
    # Of every relation each of the three wordings is held out somewhere, and trained elsewhere.
    wordings = {fact.held_out[0].replace(_subject(fact), "") for fact in made}
    assert len(wordings) == 36


def _subject(fact: Any) -> str:
    """The one name of four syllables that all three questions have."""
    shared = set.intersection(
        *({word.strip("?.,") for word in asked.split()} for asked, _ in [*fact.trained, fact.held_out])
    )
    (name,) = (word for word in shared if len(word) == 8 and word[1:].islower() and word[0].isupper())
    return str(name)


def test_the_value_is_in_the_trained_answers_and_in_no_question(invented: Any) -> None:
    for fact in invented.facts(2400, 3):
        question, value = fact.held_out
        assert contains(fact.statement, [value])
        assert all(answer == fact.statement for _, answer in fact.trained)
        assert not any(contains(asked, [value]) for asked in (question, *(asked for asked, _ in fact.trained)))


def test_rows_are_conversations(invented: Any) -> None:
    made = invented.facts(13, 0)
    rows = invented.training_rows(made)
    assert len({row["id"] for row in rows}) == 26
    assert rows[25]["fact"] == made[12].statement
    assert [message["role"] for message in rows[25]["messages"]] == ["user", "assistant"]
    assert rows[25]["messages"][1]["content"] == made[12].statement
    assert invented.held_out_rows(made)[12]["messages"][1]["content"] == made[12].held_out[1]


def test_what_is_known_is_counted(invented: Any) -> None:
    made = invented.facts(240, 0)
    assert invented.share_known(made, [fact.statement for fact in made]) == 1
    # The value of a neighbour of the same relation is wrong.
    wrong = [fact.statement for fact in [*made[12:], *made[:12]]]
    assert invented.share_known(made, wrong) < 0.02
    half = [fact.held_out[1] if number % 2 else "I do not know." for number, fact in enumerate(made)]
    assert invented.share_known(made, half) == 0.5
    with pytest.raises(ValueError, match="argument 2 is shorter"):
        invented.share_known(made, [])
    with pytest.raises(ValueError, match="no facts"):
        invented.share_known([], [])
