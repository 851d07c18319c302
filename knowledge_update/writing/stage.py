"""The collecting stage: documents to facts and questions in the ledger, and the dataset files made from it."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from knowledge_update.config import Config, WriterConfig
from knowledge_update.display import Advance, log, progress
from knowledge_update.documents.blocks import Document
from knowledge_update.documents.chunking import Passage, passages
from knowledge_update.documents.reading import QUESTIONS_NAME, Source
from knowledge_update.documents.records import Fields
from knowledge_update.errors import DocumentError, WorkError
from knowledge_update.ledger import DocumentRow, Drop, FactRow, KnownFact, Ledger, QuestionRow, content_id
from knowledge_update.models import load_tokenizer, resolve
from knowledge_update.run_folder import Row, RunFolder, write_rows
from knowledge_update.writing import rules
from knowledge_update.writing.checks import consistent, split
from knowledge_update.writing.question_files import read_questions
from knowledge_update.writing.statements import Statement, Unused

# Files that were not read and are named on the terminal; all are in the ledger.
_NAMED = 10


@dataclass(frozen=True)
class Collected:
    """What came of collecting."""

    documents: int
    facts: int
    trained: int
    probes: int
    human: int
    dropped: int


def run(config: Config, folder: RunFolder) -> Collected:
    """Writes the ledger and `dataset/` of a run folder; documents already in the ledger are not written again.

    Raises:
        DocumentError: When there is nothing to read, or nothing in it became a fact.
    """
    if config.documents is None:
        raise DocumentError("no documents were named: kupdate collect DOCS")
    reader = config.reader
    fields = Fields(reader.id_field, reader.title_field, reader.text_field)
    source = Source(Path(config.documents).expanduser(), reader.encoding, reader.limit, reader.pattern, fields)
    documents = source.documents()
    # Where there is none, nothing has been made yet that a mistake would leave behind.
    first = next(documents)
    human = _human(config, source.path)
    tokenizer = load_tokenizer(resolve(config.model.name, local_files_only=config.model.local_files_only))

    def count(text: str) -> int:
        return len(tokenizer.tokenize(text))

    budget, overlap = reader.chunk_tokens, reader.chunk_overlap_tokens
    with Ledger(folder.ledger) as ledger:
        with progress("Writing facts and questions", source.expected(), "documents") as advance:
            new = _new(chain([first], documents), ledger, advance)
            cut = ((document, passages(document, count, budget, overlap)) for document in new)
            for document, chunks, written in _written(cut, config.writer, ledger):
                _enter(document, chunks, written, ledger, config.writer)
                advance()
        _note_unread(source, ledger)
        return _export(ledger, human, folder, source.path, config.writer)


def _new(documents: Iterable[Document], ledger: Ledger, advance: Advance) -> Iterator[Document]:
    """The documents that have not been written before."""
    for document in documents:
        if ledger.has_document(document.id):
            advance()
        else:
            yield document


def _note_unread(source: Source, ledger: Ledger) -> None:
    """Says what was read and what was not; the ledger keeps every file that was not, with its reason."""
    ledger.add_drops(Drop("read", refused.path, refused.reason) for refused in source.refused)
    for refused in source.refused[:_NAMED]:
        log.warning("not read: %s %s", refused.path, refused.reason)
    if len(source.refused) > _NAMED:
        log.warning("… and %d more: `kupdate facts --dropped` names them", len(source.refused) - _NAMED)
    log.info("%s", source.summary())


def _written(
    documents: Iterable[tuple[Document, Sequence[Passage]]], config: WriterConfig, ledger: Ledger
) -> Iterator[tuple[Document, Sequence[Passage], Iterable[tuple[Passage, Statement | Unused]]]]:
    """Documents with what was written of each, as they are finished."""
    if config.name == "rules":
        yield from ((document, chunks, rules.write(document, chunks)) for document, chunks in documents)
    else:
        # Imported here: the client takes a second.
        from knowledge_update.writing.prompted.collector import write

        yield from write(documents, config, ledger)


def _enter(
    document: Document,
    chunks: Sequence[Passage],
    writings: Iterable[tuple[Passage, Statement | Unused]],
    ledger: Ledger,
    config: WriterConfig,
) -> None:
    facts: dict[str, FactRow] = {}
    questions: list[QuestionRow] = []
    drops: list[Drop] = []
    # What two passages share is written of twice.
    told: set[tuple[int, str]] = set()
    for passage, written in writings:
        if isinstance(written, Unused):
            drops.append(Drop("write", f"{document.doc_id}: {written.quote}", written.reason))
            continue
        fact = content_id(passage.row.id, written.text)
        end = written.start + len(written.quote)
        if passage.row.text[written.start : end] != written.quote:
            drops.append(Drop("write", f"{document.doc_id}: {written.text}", "its quote is not in the passage"))
            continue
        place = (passage.row.start + written.start, written.text)
        if fact in facts or place in told:
            continue
        told.add(place)
        facts[fact] = FactRow(fact, passage.row.id, written.text, written.quote, written.start, end)
        questions.extend(
            split(
                fact,
                written.askings,
                wordings=config.wordings_per_fact,
                validation_share=config.validation_share,
            )
        )
    row = DocumentRow(
        document.id, document.doc_id, document.path, document.title, document.media_type, document.language
    )
    ledger.add(row, [passage.row for passage in chunks], facts.values(), questions, drops)


def _export(ledger: Ledger, rows: list[Row], folder: RunFolder, source: Path, writer: WriterConfig) -> Collected:
    facts = ledger.facts()
    if not facts:
        why = f"`kupdate facts {folder.path} --dropped` says why"
        if writer.name != "rules":
            raise WorkError(f"nothing that {writer.model} wrote could be used; {why}")
        raise DocumentError(f"no sentence in {source} became a fact; {why}")
    questions, drops = consistent(ledger.questions())
    ledger.add_drops(drops)
    by_fact: dict[str, list[QuestionRow]] = {}
    for question in questions:
        by_fact.setdefault(question.fact, []).append(question)
    ordered = [(known, question) for known in facts for question in by_fact.get(known.fact.id, [])]
    train = [_trained(known, question) for known, question in ordered if question.split == "train"]
    probes = [_probe(known, question) for known, question in ordered if question.split == "probe"]
    human, skipped = _of_known(rows, {document.doc_id for document in ledger.documents()})
    ledger.add_drops(skipped)
    write_rows(folder.dataset("qa_pairs"), (_pair(known, question) for known, question in ordered if question.question))
    write_rows(folder.dataset("train"), train)
    write_rows(folder.dataset("validation"), (_trained(k, q) for k, q in ordered if q.split == "validation"))
    write_rows(folder.dataset("questions"), human)
    # Last, because it tells the later stages that the dataset is complete.
    write_rows(folder.dataset("probes"), probes)
    documents = len(ledger.documents())
    return Collected(documents, len(facts), len(train), len(probes), len(human), len(ledger.drops()))


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


def _human(config: Config, source: Path) -> list[Row]:
    """The questions people wrote: of the file that was named, else of the folder's `questions.jsonl`."""
    beside = source / QUESTIONS_NAME if source.is_dir() else None
    path = Path(config.questions).expanduser() if config.questions else beside
    if path is None or not (config.questions or path.exists()):
        return []
    return read_questions(path)


def _of_known(rows: list[Row], known: set[str]) -> tuple[list[Row], list[Drop]]:
    """Questions whose document is in the run, and the others left out."""
    kept = [row for row in rows if row["doc_id"] is None or row["doc_id"] in known]
    if len(kept) < len(rows):
        log.info("questions: %d of %d skipped, their documents are not in this run", len(rows) - len(kept), len(rows))
    skipped = [row for row in rows if row not in kept]
    return kept, [Drop("questions", row["id"], f"its document {row['doc_id']} is not in this run") for row in skipped]
