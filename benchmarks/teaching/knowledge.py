"""How long a training takes until the model knows: ours as it ships, and the fastest of the others with the same rows.

240 invented facts, two wordings of each trained, a third asked. At intervals the adapter is written and the clock
stands still; afterwards every adapter is asked by the same program. The level is the highest that both reach, the
seconds those until each first reached it. Ours also pays for the general prompts by which it keeps what the model knew
before; the other learns the questions alone.
"""

import json
import tempfile
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import invented

from knowledge_update.adapters import load_adapter
from knowledge_update.config import Config
from knowledge_update.errors import KnowledgeUpdateError
from knowledge_update.inference import Generator, question_prompts
from knowledge_update.models import EMBEDDED, load_model, load_tokenizer, precision, resolve
from knowledge_update.templates import ChatTemplate
from knowledge_update.training.rows import IGNORED, Encoder
from teaching.arms import Arm, Process
from teaching.rows import Settings, digest

FACTS, SEED, EPOCHS, ROWS_PER_STEP = 240, 7, 8, 16
Row = dict[str, Any]


def measure(arms: list[Arm], folder: Path, dtype: str) -> Iterator[Row]:
    """Trains one arm after the other; yields the curves and, of those so far, the level and the seconds to it."""
    made = invented.facts(FACTS, SEED)
    task = folder / "knowledge.json"
    _write(task, made, dtype)
    curves: Row = {}
    for arm in arms:
        try:
            curves[arm.name] = _curve(arm, task, made, folder, dtype)
        except (KnowledgeUpdateError, OSError, RuntimeError) as error:
            curves[arm.name] = {"error": str(error)}
        yield figures(curves)


def figures(curves: Row) -> Row:
    """The highest level that all arms with a curve reach, and when they reached it."""
    known = {name: curve for name, curve in curves.items() if isinstance(curve, list)}
    if not known:
        return {"curves": curves}
    level = min(max(share for _, share in curve) for curve in known.values())
    first = {name: next(seconds for seconds, share in curve if share >= level) for name, curve in known.items()}
    return {"level": round(level, 4), **first, "curves": curves}


def _write(path: Path, made: list[invented.Fact], dtype: str) -> None:
    base = resolve(EMBEDDED)
    encoder = Encoder(ChatTemplate(load_tokenizer(base)))
    conversations = invented.training_rows(made)
    rows = []
    for row in conversations:
        (encoded,) = encoder.parts(row)
        head = list(encoder.prefix) if encoded.shared else []
        rows.append({"input_ids": [*head, *encoded.ids], "labels": [*[IGNORED] * len(head), *encoded.labels]})
    settings = Settings(
        base, ROWS_PER_STEP, learning_rate=1e-3, dtype=dtype, schedule="linear", shuffled=True,
        steps=EPOCHS * len(rows) // ROWS_PER_STEP,
    )  # fmt: skip
    path.write_text(json.dumps({"settings": asdict(settings), "prefix": list(encoder.prefix), "hash": digest(rows),
                                "rows": rows, "conversations": conversations, "epochs": EPOCHS}))  # fmt: skip


def _curve(arm: Arm, task: Path, made: list[invented.Fact], folder: Path, dtype: str) -> list[tuple[float, float]]:
    """Seconds of training and the share that was known then."""
    points: list[tuple[float, Path]] = []
    spent, done = 0.0, False
    process = Process(arm, task, folder / f"{arm.name}-knowledge.log")
    try:
        if process.about["hash"] != json.loads(task.read_text())["hash"]:
            raise RuntimeError(f"{arm.name} trains other rows than it was given")
        while not done:
            adapter = Path(tempfile.mkdtemp(prefix=arm.name, dir=folder))
            told = process.train(arm.steps, adapter)
            spent, done = spent + sum(told["seconds"]), told["done"]
            if told["seconds"]:
                points.append((round(spent, 1), adapter))
    finally:
        process.stop()
    return [(seconds, _known(adapter, made, dtype)) for seconds, adapter in points]


def _known(adapter: Path, made: list[invented.Fact], dtype: str) -> float:
    """The share of held-out questions that a model with this adapter answers."""
    base, settings = resolve(EMBEDDED), Config().inference
    model = load_adapter(load_model(base, precision(dtype, "cpu")), adapter)
    template = ChatTemplate(load_tokenizer(base))
    prompts = question_prompts(template, [(fact.id, fact.held_out[0]) for fact in made])
    generator = Generator(model, template, batch_rows=settings.batch_rows, max_new_tokens=settings.max_new_tokens)
    said = dict(answer for batch in generator.answers(prompts) for answer in batch)
    return invented.share_known(made, [said[fact.id] for fact in made])
