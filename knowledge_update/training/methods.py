"""What of a model is trained: a LoRA adapter on its linear maps, or its own weights; and how either is kept.

`attach` makes a model ready, `trainable` names what changes, `save` writes it. The base model may be held in 4 or 8
bits (`quantisation`): then it is QLoRA.
"""

import math
import re
from pathlib import Path
from typing import Any

from knowledge_update import quantisation
from knowledge_update.adapters import adapter_base, adapter_shapes, load_adapter
from knowledge_update.config import Config
from knowledge_update.display import log
from knowledge_update.errors import ModelError, WorkError
from knowledge_update.models import first_line
from knowledge_update.training import layers, lora
from knowledge_update.training.dropout import seeded
from knowledge_update.training_config import AdapterConfig


def check(config: Config) -> None:
    """Checks what a method needs before any work: what quantises is installed, the given adapter is one of its kind.

    Raises:
        ModelError: When not.
    """
    quantisation.check(config.model.bits)
    if config.adapter.start_from:
        _stored(config.adapter)


def attach(model: Any, config: AdapterConfig, seed: int, *, checkpointing: bool = False) -> Any:
    """Makes a base model ready to be trained.

    Args:
        model: The base model.
        config: The method, and what it needs.
        seed: Of an adapter's start, and of what dropout leaves out.
        checkpointing: Whether what layers put out is computed again for the gradient instead of kept.

    Returns:
        The model with its adapter, or the model itself where all of it is trained.

    Raises:
        ModelError: When the method does not fit the model.
    """
    import torch

    if checkpointing:
        _checkpoint(model)
    torch.manual_seed(seed)
    if config.name == "full":
        trained = _whole(model, config)
    elif config.start_from:
        trained = _continued(model, config)
    else:
        trained = _adapted(model, config)
    seeded(trained, seed)
    lora.fuse(trained)
    layers.fuse(trained)
    return trained


def _checkpoint(model: Any) -> None:
    try:
        # Reentrant checkpointing would lose the gradient where a layer's input needs none: at the first adapter.
        model.activation_checkpointing_enable({"use_reentrant": False})
    except ValueError as error:
        raise ModelError(f"training.gradient_checkpointing: {error}") from error


def _adapted(model: Any, config: AdapterConfig) -> Any:
    """A fresh adapter on every linear map of the upper layers; the output head stays as it is."""
    from peft import LoraConfig, get_peft_model

    below = untrained_layers(model, config)
    targets: Any = config.targets if config.targets == "all-linear" else config.targets.split(",")
    excluded = [rf"\D*\.(?:{'|'.join(map(str, range(below)))})\..*"] if below else []
    if model.config.get_text_config() is not model.config:
        # What reads pictures has linear maps too, and no part in what is taught.
        excluded.append(rf"(?!{re.escape(_decoder_name(model))}\.).*")
    settings = LoraConfig(
        r=config.r, lora_alpha=alpha_of(config), lora_dropout=config.dropout, target_modules=targets,
        task_type="CAUSAL_LM", exclude_modules="|".join(excluded) or None, use_rslora=config.rslora,
        use_dora=config.dora,
    )  # fmt: skip
    try:
        return get_peft_model(model, settings)
    except ValueError as error:
        raise ModelError(f"adapter.targets={config.targets}: {error}") from error


def alpha_of(config: AdapterConfig) -> float:
    """As configured, or what makes LoRA's factor 2: α is divided by r, of rsLoRA (arXiv 2312.03732) by √r."""
    if config.alpha is not None:
        return config.alpha
    return round(2 * math.sqrt(config.r)) if config.rslora else 2 * config.r


def _continued(model: Any, config: AdapterConfig) -> Any:
    """The adapter of a folder, to be trained on: its layers and targets are its own, dropout is the configuration's."""
    folder, stored = _folder(config), _stored(config)
    stored.lora_dropout = config.dropout
    log.info("going on from the adapter %s of %s, on its own layers", folder, adapter_base(folder))
    return load_adapter(model, folder, is_trainable=True, config=stored)


def _folder(config: AdapterConfig) -> Path:
    return Path(config.start_from or "").expanduser()


def _stored(config: AdapterConfig) -> Any:
    """What a given adapter is; refused where the configuration says otherwise."""
    from peft import PeftConfig

    folder = _folder(config)
    adapter_shapes(folder)
    try:
        stored = PeftConfig.from_pretrained(str(folder))
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise ModelError(f"{folder}: its adapter_config.json cannot be read: {first_line(error)}") from error
    theirs = {
        "rank": getattr(stored, "r", None), "rslora": getattr(stored, "use_rslora", None),
        "dora": getattr(stored, "use_dora", None), "alpha": getattr(stored, "lora_alpha", None),
    }  # fmt: skip
    ours = {"rank": config.rank, "rslora": config.rslora, "dora": config.dora, "alpha": config.alpha}
    for name, value in ours.items():
        if value is not None and theirs[name] != value:
            raise ModelError(
                f"adapter.start_from={folder}: its adapter.{name} is {theirs[name]}, not {value}; "
                f"say adapter.{name}={theirs[name]}"
            )
    return stored


