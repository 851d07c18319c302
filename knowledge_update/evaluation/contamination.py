"""Contamination: questions of the exam that are worded nearly like a trained one."""

from collections import defaultdict
from collections.abc import Iterable

from knowledge_update.writing.checks import jaccard, telling, words

# Of the words that two questions have, the share that both have. Below it, people's questions are answered no more
# often than those that are worded like nothing that was trained (benchmarks/LOG.md).
NEAR = 0.7


class Trained:
    """Questions that were trained, to find the nearest to another.

    Args:
        questions: Their texts.
    """

    def __init__(self, questions: Iterable[str]) -> None:
        self._questions: list[tuple[frozenset[str], str]] = []
        self._by_word: dict[str, list[int]] = defaultdict(list)
        for question in questions:
            asked = words(question)
            for word in telling(asked, NEAR):
                self._by_word[word].append(len(self._questions))
            self._questions.append((asked, question))

    def nearest(self, question: str) -> str:
        """The trained question that is worded most like this one; empty where none is near."""
        asked = words(question)
        places = {place for word in telling(asked, NEAR) for place in self._by_word.get(word, ())}
        best = max(((jaccard(asked, self._questions[place][0]), -place) for place in places), default=(0.0, 0))
        return self._questions[-best[1]][1] if best[0] >= NEAR else ""
