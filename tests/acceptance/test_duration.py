"""`kupdate check time`: a training a dataset, timed, one after the other; mostly with a stand-in for the training."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from described import ROOT, shell

from knowledge_update.acceptance import duration
from knowledge_update.errors import ConfigError

STEMS = ("qa_pairs_001", "qa_pairs_002", "qa_pairs_003")
# A training that notes its words, and does what its dataset says.
STAND_IN = """
import json, pathlib, sys, time
import numpy
words = sys.argv[1:]
data, out = (pathlib.Path(words[words.index(name) + 1]) for name in ("--data_path", "--output_dir"))
with open("words.jsonl", "a") as file:
    print(json.dumps(words), file=file)
print("training on", data, flush=True)
out.mkdir(parents=True)
does = data.read_text().split()
if "sleeps" in does:
    time.sleep(60)
if "fails" in does:
    sys.exit("no memory left")
(out / "checkpoint-final").mkdir()
if "loses" not in does:
    pathlib.Path("losses").mkdir(exist_ok=True)
    losses = 1 + 3 * numpy.exp(-numpy.arange(600) / 40) + 0.1 * numpy.random.default_rng(0).standard_normal(600)
    numpy.save(f"losses/{data.stem}.npy", losses)
time.sleep(0.3)
"""

Kupdate = Callable[..., tuple[int, str, str]]


@pytest.fixture(autouse=True)
def one_process(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("GPUS_PER_NODE", "NNODES", "NODE_RANK", "MASTER_ADDR", "MASTER_PORT"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def datasets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Three datasets, and the stand-in for what is trained with."""
    (tmp_path / "stand_in.py").write_text(STAND_IN, encoding="utf-8")
    monkeypatch.setattr(duration, "launcher", lambda: [sys.executable, str(tmp_path / "stand_in.py")])
    folder = tmp_path / "datasets"
    folder.mkdir()
    for stem in STEMS:
        (folder / f"{stem}.jsonl").write_text("succeeds", encoding="utf-8")
    return folder


def table(stdout: str) -> list[list[str]]:
    return [[cell.strip() for cell in line.split("│")[1:-1]] for line in stdout.splitlines() if line.startswith("│")]


def words(folder: Path) -> list[list[str]]:
    """What the trainings were called with."""
    return [json.loads(line) for line in (folder / "words.jsonl").read_text(encoding="utf-8").splitlines()]


def test_three_datasets_are_trained_and_timed(kupdate: Kupdate, datasets: Path, tmp_path: Path) -> None:
    code, stdout, stderr = kupdate("check", "time")
    assert (code, stderr) == (0, "")
    rows = table(stdout)
    assert [row[0] for row in rows] == [f"datasets/{stem}.jsonl" for stem in STEMS]
    hours = [float(row[3]) for row in rows]
    # A start of Python with numpy, and 0.3 s of sleep.
    assert all(0.3 / 3600 <= one < 30 / 3600 for one in hours)
    last = stdout.splitlines()[-1]
    assert last.startswith("passed: ")
    assert last.endswith(" hours on average, limit 8")
    assert float(last.split()[1]) == pytest.approx(sum(hours) / 3, rel=1e-2)
    # One after the other, start and end told.
    times = [moment for row in rows for moment in row[1:3]]
    assert times == sorted(times)
    assert [f"began at {row[1]}" in stdout and f"ended at {row[2]}" in stdout for row in rows] == [True] * 3
    described = [
        "--per_device_train_batch_size", "32", "--gradient_accumulation_steps", "4", "--num_train_epochs", "5",
        "--learning_rate", "3e-4", "--lazy_preprocess", "True", "--use_lora", "True",
    ]  # fmt: skip
    for stem, said in zip(STEMS, words(tmp_path), strict=True):
        assert said == [
            "train", "--data_path", f"datasets/{stem}.jsonl", "--output_dir", f"output/{stem}", *described
        ]  # fmt: skip
    # What it leaves is what the other test reads.
    code, stdout, _ = kupdate("check", "convergence")
    assert (code, stdout.splitlines()[-1]) == (0, "converged: 3 of 3")


