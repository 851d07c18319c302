"""Replay: general prompts with the untouched model's own answers, so that it goes on answering them so.

What is learned is not the answer alone but all that the model makes of it: `training.opinions`.
"""

import hashlib
import json
from collections.abc import Set
from pathlib import Path
from typing import Any

from knowledge_update.config import Config
from knowledge_update.display import log, progress
from knowledge_update.durations import seconds_of
from knowledge_update.errors import WorkError
from knowledge_update.inference import Generator, question_prompts
from knowledge_update.models import cache_folder, identity
from knowledge_update.run_folder import Row, RunFolder, journal, read_journal, read_rows, write_rows
from knowledge_update.templates import ChatTemplate

PROMPTS = Path(__file__).parent / "data" / "replay_prompts.jsonl"
# With a budget as many as these: asking and reading them is a tenth of it on two cores with bf16 units, once a model.
_LEAST, _A_SECOND = 500, 2


def replayed(model: Any, template: ChatTemplate, config: Config, folder: RunFolder, languages: Set[str]) -> list[Row]:
    """Rows of general prompts in the languages that are taught, answered by the untouched model.

    Answers are kept in the run folder, and for later runs in the user's cache: they are the model's alone.
    """
    if config.training.replay_share == 0:
        return []
    prompts = _prompts(config, languages)
    cached = _cached(model, template, config)
    known = _known(cached, prompts) | _known(folder.replay, prompts)
    missing = {name: prompt for name, prompt in prompts.items() if name not in known}
    if missing:
        known |= _asked(model, template, config, folder.replay, missing)
    rows = [{"id": name, "prompt": prompts[name], "answer": known[name]} for name in sorted(prompts)]
    # Whoever answered them, and in whatever order: the same file.
    if read_journal(folder.replay) != rows:
        write_rows(folder.replay, rows)
    _keep(cached, rows)
    return [_row(row) for row in rows if row["answer"]]


def _prompts(config: Config, languages: Set[str]) -> dict[str, str]:
    """Those that are replayed, by their ids: what only a few are kept up by is kept up for these few alone."""
    settings = config.training
    every = {row["id"]: row["prompt"] for row in read_rows(PROMPTS) if row["lang"] in languages}
    budget, count = settings.budget or config.budget, settings.replay_prompts
    if count is None and budget:
        count = max(_LEAST, int(_A_SECOND * seconds_of(budget)))
        if count < len(every):
            log.info("%d of %d general prompts for a budget of %s (training.replay_prompts)", count, len(every), budget)
    return dict(list(every.items())[:count])


def _asked(model: Any, template: ChatTemplate, config: Config, path: Path, missing: dict[str, str]) -> dict[str, str]:
    """What the model answers, journalled as it does."""
    known: dict[str, str] = {}
    length = config.training.replay_tokens
    generator = Generator(model, template, batch_rows=config.inference.batch_rows, max_new_tokens=length)
    with journal(path) as append, progress("Asking for replay", len(missing), "prompts") as advance:
        for batch in generator.answers(question_prompts(template, list(missing.items()))):
            append({"id": name, "prompt": missing[name], "answer": answer} for name, answer in batch)
            known |= dict(batch)
            advance(len(batch))
    return known


def _keep(cached: Path, rows: list[Row]) -> None:
    """Puts the answers into the cache, beside those to other prompts."""
    before = {row["id"]: row for row in read_journal(cached)}
    after = before | {row["id"]: row for row in rows}
    if after == before:
        return
    try:
        cached.parent.mkdir(parents=True, exist_ok=True)
        write_rows(cached, [after[name] for name in sorted(after)])
    except (OSError, WorkError) as error:
        log.info("the answers for replay are kept for this run alone: %s", error)


def _known(path: Path, prompts: dict[str, str]) -> dict[str, str]:
    """The answers of a journal to prompts that are still the same."""
    rows = read_journal(path)
    return {row["id"]: row["answer"] for row in rows if row["prompt"] == prompts.get(row["id"])}


def _cached(model: Any, template: ChatTemplate, config: Config) -> Path:
    """Where the user's cache keeps what this model answers; what it depends on is in the name."""
    base = identity(model.config._name_or_path)
    settings = [base, str(model.dtype), config.model.bits, config.training.replay_tokens, template.question("")]
    name = hashlib.sha256(json.dumps(settings).encode()).hexdigest()[:16]
    return cache_folder() / "replay" / f"{name}.jsonl"


def _row(row: Row) -> Row:
    return {
        "messages": [{"role": "user", "content": row["prompt"]}, {"role": "assistant", "content": row["answer"]}],
    }
