"""Arms: processes that stay loaded and train in turn; whatever else the machine does meets all of them alike."""

import json
import os
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parents[1]
Row = dict[str, Any]


@dataclass(frozen=True)
class Arm:
    """Somebody's training.

    Args:
        name: Under which its figures are written.
        python: The interpreter of its environment.
        script: Its script in `peers/`.
        options: Of the script.
        steps: Optimizer steps of a turn.
        turns: How many turns it takes at most; slow arms take fewer.
    """

    name: str
    python: Path
    script: str
    options: tuple[str, ...] = ()
    steps: int = 1
    turns: int = 5


@dataclass
class Measured:
    """What an arm's turns came to.

    Args:
        about: Versions, threads, data types, the hash of its rows.
        turns: Seconds and losses of each turn's steps, without the first turn, and memory above the loaded model, GiB.
        error: Why there are none.
    """

    about: Row = field(default_factory=dict)
    turns: list[Row] = field(default_factory=list)
    error: str = ""

    @property
    def losses(self) -> list[float]:
        """Of all steps, the first ones too."""
        return [*self.about.get("first", ()), *(loss for turn in self.turns for loss in turn["losses"])]

    def rates(self, amount: float) -> list[float]:
        """Of each turn, how much went through a second, when a step takes `amount`."""
        return [amount * len(turn["seconds"]) / sum(turn["seconds"]) for turn in self.turns]


class Process:
    """An arm's process.

    Args:
        arm: Whose.
        task: The file of its rows.
        log: Where what it says besides goes.

    Raises:
        RuntimeError: When it does not start, with the end of what it said.
    """

    def __init__(self, arm: Arm, task: Path, log: Path) -> None:
        self.arm, self.log = arm, log
        # Every arm may use all cores.
        environment = {name: value for name, value in os.environ.items() if name != "OMP_NUM_THREADS"}
        environment |= {"HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false", "TQDM_DISABLE": "1"}
        command = [arm.python, HERE / "peers" / arm.script, task, *arm.options]
        with log.open("w") as out:
            self._child = subprocess.Popen(
                list(map(str, command)), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=out, text=True,
                env=environment,
            )  # fmt: skip
        self.about = self._read()

    def train(self, steps: int, adapter: Path | None = None) -> Row:
        """Trains a number of steps, then writes the adapter if it is wanted; returns what the arm says of them."""
        assert self._child.stdin is not None
        self._child.stdin.write(f"{steps} {adapter or ''}\n")
        self._child.stdin.flush()
        return self._read()

    def stop(self) -> None:
        """Ends the process."""
        assert self._child.stdin is not None
        self._child.stdin.close()
        try:
            self._child.wait(30)
        except subprocess.TimeoutExpired:
            self._child.kill()
            self._child.wait()

    def _read(self) -> Row:
        assert self._child.stdout is not None
        line = self._child.stdout.readline()
        if not line:
            said = self.log.read_text(errors="replace").strip()[-600:]
            raise RuntimeError(f"ended {self._child.wait()}: {said}")
        read: Row = json.loads(line)
        return read


def interleaved(
    arms: Sequence[tuple[Arm, Path]], expected: dict[Path, str], turns: int
) -> Iterator[dict[str, Measured]]:
    """Trains arms in turn, A B C A B C …; yields what came of them after every round, the first being warm-up.

    Args:
        arms: Each with the file of its rows.
        expected: The hash of the rows in a file.
        turns: Rounds after the first.
    """
    found = {arm.name: Measured() for arm, _ in arms}
    with ExitStack() as stack:
        running: list[Process] = []
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        for arm, task in arms:
            with _failing(found[arm.name]):
                process = Process(arm, task, folder / f"{arm.name}.log")
                stack.callback(process.stop)
                found[arm.name].about = process.about
                if process.about["hash"] != expected[task]:
                    raise RuntimeError(f"{arm.name} trains other rows than it was given")
                running.append(process)
        for turn in range(turns + 1):
            for process in running:
                measured = found[process.arm.name]
                if measured.error or turn > process.arm.turns:
                    continue
                with _failing(measured):
                    done = process.train(process.arm.steps if turn else 1)
                    if turn:
                        measured.turns.append(done)
                    else:
                        measured.about["first"] = done["losses"]
            yield found


@contextmanager
def _failing(measured: Measured) -> Iterator[None]:
    """An arm that fails is named with its error; the others go on."""
    try:
        yield
    except (OSError, RuntimeError, ValueError) as error:
        measured.error = str(error)
