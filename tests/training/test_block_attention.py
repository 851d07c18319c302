"""Attention in blocks is attention under the mask, forth and back."""

import torch

from knowledge_update.training.block_attention import attend, attend_backward
from knowledge_update.training.blocks import blocks_of
from knowledge_update.training.layout import laid


def test_what_is_mixed_and_its_gradient_are_those_under_the_mask() -> None:
    torch.manual_seed(0)
    layout = laid([(1, 2, 3, 4, 5), (1, 2, 6), (1, 2, 3, 7, 8, 9, 9, 9), (4,), tuple(range(20, 160))])
    tokens, queries, groups, size, scaling = len(layout.ids), 6, 2, 8, 0.3
    heads = torch.randn(tokens, queries + 2 * groups, size, requires_grad=True)
    blocks = blocks_of(layout, torch.float32)
    assert len(blocks) > 1 and any(block.padded for block in blocks)
    mixed, weights = attend(heads.detach(), blocks, queries, scaling)

    query, key, value = heads.transpose(0, 1).split((queries, groups, groups))
    key, value = (part.repeat_interleave(queries // groups, 0) for part in (key, value))
    scores = query @ key.transpose(1, 2) * scaling + layout.mask(torch.float32)
    expected = (scores.softmax(-1) @ value).transpose(0, 1).flatten(1)
    torch.testing.assert_close(mixed, expected.detach(), rtol=1e-4, atol=1e-5)

    grad = torch.randn_like(expected)
    expected.backward(grad)
    found = attend_backward(grad, heads.detach(), weights, blocks, scaling)
    torch.testing.assert_close(found, heads.grad, rtol=1e-4, atol=1e-5)
