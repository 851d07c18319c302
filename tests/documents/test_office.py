"""Slides, sheets, books and PDF become titles and blocks; what is encrypted, damaged or scanned is refused by name."""

import io
import zipfile
from collections.abc import Callable
from datetime import date, datetime
from typing import Any

import pytest
from openpyxl import Workbook
from pptx import Presentation
from pptx.util import Inches
from reportlab.lib.pagesizes import A4
from reportlab.lib.pdfencrypt import StandardEncryption
from reportlab.pdfgen.canvas import Canvas

from knowledge_update.documents.blocks import Block
from knowledge_update.documents.books import book
from knowledge_update.documents.office import sheets, slides
from knowledge_update.documents.pdf import pdf
from knowledge_update.errors import DocumentError

Reader = Callable[[bytes], tuple[str, list[Block]]]


def texts(blocks: list[Block]) -> list[tuple[str, str]]:
    return [(block.kind, block.text) for block in blocks]


def presentation(fill: Callable[[Any], None]) -> bytes:
    shown = Presentation()
    fill(shown)
    file = io.BytesIO()
    shown.save(file)
    return file.getvalue()


def workbook(fill: Callable[[Workbook], None]) -> bytes:
    made = Workbook()
    fill(made)
    file = io.BytesIO()
    made.save(file)
    return file.getvalue()


def printed(pages: list[list[str]], password: str = "") -> bytes:
    """A PDF with these lines on its pages, from the top down."""
    file = io.BytesIO()
    lock = StandardEncryption(password) if password else None
    canvas = Canvas(file, pagesize=A4, encrypt=lock)
    for lines in pages:
        for number, line in enumerate(lines):
            canvas.drawString(60, 780 - 16 * number, line)
        canvas.showPage()
    canvas.save()
    return file.getvalue()


def epub(chapters: dict[str, str], title: str = "The Grey Lamp") -> bytes:
    """A book of chapters that stand in the archive in another order than that of reading."""
    items = "".join(f'<item id="c{n}" href="{name}"/>' for n, name in enumerate(chapters))
    spine = "".join(f'<itemref idref="c{n}"/>' for n in range(len(chapters)))
    package = (
        '<package xmlns="http://www.idpf.org/2007/opf" xmlns:dc="http://purl.org/dc/elements/1.1/">'
        f"<metadata><dc:title>{title}</dc:title></metadata><manifest>{items}</manifest><spine>{spine}</spine></package>"
    )
    container = '<container><rootfiles><rootfile full-path="OEBPS/book.opf"/></rootfiles></container>'
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("META-INF/container.xml", container)
        archive.writestr("OEBPS/book.opf", package)
        for name, body in reversed(chapters.items()):
            archive.writestr(f"OEBPS/{name.replace('%20', ' ')}", f"<html><body>{body}</body></html>")
    return file.getvalue()


def test_slides_keep_titles_texts_tables_and_notes() -> None:
    def fill(shown: Any) -> None:
        first = shown.slides.add_slide(shown.slide_layouts[0])
        first.shapes.title.text = "The Grey Lamp"
        first.placeholders[1].text = "A lighthouse of 1874"
        second = shown.slides.add_slide(shown.slide_layouts[1])
        second.shapes.title.text = "Keepers"
        second.placeholders[1].text = "Runa Hesk\nTavi Orm"
        grid = second.shapes.add_table(2, 2, Inches(1), Inches(4), Inches(4), Inches(1)).table
        for place, text in {(0, 0): "Keeper", (0, 1): "Since", (1, 0): "Runa Hesk", (1, 1): "1874"}.items():
            grid.cell(*place).text = text
        second.notes_slide.notes_text_frame.text = "Both lived in the tower."

    title, blocks = slides(presentation(fill))
    assert title == "The Grey Lamp"
    assert texts(blocks) == [
        ("paragraph", "A lighthouse of 1874"), ("heading", "Keepers"), ("item", "Runa Hesk"), ("item", "Tavi Orm"),
        ("row", "Keeper: Runa Hesk; Since: 1874"), ("paragraph", "Both lived in the tower."),
    ]  # fmt: skip


