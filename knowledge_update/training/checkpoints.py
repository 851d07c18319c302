"""What survives a kill: the state of a training under way."""

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from knowledge_update.run_folder import read_json, whole_folder, write_json


@dataclass(frozen=True)
class Progress:
    """How far a training is: steps done, their losses, seconds spent on them, rows, and what it trains on."""

    key: str
    step: int
    losses: list[float]
    seconds: float
    rows: int = 0


@dataclass(frozen=True)
class State:
    """All that a training has made, whole: what one engine gives, any other goes on from.

    Args:
        weights: What is trained, by name.
        optimizer: Its state, as `optimizer_state.flat` gives it.
    """

    weights: dict[str, Any]
    optimizer: dict[str, Any]


def save(path: Path, state: State, progress: Progress) -> None:
    """Writes weights, optimizer state and progress, whole or not at all; the checkpoint before stays until then."""
    from safetensors.torch import save_file

    with whole_folder(path) as folder:
        save_file({name: tensor.contiguous() for name, tensor in state.weights.items()}, folder / "adapter.safetensors")
        save_file(state.optimizer, folder / "optimizer.safetensors")
        write_json(folder / "progress.json", vars(progress))


def load(path: Path, key: str) -> tuple[State, Progress] | None:
    """Reads a checkpoint.

    Returns:
        What it holds, or none where there is no checkpoint of this training.
    """
    from safetensors.torch import load_file

    if not (path / "progress.json").exists():
        return None
    progress = Progress(**read_json(path / "progress.json"))
    if progress.key != key:
        return None
    state = State(load_file(path / "adapter.safetensors"), load_file(path / "optimizer.safetensors"))
    return state, progress


def remove(path: Path) -> None:
    """Removes a checkpoint that is no longer needed."""
    shutil.rmtree(path, ignore_errors=True)
