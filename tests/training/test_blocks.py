"""What rows begin with alike stands in a sequence once; blocks open what its mask opens, and every token asks once."""

import torch

from knowledge_update.training.blocks import RUN, blocks_of
from knowledge_update.training.layout import laid

PREFIX = (7, 7, 7, 8)
ROWS = (
    (*PREFIX, 1, 2, 3, 4), (*PREFIX, 1, 2, 5), (*PREFIX, 9), PREFIX, (*PREFIX, 1, 2, 3, 4), (5, *range(3 * RUN)), (6,),
)  # fmt: skip


def test_a_beginning_stands_once_and_every_row_is_found_again() -> None:
    layout = laid(ROWS)
    assert len(layout.ids) == len({row[:length] for row in ROWS for length in range(1, len(row) + 1)})
    for row, places in zip(ROWS, layout.places, strict=True):
        assert tuple(layout.ids[place] for place in places) == row
        assert tuple(layout.positions[place] for place in places) == tuple(range(len(row)))
    added = [(ROWS[number][shared:], layout.ids[span.own.start : span.own.stop])
             for (number, shared), span in zip(layout.firsts, layout.spans, strict=True)]  # fmt: skip
    assert all(theirs == found for theirs, found in added)


def test_a_token_sees_what_stands_before_it_in_its_row() -> None:
    layout = laid(ROWS)
    open_ = layout.mask(torch.float32) == 0
    for places in layout.places:
        for at, place in enumerate(places):
            assert open_[place].nonzero().flatten().tolist() == sorted(places[: at + 1])


def test_blocks_open_what_the_mask_opens() -> None:
    layout = laid(ROWS)
    length = len(layout.ids)
    opened = torch.zeros(length, length, dtype=torch.bool)
    asked: list[int] = []
    for block in blocks_of(layout, torch.float32):
        assert block.padded == bool((block.queries == length).any())
        for queries, keys, mask in zip(block.queries, block.keys, block.mask, strict=True):
            for place, scores in zip(queries.tolist(), mask, strict=True):
                if place < length:
                    asked.append(place)
                    opened[place, keys[scores == 0]] = True
    assert sorted(asked) == list(range(length))
    assert torch.equal(opened, layout.mask(torch.float32) == 0)


def test_rows_of_like_length_stand_together_and_a_long_row_wastes_little() -> None:
    alike = [(*PREFIX, number, *range(20 + number)) for number in range(8)]
    blocks = blocks_of(laid(alike), torch.float32)
    assert [block.queries.shape[0] for block in blocks] == [8]
    (whole,) = [tuple(range(4 * RUN))]
    computed = sum(block.mask.numel() for block in blocks_of(laid([whole]), torch.float32))
    assert computed < 0.7 * len(whole) ** 2
