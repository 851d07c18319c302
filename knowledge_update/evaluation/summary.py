"""Figures of a set of scored questions: shares, intervals, tests, and the same on parts of it."""

import math
from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Any

from knowledge_update.config import Config
from knowledge_update.evaluation.statistics import interval, mcnemar, paired_interval
from knowledge_update.run_folder import Row

MODELS = ("base", "updated", "open_book")
RETRIEVAL = ("base_retrieval", "updated_retrieval")


class Summary:
    """Sums up rows, each with {response, right, f1} under the name of everyone who was asked.

    Args:
        config: How often questions are drawn again, and the seed of the draws.
    """

    def __init__(self, config: Config) -> None:
        self.draw = {"resamples": config.evaluation.resamples, "seed": config.seed}

    def of(self, rows: Sequence[Row]) -> dict[str, Any]:
        """Shares, intervals and F1; of those among them that were also asked with passages searched for, the same.

        Where questions are worded nearly like trained ones, the shares without them stand beside.
        """
        found = {"n": len(rows), **self._shares(rows, MODELS)}
        right = {name: [bool(row[name]["right"]) for row in rows] for name in MODELS}
        found["interval"] = found["intervals"]["updated"]
        found["gain"] = paired_interval(right["updated"], right["base"], **self.draw)
        found["against_open_book"] = paired_interval(right["updated"], right["open_book"], **self.draw)
        found["mcnemar"] = {name: mcnemar(right["updated"], right[name]) for name in ("base", "open_book")}
        found["f1"] = {name: mean([row[name]["f1"] for row in rows]) for name in MODELS}
        if searched := [row for row in rows if all(name in row for name in RETRIEVAL)]:
            found["retrieval"] = self.retrieval(searched)
        if near := sum(bool(row.get("near")) for row in rows):
            apart = [row for row in rows if not row.get("near")]
            found["near_trained"] = near
            found["without_near"] = {"n": len(apart), **self._shares(apart, MODELS)}
        return found

    def retrieval(self, rows: Sequence[Row]) -> dict[str, Any]:
        """With passages searched for, and beside it the others on the same questions."""
        updated, searched = ([bool(row[name]["right"]) for row in rows] for name in ("updated", "base_retrieval"))
        return {
            "n": len(rows), **self._shares(rows, [*MODELS, *RETRIEVAL]),
            "gain": paired_interval(updated, searched, **self.draw), "mcnemar": mcnemar(updated, searched),
        }  # fmt: skip

    def both(self, rows: Sequence[Row]) -> dict[str, Any]:
        """The two models on what only they were asked."""
        base, updated = ([bool(row[name]["right"]) for row in rows] for name in MODELS[:2])
        return {
            "n": len(rows), **self._shares(rows, MODELS[:2]), "gain": paired_interval(updated, base, **self.draw),
            "mcnemar": mcnemar(updated, base),
        }  # fmt: skip

    def unanswerable(self, rows: Sequence[Row]) -> dict[str, Any]:
        """How many answers are given to what nobody can know: the share that does not say so."""
        confident = {name: [not row[name]["right"] for row in rows] for name in MODELS[:2]}
        return {
            "n": len(rows), **{name: mean(values) for name, values in confident.items()},
            "intervals": {name: interval(values, **self.draw) for name, values in confident.items()},
            "gain": paired_interval(confident["updated"], confident["base"], **self.draw),
            "mcnemar": mcnemar(confident["updated"], confident["base"]),
        }  # fmt: skip

    def retention(self, rows: Sequence[Row]) -> dict[str, Any]:
        """What the base knew, and what of it is left."""
        base, updated = ([bool(row[name]["right"]) for row in rows] for name in MODELS[:2])
        kept = [after for before, after in zip(base, updated, strict=True) if before]
        return {
            "n": len(rows), "base": mean(base), "updated": mean(updated), "kept": mean(kept),
            "interval": interval(kept, **self.draw), "lost": sum(1 for value in kept if not value),
            "gained": sum(after and not before for before, after in zip(base, updated, strict=True)),
            "by_category": grouped(rows, "category", lambda group: {
                "n": len(group), **{name: mean([row[name]["right"] for row in group]) for name in MODELS[:2]},
            }),
        }  # fmt: skip

    def _shares(self, rows: Sequence[Row], names: Sequence[str]) -> dict[str, Any]:
        right = {name: [bool(row[name]["right"]) for row in rows] for name in names}
        shares = {name: mean(values) for name, values in right.items()}
        return {**shares, "intervals": {name: interval(values, **self.draw) for name, values in right.items()}}


def grouped(rows: Sequence[Row], key: str, count: Callable[[Sequence[Row]], dict[str, Any]]) -> dict[str, Any]:
    """What is counted of the rows, by a key of theirs."""
    groups: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        groups[str(row[key])].append(row)
    return {name: count(group) for name, group in sorted(groups.items())}


def mean(values: Sequence[float]) -> float:
    """The mean to four places, whatever the order of the values; of none it is 0."""
    return round(math.fsum(values) / len(values), 4) if values else 0.0
