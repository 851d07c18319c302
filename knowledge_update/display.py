"""What a person sees while work goes on: decisions as lines, long work as progress, results as tables.

Everything goes through `logging`, so that `run.log` holds it too. Text of documents and models is never read as
markup, and control characters are taken out of it.
"""

import logging
import os
import re
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from knowledge_update import processes

PLAIN_SECONDS = 15.0
_FIGURE = re.compile(r"[-–—\d.,%+\s]*")
ESCAPES = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)")

console = Console(highlight=False, soft_wrap=True)
log = logging.getLogger("knowledge_update")

Advance = Callable[..., None]


def clean(text: str) -> str:
    """Takes control characters and escape sequences out of text that is shown."""
    text = ESCAPES.sub("", text)
    return re.sub(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", "", text)


class _Clean(logging.Filter):
    def filter(self, record: logging.LogRecord) -> bool:
        record.msg, record.args = clean(record.getMessage()), ()
        return True


class _Terminal(logging.Handler):
    """Prints a line above whatever progress is shown."""

    def emit(self, record: logging.LogRecord) -> None:
        console.print(Text(self.format(record)))


def to_terminal(*, verbose: bool = False) -> None:
    """Shows what is logged on the terminal."""
    handler = _Terminal()
    handler.setLevel(logging.DEBUG if verbose else logging.INFO)
    handler.addFilter(_Clean())
    log.handlers = [handler]
    log.setLevel(logging.DEBUG)
    log.propagate = False


def to_nobody() -> None:
    """Shows nothing: of several processes one shows what goes on. Warnings of the others are for `to_file`."""
    log.handlers = [logging.NullHandler()]
    log.setLevel(logging.WARNING)
    log.propagate = False
    console.quiet = True
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    warnings.showwarning = _logged  # type: ignore[assignment]


def _logged(message: Warning | str, category: type[Warning], *_: Any) -> None:
    log.warning("%s: %s", category.__name__, message)


@contextmanager
def to_file(path: Path) -> Iterator[None]:
    """Writes what is logged to a file as well."""
    handler = logging.FileHandler(path, encoding="utf-8", delay=True)
    rank = processes.place().rank
    handler.setFormatter(logging.Formatter(f"%(asctime)s {f'process {rank}: ' if rank else ''}%(message)s"))
    handler.addFilter(_Clean())
    log.addHandler(handler)
    try:
        yield
    finally:
        log.removeHandler(handler)
        handler.close()


@contextmanager
def progress(what: str, total: int, unit: str = "", done: int = 0) -> Iterator[Advance]:
    """Shows how far long work is; yields `advance(steps=1, note="")`.

    A bar where there is a terminal, else a line every fifteen seconds.

    Steps may be parts of one: a step counts as done when its parts are, however they were rounded.

    Args:
        what: What is done.
        total: How many there are.
        unit: Of what.
        done: How many an earlier attempt has done; the time left is not reckoned from them.
    """
    if console.is_terminal:
        columns = (
            TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn(), TextColumn(unit),
            TimeElapsedColumn(), TextColumn("left"), TimeRemainingColumn(),
            TextColumn("{task.fields[note]}", markup=False),
        )  # fmt: skip
        with Progress(*columns, console=console, transient=True) as bar:
            task = bar.add_task(what, total=total, completed=done, note="")
            reached = float(done)

            def advance(steps: float = 1, note: str = "") -> None:
                nonlocal reached
                reached += steps
                bar.update(task, completed=round(reached, 6))
                if note:
                    bar.update(task, note=note)

            yield advance
        return
    yield _plain_progress(what, total, unit, done)


def _plain_progress(what: str, total: int, unit: str, before: int) -> Advance:
    start = last = time.monotonic()
    done, noted = float(before), ""

    def advance(steps: float = 1, note: str = "") -> None:
        nonlocal done, last, noted
        done += steps
        noted = note or noted
        now = time.monotonic()
        if now - last >= PLAIN_SECONDS:
            last = now
            left = f", {(now - start) / (done - before) * (total - done):.0f} s left" if done > before else ""
            log.info("%s: %d of %d %s%s%s", what, int(done + 1e-6), total, unit, left, f", {noted}" if noted else "")

    return advance


def table(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Prints a table; columns of figures stand to the right."""
    shown = Table(title=Text(title), title_justify="left", title_style="bold")
    for index, column in enumerate(columns):
        figures = rows and all(_FIGURE.fullmatch(row[index]) for row in rows)
        shown.add_column(Text(column), justify="right" if figures else "left", overflow="fold")
    for row in rows:
        shown.add_row(*(Text(clean(cell)) for cell in row))
    console.print(shown)
