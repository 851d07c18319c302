"""The learning rate over a training: a factor of the highest rate, as a function of the share that is done."""

import math

from knowledge_update.config import ScheduleConfig


def factor(schedule: ScheduleConfig, done: float) -> float:
    """The share of the highest rate at a moment.

    Args:
        schedule: Warm-up share, name of the decay, floor.
        done: Share of the training that is done, 0 to 1.
    """
    if done < schedule.warmup:
        return done / schedule.warmup
    left = 1 - (done - schedule.warmup) / max(1e-9, 1 - schedule.warmup)
    decay = {"cosine": 0.5 * (1 - math.cos(math.pi * left)), "linear": left, "constant": 1.0}[schedule.name]
    return schedule.floor + (1 - schedule.floor) * decay
