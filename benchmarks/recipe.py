r"""What to train on, and how: our training, others' recipes on the same rows, and every lever of ours, one row each.

    python benchmarks/recipe.py --quick --json figures.json      36 invented facts, three arms, one seed
    python benchmarks/recipe.py --json figures.json [--data DIR] [--arms ours,baselines] [--corpora invented]

A corpus is collected once by the writer `rules`, and the untouched model asked once, without passages and with the
right one. Each arm trains the same rows in a run folder of its own and is asked the same questions by the same stages:

held_out        the wording of each fact that is never trained
human           people's questions; of invented facts one of the generator's wordings that is near no trained one
reversed        those among them that ask for a fact's subject
kept            of the general questions that the untouched model answers rightly, the share still right
open_book       the untouched model with the right passage before it, on the human questions
seconds         of training: of ours the whole stage, the untouched model's answers for replay and its opinions of them
                with it; of the others their steps alone
interval        95 % of held_out, bootstrap over questions, each the mean of its seeds; `intervals` has all
ahead           by how much `ours` is ahead of the arm, with the interval of the difference

ours            the defaults, or what is given behind the options as key=value
seed_recipe     transformers' Trainer, LoRA r 64 α 16 on q and v, 3e-4 falling along a line over 5 epochs, eight rows a
                step padded to 512, the answers of questions
trl_default     TRL's SFTTrainer with everything as it comes (2e-5, 3 epochs, LoRA r 16 of its own choice of maps),
                conversations and texts, all tokens learned; trl_lora with the 2e-4 of TRL's example with LoRA
NAME@epochs     the same for as many passes over the rows as ours made; NAME@10 for 10; the others train as many
                seconds as ours did, their rate as they ship it
a lever         a line of `recipes/levers.py`; as many steps as ours, or a multiple

What is finished is kept in --out, and the same command goes on. An arm is trained again when its settings, its rows or
the questions have changed, not when the code has: use another --out for another version. TRL has an environment of its
own, named by --peers DIR or KUPDATE_PEERS, as `training.py` describes it. The corpora are invented facts, the example
corpus, and those of --data: DIR or its subfolders with `documents.jsonl` {doc_id, title, text} and `questions.jsonl`
{id, doc_id, question, answer | answers[, names_subject]}.
"""

import argparse
import os
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
# From the repository, so that this code is measured and not another that is installed.
sys.path[:0] = [str(HERE), str(HERE.parent)]

from recipes import baselines, corpora, figures, levers  # noqa: E402
from recipes.baselines import BASELINES  # noqa: E402
from recipes.levers import LEVERS  # noqa: E402
from recipes.runs import Course, depends_on, ours  # noqa: E402

from knowledge_update.display import to_terminal  # noqa: E402
from knowledge_update.errors import KnowledgeUpdateError  # noqa: E402
from knowledge_update.run_folder import write_json  # noqa: E402

QUICK = ("ours", "seed_recipe", "trl_default")
GROUPS = {
    "baselines": [*BASELINES, *(f"{name}@epochs" for name in BASELINES)],
    "described": ["seed_recipe@5", "seed_recipe@10", "seed_recipe@20"],
    "levers": [*LEVERS],
}
FACTS, QUICK_FACTS = 240, 36
# So that three arms train and are asked within a quarter of an hour.
QUICK_SETTINGS = ("training.budget=170s",)
Row = dict[str, Any]


@dataclass(frozen=True)
class Bench:
    """One corpus's arms.

    Args:
        course: Their folders.
        peers: Where others have their environments.
    """

    course: Course
    peers: Path | None

    def measured(self, arm: str, seed: int, against: Row | None) -> Row:
        """An arm's training and answers.

        Args:
            arm: Its name.
            seed: Its.
            against: What ours came to with this seed; none for ours itself.
        """
        if against is None:
            return self._ours(arm, seed, [])
        if arm in LEVERS:
            return self._ours(arm, seed, LEVERS[arm], against)
        return self._baseline(arm, seed, against)

    def _ours(self, arm: str, seed: int, lever: Sequence[str], against: Row | None = None) -> Row:
        own, overrides = levers.parted(lever)
        if against and not self.course.config().training.budget:
            overrides = levers.as_long(overrides, int(own.get("times", 1)) * int(against["steps"]))
        config = self.course.config(overrides, seed)
        rows = levers.rows(own, self.course.collected)
        return self.course.run(arm, config, depends_on(config), rows, lambda folder: ours(config, folder))

    def _baseline(self, arm: str, seed: int, against: Row) -> Row:
        name, _, wanted = arm.partition("@")
        recipe, config = BASELINES[name], self.course.config(seed=seed)
        python = baselines.python_of(recipe, Path(sys.executable), self.peers)
        passes = (against["passes"] if wanted == "epochs" else float(wanted)) if wanted else None
        seconds = None if wanted else against["seconds"]
        task = baselines.task_of(recipe, config, self.course.collected, seed, passes)
        settings = [repr(recipe), task["settings"], task["hash"], task["passes"], seconds]
        return self.course.run(
            arm, config, settings, None, lambda folder: baselines.train(recipe, python, task, folder, seconds)
        )


