"""What training left in a folder: an adapter for a base model, or a whole model; and how it is loaded."""

import warnings
from pathlib import Path
from typing import Any

from knowledge_update.errors import ModelError
from knowledge_update.models import Precision, first_line, identity, load_model
from knowledge_update.run_folder import read_json


def is_adapter(folder: Path) -> bool:
    """Whether a folder that training left holds an adapter; else it is a whole model."""
    return (folder / "adapter_config.json").exists() or not (folder / "config.json").exists()


def load_updated(model: Any, folder: Path, precision: Precision) -> Any:
    """What training left: its adapter put on the base model, or the whole model in the base model's place.

    Raises:
        ModelError: When it cannot be read, or is an adapter of another model.
    """
    return load_adapter(model, folder) if is_adapter(folder) else load_model(str(folder), precision)


def load_adapter(model: Any, folder: Path, **settings: Any) -> Any:
    """Puts a saved adapter on its base model.

    Args:
        model: The base model.
        folder: A folder of PEFT.
        settings: What `PeftModel.from_pretrained` is to be told besides.

    Raises:
        ModelError: When the folder is no adapter, or one of another model.
    """
    from peft import PeftModel, get_peft_model_state_dict

    stored = adapter_shapes(folder)
    ours, theirs = model.config._name_or_path, _own(folder)
    told = f"the adapter {folder} is of {adapter_base(folder)} and does not fit {ours}"
    if Path(ours).is_dir() and theirs.get("base", identity(ours)) != identity(ours):
        raise ModelError(f"{told}: it was trained on other weights")
    try:
        # What does not fit by name is passed over with a warning: it is compared below.
        with warnings.catch_warnings(action="ignore", category=UserWarning):
            wrapped = PeftModel.from_pretrained(model, str(folder), **settings)
            wanted = {name: tuple(part.shape) for name, part in get_peft_model_state_dict(wrapped).items()}
    except (RuntimeError, ValueError, KeyError, OSError) as error:
        raise ModelError(f"{told}: {first_line(error)}") from error
    if wanted != stored:
        differs = min(name for name in {*wanted, *stored} if wanted.get(name) != stored.get(name))
        raise ModelError(f"{told}: {differs} is {stored.get(differs)} there, {wanted.get(differs)} here")
    return wrapped.eval()


def adapter_shapes(folder: Path) -> dict[str, tuple[int, ...]]:
    """The shapes of an adapter's tensors, by name.

    Raises:
        ModelError: When the folder is no adapter.
    """
    from safetensors import SafetensorError, safe_open

    if not (folder / "adapter_config.json").exists():
        raise ModelError(f"{folder} is not an adapter folder: it has no adapter_config.json")
    file = folder / "adapter_model.safetensors"
    if not file.exists():
        raise ModelError(f"{folder} has no adapter_model.safetensors")
    try:
        with safe_open(file, framework="pt") as tensors:
            return {name: tuple(tensors.get_slice(name).get_shape()) for name in tensors.keys()}  # noqa: SIM118
    except (OSError, SafetensorError) as error:
        raise ModelError(f"{file} cannot be read: {first_line(error)}") from error


def adapter_base(folder: Path) -> str:
    """The name of the model that an adapter was trained on, as its own files have it."""
    return str(_own(folder).get("model") or read_json(folder / "adapter_config.json").get("base_model_name_or_path"))


def adapter_bits(folder: Path) -> int | None:
    """The bits that our own training held the model in that an adapter was trained on."""
    bits = _own(folder).get("settings", {}).get("model", {}).get("bits")
    return bits if bits in (4, 8) else None


def _own(folder: Path) -> dict[str, Any]:
    """What our own training wrote beside an adapter."""
    path = folder / "training.json"
    return read_json(path) if path.exists() else {}
