"""Who visits the page: a conversation of their own, and what the page shows of it.

All visitors share one model, and one thread computes for all of them: it makes a piece of an answer for each in turn,
so that nobody waits for another's whole answer, and nobody's adapter is switched off while another's question is read.
"""

import asyncio
import threading
import time
from collections.abc import AsyncGenerator, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing, contextmanager
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from knowledge_update.chat.evidence import Evidence, rests_on
from knowledge_update.chat.session import Message, Session, Turn
from knowledge_update.display import clean, log
from knowledge_update.errors import KnowledgeUpdateError, UserError

T = TypeVar("T")
# Seconds between two changes of the page at least: it is drawn anew with each.
_PAINT = 0.05
WRITING = "writing …"
# Turns that the page shows; all of them are sent with every piece.
SHOWN = 100
# What a model can fail with at one turn (out of memory, say); the next may fit.
FAILURES = (KnowledgeUpdateError, RuntimeError, MemoryError, OSError)
# Seconds that whoever stops an answer waits for the piece under way.
_PATIENCE = 30.0


@dataclass(frozen=True)
class Shown:
    """What the page shows: the conversation, a line about it, and what stands where one types."""

    messages: list[Message]
    note: str = ""
    typed: str = ""


@dataclass(frozen=True)
class Compared:
    """Two answers side by side, and a line about them."""

    base: str = ""
    updated: str = ""
    note: str = ""


class Visitor:
    """A visitor; a copy is another, with a conversation that has not begun.

    Args:
        opening: The conversation that everyone begins with: the model, how answers are made, what the system says.
        hand: The thread that computes.
    """

    def __init__(self, opening: Session, hand: ThreadPoolExecutor) -> None:
        self.opening, self.hand = opening, hand
        self.session = replace(opening, sampling=replace(opening.sampling), turns=[])
        self._busy, self._stopped = threading.Lock(), threading.Event()

    def __deepcopy__(self, _: Any) -> "Visitor":
        return Visitor(self.opening, self.hand)

    def shown(self, note: str = "", typed: str = "") -> Shown:
        """The conversation as it is."""
        messages = []
        for turn in self.session.turns[-SHOWN:]:
            messages.append({"role": "user", "content": turn.question})
            messages.append({"role": "assistant", "content": clean(turn.answer)})
        left = len(self.session.turns) - SHOWN
        lines = [f"the first {left:,} turns are not shown" if left > 0 else "", note]
        return Shown(messages, "; ".join(filter(None, lines)), typed)

    async def ask(self, text: str, settings: Mapping[str, Any]) -> AsyncGenerator[Shown]:
        """Answers a question piece by piece; what went wrong is told, and the question stands to be sent again."""
        asked = clean(text).strip()
        if not asked:
            yield self.shown("nothing was asked: type a question first")
            return
        try:
            with self._alone():
                self._set(settings)
                async with aclosing(self._answered(asked)) as answered:
                    async for shown in answered:
                        yield shown
        except FAILURES as error:
            yield self.shown(told(error), text)

    async def retry(self, settings: Mapping[str, Any]) -> AsyncGenerator[Shown]:
        """Answers the last question again; the answer that was there stays where the new one fails."""
        try:
            with self._alone():
                self._set(settings)
                before = self.session.undo()
                try:
                    async with aclosing(self._answered(before.question)) as answered:
                        async for shown in answered:
                            yield shown
                except FAILURES:
                    self.session.turns.append(before)
                    raise
        except FAILURES as error:
            yield self.shown(told(error))

    async def compare(self, text: str, settings: Mapping[str, Any]) -> AsyncGenerator[Compared]:
        """Base and updated model side by side, as both go on."""
        said = Compared()
        try:
            with self._alone():
                self._set(settings)
                async with aclosing(self._flowing(self.session.compared(clean(text).strip()))) as answers:
                    async for base, updated in answers:
                        said = Compared(clean(base), clean(updated))
                        yield said
        except FAILURES as error:
            said = replace(said, note=told(error))
        yield said

    def stop(self) -> Shown:
        """Stops the answer under way, and shows what was said before."""
        self._stopped.set()
        if self._busy.acquire(timeout=_PATIENCE):
            self._busy.release()
        return self.shown(self._about(self.session.turns[-1]) if self.session.turns else "")

    def undo(self) -> Shown:
        """Takes the last turn back; its question stands to be changed."""
        try:
            with self._alone():
                return self.shown(typed=self.session.undo().question)
        except UserError as error:
            return self.shown(str(error))

    def clear(self) -> Shown:
        """Begins anew."""
        try:
            with self._alone():
                self.session.new()
                return self.shown()
        except UserError as error:
            return self.shown(str(error))

    def facts(self) -> list[Evidence]:
        """What the last answer may be checked against.

        Raises:
            UserError: When nothing has been answered.
        """
        return rests_on(self.session)

    async def _answered(self, asked: str) -> AsyncGenerator[Shown]:
        painted = 0.0
        async with aclosing(self._flowing(self.session.answer(asked))) as pieces:
            async for _ in pieces:
                if time.monotonic() - painted >= _PAINT:
                    yield self.shown(WRITING)
                    painted = time.monotonic()
        yield self.shown(self._about(self.session.turns[-1]))

    def _about(self, turn: Turn) -> str:
        start = self.session.start
        lines = [f"the first {start:,} turns no longer fit the context" if start else ""]
        lines.append("" if turn.whole else "stopped; what was said is kept")
        lines.append("the model said nothing" if turn.whole and not turn.answer.strip() else "")
        return "; ".join(filter(None, lines))

    def _set(self, settings: Mapping[str, Any]) -> None:
        self.session.system = clean(str(settings.get("system") or "")).strip()
        for name, value in settings.items():
            if name != "system":
                whole = isinstance(value, float) and value.is_integer()
                self.session.sampling.change(name, str(int(value) if whole else value))

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """One answer at a time: a conversation has an order.

        Raises:
            UserError: When one is being written.
        """
        if not self._busy.acquire(blocking=False):
            raise UserError("an answer is being written: stop it, or wait for its end")
        release = self._busy.release
        self._stopped.clear()
        try:
            yield
        except (GeneratorExit, asyncio.CancelledError):
            # Nobody listens any more; a piece may still be computed, and this comes behind it.
            self.hand.submit(release)
            raise
        except BaseException:
            release()
            raise
        release()

    async def _flowing(self, pieces: Iterator[T]) -> AsyncGenerator[T]:
        """The pieces as the model's thread makes them; they end with whoever listens."""
        loop = asyncio.get_running_loop()
        try:
            while (piece := await loop.run_in_executor(self.hand, next, pieces, None)) is not None:
                yield piece
                if self._stopped.is_set():
                    return
        finally:
            self.hand.submit(pieces.close)  # type: ignore[attr-defined]


def told(error: BaseException) -> str:
    """A failure in a line."""
    if isinstance(error, KnowledgeUpdateError):
        return str(error)
    log.warning("an answer failed: %s: %s", type(error).__name__, error)
    return f"the answer failed ({type(error).__name__}: {(str(error).splitlines() or [''])[0]}); ask again"
