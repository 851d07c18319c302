"""Rows as they were read become tokens: checked, brought into the one form, fitted to length, encoded.

The first rows are encoded where the reading goes on. Beyond them processes do it, `rows.num_workers` of them, each with
up to `rows.prefetch_factor` packets of rows that are read for it; results keep the order of the rows. Training itself
reads tokens from memory or disk and needs neither.
"""

import hashlib
import json
import signal
from collections import Counter, deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field
from itertools import chain, islice
from typing import Any

from knowledge_update.display import log
from knowledge_update.errors import DocumentError, WorkError
from knowledge_update.run_folder import Row
from knowledge_update.training.formats import BadRow, Format, canonical
from knowledge_update.training.lengths import fitted
from knowledge_update.training.rows import Encoder
from knowledge_update.training.tokenised import PROBE, VALIDATION, Origin, Packed, Writer, packed
from knowledge_update.training_config import RowsConfig

PACKET = 250
# So many rows are encoded by the time the first process has begun.
ALONE = 40 * PACKET
# What a row's `split` may say, as the pairs that `kupdate collect` writes do.
_MARKS = {"probe": PROBE, "test": PROBE, "validation": VALIDATION, "valid": VALIDATION, "dev": VALIDATION}


@dataclass(frozen=True)
class Raw:
    """A row as it was read: the number of its file, its own number there, how to call its place, and its value."""

    file: int
    number: int
    place: str
    value: Any


@dataclass(frozen=True)
class Done:
    """What became of a row: its sequences with whether they share the prefix, or why there are none."""

    parts: tuple[tuple[Packed, bool], ...] = ()
    split: bool = False
    left_out: int = 0
    bad: str = ""


@dataclass
class Tally:
    """What there is to tell of the rows."""

    skip: bool
    rows: int = 0
    formats: Counter[str] = field(default_factory=Counter)
    languages: set[str] = field(default_factory=set)
    marked: Counter[str] = field(default_factory=Counter)
    bad: dict[str, tuple[int, str]] = field(default_factory=dict)
    texts: tuple[int, int] = (0, 0)
    conversations: tuple[int, int] = (0, 0)
    left_out: int = 0

    def refuse(self, place: str, reason: BadRow) -> None:
        """Counts a bad row.

        Raises:
            DocumentError: Unless bad rows are skipped.
        """
        if not self.skip:
            raise DocumentError(f"{place}: {reason}; --skip-bad-rows leaves such rows out")
        count, first = self.bad.get(reason.kind, (0, place))
        self.bad[reason.kind] = (count + 1, first)

    def take(self, row: Row, done: Done) -> None:
        """Counts a row that was encoded."""
        self.languages.add(row["language"])
        self.left_out += done.left_out
        if done.split and "text" in row:
            self.texts = (self.texts[0] + 1, self.texts[1] + len(done.parts))
        elif done.split:
            self.conversations = (self.conversations[0] + 1, self.conversations[1] + len(done.parts))

    def told(self) -> dict[str, Any]:
        """The same as JSON."""
        return {
            "rows": self.rows, "formats": dict(self.formats), "languages": sorted(self.languages),
            "marked": dict(self.marked), "bad": self.bad, "texts": self.texts, "conversations": self.conversations,
            "left_out": self.left_out,
        }  # fmt: skip


def tokenise(raw: Iterable[Raw], encoder: Encoder, most: int, settings: RowsConfig, writer: Writer) -> dict[str, Any]:
    """Writes all rows as tokens.

    Args:
        raw: The rows.
        encoder: Of the model that is taught.
        most: Tokens of a sequence.
        settings: Whether bad rows are skipped, and processes.
        writer: Where they go.

    Returns:
        What there is to tell of them, as JSON.

    Raises:
        DocumentError: At a bad row, unless they are skipped.
        WorkError: When a process dies.
    """
    tally = Tally(settings.skip_bad_rows)
    for packet, results in _encoded(_packets(_checked(raw, tally)), encoder, most, settings):
        for (origin, place, row), done in zip(packet, results, strict=True):
            if done.bad:
                tally.refuse(place, BadRow(done.bad))
                continue
            tally.take(row, done)
            for tokens, shared in done.parts:
                writer.add(tokens, shared, origin)
    return tally.told()


