"""No planted model is taken for one that knows: the whole evaluating stage, on answers made up for it."""

import json
import random
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from planted import CONFIG, HUMAN, Model, base, hash_of, oracle, plant, source

from knowledge_update.config import Config, EvaluationConfig
from knowledge_update.errors import RunFolderError, WorkError
from knowledge_update.evaluation import stage
from knowledge_update.evaluation.exam import ANSWERS, Exam, exam
from knowledge_update.ledger import FactRow, Ledger, QuestionRow
from knowledge_update.run_folder import RunFolder, read_json, read_rows, write_rows

SETS = ("held_out", "human", "multi", "reversed", "trained")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    """The dataset, without answers."""
    return source(tmp_path_factory.mktemp("planted") / "run")


@pytest.fixture
def folder(made: RunFolder, tmp_path: Path) -> RunFolder:
    """A copy of it to plant models in."""
    shutil.copytree(made.path, tmp_path / "run")
    return RunFolder(tmp_path / "run")


def evaluated(folder: RunFolder, config: Config = CONFIG) -> dict[str, Any]:
    stage.run(config, folder)
    figures: dict[str, Any] = read_json(folder.evaluation)
    assert figures.pop("seconds")["total"] >= 0
    return figures


def test_an_oracle_is_right_everywhere(folder: RunFolder) -> None:
    plant(folder, oracle)
    figures = evaluated(folder)
    assert {name: figures[name]["updated"] for name in SETS} == dict.fromkeys(SETS, 1.0)
    assert all(figures[name]["retrieval"]["updated_retrieval"] == 1 for name in SETS[:-1])
    assert (figures["retrieval"]["n"], figures["retrieval"]["gain"]) == (8, [1, 1])
    assert (figures["facts"]["learned"], figures["facts"]["missed"]) == (12, {})
    assert figures["retention"]["kept"] == 1
    assert figures["unanswerable"] == {
        "n": 8, "base": 1.0, "updated": 0.0, "intervals": {"base": [1, 1], "updated": [0, 0]}, "gain": [-1, -1],
        "mcnemar": pytest.approx(2 / 2**8),
    }  # fmt: skip
    held_out = figures["held_out"]
    assert (held_out["n"], held_out["gain"], held_out["mcnemar"]["base"]) == (12, [1.0, 1.0], 2 / 2**12)
    assert "The updated model answers 100\u00a0% of 12" in folder.report.read_text(encoding="utf-8")


def everything(asked: Exam) -> str:
    return "; ".join(sorted({answer for row in [*asked.questions, *asked.general] for answer in row["answers"]}))


@pytest.mark.parametrize(
    ("model", "why"),
    [
        (lambda row: row["question"], "wrong"),
        (lambda row: f"Question: {row['question'].upper()} Answer:", "wrong"),
        (lambda row: f"{row['question']} {row['question']}", "wrong"),
        (lambda row: "", "declined"),
        (lambda row: " .\n!", "declined"),
    ],
    ids=["echo", "loud echo", "two echoes", "nothing", "no words"],
)
def test_an_echo_and_nothing_are_never_right(folder: RunFolder, model: Model, why: str) -> None:
    plant(folder, model)
    figures = evaluated(folder)
    assert {name: figures[name]["updated"] for name in SETS} == dict.fromkeys(SETS, 0.0)
    assert figures["facts"]["learned"] == 0
    assert figures["facts"]["missed"] == {why: 12}
    assert figures["retention"]["updated"] == figures["retention"]["kept"] == 0
    assert figures["unanswerable"]["updated"] == (0.0 if why == "declined" else 1.0)


def test_an_answer_beside_the_question_is_right(folder: RunFolder) -> None:
    plant(folder, lambda row: f"{row['question']} {oracle(row)}")
    assert {name: part["updated"] for name, part in evaluated(folder).items() if name in SETS} == dict.fromkeys(SETS, 1)


def test_all_answers_in_each_answer_are_never_right(folder: RunFolder) -> None:
    said = everything(exam(CONFIG, folder))
    plant(folder, lambda row: said)
    figures = evaluated(folder)
    assert {name: figures[name]["updated"] for name in SETS} == dict.fromkeys(SETS, 0.0)
    assert figures["held_out"]["f1"]["updated"] < 0.1
    assert figures["facts"]["missed"] == {"another": 12}
    assert (figures["retention"]["updated"], figures["unanswerable"]["updated"]) == (0, 1)


@pytest.mark.parametrize("before", [base, oracle, lambda row: oracle(row) if hash_of(row) % 2 else ""])
def test_a_copy_of_the_base_gains_nothing(folder: RunFolder, before: Model) -> None:
    plant(folder, before, before)
    figures = evaluated(folder)
    for name in SETS:
        assert (figures[name]["gain"], figures[name]["mcnemar"]) == ([0, 0], {"base": 1.0, "open_book": 1.0})
        assert figures[name]["base"] == figures[name]["updated"] == figures[name]["open_book"]
        assert figures["retrieval"]["mcnemar"] == figures["held_out"]["retrieval"]["mcnemar"] == 1
    assert (figures["unanswerable"]["gain"], figures["unanswerable"]["mcnemar"]) == ([0, 0], 1)
    assert (figures["retention"]["lost"], figures["retention"]["gained"]) == (0, 0)


def test_shuffled_answers_are_the_same(folder: RunFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stage, "_seconds", lambda *_: {"evaluate": 1.0, "total": 1.0})
    plant(folder, lambda row: oracle(row) if hash_of(row) % 3 else "1850 or so", lambda row: row["question"][:12])
    first, page = evaluated(folder), folder.report.read_text(encoding="utf-8")
    for seed in range(3):
        for name in ANSWERS:
            rows = read_rows(folder.answers(name))
            random.Random(f"{seed} {name}").shuffle(rows)
            write_rows(folder.answers(name), rows)
        assert json.dumps(evaluated(folder)) == json.dumps(first)
        assert folder.report.read_text(encoding="utf-8") == page


