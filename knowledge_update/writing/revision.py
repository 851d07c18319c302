"""Which facts hold: those of passages that are there now, unless a newer document says otherwise or a person did.

Every status is reckoned anew from what the ledger holds, so that it does not matter in how many attempts it came there.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from knowledge_update.documents.blocks import Document
from knowledge_update.ledger import Ledger, content_id
from knowledge_update.writing.checks import NEAR_DUPLICATE, similarity
from knowledge_update.writing.contradictions import superseded

_THERE = """chunk IN (SELECT o.chunk FROM occurrence o JOIN document d ON d.id = o.document WHERE d.current)"""
# What a person did to a fact or to a question about it.
_TOUCHED = """(person <> '' OR id IN (SELECT fact FROM question WHERE person <> ''))"""
# Statements that rest on the same words and are as similar as that say the same.
_SAME_QUOTE = 0.5


@dataclass(frozen=True)
class Settled:
    """What changed in the ledger: how many facts hold that did not, and the other way round."""

    new: int
    retired: int
    superseded: int

    def __bool__(self) -> bool:
        return bool(self.retired or self.superseded)

    def __str__(self) -> str:
        return f"{self.new} facts new or back, {self.retired} retired, {self.superseded} superseded"


def settle(ledger: Ledger, documents: Sequence[Document] | None = None, kept: Iterable[str] = ()) -> Settled:
    """Reckons the status of every fact, in one transaction.

    Args:
        ledger: The ledger.
        documents: Those that are there now; where none are given, nothing changed about them.
        kept: Paths that could not be read this time: what they said stays.
    """
    with ledger.transaction():
        before = _statuses(ledger)
        if documents is not None:
            _mark_current(ledger, documents, set(kept))
        _carry(ledger)
        ledger.execute(f"UPDATE fact SET status = 'active', replaced_by = '' WHERE status <> 'active' AND {_THERE}")
        ledger.execute(f"UPDATE fact SET status = 'retired', replaced_by = '' WHERE NOT {_THERE}")
        for old, new in superseded(ledger):
            ledger.execute("UPDATE fact SET status = 'superseded', replaced_by = ? WHERE id = ?", (new, old))
        _set_aside(ledger)
        _link_repeated(ledger)
        after = _statuses(ledger)
        ledger.execute("INSERT OR IGNORE INTO collection SELECT DISTINCT collected FROM document")
    return Settled(*(max(0, after[name] - before[name]) for name in ("active", "retired", "superseded")))


def _statuses(ledger: Ledger) -> dict[str, int]:
    counts = dict(ledger.execute("SELECT status, count(*) FROM fact GROUP BY status"))
    return {name: counts.get(name, 0) for name in ("active", "retired", "superseded")}


def _mark_current(ledger: Ledger, documents: Sequence[Document], kept: set[str]) -> None:
    """Marks what is there now; the same bytes elsewhere are the same document, moved."""
    now = {document.id: document for document in documents}
    rows = list(ledger.execute("SELECT id, path, doc_id, current FROM document"))
    for identity, path, doc_id, current in rows:
        document = now.get(identity)
        if document and (path, doc_id) != (document.path, document.doc_id):
            ledger.move(identity, document.path, document.doc_id)
        there = document is not None or (path in kept and bool(current))
        if there != bool(current):
            ledger.execute("UPDATE document SET current = ? WHERE id = ?", (there, identity))


def _carry(ledger: Ledger) -> None:
    """Takes what a person said along with its quote, where the passage around the quote has changed."""
    gone = f"SELECT id, chunk, quote FROM fact WHERE {_TOUCHED} AND NOT {_THERE}"
    for fact, chunk, quote in list(ledger.execute(gone)):
        place = ledger.execute(_QUOTING, {"chunk": chunk, "quote": quote}).fetchone()
        if place:
            start = place[1].index(quote)
            moved = (place[0], start, start + len(quote), fact)
            ledger.execute("UPDATE fact SET chunk = ?, quote_start = ?, quote_end = ? WHERE id = ?", moved)


# A passage that is there now and holds a quote, of the document that the quote's passage stood in.
_QUOTING = """SELECT c.id, c.text FROM occurrence a JOIN document b ON b.id = a.document AND a.chunk = :chunk
    JOIN document d ON d.current AND ((d.path = b.path AND d.doc_id = b.doc_id) OR d.title = b.title)
    JOIN occurrence o ON o.document = d.id JOIN chunk c ON c.id = o.chunk AND instr(c.text, :quote) > 0
    ORDER BY d.path <> b.path, d.path, o.start LIMIT 1"""


def _set_aside(ledger: Ledger) -> None:
    """What was written anew of a passage does not come back where a person had said something about it.

    Only what a person has carried there counts: beside it in its own passage a person saw all and let it be.
    """
    touched = f"SELECT id, chunk, text, quote FROM fact WHERE {_TOUCHED} AND {_THERE}"
    for fact, chunk, text, quote in list(ledger.execute(touched)):
        first = ledger.execute("SELECT before FROM edit WHERE item = ? AND field = 'text' LIMIT 1", (fact,)).fetchone()
        written = first[0] if first else text
        # The identity of a fact is made of the passage it was written in.
        if content_id(chunk, written) == fact:
            continue
        others = ledger.execute("SELECT id, text, quote FROM fact WHERE chunk = ? AND id <> ?", (chunk, fact))
        for other, said, its_quote in list(others):
            if any(_says_the_same(said, its_quote, known, quote) for known in {written, text}):
                ledger.execute("UPDATE fact SET status = 'retired', replaced_by = ? WHERE id = ?", (fact, other))


def _says_the_same(said: str, its_quote: str, known: str, quote: str) -> bool:
    least = _SAME_QUOTE if its_quote == quote else NEAR_DUPLICATE
    return similarity(said, known) >= least and _numbers(said) == _numbers(known)


def _numbers(text: str) -> list[str]:
    return sorted(re.findall(r"\d+(?:[.,]\d+)*", text))


def _link_repeated(ledger: Ledger) -> None:
    """A retired fact that stands word for word in a changed passage is told as replaced by itself."""
    ledger.execute(
        """UPDATE fact SET replaced_by = same.id
            FROM (SELECT min(id) AS id, text FROM fact WHERE status = 'active' GROUP BY text) AS same
            WHERE fact.status = 'retired' AND fact.replaced_by = '' AND fact.text = same.text"""
    )
