"""Whether what a model wrote is there: a fact in its passage, an answer in its fact. The checks are strict.

Each returns the reason why something is left out, empty where there is none.
"""

import re
import unicodedata
from dataclasses import dataclass

from knowledge_update.writing.prompted.parsing import Pair

_ELLIPSIS = re.compile(r"\s*(?:\.{3,}|…+|\[\.\.\.\]|……)\s*")
_SAME = str.maketrans("“”„‟‘’‚‛«»–—−‐‑", '""""\'\'\'\'""-----')
_NUMBER = re.compile(r"\d+(?:[.,:]\d+)*")
_NAME = re.compile(r"(?<=[^.!?\s]\s)[A-Z][\w'-]+")
_DANGLING = re.compile(
    r"""(?:it|its|they|their|he|his|she|her|this|that|these|those|there|we|you|the\ (?:company|author))\b
    |[它他她这该其此]""",
    re.I | re.X,
)
_OF_TEXT = re.compile(
    r"""\b(?:the|this|given|above)\ (?:text|passage|document|article|paragraph|section|excerpt)\b
    |\baccording\ to\ (?:the|this)\b | [本该这此上](?:文|段落|文章|文档) | 文中|段落中|文章中""",
    re.I | re.X,
)
_WORD = re.compile(r"[\u4e00-\u9fff]|[^\W_]+")
# What a sentence may begin with and names nothing.
_SMALL = frozenset("a an and as at by for from in of on or the to with".split())
_LONGEST_ANSWER = 25
_LEAST_QUOTE = 6


@dataclass(frozen=True)
class Span:
    """Where a quote stands in its passage, in characters."""

    start: int
    end: int


def placed(quote: str, passage: str) -> Span | None:
    """Finds a quote: as it is, else whatever its white space, letter case, quotation marks, dashes and widths.

    What a model left out between dots may stand between the parts of the quote.
    """
    exact = passage.find(quote)
    if quote.strip() and exact >= 0:
        return Span(exact, exact + len(quote))
    plain, places = _plain(passage)
    start, at = -1, 0
    for part in _ELLIPSIS.split(quote.strip().strip("\"'“”‘’「」")):
        wanted = _plain(part)[0]
        if not wanted:
            continue
        found = plain.find(wanted, at)
        if found < 0:
            return None
        start = found if start < 0 else start
        at = found + len(wanted)
    return Span(places[start], places[at - 1] + 1) if start >= 0 and at - start >= _LEAST_QUOTE else None


def _plain(text: str) -> tuple[str, list[int]]:
    """A text without what may differ in a copy of it, and where each of its characters stood."""
    characters, places = [], []
    for place, character in enumerate(text):
        for plain in unicodedata.normalize("NFKC", character).translate(_SAME).casefold():
            if not plain.isspace():
                characters.append(plain)
                places.append(place)
    return "".join(characters), places


def why_no_fact(fact: str, known: str) -> str:
    """Why a sentence is no fact of a passage.

    Args:
        fact: The sentence.
        known: The passage with its title and headings.
    """
    if len(_WORD.findall(fact)) < 3:
        return "is no sentence"
    if _DANGLING.match(fact.strip()):
        return "does not say what it is about"
    if _OF_TEXT.search(fact):
        return "speaks of the text"
    plain, numbers = _plain(known)[0], {number.replace(",", "") for number in _NUMBER.findall(known)}
    for number in _NUMBER.findall(fact):
        if number.replace(",", "") not in numbers:
            return f"has a number that is not in the passage: {number}"
    for name in _NAME.findall(fact):
        if _plain(name.removesuffix("'s"))[0] not in plain:
            return f"has a name that is not in the passage: {name}"
    return ""


def why_no_pair(pair: Pair, fact: str, quote: str) -> str:
    """Why a question with its answer does not belong to a fact.

    Args:
        pair: Question and answer.
        fact: The fact they are about.
        quote: The words of the passage it rests on.
    """
    question, answer = pair.first, pair.second
    if _OF_TEXT.search(question):
        return "speaks of the text"
    words, known = _WORD.findall(answer.lower()), set(_WORD.findall(f"{fact} {quote}".lower()))
    if len(words) > _LONGEST_ANSWER:
        return "its answer is long"
    plain = _plain(answer.strip(" .。"))[0]
    if not words or (plain not in _plain(fact)[0] and plain not in _plain(quote)[0] and not set(words) <= known):
        return "its answer is not in the fact"
    if plain in _plain(question)[0]:
        return "gives its answer away"
    if _DANGLING.match(re.sub(r"^\W*(?:\w+\s+){1,2}", "", question)) and not _shared(question, fact, answer):
        return "does not say what it is about"
    return "" if _shared(question, fact, answer) else "does not name its subject"


def _shared(question: str, fact: str, answer: str) -> set[str]:
    """What a question names of its fact beside the answer: long words, names, numbers, Chinese characters."""
    words = (word for word in _WORD.findall(fact) if word.lower() not in _SMALL)
    telling = {word for word in words if len(word) > 3 or not word.islower()}
    asked = {word.lower() for word in _WORD.findall(question)}
    return {word.lower() for word in telling} & asked - {word.lower() for word in _WORD.findall(answer)}
