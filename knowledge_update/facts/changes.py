"""What a person changed in a sheet of facts, found by comparing it with the ledger, and whether it can be entered."""

import re
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field

from knowledge_update.documents.blocks import fold
from knowledge_update.facts.sheets import Line, Row, guarded, restored
from knowledge_update.ledger import SPLITS, FactRow, Ledger, QuestionRow, content_id
from knowledge_update.writing.checks import sequence
from knowledge_update.writing.prompted.grounding import placed
from knowledge_update.writing.statements import DIRECT, PROBE_FAMILY, TEXT

COLUMNS = ("document", "fact_id", "fact", "quote", "question_id", "question", "answer", "split", "status", "reject")
NEEDED = ("fact_id", "fact", "question_id", "question", "answer", "reject")
_REJECTS = {"": "", "fact": "fact", "pair": "pair", **dict.fromkeys(("x", "yes", "1", "true", "reject", "是"), "this")}
_NUMBER = re.compile(r"\d+(?:[.,]\d+)*")

# Lines with the reasons why they cannot be used.
Problems = list[tuple[int, str]]


@dataclass
class Changes:
    """What a person said.

    Args:
        texts: New texts of facts, by their identity.
        quotes: New quotes of facts, each with where it begins in its passage.
        pairs: New questions and answers, by the pair's identity.
        facts_rejected: Facts that are rejected, or taken back where false.
        pairs_rejected: The same of pairs.
        new_facts: Facts that were added.
        new_pairs: Pairs that were added.
        unchanged: Rows in which nothing was changed.
    """

    texts: dict[str, str] = field(default_factory=dict)
    quotes: dict[str, tuple[str, int]] = field(default_factory=dict)
    pairs: dict[str, tuple[str, str]] = field(default_factory=dict)
    facts_rejected: dict[str, bool] = field(default_factory=dict)
    pairs_rejected: dict[str, bool] = field(default_factory=dict)
    new_facts: list[FactRow] = field(default_factory=list)
    new_pairs: list[QuestionRow] = field(default_factory=list)
    unchanged: int = 0

    def line(self) -> str:
        """How much there is of each."""
        facts, pairs = self.facts_rejected.values(), self.pairs_rejected.values()
        counts = {
            "edited": (len({*self.texts, *self.quotes}), len(self.pairs)),
            "rejected": (sum(facts), sum(pairs)),
            "taken back": (len(facts) - sum(facts), len(pairs) - sum(pairs)),
            "added": (len(self.new_facts), sum(1 for pair in self.new_pairs if pair.question)),
        }
        shown = [f"{f} facts and {p} pairs {name}" for name, (f, p) in counts.items() if f or p]
        return ", ".join([*shown, f"{self.unchanged} rows unchanged"])


def read_changes(ledger: Ledger, lines: Iterable[Line]) -> tuple[Changes, Problems]:
    """Compares a sheet with the ledger; nothing is written."""
    reader = _Reader(ledger)
    for number, row in lines:
        missing = [name for name in NEEDED if name not in row]
        if missing:
            return reader.changes, [(number, f"the columns lack {', '.join(missing)}")]
        try:
            reader.take(number, row)
        except ValueError as error:
            reader.problems.append((number, str(error)))
    reader.finish()
    return reader.changes, sorted(reader.problems)


