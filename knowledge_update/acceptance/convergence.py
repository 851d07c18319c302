"""`kupdate check convergence`: whether the loss of every training has converged, a row a file."""

import math
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np

from knowledge_update.acceptance.settling import Curve, Judged, any_pair, judge
from knowledge_update.display import console, table
from knowledge_update.errors import ConfigError, DocumentError

RULES: dict[str, Callable[[Curve, float], Judged]] = {"settled": judge, "any-pair": any_pair}
_SAID = {
    "settled": "from some step to the end the smoothed loss (a moving mean over the window, taken twice) changes by"
    " less than {threshold:g} a step, or than its noise, and does not rise",
    "any-pair": "any two successive losses differ by less than {threshold:g}: a weak rule, which a rising noisy loss"
    " passes too",
}
_COLUMNS = ("file", "converged?", "steps", "window", "change a step", "noise", "why")


def check(folder: Path, threshold: float, rule: str) -> bool:
    """Judges every loss file of a folder, and shows what was found.

    Args:
        folder: Holds `.npy` files, each the loss of every step of a training.
        threshold: What successive values may differ by.
        rule: `settled`, or `any-pair` as described.

    Returns:
        Whether all of them have converged.

    Raises:
        ConfigError: For a threshold that is none, and for a rule there is not.
        DocumentError: When the folder holds no losses.
    """
    if not (0 < threshold < math.inf):
        raise ConfigError(f"--threshold {threshold:g}: above 0")
    if rule not in RULES:
        raise ConfigError(f"--rule {rule}: one of {', '.join(RULES)}")
    rows, failed = [], 0
    files = _files(folder)
    for file in files:
        losses = read(file)
        judged = Judged(False, losses) if isinstance(losses, str) else RULES[rule](losses, threshold)
        failed += not judged.converged
        rows.append(_row(file, 0 if isinstance(losses, str) else len(losses), judged))
    console.print(f"{folder}, rule {rule}: {_SAID[rule].format(threshold=threshold)}", markup=False)
    table("", _COLUMNS, rows)
    verdict = (
        f"not converged: {failed} of {len(files)} failed" if failed else f"converged: {len(files)} of {len(files)}"
    )
    console.print(verdict, markup=False)
    return not failed


def judged_by(script: Path, folder: Path, threshold: float) -> int:
    """Runs a Python script in our place, as described; its exit code.

    Raises:
        DocumentError: When there is no such script.
    """
    if script.is_file():
        command = [sys.executable, str(script), "--loss_folder", str(folder), "--threshold", str(threshold)]
        return subprocess.run(command, check=False).returncode
    # The described default: what that script is, is here.
    if script.name == "cauchy_test.py":
        return 0 if check(folder, threshold, "settled") else 1
    raise DocumentError(f"no such script: {script}")


def _files(folder: Path) -> list[Path]:
    if not folder.is_dir():
        raise DocumentError(f"no such folder: {folder}; `kupdate check time` and `kupdate train` leave losses/*.npy")
    if files := sorted(path for path in folder.iterdir() if path.suffix == ".npy"):
        return files
    raise DocumentError(f"{folder} holds no .npy file; `kupdate check time` and `kupdate train` leave losses/*.npy")


def read(file: Path) -> Curve | str:
    """The losses in a file, (steps,), or why it holds none; nothing in it is ever run."""
    try:
        loaded = np.load(file, allow_pickle=False)
    except OSError as error:
        return f"unreadable: {error.strerror or error}"
    except (ValueError, EOFError) as error:
        return "wrong type: objects" if "Object arrays" in str(error) else "unreadable: no whole NumPy array"
    if not isinstance(loaded, np.ndarray):
        loaded.close()
        return "wrong type: an archive"
    if loaded.dtype.kind != "f":
        return f"wrong type: {loaded.dtype}, not floating point"
    if loaded.ndim != 1:
        return f"wrong type: {loaded.ndim} dimensions, not one"
    return loaded.astype(np.float64)


def _row(file: Path, steps: int, judged: Judged) -> list[str]:
    figures = (judged.difference, judged.allowance)
    since = "" if judged.settled is None else f"settled from step {judged.settled}"
    return [
        file.name,
        "yes" if judged.converged else "no",
        str(steps) if steps else "–",
        str(judged.window) if judged.window else "–",
        *("–" if value is None else f"{value:.2g}" for value in figures),
        "; ".join(filter(None, (since, judged.reason))),
    ]
