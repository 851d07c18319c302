"""What engines share that give each process a part of the model: passes that all of them make together.

A pass gathers the weights of a layer from all processes, so all must make equally many of them: a process with less to
do repeats a row that counts nothing.
"""

from collections.abc import Iterator, Sequence
from typing import Any

from torch import Tensor, nn

from knowledge_update.training.engines.engine import share
from knowledge_update.training.engines.group import Group
from knowledge_update.training.methods import base_of, trainable
from knowledge_update.training.objective import Pack, loss_of, packs
from knowledge_update.training.rows import Encoded
from knowledge_update.training.validation import evaluating


class Objective(nn.Module):
    """The loss of a pack as a module's `forward`: what is called through it runs the hooks that gather weights.

    Args:
        model: A causal language model of transformers, with its adapter.
    """

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model

    def forward(self, pack: Pack) -> Tensor:
        """The loss of a pack, summed."""
        return loss_of(self.model, pack)


class Sharded:
    """The ground of engines that shard.

    Args:
        model: As `methods.attach` gives it; only what requires gradients changes.
        prefix: The ids that stand before rows marked as sharing them.
        group: The processes.
    """

    def __init__(self, model: Any, prefix: tuple[int, ...], group: Group) -> None:
        self.model, self.base = model, base_of(model)
        self.objective = Objective(self.base)
        self.prefix, self.group = prefix, group
        self.dtype = self.base.dtype

    def __exit__(self, *error: Any) -> None:
        pass

    def trained(self) -> dict[str, Any]:
        """What is trained, by name: this process's part."""
        return trainable(self.model)

    def agreed(self, value: float) -> float:
        """The highest value of all processes."""
        return self.group.highest(value)

    def loss(self, rows: Sequence[Encoded], count: int) -> float:
        """The mean loss over rows that are not trained, each process's share by itself, `count` at once."""
        loss = counted = 0.0
        with evaluating(self.model):
            for pack, counts in self._passes(rows, count):
                loss += self._forward(pack).item() * counts
                counted += pack.counted * counts
        loss, counted = self.group.summed(loss, counted)
        return loss / counted

    def _forward(self, pack: Pack) -> Tensor:
        raise NotImplementedError

    def _passes(self, rows: Sequence[Encoded], count: int | None = None) -> Iterator[tuple[Pack, float]]:
        """The packs of this process's share, and whether they count: as many in all processes."""
        mine = share(rows, self.group.rank, self.group.count)
        parts = [mine[start : start + count] for start in range(0, len(mine), count)] if count else [mine]
        own = [pack for part in parts for pack in packs(part, self.prefix, self.dtype)]
        most = int(self.group.highest(len(own)))
        (empty,) = packs(rows[:1], self.prefix, self.dtype)
        yield from ((pack, 1.0) for pack in own)
        yield from ((empty, 0.0) for _ in range(most - len(own)))
