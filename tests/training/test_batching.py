"""How often rows are asked, and that an epoch asks each of them once."""

import hashlib
from collections import Counter
from dataclasses import replace
from itertools import chain, islice

import pytest

from knowledge_update.training.batching import EPOCHS, MOST_EPOCHS, Streams, endless, epochs_of, plan
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


def digest(streams: Streams, config: TrainingConfig, seed: int) -> str:
    order = [[row.ids[0] for row in batch] for batch in plan(streams, config, seed)]
    return hashlib.sha256(repr(order).encode()).hexdigest()[:16]


def test_what_is_unknown_takes_its_place_among_the_questions() -> None:
    streams = Streams(rows(1000), rows(40, 2000), rows(50, 3000), rows(20, 4000))
    without = replace(streams, unknown=[])
    assert epochs_of(without, TrainingConfig()) == EPOCHS
    assert epochs_of(streams, TrainingConfig()) == pytest.approx(EPOCHS * 58 / 63, abs=0.05)
    # As many steps as without them.
    steps = [len(plan(parts, TrainingConfig(batch_rows=10), seed=0)) for parts in (streams, without)]
    assert steps[0] == pytest.approx(steps[1], rel=0.01)


def test_without_a_share_of_what_is_unknown_the_order_is_what_it_was_before_there_was_one() -> None:
    config = TrainingConfig(epochs=2.3, batch_tokens=11)
    other = TrainingConfig(epochs=9.8, batch_rows=3, text_share=0.2)
    for unknown in ([], rows(7, first=300)):
        none = Streams(rows(63), rows(40, 100), rows(50, 200), unknown)
        assert digest(none, replace(config, unknown_share=0.0), 5) == "98ea8c9c45a6099a"
        none = Streams([], rows(70), rows(9, 100), unknown)
        assert digest(none, replace(other, unknown_share=0.0), 1) == "490b7d0ce743a1e0"
    # Nor is there a share where there are no rows.
    wanted = TrainingConfig(epochs=2.3, batch_tokens=11, unknown_share=0.2)
    assert digest(Streams(rows(63), rows(40, 100), rows(50, 200)), wanted, 5) == "98ea8c9c45a6099a"


def test_what_is_unknown_has_its_share_in_every_part_of_a_training() -> None:
    streams = Streams(rows(53), rows(40, first=100), rows(50, first=200), rows(20, first=300))
    config = TrainingConfig(epochs=8.0, text_share=0.12, replay_share=0.25, unknown_share=0.1, batch_rows=10)
    batches = list(plan(streams, config, seed=0))
    assert len(batches) == 80
    for drawn in (batches, list(islice(endless(streams, config, seed=1), 160))):
        for start in range(0, len(drawn), 10):
            part = Counter(row.ids[0] // 100 for row in chain.from_iterable(drawn[start : start + 10]))
            assert part == pytest.approx({0: 53, 1: 12, 2: 25, 3: 10}, abs=2)
    assert set(Counter(row.ids[0] for row in chain.from_iterable(batches) if row.ids[0] >= 300).values()) == {4}


def test_texts_alone_are_taught() -> None:
    streams = Streams([], rows(10), [])
    drawn = [row for batch in plan(streams, TrainingConfig(epochs=2.0, text_share=0.0), seed=0) for row in batch]
    assert len(drawn) == 20
