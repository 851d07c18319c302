"""Cutting a changed document: the passages that stand in it as they did stay passages, what lies between is cut anew.

Cut from its beginning, a document with one more sentence would have other passages from there to its end.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

from knowledge_update.documents.blocks import Block, Document
from knowledge_update.documents.chunking import Passage, sentences, text_of
from knowledge_update.ledger import ChunkRow, content_id

Cut = Callable[[Document], list[Passage]]
# Where something begins and ends in a document's text.
_Span = tuple[int, int]


def recut(document: Document, kept: Sequence[str], cut: Cut) -> list[Passage]:
    """Cuts a document.

    Args:
        document: The document as it is now.
        kept: The texts of the passages of the version before, in their order.
        cut: Cuts a document, or a part of one.
    """
    text, offsets = text_of(document)
    pieces = [piece for block, offset in zip(document.blocks, offsets, strict=True) for piece in _pieces(block, offset)]
    standing = list(_standing(text, kept, pieces))
    if not standing:
        return cut(document)
    found = [_whole(document, text, span, offsets) for span in standing]
    for run in _between(document, offsets, standing):
        start = run[0][1]
        part = replace(document, blocks=tuple(block for block, _ in run))
        for passage in cut(part):
            at = start + passage.row.start
            path = _headings(document, offsets, at)
            row = replace(passage.row, start=at, end=start + passage.row.end, heading_path=path)
            found.append(replace(passage, row=row))
    return sorted(found, key=lambda passage: passage.row.start)


def _pieces(block: Block, offset: int) -> list[_Span]:
    """Where a passage may begin and end: a block, or a paragraph's sentences."""
    if block.kind != "paragraph":
        return [(offset, offset + len(block.text))]
    return [(offset + at, offset + at + len(sentence.rstrip())) for sentence, at in sentences(block.text)]


def _standing(text: str, kept: Sequence[str], pieces: Sequence[_Span]) -> Iterator[_Span]:
    """Where passages stand as they did, in their order."""
    starts, ends = {start for start, _ in pieces}, {end for _, end in pieces}
    begun = 0
    for passage in kept:
        start = text.find(passage, begun)
        while start >= 0 and not (start in starts and start + len(passage) in ends):
            start = text.find(passage, start + 1)
        if start >= 0:
            yield start, start + len(passage)
            # Passages may repeat the end of the one before.
            begun = start + 1


def _whole(document: Document, text: str, span: _Span, offsets: Sequence[int]) -> Passage:
    start, end = span
    blocks = tuple(
        (replace(block, text=text[max(start, at) : min(end, at + len(block.text))]), max(start, at) - start)
        for block, at in zip(document.blocks, offsets, strict=True)
        if at < end and at + len(block.text) > start
    )
    path = _headings(document, offsets, start)
    row = ChunkRow(content_id(document.title, text[start:end]), text[start:end], document.id, start, end, path)
    return Passage(row, blocks)


def _between(
    document: Document, offsets: Sequence[int], standing: Sequence[_Span]
) -> Iterator[list[tuple[Block, int]]]:
    """Runs of blocks, or ends of blocks, that no standing passage holds."""
    run: list[tuple[Block, int]] = []
    for block, offset in zip(document.blocks, offsets, strict=True):
        at, end = offset, offset + len(block.text)
        for start, stop in standing:
            if stop <= at or start >= end:
                continue
            run.extend(_part(block, offset, at, start))
            if run:
                yield run
            run, at = [], max(at, stop)
        run.extend(_part(block, offset, at, end))
    if run:
        yield run


def _part(block: Block, offset: int, start: int, end: int) -> list[tuple[Block, int]]:
    text = block.text[max(0, start - offset) : max(0, end - offset)]
    blank = len(text) - len(text.lstrip())
    return [(replace(block, text=text.strip()), start + blank)] if text.strip() else []


def _headings(document: Document, offsets: Sequence[int], place: int) -> str:
    """The headings over a place."""
    path: list[tuple[int, str]] = []
    for block, offset in zip(document.blocks, offsets, strict=True):
        if block.kind == "heading" and offset <= place:
            path = [*((level, text) for level, text in path if level < block.level), (block.level, block.text)]
    return " > ".join(text for _, text in path)
