r"""How fast documents become questions, and whether any is lost: `kupdate collect` and others on one server.

    python benchmarks/collection.py --quick --json figures.json     ours alone, 2,000 calls
    python benchmarks/collection.py                                 2,000 and 10,000 calls, and the other projects
    python benchmarks/collection.py --rpm 300                       ours at 300 requests a minute

Every project gets the same stations (`collecting/corpus.py`) and the same server (`collecting/server.py`): 64 slots,
latencies lognormal with σ 0.6, of a mean of 2 s where facts or pairs are written from a passage and 1 s for the cheaper
kind (ours: questions of one fact, outlines; others: the check of a pair), fixed for a request by its words. How many
calls a document takes us is learned from one document; how many questions a fact gets is writer.wordings_per_fact.

makespan        seconds from the first request's arrival to the last answer, as the server saw them
ideal           the same requests on the same slots without any cost of a client (`collecting/schedule.py`), and
                with --rpm no faster than allowed
utilisation     seconds of answering, over slots and makespan
expected, kept  pairs that the documents' facts are to get; those that are in what was written, right and once
lost, duplicated, misattached   pairs not there; there twice; of another fact, passage or file, or with a wrong answer
over_limit      requests that came while all slots were taken, or with --rpm one too many in their sixty seconds
client_ms_per_call   processor time of transport, schedule and journal: that of the whole process less that of the same
                command on the same answers read from its journal, which reads, parses, checks and writes just the same
checks_ms_per_call   that second run, less one on a single document (the start)

Of the others client_ms_per_call is the processor time of the whole process less that of a run on a few items, so it
holds their parsing too.

The other projects have an environment each, outside of this repository, named by --peers DIR or KUPDATE_PEERS:

    python -m venv DIR/NAME && DIR/NAME/bin/python -m pip install PACKAGES

with NAME and PACKAGES: synthetic-data-kit (synthetic-data-kit==0.0.5), bespokelabs-curator
(bespokelabs-curator==0.1.31), distilabel ('distilabel[openai]==1.5.3' requests).
"""

import argparse
import json
import os
import resource
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from collecting import corpus, schedule

HERE = Path(__file__).resolve().parent
SLOTS = 64
# Of a document: passages under headings; facts of a passage.
PASSAGES, FACTS = 5, 1
# Tokens of a passage at most, for each of its facts: more than its sentence has, fewer than two have.
TOKENS = 64
# Questions that a fact is to get.
QUOTA = 4
# Items of a peer's run that shows what its start costs.
FEW = 8
# These would take ten minutes and more for all items.
SLOW = (("synthetic-data-kit", False), ("synthetic-data-kit", True), ("bespokelabs-curator", False))
PEERS = ("synthetic-data-kit", "bespokelabs-curator", "distilabel")
Row = dict[str, Any]


@dataclass(frozen=True)
class Ran:
    """A command that ended: its seconds, and its seconds of processor time."""

    seconds: float
    cpu: float


@contextmanager
def server(rpm: int = 0, scale: float = 1.0, slots: int = SLOTS) -> Iterator[str]:
    """The server's address, while it runs."""
    command = [sys.executable, HERE / "collecting/server.py", "--slots", slots, "--rpm", rpm, "--scale", scale]
    child = subprocess.Popen(list(map(str, command)), stdout=subprocess.PIPE, text=True)
    try:
        assert child.stdout is not None
        yield f"http://127.0.0.1:{int(child.stdout.readline())}/v1"
    finally:
        child.terminate()
        child.wait()


def seen(url: str) -> list[Row]:
    """What the server saw since it was last asked."""
    with urllib.request.urlopen(url.removesuffix("/v1") + "/log") as response:
        return list(json.load(response))


def timed(command: list[str], log: Path, limit: float = 3600.0) -> Ran:
    """Runs a command to its end, or to the limit in seconds.

    Raises:
        RuntimeError: When it fails, with the end of what it said.
    """
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    with log.open("w") as out:
        # From the repository, so that this code is measured and not another that is installed.
        child = subprocess.Popen(command, stdout=out, stderr=subprocess.STDOUT, start_new_session=True, cwd=HERE.parent)
        try:
            status = str(child.wait(limit) or "")
        except subprocess.TimeoutExpired:
            status = f"after {limit:.0f} s"
        finally:
            if child.poll() is None:
                # Some of the others start processes of their own.
                os.killpg(child.pid, signal.SIGKILL)
                child.wait()
    if status:
        raise RuntimeError(f"ended {status}: {log.read_text(errors='replace')[-600:].strip()}")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Ran(time.monotonic() - began, cpu)


