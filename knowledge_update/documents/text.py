"""Bytes to text, and plain text to a title and blocks."""

import re
from collections.abc import Sequence
from itertools import pairwise

from knowledge_update.documents.blocks import Block, Content, fold, paragraph, value_of
from knowledge_update.errors import DocumentError

_SENTENCE_END = (".", "!", "?", "。", "！", "？", ";", "；", ":", "：", "”", '"')
_HEADING_LENGTH = 80
# Narrower columns than that are not wrapped text; a line that fills less of the width had room.
_MIN_WIDTH, _ROOM = 45, 0.75
_FRONT = re.compile(r"\A---\n.*?\n---\n", re.DOTALL)
_ITEM = re.compile(r"[-*•▪–]\s+(?=\S)|\d{1,2}(?:\.\d{1,2})*[.)]?\s+(?=[A-Z“\"])|\([a-z]{1,3}\)\s")
# A word that was wrapped behind its hyphen.
_WRAPPED_HYPHEN = re.compile(r"(?<=\w)([^\W\d_])- (?=[A-Z])")
_BULLET = re.compile(r"[-*•▪–]\s+(?=\S)")
UNICODE = ("utf-8", "utf-8-sig", "utf-16")
# The encoding of Chinese that is not Unicode; it reads GB 2312 and GBK too.
CHINESE = "gb18030"
# Wide characters of which a Chinese text has some of the later half of the alphabet.
_ENOUGH = 8


def decode(data: bytes, encoding: str | None = None) -> str:
    """Decodes text: by its byte order mark, as UTF-8, as declared, else by detection.

    Raises:
        DocumentError: When it is not text.
    """
    return data.decode(encoding_of(data, encoding))


def encoding_of(data: bytes, declared: str | None = None) -> str:
    """The encoding that `decode` reads a text in.

    Args:
        data: The text.
        declared: Its encoding where it is not UTF-8; passed over where it cannot be.

    Raises:
        DocumentError: When it is not text.
    """
    from charset_normalizer import from_bytes

    for mark, name in ((b"\xef\xbb\xbf", "utf-8-sig"), (b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16")):
        if data.startswith(mark):
            if not _fits(data, name):
                raise DocumentError("is not text, although it begins like it")
            return name
    if b"\x00" in data:
        raise DocumentError("is not text")
    for name in filter(None, ("utf-8", declared)):
        if _fits(data, name):
            return name
    # Detection is unsure on short texts: of what can be read as GB18030, Chinese in common characters is Chinese.
    if _is_chinese(data):
        return CHINESE
    best = from_bytes(data).best()
    if best is None:
        raise DocumentError("is in no encoding that could be recognised; declare it with reader.encoding=NAME")
    return str(best.encoding)


def _fits(data: bytes, encoding: str) -> bool:
    try:
        data.decode(encoding)
    except (UnicodeDecodeError, LookupError):
        return False
    return True


def _is_chinese(data: bytes) -> bool:
    try:
        text = data.decode(CHINESE)
    except UnicodeDecodeError:
        return False
    wide = [character for character in text if ord(character) > 127]
    # The 3,755 most common characters are the first level of GB 2312: first bytes B0 to D7.
    leads = [character.encode(CHINESE)[0] for character in wide]
    common = sum(0xB0 <= lead <= 0xD7 for lead in leads)
    punctuation = sum(character in "，。、；：？！“”‘’（）《》·—…" for character in wide)
    return bool(wide) and (common + punctuation) / len(wide) >= 0.9 and not _may_be_korean(text, leads)


def _may_be_korean(text: str, leads: Sequence[int]) -> bool:
    """Korean in its own encoding has first bytes of B0 to C8 alone and parts words; of Chinese half go beyond."""
    return len(leads) >= _ENOUGH and all(0xB0 <= lead <= 0xC8 for lead in leads if lead >= 0xB0) and " " in text


def plain_text(data: bytes, encoding: str | None = None) -> Content:
    """Reads plain text: a first line that looks like a title is one, short lines between blank ones are headings.

    Lines that were wrapped are one paragraph; one that had room for the next one's first word was ended on purpose.
    """
    text = _FRONT.sub("", re.sub(r"\r\n?", "\n", decode(data, encoding)))
    # What a letter quotes of another is text like its own; a line that is drawn parts what stands beside it.
    text = re.sub(r"(?m)^[-=_*~]{3,}[ \t]*$", "", re.sub(r"(?m)^(?:> ?)+", "", text))
    parts = [part for part in re.split(r"\n\s*\n", text) if fold(part)]
    width = _width(parts)
    blocks = [block for part in parts for block in _blocks(part, width)]
    if blocks and blocks[0].kind == "heading":
        return blocks[0].text, blocks[1:]
    return "", blocks


def _width(parts: Sequence[str]) -> int:
    """How long lines are before they are wrapped: as most of the long ones that another follows."""
    lengths = sorted(len(line.strip()) for part in parts for line in part.strip().split("\n")[:-1])
    return max(_MIN_WIDTH, lengths[len(lengths) * 4 // 5]) if lengths else _MIN_WIDTH


def _blocks(part: str, width: int) -> list[Block]:
    lines = [line for raw in part.split("\n") if (line := fold(raw))]
    if (whole := paragraph(part))[0].kind == "item":
        return whole
    groups = [lines[:1]]
    for before, line in pairwise(lines):
        # Chinese has no words to wrap at, and what goes on in small letters was not ended.
        room = len(before) + 1 + len(line.split(" ")[0]) <= _ROOM * width and before.isascii() and not line[0].islower()
        if room or _ITEM.match(line):
            groups.append([])
        groups[-1].append(line)
    return [_text_block(_WRAPPED_HYPHEN.sub(r"\1-", " ".join(group))) for group in groups]


def _text_block(text: str) -> Block:
    if bullet := _BULLET.match(text):
        return Block("item", text[bullet.end() :])
    if value_of(text):
        return Block("item", text)
    return Block("heading", text, level=2) if is_heading(text) else Block("paragraph", text)


def is_heading(line: str) -> bool:
    """Whether a line that stands alone is short and has no end."""
    return len(line) <= _HEADING_LENGTH and not line.endswith(_SENTENCE_END)
