"""A server that is a child process: started, waited for until it answers, and gone with whoever started it."""

import http.client
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from knowledge_update.chat_models import guard
from knowledge_update.display import log
from knowledge_update.errors import WorkError

# What a server is given to end by itself, and how often it is told that it is still starting, in seconds.
_GRACE, _TELLING = 15.0, 15.0
_SECRET = re.compile(r"(?:^|_)(?:\w*KEYS?|TOKENS?|SECRETS?|PASSWORDS?|PASSWD|CREDENTIALS?)(?:_|$)", re.I)
_ERROR = re.compile(r"\b[A-Z]\w*(?:Error|Exception): ")


@dataclass(frozen=True)
class Launch:
    """What is started.

    Args:
        name: What it is called where something is told of it.
        command: The program and its arguments.
        environment: All that it knows of its surroundings.
        host: Where it is to listen.
        port: The port there.
        log_file: Where its output goes.
        timeout: Seconds until it has to answer.
        within: How that time is set, where it can be.
        folder: Where it runs; here where none is named.
    """

    name: str
    command: Sequence[str]
    environment: Mapping[str, str]
    host: str
    port: int
    log_file: Path
    timeout: float
    within: str = ""
    folder: Path | None = None


@dataclass(frozen=True)
class ChildServer:
    """A server that was started.

    Args:
        process: Its guard, the leader of its process group.
        log_file: What it printed.
    """

    process: "subprocess.Popen[bytes]"
    log_file: Path

    def ended(self) -> str | None:
        """Why it has ended, or nothing while it runs."""
        code = self.process.poll()
        return None if code is None else f"exit code {code}: {_tail(self.log_file)}; its whole log: {self.log_file}"


@contextmanager
def running(launch: Launch) -> Iterator[ChildServer]:
    """A server that answers, which runs as long as the context.

    Raises:
        WorkError: When it does not start.
    """
    with launch.log_file.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-I", guard.__file__, str(_GRACE), *launch.command],
            stdin=subprocess.PIPE, stdout=output, stderr=subprocess.STDOUT, start_new_session=True,
            env=dict(launch.environment), cwd=launch.folder,
        )  # fmt: skip
    server = ChildServer(process, launch.log_file)
    try:
        _await_health(server, launch)
        yield server
    finally:
        _stop(launch.name, process)


def without_secrets(*others: str) -> dict[str, str]:
    """The environment without anybody's keys, without some more variables, and without this Python's places."""
    left_out = (*others, "PYTHONHOME", "PYTHONPATH")
    return {name: value for name, value in os.environ.items() if not _SECRET.search(name) and name not in left_out}


def free_port() -> int:
    """A port of this machine that nobody listens at."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _await_health(server: ChildServer, launch: Launch) -> None:
    began = told = time.monotonic()
    while not _healthy(launch.host, launch.port):
        if why := server.ended():
            raise WorkError(f"{launch.name} did not start, {why}")
        now = time.monotonic()
        if now - began > launch.timeout:
            raise WorkError(
                f"{launch.name} did not answer within {launch.within}{launch.timeout:.0f} s: "
                f"{_tail(server.log_file)}; its whole log: {server.log_file}"
            )
        if now - told >= _TELLING:
            told = now
            log.info("%s is starting, %.0f s so far", launch.name, now - began)
        time.sleep(0.25)
    log.info("%s answers after %.0f s", launch.name, time.monotonic() - began)


def _healthy(host: str, port: int) -> bool:
    # Who listens everywhere listens here; and never through a proxy.
    near = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
    connection = http.client.HTTPConnection(near, port, timeout=5)
    try:
        connection.request("GET", "/health")
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _stop(name: str, process: "subprocess.Popen[bytes]") -> None:
    """Asks the server to end, then ends whatever is left of its group."""
    assert process.stdin is not None
    process.stdin.close()
    try:
        process.wait(_GRACE + 5)
    except subprocess.TimeoutExpired:
        log.warning("%s did not end by itself", name)
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
