"""Word documents: notes, headers, text boxes and what was deleted come out where a reader finds them."""

import io
import zipfile
from collections.abc import Callable
from typing import Any

import pytest

from knowledge_update.documents.blocks import Block
from knowledge_update.documents.word import word
from knowledge_update.errors import DocumentError

W = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"
OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
SPACES = (
    f'xmlns:w="{W}" xmlns:r="{OFFICE}" xmlns:mc="http://schemas.openxmlformats.org/markup-compatibility/2006"'
    ' xmlns:wps="http://schemas.microsoft.com/office/word/2010/wordprocessingShape"'
    ' xmlns:m="http://schemas.openxmlformats.org/officeDocument/2006/math" xmlns:v="urn:schemas-microsoft-com:vml"'
)


def paragraph(text: str) -> str:
    return f'<w:p><w:r><w:t xml:space="preserve">{text}</w:t></w:r></w:p>'


def made(body: str, **parts: str) -> bytes:
    """A Word document of this body, its other parts by name: `footnotes`, `header1`, …."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        kinds = "".join(
            f'<Override PartName="/word/{name}.xml" ContentType="application/xml"/>' for name in ("document", *parts)
        )
        types = "http://schemas.openxmlformats.org/package/2006/content-types"
        archive.writestr("[Content_Types].xml", f'<Types xmlns="{types}">{kinds}</Types>')
        relations = "http://schemas.openxmlformats.org/package/2006/relationships"
        root = f'<Relationship Id="a" Type="{OFFICE}/officeDocument" Target="word/document.xml"/>'
        archive.writestr("_rels/.rels", f'<Relationships xmlns="{relations}">{root}</Relationships>')
        own = "".join(
            f'<Relationship Id="r{name}" Type="{OFFICE}/{name.rstrip("123")}" Target="{name}.xml"/>' for name in parts
        )
        archive.writestr("word/_rels/document.xml.rels", f'<Relationships xmlns="{relations}">{own}</Relationships>')
        archive.writestr("word/document.xml", f"<w:document {SPACES}><w:body>{body}</w:body></w:document>")
        for name, content in parts.items():
            archive.writestr(f"word/{name}.xml", content)
    return file.getvalue()


def notes(kind: str, *texts: str) -> str:
    inner = "".join(f'<w:{kind} w:id="{at}">{paragraph(text)}</w:{kind}>' for at, text in enumerate(texts, 1))
    return f"<w:{kind}s {SPACES}>{inner}</w:{kind}s>"


def mark(number: int, kind: str = "footnote") -> str:
    return f'<w:r><w:{kind}Reference w:id="{number}"/></w:r>'


def margin(kind: str, *texts: str) -> str:
    return f"<w:{kind} {SPACES}>{''.join(map(paragraph, texts))}</w:{kind}>"


def told(data: bytes) -> list[tuple[str, str]]:
    return [(block.kind, block.text) for block in word(data)[1]]


def test_notes_stand_behind_the_block_that_refers_to_them() -> None:
    row = "<w:tr><w:tc>{}</w:tc><w:tc>{}</w:tc></w:tr>"
    marked = paragraph("1874").replace("</w:p>", f"{mark(3)}</w:p>")
    body = (
        f"<w:p><w:r><w:t>It was lit in 1874</w:t></w:r>{mark(1)}<w:r><w:t> and painted red</w:t></w:r>{mark(2)}"
        "<w:r><w:t>.</w:t></w:r></w:p>"
        + paragraph("Nobody lives there.")
        + f"<w:tbl>{row.format(paragraph('Lamp'), paragraph('Lit'))}{row.format(paragraph('Grey'), marked)}</w:tbl>"
        + f"<w:p><w:r><w:t>It is kept.</w:t></w:r>{mark(1, 'endnote')}</w:p>"
    )
    footnotes = notes("footnote", "On 3 May, by Runa Hesk.", "In oil paint.", "By gas.")
    assert told(made(body, footnotes=footnotes, endnotes=notes("endnote", "By the parish."))) == [
        ("paragraph", "It was lit in 1874 and painted red."),
        ("paragraph", "On 3 May, by Runa Hesk."),
        ("paragraph", "In oil paint."),
        ("paragraph", "Nobody lives there."),
        ("row", "Lamp: Grey; Lit: 1874"),
        ("paragraph", "By gas."),
        ("paragraph", "It is kept."),
        ("paragraph", "By the parish."),
    ]


def test_two_marks_in_one_run_are_two_notes() -> None:
    both = mark(1).replace("</w:r>", "") + mark(2).replace("<w:r>", "")
    body = f"<w:p><w:r><w:t>It burns.</w:t></w:r>{both}</w:p>"
    assert [text for _, text in told(made(body, footnotes=notes("footnote", "Oil.", "Gas.")))] == [
        "It burns.", "Oil.", "Gas.",
    ]  # fmt: skip


def test_headers_and_footers_are_told_once_under_their_own_headings() -> None:
    data = made(
        paragraph("It was lit in 1874."),
        header1=margin("hdr", "Harbour Office", "Version 3, valid from 1 March 2024"),
        header2=margin("hdr", "Harbour Office", "It was lit in 1874."),
        footer1=margin("ftr", "Page 3 of 10", "第 3 页 共 10 页", "- 3 -", "Printed in Corvane"),
    )
    assert word(data)[1] == [
        Block("paragraph", "It was lit in 1874."),
        Block("heading", "Page header", level=1),
        Block("paragraph", "Harbour Office"),
        Block("paragraph", "Version 3, valid from 1 March 2024"),
        Block("heading", "Page footer", level=1),
        Block("paragraph", "Printed in Corvane"),
    ]


def test_headers_of_a_chinese_document_have_a_chinese_heading() -> None:
    data = made(paragraph("灯塔建于一八七四年。"), header1=margin("hdr", "港务局"))
    assert [text for _, text in told(data)] == ["灯塔建于一八七四年。", "页眉", "港务局"]


@pytest.mark.parametrize("part", ["document", "header1", "footnotes", "styles"])
def test_a_damaged_part_refuses_the_document(part: str) -> None:
    parts = {"header1": margin("hdr", "a"), "footnotes": notes("footnote", "a"), "styles": f"<w:styles {SPACES}/>"}
    data = made("<w:p>") if part == "document" else made(paragraph("It burns."), **{**parts, part: "<torn"})
    with pytest.raises(DocumentError, match=r"^is not a readable Word document \(\w+\)$"):
        word(data)


def test_headers_as_a_real_library_writes_them(word_file: Callable[..., bytes]) -> None:
    def fill(document: Any) -> None:
        document.add_paragraph("It was lit in 1874.")
        document.sections[0].header.paragraphs[0].text = "Harbour\tOffice"
        cell = document.sections[0].footer.add_table(1, 1, 9_000_000).cell(0, 0)
        cell.text = "Printed in Corvane"

    assert told(word_file(fill)) == [
        ("paragraph", "It was lit in 1874."), ("heading", "Page header"), ("paragraph", "Harbour Office"),
        ("heading", "Page footer"), ("paragraph", "Printed in Corvane"),
    ]  # fmt: skip


BOX = f"<w:txbxContent>{paragraph('The box is red.')}</w:txbxContent>"
SHAPE = f"<w:drawing><wps:wsp><wps:txbx>{BOX}</wps:txbx></wps:wsp></w:drawing>"
OLD_SHAPE = f"<w:pict><v:shape><v:textbox>{BOX}</v:textbox></v:shape></w:pict>"
CHOICE = f'<mc:Choice Requires="wps">{SHAPE}</mc:Choice>'


@pytest.mark.parametrize(
    "drawn",
    [
        SHAPE, OLD_SHAPE, f"<mc:AlternateContent>{CHOICE}</mc:AlternateContent>",
        f"<mc:AlternateContent>{CHOICE}<mc:Fallback><w:pict/></mc:Fallback></mc:AlternateContent>",
        f"<mc:AlternateContent>{CHOICE}<mc:Fallback>{OLD_SHAPE}</mc:Fallback></mc:AlternateContent>",
    ],
    ids=["drawing", "old picture", "no fallback", "empty fallback", "both"],
)  # fmt: skip
def test_a_text_box_is_told_once_behind_its_paragraph(drawn: str) -> None:
    body = f"<w:p><w:r><w:t>The lamp burns.</w:t></w:r><w:r>{drawn}</w:r></w:p>" + paragraph("It is old.")
    expected = ["The lamp burns.", "The box is red.", "It is old."]
    assert [text for _, text in told(made(body))] == expected
    header = f"<w:hdr {SPACES}><w:p><w:r>{drawn}</w:r></w:p></w:hdr>"
    assert [text for _, text in told(made(paragraph("It burns."), header1=header))] == [
        "It burns.", "Page header", "The box is red.",
    ]  # fmt: skip


def test_what_was_deleted_or_remarked_is_not_told() -> None:
    body = (
        "<w:p><w:r><w:t xml:space='preserve'>It was </w:t></w:r>"
        "<w:del w:id='1' w:author='a'><w:r><w:delText>painted</w:delText></w:r></w:del>"
        "<w:ins w:id='2' w:author='a'><w:r><w:t>lit</w:t></w:r></w:ins>"
        "<w:moveFrom w:id='3' w:author='a'><w:r><w:t> elsewhere</w:t></w:r></w:moveFrom>"
        "<w:r><w:t xml:space='preserve'> in 1874.</w:t></w:r><w:r><w:commentReference w:id='1'/></w:r></w:p>"
    )
    comments = f"<w:comments {SPACES}><w:comment w:id='1'>{paragraph('Really?')}</w:comment></w:comments>"
    header = f"<w:hdr {SPACES}>{body.replace('1874', '1875')}</w:hdr>"
    assert [text for _, text in told(made(body, comments=comments, header1=header))] == [
        "It was lit in 1874.", "Page header", "It was lit in 1875.",
    ]  # fmt: skip


def test_fields_formulas_and_phonetic_guides_leave_no_holes() -> None:
    ruby = (
        "<w:r><w:ruby><w:rt><w:r><w:t>とうだい</w:t></w:r></w:rt>"
        "<w:rubyBase><w:r><w:t>灯台</w:t></w:r></w:rubyBase></w:ruby></w:r>"
    )
    body = (
        "<w:p><w:r><w:t>At </w:t></w:r><w:fldSimple w:instr='TITLE'><w:r><w:t>Tolvick</w:t></w:r></w:fldSimple>"
        "<w:r><w:t xml:space='preserve'> the energy is </w:t></w:r>"
        "<m:oMathPara><m:oMath><m:r><m:t>E=m</m:t></m:r><m:r><m:t>c</m:t></m:r></m:oMath>"
        f"</m:oMathPara><w:r><w:t xml:space='preserve'> in the </w:t></w:r>{ruby}<w:bdo w:val='ltr'>"
        "<w:r><w:t>.</w:t></w:r></w:bdo></w:p>"
    ).replace("At </w:t>", "At\u00a0</w:t>")
    assert [text for _, text in told(made(body))] == ["At Tolvick the energy is E=mc in the 灯台."]


def test_lists_and_tables_stay_in_their_order(word_file: Callable[..., bytes]) -> None:
    def fill(document: Any) -> None:
        document.add_paragraph("Before.")
        document.add_table(1, 1).cell(0, 0).text = "First"
        document.add_paragraph("Between.")
        document.add_paragraph("Item", style="List Bullet")
        document.add_table(1, 1).cell(0, 0).text = "Second"

    assert [text for _, text in told(word_file(fill))] == ["Before.", "First", "Between.", "Item", "Second"]
