r"""How fast rows become knowledge: our training loop and others on the same machine, with the same rows.

    python benchmarks/training.py --quick --json figures.json      ours and TRL, 96 short rows an arm
    python benchmarks/training.py --json figures.json              all arms, long rows, and the time to knowledge

Every arm trains the embedded model with the same token ids and labels (by their hash), the same rows an optimizer step,
the same LoRA (r = 16 on all linear maps of all layers) and AdamW, in the type that the processor computes fastest.
Arms stay loaded and take turns; their first steps are not counted. Figures are medians over turns.

short           rows a second; a row is a question with its answer of about 55 tokens, 24 of them a prefix that all
                rows share, about 15 learned (`invented.py`)
long            tokens a second; a row is 512 tokens of text, all learned
peak_share      4 · parameters of the layers' linear maps · tokens computed (the shared prefix once a step) +
                4 · hidden · vocabulary · labelled positions, a second, over the median of 2048³ matmuls in between
memory_above_model   the highest resident memory while training less that before it, GiB, of the short rows; ..._long
                of the long ones
loss_gap        the largest difference between our losses and those of a plain loop on the same batches
ablation        the same rows with one part of our loop more in every line, each in turns with the line before it
                (`train_ours.py --without`)
time_to_knowledge    seconds of training to the highest share of held-out questions that both reach
                (`teaching/knowledge.py`)

ours            `knowledge_update.training.loop`, the adapter on all layers (`peers/train_ours.py`)
trl_default     TRL's SFTTrainer as it comes; trl_best with the fastest settings that were found for it
llama_factory   LLaMA-Factory as it comes
seed_recipe     transformers' Trainer, rows padded to 512 tokens; eight rows a step

TRL and LLaMA-Factory have an environment each, outside of this repository, named by --peers DIR or KUPDATE_PEERS:

    python -m venv DIR/NAME && DIR/NAME/bin/python -m pip install torch==2.13.0
    DIR/NAME/bin/python -m pip install torch==2.13.0 PACKAGES

with NAME and PACKAGES: trl (trl==1.16.0 transformers==5.23.0 peft==0.21.2), llama-factory (llamafactory==0.9.5).
"""

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

from teaching import knowledge, rows  # noqa: E402
from teaching.arms import Arm, Measured, interleaved  # noqa: E402
from teaching.work import body_parameters, step_flops  # noqa: E402

from knowledge_update.models import EMBEDDED, matmul_seconds, precision, resolve  # noqa: E402

OURS = Path(sys.executable)
SHORT_STEP, LONG_STEP, SEED_STEP, REFERENCE_STEP = 32, 4, 8, 8
REFERENCE_STEPS = 30
NO_PEERS = Path("no environment was named: --peers DIR or KUPDATE_PEERS")
# On long rows a pass of eight holds gigabytes of logits: one row a pass is faster.
TRL_BEST = {"short": ("--best", "eager", "8"), "long": ("--best", "eager", "1")}
# Parts of our loop by what `train_ours.py` calls them, in the order in which a loop would get them.
PARTS = {
    "labels": "logits only where labelled",
    "sharing": "what rows begin with alike computed once",
    "lora": "LoRA as one function",
    "head": "head in parts of the vocabulary",
    "layers": "layer as one function, attention in blocks",
    "workers": "a worker a core",
}
Row = dict[str, Any]


def arms_of(kind: str, peers: Path | None, quick: bool) -> list[Arm]:
    """Those that are compared on rows of a kind; without an environment for the others, ours alone."""
    trl = _trl(peers)
    arms = [
        Arm("ours", OURS, "train_ours.py", steps=1 if quick else 3),
        Arm("trl_default", trl, "train_trl.py"),
        Arm("trl_best", trl, "train_trl.py", TRL_BEST[kind]),
    ]
    if not quick:
        factory = peers / "llama-factory/bin/python" if peers else NO_PEERS
        arms.append(Arm("llama_factory", factory, "train_llama_factory.py", turns=3))
        arms.append(Arm("seed_recipe", OURS, "seed_recipe.py", turns=2))
    return arms


