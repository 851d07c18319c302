"""The chat as it is typed into a real terminal, and with lines piped in."""

import errno
import json
import os
import pty
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM

ROOT = Path(__file__).parents[2]
Kupdate = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="module")
def run_of(tiny_model: str, shared_docs: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run, trained on the tiny model."""
    folder = tmp_path_factory.mktemp("runs") / "run (1)"
    words = [f"model={tiny_model}", "training.epochs=1", "evaluation.retention=false", "model.dtype=float32"]
    for verb in (["collect", str(shared_docs), *words, "--out", str(folder)], ["train", str(folder)]):
        subprocess.run([sys.executable, "-m", "knowledge_update", *verb], env=environment(), check=True, timeout=600,
                       stdout=subprocess.DEVNULL)  # fmt: skip
    return folder


def environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT), "HF_HUB_OFFLINE": "1", "TERM": "xterm", "COLUMNS": "300"}


class Pty:
    """A chat in a terminal of its own."""

    def __init__(self, *words: str | Path, cwd: Path) -> None:
        self.master, slave = pty.openpty()
        self.process = subprocess.Popen(
            [sys.executable, "-m", "knowledge_update", "chat", *map(str, words)], cwd=cwd, env=environment(),
            stdin=slave, stdout=slave, stderr=slave, start_new_session=True,
            preexec_fn=lambda: __import__("fcntl").ioctl(0, __import__("termios").TIOCSCTTY, 0),
        )  # fmt: skip
        os.close(slave)
        self.seen = ""

    def until(self, text: str, seconds: float = 600) -> list[str]:
        """Reads until this is there; returns what came, piece by piece."""
        pieces, came, end = [], "", time.monotonic() + seconds
        while text not in came:
            assert time.monotonic() < end, f"no {text!r} in {came!r}"
            if not select.select([self.master], [], [], 1)[0]:
                continue
            try:
                piece = os.read(self.master, 4096).decode("utf-8", "replace")
            except OSError as error:
                assert error.errno == errno.EIO
                raise AssertionError(f"it ended without {text!r}: {came!r}") from error
            pieces.append(piece)
            came += piece
        self.seen += came
        return pieces

    def say(self, text: str) -> None:
        os.write(self.master, text.encode())

    def ended(self) -> int:
        return self.process.wait(timeout=600)

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        os.close(self.master)


@pytest.fixture
def chat(tmp_path: Path) -> Iterator[Callable[..., Pty]]:
    opened: list[Pty] = []

    def start(*words: str | Path) -> Pty:
        opened.append(Pty(*words, cwd=tmp_path))
        return opened[-1]

    yield start
    for one in opened:
        one.close()


@pytest.fixture(scope="module")
def endless(tiny_model: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny model, made never to end an answer, and slow enough to be stopped."""
    import shutil

    folder = tmp_path_factory.mktemp("endless") / "endless"
    shutil.copytree(tiny_model, folder)
    model = AutoModelForCausalLM.from_pretrained(tiny_model, dtype=torch.float32)
    for parameter in model.get_decoder().layers.parameters():
        parameter.data.mul_(12)
    model.config.tie_word_embeddings = False
    head = torch.nn.Parameter(model.get_output_embeddings().weight.detach().clone())
    head.data[:3] = 0
    model.lm_head.weight = head
    model.save_pretrained(folder)
    return folder


def test_a_conversation_in_a_terminal(chat: Callable[..., Pty], run_of: Path, tmp_path: Path) -> None:
    talk = chat(run_of, "--max_new_tokens=20")
    talk.until("is ready; /help shows what there is besides talking")
    talk.until("you: ")
    talk.say("Who built \x1b[31mTolvick\x07 Lighthouse?\n")
    talk.until("you: ")
    for said, expected in (
        ("/help\n", "base and updated side by side"), ("/facts\n", ""), ("/compare\n", "updated"),
        ("/system Be brief.\n", "Be brief."), ("/set temperature 0.5\n", "temperature 0.5"), ("/retry\n", ""),
        ("/save a b.jsonl\n", "appended to a b.jsonl"), ("/undo\n", "taken back: "), ("\n", ""),
        ("/undo\n", "nothing has been said yet"), ("/set heat 1\n", "no setting 'heat'"),
        ("/sing\n", "no command /sing"),
        ("/save /proc/x/y\n", "nothing has been said yet"), ("first \\\n", "...: "), ("second\n", ""),
        ('"""\n', "...: "), ("one\n", "...: "), ("two\n", "...: "), ('"""\n', ""), ("/new\n", ""),
    ):  # fmt: skip
        talk.say(said)
        if expected:
            talk.until(expected)
        if expected != "...: ":
            talk.until("you: ")
    talk.say("/quit\n")
    assert talk.ended() == 0
    assert "\x07" not in talk.seen.replace("\x1b]0;", "")
    (row,) = [json.loads(line) for line in (tmp_path / "a b.jsonl").read_text(encoding="utf-8").splitlines()]
    assert [message["role"] for message in row["messages"]] == ["system", "user", "assistant"]
    assert "\x1b" not in row["messages"][1]["content"]


def test_tokens_are_seen_as_they_come_and_ctrl_c_stops_them(chat: Callable[..., Pty], endless: Path) -> None:
    talk = chat(endless, "--max_new_tokens=1500", "model.dtype=float32")
    talk.until("you: ")
    talk.say("Who built it?\n")
    talk.until("\n")
    pieces = []
    for _ in range(20):
        select.select([talk.master], [], [], 300)
        pieces.append(os.read(talk.master, 4096))
    assert len(pieces) == 20, "it came in one"
    talk.say("\x03")
    talk.until(" …")
    talk.until("you: ")
    assert talk.process.poll() is None
    talk.say("/set max_new_tokens 5\n")
    talk.until("max_new_tokens 5")
    talk.until("you: ")
    talk.say("And now?\n")
    talk.until("you: ")
    # At the prompt it ends only what is said twice.
    talk.say("\x03")
    talk.until("Ctrl-C again")
    talk.until("you: ")
    talk.say("Still there?\n")
    talk.until("you: ")
    talk.say("\x03")
    talk.until("you: ")
    talk.say("\x03")
    assert talk.ended() == 0


@pytest.mark.parametrize("how", ["\x04", signal.SIGTERM])
def test_it_ends_when_it_is_told_to(chat: Callable[..., Pty], endless: Path, how: Any) -> None:
    talk = chat(endless, "--max_new_tokens=1500")
    talk.until("you: ")
    if isinstance(how, str):
        talk.say(how)
    else:
        talk.say("Who?\n")
        talk.until("\n")
        talk.process.send_signal(how)
    assert talk.ended() == 0


def piped(lines: str | bytes, *words: str | Path, cwd: Path) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [sys.executable, "-m", "knowledge_update", "chat", *map(str, words)], cwd=cwd, env=environment(), timeout=600,
        input=lines.encode() if isinstance(lines, str) else lines, capture_output=True, check=False,
    )  # fmt: skip


