"""What comes of verdicts: shares with intervals, bounds where verdicts are missing, lengths beside them.

`share` is the mean of the verdicts that there are, `interval` its 95 % bootstrap interval, `bounds` the share were all
missing verdicts 0, and were they 1. `length` holds mean words of an answer, and how far longer answers (of pairs:
longer than the other) go with better verdicts, as a correlation; nothing where either does not vary.
"""

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

from knowledge_update.evaluation.judge.cases import Verdict
from knowledge_update.evaluation.scoring import tokens
from knowledge_update.evaluation.statistics import interval

DIGITS = 4


Draw = dict[str, int]


def accuracy(verdicts: Sequence[Verdict], answers: Sequence[str], draw: Draw) -> dict[str, Any]:
    """How many answers of a model are right."""
    lengths = [len(tokens(answer)) for answer in answers]
    length = {"mean": _mean(lengths), "correlation": _correlation(lengths, verdicts)}
    return _judged(verdicts, length, draw)


def win_rate(
    verdicts: Sequence[Verdict],
    pairs: Sequence[tuple[str, str]],
    right: Sequence[tuple[Verdict, Verdict]],
    draw: Draw,
) -> dict[str, Any]:
    """How often the first of two answers is better; a tie counts one half.

    Args:
        verdicts: One a pair.
        pairs: The two answers.
        right: Whether each is right, as the same judge said: a win of a wrong answer over a right one is counted.
        draw: Resamples and seed of the interval.
    """
    lengths = [(len(tokens(first)), len(tokens(second))) for first, second in pairs]
    longer = [first - second for first, second in lengths]
    length = {
        "updated": _mean([first for first, _ in lengths]), "base": _mean([second for _, second in lengths]),
        "correlation": _correlation(longer, verdicts),
    }  # fmt: skip
    values, reasons = Counter(verdict.value for verdict in verdicts), Counter(verdict.reason for verdict in verdicts)
    settled = [
        (verdict.value, first.value) for verdict, (first, second) in zip(verdicts, right, strict=True)
        if {first.value, second.value} == {0.0, 1.0} and verdict.value is not None
    ]  # fmt: skip
    against = sum(value == 1 - first for value, first in settled if first is not None)
    return {
        **_judged(verdicts, length, draw),
        "wins": values[1.0], "ties": values[0.5], "losses": values[0.0], "disagreed": reasons["disagreed"],
        "same": reasons["same"], "one_right": len(settled), "against_accuracy": against,
    }  # fmt: skip


def _judged(verdicts: Sequence[Verdict], length: dict[str, float | None], draw: Draw) -> dict[str, Any]:
    known = [verdict.value for verdict in verdicts if verdict.value is not None]
    count, unknown = max(1, len(verdicts)), len(verdicts) - len(known)
    reasons = Counter(verdict.reason for verdict in verdicts)
    return {
        "n": len(verdicts), "share": _mean(known), "interval": interval(known, **draw),
        "bounds": (round(sum(known) / count, DIGITS), round((sum(known) + unknown) / count, DIGITS)),
        "unparsable": reasons["unparsable"], "unanswered": reasons["unanswered"], "length": length,
    }  # fmt: skip


def _mean(values: Sequence[float]) -> float | None:
    return round(sum(values) / len(values), DIGITS) if values else None


def _correlation(lengths: Sequence[float], verdicts: Sequence[Verdict]) -> float | None:
    """Pearson's, over the verdicts that there are."""
    known = [(length, v.value) for length, v in zip(lengths, verdicts, strict=True) if v.value is not None]
    columns = np.asarray(known, dtype=float).reshape(-1, 2).T
    if any(len(set(column)) < 2 for column in columns.tolist()):
        return None
    return round(float(np.corrcoef(columns)[0, 1]), DIGITS)
