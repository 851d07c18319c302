"""A tiny model with its encoder, and rows of every kind."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from knowledge_update.models import load_model, load_tokenizer, precision
from knowledge_update.run_folder import RunFolder, read_rows, write_rows
from knowledge_update.templates import ChatTemplate
from knowledge_update.training.replay import PROMPTS
from knowledge_update.training.rows import Encoded, Encoder


@pytest.fixture(scope="module")
def answer_prompts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[RunFolder], None]]:
    """`answer_prompts(folder)` leaves answers to the general prompts: a model of chance has none to be kept up.

    A module that does so has a cache of its own: in the others' they would be what the model has said.
    """

    def answer(folder: RunFolder) -> None:
        prompts = [row for row in read_rows(PROMPTS) if row["lang"] == "en"][:40]
        # What is not among them is asked, and answered by nothing.
        write_rows(folder.replay, [{"id": row["id"], "prompt": row["prompt"], "answer": "a tower"} for row in prompts])

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KUPDATE_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield answer


@pytest.fixture
def model(tiny_model: str) -> Any:
    return load_model(tiny_model, precision("float32", "cpu"))


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
