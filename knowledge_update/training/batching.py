"""The order of training: epochs of shuffled rows, streams interleaved, cut into batches of equal work."""

import math
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, count
from typing import overload

import numpy as np
from numpy.typing import NDArray

from knowledge_update.training.rows import Encoded, lengths_of
from knowledge_update.training_config import TrainingConfig

# Measured (benchmarks/LOG.md): what a thousand questions learn in five epochs, 300 learn in nine; half as many learn a
# tenth less of wordings that were not trained, a quarter less of people's. What matters is how often the optimizer
# steps; the steps a training needs grow with the root of its questions.
EPOCHS, ENOUGH_ROWS, MOST_EPOCHS = 5.2, 1000, 20.0


@dataclass(frozen=True)
class Streams:
    """Rows by what they are for."""

    questions: Sequence[Encoded]
    texts: Sequence[Encoded]
    replay: Sequence[Encoded]
    unknown: Sequence[Encoded] = ()

    @property
    def taught(self) -> Sequence[Encoded]:
        """What an epoch is counted in: the questions, or the texts where there are none."""
        return self.questions or self.texts

    @property
    def extra(self) -> Sequence[Encoded]:
        """What is drawn beside it: the texts, where they are not what is taught."""
        return self.texts if self.questions else ()

    @property
    def parts(self) -> tuple[Sequence[Encoded], ...]:
        """What is taught, and all that is drawn beside it."""
        return self.taught, self.extra, self.replay, self.unknown

    def shares(self, config: TrainingConfig) -> tuple[float, ...]:
        """The share of each of the parts; what has no rows leaves its share to what is taught."""
        wanted = (config.text_share, config.replay_share, config.unknown_share)
        beside = [share if rows else 0.0 for rows, share in zip(self.parts[1:], wanted, strict=True)]
        return 1 - beside[0] - beside[1] - beside[2], *beside


def epochs_of(streams: Streams, config: TrainingConfig) -> float:
    """How often every question is asked: as configured, or by how many there are.

    What asks about the unknown takes its place among these: as many steps learn as much (benchmarks/LOG.md).
    """
    if config.epochs is not None:
        return config.epochs
    taught, *_, unknown = streams.shares(config)
    asked = EPOCHS * math.sqrt(max(1.0, ENOUGH_ROWS / len(streams.taught)))
    return round(min(MOST_EPOCHS, asked) * taught / (taught + unknown), 1)


class Plan(Sequence[list[Encoded]]):
    """The batches of a training, in order; rows are taken from their streams when a batch is.

    Args:
        streams: Where the rows are.
        order: For every place in the training the number of its row, those of all streams counted through.
        starts: Where in that order each batch begins.
    """

    def __init__(self, streams: Streams, order: NDArray[np.int64], starts: Sequence[int]) -> None:
        self._parts = streams.parts
        self._firsts = np.cumsum([0, *map(len, self._parts)])
        self._order, self._starts = order, [*starts, len(order)]

    def __len__(self) -> int:
        return len(self._starts) - 1

    @overload
    def __getitem__(self, at: int) -> list[Encoded]: ...
    @overload
    def __getitem__(self, at: slice) -> list[list[Encoded]]: ...
    def __getitem__(self, at: int | slice) -> list[Encoded] | list[list[Encoded]]:
        if isinstance(at, slice):
            return [self[number] for number in range(*at.indices(len(self)))]
        if not -len(self) <= at < len(self):
            raise IndexError(at)
        at %= len(self)
        return [self._row(int(number)) for number in self._order[self._starts[at] : self._starts[at + 1]]]

    def _row(self, number: int) -> Encoded:
        part = int(np.searchsorted(self._firsts, number, side="right")) - 1
        return self._parts[part][number - int(self._firsts[part])]


def endless(streams: Streams, config: TrainingConfig, seed: int) -> Iterator[list[Encoded]]:
    """Yields the batches of a training that only time ends: plans in other orders, one after another."""
    return chain.from_iterable(plan(streams, config, seed + again) for again in count())


def steps_an_epoch(streams: Streams, config: TrainingConfig, steps: int) -> int:
    """How many of a plan's steps make one pass over what is taught."""
    return max(1, round(steps / epochs_of(streams, config)))


def plan(streams: Streams, config: TrainingConfig, seed: int) -> Plan:
    """Returns the batches of a whole training, in order; the same for the same seed.

    Args:
        streams: The rows. An epoch is every question once; the others are drawn beside them.
        config: Epochs, shares of the streams, and the size of a batch.
        seed: Of the order.
    """
    order = random.Random(seed)
    parts, (share, *beside) = streams.parts, streams.shares(config)
    total = round(len(streams.taught) * epochs_of(streams, config))
    counts = (total, *(round(total / share * other) for other in beside))
    drawn = [_cycled(len(rows), wanted, order) for rows, wanted in zip(parts, counts, strict=True)]
    first = np.cumsum([0, *map(len, parts[:-1])])
    numbers = np.concatenate([part + start for part, start in zip(drawn, first, strict=True)])
    numbers = numbers[_interleaved([len(part) for part in drawn], order)]
    lengths = np.concatenate([lengths_of(rows) for rows in parts])
    most = config.batch_rows and config.batch_rows * config.accumulation
    return Plan(streams, numbers, _starts(lengths[numbers], config.batch_tokens * config.accumulation, most))


def _cycled(rows: int, count: int, order: random.Random) -> NDArray[np.int64]:
    """The numbers of `count` rows, each taken once before any is taken again."""
    taken: list[NDArray[np.int64]] = [np.empty(0, dtype=np.int64)]
    while rows and sum(map(len, taken)) < count:
        taken.append(np.array(order.sample(range(rows), rows), dtype=np.int64))
    return np.concatenate(taken)[:count]


def _interleaved(counts: Sequence[int], order: random.Random) -> NDArray[np.int64]:
    """Spreads every stream evenly over the whole, the places within a stream in an order of chance."""
    places = np.array([(index + order.random()) / part for part in counts for index in range(part)])
    return np.argsort(places, kind="stable")


def _starts(lengths: NDArray[np.int64], tokens: int, most: int | None) -> list[int]:
    """Where batches of about `tokens` tokens begin; of exactly `most` rows where that is given."""
    if most:
        return list(range(0, len(lengths), most))
    starts: list[int] = []
    used = 0
    for at, length in enumerate(lengths.tolist()):
        if not starts or used + length > tokens:
            starts.append(at)
            used = 0
        used += length
    return starts
