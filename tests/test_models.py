"""A model is found by the name it is asked for by, and a name that leads nowhere says where to look."""

import importlib.util
import shutil
import time
from pathlib import Path
from typing import Any

import pytest

from knowledge_update import model_names, models
from knowledge_update.composition import load
from knowledge_update.errors import ModelError
from knowledge_update.models import load_model, precision, resolve
from knowledge_update.quantisation import quantised


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, bool]]:
    """What the hub is asked for, and whether it may be."""
    found: list[tuple[str, bool]] = []

    def download(name: str, *, local_files_only: bool) -> str:
        found.append((name, local_files_only))
        return f"/cache/{name}"

    monkeypatch.setattr(models, "_download", download)
    return found


@pytest.mark.parametrize(
    ("name", "hub"),
    [
        ("llama-7b", "huggyllama/llama-7b"),
        ("llama-13b", "huggyllama/llama-13b"),
        ("llama-33b", "huggyllama/llama-30b"),
        ("llama-65b", "huggyllama/llama-65b"),
        ("Qwen2.5-7B", "Qwen/Qwen2.5-7B-Instruct"),
        ("owner/name", "owner/name"),
    ],
)
def test_a_short_name_is_what_the_hub_calls_it(name: str, hub: str, asked: list[tuple[str, bool]]) -> None:
    assert load([f"model={name}"]).model.name == name
    assert resolve(name) == f"/cache/{hub}"
    resolve(name, local_files_only=True)
    assert asked == [(hub, False), (hub, True)]


def test_names_in_the_table_are_names_of_the_hub() -> None:
    assert all(name == name.lower() and hub.count("/") == 1 for name, hub in model_names.NAMES.items())
    assert set(model_names.GONE.values()) <= set(model_names.NAMES)


@pytest.mark.parametrize("name", ["mine", "llama-7b", "pretrain/llama-7b"])
def test_a_folder_is_looked_for_as_given_and_under_pretrained_models(
    name: str, asked: list[tuple[str, bool]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for parent in (model_names.FOLDER, Path()):
        folder = parent / name
        folder.mkdir(parents=True)
        (folder / "config.json").write_text("{}", encoding="utf-8")
        assert resolve(name) == str(folder)
    assert asked == []


def test_a_model_that_is_gone_from_the_hub_is_told_with_what_to_use_instead(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(ModelError) as raised:
        resolve("decapoda-research/llama-7b-hf")
    assert str(raised.value) == (
        "decapoda-research/llama-7b-hf was taken off the hub: use llama-7b (a mirror, huggyllama/llama-7b), or a "
        "folder that holds it"
    )


@pytest.mark.parametrize(("name", "near"), [("llama7b", "llama-7b"), ("qwen3-8", "qwen3-8b"), ("zzz", "qwen2.5-0.5b")])
def test_a_name_that_leads_nowhere_is_told_with_the_nearest(name: str, near: str) -> None:
    with pytest.raises(ModelError, match=rf"^no model '{name}': .*a short name that is known is {near}$"):
        resolve(name)


def test_without_bitsandbytes_a_line_says_what_to_install(tiny_model: str, monkeypatch: pytest.MonkeyPatch) -> None:
    found = importlib.util.find_spec

    def absent(name: str, *rest: Any) -> Any:
        return None if name == "bitsandbytes" else found(name, *rest)

    monkeypatch.setattr(importlib.util, "find_spec", absent)
    with pytest.raises(ModelError) as raised:
        load_model(tiny_model, precision("float32", "cpu"), 4)
    assert str(raised.value) == "model.bits=4 needs bitsandbytes: pip install 'knowledge-update[quantised]'"


@pytest.mark.parametrize("bits", [None, 4, 8])
def test_a_model_is_held_in_the_bits_that_are_asked_for(bits: int | None, tiny_model: str) -> None:
    assert quantised(load_model(tiny_model, precision("float32", "cpu"), bits)) == bits


def test_a_model_that_learned_is_told_from_its_base(tiny_model: str, tmp_path: Path) -> None:
    same, taught = tmp_path / "same", tmp_path / "taught"
    shutil.copytree(tiny_model, same)
    model = load_model(tiny_model, precision("float32", "cpu"))
    model.save_pretrained(taught)
    shutil.copy(Path(tiny_model) / "config.json", taught / "config.json")
    before = models.identity(str(taught))
    # A merged adapter leaves the embeddings, which stand first, and all sizes as they are.
    model.get_decoder().layers[-1].mlp.down_proj.weight.data += 1e-3
    model.save_pretrained(taught)
    shutil.copy(Path(tiny_model) / "config.json", taught / "config.json")
    assert models.identity(str(same)) == models.identity(tiny_model)
    assert models.identity(str(taught)) != before


@pytest.mark.parametrize(
    ("fast", "slow", "chosen"),
    [("bfloat16", "float32", "bfloat16"), ("float32", "bfloat16", "float32")],
)
def test_a_disturbed_matmul_does_not_choose_the_type(
    fast: str, slow: str, chosen: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At first every matmul takes as long as if others had the cores."""
    began, true = time.monotonic(), {fast: 0.001, slow: 0.02}

    def seconds(width: int, dtype: Any, *_: Any) -> list[float]:
        time.sleep(0.01)
        disturbed = time.monotonic() - began < models.SETTLED / 2
        return [0.05 if disturbed and str(dtype)[6:] == fast else true[str(dtype)[6:]]] * 3

    monkeypatch.setattr(models, "matmul_seconds", seconds)
    assert str(precision.__wrapped__("auto", "cpu").dtype)[6:] == chosen
