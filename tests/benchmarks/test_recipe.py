"""The comparison of recipes compares: what is asked, the arms' settings, what is finished, and figures by hand."""

import argparse
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from knowledge_update.composition import load
from knowledge_update.errors import KnowledgeUpdateError
from knowledge_update.run_folder import RunFolder, read_json, read_rows

SETTINGS = (
    "training.epochs=1", "training.replay_share=0", "adapter.rank=2", "inference.max_new_tokens=4",
    "evaluation.retention=false",
)  # fmt: skip


@pytest.fixture(scope="module")
def recipe(imported: Callable[[str], Any]) -> Any:
    return imported("recipe")


@pytest.fixture(scope="module")
def course(recipe: Any, tiny_model: str, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Twenty-four invented facts, collected, the tiny model asked."""
    place = tmp_path_factory.mktemp("recipe")
    corpus = recipe.corpora.of_invented(place / "documents", 24)
    made = recipe.Course(corpus, place, (*SETTINGS, f"model.name={tiny_model}"))
    made.prepare()
    return made


def test_a_fact_is_asked_once_as_nothing_is_trained_and_of_every_other_document_backwards(course: Any) -> None:
    questions = read_rows(course.place / "questions.jsonl")
    forward = [row for row in questions if row.get("kind") != "reversed"]
    assert len({row["id"].partition("-")[0] for row in forward}) == len(forward) > 20
    backward = [row for row in questions if row.get("kind") == "reversed"]
    assert {row["doc_id"] for row in backward} == {"gazetteer-02"}
    assert len(backward) > 8
    trained = [row for row in read_rows(course.collected.dataset("train")) if "messages" in row]
    asked = {row["messages"][0]["content"].lower() for row in trained}
    assert len(asked) > 100
    assert not asked & {row["question"].lower() for row in questions}
    collected = read_rows(course.collected.dataset("questions"))
    assert [row["id"] for row in collected] == [row["id"] for row in questions]


def test_of_a_group_the_first_is_asked_that_is_worded_like_nothing_trained(recipe: Any) -> None:
    rows = [
        {"id": "1", "group": "a", "question": "Who founded the Kifarada Observatory?"},
        {"id": "2", "group": "a", "question": "Name the founder of it."},
        {"id": "3", "group": "a", "question": "Whose is it?"},
        {"id": "4", "question": "Who founded the Kifarada Observatory?"},
    ]
    kept = recipe.corpora.chosen(rows, ["Who founded The Kifarada Observatory?"])
    assert [row["id"] for row in kept] == ["2", "4"]
    assert [row["id"] for row in recipe.corpora.chosen(rows, [])] == ["1", "4"]


def test_other_corpora_are_cut_titled_and_left_out_where_their_questions_name_nothing(
    recipe: Any, tmp_path: Path
) -> None:
    def write(name: str, documents: list[dict[str, Any]], questions: list[dict[str, Any]]) -> None:
        (tmp_path / name).mkdir()
        for file, rows in (("documents", documents), ("questions", questions)):
            (tmp_path / name / f"{file}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")

    documents = [{"doc_id": f"d{at}", "title": f"T{at}", "text": "x"} for at in range(3)]
    write(
        "plain", documents, [{"id": f"q{at}", "doc_id": f"d{at}", "question": "Who?", "answer": "I"} for at in range(3)]
    )
    named = [
        {"id": "a", "doc_id": "d0", "question": "何时？", "answers": ["一"], "names_subject": at}
        for at in (True, False)
    ]
    write("named", documents, named)
    (tmp_path / "other").mkdir()
    first, second = recipe.corpora.of_data(tmp_path, 2)
    assert (first.name, second.name) == ("named-2", "plain-2")
    assert [row["question"] for row in first.questions] == ["何时？"]
    assert [row["question"] for row in second.questions] == ['In the article "T0": Who?', 'In the article "T1": Who?']
    assert second.settings == ("reader.limit=2",)
    assert recipe.corpora.of_data(tmp_path / "plain", None)[0].name == "plain"
    with pytest.raises(FileNotFoundError, match=r"has documents\.jsonl"):
        recipe.corpora.of_data(tmp_path / "other", None)


def test_every_lever_composes_and_changes_something(recipe: Any) -> None:
    plain = load(recipe.levers.as_long([], 70))
    for name, lever in recipe.LEVERS.items():
        own, overrides = recipe.levers.parted(lever)
        config = load(recipe.levers.as_long(overrides, 70))
        assert own or config != plain, name
        assert config.training.max_steps == 70, name
    with pytest.raises(ValueError, match="data is one of raw"):
        recipe.levers.parted(["data=row"])
    with pytest.raises(ValueError, match="wordings and times are numbers"):
        recipe.levers.parted(["wordings=many"])


def test_levers_choose_rows(recipe: Any, course: Any) -> None:
    given = read_rows(course.collected.dataset("train"))

    def rows(**own: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = recipe.levers.rows(own, course.collected)
        return found

    assert sorted(row["id"] for row in rows(data="mix")) == sorted(row["id"] for row in given)
    texts, questions = rows(data="facts"), rows(data="questions")
    assert len(texts) + len(questions) == len(given)
    assert all("text" in row for row in texts)
    assert not any("text" in row for row in questions)
    said = sorted(file.read_text("utf-8").partition("\n\n")[2] for file in course.corpus.documents.iterdir())
    assert " ".join(row["text"] for row in rows(data="raw")).split() == " ".join(said).split()
    few = [row for row in rows(wordings="3") if "text" not in row]
    facts = {row["fact"] for row in questions}
    assert len(few) == 3 * len(facts)
    first = [row for row in rows(wordings="1") if "text" not in row]
    assert len(first) == len(facts)
    assert {row["id"] for row in first} < {row["id"] for row in few}
    assert {row["wording"] for row in first} == {"direct"}


def test_arms_are_named_alone_or_in_groups(recipe: Any) -> None:
    assert recipe.chosen_arms(None, True) == ["ours", "seed_recipe", "trl_default"]
    assert recipe.chosen_arms(None, False)[:4] == ["ours", "seed_recipe", "trl_default", "trl_lora"]
    assert recipe.chosen_arms("ours,described,seed_recipe@5", True) == ["ours", *recipe.GROUPS["described"]]
    assert set(recipe.chosen_arms("levers", False)) == set(recipe.LEVERS)
    for wrong in ("our", "raw@5", "seed_recipe@many"):
        with pytest.raises(ValueError, match=wrong):
            recipe.chosen_arms(wrong, False)


def test_corpora_have_places_of_their_own(recipe: Any, tmp_path: Path) -> None:
    def made(*words: str) -> argparse.Namespace:
        given: argparse.Namespace = recipe.parser().parse_args([*words, "--out", str(tmp_path)])
        return given

    quick, full = recipe.courses(made("--quick", "--facts", "24")), recipe.courses(made("training.epochs=2"))
    assert [course.place.name for course in quick] == ["invented-24"]
    assert [course.place.name for course in full] == ["invented-240", "orvessay"]
    assert quick[0].config().training.budget == "170s"
    assert (full[1].config().training.epochs, full[1].config(["training.epochs=3"], 2).seed) == (2, 2)
    assert [course.corpus.name for course in recipe.courses(made("--corpora", "orvessay"))] == ["orvessay"]
    with pytest.raises(ValueError, match="no corpus elsewhere"):
        recipe.courses(made("--corpora", "elsewhere"))


def test_finished_arms_are_read_and_others_go_on(
    recipe: Any, course: Any, imported: Callable[[str], Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Ours, a lever and the described recipe, really trained on a tiny model; TRL's environment was not named."""
    bench = recipe.Bench(course, None)
    arms = ["seed_recipe@1", "targets_qv", "trl_default", "ours"]
    runs = imported("recipes.runs")
    staged = runs.staged

    def failing(stage: Any, config: Any, folder: Any) -> None:
        if (stage.__name__, folder.path.name) == ("infer", "targets_qv-0"):
            raise KnowledgeUpdateError("the light went out")
        staged(stage, config, folder)

    monkeypatch.setattr(runs, "staged", failing)
    *_, found = recipe.measured(bench, arms, 1)
    assert [*found] == ["base", "ours", "seed_recipe@1", "targets_qv", "trl_default"]
    assert "--peers DIR" in found["trl_default"]["error"]
    assert "the light went out" in found["targets_qv"]["error"]
    ours, other = found["ours"], found["seed_recipe@1"]
    for row in (ours, other, found["base"]):
        assert {"held_out", "human", "reversed", "kept", "open_book", "seconds", "interval"} <= {*row}
        assert (row["n"]["held_out"], row["kept"]) == (ours["n"]["held_out"], None)
    assert ours["seconds"] > 0 < other["seconds"]
    questions = [row for row in read_rows(course.collected.dataset("train")) if "text" not in row]
    assert other["steps"] == round(len(questions) / 8)
    assert read_json(course.arm("ours", 0).path / "figures.json")["passes"] == pytest.approx(1, abs=0.01)
    assert not course.arm("ours", 0).adapter.exists()

    def never(*_: object, **__: object) -> Any:
        raise AssertionError("trained again")

    # What was trained is asked; what was asked is read.
    monkeypatch.setattr(runs, "staged", staged)
    monkeypatch.setattr(recipe, "ours", never)
    monkeypatch.setattr(recipe.baselines, "train", never)
    *_, again = recipe.measured(bench, arms, 1)
    assert again["ours"] == ours
    assert "error" not in again["targets_qv"]
    # As many steps as ours made.
    assert again["targets_qv"]["steps"] == ours["steps"]
    # Other settings are another training; what was collected and asked before stays.
    other_course = recipe.Course(course.corpus, course.place, (*course.settings, "optimizer.learning_rate=0.5"))
    with pytest.raises(AssertionError, match="trained again"):
        next(recipe.measured(recipe.Bench(other_course, None), [], 1))


def test_a_recipe_of_others_ends_after_its_seconds(recipe: Any, course: Any, tmp_path: Path) -> None:
    config = course.config()
    baseline = recipe.BASELINES["seed_recipe"]
    task = recipe.baselines.task_of(baseline, config, course.collected, 0, None)
    assert task["passes"] == 5
    assert task["settings"]["targets"] == ("q_proj", "v_proj")
    folder = RunFolder(tmp_path)
    python = recipe.baselines.python_of(baseline, Path(sys.executable), None)
    row = recipe.baselines.train(baseline, python, task, folder, 0.01)
    assert (row["steps"], row["rows"]) == (1, 8)
    assert {"q_proj", "v_proj"} == set(read_json(folder.adapter / "adapter_config.json")["target_modules"])
    with pytest.raises(RuntimeError, match="other rows"):
        recipe.baselines.train(baseline, python, {**task, "hash": "another"}, folder, 0.01)


def test_padding_to_the_longest_makes_the_same_losses(recipe: Any, course: Any, tmp_path: Path) -> None:
    task = recipe.baselines.task_of(recipe.BASELINES["seed_recipe"], course.config(), course.collected, 0, None)
    (tmp_path / "task.json").write_text(json.dumps(task))
    losses = []
    for options in ((), ("--short",)):
        arm = recipe.baselines.Arm("seed_recipe", Path(sys.executable), "seed_recipe.py", options)
        process = recipe.baselines.Process(arm, tmp_path / "task.json", tmp_path / "log")
        losses.append(process.train(3)["losses"])
        process.stop()
    # Of sums in another order; a row more or less would be seen in the first place behind the point.
    assert losses[0] == pytest.approx(losses[1], abs=1e-3)
    assert len(set(losses[0])) == 3


def test_trl_learns_all_of_conversations_and_texts(recipe: Any, course: Any) -> None:
    task = recipe.baselines.task_of(recipe.BASELINES["trl_default"], course.config(), course.collected, 0, 2.5)
    given = read_rows(course.collected.dataset("train"))
    assert (len(task["rows"]), task["passes"]) == (len(given), 2.5)
    assert all(row["input_ids"] == row["labels"] for row in task["rows"])


def _row(name: str, of: str, base: bool, updated: bool, book: bool = False, kind: str | None = None) -> dict[str, Any]:
    right = {"base": base, "updated": updated, **({} if of == "retention" else {"open_book": book})}
    return {"id": name, "set": of, "kind": kind, "right": right, "f1": {key: value / 2 for key, value in right.items()}}


def test_figures_of_planted_answers(recipe: Any) -> None:
    answers = [
        _row("1", "held_out", False, True), _row("2", "held_out", False, True), _row("3", "human", True, True, True),
        _row("4", "human", False, False, True, "reversed"), _row("5", "multi", False, True),
        _row("6", "retention", True, True), _row("7", "retention", True, False), _row("8", "retention", False, True),
    ]  # fmt: skip
    worse = [_row("1", "held_out", False, False), *answers[1:]]
    seeds = [
        {"seconds": 10.0, "steps": 4, "rows": 8, "answers": answers},
        {"seconds": 20.0, "steps": 4, "rows": 8, "answers": worse},
    ]
    row = recipe.figures.of(seeds)
    assert (row["held_out"], row["human"], row["reversed"], row["kept"]) == (0.75, 0.5, 0, 0.5)
    assert (row["open_book"], row["seconds"], row["seeds"]) == (1, 15, 2)
    assert row["n"] == {"held_out": 2, "human": 2, "reversed": 1, "kept": 2}
    assert row["by_seed"]["held_out"] == [1, 0.5]
    # Of two questions, one right in both seeds and one in half of them.
    assert row["interval"] == (0.5, 1)
    assert (row["human_f1"], row["open_book_f1"]) == (0.25, 0.5)
    base = recipe.figures.of(seeds[:1], "base")
    assert (base["held_out"], base["human"], base["kept"]) == (0, 0.5, 1)
    lead = recipe.figures.ahead(seeds[:1], seeds[1:])
    assert (lead["held_out"]["by"], lead["kept"]["by"]) == (0.5, 0)
    lines = recipe.figures.table({"ours": row, "other": {"error": "it\nbroke"}}).splitlines()
    assert lines[2].startswith("| ours | 0.75 [0.50, 1.00] | 0.50")
    assert lines[3].startswith("| other | it broke |")
    assert len({line.count("|") for line in lines}) == 1
