"""The page for those who come from another system says what is so, and its collection commands run."""

import json
import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import typer

from knowledge_update import cli
from knowledge_update.coming_from import SYSTEMS, page
from knowledge_update.config import ReaderConfig, WriterConfig
from knowledge_update.flags import FLAGS

ROOT = Path(__file__).parents[1]
COLLECTING = [command for command in SYSTEMS["KnowledgeUpdate"] if command.verb == "collect"]
SCRIPT = "shells/collect_data.sh"


def test_the_page_is_up_to_date() -> None:
    assert (ROOT / "docs" / "coming-from.md").read_text(encoding="utf-8") == page(), "run `make docs`"


def test_every_flag_is_on_the_page_and_every_command_exists() -> None:
    written = page()
    for flag in FLAGS:
        assert f"| `--{flag.name}` |" in written
        assert f"`{flag.key}` |" in written
    verbs = typer.main.get_command(cli.app).commands
    here = [command for commands in SYSTEMS.values() for command in commands if command.here]
    assert {command.verb for command in here} <= set(verbs)
    for command in here:
        assert f"{command.here} ".startswith((f"kupdate {command.verb} ", "bash shells/"))


def test_no_option_of_collecting_is_missing() -> None:
    taken = {flag.name for flag in FLAGS if "collect" in flag.verbs}
    assert {name for command in COLLECTING for name in command.options} <= taken


def test_no_option_of_evaluating_is_missing() -> None:
    described = {
        name for command in SYSTEMS["KnowledgeUpdate"] if command.verb == "evaluate" for name in command.options
    }
    assert described == {flag.name for flag in FLAGS if "evaluate" in flag.verbs}


def run(words: list[str], cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    # Where the package has been installed into another place than the folder's own environment, its command is there.
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return subprocess.run(
        words, cwd=cwd, env={**os.environ, "PATH": path, "HF_HUB_OFFLINE": "1", **environment},
        capture_output=True, encoding="utf-8", timeout=120, stdin=subprocess.DEVNULL, check=False,
    )  # fmt: skip


def pairs(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_the_documented_script_runs_from_any_folder(docs: Path, tiny_model: str, tmp_path: Path) -> None:
    script = str(ROOT / SCRIPT)
    options = ["--file_type", "txt", "--model_name_or_path", tiny_model, "--chunk_size_by_token=64", "--out", "out"]
    ended = run(["bash", script, *options], tmp_path, DATA_PATH="docs", ROLE_AMOUNT_PER_FACT="2")
    assert ended.returncode == 0, ended.stderr
    # Where the described script leaves it when nothing is said.
    found = pairs(tmp_path / "datasets" / "qa_pairs.jsonl")
    assert {pair["file_name"] for pair in found} == {"tolvick.txt"}
    config = (tmp_path / "out" / "config.yaml").read_text(encoding="utf-8")
    # What the script sets where nothing is said is what the command would.
    lines = ("chunk_tokens: 64", "roles_per_fact: 2", f"wordings_per_fact: {WriterConfig().wordings_per_fact}")
    assert [line for line in lines if line not in config] == []
    script_text = Path(script).read_text(encoding="utf-8")
    assert f"CHUNK_SIZE_BY_TOKEN:-{ReaderConfig().chunk_tokens}}}" in script_text
    assert f"ROLE_AMOUNT_PER_FACT:-{WriterConfig().roles_per_fact}}}" in script_text
    wrong = run(["bash", script, "--data_path", "absent"], tmp_path)
    assert (wrong.returncode, wrong.stderr) == (2, "kupdate: no such file or folder: absent\n")


@pytest.mark.parametrize("here", sorted({command.here for command in COLLECTING if SCRIPT not in command.here}))
def test_every_documented_collection_command_runs(
    here: str, docs: Path, tiny_model: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = shlex.split(here.replace("DOCS", "docs").replace("writer=api", "writer=rules"))
    options = [
        "--file_type", "txt", "--model_name_or_path", tiny_model, "--chunk_size_by_token=64", "--qa-amount-per-fact",
        "5", "--role_amount_per_fact", "2", "--save_dir", "new/pairs.jsonl", "--json_save_dir=pairs.json",
    ]  # fmt: skip
    monkeypatch.chdir(tmp_path)
    assert collected(monkeypatch, *words, *options) == 0
    found = pairs(tmp_path / "new" / "pairs.jsonl")
    assert {pair["file_name"] for pair in found} == {"tolvick.txt"}
    assert json.loads((tmp_path / "pairs.json").read_text(encoding="utf-8")) == found
    config = (tmp_path / "runs" / "docs" / "config.yaml").read_text(encoding="utf-8")
    for line in ("chunk_tokens: 64", "wordings_per_fact: 5", "roles_per_fact: 2", "pattern: '**/*.txt'"):
        assert line in config


def test_behind_a_described_path_the_first_word_is_a_setting(
    docs: Path, tiny_model: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert collected(monkeypatch, "kupdate", "collect", "--data_path", "docs", f"model={tiny_model}") == 0
    assert f"name: {tiny_model}" in (tmp_path / "runs" / "docs" / "config.yaml").read_text(encoding="utf-8")


def collected(monkeypatch: pytest.MonkeyPatch, *words: str) -> int:
    monkeypatch.setattr(sys, "argv", list(words))
    with pytest.raises(SystemExit) as ended:
        cli.main()
    return int(ended.value.code or 0)
