"""A merged model says what base and adapter say, stands alone, and is there whole or not at all."""

import hashlib
import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import LoraConfig, get_peft_model
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer

from knowledge_update.errors import ModelError, WorkError
from knowledge_update.merging import stage, verification
from knowledge_update.merging.stage import Merge, merge
from knowledge_update.merging.weights import MergedWeights
from knowledge_update.models import identity
from knowledge_update.run_folder import read_json, write_json

Kupdate = Callable[..., tuple[int, str, str]]
IDS = torch.arange(3, 20)[None]
ALL = {"target_modules": "all-linear"}
KINDS: dict[str, dict[str, Any]] = {
    "lora": ALL, "dora": {**ALL, "use_dora": True}, "rslora": {**ALL, "use_rslora": True},
    "patterns": {
        "target_modules": ["q_proj", "down_proj"], "rank_pattern": {"q_proj": 2}, "alpha_pattern": {"down_proj": 9},
    },
    "embeddings": {"target_modules": ["q_proj", "embed_tokens", "lm_head"]},
    "head": {"target_modules": ["q_proj"], "modules_to_save": ["lm_head"]},
    "bias": {"target_modules": ["q_proj"], "bias": "all"},
}  # fmt: skip


def adapted(base: str | Path, folder: Path, **settings: Any) -> torch.Tensor:
    """Saves a random adapter of a base; returns what the two put out."""
    torch.manual_seed(1)
    model = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32)
    wrapped = get_peft_model(
        model, LoraConfig(r=4, lora_alpha=8, task_type="CAUSAL_LM", init_lora_weights=False, **settings)
    )
    for name, parameter in wrapped.named_parameters():
        if (name.endswith("bias") and "bias" in settings) or "modules_to_save" in name:
            parameter.data.normal_(std=0.1)
    wrapped.save_pretrained(str(folder))
    with torch.inference_mode():
        return wrapped.eval()(input_ids=IDS).logits


def put_out(folder: Path) -> torch.Tensor:
    with torch.inference_mode():
        model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
        return model(input_ids=IDS).logits


