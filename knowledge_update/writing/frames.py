"""Frames: a plain question as people put it to one another.

A model that was only ever asked plainly may know a fact and, asked politely, say that it cannot help: see
benchmarks/LOG.md. The frames of the exam are others (the probe family of each writer).
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import replace
from zlib import crc32

from knowledge_update.writing.statements import DIRECT, FRAMED, Asking

_BEFORE = ("Quick question: {}", "Please answer in a few words: {}", "Hello! {}", "I am curious. {}")
_BEHIND = ("{} Please tell me.", "{} A short answer is enough.", "{} Just wondering.")
_CHINESE = (
    "有个问题：{}", "请简短回答：{}", "你好，{}", "考考你：{}", "{}请告诉我。", "{}简单回答就行。",
    "朋友在问：{}该怎么说？",
)  # fmt: skip
_AROUND = (
    "Tell me {}.", "I wonder {}.", "Let me know {}, please.", "Any idea {}?", "My friend asks {}; what is right?",
    "I forgot {}. Please help.",
)  # fmt: skip
_CHINESE_WORD = re.compile(r"[\u4e00-\u9fff]")
# What a question is about stands before it already.
_TOPIC = re.compile(r"^(?:About|In the article) ")


def framed(askings: Iterable[Asking]) -> Iterator[Asking]:
    """The direct questions among these once more, each in a frame that depends on its text alone."""
    for asking in askings:
        if asking.wording == DIRECT:
            frames = _frames(asking.question)
            frame = frames[crc32(asking.question.encode("utf-8", "replace")) % len(frames)]
            yield replace(asking, wording=FRAMED, question=frame.format(asking.question))


def embedded(clause: str) -> str:
    """An English question that is a part of a sentence: what tells or wonders depends on its text alone.

    Args:
        clause: The question in the order it has there: "when the bridge was built".
    """
    return _AROUND[crc32(clause.encode("utf-8", "replace")) % len(_AROUND)].format(clause)


def _frames(question: str) -> tuple[str, ...]:
    if _CHINESE_WORD.search(question):
        return _CHINESE
    return _BEHIND if _TOPIC.match(question) else (*_BEFORE, *_BEHIND)
