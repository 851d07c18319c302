"""The inferring stage: a run's exam put to the base model and the updated one, without and with passages.

Answers are journalled as they are given; each says to what prompt it is one, so that of an exam that has changed only
what is new is asked.
"""

import hashlib
import json
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from knowledge_update.adapters import is_adapter, load_updated
from knowledge_update.config import Config
from knowledge_update.display import log, progress
from knowledge_update.errors import RunFolderError
from knowledge_update.evaluation.exam import Exam, exam
from knowledge_update.evaluation.passages import Passages
from knowledge_update.inference import Generator, Prompt
from knowledge_update.models import identity, load_model, load_tokenizer, precision, resolve
from knowledge_update.run_folder import (
    Row,
    RunFolder,
    digest,
    journal,
    read_journal,
    read_json,
    write_json,
    write_rows,
)
from knowledge_update.templates import ChatTemplate

# Tokens of an answer before what is asked for: "The answer is", "It was founded in".
_LEAD = 8
# More than any fact's answer has; a question file may hold whole pages as answers, for which nobody would wait.
_MOST_ROOM = 128


@dataclass(frozen=True)
class Answered:
    """How many answers there are of each kind."""

    base: int
    open_book: int
    updated: int
    retrieval: int


def run(config: Config, folder: RunFolder) -> Answered:
    """Writes the files of `answers/`; goes on where an earlier attempt ended.

    Raises:
        RunFolderError: When the folder has no questions or no adapter.
        ModelError: When the adapter does not fit the base model.
    """
    asked = exam(config, folder)
    folder.require(folder.adapter, f"train {folder.path}")
    _check_trained_on(folder)
    import torch

    asker = _Asker(config, folder, asked)
    base, open_book, retrieval = _ask_base(asker)
    updated = load_updated(asker.model, folder.adapter, asker.chosen)
    if is_adapter(folder.adapter) and asker.chosen.dtype == torch.float32 and not config.model.bits:
        # Exact to the last bits in fp32, and a third fewer products a token.
        updated.merge_adapter()
    adapter = _hash(folder.adapter)
    closed = asker.ask("updated", updated, asker.closed, adapter)
    return Answered(base, open_book, closed, retrieval + asker.ask("updated_retrieval", updated, asker.found, adapter))


@dataclass(frozen=True)
class AskedBase:
    """How many answers the base model has given, and how long those took that the updated one gives too, in seconds."""

    base: int
    open_book: int
    seconds: float


def run_base(config: Config, folder: RunFolder) -> AskedBase:
    """Asks the base model alone, which needs no adapter: what it takes tells what the updated one will.

    Raises:
        RunFolderError: When the folder has no questions.
    """
    asker = _Asker(config, folder, exam(config, folder))
    base, open_book, _ = _ask_base(asker)
    taken = (folder.answers(name).with_suffix(".seconds.json") for name in ("base", "base_retrieval"))
    return AskedBase(base, open_book, sum(read_json(path) for path in taken if path.exists()))


def _ask_base(asker: "_Asker") -> tuple[int, int, int]:
    closed = asker.ask("base", asker.model, asker.closed)
    open_book = asker.ask("open_book", asker.model, asker.passages.open_book)
    return closed, open_book, asker.ask("base_retrieval", asker.model, asker.found)


def _check_trained_on(folder: RunFolder) -> None:
    """Refuses an adapter that was trained before the dataset was written anew: what it never saw is not its fault."""
    arguments = read_json(folder.training_arguments) if folder.training_arguments.exists() else {}
    rows = folder.dataset("train")
    if rows.exists() and arguments.get("dataset", digest(rows)) != digest(rows):
        raise RunFolderError(
            f"the adapter in {folder.path} was trained on another dataset: run `kupdate train {folder.path}` first"
        )


