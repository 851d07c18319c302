"""LAMB (arXiv 1904.00962) and NVIDIA's variant of it, with moments of 32 or 8 bits."""

from collections.abc import Iterable
from functools import cache
from typing import Any

import torch
from torch import Tensor

# Below this a tensor's moments stay in 32 bits, and 8-bit ones share a scale by blocks: bitsandbytes' own figures.
LEAST_QUANTISED, BLOCK = 4096, 256


class Lamb(torch.optim.Optimizer):
    r"""Algorithm 2 of arXiv 1904.00962, tensor by tensor.

        m = β₁ m + (1 - β₁) g            m̂ = m / (1 - β₁ᵗ)
        v = β₂ v + (1 - β₂) g²           v̂ = v / (1 - β₂ᵗ)
        u = m̂ / (√v̂ + ε) + λ x           x = x - η φ(‖x‖) / ‖u‖ · u

    The paper leaves open what becomes of a tensor of zeros, as LoRA's B is at first: where φ(‖x‖) or ‖u‖ is zero the
    trust ratio counts as 1, as in its authors' code.

    Args:
        parameters: What is trained.
        lr: η.
        betas: β₁, β₂.
        eps: ε.
        weight_decay: λ, inside the update and so under the trust ratio.
        phi: The bounds of φ(z) = min(max(z, lower), upper); without them φ is the identity.
        pre_normalised: NVLAMB: gradients are divided by their norm over all tensors before the moments take them
            (https://developer.nvidia.com/blog/pretraining-bert-with-layer-wise-adaptive-learning-rates/; its fused
            kernel in apex divides only where that norm is above a limit). As there, the trust ratio holds without
            weight decay too.
        bits: 32, or 8: moments are kept in blocks of 256 numbers with one scale each (arXiv 2110.02861).
    """

    def __init__(
        self,
        parameters: Iterable[Any],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-6,
        weight_decay: float = 0.0,
        phi: tuple[float, float | None] = (0.0, None),
        pre_normalised: bool = False,
        bits: int = 32,
    ) -> None:
        defaults = {"lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay, "phi": phi}
        super().__init__(parameters, defaults)
        self.pre_normalised = pre_normalised
        self.bits = bits

    @torch.no_grad()
    def step(self, closure: Any = None) -> Any:
        """Moves every parameter that has a gradient."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        moved = [(p, group) for group in self.param_groups for p in group["params"] if p.grad is not None]
        norm = torch.nn.utils.get_total_norm([p.grad for p, _ in moved]) if self.pre_normalised and moved else None
        for parameter, group in moved:
            gradient = parameter.grad
            if norm is not None:
                gradient = gradient / torch.where(norm > 0, norm, 1.0).to(gradient.device)
            self._move(parameter, gradient, group)
        return loss

    def _move(self, parameter: Tensor, gradient: Tensor, group: dict[str, Any]) -> None:
        (beta1, beta2), state = group["betas"], self.state[parameter]
        if not state:
            # Of the type and on the device that torch's own optimizers keep it, and restore it to.
            state["step"] = torch.zeros((), dtype=torch.float32)
        state["step"] += 1
        t = state["step"].item()
        first, second = self._moment("exp_avg", parameter), self._moment("exp_avg_sq", parameter)
        first.lerp_(gradient, 1 - beta1)
        second.mul_(beta2).addcmul_(gradient, gradient, value=1 - beta2)
        update = (second / (1 - beta2**t)).sqrt_().add_(group["eps"])
        torch.div(first / (1 - beta1**t), update, out=update)
        update.add_(parameter, alpha=group["weight_decay"])
        parameter.addcmul_(update, _trust(parameter, update, group["phi"]), value=-group["lr"])
        self._keep("exp_avg", parameter, first)
        self._keep("exp_avg_sq", parameter, second)

    def _moment(self, name: str, parameter: Tensor) -> Tensor:
        state = self.state[parameter]
        if name not in state:
            return torch.zeros_like(parameter)
        kept: Tensor = state[name]
        if kept.dtype != torch.uint8:
            return kept
        return _dequantised(kept, state[f"{name}_scale"], signed=name == "exp_avg")

    def _keep(self, name: str, parameter: Tensor, moment: Tensor) -> None:
        state = self.state[parameter]
        if self.bits == 8 and parameter.numel() >= LEAST_QUANTISED:
            state[name], state[f"{name}_scale"] = _quantised(moment, signed=name == "exp_avg")
        else:
            state[name] = moment

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restores a state; torch would make floats of 8-bit moments."""
        super().load_state_dict(state_dict)
        parameters = [p for group in self.param_groups for p in group["params"]]
        for index, state in state_dict["state"].items():
            for name, kept in state.items():
                if isinstance(kept, Tensor) and kept.dtype == torch.uint8:
                    self.state[parameters[index]][name] = kept.to(parameters[index].device, copy=True)


def _trust(parameter: Tensor, update: Tensor, phi: tuple[float, float | None]) -> Tensor:
    lower, upper = phi
    size = torch.linalg.vector_norm(parameter).clamp(min=lower, max=upper)
    step = torch.linalg.vector_norm(update)
    # No `if`: a GPU would have to be waited for.
    return torch.where((size > 0) & (step > 0), size / step, torch.ones_like(size))


@cache
def _code(device: torch.device, signed: bool) -> Tensor:
    """The 256 numbers that a byte can stand for, from 0 or from -1 to 1."""
    from bitsandbytes.functional import create_dynamic_map

    code: Tensor = create_dynamic_map(signed=signed).to(device)
    return code


def _quantised(moment: Tensor, *, signed: bool) -> tuple[Tensor, Tensor]:
    from bitsandbytes.functional import quantize_blockwise

    numbers, state = quantize_blockwise(moment, code=_code(moment.device, signed), blocksize=BLOCK)
    return numbers, state.absmax


def _dequantised(numbers: Tensor, scale: Tensor, *, signed: bool) -> Tensor:
    from bitsandbytes.functional import dequantize_blockwise

    code = _code(numbers.device, signed)
    moment: Tensor = dequantize_blockwise(numbers, absmax=scale, code=code, blocksize=BLOCK)
    return moment
