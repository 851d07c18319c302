"""The drawings of a report, as inline SVG in a wide and a narrow cut."""

import html
import io
import re
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from markupsafe import Markup

from knowledge_update.evaluation.formats import percent
from knowledge_update.evaluation.names import ANSWERED, MODELS, SETS
from knowledge_update.run_folder import RunFolder, read_journal

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    Draw = Callable[[Figure], None]
    Losses = np.ndarray[tuple[int], np.dtype[np.float64]]

# The plots are drawn in stand-in colours, which become the page's own, so that they follow its light and dark.
COLOURS = {
    "ink": "#000001", "muted": "#000002", "line": "#000003",
    "base": "#000004", "updated": "#000005", "open_book": "#000006", "base_retrieval": "#000007",
    "updated_retrieval": "#000008",
}  # fmt: skip
WIDTHS = {"wide": 7.6, "narrow": 3.5}
SMOOTHED_PARTS = 40
# What `training.retention` looks at.
WATCHED = {
    "kl": "KL divergence from the untouched model on general prompts that were not replayed, nats a token",
    "perplexity": "Perplexity of general texts",
}
# Characters of a label that fit.
LABEL = 22
# Of a row, in inches, and rows that a title takes.
ROW_INCHES, GAP = 0.21, 1.5


@dataclass(frozen=True)
class Plot:
    """One drawing in a wide and a narrow cut, and what its caption says."""

    drawings: dict[str, Markup]
    caption: str = ""


def comparison(figures: Mapping[str, Any]) -> Plot | None:
    """Everyone who was asked side by side in each set of questions."""
    bars = {name: _bars(part) for name in ANSWERED if (part := figures.get(name)) and part["n"]}
    if not bars:
        return None
    label = "; ".join(
        f"{SETS[name]}: " + ", ".join(f"{MODELS[bar.model]} {percent(bar.share)}" for bar in part)
        for name, part in bars.items()
    )
    titles = {name: f"{SETS[name]}, n = {figures[name]['n']:,}" for name in bars}
    height = 0.3 + ROW_INCHES * sum(len(part) + GAP for part in bars.values())
    return Plot(_cuts("comparison", label, height, lambda figure: _draw_bars(figure, titles, bars)))


def runs(figures: Sequence[tuple[str, Mapping[str, Any]]], shown: Sequence[str]) -> Plot | None:
    """The updated models of several runs side by side in each set of questions.

    Args:
        figures: Names of runs, each with what its `evaluation.json` holds.
        shown: Sets of questions.
    """
    bars = {
        name: [
            _Bar("updated" if number else "base", run if len(run) <= LABEL else f"…{run[1 - LABEL :]}", part["updated"],
                 part["interval"])
            for number, (run, of_run) in enumerate(figures) if (part := of_run.get(name)) and part["n"]
        ]
        for name in shown
    }  # fmt: skip
    if not bars:
        return None
    label = "; ".join(
        f"{SETS[name]}: " + ", ".join(f"{bar.label} {percent(bar.share)}" for bar in part)
        for name, part in bars.items()
    )
    titles = {name: SETS[name] for name in bars}
    height = 0.3 + ROW_INCHES * sum(len(part) + GAP for part in bars.values())
    return Plot(_cuts("runs", label, height, lambda figure: _draw_bars(figure, titles, bars)))


@dataclass(frozen=True)
class _Bar:
    """A share with its interval; `model` says in which colour, `label` whose it is."""

    model: str
    label: str
    share: float
    ends: tuple[float, float]


def _bars(part: Mapping[str, Any]) -> list[_Bar]:
    """Those who were asked all questions of a set, and those who were asked a sample of them, which the label says."""
    searched = part.get("retrieval", {})
    found = [_Bar(name, MODELS[name], part[name], part["intervals"][name]) for name in ("base", "updated", "open_book")]
    for name in ("base_retrieval", "updated_retrieval"):
        if name in searched:
            label = f"{MODELS[name]} ({searched['n']:,})"
            found.append(_Bar(name, label, searched[name], searched["intervals"][name]))
    return found


