"""Documents on their way to a chat model, some read ahead, so that it is known when the last passages are reached."""

from collections import deque
from collections.abc import Iterable, Iterator, Sequence

from knowledge_update.documents.blocks import Document
from knowledge_update.documents.chunking import Passage


class Upcoming:
    """Documents in their order; `passages` says how many come behind the one that was just taken, as far as is known.

    Args:
        documents: With their passages; taken only as there is need.
        ahead: How many passages are known beforehand, where there are as many.
    """

    def __init__(self, documents: Iterable[tuple[Document, Sequence[Passage]]], ahead: int) -> None:
        self.passages = 0
        self._source, self._ahead = iter(documents), ahead
        self._read: deque[tuple[Document, Sequence[Passage]]] = deque()

    def __iter__(self) -> Iterator[tuple[Document, Sequence[Passage]]]:
        self._read_ahead()
        while self._read:
            document, passages = self._read.popleft()
            self.passages -= len(passages)
            self._read_ahead()
            yield document, passages

    def _read_ahead(self) -> None:
        while not self._read or self.passages < self._ahead:
            taken = next(self._source, None)
            if taken is None:
                return
            self._read.append(taken)
            self.passages += len(taken[1])
