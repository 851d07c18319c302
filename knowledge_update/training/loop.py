"""The steps of a training: the same batches in the same order, whether it is interrupted or not."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from knowledge_update.config import Config
from knowledge_update.errors import WorkError
from knowledge_update.training.objective import Batch, loss_of
from knowledge_update.training.rows import Encoded, padded
from knowledge_update.training.schedules import factor


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
        start: Steps that are done already.
        after: Called after every step.

    Raises:
        WorkError: When the loss is no longer a number.
    """
    import torch

    base = model.get_base_model()
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    pad = base.config.eos_token_id if isinstance(base.config.eos_token_id, int) else 0
    model.train()
    for number in range(start, len(batches)):
        began = time.perf_counter()
        rows = list(batches[number])
        ids, labels = padded(rows, pad)
        batch = Batch(ids, labels, prefix if rows[0].shared else ())
        rate = config.optimizer.learning_rate * factor(config.schedule, (number + 1) / len(batches))
        for group in optimizer.param_groups:
            group["lr"] = rate
        total, labelled = loss_of(base, batch)
        loss = total / labelled
        if not torch.isfinite(loss):
            raise WorkError(f"the loss became {loss.item()} at step {number + 1}: try a lower optimizer.learning_rate")
        loss.backward()
        torch.nn.utils.clip_grad_norm_(parameters, config.optimizer.max_grad_norm)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        after(Step(number + 1, loss.item(), rate, batch.tokens, len(rows), time.perf_counter() - began))
    model.eval()
