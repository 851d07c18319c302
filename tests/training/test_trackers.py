"""Trackers for real: what they were told is read back from what they wrote."""

import json
import os
import sqlite3
import struct
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from chat_server import Answer, Server

from knowledge_update.display import log
from knowledge_update.errors import ConfigError
from knowledge_update.training import trackers
from knowledge_update.training.trackers import Run, check, opened
from knowledge_update.training_config import TrackerConfig

KEY = "local-0123456789abcdef0123456789abcdef01234567"
LINES = [(10, {"step": 10, "loss": 2.5, "rate": 0.001}), (20, {"step": 20, "loss": 1.25, "rate": 0.0005})]


@pytest.fixture(autouse=True)
def alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No key and no home of a person."""
    for name in ("WANDB_API_KEY", "WANDB_KEY", "WANDB_MODE", "WANDB_DIR", "TRACKIO_DIR", "NETRC", "RANK"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    (tmp_path / "home").mkdir()


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The lines that were logged."""
    lines: list[str] = []
    for kind in ("info", "warning"):
        monkeypatch.setattr(log, kind, lambda text, *values: lines.append(text % values))
    return lines


def track(place: Path, **settings: Any) -> None:
    with opened(TrackerConfig(**settings), place, {"optimizer": {"name": "lamb"}, "seed": 3}) as tracker:
        for step, values in LINES:
            tracker.log(step, values)


SCRIPT = """
import sys
from pathlib import Path
from knowledge_update import display
from knowledge_update.config import TrackerConfig
from knowledge_update.training.trackers import opened
display.to_terminal()
for start, lines in ((0, ((10, 2.5), (20, 1.25))), (20, ((30, 1.0),)))[:int(sys.argv[2])]:
    with opened(TrackerConfig(sys.argv[1], project="facts", run="r1"), Path("run"), {"seed": 3}, start) as tracker:
        for step, loss in lines:
            tracker.log(step, {"loss": loss})
"""


def apart(cwd: Path, name: str, attempts: int = 1, **environment: str) -> list[str]:
    """Tracks in a process of its own, as these libraries read their environment once; returns what was told."""
    there = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2]), "HF_HUB_OFFLINE": "1", **environment}
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, name, str(attempts)], cwd=cwd, env=there, capture_output=True, encoding="utf-8",
        timeout=180, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_tensorboards_events_are_read_back(tmp_path: Path, told: list[str]) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    track(tmp_path / "run", name="tensorboard", run="first")
    place = tmp_path / "run" / "trackers" / "tensorboard"
    assert told == [f"tracked by TensorBoard: tensorboard --logdir {place}"]
    events = EventAccumulator(str(place / "first")).Reload()
    assert [(event.step, event.value) for event in events.Scalars("loss")] == [(10, 2.5), (20, 1.25)]
    assert b"lamb" in events.Tensors("settings/text_summary")[0].tensor_proto.string_val[0]


