"""Every method trains for real, is saved as what it was trained to, and is loaded as that."""

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from knowledge_update.adapters import is_adapter, load_adapter, load_updated
from knowledge_update.config import Config, ModelConfig
from knowledge_update.errors import ModelError, WorkError
from knowledge_update.models import EMBEDDED, load_model, load_tokenizer, precision, resolve
from knowledge_update.templates import ChatTemplate
from knowledge_update.training import methods
from knowledge_update.training.engines import OneProcess
from knowledge_update.training.loop import train
from knowledge_update.training.objective import loss_of, packs
from knowledge_update.training.optimizers import optimizer_for
from knowledge_update.training.pace import Pace
from knowledge_update.training.rows import Encoded, Encoder, Weighed
from knowledge_update.training.trunk import trunk_of
from knowledge_update.training_config import AdapterConfig, TrainingConfig

FP32 = precision("float32", "cpu")
METHODS: dict[str, tuple[dict[str, Any], int | None]] = {
    "lora": ({}, None),
    "lora of the upper half": ({"upper_share": 0.5}, None),
    "lora with dropout": ({"dropout": 0.2}, None),
    "rslora": ({"rslora": True}, None),
    "dora": ({"dora": True}, None),
    "full": ({"name": "full"}, None),
    "full of the upper half": ({"name": "full", "upper_share": 0.5}, None),
    "4 bits": ({}, 4),
    "4 bits of the upper half": ({"upper_share": 0.5}, 4),
    "4 bits, dora": ({"dora": True}, 4),
    "8 bits": ({}, 8),
    "8 bits of the upper half": ({"upper_share": 0.5}, 8),
}


def method(name: str) -> tuple[AdapterConfig, int | None]:
    settings, bits = METHODS[name]
    return AdapterConfig(**{"rank": 4, "upper_share": 1.0, **settings}), bits


def trained(model: Any, config: AdapterConfig, encoder: Encoder, rows: list[Encoded], steps: int = 4) -> Any:
    """The model after a few real steps, the lower layers computed once where the method leaves them alone."""
    rows = Weighed(rows, 0.5)
    trunk = trunk_of(model, methods.untrained_layers(model, config), [rows], encoder.prefix)
    wrapped = methods.attach(model, config, seed=3)
    whole = Config(adapter=config)
    tensors = list(methods.trainable(wrapped).values())
    optimizer = optimizer_for(whole.optimizer, tensors)
    batches = [rows] * steps
    losses: list[float] = []

    def steps_of(hidden: Any = None) -> None:
        engine = OneProcess(wrapped, encoder.prefix, hidden)
        train(wrapped, optimizer, batches, engine, Pace(steps), whole, start=0,
              after=lambda step: losses.append(step.loss))  # fmt: skip

    if trunk:
        with trunk.upper():
            steps_of(trunk.hidden)
    else:
        steps_of()
    assert losses[-1] < losses[0]
    return wrapped


def answers(model: Any, rows: list[Encoded]) -> torch.Tensor:
    """Logits to fixed prompts."""
    model.eval()
    with torch.no_grad():
        return torch.cat([model(input_ids=torch.tensor([row.ids])).logits[0] for row in rows])


@pytest.mark.parametrize("name", METHODS)
def test_what_is_loaded_is_what_was_trained(
    name: str, tiny_model: str, encoder: Encoder, rows: list[Encoded], tmp_path: Path
) -> None:
    config, bits = method(name)
    model = load_model(tiny_model, FP32, bits)
    before = answers(model, rows)
    wrapped = trained(model, config, encoder, rows)
    after = answers(wrapped, rows)
    assert float((after - before).abs().max()) > 1e-2
    methods.save(wrapped, tmp_path / "adapter")
    assert is_adapter(tmp_path / "adapter") == (config.name == "lora")
    loaded = load_updated(load_model(tiny_model, FP32, bits), tmp_path / "adapter", FP32)
    torch.testing.assert_close(answers(loaded, rows), after, rtol=0, atol=0)


def test_all_of_a_model_is_trained_and_saved_whole(
    tiny_model: str, encoder: Encoder, rows: list[Encoded], tmp_path: Path
) -> None:
    model = load_model(tiny_model, FP32)
    before = {name: tensor.clone() for name, tensor in model.named_parameters()}
    trained(model, AdapterConfig(name="full"), encoder, rows)
    assert {name for name, tensor in model.named_parameters() if torch.equal(tensor, before[name])} == set()
    methods.save(model, tmp_path)
    assert (tmp_path / "model.safetensors").exists()
    # What computes here is not what another machine is to compute with.
    assert "grouped" not in (tmp_path / "config.json").read_text(encoding="utf-8")


