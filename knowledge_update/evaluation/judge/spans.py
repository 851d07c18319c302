"""What may be the answer to a question where only the fact is known: the parts of the fact that the question lacks.

It is a guess by the form of the question. Of "who built it" and a fact with two people either is taken for right: where
answers are known they are better.
"""

import re
from collections.abc import Sequence
from itertools import groupby

from knowledge_update.evaluation.judge.values import UNITS, is_date, is_number, normalised, words

Words = tuple[str, ...]

_AMOUNT = re.compile(
    r"\b(?:when|how (?:many|much|old|long|high|tall|far|large|big|deep|wide|heavy|often|fast|hot|cold)|what time|"
    r"(?:what|which) (?:\w+ )?(?:year|date|day|month|century|percentage|number|share))\b|"
    r"几|多少|何时|何年|什么时候|什么时间|哪一?(?:年|天|日|月)|多[大高长远久深宽重快]",
    re.I,
)
_PERSON = re.compile(r"\b(?:who|whom|whose)\b|谁|哪[位个]人", re.I)
_STOP = frozenset(
    "is are was were be been being has have had do does did of in on at by to from for with and or as its it his her "
    "their this that these those who which what when where how there not into than also after before".split()
)
_ZH_STOP = frozenset("的了是在于和与及有为以被由从到把对就也都这那其它他她们之而且并一个")


def spans(question: str, fact: str) -> tuple[tuple[Words, ...], tuple[Words, ...]]:
    """The candidates, as words for comparing: what an answer may hold, and what all of it may be a part of.

    A name, a value and several words together are told wherever they stand; a single word (`around`) is an answer only
    where nothing else is said.
    """
    asked = frozenset(words(question))
    found = [run for run in _runs(fact, asked) if run]
    values = tuple(run for run in found if any(is_number(word) or is_date(word) for word in run))
    others = tuple(run for run in found if run not in values)
    if (_AMOUNT.search(question) and values) or not others:
        return values, values
    names = _named(fact, others)
    if _PERSON.search(question) and names:
        return names, names
    several = tuple(run for run in others if len(run) > 1)
    return tuple(dict.fromkeys([*names, *several])) or others, others


def _runs(fact: str, asked: frozenset[str]) -> list[Words]:
    """What stands together in the fact and not in the question; values apart from words."""

    def kind(word: str) -> str:
        if word in asked or word in _STOP or word in _ZH_STOP:
            return ""
        return "value" if is_number(word) or is_date(word) or word in UNITS else "word"

    parts = re.split(r"[,;:()，。；：（）、]|\.(?!\d)", normalised(fact))
    return [tuple(run) for part in parts for name, run in groupby(words(part), kind) if name]


def _named(fact: str, runs: Sequence[Words]) -> tuple[Words, ...]:
    """Those that are names, as capitals tell; none in a language without."""
    capitals = re.findall(r"(?<![.!?] )(?<!^)\b[A-Z][\w'’-]*(?:\s+[A-Z][\w'’-]*)*", fact)
    names = {tuple(words(name)) for name in capitals}
    return tuple(name for run in runs for name in names if place(name, run) >= 0)


def place(part: Sequence[str], whole: Sequence[str]) -> int:
    """Where words stand together in others; -1 where they do not, or are none."""
    wanted, size = tuple(part), len(part)
    places = (at for at in range(len(whole) - size + 1) if tuple(whole[at : at + size]) == wanted)
    return next(places, -1) if size else -1
