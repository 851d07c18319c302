"""Everything that can be asked about a clause, in all wordings."""

import re
from collections.abc import Iterator, Sequence

from knowledge_update.writing.english.cast import Cast
from knowledge_update.writing.english.clauses import Clause
from knowledge_update.writing.english.gaps import gaps, tells
from knowledge_update.writing.english.naming import bare, is_name, is_sound, names_subject, topic
from knowledge_update.writing.english.questions import Question, converse, nominal, questions_of, with_of, with_synonyms
from knowledge_update.writing.frames import embedded
from knowledge_update.writing.statements import (
    ABOUT,
    CONVERSE,
    DIRECT,
    EMBEDDED,
    INDIRECT,
    SHORT,
    SYNONYM,
    TEXT,
    TITLED,
    Asking,
)

# Frames of the held-out family; which one a question gets depends on its text alone.
_FRAMES = (
    "Do you happen to know {}?",
    "I would like to know {}.",
    "Could you tell me {}?",
    "Can you say {}?",
    "Someone asked me {}. What should I answer?",
)
_TORN = re.compile(r"[,;:]$|\b(?:St|Dr|Mrs?|Mt)\.$")
_TWICE = re.compile(r"\b(\w+) \1\b", re.I)
_ABOUT_FRAMES = ("Tell me about {}.", "What do you know about {}?")
_MAX_ABOUT_WORDS = 25
DANGLING = re.compile(r"\b(?:it|he|she|they|him|them|this|these|those|here|there|who|which)\b", re.I)
# Without the noun it stands for nobody knows whose.
_LOOSE_OWNER = re.compile(r"^(?:\w+ )?(?:is|are|was|were)? ?(?:its|his|her|their)\b", re.I)


def askings(clause: Clause, cast: Cast, text: str, quote: str, spans: Sequence[str]) -> list[Asking]:
    """All askings about a clause.

    Args:
        clause: What is asked about.
        cast: Who and what its document is about.
        text: The statement made of the clause.
        quote: The sentence it comes from, in which every answer stands.
        spans: What else of the sentence can be left out and asked for.
    """
    found: list[Asking] = []
    slots: dict[str, str] = {}
    # What a subject is made of can be asked for beside it.
    wholes = {ask.answer for ask in clause.subject.asks}
    for wording, question in _questions(clause):
        if _answerable(question, quote):
            slot = slots.setdefault(question.answer, f"slot{len(slots)}")
            family = SHORT if question.short and wording == DIRECT else wording
            found.extend(_wordings(question, family, cast, slot))
    asked = tuple(slots)
    beside = [span for span in spans if span not in asked and not _is_within(span, asked, wholes)]
    for answer in (*asked, *beside):
        found.extend(gaps(text, answer, slots.setdefault(answer, f"slot{len(slots)}"), cast))
    found.extend(about(clause.subject.text, text, cast))
    found.extend(_restatements(clause, cast, text))
    sound = (asking for asking in found if is_sound(asking.question) and is_sound(asking.answer))
    return _distinct([asking for asking in sound if not _gives_away(asking)])


def _is_within(span: str, asked: Sequence[str], wholes: set[str]) -> bool:
    """Whether a span is told by something that is asked for; a name or number within a subject's name is not."""
    near = [other for other in asked if span in other or other in span]
    return any(other not in wholes for other in near) or bool(near and not tells(span))


def about(name: str, text: str, cast: Cast) -> Iterator[Asking]:
    """What somebody may say who is asked to tell about a named thing: one short fact."""
    if is_name(name, cast) and len(text.split()) <= _MAX_ABOUT_WORDS:
        frame = _ABOUT_FRAMES[sum(text.encode()) % len(_ABOUT_FRAMES)]
        yield Asking("about", ABOUT, frame.format(name), text, "about")


def _restatements(clause: Clause, cast: Cast, text: str) -> Iterator[Asking]:
    yield Asking("text", TEXT, "", text)
    turned = converse(clause)
    if turned:
        said = f"{turned.say()}."
        yield Asking("text", TEXT, "", said if names_subject(said, cast) else topic(cast) + said)


def _gives_away(asking: Asking) -> bool:
    """Whether a question, with whatever stands before it, contains its own answer."""
    answer = re.escape(asking.answer.lower().removeprefix("the "))
    return bool(asking.question and re.search(rf"(?<!\w){answer}(?!\w)", asking.question.lower()))


def _distinct(found: list[Asking]) -> list[Asking]:
    """Leaves out askings that say the same as an earlier one."""
    return list({(asking.question, asking.answer): asking for asking in reversed(found)}.values())[::-1]


def _questions(clause: Clause) -> Iterator[tuple[str, Question]]:
    turned = converse(clause)
    yield from ((DIRECT, question) for question in questions_of(clause))
    if turned:
        yield from ((CONVERSE, question) for question in questions_of(turned))
    for variant in (*with_synonyms(clause), *with_of(clause)):
        yield from ((SYNONYM, question) for question in questions_of(variant))
    yield from ((SYNONYM, question) for question in nominal(clause))


def _answerable(question: Question, quote: str) -> bool:
    """Whether a question has its answer in the quote, a bearable length and no loose ends."""
    answer = question.answer.lower()
    inside = bool(answer) and answer.removeprefix("the ") in quote.lower()
    asked = question.indirect.split(" ", 1)[-1]
    if answer.startswith("no ") or _TORN.search(answer) or _TWICE.search(question.direct):
        return False
    loose = DANGLING.search(asked) or _LOOSE_OWNER.match(question.direct) or _LOOSE_OWNER.match(answer)
    return inside and 3 <= len(question.direct.split()) <= 30 and not loose


def _wordings(question: Question, family: str, cast: Cast, slot: str) -> Iterator[Asking]:
    title = bare(cast.title)
    prefix = "" if names_subject(question.direct, cast) else topic(cast)
    direct = prefix + (question.direct[0].lower() + question.direct[1:] if prefix else question.direct)
    yield Asking(question.form, family, direct, question.answer, slot)
    if family == DIRECT:
        if title and not prefix:
            titled = f'In the article "{title}": {question.direct}'
            yield Asking(question.form, TITLED, titled, question.answer, slot)
        about = f"About {cast.title}: " if prefix else ""
        yield Asking(question.form, EMBEDDED, about + embedded(question.indirect), question.answer, slot)
        frame = _FRAMES[sum(question.indirect.encode()) % len(_FRAMES)]
        yield Asking(question.form, INDIRECT, about + frame.format(question.indirect), question.answer, slot)
