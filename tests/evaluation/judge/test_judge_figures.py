"""Shares, bounds and lengths of verdicts."""

from knowledge_update.evaluation.judge.cases import SAME, UNANSWERED, UNPARSABLE, Verdict
from knowledge_update.evaluation.judge.figures import accuracy, win_rate

DRAW = {"resamples": 500, "seed": 0}
WON, LOST, TIE = Verdict(1.0), Verdict(0.0), Verdict(0.5, "disagreed")


def test_missing_verdicts_bound_the_share() -> None:
    found = accuracy([WON, LOST, WON, UNPARSABLE, UNANSWERED], ["a", "b", "c", "d", "e"], DRAW)
    assert (found["n"], found["share"], found["bounds"]) == (5, 0.6667, (0.4, 0.8))
    assert (found["unparsable"], found["unanswered"]) == (1, 1)
    none = accuracy([UNPARSABLE], ["a"], DRAW)
    assert (none["share"], none["bounds"], none["interval"]) == (None, (0.0, 1.0), (0.0, 0.0))
    assert accuracy([], [], DRAW)["share"] is None


def test_length_stands_beside_and_decides_nothing() -> None:
    found = accuracy([WON, LOST, WON, LOST], ["x", "x y z", "x", "x y z"], DRAW)
    assert found["length"] == {"mean": 2.0, "correlation": -1.0}
    assert accuracy([WON, WON], ["x", "x y"], DRAW)["length"]["correlation"] is None
    assert accuracy([WON, LOST], ["x", "y"], DRAW)["length"]["correlation"] is None


def test_a_tie_counts_one_half() -> None:
    pairs = [("x y", "x"), ("x", "x y"), ("x", "y"), ("x", "x"), ("z", "y")]
    right = [(WON, LOST), (WON, LOST), (LOST, LOST), (WON, WON), (WON, UNPARSABLE)]
    found = win_rate([WON, LOST, TIE, SAME, UNPARSABLE], pairs, right, DRAW)
    assert (found["share"], found["wins"], found["ties"], found["losses"]) == (0.5, 1, 2, 1)
    assert (found["disagreed"], found["same"], found["unparsable"], found["bounds"]) == (1, 1, 1, (0.4, 0.6))
    # Of the two pairs of which one answer is right, one was lost by it.
    assert (found["one_right"], found["against_accuracy"]) == (2, 1)
    assert found["length"] == {"updated": 1.2, "base": 1.2, "correlation": 1.0}
