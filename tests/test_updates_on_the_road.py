"""The road gone again after documents changed: what was removed leaves no trace, what changed is asked and shown."""

import shutil
from pathlib import Path

import pytest

from knowledge_update import pipeline
from knowledge_update.composition import load
from knowledge_update.config import Config
from knowledge_update.evaluation.terminal import terminal_tables
from knowledge_update.run_folder import RunFolder, read_json, read_rows, write_rows

SETTINGS = (
    "training.epochs=1", "evaluation.retention=false", "evaluation.resamples=200", "evaluation.trained=4",
    "evaluation.unanswerable=0", "evaluation.retrieval=0", "inference.max_new_tokens=4", "model.dtype=float32",
)  # fmt: skip


@pytest.fixture
def config(shared_docs: Path, tmp_path: Path, tiny_model: str) -> Config:
    shutil.copytree(shared_docs, tmp_path / "docs")
    return load([f"model={tiny_model}", *SETTINGS], {"documents": str(tmp_path / "docs")})


def weights(folder: RunFolder) -> bytes:
    return (folder.adapter / "adapter_model.safetensors").read_bytes()


def test_a_removed_document_is_gone_from_the_next_model(config: Config, tmp_path: Path) -> None:
    folder, fresh = RunFolder(tmp_path / "run"), RunFolder(tmp_path / "fresh")
    pipeline.run(config, folder)
    assert "updates" not in read_json(folder.evaluation)
    first = weights(folder)
    (tmp_path / "docs" / "dunhask.html").unlink()
    pipeline.run(config, folder)
    pipeline.run(config, fresh)
    # The adapter is rebuilt from what the ledger holds active: as if the document had never been there.
    assert folder.dataset("train").read_bytes() == fresh.dataset("train").read_bytes()
    assert weights(folder) == weights(fresh) != first
    gone = read_json(folder.evaluation)["updates"]["gone"]
    asked = [row for row in read_rows(folder.answers("updated")) if row["set"] == "gone"]
    assert {row["doc_id"] for row in asked} == {"dunhask"}
    assert gone["n"] == len(asked) > 3 and gone["of"] >= gone["n"]
    assert (gone["base"], gone["updated"]) == (0.0, 0.0)
    assert "updates" not in read_json(fresh.evaluation)
    assert "Facts that hold no longer" in folder.report.read_text(encoding="utf-8")
    assert "Facts that hold no longer" not in fresh.report.read_text(encoding="utf-8")


def test_what_changed_is_asked_for_what_is_so_now(config: Config, tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "run")
    pipeline.run(config, folder)
    file = tmp_path / "docs" / "tolvick.txt"
    file.write_text(file.read_text(encoding="utf-8").replace("38 metres", "41 metres"), encoding="utf-8")
    pipeline.run(config, folder)
    asked = [row for row in read_rows(folder.answers("updated")) if row["set"] == "superseded"]
    assert [row["answers"] for row in asked] == [["41 metres"]]
    # Planted answers: what is counted is the value that is so, and not the one that was.
    for response, right, old in (
        ("41 metres", 1.0, 0.0), ("38 metres", 0.0, 1.0), ("38 or 41 metres", 0.0, 1.0),
        ("Until 2024 it was 38 metres; now it is 41 metres.", 1.0, 0.0), ("", 0.0, 0.0),
    ):  # fmt: skip
        answers = read_rows(folder.answers("updated"))
        for row in answers:
            if row["set"] == "superseded":
                row["response"] = response
        write_rows(folder.answers("updated"), answers)
        pipeline.run_stage(pipeline.evaluate, config, folder)
        figures = read_json(folder.evaluation)
        past = figures["updates"]["superseded"]
        assert (past["n"], past["of"], past["held_out"]) == (1, 1, 1)
        assert (past["updated"], past["outdated"]["updated"]) == (right, old), response
    tables = {title: rows for title, _, rows in terminal_tables(figures)}
    assert tables["Facts that hold no longer"][0][:2] == ["superseded: what is so now", "1 of 1"]
