"""The figures of an arm: shares over its seeds, with intervals over questions."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from statistics import fmean
from typing import Any

from knowledge_update.evaluation.statistics import interval, paired_interval

RESAMPLES = 2000
Row = dict[str, Any]
# The sets that are told, and which questions are in each; `reversed` ones are people's too.
SETS: dict[str, Callable[[Row], bool]] = {
    "held_out": lambda row: row["set"] == "held_out",
    "human": lambda row: row["set"] == "human",
    "reversed": lambda row: row["set"] == "human" and row["kind"] == "reversed",
    "kept": lambda row: row["set"] == "retention" and row["right"]["base"],
}


def of(seeds: Sequence[Row], model: str = "updated") -> Row:
    """An arm's figures.

    Args:
        seeds: What each of its trainings came to, with its `answers`.
        model: Whose answers they are of.
    """
    right = {name: _values(seeds, name, "right", model) for name in SETS}
    open_book = {name: _values(seeds, name, "right", "open_book") for name in SETS if name != "kept"}
    f1 = {name: _values(seeds, "human", "f1", name) for name in (model, "open_book")}
    intervals = {name: _interval(values) for name, values in right.items()}
    asked = "human" if right["human"] else "held_out"
    return {
        **{name: _mean(values.values()) for name, values in right.items()},
        "open_book": _mean(open_book[asked].values()), "interval": intervals["held_out"], "intervals": intervals,
        "open_books": {name: _mean(values.values()) for name, values in open_book.items()},
        "human_f1": _mean(f1[model].values()), "open_book_f1": _mean(f1["open_book"].values()),
        "n": {name: len(values) for name, values in right.items()},
        "seeds": len(seeds), "by_seed": {name: [_mean(_values([row], name, "right", model).values()) for row in seeds]
                                         for name in SETS},
        **{name: round(fmean(row[name] for row in seeds), 1) for name in ("seconds", "asked_seconds", "steps", "rows")
           if all(name in row for row in seeds)},
        "load": [row["load"] for row in seeds if "load" in row],
    }  # fmt: skip


def ahead(ours: Sequence[Row], other: Sequence[Row]) -> Row:
    """By how much ours is ahead of another arm in each set, with the interval of the difference over questions."""
    found = {}
    for name in SETS:
        left, right = (_values(seeds, name, "right", "updated") for seeds in (ours, other))
        both = [identity for identity in left if identity in right]
        if both:
            pair = [left[identity] for identity in both], [right[identity] for identity in both]
            low, high = paired_interval(*pair, resamples=RESAMPLES, seed=0)
            # No negative zeros, which a table would show.
            found[name] = {"by": round(fmean(pair[0]) - fmean(pair[1]), 4), "interval": (low + 0.0, high + 0.0)}
    return found


def _values(seeds: Sequence[Row], chosen: str, what: str, model: str) -> dict[str, float]:
    """Of each question of a set its mean over the seeds: a question asked three times is no three questions."""
    found: dict[str, list[float]] = defaultdict(list)
    for row in (row for seed in seeds for row in seed["answers"] if SETS[chosen](row)):
        found[row["id"]].append(float(row[what][model]))
    return {identity: fmean(values) for identity, values in found.items()}


def _mean(values: Iterable[float]) -> float | None:
    every = list(values)
    return round(fmean(every), 4) if every else None


def _interval(values: dict[str, float]) -> tuple[float, float] | None:
    if not values:
        return None
    low, high = interval(list(values.values()), resamples=RESAMPLES, seed=0)
    return low + 0.0, high + 0.0


def table(arms: dict[str, Row]) -> str:
    """The figures of a corpus as a table in Markdown."""
    lines = [
        "| arm | held out | human | reversed | kept | seconds | steps | rows | ahead (held out) |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    return "\n".join([*lines, *(line(name, row) for name, row in arms.items())])


def line(name: str, row: Row) -> str:
    """An arm's line of that table."""
    if "error" in row:
        return f"| {name} | {' '.join(row['error'].split())[:160]} | | | | | | | |"
    shares = [_shown(row[part], row["intervals"][part]) for part in SETS]
    counts = [f"{row[part]:,.0f}" if part in row else "–" for part in ("seconds", "steps", "rows")]
    lead = row.get("ahead", {}).get("held_out")
    return f"| {' | '.join([name, *shares, *counts, _shown(lead['by'], lead['interval']) if lead else '–'])} |"


def _shown(share: float | None, spread: Sequence[float] | None) -> str:
    return "–" if share is None or spread is None else f"{share:.2f} [{spread[0]:.2f}, {spread[1]:.2f}]"
