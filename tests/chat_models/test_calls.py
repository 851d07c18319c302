"""Every answer is kept as it returns, nothing is asked twice, and failures end as their kind says."""

import asyncio
import gc
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from chat_server import Answer, Server, completion

from knowledge_update.chat_models.calls import MALFORMED_ATTEMPTS, Calls
from knowledge_update.chat_models.endpoint import Endpoint
from knowledge_update.chat_models.protocol import Fatal, Malformed, Refused, Reply, Request
from knowledge_update.chat_models.window import Window
from knowledge_update.ledger import Ledger


@pytest.fixture
def asking(server: Server, tmp_path: Path) -> Callable[..., Any]:
    """`asking(work)` runs `work(calls)` on the server, with a ledger that stays."""

    def run(work: Callable[[Calls], Awaitable[Any]], patience: float = 5.0, places: int = 8) -> Any:
        async def go() -> Any:
            endpoint = Endpoint(server.url, "writer", timeout=5)
            with Ledger(tmp_path / "ledger.sqlite") as ledger:
                try:
                    return await work(Calls(endpoint, Window(places), ledger, patience))
                finally:
                    await endpoint.close()

        return asyncio.run(asyncio.wait_for(go(), 30))

    return run


def question(text: str) -> Request:
    return Request((("user", text),), max_tokens=8)


def echo(**more: Any) -> Callable[[dict[str, Any]], Any]:
    return lambda body: Answer(completion(body["messages"][-1]["content"].upper()), **more)


def test_answers_are_kept_and_not_asked_for_again(server: Server, asking: Any) -> None:
    server.script = echo()

    async def work(calls: Calls) -> tuple[list[str], int, int]:
        replies = await asyncio.gather(*(calls.ask(question(f"q{number}"), 0) for number in range(12)))
        return [reply.text for reply in replies], calls.asked, calls.known

    expected = [f"Q{number}" for number in range(12)]
    assert asking(work) == (expected, 12, 0)
    assert asking(work) == (expected, 0, 12)
    assert len(server.seen) == 12


def test_the_same_request_under_way_is_made_once(server: Server, asking: Any) -> None:
    server.script = echo(seconds=0.1)

    async def work(calls: Calls) -> list[Reply]:
        return await asyncio.gather(*(calls.ask(question("same"), 0) for _ in range(5)))

    assert {reply.text for reply in asking(work)} == {"SAME"}
    assert len(server.seen) == 1


def test_what_fails_for_a_while_is_asked_until_it_is_answered(server: Server, asking: Any) -> None:
    failures = [
        Answer({"error": {"message": "slow"}}, 429, {"Retry-After": "0.2"}), Answer({"error": {}}, 500),
        Answer(hangs_up=True), Answer(b"torn", 200),
    ]  # fmt: skip

    def script(body: dict[str, Any]) -> Any:
        return failures.pop(0) if failures else Answer(completion("done"))

    server.script = script

    async def work(calls: Calls) -> str:
        return (await calls.ask(question("x"), 0)).text

    assert asking(work) == "done"
    assert len(server.seen) == 5
    assert server.times[1] - server.times[0] >= 0.2, "what the server asks to wait is waited"


@pytest.mark.parametrize(
    ("status", "body", "kind", "asked"),
    [(400, {"error": {"message": "too long"}}, Refused, 1), (200, {"a": 1}, Malformed, MALFORMED_ATTEMPTS)],
)
def test_one_request_without_an_answer_does_not_stop_the_others(
    server: Server, asking: Any, status: int, body: Any, kind: type[Exception], asked: int
) -> None:
    def script(seen: dict[str, Any]) -> Any:
        return Answer(body, status) if seen["messages"][0]["content"] == "bad" else Answer(completion("good"))

    server.script = script

    async def work(calls: Calls) -> list[Any]:
        wanted = (calls.ask(question(text), 0) for text in ("a", "bad", "b"))
        return await asyncio.gather(*wanted, return_exceptions=True)

    first, second, third = asking(work)
    assert (first.text, third.text) == ("good", "good")
    assert isinstance(second, kind)
    assert len(server.seen) == 2 + asked


def test_a_wrong_key_stops_at_once(server: Server, asking: Any) -> None:
    server.script = lambda _: Answer({"error": {"message": "bad key"}}, 401)

    async def work(calls: Calls) -> None:
        await calls.ask(question("x"), 0)

    with pytest.raises(Fatal, match="refuses this key: bad key"):
        asking(work)
    assert len(server.seen) == 1


def test_a_server_that_is_gone_is_given_up_after_a_while(server: Server, asking: Any) -> None:
    server.script = lambda _: Answer({"error": {"message": "down"}}, 500)

    async def work(calls: Calls) -> None:
        await calls.ask(question("x"), 0)

    with pytest.raises(Fatal, match=r"no answer for 1 s, the last failure: the server failed with 500: down"):
        asking(work, patience=1.0)
    assert len(server.seen) >= 2


def test_overloads_shrink_the_window_until_the_server_bears_it(server: Server, asking: Any) -> None:
    def script(body: dict[str, Any]) -> Any:
        if server.under_way > 3:
            return Answer({"error": {"message": "too many"}}, 429, {"Retry-After": "0.05"}, seconds=0.01)
        return Answer(completion("ok"), seconds=0.03)

    server.script = script

    async def work(calls: Calls) -> int:
        await asyncio.gather(*(calls.ask(question(str(number)), 0) for number in range(40)))
        return calls.asked

    assert asking(work, places=16) == 40
    assert server.most_under_way <= 16


def test_a_failure_that_nobody_waits_for_any_more_is_no_noise(server: Server, asking: Any) -> None:
    server.script = lambda _: Answer({"error": {"message": "bad key"}}, 401, seconds=0.3)
    noise: list[Any] = []

    async def work(calls: Calls) -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _, context: noise.append(context))
        waiting = asyncio.create_task(calls.ask(question("x"), 0))
        while not server.seen:
            await asyncio.sleep(0.01)
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        await asyncio.sleep(0.6)
        gc.collect()

    asking(work)
    assert len(server.seen) == 1 and noise == []
