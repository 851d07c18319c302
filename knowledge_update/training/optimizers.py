"""Optimizers by name."""

from collections.abc import Iterable
from typing import Any

from knowledge_update.config import OptimizerConfig


def optimizer_for(config: OptimizerConfig, parameters: Iterable[Any]) -> Any:
    """AdamW (arXiv 1711.05101); on the adapter's own fp32 weights, so that small updates are not lost."""
    import torch

    return torch.optim.AdamW(
        parameters, lr=config.learning_rate, betas=(config.betas[0], config.betas[1]), eps=config.eps,
        weight_decay=config.weight_decay, fused=True,
    )  # fmt: skip
