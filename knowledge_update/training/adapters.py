"""The adapter that is trained: put on a base model, and its named tensors."""

from typing import Any

from knowledge_update.config import AdapterConfig
from knowledge_update.errors import ModelError
from knowledge_update.training.lora import fuse


def attach(model: Any, config: AdapterConfig, seed: int) -> Any:
    """Puts a fresh LoRA adapter on every linear layer but the output head.

    Args:
        model: The base model.
        config: Rank, α (2 r where none is given), dropout and targets.
        seed: Of the adapter's start.
    """
    import torch
    from peft import LoraConfig, get_peft_model

    torch.manual_seed(seed)
    alpha = config.alpha if config.alpha is not None else 2 * config.rank
    targets: Any = config.targets if config.targets == "all-linear" else config.targets.split(",")
    lora = LoraConfig(
        r=config.rank, lora_alpha=alpha, lora_dropout=config.dropout, target_modules=targets, task_type="CAUSAL_LM"
    )
    try:
        wrapped = get_peft_model(model, lora)
    except ValueError as error:
        raise ModelError(f"adapter.targets={config.targets}: {error}") from error
    fuse(wrapped)
    return wrapped


def trainable(model: Any) -> dict[str, Any]:
    """The tensors that are trained, by name."""
    return {name: parameter for name, parameter in model.named_parameters() if parameter.requires_grad}
