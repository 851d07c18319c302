"""Many people talk to one page: whether a turn fails or mixes with another's, and whether the server's memory grows."""

import os
import random
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from html import unescape
from pathlib import Path
from statistics import median
from threading import Event
from typing import Any

ROOT = Path(__file__).parents[1]
TOKENS = 12
# Turns of a conversation before its visitor begins anew.
LENGTH = 6
# Conversations that are had again, alone, at the end.
AGAIN = 12
THINGS = "lighthouse ferry dairy bridge library shipyard bakery festival harbour museum".split()


@dataclass
class Visit:
    """What one visitor saw: conversations of (question, answer), and what went wrong."""

    conversations: list[list[tuple[str, str]]] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    mixed: int = 0

    @property
    def turns(self) -> int:
        return sum(map(len, self.conversations))


def measure(words: Sequence[str], users: int, seconds: float) -> dict[str, Any]:
    """Lets visitors talk for a while.

    Args:
        words: What `kupdate web` is told: the model.
        users: How many talk.
        seconds: How long.

    Returns:
        `users`, `turns`, `errors`, `mixed` (turns that held another's words, or were answered otherwise than when the
        same conversation is had alone), and `memory_growth`: the share by which the memory of the server's process at
        the end (median of the last quarter) is above that of the second quarter.
    """
    memory: list[int] = []
    with _served(words, users) as (url, process), ThreadPoolExecutor(users + 1) as people:
        done = Event()
        watcher = people.submit(_watch, process.pid, memory, done)
        visits = list(people.map(lambda number: _visit(url, number, time.monotonic() + seconds), range(users)))
        done.set()
        watcher.result()
    for visit in visits:
        for error in visit.errors:
            print(error, file=sys.stderr)
    quarter = max(1, len(memory) // 4)
    growth = median(memory[-quarter:]) / median(memory[quarter : 2 * quarter]) - 1
    return {
        "users": users, "turns": sum(visit.turns for visit in visits),
        "errors": sum(len(visit.errors) for visit in visits),
        "mixed": sum(visit.mixed for visit in visits) + _otherwise(words, visits),
        "memory_growth": round(growth, 4),
    }  # fmt: skip


@contextmanager
def _served(words: Sequence[str], users: int) -> "Iterator[tuple[str, subprocess.Popen[str]]]":
    path = f"{ROOT}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"
    options = ["--port", "0", "--waiting", str(2 * users)]
    process = subprocess.Popen(
        [sys.executable, "-m", "knowledge_update", "web", *words, *options], stdout=subprocess.PIPE, encoding="utf-8",
        env={**os.environ, "PYTHONPATH": path},
    )  # fmt: skip
    try:
        assert process.stdout is not None
        for line in process.stdout:
            if found := re.match(r"open (http://\S+) in a browser", line):
                yield found[1], process
                return
        raise RuntimeError("the page did not come up")
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=60)


def _watch(pid: int, memory: list[int], done: Event) -> None:
    while not done.wait(1):
        status = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
        memory.append(int(re.search(r"VmRSS:\s+(\d+)", status)[1]))  # type: ignore[index]


def _visit(url: str, number: int, end: float) -> Visit:
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
    from gradio_client import Client

    visit, draw = Visit(), random.Random(number)
    client = Client(url, verbose=False, analytics_enabled=False)
    while time.monotonic() < end:
        client.predict(api_name="/clear")
        said: list[tuple[str, str]] = []
        visit.conversations.append(said)
        while len(said) < LENGTH and time.monotonic() < end:
            question = f"Visitor {number} asks {draw.randrange(10_000)}: what is the {draw.choice(THINGS)}?"
            try:
                messages, note, _ = client.predict(question, 0, 1, TOKENS, "", api_name="/chat")
                heard = [(message["role"], _text(message["content"])) for message in messages]
                expected = [part for pair in said for part in (("user", pair[0]), ("assistant", pair[1]))]
                if heard[:-1] != [*expected, ("user", question)]:
                    visit.mixed += 1
                if "fail" in note or not heard:
                    visit.errors.append(f"visitor {number}: {note}")
                said.append((question, heard[-1][1]))
            except Exception as error:  # whatever it is, it is an error of this turn
                visit.errors.append(f"visitor {number}: {type(error).__name__}: {error}")
                break
    return visit


def _text(content: Any) -> str:
    """What a message says, out of the form that the page has it in."""
    parts = content if isinstance(content, list) else [content]
    return unescape("".join(part["text"] if isinstance(part, dict) else str(part) for part in parts))


def _otherwise(words: Sequence[str], visits: Sequence[Visit]) -> int:
    """How many turns of some conversations are answered otherwise when they are had alone."""
    from knowledge_update.chat.session import Sampling, Session
    from knowledge_update.config import ModelConfig
    from knowledge_update.display import clean
    from knowledge_update.ready_model import ready

    adapter = next((word.partition("=")[2] for word in words if word.startswith("--lora_weights=")), None)
    loaded = ready(ModelConfig(name=words[0]), named=True, adapter=adapter)
    conversations = [said for visit in visits for said in visit.conversations if said]
    random.Random(0).shuffle(conversations)
    other = 0
    for said in conversations[:AGAIN]:
        session = Session(loaded, Sampling(max_new_tokens=TOKENS))
        for question, answer in said:
            other += clean("".join(session.answer(question))).strip() != answer.strip()
    return other


if __name__ == "__main__":
    print(measure(sys.argv[3:], int(sys.argv[1]), float(sys.argv[2])))
