"""A tiny model with its encoder, and rows of every kind."""

from typing import Any

import pytest

from knowledge_update.models import load_model, load_tokenizer, precision
from knowledge_update.templates import ChatTemplate
from knowledge_update.training.rows import Encoded, Encoder


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
