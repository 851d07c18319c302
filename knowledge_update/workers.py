"""Threads that compute side by side: on a CPU, several of one core each lose less than one that spreads over all."""

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import ParamSpec, TypeVar

MOST = 4

P = ParamSpec("P")
T = TypeVar("T")


@dataclass(frozen=True)
class Workers:
    """Threads to give work to.

    Args:
        count: How many there are.
        pool: Where they come from.
    """

    count: int
    pool: ThreadPoolExecutor

    def start(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> "Future[T]":
        """Begins a piece of work beside the others."""
        return self.pool.submit(work, *args, **kwargs)


@contextmanager
def workers(device: str) -> Iterator[Workers]:
    """As many workers as pay on a device; PyTorch's own threads are shared out among them.

    A GPU has its own order of work: there it is one. On two cores two workers take 0.78–0.87 of the time of one for a
    training step of 240 tokens (benchmarks/LOG.md).

    Args:
        device: The type of the device, as PyTorch names it.
    """
    import torch

    threads = torch.get_num_threads()
    count = min(threads, MOST) if device == "cpu" else 1
    torch.set_num_threads(threads // count)
    pool = ThreadPoolExecutor(count)
    try:
        yield Workers(count, pool)
    finally:
        # Who interrupts need not wait for what has not begun.
        pool.shutdown(cancel_futures=True)
        torch.set_num_threads(threads)
