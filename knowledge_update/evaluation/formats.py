"""How figures are written for people: shares in percent, differences in points, times, chances."""

from collections.abc import Mapping, Sequence
from typing import Any


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


def duration(seconds: float) -> str:
    """A time for reading: `8.5 s`, `3 min 20 s`, `1 h 05 min`."""
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02d} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02d} min"


def chance(probability: float) -> str:
    """A probability as a test gives it: `p = 0.04`, `p < 0.001`."""
    if probability < 0.001:
        return "p < 0.001"
    return f"p = {probability:.3f}" if probability < 0.01 else f"p = {probability:.2f}"


def stages_of(figures: Mapping[str, Any]) -> dict[str, float]:
    """Seconds by stage, without their sum."""
    return {name: value for name, value in figures["seconds"].items() if name != "total"}


def known(retention: Mapping[str, Any]) -> int:
    """How many questions the base answers right, which is what the kept share rests on."""
    return round(float(retention["base"]) * int(retention["n"]))


def _percent(share: float) -> str:
    value = 100 * share
    if 0 < value < 0.5 or 99.5 <= value < 100:
        return f"{min(max(value, 0.1), 99.9):.1f}"
    return f"{value:.0f}"