def test_sheets_are_tables_under_their_names() -> None:
    def fill(made: Workbook) -> None:
        ships = made.active
        assert ships is not None
        ships.title = "Ships"
        for line in (
            [None, "Ship", "Launched", "Tons", "Built"],
            [],
            [None, "Marit Sool", date(1991, 3, 1), 312.0, datetime(1990, 5, 2, 14, 30)],
            [None, "灯塔号", 1874, 0.1 + 0.2, True],
        ):
            ships.append(line)
        ports = made.create_sheet("Ports")
        ports.append(["Port", "Quay"])
        ports.append(["Kellmarrow", "Gannet"])
        ports.append([None, "Tarry"])
        ports.merge_cells("A2:A3")
        made.create_sheet("Empty")

    assert texts(sheets(workbook(fill))[1]) == [
        ("heading", "Ships"),
        ("row", "Ship: Marit Sool; Launched: 1991-03-01; Tons: 312; Built: 1990-05-02 14:30:00"),
        ("row", "Ship: 灯塔号; Launched: 1874; Tons: 0.3; Built: True"),
        ("heading", "Ports"),
        ("row", "Port: Kellmarrow; Quay: Gannet"),
        ("row", "Port: Kellmarrow; Quay: Tarry"),
    ]


def test_a_book_is_read_in_the_order_of_its_spine() -> None:
    chapters = {
        "two%20b.xhtml": "<h1>The Grey Lamp</h1><p>It was lit in 1874.</p>",
        "one.xhtml": "<h2>Keepers</h2><ul><li>Runa Hesk</li></ul>",
    }
    title, blocks = book(epub(chapters))
    assert title == "The Grey Lamp"
    assert texts(blocks) == [("paragraph", "It was lit in 1874."), ("heading", "Keepers"), ("item", "Runa Hesk")]


def test_lines_of_a_pdf_are_paragraphs_and_running_lines_are_left_out() -> None:
    def page(number: int, *lines: str) -> list[str]:
        return ["The Grey Lamp - annual report", *lines, f"Page {number} of 3"]

    pages = [
        page(1, "Keepers", "The lighthouse was lit in 1874 by Runa Hesk, who had been a", "pilot.",
             "Her brother Tavi kept the books of the lamp for nineteen years", "and painted its door red."),
        page(2, "The oil came from the port of Kellmarrow in barrels of pale oak", "until 1931."),
        page(3, "Since then the lamp has been electric, and nobody lives in it now", "but gulls."),
    ]  # fmt: skip
    title, blocks = pdf(printed(pages))
    assert title in ("", "untitled")
    assert texts(blocks) == [
        ("heading", "Keepers"),
        ("paragraph", "The lighthouse was lit in 1874 by Runa Hesk, who had been a pilot."),
        ("paragraph", "Her brother Tavi kept the books of the lamp for nineteen years and painted its door red."),
        ("paragraph", "The oil came from the port of Kellmarrow in barrels of pale oak until 1931."),
        ("paragraph", "Since then the lamp has been electric, and nobody lives in it now but gulls."),
    ]


OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(504)


@pytest.mark.parametrize(
    ("reader", "data", "reason"),
    [
        (slides, OLE, "is encrypted or in the old .ppt format"),
        (sheets, OLE, "is encrypted or in the old .xls format"),
        (slides, b"PK\x03\x04torn", "is not a readable presentation (BadZipFile)"),
        (sheets, b"PK\x03\x04torn", "is not a readable workbook (BadZipFile)"),
        (book, b"PK\x03\x04torn", "is not a readable book (BadZipFile)"),
        (pdf, b"%PDF-1.7 torn", "is not a readable PDF"),
        (pdf, printed([["Secret."]], password="x"), "is encrypted"),
        (pdf, printed([[]]), "is a scan: it has no text layer; recognise its text with an OCR program first"),
    ],
    ids=["old slides", "old sheets", "torn slides", "torn sheets", "torn book", "torn pdf", "locked pdf", "scan"],
)
def test_what_cannot_be_read_is_refused_with_its_reason(reader: Reader, data: bytes, reason: str) -> None:
    with pytest.raises(DocumentError) as raised:
        reader(data)
    assert str(raised.value) == reason
