"""Question files that people wrote: {question, answer | answers[, id, doc_id, doc_ids, kind]} a line."""

import json
from pathlib import Path

from knowledge_update.documents.blocks import fold
from knowledge_update.errors import DocumentError
from knowledge_update.ledger import content_id
from knowledge_update.run_folder import Row


def read_questions(path: Path) -> list[Row]:
    """Reads a question file.

    Returns:
        Rows {id, set, kind, doc_id, fact, question, answers}; `set` is `multi` for questions that need several
        documents (`doc_ids`), else `human`.

    Raises:
        DocumentError: When the file is missing or a line is not a question; names the line.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise DocumentError(f"cannot read the question file {path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise DocumentError(f"the question file {path} is not UTF-8") from error
    rows = [_row(line, number, path) for number, line in enumerate(text.split("\n"), 1) if line.strip()]
    seen: set[str] = set()
    for row in rows:
        if row["id"] in seen:
            raise DocumentError(f"{path}: the id {row['id']!r} stands twice")
        seen.add(row["id"])
    return rows


def _row(line: str, number: int, path: Path) -> Row:
    try:
        value = json.loads(line)
        question = fold(str(value["question"]))
        answers = value["answers"] if "answers" in value else [value["answer"]]
        if not isinstance(answers, list) or not answers or not question:
            raise ValueError("a question needs answers")
        several = bool(value.get("doc_ids")) or value.get("kind") == "multi"
        return {
            "id": str(value.get("id") or content_id(question)), "set": "multi" if several else "human",
            "kind": str(value.get("kind") or ("multi" if several else "direct")),
            "doc_id": None if several or value.get("doc_id") is None else str(value["doc_id"]), "fact": None,
            "question": question, "answers": [fold(str(answer)) for answer in answers],
        }  # fmt: skip
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        wanted = "{question, answer | answers[, id, doc_id]}"
        raise DocumentError(f"{path} line {number} is not {wanted} ({type(error).__name__}: {error})") from error
