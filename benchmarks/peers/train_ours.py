"""Ours: the loop that `kupdate train` runs, on given rows, LoRA on all layers."""

import sys
from pathlib import Path

from pacing import Pace

# From the repository, so that this code is measured and not another that is installed.
sys.path.insert(0, str(Path(__file__).parents[2]))

from knowledge_update.config import Config
from knowledge_update.models import load_model, precision
from knowledge_update.training import methods
from knowledge_update.training.engines import OneProcess
from knowledge_update.training.loop import train
from knowledge_update.training.pace import Pace as Steps
from knowledge_update.training.rows import Encoded
from knowledge_update.training_config import AdapterConfig, OptimizerConfig, ScheduleConfig

BLOCKS = 100_000


def main() -> None:
    """Trains."""
    pace = Pace()
    settings, prefix = pace.settings, tuple(pace.task["prefix"])
    config = Config(
        adapter=AdapterConfig(rank=settings["rank"], alpha=settings["alpha"], upper_share=1.0),
        optimizer=OptimizerConfig(
            learning_rate=settings["learning_rate"], betas=tuple(settings["betas"]), eps=settings["eps"],
            weight_decay=settings["weight_decay"], max_grad_norm=settings["max_grad_norm"],
        ),
        schedule=ScheduleConfig(name="constant", warmup=0.0),
    )  # fmt: skip
    model = load_model(settings["model"], precision(settings["dtype"], "cpu"))
    wrapped = methods.attach(model, config.adapter, settings["seed"])
    engine = OneProcess(wrapped, prefix)
    optimizer = engine.drives(config.optimizer)
    rows = [encoded(row, len(prefix)) for row in pace.rows]
    each = settings["rows_per_step"]
    batches = [rows[at : at + each] for at in range(0, len(rows) - each + 1, each)]
    whole = [{"input_ids": [*prefix, *row.ids], "labels": [*[-100] * len(prefix), *row.labels]} for row in rows]
    pace.start(wrapped, whole, ("transformers", "peft"))
    batches = [batches[at % len(batches)] for at in range(BLOCKS)]
    train(wrapped, optimizer, batches, engine, Steps(BLOCKS), config, start=0, after=lambda step: pace.step(step.loss))


def encoded(row: dict[str, list[int]], shared: int) -> Encoded:
    """A row as the loop wants it, without the prefix that it shares with the others."""
    return Encoded(tuple(row["input_ids"][shared:]), tuple(row["labels"][shared:]), bool(shared))


if __name__ == "__main__":
    main()
