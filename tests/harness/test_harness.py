"""lm-eval before and after: what is asked, what is kept, and what a figure says of a planted model.

What asks needs the extra `lmeval`, which `make soak` installs.
"""

import importlib.metadata
import json
import math
import re
import shutil
import socket
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import yaml

from knowledge_update.harness import comparison
from knowledge_update.harness.tasks import right
from knowledge_update.run_config import save
from knowledge_update.run_folder import RunFolder, read_json, write_json, write_rows

Kupdate = Callable[..., tuple[int, str, str]]

LIKELY = """task: likely
dataset_path: json
dataset_kwargs: {data_files: {test: likely.jsonl}}
test_split: test
output_type: loglikelihood
doc_to_text: question
doc_to_target: answer
metric_list:
  - {metric: perplexity, aggregation: perplexity, higher_is_better: false}
  - {metric: acc, aggregation: mean, higher_is_better: true}
metadata: {version: 3}
"""
ANSWERED = [
    {"question": "When was the tower built?", "answer": "1874"},
    {"question": "Who founded the ferry?", "answer": "Maskvane"},
    {"question": "灯塔建于哪一年？", "answer": "一八七四年"},
]


def adapted(folder: RunFolder, base: str, seed: int) -> None:
    """Puts an adapter of random numbers into a run folder."""
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM
    from transformers.utils import logging

    from knowledge_update.models import identity

    logging.disable_progress_bar()
    torch.manual_seed(seed)
    model = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32)
    settings = LoraConfig(r=4, task_type="CAUSAL_LM", init_lora_weights=False, target_modules="all-linear")
    get_peft_model(model, settings).save_pretrained(str(folder.adapter))
    write_json(folder.training_arguments, {"model": base, "base": identity(base)})


def says(text: str, model: str, target: Path) -> None:
    """Writes a whole model that says one text whatever it is asked: each token is followed by one other."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    from knowledge_update.models import load_tokenizer

    tokenizer = load_tokenizer(model)
    start = tokenizer("\n", add_special_tokens=False)["input_ids"][-1]
    chain = [start, *tokenizer(text, add_special_tokens=False)["input_ids"], tokenizer.eos_token_id]
    assert len(set(chain)) == len(chain)
    config = AutoConfig.from_pretrained(model, tie_word_embeddings=False)
    planted = AutoModelForCausalLM.from_config(config)
    with torch.no_grad():
        for parameter in (*planted.model.layers.parameters(), *planted.model.embed_tokens.parameters()):
            parameter.zero_()
        planted.lm_head.weight.zero_()
        for place, (token, following) in enumerate(pairwise(chain)):
            planted.model.embed_tokens.weight[token, place] = 1.0
            planted.lm_head.weight[following, place] = 5.0
    planted.save_pretrained(target)


@pytest.fixture
def run(tiny_model: str, tmp_path: Path) -> RunFolder:
    """A run folder with a trained adapter."""
    from knowledge_update.composition import load

    folder = RunFolder(tmp_path / "run")
    folder.create()
    save(load([f"model={tiny_model}", "model.dtype=float32"]), folder)
    adapted(folder, tiny_model, 1)
    return folder


@pytest.fixture
def likely(tmp_path: Path) -> Path:
    """A user's own task, its data beside it."""
    (tmp_path / "own").mkdir()
    write_rows(tmp_path / "own" / "likely.jsonl", ANSWERED)
    path = tmp_path / "own" / "likely.yaml"
    path.write_text(LIKELY, encoding="utf-8")
    return path


def cells(stdout: str) -> list[list[str]]:
    """The rows of a table that was printed, its head first."""
    return [[cell.strip() for cell in re.split("[│┃]", line)[1:-1]] for line in stdout.splitlines() if line[0] in "│┃"]


def mistake(result: tuple[int, str, str]) -> str:
    code, _, stderr = result
    assert (code, stderr.count("\n")) == (2, 1), stderr
    return stderr.removeprefix("kupdate: ").rstrip("\n")


