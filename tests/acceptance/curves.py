"""Losses of trainings that converged and of trainings that did not, as noisy as real ones, drawn at random.

200 to 20,000 steps; noise of 5 to 30 % of the loss, normal, skewed or heavy-tailed, independent from step to step or
not; losses from 5 down to 0.1. Real losses of this project (300–700 steps) scatter by 21–48 % around their mean, with
a correlation of neighbours of -0.3 to 0.
"""

import numpy as np
import numpy.typing as npt

Curve = npt.NDArray[np.float64]
Draw = np.random.Generator


def converged(draw: Draw) -> Curve:
    """A loss that falls and then stays, exponentially, by a power law, or in steps by epochs."""
    steps = _steps(draw)
    at = np.arange(steps) / steps
    floor = _level(draw, 2)
    fall = draw.uniform(floor + 0.5, 5) - floor
    epoch = np.minimum(at * 8, 4).astype(int)
    shapes = (
        np.exp(-at / draw.uniform(0.02, 0.08)),
        (1 + 100 * at) ** -draw.uniform(1.5, 3),
        np.where(epoch < 4, 0.35**epoch, 0.0),
    )
    return _noisy(floor + fall * shapes[draw.integers(len(shapes))], draw)


def diverging(draw: Draw) -> Curve:
    """A loss that rises: all along, after a fall, faster and faster, at once to a plateau, or in fits and starts."""
    steps = _steps(draw)
    at = np.arange(steps) / steps
    turn, much = draw.uniform(0.2, 0.7), draw.uniform(0.8, 3)
    fall = 2 * np.exp(-at / 0.05)
    shapes = (
        much * at,
        fall + much * np.clip((at - turn) / (1 - turn), 0, None),
        fall + draw.uniform(2, 10) * np.exp((at - 1) / draw.uniform(0.03, 0.15)),
        fall + much * (at > draw.uniform(0.3, 0.9)),
        much * np.cumsum(np.abs(draw.standard_normal(steps))) / steps,
    )
    return _noisy(_level(draw, 3) * (1 + shapes[draw.integers(len(shapes))]), draw)


def _steps(draw: Draw) -> int:
    return int(np.exp(draw.uniform(np.log(200), np.log(20_000))))


def _level(draw: Draw, most: float) -> float:
    return float(np.exp(draw.uniform(np.log(0.1), np.log(most))))


def _noisy(loss: Curve, draw: Draw) -> Curve:
    steps = len(loss)
    kinds = (
        draw.standard_normal(steps),
        (draw.gamma(4, 1, steps) - 4) / 2,
        draw.standard_t(4, steps) / np.sqrt(2),
    )
    noise, alike = kinds[draw.integers(len(kinds))], draw.choice([0, 0, 0, -0.25, 0.3, 0.6])
    if alike:
        noise = _correlated(noise, alike)
    # In proportion to the loss of the moment, or to that of the end all along.
    return loss + draw.uniform(0.05, 0.3) * noise * (loss if draw.random() < 0.5 else loss[-1])


def _correlated(noise: Curve, alike: float) -> Curve:
    """Noise whose neighbours correlate so, a step depending on the one before it."""
    reach = alike ** np.arange(40)
    return np.convolve(noise, reach)[: len(noise)] * np.sqrt(1 - alike**2)
