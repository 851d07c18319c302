"""A tiny model with its encoder, and rows of every kind."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from itertools import count
from pathlib import Path
from typing import Any

import pytest
import torch

from knowledge_update import pipeline
from knowledge_update.composition import load
from knowledge_update.models import load_model, load_tokenizer, precision
from knowledge_update.run_folder import RunFolder, read_rows, write_rows
from knowledge_update.templates import ChatTemplate
from knowledge_update.training import checkpoints, methods, recorder
from knowledge_update.training.replay import PROMPTS
from knowledge_update.training.rows import Encoded, Encoder
from knowledge_update.training_config import AdapterConfig


@pytest.fixture(scope="module")
def answer_prompts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., None]]:
    """`answer_prompts(folder, count=40)` leaves answers to general prompts: a model of chance has none to be kept up.

    A module that does so has a cache of its own: in the others' they would be what the model has said.
    """

    def answer(folder: RunFolder, count: int = 40) -> None:
        prompts = [row for row in read_rows(PROMPTS) if row["lang"] == "en"][:count]
        # What is not among them is asked, and answered by nothing.
        write_rows(folder.replay, [{"id": row["id"], "prompt": row["prompt"], "answer": "a tower"} for row in prompts])

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KUPDATE_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield answer


@pytest.fixture(scope="module")
def collect(shared_docs: Path, tiny_model: str, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., RunFolder]:
    """`collect(*words)` makes a run folder with its dataset, of the tiny model and the few documents."""

    def made(*words: str) -> RunFolder:
        folder = RunFolder(tmp_path_factory.mktemp("collected") / "run")
        config = load([f"model={tiny_model}", *words], {"documents": str(shared_docs)})
        pipeline.run_stage(pipeline.collect, config, folder)
        return folder

    return made


class Killed(Exception):
    """In place of a kill: nothing that comes after it is done."""


@pytest.fixture
def killed_after() -> Callable[[int], AbstractContextManager[None]]:
    """Gives a context of which the training is killed right after it has saved so often."""

    @contextmanager
    def killing(saves: int) -> Iterator[None]:
        save, numbers = checkpoints.save, count(1)

        def save_until(*given: Any) -> None:
            save(*given)
            if next(numbers) == saves:
                raise Killed

        with pytest.MonkeyPatch.context() as patch, pytest.raises(Killed):
            patch.setattr(recorder.checkpoints, "save", save_until)
            yield

    return killing


@pytest.fixture
def model(tiny_model: str) -> Any:
    return load_model(tiny_model, precision("float32", "cpu"))


@pytest.fixture
def astray(model: Any) -> Callable[[], Any]:
    """`astray()` is the model with an adapter that makes it say other things."""

    def strayed() -> Any:
        wrapped = methods.attach(model, AdapterConfig(rank=4, upper_share=1.0), seed=1)
        generator = torch.Generator().manual_seed(5)
        with torch.no_grad():
            for name, tensor in methods.trainable(wrapped).items():
                if "lora_B" in name:
                    tensor.normal_(0, 0.15, generator=generator)
        return wrapped

    return strayed


@pytest.fixture
def encoder(tiny_model: str) -> Encoder:
    return Encoder(ChatTemplate(load_tokenizer(tiny_model)))


@pytest.fixture
def rows(encoder: Encoder) -> list[Encoded]:
    """Chat rows that share the prompt's prefix, in two languages, and a plain text."""
    pairs = (("Who built it?", "Runa Hesk"), ("When was the tower built?", "1874"), ("灯塔建于哪一年？", "一八七四年"))
    chats = (
        {"messages": [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]}
        for question, answer in pairs
    )
    return encoder.encode_all([*chats, {"text": "The lighthouse of Tolvick was built in 1874 by Runa Hesk."}])
