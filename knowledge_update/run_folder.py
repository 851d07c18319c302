"""A run folder: the named files that stages read and write, and the ways a file may come into being.

A file either appears whole (written beside its place, then renamed) or grows line by line (a journal, whose torn last
line a killed process may leave behind is cut off before more is added).
"""

import fcntl
import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self, TextIO

from safetensors import SafetensorError

from knowledge_update import processes
from knowledge_update.display import log
from knowledge_update.errors import RunFolderError, WorkError

Row = dict[str, Any]


class RunFolder:
    """Names of everything a run leaves behind.

    Args:
        path: The folder; made when `create` is called.
    """

    parts: tuple[str, ...] = ("dataset", "answers", "losses")

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path).expanduser()

    @classmethod
    def existing(cls, path: str | Path) -> Self:
        """The one that is there.

        Raises:
            RunFolderError: When there is none.
        """
        folder = cls(path)
        if not folder.path.is_dir():
            raise RunFolderError(f"no such run folder: {path}")
        return folder

    def create(self) -> None:
        """Makes the folder, and puts back what a kill left under another name.

        Raises:
            RunFolderError: Where a file stands in its place or it cannot be written.
        """
        try:
            for name in ("", *self.parts):
                (self.path / name).mkdir(parents=True, exist_ok=True)
            for folder in (self.adapter, self.checkpoint):
                restore(folder)
        except OSError as error:
            raise RunFolderError(f"cannot write the run folder {self.path}: {error.strerror}") from error

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Keeps others out while work goes on here: they would do, and pay for, the same again.

        Raises:
            RunFolderError: When somebody is at work here.
        """
        # Of the folder itself, so that no file is left behind; the system gives it back however a process ends.
        place = os.open(self.path, os.O_RDONLY)
        try:
            fcntl.flock(place, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            os.close(place)
            raise RunFolderError(f"another kupdate is at work in {self.path}; wait, or use another --out") from error
        except OSError as error:
            # Some file systems know no locks: work goes on without.
            log.debug("no lock on %s: %s", self.path, error)
        try:
            yield
        finally:
            os.close(place)

    def discard(self) -> None:
        """Removes a folder that `create` made and no stage has written into; other files in it stay."""
        for file in (self.config, self.seconds, self.log):
            file.unlink(missing_ok=True)
        for folder in (*(self.path / name for name in self.parts), self.path):
            if not any(folder.iterdir()):
                folder.rmdir()

    def require(self, path: Path, made_by: str) -> Path:
        """Returns `path`, or says which verb makes it.

        Raises:
            RunFolderError: When it is not there.
        """
        restore(path)
        if not path.exists():
            raise RunFolderError(f"{self.path} has no {path.relative_to(self.path)}: run `kupdate {made_by}` first")
        return path

    @property
    def config(self) -> Path:
        return self.path / "config.yaml"

    @property
    def ledger(self) -> Path:
        return self.path / "ledger.sqlite"

    def dataset(self, name: str) -> Path:
        """A file of the dataset: `qa_pairs`, `train`, `validation`, `probes` or `questions`."""
        return self.path / "dataset" / f"{name}.jsonl"

    @property
    def adapter(self) -> Path:
        return self.path / "adapter"

    @property
    def training_arguments(self) -> Path:
        """What made the adapter: settings, results, and the hash of the rows it was trained on."""
        return self.adapter / "training.json"

    @property
    def checkpoint(self) -> Path:
        """The state of a training that has not finished."""
        return self.path / "checkpoint"

    @property
    def snapshots(self) -> Path:
        """Where what is trained is kept as it was at some steps."""
        return self.path / "snapshots"

    @property
    def clock(self) -> Path:
        """Seconds spent on a training that has a budget."""
        return self.path / "clock.json"

    @property
    def second_pass(self) -> Path:
        """When a training of two passes turned, and to which facts."""
        return self.path / "second-pass.json"

    @property
    def spent(self) -> Path:
        """Seconds spent on a run that has a budget."""
        return self.path / "spent.json"

    @property
    def trial(self) -> Path:
        """Where something is written only to see how long that takes."""
        return self.path / ".trial"

    @property
    def losses(self) -> Path:
        return self.path / "losses" / "train.npy"

    @property
    def metrics(self) -> Path:
        return self.path / "metrics.jsonl"

    @property
    def replay(self) -> Path:
        """General prompts with the untouched model's answers."""
        return self.path / "dataset" / "replay.jsonl"

    def answers(self, name: str) -> Path:
        """Answers: `base`, `updated`, `open_book`, `base_retrieval` or `updated_retrieval`."""
        return self.path / "answers" / f"{name}.jsonl"

    @property
    def seconds(self) -> Path:
        """Seconds spent in each stage, over all attempts."""
        return self.path / "seconds.json"

    @property
    def log(self) -> Path:
        return self.path / "run.log"

    @property
    def evaluation(self) -> Path:
        return self.path / "evaluation.json"

    @property
    def lm_eval(self) -> Path:
        """What lm-eval's tasks say of base and updated model."""
        return self.path / "lm_eval.json"

    def lm_eval_answers(self, name: str) -> Path:
        """What they say of one of the two."""
        return self.path / "lm_eval" / f"{name}.json"

    @property
    def report(self) -> Path:
        return self.path / "report.html"


