"""A server that speaks the OpenAI protocol, answers rightly about the stations, and takes its time.

    python benchmarks/collecting/server.py --slots 64     prints its port, then serves until it is ended

Its slots and latencies are known. It must cost little, since it shares the machine with the client it measures: one
process, no framework, one timer a request. `GET /log` returns what was seen and forgets it.

What it relies on, so that it goes on working when prompts change: a passage stands before the last mark `PASSAGE>>>`,
where there is one; what is asked for is told by the JSON keys that the prompt shows (a theme or roles: the outline; a
fact and a quote; a question and an answer; a rating; none: running text); questions about a fact have its sentence
behind the mark and say how many ("12 questions", "3 more questions"); more are asked for with those there are.
"""

import argparse
import asyncio
import hashlib
import json
import math
import re
import signal
import sys
import time
from collections import deque
from pathlib import Path
from statistics import NormalDist
from typing import Any

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[1]))

from collecting.corpus import fact, stations

SIGMA = 0.6
# Mean seconds of an answer: long writing, and the cheaper kinds.
MEANS = {"facts": 2.0, "generate": 2.0, "rewrite": 2.0, "questions": 1.0, "outline": 1.0, "check": 1.0}
_MARK = "PASSAGE>>>"
_KEY = re.compile(r"""["'](\w+)["']\s*:""")
_COUNT = re.compile(r"(\d+)\s+(?:[\w-]+\s+){0,2}(?:questions?|pairs?)\b", re.I)
_NORMAL = NormalDist()


def recognise(messages: list[dict[str, Any]]) -> dict[str, Any]:
    """What a request asks for: its kind, its passage and fact (as names of stations), and how it is identified."""
    text = "\n".join(str(message["content"]) for message in messages)
    before, marked, task = text.rpartition(_MARK)
    keys = {key.lower() for key in _KEY.findall(task)}
    about = stations(task) if marked else []
    if keys & {"theme", "roles"} and "answer" not in keys:
        kind = "outline"
    elif {"fact", "quote"} <= keys:
        kind = "facts"
    elif "rating" in keys or "rating" in task[:200].lower():
        kind = "check"
    elif {"question", "answer"} <= keys:
        kind = "questions" if about else "generate"
    else:
        kind = "rewrite"
    found = stations(before) if marked else stations(text)
    key = hashlib.sha256(text.encode()).hexdigest()[:16]
    names = ["-".join(map(str, some)) for some in (found, about)]
    return {"key": key, "kind": kind, "passage": names[0], "fact": names[1], "text": text, "task": task}


def answer(seen: dict[str, Any]) -> str:
    """A right answer to a request."""
    facts = [fact(int(number)) for number in (seen["fact"] or seen["passage"]).split("-") if number]
    if seen["kind"] == "outline":
        return json.dumps({"theme": "stations and their stores", "roles": ["a visitor", "an engineer", "a historian"]})
    if seen["kind"] == "facts":
        return json.dumps([{"fact": one.sentence, "quote": one.sentence} for one in facts])
    if seen["kind"] in ("questions", "generate"):
        wanted = _COUNT.search(seen["task"])
        each = math.ceil(int(wanted[1]) / max(1, len(facts))) if wanted else 1
        return json.dumps([pair for one in facts for pair in _pairs(one.questions, seen["task"], each)])
    if seen["kind"] == "check":
        pairs = re.findall(r'"question":\s*"([^"]+)",\s*"answer":\s*"([^"]+)"', seen["task"])
        # Not the prompt's own example, which names no station.
        rated = [{"question": asked, "answer": said, "rating": 9} for asked, said in pairs if stations(asked)]
        return json.dumps(rated or {"rating": 9})
    return "\n".join(one.sentence for one in facts)


def _pairs(questions: dict[str, str], task: str, wanted: int) -> list[dict[str, str]]:
    """As many pairs as are wanted, none that the task itself names as asked already."""
    fresh = [(question, answered) for question, answered in questions.items() if question not in task]
    return [{"question": question, "answer": answered} for question, answered in fresh[:wanted]]


