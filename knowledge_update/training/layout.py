"""Rows laid into one sequence: what several of them begin with stands there once."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Span:
    """Neighbouring tokens of one row: their places, and those before them that all of them see."""

    own: range
    before: tuple[int, ...]

    @property
    def scores(self) -> int:
        """How many are computed of it."""
        return len(self.own) * (len(self.before) + len(self.own))


@dataclass(frozen=True)
class Layout:
    """A sequence that rows are laid into.

    Args:
        ids: Its tokens.
        positions: The position each of them has in its rows.
        places: Where each row's tokens are, row by row as they were given.
        spans: What each row adds to the sequence, in the sequence's order.
        firsts: The rows that add the spans, and how many of their tokens stand there already.
    """

    ids: tuple[int, ...]
    positions: tuple[int, ...]
    places: tuple[tuple[int, ...], ...]
    spans: tuple[Span, ...]
    firsts: tuple[tuple[int, int], ...]

    def mask(self, dtype: torch.dtype) -> Tensor:
        """What is added to the scores of the whole sequence, (length, length)."""
        open_ = torch.zeros(len(self.ids), len(self.ids), dtype=torch.bool)
        for span in self.spans:
            own = slice(span.own.start, span.own.stop)
            open_[own, own] = torch.ones(len(span.own), len(span.own), dtype=torch.bool).tril()
            open_[own][:, list(span.before)] = True
        return closed(open_, dtype)


def laid(rows: Sequence[Sequence[int]]) -> Layout:
    """Lays rows into a sequence in which what several begin with stands once, however many share how much.

    Args:
        rows: The ids of each.
    """
    ids: list[int] = []
    positions: list[int] = []
    places: list[tuple[int, ...]] = [()] * len(rows)
    spans, firsts = [], []
    before: tuple[int, ...] = ()
    last: Sequence[int] = ()
    # In order of their ids, a row shares most with the one before it.
    for number in sorted(range(len(rows)), key=lambda number: tuple(rows[number])):
        row = rows[number]
        shared = _alike(last, row)
        own = range(len(ids), len(ids) + len(row) - shared)
        ids.extend(row[shared:])
        positions.extend(range(shared, len(row)))
        if own:
            spans.append(Span(own, before[:shared]))
            firsts.append((number, shared))
        places[number] = before = (*before[:shared], *own)
        last = row
    return Layout(tuple(ids), tuple(positions), tuple(places), tuple(spans), tuple(firsts))


def _alike(one: Sequence[int], other: Sequence[int]) -> int:
    """How many ids both begin with."""
    pairs = zip(one, other, strict=False)
    return next((at for at, (a, b) in enumerate(pairs) if a != b), min(len(one), len(other)))


def closed(open_: Tensor, dtype: torch.dtype) -> Tensor:
    """What is added to scores so that only those that are open count."""
    return torch.zeros(open_.shape, dtype=dtype).masked_fill_(~open_, torch.finfo(dtype).min)
