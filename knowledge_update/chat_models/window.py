"""The window: requests under way, as many as the server bears, those that finish begun work first.

One window serves all stages of the writing, so that there is no moment at which all wait for one: whatever is next and
deepest takes the place that became free.
"""

import asyncio
import heapq
import itertools
import math
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager, suppress
from typing import TypeVar

from knowledge_update.chat_models.protocol import Stopped

# A rate is kept a little below what is allowed: the server counts when requests arrive, not when they leave.
MARGIN = 1.01
# What leaves late, by less than this share of the time between two requests, is made up for by the next.
LATE = 0.5
# After an overload the window is this much smaller, and grows by one for every so many answers as it has places.
SHRINK = 0.7
# It does not grow while a window full of answers takes so many times as long as the quickest one did: a server that is
# asked for more than it does at once lets requests wait. Answers of several kinds differ by less.
SLOW = 3.0
# What was quickest is slowly forgotten: later work may take longer by its nature.
FORGET = 1.02

T = TypeVar("T")


class Window:
    """Places for requests.

    Args:
        most: The most requests under way at once.
        rpm: Requests a minute that are allowed, where there is a limit.
        tpm: Tokens a minute that are allowed, where there is a limit.
    """

    def __init__(self, most: int, *, rpm: float | None = None, tpm: float | None = None):
        self.most = most
        self.limit = float(most)
        self.under_way = 0
        self._rpm, self._tpm = rpm, tpm
        self._waiting: list[tuple[int, int, int, asyncio.Future[None]]] = []
        self._first = -1
        self._numbers = itertools.count()
        self._left = 0
        self._shrunk_at = 0
        self._answers, self._seconds = 0, 0.0
        self._quickest, self._slow = math.inf, False
        self._not_before = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._room = asyncio.Event()
        self._stopped = asyncio.Event()

    @property
    def waiting(self) -> int:
        """How many requests wait for a place."""
        return len(self._waiting)

    @asynccontextmanager
    async def place(self, depth: int, tokens: int = 0) -> AsyncIterator[int]:
        """A place for one request, with its number; of those that wait the deepest comes first, of equals the first.

        Args:
            depth: How far the work is that it belongs to.
            tokens: How many tokens it may cost, for a limit of tokens a minute.

        Raises:
            Stopped: When no request is to leave any more.
        """
        if self._stopped.is_set():
            raise Stopped
        place = asyncio.get_running_loop().create_future()
        heapq.heappush(self._waiting, (self._first * depth, next(self._numbers), tokens, place))
        self._wake()
        try:
            await place
        except asyncio.CancelledError:
            if place.done() and not place.cancelled():
                self._leave()
            raise
        self._left += 1
        try:
            yield self._left
        finally:
            self._leave()

    async def room(self) -> None:
        """Waits until a place is free that no begun work waits for: the moment to begin more.

        Raises:
            Stopped: When no more is to begin.
        """
        while not self._stopped.is_set() and (self.under_way >= int(self.limit) or self._waiting):
            self._room.clear()
            await self._room.wait()
        if self._stopped.is_set():
            raise Stopped

    def stop(self) -> None:
        """Lets no request leave any more; those that have left may end."""
        self._stopped.set()
        for _, _, _, place in self._waiting:
            if not place.done():
                place.set_exception(Stopped())
        self._waiting.clear()
        self._room.set()

    async def unless_stopped(self, work: Awaitable[T]) -> T:
        """Awaits work of which requests are a part.

        Raises:
            Stopped: When the window is; the work has been cancelled and has ended.
        """
        working, stopped = asyncio.ensure_future(work), asyncio.ensure_future(self._stopped.wait())
        try:
            await asyncio.wait({working, stopped}, return_when=asyncio.FIRST_COMPLETED)
            if not working.done():
                raise Stopped
            return working.result()
        finally:
            working.cancel()
            stopped.cancel()
            # What is cancelled may have something to put away: whoever goes on here finds it ended.
            await asyncio.gather(working, stopped, return_exceptions=True)

    async def pause(self, seconds: float) -> None:
        """Waits so long, or until the work is stopped."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self._stopped.wait(), seconds)

    def ending(self) -> None:
        """Takes note that no more work will begin: from now on what has the longest way to go comes first.

        Begun work first leaves the beginnings of the last work for the end, where places stay empty while it goes on.
        """
        if self._first < 0:
            self._first = 1
            self._waiting = [(-order, number, tokens, place) for order, number, tokens, place in self._waiting]
            heapq.heapify(self._waiting)

    def answered(self, seconds: float) -> None:
        """Takes note of an answer: the window grows by one for a window full of answers that came as quickly as before.

        Args:
            seconds: From the request's leaving to its answer.
        """
        self._answers, self._seconds = self._answers + 1, self._seconds + seconds
        if self._answers >= self.limit:
            mean = self._seconds / self._answers
            self._quickest = min(mean, FORGET * self._quickest)
            self._slow = mean > SLOW * self._quickest
            self._answers, self._seconds = 0, 0.0
        if not self._slow:
            self.limit = min(float(self.most), self.limit + 1 / self.limit)
        self._wake()

    def overloaded(self, number: int, after: float | None = None) -> None:
        """Takes note of an overload: the window shrinks, and nothing leaves before the server wants it.

        Args:
            number: Of the request that met it; one that left before the window last shrank shrinks it no further.
            after: Seconds the server asked to wait, where it did.
        """
        if number > self._shrunk_at:
            self.limit = max(1.0, SHRINK * min(self.limit, self.under_way))
            self._shrunk_at = self._left
        if after is not None:
            self._not_before = max(self._not_before, asyncio.get_running_loop().time() + after)

    def _leave(self) -> None:
        self.under_way -= 1
        self._wake()

    def _space(self, now: float, tokens: int) -> None:
        """Puts off what leaves next, as far as a rate says."""
        apart = max(60 / self._rpm if self._rpm else 0.0, 60 * tokens / self._tpm if self._tpm else 0.0)
        # A place given out a little late does not put off all that follow.
        self._not_before = max(self._not_before, now - apart * LATE) + MARGIN * apart

    def _wake(self) -> None:
        """Gives free places to those that wait, unless a rate says to wait longer."""
        loop = asyncio.get_running_loop()
        while self._waiting and self.under_way < int(self.limit):
            now = loop.time()
            if self._not_before > now:
                if self._timer is None or self._timer.cancelled() or self._timer.when() <= now:
                    self._timer = loop.call_at(self._not_before, self._wake)
                return
            _, _, tokens, place = heapq.heappop(self._waiting)
            if place.cancelled():
                continue
            self._space(now, tokens)
            self.under_way += 1
            place.set_result(None)
        if self.under_way < int(self.limit) and not self._waiting:
            self._room.set()
