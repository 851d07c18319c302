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
# What HTML allows a cell to span.
_SPAN = 1000
_ASIDE = ("nav", "footer", "aside", "script", "style", "noscript", "template", "button", "select", "svg", "head")
_INLINE = frozenset(
    "a abbr b bdi bdo big br cite code data del dfn em font i img ins kbd label mark q rp rt ruby s samp small span"
    " strike strong sub sup time tt u var wbr".split()
)
_ENCRYPTED = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"


def decode(data: bytes, encoding: str | None = None) -> str:
    """Decodes text: by its byte order mark, as UTF-8, as declared, else by detection.

    Raises:
        DocumentError: When it is not text.
    """
    from charset_normalizer import from_bytes

    for mark, name in ((b"\xef\xbb\xbf", "utf-8-sig"), (b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16")):
        if data.startswith(mark):
            try:
                return data.decode(name)
            except UnicodeDecodeError as error:
                raise DocumentError("is not text, although it begins like it") from error
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
    text = re.sub(r"\r\n?", "\n", decode(data, encoding))
    blocks = [_text_block(folded) for part in re.split(r"\n\s*\n", text) if (folded := fold(part))]
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
    from lxml import etree
    from lxml import html as lxml_html

    # An XML declaration with an encoding is refused in decoded text.
    text = re.sub(r"\A\s*<\?xml[^>]*\?>", "", decode(data, encoding))
    try:
        tree = lxml_html.document_fromstring(text)
    except etree.ParserError:
        # It holds nothing but comments and white space.
        return "", []
    title = fold(tree.findtext(".//h1") or tree.findtext(".//title") or "")
    content = trafilatura.extract(
        text, output_format="html", include_tables=True, include_comments=False, favor_recall=True
    )
    _drop_asides(tree)
    # The extraction loses headings and tables of short pages: where it left nothing out, the page's own are better.
    if content and _leaves_out(lxml_html.document_fromstring(content), tree, title):
        found, blocks = _from_html(content)
    else:
        found, blocks = "", []
        _walk(tree, blocks)
    title = title or found
    return title, [block for block in blocks if block.text != title]


def _drop_asides(tree: Any) -> None:
    """Removes what its tags say is not content."""
    names = " or ".join(f"self::{tag}" for tag in _ASIDE)
    for element in tree.xpath(f"//*[{names} or self::header[not(ancestor::article or ancestor::main)]]"):
        element.drop_tree()


def _leaves_out(extracted: Any, tree: Any, title: str) -> bool:
    """Whether a tenth of a page's text or more, its title aside, is not in what was extracted from it."""
    kept, whole = ("".join(part.text_content().split()) for part in (extracted, tree))
    named = "".join(title.split())
    return len(kept.replace(named, "", 1)) <= 0.9 * len(whole.replace(named, "", 1))


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
    """Adds what is in an element; text that stands in no paragraph is one, up to the next block."""
    loose = [element.text or ""]
    for child in element:
        tag = child.tag if isinstance(child.tag, str) else ""
        if _is_inline(child):
            loose.append(" " if tag == "br" else _words(child))
        elif tag:
            _append(blocks, Block("paragraph", fold("".join(loose))))
            loose = []
            _add(child, tag, blocks)
        loose.append(child.tail or "")
    _append(blocks, Block("paragraph", fold("".join(loose))))


def _is_inline(element: Any) -> bool:
    return element.tag in _INLINE and all(inner.tag in _INLINE for inner in element.iter("*"))


def _add(element: Any, tag: str, blocks: list[Block]) -> None:
    if re.fullmatch(r"h[1-6]", tag):
        _append(blocks, Block("heading", _text(element), level=int(tag[1])))
    elif tag == "table":
        blocks.extend(_table(element))
    elif tag == "li":
        _append(blocks, Block("item", _text(element, skip=("ul", "ol", "table"))))
        _walk_nested(element, blocks)
    elif tag in ("p", "blockquote", "pre", "dd", "dt"):
        _append(blocks, Block("paragraph", _text(element)))
    elif tag not in _ASIDE:
        _walk(element, blocks)


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
    return fold(_words(element, skip))


def _words(element: Any, skip: tuple[str, ...] = ()) -> str:
    parts = [element.text or ""]
    for child in element:
        if child.tag == "br":
            parts.append(" ")
        elif child.tag not in skip and isinstance(child.tag, str):
            # Words of two blocks are two words, those of two inline elements may be one.
            apart = "" if child.tag in _INLINE else " "
            parts.append(f"{apart}{_words(child, skip)}{apart}")
        parts.append(child.tail or "")
    return "".join(parts)


def _table(table: Any) -> list[Block]:
    rows = _grid(table)
    if len(rows) < 2:
        return [row(cells, ()) for cells in rows]
    header = tuple(rows[0])
    return [row(cells, header) for cells in rows[1:]]


def _grid(table: Any) -> list[list[str]]:
    """Cells in their columns: one over several rows stands in each of them, one over several columns in the first."""
    grid: list[list[str]] = []
    # By column, what a cell above puts into the rows to come: how many, and its text.
    hanging: dict[int, tuple[int, str]] = {}
    for line in table.iter("tr"):
        own = [cell for cell in line if cell.tag in ("td", "th")]
        cells: list[str] = []
        while own or any(column >= len(cells) for column in hanging):
            column = len(cells)
            if column in hanging:
                left, text = hanging.pop(column)
                cells.append(text)
                if left > 1:
                    hanging[column] = (left - 1, text)
            elif own:
                cell = own.pop(0)
                texts = [_text(cell), *[""] * (_span(cell, "colspan") - 1)]
                below = _span(cell, "rowspan") - 1
                if below:
                    hanging.update({column + offset: (below, text) for offset, text in enumerate(texts)})
                cells.extend(texts)
            else:
                cells.append("")
        if any(cells):
            grid.append(cells)
    return grid


def _span(cell: Any, name: str) -> int:
    found = re.match(r"\s*(\d+)", cell.get(name) or "")
    return min(max(int(found[1]), 1), _SPAN) if found else 1


FORMATS: dict[str, tuple[str, Callable[[bytes, str | None], Content]]] = {
    ".txt": ("text/plain", plain_text),
    ".md": ("text/markdown", markdown),
    ".markdown": ("text/markdown", markdown),
    ".html": ("text/html", html),
    ".htm": ("text/html", html),
    ".docx": ("application/vnd.openxmlformats-officedocument.wordprocessingml.document", word),
}