def test_piped_lines_are_answered_one_by_one(endless: Path, tmp_path: Path) -> None:
    words = [endless, "--max_new_tokens=8", "model.dtype=float32"]
    both = piped("Who built it?\n\n/new\nWho?", *words, cwd=tmp_path)
    assert (both.returncode, both.stderr) == (0, b"")
    once = piped("Who built it?\n", *words, cwd=tmp_path).stdout
    quiet = piped("Who built it?\n", *words, "--no-stream", cwd=tmp_path).stdout
    assert once == quiet and both.stdout.startswith(once) and len(both.stdout.strip().splitlines()) >= 2


def test_bad_lines_are_told_and_the_next_is_answered(endless: Path, tmp_path: Path) -> None:
    lines = b"/sing\n" + b"x y " * 25_000 + b"\n/facts\n/compare\n\xff\xfe\x00\x1b[2J\xe7\x81\xaf?\nWho?\n"
    ended = piped(lines, endless, "--max_new_tokens=4", cwd=tmp_path)
    told = ended.stderr.decode().splitlines()
    assert ended.returncode == 1 and len(told) == 4
    assert told[0] == "no command /sing; /help shows them"
    assert "tokens long, and " in told[1]
    assert told[2] == "no ledger is known: name the run folder instead of a model"
    assert told[3].startswith("there is no base to compare with")
    assert len(ended.stdout.splitlines()) >= 2 and b"\x1b" not in ended.stdout


def test_the_described_command_runs(endless: Path, tmp_path: Path) -> None:
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "llama-7b-hf-finetune").symlink_to(endless)
    words = [
        "--model_path=./models/llama-7b-hf-finetune",
        "--num_gpus=2",
        "--input_pattern=prompt",
        "--load_8bit=False",
    ]
    ended = piped("Who built it?\n", *words, "--max_new_tokens=4", cwd=tmp_path)
    assert (ended.returncode, ended.stderr) == (0, b"")
    first, *rest = ended.stdout.decode().splitlines()
    assert first == "2 GPUs were asked for: computing on the CPU" and rest


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["chat", "a", "--model_path=b"], "two models were named: a and --model_path b; give one of them"),
        (["chat", "a", "--input_pattern=x"], "--input_pattern x: one of chat, prompt"),
        (["chat", "a", "--lora_weights=b"], "no adapter 'b': give a run folder"),
        (["chat", "--modle_path=a"], "chat has no option --modle_path; did you mean --model_path?"),
        (["chat", "a", "--num_gpus=0"], "Invalid value for '--num-gpus'"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_mistakes_are_told_in_a_line(kupdate: Kupdate, words: list[str], message: str) -> None:
    code, _, stderr = kupdate(*words)
    assert (code, stderr.count("\n")) == (2, 1), stderr
    assert stderr.startswith("kupdate: " + message)
