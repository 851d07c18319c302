"""A judge's figures as tables for a terminal."""

from collections.abc import Mapping, Sequence
from typing import Any

Table = tuple[str, list[str], list[list[str]]]
_MEASURES = (
    "n", "win rate (a tie is one half)", "95 % interval", "unparsable", "unanswered", "bounds", "wins", "ties",
    "losses", "orders disagree (a tie)", "a wrong answer over a right one", "words, updated : base", "longer wins, r",
)  # fmt: skip


def tables(head: Mapping[str, Any], sets: Mapping[str, Any]) -> list[Table]:
    """Accuracy of every model and the win rate, by set of questions.

    Args:
        head: Who judged, and whether that is to be trusted.
        sets: By name of the set {accuracy: {model: …}, win_rate: …}; the name may be empty.
    """
    by = f"judged by {head['judge']}" + ("" if head["trusted"] else ", NOT TRUSTED: it fails its trial")
    first = ["questions", "model"] if any(sets) else ["answers"]
    columns = [*first, "n", "right", "95 % interval", "unparsable", "unanswered", "bounds", "words", "longer right, r"]
    right = [
        [*([name, model] if name else [model]), *_row(part), _number(part["length"]["mean"]),
         _number(part["length"]["correlation"])]
        for name, of in sets.items() for model, part in of["accuracy"].items()
    ]  # fmt: skip
    won = [_won(of["win_rate"]) for of in sets.values()]
    rows = [[measure, *values] for measure, *values in zip(_MEASURES, *won, strict=True)]
    return [
        (f"Accuracy, {by}", columns, right),
        (f"Win rate, {by}", ["", *(name or "updated over base" for name in sets)], rows),
    ]


def _won(part: Mapping[str, Any]) -> list[str]:
    length = part["length"]
    return [
        *_row(part), *(str(part[name]) for name in ("wins", "ties", "losses", "disagreed")),
        f"{part['against_accuracy']} of {part['one_right']}",
        f"{_number(length['updated'])} : {_number(length['base'])}",
        _number(length["correlation"]),
    ]  # fmt: skip


def _row(part: Mapping[str, Any]) -> list[str]:
    known = part["share"] is not None
    share, ends = (f"{part['share']:.3f}", _span(part["interval"])) if known else ("–", "–")
    return [
        str(part["n"]), share, ends, str(part["unparsable"]), str(part["unanswered"]),
        _span(part["bounds"]),
    ]  # fmt: skip


def _span(ends: Sequence[float]) -> str:
    return f"{ends[0]:.3f}–{ends[1]:.3f}"


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f}"
