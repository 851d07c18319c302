"""Retention on the way: how far a training takes the model from what it was.

Looked at are general prompts that are not replayed (the KL divergence from the untouched model's answers) and general
texts (their perplexity). Nothing of either is trained on.
"""

import math
from collections.abc import Iterator, Sequence, Set
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from knowledge_update.display import log
from knowledge_update.run_folder import Row, read_rows
from knowledge_update.training.engines import Engine
from knowledge_update.training.opinions import with_opinions
from knowledge_update.training.rows import Encoded, Encoder
from knowledge_update.training.trunk import Trunk

TEXTS = Path(__file__).parent / "data" / "general_texts.jsonl"
# How many general prompts are looked at, and how many have to be there for each of them.
PROMPTS, OF = 32, 4
# A loss of which there is still an exponential.
_MOST = 700.0


@dataclass(frozen=True)
class Watched:
    """What is looked at.

    Args:
        prompts: General prompts with the untouched model's answers, in the end with its opinions of them.
        texts: General texts.
    """

    prompts: Sequence[Encoded] = ()
    texts: Sequence[Encoded] = ()

    @property
    def rows(self) -> list[Encoded]:
        """All of it."""
        return [*self.prompts, *self.texts]

    def judged(self, model: Any, prefix: Sequence[int], trunk: Trunk | None) -> "Watched":
        """The same with what the untouched model makes of the prompts; see `opinions.with_opinions`."""
        return replace(self, prompts=with_opinions(model, self.prompts, prefix, 0.0, trunk))


def apart(
    replay: Sequence[Encoded], languages: Set[str], encoder: Encoder, points: int
) -> tuple[list[Encoded], Watched]:
    """What is replayed, and what is looked at instead.

    Args:
        replay: General prompts with the untouched model's answers.
        languages: Those that are taught; texts are looked at in these.
        encoder: Of the rows.
        points: How often it will be looked at; of nothing that is never looked at replay is kept.
    """
    if not points:
        return list(replay), Watched()
    every = len(replay) // PROMPTS
    # Few prompts are all needed to be replayed.
    aside = set(range(0, len(replay), every)) if every >= OF else set[int]()
    texts = encoder.encode_all({"text": row["text"]} for row in read_rows(TEXTS) if row["lang"] in languages)
    kept = [row for number, row in enumerate(replay) if number not in aside]
    return kept, Watched([replay[number] for number in sorted(aside)], texts)


class Retention:
    """Looks at what is watched, now and then.

    Args:
        watched: With the untouched model's opinions.
        engine: Computes losses; all its processes look together.
        points: How often in a training, beside its beginning.
        count: How many rows are computed at once.
    """

    def __init__(self, watched: Watched, engine: Engine, points: int, count: int) -> None:
        self.watched, self.engine, self.points, self.count = watched, engine, points, count
        self._least = _entropy(watched.prompts)
        self._reached: int | None = None
        self._first: Row = {}

    def due(self, done: float) -> bool:
        """Whether the training has come to the next point.

        Args:
            done: How much of it is done, up to 1.
        """
        before, self._reached = self._reached, int(done * self.points)
        # Who goes on from a checkpoint has looked before it.
        return before is not None and self._reached > before

    def measured(self) -> Row:
        """`kl` of the general prompts, nats a token, and `perplexity` of the general texts, as far as there are any."""
        found: Row = {}
        if self.watched.prompts:
            # In 16 bits a model is not quite its own double.
            found["kl"] = round(max(0.0, self.engine.loss(self.watched.prompts, self.count) - self._least), 5)
        if self.watched.texts:
            found["perplexity"] = round(math.exp(min(_MOST, self.engine.loss(self.watched.texts, self.count))), 4)
        if self._reached is None:
            self._reached, self._first = 0, found
        elif self._reached == self.points:
            log.info("%s", ", ".join(self._told(found)))
        return found

    def _told(self, found: Row) -> Iterator[str]:
        if "kl" in found:
            yield f"at the end {found['kl']:.4f} nats a token from the untouched model on general prompts"
        if "perplexity" in found:
            before = f" ({self._first['perplexity']:.2f} before)" if self._first else ""
            yield f"general texts at a perplexity of {found['perplexity']:.2f}{before}"


def _entropy(prompts: Sequence[Encoded]) -> float:
    """The mean entropy of the untouched model's opinions, by which a loss is more than a divergence."""
    opinions = [row.opinion.probabilities.double() for row in prompts if row.opinion]
    if not opinions:
        return 0.0
    known = torch.cat(opinions)
    every = torch.cat([known, (1 - known.sum(1, keepdim=True)).clamp(min=0)], dim=1)
    return float(-torch.special.xlogy(every, every).sum(1).mean())
