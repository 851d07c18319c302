"""Several runs beside each other: one page, and a table for a terminal."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from knowledge_update.composition import keys, value_of
from knowledge_update.config import Config
from knowledge_update.display import clean
from knowledge_update.errors import UserError
from knowledge_update.evaluation import plots
from knowledge_update.evaluation.exam import exam
from knowledge_update.evaluation.formats import chance, duration, known, percent, points, span
from knowledge_update.evaluation.names import ANSWERED, SETS, SHORT
from knowledge_update.evaluation.pages import cleaned, write_page
from knowledge_update.evaluation.stage import scored
from knowledge_update.evaluation.statistics import mcnemar, paired_interval
from knowledge_update.run_config import PLACES, stored
from knowledge_update.run_folder import RunFolder, read_json

Table = tuple[str, list[str], list[list[str]]]
# A question is the same in another run when it is asked and answered in the same words.
Question = tuple[str, str, tuple[str, ...]]


@dataclass(frozen=True)
class Run:
    """A run that is compared.

    Args:
        name: Of its folder, made different from the others'.
        config: What it was made with.
        figures: Its `evaluation.json`.
        right: Whether its updated model answers a question rightly.
    """

    name: str
    config: Config
    figures: Mapping[str, Any]
    right: Mapping[Question, bool]


def compare(paths: Sequence[Path], page: Path) -> list[Table]:
    """Writes a page that compares runs; returns the same as tables.

    Args:
        paths: The run folders; others are compared with the first.
        page: Where the page goes.

    Raises:
        UserError: When one run is named twice.
        RunFolderError: When a run has not been evaluated.
        WorkError: When the page cannot be written.
    """
    if len({path.resolve() for path in paths}) < len(paths):
        raise UserError("a run is named twice: there is nothing to compare")
    runs = [_run(path, name) for path, name in zip(paths, _names(paths), strict=True)]
    shown = [name for name in ANSWERED if any(_asked(run.figures, name) for run in runs)]
    content = {
        "runs": [{"name": run.name, **_row(run), "figures": run.figures} for run in runs],
        "shown": shown,
        "sets": SETS,
        "plot": plots.runs([(run.name, run.figures) for run in runs], shown),
        "gains": _gains(runs, shown),
        "first": runs[0].name,
        "settings": _settings(runs),
    }
    write_page(page, "runs.html.jinja", cleaned(content))
    return _tables(runs, shown)


def _run(path: Path, name: str) -> Run:
    folder = RunFolder(path)
    config = stored(folder)
    figures = read_json(folder.require(folder.evaluation, f"evaluate {path}"))
    rows = scored(exam(config, folder), folder)
    right = {(row["set"], row["question"], tuple(row["answers"])): bool(row["updated"]["right"]) for row in rows}
    return Run(name, config, figures, right)


def _names(paths: Sequence[Path]) -> list[str]:
    """Names of folders, with as many folders above as it takes to tell them apart."""
    parts = [path.resolve().parts for path in paths]
    depth = 1
    while len({part[-depth:] for part in parts}) < len(parts):
        depth += 1
    return [clean("/".join(part[-depth:])) for part in parts]


def _asked(figures: Mapping[str, Any], name: str) -> bool:
    return bool(figures.get(name, {}).get("n"))


def _row(run: Run) -> dict[str, str]:
    """What is told of a run beside its questions."""
    figures = run.figures
    retention, unknown, facts = figures.get("retention"), figures.get("unanswerable"), figures["facts"]
    return {
        "kept": percent(retention["kept"]) if retention and known(retention) else "–",
        "invented": percent(unknown["updated"]) if unknown else "–",
        "learned": f"{facts['learned']:,} of {facts['asked']:,}",
        "time": duration(figures["seconds"].get("total", 0.0)),
    }


def _gains(runs: Sequence[Run], shown: Sequence[str]) -> list[dict[str, Any]]:
    """How much better each run answers than the first what both were asked; nothing where that is nothing."""
    first, found = runs[0], []
    for name, other in ((name, run) for name in shown for run in runs[1:]):
        common = sorted(question for question in first.right.keys() & other.right.keys() if question[0] == name)
        if not common:
            continue
        before, after = ([run.right[question] for question in common] for run in (first, other))
        draw = {"resamples": other.config.evaluation.resamples, "seed": other.config.seed}
        found.append({
            "set": SETS[name], "run": other.name, "n": len(common), "gain": (sum(after) - sum(before)) / len(common),
            "interval": paired_interval(after, before, **draw), "chance": mcnemar(after, before),
        })  # fmt: skip
    return found


def _settings(runs: Sequence[Run]) -> list[tuple[str, list[str]]]:
    """Keys of the configuration in which the runs differ, with the value of each."""
    found = []
    for key in keys():
        values = [str(value_of(run.config, key)) for run in runs]
        if len(set(values)) > 1 and key not in PLACES:
            found.append((key, values))
    return found


def _tables(runs: Sequence[Run], shown: Sequence[str]) -> list[Table]:
    columns = ["run", *(SHORT[name] for name in shown), "kept", "invented", "facts learned", "time"]
    rows = [[run.name, *(_share(run.figures.get(name)) for name in shown), *_row(run).values()] for run in runs]
    found: list[Table] = [("Runs", columns, rows)]
    gains = [
        [gain["set"], gain["run"], str(gain["n"]), points(gain["gain"]),
         f"{points(gain['interval'][0])} to {points(gain['interval'][1])}", chance(gain["chance"])]
        for gain in _gains(runs, shown)
    ]  # fmt: skip
    if gains:
        title = f"Against {runs[0].name}, on the questions both were asked, in points"
        found.append((title, ["questions", "run", "n", "gain", "95 % interval", "McNemar"], gains))
    if settings := _settings(runs):
        found.append(
            ("What differs", ["key", *(run.name for run in runs)], [[key, *values] for key, values in settings])
        )
    return found


def _share(part: Mapping[str, Any] | None) -> str:
    return f"{percent(part['updated'])} ({span(part['interval'])})" if part and part["n"] else "–"
