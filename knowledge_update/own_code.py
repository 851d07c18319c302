"""A user's own part, named by its dotted path under a key `_target_`: found, and told in a line when it is not."""

import sys
from collections.abc import Callable
from functools import cache
from pkgutil import resolve_name
from typing import Any

from knowledge_update.errors import ConfigError


class Found(str):
    """A dotted path that was found in a run folder, whoever wrote it: it is compared, never called."""


def own(key: str, path: str) -> Callable[..., Any]:
    """The function or class at a dotted path.

    Args:
        key: The dotted key it stands under, for messages.
        path: `module.name`; the module is looked for in this folder too.

    Raises:
        ConfigError: When it is not there, cannot be called, or the user did not name it with this command.
    """
    if isinstance(path, Found):
        raise ConfigError(f"{key}={path} was found in the run folder, and what is found is not called: name it again")
    return _at(key, path)


@cache
def _at(key: str, path: str) -> Callable[..., Any]:
    # `python -m` and scripts look in the folder they are called from; an installed command does not.
    if "" not in sys.path:
        sys.path.append("")
    try:
        found = resolve_name(path)
    except Exception as error:  # a user's module may raise anything
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise ConfigError(f"{key}={path}: {reason}") from error
    if not callable(found):
        raise ConfigError(f"{key}={path}: a function or a class, it is a {type(found).__name__}")
    return found  # type: ignore[no-any-return]
