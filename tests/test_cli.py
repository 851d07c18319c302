"""The command line: what it loads, how it ends, and that a mistake is told in one line."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from knowledge_update import __version__
from knowledge_update.config import Config
from knowledge_update.run_config import to_yaml

HEAVY = ("torch", "transformers", "spacy", "hydra", "matplotlib", "jieba", "peft", "sqlite3", "gradio", "lm_eval")
VERBS = (
    "run", "collect", "train", "merge", "infer", "evaluate", "report", "facts", "export", "config", "chat",
    "web", "serve", "check", "harness",
)  # fmt: skip

Kupdate = Callable[..., tuple[int, str, str]]


def mistake(result: tuple[int, str, str]) -> str:
    """The one line a mistake was told in."""
    code, _, stderr = result
    assert (code, stderr.count("\n")) == (2, 1), stderr
    assert stderr.startswith("kupdate: ")
    return stderr.removeprefix("kupdate: ").rstrip("\n")


@pytest.mark.parametrize("words", [["--help"], ["run", "--help"], ["--version"], []], ids=" ".join)
def test_help_loads_nothing_heavy(words: list[str]) -> None:
    script = (
        "import sys, knowledge_update.cli as cli\n"
        "try: cli.main()\n"
        "except SystemExit as ended: code = ended.code\n"
        f"print(code, [name for name in {HEAVY} if name in sys.modules], file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, *words], capture_output=True, encoding="utf-8", timeout=60, check=False
    )
    assert done.stderr.splitlines()[-1] == "0 []"
    assert done.stdout or not words


def test_help_names_every_verb(kupdate: Kupdate) -> None:
    code, stdout, stderr = kupdate("--help")
    assert (code, stderr) == (0, "")
    assert [verb for verb in VERBS if f" {verb} " not in stdout] == []
    for verb in VERBS:
        assert kupdate(verb, "-h")[0] == 0


def test_version(kupdate: Kupdate) -> None:
    assert kupdate("--version") == (0, f"{__version__}\n", "")


def test_the_module_is_the_command(run_kupdate: Callable[..., Any], tmp_path: Path) -> None:
    ended = run_kupdate("--version", cwd=tmp_path)
    assert (ended.code, ended.stdout, ended.stderr) == (0, f"{__version__}\n", "")


def test_config_prints_what_was_composed(kupdate: Kupdate) -> None:
    assert kupdate("config") == (0, to_yaml(Config()), "")
    code, stdout, _ = kupdate("config", "training.epochs=6", "model=./文档 (1)")
    assert code == 0
    assert "  epochs: 6.0\n" in stdout
    assert "  name: ./文档 (1)\n" in stdout


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["run", "absent"], "no such file or folder: absent"),
        (["run", "empty"], "no documents in empty: put txt, md, markdown, html, htm, docx, pptx,"),
        (["collect"], "no documents were named: kupdate collect DOCS"),
        (["run", "docs", "model=absent"], "no model 'absent': give 'smollm2-135m', a folder that exists, or a hub id"),
        (["run", "docs", "model=./empty"], "empty is not a model folder: it has no config.json"),
        (["run", "docs", "--questions", "absent.jsonl"], "cannot read the question file absent.jsonl: No such file"),
        (["chat", "empty"], "empty is not a model folder: it has no config.json"),
        (["chat", "absent"], "no model 'absent': give"),
        (["train", "absent"], "no such run folder: absent"),
        (["facts", "absent"], "no such run folder: absent"),
        (["evaluate", "empty"], "empty is not a run folder: it has no config.yaml"),
        (["facts", "empty"], "empty has no ledger.sqlite: run `kupdate collect DOCS --out empty` first"),
        (["learn"], "No such command 'learn'"),
        (["run"], "Missing"),
        (["run", "docs", "-z"], "No such option: -z"),
        (["run", "docs", "--limit", "few"], "Invalid value for '--limit'"),
        (["run", "docs", "--lora_rr=4"], "run has no option --lora_rr; did you mean --lora_r?"),
        (["run", "docs", "more"], "'more' is neither an option nor key=value"),
        (["run", "docs", "training.epoch=1"], "unknown key 'training.epoch'; did you mean training.epochs?"),
        (["run", "docs", "--out", "docs/tolvick.txt"], "cannot write the run folder docs/tolvick.txt: "),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_mistake_is_told_in_one_line(
    kupdate: Kupdate, docs: Path, tmp_path: Path, tiny_model: str, words: list[str], message: str
) -> None:
    (tmp_path / "empty").mkdir()
    model = [f"model={tiny_model}"] if "--questions" in words else []
    assert mistake(kupdate(*words, *model)).startswith(message)


def test_a_folder_of_images_says_what_is_read(kupdate: Kupdate, tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "a.png").write_bytes(b"\x89PNG")
    (tmp_path / "images" / "b.jpg").write_bytes(b"\xff\xd8")
    told = mistake(kupdate("run", "images"))
    assert told.startswith("nothing in images could be read: a.png is of a kind that is not read (.png; read are txt,")
    assert told.endswith("(and 1 more)")


def test_what_was_read_and_what_not_is_told(kupdate: Kupdate, docs: Path, tiny_model: str) -> None:
    for number in range(12):
        (docs / f"{number:02}.png").write_bytes(b"")
    (docs / "empty.txt").write_bytes(b"")
    code, stdout, _ = kupdate("collect", docs, f"model={tiny_model}", "--out", "out")
    assert code == 0
    lines = stdout.splitlines()
    assert sum(line.startswith("not read: ") for line in lines) == 10
    assert "… and 3 more: `kupdate facts --dropped` names them" in lines
    assert (
        "3 files read (1 html, 1 md, 1 txt); 13 not read: is of a kind that is not read (12), has no text (1)" in lines
    )
    code, stdout, _ = kupdate("facts", "out", "--dropped")
    assert (code, "empty.txt" in stdout, "11.png" in stdout) == (0, True, True)


def test_documents_without_a_sentence_make_no_fact(kupdate: Kupdate, tmp_path: Path, tiny_model: str) -> None:
    (tmp_path / "none").mkdir()
    (tmp_path / "none" / "a.txt").write_text("Hm. Yes!", encoding="utf-8")
    told = mistake(kupdate("collect", "none", f"model={tiny_model}", "--out", "out"))
    assert told == "no sentence in none became a fact; `kupdate facts out --dropped` says why"
    code, stdout, _ = kupdate("facts", "out", "--dropped")
    assert code == 0
    assert "not a sentence" in stdout


def test_facts_say_what_there_is_nothing_of(kupdate: Kupdate, docs: Path, tiny_model: str) -> None:
    assert kupdate("collect", docs, f"model={tiny_model}", "--out", "out")[0] == 0
    assert mistake(kupdate("facts", "out", "--missed")) == "out has not been asked yet: run `kupdate infer out` first"
    code, stdout, _ = kupdate("facts", "out", "--dropped")
    assert (code, stdout.strip().splitlines()[-1]) == (0, "nothing was left out")


def test_an_unreadable_model_is_told_in_one_line(kupdate: Kupdate, docs: Path, tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "config.json").write_text(json.dumps({"model_type": "llama"}), encoding="utf-8")
    assert "model" in mistake(kupdate("collect", docs, "model=./model", "--out", "out"))


def test_a_mistake_in_the_model_does_not_bind_the_folder(
    kupdate: Kupdate, docs: Path, tmp_path: Path, tiny_model: str
) -> None:
    mistake(kupdate("collect", docs, "model=absent", "--out", "out"))
    code, stdout, stderr = kupdate("collect", docs, f"model={tiny_model}", "--out", "out")
    assert (code, stderr) == (0, ""), stdout


def test_a_command_that_found_no_input_leaves_no_folder(kupdate: Kupdate, docs: Path, tmp_path: Path) -> None:
    mistake(kupdate("collect", docs, "--questions", "absent.jsonl", "--out", "out"))
    mistake(kupdate("collect", "absent", "--out", "out"))
    assert not (tmp_path / "out").exists()


def test_what_nobody_foresaw_is_told_in_one_line_and_logged(
    kupdate: Kupdate, docs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise IndexError("odd\nand long")

    monkeypatch.setattr("knowledge_update.pipeline.collect", broken)
    code, _, stderr = kupdate("collect", docs, "--out", "out")
    assert (code, stderr.count("\n")) == (1, 1)
    assert stderr.startswith("kupdate: IndexError: odd; ")
    assert "in broken\n" in (tmp_path / "out" / "run.log").read_text(encoding="utf-8")


def test_a_collected_folder_tells_its_facts(kupdate: Kupdate, docs: Path, tiny_model: str) -> None:
    """Options under any of their names, a run folder of another configuration, and the ledger shown."""
    options = [f"--model_name_or_path={tiny_model}", "--chunk-size-by-token", "128", "--limit", "2", "-o", "out"]
    assert kupdate("collect", docs, *options)[0] == 0
    told = mistake(kupdate("collect", docs, *options, "seed=1"))
    assert told == "out was made with another configuration: seed (0, now 1); use another --out"
    code, stdout, _ = kupdate("facts", "out", "--document", "tolvick")
    assert code == 0
    assert "The tower of Tolvick Lighthouse is 38 metres high." in " ".join(stdout.split())
    assert "dunhask" not in stdout
    assert mistake(kupdate("facts", "out", "--document", "x")) == "no document 'x' in out; there are dunhask, tolvick"
    assert mistake(kupdate("infer", "out")) == "out has no adapter: run `kupdate train out` first"


def test_what_is_interrupted_ends_with_130(kupdate: Kupdate, docs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("knowledge_update.pipeline.collect", interrupted)
    code, _, stderr = kupdate("collect", docs, "--out", "out")
    assert (code, stderr.count("\n")) == (130, 1)
    assert "the same command goes on from there" in stderr
