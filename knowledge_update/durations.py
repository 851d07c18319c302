"""Spans of time as people write them: 90, 90s, 20m, 1h30m, 1d."""

import re

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_SPAN = re.compile(r"(?:\d+(?:\.\d+)?[smhd])+|\d+(?:\.\d+)?")


def seconds_of(text: str) -> float:
    """The seconds of a span.

    Raises:
        ValueError: When it is none.
    """
    said = text.strip().lower().replace(" ", "")
    if not _SPAN.fullmatch(said):
        raise ValueError("a span of time as 90s, 20m, 1h30m or 1d")
    if said[-1].isdigit() or said[-1] == ".":
        return float(said)
    return sum(float(number) * _UNITS[unit] for number, unit in re.findall(r"([\d.]+)([smhd])", said))


def shown(seconds: float) -> str:
    """Seconds as people read them: 45 s, 3 min 20 s, 2 h 5 min."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"
