"""Requests answered once: from the ledger where they were before, else by the model, however often it takes."""

import asyncio
import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from knowledge_update.chat_models.protocol import (
    CallError,
    ChatModel,
    Fatal,
    Gone,
    Malformed,
    Overloaded,
    Refused,
    Reply,
    Request,
)
from knowledge_update.chat_models.window import Window
from knowledge_update.ledger import CallRow

# A server that answers, but not with a chat completion, does so again: these are tried fewer times.
MALFORMED_ATTEMPTS = 3
_PAUSE, _LONGEST_PAUSE = 0.5, 30.0
_CHARACTERS_PER_TOKEN = 3


class Journal(Protocol):
    """Where answers are kept: a ledger, here or on another machine."""

    def call(self, key: str) -> CallRow | None:
        """The answer to a request that was asked before."""

    def add_call(self, call: CallRow) -> None:
        """Keeps an answer; returns when it is kept."""


@dataclass(frozen=True)
class Attempts:
    """How often a request is made that gets no answer; what an overloaded server puts off is no attempt.

    Args:
        most: As often, where there is a bound.
        pause: Seconds before the second time at most, doubled from time to time.
    """

    most: int | None = None
    pause: float = _PAUSE


class Calls:
    """Asks a chat model.

    Args:
        model: Who answers.
        window: The places that all requests share.
        journal: Where every answer goes as it returns.
        patience: Seconds in which requests fail and none is answered, after which no more are made.
        most_failures: How many requests may get no answer; any number where it is not given.
        heard: Is called after every answer.
        attempts: How often a request is made.
    """

    def __init__(
        self,
        model: ChatModel,
        window: Window,
        journal: Journal,
        patience: float,
        most_failures: int | None = None,
        heard: Callable[[], None] = lambda: None,
        attempts: Attempts | None = None,
    ) -> None:
        self.attempts = attempts or Attempts()
        self.model, self.window, self.journal, self.patience = model, window, journal, patience
        self.most_failures, self.heard = most_failures, heard
        self.asked = self.known = self.failed = self.prompt_tokens = self.completion_tokens = 0
        self._flying: dict[str, asyncio.Future[Reply]] = {}
        # When the first of the failures was that no answer has come since.
        self._failing: float | None = None

    async def ask(self, request: Request, depth: int) -> Reply:
        """Returns the answer; the same request under way already is not made twice.

        Args:
            request: What is asked.
            depth: How far the work is that it belongs to.

        Raises:
            Refused, Malformed: When this request gets no answer.
            Unreachable: When it got none as often as it may be made.
            Fatal: When none will.
        """
        key = request.key(self.model.name)
        known = self.journal.call(key)
        if known:
            self.known += 1
            return Reply(known.text, known.cut, known.prompt_tokens, known.completion_tokens)
        if key not in self._flying:
            task = asyncio.ensure_future(self._answer(key, request, depth))
            task.add_done_callback(lambda done: self._landed(key, done))
            self._flying[key] = task
        return await asyncio.shield(self._flying[key])

    async def finish(self, seconds: float) -> None:
        """Lets nothing more leave, and waits so long for the answers under way, so that they are kept."""
        self.window.stop()
        if self._flying:
            await asyncio.wait(self._flying.values(), timeout=seconds)

    def _landed(self, key: str, done: asyncio.Future[Reply]) -> None:
        self._flying.pop(key, None)
        if not done.cancelled():
            # Whoever waited may be gone by now: a failure that nobody hears is no traceback of asyncio's.
            done.exception()

    async def _answer(self, key: str, request: Request, depth: int) -> Reply:
        order = random.Random(key)
        attempts = malformed = put_off = 0
        while True:
            attempts += 1
            try:
                return await self._attempt(key, request, depth, attempts)
            except Fatal:
                raise
            except CallError as error:
                malformed += isinstance(error, Malformed)
                put_off += isinstance(error, Overloaded)
                tried = self.attempts.most is not None and attempts - put_off >= self.attempts.most
                if isinstance(error, Refused) or malformed >= MALFORMED_ATTEMPTS or tried:
                    self._give_up(error)
                    raise
                now = time.monotonic()
                self._failing = self._failing or now
                if now - self._failing > self.patience:
                    raise Gone(f"no answer for {self.patience:.0f} s, the last failure: {error}") from error
            # Spread out, so that what failed together does not come back together.
            longest = min(_LONGEST_PAUSE, self.attempts.pause * 2 ** (attempts - 1))
            await self.window.pause(longest * order.uniform(0.5, 1.0))

    def _give_up(self, error: CallError) -> None:
        """Counts a request that gets no answer; too many of them are no exception any more."""
        self.failed += 1
        if self.most_failures is not None and self.failed > self.most_failures:
            raise Gone(f"{self.failed} requests got no answer, the last: {error}") from error

    async def _attempt(self, key: str, request: Request, depth: int, attempts: int) -> Reply:
        characters = sum(len(content) for _, content in request.messages)
        async with self.window.place(depth, characters // _CHARACTERS_PER_TOKEN + request.max_tokens) as number:
            began = time.monotonic()
            try:
                reply = await self.model.ask(request)
            except Overloaded as error:
                self.window.overloaded(number, error.after)
                raise
        seconds = time.monotonic() - began
        self._failing = None
        self.window.answered(seconds)
        self.asked += 1
        self.prompt_tokens += reply.prompt_tokens
        self.completion_tokens += reply.completion_tokens
        counts = reply.prompt_tokens, reply.completion_tokens
        self.journal.add_call(CallRow(key, reply.text, reply.cut, *counts, round(seconds, 3), attempts))
        self.heard()
        return reply
