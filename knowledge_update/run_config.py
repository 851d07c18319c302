"""A run's configuration as a file: written, read again, compared, changed in a few keys."""

import importlib.metadata
from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import fields
from pathlib import Path
from typing import Any

from knowledge_update import __version__, processes
from knowledge_update.composition import keys, literal, load, read_file, set_by, value_of
from knowledge_update.config import Config, JudgeConfig, WriterConfig
from knowledge_update.errors import ConfigError, RunFolderError
from knowledge_update.own_code import Found
from knowledge_update.run_folder import RunFolder, whole_file
from knowledge_update.training_config import TrackerConfig

RECORDED = ("torch", "transformers", "peft", "spacy", "knowledge-update")


def to_yaml(config: Config) -> str:
    """The configuration as YAML, which `stored` reads to the same."""
    from omegaconf import OmegaConf

    values = OmegaConf.structured(Config)
    for key in keys():
        value = value_of(config, key)
        OmegaConf.update(values, key, list(value) if isinstance(value, tuple) else literal(value))
    return str(OmegaConf.to_yaml(values))


def save(config: Config, folder: RunFolder) -> None:
    """Writes the resolved configuration into a run folder, or checks that the one there is the same.

    Raises:
        RunFolderError: When the folder was made by another configuration; names what differs.
    """
    if folder.config.exists():
        _compare(stored(folder), config, folder)
    else:
        write(config, folder)


def write(config: Config, folder: RunFolder) -> None:
    """Writes the configuration into a run folder, in place of the one that is there; of several processes, one does."""
    if not processes.keeps():
        return
    with whole_file(folder.config) as file:
        file.write(to_yaml(config))
        file.write("versions:\n")
        file.writelines(f"  {name}: {_version(name)}\n" for name in RECORDED)


def stored(folder: RunFolder) -> Config:
    """The configuration a run folder was made with.

    Raises:
        RunFolderError: When there is none, or it cannot be read.
    """
    from omegaconf import DictConfig, OmegaConf

    if not folder.config.exists():
        raise RunFolderError(f"{folder.path} is not a run folder: it has no config.yaml")
    try:
        loaded = OmegaConf.load(folder.config)
        if not isinstance(loaded, DictConfig):
            raise ConfigError("it holds no keys")
        loaded.pop("versions", None)
        config = OmegaConf.to_object(OmegaConf.merge(OmegaConf.structured(Config), loaded))
    except Exception as error:  # YAML and OmegaConf raise many unrelated types for a file that is not ours
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise RunFolderError(f"{folder.config} cannot be read: {reason}") from error
    assert isinstance(config, Config)
    for part in vars(config).values():
        if target := getattr(part, "_target_", None):
            part._target_ = Found(target)
    return config


# How fast, through whom and where to, not what comes of it: these may differ from one attempt to the next.
TRACKER = frozenset(f"tracker.{part.name}" for part in fields(TrackerConfig))
HOW = WriterConfig.how() | JudgeConfig.how() | TRACKER | {
    "writer.ray", "writer.ray_workers", "writer.seconds", "pairs_jsonl", "pairs_json", "output_dir", "budget",
    "time_left", "engine.name", "engine.processes", "engine.deepspeed",
    "rows.lazy_preprocess", "rows.num_workers", "rows.prefetch_factor", "judge.max_attempts", "judge.retry_delay",
}  # fmt: skip
# Where a run's documents and questions are.
PLACES = {"documents", "questions", "pairs_jsonl", "pairs_json", "output_dir"}


def _compare(old: Config, new: Config, folder: RunFolder) -> None:
    pairs = [(key, value_of(old, key), value_of(new, key)) for key in keys() if key not in HOW]
    different = [f"{key} ({_shown(before)}, now {_shown(now)})" for key, before, now in pairs if before != now]
    if different:
        shown = ", ".join(different[:3]) + (f" and {len(different) - 3} more" if len(different) > 3 else "")
        raise RunFolderError(f"{folder.path} was made with another configuration: {shown}; use another --out")


def _shown(value: object) -> object:
    """A value as the configuration file writes it."""
    return "null" if value is None else value


def _version(name: str) -> str:
    if name == "knowledge-update":
        return __version__
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"


def changed(
    config: Config, overrides: Sequence[str], values: Mapping[str, Any], folder: RunFolder, file: Path | None = None
) -> Config:
    """A stored configuration with a few keys set anew; written back, so that the folder tells what made it.

    Args:
        config: The stored one.
        overrides: `key=value` words.
        values: Dotted keys with their values.
        folder: Where it is stored.
        file: Another configuration, whole or in part, whose keys are taken over where neither says otherwise. What
            it says of documents stays its own: the folder has its dataset.

    Raises:
        ConfigError: When a key is unknown or a value does not fit.
    """
    if not overrides and not values and file is None:
        return config
    config = merged(config, overrides, values, file)
    write(config, folder)
    return config


def merged(config: Config, overrides: Sequence[str], values: Mapping[str, Any], file: Path | None = None) -> Config:
    """A stored configuration with a few keys set anew, as `changed` does it; nothing is written.

    Raises:
        ConfigError: When a key is unknown or a value does not fit.
    """
    fresh, config = load(overrides, values, file), deepcopy(config)
    choices, leaves = read_file(file) if file else ([], {})
    named = [key for word in [*choices, *overrides] for key in set_by(word)] + list(values)
    for key in [*(key for key in leaves if key not in PLACES), *named]:
        section, _, leaf = key.rpartition(".")
        setattr(value_of(config, section) if section else config, leaf, value_of(fresh, key))
    # What fits one by one may not fit together.
    for part in (*vars(config).values(), config):
        if hasattr(part, "__post_init__"):
            part.__post_init__()
    return config
