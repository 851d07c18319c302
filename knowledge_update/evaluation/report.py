"""The report of a run: one HTML page with its verdict, figures, drawings, and every question with its answers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from knowledge_update.config import Config
from knowledge_update.display import clean
from knowledge_update.evaluation import plots
from knowledge_update.evaluation.failures import REASONS
from knowledge_update.evaluation.formats import duration, known, percent, span, stages_of
from knowledge_update.evaluation.names import ANSWERED, MODELS, SETS
from knowledge_update.evaluation.pages import cleaned, embedded, write_page
from knowledge_update.run_config import to_yaml
from knowledge_update.run_folder import Row, RunFolder

# How many questions of each outcome are shown side by side.
SAMPLES = {"gained": 3, "missed": 3, "lost": 2, "invented": 1}


@dataclass(frozen=True)
class Tile:
    """A headline figure with what it rests on."""

    label: str
    value: str
    notes: tuple[str, ...]


def write(config: Config, folder: RunFolder, figures: dict[str, Any], details: Sequence[Row]) -> None:
    """Writes `report.html`: one self-contained page.

    Args:
        config: What the run was made with.
        folder: Where the page goes and the losses are.
        figures: What `evaluation.json` holds. What a judge found is shown where it is there, under `judge`
            (`templates/judge.html.jinja` says what of it).
        details: Every question with its scored answers and the origin of its fact.

    Raises:
        WorkError: When the page cannot be written.
    """
    figures, rows = cleaned(figures), cleaned(list(details))
    content = {
        "model": clean(config.model.name),
        "documents": clean(Path(config.documents).name) if config.documents else "",
        "configuration": clean(to_yaml(config)),
        "resamples": config.evaluation.resamples,
        "passages": config.evaluation.passages,
        "figures": figures,
        "answered": {name: part for name in ANSWERED if (part := figures.get(name)) and part["n"]},
        "searches": _searches(figures),
        "stages": stages_of(figures),
        "verdict": verdict(figures),
        "tiles": tiles(figures),
        "comparison": plots.comparison(figures),
        "loss": plots.loss(folder),
        "forgotten": plots.retention(folder),
        "sets": SETS,
        "models": MODELS,
        "reasons": REASONS,
        "samples": samples(rows),
        "documents_asked": _documents_asked(figures, rows),
        "rows": rows,
        "embedded": embedded({"sets": SETS, "models": MODELS, "reasons": REASONS, "rows": list(map(_embedded, rows))}),
    }
    write_page(folder.report, "report.html.jinja", content)


def verdict(figures: Mapping[str, Any]) -> str:
    """The run in one sentence."""
    held_out, retention = figures["held_out"], figures.get("retention")
    kept = ""
    if retention and known(retention):
        kept = f"keeps {percent(retention['kept'])} of what the base knew"
    if not held_out["n"]:
        return "No held-out question was asked" + (f"; the updated model {kept}." if kept else ".")
    updated, base, book = (percent(held_out[name]) for name in ("updated", "base", "open_book"))
    asked = f"{held_out['n']:,} held-out question{'s' if held_out['n'] > 1 else ''}"
    answers = f"The updated model answers {updated} of {asked} right (base {base}, with the passage open {book})"
    return f"{answers} and {kept}." if kept else f"{answers}."


def tiles(figures: Mapping[str, Any]) -> list[Tile]:
    """The headline figures; what was not measured is left out."""
    found = [
        Tile(SETS[name], percent(part["updated"]), (_with_interval(part), f"n = {part['n']:,}"))
        for name in ("held_out", "human")
        if (part := figures.get(name)) and part["n"]
    ]
    retention, facts, seconds = figures.get("retention"), figures["facts"], stages_of(figures)
    if retention and (before := known(retention)):
        notes = (_with_interval(retention), f"n = {before:,} known before")
        found.append(Tile("Knowledge kept", percent(retention["kept"]), notes))
    if unknown := figures.get("unanswerable"):
        notes = (
            f"{span(unknown['intervals']['updated'])} (95 % CI)",
            f"base {percent(unknown['base'])}, n = {unknown['n']}",
        )
        found.append(Tile("Invented answers", percent(unknown["updated"]), notes))
    if facts["asked"]:
        notes = (f"of {facts['asked']:,} asked", f"{facts['n']:,} in the documents")
        found.append(Tile("Facts learned", f"{facts['learned']:,}", notes))
    if seconds:
        stages = f"{len(seconds)} stage{'s' if len(seconds) > 1 else ''}"
        found.append(Tile("Total time", duration(sum(seconds.values())), (stages,)))
    return found


def samples(rows: Sequence[Row]) -> list[tuple[str, Row]]:
    """A few questions of each outcome, drawn the same way every time."""
    left, found = dict(SAMPLES), list[tuple[str, Row]]()
    for row in sorted(rows, key=lambda row: sha256(row["id"].encode("utf-8", "replace")).digest()):
        outcome = _outcome(row)
        if left.get(outcome):
            left[outcome] -= 1
            found.append((outcome, row))
    return sorted(found, key=lambda pair: list(SAMPLES).index(pair[0]))


def _outcome(row: Row) -> str:
    before, after = row["base"]["right"], row["updated"]["right"]
    if row["set"] == "unanswerable":
        return "" if after else "invented"
    if row["set"] == "retention":
        return "lost" if before and not after else ""
    if row["set"] in ("trained", "superseded", "gone"):
        return ""
    return "missed" if not after else "" if before else "gained"


def _embedded(row: Row) -> Row:
    """What the page shows of a question; responses as [text, right]."""
    kept: Row = {key: row[key] for key in ("set", "question", "answers")}
    kept["doc"] = row.get("doc_id") or ""
    kept |= {name: [row[name]["response"], bool(row[name]["right"])] for name in MODELS if name in row}
    kept |= {key: row[key] for key in ("near", "reason") if row.get(key)}
    return kept | {key: value for key, value in (row.get("origin") or {}).items() if key in ("text", "quote", "path")}


def _searches(figures: Mapping[str, Any]) -> list[tuple[str, int, Mapping[str, Any]]]:
    """Sets that were asked with passages searched for, and all together: label, questions, figures."""
    sets = {name: figures.get(name, {}) for name in ANSWERED}
    found = [(SETS[name], part["n"], part["retrieval"]) for name, part in sets.items() if "retrieval" in part]
    if "retrieval" in figures:
        asked = sum(sets[name].get("n", 0) for name in ("held_out", "human", "multi"))
        found.append(("All that were not trained", asked, figures["retrieval"]))
    return found


def _documents_asked(figures: Mapping[str, Any], rows: Sequence[Row]) -> dict[str, str]:
    """Documents that a question is about, with a name to choose them by."""
    titles = {doc_id: part["title"] for doc_id, part in figures["facts"]["by_document"].items()}
    asked = sorted({row["doc_id"] for row in rows if row.get("doc_id")})
    return {doc_id: f"{titles[doc_id]} ({doc_id})" if titles.get(doc_id) else doc_id for doc_id in asked}


def _with_interval(part: Mapping[str, Any]) -> str:
    return f"{span(part['interval'])} (95 % CI)"
