"""Who else is told how a training goes: TensorBoard, Weights & Biases, trackio, or a user's own.

`metrics.jsonl` is written by the stage, whoever is told besides. A tracker that fails is left out, training goes on.
"""

import hashlib
import json
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from importlib.util import find_spec
from io import StringIO
from pathlib import Path
from typing import Any, Protocol

from knowledge_update.display import log
from knowledge_update.errors import ConfigError
from knowledge_update.own_code import own
from knowledge_update.training_config import TrackerConfig


class Tracker(Protocol):
    """What is told of a training."""

    def log(self, step: int, values: Mapping[str, Any]) -> None:
        """Takes what is known of a step; its figures are shown."""

    def close(self) -> None:
        """Ends the run; what was told is kept."""


@dataclass(frozen=True)
class Run:
    """What a tracker is told at the beginning.

    Args:
        project: The project's name.
        name: The run's name.
        identity: The same for every attempt at the same training, and for no other.
        folder: Where the tracker writes.
        settings: The training's settings.
        start: Steps that an earlier attempt has done.
    """

    project: str
    name: str
    identity: str
    folder: Path
    settings: Mapping[str, Any]
    start: int


def check(config: TrackerConfig) -> None:
    """Says before any work what could not be opened.

    Raises:
        ConfigError: When a library is missing, or the user's own tracker is not there.
    """
    if config._target_:
        own("tracker._target_", config._target_)
    for name in config.names:
        if find_spec(name) is None:
            raise ConfigError(f"tracker.name={name} needs it: pip install 'knowledge-update[{name}]'")


@contextmanager
def opened(config: TrackerConfig, folder: Path, settings: Mapping[str, Any], start: int = 0) -> Iterator[Tracker]:
    """Opens the configured trackers; of several processes of one training the first alone.

    Args:
        config: Which, under what names, and where they write.
        folder: The run folder.
        settings: The training's settings, as the trackers are to show them.
        start: Steps that an earlier attempt has done.
    """
    told = _Told()
    if os.environ.get("RANK", "0") == "0":
        run = _run(config, folder, settings, start)
        makers: dict[str, Callable[[Run], Tracker]] = {name: _MAKERS[name] for name in config.names}
        if config._target_:
            makers[config._target_] = lambda run: _own(config, run)
        for name, make in makers.items():
            told.open(name, make, run)
    try:
        yield told
    finally:
        told.close()


def _run(config: TrackerConfig, folder: Path, settings: Mapping[str, Any], start: int) -> Run:
    name = config.run or folder.resolve().name
    what = json.dumps([str(folder.resolve()), name, settings], sort_keys=True, default=str)
    identity = hashlib.sha256(what.encode()).hexdigest()[:16]
    # Absolute: a tracker may be asked again from another folder.
    place = Path(config.folder).expanduser() if config.folder else folder / "trackers"
    return Run(config.project, name, identity, place.resolve(), settings, start)


class _Told:
    """All open trackers as one; one that fails is told of once, and left out."""

    def __init__(self) -> None:
        self._open: dict[str, Tracker] = {}

    def open(self, name: str, make: Callable[[Run], Tracker], run: Run) -> None:
        try:
            run.folder.mkdir(parents=True, exist_ok=True)
            self._open[name] = make(run)
        except Exception as error:  # of a library that is not needed for training
            _left_out(name, error)

    def log(self, step: int, values: Mapping[str, Any]) -> None:
        figures = {name: value for name, value in values.items() if isinstance(value, int | float) and name != "step"}
        for name, tracker in list(self._open.items()):
            try:
                tracker.log(step, figures)
            except Exception as error:
                del self._open[name]
                _left_out(name, error)

    def close(self) -> None:
        for name, tracker in self._open.items():
            try:
                tracker.close()
            except Exception as error:
                _left_out(name, error)
        self._open = {}


# Of a training that tells nobody.
NONE: Tracker = _Told()


def _left_out(name: str, error: Exception) -> None:
    reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
    log.warning("%s failed, training goes on without it: %s", name, reason)


def _own(config: TrackerConfig, run: Run) -> Tracker:
    tracker: Tracker = own("tracker._target_", str(config._target_))(run, **(config.arguments or {}))
    return tracker


