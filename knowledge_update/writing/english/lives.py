"""`Ilona Varga (14 February 1887 in Debrenta – 2 November 1961) was …`: when and where somebody was born and died."""

from collections.abc import Iterator
from typing import Any

from knowledge_update.writing.english.clauses import Clause
from knowledge_update.writing.english.lexicon import FULL_DATE, LIFE
from knowledge_update.writing.english.phrases import Ask, Reader, time_asks
from knowledge_update.writing.english.slots import Slot


def lives_of(sentence: Any, reader: Reader) -> Iterator[Clause]:
    """Yields what the brackets behind a person's name say of birth and death."""
    for found in LIFE.finditer(sentence.text):
        at = sentence.start_char + found.start()
        named = [token for token in sentence if token.idx < at]
        if not named or named[-1].pos_ != "PROPN" or not reader.memory.is_person(named[-1]):
            continue
        who = reader.memory.cast.called(named[-1])
        born, place, died, where, alone, home = found.groups()
        yield from _event(who, "born", born or alone, place or home)
        if died:
            yield from _event(who, "died", died, where)


def _event(who: str, verb: str, date: str, place: str | None) -> Iterator[Clause]:
    word = "on" if FULL_DATE.search(date) else "in"
    slots = [Slot("time", f"{word} {date}", tuple(time_asks(word, date, None)))]
    if place:
        slots.append(Slot("prep", f"in {place.strip()}", (Ask("where", "where", place.strip()),)))
    subject = Slot("subject", who, (Ask("who", "who", who),))
    if verb == "born":
        yield Clause(subject, ("was",), verb, "bear", "VBN", tuple(slots), passive=True)
    else:
        yield Clause(subject, (), verb, "die", "VBD", tuple(slots))
