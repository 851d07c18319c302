"""Replay: general prompts with the untouched model's own answers, so that it goes on answering them so.

What is learned is not the answer alone but the model's whole opinion: at each token of the answer its likeliest tokens
with their probabilities (distillation on itself, arXiv 1503.02531), and at every token what its last layer puts out.
"""

from collections.abc import Sequence, Set
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from knowledge_update.config import Config
from knowledge_update.display import progress
from knowledge_update.inference import Generator, question_prompts
from knowledge_update.run_folder import Row, RunFolder, journal, read_journal, read_rows
from knowledge_update.templates import ChatTemplate
from knowledge_update.training.objective import Hidden, grouped, logits_of, packs, states_of
from knowledge_update.training.rows import IGNORED, Encoded, Opinion
from knowledge_update.training.trunk import Trunk
from knowledge_update.workers import workers

PROMPTS = Path(__file__).parent / "data" / "replay_prompts.jsonl"
CANDIDATES = 32


def replayed(model: Any, template: ChatTemplate, config: Config, folder: RunFolder, languages: Set[str]) -> list[Row]:
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
    model: Any, rows: Sequence[Encoded], prefix: Sequence[int], pull: float, trunk: Trunk | None = None
) -> list[Encoded]:
    """The rows with what the model makes of them.

    Args:
        model: The untouched model.
        rows: Chat rows.
        prefix: The ids that stand before rows marked as sharing them.
        pull: How much straying from its states shall count.
        trunk: What the model's lower layers make of the rows, where that is known.
    """
    found: list[Opinion] = []
    upper, hidden = (trunk.upper(), trunk.hidden) if trunk else (nullcontext(), None)
    told = progress("Taking the untouched model's opinions", len(rows), "prompts")
    with upper, told as advance, workers(model.device.type) as hands:
        for done in [hands.start(_of_group, model, group, prefix, pull, hidden) for group in grouped(rows)]:
            part = done.result()
            found.extend(part)
            advance(len(part))
    return [replace(row, opinion=opinion) for row, opinion in zip(rows, found, strict=True)]


@torch.no_grad()
def _of_group(
    model: Any, rows: Sequence[Encoded], prefix: Sequence[int], pull: float, hidden: Hidden | None
) -> list[Opinion]:
    """The model's states at every token, and at every label its `CANDIDATES` likeliest tokens."""
    (pack,) = packs(rows, prefix, model.dtype, hidden)
    states = states_of(model, pack)
    probabilities = torch.softmax(logits_of(model, states, pack).float(), dim=-1)
    best = probabilities.topk(min(CANDIDATES, probabilities.shape[1] // 2))
    labels = [sum(label != IGNORED for label in row.labels[1:]) for row in rows]
    own = [
        states[list(places[len(prefix) if row.shared else 0 :])].cpu()
        for row, places in zip(rows, pack.places, strict=True)
    ]
    parts = zip(_rows_of(best.indices, labels), _rows_of(best.values, labels), own, strict=True)
    return [Opinion(ids, likely, read, pull) for ids, likely, read in parts]


def _rows_of(together: Tensor, counts: list[int]) -> list[Tensor]:
    """A tensor cut at its rows' ends, nothing shared, so that one row does not keep all in memory."""
    return [part.clone() for part in torch.split(together.cpu(), counts)]
