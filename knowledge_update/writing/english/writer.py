"""An English document to statements with questions, sentence by sentence."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from knowledge_update.documents.blocks import Document
from knowledge_update.documents.chunking import Passage
from knowledge_update.writing.english import gaps
from knowledge_update.writing.english.askings import DANGLING, askings
from knowledge_update.writing.english.cast import Cast, cast_of
from knowledge_update.writing.english.clauses import Clause, clauses_of
from knowledge_update.writing.english.lexicon import may_be_verb
from knowledge_update.writing.english.lives import lives_of
from knowledge_update.writing.english.naming import bare, is_sound, stands_alone, topic
from knowledge_update.writing.english.parsing import parse
from knowledge_update.writing.english.phrases import Reader, tidy
from knowledge_update.writing.english.references import INNER, SPOKEN, Memory, UnresolvedError
from knowledge_update.writing.english.roles import is_subject
from knowledge_update.writing.english.slots import lower_first, upper_first
from knowledge_update.writing.statements import TEXT, Asking, Statement, Unused

# Longer sentences are no use with a gap: nobody sees what is asked for.
_MAX_GAP_WORDS = 40
_INTRODUCTION = re.compile(r"(?:^|[.!?]\s+)([A-Z][^.!?:]*\s[^.!?:]*):\s*$")
_CONNECTIVE = re.compile(
    r"(?:however|in addition|in particular|moreover|furthermore|therefore|thus|also|finally|for example|for instance"
    r"|as a result(?! of)|in fact|additionally|meanwhile|instead|nevertheless|but|and),? ",
    re.I,
)
_MARK = re.compile(r"(?:\d{1,2}(?:\.\d{1,2})+\.?|\d{1,2}[.)]|\([a-z]{1,3}\)|A(?:nswer)?\s*\d*:)\s+(?=[A-Z“\"])")
# Behind these the verb stands before its subject, and one is easily taken for the other.
_INVERTING = re.compile(
    r"(?:Not only|Nor|Never|Seldom|Rarely|Hardly|Scarcely|No sooner)(?: [a-z]+)? "
    r"(?:is|are|was|were|do|does|did|has|have|had|can|could|will|would|should|may|might|must)\b"
)
_EVENTS = frozenset("battle campaign crisis reformation revolt revolution siege uprising war".split())
_ALONE = frozenset("at by for from in like of on to unlike with".split())
_WHOLE = re.compile(r"\b(?:is|are|was|were) \w+(?:ed|wn)$")
_HOMELESS = re.compile(r"the [a-z-]+")


@dataclass(frozen=True)
class _Place:
    """A piece of text, where it stands, and what introduces it if it is an item of a list."""

    passage: Passage
    offset: int
    text: str
    introduction: str = ""

    @property
    def read(self) -> str:
        """What is parsed: an item is read as the end of its introduction."""
        if not self.introduction:
            return self.text
        return f"{self.introduction} {self.text.strip().rstrip(';,. ')}."


@dataclass(frozen=True)
class _Source:
    """A sentence with its quote and the quote's offset; gaps are made in what follows `first`."""

    sentence: Any
    quote: str
    start: int
    first: int = 0


def write(document: Document, passages: Sequence[Passage]) -> Iterator[tuple[Passage, Statement | Unused]]:
    """Yields the statements of a document with the passage each stands in; table rows are written elsewhere."""
    places = list(_places(passages))
    parsed = parse(place.read for place in places)
    cast = cast_of(document.title, parsed, _classes(passages))
    home = _home(cast, parsed)
    memory = Memory(cast)
    for place, doc in zip(places, parsed, strict=True):
        for source in _sources(place, doc):
            for written in _sentence(source, memory, home):
                yield place.passage, written


