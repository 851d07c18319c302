"""Log-probabilities of a few tokens out of a large vocabulary, without ever holding what all tokens score."""

from typing import Any

import torch
from torch import Tensor

# Columns of the vocabulary that are computed at once: their weights and scores stay in the processor's cache.
COLUMNS = 4096


class LogSumExp(torch.autograd.Function):
    """log Σ exp(x Wᵀ) of every row of x, for a frozen W, with its gradient computed on the way."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor) -> Tensor:
        """Goes through the vocabulary once (the running maximum of arXiv 2205.14135).

        Args:
            ctx: Holds what backward needs.
            x: States, (labels, hidden).
            weight: Of the output head, (vocabulary, hidden).
        """
        needed = ctx.needs_input_grad[0]
        highest = x.new_full((len(x), 1), -torch.inf, dtype=torch.float32)
        total = torch.zeros_like(highest)
        mean = torch.zeros(x.shape, dtype=torch.float32, device=x.device)
        for part in torch.split(weight, COLUMNS):
            scores = (x @ part.t()).float()
            higher = torch.maximum(highest, scores.amax(1, keepdim=True))
            shrunk = (highest - higher).exp_()
            scores.sub_(higher).exp_()
            total.mul_(shrunk).add_(scores.sum(1, keepdim=True))
            if needed:
                mean.mul_(shrunk).add_(scores.to(part.dtype) @ part)
            highest = higher
        if needed:
            ctx.save_for_backward(mean.div_(total).to(x.dtype))
        return highest.add_(total.log_()).squeeze(1)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        """The gradient is the mean of W's rows, weighed by their probabilities."""
        (mean,) = ctx.saved_tensors
        return mean * grad[:, None].to(mean.dtype), None


def log_probabilities(x: Tensor, weight: Tensor, targets: Tensor) -> Tensor:
    """Of the candidates for each label, (labels, k).

    Args:
        x: States, (labels, hidden).
        weight: Of the output head, (vocabulary, hidden); not trained.
        targets: Candidates, (labels, k).
    """
    chosen = torch.matmul(weight[targets], x[:, :, None]).squeeze(2).float()
    total: Tensor = LogSumExp.apply(x, weight)  # type: ignore[no-untyped-call]
    return chosen - total[:, None]
