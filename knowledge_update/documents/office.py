"""Slides and sheets."""

import io
from collections.abc import Iterator
from typing import Any

from knowledge_update.documents.archives import ENCRYPTED
from knowledge_update.documents.blocks import Block, Content, fold, rows
from knowledge_update.errors import DocumentError


def slides(data: bytes, encoding: str | None = None) -> Content:
    """Reads a presentation: each slide's title as a heading, its texts and tables in order, the speaker's notes."""
    from pptx import Presentation

    _refuse_encrypted(data, "ppt")
    try:
        shown = Presentation(io.BytesIO(data))
        blocks = [block for slide in shown.slides for block in _slide(slide)]
    except Exception as error:  # a damaged file fails anywhere in it, with what its XML happens to lack
        raise DocumentError(f"is not a readable presentation ({type(error).__name__})") from error
    if blocks and blocks[0].kind == "heading":
        return blocks[0].text, blocks[1:]
    return "", blocks


def _slide(slide: Any) -> Iterator[Block]:
    title = slide.shapes.title
    if title is not None and fold(title.text_frame.text):
        yield Block("heading", fold(title.text_frame.text), level=2)
    for shape in slide.shapes:
        if title is None or shape.shape_id != title.shape_id:
            yield from _shape(shape)
    if slide.has_notes_slide and slide.notes_slide.notes_text_frame is not None:
        yield from _paragraphs(slide.notes_slide.notes_text_frame)


def _shape(shape: Any) -> Iterator[Block]:
    for inner in getattr(shape, "shapes", ()):
        yield from _shape(inner)
    if getattr(shape, "has_table", False):
        yield from rows([[fold(cell.text) for cell in line.cells] for line in shape.table.rows])
    elif shape.has_text_frame:
        yield from _paragraphs(shape.text_frame)


def _paragraphs(frame: Any) -> Iterator[Block]:
    texts = [text for paragraph in frame.paragraphs if (text := fold(paragraph.text))]
    kind: Any = "item" if len(texts) > 1 else "paragraph"
    return (Block(kind, text) for text in texts)


def sheets(data: bytes, encoding: str | None = None) -> Content:
    """Reads a workbook: each sheet a table under its name, the first row with words in it naming the columns."""
    from openpyxl import load_workbook

    _refuse_encrypted(data, "xls")
    try:
        book = load_workbook(io.BytesIO(data), data_only=True)
        tables = [(sheet.title, _cells(sheet)) for sheet in book.worksheets]
    except Exception as error:  # as above
        raise DocumentError(f"is not a readable workbook ({type(error).__name__})") from error
    blocks: list[Block] = []
    for name, lines in tables:
        if lines:
            blocks.extend([Block("heading", fold(name), level=2), *rows(lines)])
    return "", blocks


def _cells(sheet: Any) -> list[list[str]]:
    """The rows that hold something; a merged cell's text stands in each of its rows, in its first column."""
    for area in list(sheet.merged_cells.ranges):
        value = sheet.cell(area.min_row, area.min_col).value
        sheet.unmerge_cells(str(area))
        for line in range(area.min_row, area.max_row + 1):
            sheet.cell(line, area.min_col).value = value
    lines = [[_shown(value) for value in line] for line in sheet.iter_rows(values_only=True)]
    used = [at for at in range(max(map(len, lines), default=0)) if any(line[at] for line in lines)]
    return [[line[at] for at in used] for line in lines if any(line)]


def _shown(value: Any) -> str:
    """A cell as a person reads it: no time of day on a date that has none, no decimals on a whole number."""
    if value is None:
        return ""
    if hasattr(value, "isoformat"):
        return str(
            value.isoformat(sep=" ") if hasattr(value, "hour") and hasattr(value, "year") else value
        ).removesuffix(" 00:00:00")
    return f"{value:.10g}" if isinstance(value, float) else fold(str(value))


def _refuse_encrypted(data: bytes, old: str) -> None:
    if data.startswith(ENCRYPTED):
        raise DocumentError(f"is encrypted or in the old .{old} format")
