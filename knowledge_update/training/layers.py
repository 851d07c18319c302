"""Llama-like decoder layers with LoRA, each computed as one autograd function on a CPU.

PyTorch would record some sixty operations a layer and keep most of their results. This keeps what cannot be had again
cheaply (the layer's input, queries, keys and values, attention weights, the two halves of the gate) and computes norms
and activations a second time on the way back; products are joined in place.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from knowledge_update.training import lora
from knowledge_update.training.block_attention import attend, attend_backward
from knowledge_update.training.blocks import Block

# Layers that are: norm, attention with rotary positions, norm, gated SiLU, and nothing else.
KINDS = frozenset({"LlamaDecoderLayer", "Qwen2DecoderLayer"})
NAMES = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")


@dataclass(frozen=True)
class Frozen:
    """What of a layer is not trained.

    Args:
        weights: Of its seven linear maps, (out, in), by name.
        biases: Theirs, where they have one.
        scales: α / rank of their adapters.
        norms: Weights of the two norms.
        epsilons: What keeps each norm from dividing by zero.
        heads: Query heads.
        groups: Heads of keys and values.
        scaling: What scores are multiplied by.
    """

    weights: dict[str, Tensor]
    biases: dict[str, Tensor | None]
    scales: dict[str, float]
    norms: tuple[Tensor, Tensor]
    epsilons: tuple[float, float]
    heads: int
    groups: int
    scaling: float


Adapter = tuple[Tensor, Tensor] | None


class LayerFunction(torch.autograd.Function):
    """A decoder layer; gradients for its input and for LoRA's A and B."""

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        cos: Tensor,
        sin: Tensor,
        used: Tensor | None,
        blocks: Sequence[Block],
        frozen: Frozen,
        *adapters: Tensor | None,
    ) -> Tensor:
        """Computes the layer.

        Args:
            ctx: Holds what backward needs.
            x: Input, (tokens, hidden).
            cos: Of the rotary positions, (tokens, size).
            sin: The same.
            used: The tokens whose output is read, where not all are; the others' is zero.
            blocks: Which tokens see which.
            frozen: What is not trained.
            adapters: A, (rank, in), and B, (out, rank), of each linear map in the order of `NAMES`, or none.
        """
        maps = _Maps(frozen, adapters, x.dtype)
        normed, first = _norm(x, frozen.norms[0], frozen.epsilons[0])
        joined, inner = maps.forward(("q_proj", "k_proj", "v_proj"), normed)
        heads = joined.view(len(x), frozen.heads + 2 * frozen.groups, -1)
        _turn(heads[:, : frozen.heads + frozen.groups], cos, sin)
        mixed, weights = attend(heads, blocks, frozen.heads, frozen.scaling)
        mixed = _only(mixed, used)
        middle, inner_o = maps.forward(("o_proj",), mixed)
        middle += _only(x, used)
        normed, second = _norm(middle, frozen.norms[1], frozen.epsilons[1])
        gate_up, inner_mlp = maps.forward(("gate_proj", "up_proj"), normed)
        gate, up = gate_up.chunk(2, dim=1)
        out, inner_down = maps.forward(("down_proj",), functional.silu(gate).mul_(up))
        out += middle
        ctx.save_for_backward(
            used, x, cos, sin, first, joined, mixed, middle, second, gate_up, inner, inner_o, inner_mlp, inner_down,
            *weights, *adapters,
        )  # fmt: skip
        ctx.frozen, ctx.blocks = frozen, blocks
        return _spread(out, used, len(x))

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        """Returns the gradients of x and of every A and B."""
        (used, *saved), frozen, blocks = ctx.saved_tensors, ctx.frozen, ctx.blocks
        grad = _only(grad, used)
        x, cos, sin, first, joined, mixed, middle, second, gate_up, inner, inner_o, inner_mlp, inner_down = saved[:13]
        weights, adapters = saved[13 : 13 + len(blocks)], saved[13 + len(blocks) :]
        maps = _Maps(frozen, adapters, x.dtype)
        gate, up = gate_up.chunk(2, dim=1)
        active = functional.silu(gate)
        grad_product = maps.backward(("down_proj",), grad, active * up, inner_down)
        grad_gate_up = torch.empty_like(gate_up)
        grad_gate, grad_up = grad_gate_up.chunk(2, dim=1)
        torch.mul(grad_product, active, out=grad_up)
        grad_gate.copy_(torch.ops.aten.silu_backward(grad_product.mul_(up), gate))
        normed = _normed(middle, second, frozen.norms[1])
        grad_normed = maps.backward(("gate_proj", "up_proj"), grad_gate_up, normed, inner_mlp)
        grad_middle = _norm_backward(grad_normed, middle, second, frozen.norms[1]).add_(grad)
        grad_mixed = _spread(maps.backward(("o_proj",), grad_middle, mixed, inner_o), used, len(x))
        heads = joined.view(len(x), frozen.heads + 2 * frozen.groups, -1)
        grad_heads = attend_backward(grad_mixed, heads, weights, blocks, frozen.scaling)
        _turn(grad_heads[:, : frozen.heads + frozen.groups], cos, -sin)
        normed = _normed(x, first, frozen.norms[0])
        needed = ctx.needs_input_grad[0]
        grad_normed = maps.backward(("q_proj", "k_proj", "v_proj"), grad_heads.flatten(1), normed, inner, needed)
        grad_x = None
        if needed:
            grad_x = _norm_backward(grad_normed, x, first, frozen.norms[0]).add_(_spread(grad_middle, used, len(x)))
        return (grad_x, None, None, None, None, None, *maps.gradients(adapters))


