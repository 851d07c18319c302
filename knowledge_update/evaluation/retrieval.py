"""Finding passages by their words: BM25 (Robertson and Zaragoza 2009, k1 = 1.2, b = 0.75)."""

import heapq
import math
from collections import Counter, defaultdict
from collections.abc import Sequence
from itertools import islice

from knowledge_update.evaluation.scoring import tokens

K1, B = 1.2, 0.75


class Retriever:
    """An index over passages.

    Args:
        texts: The passages.
    """

    def __init__(self, texts: Sequence[str]) -> None:
        self._counts = [Counter(tokens(text)) for text in texts]
        self._lengths = [sum(counts.values()) for counts in self._counts]
        self._mean = sum(self._lengths) / max(1, len(self._lengths))
        self._places: dict[str, list[int]] = defaultdict(list)
        for index, counts in enumerate(self._counts):
            for word in counts:
                self._places[word].append(index)
        self._weights = {
            word: math.log(1 + (len(self._counts) - len(places) + 0.5) / (len(places) + 0.5))
            for word, places in self._places.items()
        }

    def best(self, query: str, among: Sequence[int] | None = None) -> int:
        """The index of the passage that fits a query best; of the given ones, or of all."""
        if not among:
            return self.top(query, 1)[0]
        words = tokens(query)
        return max(among, key=lambda index: (self._score(words, index), -index))

    def top(self, query: str, count: int) -> list[int]:
        """The indices of the passages that fit a query best, the best first; of equal ones the first.

        Args:
            query: What is sought.
            count: How many, where there are as many; passages without any of its words come last.
        """
        words = tokens(query)
        found = {index for word in words for index in self._places.get(word, ())}
        scored = heapq.nsmallest(count, ((-self._score(words, index), index) for index in found))
        others = (index for index in range(len(self._counts)) if index not in found)
        return [index for _, index in scored] + list(islice(others, count - len(scored)))

    def _score(self, words: Sequence[str], index: int) -> float:
        counts, norm = self._counts[index], K1 * (1 - B + B * self._lengths[index] / max(1e-9, self._mean))
        return sum(self._weights.get(word, 0.0) * counts[word] * (K1 + 1) / (counts[word] + norm) for word in words)
