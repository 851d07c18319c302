"""The report of a run: one HTML page that loads nothing from elsewhere, and the same figures as tables for a terminal.

Every text of a document, a question file or a model is foreign: the template escapes it, the embedded rows are escaped
for a script element, the page builds them as text nodes, and its content security policy allows its one script only.
"""

import base64
import hashlib
import html
import io
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from knowledge_update import __version__
from knowledge_update.config import Config
from knowledge_update.display import clean
from knowledge_update.evaluation.judge.shown import tables as judged_tables
from knowledge_update.run_config import to_yaml
from knowledge_update.run_folder import Row, RunFolder, whole_file

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    Draw = Callable[[Figure], None]
    Losses = np.ndarray[tuple[int], np.dtype[np.float64]]

MODELS = {"base": "base", "updated": "updated", "open_book": "open book"}
SETS = {
    "held_out": "Held-out questions", "human": "Human questions", "reversed": "Reversed questions",
    "multi": "Multi-document questions", "retention": "General knowledge",
}  # fmt: skip
TERMINAL_SETS = {
    "held_out": "held-out probes", "human": "human questions", "reversed": "reversed", "multi": "multi-document",
}  # fmt: skip
# The plots are drawn in stand-in colours, which become the page's own, so that they follow its light and dark.
COLOURS = {
    "ink": "#000001", "muted": "#000002", "line": "#000003",
    "base": "#000004", "updated": "#000005", "open_book": "#000006",
}  # fmt: skip
WIDTHS = {"wide": 7.6, "narrow": 3.5}
SMOOTHED_PARTS = 40
PITCH = 4.5
SCRIPT_ESCAPES = {ord(char): f"\\u{ord(char):04x}" for char in "<>&\u2028\u2029"}


@dataclass(frozen=True)
class Tile:
    """A headline figure with what it rests on."""

    label: str
    value: str
    notes: tuple[str, ...]


@dataclass(frozen=True)
class Plot:
    """One drawing in a wide and a narrow cut, and what its caption says."""

    drawings: dict[str, Markup]
    caption: str = ""


def write(config: Config, folder: RunFolder, figures: dict[str, Any], details: Sequence[Row]) -> None:
    """Writes `report.html`: one self-contained page.

    Args:
        config: What the run was made with.
        folder: Where the page goes and the losses are.
        figures: What `evaluation.json` holds.
        details: Every question with its scored answers and the origin of its fact.

    Raises:
        WorkError: When the page cannot be written.
    """
    figures, rows = _cleaned(figures), _cleaned(list(details))
    page = _environment().get_template("report.html.jinja").render(
        model=clean(config.model.name),
        documents=clean(Path(config.documents).name) if config.documents else "",
        configuration=clean(to_yaml(config)),
        resamples=config.evaluation.resamples,
        version=__version__,
        figures=figures,
        stages=stages_of(figures),
        verdict=verdict(figures),
        tiles=tiles(figures),
        comparison=_comparison(figures),
        loss=_loss(folder),
        sets=SETS,
        models=MODELS,
        documents_asked=_documents_asked(figures, rows),
        rows=rows,
        embedded=embedded(rows),
    )  # fmt: skip
    with whole_file(folder.report) as file:
        # A file name that is not UTF-8 reaches this as lone surrogates, which no UTF-8 file can hold.
        file.write(page.encode("utf-8", "replace").decode())


def verdict(figures: Mapping[str, Any]) -> str:
    """The run in one sentence."""
    held_out, retention = figures["held_out"], figures.get("retention")
    kept = ""
    if retention and _known(retention):
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
    if retention and (known := _known(retention)):
        notes = (_with_interval(retention), f"n = {known:,} known before")
        found.append(Tile("Knowledge kept", percent(retention["kept"]), notes))
    if facts["asked"]:
        notes = (f"of {facts['asked']:,} asked", f"{facts['n']:,} in the documents")
        found.append(Tile("Facts learned", f"{facts['learned']:,}", notes))
    if seconds:
        stages = f"{len(seconds)} stage{'s' if len(seconds) > 1 else ''}"
        found.append(Tile("Total time", duration(sum(seconds.values())), (stages,)))
    return found


