"""The steps of a training: the same batches in the same order, whether it is interrupted or not."""

import math
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

from knowledge_update.config import Config
from knowledge_update.errors import WorkError
from knowledge_update.training.engines import Engine
from knowledge_update.training.pace import Pace
from knowledge_update.training.rows import Encoded
from knowledge_update.training.schedules import factor


@dataclass(frozen=True)
class Step:
    """What one optimizer step did, and the share of the training that is done with it."""

    number: int
    loss: float
    rate: float
    tokens: int
    labels: int
    rows: int
    seconds: float
    done: float


def train(
    model: Any,
    optimizer: Any,
    batches: Iterable[Sequence[Encoded]],
    engine: Engine,
    pace: Pace,
    config: Config,
    *,
    start: int,
    after: Callable[[Step], None],
    before: Callable[[], None] | None = None,
) -> None:
    """Trains from step `start` to the end that the pace sets, or to the end of the batches.

    Args:
        model: What is trained.
        optimizer: Over its trained parameters.
        batches: All batches of the training, in order; those before `start` are passed over.
        engine: Computes the gradients of a batch.
        pace: Says how much is done.
        config: Rates, schedule and clipping.
        start: Steps that are done already.
        after: Called after every step.
        before: Called once, before the first of them, when the engine is ready.

    Raises:
        WorkError: When the loss is no longer a number.
    """
    model.train()
    with engine:
        if before:
            before()
        for number, rows in enumerate(islice(batches, start, None), start):
            began = time.perf_counter()
            done = engine.agreed(min(1.0, pace.done(number)))
            rate = config.optimizer.rate * factor(config.schedule, done, pace.length(number))
            for group in optimizer.param_groups:
                group["lr"] = rate
            came = engine.gradients(rows, number)
            if not math.isfinite(came.loss):
                raise WorkError(
                    f"the loss became {came.loss} at step {number + 1}: try a lower optimizer.learning_rate"
                )
            engine.clip(config.optimizer.max_grad_norm)
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
            seconds = time.perf_counter() - began
            pace.took(seconds)
            labels = sum(row.learned for row in rows)
            after(Step(number + 1, came.loss, rate, came.tokens, labels, len(rows), seconds, done))
            if done >= 1:
                break
    model.eval()