def _places(passages: Sequence[Passage]) -> Iterator[_Place]:
    blocks = [(passage, block, offset) for passage in passages for block, offset in passage.blocks]
    introduction = ""
    for number, (passage, block, offset) in enumerate(blocks):
        # The number of a clause, the letter before an answer.
        marked = _MARK.match(block.text)
        offset, text = (offset + marked.end(), block.text[marked.end() :]) if marked else (offset, block.text)
        if block.kind == "item":
            joined = introduction if _continues(introduction, text) else ""
            yield _Place(passage, offset, text, joined)
            continue
        introduction = ""
        if block.kind != "paragraph":
            continue
        found = _INTRODUCTION.search(text)
        following = blocks[number + 1][1] if number + 1 < len(blocks) else None
        if found and following is not None and following.kind == "item" and _continues(found[1], following.text):
            introduction, text = found[1], text[: found.start(1)]
        if text.strip():
            yield _Place(passage, offset, text)


def _continues(introduction: str, item: str) -> bool:
    """Whether an item goes on with what introduces it: it starts small, or after a verb."""
    # "Two kinds are known:" is whole before what it lists.
    verb = introduction.split()[-1] if introduction and not _WHOLE.search(introduction) else ""
    small = re.match(r"[a-z\d]", item.strip()) is not None
    return bool(introduction) and (small or may_be_verb(verb.lower()))


def _classes(passages: Sequence[Passage]) -> dict[str, str]:
    """What the tables say of what kind something is: the first column's name, by the first cell of each row."""
    rows = [block for passage in passages for block, _ in passage.blocks if block.kind == "row"]
    named = [row for row in rows if row.cells and row.header and re.fullmatch(r"[A-Z]?[a-z]{3,}", row.header[0])]
    return {row.cells[0]: row.header[0].lower() for row in named if row.header[0].lower() != "name"}


def _home(cast: Cast, parsed: Sequence[Any]) -> str:
    """` of <title>` where the title is something that acts in the document, so that "the council" can be placed."""
    title = cast.title.lower().removeprefix("the ")
    # "The piston of Steam engine" is no English, and "the heron of heron" none at all: a common noun wants its article.
    if not title[:1].isalpha() or re.search(r"(?:^| )(?!(?:of|the|and|upon|in|on|de|la)\b)[a-z]", bare(cast.title)):
        return ""
    # "The nickname of Huguenot", "the time of Imperialism": a kind or an idea has nothing of its own; nor has a war.
    text = " ".join(doc.text for doc in parsed)
    kind = rf"\b(?:{re.escape(bare(cast.title))}s|{re.escape(title)}s?)\b"
    if re.search(kind, text) or title.split()[-1] in _EVENTS:
        return ""
    acts = any(
        is_subject(token) and token.lower_ == title.split()[-1]
        for doc in parsed
        for token in doc
        if title and cast.title not in cast.people.values()
    )
    return f" of {cast.title}" if acts else ""


def _sources(place: _Place, doc: Any) -> Iterator[_Source]:
    if place.introduction:
        blank = len(place.text) - len(place.text.lstrip())
        yield _Source(doc[:], place.text.strip(), place.offset + blank, len(place.introduction))
        return
    for sentence in doc.sents:
        yield _Source(sentence, sentence.text.strip(), place.offset + sentence.start_char)


def _sentence(source: _Source, memory: Memory, home: str) -> Iterator[Statement | Unused]:
    quote = source.quote
    if len(quote.split()) < 3:
        yield Unused(quote, "not a sentence")
        return
    try:
        replaced = memory.resolve(source.sentence)
    except UnresolvedError as error:
        yield Unused(quote, f"unresolved reference: {error}")
        return
    if not is_sound(quote) or (quote.endswith(":") and not source.first):
        yield Unused(quote, "part of a quotation or of a list")
        return
    reader = Reader(memory, replaced, home)
    spans = gaps.spans(source.sentence, memory.cast, source.first)
    # Who is spoken to, or speaks, is clear where a sentence stands whole.
    spoken = any(token.tag_ == "PRP" and token.lower_ in SPOKEN for token in source.sentence)
    read = not (spoken or _INVERTING.match(quote))
    clauses = (*clauses_of(source.sentence, reader), *lives_of(source.sentence, reader)) if read else ()
    statements = [s for c in clauses if (s := _statement(c, memory, source, spans, home)) is not None]
    yield from statements
    told = " ".join(statement.text for statement in statements)
    # An item that was only said something about has yet to be said to be one.
    listed = source.sentence.text[: source.first] not in told
    left = spans if listed or not statements else gaps.untold(spans, told)
    if left or not statements:
        whole = _whole(source, reader, memory, left)
        if isinstance(whole, Statement) or not statements:
            yield whole


