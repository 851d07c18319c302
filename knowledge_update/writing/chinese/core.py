"""A Chinese clause with its words, and an answer in it."""

from dataclasses import dataclass

from knowledge_update.writing.chinese import lexicon
from knowledge_update.writing.chinese.clauses import Token, tokens
from knowledge_update.writing.chinese.subjects import Reading

NOUNS = frozenset(
    lexicon.words("n nr nrt ns nt nz ng nrfg vn an a b m q uj uv s f l i j eng quoted book name number title k zg")
)


@dataclass(frozen=True)
class Span:
    """An answer in the core of a clause (head, subject and predicate).

    Args:
        form: What is asked for.
        start: Where the words begin that the question word replaces.
        end: Where they end.
        word: The question word with its measure or noun.
        other: Another such word, or empty.
        answer: The short answer.
        at: Where the answer begins.
    """

    form: str
    start: int
    end: int
    word: str
    other: str
    answer: str
    at: int

    def overlaps(self, other: "Span") -> bool:
        """Whether two answers share letters."""
        return self.at < other.at + len(other.answer) and other.at < self.at + len(self.answer)


class Core:
    """The core of a clause with its words.

    Args:
        reading: The clause.
        title: The title of its document.
    """

    def __init__(self, reading: Reading, title: str) -> None:
        """Cuts the core into words."""
        self.reading = reading
        self.title = title
        self.text = f"{reading.head}{reading.subject}{reading.predicate}"
        self.subject_at = len(reading.head)
        self.predicate_at = self.subject_at + len(reading.subject)
        self.words = tokens(self.text, title)

    def around(self, start: int, end: int) -> tuple[str, str]:
        """The letters beside a span."""
        return self.text[start - 1 : start], self.text[end : end + 1]

    def verbal_after(self, word: Token) -> bool:
        """Whether a verb, a preposition or nothing comes after a word."""
        after = next((other for other in self.words if other.start >= word.end), None)
        return after is None or after.flag in ("v", "p", "d", "c", "vi", "zg", "x") or after.text == "起"

    def nominal(self, start: int, end: int) -> bool:
        """Whether a stretch is made of nouns and what goes with nouns."""
        inside = [word for word in self.words if word.start < end and word.end > start]
        return bool(inside) and all(word.flag in NOUNS for word in inside) and inside[-1].flag not in ("uj", "f", "m")


def touches(letter: str, letters: str) -> bool:
    """Whether the letter beside a span, if there is one, is among some letters."""
    return bool(letter) and letter in letters


def span_of(core: Core, form: str, start: int, end: int, word: str, other: str = "") -> Span:
    return Span(form, start, end, word, other, core.text[start:end], start)
