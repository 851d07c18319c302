"""Scripts of a scripted server: a model that writes what it is asked to, and one that often does not."""

import json
import random
import re
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

from chat_server import Answer, completion

WRITER = ("writer=api", "writer.model=scribe", "writer.patience=5", "writer.concurrency=8", "writer.structured=off")


def task_of(body: dict[str, Any]) -> tuple[str, str]:
    """The passage of a request, and what comes behind it."""
    content = body["messages"][1]["content"]
    passage, _, task = content.partition("PASSAGE>>>") if "PASSAGE>>>" in content else content.partition("段落>>>")
    return re.split(r"<<<(?:PASSAGE|段落)\n", passage)[1].rstrip(), task


def facts_of(passage: str) -> list[dict[str, str]]:
    """The sentences of a passage that name their subject, each its own quote."""
    sentences = [line for part in passage.split("\n") for line in re.findall(r"[^.]+\.", part)]
    return [
        {"fact": sentence.strip(), "quote": sentence.strip()}
        for sentence in sentences
        if not re.match(r"\s*(?:It|The tower|The keeper|The cheese|The first)\b", sentence)
    ]


def pairs_about(fact: str) -> list[dict[str, str]]:
    """Four questions about a fact, two for its last word and two for its first two."""
    words = fact.rstrip(".").split()
    last, rest = words[-1], " ".join(words[:-1])
    first, other = " ".join(words[:2]), " ".join(words[2:])
    return [
        {"question": f"{rest} what?", "answer": last},
        {"question": f"What comes last in saying that {rest}?", "answer": last},
        {"question": f"What {other}?", "answer": first},
        {"question": f"Name the thing of which it is true that it {other}.", "answer": first},
    ]


ROLES = ["a sailor", "a painter", "a clerk"]


def kind_of(task: str) -> str:
    """What a task wants: outline, facts, rest, pairs, again or rewrite."""
    if '"theme"' in task:
        return "outline"
    if "no fact has been written yet" in task or "还没有写出事实" in task:
        return "rest"
    if re.search(r"^(?:Fact: |事实：)", task, re.M):
        return "again" if "written already" in task or "已经写过" in task else "pairs"
    return "facts" if '"quote"' in task else "rewrite"


def scribe(body: dict[str, Any]) -> Answer:
    """A model that writes what it is asked to."""
    passage, task = task_of(body)
    kind = kind_of(task)
    value: Any = []
    if kind == "outline":
        value = {"theme": f"It is about {passage.split()[0]}.", "roles": ROLES}
    elif kind == "facts":
        value = facts_of(passage)
    elif kind == "pairs":
        fact = re.search(r"^(?:Fact: |事实：)(.*)$", task, re.M)
        value = pairs_about(fact[1]) if fact else []
    elif kind == "rewrite":
        return Answer(completion(f"Somebody says: {passage}"), seconds=0.002)
    return Answer(completion(json.dumps(value, ensure_ascii=False)), seconds=0.002)


def unsteady(seed: int) -> Callable[[dict[str, Any]], Answer]:
    """A model that writes well, badly or not at all, each request in its own way, and well in the end."""
    tried: dict[str, int] = {}

    def script(body: dict[str, Any]) -> Answer:
        asked = json.dumps(body["messages"])
        tried[asked] = tried.get(asked, 0) + 1
        order = random.Random(f"{seed} {asked} {tried[asked]}")
        good = scribe(body)
        text = good.body["choices"][0]["message"]["content"]
        if tried[asked] == 1:
            first = [
                Answer({"error": {"message": "slow down"}}, 429, {"Retry-After": "0.05"}), Answer(hangs_up=True),
                Answer({"error": {"message": "oops"}}, 500), Answer(b"<html>", 200), good,
            ]  # fmt: skip
            return order.choice(first)
        written = [
            text, f"<think>hm {{}}</think>\n```json\n{text}\n```", text[: len(text) * 2 // 3], "SKIP。", "I am sorry.",
            "", text.replace("1874", "1875"),
        ]  # fmt: skip
        return Answer(completion(order.choice(written)))

    return script


def rows(run: Path, query: str) -> list[tuple[Any, ...]]:
    with sqlite3.connect(run / "ledger.sqlite") as database:
        return database.execute(query).fetchall()


def collected(run: Path) -> dict[str, Any]:
    """Everything that a repetition must find the same."""
    tables = {
        name: rows(run, f'SELECT * FROM "{name}" ORDER BY 1, 2')
        for name in ("document", "chunk", "occurrence", "fact", "question", "drop")
    }
    files = {path.name: path.read_bytes() for path in sorted((run / "dataset").iterdir())}
    return {**tables, **files}
