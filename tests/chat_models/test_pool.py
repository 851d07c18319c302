"""Several endpoints share the work; those that are away or refuse are gone around."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from chat_server import Answer, Server, completion

from knowledge_update.chat_models.calls import Calls
from knowledge_update.chat_models.endpoint import Endpoint
from knowledge_update.chat_models.pool import Pool
from knowledge_update.chat_models.protocol import Fatal, Malformed, Overloaded, Refused, Reply, Request, Unreachable
from knowledge_update.chat_models.window import Window
from knowledge_update.ledger import Ledger


@pytest.fixture
def other() -> Iterator[Server]:
    made = Server()
    yield made
    made.close()


def question(number: int) -> Request:
    return Request((("user", f"q{number}"),), max_tokens=8)


def echo(seconds: float = 0.0) -> Callable[[dict[str, Any]], Answer]:
    return lambda body: Answer(completion(body["messages"][-1]["content"].upper()), seconds=seconds)


def failing(status: int, message: str = "no", **headers: str) -> Callable[[dict[str, Any]], Answer]:
    return lambda body: Answer({"error": {"message": message}}, status, headers)


def pooled(work: Callable[[Pool], Awaitable[Any]], *servers: Server, timeout: float = 5.0) -> Any:
    async def go() -> Any:
        pool = Pool([(server.url, Endpoint(server.url, "writer", timeout=timeout)) for server in servers])
        try:
            return await work(pool)
        finally:
            await pool.close()

    return asyncio.run(asyncio.wait_for(go(), 30))


def called(path: Path, count: int, *servers: Server, patience: float = 10.0) -> tuple[list[Reply], int]:
    """Asks `count` questions through the journal; returns the replies, and how many were asked for."""

    async def work(pool: Pool) -> tuple[list[Reply], int]:
        with Ledger(path) as ledger:
            calls = Calls(pool, Window(8), ledger, patience)
            replies = await asyncio.gather(*(calls.ask(question(number), 0) for number in range(count)))
            return replies, calls.asked

    replies, asked = pooled(work, *servers)
    return replies, asked


def told(count: int) -> list[str]:
    return [f"Q{number}" for number in range(count)]


def test_requests_go_where_the_fewest_are_under_way(server: Server, other: Server) -> None:
    server.script, other.script = echo(0.2), echo(0.02)

    async def work(pool: Pool) -> list[Reply]:
        window = asyncio.Semaphore(6)

        async def one(number: int) -> Reply:
            async with window:
                return await pool.ask(question(number))

        return await asyncio.gather(*(one(number) for number in range(60)))

    assert [reply.text for reply in pooled(work, server, other)] == told(60)
    assert server.most_under_way <= 4
    assert len(other.seen) > 2 * len(server.seen) > 0, "who answers sooner answers more"


def test_idle_endpoints_take_turns(server: Server, other: Server) -> None:
    async def work(pool: Pool) -> None:
        for number in range(6):
            await pool.ask(question(number))

    pooled(work, server, other)
    assert len(server.seen) == len(other.seen) == 3


def test_an_endpoint_that_dies_half_way_loses_nothing_and_is_left_in_peace(
    server: Server, other: Server, tmp_path: Path
) -> None:
    def dying(body: dict[str, Any]) -> Answer:
        return Answer(hangs_up=True) if len(server.seen) > 10 else echo(0.01)(body)

    server.script, other.script = dying, echo(0.01)
    replies, asked = called(tmp_path / "ledger.sqlite", 80, server, other)
    assert ([reply.text for reply in replies], asked) == (told(80), 80)
    # It was asked for what was under way, and then once a rest.
    assert len(server.seen) < 24
    assert called(tmp_path / "ledger.sqlite", 80, other)[1] == 0, "who answered is no part of the journal's key"


def test_an_endpoint_that_comes_back_is_asked_again(server: Server, other: Server) -> None:
    server.script = lambda body: Answer(hangs_up=True)

    async def work(pool: Pool) -> None:
        await asyncio.gather(*(pool.ask(question(number)) for number in range(4)))
        away = len(server.seen)
        await asyncio.gather(*(pool.ask(question(number)) for number in range(4, 8)))
        assert len(server.seen) == away, "it rests"
        server.script = echo()
        await asyncio.sleep(1.1)
        await asyncio.gather(*(pool.ask(question(number)) for number in range(8, 12)))
        assert len(server.seen) == away + 1, "one request sees whether it is back"
        await asyncio.gather(*(pool.ask(question(number)) for number in range(12, 16)))
        assert len(server.seen) == away + 3

    pooled(work, server, other)


def test_a_wrong_key_at_one_endpoint_leaves_it_out_and_at_all_ends_the_work(
    server: Server, other: Server, caplog: pytest.LogCaptureFixture
) -> None:
    server.script = failing(401, "bad key")

    async def work(pool: Pool) -> list[Reply]:
        return await asyncio.gather(*(pool.ask(question(number)) for number in range(8)))

    caplog.set_level("WARNING", logger="knowledge_update")
    assert len(pooled(work, server, other)) == 8
    assert [record.getMessage() for record in caplog.records].count(
        f"{server.url} is left out: the server refuses this key: bad key"
    ) == 1
    assert len(server.seen) <= 4
    other.script = failing(404, "no such model")
    with pytest.raises(Fatal) as raised:
        pooled(work, server, other)
    assert f"{server.url}: the server refuses this key: bad key" in str(raised.value)
    assert f"{other.url}: there is no such model or address: no such model" in str(raised.value)


def test_an_overloaded_endpoint_rests_as_long_as_it_wishes_and_the_others_go_on(server: Server, other: Server) -> None:
    server.script = failing(429, "slow down", **{"Retry-After": "30"})

    async def work(pool: Pool) -> None:
        for number in range(8):
            await pool.ask(question(number))
        assert len(server.seen) == 1
        other.script = failing(429, "slow down", **{"Retry-After": "7"})
        with pytest.raises(Overloaded) as raised:
            await pool.ask(question(9))
        assert raised.value.after is not None and 6 < raised.value.after <= 7, "the first of them to be back"
        seen = len(server.seen) + len(other.seen)
        with pytest.raises(Overloaded):
            await pool.ask(question(10))
        assert len(server.seen) + len(other.seen) == seen, "what is asked to be waited is waited"

    pooled(work, server, other)


def test_what_is_wrong_with_a_request_is_no_fault_of_its_endpoint(server: Server, other: Server) -> None:
    server.script = other.script = failing(400, "too long")

    async def work(pool: Pool) -> None:
        for _ in range(3):
            with pytest.raises(Refused, match="too long"):
                await pool.ask(question(1))

    pooled(work, server, other)
    assert len(server.seen) + len(other.seen) == 3


def test_an_endpoint_that_answers_with_nonsense_does_not_draw_all_requests(server: Server, other: Server) -> None:
    server.script, other.script = (lambda _: Answer(b"<html>", 200)), echo(0.05)

    async def work(pool: Pool) -> list[Reply]:
        return await asyncio.gather(*(pool.ask(question(number)) for number in range(12)))

    assert [reply.text for reply in pooled(work, server, other)] == told(12)


def test_all_endpoints_away_is_told_as_what_it_is(server: Server, other: Server, tmp_path: Path) -> None:
    server.script = other.script = failing(500, "down")

    async def work(pool: Pool) -> None:
        with pytest.raises(Unreachable, match="failed with 500: down"):
            await pool.ask(question(1))
        with pytest.raises(Unreachable, match=r"no endpoint answers, http.*: the server failed with 500: down"):
            await pool.ask(question(2))

    pooled(work, server, other)
    server.script = other.script = lambda _: Answer(b"<html>", 200)

    async def nonsense(pool: Pool) -> None:
        with pytest.raises(Malformed):
            await pool.ask(question(1))
        with pytest.raises(Unreachable):
            await pool.ask(question(2))

    pooled(nonsense, server, other)
    with pytest.raises(Fatal, match=r"no answer for 1 s"):
        called(tmp_path / "ledger.sqlite", 3, server, other, patience=1.0)
