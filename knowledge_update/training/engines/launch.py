"""Starting the processes of a training, as torchrun does, for who has not started it by torchrun.

`GPUS_PER_NODE`, `NNODES`, `NODE_RANK`, `MASTER_ADDR` and `MASTER_PORT` in the environment mean what they do in the
scripts of the field: with more than one machine the same command is given on each.
"""

import logging
import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from knowledge_update import processes
from knowledge_update.config import Config
from knowledge_update.display import log
from knowledge_update.errors import ConfigError, ToldError, WorkError
from knowledge_update.training_config import EngineConfig


def wanted(config: EngineConfig) -> bool:
    """Whether several processes are to be started here: none were, and more than one is asked for."""
    return "RANK" not in os.environ and total(config) > 1


def here(config: EngineConfig) -> int:
    """How many processes this machine is to have."""
    return config.processes or _number("GPUS_PER_NODE", 1)


def total(config: EngineConfig) -> int:
    """How many processes there are to be on all machines."""
    return here(config) * _number("NNODES", 1)


def start(config: Config) -> None:
    """Gives the command of this process to several, which train to the end.

    Args:
        config: How many, and what time is left for it.

    Raises:
        ConfigError: When this process was not started by a command of ours.
        ToldError: When one of them failed, and has said why.
        WorkError: When one was ended without a word.
    """
    from torch.distributed import run as torchrun
    from torch.distributed.elastic.multiprocessing import SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError

    count = here(config.engine)
    if not processes.said:
        raise ConfigError(f"{count} processes are started by the command line alone: kupdate train, or torchrun")
    log.info("starting %d processes on this machine", count)
    words = ["--nproc_per_node", str(count), *_machines(), "-m", "knowledge_update", *processes.said]
    if config.time_left is not None:
        words.append(f"time_left={config.time_left}")
    with _environment(count), _handlers():
        try:
            torchrun.run(torchrun.parse_args(words))  # type: ignore[no-untyped-call]
        except SignalException as error:
            raise ToldError(130) from error
        except ChildFailedError as error:
            rank, failure = error.get_first_failure()
            if failure.exitcode < 0:
                name = signal.Signals(-failure.exitcode).name
                raise WorkError(f"process {rank} was ended from outside ({name}): out of memory?") from error
            raise ToldError(failure.exitcode) from error


def _machines() -> list[str]:
    """Options that say how many machines there are, and where the first is."""
    count = _number("NNODES", 1)
    if count == 1:
        port = os.environ.get("MASTER_PORT")
        return ["--master_port", port] if port else ["--standalone"]
    address = os.environ.get("MASTER_ADDR")
    if not address:
        raise ConfigError(f"NNODES={count} in the environment, and no MASTER_ADDR: the address of the first machine")
    return [
        "--nnodes", str(count), "--node_rank", str(_number("NODE_RANK", 0)), "--master_addr", address,
        "--master_port", str(_number("MASTER_PORT", 29500)),
    ]  # fmt: skip


@contextmanager
def _environment(count: int) -> Iterator[None]:
    """What the processes find around them: who started them, and their share of the cores; torchrun says nothing."""
    before = dict(os.environ)
    # What torchrun logs of a failure has been said by who failed.
    logging.disable(logging.CRITICAL)
    os.environ[processes.STARTED] = str(time.time())
    os.environ.setdefault("OMP_NUM_THREADS", str(max(1, (os.cpu_count() or 1) // count)))
    # The package as it is here, from whichever folder this was started.
    paths = [str(Path(__file__).parents[3]), os.environ.get("PYTHONPATH", "")]
    os.environ["PYTHONPATH"] = os.pathsep.join(path for path in paths if path)
    try:
        yield
    finally:
        logging.disable(logging.NOTSET)
        os.environ.clear()
        os.environ.update(before)


@contextmanager
def _handlers() -> Iterator[None]:
    """Gives the handlers of signals back, which torchrun sets for itself."""
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)
    before = {number: signal.getsignal(number) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _number(name: str, default: int) -> int:
    text = os.environ.get(name, "")
    try:
        return int(text) if text else default
    except ValueError as error:
        raise ConfigError(f"{name}={text} in the environment: a whole number") from error
