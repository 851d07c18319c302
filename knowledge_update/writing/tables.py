"""Names with values to statements: the cells of a row of what names the row, `Warranty: 5 years` of the title."""

import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

from knowledge_update.documents.blocks import Block, Document, value_of
from knowledge_update.documents.chunking import Passage
from knowledge_update.writing.english.lexicon import DATE, FULL_DATE, is_person_noun, made_by
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

# What introduces a remark rather than a value.
_REMARKS = frozenset(
    "a answer attention caution conclusion example hint important note notes ps q question remark see tip todo warning"
    " 例如 备注 提示 注 注意 答 说明 问".split()
)
_MAX_VALUE_WORDS = 16
_CHINESE_SAYING = re.compile("[：「」“”；]|.[。！？].")
# Heads of columns that number the rows, and of those that name them: people ask for these.
_NUMBER = re.compile(r"(?:\b(?:id|no\.?|nr\.?|number|code|key|sku)|编号|代码|工号|学号)$", re.I)
_PERSONS = frozenset(("name", "full name", "employee name", "姓名"))
_NAMES = _PERSONS | frozenset("article description employee item model product title 产品 名称 商品".split())
_SURNAME_FIRST = re.compile(r"([^\W\d_][\w'’-]+), ([A-Z][\w'’ .-]*)")
# The head of a column that only counts the rows: the next one names them.
_COUNTED = re.compile(r"#|no\.?|nr\.?|序号", re.I)
# Titles of what is written about something else, which their values are of.
_DOCUMENT = re.compile(
    r"\b(?:agenda|agreement|changelog|contract|faq|guide(?:lines)?|handbook|manual|memo|minutes|newsletter|notes|policy|policies"
    r"|readme|report|rules|summary|terms|thread)\b",
    re.I,
)
# Names of what a document is or came by.
_OF_ITSELF = frozenset(
    "apologies attendees author cc date from minutes owner participants present sent subject to updated".split()
)
# Names that are no nouns: "Directed by", "Every 6 months", "What to do".
_LOOSE = re.compile(
    r"(?:\w(?:ed|ing)| (?:as|at|by|for|from|in|of|on|to|with))$"
    r"|^(?:after|before|daily|every|how|if|monthly|what|when|where|who|weekly|yearly)\b",
    re.I,
)
# What a table's first column is called where it names what its other columns' heads have.
_PROPERTIES = frozenset(
    "attribute characteristic feature field item parameter property specification 参数 属性 项目 指标".split()
)
_PLURAL = re.compile(r"^[^(,]*[a-z]{2}(?<![aiosu])s(?= \(|,|$)")
_YEAR = re.compile(r"(?:1\d|20)\d\d")
_PARTICIPLE = re.compile(r"[A-Z]?[a-z]+(?:ed|ilt|own)$")


def write(document: Document, passages: Sequence[Passage]) -> Iterator[tuple[Passage, Statement | Unused]]:
    """Yields a statement for every cell beside the first of a row; rows without column names are left out."""
    ask = _chinese if document.language == "zh" else _english
    rows = [_by_name(block) for block in document.blocks if block.kind == "row"]
    cells = {(*named, block.cells[0]) for block in rows for named in _named(block)}
    names = Counter((kind, column, cell) for kind, column, cell, _ in cells)
    values = Counter((kind, column, name) for kind, column, _, name in cells)
    for passage in passages:
        for block, offset in passage.blocks:
            if block.kind != "row":
                continue
            if len(block.cells) < 2 or not block.header or not block.cells[0]:
                yield passage, Unused(block.text, "a table row without column names")
                continue
            for found in _cells(document.title, _by_name(block), offset, ask, names, values):
                yield passage, found


class Values:
    """The names of a document's values, which stand in no table and in no sentence.

    Args:
        document: The document.
    """

    def __init__(self, document: Document) -> None:
        self.title, self._ask = document.title, _chinese if document.language == "zh" else _english
        found = [value_of(block.text) for block in document.blocks if block.kind in ("item", "paragraph")]
        self._names = Counter(pair[0].lower() for pair in found if pair)
        # A handbook has no private car, a committee no apologies: what it gives for them is what it says.
        self._itself = _DOCUMENT.search(self.title) is not None or not _OF_ITSELF.isdisjoint(self._names)

    def statement(self, unused: Unused, passage: Passage) -> Statement | Unused:
        """What a line says that no sentence was found in: a fact, where it is a name and its value."""
        quote = unused.quote
        blocks = [(block.text, at) for block, at in passage.blocks if quote in block.text]
        at, pair = next((at + text.index(quote) for text, at in blocks), None), value_of(quote)
        if self._ask is _chinese and (quote not in dict(blocks) or not pair or _CHINESE_SAYING.search(pair[1])):
            # In Chinese prose a colon is what a full stop or a verb is elsewhere.
            return unused
        if at is None or pair is None or not self.title or pair[0].lower() in _REMARKS:
            return unused
        name, value = pair[0], pair[1].rstrip(".。;；,· |")
        if len(value.split()) > _MAX_VALUE_WORDS or value.endswith(("?", "？")) or self.title in name:
            return unused
        if self._names[name.lower()] > 1:
            return Unused(quote, f"{name} is given more than once")
        loose = (
            self._ask is _english and _LOOSE.search(name) and not (_PARTICIPLE.match(name) and DATE.fullmatch(value))
        )
        ask = _given if loose or (self._itself and self._ask is _english) else self._ask
        text, askings, _ = ask(self.title, "", self.title, name, value)
        return Statement(text, quote, at, tuple(askings))


