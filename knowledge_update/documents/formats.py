"""One file's bytes to a title and blocks: plain text, Markdown, HTML, Word.

Markdown and Word go through HTML, so that headings, lists and tables are understood in one place.
"""

import io
import re
from collections.abc import Callable
from typing import Any

from knowledge_update.documents.blocks import Block, fold, row
from knowledge_update.errors import DocumentError

Content = tuple[str, list[Block]]

_SENTENCE_END = (".", "!", "?", "。", "！", "？", ";", "；", ":", "：", "”", '"')
_HEADING_LENGTH = 80
_ENCRYPTED = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"


def decode(data: bytes, encoding: str | None = None) -> str:
    """Decodes text: by its byte order mark, as UTF-8, as declared, else by detection.

    Raises:
        DocumentError: When it is not text.
    """
    from charset_normalizer import from_bytes

    for mark, name in ((b"\xef\xbb\xbf", "utf-8-sig"), (b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16")):
        if data.startswith(mark):
            return data.decode(name)
    if b"\x00" in data:
        raise DocumentError("is not text")
    for name in filter(None, ("utf-8", encoding)):
        try:
            return data.decode(name)
        except (UnicodeDecodeError, LookupError):
            continue
    # Detection is unsure on short texts: of what can be read as GB18030, Chinese in common characters is Chinese.
    chinese = _decoded_as_chinese(data)
    if chinese is not None:
        return chinese
    best = from_bytes(data).best()
    if best is None:
        raise DocumentError("is in no encoding that could be recognised; declare it with reader.encoding=NAME")
    return str(best)


def _decoded_as_chinese(data: bytes) -> str | None:
    try:
        text = data.decode("gb18030")
    except UnicodeDecodeError:
        return None
    wide = [character for character in text if ord(character) > 127]
    # The 3,755 most common characters are the first level of GB 2312: first bytes B0 to D7.
    common = sum(0xB0 <= character.encode("gb18030")[0] <= 0xD7 for character in wide)
    punctuation = sum(character in "，。、；：？！“”‘’（）《》·—…" for character in wide)
    return text if wide and (common + punctuation) / len(wide) >= 0.9 else None


def plain_text(data: bytes, encoding: str | None = None) -> Content:
    """Reads plain text: a first line that looks like a title is one, short lines between blank ones are headings."""
    paragraphs = [part for part in re.split(r"\n\s*\n", decode(data, encoding).replace("\r\n", "\n")) if part.strip()]
    blocks = [_text_block(fold(part)) for part in paragraphs]
    if blocks and blocks[0].kind == "heading":
        return blocks[0].text, blocks[1:]
    return "", blocks


def _text_block(text: str) -> Block:
    heading = len(text) <= _HEADING_LENGTH and not text.endswith(_SENTENCE_END)
    return Block("heading", text, level=2) if heading else Block("paragraph", text)


def markdown(data: bytes, encoding: str | None = None) -> Content:
    """Reads Markdown (CommonMark with tables)."""
    from markdown_it import MarkdownIt

    text = re.sub(r"\A---\n.*?\n---\n", "", decode(data, encoding), flags=re.DOTALL)
    return _from_html(MarkdownIt("commonmark", {"html": False}).enable("table").render(text))


def html(data: bytes, encoding: str | None = None) -> Content:
    """Reads a web page: its main content, without navigation, footer and scripts."""
    import trafilatura
    from lxml import html as lxml_html

    text = decode(data, encoding)
    # An XML declaration with an encoding is refused in decoded text.
    text = re.sub(r"\A\s*<\?xml[^>]*\?>", "", text)
    tree = lxml_html.fromstring(text) if text.strip() else None
    if tree is None:
        return "", []
    title = fold(tree.findtext(".//h1") or tree.findtext(".//title") or "")
    content = trafilatura.extract(
        text, output_format="html", include_tables=True, include_comments=False, favor_recall=True
    )
    found, blocks = _from_html(content) if content else ("", [])
    return title or found, [block for block in blocks if block.text != title]


def word(data: bytes, encoding: str | None = None) -> Content:
    """Reads a Word document: body in order, tables with merged cells kept."""
    import mammoth

    if data.startswith(_ENCRYPTED):
        raise DocumentError("is encrypted or in the old .doc format")
    styles = "p[style-name='Title'] => h1:fresh\np[style-name='Subtitle'] => p:fresh"
    try:
        converted = mammoth.convert_to_html(io.BytesIO(data), style_map=styles)
    except Exception as error:  # mammoth documents no exceptions of its own: a damaged file fails anywhere in it
        raise DocumentError(f"is not a readable Word document ({type(error).__name__})") from error
    return _from_html(converted.value)


def _from_html(source: str) -> Content:
    from lxml import html as lxml_html

    if not source.strip():
        return "", []
    blocks: list[Block] = []
    _walk(lxml_html.fragment_fromstring(source, create_parent="div"), blocks)
    if blocks and blocks[0].kind == "heading" and blocks[0].level == 1:
        return blocks[0].text, blocks[1:]
    return "", blocks


def _walk(element: Any, blocks: list[Block]) -> None:
    for child in element:
        tag = child.tag if isinstance(child.tag, str) else ""
        if re.fullmatch(r"h[1-6]", tag):
            _append(blocks, Block("heading", _text(child), level=int(tag[1])))
        elif tag == "table":
            blocks.extend(_table(child))
        elif tag == "li":
            _append(blocks, Block("item", _text(child, skip=("ul", "ol", "table"))))
            _walk_nested(child, blocks)
        elif tag in ("p", "blockquote", "pre", "dd", "dt"):
            _append(blocks, Block("paragraph", _text(child)))
        elif tag not in ("script", "style", "nav", "footer", "head", ""):
            _walk(child, blocks)


def _walk_nested(item: Any, blocks: list[Block]) -> None:
    for nested in item:
        if nested.tag in ("ul", "ol"):
            _walk(nested, blocks)
        elif nested.tag == "table":
            blocks.extend(_table(nested))


def _append(blocks: list[Block], block: Block) -> None:
    if block.text:
        blocks.append(block)


def _text(element: Any, skip: tuple[str, ...] = ()) -> str:
    parts = [element.text or ""]
    for child in element:
        if child.tag == "br":
            parts.append(" ")
        elif child.tag not in skip and isinstance(child.tag, str):
            parts.append(_text(child, skip))
        parts.append(child.tail or "")
    return fold("".join(parts)) if not skip else fold(" ".join(parts))


def _table(table: Any) -> list[Block]:
    rows = []
    for line in table.iter("tr"):
        cells = []
        for cell in line:
            if cell.tag in ("td", "th"):
                span = int(cell.get("colspan") or 1)
                cells.extend([_text(cell), *[""] * (span - 1)])
        if any(cells):
            rows.append(cells)
    if len(rows) < 2:
        return [row(cells, ()) for cells in rows]
    header = tuple(rows[0])
    return [row(cells, header) for cells in rows[1:]]


FORMATS: dict[str, tuple[str, Callable[[bytes, str | None], Content]]] = {
    ".txt": ("text/plain", plain_text),
    ".md": ("text/markdown", markdown),
    ".markdown": ("text/markdown", markdown),
    ".html": ("text/html", html),
    ".htm": ("text/html", html),
    ".docx": ("application/vnd.openxmlformats-officedocument.wordprocessingml.document", word),
}