def test_what_the_training_says_is_seen_at_once(
    datasets: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert duration.check(["datasets/qa_pairs_002.jsonl"], Path("output"), 8, [])
    assert "training on datasets/qa_pairs_002.jsonl\n" in capfd.readouterr().out


def test_a_record_that_cannot_be_read_is_told(kupdate: Kupdate, datasets: Path, tmp_path: Path) -> None:
    (tmp_path / "output").mkdir()
    (tmp_path / "output" / "durations.json").write_text('{"qa_pairs_001": {"seconds": 3}}', encoding="utf-8")
    code, _, stderr = kupdate("check", "time")
    assert (code, stderr) == (
        2,
        "kupdate: output/durations.json cannot be read: remove it, or name another --output_dir\n",
    )


def test_a_training_that_fails_fails_it_and_the_others_go_on(kupdate: Kupdate, datasets: Path, tmp_path: Path) -> None:
    (datasets / f"{STEMS[0]}.jsonl").write_text("fails", encoding="utf-8")
    (datasets / f"{STEMS[1]}.jsonl").write_text("loses", encoding="utf-8")
    # Losses of an earlier training are not those of this one.
    (tmp_path / "losses").mkdir()
    np.save(tmp_path / "losses" / f"{STEMS[1]}.npy", np.ones(100))
    code, stdout, _ = kupdate("check", "time")
    assert code == 1
    assert [row[-1] for row in table(stdout)] == [
        "failed: exit code 1",
        f"failed: it left no losses/{STEMS[1]}.npy",
        "",
    ]
    assert stdout.splitlines()[-1].startswith("not passed: ")
    assert stdout.splitlines()[-1].endswith(" hours on average, limit 8; 2 of 3 failed")
    # The same command goes on: what went well is not repeated, what did not is begun anew beside what it left.
    for stem in STEMS[:2]:
        (datasets / f"{stem}.jsonl").write_text("succeeds", encoding="utf-8")
    before = table(stdout)[2]
    code, stdout, _ = kupdate("check", "time")
    assert (code, table(stdout)[2]) == (0, before)
    assert [said[2] for said in words(tmp_path)] == [f"datasets/{STEMS[at]}.jsonl" for at in (0, 1, 2, 0, 1)]
    assert sorted(path.name for path in (tmp_path / "output").iterdir()) == [
        "durations.json", STEMS[0], f"{STEMS[0]}.before-1", STEMS[1], f"{STEMS[1]}.before-1", STEMS[2],
    ]  # fmt: skip


def test_all_that_fail_have_no_mean(kupdate: Kupdate, datasets: Path) -> None:
    (datasets / f"{STEMS[0]}.jsonl").write_text("fails", encoding="utf-8")
    code, stdout, _ = kupdate("check", "time", "--data_path", f"datasets/{STEMS[0]}.jsonl")
    assert (code, stdout.splitlines()[-1]) == (1, "not passed: 1 of 1 failed")


def test_the_limit_counts(kupdate: Kupdate, datasets: Path, tmp_path: Path) -> None:
    one = ("--data_path", "datasets/qa_pairs_00[12].jsonl", "--data_path=datasets/qa_pairs_003.jsonl")
    code, stdout, _ = kupdate("check", "time", *one, "--limit-hours", "0.00001")
    assert code == 1
    assert stdout.splitlines()[-1].startswith("not passed: ")
    assert stdout.splitlines()[-1].endswith(" hours on average, limit 1e-05")
    # Another limit needs no other training, another setting does; what is passed on comes last, and wins.
    assert kupdate("check", "time", *one, "--limit_hours=1")[0] == 0
    assert len(words(tmp_path)) == 3
    assert kupdate("check", "time", *one, "--num_train_epochs", "1", "--output_dir", "other", "seed=3")[0] == 0
    assert [said[-3:] for said in words(tmp_path)[3:]] == [["--num_train_epochs", "1", "seed=3"]] * 3
    assert sorted(path.name for path in (tmp_path / "other").iterdir()) == ["durations.json", *STEMS]


def test_a_key_goes_to_the_environment_alone(
    kupdate: Kupdate, datasets: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WANDB_API_KEY", "another")
    assert kupdate("check", "time", "--wandb_key", "s3cret")[0] == 0
    assert os.environ["WANDB_API_KEY"] == "s3cret"
    assert [path for path in tmp_path.rglob("*") if path.is_file() and b"s3cret" in path.read_bytes()] == []


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--data_path", "absent.jsonl"], "no dataset absent.jsonl: name them with --data_path FILE, once for each"),
        (["--data_path", "more/*.json"], "no dataset more/*.json: "),
        (["--data_path", "datasets/*.jsonl", "--data_path", "datasets/qa_pairs_001.jsonl"],
         "two datasets are named qa_pairs_001: "),
        (["--limit-hours", "0"], "--limit-hours 0: above 0"),
        (["--limit-hours", "few"], "Invalid value for '--limit-hours'"),
        (["--output_dir", "datasets/qa_pairs_001.jsonl"], "cannot write datasets/qa_pairs_001.jsonl: File exists"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)  # fmt: skip
def test_a_mistake_is_told_before_any_training(
    kupdate: Kupdate, datasets: Path, tmp_path: Path, options: list[str], message: str
) -> None:
    code, _, stderr = kupdate("check", "time", *options)
    assert (code, stderr.count("\n")) == (2, 1), stderr
    assert stderr.startswith(f"kupdate: {message}")
    assert not (tmp_path / "words.jsonl").exists()


def test_as_many_processes_as_are_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    assert duration.launcher() == [sys.executable, "-m", "knowledge_update"]
    monkeypatch.setenv("GPUS_PER_NODE", "4")
    monkeypatch.setenv("MASTER_PORT", "7777")
    several = duration.launcher()
    assert several[1:3] == ["-m", "torch.distributed.run"]
    assert several[3:] == [
        "--nproc_per_node", "4", "--nnodes", "1", "--node_rank", "0", "--master_addr", "localhost", "--master_port",
        "7777", "-m", "knowledge_update",
    ]  # fmt: skip
    monkeypatch.setenv("GPUS_PER_NODE", "two")
    with pytest.raises(ConfigError, match="GPUS_PER_NODE=two: a number of processes"):
        duration.launcher()


def test_the_launcher_starts_several_processes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """For real: two processes that know each other's rank; their module is another, which says so."""
    monkeypatch.setenv("GPUS_PER_NODE", "2")
    monkeypatch.setenv("MASTER_PORT", str(20_000 + os.getpid() % 20_000))
    (tmp_path / "told.py").write_text(
        "import os, pathlib\npathlib.Path('rank' + os.environ['RANK']).write_text(os.environ['WORLD_SIZE'])\n"
    )
    command = [word.replace("knowledge_update", "told") for word in duration.launcher()]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, encoding="utf-8", timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    assert [(tmp_path / f"rank{rank}").read_text() for rank in (0, 1)] == ["2", "2"]


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM])
def test_who_stops_it_stops_the_training(datasets: Path, tmp_path: Path, sent: signal.Signals) -> None:
    (datasets / f"{STEMS[0]}.jsonl").write_text("sleeps", encoding="utf-8")
    script = (
        "import sys\nfrom knowledge_update import cli\nfrom knowledge_update.acceptance import duration\n"
        "duration.launcher = lambda: [sys.executable, 'stand_in.py']\ncli.main()\n"
    )
    child = subprocess.Popen(
        [sys.executable, "-c", script, "check", "time"], cwd=tmp_path, stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL, encoding="utf-8", env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    began = time.monotonic()
    while not (tmp_path / "words.jsonl").exists():
        assert time.monotonic() - began < 60
        time.sleep(0.05)
    child.send_signal(sent)
    _, stderr = child.communicate(timeout=30)
    assert child.returncode == 130, stderr
    assert "the same command goes on from there" in stderr
    assert len(words(tmp_path)) == 1
    assert not (tmp_path / "output" / "durations.json").exists()


def test_the_described_script_trains_for_real(tiny_model: str, tmp_path: Path) -> None:
    """The described command on three small datasets, and then the other one on the losses that it left."""
    (tmp_path / "datasets").mkdir()
    for number, stem in enumerate(STEMS):
        rows = [
            {"id": f"{at}", "conversations": [
                {"from": "user", "value": f"How high is tower {at} of {number}?"},
                {"from": "assistant", "value": f"It is {at + 20} metres high."},
            ]} for at in range(8)
        ]  # fmt: skip
        path = tmp_path / "datasets" / f"{stem}.jsonl"
        path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    options = [
        "--model_name_or_path",
        tiny_model,
        "--per_device_train_batch_size",
        "2",
        "--gradient_accumulation_steps",
    ]
    options += ["1", "training.replay_share=0", "--limit-hours", "0.1"]
    done = shell("test_case_1.sh", tmp_path, *options)
    assert done.returncode == 0, done.stderr + done.stdout
    assert done.stdout.splitlines()[-1].startswith("passed: ")
    for stem in STEMS:
        assert (tmp_path / "output" / stem / "checkpoint-final" / "adapter_config.json").exists()
        assert len(np.load(tmp_path / "losses" / f"{stem}.npy", allow_pickle=False)) == 20
    # Twenty steps are judged as what they are.
    done = shell("cauchy_test.sh", tmp_path)
    assert (done.returncode, done.stdout.count("too short: 20 steps")) == (1, 3)