def terminal_tables(figures: Mapping[str, Any]) -> list[tuple[str, list[str], list[list[str]]]]:
    """The figures as (title, columns, rows), each fit for `display.table`; what was not measured is left out."""
    facts, seconds = figures["facts"], stages_of(figures)
    questions = [_terminal_row(name, figures[key]) for key, name in TERMINAL_SETS.items() if key in figures]
    columns = ["questions", "n", "base", "updated", "open book", "95 % interval"]
    found = [("Questions answered right", columns, questions)]
    if retention := figures.get("retention"):
        found.append(_terminal_retention(retention))
    if judge := figures.get("judge"):
        found += judged_tables(judge, judge["sets"])
    learned = [str(facts["n"]), str(facts["asked"]), str(facts["learned"]), _share(facts["learned"], facts["asked"])]
    found.append(("Facts learned", ["", "in documents", "asked", "learned", "share"], [["facts", *learned]]))
    if seconds:
        times = [[name, f"{value:,.1f}"] for name, value in seconds.items()]
        found.append(("Time", ["stage", "seconds"], [*times, ["total", f"{sum(seconds.values()):,.1f}"]]))
    return found


def _terminal_row(name: str, part: Mapping[str, Any]) -> list[str]:
    if not part["n"]:
        return [name, "0", "–", "–", "–", "–"]
    return [name, str(part["n"]), *(percent(part[model]) for model in MODELS), span(part["interval"])]


def _terminal_retention(part: Mapping[str, Any]) -> tuple[str, list[str], list[list[str]]]:
    kept = [percent(part["kept"]), span(part["interval"])] if _known(part) else ["–", "–"]
    row = ["general", str(part["n"]), percent(part["base"]), percent(part["updated"]), *kept]
    columns = ["questions", "n", "base", "updated", "kept", "95 % interval", "lost", "gained"]
    return "Retention", columns, [[*row, str(part["lost"]), str(part["gained"])]]


def percent(share: float) -> str:
    """A share in whole percent; only all is 100 % and only nothing is 0 %."""
    return f"{_percent(share)} %"


def span(ends: Sequence[float]) -> str:
    """An interval of shares in percent."""
    return f"{_percent(ends[0])}–{_percent(ends[1])} %"


def points(difference: float) -> str:
    """A difference of shares in percentage points, with its sign."""
    rounded = round(100 * difference)
    return f"{rounded:+d}".replace("-", "−") if rounded else "0"


def stages_of(figures: Mapping[str, Any]) -> dict[str, float]:
    """Seconds by stage, without their sum."""
    return {name: value for name, value in figures["seconds"].items() if name != "total"}


def duration(seconds: float) -> str:
    """A time for reading: `8.5 s`, `3 min 20 s`, `1 h 05 min`."""
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02d} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02d} min"


def embedded(rows: Sequence[Row]) -> Markup:
    """The rows as JSON that can stand in a script element: nothing in it can end the element or begin another."""
    shown = {"sets": SETS, "models": MODELS, "rows": [_embedded_row(row) for row in rows]}
    text = json.dumps(shown, ensure_ascii=False, separators=(",", ":"))
    return Markup(text.translate(SCRIPT_ESCAPES))


def _embedded_row(row: Row) -> Row:
    """What the page shows of a question; responses as [text, right]."""
    kept: Row = {key: row[key] for key in ("set", "question", "answers")}
    kept["doc"] = row.get("doc_id") or ""
    kept |= {name: [row[name]["response"], bool(row[name]["right"])] for name in MODELS if name in row}
    return kept | {key: value for key, value in (row.get("origin") or {}).items() if key in ("text", "quote", "path")}


