"""Several runs compared: one page, and tables for a terminal."""

import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from lxml import html
from planted import CONFIG, HUMAN, base, hash_of, oracle, plant, source

from knowledge_update.config import TrainingConfig
from knowledge_update.errors import RunFolderError, UserError
from knowledge_update.evaluation import runs, stage
from knowledge_update.run_config import write
from knowledge_update.run_folder import RunFolder, write_json, write_rows

Kupdate = Callable[..., tuple[int, str, str]]
HOSTILE = "<script>alert(1)</script> 文档 [b] \x1b[31m"


@pytest.fixture(scope="module")
def compared(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Three runs on one dataset: one that learned nothing, one half, one all; the last has a question more."""
    place = tmp_path_factory.mktemp("runs")
    first = source(place / "none")
    models = {"none": base, "half": lambda row: oracle(row) if hash_of(row) % 2 else base(row), "all": oracle}
    for number, (name, model) in enumerate(models.items()):
        if number:
            shutil.copytree(first.path, place / name)
            (place / name / "evaluation.json").unlink()
        folder = RunFolder(place / name)
        config = replace(CONFIG, training=TrainingConfig(epochs=1 + number))
        if name == "all":
            write_rows(folder.dataset("questions"), [*HUMAN, {**HUMAN[0], "id": "q7", "question": "Is it old?"}])
        plant(folder, model, config=config)
        write_json(folder.seconds, {"collect": 1.0, "train": 60.0 * (1 + number), "infer": 3.0})
        write(config, folder)
        stage.run(config, folder)
    return [place / name for name in models]


def test_runs_are_compared_on_what_both_were_asked(compared: list[Path], tmp_path: Path) -> None:
    tables = {title: (columns, rows) for title, columns, rows in runs.compare(compared, tmp_path / "page.html")}
    columns, rows = tables["Runs"]
    assert columns == ["run", "held-out probes", "human questions", "reversed", "multi-document", "trained", "kept",
                       "invented", "facts learned", "time"]  # fmt: skip
    assert [row[0] for row in rows] == ["none", "half", "all"]
    assert rows[0][1:] == ["0 % (0–0 %)", "0 % (0–0 %)", "0 % (0–0 %)", "0 % (0–0 %)", "0 % (0–0 %)", "100 %", "100 %",
                           "0 of 12", "1 min 04 s"]  # fmt: skip
    assert rows[2][1:4] + rows[2][7:9] == ["100 % (100–100 %)"] * 3 + ["0 %", "12 of 12"]
    gains = {
        (row[0], row[1]): row[2:] for row in tables["Against none, on the questions both were asked, in points"][1]
    }
    assert gains["Held-out questions", "all"] == ["12", "+100", "+100 to +100", "p < 0.001"]
    assert gains["Human questions", "all"][0] == "2", "the question that only one was asked is not compared"
    assert tables["What differs"] == (["key", "none", "half", "all"], [["training.epochs", "1.0", "2.0", "3.0"]])
    tree = html.fromstring((tmp_path / "page.html").read_text(encoding="utf-8"))
    assert [cell.text_content() for cell in tree.xpath("//table")[0].xpath(".//tbody//th")] == ["none", "half", "all"]
    assert len(tree.xpath("//svg")) == 2
    assert not tree.xpath("//script")


def test_names_that_are_equal_are_told_apart(compared: list[Path], tmp_path: Path) -> None:
    copies = [tmp_path / name / "run" for name in ("first", "second")]
    for copy in copies:
        shutil.copytree(compared[0], copy)
    tables = dict((title, rows) for title, _, rows in runs.compare(copies, tmp_path / "page.html"))
    assert [row[0] for row in tables["Runs"]] == ["first/run", "second/run"]
    gains = tables["Against first/run, on the questions both were asked, in points"]
    assert all(row[3:] == ["0", "0 to 0", "p = 1.00"] for row in gains)
    assert "What differs" not in tables
    assert "made with the same configuration" in (tmp_path / "page.html").read_text(encoding="utf-8")


def test_a_hostile_name_is_only_text(compared: list[Path], tmp_path: Path) -> None:
    copy = tmp_path / HOSTILE.replace("/", "⁄")
    shutil.copytree(compared[1], copy)
    runs.compare([compared[0], copy], tmp_path / "page.html")
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert "<script" not in page
    assert "alert(1)" in page
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]", page)
    assert "default-src 'none'" in page


def test_what_cannot_be_compared_is_told(compared: list[Path], tmp_path: Path) -> None:
    with pytest.raises(UserError, match="a run is named twice"):
        runs.compare([compared[0], compared[0]], tmp_path / "page.html")
    empty = RunFolder(tmp_path / "empty")
    empty.create()
    with pytest.raises(RunFolderError, match="is not a run folder"):
        runs.compare([compared[0], empty.path], tmp_path / "page.html")
    write(CONFIG, empty)
    with pytest.raises(RunFolderError, match=r"has no evaluation.json: run `kupdate evaluate"):
        runs.compare([compared[0], empty.path], tmp_path / "page.html")
    assert not (tmp_path / "page.html").exists()


def test_the_verb_writes_one_page_or_compares(compared: list[Path], tmp_path: Path, kupdate: Kupdate) -> None:
    code, said, _ = kupdate("report", *compared)
    assert (code, said.splitlines()[-1]) == (0, "report: runs.html")
    assert (tmp_path / "runs.html").exists()
    page = RunFolder(compared[2]).report
    before = page.read_text(encoding="utf-8")
    page.unlink()
    code, said, _ = kupdate("report", compared[2])
    assert (code, said.splitlines()[-1]) == (0, f"report: {page}")
    assert page.read_text(encoding="utf-8") == before
    assert "Facts learned" in said
    for words, told in (
        (["absent"], "no such run folder: absent"),
        ([compared[0], "--out", "x.html"], "the page of one run stands in its folder"),
        ([compared[0], tmp_path], "is not a run folder"),
    ):
        code, said, error = kupdate("report", *words)
        assert (code, said, error.count("\n")) == (2, "", 1)
        assert told in error