class OutputFolder(RunFolder):
    """What a training leaves behind that has rows of its own and no run: `checkpoint-final` beside `checkpoint-STEP`.

    As the described systems have it, the losses of all trainings are together in `losses/`, where the command was said.

    Args:
        path: The folder; made when `create` is called.
        name: Of the rows, for their losses.
    """

    parts = ()

    def __init__(self, path: str | Path, name: str) -> None:
        super().__init__(path)
        self.name = name

    @property
    def adapter(self) -> Path:
        return self.path / "checkpoint-final"

    @property
    def checkpoint(self) -> Path:
        """The state of a training that has not finished."""
        return self.path / ".checkpoint"

    @property
    def snapshots(self) -> Path:
        return self.path

    @property
    def losses(self) -> Path:
        return Path("losses") / f"{self.name}.npy"

    @property
    def replay(self) -> Path:
        """General prompts with the untouched model's answers."""
        return self.path / "replay.jsonl"


@contextmanager
def whole_file(path: Path) -> Iterator[TextIO]:
    """Opens a text file that appears under its name only when it is complete.

    Raises:
        WorkError: When it cannot be written (a full disk, say); what stood there before stays.
    """
    with whole_path(path) as partial, partial.open("w", encoding="utf-8", newline="\n") as file:
        yield file
        file.flush()
        os.fsync(file.fileno())


@contextmanager
def whole_path(path: Path) -> Iterator[Path]:
    """Yields where to write a file that takes the place of `path` only when it is complete.

    Raises:
        WorkError: When it cannot be written; what stood there before stays.
    """
    partial = path.with_name(f".{path.name}.partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield partial
        partial.replace(path)
    except OSError as error:
        partial.unlink(missing_ok=True)
        raise WorkError(f"cannot write {path}: {error.strerror}; free some space and run the same again") from error


@contextmanager
def whole_folder(path: Path) -> Iterator[Path]:
    """Yields an empty folder that takes the place of `path` only when its content is complete.

    Raises:
        WorkError: When it cannot be written; what stood there before stays.
    """
    partial = path.with_name(f".{path.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    try:
        restore(path)
        partial.mkdir(parents=True)
        yield partial
        replaced = _replaced(path)
        if path.exists():
            path.rename(replaced)
        partial.rename(path)
        shutil.rmtree(replaced, ignore_errors=True)
    except (OSError, SafetensorError) as error:
        reason = getattr(error, "strerror", None) or error
        raise WorkError(f"cannot write {path}: {reason}; free some space and run the same again") from error
    finally:
        # Whatever went wrong, Ctrl-C too: what it holds may be large.
        shutil.rmtree(partial, ignore_errors=True)


@contextmanager
def folder_of_first(path: Path) -> Iterator[Path]:
    """A `whole_folder` for the first of several processes; the others gather with it what it writes, no more."""
    if processes.first():
        with whole_folder(path) as partial:
            yield partial
    else:
        yield path


def restore(path: Path) -> None:
    """Puts back the folder that a kill between the two renames of `whole_folder` left beside its place."""
    replaced = _replaced(path)
    if not replaced.exists():
        return
    if path.exists():
        shutil.rmtree(replaced)
    else:
        replaced.rename(path)


def _replaced(path: Path) -> Path:
    return path.with_name(f".{path.name}.replaced")


def write_json(path: Path, value: object) -> None:
    """Writes one JSON value, whole or not at all."""
    with whole_file(path) as file:
        json.dump(value, file, ensure_ascii=False, indent=2)
        file.write("\n")


def read_json(path: Path) -> Any:
    """Reads one JSON value."""
    return json.loads(path.read_text(encoding="utf-8"))


def write_rows(path: Path, rows: Iterable[Row]) -> None:
    """Writes a JSONL file, whole or not at all."""
    with whole_file(path) as file:
        file.writelines(map(as_line, rows))


def as_line(row: Row) -> str:
    """A row as a line of a JSONL file."""
    return json.dumps(row, ensure_ascii=False) + "\n"


def read_rows(path: Path) -> list[Row]:
    """Reads a JSONL file that this package wrote."""
    with path.open(encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def digest(path: Path) -> str:
    """The hash of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:16]


def mend(path: Path) -> None:
    """Cuts off the last line of a journal when a killed process tore it."""
    if not path.exists():
        return
    content = path.read_bytes()
    whole = content.rfind(b"\n") + 1
    if whole < len(content):
        os.truncate(path, whole)


def read_journal(path: Path) -> list[Row]:
    """Reads a journal, mended first; an absent one is empty."""
    mend(path)
    return read_rows(path) if path.exists() else []


@contextmanager
def journal(path: Path) -> Iterator[Callable[[Iterable[Row]], None]]:
    """Opens a JSONL file that grows; yields a function that appends rows durably.

    A last line torn by a killed process is cut off first.

    Raises:
        WorkError: When it cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    mend(path)

    def append(rows: Iterable[Row]) -> None:
        file.writelines(map(as_line, rows))
        file.flush()
        os.fsync(file.fileno())

    try:
        with path.open("a", encoding="utf-8", newline="\n") as file:
            yield append
    except OSError as error:
        raise WorkError(f"cannot write {path}: {error.strerror}; free some space and run the same again") from error
