"""Bootstrap intervals."""

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from knowledge_update.evaluation.statistics import interval, mcnemar, paired_interval

SHARES = st.lists(st.sampled_from([0.0, 1.0]), min_size=1, max_size=60)
DRAW = {"resamples": 300, "seed": 0}


@given(SHARES)
def test_the_interval_is_around_the_mean(values: list[float]) -> None:
    low, high = interval(values, **DRAW)
    assert 0 <= low <= high <= 1
    assert low - 5e-5 <= sum(values) / len(values) <= high + 5e-5


@given(SHARES)
def test_the_same_models_gain_nothing(values: list[float]) -> None:
    assert paired_interval(values, values, **DRAW) == (0.0, 0.0)


@given(SHARES, st.data())
def test_a_gain_is_a_loss_the_other_way_round(left: list[float], data: st.DataObject) -> None:
    right = data.draw(st.lists(st.sampled_from([0.0, 1.0]), min_size=len(left), max_size=len(left)))
    low, high = paired_interval(left, right, **DRAW)
    assert paired_interval(right, left, **DRAW) == pytest.approx((-high, -low), abs=1e-4)


def test_equally_good_models_have_a_gain_interval_around_zero() -> None:
    left, right = [1.0, 0.0] * 50, [0.0, 1.0] * 50
    low, high = paired_interval(left, right, **DRAW)
    assert low < 0 < high


def test_a_better_model_has_a_gain_interval_above_zero() -> None:
    low, high = paired_interval([1.0] * 80 + [0.0] * 20, [1.0] * 20 + [0.0] * 80, **DRAW)
    assert 0.4 < low < 0.6 < high < 0.75


def test_the_width_is_what_theory_says() -> None:
    """Half a share of 400 questions has a standard error of 0.025, so its interval is 1.96 of them to each side."""
    low, high = interval([0.0, 1.0] * 200, resamples=4000, seed=1)
    assert (low, high) == pytest.approx((0.451, 0.549), abs=0.004)


def test_more_questions_and_a_lower_level_make_it_narrower() -> None:
    def width(count: int, level: float = 0.95) -> float:
        low, high = interval([0.0, 1.0] * count, **DRAW, level=level)
        return high - low

    assert width(200) < width(20) < width(5)
    assert width(20, 0.5) < width(20)


def test_the_seed_decides_the_draws() -> None:
    values = [0.0, 1.0, 1.0, 0.3, 0.7] * 7
    assert interval(values, **DRAW) == interval(values, **DRAW)
    assert interval(values, **DRAW) != interval(values, resamples=300, seed=1)


def test_no_questions_and_questions_that_do_not_pair() -> None:
    assert interval([], **DRAW) == (0.0, 0.0)
    assert interval([1.0], **DRAW) == (1.0, 1.0)
    with pytest.raises(ValueError, match="shorter"):
        paired_interval([1.0, 0.0], [1.0], **DRAW)


@given(SHARES, st.randoms())
def test_the_order_of_the_questions_does_not_matter(values: list[float], chance: random.Random) -> None:
    shuffled = list(values)
    chance.shuffle(shuffled)
    assert interval(shuffled, **DRAW) == interval(values, **DRAW)


def test_many_questions_are_no_more_work() -> None:
    low, high = interval([0.0, 1.0] * 2_000_000, resamples=2000, seed=0)
    assert 0.499 < low < 0.5 < high < 0.501


@pytest.mark.parametrize(
    ("won", "lost", "chance"),
    [(0, 0, 1.0), (1, 0, 1.0), (5, 5, 1.0), (6, 0, 2 / 64), (0, 6, 2 / 64), (8, 2, 2 * (1 + 10 + 45) / 1024),
     (3, 4, 1.0)],
)  # fmt: skip
def test_the_exact_test_is_the_binomial_sum(won: int, lost: int, chance: float) -> None:
    left = [True] * won + [False] * lost + [True, False] * 7
    right = [False] * won + [True] * lost + [True, False] * 7
    assert mcnemar(left, right) == pytest.approx(chance)


def test_the_exact_test_of_thousands() -> None:
    """The normal approximation with continuity correction: |won - lost| - 1 over the root of their sum."""
    left, right = [True] * 5200 + [False] * 4900, [False] * 5200 + [True] * 4900
    z = (300 - 1) / math.sqrt(10_100)
    assert mcnemar(left, right) == pytest.approx(math.erfc(z / math.sqrt(2)), rel=0.01)
    assert mcnemar([True] * 5000, [False] * 5000) == 0


@given(SHARES)
def test_a_model_against_itself_is_all_chance(values: list[float]) -> None:
    same = [bool(value) for value in values]
    assert mcnemar(same, same) == 1


@pytest.mark.parametrize("values", [[0.0] * 11, [0.0] * 22 + [1.0] * 2, [0.0, -0.0]])
def test_nothing_has_no_sign(values: list[float]) -> None:
    low, high = interval(values, resamples=1000, seed=0)
    assert "-" not in f"{low}{high}"
