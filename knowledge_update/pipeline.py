"""The road: documents to a model that knows them, and the proof.

    documents ──read──▶ chunks ──write──▶ facts ──ask──▶ questions ──▶ rows ──train──▶ adapter
                                   └────────── ledger (SQLite) ──────────┘                 │
    report ◀──evaluate── answers ◀──infer── base model, updated model ◀──────────────────┘

A stage is a function of the configuration and the run folder: it reads named files there and writes named files there.
No stage knows another; this module alone knows their order. A stage that is run again does not do finished work twice.
"""

import time
import traceback
from collections.abc import Callable
from typing import Any

from knowledge_update import processes
from knowledge_update.config import Config
from knowledge_update.deadline import Deadline
from knowledge_update.display import log, to_file
from knowledge_update.errors import KnowledgeUpdateError, UserError
from knowledge_update.run_config import save
from knowledge_update.run_folder import RunFolder, read_json, write_json


def collect(config: Config, folder: RunFolder) -> Any:
    """Documents to facts and questions: `ledger.sqlite` and `dataset/`."""
    from knowledge_update import exports
    from knowledge_update.writing.stage import run

    # A place that cannot be is told before the work, not after it.
    exports.places(config)
    result = run(config, folder)
    exports.save(config, folder)
    return result


def train(config: Config, folder: RunFolder) -> Any:
    """Rows to an adapter: `adapter/`, `losses/` and `metrics.jsonl`; in several processes where that is asked for."""
    from knowledge_update.training.engines import launch
    from knowledge_update.training.stage import finished, run

    if not launch.wanted(config.engine):
        return run(config, folder)
    launch.start(config)
    return finished(folder)


def ask_base(config: Config, folder: RunFolder) -> Any:
    """The questions that need no adapter, asked before there is one: `answers/`."""
    from knowledge_update.evaluation.answers import run_base

    return run_base(config, folder)


def infer(config: Config, folder: RunFolder) -> Any:
    """Questions to answers: `answers/`."""
    from knowledge_update.evaluation.answers import run

    return run(config, folder)


def evaluate(config: Config, folder: RunFolder) -> Any:
    """Answers to figures: `evaluation.json` and `report.html`."""
    from knowledge_update.evaluation.stage import run

    return run(config, folder)


STAGES: tuple[Callable[[Config, RunFolder], Any], ...] = (collect, train, infer, evaluate)


def run(config: Config, folder: RunFolder) -> Any:
    """Goes the whole road; returns what the last stage returns.

    Args:
        config: The resolved configuration, `documents` named.
        folder: Where everything goes; what is finished there is not done again.
    """
    if not processes.keeps():
        # Only training is work for several processes.
        return run_stage(train, config, folder)
    if config.model.bits or config.adapter.start_from:
        from knowledge_update.training import methods

        # What training would stumble over is told before documents are read.
        methods.check(config)
    if config.budget is not None:
        return run_within(config, folder)
    result = None
    for stage in STAGES:
        result = run_stage(stage, config, folder)
    return result


def run_within(config: Config, folder: RunFolder) -> Any:
    """Goes the whole road in the time `config.budget`: training gets what the other stages do not need."""
    deadline = Deadline(config, folder)
    deadline.begin()
    try:
        run_stage(collect, config, folder)
        deadline.note()
        deadline.asked(run_stage(ask_base, config, folder).seconds)
        for stage in (train, infer, evaluate):
            deadline.note()
            result = run_stage(stage, config, folder)
    finally:
        if folder.config.exists():
            deadline.note()
    deadline.end()
    return result


def run_stage(stage: Callable[[Config, RunFolder], Any], config: Config, folder: RunFolder) -> Any:
    """Runs one stage, with its log and its time kept in the folder; a mistake leaves no new folder behind.

    Of several processes one keeps the folder; the others only take part in the work.
    """
    if not processes.keeps():
        with to_file(folder.log):
            return stage(config, folder) if stage is train else None
    new = not folder.config.exists()
    folder.create()
    with folder.alone():
        save(config, folder)
        try:
            with to_file(folder.log):
                return _timed(stage, config, folder)
        except UserError:
            # Before there is a ledger only inputs were looked at: the folder is not bound to a mistyped one.
            if new and not folder.ledger.exists():
                folder.discard()
            raise


def _timed(stage: Callable[[Config, RunFolder], Any], config: Config, folder: RunFolder) -> Any:
    start = time.monotonic()
    finished = False
    try:
        result = stage(config, folder)
        finished = True
    except Exception as error:
        # The terminal tells an error in one line; the log keeps where one that nobody foresaw came from.
        if not isinstance(error, KnowledgeUpdateError):
            log.debug("%s", traceback.format_exc())
        raise
    finally:
        seconds = _spent(folder, stage.__name__, time.monotonic() - start, finished=finished)
    log.info("%s: %s (%.0f s)", stage.__name__, _said(result), seconds)
    return result


def _spent(folder: RunFolder, stage: str, seconds: float, *, finished: bool) -> float:
    """Adds the time of an attempt to those that failed before; a repeat of finished work does not count."""
    spent = read_json(folder.seconds) if folder.seconds.exists() else {}
    failed = spent.get("failed", {})
    total: float = failed.pop(stage, 0.0) + seconds
    if finished:
        spent[stage] = round(max(total, spent.get(stage, 0.0)), 1)
    else:
        failed[stage] = round(total, 1)
    write_json(folder.seconds, {**spent, "failed": failed})
    return total


def _said(result: Any) -> str:
    """A result in a line: its counts."""
    counts = {name: value for name, value in vars(result).items() if not isinstance(value, dict)}
    return ", ".join(f"{value} {name.replace('_', ' ')}" for name, value in counts.items()) or "written"
