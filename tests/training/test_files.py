"""Files of rows are found by name, folder and glob, and read row by row, whatever their first bytes say they are."""

import gzip
import json
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from knowledge_update.errors import ConfigError, DocumentError
from knowledge_update.training.files import DataFile, entries
from knowledge_update.training.formats import BadRow

ROWS = [{"input": "Who built it?", "target": "Runa Hesk."}, {"input": "灯塔建于哪一年？", "target": "一八七四年。"}]
LINES = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in ROWS).encode()
ARRAY = json.dumps(ROWS, ensure_ascii=False, indent=2).encode()


def read(path: Path) -> tuple[str, list[tuple[int, Any]]]:
    file = DataFile(path)
    found = [(number, f"BAD {value}" if isinstance(value, BadRow) else value) for number, value in file.rows()]
    return file.unit, found


def written(path: Path, data: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


@pytest.mark.parametrize("ending", [".json", ".jsonl", ".data"])
@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
@pytest.mark.parametrize(
    ("data", "unit", "places"),
    [
        (LINES, "line", [1, 2]),
        (LINES.replace(b"\n", b"\r\n"), "line", [1, 2]),
        (LINES.replace(b"\n", b"\n \n\n"), "line", [1, 4]),
        (ARRAY, "row", [1, 2]),
        (b" \n" + ARRAY, "row", [1, 2]),
        (b"\n".join(json.dumps(row, indent=2).encode() for row in ROWS), "row", [1, 2]),
        (b"", "line", []),
        (b"[]", "row", []),
    ],
)
def test_what_a_file_is_its_content_says(
    tmp_path: Path, data: bytes, unit: str, places: list[int], mark: bytes, packed: bool, ending: str
) -> None:
    path = written(tmp_path / f"rows{ending}", gzip.compress(mark + data) if packed else mark + data)
    assert read(path) == (unit, list(zip(places, ROWS, strict=False)))


def test_parquet_is_read(tmp_path: Path) -> None:
    import pyarrow
    from pyarrow import parquet

    rows = [{"id": str(at), "messages": [{"role": "user", "content": "a"}], "text": None} for at in range(2500)]
    parquet.write_table(pyarrow.Table.from_pylist(rows), tmp_path / "rows.parquet", row_group_size=700)
    assert read(tmp_path / "rows.parquet") == ("row", list(enumerate(rows, 1)))
    data = bytearray((tmp_path / "rows.parquet").read_bytes())
    data[-100:-50] = b"\xff" * 50
    unit, found = read(written(tmp_path / "torn.parquet", bytes(data)))
    assert (unit, [number for number, _ in found]) == ("row", [1])
    assert found[0][1].startswith("BAD not Parquet that can be read, nor what comes after (")


def test_without_pyarrow_parquet_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    path = written(tmp_path / "rows.parquet", b"PAR1")
    with pytest.raises(ConfigError, match=r"^Parquet needs pyarrow: pip install 'knowledge-update\[parquet\]'$"):
        read(path)


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b'{"text": "a"', "not JSON (Expecting ',' delimiter at character 13)"),
        (b'{"text": "\xff"}', "not UTF-8 (at byte 11)"),
        (b"[" * 100_000, "not JSON that can be read (maximum recursion depth exceeded"),
        (b'{"text": ' + b"9" * 5000 + b"}", "not JSON that can be read (Exceeds the limit"),
    ],
)
def test_a_line_that_is_not_json_is_told_and_those_after_it_are_read(tmp_path: Path, line: bytes, reason: str) -> None:
    data = LINES.splitlines()[0] + b"\n" + line + b"\n" + LINES.splitlines()[1]
    unit, found = read(written(tmp_path / "rows.jsonl", data))
    assert (unit, [number for number, _ in found], found[0][1], found[2][1]) == ("line", [1, 2, 3], *ROWS)
    assert found[1][1].startswith(f"BAD {reason}")


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (ARRAY[:-30], "not JSON, and nothing after it can be read (parse error: premature EOF)"),
        (ARRAY[:-30] + b"\xff" + ARRAY[-30:], "not UTF-8, and nothing after it can be read (lexical error"),
    ],
)
def test_an_array_that_breaks_off_is_told_after_what_was_read(tmp_path: Path, data: bytes, reason: str) -> None:
    unit, found = read(written(tmp_path / "rows.json", data))
    assert (unit, found[0]) == ("row", (1, ROWS[0]))
    assert found[1][0] == 2 and found[1][1].startswith(f"BAD {reason}")


