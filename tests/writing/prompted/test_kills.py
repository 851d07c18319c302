"""A collection killed at twenty random moments ends as one that was not, and asks again only what was in flight."""

import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from chat_server import Answer, Server
from scribes import WRITER, collected, rows, scribe

KILLS, PLACES = 20, 4
_NAMES = ("Gull", "Wendel", "Ommel", "Sool", "Tarn", "Skerry", "Holm", "Brand", "Quay", "Mill")


def hundred(folder: Path) -> None:
    folder.mkdir()
    for at in range(100):
        name = f"{_NAMES[at % 10]} {_NAMES[at // 10]}"
        said = f"The {name} was launched in {1800 + at}. The {name} was sold for {at + 3} crowns."
        (folder / f"{at:03}.txt").write_text(f"{name}\n\n{said}\n", encoding="utf-8")


@pytest.mark.soak
def test_twenty_kills_change_nothing_and_one_more_document_costs_its_own_calls(
    server: Server, collect: Any, tmp_path: Path, tiny_model: str
) -> None:
    docs, whole, killed = tmp_path / "docs", tmp_path / "whole", tmp_path / "killed"
    hundred(docs)
    server.script = scribe
    assert collect(docs, whole).code == 0
    count = len(server.seen)
    server.seen.clear()
    server.script = lambda body: Answer(scribe(body).body, seconds=0.05)
    where = (f"writer.base_url={server.url}", f"writer.concurrency={PLACES}")
    words = ["collect", str(docs), "--out", str(killed), f"model={tiny_model}", *WRITER, *where]
    order, kills = random.Random(20), 0
    while kills < KILLS:
        process = subprocess.Popen([sys.executable, "-m", "knowledge_update", *words], stdout=subprocess.DEVNULL)
        begun, until = len(server.seen), order.randrange(1, count // KILLS)
        while process.poll() is None and len(server.seen) < begun + until:
            time.sleep(0.002)
        assert process.poll() is None, "it ended before it was killed"
        process.send_signal(signal.SIGKILL)
        process.wait()
        kills += 1
    server.script = scribe
    done = collect(docs, killed)
    assert done.code == 0, done.stderr
    assert count < len(server.seen) <= count + KILLS * PLACES, "asked again is what was in flight"
    assert collected(killed) == collected(whole)
    (docs / "new.txt").write_text("Grey Lamp\n\nThe Grey Lamp was lit in 1874.\n", encoding="utf-8")
    before = len(server.seen)
    assert collect(docs, killed).code == 0
    new = server.seen[before:]
    assert len(new) == 6
    assert all("The Grey Lamp was lit in 1874." in body["messages"][1]["content"] for body in new)
    assert len(rows(killed, "SELECT id FROM document")) == 101
