"""The writer that asks a chat model, all its requests in one window, those of begun passages first.

    passage ──▶ outline (theme, roles) ──▶ facts ──▶ questions about every fact
        └─────▶ rewrites

What is missing is asked for again: the facts of sentences that have none, questions until there are enough of them.
"""

import asyncio
import math
import time
from collections.abc import AsyncGenerator, Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from knowledge_update.chat_models.calls import Calls
from knowledge_update.chat_models.protocol import Malformed, Refused, Reply, Request
from knowledge_update.config import WriterConfig
from knowledge_update.documents.blocks import Document
from knowledge_update.documents.chunking import Passage, sentences
from knowledge_update.ledger import content_id
from knowledge_update.writing.checks import NEAR_DUPLICATE, similarity, words
from knowledge_update.writing.prompted import parsing
from knowledge_update.writing.prompted.grounding import Span, placed, why_no_fact, why_no_pair, why_no_rewrite
from knowledge_update.writing.prompted.parsing import Pair, Parsed, facts_of, outline_of, questions_of, skipped, text_of
from knowledge_update.writing.prompted.prompts import Prompts
from knowledge_update.writing.prompted.upcoming import Upcoming
from knowledge_update.writing.statements import (
    ABOUT,
    CONVERSE,
    DIRECT,
    INDIRECT,
    TEXT,
    Asking,
    Part,
    Rewrite,
    Statement,
    Unused,
)

Written = list[tuple[Passage, Part]]
# One question of every fact is kept for the exam. The first time more are asked for, because some fail the checks.
_EXAM, _SPARE = 1, 2
_OUTLINE, _FACTS, _PAIRS = 0, 1, 2
# The last passages, so many windows full of them, are all begun at once: a chain of calls that begins last ends last.
# Eight windows end as early as if all passages had been begun at once (benchmarks/LOG.md).
_ENDING = 8
# From a passage's task to its request's there are so many, each begun a turn of the loop later.
_TASKS = 4
# A sentence of fewer words states nothing that anybody would ask about.
_LEAST_WORDS = 5


@dataclass(frozen=True)
class _Source:
    """A passage to write about, and what is known of it."""

    document: Document
    passage: Passage
    prompts: Prompts
    theme: str = ""
    roles: tuple[str, ...] = ()

    @property
    def known(self) -> str:
        return f"{self.document.title}\n{self.passage.row.heading_path}\n{self.passage.row.text}"


@dataclass
class _Facts:
    """The facts found in a passage so far, and where their quotes stand."""

    spans: dict[str, Span] = field(default_factory=dict)

    def uncovered(self, passage: Passage) -> list[str]:
        """The sentences in which no fact has its quote."""
        found = []
        for block, offset in passage.blocks:
            for text, start in sentences(block.text) if block.kind != "heading" else ():
                at = offset + start
                covered = any(span.start < at + len(text.rstrip()) and at < span.end for span in self.spans.values())
                if not covered and len(words(text)) >= _LEAST_WORDS:
                    found.append(text.strip())
        return found


