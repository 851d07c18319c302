"""A model in this process answers what waits together, each as it would be answered alone."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from knowledge_update.chat_models import local_model
from knowledge_update.chat_models.local_model import LocalModel
from knowledge_update.chat_models.protocol import Fatal, Refused, Reply, Request
from knowledge_update.config import ModelConfig
from knowledge_update.errors import ModelError
from knowledge_update.inference import Generator, question_prompts
from knowledge_update.models import load_model, load_tokenizer, precision
from knowledge_update.templates import ChatTemplate

QUESTIONS = [
    "Who founded it?", "What is the height of the tower of Tolvick?", "Which year?", "建于哪一年？",
    "The tower is 38 metres high and it has 212 steps. What is the height of the tower?",
    "The tower is 38 metres high and it has 212 steps. How many steps does it have?",
]  # fmt: skip
PLAIN = ModelConfig(dtype="float32", device="cpu")


@pytest.fixture(scope="module")
def loud_model(tiny_model: str, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The tiny model with layers that make every token matter."""
    model = load_model(tiny_model, precision("float32", "cpu"))
    for layer in model.get_decoder().layers.parameters():
        layer.data.mul_(12)
    folder = tmp_path_factory.mktemp("loud")
    model.save_pretrained(folder)
    load_tokenizer(tiny_model).save_pretrained(folder)
    return str(folder)


@pytest.fixture
def run(loud_model: str) -> Callable[..., Any]:
    """`run(work)` opens the model, runs `work(model)` and closes it."""

    def go(work: Callable[[LocalModel], Awaitable[Any]], batch_tokens: int = 4000) -> Any:
        async def opened() -> Any:
            model = LocalModel(loud_model, PLAIN, batch_tokens)
            try:
                return await work(model)
            finally:
                await model.close()

        return asyncio.run(asyncio.wait_for(opened(), 100))

    return go


