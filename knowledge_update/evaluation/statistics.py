"""How certain a share is: bootstrap intervals over questions (Efron 1979), paired for differences."""

from collections.abc import Sequence

import numpy as np


def interval(values: Sequence[float], *, resamples: int, seed: int, level: float = 0.95) -> tuple[float, float]:
    """The percentile bootstrap interval of a mean.

    Args:
        values: One value a question.
        resamples: How often the questions are drawn again.
        seed: Of the draws.
        level: Share of the resamples inside.
    """
    if not values:
        return (0.0, 0.0)
    sample = np.asarray(values, dtype=float)
    means = sample[_draws(len(sample), resamples, seed)].mean(axis=1)
    low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2])
    return (round(float(low), 4), round(float(high), 4))


def paired_interval(left: Sequence[float], right: Sequence[float], *, resamples: int, seed: int) -> tuple[float, float]:
    """The interval of the mean difference left - right, the same questions drawn for both."""
    return interval([a - b for a, b in zip(left, right, strict=True)], resamples=resamples, seed=seed)


def _draws(count: int, resamples: int, seed: int) -> "np.ndarray[tuple[int, int], np.dtype[np.int64]]":
    return np.random.default_rng(seed).integers(0, count, size=(resamples, count))
