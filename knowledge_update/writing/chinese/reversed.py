"""Questions that go from what is said of something to the thing itself."""

import re
from collections.abc import Iterator

from knowledge_update.writing import statements
from knowledge_update.writing.chinese import lexicon
from knowledge_update.writing.chinese.subjects import Reading, person_at_end
from knowledge_update.writing.statements import Asking

_SUPERLATIVE = re.compile(r"是([^，]*(?:最|唯一)[^，]*的([^的，]+))$")
_NAMED = re.compile("(?:名叫|叫做|叫|取名|名为)(“[^“”]+”)$")


def reversed_askings(reading: Reading, title: str) -> Iterator[Asking]:
    """All such questions of a clause."""
    yield from _superlative(reading, title)
    yield from _office(reading, title)
    yield from _bearer(reading)


def _superlative(reading: Reading, title: str) -> Iterator[Asking]:
    """Asks for the only thing a superlative is true of."""
    match = _SUPERLATIVE.match(reading.predicate)
    name = person_at_end(reading.subject, title)
    subject = name or reading.subject
    if not match or reading.lead or reading.head or "之一" in match[1] or not (name or subject == title):
        return
    if subject not in reading.clause.quote or subject in match[1]:
        return
    yield from _who(match[1], subject) if name else _which(match[1], match[2], subject)


def _which(thing: str, kind: str, answer: str) -> Iterator[Asking]:
    word = next((f"哪一{unit}" for noun, unit in lexicon.MEASURE_OF_KIND.items() if kind.endswith(noun)), "什么")
    slot = f"{answer}@subject"
    yield Asking("which", statements.DIRECT, f"{thing}是{word}？", answer, slot)
    yield Asking("which", statements.SYNONYM, f"{thing}叫什么名字？", answer, slot)
    yield from _gaps(thing, answer, slot)
    yield Asking("which", statements.INDIRECT, f"请问你知不知道{thing}是{word}？", answer, slot)


def _who(role: str, answer: str) -> Iterator[Asking]:
    slot = f"{answer}@subject"
    yield Asking("who", statements.DIRECT, f"{role}是谁？", answer, slot)
    yield Asking("who", statements.SYNONYM, f"谁是{role}？", answer, slot)
    yield from _gaps(role, answer, slot)
    yield Asking("who", statements.INDIRECT, f"请问你知不知道{role}叫什么名字？", answer, slot)


def _gaps(thing: str, answer: str, slot: str) -> Iterator[Asking]:
    yield Asking("cloze", statements.CLOZE, f"填空：{thing}是____。", answer, slot)
    yield Asking("cloze", statements.COMPLETION, f"请把句子补充完整：{thing}是", answer, slot)


def _office(reading: Reading, title: str) -> Iterator[Asking]:
    """Who holds an office, from a name with the office before it (校长某某)."""
    name = person_at_end(reading.subject, title)
    office = reading.subject.removesuffix(name)
    dated = reading.head or lexicon.DATE.search(reading.predicate) or not lexicon.BE.match(reading.predicate)
    plain = office.startswith(title) and office.count("的") <= 1 and len(office) <= len(title) + 6
    if not name or dated or not plain or not lexicon.UNIQUE_ROLE.search(office):
        return
    if name in reading.clause.quote and title not in reading.predicate:
        yield from _who(office, name)


def _bearer(reading: Reading) -> Iterator[Asking]:
    """Asks what it is that bears a name (“雾角”)."""
    named = _NAMED.match(reading.predicate)
    thing = re.search("的(?:第[一二三四五]种)?([^的，]{1,5})$", reading.subject)
    if reading.lead and not reading.subject:
        thing = re.search("了一[条座个口艘只家幢栋辆架种]([^的，]{2,6})，$", reading.lead)
    if not named or not thing or thing[1] not in reading.clause.quote + reading.lead:
        return
    for wording, question in (
        (statements.DIRECT, f"{reading.context}{named[1]}是什么？"),
        (statements.SYNONYM, f"{reading.context}{named[1]}是什么东西的名字？"),
        (statements.INDIRECT, f"我想了解一下，{reading.context}{named[1]}指的是什么？"),
    ):
        if thing[1] not in question:
            yield Asking("what", wording, question, thing[1], f"{thing[1]}@kind")
