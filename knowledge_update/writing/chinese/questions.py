"""Wordings of Chinese questions about a clause, and restatements of it."""

import re
import zlib
from collections.abc import Iterator
from dataclasses import replace

from knowledge_update.writing import statements
from knowledge_update.writing.chinese import lexicon
from knowledge_update.writing.chinese.spans import Span, spans
from knowledge_update.writing.chinese.subjects import Reading, person_at_end
from knowledge_update.writing.statements import Asking

_MAX_QUESTION = 80
_EVENT = re.compile(rf"由(?P<agent>[^由，的]+?)(?P<date>(?:在|于)?(?:{lexicon.DATE.pattern}))?(?P<verb>{lexicon.ESTABLISH})$")
_ADJUNCT = re.compile(rf"(?:在|于)(?:{lexicon.DATE.pattern})(?![的前后之以间起至到])")
# Frames of the probe family: none of them is used by another wording.
_FRAMES = (
    "请问你知不知道{}？", "我想了解一下，{}？", "有人向我打听{}，你能说说吗？", "麻烦你告诉我，{}？", "你能不能告诉我{}？", "我一直不清楚{}，你知道吗？",
)  # fmt: skip
_COMMA_FRAMES = ("我想了解一下，{}？", "麻烦你告诉我，{}？")


def askings(reading: Reading, title: str) -> Iterator[Asking]:
    """All questions about a clause and its restatements."""
    for span in spans(reading, title):
        yield from _about(reading, span, title)
    yield from _superlative(reading, title)
    yield from _office(reading, title)
    yield from _kind(reading)
    for text in dict.fromkeys(_restated(reading, title)):
        yield Asking("text", statements.TEXT, "", text, "text")


def _about(reading: Reading, span: Span, title: str) -> Iterator[Asking]:
    """The wordings of one question, no two alike and none that gives its answer away."""
    reading, span = _uncoordinated(reading, span)
    seen: set[str] = set()
    for wording, question in _wordings(reading, span, title):
        if question in seen or span.answer in question or len(question) > _MAX_QUESTION or "为什么" in question:
            continue
        seen.add(question)
        form = "cloze" if wording in (statements.CLOZE, statements.COMPLETION) else span.form
        yield Asking(form, wording, question, span.answer, f"{span.answer}@{span.at}")


def _uncoordinated(reading: Reading, span: Span) -> tuple[Reading, Span]:
    """Of `412名学生和36名教师` only the half that is asked about."""
    match = re.search(rf"({lexicon.NUMBER.pattern}[^和、，]+)和({lexicon.NUMBER.pattern}[^和、，]+)$", reading.predicate)
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
    yield statements.SHORT, f"{before}{_short(reading, span)}？"
    for other in _synonyms(reading, span, title):
        yield statements.SYNONYM, f"{before}{other}？"
    if span.end <= len(reading.head) and not reading.lead:
        yield statements.FRONTED, f"{reading.context}{span.word}，{reading.subject}{reading.predicate.removeprefix('都')}？"
    if titled := _titled(reading, direct, title):
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


def _short(reading: Reading, span: Span) -> str:
    """The question without times that are not asked about."""
    offset = len(reading.head) + len(reading.subject)
    head = reading.head if span.end <= len(reading.head) or not reading.clause.time else ""
    predicate, shift = reading.predicate, 0
    for match in reversed(list(_ADJUNCT.finditer(predicate))):
        outside = offset + match.end() <= span.start or offset + match.start() >= span.end
        if outside and (rest := predicate[: match.start()] + predicate[match.end() :]):
            shift += len(match.group()) if offset + match.end() <= span.start else 0
            predicate = rest
    moved = shift + len(reading.head) - len(head)
    kept = replace(reading, head=head, predicate=predicate)
    return _direct(kept, replace(span, start=span.start - moved, end=span.end - moved, at=span.at - moved), span.word)


