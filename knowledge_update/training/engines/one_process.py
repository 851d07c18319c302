"""One process: on a CPU, threads of one core each take their share of a batch."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

from knowledge_update.training.checkpoints import State
from knowledge_update.training.dropout import drawn_for
from knowledge_update.training.engines.engine import Done, shares
from knowledge_update.training.methods import base_of, trainable
from knowledge_update.training.objective import Hidden, Pack, loss_of, most_tokens, packs
from knowledge_update.training.optimizer_state import flat, restore
from knowledge_update.training.optimizers import optimizer_for
from knowledge_update.training.rows import Encoded
from knowledge_update.training.validation import summed
from knowledge_update.training_config import OptimizerConfig
from knowledge_update.workers import Workers, workers


@dataclass(frozen=True)
class Part:
    """What rows come to: summed loss, what their labels count together, gradients by parameter, tokens."""

    loss: float
    counted: float
    gradients: tuple[Any, ...]
    tokens: int


class OneProcess:
    """The engine of one process.

    Args:
        model: As `methods.attach` gives it; only what requires gradients changes.
        prefix: The ids that stand before rows marked as sharing them.
        hidden: What the lower layers put out for the rows, where that is known.
    """

    def __init__(self, model: Any, prefix: tuple[int, ...], hidden: Hidden | None = None) -> None:
        self.model, self.base = model, base_of(model)
        self._tensors = trainable(model)
        self.parameters = list(self._tensors.values())
        self.prefix, self.hidden = prefix, hidden
        self.optimizer: Any = None
        self._hands: Workers
        self._open = ExitStack()

    def __enter__(self) -> "OneProcess":
        self._hands = self._open.enter_context(workers(self.base.device.type))
        return self

    def __exit__(self, *error: Any) -> None:
        self._open.close()

    def drives(self, config: OptimizerConfig) -> Any:
        """Makes the optimizer; the loop steps it itself."""
        self.optimizer = optimizer_for(config, self.parameters)
        return self.optimizer

    def gradients(self, rows: Sequence[Encoded], step: int) -> Done:
        """Gives every trained parameter the gradient of the mean loss over the rows."""
        part = self._computed(rows, step)
        self._give(part.gradients, part.counted)
        return Done(part.loss / part.counted, part.tokens)

    def loss(self, rows: Sequence[Encoded], count: int) -> float:
        """The mean loss over rows that are not trained, `count` at once."""
        loss, counted = self._loss(rows, count)
        return loss / counted

    def clip(self, norm: float) -> None:
        """Bounds the norm of all gradients together."""
        import torch

        torch.nn.utils.clip_grad_norm_(self.parameters, norm)

    def agreed(self, value: float) -> float:
        """The value: there is nobody to agree with."""
        return value

    def whole(self) -> dict[str, Any] | None:
        """Nothing: the model holds what is trained as it is."""
        return None

    def state(self) -> State:
        """Weights and optimizer state."""
        return State({name: tensor.detach() for name, tensor in self._tensors.items()}, flat(self.optimizer))

    def restore(self, state: State) -> None:
        """Puts back what `state` gave."""
        for name, tensor in state.weights.items():
            self._tensors[name].data.copy_(tensor)
        restore(self.optimizer, state.optimizer)

    def _loss(self, rows: Sequence[Encoded], count: int) -> tuple[float, float]:
        return summed(self.model, self._packs(rows, count), lambda pack: loss_of(self.base, pack))

    def _packs(self, rows: Sequence[Encoded], count: int) -> Iterator[Pack]:
        for start in range(0, len(rows), count):
            yield from packs(rows[start : start + count], self.prefix, self.base.dtype, self.hidden)

    def _computed(self, rows: Sequence[Encoded], step: int, first: int = 0) -> Part:
        """What rows come to, the threads' parts summed in their order; `first` is the number of the first part."""
        import torch

        divided = enumerate(shares(rows, self._hands.count), first)
        started = [self._hands.start(self._part, part, (step, index)) for index, part in divided]
        parts = [future.result() for future in started]
        total = parts[0].gradients
        for part in parts[1:]:
            torch._foreach_add_(total, part.gradients)
        loss, counted = sum(part.loss for part in parts), sum(part.counted for part in parts)
        return Part(loss, counted, total, sum(part.tokens for part in parts))

    def _give(self, gradients: list[Any] | tuple[Any, ...], counted: float) -> None:
        """Gives the parameters summed gradients as those of a mean."""
        import torch

        torch._foreach_div_(gradients, counted)
        for parameter, gradient in zip(self.parameters, gradients, strict=True):
            parameter.grad = gradient

    def _part(self, rows: Sequence[Encoded], place: tuple[int, int]) -> Part:
        import torch

        loss, counted, tokens = 0.0, 0.0, 0
        total: tuple[Any, ...] = ()
        most = most_tokens(self.base)
        for index, pack in enumerate(packs(rows, self.prefix, self.base.dtype, self.hidden, most)):
            with drawn_for(*place, index):
                own = loss_of(self.base, pack)
                gradients = torch.autograd.grad(own, self.parameters)
            if total:
                torch._foreach_add_(total, gradients)
            else:
                total = gradients
            loss += own.item()
            counted += pack.counted
            tokens += pack.ids.numel()
        return Part(loss, counted, total, tokens)
