"""The work of a training is counted as PyTorch counts its matmuls; the peak is one that they do not pass by far."""

import time
from typing import Any

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode
from transformers import GPT2Config, GPT2LMHeadModel

from knowledge_update.models import matmul_seconds
from knowledge_update.training import layers, lora, methods, speed
from knowledge_update.training.objective import loss_of, packs
from knowledge_update.training.rows import Encoded, Encoder
from knowledge_update.training.speed import Speedometer, Work, matmul_peak, memory, work_of
from knowledge_update.training_config import AdapterConfig
from knowledge_update.workers import workers

# Of the tiny model's layer: q, k, v, o, and three maps of the MLP.
LAYER = 32 * (32 + 16 + 16 + 32) + 3 * 32 * 64


def counted(model: Any, encoder: Encoder, rows: list[Encoded]) -> tuple[int, int, int]:
    """What PyTorch counts of a step's matmuls with weights (attention's are batched ones), its tokens and labels."""
    (pack,) = packs(rows, encoder.prefix, torch.float32)
    with FlopCounterMode(display=False) as counter:
        loss_of(model, pack).backward()
    ops = counter.get_flop_counts()["Global"]
    return (
        sum(flop for op, flop in ops.items() if str(op) in ("aten.mm", "aten.addmm")),
        pack.ids.numel(),
        len(pack.learned),
    )


def test_full_training_is_counted_as_pytorch_counts_it(model: Any, encoder: Encoder, rows: list[Encoded]) -> None:
    flop, tokens, labels = counted(model, encoder, rows)
    assert 1 < labels < tokens
    assert work_of(model).flop(tokens, labels) == flop
    assert work_of(model).token == 6 * 2 * LAYER


def test_layers_below_the_first_trained_one_cost_their_forward(
    model: Any, encoder: Encoder, rows: list[Encoded]
) -> None:
    model.requires_grad_(False)
    model.get_decoder().layers[1].requires_grad_(True)
    flop, tokens, labels = counted(model, encoder, rows)
    assert work_of(model).flop(tokens, labels) == flop
    assert work_of(model).token == (2 + 6) * LAYER
    assert work_of(model, below=1).token == 6 * LAYER


def test_lora_costs_four_a_weight(model: Any, encoder: Encoder) -> None:
    wrapped = methods.attach(model, AdapterConfig(rank=2, upper_share=1.0), seed=1)
    vocabulary = model.get_output_embeddings().weight.shape[0]
    assert work_of(wrapped) == Work(4 * 2 * LAYER, 4 * 32 * vocabulary)
    assert work_of(wrapped, below=1).token == 4 * LAYER


def test_lora_of_the_upper_layers(
    model: Any, encoder: Encoder, rows: list[Encoded], monkeypatch: pytest.MonkeyPatch
) -> None:
    # PyTorch does not count `addmm_`, by which LoRA's products are joined.
    monkeypatch.setattr(lora, "fuse", lambda model: 0)
    monkeypatch.setattr(layers, "fuse", lambda model: 0)
    rank = 3
    wrapped = methods.attach(model, AdapterConfig(rank=rank, upper_share=0.5), seed=1)
    assert work_of(wrapped).token == (2 + 4) * LAYER
    flop, tokens, labels = counted(wrapped.get_base_model(), encoder, rows)
    # What is not counted: LoRA's own products; and what is counted but not done: the gradient of the first input.
    maps = [module.weight.shape for name, module in wrapped.named_modules() if name.endswith("base_layer")]
    own = sum(6 * rank * (out + into) for out, into in maps)
    first = 2 * 32 * (32 + 16 + 16) + 3 * 2 * rank * 32
    assert work_of(wrapped).flop(tokens, labels) == flop - (own - first) * tokens


def test_maps_of_other_architectures_are_counted(encoder: Encoder) -> None:
    model = GPT2LMHeadModel(GPT2Config(n_embd=16, n_layer=2, n_head=2, vocab_size=50))
    assert work_of(model) == Work(6 * 2 * 12 * 16 * 16, 6 * 16 * 50)


def test_the_peak_is_measured_in_two_seconds() -> None:
    start = time.perf_counter()
    peak = matmul_peak(torch.float32)
    # On a machine that is busy otherwise it takes longer.
    assert time.perf_counter() - start < 20
    wide = 2 * 512**3 / min(matmul_seconds(512, torch.float32, "cpu", 9))
    assert 0.05 * peak < wide < 20 * peak


def test_a_slow_type_is_measured_on_small_matmuls(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []
    monkeypatch.setattr(speed, "SETTLED", 0.0)
    matmul_peak.cache_clear()

    def slow(width: int, dtype: Any, device: str, repeats: int) -> list[float]:
        asked.append(width)
        return [width**3 * 0.5e-9] * repeats

    monkeypatch.setattr(speed, "matmul_seconds", slow)
    assert matmul_peak(torch.bfloat16) == pytest.approx(4e9)
    assert asked == [256, 512, 512]
    matmul_peak.cache_clear()
    monkeypatch.setattr(speed, "matmul_seconds", lambda width, *_: asked.append(width) or [1e-5])
    assert matmul_peak(torch.bfloat16) == pytest.approx(2 * 2048**3 * 1e5)
    matmul_peak.cache_clear()


def test_threads_that_were_just_made_do_not_slow_the_peak() -> None:
    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    # While others have the cores, threads wait for each other however long they have been there: tried again.
    steady = any(max(peaks) < 5 * min(peaks) for peaks in ([_fresh_peak() for _ in range(4)] for _ in range(5)))
    matmul_peak.cache_clear()
    torch.set_num_threads(threads)
    assert steady


def _fresh_peak() -> float:
    """The peak right after other threads have computed."""
    with workers("cpu") as hands:
        for done in [hands.start(torch.mm, torch.ones(300, 300), torch.ones(300, 300)) for _ in range(20)]:
            done.result()
    matmul_peak.cache_clear()
    return matmul_peak(torch.float32)


def test_memory_is_what_this_process_holds() -> None:
    before = memory()
    held = torch.ones(64 * 2**20, dtype=torch.float32)
    assert 0.9 * held.nbytes < memory() - before < 1.5 * held.nbytes


def test_the_line_is_of_the_last_steps() -> None:
    meter = Speedometer(Work(token=100.0, label=1000.0), peak=1e5, last=2)
    meter.add(rows=100, tokens=10_000, labels=10, seconds=0.1)
    for _ in range(2):
        meter.add(rows=4, tokens=100, labels=10, seconds=0.5)
    figures = meter.figures()
    assert (figures["rows_per_second"], figures["tokens_per_second"], figures["peak_share"]) == (8.0, 200.0, 0.4)
    assert meter.line().startswith("8.0 rows/s, 200 tokens/s, 40% of the matmul peak, ")
    assert "peak" not in Speedometer(Work(1.0, 1.0), 0.0, _steps=[(1, 1, 1.0, 1.0)]).line()
