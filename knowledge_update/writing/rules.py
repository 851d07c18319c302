"""The writer that needs no model: rules, by the document's language."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from knowledge_update.documents.blocks import Document
from knowledge_update.documents.chunking import Passage
from knowledge_update.writing import faq, tables
from knowledge_update.writing.statements import Statement, Unused

# Longer paragraphs were cut at sentences before: what is still longer is no prose, and would keep a parser for minutes.
MAX_CHARACTERS = 10_000


def write(document: Document, passages: Sequence[Passage]) -> Iterator[tuple[Passage, Statement | Unused]]:
    """Yields what a document says and what of it could not be used, with the passage each stands in."""
    # Imported here: each brings a parser or a dictionary of its own.
    if document.language == "zh":
        from knowledge_update.writing.chinese import write as prose
    else:
        from knowledge_update.writing.english.writer import write as prose
    fitting = []
    for passage in passages:
        long = [block for block, _ in passage.blocks if block.torn or len(block.text) > MAX_CHARACTERS]
        yield from ((passage, Unused(block.text[:80], "runs on without the end of a sentence")) for block in long)
        fitting.append(replace(passage, blocks=tuple(part for part in passage.blocks if part[0] not in long)))
    values = tables.Values(document)
    for passage, part in prose(document, fitting):
        yield passage, values.statement(part, passage) if isinstance(part, Unused) else part
    yield from tables.write(document, passages)
    yield from faq.write(document, passages)
