"""A server of our own starts, is known to have ended, and leaves nothing behind; the real one in `make soak`."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from knowledge_update.chat_models.protocol import Gone, Request, Unreachable
from knowledge_update.chat_models.structure import Structured, list_of
from knowledge_update.chat_models.vllm_server import started
from knowledge_update.config import ModelConfig, WriterConfig
from knowledge_update.errors import ConfigError, WorkError

REAL = os.environ.get("KUPDATE_VLLM_PYTHON", "")
BASE = ModelConfig(dtype="float32", device="cpu")
# What stands for vLLM where a failure is to be provoked: it takes the same arguments, and answers a little.
STAND_IN = """
import http.server, json, os, subprocess, sys
port = int(sys.argv[sys.argv.index("--port") + 1])
json.dump({"arguments": sys.argv[1:], "environment": dict(os.environ)}, open(os.environ["RECORD"], "w"))
worker = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
print("worker", worker.pid, flush=True)
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200); self.end_headers()
    def do_POST(self):
        print("ValueError: the card fell off the bus", flush=True)
        os._exit(7)
http.server.HTTPServer(("127.0.0.1", port), Handler).serve_forever()
"""


@pytest.fixture
def interpreter(tmp_path: Path) -> Callable[[str], str]:
    """`interpreter(code)` makes a program that runs some Python instead of what it is told to."""

    def make(code: str) -> str:
        (tmp_path / "stand_in.py").write_text(code, encoding="utf-8")
        path = tmp_path / "python"
        path.write_text(f'#!/bin/sh\nexec {sys.executable} {tmp_path / "stand_in.py"} "$@"\n', encoding="utf-8")
        path.chmod(0o755)
        return str(path)

    return make


def serving(tmp_path: Path, model: str, python: str | None, **more: Any) -> Any:
    config = WriterConfig(name="vllm", vllm_python=python, **more)
    return started(config, BASE, model, tmp_path / "vllm.log")


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    # A process nobody has waited for is no more than a name.
    return " Z " not in Path(f"/proc/{pid}/stat").read_text(encoding="utf-8")


def worker_of(log: Path) -> int:
    return int(log.read_text(encoding="utf-8").split("worker ")[1].split()[0])


def gone(pid: int, seconds: float = 10) -> bool:
    end = time.monotonic() + seconds
    while alive(pid) and time.monotonic() < end:
        time.sleep(0.05)
    return not alive(pid)


def test_what_is_missing_is_told(tmp_path: Path, tiny_model: str, interpreter: Any) -> None:
    cases = [
        (None, "writer=vllm needs writer.vllm_python=PYTHON, the interpreter of an environment with vLLM"),
        (str(tmp_path / "none"), f"writer.vllm_python={tmp_path / 'none'}: no such interpreter"),
        (sys.executable, f"writer.vllm_python={sys.executable} has no vLLM"),
    ]
    for python, message in cases:
        with pytest.raises(ConfigError) as raised, serving(tmp_path, tiny_model, python):
            pass
        assert str(raised.value) == message


def test_a_server_that_ends_at_its_start_tells_its_cause(tmp_path: Path, tiny_model: str, interpreter: Any) -> None:
    code = """
