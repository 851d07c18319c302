"""The run folders of a benchmark: one in which a corpus is collected and the base asked, a copy of it for each arm.

What is finished is not done again: an arm whose `figures.json` is of the same settings, rows and questions is read, one
that has only been trained is asked. A training that was interrupted begins anew, so that its seconds are those of one.
"""

import hashlib
import json
import os
import shutil
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import knowledge_update
from knowledge_update import pipeline, processes, run_config
from knowledge_update.composition import load
from knowledge_update.config import Config
from knowledge_update.display import to_terminal
from knowledge_update.evaluation.exam import exam, trained
from knowledge_update.evaluation.stage import scored
from knowledge_update.run_folder import RunFolder, digest, read_json, write_json, write_rows
from recipes.corpora import Corpus, chosen

# Of the exam what is compared here: questions that were never trained, with no passages but the right one, and what the
# model knew before.
ASKED = ("evaluation.trained=0", "evaluation.unanswerable=0", "evaluation.retrieval=0")
# What an adapter and its answers do not depend on; of documents and writer the dataset tells.
_APART = (
    "documents", "questions", "pairs_jsonl", "pairs_json", "output_dir", "reader", "writer", "judge", "tracker",
)  # fmt: skip
Row = dict[str, Any]


@dataclass(frozen=True)
class Course:
    """A corpus with the folders of its arms.

    Args:
        corpus: What is taught.
        place: Where the folders are.
        settings: Keys of all arms of ours.
    """

    corpus: Corpus
    place: Path
    settings: tuple[str, ...] = ()

    def config(self, overrides: Sequence[str] = (), seed: int = 0) -> Config:
        """What our own stages go by."""
        named = {"documents": str(self.corpus.documents), "seed": seed}
        if self.corpus.questions:
            named["questions"] = str(self.place / "questions.jsonl")
        return load([*ASKED, *self.corpus.settings, *self.settings, *overrides], named)

    @property
    def collected(self) -> RunFolder:
        """Where the corpus is collected, and the base's answers are."""
        return RunFolder(self.place / "collected")

    def arm(self, name: str, seed: int) -> RunFolder:
        """An arm's folder."""
        return RunFolder(self.place / f"{name}-{seed}")

    def prepare(self) -> Row:
        """Collects, and asks the base without and with the right passage; returns the seconds of both."""
        config, folder, note = self.config(), self.collected, self.place / "collected.json"
        known = read_json(note) if note.exists() else {}
        if known.get("key") != (key := self._key(config)):
            self.place.mkdir(parents=True, exist_ok=True)
            self._collect(config, folder)
            staged(pipeline.ask_base, config, folder)
            seconds = {name: spent for name, spent in read_json(folder.seconds).items() if name != "failed"}
            known = {"key": key, "seconds": seconds}
            write_json(note, known)
        found: Row = known["seconds"]
        return found

    def _key(self, config: Config) -> str:
        """Of all that decides what is collected, and what the base is asked."""
        files = [self.corpus.documents, *sorted(self.corpus.documents.glob("**/*"))]
        parts = [digest(file) for file in files if file.is_file()]
        parts += map(digest, _sources("writing", "documents", "evaluation"))
        asked = (config.reader, config.writer, config.model, config.inference, config.evaluation)
        return _hash([*parts, repr(asked), self.corpus.questions])

    def _collect(self, config: Config, folder: RunFolder) -> None:
        """Collects from the beginning; answers that are there tell themselves what they are to."""
        for file in folder.path.glob("ledger.sqlite*"):
            file.unlink()
        shutil.rmtree(folder.path / "dataset", ignore_errors=True)
        if self.corpus.questions:
            write_rows(self.place / "questions.jsonl", chosen(self.corpus.questions, ()))
        staged(pipeline.collect, config, folder)
        if any("group" in row for row in self.corpus.questions):
            # Which of them are asked depends on what is trained: that is known now.
            asked = chosen(self.corpus.questions, (row["question"] for row in trained(folder)))
            write_rows(self.place / "questions.jsonl", asked)
            staged(pipeline.collect, config, folder)

    def run(
        self, name: str, config: Config, settings: object, rows: list[Row] | None, train: Callable[[RunFolder], Row]
    ) -> Row:
        """Trains an arm and asks it, as far as that is not done; returns what its training came to, and its answers.

        Args:
            name: The arm's.
            config: How it is asked; with its seed.
            settings: All that decides what its training comes to, besides the rows.
            rows: What it trains, where not what was collected.
            train: From its folder to {seconds, steps, rows, …}, with an adapter in the folder.
        """
        folder = self.arm(name, config.seed)
        data = [digest(self.collected.dataset(part)) for part in ("train", "probes", "questions")]
        key = _hash([name, config.seed, settings, data, rows, asdict(config.inference), asdict(config.evaluation)])
        note, figures = folder.path / "arm.json", folder.path / "figures.json"
        known = read_json(note) if note.exists() else {}
        if known.get("key") != key:
            shutil.rmtree(folder.path, ignore_errors=True)
            shutil.copytree(self.collected.path, folder.path)
            if rows is not None:
                write_rows(folder.dataset("train"), rows)
            before = os.getloadavg()[0]
            known = {"key": key, **train(folder), "load": [round(before, 1), round(os.getloadavg()[0], 1)]}
            write_json(note, known)
        if not figures.exists():
            staged(pipeline.infer, config, folder)
            known["asked_seconds"] = read_json(folder.seconds)["infer"]
            write_json(figures, {**known, "answers": _answers(config, folder)})
            # What is left to see are answers, losses and what was printed.
            shutil.rmtree(folder.adapter)
        found: Row = read_json(figures)
        return found


