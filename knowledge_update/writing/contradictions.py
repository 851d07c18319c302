"""Facts that a newer document contradicts, found without a model: rather too few than one too many.

Two facts make the same claim with different values when they are asked about in the same words with different short
answers, or when their sentences differ in one number or date alone. Of a changed document, the version that is there
now is right. Of two documents that are both there, the later one is, where the claim can have one value only and says
what it is about: an amount, the date of what happens once, who or what something is. Later is a later date of the
documents, else a later collection; where neither tells, both stand. What one document itself says of several values
contradicts nobody, and what a person wrote is never superseded.
"""

import re
import sqlite3
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from hashlib import blake2b

from knowledge_update.documents.dates import later
from knowledge_update.ledger import Ledger
from knowledge_update.writing.statements import ABOUT, CLOZE, COMPLETION

_MONTH = r"(?:January|February|March|April|May|June|July|August|September|October|November|December)"
_DATE = (
    rf"\d{{1,2}}\s+{_MONTH}\s+\d{{4}}|{_MONTH}\s+\d{{1,2}},?\s+\d{{4}}|{_MONTH}\s+\d{{4}}"
    r"|\d{4}-\d\d-\d\d|\d{4}年(?:\d{1,2}月(?:\d{1,2}日)?)?|(?<![\d.,])(?:1\d|20)\d\d(?![\d,.]*\d|\s*(?:%|米|公里|人|元))"
)
_COUNTED = "one two three four five six seven eight nine ten eleven twelve twenty thirty forty fifty hundred".split()
_AMOUNT = rf"\d+(?:[.,]\d+)*|\b(?:{'|'.join(_COUNTED)})\b|[零〇一二三四五六七八九十百千万亿两]{{2,}}"
_VALUE = re.compile(rf"(?P<date>{_DATE})|(?P<amount>{_AMOUNT})", re.I)
# What happens to a thing once.
_ONCE = re.compile(
    r"""\b(?:built|founded|born|died|established|incorporated|constructed|completed|discovered|invented|abolished
    |dissolved|inaugurated)\b|建于|建成于|始建|成立|创办|创立|创建|出生|生于|逝世|卒于|竣工""",
    re.I | re.X,
)
_IDENTITY = re.compile(r"(?:who|what|which\s\w+)\s+(?:is|are)\s+the\s", re.I)
_ONE_OF_MANY = re.compile(r"\b(?:an?|one|some|any|another|or)\b", re.I)
_NAME = re.compile(r"(?<=[^.!?\s]\s)(?:[\"'“‘(]?)[A-Z][\w'-]+")
_WORD = re.compile(r"[\u3400-\u9fff]|\d+(?:[.,]\d+)*|[^\W\d_\u3400-\u9fff]+")
_SHORT = 8
# What is said as often is no claim about one thing.
_MOST = 200
_OPEN = (CLOZE, COMPLETION, ABOUT)


@dataclass(frozen=True)
class Claim:
    """Something that a fact says has a value; `single` where two documents cannot both be right about it."""

    about: str
    value: str
    single: bool


@dataclass(frozen=True)
class _Source:
    """A document that makes a claim."""

    id: str
    path: str
    doc_id: str
    date: str
    collected: int
    current: bool


@dataclass(frozen=True)
class _Said:
    """A fact with its value of a claim, whether it is single, and all documents that it stands in."""

    fact: str
    value: str
    single: bool
    person: bool
    sources: tuple[_Source, ...]

    @property
    def current(self) -> bool:
        return any(source.current for source in self.sources)


def claims_of_fact(text: str, title: str) -> Iterator[Claim]:
    """The amounts and dates that a sentence names, each with the rest of the sentence as what it is of."""
    named = _is_named(text, title)
    for found in _VALUE.finditer(text):
        about = f"{text[: found.start()]} # {text[found.end() :]}"
        single = named and (found["amount"] is not None or bool(_ONCE.search(text)))
        yield Claim(f"fact {_plain(about)}", _plain(found[0]), single)


def claim_of_question(question: str, answer: str, title: str) -> Claim | None:
    """What a question with a short answer claims."""
    value = _plain(answer)
    if not value or len(value.split()) > _SHORT:
        return None
    found = _VALUE.search(answer)
    if found:
        single = found["amount"] is not None or bool(_ONCE.search(question))
    else:
        single = bool(_IDENTITY.match(question)) and not _ONE_OF_MANY.search(question)
    # Two answers that differ in more than their number need not contradict each other.
    shape = _plain(_VALUE.sub("#", answer)) if found else ""
    return Claim(f"question {shape} of {_plain(question)}", value, single and _is_named(question, title))


def _is_named(text: str, title: str) -> bool:
    """Whether a sentence names what it is about: a title, or a name that does not only begin it."""
    return bool((title and title.lower() in text.lower()) or _NAME.search(text))


