"""What the questions of a dataset are worded like, so that none is trained that gives an exam away or contradicts one.

They stand in a database of their own on the disk: a million questions cost no memory.
"""

import re
import sqlite3
from collections.abc import Iterable, Iterator
from hashlib import blake2b

from knowledge_update.ledger import QuestionRow
from knowledge_update.ledger_schema import CACHE_KB
from knowledge_update.writing.checks import NEAR_DUPLICATE, jaccard, telling, words
from knowledge_update.writing.statements import ABOUT, CLOZE, COMPLETION

_OPEN = (CLOZE, COMPLETION, ABOUT)
_SCHEMA = """
CREATE TABLE wording (key INTEGER, answer INTEGER, probe INTEGER);
CREATE TABLE probe_word (key INTEGER, words TEXT);
"""
# Few wordings are met twice with different answers, or in the exam and outside it: those alone are looked up.
_CONFLICTS = """
CREATE INDEX by_key ON wording(key, answer, probe);
CREATE INDEX by_word ON probe_word(key);
CREATE TABLE conflict (key INTEGER PRIMARY KEY, several INTEGER, probe INTEGER);
INSERT INTO conflict SELECT key, min(answer) <> max(answer), max(probe) FROM wording GROUP BY key
    HAVING min(answer) <> max(answer) OR min(probe) <> max(probe);
"""


class Wordings:
    """The wordings of all questions; add every one before asking about any.

    Args:
        questions: Of the dataset.
    """

    def __init__(self, questions: Iterable[QuestionRow] = ()) -> None:
        # A database without a name is a file that goes with the connection.
        self._db = sqlite3.connect("")
        self._db.executescript(_SCHEMA)
        self._db.execute(f"PRAGMA cache_size = -{CACHE_KB}")
        self._db.executemany("INSERT INTO wording VALUES (?, ?, ?)", self._noted(questions))
        self._db.executescript(_CONFLICTS)

    def __enter__(self) -> "Wordings":
        return self

    def __exit__(self, *_: object) -> None:
        self._db.close()

    def _noted(self, questions: Iterable[QuestionRow]) -> Iterator[tuple[int, int, int]]:
        for row in questions:
            if not row.question:
                continue
            asked = words(row.question)
            if row.split == "probe":
                keys = ((_telling(row.answer, word), " ".join(asked)) for word in telling(asked, NEAR_DUPLICATE))
                self._db.executemany("INSERT INTO probe_word VALUES (?, ?)", keys)
            yield _key(asked), _hash(row.answer.lower()), row.split == "probe"

    def why_not(self, row: QuestionRow) -> str:
        """Why a question is left out: it has several answers, or it is trained and worded like some fact's probe."""
        if not row.question:
            return ""
        asked = words(row.question)
        query = "SELECT several, probe FROM conflict WHERE key = ?"
        several, probe = self._db.execute(query, (_key(asked),)).fetchone() or (0, 0)
        if several and row.wording not in _OPEN:
            return f"asked with several answers: {row.question}"
        if row.split != "probe" and probe:
            return f"worded like a probe: {row.question}"
        if row.split != "probe" and self._is_near(asked, row.answer):
            return f"worded nearly like a probe: {row.question}"
        return ""

    def _is_near(self, asked: frozenset[str], answer: str) -> bool:
        """Whether a probe with the same answer has nearly the same words."""
        query = "SELECT words FROM probe_word WHERE key = ?"
        return any(
            jaccard(asked, frozenset(probe.split(" "))) >= NEAR_DUPLICATE
            for word in telling(asked, NEAR_DUPLICATE)
            for (probe,) in self._db.execute(query, (_telling(answer, word),))
        )


def _key(asked: frozenset[str]) -> int:
    return _hash(" ".join(sorted(asked)))


def _telling(answer: str, word: str) -> int:
    return _hash(" ".join([word, *re.findall(r"\w+", answer.lower())]))


def _hash(text: str) -> int:
    return int.from_bytes(blake2b(text.encode("utf-8", "replace"), digest_size=8).digest(), "big", signed=True)
