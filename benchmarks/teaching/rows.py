"""The rows that every arm trains on, as token ids and labels, written once and known by their hash."""

import hashlib
import itertools
import json
import random
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import invented

from knowledge_update.models import EMBEDDED, load_tokenizer, resolve
from knowledge_update.templates import ChatTemplate
from knowledge_update.training.rows import IGNORED, Encoder

LONG_TOKENS = 512


@dataclass(frozen=True)
class Settings:
    """What all arms have in common beside the rows: the model, the adapter, the optimizer, rows a step.

    `schedule` by the name that transformers has for it; `steps` are more than a measurement of speed takes. `targets`
    are names of maps, or PEFT's name for all of them.
    """

    model: str
    rows_per_step: int
    rank: int = 16
    alpha: int = 32
    learning_rate: float = 5e-4
    betas: tuple[float, float] = (0.9, 0.99)
    eps: float = 1e-5
    weight_decay: float = 0.0
    max_grad_norm: float = 1.0
    dtype: str = "float32"
    seed: int = 0
    schedule: str = "constant"
    steps: int = 100_000
    shuffled: bool = False
    targets: str | tuple[str, ...] = "all-linear"


def write(path: Path, kind: str, count: int, rows_per_step: int, dtype: str) -> str:
    """Writes rows of a kind with the settings to train them by; returns their hash.

    Args:
        path: The file.
        kind: `short` (a question and its answer, the answer learned) or `long` (text of 512 tokens, all learned).
        count: How many.
        rows_per_step: Rows of an optimizer step.
        dtype: What all arms compute in.
    """
    folder = resolve(EMBEDDED)
    encoder = Encoder(ChatTemplate(load_tokenizer(folder)))
    rows = made(kind, encoder, count)
    prefix = list(encoder.prefix) if kind == "short" else []
    hashed = digest(rows)
    settings = asdict(Settings(folder, rows_per_step, dtype=dtype))
    path.write_text(json.dumps({"settings": settings, "prefix": prefix, "hash": hashed, "rows": rows}))
    return hashed


def made(kind: str, encoder: Encoder, count: int) -> list[dict[str, list[int]]]:
    """Rows of a kind, the same ones for the same tokenizer."""
    pairs = itertools.islice(_short(encoder) if kind == "short" else _long(encoder), count)
    return [{"input_ids": ids, "labels": labels} for ids, labels in pairs]


def digest(rows: list[dict[str, Any]]) -> str:
    """What rows are known by."""
    pairs = [[row["input_ids"], row["labels"]] for row in rows]
    return hashlib.sha256(json.dumps(pairs).encode()).hexdigest()[:16]


def _short(encoder: Encoder) -> Iterator[tuple[list[int], list[int]]]:
    """Questions about invented facts, in an order of chance, so that a step's rows are of different facts."""
    for seed in itertools.count():
        asked = invented.training_rows(invented.facts(240, seed))
        for row in random.Random(seed).sample(asked, len(asked)):
            (encoded,) = encoder.parts(row)
            head = list(encoder.prefix) if encoded.shared else []
            yield [*head, *encoded.ids], [*[IGNORED] * len(head), *encoded.labels]


def _long(encoder: Encoder) -> Iterator[tuple[list[int], list[int]]]:
    """Texts of statements, cut at `LONG_TOKENS`; of the first token nothing is learned, since nothing predicts it."""
    tokenizer = encoder.template.tokenizer
    for seed in itertools.count(1000):
        text = " ".join(fact.statement for fact in invented.facts(60, seed))
        ids = tokenizer(text, add_special_tokens=False)["input_ids"][:LONG_TOKENS]
        assert len(ids) == LONG_TOKENS, "sixty statements are more than one text"
        yield ids, [IGNORED, *ids[1:]]