class Writer:
    """Writes documents.

    Args:
        calls: Who answers, and the places for requests.
        prompts: By language.
        config: How many questions, roles and rewrites; its temperature is not that of facts, they are taken at 0.
    """

    def __init__(self, calls: Calls, prompts: dict[str, Prompts], config: WriterConfig) -> None:
        self.calls, self.prompts, self.config = calls, prompts, config
        self.facts = self.questions = 0
        # Documents that are finished, and of the others the share of their passages.
        self.finished = 0.0
        self._until = math.inf if config.seconds is None else time.monotonic() + config.seconds

    async def write(
        self, documents: Iterable[tuple[Document, Sequence[Passage]]]
    ) -> AsyncGenerator[tuple[Document, Sequence[Passage], Written]]:
        """Yields each document as it is finished, its passages with their themes; begun passages are finished first."""
        done: asyncio.Queue[Any] = asyncio.Queue()
        feeder = asyncio.create_task(self._feed(documents, done))
        try:
            while (finished := await done.get()) is not None:
                if isinstance(finished, BaseException):
                    raise finished
                yield finished
        finally:
            feeder.cancel()
            await asyncio.gather(feeder, return_exceptions=True)

    async def _feed(self, documents: Iterable[tuple[Document, Sequence[Passage]]], done: asyncio.Queue[Any]) -> None:
        window = self.calls.window
        ahead = _ENDING * window.most
        upcoming = Upcoming(documents, ahead)
        try:
            async with asyncio.TaskGroup() as group:
                for document, passages in upcoming:
                    tasks = []
                    self.finished += not passages
                    for number, passage in enumerate(passages):
                        if upcoming.passages + len(passages) - number > ahead:
                            await window.room()
                        else:
                            window.ending()
                        tasks.append(group.create_task(self._passage(document, passage)))
                        tasks[-1].add_done_callback(partial(self._finish, 1 / len(passages)))
                        # Lets the passage take its places before room is looked for again.
                        for _ in range(_TASKS):
                            await asyncio.sleep(0)
                    group.create_task(_collected(document, tasks, done))
            await done.put(None)
        except BaseExceptionGroup as failures:
            await done.put(_first(failures))

    @property
    def _late(self) -> bool:
        """Whether no more is asked for that only adds variants: other questions, other facts of a passage, rewrites."""
        return time.monotonic() > self._until

    def _finish(self, share: float, passage: asyncio.Task[Any]) -> None:
        self.finished += share

    async def _passage(self, document: Document, passage: Passage) -> tuple[Passage, list[Part]]:
        source = _Source(document, passage, self.prompts[document.language])
        count = 0 if self._late else self.config.rewrites_per_passage
        genres = _turned(source.prompts.genres, passage.row.id)[:count]
        rewrites = asyncio.gather(*(self._rewrite(source, genre) for genre in genres))
        (theme, written), rewritten = await asyncio.gather(self._themed(source), rewrites)
        themed = replace(passage, row=replace(passage.row, theme=theme))
        return themed, [*written, *rewritten]

    async def _themed(self, source: _Source) -> tuple[str, list[Part]]:
        """The theme of a passage, and what was written with it in mind."""
        outlined, lost = await self._outline(source)
        return outlined.theme, [*lost, *await self._facts(outlined)]

    async def _outline(self, source: _Source) -> tuple[_Source, list[Part]]:
        """The theme and the roles: the document's title and the general roles where the model names none."""
        count = self.config.roles_per_fact
        prompts, title = source.prompts, source.document.title
        usual = _turned(prompts.roles, source.passage.row.id)[: max(1, count)]
        if not count:
            return replace(source, theme=title, roles=usual), []
        reply = await self._reply(prompts.outline(source.document, source.passage, count), _OUTLINE)
        if isinstance(reply, Unused):
            return replace(source, theme=title, roles=usual), [reply]
        outline = outline_of(reply.text)
        lost: list[Part] = [Unused(f"outline of {title}", reason) for reason in outline.lost]
        return replace(source, theme=outline.theme or title, roles=(outline.roles or usual)[:count]), lost

    async def _facts(self, source: _Source) -> list[Part]:
        """The facts of a passage with their questions; sentences that brought none are asked about once more."""
        found, parts = _Facts(), list[Part]()
        request = source.prompts.facts(source.document, source.passage, source.theme)
        async with asyncio.TaskGroup() as group:
            statements = []
            for _ in range(self.config.rounds):
                said = await self._read(source, request, _FACTS, facts_of)
                parts.extend(Unused(source.passage.row.text[:80], reason) for reason in said.lost)
                new, unused = _sorted_out(said.pairs, source, found)
                parts.extend(unused)
                self.facts += len(new)
                statements += [group.create_task(self._statement(source, fact, found.spans[fact])) for fact in new]
                rest = found.uncovered(source.passage)
                if not rest or not new or self._late:
                    break
                request = source.prompts.rest(source.document, source.passage, rest)
        return [*parts, *(part for task in statements for part in task.result())]

    async def _statement(self, source: _Source, fact: str, span: Span) -> list[Part]:
        """A fact with its questions, asked for until there are enough or no new ones come."""
        quote = source.passage.row.text[span.start : span.end]
        wanted = self.config.wordings_per_fact + _EXAM
        arguments = source.document, source.passage, fact, source.roles
        first = request = source.prompts.pairs(*arguments, wanted + _SPARE, self.config.temperature)
        good: list[Pair] = []
        unused: list[Part] = []
        for _ in range(self.config.rounds):
            said = await self._read(source, request, _PAIRS, questions_of)
            unused.extend(Unused(fact, reason) for reason in said.lost)
            before = len(good)
            for pair in said.pairs:
                reason = _why_not(pair, fact, quote, good)
                if reason:
                    unused.append(Unused(pair.first, reason))
                else:
                    good.append(pair)
            if len(good) >= wanted or len(good) == before or self._late:
                break
            request = source.prompts.again(first, [pair.first for pair in good], wanted - len(good))
        if len(good) < wanted:
            unused.append(Unused(fact, f"has {len(good)} of {wanted} questions"))
        self.questions += len(good)
        return [Statement(fact, quote, span.start, _askings(fact, good, source.roles)), *unused]

    async def _rewrite(self, source: _Source, genre: str) -> Part:
        request = source.prompts.rewrite(source.document, source.passage, genre, self.config.temperature)
        reply = await self._reply(request, _PAIRS)
        if isinstance(reply, Unused):
            return reply
        text, lost = text_of(reply.text)
        cut = "was cut off" if reply.cut else ""
        reason = "".join(lost[:1]) or cut or why_no_rewrite(text, source.passage.row.text, source.known)
        return Unused(source.passage.row.text[:80], f"as {genre}: {reason}") if reason else Rewrite(genre, text)

    async def _read(self, source: _Source, request: Request, depth: int, read: Callable[[str], Parsed]) -> Parsed:
        """Asks, reads the answer, and has it repaired once where nothing in it can be read."""
        reply = await self._reply(request, depth)
        if isinstance(reply, Unused):
            return Parsed((), (reply.reason,))
        parsed = _parsed(reply, read)
        if parsed.pairs or not parsed.lost or reply.cut or skipped(reply.text):
            return parsed
        repaired = await self._reply(source.prompts.repair(request, reply.text, parsed.lost[0]), depth)
        if isinstance(repaired, Unused):
            return Parsed((), (*parsed.lost, repaired.reason))
        again = _parsed(repaired, read)
        return again if again.pairs else Parsed((), (*parsed.lost, *again.lost))

    async def _reply(self, request: Request, depth: int) -> Reply | Unused:
        """Asks; a request that gets no answer is a loss with its reason."""
        try:
            return await self.calls.ask(request, depth)
        except (Refused, Malformed) as error:
            return Unused(request.messages[-1][1][-80:], f"no answer: {error}")


