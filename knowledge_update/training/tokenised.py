"""Tokenised rows in four bytes a token: in memory, or in a file of which only the rows at hand are read.

A file is read with `pread`, not mapped: mapped pages count as the process's own until the system wants them back, and
nobody could see that its memory does not grow. The index, 27 bytes a row, is mapped.
"""

import json
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO, overload

import numpy as np
from numpy.typing import NDArray

from knowledge_update.run_folder import whole_folder, write_json
from knowledge_update.training.rows import IGNORED, Encoded

Packed = NDArray[np.uint32]

# A token's highest bit says that it is learned; no vocabulary is so large.
_LEARNED = np.uint32(1 << 31)
_SHARED = 1
# Where a row's tokens end, the hash of its content, its number in its file, which file, what it is.
_INDEX = np.dtype([("end", "<i8"), ("content", "<u8"), ("number", "<i8"), ("file", "<u2"), ("kind", "u1")])
# What `kind` may say besides sharing the prefix: rows that their file marks as not for training.
PROBE, VALIDATION = 2, 4

Read = Callable[[int, int], Packed]


@dataclass(frozen=True)
class Origin:
    """Where a row comes from: which file, its number there, the hash of its content, and how it is marked."""

    file: int
    number: int
    content: int
    mark: int = 0


def packed(row: Encoded) -> Packed:
    """A row's ids, the learned ones marked."""
    ids = np.array(row.ids, dtype=np.uint32)
    return np.where(np.array(row.labels) == IGNORED, ids, ids | _LEARNED)


class Tokenised(Sequence[Encoded]):
    """Rows, decoded as they are taken.

    Args:
        read: Tokens from one place to another.
        table: What is known of each row.
        which: The rows that are meant, by their places in the table; a place may stand there more than once.
    """

    def __init__(self, read: Read, table: NDArray[Any], which: NDArray[np.int64] | None = None) -> None:
        self._read, self.table = read, table
        self.which = np.arange(len(table)) if which is None else which

    def __len__(self) -> int:
        return len(self.which)

    @overload
    def __getitem__(self, at: int) -> Encoded: ...
    @overload
    def __getitem__(self, at: slice) -> "Tokenised": ...
    def __getitem__(self, at: int | slice) -> "Encoded | Tokenised":
        if isinstance(at, slice):
            return self.of(self.which[at])
        place = int(self.which[at])
        start = int(self.table["end"][place - 1]) if place else 0
        marked = self._read(start, int(self.table["end"][place]))
        ids = marked & ~_LEARNED
        labels = np.where(marked & _LEARNED, ids.astype(np.int64), IGNORED)
        shared = bool(self.table["kind"][place] & _SHARED)
        return Encoded(tuple(ids.tolist()), tuple(labels.tolist()), shared)

    def __iter__(self) -> Iterator[Encoded]:
        return (self[at] for at in range(len(self)))

    def of(self, which: NDArray[np.int64]) -> "Tokenised":
        """Rows of the same store, by their places in its table."""
        return Tokenised(self._read, self.table, which)

    def origin(self, at: int) -> Origin:
        """Where a row comes from."""
        entry = self.table[int(self.which[at])]
        return Origin(int(entry["file"]), int(entry["number"]), int(entry["content"]), int(entry["kind"]) & ~_SHARED)

    @property
    def lengths(self) -> NDArray[np.int64]:
        """Tokens of each row, without the shared prefix; nothing is decoded for it."""
        ends: NDArray[np.int64] = self.table["end"][self.which]
        starts = np.where(self.which > 0, self.table["end"][self.which - 1], 0)
        return np.asarray(ends - starts)


class Writer:
    """Writes rows one after another.

    Args:
        tokens: Where tokens go.
        index: Where what is known of each row goes.
    """

    def __init__(self, tokens: BinaryIO, index: BinaryIO) -> None:
        self._tokens, self._index, self._end = tokens, index, 0

    def add(self, tokens: Packed, shared: bool, origin: Origin) -> None:
        """Adds a row."""
        self._end += len(tokens)
        self._tokens.write(tokens.astype("<u4").tobytes())
        entry = (self._end, origin.content, origin.number, origin.file, origin.mark | (_SHARED if shared else 0))
        self._index.write(np.array([entry], dtype=_INDEX).tobytes())


def in_memory(fill: Callable[[Writer], dict[str, Any]]) -> tuple[Tokenised, dict[str, Any]]:
    """Keeps what `fill` writes; returns it, and what `fill` tells of it."""
    tokens, index = BytesIO(), BytesIO()
    told = fill(Writer(tokens, index))
    held = np.frombuffer(tokens.getbuffer(), dtype="<u4")
    return Tokenised(lambda start, stop: held[start:stop], np.frombuffer(index.getbuffer(), dtype=_INDEX)), told


def on_disk(
    folder: Path, fill: Callable[[Writer], dict[str, Any]], *, again: bool = False
) -> tuple[Tokenised, dict[str, Any]]:
    """Keeps what `fill` writes in a folder; where it is there already, `fill` is not called.

    Args:
        folder: Named after all that its content depends on.
        fill: Writes the rows, and returns what there is to tell of them.
        again: Fill it even if it is there: its content depends on what a name cannot hold.

    Raises:
        WorkError: When it cannot be written.
    """
    with _alone(folder):
        if again or not (folder / "told.json").exists():
            with whole_folder(folder) as partial:
                with (partial / "tokens.bin").open("wb") as tokens, (partial / "index.bin").open("wb") as index:
                    told = fill(Writer(tokens, index))
                write_json(partial / "told.json", told)
        told = json.loads((folder / "told.json").read_text(encoding="utf-8"))
        size = (folder / "index.bin").stat().st_size // _INDEX.itemsize
        # An empty file cannot be mapped.
        index_ = np.memmap(folder / "index.bin", _INDEX, "r") if size else np.empty(0, _INDEX)
        return Tokenised(_Tokens(folder / "tokens.bin").read, index_), told


class _Tokens:
    """A file of tokens, open as long as somebody reads from it."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("rb", buffering=0)

    def read(self, start: int, stop: int) -> Packed:
        return np.frombuffer(os.pread(self._file.fileno(), 4 * (stop - start), 4 * start), dtype="<u4")


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Lets one process at a time make or look for a folder: of several that train together one tokenises."""
    import fcntl

    folder.parent.mkdir(parents=True, exist_ok=True)
    with (folder.parent / f".{folder.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
