"""What is held out is never trained, whatever repeats; weights are how often rows are taken."""

from collections import Counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from knowledge_update.errors import ConfigError
from knowledge_update.training.held_out import split, weighted
from knowledge_update.training.rows import Encoded
from knowledge_update.training.tokenised import Origin, Writer, in_memory, packed
from knowledge_update.training_config import RowsConfig

ROWS = st.lists(st.tuples(st.integers(0, 6), st.integers(1, 3), st.integers(0, 2)), min_size=2, max_size=40)


def store(rows: list[tuple[int, int, int]]) -> Any:
    """Rows of (content, parts, file)."""

    def fill(writer: Writer) -> dict[str, Any]:
        for number, (content, parts, file) in enumerate(rows):
            for part in range(parts):
                ids = (number, content, part, 9)
                writer.add(packed(Encoded(ids, ids, False)), False, Origin(file, number, content))
        return {}

    return in_memory(fill)[0]


@given(ROWS, st.integers(1, 6), st.integers(0, 5))
def test_whatever_repeats_nothing_held_out_is_trained(rows: list[tuple[int, int, int]], size: int, seed: int) -> None:
    different = len({content for content, _, _ in rows})
    parts = store(rows)
    if size >= different:
        with pytest.raises(ConfigError):
            split(parts, RowsConfig(validation_size=size), seed)
        return
    found = split(parts, RowsConfig(validation_size=size), seed)
    contents = [{row.ids[1] for row in side} for side in (found.train, found.validation)]
    assert not contents[0] & contents[1] and contents[0] | contents[1] == {content for content, _, _ in rows}
    # As many rows as were asked for, each with all its parts.
    numbers = Counter(row.ids[0] for row in found.validation)
    assert len(numbers) == found.rows == size
    assert all(count == rows[number][1] for number, count in numbers.items())
    assert len({row.ids[0] for row in found.train}) + found.rows + found.copies == len(rows)


@given(ROWS, st.lists(st.sampled_from([0.25, 0.5, 1.0, 1.5, 2.0, 3.0]), min_size=3, max_size=3))
def test_whatever_the_weights_rows_are_taken_so_often(rows: list[tuple[int, int, int]], weights: list[float]) -> None:
    parts = store(rows)
    taken = Counter(row.ids for row in weighted(parts, weights, 0))
    for file, weight in enumerate(weights):
        counts = [taken[row.ids] for row in parts if rows[row.ids[0]][2] == file]
        assert sum(counts) == int(weight) * len(counts) + round((weight - int(weight)) * len(counts))
        assert all(int(weight) <= count <= int(weight) + 1 for count in counts)
