"""Wordings of Chinese questions about a clause, and restatements of it."""

import re
import zlib
from collections.abc import Iterator
from dataclasses import replace

from knowledge_update.writing import statements
from knowledge_update.writing.chinese import lexicon
from knowledge_update.writing.chinese.core import Span
from knowledge_update.writing.chinese.restatements import EVENT, restated, swapped, verb_follows, without_title
from knowledge_update.writing.chinese.reversed import reversed_askings
from knowledge_update.writing.chinese.spans import nominals, spans
from knowledge_update.writing.chinese.subjects import Reading
from knowledge_update.writing.statements import Asking

_MAX_QUESTION = 80
_ADJUNCT = re.compile(rf"(?:在|于)(?:{lexicon.DATE.pattern})(?![的前后之以间起至到时末初年])")
_FOUNDED = re.compile(rf"(建于|创建于|创办于|成立于|创立于)({lexicon.DATE.pattern})$")
# Frames of the probe family: none of them is used by another wording.
_FRAMES = (
    "请问你知不知道{}？",
    "我想了解一下，{}？",
    "有人向我打听{}，你能说说吗？",
    "麻烦你告诉我，{}？",
    "你能不能告诉我{}？",
    "我一直不清楚{}，你知道吗？",
)
_ABOUT_FRAMES = ("请介绍一下{}。", "关于{}，你知道些什么？")
_MAX_TOLD = 60
_MAX_BLANKS = 3
_COMMA_FRAMES = ("我想了解一下，{}？", "麻烦你告诉我，{}？")


def askings(reading: Reading, title: str) -> Iterator[Asking]:
    """All questions about a clause and its restatements."""
    questions = [asking for span in spans(reading, title) for asking in _about(reading, span, title)]
    questions += reversed_askings(reading, title)
    yield from questions or _blanks(reading, title)
    yield from _told(reading, title)
    for text in dict.fromkeys(restated(reading, title)):
        yield Asking("text", statements.TEXT, "", text, "text")


def _blanks(reading: Reading, title: str) -> Iterator[Asking]:
    """What nothing can be asked about is asked for its last nouns, names and numbers, left out one at a time."""
    before, core = reading.context + reading.lead, reading.head + reading.subject + reading.predicate
    for span in reversed(nominals(reading, title)[-_MAX_BLANKS:]):
        for wording, question in _gaps(before, core, span):
            yield Asking("cloze", wording, question, span.answer, f"{span.answer}@{span.at}")
            if wording == statements.CLOZE:
                probe = f"{question.removeprefix('填空：')}空白处是什么？"
                yield Asking("cloze", statements.INDIRECT, probe, span.answer, f"{span.answer}@{span.at}")


def _told(reading: Reading, title: str) -> Iterator[Asking]:
    """What somebody may say who is asked to tell about a named thing: one short fact."""
    named = reading.subject == title or lexicon.NAME.fullmatch(reading.subject) is not None
    text = f"{reading.text}。"
    if named and not reading.context and not reading.lead and len(text) <= _MAX_TOLD:
        frame = _ABOUT_FRAMES[zlib.crc32(text.encode()) % len(_ABOUT_FRAMES)]
        yield Asking("about", statements.ABOUT, frame.format(reading.subject), text, "about")


def _about(reading: Reading, span: Span, title: str) -> Iterator[Asking]:
    """The wordings of one question, no two alike and none that gives its answer away."""
    reading, span = _uncoordinated(_cut(reading), span)
    seen: set[str] = set()
    for wording, question in _wordings(reading, span, title):
        if question in seen or span.answer in question or len(question) > _MAX_QUESTION or "为什么" in question:
            continue
        seen.add(question)
        form = "cloze" if wording in (statements.CLOZE, statements.COMPLETION) else span.form
        yield Asking(form, wording, question, span.answer, f"{span.answer}@{span.at}")


def _cut(reading: Reading) -> Reading:
    """The clause without fragments that follow a comma."""
    return replace(reading, predicate=reading.predicate.split("，")[0])


def _uncoordinated(reading: Reading, span: Span) -> tuple[Reading, Span]:
    """Of `412名学生和36名教师` only the half that is asked about."""
    match = re.search(
        rf"({lexicon.NUMBER.pattern}[^和、，]+)和({lexicon.NUMBER.pattern}[^和、，]+)$", reading.predicate
    )
    if not match or span.form != "how_many":
        return reading, span
    offset = len(reading.head) + len(reading.subject)
    if span.at < offset + match.end(1):
        return replace(reading, predicate=reading.predicate[: match.end(1)]), span
    cut = match.start(2) - match.start(1)
    halved = reading.predicate[: match.start(1)] + reading.predicate[match.start(2) :]
    moved = replace(span, start=span.start - cut, end=span.end - cut, at=span.at - cut)
    return replace(reading, predicate=halved), moved


