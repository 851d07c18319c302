"""A run's pairs in the forms of other programs, each read back by what reads it."""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from knowledge_update.composition import load
from knowledge_update.errors import ConfigError, RunFolderError
from knowledge_update.exports import export, places
from knowledge_update.run_folder import Row, RunFolder, read_rows

QUESTION, ANSWER = '海鸥“𠮷” asked:\n"When?"', "In 1874 \u2028 of course"


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    made = RunFolder(tmp_path / "run")
    made.create()
    with made.dataset("qa_pairs").open("w", encoding="utf-8") as file:
        for at, split in enumerate(["train", "probe", "train", "validation"]):
            row = {
                "id": f"id{at}",
                "conversations": [
                    {"from": "user", "value": f"{QUESTION} {at}"},
                    {"from": "assistant", "value": f"{ANSWER} {at}"},
                ],
                "fact": "It was lit in 1874.", "file_name": "lamp.txt", "split": split,
            }  # fmt: skip
            file.write(json.dumps(row, ensure_ascii=False) + "\n")
    return made


def loaded(path: Path) -> list[Row]:
    if path.suffix == ".parquet":
        from pyarrow import parquet

        rows: list[Row] = parquet.read_table(path).to_pylist()
        return rows
    return read_rows(path) if path.suffix == ".jsonl" else json.loads(path.read_text(encoding="utf-8"))


def asked(row: Row) -> tuple[str, str]:
    """Question and answer of a row of any form."""
    if "messages" in row:
        assert [message["role"] for message in row["messages"]] == ["user", "assistant"]
        return tuple(message["content"] for message in row["messages"])
    if "conversations" in row:
        assert [turn["from"] for turn in row["conversations"]] in (["human", "gpt"], ["user", "assistant"])
        return tuple(turn["value"] for turn in row["conversations"])
    assert (sorted(row), row["input"]) == (["input", "instruction", "output"], "")
    return row["instruction"], row["output"]


@pytest.mark.parametrize("ending", ["jsonl", "json", "parquet"])
@pytest.mark.parametrize("form", ["messages", "sharegpt", "alpaca", "pairs", None])
def test_every_form_in_every_kind_of_file_is_read_back(
    folder: RunFolder, tmp_path: Path, form: str | None, ending: str
) -> None:
    file = tmp_path / "new" / f"out.{ending}"
    assert export(folder, file, form) == 2
    rows = loaded(file)
    assert [asked(row) for row in rows] == [(f"{QUESTION} {at}", f"{ANSWER} {at}") for at in (0, 2)]
    assert form == "alpaca" or [row["id"] for row in rows] == ["id0", "id2"]


@pytest.mark.parametrize(("split", "found"), [("train", "02"), ("validation", "3"), ("probe", "1"), ("all", "0123")])
def test_a_split_is_written_alone(folder: RunFolder, tmp_path: Path, split: str, found: str) -> None:
    assert export(folder, tmp_path / "out.jsonl", "sharegpt", split) == len(found)
    assert "".join(row["id"][2:] for row in loaded(tmp_path / "out.jsonl")) == found


