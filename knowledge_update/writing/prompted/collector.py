"""A chat model put to work on documents: from the configuration to finished documents, one after another."""

import asyncio
import gc
import signal
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import chain
from pathlib import Path

from knowledge_update.chat_models.backend import opened
from knowledge_update.chat_models.calls import Calls, Journal
from knowledge_update.chat_models.protocol import Fatal, Gone, Stopped
from knowledge_update.chat_models.window import Window
from knowledge_update.config import Config, WriterConfig
from knowledge_update.display import log
from knowledge_update.documents.blocks import Document
from knowledge_update.documents.chunking import Passage
from knowledge_update.errors import ConfigError, WorkError
from knowledge_update.writing.prompted import prompts
from knowledge_update.writing.prompted.writer import Writer, Written

# Whoever stops the work waits so many seconds at most for answers that are under way.
_LONGEST_END = 20.0
# What finds out what a server can goes before all that waits.
_FIRST = 9
# Ctrl-C, and what a scheduler sends that wants its machine back.
_SIGNALS = (signal.SIGINT, signal.SIGTERM)


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
    window = Window(settings.concurrency, rpm=settings.rpm, tpm=settings.tpm)
    with (
        opened(settings, config.model, log_file or Path("vllm.log"), lambda: window.place(_FIRST)) as model,
        asyncio.Runner() as runner,
    ):
        calls = Calls(
            model,
            window,
            journal,
            settings.patience,
            settings.max_failures,
            lambda: tell(writer.finished, tally.note()),
        )
        writer = Writer(calls, texts, settings)
        tally = _Tally(calls, writer, settings)
        finished = writer.write(chain([first], queue))
        # What was loaded before stays: searching it for garbage again and again took a tenth of a request's time.
        gc.freeze()

        async def following() -> tuple[Document, Sequence[Passage], Written] | None:
            return await window.unless_stopped(anext(finished, None))

        async def end() -> None:
            await finished.aclose()
            await model.close()

        try:
            with _stoppable(runner.get_loop(), window):
                while (document := runner.run(following())) is not None:
                    yield document
        except Stopped as error:
            runner.run(calls.finish(_LONGEST_END))
            raise KeyboardInterrupt from error
        except Gone as error:
            raise WorkError(f"{_who(settings)}: {error}; the same command goes on from here") from error
        except Fatal as error:
            raise ConfigError(f"{_who(settings)}: {error}") from error
        finally:
            gc.unfreeze()
            runner.run(end())
            log.info("%s", tally.summary())


@contextmanager
def _stoppable(loop: asyncio.AbstractEventLoop, window: Window) -> Iterator[None]:
    """The first Ctrl-C lets nothing more leave, so that what is under way can be waited for; the second ends that."""

    def stop() -> None:
        for number in _SIGNALS:
            loop.remove_signal_handler(number)
        log.info(
            "stopping: waiting for %d answers under way, %.0f s at most (Ctrl-C again: at once)",
            window.under_way, _LONGEST_END,
        )  # fmt: skip
        window.stop()

    # Signals are for the main thread alone, and not every system's loop takes them: Ctrl-C stops at once there.
    taken = threading.current_thread() is threading.main_thread() and hasattr(signal, "SIGUSR1")
    handlers = {number: signal.getsignal(number) for number in _SIGNALS} if taken else {}
    for number in handlers:
        loop.add_signal_handler(number, stop)
    try:
        yield
    finally:
        for number, before in handlers.items():
            loop.remove_signal_handler(number)
            signal.signal(number, before)


class _Tally:
    """What was asked and what came of it, counted in this attempt.

    Args:
        calls: Counts the answers.
        writer: Counts facts and questions.
        config: Has the prices.
    """

    def __init__(self, calls: Calls, writer: Writer, config: WriterConfig) -> None:
        self.calls, self.writer, self.config = calls, writer, config
        self._began = time.monotonic()

    def note(self) -> str:
        """How far the work is, short."""
        calls = self.calls
        rate = calls.asked / max(1e-9, time.monotonic() - self._began)
        tokens = (calls.prompt_tokens + calls.completion_tokens) / 1000
        said = (
            f"{calls.asked} answers ({rate:.1f}/s), {tokens:.0f}k tokens, {self.writer.facts} facts, "
            f"{self.writer.questions} questions"
        )
        return said + self._money()

    def summary(self) -> str:
        """All of it, at the end."""
        calls = self.calls
        failed = f", {calls.failed} without an answer" if calls.failed else ""
        return (
            f"{calls.asked} requests answered ({calls.prompt_tokens} prompt and {calls.completion_tokens} answer "
            f"tokens{self._money()}), {calls.known} known from before{failed}"
        )

    def _money(self) -> str:
        if self.config.prompt_price is None and self.config.answer_price is None:
            return ""
        asked = self.calls.prompt_tokens * (self.config.prompt_price or 0.0)
        return f", {(asked + self.calls.completion_tokens * (self.config.answer_price or 0.0)) / 1e6:.4f} spent"


def _who(config: WriterConfig) -> str:
    """The chat model, as the configuration names it."""
    where = f", writer.base_url={config.base_url}" if config.name == "api" else ""
    what = f", writer.model={config.model}" if config.model else ""
    return f"writer={config.name}{where}{what}"