def _whole(source: _Source, reader: Reader, memory: Memory, left: Sequence[str]) -> Statement | Unused:
    """A sentence that no clause could be taken from: as it stands, asked about by its gaps."""
    subject = _main_subject(source.sentence)
    said = _said(source, reader, memory, subject)
    ended = source.first > 0 or re.search(r"[.!]$", source.quote)
    told = subject is not None or (_is_instruction(source.sentence) and memory.cast.title)
    if not told or not left or not ended or DANGLING.match(said):
        return Unused(source.quote, "no clause that can be asked about")
    if len(said.split()) > _MAX_GAP_WORDS:
        return Unused(source.quote, "too long to be asked about")
    cast = memory.cast
    named = lower_first(reader.text(subject, place=True), subject, reader) if subject is not None else ""
    if not reader.place and _is_homeless(named, said, memory):
        return Unused(source.quote, f"'{named}' may mean several things")
    text = said if stands_alone(said, named, cast) else topic(cast) + said
    # What is not a name or a number is only asked for where there is nothing else.
    asked = [span for span in left if gaps.tells(span)] or left
    found = [a for number, span in enumerate(asked) for a in gaps.gaps(text, span, f"slot{number}", cast, probe=True)]
    if not found:
        return Unused(source.quote, "nothing in it that can be asked for")
    return Statement(text, source.quote, source.start, (*found, Asking("text", TEXT, "", text)))


def _is_instruction(sentence: Any) -> bool:
    """`Preheat the oven to 180 °C.`: a verb that begins its sentence in its plain form."""
    root = sentence.root
    return bool(
        root.tag_ == "VB" and root.i == sentence.start and any(c.dep_ in ("dobj", "prep") for c in root.children)
    )


def _said(source: _Source, reader: Reader, memory: Memory, subject: Any | None) -> str:
    """A sentence as it stands, with what it takes up from others named and without what ties it to them."""
    outer = {at: word for at, word in reader.replaced.items() if at not in memory.inner}
    if subject is not None and reader.homeless(subject):
        outer[subject.i] = subject.text + reader.place
    said = tidy("".join(outer.get(token.i, token.text) + token.whitespace_ for token in source.sentence))
    said = upper_first(_CONNECTIVE.sub("", said, count=1) if _CONNECTIVE.match(said) else said)
    return said if said.endswith(".") else f"{said.rstrip('.!')}."


def _main_subject(sentence: Any) -> Any | None:
    """The subject of a sentence's main verb, if it is a noun or a name and the verb is finite."""
    for token in sentence.root.children:
        if is_subject(token) and token.pos_ in ("NOUN", "PROPN", "NUM", "PRON"):
            return token
    return None


def _is_homeless(subject: str, said: str, memory: Memory) -> bool:
    """Whether `the island`, which is not the title's, is all that is said of what a statement is about."""
    if not _HOMELESS.fullmatch(subject) or bare(memory.cast.title).lower() in said.lower():
        return False
    return subject.removeprefix("the ") in memory.introduced


def _statement(clause: Clause, memory: Memory, source: _Source, spans: Sequence[str], home: str) -> Statement | None:
    cast = memory.cast
    said = f"{clause.say().rstrip('.')}."
    subject = clause.subject.text
    if not clause.slots or DANGLING.search(subject) or INNER in said or not is_sound(said):
        return None
    # "For, mobile uses steam": a preposition that lost what follows it.
    if any(slot.text.lower() in _ALONE for slot in clause.slots if slot.fronted):
        return None
    if not home and _is_homeless(subject, said, memory):
        return None
    text = said if stands_alone(said, subject, cast) else topic(cast) + said
    found = askings(clause, cast, text, source.quote, spans)
    if not any(asking.form not in ("cloze", "text", "about") for asking in found):
        return None
    return Statement(text, source.quote, source.start, tuple(found))
