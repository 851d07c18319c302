"""A base model held in 4 or 8 bits (QLoRA, arXiv 2305.14314; LLM.int8, arXiv 2208.07339), by bitsandbytes."""

import importlib.util
import types
from typing import Any

from knowledge_update.errors import ModelError


def check(bits: int | None) -> None:
    """Checks that what quantises is installed.

    Raises:
        ModelError: When it is asked for and not there.
    """
    if bits and importlib.util.find_spec("bitsandbytes") is None:
        raise ModelError(f"model.bits={bits} needs bitsandbytes: pip install 'knowledge-update[quantised]'")


def settings(bits: int, dtype: Any) -> Any:
    """What transformers is told: 4 bits are NF4 with doubly quantised scales, 8 bits are whole numbers a row.

    Args:
        bits: 4 or 8.
        dtype: What products are computed in.

    Raises:
        ModelError: When bitsandbytes is not installed.
    """
    from transformers import BitsAndBytesConfig

    check(bits)
    if bits == 8:
        return BitsAndBytesConfig(load_in_8bit=True)
    return BitsAndBytesConfig(
        load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_use_double_quant=True, bnb_4bit_compute_dtype=dtype
    )


def settle(model: Any, device: str) -> None:
    """Makes the layers of a quantised model compute the same whoever asks: in training, before it, from any thread.

    Args:
        model: As transformers has loaded it.
        device: The type of the device.
    """
    from bitsandbytes.nn import Linear4bit, Linear8bitLt

    for layer in model.modules():
        if isinstance(layer, Linear4bit):
            # On processors with bf16 units the first forward outside training repacks the weights for a kernel that
            # has no gradient, for good: what is trained afterwards learns from noise, at plausible losses.
            layer.support_avx512bf16_for_cpu = False
        elif isinstance(layer, Linear8bitLt):
            # Done at the first forward, of which two threads may have one each.
            if layer.weight.CB is not None:
                layer.init_8bit_state()
            if device == "cpu":
                # Outside training inputs are rounded to whole numbers too, by what stands beside them: a trunk read so
                # is not the one that is trained on. On a CPU that is slower as well.
                layer.training = True
                layer.train = types.MethodType(_in_training, layer)


def _in_training(layer: Any, mode: bool = True) -> Any:
    """Takes the place of `train` and `eval` on a layer that always computes as in training."""
    return layer


def quantised(model: Any) -> int | None:
    """The bits that a model's weights are held in, where they are quantised."""
    if getattr(model, "is_loaded_in_4bit", False):
        return 4
    return 8 if getattr(model, "is_loaded_in_8bit", False) else None
