"""The measurement of updates measures: what each update brings, changes and takes away, and what is counted of it."""

from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture(scope="module")
def updates(imported: Callable[[str], Any]) -> Any:
    return imported("updates")


def statements(state: Any) -> dict[str, str]:
    return {fact.id: fact.statement for facts in state.values() for fact in facts}


def test_every_update_brings_and_changes_what_it_should(updates: Any) -> None:
    plan = updates.Plan(5, 50, 10, 10, 0, ())
    states = [statements(state) for state in plan.states()]
    assert [len(state) for state in states] == [50, 90, 130, 170, 200]
    for before, after in pairwise(states):
        assert sum(before[fact] != after[fact] for fact in before.keys() & after.keys()) == 10
        assert len(after.keys() - before.keys()) == 40
    assert len(states[3].keys() - states[4].keys()) == 10
    assert plan.removed in plan.states()[3] and plan.removed not in plan.states()[4]
    # Of the first facts enough hold to the end.
    assert sum(states[4].get(fact) == said for fact, said in states[0].items()) == 30


def test_a_changed_fact_is_the_same_thing_with_another_value(updates: Any) -> None:
    for fact in updates.invented.facts(24, 3):
        new = updates.invented.changed(fact, 3)
        assert (new.id, new.backward[1], new.held_out[0]) == (fact.id, fact.backward[1], fact.held_out[0])
        assert new.held_out[1] != fact.held_out[1]
        assert new.held_out[1] in new.statement and new.statement != fact.statement
        assert new == updates.invented.changed(fact, 3)


def test_the_folder_holds_the_documents_of_a_state_alone(updates: Any, tmp_path: Path) -> None:
    first, second = updates.Plan(2, 12, 3, 4, 0, ()).states()
    updates.write(first, tmp_path)
    updates.write(second, tmp_path)
    assert {file.stem for file in tmp_path.iterdir()} == set(second)
    for name, facts in second.items():
        assert all(fact.statement in (tmp_path / f"{name}.txt").read_text(encoding="utf-8") for fact in facts)


def row(name: str, text: str, right: bool, **others: Any) -> dict[str, Any]:
    return {"set": name, "text": text, "updated": right, "base": False, "doc_id": "", "outdated": None, **others}


def test_figures_by_hand(updates: Any) -> None:
    plan = updates.Plan(2, 12, 3, 4, 0, ())
    states = plan.states()
    first, last = (statements(state) for state in states)
    kept = [said for fact, said in first.items() if last.get(fact) == said]
    removed = [fact.statement for fact in states[0][plan.removed]]
    assert (len(kept), len(removed)) == (5, 4)
    told = {"steps": 1, "train_seconds": 1.0, "figures": {"retention": {"kept": 0.9}}}
    before = [row("held_out", said, at < 4) for at, said in enumerate(kept)]
    before += [row("held_out", said, True) for said in removed]
    after = [row("held_out", said, at < 3) for at, said in enumerate(kept)]
    after += [row("superseded", "", at < 2, outdated=at == 2) for at in range(3)]
    after += [row("gone", said, False, doc_id=plan.removed) for said in removed]
    stacked = [row("held_out", said, at < 1) for at, said in enumerate(kept)]
    done = [{"rows": before, **told}, {"rows": after, **told}]
    found = updates.figures(plan, states, done, {"rows": stacked})
    assert found["first"] == {"after_first": {"n": 5, "right": 0.8}, "after_last": {"n": 5, "right": 0.6}, "left": 0.75}
    assert found["superseded"] == {"n": 3, "right": 0.6667, "outdated": 0.3333}
    assert found["removed"] == {"before": {"n": 4, "right": 1.0}, "n": 4, "base": 0.0, "updated": 0.0}
    assert found["stacked"]["first"]["left"] == 0.25
    assert [each["facts"] for each in found["updates"]] == [12, 17]


def test_updates_are_run_and_not_run_again(
    updates: Any, tiny_model: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--quick", "--out", str(tmp_path / "out"), "--json", str(tmp_path / "figures.json"), f"model={tiny_model}",
             "training.epochs=1", "training.replay_share=0", "inference.max_new_tokens=4"]  # fmt: skip
    updates.main(words)
    figures = (tmp_path / "figures.json").read_text(encoding="utf-8")
    found = updates.json.loads(figures)
    assert found["first"]["after_first"]["n"] == found["first"]["after_last"]["n"] == 5
    assert (found["superseded"]["n"], found["removed"]["n"], found["stacked"]["removed"]["n"]) == (3, 4, 4)
    made = {path: path.stat().st_mtime_ns for path in (tmp_path / "out").rglob("*.safetensors")}
    assert len(made) == 5
    # What is finished is not done again.
    updates.main(words)
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "out").rglob("*.safetensors")} == made
    assert (tmp_path / "figures.json").read_text(encoding="utf-8") == figures
    with pytest.raises(SystemExit, match="holds updates of other settings"):
        updates.main([*words, "seed=3"])
