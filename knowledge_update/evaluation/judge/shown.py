"""A judge's figures as tables for a terminal."""

from collections.abc import Mapping, Sequence
from typing import Any

Table = tuple[str, list[str], list[list[str]]]


def tables(head: Mapping[str, Any], sets: Mapping[str, Any]) -> list[Table]:
    """Accuracy of every model and the win rate, by set of questions.

    Args:
        head: Who judged, and whether that is to be trusted.
        sets: By name of the set {accuracy: {model: …}, win_rate: …}; the name may be empty.
    """
    trusted = "" if head["trusted"] else ", NOT TRUSTED: it fails its trial"
    columns = ["n", "share", "95 % interval", "unparsable", "unanswered", "bounds", "words", "length r"]
    right = [
        [*_named(name, model), *_row(part), _number(part["length"]["mean"]), _number(part["length"]["correlation"])]
        for name, of in sets.items() for model, part in of["accuracy"].items()
    ]  # fmt: skip
    won = [
        [name or "updated over base", *_row(part := of["win_rate"]),
         f"{_number(part['length']['updated'])} : {_number(part['length']['base'])}",
         _number(part["length"]["correlation"]), str(part["wins"]), str(part["ties"]), str(part["losses"]),
         str(part["disagreed"]), f"{part['against_accuracy']} of {part['one_right']}"]
        for name, of in sets.items()
    ]  # fmt: skip
    first = ["set", "model"] if any(sets) else ["answers"]
    more = ["wins", "ties", "losses", "orders disagree", "against accuracy"]
    return [
        (f"Accuracy, judged by {head['judge']}{trusted}", [*first, *columns], right),
        (f"Win rate (a tie is one half), judged by {head['judge']}{trusted}", ["pairs", *columns, *more], won),
    ]


def _named(name: str, model: str) -> list[str]:
    return [name, model] if name else [model]


def _row(part: Mapping[str, Any]) -> list[str]:
    share = "–" if part["share"] is None else f"{part['share']:.3f}"
    return [
        str(part["n"]), share, _span(part["interval"]), str(part["unparsable"]), str(part["unanswered"]),
        _span(part["bounds"]),
    ]  # fmt: skip


def _span(ends: Sequence[float]) -> str:
    return f"{ends[0]:.3f}–{ends[1]:.3f}"


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f}"
