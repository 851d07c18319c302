"""An existing server on what was taught: the real `transformers serve` answers; what is missing is told in a line."""

import json
import os
import re
import shlex
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from knowledge_update.chat.serving import Serving, standing_alone
from knowledge_update.config import ModelConfig
from knowledge_update.errors import ConfigError

ROOT = Path(__file__).parents[2]
Kupdate = Callable[..., tuple[int, str, str]]


def wanted(name: str | Path, output_dir: Path | None = None) -> Serving:
    model = ModelConfig(name=str(name), dtype="float32")
    return Serving(model, str(output_dir) if output_dir else None, "127.0.0.1", 0, "auto", None)


def children(pid: int) -> list[int]:
    """Processes that came of one, of whatever depth."""
    parents = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text(encoding="utf-8").rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            continue
        if fields[0] != "Z":
            parents[int(path.parent.name)] = int(fields[1])
    found, left = [], [pid]
    while left:
        left = [child for child, parent in parents.items() if parent in left]
        found += left
    return found


def test_a_run_is_merged_once_and_served_to_a_client(taught: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "knowledge_update", "serve", str(taught), "--server=transformers", "--port=0"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "HF_HUB_OFFLINE": "1", "MY_SECRET_KEY": "s3cret"}
    environment.pop("KUPDATE_SERVE_KEY", None)
    process = subprocess.Popen(
        command, cwd=tmp_path, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, encoding="utf-8"
    )
    assert process.stdout is not None
    told = []
    for line in process.stdout:
        told.append(line)
        if line == "Ctrl-C ends\n":
            break
    assert told[-1:] == ["Ctrl-C ends\n"], "".join(told)
    base, model = re.match(r"base_url=(\S+) model=(\S+) api_key=any\n", told[-3]).groups()  # type: ignore[union-attr]
    assert model == "merged" and (taught / "merged" / "merge.json").exists()
    # The printed line, as it stands there.
    said = subprocess.run([*shlex.split(told[-2]), "-s", "-m", "120"], capture_output=True, check=True)
    assert json.loads(said.stdout)["choices"][0]["message"]["content"]
    assert base.startswith("http://127.0.0.1:") and base.endswith("/v1")
    started = children(process.pid)
    assert started
    assert not any(b"s3cret" in Path(f"/proc/{pid}/environ").read_bytes() for pid in started)
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=300) == 0
    end = time.monotonic() + 20
    while alive := [pid for pid in started if Path(f"/proc/{pid}").exists()]:
        assert time.monotonic() < end, alive
        time.sleep(0.1)
    before = (taught / "merged" / "merge.json").stat().st_mtime_ns
    assert standing_alone(wanted(taught)) == (taught / "merged").resolve()
    assert (taught / "merged" / "merge.json").stat().st_mtime_ns == before


def test_an_adapter_is_merged_where_it_is_told_to_and_a_model_is_served_as_it_is(
    taught: Path, unending: Path, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match=r"^--output_dir: name the folder that <base>-finetune is to be put into$"):
        standing_alone(wanted(taught / "adapter"))
    folder = standing_alone(wanted(taught / "adapter", tmp_path / "models"))
    assert folder == tmp_path / "models" / "模型 (1)-finetune" and (folder / "config.json").exists()
    assert standing_alone(wanted(unending)) == unending.resolve()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["serve", "absent", "--server=transformers"], "no model 'absent': give"),
        (["serve", "a", "--server=ollama"], "--server ollama: one of auto, vllm, transformers"),
        (["serve", "a", "--vllm_python=/none/python"], "no such interpreter: /none/python"),
        (["serve", "a", "--server=vllm"], "--server vllm: --vllm_python or KUPDATE_VLLM_PYTHON names the interpreter"),
        (["serve", "a", "--model_path=b"], "two models were named: a and --model_path b; give one of them"),
        (["serve", "a", "--modle_path=b"], "serve has no option --modle_path; did you mean --model_path?"),
        (["serve", "empty"], "no adapter in empty: it has no adapter_config.json"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_mistakes_are_told_in_a_line(
    kupdate: Kupdate, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: list[str], message: str
) -> None:
    monkeypatch.delenv("KUPDATE_VLLM_PYTHON", raising=False)
    (tmp_path / "empty").mkdir()
    code, _, stderr = kupdate(*words, "--port=0")
    assert (code, stderr.count("\n")) == (2, 1), stderr
    assert stderr.startswith("kupdate: " + message)


def test_a_port_that_is_taken_and_a_key_that_nobody_asks_for_are_told(
    kupdate: Kupdate, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("KUPDATE_VLLM_PYTHON", raising=False)
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        code, _, stderr = kupdate("serve", "absent", "--port", str(port))
    told = f"kupdate: cannot listen at 127.0.0.1:{port}: Address already in use; --port names another\n"
    assert (code, stderr) == (2, told)
    monkeypatch.setenv("KUPDATE_SERVE_KEY", "k3y")
    code, stdout, stderr = kupdate("serve", "absent", "--server=transformers")
    assert code == 2 and "`transformers serve` asks nobody for a key" in stderr and "k3y" not in stdout + stderr


def test_a_server_that_does_not_start_is_told(kupdate: Kupdate, unending: Path, tmp_path: Path) -> None:
    code, _, stderr = kupdate("serve", unending, f"--vllm_python={sys.executable}", "--port=0")
    assert (code, stderr) == (
        2, f"kupdate: {sys.executable} has no vLLM: --vllm_python or KUPDATE_VLLM_PYTHON names another\n"
    )  # fmt: skip
    python = tmp_path / "python"
    python.write_text("#!/bin/sh\necho 'ValueError: the card fell off the bus'; exit 3\n", encoding="utf-8")
    python.chmod(0o755)
    code, _, stderr = kupdate("serve", unending, f"--vllm_python={python}", "--port=0")
    assert code == 1
    assert stderr.startswith(
        "kupdate: vLLM did not start, exit code 3: ValueError: the card fell off the bus; its whole"
    )
    log = Path(stderr.rpartition(" ")[2].strip())
    assert "the card fell off the bus" in log.read_text(encoding="utf-8")
