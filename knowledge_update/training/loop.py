"""The steps of a training: the same batches in the same order, whether it is interrupted or not."""

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from knowledge_update.config import Config
from knowledge_update.errors import WorkError
from knowledge_update.training.objective import loss_of, packs
from knowledge_update.training.rows import Encoded
from knowledge_update.training.schedules import factor
from knowledge_update.training.trunk import Trunk


@dataclass(frozen=True)
class Step:
    """What one optimizer step did."""

    number: int
    loss: float
    rate: float
    tokens: int
    rows: int
    seconds: float


def train(
    model: Any,
    optimizer: Any,
    batches: Sequence[Sequence[Encoded]],
    prefix: tuple[int, ...],
    config: Config,
    *,
    trunk: Trunk | None = None,
    start: int,
    after: Callable[[Step], None],
) -> None:
    """Trains from step `start` to the end.

    Args:
        model: The PEFT model; only what requires gradients changes.
        optimizer: Over those parameters.
        batches: All batches of the training, in order.
        prefix: The ids that stand before rows marked as sharing them.
        config: Rates, schedule and clipping.
        trunk: What the lower layers make of the rows, where that is known.
        start: Steps that are done already.
        after: Called after every step.

    Raises:
        WorkError: When the loss is no longer a number.
    """
    import torch

    base = model.get_base_model()
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    model.train()
    for number in range(start, len(batches)):
        began = time.perf_counter()
        rate = config.optimizer.learning_rate * factor(config.schedule, (number + 1) / len(batches))
        for group in optimizer.param_groups:
            group["lr"] = rate
        work = list(packs(batches[number], prefix, base.dtype, trunk))
        counted = sum(float(pack.weights.sum() + pack.rest.sum()) for pack in work)
        loss = 0.0
        for pack in work:
            share = loss_of(base, pack) / counted
            share.backward()  # type: ignore[no-untyped-call]
            loss += share.item()
        if not math.isfinite(loss):
            raise WorkError(f"the loss became {loss} at step {number + 1}: try a lower optimizer.learning_rate")
        torch.nn.utils.clip_grad_norm_(parameters, config.optimizer.max_grad_norm)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        tokens = sum(pack.ids.numel() for pack in work)
        after(Step(number + 1, loss, rate, tokens, len(batches[number]), time.perf_counter() - began))
    model.eval()
