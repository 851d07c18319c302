"""The judge that needs no model: what an answer says, compared with what is right.

An answer is right where it says what is right, values in any form; not where it only repeats the question, denies it,
leaves it open, or names many candidates: whoever says everything has answered nothing.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from knowledge_update.evaluation.judge.cases import SAME, Case, Verdict
from knowledge_update.evaluation.judge.spans import Words, place, spans
from knowledge_update.evaluation.judge.values import UNITS, is_date, is_number, words
from knowledge_update.evaluation.scoring import f1

# Candidates beside the right one, unsaid by question, fact and passage, from which on an answer is a list: values in a
# row with the right one, and answers to other questions wherever they stand.
FEW, MANY = 3, 8
# An answer of so many words may say them in another order, or leave out one.
LONG, SHARED = 4, 0.8
# How far before what is right a word stands that denies it.
NEAR = 4
_NOT = frozenset("not never nor neither isn wasn aren weren cannot without".split())
_ZH_NOT = frozenset([("不", "是"), ("并", "非"), ("而", "非"), ("没", "有"), ("不", "在"), ("不", "叫")])
_BUT = ("but", "而", "rather")
_OR = ("or", "或")


@dataclass(frozen=True)
class _Known:
    """A case in words for comparing; `parts` is there where the answers are guessed from the fact."""

    question: list[str]
    fact: list[str]
    passage: list[str]
    answers: tuple[Words, ...]
    parts: tuple[Words, ...]

    @property
    def said(self) -> list[str]:
        return [*self.question, *self.fact, *self.passage]


class Rules:
    """Judges by rules.

    Args:
        cases: All that is asked: the answers to other questions are what an answer may be stuffed with.
    """

    name = "rules"

    def __init__(self, cases: Iterable[Case]) -> None:
        self._known = {case.id: _known(case) for case in cases}
        # One wording of each answer: the others are no other candidates.
        self._candidates = {gold for known in self._known.values() for gold in _distinct(known)}
        self._by_first = defaultdict[str, list[Words]](list)
        for gold in self._candidates:
            self._by_first[gold[0]].append(gold)

    def right(self, asked: Sequence[tuple[Case, str]]) -> list[Verdict]:
        """Whether answers are right."""
        return [Verdict(float(self._right(case, response))) for case, response in asked]

    def better(self, asked: Sequence[tuple[Case, str, str]]) -> list[Verdict]:
        """Which of two answers is better: the right one. How long they are decides nothing."""
        return [self._better(*item) for item in asked]

    def _better(self, case: Case, first: str, second: str) -> Verdict:
        if first == second:
            return SAME
        return Verdict((1 + self._right(case, first) - self._right(case, second)) / 2)

    def _right(self, case: Case, response: str) -> bool:
        known = self._known[case.id]
        said = _without(words(response), known.question)
        stated = any(_states(gold, said, known) for gold in known.answers)
        if not stated and known.parts:
            stated = any(_is_part(said, span, known.question) for span in known.parts)
        elif not stated:
            stated = any(len(gold) >= LONG and _nearly(gold, said) for gold in known.answers)
        return stated and not self._lists(said, known)

    def _lists(self, said: list[str], known: _Known) -> bool:
        """Whether an answer names so many candidates that it settles on none."""
        named = self._named(said)
        count = len(self._candidates)
        # Half of all that is right anywhere is no answer to one question, wherever it is from.
        if len(named) >= max(MANY, count / 2):
            return True
        foreign = [
            one for one in named
            if not any(place(one, gold) >= 0 or place(gold, one) >= 0 for gold in known.answers)
            and place(one, known.said) < 0
        ]  # fmt: skip
        # In a small set all there is may be less than many.
        most = min(MANY, max(FEW, (count - 1) / 2), max(2, count - 1))
        return len(foreign) >= most or _in_a_row(said, known)

    def _named(self, said: Sequence[str]) -> set[Words]:
        """Answers to any question that an answer holds, of those at one place the longest."""
        found, at = set[Words](), 0
        while at < len(said):
            here = [gold for gold in self._by_first.get(said[at], ()) if tuple(said[at : at + len(gold)]) == gold]
            longest = max(here, key=len, default=())
            if longest:
                found.add(longest)
            at += len(longest) or 1
        return found


def _known(case: Case) -> _Known:
    given = tuple(dict.fromkeys(gold for answer in case.answers if (gold := tuple(words(answer)))))
    answers, parts = (given, ()) if given else spans(case.question, case.fact)
    return _Known(words(case.question), words(case.fact), words(case.passage), answers, parts)


def _distinct(known: _Known) -> tuple[Words, ...]:
    return known.answers if known.parts else known.answers[:1]


def _states(gold: Words, said: Sequence[str], known: _Known) -> bool:
    """Whether an answer says what is right at some place, where nothing denies it and no `or` leaves it open."""
    return any(
        not _denied(said[max(0, at - NEAR) : at], known) and not _open(said, at, at + len(gold), known.fact)
        for at in _places(gold, said)
    )


def _places(gold: Words, said: Sequence[str]) -> Iterator[int]:
    """Where it stands; an amount also without its unit, where it has no other."""
    for at in range(len(said) - len(gold) + 1):
        if tuple(said[at : at + len(gold)]) == gold:
            yield at
    if len(gold) == 2 and is_number(gold[0]) and gold[1] in UNITS:
        for at, word in enumerate(said):
            if word == gold[0] and (at + 1 == len(said) or said[at + 1] not in UNITS):
                yield at


def _denied(before: Sequence[str], known: _Known) -> bool:
    """Whether the words before something deny it; not where question or fact deny something themselves."""
    for but in _BUT:
        if but in before:
            before = before[len(before) - list(before)[::-1].index(but) :]
    own = {*known.question, *known.fact}
    if any(word in _NOT for word in before) and not own & _NOT:
        return True
    pairs = {*pairwise(before)} & _ZH_NOT
    return any(not {*pair} <= own for pair in pairs)


def _open(said: Sequence[str], start: int, end: int, fact: Sequence[str]) -> bool:
    """Whether an `or` beside something leaves it open; not where it is the fact's own."""
    beside = {*said[max(0, start - 1) : start], *said[end : end + 1]}
    return any(word in beside and word not in fact for word in _OR) or list(said[end : end + 2]) == ["还", "是"]


