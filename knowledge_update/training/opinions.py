"""Opinions: what a model makes of an answer, in place of the answer alone (distillation, arXiv 1503.02531).

At each token of the answer its likeliest tokens with their probabilities, and at every token what its last layer puts
out. Of general prompts the untouched model's own opinion is kept up (replay); of what is taught it is taught what the
untouched model thinks when it has the fact before it (context distillation, arXiv 2209.15189).
"""

from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from knowledge_update.display import progress
from knowledge_update.training.objective import Hidden, grouped, logits_of, packs, states_of
from knowledge_update.training.rows import IGNORED, Encoded, Opinion
from knowledge_update.training.trunk import Trunk
from knowledge_update.workers import workers

CANDIDATES = 32


def with_opinions(
    model: Any, rows: Sequence[Encoded], prefix: Sequence[int], pull: float, trunk: Trunk | None = None
) -> list[Encoded]:
    """The rows with what the model makes of them.

    Args:
        model: The untouched model.
        rows: Chat rows.
        prefix: The ids that stand before rows marked as sharing them.
        pull: How much straying from its states shall count; at 0 they are not kept.
        trunk: What the model's lower layers make of the rows, where that is known.
    """
    found: list[Opinion] = []
    upper, hidden = (trunk.upper(), trunk.hidden) if trunk else (nullcontext(), None)
    told = progress("Taking the untouched model's opinions", len(rows), "prompts")
    with upper, told as advance, workers(model.device.type) as hands:
        for done in [hands.start(_of_group, model, group, prefix, pull, hidden) for group in grouped(rows)]:
            part = done.result()
            found.extend(part)
            advance(len(part))
    return [replace(row, opinion=opinion) for row, opinion in zip(rows, found, strict=True)]


@torch.no_grad()
def _of_group(
    model: Any, rows: Sequence[Encoded], prefix: Sequence[int], pull: float, hidden: Hidden | None
) -> list[Opinion]:
    """The model's states at every token, and at every label its `CANDIDATES` likeliest tokens."""
    (pack,) = packs(rows, prefix, model.dtype, hidden)
    states = states_of(model, pack)
    probabilities = torch.softmax(logits_of(model, states, pack).float(), dim=-1)
    best = probabilities.topk(min(CANDIDATES, probabilities.shape[1] // 2))
    labels = [sum(label != IGNORED for label in row.labels[1:]) for row in rows]
    own = [
        states[list(places[len(prefix) if row.shared else 0 :]) if pull else []].cpu()
        for row, places in zip(rows, pack.places, strict=True)
    ]
    parts = zip(_rows_of(best.indices, labels), _rows_of(best.values, labels), own, strict=True)
    return [Opinion(ids, likely, read, pull) for ids, likely, read in parts]


def _rows_of(together: Tensor, counts: list[int]) -> list[Tensor]:
    """A tensor cut at its rows' ends, nothing shared, so that one row does not keep all in memory."""
    return [part.clone() for part in torch.split(together.cpu(), counts)]


def informed(
    model: Any, rows: Sequence[Encoded], knowing: Sequence[Encoded], prefix: Sequence[int], share: float
) -> list[Encoded]:
    """Rows that are learned partly from what the model makes of their answers when it is told them.

    Args:
        model: The untouched model.
        rows: Questions with their answers.
        knowing: The same, the fact before each question.
        prefix: The ids that stand before rows marked as sharing them.
        share: How much of a label is the model's, above 0 and up to 1; the rest is the answer's token.
    """
    told = with_opinions(model, knowing, prefix, 0.0)
    return [
        replace(row, opinion=_mixed(row, known.opinion, share))
        for row, known in zip(rows, told, strict=True) if known.opinion
    ]  # fmt: skip


def _mixed(row: Encoded, opinion: Opinion, share: float) -> Opinion:
    given = torch.tensor([label for label in row.labels[1:] if label != IGNORED])[:, None]
    ids, likely = opinion.ids.clone(), opinion.probabilities * share
    # Where the model does not think of the answer's token, that stands in the place of its least likely one.
    unthought = ~(ids == given).any(1)
    ids[unthought, -1], likely[unthought, -1] = given[unthought, 0], 0.0
    return Opinion(ids, likely + (1 - share) * (ids == given), opinion.states, 0.0)