class Served:
    """All that the server knows: its slots, who waits for one, and what it saw.

    Args:
        slots: Requests answered at once; more wait their turn.
        rpm: Requests in any sixty seconds that it takes; more are refused with 429.
        scale: Factor on all latencies.
        seed: Of the latencies.
    """

    def __init__(self, slots: int, rpm: int = 0, scale: float = 1.0, seed: int = 0) -> None:
        self.slots, self.rpm, self.scale, self.seed = slots, rpm, scale, seed
        self.log: list[dict[str, Any]] = []
        self.busy = 0
        self._queue: deque[tuple[dict[str, Any], Connection]] = deque()
        self._minute: deque[float] = deque()

    def seconds(self, key: str, kind: str) -> float:
        """How long an answer takes: lognormal, the same for the same request whenever it comes."""
        drawn = int(hashlib.sha256(f"{self.seed} {key}".encode()).hexdigest()[:12], 16)
        normal = _NORMAL.inv_cdf((drawn + 0.5) / 16**12)
        return self.scale * MEANS[kind] * math.exp(SIGMA * normal - SIGMA**2 / 2)

    def take(self, body: bytes, connection: "Connection") -> None:
        """Takes a request."""
        now = time.monotonic()
        seen = recognise(json.loads(body)["messages"])
        record: dict[str, Any] = {name: seen[name] for name in ("key", "kind", "passage", "fact")}
        record |= {"seconds": self.seconds(seen["key"], seen["kind"]), "arrived": now, "ended": 0.0}
        record |= {"answered": False, "over": self._over(now)}
        self.log.append(record)
        if self.rpm and record["over"]:
            connection.send(b'{"error": {"message": "too many requests a minute"}}', 429, b"Retry-After: 1\r\n")
            return
        connection.record = record
        data = completion(answer(seen), len(seen["text"]) // 4)
        self._queue.append(({"record": record, "data": data}, connection))
        self._begin()

    def _over(self, now: float) -> bool:
        """Whether a request is one too many: in its minute, or for the slots where no rate is set."""
        if not self.rpm:
            return self.busy + len(self._queue) >= self.slots
        while self._minute and self._minute[0] <= now - 60:
            self._minute.popleft()
        if len(self._minute) >= self.rpm:
            return True
        self._minute.append(now)
        return False

    def _begin(self) -> None:
        while self._queue and self.busy < self.slots:
            work, connection = self._queue.popleft()
            if not connection.open:
                continue
            self.busy += 1
            asyncio.get_running_loop().call_later(work["record"]["seconds"], self._end, work, connection)

    def _end(self, work: dict[str, Any], connection: "Connection") -> None:
        self.busy -= 1
        work["record"]["ended"] = time.monotonic()
        work["record"]["answered"] = connection.open
        connection.send(work["data"])
        self._begin()

    def forget(self) -> list[dict[str, Any]]:
        """Returns what was seen, and begins anew."""
        seen, self.log = self.log, []
        self._minute.clear()
        return seen


def completion(text: str, prompt_tokens: int) -> bytes:
    """A chat completion."""
    value = {
        "id": "c", "object": "chat.completion", "created": 0, "model": "scribe",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": prompt_tokens, "completion_tokens": len(text) // 4,
                  "total_tokens": prompt_tokens + len(text) // 4},
    }  # fmt: skip
    return json.dumps(value).encode()


class Connection(asyncio.Protocol):
    """One connection, kept alive; requests on it come one after another."""

    def __init__(self, served: Served) -> None:
        self.served = served
        self.open = False
        self.record: dict[str, Any] = {}
        self._transport: asyncio.Transport
        self._read = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport, self.open = transport, True

    def connection_lost(self, _: Exception | None) -> None:
        self.open = False

    def data_received(self, data: bytes) -> None:
        self._read += data
        head, found, rest = self._read.partition(b"\r\n\r\n")
        if not found:
            return
        length = re.search(rb"\r\ncontent-length: *(\d+)", head, re.I)
        wanted = int(length[1]) if length else 0
        if len(rest) < wanted:
            return
        self._read = rest[wanted:]
        target = head.split(b" ", 2)[1]
        if target == b"/log":
            self.send(json.dumps(self.served.forget()).encode())
        elif target.endswith(b"/models"):
            self.send(b'{"object": "list", "data": [{"id": "scribe", "object": "model"}]}')
        elif target.endswith(b"/chat/completions"):
            self.served.take(rest[:wanted], self)
        else:
            self.send(b'{"error": {"message": "nothing here"}}', 404)

    def send(self, data: bytes, status: int = 200, headers: bytes = b"") -> None:
        if self.open:
            head = b"HTTP/1.1 %d .\r\nContent-Type: application/json\r\n%sContent-Length: %d\r\n\r\n"
            self._transport.write(head % (status, headers, len(data)) + data)


async def serve(served: Served, port: int = 0) -> asyncio.Server:
    """Listens on loopback."""
    loop = asyncio.get_running_loop()
    return await loop.create_server(lambda: Connection(served), "127.0.0.1", port, backlog=1024)


async def main() -> None:
    """Serves until it is ended."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--slots", type=int, default=64)
    parser.add_argument("--rpm", type=int, default=0)
    parser.add_argument("--scale", type=float, default=1.0)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    server = await serve(Served(given.slots, given.rpm, given.scale, given.seed))
    print(server.sockets[0].getsockname()[1], flush=True)
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    await stop.wait()


if __name__ == "__main__":
    asyncio.run(main())
