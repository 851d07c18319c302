"""`kupdate check time`: one training a dataset, each timed from its start to its end, their mean against a limit."""

import glob
import hashlib
import math
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path

from knowledge_update.display import console, log, table
from knowledge_update.errors import ConfigError, DocumentError, RunFolderError
from knowledge_update.run_folder import digest, read_json, write_json

DATASETS = tuple(f"datasets/qa_pairs_00{number}.jsonl" for number in (1, 2, 3))
# The described settings; what the user gives comes after them, and wins.
SETTINGS = (
    "--per_device_train_batch_size", "32", "--gradient_accumulation_steps", "4", "--num_train_epochs", "5",
    "--learning_rate", "3e-4", "--lazy_preprocess", "True", "--use_lora", "True",
)  # fmt: skip
LOSSES = Path("losses")
RECORD = "durations.json"
_CLOCK = "%Y-%m-%d %H:%M:%S"


@dataclass(frozen=True)
class Run:
    """A training that ended.

    Args:
        dataset: Its file.
        started: When, by the clock.
        ended: When, by the clock.
        seconds: How long it took.
        failure: Why it failed, or nothing.
        key: The digest of what it was made of: the dataset, and the words of the command (there may be a secret).
    """

    dataset: str
    started: str
    ended: str
    seconds: float
    failure: str
    key: str


def check(patterns: Sequence[str], output: Path, limit: float, passed_on: Sequence[str]) -> bool:
    """Trains on every dataset, each in a process and a folder of its own, and compares the mean time with the limit.

    A training that has ended well is not repeated by the same command: its time is in `durations.json`. One that has
    not is begun anew, since a time is from start to end; what it left is put aside.

    Args:
        patterns: Datasets, or patterns of their names; the three described ones when empty.
        output: Gets a folder for every dataset.
        limit: Hours that the trainings may take on average.
        passed_on: Further words for `kupdate train`.

    Returns:
        Whether all of them ended well, and within the limit.

    Raises:
        ConfigError: For a limit that is none, and for two datasets of one name.
        DocumentError: When a dataset is missing.
        RunFolderError: When the output folder cannot be written, or its record not be read.
    """
    if not (0 < limit < math.inf):
        raise ConfigError(f"--limit-hours {limit:g}: above 0")
    datasets, start, runs = _datasets(patterns), launcher(), []
    try:
        output.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RunFolderError(f"cannot write {output}: {error.strerror}") from error
    for dataset in datasets:
        runs.append(_run(dataset, output, start, passed_on))
        _record(output, runs[-1])
    return _told(runs, limit)


def _datasets(patterns: Sequence[str]) -> list[Path]:
    found = []
    for pattern in patterns or DATASETS:
        # A file whose name looks like a pattern is meant as it is.
        names = [pattern] if Path(pattern).expanduser().is_file() else sorted(glob.glob(os.path.expanduser(pattern)))
        if not names:
            raise DocumentError(f"no dataset {pattern}: name them with --data_path FILE, once for each")
        found += [Path(name).expanduser() for name in names]
    stems = [path.stem for path in found]
    if twice := next((stem for stem in stems if stems.count(stem) > 1), None):
        raise ConfigError(f"two datasets are named {twice}: their models and losses would be one")
    return found


def _run(dataset: Path, output: Path, start: Sequence[str], passed_on: Sequence[str]) -> Run:
    words = [*SETTINGS, *passed_on]
    key = hashlib.sha256("\0".join([digest(dataset), *words]).encode()).hexdigest()[:16]
    folder, losses, before = output / dataset.stem, LOSSES / f"{dataset.stem}.npy", _recorded(output).get(dataset.stem)
    if before and (before.failure, before.key) == ("", key) and losses.exists():
        log.info("%s: trained already, in %.2f hours", dataset, before.seconds / 3600)
        return before
    _put_aside(folder)
    written = _written(losses)
    started, clock = datetime.now(), time.monotonic()
    log.info("%s: training began at %s", dataset, started.strftime(_CLOCK))
    code = _trained([*start, "train", "--data_path", str(dataset), "--output_dir", str(folder), *words])
    seconds, ended = time.monotonic() - clock, datetime.now()
    log.info("%s: training ended at %s, after %.2f hours", dataset, ended.strftime(_CLOCK), seconds / 3600)
    # Those of an earlier training must not be taken for this one's.
    failure = f"exit code {code}" if code else f"it left no {losses}" if _written(losses) == written else ""
    return Run(str(dataset), started.strftime(_CLOCK), ended.strftime(_CLOCK), round(seconds, 1), failure, key)


