"""`kupdate facts`: what the ledger holds, and what of it the model has learned."""

from knowledge_update.display import clean, console, table
from knowledge_update.errors import RunFolderError
from knowledge_update.evaluation.scoring import contains
from knowledge_update.ledger import Ledger
from knowledge_update.run_folder import RunFolder, read_journal

# Columns below which a table of sentences is harder to read than lines.
TABLE_WIDTH = 120
MARKS = {True: "learned", False: "not learned", None: "not asked"}


def show(folder: RunFolder, *, learned: bool, missed: bool, dropped: bool, document: str | None) -> None:
    """Prints the facts of a run folder as a table.

    Args:
        folder: The run folder.
        learned: Only what was learned.
        missed: Only what was asked and not learned.
        dropped: What was left out instead, with its reason.
        document: Only what comes from this document (`doc_id`).

    Raises:
        RunFolderError: When the folder has no ledger, or no such document.
    """
    folder.require(folder.ledger, f"collect DOCS --out {folder.path}")
    with Ledger(folder.ledger) as ledger:
        if dropped:
            _show_dropped(ledger)
            return
        known = ledger.facts()
    names = sorted({fact.doc_id for fact in known})
    if document is not None and document not in names:
        raise RunFolderError(f"no document {document!r} in {folder.path}; there are {', '.join(names)}")
    state = states(folder)
    if (learned or missed) and not state:
        raise RunFolderError(f"{folder.path} has not been asked yet: run `kupdate infer {folder.path}` first")
    counts = {mark: 0 for mark in MARKS.values()}
    rows = []
    for fact in known:
        mark = MARKS[state.get(fact.fact.id)]
        wanted = (learned and mark == "learned") or (missed and mark == "not learned") or not (learned or missed)
        if wanted and document in (None, fact.doc_id):
            counts[mark] += 1
            rows.append([clean(fact.fact.text), mark, clean(fact.fact.quote), fact.path])
    if console.width >= TABLE_WIDTH:
        table("Facts", ["fact", "state", "quote", "file"], rows)
    else:
        for text, mark, quote, path in rows:
            console.print(f"{text}\n  {mark}; {clean(path)}: “{quote}”", markup=False, highlight=False)
    console.print(", ".join(f"{count} {mark}" for mark, count in counts.items() if count) or "no facts")


def _show_dropped(ledger: Ledger) -> None:
    rows = [[drop.item, drop.stage, drop.reason] for drop in ledger.drops()]
    if rows:
        table("Left out", ["what", "stage", "why"], rows)
    console.print(f"{len(rows)} left out" if rows else "nothing was left out")


def states(folder: RunFolder) -> dict[str, bool]:
    """Of every fact that was asked, whether the updated model answered all its probes rightly."""
    found: dict[str, bool] = {}
    for row in read_journal(folder.answers("updated")):
        if row["fact"] is not None:
            found[row["fact"]] = found.get(row["fact"], True) and contains(row["response"], row["answers"])
    return found
