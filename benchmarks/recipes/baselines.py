"""Others' recipes on the same rows, each by its own trainer: the described one, and TRL as it comes."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from teaching.arms import Arm, Process
from teaching.rows import Settings, digest

from knowledge_update.config import Config
from knowledge_update.models import load_tokenizer, precision, resolve
from knowledge_update.run_folder import RunFolder, read_rows, whole_folder
from knowledge_update.templates import ChatTemplate
from knowledge_update.training.rows import IGNORED, Encoder

# Rows of a step where a recipe does not say: the default of transformers' trainer.
ROWS = 8
# More steps than any training has.
_ALL = 10**9
Row = dict[str, Any]


@dataclass(frozen=True)
class Baseline:
    """A recipe of somebody else's.

    Args:
        script: Its script in `peers/`.
        passes: Over the rows, as it ships; its rate is planned for them.
        options: Of the script.
        trl: Whether it runs in TRL's environment, and learns all of every row as TRL does; else the answers alone.
    """

    script: str
    passes: float
    options: tuple[str, ...] = ()
    trl: bool = False


BASELINES = {
    "seed_recipe": Baseline("seed_recipe.py", 5),
    "trl_default": Baseline("train_trl.py", 3, ("--defaults",), trl=True),
    # The rate that TRL's example with LoRA has, ten times the default.
    "trl_lora": Baseline("train_trl.py", 3, ("--defaults", "2e-4"), trl=True),
}


def task_of(baseline: Baseline, config: Config, folder: RunFolder, seed: int, passes: float | None) -> Row:
    """Rows and settings of a recipe, as its script reads them.

    Args:
        baseline: The recipe.
        config: Which model, and what it computes in.
        folder: Whose rows they are.
        seed: Of the order, and of the adapter's start.
        passes: Over the rows, where not as it ships.
    """
    base = resolve(config.model.name)
    template = ChatTemplate(load_tokenizer(base))
    given = read_rows(folder.dataset("train"))
    rows = _whole(given, template) if baseline.trl else _answers(given, template)
    passes = passes or baseline.passes
    settings = Settings(
        base, ROWS, rank=64, alpha=16, learning_rate=3e-4, betas=(0.9, 0.999), eps=1e-8, schedule="linear",
        shuffled=True, seed=seed, dtype=str(precision(config.model.dtype, config.model.device).dtype)[6:],
        steps=max(1, round(passes * len(rows) / ROWS)), targets=("q_proj", "v_proj"),
    )  # fmt: skip
    return {"settings": asdict(settings), "hash": digest(rows), "rows": rows, "passes": passes}


def _answers(given: Sequence[Row], template: ChatTemplate) -> list[Row]:
    """Questions of which the answer is learned; texts are left out."""
    encoder, rows = Encoder(template), []
    for row in given:
        if "text" in row:
            continue
        for encoded in encoder.parts(row):
            head = list(encoder.prefix) if encoded.shared else []
            rows.append({"input_ids": [*head, *encoded.ids], "labels": [*[IGNORED] * len(head), *encoded.labels]})
    return rows


def _whole(given: Sequence[Row], template: ChatTemplate) -> list[Row]:
    """Conversations and texts as TRL makes them of such rows, all of it learned."""
    tokenizer, rows = template.tokenizer, []
    for row in given:
        if "text" in row:
            ids = [*tokenizer(row["text"])["input_ids"], tokenizer.eos_token_id]
        else:
            ids = list(tokenizer.apply_chat_template(row["messages"], tokenize=True, return_dict=False))
        rows.append({"input_ids": ids, "labels": ids})
    return rows


def train(baseline: Baseline, python: Path, task: Row, folder: RunFolder, seconds: float | None) -> Row:
    """Trains an adapter into a run folder; returns what it came to.

    Args:
        baseline: The recipe.
        python: The interpreter of its environment.
        task: Of `task_of`.
        folder: Where the adapter goes.
        seconds: Of training, after which it ends before its passes do; loading the model does not count. With none it
            trains all its passes, rows padded to the longest beside them: the same gradients sooner.

    Raises:
        RuntimeError: When its process ends, or trains other rows.
    """
    file = folder.path / "task.json"
    file.write_text(json.dumps(task), encoding="utf-8")
    options = baseline.options if seconds is not None or baseline.trl else (*baseline.options, "--short")
    arm = Arm(baseline.script, python, baseline.script, options)
    spent, losses, done = 0.0, 0, False
    with whole_folder(folder.adapter) as adapter:
        process = Process(arm, file, folder.path / "peer.log")
        try:
            if process.about["hash"] != task["hash"]:
                raise RuntimeError(f"{baseline.script} trains other rows than it was given")
            while not done and (seconds is None or spent < seconds):
                told = process.train(1 if seconds is not None else _ALL, adapter)
                spent, losses, done = spent + sum(told["seconds"]), losses + len(told["losses"]), told["done"]
        finally:
            process.stop()
    file.unlink()
    return {
        "seconds": round(spent, 1), "steps": losses, "rows": losses * ROWS,
        "threads": process.about["threads"], "versions": process.about["versions"],
    }  # fmt: skip


def python_of(baseline: Baseline, ours: Path, peers: Path | None) -> Path:
    """The interpreter that a recipe runs in.

    Raises:
        RuntimeError: When its environment was not named.
    """
    if not baseline.trl:
        return ours
    if peers is None:
        raise RuntimeError("no environment was named: --peers DIR or KUPDATE_PEERS")
    return peers.expanduser() / "trl" / "bin" / "python"
