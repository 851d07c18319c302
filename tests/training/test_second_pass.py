"""The second pass: what is not known in other words is trained again, the same after a kill."""

import math
import shutil
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from knowledge_update import pipeline
from knowledge_update.composition import load
from knowledge_update.config import Config
from knowledge_update.run_config import stored
from knowledge_update.run_folder import RunFolder, read_json
from knowledge_update.training import second_pass
from knowledge_update.training.batching import Streams
from knowledge_update.training.pace import Pace
from knowledge_update.training.rows import Encoded
from knowledge_update.training.second_pass import SecondPass, parted, unknown_facts
from knowledge_update.training.taught import Taught, streams_of
from knowledge_update.training_config import TrainingConfig


def row(number: int) -> Encoded:
    return Encoded((number, 1, 2), (-100, 1, 2), False)


def rows_of(wordings: dict[str, int]) -> Taught:
    """So many questions of each fact, and one of no fact in particular."""
    about: list[str | None] = [fact for fact, count in wordings.items() for _ in range(count)]
    questions = [row(number) for number in range(len(about) + 1)]
    return Taught(questions, [row(900)], (), frozenset({"en"}), "digest", ([*about, None], ["a"]))


def numbers(rows: Sequence[Encoded]) -> list[int]:
    return [row.ids[0] for row in rows]


def test_wordings_are_held_back_and_asked() -> None:
    rows = rows_of({"a": 8, "b": 5, "c": 2})
    parts = parted(rows)
    assert numbers(parts.first.questions) == [0, 1, 2, 4, 5, 6, 8, 9, 10, 12, 13, 14, 15]
    assert list(parts.first.about[0]) == [*"aaaaaa", *"bbbb", *"cc", None]
    # A fact of few wordings is asked in those that are trained.
    assert {fact: numbers(asked) for fact, asked in parts.asked.items()} == {"a": [3, 7], "b": [11], "c": [13, 14]}
    assert parts.rows is rows and parts.first.texts == rows.texts


def test_a_fact_is_known_when_each_of_its_wordings_is() -> None:
    losses = {0: 0.1, 1: 0.1, 2: 0.1, 3: 0.3}
    asked = {"a": [row(0), row(1)], "b": [row(2), row(3)]}

    def loss(rows: Sequence[Encoded], count: int) -> float:
        return losses[rows[0].ids[0]]

    assert unknown_facts(asked, loss) == {"b"}
    assert unknown_facts(asked, loss, least=0.7) == set()
    assert unknown_facts(asked, loss, least=math.exp(-0.09)) == {"a", "b"}


class Asked:
    """An engine that only tells losses."""

    def __init__(self, unknown: set[int]) -> None:
        self.unknown, self.count = unknown, 0

    def agreed(self, value: float) -> float:
        return value

    def loss(self, rows: Sequence[Encoded], count: int) -> float:
        self.count += 1
        return 5.0 if rows[0].ids[0] in self.unknown else 0.0


def drawn(rows: Taught) -> Streams:
    return Streams(rows.questions, [], [])


def second(engine: Any, path: Path, share: float = 0.3, steps: float = 20) -> SecondPass:
    settings = TrainingConfig(second_pass=share, batch_rows=4, text_share=0, replay_share=0)
    parts = parted(rows_of({"a": 8, "b": 8, "c": 8, "d": 8}))
    return SecondPass(parts, drawn, settings, 3, engine, Pace(steps), path, "key")


def taken(made: SecondPass, start: int, count: int = 20) -> list[list[int]]:
    batches = made.batches(start)
    return [numbers(next(batches)) for _ in range(count)]


def test_the_second_pass_has_what_is_unknown_and_as_many_known_facts(tmp_path: Path) -> None:
    path = tmp_path / "second-pass.json"
    engine = Asked({3})
    batches = taken(second(engine, path), 0)
    first, after = ({number for batch in part for number in batch} for part in (batches[:14], batches[14:]))
    held = {3, 7, 11, 15, 19, 23, 27, 31}
    assert not first & held and first == set(range(33)) - held
    noted = read_json(path)
    assert (noted["step"], noted["unknown"], noted["key"]) == (14, ["a"], "key")
    other = (set(noted["facts"]) - {"a"}).pop()
    place = 8 * "abcd".index(other)
    # What was held back is trained now; row 32 is about no fact in particular.
    assert after == {*range(8), *range(place, place + 8), 32}
    assert engine.count <= 8


