"""Two files of answers, without a run: accuracy of both models, and how often one is better than the other.

Rows are {question, response} with `fact`, `answers` or both, as JSON or JSONL, in any order: those of the two files are
joined by their questions.
"""

import json
import re
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from knowledge_update.config import Config
from knowledge_update.display import console, table
from knowledge_update.documents.blocks import fold
from knowledge_update.errors import ConfigError, DocumentError
from knowledge_update.evaluation.judge import shown
from knowledge_update.evaluation.judge.cases import Case, Verdict
from knowledge_update.evaluation.judge.judging import BASE, UPDATED, Judgement, judge
from knowledge_update.ledger import Ledger
from knowledge_update.run_folder import Row, RunFolder, write_json

# What stands under `fact` in a run folder's answers.
_IDENTITY = re.compile(r"[0-9a-f]{16}")
_SHOWN = 80


def run(config: Config) -> dict[str, Any]:
    """Judges the two files; writes `…_acc.json` of each and `…_win_rate.json` of the first beside them, and prints.

    Raises:
        ConfigError: When no files are named.
        DocumentError: When one cannot be used: not read, a question twice, or without an answer in the other.
    """
    paths = _paths(config)
    cases = _joined(paths)
    folder = paths[UPDATED].parent
    journal = nullcontext() if config.judge.name == "rules" else Ledger(folder / "judge.sqlite")
    with RunFolder(folder).alone(), journal as kept:
        said = judge(config, cases, kept, folder)
    draw = {"resamples": config.evaluation.resamples, "seed": config.seed}
    accuracy = {model: said.accuracy(model, said.cases, draw) for model in paths}
    win_rate = said.win_rate(said.cases, draw)
    for model, path in paths.items():
        rows = [_row(case, said.right[model][case.id], response=case.responses[model]) for case in said.cases]
        _write(path, "acc", {"accuracy": accuracy[model]["share"], **said.head, **accuracy[model], "results": rows})
    rows = [_row(case, said.better[case.id], **case.responses) for case in said.cases]
    _write(paths[UPDATED], "win_rate", {"win_rate": win_rate["share"], **said.head, **win_rate, "results": rows})
    _print(said, {paths[model].name: accuracy[model] for model in paths}, win_rate, folder)
    return {**said.head, "accuracy": accuracy, "win_rate": win_rate}


def _paths(config: Config) -> dict[str, Path]:
    named = config.evaluation
    if not (named.data_path and named.data_name_sft and named.data_name_base):
        raise ConfigError(
            "nothing to evaluate was named: kupdate evaluate RUN, or kupdate evaluate --data_path DIR "
            "--data_name_sft FILE --data_name_base FILE"
        )
    folder = Path(named.data_path).expanduser()
    paths = {UPDATED: folder / named.data_name_sft, BASE: folder / named.data_name_base}
    if paths[UPDATED] != paths[BASE] and paths[UPDATED].with_suffix("") == paths[BASE].with_suffix(""):
        raise ConfigError(f"{named.data_name_sft} and {named.data_name_base}: their results would have the same name")
    return paths


def _joined(paths: dict[str, Path]) -> list[Case]:
    """The cases of both files, each question with its two answers."""
    updated, base = (_by_question(path) for path in (paths[UPDATED], paths[BASE]))
    for one, other, path, lacking in (
        (updated, base, paths[UPDATED], paths[BASE]), (base, updated, paths[BASE], paths[UPDATED])
    ):  # fmt: skip
        missing = next((question for question in one if question not in other), None)
        if missing is not None:
            raise DocumentError(f"{lacking} has no answer to the question {_short(missing)} of {path}")
    return [_case(question, row, base[question], paths) for question, row in updated.items()]


def _case(question: str, updated: Row, base: Row, paths: dict[str, Path]) -> Case:
    given = []
    for name in ("fact", "answers"):
        values = [row[name] for row in (updated, base) if row[name]]
        if len(values) == 2 and values[0] != values[1]:
            where = f"{paths[UPDATED]} and {paths[BASE]}"
            raise DocumentError(f"{where} differ in {name} of the question {_short(question)}")
        given.append(values[0] if values else ())
    fact, answers = given
    if not fact and not answers:
        raise DocumentError(f"{paths[UPDATED]}: the question {_short(question)} has neither fact nor answers")
    return Case(question, question, fact or "", answers, {UPDATED: updated["response"], BASE: base["response"]})


def _by_question(path: Path) -> dict[str, Row]:
    found: dict[str, Row] = {}
    for number, value in enumerate(_values(path), 1):
        row = _checked(value, number, path)
        if row["question"] in found:
            raise DocumentError(f"{path}: the question {_short(row['question'])} stands twice")
        found[row["question"]] = row
    if not found:
        raise DocumentError(f"{path} holds no answers")
    return found


def _values(path: Path) -> list[Any]:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise DocumentError(f"cannot read the answers {path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise DocumentError(f"the answers {path} are not UTF-8") from error
    try:
        if text.lstrip().startswith("["):
            value = json.loads(text)
            return value if isinstance(value, list) else [value]
        return [json.loads(line) for line in text.split("\n") if line.strip()]
    except ValueError as error:
        raise DocumentError(f"{path} is neither a JSON list nor JSONL: {error}") from error


def _checked(value: Any, number: int, path: Path) -> Row:
    if not isinstance(value, dict) or not all(isinstance(value.get(key), str) for key in ("question", "response")):
        raise DocumentError(f"{path}: row {number} is not {{question, response}} with fact or answers")
    fact = value.get("fact") or ""
    answers = value.get("answers", [value["answer"]] if value.get("answer") else []) or []
    if not isinstance(fact, str) or not isinstance(answers, list) or not fold(value["question"]):
        raise DocumentError(f"{path}: row {number} has a question, a fact or answers that are no text")
    return {
        "question": fold(value["question"]), "response": value["response"],
        "fact": "" if _IDENTITY.fullmatch(fact) else fold(fact),
        "answers": tuple(fold(str(answer)) for answer in answers),
    }  # fmt: skip


def _row(case: Case, verdict: Verdict, **responses: str) -> Row:
    known = {"fact": case.fact, "answers": list(case.answers)}
    shown_known = {key: value for key, value in known.items() if value}
    return {"question": case.question, **shown_known, **responses, "verdict": verdict.value, "reason": verdict.reason}


def _write(path: Path, kind: str, value: Row) -> None:
    write_json(path.with_name(f"{path.stem}_{kind}.json"), value)


def _print(said: Judgement, accuracy: dict[str, Any], win_rate: dict[str, Any], folder: Path) -> None:
    for title, columns, rows in shown.tables(said.head, {"": {"accuracy": accuracy, "win_rate": win_rate}}):
        table(title, columns, rows)
    console.print(f"every verdict: {folder}/*_acc.json, {folder}/*_win_rate.json", markup=False)


def _short(question: str) -> str:
    return f"{question[:_SHOWN]!r}"
