"""Engines: where the gradients of a step are computed. So far in one process, by threads side by side."""

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any, Protocol

from knowledge_update.training.dropout import drawn_for
from knowledge_update.training.methods import base_of
from knowledge_update.training.objective import Hidden, loss_of, packs
from knowledge_update.training.rows import Encoded
from knowledge_update.workers import Workers, workers


@dataclass(frozen=True)
class Part:
    """What rows come to: summed loss, what their labels count together, gradients by parameter, tokens."""

    loss: float
    counted: float
    gradients: tuple[Any, ...]
    tokens: int


@dataclass(frozen=True)
class Done:
    """What a batch came to: its mean loss, and the tokens that were computed."""

    loss: float
    tokens: int


class Engine(Protocol):
    """Computes a step; used as a context."""

    def __enter__(self) -> "Engine": ...

    def __exit__(self, *error: Any) -> None: ...

    def gradients(self, rows: Sequence[Encoded], step: int) -> Done:
        """Gives every trained parameter the gradient of the mean loss over the rows of all processes."""

    def clip(self, norm: float) -> None:
        """Bounds the norm of all gradients together."""

    def agreed(self, value: float) -> float:
        """The value of the first process, so that all do the same."""


class OneProcess:
    """The engine of one process: on a CPU, threads of one core each take their share of a batch.

    Args:
        model: As `methods.attach` gives it; only what requires gradients changes.
        parameters: What is trained.
        prefix: The ids that stand before rows marked as sharing them.
        hidden: What the lower layers put out for the rows, where that is known.
    """

    def __init__(
        self, model: Any, parameters: Sequence[Any], prefix: tuple[int, ...], hidden: Hidden | None = None
    ) -> None:
        self.base = base_of(model)
        self.parameters, self.prefix, self.hidden = parameters, prefix, hidden
        self._hands: Workers
        self._open = ExitStack()

    def __enter__(self) -> "OneProcess":
        self._hands = self._open.enter_context(workers(self.base.device.type))
        return self

    def __exit__(self, *error: Any) -> None:
        self._open.close()

    def gradients(self, rows: Sequence[Encoded], step: int) -> Done:
        """Gives every trained parameter the gradient of the mean loss over the rows."""
        parts_of = shares(rows, self._hands.count)
        started = [self._hands.start(self._part, part, (step, index)) for index, part in enumerate(parts_of)]
        parts = [future.result() for future in started]
        return Done(self._joined(parts), sum(part.tokens for part in parts))

    def clip(self, norm: float) -> None:
        """Bounds the norm of all gradients together."""
        import torch

        torch.nn.utils.clip_grad_norm_(self.parameters, norm)

    def agreed(self, value: float) -> float:
        """The value: there is nobody to agree with."""
        return value

    def _part(self, rows: Sequence[Encoded], place: tuple[int, int]) -> Part:
        import torch

        loss, counted, tokens = 0.0, 0.0, 0
        total: tuple[Any, ...] = ()
        for index, pack in enumerate(packs(rows, self.prefix, self.base.dtype, self.hidden)):
            with drawn_for(*place, index):
                own = loss_of(self.base, pack)
                gradients = torch.autograd.grad(own, self.parameters)
            if total:
                torch._foreach_add_(total, gradients)
            else:
                total = gradients
            loss += own.item()
            counted += float(pack.weights.sum() + pack.rest.sum())
            tokens += pack.ids.numel()
        return Part(loss, counted, total, tokens)

    def _joined(self, parts: Sequence[Part]) -> float:
        """Gives the parameters the gradients of the mean over all parts, summed in their order; returns its loss."""
        import torch

        counted = sum(part.counted for part in parts)
        total = parts[0].gradients
        for part in parts[1:]:
            torch._foreach_add_(total, part.gradients)
        torch._foreach_div_(total, counted)
        for parameter, gradient in zip(self.parameters, total, strict=True):
            parameter.grad = gradient
        return sum(part.loss for part in parts) / counted


def shares(rows: Sequence[Encoded], count: int) -> list[list[Encoded]]:
    """Divides rows into at most `count` parts of about the same number of tokens, always in the same way."""
    parts: list[list[Encoded]] = [[] for _ in range(min(count, len(rows)))]
    for row in sorted(rows, key=lambda row: -len(row.ids)):
        min(parts, key=lambda part: sum(len(other.ids) for other in part)).append(row)
    return parts
