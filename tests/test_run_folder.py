"""Files of a run folder appear whole, and journals lose no whole line."""

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import save_file

from knowledge_update.errors import RunFolderError, WorkError
from knowledge_update.ledger import DocumentRow, Drop, Ledger
from knowledge_update.run_folder import (
    RunFolder,
    journal,
    mend,
    read_journal,
    read_json,
    read_rows,
    whole_file,
    whole_folder,
    write_json,
    write_rows,
)

ROWS = [{"id": "a", "text": "灯塔"}, {"id": "b", "text": "one\ntwo\u2028three"}]
JSON = st.dictionaries(st.text(), st.none() | st.booleans() | st.integers() | st.text(), max_size=3)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_file_appears_only_when_it_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "file.txt"
    with whole_file(path) as file:
        file.write("half")
        file.flush()
        assert not path.exists()
    assert (path.read_text(encoding="utf-8"), names(path.parent)) == ("half", ["file.txt"])


@pytest.mark.parametrize("error", [ValueError("no"), KeyboardInterrupt()])
def test_a_file_that_fails_leaves_the_old_one(tmp_path: Path, error: BaseException) -> None:
    path = tmp_path / "file.txt"
    path.write_text("old", encoding="utf-8")
    with pytest.raises(type(error)), whole_file(path) as file:
        file.write("new")
        raise error
    assert path.read_text(encoding="utf-8") == "old"
    with whole_file(path) as file:
        file.write("newer")
    assert (path.read_text(encoding="utf-8"), names(tmp_path)) == ("newer", ["file.txt"])


def test_rows_are_written_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    write_rows(path, ROWS)
    assert read_rows(path) == ROWS
    with pytest.raises(TypeError):
        write_rows(path, [{"id": "c"}, {"id": object()}])
    assert read_rows(path) == ROWS


def test_one_value_is_written_readably(tmp_path: Path) -> None:
    write_json(tmp_path / "value.json", {"名": [1, None]})
    assert (tmp_path / "value.json").read_text(encoding="utf-8") == '{\n  "名": [\n    1,\n    null\n  ]\n}\n'
    assert read_json(tmp_path / "value.json") == {"名": [1, None]}


def test_a_folder_takes_the_place_of_the_old_one_when_it_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "adapter"
    for content in ("first", "second"):
        with whole_folder(path) as partial:
            (partial / f"{content}.txt").write_text(content, encoding="utf-8")
            assert names(path) == ["first.txt"] if content == "second" else not path.exists()
    assert (names(path), names(tmp_path)) == (["second.txt"], ["adapter"])


@pytest.mark.parametrize(("error", "told"), [(ValueError("no"), ValueError), (OSError(28, "No space"), WorkError)])
def test_a_folder_that_fails_leaves_the_old_one(tmp_path: Path, error: Exception, told: type[Exception]) -> None:
    path = tmp_path / "adapter"
    with whole_folder(path) as partial:
        (partial / "old.txt").touch()
    with pytest.raises(told), whole_folder(path) as partial:
        (partial / "new.txt").touch()
        raise error
    assert names(path) == ["old.txt"]
    with whole_folder(path) as partial:
        assert names(partial) == []
    assert (names(path), names(tmp_path)) == ([], ["adapter"])


