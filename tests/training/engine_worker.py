"""Trains several run folders in the processes that torchrun started, one after another: starting them takes longest.

`engine_worker.py CASES`: a JSON file of [folder, overrides, what to leave a note of]. What a case came to is written
beside its folder as `FOLDER.RANK.json`.
"""

import json
import sys
import time
from pathlib import Path
from typing import Any

from knowledge_update import display, processes
from knowledge_update.config import Config
from knowledge_update.errors import KnowledgeUpdateError
from knowledge_update.run_config import changed, stored
from knowledge_update.run_folder import RunFolder
from knowledge_update.training import engines, stage
from knowledge_update.training.engines import joined

seen: dict[str, Any] = {}


def watched(*args: Any) -> Any:
    """The engine, with a note of what it is once it has been entered."""
    engine = made(*args)
    entered = type(engine).__enter__

    def enter(self: Any) -> Any:
        result = entered(self)
        seen.update(kind=type(self).__name__, wrapper=_wrapper(self))
        return result

    type(engine).__enter__ = enter
    return engine


def _wrapper(engine: Any) -> Any:
    """What computes, as PyTorch and DeepSpeed name it, and how much of the model this process holds."""
    model = engine.model
    if type(engine).__name__ == "FullyShard":
        held = sum(p.to_local().numel() for p in model.parameters())
        return {type(p).__name__ for p in model.parameters()}.pop(), held / sum(p.numel() for p in model.parameters())
    if type(engine).__name__ == "Zero":
        ds = engine._engine
        held = [getattr(p, "ds_tensor", p).numel() / getattr(p, "ds_numel", p.numel()) for p in model.parameters()]
        return type(ds).__name__, ds.zero_optimization_stage(), type(ds.optimizer).__name__, max(held)
    return None


def main(cases: list[Any]) -> None:
    display.to_nobody() if processes.place().rank else display.to_terminal()
    with joined(always=True) as group:
        for path, overrides in cases:
            folder = RunFolder(path)
            config: Config = changed(stored(folder), overrides, {}, folder)
            seen.clear()
            try:
                seen["steps"] = stage.run_in(group, config, folder, time.monotonic()).steps
            except KnowledgeUpdateError as error:
                seen["error"] = str(error)
            note = folder.path.with_name(f"{folder.path.name}.{processes.place().rank}.json")
            note.write_text(json.dumps(seen), encoding="utf-8")
            group.shared(None)


if __name__ == "__main__":
    made = engines.engine_for
    stage.engine_for = watched
    main(json.loads(Path(sys.argv[1]).read_text(encoding="utf-8")))
    processes.leave(0)
