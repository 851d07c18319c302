"""The evaluating stage: answers become `evaluation.json` and `report.html`."""

import time
from dataclasses import dataclass
from typing import Any

from knowledge_update.config import Config
from knowledge_update.errors import RunFolderError, WorkError
from knowledge_update.evaluation import report, updates
from knowledge_update.evaluation.contamination import NEAR, Trained
from knowledge_update.evaluation.exam import ANSWERS, SETS, Exam, exam, trained
from knowledge_update.evaluation.failures import Failures, of_facts
from knowledge_update.evaluation.judge import stage as judge
from knowledge_update.evaluation.scoring import Scorer, declines, f1
from knowledge_update.evaluation.summary import Summary
from knowledge_update.ledger import Ledger
from knowledge_update.run_folder import Row, RunFolder, read_json, read_rows, write_json


@dataclass(frozen=True)
class Evaluated:
    """The figures, as `evaluation.json` holds them."""

    figures: dict[str, Any]


def run(config: Config, folder: RunFolder) -> Evaluated:
    """Scores the answers of a run folder and writes its evaluation and report.

    Raises:
        RunFolderError: When there are no answers yet, two to one question, or answers to other questions.
        WorkError: When an answer is missing.
    """
    start = time.monotonic()
    asked = exam(config, folder)
    rows = scored(asked, folder)
    figures = _figures(config, folder, rows)
    figures["seconds"] = _seconds(folder, time.monotonic() - start)
    write_json(folder.evaluation, figures)
    report.write(config, folder, figures, rows)
    return Evaluated(figures)


def page(config: Config, folder: RunFolder) -> Evaluated:
    """Writes the report anew from the figures that are there; who adds to `evaluation.json` shows it so.

    Raises:
        RunFolderError: When there is no evaluation yet, or the answers are not those it is of.
    """
    figures = read_json(folder.require(folder.evaluation, f"evaluate {folder.path}"))
    report.write(config, folder, figures, scored(exam(config, folder), folder))
    return Evaluated(figures)


def scored(asked: Exam, folder: RunFolder) -> list[Row]:
    """Every question of an exam with its scored answers, where its fact stands, and why a held-out one is wrong.

    In the order of the exam, whatever the order of the answers.

    Raises:
        RunFolderError: When there are no answers yet, two to one question, or answers to other questions.
        WorkError: When an answer is missing.
    """
    answers = {name: _answers(folder, name, asked.of(name)) for name in ANSWERS}
    lessons = list(trained(folder))
    scorer = Scorer(row["answers"] for row in (*asked.questions, *asked.general))
    near = Trained(row["question"] for row in lessons)
    rows = [_scored(row, answers, scorer) for row in asked.closed]
    with Ledger(folder.ledger) as ledger:
        failures = Failures(ledger, lessons, Scorer(row["answers"] for row in asked.questions))
        known = {fact.fact.id: fact for fact in ledger.facts()}
    for row in rows:
        if row["set"] in SETS[1:] and (nearest := near.nearest(row["question"])):
            row["near"] = nearest
        if row["set"] == "held_out" and not row["updated"]["right"]:
            row["reason"] = failures.reason(row)
        if origin := known.get(row["fact"]):
            row["origin"] = {"text": origin.fact.text, "quote": origin.fact.quote, "path": origin.path}
    return rows


def _answers(folder: RunFolder, name: str, wanted: list[Row]) -> dict[str, str]:
    """The responses of a file, by question: exactly one to each that was to be asked."""
    if not wanted:
        return {}
    path, questions = folder.answers(name), {row["id"]: row for row in wanted}
    found: dict[str, str] = {}
    for row in read_rows(folder.require(path, f"infer {folder.path}")):
        question = questions.get(row["id"])
        if question is None or any(question[key] != row[key] for key in ("question", "answers")):
            raise RunFolderError(
                f"the answers in {folder.path} are to the questions of another dataset: "
                f"run `kupdate infer {folder.path}` first"
            )
        if row["id"] in found:
            raise RunFolderError(
                f"answers/{name}.jsonl answers question {row['id']} twice: remove one of the lines, "
                f"or the file and run `kupdate infer {folder.path}` again"
            )
        found[row["id"]] = row["response"]
    missing = next((identity for identity in questions if identity not in found), None)
    if missing is not None:
        raise WorkError(f"answers/{name}.jsonl lacks question {missing}: run `kupdate infer {folder.path}` again")
    return found


def _scored(row: Row, answers: dict[str, dict[str, str]], scorer: Scorer) -> Row:
    """One question with its answers, each with whether it is right and token F1.

    To a question that nobody can answer it is right to say so; what was superseded is not right beside what is so.
    """
    found: Row = {key: row.get(key) for key in ("id", "set", "kind", "doc_id", "fact", "question", "answers")}
    found |= {"category": row.get("category"), "origin": row.get("origin", {})}
    for name, responses in answers.items():
        if row["id"] not in responses:
            continue
        response = responses[row["id"]]
        right = (
            declines(row["question"], response)
            if row["set"] == "unanswerable"
            else scorer.right(row["question"], response, row["answers"])
        )
        found[name] = {"response": response, "right": right, "f1": f1(response, row["answers"])}
        if row["set"] == updates.SUPERSEDED:
            old = updates.outdated(response, row["answers"], row["before"])
            found[name] |= {"right": right and not old, "outdated": old}
    return found


def _figures(config: Config, folder: RunFolder, rows: list[Row]) -> dict[str, Any]:
    summary = Summary(config)
    names = (*SETS, "unanswerable", "retention", *updates.SETS)
    by_set = {name: [row for row in rows if row["set"] == name] for name in names}
    figures: dict[str, Any] = {"held_out": summary.of(by_set["held_out"])}
    sets = {**by_set, "reversed": [row for row in by_set["human"] if row["kind"] == "reversed"]}
    for name in ("human", "multi", "reversed", "trained"):
        if sets[name]:
            figures[name] = summary.of(sets[name])
    if searched := [row for row in rows if "base_retrieval" in row and row["set"] != "trained"]:
        figures["retrieval"] = summary.retrieval(searched)
    if by_set["unanswerable"]:
        figures["unanswerable"] = summary.unanswerable(by_set["unanswerable"])
    if by_set["retention"]:
        figures["retention"] = summary.retention(by_set["retention"])
    near = [row for row in rows if row.get("near")]
    figures["contamination"] = {"least": NEAR, "n": len(near), "of": sum(len(by_set[name]) for name in SETS[1:])}
    with Ledger(folder.ledger) as ledger:
        figures["facts"] = of_facts(ledger, by_set["held_out"])
        if changed := updates.figures(by_set, ledger, summary):
            figures["updates"] = changed
        figures["judge"] = judge.run(config, folder, ledger, rows)
    return figures


def _seconds(folder: RunFolder, own: float) -> dict[str, float]:
    """Seconds by stage, this one's up to here, and their sum."""
    spent = read_json(folder.seconds) if folder.seconds.exists() else {}
    failed = spent.pop("failed", {})
    both = {name: spent.get(name, 0.0) + failed.get(name, 0.0) for name in ("collect", "train", "infer", "ask_base")}
    # Within a budget the base is asked before training.
    stages = {"collect": both["collect"], "train": both["train"], "infer": both["infer"] + both["ask_base"]}
    stages["evaluate"] = round(own, 1)
    return {**stages, "total": round(sum(stages.values()), 1)}
