"""Statements with a gap: what can be left out of them, and the askings that leave it out."""

import re
from collections.abc import Iterator, Sequence
from typing import Any

from knowledge_update.writing.english.cast import Cast
from knowledge_update.writing.english.lexicon import DATE, NAME_PARTICLES
from knowledge_update.writing.english.naming import bare, names_subject, topic
from knowledge_update.writing.english.parsing import is_quoted
from knowledge_update.writing.english.phrases import tidy
from knowledge_update.writing.english.roles import is_subject
from knowledge_update.writing.english.slots import upper_first
from knowledge_update.writing.statements import CLOZE, COMPLETION, INDIRECT, Asking

Token = Any

_MAX_WORDS = 4
# Nouns in set phrases: "for example", "in addition".
_SET = frozenset("addition contrast course example fact general instance order particular total turn".split())


def spans(sentence: Any, cast: Cast, start: int = 0) -> list[str]:
    """What of a sentence, from a character on, can be asked for: its numbers, names and things, without the title."""
    found = [_span(token) for token in sentence if token.idx >= start and _can_be_asked_for(token, cast)]
    title = bare(cast.title).lower()
    short = [span for span in found if len(span) > 1 and span.lower() not in title]
    return list(dict.fromkeys(span for span in short if len(span.split()) <= _MAX_WORDS or _is_one_name(span)))


def tells(span: str) -> bool:
    """Whether a span is a name or a number, rather than any noun."""
    return bool(re.search(r"[A-Z\d]", span))


def _is_one_name(span: str) -> bool:
    return all(word[:1].isupper() or word in ("of", "the") for word in span.split())


def _can_be_asked_for(token: Token, cast: Cast) -> bool:
    if token.pos_ == "NUM":
        return bool(token.like_num and token.dep_ != "compound")
    if token.pos_ not in ("NOUN", "PROPN") or token.dep_ in ("compound", "npadvmod"):
        return False
    if token.lower_ in _SET and token.dep_ == "pobj" and token.left_edge == token:
        return False
    # At the start of a sentence a capital makes no name.
    if token.left_edge.is_sent_start and token.text not in cast.names:
        return False
    if _in_longer_name(token):
        return False
    counted = any(child.dep_ == "nummod" for child in token.children)
    known = is_subject(token) and any(child.lower_ == "the" for child in token.children)
    # "the summit of X": the noun says little, what follows it is what there is to know.
    relational = token.pos_ == "NOUN" and any(child.lower_ == "of" for child in token.rights)
    # "After the miss, …": what leads up to the sentence was told before it.
    taken_up = token.i < token.sent.root.i and token.pos_ == "NOUN" and [c.lower_ for c in token.lefts] == ["the"]
    return not (counted or known or relational or taken_up)


def _in_longer_name(token: Token) -> bool:
    """Whether a gap for a word of a name would leave other words of the name beside it."""
    first, last = token.doc[_first(token)], _last(token)
    before = token.doc[first.i - 1] if first.i > 0 else None
    after = token.doc[last + 1] if last + 1 < len(token.doc) else None
    if token.dep_ == "poss" and token.head.pos_ == "PROPN":
        return True
    if token.dep_ == "pobj" and _last(token.head.head) == token.i:
        return True
    beside = [word for word in (before, after) if word is not None]
    return token.pos_ == "PROPN" and any(word.pos_ == "PROPN" or word.lower_ in NAME_PARTICLES for word in beside)


def _first(token: Token) -> int:
    kept = [left for left in token.lefts if left.dep_ in ("compound", "amod", "nmod") and left.i == left.left_edge.i]
    return int(min([left.i for left in kept], default=token.i))


def _last(token: Token) -> int:
    """Where a name ends: `the Port of San Diego` goes on behind its head."""
    of = token.doc[token.i + 1] if token.i + 1 < len(token.doc) else token
    if token.pos_ != "PROPN" or of.lower_ != "of" or of.head != token:
        return int(token.i)
    names = [word for word in of.children if word.dep_ == "pobj" and word.pos_ == "PROPN" and word.n_rights == 0]
    return int(names[0].i) if len(names) == 1 else int(token.i)


def _span(token: Token) -> str:
    if token.pos_ == "NUM":
        return _amount(token)
    if is_quoted(token):
        return str(token.text).strip('"“”')
    return str(token.doc[_first(token) : _last(token) + 1].text)


def _amount(number: Token) -> str:
    """A number with what it counts, a day with its month and year."""
    sentence = number.sent
    at = number.idx - sentence.start_char
    dates = (found for found in DATE.finditer(sentence.text) if found.start() <= at < found.end())
    if date := next(dates, None):
        return date[0]
    unit = number.head
    counts = number.dep_ == "nummod" and unit.i == number.i + 1 and unit.pos_ == "NOUN" and unit.is_alpha
    return str(number.doc[number.left_edge.i : unit.i + 1].text if counts else number.text)


def untold(found: Sequence[str], told: str) -> list[str]:
    """The names and numbers of a sentence that a text does not tell."""
    return [span for span in found if tells(span) and span not in told]


def gaps(text: str, answer: str, slot: str, cast: Cast, *, probe: bool = False) -> Iterator[Asking]:
    """Cloze and completion of a statement; its topic is named where the gap took the only name."""
    matches = list(re.finditer(rf"(?<!\w){re.escape(answer)}(?!\w)", text))
    if len(matches) != 1:
        return
    start, end = matches[0].span()
    rest = f"{text[:start]}____{text[end:]}"
    before = "" if names_subject(rest, cast) else topic(cast)
    if not before and not names_subject(rest, cast):
        return
    if probe:
        yield Asking("cloze", INDIRECT, f"Which words are missing here: {before}{rest}", answer, slot)
    shown = upper_first(answer) if start == 0 else answer
    yield Asking("cloze", CLOZE, f"Fill in the blank: {before}{rest}", shown, slot)
    if len(text[:start].split()) >= 4 and text[end:].strip() in ("", "."):
        yield Asking("cloze", COMPLETION, f"Complete the sentence: {before}{tidy(text[:start])} ...", answer, slot)
