"""The inferring stage: a run's questions put to the base model, the updated one, and the base with the open book."""

import hashlib
import json
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from knowledge_update.adapters import is_adapter, load_updated
from knowledge_update.config import Config
from knowledge_update.display import log, progress
from knowledge_update.errors import RunFolderError
from knowledge_update.evaluation.retrieval import Retriever
from knowledge_update.inference import Generator, Prompt
from knowledge_update.ledger import Ledger
from knowledge_update.models import identity, load_model, load_tokenizer, precision, resolve
from knowledge_update.run_folder import (
    Row,
    RunFolder,
    digest,
    journal,
    read_journal,
    read_json,
    read_rows,
    write_json,
    write_rows,
)
from knowledge_update.templates import ChatTemplate

RETENTION = Path(__file__).parent / "data" / "retention.jsonl"
OPEN_BOOK = {
    "en": "{title}\n{passage}\n\nAnswer with a few words from the text above.\nQuestion: {question}",
    "zh": "{title}\n{passage}\n\n请用上文中的几个字回答。\n问题：{question}",
}


@dataclass(frozen=True)
class Answered:
    """How many answers there are of each kind."""

    base: int
    open_book: int
    updated: int


def run(config: Config, folder: RunFolder) -> Answered:
    """Writes `answers/base.jsonl`, `open_book.jsonl` and `updated.jsonl`; goes on where an earlier attempt ended.

    Raises:
        RunFolderError: When the folder has no questions or no adapter.
        ModelError: When the adapter does not fit the base model.
    """
    exam = _exam(config, folder)
    folder.require(folder.adapter, f"train {folder.path}")
    _check_trained_on(folder)
    import torch

    asker = _Asker(config, folder)
    of_base = _ask_base(asker, exam)
    updated = load_updated(asker.model, folder.adapter, asker.chosen)
    if is_adapter(folder.adapter) and asker.chosen.dtype == torch.float32 and not config.model.bits:
        # Exact to the last bits in fp32, and a third fewer products a token.
        updated.merge_adapter()
    closed = [*exam.questions, *exam.general]
    return Answered(*of_base, asker.ask("updated", updated, closed, asker.closed, _hash(folder.adapter)))


@dataclass(frozen=True)
class AskedBase:
    """How many answers the base model has given, and how long those without a passage took, in seconds."""

    base: int
    open_book: int
    seconds: float


def run_base(config: Config, folder: RunFolder) -> AskedBase:
    """Asks the base model alone, which needs no adapter: what it takes tells what the updated one will.

    Raises:
        RunFolderError: When the folder has no questions.
    """
    exam, asker = _exam(config, folder), _Asker(config, folder)
    counts = _ask_base(asker, exam)
    taken = read_json(folder.answers("base").with_suffix(".seconds.json"))
    return AskedBase(*counts, taken)


@dataclass(frozen=True)
class _Exam:
    """The questions about the documents, and those of general knowledge."""

    questions: list[Row]
    general: list[Row]


def _exam(config: Config, folder: RunFolder) -> _Exam:
    probes = read_rows(folder.require(folder.dataset("probes"), f"collect DOCS --out {folder.path}"))
    general = [_general(row) for row in read_rows(RETENTION)] if config.evaluation.retention else []
    return _Exam([*probes, *read_rows(folder.dataset("questions"))], general)


def _ask_base(asker: "_Asker", exam: _Exam) -> tuple[int, int]:
    closed = asker.ask("base", asker.model, [*exam.questions, *exam.general], asker.closed)
    book = _OpenBook(asker.folder, asker.template)
    return closed, asker.ask("open_book", asker.model, exam.questions, book.prompt)


def _check_trained_on(folder: RunFolder) -> None:
    """Refuses an adapter that was trained before the dataset was written anew: what it never saw is not its fault."""
    arguments = read_json(folder.training_arguments) if folder.training_arguments.exists() else {}
    rows = folder.dataset("train")
    if rows.exists() and arguments.get("dataset", digest(rows)) != digest(rows):
        raise RunFolderError(
            f"the adapter in {folder.path} was trained on another dataset: run `kupdate train {folder.path}` first"
        )


def _general(row: Row) -> Row:
    return {**row, "set": "retention", "doc_id": None, "fact": None}


