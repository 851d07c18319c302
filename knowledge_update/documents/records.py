"""Files of records: JSONL and CSV whose named fields are documents, and CSV that is a table."""

import csv
import io
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from knowledge_update.documents.blocks import Block, Document, document_id, fold, rows, title_of
from knowledge_update.documents.dates import iso
from knowledge_update.documents.text import decode
from knowledge_update.errors import DocumentError


@dataclass(frozen=True)
class Fields:
    """The names of the fields that hold a document's identity, title and text."""

    doc_id: str = "doc_id"
    title: str = "title"
    text: str = "text"


FIELDS = Fields()


def jsonl(lines: Iterable[bytes], name: str, fields: Fields) -> Iterator[Document]:
    """Reads a document from each line.

    Raises:
        DocumentError: At a line that is none.
    """
    wanted = f"{{{fields.doc_id}, {fields.title}, {fields.text}}}"
    for number, data in enumerate(lines, 1):
        try:
            line = data.decode("utf-8-sig" if number == 1 else "utf-8").rstrip("\r\n")
            if not line.strip():
                continue
            values = {key: str(value) for key, value in json.loads(line).items() if value is not None}
            yield _document(values, line, name, "application/jsonl", fields)
        except UnicodeDecodeError as error:
            raise DocumentError(f"line {number} is not UTF-8, as JSONL has to be") from error
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise DocumentError(f"line {number} is not {wanted} ({type(error).__name__})") from error


def table(data: bytes, stem: str, name: str, encoding: str | None, fields: Fields) -> Iterator[Document]:
    """Reads CSV: a document from each line where a column is named as the text is, else one document that is a table.

    Raises:
        DocumentError: When it is not CSV.
    """
    text = decode(data, encoding)
    lines = _cells(text)
    if not lines:
        raise DocumentError("has no text")
    header = [fold(cell) for cell in lines[0]]
    if fields.text in header:
        records = [{key: cell for key, cell in zip(header, cells, strict=False) if cell.strip()} for cells in lines]
        if not any(fields.text in record for record in records[1:]):
            raise DocumentError("has no text")
        for number, record in enumerate(records[1:], 2):
            if fields.text in record:
                values = {fields.doc_id: f"{stem}-{number}", **record}
                yield _document(values, json.dumps(values, sort_keys=True), name, "text/csv", fields)
        return
    blocks = tuple(rows([[fold(cell) for cell in cells] for cells in lines]))
    yield Document(document_id(data), stem, name, title_of(stem), "text/csv", blocks)


def _cells(text: str) -> list[list[str]]:
    """The lines of a CSV that hold something, whatever parts their cells: a comma, a semicolon, a tab or a bar."""
    try:
        dialect: type[csv.Dialect] = csv.Sniffer().sniff(text[:10_000], ",;\t|")
    except csv.Error:
        # One column has nothing that parts its cells.
        dialect = csv.excel
    try:
        return [cells for cells in csv.reader(io.StringIO(text, newline=""), dialect) if any(map(str.strip, cells))]
    except csv.Error as error:
        raise DocumentError(f"is not CSV ({error})") from error


def _document(values: dict[str, str], line: str, name: str, media_type: str, fields: Fields) -> Document:
    parts: Sequence[str] = values[fields.text].split("\n")
    blocks = tuple(Block("paragraph", folded) for part in parts if (folded := fold(part)))
    identity, title = document_id(line.encode()), fold(values.get(fields.title, ""))
    date = iso(values.get("date", "")) or iso(title)
    return Document(identity, values[fields.doc_id], name, title, media_type, blocks, date)
