"""The learning rate over a training: a factor of the highest rate, as a function of the share that is done."""

import math

from knowledge_update.own_code import own
from knowledge_update.training_config import ScheduleConfig

WARMUP = 0.05


def check(schedule: ScheduleConfig) -> None:
    """Says before any work when the user's own schedule is not there.

    Raises:
        ConfigError: Names it.
    """
    if schedule._target_:
        own("schedule._target_", schedule._target_)


def factor(schedule: ScheduleConfig, done: float, total_steps: int) -> float:
    """The share of the highest rate at a moment.

    It is what transformers' schedulers of these names give after `done * total_steps` steps, the floor aside: `cosine`,
    `linear`, `constant`, `polynomial` (poly), `constant_with_warmup` (warmup).

    Args:
        schedule: Warm-up, name of the decay, floor.
        done: Share of the training that is done, 0 to 1; of its steps, or of its time where that is limited.
        total_steps: Steps of the whole training, as far as they are known.
    """
    if schedule._target_:
        made = own("schedule._target_", schedule._target_)(done, total_steps, **(schedule.arguments or {}))
        return float(made)
    if schedule.name == "constant":
        return 1.0
    warmup = warmup_share(schedule, total_steps)
    if done < warmup:
        return done / warmup
    left = 1 - (done - warmup) / max(1e-9, 1 - warmup)
    decays: dict[str, float] = {
        "cosine": 0.5 * (1 - math.cos(math.pi * left)),
        "linear": left,
        "poly": max(0.0, left) ** schedule.power,
        "warmup": 1.0,
    }
    return schedule.floor + (1 - schedule.floor) * decays[schedule.name]


def warmup_share(schedule: ScheduleConfig, total_steps: int) -> float:
    """The share of a training in which the rate rises; above 1 where `warmup_steps` are more than there are steps."""
    if schedule.warmup_steps is not None:
        return schedule.warmup_steps / max(1, total_steps)
    return WARMUP if schedule.warmup is None else schedule.warmup


def described(schedule: ScheduleConfig, rate: float, total_steps: int) -> str:
    """The rate over a training in a line, with what was asked for and is not used.

    Args:
        schedule: Warm-up, name of the decay, floor.
        rate: The highest rate.
        total_steps: Steps of the whole training.
    """
    if schedule._target_:
        return f"the rate follows {schedule._target_}, {rate:g} times what it says"
    steps, share = schedule.warmup_steps, schedule.warmup
    given = [f"schedule.warmup={share:g}"] if share else []
    if schedule.name == "constant":
        given += [f"schedule.warmup_steps={steps}"] if steps else []
        unused = f"; it has no warm-up: {' and '.join(given)} not used, schedule.name=warmup has one" if given else ""
        return f"the rate stays at {rate:g}{unused}"
    unused = f" (schedule.warmup_steps={steps} wins over {given[0]})" if given and steps is not None else ""
    rising = f"rises over {round(warmup_share(schedule, total_steps) * total_steps)} of {total_steps} steps{unused}"
    falling = f"{schedule.name} from {rate:g} to {rate * schedule.floor:g}"
    return f"the rate {rising}, then {f'stays at {rate:g}' if schedule.name == 'warmup' else falling}"
