r"""Updates in a row: what is left of the first facts after the last, what is said of changed ones, what is gone.

    python benchmarks/updates.py --quick --json figures.json     two updates of 12 invented facts, a few passes
    python benchmarks/updates.py --json figures.json             five of 50, default settings; hours on two cores

The first update brings documents of invented facts. Each later one brings new documents and new versions of earlier
ones, in which a fifth as many facts as an update has are changed; the last one also takes a document of the first away.
Each is the real road, gone again on the changed folder. Everything is asked in wordings that were never trained.

first        the facts of the first update that hold to the end: right after the first update, after the last, and how
             much of it is left
superseded   after the last update, of all changed facts: what is so now is given, and the old value not as what is so
             (`right`); the old value is given as what is so (`outdated`)
removed      the facts of the document that was taken away: right after the update before the last, and after the last;
             the untouched model beside it
held_out     after the last update, all facts that hold
stacked      the same of adapters that go on from one another, each trained on new and changed documents alone
updates      of each update its facts, shares and seconds

What is finished is kept in --out, and the same command goes on from there; with other settings, in another --out.
"""

import argparse
import json
import shutil
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
# From the repository, so that this code is measured and not another that is installed.
sys.path[:0] = [str(HERE), str(HERE.parent)]

import invented  # noqa: E402
from recipes.runs import staged  # noqa: E402

from knowledge_update import pipeline  # noqa: E402
from knowledge_update.composition import load  # noqa: E402
from knowledge_update.config import Config  # noqa: E402
from knowledge_update.display import to_terminal  # noqa: E402
from knowledge_update.errors import KnowledgeUpdateError  # noqa: E402
from knowledge_update.evaluation.exam import exam  # noqa: E402
from knowledge_update.evaluation.stage import scored  # noqa: E402
from knowledge_update.run_folder import RunFolder, read_json, write_json  # noqa: E402

ASKED = ("evaluation.updates=null", "evaluation.trained=0", "evaluation.unanswerable=0", "evaluation.retrieval=0")
QUICK = ("training.epochs=6", "training.replay_share=0", "evaluation.retention=false")
Row = dict[str, Any]
Documents = dict[str, list[invented.Fact]]


@dataclass(frozen=True)
class Plan:
    """How much is taught.

    Args:
        updates: How many there are.
        facts: Of each update, changed ones among them.
        changed: Of each update but the first.
        together: Facts of a document.
        seed: Of facts, changes and training.
        settings: Keys of all trainings.
    """

    updates: int
    facts: int
    changed: int
    together: int
    seed: int
    settings: tuple[str, ...]

    def states(self) -> list[Documents]:
        """The documents as they are after each update."""
        made = invented.facts(self.facts + (self.updates - 1) * (self.facts - self.changed), self.seed)
        states, before = list[Documents](), list[invented.Fact]()
        for update in range(self.updates):
            now = {name: list(facts) for name, facts in (states[-1] if states else {}).items()}
            # Changed is what the update before brought, in every document a part; what is taken away is not.
            away = {fact.id for fact in now.get(self.removed, ())}
            for fact in [fact for fact in before[::2] if fact.id not in away][: self.changed]:
                _change(now, fact.id, self.seed)
            count = self.facts - (self.changed if update else 0)
            before, made = made[:count], made[count:]
            for at in range(0, count, self.together):
                now[f"gazetteer-{update + 1}-{at // self.together + 1}"] = before[at : at + self.together]
            states.append(now)
        del states[-1][self.removed]
        return states

    @property
    def removed(self) -> str:
        """The document of the first update that the last one takes away."""
        return "gazetteer-1-1"


def _change(documents: Documents, identity: str, seed: int) -> None:
    for facts in documents.values():
        facts[:] = [invented.changed(fact, seed) if fact.id == identity else fact for fact in facts]


def write(documents: Documents, folder: Path) -> None:
    """Makes a folder hold these documents and no others."""
    folder.mkdir(parents=True, exist_ok=True)
    for file in folder.glob("*.txt"):
        if file.stem not in documents:
            file.unlink()
    for name, facts in documents.items():
        text = " ".join(fact.statement for fact in facts)
        (folder / f"{name}.txt").write_text(f"{name.replace('-', ' ').capitalize()}\n\n{text}\n", encoding="utf-8")


