"""Requests share the window: never more than it holds, the deepest first, no faster than allowed."""

import asyncio
import itertools
import random
from collections.abc import AsyncGenerator, Coroutine
from typing import Any

import pytest

from knowledge_update.chat_models.protocol import Stopped
from knowledge_update.chat_models.window import LATE, SHRINK, SLOW, Window


def run(work: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(work, 20))


def test_never_more_under_way_than_there_are_places() -> None:
    async def go() -> None:
        window = Window(5)
        most = 0

        async def one() -> None:
            nonlocal most
            async with window.place(0):
                most = max(most, window.under_way)
                await asyncio.sleep(0.001)
                window.answered(1.0)

        await asyncio.gather(*(one() for _ in range(60)))
        assert (most, window.under_way) == (5, 0)

    run(go())


def test_the_deepest_goes_first_and_of_equals_the_first() -> None:
    async def go() -> None:
        window = Window(1)
        order: list[str] = []

        async def one(name: str, depth: int) -> None:
            async with window.place(depth):
                order.append(name)
                await asyncio.sleep(0)

        names = [("held", 0), ("a", 0), ("b", 2), ("c", 1), ("d", 2)]
        await asyncio.gather(*(one(name, depth) for name, depth in names))
        assert order == ["held", "b", "d", "c", "a"]

    run(go())


def test_new_work_waits_while_begun_work_wants_the_place() -> None:
    async def go() -> None:
        window = Window(1)
        begun: list[str] = []

        async def one(name: str) -> None:
            async with window.place(1):
                begun.append(name)
                await asyncio.sleep(0.01)

        async def more() -> None:
            await window.room()
            begun.append("new")

        await asyncio.gather(one("a"), one("b"), more())
        assert begun == ["a", "b", "new"]

    run(go())


def test_an_overload_shrinks_the_window_once_and_answers_let_it_grow() -> None:
    async def go() -> None:
        window = Window(10)
        async with window.place(0) as first, window.place(0) as second, window.place(0) as third:
            window.overloaded(first)
            assert window.limit == pytest.approx(3 * SHRINK)
            window.overloaded(second)
            window.overloaded(third)
            assert window.limit == pytest.approx(3 * SHRINK), "they left together: that is one overload"
        async with window.place(0) as later:
            window.overloaded(later)
        assert window.limit == 1.0
        for _ in range(200):
            window.answered(1.0)
        assert window.limit == 10.0

    run(go())


def test_a_window_that_shrank_does_not_grow_while_answers_take_much_longer() -> None:
    async def go() -> None:
        window = Window(10)
        for _ in range(20):
            window.answered(1.0)
        async with window.place(0) as number:
            window.overloaded(number)
        assert window.limit == 1.0
        for _ in range(3):
            window.answered(1.9 * SLOW)
        slow = window.limit
        for _ in range(20):
            window.answered(1.9 * SLOW)
        assert window.limit == slow <= 3.0
        for _ in range(200):
            window.answered(2.0)
        assert window.limit == 10.0, "quick again"

    run(go())


def test_at_the_end_what_has_the_longest_way_to_go_comes_first() -> None:
    async def go() -> None:
        window = Window(1)
        order: list[str] = []

        async def one(name: str, depth: int) -> None:
            async with window.place(depth):
                order.append(name)
                await asyncio.sleep(0)

        tasks = [asyncio.create_task(one(name, depth)) for name, depth in [("held", 0), ("a", 1), ("b", 0), ("c", 1)]]
        await asyncio.sleep(0)
        window.ending()
        window.ending()
        tasks += [asyncio.create_task(one(name, depth)) for name, depth in [("d", 2), ("e", 0)]]
        await asyncio.gather(*tasks)
        assert order == ["held", "b", "e", "a", "c", "d"]

    run(go())


def test_nothing_leaves_before_the_server_wants_it() -> None:
    async def go() -> None:
        loop, window = asyncio.get_running_loop(), Window(4)
        async with window.place(0) as number:
            window.overloaded(number, after=0.2)
        began = loop.time()
        async with window.place(0):
            assert loop.time() - began >= 0.12, "twice as long apart, but for what may be late"

    run(go())


