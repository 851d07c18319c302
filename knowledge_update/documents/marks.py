"""Marks that stand in a text and are no part of it: of sources (`[1]`, `:110`), of footnotes and of editors."""

import re
from collections.abc import Sequence
from dataclasses import replace

from knowledge_update.documents.blocks import Block, row

_NUMBER = r"[1-9]\d{0,2}"
_SOURCE = rf"\[(?:{_NUMBER}(?:[,–-] ?{_NUMBER})*|[a-z]|(?:note|nb|n|注|註) ?\d{{1,2}})\]"
_PAGES = r": ?\d{1,4}(?:[–-]\d{1,4})?(?=[\s\[]|$)"
_NEEDED = r"(?:[a-z]+ ){1,3}(?:needed|required)|来源请求|來源請求|需要解释|原创研究？"
_EDITORS = rf"\[(?:{_NEEDED}|update|edit|sic|编辑|編輯|(?:according to |by )?(?:who|whom|when|where|which|why)\?)\]"
# What cannot be anything else, wherever it stands.
_ALWAYS = re.compile(rf" ?{_EDITORS}|(?<=\S)\[\^[\w-]+\](?!:)|(?<=[a-z)”\"\]][.,;]){_PAGES}")
# `x[1]` is no source. Who writes `It was built in 1874.[1]` names sources so, and `1874[2]` is one too.
_BEHIND = re.compile(rf"[\w)）\]”\"'’][.,;!?。，；！？]{_SOURCE}(?=[\s\[:]|$|[\u4e00-\u9fff])")
_ATTACHED = re.compile(rf"(?<=\S)(?:{_SOURCE})+(?:{_PAGES})?")
# Nor is `the vector [1, 2]`. Whose list of sources begins with `[1]` names them so; "as in [2]" stays a sentence.
_LISTED = re.compile(r"\[1\] ?\S")
_APART = re.compile(rf"(?<!\bin)(?<!\bof)(?<!\bby)(?<!\bto)(?<!\bsee)(?<!\bfrom)(?<!\band)(?<!\bwith) (?:{_SOURCE})+")


def unmarked(blocks: Sequence[Block]) -> tuple[Block, ...]:
    """The blocks of a document without such marks.

    Those of sources go where the document shows that it names its sources so, by one behind a full stop or by a list
    of them; elsewhere `[1]` may be anything.
    """
    patterns = [_ALWAYS]
    if any(_BEHIND.search(block.text) for block in blocks):
        patterns.append(_ATTACHED)
    if any(_LISTED.match(block.text) for block in blocks):
        patterns.append(_APART)
    return tuple(_without(block, patterns) for block in blocks)


def _without(block: Block, patterns: Sequence[re.Pattern[str]]) -> Block:
    if block.kind == "row":
        cells, header = [_cut(cell, patterns) for cell in block.cells], [_cut(name, patterns) for name in block.header]
        return row(cells, tuple(header))
    return replace(block, text=_cut(block.text, patterns))


def _cut(text: str, patterns: Sequence[re.Pattern[str]]) -> str:
    for pattern in patterns:
        text = pattern.sub(_gap, text)
    return text.strip()


def _gap(match: re.Match[str]) -> str:
    """Nothing, or the space between two words that only the mark kept apart."""
    before, after = match.string[: match.start()][-1:], match.string[match.end() :][:1]
    return " " if after.isascii() and after.isalnum() and before.strip() else ""
