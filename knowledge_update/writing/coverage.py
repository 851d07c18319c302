"""How much of the documents became facts: counted by document, and what was left out by reason."""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from knowledge_update.display import clean, console, table
from knowledge_update.ledger import Ledger
from knowledge_update.ledger_schema import THERE


@dataclass
class Coverage:
    """What became of a document, or of several.

    Args:
        doc_id: Its name.
        path: Its file.
        documents: How many it is of.
        chunks: Passages.
        facts: Active facts.
        questions: How many facts have how many questions.
        characters: Of the passages.
        quoted: Of these, characters that some fact's quote holds.
    """

    doc_id: str = ""
    path: str = ""
    documents: int = 0
    chunks: int = 0
    facts: int = 0
    questions: Counter[int] = field(default_factory=Counter)
    characters: int = 0
    quoted: int = 0

    @property
    def without_facts(self) -> float:
        """The share of the text that no fact's quote holds."""
        return 1 - self.quoted / self.characters if self.characters else 0.0

    @property
    def questions_per_fact(self) -> tuple[int, float, int]:
        """The least, the median and the most."""
        if not self.questions:
            return 0, 0.0, 0
        return min(self.questions), _median(self.questions), max(self.questions)

    def add(self, other: "Coverage") -> None:
        """Adds another document to what is counted."""
        for name in ("documents", "chunks", "facts", "characters", "quoted"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.questions.update(other.questions)

    def figures(self) -> dict[str, Any]:
        """The same as data."""
        least, median, most = self.questions_per_fact
        return {
            "doc_id": self.doc_id, "path": self.path, "chunks": self.chunks, "facts": self.facts,
            "questions_per_fact": {"min": least, "median": median, "max": most},
            "text_without_facts": round(self.without_facts, 4),
        }  # fmt: skip

    def line(self) -> str:
        """The same in a line."""
        least, median, most = self.questions_per_fact
        return (
            f"{self.chunks} passages, {self.facts} facts, {least}–{most} questions a fact (median {median:g}), "
            f"{100 * self.without_facts:.0f} % of the text without facts"
        )


def _median(counts: Counter[int]) -> float:
    """The median of values that are counted."""
    total, passed, middle = counts.total(), 0, list[int]()
    for value, count in sorted(counts.items()):
        passed += count
        # The two in the middle, which are one where the number is odd.
        middle += [value] * ((passed > (total - 1) // 2) + (passed > total // 2) - len(middle))
        if len(middle) == 2:
            break
    return sum(middle) / 2


def coverage(ledger: Ledger, document: str | None = None) -> Iterator[Coverage]:
    """Counts every document that is there now, or the one of this name."""
    query = """SELECT id, doc_id, path FROM document
        WHERE current AND (:document IS NULL OR doc_id = :document) ORDER BY path, doc_id"""
    for identity, doc_id, path in list(ledger.execute(query, {"document": document})):
        yield _of_document(ledger, identity, Coverage(doc_id, path, 1))


def total(parts: Iterable[Coverage]) -> Coverage:
    """All documents together."""
    found = Coverage()
    for part in parts:
        found.add(part)
    return found


def _of_document(ledger: Ledger, identity: str, found: Coverage) -> Coverage:
    passages = "SELECT c.id, length(c.text) FROM occurrence o JOIN chunk c ON c.id = o.chunk WHERE o.document = ?"
    facts = """SELECT f.quote_start, f.quote_end, (SELECT count(*) FROM question q
            WHERE q.fact = f.id AND q.question <> '' AND q.person <> 'rejected')
        FROM fact f WHERE f.chunk = ? AND f.status = 'active' AND f.person <> 'rejected' ORDER BY f.quote_start"""
    for chunk, characters in ledger.execute(passages, (identity,)):
        found.chunks += 1
        found.characters += characters
        end = 0
        for start, stop, questions in ledger.execute(facts, (chunk,)):
            found.facts += 1
            found.questions[questions] += 1
            found.quoted += max(0, stop - max(start, end))
            end = max(end, stop)
    return found


def drops_by_reason(ledger: Ledger, document: str | None = None) -> list[tuple[str, str, int]]:
    """What was left out: stage, reason without its particulars, how often; the most frequent first."""
    of_document = """AND chunk IN (SELECT o.chunk FROM occurrence o JOIN document d ON d.id = o.document
        WHERE d.current AND d.doc_id = :document)"""
    query = f"""SELECT stage, substr(reason, 1, instr(reason || ': ', ': ') - 1) AS why, count(*) FROM "drop"
        WHERE {THERE} {of_document if document else ""} GROUP BY stage, why ORDER BY count(*) DESC, stage, why"""
    return [(str(row[0]), str(row[1]), int(row[2])) for row in ledger.execute(query, {"document": document})]


def show_coverage(ledger: Ledger, document: str | None = None, limit: int | None = None) -> None:
    """Prints the coverage of the documents, and what was left out."""
    whole, rows = Coverage(), list[list[str]]()
    for part in coverage(ledger, document):
        whole.add(part)
        if limit is None or len(rows) < limit:
            rows.append(_cells(part.path, part))
    columns = ["file", "passages", "facts", "questions a fact: least", "median", "most", "text without facts, %"]
    table("Coverage", columns, [*rows, _cells("all", whole)])
    reasons = [
        [stage, clean(why), str(count)] for stage, why, count in islice(drops_by_reason(ledger, document), limit)
    ]
    if reasons:
        table("Left out", ["stage", "why", "how many"], reasons)
    more = f" ({len(rows)} of them shown; --limit N shows more)" if len(rows) < whole.documents else ""
    console.print(f"{whole.documents} documents{more}: {whole.line()}")


def _cells(name: str, part: Coverage) -> list[str]:
    least, median, most = part.questions_per_fact
    shown = (part.chunks, part.facts, least, f"{median:g}", most, f"{100 * part.without_facts:.0f}")
    return [name, *map(str, shown)]
