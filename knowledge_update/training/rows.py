"""Rows: token ids and what of them is learned."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TYPE_CHECKING, overload

import numpy as np
from numpy.typing import NDArray

from knowledge_update.run_folder import Row
from knowledge_update.templates import ChatTemplate

if TYPE_CHECKING:
    from torch import Tensor

IGNORED = -100


@dataclass(frozen=True)
class Opinion:
    """What a teacher makes of a row, in place of the row's own labels.

    Args:
        ids: Its likeliest tokens at each learned label, (labels, k).
        probabilities: Theirs, (labels, k).
        states: What its last layer puts out at each token that is read, (tokens, hidden).
        pull: How much straying from those states counts beside straying from the probabilities.
    """

    ids: "Tensor"
    probabilities: "Tensor"
    states: "Tensor"
    pull: float


@dataclass(frozen=True)
class Encoded:
    """A row ready for batching.

    Args:
        ids: Token ids, without the prefix when `shared` says that it stands before them.
        labels: The ids that are learned, `IGNORED` elsewhere.
        shared: Whether the chat prompt's shared prefix stands before the row.
        opinion: What is learned instead of the labels, where there is a teacher.
        weight: How much each of its labels counts.
    """

    ids: tuple[int, ...]
    labels: tuple[int, ...]
    shared: bool
    opinion: Opinion | None = None
    weight: float = 1.0

    @property
    def learned(self) -> int:
        """How many of its tokens are learned; the first has nothing before it to be predicted from."""
        return sum(label != IGNORED for label in self.labels[1:])


class Encoder:
    """Encodes rows of the dataset with one chat template.

    Args:
        template: The template that is used for asking too.
    """

    def __init__(self, template: ChatTemplate) -> None:
        self.template = template
        self.prefix = tuple(template.shared_prefix())

    def parts(self, row: Row) -> list[Encoded]:
        """Encodes a plain text (all of it is learned) or a conversation (its answers are).

        A conversation is one sequence in which every answer is learned, each behind just what the model is asked with
        in use. Where the template writes earlier answers otherwise than they were given (without their thoughts, say),
        no sequence is that: then it becomes one for each answer.
        """
        if "text" in row:
            ids = tuple(self.template.tokenizer(row["text"])["input_ids"])
            ids = (*ids, self.template.end_id)
            return [Encoded(ids, ids, False)]
        messages = row["messages"]
        turns = [
            (self.template.prompt(messages[:at]), self.template.answer(message["content"]))
            for at, message in enumerate(messages)
            if message["role"] == "assistant"
        ]
        continued = all(asked[: len(before)] == before for before, asked in _follow(turns))
        return [self._chat(turns)] if continued else [self._chat([turn]) for turn in turns]

    def _chat(self, turns: Sequence[tuple[list[int], list[int]]]) -> Encoded:
        """Encodes what is asked and answered; each prompt begins with all that stands before it."""
        ids: list[int] = []
        labels: list[int] = []
        for prompt, answered in turns:
            # What is taught must teach to stop: an answer's last label is a token that generation stops at.
            assert answered[-1] in self.template.end_ids, "the last label must end the turn"
            labels += [*(IGNORED,) * (len(prompt) - len(ids)), *answered]
            ids = [*prompt, *answered]
        shared = tuple(turns[0][0][: len(self.prefix)]) == self.prefix
        start = len(self.prefix) if shared else 0
        return Encoded(tuple(ids[start:]), tuple(labels[start:]), shared)

    def encode_all(self, rows: Iterable[Row]) -> list[Encoded]:
        """Encodes many rows."""
        return [part for row in rows for part in self.parts(row)]

    def length(self, row: Encoded) -> int:
        """Tokens of a row, the shared prefix with it."""
        return len(row.ids) + (len(self.prefix) if row.shared else 0)


def _follow(turns: Sequence[tuple[list[int], list[int]]]) -> Iterator[tuple[list[int], list[int]]]:
    """What stands before each prompt but the first, and that prompt."""
    for (prompt, answered), (asked, _) in pairwise(turns):
        yield [*prompt, *answered], asked


class Weighed(Sequence[Encoded]):
    """Rows with their labels counting `factor * labels ** -balance` each.

    At a balance of 0 every label counts the same, so that long texts outweigh short answers; at 1 every row does.

    Args:
        rows: The rows; they are weighed as they are taken.
        balance: From 0 to 1.
        factor: What all of them count.
    """

    def __init__(self, rows: Sequence[Encoded], balance: float, factor: float = 1.0) -> None:
        self._rows, self._balance, self._factor = rows, balance, factor

    def __len__(self) -> int:
        return len(self._rows)

    @overload
    def __getitem__(self, at: int) -> Encoded: ...
    @overload
    def __getitem__(self, at: slice) -> "Weighed": ...
    def __getitem__(self, at: int | slice) -> "Encoded | Weighed":
        if isinstance(at, slice):
            return Weighed(self._rows[at], self._balance, self._factor)
        row = self._rows[at]
        labels = sum(label != IGNORED for label in row.labels)
        return replace(row, weight=self._factor * labels**-self._balance)

    @property
    def lengths(self) -> NDArray[np.int64]:
        """The tokens of each row; rows that are kept elsewhere tell them without being read."""
        return lengths_of(self._rows)


def lengths_of(rows: Sequence[Encoded]) -> NDArray[np.int64]:
    """The tokens of each row; rows that are kept elsewhere tell them without being read."""
    known = getattr(rows, "lengths", None)
    return np.array([len(row.ids) for row in rows], dtype=np.int64) if known is None else np.asarray(known)