def test_what_is_unknown_is_asked_about_in_both_passes_alike(tmp_path: Path) -> None:
    settings = TrainingConfig(second_pass=0.5, batch_rows=10, text_share=0, replay_share=0, unknown_share=0.2)
    rows = replace(rows_of({"a": 8, "b": 8, "c": 8, "d": 8}), unknown=[row(number) for number in range(50, 60)])

    def drawn(rows: Taught) -> Streams:
        return streams_of(rows, [], settings)

    made = SecondPass(parted(rows), drawn, settings, 3, Asked({3}), Pace(40), tmp_path / "noted.json", "key")
    batches = taken(made, 0, 40)
    for part in (batches[:20], batches[20:]):
        unknown = [number for batch in part for number in batch if 50 <= number < 60]
        assert len(unknown) == pytest.approx(40, abs=2) and set(unknown) == set(range(50, 60))


def test_where_all_is_known_all_is_trained_on(tmp_path: Path) -> None:
    batches = taken(second(Asked(set()), tmp_path / "noted.json"), 0, 40)
    assert {number for batch in batches[14:] for number in batch} == set(range(33))


@pytest.mark.parametrize("start", [6, 13, 14, 15, 18])
def test_who_goes_on_takes_the_same_batches_and_asks_only_before_the_turn(tmp_path: Path, start: int) -> None:
    path = tmp_path / "second-pass.json"
    whole = taken(second(Asked({3, 17}), path), 0)
    # What it would be told now is something else: a turn that was is not taken again.
    engine = Asked({3, 17} if start <= 14 else {11})
    assert taken(second(engine, path), start) == whole
    assert (engine.count > 0) == (start <= 14)


def test_the_turn_of_another_training_is_none(tmp_path: Path) -> None:
    path = tmp_path / "second-pass.json"
    taken(second(Asked({3}), path), 0)
    other = second(Asked({11}), path)
    other.key = "other"
    taken(other, 18, 30)
    assert read_json(path)["unknown"] == ["b"] and read_json(path)["step"] == 18


SETTINGS = (
    "training.max_steps=8", "training.batch_tokens=120", "training.checkpoint_seconds=0", "model.dtype=float32",
    "training.replay_tokens=2", "training.second_pass=0.4", "training.unknown_share=0.2",
)  # fmt: skip


@pytest.fixture
def collected(collect: Callable[..., RunFolder]) -> tuple[Config, RunFolder]:
    folder = collect(*SETTINGS)
    return stored(folder), folder


@pytest.mark.parametrize("kill", [3, 6])
def test_a_training_of_two_passes_goes_on_after_a_kill(
    collected: tuple[Config, RunFolder], kill: int, killed_after: Callable[[int], AbstractContextManager[None]],
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    config, folder = collected
    whole = RunFolder(tmp_path / "whole")
    shutil.copytree(folder.path, whole.path)
    pipeline.run_stage(pipeline.train, config, whole)
    turn = read_json(whole.second_pass)
    # A model of chance knows nothing: all facts are trained again.
    assert turn["step"] == 4 and turn["unknown"]
    with killed_after(kill):
        pipeline.run_stage(pipeline.train, config, folder)
    asked: list[int] = []
    ask = second_pass.unknown_facts
    monkeypatch.setattr(second_pass, "unknown_facts", lambda *given: asked.append(1) or ask(*given))
    pipeline.run_stage(pipeline.train, config, folder)
    assert len(asked) == (kill == 3)
    assert np.array_equal(np.load(whole.losses), np.load(folder.losses))
    assert read_json(folder.second_pass)["facts"] == turn["facts"]


def test_a_budget_is_divided_by_time(collected: tuple[Config, RunFolder], shared_docs: Path, tiny_model: str) -> None:
    _, folder = collected
    words = [*SETTINGS, "training.max_steps=null", "training.budget=15s", "training.checkpoint_seconds=60"]
    folder.config.unlink()
    pipeline.run_stage(pipeline.train, load([f"model={tiny_model}", *words], {"documents": str(shared_docs)}), folder)
    steps, turn = len(np.load(folder.losses)), read_json(folder.second_pass)["step"]
    assert 0 < turn < steps
