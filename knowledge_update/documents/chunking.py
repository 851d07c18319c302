"""Cutting a document into passages that fit a token budget, at headings and sentences."""

import re
from collections.abc import Callable
from dataclasses import dataclass

from knowledge_update.documents.blocks import Block, Document
from knowledge_update.ledger import ChunkRow, content_id

CountTokens = Callable[[str], int]

# A sentence ends at its punctuation, closing quotes included; after Latin punctuation white space must follow.
_SENTENCE = re.compile(r".+?(?:[.!?][\"'”’)\]]*(?=\s)|[。！？][”’」』）]*|$)\s*", re.DOTALL)


@dataclass(frozen=True)
class Passage:
    """A chunk with the blocks it is made of, and where each begins in the chunk's text."""

    row: ChunkRow
    blocks: tuple[tuple[Block, int], ...]


def text_of(document: Document) -> tuple[str, list[int]]:
    """The text of a document as read, and the offset of each block in it."""
    offsets, position = [], 0
    for block in document.blocks:
        offsets.append(position)
        position += len(block.text) + 1
    return "\n".join(block.text for block in document.blocks), offsets


def passages(document: Document, count_tokens: CountTokens, max_tokens: int) -> list[Passage]:
    """Cuts a document.

    Args:
        document: The document.
        count_tokens: Tokens of a text, by the tokenizer of the model that is taught.
        max_tokens: Tokens of a passage at most; a single longer sentence stays whole.
    """
    found: list[Passage] = []
    pieces: list[tuple[Block, int]] = []
    used, headings = 0, ""
    path: list[tuple[int, str]] = []
    for block, start in _pieces(document, count_tokens, max_tokens):
        tokens = count_tokens(block.text)
        if pieces and (used + tokens > max_tokens or (block.kind == "heading" and used > max_tokens // 3)):
            found.append(_passage(document, pieces, headings))
            pieces, used = [], 0
        if block.kind == "heading":
            path = [*((level, text) for level, text in path if level < block.level), (block.level, block.text)]
        if not pieces:
            headings = " > ".join(text for _, text in path)
        pieces.append((block, start))
        used += tokens
    if any(block.kind != "heading" for block, _ in pieces):
        found.append(_passage(document, pieces, headings))
    return found


def _pieces(document: Document, count_tokens: CountTokens, max_tokens: int) -> list[tuple[Block, int]]:
    """The blocks of a document with their offsets, those over the budget cut at sentences."""
    pieces = []
    for block, offset in zip(document.blocks, text_of(document)[1], strict=True):
        if block.kind != "paragraph" or count_tokens(block.text) <= max_tokens:
            pieces.append((block, offset))
        else:
            pieces.extend(
                (Block("paragraph", sentence.rstrip()), offset + start) for sentence, start in sentences(block.text)
            )
    return pieces


def sentences(text: str) -> list[tuple[str, int]]:
    """Sentences with their offsets, by punctuation alone."""
    return [(match.group(), match.start()) for match in _SENTENCE.finditer(text) if match.group().strip()]


def _passage(document: Document, pieces: list[tuple[Block, int]], headings: str) -> Passage:
    start, end = pieces[0][1], pieces[-1][1] + len(pieces[-1][0].text)
    text = text_of(document)[0][start:end]
    identity = content_id(document.title, text)
    row = ChunkRow(identity, text, document.id, start, end, headings)
    return Passage(row, tuple((block, offset - start) for block, offset in pieces))