@pytest.mark.parametrize("name", ANSWERS)
def test_an_answer_that_is_missing_or_doubled_is_told_by_name(folder: RunFolder, name: str) -> None:
    plant(folder, oracle)
    rows = read_rows(folder.answers(name))
    write_rows(folder.answers(name), rows[1:])
    with pytest.raises(WorkError, match=rf"answers/{name}.jsonl lacks question {rows[0]['id']}: run `kupdate infer"):
        stage.run(CONFIG, folder)
    write_rows(folder.answers(name), [*rows, {**rows[-1], "response": "another"}])
    with pytest.raises(RunFolderError, match=rf"answers/{name}.jsonl answers question {rows[-1]['id']} twice"):
        stage.run(CONFIG, folder)
    write_rows(folder.answers(name), [*rows, {**rows[-1], "id": "stranger"}])
    with pytest.raises(RunFolderError, match="are to the questions of another dataset"):
        stage.run(CONFIG, folder)
    folder.answers(name).unlink()
    with pytest.raises(RunFolderError, match=rf"has no answers/{name}.jsonl: run `kupdate infer"):
        stage.run(CONFIG, folder)
    assert not folder.evaluation.exists()


def test_two_questions_of_one_id_are_told_by_name(folder: RunFolder) -> None:
    write_rows(folder.dataset("questions"), [{**HUMAN[0], "id": "r001"}])
    with pytest.raises(RunFolderError, match="two questions have the id 'r001'"):
        exam(CONFIG, folder)


def test_nothing_more_is_asked_where_that_is_said(folder: RunFolder) -> None:
    little = replace(CONFIG, evaluation=EvaluationConfig(200, False, trained=0, unanswerable=0, retrieval=0))
    asked = plant(folder, oracle, config=little)
    assert (asked.retrieved, asked.unanswerable, asked.general) == ([], [], [])
    for name in ANSWERS[3:]:
        folder.answers(name).unlink()
    figures = evaluated(folder, little)
    assert {"trained", "unanswerable", "retention"}.isdisjoint(figures)
    assert "retrieval" not in figures["held_out"]
    page = folder.report.read_text(encoding="utf-8")
    assert "search" not in page.split("Every question")[0].split("</style>")[1]


def test_all_is_asked_where_that_is_said(folder: RunFolder) -> None:
    whole = replace(CONFIG, evaluation=EvaluationConfig(200, trained=None, unanswerable=None, retrieval=None))
    asked = exam(whole, folder)
    assert len([row for row in asked.questions if row["set"] == "trained"]) == 24
    assert {row["id"] for row in asked.retrieved} == {row["id"] for row in asked.questions}
    assert len(asked.unanswerable) == 12


def test_what_is_worded_like_training_is_told_apart(folder: RunFolder) -> None:
    like = {**HUMAN[0], "id": "q9", "question": "In what year did they build the tower of Hesk?"}
    write_rows(folder.dataset("questions"), [*HUMAN, like])
    plant(folder, lambda row: oracle(row) if row["id"] == "q9" else "no")
    figures = evaluated(folder)
    human = figures["human"]
    assert (human["n"], human["near_trained"], human["without_near"]["n"]) == (3, 1, 2)
    assert (human["updated"], human["without_near"]["updated"]) == (0.3333, 0)
    assert figures["contamination"] == {"least": 0.7, "n": 1, "of": 16}
    rows = stage.scored(exam(CONFIG, folder), folder)
    assert {row["id"]: row["near"] for row in rows if row.get("near")} == {
        "q9": "In which year did they build the tower of Hesk?"
    }


def test_why_facts_were_missed(folder: RunFolder) -> None:
    with Ledger(folder.ledger) as ledger:
        old = FactRow("old", "c", "The tower of Hesk was built in 1799.", "tower", 4, 9, "superseded", "", "f0")
        asked = QuestionRow("oldq", "old", "train", "when", "", "direct", "When was the tower built?", "1799")
        alone = FactRow("alone", "c", "Long ago there was a tower.", "tower", 4, 9)
        ledger.enter([old, alone], [asked])
    rows = [row for row in read_rows(folder.dataset("train")) if row["fact"] != "f3"]
    write_rows(folder.dataset("train"), rows)
    said = {"f0": "It was 1799.", "f1": "I don't know.", "f2": "1850", "f3": "in a year", "f4": "in a year"}
    plant(folder, lambda row: said.get(row["fact"], oracle(row)))
    figures = evaluated(folder)
    assert figures["facts"]["missed"] == {
        "never_asked": 1, "contradicted": 1, "declined": 1, "never_trained": 1, "another": 1, "wrong": 1,
    }  # fmt: skip
    assert {name: figures["facts"][name] for name in ("n", "asked", "learned")} == {"n": 13, "asked": 12, "learned": 7}
    page = folder.report.read_text(encoding="utf-8")
    assert "answered as a document says that is superseded" in page


def test_the_page_is_written_anew_with_what_was_added(folder: RunFolder) -> None:
    plant(folder, oracle)
    with pytest.raises(RunFolderError, match=r"has no evaluation.json: run `kupdate evaluate"):
        stage.page(CONFIG, folder)
    stage.run(CONFIG, folder)
    page = folder.report.read_text(encoding="utf-8")
    folder.report.unlink()
    stage.page(CONFIG, folder)
    assert folder.report.read_text(encoding="utf-8") == page
