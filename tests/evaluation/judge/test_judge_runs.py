"""The judge's part of a run's evaluation, in its figures, its report, and on the terminal."""

import json
import sqlite3
from pathlib import Path
from typing import Any

import pytest
from chat_server import Server
from judged_models import always, honest
from lxml import html

from knowledge_update.evaluation.summary import MODELS
from knowledge_update.run_folder import Row, RunFolder, read_rows, write_rows

SAID = {"base": "I do not know.", "updated": None, "open_book": "It is in the text."}


@pytest.fixture
def answered(kupdate: Any, docs: Path, tiny_model: str, tmp_path: Path) -> RunFolder:
    """A run folder whose updated model knows everything, and no other anything."""
    few = ("evaluation.trained=0", "evaluation.unanswerable=0", "evaluation.retrieval=0", "evaluation.retention=false")
    assert kupdate("collect", docs, f"model={tiny_model}", *few, "--out", "out")[0] == 0
    folder = RunFolder(tmp_path / "out")
    probes = read_rows(folder.dataset("probes"))
    for name in MODELS:
        rows = [{**row, "response": SAID.get(name) or row["answers"][0]} for row in probes]
        write_rows(folder.answers(name), rows)
    return folder


def judged(folder: RunFolder) -> Row:
    found: Row = json.loads(folder.evaluation.read_text(encoding="utf-8"))["judge"]
    return found


def test_rules_judge_where_nobody_else_is_named(kupdate: Any, answered: RunFolder) -> None:
    code, out, _ = kupdate("evaluate", "out")
    assert code == 0
    found = judged(answered)
    assert (found["judge"], found["trusted"], list(found["sets"])) == ("rules", True, ["held_out"])
    part = found["sets"]["held_out"]
    assert [part["accuracy"][name]["share"] for name in ("base", "updated", "open_book")] == [0.0, 1.0, 0.0]
    assert (part["win_rate"]["share"], part["win_rate"]["wins"]) == (1.0, part["n"])
    assert "Accuracy, judged by rules" in out and "NOT TRUSTED" not in out
    page = html.parse(str(answered.report)).getroot().text_content()
    assert "Judged by rules" in page and "Not to be trusted" not in page


def test_a_chat_model_judges_a_run_and_its_verdicts_are_in_the_ledger(
    kupdate: Any, answered: RunFolder, by_server: Any, server: Server
) -> None:
    server.script = honest
    assert kupdate("evaluate", "out", *by_server)[0] == 0
    found, count = judged(answered), len(server.seen)
    assert found["trusted"] and found["judge"] == "scripted (api)"
    assert found["sets"]["held_out"]["win_rate"]["share"] == 1.0
    asked = [body["messages"][1]["content"] for body in server.seen]
    assert any("Fact: Tolvick Lighthouse" in text and "Right is any of these answers: " in text for text in asked)
    with sqlite3.connect(answered.ledger) as db:
        assert db.execute("SELECT count(*) FROM call").fetchone() == (count,)
    # The folder remembers who judged, and nothing is asked twice.
    assert kupdate("evaluate", "out")[0] == 0
    assert (judged(answered), len(server.seen)) == (found, count)


def test_a_judge_that_fails_its_trial_is_named_in_the_report(
    kupdate: Any, answered: RunFolder, by_server: Any, server: Server
) -> None:
    server.script = always("1", "A")
    code, out, _ = kupdate("evaluate", "out", *by_server)
    assert code == 0 and "NOT TRUSTED" in out
    found = judged(answered)
    assert not found["trusted"] and "wrong (en: 0 of 4)" in found["failed"]
    assert found["trial"]["accuracy"]["en"]["right"] == [4, 4]
    assert found["sets"]["held_out"]["accuracy"]["base"]["share"] == 1.0
    assert found["sets"]["held_out"]["win_rate"]["share"] == 0.5
    page = " ".join(html.parse(str(answered.report)).getroot().text_content().split())
    assert "Not to be trusted: this judge fails its trial on planted answers (wrong (en: 0 of 4);" in page
