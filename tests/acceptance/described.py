"""The described shell scripts, run from a copy whose `kupdate` is this code."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def shell(name: str, cwd: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Runs a script of `shells/` in a folder."""
    shells, command = cwd / "place" / "shells", cwd / "place" / ".venv" / "bin" / "kupdate"
    for folder in (shells, command.parent):
        folder.mkdir(parents=True, exist_ok=True)
    command.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m knowledge_update "$@"\n')
    command.chmod(0o755)
    (shells / name).write_bytes((ROOT / "shells" / name).read_bytes())
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "HF_HUB_OFFLINE": "1", "COLUMNS": "200"}
    return subprocess.run(
        ["bash", str(shells / name), *words], cwd=cwd, capture_output=True, encoding="utf-8", timeout=300, check=False,
        env=environment,
    )  # fmt: skip
