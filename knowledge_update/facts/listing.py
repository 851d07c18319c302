"""What the ledger holds, and what of it the model has learned: the first of it, and how much there is."""

import json
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice

from knowledge_update.display import clean, console, table
from knowledge_update.errors import RunFolderError
from knowledge_update.evaluation.scoring import contains
from knowledge_update.ledger import KnownFact, Ledger
from knowledge_update.run_folder import Row, RunFolder, mend
from knowledge_update.writing.coverage import show_coverage

# Columns below which a table of sentences is harder to read than lines.
TABLE_WIDTH = 120
MARKS = {True: "learned", False: "not learned", None: "not asked"}


@dataclass(frozen=True)
class View:
    """What is shown.

    Args:
        what: `all`, `learned`, `missed`, `dropped`, `superseded`, `retired` or `coverage`.
        document: Only of the document of this name.
        limit: How many rows at most.
    """

    what: str = "all"
    document: str | None = None
    limit: int | None = None


def show(folder: RunFolder, view: View) -> None:
    """Prints a part of what a run folder's ledger holds.

    Raises:
        RunFolderError: When the folder has no ledger, or no such document.
    """
    folder.require(folder.ledger, f"collect DOCS --out {folder.path}")
    with Ledger(folder.ledger) as ledger:
        _check_document(ledger, view, folder)
        if view.what == "dropped":
            _show_dropped(ledger, view)
        elif view.what in ("superseded", "retired"):
            _show_past(ledger, view)
        elif view.what == "coverage":
            show_coverage(ledger, view.document, view.limit)
        else:
            _show_facts(ledger, view, folder)


def _check_document(ledger: Ledger, view: View, folder: RunFolder) -> None:
    if view.document is None:
        return
    names = [row[0] for row in ledger.execute("SELECT DISTINCT doc_id FROM document ORDER BY doc_id")]
    if view.document not in names:
        some = ", ".join(names[:20]) + (f" and {len(names) - 20} more" if len(names) > 20 else "")
        raise RunFolderError(f"no document {view.document!r} in {folder.path}; there are {some}")


def _show_facts(ledger: Ledger, view: View, folder: RunFolder) -> None:
    state = states(folder)
    if view.what != "all" and not state:
        raise RunFolderError(f"{folder.path} has not been asked yet: run `kupdate infer {folder.path}` first")
    wanted = {"all": tuple(MARKS.values()), "learned": ("learned",), "missed": ("not learned",)}[view.what]
    marked = ((known, MARKS[state.get(known.fact.id)]) for known in ledger.facts(document=view.document))
    shown = islice(((known, mark) for known, mark in marked if mark in wanted), view.limit)
    counts = {mark: count for mark, count in _counts(ledger, view, state).items() if mark in wanted and count}
    rows = ([clean(known.fact.text), mark, clean(known.fact.quote), clean(known.path)] for known, mark in shown)
    told = _print("Facts", ["fact", "state", "quote", "file"], rows, "{0}\n  {1}; {3}: “{2}”")
    line = ", ".join(f"{count} {mark}" for mark, count in counts.items()) or "no facts"
    console.print(line + _more(told, sum(counts.values())))


def _counts(ledger: Ledger, view: View, state: dict[str, bool]) -> dict[str, int]:
    """How many active facts there are by state."""
    if not state and view.document is None:
        return {MARKS[None]: ledger.count()}
    found = Counter(MARKS[state.get(fact)] for fact in ledger.fact_ids(view.document))
    return {mark: found[mark] for mark in MARKS.values()}


def _print(title: str, columns: list[str], rows: Iterable[list[str]], lines: str) -> int:
    """Prints rows as a table where there is room for one, else each as lines; returns how many."""
    found = list(rows)
    if found and console.width >= TABLE_WIDTH:
        table(title, columns, found)
    elif found:
        for row in found:
            console.print(lines.format(*row), markup=False, highlight=False)
    return len(found)


def _more(shown: int, all_of_them: int) -> str:
    return f" (the first {shown} are shown; --limit N shows more)" if shown < all_of_them else ""


def _show_past(ledger: Ledger, view: View) -> None:
    facts = ledger.facts(view.what, view.document)
    if view.what == "superseded":
        rows = ([clean(cell) for cell in _replaced(ledger, known)] for known in islice(facts, view.limit))
        columns = ["fact", "quote", "file", "now", "file"]
        told = _print("Superseded", columns, rows, "{0}\n  superseded; {2}: “{1}”\n  now: {3}\n  {4}")
        total, rest = ledger.count("superseded"), ""
    else:
        gone = (known for known in facts if not known.fact.replaced_by)
        rows = (
            [clean(cell) for cell in (known.fact.text, known.fact.quote, _place(ledger, known.fact.id)[1])]
            for known in islice(gone, view.limit)
        )
        told = _print("Retired", ["fact", "quote", "file"], rows, "{0}\n  retired; {2}: “{1}”")
        total = ledger.count("retired", replaced=False)
        others = ledger.count("retired", replaced=True)
        rest = f"; {others} more were written again in changed passages" if others else ""
    whole = total if view.document is None else told
    console.print(f"{whole} {view.what}{rest}{_more(told, whole)}" if whole or rest else f"nothing is {view.what}")


def _replaced(ledger: Ledger, known: KnownFact) -> Iterator[str]:
    """A superseded fact beside what holds now."""
    yield from (known.fact.text, known.fact.quote, _place(ledger, known.fact.id)[1])
    yield from _place(ledger, known.fact.replaced_by)


def _place(ledger: Ledger, fact: str) -> tuple[str, str]:
    """A fact's text, and its file with what tells one version from another."""
    query = """SELECT f.text, d.path, d.version, d.date FROM fact f JOIN occurrence o ON o.chunk = f.chunk
        JOIN document d ON d.id = o.document WHERE f.id = ? ORDER BY d.current DESC, d.version DESC LIMIT 1"""
    text, path, version, date = ledger.execute(query, (fact,)).fetchone() or ("", "", 1, "")
    notes = [note for note in (date, f"version {version}" if version > 1 else "") if note]
    return text, f"{path} ({', '.join(notes)})" if notes else path


def _show_dropped(ledger: Ledger, view: View) -> None:
    total = ledger.count_drops()
    rows = [[drop.item, drop.stage, drop.reason] for drop in islice(ledger.drops(), view.limit)]
    if rows:
        table("Left out", ["what", "stage", "why"], rows)
    console.print(f"{total} left out{_more(len(rows), total)}" if total else "nothing was left out")


def states(folder: RunFolder) -> dict[str, bool]:
    """Of every fact that was asked, whether the updated model answered all its probes rightly.

    Answers to questions that have been changed since do not count.
    """
    path, found = folder.answers("updated"), dict[str, bool]()
    if not path.exists():
        return found
    mend(path)
    asked = {row["id"]: hash(_asked(row)) for row in _rows(folder, "probes")}
    with path.open(encoding="utf-8") as file:
        for row in map(json.loads, file):
            if row["set"] == "held_out" and asked.get(row["id"], hash(_asked(row))) == hash(_asked(row)):
                found[row["fact"]] = found.get(row["fact"], True) and contains(row["response"], row["answers"])
    return found


def _rows(folder: RunFolder, name: str) -> Iterator[Row]:
    if folder.dataset(name).exists():
        with folder.dataset(name).open(encoding="utf-8") as file:
            yield from map(json.loads, file)


def _asked(row: Row) -> tuple[str, ...]:
    return row["question"], *row["answers"]