def _trl(peers: Path | None) -> Path:
    return peers / "trl/bin/python" if peers else NO_PEERS


def speed(kind: str, arms: list[Arm], turns: int, folder: Path, dtype: str) -> Iterator[Row]:
    """Rows or tokens a second of all arms on rows of a kind, after every round."""
    each = {"short": SHORT_STEP, "long": LONG_STEP}[kind]
    usual, fewer = folder / f"{kind}.json", folder / f"{kind}-fewer.json"
    sizes = {usual: each, fewer: min(each, SEED_STEP)}
    expected = {path: rows.write(path, kind, 15 * size, size, dtype) for path, size in sizes.items()}
    task = json.loads(usual.read_text())
    steps = [task["rows"][at : at + each] for at in range(0, len(task["rows"]), each)]
    length = median(len(row["input_ids"]) for row in task["rows"])
    chosen = [(arm, fewer if arm.name == "seed_recipe" else usual) for arm in arms]
    peaks: list[float] = []
    for found in interleaved(chosen, expected, turns):
        peaks.append(_matmul_gflops(dtype))
        figures: Row = {"rows": expected[usual], "tokens_a_row": length, "rows_a_step": each, "arms": {}}
        for arm, path in chosen:
            amount = sizes[path] * (length if kind == "long" else 1)
            figures["arms"][arm.name] = _told(found[arm.name], amount)
        figures["matmul_gflops"] = round(median(peaks), 1)
        ours = found["ours"].turns
        if ours:
            body, head = body_parameters(task["settings"]["model"])
            work = median(step_flops(step, len(task["prefix"]), body, head) for step in steps)
            rate = median(work * len(turn["seconds"]) / sum(turn["seconds"]) for turn in ours)
            figures["peak_share"] = round(rate / median(peaks) / 1e9, 3)
        yield figures


def _matmul_gflops(dtype: str) -> float:
    return 2 * 2048**3 / median(matmul_seconds(2048, precision(dtype, "cpu").dtype)) / 1e9


def _told(measured: Measured, amount: float) -> Row:
    """An arm's figures, or its error."""
    if measured.error or not measured.turns:
        return {"error": measured.error or "not run yet"}
    rates = measured.rates(amount)
    told: Row = {"rate": round(median(rates), 3), "turns": [round(rate, 3) for rate in rates]}
    told["memory"] = round(max(turn["memory"] for turn in measured.turns), 3)
    told["first_loss"] = measured.losses[0]
    return told | {name: measured.about[name] for name in ("threads", "dtype", "trained", "versions")}


def loss_gap(folder: Path, dtype: str) -> Row:
    """How far our losses are from those of a plain loop on the same batches."""
    path = folder / "reference.json"
    expected = rows.write(path, "short", REFERENCE_STEPS * REFERENCE_STEP, REFERENCE_STEP, dtype)
    pair = [
        (Arm("ours", OURS, "train_ours.py", steps=REFERENCE_STEPS - 1), path),
        (Arm("reference", OURS, "train_reference.py", steps=REFERENCE_STEPS - 1), path),
    ]
    *_, found = interleaved(pair, {path: expected}, 1)
    errors = [measured.error for measured in found.values() if measured.error]
    if errors:
        return {"error": errors[0]}
    ours, plain = found["ours"].losses, found["reference"].losses
    return {"steps": len(ours), "gap": max(abs(a - b) for a, b in zip(ours, plain, strict=True)), "first": ours[0],
            "last": ours[-1]}  # fmt: skip


