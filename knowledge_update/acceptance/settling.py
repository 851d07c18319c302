"""Whether a noisy loss has converged: what is judged is the loss less its noise, from some step to the end.

The curve is averaged twice over the same window, a tenth of the steps. It has converged when

- from some step to the end, and that for a quarter of the curve at least, no two successive values differ by more than
  the threshold (or than the noise which averaging leaves);
- its end does not lie above an earlier part, nor rise; and does not fall faster than the threshold;
- no wave is left in it.

Each is a test with a margin for noise, and the noise is measured on the curve: of a loss that scatters by a fifth from
step to step no mean is known to a thousandth. Averaging once would not do. With 600 steps that scatter by 0.2, values
averaged over 60 steps still differ by 0.005 from one to the next, averaged twice by 0.0006.
"""

import math
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

Curve = npt.NDArray[np.float64]

LEAST_STEPS = 50
_LEAST_WINDOW = 10
# Of the smoothed curve, how much must be settled: a few differences alone would be the any-pair rule again.
_SETTLED_SHARE = 0.25
# Standard errors that are put down to noise: of the largest of many differences, of a slope, of a part above the lowest
# of several. Chosen so that of converged curves one in a hundred fails.
_DIFFERENCE_MARGIN, _SLOPE_MARGIN, _LEVEL_MARGIN = 4.0, 2.8, 3.3
# Of the loss, how much a rise or a wave must be to count.
_LEAST_SHARE = 0.01
# The curve in parts for their levels, its ends for their trends; shorter ones tell too little.
_PARTS, _TAILS, _LEAST_PART = 8, (2, 4, 8), 20
# Steps at the very end whose median tells a loss that has just blown up, and how far off it is then.
_LAST, _BLOWN_UP = 5, 6.0
# A wave: its share of what is left when the trend is out, the chance that noise makes such a peak, cycles in the half.
_WAVE_SHARE, _WAVE_CHANCE, _LEAST_CYCLES = 0.3, 1e-3, 2
# Beyond this a loss says nothing more, and its squares overflow.
_LARGEST = 1e30


@dataclass(frozen=True)
class Judged:
    """What was found on a loss.

    Args:
        converged: Whether it has converged.
        reason: Why not, or what is to be known although it has; may be empty.
        window: Steps of the moving mean; 0 where there is none.
        settled: The first step from which on nothing changes any more, where it has converged.
        difference: Of successive smoothed values, the largest on the part that has to be settled; of the any-pair
            rule the smallest of all.
        allowance: What noise alone makes of such differences.
    """

    converged: bool
    reason: str
    window: int = 0
    settled: int | None = None
    difference: float | None = None
    allowance: float | None = None


def judge(losses: Curve, threshold: float) -> Judged:
    """Judges a loss.

    Args:
        losses: The loss of every step, (steps,).
        threshold: What successive smoothed values may differ by.
    """
    if wrong := unusable(losses, LEAST_STEPS):
        return Judged(False, wrong)
    half, window = len(losses) // 2, max(_LEAST_WINDOW, len(losses) // 10)
    noise = _noise(losses[half:] - _centred_mean(losses, window)[half:])
    # Of a mean of means over the same window, for noise that is independent from step to step.
    allowance = _DIFFERENCE_MARGIN * noise * math.sqrt(2) / window**1.5
    differences = np.abs(np.diff(_moving_mean(_moving_mean(losses, window), window)))
    over = np.flatnonzero(differences > max(threshold, allowance))
    first = int(over[-1]) + 1 if len(over) else 0
    least = max(1, int(len(differences) * _SETTLED_SHARE))
    found = Judged(False, "", window, None, float(differences[-least:].max()), allowance)
    # A smoothed value stands for the steps around it: those of a window on either side.
    settled = first + window - 1 if len(over) else 0
    if len(differences) - first < least:
        return replace(found, reason=f"still changing: by {differences[first - 1]:.2g} a step at step {settled}")
    for test in (_blown_up, _risen, _trend, _wave):
        if told := test(losses, threshold):
            return replace(found, reason=told)
    return replace(found, converged=True, settled=settled, reason=_remark(losses))


