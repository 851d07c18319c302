"""Word documents: the body in order, footnotes behind what refers to them, headers and footers once at the end."""

import io
import re
import zipfile
from collections.abc import Iterator, Sequence
from typing import Any

from knowledge_update.documents.archives import ENCRYPTED, xml
from knowledge_update.documents.blocks import Block, Content, fold, language_of
from knowledge_update.documents.html import fragment
from knowledge_update.errors import DocumentError

_W = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"
_STRICT = b"http://purl.oclc.org/ooxml/wordprocessingml/main"
_BODIES = re.compile(r"word/(document\d*|footnotes|endnotes)\.xml")
_STYLES = "word/styles.xml"
_MARGINS = re.compile(r"word/(header|footer)\d*\.xml")
_MARGIN_NAMES = {
    "header": {"en": "Page header", "zh": "页眉"},
    "footer": {"en": "Page footer", "zh": "页脚"},
}
_PAGE_NUMBER = re.compile(r"(?:[\W\d_]|page|of|第|页|頁|共)*", re.IGNORECASE)


def word(data: bytes, encoding: str | None = None) -> Content:
    """Reads a Word document: tables with merged cells kept, deleted text and comments left out.

    Raises:
        DocumentError: When it is encrypted, in the old format, or damaged.
    """
    import mammoth

    if data.startswith(ENCRYPTED):
        raise DocumentError("is encrypted or in the old .doc format")
    styles = "p[style-name='Title'] => h1:fresh\np[style-name='Subtitle'] => p:fresh"
    try:
        whole, margins = _prepared(data)
        converted = mammoth.convert_to_html(whole, style_map=styles, convert_image=_no_image)
    except Exception as error:  # mammoth documents no exceptions of its own: a damaged file fails anywhere in it
        raise DocumentError(f"is not a readable Word document ({type(error).__name__})") from error
    title, blocks = fragment(_with_notes_in_place(converted.value))
    return title, [*blocks, *_margin_blocks(margins, title, blocks)]


def _no_image(_: Any) -> list[Any]:
    """Pictures say nothing here, and their bytes would stand in the page."""
    return []


def _prepared(data: bytes) -> tuple[io.BytesIO, dict[str, list[str]]]:
    """The document with what mammoth passes over made plain, and the paragraphs of its headers and footers."""
    plain = io.BytesIO()
    margins: dict[str, list[str]] = {kind: [] for kind in _MARGIN_NAMES}
    with zipfile.ZipFile(io.BytesIO(data)) as source, zipfile.ZipFile(plain, "w") as made:
        for name in sorted(set(source.namelist())):
            if name.startswith("word/media/"):
                continue
            content = source.read(name)
            if margin := _MARGINS.fullmatch(name):
                margins[margin[1]].extend(_paragraphs(content))
            elif _BODIES.fullmatch(name):
                content = _plain(content)
            elif name == _STYLES:
                content = _names_of_styles(content)
            made.writestr(name, content)
    plain.seek(0)
    return plain, margins


def _plain(content: bytes) -> bytes:
    """A part whose text boxes, fields, formulas and phonetic guides are written as mammoth reads them."""
    from lxml import etree

    root = xml(content.replace(_STRICT, _W.encode()))
    for either in _named(root, "AlternateContent"):
        fallback = either.xpath("*[local-name()='Fallback']//*[local-name()='txbxContent']")
        boxes = either.xpath("*[local-name()='Choice']//*[local-name()='txbxContent']")
        if boxes and not fallback:
            _replace(either, [_picture(boxes)])
    for drawing in _named(root, "drawing"):
        boxes = _named(drawing, "txbxContent")
        if boxes and not drawing.xpath("ancestor::*[local-name()='AlternateContent']"):
            _replace(drawing, [_picture(boxes)])
    for formula in _named(root, "oMath"):
        run = etree.Element(f"{{{_W}}}r")
        etree.SubElement(run, f"{{{_W}}}t").text = "".join(formula.xpath(".//*[local-name()='t']/text()"))
        _replace(formula, [run])
    for name in ("oMathPara", "fldSimple", "bdo", "dir"):
        for wrapping in _named(root, name):
            _replace(wrapping, list(wrapping))
    for ruby in _named(root, "ruby"):
        _replace(ruby, ruby.xpath("*[local-name()='rubyBase']/*"))
    return bytes(etree.tostring(root, xml_declaration=True, encoding="UTF-8", standalone=True))


