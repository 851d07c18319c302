"""Checks of a configuration's values; each names the dotted key."""

import re
from typing import Any

from knowledge_update.durations import seconds_of
from knowledge_update.errors import ConfigError


def check(holds: bool, key: str, value: object, wanted: str) -> None:
    """Raises a `ConfigError` where a value does not hold what is wanted of it."""
    if not holds:
        raise ConfigError(f"{key}={value}: {wanted}")


def check_span(text: str | None, key: str) -> None:
    """Checks a span of time, where there is one."""
    try:
        seconds = seconds_of(text) if text is not None else 1.0
    except ValueError as error:
        raise ConfigError(f"{key}={text}: {error}") from error
    check(seconds > 0, key, text, "more than no time")


def check_own(section: str, target: str | None, arguments: Any) -> None:
    """Checks the dotted path of a user's own part, and what it is to be given."""
    path = target is None or bool(re.fullmatch(r"[^\W\d]\w*(\.[^\W\d]\w*)+", target))
    check(path, f"{section}._target_", target, "a dotted path, as my_module.my_name")
    named = arguments is None or (isinstance(arguments, dict) and all(isinstance(name, str) for name in arguments))
    check(named, f"{section}.arguments", arguments, "names with their values, as {size: 3}")
    check(target is not None or not arguments, f"{section}.arguments", arguments, f"for {section}._target_ alone")


def listed(text: str | None) -> tuple[str, ...]:
    """The parts of a text with commas between them."""
    return tuple(part.strip() for part in (text or "").split(",") if part.strip())
