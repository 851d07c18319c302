"""What is forgotten on the way: looked at by prompts and texts that nothing is trained on."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import pytest
import torch

from knowledge_update import pipeline
from knowledge_update.evaluation import plots
from knowledge_update.models import load_model, precision
from knowledge_update.run_config import stored
from knowledge_update.run_folder import RunFolder, read_rows
from knowledge_update.training import methods, retention
from knowledge_update.training.engines import OneProcess
from knowledge_update.training.opinions import CANDIDATES
from knowledge_update.training.retention import Retention, Watched, apart
from knowledge_update.training.rows import IGNORED, Encoded, Encoder
from knowledge_update.training_config import AdapterConfig

LANGUAGES = frozenset({"en", "zh"})


def chats(count: int) -> list[Encoded]:
    return [Encoded((number, 1), (IGNORED, 1), False) for number in range(count)]


def test_what_is_looked_at_is_not_replayed(encoder: Encoder) -> None:
    given = chats(465)
    kept, watched = apart(given, LANGUAGES, encoder, 8)
    assert 32 <= len(watched.prompts) <= 40
    assert sorted([*kept, *watched.prompts], key=lambda row: row.ids) == given
    # From all of it, not from its beginning.
    places = [row.ids[0] for row in watched.prompts]
    assert places[0] < 14 and places[-1] > 450
    assert len(watched.texts) == len(read_rows(retention.TEXTS)) > len(apart(given, {"en"}, encoder, 8)[1].texts) > 5


def test_few_prompts_are_all_replayed_and_without_points_nothing_is_looked_at(encoder: Encoder) -> None:
    kept, watched = apart(chats(127), LANGUAGES, encoder, 8)
    assert len(kept) == 127 and not watched.prompts and watched.texts
    assert apart(chats(465), LANGUAGES, encoder, 0) == (chats(465), Watched())


@pytest.fixture
def watched(model: Any, encoder: Encoder, rows: list[Encoded]) -> Watched:
    texts = encoder.encode_all(
        [{"text": "The lighthouse of Tolvick was built in 1874."}, {"text": "灯塔建于一八七四年。"}]
    )
    return Watched(rows[:3], texts).judged(model, encoder.prefix, None)


def perplexity(model: Any, texts: Sequence[Encoded]) -> float:
    """By transformers' own loss, every token counting the same."""
    loss, tokens = 0.0, 0
    for row in texts:
        ids = torch.tensor([row.ids])
        with torch.no_grad():
            loss += float(model(input_ids=ids, labels=ids).loss) * row.learned
        tokens += row.learned
    return math.exp(loss / tokens)


def test_the_untouched_model_is_where_it_was(watched: Watched, model: Any, encoder: Encoder) -> None:
    wrapped = methods.attach(model, AdapterConfig(rank=4, upper_share=1.0), seed=1)
    found = Retention(watched, OneProcess(wrapped, tuple(encoder.prefix)), 8, 2).measured()
    assert found["kl"] == pytest.approx(0, abs=1e-5)
    assert found["perplexity"] == pytest.approx(perplexity(wrapped, watched.texts), rel=1e-3)


def _coarse(probabilities: torch.Tensor, likeliest: torch.Tensor) -> torch.Tensor:
    """Those of the likeliest tokens, and of all others together."""
    chosen = probabilities[likeliest].double()
    return torch.cat([chosen, 1 - chosen.sum(0, keepdim=True)])


def divergence(before: torch.Tensor, now: torch.Tensor) -> float:
    return float((before * (before / now).log()).sum())


def test_another_model_is_as_far_away_as_it_is(
    watched: Watched, astray: Callable[[], Any], tiny_model: str, encoder: Encoder
) -> None:
    wrapped = astray()
    found = Retention(watched, OneProcess(wrapped, tuple(encoder.prefix)), 8, 2).measured()
    base = load_model(tiny_model, precision("float32", "cpu"))
    away: list[float] = []
    for row in watched.prompts:
        ids = torch.tensor([[*(encoder.prefix if row.shared else ()), *row.ids]])
        with torch.no_grad():
            before, now = (torch.softmax(each(input_ids=ids).logits[0], dim=1) for each in (base, wrapped))
        shift = ids.shape[1] - len(row.ids)
        for place, label in enumerate(row.labels[1:], shift):
            if label != IGNORED:
                likeliest = before[place].topk(CANDIDATES).indices
                away.append(divergence(_coarse(before[place], likeliest), _coarse(now[place], likeliest)))
    assert found["kl"] == pytest.approx(sum(away) / len(away), rel=0.02) and found["kl"] > 1e-3
    assert found["perplexity"] == pytest.approx(perplexity(wrapped, watched.texts), rel=1e-3)


def test_it_is_looked_at_as_often_as_wanted(watched: Watched, astray: Callable[[], Any], encoder: Encoder) -> None:
    made = Retention(watched, OneProcess(astray(), tuple(encoder.prefix)), 4, 8)
    made.measured()
    assert [step for step in range(1, 21) if made.due(step / 20)] == [5, 10, 15, 20]
    again = Retention(watched, made.engine, 4, 8)
    assert [step for step in range(6, 21) if again.due(step / 20)] == [10, 15, 20]


def test_a_training_tells_what_it_takes_and_the_report_draws_it(
    collect: Callable[..., RunFolder], answer_prompts: Callable[..., None], caplog: pytest.LogCaptureFixture
) -> None:
    words = ["training.max_steps=6", "training.epochs=9", "model.dtype=float32", "training.replay_tokens=4"]
    folder = collect(*words, "training.retention_points=3", "optimizer.learning_rate=0.01")
    answer_prompts(folder, 140)
    with caplog.at_level("INFO", logger="knowledge_update"):
        pipeline.run_stage(pipeline.train, stored(folder), folder)
    told = [row for row in read_rows(folder.metrics) if "kl" in row]
    assert [row["step"] for row in told] == [0, 2, 4, 6]
    assert told[0]["kl"] < 1e-4 < told[-1]["kl"]
    assert told[0]["perplexity"] != told[-1]["perplexity"]
    assert f"a perplexity of {told[-1]['perplexity']:.2f} ({told[0]['perplexity']:.2f} before)" in caplog.text
    # Of the steps that are made, not of those that nine passes would come to.
    assert "the rate rises over 0 of 6 steps" in caplog.text
    drawn = plots.retention(folder)
    assert [plot.caption.partition(":")[0] for plot in drawn] == [*plots.WATCHED.values()]
    assert drawn[1].caption.endswith(f"{told[-1]['perplexity']:.3g} at step 6.")


def test_without_a_look_nothing_is_told(collect: Callable[..., RunFolder]) -> None:
    folder = collect(
        "training.max_steps=2", "model.dtype=float32", "training.replay_share=0", "training.retention_points=0"
    )
    pipeline.run_stage(pipeline.train, stored(folder), folder)
    assert not [row for row in read_rows(folder.metrics) if "kl" in row or "perplexity" in row]
    assert plots.retention(folder) == []
