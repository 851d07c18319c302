"""The evaluating stage: answers become `evaluation.json` and `report.html`."""

import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from knowledge_update.config import Config
from knowledge_update.errors import RunFolderError, WorkError
from knowledge_update.evaluation import report
from knowledge_update.evaluation.judge import stage as judge
from knowledge_update.evaluation.scoring import contains, f1
from knowledge_update.evaluation.statistics import interval, paired_interval
from knowledge_update.ledger import Ledger
from knowledge_update.run_folder import Row, RunFolder, read_json, read_rows, write_json

MODELS = ("base", "updated", "open_book")


@dataclass(frozen=True)
class Evaluated:
    """The figures, as `evaluation.json` holds them."""

    figures: dict[str, Any]


def run(config: Config, folder: RunFolder) -> Evaluated:
    """Scores the answers of a run folder and writes its evaluation and report.

    Raises:
        RunFolderError: When there are no answers yet.
        WorkError: When an answer is missing.
    """
    start = time.monotonic()
    answers = {
        name: {row["id"]: row for row in read_rows(folder.require(folder.answers(name), f"infer {folder.path}"))}
        for name in MODELS
    }
    _check_questions(folder, answers["updated"])
    scored = [_scored(row, answers) for row in answers["updated"].values()]
    summary = _Summary(config)
    by_set: dict[str, list[Row]] = defaultdict(list)
    for row in scored:
        by_set[row["set"]].append(row)
    figures: dict[str, Any] = {"held_out": summary.of(by_set["held_out"])}
    for name in ("human", "multi"):
        if by_set[name]:
            figures[name] = summary.of(by_set[name])
    reverse = [row for row in by_set["human"] if row.get("kind") == "reversed"]
    if reverse:
        figures["reversed"] = summary.of(reverse)
    if by_set["retention"]:
        figures["retention"] = summary.retention(by_set["retention"])
    with Ledger(folder.ledger) as ledger:
        figures["facts"] = _facts(ledger, by_set["held_out"])
        details = _details(ledger, scored)
        figures["judge"] = judge.run(config, folder, ledger, scored)
    figures["seconds"] = _seconds(folder, time.monotonic() - start)
    write_json(folder.evaluation, figures)
    report.write(config, folder, figures, details)
    return Evaluated(figures)


def _check_questions(folder: RunFolder, answers: dict[str, Row]) -> None:
    """Refuses answers to the questions of a dataset that has been written anew since."""
    paths = [path for name in ("probes", "questions") if (path := folder.dataset(name)).exists()]
    asked = {row["id"]: (row["question"], row["answers"]) for path in paths for row in read_rows(path)}
    answered = {row["id"]: (row["question"], row["answers"]) for row in answers.values() if row["set"] != "retention"}
    if paths and asked != answered:
        raise RunFolderError(
            f"the answers in {folder.path} are to the questions of another dataset: "
            f"run `kupdate infer {folder.path}` first"
        )


def _scored(row: Row, answers: dict[str, dict[str, Row]]) -> Row:
    """One question with its three answers, each with containment and token F1."""
    found: Row = {key: row.get(key) for key in ("id", "set", "kind", "doc_id", "fact", "question", "answers")}
    found["category"] = row.get("category")
    for name in MODELS:
        if name == "open_book" and row["set"] == "retention":
            continue
        other = answers[name].get(row["id"])
        if other is None:
            raise WorkError(f"answers/{name}.jsonl lacks question {row['id']}: run `kupdate infer` again")
        response = other["response"]
        found[name] = {
            "response": response,
            "right": contains(response, row["answers"]),
            "f1": f1(response, row["answers"]),
        }
    return found


class _Summary:
    def __init__(self, config: Config) -> None:
        self.draw = {"resamples": config.evaluation.resamples, "seed": config.seed}

    def of(self, rows: Sequence[Row]) -> dict[str, Any]:
        """Shares, intervals and F1 of a set of questions."""
        right = {name: [float(row[name]["right"]) for row in rows] for name in MODELS}
        found: dict[str, Any] = {"n": len(rows), **{name: _mean(right[name]) for name in MODELS}}
        found["interval"] = interval(right["updated"], **self.draw)
        found["intervals"] = {name: interval(right[name], **self.draw) for name in MODELS}
        found["gain"] = paired_interval(right["updated"], right["base"], **self.draw)
        found["against_open_book"] = paired_interval(right["updated"], right["open_book"], **self.draw)
        found["f1"] = {name: _mean([row[name]["f1"] for row in rows]) for name in MODELS}
        return found

    def retention(self, rows: Sequence[Row]) -> dict[str, Any]:
        """What the base knew, and what of it is left."""
        base, updated = ([bool(row[name]["right"]) for row in rows] for name in ("base", "updated"))
        kept = [float(after) for before, after in zip(base, updated, strict=True) if before]
        return {
            "n": len(rows), "base": _mean(base), "updated": _mean(updated), "kept": _mean(kept),
            "interval": interval(kept, **self.draw), "lost": sum(1 for value in kept if not value),
            "gained": sum(after and not before for before, after in zip(base, updated, strict=True)),
            "by_category": _by(rows, "category", lambda group: {
                "n": len(group), "base": _mean([row["base"]["right"] for row in group]),
                "updated": _mean([row["updated"]["right"] for row in group]),
            }),
        }  # fmt: skip


def _facts(ledger: Ledger, probes: Sequence[Row]) -> dict[str, Any]:
    """Facts by whether all their probes are right."""
    asked: dict[str, bool] = {}
    for row in probes:
        asked[row["fact"]] = asked.get(row["fact"], True) and row["updated"]["right"]
    rows = [
        {
            "doc_id": known.doc_id,
            "title": known.title,
            "asked": known.fact.id in asked,
            "learned": asked.get(known.fact.id),
        }
        for known in ledger.facts()
    ]
    total = _counted(rows)
    del total["title"]
    return {**total, "by_document": _by(rows, "doc_id", _counted)}


def _counted(group: Sequence[Row]) -> dict[str, Any]:
    return {
        "n": len(group),
        "asked": sum(row["asked"] for row in group),
        "learned": sum(bool(row["learned"]) for row in group),
        "title": group[0]["title"],
    }


def _details(ledger: Ledger, scored: Sequence[Row]) -> list[Row]:
    """Every question with its answers, and the quote its fact rests on."""
    facts = {known.fact.id: known for known in ledger.facts()}
    found = []
    for row in scored:
        known = facts.get(row["fact"])
        origin = {"text": known.fact.text, "quote": known.fact.quote, "path": known.path} if known else {}
        found.append({**row, "origin": origin})
    return found


def _seconds(folder: RunFolder, own: float) -> dict[str, float]:
    """Seconds by stage, this one's up to here, and their sum."""
    spent = read_json(folder.seconds) if folder.seconds.exists() else {}
    failed = spent.pop("failed", {})
    stages = {name: spent.get(name, 0.0) + failed.get(name, 0.0) for name in ("collect", "train", "infer")}
    stages["evaluate"] = round(own, 1)
    return {**stages, "total": round(sum(stages.values()), 1)}


def _by(rows: Sequence[Row], key: str, count: Callable[[Sequence[Row]], dict[str, Any]]) -> dict[str, Any]:
    groups: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        groups[str(row[key])].append(row)
    return {name: count(group) for name, group in sorted(groups.items())}


def _mean(values: Sequence[float]) -> float:
    return round(sum(values) / len(values), 4) if values else 0.0