def figures(
    log: list[Row], pairs: list[tuple[str, str, str]], facts: range, quota: int, rpm: int = 0, slots: int = SLOTS
) -> Row:
    """One row of figures, from what the server saw and from what was written."""
    answered = [record for record in log if record["answered"]]
    if not answered:
        raise RuntimeError("the server answered nothing")
    made = schedule.jobs(log)
    arrivals = sorted(record["arrived"] for record in log)
    makespan = max(record["ended"] for record in answered) - arrivals[0]
    ideal = max(schedule.ideal(made, slots), 60 * (len(made) - 1) / rpm if rpm else 0.0)
    row: Row = {
        "calls": len(log), "makespan": round(makespan, 2), "ideal": round(ideal, 2),
        "over_ideal": round(makespan / ideal, 4),
        "utilisation": round(sum(record["seconds"] for record in answered) / slots / makespan, 4),
        **asdict(corpus.count(pairs, facts, quota)),
        "over_limit": sum(record["over"] for record in log),
    }  # fmt: skip
    if rpm:
        row["rate_used"] = round((len(arrivals) - 1) / (arrivals[-1] - arrivals[0]) * 60 / rpm, 4)
    return row


def write_documents(folder: Path, count: int, facts: int = FACTS) -> Path:
    """Writes the documents of a measurement; returns their folder."""
    folder.mkdir()
    for name, text in corpus.documents(count, PASSAGES, facts):
        (folder / name).write_text(text)
    return folder


def collect(url: str, documents: Path, out: Path, settings: list[str]) -> Ran:
    """Runs our command on documents."""
    command = [
        sys.executable, "-m", "knowledge_update", "collect", str(documents), "--out", str(out), "writer=api",
        "writer.model=scribe", f"writer.base_url={url}", f"writer.concurrency={SLOTS}",
        f"writer.wordings_per_fact={QUOTA}", f"reader.chunk_tokens={TOKENS * FACTS}", *settings,
    ]  # fmt: skip
    return timed(command, out.with_suffix(".log"))


def ours(folder: Path, calls: int, rpm: int = 0, settings: list[str] | None = None, scale: float = 1.0) -> Row:
    """Our row: a run on one document to learn how many calls it takes, the run, and the run on its own journal."""
    more = [*(settings or []), *([f"writer.rpm={rpm}"] if rpm else [])]
    with server(scale=scale) as url:
        start = collect(url, write_documents(folder / "one", 1), folder / "first", more)
        each = len(seen(url))
    with server(rpm, scale) as url:
        documents = write_documents(folder / "all", max(1, round(calls / each)))
        ran = collect(url, documents, folder / "run", more)
        log = seen(url)
        (folder / "seen.json").write_text(json.dumps(log))
        again = collect(url, documents, journal_of(folder / "run", folder / "again"), more)
        if repeated := seen(url):
            raise RuntimeError(f"{len(repeated)} answers were not in the journal")
    pairs = dataset(folder / "run", documents)
    row = figures(log, pairs, range(PASSAGES * FACTS * len(list(documents.iterdir()))), QUOTA, rpm)
    row["client_ms_per_call"] = round((ran.cpu - again.cpu) / len(log) * 1000, 3)
    row["checks_ms_per_call"] = round((again.cpu - start.cpu) / len(log) * 1000, 3)
    return row | {"seconds": round(ran.seconds, 1), "start_seconds": round(start.seconds, 1)}


def journal_of(run: Path, again: Path) -> Path:
    """A new run folder whose ledger holds the answers of another and nothing else."""
    again.mkdir()
    with sqlite3.connect(again / "ledger.sqlite") as database:
        database.execute("ATTACH ? AS run", (str(run / "ledger.sqlite"),))
        (made,) = database.execute("SELECT sql FROM run.sqlite_master WHERE name = 'call'").fetchone()
        database.execute(made)
        database.execute("INSERT INTO call SELECT * FROM run.call")
    database.close()
    return again


