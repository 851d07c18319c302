"""The steps of a training: the same batches in the same order, whether it is interrupted or not."""

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from knowledge_update.config import Config
from knowledge_update.errors import WorkError
from knowledge_update.training.objective import Hidden, loss_of, packs
from knowledge_update.training.rows import Encoded
from knowledge_update.training.schedules import factor
from knowledge_update.workers import workers


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
    hidden: Hidden | None = None,
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
        hidden: What the lower layers put out for the rows, where that is known.
        start: Steps that are done already.
        after: Called after every step.

    Raises:
        WorkError: When the loss is no longer a number.
    """
    import torch

    base = model.get_base_model()
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    model.train()
    with workers(base.device.type) as hands:
        for number in range(start, len(batches)):
            began = time.perf_counter()
            rate = config.optimizer.learning_rate * factor(config.schedule, (number + 1) / len(batches), len(batches))
            for group in optimizer.param_groups:
                group["lr"] = rate
            parts = _shares(batches[number], hands.count)
            started = [hands.start(_gradients, base, part, prefix, hidden, parameters) for part in parts]
            done = [future.result() for future in started]
            loss = _joined(done, parameters)
            if not math.isfinite(loss):
                raise WorkError(f"the loss became {loss} at step {number + 1}: try a lower optimizer.learning_rate")
            torch.nn.utils.clip_grad_norm_(parameters, config.optimizer.max_grad_norm)
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
            tokens = sum(part.tokens for part in done)
            after(Step(number + 1, loss, rate, tokens, len(batches[number]), time.perf_counter() - began))
    model.eval()


@dataclass(frozen=True)
class _Part:
    """What a part of a batch comes to: summed loss, what its labels count together, gradients by parameter, tokens."""

    loss: float
    counted: float
    gradients: tuple[Any, ...]
    tokens: int


def _shares(rows: Sequence[Encoded], count: int) -> list[list[Encoded]]:
    """Divides rows into at most `count` parts of about the same number of tokens, always in the same way."""
    parts: list[list[Encoded]] = [[] for _ in range(min(count, len(rows)))]
    for row in sorted(rows, key=lambda row: -len(row.ids)):
        min(parts, key=lambda part: sum(len(other.ids) for other in part)).append(row)
    return parts


def _gradients(
    model: Any, rows: Sequence[Encoded], prefix: tuple[int, ...], hidden: Hidden | None, parameters: Sequence[Any]
) -> _Part:
    import torch

    loss, counted, tokens = 0.0, 0.0, 0
    total: tuple[Any, ...] = ()
    for pack in packs(rows, prefix, model.dtype, hidden):
        own = loss_of(model, pack)
        gradients = torch.autograd.grad(own, parameters)
        if total:
            torch._foreach_add_(total, gradients)
        else:
            total = gradients
        loss += own.item()
        counted += float(pack.weights.sum() + pack.rest.sum())
        tokens += pack.ids.numel()
    return _Part(loss, counted, total, tokens)


def _joined(parts: Sequence[_Part], parameters: Sequence[Any]) -> float:
    """Gives the parameters the gradients of the mean over all parts, summed in their order; returns the mean loss."""
    import torch

    counted = sum(part.counted for part in parts)
    total = parts[0].gradients
    for part in parts[1:]:
        torch._foreach_add_(total, part.gradients)
    torch._foreach_div_(total, counted)
    for parameter, gradient in zip(parameters, total, strict=True):
        parameter.grad = gradient
    return sum(part.loss for part in parts) / counted
