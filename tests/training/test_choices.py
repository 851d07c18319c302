"""What is chosen by size: today's for the embedded model, less rate for wider ones, more rank for many facts."""

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from knowledge_update import display, pipeline
from knowledge_update.composition import load
from knowledge_update.config import Config
from knowledge_update.ledger import Ledger
from knowledge_update.models import EMBEDDED, configuration, resolve
from knowledge_update.run_folder import RunFolder, read_json
from knowledge_update.training import choices
from knowledge_update.training.batching import Streams
from knowledge_update.training.choices import Size, chosen, fitting, in_turn, rank_for, rate_for, too_many
from knowledge_update.training.rows import Encoded
from knowledge_update.training.speed import Work
from knowledge_update.training_config import AdapterConfig, OptimizerConfig, TrainingConfig

# A fact of 15 tokens, as the embedded model reads them; its upper ten layers.
SMALL = Size(190, 15 * math.log2(49152), 576, 1536, 10)
LARGE = Size(190, 15 * math.log2(128256), 4096, 14336, 11)


def test_the_embedded_model_has_what_was_measured() -> None:
    model = configuration(resolve(EMBEDDED))
    assert choices.size_of(model, AdapterConfig(), 190, 15.0) == SMALL
    config, reasons = chosen(Config(), SMALL)
    assert (config.adapter.rank, config.optimizer.learning_rate) == (64, 1.5e-3)
    assert config == replace(Config(), adapter=AdapterConfig(rank=64), optimizer=OptimizerConfig(learning_rate=1.5e-3))
    assert [line.split(" for ")[0] for line in reasons] == ["rank 64", "learning rate 0.0015"]
    assert all("sets it" in line for line in reasons)
    assert too_many(SMALL, config.adapter) == ""


def test_what_is_named_is_taken_without_a_word() -> None:
    config = load(["adapter.rank=8", "optimizer.learning_rate=2e-4"])
    assert chosen(config, LARGE) == (config, [])
    # An adapter that is trained on has its rank.
    going_on = load(["adapter.start_from=somewhere", "optimizer.learning_rate=2e-4"])
    assert chosen(going_on, SMALL) == (going_on, [])


def test_wider_models_get_lower_rates() -> None:
    rates = [rate_for(replace(SMALL, width=width)) for width in (32, 576, 2048, 4096, 8192)]
    assert rates == [1.5e-3, 1.5e-3, 5.6e-4, 3.2e-4, 1.9e-4]
    assert rate_for(SMALL, full=True) == 1.5e-4
    config, (reason,) = chosen(load(["adapter=full"]), SMALL)
    assert (config.adapter.rank, config.optimizer.learning_rate) == (None, 1.5e-4)
    assert "trained whole" in reason


@pytest.mark.parametrize(
    ("size", "facts", "rank"),
    [(SMALL, 10, 64), (SMALL, 1000, 64), (SMALL, 1001, 128), (SMALL, 100_000, 256), (SMALL, 10_000_000, 256),
     (LARGE, 10, 32), (LARGE, 1000, 32), (LARGE, 1001, 64), (LARGE, 200_000, 64)],
)  # fmt: skip
def test_more_facts_get_a_higher_rank(size: Size, facts: int, rank: int) -> None:
    assert rank_for(replace(size, facts=facts)) == rank


def test_what_can_be_held_by_hand() -> None:
    # Three maps a layer between 576 and 1536: their A and B have 2,112 a rank; 2.43 bits each, 233.8 bits a fact.
    assert SMALL.held(AdapterConfig(rank=64)) == int(2.43 * 3 * 10 * 2112 * 64 / SMALL.bits) == 42_150
    many = replace(SMALL, facts=1_000_000)
    told = too_many(many, AdapterConfig(rank=256))
    assert told.startswith("1,000,000 facts are more than an adapter of rank 256 can be expected to hold (about 168,60")
    assert too_many(many, AdapterConfig(rank=256, start_from="x")) == ""


def rows(count: int, tokens: int, labels: int) -> list[Encoded]:
    ids = tuple(range(tokens))
    return [Encoded(ids, (-100,) * (tokens - labels) + ids[tokens - labels :], True)] * count


def test_exposures_by_hand() -> None:
    settings = TrainingConfig(text_share=0.25, replay_share=0.25)
    streams = Streams(rows(40, 20, 5), rows(10, 10, 9), rows(10, 30, 10))
    # Half questions of 20 tokens and 5 labels, a quarter texts, a quarter replay: 20 tokens and 7.25 labels a row.
    each = 20 * 3.0 + 7.25 * 2.0
    found = choices.exposures(streams, settings, Work(3.0, 2.0), flops=1000 * each, facts=10)
    assert found == pytest.approx(choices.SPEED * 1000 * 0.5 / 10)
    # A quarter more asks about what is not known: a row costs 21.25 tokens and 7.25 labels, one of four is a question.
    streams, settings = replace(streams, unknown=rows(3, 25, 5)), replace(settings, unknown_share=0.25)
    found = choices.exposures(streams, settings, Work(3.0, 2.0), flops=1000 * (21.25 * 3.0 + 7.25 * 2.0), facts=10)
    assert found == pytest.approx(choices.SPEED * 1000 * 0.25 / 10)


def test_as_many_facts_are_taught_as_are_asked_often_enough() -> None:
    assert [fitting(100, often) for often in (24.0, 12.0, 6.0, 0.01)] == [100, 100, 50, 1]


def test_beginnings_come_before_the_rest() -> None:
    assert in_turn(["a", "a", "a", "b", "c", "c"]) == [0, 3, 4, 1, 5, 2]


def test_a_short_time_teaches_the_first_facts_and_names_the_others(
    shared_docs: Path,
    tiny_model: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    words = [f"model={tiny_model}", "training.budget=5s", "model.dtype=float32", "training.replay_share=0"]
    config, folder = load(words, {"documents": str(shared_docs)}), RunFolder(tmp_path / "run")
    pipeline.run_stage(pipeline.collect, config, folder)
    with Ledger(folder.ledger) as ledger:
        facts = [(known.fact.text, known.doc_id) for known in ledger.facts()]
    count = 5

    def few(*_: Any, **__: Any) -> float:
        return choices.LEAST_EXPOSURES * (count + 0.5) / len(facts)

    monkeypatch.setattr(choices, "exposures", few)
    monkeypatch.setattr(display.log, "propagate", True)
    with caplog.at_level("INFO", logger="knowledge_update"):
        pipeline.run_stage(pipeline.train, config, folder)
    # A handler that another test left may tell it a second time.
    told = {record.getMessage() for record in caplog.records if "the time is enough" in record.getMessage()}
    assert len(told) == 1 and f"enough for {count} of {len(facts)} facts" in told.pop()
    with Ledger(folder.ledger) as ledger:
        dropped = {drop.item for drop in ledger.drops() if drop.stage == "train"}
    assert len(dropped) == len(facts) - count
    kept = [doc_id for text, doc_id in facts if text not in dropped]
    assert {doc_id: kept.count(doc_id) for doc_id in set(kept)} == {"dunhask": 2, "tolvick": 2, "varrow": 1}
    assert read_json(folder.training_arguments)["settings"]["adapter"]["rank"] == 64
    # With time for all of them nothing is left out, and nothing remembered of it.
    monkeypatch.setattr(choices, "exposures", lambda *_: 100.0)
    pipeline.train(replace(config, seed=1), folder)
    with Ledger(folder.ledger) as ledger:
        assert [drop for drop in ledger.drops() if drop.stage == "train"] == []
