"""LoRA (arXiv 2106.09685) on all linear layers, computed as one autograd function."""

from typing import Any

import torch
from torch import Tensor


class LoraFunction(torch.autograd.Function):
    """`y = x Wᵀ + b + s (x Aᵀ) Bᵀ` with W frozen.

    PEFT's own forward records some ten operations a layer and keeps their results; this one keeps `x` and `x Aᵀ` and
    joins every product by `addmm`. Adapter weights may be of higher precision than `x`: they are cast in, and their
    gradients come back in their own type.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None, a: Tensor, b: Tensor, scale: float) -> Tensor:
        """Computes the layer.

        Args:
            ctx: Holds what backward needs.
            x: Input, (..., in).
            weight: Frozen weight, (out, in).
            bias: Frozen bias, (out,), or none.
            a: LoRA A, (rank, in).
            b: LoRA B, (out, rank).
            scale: α / rank.
        """
        rows = x.reshape(-1, x.shape[-1])
        a_, b_ = a.to(x.dtype), b.to(x.dtype)
        inner = rows @ a_.t()
        out = rows @ weight.t() if bias is None else torch.addmm(bias, rows, weight.t())
        out.addmm_(inner, b_.t(), alpha=scale)
        ctx.save_for_backward(rows, inner, weight, a, b)
        ctx.scale = scale
        return out.view(*x.shape[:-1], -1)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        """Returns the gradients of x, A and B."""
        rows, inner, weight, a, b = ctx.saved_tensors
        flat = grad.reshape(-1, grad.shape[-1])
        grad_inner = (flat @ b.to(flat.dtype)).mul_(ctx.scale)
        grad_a = (grad_inner.t() @ rows).to(a.dtype)
        grad_b = (flat.t() @ inner).mul_(ctx.scale).to(b.dtype)
        grad_x = None
        if ctx.needs_input_grad[0]:
            grad_x = (flat @ weight).addmm_(grad_inner, a.to(flat.dtype)).view(*grad.shape[:-1], -1)
        return grad_x, None, None, grad_a, grad_b, None


def fuse(model: Any) -> int:
    """Makes the LoRA layers of a PEFT model compute by `LoraFunction` where that is the same; returns how many.

    Layers with dropout, DoRA, several adapters or quantised weights keep PEFT's forward.
    """
    from peft.tuners.lora import Linear

    fused = 0
    for layer in model.modules():
        if type(layer) is Linear and _plain(layer):
            layer.forward = _forward_of(layer)
            fused += 1
    return fused


def unfuse(model: Any) -> None:
    """Gives the LoRA layers of a PEFT model PEFT's forward back."""
    from peft.tuners.lora import Linear

    for layer in model.modules():
        if type(layer) is Linear:
            vars(layer).pop("forward", None)


def _plain(layer: Any) -> bool:
    names = layer.active_adapters
    # A variant is DoRA and whatever else computes more than the two products.
    if len(names) != 1 or names[0] in layer.lora_variant or type(layer.base_layer) is not torch.nn.Linear:
        return False
    dropout = layer.lora_dropout[names[0]]
    return isinstance(dropout, torch.nn.Identity) and layer.lora_A[names[0]].bias is None


def is_plain(module: Any) -> bool:
    """Whether a module is a linear map without adapter, or one whose adapter is `LoraFunction`'s."""
    from peft.tuners.lora import Linear

    return type(module) is torch.nn.Linear or (type(module) is Linear and _plain(module))


def is_off(module: Any) -> bool:
    """Whether a module's adapter is not to be computed now, or stands in its weights already."""
    return type(module) is not torch.nn.Linear and (module.disable_adapters or module.merged)


def adapter_of(module: Any) -> tuple[Tensor | None, Tensor | None, float]:
    """A, B and scale of a module's adapter; none and 1 where it has none."""
    if type(module) is torch.nn.Linear:
        return None, None, 1.0
    name = module.active_adapters[0]
    return module.lora_A[name].weight, module.lora_B[name].weight, module.scaling[name]


def _forward_of(layer: Any) -> Any:
    name = layer.active_adapters[0]
    original = type(layer).forward

    def forward(x: Tensor, *args: Any, **kwargs: Any) -> Any:
        if layer.disable_adapters or layer.merged or kwargs:
            return original(layer, x, *args, **kwargs)
        base, scale = layer.base_layer, layer.scaling[name]
        return LoraFunction.apply(  # type: ignore[no-untyped-call]
            x, base.weight, base.bias, layer.lora_A[name].weight, layer.lora_B[name].weight, scale
        )

    return forward
