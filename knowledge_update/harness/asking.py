"""A model asked by lm-eval, with progress of our own."""

import math
import random
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from numbers import Real
from typing import Any

from lm_eval.models.huggingface import HFLM
from lm_eval.utils import hash_string

from knowledge_update.display import Advance, progress
from knowledge_update.harness.tasks import Tasks
from knowledge_update.run_folder import Row

# As `lm_eval.simple_evaluate` has them.
_SEED, _OTHER_SEED = 0, 1234
# Of what has no standard error in closed form; lm-eval's own hundred thousand take minutes, and change its third digit.
_RESAMPLES = 1000


class _Watched:
    """Stands where lm-eval's cache of answers would: it is told of each, which come a batch at a time.

    Args:
        advance: Of the progress that is shown.
        batch_size: Rows that are computed together.
    """

    def __init__(self, advance: Advance, batch_size: int) -> None:
        self.advance, self.batch_size, self.told = advance, batch_size, 0

    def add_partial(self, *_: Any) -> None:
        self.told += 1
        if self.told % self.batch_size == 0:
            self.advance(self.batch_size)


class _Model(HFLM):  # type: ignore[misc]
    """A model that is loaded already, as lm-eval asks it; shows how far it is.

    Args:
        model: A causal language model of transformers, adapter included.
        tokenizer: Its tokenizer, with a chat template.
        batch_size: Rows that are computed together.
        side: Which model it is, for whoever waits.
    """

    def __init__(self, model: Any, tokenizer: Any, batch_size: int, side: str) -> None:
        super().__init__(pretrained=model, tokenizer=tokenizer, batch_size=batch_size, enable_thinking=False)
        self.side = side

    def loglikelihood(self, requests: Sequence[Any], disable_tqdm: bool = True) -> Any:
        with self._shown(len(requests)):
            return super().loglikelihood(requests, disable_tqdm=True)

    def loglikelihood_rolling(self, requests: Sequence[Any], disable_tqdm: bool = True) -> Any:
        with self._shown(len(requests)):
            return super().loglikelihood_rolling(requests, disable_tqdm=True)

    def generate_until(self, requests: Sequence[Any], disable_tqdm: bool = True) -> Any:
        with self._shown(len(requests)):
            return super().generate_until(requests, disable_tqdm=True)

    @contextmanager
    def _shown(self, total: int) -> Iterator[None]:
        with progress(f"Asking ({self.side})", total, "requests") as advance:
            self.cache_hook = _Watched(advance, self.batch_size)
            yield


def ask(model: Any, tokenizer: Any, tasks: Tasks, side: str, *, limit: int | None, batch_size: int, chat: bool) -> Row:
    """Asks a model; returns its figures, and by task and metric the value of every question.

    Args:
        model: A causal language model of transformers, adapter included.
        tokenizer: Its tokenizer, with a chat template.
        tasks: What is asked.
        side: `base` or `updated`.
        limit: How many questions of each task are asked.
        batch_size: Rows that are computed together.
        chat: Whether the chat template is applied.
    """
    from lm_eval import evaluate

    began = time.monotonic()
    _seed(tasks)
    # `simple_evaluate` would call git, pip and lspci besides to describe the machine, and their complaints be seen.
    found = evaluate(
        lm=_Model(model, tokenizer, batch_size, side), task_dict=tasks.loaded, limit=limit, bootstrap_iters=_RESAMPLES,
        apply_chat_template=chat, fewshot_as_multiturn=chat, confirm_run_unsafe_code=False,
    )  # fmt: skip
    samples = found["samples"]
    return {
        "seconds": round(time.monotonic() - began, 2),
        "tasks": {name: _task(name, part, found) for name, part in found["results"].items()},
        "hashes": {name: _hash(rows) for name, rows in samples.items()},
        "values": {name: _values(found["results"][name], rows) for name, rows in samples.items()},
    }


def _seed(tasks: Tasks) -> None:
    """Before each of the two models, so that both are shown the same examples."""
    import numpy
    import torch

    random.seed(_SEED)
    numpy.random.seed(_OTHER_SEED)
    torch.manual_seed(_OTHER_SEED)
    for task in tasks.loaded["tasks"].values():
        task.set_fewshot_seed(seed=_OTHER_SEED)


def _task(name: str, part: Row, found: Row) -> Row:
    """Figures of a task or a group, a metric as `name,filter`."""
    metrics = {}
    for key, value in part.items():
        metric, comma, kept = key.partition(",")
        if comma and not metric.endswith("_stderr"):
            error = part.get(f"{metric}_stderr,{kept}")
            better = found["higher_is_better"].get(name, {}).get(metric)
            metrics[key] = {"value": _number(value), "stderr": _number(error), "higher_is_better": better}
    shots = found["n-shot"].get(name)
    return {"n": part.get("sample_len"), "shots": shots, "version": found["versions"].get(name), "metrics": metrics}


def _number(value: Any) -> float | None:
    """A figure, where it is one; lm-eval has words for those that are none."""
    return float(value) if not isinstance(value, str) and value is not None and math.isfinite(value) else None


def _values(part: Row, rows: Sequence[Row]) -> dict[str, list[float]]:
    """What every question came to, in their order, of metrics that are its mean."""
    found = {}
    for key, whole in part.items():
        metric, _, kept = key.partition(",")
        asked = [row for row in sorted(rows, key=lambda row: row["doc_id"]) if row["filter"] == kept]
        if asked and all(isinstance(row.get(metric), Real) for row in asked):
            numbers = [float(row[metric]) for row in asked]
            if math.isclose(sum(numbers) / len(numbers), whole, abs_tol=1e-9):
                found[key] = numbers
    return found


def _hash(rows: Sequence[Row]) -> str:
    """Of questions, prompts and answers, as lm-eval's own command writes it among its results."""
    return str(hash_string("".join(row["doc_hash"] + row["prompt_hash"] + row["target_hash"] for row in rows)))
