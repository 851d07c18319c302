"""Where an adapter is: in a run folder, what a training left, a checkpoint, any folder, or on the hub."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from knowledge_update.errors import ModelError
from knowledge_update.models import first_line
from knowledge_update.run_folder import restore

_FILE, _PICKLE = "adapter_model.safetensors", "adapter_model.bin"
# Where in what is named the adapter may be.
_PLACES = ("", "adapter", "checkpoint-final", "adapter_model", "checkpoint-final/adapter_model")
_WANTED = ["adapter_config.json", _FILE, "training.json", "tokenizer*", "*.model", "*.jinja", "special_tokens_map.json"]


@contextmanager
def adapter(name: str, *, local_files_only: bool = False, allow_pickle: bool = False) -> Iterator[Path]:
    """Yields an adapter's folder, its weights as safetensors.

    Args:
        name: A run folder, a folder that training left (`output`, `output/checkpoint-final`), one with an
            `adapter_model` in it, an adapter's own, or a hub id.
        local_files_only: Whether the hub is not to be asked.
        allow_pickle: Whether weights that are a pickle file may be read, which is done without running code.

    Raises:
        ModelError: When there is none, or its weights are not to be read.
    """
    folder = find(name, local_files_only=local_files_only, allow_pickle=allow_pickle)
    pickled = folder / _PICKLE
    if (folder / _FILE).exists() or not pickled.exists():
        yield folder
        return
    if not allow_pickle:
        raise ModelError(
            f"{pickled} is a pickle file, which could run code when it is read: --allow-pickle reads its numbers, "
            "and nothing but numbers"
        )
    with TemporaryDirectory() as made:
        copy = Path(made) / folder.name
        shutil.copytree(folder, copy, ignore=shutil.ignore_patterns("*.bin", "*.pt", "*.pth"))
        _unpickle(pickled, copy / _FILE)
        yield copy


def find(name: str, *, local_files_only: bool = False, allow_pickle: bool = False) -> Path:
    """The folder of the adapter that is meant.

    Raises:
        ModelError: When there is none.
    """
    path = Path(name).expanduser()
    if path.is_dir():
        restore(path / "adapter")
        for place in _PLACES:
            if (path / place / "adapter_config.json").exists():
                return path / place
        for place in _PLACES:
            if (path / place / "config.json").exists():
                raise ModelError(f"{path / place} is a whole model: there is no adapter to merge, use it as it is")
        what = (
            f"run `kupdate train {path}` first" if (path / "config.yaml").exists() else "it has no adapter_config.json"
        )
        raise ModelError(f"no adapter in {path}: {what}")
    if path.is_absolute() or name.startswith((".", "~")) or name.count("/") != 1:
        raise ModelError(f"no adapter {name!r}: give a run folder, an adapter's folder that exists, or a hub id")
    return _fetched(name, local_files_only=local_files_only, allow_pickle=allow_pickle)


def tokenizer_folder(base: Path, adapter: Path) -> Path:
    """Whose tokenizer it is: that which the adapter was trained with, else the base's."""
    own = (adapter / "tokenizer_config.json").exists() and any(
        (adapter / name).exists() for name in ("tokenizer.json", "tokenizer.model")
    )
    return adapter if own else base


def _fetched(name: str, *, local_files_only: bool, allow_pickle: bool) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    wanted = [*_WANTED, _PICKLE] if allow_pickle else _WANTED
    wanted += [f"adapter_model/{part}" for part in wanted]
    try:
        folder = Path(snapshot_download(name, allow_patterns=wanted, local_files_only=local_files_only))
    except (HfHubHTTPError, LocalEntryNotFoundError, OSError, ValueError) as error:
        raise ModelError(
            f"no adapter {name!r}: there is no such folder, it is not on this machine, and the hub did not give it "
            f"({type(error).__name__})"
        ) from error
    found = next((folder / place for place in _PLACES if (folder / place / "adapter_config.json").exists()), None)
    if found is None:
        raise ModelError(f"{name} is no adapter: it has no adapter_config.json")
    if not (found / _FILE).exists() and not allow_pickle:
        raise ModelError(
            f"{name} has no {_FILE}; where it has {_PICKLE}, a pickle file, --allow-pickle reads its numbers, and "
            "nothing but numbers"
        )
    return found


def _unpickle(pickled: Path, file: Path) -> None:
    import pickle

    import torch
    from safetensors.torch import save_file

    try:
        held = torch.load(pickled, map_location="cpu", weights_only=True)
    except (RuntimeError, ValueError, EOFError, OSError, pickle.UnpicklingError) as error:
        raise ModelError(f"{pickled} holds more than numbers, or is damaged: it is not read") from error
    if not isinstance(held, dict) or not all(isinstance(part, torch.Tensor) for part in held.values()):
        raise ModelError(f"{pickled} is no adapter: it holds other things than tensors")
    try:
        save_file({str(name): part.contiguous().clone() for name, part in held.items()}, file)
    except OSError as error:
        raise ModelError(f"cannot write {file}: {first_line(error)}") from error
