"""`kupdate check convergence`: files of every kind, the table, the verdict in a line, the exit code."""

import pickle
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from described import shell

from knowledge_update.acceptance.convergence import read

CONVERGED = 1 + 3 * np.exp(-np.arange(600) / 40) + 0.1 * np.random.default_rng(0).standard_normal(600)
DIVERGING = CONVERGED + np.arange(600) / 100

Kupdate = Callable[..., tuple[int, str, str]]


class Planted:
    """An object that would run code when it is unpickled."""

    def __reduce__(self) -> tuple[Callable[[str], None], tuple[str]]:
        return pytest.fail, ("a loss file was unpickled",)


@pytest.fixture
def losses(tmp_path: Path) -> Path:
    folder = tmp_path / "losses"
    folder.mkdir()
    np.save(folder / "qa_pairs_001.npy", CONVERGED)
    np.save(folder / "qa_pairs_002.npy", CONVERGED[:400].astype(np.float32))
    return folder


def told(stdout: str) -> dict[str, tuple[str, str]]:
    """What stands in the table: by file, whether it converged and why."""
    rows = [[cell.strip() for cell in line.split("│")[1:-1]] for line in stdout.splitlines() if line.startswith("│")]
    return {row[0]: (row[1], row[-1]) for row in rows}


def test_all_that_converged_pass(kupdate: Kupdate, losses: Path) -> None:
    (losses / "notes.txt").write_text("not a loss", encoding="utf-8")
    code, stdout, stderr = kupdate("check", "convergence")
    assert (code, stderr) == (0, "")
    assert stdout.splitlines()[-1] == "converged: 2 of 2"
    assert {name: yes for name, (yes, _) in told(stdout).items()} == {
        "qa_pairs_001.npy": "yes",
        "qa_pairs_002.npy": "yes",
    }
    assert stdout.startswith("losses, rule settled: ")


def test_one_that_did_not_fails_all(kupdate: Kupdate, losses: Path) -> None:
    np.save(losses / "qa_pairs_003.npy", DIVERGING)
    code, stdout, _ = kupdate("check", "convergence", "--loss_folder", "losses", "--threshold", "0.001")
    assert (code, stdout.splitlines()[-1]) == (1, "not converged: 1 of 3 failed")
    assert told(stdout)["qa_pairs_003.npy"] == ("no", "still changing: by 0.0098 a step at step 540")
    # The described rule passes it, and is said to be weak.
    code, stdout, _ = kupdate("check", "convergence", "-f", losses, "-t", "0.001", "--rule", "any-pair")
    assert (code, stdout.splitlines()[-1]) == (0, "converged: 3 of 3")
    assert "weak" in stdout


def test_files_that_hold_no_loss_fail(kupdate: Kupdate, losses: Path) -> None:
    bad = {
        "nan": (np.where(np.arange(600) == 7, np.nan, CONVERGED), "no loss any more: nan at step 7"),
        "short": (CONVERGED[:9], "too short: 9 steps, at least 50 are needed"),
        "whole": (np.arange(600), "wrong type: int64, not floating point"),
        "square": (CONVERGED.reshape(20, 30), "wrong type: 2 dimensions, not one"),
        "single": (np.float64(1.0), "wrong type: 0 dimensions, not one"),
        "words": (np.array(["a", "b"]), "wrong type: <U1, not floating point"),
        "objects": (np.array([Planted()], dtype=object), "wrong type: objects"),
    }
    for name, (value, _) in bad.items():
        np.save(losses / f"{name}.npy", value)
    np.savez(losses / "archive.npz", CONVERGED)
    (losses / "archive.npz").rename(losses / "archive.npy")
    (losses / "pickled.npy").write_bytes(pickle.dumps(Planted()))
    (losses / "torn.npy").write_bytes((losses / "qa_pairs_001.npy").read_bytes()[:1000])
    (losses / "empty.npy").touch()
    (losses / "folder.npy").mkdir()
    wanted = {f"{name}.npy": reason for name, (_, reason) in bad.items()}
    wanted |= dict.fromkeys(("pickled.npy", "torn.npy", "empty.npy"), "unreadable: no whole NumPy array")
    wanted |= {"archive.npy": "wrong type: an archive", "folder.npy": "unreadable: Is a directory"}
    code, stdout, stderr = kupdate("check", "convergence")
    found = told(stdout)
    assert (code, stderr) == (1, "")
    assert stdout.splitlines()[-1] == "not converged: 12 of 14 failed"
    assert {name: found[name] for name in wanted} == {name: ("no", reason) for name, reason in wanted.items()}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "no such folder: losses; `kupdate check time` and `kupdate train` leave losses/*.npy"),
        (["-f", "."], ". holds no .npy file; "),
        (["-t", "0"], "--threshold 0: above 0"),
        (["-t", "nan"], "--threshold nan: above 0"),
        (["-t", "few"], "Invalid value for '--threshold' / '-t': Input should be a valid number"),
        (["--rule", "any"], "--rule any: one of settled, any-pair"),
        (["--treshold", "1"], "No such option: --treshold"),
        (["-s", "absent.py"], "no such script: absent.py"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_mistake_is_told_in_one_line(kupdate: Kupdate, words: list[str], message: str) -> None:
    code, _, stderr = kupdate("check", "convergence", *words)
    assert (code, stderr.count("\n")) == (2, 1), stderr
    assert stderr.startswith(f"kupdate: {message}")


def test_losses_come_as_they_were_written(losses: Path) -> None:
    assert np.array_equal(read(losses / "qa_pairs_001.npy"), CONVERGED)
    assert np.array_equal(read(losses / "qa_pairs_002.npy"), CONVERGED[:400].astype(np.float32))


@pytest.mark.parametrize(
    "words",
    [[], ["-f", "losses", "-t", "0.0005"], ["--folder=losses", "--threshold", "0.001", "-s", "cauchy_test.py"]],
    ids=lambda words: " ".join(words) or "no options",
)
def test_the_described_script(losses: Path, tmp_path: Path, words: list[str]) -> None:
    ended = shell("cauchy_test.sh", tmp_path, *words)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout.splitlines()[-1] == "converged: 2 of 2"


def test_a_script_of_ones_own_judges_instead(losses: Path, tmp_path: Path) -> None:
    own = tmp_path / "my own.py"
    own.write_text("import sys\nprint(sys.argv[1:])\nsys.exit(3)\n", encoding="utf-8")
    ended = shell("cauchy_test.sh", tmp_path, "-s", str(own), "-f", "some", "-t", "0.5")
    assert ended.returncode == 3
    assert ended.stdout == "['--loss_folder', 'some', '--threshold', '0.5']\n"
