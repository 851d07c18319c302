"""All documents of a source at once."""

from dataclasses import dataclass
from pathlib import Path

from knowledge_update.documents.blocks import Document
from knowledge_update.documents.reading import EVERYTHING, Refused, Source
from knowledge_update.documents.records import FIELDS, Fields


@dataclass(frozen=True)
class Reading:
    """What was read and what was not."""

    documents: tuple[Document, ...]
    refused: tuple[Refused, ...]


def read(
    source: Path,
    *,
    encoding: str | None = None,
    limit: int | None = None,
    pattern: str = EVERYTHING,
    fields: Fields = FIELDS,
) -> Reading:
    """Reads all documents under a path at once; the arguments are those of `Source`.

    Raises:
        DocumentError: When there is nothing at the path, or nothing readable.
    """
    found = Source(source, encoding, limit, pattern, fields)
    return Reading(tuple(found.documents()), tuple(found.refused))
