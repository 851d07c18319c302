"""An adapter is weakened until the model is near enough to what it was; what is saved is as weak."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch

from knowledge_update import pipeline
from knowledge_update.adapters import load_adapter
from knowledge_update.composition import load
from knowledge_update.errors import ConfigError, ModelError
from knowledge_update.merging.stage import Merge, merge
from knowledge_update.models import load_model, precision
from knowledge_update.run_folder import RunFolder, read_json
from knowledge_update.training import methods, strength
from knowledge_update.training.engines import OneProcess
from knowledge_update.training.objective import packs, states_of
from knowledge_update.training.opinions import with_opinions
from knowledge_update.training.rows import Encoded, Encoder


def logits(model: Any, rows: Sequence[Encoded], encoder: Encoder) -> torch.Tensor:
    base = methods.base_of(model)
    (pack,) = packs(rows, encoder.prefix, torch.float32)
    with torch.no_grad():
        logits: torch.Tensor = base.get_output_embeddings()(states_of(base, pack)[pack.learned])
    return logits


def away(model: Any, rows: Sequence[Encoded], encoder: Encoder) -> float:
    """The KL divergence from the untouched model, over the whole vocabulary: nats a label."""
    now = torch.log_softmax(logits(model, rows, encoder), dim=1)
    with model.disable_adapter():
        before = torch.log_softmax(logits(model, rows, encoder), dim=1)
    return float((before.exp() * (before - now)).sum(1).mean())


@pytest.fixture
def strayed(model: Any, rows: list[Encoded], encoder: Encoder, astray: Callable[[], Any]) -> tuple[Any, list[Encoded]]:
    """A model whose adapter makes it say other things, and prompts with what it said before."""
    replay = with_opinions(model, rows[:3], encoder.prefix, 1.0)
    return astray(), replay


def test_the_highest_strength_within_the_limit_is_kept(
    strayed: tuple[Any, list[Encoded]], encoder: Encoder, tmp_path: Path
) -> None:
    model, replay = strayed
    engine = OneProcess(model, tuple(encoder.prefix))
    limit = strength.lowered(model, engine, replay, [], 1e3, 8).away / 3
    found = strength.lowered(model, engine, replay, [], limit, 8)
    assert 0.1 < found.value < 1 and found.validation is None
    # Told apart are the likeliest tokens alone, the others count as one: that never makes a divergence larger.
    assert 0 < found.away <= min(limit, away(model, replay, encoder))
    # One step more would have been too far.
    strength._scale(model, found.value + 0.1)
    with model.disable_adapter():
        least = engine.loss(strength._prompts(replay), 8)
    assert engine.loss(strength._prompts(replay), 8) - least > limit
    strength._scale(model, found.value)
    model.eval()
    said = logits(model, replay, encoder)
    methods.save(model, tmp_path)
    assert read_json(tmp_path / "adapter_config.json")["lora_alpha"] == pytest.approx(8 * found.value)
    fresh = load_model(model.get_base_model().config._name_or_path, precision("float32", "cpu"))
    again = logits(load_adapter(fresh, tmp_path), replay, encoder)
    torch.testing.assert_close(said, again, rtol=1e-4, atol=1e-5)


def test_where_nothing_is_near_enough_the_weakest_is_kept_and_told(
    strayed: tuple[Any, list[Encoded]], encoder: Encoder, rows: list[Encoded], caplog: pytest.LogCaptureFixture
) -> None:
    model, replay = strayed
    engine = OneProcess(model, tuple(encoder.prefix))
    loss = engine.loss(rows, 8)
    with caplog.at_level("INFO", logger="knowledge_update"):
        found = strength.lowered(model, engine, replay, rows, 1e-9, 8)
    assert found.value == strength.STRENGTHS[-1] and found.validation is not None and found.validation != round(loss, 4)
    assert "no strength down to 0.1 is within training.retention_limit=1e-09" in caplog.text


def test_a_whole_adapter_stays_whole_where_it_is_near_enough(
    strayed: tuple[Any, list[Encoded]], encoder: Encoder
) -> None:
    model, replay = strayed
    found = strength.lowered(model, OneProcess(model, tuple(encoder.prefix)), replay, [], 1e3, 8)
    assert found.value == 1.0 and model.peft_config["default"].lora_alpha == 8


def test_many_prompts_are_looked_at_in_part(strayed: tuple[Any, list[Encoded]]) -> None:
    _, replay = strayed
    assert len(strength._prompts(replay)) == 3
    assert 100 <= len(strength._prompts(replay * 100)) <= 128


@pytest.mark.parametrize(
    ("words", "needs"),
    [
        (["adapter=full"], "adapter=lora"),
        (["adapter.dora=true"], "adapter.dora=false"),
        (["training.replay_share=0"], "training.replay_share above 0"),
        (["training.keep_best=true", "training.validate=epoch"], "training.keep_best=false"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_it_needs_is_told(words: list[str], needs: str) -> None:
    with pytest.raises(ConfigError, match=f"training.retention_limit=0.1 needs {needs}"):
        strength.check(load(["training.retention_limit=0.1", *words], {"documents": "unused"}))
    strength.check(load(words, {"documents": "unused"}))


def test_it_is_part_of_a_training(
    shared_docs: Path, tiny_model: str, answer_prompts: Callable[[RunFolder], None], tmp_path: Path
) -> None:
    settings = [f"model={tiny_model}", "model.dtype=float32", "training.max_steps=4", "training.replay_tokens=4"]
    alphas = []
    for number, words in enumerate(([], ["training.retention_limit=1e-12", "training.budget=5m"])):
        folder = RunFolder(tmp_path / str(number))
        config = load([*settings, *words], {"documents": str(shared_docs)})
        pipeline.run_stage(pipeline.collect, config, folder)
        answer_prompts(folder)
        pipeline.run_stage(pipeline.train, config, folder)
        alphas.append(read_json(folder.adapter / "adapter_config.json")["lora_alpha"])
    assert alphas == [128, pytest.approx(12.8)]
    # It is merged, and trained on, as weak as it is.
    merged = merge(Merge(str(folder.path), str(tmp_path / "merged"), prompts=4))
    assert merged.verified["merged"].agreement == 1
    folder.adapter.rename(first := tmp_path / "first")
    with pytest.raises(ModelError, match=r"its adapter\.alpha is 12\.8, not 128\.0; say adapter\.alpha=12\.8$"):
        methods.check(load([f"adapter.start_from={first}", "adapter.alpha=128"], {"documents": "unused"}))
    folder.config.unlink()
    again = load([*settings, f"adapter.start_from={first}", "adapter.alpha=12.8"], {"documents": str(shared_docs)})
    pipeline.run_stage(pipeline.train, again, folder)
    assert read_json(folder.adapter / "adapter_config.json")["lora_alpha"] == alphas[1]
