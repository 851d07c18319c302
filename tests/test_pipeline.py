"""The whole road with a tiny model: what it leaves behind, that it repeats nothing, and that no kill changes it."""

import json
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from knowledge_update import cli, display, pipeline
from knowledge_update.composition import load
from knowledge_update.config import Config
from knowledge_update.errors import RunFolderError
from knowledge_update.evaluation.exam import ANSWERS
from knowledge_update.run_folder import RunFolder, read_json, read_rows, write_rows

SETTINGS = (
    "training.epochs=1", "training.checkpoint_seconds=0", "evaluation.retention=false", "evaluation.resamples=200",
    "evaluation.trained=8", "evaluation.unanswerable=5", "evaluation.retrieval=6",
    "inference.max_new_tokens=4", "model.dtype=float32",
)  # fmt: skip
QUESTIONS = (
    {"id": "q1", "doc_id": "tolvick", "question": "When was Tolvick Lighthouse built?", "answers": ["1874", "in 1874"]},
    {"id": "q2", "doc_id": "varrow", "question": "Which ship is of 1963?", "answer": "Wendel", "kind": "reversed"},
    {"id": "q3", "doc_ids": ["tolvick", "varrow"], "question": "Which of the two is older?", "answers": ["the light"]},
    {"id": "q4", "doc_id": "elsewhere", "question": "What is not in this run?", "answers": ["this"]},
)
DATASET = ("probes", "qa_pairs", "questions", "replay", "train", "validation")
FIGURES = {
    "n", "base", "updated", "open_book", "interval", "intervals", "gain", "against_open_book", "mcnemar", "f1",
    "retrieval",
}  # fmt: skip
PARTS = {"near_trained", "without_near"}


