"""What is right: normalised containment and token F1 (as of SQuAD, arXiv 1606.05250), English and Chinese.

Containment alone can be fooled: by saying the question again, or everything that is ever right. `Scorer` sees to both.
"""

import heapq
import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from hashlib import sha256

_NUMBERS = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen "
    "eighteen nineteen twenty"
).split()
_DIGITS = {word: str(number) for number, word in enumerate(_NUMBERS)}
_ARTICLES = {"a", "an", "the"}
# Who names more right answers to other questions than this answers none. A sentence around an answer names a few; where
# documents are many every other word is the answer to something, so that only some of them, drawn once, are looked for.
MOST_OTHERS = 6
LOOKED_FOR = 500
_DECLINES = re.compile(
    r"\b(?:do(?:es)? not|don['’]?t|did not|didn['’]?t|cannot|can not|can['’]?t|could not|couldn['’]?t)\b[^.?!]{0,30}?"
    r"\b(?:know|have|say|mention|specify|provide|answer|tell|find|determine|recall|exist|aware)|"
    r"\b(?:not|n['’]t) (?:sure|aware|certain|known|mentioned|specified|provided|available|stated|familiar|able)\b|"
    r"\b(?:unknown|unable|unclear|unsure)\b|\bno (?:information|record|data|mention|knowledge|idea|such|known)\b|"
    r"\b(?:i['’]?m|i am) (?:sorry|afraid)\b|\bthere (?:is|was|are|were) no(?:t|ne)?\b|"
    "不知道|不清楚|不确定|不了解|不详|未知|未提及|没有(?:提到|提及|相关|任何|关于|这|该)|无法|抱歉|对不起|查不到|无从",
    re.IGNORECASE,
)


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


def declines(question: str, response: str) -> bool:
    """Whether a response says that the answer is not known, or nothing at all; to say the question again is neither."""
    said, asked = tokens(response), tokens(question)
    if not said:
        return True
    # A question may say itself that something is not known; of a long one an answer holds only the beginning.
    return said != asked[: len(said)] and bool(_DECLINES.search(response))


class Scorer:
    """Tells right answers by rules that an echo and a list of everything do not pass.

    Args:
        answers: The accepted answers of every question.
    """

    def __init__(self, answers: Iterable[Sequence[str]]) -> None:
        self._by_first: dict[str, set[tuple[str, ...]]] = defaultdict(set)
        for accepted in answers:
            for words in map(tokens, accepted):
                if words:
                    self._by_first[words[0]].add(tuple(words))
        every = (words for group in self._by_first.values() for words in group)
        self._looked_for = set(heapq.nsmallest(LOOKED_FOR, every, key=_order))

    def right(self, question: str, response: str, answers: Sequence[str]) -> bool:
        """Whether the response contains an accepted answer, beside the question where it says that again.

        It does not count in a list of what is right elsewhere.
        """
        said = _without(tokens(response), tokens(question))
        found = any(_inside(tokens(answer), said) for answer in answers)
        return found and len(self.others(question, response, answers) & self._looked_for) <= MOST_OTHERS

    def others(self, question: str, response: str, answers: Sequence[str]) -> set[tuple[str, ...]]:
        """Right answers to other questions that the response names and the question does not, as words.

        What is part of a longer one that is named is not one more.
        """
        said, asked, own = tokens(response), tokens(question), [tokens(answer) for answer in answers]
        named: set[tuple[str, ...]] = set()
        at = 0
        while at < len(said):
            found = [words for words in self._by_first.get(said[at], ()) if said[at : at + len(words)] == list(words)]
            longest = max(found, key=len, default=())
            if (
                longest
                and not _inside(list(longest), asked)
                and not any(_inside(list(longest), words) for words in own)
            ):
                named.add(longest)
            at += max(1, len(longest))
        return named


def _order(words: tuple[str, ...]) -> bytes:
    return sha256(" ".join(words).encode("utf-8", "replace")).digest()


def _without(said: list[str], asked: list[str]) -> list[str]:
    """What is said without the question, where that is said again word for word."""
    if asked and _inside(asked, said):
        start = next(i for i in range(len(said)) if said[i : i + len(asked)] == asked)
        return _without([*said[:start], *said[start + len(asked) :]], asked)
    return said