class _Reader:
    def __init__(self, ledger: Ledger) -> None:
        self.ledger, self.changes, self.problems = ledger, Changes(), Problems()
        self._line_of: dict[str, int] = {}
        # Of facts that are rejected, whether all rows say so no longer.
        self._kept: dict[str, bool] = {}
        # Pairs that are new, by their fact, with the split that was asked for.
        self._added: dict[str, dict[tuple[str, str], str]] = defaultdict(dict)
        self._new: dict[str, FactRow] = {}

    def take(self, number: int, row: Row) -> None:
        """Takes a row.

        Raises:
            ValueError: When it cannot be used; says why.
        """
        reject = _REJECTS.get(row["reject"].strip().lower())
        if reject is None:
            raise ValueError(f"reject is {row['reject']!r}: fact, pair or empty")
        if reject == "this":
            reject = "pair" if row["question_id"] or not row["fact_id"] else "fact"
        if not row["fact_id"]:
            if row["question_id"]:
                raise ValueError("a row with a question_id needs its fact_id")
            changed = self._new_fact(number, row)
        else:
            changed = self._fact(number, row, reject)
            changed |= self._pair(number, row, reject) if row["question_id"] else self._new_pair(row)
        self.changes.unchanged += not changed

    def _fact(self, number: int, row: Row, reject: str) -> bool:
        identity = row["fact_id"]
        query = "SELECT text, quote, person, chunk FROM fact WHERE id = ?"
        known = self.ledger.execute(query, (identity,)).fetchone()
        if known is None:
            raise ValueError(f"there is no fact {identity!r} in the ledger")
        text, quote, person, chunk = known
        self._line_of.setdefault(identity, number)
        changed = self._changed(row, "fact", text, self.changes.texts, identity)
        if _differs(row.get("quote", ""), quote) and row.get("quote"):
            self.changes.quotes[identity] = self._place(row["quote"], chunk)
            changed = True
        if reject == "fact" and person != "rejected":
            changed |= not self.changes.facts_rejected.get(identity, False)
            self.changes.facts_rejected[identity] = True
        if person == "rejected":
            self._kept[identity] = self._kept.get(identity, False) or reject == "fact"
            changed |= reject != "fact"
        return changed

    def _changed(self, row: Row, column: str, before: str, changes: dict[str, str], identity: str) -> bool:
        # A row that adds a pair may name its fact by the identity alone.
        if not _differs(row[column], before) or not (row[column] or row["question_id"]):
            return False
        text = fold(row[column])
        if not text:
            raise ValueError(f"{column} is empty: to leave it out, write fact or pair into reject")
        if changes.setdefault(identity, text) != text:
            raise ValueError(f"{column} of {identity} is edited in two ways")
        return True

    def _place(self, quote: str, chunk: str) -> tuple[str, int]:
        (passage,) = self.ledger.execute("SELECT text FROM chunk WHERE id = ?", (chunk,)).fetchone()
        span = placed(quote, passage)
        if span is None:
            raise ValueError("the quote is not in the fact's passage, word for word")
        return passage[span.start : span.end], span.start

    def _pair(self, number: int, row: Row, reject: str) -> bool:
        identity = row["question_id"]
        query = "SELECT fact, question, answer, split, person FROM question WHERE id = ?"
        known = self.ledger.execute(query, (identity,)).fetchone()
        if known is None or known[0] != row["fact_id"]:
            raise ValueError(f"there is no question {identity!r} about fact {row['fact_id']!r}")
        _, question, answer, split, person = known
        if row.get("split", split) not in (split, ""):
            raise ValueError(f"split is {split} for good: what was trained cannot be an exam")
        self._line_of.setdefault(identity, number)
        changed = _differs(row["question"], question) or _differs(row["answer"], answer)
        if changed:
            self.changes.pairs[identity] = _asked(row)
        if reject == "pair" and person != "rejected":
            self.changes.pairs_rejected[identity] = changed = True
        if person == "rejected" and not reject and not self._is_rejected(row["fact_id"]):
            self.changes.pairs_rejected[identity], changed = False, True
        return changed

    def _is_rejected(self, fact: str) -> bool:
        return bool(self.ledger.execute("SELECT person = 'rejected' FROM fact WHERE id = ?", (fact,)).fetchone()[0])

    def _new_pair(self, row: Row) -> bool:
        if not row["question"].strip() and not row["answer"].strip():
            return False
        pair, split = _asked(row), row.get("split", "").strip()
        if split not in (*SPLITS, ""):
            raise ValueError(f"split is {split!r}: {', '.join(SPLITS)} or empty")
        query = "SELECT 1 FROM question WHERE fact = ? AND question = ? AND answer = ?"
        if pair in self._added[row["fact_id"]] or self.ledger.execute(query, (row["fact_id"], *pair)).fetchone():
            return False
        self._added[row["fact_id"]][pair] = split
        return True

    def _new_fact(self, number: int, row: Row) -> bool:
        text = fold(row["fact"])
        if not text:
            raise ValueError("a row without fact_id adds a fact, and holds none")
        query = """SELECT c.id, c.text FROM document d JOIN occurrence o ON o.document = d.id
            JOIN chunk c ON c.id = o.chunk WHERE d.current AND (d.path = ? OR d.doc_id = ?) ORDER BY o.start"""
        name = row.get("document", "").strip()
        chunks = self.ledger.execute(query, (name, name)).fetchall()
        if not chunks:
            raise ValueError(f"a new fact names its document; {name!r} is none of this run")
        places = ((chunk, passage, placed(row.get("quote") or text, passage)) for chunk, passage in chunks)
        chunk, passage, span = next((place for place in places if place[2]), ("", "", None))
        if span is None:
            raise ValueError(f"a new fact needs a quote that stands in {name}; what no document says belongs into one")
        fact = FactRow(content_id(chunk, text), chunk, text, passage[span.start : span.end], span.start, span.end)
        known = self.ledger.execute("SELECT 1 FROM fact WHERE id = ?", (fact.id,)).fetchone()
        new = not known and fact.id not in self._new
        if new:
            self._new[fact.id] = fact
        self._line_of.setdefault(fact.id, number)
        return self._new_pair({**row, "fact_id": fact.id}) or new

    def finish(self) -> None:
        """Makes rows of what is new, and looks at what no longer fits what was edited."""
        self.changes.facts_rejected |= {fact: False for fact, kept in self._kept.items() if not kept}
        for fact in self._new.values():
            self.changes.new_facts.append(FactRow(**{**vars(fact), "person": "added"}))
            identity = content_id(fact.id, TEXT, "", fact.text)
            self.changes.new_pairs.append(
                QuestionRow(identity, fact.id, "train", "text", "", TEXT, "", fact.text, "added")
            )
        for fact_id, pairs in self._added.items():
            exam = self._exam(fact_id, pairs)
            for pair, split in pairs.items():
                self.changes.new_pairs.append(_question(fact_id, pair, "probe" if pair == exam else split or "train"))
        for fact_id, text in self.changes.texts.items():
            self._check_pairs(fact_id, text)

    def _exam(self, fact: str, pairs: dict[tuple[str, str], str]) -> tuple[str, str] | None:
        """Of a new fact's pairs the one that is asked in the exam, where the person leaves it to us."""
        if fact not in self._new or len(pairs) < 2 or any(pairs.values()):
            return None
        return max(pairs, key=lambda pair: content_id(*pair))

    def _check_pairs(self, fact: str, text: str) -> None:
        """An edited fact's pairs must not go on saying what it said."""
        (before,) = self.ledger.execute("SELECT text FROM fact WHERE id = ?", (fact,)).fetchone()
        gone = set(_NUMBER.findall(before)) - set(_NUMBER.findall(text))
        for row in self.ledger.questions_of(fact):
            edited = row.id in self.changes.pairs or self.changes.pairs_rejected.get(row.id, False)
            if edited or not row.question or before in row.answer or self.changes.facts_rejected.get(fact, False):
                continue
            answer = f" {sequence(row.answer)} "
            lost = answer in f" {sequence(before)} " and answer not in f" {sequence(text)} "
            numbers = gone & set(_NUMBER.findall(f"{row.question} {row.answer}"))
            if lost or numbers:
                what = row.answer if lost else ", ".join(sorted(numbers))
                self.problems.append(
                    (self._line_of.get(row.id, self._line_of[fact]),
                     f"says {what!r}, which its edited fact does not say any more: edit the pair too, or reject it")
                )  # fmt: skip


def _differs(cell: str, value: str) -> bool:
    """Whether a cell was edited: it is neither the value nor what a sheet makes of it."""
    return cell != value and cell != restored(guarded(value)) and fold(cell) != fold(value)


def _asked(row: Row) -> tuple[str, str]:
    question, answer = fold(row["question"]), fold(row["answer"])
    if not question or not answer:
        raise ValueError("a pair needs a question and an answer; to leave it out, write pair into reject")
    return question, answer


def _question(fact: str, pair: tuple[str, str], split: str) -> QuestionRow:
    wording = PROBE_FAMILY if split == "probe" else DIRECT
    identity = content_id(fact, wording, *pair)
    return QuestionRow(identity, fact, split, "question", "", wording, *pair, "added")
