"""From the passages of a Chinese document to statements that stand alone, with the questions about them."""

import re
from collections.abc import Iterator, Sequence

from knowledge_update.documents.blocks import Document
from knowledge_update.documents.chunking import Passage
from knowledge_update.writing.chinese.clauses import balanced, clauses, sentences
from knowledge_update.writing.chinese.questions import askings
from knowledge_update.writing.chinese.subjects import Reading, Subjects
from knowledge_update.writing.statements import Statement, Unused

_MARKUP = ("-{", "}-", "http", "::", "|", '"参见')
# The number of an item, the letter before an answer.
_MARK = re.compile(r"(?:\d{1,2}[.、)）]|[(（]\d{1,2}[)）]|(?:A|答|回答)\d*[:：])\s*(?=[^\d\s])")
_MAX_TEXT = 160


def write(document: Document, passages: Sequence[Passage]) -> Iterator[tuple[Passage, Statement | Unused]]:
    """Writes what the prose of a document says.

    Args:
        document: The document.
        passages: Its passages, in the order of reading.

    Yields:
        A passage with a statement for each clause that can stand alone, or with a clause that cannot and why.
    """
    subjects = Subjects(document)
    for passage in passages:
        for block, offset in passage.blocks:
            if block.kind in ("heading", "row"):
                continue
            marked = _MARK.match(block.text)
            skipped = marked.end() if marked else 0
            for sentence, start in sentences(block.text[skipped:]):
                for found in _sentence(sentence, offset + skipped + start, subjects, passage.row.text):
                    yield passage, found


def _sentence(sentence: str, start: int, subjects: Subjects, text: str) -> Iterator[Statement | Unused]:
    """What one sentence says; `start` is its offset in the text of the passage."""
    if reason := _unusable(sentence):
        subjects.lose()
        yield Unused(sentence, reason)
        return
    found = clauses(sentence, subjects.title)
    if not found:
        yield Unused(sentence, "no predicate")
    earlier: list[Reading] = []
    for clause in found:
        reading = subjects.resolve(clause, earlier)
        if isinstance(reading, str):
            yield Unused(clause.quote, reading)
        else:
            earlier.append(reading)
            yield _statement(reading, sentence, start, subjects.title, text)


def _unusable(sentence: str) -> str:
    """Why no statement can be made of a sentence, or an empty string."""
    if any(mark in sentence for mark in _MARKUP):
        return "markup"
    if not balanced(sentence):
        return "part of a quotation"
    if sentence.rstrip("”」』）)").endswith(("？", "?")):
        return "a question"
    if sentence.endswith("."):
        return "part of a sentence"
    return "no predicate" if len(sentence) < 5 else ""


def _statement(reading: Reading, sentence: str, start: int, title: str, text: str) -> Statement | Unused:
    quote = sentence[reading.start : reading.end]
    stated = f"{reading.context}{reading.text}。"
    if len(stated) > _MAX_TEXT:
        return Unused(quote, "too long")
    begin = start + reading.start
    assert text[begin : begin + len(quote)] == quote, "a quote stands where its offset says"
    return Statement(stated, quote, begin, tuple(askings(reading, title)))
