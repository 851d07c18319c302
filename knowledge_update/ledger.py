"""The ledger: the record of what a model is to know, one SQLite file.

Identities are hashes of content, never positions, so that writing the same thing twice changes nothing. A document
with its chunks, facts, questions and drops enters in one transaction: after a kill it is wholly there or not at all.
"""

import hashlib
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import astuple, dataclass, fields
from pathlib import Path
from typing import Any, NamedTuple

from knowledge_update.errors import RunFolderError, WorkError

SPLITS = ("train", "validation", "probe")

SCHEMA = """
CREATE TABLE IF NOT EXISTS document (
    id TEXT PRIMARY KEY, doc_id TEXT NOT NULL, path TEXT NOT NULL, title TEXT NOT NULL,
    media_type TEXT NOT NULL, language TEXT NOT NULL, version INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS chunk (id TEXT PRIMARY KEY, text TEXT NOT NULL, theme TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS occurrence (
    chunk TEXT NOT NULL REFERENCES chunk(id), document TEXT NOT NULL REFERENCES document(id),
    start INTEGER NOT NULL, "end" INTEGER NOT NULL, heading_path TEXT NOT NULL,
    PRIMARY KEY (document, start, chunk));
CREATE TABLE IF NOT EXISTS fact (
    id TEXT PRIMARY KEY, chunk TEXT NOT NULL REFERENCES chunk(id), text TEXT NOT NULL, quote TEXT NOT NULL,
    quote_start INTEGER NOT NULL, quote_end INTEGER NOT NULL,
    status TEXT NOT NULL CHECK (status IN ('active', 'superseded', 'retired')));
CREATE TABLE IF NOT EXISTS question (
    id TEXT PRIMARY KEY, fact TEXT NOT NULL REFERENCES fact(id),
    split TEXT NOT NULL CHECK (split IN ('train', 'validation', 'probe')),
    form TEXT NOT NULL, role TEXT NOT NULL, wording TEXT NOT NULL, question TEXT NOT NULL, answer TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS rewrite (
    id TEXT PRIMARY KEY, chunk TEXT NOT NULL REFERENCES chunk(id), genre TEXT NOT NULL, text TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS call (
    key TEXT PRIMARY KEY, text TEXT NOT NULL, cut INTEGER NOT NULL, prompt_tokens INTEGER NOT NULL,
    completion_tokens INTEGER NOT NULL, seconds REAL NOT NULL, attempts INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS "drop" (
    stage TEXT NOT NULL, item TEXT NOT NULL, reason TEXT NOT NULL, PRIMARY KEY (stage, item, reason));
CREATE INDEX IF NOT EXISTS fact_of_chunk ON fact(chunk);
CREATE INDEX IF NOT EXISTS question_of_fact ON question(fact);
"""


def content_id(*parts: str) -> str:
    """The identity of a thing: 16 hexadecimal digits of the SHA-256 of its parts."""
    return hashlib.sha256("\x1f".join(parts).encode()).hexdigest()[:16]


