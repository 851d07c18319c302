"""Tensors written into safetensors files one after another: none but the one at hand is in memory."""

import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from knowledge_update.errors import ConfigError
from knowledge_update.run_folder import write_json

if TYPE_CHECKING:
    from torch import Tensor

_INDEX = "model.safetensors.index.json"


def plan(tensors: Mapping[str, "Tensor"], shard_size: str) -> dict[str, list[str]]:
    """Which tensors go into which file, as the hub's own library parts them.

    Args:
        tensors: By name, on the meta device: types and shapes are enough.
        shard_size: Of a file at most, as `5GB` or `500MB`.

    Raises:
        ConfigError: When the size cannot be read.
    """
    from huggingface_hub import split_torch_state_dict_into_shards

    try:
        return split_torch_state_dict_into_shards(dict(tensors), max_shard_size=shard_size).filename_to_tensors
    except ValueError as error:
        raise ConfigError(f"--max-shard-size {shard_size}: a size such as 5GB or 500MB") from error


def size(tensors: Mapping[str, "Tensor"]) -> int:
    """The bytes of all tensors."""
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors.values())


def write(
    folder: Path,
    tensors: Mapping[str, "Tensor"],
    files: Mapping[str, list[str]],
    value: Callable[[str], "Tensor"],
    metadata: Mapping[str, str],
) -> None:
    """Writes the files of `plan`, and their index where there are several.

    Args:
        folder: Where to.
        tensors: Types and shapes by name.
        files: As `plan` gives them.
        value: What a tensor holds, by its name; asked for once each, in the order of writing.
        metadata: Stands at the head of each file.

    Raises:
        OSError: When something cannot be written.
    """
    for name, held in files.items():
        with (folder / name).open("wb") as file:
            file.write(_header({key: tensors[key] for key in held}, metadata))
            for key in held:
                _write(file, value(key), tensors[key])
            file.flush()
            os.fsync(file.fileno())
    if len(files) > 1:
        where = {key: name for name, held in files.items() for key in held}
        write_json(folder / _INDEX, {"metadata": {"total_size": size(tensors)}, "weight_map": where})


def _header(tensors: Mapping[str, "Tensor"], metadata: Mapping[str, str]) -> bytes:
    """The head of a safetensors file: its length, then JSON, filled up with spaces to a multiple of eight."""
    described: dict[str, Any] = {"__metadata__": dict(metadata)}
    at = 0
    for name, tensor in tensors.items():
        end = at + tensor.numel() * tensor.element_size()
        described[name] = {"dtype": _code(tensor), "shape": list(tensor.shape), "data_offsets": [at, end]}
        at = end
    text = json.dumps(described, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text


def _write(file: BinaryIO, tensor: "Tensor", declared: "Tensor") -> None:
    import torch

    assert (tensor.dtype, tensor.shape) == (declared.dtype, declared.shape)
    if tensor.numel():
        file.write(tensor.detach().contiguous().reshape(-1).view(torch.uint8).numpy().data)


def _code(tensor: "Tensor") -> str:
    """What safetensors calls a type: `BF16`, `F32`, `I64`, …."""
    import torch

    codes = {
        torch.float64: "F64", torch.float32: "F32", torch.bfloat16: "BF16", torch.float16: "F16", torch.int64: "I64",
        torch.int32: "I32", torch.int16: "I16", torch.int8: "I8", torch.uint8: "U8", torch.bool: "BOOL",
    }  # fmt: skip
    return codes[tensor.dtype]
