"""A collection of any size runs in the memory of a small one."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

WORK = """
import asyncio, json, resource, sys
from pathlib import Path
from knowledge_update.config import WriterConfig
from knowledge_update.chat_models.calls import Calls
from knowledge_update.chat_models.protocol import Reply
from knowledge_update.chat_models.window import Window
from knowledge_update.documents.blocks import Block, Document
from knowledge_update.documents.chunking import passages
from knowledge_update.ledger import DocumentRow, Ledger
from knowledge_update.writing.prompted import prompts
from knowledge_update.writing.prompted.writer import Writer

class Scribe:
    name = "scribe"
    async def ask(self, request):
        await asyncio.sleep(0)
        return Reply(json.dumps([{"question": "Who?", "answer": "x"}, {"fact": "x", "quote": "y"}]), False, 1, 1)

def documents(first, count):
    for number in range(first, first + count):
        blocks = tuple(Block("paragraph", f"Passage {number} {part} " + "word " * 60) for part in range(5))
        document = Document(f"{number}", f"{number}", f"{number}.txt", f"Title {number}", "text/plain", blocks)
        yield document, passages(document, lambda text: len(text.split()), 64)

async def write(ledger, first, count):
    calls = Calls(Scribe(), Window(64), ledger, 60)
    config = WriterConfig(wordings_per_fact=4, roles_per_fact=0, rewrites_per_passage=0)
    async for document, chunks, written in Writer(calls, prompts.load(None), config).write(documents(first, count)):
        row = DocumentRow(document.id, document.doc_id, document.path, document.title, "text/plain", "en")
        ledger.add(row, [passage.row for passage in chunks], [], [], [])

def size():
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize() / 2**20

with Ledger(Path(sys.argv[1])) as ledger:
    asyncio.run(write(ledger, 0, 2_000))
    small = size()
    asyncio.run(write(ledger, 2_000, 18_000))
    print(json.dumps({"small": small, "large": size()}))
"""


@pytest.mark.soak
@pytest.mark.skipif(sys.platform != "linux", reason="reads the memory of a process where Linux shows it")
def test_from_ten_to_a_hundred_thousand_passages_memory_stays(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", WORK, str(tmp_path / "ledger.sqlite")], capture_output=True, text=True, timeout=1800
    )
    assert done.returncode == 0, done.stderr
    memory = json.loads(done.stdout)
    assert memory["large"] - memory["small"] < 100, memory