def _written(file: Path) -> int:
    """When a file was written last, 0 where there is none."""
    return file.stat().st_mtime_ns if file.exists() else 0


def launcher() -> list[str]:
    """The words before `train`: one process, or as many as the machine has GPUs or GPUS_PER_NODE says."""
    processes, nodes = _processes(), os.environ.get("NNODES", "1")
    if processes == 1 and nodes == "1":
        return [sys.executable, "-m", "knowledge_update"]
    places = {
        "nproc_per_node": str(processes), "nnodes": nodes, "node_rank": os.environ.get("NODE_RANK", "0"),
        "master_addr": os.environ.get("MASTER_ADDR", "localhost"), "master_port": os.environ.get("MASTER_PORT", "6001"),
    }  # fmt: skip
    words = [word for name, value in places.items() for word in (f"--{name}", value)]
    return [sys.executable, "-m", "torch.distributed.run", *words, "-m", "knowledge_update"]


def _processes() -> int:
    given = os.environ.get("GPUS_PER_NODE", "").strip()
    if not given:
        import torch

        return max(1, torch.cuda.device_count())
    if not given.isdigit() or int(given) < 1:
        raise ConfigError(f"GPUS_PER_NODE={given}: a number of processes, 1 or more")
    return int(given)


def _trained(command: Sequence[str]) -> int:
    """Runs a training, which says what it does where we do; its exit code."""
    console.file.flush()
    # In a group of its own, so that Ctrl-C reaches it once, from here.
    child = subprocess.Popen(command, stdin=subprocess.DEVNULL, process_group=0)
    try:
        return child.wait()
    finally:
        # Who stops us stops the training too, which saves before it ends.
        if child.poll() is None:
            child.terminate()
            child.wait()


def _put_aside(folder: Path) -> None:
    """Makes room for a training from its start; nothing is deleted."""
    if not folder.exists():
        return
    numbers = (number for number in range(1, 10_000) if not folder.with_name(f"{folder.name}.before-{number}").exists())
    aside = folder.with_name(f"{folder.name}.before-{next(numbers)}")
    folder.rename(aside)
    log.info("what an earlier training left in %s is in %s now", folder, aside)


def _recorded(output: Path) -> dict[str, Run]:
    file = output / RECORD
    try:
        return {stem: Run(**fields) for stem, fields in read_json(file).items()} if file.exists() else {}
    except (ValueError, TypeError, AttributeError) as error:
        raise RunFolderError(f"{file} cannot be read: remove it, or name another --output_dir") from error


def _record(output: Path, run: Run) -> None:
    runs = {**_recorded(output), Path(run.dataset).stem: run}
    write_json(output / RECORD, {stem: asdict(each) for stem, each in runs.items()})


def _told(runs: Sequence[Run], limit: float) -> bool:
    rows = [
        [
            run.dataset,
            run.started,
            run.ended,
            f"{run.seconds / 3600:.4g}",
            f"failed: {run.failure}" if run.failure else "",
        ]
        for run in runs
    ]
    table("Time of training", ("dataset", "started", "ended", "hours", ""), rows)
    well = [run.seconds / 3600 for run in runs if not run.failure]
    mean = sum(well) / len(well) if well else math.inf
    passed = len(well) == len(runs) and mean <= limit
    told = [f"{mean:.4g} hours on average, limit {limit:g}"] if well else []
    told += [f"{len(runs) - len(well)} of {len(runs)} failed"] if len(well) < len(runs) else []
    console.print(f"{'passed' if passed else 'not passed'}: {'; '.join(told)}", markup=False)
    return passed