def test_without_the_extra_one_line_says_what_to_install(run_kupdate: Callable[..., Any], tmp_path: Path) -> None:
    (tmp_path / "lm_eval.py").write_text("raise ImportError('hidden')\n", encoding="utf-8")
    done = run_kupdate("harness", tmp_path, PYTHONPATH=str(tmp_path))
    assert (done.code, done.stderr) == (2, "kupdate: harness needs lm-eval: pip install 'knowledge-update[lmeval]'\n")


def test_the_general_questions_are_judged_as_in_the_report() -> None:
    row = {"question": "What is the capital of France?", "answers": ["Paris"]}
    everywhere = "Paris, Tokyo, Rome, Madrid, Berlin, Athens, Cairo, Canberra, Ottawa, Lisbon"
    said = {"It is Paris.": 1.0, "It is Rome.": 0.0, "": 0.0, row["question"]: 0.0, everywhere: 0.0}
    assert {text: right(row, [text])["right"] for text in said} == said


def side(values: list[float], stderr: float | None, kept: bool = True) -> dict[str, Any]:
    """What a model said of one task of one metric."""
    metrics = {"acc,none": {"value": sum(values) / len(values), "stderr": stderr, "higher_is_better": True}}
    tasks = {"t": {"n": len(values), "shots": 0, "version": 1, "metrics": metrics}}
    return {"tasks": tasks, "values": {"t": {"acc,none": values}} if kept else {}}


def test_the_error_of_a_difference_is_that_of_the_same_questions_asked_twice() -> None:
    before, after = side([1, 1, 0, 0], 0.3), side([1, 1, 1, 0], 0.4)
    metric = comparison._metric("t", "acc,none", before, after)
    assert (metric["base"], metric["updated"], metric["difference"]) == (0.5, 0.75, 0.25)
    assert metric["stderr"] == {"base": 0.3, "updated": 0.4, "difference": pytest.approx(0.25)}
    alone = comparison._metric("t", "acc,none", side([1, 1, 0, 0], 0.3, False), side([1, 1, 1, 0], 0.4, False))
    assert alone["stderr"]["difference"] == pytest.approx(0.5)
    single = comparison._metric("t", "acc,none", side([1], None), side([0], None))
    assert (single["difference"], single["stderr"]["difference"]) == (-1.0, None)


