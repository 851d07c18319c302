"""Bytes to text, and plain text to a title and blocks."""

import re

from knowledge_update.documents.blocks import Block, Content, fold
from knowledge_update.errors import DocumentError

_SENTENCE_END = (".", "!", "?", "。", "！", "？", ";", "；", ":", "：", "”", '"')
_HEADING_LENGTH = 80


def decode(data: bytes, encoding: str | None = None) -> str:
    """Decodes text: by its byte order mark, as UTF-8, as declared, else by detection.

    Raises:
        DocumentError: When it is not text.
    """
    from charset_normalizer import from_bytes

    for mark, name in ((b"\xef\xbb\xbf", "utf-8-sig"), (b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16")):
        if data.startswith(mark):
            try:
                return data.decode(name)
            except UnicodeDecodeError as error:
                raise DocumentError("is not text, although it begins like it") from error
    if b"\x00" in data:
        raise DocumentError("is not text")
    for name in filter(None, ("utf-8", encoding)):
        try:
            return data.decode(name)
        except (UnicodeDecodeError, LookupError):
            continue
    # Detection is unsure on short texts: of what can be read as GB18030, Chinese in common characters is Chinese.
    chinese = _decoded_as_chinese(data)
    if chinese is not None:
        return chinese
    best = from_bytes(data).best()
    if best is None:
        raise DocumentError("is in no encoding that could be recognised; declare it with reader.encoding=NAME")
    return str(best)


def _decoded_as_chinese(data: bytes) -> str | None:
    try:
        text = data.decode("gb18030")
    except UnicodeDecodeError:
        return None
    wide = [character for character in text if ord(character) > 127]
    # The 3,755 most common characters are the first level of GB 2312: first bytes B0 to D7.
    common = sum(0xB0 <= character.encode("gb18030")[0] <= 0xD7 for character in wide)
    punctuation = sum(character in "，。、；：？！“”‘’（）《》·—…" for character in wide)
    return text if wide and (common + punctuation) / len(wide) >= 0.9 else None


def plain_text(data: bytes, encoding: str | None = None) -> Content:
    """Reads plain text: a first line that looks like a title is one, short lines between blank ones are headings."""
    text = re.sub(r"\r\n?", "\n", decode(data, encoding))
    blocks = [_text_block(folded) for part in re.split(r"\n\s*\n", text) if (folded := fold(part))]
    if blocks and blocks[0].kind == "heading":
        return blocks[0].text, blocks[1:]
    return "", blocks


def _text_block(text: str) -> Block:
    heading = len(text) <= _HEADING_LENGTH and not text.endswith(_SENTENCE_END)
    return Block("heading", text, level=2) if heading else Block("paragraph", text)
