"""Validation: the loss of rows that are not trained, by the same measure as the trained ones'."""

from collections.abc import Sequence
from typing import Any

import torch

from knowledge_update.training.methods import base_of
from knowledge_update.training.objective import Hidden, loss_of, packs
from knowledge_update.training.rows import Encoded


def mean_loss(model: Any, rows: Sequence[Encoded], prefix: tuple[int, ...], hidden: Hidden | None, count: int) -> float:
    """The mean loss over the labels of rows, weighed as in training.

    Args:
        model: As `methods.attach` gives it, in training; it is again afterwards.
        rows: The rows.
        prefix: The ids that stand before rows marked as sharing them.
        hidden: What the lower layers put out for the rows, where that is known.
        count: How many rows are computed at once.
    """
    base = base_of(model)
    loss = counted = 0.0
    model.eval()
    try:
        with torch.no_grad():
            for start in range(0, len(rows), count):
                for pack in packs(rows[start : start + count], prefix, base.dtype, hidden):
                    loss += loss_of(base, pack).item()
                    counted += float(pack.weights.sum() + pack.rest.sum())
    finally:
        model.train()
    return loss / counted
