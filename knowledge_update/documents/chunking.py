"""Cutting a document into passages that fit a token budget, at headings and sentences."""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from knowledge_update.documents.blocks import Block, Document
from knowledge_update.ledger import ChunkRow, content_id

CountTokens = Callable[[str], int]
# A block, and where it begins in the document's text.
Piece = tuple[Block, int]

# A sentence ends at its punctuation, closing quotes included; after Latin punctuation white space must follow.
_SENTENCE = re.compile(r".+?(?:[.!?][\"'”’)\]]*(?=\s)|[。！？][”’」』）]*|$)\s*", re.DOTALL)
# Where a text without an end of a sentence may be cut: behind a clause, else behind a word.
_CUTS = (re.compile(r"[,;:](?=\s)\s*|[，；：、]\s*"), re.compile(r"\s+"))
# At this many times the budget a text without an end of a sentence is cut: no model takes a chunk of any length.
_LONGEST = 4


@dataclass(frozen=True)
class Passage:
    """A chunk with the blocks it is made of, and where each begins in the chunk's text."""

    row: ChunkRow
    blocks: tuple[Piece, ...]


def text_of(document: Document) -> tuple[str, list[int]]:
    """The text of a document as read, and the offset of each block in it."""
    offsets, position = [], 0
    for block in document.blocks:
        offsets.append(position)
        position += len(block.text) + 1
    return "\n".join(block.text for block in document.blocks), offsets


def passages(document: Document, count_tokens: CountTokens, max_tokens: int, overlap: int = 0) -> list[Passage]:
    """Cuts a document.

    Args:
        document: The document.
        count_tokens: Tokens of a text, by the tokenizer of the model that is taught.
        max_tokens: Tokens of a passage at most; a single longer sentence stays whole up to four times as many.
        overlap: Tokens that a passage repeats at most of the one before, in whole sentences; none across a heading.
    """
    text, offsets = text_of(document)
    found: list[Passage] = []
    pieces: list[Piece] = []
    used, headings = 0, ""
    path: list[tuple[int, str]] = []
    for block, start in _pieces(document, offsets, count_tokens, max_tokens):
        tokens = count_tokens(block.text)
        heading = block.kind == "heading"
        full = bool(pieces) and (used + tokens > max_tokens or (heading and used > max_tokens // 3))
        if full:
            found.append(_passage(document, text, pieces, headings))
            pieces = [] if heading else _end(pieces, count_tokens, min(overlap, max_tokens - tokens))
            used = sum(count_tokens(repeated.text) for repeated, _ in pieces)
        if heading:
            path = [*((level, name) for level, name in path if level < block.level), (block.level, block.text)]
        if full or not pieces:
            headings = " > ".join(name for _, name in path)
        pieces.append((block, start))
        used += tokens
    if any(block.kind != "heading" for block, _ in pieces):
        found.append(_passage(document, text, pieces, headings))
    return found


def _pieces(document: Document, offsets: Sequence[int], count_tokens: CountTokens, max_tokens: int) -> list[Piece]:
    """The blocks of a document with their offsets, those over the budget cut at sentences."""
    pieces: list[Piece] = []
    for block, offset in zip(document.blocks, offsets, strict=True):
        tokens = count_tokens(block.text)
        if tokens > _LONGEST * max_tokens:
            pieces.extend(_cut(block, offset, count_tokens, max_tokens))
        elif block.kind == "paragraph" and tokens > max_tokens:
            pieces.extend(_sentences(block, offset))
        else:
            pieces.append((block, offset))
    return pieces


def _sentences(block: Block, offset: int) -> list[Piece]:
    return [(Block("paragraph", sentence.rstrip()), offset + start) for sentence, start in sentences(block.text)]


def _cut(block: Block, offset: int, count_tokens: CountTokens, max_tokens: int) -> Iterator[Piece]:
    """A block that no model takes whole, at sentences; one that is still as long in halves until they fit."""
    for sentence, start in _sentences(block, offset):
        if count_tokens(sentence.text) <= _LONGEST * max_tokens:
            yield sentence, start
        else:
            yield from _halves(sentence.text, start, count_tokens, max_tokens)


def _halves(text: str, offset: int, count_tokens: CountTokens, max_tokens: int) -> Iterator[Piece]:
    if len(text) < 2 or count_tokens(text) <= max_tokens:
        yield Block("paragraph", text.rstrip(), torn=True), offset
        return
    at = _middle(text)
    yield from _halves(text[:at], offset, count_tokens, max_tokens)
    yield from _halves(text[at:], offset + at, count_tokens, max_tokens)


def _middle(text: str) -> int:
    """Where a text is cut in two: behind a clause or a word near its middle, else behind any word, else anywhere."""
    half = len(text) / 2
    for cuts, off in (*((cuts, half / 2) for cuts in _CUTS), (_CUTS[-1], half - 0.5)):
        places = [found.end() for found in cuts.finditer(text) if abs(found.end() - half) <= off]
        if places:
            return min(places, key=lambda place: abs(place - half))
    return len(text) // 2


def _end(pieces: Sequence[Piece], count_tokens: CountTokens, room: int) -> list[Piece]:
    """The last sentences of a passage that have room in the next one: never all of it, none before a heading."""
    said = [
        part for block, start in pieces
        for part in (_sentences(block, start) if block.kind == "paragraph" else [(block, start)])
    ]  # fmt: skip
    kept: list[Piece] = []
    for block, start in reversed(said[1:]):
        room -= count_tokens(block.text)
        if room < 0 or block.kind == "heading":
            break
        kept.insert(0, (block, start))
    return kept


def sentences(text: str) -> list[tuple[str, int]]:
    """Sentences with their offsets, by punctuation alone."""
    return [(match.group(), match.start()) for match in _SENTENCE.finditer(text) if match.group().strip()]


def _passage(document: Document, whole: str, pieces: Sequence[Piece], headings: str) -> Passage:
    start, end = pieces[0][1], pieces[-1][1] + len(pieces[-1][0].text)
    text = whole[start:end]
    identity = content_id(document.title, text)
    row = ChunkRow(identity, text, document.id, start, end, headings)
    return Passage(row, tuple((block, offset - start) for block, offset in pieces))
