"""The order of training: epochs of shuffled rows, streams interleaved, cut into batches of equal work."""

import math
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, count

from knowledge_update.config import TrainingConfig
from knowledge_update.training.rows import Encoded

# Measured (benchmarks/LOG.md): what a thousand questions learn in two to three epochs, 300 learn in six or seven. What
# matters is how often the optimizer steps; the steps a training needs grow with the root of its questions.
EPOCHS, ENOUGH_ROWS, MOST_EPOCHS = 2.6, 1000, 20.0


@dataclass(frozen=True)
class Streams:
    """Rows by what they are for."""

    questions: Sequence[Encoded]
    texts: Sequence[Encoded]
    replay: Sequence[Encoded]

    @property
    def taught(self) -> Sequence[Encoded]:
        """What an epoch is counted in: the questions, or the texts where there are none."""
        return self.questions or self.texts


def epochs_of(streams: Streams, config: TrainingConfig) -> float:
    """How often every question is asked: as configured, or by how many there are."""
    if config.epochs is not None:
        return config.epochs
    return round(min(MOST_EPOCHS, EPOCHS * math.sqrt(max(1.0, ENOUGH_ROWS / len(streams.taught)))), 1)


def endless(streams: Streams, config: TrainingConfig, seed: int) -> Iterator[list[Encoded]]:
    """Yields the batches of a training that only time ends: plans in other orders, one after another."""
    return chain.from_iterable(plan(streams, config, seed + again) for again in count())


def steps_an_epoch(streams: Streams, config: TrainingConfig, steps: int) -> int:
    """How many of a plan's steps make one pass over what is taught."""
    return max(1, round(steps / epochs_of(streams, config)))


def plan(streams: Streams, config: TrainingConfig, seed: int) -> list[list[Encoded]]:
    """Returns the batches of a whole training, in order; the same for the same seed.

    Args:
        streams: The rows. An epoch is every question once; texts and replay are drawn beside them.
        config: Epochs, shares of the streams, and the size of a batch.
        seed: Of the order.
    """
    order = random.Random(seed)
    text_share = config.text_share if streams.texts else 0.0
    replay_share = config.replay_share if streams.replay else 0.0
    total = round(len(streams.taught) * epochs_of(streams, config))
    each = total / (1 - text_share - replay_share)
    parts = (
        _cycled(streams.taught, total, order),
        _cycled(streams.texts, round(each * text_share), order),
        _cycled(streams.replay, round(each * replay_share), order),
    )
    most = config.batch_rows and config.batch_rows * config.accumulation
    return _batches(_interleaved(parts, order), config.batch_tokens * config.accumulation, most)


def _cycled(rows: Sequence[Encoded], count: int, order: random.Random) -> list[Encoded]:
    """`count` rows, each taken once before any is taken again."""
    taken: list[Encoded] = []
    while rows and len(taken) < count:
        taken.extend(order.sample(list(rows), len(rows)))
    return taken[:count]


def _interleaved(parts: Sequence[Sequence[Encoded]], order: random.Random) -> list[Encoded]:
    """Spreads every stream evenly over the whole, the places within a stream in an order of chance."""
    places = [((index + order.random()) / len(part), row) for part in parts for index, row in enumerate(part)]
    return [row for _, row in sorted(places, key=lambda place: place[0])]


def _batches(rows: Sequence[Encoded], tokens: int, most: int | None) -> list[list[Encoded]]:
    """Cuts rows into batches of about `tokens` tokens; of exactly `most` rows where that is given."""
    batches: list[list[Encoded]] = []
    used = 0
    for row in rows:
        full = len(batches[-1]) >= most if most and batches else used + len(row.ids) > tokens
        if not batches or full:
            batches.append([])
            used = 0
        batches[-1].append(row)
        used += len(row.ids)
    return batches