def test_an_archive_that_breaks_off_is_told(tmp_path: Path) -> None:
    data = gzip.compress(b"".join(b'{"text": "%d"}\n' % at for at in range(50_000)))
    _, found = read(written(tmp_path / "rows.jsonl.gz", data[: len(data) // 2]))
    assert len(found) > 1000 and found[-2][1] == {"text": str(len(found) - 2)}
    assert found[-1][1].startswith("BAD the archive breaks off or is damaged, nothing after it can be read (")


def test_a_file_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    with pytest.raises(DocumentError, match=r"rows\.jsonl cannot be read: No such file or directory$"):
        read(tmp_path / "rows.jsonl")


@given(st.binary(max_size=300))
def test_whatever_a_file_holds_is_rows_or_told(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    _, found = read(written(tmp_path_factory.getbasetemp() / "any.jsonl", data))
    assert [number for number, _ in found] == sorted({number for number, _ in found})


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("a.jsonl", "b.json", "deep/c.jsonl.gz", "deep/d.parquet", "notes.txt", ".hidden/e.jsonl", "x,y.jsonl",
                 "w:2"):  # fmt: skip
        written(tmp_path / "data" / name, b"")
    monkeypatch.chdir(tmp_path / "data")
    return tmp_path / "data"


@pytest.mark.parametrize(
    ("named", "found"),
    [
        ("a.jsonl", ["a.jsonl 1"]),
        ("b.json, a.jsonl", ["b.json 1", "a.jsonl 1"]),
        (["a.jsonl:2", "b.json:0.5"], ["a.jsonl 2", "b.json 0.5"]),
        ("a.jsonl:2,b.json:.25", ["a.jsonl 2", "b.json 0.25"]),
        ("x,y.jsonl", ["x,y.jsonl 1"]),
        ("w:2", ["w:2 1"]),
        ("*.jsonl", ["a.jsonl 1", "x,y.jsonl 1"]),
        ("**/*.gz:3", ["deep/c.jsonl.gz 3"]),
        (".", ["a.jsonl 1", "b.json 1", "deep/c.jsonl.gz 1", "deep/d.parquet 1", "x,y.jsonl 1"]),
        ("notes.txt", ["notes.txt 1"]),
    ],
)
def test_files_are_named_in_many_ways(place: Path, named: str | list[str], found: list[str]) -> None:
    assert [f"{entry.path} {entry.weight:g}" for entry in entries(named, "rows.files")] == found


@pytest.mark.parametrize(
    ("named", "error", "message"),
    [
        ("absent.jsonl", DocumentError, "no such file or folder, and no glob that fits a file: absent.jsonl"),
        ("*.csv", DocumentError, "no such file or folder, and no glob that fits a file: *.csv"),
        ("a.jsonl:0", ConfigError, "rows.files=a.jsonl:0: a weight above 0"),
        ("a.jsonl,./a.jsonl", ConfigError,
         "rows.files names a.jsonl twice; to take its rows more often give it a weight: a.jsonl:2"),
    ],
)  # fmt: skip
def test_files_that_are_not_there_are_told(place: Path, named: str, error: type[Exception], message: str) -> None:
    with pytest.raises(error) as raised:
        entries(named, "rows.files")
    assert str(raised.value) == message


def test_a_folder_without_rows_says_what_belongs_there(tmp_path: Path) -> None:
    written(tmp_path / "notes.txt", b"")
    with pytest.raises(DocumentError, match=r"^no rows in .*: put files there that end in \.json, \.jsonl, "):
        entries(str(tmp_path), "rows.files")


def test_a_run_folder_is_no_folder_of_rows(tmp_path: Path) -> None:
    written(tmp_path / "config.yaml", b"")
    written(tmp_path / "dataset" / "probes.jsonl", LINES)
    with pytest.raises(DocumentError, match=r" is a run folder: `kupdate train .*` trains on its dataset$"):
        entries(str(tmp_path), "rows.files")
