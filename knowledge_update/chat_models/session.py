"""A chat model put to work: opened, asked through one window, every answer kept, stopped when a person wants it."""

import asyncio
import gc
import signal
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from knowledge_update.chat_models.backend import opened
from knowledge_update.chat_models.calls import Attempts, Calls, Journal
from knowledge_update.chat_models.protocol import Fatal, Gone, Stopped
from knowledge_update.chat_models.window import Window
from knowledge_update.config import ChatModelConfig, ModelConfig
from knowledge_update.display import log
from knowledge_update.errors import ConfigError, WorkError

# Whoever stops the work waits so many seconds at most for answers that are under way.
_LONGEST_END = 20.0
# What finds out what a server can goes before all that waits.
_FIRST = 9
# Ctrl-C, and what a scheduler sends that wants its machine back.
_SIGNALS = (signal.SIGINT, signal.SIGTERM)

T = TypeVar("T")


class Tally:
    """What was asked and what it cost, counted in this attempt.

    Args:
        calls: Counts the answers.
        config: Has the prices.
    """

    def __init__(self, calls: Calls, config: ChatModelConfig) -> None:
        self.calls, self.config = calls, config
        self._began = time.monotonic()

    def note(self, *more: str) -> str:
        """How far the work is, short, with what else is to be said of it."""
        calls = self.calls
        rate = calls.asked / max(1e-9, time.monotonic() - self._began)
        tokens = (calls.prompt_tokens + calls.completion_tokens) / 1000
        return ", ".join([f"{calls.asked} answers ({rate:.1f}/s)", f"{tokens:.0f}k tokens", *more]) + self._money()

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


@dataclass
class Session:
    """A chat model at work.

    Args:
        calls: Asks it.
        tally: Counts.
        closing: What is to end before the model is closed.
    """

    calls: Calls
    tally: Tally
    runner: asyncio.Runner
    closing: list[Callable[[], Awaitable[Any]]] = field(default_factory=list)

    def run(self, work: Callable[[], Awaitable[T]]) -> T:
        """Waits for work of which requests are a part.

        Raises:
            Stopped: When a person has stopped it.
        """

        async def working() -> T:
            return await self.calls.window.unless_stopped(work())

        return self.runner.run(working())


@contextmanager
def at_work(
    settings: ChatModelConfig,
    base: ModelConfig,
    journal: Journal,
    log_file: Path,
    heard: Callable[[], None] = lambda: None,
    attempts: Attempts | None = None,
) -> Iterator[Session]:
    """Opens the model that a configuration names, and tells what ends the work in words of the configuration.

    Args:
        settings: Which model, where, and how fast.
        base: The model that is taught.
        journal: Keeps every answer, so that none is asked for twice.
        log_file: Where the output of a server goes that is started.
        heard: Is called after every answer.
        attempts: How often a request is made, where that is bounded.

    Raises:
        ConfigError: When the server refuses the key, the address or the model.
        ModelError: When a model of this machine cannot be loaded.
        WorkError: When the server does not start or stays away; what was answered is kept.
        KeyboardInterrupt: After the first Ctrl-C, when the answers under way have come.
    """
    window = Window(settings.concurrency, rpm=settings.rpm, tpm=settings.tpm)
    with opened(settings, base, log_file, lambda: window.place(_FIRST)) as model, asyncio.Runner() as runner:
        calls = Calls(model, window, journal, settings.patience, settings.max_failures, heard, attempts)
        session = Session(calls, Tally(calls, settings), runner)
        # What was loaded before stays: searching it for garbage again and again took a tenth of a request's time.
        gc.freeze()

        async def end() -> None:
            for close in session.closing:
                await close()
            await model.close()

        try:
            with _stoppable(runner.get_loop(), window):
                yield session
        except Stopped as error:
            runner.run(calls.finish(_LONGEST_END))
            raise KeyboardInterrupt from error
        except Gone as error:
            raise WorkError(f"{who(settings)}: {error}; the same command goes on from here") from error
        except Fatal as error:
            raise ConfigError(f"{who(settings)}: {error}") from error
        finally:
            gc.unfreeze()
            runner.run(end())
            log.info("%s", session.tally.summary())


def who(config: ChatModelConfig) -> str:
    """The chat model, as the configuration names it."""
    section = config.SECTION
    where = f", {section}.base_url={config.base_url}" if config.name == "api" else ""
    what = f", {section}.model={config.model}" if config.model else ""
    return f"{section}={config.name}{where}{what}"


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