def test_a_folder_that_a_kill_left_under_another_name_is_put_back(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    folder.create()
    (tmp_path / ".adapter.replaced").mkdir()
    assert folder.require(folder.adapter, "train") == folder.adapter
    (tmp_path / ".adapter.replaced").mkdir()
    folder.create()
    assert names(tmp_path) == ["adapter", "answers", "dataset", "losses"]


def test_a_run_folder_in_which_nothing_was_made_is_removed(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "run")
    folder.create()
    folder.log.touch()
    folder.discard()
    assert names(tmp_path) == []
    folder.create()
    (folder.path / "mine.txt").touch()
    folder.discard()
    assert names(folder.path) == ["mine.txt"]


def test_a_journal_grows(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "answers.jsonl"
    assert read_journal(path) == []
    for row in ROWS:
        with journal(path) as append:
            append([row])
            assert read_rows(path)[-1] == row
    assert read_journal(path) == ROWS


def test_a_torn_last_line_is_cut_off(tmp_path: Path) -> None:
    path = tmp_path / "answers.jsonl"
    whole = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in ROWS).encode()
    for torn in ("{", '{"id": "灯', '{"id": "c"}'):
        path.write_bytes(whole + torn.encode()[:-1])
        assert read_journal(path) == ROWS
        path.write_bytes(whole + torn.encode())
        with journal(path) as append:
            append([{"id": "d"}])
        assert read_rows(path) == [*ROWS, {"id": "d"}]


@given(st.lists(JSON, max_size=4), st.data())
def test_no_whole_line_is_lost_wherever_the_journal_is_torn(
    tmp_path_factory: pytest.TempPathFactory, rows: list[dict[str, object]], data: st.DataObject
) -> None:
    path = tmp_path_factory.mktemp("torn") / "answers.jsonl"
    whole = b"".join(json.dumps(row).encode() + b"\n" for row in rows)
    cut = data.draw(st.integers(0, len(whole)))
    path.write_bytes(whole[:cut])
    mend(path)
    assert read_rows(path) == rows[: whole[:cut].count(b"\n")]


def test_a_run_folder_is_made_and_names_what_is_missing(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "runs" / "one")
    folder.create()
    folder.create()
    assert names(folder.path) == ["answers", "dataset", "losses"]
    with pytest.raises(RunFolderError, match=r"one has no dataset/probes\.jsonl: run `kupdate collect DOCS` first$"):
        folder.require(folder.dataset("probes"), "collect DOCS")
    folder.dataset("probes").touch()
    assert folder.require(folder.dataset("probes"), "collect DOCS") == folder.dataset("probes")


def test_a_file_in_the_place_of_a_run_folder_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(RunFolderError, match=r"^cannot write the run folder .*file: (File exists|Not a directory)$"):
        RunFolder(tmp_path / "file").create()


def test_a_path_in_the_home_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert RunFolder("~/runs").path == tmp_path / "runs"


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 256 kB."""
    path = tmp_path / "disk"
    path.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(path)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True, check=False).returncode != 0:
        pytest.skip("a small disk can only be mounted by root")
    yield path
    subprocess.run(["umount", "--lazy", str(path)], check=True)


def told(error: pytest.ExceptionInfo[WorkError]) -> str:
    assert "\n" not in str(error.value)
    return str(error.value)


def test_a_full_disk_is_told_in_one_line_and_keeps_the_old(small_disk: Path) -> None:
    rows, folder = small_disk / "rows.jsonl", small_disk / "adapter"
    write_rows(rows, ROWS)
    with whole_folder(folder) as partial:
        (partial / "old.txt").touch()
    big = "x" * 400_000
    advice = "No space left on device; free some space and run the same again"
    with pytest.raises(WorkError) as error:
        write_rows(rows, [{"text": big}])
    assert told(error) == f"cannot write {rows}: {advice}"
    with pytest.raises(WorkError) as error, whole_folder(folder) as partial:
        (partial / "new.txt").write_text(big, encoding="utf-8")
    assert told(error) == f"cannot write {folder}: {advice}"
    with pytest.raises(WorkError) as error, journal(rows) as append:
        append([{"text": big}])
    assert told(error) == f"cannot write {rows}: {advice}"
    assert (read_journal(rows), names(folder), names(small_disk)) == (ROWS, ["old.txt"], ["adapter", "rows.jsonl"])


def test_a_full_disk_stops_weights_as_it_stops_text(small_disk: Path) -> None:
    folder = small_disk / "adapter"
    with pytest.raises(WorkError) as error, whole_folder(folder) as partial:
        save_file({"weight": torch.zeros(100_000)}, partial / "weights.safetensors")
    assert told(error).startswith(f"cannot write {folder}: ")
    assert told(error).endswith("; free some space and run the same again")
    assert "No space left on device" in told(error)
    assert names(small_disk) == []


def test_a_full_disk_leaves_the_ledger_as_it_was(small_disk: Path) -> None:
    path = small_disk / "ledger.sqlite"
    with Ledger(path) as ledger:
        drops = (Drop("write", "x" * 1000, str(number)) for number in range(400))
        with pytest.raises(WorkError) as error:
            ledger.add(DocumentRow("d", "d", "d.txt", "D", "text/plain", "en"), [], [], [], drops)
        assert told(error).endswith("free some space and run the same again")
        assert (list(ledger.documents()), list(ledger.drops())) == ([], [])


def test_two_do_not_work_in_one_folder(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "run")
    folder.create()
    with folder.alone():
        with pytest.raises(RunFolderError, match="another kupdate is at work"), RunFolder(folder.path).alone():
            pytest.fail("two are at work")
        with RunFolder(tmp_path).alone():
            assert folder.path.exists()
    with folder.alone():
        assert {path.name for path in folder.path.iterdir()} == {"dataset", "answers", "losses"}
