"""Validation: the loss of rows that are not trained, by the same measure as the trained ones'."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from knowledge_update.training.objective import Pack


def summed(model: Any, rows: Iterable[Pack], loss_of: Callable[[Pack], Tensor]) -> tuple[float, float]:
    """The loss of rows that are not trained, and what their labels count, weighed as in training.

    Args:
        model: What is trained, in training; it is again afterwards.
        rows: The rows, packed.
        loss_of: Computes the loss of a pack.
    """
    loss = counted = 0.0
    with evaluating(model):
        for pack in rows:
            loss += loss_of(pack).item()
            counted += pack.counted
    return loss, counted


@contextmanager
def evaluating(model: Any) -> Iterator[None]:
    """A model in training, for a while not."""
    model.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        model.train()