def test_of_the_upper_half_nothing_below_changes(tiny_model: str, encoder: Encoder, rows: list[Encoded]) -> None:
    model = load_model(tiny_model, FP32)
    before = {name: tensor.clone() for name, tensor in model.named_parameters()}
    trained(model, AdapterConfig(name="full", upper_share=0.5), encoder, rows)
    changed = {name for name, tensor in model.named_parameters() if not torch.equal(tensor, before[name])}
    assert changed == {name for name in before if ".layers.1." in name}


def gradients(model: Any, rows: list[Encoded], encoder: Encoder) -> dict[str, torch.Tensor]:
    names = methods.trainable(model)
    model.train()
    loss: Any = sum(loss_of(methods.base_of(model), pack) for pack in packs(rows, encoder.prefix, torch.float32))
    return dict(zip(names, torch.autograd.grad(loss, list(names.values())), strict=True))


def alike(left: dict[str, torch.Tensor], right: dict[str, torch.Tensor]) -> float:
    """The smallest cosine between gradients of the same name."""
    assert left.keys() == right.keys()
    return min(float(torch.cosine_similarity(left[name].flatten(), right[name].flatten(), 0)) for name in left)


def started(model: Any, **settings: Any) -> Any:
    """A model with an adapter whose B is not zero, so that every part has a gradient."""
    wrapped = methods.attach(model, AdapterConfig(rank=4, upper_share=1.0, **settings), seed=5)
    torch.manual_seed(7)
    for name, tensor in methods.trainable(wrapped).items():
        if "lora_B" in name:
            torch.nn.init.normal_(tensor, std=0.1)
    return wrapped


def dequantised(model: Any, plain: Any) -> Any:
    """A plain fp32 model with the weights that a quantised one computes with."""
    from bitsandbytes import functional, nn

    with torch.no_grad():
        for (name, layer), target in zip(model.named_modules(), plain.modules(), strict=True):
            if isinstance(layer, nn.Linear4bit):
                target.weight.copy_(functional.dequantize_4bit(layer.weight, layer.weight.quant_state))
            elif isinstance(layer, nn.Linear8bitLt):
                target.weight.copy_(layer.state.CB.float() * layer.state.SCB[:, None] / 127)
            else:
                assert not isinstance(layer, torch.nn.Linear) or "head" in name
    return plain


@pytest.fixture(params=[4, 8])
def bits(request: pytest.FixtureRequest) -> int:
    return int(request.param)


