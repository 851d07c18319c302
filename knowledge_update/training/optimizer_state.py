"""An optimizer's state as named tensors, which a safetensors file holds: no pickle."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import torch
from torch import Tensor


def flat(optimizer: Any, whole: Callable[[Tensor], Tensor] = Tensor.detach) -> dict[str, Tensor]:
    """The state of an optimizer, of any depth, by `parameter.name`; whole numbers become tensors of int64.

    Args:
        optimizer: The optimizer.
        whole: Makes a whole tensor of the part that this process holds.
    """
    found: dict[str, Tensor] = {}
    seen: set[int] = set()
    for name, value in _leaves(optimizer.state_dict()["state"]):
        tensor = whole(value).contiguous() if isinstance(value, Tensor) else torch.tensor(value)
        # A table that several parameters share is written for each: a safetensors file shares nothing.
        place = tensor.untyped_storage().data_ptr()
        found[name] = tensor.clone() if place in seen else tensor
        seen.add(place)
    return found


def _leaves(state: Mapping[Any, Any], before: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in state.items():
        if isinstance(value, Mapping):
            yield from _leaves(value, f"{before}{name}.")
        elif value is not None:
            yield f"{before}{name}", value


def restore(optimizer: Any, tensors: Mapping[str, Tensor]) -> None:
    """Gives an optimizer the state that `flat` returned."""
    state: dict[Any, Any] = {}
    for name, tensor in tensors.items():
        index, *path, leaf = name.split(".")
        holder = state.setdefault(int(index), {})
        for part in path:
            holder = holder.setdefault(part, {})
        holder[leaf] = tensor.item() if tensor.dtype == torch.int64 and not tensor.ndim else tensor
    optimizer.load_state_dict({**optimizer.state_dict(), "state": state})
