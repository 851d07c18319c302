"""Finding and reading documents: a folder, single files, or files of records such as a `documents.jsonl`."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from knowledge_update.documents.blocks import Document, document_id, title_of
from knowledge_update.documents.dates import date_of
from knowledge_update.documents.formats import FORMATS
from knowledge_update.documents.records import FIELDS, Fields, jsonl, table
from knowledge_update.errors import DocumentError

QUESTIONS_NAME = "questions.jsonl"
EVERYTHING = "**/*"
TABLES = (".csv", ".tsv")


@dataclass(frozen=True)
class Refused:
    """A file that was not read, and why."""

    path: str
    reason: str


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
    """Reads all documents under a path.

    Args:
        source: A folder (searched recursively, in sorted order), a file, or a JSONL or CSV file of documents.
        encoding: Of text files that are not UTF-8, where it is known.
        limit: How many documents at most.
        pattern: Which files of a folder: a glob relative to it.
        fields: What the fields of a document in a file of records are called.

    Raises:
        DocumentError: When there is nothing at the path, or nothing readable.
    """
    if not source.exists():
        raise DocumentError(f"no such file or folder: {source}")
    documents: list[Document] = []
    refused: list[Refused] = []
    for path in _files(source, pattern):
        name = str(path.relative_to(source)) if source.is_dir() else path.name
        try:
            documents.extend(_read_file(path, name, encoding, fields))
        except DocumentError as error:
            refused.append(Refused(name, str(error)))
        except OSError as error:
            refused.append(Refused(name, f"cannot be read: {error.strerror}"))
    if not documents:
        raise DocumentError(_nothing(source, refused, pattern))
    return Reading(tuple(_distinct(documents)[:limit]), tuple(refused))


def _files(source: Path, pattern: str) -> list[Path]:
    if source.is_file():
        return [source]
    found = (path for path in source.glob(pattern) if path.is_file())
    return sorted(path for path in found if path.name != QUESTIONS_NAME and not _hidden(path.relative_to(source)))


def _hidden(path: Path) -> bool:
    return any(part.startswith((".", "~$")) for part in path.parts)


def _read_file(path: Path, name: str, encoding: str | None, fields: Fields) -> Iterator[Document]:
    data = path.read_bytes()
    ending = path.suffix.lower()
    if ending == ".jsonl":
        yield from jsonl(data, name, fields)
        return
    if ending in TABLES:
        yield from table(data, path.stem, name, encoding, fields)
        return
    if ending not in FORMATS:
        raise DocumentError(f"is of a kind that is not read ({path.suffix or 'no ending'}; read are {_kinds()})")
    media_type, reader = FORMATS[ending]
    title, blocks = reader(data, encoding)
    if not any(block.kind != "heading" for block in blocks):
        raise DocumentError("has no text")
    title = title or title_of(path.stem)
    yield Document(document_id(data), path.stem, name, title, media_type, tuple(blocks), date_of(data, path, title))


def _distinct(documents: list[Document]) -> list[Document]:
    """Leaves out the same bytes found twice, and tells apart documents whose files have the same stem."""
    by_id: dict[str, Document] = {}
    names: set[str] = set()
    for document in documents:
        if document.id in by_id:
            continue
        if document.doc_id in names:
            document = replace(document, doc_id=document.path)
        names.add(document.doc_id)
        by_id[document.id] = document
    return list(by_id.values())


def _kinds() -> str:
    return ", ".join(ending[1:] for ending in (*FORMATS, *TABLES, ".jsonl"))


def _nothing(source: Path, refused: list[Refused], pattern: str) -> str:
    if not refused and pattern != EVERYTHING:
        return f"no files in {source} fit reader.pattern={pattern}"
    if not refused:
        return f"no documents in {source}: put {_kinds()} files there"
    first = refused[0]
    more = f" (and {len(refused) - 1} more)" if len(refused) > 1 else ""
    return f"nothing in {source} could be read: {first.path} {first.reason}{more}"