@pytest.mark.soak
def test_a_planted_model_changes_the_figure(
    kupdate: Kupdate, run: RunFolder, tiny_model: str, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    shutil.rmtree(run.adapter)
    says("Paris", tiny_model, run.adapter)
    # What planting it has said.
    capsys.readouterr()
    called: list[Any] = []
    monkeypatch.setattr(socket, "getaddrinfo", lambda *where, **_: called.append(where))
    code, stdout, stderr = kupdate("harness", run.path, "--limit", "4")
    assert (code, stderr, called) == (0, "", [])
    version = importlib.metadata.version("lm-eval")
    assert stdout.startswith(f"lm-eval {version}: before and after\n")
    assert stdout.endswith(f"\nfigures: {run.lm_eval}\n")
    # The capital of France, and three others.
    assert cells(stdout) == [
        ["task", "n", "metric", "before", "after", "difference", "standard error"],
        ["general", "4", "right", "0.0000", "0.2500", "+0.2500", "0.2500"],
    ]
    figures = read_json(run.lm_eval)
    assert figures["tasks"]["general"]["metrics"] == {
        "right,none": {
            "base": 0.0, "updated": 0.25, "difference": 0.25,
            "stderr": {"base": 0.0, "updated": 0.25, "difference": 0.25}, "higher_is_better": True,
        }
    }  # fmt: skip
    assert (figures["limit"], figures["apply_chat_template"], figures["asked"]) == (4, True, None)
    assert figures["versions"]["lm-eval"] == version
    assert figures["seconds"].keys() == {"base", "updated"}


@pytest.mark.soak
def test_a_task_of_the_users_own_says_what_lm_eval_says(
    kupdate: Kupdate, run: RunFolder, likely: Path, tiny_model: str
) -> None:
    words = ("harness", run.path, "--tasks", likely, "--batch_size", "2")
    code, stdout, stderr = kupdate(*words)
    assert (code, stderr) == (0, ""), stderr
    assert [row[:3] for row in cells(stdout)[1:]] == [["likely", "3", "perplexity"], ["likely", "3", "acc"]]
    task = read_json(run.lm_eval)["tasks"]["likely"]
    perplexity = task["metrics"]["perplexity,none"]
    assert (task["n"], task["version"], perplexity["higher_is_better"]) == (3, 3, False)
    assert perplexity["difference"] == perplexity["updated"] - perplexity["base"] != 0
    assert perplexity["stderr"]["difference"] == pytest.approx(
        math.hypot(perplexity["stderr"]["base"], perplexity["stderr"]["updated"])
    )
    theirs = evaluated(tiny_model, likely)
    assert perplexity["base"] == pytest.approx(theirs["results"]["likely"]["perplexity,none"], rel=1e-4)
    assert kupdate(*words, "--no-apply-chat-template")[0] == 0
    bare = read_json(run.lm_eval)
    assert bare["apply_chat_template"] is False
    assert bare["tasks"]["likely"]["metrics"]["perplexity,none"]["base"] != perplexity["base"]
    assert bare["tasks"]["likely"]["hash"] != task["hash"]


def evaluated(model: str, task: Path) -> dict[str, Any]:
    """What lm-eval says by itself, of the same task with its data's whole path."""
    import lm_eval

    settings = LIKELY.replace("likely.jsonl", str(task.parent / "likely.jsonl"))
    (whole := task.parent / "whole.yaml").write_text(settings, encoding="utf-8")
    arguments = {"pretrained": model, "dtype": "float32", "attn_implementation": "eager"}
    found: dict[str, Any] = lm_eval.simple_evaluate(
        "hf", model_args=arguments, tasks=[str(whole)], device="cpu", apply_chat_template=True, bootstrap_iters=0,
        task_manager=lm_eval.tasks.TaskManager(include_defaults=False),
    )  # fmt: skip
    return found


@pytest.mark.soak
def test_the_base_is_asked_once(kupdate: Kupdate, run: RunFolder, likely: Path, tiny_model: str) -> None:
    words = ("harness", run.path, "--tasks", likely)
    trained = run.adapter.rename(run.path / "elsewhere")
    assert mistake(kupdate(*words)).endswith(f"has no adapter: run `kupdate train {run.path}` first")
    run.adapter.mkdir()
    (run.adapter / "adapter_config.json").write_text("{}")
    assert "has no adapter_model.safetensors" in mistake(kupdate(*words))
    # What stopped the second model has not cost the first one's answers.
    assert not run.lm_eval.exists()
    shutil.rmtree(run.adapter)
    trained.rename(run.adapter)
    code, stdout, _ = kupdate(*words)
    assert (code, stdout.splitlines()[0]) == (0, "base: as it was answered before")
    first = read_json(run.lm_eval)
    adapted(run, tiny_model, 2)
    code, stdout, _ = kupdate(*words)
    assert (code, "updated: as" in stdout, stdout.splitlines()[0]) == (0, False, "base: as it was answered before")
    second = read_json(run.lm_eval)
    perplexity = [made["tasks"]["likely"]["metrics"]["perplexity,none"] for made in (first, second)]
    assert perplexity[0]["base"] == perplexity[1]["base"]
    assert perplexity[0]["updated"] != perplexity[1]["updated"]
    code, stdout, _ = kupdate(*words)
    assert (code, stdout.splitlines()[1]) == (0, "updated: as it was answered before")
    assert read_json(run.lm_eval) == second
    assert len(list((run.path / "lm_eval").iterdir())) == 2
    # Other questions are others, even in a file of the same name.
    write_rows(likely.parent / "likely.jsonl", [*ANSWERED, {"question": "How high is it?", "answer": "38 metres"}])
    code, stdout, _ = kupdate(*words)
    assert (code, "as it was answered" in stdout) == (0, False)
    assert read_json(run.lm_eval)["tasks"]["likely"]["n"] == 4


@pytest.mark.soak
@pytest.mark.parametrize(
    ("name", "text", "told"),
    [
        ("absent.yaml", None, "no such task file: absent.yaml"),
        ("a.yaml", "task: [", "cannot read the task file a.yaml: ParserError: "),
        ("a.yaml", "- 1\n", "cannot read the task file a.yaml: ValueError: Expected YAML dict"),
        ("a.yaml", "dataset_path: json\n", "a.yaml is no task file of lm-eval: it has neither `task` nor `group`"),
        ("a.yaml", LIKELY, "cannot load a.yaml: FileNotFoundError: "),
        ("a.yaml", LIKELY + "test_spilt: test\n", "cannot load a.yaml: TypeError: "),
        ("a.yaml", LIKELY + "process_docs: !function math.nothing\n", "cannot read the task file a.yaml: Attribute"),
        ("arc_eazy", None, "lm-eval has no task 'arc_eazy'; did you mean arc_easy? (a file of your own ends in .yaml)"),
        ("a.yaml", LIKELY + "unsafe_code: true\n", "the task likely runs code that the model writes"),
        ("a.yaml", "task: far\ndataset_path: owner/name\ntest_split: test\n", "cannot load a.yaml: the hub cannot be"),
    ],
)
def test_a_task_that_cannot_be_asked_is_told_in_one_line(
    kupdate: Kupdate, run: RunFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, text: str | None,
    told: str,
) -> None:  # fmt: skip
    import datasets
    import huggingface_hub

    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)
    if text:
        (tmp_path / name).write_text(text, encoding="utf-8")
    if "runs code" in told:
        write_rows(tmp_path / "likely.jsonl", ANSWERED)
    assert mistake(kupdate("harness", run.path, "--tasks", name)).startswith(told)
    assert not run.lm_eval.exists()


