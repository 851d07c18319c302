"""Dropout whose choice follows from what is computed, not from what was computed before it.

PyTorch's draws from one generator of the whole process: of two threads each draws what the other leaves, and a training
that goes on from its checkpoint would draw anew.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

# What this thread computes: step, part of the batch, pack. A GPU computes gradients in threads of its own, but has one
# part at a time: what was begun last is what they compute.
_here = threading.local()
_last: tuple[int, ...] = ()


@contextmanager
def drawn_for(*place: int) -> Iterator[None]:
    """Says what is computed: for the same place the same is left out, also when it is computed a second time."""
    global _last
    _last = _here.place = place
    try:
        yield
    finally:
        del _here.place


class SeededDropout(nn.Module):
    """Dropout (arXiv 1207.0580) that draws by the seed, the layer and the place that `drawn_for` names.

    Args:
        share: What is left out.
        seed: Of the training and the layer.
    """

    def __init__(self, share: float, seed: int) -> None:
        super().__init__()
        self.p = share
        self.seed = seed

    def forward(self, x: Tensor) -> Tensor:
        """Leaves out a share of the input and scales what is left."""
        if not self.training or not self.p:
            return x
        place = getattr(_here, "place", _last)
        generator = torch.Generator(x.device).manual_seed(hash((self.seed, *place)) & (2**63 - 1))
        kept = torch.rand(x.shape, generator=generator, device=x.device) >= self.p
        return x * kept.to(x.dtype).mul_(1 / (1 - self.p))


def seeded(model: Any, seed: int) -> int:
    """Puts `SeededDropout` in the place of every dropout of a model; returns how many."""
    found = [
        (parent, name, module.p)
        for parent in model.modules()
        for name, module in parent.named_children()
        if type(module) is nn.Dropout and module.p
    ]
    for number, (parent, name, share) in enumerate(found):
        parent._modules[name] = SeededDropout(share, hash((seed, number)))
    return len(found)
