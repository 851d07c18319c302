"""Whether what a model wrote is there: a fact in its passage, an answer in its fact. The checks are strict.

Each returns the reason why something is left out, empty where there is none.
"""

import re
import unicodedata
from dataclasses import dataclass

from knowledge_update.writing.prompted.parsing import SENTENCE, Pair

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
# Of its passage's words in length, and of its numbers, a rewrite keeps at least this share.
_LEAST_SHARE = 0.5
# Of the words of an answer that is a sentence, the share that has to be the fact's.
_SAID_SHARE = 0.7
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
    return _foreign(fact, known)


def why_no_rewrite(text: str, passage: str, known: str) -> str:
    """Why a text is not what a passage says.

    Args:
        text: The passage written anew.
        passage: The passage.
        known: The passage with its title and headings.
    """
    if _OF_TEXT.search(text):
        return "speaks of the text"
    if len(_WORD.findall(text)) < _LEAST_SHARE * len(_WORD.findall(passage)):
        return "is much shorter than the passage"
    wanted, kept = _numbers(passage), _numbers(text)
    if len(wanted & kept) < _LEAST_SHARE * len(wanted):
        return f"leaves out numbers of the passage: {', '.join(sorted(wanted - kept)[:5])}"
    return _foreign(text, known)


def _foreign(text: str, known: str) -> str:
    """A number or a name that is not in what is known, as a reason."""
    plain, numbers = _plain(known)[0], _numbers(known)
    for number in _NUMBER.findall(text):
        if number.replace(",", "") not in numbers:
            return f"has a number that is not in the passage: {number}"
    for name in _NAME.findall(text):
        if _plain(name.removesuffix("'s"))[0] not in plain:
            return f"has a name that is not in the passage: {name}"
    return ""


def _numbers(text: str) -> set[str]:
    return {number.replace(",", "") for number in _NUMBER.findall(text)}


def why_no_pair(pair: Pair, fact: str, quote: str) -> str:
    """Why a question with its answer does not belong to a fact.

    Args:
        pair: Question and answer.
        fact: The fact they are about.
        quote: The words of the passage it rests on.
    """
    if _OF_TEXT.search(pair.first) or _OF_TEXT.search(pair.second):
        return "speaks of the text"
    reason = _why_no_sentence(pair, fact, quote) if pair.form == SENTENCE else _why_no_answer(pair, fact, quote)
    if reason:
        return reason
    shared = _shared(pair.first, fact, "" if pair.form == SENTENCE else pair.second)
    if _DANGLING.match(re.sub(r"^\W*(?:\w+\s+){1,2}", "", pair.first)) and not shared:
        return "does not say what it is about"
    return "" if shared else "does not name its subject"


def _why_no_answer(pair: Pair, fact: str, quote: str) -> str:
    """Of a short answer: it is in the fact, word by word."""
    words, known = _WORD.findall(pair.second.lower()), set(_WORD.findall(f"{fact} {quote}".lower()))
    if len(words) > _LONGEST_ANSWER:
        return "its answer is long"
    plain = _plain(pair.second.strip(" .。"))[0]
    if not words or (plain not in _plain(fact)[0] and plain not in _plain(quote)[0] and not set(words) <= known):
        return "its answer is not in the fact"
    return "gives its answer away" if plain in _plain(pair.first)[0] else ""


def _why_no_sentence(pair: Pair, fact: str, quote: str) -> str:
    """Of an answer that is a sentence: it says the fact, with its numbers and names, and hardly anything beside."""
    words, known = set(_WORD.findall(pair.second.lower())), set(_WORD.findall(f"{fact} {quote}".lower()))
    if _numbers(fact) - _numbers(pair.second):
        return "its answer leaves out a number of the fact"
    if len(words & known) < _SAID_SHARE * len(words):
        return "its answer says something else than the fact"
    return _foreign(pair.second, f"{fact} {quote} {pair.first}")


def _shared(question: str, fact: str, answer: str) -> set[str]:
    """What a question names of its fact beside the answer: long words, names, numbers, Chinese characters."""
    words = (word for word in _WORD.findall(fact) if word.lower() not in _SMALL)
    telling = {word for word in words if len(word) > 3 or not word.islower()}
    asked = {word.lower() for word in _WORD.findall(question)}
    return {word.lower() for word in telling} & asked - {word.lower() for word in _WORD.findall(answer)}
