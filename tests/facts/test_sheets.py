"""What is written into a sheet comes back as it was, and is no formula there."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from openpyxl import Workbook, load_workbook

from knowledge_update.errors import ConfigError, DocumentError
from knowledge_update.facts import sheets

ENDINGS = ("xlsx", "csv", "jsonl")
ODD = (
    "=1+1",
    "+49",
    "-3 °C",
    "@home",
    "'=x",
    "''-y",
    "1874",
    "a, b; c",
    'say "x"',
    "灯塔",
    "two\nlines",
    " spaced ",
    "",
)
TEXTS = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=20) | st.sampled_from(ODD)


@pytest.mark.parametrize("ending", ENDINGS)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40, deadline=None)
@given(cells=st.lists(st.tuples(TEXTS, TEXTS), min_size=1, max_size=4))
def test_rows_come_back(tmp_path: Path, ending: str, cells: list[tuple[str, str]]) -> None:
    path = tmp_path / f"sheet.{ending}"
    rows = [{"first": f"x{one}", "second": other} for one, other in cells]
    assert sheets.write(path, ["first", "second"], rows) == len(rows)
    assert [row for _, row in sheets.read(path)] == rows


@pytest.mark.parametrize("text", ["=HYPERLINK(1)", "+1", "-1", "@SUM(A1)", "'=1", "\t=1"])
def test_no_cell_begins_a_formula(tmp_path: Path, text: str) -> None:
    assert sheets.guarded(text).startswith("'")
    assert sheets.restored(sheets.guarded(text)) == text
    sheets.write(tmp_path / "a.xlsx", ["text"], [{"text": text}])
    cell = load_workbook(tmp_path / "a.xlsx")["facts"]["A2"]
    assert (cell.data_type, cell.value[0]) == ("s", "'")
    sheets.write(tmp_path / "a.csv", ["text"], [{"text": text}])
    assert (tmp_path / "a.csv").read_text(encoding="utf-8-sig").splitlines()[1].lstrip('"').startswith("'")


def test_what_programs_for_tables_make_of_a_sheet_is_read(tmp_path: Path) -> None:
    book = Workbook()
    book.active.append(["answer", "note", None])
    book.active.append([1874, 38.5])
    book.active.append([38.0, True])
    book.save(tmp_path / "a.xlsx")
    assert list(sheets.read(tmp_path / "a.xlsx")) == [
        (2, {"answer": "1874", "note": "38.5"}), (3, {"answer": "38", "note": "True"}),
    ]  # fmt: skip
    (tmp_path / "b.csv").write_bytes('answer;note\r\n灯塔;\r\n\r\n"a\r\nb";x\r\nc;d\r\n'.encode("gb18030"))
    assert list(sheets.read(tmp_path / "b.csv")) == [
        (2, {"answer": "灯塔", "note": ""}), (4, {"answer": "a\nb", "note": "x"}), (6, {"answer": "c", "note": "d"}),
    ]  # fmt: skip


def test_a_file_that_is_no_sheet_is_told(tmp_path: Path) -> None:
    for name in ("a.xlsx", "a.jsonl"):
        (tmp_path / name).write_text("Dear diary", encoding="utf-8")
    with pytest.raises(DocumentError, match=r"a\.xlsx is not a readable workbook"):
        list(sheets.read(tmp_path / "a.xlsx"))
    with pytest.raises(DocumentError, match=r"a\.jsonl line 1 is no JSON object"):
        list(sheets.read(tmp_path / "a.jsonl"))
    with pytest.raises(DocumentError, match=r"cannot read .*absent\.csv: No such file"):
        list(sheets.read(tmp_path / "absent.csv"))
    with pytest.raises(ConfigError, match=r"a\.ods: a sheet is a file that ends in \.xlsx, \.csv, \.jsonl"):
        sheets.write(tmp_path / "a.ods", [], [])
    book = Workbook()
    book.active.append(["answer"])
    book.active.append(["=1+1"])
    book.save(tmp_path / "f.xlsx")
    with pytest.raises(DocumentError, match=r"f\.xlsx line 2 holds a formula: =1\+1"):
        list(sheets.read(tmp_path / "f.xlsx"))
