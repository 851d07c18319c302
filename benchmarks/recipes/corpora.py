"""What is taught and asked: documents, and questions about them that people wrote or a generator did."""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import invented

from knowledge_update.evaluation.contamination import Trained

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "orvessay"
# One of each kind of invented fact.
FACTS_A_DOCUMENT = 12
# As `benchmarks/training.py` draws them.
SEED = 7
Row = dict[str, Any]


@dataclass(frozen=True)
class Corpus:
    """Documents and questions.

    Args:
        name: Under which its figures are written.
        documents: A folder, or a file of documents.
        questions: Beside those that the folder itself holds, as question files have them. Of those of one `group` the
            first is asked that is worded like no trained one; those without a group all are.
        settings: Keys that its collection needs.
    """

    name: str
    documents: Path
    questions: tuple[Row, ...] = ()
    settings: tuple[str, ...] = ()


def of_invented(folder: Path, count: int) -> Corpus:
    """Invented facts, written into documents of a folder; of every other document some are asked backwards.

    The wordings of a fact are in the order of the generator's draw.
    """
    made = invented.facts(count, SEED)
    folder.mkdir(parents=True, exist_ok=True)
    questions: list[Row] = []
    for number, start in enumerate(range(0, count, FACTS_A_DOCUMENT), 1):
        part, name = made[start : start + FACTS_A_DOCUMENT], f"gazetteer-{number:02d}"
        text = " ".join(fact.statement for fact in part)
        (folder / f"{name}.txt").write_text(f"Gazetteer {number}\n\n{text}\n", encoding="utf-8")
        for fact in part:
            questions += _of_fact(fact, name)
            # What two things have in common names neither.
            alone = sum(other.backward[0] == fact.backward[0] for other in made) == 1
            if number % 2 == 0 and alone:
                questions.append(_backward(fact, name))
    return Corpus("invented", folder, tuple(questions))


def _of_fact(fact: invented.Fact, name: str) -> Iterator[Row]:
    value = fact.held_out[1]
    for at, (question, _) in enumerate([fact.held_out, *fact.trained]):
        yield {"id": f"{fact.id}-{at}", "doc_id": name, "question": question, "answer": value, "group": fact.id}


def _backward(fact: invented.Fact, name: str) -> Row:
    question, answer = fact.backward
    return {
        "id": f"{fact.id}-backward", "doc_id": name, "question": question, "answer": answer, "kind": "reversed",
        "group": f"{fact.id}-backward",
    }  # fmt: skip


def example() -> Corpus:
    """The corpus of the demo, with its questions."""
    return Corpus("orvessay", EXAMPLE)


def of_data(folder: Path, limit: int | None) -> list[Corpus]:
    """The corpora of a folder, or of its subfolders: `documents.jsonl` with `questions.jsonl`.

    A question that does not name its subject gets the title of its document before it. Where `names_subject` says which
    ones do, those that do not are left out.

    Args:
        folder: The folder.
        limit: Only the first documents.

    Raises:
        FileNotFoundError: Where there is none.
    """
    places = [folder, *sorted(part for part in folder.iterdir() if part.is_dir())]
    found = [place for place in places if (place / "documents.jsonl").exists() and (place / "questions.jsonl").exists()]
    if not found:
        raise FileNotFoundError(f"{folder}: neither it nor a folder in it has documents.jsonl and questions.jsonl")
    return [_of_records(place, limit) for place in found]


def _of_records(place: Path, limit: int | None) -> Corpus:
    documents, questions = place / "documents.jsonl", _rows(place / "questions.jsonl")
    titles = {row["doc_id"]: row["title"] for row in _rows(documents)[:limit]}
    asked = [row for row in questions if row["doc_id"] in titles and row.get("names_subject", True)]
    fronted = [row if "names_subject" in row else _titled(row, titles[row["doc_id"]]) for row in asked]
    name = place.resolve().name + (f"-{limit}" if limit else "")
    return Corpus(name, documents, tuple(fronted), (f"reader.limit={limit}",) if limit else ())


def _titled(row: Row, title: str) -> Row:
    return {**row, "question": f'In the article "{title}": {row["question"]}'}


def _rows(path: Path) -> list[Row]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]


def chosen(questions: Iterable[Row], trained: Iterable[str]) -> list[Row]:
    """The questions to ask: of a group the first that is worded like no trained one."""
    near, groups = Trained(trained), set[str]()
    kept: list[Row] = []
    for row in questions:
        group = row.get("group")
        if group is None or (group not in groups and not near.nearest(row["question"])):
            kept.append({name: value for name, value in row.items() if name != "group"})
            groups.update([group] if group else [])
    return kept