class _Asker:
    """Asks a run's base model, and what became of it.

    Args:
        config: Which model, and how it is asked.
        folder: Where the answers go.
    """

    def __init__(self, config: Config, folder: RunFolder) -> None:
        self.config, self.folder = config, folder
        self.base = resolve(config.model.name, local_files_only=config.model.local_files_only)
        self.template = ChatTemplate(load_tokenizer(self.base))
        self.chosen = precision(config.model.dtype, config.model.device)
        self.model = load_model(self.base, self.chosen, config.model.bits)

    def closed(self, row: Row) -> Prompt:
        return Prompt(row["id"], tuple(self.template.question(row["question"])))

    def ask(self, name: str, model: Any, rows: list[Row], prompt: Any, adapter: str = "") -> int:
        """Answers what is not answered yet, with this model and these prompts."""
        prompts = [prompt(row) for row in rows]
        path = self.folder.answers(name)
        self._forget_others(path, prompts, adapter)
        known = {row["id"] for row in _with_answers_of(rows, path)}
        missing = [item for item in prompts if item.id not in known]
        if not missing:
            return len(rows)
        by_id = {row["id"]: row for row in rows}
        began = time.monotonic()
        settings = self.config.inference
        generator = Generator(
            model, self.template, batch_rows=settings.batch_rows, max_new_tokens=settings.max_new_tokens
        )
        with journal(path) as append, progress(f"Asking ({name.replace('_', ' ')})", len(rows), "questions") as advance:
            advance(len(rows) - len(missing))
            for batch in generator.answers(missing):
                append(_answer(by_id[identity], response) for identity, response in batch)
                advance(len(batch))
        # Of all of them, where an earlier attempt has given some.
        write_json(path.with_suffix(".seconds.json"), (time.monotonic() - began) * len(rows) / len(missing))
        return len(rows)

    def _forget_others(self, path: Path, prompts: list[Prompt], adapter: str) -> None:
        """Removes answers that another model gave, or to other prompts; notes whose answers stand there from now on."""
        digest = hashlib.sha256(json.dumps([identity(self.base), adapter, asdict(self.config.inference)]).encode())
        digest.update(str(self.config.model.bits or "").encode())
        for prompt in sorted(prompts, key=lambda prompt: prompt.id):
            digest.update(f"{prompt.id} {prompt.ids}".encode())
        key, note = digest.hexdigest()[:16], path.with_suffix(".key.json")
        if note.exists() and json.loads(note.read_text(encoding="utf-8")) == key:
            return
        if path.exists():
            log.info("%s was answered by another model or to other questions: asking again", path.name)
            path.unlink()
        write_json(note, key)


def _with_answers_of(rows: list[Row], path: Path) -> list[Row]:
    """What stands in a file of responses; where what is right has been changed since, it is changed there too."""
    wanted = {row["id"]: row["answers"] for row in rows}
    found = read_journal(path)
    current = [{**row, "answers": wanted.get(row["id"], row["answers"])} for row in found]
    if current != found:
        write_rows(path, current)
    return current


def _answer(row: Row, response: str) -> Row:
    kept = ("id", "set", "kind", "category", "doc_id", "fact", "question", "answers")
    return {**{name: row[name] for name in kept if name in row}, "response": response}


class _OpenBook:
    """Prompts with the right passage: the one the fact came from, else the best of its document, else of all."""

    def __init__(self, folder: RunFolder, template: ChatTemplate) -> None:
        with Ledger(folder.ledger) as ledger:
            self.documents = {document.id: document for document in ledger.documents()}
            self.chunks = list(ledger.chunks())
            self.chunk_of = {known.fact.id: known.fact.chunk for known in ledger.facts()}
        self.template = template
        self.index = {chunk.id: number for number, chunk in reversed(list(enumerate(self.chunks)))}
        titled = [f"{self.documents[chunk.document].title} {chunk.heading_path} {chunk.text}" for chunk in self.chunks]
        self.retriever = Retriever(titled)

    def prompt(self, row: Row) -> Prompt:
        number = self._passage(row)
        chunk = self.chunks[number]
        document = self.documents[chunk.document]
        text = OPEN_BOOK[document.language].format(title=document.title, passage=chunk.text, question=row["question"])
        return Prompt(row["id"], tuple(self.template.question(text)), group=chunk.id)

    def _passage(self, row: Row) -> int:
        if row["fact"] in self.chunk_of:
            return self.index[self.chunk_of[row["fact"]]]
        own = [i for i, chunk in enumerate(self.chunks) if self.documents[chunk.document].doc_id == row["doc_id"]]
        return self.retriever.best(row["question"], own or None)


def _hash(trained: Path) -> str:
    """Tells what was trained from all else: a hash of its weights."""
    digest = hashlib.sha256()
    for weights in sorted(trained.glob("*.safetensors")):
        with weights.open("rb") as file:
            while part := file.read(1 << 20):
                digest.update(part)
    return digest.hexdigest()[:16]
