"""What an engine is, and what a step comes to."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from knowledge_update.training.checkpoints import State
from knowledge_update.training.rows import Encoded
from knowledge_update.training_config import OptimizerConfig


@dataclass(frozen=True)
class Done:
    """What a batch came to: its mean loss, and the tokens that were computed."""

    loss: float
    tokens: int


class Engine(Protocol):
    """Computes steps; used as a context.

    What several processes do together, each of them must call: everything here.
    """

    def __enter__(self) -> "Engine": ...

    def __exit__(self, *error: Any) -> None: ...

    def drives(self, config: OptimizerConfig) -> Any:
        """Makes the configured optimizer over what is trained; returns what the loop is to step."""

    def gradients(self, rows: Sequence[Encoded], step: int) -> Done:
        """Gives every trained parameter the gradient of the mean loss over a batch of all processes."""

    def loss(self, rows: Sequence[Encoded], count: int) -> float:
        """The mean loss over rows that are not trained, `count` at once."""

    def clip(self, norm: float) -> None:
        """Bounds the norm of all gradients together."""

    def agreed(self, value: float) -> float:
        """The highest value of all processes, so that all do the same."""

    def whole(self) -> dict[str, Any] | None:
        """What is to be saved, by its names in the model; none where the model holds it as it is."""

    def state(self) -> State:
        """Weights and optimizer state, whole."""

    def restore(self, state: State) -> None:
        """Puts back what `state` gave."""


def shares(rows: Sequence[Encoded], count: int) -> list[list[Encoded]]:
    """Divides rows into at most `count` parts of about the same number of tokens, always in the same way."""
    parts: list[list[Encoded]] = [[] for _ in range(min(count, len(rows)))]
    for row in sorted(rows, key=lambda row: -len(row.ids)):
        min(parts, key=lambda part: sum(len(other.ids) for other in part)).append(row)
    return parts


def share(rows: Sequence[Encoded], rank: int, count: int) -> list[Encoded]:
    """The rows of a batch that one process computes; none where there are fewer rows than processes."""
    parts = shares(rows, count)
    return parts[rank] if rank < len(parts) else []
