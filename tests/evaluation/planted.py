"""A small dataset, and answers of models that are planted to fool an evaluation."""

from collections.abc import Callable
from pathlib import Path

from knowledge_update.config import Config, EvaluationConfig
from knowledge_update.evaluation.exam import ANSWERS, Exam, exam
from knowledge_update.ledger import ChunkRow, DocumentRow, FactRow, Ledger, QuestionRow
from knowledge_update.run_folder import Row, RunFolder, write_rows
from knowledge_update.writing import dataset

PEOPLE = ("Hesk", "Varne", "Sool", "Brunn", "Maskvane", "Ommel", "Thornquil", "Oxmantle", "Wrenhold", "Falterby",
          "Dallinore", "Harwyke")  # fmt: skip
THINGS = ("tower", "bridge", "dairy", "ferry", "museum", "bakery", "library", "shipyard", "reserve", "festival",
          "courier", "quay")  # fmt: skip
CONFIG = Config(evaluation=EvaluationConfig(resamples=300, trained=6, unanswerable=8, retrieval=5))
HUMAN = [
    {"id": "q1", "set": "human", "kind": "direct", "doc_id": "isle", "fact": None,
     "question": "When was the tower built by Hesk?", "answers": ["1850"]},
    {"id": "q2", "set": "human", "kind": "reversed", "doc_id": "isle", "fact": None,
     "question": "Which building did Varne raise, the bridge or the dairy?", "answers": ["the bridge"]},
    {"id": "q3", "set": "multi", "kind": "multi", "doc_id": None, "fact": None,
     "question": "Which is older, the work of Hesk or that of Varne?", "answers": ["Hesk", "that of Hesk"]},
]  # fmt: skip

Model = Callable[[Row], str]


def source(path: Path) -> RunFolder:
    """A run folder with a dataset about a dozen buildings, and no answers."""
    folder = RunFolder(path)
    folder.create()
    lines = [f"The {thing} of {name} was built in {1850 + 7 * at} by {name}."
             for at, (thing, name) in enumerate(zip(THINGS, PEOPLE, strict=True))]  # fmt: skip
    text = " ".join(lines) + " Long ago there was a tower here, said Hesk, and then Varne."
    facts, questions = [], []
    for at, (line, thing, name) in enumerate(zip(lines, THINGS, PEOPLE, strict=True)):
        facts.append(FactRow(f"f{at}", "c", line, line, text.index(line), text.index(line) + len(line)))
        for split, wording, asked in (
            ("probe", "probe", f"Could you tell me when the {thing} of {name} was built?"),
            ("train", "direct", f"In which year did they build the {thing} of {name}?"),
            ("train", "cloze", f"Fill in the blank: the {thing} of {name} was built in ____."),
        ):
            questions.append(
                QuestionRow(f"{split}{wording}{at}", f"f{at}", split, "when", "", wording, asked, str(1850 + 7 * at))
            )
    with Ledger(folder.ledger) as ledger:
        row = DocumentRow("d", "isle", "isle.txt", "The isle", "text/plain", "en")
        ledger.add(row, [ChunkRow("c", text, "d", 0, len(text), "")], facts, questions, [])
        dataset.write(ledger, folder)
    write_rows(folder.dataset("questions"), HUMAN)
    return folder


def base(row: Row) -> str:
    """A base model that knows a third of general knowledge and nothing else."""
    known = row["set"] == "retention" and hash_of(row) % 3 == 0
    return row["answers"][0] if known else "It is a historic place in Greece."


def oracle(row: Row) -> str:
    return row["answers"][0] if row["answers"] else "I do not know that."


def hash_of(row: Row) -> int:
    return sum(map(ord, row["id"]))


def plant(folder: RunFolder, updated: Model, before: Model = base, config: Config = CONFIG) -> Exam:
    """Writes all answers, those of the updated model by one function, the others by another."""
    asked = exam(config, folder)
    for name in ANSWERS:
        model = updated if name.startswith("updated") else before
        write_rows(folder.answers(name), [{**row, "response": model(row)} for row in asked.of(name)])
    return asked
