"""A DeepSpeed configuration beside ours: "auto" takes ours, what says otherwise is refused with both values named."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from knowledge_update.composition import CONF
from knowledge_update.config import Config
from knowledge_update.errors import ConfigError

SHIPPED = ("zero2", "zero3")
AUTO = "auto"
_HALVES = {"bf16": "bfloat16", "fp16": "float16"}
# What DeepSpeed calls the schedules that we have, and the optimizers.
_SCHEDULES = {"WarmupDecayLR": "linear", "WarmupLR": "constant", "WarmupCosineLR": "cosine"}
_OPTIMIZERS = {"adam": "adamw", "adamw": "adamw", "lamb": "lamb"}


def named(config: Config) -> str:
    """The configuration that is asked for."""
    return config.engine.deepspeed or SHIPPED[0]


def read(name: str) -> dict[str, Any]:
    """The configuration of a shipped name or of a file.

    Raises:
        ConfigError: When there is no such file, or it is no JSON object.
    """
    path = CONF / "deepspeed" / f"{name}.json" if name in SHIPPED else Path(name).expanduser()
    try:
        settings = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"engine.deepspeed={name}: {error.strerror}; {', '.join(SHIPPED)} or a file") from error
    except ValueError as error:
        raise ConfigError(f"engine.deepspeed={name}: not a JSON file: {error}") from error
    if not isinstance(settings, dict):
        raise ConfigError(f"engine.deepspeed={name}: not a JSON object")
    return settings


def stage(settings: Mapping[str, Any]) -> int:
    """The ZeRO stage that is asked for."""
    asked = settings.get("zero_optimization", {})
    return int(asked.get("stage", 0)) if isinstance(asked, dict) else 0


def check(config: Config, processes: int, dtype: str) -> None:
    """Refuses a file that says something else than ours.

    Args:
        config: Ours.
        processes: How many train.
        dtype: What the model is computed in.

    Raises:
        ConfigError: Names both values.
    """
    name = named(config)
    for key, given, ours, told in _compared(read(name), config, processes, dtype):
        if given not in (AUTO, None) and given != ours:
            shown = given if isinstance(given, str) else json.dumps(given)
            raise ConfigError(f'{told}, but {key}={shown} in {name}: make them the same, or write "auto" there')


def joined(config: Config, processes: int, trained: str, hidden: int) -> dict[str, Any]:
    """What DeepSpeed is given: the file with our settings in it.

    Args:
        config: Ours.
        processes: How many train.
        trained: The type of what is trained.
        hidden: The width of the model.
    """
    settings = read(named(config))
    kept = {key: value for key, value in settings.items() if key not in ("optimizer", "scheduler")}
    zero = {**kept.get("zero_optimization", {})}
    # As transformers fills them in.
    sizes = {
        "reduce_bucket_size": hidden * hidden, "stage3_prefetch_bucket_size": int(0.9 * hidden * hidden),
        "stage3_param_persistence_threshold": 10 * hidden,
    }  # fmt: skip
    zero |= {key: size for key, size in sizes.items() if zero.get(key) == AUTO}
    # Batches are ours: their number of rows varies, and how often a step goes forward and back.
    ours = {"train_micro_batch_size_per_gpu": 1, "gradient_accumulation_steps": 1, "train_batch_size": processes}
    halves = {
        half: {**kept.get(half, {}), "enabled": _enabled(kept.get(half, {}), trained == kind)}
        for half, kind in _HALVES.items()
    }
    return {
        "steps_per_print": 2**31 - 1, "zero_allow_untested_optimizer": True, "zero_force_ds_cpu_optimizer": False,
        **kept, **ours, **halves, "zero_optimization": zero, "gradient_clipping": config.optimizer.max_grad_norm,
    }  # fmt: skip


def _enabled(given: Mapping[str, Any], ours: bool) -> bool:
    value = given.get("enabled", AUTO)
    return ours if value == AUTO else bool(value)


def _compared(
    settings: Mapping[str, Any], config: Config, processes: int, dtype: str
) -> Iterator[tuple[str, Any, Any, str]]:
    """Yields key of the file, its value there, our value, and how ours is told."""
    training, optimizer = config.training, config.optimizer
    rows = training.batch_rows
    batch = f"training.batch_rows={rows}" if rows else f"training.batch_tokens={training.batch_tokens}"
    again = f"training.accumulation={training.accumulation}"
    yield "train_micro_batch_size_per_gpu", settings.get("train_micro_batch_size_per_gpu"), rows, batch
    yield "gradient_accumulation_steps", settings.get("gradient_accumulation_steps"), training.accumulation, again
    whole = rows * training.accumulation * processes if rows else None
    yield "train_batch_size", settings.get("train_batch_size"), whole, f"{batch}, {again} and {processes} processes"
    norm = optimizer.max_grad_norm
    yield "gradient_clipping", settings.get("gradient_clipping"), norm, f"optimizer.max_grad_norm={norm}"
    for half, kind in _HALVES.items():
        asked = settings.get(half, {}).get("enabled")
        yield f"{half}.enabled", asked, dtype == kind, f"the model is computed in {dtype} (model.dtype)"
    yield from _of_optimizer(settings.get("optimizer"), config)
    yield from _of_schedule(settings.get("scheduler"), config)


def _of_optimizer(given: Any, config: Config) -> Iterator[tuple[str, Any, Any, str]]:
    if not given:
        return
    ours = config.optimizer
    kind = given.get("type", AUTO)
    named = kind if kind == AUTO else _OPTIMIZERS.get(kind.lower(), kind)
    yield "optimizer.type", named, ours.name, f"optimizer.name={ours.name}"
    known = {"lr": "learning_rate", "betas": "betas", "eps": "eps", "weight_decay": "weight_decay"}
    for name, value in given.get("params", {}).items():
        key = known.get(name)
        own = ours.rate if name == "lr" else getattr(ours, key) if key else None
        told = f"optimizer.{key}={own}" if key else "the optimizer is ours"
        yield f"optimizer.params.{name}", value, list(own) if isinstance(own, tuple) else own, told


def _of_schedule(given: Any, config: Config) -> Iterator[tuple[str, Any, Any, str]]:
    if not given:
        return
    kind = given.get("type", AUTO)
    name = config.schedule.name
    yield "scheduler.type", _SCHEDULES.get(kind, kind), name, f"schedule.name={name}"
    rate = config.optimizer.rate
    for key, value in given.get("params", {}).items():
        own = rate if key == "warmup_max_lr" else None
        told = f"optimizer.learning_rate={rate}" if own else "the schedule is ours"
        yield f"scheduler.params.{key}", value, own, told
