"""When a document is of."""

import io
import zipfile
from pathlib import Path

import pytest

from knowledge_update.documents.dates import date_of, iso, later


@pytest.mark.parametrize(
    ("text", "date"),
    [
        ("2024-05-17", "2024-05-17"), ("report_2024_05", "2024-05"), ("20240517-minutes", "2024-05-17"),
        ("2024年5月17日", "2024-05-17"), ("17 May 2024", "2024-05-17"), ("May 17th, 2024", "2024-05-17"),
        ("Sept. 2024", "2024-09"), ("Annual report 2023", "2023"), ("2024-13-01", "2024"), ("room 12024", ""),
        ("1066", ""), ("mayor 12", ""), ("2024-05-17T10:00:00Z", "2024-05-17"),
    ],
)  # fmt: skip
def test_dates_are_read_as_people_write_them(text: str, date: str) -> None:
    assert iso(text) == date


def test_what_the_document_says_counts_more_than_its_name() -> None:
    front = b"---\ntitle: x\ndate: 2021-01-02\nupdated: 2022-03-04\n---\n# Report 2019\n"
    assert date_of(front, Path("report-2018.md"), "Report 2019") == "2022-03-04"
    page = b'<head><meta property="article:published_time" content="2020-02-03"></head>'
    assert date_of(page, Path("a.html"), "A") == "2020-02-03"
    assert date_of(b"x", Path("report-2018.txt"), "Report 2019") == "2019"
    assert date_of(b"x", Path("report-2018.txt"), "Report") == "2018"
    assert date_of(b"x", Path("report.txt"), "Report") == ""


def test_properties_of_office_files_and_pdf() -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        created = "<dcterms:created>2020-01-01T00:00:00Z</dcterms:created>"
        archive.writestr("docProps/core.xml", f"{created}<dcterms:modified>2023-06-07T00:00:00Z</dcterms:modified>")
    assert date_of(packed.getvalue(), Path("a.docx"), "A") == "2023-06-07"
    assert date_of(packed.getvalue()[:40], Path("a.docx"), "A") == ""
    assert date_of(b"%PDF /ModDate (D:20230607120000)", Path("a.pdf"), "A") == "2023-06-07"


def test_later_only_as_far_as_both_tell() -> None:
    assert later("2024", "2023-12-31")
    assert not later("2024-05", "2024")
    assert not later("2024", "")
    assert not later("", "")
