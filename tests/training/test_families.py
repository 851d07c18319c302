"""Current architectures train by every method: each as a tiny random model, computed in packs and cut at its trunk."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoConfig, AutoModelForCausalLM

from knowledge_update.inference import Part, Prompt, continued, greedy
from knowledge_update.models import load_model, precision
from knowledge_update.training import methods
from knowledge_update.training.objective import loss_of, packs
from knowledge_update.training.rows import IGNORED, Encoded
from knowledge_update.training.trunk import trunk_of
from knowledge_update.training_config import AdapterConfig

SIZES = {
    "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 4, "num_attention_heads": 4,
    "num_key_value_heads": 2, "head_dim": 8, "vocab_size": 90, "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2,
}  # fmt: skip
EYES = {
    "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 1, "num_attention_heads": 2, "image_size": 28,
    "patch_size": 14,
}  # fmt: skip
FAMILIES: dict[str, Callable[[], Any]] = {
    "llama": lambda: AutoConfig.for_model("llama", **SIZES),
    "qwen2": lambda: AutoConfig.for_model("qwen2", **SIZES),
    "qwen3": lambda: AutoConfig.for_model("qwen3", **SIZES),
    "smollm3": lambda: AutoConfig.for_model("smollm3", **SIZES),
    "gemma3_text": lambda: AutoConfig.for_model("gemma3_text", **SIZES, sliding_window=16),
    # With eyes: what reads pictures is no part of what is taught.
    "gemma3": lambda: AutoConfig.for_model("gemma3", text_config=SIZES, vision_config=EYES, mm_tokens_per_image=4),
}
ROWS = [
    Encoded((5, 6, 7, 8), (IGNORED, IGNORED, 7, 8), True),
    Encoded((9, 5, 11), (IGNORED, 5, 11), True),
    Encoded((12, 13, 14), (12, 13, 14), False),
]
PREFIX = (3, 4)


@pytest.fixture(params=FAMILIES)
def model(request: pytest.FixtureRequest) -> Any:
    torch.manual_seed(0)
    made = AutoModelForCausalLM.from_config(FAMILIES[request.param](), attn_implementation="eager")
    return made.eval()


def loss(model: Any, hidden: Any = None) -> Any:
    return sum(loss_of(methods.base_of(model), pack) for pack in packs(ROWS, PREFIX, torch.float32, hidden))


@pytest.mark.parametrize(
    "config",
    [
        AdapterConfig(rank=2, upper_share=1.0), AdapterConfig(rank=2, upper_share=0.5),
        AdapterConfig(name="full"), AdapterConfig(name="full", upper_share=0.5),
    ],
    ids=["lora", "upper lora", "full", "upper full"],
)  # fmt: skip
def test_everything_that_is_trained_has_a_gradient(model: Any, config: AdapterConfig) -> None:
    wrapped = methods.attach(model, config, seed=0)
    for name, tensor in methods.trainable(wrapped).items():
        if "lora_B" in name:
            torch.nn.init.normal_(tensor, std=0.1)
    names = methods.trainable(wrapped)
    assert len(names) > 10
    before = torch.autograd.grad(loss(wrapped), list(names.values()))
    assert {name for name, gradient in zip(names, before, strict=True) if not gradient.abs().sum() > 0} <= set(
        name for name in names if name.endswith("k_proj.bias")
    )


def test_a_whole_model_is_saved_and_loaded(model: Any, tmp_path: Path) -> None:
    methods.attach(model, AdapterConfig(name="full"), seed=0)
    before = {name: tensor.clone() for name, tensor in model.named_parameters()}
    methods.save(model, tmp_path / "saved")
    loaded = load_model(str(tmp_path / "saved"), precision("float32", "cpu"))
    for name, tensor in loaded.named_parameters():
        assert torch.equal(tensor, before[name]), name


def test_what_lies_below_is_computed_once(model: Any) -> None:
    config = AdapterConfig(rank=2, upper_share=0.5)
    trunk = trunk_of(model, methods.untrained_layers(model, config), [ROWS], PREFIX)
    assert trunk is not None
    wrapped = methods.attach(model, config, seed=0)
    whole = loss(wrapped)
    with trunk.upper():
        torch.testing.assert_close(loss(wrapped, trunk.hidden), whole, rtol=1e-4, atol=1e-5)


def test_what_shares_a_beginning_is_answered_as_it_is_alone(model: Any) -> None:
    asked = [Prompt("a", (3, 4, 5, 6)), Prompt("b", (3, 4, 7)), Prompt("c", (3, 4, 8, 9, 10))]
    with torch.inference_mode():
        together = dict(continued(model, [Part([3, 4], asked)], frozenset(), [4] * 3, greedy))
        for number, prompt in enumerate(asked):
            ids = torch.tensor([prompt.ids])
            for token in together[number]:
                assert int(model(input_ids=ids).logits[0, -1].argmax()) == token
                ids = torch.cat([ids, torch.tensor([[token]])], dim=1)
