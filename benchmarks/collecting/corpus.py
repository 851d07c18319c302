"""Invented stations: documents of which every fact, question and answer is known from a number alone.

A fact is a sentence about one station, whose name stands for the fact's number; whatever names the station can be told
to belong to that fact, wherever it turns up.
"""

import random
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

_CONSONANTS, _VOWELS = "bdfgklmnprstvz", "aeiou"
_SYLLABLES = [consonant + vowel for consonant in _CONSONANTS for vowel in _VOWELS]
_LENGTH = 4
_NAMES = len(_SYLLABLES) ** _LENGTH
# Coprime to the number of names, so that neighbours are not named alike and no two share a name.
_STRIDE = 7_368_787
_FIRST = "Marta Ivor Selma Jonas Petra Anton Birgit Oskar Ludmila Edvin Greta Tomas".split()
_LAST = "Ibsen Karlow Dreyer Falk Winther Nordal Haas Lindqvist Moreau Tanner Vogel Brandt".split()
_PLACES = "Kellmar Ostrow Varnsund Tolvick Gorsefield Ansgild Pellar Dunhask Sallow Wickmere".split()

# For every part of a fact, ways to ask for it.
_ASKINGS = {
    "person": (
        "Who built station {name}?", "By whom was station {name} put up?", "Name the builder of station {name}.",
        "Which person is behind the building of station {name}?", "To whom do we owe station {name}?",
    ),
    "year": (
        "When was station {name} built?", "In which year did station {name} come into being?",
        "What is the year of station {name}?", "Since when has station {name} existed?",
        "Name the date at which station {name} was put up.",
    ),
    "place": (
        "Where is station {name}?", "At which place does station {name} stand?", "Name the location of station {name}.",
        "What place has station {name}?", "Going to station {name}, where does one arrive?",
    ),
    "barrels": (
        "How many barrels does station {name} hold?", "What number of barrels fits into station {name}?",
        "Of how many barrels is the store of station {name}?", "Name the count of barrels in station {name}.",
        "How large is station {name}, counted in barrels?",
    ),
}  # fmt: skip


@dataclass(frozen=True)
class Fact:
    """A station: its number, its sentence, and the questions about it with their answers."""

    number: int
    name: str
    sentence: str
    questions: dict[str, str]


def fact(number: int) -> Fact:
    """The fact of a number."""
    order = random.Random(number)
    values = {
        "person": f"{order.choice(_FIRST)} {order.choice(_LAST)}", "year": str(order.randint(1701, 1999)),
        "place": order.choice(_PLACES), "barrels": str(order.randint(110, 989)),
    }  # fmt: skip
    name = _name(number)
    sentence = "Station {name} at {place} was built by {person} in {year} and holds {barrels} barrels."
    # In turn by part, so that the first few questions ask for different things already.
    turns = (
        (asking.format(name=name), values[part])
        for askings in zip(*_ASKINGS.values(), strict=True)
        for part, asking in zip(_ASKINGS, askings, strict=True)
    )
    return Fact(number, name, sentence.format(name=name, **values), dict(turns))


def _name(number: int) -> str:
    rest, letters = (number * _STRIDE + 12_345) % _NAMES, ""
    for _ in range(_LENGTH):
        rest, at = divmod(rest, len(_SYLLABLES))
        letters += _SYLLABLES[at]
    return letters.capitalize()


def number_of(name: str) -> int:
    """The number that a station's name stands for."""
    syllables = [name.lower()[at : at + 2] for at in range(0, 2 * _LENGTH, 2)]
    place = sum(_SYLLABLES.index(syllable) * len(_SYLLABLES) ** at for at, syllable in enumerate(syllables))
    return (place - 12_345) * pow(_STRIDE, -1, _NAMES) % _NAMES


def stations(text: str) -> list[int]:
    """The numbers of the stations that a text names, each once, in order."""
    return list(dict.fromkeys(number_of(name) for name in re.findall(r"\b[Ss]tation ([A-Z][a-z]{7})\b", text)))


def document(number: int, passages: int, facts: int) -> tuple[str, str]:
    """A document: its file name and its text, passages under headings, facts in passages."""
    parts = []
    for passage in range(passages):
        first = (number * passages + passage) * facts
        sentences = " ".join(fact(at).sentence for at in range(first, first + facts))
        parts.append(f"## Record {number * passages + passage}\n\n{sentences}\n")
    return f"records-{number:06d}.md", f"# Records, volume {number}\n\n" + "\n".join(parts)


def documents(count: int, passages: int, facts: int) -> Iterator[tuple[str, str]]:
    """Documents by file name."""
    return (document(number, passages, facts) for number in range(count))


@dataclass
class Counted:
    """What of the pairs that should be there is there, and what is there that should not be."""

    expected: int = 0
    kept: int = 0
    lost: int = 0
    duplicated: int = 0
    misattached: int = 0


def count(pairs: Sequence[tuple[str, str, str]], facts: range, quota: int) -> Counted:
    """Counts a dataset of pairs.

    Args:
        pairs: Question, answer, and the text they are attached to: the fact, or the passage they were written from.
        facts: The numbers of the facts that were in the documents.
        quota: How many pairs every fact was to get.
    """
    counted = Counted(expected=len(facts) * quota)
    kept: dict[int, set[str]] = {number: set() for number in facts}
    for question, answer, source in pairs:
        named = stations(question)
        owner = fact(named[0]) if len(named) == 1 and named[0] in kept else None
        if owner is None or owner.questions.get(question) != answer or owner.sentence not in source:
            counted.misattached += 1
        elif question in kept[owner.number]:
            counted.duplicated += 1
        else:
            kept[owner.number].add(question)
    counted.kept = sum(min(len(questions), quota) for questions in kept.values())
    counted.lost = counted.expected - counted.kept
    return counted