@dataclass(frozen=True)
class DocumentRow:
    """A document that was read; `doc_id` is the file's stem, by which question files name it."""

    id: str
    doc_id: str
    path: str
    title: str
    media_type: str
    language: str
    version: int = 1


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
    """A statement that stands alone, with the verbatim quote it rests on (span in characters of the chunk)."""

    id: str
    chunk: str
    text: str
    quote: str
    quote_start: int
    quote_end: int
    status: str = "active"


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
    """Something that was left out, and the named reason."""

    stage: str
    item: str
    reason: str


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
            self._db.executescript(SCHEMA)
        except sqlite3.OperationalError as error:
            raise WorkError(f"cannot open the ledger {path}: {error}") from error
        except sqlite3.DatabaseError as error:
            raise RunFolderError(f"{path} is not a ledger ({error}); remove it or use another --out") from error

    def __enter__(self) -> "Ledger":
        return self

    def __exit__(self, *_: object) -> None:
        self._db.close()

    @contextmanager
    def _transaction(self) -> Iterator[None]:
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

    def has_document(self, document_id: str) -> bool:
        """Whether this document, byte for byte, has been written already."""
        return bool(self._db.execute("SELECT 1 FROM document WHERE id = ?", (document_id,)).fetchone())

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
        with self._transaction():
            self._insert("document", [document])
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

    def add_drops(self, drops: Iterable[Drop]) -> None:
        """Records what was left out."""
        with self._transaction():
            self._insert("drop", drops)

    def call(self, key: str) -> CallRow | None:
        """The answer to a request that was asked before."""
        row = self._db.execute("SELECT * FROM call WHERE key = ?", (key,)).fetchone()
        return CallRow(row[0], row[1], bool(row[2]), *row[3:]) if row else None

    def add_call(self, call: CallRow) -> None:
        """Records an answer as it returns."""
        with self._transaction():
            self._insert("call", [call])

    def _insert(self, table: str, rows: Iterable[Any]) -> None:
        for row in rows:
            marks = ", ".join("?" * len(fields(row)))
            self._db.execute(f'INSERT OR IGNORE INTO "{table}" VALUES ({marks})', astuple(row))

    def documents(self) -> list[DocumentRow]:
        """All documents, by path."""
        columns = ", ".join(field.name for field in fields(DocumentRow))
        return [DocumentRow(*row) for row in self._db.execute(f"SELECT {columns} FROM document ORDER BY path, doc_id")]

    def chunks(self) -> list[ChunkRow]:
        """All passages, in the order of their documents."""
        query = """SELECT c.id, c.text, o.document, o.start, o."end", o.heading_path, c.theme
            FROM occurrence o JOIN chunk c ON c.id = o.chunk JOIN document d ON d.id = o.document
            ORDER BY d.path, d.doc_id, o.start"""
        return [ChunkRow(*row) for row in self._db.execute(query)]

    def facts(self, status: str = "active") -> list[KnownFact]:
        """Facts with where they come from, in the order of the documents; a passage shared by several counts once."""
        query = """SELECT f.id, f.chunk, f.text, f.quote, f.quote_start, f.quote_end, f.status,
                d.doc_id, d.path, d.language, c.text, o.heading_path, d.title
            FROM fact f JOIN chunk c ON c.id = f.chunk JOIN occurrence o ON o.chunk = c.id
                JOIN document d ON d.id = o.document
            WHERE f.status = ? ORDER BY d.path, d.doc_id, o.start, f.quote_start, f.text"""
        known: dict[str, KnownFact] = {}
        for row in self._db.execute(query, (status,)):
            known.setdefault(row[0], KnownFact(FactRow(*row[:7]), *row[7:]))
        return list(known.values())

    def questions(self, split: str | None = None) -> list[QuestionRow]:
        """Questions of one split or of all, by identity."""
        query = "SELECT id, fact, split, form, role, wording, question, answer FROM question"
        if split is None:
            rows = self._db.execute(f"{query} ORDER BY id")
        else:
            rows = self._db.execute(f"{query} WHERE split = ? ORDER BY id", (split,))
        return [QuestionRow(*row) for row in rows]

    def rewrites(self) -> list[tuple[RewriteRow, str]]:
        """Passages written anew, with their language, in the order of the documents."""
        query = """SELECT r.id, r.chunk, r.genre, r.text, d.language
            FROM rewrite r JOIN occurrence o ON o.chunk = r.chunk JOIN document d ON d.id = o.document
            ORDER BY d.path, d.doc_id, o.start, r.id"""
        found = {row[0]: (RewriteRow(*row[:4]), str(row[4])) for row in self._db.execute(query)}
        return list(found.values())

    def drops(self) -> list[Drop]:
        """Everything that was left out."""
        return [Drop(*row) for row in self._db.execute('SELECT stage, item, reason FROM "drop" ORDER BY 1, 2, 3')]