class _Maps:
    """The linear maps of a layer with their adapters; those that read the same input are computed together."""

    def __init__(self, frozen: Frozen, adapters: Sequence[Tensor | None], dtype: torch.dtype) -> None:
        self.frozen, self.dtype = frozen, dtype
        self.adapters: dict[str, Adapter] = {}
        for name, a, b in zip(NAMES, adapters[::2], adapters[1::2], strict=True):
            self.adapters[name] = None if a is None or b is None else (a.to(dtype), b.to(dtype))
        self.found: dict[str, tuple[Tensor, Tensor]] = {}

    def forward(self, names: Sequence[str], x: Tensor) -> tuple[Tensor, Tensor]:
        """What the maps make of x, side by side, and x Aᵀ of their adapters, scaled, side by side."""
        inner = x @ self._down(names).t()
        out = x.new_empty(len(x), sum(len(self.frozen.weights[name]) for name in names))
        for name, part, own in self._parts(names, out, inner):
            weight, bias = self.frozen.weights[name], self.frozen.biases[name]
            torch.mm(x, weight.t(), out=part)
            if bias is not None:
                part += bias
            adapter = self.adapters[name]
            if adapter:
                own *= self.frozen.scales[name]
                part.addmm_(own, adapter[1].t())
        return out, inner

    def backward(self, names: Sequence[str], grad: Tensor, x: Tensor, inner: Tensor, needed: bool = True) -> Tensor:
        """The gradient of x, where it is needed; those of the adapters are kept."""
        grad_inner = torch.empty_like(inner)
        grad_x = x.new_empty(x.shape if needed else 0)
        for number, (name, part, grad_own) in enumerate(self._parts(names, grad, grad_inner)):
            adapter = self.adapters[name]
            if adapter:
                torch.mm(part, adapter[1], out=grad_own)
                grad_own *= self.frozen.scales[name]
            if needed and number:
                grad_x.addmm_(part, self.frozen.weights[name])
            elif needed:
                torch.mm(part, self.frozen.weights[name], out=grad_x)
        down = self._down(names)
        if needed:
            grad_x.addmm_(grad_inner, down)
        grad_down = grad_inner.t() @ x
        at = 0
        for name, part, own in self._parts(names, grad, inner):
            if self.adapters[name]:
                # Optimizers take it for granted that a gradient lies in memory as its weights do.
                self.found[name] = grad_down[at : at + own.shape[1]], (own.t() @ part).t().contiguous()
            at += own.shape[1]
        return grad_x

    def gradients(self, adapters: Sequence[Tensor | None]) -> list[Tensor | None]:
        """Of every A and B, in their own type."""
        found = [gradient for name in NAMES for gradient in self.found.get(name, (None, None))]
        return [
            None if gradient is None or own is None else gradient.to(own.dtype)
            for gradient, own in zip(found, adapters, strict=True)
        ]

    def _down(self, names: Sequence[str]) -> Tensor:
        """The A of maps below one another."""
        parts = [adapter[0] for name in names if (adapter := self.adapters[name])]
        if len(parts) == 1:
            return parts[0]
        width = self.frozen.weights[names[0]].shape[1]
        return torch.cat(parts) if parts else self.frozen.weights[names[0]].new_empty(0, width)

    def _parts(self, names: Sequence[str], out: Tensor, inner: Tensor) -> list[tuple[str, Tensor, Tensor]]:
        """By name, the columns of `out` that are a map's, and those of `inner` that are its adapter's."""
        parts, at, low = [], 0, 0
        for name in names:
            adapter = self.adapters[name]
            width, rank = len(self.frozen.weights[name]), len(adapter[0]) if adapter else 0
            parts.append((name, out[:, at : at + width], inner[:, low : low + rank]))
            at, low = at + width, low + rank
        return parts


def _only(x: Tensor, used: Tensor | None) -> Tensor:
    return x if used is None else x.index_select(0, used)


def _spread(x: Tensor, used: Tensor | None, tokens: int) -> Tensor:
    """The way back: zero where nothing is read."""
    return x if used is None else x.new_zeros(tokens, x.shape[1]).index_copy_(0, used, x)


