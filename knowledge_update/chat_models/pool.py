"""Several endpoints as one chat model: each request goes where the fewest are under way."""

import time
from collections.abc import Sequence
from dataclasses import dataclass

from knowledge_update.chat_models.protocol import (
    CallError,
    ChatModel,
    Fatal,
    Malformed,
    Overloaded,
    Reply,
    Request,
    Unreachable,
)
from knowledge_update.display import log

_REST, _LONGEST_REST = 1.0, 30.0


@dataclass(eq=False)
class _Member:
    """An endpoint, and how it does.

    Args:
        model: The endpoint.
        where: Its address.
        under_way: Requests that it has not answered yet.
        failures: How often in a row it has failed.
        rests_until: When it may be asked again, on the monotonic clock.
        last: Why it failed last.
        out: Whether it is asked no more.
    """

    model: ChatModel
    where: str
    under_way: int = 0
    failures: int = 0
    rests_until: float = 0.0
    last: CallError | None = None
    out: bool = False

    def free(self, now: float) -> bool:
        """Whether it may be asked: one that was away is first asked one thing, to see whether it is back."""
        away = self.failures > 0 and not isinstance(self.last, Overloaded)
        return not self.out and now >= self.rests_until and not (away and self.under_way)

    def failed(self, error: CallError) -> None:
        """Rests it: as long as it wishes, else longer from failure to failure."""
        now = time.monotonic()
        # Requests that left together fail together: that is one failure.
        if now >= self.rests_until:
            self.failures += 1
        wished = error.after if isinstance(error, Overloaded) else None
        rest = min(_LONGEST_REST, _REST * 2 ** (self.failures - 1)) if wished is None else wished
        self.rests_until = max(self.rests_until, now + rest)
        self.last = error


class Pool:
    """Endpoints of one model.

    One that cannot be reached, answers with what is no answer or is overloaded rests for a while, and the request goes
    to another. One that refuses the key or the model is left out for good; the work ends when all are.

    Args:
        members: Each endpoint with its address.
    """

    def __init__(self, members: Sequence[tuple[str, ChatModel]]) -> None:
        self._members = [_Member(model, where) for where, model in members]

    @property
    def name(self) -> str:
        """The model's name, whichever endpoint answers."""
        return self._members[0].model.name

    async def ask(self, request: Request) -> Reply:
        """Answers, or raises a `CallError`: what the last endpoint said that was asked."""
        tried: set[_Member] = set()
        failure: CallError | None = None
        while (member := self._next(tried)) is not None:
            tried.add(member)
            member.under_way += 1
            try:
                reply = await member.model.ask(request)
            except (Unreachable, Malformed, Overloaded) as error:
                member.failed(failure := error)
                continue
            except Fatal as error:
                self._leave_out(member, failure := error)
                continue
            finally:
                member.under_way -= 1
            member.failures = 0
            return reply
        raise self._failure(failure)

    async def close(self) -> None:
        """Closes all of them."""
        for member in self._members:
            await member.model.close()

    def _next(self, tried: set[_Member]) -> _Member | None:
        now = time.monotonic()
        free = [member for member in self._members if member not in tried and member.free(now)]
        chosen = min(free, key=lambda member: member.under_way, default=None)
        if chosen is not None:
            # Of those that do equally much the one that waited longest.
            self._members.remove(chosen)
            self._members.append(chosen)
        return chosen

    def _leave_out(self, member: _Member, error: Fatal) -> None:
        if not member.out and any(not other.out for other in self._members if other is not member):
            log.warning("%s is left out: %s", member.where, error)
        member.out, member.last = True, error

    def _failure(self, own: CallError | None) -> CallError:
        """What a request ends with that nobody answered: its own failure, else that of those that rest."""
        left = [member for member in self._members if not member.out]
        if not left:
            told = "; ".join(f"{member.where}: {member.last}" for member in self._members)
            return Fatal(told)
        if own is not None and not isinstance(own, (Fatal, Overloaded)):
            return own
        now = time.monotonic()
        first = min(left, key=lambda member: member.rests_until)
        if isinstance(first.last, Overloaded):
            return Overloaded(str(first.last), max(0.0, first.rests_until - now))
        return Unreachable(f"no endpoint answers, {first.where}: {first.last}")
