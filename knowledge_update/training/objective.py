"""The loss: cross-entropy at labelled positions, a prefix that all rows share computed once."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor


@dataclass(frozen=True)
class Batch:
    """Rows of similar length.

    Args:
        ids: Token ids without the shared prefix, padded at the right, (rows, length).
        labels: The same with -100 where nothing is learned, (rows, length).
        prefix: Token ids that stand before every row; empty where rows share none.
        weights: How much each row counts, (rows,).
        label_first: Labels of each row's first position, predicted at the end of the prefix.
    """

    ids: Tensor
    labels: Tensor
    prefix: tuple[int, ...] = ()

    @property
    def tokens(self) -> int:
        """Tokens that are computed, the prefix once."""
        return self.ids.numel() + len(self.prefix)

    @property
    def labelled(self) -> int:
        """Positions that are learned."""
        return int((self.labels[:, 1:] != -100).sum())


def loss_of(model: Any, batch: Batch) -> tuple[Tensor, int]:
    """The summed cross-entropy of a batch, and the number of labelled positions.

    Logits are computed only where there is a label: the vocabulary is the widest matmul of a small model. Rows are
    padded at the right and attention is causal, so no position sees padding and no mask is needed.

    Args:
        model: A causal language model of transformers, with its adapter.
        batch: The batch, on any device.
    """
    device = model.get_input_embeddings().weight.device
    ids, labels = batch.ids.to(device), batch.labels.to(device)
    cache, offset = _prefix_cache(model, batch.prefix, ids.shape[0], device)
    positions = torch.arange(offset, offset + ids.shape[1], device=device).unsqueeze(0)
    hidden = model.get_decoder()(
        input_ids=ids, position_ids=positions, past_key_values=cache, use_cache=cache is not None
    ).last_hidden_state
    learned = labels[:, 1:] != -100
    logits = model.get_output_embeddings()(hidden[:, :-1][learned])
    loss = torch.nn.functional.cross_entropy(logits.float(), labels[:, 1:][learned], reduction="sum")
    return loss, int(learned.sum())


def _prefix_cache(model: Any, prefix: tuple[int, ...], rows: int, device: torch.device) -> tuple[Any, int]:
    """Keys and values of the prefix, computed once and seen by every row; gradients flow through them."""
    if not prefix:
        return None, 0
    from transformers import DynamicCache

    ids = torch.tensor([prefix], device=device)
    single = model.get_decoder()(input_ids=ids, use_cache=True, past_key_values=DynamicCache()).past_key_values
    shared = DynamicCache()
    for index, layer in enumerate(single.layers):
        shared.update(layer.keys.expand(rows, -1, -1, -1), layer.values.expand(rows, -1, -1, -1), index)
    return shared, len(prefix)
