"""Writing what is trained: as a try, as a snapshot, and at the end."""

import shutil
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from knowledge_update import processes
from knowledge_update.run_folder import Row, RunFolder, folder_of_first, write_json
from knowledge_update.templates import ChatTemplate
from knowledge_update.training import checkpoints, methods
from knowledge_update.training.engines import Engine
from knowledge_update.training.trunk import Trunk


class Saver:
    """Writes what is trained, with what is needed to use it.

    Args:
        model: As `methods.attach` gives it.
        engine: Knows what is trained, whole; all its processes gather it, the first writes.
        template: The model's chat template.
        trunk: The lower layers, where they are computed apart.
    """

    def __init__(self, model: Any, engine: Engine, template: ChatTemplate, trunk: Trunk | None) -> None:
        self.model, self.engine, self.template, self.trunk = model, engine, template, trunk

    def write(self, path: Path) -> None:
        """Writes into an empty folder."""
        whole = self.engine.whole()
        if processes.first():
            with self.trunk.whole() if self.trunk else nullcontext():
                methods.save(self.model, path, whole)
            self.template.tokenizer.save_pretrained(str(path))

    def tried(self, folder: RunFolder) -> None:
        """Writes where it is removed again: to see how long that takes, and that there is room for it."""
        with folder_of_first(folder.trial) as unfinished:
            self.write(unfinished)
        if processes.first():
            shutil.rmtree(folder.trial)

    def finish(self, folder: RunFolder, arguments: Row, losses: list[float], best: Path | None) -> None:
        """Writes the run's adapter; its checkpoint goes.

        Args:
            folder: The run.
            arguments: What is to be known of the training.
            losses: Of all steps.
            best: What is kept in the place of what is trained now, where something is.
        """
        import numpy as np

        if processes.first():
            folder.losses.parent.mkdir(exist_ok=True)
            np.save(folder.losses, np.array(losses, dtype=np.float64))
        with folder_of_first(folder.adapter) as unfinished:
            if best is None:
                self.write(unfinished)
            if not processes.first():
                return
            if best:
                shutil.copytree(best, unfinished, dirs_exist_ok=True)
            write_json(unfinished / folder.training_arguments.name, arguments)
        checkpoints.remove(folder.checkpoint)
