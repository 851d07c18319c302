"""The figures of a report as tables for a terminal."""

from collections.abc import Mapping
from typing import Any

from knowledge_update.evaluation.failures import REASONS
from knowledge_update.evaluation.formats import known, percent, span, stages_of
from knowledge_update.evaluation.judge.shown import tables as judged_tables
from knowledge_update.evaluation.names import SHORT

ASKED_ALL = ("base", "updated", "open_book")


def terminal_tables(figures: Mapping[str, Any]) -> list[tuple[str, list[str], list[list[str]]]]:
    """The figures as (title, columns, rows), each fit for `display.table`; what was not measured is left out."""
    facts, seconds = figures["facts"], stages_of(figures)
    questions = [_terminal_row(name, figures[key]) for key, name in SHORT.items() if key in figures]
    columns = ["questions", "n", "base", "updated", "open book", "95 % interval"]
    found = [("Questions answered right", columns, questions)]
    searched = [_terminal_search(name, part) for key, name in SHORT.items() if (part := _searched(figures, key))]
    if searched:
        if together := figures.get("retrieval"):
            searched.append(_terminal_search("all not trained", together))
        columns = ["questions", "drawn", "base", "updated", "open book", "base, search", "updated, search"]
        found.append(("With passages searched for", columns, searched))
    if unknown := figures.get("unanswerable"):
        row = ["unanswerable", str(unknown["n"]), percent(unknown["base"]), percent(unknown["updated"])]
        columns = ["questions", "n", "base", "updated", "95 % interval"]
        found.append(("Answers invented", columns, [[*row, span(unknown["intervals"]["updated"])]]))
    if retention := figures.get("retention"):
        found.append(_terminal_retention(retention))
    if updates := figures.get("updates"):
        columns = ["facts", "asked", "base", "updated", "95 % interval", "old value given as present"]
        found.append(("Facts that hold no longer", columns, [_terminal_past(name, updates[name]) for name in updates]))
    if judge := figures.get("judge"):
        found += judged_tables(judge, judge["sets"])
    learned = [str(facts["n"]), str(facts["asked"]), str(facts["learned"]), _share(facts["learned"], facts["asked"])]
    found.append(("Facts learned", ["", "in documents", "asked", "learned", "share"], [["facts", *learned]]))
    if missed := facts.get("missed"):
        found.append(("Facts not learned", ["why", "facts"], [[REASONS[name], str(n)] for name, n in missed.items()]))
    if seconds:
        times = [[name, f"{value:,.1f}"] for name, value in seconds.items()]
        found.append(("Time", ["stage", "seconds"], [*times, ["total", f"{sum(seconds.values()):,.1f}"]]))
    return found


def _terminal_row(name: str, part: Mapping[str, Any]) -> list[str]:
    if not part["n"]:
        return [name, "0", "–", "–", "–", "–"]
    return [name, str(part["n"]), *(percent(part[model]) for model in ASKED_ALL), span(part["interval"])]


def _terminal_past(name: str, part: Mapping[str, Any]) -> list[str]:
    label = {"superseded": "superseded: what is so now", "gone": "gone: what was so"}[name]
    outdated = percent(part["outdated"]["updated"]) if "outdated" in part else ""
    shares = [percent(part["base"]), percent(part["updated"]), span(part["intervals"]["updated"])]
    return [label, f"{part['n']} of {part['of']}", *shares, outdated]


def _searched(figures: Mapping[str, Any], key: str) -> dict[str, Any]:
    found: dict[str, Any] = figures.get(key, {}).get("retrieval", {})
    return found


def _terminal_search(name: str, part: Mapping[str, Any]) -> list[str]:
    shares = (percent(part[model]) for model in (*ASKED_ALL, "base_retrieval", "updated_retrieval"))
    return [name, str(part["n"]), *shares]


def _terminal_retention(part: Mapping[str, Any]) -> tuple[str, list[str], list[list[str]]]:
    kept = [percent(part["kept"]), span(part["interval"])] if known(part) else ["–", "–"]
    row = ["general", str(part["n"]), percent(part["base"]), percent(part["updated"]), *kept]
    columns = ["questions", "n", "base", "updated", "kept", "95 % interval", "lost", "gained"]
    return "Retention", columns, [[*row, str(part["lost"]), str(part["gained"])]]


def _share(part: int, whole: int) -> str:
    return percent(part / whole) if whole else "–"
