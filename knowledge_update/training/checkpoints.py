"""What survives a kill: the state of a training under way."""

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from knowledge_update.run_folder import read_json, whole_folder, write_json
from knowledge_update.training.optimizer_state import flat, restore


@dataclass(frozen=True)
class Progress:
    """How far a training is: steps done, their losses, seconds spent on them, rows, and what it trains on."""

    key: str
    step: int
    losses: list[float]
    seconds: float
    rows: int = 0


def save(path: Path, adapter: dict[str, Any], optimizer: Any, progress: Progress) -> None:
    """Writes adapter, optimizer state and progress, whole or not at all; the checkpoint before stays until then."""
    from safetensors.torch import save_file

    with whole_folder(path) as folder:
        save_file(
            {name: tensor.detach().contiguous() for name, tensor in adapter.items()}, folder / "adapter.safetensors"
        )
        save_file(flat(optimizer), folder / "optimizer.safetensors")
        write_json(folder / "progress.json", vars(progress))


def load(path: Path, key: str, adapter: dict[str, Any], optimizer: Any) -> Progress | None:
    """Restores a checkpoint into an adapter and its optimizer.

    Returns:
        Its progress, or none where there is no checkpoint of this training.
    """
    from safetensors.torch import load_file

    if not (path / "progress.json").exists():
        return None
    progress = Progress(**read_json(path / "progress.json"))
    if progress.key != key:
        return None
    for name, tensor in load_file(path / "adapter.safetensors").items():
        adapter[name].data.copy_(tensor)
    restore(optimizer, load_file(path / "optimizer.safetensors"))
    return progress


def remove(path: Path) -> None:
    """Removes a checkpoint that is no longer needed."""
    shutil.rmtree(path, ignore_errors=True)
