"""Answers judged by the command line, and what it leaves."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from chat_server import Server
from judged_models import Row, questions, write


@pytest.fixture
def answers(tmp_path: Path) -> Callable[..., str]:
    """`answers(name)` writes the answers of a planted model into `answers/`."""
    return lambda name, rows=None, **how: write(tmp_path / "answers", name, rows or questions(), **how)


@pytest.fixture
def evaluated(kupdate: Any, tmp_path: Path) -> Callable[..., tuple[Row, Row, Row]]:
    """`evaluated(updated, base, *words)`: accuracy of both and the win rate, as their files hold them."""

    def run(updated: str, base: str, *words: str) -> tuple[Row, Row, Row]:
        names = ("--data_name_sft", updated, "--data_name_base", base)
        code, out, err = kupdate("evaluate", "--data_path", "answers", *names, *words)
        assert (code, err) == (0, ""), out
        files = [f"{Path(updated).stem}_acc", f"{Path(base).stem}_acc", f"{Path(updated).stem}_win_rate"]
        read = [(tmp_path / "answers" / f"{name}.json").read_text(encoding="utf-8") for name in files]
        first, second, third = map(json.loads, read)
        assert f"{first['share']:.3f}" in out and f"{third['share']:.3f}" in out
        assert (first["accuracy"], third["win_rate"]) == (first["share"], third["share"])
        return first, second, third

    return run


@pytest.fixture
def by_server(server: Server) -> tuple[str, ...]:
    """Words that make the scripted server the judge."""
    return ("judge=api", f"judge.base_url={server.url}", "judge.model=scripted", "judge.retry_delay=0.01")
