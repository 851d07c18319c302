"""Answers of a Chinese clause that are times and amounts."""

import re
from collections.abc import Iterator

from knowledge_update.writing.chinese import lexicon
from knowledge_update.writing.chinese.clauses import Token
from knowledge_update.writing.chinese.core import Core, Span, span_of, touches
from knowledge_update.writing.chinese.subjects import is_person

_NO_DATE_BEFORE = "的前后之以、及和与间赛来内版度时-－~～至到0123456789甲乙丙丁戊己庚辛壬癸"


def dates(core: Core) -> Iterator[Span]:
    for word in core.words:
        if word.flag != "date" or core.subject_at <= word.start < core.predicate_at:
            continue
        before, after = core.around(word.start, word.end)
        if touches(before, "、第") or touches(after, _NO_DATE_BEFORE):
            continue
        if (word.start < core.subject_at and not core.reading.clause.time) or re.match("[^年]{1,3}月", word.text):
            continue
        if word.start >= core.predicate_at and not core.verbal_after(word):
            continue
        yield span_of(core, "when", word.start, word.end, *_when(word.text))


def _when(date: str) -> tuple[str, str]:
    if lexicon.YEAR_ONLY.match(date):
        return "哪一年", "哪年"
    if lexicon.CLOCK.match(date):
        return "几点", "几点钟"
    if lexicon.FULL_DATE.match(date) and date[-1] in "日号":
        return "哪一天", "什么时候"
    return "什么时候", "何时"


def sizes(core: Core) -> Iterator[Span]:
    for match in lexicon.DIMENSION.finditer(core.text):
        before, after = core.around(*match.span())
        if touches(before, "校市部局船班队厂站馆院增延年") or touches(after, "的、至到"):
            continue
        adjective, unit = match[1], lexicon.MEASURES.search(match[2])
        other = f"{adjective}多少{unit.group()}" if unit else ""
        yield Span("how_many", match.start(), match.end(), f"有多{adjective}", other, match[2], match.start(2))


def numbers(core: Core) -> Iterator[Span]:
    for index, word in enumerate(core.words):
        if word.flag != "number" or word.start < core.predicate_at:
            continue
        before, after = core.around(word.start, word.end)
        if touches(after, "至到～~、-－—及与") or touches(before, "至到～~、-－—第每几及与"):
            continue
        equated = lexicon.BE.match(core.text[core.predicate_at :])
        if (equated and word.start > core.predicate_at + equated.end() + 1) or _crowded(core, word):
            continue
        if word.text.startswith("第"):
            yield from _ordinal(core, word)
        elif word.text[-1] in "万亿":
            yield from _sum(core, word, index)
        else:
            yield from _count(core, word)


def _crowded(core: Core, word: Token) -> bool:
    """Whether other amounts stand in the same part of the clause, but for the pair that 和 joins."""
    start = core.text.rfind("，", 0, word.start) + 1
    end = core.text.find("，", word.end)
    part = core.text[start : end if end >= 0 else len(core.text)]
    others = [other for other in core.words if other.flag == "number" and start <= other.start < start + len(part)]
    return len(others) > 2 or (len(others) == 2 and not ("和" in part and "、" not in part))


def _ordinal(core: Core, word: Token) -> Iterator[Span]:
    named = is_person(core.words[-1].text, core.words[-1].flag)
    if core.text[word.end : word.end + 1] and not named and core.text[: word.start].endswith(("是", "成为", "为")):
        yield span_of(core, "which", word.start, word.end, f"第几{word.text[-1]}")


def _sum(core: Core, word: Token, index: int) -> Iterator[Span]:
    """A large number with the noun after it, such as a currency."""
    if index == len(core.words) - 2 and core.words[-1].flag[0] == "n":
        yield span_of(core, "how_many", word.start, core.words[-1].end, f"多少{core.words[-1].text}")


def _count(core: Core, word: Token) -> Iterator[Span]:
    if word.text[-1] in "%％":
        before, after = core.around(word.start, word.end)
        if before in "为是达到占" and not after:
            yield span_of(core, "how_many", word.start, word.end, "多少", "百分之多少")
        return
    unit = re.search(rf"(?:{lexicon.UNITS}|个|{lexicon.COUNTED.pattern})$", word.text)
    if unit is None:
        return
    few = re.fullmatch("[二两三四五六七八九十2-9]", word.text[: unit.start()])
    are = "是" if lexicon.PARTS.search(core.text[: word.start]) else ""
    many, some = f"{are}多少{unit.group()}", f"{are}几{unit.group()}"
    yield span_of(core, "how_many", word.start, word.end, some if few else many, many if few else "")
