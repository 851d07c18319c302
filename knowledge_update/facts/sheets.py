"""Rows of text as xlsx, csv or jsonl, by a file's ending, written so that programs for tables do them no harm."""

import csv
import io
import json
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import date, datetime
from pathlib import Path
from typing import Any

from knowledge_update.documents.text import decode
from knowledge_update.errors import ConfigError, DocumentError, WorkError
from knowledge_update.run_folder import as_line, whole_file

Row = dict[str, str]
# A line of a file as a person counts it, and its row.
Line = tuple[int, Row]

# What a program for tables would take for a formula; the apostrophe before it is taken off again.
_FORMULA = re.compile(r"'*[=+\-@\t\r]")
_MOST_ROWS, _LONGEST_CELL = 1_048_575, 32_767
_WIDTHS = {"fact": 60, "quote": 60, "question": 50, "answer": 30, "document": 24}


def guarded(text: str) -> str:
    """A text as it stands in a cell: no formula, nothing that a cell cannot hold."""
    from openpyxl.cell.cell import ILLEGAL_CHARACTERS_RE

    text = ILLEGAL_CHARACTERS_RE.sub("", text).replace("\r\n", "\n")
    return (f"'{text}" if _FORMULA.match(text) else text)[:_LONGEST_CELL]


def restored(text: str) -> str:
    """The text of a cell."""
    return text[1:] if text.startswith("'") and _FORMULA.match(text) else text


def write(path: Path, columns: Sequence[str], rows: Iterable[Row]) -> int:
    """Writes a file, whole or not at all; returns how many rows.

    Raises:
        ConfigError: For another ending than xlsx, csv and jsonl.
        WorkError: When it cannot be written.
    """
    return int(_of_ending(path)[0](path, columns, rows))


def read(path: Path) -> Iterator[Line]:
    """Reads the rows of a file; columns that are empty are empty texts.

    Raises:
        ConfigError: For another ending.
        DocumentError: When it cannot be read.
    """
    try:
        found: Iterator[Line] = _of_ending(path)[1](path)
        yield from found
    except OSError as error:
        raise DocumentError(f"cannot read {path}: {error.strerror}") from error


def _of_ending(path: Path) -> tuple[Callable[..., Any], Callable[..., Any]]:
    kinds = {".xlsx": (_write_xlsx, _read_xlsx), ".csv": (_write_csv, _read_csv), ".jsonl": (_write_jsonl, _read_jsonl)}
    if path.suffix.lower() not in kinds:
        raise ConfigError(f"{path}: a sheet is a file that ends in {', '.join(kinds)}")
    return kinds[path.suffix.lower()]


def _write_jsonl(path: Path, columns: Sequence[str], rows: Iterable[Row]) -> int:
    count = 0
    with whole_file(path) as file:
        for row in rows:
            file.write(as_line({name: row[name] for name in columns}))
            count += 1
    return count


def _read_jsonl(path: Path) -> Iterator[Line]:
    with path.open(encoding="utf-8-sig") as file:
        for number, line in enumerate(file, 1):
            if line.strip():
                try:
                    row = json.loads(line)
                    yield number, {str(k): "" if v is None else str(v) for k, v in row.items()}
                except (ValueError, AttributeError) as error:
                    raise DocumentError(f"{path} line {number} is no JSON object") from error


def _write_csv(path: Path, columns: Sequence[str], rows: Iterable[Row]) -> int:
    count = 0
    with whole_file(path) as file:
        # By the mark at its beginning a program for tables knows that it is UTF-8.
        file.write("\ufeff")
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(columns)
        for row in rows:
            writer.writerow([guarded(row[name]) for name in columns])
            count += 1
    return count


def _read_csv(path: Path) -> Iterator[Line]:
    text = decode(path.read_bytes())
    first = text.split("\n", 1)[0]
    delimiter = max(",;\t", key=first.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    try:
        header = next(reader, [])
        number = reader.line_num + 1
        for cells in reader:
            if any(cells):
                yield number, _row(header, [restored(cell.replace("\r\n", "\n")) for cell in cells])
            number = reader.line_num + 1
    except csv.Error as error:
        raise DocumentError(f"{path} line {reader.line_num} is no CSV ({error})") from error


def _write_xlsx(path: Path, columns: Sequence[str], rows: Iterable[Row]) -> int:
    from openpyxl import Workbook
    from openpyxl.utils import get_column_letter

    book = Workbook(write_only=True)
    sheet = book.create_sheet("facts")
    sheet.freeze_panes = "A2"
    for number, name in enumerate(columns, 1):
        sheet.column_dimensions[get_column_letter(number)].width = _WIDTHS.get(name, 18)
    sheet.append(list(columns))
    count = 0
    for row in rows:
        if count == _MOST_ROWS:
            raise ConfigError(f"{path}: a sheet holds {_MOST_ROWS:,} rows at most; export to csv or jsonl")
        sheet.append([guarded(row[name]) for name in columns])
        count += 1
    partial = path.with_name(f".{path.name}.partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        book.save(partial)
        partial.replace(path)
    except OSError as error:
        partial.unlink(missing_ok=True)
        raise WorkError(f"cannot write {path}: {error.strerror}; free some space and run the same again") from error
    return count


def _read_xlsx(path: Path) -> Iterator[Line]:
    from openpyxl import load_workbook

    try:
        book = load_workbook(path, read_only=True)
        lines = iter(book.worksheets[0].iter_rows())
    except OSError:
        raise
    except Exception as error:  # openpyxl has no error of its own for a file that is none
        raise DocumentError(f"{path} is not a readable workbook ({type(error).__name__})") from error
    header = [_cell(cell, path, 1) for cell in next(lines, ())]
    for number, cells in enumerate(lines, 2):
        values = [_cell(cell, path, number) for cell in cells]
        if any(values):
            yield number, _row(header, values)
    book.close()


def _cell(cell: Any, path: Path, number: int) -> str:
    value = cell.value
    if cell.data_type == "f":
        raise DocumentError(f"{path} line {number} holds a formula: {value}")
    if value is None:
        return ""
    if isinstance(value, datetime | date):
        return value.isoformat().removesuffix("T00:00:00")
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return restored(str(value))


def _row(header: Sequence[str], cells: Sequence[str]) -> Row:
    padded = [*cells, *[""] * (len(header) - len(cells))]
    return {name.strip(): cell for name, cell in zip(header, padded, strict=False) if name.strip()}
