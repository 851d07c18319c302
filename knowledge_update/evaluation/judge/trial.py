"""The trial of a judge: planted answers of which it is known what they are, judged before anything else is."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from knowledge_update.evaluation.judge.cases import Case, Judge
from knowledge_update.run_folder import Row, read_rows

PLANTED = Path(__file__).parent / "data" / "trial.jsonl"
# What is planted, and whether it is right; wordy is wrong at length, verbose right with true additions.
RIGHT = {"right": 1.0, "verbose": 1.0, "wrong": 0.0, "wordy": 0.0, "evasive": 0.0, "injected": 0.0, "empty": 0.0}
# What is put beside the right answer, first and second.
BESIDE = tuple(kind for kind, value in RIGHT.items() if not value)
# Of every kind so many have to be told, in every language by itself.
PASS = 0.75

# How many requests a trial is: an empty answer is not asked about, a pair is asked about twice.
REQUESTS = sum(1 for _ in read_rows(PLANTED)) * (len(RIGHT) - 1 + 2 * len(BESIDE))

Counts = dict[str, dict[str, tuple[int, int]]]


@dataclass(frozen=True)
class Trial:
    """How a judge did.

    Args:
        accuracy: By language and kind of answer, how many it told, of how many.
        pairs: The same of pairs with the right answer, in both orders.
    """

    accuracy: Counts
    pairs: Counts

    def failed(self, languages: Iterable[str]) -> list[str]:
        """The kinds of answers that it does not tell, with their languages."""
        parts = (("", self.accuracy), (" beside right", self.pairs))
        return [
            f"{kind}{beside} ({language}: {held} of {count})"
            for beside, counts in parts for language in sorted(set(languages))
            for kind, (held, count) in counts[language].items() if held < PASS * count
        ]  # fmt: skip

    def figures(self) -> dict[str, Any]:
        """All of it, for the evaluation file."""
        return {"accuracy": self.accuracy, "pairs": self.pairs}


def cases(*, answers: bool) -> list[Case]:
    """The questions of the trial; with the answers that are right, or with the facts alone."""
    return [
        Case(row["question"], row["question"], row["fact"], tuple(row["answers"]) if answers else ())
        for row in _planted()
    ]


def held(judge: Judge, asked: Sequence[Case]) -> Trial:
    """Tries a judge on the questions of the trial."""
    rows = list(zip(asked, _planted(), strict=True))
    single = [(case, row, kind) for case, row in rows for kind in RIGHT]
    beside = [(case, row, kind) for case, row in rows for kind in BESIDE]
    right = judge.right([(case, row[kind]) for case, row, kind in single])
    better = judge.better([(case, row["right"], row[kind]) for case, row, kind in beside])
    told = zip(single, right, strict=True)
    won = zip(beside, better, strict=True)
    return Trial(
        _counted((row["language"], kind, verdict.value == RIGHT[kind]) for (_, row, kind), verdict in told),
        _counted((row["language"], kind, verdict.value == 1) for (_, row, kind), verdict in won),
    )


@cache
def _planted() -> tuple[Row, ...]:
    return tuple({**row, "empty": ""} for row in read_rows(PLANTED))


def _counted(told: Iterable[tuple[str, str, bool]]) -> Counts:
    found: Counts = {}
    for language, kind, held in told:
        kinds = found.setdefault(language, {})
        before, count = kinds.get(kind, (0, 0))
        kinds[kind] = (before + held, count + 1)
    return found
