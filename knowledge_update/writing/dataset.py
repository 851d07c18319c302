"""The dataset files, written from the ledger row by row."""

import hashlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import chain
from typing import TextIO

from knowledge_update.display import log
from knowledge_update.ledger import Drop, KnownFact, Ledger, QuestionRow
from knowledge_update.run_folder import Row, RunFolder, as_line, whole_file
from knowledge_update.run_folder import digest as file_digest
from knowledge_update.writing.successions import changed
from knowledge_update.writing.wordings import Wordings

# Probes come first: what is opened first appears last, and the probes tell the later stages that the rest is there.
FILES = ("probes", "qa_pairs", "train", "validation")
_TOGETHER = 1000


@dataclass(frozen=True)
class Counts:
    """How many rows there are."""

    trained: int
    probes: int


def write(ledger: Ledger, folder: RunFolder) -> Counts:
    """Writes `dataset/` of a run folder anew, all files or none; what is left out is in the ledger with its reason.

    Raises:
        WorkError: When it cannot be written; the dataset before stays.
    """
    ledger.forget_drops("dataset")
    counts = dict.fromkeys(FILES, 0)
    past = list(changed(ledger))
    with ExitStack() as stack:
        wordings = stack.enter_context(Wordings(question for _, question in chain(ledger.asked(), past)))
        files = {name: stack.enter_context(whole_file(folder.dataset(name))) for name in FILES}
        for name, row in _rows(ledger, past, wordings):
            files[name].write(as_line(row))
            counts[name] += 1
        _complete(files, folder)
    return Counts(counts["train"], counts["probes"])


def _complete(files: dict[str, TextIO], folder: RunFolder) -> None:
    """Takes the old probes away when all that is new is on the disk: half of each is no dataset."""
    for file in files.values():
        file.flush()
    folder.dataset("probes").unlink(missing_ok=True)


def _rows(
    ledger: Ledger, past: Iterable[tuple[KnownFact, QuestionRow]], wordings: Wordings
) -> Iterator[tuple[str, Row]]:
    drops: list[Drop] = []
    for known, question in chain(ledger.asked(), past):
        if reason := wordings.why_not(question):
            drops.append(Drop("dataset", question.id, reason, known.fact.chunk))
            if len(drops) == _TOGETHER:
                ledger.add_drops(drops)
                drops = []
            continue
        if question.question:
            yield "qa_pairs", _pair(known, question)
        yield question.split if question.split != "probe" else "probes", _OF_SPLIT[question.split](known, question)
    for rewrite, language, holds in ledger.rewrites():
        if holds:
            row = {"id": rewrite.id, "fact": None, "wording": "rewrite", "language": language, "text": rewrite.text}
            yield "train", row
        else:
            reason = f"rewritten as {rewrite.genre} from facts that a person or a newer document changed"
            drops.append(Drop("dataset", rewrite.id, reason, rewrite.chunk))
    ledger.add_drops(drops)


def digest(folder: RunFolder) -> str:
    """What the dataset of a run folder holds, as a hash; empty where there is none."""
    found = hashlib.sha256()
    for name in (*FILES, "questions"):
        path = folder.dataset(name)
        if not path.exists():
            return ""
        found.update(file_digest(path).encode())
    return found.hexdigest()[:16]


def tell_of_change(folder: RunFolder, before: str) -> None:
    """Says what became old with the dataset.

    Args:
        folder: The run folder.
        before: The `digest` of the dataset that stood there.
    """
    made = [path for path in (folder.adapter, folder.answers("updated"), folder.report) if path.exists()]
    if made and before != digest(folder):
        names = ", ".join(str(path.relative_to(folder.path)) for path in made)
        log.info("the dataset changed: %s belong to the one before; train, infer and evaluate are to be done again "
                 "(`kupdate run` does them)", names)  # fmt: skip


def _trained(known: KnownFact, question: QuestionRow) -> Row:
    row: Row = {"id": question.id, "fact": question.fact, "wording": question.wording, "language": known.language}
    if not question.question:
        return {**row, "text": question.answer}
    return {
        **row,
        "messages": [
            {"role": "user", "content": question.question},
            {"role": "assistant", "content": question.answer},
        ],
    }


def _probe(known: KnownFact, question: QuestionRow) -> Row:
    return {
        "id": question.id, "set": "held_out", "doc_id": known.doc_id, "fact": question.fact,
        "question": question.question, "answers": [question.answer],
    }  # fmt: skip


def _pair(known: KnownFact, question: QuestionRow) -> Row:
    return {
        "id": question.id,
        "conversations": [
            {"from": "user", "value": question.question},
            {"from": "assistant", "value": question.answer},
        ],
        "fact": known.fact.text,
        "file_name": known.path,
        "split": question.split,
    }


_OF_SPLIT: dict[str, Callable[[KnownFact, QuestionRow], Row]] = {
    "train": _trained, "validation": _trained, "probe": _probe,
}  # fmt: skip
