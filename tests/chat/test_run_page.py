"""What the page shows of a run: read only, torn lines left, everything escaped."""

import json
import os
import time
from pathlib import Path

import pytest

from knowledge_update.chat import run_page
from knowledge_update.chat.evidence import Evidence
from knowledge_update.chat.web import untrained
from knowledge_update.ledger import FactRow, KnownFact
from knowledge_update.run_folder import RunFolder

LINE = {"step": 10, "loss": 3.5, "rate": 1e-4, "tokens_per_second": 376.0, "rows_per_second": 11.7, "seconds": 6.3}


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    (tmp_path / "<b>run").mkdir()
    return RunFolder(tmp_path / "<b>run")


def write(run: RunFolder, text: str, age: float = 0) -> None:
    run.metrics.write_text(text, encoding="utf-8")
    os.utime(run.metrics, (time.time() - age,) * 2)


def test_a_training_under_way_is_shown_as_far_as_it_is(run: RunFolder) -> None:
    assert "no training has told anything yet" in run_page.progress_html(run)
    lines = [LINE, {**LINE, "step": 20, "loss": 2.25}, {"step": 20, "validation_loss": 2.5}]
    torn = json.dumps({**LINE, "step": 30})[:40]
    write(run, "".join(json.dumps(line) + "\n" for line in lines) + torn)
    shown = run_page.progress_html(run)
    assert "&lt;b&gt;run" in shown and "<b>" not in shown
    assert "the training is under way" in shown
    for figure in ("<dd>20</dd>", "<dd>2.250</dd>", "<dd>2.500</dd>", "<dd>376</dd>", "The loss up to step 20."):
        assert figure in shown
    assert shown.count("<svg") == 2
    assert run.metrics.read_text(encoding="utf-8").endswith(torn), "it was written into"
    write(run, json.dumps(LINE) + "\n", age=900)
    assert "told nothing for 15 min" in run_page.progress_html(run)
    run.adapter.mkdir()
    run.training_arguments.write_text("{}", encoding="utf-8")
    assert "the training is done" in run_page.progress_html(run)
    write(run, json.dumps({**LINE, "loss": float("nan")}) + "\n" + json.dumps(LINE) + "\n")
    os.utime(run.training_arguments, (time.time() - 500,) * 2)
    assert "the training is under way" in run_page.progress_html(run), "of an earlier training"


def test_losses_that_are_no_numbers_are_not_drawn(run: RunFolder) -> None:
    write(run, 2 * (json.dumps({**LINE, "loss": float("nan")}) + "\n"))
    shown = run_page.progress_html(run)
    assert "<svg" not in shown and "<dd>nan</dd>" in shown


def test_a_report_stands_in_a_frame_that_reaches_nothing(run: RunFolder) -> None:
    assert "There is no report yet" in run_page.report_html(run)
    run.report.write_text("<script>parent.document.title = 'taken'</script>\"'", encoding="utf-8")
    shown = run_page.report_html(run)
    assert "<script" not in shown and "&lt;script&gt;" in shown
    assert 'sandbox="allow-scripts"' in shown


def test_facts_are_shown_as_text() -> None:
    fact = FactRow("f", "c", "<img src=x onerror=y>", '"quote" & <b>', 0, 1)
    known = KnownFact(fact, "d", "a/<i>.txt", "en", "", "", "T<u>\x1b[31m")
    shown = run_page.evidence_html([Evidence(known, ("a&b",))])
    for raw in ("<img", "<b>", "<i>", "<u>", "\x1b", "a&b"):
        assert raw not in shown
    assert "&lt;img src=x onerror=y&gt;" in shown and "a&amp;b" in shown
    assert "no fact of the ledger has any word of this answer" in run_page.evidence_html([])
    assert "&lt;b&gt;" in run_page.note_html("<b>") and run_page.note_html("").strip() == ""


def test_a_run_without_an_adapter_is_looked_at_only(run: RunFolder) -> None:
    assert untrained(str(run.path)) is None
    run.config.write_text("", encoding="utf-8")
    found = untrained(str(run.path))
    assert found is not None and found.path == run.path
    run.adapter.mkdir()
    assert untrained(str(run.path)) is None