def ours(config: Config, folder: RunFolder) -> Row:
    """Trains an arm of ours; returns its seconds, of the whole stage, with its steps, rows and passes."""
    staged(pipeline.train, config, folder)
    result = read_json(folder.training_arguments)["result"]
    with folder.dataset("train").open(encoding="utf-8") as lines:
        texts = ["text" in json.loads(line) for line in lines]
    settings, questions = config.training, len(texts) - sum(texts)
    text_share = settings.text_share if questions and questions < len(texts) else 0
    # Of texts alone nothing is made that asks about what is not known.
    unknown_share = settings.unknown_share if questions else 0
    taught = 1 - settings.replay_share - unknown_share - text_share
    return {
        "seconds": read_json(folder.seconds)["train"], "steps": result["steps"], "rows": result["rows"],
        "passes": round(result["rows"] * taught / (questions or len(texts)), 2),
    }  # fmt: skip


def depends_on(config: Config) -> Row:
    """What our training depends on, besides the rows."""
    return {name: value for name, value in asdict(config).items() if name not in _APART}


def staged(stage: Callable[[Config, RunFolder], Any], config: Config, folder: RunFolder) -> None:
    """Runs a stage in a process of its own: every arm begins alike, and none keeps memory from the next."""
    if folder.config.exists():
        # The arm says what it is; that its copy was made by another is known.
        run_config.write(config, folder)
    with ProcessPoolExecutor(1, get_context("spawn"), _begin) as pool:
        pool.submit(pipeline.run_stage, stage, config, folder).result()


def _begin() -> None:
    """A stage's process ends when the benchmark is killed: it would take the machine from what is measured next."""
    threading.Thread(target=processes._watch, args=(os.getppid(),), daemon=True).start()
    to_terminal()


def _answers(config: Config, folder: RunFolder) -> list[Row]:
    """Of every question whether each model answers it rightly, and token F1."""
    names = ("base", "updated", "open_book")
    return [
        {
            **{key: row[key] for key in ("id", "set", "kind")},
            "right": {name: row[name]["right"] for name in names if name in row},
            "f1": {name: row[name]["f1"] for name in names if name in row},
        }
        for row in scored(exam(config, folder), folder)
    ]


def _sources(*parts: str) -> list[Path]:
    root = Path(knowledge_update.__file__).parent
    return sorted(file for part in parts for end in ("py", "jsonl") for file in (root / part).glob(f"**/*.{end}"))


def _hash(value: object) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True, default=str).encode()).hexdigest()[:16]
