"""Before and after: what tasks say of the base model, kept for other trainings, and of the updated one."""

import hashlib
import importlib.metadata
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from knowledge_update.adapters import is_adapter, load_updated
from knowledge_update.config import Config
from knowledge_update.display import log, to_file
from knowledge_update.harness.silence import quiet
from knowledge_update.harness.tasks import Tasks, load
from knowledge_update.models import Precision, identity, load_model, load_tokenizer, precision, resolve
from knowledge_update.run_config import stored
from knowledge_update.run_folder import Row, RunFolder, digest, read_json, write_json
from knowledge_update.templates import ChatTemplate

_RECORDED = ("lm-eval", "datasets", "torch", "transformers", "peft", "knowledge-update")


@dataclass(frozen=True)
class Asking:
    """What is wanted.

    Args:
        tasks: Names of lm-eval's tasks, or files; the general questions where there is none.
        limit: How many questions of each task are asked.
        batch_size: Rows that are computed together.
        chat: Whether the chat template is applied.
    """

    tasks: str | None = None
    limit: int | None = None
    batch_size: int = 16
    chat: bool = True


def compare(folder: RunFolder, wanted: Asking) -> Row:
    """Asks the run's base model and its updated one, each where it was not asked yet; writes `lm_eval.json`.

    Raises:
        RunFolderError: When the folder is no run's, or nothing was trained in it.
        ConfigError: When a task cannot be used.
        ModelError: When a model cannot be loaded.
    """
    config = stored(folder)
    folder.require(folder.adapter, f"train {folder.path}")
    with folder.alone(), to_file(folder.log):
        with quiet():
            tasks = load(wanted.tasks, wanted.limit)
        models = _Models(config, folder)
        sides = {}
        for side, model in (("base", models.base), ("updated", models.updated)):
            sides[side] = _answered(models, side, model, tasks, wanted)
        figures = _figures(sides, wanted, models.name)
        write_json(folder.lm_eval, figures)
    return figures


class _Models:
    """A run's two models, of which each is loaded when it is asked for; the updated one in the base one's place.

    Args:
        config: Which model.
        folder: What became of it.
    """

    def __init__(self, config: Config, folder: RunFolder) -> None:
        self.config, self.folder = config, folder
        self.name = config.model.name
        self.path = resolve(self.name, local_files_only=config.model.local_files_only)
        self.tokenizer = ChatTemplate(load_tokenizer(self.path)).tokenizer

    @cached_property
    def chosen(self) -> Precision:
        return precision(self.config.model.dtype, self.config.model.device)

    @cached_property
    def _loaded(self) -> Any:
        return load_model(self.path, self.chosen, self.config.model.bits)

    def base(self) -> Any:
        return self._loaded

    def updated(self) -> Any:
        import torch

        model = load_updated(self._loaded, self.folder.adapter, self.chosen)
        if is_adapter(self.folder.adapter) and self.chosen.dtype == torch.float32 and not self.config.model.bits:
            # Exact to the last bits in fp32, and a third fewer products a token.
            model.merge_adapter()
        return model

    def identity(self, side: str) -> str:
        """Tells a model from any other that would answer otherwise."""
        parts = [identity(self.path), str(self.chosen.dtype), str(self.config.model.bits)]
        parts.append(str(self.tokenizer.chat_template))
        if side == "updated":
            parts += map(digest, sorted(self.folder.adapter.glob("*.safetensors")))
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]


def _answered(models: _Models, side: str, model: Callable[[], Any], tasks: Tasks, wanted: Asking) -> Row:
    """What one of the models said of the tasks: as it is kept, where the same was asked of the same model."""
    # Of one side and what it is asked there is one file: of models that are gone nothing is kept.
    asked = [tasks.key, str(wanted.limit), str(wanted.chat), importlib.metadata.version("lm-eval")]
    key = hashlib.sha256("\n".join(asked).encode()).hexdigest()[:16]
    path, whose = models.folder.lm_eval_answers(f"{side}-{key}"), models.identity(side)
    if path.exists() and (kept := read_json(path))["model"] == whose:
        log.info("%s: as it was answered before", side)
        return dict(kept)
    with quiet():
        from knowledge_update.harness.asking import ask

        said = ask(
            model(), models.tokenizer, tasks, side, limit=wanted.limit, batch_size=wanted.batch_size, chat=wanted.chat
        )
    write_json(path, {"model": whose, **said})
    return {"model": whose, **said}


def _figures(sides: dict[str, Row], wanted: Asking, model: str) -> Row:
    base, updated = sides["base"], sides["updated"]
    compared = {}
    for name, part in base["tasks"].items():
        metrics = {key: _metric(name, key, base, updated) for key in part["metrics"]}
        if metrics:
            kept = {key: part[key] for key in ("n", "shots", "version")}
            compared[name] = {**kept, "hash": base["hashes"].get(name), "metrics": metrics}
    return {
        "asked": wanted.tasks,
        "tasks": compared,
        "limit": wanted.limit,
        "apply_chat_template": wanted.chat,
        "batch_size": wanted.batch_size,
        "models": {"name": model, **{side: said["model"] for side, said in sides.items()}},
        "seconds": {side: said["seconds"] for side, said in sides.items()},
        "versions": {name: importlib.metadata.version(name) for name in _RECORDED},
    }


def _metric(task: str, key: str, base: Row, updated: Row) -> Row:
    before, after = (side["tasks"][task]["metrics"][key] for side in (base, updated))
    known = before["value"] is not None and after["value"] is not None
    pairs = [side["values"].get(task, {}).get(key) for side in (base, updated)]
    error = _paired(*pairs) if all(pairs) else _apart(before["stderr"], after["stderr"])
    return {
        "base": before["value"],
        "updated": after["value"],
        "difference": after["value"] - before["value"] if known else None,
        "stderr": {"base": before["stderr"], "updated": after["stderr"], "difference": error if known else None},
        "higher_is_better": before["higher_is_better"],
    }


def _paired(before: Sequence[float], after: Sequence[float]) -> float | None:
    """The standard error of a mean difference, both models asked the same questions."""
    differences = [new - old for old, new in zip(before, after, strict=True)]
    n = len(differences)
    if n < 2:
        return None
    mean = sum(differences) / n
    return math.sqrt(sum((value - mean) ** 2 for value in differences) / (n - 1) / n)


def _apart(before: float | None, after: float | None) -> float | None:
    """The same where nothing is known of single questions: too large rather than too small, as they are alike."""
    return None if before is None or after is None else math.hypot(before, after)


def shown(figures: Row) -> tuple[str, list[str], list[list[str]]]:
    """The figures as (title, columns, rows), for `display.table`."""
    rows = []
    for name, task in figures["tasks"].items():
        for key, metric in task["metrics"].items():
            label, _, kept = key.partition(",")
            numbers = [_figure(metric[side]) for side in ("base", "updated")]
            difference = _figure(metric["difference"], "+"), _figure(metric["stderr"]["difference"])
            n = "–" if task["n"] is None else str(task["n"])
            rows.append([name, n, label if kept == "none" else f"{label} ({kept})", *numbers, *difference])
    columns = ["task", "n", "metric", "before", "after", "difference", "standard error"]
    return f"lm-eval {figures['versions']['lm-eval']}: before and after", columns, rows


def _figure(value: float | None, sign: str = "") -> str:
    return "–" if value is None else f"{value:{sign}.4f}"