def measured(bench: Bench, arms: Sequence[str], seeds: int) -> Iterator[dict[str, Row]]:
    """The figures of all arms so far, after each; ours comes first, since the others are measured by it."""
    done: dict[str, dict[int, Row]] = {}
    errors: dict[str, str] = {}
    prepared = bench.course.prepare()
    for seed in range(seeds):
        for arm in ["ours", *(name for name in arms if name != "ours")]:
            try:
                against = None if arm == "ours" else done["ours"][seed]
                done.setdefault(arm, {})[seed] = bench.measured(arm, seed, against)
            except (KnowledgeUpdateError, OSError, RuntimeError) as error:
                if arm == "ours":
                    raise
                errors[arm] = f"seed {seed}: {error}"
            yield _figures(done, errors, prepared)


def _figures(done: dict[str, dict[int, Row]], errors: dict[str, str], prepared: Row) -> dict[str, Row]:
    base = figures.of([*done["ours"].values()][:1], "base")
    told = {"base": {**base, "seconds": 0.0, "steps": 0, "rows": 0, "load": [], "prepared": prepared}}
    for arm, rows in done.items():
        told[arm] = figures.of([*rows.values()])
        if arm != "ours":
            told[arm]["ahead"] = figures.ahead([done["ours"][seed] for seed in rows], [*rows.values()])
    for arm, error in errors.items():
        told[arm] = {**told.get(arm, {}), "error": error}
    return told


def chosen_arms(words: str | None, quick: bool) -> list[str]:
    """The arms that were named, groups of them taken apart.

    Raises:
        ValueError: When there is no arm of a name.
    """
    if words is None:
        return list(QUICK) if quick else ["ours", *GROUPS["baselines"], *GROUPS["levers"]]
    found: list[str] = []
    for word in filter(None, words.split(",")):
        found += GROUPS.get(word, [word])
    for arm in found:
        name, at, passes = arm.partition("@")
        if at and (name not in BASELINES or not (passes == "epochs" or passes.isdigit())):
            raise ValueError(f"{arm}: only {', '.join(BASELINES)} have passes, as @epochs or @10")
        if not at and arm not in ("ours", *BASELINES, *LEVERS):
            raise ValueError(f"no arm {arm}: ours, {', '.join([*GROUPS, *BASELINES, *LEVERS])}")
    return list(dict.fromkeys(found))


def courses(given: argparse.Namespace) -> list[Course]:
    """The corpora that were asked for, with the places of their arms.

    Raises:
        ValueError: When there is no corpus of a name.
    """
    count = given.facts or (QUICK_FACTS if given.quick else FACTS)
    settings = (*(QUICK_SETTINGS if given.quick else ()), *given.settings)
    place = given.out.expanduser() / f"invented-{count}"
    found = [(corpora.of_invented(place / "documents", count), place)]
    others = [] if given.quick else [corpora.example()]
    others += corpora.of_data(given.data.expanduser(), given.passages) if given.data else []
    found += [(corpus, given.out.expanduser() / corpus.name) for corpus in others]
    wanted = given.corpora.split(",") if given.corpora else [corpus.name for corpus, _ in found]
    if unknown := set(wanted) - {corpus.name for corpus, _ in found}:
        raise ValueError(f"no corpus {', '.join(unknown)}: {', '.join(corpus.name for corpus, _ in found)}")
    return [Course(corpus, place, settings) for corpus, place in found if corpus.name in wanted]


def parser() -> argparse.ArgumentParser:
    """The options."""
    made = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("--quick", action="store_true", help="36 invented facts, ours and two others, one seed")
    made.add_argument("--json", type=Path, help="write the figures here, after every arm")
    made.add_argument("--data", type=Path, help="a folder of other corpora")
    made.add_argument("--passages", type=int, help="of those corpora only so many documents")
    made.add_argument("--facts", type=int, help="invented facts, 240 if not given, 36 with --quick")
    made.add_argument("--corpora", help="some of them, by name and with commas between")
    made.add_argument("--seeds", type=int, help="3 if not given, 1 with --quick")
    made.add_argument("--arms", help=f"names with commas between, or {', '.join(GROUPS)}")
    made.add_argument("--out", type=Path, default=HERE.parent / "runs" / "recipe", help="where the work is kept")
    made.add_argument("--peers", type=Path, default=os.environ.get("KUPDATE_PEERS"))
    made.add_argument("settings", nargs="*", help="keys of the configuration for all arms of ours: key=value")
    return made


def main() -> None:
    """Measures, prints the figures and writes them."""
    options = parser()
    given = options.parse_args()
    # Every arm may use all cores, ours as well as those in processes of their own.
    os.environ.pop("OMP_NUM_THREADS", None)
    to_terminal()
    try:
        arms, chosen = chosen_arms(given.arms, given.quick), courses(given)
    except (ValueError, OSError) as error:
        options.error(str(error))
    began = time.monotonic()
    written: Row = {}
    for course in chosen:
        found: dict[str, Row] = {}
        for found in measured(Bench(course, given.peers), arms, given.seeds or (1 if given.quick else 3)):
            print(f"{course.corpus.name} {figures.line(*list(found.items())[-1])}", flush=True)
            written[course.corpus.name] = found
            if given.json:
                write_json(given.json, written)
        print(f"\n## {course.corpus.name}\n\n{figures.table(found)}\n", flush=True)
    print(f"{time.monotonic() - began:.0f} s in all")


if __name__ == "__main__":
    main()
