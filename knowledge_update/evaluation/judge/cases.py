"""What is judged, and what a judge says of it."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from knowledge_update.documents.blocks import Block, language_of


@dataclass(frozen=True)
class Case:
    """A question with the answers that models gave to it.

    Args:
        id: By which cases are put in order: no figure depends on where a question stood in a file.
        question: As it was asked.
        fact: What is so, in words; empty where only the answers are known.
        answers: What is right, in any of these words; empty where only the fact is known.
        responses: By the name of the model.
        group: The set of questions it belongs to.
        passage: Where the fact comes from: what stands there is no invention of an answer.
    """

    id: str
    question: str
    fact: str
    answers: tuple[str, ...]
    responses: dict[str, str] = field(default_factory=dict)
    group: str = ""
    passage: str = ""

    @property
    def language(self) -> str:
        """The language of the question."""
        return language_of([Block("paragraph", self.question)])


@dataclass(frozen=True)
class Verdict:
    """What a judge says.

    Args:
        value: Of an answer 1 for right, 0 for wrong; of two 1 where the first is better, 0 where the second is, 0.5 for
            a tie; None where nothing can be read out of what it said, or it said nothing.
        reason: Of a tie or of None: `disagreed`, `same`, `unparsable`, `unanswered`; else empty.
    """

    value: float | None
    reason: str = ""


UNPARSABLE, UNANSWERED = Verdict(None, "unparsable"), Verdict(None, "unanswered")
# Two answers of the same words: there is nothing to ask.
SAME = Verdict(0.5, "same")


class Judge(Protocol):
    """Whoever judges."""

    @property
    def name(self) -> str:
        """As reports name it."""

    def right(self, asked: Sequence[tuple[Case, str]]) -> list[Verdict]:
        """Whether answers are right."""

    def better(self, asked: Sequence[tuple[Case, str, str]]) -> list[Verdict]:
        """Which of two answers is better, each pair judged in both orders."""


def in_both_orders(first: Verdict, swapped: Verdict) -> Verdict:
    """One verdict from those of both orders, the second with the answers' places changed: disagreement is a tie."""
    for verdict in (first, swapped):
        if verdict.value is None:
            return verdict
    assert first.value is not None and swapped.value is not None
    return first if first.value == 1 - swapped.value else Verdict(0.5, "disagreed")
