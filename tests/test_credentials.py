"""Keys of a command line go to the environment, and are written nowhere."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from knowledge_update import credentials
from knowledge_update.display import log

KEY = "local-fedcba9876543210fedcba9876543210fedcba98"
Kupdate = Callable[..., tuple[int, str, str]]


@pytest.fixture(autouse=True)
def no_key(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("WANDB_API_KEY", "WANDB_KEY", "WANDB_MODE"):
        # Set first, so that what a test moves there is taken away after it.
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)


def put_away(monkeypatch: pytest.MonkeyPatch, *words: str) -> tuple[list[str], list[str]]:
    lines: list[str] = []
    monkeypatch.setattr(log, "warning", lambda text, *values: lines.append(text % values))
    monkeypatch.setattr(sys, "argv", ["kupdate", *words])
    credentials.put_away()
    return sys.argv[1:], lines


@pytest.mark.parametrize("words", [["--key", KEY], [f"--key={KEY}"], ["--wandb_key", KEY], [f"--wandb-key={KEY}"]])
def test_a_key_goes_to_the_environment_with_one_line(monkeypatch: pytest.MonkeyPatch, words: list[str]) -> None:
    left, told = put_away(monkeypatch, "train", "run", *words, "--seed", "3")
    assert left == ["train", "run", "--seed", "3"]
    assert os.environ["WANDB_API_KEY"] == KEY
    option = words[0].partition("=")[0]
    assert told == [f"{option}: others can see a key on a command line; put it into WANDB_API_KEY"]


@pytest.mark.parametrize("words", [["--key", "--seed=3"], ["--key=", "--seed=3"], ["--seed=3", "--key"]])
def test_an_empty_variable_of_a_script_sets_no_key(monkeypatch: pytest.MonkeyPatch, words: list[str]) -> None:
    left, told = put_away(monkeypatch, "train", "run", *words)
    assert (left, told) == (["train", "run", "--seed=3"], ["--key has no value: no key is set"])
    assert "WANDB_API_KEY" not in os.environ


def test_the_described_variable_counts_where_the_librarys_is_not_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_KEY", KEY)
    assert put_away(monkeypatch, "train", "run") == (["train", "run"], [])
    assert os.environ["WANDB_API_KEY"] == KEY
    monkeypatch.setenv("WANDB_API_KEY", "another")
    put_away(monkeypatch, "train", "run")
    assert os.environ["WANDB_API_KEY"] == "another"


def test_other_verbs_and_what_follows_two_dashes_are_left(monkeypatch: pytest.MonkeyPatch) -> None:
    for words in (["infer", "run", "--key", KEY], ["train", "run", "--", "--key", KEY], []):
        assert put_away(monkeypatch, *words) == (words, [])
    assert "WANDB_API_KEY" not in os.environ


def test_no_process_shows_the_key_while_it_runs(tmp_path: Path) -> None:
    """The process that was started with a key becomes one without it, under the same number."""
    script = "import time, knowledge_update.cli as cli; cli._main = lambda words: time.sleep(60); cli.main()"
    words = [sys.executable, "-c", script, "train", "run", "--key", KEY, "--use_wandb"]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])}
    process = subprocess.Popen(words, cwd=tmp_path, env=environment, stdout=subprocess.PIPE)
    try:
        shown, until = Path(f"/proc/{process.pid}/cmdline"), time.monotonic() + 60
        if not shown.exists():
            pytest.skip("this system shows no /proc")
        # At first it is still the child of this process, then the one with the key.
        hidden = ["train", "run", "--use_wandb", ""]
        while shown.read_text().split("\0")[3:] != hidden and time.monotonic() < until:
            time.sleep(0.05)
        assert shown.read_text().split("\0")[3:] == hidden
        assert f"WANDB_API_KEY={KEY}" in Path(f"/proc/{process.pid}/environ").read_text().split("\0")
    finally:
        process.kill()
        told, _ = process.communicate()
    assert told.decode() == "--key: others can see a key on a command line; put it into WANDB_API_KEY\n"


def test_a_training_with_a_key_leaves_it_in_no_file(
    run_kupdate: Callable[..., Any], kupdate: Kupdate, docs: Path, tiny_model: str, tmp_path: Path
) -> None:
    """The described flags, for real: wandb without a network, and every file of the run and of the home searched."""
    home = tmp_path / "home"
    home.mkdir()
    small = [f"model={tiny_model}", "preset=debug", "training.replay_share=0", "adapter.rank=2"]
    assert kupdate("collect", docs, "--out", "out", *small)[0] == 0
    options = ["--key", KEY, "--use_wandb", "True", "--wandb_run_name", "run-lora", "--optimizer", "NVLAMB"]
    ended = run_kupdate(
        "train", "out", *options, "--bit_training", "--warmup_steps=2", "--warmup_proportion", "0.5", "--lr_scheduler",
        "poly", cwd=tmp_path, HOME=str(home), WANDB_BASE_URL="http://127.0.0.1:9",
    )  # fmt: skip
    assert (ended.code, ended.stderr) == (0, ""), ended.stdout
    assert "wandb offline: no answer from http://127.0.0.1:9" in ended.stdout
    assert "(schedule.warmup_steps=2 wins over schedule.warmup=0.5), then poly" in ended.stdout
    (run,) = (tmp_path / "out" / "trackers").rglob("offline-run-*/run-*.wandb")
    files = [file for file in tmp_path.rglob("*") if file.is_file()]
    assert {"config.yaml", "run.log", "metrics.jsonl", "training.json"} <= {file.name for file in files}
    assert [file for file in files if KEY.encode() in file.read_bytes()] == []
    assert KEY not in ended.stdout
    assert b"run-lora" in run.read_bytes()
    settings = json.loads((tmp_path / "out" / "adapter" / "training.json").read_text(encoding="utf-8"))["settings"]
    assert (settings["optimizer"]["name"], settings["optimizer"]["bits"]) == ("nvlamb", 8)
    assert settings["schedule"]["name"] == "poly"
