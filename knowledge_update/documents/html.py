"""HTML to a title and blocks: a web page's main content, or a piece as it is."""

import re
from typing import Any

from knowledge_update.documents.blocks import Block, Content, fold, paragraph, rows
from knowledge_update.documents.text import CHINESE, decode, is_heading

# What HTML allows a cell to span.
_SPAN = 1000
# The encoding that a page, or the XML declaration before it, names: within its first kilobytes.
_CHARSET = re.compile(rb"""<(?:meta\s[^>]*charset|\?xml\s[^>]*encoding)\s*=\s*["']?\s*([\w-]+)""", re.IGNORECASE)
_HEAD_BYTES = 4096
_ASIDE = ("nav", "footer", "aside", "script", "style", "noscript", "template", "button", "select", "svg", "head")
# What encyclopedias say by its class to be no content: notes, and links to other pages.
_AROUND = ("navbox", "reflist", "references", "toc")
# What says of itself that it is the content, the surest first.
_MAIN = (
    "//main", "//*[@role='main']", "//article", "//*[@id='mw-content-text']", "//*[@id='content']",
    "//*[contains(@class, 'mw-parser-output')]",
)  # fmt: skip
# The level of a heading that is none by its tag.
_BOLD = 6
_INLINE = frozenset(
    "a abbr b bdi bdo big br cite code data del dfn em font i img ins kbd label mark q rp rt ruby s samp small span"
    " strike strong sub sup time tt u var wbr".split()
)


def page(data: bytes, encoding: str | None = None) -> Content:
    """Reads a web page: its main content, without navigation, footer and scripts."""
    import trafilatura
    from lxml import etree
    from lxml import html as lxml_html

    # An XML declaration with an encoding is refused in decoded text.
    text = re.sub(r"\A\s*<\?xml[^>]*\?>", "", decode(data, encoding or _charset(data)))
    tree: Any
    try:
        tree = lxml_html.document_fromstring(text)
    except etree.ParserError:
        # It holds nothing but comments and white space.
        return "", []
    _drop_marks(tree)
    title = _title(tree)
    boxes = _boxes(tree)
    content = trafilatura.extract(
        lxml_html.tostring(tree, encoding="unicode"), output_format="html", include_tables=True,
        include_comments=False, favor_recall=True,
    )  # fmt: skip
    _drop_asides(tree)
    # Only now: without its list of sources the extraction takes what stands before it for the page's end.
    _drop_notes(tree)
    # Where the page says itself where its content is, nothing has to be guessed, and nothing is lost.
    told = next((found[0] for path in _MAIN if len(found := tree.xpath(path)) == 1), None)
    if told is not None:
        tree, content = told, None
    # The extraction loses headings and tables of short pages: where it left nothing out, the page's own are better.
    if content and _leaves_out(lxml_html.document_fromstring(content), tree, title):
        found, blocks = fragment(content)
    else:
        found, blocks = "", []
        _walk(tree, blocks)
    title = title or found
    return title, [block for block in (*boxes, *blocks) if block.text != title]


def _title(tree: Any) -> str:
    """The first heading, else the page's title without the name of the site, where its text has the rest."""
    heading, title = fold("".join(tree.xpath("(.//h1)[1]//text()"))), fold(tree.findtext(".//title") or "")
    first = re.split(r" [-–—|·] ", title)[0]
    return heading or (first if first and first in fold(tree.text_content().replace(title, "")) else title)


def _boxes(tree: Any) -> list[Block]:
    """Takes out the tables of names and values: what extracts a page's content forgets which cells were names."""
    found: list[Block] = []
    for table in [table for table in tree.iter("table") if _names_values(table)]:
        if not any(above.tag in _ASIDE for above in table.iterancestors()):
            found.extend(rows(_grid(table), named=True))
            table.drop_tree()
    return found


def _charset(data: bytes) -> str | None:
    """The encoding a page says it is in; GB 2312 is said of its supersets too."""
    found = _CHARSET.search(data[:_HEAD_BYTES])
    name = found[1].decode("ascii", "ignore").lower() if found else ""
    return CHINESE if name in ("gb2312", "gbk") else name or None


def _drop_asides(tree: Any) -> None:
    """Removes what its tags say is not content."""
    names = " or ".join(f"self::{tag}" for tag in _ASIDE)
    for element in tree.xpath(f"//*[{names} or self::header[not(ancestor::article or ancestor::main)]]"):
        element.drop_tree()


def _drop_marks(tree: Any) -> None:
    """Removes the marks of footnotes, and links to edit a section."""
    for element in tree.xpath(f".//sup[.//a[contains(@href, '#')]] | .//*[{_of_class('mw-editsection')}]"):
        element.drop_tree()


def _drop_notes(tree: Any) -> None:
    """Removes what stands around an encyclopedia's text."""
    for element in tree.xpath(f".//*[{' or '.join(map(_of_class, _AROUND))}]"):
        element.drop_tree()


def _of_class(name: str) -> str:
    return f"contains(concat(' ', @class, ' '), ' {name} ')"


def _leaves_out(extracted: Any, tree: Any, title: str) -> bool:
    """Whether a tenth of a page's text or more, its title aside, is not in what was extracted from it."""
    kept, whole = ("".join(part.text_content().split()) for part in (extracted, tree))
    named = "".join(title.split())
    return len(kept.replace(named, "", 1)) <= 0.9 * len(whole.replace(named, "", 1))