def dataset(run: Path, documents: Path) -> list[tuple[str, str, str]]:
    """Our pairs, each with its fact where the file it is said to come from has that fact."""
    pairs = []
    texts: dict[str, str] = {}
    with (run / "dataset/qa_pairs.jsonl").open() as lines:
        for line in lines:
            row = json.loads(line)
            said, name = [turn["value"] for turn in row["conversations"]], row["file_name"]
            texts.setdefault(name, (documents / name).read_text())
            pairs.append((said[0], said[1], row["fact"] if row["fact"] in texts[name] else ""))
    return pairs


def peer(name: str, python: Path, folder: Path, items: int, best: bool, limit: float) -> Row:
    """A row of another project: one pair of every item is written and checked."""
    out = folder / "pairs.jsonl"
    script = HERE / "peers" / f"run_{name.replace('-', '_')}.py"
    more = ["--best"] if best else []
    with server() as url:
        start = timed([str(python), str(script), url, str(FEW), str(out), *more], folder / "log", limit)
        few = len(seen(url))
        ran = timed([str(python), str(script), url, str(items), str(out), *more], folder / "log", limit)
        log = seen(url)
    pairs = [tuple(json.loads(line)) for line in out.read_text().splitlines()]
    row = figures(log, pairs, range(items), 1)
    row["client_ms_per_call"] = round((ran.cpu - start.cpu) / (len(log) - few) * 1000, 3)
    return row | {"seconds": round(ran.seconds, 1)}


def peers(where: Path, items: int, slow_items: int, limit: float) -> Iterator[tuple[str, Row]]:
    """The rows of the other projects, as they come out of their package and with their best settings."""
    for name in PEERS:
        for best in (False, True):
            label = f"{name} ({'best settings' if best else 'defaults'})"
            python = where / name / "bin" / "python"
            wanted = slow_items if (name, best) in SLOW else items
            with tempfile.TemporaryDirectory() as folder:
                try:
                    yield label, peer(name, python, Path(folder), wanted, best, limit)
                except (OSError, RuntimeError) as error:
                    yield label, {"error": str(error)}


def main() -> None:
    """Measures, prints a line a project, and writes the figures."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--quick", action="store_true", help="ours alone, 2,000 calls")
    parser.add_argument("--calls", type=int, default=2000)
    parser.add_argument("--ours", action="store_true", help="ours alone")
    parser.add_argument("--rpm", type=int, default=0, help="ours alone, at so many requests a minute")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--peers", type=Path, default=os.environ.get("KUPDATE_PEERS"))
    parser.add_argument("--slow-items", type=int, default=200, help="pairs for those that would not end in minutes")
    parser.add_argument("--limit", type=float, default=1800, help="seconds that one of the others may take")
    parser.add_argument("--keep", type=Path, help="keep the run folders here")
    given, settings = parser.parse_known_args()
    rows: dict[str, Row] = {}
    for name, row in measured(given, settings):
        rows[name] = row
        print(name, json.dumps(row), flush=True)
        if given.json:
            given.json.write_text(json.dumps(rows, indent=1) + "\n")


def measured(given: argparse.Namespace, settings: list[str]) -> Iterator[tuple[str, Row]]:
    """What was asked to be measured, row by row."""
    sizes = {"ours": given.calls}
    if not (given.quick or given.rpm):
        sizes["ours, 10,000 calls"] = 10_000
    for name, calls in sizes.items():
        folder = Path(tempfile.mkdtemp(prefix="collection-", dir=given.keep)).resolve()
        yield name, ours(folder, calls, given.rpm, settings)
        if not given.keep:
            shutil.rmtree(folder)
    if given.quick or given.rpm or given.ours:
        return
    if given.peers is None:
        yield "peers", {"error": "no environments were named: --peers DIR or KUPDATE_PEERS"}
        return
    yield from peers(given.peers.expanduser(), given.calls // 2, given.slow_items, given.limit)


if __name__ == "__main__":
    main()
