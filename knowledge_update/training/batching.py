"""The order of training: epochs of shuffled rows, cut into batches of similar length."""

import random
from collections.abc import Sequence
from dataclasses import dataclass

from knowledge_update.training.rows import Encoded

# Rows are sorted by length within windows of this many batches: little padding, and still a fresh mix every step.
WINDOW = 24


@dataclass(frozen=True)
class Streams:
    """Rows by what they are for."""

    questions: Sequence[Encoded]
    texts: Sequence[Encoded]
    replay: Sequence[Encoded]


def plan(
    streams: Streams, *, epochs: float, batch_rows: int, text_share: float, replay_share: float, seed: int
) -> list[list[Encoded]]:
    """Returns the batches of a whole training, in order; the same for the same seed.

    Args:
        streams: The rows. An epoch is every question once; texts and replay are drawn beside them.
        epochs: How many.
        batch_rows: Rows of a batch at most.
        text_share: Share of all rows that are plain texts.
        replay_share: Share of all rows that are general prompts.
        seed: Of the order.
    """
    order = random.Random(seed)
    main = streams.questions or streams.texts
    total = round(len(main) * epochs)
    rest = max(1e-9, 1 - (text_share if streams.texts else 0) - (replay_share if streams.replay else 0))
    rows = _cycled(main, total, order)
    extra = [
        *_cycled(streams.texts, round(total / rest * text_share), order),
        *_cycled(streams.replay, round(total / rest * replay_share), order),
    ]
    return _batches(_interleaved(rows, extra, order), batch_rows, order)


def _cycled(rows: Sequence[Encoded], count: int, order: random.Random) -> list[Encoded]:
    """`count` rows, each taken once before any is taken again."""
    taken: list[Encoded] = []
    while rows and len(taken) < count:
        taken.extend(order.sample(list(rows), len(rows)))
    return taken[:count]


def _interleaved(rows: list[Encoded], extra: list[Encoded], order: random.Random) -> list[Encoded]:
    """Spreads `extra` evenly over `rows`, in an order of chance."""
    places = [((index + order.random()) / len(part), row) for part in (rows, extra) for index, row in enumerate(part)]
    return [row for _, row in sorted(places, key=lambda place: place[0])]


def _batches(rows: list[Encoded], batch_rows: int, order: random.Random) -> list[list[Encoded]]:
    batches: list[list[Encoded]] = []
    window = batch_rows * WINDOW
    for start in range(0, len(rows), window):
        part = rows[start : start + window]
        cut: list[list[Encoded]] = []
        # Rows with and without the shared prefix never share a batch.
        for shared in (True, False):
            group = sorted((row for row in part if row.shared is shared), key=lambda row: len(row.ids))
            cut.extend(group[i : i + batch_rows] for i in range(0, len(group), batch_rows))
        order.shuffle(cut)
        batches.extend(cut)
    return batches
