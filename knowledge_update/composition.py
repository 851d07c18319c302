"""How a configuration comes about: Hydra composes groups, presets and overrides, the dataclasses check.

Nothing else in the package reads YAML. A value comes from the dataclass, unless a group or preset says otherwise,
unless the user does: by an option, or by `key=value` at the end of a command.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import fields
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from knowledge_update.config import Config
from knowledge_update.errors import ConfigError

GROUPS = ("model", "writer", "judge", "adapter", "optimizer", "schedule", "tracker", "engine", "preset")
CONF = Path(__file__).parent / "conf"


def load(overrides: Sequence[str] = (), values: Mapping[str, Any] | None = None, file: Path | None = None) -> Config:
    """Composes the configuration.

    Args:
        overrides: `key=value` words as Hydra reads them, and as they are where it cannot; `model=` also takes a hub
            id or a path.
        values: Dotted keys with values that are taken as they are, never parsed.
        file: A saved or hand-written configuration, whole or in part, for what neither says.

    Raises:
        ConfigError: When a key is unknown or a value does not fit; names the dotted key.
    """
    if file is not None:
        choices, leaves = read_file(file)
        mine = {key for word in overrides for key in set_by(word)}
        chosen = {word.partition("=")[0] for word in overrides}
        overrides = [*(word for word in choices if word.partition("=")[0] not in chosen), *overrides]
        values = {**{key: value for key, value in leaves.items() if key not in mine}, **(values or {})}
    from hydra import compose, initialize_config_dir
    from hydra.core.config_store import ConfigStore
    from hydra.errors import HydraException
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException

    words, named = _sorted_out(overrides)
    ConfigStore.instance().store(name="schema", node=Config)
    try:
        with initialize_config_dir(str(CONF), version_base="1.3"):
            composed = compose("config", overrides=words)
        for key, value in {**named, **(values or {})}.items():
            if key not in keys():
                raise ConfigError(_unknown_key(key))
            OmegaConf.update(composed, key, literal(value), merge=False)
        config = OmegaConf.to_object(composed)
    except ConfigError:
        raise
    except (HydraException, OmegaConfBaseException) as error:
        raise _explained(error) from error
    assert isinstance(config, Config)
    return config


def _sorted_out(overrides: Sequence[str]) -> tuple[list[str], dict[str, Any]]:
    """Words for Hydra, and keys whose values are taken as they are: names of models, and what Hydra cannot read."""
    known = {*keys(), *GROUPS, *vars(Config())}
    words: list[str] = []
    named: dict[str, Any] = {}
    for word in overrides:
        key, sign, value = word.partition("=")
        if not sign:
            raise ConfigError(f"{word!r} is neither an option nor key=value")
        if key not in known:
            raise ConfigError(_unknown_key(key))
        if key == "model" and not group_file(key, value).exists():
            named["model.name"] = value
        elif key in keys() and not _readable(word):
            named[key] = value
        else:
            words.append(word)
    return words, named


def read_file(path: Path) -> tuple[list[str], dict[str, Any]]:
    """Reads a configuration: a run folder's `config.yaml`, or a few keys written by hand.

    Returns:
        Choices of groups and presets as `key=value` words (`schedule: linear`), and dotted keys with their values.

    Raises:
        ConfigError: When it cannot be read or holds a key that is unknown.
    """
    from omegaconf import OmegaConf

    try:
        content = OmegaConf.to_container(OmegaConf.load(path.expanduser()), resolve=True)
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}") from error
    except Exception as error:  # YAML and OmegaConf raise many unrelated types for a file that is not ours
        raise ConfigError(f"{path} cannot be read: {(str(error).splitlines() or [type(error).__name__])[0]}") from error
    if not isinstance(content, Mapping):
        raise ConfigError(f"{path} holds no keys")
    choices, leaves = [], dict[str, Any]()
    for name, part in ((str(name), part) for name, part in content.items()):
        if name in GROUPS and isinstance(part, str):
            choices.append(f"{name}={part}")
        elif isinstance(part, Mapping) and name != "versions":
            leaves.update({f"{name}.{leaf}": value for leaf, value in part.items()})
        elif name != "versions":
            leaves[name] = part
    for key in leaves:
        if key not in keys():
            raise ConfigError(f"{path}: {_unknown_key(key)}")
    return choices, leaves


def set_by(word: str) -> list[str]:
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


def _readable(word: str) -> bool:
    """Whether Hydra reads a word as one value: `文档`, `~/x` and `a(1)` are not of its grammar, `a,b` is a sweep."""
    from hydra.core.override_parser.overrides_parser import OverridesParser
    from hydra.errors import HydraException

    try:
        return not OverridesParser.create().parse_override(word).is_sweep_override()
    except HydraException:
        return False


def group_file(group: str, name: str) -> Path:
    """Where the named choice of a group is declared."""
    return CONF / group / f"{name}.yaml"


def literal(value: Any) -> Any:
    """A value that OmegaConf gives back as it is: `${` in a text would begin an interpolation."""
    return re.sub(r"(\\*)\$\{", r"\1\1\\${", value) if isinstance(value, str) else value


def _explained(error: Exception) -> ConfigError:
    """One line for what Hydra and OmegaConf say in many."""
    text = str(error.__cause__ or error)
    found = re.search(r"Could not override '([^']+)'", str(error)) or re.search(r"Key '([^']+)' (?:is )?not in", text)
    if found or "is not in struct" in text:
        return ConfigError(_unknown_key(found[1] if found else text.splitlines()[0]))
    full = re.search(r"full_key: (\S+)", text)
    return ConfigError(f"{full[1] + ': ' if full else ''}{text.strip().splitlines()[0]}")


def _unknown_key(key: str) -> str:
    near = get_close_matches(key, keys(), n=1) or [name for name in keys() if name.split(".")[-1] == key.split(".")[-1]]
    return f"unknown key {key!r}" + (f"; did you mean {near[0]}?" if near else "; `kupdate config` prints all keys")


def keys() -> list[str]:
    """All dotted keys."""
    found, whole = [], Config()
    for part in fields(Config):
        holder = getattr(whole, part.name)
        inner = fields(holder) if hasattr(holder, "__dataclass_fields__") else ()
        found.extend([f"{part.name}.{leaf.name}" for leaf in inner] or [part.name])
    return found


def value_of(config: Config, key: str) -> Any:
    """The value of a dotted key."""
    value: Any = config
    for part in key.split("."):
        value = getattr(value, part)
    return value