def _plain(text: str) -> str:
    return " ".join(_WORD.findall(re.sub(r"(?<=\d),(?=\d{3}(?!\d))", "", text.lower())))


def superseded(ledger: Ledger) -> list[tuple[str, str]]:
    """Facts that no longer hold, each with the one that says what does."""
    with _Claims(ledger) as claims:
        found: dict[str, str] = {}
        for said in claims.contested():
            for old, new in _losers(said):
                found.setdefault(old, new)
    return sorted(found.items())


class _Claims:
    """All claims of a ledger by what they are about, in a database of their own on the disk."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._db = sqlite3.connect("")
        self._db.execute("CREATE TABLE claim (about INTEGER, value TEXT, fact TEXT, single INTEGER)")
        self._db.executemany("INSERT INTO claim VALUES (?, ?, ?, ?)", self._rows())
        self._db.execute("CREATE INDEX by_about ON claim(about, value)")

    def __enter__(self) -> "_Claims":
        return self

    def __exit__(self, *_: object) -> None:
        self._db.close()

    def _rows(self) -> Iterator[tuple[int, str, str, bool]]:
        titled = """SELECT f.id, f.text, (SELECT d.title FROM occurrence o JOIN document d ON d.id = o.document
            WHERE o.chunk = f.chunk LIMIT 1) FROM fact f WHERE f.person <> 'rejected'"""
        asked = """SELECT wording, question, answer FROM question
            WHERE fact = ? AND question <> '' AND person <> 'rejected'"""
        for fact, text, title in self._ledger.execute(titled):
            claims: list[Claim | None] = [*claims_of_fact(text, title or "")]
            for wording, question, answer in self._ledger.execute(asked, (fact,)):
                if wording not in _OPEN:
                    claims.append(claim_of_question(question, answer, title or ""))
            yield from ((_hash(c.about), c.value, fact, c.single) for c in claims if c)

    def contested(self) -> Iterator[list[_Said]]:
        """Claims of which several values are named, each with all that is said of it."""
        several = """SELECT about FROM claim GROUP BY about
            HAVING min(value) <> max(value) AND count(*) <= ? ORDER BY about"""
        for (about,) in self._db.execute(several, (_MOST,)):
            rows = self._db.execute("SELECT DISTINCT fact, value, single FROM claim WHERE about = ?", (about,))
            yield [self._said(*row) for row in sorted(rows)]

    def _said(self, fact: str, value: str, single: int) -> _Said:
        query = """SELECT d.id, d.path, d.doc_id, d.date, d.collected, d.current, f.person
            FROM fact f JOIN occurrence o ON o.chunk = f.chunk JOIN document d ON d.id = o.document WHERE f.id = ?"""
        rows = self._ledger.execute(query, (fact,)).fetchall()
        sources = tuple(_Source(*row[:6]) for row in rows)
        return _Said(fact, value, bool(single), any(row[6] for row in rows), sources)


def _losers(said: Sequence[_Said]) -> Iterator[tuple[str, str]]:
    """Of what is said of one claim, what is superseded and by what."""
    values: dict[str, set[str]] = defaultdict(set)
    for one in said:
        values[one.value] |= {source.id for source in one.sources}
    several = len(set().union(*values.values())) < sum(map(len, values.values()))
    for old in said:
        others = [
            new for new in said if new.current and not old.person and _differ(old.value, new.value)
            and not values[old.value] & values[new.value]
        ]  # fmt: skip
        by_version = [new for new in others if _is_new_version(old, new)]
        by_document = [new for new in others if not several and old.current and _is_later(old, new)]
        winner = _latest(by_version or by_document)
        if winner:
            yield old.fact, winner.fact


def _differ(one: str, other: str) -> bool:
    """Whether two values are not the same in more or fewer words."""
    left, right = set(one.split()), set(other.split())
    return not left <= right and not right <= left


def _is_new_version(old: _Said, new: _Said) -> bool:
    if old.current:
        return False
    before = {(source.path, source.doc_id) for source in old.sources}
    return any((source.path, source.doc_id) in before for source in new.sources if source.current)


def _is_later(old: _Said, new: _Said) -> bool:
    if not (old.single and new.single):
        return False
    if old.person or new.person:
        return new.person and not old.person
    return all(_is_younger(b, a) for a in old.sources if a.current for b in new.sources if b.current)


def _is_younger(one: _Source, other: _Source) -> bool:
    """Whether a document is later than another: by their dates, else by when they were collected."""
    if later(one.date, other.date) or later(other.date, one.date):
        return later(one.date, other.date)
    return one.collected > other.collected


def _latest(said: Sequence[_Said]) -> _Said | None:
    """The latest, where one is no earlier than all others."""
    for one in said:
        if not any(_is_later(one, other) for other in said):
            return one
    return None


def _hash(text: str) -> int:
    return int.from_bytes(blake2b(text.encode("utf-8", "replace"), digest_size=8).digest(), "big", signed=True)
