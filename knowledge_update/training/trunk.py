"""The trunk: the lowest layers, which training leaves as they are, computed once a row instead of once a step."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from knowledge_update.display import log, progress
from knowledge_update.training.objective import grouped, packs, states_of
from knowledge_update.training.rows import Encoded, lengths_of
from knowledge_update.workers import workers

# Beyond this the rows' states are not kept, and the lower layers are computed anew at every step.
LIMIT_BYTES = 4 * 2**30


def trunk_of(model: Any, depth: int, parts: Sequence[Sequence[Encoded]], prefix: Sequence[int]) -> "Trunk | None":
    """The trunk of a model with the rows read, or none where it would not save anything or the model cannot be cut.

    Args:
        model: A causal language model of transformers.
        depth: How many of its lowest layers are not trained.
        parts: All rows of the training.
        prefix: The ids that stand before rows marked as sharing them.
    """
    if not depth:
        return None
    tokens = sum(int(lengths_of(rows).sum()) for rows in parts)
    if tokens * model.config.get_text_config().hidden_size * model.dtype.itemsize > LIMIT_BYTES:
        log.info("%d tokens are too many to keep what the lower layers make of them: they are computed anew", tokens)
        return None
    rows = [row for part in parts for row in part]
    trunk = Trunk(model, depth, prefix)
    if not trunk.fits(model, rows[0]):
        log.info("this model's layers cannot be computed apart: the lower ones are computed at every step")
        return None
    trunk.read(rows)
    return trunk


class Trunk:
    """What comes out of a model's lowest layers, for rows that were read and for the prefix they share.

    Args:
        model: A causal language model of transformers.
        depth: How many layers belong to the trunk.
        prefix: The ids that stand before rows marked as sharing them.
    """

    def __init__(self, model: Any, depth: int, prefix: Sequence[int]) -> None:
        self.decoder = model.get_decoder()
        self._layers = getattr(self.decoder, "layers", None)
        self.depth = depth
        self.prefix = tuple(prefix)
        self.dtype = model.dtype
        self._known: dict[tuple[bool, tuple[int, ...]], Tensor] = {}
        self._head: Tensor | None = None

    def read(self, rows: Sequence[Encoded]) -> None:
        """Puts rows through the layers, each once, in packs that depend on nothing but the rows."""
        unknown = {_name(row): row for row in rows if _name(row) not in self._known}
        ordered = [unknown[name] for name in sorted(unknown)]
        groups = list(grouped(ordered))
        told = progress("Reading rows", len(ordered), "rows")
        with self._lower(), told as advance, workers(self.decoder.device.type) as hands:
            for group, done in zip(groups, [hands.start(self._take, group) for group in groups], strict=True):
                done.result()
                advance(len(group))

    @torch.no_grad()
    def _take(self, rows: Sequence[Encoded]) -> None:
        (pack,) = packs(rows, self.prefix, self.dtype)
        device = self.decoder.get_input_embeddings().weight.device
        hidden = self.decoder(
            input_ids=pack.ids.to(device), position_ids=pack.positions.to(device),
            attention_mask=pack.mask.to(device), use_cache=False,
        ).last_hidden_state[0]  # fmt: skip
        for row, places in zip(rows, pack.places, strict=True):
            first = len(self.prefix) if row.shared else 0
            if first:
                self._head = hidden[list(places[:first])]
            self._known[_name(row)] = hidden[list(places[first:])]

    def hidden(self, row: Encoded, start: int) -> Tensor:
        """The trunk's output for a row's tokens, its prefix and all, from a place on: (tokens, hidden)."""
        own = self._known[_name(row)]
        if not row.shared:
            return own[start:]
        assert self._head is not None, "a row with the prefix was read"
        if start >= len(self._head):
            return own[start - len(self._head) :]
        return torch.cat([self._head[start:], own])

    def fits(self, model: Any, row: Encoded) -> bool:
        """Whether the model's layers can be cut, and say the same of a row when they are computed in two parts."""
        if not all(isinstance(getattr(self.decoder, part, None), nn.Module) for part in ("layers", "norm")):
            return False
        self.read([row])
        (whole,), (parts,) = packs([row], self.prefix, self.dtype), packs([row], self.prefix, self.dtype, self.hidden)
        with torch.no_grad():
            expected = states_of(model, whole)
            with self.upper():
                found = states_of(model, parts)
        return torch.allclose(expected, found, rtol=1e-2, atol=1e-2)

    @contextmanager
    def _lower(self) -> Iterator[None]:
        """The decoder without what lies above the trunk."""
        layers, norm = self.decoder.layers, self.decoder.norm
        self.decoder.layers, self.decoder.norm = layers[: self.depth], nn.Identity()
        try:
            yield
        finally:
            self.decoder.layers, self.decoder.norm = layers, norm

    @contextmanager
    def upper(self) -> Iterator[None]:
        """The decoder without the trunk: it is given what the trunk puts out."""
        layers = self.decoder.layers
        self.decoder.layers = layers[self.depth :]
        try:
            yield
        finally:
            self.decoder.layers = layers

    @contextmanager
    def whole(self) -> Iterator[None]:
        """The decoder with all its layers while `upper` holds: by their numbers what is saved is named."""
        layers = self.decoder.layers
        self.decoder.layers = self._layers
        try:
            yield
        finally:
            self.decoder.layers = layers


def _name(row: Encoded) -> tuple[bool, tuple[int, ...]]:
    """What the trunk makes of a row depends on these alone."""
    return row.shared, row.ids
