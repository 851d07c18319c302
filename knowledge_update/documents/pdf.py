"""PDF by its text layer: lines joined to paragraphs, what stands on every page left out."""

import re
from collections import Counter
from collections.abc import Iterator, Sequence

from knowledge_update.documents.blocks import Block, Content, fold, joined
from knowledge_update.errors import DocumentError

# pypdfium2 puts this where a word was broken at the end of a line.
_BROKEN = re.compile("[\ufffe\u00ad\x02]\r?\n?")
_SENTENCE_END = re.compile(r"[.!?。！？:：][\"”’)\]）】]*$")
_HEADING_LENGTH = 80


def pdf(data: bytes, encoding: str | None = None) -> Content:
    """Reads a PDF's text layer.

    Raises:
        DocumentError: When it is encrypted, damaged, or a scan without a text layer.
    """
    import pypdfium2

    try:
        with pypdfium2.PdfDocument(data) as document:
            title = fold(document.get_metadata_value("Title"))
            pages = [_lines(page.get_textpage().get_text_bounded()) for page in document]
    except pypdfium2.PdfiumError as error:
        reason = "is encrypted" if "password" in str(error).lower() else "is not a readable PDF"
        raise DocumentError(reason) from error
    if pages and not any(pages):
        raise DocumentError("is a scan: it has no text layer; recognise its text with an OCR program first")
    blocks = list(_blocks([line for page in _without_running(pages) for line in page]))
    if blocks and blocks[0].kind == "heading":
        return title or blocks[0].text, blocks[1:] if not title or title == blocks[0].text else blocks
    return title, blocks


def _lines(text: str) -> list[str]:
    """A page's lines, words that were broken at a line's end whole again."""
    whole = _BROKEN.sub("", text)
    return [line for part in whole.splitlines() if (line := fold(part))]


def _without_running(pages: Sequence[Sequence[str]]) -> list[list[str]]:
    """The pages without running heads, feet and page numbers: first and last lines that most pages have."""
    counts = Counter(shape for page in pages for shape in {_shape(page[at]) for at in _edges(page)})
    running = {shape for shape, count in counts.items() if len(pages) > 2 and count > len(pages) / 2}
    return [
        [line for at, line in enumerate(page) if at not in _edges(page) or _shape(line) not in running]
        for page in pages
    ]


def _edges(page: Sequence[str]) -> set[int]:
    """The places of a page's first and last lines."""
    return {at for at in (0, 1, len(page) - 2, len(page) - 1) if 0 <= at < len(page)}


def _shape(line: str) -> str:
    """A line whatever its numbers."""
    return re.sub(r"\d+", "#", line)


def _blocks(lines: Sequence[str]) -> Iterator[Block]:
    """Paragraphs end at a line that ends a sentence well before the margin; a short line alone is a heading."""
    width = sorted(map(len, lines))[int(0.9 * len(lines))] if lines else 0
    group: list[str] = []
    for at, line in enumerate(lines):
        short = len(line) < 0.75 * width
        heading = short and not group and not _SENTENCE_END.search(line) and len(line) <= _HEADING_LENGTH
        if heading and at + 1 < len(lines):
            yield Block("heading", line, level=2)
            continue
        group.append(line)
        if short and _SENTENCE_END.search(line):
            yield Block("paragraph", joined(group))
            group = []
    if group:
        yield Block("paragraph", joined(group))