@pytest.mark.parametrize(
    ("limits", "tokens", "apart"),
    [({"rpm": 1200}, 0, 0.05), ({"tpm": 60_000}, 50, 0.05), ({"rpm": 6000, "tpm": 1e5}, 50, 0.03)],
)
def test_a_rate_is_kept_and_used(limits: dict[str, float], tokens: int, apart: float) -> None:
    async def go() -> None:
        loop, window = asyncio.get_running_loop(), Window(50, **limits)  # type: ignore[arg-type]
        times: list[float] = []

        async def one() -> None:
            async with window.place(0, tokens):
                times.append(loop.time())
                await asyncio.sleep(0.2)

        await asyncio.gather(*(one() for _ in range(16)))
        # However late one leaves, those behind it make up for half a step at most.
        for first, second in itertools.combinations(range(16), 2):
            assert times[second] - times[first] >= (second - first - LATE) * apart - 0.002
        assert times[-1] - times[0] <= 45 * apart, "it goes on"

    run(go())


def test_who_is_stopped_while_waiting_or_under_way_gives_the_place_back() -> None:
    async def go() -> None:
        window = Window(1)

        async def one() -> None:
            async with window.place(0):
                await asyncio.sleep(10)

        tasks = [asyncio.create_task(one()) for _ in range(3)]
        await asyncio.sleep(0.01)
        for task in (tasks[1], tasks[0], tasks[2]):
            task.cancel()
            await asyncio.sleep(0)
        await asyncio.gather(*tasks, return_exceptions=True)
        assert window.under_way == 0
        async with window.place(0):
            assert window.under_way == 1

    run(go())


def test_no_place_is_free_while_a_request_waits() -> None:
    # Items of three requests each, latencies lognormal, on fewer places than there are items.
    order = random.Random(7)
    latencies = [[0.005 * order.lognormvariate(0, 0.6) for _ in range(3)] for _ in range(60)]

    async def go() -> None:
        window = Window(8)
        done: list[int] = []

        async def item(number: int) -> None:
            for depth, seconds in enumerate(latencies[number]):
                async with window.place(depth):
                    await asyncio.sleep(seconds)
                assert window.under_way == 8 or not window.waiting
            done.append(number)

        tasks = []
        for number in range(len(latencies)):
            await window.room()
            tasks.append(asyncio.create_task(item(number)))
            await asyncio.sleep(0)
        await asyncio.gather(*tasks)
        assert sorted(done) == list(range(60))
        # Begun items are finished before new ones are begun.
        assert max(abs(place - number) for place, number in enumerate(done)) <= 24

    run(go())


def test_a_stopped_window_lets_nothing_more_leave_and_what_has_left_end() -> None:
    async def go() -> None:
        window = Window(1)
        ended = False

        async def one() -> None:
            nonlocal ended
            async with window.place(0):
                await asyncio.sleep(0.01)
            ended = True

        first = asyncio.create_task(one())
        await asyncio.sleep(0)
        waiting = [asyncio.create_task(one()), asyncio.create_task(window.room())]
        await asyncio.sleep(0)
        pause = asyncio.create_task(window.pause(60))
        await asyncio.sleep(0)
        work = asyncio.create_task(window.unless_stopped(asyncio.sleep(60)))
        await asyncio.sleep(0)
        window.stop()
        with pytest.raises(Stopped):
            await asyncio.wait_for(work, 1)
        said = await asyncio.gather(*waiting, return_exceptions=True)
        assert [type(one) for one in said] == [Stopped, Stopped]
        await asyncio.wait_for(pause, 1)
        assert not ended
        await first
        assert ended and window.under_way == 0
        for late in (window.room(), one()):
            with pytest.raises(Stopped):
                await late

    run(go())


def test_work_that_is_stopped_has_ended_when_that_is_told() -> None:
    async def go() -> None:
        window = Window(1)

        async def items() -> AsyncGenerator[int]:
            try:
                await asyncio.sleep(60)
                yield 1
            finally:
                for _ in range(20):
                    await asyncio.sleep(0)

        working = items()
        asyncio.get_running_loop().call_soon(window.stop)
        with pytest.raises(Stopped):
            await window.unless_stopped(anext(working))
        # A generator that still runs refuses this.
        await working.aclose()

    run(go())
