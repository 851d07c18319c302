"""Facts by whether they were learned, and why others were not."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

from knowledge_update.evaluation.scoring import Scorer, contains, declines
from knowledge_update.evaluation.summary import grouped
from knowledge_update.ledger import Ledger
from knowledge_update.run_folder import Row

# Why a fact is not learned, in the order in which reasons are looked for.
REASONS = {
    "never_asked": "never asked: it has no held-out question",
    "contradicted": "answered as a document says that is superseded",
    "declined": "said not to know",
    "never_trained": "asked for what was never trained as an answer",
    "another": "answered with what is right of another fact",
    "wrong": "wrong otherwise",
}


class Failures:
    """Tells why a held-out question was answered wrongly.

    Args:
        ledger: What was superseded by what.
        trained: Trained rows, with their facts.
        scorer: Knows what is right of other facts.
    """

    def __init__(self, ledger: Ledger, trained: Iterable[Row], scorer: Scorer) -> None:
        self._scorer = scorer
        self._trained: dict[str, list[str]] = defaultdict(list)
        for row in trained:
            self._trained[row["fact"]] += row["answers"]
        self._before: dict[str, list[str]] = defaultdict(list)
        for status in ("superseded", "retired"):
            for known in ledger.facts(status):
                if known.fact.replaced_by:
                    asked = ledger.questions_of(known.fact.id)
                    self._before[known.fact.replaced_by] += [row.answer for row in asked if row.question]

    def reason(self, row: Row) -> str:
        """Which of `REASONS` it is."""
        response, fact = row["updated"]["response"], row["fact"]
        before = [answer for answer in self._before.get(fact, ()) if not contains(answer, row["answers"])]
        if contains(response, before):
            return "contradicted"
        if declines(row["question"], response):
            return "declined"
        if not any(contains(answer, row["answers"]) for answer in self._trained.get(fact, ())):
            return "never_trained"
        return "another" if self._scorer.others(row["question"], response, row["answers"]) else "wrong"


def of_facts(ledger: Ledger, probes: Sequence[Row]) -> dict[str, Any]:
    """Facts by whether all their held-out questions are answered rightly, by document, and why others are not.

    Args:
        ledger: The facts.
        probes: The scored held-out questions; those answered wrongly with their `reason`.
    """
    reasons: dict[str, str] = {}
    for row in probes:
        reasons[row["fact"]] = reasons.get(row["fact"]) or row.get("reason", "")
    rows = [
        {"doc_id": known.doc_id, "title": known.title, "reason": reasons.get(known.fact.id, "never_asked")}
        for known in ledger.facts()
    ]
    missed = Counter(row["reason"] for row in rows)
    return {
        **_counted(rows), "missed": {name: missed[name] for name in REASONS if missed[name]},
        "by_document": grouped(rows, "doc_id", lambda group: {**_counted(group), "title": group[0]["title"]}),
    }  # fmt: skip


def _counted(group: Sequence[Row]) -> dict[str, Any]:
    asked = [row["reason"] for row in group if row["reason"] != "never_asked"]
    return {"n": len(group), "asked": len(asked), "learned": asked.count("")}
