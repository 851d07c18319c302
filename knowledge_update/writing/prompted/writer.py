"""The writer that asks a chat model: facts of every passage, then questions about every fact, in one window."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterable, Sequence
from typing import Any

from knowledge_update.chat_models.calls import Calls
from knowledge_update.chat_models.protocol import Malformed, Refused, Request
from knowledge_update.documents.blocks import Document
from knowledge_update.documents.chunking import Passage
from knowledge_update.ledger import content_id
from knowledge_update.writing.checks import NEAR_DUPLICATE, similarity
from knowledge_update.writing.prompted.grounding import placed, why_no_fact, why_no_pair
from knowledge_update.writing.prompted.parsing import Pair, Parsed, facts_of, questions_of
from knowledge_update.writing.prompted.prompts import Prompts
from knowledge_update.writing.prompted.upcoming import Upcoming
from knowledge_update.writing.statements import DIRECT, INDIRECT, TEXT, Asking, Statement, Unused

Written = list[tuple[Passage, Statement | Unused]]
# Of its questions a fact keeps one for the exam; more are asked for than are trained, because some fail the checks.
_SPARE = 2
_FACTS, _PAIRS = 0, 1
# The last passages, so many windows full of them, are all begun at once: a chain of calls that begins last ends last.
# Eight windows end as early as if all passages had been begun at once (benchmarks/LOG.md).
_ENDING = 8


class Writer:
    """Writes documents.

    Args:
        calls: Who answers, and the places for requests.
        prompts: By language.
        wordings: How many questions about a fact.
        temperature: Of the questions; facts are taken at 0.
    """

    def __init__(self, calls: Calls, prompts: dict[str, Prompts], wordings: int, temperature: float) -> None:
        self.calls, self.prompts, self.wordings, self.temperature = calls, prompts, wordings, temperature

    async def write(
        self, documents: Iterable[tuple[Document, Sequence[Passage]]]
    ) -> AsyncGenerator[tuple[Document, Sequence[Passage], Written]]:
        """Yields each document as it is finished; begun passages are finished before others are begun."""
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
                    for number, passage in enumerate(passages):
                        if upcoming.passages + len(passages) - number > ahead:
                            await window.room()
                        else:
                            window.ending()
                        tasks.append(group.create_task(self._passage(document, passage)))
                        # Lets the passage take its place before room is looked for again.
                        await asyncio.sleep(0)
                    group.create_task(_collected(document, passages, tasks, done))
            await done.put(None)
        except BaseExceptionGroup as failures:
            await done.put(_first(failures))

    async def _passage(self, document: Document, passage: Passage) -> Written:
        prompts = self.prompts[document.language]
        said = await self._asked(prompts.facts(document, passage, 0.0), _FACTS, facts_of)
        written: Written = [(passage, Unused(passage.row.text[:80], reason)) for reason in said.lost]
        good: dict[str, tuple[Pair, int, int]] = {}
        known = f"{document.title}\n{passage.row.heading_path}\n{passage.row.text}"
        for pair in said.pairs:
            span = placed(pair.second, passage.row.text)
            reason = why_no_fact(pair.first, known) if span else "its quote is not in the passage"
            if any(similarity(pair.first, other) >= NEAR_DUPLICATE for other in good):
                reason = "says what another fact says"
            if span is None or reason:
                written.append((passage, Unused(pair.first, reason)))
            else:
                good[pair.first] = (pair, span.start, span.end)
        wanted = (self._statement(document, passage, *found) for found in good.values())
        for statement, unused in await asyncio.gather(*wanted):
            written.extend([(passage, statement), *((passage, reason) for reason in unused)])
        return written

    async def _statement(
        self, document: Document, passage: Passage, fact: Pair, start: int, end: int
    ) -> tuple[Statement, list[Unused]]:
        prompts = self.prompts[document.language]
        quote = passage.row.text[start:end]
        request = prompts.pairs(document, passage, fact.first, self.wordings + _SPARE, self.temperature)
        said = await self._asked(request, _PAIRS, questions_of)
        unused = [Unused(fact.first, reason) for reason in said.lost]
        good: list[Pair] = []
        for pair in said.pairs:
            reason = why_no_pair(pair, fact.first, quote)
            if any(similarity(pair.first, other.first) >= NEAR_DUPLICATE for other in good):
                reason = "asked before"
            if reason:
                unused.append(Unused(pair.first, reason))
            else:
                good.append(pair)
        return Statement(fact.first, quote, start, _askings(fact.first, good)), unused

    async def _asked(self, request: Request, depth: int, read: Callable[[str], Parsed]) -> Parsed:
        """Asks and reads the answer; a request that gets none is a loss with its reason."""
        try:
            reply = await self.calls.ask(request, depth)
        except (Refused, Malformed) as error:
            return Parsed((), (f"no answer: {error}",))
        if reply.text.strip() == "[]":
            return Parsed((), ())
        parsed = read(reply.text)
        return Parsed(parsed.pairs, (*parsed.lost, "the answer was cut off")) if reply.cut else parsed


async def _collected(
    document: Document, passages: Sequence[Passage], tasks: Sequence[asyncio.Task[Written]], done: asyncio.Queue[Any]
) -> None:
    written = await asyncio.gather(*tasks)
    await done.put((document, passages, [part for parts in written for part in parts]))


def _first(failures: BaseExceptionGroup[BaseException]) -> BaseException:
    """The failure that a group of failures began with."""
    found = failures.exceptions[0]
    return _first(found) if isinstance(found, BaseExceptionGroup) else found


def _askings(fact: str, pairs: Sequence[Pair]) -> tuple[Asking, ...]:
    """The questions, one of them for the exam: one whose answer is asked for in other words too, where there is one."""
    answers = [pair.second.lower() for pair in pairs]
    shared = [at for at, answer in enumerate(answers) if answers.count(answer) > 1]
    probe = max(shared or range(len(pairs)), key=lambda at: content_id(pairs[at].first)) if len(pairs) > 1 else None
    askings = [
        Asking("question", INDIRECT if at == probe else DIRECT, pair.first, pair.second, pair.second.lower())
        for at, pair in enumerate(pairs)
    ]
    return (*askings, Asking("text", TEXT, "", fact))
