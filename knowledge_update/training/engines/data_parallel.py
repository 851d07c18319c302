"""Data parallel (DDP): every process holds the model, takes its share of a batch, and the gradients are summed.

Summed by all-reduces of our own rather than by `DistributedDataParallel`: that wrapper learns of gradients by hooks of
a backward through its own `forward`, while the objective calls decoder and head apart, and several threads of a process
compute gradients side by side by `torch.autograd.grad`, which no such hook sees. What the wrapper would win, sending
while backward still runs, is little for an adapter, whose gradients are a hundredth of the model's.
"""

from collections.abc import Iterator, Sequence
from typing import Any

from knowledge_update.errors import WorkError
from knowledge_update.training.engines.engine import Done, share
from knowledge_update.training.engines.group import Group
from knowledge_update.training.engines.one_process import OneProcess, Part
from knowledge_update.training.objective import Hidden
from knowledge_update.training.rows import Encoded

# What is sent at once: as large as it may be without doubling the memory that gradients take.
_BUCKET_BYTES = 2**25


class DataParallel(OneProcess):
    """The engine of several processes that each hold the whole model.

    Args:
        model: What is trained; only what requires gradients changes.
        prefix: The ids that stand before rows marked as sharing them.
        hidden: What the lower layers put out for the rows, where that is known.
        group: The processes.
    """

    def __init__(self, model: Any, prefix: tuple[int, ...], hidden: Hidden | None, group: Group) -> None:
        super().__init__(model, prefix, hidden)
        self.group = group

    def __enter__(self) -> "DataParallel":
        super().__enter__()
        self._assert_equal("at the start")
        return self

    def __exit__(self, *error: Any) -> None:
        super().__exit__(*error)
        if error[0] is None:
            self._assert_equal("at the end")

    def gradients(self, rows: Sequence[Encoded], step: int) -> Done:
        """Gives every trained parameter the gradient of the mean loss over the rows of all processes."""
        own = share(rows, self.group.rank, self.group.count)
        part = self._computed(own, step, self.group.rank * self._hands.count) if own else self._nothing()
        loss, counted, tokens = self.group.summed(part.loss, part.counted, part.tokens)
        summed = [gradient for bucket in _buckets(part.gradients) for gradient in _all_reduced(bucket)]
        self._give(summed, counted)
        return Done(loss / counted, int(tokens))

    def loss(self, rows: Sequence[Encoded], count: int) -> float:
        """The mean loss over rows that are not trained, each process's share by itself, `count` at once."""
        own = share(rows, self.group.rank, self.group.count)
        loss, counted = self.group.summed(*(self._loss(own, count) if own else (0.0, 0.0)))
        return loss / counted

    def agreed(self, value: float) -> float:
        """The highest value of all processes."""
        return self.group.highest(value)

    def _nothing(self) -> Part:
        """What no rows come to: a batch may be smaller than the number of processes."""
        import torch

        return Part(0.0, 0.0, tuple(torch.zeros_like(parameter) for parameter in self.parameters), 0)

    def _assert_equal(self, when: str) -> None:
        """Refuses weights that differ: then gradients were not shared, and each process trained a model of its own.

        Raises:
            WorkError: When a weight of one process is not that of the others, to the bit.
        """
        if not self.group.same(fingerprint(self.parameters)):
            raise WorkError(f"the processes' weights differ {when} of training: they do not train together")


def fingerprint(tensors: Sequence[Any]) -> tuple[int, ...]:
    """A sum over the bits of each tensor."""
    import torch

    kinds = {1: torch.uint8, 2: torch.int16, 4: torch.int32, 8: torch.int64}
    return tuple(int(t.detach().view(kinds[t.element_size()]).sum(dtype=torch.int64)) for t in tensors)


def _buckets(gradients: Sequence[Any]) -> Iterator[list[Any]]:
    """Gradients of one type side by side, as many as are sent at once."""
    bucket: list[Any] = []
    for gradient in gradients:
        size = sum(other.nbytes for other in bucket) + gradient.nbytes
        if bucket and (size > _BUCKET_BYTES or bucket[0].dtype != gradient.dtype):
            yield bucket
            bucket = []
        bucket.append(gradient)
    if bucket:
        yield bucket


def _all_reduced(bucket: Sequence[Any]) -> list[Any]:
    """The sums of tensors over all processes, sent as one."""
    import torch

    flat = torch.cat([gradient.reshape(-1) for gradient in bucket])
    torch.distributed.all_reduce(flat)
    parts = torch.split(flat, [gradient.numel() for gradient in bucket])
    return [part.view_as(gradient) for part, gradient in zip(parts, bucket, strict=True)]
