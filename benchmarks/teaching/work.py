"""What a training step must compute: the count that a share of the machine's peak is taken of."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from knowledge_update.training.rows import IGNORED


def body_parameters(folder: str) -> tuple[int, int]:
    """Parameters of the linear maps in a Llama-like model's layers, and of its output head."""
    config = json.loads((Path(folder) / "config.json").read_text())
    hidden, heads = config["hidden_size"], config["num_attention_heads"]
    size = config.get("head_dim") or hidden // heads
    attention = hidden * size * (2 * heads + 2 * config["num_key_value_heads"])
    layer = attention + 3 * hidden * config["intermediate_size"]
    return layer * config["num_hidden_layers"], hidden * config["vocab_size"]


def step_flops(rows: Sequence[dict[str, Any]], prefix: int, body: int, head: int) -> float:
    """Of LoRA with frozen weights: two passes of a multiplication and an addition a parameter, forward and backward.

    A row's last token is only predicted, never read. Work that an implementation saves is not counted as done.

    Args:
        rows: Of a step.
        prefix: Tokens that all of them begin with; computed once.
        body: Parameters that every token goes through.
        head: Parameters that every labelled position goes through besides.
    """
    tokens = prefix + sum(len(row["input_ids"]) - 1 - prefix for row in rows)
    labelled = sum(label != IGNORED for row in rows for label in row["labels"])
    return 4.0 * body * tokens + 4.0 * head * labelled
