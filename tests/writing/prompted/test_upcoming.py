"""Documents are read ahead as far as is needed to know the end, and no further."""

import asyncio
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from knowledge_update.chat_models.calls import Calls
from knowledge_update.chat_models.protocol import Reply, Request
from knowledge_update.chat_models.window import Window
from knowledge_update.config import WriterConfig
from knowledge_update.documents.blocks import Block, Document
from knowledge_update.documents.chunking import Passage, passages
from knowledge_update.ledger import Ledger
from knowledge_update.writing.prompted import prompts
from knowledge_update.writing.prompted.upcoming import Upcoming
from knowledge_update.writing.prompted.writer import Writer


@pytest.mark.parametrize("sizes", [[], [3], [0, 0, 2], [2] * 9, [1, 7, 1, 1, 5]])
@pytest.mark.parametrize("ahead", [1, 4, 100])
def test_all_documents_come_in_order_and_the_rest_is_known_up_to_what_is_read_ahead(
    sizes: list[int], ahead: int
) -> None:
    taken = 0

    def documents() -> Iterator[Any]:
        nonlocal taken
        for number, size in enumerate(sizes):
            taken += 1
            yield number, [None] * size

    upcoming = Upcoming(documents(), ahead)
    assert taken == 0
    seen = []
    for document, found in upcoming:
        left = sum(sizes[len(seen) + 1 :])
        assert len(found) == sizes[len(seen)]
        seen.append(document)
        assert min(upcoming.passages, ahead) == min(left, ahead)
        # Behind the one that was taken no more than is needed, but always one document to go on with.
        assert taken <= len(seen) + 1 or sum(sizes[len(seen) : taken - 1]) < ahead
    assert seen == list(range(len(sizes)))


class Scribe:
    """Answers soon: a fact of every passage, two questions of every fact. Keeps what was asked for, in order."""

    name = "scribe"

    def __init__(self) -> None:
        self.asked: list[tuple[str, int]] = []

    async def ask(self, request: Request) -> Reply:
        content = request.messages[-1][1]
        passage, _, task = content.rpartition("PASSAGE>>>")
        number = int(re.findall(r"Gull (\d+)", passage)[-1])
        await asyncio.sleep(0.005)
        kind = "facts" if '"quote"' in task else "questions" if '"question"' in task else "more"
        self.asked.append((kind, number))
        sentence = f"The Gull {number} was launched in Corvane."
        fact = [{"fact": sentence, "quote": sentence}]
        pairs = [
            {"question": f"Where was the Gull {number} launched?", "answer": "Corvane"},
            {"question": f"At which place did the Gull {number} first see water?", "answer": "Corvane"},
            {"question": f"Name the town that let the Gull {number} go to sea.", "answer": "Corvane"},
        ]
        return Reply(json.dumps({"facts": fact, "questions": pairs}.get(kind, [])), False, 1, 1)

    async def close(self) -> None:
        """Holds nothing."""


def test_begun_passages_are_finished_first_and_the_last_ones_are_begun_together(tmp_path: Path) -> None:
    scribe = Scribe()

    def documents() -> Iterator[tuple[Document, list[Passage]]]:
        for number in range(20):
            block = Block("paragraph", f"The Gull {number} was launched in Corvane.")
            document = Document(f"{number}", f"{number}", f"{number}.txt", "Ships", "text/plain", (block,))
            yield document, passages(document, lambda text: len(text.split()), 64)

    async def go() -> int:
        with Ledger(tmp_path / "ledger.sqlite") as ledger:
            writer = Writer(
                Calls(scribe, Window(1), ledger, 5),
                prompts.load(None),
                WriterConfig(wordings_per_fact=2, roles_per_fact=0, rewrites_per_passage=0),
            )
            return len([document async for document in writer.write(documents())])

    assert asyncio.run(asyncio.wait_for(go(), 30)) == 20
    at = {asked: place for place, asked in reversed(list(enumerate(scribe.asked)))}
    for number in range(10):
        # A place that is free is never left empty until it is known whether begun work will want it.
        assert at["questions", number] < at["facts", number + 4], scribe.asked
    last = max(at["facts", number] for number in range(20))
    assert all(at["questions", number] > last for number in range(14, 20)), scribe.asked
