"""Engines: where the steps of a training are computed; in this process, or in several that share rows or the model too.

All give the same losses for the same batches, and a checkpoint of one is gone on from by any other.
"""

import os
from importlib.util import find_spec
from typing import Any

from knowledge_update import processes
from knowledge_update.config import Config
from knowledge_update.display import log
from knowledge_update.errors import ConfigError
from knowledge_update.training.engines import deepspeed_file
from knowledge_update.training.engines.engine import Done, Engine, share, shares
from knowledge_update.training.engines.group import Group, joined
from knowledge_update.training.engines.one_process import OneProcess
from knowledge_update.training.objective import Hidden
from knowledge_update.training.optimizers import BY_TENSOR
from knowledge_update.training_config import EngineConfig

__all__ = [
    "Done", "Engine", "Group", "OneProcess", "check", "chosen", "engine_for", "joined", "shards", "share", "shares",
]  # fmt: skip

# What `accelerate launch` sets where it is told to shard; its own Trainer would read it, nobody does here.
_ACCELERATE = {"ACCELERATE_USE_DEEPSPEED": "deepspeed", "ACCELERATE_USE_FSDP": "fsdp2"}
_HOW_TO = "torchrun --nproc_per_node=2 -m knowledge_update train …, or engine.processes=2"


def chosen(config: EngineConfig) -> str:
    """The engine that runs: the one that is named, or what fits how this process was started.

    Raises:
        ConfigError: When the one that is named cannot run in so many processes.
    """
    count, name = processes.place().count, config.name
    if name == "auto":
        name = "deepspeed" if config.deepspeed else "ddp" if count > 1 else "one_process"
    for variable, wanted in _ACCELERATE.items():
        if os.environ.get(variable) == "true" and name != wanted:
            raise ConfigError(f"accelerate was told another engine ({variable}): say engine={wanted} here")
    if name == "one_process" and count > 1:
        raise ConfigError(
            f"engine.name=one_process, but {count} processes were started: engine=ddp, fsdp2 or deepspeed"
        )
    if name == "ddp" and count == 1:
        raise ConfigError(f"engine.name=ddp needs several processes: {_HOW_TO}")
    return name


def check(config: Config, count: int, dtype: str) -> None:
    """Refuses what the engine cannot do, before any work.

    Args:
        config: Names the engine.
        count: How many processes train.
        dtype: What the model is computed in.

    Raises:
        ConfigError: When method and engine do not go together, DeepSpeed is not installed, or its configuration says
            something else than ours.
    """
    name, optimizer = chosen(config.engine), config.optimizer
    if shards(name) and config.model.bits:
        raise ConfigError(f"engine={name} cannot share out a model of {config.model.bits} bits: engine=ddp")
    if shards(name) and optimizer.state_bits == 8:
        raise ConfigError(f"engine={name} cannot share out moments of 8 bits (optimizer.bits): engine=ddp")
    if name != "deepspeed":
        return
    if optimizer.name in BY_TENSOR:
        raise ConfigError(
            f"optimizer.name={optimizer.name} looks at whole tensors, which DeepSpeed lays end to end: engine=fsdp2"
        )
    if find_spec("deepspeed") is None:
        raise ConfigError("engine=deepspeed needs DeepSpeed: pip install 'knowledge-update[deepspeed]'")
    deepspeed_file.check(config, count, dtype)


def shards(name: str) -> bool:
    """Whether an engine gives each process a part of the model only."""
    return name in ("fsdp2", "deepspeed")


def engine_for(config: Config, model: Any, prefix: tuple[int, ...], hidden: Hidden | None, group: Group) -> Engine:
    """The engine that is asked for.

    Args:
        config: Names it.
        model: What is trained.
        prefix: The ids that stand before rows marked as sharing them.
        hidden: What the lower layers put out for the rows, where that is known.
        group: The processes.

    Raises:
        ConfigError: When it cannot be.
    """
    name = chosen(config.engine)
    if name != "one_process":
        log.info("engine: %s, %d process%s", name, group.count, "es" if group.count > 1 else "")
    if name == "one_process":
        return OneProcess(model, prefix, hidden)
    if name == "ddp":
        from knowledge_update.training.engines.data_parallel import DataParallel

        return DataParallel(model, prefix, hidden, group)
    assert hidden is None, "the lower layers cannot be apart where the model is shared out"
    if name == "fsdp2":
        from knowledge_update.training.engines.fsdp import FullyShard

        return FullyShard(model, prefix, group)
    from knowledge_update.training.engines.zero import Zero

    return Zero(model, prefix, group, config)
