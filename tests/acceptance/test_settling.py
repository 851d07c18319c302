"""The rule of convergence: right on planted losses, and how often it errs on thousands drawn at random."""

from collections.abc import Callable

import numpy as np
import pytest
from curves import Curve, Draw, converged, diverging

from knowledge_update.acceptance.settling import any_pair, judge

STEPS = np.arange(600)
FALLING = 1 + 3 * np.exp(-STEPS / 40)


def noise(scatter: float = 0.1, steps: int = 600, seed: int = 0) -> Curve:
    return scatter * np.random.default_rng(seed).standard_normal(steps)


GOOD = {
    "converged": (FALLING + noise(), ""),
    "without noise": (FALLING, ""),
    "flat and noisy": (2 + noise(0.5), "it never fell"),
    "constant": (np.ones(600), "it never fell"),
    "with a spike": (FALLING + noise() + 20.0 * (STEPS == 450), ""),
    "falling slowly": (3 - np.arange(10_000) / 5000 + noise(steps=10_000), "it still falls slowly: by 0.5 over the"),
    "falling to nothing": (3 * np.exp(-STEPS / 40) + noise(0.02), ""),
    "short": (1 + 3 * np.exp(-np.arange(100) / 5) + noise(0.05, 100), ""),
}
BAD = {
    "diverging": (1 + STEPS / 300 + noise(0.3), "still changing: "),
    "diverging slowly": (1 + np.arange(10_000) / 20_000 + noise(0.3, 10_000), "risen: "),
    "diverging after a fall": (FALLING + np.clip(STEPS - 450, 0, None) / 200 + noise(), "still changing: "),
    "blown up at the end": (np.where(STEPS > 593, 5, FALLING) + noise(), "risen: the last 5 steps lie at 4.9"),
    "risen to a plateau": (np.where(STEPS > 350, 2, FALLING) + noise(), "risen: by 1 over the last 375 steps"),
    "falling": (3 - STEPS / 300 + noise(), "still changing: "),
    "falling, short": (3 - np.arange(100) / 50 + noise(0.2, 100), "still "),
    "oscillating fast": (1 + 0.3 * (-1.0) ** STEPS + noise(), "oscillating: by ±0.31 with a period of 2 steps"),
    "oscillating": (1 + 0.3 * np.sin(STEPS / 5) + noise(), "oscillating: by ±0.28 with a period of 30 steps"),
    "oscillating slowly": (1 + 0.3 * np.sin(STEPS / 40) + noise(), "still changing: "),
    "not a number": (np.where(STEPS == 333, np.nan, FALLING), "no loss any more: nan at step 333"),
    "infinite": (np.where(STEPS == 599, np.inf, FALLING), "no loss any more: inf at step 599"),
    "beyond all bounds": (np.where(STEPS > 400, 1e200, FALLING), "no loss any more: 1e+200 at step 401"),
    "too short": (FALLING[:49], "too short: 49 steps, at least 50 are needed"),
    "empty": (FALLING[:0], "too short: 0 steps"),
}


@pytest.mark.parametrize("name", GOOD)
def test_what_has_converged(name: str) -> None:
    losses, remark = GOOD[name]
    judged = judge(losses, 0.001)
    assert judged.converged, judged
    assert judged.reason.startswith(remark)
    assert bool(judged.reason) == bool(remark)
    assert judged.settled is not None
    assert judged.settled < len(losses) * 0.75


@pytest.mark.parametrize("name", BAD)
def test_what_has_not(name: str) -> None:
    losses, reason = BAD[name]
    judged = judge(losses, 0.001)
    assert not judged.converged
    assert judged.reason.startswith(reason), judged
    assert judged.settled is None


def test_the_threshold_counts() -> None:
    """Of a loss without noise, from where the rule says: its own differences, smoothed, against the threshold."""
    # Over a window of 60 steps, twice, a fall of exp(-t / 40) is as steep as by itself, times this.
    gain = ((1 - np.exp(-60 / 40)) / 60 / (1 - np.exp(-1 / 40))) ** 2
    for threshold in (0.01, 0.003, 0.001):
        judged = judge(FALLING, threshold)
        steepness = 3 * np.exp(-STEPS / 40) * (1 - np.exp(-1 / 40)) * gain
        assert judged.settled == int(np.argmax(steepness < threshold)) + 59
    assert judge(1 + 3 * np.exp(-STEPS / 100), 1e-4).reason.startswith("still changing: ")


def test_any_pair_passes_what_diverges() -> None:
    rising = [np.linspace(1, 3, 600) + noise(0.1, 600, seed) for seed in range(20)]
    assert sum(any_pair(losses, 0.001).converged for losses in rising) >= 15
    assert not any(judge(losses, 0.001).converged for losses in rising)
    assert not any_pair(np.arange(600.0), 0.001).converged
    assert not any_pair(np.ones(1), 0.001).converged
    assert any_pair(np.array([np.nan, 1, 1]), 0.001).reason == "no loss any more: nan at step 0"


def passed(make: Callable[[Draw], Curve], count: int) -> float:
    draw = np.random.default_rng(2026)
    return sum(judge(make(draw), 0.001).converged for _ in range(count)) / count


def test_how_often_it_errs() -> None:
    assert passed(diverging, 400) < 0.01
    assert passed(converged, 400) >= 0.95


@pytest.mark.soak
def test_how_often_it_errs_on_ten_thousand() -> None:
    assert passed(diverging, 10_000) < 0.01
    assert passed(converged, 10_000) >= 0.95
