"""The adapter that is trained: put on a base model, and its named tensors."""

from pathlib import Path
from typing import Any

from knowledge_update.config import AdapterConfig
from knowledge_update.errors import ModelError
from knowledge_update.training.lora import fuse


def attach(model: Any, config: AdapterConfig, seed: int) -> Any:
    """Puts a fresh LoRA adapter on every linear map of the upper layers; the output head stays as it is.

    Args:
        model: The base model.
        config: Rank, α (2 r where none is given), dropout, targets, and the share of the layers.
        seed: Of the adapter's start.
    """
    import torch
    from peft import LoraConfig, get_peft_model

    torch.manual_seed(seed)
    alpha = config.alpha if config.alpha is not None else 2 * config.rank
    below = untrained_layers(model, config)
    targets: Any = config.targets if config.targets == "all-linear" else config.targets.split(",")
    # Architectures name their layers differently; in all of them a layer's number is the first in a module's name.
    lower = rf"\D*\.(?:{'|'.join(map(str, range(below)))})\..*" if below else None
    lora = LoraConfig(
        r=config.rank, lora_alpha=alpha, lora_dropout=config.dropout, target_modules=targets, task_type="CAUSAL_LM",
        exclude_modules=lower,
    )  # fmt: skip
    try:
        wrapped = get_peft_model(model, lora)
    except ValueError as error:
        raise ModelError(f"adapter.targets={config.targets}: {error}") from error
    fuse(wrapped)
    return wrapped


def untrained_layers(model: Any, config: AdapterConfig) -> int:
    """How many of a model's lowest layers get no adapter."""
    layers = int(model.config.num_hidden_layers)
    return layers - max(1, round(layers * config.upper_share))


def restore(model: Any, folder: Path) -> None:
    """Gives what is trained the values that were saved in a folder."""
    from safetensors.torch import load_file

    stored = load_file(folder / "adapter_model.safetensors")
    for name, tensor in trainable(model).items():
        tensor.data.copy_(stored[name.replace(".default.", ".")])


def trainable(model: Any) -> dict[str, Any]:
    """The tensors that are trained, by name."""
    return {name: parameter for name, parameter in model.named_parameters() if parameter.requires_grad}