import sys
print("(EngineCore pid=3) ERROR 11-22 [core.py:9] ValueError: not enough memory for a key-value cache")
print("RuntimeError: Engine core initialization failed. See root cause above.")
sys.exit(3)
"""
    with pytest.raises(WorkError) as raised, serving(tmp_path, tiny_model, interpreter(code)):
        pass
    assert str(raised.value) == (
        "vLLM did not start, exit code 3: ValueError: not enough memory for a key-value cache; "
        f"its whole log: {tmp_path / 'vllm.log'}"
    )


def test_a_server_that_never_answers_is_stopped(tmp_path: Path, tiny_model: str, interpreter: Any) -> None:
    code = 'import os, time; print("worker", os.getpid(), flush=True); time.sleep(600)'
    with pytest.raises(WorkError) as raised, serving(tmp_path, tiny_model, interpreter(code), vllm_timeout=2):
        pass
    assert str(raised.value).startswith("vLLM did not answer within writer.vllm_timeout=2 s: worker ")
    assert gone(worker_of(tmp_path / "vllm.log"))


def test_a_server_knows_no_key_but_its_own_and_ends_with_all_it_started(
    tmp_path: Path, tiny_model: str, interpreter: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    record = tmp_path / "record.json"
    secrets = {"OPENAI_API_KEY": "sk-1", "HF_TOKEN": "hf-2", "MY_SECRET": "s-3", "MINE": "m-4", "DB_PASSWORD": "p-5"}
    for name, value in {**secrets, "RECORD": str(record), "TOKENIZERS_PARALLELISM": "false"}.items():
        monkeypatch.setenv(name, value)
    more = {"key_variable": "MINE", "vllm_arguments": "--max-model-len 99 --seed '5'"}
    with serving(tmp_path, tiny_model, interpreter(STAND_IN), **more):
        worker = worker_of(tmp_path / "vllm.log")
        assert alive(worker)
    assert gone(worker)
    told = json.loads(record.read_text(encoding="utf-8"))
    assert not set(secrets) & set(told["environment"])
    assert not [value for value in secrets.values() if value in json.dumps(told)]
    assert told["environment"]["TOKENIZERS_PARALLELISM"] == "false"
    assert len(told["environment"]["VLLM_API_KEY"]) > 16
    words = told["arguments"]
    assert words[:4] == ["-m", "vllm.entrypoints.openai.api_server", "--model", tiny_model]
    assert words[-4:] == ["--max-model-len", "99", "--seed", "5"]
    assert words[words.index("--host") + 1] == "127.0.0.1"


def test_a_server_that_dies_at_work_is_not_waited_for(
    tmp_path: Path, tiny_model: str, interpreter: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RECORD", str(tmp_path / "record.json"))
    # Nobody's proxy is asked for a server of our own.
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")

    async def ask(model: Any) -> None:
        try:
            # Its guard may need a moment to see that it is dead.
            for _ in range(100):
                with suppress(Unreachable):
                    await model.ask(Request((("user", "x"),), 5))
                await asyncio.sleep(0.1)
        finally:
            await model.close()

    with (
        pytest.raises(Gone, match=r"vLLM has ended, exit code 7: ValueError: the card fell off the bus"),
        serving(tmp_path, tiny_model, interpreter(STAND_IN)) as model,
    ):
        asyncio.run(ask(model))
    assert gone(worker_of(tmp_path / "vllm.log"))


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT], ids=["killed", "interrupted"])
def test_no_server_outlives_its_collection(
    tmp_path: Path, tiny_model: str, interpreter: Any, shared_docs: Path, how: signal.Signals
) -> None:
    code = STAND_IN.replace("os._exit(7)", "import time; time.sleep(600)")
    out = tmp_path / "run"
    command = [
        sys.executable, "-m", "knowledge_update", "collect", str(shared_docs), "--out", str(out), "--model_type",
        "vllm", f"model={tiny_model}", f"writer.vllm_python={interpreter(code)}", "model.dtype=float32",
    ]  # fmt: skip
    process = subprocess.Popen(
        command, env={**os.environ, "RECORD": str(tmp_path / "record.json")}, stderr=subprocess.PIPE, text=True
    )
    log, end = out / "vllm.log", time.monotonic() + 90
    while not (log.exists() and "worker" in log.read_text(encoding="utf-8")) and time.monotonic() < end:
        time.sleep(0.05)
    worker = worker_of(log)
    assert alive(worker)
    time.sleep(1)
    process.send_signal(how)
    _, told = process.communicate(timeout=60)
    assert gone(worker, 30)
    if how == signal.SIGINT:
        assert process.returncode == 130
        assert told.endswith("kupdate: stopped; what was finished is kept, the same command goes on from there\n")


@pytest.mark.soak
@pytest.mark.skipif(not REAL, reason="KUPDATE_VLLM_PYTHON names no interpreter with vLLM; `make vllm` makes one")
def test_a_real_server_answers_keeps_to_schemas_and_ends(tmp_path: Path) -> None:
    requests = [
        Request((("user", "What is the capital of France? Answer in one word."),), 12),
        Request((("user", "Count to a hundred."),), 5),
        Request((("user", "Ask and answer two questions about the sea."),), 200, schema=list_of("question", "answer")),
    ]

    async def ask(model: Any) -> list[Any]:
        structured = Structured(model)
        try:
            return await asyncio.gather(*(structured.ask(request) for request in requests))
        finally:
            await structured.close()

    log = tmp_path / "vllm.log"
    with started(WriterConfig(name="vllm", vllm_python=REAL), BASE, "smollm2-135m", log) as model:
        server = model._server.process.pid
        capital, counted, pairs = asyncio.run(ask(model))
    assert "Paris" in capital.text and not capital.cut and capital.prompt_tokens > 5
    assert counted.cut and counted.completion_tokens == 5
    assert pairs.cut or all(set(pair) == {"question", "answer"} for pair in json.loads(pairs.text))
    assert gone(server), "nothing of it is left"
