"""Our attention is transformers' plain one."""

from typing import Any

import pytest
import torch
from transformers.models.llama.modeling_llama import eager_attention_forward

from knowledge_update.attention import grouped_attention, register


class Layer(torch.nn.Module):
    num_key_value_groups = 3


@pytest.mark.parametrize("masked", [True, False])
@pytest.mark.parametrize("queries", [1, 7])
def test_it_is_the_plain_attention(queries: int, masked: bool) -> None:
    torch.manual_seed(1)
    query = torch.randn(2, 6, queries, 8, requires_grad=True)
    key, value = torch.randn(2, 2, 2, 9, 8).unbind(0)
    mask = torch.zeros(2, 1, queries, 9).masked_fill(torch.rand(2, 1, queries, 9) < 0.3, -1e9) if masked else None
    layer: Any = Layer().eval()
    expected, _ = eager_attention_forward(layer, query, key, value, mask, 0.35)
    found, _ = grouped_attention(layer, query, key, value, mask, 0.35)
    torch.testing.assert_close(found, expected)
    gradients = [torch.autograd.grad(out.square().sum(), query)[0] for out in (expected, found)]
    torch.testing.assert_close(*gradients)


def test_transformers_knows_it() -> None:
    from transformers import AttentionInterface

    assert AttentionInterface()[register()] is grouped_attention
