"""The writer that needs no model: rules, by the document's language."""

from collections.abc import Iterator, Sequence

from knowledge_update.documents.blocks import Document
from knowledge_update.documents.chunking import Passage
from knowledge_update.writing import tables
from knowledge_update.writing.statements import Statement, Unused


def write(document: Document, passages: Sequence[Passage]) -> Iterator[tuple[Passage, Statement | Unused]]:
    """Yields what a document says and what of it could not be used, with the passage each stands in."""
    # Imported here: each brings a parser or a dictionary of its own.
    if document.language == "zh":
        from knowledge_update.writing.chinese import write as prose
    else:
        from knowledge_update.writing.english.writer import write as prose
    yield from prose(document, passages)
    yield from tables.write(document, passages)
