"""Keys that stand on a command line: they go to the environment, and nowhere else."""

import os
import sys
from collections.abc import Sequence

from knowledge_update.display import log

VERBS = ("run", "train", "check")
# The described options, and the environment variable of the described script, by what the library reads.
OPTIONS = {"key": "WANDB_API_KEY", "wandb_key": "WANDB_API_KEY"}
VARIABLES = {"WANDB_KEY": "WANDB_API_KEY"}


def put_away() -> None:
    """Moves keys out of this process's arguments to where libraries look for them.

    Whoever lists the processes of a machine sees their arguments, and libraries keep them with their runs: a process
    that was started with a key becomes one that was started without it.
    """
    given = sys.argv[1:]
    if not given or given[0] not in VERBS:
        return
    for name, variable in VARIABLES.items():
        if os.environ.get(name):
            os.environ.setdefault(variable, os.environ[name])
    left = _taken(given)
    if left == given:
        return
    sys.argv[1:] = left
    start = len(sys.orig_argv) - len(given)
    if given == sys.orig_argv[start:]:
        sys.stdout.flush()
        os.execv(sys.executable, [*sys.orig_argv[:start], *left])


def _taken(words: Sequence[str]) -> list[str]:
    """The words without keys, which are set in the environment."""
    left: list[str] = []
    queue = list(words)
    while queue:
        word = queue.pop(0)
        option, _, value = word.partition("=")
        target = OPTIONS.get(option.removeprefix("--").replace("-", "_")) if option.startswith("--") else None
        if word == "--":
            return [*left, word, *queue]
        if target is None:
            left.append(word)
            continue
        # A script's empty variable leaves the option without a value.
        if word == option and queue and not queue[0].startswith("--"):
            value = queue.pop(0)
        if value:
            os.environ[target] = value
            log.warning("%s: others can see a key on a command line; put it into %s", option, target)
        else:
            log.warning("%s has no value: no key is set", option)
    return left
