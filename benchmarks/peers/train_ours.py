"""Ours: the loop that `kupdate train` runs, on given rows, LoRA on all layers.

`--without workers,layers,head,lora,sharing,labels` leaves parts of it out, to see what each of them brings.
"""

import sys
from pathlib import Path
from typing import Any

import torch
from pacing import Pace
from torch import Tensor

# From the repository, so that this code is measured and not another that is installed.
sys.path.insert(0, str(Path(__file__).parents[2]))

from knowledge_update import workers
from knowledge_update.config import Config
from knowledge_update.models import load_model, precision
from knowledge_update.training import layers, layout, lora, methods, objective
from knowledge_update.training.engines import OneProcess
from knowledge_update.training.loop import train
from knowledge_update.training.pace import Pace as Steps
from knowledge_update.training.rows import Encoded
from knowledge_update.training_config import AdapterConfig, OptimizerConfig, ScheduleConfig

BLOCKS = 100_000


def leave_out(names: list[str]) -> None:
    """Puts what was there before in the place of parts of ours."""
    for name in names:
        match name:
            case "workers":
                workers.MOST = 1
            case "layers":
                layers.fuse = lambda model: 0
            case "head" if "labels" not in names:
                objective._log_probabilities = _labelled
            case "lora":
                lora.fuse = lambda model: 0
            case "sharing":
                layout._alike = lambda one, other: 0
            case "labels":
                objective._log_probabilities = _everywhere
            case "head":
                pass
            case _:
                raise SystemExit(f"--without {name}: there is no such part")


def _labelled(model: Any, states: Tensor, pack: objective.Pack) -> Tensor:
    """Log-probabilities out of all logits of the labelled positions."""
    return torch.log_softmax(objective.logits_of(model, states, pack).float(), dim=-1).gather(1, pack.targets)


def _everywhere(model: Any, states: Tensor, pack: objective.Pack) -> Tensor:
    """The same out of the logits of all positions."""
    logits = model.get_output_embeddings()(states).float()
    return torch.log_softmax(logits, dim=-1)[pack.learned].gather(1, pack.targets)


def main() -> None:
    """Trains."""
    pace = Pace()
    leave_out(sys.argv[3].split(",") if "--without" in sys.argv else [])
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
