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
from knowledge_update.documents.recutting import Cut, recut
from knowledge_update.errors import DocumentError, WorkError
from knowledge_update.ledger import DocumentRow, Drop, FactRow, Ledger, QuestionRow, RewriteRow, content_id
from knowledge_update.models import load_tokenizer, resolve
from knowledge_update.run_folder import Row, RunFolder, write_rows
from knowledge_update.writing import dataset, rules
from knowledge_update.writing.checks import alike, split
from knowledge_update.writing.coverage import coverage, total
from knowledge_update.writing.dataset import digest, tell_of_change
from knowledge_update.writing.question_files import read_questions
from knowledge_update.writing.revision import settle
from knowledge_update.writing.statements import Part, Rewrite, Statement, Unused

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
    """Writes the ledger and `dataset/` of a run folder; what is in the ledger already is not written again.

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

    def cut(document: Document) -> list[Passage]:
        budget, overlap = reader.chunk_tokens, reader.chunk_overlap_tokens
        return passages(document, lambda text: len(tokenizer.tokenize(text)), budget, overlap)

    with Ledger(folder.ledger) as ledger:
        with progress("Writing facts and questions", source.expected(), "documents") as advance:
            new = _cut(_new(chain([first], documents), ledger, advance), cut, ledger)
            for document, chunks, written in _written(new, config, ledger, advance):
                _enter(document, chunks, written, ledger, config.writer)
        _note_unread(source, ledger)
        settled = settle(ledger, list(source.found.values()), kept=[refused.path for refused in source.refused])
        if settled:
            log.info("since the last time: %s", settled)
        return _export(ledger, human, folder, source.path, config)


def _new(documents: Iterable[Document], ledger: Ledger, advance: Advance) -> Iterator[Document]:
    """The documents that have not been written before."""
    for document in documents:
        if ledger.has_document(document.id, document.title):
            advance()
        else:
            yield document


def _note_unread(source: Source, ledger: Ledger) -> None:
    """Says what was read and what was not; the ledger keeps every file that was not, with its reason."""
    ledger.forget_drops("read")
    ledger.add_drops(Drop("read", refused.path, refused.reason) for refused in source.refused)
    paths = {document.path for document in ledger.documents()}
    for refused in source.refused[:_NAMED]:
        kept = "; what it said before is kept, until it is removed" if refused.path in paths else ""
        log.warning("not read: %s %s%s", refused.path, refused.reason, kept)
    if len(source.refused) > _NAMED:
        log.warning("… and %d more: `kupdate facts --dropped` names them", len(source.refused) - _NAMED)
    log.info("%s", source.summary())


@dataclass(frozen=True)
class _Chunks:
    """The passages of a document, and which of them have been written before."""

    passages: Sequence[Passage]
    known: frozenset[str]


def _cut(documents: Iterable[Document], cut: Cut, ledger: Ledger) -> Iterator[tuple[Document, _Chunks]]:
    """Documents with their passages; those that an earlier version held stay as they are."""
    for document in documents:
        earlier = ledger.chunks_before(document.path, document.doc_id)
        held = [text for identity, text in earlier if identity == content_id(document.title, text)]
        yield document, _Chunks(recut(document, held, cut), frozenset(identity for identity, _ in earlier))


def _written(
    documents: Iterable[tuple[Document, _Chunks]], config: Config, ledger: Ledger, advance: Advance
) -> Iterator[tuple[Document, Sequence[Passage], Iterable[tuple[Passage, Part]]]]:
    """Documents with what was written of each, as they are finished; of known passages nothing is written.

    Takes note of them as the work advances: of what a chat model writes passage by passage.
    """
    if config.writer.name == "rules":
        for document, chunks in documents:
            # Rules read a passage by what stands before it.
            written = rules.write(document, chunks.passages)
            yield document, chunks.passages, (part for part in written if part[0].row.id not in chunks.known)
            advance()
        return
    whole: dict[str, Sequence[Passage]] = {}

    def unwritten() -> Iterator[tuple[Document, Sequence[Passage]]]:
        for document, chunks in documents:
            whole[document.id] = chunks.passages
            yield document, [passage for passage in chunks.passages if passage.row.id not in chunks.known]

    for document, themed, said in _prompted(unwritten(), config, ledger, advance):
        # By place: the same passage may stand in a document twice.
        new = {passage.row.start: passage for passage in themed}
        yield document, [new.get(passage.row.start, passage) for passage in whole.pop(document.id)], said


def _prompted(
    documents: Iterable[tuple[Document, Sequence[Passage]]], config: Config, ledger: Ledger, advance: Advance
) -> Iterator[tuple[Document, Sequence[Passage], Iterable[tuple[Passage, Part]]]]:
    """What a chat model writes, asked from here or from the workers of a cluster."""
    # Imported here: the client takes a second, Ray more.
    from knowledge_update.writing.prompted import cluster, collector

    if config.writer.ray:
        for written in cluster.write(documents, config, ledger):
            yield written
            advance()
        return
    told = 0.0

    def tell(finished: float, note: str) -> None:
        nonlocal told
        advance(finished - told, note)
        told = finished

    yield from collector.write(documents, config, ledger, tell, ledger.path.with_name("vllm.log"))


def _enter(
    document: Document,
    chunks: Sequence[Passage],
    writings: Iterable[tuple[Passage, Part]],
    ledger: Ledger,
    config: WriterConfig,
) -> None:
    facts: dict[str, FactRow] = {}
    questions: list[QuestionRow] = []
    drops: list[Drop] = []
    rewrites: list[RewriteRow] = []
    told = _Told()
    for passage, written in writings:
        if isinstance(written, Unused):
            drops.append(Drop("write", f"{document.doc_id}: {written.quote}", written.reason, passage.row.id))
            continue
        if isinstance(written, Rewrite):
            identity = content_id(passage.row.id, written.genre, written.text)
            rewrites.append(RewriteRow(identity, passage.row.id, written.genre, written.text))
            continue
        fact = content_id(passage.row.id, written.text)
        end = written.start + len(written.quote)
        if passage.row.text[written.start : end] != written.quote:
            reason = "its quote is not in the passage"
            drops.append(Drop("write", f"{document.doc_id}: {written.text}", reason, passage.row.id))
            continue
        if fact in facts or told.again(passage, written):
            continue
        if told.elsewhere(passage, written):
            reason = "a neighbouring passage says it too"
            drops.append(Drop("write", f"{document.doc_id}: {written.text}", reason, passage.row.id))
            continue
        told.add(passage, written)
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
        document.id, document.doc_id, document.path, document.title, document.media_type, document.language,
        date=document.date,
    )  # fmt: skip
    ledger.add(row, [passage.row for passage in chunks], facts.values(), questions, drops, rewrites)


@dataclass(frozen=True)
class _Place:
    """Where in its document a statement has its quote."""

    passage: int
    start: int
    end: int
    text: str


class _Told:
    """What was said of the text that two passages share, which is written of twice."""

    def __init__(self) -> None:
        self._places: list[_Place] = []

    def add(self, passage: Passage, said: Statement) -> None:
        """Takes note of a statement; of those before it only what its passage reaches is still of use."""
        self._places = [place for place in self._places if place.end > passage.row.start]
        self._places.append(_place(passage, said))

    def again(self, passage: Passage, said: Statement) -> bool:
        """Whether the same was said of the same words."""
        new = _place(passage, said)
        return any((place.start, place.text) == (new.start, new.text) for place in self._places)

    def elsewhere(self, passage: Passage, said: Statement) -> bool:
        """Whether a neighbouring passage brought nearly the same statement on words that both hold."""
        new = _place(passage, said)
        return any(
            place.passage != new.passage and place.start < new.end and new.start < place.end
            and alike(place.text, new.text)
            for place in self._places
        )  # fmt: skip


def _place(passage: Passage, said: Statement) -> _Place:
    start = passage.row.start + said.start
    return _Place(passage.row.start, start, start + len(said.quote), said.text)


def _export(ledger: Ledger, rows: list[Row], folder: RunFolder, source: Path, config: Config) -> Collected:
    facts = ledger.count()
    if not facts:
        why = f"`kupdate facts {folder.path} --dropped` says why"
        writer = config.writer
        if writer.name != "rules":
            raise WorkError(f"nothing that {writer.model or config.model.name} wrote could be used; {why}")
        raise DocumentError(f"no sentence in {source} became a fact; {why}")
    before = digest(folder)
    human, skipped = _of_known(rows, {document.doc_id for document in ledger.documents()})
    ledger.forget_drops("questions")
    ledger.add_drops(skipped)
    write_rows(folder.dataset("questions"), human)
    written = dataset.write(ledger, folder)
    tell_of_change(folder, before)
    log.info("coverage: %s", total(coverage(ledger)).line())
    documents = sum(1 for _ in ledger.documents())
    return Collected(documents, facts, written.trained, written.probes, len(human), ledger.count_drops())


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
