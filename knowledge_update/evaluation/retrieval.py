"""Finding a passage by its words: BM25 (Robertson and Zaragoza 2009, k1 = 1.2, b = 0.75)."""

import math
from collections import Counter
from collections.abc import Sequence

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
        seen = Counter(word for counts in self._counts for word in counts)
        self._weights = {
            word: math.log(1 + (len(self._counts) - times + 0.5) / (times + 0.5)) for word, times in seen.items()
        }

    def best(self, query: str, among: Sequence[int] | None = None) -> int:
        """The index of the passage that fits a query best; of the given ones, or of all."""
        words = tokens(query)
        candidates = among if among else range(len(self._counts))
        return max(candidates, key=lambda index: (self._score(words, index), -index))

    def _score(self, words: Sequence[str], index: int) -> float:
        counts, norm = self._counts[index], K1 * (1 - B + B * self._lengths[index] / max(1e-9, self._mean))
        return sum(self._weights.get(word, 0.0) * counts[word] * (K1 + 1) / (counts[word] + norm) for word in words)