def _documents_asked(figures: Mapping[str, Any], rows: Sequence[Row]) -> dict[str, str]:
    """Documents that a question is about, with a name to choose them by."""
    titles = {doc_id: part["title"] for doc_id, part in figures["facts"]["by_document"].items()}
    asked = sorted({row["doc_id"] for row in rows if row.get("doc_id")})
    return {doc_id: f"{titles[doc_id]} ({doc_id})" if titles.get(doc_id) else doc_id for doc_id in asked}


def _cleaned(value: Any) -> Any:
    """The same value without control characters in any text."""
    if isinstance(value, str):
        return clean(value)
    if isinstance(value, Mapping):
        return {_cleaned(key): _cleaned(inner) for key, inner in value.items()}
    return [_cleaned(inner) for inner in value] if isinstance(value, list | tuple) else value


def _known(retention: Mapping[str, Any]) -> int:
    """How many questions the base answers right, which is what the kept share rests on."""
    return round(float(retention["base"]) * int(retention["n"]))


def _with_interval(part: Mapping[str, Any]) -> str:
    return f"{span(part['interval'])} (95 % CI)"


def _share(part: int, whole: int) -> str:
    return percent(part / whole) if whole else "–"


def _percent(share: float) -> str:
    value = 100 * share
    if 0 < value < 0.5 or 99.5 <= value < 100:
        return f"{min(max(value, 0.1), 99.9):.1f}"
    return f"{value:.0f}"