def measured(given: argparse.Namespace, folder: Path) -> Iterator[Row]:
    """All that was asked for, as it comes in: the figures so far."""
    peers = given.peers.expanduser() if given.peers else None
    dtype = str(precision().dtype)[6:]
    found: Row = {"quick": given.quick, "threads": os.cpu_count(), "dtype": dtype, "model": resolve(EMBEDDED)[-16:]}
    parts = (
        given.parts.split(",")
        if given.parts
        else ["short", "gap", *([] if given.quick else ["long", "ablation", "knowledge"])]
    )
    for kind in ("short", "long"):
        if kind in parts:
            arms = arms_of(kind, peers, given.quick)
            for detail in speed(kind, arms, 3 if given.quick else given.turns, folder, dtype):
                yield found | _summary(kind, detail)
            found |= _summary(kind, detail)
        if kind == "short" and "gap" in parts:
            gap = loss_gap(folder, dtype)
            found |= {"loss_gap": gap.get("gap"), "loss_gap_detail": gap}
            yield found
    if "ablation" in parts:
        for table in ablation(folder, dtype):
            found["ablation"] = table
            yield found
    if "knowledge" in parts:
        pair = [
            Arm("ours", OURS, "teach_ours.py", steps=25),
            Arm("trl_best", _trl(peers), "train_trl.py", TRL_BEST["short"], 15),
        ]
        for detail in knowledge.measure(pair, folder, dtype):
            found["time_to_knowledge"] = detail
            yield found


def ablation(folder: Path, dtype: str) -> Iterator[Row]:
    """What each part of our loop brings, one more in every line: rows a second, memory, and the loss's difference.

    A line is measured in turns with the one before it alone: all of them together would not fit into the memory.
    """
    path = folder / "ablation.json"
    expected = rows.write(path, "short", 15 * SHORT_STEP, SHORT_STEP, dtype)
    arms = [Arm("plain loop, padded", OURS, "train_reference.py")]
    for at, name in enumerate(["packed rows", *PARTS.values()]):
        left = ",".join([*PARTS][at:])
        arms.append(Arm(name, OURS, "train_ours.py", ("--without", left) if left else ()))
    table: Row = {}
    for before, arm in pairwise(arms):
        *_, found = interleaved([(before, path), (arm, path)], {path: expected}, 3)
        table[arm.name] = _beside(found[arm.name], found[before.name])
        yield table


def _beside(measured: Measured, before: Measured) -> Row:
    """An arm's figures beside those of another that took turns with it."""
    told = [_told(one, SHORT_STEP) for one in (measured, before)]
    if "error" in told[0] or "error" in told[1]:
        return {name: one for name, one in zip(("own", "before"), told, strict=True) if "error" in one}
    gained = median(a / b for a, b in zip(measured.rates(SHORT_STEP), before.rates(SHORT_STEP), strict=True))
    gap = max(abs(a - b) for a, b in zip(measured.losses, before.losses, strict=True))
    figures = {name: told[0][name] for name in ("rate", "turns", "memory")}
    return figures | {"before": told[1]["rate"], "times": round(gained, 3), "memory_before": told[1]["memory"],
                      "loss_difference": gap}  # fmt: skip


def _summary(kind: str, detail: Row) -> Row:
    """The figures of one kind of rows under the names they are asked for."""
    arms = detail["arms"]
    rates = {name: row.get("rate") for name, row in arms.items()}
    memory = {name: row.get("memory") for name, row in arms.items()}
    told: Row = {kind: rates, f"{kind}_detail": detail}
    if kind == "short":
        share = {"peak_share": detail.get("peak_share"), "matmul_gflops": detail["matmul_gflops"]}
        return told | share | {"memory_above_model": memory}
    return told | {"peak_share_long": detail.get("peak_share"), "memory_above_model_long": memory}


def main() -> None:
    """Measures, prints the figures and writes them."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--quick", action="store_true", help="ours and TRL on 96 short rows an arm, and the loss gap")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--peers", type=Path, default=os.environ.get("KUPDATE_PEERS"))
    parser.add_argument("--turns", type=int, default=5, help="rounds that are counted")
    parser.add_argument("--parts", help="some of short,gap,long,ablation,knowledge")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="training-") as folder:
        for figures in measured(given, Path(folder)):
            print(
                json.dumps({name: value for name, value in figures.items() if not name.endswith("detail")}), flush=True
            )
            if given.json:
                given.json.write_text(json.dumps(figures, indent=1) + "\n")


if __name__ == "__main__":
    main()
