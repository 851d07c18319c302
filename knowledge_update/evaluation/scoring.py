"""What is right: normalised containment and token F1 (as of SQuAD, arXiv 1606.05250), English and Chinese."""

import re
import unicodedata
from collections import Counter
from collections.abc import Sequence

_NUMBERS = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen "
    "eighteen nineteen twenty"
).split()
_DIGITS = {word: str(number) for number, word in enumerate(_NUMBERS)}
_ARTICLES = {"a", "an", "the"}


def tokens(text: str) -> list[str]:
    """The words of a text for comparing: width and case folded, punctuation and articles out, small numbers as digits.

    Chinese characters are words of their own; `1,950` and `1950` are the same, `3.5` is one word.
    """
    text = unicodedata.normalize("NFKC", text).casefold()
    text = re.sub(r"(?<=\d),(?=\d{3}(?!\d))", "", text)
    found = re.findall(r"[\u3400-\u9fff]|\d+(?:\.\d+)?|[^\W\d_\u3400-\u9fff]+", text)
    return [_DIGITS.get(word, word) for word in found if word not in _ARTICLES]


def contains(response: str, answers: Sequence[str]) -> bool:
    """Whether one of the answers stands in the response, word for word after normalisation."""
    said = tokens(response)
    return any(_inside(tokens(answer), said) for answer in answers)


def _inside(part: list[str], whole: list[str]) -> bool:
    return bool(part) and any(whole[i : i + len(part)] == part for i in range(len(whole) - len(part) + 1))


def f1(response: str, answers: Sequence[str]) -> float:
    """The best token F1 of the response with one of the answers."""
    return max((_f1(tokens(response), tokens(answer)) for answer in answers), default=0.0)


def _f1(said: list[str], wanted: list[str]) -> float:
    common = sum((Counter(said) & Counter(wanted)).values())
    return 2 * common / (len(said) + len(wanted)) if common else 0.0
