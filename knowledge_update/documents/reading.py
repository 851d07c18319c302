"""Finding and reading documents: a folder, single files, or files of records such as a `documents.jsonl`."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from knowledge_update.documents.blocks import Document, document_id, title_of
from knowledge_update.documents.dates import date_of
from knowledge_update.documents.formats import FORMATS
from knowledge_update.documents.marks import unmarked
from knowledge_update.documents.records import FIELDS, Fields, jsonl, table
from knowledge_update.documents.text import UNICODE, encoding_of
from knowledge_update.errors import DocumentError

QUESTIONS_NAME = "questions.jsonl"
EVERYTHING = "**/*"
RECORDS = ".jsonl"
TABLES = (".csv", ".tsv")
# Files whose encoding nothing in them declares.
UNDECLARED = (".txt", ".md", ".markdown", *TABLES)


@dataclass(frozen=True)
class Refused:
    """A file that was not read, and why."""

    path: str
    reason: str


@dataclass
class Source:
    """Documents under a path, read one after another, so that however many there are, one is in memory.

    Args:
        path: A folder (searched recursively, in sorted order), a file, or a JSONL or CSV file of documents.
        encoding: Of text files that are not UTF-8, where it is known.
        limit: How many documents at most.
        pattern: Which files of a folder: a glob relative to it.
        fields: What the fields of a document in a file of records are called.

    Of what `documents` has read so far tell `found` (documents without their content, by identity), `refused`, `kinds`
    (files read, by ending), `guessed` (files by an encoding that was detected) and `repeated` (how often the same
    bytes were found again).

    Raises:
        DocumentError: When there is nothing at the path.
    """

    path: Path
    encoding: str | None = None
    limit: int | None = None
    pattern: str = EVERYTHING
    fields: Fields = FIELDS
    found: dict[str, Document] = field(default_factory=dict, init=False)
    refused: list[Refused] = field(default_factory=list, init=False)
    kinds: Counter[str] = field(default_factory=Counter, init=False)
    guessed: Counter[str] = field(default_factory=Counter, init=False)
    repeated: int = field(default=0, init=False)

    def __post_init__(self) -> None:
        if not self.path.exists():
            raise DocumentError(f"no such file or folder: {self.path}")
        self._files = _files(self.path, self.pattern)

    def documents(self) -> Iterator[Document]:
        """Reads from the beginning.

        Raises:
            DocumentError: At the end, when nothing could be read.
        """
        self.found, self.refused, self.repeated = {}, [], 0
        self.kinds, self.guessed = Counter(), Counter()
        names: set[str] = set()
        for document in self._all():
            if document.id in self.found:
                self.repeated += 1
                continue
            # Files of the same stem are told apart by their paths.
            if document.doc_id in names:
                document = replace(document, doc_id=document.path)
            self.found[document.id] = replace(document, blocks=())
            names.add(document.doc_id)
            yield document
            if len(self.found) == self.limit:
                return
        if not self.found:
            raise DocumentError(_nothing(self.path, self.refused, self.pattern))

    def expected(self) -> int:
        """About how many documents there are: the lines of JSONL, and files of every other kind that is read."""
        count = sum(map(_expected, self._files))
        return min(count, self.limit) if self.limit else count

    def summary(self) -> str:
        """What has been read and what not, in a line."""
        kinds = ", ".join(f"{count} {kind}" for kind, count in sorted(self.kinds.items()))
        said = [f"{sum(self.kinds.values())} files read ({kinds})"]
        if self.repeated:
            said.append(f"{self.repeated} repeated")
        if self.guessed:
            names = ", ".join(f"{count} as {name}" for name, count in sorted(self.guessed.items()))
            said.append(f"encoding guessed of {names} (reader.encoding declares it)")
        if self.refused:
            # What stands in brackets differs from file to file.
            reasons = Counter(refused.reason.partition(" (")[0].partition(";")[0] for refused in self.refused)
            why = ", ".join(f"{reason} ({count})" for reason, count in reasons.most_common())
            said.append(f"{len(self.refused)} not read: {why}")
        return "; ".join(said)

    def _all(self) -> Iterator[Document]:
        for path in self._files:
            name = str(path.relative_to(self.path)) if self.path.is_dir() else path.name
            kind = Counter([path.suffix[1:].lower()])
            taken = False
            try:
                for document in self._read(path, name):
                    # Before it is taken: who has enough takes no more.
                    self.kinds += Counter() if taken else kind
                    taken = True
                    yield replace(document, blocks=unmarked(document.blocks))
            except (DocumentError, OSError) as error:
                reason = f"cannot be read: {error.strerror}" if isinstance(error, OSError) else str(error)
                self.refused.append(Refused(name, reason))
                self.kinds -= kind if taken else Counter()

    def _read(self, path: Path, name: str) -> Iterator[Document]:
        ending = path.suffix.lower()
        if ending == RECORDS:
            with path.open("rb") as lines:
                yield from jsonl(lines, name, self.fields)
            return
        if ending not in FORMATS and ending not in TABLES:
            raise DocumentError(f"is of a kind that is not read ({path.suffix or 'no ending'}; read are {_kinds()})")
        data = path.read_bytes()
        encoding = encoding_of(data, self.encoding) if ending in UNDECLARED else self.encoding
        found = table(data, path.stem, name, encoding, self.fields)
        for at, document in enumerate(found if ending in TABLES else (_document(path, name, data, encoding),)):
            if ending in UNDECLARED and encoding not in (*UNICODE, self.encoding):
                self.guessed[str(encoding)] += at == 0
            yield document


def _document(path: Path, name: str, data: bytes, encoding: str | None) -> Document:
    media_type, reader = FORMATS[path.suffix.lower()]
    title, blocks = reader(data, encoding)
    if not any(block.kind != "heading" for block in blocks):
        raise DocumentError("has no text")
    title = title or title_of(path.stem)
    return Document(document_id(data), path.stem, name, title, media_type, tuple(blocks), date_of(data, path, title))


def _expected(path: Path) -> int:
    ending = path.suffix.lower()
    if ending != RECORDS:
        return int(ending in FORMATS or ending in TABLES)
    try:
        with path.open("rb") as lines:
            return sum(1 for line in lines if line.strip())
    except OSError:
        # It is refused when it is read.
        return 0


def _files(source: Path, pattern: str) -> list[Path]:
    if source.is_file():
        return [source]
    found = (path for path in source.glob(pattern) if path.is_file())
    return sorted(path for path in found if path.name != QUESTIONS_NAME and not _hidden(path.relative_to(source)))


def _hidden(path: Path) -> bool:
    return any(part.startswith((".", "~$")) for part in path.parts)


def _kinds() -> str:
    return ", ".join(ending[1:] for ending in (*FORMATS, *TABLES, RECORDS))


def _nothing(source: Path, refused: Sequence[Refused], pattern: str) -> str:
    if not refused and pattern != EVERYTHING:
        return f"no files in {source} fit reader.pattern={pattern}"
    if not refused:
        return f"no documents in {source}: put {_kinds()} files there"
    first = refused[0]
    more = f" (and {len(refused) - 1} more)" if len(refused) > 1 else ""
    return f"nothing in {source} could be read: {first.path} {first.reason}{more}"
