"""Every schedule against its formula, and against transformers' scheduler of the same name."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import get_scheduler

from knowledge_update.errors import ConfigError
from knowledge_update.training.schedules import described, factor, warmup_share
from knowledge_update.training_config import ScheduleConfig

STEPS = 40
TRANSFORMERS = {
    "cosine": "cosine", "linear": "linear", "constant": "constant", "poly": "polynomial",
    "warmup": "constant_with_warmup",
}  # fmt: skip


def transformers_rates(name: str, warmup_steps: int, **settings: Any) -> list[float]:
    """The factor after every step, of transformers' own scheduler."""
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    scheduler = get_scheduler(name, optimizer, warmup_steps, STEPS, scheduler_specific_kwargs=settings)
    rates = []
    for _ in range(STEPS):
        optimizer.step()
        scheduler.step()
        rates.append(scheduler.get_last_lr()[0])
    return rates


def rates(schedule: ScheduleConfig) -> list[float]:
    return [factor(schedule, step / STEPS, STEPS) for step in range(1, STEPS + 1)]


@pytest.mark.parametrize("warmup_steps", [0, 1, 7, 39])
@pytest.mark.parametrize("name", list(TRANSFORMERS))
def test_rates_are_those_of_transformers(name: str, warmup_steps: int) -> None:
    found = rates(ScheduleConfig(name, warmup_steps=warmup_steps, floor=0.0))
    expected = transformers_rates(TRANSFORMERS[name], warmup_steps, **({"lr_end": 0.0} if name == "poly" else {}))
    assert found == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("power", [0.5, 2.0, 3.0])
def test_poly_has_the_power_and_the_floor_of_transformers(power: float) -> None:
    found = rates(ScheduleConfig("poly", warmup_steps=4, floor=0.1, power=power))
    assert found == pytest.approx(transformers_rates("polynomial", 4, lr_end=0.1, power=power), abs=1e-9)


def test_cosine_has_the_floor_of_transformers() -> None:
    found = rates(ScheduleConfig("cosine", warmup_steps=4, floor=0.1))
    assert found == pytest.approx(transformers_rates("cosine_with_min_lr", 4, min_lr_rate=0.1), abs=1e-9)


FALLS: dict[str, Callable[[float], float]] = {
    "cosine": lambda passed: (1 + math.cos(math.pi * passed)) / 2,
    "linear": lambda passed: 1 - passed,
    "poly": lambda passed: (1 - passed) ** 1.5,
    "warmup": lambda passed: 1.0,
}


@pytest.mark.parametrize("name", list(FALLS))
def test_rates_are_those_of_the_formula(name: str) -> None:
    schedule = ScheduleConfig(name, warmup=0.2, floor=0.05, power=1.5)
    for done in (0.0, 0.05, 0.1, 0.2):
        assert factor(schedule, done, 1000) == pytest.approx(done / 0.2)
    for done in (0.2, 0.3, 0.6, 0.99, 1.0):
        falls = FALLS[name]((done - 0.2) / 0.8)
        assert factor(schedule, done, 1000) == pytest.approx(0.05 + 0.95 * falls)


def test_the_default_is_what_it_was() -> None:
    """Half a cosine from a warm-up of 5 % to 2 %, in the same arithmetic: a training of old goes on as it began."""
    for step in range(1, 334):
        done = step / 333
        left = 1 - (done - 0.05) / max(1e-9, 1 - 0.05)
        expected = done / 0.05 if done < 0.05 else 0.02 + (1 - 0.02) * (0.5 * (1 - math.cos(math.pi * left)))
        assert factor(ScheduleConfig(), done, 333) == expected


@pytest.mark.parametrize("name", ["cosine", "linear", "poly"])
def test_a_training_ends_at_the_floor(name: str) -> None:
    assert factor(ScheduleConfig(name, floor=0.25), 1.0, 10) == pytest.approx(0.25)


def test_a_warmup_longer_than_the_training_only_rises() -> None:
    schedule = ScheduleConfig("cosine", warmup_steps=100)
    assert rates(schedule) == pytest.approx([step / 100 for step in range(1, STEPS + 1)])
    assert warmup_share(schedule, STEPS) == 2.5


def test_steps_of_warmup_win_and_a_line_says_so() -> None:
    both = ScheduleConfig("linear", warmup=0.5, warmup_steps=10, floor=0.0)
    assert warmup_share(both, STEPS) == 0.25
    assert described(both, 1e-3, STEPS) == (
        "the rate rises over 10 of 40 steps (schedule.warmup_steps=10 wins over schedule.warmup=0.5),"
        " then linear from 0.001 to 0"
    )
    assert "wins" not in described(ScheduleConfig(warmup_steps=10), 1e-3, STEPS)
    assert "wins" not in described(ScheduleConfig(warmup=0.5), 1e-3, STEPS)
    assert "wins" in described(ScheduleConfig(warmup=0.5, warmup_steps=0), 1e-3, STEPS)


def test_what_is_not_used_is_told() -> None:
    told = described(ScheduleConfig("constant", warmup=0.1, warmup_steps=50), 1e-3, STEPS)
    unused = "schedule.warmup=0.1 and schedule.warmup_steps=50 not used, schedule.name=warmup has one"
    assert told == f"the rate stays at 0.001; it has no warm-up: {unused}"
    assert described(ScheduleConfig("constant"), 1e-3, STEPS) == "the rate stays at 0.001"
    assert described(ScheduleConfig("warmup"), 1e-3, STEPS) == "the rate rises over 2 of 40 steps, then stays at 0.001"


def test_an_own_schedule_is_a_function_of_the_share_and_the_steps(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "saw_rates.py").write_text("def saw(done, total_steps, teeth):\n    return done * teeth % 1\n")
    monkeypatch.chdir(tmp_path)
    schedule = ScheduleConfig(_target_="saw_rates.saw", arguments={"teeth": 2})
    assert [factor(schedule, done, 10) for done in (0.1, 0.4, 0.6)] == pytest.approx([0.2, 0.8, 0.2])
    assert described(schedule, 1e-3, 10) == "the rate follows saw_rates.saw, 0.001 times what it says"


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"name": "steps"}, "schedule.name=steps: one of cosine, linear, constant, poly, warmup"),
        ({"warmup": 1.0}, "schedule.warmup=1.0: a share of the steps from 0 to below 1"),
        ({"warmup_steps": -1}, "schedule.warmup_steps=-1: 0 or more steps"),
        ({"floor": 1.5}, "schedule.floor=1.5: a share of the highest rate from 0 to 1"),
        ({"power": 0.0}, "schedule.power=0.0: above 0"),
    ],
)
def test_settings_that_do_not_fit_are_told(settings: dict[str, Any], told: str) -> None:
    with pytest.raises(ConfigError) as raised:
        ScheduleConfig(**settings)
    assert str(raised.value) == told