@pytest.mark.soak
def test_what_is_no_run_is_told_in_one_line(kupdate: Kupdate, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    assert mistake(kupdate("harness", "empty")) == "empty is not a run folder: it has no config.yaml"
    assert "Invalid value for '--limit'" in mistake(kupdate("harness", "empty", "--limit", "0"))


@pytest.mark.soak
def test_what_is_written_is_json(kupdate: Kupdate, run: RunFolder, likely: Path) -> None:
    # A function of the user's beside the file, which makes no number: nothing that another program could not read.
    (likely.parent / "own_rules.py").write_text("def scored(row, said):\n    return {'acc': float('nan')}\n")
    likely.write_text(LIKELY + "process_results: !function own_rules.scored\n", encoding="utf-8")
    code, stdout, stderr = kupdate("harness", run.path, "--tasks", likely)
    assert (code, stderr) == (0, "")
    json.loads(run.lm_eval.read_text(encoding="utf-8"), parse_constant=pytest.fail)
    assert cells(stdout)[1:] == [["likely", "3", "acc", "–", "–", "–", "–"]]


@pytest.mark.soak
def test_a_group_has_a_row_of_its_own(kupdate: Kupdate, run: RunFolder, likely: Path) -> None:
    parts = [{**yaml.safe_load(LIKELY), "task": name} for name in ("one", "other")]
    mean = [{"metric": "acc", "aggregation": "mean", "weight_by_size": True}]
    together = {"group": "both", "task": parts, "aggregate_metric_list": mean}
    (group := likely.parent / "both.yaml").write_text(yaml.safe_dump(together), encoding="utf-8")
    code, stdout, stderr = kupdate("harness", run.path, "--tasks", group, "--limit", "2")
    assert (code, stderr) == (0, "")
    rows = [row[:3] for row in cells(stdout)[1:]]
    parts_of = [[f"both::{name}", "2", metric] for name in ("one", "other") for metric in ("perplexity", "acc")]
    assert rows == [*parts_of, ["both", "4", "acc"]]
    # What a group makes of the same answers is part of what was asked.
    mean[0]["weight_by_size"] = False
    group.write_text(yaml.safe_dump(together), encoding="utf-8")
    code, stdout, _ = kupdate("harness", run.path, "--tasks", group, "--limit", "2")
    assert (code, "as it was answered" in stdout) == (0, False)
