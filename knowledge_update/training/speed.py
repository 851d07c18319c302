"""How fast a training is: the work of its steps, and the share of what the machine's matmuls can do."""

import re
import resource
import statistics
import sys
import time
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from knowledge_update.models import SETTLED, matmul_seconds

REPEATS, MOST_SECONDS = 5, 0.75


@dataclass(frozen=True)
class Work:
    """FLOP of a training, forward and backward, as its matmuls with the model's own weights have it.

    Args:
        token: Of a token that is computed.
        label: Of a labelled position, in the output head.
    """

    token: float
    label: float

    def flop(self, tokens: int, labels: int) -> float:
        """The work of tokens that are computed (a shared prefix once), some of them labelled."""
        return self.token * tokens + self.label * labels


def work_of(model: Any, below: int = 0) -> Work:
    """Counts the work of a training out of the model that is trained.

    A weight costs 2 FLOP a token forward; where what lies before it is trained, 2 for the gradient of its input; where
    it is trained itself, 2 for its own. So LoRA costs 4 a weight, full fine-tuning 6, a layer below the first trained
    one 2. Not counted: LoRA's own products, attention's scores, and what is saved by computing less.

    Args:
        model: With its adapter, if it has one; of one path for all tokens (experts are not told apart).
        below: Layers that are not computed at all: the trunk, whose output is known.
    """
    base = model.get_base_model() if hasattr(model, "get_base_model") else model
    head, embedding = base.get_output_embeddings(), base.get_input_embeddings()
    entry = next(f"{name}." for name, part in base.named_modules() if part is embedding)
    trained = {name for name, parameter in base.named_parameters() if parameter.requires_grad}
    first = min((-1 if name.startswith(entry) else _layer(name) for name in trained), default=sys.maxsize)
    token = 0
    for name, part in base.named_modules():
        layer = _layer(f"{name}.")
        if part is not head and layer >= below:
            own = bool(trained & {f"{name}.weight", f"{name}.base_layer.weight"})
            token += _weights(name, part) * (2 + 2 * (layer >= first) + 2 * own)
    own = any(parameter.requires_grad for parameter in head.parameters())
    return Work(token, _weights("", head) * (6 if own else 4))


def _weights(name: str, part: Any) -> int:
    """How many weights a linear map has; 0 of anything else, and of an adapter's own maps."""
    from torch import nn
    from transformers.pytorch_utils import Conv1D

    if re.search(r"\.(lora_\w+|base_layer)\b", name):
        return 0
    inner = getattr(part, "base_layer", part)
    if isinstance(inner, nn.Linear):
        # A quantised weight is stored in another shape.
        return inner.in_features * inner.out_features
    return inner.weight.numel() if isinstance(inner, Conv1D) else 0


def _layer(name: str) -> int:
    """The number of a layer, the first in a module's name; what stands in none lies above all."""
    found = re.search(r"\.(\d+)\.", name)
    return int(found[1]) if found else sys.maxsize


@cache
def matmul_peak(dtype: Any, device: str = "cpu") -> float:
    """FLOP a second of square matmuls with PyTorch's threads: the median of five, measured once a process.

    They are 2048 wide where six of them take less than three quarters of a second, else 1024, 512 or 256.

    Args:
        dtype: The type that is trained in.
        device: Where.
    """
    width, end = 256, time.perf_counter() + SETTLED
    while time.perf_counter() < end:
        matmul_seconds(width, dtype, device, 1)
    while width < 2048 and min(matmul_seconds(width, dtype, device, 2)) * 8 * (REPEATS + 1) < MOST_SECONDS:
        width *= 2
    return 2 * width**3 / statistics.median(matmul_seconds(width, dtype, device, REPEATS))


def memory(device: str = "cpu") -> int:
    """Bytes this process holds: of a GPU the most it held, else of the machine's memory what it holds now."""
    if device.startswith("cuda"):
        import torch

        return torch.cuda.max_memory_allocated(device)
    try:
        with open("/proc/self/statm") as file:
            return int(file.read().split()[1]) * resource.getpagesize()
    except OSError:
        # Elsewhere only the most it ever held is told, in bytes or in kilobytes.
        most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return most if sys.platform == "darwin" else most * 1024


@dataclass
class Speedometer:
    """Figures of a training's last steps, for its progress line.

    Args:
        work: FLOP of a token and a label.
        peak: FLOP a second of the machine's matmuls; 0 where it was not measured.
        device: Where it trains.
        last: How many steps the figures are of.
    """

    work: Work
    peak: float
    device: str = "cpu"
    last: int = 20
    _steps: list[tuple[int, int, float, float]] = field(default_factory=list)

    def add(self, *, rows: int, tokens: int, labels: int, seconds: float) -> None:
        """Takes note of a step: its rows, the tokens that were computed, its labelled positions."""
        self._steps = [*self._steps[1 - self.last :], (rows, tokens, self.work.flop(tokens, labels), seconds)]

    def figures(self) -> dict[str, float]:
        """Rows and tokens a second, share of the matmul peak, GiB."""
        rows, tokens, flop, seconds = (sum(column) for column in zip(*self._steps, strict=True))
        found = {"rows_per_second": round(rows / seconds, 2), "tokens_per_second": round(tokens / seconds, 1)}
        if self.peak:
            found["peak_share"] = round(flop / seconds / self.peak, 3)
        return {**found, "memory_gib": round(memory(self.device) / 2**30, 2)}

    def line(self) -> str:
        """The same in words."""
        figures = self.figures()
        share = f"{figures['peak_share']:.0%} of the matmul peak, " if self.peak else ""
        speed = f"{figures['rows_per_second']:.1f} rows/s, {figures['tokens_per_second']:.0f} tokens/s"
        return f"{speed}, {share}{figures['memory_gib']:.1f} GiB"
