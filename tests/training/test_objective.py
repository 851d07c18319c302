"""A pack is worth what its rows are worth one by one, and the fused LoRA layer is PEFT's."""

import copy
from dataclasses import replace
from typing import Any

import pytest
import torch
from peft import LoraConfig, get_peft_model

from knowledge_update.training import methods
from knowledge_update.training.lora import fuse
from knowledge_update.training.objective import loss_of, packs
from knowledge_update.training.opinions import with_opinions
from knowledge_update.training.rows import IGNORED, Encoded, Encoder, Opinion, Weighed
from knowledge_update.training_config import AdapterConfig


def plain_loss(model: Any, row: Encoded, prefix: tuple[int, ...]) -> torch.Tensor:
    """The cross-entropy of one row, computed the long way."""
    head = prefix if row.shared else ()
    ids = torch.tensor([[*head, *row.ids]])
    labels = torch.tensor([*(IGNORED,) * len(head), *row.labels])
    logits = model(input_ids=ids).logits[0, :-1]
    return torch.nn.functional.cross_entropy(logits, labels[1:], ignore_index=IGNORED, reduction="sum")


def test_a_pack_is_its_rows(model: Any, encoder: Encoder, rows: list[Encoded]) -> None:
    rows = Weighed(rows, 0.5)
    assert {row.shared for row in rows} == {True, False}
    (pack,) = packs(rows, encoder.prefix, torch.float32)
    together = loss_of(model, pack)
    together.backward()
    gradients = {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}
    model.zero_grad()
    alone = sum(plain_loss(model, row, encoder.prefix) * row.weight for row in rows)
    assert isinstance(alone, torch.Tensor)
    alone.backward()
    torch.testing.assert_close(together, alone)
    for name, p in model.named_parameters():
        torch.testing.assert_close(gradients[name], p.grad, rtol=1e-3, atol=1e-5, msg=name)


def test_soft_labels_of_one_certain_candidate_are_hard_labels(
    model: Any, encoder: Encoder, rows: list[Encoded]
) -> None:
    (row,) = rows[:1]
    labels = torch.tensor([label for label in row.labels if label != IGNORED])
    ids = torch.stack([labels, (labels + 1) % 50], dim=1)
    certain = torch.tensor([[1.0, 0.0]]).expand(len(labels), -1)
    soft = replace(row, opinion=Opinion(ids, certain, torch.ones(len(row.ids) - 1, 32), pull=0.0))
    losses = [loss_of(model, pack) for one in (row, soft) for pack in packs([one], encoder.prefix, torch.float32)]
    torch.testing.assert_close(*losses)


def test_a_model_that_agrees_with_its_teacher_stays_as_it_is(model: Any, encoder: Encoder, rows: list[Encoded]) -> None:
    agreeing = with_opinions(model, rows, encoder.prefix, pull=2.0)
    loss: Any = sum(loss_of(model, pack) for pack in packs(agreeing, encoder.prefix, torch.float32))
    loss.backward()
    assert max(float(p.grad.abs().max()) for p in model.parameters() if p.grad is not None) < 1e-4
    model.zero_grad()
    hard: Any = sum(loss_of(model, p) for p in packs(rows, encoder.prefix, torch.float32))
    hard.backward()
    assert max(float(p.grad.abs().max()) for p in model.parameters() if p.grad is not None) > 1e-1


def test_straying_from_the_teachers_states_is_a_share_of_them(
    model: Any, encoder: Encoder, rows: list[Encoded]
) -> None:
    taught = Weighed(with_opinions(model, rows, encoder.prefix, pull=3.0), 0.5)
    tokens = sum((len(row.ids) - 1) * row.weight for row in taught)
    (pack,) = packs([*taught, rows[0]], encoder.prefix, torch.float32)
    (agreed,) = packs(
        [*(replace(r, opinion=replace(r.opinion, pull=0.0)) for r in taught), rows[0]], encoder.prefix, torch.float32
    )
    with torch.no_grad():
        assert float(loss_of(model, pack)) == pytest.approx(float(loss_of(model, agreed)), rel=1e-5)
        # A model whose states are a tenth too long strays by a hundredth everywhere.
        norm = model.get_decoder().norm
        norm.weight.mul_(1.1)
        away = float(loss_of(model, pack) - loss_of(model, agreed))
    assert away == pytest.approx(3.0 * 0.01 * tokens, rel=1e-4)


def test_the_fused_layer_is_pefts(model: Any, encoder: Encoder, rows: list[Encoded]) -> None:
    config = LoraConfig(r=4, lora_alpha=8, target_modules="all-linear", task_type="CAUSAL_LM", init_lora_weights=False)
    torch.manual_seed(3)
    plain = get_peft_model(model, config)
    fused = copy.deepcopy(plain)
    assert fuse(fused) == 14
    found = []
    for wrapped in (plain, fused):
        for pack in packs(rows, encoder.prefix, torch.float32):
            loss_of(wrapped.get_base_model(), pack).backward()
        found.append({name: tensor.grad for name, tensor in methods.trainable(wrapped).items()})
    for name, gradient in found[0].items():
        torch.testing.assert_close(gradient, found[1][name], rtol=1e-4, atol=1e-6, msg=name)


def test_every_linear_layer_but_the_head_is_adapted(model: Any) -> None:
    wrapped = methods.attach(model, AdapterConfig(rank=2), seed=0)
    adapted = {name.split(".lora_")[0].rsplit(".", 1)[1] for name in methods.trainable(wrapped)}
    assert adapted == {"q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"}


def test_the_last_label_ends_the_turn(encoder: Encoder, rows: list[Encoded]) -> None:
    for row in rows:
        assert row.labels[-1] in encoder.template.end_ids
