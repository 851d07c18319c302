"""Two workers of a local Ray cluster write the ledger that one process writes."""

from pathlib import Path
from typing import Any

import pytest
from chat_server import Answer, Server, completion
from scribes import collected, rows, scribe

from knowledge_update.config import Config, WriterConfig
from knowledge_update.documents.blocks import Block, Document
from knowledge_update.documents.chunking import passages
from knowledge_update.writing.prompted.cluster import _blocks, _share


def test_blocks_hold_all_documents_in_their_order() -> None:
    documents = [
        (document, passages(document, len, 40))
        for document in (
            Document(f"{at}", f"{at}", f"{at}.txt", "T", "text/plain", tuple([Block("paragraph", "x" * 30)] * at))
            for at in range(1, 6)
        )
    ]
    blocks = list(_blocks(iter(documents), 4))
    assert [document.id for block in blocks for document, _ in block] == ["1", "2", "3", "4", "5"]
    assert [len(block) for block in blocks] == [3, 1, 1]


def test_the_workers_share_places_and_rates() -> None:
    whole = Config(writer=WriterConfig(name="api", ray="local", ray_workers=4, concurrency=64, rpm=400.0))
    share = _share(whole).writer
    assert (share.ray, share.concurrency, share.rpm, share.tpm) == (None, 16, 100.0, None)
    assert whole.writer.concurrency == 64


def test_without_ray_one_line_says_what_to_install(collect: Any, shared_docs: Path, tmp_path: Path) -> None:
    hidden = tmp_path / "hidden"
    hidden.mkdir()
    (hidden / "ray.py").write_text("raise ImportError('hidden')\n", encoding="utf-8")
    done = collect(shared_docs, tmp_path / "run", "writer.ray=local", PYTHONPATH=str(hidden))
    assert (done.code, done.stderr) == (2, "kupdate: writer.ray needs Ray: pip install 'knowledge-update[ray]'\n")


@pytest.mark.soak
def test_two_workers_write_what_one_process_writes(
    server: Server, collect: Any, shared_docs: Path, tmp_path: Path
) -> None:
    pytest.importorskip("ray", reason="Ray is an extra: pip install 'knowledge-update[ray]'")
    server.script = scribe
    assert collect(shared_docs, tmp_path / "one").code == 0
    count = len(server.seen)
    done = collect(shared_docs, tmp_path / "two", "writer.ray=local", "writer.ray_workers=2", "writer.concurrency=2")
    assert done.code == 0, done.stderr
    assert len(server.seen) == 2 * count
    assert collected(tmp_path / "two") == collected(tmp_path / "one")
    calls = "SELECT key, text FROM call ORDER BY 1"
    assert rows(tmp_path / "two", calls) == rows(tmp_path / "one", calls)
    server.script = lambda _: Answer({"error": {"message": "incorrect key"}}, 401)
    done = collect(shared_docs, tmp_path / "three", "writer.ray=local")
    assert done.code == 2
    assert "the server refuses this key: incorrect key" in done.stderr.splitlines()[-1]
    server.script = lambda _: Answer(completion("lorem"))
    assert collect(shared_docs, tmp_path / "four", "writer.ray=local").code == 1
