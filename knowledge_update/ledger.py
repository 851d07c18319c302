"""The ledger: the record of what a model is to know, one SQLite file.

Identities are hashes of content, never positions, so that writing the same thing twice changes nothing. A document
with its chunks, facts, questions and drops enters in one transaction: after a kill it is wholly there or not at all.
Nothing is deleted from it: what no longer holds has a status, and is read over.
"""

import hashlib
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import astuple, dataclass, fields, replace
from pathlib import Path
from typing import Any, NamedTuple

from knowledge_update.errors import RunFolderError, WorkError
from knowledge_update.ledger_schema import CACHE_KB, FIRST, INDEXES, LATER, PLACES, SCHEMA, THERE

SPLITS = ("train", "validation", "probe")


def content_id(*parts: str) -> str:
    """The identity of a thing: 16 hexadecimal digits of the SHA-256 of its parts."""
    return hashlib.sha256("\x1f".join(parts).encode()).hexdigest()[:16]


@dataclass(frozen=True)
class DocumentRow:
    """A document that was read.

    Args:
        id: Hash of its bytes.
        doc_id: The file's stem, by which question files name it.
        version: Counts what stood at this path under this name, from 1.
        date: Of the document, as far as it tells: `2024`, `2024-05` or `2024-05-17`; else empty.
        collected: Which collection it came with, counted from 1.
    """

    id: str
    doc_id: str
    path: str
    title: str
    media_type: str
    language: str
    version: int = 1
    date: str = ""
    collected: int = 1


@dataclass(frozen=True)
class ChunkRow:
    """A passage, and where it stands in its document (characters of the text as read)."""

    id: str
    text: str
    document: str
    start: int
    end: int
    heading_path: str
    theme: str = ""


@dataclass(frozen=True)
class FactRow:
    """A statement that stands alone, with the verbatim quote it rests on (span in characters of the chunk).

    `person` is what a person did to it: edited, added, rejected, or nothing; `replaced_by` the fact that says it now.
    """

    id: str
    chunk: str
    text: str
    quote: str
    quote_start: int
    quote_end: int
    status: str = "active"
    person: str = ""
    replaced_by: str = ""


@dataclass(frozen=True)
class QuestionRow:
    """One wording of a question about a fact; `form` is what is asked, `wording` the family it is worded in."""

    id: str
    fact: str
    split: str
    form: str
    role: str
    wording: str
    question: str
    answer: str
    person: str = ""


@dataclass(frozen=True)
class RewriteRow:
    """What a passage says, written anew in another genre."""

    id: str
    chunk: str
    genre: str
    text: str


@dataclass(frozen=True)
class CallRow:
    """An answer of a chat model; `key` is the hash of all that it depends on."""

    key: str
    text: str
    cut: bool
    prompt_tokens: int
    completion_tokens: int
    seconds: float
    attempts: int


@dataclass(frozen=True)
class Drop:
    """Something that was left out, and the named reason; `chunk` is the passage it stands in, where it is one's."""

    stage: str
    item: str
    reason: str
    chunk: str = ""


class KnownFact(NamedTuple):
    """A fact with the place it comes from."""

    fact: FactRow
    doc_id: str
    path: str
    language: str
    chunk_text: str
    heading_path: str
    title: str


