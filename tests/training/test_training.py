"""Training without a run folder, for real: what it leaves behind, how it goes on, and how long it may take."""

import json
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from safetensors.torch import load_file

from knowledge_update.run_folder import read_json, read_rows

FAST = ("--seed", "3", "training.replay_share=0", "training.checkpoint_seconds=0", "model.dtype=float32")


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("rows") / "qa_pairs_001.jsonl"
    pairs = [(f"Which ship lies at berth {number}?", f"the Wendel {number}") for number in range(60)]
    lines = [
        json.dumps({"conversations": [{"from": "user", "value": q}, {"from": "assistant", "value": a}]})
        for q, a in pairs
    ]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


@pytest.fixture
def command(rows: Path, tiny_model: str) -> Callable[..., list[str]]:
    def make(out: Path, *words: str) -> list[str]:
        named = ["--base_model", tiny_model, "--data_path", str(rows), "--output_dir", str(out)]
        return [sys.executable, "-m", "knowledge_update", "train", *named, *FAST, *words]

    return make


def place(command: list[str]) -> Path:
    """Where a command is said: each training has a place of its own."""
    out = Path(command[command.index("--output_dir") + 1])
    out.with_name(f"{out.name}-place").mkdir(exist_ok=True)
    return out.with_name(f"{out.name}-place")


def done(command: list[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, timeout=300, check=False, cwd=place(command))


def losses(out: Path) -> np.ndarray:
    return np.load(out.with_name(f"{out.name}-place") / "losses/qa_pairs_001.npy")


def test_rows_of_a_file_become_what_the_described_command_leaves(
    command: Callable[..., list[str]], tmp_path: Path
) -> None:
    out = tmp_path / "output"
    words = (
        "--num_train_epochs", "3", "--per_device_train_batch_size", "4", "--gradient_accumulation_steps", "2",
        "--validation", "True", "--validation_size", "12", "--eval_strategy", "steps", "--eval_steps", "6",
        "--save_strategy", "steps", "--save_steps", "5", "--save_total_limit", "2", "--logging_steps", "2",
    )  # fmt: skip
    ended = done(command(out, *words))
    assert ended.returncode == 0, ended.stderr
    # 48 rows, eight a step, three times.
    assert len(losses(out)) == 18 and losses(out)[-3:].mean() < losses(out)[:3].mean()
    assert sorted(path.name for path in out.glob("checkpoint-*")) == [
        "checkpoint-10", "checkpoint-15", "checkpoint-best", "checkpoint-final",
    ]  # fmt: skip
    for name in ("checkpoint-15", "checkpoint-best", "checkpoint-final"):
        assert load_file(out / name / "adapter_model.safetensors")
    lines = read_rows(out / "metrics.jsonl")
    assert [line["step"] for line in lines if "loss" in line] == list(range(2, 19, 2))
    validated = {line["step"]: line["validation_loss"] for line in lines if "validation_loss" in line}
    assert list(validated) == [6, 12, 18]
    best = read_json(out / "checkpoint-best/validation.json")
    assert best == {"step": min(validated, key=validated.__getitem__), "loss": min(validated.values())}
    again = done(command(out, *words))
    assert again.returncode == 0 and "trained already" in again.stdout


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM], ids=["killed", "ended by a scheduler"])
def test_an_ended_training_goes_on_to_the_same_end(
    command: Callable[..., list[str]], tmp_path: Path, how: signal.Signals
) -> None:
    words = ("--num_train_epochs", "12", "--per_device_train_batch_size", "2", "--lora_dropout", "0.1")
    alone, out = tmp_path / "alone", tmp_path / "ended"
    assert done(command(alone, *words)).returncode == 0
    process = subprocess.Popen(
        command(out, *words), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=place(command(out))
    )
    end = time.monotonic() + 120
    while not (out / ".checkpoint/progress.json").exists() and time.monotonic() < end:
        time.sleep(0.01)
    process.send_signal(how)
    said, told = process.communicate(timeout=60)
    assert not (out / "checkpoint-final").exists()
    if how == signal.SIGTERM:
        assert process.returncode == 130
        assert told == "kupdate: stopped; what was finished is kept, the same command goes on from there\n"
        step = int(re.findall(r"stopped at step (\d+), kept", said)[0])
        assert read_json(out / ".checkpoint/progress.json")["step"] == step
    assert done(command(out, *words)).returncode == 0
    assert (losses(out) == losses(alone)).all()
    name = "checkpoint-final/adapter_model.safetensors"
    assert (out / name).read_bytes() == (alone / name).read_bytes()


@pytest.mark.soak
def test_a_budget_is_filled_also_after_a_kill(command: Callable[..., list[str]], tmp_path: Path) -> None:
    out, budget = tmp_path / "output", 180.0
    words = ("--budget", "3m", "--per_device_train_batch_size", "2")
    process = subprocess.Popen(
        command(out, *words), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=place(command(out))
    )
    end = time.monotonic() + 160
    while not ((out / "clock.json").exists() and read_json(out / "clock.json")["seconds"] > budget / 2):
        assert time.monotonic() < end and process.poll() is None
        time.sleep(0.05)
    process.kill()
    process.wait()
    spent = read_json(out / "clock.json")["seconds"]
    ended = done(command(out, *words))
    assert ended.returncode == 0, ended.stderr
    # The stage's own time: a killed attempt told it nothing of its.
    took = float(re.findall(r"train: .* \((\d+) s\)", ended.stdout)[-1])
    assert spent + took == pytest.approx(budget, rel=0.03)
    last = [line for line in read_rows(out / "metrics.jsonl") if "rate" in line][-1]
    assert last["rate"] == pytest.approx(1.5e-3 * 0.02, rel=1e-3), "the rate ends at its floor"
    assert not (out / "clock.json").exists()


def test_mistakes_are_told_in_a_line(command: Callable[..., list[str]], tmp_path: Path, tiny_model: str) -> None:
    bad = tmp_path / "bad.jsonl"
    bad.write_text('{"instruction": "a", "output": "b"}\n{"instruction": "a", "output": ""}\n', encoding="utf-8")
    cases = [
        (["--data_path", str(bad)], f"{bad}, line 2"),
        (["--validation_size", "60"], "rows.validation_size=60"),
        (["--optimizer", "adan"], "optimizer.name"),
        (["--load_best_model_at_end"], "training.keep_best needs rows aside"),
        (["--budget", "soon"], "training.budget=soon"),
        (["--data_path", str(tmp_path / "none.jsonl")], "none.jsonl"),
        (["--learing_rate", "1"], "did you mean --learning_rate?"),
    ]
    for words, told in cases:
        ended = done(command(tmp_path / "output", *words))
        assert ended.returncode == 2 and told in ended.stderr, (words, ended.stderr)
        assert len(ended.stderr.splitlines()) == 1
        assert not (tmp_path / "output").exists()
    words = [sys.executable, "-m", "knowledge_update", "train", f"model={tiny_model}"]
    ended = subprocess.run(words, capture_output=True, text=True, timeout=300, check=False, cwd=tmp_path)
    assert (ended.returncode, ended.stderr) == (
        2, "kupdate: nothing to train on was named: kupdate train RUN, or kupdate train --data_path FILE\n",
    )  # fmt: skip