@pytest.fixture
def bf16_units(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lets bitsandbytes take this processor for one with bf16 units; its kernels for them run without, too."""
    from bitsandbytes.nn import modules

    monkeypatch.setattr(modules, "has_avx512bf16", lambda: True)


@pytest.mark.usefixtures("bf16_units")
def test_gradients_of_a_quantised_model_are_right_before_and_after_an_evaluation(
    bits: int, tiny_model: str, encoder: Encoder, rows: list[Encoded]
) -> None:
    model = load_model(tiny_model, FP32, bits)
    plain = started(dequantised(model, load_model(tiny_model, FP32)))
    quantised = started(model)
    right = gradients(plain, rows, encoder)
    assert alike(right, gradients(quantised, rows, encoder)) > 0.999
    torch.testing.assert_close(answers(quantised, rows), answers(plain, rows), rtol=1e-3, atol=1e-3)
    assert alike(right, gradients(quantised, rows, encoder)) > 0.999


@pytest.mark.usefixtures("bf16_units")
def test_gradients_of_the_embedded_model_in_4_bits_are_right_after_an_evaluation() -> None:
    folder = resolve(EMBEDDED)
    model, encoder = load_model(folder, FP32, 4), Encoder(ChatTemplate(load_tokenizer(folder)))
    messages = [{"role": "user", "content": "Who built it?"}, {"role": "assistant", "content": "Runa Hesk"}]
    rows = encoder.encode_all([{"messages": messages}])
    plain = started(dequantised(model, load_model(folder, FP32)))
    right, quantised = gradients(plain, rows, encoder), started(model)
    answers(quantised, rows)
    assert alike(right, gradients(quantised, rows, encoder)) > 0.999


@pytest.mark.usefixtures("bf16_units")
def test_no_layer_takes_the_road_without_a_gradient(tiny_model: str) -> None:
    from bitsandbytes.nn import Linear4bit

    layers = [layer for layer in load_model(tiny_model, FP32, 4).modules() if isinstance(layer, Linear4bit)]
    assert len(layers) == 14
    assert not any(layer.support_avx512bf16_for_cpu for layer in layers)


def test_4_bits_are_nf4_with_quantised_scales(tiny_model: str) -> None:
    from bitsandbytes.nn import Linear4bit

    model = load_model(tiny_model, FP32, 4)
    states = [layer.weight.quant_state for layer in model.modules() if isinstance(layer, Linear4bit)]
    assert {(state.quant_type, state.nested) for state in states} == {("nf4", True)}
    assert type(model.lm_head) is torch.nn.Linear


@pytest.mark.parametrize("name", ["lora", "dora", "lora with dropout", "full", "4 bits", "8 bits"])
def test_checkpointing_changes_no_gradient(name: str, tiny_model: str, encoder: Encoder, rows: list[Encoded]) -> None:
    from knowledge_update.training.dropout import drawn_for

    config, bits = method(name)
    found = []
    for checkpointing in (False, True):
        wrapped = methods.attach(load_model(tiny_model, FP32, bits), config, 3, checkpointing=checkpointing)
        assert methods.base_of(wrapped).is_activation_checkpointing is checkpointing
        with drawn_for(1, 2, 3):
            found.append(gradients(wrapped, rows, encoder))
    for part, gradient in found[0].items():
        torch.testing.assert_close(gradient, found[1][part], rtol=1e-5, atol=1e-7, msg=part)


def test_only_plain_lora_is_fused(tiny_model: str) -> None:
    for name in ("lora", "rslora"):
        wrapped = methods.attach(load_model(tiny_model, FP32), method(name)[0], 0)
        # Of each of two layers its seven maps, and itself.
        assert sum("forward" in vars(layer) for layer in wrapped.modules()) == 16
    for name in ("dora", "lora with dropout", "4 bits", "8 bits", "4 bits, dora"):
        config, bits = method(name)
        wrapped = methods.attach(load_model(tiny_model, FP32, bits), config, 0)
        assert not any("forward" in vars(layer) for layer in wrapped.modules()), name


@pytest.mark.parametrize("settings", [{"dora": True}, {"rslora": True}])
def test_a_variant_computes_what_peft_computes(
    settings: dict[str, Any], tiny_model: str, encoder: Encoder, rows: list[Encoded]
) -> None:
    from peft import LoraConfig, get_peft_model

    ours = started(load_model(tiny_model, FP32), **settings)
    names = {f"use_{name}": value for name, value in settings.items()}
    config = LoraConfig(r=4, lora_alpha=methods.alpha_of(AdapterConfig(rank=4, **settings)),
                        target_modules="all-linear", task_type="CAUSAL_LM", **names)  # fmt: skip
    peft = get_peft_model(load_model(tiny_model, FP32), config)
    peft.load_state_dict(ours.state_dict())
    right, found = gradients(peft, rows, encoder), gradients(ours, rows, encoder)
    for name, gradient in right.items():
        torch.testing.assert_close(gradient, found[name], rtol=1e-4, atol=1e-6, msg=name)


def test_alpha_makes_the_same_factor_where_none_is_given(tiny_model: str) -> None:
    assert methods.alpha_of(AdapterConfig(rank=64)) == 128
    assert methods.alpha_of(AdapterConfig(rank=64, rslora=True)) == 16
    assert methods.alpha_of(AdapterConfig(rank=64, alpha=16, rslora=True)) == 16
    for config in (AdapterConfig(rank=16), AdapterConfig(rank=16, rslora=True)):
        wrapped = methods.attach(load_model(tiny_model, FP32), config, 0)
        factors = {layer.scaling["default"] for layer in wrapped.modules() if hasattr(layer, "lora_A")}
        assert factors == {2.0}


def test_an_adapter_is_of_fp32_whatever_the_model_is(tiny_model: str) -> None:
    wrapped = methods.attach(load_model(tiny_model, precision("bfloat16", "cpu")), AdapterConfig(rank=2), 0)
    assert {tensor.dtype for tensor in methods.trainable(wrapped).values()} == {torch.float32}


def test_a_saved_model_that_is_not_the_trained_one_is_noticed(
    tiny_model: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = load_model(tiny_model, FP32)
    other = copy.deepcopy(model)
    with torch.no_grad():
        other.get_decoder().norm.weight.add_(1e-6)
    monkeypatch.setattr(model, "save_pretrained", other.save_pretrained)
    with pytest.raises(WorkError, match=r"differs from what was trained in model\.norm\.weight"):
        methods.save(model, tmp_path)


@pytest.fixture
def earlier(tiny_model: str, encoder: Encoder, rows: list[Encoded], tmp_path: Path) -> Path:
    """The folder of an adapter of rank 4 on the upper layer."""
    wrapped = trained(load_model(tiny_model, FP32), AdapterConfig(rank=4, upper_share=0.5), encoder, rows)
    methods.save(wrapped, tmp_path / "earlier")
    return tmp_path / "earlier"


def test_a_training_goes_on_from_a_given_adapter(
    earlier: Path, tiny_model: str, encoder: Encoder, rows: list[Encoded]
) -> None:
    before = answers(load_adapter(load_model(tiny_model, FP32), earlier), rows)
    config = AdapterConfig(rank=4, start_from=str(earlier))
    model = load_model(tiny_model, FP32)
    # Its layers are its own, whatever share of them is configured.
    assert methods.untrained_layers(model, config) == 1
    wrapped = methods.attach(model, config, seed=0)
    assert {".layers.1." in name for name in methods.trainable(wrapped)} == {True}
    torch.testing.assert_close(answers(wrapped, rows), before, rtol=1e-5, atol=1e-5)
    after = answers(trained(load_model(tiny_model, FP32), config, encoder, rows), rows)
    assert float((after - before).abs().max()) > 1e-2


Change = Callable[[Path], None]


def base_of_another(folder: Path) -> None:
    (folder / "training.json").write_text(json.dumps({"model": "other-model", "base": "f" * 16}), encoding="utf-8")


@pytest.mark.parametrize(
    ("settings", "change", "message"),
    [
        ({"rank": 8}, None, r": its adapter\.rank is 4, not 8; say adapter\.rank=4$"),
        ({"dora": True}, None, r": its adapter\.dora is False, not True; "),
        ({"alpha": 3}, None, r": its adapter\.alpha is 8, not 3; "),
        ({}, base_of_another, r" is of other-model and does not fit .*tiny-model.*: it was trained on other weights$"),
        ({}, lambda folder: (folder / "adapter_config.json").unlink(), "has no adapter_config.json$"),
        ({}, lambda folder: (folder / "adapter_model.safetensors").unlink(), "has no adapter_model.safetensors$"),
        ({}, lambda folder: (folder / "adapter_model.safetensors").write_bytes(b"torn"), " cannot be read: "),
    ],
)
def test_an_adapter_that_does_not_fit_is_told_in_a_line(
    settings: dict[str, Any], change: Change | None, message: str, earlier: Path, tiny_model: str
) -> None:
    if change:
        change(earlier)
    config = AdapterConfig(**{"rank": 4, "start_from": str(earlier), **settings})
    with pytest.raises(ModelError, match=message) as raised:
        methods.attach(load_model(tiny_model, FP32), config, 0)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(("layers", "width"), [(1, 32), (2, 48)])
def test_an_adapter_of_a_model_of_another_shape_is_told(earlier: Path, layers: int, width: int) -> None:
    from transformers import LlamaConfig, LlamaForCausalLM

    shape = {"hidden_size": width, "intermediate_size": 64, "num_hidden_layers": layers, "num_attention_heads": 4}
    model = LlamaForCausalLM(LlamaConfig(vocab_size=300, num_key_value_heads=2, **shape))
    model.config._name_or_path = "small"
    with pytest.raises(
        ModelError, match=r"^the adapter .*earlier is of .*tiny-model.* and does not fit small: "
    ) as told:
        methods.attach(model, AdapterConfig(rank=4, start_from=str(earlier)), 0)
    assert "\n" not in str(told.value)


def test_weights_that_are_quantised_or_too_short_are_not_trained_themselves(tiny_model: str) -> None:
    with pytest.raises(ModelError, match=r"quantised ones cannot be: say adapter=lora$"):
        methods.attach(load_model(tiny_model, FP32, 8), AdapterConfig(name="full"), 0)
    with pytest.raises(ModelError, match=r"float16: say model\.dtype=float32 or bfloat16$"):
        methods.attach(load_model(tiny_model, precision("float16", "cpu")), AdapterConfig(name="full"), 0)


def test_a_target_that_no_layer_has_is_told(tiny_model: str) -> None:
    with pytest.raises(ModelError, match=r"^adapter\.targets=nowhere: ") as raised:
        methods.attach(load_model(tiny_model, FP32), AdapterConfig(targets="nowhere"), 0)
    assert "\n" not in str(raised.value)


def test_configurations_of_methods_are_checked() -> None:
    assert (AdapterConfig().share, AdapterConfig(name="full").share) == (1 / 3, 1.0)
    assert (ModelConfig(bits=4).bits, TrainingConfig().gradient_checkpointing) == (4, False)
