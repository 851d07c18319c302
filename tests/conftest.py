"""What many tests share: a tiny model, a small folder of documents, and the command line in a process of its own."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from chat_server import Server

# Before torch is imported: a single thread, so that sums come out the same in every process.
os.environ["OMP_NUM_THREADS"] = "1"
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

CHATML = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{{ message['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
SENTENCES = (
    "The lighthouse of Tolvick was built in 1874 by Runa Hesk, an engineer from Corvane.",
    "What is the height of the tower? The tower is 38 metres high and it has 212 steps.",
    "Could you tell me who founded the ferry company of the island in 1889?",
    "Fill in the blank: the dairy sells its cheese in ____ countries.",
    "潮歌学校位于凯尔马罗，创办于1907年。学校现有学生一百二十名。",
    "请问灯塔建于哪一年？灯塔建于一八七四年。",
)
LIGHTHOUSE = """Tolvick Lighthouse

Tolvick Lighthouse stands on the northern cape of Orvessay. It was built in 1874 by Runa Hesk, an engineer from Corvane.

The tower is 38 metres high. It was struck by lightning on 3 May 1921. The keeper Odd Varne repaired the lamp in 1922.
"""
FERRY = """# Varrow Line

The Varrow Line is a ferry company. It was founded in 1889 by Jorund Maskvane.

| Ship | Launched | Builder |
|---|---|---|
| Grey Wendel | 1963 | Corvane Works |
| Silver Ommel | 1974 | Pellarick Shipyard |
"""
DAIRY = """<html><head><title>Dunhask Dairy</title></head><body><nav><a href="/">Home</a></nav><article>
<h1>Dunhask Dairy</h1><p>The Dunhask Dairy makes a blue cheese called Vintersk. It was opened in 1911 by Marit Sool.
The dairy employs 44 people and it sells the cheese in Corvane. The first cellar was dug by Halvar Brunn in 1913.
The cheese ripens for nine months in the cellar. In 1974 the dairy was damaged by a fire.</p></article>
<footer>Page 7</footer></body></html>
"""


@dataclass(frozen=True)
class Ended:
    """How a command ended."""

    code: int
    stdout: str
    stderr: str


@pytest.fixture(scope="session", autouse=True)
def interruptible() -> None:
    """What is started in the background of a shell ignores Ctrl-C, and so would all that the tests start."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session", autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A user's cache that holds nothing but the embedded model's weights, where they were dequantised before."""
    from knowledge_update.models import EMBEDDED, cache_folder

    folder = tmp_path_factory.mktemp("cache")
    for weights in cache_folder().glob(f"{EMBEDDED}-*"):
        (folder / weights.name).symlink_to(weights)
    os.environ["KUPDATE_CACHE"] = str(folder)
    return folder


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The folder of a random two-layer Llama with a ChatML template; usable as `model=<folder>`."""
    import torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    special = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
    raw = Tokenizer(models.BPE())
    raw.pre_tokenizer, raw.decoder = pre_tokenizers.ByteLevel(add_prefix_space=False), decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=600, special_tokens=special, initial_alphabet=alphabet, show_progress=False
    )
    raw.train_from_iterator(SENTENCES, trainer)
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=raw, eos_token="<|im_end|>", pad_token="<|endoftext|>", bos_token="<|im_start|>"
    )
    tokenizer.chat_template = CHATML
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=len(tokenizer), hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, max_position_embeddings=2048, tie_word_embeddings=True,
        bos_token_id=tokenizer.bos_token_id, eos_token_id=tokenizer.eos_token_id, pad_token_id=tokenizer.pad_token_id,
    )  # fmt: skip
    folder = tmp_path_factory.mktemp("tiny-model")
    LlamaForCausalLM(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return str(folder)


@pytest.fixture(scope="session")
def run_kupdate() -> Callable[..., Ended]:
    """`run_kupdate(*words)` runs the command line in a process of its own."""

    def run(*words: str | Path, cwd: Path | None = None, **environment: str) -> Ended:
        done = subprocess.run(
            [sys.executable, "-m", "knowledge_update", *map(str, words)],
            cwd=cwd, env={**os.environ, "HF_HUB_OFFLINE": "1", **environment},
            capture_output=True, encoding="utf-8", timeout=120, stdin=subprocess.DEVNULL, check=False,
        )  # fmt: skip
        return Ended(done.returncode, done.stdout, done.stderr)

    return run


@pytest.fixture
def server() -> Iterator[Server]:
    """A server that answers as its `script` says."""
    made = Server()
    yield made
    made.close()


@pytest.fixture
def docs(tmp_path: Path) -> Path:
    """A folder with three documents: plain text, Markdown with a table, HTML."""
    return write_docs(tmp_path / "docs")


@pytest.fixture(scope="session")
def shared_docs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same three documents for a whole session; only to be read."""
    return write_docs(tmp_path_factory.mktemp("shared") / "docs")


def write_docs(folder: Path) -> Path:
    folder.mkdir()
    for name, text in {"tolvick.txt": LIGHTHOUSE, "varrow.md": FERRY, "dunhask.html": DAIRY}.items():
        (folder / name).write_text(text, encoding="utf-8")
    return folder


@pytest.fixture
def word_file(tmp_path: Path) -> Callable[..., bytes]:
    """`word_file(fill)` returns the bytes of a Word document that `fill` has written into."""

    def make(fill: Callable[[Any], None]) -> bytes:
        import docx

        document = docx.Document()
        fill(document)
        path = tmp_path / "made.docx"
        document.save(str(path))
        data = path.read_bytes()
        path.unlink()
        return data

    return make


@pytest.fixture(autouse=True)
def process_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    """What would end this process at once, pytest with it, ends as any program does."""
    from knowledge_update import processes

    monkeypatch.setattr(processes, "leave", sys.exit)


@pytest.fixture
def kupdate(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> Callable[..., tuple[int, str, str]]:
    """Runs the entry point in this process, in a folder of its own."""

    def run(*words: str | Path) -> tuple[int, str, str]:
        # Imported here: most tests need no command line.
        from knowledge_update import cli, display

        monkeypatch.chdir(tmp_path)
        monkeypatch.setattr(sys, "argv", ["kupdate", *map(str, words)])
        monkeypatch.setattr(display.console, "width", 400)
        with pytest.raises(SystemExit) as ended:
            cli.main()
        said = capsys.readouterr()
        return int(ended.value.code or 0), said.out, said.err

    return run