def _norm(x: Tensor, weight: Tensor, epsilon: float) -> tuple[Tensor, Tensor]:
    """The root mean square norm, and what each token was multiplied by, (tokens, 1)."""
    length = torch.linalg.vector_norm(x, dim=1, keepdim=True, dtype=torch.float32)
    inverse = length.square_().div_(x.shape[1]).add_(epsilon).rsqrt_()
    return _normed(x, inverse, weight), inverse


def _normed(x: Tensor, inverse: Tensor, weight: Tensor) -> Tensor:
    return (x * inverse).to(x.dtype).mul_(weight)


def _norm_backward(grad: Tensor, x: Tensor, inverse: Tensor, weight: Tensor) -> Tensor:
    """The gradient of the norm's input; `grad` is used up."""
    grad = grad.mul_(weight).float()
    along = (grad * x).sum(1, keepdim=True)
    along.mul_(inverse.pow(3)).div_(-x.shape[1])
    return grad.mul_(inverse).addcmul_(x.float(), along).to(x.dtype)


def _turn(heads: Tensor, cos: Tensor, sin: Tensor) -> None:
    """Turns every head by its token's position, in place."""
    half = heads.shape[2] // 2
    left, right = heads[..., :half], heads[..., half:]
    cos, sin = cos[:, None, :half], sin[:, None, :half]
    kept = left.clone()
    left.mul_(cos).addcmul_(right, sin, value=-1)
    right.mul_(cos).addcmul_(kept, sin)


def fuse(model: Any) -> int:
    """Makes the decoder layers that can be compute by `LayerFunction` where they are told their blocks.

    Args:
        model: A PEFT model whose LoRA layers are fused already (`lora.fuse`).

    Returns:
        How many there are.
    """
    fused = 0
    for layer in model.modules():
        if type(layer).__name__ in KINDS and _plain(layer):
            layer.forward = _forward_of(layer)
            layer.takes_blocks = True
            fused += 1
    return fused


def unfuse(model: Any) -> None:
    """Gives the decoder layers their own forward back."""
    for layer in model.modules():
        if vars(layer).pop("takes_blocks", False):
            del layer.forward


def takes_blocks(model: Any) -> bool:
    """Whether a model's layers want to be told which tokens see which as blocks."""
    layers = getattr(model.get_decoder(), "layers", ())
    return len(layers) > 0 and all(getattr(layer, "takes_blocks", False) for layer in layers)


def _plain(layer: Any) -> bool:
    """Whether a layer is nothing but what `LayerFunction` computes, and nothing of it trained but adapters."""
    attention = layer.self_attn
    trained = [name for name, parameter in layer.named_parameters() if parameter.requires_grad]
    quiet = not attention.attention_dropout and getattr(attention, "sliding_window", None) is None
    return (
        quiet
        and all("lora_" in name for name in trained)
        and attention.config.hidden_act in ("silu", "swish")
        and attention.q_proj.weight.device.type == "cpu"
        and all(lora.is_plain(module) for module in _modules(layer))
    )


def _modules(layer: Any) -> list[Any]:
    return [getattr(layer.self_attn if name[0] in "qkvo" else layer.mlp, name) for name in NAMES]


def _forward_of(layer: Any) -> Any:
    original = layer.forward
    attention, modules = layer.self_attn, _modules(layer)
    norms = layer.input_layernorm, layer.post_attention_layernorm
    last = attention.layer_idx == attention.config.num_hidden_layers - 1

    def forward(hidden_states: Tensor, *args: Any, **kwargs: Any) -> Any:
        blocks = kwargs.get("blocks")
        if blocks is None or any(lora.is_off(module) for module in modules):
            return original(hidden_states, *args, **kwargs)
        bases = [getattr(module, "base_layer", module) for module in modules]
        adapters = [lora.adapter_of(module) for module in modules]
        frozen = Frozen(
            {name: base.weight for name, base in zip(NAMES, bases, strict=True)},
            {name: base.bias for name, base in zip(NAMES, bases, strict=True)},
            {name: scale for name, (_, _, scale) in zip(NAMES, adapters, strict=True)},
            (norms[0].weight, norms[1].weight), (norms[0].variance_epsilon, norms[1].variance_epsilon),
            attention.config.num_attention_heads, attention.config.num_key_value_heads, attention.scaling,
        )  # fmt: skip
        cos, sin = kwargs["position_embeddings"]
        tensors = [tensor for a, b, _ in adapters for tensor in (a, b)]
        # What the layers below put out is read by attention.
        used = kwargs["used"] if last else None
        out = LayerFunction.apply(  # type: ignore[no-untyped-call]
            hidden_states[0], cos[0], sin[0], used, blocks, frozen, *tensors
        )
        return out[None]

    return forward
