"""Attention on a CPU: plain matmuls, keys and values never copied for the query heads that share them."""

from typing import Any

import torch
from torch import Tensor

NAME = "grouped"


def grouped_attention(
    module: Any, query: Tensor, key: Tensor, value: Tensor, attention_mask: Tensor | None, scaling: float, **_: Any
) -> tuple[Tensor, None]:
    """Grouped-query attention (arXiv 2305.13245) with the query heads of a group stacked as rows of one product.

    transformers' own plain attention repeats keys and values for every query head, which at every token of an answer
    moves a long passage through memory three times.

    Args:
        module: The attention layer.
        query: (batch, heads, queries, size).
        key: (batch, groups, keys, size).
        value: (batch, groups, keys, size).
        attention_mask: What is added to scores, (batch or 1, 1, queries, keys), or none.
        scaling: What scores are multiplied by.

    Returns:
        The mixed values, (batch, queries, heads, size), and no weights.
    """
    batch, heads, queries, size = query.shape
    groups, keys = key.shape[1], key.shape[2]
    stacked = query.reshape(batch, groups, heads // groups * queries, size)
    scores = torch.matmul(stacked * scaling, key.transpose(2, 3)).view(batch, groups, -1, queries, keys)
    if attention_mask is not None:
        scores = scores + attention_mask[:, :, None]
    weights = torch.softmax(scores, dim=-1, dtype=torch.float32).to(query.dtype)
    mixed = torch.matmul(weights.view(batch, groups, -1, keys), value)
    return mixed.view(batch, heads, queries, size).transpose(1, 2).contiguous(), None


def register() -> str:
    """Makes the function known to transformers; returns the name to ask for it by."""
    from transformers import AttentionInterface
    from transformers.masking_utils import AttentionMaskInterface, eager_mask

    AttentionInterface.register(NAME, grouped_attention)
    AttentionMaskInterface.register(NAME, eager_mask)
    return NAME