class _TensorBoard:
    def __init__(self, run: Run) -> None:
        from torch.utils.tensorboard import SummaryWriter

        place = run.folder / "tensorboard" / run.name
        # What a killed attempt told of steps that are done again is dropped.
        self._writer: Any = SummaryWriter(str(place), purge_step=run.start + 1)
        self._writer.add_text("settings", f"```\n{json.dumps(run.settings, indent=2, default=str)}\n```")
        log.info("tracked by TensorBoard: tensorboard --logdir %s", place.parent)

    def log(self, step: int, values: Mapping[str, float]) -> None:
        for name, value in values.items():
            self._writer.add_scalar(name, value, step)

    def close(self) -> None:
        self._writer.close()


class _Wandb:
    def __init__(self, run: Run) -> None:
        os.environ.setdefault("WANDB_SILENT", "true")
        import wandb

        mode = _wandb_mode(wandb.setup().settings.base_url)
        given: dict[str, Any] = {
            "project": run.project, "name": run.name, "id": run.identity, "dir": str(run.folder),
            "config": dict(run.settings), "settings": wandb.Settings(console="off", init_timeout=30),
        }  # fmt: skip
        try:
            self._run = wandb.init(**given, mode=mode, resume=None if mode == "offline" else "allow")
        except Exception as error:
            if mode == "offline":
                raise
            reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
            log.warning("wandb cannot be reached (%s): it writes to %s, offline", reason, run.folder)
            # What is left of the run stands in its own way.
            wandb.teardown()
            mode, self._run = "offline", wandb.init(**given, mode="offline")
        where = f"wandb sync {Path(self._run.dir).parent}" if mode == "offline" else self._run.url
        log.info("tracked by wandb: %s", where)

    def log(self, step: int, values: Mapping[str, float]) -> None:
        self._run.log(dict(values), step=step)

    def close(self) -> None:
        self._run.finish()


def _wandb_mode(address: str) -> Any:
    """What the user chose in WANDB_MODE, else online where there are a key and a network, else offline."""
    if os.environ.get("WANDB_MODE"):
        return os.environ["WANDB_MODE"]
    reason = "" if _has_key(address) else "no key (WANDB_API_KEY)"
    reason = reason or ("" if _answers(address) else f"no answer from {address}")
    if reason:
        log.info("wandb offline: %s", reason)
    return "offline" if reason else "online"


def _has_key(address: str) -> bool:
    """Whether the environment or the netrc file holds a key for wandb's address."""
    import netrc
    from urllib.parse import urlsplit

    if os.environ.get("WANDB_API_KEY"):
        return True
    file = Path(os.environ.get("NETRC") or "~/.netrc").expanduser()
    try:
        known = netrc.netrc(str(file)).hosts
    except (OSError, netrc.NetrcParseError):
        return False
    return bool({urlsplit(address).hostname, "api.wandb.ai"} & set(known))


def _answers(address: str) -> bool:
    """Whether an address answers at all, through a proxy where one is set."""
    from urllib.error import HTTPError
    from urllib.request import urlopen

    try:
        urlopen(address, timeout=5).close()
    except HTTPError:
        return True
    except (OSError, ValueError):
        return False
    return True


class _Trackio:
    def __init__(self, run: Run) -> None:
        # trackio reads it when it is imported.
        place = os.environ.setdefault("TRACKIO_DIR", str(run.folder / "trackio"))
        said = StringIO()
        with redirect_stdout(said):
            import trackio

            # Not the run's own `finish`, after which trackio would end it once more at exit.
            self._end = trackio.finish
            self._run = trackio.init(
                project=run.project, name=run.name, resume="allow", config=dict(run.settings), embed=False,
                auto_log_cpu=False, auto_log_gpu=False,
            )  # fmt: skip
        log.debug("%s", said.getvalue())
        log.info("tracked by trackio: TRACKIO_DIR=%s trackio show --project %s", place, run.project)

    def log(self, step: int, values: Mapping[str, float]) -> None:
        self._run.log(dict(values), step=step)

    def close(self) -> None:
        with redirect_stdout(StringIO()), redirect_stderr(StringIO()):
            self._end()


_MAKERS: dict[str, Callable[[Run], Tracker]] = {"tensorboard": _TensorBoard, "wandb": _Wandb, "trackio": _Trackio}
