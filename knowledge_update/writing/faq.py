"""Questions that a document asks itself, with its answers, as in a list of frequent ones."""

import re
from collections.abc import Iterator, Sequence
from itertools import zip_longest

from knowledge_update.documents.blocks import Document
from knowledge_update.documents.chunking import Passage, Piece
from knowledge_update.writing.statements import DIRECT, EMBEDDED, INDIRECT, TEXT, TITLED, Asking, Statement

_QUESTION = re.compile(r"(?:\d{1,2}[.)]\s*)?(?:(?:Q|Question|问|问题)\s*\d*\s*[.:：]\s*)?(\S[^?？]{3,150}[?？])")
_MARKED = re.compile(r"\s*(?:A|Answer|答|回答)\s*\d*\s*[.:：]\s*")
_ANSWER = re.compile(rf"(?:{_MARKED.pattern})?\s*")
# One that is longer than its first sentence, or whose first sentence is, the rules read as they read all prose.
_SENTENCE = re.compile(r"[^。！？]+?(?:[.!](?=\s+[A-Z“\"(]|\s*$)|[。！？]|$)")
_MAX_WORDS, _MAX_CHINESE = 10, 30
_BARE = frozenset("yes no 是 否 不是 可以 不可以 能 不能".split())


def write(document: Document, passages: Sequence[Passage]) -> Iterator[tuple[Passage, Statement]]:
    """Yields a statement for every question with a short answer."""
    for passage in passages:
        for question, answer, at in _pairs(passage.blocks):
            short = len(answer) <= _MAX_CHINESE if document.language == "zh" else len(answer.split()) <= _MAX_WORDS
            if short and document.title and answer.lower().rstrip(".。!！") not in _BARE:
                yield passage, _statement(document, question, answer, at)


def _pairs(blocks: Sequence[Piece]) -> Iterator[tuple[str, str, int]]:
    """A question, the first sentence of what follows it, and where that begins."""
    for (block, at), following in zip_longest(blocks, blocks[1:]):
        found = _QUESTION.match(block.text)
        if found and found.end() < len(block.text):
            # In prose a question that is asked and answered is a figure of speech.
            if block.kind != "item" and not _MARKED.match(block.text, found.end()):
                continue
            yield from _answered(found[1], block.text, at, found.end())
        elif found and following and following[0].kind == "paragraph":
            yield from _answered(found[1], following[0].text, following[1], 0)


def _answered(question: str, text: str, at: int, start: int) -> Iterator[tuple[str, str, int]]:
    mark = _ANSWER.match(text, start)
    sentence = _SENTENCE.match(text, mark.end() if mark else start)
    if sentence and sentence[0][:1].isalnum() and not _QUESTION.match(text, sentence.start()):
        yield question, sentence[0].strip(), at + sentence.start()


def _statement(document: Document, question: str, sentence: str, at: int) -> Statement:
    title, answer = document.title, sentence.rstrip(".。!！")
    text = f"{title}: {question} {sentence}"
    if document.language == "zh":
        text = f"{title}：{question}{sentence}"
        askings = [
            Asking("faq", DIRECT, f"关于{title}：{question}", answer),
            Asking("faq", TITLED, f"文章《{title}》中：{question}", answer),
            Asking("faq", EMBEDDED, f"有人问起{title}：{question}", answer),
            Asking("faq", INDIRECT, f"我想问一个关于{title}的问题，{question}", answer),
        ]
    else:
        askings = [
            Asking("faq", DIRECT, f"{title}: {question}", answer),
            Asking("faq", TITLED, f'In the article "{title}": {question}', answer),
            Asking("faq", EMBEDDED, f"Somebody asks about {title}. {question}", answer),
            Asking("faq", INDIRECT, f"I have a question that concerns {title}. {question}", answer),
        ]
    return Statement(text, sentence, at, (*askings, Asking("text", TEXT, "", text)))
