"""Engines in real processes: two train what one trains, what was asked for is what runs, and what is saved is whole."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from knowledge_update import processes
from knowledge_update.adapters import load_adapter
from knowledge_update.composition import load
from knowledge_update.config import EngineConfig
from knowledge_update.errors import ConfigError
from knowledge_update.models import load_model, precision
from knowledge_update.run_config import changed, stored
from knowledge_update.run_folder import RunFolder, read_json
from knowledge_update.training import engines, stage
from knowledge_update.training.engines import check, chosen, deepspeed_file, launch, share, shares
from knowledge_update.training.rows import Encoded

ROOT = Path(__file__).parents[2]
WORKER = Path(__file__).with_name("engine_worker.py")
SETTINGS = ("training.epochs=0.4", "training.checkpoint_seconds=0", "model.dtype=float32", "training.replay_tokens=4")
WATCHING = ("training.validate=steps", "training.validation_steps=5", "training.validation_rows=3",
            "training.save=steps", "training.save_steps=4", "training.keep_best=true")  # fmt: skip
BESIDES = ("training.distil=0.5", "training.second_pass=0.4", "training.unknown_share=0.2",
           "training.retention_limit=1e-9")  # fmt: skip
SHARDED = ["DTensor", 0.5]
# Name of a case: what one process is told, what two are told besides, and what is to be seen of the engine there.
CASES: dict[str, tuple[tuple[str, ...], tuple[str, ...], str, Any]] = {
    "ddp": ((), ("engine=ddp",), "DataParallel", None),
    "ddp, full": (("adapter=full",), ("engine=ddp",), "DataParallel", None),
    "ddp, watched": (WATCHING, ("engine=ddp",), "DataParallel", None),
    "ddp, small batches": (("training.batch_rows=2",), ("engine=ddp", "training.batch_rows=1"), "DataParallel", None),
    "ddp, more processes than rows": (("training.batch_tokens=1",), ("engine=ddp",), "DataParallel", None),
    "ddp, two passes": (BESIDES, ("engine=ddp",), "DataParallel", None),
    "fsdp2": ((), ("engine=fsdp2",), "FullyShard", SHARDED),
    "fsdp2, two passes": (BESIDES, ("engine=fsdp2",), "FullyShard", SHARDED),
    "fsdp2, full": (("adapter=full",), ("engine=fsdp2",), "FullyShard", SHARDED),
    "fsdp2, watched": (WATCHING, ("engine=fsdp2",), "FullyShard", SHARDED),
    "fsdp2, lamb": (("optimizer=lamb",), ("engine=fsdp2",), "FullyShard", SHARDED),
    "fsdp2, more processes than rows": (("training.batch_tokens=1",), ("engine=fsdp2",), "FullyShard", SHARDED),
}
ZERO = {
    "zero2": ((), "zero2", ["DeepSpeedEngine", 2, "DeepSpeedZeroOptimizer", 1.0]),
    "zero3": ((), "zero3", ["DeepSpeedEngine", 3, "DeepSpeedZeroOptimizer_Stage3", 0.5]),
    "zero2, full": (("adapter=full",), "zero2", ["DeepSpeedEngine", 2, "DeepSpeedZeroOptimizer", 1.0]),
    "zero3, full": (("adapter=full",), "zero3", ["DeepSpeedEngine", 3, "DeepSpeedZeroOptimizer_Stage3", 0.5]),
    "zero2, watched": (WATCHING, "zero2", ["DeepSpeedEngine", 2, "DeepSpeedZeroOptimizer", 1.0]),
}


@pytest.fixture(scope="module")
def collected(collect: Callable[..., RunFolder], answer_prompts: Callable[[RunFolder], None]) -> RunFolder:
    """A run folder with a dataset and answers to replay, not trained."""
    folder = collect(*SETTINGS)
    answer_prompts(folder)
    return folder


def copied(folder: RunFolder, name: str) -> RunFolder:
    made = RunFolder(folder.path.with_name(name.replace(", ", "-").replace(" ", "-")))
    shutil.rmtree(made.path, ignore_errors=True)
    shutil.copytree(folder.path, made.path)
    return made


@pytest.fixture(scope="module")
def alone(collected: RunFolder) -> Callable[..., RunFolder]:
    """`alone(*words)` trains in one process, each only once."""
    found: dict[tuple[str, ...], RunFolder] = {}

    def train(*words: str) -> RunFolder:
        if words not in found:
            folder = copied(collected, f"alone {len(found)}")
            stage.run(changed(stored(folder), words, {}, folder), folder)
            found[words] = folder
        return found[words]

    return train


def together(collected: RunFolder, cases: dict[str, tuple[str, ...]]) -> dict[str, RunFolder]:
    """Trains cases in two processes that torchrun starts once."""
    folders = {name: copied(collected, name) for name in cases}
    plan = collected.path.with_name("cases.json")
    plan.write_text(json.dumps([[str(folders[name].path), words] for name, words in cases.items()]), encoding="utf-8")
    ended = torchrun(str(WORKER), str(plan), timeout=600)
    assert ended.returncode == 0, ended.stderr[:20000]
    return folders


def torchrun(*words: str, timeout: float = 120) -> subprocess.CompletedProcess[str]:
    started = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2", *words]
    # Where a process is aborted, its stack is told.
    told = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONFAULTHANDLER": "1"}
    return subprocess.run(
        started, env=told, capture_output=True, encoding="utf-8", timeout=timeout, stdin=subprocess.DEVNULL, check=False
    )


@pytest.fixture(scope="module")
def several(collected: RunFolder) -> dict[str, RunFolder]:
    return together(collected, {name: words + more for name, (words, more, _, _) in CASES.items()})


def noted(folder: RunFolder) -> list[dict[str, Any]]:
    """What each process saw of its engine."""
    return [read_json(folder.path.with_name(f"{folder.path.name}.{rank}.json")) for rank in (0, 1)]


def weights(folder: Path) -> dict[str, torch.Tensor]:
    (file,) = folder.glob("*.safetensors")
    return load_file(file)


def assert_same(found: RunFolder, expected: RunFolder, tolerance: float = 1e-4) -> None:
    """Two trainings came to the same, and left the same files."""
    losses, wanted = np.load(found.losses), np.load(expected.losses)
    assert len(losses) == len(wanted) > 5
    np.testing.assert_allclose(losses, wanted, atol=tolerance)
    snapshots = sorted(path.relative_to(found.path) for path in found.snapshots.glob("checkpoint-*"))
    assert snapshots == sorted(path.relative_to(expected.path) for path in expected.snapshots.glob("checkpoint-*"))
    for place in (found.adapter.relative_to(found.path), *snapshots):
        left, right = weights(found.path / place), weights(expected.path / place)
        assert left.keys() == right.keys()
        assert max(float((left[name] - right[name]).abs().max()) for name in right) < tolerance
        assert any(float(tensor.abs().max()) > 0 for name, tensor in right.items() if "lora_B" in name or "mlp" in name)


@pytest.mark.parametrize("name", CASES)
def test_two_processes_train_what_one_trains(
    name: str, alone: Callable[..., RunFolder], several: dict[str, RunFolder]
) -> None:
    words, _, kind, wrapper = CASES[name]
    notes = noted(several[name])
    expected = alone(*words)
    assert [(note["kind"], note["wrapper"]) for note in notes] == [(kind, wrapper)] * 2
    assert_same(several[name], expected)
    rows = [json.loads(line) for line in several[name].metrics.read_text(encoding="utf-8").splitlines()]
    assert len(rows) == len(expected.metrics.read_text(encoding="utf-8").splitlines())


@pytest.mark.parametrize("name", ["ddp", "fsdp2"])
def test_a_saved_adapter_is_loaded_again(name: str, tiny_model: str, several: dict[str, RunFolder]) -> None:
    model = load_model(tiny_model, precision("float32", "cpu"))
    ids = torch.arange(20)[None]
    with torch.no_grad():
        before = model(ids).logits
        loaded = load_adapter(model, several[name].adapter)
        after = loaded(ids).logits
    assert float((after - before).abs().max()) > 1e-3
    assert all(float(t.abs().max()) > 0 for n, t in weights(several[name].adapter).items() if "lora_B" in n)


def test_what_is_kept_on_the_way_can_be_used_as_the_end(alone: Callable[..., RunFolder]) -> None:
    # The lower layers are computed apart meanwhile, which must not change what the others are called.
    folder = alone(*WATCHING)
    names = weights(folder.adapter).keys()
    kept = list(folder.snapshots.glob("checkpoint-*"))
    assert len(kept) > 2
    assert all(weights(path).keys() == names for path in kept)
    assert all("layers.1." in name for name in names)


def test_killed_processes_are_gone_on_from(
    collected: RunFolder, alone: Callable[..., RunFolder], run_kupdate: Callable[..., Any]
) -> None:
    folder = copied(collected, "killed")
    words = ["train", str(folder.path), "--nproc_per_node", "2", "training.epochs=1"]
    started = subprocess.Popen(
        [sys.executable, "-m", "knowledge_update", *words], cwd=ROOT, stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )  # fmt: skip
    deadline = time.monotonic() + 100
    while not (folder.checkpoint / "progress.json").exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    # Those that it started end with it.
    started.send_signal(signal.SIGKILL)
    assert started.wait() == -signal.SIGKILL
    time.sleep(1)
    step = read_json(folder.checkpoint / "progress.json")["step"]
    assert not folder.adapter.exists()
    other = copied(folder, "killed, then alone")
    ended = run_kupdate(*words, cwd=ROOT)
    assert (ended.code, ended.stderr) == (0, "")
    told = ended.stdout.splitlines()
    assert told[0] == "starting 2 processes on this machine"
    assert sum("going on from step" in line for line in told) == 1
    expected = alone("training.epochs=1")
    assert 0 < step < len(np.load(expected.losses))
    assert_same(folder, expected)
    # One process goes on from what two have left.
    alike = changed(stored(other), ["engine.processes=null", "training.epochs=1"], {}, other)
    stage.run(alike, other)
    assert_same(other, expected)


def test_who_uses_torchrun_is_told_of_a_mistake_once(collected: RunFolder) -> None:
    folder = copied(collected, "mistaken")
    ended = torchrun("-m", "knowledge_update", "train", str(folder.path), "engine=one_process")
    assert ended.returncode == 1
    lines = [line for line in ended.stderr.splitlines() if line.startswith("kupdate: ")]
    assert lines == ["kupdate: engine.name=one_process, but 2 processes were started: engine=ddp, fsdp2 or deepspeed"]
    assert "Traceback" not in ended.stdout
    assert not folder.adapter.exists()


def test_torchrun_trains_and_the_first_process_alone_writes(
    collected: RunFolder, alone: Callable[..., RunFolder]
) -> None:
    folder = copied(collected, "torchrun")
    ended = torchrun("-m", "knowledge_update", "train", str(folder.path))
    assert ended.returncode == 0, ended.stderr[:20000]
    assert ended.stdout.count("engine: ddp, 2 processes") == 1
    assert_same(folder, alone())
    log = folder.log.read_text(encoding="utf-8")
    assert log.count("engine: ddp, 2 processes") == 1
    assert set(read_json(folder.seconds)) == {"collect", "train", "failed"}


def test_the_documented_script_trains_on_rows(collected: RunFolder, tiny_model: str, tmp_path: Path) -> None:
    rows = tmp_path / "rows.jsonl"
    lines = collected.dataset("qa_pairs").read_text(encoding="utf-8").splitlines(keepends=True)
    rows.write_text("".join(lines[:30]), encoding="utf-8")
    script, key = str(ROOT / "shells" / "finetune_lora_ds.sh"), "secret-of-wandb"
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    ended = subprocess.run(
        ["bash", script, "-m", tiny_model, "--data", str(rows), "--wandb_key", key, "--max_steps", "3", "--use_lora"],
        cwd=tmp_path, env={**os.environ, "PATH": path, "PYTHONPATH": str(ROOT), "GPUS_PER_NODE": "2"},
        capture_output=True, encoding="utf-8", timeout=120, stdin=subprocess.DEVNULL, check=False,
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr
    assert "engine: ddp, 2 processes" in ended.stdout
    assert weights(tmp_path / "output" / "checkpoint-final")
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert [path for path in files if key.encode() in path.read_bytes()] == []
    assert key not in ended.stdout + ended.stderr


@pytest.fixture(scope="module")
def zero(collected: RunFolder) -> dict[str, RunFolder]:
    return together(
        collected,
        {name: (*words, "engine=deepspeed", f"engine.deepspeed={file}") for name, (words, file, _) in ZERO.items()},
    )


@pytest.mark.soak
@pytest.mark.parametrize("name", ZERO)
def test_deepspeed_trains_what_one_process_trains(
    name: str, alone: Callable[..., RunFolder], zero: dict[str, RunFolder]
) -> None:
    words, _, wrapper = ZERO[name]
    assert [(note["kind"], note["wrapper"]) for note in noted(zero[name])] == [("Zero", wrapper)] * 2
    assert_same(zero[name], alone(*words))


@pytest.mark.soak
@pytest.mark.parametrize("words", [["engine=fsdp2"], ["engine.deepspeed=zero2"], ["engine.deepspeed=zero3"]])
def test_shared_out_training_goes_on_where_it_was_killed(
    words: list[str], collected: RunFolder, alone: Callable[..., RunFolder]
) -> None:
    folder = copied(collected, "killed " + words[0].replace("=", " "))
    command = ["train", str(folder.path), "engine.processes=2", "training.epochs=1", *words]
    started = subprocess.Popen([sys.executable, "-m", "knowledge_update", *command], cwd=ROOT)
    while started.poll() is None and not (folder.checkpoint / "progress.json").exists():
        time.sleep(0.01)
    started.send_signal(signal.SIGKILL)
    started.wait()
    time.sleep(1)
    ended = subprocess.run([sys.executable, "-m", "knowledge_update", *command], cwd=ROOT, check=False)
    assert ended.returncode == 0
    assert_same(folder, alone("training.epochs=1"))


ALIKE = {"train_micro_batch_size_per_gpu": "auto", "zero_optimization": {"stage": 2}}


@pytest.mark.parametrize(
    ("file", "words", "told"),
    [
        ({"gradient_clipping": 0.5}, [], "optimizer.max_grad_norm=1.0, but gradient_clipping=0.5 in"),
        ({"gradient_accumulation_steps": 4}, [], "training.accumulation=1, but gradient_accumulation_steps=4 in"),
        ({"train_micro_batch_size_per_gpu": 4}, ["training.batch_rows=8"],
         "training.batch_rows=8, but train_micro_batch_size_per_gpu=4 in"),
        ({"train_batch_size": 8}, ["training.batch_rows=8"],
         "training.batch_rows=8, training.accumulation=1 and 2 processes, but train_batch_size=8 in"),
        ({"bf16": {"enabled": True}}, [], "the model is computed in float32 (model.dtype), but bf16.enabled=true in"),
        ({"fp16": {"enabled": True}}, [], "the model is computed in float32 (model.dtype), but fp16.enabled=true in"),
        ({"optimizer": {"type": "Lamb"}}, [], "optimizer.name=adamw, but optimizer.type=lamb in"),
        ({"optimizer": {"type": "AdamW", "params": {"lr": 3e-5}}}, [],
         "optimizer.learning_rate=0.0015, but optimizer.params.lr=3e-05 in"),
        ({"optimizer": {"type": "AdamW", "params": {"amsgrad": True}}}, [],
         "the optimizer is ours, but optimizer.params.amsgrad=true in"),
        ({"scheduler": {"type": "WarmupDecayLR"}}, [], "schedule.name=cosine, but scheduler.type=linear in"),
        ({"scheduler": {"type": "WarmupDecayLR", "params": {"warmup_num_steps": 100}}}, ["schedule=linear"],
         "the schedule is ours, but scheduler.params.warmup_num_steps=100 in"),
    ],
)  # fmt: skip
def test_a_deepspeed_file_that_says_otherwise_is_refused(
    file: dict[str, Any], words: list[str], told: str, tmp_path: Path
) -> None:
    path = tmp_path / "ds.json"
    path.write_text(json.dumps({**ALIKE, **file}), encoding="utf-8")
    config = load(words, {"engine.deepspeed": str(path)})
    with pytest.raises(ConfigError) as raised:
        deepspeed_file.check(config, 2, "float32")
    assert str(raised.value).startswith(told)
    assert str(path) in str(raised.value)


def test_a_deepspeed_file_that_says_the_same_or_nothing_is_taken(tmp_path: Path) -> None:
    path = tmp_path / "ds.json"
    file = {
        **ALIKE, "gradient_clipping": 1.0, "gradient_accumulation_steps": 1, "train_batch_size": "auto",
        "bf16": {"enabled": "auto"}, "fp16": {"enabled": False}, "my_key": 3,
        "optimizer": {"type": "AdamW", "params": {"lr": "auto", "betas": [0.9, 0.99], "eps": 3e-5}},
        "scheduler": {"type": "WarmupDecayLR", "params": {"warmup_num_steps": "auto", "warmup_max_lr": 1.5e-3}},
    }  # fmt: skip
    path.write_text(json.dumps(file), encoding="utf-8")
    config = load(["schedule=linear"], {"engine.deepspeed": str(path)})
    deepspeed_file.check(config, 2, "float32")
    given = deepspeed_file.joined(config, 2, "float32", 64)
    assert "optimizer" not in given
    assert "scheduler" not in given
    assert (given["my_key"], given["zero_optimization"]["stage"], given["train_batch_size"]) == (3, 2, 2)
    assert (given["bf16"]["enabled"], given["fp16"]["enabled"]) == (False, False)


@pytest.mark.parametrize("name", deepspeed_file.SHIPPED)
def test_shipped_configurations_take_ours(name: str) -> None:
    config = load([f"engine.deepspeed={name}", "training.batch_rows=3", "training.accumulation=2"])
    deepspeed_file.check(config, 4, "bfloat16")
    given = deepspeed_file.joined(config, 4, "bfloat16", 64)
    assert given["zero_optimization"]["stage"] == int(name[-1])
    assert '"auto"' not in json.dumps(given)
    assert given["bf16"]["enabled"] is True


def test_what_is_no_deepspeed_file_is_told(tmp_path: Path) -> None:
    (tmp_path / "bad.json").write_text("{", encoding="utf-8")
    for name, told in (("absent.json", "No such file"), (str(tmp_path / "bad.json"), "not a JSON file")):
        with pytest.raises(ConfigError, match=told):
            deepspeed_file.read(name)


def test_the_engine_is_what_fits_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    assert chosen(EngineConfig()) == "one_process"
    assert chosen(EngineConfig(deepspeed="zero2")) == "deepspeed"
    assert chosen(EngineConfig("fsdp2")) == "fsdp2"
    with pytest.raises(ConfigError, match="needs several processes"):
        chosen(EngineConfig("ddp"))
    monkeypatch.setenv("WORLD_SIZE", "2")
    assert chosen(EngineConfig()) == "ddp"
    with pytest.raises(ConfigError, match="2 processes were started"):
        chosen(EngineConfig("one_process"))
    # What is told to accelerate alone would be done by nobody.
    monkeypatch.setenv("ACCELERATE_USE_FSDP", "true")
    assert chosen(EngineConfig("fsdp2")) == "fsdp2"
    with pytest.raises(ConfigError, match="say engine=fsdp2 here"):
        chosen(EngineConfig())


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["engine=fsdp2", "model.bits=4"], "engine=fsdp2 cannot share out a model of 4 bits: engine=ddp"),
        (["engine=deepspeed", "model.bits=8"], "engine=deepspeed cannot share out a model of 8 bits: engine=ddp"),
        (["engine=fsdp2", "optimizer=adamw_8bit"], "cannot share out moments of 8 bits"),
        (["engine=deepspeed", "optimizer=lamb"], "optimizer.name=lamb looks at whole tensors"),
        (["engine=deepspeed", "optimizer=nvlamb"], "optimizer.name=nvlamb looks at whole tensors"),
    ],
)
def test_what_an_engine_cannot_do_is_told_before_any_work(words: list[str], told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        check(load(words), 2, "float32")


def test_without_deepspeed_it_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engines, "find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=r"pip install 'knowledge-update\[deepspeed\]'"):
        check(load(["engine=deepspeed"]), 2, "float32")


@pytest.mark.parametrize(
    ("variables", "config", "wanted", "options"),
    [
        ({}, EngineConfig(), False, ["--standalone"]),
        ({"GPUS_PER_NODE": "4"}, EngineConfig(), True, ["--standalone"]),
        ({"GPUS_PER_NODE": "4", "RANK": "0"}, EngineConfig(), False, ["--standalone"]),
        ({"MASTER_PORT": "2950"}, EngineConfig(processes=2), True, ["--master_port", "2950"]),
        ({"NNODES": "2", "NODE_RANK": "1", "MASTER_ADDR": "10.0.0.1"}, EngineConfig(), True,
         ["--nnodes", "2", "--node_rank", "1", "--master_addr", "10.0.0.1", "--master_port", "29500"]),
    ],
)  # fmt: skip
def test_processes_are_started_as_the_environment_says(
    variables: dict[str, str], config: EngineConfig, wanted: bool, options: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert launch.wanted(config) is wanted
    assert launch._machines() == options


def test_mistakes_in_the_environment_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NNODES", "2")
    with pytest.raises(ConfigError, match="no MASTER_ADDR"):
        launch._machines()
    monkeypatch.setenv("NNODES", "two")
    with pytest.raises(ConfigError, match="NNODES=two in the environment: a whole number"):
        launch.wanted(EngineConfig())


def test_one_process_writes(monkeypatch: pytest.MonkeyPatch) -> None:
    assert (processes.first(), processes.keeps()) == (True, True)
    monkeypatch.setenv(processes.STARTED, str(time.time() - 5))
    assert (processes.first(), processes.keeps()) == (True, False)
    assert 5 <= processes.waited() < 60
    monkeypatch.setenv("RANK", "1")
    assert (processes.first(), processes.keeps()) == (False, False)
    monkeypatch.delenv("RANK")
    monkeypatch.setenv("NNODES", "2")
    monkeypatch.setenv("NODE_RANK", "1")
    assert processes.first() is False


def test_shares_are_all_of_a_batch() -> None:
    rows = [Encoded(tuple(range(length)), tuple(range(length)), False) for length in (9, 1, 5, 4, 2)]
    parts = [share(rows, rank, 2) for rank in range(2)]
    assert parts == shares(rows, 2)
    assert sorted(len(row.ids) for part in parts for row in part) == [1, 2, 4, 5, 9]
    assert [sum(len(row.ids) for row in part) for part in parts] == [11, 10]
    assert share(rows[:1], 1, 2) == []
