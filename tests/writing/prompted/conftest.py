"""A collection by a chat model on a scripted server."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from chat_server import Server
from scribes import WRITER


@pytest.fixture
def collect(run_kupdate: Any, tiny_model: str, server: Server) -> Callable[..., Any]:
    def run(docs: Path, out: Path, *more: str, **environment: str) -> Any:
        where = f"writer.base_url={server.url}"
        return run_kupdate("collect", docs, "--out", out, f"model={tiny_model}", where, *WRITER, *more, **environment)

    return run
