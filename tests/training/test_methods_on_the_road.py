"""Methods from documents to answers: trained by the stage, asked, talked to, and the same after a kill."""

import shutil
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from knowledge_update import pipeline
from knowledge_update.chat.session import Sampling, Session
from knowledge_update.composition import load
from knowledge_update.config import Config, ModelConfig
from knowledge_update.errors import ModelError
from knowledge_update.quantisation import quantised
from knowledge_update.ready_model import ready
from knowledge_update.run_folder import RunFolder, read_json, read_rows

SETTINGS = (
    "training.max_steps=6", "training.batch_tokens=120", "training.checkpoint_seconds=0", "evaluation.retention=false",
    "evaluation.resamples=20", "inference.max_new_tokens=4", "model.dtype=float32", "training.replay_tokens=4",
)  # fmt: skip
ADAPTER = {"adapter_config.json", "adapter_model.safetensors"}
WHOLE = {"config.json", "model.safetensors"}


@pytest.fixture(scope="module")
def collected(collect: Callable[..., RunFolder]) -> RunFolder:
    """A run folder with its dataset."""
    return collect(*SETTINGS)


Start = Callable[..., tuple[Config, RunFolder]]


@pytest.fixture
def start(collected: RunFolder, shared_docs: Path, tiny_model: str, tmp_path: Path) -> Start:
    """`start(name, *words)` gives a copy of that folder, ready to be trained, and its configuration."""

    def copy(name: str, *words: str) -> tuple[Config, RunFolder]:
        folder = RunFolder(tmp_path / name)
        shutil.copytree(collected.path, folder.path)
        folder.config.unlink()
        return load([f"model={tiny_model}", *SETTINGS, *words], {"documents": str(shared_docs)}), folder

    return copy


@pytest.mark.parametrize(
    ("words", "files", "bits"),
    [
        (["adapter=full"], WHOLE, None),
        (["model.bits=4"], ADAPTER, 4),
        (["model.bits=8", "adapter.rank=4"], ADAPTER, 8),
        (["adapter.dora=true", "adapter.rslora=true"], ADAPTER, None),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_method_goes_the_whole_road(words: list[str], files: set[str], bits: int | None, start: Start) -> None:
    config, folder = start("run", *words)
    for stage in (pipeline.train, pipeline.infer, pipeline.evaluate):
        pipeline.run_stage(stage, config, folder)
    assert {path.name for path in folder.adapter.iterdir()} & (ADAPTER | WHOLE) == files
    probes = read_rows(folder.dataset("probes"))
    assert {row["id"] for row in probes} <= {row["id"] for row in read_rows(folder.answers("updated"))}
    assert read_json(folder.evaluation)["held_out"]["n"] == len(probes)
    assert folder.report.exists()
    # What is talked to is what was trained, from the run folder and from the folder that holds it alone.
    said = []
    for place in (folder.path, folder.adapter):
        session = Session(ready(ModelConfig(name=str(place)), named=True), Sampling(max_new_tokens=5))
        assert quantised(session.ready.model) == bits
        said.append("".join(session.answer("Who built the lighthouse?")))
    assert said[0] == said[1]
    # Done work is not done twice.
    before = folder.metrics.stat().st_mtime_ns
    pipeline.run_stage(pipeline.train, config, folder)
    assert folder.metrics.stat().st_mtime_ns == before


@pytest.mark.parametrize(
    "words",
    [
        ["adapter.dropout=0.2"],
        ["adapter.dropout=0.2", "training.gradient_checkpointing=true"],
        ["adapter=full"],
        ["adapter=full", "model.dtype=bfloat16"],
        ["model.bits=4", "adapter.dropout=0.1"],
        ["model.bits=8"],
        ["adapter.dora=true"],
    ],
    ids=" ".join,
)
def test_a_training_that_was_killed_ends_as_one_that_was_not(
    words: list[str], start: Start, killed_after: Callable[[int], AbstractContextManager[None]]
) -> None:
    config, whole = start("whole", *words)
    pipeline.run_stage(pipeline.train, config, whole)
    _, folder = start("killed", *words)
    with killed_after(2):
        pipeline.run_stage(pipeline.train, config, folder)
    pipeline.run_stage(pipeline.train, config, folder)
    losses = np.load(whole.losses)
    assert len(losses) == 6
    assert np.array_equal(losses, np.load(folder.losses))
    (left,), (right,) = (list(each.adapter.glob("*.safetensors")) for each in (whole, folder))
    assert left.read_bytes() == right.read_bytes()


def test_a_run_goes_on_from_the_adapter_of_another(start: Start) -> None:
    first, before = start("first", "adapter.rank=4")
    pipeline.run_stage(pipeline.train, first, before)
    words = ("adapter.rank=4", f"adapter.start_from={before.adapter}")
    config, folder = start("second", *words)
    pipeline.run_stage(pipeline.train, config, folder)
    assert np.load(folder.losses)[0] < np.load(before.losses)[0]
    pipeline.run_stage(pipeline.infer, config, folder)
    # Another adapter in that place is another start: what was made of the first is not taken for it.
    before.config.unlink()
    pipeline.run_stage(pipeline.train, start("other", "adapter.rank=4", "seed=1")[0], before)
    losses = np.load(folder.losses)
    pipeline.run_stage(pipeline.train, config, folder)
    assert not np.array_equal(losses, np.load(folder.losses))


def test_the_described_options_choose_the_method(start: Start, run_kupdate: Callable[..., Any]) -> None:
    config, folder = start("run")
    pipeline.save(config, folder)
    said = "--use_quant --lora_r 4 --lora_alpha=16 --lora_dropout 0.05 --gradient_checkpointing True".split()
    ended = run_kupdate("train", folder.path, "preset=panda", "schedule=linear", *said, "training.max_steps=2")
    assert (ended.code, ended.stderr) == (0, ""), ended.stderr
    found = read_json(folder.adapter / "adapter_config.json")
    assert (found["r"], found["lora_alpha"], found["lora_dropout"]) == (4, 16, 0.05)
    assert read_json(folder.training_arguments)["settings"]["model"]["bits"] == 4
    ended = run_kupdate("train", folder.path, "--use_quant", "False", "--use_lora", "False")
    assert (ended.code, ended.stderr) == (0, ""), ended.stderr
    assert (folder.adapter / "model.safetensors").exists()


def test_an_adapter_of_another_rank_is_told_before_anything_is_read(
    start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, before = start("first", "adapter.rank=4")
    pipeline.run_stage(pipeline.train, first, before)
    config, _ = start("second", f"adapter.start_from={before.adapter}", "adapter.rank=64")
    with pytest.raises(ModelError, match=r": its adapter\.rank is 4, not 64; say adapter\.rank=4$"):
        pipeline.run(config, RunFolder(tmp_path / "new"))
    assert not (tmp_path / "new").exists()