class Ledger:
    """An open ledger; use it as a context manager.

    Args:
        path: The SQLite file, made when it is not there.

    Raises:
        RunFolderError: When the file is not a ledger.
        WorkError: When it cannot be written.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self._db = sqlite3.connect(path, isolation_level=None)
            self._db.execute("PRAGMA journal_mode=WAL")
            # What is committed survives a killed process; the file is whole even after a power cut.
            self._db.execute("PRAGMA synchronous=NORMAL")
            self._db.execute("PRAGMA foreign_keys=ON")
            self._db.execute(f"PRAGMA cache_size = -{CACHE_KB}")
            self._db.executescript(SCHEMA)
            self._complete()
            self._db.executescript(INDEXES)
        except sqlite3.OperationalError as error:
            raise WorkError(f"cannot open the ledger {path}: {error}") from error
        except sqlite3.DatabaseError as error:
            raise RunFolderError(f"{path} is not a ledger ({error}); remove it or use another --out") from error

    def __enter__(self) -> "Ledger":
        return self

    def __exit__(self, *_: object) -> None:
        self._db.close()

    def _complete(self) -> None:
        """Adds the columns that a ledger of an earlier version lacks."""
        for table, columns in LATER.items():
            there = {row[1] for row in self._db.execute(f'PRAGMA table_info("{table}")')}
            for column in columns:
                if column.split()[0] not in there:
                    self._db.execute(f'ALTER TABLE "{table}" ADD COLUMN {column}')

    def execute(self, statement: str, values: Sequence[Any] | Mapping[str, Any] = ()) -> sqlite3.Cursor:
        """One statement, for those who look at the ledger in a way of their own; rows come as they are asked for."""
        return self._db.execute(statement, values)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All that is written in it is written, or nothing; inside another it is a part of that one.

        Raises:
            WorkError: When it cannot be written.
        """
        if self._db.in_transaction:
            yield
            return
        try:
            self._db.execute("BEGIN IMMEDIATE")
            yield
            self._db.execute("COMMIT")
        except sqlite3.OperationalError as error:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            raise WorkError(f"cannot write {self.path}: {error}; free some space and run the same again") from error
        except BaseException:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            raise

    def has_document(self, document_id: str, title: str | None = None) -> bool:
        """Whether this document, byte for byte and under this title, has been written already."""
        query = "SELECT 1 FROM document WHERE id = ? AND title = coalesce(?, title)"
        return bool(self._db.execute(query, (document_id, title)).fetchone())

    def add(
        self,
        document: DocumentRow,
        chunks: Iterable[ChunkRow],
        facts: Iterable[FactRow],
        questions: Iterable[QuestionRow],
        drops: Iterable[Drop],
        rewrites: Iterable[RewriteRow] = (),
    ) -> None:
        """Enters a document and all that was written from it, in one transaction."""
        with self.transaction():
            self._insert("document", [self._counted(document)])
            # The same bytes under another title are other passages.
            self._db.execute("UPDATE document SET title = ? WHERE id = ?", (document.title, document.id))
            self._db.execute("DELETE FROM occurrence WHERE document = ?", (document.id,))
            for chunk in chunks:
                self._db.execute("INSERT OR IGNORE INTO chunk VALUES (?, ?, ?)", (chunk.id, chunk.text, chunk.theme))
                self._db.execute(
                    "INSERT OR IGNORE INTO occurrence VALUES (?, ?, ?, ?, ?)",
                    (chunk.id, chunk.document, chunk.start, chunk.end, chunk.heading_path),
                )
            self._insert("fact", facts)
            self._insert("question", questions)
            self._insert("drop", drops)
            self._insert("rewrite", rewrites)

    def _counted(self, document: DocumentRow) -> DocumentRow:
        """A new document with its version, and its collection: the first that has not ended yet."""
        query = "SELECT coalesce(max(version), 0) + 1 FROM document WHERE path = ? AND doc_id = ? AND id <> ?"
        (version,) = self._db.execute(query, (document.path, document.doc_id, document.id)).fetchone()
        (collected,) = self._db.execute("SELECT coalesce(max(number), 0) + 1 FROM collection").fetchone()
        return replace(document, version=version, collected=collected)

    def chunks_before(self, path: str, doc_id: str) -> list[tuple[str, str]]:
        """The passages of what stood at a path under a name, identity and text: the latest version first."""
        query = """SELECT c.id, c.text FROM document d JOIN occurrence o ON o.document = d.id
            JOIN chunk c ON c.id = o.chunk WHERE d.path = ? AND d.doc_id = ? ORDER BY d.version DESC, o.start"""
        return list(self._db.execute(query, (path, doc_id)))

    def enter(self, facts: Iterable[FactRow], questions: Iterable[QuestionRow]) -> None:
        """Enters facts and questions of passages that are there."""
        with self.transaction():
            self._insert("fact", facts)
            self._insert("question", questions)

    def move(self, document: str, path: str, doc_id: str) -> None:
        """Tells that a document stands at another path or under another name now."""
        versions = "SELECT count(*) + 1 FROM document WHERE path = ? AND doc_id = ?"
        (version,) = self._db.execute(versions, (path, doc_id)).fetchone()
        moved = (path, doc_id, version, document)
        self._db.execute("UPDATE document SET path = ?, doc_id = ?, version = ? WHERE id = ?", moved)

    def add_drops(self, drops: Iterable[Drop]) -> None:
        """Records what was left out."""
        with self.transaction():
            self._insert("drop", drops)

    def forget_drops(self, *stages: str) -> None:
        """Removes what stages left out that do all of their work again."""
        with self.transaction():
            self._db.executemany('DELETE FROM "drop" WHERE stage = ?', ((stage,) for stage in stages))

    def call(self, key: str) -> CallRow | None:
        """The answer to a request that was asked before."""
        row = self._db.execute("SELECT * FROM call WHERE key = ?", (key,)).fetchone()
        return CallRow(row[0], row[1], bool(row[2]), *row[3:]) if row else None

    def add_call(self, call: CallRow) -> None:
        """Records an answer as it returns."""
        with self.transaction():
            self._insert("call", [call])

    def _insert(self, table: str, rows: Iterable[Any]) -> None:
        for row in rows:
            names = [field.name for field in fields(row)]
            statement = f'INSERT OR IGNORE INTO "{table}" ({", ".join(names)}) VALUES ({", ".join("?" * len(names))})'
            self._db.execute(statement, astuple(row))

    def documents(self) -> Iterator[DocumentRow]:
        """The documents that are there now, by path."""
        query = f"SELECT {_columns(DocumentRow)} FROM document WHERE current ORDER BY path, doc_id"
        return (DocumentRow(*row) for row in self._db.execute(query))

    def chunks(self) -> Iterator[ChunkRow]:
        """Their passages, in order."""
        query = f"""SELECT c.id, c.text, o.document, o.start, o."end", o.heading_path, c.theme FROM {PLACES}
            WHERE d.current ORDER BY d.path, d.doc_id, d.rowid, o.start"""
        return (ChunkRow(*row) for row in self._db.execute(query))

    def facts(
        self, status: str = "active", document: str | None = None, *, rejected: bool = False
    ) -> Iterator[KnownFact]:
        """Facts with where they come from, in the order of the documents; a passage shared by several counts once.

        Args:
            status: `active` without what a person rejected, `superseded` or `retired`.
            document: Only those of the document of this name.
            rejected: Whether those that a person rejected are among them.
        """
        current = "d.current AND" if status == "active" else ""
        query = f"""SELECT {_columns(FactRow, "f")}, d.doc_id, d.path, d.language, c.text, o.heading_path, d.title
            FROM {PLACES} CROSS JOIN fact f ON f.chunk = c.id
            WHERE {current} f.status = :status AND (:rejected OR f.person <> 'rejected')
                AND (:document IS NULL OR d.doc_id = :document) AND {FIRST.format(current.replace("d.", "e."))}
            ORDER BY d.path, d.doc_id, d.rowid, o.start, f.quote_start, f.text"""
        width = len(fields(FactRow))
        rows = self._db.execute(query, {"status": status, "document": document, "rejected": rejected})
        return (KnownFact(FactRow(*row[:width]), *row[width:]) for row in rows)

    def fact_ids(self, document: str | None = None) -> Iterator[str]:
        """The identities of the active facts of all documents, or of the one of this name."""
        query = "SELECT id FROM fact WHERE status = 'active' AND person <> 'rejected'"
        if document is not None:
            query += """ AND chunk IN (SELECT o.chunk FROM occurrence o JOIN document d ON d.id = o.document
                WHERE d.current AND d.doc_id = ?)"""
        return (row[0] for row in self._db.execute(query, () if document is None else (document,)))

    def count(self, status: str = "active", *, replaced: bool | None = None) -> int:
        """How many facts there are; only those that were replaced, or only the others, where that is asked for."""
        query = "SELECT count(*) FROM fact WHERE status = ? AND person <> 'rejected'"
        if replaced is not None:
            query += f" AND replaced_by {'<>' if replaced else '='} ''"
        return int(self._db.execute(query, (status,)).fetchone()[0])

    def questions(self, split: str | None = None) -> Iterator[QuestionRow]:
        """Questions of one split or of all, by identity, whatever became of their facts."""
        query = f"SELECT {_columns(QuestionRow)} FROM question WHERE split = coalesce(?, split) ORDER BY id"
        return (QuestionRow(*row) for row in self._db.execute(query, (split,)))

    def questions_of(self, fact: str, *, rejected: bool = False) -> list[QuestionRow]:
        """The questions about a fact, by identity; without what a person rejected, unless that is asked for too."""
        query = f"""SELECT {_columns(QuestionRow)} FROM question
            WHERE fact = ? AND (? OR person <> 'rejected') ORDER BY id"""
        return [QuestionRow(*row) for row in self._db.execute(query, (fact, rejected))]

    def asked(self) -> Iterator[tuple[KnownFact, QuestionRow]]:
        """All that the dataset is made of: active facts, each with its questions."""
        return ((known, question) for known in self.facts() for question in self.questions_of(known.fact.id))

    def rewrites(self) -> Iterator[tuple[RewriteRow, str, bool]]:
        """Passages written anew, with their language, and whether all they say holds.

        What was superseded, rejected or edited of a passage is still said where it was written anew.
        """
        query = f"""SELECT {_columns(RewriteRow, "r")}, d.language, NOT EXISTS (SELECT 1 FROM fact f
                WHERE f.chunk = c.id AND (f.status = 'superseded' OR f.person IN ('rejected', 'edited')))
            FROM {PLACES} CROSS JOIN rewrite r ON r.chunk = c.id
            WHERE d.current AND {FIRST.format("e.current AND")}
            ORDER BY d.path, d.doc_id, d.rowid, o.start, r.id"""
        return ((RewriteRow(*row[:-2]), row[-2], bool(row[-1])) for row in self._db.execute(query))

    def drops(self) -> Iterator[Drop]:
        """Everything that was left out, of passages that are there now."""
        query = f'SELECT {_columns(Drop)} FROM "drop" WHERE {THERE} ORDER BY stage, item, reason'
        return (Drop(*row) for row in self._db.execute(query))

    def count_drops(self) -> int:
        """How much was left out."""
        return int(self._db.execute(f'SELECT count(*) FROM "drop" WHERE {THERE}').fetchone()[0])


def _columns(row: type, table: str = "") -> str:
    """The names of a row's columns."""
    return ", ".join(f"{table}.{field.name}" if table else field.name for field in fields(row))
