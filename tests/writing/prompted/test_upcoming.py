"""Documents are read ahead as far as is needed to know the end, and no further."""

from collections.abc import Iterator
from typing import Any

import pytest

from knowledge_update.writing.prompted.upcoming import Upcoming


@pytest.mark.parametrize("sizes", [[], [3], [0, 0, 2], [2] * 9, [1, 7, 1, 1, 5]])
@pytest.mark.parametrize("ahead", [1, 4, 100])
def test_all_documents_come_in_order_and_the_rest_is_known_up_to_what_is_read_ahead(
    sizes: list[int], ahead: int
) -> None:
    taken = 0

    def documents() -> Iterator[Any]:
        nonlocal taken
        for number, size in enumerate(sizes):
            taken += 1
            yield number, [None] * size

    upcoming = Upcoming(documents(), ahead)
    assert taken == 0
    seen = []
    for document, passages in upcoming:
        left = sum(sizes[len(seen) + 1 :])
        assert len(passages) == sizes[len(seen)]
        seen.append(document)
        assert min(upcoming.passages, ahead) == min(left, ahead)
        # Behind the one that was taken no more than is needed, but always one document to go on with.
        assert taken <= len(seen) + 1 or sum(sizes[len(seen) : taken - 1]) < ahead
    assert seen == list(range(len(sizes)))
