"""Tasks of lm-eval: found by name or in a file, loaded, and told from any that would ask something else."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache
from pathlib import Path
from typing import Any

from knowledge_update.display import log
from knowledge_update.errors import ConfigError
from knowledge_update.evaluation.exam import RETENTION
from knowledge_update.evaluation.scoring import Scorer
from knowledge_update.models import cache_folder, first_line
from knowledge_update.run_folder import Row, read_rows

GENERAL = Path(__file__).parent / "general.yaml"


@dataclass(frozen=True)
class Tasks:
    """What is asked.

    Args:
        loaded: Tasks and groups, as lm-eval's evaluator takes them.
        key: Tells them, their settings and their questions from others.
    """

    loaded: Mapping[str, Any]
    key: str


def require() -> None:
    """Says what to install where lm-eval is not there.

    Raises:
        ConfigError: When it is not.
    """
    try:
        import lm_eval  # noqa: F401
    except ImportError as error:
        raise ConfigError("harness needs lm-eval: pip install 'knowledge-update[lmeval]'") from error


def load(names: str | None, limit: int | None) -> Tasks:
    """Loads tasks by their names in lm-eval, or of files; the general questions where none is named.

    Args:
        names: Names and files, with commas between them.
        limit: How many questions of each task are asked.

    Raises:
        ConfigError: When one is unknown, cannot be read, or is not to be run here.
    """
    import datasets
    from lm_eval.tasks import TaskManager
    from lm_eval.tasks._index import TaskIndex

    # It tells a server what kind of file is read, even of local ones.
    datasets.config.HF_UPDATE_DOWNLOAD_COUNTS = False
    datasets.disable_progress_bars()
    wanted = [name.strip() for name in (names or str(GENERAL)).split(",") if name.strip()]
    files = {name: _of_file(Path(name).expanduser()) for name in wanted if _is_file(name)}
    # Thousands of files are read for the names: only where one is needed.
    named = len(files) < len(wanted) or any("group" in settings for settings in files.values())
    manager = TaskManager(include_defaults=named)
    _check_names([name for name in wanted if name not in files], manager.all_tasks)
    try:
        entries = {name: TaskIndex.entry_from_config(settings) for name, settings in files.items()}
        manager.task_index.update({entry.name: entry for entry in entries.values()})
        loaded = manager.load([entries[name].name if name in entries else name for name in wanted])
    except Exception as error:  # whatever a task's file, its functions, its data and its hub raise
        raise ConfigError(_why(wanted, error)) from error
    for name, task in loaded["tasks"].items():
        _check(name, task)
        if task.get_config("num_fewshot") is None:
            task.set_config(key="num_fewshot", value=0)
    return Tasks(loaded, _key(loaded, limit))


def right(row: Row, responses: list[str]) -> dict[str, float]:
    """What `general.yaml` counts: whether a response is right, by the rules of the report.

    Args:
        row: The question, with its answers.
        responses: One, to this question.
    """
    return {"right": float(_scorer().right(row["question"], responses[0], row["answers"]))}


@cache
def _scorer() -> Scorer:
    return Scorer(row["answers"] for row in read_rows(RETENTION))


def _is_file(name: str) -> bool:
    return name.endswith((".yaml", ".yml"))


def _of_file(path: Path) -> Row:
    """A task file's settings, with paths of data that stand beside it."""
    from lm_eval.tasks._yaml_loader import load_yaml

    if not path.is_file():
        raise ConfigError(f"no such task file: {path}")
    try:
        settings: Row = load_yaml(path)
    except Exception as error:  # YAML's own, and whatever an imported function's module raises
        raise ConfigError(f"cannot read the task file {path}: {_in_a_line(error)}") from error
    if not settings.get("task") and not settings.get("group"):
        raise ConfigError(f"{path} is no task file of lm-eval: it has neither `task` nor `group`")
    _settle(settings, path.parent)
    return settings


def _settle(settings: Row, folder: Path) -> None:
    """Leads a task to its data, or the tasks of a group that stand in its file."""
    given = settings.get("dataset_kwargs") or {}
    if "data_files" in given:
        # Not among what was fetched from the hub: these files are the user's, and so is what is made of them.
        kept = {"cache_dir": str(cache_folder() / "datasets")}
        settings["dataset_kwargs"] = {**kept, **given, "data_files": _beside(given["data_files"], folder)}
    parts = settings.get("task")
    for part in parts if isinstance(parts, list) else []:
        if isinstance(part, dict):
            _settle(part, folder)


def _beside(files: Any, folder: Path) -> Any:
    """Paths as they are where they lead somewhere, else from where the task file is."""
    if isinstance(files, dict):
        return {split: _beside(part, folder) for split, part in files.items()}
    if isinstance(files, list):
        return [_beside(part, folder) for part in files]
    if "://" in str(files) or Path(files).exists():
        return files
    return str((folder / files).resolve())


def _check_names(names: list[str], known: list[str]) -> None:
    for name in names:
        if name not in known:
            near = get_close_matches(name, known, n=1)
            hint = f"did you mean {near[0]}?" if near else "`lm-eval ls tasks` lists them"
            raise ConfigError(f"lm-eval has no task {name!r}; {hint} (a file of your own ends in .yaml)")


def _check(name: str, task: Any) -> None:
    if getattr(task, "UNSAFE_CODE", False):
        raise ConfigError(f"the task {name} runs code that the model writes: that is not done here")
    if getattr(task, "MULTIMODAL", False):
        raise ConfigError(f"the task {name} shows images or plays sounds: only text is asked here")


def _why(wanted: list[str], error: Exception) -> str:
    """Why tasks could not be loaded, in a line."""
    what = f"cannot load {', '.join(wanted)}: "
    if any(_of_network(cause) for cause in _causes(error)):
        return f"{what}the hub cannot be reached; without --tasks, or with a file of your own data, none is needed"
    return what + _in_a_line(error)


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _of_network(error: BaseException) -> bool:
    import httpx

    return isinstance(error, ConnectionError | httpx.TransportError)


def _in_a_line(error: Exception) -> str:
    return " ".join(f"{type(error).__name__}: {first_line(error)}".split())


def _key(loaded: Mapping[str, Any], limit: int | None) -> str:
    """A hash of the tasks' settings, their functions' code, the questions asked, and what groups make of them."""
    digest = hashlib.sha256()
    for name, group in sorted(loaded["groups"].items()):
        digest.update(repr([name, group.child_names, group.aggregate_metric_list]).encode())
    for name, task in sorted(loaded["tasks"].items()):
        digest.update(json.dumps([name, task.dump_config()], default=str, sort_keys=True).encode())
        count = 0
        for _, row in task.doc_iterator(limit=limit):
            digest.update(json.dumps(row, default=str, sort_keys=True).encode())
            count += 1
        log.debug("task %s: %d questions", name, count)
    return digest.hexdigest()[:16]
