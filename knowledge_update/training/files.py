"""Files of rows: found by name, folder or glob, and read one row after another.

What a file is, its first bytes say: gzip, Parquet, a JSON array, or JSON values one after another (JSONL). Nothing
but Parquet's row group and the row at hand is in memory, however large the file.
"""

import gzip
import json
import re
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from glob import glob
from io import BufferedReader
from pathlib import Path
from typing import Any, BinaryIO

from knowledge_update.errors import ConfigError, DocumentError
from knowledge_update.training.formats import BadRow

ENDINGS = (".json", ".jsonl", ".ndjson", ".json.gz", ".jsonl.gz", ".ndjson.gz", ".parquet")
_WEIGHTED = re.compile(r"(.+):(\d+(?:\.\d+)?|\.\d+)")
_BOM = b"\xef\xbb\xbf"
# Rows of a Parquet file that are in memory at once.
_TOGETHER = 1000
_BUFFER = 1 << 16
_BROKEN_GZIP = (EOFError, gzip.BadGzipFile, zlib.error)

# A row's number in its file, and what was read there; a `BadRow` where that is not even JSON.
Place = tuple[int, Any]


@dataclass(frozen=True)
class Entry:
    """A file, and how often each of its rows is taken in an epoch."""

    path: Path
    weight: float = 1.0


def entries(named: str | Sequence[str], key: str) -> list[Entry]:
    """The files that are meant.

    Args:
        named: Paths of files or folders, or globs, each with `:weight` behind it if it likes; a list, or one text with
            commas between them. What exists under a name as it stands is that file.
        key: The dotted key that named them, for errors.

    Raises:
        DocumentError: When there is no such file, or none in a folder.
        ConfigError: When a weight is 0, or a file is named twice.
    """
    found: dict[Path, Entry] = {}
    for word in _words(named):
        path, weight = _weight(word, key)
        for file in _files(path):
            # Not only the same name: the same file.
            if found.setdefault(file.resolve(), entry := Entry(file, weight)) is not entry:
                raise ConfigError(f"{key} names {file} twice; to take its rows more often give it a weight: {file}:2")
    return list(found.values())


def _words(named: str | Sequence[str]) -> list[str]:
    if not isinstance(named, str):
        return [str(word) for word in named]
    if Path(named).expanduser().exists():
        return [named]
    return [word.strip() for word in named.split(",") if word.strip()]


def _weight(word: str, key: str) -> tuple[str, float]:
    matched = _WEIGHTED.fullmatch(word)
    if not matched or Path(word).expanduser().exists():
        return word, 1.0
    weight = float(matched[2])
    if weight == 0:
        raise ConfigError(f"{key}={word}: a weight above 0")
    return matched[1], weight


def _files(name: str) -> list[Path]:
    path = Path(name).expanduser()
    if path.is_file():
        return [path]
    if path.is_dir():
        if (path / "config.yaml").exists() and (path / "dataset").is_dir():
            raise DocumentError(f"{path} is a run folder: `kupdate train {path}` trains on its dataset")
        inside = sorted(file for file in path.rglob("*") if file.is_file() and file.name.lower().endswith(ENDINGS))
        found = [file for file in inside if not any(part.startswith(".") for part in file.relative_to(path).parts)]
        if not found:
            raise DocumentError(f"no rows in {path}: put files there that end in {', '.join(ENDINGS)}")
        return found
    found = sorted(file for file in map(Path, glob(str(path), recursive=True)) if file.is_file())
    if not found:
        raise DocumentError(f"no such file or folder, and no glob that fits a file: {path}")
    return found


@dataclass
class DataFile:
    """A file of rows, read once from beginning to end.

    Args:
        path: The file.

    Attributes:
        unit: What its rows are numbered as: `line` or `row`.
        read: Bytes of the file that have been read.
    """

    path: Path
    unit: str = field(default="row", init=False)
    _raw: BinaryIO | None = field(default=None, init=False)

    @property
    def read(self) -> int:
        return self._raw.tell() if self._raw and not self._raw.closed else self.path.stat().st_size

    def rows(self) -> Iterator[Place]:
        """Every row with its number, from 1.

        Raises:
            DocumentError: When the file cannot be opened or read.
            ConfigError: When it is Parquet and pyarrow is not installed.
        """
        number = 0
        try:
            with self.path.open("rb") as self._raw:
                for number, value in self._rows(self._raw):
                    yield number, value
        except _BROKEN_GZIP as error:
            yield number + 1, BadRow(f"the archive breaks off or is damaged, nothing after it can be read ({error})")
        except OSError as error:
            raise DocumentError(f"{self.path} cannot be read: {error.strerror or error}") from error

    def _rows(self, raw: BinaryIO) -> Iterator[Place]:
        magic = raw.read(4)
        raw.seek(0)
        if magic == b"PAR1":
            return _parquet(raw)
        if magic.startswith(b"\x1f\x8b"):
            return self._json(BufferedReader(gzip.GzipFile(fileobj=raw), _BUFFER))
        return self._json(BufferedReader(raw, _BUFFER))  # type: ignore[arg-type]

    def _json(self, stream: BufferedReader) -> Iterator[Place]:
        if stream.peek(3).startswith(_BOM):
            stream.read(3)
        first = stream.peek(_BUFFER).lstrip()
        if first.startswith(b"["):
            return _values(stream, "item")
        # A `.json` may hold lines as well, or objects over several lines.
        head = first.split(b"\n", 1)
        if first.startswith(b"{") and len(head) > 1 and isinstance(_parsed(head[0]), BadRow) and _opens(head[0]):
            return _values(stream, "")
        self.unit = "line"
        return _lines(stream)


def _opens(line: bytes) -> bool:
    """Whether a line leaves its object open, as a printed one does on its first lines."""
    return line.rstrip().endswith((b"{", b",", b"["))


def _lines(stream: BufferedReader) -> Iterator[Place]:
    return ((number, _parsed(line)) for number, line in enumerate(stream, 1) if line.strip())


def _parsed(line: bytes) -> Any:
    """What a line holds."""
    try:
        return json.loads(line.decode("utf-8").rstrip("\r\n"))
    except UnicodeDecodeError as error:
        return BadRow(f"not UTF-8 (at byte {error.start + 1})")
    except json.JSONDecodeError as error:
        return BadRow(f"not JSON ({error.msg} at character {error.colno})")
    except (ValueError, RecursionError) as error:
        return BadRow(f"not JSON that can be read ({error})")


def _values(stream: BufferedReader, prefix: str) -> Iterator[Place]:
    """The items of an array, or objects one after another however many lines each takes."""
    import ijson

    number = 0
    try:
        found = ijson.items(stream, prefix, multiple_values=not prefix, use_float=True)
        for number, value in enumerate(found, 1):
            yield number, value
    except ijson.JSONError as error:
        said = re.sub(r"\s+", " ", str(error).splitlines()[0]).strip("b' ")
        reason = "not UTF-8" if "UTF8" in said else "not JSON"
        yield number + 1, BadRow(f"{reason}, and nothing after it can be read ({said[:80]})")


def _parquet(raw: BinaryIO) -> Iterator[Place]:
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError as error:
        raise ConfigError("Parquet needs pyarrow: pip install 'knowledge-update[parquet]'") from error
    number = 0
    try:
        for batch in parquet.ParquetFile(raw).iter_batches(batch_size=_TOGETHER):
            for value in batch.to_pylist():
                number += 1
                yield number, value
    except (pyarrow.ArrowException, OSError) as error:
        first = str(error).splitlines()[0]
        yield number + 1, BadRow(f"not Parquet that can be read, nor what comes after ({first})")