def test_what_a_killed_attempt_told_is_dropped_where_steps_are_done_again(tmp_path: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    track(tmp_path / "run", name="tensorboard")
    with opened(TrackerConfig("tensorboard"), tmp_path / "run", {}, start=15) as tracker:
        tracker.log(20, {"loss": 1.0})
    events = EventAccumulator(str(tmp_path / "run" / "trackers" / "tensorboard" / "run")).Reload()
    assert [(event.step, event.value) for event in events.Scalars("loss")] == [(10, 2.5), (20, 1.0)]


def test_wandb_without_a_key_writes_a_run_offline(tmp_path: Path) -> None:
    told = apart(tmp_path, "wandb")
    (file,) = (tmp_path / "run" / "trackers" / "wandb").glob("offline-run-*/run-*.wandb")
    assert told == ["wandb offline: no key (WANDB_API_KEY)", f"tracked by wandb: wandb sync {file.parent}"]
    records = ended(file)
    (begun,) = [record.run for record in records if record.HasField("run")]
    assert (begun.project, begun.display_name) == ("facts", "r1")
    assert {item.key: json.loads(item.value_json) for item in begun.config.update}["seed"] == 3
    history = [record.history for record in records if record.HasField("history")]
    rows = [{".".join(i.nested_key) or i.key: json.loads(i.value_json) for i in part.item} for part in history]
    assert [(row["_step"], row["loss"]) for row in rows] == [(10, 2.5), (20, 1.25)]


def ended(file: Path) -> list[Any]:
    """The records of a run that has ended: wandb's own process writes them, a moment after it is told."""
    until = time.monotonic() + 30
    while time.monotonic() < until:
        records = list(wandb_records(file))
        if any(record.HasField("exit") for record in records):
            return records
        time.sleep(0.1)
    raise AssertionError(f"{file} has no end")


def wandb_records(file: Path) -> Iterator[Any]:
    """A `.wandb` file: protobufs in LevelDB's log format; a record is whole, or first, middle or last part of one."""
    from wandb.proto.wandb_internal_pb2 import Record

    data, at, parts = file.read_bytes(), 7, b""
    assert data.startswith(b":W&B")
    while at + 7 <= len(data):
        left = 32768 - at % 32768
        if left < 7:
            at += left
            continue
        _, length, kind = struct.unpack("<IHB", data[at : at + 7])
        if not kind:
            break
        parts += data[at + 7 : at + 7 + length]
        at += 7 + length
        if kind in (1, 4):
            record = Record()
            record.ParseFromString(parts)
            parts = b""
            yield record


def offline_run(folder: Path) -> Path:
    """The run file, after a look that the key is in none of the files beside it."""
    (run,) = (folder / "run").rglob("offline-run-*/run-*.wandb")
    assert ended(run)
    files = [file for file in folder.rglob("*") if file.is_file()]
    assert [file for file in files if KEY.encode() in file.read_bytes()] == []
    return run


def test_wandb_with_a_key_and_no_network_writes_offline(tmp_path: Path) -> None:
    # A port that nobody listens at.
    nobody = "http://127.0.0.1:9"
    told = apart(tmp_path, "wandb", WANDB_BASE_URL=nobody, WANDB_API_KEY=KEY)
    run = offline_run(tmp_path)
    assert told == [f"wandb offline: no answer from {nobody}", f"tracked by wandb: wandb sync {run.parent}"]


def test_wandb_that_refuses_the_key_writes_offline(tmp_path: Path, server: Server) -> None:
    server.script = lambda body: Answer({"errors": [{"message": "not yours"}]}, status=401)
    told = apart(tmp_path, "wandb", WANDB_BASE_URL=server.url.removesuffix("/v1"), WANDB_API_KEY=KEY)
    run = offline_run(tmp_path)
    assert told[0].startswith("wandb cannot be reached (")
    assert told[1:] == [f"tracked by wandb: wandb sync {run.parent}"]
    assert server.seen


def test_wandb_whose_own_process_dies_stops_nothing(tmp_path: Path, server: Server) -> None:
    """Answers that are no answers bring wandb's process down in the middle."""
    told = apart(tmp_path, "wandb", WANDB_BASE_URL=server.url.removesuffix("/v1"), WANDB_API_KEY=KEY)
    assert [line for line in told if line.startswith("wandb failed, training goes on without it: ")] == told[-1:]


def test_a_key_in_the_netrc_file_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert trackers._has_key("https://api.wandb.ai") is False
    (tmp_path / "netrc").write_text(f"machine wandb.example login user password {KEY}\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    assert trackers._has_key("https://wandb.example") is True
    assert trackers._has_key("https://other.example") is False


def test_trackios_database_is_read_back(tmp_path: Path) -> None:
    told = apart(tmp_path, "trackio", attempts=2)
    place = tmp_path / "run" / "trackers" / "trackio"
    assert told == [f"tracked by trackio: TRACKIO_DIR={place} trackio show --project facts"] * 2
    with sqlite3.connect(tmp_path / "run" / "trackers" / "trackio" / "facts.db") as base:
        rows = base.execute("select run_name, step, metrics from metrics order by step").fetchall()
        settings = base.execute("select config from configs").fetchall()
    assert [(name, step, json.loads(metrics)["loss"]) for name, step, metrics in rows] == [
        ("r1", 10, 2.5), ("r1", 20, 1.25), ("r1", 30, 1.0),
    ]  # fmt: skip
    assert json.loads(settings[0][0])["seed"] == 3


def test_several_are_told_the_same_and_an_own_one_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "my_tracker.py").write_text(
        "class Lines:\n"
        "    def __init__(self, run, ending):\n"
        "        self.file = (run.folder / f'{run.name}{ending}').open('w')\n"
        "    def log(self, step, values):\n"
        "        print(step, values['loss'], file=self.file)\n"
        "    def close(self):\n"
        "        print('closed', file=self.file); self.file.close()\n"
    )
    monkeypatch.chdir(tmp_path)
    own = {"_target_": "my_tracker.Lines", "arguments": {"ending": ".txt"}}
    track(tmp_path / "run", name="tensorboard, tensorboard", folder=str(tmp_path / "logs"), run="r", **own)
    assert (tmp_path / "logs" / "r.txt").read_text() == "10 2.5\n20 1.25\nclosed\n"
    assert len(list((tmp_path / "logs" / "tensorboard" / "r").glob("events*"))) == 1
    assert not (tmp_path / "run" / "trackers").exists()


class Broken:
    """Fails at what it is made to fail at."""

    def __init__(self, run: Run, at: str) -> None:
        self.at, self.asked = at, 0
        if at == "open":
            raise OSError("no room\nat all")

    def log(self, step: int, values: Mapping[str, float]) -> None:
        self.asked += 1
        if self.at == "log":
            raise RuntimeError("lost")

    def close(self) -> None:
        if self.at == "close":
            raise ValueError


@pytest.mark.parametrize(("at", "reason"), [("open", "no room"), ("log", "lost"), ("close", "ValueError")])
def test_one_that_fails_is_told_of_once_and_stops_nothing(
    at: str, reason: str, tmp_path: Path, told: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(trackers._MAKERS, "trackio", lambda run: Broken(run, at))
    track(tmp_path / "run", name="trackio,tensorboard")
    assert [line for line in told if "trackio" in line] == [f"trackio failed, training goes on without it: {reason}"]
    assert list((tmp_path / "run").rglob("events*"))


def test_of_several_processes_the_first_alone_tells(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RANK", "1")
    track(tmp_path / "run", name="tensorboard")
    assert not (tmp_path / "run").exists()


def test_nobody_is_told_unless_asked(tmp_path: Path) -> None:
    track(tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_library_that_is_missing_is_told_before_the_work(monkeypatch: pytest.MonkeyPatch) -> None:
    check(TrackerConfig("wandb,tensorboard,trackio"))
    monkeypatch.setattr(trackers, "find_spec", lambda name: None)
    with pytest.raises(ConfigError) as raised:
        check(TrackerConfig("wandb"))
    assert str(raised.value) == "tracker.name=wandb needs it: pip install 'knowledge-update[wandb]'"
    check(TrackerConfig())


@pytest.mark.parametrize("name", ["mlflow", "", "wandb,mlflow", ","])
def test_an_unknown_tracker_is_told(name: str) -> None:
    with pytest.raises(ConfigError) as raised:
        TrackerConfig(name)
    assert str(raised.value) == f"tracker.name={name}: of none, tensorboard, wandb, trackio"


def test_the_same_training_is_the_same_run_and_another_is_another(tmp_path: Path) -> None:
    def identity(settings: Mapping[str, Any], start: int = 0, **named: Any) -> str:
        return trackers._run(TrackerConfig("wandb", **named), tmp_path, settings, start).identity

    first = identity({"seed": 1})
    assert identity({"seed": 1}, start=40) == first
    assert len({first, identity({"seed": 2}), identity({"seed": 1}, run="other")}) == 3
