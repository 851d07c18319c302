"""The exam: what a run's models are asked, drawn the same way whenever it is looked at."""

import hashlib
import heapq
import json
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

from knowledge_update.config import Config
from knowledge_update.errors import RunFolderError
from knowledge_update.evaluation import updates
from knowledge_update.ledger import Ledger
from knowledge_update.run_folder import Row, RunFolder, read_rows
from knowledge_update.writing.statements import ABOUT, CHANGED
from knowledge_update.writing.unanswerable import Inventor

RETENTION = Path(__file__).parent / "data" / "retention.jsonl"
# Files of answers.
ANSWERS = ("base", "updated", "open_book", "base_retrieval", "updated_retrieval")
# Sets of questions that the documents answer, in the order they are shown.
SETS = ("trained", "held_out", "human", "multi")


@dataclass(frozen=True)
class Exam:
    """What is asked, as rows of {id, set, doc_id, fact, question, answers, …}.

    Args:
        questions: What the documents answer: asked of both models, and of the base with the right passage open.
        unanswerable: The same about what no document names: asked of both models.
        general: General knowledge, to see what is forgotten: asked of both models.
        retrieved: Of `questions` those that both models are asked with passages that were searched for.
        past: About facts that hold no longer: asked of both models.
    """

    questions: list[Row]
    unanswerable: list[Row]
    general: list[Row]
    retrieved: list[Row]
    past: list[Row] = field(default_factory=list)

    @property
    def closed(self) -> list[Row]:
        """What is asked without any passage."""
        return [*self.questions, *self.unanswerable, *self.general, *self.past]

    def of(self, answers: str) -> list[Row]:
        """What a file of answers (`base`, `updated`, `open_book`, …) is to answer."""
        if answers.endswith("_retrieval"):
            return self.retrieved
        return self.questions if answers == "open_book" else self.closed


def exam(config: Config, folder: RunFolder) -> Exam:
    """The exam of a run.

    Raises:
        RunFolderError: When the folder has no questions, or two of one id.
    """
    probes = read_rows(folder.require(folder.dataset("probes"), f"collect DOCS --out {folder.path}"))
    path, settings = folder.dataset("questions"), config.evaluation
    human = read_rows(path) if path.exists() else []
    questions = [*drawn(trained(folder), settings.trained, config.seed), *probes, *human]
    with Ledger(folder.ledger) as ledger:
        place_of = {known.fact.id: known.doc_id for known in ledger.facts()}
        inventor = Inventor(ledger)
        past = _past(ledger, settings.updates, config.seed)
    questions = [{"doc_id": place_of.get(row["fact"]), **row} for row in questions]
    unanswerable = _invented(inventor, drawn(probes, None, config.seed), settings.unanswerable)
    # Where few are drawn, none is spent on what was trained.
    retrieved = [
        row for name in (SETS if settings.retrieval is None else SETS[1:])
        for row in drawn((row for row in questions if row["set"] == name), settings.retrieval, config.seed)
    ]  # fmt: skip
    general = [{**row, "set": "retention", "doc_id": None, "fact": None} for row in read_rows(RETENTION)]
    made = Exam(questions, unanswerable, general if settings.retention else [], retrieved, past)
    twice = [identity for identity, times in Counter(row["id"] for row in made.closed).items() if times > 1]
    if twice:
        raise RunFolderError(f"two questions have the id {twice[0]!r}: give the one in your question file another")
    return made


def drawn(rows: Iterable[Row], count: int | None, seed: int) -> list[Row]:
    """A sample of rows: whether one is in it depends on the others as little as can be.

    Args:
        rows: With identities.
        count: How many at most; all where it is none.
        seed: Of the draw.
    """

    def order(row: Row) -> tuple[bytes, str]:
        return hashlib.sha256(f"{seed} {row['id']}".encode("utf-8", "replace")).digest(), row["id"]

    return sorted(rows, key=order) if count is None else heapq.nsmallest(count, rows, key=order)


def _past(ledger: Ledger, count: int | None, seed: int) -> list[Row]:
    """What is asked of facts that hold no longer: of those that were superseded, and of those that are gone."""
    superseded = drawn(updates.superseded(ledger), count, seed)
    # Whether something is still said elsewhere takes time to see: of so many drawn enough are gone.
    retired = drawn(updates.retired(ledger), count and 4 * count, seed)
    return [*superseded, *islice((row for row in retired if updates.is_gone(row, ledger)), count)]


def trained(folder: RunFolder) -> Iterator[Row]:
    """Trained questions with a definite answer: to be told about something, or what it was before, has none."""
    path = folder.dataset("train")
    if not path.exists():
        return
    with path.open(encoding="utf-8") as file:
        for row in map(json.loads, file):
            if "messages" not in row or row.get("wording") in (ABOUT, CHANGED):
                continue
            asked, answer = (message["content"] for message in row["messages"][-2:])
            yield {"id": row["id"], "set": "trained", "fact": row["fact"], "question": asked, "answers": [answer]}


def _invented(inventor: Inventor, probes: Iterable[Row], count: int | None) -> list[Row]:
    """Held-out questions about things that were made up, as far as they name any, each thing's wording once."""
    found: list[Row] = []
    for row in probes:
        if count is not None and len(found) >= count:
            break
        if question := inventor.invented(row["question"]):
            found.append({"id": f"{row['id']}-unanswerable", "set": "unanswerable", "doc_id": None, "fact": None,
                          "question": question, "answers": []})  # fmt: skip
    return found
