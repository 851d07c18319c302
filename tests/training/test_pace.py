"""A training ends where its steps or its time do, its rate at the floor, whoever killed it in between."""

import math
from itertools import pairwise
from pathlib import Path

import pytest

from knowledge_update.training.pace import Clock, Pace


class Time:
    """Seconds that pass when they are told to."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def walked(pace: Pace, time: Time, step: float, first: int = 0, most: int = 10_000) -> list[float]:
    """The shares that a training of steps of so many seconds is told."""
    shares = []
    for number in range(first, most):
        shares.append(min(1.0, pace.done(number)))
        time.now += step
        pace.took(step)
        if shares[-1] >= 1:
            break
    return shares


def test_steps_alone_count() -> None:
    assert walked(Pace(4), Time(), 1.0) == [0.25, 0.5, 0.75, 1.0]


@pytest.mark.parametrize("step", [0.1, 0.9, 2.5])
def test_time_alone_counts_and_what_comes_after_has_its_time(step: float) -> None:
    time = Time()
    clock = Clock(Path("none"), "key", time.now, time)
    time.now += 20
    shares = walked(Pace(math.inf, 180.0, clock.seconds, reserve=5.0), time, step)
    assert shares == sorted(shares) and shares[-1] == 1.0 and shares[0] == 0.0
    assert 175 - 2 * step <= clock.seconds() <= 175 + step
    gaps = [later - before for before, later in pairwise(shares[:-1])]
    assert max(gaps) == pytest.approx(step / 155, rel=0.01), "the rate follows the time evenly"


def test_whatever_ends_first_ends_it() -> None:
    for budget, steps in ((1e6, 40), (10.0, 10)):
        time = Time()
        pace = Pace(40, budget, Clock(Path("none"), "key", time.now, time).seconds)
        assert len(walked(pace, time, 1.0)) == pytest.approx(steps, abs=1)


def test_a_killed_attempt_goes_on_with_what_is_left(tmp_path: Path) -> None:
    time = Time()
    clock = Clock(tmp_path / "clock.json", "key", time.now, time)
    pace = Pace(math.inf, 100.0, clock.seconds)
    for number in range(40):
        pace.done(number)
        time.now += 1.0
        clock.note()
    # Killed here; a day later somebody goes on.
    time.now += 86400
    again = Clock(tmp_path / "clock.json", "key", time.now, time)
    assert again.seconds() == pytest.approx(40, abs=1.1)
    shares = walked(Pace(math.inf, 100.0, again.seconds), time, 1.0, first=40)
    assert shares[-1] == 1.0 and again.seconds() == pytest.approx(100, abs=2)
    assert Clock(tmp_path / "clock.json", "other", time.now, time).seconds() == 0
    again.forget()
    assert Clock(tmp_path / "clock.json", "key", time.now, time).seconds() == 0


def test_a_length_is_told_as_far_as_it_is_known() -> None:
    time = Time()
    pace = Pace(math.inf, 100.0, Clock(Path("none"), "key", time.now, time).seconds)
    time.now += 50
    assert Pace(7).length(3) == 7
    assert pace.length(24) == 50
