"""A run's configuration as a file: written, read again, compared, changed in a few keys."""

import importlib.metadata
from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import fields
from typing import Any

from knowledge_update import __version__
from knowledge_update.composition import GROUPS, group_file, keys, literal, load, value_of
from knowledge_update.config import Config, TrackerConfig, WriterConfig
from knowledge_update.errors import ConfigError, RunFolderError
from knowledge_update.run_folder import RunFolder, whole_file

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
    """Writes the configuration into a run folder, in place of the one that is there."""
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
    return config


# How fast, through whom and where to, not what comes of it: these may differ from one attempt to the next.
TRACKER = frozenset(f"tracker.{part.name}" for part in fields(TrackerConfig))
HOW = WriterConfig.how() | TRACKER | {"writer.ray", "writer.ray_workers", "pairs_jsonl", "pairs_json"}


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


def changed(config: Config, overrides: Sequence[str], values: Mapping[str, Any], folder: RunFolder) -> Config:
    """A stored configuration with a few keys set anew; written back, so that the folder tells what made it.

    Raises:
        ConfigError: When a key is unknown or a value does not fit.
    """
    if not overrides and not values:
        return config
    fresh, config = load(overrides, values), deepcopy(config)
    for key in [key for word in overrides for key in _set_by(word)] + list(values):
        section, _, leaf = key.rpartition(".")
        setattr(value_of(config, section) if section else config, leaf, value_of(fresh, key))
    # What fits one by one may not fit together.
    for part in vars(config).values():
        if hasattr(part, "__post_init__"):
            part.__post_init__()
    write(config, folder)
    return config


def _set_by(word: str) -> list[str]:
    """The keys that a `key=value` word sets: of a group or a preset, those of its file."""
    from omegaconf import OmegaConf

    key, _, value = word.partition("=")
    if key not in GROUPS:
        return [key]
    if not group_file(key, value).exists():
        return ["model.name"]
    content = OmegaConf.load(group_file(key, value))
    # A preset's keys begin at the root, a group's in its section.
    parts = dict(content) if key == "preset" else {key: content}
    return [f"{name}.{leaf}" if leaf else str(name) for name, part in parts.items() for leaf in _leaves(part)]


def _leaves(part: Any) -> list[str]:
    return [str(leaf) for leaf in part] if isinstance(part, Mapping) else [""]