_Item = tuple[Origin, str, Row]


def _checked(raw: Iterable[Raw], tally: Tally) -> Iterator[_Item]:
    """Rows in the one form, without those that are bad or not for training."""
    expected: dict[int, Format] = {}
    for read in raw:
        try:
            if isinstance(read.value, BadRow):
                raise read.value
            form, row = canonical(read.value, read.place, expected.get(read.file))
        except BadRow as reason:
            tally.refuse(read.place, reason)
            continue
        expected.setdefault(read.file, form)
        tally.rows += 1
        tally.formats[str(form)] += 1
        mark = _mark(read.value.get("split"))
        if mark:
            tally.marked["probe" if mark == PROBE else "validation"] += 1
        if mark != PROBE:
            yield Origin(read.file, read.number, _content(row), mark), read.place, row


def _mark(split: Any) -> int:
    return _MARKS.get(split.lower(), 0) if isinstance(split, str) else 0


def _content(row: Row) -> int:
    """The hash of what a row teaches, whatever it is called."""
    data = json.dumps(row.get("messages") or row["text"], ensure_ascii=False).encode()
    return int.from_bytes(hashlib.blake2b(data, digest_size=8).digest(), "little")


def _packets(items: Iterator[_Item]) -> Iterator[list[_Item]]:
    while packet := list(islice(items, PACKET)):
        yield packet


def _encoded(
    packets: Iterator[list[_Item]], encoder: Encoder, most: int, settings: RowsConfig
) -> Iterator[tuple[list[_Item], list[Done]]]:
    alone = islice(packets, ALONE // PACKET) if settings.num_workers else packets
    for packet in alone:
        yield packet, _all([row for _, _, row in packet], encoder, most)
    first = next(packets, None)
    if first is None:
        return
    import multiprocessing

    log.info("more than %d rows: %d processes tokenise (rows.num_workers)", ALONE, settings.num_workers)
    # A fork would copy threads in whatever they are doing; a new process has none.
    spawn = multiprocessing.get_context("spawn")
    waiting: deque[tuple[list[_Item], Future[list[Done]]]] = deque()
    pool = ProcessPoolExecutor(settings.num_workers, spawn, _begin, (encoder, most))
    try:
        for packet in chain([first], packets):
            waiting.append((packet, pool.submit(_in_process, [row for _, _, row in packet])))
            if len(waiting) >= settings.num_workers * settings.prefetch_factor:
                done, future = waiting.popleft()
                yield done, future.result()
        for done, future in waiting:
            yield done, future.result()
    except BrokenProcessPool as error:
        raise WorkError("a process that tokenised rows died; rows.num_workers=0 does without them") from error
    finally:
        pool.shutdown(cancel_futures=True)


# Of a tokenising process: what it was begun with.
_given: list[tuple[Encoder, int]] = []


def _begin(encoder: Encoder, most: int) -> None:
    # Ctrl-C is for the process that began it.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _given.append((encoder, most))


def _in_process(rows: list[Row]) -> list[Done]:
    return _all(rows, *_given[0])


def _all(rows: list[Row], encoder: Encoder, most: int) -> list[Done]:
    return [_one(row, encoder, most) for row in rows]


def _one(row: Row, encoder: Encoder, most: int) -> Done:
    from jinja2 import TemplateError

    try:
        found = fitted(row, encoder, most)
    except TemplateError as error:
        return Done(bad=f"the model's chat template refuses it ({error})")
    return Done(tuple((packed(part), part.shared) for part in found.parts), found.split, found.left_out)