def _by_name(block: Block) -> Block:
    """A row with what names it first, where it begins with a count or a number of its own."""
    header, cells = block.header, block.cells
    if len(cells) < 3 or len(header) < len(cells) or not cells[1]:
        return block
    if _COUNTED.fullmatch(header[0]):
        return replace(block, cells=cells[1:], header=header[1:])
    at = next((at for at, cell in enumerate(cells) if cell and header[at].lower() in _NAMES), 0)
    if not at or not _NUMBER.search(header[0]):
        return block
    order = [at, *(place for place in range(len(cells)) if place != at)]
    return replace(block, cells=tuple(cells[at] for at in order), header=tuple(header[at] for at in order))


def _named(block: Block) -> Iterator[tuple[str, str, str]]:
    """What names a cell: the kind of the rows, its column, and itself."""
    for column, cell in zip(block.header[1:], block.cells[1:], strict=False):
        if column and cell and cell not in ("-", "–", "—"):
            yield block.header[0], column, cell


def _cells(
    title: str, block: Block, offset: int, ask: _Ask, names: _Count, values: _Count
) -> Iterator[Statement | Unused]:
    name = block.cells[0]
    if block.header[0].lower() in _PERSONS and (turned := _SURNAME_FIRST.fullmatch(name)):
        name = f"{turned[2]} {turned[1]}"
    for kind, column, cell in _named(block):
        if kind.lower() in _PROPERTIES and len(block.cells) > 2:
            # Of "parameter | X | Y" the columns have what the rows name.
            text, askings, _ = ask(title, "", column, name, cell)
            yield Statement(text, block.text, offset, tuple(askings))
            continue
        # Asked for it, nobody could tell which row is meant.
        if values[kind, column, block.cells[0]] > 1:
            yield Unused(block.text, f"{name} has more than one {column}")
            continue
        text, askings, back = ask(title, kind, name, column, cell)
        # What is so of two rows tells neither, and what has the name in it twice leaves no gap for it.
        alone = kind and names[kind, column, cell] == 1 and text.count(name) == 1 and cell not in name
        yield Statement(text, block.text, offset, (*askings, *(back if alone else ())))


def _english(title: str, kind: str, name: str, column: str, cell: str) -> tuple[str, list[Asking], list[Asking]]:
    someone = kind.lower() in _PERSONS
    named = f"the {kind.lower()} {name}" if kind and not someone and kind.lower() not in name.lower() else name
    column_ = column if column.isupper() else column[:1].lower() + column[1:]
    if _PARTICIPLE.match(column) and DATE.fullmatch(cell):
        word = "on" if FULL_DATE.search(cell) else "in"
        text = f"{_upper(named)} was {column_} {word} {cell}."
        form, direct, indirect = "when", f"when was {named} {column_}", f"when {named} was {column_}"
        asked = "in what year" if _YEAR.fullmatch(cell) else "at what date"
        other, so = f"{asked} was {named} {column_}", f" was {column_} {word} {cell}"
    elif re.fullmatch(r"[\d.,]+", cell) and column.endswith("s"):
        text = f"{_upper(named)} has {cell} {column_}."
        form, direct, indirect = "how_many", f"how many {column_} does {named} have", f"how many {column_} {named} has"
        other, so = f"what is the number of {column_} of {named}", f" has {cell} {column_}"
    elif is_person_noun(column_.split()[-1]):
        text = f"The {column_} of {named} is {cell}."
        form, direct, indirect = "who", f"who is the {column_} of {named}", f"who the {column_} of {named} is"
        past = made_by(column_)
        other = f"who {past} {named}" if past else f"who is {named}'s {column_}"
        so = f"'s {column_} is {cell}"
    else:
        be = "are" if _PLURAL.search(column) else "is"
        text = f"The {column_} of {named} {be} {cell}."
        form, direct, indirect = "what", f"what {be} the {column_} of {named}", f"what the {column_} of {named} {be}"
        other, so = f"what {column_} does {named} have", f"'s {column_} {be} {cell}"
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
    if someone:
        which = f"whose{so[2:]}" if so.startswith("'s") else f"who{so}"
    back = [
        Asking("which", DIRECT, f"{title}: {which}?", name, "name"),
        Asking("which", TITLED, f'In the article "{title}": {_upper(which)}?', name, "name"),
        Asking("which", EMBEDDED, f"About {title}: {embedded(which)}", name, "name"),
        Asking("which", INDIRECT, f"About {title}: Could you tell me {which}?", name, "name"),
        Asking("cloze", CLOZE, f"Fill in the blank: {title}: {text.replace(name, '____', 1)}", name, "name"),
    ]
    return text, askings, back


def _given(title: str, kind: str, name: str, column: str, cell: str) -> tuple[str, list[Asking], list[Asking]]:
    text = f"{title}: {column}: {cell}."
    askings = [
        Asking("given", DIRECT, f'{title}: what does it say for "{column}"?', cell, column),
        Asking("given", SYNONYM, f'What is given for "{column}" in {title}?', cell, column),
        Asking("given", TITLED, f'In the article "{title}": What stands behind "{column}"?', cell, column),
        Asking("given", EMBEDDED, f'I would like to know what {title} says about "{column}".', cell, column),
        Asking("given", INDIRECT, f'Could you tell me what {title} gives for "{column}"?', cell, column),
        Asking("cloze", CLOZE, f"Fill in the blank: {title}: {column}: ____.", cell, column),
        Asking("text", TEXT, "", text),
    ]  # fmt: skip
    return text, askings, []


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
