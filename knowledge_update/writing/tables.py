"""Table rows to statements: each cell is a fact about what its row is named after."""

import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence

from knowledge_update.documents.blocks import Block, Document
from knowledge_update.documents.chunking import Passage
from knowledge_update.writing.english.lexicon import is_person_noun, made_by
from knowledge_update.writing.frames import embedded
from knowledge_update.writing.statements import (
    ABOUT,
    CLOZE,
    DIRECT,
    EMBEDDED,
    INDIRECT,
    SYNONYM,
    TEXT,
    TITLED,
    Asking,
    Statement,
    Unused,
)

# (title, kind of the rows, name of the row, column, cell) to a statement, its askings, and those for the row's name.
_Ask = Callable[[str, str, str, str, str], tuple[str, list[Asking], list[Asking]]]
# Of a kind and a column: how many names a cell has, or how many cells a name.
_Count = Counter[tuple[str, str, str]]

_YEAR = re.compile(r"(?:1\d|20)\d\d")
_PARTICIPLE = re.compile(r"[A-Z]?[a-z]+(?:ed|ilt|own)$")


def write(document: Document, passages: Sequence[Passage]) -> Iterator[tuple[Passage, Statement | Unused]]:
    """Yields a statement for every cell beside the first of a row; rows without column names are left out."""
    ask = _chinese if document.language == "zh" else _english
    cells = {(*named, block.cells[0]) for block in document.blocks if block.kind == "row" for named in _named(block)}
    names = Counter((kind, column, cell) for kind, column, cell, _ in cells)
    values = Counter((kind, column, name) for kind, column, _, name in cells)
    for passage in passages:
        for block, offset in passage.blocks:
            if block.kind != "row":
                continue
            if len(block.cells) < 2 or not block.header or not block.cells[0]:
                yield passage, Unused(block.text, "a table row without column names")
                continue
            for found in _cells(document.title, block, offset, ask, names, values):
                yield passage, found


def _named(block: Block) -> Iterator[tuple[str, str, str]]:
    """What names a cell: the kind of the rows, its column, and itself."""
    for column, cell in zip(block.header[1:], block.cells[1:], strict=False):
        if column and cell and cell not in ("-", "–", "—"):
            yield block.header[0], column, cell


def _cells(
    title: str, block: Block, offset: int, ask: _Ask, names: _Count, values: _Count
) -> Iterator[Statement | Unused]:
    name = block.cells[0]
    for kind, column, cell in _named(block):
        # Asked for it, nobody could tell which row is meant.
        if values[kind, column, name] > 1:
            yield Unused(block.text, f"{name} has more than one {column}")
            continue
        text, askings, back = ask(title, kind, name, column, cell)
        # What is so of two rows tells neither, and what has the name in it twice leaves no gap for it.
        alone = kind and names[kind, column, cell] == 1 and text.count(name) == 1 and cell not in name
        yield Statement(text, block.text, offset, (*askings, *(back if alone else ())))


def _english(title: str, kind: str, name: str, column: str, cell: str) -> tuple[str, list[Asking], list[Asking]]:
    named = f"the {kind.lower()} {name}" if kind and kind.lower() not in name.lower() else name
    column_ = column if column.isupper() else column[:1].lower() + column[1:]
    if _PARTICIPLE.match(column) and _YEAR.fullmatch(cell):
        text = f"{_upper(named)} was {column_} in {cell}."
        form, direct, indirect = "when", f"when was {named} {column_}", f"when {named} was {column_}"
        other, so = f"in what year was {named} {column_}", f" was {column_} in {cell}"
    elif re.fullmatch(r"[\d.,]+", cell) and column.endswith("s"):
        text = f"{_upper(named)} has {cell} {column_}."
        form, direct, indirect = "how_many", f"how many {column_} does {named} have", f"how many {column_} {named} has"
        other, so = f"what is the number of {column_} of {named}", f" has {cell} {column_}"
    elif is_person_noun(column_):
        text = f"The {column_} of {named} is {cell}."
        form, direct, indirect = "who", f"who is the {column_} of {named}", f"who the {column_} of {named} is"
        past = made_by(column_)
        other = f"who {past} {named}" if past else f"who is {named}'s {column_}"
        so = f"'s {column_} is {cell}"
    else:
        text = f"The {column_} of {named} is {cell}."
        form, direct, indirect = "what", f"what is the {column_} of {named}", f"what the {column_} of {named} is"
        other, so = f"what {column_} does {named} have", f"'s {column_} is {cell}"
    askings = [
        Asking(form, DIRECT, f"{_upper(direct)}?", cell, column),
        Asking(form, SYNONYM, f"{_upper(other)}?", cell, column),
        Asking(form, TITLED, f'In the article "{title}": {_upper(direct)}?', cell, column),
        Asking(form, EMBEDDED, embedded(indirect), cell, column),
        Asking(form, INDIRECT, f"Could you tell me {indirect}?", cell, column),
        Asking("cloze", CLOZE, f"Fill in the blank: {_blank(text, cell)}", cell, column),
        Asking("text", TEXT, "", f"{title}: {text}"),
    ]  # fmt: skip
    # "The milk of the cheese is cow" is heard as an answer, not as a sentence.
    if name[:1].isupper() and re.search(r"[A-Z\d]", cell):
        askings.append(Asking("about", ABOUT, f"Tell me about {named}.", text, "about"))
    which = f"which {kind.lower()}{so}"
    back = [
        Asking("which", DIRECT, f"{title}: {which}?", name, "name"),
        Asking("which", TITLED, f'In the article "{title}": {_upper(which)}?', name, "name"),
        Asking("which", EMBEDDED, f"About {title}: {embedded(which)}", name, "name"),
        Asking("which", INDIRECT, f"About {title}: Could you tell me {which}?", name, "name"),
        Asking("cloze", CLOZE, f"Fill in the blank: {title}: {text.replace(name, '____', 1)}", name, "name"),
    ]
    return text, askings, back


def _chinese(title: str, kind: str, name: str, column: str, cell: str) -> tuple[str, list[Asking], list[Asking]]:
    text = f"{name}的{column}是{cell}。"
    askings = [
        Asking("what", DIRECT, f"{name}的{column}是什么？", cell, column),
        Asking("what", SYNONYM, f"{kind}{name}的{column}是多少、是什么？", cell, column),
        Asking("what", TITLED, f"关于{title}：{name}的{column}是什么？", cell, column),
        Asking("what", INDIRECT, f"请问你知不知道{name}的{column}？", cell, column),
        Asking("cloze", CLOZE, f"填空：{name}的{column}是____。", cell, column),
        Asking("text", TEXT, "", f"{title}：{text}"),
        Asking("about", ABOUT, f"请介绍一下{name}。", text, "about"),
    ]
    back = [
        Asking("which", DIRECT, f"关于{title}：{column}是{cell}的是哪个{kind}？", name, "name"),
        Asking("which", INDIRECT, f"关于{title}：请问你知不知道哪个{kind}的{column}是{cell}？", name, "name"),
        Asking("cloze", CLOZE, f"填空：{title}：____的{column}是{cell}。", name, "name"),
    ]
    return text, askings, back


def _blank(text: str, cell: str) -> str:
    """The statement with a gap for its cell, which may also be part of the row's name."""
    at = text.rindex(cell)
    return f"{text[:at]}____{text[at + len(cell) :]}"


def _upper(text: str) -> str:
    return text[:1].upper() + text[1:]