@pytest.fixture(scope="module")
def adapter(tiny_model: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An adapter of the tiny model, as our own training leaves it."""
    folder = tmp_path_factory.mktemp("adapter") / "checkpoint-final"
    adapted(tiny_model, folder, **ALL)
    write_json(folder / "training.json", {"model": tiny_model, "base": identity(tiny_model)})
    return folder


def hashes(folder: Path) -> dict[str, str]:
    return {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in sorted(folder.iterdir())}


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_adapter_says_the_same_when_it_is_merged(kind: str, tiny_model: str, tmp_path: Path) -> None:
    expected = adapted(tiny_model, tmp_path / "adapter", **KINDS[kind])
    merged = merge(Merge(str(tmp_path / "adapter"), str(tmp_path), tiny_model, prompts=12))
    assert torch.allclose(put_out(merged.folder), expected, atol=2e-6)
    compared = merged.verified["merged"]
    assert (compared.prompts, compared.agreement, compared.near_ties) == (12, 1.0, 0)
    assert compared.max_logprob_difference <= 1e-4
    assert not torch.allclose(put_out(Path(tiny_model)), expected, atol=1e-3), (
        "an adapter without effect proves nothing"
    )


SIZES = {
    "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4,
    "num_key_value_heads": 2, "head_dim": 8, "vocab_size": 90, "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2,
}  # fmt: skip
EYES = {
    "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 1, "num_attention_heads": 2, "image_size": 28,
    "patch_size": 14,
}  # fmt: skip
FAMILIES: dict[str, tuple[Callable[[], Any], dict[str, Any]]] = {
    "qwen2": (lambda: AutoConfig.for_model("qwen2", **SIZES), ALL),
    "qwen3": (lambda: AutoConfig.for_model("qwen3", **SIZES), ALL),
    # Experts are many tensors in the files and one in the model; the rest has its own.
    "qwen3_moe": (
        lambda: AutoConfig.for_model(
            "qwen3_moe", **SIZES, num_experts=4, num_experts_per_tok=2, moe_intermediate_size=16
        ),
        {"target_modules": ["q_proj", "o_proj"]},
    ),
    # Its files name tensors otherwise than the model does.
    "gemma3": (
        lambda: AutoConfig.for_model("gemma3", text_config=SIZES, vision_config=EYES, mm_tokens_per_image=4),
        {"target_modules": ["q_proj", "down_proj", "lm_head"]},
    ),
    "gpt2": (
        lambda: AutoConfig.for_model("gpt2", n_embd=32, n_layer=2, n_head=4, vocab_size=90, eos_token_id=2),
        {**ALL, "fan_in_fan_out": True},
    ),
}  # fmt: skip


@pytest.mark.parametrize("family", FAMILIES)
def test_tensors_are_found_whatever_their_names(family: str, tiny_model: str, tmp_path: Path) -> None:
    configuration, settings = FAMILIES[family]
    torch.manual_seed(0)
    base = tmp_path / "base"
    AutoModelForCausalLM.from_config(configuration()).save_pretrained(base)
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copy(Path(tiny_model) / name, base)
    expected = adapted(base, tmp_path / "adapter", **settings)
    merged = merge(Merge(str(tmp_path / "adapter"), str(tmp_path), str(base), prompts=0))
    assert torch.allclose(put_out(merged.folder), expected, atol=2e-6)


def test_an_adapter_of_experts_is_refused(tiny_model: str, tmp_path: Path) -> None:
    """What is many tensors in the files is not taken apart again."""
    torch.manual_seed(0)
    base = tmp_path / "base"
    AutoModelForCausalLM.from_config(FAMILIES["qwen3_moe"][0]()).save_pretrained(base)
    adapted(base, tmp_path / "adapter", **ALL)
    with pytest.raises(ModelError, match="an adapter with target_parameters cannot be merged here"):
        merge(Merge(str(tmp_path / "adapter"), str(tmp_path), str(base), prompts=0))


def test_the_described_command_leaves_the_described_folder(
    kupdate: Kupdate, adapter: Path, tiny_model: str, tmp_path: Path
) -> None:
    shutil.copytree(adapter, tmp_path / "output" / "checkpoint-final" / "adapter_model")
    code, stdout, stderr = kupdate(
        "merge", "--lora_model=output/checkpoint-final", "--output_dir=models/", "--prompts=4"
    )
    name = f"models/{Path(tiny_model).name}-finetune"
    assert (code, stderr) == (0, "") and stdout.endswith(f"model: {name}\n")
    assert "merged, in fp32: of 4 greedy answers 4 are those of base and adapter; log p differs by at most " in stdout
    folder = tmp_path / name
    assert sorted(file.name for file in folder.iterdir()) == [
        "README.md", "chat_template.jinja", "config.json", "generation_config.json", "merge.json", "model.safetensors",
        "tokenizer.json", "tokenizer_config.json",
    ]  # fmt: skip
    assert [path.name for path in (tmp_path / "models").iterdir()] == [folder.name]
    tokenizer = AutoTokenizer.from_pretrained(folder)
    assert tokenizer.chat_template == AutoTokenizer.from_pretrained(tiny_model).chat_template
    assert read_json(folder / "generation_config.json")["eos_token_id"] == tokenizer.eos_token_id
    record = read_json(folder / "merge.json")
    assert record["verified"]["merged"]["agreement"] == 1.0
    assert record["base_identity"] == identity(tiny_model) != identity(str(folder)), "it would pass for its own base"
    # Done once; and done anew it is the same, byte for byte.
    before = hashes(folder)
    assert "it is merged already" in kupdate("merge", "output", "--output_dir", "models", "--prompts", "4")[1]
    shutil.rmtree(folder)
    assert kupdate("merge", "--lora_model=output/checkpoint-final", "--output_dir=models/", "--prompts=4")[0] == 0
    assert hashes(folder) == before


def test_a_damaged_result_is_made_anew(adapter: Path, tmp_path: Path) -> None:
    wanted = Merge(str(adapter), str(tmp_path), prompts=0)
    weights = merge(wanted).folder / "model.safetensors"
    before = weights.read_bytes()
    weights.write_bytes(before[:-1] + b"x")
    merge(wanted)
    assert weights.read_bytes() == before


def test_shards_and_other_types_are_read_as_one(adapter: Path, tiny_model: str, tmp_path: Path) -> None:
    whole = merge(Merge(str(adapter), str(tmp_path / "a"), prompts=0)).folder
    parted = merge(Merge(str(adapter), str(tmp_path / "b"), prompts=0, shard_size="30KB")).folder
    assert len(list(parted.glob("*.safetensors"))) > 2
    assert torch.equal(put_out(whole), put_out(parted))
    short = merge(Merge(str(adapter), str(tmp_path / "中文 (1)"), prompts=6, dtype="bfloat16"))
    model = AutoModelForCausalLM.from_pretrained(short.folder)
    assert {parameter.dtype for parameter in model.parameters()} == {torch.bfloat16}
    assert list(short.verified) == ["merged", "as_written"]
    exact, cast = (short.verified[name].max_logprob_difference for name in ("merged", "as_written"))
    assert exact <= 1e-4 < cast < 0.1


def test_an_adapter_of_a_quantised_base_is_compared_with_that(adapter: Path, tiny_model: str, tmp_path: Path) -> None:
    trained = shutil.copytree(adapter, tmp_path / "adapter")
    write_json(trained / "training.json", {
        "model": tiny_model, "base": identity(tiny_model), "settings": {"model": {"bits": 4}},
    })  # fmt: skip
    verified = merge(Merge(str(trained), str(tmp_path), prompts=6)).verified
    assert verified["merged"].max_logprob_difference <= 1e-4 < verified["on_4_bits"].max_logprob_difference


def test_what_says_something_else_is_not_kept(adapter: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    exact = MergedWeights.exact

    def wrong(self: MergedWeights, stored: str) -> torch.Tensor:
        found = exact(self, stored)
        return found * 1.3 if self.changes(stored) else found

    monkeypatch.setattr(MergedWeights, "exact", wrong)
    with pytest.raises(WorkError, match="does not say what base and adapter say: log-probabilities differ by up to "):
        merge(Merge(str(adapter), str(tmp_path), prompts=6))
    assert list(tmp_path.iterdir()) == []


def test_a_near_tie_is_counted_apart(tiny_model: str) -> None:
    listener = verification._Listener([[2]])
    listener.choose(torch.tensor([[0.0, 5.0, 4.9995]]), [0])
    assert 0 < listener.strays[0] < verification.NEAR


def test_a_base_of_other_weights_is_refused_by_its_hash(adapter: Path, tiny_model: str, tmp_path: Path) -> None:
    other = tmp_path / "other"
    model = AutoModelForCausalLM.from_pretrained(tiny_model)
    model.get_input_embeddings().weight.data.add_(0.01)
    model.save_pretrained(other)
    with pytest.raises(ModelError, match=r"and does not fit .*: it was trained on other weights"):
        merge(Merge(str(adapter), str(tmp_path), str(other)))
    # Its own merged model is another base too.
    merged = merge(Merge(str(adapter), str(tmp_path), prompts=0)).folder
    with pytest.raises(ModelError, match="it was trained on other weights"):
        merge(Merge(str(adapter), str(tmp_path / "twice"), str(merged)))


def test_an_adapter_of_another_architecture_is_refused(tiny_model: str, tmp_path: Path) -> None:
    torch.manual_seed(0)
    other = tmp_path / "other"
    AutoModelForCausalLM.from_config(AutoConfig.for_model("llama", **{**SIZES, "hidden_size": 48})).save_pretrained(
        other
    )
    adapted(other, tmp_path / "adapter", **ALL)
    with pytest.raises(ModelError, match="does not fit"):
        merge(Merge(str(tmp_path / "adapter"), str(tmp_path / "out"), tiny_model))
    assert not (tmp_path / "out").exists() or list((tmp_path / "out").iterdir()) == []


def test_damaged_files_are_told(adapter: Path, tiny_model: str, tmp_path: Path) -> None:
    broken = shutil.copytree(adapter, tmp_path / "broken")
    (broken / "adapter_model.safetensors").write_bytes(b"\x08" * 100)
    with pytest.raises(ModelError, match=r"adapter_model.safetensors cannot be read"):
        merge(Merge(str(broken), str(tmp_path)))
    base = shutil.copytree(tiny_model, tmp_path / "base")
    weights = base / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])
    with pytest.raises(ModelError, match=r"model.safetensors cannot be read"):
        merge(Merge(str(adapter), str(tmp_path), str(base)))
    nothing = shutil.copytree(adapter, tmp_path / "nothing")
    from safetensors.torch import load_file, save_file

    held = load_file(nothing / "adapter_model.safetensors")
    held[min(held)].fill_(float("nan"))
    save_file(held, nothing / "adapter_model.safetensors")
    with pytest.raises(ModelError, match="cannot be merged: NaNs detected"):
        merge(Merge(str(nothing), str(tmp_path), prompts=0))


def pickled(adapter: Path, folder: Path, value: Any = None) -> Path:
    from safetensors.torch import load_file

    shutil.copytree(adapter, folder)
    (folder / "training.json").unlink()
    weights = folder / "adapter_model.safetensors"
    torch.save(load_file(weights) if value is None else value, folder / "adapter_model.bin")
    weights.unlink()
    return folder


class Evil:
    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, ("pwned",)


def test_a_pickle_is_read_only_when_that_is_asked_for(
    kupdate: Kupdate, adapter: Path, tiny_model: str, tmp_path: Path
) -> None:
    pickled(adapter, tmp_path / "third")
    words = ["merge", "third", "--output_dir=models", f"--base_model={tiny_model}", "--prompts=0"]
    code, _, stderr = kupdate(*words)
    assert (code, stderr.count("\n")) == (2, 1) and "is a pickle file, which could run code" in stderr
    assert kupdate(*words, "--allow-pickle")[0] == 0
    merged = tmp_path / "models" / f"{Path(tiny_model).name}-finetune"
    reference = merge(Merge(str(adapter), str(tmp_path / "x"), prompts=0)).folder
    assert torch.equal(put_out(merged), put_out(reference))
    pickled(adapter, tmp_path / "evil", Evil())
    code, _, stderr = kupdate("merge", "evil", *words[2:], "--allow-pickle")
    assert (code, "holds more than numbers, or is damaged" in stderr) == (2, True)
    assert not (tmp_path / "pwned").exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["merge"], "no adapter was named: kupdate merge RUN"),
        (["merge", "absent"], "no adapter 'absent': give a run folder"),
        (["merge", "empty", "--output_dir=x"], "no adapter in empty: it has no adapter_config.json"),
        (["merge", "{model}", "--output_dir=x"], "{model} is a whole model: there is no adapter to merge"),
        (["merge", "{adapter}"], "--output_dir: name the folder that <base>-finetune is to be put into"),
        (["merge", "{adapter}", "--lora_model=other"], "two adapters were named"),
        (["merge", "{adapter}", "--output_dir=x", "--max_shard_size=much"], "--max-shard-size much: a size such as"),
        (["merge", "{adapter}", "--output_dir=x", "--base_model=absent"], "no model 'absent'"),
        (
            ["merge", "{adapter}", "--output_dir=x", "--lora_modell=a"],
            "merge has no option --lora_modell; did you mean",
        ),
        (["merge", "owner/name", "--output_dir=x", "--local_files_only"], "no adapter 'owner/name': there is no such"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_mistakes_are_told_in_a_line(
    kupdate: Kupdate, adapter: Path, tiny_model: str, tmp_path: Path, words: list[str], message: str
) -> None:
    (tmp_path / "empty").mkdir()
    given = [word.format(model=tiny_model, adapter=adapter) for word in words]
    code, _, stderr = kupdate(*given)
    assert (code, stderr.count("\n")) == (2, 1), stderr
    assert stderr.startswith("kupdate: " + message.format(model=tiny_model, adapter=adapter))


def test_a_folder_of_somebody_else_is_not_replaced(
    adapter: Path, tiny_model: str, kupdate: Kupdate, tmp_path: Path
) -> None:
    mine = tmp_path / "models" / f"{Path(tiny_model).name}-finetune"
    mine.mkdir(parents=True)
    (mine / "mine.txt").write_text("mine", encoding="utf-8")
    code, _, stderr = kupdate("merge", adapter, "--output_dir=models")
    assert code == 2 and "was not made by `kupdate merge`" in stderr
    assert (mine / "mine.txt").exists()


def test_without_room_nothing_is_begun(adapter: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stage.shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(1, 1, 1000))
    with pytest.raises(WorkError, match=r"^no room in .*: the merged model takes 0\.1 GB, 0\.0 GB are free$"):
        merge(Merge(str(adapter), str(tmp_path)))
    assert list(tmp_path.iterdir()) == []


def started(adapter: Path, cwd: Path, **settings: Any) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "knowledge_update", "merge", str(adapter), "--output_dir=models", "--prompts=12"],
        cwd=cwd, stdout=subprocess.PIPE, stderr=subprocess.PIPE, encoding="utf-8", **settings,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "HF_HUB_OFFLINE": "1"},
    )  # fmt: skip


def test_a_full_disk_leaves_nothing(adapter: Path, tmp_path: Path) -> None:
    def little() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))

    ended = started(adapter, tmp_path, preexec_fn=little)
    _, stderr = ended.communicate(timeout=300)
    assert ended.returncode == 1 and "free some space and run the same again" in stderr
    assert list((tmp_path / "models").iterdir()) == []


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_what_is_interrupted_never_looks_finished(how: signal.Signals, adapter: Path, tmp_path: Path) -> None:
    """Ended as soon as each of its files is there, one after another."""
    files = ["model.safetensors", "tokenizer.json", "generation_config.json"]
    for wanted in files:
        process = started(adapter, tmp_path)
        models = tmp_path / "models"
        until = time.monotonic() + 300
        while not list(models.glob(f".*/{wanted}")) and time.monotonic() < until and process.poll() is None:
            time.sleep(0.002)
        process.send_signal(how)
        process.communicate(timeout=300)
        assert process.returncode != 0, f"it was over before {wanted} was seen"
        assert list(tmp_path.rglob("config.json")) == []
        assert [path for path in models.iterdir() if not path.name.startswith(".")] == []
        assert how == signal.SIGKILL or list(models.iterdir()) == []
    ended = started(adapter, tmp_path)
    assert ended.communicate(timeout=300)[1] == "" and ended.returncode == 0
    assert len(list(models.iterdir())) == 1


def test_memory_stays_below_the_size_of_the_base(tiny_model: str, tmp_path: Path) -> None:
    """A base of 141 MB; what the process takes before is not the merge's."""
    config = AutoConfig.for_model(
        "llama", **{**SIZES, "hidden_size": 512, "intermediate_size": 2048, "num_hidden_layers": 11}
    )
    AutoModelForCausalLM.from_config(config).save_pretrained(tmp_path / "base")
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copy(Path(tiny_model) / name, tmp_path / "base")
    adapted(tmp_path / "base", tmp_path / "adapter", **ALL)
    size = (tmp_path / "base" / "model.safetensors").stat().st_size
    script = (
        "import sys, peft, torch, transformers\n"
        "from transformers import AutoModelForCausalLM\n"
        "from knowledge_update.merging.stage import Merge, merge\n"
        "def peak(): return int(next(l.split()[1] for l in open('/proc/self/status') if l.startswith('VmHWM')))*1024\n"
        "before = peak()\n"
        "merge(Merge('adapter', 'out', 'base', prompts=0))\n"
        "print(peak() - before)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=tmp_path, capture_output=True, encoding="utf-8", timeout=300, check=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )  # fmt: skip
    assert size > 140e6
    assert int(done.stdout) < 0.5 * size, f"{int(done.stdout) / 1e6:.0f} MB for a base of {size / 1e6:.0f} MB"


def test_a_run_is_merged_into_its_folder_with_a_card(
    kupdate: Kupdate, docs: Path, tiny_model: str, tmp_path: Path
) -> None:
    (docs / "evil.txt").write_text(
        "<script>alert(1)</script> *Dunlo*\n\nDunlo is a village. It has 12 houses.\n", encoding="utf-8"
    )
    settings = ["training.epochs=1", "evaluation.retention=false", "inference.max_new_tokens=2", "model.dtype=float32"]
    assert kupdate("run", docs, f"model={tiny_model}", *settings, "--out", "out")[0] == 0
    code, stdout, stderr = kupdate("merge", "out", "--prompts", "6")
    assert (code, stderr) == (0, "") and stdout.endswith("model: out/merged\n")
    card = (tmp_path / "out" / "merged" / "README.md").read_text(encoding="utf-8")
    figures = json.loads((tmp_path / "out" / "evaluation.json").read_text(encoding="utf-8"))
    for line in (
        "# out\n", "- Tolvick Lighthouse (`tolvick.txt`)",
        f"| held-out wordings | {figures['held_out']['n']} | {figures['held_out']['base']:.2f} |",
        "| merged | 6 | 1.000 |",
    ):  # fmt: skip
        assert line in card
    assert "<script>" not in card
    assert "merged, in fp32" in (tmp_path / "out" / "run.log").read_text(encoding="utf-8")
