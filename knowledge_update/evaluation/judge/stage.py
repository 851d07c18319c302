"""The judge's part of a run's evaluation."""

from collections.abc import Mapping, Sequence
from typing import Any

from knowledge_update.config import Config
from knowledge_update.evaluation.judge.cases import Case
from knowledge_update.evaluation.judge.judging import judge
from knowledge_update.ledger import Ledger
from knowledge_update.run_folder import Row, RunFolder

# Whose answers are judged, and which are not: to what is no question about a fact that holds, or was trained word for
# word.
MODELS = ("base", "updated", "open_book")
_LEFT_OUT = ("retention", "unanswerable", "trained", "superseded", "gone")


def run(config: Config, folder: RunFolder, ledger: Ledger, scored: Sequence[Row]) -> dict[str, Any]:
    """Judges the answers of a run; every verdict is kept in its ledger.

    Args:
        config: Who judges, and how intervals are drawn.
        folder: The run.
        ledger: Its ledger, open.
        scored: Every question with its answers, as the evaluating stage has them.

    Returns:
        Who judged, how it did in its trial, and by set of questions the accuracy of every model and the win rate.
    """
    cases = _cases(ledger, scored)
    said = judge(config, cases, ledger, folder.path)
    draw = {"resamples": config.evaluation.resamples, "seed": config.seed}
    sets: dict[str, Any] = {}
    for group in sorted({case.group for case in cases}):
        own = [case for case in said.cases if case.group == group]
        models = [model for model in MODELS if all(model in case.responses for case in own)]
        accuracy = {model: said.accuracy(model, own, draw) for model in models}
        sets[group] = {"n": len(own), "accuracy": accuracy, "win_rate": said.win_rate(own, draw)}
    return {**said.head, "sets": sets}


def _cases(ledger: Ledger, scored: Sequence[Row]) -> list[Case]:
    facts: Mapping[str, tuple[str, str]] = {
        known.fact.id: (known.fact.text, known.chunk_text) for known in ledger.facts()
    }
    found = []
    for row in scored:
        if row["set"] in _LEFT_OUT:
            continue
        fact, passage = facts.get(row["fact"] or "", ("", ""))
        responses = {name: row[name]["response"] for name in MODELS if name in row}
        found.append(
            Case(row["id"], row["question"], fact, tuple(row["answers"]), responses, row["set"], passage)
        )  # fmt: skip
    return found