@dataclass(frozen=True)
class Bench:
    """Where everything goes.

    Args:
        plan: What is taught.
        place: The folder.
    """

    plan: Plan
    place: Path

    @property
    def run(self) -> RunFolder:
        """The run folder that every update goes on in."""
        return RunFolder(self.place / "run")

    def config(self, documents: Path, *overrides: str) -> Config:
        """What a run goes by."""
        named = {"documents": str(documents), "seed": self.plan.seed}
        return load([*ASKED, *self.plan.settings, *overrides], named)

    def update(self, number: int, documents: Documents) -> Row:
        """The road on the documents as they are after an update, and what was answered; read where it is done."""
        note = self.place / f"update-{number}.json"
        if not note.exists():
            write(documents, self.place / "documents")
            config = self.config(self.place / "documents")
            for stage in pipeline.STAGES:
                staged(stage, config, self.run)
            kept = self.place / f"adapter-{number}"
            shutil.rmtree(kept, ignore_errors=True)
            shutil.copytree(self.run.adapter, kept)
            write_json(note, {"rows": answered(config, self.run), **self._told()})
        found: Row = read_json(note)
        return found

    def _told(self) -> Row:
        figures = read_json(self.run.evaluation)
        result = read_json(self.run.training_arguments)["result"]
        told = {name: figures[name] for name in ("updates", "retention", "facts") if name in figures}
        told.get("facts", {}).pop("by_document", None)
        return {"figures": told, "train_seconds": result["seconds"], "steps": result["steps"]}

    def stack(self, number: int, adapter: Path, before: Documents, documents: Documents) -> Path:
        """An adapter that goes on from another, trained on what an update brings new or changed."""
        new, source = RunFolder(self.place / f"stacked-{number}"), self.place / f"new-{number}"
        write({name: facts for name, facts in documents.items() if before.get(name) != facts}, source)
        config = self.config(source, f"adapter.start_from={adapter}")
        for stage in (pipeline.collect, pipeline.train):
            staged(stage, config, new)
        return new.adapter

    def ask_stacked(self, adapter: Path) -> Row:
        """The last stacked adapter, asked what the rebuilt one is asked."""
        note, folder = self.place / "stacked.json", RunFolder(self.place / "stacked-asked")
        if not note.exists():
            shutil.rmtree(folder.path, ignore_errors=True)
            shutil.copytree(self.run.path, folder.path)
            shutil.rmtree(folder.adapter)
            # What it was trained on is no matter here: it is asked about everything.
            shutil.copytree(adapter, folder.adapter, ignore=shutil.ignore_patterns(folder.training_arguments.name))
            config = self.config(self.place / "documents")
            for stage in (pipeline.infer, pipeline.evaluate):
                staged(stage, config, folder)
            write_json(note, {"rows": answered(config, folder)})
        found: Row = read_json(note)
        return found


def answered(config: Config, folder: RunFolder) -> list[Row]:
    """Of every question what it is about and whether each model was right."""
    return [
        {
            "set": row["set"], "doc_id": row["doc_id"], "text": row["origin"].get("text"), "question": row["question"],
            "base": row["base"]["right"], "updated": row["updated"]["right"],
            "outdated": row["updated"].get("outdated"), "response": row["updated"]["response"],
        }
        for row in scored(exam(config, folder), folder)
        if row["set"] in ("held_out", "superseded", "gone")
    ]  # fmt: skip


