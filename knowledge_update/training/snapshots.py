"""Snapshots: what is trained, kept as it was at some steps; each can be used as the final one can."""

import math
import re
import shutil
from collections.abc import Callable
from pathlib import Path

from knowledge_update import processes
from knowledge_update.run_folder import folder_of_first, read_json, restore, write_json

BEST = "checkpoint-best"
_NOTE = "validation.json"


class Snapshots:
    """The snapshots of a training in a folder: `checkpoint-STEP`, and `checkpoint-best`.

    Args:
        folder: Where they are.
        limit: How many of steps are kept, the last ones; all where it is not given. The best one is kept besides.
        save: Writes what is trained into an empty folder; of several processes, the first.
    """

    def __init__(self, folder: Path, limit: int | None, save: Callable[[Path], None]) -> None:
        self.folder, self.limit, self.save = folder, limit, save
        if processes.first():
            restore(self.best)
        # Of the best one; read once, so that several processes keep the same ones.
        note = self.best / _NOTE
        self.lowest = float(read_json(note)["loss"]) if note.exists() else math.inf

    @property
    def best(self) -> Path:
        """Where the best one by validation is."""
        return self.folder / BEST

    def steps(self) -> list[int]:
        """The steps of which there are snapshots, in their order."""
        names = [re.fullmatch(r"checkpoint-(\d+)", path.name) for path in self.folder.glob("checkpoint-*")]
        return sorted(int(name[1]) for name in names if name)

    def take(self, step: int) -> None:
        """Keeps what is trained as it is now, and removes those beyond the limit."""
        with folder_of_first(self.folder / f"checkpoint-{step}") as partial:
            self.save(partial)
        for old in self.steps()[: -self.limit] if self.limit and processes.first() else ():
            shutil.rmtree(self.folder / f"checkpoint-{old}")

    def validated(self, step: int, loss: float) -> None:
        """Keeps what is trained as the best one, if its validation loss is the lowest."""
        if loss < self.lowest:
            self.lowest = loss
            with folder_of_first(self.best) as partial:
                self.save(partial)
                if processes.first():
                    write_json(partial / _NOTE, {"step": step, "loss": loss})

    def forget(self) -> None:
        """Removes all of them: another training begins."""
        self.lowest = math.inf
        if not processes.first():
            return
        for path in [self.best, *(self.folder / f"checkpoint-{step}" for step in self.steps())]:
            shutil.rmtree(path, ignore_errors=True)
