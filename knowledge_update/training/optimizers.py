"""Optimizers by name."""

import inspect
from collections.abc import Iterable, Sequence
from importlib.util import find_spec
from typing import Any

from knowledge_update.errors import ConfigError
from knowledge_update.own_code import own
from knowledge_update.training_config import OptimizerConfig

# Their trust ratio is of whole tensors, which FSDP2's sharded ones still know; an engine that lays tensors end to end
# (DeepSpeed's ZeRO) takes them for one.
BY_TENSOR = frozenset({"lamb", "nvlamb"})
_FUSED = ("cpu", "cuda", "mps", "xpu")


def check(config: OptimizerConfig) -> None:
    """Says before any work what could not be built.

    Raises:
        ConfigError: When a library is missing, or the user's own optimizer is not there.
    """
    if config._target_:
        own("optimizer._target_", config._target_)
    elif config.state_bits == 8 and find_spec("bitsandbytes") is None:
        what = f"optimizer.name={config.name} with 8-bit states"
        raise ConfigError(f"{what} needs bitsandbytes: pip install 'knowledge-update[quantised]'")


def optimizer_for(config: OptimizerConfig, parameters: Iterable[Any], *, copies: bool = True) -> Any:
    """The named optimizer over parameters; those of 16 bits are trained on fp32 copies.

    Args:
        config: Name, rate and the rest.
        parameters: What is trained.
        copies: Whether there are to be such copies; an engine may keep its own.

    Raises:
        ConfigError: When a library is missing, or the user's own optimizer does not take what is configured.
    """
    import torch

    check(config)
    found = list(parameters)
    if not copies or all(parameter.dtype == torch.float32 for parameter in found):
        return _build(config, found)
    from knowledge_update.training.masters import Masters

    return Masters(found, lambda copies: _build(config, copies))


def _build(config: OptimizerConfig, parameters: Sequence[Any]) -> Any:
    import torch
    from torch.distributed.tensor import DTensor

    if config._target_:
        return _own(config, parameters)
    if config.state_bits == 8 and any(isinstance(parameter, DTensor) for parameter in parameters):
        raise ConfigError("optimizer.bits=8: sharded parameters have no 8-bit states here; use optimizer.bits=32")
    rate, decay = config.rate, config.weight_decay
    if config.name == "sgd":
        return torch.optim.SGD(parameters, lr=rate, momentum=config.momentum, weight_decay=decay)
    common: dict[str, Any] = {"lr": rate, "betas": tuple(config.betas), "eps": config.eps, "weight_decay": decay}
    if config.name in BY_TENSOR:
        from knowledge_update.training.lamb import Lamb

        phi, nvidias = (config.phi_min, config.phi_max), config.name == "nvlamb"
        return Lamb(parameters, **common, phi=phi, pre_normalised=nvidias, bits=config.bits)
    if config.state_bits == 8:
        import bitsandbytes

        return bitsandbytes.optim.AdamW8bit(parameters, **common)
    fused = all(parameter.device.type in _FUSED for parameter in parameters)
    return torch.optim.AdamW(parameters, **common, fused=fused)


def _own(config: OptimizerConfig, parameters: Sequence[Any]) -> Any:
    """The user's own, given those of our settings that it takes under the names that PyTorch gives them."""
    make = own("optimizer._target_", str(config._target_))
    settings = {
        "lr": config.rate, "betas": tuple(config.betas), "eps": config.eps,
        "weight_decay": config.weight_decay, "momentum": config.momentum,
    }  # fmt: skip
    try:
        takes = inspect.signature(make).parameters
        given = {name: value for name, value in settings.items() if name in takes}
        return make(parameters, **{**given, **(config.arguments or {})})
    except (TypeError, ValueError) as error:
        raise ConfigError(f"optimizer._target_={config._target_}: {error}") from error
