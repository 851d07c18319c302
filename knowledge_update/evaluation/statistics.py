"""How certain a figure is: bootstrap intervals over questions (Efron 1979), paired for differences; McNemar's test."""

from collections import Counter
from collections.abc import Sequence
from fractions import Fraction

import numpy as np

Sample = np.ndarray[tuple[int], np.dtype[np.float64]]


def interval(values: Sequence[float], *, resamples: int, seed: int, level: float = 0.95) -> tuple[float, float]:
    """The percentile bootstrap interval of a mean.

    Few values are different, so that how often each is drawn is drawn instead of which question: the same
    distribution, in a time that does not depend on how many questions there are, nor on their order.

    Args:
        values: One value a question.
        resamples: How often the questions are drawn again.
        seed: Of the draws.
        level: Share of the resamples inside.
    """
    if not values:
        return (0.0, 0.0)
    sample, half = np.asarray(values, dtype=float), (resamples + 1) // 2
    # From both ends, so that a gain is exactly a loss the other way round.
    means = np.concatenate([_means(sample, half, seed), -_means(-sample, half, seed)])
    low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2])
    # A nought of the other end is a negative one: added to nought it is plain.
    return (round(float(low), 4) + 0.0, round(float(high), 4) + 0.0)


def _means(sample: Sample, resamples: int, seed: int) -> Sample:
    different, counts = np.unique(sample, return_counts=True)
    draws = np.random.default_rng(seed).multinomial(len(sample), counts / len(sample), size=resamples)
    return draws @ different / len(sample)


def paired_interval(left: Sequence[float], right: Sequence[float], *, resamples: int, seed: int) -> tuple[float, float]:
    """The interval of the mean difference left - right, the same questions drawn for both."""
    return interval([a - b for a, b in zip(left, right, strict=True)], resamples=resamples, seed=seed)


def mcnemar(left: Sequence[bool], right: Sequence[bool]) -> float:
    """How likely a difference as large as this is where both are equally good: McNemar's exact test, two-sided.

    Of the questions that one alone answers rightly (McNemar 1947), each is then either's with probability one half.

    Args:
        left: Whether one is right, question by question.
        right: Whether the other is.
    """
    found = Counter(zip(left, right, strict=True))
    fewer, more = sorted((found[True, False], found[False, True]))
    # Whole numbers: a float holds neither the terms of a thousand questions nor their sum.
    term = total = 1
    for drawn in range(fewer):
        term = term * (fewer + more - drawn) // (drawn + 1)
        total += term
    return min(1.0, float(Fraction(total, 2 ** (fewer + more - 1)))) if fewer < more else 1.0
