"""A document as blocks: headings, paragraphs, list items and table rows, in the order of reading."""

import hashlib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import Literal

from knowledge_update.display import ESCAPES

_HAN = re.compile(r"[\u3000-\u9fff\uff00-\uffef]")
# `Warranty: 5 years`: a name of few words and its value, which is no sentence; in Chinese no space parts them.
_VALUE = re.compile(r"([^\W_](?:[^:：.!?。！？;；]|\.(?!\s+[A-Z]|$)){0,50}?)\s*(?:[:：]\s+|：)(\S.{0,160})")
_MAX_NAME_WORDS, _MAX_NAME_CHARACTERS = 8, 10
# Words of sentences: "I've spoken to Greg: they can do it" names nothing.
_SAYING = frozenset("are can has have he i is it let she that there they was we were will you".split())
# "Set port: 8080 in the file" tells what to do.
_TELLING = frozenset("add choose enter open press run see select set use".split())
# A value with a name of its own behind it: lines that were joined.
_ANOTHER = re.compile(r"\s[\w-]+[:：]\s")
# What a table calls the second of two columns whose first names it.
_VALUES = frozenset("value values detail details data specification specifications 值 数值 内容 参数".split())
Kind = Literal["heading", "paragraph", "item", "row"]


@dataclass(frozen=True)
class Block:
    """A piece of a document.

    Args:
        kind: What it is.
        text: Its text, white space folded; of a row `name: cell; name: cell`, so that it reads without its table.
        level: Of a heading, 1 to 6; else 0.
        cells: Of a row, its cells; else empty.
        header: Of a row, the column names where the table has them.
        torn: Whether it is a part of a text without an end of a sentence, cut because no model takes it whole.
    """

    kind: Kind
    text: str
    level: int = 0
    cells: tuple[str, ...] = ()
    header: tuple[str, ...] = ()
    torn: bool = False


# What a file holds: its title, empty where it has none, and its blocks.
Content = tuple[str, list[Block]]


@dataclass(frozen=True)
class Document:
    """A document as read.

    Args:
        id: Hash of its bytes.
        doc_id: The file's stem, or the identity given in a `documents.jsonl`.
        path: Where it was found, relative to the folder that was read.
        title: Its title.
        media_type: What it was read as.
        blocks: Its content without the title.
        date: When it is of, as far as it tells: `2024`, `2024-05` or `2024-05-17`.
    """

    id: str
    doc_id: str
    path: str
    title: str
    media_type: str
    blocks: tuple[Block, ...]
    date: str = ""

    @property
    def language(self) -> str:
        """`zh` when at least a fifth of the letters are Chinese characters, else `en`."""
        return language_of(self.blocks)


def language_of(blocks: Iterable[Block]) -> str:
    """The language of a document, by its letters."""
    letters = [character for block in blocks for character in block.text if character.isalpha()]
    chinese = sum("\u4e00" <= character <= "\u9fff" for character in letters)
    return "zh" if letters and chinese / len(letters) >= 0.2 else "en"


def fold(text: str) -> str:
    """Folds white space and takes control characters out, so that no document can steer a terminal or a page."""
    # Half a surrogate pair, which JSON can escape, is no character and cannot be written. The controls left are spaces.
    steering = r"[\x00-\x08\x0e-\x1b\x7f-\x84\x86-\x9f\u200b-\u200f\u202a-\u202e\u2060-\u2069\ud800-\udfff\ufeff]"
    return re.sub(r"\s+", " ", re.sub(steering, "", ESCAPES.sub("", text))).strip()


def row(cells: list[str], header: tuple[str, ...]) -> Block:
    """A table row."""
    named = zip_longest(header, cells, fillvalue="") if header else (("", cell) for cell in cells)
    text = "; ".join(f"{name}: {cell}" if name else cell for name, cell in named if cell)
    return Block("row", text, cells=tuple(cells), header=header)


def rows(lines: Sequence[Sequence[str]], *, named: bool = False) -> list[Block]:
    """The rows of a table, the first of several naming the columns; those that hold nothing are left out.

    Of a table of names and their values, each row is an item `name: value`.

    Args:
        lines: The cells, row by row.
        named: Whether the first cell of each row is known to name the second.
    """
    pairs = [cells for cells in lines if len(cells) == 2 and all(cells)]
    named = named or (bool(pairs) and all(name.endswith((":", "：")) for name, _ in pairs))
    if lines and max(map(len, lines)) == 2 and (named or _names_values(lines[0])):
        kept = [[cell for cell in cells if cell] for cells in lines[_is_header(lines[0]) :]]
        return [
            Block("item", ": ".join([*(cells[0].rstrip(":：") for _ in cells[1:]), cells[-1]]))
            for cells in kept
            if cells
        ]
    header = tuple(lines[0]) if len(lines) > 1 else ()
    return [row(list(cells), header) for cells in lines[1 if header else 0 :] if any(cells)]


def _is_header(cells: Sequence[str]) -> bool:
    return cells[-1].lower() in _VALUES


def _names_values(first: Sequence[str]) -> bool:
    """Whether the first row of two cells says that these are names and values, or holds a value itself."""
    amount = re.search(r"\d", first[-1]) and not re.fullmatch(r"(?:1\d|20)\d\d", first[-1])
    return len(first) == 2 and (_is_header(first) or bool(first[0] and amount and not re.search(r"\d", first[0])))


def value_of(text: str) -> tuple[str, str] | None:
    """The name and the value of `Warranty: 5 years`, or nothing where a text is of another form."""
    found = _VALUE.fullmatch(text)
    words = found[1].split() if found else []
    said = not _SAYING.isdisjoint(re.split(r"['’]", word)[0].lower() for word in words)
    if found is None or said or len(words) > _MAX_NAME_WORDS or (len(words) > 1 and words[0].lower() in _TELLING):
        return None
    if _ANOTHER.search(re.sub(r"\([^)]*\)", "", found[2])):
        return None
    torn = any(text.count(left) != text.count(right) for text in found.groups() for left, right in ("()", "（）", "“”"))
    long = _HAN.search(found[1]) and len(found[1]) > _MAX_NAME_CHARACTERS
    return None if torn or long else (found[1], found[2])


def paragraph(text: str) -> list[Block]:
    """A paragraph, its lines as one; lines that are names with values stay apart, as items."""
    lines = [line for part in text.splitlines() if (line := fold(part))]
    if len(lines) > 1 and all(map(value_of, lines)):
        return [Block("item", line) for line in lines]
    return [Block("paragraph", folded)] if (folded := fold(text)) else []


def joined(lines: Iterable[str]) -> str:
    """Lines that wrapped, as one: Chinese without a space between."""
    text = ""
    for line in (line.strip() for line in lines):
        together = not text or not line or (_HAN.match(text[-1]) and _HAN.match(line[0]))
        text += line if together else f" {line}"
    return text.strip()


def title_of(stem: str) -> str:
    """The title of a document that has none: its file's name as words."""
    return stem.replace("-", " ").replace("_", " ").strip()


def document_id(data: bytes) -> str:
    """The identity of a document: the hash of its bytes."""
    return hashlib.sha256(data).hexdigest()[:16]
