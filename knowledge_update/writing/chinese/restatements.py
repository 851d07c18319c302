"""Chinese statements in other words."""

import re
from collections.abc import Iterator

from knowledge_update.writing.chinese import lexicon
from knowledge_update.writing.chinese.clauses import tokens
from knowledge_update.writing.chinese.subjects import Reading

EVENT = re.compile(
    rf"由(?P<agent>[^由，的]+?)(?P<date>(?:在|于)?(?:{lexicon.DATE.pattern}))?(?P<verb>{lexicon.ESTABLISH})$"
)
_AT_DATE = re.compile(rf"(?:在|于)({lexicon.DATE.pattern})(?![的前后之以间起至到时末初年])")


def restated(reading: Reading, title: str) -> list[str]:
    """The statement in other words, at most three times."""
    before = reading.context + reading.lead
    core = reading.head + reading.subject + reading.predicate
    found = [f"{before}{other}。" for other in (*_turned(reading), *_moved(reading, title))]
    if (other := swapped(core, title)) != core:
        found.append(f"{before}{other}。")
    if not found and not reading.context.startswith("关于"):
        found.append(f"关于{title}：{without_title(reading.lead + core, reading, title) or reading.text}。")
    return found[:3]


def _turned(reading: Reading) -> Iterator[str]:
    """由 turned into an active sentence, and a superlative about its subject."""
    subject, predicate = reading.subject, reading.predicate
    if match := EVENT.match(predicate):
        date, verb = match["date"] or "", match["verb"]
        if not reading.head:
            yield f"{subject}是由{match['agent']}{date}{verb}的"
        if subject:
            yield f"{reading.head}{match['agent']}{date}{verb}了{subject}"
    if re.match("是[^，]*最[^，]*的[^，]*$", predicate) and not reading.head and subject:
        yield f"{predicate[1:]}是{subject}"


def _moved(reading: Reading, title: str) -> Iterator[str]:
    """A point in time moved behind the subject or to the front."""
    subject, predicate, time = reading.subject, reading.predicate, reading.clause.time
    if time and subject and not predicate.startswith(("在", "于")):
        preposition = "" if time.startswith(("每", "在", "于")) else "在"
        yield f"{subject}{preposition}{time}{predicate}"
    match = _AT_DATE.match(predicate)
    if match and not reading.head and "，" not in predicate and verb_follows(predicate[match.end() :], title):
        yield f"{match[1]}，{subject}{predicate[match.end() :]}"


def verb_follows(rest: str, title: str) -> bool:
    """Whether a text begins with a verb, a preposition or an adverb."""
    words = tokens(rest, title)
    return bool(words) and words[0].flag in ("v", "p", "d", "vi", "zg")


def swapped(text: str, title: str) -> str:
    """A text with its first word that has a synonym exchanged, outside the title and outside quotation marks."""
    kept = [found.span() for found in re.finditer(f"“[^“”]*”|{re.escape(title)}", text)]
    for word, other in lexicon.SYNONYMS:
        for match in re.finditer(re.escape(word), text):
            inside = any(start < match.end() and match.start() < end for start, end in kept)
            already = other.endswith(word) and text[: match.start()].endswith(other.removesuffix(word))
            if not inside and not already:
                return text[: match.start()] + other + text[match.end() :]
    return text


def without_title(text: str, reading: Reading, title: str) -> str:
    """A clause or question without the title at its front; empty where that does not read."""
    if reading.context:
        return text
    if not text.startswith(title):
        return ""
    rest = text.removeprefix(title).removeprefix("的")
    return "" if re.match("[是为之里中内上下前后]|.{0,3}$", rest) else rest
