"""This process among those that train together, as torchrun and accelerate number them: read from the environment.

The first one alone writes files, shows progress and tells what goes wrong; the others only compute.
"""

import os
import sys
import threading
import time
from dataclasses import dataclass
from datetime import timedelta
from typing import NoReturn

# Set, to the time, for processes that `engines.launch` starts: who starts them keeps lock, configuration and time.
STARTED = "KUPDATE_STARTED"

# The words of the command line, for processes that are to do the same; none where another program calls.
said: list[str] = []

# How often this process has joined others.
joins: list[int] = []


@dataclass(frozen=True)
class Place:
    """Where a process stands.

    Args:
        rank: Its number among all.
        count: How many there are.
        local: Its number on this machine.
    """

    rank: int
    count: int
    local: int


def place() -> Place:
    """The place of this process; the only one where nothing started several."""
    return Place(_number("RANK", 0), _number("WORLD_SIZE", 1), _number("LOCAL_RANK", 0))


def first() -> bool:
    """Whether this process writes files and shows what goes on."""
    # On further machines, what starts the processes is not the first either.
    starter = _number("NODE_RANK", 0) if "RANK" not in os.environ and _number("NNODES", 1) > 1 else 0
    return place().rank == 0 and starter == 0


def keeps() -> bool:
    """Whether this process keeps the run folder: its lock, its configuration and the time that is spent."""
    return first() and STARTED not in os.environ


def waited() -> float:
    """Seconds since this process was started by another of ours; they count as its work's."""
    started = os.environ.get(STARTED)
    return max(0.0, time.time() - float(started)) if started else 0.0


def end_with_parent() -> None:
    """Ends this process when the one of ours that started it is gone, even by a kill: nobody keeps the folder then."""
    if STARTED in os.environ:
        threading.Thread(target=_watch, args=(os.getppid(),), daemon=True).start()


def _watch(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(0.2)
    os._exit(1)


def tells() -> bool:
    """Whether this process is the one to tell why all end: the first of them that fails.

    A failure in one breaks the others' work too; what they would say is only its echo.
    """
    here = place()
    if here.count == 1:
        return True
    from torch._C._distributed_c10d import TCPStore

    key = f"kupdate/told/{os.environ.get('TORCHELASTIC_RUN_ID', '')}"
    try:
        store = TCPStore(
            os.environ["MASTER_ADDR"], _number("MASTER_PORT", 29500), is_master=False, timeout=timedelta(seconds=5)
        )
        return bool(store.compare_set(key, "", str(here.rank)) == str(here.rank).encode())
    except (RuntimeError, KeyError, ValueError):
        # Nobody is there any more who could say that it has been told.
        return True


def leave(code: int) -> NoReturn:
    """Ends this process; one that has joined others without taking Python down first.

    FSDP2's device mesh keeps gloo's threads beyond `destroy_process_group`. One that lets go of its last tensor while
    Python goes down aborts the process (pytorch/pytorch#179291): what was trained well would be told as failed.
    """
    if not joins:
        sys.exit(code)
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def _number(name: str, default: int) -> int:
    try:
        return int(os.environ.get(name, ""))
    except ValueError:
        return default
