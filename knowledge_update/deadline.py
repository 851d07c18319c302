"""A time for the whole road: what each stage may take of it, planned, measured on the way, and planned again."""

import time

from knowledge_update.config import Config
from knowledge_update.display import log
from knowledge_update.durations import seconds_of, shown
from knowledge_update.run_folder import RunFolder, read_json, write_json

# Of the whole: what collecting takes before it asks for no further variants.
COLLECTING = 0.35
# The updated model is asked what the base was asked; its answers may be longer, and the report takes its time too.
LONGER, REPORT = 1.2, 15.0


class Deadline:
    """What is left of the time of a run, attempts that were killed included.

    Args:
        config: Its `budget`; `time_left` and `writer.seconds` are set here as the run goes on.
        folder: Keeps the seconds spent.
    """

    def __init__(self, config: Config, folder: RunFolder) -> None:
        assert config.budget is not None
        self.config, self.folder, self.budget = config, folder, seconds_of(config.budget)
        self._before = float(read_json(folder.spent)) if folder.spent.exists() else 0.0
        self._began = time.monotonic()

    def spent(self) -> float:
        """Seconds spent until now."""
        return self._before + time.monotonic() - self._began

    def note(self) -> None:
        """Writes the seconds spent down."""
        write_json(self.folder.spent, self.spent())

    def begin(self) -> None:
        """Plans the collection."""
        share = max(0.0, COLLECTING * self.budget - self.spent())
        self.config.writer.seconds = share
        log.info(
            "a budget of %s: collecting asks for no further variants after %s; the base model is asked before "
            "training, to see what asking takes",
            shown(self.budget), shown(share),
        )  # fmt: skip

    def asked(self, seconds: float) -> None:
        """Plans the training, when it is known what asking takes.

        Args:
            seconds: What the base model took to answer.
        """
        reserve = LONGER * seconds + REPORT
        self.config.time_left = max(1.0, self.budget - self.spent() - reserve)
        log.info(
            "%s of %s spent; %s are kept for asking and the report (the base model took %s), training may take %s",
            shown(self.spent()), shown(self.budget), shown(reserve), shown(seconds), shown(self.config.time_left),
        )  # fmt: skip

    def end(self) -> None:
        """Tells how it ended."""
        over = self.spent() - self.budget
        told = f"{shown(over)} over it" if over > 0 else f"{shown(-over)} before its end"
        log.info("a budget of %s: done after %s, %s", shown(self.budget), shown(self.spent()), told)
