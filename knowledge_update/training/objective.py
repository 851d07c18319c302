"""The loss: cross-entropy at labelled positions, and how far a row strays from its teacher.

Rows are packed without padding, the prefix they share is computed once.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from knowledge_update.training.blocks import Block, blocks_of
from knowledge_update.training.head import log_probabilities
from knowledge_update.training.layers import takes_blocks
from knowledge_update.training.layout import Layout, laid
from knowledge_update.training.rows import IGNORED, Encoded

# What the layers below the trained ones put out for a row's tokens from one on, the prefix counted, (tokens, hidden).
Hidden = Callable[[Encoded, int], Tensor]

# Attention in a pack grows with the square of its length: longer batches are computed as several packs. Where it goes
# in blocks it does not, and what they keep for the gradient is the limit.
PACK_TOKENS, BLOCKS_TOKENS = 512, 768


@dataclass(frozen=True)
class Pack:
    """Rows laid into one sequence, what several begin with only once; every row sees itself alone.

    Args:
        ids: Token ids, (1, length).
        positions: The position each token has in its own row, (1, length).
        places: Where each row's tokens are, those of the prefix too.
        mask: What is added to attention scores, (1, 1, length, length).
        blocks: The same for layers that compute no score which it would close.
        learned: Indices whose next token is learned, (labels,).
        targets: Candidates for those next tokens, (labels, k); k is 1 where all labels are hard.
        weights: The probability of each candidate, times what its row counts, (labels, k).
        rest: The probability of all other tokens together, times what its row counts, (labels,).
        anchored: Indices of the tokens whose states have a teacher, (anchored,).
        anchors: The teacher's states there, (anchored, hidden).
        pulls: How much straying from them counts, (anchored,).
        hidden: What the lower layers put out for the ids, (1, length, hidden), where that is known.
    """

    ids: Tensor
    positions: Tensor
    places: tuple[tuple[int, ...], ...]
    mask: Tensor
    blocks: list[Block]
    learned: Tensor
    targets: Tensor
    weights: Tensor
    rest: Tensor
    anchored: Tensor
    anchors: Tensor
    pulls: Tensor
    hidden: Tensor | None = None

    @property
    def counted(self) -> float:
        """What the labels count together."""
        return float(self.weights.sum() + self.rest.sum())


def packs(
    rows: Sequence[Encoded],
    prefix: Sequence[int],
    dtype: torch.dtype,
    hidden: Hidden | None = None,
    most: int = PACK_TOKENS,
) -> Iterator[Pack]:
    """Lays rows into packs of at most so many tokens; a longer row has one to itself."""
    return (_pack(group, prefix, dtype, hidden) for group in grouped(rows, most))


def most_tokens(model: Any) -> int:
    """How many tokens a pack of this model's training should have at most."""
    return BLOCKS_TOKENS if takes_blocks(model) else PACK_TOKENS


def grouped(rows: Sequence[Encoded], most: int = PACK_TOKENS) -> Iterator[list[Encoded]]:
    """Cuts rows into groups of at most so many tokens; a longer row is one by itself."""
    group: list[Encoded] = []
    used = 0
    for row in rows:
        if group and used + len(row.ids) > most:
            yield group
            group, used = [], 0
        group.append(row)
        used += len(row.ids)
    if group:
        yield group


def _pack(rows: Sequence[Encoded], prefix: Sequence[int], dtype: torch.dtype, hidden: Hidden | None) -> Pack:
    # The last token is only predicted, never read.
    layout = laid([(*(prefix if row.shared else ()), *row.ids[:-1]) for row in rows])
    learned: list[int] = []
    targets: list[Tensor] = []
    weights: list[Tensor] = []
    rest: list[Tensor] = []
    anchored: list[int] = []
    for row, places in zip(rows, layout.places, strict=True):
        own = places[len(prefix) if row.shared else 0 :]
        labels = [(place, label) for place, label in zip(own, row.labels[1:], strict=True) if label != IGNORED]
        learned.extend(place for place, _ in labels)
        hard = torch.tensor([label for _, label in labels]).unsqueeze(1)
        probabilities = row.opinion.probabilities if row.opinion else torch.ones(hard.shape)
        targets.append(row.opinion.ids if row.opinion else hard)
        weights.append(probabilities * row.weight)
        rest.append((1 - probabilities.sum(1)).clamp(min=0) * row.weight)
        anchored.extend(own if row.opinion and len(row.opinion.states) else ())
    opinions = [(row.opinion, row.weight) for row in rows if row.opinion and len(row.opinion.states)]
    anchors = [opinion.states for opinion, _ in opinions]
    pulls = [torch.full((len(opinion.states),), opinion.pull * weight) for opinion, weight in opinions]
    return Pack(
        torch.tensor([layout.ids]), torch.tensor([layout.positions]), layout.places, layout.mask(dtype)[None, None],
        blocks_of(layout, dtype), torch.tensor(learned), _joined(targets), _joined(weights), torch.cat(rest),
        torch.tensor(anchored, dtype=torch.long), _stacked(anchors), _stacked(pulls),
        _below(rows, layout, hidden) if hidden else None,
    )  # fmt: skip