@pytest.fixture
def batches(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many rows were generated together, batch by batch."""
    sizes: list[int] = []
    generate = local_model.continued

    def counted(model: Any, parts: Any, ends: Any, limits: Sequence[int], choose: Any) -> Any:
        sizes.append(len(limits))
        return generate(model, parts, ends, limits, choose)

    monkeypatch.setattr(local_model, "continued", counted)
    return sizes


def asked(text: str, tokens: int = 12, temperature: float = 0.0) -> Request:
    return Request((("user", text),), tokens, temperature)


def together(requests: Sequence[Request]) -> Callable[[LocalModel], Awaitable[list[Reply]]]:
    async def work(model: LocalModel) -> list[Reply]:
        return await asyncio.gather(*(model.ask(request) for request in requests))

    return work


def test_requests_that_wait_together_are_answered_together_as_alone(
    run: Any, loud_model: str, batches: list[int]
) -> None:
    template = ChatTemplate(load_tokenizer(loud_model))
    alone = Generator(load_model(loud_model, precision("float32", "cpu")), template, batch_rows=1, max_new_tokens=12)
    prompts = question_prompts(template, [(text, text) for text in QUESTIONS])
    expected = {name: text for batch in alone.answers(prompts) for name, text in batch}
    replies = run(together([asked(text) for text in QUESTIONS]))
    assert [reply.text for reply in replies] == [expected[text] for text in QUESTIONS]
    assert len(set(expected.values())) > 4, "a model that says the same to everything would prove nothing"
    assert batches == [len(QUESTIONS)]
    assert [reply.prompt_tokens for reply in replies] == [len(template.question(text)) for text in QUESTIONS]


def test_every_request_has_its_own_longest_answer(run: Any) -> None:
    limits = [3, 9, 1, 60, 200, 5]
    replies = run(together([asked(text, tokens) for text, tokens in zip(QUESTIONS, limits, strict=True)]))
    assert all(reply.completion_tokens <= limit for reply, limit in zip(replies, limits, strict=True))
    assert all(reply.completion_tokens == limit for reply, limit in zip(replies, limits, strict=True) if reply.cut)
    assert {reply.cut for reply in replies[:3]} == {True}


def test_an_answer_that_ends_by_itself_is_not_cut(run: Any) -> None:
    async def work(model: LocalModel) -> Reply:
        # Every token now ends an answer.
        model._template.end_ids = frozenset(range(10_000))
        return await model.ask(asked("Which year?", 1))

    reply = run(work)
    assert (reply.text, reply.cut, reply.completion_tokens) == ("", False, 1)


def test_a_batch_is_bounded_by_its_tokens(run: Any, batches: list[int]) -> None:
    replies = run(together([asked(text, 50) for text in QUESTIONS * 3]), batch_tokens=200)
    assert len(replies) == 18
    assert sum(batches) == 18 and 1 < max(batches) <= 3


def test_a_request_larger_than_a_batch_is_one_of_its_own(run: Any, batches: list[int]) -> None:
    assert len(run(together([asked("Which year?", 50), asked("Who?", 50)]), batch_tokens=1)) == 2
    assert batches == [1, 1]


def test_what_is_drawn_depends_on_the_request_alone(run: Any) -> None:
    requests = [asked(text, 12, temperature) for text in QUESTIONS for temperature in (0.0, 1.0, 1.5)]
    replies = run(together(requests))
    for request, reply in list(zip(requests, replies, strict=True))[::4]:
        assert run(together([request])) == [reply]
    drawn = [reply.text for request, reply in zip(requests, replies, strict=True) if request.temperature]
    likeliest = [reply.text for request, reply in zip(requests, replies, strict=True) if not request.temperature]
    assert not set(drawn) & set(likeliest)
    cool = run(together([asked(text, 12, 1e-4) for text in QUESTIONS]))
    assert [reply.text for reply in cool] == likeliest, "a temperature near 0 draws the likeliest"


def test_the_loop_goes_on_while_the_model_answers(run: Any) -> None:
    async def work(model: LocalModel) -> int:
        answer = asyncio.create_task(model.ask(asked("Which year?", 600, 2.0)))
        beats = 0
        while not answer.done():
            await asyncio.sleep(0.005)
            beats += 1
        return beats

    assert run(work) > 5


def test_later_requests_join_the_next_batch(run: Any, batches: list[int]) -> None:
    async def work(model: LocalModel) -> list[Reply]:
        async def twice(text: str) -> list[Reply]:
            return [await model.ask(asked(text)), await model.ask(asked(f"{text} Again?"))]

        return [reply for pair in await asyncio.gather(*map(twice, QUESTIONS)) for reply in pair]

    assert len(run(work)) == 12
    assert sum(batches) == 12 and len(batches) < 9


def test_a_request_the_model_cannot_read_is_refused(run: Any) -> None:
    async def work(model: LocalModel) -> Reply:
        with pytest.raises(Refused, match=r"tokens and up to 2100 of answer are more than the 2048"):
            await model.ask(asked("Which year?", 2100))
        return await model.ask(asked("Which year?", 4))

    assert run(work).prompt_tokens > 0


def test_closing_stops_what_is_being_answered(run: Any) -> None:
    async def work(model: LocalModel) -> float:
        model._template.end_ids = frozenset()
        waiting = asyncio.create_task(model.ask(asked("Which year?", 2000, 1.0)))
        await asyncio.sleep(0.3)
        began = time.monotonic()
        await model.close()
        waiting.cancel()
        return time.monotonic() - began

    assert run(work) < 3


def test_a_model_that_fails_tells_all_who_wait(run: Any) -> None:
    async def work(model: LocalModel) -> list[Any]:
        model._model.lm_head = None
        return await asyncio.gather(*(model.ask(asked(text)) for text in QUESTIONS[:3]), return_exceptions=True)

    failures = run(work)
    assert [type(failure) for failure in failures] == [Fatal] * 3
    assert str(failures[0]).startswith("the model failed: ")


def test_the_name_is_that_of_the_weights(run: Any, loud_model: str, tiny_model: str) -> None:
    async def name(model: LocalModel) -> str:
        return model.name

    assert run(name) == run(name) != LocalModel(tiny_model, PLAIN, 100).name


def test_a_model_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="no model"):
        LocalModel(str(tmp_path / "none"), PLAIN, 100)
