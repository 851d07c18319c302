"""A model of transformers in this process: requests that wait together are answered together."""

import asyncio
import contextlib
import gc
import random
import threading
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from knowledge_update.chat_models.protocol import Fatal, Refused, Reply, Request
from knowledge_update.config import ModelConfig
from knowledge_update.display import log
from knowledge_update.inference import Prompt, continued, parts_of
from knowledge_update.models import identity, load_model, load_tokenizer, precision, resolve
from knowledge_update.templates import ChatTemplate, common_prefix
from knowledge_update.workers import workers

if TYPE_CHECKING:
    from torch import Tensor

# Requests that follow one answer come one after another; what comes within this many seconds is taken together.
_GATHER = 0.02


@dataclass(eq=False)
class _Row:
    """A request that waits for its answer."""

    ids: tuple[int, ...]
    request: Request
    answer: "asyncio.Future[Reply]"
    order: random.Random = field(init=False)

    def __post_init__(self) -> None:
        # What is drawn depends on the request alone, not on what it is answered together with.
        self.order = random.Random(self.request.key(""))

    @property
    def tokens(self) -> int:
        """How many tokens it holds at most, asked and answered."""
        return len(self.ids) + self.request.max_tokens


class LocalModel:
    """A chat model in this process.

    Args:
        name: As `model=` takes it: the embedded model, a folder, a hub id.
        config: Data type and device, and whether the hub may be asked.
        batch_tokens: How many tokens, asked and answered, are held at once.

    Raises:
        ModelError: When it is not there or cannot be loaded.
    """

    def __init__(self, name: str, config: ModelConfig, batch_tokens: int) -> None:
        folder = resolve(name, local_files_only=config.local_files_only)
        chosen = precision(config.dtype, config.device)
        log.info("%s answers in this process, in %s", name, chosen.reason)
        self._model = load_model(folder, chosen, config.bits)
        ends = self._model.generation_config.eos_token_id
        ends = ends if isinstance(ends, list) else [ends] if isinstance(ends, int) else []
        self._template = ChatTemplate(load_tokenizer(folder), ends)
        self._name, self._batch_tokens = identity(folder), batch_tokens
        self._longest = int(getattr(self._model.config.get_text_config(), "max_position_embeddings", 0) or 0)
        self._waiting: list[_Row] = []
        self._stopped = threading.Event()
        self._held = ExitStack()
        self._hands = self._held.enter_context(workers(self._model.device.type))
        self._busy: set[asyncio.Task[None]] = set()

    @property
    def name(self) -> str:
        """The hash of the model, wherever it lies."""
        return self._name

    async def ask(self, request: Request) -> Reply:
        """Answers, or raises a `CallError`; a schema is passed over."""
        row = _Row(self._ids(request), request, asyncio.get_running_loop().create_future())
        if self._longest and row.tokens > self._longest:
            raise Refused(
                f"{len(row.ids)} tokens and up to {request.max_tokens} of answer are more than the {self._longest} "
                "that the model reads"
            )
        self._waiting.append(row)
        if len(self._busy) < self._hands.count:
            task = asyncio.create_task(self._serve())
            self._busy.add(task)
            task.add_done_callback(self._busy.discard)
        return await row.answer

    async def close(self) -> None:
        """Stops what is being answered, and gives the memory back."""
        import torch

        self._stopped.set()
        for task in list(self._busy):
            task.cancel()
        await asyncio.gather(*self._busy, return_exceptions=True)
        self._held.close()
        self._model = None
        gc.collect()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()

    def _ids(self, request: Request) -> tuple[int, ...]:
        from jinja2 import TemplateError

        try:
            return tuple(self._template.prompt([{"role": role, "content": text} for role, text in request.messages]))
        except TemplateError as error:
            raise Fatal(f"the model's chat template does not take these messages: {error}") from error

    async def _serve(self) -> None:
        """Answers batch after batch, until nobody waits."""
        loop = asyncio.get_running_loop()
        await asyncio.sleep(_GATHER)
        while rows := self._taken():

            def told(row: _Row, reply: Reply) -> None:
                loop.call_soon_threadsafe(_settle, row, reply)

            try:
                await loop.run_in_executor(self._hands.pool, self._generate, rows, told)
            except Exception as error:  # whatever it is: who waits for an answer must hear of it
                for row in rows:
                    _settle(row, Fatal(_why(error)))
            # Lets those who were answered ask on, so that the next batch holds what follows.
            await asyncio.sleep(_GATHER)

    def _taken(self) -> list[_Row]:
        """The next batch: rows of like length, the one that has waited longest among them."""
        self._waiting = [row for row in self._waiting if not row.answer.done()]
        if not self._waiting:
            return []
        first = self._waiting[0]
        batches: list[list[_Row]] = [[]]
        for row in sorted(self._waiting, key=lambda row: (len(row.ids), row.request.max_tokens)):
            most = max(other.tokens for other in [*batches[-1], row])
            if batches[-1] and most * (len(batches[-1]) + 1) > self._batch_tokens:
                batches.append([])
            batches[-1].append(row)
        batch = next(batch for batch in batches if first in batch)
        self._waiting = [row for row in self._waiting if row not in batch]
        return batch

    def _generate(self, rows: Sequence[_Row], told: Callable[[_Row, Reply], None]) -> None:
        """Answers a batch, in a thread; every row is told as it ends."""
        import torch

        parts = parts_of(_grouped(rows), len(rows))
        rows = [rows[int(prompt.id)] for part in parts for prompt in part.prompts]
        limits = [row.request.max_tokens for row in rows]
        with torch.inference_mode(), contextlib.suppress(_Stopped):
            for index, ids in continued(self._model, parts, self._template.end_ids, limits, self._choice(rows)):
                text = self._template.tokenizer.decode(ids, skip_special_tokens=True).strip()
                cut = len(ids) >= limits[index]
                told(rows[index], Reply(text, cut, len(rows[index].ids), len(ids) + (not cut)))

    def _choice(self, rows: Sequence[_Row]) -> "Callable[[Tensor, list[int]], Tensor]":
        """The likeliest token where the temperature is 0, else one drawn; the end where work was stopped."""

        def choose(logits: "Tensor", alive: list[int]) -> "Tensor":
            import torch

            if self._stopped.is_set():
                raise _Stopped
            chosen = logits.argmax(-1)
            drawn = [at for at, row in enumerate(alive) if rows[row].request.temperature > 0]
            if drawn:
                warm = torch.tensor([rows[alive[at]].request.temperature for at in drawn], device=logits.device)
                sums = torch.softmax(logits[drawn].float() / warm[:, None], dim=-1).cumsum(-1)
                marks = torch.tensor([[rows[alive[at]].order.random()] for at in drawn], device=logits.device)
                # The sums end a little beside 1.
                chosen[drawn] = torch.searchsorted(sums, marks * sums[:, -1:], right=True).squeeze(1)
            return chosen

        return choose


class _Stopped(Exception):
    """Nobody waits for the answers any more."""


def _grouped(rows: Sequence[_Row]) -> list[Prompt]:
    """The prompts of a batch by their place in it, those of one passage in one group."""
    prompts: list[Prompt] = []
    for place in sorted(range(len(rows)), key=lambda place: rows[place].ids):
        ids, group = rows[place].ids, str(place)
        if prompts and len(common_prefix([prompts[-1].ids, ids])) > len(ids) // 2:
            group = prompts[-1].group
        prompts.append(Prompt(str(place), ids, group))
    return prompts


def _settle(row: _Row, outcome: Reply | Fatal) -> None:
    if row.answer.done():
        return
    if isinstance(outcome, Reply):
        row.answer.set_result(outcome)
    else:
        row.answer.set_exception(outcome)


def _why(error: Exception) -> str:
    first = (str(error).strip().splitlines() or [type(error).__name__])[0]
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError" or "allocate memory" in first:
        return "out of memory: lower batch_tokens"
    return f"the model failed: {first}"
