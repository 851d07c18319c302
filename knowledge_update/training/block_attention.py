"""Grouped-query attention (arXiv 2305.13245) in blocks, and the way back by hand.

Queries, keys and values of a token stand side by side as its heads, (tokens, heads + 2 · groups, size). The query heads
of a group are rows of one product.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from knowledge_update.training.blocks import Block


def attend(heads: Tensor, blocks: Sequence[Block], queries: int, scaling: float) -> tuple[Tensor, list[Tensor]]:
    """What attention mixes, (tokens, queries · size), and its weights by block.

    Args:
        heads: Of every token.
        blocks: Which tokens see which.
        queries: How many heads are queries.
        scaling: What scores are multiplied by.
    """
    tokens, size = len(heads), heads.shape[2]
    # One place more, for padding.
    mixed = heads.new_empty(tokens + 1, queries, size)
    found = []
    for block in blocks:
        query, key, value = _gathered(heads, block, queries, scaling)
        scores = torch.matmul(query, key.transpose(1, 2))
        shape = (*block.mask.shape[:1], -1, *block.mask.shape[1:])
        scores.view(shape).add_(block.mask[:, None])
        weights = torch.softmax(scores, dim=-1, dtype=torch.float32).to(heads.dtype)
        mixed.index_copy_(0, block.queries.flatten(), _by_token(torch.matmul(weights, value), block.queries, queries))
        found.append(weights)
    return mixed[:tokens].flatten(1), found


def attend_backward(
    grad: Tensor, heads: Tensor, weights: Sequence[Tensor], blocks: Sequence[Block], scaling: float
) -> Tensor:
    """The gradient of every token's heads.

    Args:
        grad: Of what was mixed, (tokens, queries · size).
        heads: As they were given to `attend`.
        weights: What it returned.
        blocks: Which tokens see which.
        scaling: What scores are multiplied by.
    """
    tokens, count, size = heads.shape
    queries = grad.shape[1] // size
    groups = (count - queries) // 2
    found = torch.empty(tokens + 1, count, size, dtype=heads.dtype)
    # Apart, since adding to rows that do not lie together in memory takes ten times as long.
    found_seen = torch.zeros(tokens, 2 * groups, size, dtype=heads.dtype)
    given = torch.cat([grad, grad.new_zeros(1, grad.shape[1])]).view(tokens + 1, queries, size)
    for block, weight in zip(blocks, weights, strict=True):
        query, key, value = _gathered(heads, block, queries, scaling)
        own = _by_group(_taken(given, block.queries), groups)
        grad_value = torch.matmul(weight.transpose(1, 2), own)
        grad_weight = torch.matmul(own, value.transpose(1, 2))
        grad_scores = torch._softmax_backward_data(grad_weight, weight, -1, weight.dtype)
        grad_query = torch.matmul(grad_scores, key).mul_(scaling)
        grad_key = torch.matmul(grad_scores.transpose(1, 2), query)
        found[:, :queries].index_copy_(0, block.queries.flatten(), _by_token(grad_query, block.queries, queries))
        seen = torch.cat([_by_token(part, block.keys, groups) for part in (grad_key, grad_value)], dim=1)
        found_seen.index_add_(0, block.keys.flatten(), seen)
    found[:tokens, queries:] = found_seen
    return found[:tokens]


def _gathered(heads: Tensor, block: Block, queries: int, scaling: float) -> tuple[Tensor, Tensor, Tensor]:
    """A block's queries, scaled, its keys and its values, (rows · groups, …, size)."""
    groups = (heads.shape[1] - queries) // 2
    # Padding reads the last token; what comes of it is written nowhere.
    places = block.queries.clamp(max=len(heads) - 1) if block.padded else block.queries
    query = _by_group(_taken(heads[:, :queries], places), groups).mul_(scaling)
    seen = _taken(heads[:, queries:], block.keys)
    key, value = (part.transpose(1, 2).flatten(0, 1) for part in seen.chunk(2, dim=2))
    return query, key, value


def _taken(heads: Tensor, places: Tensor) -> Tensor:
    """`heads[places]`, which takes three times as long."""
    return heads.index_select(0, places.flatten()).view(*places.shape, *heads.shape[1:])


def _by_group(heads: Tensor, groups: int) -> Tensor:
    """(rows, tokens, heads, size) as (rows · groups, heads of a group · tokens, size)."""
    rows, tokens, count, size = heads.shape
    stacked = heads.view(rows, tokens, groups, count // groups, size).permute(0, 2, 3, 1, 4)
    return stacked.reshape(rows * groups, -1, size)


def _by_token(stacked: Tensor, places: Tensor, heads: int) -> Tensor:
    """The way back: (rows · tokens, heads, size)."""
    rows, tokens = places.shape
    groups = len(stacked) // rows
    parts = stacked.view(rows, groups, -1, tokens, stacked.shape[2]).permute(0, 3, 1, 2, 4)
    return parts.reshape(rows * tokens, heads, -1)