def fragment(source: str) -> Content:
    """Reads a piece of HTML as it is; a first heading of the first level, or a first line in bold, is the title."""
    from lxml import html as lxml_html

    if not source.strip():
        return "", []
    blocks: list[Block] = []
    tree = lxml_html.fragment_fromstring(source, create_parent="div")
    _drop_marks(tree)
    _drop_notes(tree)
    _walk(tree, blocks)
    if blocks and blocks[0].kind == "heading" and blocks[0].level in (1, _BOLD):
        return blocks[0].text, blocks[1:]
    return "", blocks


def _walk(element: Any, blocks: list[Block]) -> None:
    """Adds what is in an element; text that stands in no paragraph is one, up to the next block."""
    loose = [_flat(element.text)]
    for child in element:
        tag = child.tag if isinstance(child.tag, str) else ""
        if _is_inline(child):
            loose.append("\n" if tag == "br" else _words(child))
        elif tag:
            blocks.extend(paragraph("".join(loose)))
            loose = []
            _add(child, tag, blocks)
        loose.append(_flat(child.tail))
    blocks.extend(paragraph("".join(loose)))


def _is_inline(element: Any) -> bool:
    return element.tag in _INLINE and all(inner.tag in _INLINE for inner in element.iter("*"))


def _add(element: Any, tag: str, blocks: list[Block]) -> None:
    if re.fullmatch(r"h[1-6]", tag):
        _append(blocks, Block("heading", _text(element), level=int(tag[1])))
    elif tag == "table":
        blocks.extend(rows(_grid(element), named=_names_values(element)))
    elif tag == "li":
        _append(blocks, Block("item", _text(element, skip=("ul", "ol", "table"))))
        _walk_nested(element, blocks)
    elif tag == "dl":
        _add_definitions(element, blocks)
    elif tag == "pre":
        # Only here a line's end in the source is one.
        blocks.extend(paragraph(element.text_content()))
    elif tag in ("p", "blockquote", "dd", "dt"):
        _add_paragraph(element, blocks)
    elif tag not in _ASIDE:
        _walk(element, blocks)


def _add_definitions(element: Any, blocks: list[Block]) -> None:
    """Adds a list of terms, each with what is said of it, as names with values."""
    term = ""
    for part in element.iter("dt", "dd"):
        if part.tag == "dt":
            term = _text(part).rstrip(":： ")
        else:
            _append(blocks, Block("item", f"{term}: {_text(part)}" if term else _text(part)))


def _add_paragraph(element: Any, blocks: list[Block]) -> None:
    """Adds a paragraph; a first line of its own in bold is a heading."""
    text = _words(element).strip()
    bold = element[0] if len(element) and not (element.text or "").strip() else None
    if bold is not None and bold.tag in ("b", "strong"):
        name = _words(bold).strip()
        rest = text[len(name) :]
        if name and rest.lstrip(" ")[:1] in ("", "\n") and is_heading(name):
            blocks.append(Block("heading", fold(name), level=_BOLD))
            text = rest
    blocks.extend(paragraph(text))


def _walk_nested(item: Any, blocks: list[Block]) -> None:
    for nested in item:
        if nested.tag in ("ul", "ol"):
            _walk(nested, blocks)
        elif nested.tag == "table":
            blocks.extend(rows(_grid(nested), named=_names_values(nested)))


def _append(blocks: list[Block], block: Block) -> None:
    if block.text:
        blocks.append(block)


def _text(element: Any, skip: tuple[str, ...] = ()) -> str:
    return fold(_words(element, skip))


def _words(element: Any, skip: tuple[str, ...] = ()) -> str:
    """What an element says; a line ends where a break stands, not where its source wraps."""
    parts = [_flat(element.text)]
    for child in element:
        if child.tag == "br":
            parts.append("\n")
        elif child.tag not in skip and isinstance(child.tag, str):
            # Words of two blocks are two words, those of two inline elements may be one.
            apart = "" if child.tag in _INLINE else "\n" if child.tag == "li" else " "
            parts.append(f"{apart}{_words(child, skip)}{apart}")
        parts.append(_flat(child.tail))
    return "".join(parts)


def _flat(text: str | None) -> str:
    return re.sub(r"\s+", " ", text or "")


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
                texts = [_lines(cell), *[""] * (_span(cell, "colspan") - 1)]
                below = _span(cell, "rowspan") - 1
                if below:
                    hanging.update({column + offset: (below, text) for offset, text in enumerate(texts)})
                cells.extend(texts)
            else:
                cells.append("")
        if any(cells):
            grid.append(cells)
    return grid


def _lines(cell: Any) -> str:
    """What a cell says, its lines and list items parted by commas."""
    lines = [line for part in _words(cell).split("\n") if (line := fold(part))]
    return ", ".join([*(line.rstrip(",;") for line in lines[:-1]), *lines[-1:]])


def _names_values(table: Any) -> bool:
    """Whether each row is headed by its first cell: an encyclopedia's box of what there is to know in short."""
    lines = [[cell.tag for cell in line if cell.tag in ("td", "th")] for line in table.iter("tr")]
    pairs = [tags for tags in lines if len(tags) == 2]
    return bool(pairs) and all(tags == ["th", "td"] for tags in pairs)


def _span(cell: Any, name: str) -> int:
    found = re.match(r"\s*(\d+)", cell.get(name) or "")
    return min(max(int(found[1]), 1), _SPAN) if found else 1