def _environment() -> Environment:
    found = Environment(
        loader=FileSystemLoader(Path(__file__).parent), autoescape=True, undefined=StrictUndefined,
        trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    found.filters |= {
        "percent": percent, "span": span, "points": points, "duration": duration,
        "sha256": _sha256, "unbroken": _unbroken,
    }  # fmt: skip
    return found


def _sha256(script: str) -> str:
    """The hash by which a content security policy knows a script."""
    return base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()


def _unbroken(text: str) -> str:
    """The text with its figures tied to their units."""
    return re.sub(r"(?<=\d) (?=%|s\b|min\b|h\b)", "\u00a0", text)


def _comparison(figures: Mapping[str, Any]) -> Plot | None:
    """Base, updated and open book side by side in each set of questions."""
    parts = {name: part for name in SETS if name != "retention" and (part := figures.get(name)) and part["n"]}
    if not parts:
        return None
    label = "; ".join(
        f"{SETS[name]}: " + ", ".join(f"{shown} {percent(part[model])}" for model, shown in MODELS.items())
        for name, part in parts.items()
    )
    return Plot(_cuts("comparison", label, 0.3 + 0.95 * len(parts), lambda figure: _draw_bars(figure, parts)))


def _draw_bars(figure: "Figure", parts: Mapping[str, Any]) -> None:
    axes = _axes(figure, left=0.85, bottom=0.3)
    heights = []
    for group, (name, part) in enumerate(parts.items()):
        title = f"{SETS[name]}, n = {part['n']:,}"
        axes.text(0, PITCH * group, title, va="center", color=COLOURS["ink"], weight="bold")
        for row, model in enumerate(MODELS, start=1):
            place = PITCH * group + row
            low, high = (100 * end for end in part["intervals"][model])
            value = 100 * part[model]
            axes.barh(place, value, height=0.62, color=COLOURS[model], zorder=2)
            axes.plot([low, high], [place, place], "|-", color=COLOURS["ink"], linewidth=1, markersize=5, zorder=3)
            axes.text(max(high, value) + 2, place, percent(part[model]), va="center", color=COLOURS["ink"])
            heights.append(place)
    axes.set_yticks(heights, list(MODELS.values()) * len(parts))
    axes.set_ylim(PITCH * len(parts) - 0.7, -0.6)
    axes.set_xlim(0, 115)
    axes.set_xticks([0, 25, 50, 75, 100], ["0", "25", "50", "75", "100 %"])
    axes.grid(axis="x", color=COLOURS["line"], linewidth=0.8)
    axes.spines["bottom"].set_visible(False)


def _loss(folder: RunFolder) -> Plot | None:
    """The loss of every step; None when the folder holds none."""
    if not folder.losses.exists():
        return None
    losses: Losses = np.load(folder.losses, allow_pickle=False).astype(np.float64).ravel()
    window = max(1, len(losses) // SMOOTHED_PARTS)
    smooth = np.convolve(losses, np.full(window, 1 / window), "valid") if len(losses) else losses
    if not np.isfinite(smooth).any():
        return None
    caption = f"{len(losses):,} optimizer steps. "
    caption += f"The line is the mean of {window:,} steps at a time; it ends at {smooth[-1]:.3g}."
    label = f"Training loss. {caption}"
    return Plot(_cuts("loss", label, 2.3, lambda figure: _draw_loss(figure, losses, smooth)), caption)


def _draw_loss(figure: "Figure", losses: "Losses", smooth: "Losses") -> None:
    axes = _axes(figure, left=0.45, bottom=0.45)
    first = (len(losses) - len(smooth)) / 2 + 1
    axes.plot(np.arange(1, len(losses) + 1), losses, color=COLOURS["base"], linewidth=0.6, alpha=0.8)
    axes.plot(np.arange(len(smooth)) + first, smooth, color=COLOURS["updated"], linewidth=1.8)
    axes.set_ylim(0, 1.05 * float(np.nanmax(np.where(np.isfinite(losses), losses, np.nan))) or 1)
    axes.set_xlim(1, max(2, len(losses)))
    axes.set_xlabel("step", color=COLOURS["muted"])
    axes.locator_params(axis="y", nbins=5)
    axes.grid(axis="y", color=COLOURS["line"], linewidth=0.8)


def _axes(figure: "Figure", *, left: float, bottom: float) -> Any:
    """Axes with the given margins in inches and nothing that is not needed."""
    width, height = figure.get_size_inches()
    axes = figure.add_axes((left / width, bottom / height, 1 - (left + 0.12) / width, 1 - (bottom + 0.08) / height))
    axes.set_axisbelow(True)
    axes.tick_params(length=0, labelcolor=COLOURS["muted"], pad=5)
    for side, spine in axes.spines.items():
        spine.set_visible(side == "bottom")
        spine.set_color(COLOURS["line"])
    return axes


def _cuts(name: str, label: str, height: float, draw: "Draw") -> dict[str, Markup]:
    """A drawing as inline SVG in every cut; the same input gives the same text."""
    from matplotlib import rc_context, rcdefaults, rcParams
    from matplotlib.figure import Figure

    found = {}
    with rc_context():
        rcdefaults()
        rcParams.update({"svg.fonttype": "none", "svg.hashsalt": name, "font.size": 9})
        for cut, width in WIDTHS.items():
            figure, file = Figure(figsize=(width, height)), io.StringIO()
            draw(figure)
            nothing = dict.fromkeys(("Date", "Creator", "Format", "Type"))
            figure.savefig(file, format="svg", transparent=True, metadata=nothing)
            found[cut] = _inline(file.getvalue(), f"{name}-{cut}", label)
    return found


def _inline(svg: str, name: str, label: str) -> Markup:
    """An SVG file as an element of the page: sized by it, in its colours, with names of its own."""
    head, sign, body = svg[svg.index("<svg") :].partition(">")
    head = re.sub(r' (?:width|height)="[^"]*"', "", head)
    shown = f'class="{name.rpartition("-")[2]}" role="img" aria-label="{html.escape(label)}"'
    head = head.replace("<svg", f"<svg {shown}", 1)
    body = re.sub(r'(\bid="|url\(#|href="#)', rf"\g<1>{name}-", body)
    for colour, stand_in in COLOURS.items():
        body = body.replace(stand_in, f"var(--{colour.replace('_', '-')})")
    return Markup(head + sign + body)
