"""The pace of a training: how much of it is done, by steps, by time, or by whichever ends it first."""

import math
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from knowledge_update import processes
from knowledge_update.config import Config
from knowledge_update.display import log
from knowledge_update.durations import seconds_of, shown
from knowledge_update.run_folder import read_json, write_json
from knowledge_update.training.batching import Streams, epochs_of
from knowledge_update.training.rows import Encoded

# How often the time spent is written down: what a kill may lose of it, in seconds.
_EVERY = 1.0
# The end writes what a trial writes, reads it again and compares.
_SAVES = 3.0


class Clock:
    """Seconds that a training has taken, those of killed attempts included.

    Args:
        path: Where they are kept.
        key: Of the training; seconds of another do not count.
        began: When this attempt began, in seconds of `now`.
        now: The time, in seconds.
    """

    def __init__(self, path: Path, key: str, began: float, now: Callable[[], float] = time.monotonic) -> None:
        self._path, self._key, self._began, self._now = path, key, began, now
        before = read_json(path) if path.exists() else {}
        self._before = float(before["seconds"]) if before.get("key") == key else 0.0
        self._noted = now()

    def seconds(self) -> float:
        """Seconds spent until now."""
        return self._before + self._now() - self._began

    def attempt(self) -> float:
        """Seconds of this attempt until now."""
        return self._now() - self._began

    def note(self) -> None:
        """Writes them down, if it was not done just before."""
        now = self._now()
        if now - self._noted >= _EVERY and processes.first():
            self._noted = now
            write_json(self._path, {"key": self._key, "seconds": self.seconds()})

    def forget(self) -> None:
        """The training is over."""
        if processes.first():
            self._path.unlink(missing_ok=True)


class Pace:
    """How much of a training is done. With a budget the rate follows the time, so that it ends at its floor on time.

    Args:
        steps: How many there are at most; any number where only time ends it.
        budget: Seconds for all of it, from the stage's beginning to its end; any number where only steps end it.
        clock: Tells the seconds spent.
        reserve: Seconds that are needed after the last step.
    """

    def __init__(
        self, steps: float, budget: float = math.inf, clock: Callable[[], float] = lambda: 0.0, reserve: float = 0.0
    ) -> None:
        self.steps, self.budget, self.clock, self.reserve = steps, budget, clock, reserve
        self._began = clock()
        self._longest = 0.0

    def done(self, step: int) -> float:
        """The share that is done when the step after `step` others has been made, 0 to 1; 1 for the last one."""
        return max((step + 1) / self.steps, self._by_time())

    def _by_time(self) -> float:
        if math.isinf(self.budget):
            return 0.0
        now, end = self.clock(), self.budget - self.reserve
        # A step that would end late is the last.
        if now + 1.5 * self._longest >= end:
            return 1.0
        return max(0.0, (now - self._began) / (end - self._began))

    def length(self, step: int) -> int:
        """How many steps there are, as far as can be told after `step` of them."""
        if math.isfinite(self.steps):
            return int(self.steps)
        return max(step + 1, round((step + 1) / max(self._by_time(), 1e-9)))

    def took(self, seconds: float) -> None:
        """Takes note of a step: the longest of the recent ones tells which will be the last."""
        self._longest = max(seconds, 0.9 * self._longest)


def paced(
    batches: Sequence[Sequence[Encoded]], streams: Streams, config: Config, clock: Clock, trial: Callable[[], None]
) -> Pace:
    """The pace that is configured, told in a line.

    Args:
        batches: The steps that the passes over the rows come to.
        streams: The rows.
        config: Passes, steps and times.
        clock: Seconds spent.
        trial: Writes what the end of the training will write.
    """
    settings = config.training
    steps = min(len(batches), settings.max_steps or len(batches))
    by = "training.epochs" if settings.epochs else "by their number; training.epochs=N sets it"
    passes = f"{epochs_of(streams, settings):g} passes over {len(streams.taught):,} rows, {steps} steps ({by})"
    if settings.budget is None and config.time_left is None:
        log.info("%s", passes)
        return Pace(steps)
    began = clock.seconds()
    trial()
    reserve = _SAVES * (clock.seconds() - began)
    if settings.budget is None:
        assert config.time_left is not None
        log.info("%s, if they fit in %s, %.1f s of it to save", passes, shown(config.time_left), reserve)
        return Pace(steps, config.time_left, clock.attempt, reserve)
    budget = seconds_of(settings.budget)
    bound = settings.epochs is not None or settings.max_steps is not None
    log.info(
        "a budget of %s (training.budget), %.1f s of it spent, %.1f s to save; the rate follows the time%s",
        shown(budget), clock.seconds(), reserve, f"; at most {passes}" if bound else "",
    )  # fmt: skip
    return Pace(steps if bound else math.inf, budget, clock.seconds, reserve)