def test_parquet_is_also_a_form_and_is_written_in_batches(
    folder: RunFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("knowledge_update.exports._TOGETHER", 3)
    assert export(folder, tmp_path / "out.data", "parquet", "all") == 4
    (tmp_path / "out.data").rename(tmp_path / "out.parquet")
    assert [row["id"] for row in loaded(tmp_path / "out.parquet")] == ["id0", "id1", "id2", "id3"]


@pytest.mark.parametrize("ending", ["json", "jsonl", "parquet"])
def test_a_split_without_rows_is_an_empty_file(folder: RunFolder, tmp_path: Path, ending: str) -> None:
    folder.dataset("qa_pairs").write_text("", encoding="utf-8")
    assert export(folder, tmp_path / f"out.{ending}") == 0
    assert loaded(tmp_path / f"out.{ending}") == []


@pytest.mark.parametrize(
    ("name", "form", "split", "message"),
    [
        ("a.jsonl", "chatml", "train", "--format chatml: one of messages, sharegpt, alpaca, pairs, parquet"),
        ("a.jsonl", None, "test", "--split test: one of train, validation, probe, all"),
        ("a.csv", None, "train", "a.csv: its name has to end in .jsonl, .json, .parquet, so that the kind of file is"),
        ("run", "parquet", "train", "run is a folder: name a file in it"),
    ],
)
def test_a_mistake_is_named(
    folder: RunFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, form: str, split: str, message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError) as raised:
        export(folder, Path(name), form, split)
    assert str(raised.value).startswith(message)


def test_parquet_without_its_library_says_how_to_get_it(
    folder: RunFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(ConfigError, match=r"^Parquet needs pyarrow: pip install 'knowledge-update\[parquet\]'$"):
        export(folder, tmp_path / "out.parquet")


def test_a_folder_without_a_dataset_says_what_makes_it(tmp_path: Path) -> None:
    empty = RunFolder(tmp_path / "empty")
    empty.create()
    with pytest.raises(RunFolderError, match=r"run `kupdate collect DOCS --out .*empty` first$"):
        export(empty, tmp_path / "out.jsonl")


def test_places_of_the_pairs(tmp_path: Path) -> None:
    lines, array = str(tmp_path / "a.jsonl"), str(tmp_path / "a.json")
    assert places(load([], {"pairs_jsonl": lines})) == {Path(lines): ".jsonl"}
    assert places(load([], {"pairs_jsonl": str(tmp_path), "pairs_json": f"{tmp_path}/new/"})) == {
        tmp_path / "qa_pairs.jsonl": ".jsonl",
        tmp_path / "new" / "qa_pairs.json": ".json",
    }
    assert list(places(load([], {"pairs_jsonl": array, "pairs_json": lines})).values()) == [".jsonl", ".json"]
    with pytest.raises(ConfigError, match=r"^pairs_jsonl and pairs_json are the same file"):
        places(load([], {"pairs_jsonl": lines, "pairs_json": lines}))


def test_collecting_writes_the_pairs_where_they_are_wanted(
    run_kupdate: Callable[..., Any], docs: Path, tiny_model: str, tmp_path: Path
) -> None:
    words = ["collect", docs, f"model={tiny_model}", "--out", "out"]
    saved = ["--save_dir", "datasets/qa_pairs.jsonl", "--json-save-dir=all/pairs.json"]
    ended = run_kupdate(*words, *saved, cwd=tmp_path)
    assert ended.code == 0, ended.stderr
    own = (tmp_path / "out" / "dataset" / "qa_pairs.jsonl").read_bytes()
    assert (tmp_path / "datasets" / "qa_pairs.jsonl").read_bytes() == own
    rows = loaded(tmp_path / "all" / "pairs.json")
    assert rows == [json.loads(line) for line in own.decode().splitlines()]
    assert len({row["id"] for row in rows}) == len(rows) > 10
    assert {tuple(row) for row in rows} == {("id", "conversations", "fact", "file_name", "split")}
    assert f"{len(rows)} pairs in datasets/qa_pairs.jsonl" in ended.stdout
    # Another place is not another run.
    again = run_kupdate(*words, "--save_dir=elsewhere.jsonl", cwd=tmp_path)
    assert (again.code, (tmp_path / "elsewhere.jsonl").read_bytes()) == (0, own)
    (tmp_path / "file").write_text("", encoding="utf-8")
    failed = run_kupdate(*words, "--save_dir=file/a.jsonl", cwd=tmp_path)
    assert (failed.code, failed.stderr.count("\n")) == (1, 1)
    exported = run_kupdate("export", "out", "alpaca.json", "--format", "alpaca", "--split=all", cwd=tmp_path)
    assert (exported.code, exported.stdout) == (0, f"{len(rows)} pairs in alpaca.json\n")
    assert len(loaded(tmp_path / "alpaca.json")) == len(rows)
