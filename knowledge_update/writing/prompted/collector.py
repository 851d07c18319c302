"""A chat model put to work on documents: from the configuration to finished documents, one after another."""

import asyncio
import gc
import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from knowledge_update.chat_models.calls import Calls
from knowledge_update.chat_models.endpoint import Endpoint
from knowledge_update.chat_models.protocol import Fatal, Gone
from knowledge_update.chat_models.window import Window
from knowledge_update.config import WriterConfig
from knowledge_update.display import log
from knowledge_update.documents.blocks import Document
from knowledge_update.documents.chunking import Passage
from knowledge_update.errors import ConfigError, WorkError
from knowledge_update.ledger import Ledger
from knowledge_update.writing.prompted import prompts
from knowledge_update.writing.prompted.writer import Writer, Written


def write(
    documents: Iterable[tuple[Document, Sequence[Passage]]], config: WriterConfig, ledger: Ledger
) -> Iterator[tuple[Document, Sequence[Passage], Written]]:
    """Yields documents as a chat model finishes them.

    Args:
        documents: With their passages; taken as there is room for more.
        config: Which model, where, and how fast.
        ledger: Keeps every answer, so that none is asked for twice.

    Raises:
        ConfigError: When the server refuses the key, the address or the model.
        WorkError: When the server stays away; what was answered is kept.
    """
    texts = prompts.load(Path(config.prompts).expanduser() if config.prompts else None)
    if not config.base_url or not config.model:
        raise ConfigError("writer=api needs writer.base_url=URL (up to /v1) and writer.model=NAME")
    endpoint = Endpoint(config.base_url, config.model, os.environ.get(config.key_variable, ""), config.timeout)
    window = Window(config.concurrency, rpm=config.rpm, tpm=config.tpm)
    calls = Calls(endpoint, window, ledger, config.patience)
    writer = Writer(calls, texts, config.wordings_per_fact, config.temperature)
    # What was loaded before stays: searching it for garbage again and again took a tenth of a request's time.
    gc.freeze()
    with asyncio.Runner() as runner:
        finished = writer.write(documents)

        async def following() -> tuple[Document, Sequence[Passage], Written] | None:
            return await anext(finished, None)

        async def end() -> None:
            await finished.aclose()
            await endpoint.close()

        try:
            while (document := runner.run(following())) is not None:
                yield document
        except Gone as error:
            raise WorkError(f"{config.base_url}: {error}; the same command goes on from here") from error
        except Fatal as error:
            raise ConfigError(f"writer.base_url={config.base_url}, writer.model={config.model}: {error}") from error
        finally:
            gc.unfreeze()
            runner.run(end())
            log.info(
                "%d requests answered (%d prompt and %d answer tokens), %d known from before",
                calls.asked, calls.prompt_tokens, calls.completion_tokens, calls.known,
            )  # fmt: skip