async def _collected(
    document: Document, tasks: Sequence[asyncio.Task[tuple[Passage, list[Part]]]], done: asyncio.Queue[Any]
) -> None:
    written = await asyncio.gather(*tasks)
    parts = [(passage, part) for passage, found in written for part in found]
    await done.put((document, [passage for passage, _ in written], parts))


def _first(failures: BaseExceptionGroup[BaseException]) -> BaseException:
    """The failure that a group of failures began with."""
    found = failures.exceptions[0]
    return _first(found) if isinstance(found, BaseExceptionGroup) else found


def _turned(items: Sequence[str], identity: str) -> tuple[str, ...]:
    """The items from one that an identity points at: passages of one document do not all begin with the first."""
    start = int(identity[:8], 16) % max(1, len(items))
    return (*items[start:], *items[:start])


def _parsed(reply: Reply, read: Callable[[str], Parsed]) -> Parsed:
    if reply.text.strip() == "[]":
        return Parsed((), ())
    parsed = read(reply.text)
    return Parsed(parsed.pairs, (*parsed.lost, "the answer was cut off")) if reply.cut else parsed


def _sorted_out(pairs: Iterable[Pair], source: _Source, found: _Facts) -> tuple[list[str], list[Part]]:
    """Adds to the facts those that are good; returns them, and the others with their reasons."""
    new: list[str] = []
    unused: list[Part] = []
    for pair in pairs:
        span = placed(pair.second, source.passage.row.text)
        reason = why_no_fact(pair.first, source.known) if span else "its quote is not in the passage"
        if any(similarity(pair.first, other) >= NEAR_DUPLICATE for other in found.spans):
            reason = "says what another fact says"
        if span is None or reason:
            unused.append(Unused(pair.first, reason))
        else:
            found.spans[pair.first] = span
            new.append(pair.first)
    return new, unused


def _why_not(pair: Pair, fact: str, quote: str, good: Sequence[Pair]) -> str:
    if any(similarity(pair.first, other.first) >= NEAR_DUPLICATE for other in good):
        return "asked before"
    return why_no_pair(pair, fact, quote)


def _askings(fact: str, pairs: Sequence[Pair], roles: Sequence[str]) -> tuple[Asking, ...]:
    """The questions, one of them for the exam: one whose answer is asked for in other words too, where there is one."""
    short = [pair for pair in pairs if pair.form != parsing.SENTENCE]
    answers = [pair.second.lower() for pair in short]
    shared = [pair for pair, answer in zip(short, answers, strict=True) if answers.count(answer) > 1]
    exam = max(shared or short, key=lambda pair: content_id(pair.first)) if len(short) > 1 else None
    wordings = {parsing.SENTENCE: ABOUT, parsing.REVERSED: CONVERSE}
    askings = [
        Asking(
            pair.form if pair.form in wordings else "question",
            INDIRECT if pair is exam else wordings.get(pair.form, DIRECT),
            pair.first,
            pair.second,
            pair.second.lower(),
            pair.role if pair.role in roles else "",
        )
        for pair in pairs
    ]
    return (*askings, Asking("text", TEXT, "", fact))