def _nearly(gold: Words, said: Sequence[str]) -> bool:
    """Whether a long answer is said in nearly its words, with all of its values."""
    values = {word for word in gold if is_number(word) or is_date(word)}
    return values <= set(said) and f1(" ".join(said), [" ".join(gold)]) >= SHARED


def _is_part(said: Sequence[str], span: Words, question: Sequence[str]) -> bool:
    """Whether all that an answer adds to the question is a part of what may be right, at least half of it."""
    own = tuple(word for word in said if word not in question)
    return 2 * len(own) >= len(span) and place(own, span) >= 0


def _without(said: list[str], question: list[str]) -> list[str]:
    """An answer without the question it repeats."""
    while (at := place(question, said)) >= 0:
        said = said[:at] + said[at + len(question) :]
    return said


def _in_a_row(said: Sequence[str], known: _Known) -> bool:
    """Whether the value that is right stands in a row of others that nobody spoke of: 1873, 1874, 1875, 1876."""
    right = {word for gold in known.answers for word in gold if is_number(word)}
    known_values = {*known.said} - right
    row, gap = set[str](), 0
    for word in [*said, "", ""]:
        if is_number(word):
            row |= {word} - known_values
            gap = 0
        elif not is_date(word) and word not in UNITS:
            gap += 1
        if gap > 1:
            if row & right and len(row - right) >= FEW:
                return True
            row = set()
    return False