def _synonyms(reading: Reading, span: Span, title: str) -> Iterator[str]:
    """The question in other words."""
    if event := _event(reading, span):
        yield from event
    direct = _direct(reading, span, span.word)
    if (swapped := _swapped(direct, title)) != direct:
        yield swapped
    elif span.other:
        yield _direct(reading, span, span.other)
    if (founded := re.search(rf"(?:建于|创建于|创办于|成立于|创立于)({lexicon.DATE.pattern})$", reading.predicate)) and (
        span.answer == founded[1]
    ):
        verb = "建成" if founded.group().startswith("建于") else founded.group()[:2]
        yield f"{reading.subject}是{span.word}{verb}的"


def _event(reading: Reading, span: Span) -> Iterator[str]:
    """Who or when, of something that was founded, built, … by somebody."""
    match = _EVENT.match(reading.predicate)
    if not match or reading.head:
        return
    if span.form == "who" and span.answer in match["agent"]:
        yield f"{reading.subject}是谁{match['verb']}的"
        if noun := lexicon.AGENT_NOUN.get(match["verb"]):
            yield f"{reading.subject}的{noun}是谁"
    if span.form == "when" and match["date"] and span.answer in match["date"]:
        yield f"{reading.subject}是{span.word}{match['verb']}的"
        yield f"{reading.subject}{match['verb']}于{span.word}"


def _swapped(text: str, title: str) -> str:
    """A text with its first word that has a synonym exchanged, outside the title and outside quotation marks."""
    for word, other in lexicon.SYNONYMS:
        for match in re.finditer(re.escape(word), text):
            left = text[: match.start()]
            overlaps = any(found.start() < match.end() and match.start() < found.end()
                           for found in re.finditer(re.escape(title) or "$^", text))  # fmt: skip
            if not overlaps and left.count("“") == left.count("”") and not left.endswith(other[: len(other) - len(word)] or "\0"):
                return left + other + text[match.end() :]
    return text


def _titled(reading: Reading, direct: str, title: str) -> str:
    """The question without the title at its front."""
    if reading.context:
        return reading.lead + direct
    text = reading.lead + direct
    if not text.startswith(title):
        return ""
    rest = text.removeprefix(title).removeprefix("的")
    return "" if re.match("[是为]|.{0,3}$", rest) else rest


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


def _superlative(reading: Reading, title: str) -> Iterator[Asking]:
    """Asks for the only thing a superlative is true of."""
    match = re.match(r"是((?:[^，]*最[^，]*|[^，]*唯一[^，]*)的([^的，]+))$", reading.predicate)
    subject = reading.subject
    if not match or reading.lead or reading.head or "之一" in match[1] or subject not in (title, *_persons(reading, title)):
        name = _persons(reading, title)
        if not match or reading.lead or reading.head or "之一" in match[1] or not name:
            return
        subject = name[0]
    if subject not in reading.clause.quote or subject in match[1]:
        return
    yield from _which(match[1], match[2], subject, subject != title)


def _kind(reading: Reading) -> Iterator[Asking]:
    """Asks what it is that bears a name (“雾角”)."""
    named = re.match("(?:名叫|叫做|叫|取名|名为)(“[^“”]+”)$", reading.predicate)
    bearer = re.search("的(?:第[一二三四五]种)?([^的，]{1,5})$", reading.subject)
    if reading.lead and not reading.subject:
        bearer = re.search("了一[条座个口艘只家幢栋辆架种]([^的，]{2,6})，$", reading.lead)
    if not named or not bearer or bearer[1] not in reading.clause.quote + reading.lead:
        return
    for wording, question in (
        (statements.DIRECT, f"{reading.context}{named[1]}是什么？"),
        (statements.SYNONYM, f"{reading.context}{named[1]}是什么东西的名字？"),
        (statements.INDIRECT, f"我想了解一下，{reading.context}{named[1]}指的是什么？"),
    ):
        if bearer[1] not in question:
            yield Asking("what", wording, question, bearer[1], f"{bearer[1]}@kind")


