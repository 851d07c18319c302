"""The strength of an adapter (λ): how much of it is kept, so that the model stays near what it was.

Between the untouched model and the trained one lie the weights of all strengths between 0 and 1 (after arXiv
2109.01903); learning and forgetting both fall with it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch

from knowledge_update.config import Config
from knowledge_update.display import log
from knowledge_update.errors import ConfigError
from knowledge_update.training.engines import Engine
from knowledge_update.training.rows import Encoded

STRENGTHS = (1.0, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2, 0.1)
# Prompts that are looked at: the mean of 128 is known to a tenth of itself.
_PROMPTS = 128


@dataclass(frozen=True)
class Strength:
    """A strength, and what the model is with it.

    Args:
        value: The strength, 1 as trained.
        away: How far answers to general prompts are from the untouched model's, KL divergence in nats a token.
        validation: The loss of rows that were not trained, where there are any.
    """

    value: float
    away: float
    validation: float | None


def check(config: Config) -> None:
    """Checks that an adapter can be weakened, and that there is something to tell its distance by.

    Raises:
        ConfigError: When not.
    """
    if config.training.retention_limit is None:
        return
    needs = {
        "adapter=lora": config.adapter.name == "lora",
        "adapter.dora=false": not config.adapter.dora,
        "training.replay_share above 0": config.training.replay_share > 0,
        "training.keep_best=false": not config.training.keep_best,
    }
    if missing := [name for name, there in needs.items() if not there]:
        raise ConfigError(f"training.retention_limit={config.training.retention_limit:g} needs {missing[0]}")


def lowered(
    model: Any, engine: Engine, replay: Sequence[Encoded], aside: Sequence[Encoded], limit: float, count: int
) -> Strength:
    """Lowers an adapter's strength until the model is near enough to what it was; the highest such strength is kept.

    Args:
        model: The model with its adapter.
        engine: Computes losses; all its processes follow.
        replay: General prompts with what the untouched model makes of them.
        aside: Rows that were not trained, which tell what the strength costs.
        limit: The most that answers may be away, KL divergence in nats a token.
        count: How many rows are computed at once.

    Returns:
        The strength, which the model has now; the lowest of all where none is near enough.
    """
    prompts = _prompts(replay)
    with model.disable_adapter():
        least = engine.loss(prompts, count)
    for value in STRENGTHS:
        _scale(model, value)
        away = engine.loss(prompts, count) - least
        if away <= limit:
            break
    validation = engine.loss(aside, count) if aside else None
    found = Strength(value, round(away, 5), None if validation is None else round(validation, 4))
    _keep(model, value)
    cost = "" if validation is None else f", validation loss {found.validation}"
    log.info(
        "the adapter at %g of its strength: %.4f nats a token from the untouched model on general prompts, at most %g "
        "were wanted%s (training.retention_limit)", value, away, limit, cost,
    )  # fmt: skip
    if away > limit:
        log.warning("no strength down to %g is within training.retention_limit=%g", value, limit)
    return found


def tried(engine: Engine, replay: Sequence[Encoded], count: int) -> None:
    """Does a third of what `lowered` may have to, to see how long that takes."""
    for _ in range(0, len(STRENGTHS) + 1, 3):
        engine.loss(_prompts(replay), count)


def _prompts(replay: Sequence[Encoded]) -> list[Encoded]:
    """Prompts from all of the replay."""
    return [_by_opinion(row) for row in replay[:: -(-len(replay) // _PROMPTS)]]


def _by_opinion(row: Encoded) -> Encoded:
    """A row whose loss is that of its answer's tokens alone, each counting the same."""
    assert row.opinion, "replay has the untouched model's opinion"
    return replace(row, weight=1.0, opinion=replace(row.opinion, states=torch.empty(0)))


def _scale(model: Any, value: float) -> None:
    for layer in model.modules():
        if hasattr(layer, "set_scale"):
            for name in layer.active_adapters:
                layer.set_scale(name, value)


def _keep(model: Any, value: float) -> None:
    """Writes the strength into what is saved with the adapter: α, by which it is multiplied."""
    for config in model.peft_config.values():
        config.lora_alpha *= value
        config.alpha_pattern = {name: alpha * value for name, alpha in config.alpha_pattern.items()}
