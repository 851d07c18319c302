"""Any model answers any question file: in the described form, going on where it was stopped."""

import json
import os
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
from transformers import AutoModelForCausalLM

from knowledge_update.answer_files import questions
from knowledge_update.config import ModelConfig
from knowledge_update.errors import ConfigError, DocumentError
from knowledge_update.merging.stage import Merge, merge
from knowledge_update.models import identity
from knowledge_update.ready_model import ready
from knowledge_update.run_folder import read_json, write_json
from knowledge_update.templates import PLAIN_TEMPLATE

Kupdate = Callable[..., tuple[int, str, str]]
ROOT = Path(__file__).parents[1]
DESCRIBED = [
    {
        "id": f"identity_{number}",
        "conversations": [{"from": "user", "value": text}, {"from": "assistant", "value": "1874"}],
        "fact": "灯塔建于1874年。", "file_name": "tolvick.txt",
    }
    for number, text in enumerate(("灯塔建于哪一年？", "When was it built?", "Who built the tower of Tolvick?"))
]  # fmt: skip


@pytest.fixture
def asked(tmp_path: Path) -> Path:
    path = tmp_path / "test.json"
    path.write_text(json.dumps(DESCRIBED, ensure_ascii=False), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def loud(tiny_model: str, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The tiny model with layers that matter: it says different things to different questions."""
    import shutil

    folder = tmp_path_factory.mktemp("loud") / "loud"
    shutil.copytree(tiny_model, folder)
    model = AutoModelForCausalLM.from_pretrained(tiny_model, dtype=torch.float32)
    for parameter in model.get_decoder().layers.parameters():
        parameter.data.mul_(12)
    model.save_pretrained(folder)
    return str(folder)


@pytest.fixture(scope="module")
def adapter(loud: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("adapter") / "checkpoint-final"
    torch.manual_seed(1)
    model = AutoModelForCausalLM.from_pretrained(loud, dtype=torch.float32)
    settings = LoraConfig(r=4, task_type="CAUSAL_LM", init_lora_weights=False, target_modules="all-linear")
    get_peft_model(model, settings).save_pretrained(str(folder))
    write_json(folder / "training.json", {"model": loud, "base": identity(loud)})
    return folder


def responses(path: Path) -> list[str]:
    return [row["response"] for row in json.loads(path.read_text(encoding="utf-8"))]


def test_the_described_files(kupdate: Kupdate, loud: str, asked: Path, tmp_path: Path) -> None:
    words = [
        "infer",
        "--model_name_or_path",
        loud,
        "--test_data_path",
        asked,
        "--fp16=False",
        "inference.max_new_tokens=6",
    ]
    code, stdout, stderr = kupdate(*words, "--output_path", "new/答案.json", "model.dtype=float32")
    assert (code, stderr) == (0, "") and stdout.endswith("3 answers in new/答案.json\n")
    rows = json.loads((tmp_path / "new" / "答案.json").read_text(encoding="utf-8"))
    for row, given in zip(rows, DESCRIBED, strict=True):
        question = given["conversations"][0]["value"]
        assert {key: row[key] for key in ("id", "fact", "question")} == {
            "id": given["id"], "fact": given["fact"], "question": question,
        }  # fmt: skip
        assert row["answers"] == ["1874"]
    assert len({row["response"] for row in rows}) > 1, "a model that says the same to everything would prove nothing"
    # As lines where the name says so; and to the same questions the same.
    assert kupdate(*words, "--output-path=a.jsonl", "model.dtype=float32", "inference.batch_rows=1")[0] == 0
    lines = [json.loads(line) for line in (tmp_path / "a.jsonl").read_text(encoding="utf-8").splitlines()]
    assert lines == rows


def test_an_adapter_its_merged_model_and_its_run_say_the_same(
    kupdate: Kupdate, loud: str, adapter: Path, asked: Path, tmp_path: Path
) -> None:
    merged = merge(Merge(str(adapter), str(tmp_path), prompts=0)).folder
    common = ["--test_data_path", asked, "model.dtype=float32", "--max_new_tokens=6"]
    said = {}
    for name, words in {
        "base": ["--model_name_or_path", loud],
        "both": ["--model_name_or_path", loud, "--lora_weights", adapter],
        "weights": ["--lora_weights", adapter.parent],
        "named": ["--model_name_or_path", adapter],
        "merged": ["--model_name_or_path", merged],
        "first": [merged],
    }.items():
        code, _, stderr = kupdate("infer", *words, *common, "--output_path", f"{name}.json")
        assert (code, stderr) == (0, "")
        said[name] = responses(tmp_path / f"{name}.json")
    assert said["both"] == said["weights"] == said["named"] == said["merged"] == said["first"] != said["base"]


def test_a_killed_one_goes_on(loud: str, tmp_path: Path) -> None:
    rows = [{"question": f"What is number {number}, and why?"} for number in range(60)]
    (tmp_path / "q.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    words = ["infer", loud, "--test_data_path=q.jsonl", "inference.batch_rows=2", "--max_new_tokens=12"]
    settings = {
        "cwd": tmp_path, "env": {**os.environ, "PYTHONPATH": str(ROOT), "HF_HUB_OFFLINE": "1"},
        "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "encoding": "utf-8",
    }  # fmt: skip

    def start(*more: str) -> Any:
        return subprocess.Popen([sys.executable, "-m", "knowledge_update", *words, *more], **settings)

    first, journal = start("--output_path=a.json"), tmp_path / ".a.json.journal"
    until = time.monotonic() + 300
    while (not journal.exists() or journal.read_text().count("\n") < 10) and time.monotonic() < until:
        time.sleep(0.005)
    first.send_signal(signal.SIGKILL)
    first.communicate(timeout=300)
    known = journal.read_text(encoding="utf-8").count("\n") - 1
    assert 9 <= known < 60 and not (tmp_path / "a.json").exists()
    with journal.open("a", encoding="utf-8") as file:
        file.write('{"row": "5')
    again = start("--output_path=a.json")
    stdout, stderr = again.communicate(timeout=300)
    assert again.returncode == 0 and f"{known} of 60 are answered already" in stdout, stderr
    assert sorted(json.loads(line).get("row", "") for line in journal.read_text().splitlines()) == sorted(
        ["", *map(str, range(60))]
    )
    whole = start("--output_path=b.json")
    assert whole.communicate(timeout=300)[1] == ""
    assert (tmp_path / "a.json").read_bytes() == (tmp_path / "b.json").read_bytes()


def test_answers_of_another_model_are_not_taken_over(
    kupdate: Kupdate, loud: str, tiny_model: str, asked: Path, tmp_path: Path
) -> None:
    words = ["--test_data_path", asked, "--output_path=a.json", "--max_new_tokens=6"]
    assert kupdate("infer", loud, *words)[0] == 0
    before = responses(tmp_path / "a.json")
    code, stdout, _ = kupdate("infer", tiny_model, *words)
    assert code == 0 and "holds answers of another model or to other questions: asking anew" in stdout
    assert responses(tmp_path / "a.json") != before
    assert "3 of 3 are answered already" in kupdate("infer", tiny_model, *words)[1]


def test_eight_bits_and_gpus_that_are_not_there(kupdate: Kupdate, loud: str, asked: Path, tmp_path: Path) -> None:
    words = ["infer", loud, "--test_data_path", asked, "--max_new_tokens=3", "--num_gpus=2", "--input_pattern=prompt"]
    code, stdout, stderr = kupdate(*words, "--load_8bit=False", "--output_path=a.json")
    assert (code, stderr) == (0, "") and "2 GPUs were asked for: computing on the CPU" in stdout
    assert kupdate(*words, "--load_8bit", "--output_path=b.json")[0] == 0
    assert len(responses(tmp_path / "b.json")) == 3


def test_the_pattern_says_how_the_model_is_asked(loud: str) -> None:
    settings = ModelConfig(name=loud, dtype="float32")
    chat, plain = (ready(settings, named=True, pattern=name) for name in (None, "prompt"))
    assert chat.template.tokenizer.chat_template != PLAIN_TEMPLATE == plain.template.tokenizer.chat_template
    asked = [chosen.template.tokenizer.decode(chosen.template.question("Why?")) for chosen in (chat, plain)]
    assert asked == ["<|im_start|>user\nWhy?<|im_end|>\n<|im_start|>assistant\n", "Question: Why?\nAnswer:"]
    assert chat.fingerprint != plain.fingerprint
    with pytest.raises(ConfigError, match=r"^--input_pattern talk: one of chat, prompt$"):
        ready(settings, named=True, pattern="talk")


@pytest.mark.parametrize(
    ("row", "messages"),
    [
        ({"question": "a?"}, ["a?"]),
        ({"instruction": "a", "input": " b"}, ["a\n b"]),
        ({"instruction": "a", "input": ""}, ["a"]),
        ({"input": "a", "target": "b"}, ["a"]),
        ({"prompt": "a"}, ["a"]),
        ({"messages": [{"role": "system", "content": "s"}, {"role": "user", "content": "a"}]}, ["s", "a"]),
        (
            {"conversations": [{"from": who, "value": who[0]} for who in ("human", "gpt", "human", "gpt")]},
            ["h", "g", "h"],
        ),
    ],
)
def test_rows_of_every_form_are_questions(row: Any, messages: list[str], tmp_path: Path) -> None:
    path = tmp_path / "q.jsonl"
    path.write_text(json.dumps(row) + "\n", encoding="utf-8")
    (found,) = questions(path)
    assert [message["content"] for message in found.messages] == messages
    assert found.row["question"] == messages[-1]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "no questions in "),
        ("[]", "no questions in "),
        ('{"question": "a"}\n{"question": 3}\n', r"line 2: not a question: a row has one of \{question\}, "),
        ('[{"question": "a"}, 7]', "row 2: not an object"),
        ('{"question": "a"}\n{"quest', r"line 2: not JSON \("),
        ('{"question": " "}\n', "line 1: an empty question"),
        ('{"conversations": [{"from": "robot", "value": "a"}]}\n', "line 1: a turn without a known role"),
        ('{"conversations": []}\n', "line 1: an empty question"),
    ],
)
def test_a_row_that_is_no_question_is_named(text: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "q.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(DocumentError, match=message):
        questions(path)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["infer"], "nothing to ask was named: kupdate infer RUN, or --test_data_path FILE --output_path FILE"),
        (["infer", "--test_data_path=test.json"], "--output_path: name the file that the answers go to"),
        (["infer", "run", "--output_path=a.json"], "--output_path is for a question file of your own: name it with"),
        (["infer", "--test_data_path=no.json", "--output_path=a.json"], "no such question file: no.json"),
        (["infer", "--test_data_path=test.json", "--output_path=test.json"], "--output_path test.json is the question"),
        (["infer", "--test_data_path=test.json", "--output_path=."], "--output_path . is a folder: name a file in it"),
        (["infer", "absent", "--test_data_path=test.json", "--output_path=a.json"], "no model 'absent'"),
        (
            ["infer", "a", "--model_name_or_path=b", "--test_data_path=test.json", "--output_path=a.json"],
            "two models were named: a, and one by an option or a key",
        ),
        (
            ["infer", "--lora_weights=no", "--test_data_path=test.json", "--output_path=a.json"],
            "no adapter 'no': give a run folder",
        ),
        (["infer", "--test_data_pth=test.json"], "infer has no option --test_data_pth; did you mean --test_data_path?"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_mistakes_are_told_in_a_line(kupdate: Kupdate, asked: Path, words: list[str], message: str) -> None:
    code, _, stderr = kupdate(*words)
    assert (code, stderr.count("\n")) == (2, 1), stderr
    assert stderr.startswith("kupdate: " + message)


def test_the_script_runs_from_any_folder(loud: str, adapter: Path, asked: Path, tmp_path: Path) -> None:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = {
        **os.environ, "PATH": path, "HF_HUB_OFFLINE": "1", "MODEL_NAME_OR_PATH": loud, "TEST_DATA_PATH": str(asked),
    }  # fmt: skip
    for more, name in (({}, "base"), ({"LORA_WEIGHTS": str(adapter)}, "sft")):
        ended = subprocess.run(
            ["bash", str(ROOT / "shells" / "inference.sh"), "--max_new_tokens", "3"], cwd=tmp_path,
            env={**environment, **more}, capture_output=True, encoding="utf-8", timeout=300, check=False,
        )  # fmt: skip
        assert ended.returncode == 0, ended.stderr
        assert len(responses(tmp_path / "responses" / f"{name}.json")) == 3
    assert read_json(tmp_path / "responses" / "base.json") != read_json(tmp_path / "responses" / "sft.json")
