"""A visitor of the page: what is shown of a conversation, what goes wrong in it, and that nobody hears another."""

import asyncio
import copy
from collections.abc import AsyncGenerator, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from knowledge_update.chat.session import Sampling, Session
from knowledge_update.chat.visitor import SHOWN, Shown, Visitor
from knowledge_update.config import ModelConfig
from knowledge_update.display import clean
from knowledge_update.ready_model import ReadyModel, ready

PLAIN = {"temperature": 0, "top_p": 1, "max_new_tokens": 12, "system": ""}


@pytest.fixture(scope="module")
def loaded(taught: Path) -> ReadyModel:
    return ready(ModelConfig(name=str(taught)), named=True)


@pytest.fixture
def opening(loaded: ReadyModel) -> Iterator[Visitor]:
    with ThreadPoolExecutor(1) as hand:
        yield Visitor(Session(loaded, Sampling(max_new_tokens=12)), hand)


@pytest.fixture
def visitor(opening: Visitor) -> Visitor:
    return copy.deepcopy(opening)


async def all_of(shown: AsyncGenerator[Any]) -> list[Any]:
    return [one async for one in shown]


def asked(visitor: Visitor, text: str, **settings: Any) -> list[Shown]:
    return asyncio.run(all_of(visitor.ask(text, {**PLAIN, **settings})))


def alone(loaded: ReadyModel, *questions: str) -> list[str]:
    """What the model answers in a conversation that nobody disturbs."""
    session = Session(loaded, Sampling(max_new_tokens=12))
    return ["".join(session.answer(question)) for question in questions]


def test_an_answer_grows_and_is_what_the_terminal_would_say(visitor: Visitor, loaded: ReadyModel) -> None:
    shown = asked(visitor, "Who built it?\x1b[31m\x07")
    (expected,) = alone(loaded, "Who built it?")
    assert len(shown) > 1
    assert shown[-1].messages == [
        {"role": "user", "content": "Who built it?"}, {"role": "assistant", "content": clean(expected)}
    ]  # fmt: skip
    assert (shown[-1].note, shown[-1].typed) == ("", "")


def test_conversations_do_not_mix(opening: Visitor, loaded: ReadyModel) -> None:
    """Ten visitors talk at once, half of them compare besides; each hears what it would hear alone."""

    async def talk(number: int) -> list[str]:
        visitor = copy.deepcopy(opening)
        for turn in range(3):
            await all_of(visitor.ask(f"Visitor {number}, turn {turn}?", PLAIN))
            if number % 2:
                await all_of(visitor.compare("", PLAIN))
        return [turn.answer for turn in visitor.session.turns]

    async def everybody() -> list[list[str]]:
        return await asyncio.gather(*(talk(number) for number in range(10)))

    heard = asyncio.run(everybody())
    expected = [alone(loaded, *(f"Visitor {number}, turn {turn}?" for turn in range(3))) for number in range(10)]
    assert heard == expected
    assert len({answer for answers in heard for answer in answers}) > 10
    assert opening.session.turns == []


def test_base_and_updated_go_on_side_by_side(visitor: Visitor, loaded: ReadyModel) -> None:
    asked(visitor, "Who built it?")
    seen = asyncio.run(all_of(visitor.compare("", PLAIN)))
    session = Session(loaded, Sampling(max_new_tokens=12))
    base, updated = ("".join(session.aside("Who built it?", base=base)) for base in (True, False))
    assert (seen[-1].base, seen[-1].updated, seen[-1].note) == (clean(base), clean(updated), "") and base != updated
    assert any(0 < len(one.base) < len(base) and 0 < len(one.updated) < len(updated) for one in seen)
    assert len(visitor.session.turns) == 1


