"""A vLLM server of our own: a child process of the interpreter that has vLLM, on this machine alone, for a while.

vLLM's pins differ from ours, so it lives in an environment of its own; its end frees the GPU before training begins.
"""

import http.client
import os
import re
import secrets
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from knowledge_update.chat_models import guard
from knowledge_update.chat_models.endpoint import Endpoint
from knowledge_update.chat_models.protocol import ChatModel, Gone, Reply, Request, Unreachable
from knowledge_update.config import ChatModelConfig, ModelConfig
from knowledge_update.display import log
from knowledge_update.errors import ConfigError, WorkError
from knowledge_update.models import Precision, identity, precision, resolve

SERVED = "served"
# What a server is given to end by itself, and how often it is told that it is still starting, in seconds.
_GRACE, _TELLING = 15.0, 15.0
_SECRET = re.compile(r"(?:^|_)(?:\w*KEYS?|TOKENS?|SECRETS?|PASSWORDS?|PASSWD|CREDENTIALS?)(?:_|$)", re.I)

_ERROR = re.compile(r"\b[A-Z]\w*(?:Error|Exception): ")


@dataclass(frozen=True)
class VllmServer:
    """A server that was started.

    Args:
        process: Its guard, the leader of its process group.
        url: Up to and with `/v1`.
        key: What it wants to hear, made for it alone.
        log_file: What it printed.
    """

    process: "subprocess.Popen[bytes]"
    url: str
    key: str
    log_file: Path

    def ended(self) -> str | None:
        """Why it has ended, or nothing while it runs."""
        code = self.process.poll()
        return None if code is None else f"exit code {code}: {_tail(self.log_file)}; its whole log: {self.log_file}"


class VllmModel:
    """The model behind a server of our own.

    Args:
        server: The server.
        name: The hash of the model.
        timeout: Seconds until an answer counts as lost.
    """

    def __init__(self, server: VllmServer, name: str, timeout: float) -> None:
        self._server, self._name = server, name
        self._endpoint: ChatModel = Endpoint(server.url, SERVED, server.key, timeout, proxies=False)

    @property
    def name(self) -> str:
        """The hash of the model, as of one in this process."""
        return self._name

    async def ask(self, request: Request) -> Reply:
        """Answers, or raises a `CallError`; a server that has ended is not waited for."""
        try:
            return await self._endpoint.ask(request)
        except Unreachable as error:
            if why := self._server.ended():
                raise Gone(f"vLLM has ended, {why}") from error
            raise

    async def close(self) -> None:
        """Closes the connections; the server is stopped by who started it."""
        await self._endpoint.close()


@contextmanager
def started(config: ChatModelConfig, base: ModelConfig, name: str, log_file: Path) -> Iterator[VllmModel]:
    """A model behind a vLLM server, which runs as long as the context.

    Args:
        config: Which interpreter, further arguments, how long to wait.
        base: Data type and device, and whether the hub may be asked.
        name: The model, as `model=` takes it.
        log_file: Where the server's output goes.

    Raises:
        ConfigError: When there is no such interpreter, or it has no vLLM.
        ModelError: When the model is not there.
        WorkError: When the server does not start.
    """
    python = _interpreter(config)
    folder = resolve(name, local_files_only=base.local_files_only)
    chosen = precision(base.dtype, base.device)
    port, key = _free_port(), secrets.token_urlsafe(16)
    command = [python, *_arguments(folder, port, chosen), *shlex.split(config.vllm_arguments)]
    log.info("starting vLLM with %s, in %s; its log: %s", name, chosen.reason, log_file)
    with log_file.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-I", guard.__file__, str(_GRACE), *command],
            stdin=subprocess.PIPE, stdout=output, stderr=subprocess.STDOUT, start_new_session=True,
            env=_environment(config, key, chosen),
        )  # fmt: skip
    server = VllmServer(process, f"http://127.0.0.1:{port}/v1", key, log_file)
    try:
        _await_health(server, port, config)
        yield VllmModel(server, identity(folder), config.timeout)
    finally:
        _stop(process)


def _interpreter(config: ChatModelConfig) -> str:
    where = f"{config.SECTION}.vllm_python"
    if config.vllm_python is None:
        raise ConfigError(f"{config.SECTION}=vllm needs {where}=PYTHON, the interpreter of an environment with vLLM")
    found = shutil.which(Path(config.vllm_python).expanduser())
    if found is None:
        raise ConfigError(f"{where}={config.vllm_python}: no such interpreter")
    return found


def _arguments(folder: str, port: int, chosen: Precision) -> list[str]:
    words = [
        "-m", "vllm.entrypoints.openai.api_server", "--model", folder, "--served-model-name", SERVED,
        "--host", "127.0.0.1", "--port", str(port), "--dtype", str(chosen.dtype).removeprefix("torch."),
        "--disable-uvicorn-access-log",
    ]  # fmt: skip
    # Compiling takes minutes on a CPU and gains nothing there.
    return [*words, "--enforce-eager"] if chosen.device == "cpu" else words


def _environment(config: ChatModelConfig, key: str, chosen: Precision) -> dict[str, str]:
    """What the server may know: nobody's keys but its own; it asks no hub and reports to nobody."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not _SECRET.search(name) and name not in (*config.key_variables, "PYTHONHOME", "PYTHONPATH")
    }
    own = {"VLLM_API_KEY": key, "VLLM_NO_USAGE_STATS": "1", "DO_NOT_TRACK": "1", "HF_HUB_OFFLINE": "1"}
    # In GiB; vLLM would take a share of all memory.
    cache = {"VLLM_CPU_KVCACHE_SPACE": "2"} if chosen.device == "cpu" else {}
    return {**cache, **kept, **own}


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _await_health(server: VllmServer, port: int, config: ChatModelConfig) -> None:
    began = told = time.monotonic()
    while not _healthy(port):
        if why := server.ended():
            if "No module named 'vllm'" in why or "No module named vllm" in why:
                raise ConfigError(f"{config.SECTION}.vllm_python={config.vllm_python} has no vLLM")
            raise WorkError(f"vLLM did not start, {why}")
        now = time.monotonic()
        if now - began > config.vllm_timeout:
            raise WorkError(
                f"vLLM did not answer within {config.SECTION}.vllm_timeout={config.vllm_timeout:.0f} s: "
                f"{_tail(server.log_file)}; its whole log: {server.log_file}"
            )
        if now - told >= _TELLING:
            told = now
            log.info("vLLM is starting, %.0f s so far", now - began)
        time.sleep(0.25)
    log.info("vLLM answers after %.0f s", time.monotonic() - began)


def _healthy(port: int) -> bool:
    # Never through a proxy.
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", "/health")
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _stop(process: "subprocess.Popen[bytes]") -> None:
    """Asks the server to end, then ends whatever is left of its group."""
    assert process.stdin is not None
    process.stdin.close()
    try:
        process.wait(_GRACE + 5)
    except subprocess.TimeoutExpired:
        log.warning("vLLM did not end by itself")
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _tail(path: Path) -> str:
    """What went wrong, of a log: its last error that points to no other, else its last line."""
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - 64_000))
        lines = [line.strip() for line in file.read().decode(errors="replace").splitlines() if line.strip()]
    errors = [line[found.start() :] for line in lines if (found := _ERROR.search(line))]
    causes = [error for error in errors if "root cause above" not in error]
    told = (causes or errors or lines or ["it printed nothing"])[-1]
    return told if len(told) <= 300 else f"{told[:299]}…"
