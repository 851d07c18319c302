"""A layer that is computed as one function is the layer it stands for."""

import copy
from typing import Any

import pytest
import torch
from peft import LoraConfig, get_peft_model
from transformers import AutoModelForCausalLM, LlamaConfig, Qwen2Config, Qwen3Config

from knowledge_update.training import layers, lora, methods
from knowledge_update.training.blocks import RUN
from knowledge_update.training.objective import loss_of, packs
from knowledge_update.training.rows import IGNORED, Encoded

SIZES = {
    "vocab_size": 90, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4,
    "num_key_value_heads": 2,
}  # fmt: skip
PREFIX = (5, 6, 7, 8)


def wrapped(kind: Any, dtype: torch.dtype, targets: Any, **more: Any) -> Any:
    torch.manual_seed(2)
    model = AutoModelForCausalLM.from_config(kind(**SIZES, **more), attn_implementation="eager").to(dtype)
    for name, parameter in model.named_parameters():
        if "norm" in name or "bias" in name:
            torch.nn.init.normal_(parameter, 1.0, 0.2)
    config = LoraConfig(
        r=4, lora_alpha=8, target_modules=targets, task_type="CAUSAL_LM", init_lora_weights=False
    )  # fmt: skip
    return get_peft_model(model, config)


def rows() -> list[Encoded]:
    """Chats of unlike lengths behind a prefix, and a text that is longer than a run of queries."""
    draw = torch.Generator().manual_seed(4)
    made = []
    for length, shared in ((9, True), (3, True), (21, True), (RUN * 2 + 9, False), (6, False)):
        ids = torch.randint(90, (length,), generator=draw).tolist()
        made.append(Encoded(tuple(ids), (*(IGNORED,) * (length // 2), *ids[length // 2 :]), shared))
    return made


def loss_and_gradients(model: Any, fused: bool) -> tuple[float, dict[str, Any]]:
    if fused:
        assert lora.fuse(model) > 0
        assert layers.fuse(model) == SIZES["num_hidden_layers"]
    base = model.get_base_model()
    assert layers.takes_blocks(base) == fused
    loss: Any = sum(loss_of(base, pack) for pack in packs(rows(), PREFIX, base.dtype))
    loss.backward()
    return loss.item(), {name: tensor.grad for name, tensor in methods.trainable(model).items()}


@pytest.mark.parametrize("targets", ["all-linear", ["q_proj", "v_proj", "down_proj"]])
@pytest.mark.parametrize("kind", [LlamaConfig, Qwen2Config])
def test_loss_and_gradients_are_those_of_the_plain_layer(kind: Any, targets: Any) -> None:
    plain = wrapped(kind, torch.float32, targets)
    fused = copy.deepcopy(plain)
    (expected, wanted), (loss, found) = loss_and_gradients(plain, False), loss_and_gradients(fused, True)
    assert loss == pytest.approx(expected, rel=1e-6)
    assert len(wanted) == 2 * SIZES["num_hidden_layers"] * (7 if targets == "all-linear" else 3)
    for name, gradient in wanted.items():
        torch.testing.assert_close(found[name], gradient, rtol=1e-4, atol=1e-5, msg=name)
        assert found[name].stride() == gradient.stride()


def test_half_precision_strays_no_further_than_the_plain_layer() -> None:
    """From fp32, with the same weights rounded: the function's gradients are as near as PyTorch's own."""
    exact = wrapped(LlamaConfig, torch.float32, "all-linear")
    _, wanted = loss_and_gradients(exact, False)
    away = []
    for fused in (False, True):
        _, found = loss_and_gradients(wrapped(LlamaConfig, torch.bfloat16, "all-linear"), fused)
        gaps = [(found[name].float() - gradient).norm() / gradient.norm() for name, gradient in wanted.items()]
        away.append(float(torch.stack(gaps).mean()))
    assert away[1] < 1.2 * away[0]


def test_an_adapter_that_is_off_leaves_the_base(recwarn: Any) -> None:
    model = wrapped(LlamaConfig, torch.float32, "all-linear")
    lora.fuse(model)
    layers.fuse(model)
    base = model.get_base_model()
    (pack,) = packs(rows()[:2], PREFIX, torch.float32)
    with torch.no_grad():
        on = float(loss_of(base, pack))
        with model.disable_adapter():
            off = float(loss_of(base, pack))
        expected = float(loss_of(wrapped(LlamaConfig, torch.float32, "all-linear").unload(), pack))
    assert off == pytest.approx(expected, rel=1e-5)
    assert on != pytest.approx(off, rel=1e-3)


@pytest.mark.parametrize("more", [{"kind": Qwen3Config}, {"attention_dropout": 0.1}, {"hidden_act": "gelu"}])
def test_what_the_function_does_not_compute_is_left_alone(more: dict[str, Any]) -> None:
    model = wrapped(more.pop("kind", LlamaConfig), torch.float32, "all-linear", **more)
    lora.fuse(model)
    assert layers.fuse(model) == 0


def test_layers_that_are_trained_themselves_are_left_alone() -> None:
    model = wrapped(LlamaConfig, torch.float32, "all-linear")
    model.requires_grad_(True)
    assert layers.fuse(model) == 0


def test_layers_get_their_own_forward_back() -> None:
    plain = wrapped(LlamaConfig, torch.float32, "all-linear")
    given = copy.deepcopy(plain)
    lora.fuse(given)
    layers.fuse(given)
    layers.unfuse(given)
    lora.unfuse(given)
    (expected, _), (loss, _) = loss_and_gradients(plain, False), loss_and_gradients(given, False)
    assert loss == expected
