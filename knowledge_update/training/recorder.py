"""What is done between the steps of a training: shown, logged, validated, kept, and ended when somebody wants it."""

import math
import signal
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

from knowledge_update import processes
from knowledge_update.display import log, progress
from knowledge_update.run_folder import Row, RunFolder, journal
from knowledge_update.training import checkpoints
from knowledge_update.training.engines import Engine
from knowledge_update.training.loop import Step
from knowledge_update.training.pace import Clock, Pace
from knowledge_update.training.retention import Retention
from knowledge_update.training.snapshots import Snapshots
from knowledge_update.training.speed import Speedometer
from knowledge_update.training.trackers import NONE, Tracker
from knowledge_update.training_config import TrainingConfig


@dataclass
class Stop:
    """Whether somebody wants the training to end."""

    wanted: bool = False


class Recorder:
    """Follows a training from step to step.

    Args:
        folder: Where metrics and checkpoints go.
        state: How far the training is.
        engine: Computes the steps; all its processes follow the training, the first writes.
        config: How often what is done.
        pace: How long the training is.
        clock: Seconds spent.
        snapshots: Where what is trained is kept at some steps.
        validate: Returns the loss of rows that are not trained, where there are any.
        steps_an_epoch: Steps of one pass over the rows.
        meter: Measures how fast the steps are.
        retention: Looks at what is forgotten.
    """

    def __init__(
        self, folder: RunFolder, state: checkpoints.Progress, engine: Engine, config: TrainingConfig,
        pace: Pace, clock: Clock, snapshots: Snapshots, validate: Callable[[], float] | None, steps_an_epoch: int,
        meter: Speedometer, retention: Retention,
    ) -> None:  # fmt: skip
        self.folder, self.engine, self.config = folder, engine, config
        self.pace, self.clock, self.snapshots, self.validate = pace, clock, snapshots, validate
        self.meter, self.retention = meter, retention
        self.key, self.losses, self.seconds, self.step = state.key, list(state.losses), state.seconds, state.step
        self.rows = state.rows
        self.saving, self.validating = config.saved_every(steps_an_epoch), config.validated_every(steps_an_epoch)
        self.validating = self.validating or (steps_an_epoch if validate else None)
        if self.saving and math.isfinite(pace.steps) and pace.steps < self.saving:
            log.info("%d steps are fewer than training.save_steps=%d: the final one is kept", pace.steps, self.saving)
        self.tracker: Tracker = NONE
        self._saved = time.monotonic()
        self._recent: list[Step] = []
        self._append: Callable[[Iterable[Row]], object] = list
        self._open = ExitStack()

    def __enter__(self) -> "Recorder":
        if processes.first():
            self._append = self._open.enter_context(journal(self.folder.metrics))
        # Where only time ends the training, time is what it is measured by.
        timed = self.pace.steps == float("inf")
        self._total, self._shown = (100, 0) if timed else (int(self.pace.steps), self.step)
        unit = "% of the time" if timed else "steps"
        self._advance = self._open.enter_context(progress("Training", self._total, unit, done=self._shown))
        self._stop = self._open.enter_context(_stoppable())
        return self

    def __exit__(self, *error: Any) -> None:
        self._open.close()

    @property
    def last_loss(self) -> float:
        """The mean loss of the last steps."""
        last = self.losses[-20:]
        return round(sum(last) / len(last), 4)

    def before(self) -> None:
        """Takes note of how the model is before the first step of all."""
        if not self.step:
            self._looked()

    def after(self, step: Step) -> None:
        """Takes note of a step.

        Raises:
            KeyboardInterrupt: When somebody wants the training to end; it is kept as it is.
        """
        self.losses.append(step.loss)
        self.seconds += step.seconds
        self.step = step.number
        self.rows += step.rows
        self._recent.append(step)
        self.meter.add(rows=step.rows, tokens=step.tokens, labels=step.labels, seconds=step.seconds)
        self.clock.note()
        last = step.done >= 1
        if step.number % self.config.log_steps == 0 or last:
            self._told(self._line())
            self._recent = []
        self._show(step)
        if self.retention.due(step.done):
            self._looked()
        if self.validate and (last or _due(step.number, self.validating)):
            self._validated(self.validate())
        if _due(step.number, self.saving) and not last:
            self.snapshots.take(step.number)
        if last:
            return
        wanted = self.engine.agreed(self._stop.wanted) > 0
        if wanted or self.engine.agreed(time.monotonic() - self._saved >= self.config.checkpoint_seconds) > 0:
            self._keep()
        if wanted:
            log.info("stopped at step %d, kept", step.number)
            raise KeyboardInterrupt

    def _show(self, step: Step) -> None:
        reached = int(100 * step.done) if self._total == 100 and self.pace.steps == float("inf") else step.number
        self._advance(reached - self._shown, note=f"loss {self.last_loss:.2f}, {self.meter.line()}")
        self._shown = reached

    def _validated(self, loss: float) -> None:
        self._told({"step": self.step, "validation_loss": loss})
        log.info("step %d: validation loss %.4f", self.step, loss)
        self.snapshots.validated(self.step, loss)

    def _looked(self) -> None:
        """Tells what is forgotten so far."""
        if found := self.retention.measured():
            self._told({"step": self.step, **found})

    def _told(self, line: Row) -> None:
        self._append([line])
        self.tracker.log(self.step, line)

    def _keep(self) -> None:
        state = checkpoints.Progress(self.key, self.step, self.losses, self.seconds, self.rows)
        whole = self.engine.state()
        if processes.first():
            checkpoints.save(self.folder.checkpoint, whole, state)
        self._saved = time.monotonic()

    def _line(self) -> Row:
        return {
            "step": self.step,
            "loss": sum(step.loss for step in self._recent) / len(self._recent),
            "rate": self._recent[-1].rate,
            **self.meter.figures(),
            "seconds": round(self.seconds, 2),
        }


def _due(step: int, every: int | None) -> bool:
    return every is not None and step % every == 0


@contextmanager
def _stoppable() -> Iterator[Stop]:
    """The first Ctrl-C or SIGTERM ends the training after its step; the second ends it at once."""
    stop, numbers = Stop(), (signal.SIGINT, signal.SIGTERM)
    if threading.current_thread() is not threading.main_thread():
        # Signals are for the main thread alone.
        yield stop
        return

    def ask(number: int, frame: Any) -> None:
        stop.wanted = True
        _give_back(before)

    before = {number: signal.getsignal(number) for number in numbers}
    for number in numbers:
        signal.signal(number, ask)
    try:
        yield stop
    finally:
        _give_back(before)


def _give_back(handlers: dict[signal.Signals, Any]) -> None:
    for number, handler in handlers.items():
        signal.signal(number, handler)
