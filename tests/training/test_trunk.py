"""With the lower layers computed once a row, loss and gradients are those of the whole model."""

from typing import Any

import pytest
import torch
from transformers import GPT2Config, GPT2LMHeadModel

from knowledge_update.training import methods, trunk
from knowledge_update.training.objective import loss_of, packs
from knowledge_update.training.rows import Encoded, Encoder
from knowledge_update.training.trunk import trunk_of
from knowledge_update.training_config import AdapterConfig


def gradients(wrapped: Any, names: dict[str, torch.Tensor], work: list[Any]) -> dict[str, torch.Tensor]:
    wrapped.zero_grad()
    for pack in work:
        loss_of(wrapped.get_base_model(), pack).backward()
    return {name: tensor.grad.clone() for name, tensor in names.items() if tensor.grad is not None}


def test_gradients_are_those_of_the_whole_model(model: Any, encoder: Encoder, rows: list[Encoded]) -> None:
    config = AdapterConfig(rank=2, upper_share=0.5)
    assert methods.untrained_layers(model, config) == 1
    known = trunk_of(model, 1, [rows], encoder.prefix)
    assert known is not None
    wrapped = methods.attach(model, config, seed=1)
    names = methods.trainable(wrapped)
    assert names and all(".layers.1." in name for name in names)
    for name, tensor in names.items():
        if "lora_B" in name:
            torch.nn.init.normal_(tensor, std=0.1)
    whole = gradients(wrapped, names, list(packs(rows, encoder.prefix, torch.float32)))
    # Other neighbours than those the rows were read beside.
    with known.upper():
        parts = gradients(
            wrapped, names, [p for r in rows for p in packs([r], encoder.prefix, torch.float32, known.hidden)]
        )
    assert len(model.get_decoder().layers) == 2
    assert set(whole) == set(parts) == set(names)
    for name, gradient in whole.items():
        torch.testing.assert_close(gradient, parts[name], rtol=1e-3, atol=1e-6, msg=name)


def test_a_training_of_all_layers_has_no_trunk(model: Any, encoder: Encoder, rows: list[Encoded]) -> None:
    assert methods.untrained_layers(model, AdapterConfig(upper_share=1.0)) == 0
    assert trunk_of(model, 0, [rows], encoder.prefix) is None


def test_too_many_rows_are_not_kept(
    model: Any, encoder: Encoder, rows: list[Encoded], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trunk, "LIMIT_BYTES", 1000)
    assert trunk_of(model, 1, [rows], encoder.prefix) is None


def test_a_model_that_cannot_be_cut_is_noticed(model: Any, encoder: Encoder, rows: list[Encoded]) -> None:
    # A model that does something to its input before the first layer does it twice when it is cut.
    model.get_decoder().register_forward_pre_hook(_doubled, with_kwargs=True)
    assert trunk_of(model, 1, [rows], encoder.prefix) is None


def _doubled(_: Any, args: Any, kwargs: dict[str, Any]) -> Any:
    if "inputs_embeds" in kwargs:
        kwargs["inputs_embeds"] = kwargs["inputs_embeds"] * 2
    return args, kwargs


def test_a_model_of_another_layout_trains_its_upper_layers_uncut(encoder: Encoder, rows: list[Encoded]) -> None:
    # GPT-2 calls its layers `h` and makes their maps of Conv1D.
    sizes = {"n_embd": 32, "n_layer": 4, "n_head": 4, "vocab_size": len(encoder.template.tokenizer)}
    model = GPT2LMHeadModel(GPT2Config(**sizes))
    config = AdapterConfig(rank=2, upper_share=0.5)
    assert trunk_of(model, methods.untrained_layers(model, config), [rows], encoder.prefix) is None
    names = methods.trainable(methods.attach(model, config, seed=1))
    assert {name.split(".h.")[1].split(".")[0] for name in names} == {"2", "3"}
