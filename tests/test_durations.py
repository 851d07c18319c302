"""Spans of time are read as people write them."""

import pytest

from knowledge_update.composition import load
from knowledge_update.durations import seconds_of, shown
from knowledge_update.errors import ConfigError


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90", 90), ("90s", 90), ("20m", 1200), ("1h30m", 5400), ("1d", 86400), (" 1H 5m ", 3900), ("0.5h", 1800)],
)
def test_a_span_is_read(text: str, seconds: float) -> None:
    assert seconds_of(text) == seconds
    assert load([], {"training.budget": text, "budget": text}).training.budget == text


@pytest.mark.parametrize("text", ["", "soon", "5x", "m", "1h-5m", "1.2.3s"])
def test_what_is_no_span_is_told(text: str) -> None:
    for key in ("budget", "training.budget"):
        with pytest.raises(ConfigError, match="a span of time as 90s, 20m, 1h30m or 1d") as raised:
            load([], {key: text})
        assert key in str(raised.value)


def test_no_time_is_none() -> None:
    with pytest.raises(ConfigError, match="more than no time"):
        load([], {"budget": "0s"})


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.4, "0 s"), (59.4, "59 s"), (200, "3 min 20 s"), (7500, "2 h 5 min"), (90000, "25 h 0 min")]
)
def test_seconds_are_shown(seconds: float, text: str) -> None:
    assert shown(seconds) == text
