"""What the page shows of a run: how far its training is, its facts, its report. It only ever reads."""

import json
import time
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from knowledge_update.chat.evidence import NONE, Evidence
from knowledge_update.display import clean
from knowledge_update.evaluation.formats import duration
from knowledge_update.run_folder import RunFolder

# Seconds without a line after which a training is not called under way.
_QUIET = 120.0


@dataclass(frozen=True)
class Progress:
    """What a training has told so far.

    Args:
        lines: Those of `metrics.jsonl`.
        age: Seconds since the last of them.
    """

    lines: list[dict[str, Any]]
    age: float

    @property
    def steps(self) -> list[dict[str, Any]]:
        return [line for line in self.lines if "loss" in line]


def progress(run: RunFolder) -> Progress | None:
    """What a training has told; nothing where it has told nothing. A line that is being written is left for later."""
    try:
        stamp = run.metrics.stat()
        lines = _lines(run.metrics, stamp.st_mtime_ns, stamp.st_size)
    except FileNotFoundError:
        return None
    return Progress(lines, max(0.0, time.time() - stamp.st_mtime)) if lines else None


@lru_cache(maxsize=4)
def _lines(path: Path, _changed: int, _size: int) -> list[dict[str, Any]]:
    whole = path.read_bytes().rpartition(b"\n")[0]
    return [json.loads(line) for line in whole.splitlines() if line]


def progress_html(run: RunFolder) -> str:
    """How far the training is, as a part of the page."""
    told = progress(run)
    steps = told.steps if told else []
    validations = [line["validation_loss"] for line in told.lines if "validation_loss" in line] if told else []
    last = steps[-1] if steps else {}
    figures = {
        "step": f"{last['step']:,}", "loss": f"{last['loss']:.3f}", "learning rate": f"{last['rate']:.2g}",
        "rows a second": f"{last['rows_per_second']:.1f}", "tokens a second": f"{last['tokens_per_second']:,.0f}",
        "time": duration(last["seconds"]),
    } if steps else {}  # fmt: skip
    if validations:
        figures["validation loss"] = f"{validations[-1]:.3f}"
    return _rendered(
        "progress", name=run.path.resolve().name, figures=figures, state=_state(run, told),
        plot=_plot(tuple((line["step"], line["loss"]) for line in steps)) if len(steps) > 1 else None,
    )  # fmt: skip


def _state(run: RunFolder, told: Progress | None) -> str:
    trained = run.training_arguments.stat().st_mtime if run.training_arguments.exists() else None
    if told is None:
        return "trained" if trained else "no training has told anything yet"
    # What is kept at the end is kept after the last line; an adapter of before is older than the first.
    if trained and trained >= time.time() - told.age - 1:
        return "the training is done"
    if told.age < _QUIET:
        return f"the training is under way; it told of itself {told.age:.0f} s ago"
    return f"the training has not ended, and told nothing for {duration(told.age)}: it was stopped, or is slow"


@lru_cache(maxsize=4)
def _plot(points: tuple[tuple[int, float], ...]) -> Any:
    from knowledge_update.evaluation.plots import logged_loss

    return logged_loss([step for step, _ in points], [loss for _, loss in points])


def report_html(run: RunFolder) -> str:
    """The report of a run in a frame of its own, which may not touch the page around it."""
    try:
        report = run.report.read_text(encoding="utf-8")
    except FileNotFoundError:
        report = ""
    return _rendered("report", report=report, command=f"kupdate run DOCS --out {run.path}")


def evidence_html(found: list[Evidence], note: str = "") -> str:
    """Facts with quote and document, as a part of the page."""
    facts = [
        {
            "text": clean(evidence.known.fact.text), "quote": clean(evidence.known.fact.quote),
            "title": clean(evidence.known.title), "path": clean(str(evidence.known.path)),
            "shared": ", ".join(evidence.shared),
        }
        for evidence in found
    ]  # fmt: skip
    return _rendered("evidence", facts=facts, note=note or ("" if facts else NONE))


def note_html(note: str) -> str:
    """A line about the conversation, as a part of the page."""
    return _rendered("note", note=clean(note))


def _rendered(template: str, **content: Any) -> str:
    return _environment().get_template(f"{template}.html.jinja").render(content)


@lru_cache(maxsize=1)
def _environment() -> Environment:
    return Environment(
        loader=FileSystemLoader(Path(__file__).parent / "templates"), autoescape=True, undefined=StrictUndefined,
        trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
