"""How often rows are asked, and that an epoch asks each of them once."""

from collections import Counter

import pytest

from knowledge_update.training.batching import EPOCHS, MOST_EPOCHS, Streams, epochs_of, plan
from knowledge_update.training.rows import Encoded
from knowledge_update.training_config import TrainingConfig


def rows(count: int, first: int = 0) -> list[Encoded]:
    return [Encoded((number, 1), (number, 1), False) for number in range(first, first + count)]


@pytest.mark.parametrize(
    ("count", "epochs"),
    [
        (5000, EPOCHS),
        (1000, EPOCHS),
        (250, 2 * EPOCHS),
        (100, 3.16 * EPOCHS),
        (5, MOST_EPOCHS),
    ],
)
def test_few_rows_are_asked_more_often(count: int, epochs: float) -> None:
    assert epochs_of(Streams(rows(count), [], []), TrainingConfig()) == pytest.approx(epochs, abs=0.05)


def test_the_number_the_user_names_is_taken() -> None:
    streams = Streams(rows(10), [], [])
    assert epochs_of(streams, TrainingConfig(epochs=1.5)) == 1.5
    counts = Counter(row.ids[0] for batch in plan(streams, TrainingConfig(epochs=1.5), seed=0) for row in batch)
    assert sorted(counts) == list(range(10))
    assert sorted(counts.values()) == [1] * 5 + [2] * 5


def test_streams_have_their_shares() -> None:
    streams = Streams(rows(63), rows(40, first=100), rows(50, first=200))
    config = TrainingConfig(epochs=1.0, text_share=0.12, replay_share=0.25)
    drawn = Counter(row.ids[0] // 100 for batch in plan(streams, config, seed=0) for row in batch)
    assert drawn == {0: 63, 1: 12, 2: 25}


def test_texts_alone_are_taught() -> None:
    streams = Streams([], rows(10), [])
    drawn = [row for batch in plan(streams, TrainingConfig(epochs=2.0, text_share=0.0), seed=0) for row in batch]
    assert len(drawn) == 20
