"""Answers for replay: asked once a model, kept for the run and for later ones."""

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from knowledge_update.composition import load
from knowledge_update.config import Config
from knowledge_update.evaluation.exam import RETENTION
from knowledge_update.models import load_model, load_tokenizer, precision
from knowledge_update.run_folder import RunFolder, read_rows
from knowledge_update.templates import ChatTemplate
from knowledge_update.training import replay
from knowledge_update.training.replay import replayed

PROMPTS = [
    {"id": "p1", "lang": "en", "prompt": "Which language do most people speak in Sweden?"},
    {"id": "p2", "lang": "en", "prompt": "Name a fruit."},
    {"id": "p3", "lang": "zh", "prompt": "瑞典人说什么语言？"},
]


@pytest.fixture
def prompts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("KUPDATE_CACHE", str(tmp_path / "cache"))
    path = tmp_path / "prompts.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in PROMPTS))
    monkeypatch.setattr(replay, "PROMPTS", path)
    return path


@pytest.fixture
def config(tiny_model: str) -> Config:
    return load([f"model={tiny_model}", "model.dtype=float32", "training.replay_tokens=4"])


@pytest.fixture
def model(tiny_model: str) -> Any:
    return load_model(tiny_model, precision("float32", "cpu"))


@pytest.fixture
def template(tiny_model: str) -> ChatTemplate:
    return ChatTemplate(load_tokenizer(tiny_model))


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The ids that the model was asked, in order."""
    seen: list[str] = []
    whole = replay.question_prompts

    def noted(template: Any, questions: list[tuple[str, str]]) -> Any:
        seen.extend(name for name, _ in questions)
        return whole(template, questions)

    monkeypatch.setattr(replay, "question_prompts", noted)
    return seen


def test_a_model_is_asked_once(
    prompts: Path, config: Config, model: Any, template: ChatTemplate, asked: list[str], tmp_path: Path
) -> None:
    one, other = RunFolder(tmp_path / "one"), RunFolder(tmp_path / "other")
    rows = replayed(model, template, config, one, {"en"})
    assert asked == ["p1", "p2"]
    assert replayed(model, template, config, other, {"en"}) == rows
    assert asked == ["p1", "p2"] and other.replay.read_bytes() == one.replay.read_bytes()
    # Another language is asked for, what is known is not.
    replayed(model, template, config, other, {"zh"})
    assert asked == ["p1", "p2", "p3"]
    replayed(model, template, config, RunFolder(tmp_path / "third"), {"en", "zh"})
    assert asked == ["p1", "p2", "p3"]


def test_what_answers_depend_on_is_asked_anew(
    prompts: Path, config: Config, model: Any, template: ChatTemplate, asked: list[str], tmp_path: Path
) -> None:
    replayed(model, template, config, RunFolder(tmp_path / "one"), {"en"})
    asked.clear()
    config.training.replay_tokens = 5
    replayed(model, template, config, RunFolder(tmp_path / "two"), {"en"})
    assert asked == ["p1", "p2"]
    asked.clear()
    prompts.write_text(prompts.read_text().replace("a fruit", "a tree"))
    replayed(model, template, config, RunFolder(tmp_path / "two"), {"en"})
    assert asked == ["p2"]


def test_a_cache_that_cannot_be_written_costs_nothing_but_time(
    prompts: Path, config: Config, model: Any, template: ChatTemplate, asked: list[str], tmp_path: Path
) -> None:
    (tmp_path / "cache").write_text("no folder")
    folder = RunFolder(tmp_path / "one")
    replayed(model, template, config, folder, {"en"})
    assert len(read_rows(folder.replay)) == 2
    replayed(model, template, config, folder, {"en"})
    assert asked == ["p1", "p2"]


def test_as_many_as_asked_for_or_as_the_time_allows(
    prompts: Path, config: Config, model: Any, template: ChatTemplate, asked: list[str], tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    one = replace(config, training=replace(config.training, replay_prompts=1))
    replayed(model, template, one, RunFolder(tmp_path / "one"), {"en"})
    assert asked == ["p1"]
    # Two a second of a budget, and never fewer than some.
    many = [{"id": f"q{number:03}", "lang": "en", "prompt": f"Say {number}."} for number in range(20)]
    prompts.write_text("".join(json.dumps(row) + "\n" for row in many))
    monkeypatch.setattr(replay, "_LEAST", 4)
    for budget, count in (("1s", 4), ("5s", 10), ("1h", 20)):
        timed = replace(config, budget=budget)
        assert len(replayed(model, template, timed, RunFolder(tmp_path / budget), {"en"})) <= count
        assert len(read_rows(RunFolder(tmp_path / budget).replay)) == count


def _meant(question: str) -> frozenset[str]:
    """The words that tell a question from another of its form."""
    filled = "the a an of is are was in to do does did you what which who how many much for there it we our call called"
    words = re.findall(r"[a-z0-9+*/-]+", question.lower())
    return frozenset(word.rstrip("s") for word in words if word not in filled.split())


def test_nothing_is_replayed_that_the_exam_asks() -> None:
    asked = {_meant(row["question"]) for row in read_rows(RETENTION)}
    given = read_rows(replay.PROMPTS)
    assert len({row["prompt"] for row in given}) == len({row["id"] for row in given}) == len(given) > 2_000
    assert not [row for row in given if row["lang"] == "en" and _meant(row["prompt"]) in asked]
