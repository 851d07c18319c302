"""A vLLM server of our own: a child process of the interpreter that has vLLM, on this machine alone, for a while.

vLLM's pins differ from ours, so it lives in an environment of its own; its end frees the GPU before training begins.
"""

import secrets
import shlex
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from knowledge_update.chat_models.child_server import ChildServer, Launch, free_port, running, without_secrets
from knowledge_update.chat_models.endpoint import Endpoint
from knowledge_update.chat_models.protocol import ChatModel, Gone, Reply, Request, Unreachable
from knowledge_update.config import ChatModelConfig, ModelConfig
from knowledge_update.display import log
from knowledge_update.errors import ConfigError, WorkError
from knowledge_update.models import Precision, identity, precision, resolve

SERVED = "served"


class VllmModel:
    """The model behind a server of our own.

    Args:
        server: The server.
        endpoint: How it is asked.
        name: The hash of the model.
    """

    def __init__(self, server: ChildServer, endpoint: ChatModel, name: str) -> None:
        self._server, self._endpoint, self._name = server, endpoint, name

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
    port, key = free_port(), secrets.token_urlsafe(16)
    words = [*command(folder, chosen, SERVED, "127.0.0.1", port), *shlex.split(config.vllm_arguments)]
    launch = Launch(
        "vLLM", [python, *words], environment(chosen, key, *config.key_variables), "127.0.0.1", port, log_file,
        config.vllm_timeout, f"{config.SECTION}.vllm_timeout=",
    )  # fmt: skip
    log.info("starting vLLM with %s, in %s; its log: %s", name, chosen.reason, log_file)
    try:
        with running(launch) as server:
            endpoint = Endpoint(f"http://127.0.0.1:{port}/v1", SERVED, key, config.timeout, proxies=False)
            yield VllmModel(server, endpoint, identity(folder))
    except WorkError as error:
        if lacks_vllm(error):
            raise ConfigError(f"{config.SECTION}.vllm_python={config.vllm_python} has no vLLM") from error
        raise


def lacks_vllm(error: WorkError) -> bool:
    """Whether a server did not start because its interpreter has none."""
    return "No module named 'vllm'" in str(error) or "No module named vllm" in str(error)


def _interpreter(config: ChatModelConfig) -> str:
    where = f"{config.SECTION}.vllm_python"
    if config.vllm_python is None:
        raise ConfigError(f"{config.SECTION}=vllm needs {where}=PYTHON, the interpreter of an environment with vLLM")
    found = shutil.which(Path(config.vllm_python).expanduser())
    if found is None:
        raise ConfigError(f"{where}={config.vllm_python}: no such interpreter")
    return found


def command(folder: str, chosen: Precision, name: str, host: str, port: int) -> list[str]:
    """What an interpreter is told that it serves a folder under a name."""
    words = [
        "-m", "vllm.entrypoints.openai.api_server", "--model", folder, "--served-model-name", name,
        "--host", host, "--port", str(port), "--dtype", str(chosen.dtype).removeprefix("torch."),
        "--disable-uvicorn-access-log",
    ]  # fmt: skip
    # Compiling takes minutes on a CPU and gains nothing there.
    return [*words, "--enforce-eager"] if chosen.device == "cpu" else words


def environment(chosen: Precision, key: str, *key_variables: str) -> dict[str, str]:
    """What the server may know: nobody's keys but its own; it asks no hub and reports to nobody."""
    own = {"VLLM_NO_USAGE_STATS": "1", "DO_NOT_TRACK": "1", "HF_HUB_OFFLINE": "1"}
    # In GiB; vLLM would take a share of all memory.
    cache = {"VLLM_CPU_KVCACHE_SPACE": "2"} if chosen.device == "cpu" else {}
    return {**cache, **without_secrets(*key_variables), **own, **({"VLLM_API_KEY": key} if key else {})}
