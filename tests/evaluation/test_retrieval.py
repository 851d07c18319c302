"""The passage that fits a question is found by its words."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from knowledge_update.evaluation.retrieval import Retriever
from knowledge_update.evaluation.scoring import tokens

PASSAGES = [
    "Tolvick Lighthouse stands on the northern cape of Orvessay. It was built in 1874.",
    "The Varrow Line is the ferry company of Orvessay. It owns 5 ships and the ships are green.",
    "潮歌学校位于凯尔马罗，创办于1907年。",
    "The dairy of Dunhask makes a blue cheese. The cheese is sold in Corvane.",
]


@pytest.mark.parametrize(
    ("question", "index"),
    [
        ("When was the lighthouse of Tolvick built?", 0),
        ("How many ships does the ferry company own?", 1),
        ("What colour are the five ships?", 1),
        ("学校创办于哪一年？", 2),
        ("Which cheese does the dairy make?", 3),
    ],
)
def test_the_right_passage_is_found(question: str, index: int) -> None:
    assert Retriever(PASSAGES).best(question) == index


def test_it_can_be_sought_among_some_passages_only() -> None:
    assert Retriever(PASSAGES).best("Which cheese does the dairy make?", [0, 1]) in (0, 1)
    assert Retriever(PASSAGES).best("What is in Orvessay?", [1]) == 1
    assert Retriever(PASSAGES).best("Which cheese?", []) == 3


def test_the_first_of_equal_passages_is_taken() -> None:
    assert Retriever(["lamp", "lamp", "tower"]).best("lamp") == 0
    assert Retriever(["lamp", "lamp", "tower"]).best("nothing of that") == 0
    assert Retriever(["lamp", "", "tower"]).best("") == 0


def test_the_score_is_bm25() -> None:
    """By hand: "lamp" is in 2 of 3 passages of 2 words on average, twice in a passage of 3."""
    retriever = Retriever(["lamp lamp oil", "lamp", "sea cape"])
    weight = math.log(1 + (3 - 2 + 0.5) / (2 + 0.5))
    norm = 1.2 * (1 - 0.75 + 0.75 * 3 / 2)
    assert retriever._score(["lamp"], 0) == pytest.approx(weight * 2 * 2.2 / (2 + norm))
    assert retriever._score(["lamp", "sea"], 2) == pytest.approx(math.log(1 + 2.5 / 1.5) * 2.2 / 2.2)


def test_a_rare_word_weighs_more_than_a_common_one() -> None:
    assert Retriever(["tower sea", "tower lamp", "tower", "tower oil"]).best("tower oil") == 3


@given(st.lists(st.text(max_size=20), min_size=1, max_size=5), st.text(max_size=20))
def test_some_passage_is_always_found(passages: list[str], question: str) -> None:
    assert Retriever(passages).best(question) in range(len(passages))


@given(st.lists(st.text("abc 塔", max_size=9), max_size=9), st.text("abc 塔", max_size=9), st.integers(1, 9))
def test_the_first_few_are_the_best_of_all(passages: list[str], question: str, count: int) -> None:
    retriever, asked = Retriever(passages), tokens(question)
    order = sorted(range(len(passages)), key=lambda index: (-retriever._score(asked, index), index))
    assert retriever.top(question, count) == order[:count]
