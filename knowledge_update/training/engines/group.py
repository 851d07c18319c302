"""The processes that train together, and what they tell one another."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, TypeVar

from knowledge_update import processes

# Others wait while the first asks for replay, which may take long. When one fails, whoever started them ends all.
_PATIENCE = timedelta(hours=24)

T = TypeVar("T")


class Group:
    """The processes of a training; of one process, where nothing started several.

    Args:
        rank: The number of this process.
        count: How many there are.
    """

    def __init__(self, rank: int = 0, count: int = 1) -> None:
        self.rank, self.count = rank, count

    def in_turn(self, work: Callable[[], T]) -> T:
        """Does work in the first process, then in all others: these find what it has written.

        Returns:
            What the work returned in this process.
        """
        if self.rank > 0:
            self.shared(None)
        done = work()
        if self.rank == 0:
            self.shared(None)
        return done

    def shared(self, value: T) -> T:
        """The first process's value; it is sent as it is, so it must be small."""
        if self.count == 1:
            return value
        import torch

        # On the CPU whatever the device is, so that a signal or the end of a process is noticed.
        box = [value]
        torch.distributed.broadcast_object_list(box, device=torch.device("cpu"))
        return box[0]

    def highest(self, value: float) -> float:
        """The highest value of all processes."""
        if self.count == 1:
            return value
        import torch

        told = torch.tensor([value], dtype=torch.float64)
        torch.distributed.all_reduce(told, torch.distributed.ReduceOp.MAX)
        return float(told)

    def summed(self, *values: float) -> list[float]:
        """The values' sums over all processes."""
        if self.count == 1:
            return list(values)
        import torch

        told = torch.tensor(values, dtype=torch.float64)
        torch.distributed.all_reduce(told)
        return [float(value) for value in told]

    def same(self, value: Any) -> bool:
        """Whether all processes have the same small value."""
        if self.count == 1:
            return True
        import torch

        values: list[Any] = [None] * self.count
        torch.distributed.all_gather_object(values, value)
        return all(other == values[0] for other in values)


@contextmanager
def joined(*, always: bool) -> Iterator[Group]:
    """Joins the processes that torchrun or accelerate started: by gloo on CPUs, by NCCL on GPUs.

    Args:
        always: Whether a single process makes a group too, as engines need that shard.
    """
    here = processes.place()
    if here.count == 1 and not always:
        yield Group()
        return
    import torch
    from torch import distributed
    from torch._C._distributed_c10d import HashStore

    gpu = torch.cuda.is_available()
    if gpu:
        torch.cuda.set_device(here.local)
    backend = "cpu:gloo,cuda:nccl" if gpu else "gloo"
    store = HashStore() if here.count == 1 else None
    distributed.init_process_group(
        backend, store=store, rank=here.rank if store else -1, world_size=here.count if store else -1, timeout=_PATIENCE
    )
    processes.joins.append(here.count)
    yield Group(here.rank, here.count)
    # After a failure the others are not told so by this, but by what the first to fail says: see `processes.tells`.
    distributed.destroy_process_group()
