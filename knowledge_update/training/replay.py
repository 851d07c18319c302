"""Replay: general prompts with the untouched model's own answers, so that it goes on answering them so.

What is learned at each token is not the answer alone but the model's whole opinion there (its likeliest tokens with
their probabilities), which ties the trained model to the untouched one: distillation (arXiv 1503.02531) on itself.
"""

from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

from knowledge_update.config import Config
from knowledge_update.display import progress
from knowledge_update.inference import Generator, question_prompts
from knowledge_update.run_folder import Row, RunFolder, journal, read_journal, read_rows
from knowledge_update.templates import ChatTemplate
from knowledge_update.training.objective import Hidden, grouped, logits_of, packs
from knowledge_update.training.rows import IGNORED, Encoded
from knowledge_update.training.trunk import Trunk
from knowledge_update.workers import workers

PROMPTS = Path(__file__).parent / "data" / "replay_prompts.jsonl"
CANDIDATES = 32


def replayed(model: Any, template: ChatTemplate, config: Config, folder: RunFolder, languages: set[str]) -> list[Row]:
    """Rows of general prompts in the languages that are taught, answered by the untouched model.

    Answers are kept in the run folder; an earlier attempt's are used again.
    """
    if config.training.replay_share == 0:
        return []
    prompts = [row for row in read_rows(PROMPTS) if row["lang"] in languages]
    known = {row["id"] for row in read_journal(folder.replay)}
    missing = {row["id"]: row["prompt"] for row in prompts if row["id"] not in known}
    if missing:
        length = config.training.replay_tokens
        generator = Generator(model, template, batch_rows=config.inference.batch_rows, max_new_tokens=length)
        with journal(folder.replay) as append, progress("Asking for replay", len(missing), "prompts") as advance:
            for batch in generator.answers(question_prompts(template, list(missing.items()))):
                append({"id": name, "prompt": missing[name], "answer": answer} for name, answer in batch)
                advance(len(batch))
    wanted = {row["id"] for row in prompts}
    answers = sorted(read_journal(folder.replay), key=lambda row: row["id"])
    return [_row(row) for row in answers if row["id"] in wanted and row["answer"]]


def _row(row: Row) -> Row:
    return {
        "messages": [{"role": "user", "content": row["prompt"]}, {"role": "assistant", "content": row["answer"]}],
    }


def with_opinions(
    model: Any, rows: Sequence[Encoded], prefix: Sequence[int], trunk: Trunk | None = None
) -> list[Encoded]:
    """The rows with the model's `CANDIDATES` likeliest tokens and their probabilities at every learned position."""
    found: list[Encoded] = []
    upper, hidden = (trunk.upper(), trunk.hidden) if trunk else (nullcontext(), None)
    told = progress("Taking the untouched model's opinions", len(rows), "prompts")
    with upper, told as advance, workers(model.device.type) as hands:
        for done in [hands.start(_of_group, model, group, prefix, hidden) for group in grouped(rows)]:
            part = done.result()
            found.extend(part)
            advance(len(part))
    return found


def _of_group(model: Any, rows: Sequence[Encoded], prefix: Sequence[int], hidden: Hidden | None) -> list[Encoded]:
    import torch

    with torch.no_grad():
        (pack,) = packs(rows, prefix, model.dtype, hidden)
        ids, probabilities = _opinions(logits_of(model, pack))
    counts = [sum(label != IGNORED for label in row.labels[1:]) for row in rows]
    opinions = zip(rows, torch.split(ids, counts), torch.split(probabilities, counts), strict=True)
    return [replace(row, soft=(own.clone(), weights.clone())) for row, own, weights in opinions]


def _opinions(logits: Any) -> tuple[Any, Any]:
    import torch

    best = torch.softmax(logits.float(), dim=-1).topk(min(CANDIDATES, logits.shape[1] // 2))
    return best.indices.cpu(), best.values.cpu()
