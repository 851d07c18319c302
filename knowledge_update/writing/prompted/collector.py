"""A chat model put to work on documents: from the configuration to finished documents, one after another."""

import asyncio
import gc
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from pathlib import Path

from knowledge_update.chat_models.backend import opened
from knowledge_update.chat_models.calls import Calls
from knowledge_update.chat_models.protocol import Fatal, Gone
from knowledge_update.chat_models.window import Window
from knowledge_update.config import Config, WriterConfig
from knowledge_update.display import log
from knowledge_update.documents.blocks import Document
from knowledge_update.documents.chunking import Passage
from knowledge_update.errors import ConfigError, WorkError
from knowledge_update.ledger import Ledger
from knowledge_update.writing.prompted import prompts
from knowledge_update.writing.prompted.writer import Writer, Written


def write(
    documents: Iterable[tuple[Document, Sequence[Passage]]], config: Config, ledger: Ledger
) -> Iterator[tuple[Document, Sequence[Passage], Written]]:
    """Yields documents as a chat model finishes them.

    Args:
        documents: With their passages; taken as there is room for more.
        config: Of the writer: which model, where, and how fast.
        ledger: Keeps every answer, so that none is asked for twice.

    Raises:
        ConfigError: When the server refuses the key, the address or the model.
        ModelError: When a model of this machine cannot be loaded.
        WorkError: When the server does not start or stays away; what was answered is kept.
    """
    settings, queue = config.writer, iter(documents)
    texts = prompts.load(Path(settings.prompts).expanduser() if settings.prompts else None)
    first = next(queue, None)
    if first is None:
        # No model is loaded and no server started for nothing.
        return
    window = Window(settings.concurrency, rpm=settings.rpm, tpm=settings.tpm)
    log_file = ledger.path.with_name("vllm.log")
    with opened(settings, config.model, log_file) as model, asyncio.Runner() as runner:
        calls = Calls(model, window, ledger, settings.patience)
        finished = Writer(calls, texts, settings).write(chain([first], queue))
        # What was loaded before stays: searching it for garbage again and again took a tenth of a request's time.
        gc.freeze()

        async def following() -> tuple[Document, Sequence[Passage], Written] | None:
            return await anext(finished, None)

        async def end() -> None:
            await finished.aclose()
            await model.close()

        try:
            while (document := runner.run(following())) is not None:
                yield document
        except Gone as error:
            raise WorkError(f"{_who(settings)}: {error}; the same command goes on from here") from error
        except Fatal as error:
            raise ConfigError(f"{_who(settings)}: {error}") from error
        finally:
            gc.unfreeze()
            runner.run(end())
            log.info(
                "%d requests answered (%d prompt and %d answer tokens), %d known from before",
                calls.asked, calls.prompt_tokens, calls.completion_tokens, calls.known,
            )  # fmt: skip


def _who(config: WriterConfig) -> str:
    """The chat model, as the configuration names it."""
    where = f", writer.base_url={config.base_url}" if config.name == "api" else ""
    what = f", writer.model={config.model}" if config.model else ""
    return f"writer={config.name}{where}{what}"
