"""The second pass: every fact is asked, and what is not known yet is trained again beside as much of what is.

Some wordings of each fact are held back from the first pass. They are what is asked at the turn, so that a fact counts
as known when it is known in words that were not trained; in the second pass they are the new wordings.
"""

import math
import random
from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path

from knowledge_update import processes
from knowledge_update.display import log, progress
from knowledge_update.run_folder import read_json, write_json
from knowledge_update.training.batching import Streams, endless
from knowledge_update.training.engines import Engine
from knowledge_update.training.pace import Pace
from knowledge_update.training.rows import Encoded
from knowledge_update.training.taught import Taught
from knowledge_update.training_config import TrainingConfig

# Every so manieth wording of a fact is held back.
HELD_BACK = 4
# A wording is known when the tokens of its answer have this probability, their geometric mean.
KNOWN = 0.8
# Of the second pass's order of rows.
_OTHER_SEED = 7919


@dataclass(frozen=True)
class Parted:
    """What is taught, in two passes.

    Args:
        rows: All of it.
        first: What the first pass trains.
        asked: What is asked of each fact at the turn.
    """

    rows: Taught
    first: Taught
    asked: dict[str, list[Encoded]]


def parted(rows: Taught) -> Parted:
    """Holds wordings back; a fact of fewer than `HELD_BACK` is asked in those that are trained."""
    seen: dict[str, int] = defaultdict(int)
    trained: list[tuple[Encoded, str | None]] = []
    held: dict[str, list[Encoded]] = defaultdict(list)
    for row, fact in zip(rows.questions, rows.about[0], strict=True):
        if fact is not None:
            seen[fact] += 1
            if seen[fact] % HELD_BACK == 0:
                held[fact].append(replace(row, opinion=None))
                continue
        trained.append((row, fact))
    for row, fact in trained:
        if fact is not None and seen[fact] < HELD_BACK:
            held[fact].append(replace(row, opinion=None))
    about = ([fact for _, fact in trained], rows.about[1])
    return Parted(rows, replace(rows, questions=[row for row, _ in trained], about=about), dict(held))


class SecondPass:
    """The batches of a training of two passes.

    Args:
        parts: What is taught.
        streams: From rows to what batches are drawn from.
        config: The share of the training that is the second pass; how batches are drawn.
        seed: Of their order, and of which known facts are trained again.
        engine: Asks; all its processes do so together.
        pace: Tells when it is time.
        path: Where the turn is noted: a training that goes on after it does not ask again.
        key: Of the training.
    """

    def __init__(
        self, parts: Parted, streams: Callable[[Taught], Streams], config: TrainingConfig, seed: int, engine: Engine,
        pace: Pace, path: Path, key: str,
    ) -> None:  # fmt: skip
        self.parts, self.streams, self.config, self.seed = parts, streams, config, seed
        self.engine, self.pace, self.path, self.key = engine, pace, path, key

    def batches(self, start: int) -> Iterator[list[Encoded]]:
        """Yields the batches of all steps, those before `start` too; asks when the step of the turn is wanted."""
        noted = read_json(self.path) if self.path.exists() else {}
        # A turn that came after what is gone on from has to come again.
        turn = noted["step"] if noted.get("key") == self.key and noted["step"] < start else None
        now = endless(self.streams(self.parts.first), self.config, self.seed)
        turned = False
        for step in count():
            if not turned and (step == turn if turn is not None else step >= start and self._due(step)):
                turned = True
                facts = noted["facts"] if turn is not None else self._turn(step)
                second = self.streams(self.parts.rows.of(set(facts)))
                now = endless(second, self.config, self.seed + _OTHER_SEED)
            yield next(now)

    def _due(self, step: int) -> bool:
        return self.engine.agreed(self.pace.done(step)) > 1 - self.config.second_pass

    def _turn(self, step: int) -> list[str]:
        """Asks every fact; returns those that the second pass is about, and notes them."""
        unknown = unknown_facts(self.parts.asked, self.engine.loss)
        facts = self.parts.rows.facts
        known = [fact for fact in facts if fact not in unknown]
        again = set(random.Random(self.seed).sample(known, min(len(known), len(unknown)))) if unknown else set(known)
        chosen = [fact for fact in facts if fact in unknown or fact in again]
        log.info(
            "second pass from step %d: %d of %d facts are not known yet in other words; trained again with %d that are",
            step + 1, len(unknown), len(facts), len(again),
        )  # fmt: skip
        if processes.first():
            noted = {"key": self.key, "step": step, "unknown": sorted(unknown), "facts": chosen}
            write_json(self.path, noted)
        return chosen


def unknown_facts(
    asked: dict[str, list[Encoded]], loss: Callable[[Sequence[Encoded], int], float], least: float = KNOWN
) -> Collection[str]:
    """The facts of which some wording is not known.

    Args:
        asked: The wordings of each fact.
        loss: The mean loss of rows over their labels, and how many are computed at once.
        least: The geometric mean of the probabilities of an answer's tokens from which on it counts as known.
    """
    unknown = set()
    with progress("Asking what is known", len(asked), "facts") as advance:
        for fact, rows in asked.items():
            if any(loss([row], 1) > -math.log(least) for row in rows):
                unknown.add(fact)
            advance(1)
    return unknown