def figures(plan: Plan, states: Sequence[Documents], done: Sequence[Row], stacked: Row | None) -> Row:
    """The figures of the updates so far."""
    last = states[len(done) - 1]
    held = {fact.statement for facts in last.values() for fact in facts}
    first = {fact.statement for facts in states[0].values() for fact in facts} & held
    gone = {fact.statement for fact in states[0][plan.removed]}
    found: Row = {
        "plan": asdict(plan), "first": {"after_first": _share(done[0]["rows"], first), **_after(done[-1], first)},
        "superseded": _superseded(done[-1]), "held_out": _share(done[-1]["rows"], held), "removed": None,
        "stacked": None,
        "updates": [
            {"facts": sum(map(len, state.values())), "first": _share(each["rows"], first)["right"],
             "superseded": _superseded(each), "steps": each["steps"], "train_seconds": each["train_seconds"],
             "retention": each["figures"].get("retention", {}).get("kept")}
            for state, each in zip(states, done, strict=False)
        ],
    }  # fmt: skip
    found["first"]["left"] = _left(found["first"])
    if len(done) == plan.updates and plan.updates > 1:
        found["removed"] = {"before": _share(done[-2]["rows"], gone), **_gone(done[-1], plan.removed)}
    if stacked:
        beside = {"after_first": found["first"]["after_first"], **_after(stacked, first)}
        found["stacked"] = {
            "first": {**beside, "left": _left(beside)}, "superseded": _superseded(stacked),
            "held_out": _share(stacked["rows"], held), "removed": _gone(stacked, plan.removed),
        }  # fmt: skip
    return found


def _after(done: Row, facts: set[str]) -> Row:
    return {"after_last": _share(done["rows"], facts)}


def _left(first: Row) -> float | None:
    before, after = first["after_first"]["right"], first["after_last"]["right"]
    return round(after / before, 3) if before else None


def _share(rows: Sequence[Row], facts: set[str]) -> Row:
    """How many of the facts' held-out questions are answered rightly."""
    asked = [row for row in rows if row["set"] == "held_out" and row["text"] in facts]
    return {"n": len(asked), "right": _mean([row["updated"] for row in asked])}


def _superseded(done: Row) -> Row:
    asked = [row for row in done["rows"] if row["set"] == "superseded"]
    return {
        "n": len(asked), "right": _mean([row["updated"] for row in asked]),
        "outdated": _mean([row["outdated"] for row in asked]),
    }  # fmt: skip


def _gone(done: Row, document: str) -> Row:
    asked = [row for row in done["rows"] if row["set"] == "gone" and row["doc_id"] == document]
    return {"n": len(asked), **{name: _mean([row[name] for row in asked]) for name in ("base", "updated")}}


def _mean(values: Sequence[bool]) -> float | None:
    return round(sum(values) / len(values), 4) if values else None


def measure(bench: Bench, path: Path | None) -> Row:
    """All updates, then the stacked adapters; the figures so far are written after each."""
    plan, states, done = bench.plan, bench.plan.states(), list[Row]()
    for number, documents in enumerate(states, 1):
        done.append(bench.update(number, documents))
        _written(figures(plan, states, done, None), path)
    adapter = bench.place / "adapter-1"
    for number in range(2, plan.updates + 1):
        adapter = bench.stack(number, adapter, states[number - 2], states[number - 1])
    return _written(figures(plan, states, done, bench.ask_stacked(adapter)), path)


def _written(found: Row, path: Path | None) -> Row:
    if path:
        write_json(path, found)
    return found


def _kept(bench: Bench) -> None:
    """Refuses a folder in which something else was begun."""
    note, plan = bench.place / "plan.json", json.loads(json.dumps(asdict(bench.plan)))
    if note.exists() and read_json(note) != plan:
        raise KnowledgeUpdateError(f"{bench.place} holds updates of other settings: use another --out")
    bench.place.mkdir(parents=True, exist_ok=True)
    write_json(note, plan)


def main(words: Sequence[str] | None = None) -> None:
    """Measures, prints, and writes where that is asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="two updates of 12 facts, a few passes")
    parser.add_argument("--json", type=Path, help="write the figures here too")
    parser.add_argument("--seed", type=int, default=0, help="of facts, changes and training")
    parser.add_argument("--out", type=Path, help="where what is finished is kept (runs/updates…)")
    parser.add_argument("settings", nargs="*", help="key=value of all trainings")
    given = parser.parse_args(words)
    to_terminal()
    counts = (2, 12, 3, 4) if given.quick else (5, 50, 10, 10)
    plan = Plan(*counts, given.seed, (*(QUICK if given.quick else ()), *given.settings))
    name = f"updates{'-quick' if given.quick else ''}-{given.seed}"
    bench = Bench(plan, (given.out or Path("runs") / name).expanduser())
    try:
        _kept(bench)
        print(json.dumps(measure(bench, given.json), indent=2))
    except KnowledgeUpdateError as error:
        sys.exit(f"updates: {error}")


if __name__ == "__main__":
    main()
