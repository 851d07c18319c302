"""A chat model put to work on documents: from the configuration to finished documents, one after another."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain
from pathlib import Path

from knowledge_update.chat_models.calls import Journal
from knowledge_update.chat_models.session import at_work
from knowledge_update.config import Config
from knowledge_update.documents.blocks import Document
from knowledge_update.documents.chunking import Passage
from knowledge_update.writing.prompted import prompts
from knowledge_update.writing.prompted.writer import Writer, Written


def write(
    documents: Iterable[tuple[Document, Sequence[Passage]]],
    config: Config,
    journal: Journal,
    tell: Callable[[float, str], None] = lambda finished, note: None,
    log_file: Path | None = None,
) -> Iterator[tuple[Document, Sequence[Passage], Written]]:
    """Yields documents as a chat model finishes them.

    Args:
        documents: With their passages; taken as there is room for more.
        config: Of the writer: which model, where, and how fast.
        journal: Keeps every answer, so that none is asked for twice.
        tell: Is told after every answer how many documents are finished, with a passage's share of its own, and what
            has come of the work so far.
        log_file: Where the output of a server goes that is started.

    Raises:
        ConfigError: When the server refuses the key, the address or the model.
        ModelError: When a model of this machine cannot be loaded.
        WorkError: When the server does not start or stays away; what was answered is kept.
        KeyboardInterrupt: After the first Ctrl-C, when the answers under way have come.
    """
    settings, queue = config.writer, iter(documents)
    texts = prompts.load(Path(settings.prompts).expanduser() if settings.prompts else None)
    first = next(queue, None)
    if first is None:
        # No model is loaded and no server started for nothing.
        return

    def heard() -> None:
        found = (f"{writer.facts} facts", f"{writer.questions} questions")
        tell(writer.finished, session.tally.note(*found))

    with at_work(settings, config.model, journal, log_file or Path("vllm.log"), heard) as session:
        writer = Writer(session.calls, texts, settings)
        finished = writer.write(chain([first], queue))
        session.closing.append(finished.aclose)
        while (document := session.run(lambda: anext(finished, None))) is not None:
            yield document