@pytest.fixture(scope="module")
def source(shared_docs: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Documents with a question file beside them."""
    path = tmp_path_factory.mktemp("source") / "docs"
    shutil.copytree(shared_docs, path)
    lines = (json.dumps(question) + "\n" for question in QUESTIONS)
    (path / "questions.jsonl").write_text("".join(lines), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def words(source: Path, tiny_model: str) -> list[str]:
    """The arguments of the run, without its folder."""
    return [str(source), f"model={tiny_model}", *SETTINGS]


@pytest.fixture(scope="module")
def config(source: Path, tiny_model: str) -> Config:
    """The same as a configuration."""
    return load([f"model={tiny_model}", *SETTINGS], {"documents": str(source)})


@pytest.fixture(scope="module")
def undisturbed(config: Config, tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    """A run that nothing interrupted."""
    folder = RunFolder(tmp_path_factory.mktemp("runs") / "undisturbed")
    pipeline.run(config, folder)
    return folder


def ledger_of(folder: RunFolder) -> dict[str, list[tuple[Any, ...]]]:
    tables = ("document", "chunk", "occurrence", "fact", "question", "drop")
    with sqlite3.connect(folder.ledger) as db:
        found = {table: sorted(db.execute(f'SELECT * FROM "{table}"')) for table in tables}
    db.close()
    return found


def figures_of(folder: RunFolder) -> dict[str, Any]:
    """What was measured, without the time it took."""
    return {name: part for name, part in read_json(folder.evaluation).items() if name != "seconds"}


def answers_of(folder: RunFolder) -> dict[str, dict[str, str]]:
    return {name: {row["id"]: row["response"] for row in read_rows(folder.answers(name))} for name in ANSWERS}


def weights_of(folder: RunFolder) -> bytes:
    return (folder.adapter / "adapter_model.safetensors").read_bytes()


def assert_same(left: RunFolder, right: RunFolder) -> None:
    assert ledger_of(left) == ledger_of(right)
    for name in DATASET:
        assert left.dataset(name).read_bytes() == right.dataset(name).read_bytes(), name
    assert np.array_equal(np.load(left.losses), np.load(right.losses))
    assert weights_of(left) == weights_of(right)
    assert answers_of(left) == answers_of(right)
    assert figures_of(left) == figures_of(right)


def test_the_whole_road_from_the_command_line(
    run_kupdate: Callable[..., Any], words: list[str], undisturbed: RunFolder, tmp_path: Path
) -> None:
    ended = run_kupdate("run", *words, "--out", "out", cwd=tmp_path)
    assert ended.code == 0, ended.stderr
    assert ended.stderr == ""
    assert ended.stdout.endswith("report: out/report.html\n")
    folder = RunFolder(tmp_path / "out")
    assert_same(folder, undisturbed)
    assert not folder.checkpoint.exists()
    assert [path.name for path in folder.path.rglob(".*")] == []


def test_the_evaluation_has_its_documented_keys(undisturbed: RunFolder) -> None:
    figures = read_json(undisturbed.evaluation)
    sets = ("held_out", "human", "multi", "reversed", "trained")
    assert set(figures) == {*sets, "retrieval", "unanswerable", "contamination", "facts", "judge", "seconds"}
    assert {name: set(figures[name]) - PARTS for name in sets} == {
        name: FIGURES - ({"retrieval"} if name == "trained" else set()) for name in sets
    }
    probes = read_rows(undisturbed.dataset("probes"))
    assert {name: figures[name]["n"] for name in sets} == {
        "held_out": len(probes), "human": 2, "multi": 1, "reversed": 1, "trained": 8,
    }  # fmt: skip
    assert (figures["held_out"]["retrieval"]["n"], figures["retrieval"]["n"]) == (6, 9)
    assert figures["unanswerable"]["n"] == 5
    facts = figures["facts"]
    assert (facts["n"], facts["asked"]) == (len(ledger_of(undisturbed)["fact"]), len({row["fact"] for row in probes}))
    assert set(facts["by_document"]) == {"dunhask", "tolvick", "varrow"}
    assert sum(part["n"] for part in facts["by_document"].values()) == facts["n"]
    *stages, total = figures["seconds"].items()
    assert [name for name, _ in stages] == ["collect", "train", "infer", "evaluate"]
    assert total == ("total", pytest.approx(sum(seconds for _, seconds in stages)))
    page = undisturbed.report.read_text(encoding="utf-8")
    assert "Tolvick Lighthouse" in page
    assert page.rstrip().endswith("</html>")


def test_probes_are_never_trained(undisturbed: RunFolder) -> None:
    trained = {
        row["messages"][0]["content"]
        for name in ("train", "validation")
        for row in read_rows(undisturbed.dataset(name))
        if "messages" in row
    }
    asked = {row["question"] for row in read_rows(undisturbed.dataset("probes"))}
    assert len(asked) > 10
    assert not asked & trained


def test_a_second_run_repeats_nothing(config: Config, undisturbed: RunFolder, tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "again")
    shutil.copytree(undisturbed.path, folder.path)
    kept = [*folder.adapter.iterdir(), *folder.path.glob("answers/*"), folder.metrics, folder.losses, folder.config]
    before = {path: path.stat().st_mtime_ns for path in kept}
    pipeline.run(config, folder)
    assert {path: path.stat().st_mtime_ns for path in kept} == before
    assert_same(folder, undisturbed)


def test_a_new_document_is_added_to_what_is_there(config: Config, source: Path, tmp_path: Path) -> None:
    documents = tmp_path / "docs"
    shutil.copytree(source, documents)
    grown = load([], {"documents": str(documents), "model.name": config.model.name})
    folder = RunFolder(tmp_path / "run")
    first = pipeline.run_stage(pipeline.collect, grown, folder)
    before = ledger_of(folder)
    (documents / "bridge.txt").write_text("Ansgild Bridge\n\nThe bridge was opened in 1931.", encoding="utf-8")
    second = pipeline.run_stage(pipeline.collect, grown, folder)
    after = ledger_of(folder)
    assert (second.documents, second.facts) == (first.documents + 1, first.facts + 1)
    assert all(set(before[table]) < set(after[table]) for table in ("document", "fact", "question"))


def test_what_was_made_from_an_older_dataset_is_not_taken_for_the_new_ones(
    config: Config, source: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    documents, folder = tmp_path / "docs", RunFolder(tmp_path / "run")
    shutil.copytree(source, documents)
    changing = replace(config, documents=str(documents))
    pipeline.run(changing, folder)
    text = (documents / "tolvick.txt").read_text(encoding="utf-8")
    assert "1874" in text
    (documents / "tolvick.txt").write_text(text.replace("1874", "1875"), encoding="utf-8")
    monkeypatch.setattr(display.log, "propagate", True)
    with caplog.at_level("INFO", logger="knowledge_update"):
        pipeline.run_stage(pipeline.collect, changing, folder)
    told = "the dataset changed: adapter, answers/updated.jsonl, report.html belong to the one before"
    assert told in caplog.text
    with pytest.raises(RunFolderError, match=r"the adapter in .* was trained on another dataset: run `kupdate train"):
        pipeline.run_stage(pipeline.infer, changing, folder)
    with pytest.raises(RunFolderError, match="are to the questions of another dataset: run `kupdate infer"):
        pipeline.run_stage(pipeline.evaluate, changing, folder)
    before = weights_of(folder)
    pipeline.run(changing, folder)
    assert weights_of(folder) != before
    assert {row["id"] for row in read_rows(folder.dataset("probes"))} <= set(answers_of(folder)["updated"])
    old = [row for row in ledger_of(folder)["fact"] if "superseded" in row]
    assert any("1874" in row[2] for row in old)
    saying = [row for row in read_rows(folder.dataset("train")) if "1874" in json.dumps(row)]
    assert {row["wording"] for row in saying} == {"changed"}
    edited = read_rows(folder.answers("updated"))
    write_rows(folder.answers("updated"), [{**row, "answers": ["stale"]} for row in edited])
    with pytest.raises(RunFolderError, match="of another dataset"):
        pipeline.run_stage(pipeline.evaluate, changing, folder)
    pipeline.run_stage(pipeline.infer, changing, folder)
    assert read_rows(folder.answers("updated")) == edited, "only what is right was set right"


def killed(words: list[str], folder: RunFolder, until: Callable[[], bool]) -> int:
    """Starts a run in a process of its own, kills it when `until` holds, and returns how it ended."""
    with (folder.path.parent / "output.txt").open("w") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "knowledge_update", "run", *words, "--out", str(folder.path)],
            stdout=output, stderr=output, stdin=subprocess.DEVNULL,
        )  # fmt: skip
        deadline = time.monotonic() + 60
        while not until() and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.002)
        process.send_signal(signal.SIGKILL)
        return process.wait()


def documents_in(folder: RunFolder) -> int:
    if not folder.ledger.exists():
        return 0
    with sqlite3.connect(f"file:{folder.ledger}?mode=ro", uri=True) as db:
        try:
            return int(db.execute("SELECT count(*) FROM document").fetchone()[0])
        except sqlite3.OperationalError:
            return 0


def answered(folder: RunFolder, name: str) -> int:
    return folder.answers(name).read_bytes().count(b"\n") if folder.answers(name).exists() else 0


KILLS: dict[str, Callable[[RunFolder], bool]] = {
    "collect": lambda folder: documents_in(folder) > 0,
    "train": lambda folder: (folder.checkpoint / "progress.json").exists(),
    "infer": lambda folder: folder.answers("base").exists(),
    "search": lambda folder: folder.answers("base_retrieval").exists(),
    "evaluate": lambda folder: answered(folder, "updated_retrieval") == answered(folder, "base_retrieval") > 0,
}


@pytest.mark.parametrize("stage", KILLS)
def test_a_kill_changes_nothing(
    stage: str, words: list[str], config: Config, undisturbed: RunFolder, tmp_path: Path
) -> None:
    folder = RunFolder(tmp_path / "run")
    if stage != "collect":
        pipeline.run_stage(pipeline.collect, config, folder)
    assert killed(words, folder, lambda: KILLS[stage](folder)) == -signal.SIGKILL
    assert not folder.evaluation.exists()
    assert folder.adapter.exists() == (stage in ("infer", "search", "evaluate"))
    pipeline.run(config, folder)
    assert_same(folder, undisturbed)


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(8))
def test_kills_at_any_time_change_nothing(
    seed: int, words: list[str], config: Config, undisturbed: RunFolder, tmp_path: Path
) -> None:
    folder, chance = RunFolder(tmp_path / "run"), random.Random(seed)
    for _ in range(4):
        end = time.monotonic() + chance.uniform(2, 12)
        assert killed(words, folder, lambda end=end: time.monotonic() > end) in (-signal.SIGKILL, 0)
    pipeline.run(config, folder)
    assert_same(folder, undisturbed)


HOSTILE = """# Tower\x1b[31m of Odds

The tower was built in 1874 by Runa Hesk. It has a gate called [bold] Gate.

| Ship | Launched | Motto |
|---|---|---|
| Sool [bold] | 1991 | <script>alert(1)</script> |
| Om\x1b[31mmel | 1974 | `</script><img src=x onerror=alert(2)>` |
"""


def test_a_hostile_document_is_only_text(
    tiny_model: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    documents, folder = tmp_path / "docs", RunFolder(tmp_path / "run")
    documents.mkdir()
    (documents / "odds [bold].md").write_text(HOSTILE, encoding="utf-8")
    (documents / "a\x1b[31m[red].png").touch()
    asked = {"id": "\x1b[31m", "doc_id": "odds [bold]", "question": "<script>alert(1)</script>\x1b[31m?", "answer": "x"}
    (documents / "questions.jsonl").write_text(json.dumps(asked) + "\n", encoding="utf-8")
    for width, verb in (
        (400, ["run", str(documents), f"model={tiny_model}", *SETTINGS, "--out", str(folder.path)]),
        (80, ["facts", str(folder.path)]),
        (400, ["facts", str(folder.path)]),
        (400, ["facts", str(folder.path), "--dropped"]),
    ):
        monkeypatch.setattr(display.console, "width", width)
        monkeypatch.setattr(sys, "argv", ["kupdate", *verb])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        assert ended.value.code == 0
    said, page = capsys.readouterr(), folder.report.read_text(encoding="utf-8")
    assert "\x1b" not in said.out + said.err + page + folder.log.read_text(encoding="utf-8")
    for shown in ("[red].png", "Sool [bold]", "<script>alert(1)</script>"):
        assert shown in said.out
    assert "Sool [bold]" in page
    assert "<script>alert" not in page
    assert "<img" not in page
    assert page.count("</script>") == page.count("<script")
