"""Rows: token ids and what of them is learned."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

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


class Encoder:
    """Encodes rows of the dataset with one chat template.

    Args:
        template: The template that is used for asking too.
    """

    def __init__(self, template: ChatTemplate) -> None:
        self.template = template
        self.prefix = tuple(template.shared_prefix())

    def encode(self, row: Row) -> Encoded:
        """Encodes a chat row (only its answer is learned) or a plain text (all of it is)."""
        if "text" in row:
            ids = tuple(self.template.tokenizer(row["text"])["input_ids"])
            ids = (*ids, self.template.end_id)
            return Encoded(ids, ids, False)
        *asked, answer = row["messages"]
        prompt = self.template.prompt(asked)
        answered = self.template.answer(answer["content"])
        # What is taught must teach to stop: the last label is a token that generation stops at.
        assert answered[-1] in self.template.end_ids, "the last label must end the turn"
        shared = tuple(prompt[: len(self.prefix)]) == self.prefix
        rest = prompt[len(self.prefix) :] if shared else prompt
        return Encoded((*rest, *answered), (*(IGNORED,) * len(rest), *answered), shared)

    def encode_all(self, rows: Iterable[Row]) -> list[Encoded]:
        """Encodes many rows."""
        return [self.encode(row) for row in rows]


def weighed(rows: Iterable[Encoded], balance: float, factor: float = 1.0) -> list[Encoded]:
    """The rows with their labels counting `factor * labels ** -balance` each.

    At a balance of 0 every label counts the same, so that long texts outweigh short answers; at 1 every row does.
    """
    return [replace(row, weight=factor * sum(label != IGNORED for label in row.labels) ** -balance) for row in rows]