def _wordings(reading: Reading, span: Span, title: str) -> Iterator[tuple[str, str]]:
    before = reading.context + reading.lead
    core = reading.head + reading.subject + reading.predicate
    direct = _direct(reading, span, span.word)
    yield statements.DIRECT, f"{before}{direct}？"
    yield statements.SHORT, f"{before}{_short(reading, span, title)}？"
    for other in _synonyms(reading, span, title):
        yield statements.SYNONYM, f"{before}{other}？"
    if span.end <= len(reading.head) and not reading.lead:
        yield (
            statements.FRONTED,
            f"{reading.context}{span.word}，{reading.subject}{reading.predicate.removeprefix('都')}？",
        )
    if titled := without_title(reading.lead + direct, reading, title):
        yield statements.TITLED, f"关于{title}：{titled}？"
    yield from _gaps(before, core, span)
    yield statements.INDIRECT, _indirect(reading, span, before)


def _direct(reading: Reading, span: Span, word: str) -> str:
    """The clause with the question word in place of the answer; a point in time goes behind the subject."""
    core = reading.head + reading.subject + reading.predicate
    if span.end > len(reading.head) or not reading.subject or span.form != "when":
        return core[: span.start] + word + core[span.end :]
    preposition = "" if reading.predicate.startswith(("在", "也", "都", "于")) else "在"
    return f"{reading.subject}{preposition}{word}{reading.predicate.removeprefix('都')}"


def _short(reading: Reading, span: Span, title: str) -> str:
    """The question without times that are not asked about."""
    offset = len(reading.head) + len(reading.subject)
    head = reading.head if span.end <= len(reading.head) or not (reading.clause.time and "，" in reading.head) else ""
    predicate, shift = reading.predicate, 0
    for match in reversed(list(_ADJUNCT.finditer(predicate))):
        outside = offset + match.end() <= span.start or offset + match.start() >= span.end
        rest = predicate[: match.start()] + predicate[match.end() :]
        if outside and verb_follows(predicate[match.end() :], title):
            shift += len(match.group()) if offset + match.end() <= span.start else 0
            predicate = rest
    moved = shift + len(reading.head) - len(head)
    kept = replace(reading, head=head, predicate=predicate)
    return _direct(kept, replace(span, start=span.start - moved, end=span.end - moved, at=span.at - moved), span.word)


def _synonyms(reading: Reading, span: Span, title: str) -> Iterator[str]:
    """The question in other words."""
    yield from _event(reading, span)
    direct = _direct(reading, span, span.word)
    if (other := swapped(direct, title)) != direct:
        yield other
    elif span.other:
        yield _direct(reading, span, span.other)
    founded = _FOUNDED.search(reading.predicate)
    if founded and span.answer == founded[2]:
        verb = "建成" if founded[1] == "建于" else founded[1][:2]
        yield f"{reading.subject}是{span.word}{verb}的"


def _event(reading: Reading, span: Span) -> Iterator[str]:
    """Who or when, of something that was founded, built, … by somebody."""
    match = EVENT.match(reading.predicate)
    if not match or reading.head:
        return
    if span.form == "who" and span.answer in match["agent"]:
        yield f"{reading.subject}是谁{match['verb']}的"
        if noun := lexicon.AGENT_NOUN.get(match["verb"]):
            yield f"{reading.subject}的{noun}是谁"
    if span.form == "when" and match["date"] and span.answer in match["date"]:
        yield f"{reading.subject}是{span.word}{match['verb']}的"
        yield f"{reading.subject}{match['verb']}于{span.word}"


def _gaps(before: str, core: str, span: Span) -> Iterator[tuple[str, str]]:
    end = span.at + len(span.answer)
    yield statements.CLOZE, f"填空：{before}{core[: span.at]}____{core[end:]}。"
    tail = core[end:]
    if len(tail) <= 1 and len(core[: span.at]) >= 4:
        yield statements.COMPLETION, f"请把句子补充完整：{before}{core[: span.at].rstrip('“「《')}"


def _indirect(reading: Reading, span: Span, before: str) -> str:
    """The wording of the probe family, in a frame that depends on the question alone."""
    question = before + _direct(reading, span, span.other or span.word)
    frames = _COMMA_FRAMES if "，" in question or len(question) > 40 else _FRAMES
    return frames[zlib.crc32(question.encode()) % len(frames)].format(question)
