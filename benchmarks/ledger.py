"""How the ledger bears its size: memory and seconds of the export and of `kupdate facts`, at ten times the passages.

    python benchmarks/ledger.py [--quick] [--json FILE]

Every ledger is made of invented documents of ten passages, three facts a passage and ten questions for three facts.
What is measured runs in a process of its own; its memory is the most that it ever held.
"""

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from knowledge_update.ledger import ChunkRow, DocumentRow, FactRow, Ledger, QuestionRow, content_id
from knowledge_update.run_folder import RunFolder

SIZES, QUICK = (10_000, 100_000), (1_000, 10_000)
# A third of the facts is asked about once more: ten questions for three facts.
FORMS = (("probe", "indirect", "Could you tell me what the {} of {} is?"), ("train", "direct", "What is the {} of {}?"),
         ("train", "converse", "Of {1} one asks: what {0} does it have?"), ("train", "short", "{1}: {0}?"))  # fmt: skip
THINGS = "height length weight price colour keeper founder owner harbour engine".split()
EXPORT = """
import sys
from pathlib import Path
from knowledge_update.writing.coverage import coverage, total
from knowledge_update.ledger import Ledger
from knowledge_update.run_folder import RunFolder
from knowledge_update.writing import dataset
from knowledge_update.writing.revision import settle
folder = RunFolder(sys.argv[1])
with Ledger(folder.ledger) as ledger:
    settle(ledger)
    dataset.write(ledger, folder)
    print(total(coverage(ledger)).line())
"""


def build(folder: RunFolder, chunks: int) -> None:
    """Writes a ledger of so many passages."""
    folder.create()
    draw = random.Random(0)
    with Ledger(folder.ledger) as ledger, ledger.transaction():
        for number in range(chunks // 10):
            document = DocumentRow(content_id(str(number)), f"d{number}", f"d{number}.txt", f"Document {number}",
                                   "text/plain", "en")  # fmt: skip
            rows, facts, questions = [], [], []
            for place in range(10):
                chunk, said, asked = passage(number * 10 + place, document.id, place, draw)
                rows.append(chunk)
                facts.extend(said)
                questions.extend(asked)
            ledger.add(document, rows, facts, questions, [])


def passage(number: int, document: str, place: int, draw: random.Random) -> tuple[ChunkRow, list[FactRow], list[Any]]:
    """A passage of about 900 characters with its facts and questions."""
    name = f"Station {number}"
    filler = " ".join(f"{draw.choice(THINGS)}{draw.randrange(10_000)}" for _ in range(60))
    chosen = draw.sample(THINGS, 3)
    values = [str(draw.randrange(100_000)) for _ in chosen]
    lines = [f"The {thing} of {name} is {value}." for thing, value in zip(chosen, values, strict=True)]
    text = " ".join([*lines, filler])
    identity = content_id(text)
    row = ChunkRow(identity, text, document, place * 2000, place * 2000 + len(text), name)
    facts, questions = [], []
    for at, (line, thing, value) in enumerate(zip(lines, chosen, values, strict=True)):
        fact = content_id(identity, line)
        start = text.index(line)
        facts.append(FactRow(fact, identity, line, line, start, start + len(line)))
        for split, wording, form in FORMS[: 4 if at == 0 else 3]:
            question = form.format(thing, name)
            questions.append(QuestionRow(content_id(fact, question), fact, split, "what", "", wording, question, value))
    return row, facts, questions


def measured(words: list[str]) -> dict[str, float]:
    """Seconds and peak memory in MB of a process."""
    start = time.monotonic()
    process = subprocess.Popen(words, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"failed: {' '.join(words)}")
    return {"seconds": round(time.monotonic() - start, 2), "memory_mb": round(usage.ru_maxrss / 1024, 1)}


def rows(sizes: tuple[int, ...], scratch: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """What was measured at each size."""
    for chunks in sizes:
        folder = RunFolder(scratch / str(chunks))
        start = time.monotonic()
        build(folder, chunks)
        built = round(time.monotonic() - start, 1)
        found: dict[str, Any] = {"built_seconds": built, "ledger_mb": round(folder.ledger.stat().st_size / 1e6)}
        found["export"] = measured([sys.executable, "-c", EXPORT, str(folder.path)])
        facts = [sys.executable, "-m", "knowledge_update", "facts", str(folder.path)]
        # The best of three: the machine does other things too.
        found["facts"] = min((measured(facts) for _ in range(3)), key=lambda row: row["seconds"])
        yield chunks, found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--quick", action="store_true", help="a tenth of the passages")
    parser.add_argument("--json", type=Path, help="where the figures go")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        found = {}
        for chunks, row in rows(QUICK if given.quick else SIZES, Path(scratch)):
            found[chunks] = row
            print(f"{chunks:,} passages: {row}", flush=True)
    small, large = found.values()
    growth = {part: round(large[part]["memory_mb"] - small[part]["memory_mb"], 1) for part in ("export", "facts")}
    print(f"memory grows by {growth['export']} MB in the export, by {growth['facts']} MB in `kupdate facts`")
    if given.json:
        given.json.write_text(json.dumps({"passages": found, "growth_mb": growth}, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