@pytest.mark.parametrize(
    ("text", "settings", "note"),
    [
        ("", {}, "nothing was asked: type a question first"),
        (" \x00\x1b[2J\n", {}, "nothing was asked: type a question first"),
        ("word " * 20_000, {}, "tokens long, and 2,036 fit: ask in fewer words"),
        ("Who?", {"temperature": "warm"}, "temperature warm: a number"),
        ("Who?", {"top_p": None}, "top_p None: a number"),
        ("Who?", {"max_new_tokens": 0}, "max_new_tokens 0: from 1 to "),
    ],
    ids=["empty", "control", "long", "temperature", "top_p", "tokens"],
)
def test_what_cannot_be_answered_is_told_and_the_next_is_answered(
    visitor: Visitor, text: str, settings: dict[str, Any], note: str
) -> None:
    asked(visitor, "Who?")
    told = asked(visitor, text, **settings)[-1]
    assert note in told.note and len(told.messages) == 2
    assert told.typed == (text if "long" in note or settings else "")
    assert len(asked(visitor, "Who?")[-1].messages) == 4


def test_a_failed_turn_leaves_the_conversation_usable(visitor: Visitor, monkeypatch: pytest.MonkeyPatch) -> None:
    asked(visitor, "One?")
    before = visitor.shown()

    def broken(*_: Any, **__: Any) -> Any:
        raise RuntimeError("<b>out of memory</b>\nand more")

    with monkeypatch.context() as patched:
        patched.setattr(type(visitor.session.ready.model), "forward", broken)
        told = asked(visitor, "Two?")[-1]
        assert told.messages == before.messages and told.typed == "Two?"
        assert told.note == "the answer failed (RuntimeError: <b>out of memory</b>); ask again"
        again = asyncio.run(all_of(visitor.retry(PLAIN)))[-1]
        assert again.messages == before.messages, "the answer that was there is gone"
        assert "out of memory" in asyncio.run(all_of(visitor.compare("", PLAIN)))[-1].note
    assert len(asked(visitor, "Two?")[-1].messages) == 4


def test_an_answer_that_nobody_listens_to_is_not_gone_on_with(visitor: Visitor) -> None:
    async def listen() -> int:
        shown = visitor.ask("Who?", {**PLAIN, "max_new_tokens": 1500})
        async for one in shown:
            if one.messages and one.messages[-1]["content"]:
                break
        await shown.aclose()
        return len(visitor.stop().messages[-1]["content"])

    kept = asyncio.run(listen())
    assert kept and not visitor.session.turns[-1].whole
    assert len(visitor.shown().messages[-1]["content"]) == kept
    assert "stopped; what was said is kept" in visitor.stop().note
    assert len(asked(visitor, "And?")[-1].messages) == 4


def test_one_conversation_is_in_one_order(visitor: Visitor) -> None:
    async def both() -> str:
        first = visitor.ask("One?", {**PLAIN, "max_new_tokens": 200})
        await anext(first)
        busy = "an answer is being written: stop it, or wait for its end"
        assert (await all_of(visitor.ask("Two?", PLAIN)))[-1].note == busy
        assert (visitor.undo().note, visitor.clear().note) == (busy, busy)
        assert (await all_of(visitor.retry(PLAIN)))[-1].note == busy
        return (await all_of(first))[-1].note

    assert asyncio.run(both()) == ""
    assert [turn.question for turn in visitor.session.turns] == ["One?"]
    visitor.stop()
    assert visitor.undo().typed == "One?" and visitor.undo().note == "nothing has been said yet"
    asked(visitor, "Two?")
    visitor.stop()
    assert visitor.clear().messages == []


def test_a_thousand_turns_stay_within_the_context(visitor: Visitor, monkeypatch: pytest.MonkeyPatch) -> None:
    lengths: list[int] = []
    monkeypatch.setattr(Session, "_tokens", lambda _, ids, **__: (lengths.append(len(ids)), iter([65, 66]))[1])

    async def talk() -> list[Shown]:
        return [(await all_of(visitor.ask(f"Question {number}?", PLAIN)))[-1] for number in range(1000)]

    shown = asyncio.run(talk())
    assert max(lengths) <= visitor.session.room()
    assert len(shown[-1].messages) == 2 * SHOWN and "the first 900 turns are not shown" in shown[-1].note
    assert "no longer fit the context" in shown[-1].note


def test_an_answer_ends_where_the_context_does(loaded: ReadyModel) -> None:
    session = Session(loaded, Sampling(max_new_tokens=2000, context=100))
    ids = session.template.question("Who?")
    assert len(list(session._tokens(ids))) == 100 - len(ids)