def _names_of_styles(content: bytes) -> bytes:
    """The styles without their looks, of which there is more than of all text: mammoth would read it for long."""
    from lxml import etree

    root = xml(content)
    for look in ("tblStylePr", "rPr", "tblPr", "trPr", "tcPr", "latentStyles", "docDefaults"):
        for element in _named(root, look):
            element.getparent().remove(element)
    return bytes(etree.tostring(root))


def _named(element: Any, name: str) -> list[Any]:
    found: list[Any] = element.xpath(".//*[local-name()=$name]", name=name)
    return found


def _picture(boxes: list[Any]) -> Any:
    """Text boxes in the older form of pictures, which mammoth puts behind their paragraph."""
    from lxml import etree

    picture = etree.Element(f"{{{_W}}}pict")
    for box in boxes:
        etree.SubElement(picture, "{urn:schemas-microsoft-com:vml}textbox").append(box)
    return picture


def _replace(element: Any, others: list[Any]) -> None:
    parent = element.getparent()
    at = parent.index(element)
    parent[at : at + 1] = others


def _with_notes_in_place(source: str) -> str:
    """A page whose footnotes and endnotes, which mammoth lists at its end, stand behind what refers to them."""
    from lxml import html as lxml_html

    if "note-ref-" not in source:
        return source
    page = lxml_html.fragment_fromstring(source, create_parent="div")
    behind: dict[Any, Any] = {}
    for mark in page.xpath("//a[starts-with(@id, 'footnote-ref-') or starts-with(@id, 'endnote-ref-')]"):
        block = _noted(mark, page)
        for note in page.xpath("//li[@id=$name]", name=mark.get("href", "").removeprefix("#")):
            for back in note.xpath(".//a[contains(@href, 'note-ref-')]"):
                back.drop_tree()
            for part in list(note):
                behind.get(block, block).addnext(part)
                behind[block] = part
        mark.drop_tree()
    return str(lxml_html.tostring(page, encoding="unicode"))


def _noted(mark: Any, page: Any) -> Any:
    """What a note is put behind: the table, the list item or the paragraph that its mark stands in."""
    line = list(mark.iterancestors())
    within = line[: line.index(page)]
    tables = [element for element in within if element.tag == "table"]
    items = [element for element in within if element.tag == "li"]
    return (tables[-1:] or items[:1] or within[-1:])[0]


def _margin_blocks(margins: dict[str, list[str]], title: str, blocks: Sequence[Block]) -> Iterator[Block]:
    """What headers and footers say, each text once under a heading of its own; page numbers say nothing."""
    told, language = {title, *(block.text for block in blocks)}, language_of(blocks)
    for kind, texts in margins.items():
        new = [text for text in dict.fromkeys(texts) if text not in told and not _PAGE_NUMBER.fullmatch(text)]
        if new:
            yield Block("heading", _MARGIN_NAMES[kind][language], level=1)
            yield from (Block("paragraph", text) for text in new)


def _paragraphs(content: bytes) -> Iterator[str]:
    root = xml(_plain(content))
    paragraph, *parts = (f"{{{_W}}}{name}" for name in ("p", "t", "tab", "ptab", "br"))
    for element in root.iter(paragraph):
        # A text box is a paragraph inside another; moved text is told where it went.
        own = (
            part for part in element.iter(*parts)
            if next(part.iterancestors(paragraph)) is element and not part.xpath("ancestor::*[local-name()='moveFrom']")
        )  # fmt: skip
        yield fold("".join(part.text or " " for part in own))