def _whole(model: Any, config: AdapterConfig) -> Any:
    """The model itself: all of it, or the upper layers where a share is named."""
    import torch

    if quantisation.quantised(model):
        raise ModelError("adapter=full trains the weights themselves, quantised ones cannot be: say adapter=lora")
    if model.dtype == torch.float16:
        raise ModelError("adapter=full loses small gradients in float16: say model.dtype=float32 or bfloat16")
    below = untrained_layers(model, config)
    model.requires_grad_(False)
    for part in (model.get_decoder(), model.get_output_embeddings()):
        part.requires_grad_(not below)
    for name, parameter in model.get_decoder().named_parameters() if below else ():
        number = _layer(name)
        parameter.requires_grad_(number is not None and number >= below)
    return model


def untrained_layers(model: Any, config: AdapterConfig) -> int:
    """How many of a model's lowest layers are not trained."""
    count = layers_of(model)
    if config.start_from:
        numbers = [_layer(name) for name in adapter_shapes(_folder(config))]
        # What belongs to no layer may stand before the first.
        return min((number or 0 for number in numbers), default=0)
    return count - max(1, round(count * config.share))


def _layer(name: str) -> int | None:
    """The number of the layer that a tensor belongs to: architectures name layers differently, all number them."""
    found = re.match(r"\D*\.(\d+)\.", name)
    return int(found[1]) if found else None


def _decoder_name(model: Any) -> str:
    decoder = model.get_decoder()
    return next(str(name) for name, module in model.named_modules() if module is decoder)


def layers_of(model: Any) -> int:
    """How many layers a model has; of one that reads pictures too, its language model."""
    return int(model.config.get_text_config().num_hidden_layers)


def base_of(model: Any) -> Any:
    """The model inside its adapter, or the model itself where it has none."""
    return model.get_base_model() if hasattr(model, "get_base_model") else model


def trainable(model: Any) -> dict[str, Any]:
    """The tensors that are trained, by name."""
    return {name: parameter for name, parameter in model.named_parameters() if parameter.requires_grad}


def saved(model: Any) -> dict[str, Any]:
    """What `save` writes, by its names in the model: the adapter, or the whole model where it has none."""
    return trainable(model) if hasattr(model, "peft_config") else dict(model.named_parameters())


def save(model: Any, folder: Path, whole: dict[str, Any] | None = None) -> None:
    """Writes what was trained, an adapter or a whole model, and checks that what was written is that.

    Args:
        model: As `attach` gives it.
        folder: An empty one.
        whole: Its tensors by their names in the model, where the model itself holds parts of them only.

    Raises:
        WorkError: When it is not.
    """
    import torch

    model.save_pretrained(str(folder), **({"state_dict": whole} if whole else {}))
    stored, trained = _stored_in(folder, model, whole), _tensors(model, whole)
    if not trained:
        raise WorkError(f"nothing of what was trained is in {folder}")
    for name, tensor in trained.items():
        if not torch.equal(stored[name], tensor.detach().cpu()):
            raise WorkError(f"what was saved differs from what was trained in {name}")


def _tensors(model: Any, whole: dict[str, Any] | None) -> dict[str, Any]:
    """All that is to be found in a saved folder, by its names there."""
    if not hasattr(model, "peft_config"):
        return dict(model.named_parameters()) if whole is None else whole
    from peft import get_peft_model_state_dict

    tensors: dict[str, Any] = get_peft_model_state_dict(model, state_dict=whole)
    return tensors


def _stored_in(folder: Path, model: Any, whole: dict[str, Any] | None) -> dict[str, Any]:
    """What a folder holds of all that is to be found there, by the model's names.

    Raises:
        WorkError: When something is missing.
    """
    from safetensors.torch import load_file

    wanted, stored = _tensors(model, whole).keys(), dict[str, Any]()
    for file in sorted(folder.glob("*.safetensors")):
        stored.update(load_file(file))
    if not wanted <= stored.keys() and not hasattr(model, "peft_config"):
        # Some architectures store their weights under other names than they use.
        stored = dict(type(model).from_pretrained(folder, dtype=model.dtype).named_parameters())
    if missing := wanted - stored.keys():
        raise WorkError(f"what was saved in {folder} has no {min(missing)}")
    return stored
