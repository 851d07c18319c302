"""Bootstrap intervals."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from knowledge_update.evaluation.statistics import interval, paired_interval

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