def any_pair(losses: Curve, threshold: float) -> Judged:
    """The described rule: any two successive losses that differ by less than the threshold.

    A loss that rises steadily, with noise, passes it more often than not: some two neighbours are always close.
    """
    if wrong := unusable(losses, 2):
        return Judged(False, wrong)
    differences = np.abs(np.diff(losses))
    least = int(np.argmin(differences))
    if differences[least] < threshold:
        return Judged(True, f"steps {least} and {least + 1} are close", difference=float(differences[least]))
    return Judged(False, "no two neighbours are close", difference=float(differences[least]))


def unusable(losses: Curve, least: int) -> str:
    """Why nothing can be said of a loss, or nothing."""
    wrong = np.flatnonzero(~(np.abs(losses) < _LARGEST))
    if len(wrong):
        return f"no loss any more: {losses[wrong[0]]:g} at step {wrong[0]}"
    return "" if len(losses) >= least else f"too short: {len(losses)} steps, at least {least} are needed"


def _moving_mean(values: Curve, window: int) -> Curve:
    """Means of successive values, as many fewer as the window is long, less one."""
    sums = np.cumsum(np.concatenate(([0.0], values - values[0])))
    return np.asarray((sums[window:] - sums[:-window]) / window + values[0], np.float64)


def _centred_mean(values: Curve, window: int) -> Curve:
    """As many means as values, the ends reflected."""
    left = window // 2
    return _moving_mean(np.pad(values, (left, window - 1 - left), mode="reflect"), window)


def _noise(rest: Curve) -> float:
    """The standard deviation that counts in a mean: larger than that of the values where neighbours are alike."""
    rest = rest - rest.mean()
    total = float(rest @ rest)
    # A wave would make neighbours alike too; beyond this it is no longer called noise.
    alike = min(max(float(rest[1:] @ rest[:-1]) / total, 0.0), 0.8) if total > 0 else 0.0
    return float(rest.std()) * math.sqrt((1 + alike) / (1 - alike))


def _rest(values: Curve, degree: int) -> Curve:
    """What is left of values when a polynomial is out."""
    at = np.linspace(-1, 1, len(values))
    trend = np.polynomial.polynomial.polyval(at, np.polynomial.polynomial.polyfit(at, values, degree))
    return values - np.asarray(trend, np.float64)


def _margin(normal: float, freedom: int) -> float:
    """The quantile of Student's distribution at one of the normal's (the first term of Cornish and Fisher's series)."""
    return normal + (normal**3 + normal) / (4 * freedom)


def _least(threshold: float, part: Curve) -> float:
    """What a rise or a wave must be to count."""
    return max(threshold, _LEAST_SHARE * abs(float(part.mean())))


