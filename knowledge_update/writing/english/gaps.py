"""Statements with a gap: what can be left out of them, and the askings that leave it out or ask in its place."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from knowledge_update.writing.english.cast import Cast, acts_as_person
from knowledge_update.writing.english.lexicon import (
    DATE,
    FULL_DATE,
    NAME_PARTICLES,
    SET_PHRASES,
    THING_NAMES,
    TIME_UNITS,
    YEAR,
    is_person_noun,
)
from knowledge_update.writing.english.naming import bare, names_subject, topic
from knowledge_update.writing.english.parsing import is_quoted
from knowledge_update.writing.english.phrases import tidy
from knowledge_update.writing.english.slots import upper_first
from knowledge_update.writing.statements import CLOZE, COMPLETION, IN_PLACE, INDIRECT, Asking

Token = Any

_MAX_WORDS = 4
# Nouns in set phrases: "for example", "in addition".
_SET = frozenset("addition contrast course example fact general instance order particular total turn".split())
_BEFORE_TIMES = frozenset("after before by during from in on since until".split())
_ARTICLE = re.compile(r"(?<!\w)(?:the|an?) $", re.I)
# "11-year", "25 %", "Tesla's", "the orchid of the Reserve"; and a first name, put there or taken apart by the tagger.
_GOES_ON = re.compile(r"[\w'’-]| ?[%°]| of ")
_NAME_BEFORE = re.compile(
    r"(?:^| )(?!(?:After|Among|As|At|Before|By|During|For|From|In|Like|Near|On|Since|The|To|Under|Until|With) )"
    r"[A-Z][\w.'’-]* $"
)
_PREPOSITION = re.compile(r"(?<!\w)(?:about|against|by|for|from|of|to|under|with) $", re.I)


@dataclass(frozen=True)
class Gap:
    """What of a sentence can be left out.

    Args:
        text: It.
        wh: What asks for it where it stands; empty where no question word would read well there.
    """

    text: str
    wh: str = ""


def gaps_of(sentence: Any, cast: Cast, start: int = 0) -> list[Gap]:
    """What of a sentence, from a character on, can be asked for: its numbers, names and things, without the title."""
    tokens = [token for token in sentence if token.idx >= start and _can_be_asked_for(token, cast)]
    title = bare(cast.title).lower()
    found: dict[str, Gap] = {}
    for token in tokens:
        span = _span(token)
        short = len(span.split()) <= _MAX_WORDS or _is_one_name(span)
        if len(span) > 1 and span.lower() not in title and short:
            found.setdefault(span, Gap(span, _asked_with(token, span, cast)))
    return list(found.values())


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
    known = token.dep_ in ("nsubj", "nsubjpass") and any(child.lower_ == "the" for child in token.children)
    # "the summit of X": the noun says little, what follows it is what there is to know.
    relational = token.pos_ == "NOUN" and any(child.lower_ == "of" for child in token.rights)
    # "After the miss, …": what leads up to the sentence was told before it.
    taken_up = token.i < token.sent.root.i and token.pos_ == "NOUN" and [c.lower_ for c in token.lefts] == ["the"]
    return not (counted or known or relational or taken_up)


def _in_longer_name(token: Token) -> bool:
    """Whether a gap for a word of a name would leave other words of the name beside it."""
    first = token.doc[_first(token)]
    last = _last(token)
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


def _asked_with(token: Token, span: str, cast: Cast) -> str:
    """The question word for a span where it stands, or nothing."""
    doc, first = token.doc, token.doc[_first(token)]
    if DATE.fullmatch(span):
        return _time_word(doc[first.i - 1] if first.i > 0 else first, span)
    if token.pos_ == "NUM":
        return _count_word(token, span)
    last = _last(token)
    after = doc[last + 1] if last + 1 < len(doc) else token
    # "The full-scale engine".
    if after.i > token.i and after.pos_ in ("NOUN", "PROPN", "ADJ", "NUM"):
        return ""
    left = [child for child in token.lefts if child.i < first.i]
    described = any(child.dep_ in ("relcl", "acl") for child in token.rights)
    if described or token.dep_ == "appos" or any(child.lower_ not in ("the", "a", "an") for child in left):
        return ""
    return _name_word(token, span, cast) if token.pos_ == "PROPN" else _thing_word(token, after)


def _time_word(before: Token, span: str) -> str:
    """`In which year`, `on which day`: a date without a preposition is not asked for where it stands."""
    if before.lower_ not in _BEFORE_TIMES:
        return ""
    if YEAR.fullmatch(span):
        return "which year"
    return "which day" if FULL_DATE.match(span) else ""


def _count_word(number: Token, span: str) -> str:
    """`How many`, with the noun where the span takes it up."""
    unit, doc = number.head, number.doc
    if number.dep_ != "nummod" or unit.i < number.i or number.lower_ == "one" or not unit.is_alpha:
        return ""
    before = doc[number.left_edge.i - 1].text if number.left_edge.i > 0 else ""
    described = all(word.pos_ in ("ADJ", "NOUN", "PROPN") for word in doc[number.i + 1 : unit.i])
    # "24 minutes and 38 seconds", "$5 million", "the two brothers".
    part = unit.lemma_.lower() in TIME_UNITS and any(word.lemma_.lower() in TIME_UNITS for word in unit.conjuncts)
    if part or not described or re.fullmatch(r"[$£€-]|the|its|his|her|their|first|last", before, re.I):
        return ""
    return f"how many {unit.text}" if span.endswith(f" {unit.text}") else "how many"


def _name_word(token: Token, span: str, cast: Cast) -> str:
    kind = cast.classes.get(span)
    thing = span in cast.places or span.split()[-1].lower() in THING_NAMES or (kind and not is_person_noun(kind))
    known = cast.called(token) in cast.people.values() or acts_as_person(token)
    if not thing and (known or (token.ent_type_ == "PERSON" and " " in span)):
        return "who"
    placed = token.ent_type_ in ("GPE", "LOC") or span in cast.places
    # Of a lone name that does something nobody can say whether it is somebody.
    if not placed and not thing and token.dep_ == "nsubj" and " " not in span:
        return ""
    return "which place" if placed and not list(token.conjuncts) else "what"


def _thing_word(token: Token, after: Token) -> str:
    verb, bare_noun = token.head, not list(token.lefts)
    # "In contact with", "took place".
    linked = token.dep_ == "pobj" and bare_noun and after.pos_ == "ADP"
    return "" if linked or (verb.lemma_, token.lower_) in SET_PHRASES else "what"


def untold(found: Sequence[Gap], told: str) -> list[Gap]:
    """The names and numbers of a sentence that a text does not tell."""
    return [gap for gap in found if tells(gap.text) and gap.text not in told]


def gaps(text: str, gap: Gap, slot: str, cast: Cast, *, probe: bool = False) -> Iterator[Asking]:
    """Cloze, completion and a question in its place; the topic is named where the gap took the only name."""
    answer = gap.text
    matches = list(re.finditer(rf"(?<!\w){re.escape(answer)}(?!\w)", text))
    if len(matches) != 1:
        return
    start, end = matches[0].span()
    rest = f"{text[:start]}____{text[end:]}"
    before = "" if names_subject(rest, cast) else topic(cast)
    if not before and not names_subject(rest, cast):
        return
    shown = upper_first(answer) if start == 0 else answer
    if probe:
        yield Asking("cloze", INDIRECT, f"Which words are missing here: {before}{rest}", answer, slot)
    if question := _in_place(text[:start], gap.wh, text[end:]):
        yield Asking("cloze", IN_PLACE, f"{before}{question}", shown, slot)
    yield Asking("cloze", CLOZE, f"Fill in the blank: {before}{rest}", shown, slot)
    if len(text[:start].split()) >= 4 and text[end:].strip() in ("", "."):
        yield Asking("cloze", COMPLETION, f"Complete the sentence: {before}{tidy(text[:start])} ...", answer, slot)


def _in_place(before: str, wh: str, after: str) -> str:
    """As in `Victoria had how many public schools?`; nothing where no question word reads well beside what is left."""
    left = _ARTICLE.sub("", before)
    if not wh or not after.endswith(".") or _GOES_ON.match(after) or _NAME_BEFORE.search(left):
        return ""
    word = "whom" if wh == "who" and _PREPOSITION.search(left) else wh
    return upper_first(f"{left}{word}{after.removesuffix('.')}?")
