"""The endpoint of an existing server on what was taught: vLLM where there is one, else `transformers serve`."""

import importlib.util
import json
import os
import shlex
import shutil
import sys
import tempfile
import threading
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from knowledge_update.adapters import is_adapter
from knowledge_update.chat.addresses import listening, private, shown
from knowledge_update.chat_models import vllm_server
from knowledge_update.chat_models.child_server import ChildServer, Launch, running, without_secrets
from knowledge_update.config import ModelConfig
from knowledge_update.display import console, log
from knowledge_update.errors import ConfigError, UserError, WorkError
from knowledge_update.models import precision, resolve
from knowledge_update.run_folder import RunFolder, read_json

SERVERS = ("auto", "vllm", "transformers")
KEY, PYTHON = "KUPDATE_SERVE_KEY", "KUPDATE_VLLM_PYTHON"
# Seconds that a server may take to load a model.
_TIMEOUT = 900.0
# Seconds between two looks at whether it still runs.
_LOOK = 0.5


@dataclass(frozen=True)
class Serving:
    """What is wanted.

    Args:
        model: `name` is a run folder, an adapter's, a merged one, or any model.
        output_dir: Where an adapter is merged to.
        host: The address to listen at.
        port: The port; 0 for any that is free.
        server: `vllm`, `transformers`, or `auto`.
        vllm_python: The interpreter of an environment with vLLM.
    """

    model: ModelConfig
    output_dir: str | None
    host: str
    port: int
    server: str
    vllm_python: str | None


def serve(wanted: Serving) -> None:
    """Serves until it is interrupted, and prints what a client needs.

    Raises:
        ConfigError: When the port is taken, or the server is not there.
        WorkError: When the server does not start, or ends.
    """
    python = _vllm(wanted)
    with listening(wanted.host, wanted.port) as bound:
        port = int(bound.getsockname()[1])
        folder = standing_alone(wanted)
    if not private(wanted.host) and not os.environ.get(KEY):
        log.warning("whoever reaches %s may ask the model: %s names a key to ask for", wanted.host, KEY)
    place = Path(tempfile.mkdtemp(prefix="kupdate-serve-"))
    launch = _launch(wanted, folder, port, python, place / "server.log")
    try:
        with running(launch) as server:
            console.print(_lines(launch, folder.name), markup=False)
            with suppress(KeyboardInterrupt):
                _watch(launch.name, server)
    except WorkError as error:
        if vllm_server.lacks_vllm(error):
            shutil.rmtree(place)
            raise ConfigError(f"{python} has no vLLM: --vllm_python or {PYTHON} names another") from error
        # Its log stays, to be read.
        raise
    shutil.rmtree(place)


def standing_alone(wanted: Serving) -> Path:
    """The folder of a model that needs no adapter: what was named, or what it is merged to, now or before."""
    from knowledge_update.adapter_files import find
    from knowledge_update.merging.stage import Merge, adapter_hash, merge

    name, only = wanted.model.name, wanted.model.local_files_only
    path, run = Path(name).expanduser(), RunFolder(name)
    if run.config.exists():
        trained = run.require(run.adapter, f"train {run.path}")
        if not is_adapter(trained):
            return trained.resolve()
        known = path / "merged"
        if _record(known).get("adapter_hash") == adapter_hash(trained):
            log.info("served is %s, which was merged before", known)
            return known.resolve()
    elif not (path / "adapter_config.json").exists() and (not path.is_dir() or (path / "config.json").exists()):
        return Path(resolve(name, local_files_only=only)).resolve()
    else:
        find(name, local_files_only=only)
    log.info("merging first: a server takes a model that stands alone")
    return merge(Merge(name, wanted.output_dir, local_files_only=only)).folder.resolve()


def _record(folder: Path) -> dict[str, str]:
    from knowledge_update.merging.stage import RECORD

    there = (folder / RECORD).exists() and (folder / "config.json").exists()
    return dict(read_json(folder / RECORD)) if there else {}


def _vllm(wanted: Serving) -> str | None:
    """The interpreter that serves by vLLM; none where `transformers serve` does."""
    if wanted.server not in SERVERS:
        raise ConfigError(f"--server {wanted.server}: one of {', '.join(SERVERS)}")
    named = wanted.vllm_python or os.environ.get(PYTHON)
    if wanted.server == "transformers" or (wanted.server == "auto" and not named and not _has("vllm")):
        if not all(map(_has, ("fastapi", "uvicorn", "openai"))):
            raise UserError("`transformers serve` needs more packages: pip install 'knowledge-update[serve]'")
        if os.environ.get(KEY):
            raise ConfigError(
                f"{KEY} is set, and `transformers serve` asks nobody for a key: serve by vLLM, or unset it"
            )
        log.info("served by `transformers serve`%s", "" if wanted.server != "auto" else f": no vLLM, nor {PYTHON}")
        return None
    found = shutil.which(Path(named).expanduser()) if named else sys.executable
    if found is None:
        raise ConfigError(f"no such interpreter: {named}")
    if not named and not _has("vllm"):
        raise ConfigError(f"--server vllm: --vllm_python or {PYTHON} names the interpreter that has it (`make vllm`)")
    log.info("served by vLLM, of %s", named or "this environment")
    return found


def _has(package: str) -> bool:
    return importlib.util.find_spec(package) is not None


def _launch(wanted: Serving, folder: Path, port: int, python: str | None, log_file: Path) -> Launch:
    """A model is called by its folder's name; `transformers serve` by where it is, seen from where the server runs."""
    if python:
        chosen = precision(wanted.model.dtype, wanted.model.device)
        log.info("it computes in %s", chosen.reason)
        words = [python, *vllm_server.command(str(folder), chosen, folder.name, wanted.host, port)]
        known = vllm_server.environment(chosen, os.environ.get(KEY, ""))
        return Launch("vLLM", words, known, wanted.host, port, log_file, _TIMEOUT)
    words = [
        sys.executable, "-m", "transformers.cli.transformers", "serve", folder.name, "--host", wanted.host,
        "--port", str(port),
    ]  # fmt: skip
    known = {**without_secrets(), "HF_HUB_OFFLINE": "1", "HF_HUB_DISABLE_TELEMETRY": "1"}
    return Launch(
        "`transformers serve`", words, known, wanted.host, port, log_file, _TIMEOUT, folder=folder.parent
    )  # fmt: skip


def _lines(launch: Launch, model: str) -> str:
    base = f"{shown(launch.host, launch.port)}/v1"
    key = f"${KEY}" if os.environ.get(KEY) else "any"
    body = json.dumps({"model": model, "messages": [{"role": "user", "content": "Who are you?"}]}, ensure_ascii=False)
    heads = f"-H 'Content-Type: application/json' -H \"Authorization: Bearer {key}\""
    return (
        f"base_url={base} model={model} api_key={key}\n"
        f"curl {base}/chat/completions {heads} -d {shlex.quote(body)}\n"
        "Ctrl-C ends"
    )


def _watch(name: str, server: ChildServer) -> None:
    """Returns only when it has ended, which it should not."""
    never = threading.Event()
    while not (why := server.ended()):
        never.wait(_LOOK)
    raise WorkError(f"{name} has ended, {why}")