def _draw_bars(figure: "Figure", titles: Mapping[str, str], bars: Mapping[str, Sequence[_Bar]]) -> None:
    axes = _axes(figure, left=1.4, bottom=0.3)
    places: dict[float, str] = {}
    top = 0.0
    for name, part in bars.items():
        axes.text(0, top, titles[name], va="center", color=COLOURS["ink"], weight="bold")
        for place, bar in enumerate(part, start=1):
            low, high = (100 * end for end in bar.ends)
            value, height = 100 * bar.share, top + place
            axes.barh(height, value, height=0.62, color=COLOURS[bar.model], zorder=2)
            axes.plot([low, high], [height, height], "|-", color=COLOURS["ink"], linewidth=1, markersize=5, zorder=3)
            axes.text(max(high, value) + 2, height, percent(bar.share), va="center", color=COLOURS["ink"])
            places[height] = bar.label
        top += len(part) + GAP
    axes.set_yticks(list(places), list(places.values()))
    axes.set_ylim(top - 0.7, -0.6)
    axes.set_xlim(0, 115)
    axes.set_xticks([0, 25, 50, 75, 100], ["0", "25", "50", "75", "100 %"])
    axes.grid(axis="x", color=COLOURS["line"], linewidth=0.8)
    axes.spines["bottom"].set_visible(False)


def loss(folder: RunFolder) -> Plot | None:
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


def logged_loss(steps: Sequence[int], losses: Sequence[float]) -> Plot | None:
    """The loss as a training tells it while it goes on: means of the steps since the line before."""
    values: Losses = np.asarray(losses, dtype=np.float64)
    if not np.isfinite(values).any():
        return None
    return _line("logged-loss", steps, values, 2.3, f"The loss up to step {steps[-1]:,}.")


def retention(folder: RunFolder) -> list[Plot]:
    """What a training took from the model on the way, as far as it was looked at."""
    rows = read_journal(folder.metrics)
    told: list[Plot] = []
    for name, what in WATCHED.items():
        # After a kill steps may be taken again, and told again.
        points = {row["step"]: float(row[name]) for row in rows if name in row}
        if points:
            steps, values = zip(*sorted(points.items()), strict=True)
            caption = f"{what}: {values[0]:.3g} at step {steps[0]:,}, {values[-1]:.3g} at step {steps[-1]:,}."
            told.append(_line(name, steps, np.asarray(values), 1.7, caption))
    return told


def _line(name: str, steps: Sequence[int], values: "Losses", height: float, caption: str) -> Plot:
    def draw(figure: "Figure") -> None:
        axes = _loss_axes(figure, values, last=steps[-1])
        axes.plot(steps, values, color=COLOURS["updated"], linewidth=1.8)
        axes.set_xlim(min(1, steps[0]), max(2, steps[-1]))

    return Plot(_cuts(name, caption, height, draw), caption)


def _draw_loss(figure: "Figure", losses: "Losses", smooth: "Losses") -> None:
    axes = _loss_axes(figure, losses, last=len(losses))
    first = (len(losses) - len(smooth)) / 2 + 1
    axes.plot(np.arange(1, len(losses) + 1), losses, color=COLOURS["base"], linewidth=0.6, alpha=0.8)
    axes.plot(np.arange(len(smooth)) + first, smooth, color=COLOURS["updated"], linewidth=1.8)


def _loss_axes(figure: "Figure", losses: "Losses", *, last: int) -> Any:
    """Axes for a loss up to the last step."""
    axes = _axes(figure, left=0.45, bottom=0.45)
    axes.set_ylim(0, 1.05 * float(np.nanmax(np.where(np.isfinite(losses), losses, np.nan))) or 1)
    axes.set_xlim(1, max(2, last))
    axes.set_xlabel("step", color=COLOURS["muted"])
    axes.locator_params(axis="y", nbins=5)
    axes.grid(axis="y", color=COLOURS["line"], linewidth=0.8)
    return axes


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
    with rc_context(), warnings.catch_warnings():
        # Names stay texts, which the reader's own fonts show.
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
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
