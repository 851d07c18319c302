"""The judge that is a chat model: each question put to it once, each pair in both orders."""

import asyncio
import re
import unicodedata
from collections.abc import Sequence
from functools import partial

from knowledge_update.chat_models.protocol import CallError, Fatal, Reply, Request
from knowledge_update.chat_models.session import Session
from knowledge_update.chat_models.texts import without_thoughts
from knowledge_update.display import Advance
from knowledge_update.evaluation.judge.cases import SAME, UNANSWERED, UNPARSABLE, Case, Verdict, in_both_orders
from knowledge_update.evaluation.judge.prompts import Prompts

# So many requests at most wait for their places together: each is held in memory until it is answered.
TOGETHER = 10_000
_LABEL = r"(?:(?:final |the )?(?:verdict|answer|grade|score|better answer)|判定|评分|答案|回答|结论|结果)"
_LINE = re.compile(rf"\W*(?:{_LABEL}\W*(?:is\b|是|为)?\W*)?([01ABC])\W*", re.I)
_RIGHT, _BETTER = {"1": 1.0, "0": 0.0}, {"A": 1.0, "B": 0.0, "C": 0.5}


class ChatJudge:
    """Judges by asking.

    Args:
        session: A chat model at work.
        prompts: By language.
        name: As reports name it.
        advance: Is told of every verdict.
    """

    def __init__(self, session: Session, prompts: dict[str, Prompts], name: str, advance: Advance) -> None:
        self.session, self.prompts, self.name, self.advance = session, prompts, name, advance

    def right(self, asked: Sequence[tuple[Case, str]]) -> list[Verdict]:
        """Whether answers are right; one that says nothing is not, and is not asked about."""
        requests = {
            at: self.prompts[case.language].accuracy(case, answer)
            for at, (case, answer) in enumerate(asked) if answer.strip()
        }  # fmt: skip
        said = self._all(list(requests.values()))
        read = dict(zip(requests, (_read(reply, _RIGHT) for reply in said), strict=True))
        return [read.get(at, Verdict(0.0)) for at in range(len(asked))]

    def better(self, asked: Sequence[tuple[Case, str, str]]) -> list[Verdict]:
        """Which of two answers is better, each pair asked in both orders."""
        requests, pairs = list[Request](), list[int]()
        for at, (case, first, second) in enumerate(asked):
            if first.strip() != second.strip():
                prompts = self.prompts[case.language]
                requests += [prompts.pair(case, first, second), prompts.pair(case, second, first)]
                pairs.append(at)
        said = [_read(reply, _BETTER) for reply in self._all(requests)]
        both = zip(said[::2], said[1::2], strict=True)
        read = dict(zip(pairs, (in_both_orders(*verdicts) for verdicts in both), strict=True))
        return [read.get(at, SAME) for at in range(len(asked))]

    def _all(self, requests: Sequence[Request]) -> list[Reply | None]:
        """The replies; None where a request got none."""

        async def asking(some: Sequence[Request]) -> list[Reply | None]:
            tasks = [asyncio.ensure_future(self._ask(request)) for request in some]
            try:
                return await asyncio.gather(*tasks)
            finally:
                # What ends the work ends the others too; what is under way is kept by whoever makes the calls.
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)

        parts = (requests[at : at + TOGETHER] for at in range(0, len(requests), TOGETHER))
        return [reply for part in parts for reply in self.session.run(partial(asking, part))]

    async def _ask(self, request: Request) -> Reply | None:
        try:
            return await self.session.calls.ask(request, 0)
        except Fatal:
            raise
        except CallError:
            return None
        finally:
            self.advance(1, self.session.tally.note())


def _read(reply: Reply | None, values: dict[str, float]) -> Verdict:
    """The verdict that a reply is, or ends with; two different ones are none."""
    if reply is None:
        return UNANSWERED
    lines = unicodedata.normalize("NFKC", without_thoughts(reply.text)).strip().splitlines()
    found = {match[1].upper() for line in lines if (match := _LINE.fullmatch(line.strip()))}
    return Verdict(values[found.pop()]) if len(found) == 1 and found <= values.keys() else UNPARSABLE
