"""Answers of any model to any file of questions, as the described inference leaves them.

Answers are journalled beside the output as they come: the same command goes on where a killed one was, and what has
been answered is not asked again. The output appears when all of it is there.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from knowledge_update.config import InferenceConfig
from knowledge_update.display import log, progress
from knowledge_update.errors import ConfigError, DocumentError
from knowledge_update.inference import Generator, Prompt
from knowledge_update.ready_model import ReadyModel
from knowledge_update.run_folder import Row, journal, read_journal, whole_file, write_json, write_rows
from knowledge_update.training.files import DataFile
from knowledge_update.training.formats import ROLES, BadRow

Message = dict[str, str]
_FORMS = "{question}, {conversations}, {messages}, {instruction}, {input}, {prompt}"


@dataclass(frozen=True)
class Question:
    """A row of a question file.

    Args:
        messages: What the model is asked with.
        row: What stands in the output beside the answer.
    """

    messages: list[Message]
    row: Row


def questions(path: Path) -> list[Question]:
    """Reads a question file: a JSON array, or JSONL.

    A row is a conversation, as the collected pairs are (its last question is asked, behind what stands before it), or
    has a `question`, an `instruction` with an `input`, an `input` or a `prompt`.

    Raises:
        DocumentError: When it cannot be read, is empty, or a row is no question; names the row.
    """
    if not path.is_file():
        raise DocumentError(f"no such question file: {path}")
    file = DataFile(path)
    found = []
    for number, value in file.rows():
        try:
            found.append(_question(value))
        except BadRow as error:
            raise DocumentError(f"{path}, {file.unit} {number}: {error}") from error
    if not found:
        raise DocumentError(f"no questions in {path}")
    return found


def _question(value: Any) -> Question:
    if isinstance(value, BadRow):
        raise value
    if not isinstance(value, dict):
        raise BadRow("not an object")
    messages, answer = _messages(value)
    given = value.get("answers", [value["answer"]] if "answer" in value else [answer] if answer else None)
    row = {"id": value.get("id"), "fact": value.get("fact"), "question": messages[-1]["content"], "answers": given}
    return Question(messages, {key: part for key, part in row.items() if part is not None or key == "fact"})


def _messages(value: Row) -> tuple[list[Message], str]:
    """What is asked, and the answer that stands in the row."""
    for name in ("conversations", "messages"):
        if isinstance(value.get(name), list):
            return _asked([_turn(turn) for turn in value[name]])
    if isinstance(value.get("question"), str):
        return _asked([{"role": "user", "content": value["question"]}])
    if isinstance(value.get("instruction"), str):
        parts = [part for part in (value["instruction"], str(value.get("input") or "")) if part.strip()]
        return _asked([{"role": "user", "content": "\n".join(parts)}])
    for name in ("input", "prompt"):
        if isinstance(value.get(name), str):
            return _asked([{"role": "user", "content": value[name]}])
    raise BadRow(f"not a question: a row has one of {_FORMS}")


def _asked(turns: list[Message]) -> tuple[list[Message], str]:
    last = max((at for at, turn in enumerate(turns) if turn["role"] == "user"), default=-1)
    if last < 0 or not turns[last]["content"].strip():
        raise BadRow("an empty question")
    answer = turns[last + 1]["content"] if last + 1 < len(turns) else ""
    return turns[: last + 1], answer


def _turn(turn: Any) -> Message:
    who, what = ("from", "value") if isinstance(turn, dict) and "from" in turn else ("role", "content")
    if not isinstance(turn, dict) or not isinstance(turn.get(what), str) or turn.get(who) not in ROLES:
        raise BadRow("a turn without a known role or without text")
    return {"role": ROLES[turn[who]], "content": turn[what]}


def answer(ready: ReadyModel, asked: Sequence[Question], output: Path, settings: InferenceConfig) -> int:
    """Answers questions into a file: a JSON array, or JSONL where its name ends so.

    Args:
        ready: The model.
        asked: As `questions` gives them.
        output: `{fact, question, response}` a row, with `id` and `answers` where the question has them.
        settings: How answers are generated.

    Returns:
        How many there are.

    Raises:
        WorkError: When something cannot be written; what was answered is kept.
    """
    prompts = [Prompt(str(at), tuple(ready.template.prompt(question.messages))) for at, question in enumerate(asked)]
    path = output.with_name(f".{output.name}.journal")
    key = _key(ready, prompts, settings)
    said = _known(path, key)
    missing = [prompt for prompt in prompts if prompt.id not in said]
    if said:
        log.info("%d of %d are answered already", len(said), len(asked))
    generator = Generator(
        ready.model, ready.template, batch_rows=settings.batch_rows, max_new_tokens=settings.max_new_tokens
    )
    with journal(path) as append, progress("Asking", len(asked), "questions", len(said)) as advance:
        if not path.stat().st_size:
            append([{"key": key}])
        for batch in generator.answers(missing):
            append({"row": at, "response": response} for at, response in batch)
            said |= dict(batch)
            advance(len(batch))
    rows = [{**question.row, "response": said[str(at)]} for at, question in enumerate(asked)]
    if output.suffix.lower() == ".jsonl":
        write_rows(output, rows)
    else:
        write_json(output, rows)
    return len(rows)


def _known(path: Path, key: str) -> dict[str, str]:
    """What has been answered; answers of another model, or to other questions, are removed."""
    rows = read_journal(path)
    if rows and rows[0].get("key") != key:
        log.info("%s holds answers of another model or to other questions: asking anew", path.name)
        path.unlink()
        return {}
    return {row["row"]: row["response"] for row in rows[1:]}


def _key(ready: ReadyModel, prompts: Sequence[Prompt], settings: InferenceConfig) -> str:
    digest = hashlib.sha256(json.dumps([ready.fingerprint, asdict(settings)]).encode())
    for prompt in prompts:
        digest.update(str(prompt.ids).encode())
    return digest.hexdigest()[:16]


def check(output: Path, asked: Path) -> None:
    """Checks before any work that the output can be written where it is wanted.

    Raises:
        ConfigError: When not.
    """
    if output.is_dir():
        raise ConfigError(f"--output_path {output} is a folder: name a file in it")
    if output.resolve() == asked.resolve():
        raise ConfigError(f"--output_path {output} is the question file itself")
    with whole_file(output.with_name(f".{output.name}.trial")) as file:
        file.write("")
    output.with_name(f".{output.name}.trial").unlink()
