"""Questions that nobody can answer: a real question whose names are exchanged for names that are in no document."""

import re
from collections.abc import Iterable, Iterator
from functools import cached_property
from hashlib import sha256

from knowledge_update.ledger import Ledger
from knowledge_update.writing.english.lexicon import DAYS, MONTHS

_WORD = re.compile(r"[^\W\d_]+")
# A capital inside a sentence makes a name, unless the word is known without one.
_INSIDE = re.compile(r"(?<=[^\W\d_A-Z] |, )[A-Z][^\W\d_]+")
# What a question names, as far as letters tell: several capitals, one inside a sentence, or what is quoted.
_NAMED = re.compile(
    r"(?<=[^\W\d_A-Z] |, )[A-Z][^\W\d_]+(?: [A-Z][^\W\d_]+)*|[A-Z][^\W\d_]+(?: [A-Z][^\W\d_]+)+|"
    r'"[^"]+"|“[^”]+”|「[^」]+」|《[^》]+》'
)
_CHINESE = re.compile(r"[\u4e00-\u9fff]")
# A gap is often told by the words around it; a Chinese name with a point in it has no sure beginning.
_UNFIT = re.compile("____|·")
_BRACKETS = re.compile(r"\s*[（(][^（）()]*[）)]$")
_ONSETS = "B Br D Dr F Fl G Gl K Kr L M N P Pl Qu R S Sk St T Tr V W Z".split()
_VOWELS = "a e i o u ae ei ou".split()
_MIDDLES = "b d g l lb ld lm m n nd r rv sk st t v z".split()
_ENDS = "l n r s th x nd rn sk k m".split()
_SYLLABLES = "帕维洛杜卡贝诺塔弗格伦霍泽佐鲁尼梅奥蒂茨"
# With a salt a name that so many draws have not found is longer: of two syllables there are few.
_PATIENCE = 64


class Inventor:
    """Exchanges the names in questions.

    Args:
        ledger: Of the documents, whose names and words are looked up there.
    """

    def __init__(self, ledger: Ledger) -> None:
        texts = [chunk.text for chunk in ledger.chunks()]
        titles = [_BRACKETS.sub("", document.title) for document in ledger.documents()]
        self._known = {word.lower() for text in [*texts, *titles] for word in _WORD.findall(text)}
        self._names = _names(texts)
        self._chinese = "\n".join(text for text in texts if _CHINESE.search(text))
        self._titles = sorted(
            {title for title in titles if _CHINESE.search(title)}, key=lambda title: (-len(title), title)
        )

    def invented(self, question: str, salt: str = "") -> str:
        """The question about things that do not exist; empty where it names nothing that could be exchanged.

        A word of a name that documents also use by itself says what kind of thing it is and stays: of the Ansgild
        Bridge it becomes the Drovast Bridge.

        Args:
            question: The question.
            salt: Another one draws other names. None of them is drawn for any name without one: those are the exam's.
        """
        if _UNFIT.search(question):
            return ""
        asked = question
        for title in self._titles:
            if title in asked:
                name = self._own[title]
                asked = asked.replace(title, self._of_syllables(name, salt) + title[len(name) :])
        asked = _WORD.sub(
            lambda found: self._of_letters(found[0], salt) if found[0] in self._names else found[0], asked
        )
        return asked if asked != question else ""

    @cached_property
    def _own(self) -> dict[str, str]:
        """Chinese titles, each with what of it is a name: without what says its kind."""
        return {title: title.removesuffix(self._kind(title)) for title in self._titles}

    @cached_property
    def _unsalted(self) -> set[str]:
        """All names that are drawn without a salt."""
        letters = {self._of_letters(name, "") for name in self._names}
        return letters | {self._of_syllables(name, "") for name in self._own.values()}

    def _kind(self, title: str) -> str:
        """The end of a Chinese title that also stands alone in the documents: 面包坊."""
        for start in range(1, len(title) - 1):
            if re.search(rf"(?<!{re.escape(title[start - 1])}){re.escape(title[start:])}", self._chinese):
                return title[start:]
        return ""

    def _of_letters(self, name: str, salt: str) -> str:
        for draw, longer in _draws(name, salt):
            end = _ENDS[draw[3] % len(_ENDS)]
            parts = (
                _ONSETS[draw[0] % len(_ONSETS)],
                _VOWELS[draw[1] % len(_VOWELS)],
                _MIDDLES[draw[2] % len(_MIDDLES)],
            )
            more = (_VOWELS[number % 5] + _MIDDLES[number % len(_MIDDLES)] for number in draw[5 : 5 + longer])
            made = "".join(parts) + "".join(more) + _VOWELS[draw[4] % 5] + end
            if made.lower() not in self._known and not (salt and made in self._unsalted):
                return made
        raise AssertionError("draws never end")

    def _of_syllables(self, name: str, salt: str) -> str:
        for draw, longer in _draws(name, salt):
            count = max(2, min(len(name), 6)) + longer
            made = "".join(_SYLLABLES[number % len(_SYLLABLES)] for number in draw[:count])
            if made not in self._chinese and not (salt and made in self._unsalted):
                return made
        raise AssertionError("draws never end")


def still_named(question: str, invented: str) -> set[str]:
    """What a question names and its invented form names too: a cell of a table, say, that no sentence has."""
    return {name for name in _NAMED.findall(question) if name in invented} - {*MONTHS, *DAYS}


def _names(texts: Iterable[str]) -> set[str]:
    """Words that documents write with a capital only, also inside a sentence."""
    small: set[str] = set()
    large: set[str] = set()
    for text in texts:
        small.update(word for word in _WORD.findall(text) if word[0].islower())
        large.update(_INSIDE.findall(text))
    return {word for word in large if word.lower() not in small} - {*MONTHS, *DAYS}


def _draws(name: str, salt: str) -> Iterator[tuple[bytes, int]]:
    """Numbers that depend on name and salt alone, as many as it takes, and by how much the name is to be longer."""
    attempt = 0
    while True:
        words = f"{attempt} {salt} {name}" if salt else f"{attempt} {name}"
        yield sha256(words.encode("utf-8", "replace")).digest(), attempt // _PATIENCE if salt else 0
        attempt += 1