def _below(rows: Sequence[Encoded], layout: Layout, hidden: Hidden) -> Tensor:
    """What the layers below put out for a sequence, (1, length, hidden)."""
    return torch.cat([hidden(rows[number], shared) for number, shared in layout.firsts])[None]


def _joined(parts: Sequence[Tensor]) -> Tensor:
    """Parts of different k below one another, (labels, k), filled up with zeros."""
    width = max(part.shape[1] for part in parts)
    return torch.cat([torch.nn.functional.pad(part, (0, width - part.shape[1])) for part in parts])


def _stacked(parts: Sequence[Tensor]) -> Tensor:
    return torch.cat(list(parts)) if parts else torch.empty(0)


def loss_of(model: Any, pack: Pack) -> Tensor:
    """What a pack's rows miss, summed: cross-entropy at their labels, and straying from a teacher's states.

    Args:
        model: A causal language model of transformers, with its adapter.
        pack: The rows.
    """
    states = states_of(model, pack, torch.unique(torch.cat([pack.learned, pack.anchored])))
    return _cross_entropy(_log_probabilities(model, states, pack), pack) + _straying(states, pack)


def _log_probabilities(model: Any, states: Tensor, pack: Pack) -> Tensor:
    """Of the candidates at every label, (labels, k)."""
    head, targets = model.get_output_embeddings(), pack.targets.to(states.device)
    if type(head) is torch.nn.Linear and head.bias is None and not head.weight.requires_grad:
        return log_probabilities(states[pack.learned.to(states.device)], head.weight, targets)
    return torch.log_softmax(logits_of(model, states, pack).float(), dim=-1).gather(1, targets)


def _cross_entropy(chosen: Tensor, pack: Pack) -> Tensor:
    """With the one label or, where there is a teacher, with its probabilities.

    Of a teacher only the likeliest tokens are known; all others count as one, so that a model that agrees with its
    teacher has no gradient.
    """
    device = chosen.device
    loss = -(chosen * pack.weights.to(device)).sum()
    soft = pack.rest > 0
    if soft.any():
        inside = torch.logsumexp(chosen[soft.to(device)], dim=1).clamp(max=-1e-6)
        loss = loss - (torch.log(-torch.expm1(inside)) * pack.rest[soft].to(device)).sum()
    return loss


def _straying(states: Tensor, pack: Pack) -> Tensor:
    """The squared distance from the teacher's states as a share of their own square (after arXiv 1607.00122)."""
    if not len(pack.anchored):
        return states.new_zeros(())
    device = states.device
    anchors = pack.anchors.to(device).float()
    away = (states[pack.anchored.to(device)].float() - anchors).square().sum(1) / anchors.square().sum(1)
    return (away * pack.pulls.to(device)).sum()


def states_of(model: Any, pack: Pack, used: Tensor | None = None) -> Tensor:
    """What the last layer puts out for a pack, (length, hidden).

    Args:
        model: A causal language model of transformers.
        pack: The rows.
        used: The tokens of which that is read, where not all are: of the others it need not be right.
    """
    device = model.get_input_embeddings().weight.device
    given = {"input_ids": pack.ids} if pack.hidden is None else {"inputs_embeds": pack.hidden}
    given |= {"position_ids": pack.positions, "attention_mask": pack.mask}
    read = {name: tensor.to(device) for name, tensor in given.items()}
    more = {"blocks": pack.blocks, "used": used} if takes_blocks(model) else {}
    states: Tensor = model.get_decoder()(**read, **more, use_cache=False).last_hidden_state[0]
    return states


def logits_of(model: Any, states: Tensor, pack: Pack) -> Tensor:
    """Logits at the learned positions of a pack, (labels, vocabulary); elsewhere the widest matmul is left out."""
    logits: Tensor = model.get_output_embeddings()(states[pack.learned.to(states.device)])
    return logits