class _Asker:
    """Asks a run's base model, and what became of it.

    Args:
        config: Which model, and how it is asked.
        folder: Where the answers go.
        asked: What is asked.
    """

    def __init__(self, config: Config, folder: RunFolder, asked: Exam) -> None:
        self.config, self.folder, self.exam = config, folder, asked
        self.base = resolve(config.model.name, local_files_only=config.model.local_files_only)
        self.template = ChatTemplate(load_tokenizer(self.base))
        self.chosen = precision(config.model.dtype, config.model.device)
        self.model = load_model(self.base, self.chosen, config.model.bits)
        self.passages = Passages(folder, self.template)

    def closed(self, row: Row) -> Prompt:
        """Without any passage."""
        return Prompt(row["id"], tuple(self.template.question(row["question"])))

    def found(self, row: Row) -> Prompt:
        """With passages that were searched for."""
        return self.passages.retrieved(row, self.config.evaluation.passages)

    def ask(self, name: str, model: Any, prompt: Callable[[Row], Prompt], adapter: str = "") -> int:
        """Answers what is not answered yet, with this model and these prompts; returns how many answers there are."""
        rows = {row["id"]: row for row in self.exam.of(name)}
        prompts = {identity: replace(prompt(row), room=self._room(row)) for identity, row in rows.items()}
        path = self.folder.answers(name)
        self._forget_others(path, adapter)
        known = _kept(path, rows, prompts)
        missing = [item for identity, item in prompts.items() if identity not in known]
        if not missing:
            return len(rows)
        began = time.monotonic()
        settings = self.config.inference
        generator = Generator(
            model, self.template, batch_rows=settings.batch_rows, max_new_tokens=settings.max_new_tokens
        )
        with journal(path) as append, progress(f"Asking ({name.replace('_', ' ')})", len(rows), "questions") as advance:
            advance(len(rows) - len(missing))
            for batch in generator.answers(missing):
                append(_answer(rows[identity], prompts[identity], response) for identity, response in batch)
                advance(len(batch))
        # Of all of them, where an earlier attempt has given some.
        write_json(path.with_suffix(".seconds.json"), (time.monotonic() - began) * len(rows) / len(missing))
        return len(rows)

    def _room(self, row: Row) -> int:
        """Tokens for the longest right answer and a few words before it: whoever is cut short of one is never right."""
        lengths = [len(self.template.tokenizer.encode(answer, add_special_tokens=False)) for answer in row["answers"]]
        return min(max(lengths) + _LEAD, _MOST_ROOM) if lengths else 0

    def _forget_others(self, path: Path, adapter: str) -> None:
        """Removes answers that another model gave, or in another way; notes whose answers stand there from now on."""
        inference = asdict(self.config.inference)
        digest = hashlib.sha256(json.dumps([identity(self.base), adapter, inference, _LEAD]).encode())
        digest.update(str(self.config.model.bits or "").encode())
        key, note = digest.hexdigest()[:16], path.with_suffix(".key.json")
        if note.exists() and read_json(note) == key:
            return
        if path.exists():
            log.info("%s was answered by another model: asking again", path.name)
            path.unlink()
        write_json(note, key)


def _kept(path: Path, rows: dict[str, Row], prompts: dict[str, Prompt]) -> set[str]:
    """Whose answers stand in a file; those to other questions are removed, and what is right is set right."""
    found = read_journal(path)
    current = [
        _answer(rows[row["id"]], prompts[row["id"]], row["response"])
        for row in found
        if row["id"] in rows and row.get("prompt") == _digest(prompts[row["id"]])
    ]
    if current != found:
        write_rows(path, current)
    return {row["id"] for row in current}


def _answer(row: Row, prompt: Prompt, response: str) -> Row:
    kept = ("id", "set", "kind", "category", "doc_id", "fact", "question", "answers")
    return {**{name: row[name] for name in kept if name in row}, "prompt": _digest(prompt), "response": response}


def _digest(prompt: Prompt) -> str:
    return hashlib.sha256(str(prompt.ids).encode()).hexdigest()[:16]


def _hash(trained: Path) -> str:
    """Tells what was trained from all else: a hash of its weights."""
    digest = hashlib.sha256()
    for weights in sorted(trained.glob("*.safetensors")):
        with weights.open("rb") as file:
            while part := file.read(1 << 20):
                digest.update(part)
    return digest.hexdigest()[:16]
