"""The measurement of training measures: the same rows for all, turns, and figures that can be worked out by hand."""

import json
import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from knowledge_update.models import load_tokenizer
from knowledge_update.templates import ChatTemplate
from knowledge_update.training.rows import Encoder


@pytest.fixture(scope="module")
def parts(imported: Callable[[str], Any]) -> Any:
    return imported("training")


@pytest.fixture
def task(parts: Any, tiny_model: str, tmp_path: Path) -> Path:
    """Questions and the settings to train a tiny model on them, two rows a step."""
    encoder = Encoder(ChatTemplate(load_tokenizer(tiny_model)))
    made = parts.rows.made("short", encoder, 8)
    settings = parts.rows.Settings(tiny_model, 2, rank=2, alpha=4)
    hashed = parts.rows.digest(made)
    path = tmp_path / "task.json"
    path.write_text(
        json.dumps({"settings": asdict(settings), "prefix": list(encoder.prefix), "hash": hashed, "rows": made})
    )
    return path


def test_all_rows_begin_alike_and_learn_their_answer_alone(task: Path) -> None:
    read = json.loads(task.read_text())
    prefix = read["prefix"]
    assert len(read["rows"]) == 8
    for row in read["rows"]:
        learned = [label for label in row["labels"] if label != -100]
        assert row["input_ids"][: len(prefix)] == prefix
        assert row["input_ids"][-len(learned) :] == learned
        assert 0 < len(learned) < len(row["input_ids"]) - len(prefix)


def test_long_rows_are_text_of_one_length(parts: Any, tiny_model: str) -> None:
    made = parts.rows.made("long", Encoder(ChatTemplate(load_tokenizer(tiny_model))), 3)
    assert {len(row["input_ids"]) for row in made} == {512}
    assert all(row["labels"] == [-100, *row["input_ids"][1:]] for row in made)
    assert len({parts.rows.digest([row]) for row in made}) == 3


def test_the_work_of_a_step_by_hand(parts: Any) -> None:
    rows = [{"input_ids": [1] * 10, "labels": [-100] * 7 + [1] * 3}, {"input_ids": [1] * 6, "labels": [-100] * 5 + [1]}]
    # A prefix of 4, then 5 and 1 tokens that are read; 4 labels.
    assert parts.step_flops(rows, 4, body=100, head=10) == 4 * 100 * 10 + 4 * 10 * 4


def test_the_level_is_the_highest_that_both_reach(parts: Any) -> None:
    curves = {"ours": [(10, 0.2), (20, 0.5), (30, 0.4)], "other": [(60, 0.1), (90, 0.45), (120, 0.5), (150, 0.7)]}
    found = parts.knowledge.figures(curves)
    assert (found["level"], found["ours"], found["other"]) == (0.5, 20, 120)
    assert parts.knowledge.figures({"ours": {"error": "no"}}) == {"curves": {"ours": {"error": "no"}}}


def test_arms_take_turns_on_the_same_rows_and_lose_the_same(parts: Any, task: Path) -> None:
    """Two real arms: our loop and the plain one."""
    ours = parts.Arm("ours", Path(sys.executable), "train_ours.py", steps=2)
    plain = parts.Arm("plain", Path(sys.executable), "train_reference.py", steps=2, turns=1)
    gone = parts.Arm("gone", Path("/no/such/python"), "train_ours.py")
    expected = {task: json.loads(task.read_text())["hash"]}
    *_, found = parts.interleaved([(arm, task) for arm in (ours, plain, gone)], expected, 2)
    assert "/no/such/python" in found["gone"].error
    assert [len(found[name].turns) for name in ("ours", "plain")] == [2, 1]
    assert found["plain"].losses == pytest.approx(found["ours"].losses[:3], abs=1e-4)
    assert all(turn["memory"] > -0.1 for turn in found["ours"].turns)
    assert min(found["ours"].rates(2)) > 0
    assert found["ours"].about["versions"]["torch"] == found["plain"].about["versions"]["torch"]


def test_an_arm_that_holds_other_rows_is_told(parts: Any, task: Path) -> None:
    ours = parts.Arm("ours", Path(sys.executable), "train_ours.py")
    *_, found = parts.interleaved([(ours, task)], {task: "another"}, 1)
    assert "other rows" in found["ours"].error
    assert found["ours"].turns == []
