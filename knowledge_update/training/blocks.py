"""Attention in blocks of rows of like length: no scores are computed between rows.

A mask over a whole sequence costs the square of its length; rows of thirty tokens behind a shared prefix need a tenth.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from knowledge_update.training.layout import Layout, Span, closed

# Queries of a long row are computed in runs of so many: what lies behind them need not be computed to be masked.
RUN = 128
# Scores that rows of unlike lengths may waste by being computed together: a share, and about what a block costs.
SHARE, FEW = 0.2, 4000


@dataclass(frozen=True)
class Block:
    """Rows whose attention is computed together, padded to the longest of them.

    Args:
        queries: Places of their tokens in the sequence, (rows, queries); what is padding is the sequence's length.
        keys: Places of the tokens that may be seen, (rows, keys); padding is 0.
        mask: What is added to scores, (rows, queries, keys).
        padded: Whether any query is padding.
    """

    queries: Tensor
    keys: Tensor
    mask: Tensor
    padded: bool


def blocks_of(layout: Layout, dtype: torch.dtype) -> list[Block]:
    """Cuts the attention of a sequence into blocks.

    Args:
        layout: The sequence.
        dtype: Of the scores.
    """
    runs = [run for span in layout.spans for run in _runs(span)]
    groups: list[list[Span]] = []
    for run in sorted(runs, key=lambda run: (-len(run.own), -len(run.before), run.own.start)):
        if groups and _fit([*groups[-1], run]):
            groups[-1].append(run)
        else:
            groups.append([run])
    return [_block(group, len(layout.ids), dtype) for group in groups]


def _runs(span: Span) -> list[Span]:
    starts = range(span.own.start, span.own.stop, RUN)
    return [
        Span(range(start, min(start + RUN, span.own.stop)), (*span.before, *range(span.own.start, start)))
        for start in starts
    ]


def _fit(runs: Sequence[Span]) -> bool:
    """Whether runs may be padded to one another."""
    own, before = max(len(run.own) for run in runs), max(len(run.before) for run in runs)
    needed = sum(run.scores for run in runs)
    return len(runs) * own * (before + own) - needed <= SHARE * needed + FEW


def _block(runs: Sequence[Span], length: int, dtype: torch.dtype) -> Block:
    longest, seen = max(len(run.own) for run in runs), max(len(run.before) for run in runs)
    queries = torch.full((len(runs), longest), length)
    keys = torch.zeros((len(runs), seen + longest), dtype=torch.long)
    open_ = torch.zeros((len(runs), longest, seen + longest), dtype=torch.bool)
    own_open = torch.ones(longest, longest, dtype=torch.bool).tril()
    for number, run in enumerate(runs):
        count, before = len(run.own), len(run.before)
        queries[number, :count] = torch.arange(run.own.start, run.own.stop)
        keys[number, :before] = torch.tensor(run.before, dtype=torch.long)
        keys[number, seen : seen + count] = queries[number, :count]
        open_[number, :, :before] = True
        open_[number, :, seen : seen + count] = own_open[:, :count]
    return Block(queries, keys, closed(open_, dtype), bool((queries == length).any()))