def _persons(reading: Reading, title: str) -> tuple[str, ...]:
    name = person_at_end(reading.subject, title)
    return (name,) if name else ()


def _which(thing: str, kind: str, answer: str, person: bool) -> Iterator[Asking]:
    measure = next((f"哪一{unit}" for noun, unit in lexicon.MEASURE_OF_KIND.items() if kind.endswith(noun)), "什么")
    word, form = ("谁", "who") if person else (measure, "which")
    slot = f"{answer}@subject"
    yield Asking(form, statements.DIRECT, f"{thing}是{word}？", answer, slot)
    if not person:
        yield Asking(form, statements.SYNONYM, f"{thing}叫什么名字？", answer, slot)
    yield Asking("cloze", statements.CLOZE, f"填空：{thing}是____。", answer, slot)
    yield Asking("cloze", statements.COMPLETION, f"请把句子补充完整：{thing}是", answer, slot)
    yield Asking(form, statements.INDIRECT, f"请问你知不知道{thing}是{word}？", answer, slot)


def _office(reading: Reading, title: str) -> Iterator[Asking]:
    """Who holds an office, from a name with the office before it (校长某某)."""
    name = person_at_end(reading.subject, title)
    office = reading.subject.removesuffix(name)
    role = lexicon.UNIQUE_ROLE.search(office)
    timeless = not reading.head and not lexicon.DATE.search(reading.predicate) and lexicon.BE.match(reading.predicate)
    plain = office.startswith(title) and office.count("的") <= 1 and len(office) <= len(title) + 6
    if not name or not role or not timeless or not plain or name not in reading.clause.quote or title in reading.predicate:
        return
    slot = f"{name}@office"
    yield Asking("who", statements.DIRECT, f"{office}是谁？", name, slot)
    yield Asking("who", statements.SYNONYM, f"谁是{office}？", name, slot)
    yield Asking("cloze", statements.CLOZE, f"填空：{office}是____。", name, slot)
    yield Asking("cloze", statements.COMPLETION, f"请把句子补充完整：{office}是", name, slot)
    yield Asking("who", statements.INDIRECT, f"请问你知不知道{office}叫什么名字？", name, slot)


def _restated(reading: Reading, title: str) -> list[str]:
    """The statement in other words, at most three times."""
    before = reading.context + reading.lead
    found = [f"{before}{core}。" for core in _rephrased(reading)]
    swapped = _swapped(reading.head + reading.subject + reading.predicate, title)
    if swapped != reading.head + reading.subject + reading.predicate:
        found.append(f"{before}{swapped}。")
    if not found and not reading.context.startswith("关于"):
        found.append(f"关于{title}：{_titled(reading, reading.head + reading.subject + reading.predicate, title) or reading.text}。")
    return found[:3]


def _rephrased(reading: Reading) -> Iterator[str]:
    if match := _EVENT.match(reading.predicate):
        date = match["date"] or ""
        if not reading.head:
            yield f"{reading.subject}是由{match['agent']}{date}{match['verb']}的"
        yield f"{reading.head}{match['agent']}{date}{match['verb']}了{reading.subject}"
    if reading.clause.time and reading.subject and not reading.predicate.startswith("在"):
        yield f"{reading.subject}{'在' if not reading.clause.time.startswith(('每', '在', '于')) else ''}{reading.clause.time}{reading.predicate}"
    if (match := re.match(rf"(?:在|于)({lexicon.DATE.pattern})(?![的前后之以间起至到])", reading.predicate)) and not reading.head:
        yield f"{match[1]}，{reading.subject}{reading.predicate[match.end() :]}"
    if re.match("是[^，]*最", reading.predicate) and not reading.head and len(reading.predicate) > 4 and "的" in reading.predicate:
        yield f"{reading.predicate[1:]}是{reading.subject}"