def _blown_up(losses: Curve, threshold: float) -> str:
    """Whether the very last steps are of another kind: too few to tell in a mean, too far off to be noise."""
    before, last = losses[len(losses) // 2 : -_LAST], float(np.median(losses[-_LAST:]))
    level = float(np.median(before))
    # Robust, or what is looked for would widen its own margin; 1.48 makes it the standard deviation of the normal.
    scatter = 1.48 * float(np.median(np.abs(before - level)))
    far = last - level > _BLOWN_UP * scatter + _least(threshold, before)
    return f"risen: the last {_LAST} steps lie at {last:.2g}, those before at {level:.2g}" if far else ""


def _risen(losses: Curve, threshold: float) -> str:
    """Whether the last part lies above an earlier one: of a curve that rose, once or all along."""
    parts = min(_PARTS, len(losses) // _LEAST_PART)
    size = len(losses) // parts
    cut = losses[len(losses) - size * parts :].reshape(parts, size)
    levels, errors = np.array([_level(part) for part in cut]).T
    above = levels[-1] - levels[:-1] - _margin(_LEVEL_MARGIN, 2 * size - 4) * np.hypot(errors[-1], errors[:-1])
    lowest = int(np.argmax(above))
    rise = float(levels[-1] - levels[lowest])
    risen = above[lowest] > 0 and rise > _least(threshold, cut[lowest])
    return f"risen: by {rise:.2g} over the last {size * (parts - lowest)} steps" if risen else ""


def _level(part: Curve) -> tuple[float, float]:
    """The mean of a part and its standard error."""
    return float(part.mean()), _noise(_rest(part, 1)) / math.sqrt(len(part))


def _trend(losses: Curve, threshold: float) -> str:
    """Whether a straight line through the end rises, or falls faster than the threshold."""
    for share in _TAILS:
        tail = losses[-(len(losses) // share) :]
        if len(tail) < _LEAST_PART:
            continue
        slope, error = _slope(tail)
        margin = _margin(_SLOPE_MARGIN, len(tail) - 4) * error
        if slope > margin and slope * len(tail) > _least(threshold, tail):
            return f"rising: by {slope * len(tail):.2g} over the last {len(tail)} steps"
        if -slope > margin + threshold:
            return f"still falling: by {-slope * len(tail):.2g} over the last {len(tail)} steps"
    return ""


def _slope(tail: Curve) -> tuple[float, float]:
    """The slope of a straight line and its standard error, for noise whose neighbours may be alike.

    The noise is what a cubic leaves, so that a bend does not count as noise.
    """
    at = np.arange(len(tail)) - (len(tail) - 1) / 2
    spread = float(at @ at)
    return float(at @ tail) / spread, _noise(_rest(tail, 3)) / math.sqrt(spread)


def _wave(losses: Curve, threshold: float) -> str:
    """Whether there is a line in the spectrum of the last half: far above its neighbours, and much of the whole."""
    half = losses[-(len(losses) // 2) :]
    rest = _rest(half, 3)
    power = np.abs(np.fft.rfft(rest))[1:] ** 2
    total = float(power.sum())
    if total == 0:
        return ""
    peak = int(np.argmax(power[_LEAST_CYCLES - 1 :])) + _LEAST_CYCLES - 1
    cycles = peak + 1
    share = float(power[peak - 1 : peak + 2].sum()) / total
    around = np.arange(cycles // 2 - 1, min(2 * cycles + 6, len(power)))
    beside = float(np.median(power[around[np.abs(around - peak) > 2]]))
    # Of noise a line's power is exponentially distributed: its median is log 2 of its mean.
    stands_out = power[peak] > math.log(len(power) / _WAVE_CHANCE) / math.log(2) * beside
    # A wave has half the square of its height, but all of it where it turns at every step.
    height = math.sqrt((2 if 2 * cycles < len(rest) else 1) * share) * float(rest.std())
    if share > _WAVE_SHARE and stands_out and height > _least(threshold, half):
        return f"oscillating: by ±{height:.2g} with a period of {len(rest) / cycles:.0f} steps"
    return ""


def _remark(losses: Curve) -> str:
    """What is to be known of a converged loss: that it never fell, or still does in a way the threshold allows."""
    part = max(_LEAST_PART, len(losses) // _PARTS)
    last, error = _level(losses[-part:])
    first = float(losses[:_LEAST_WINDOW].mean())
    # The few first steps scatter as the last ones do, or more.
    margin = _SLOPE_MARGIN * error * math.sqrt(1 + part / _LEAST_WINDOW)
    if first - last < max(margin, _least(0.0, losses[-part:])):
        return "it never fell"
    tail = losses[-(len(losses) // 4) :]
    slope, error = _slope(tail)
    fall = -slope * len(tail)
    falling = -slope > _margin(_SLOPE_MARGIN, len(tail)) * error and fall > _least(0.0, tail)
    return f"it still falls slowly: by {fall:.2g} over the last {len(tail)} steps" if falling else ""
