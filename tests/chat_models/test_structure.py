"""A schema is sent where a server was seen to keep to one, and nowhere else."""

import asyncio
import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest
from chat_server import Answer, Server, completion

from knowledge_update.chat_models.endpoint import Endpoint
from knowledge_update.chat_models.protocol import Reply, Request
from knowledge_update.chat_models.structure import Structured, list_of
from knowledge_update.chat_models.window import Window

PAIRS = list_of("question", "answer")
VALUE = [{"question": "建于哪一年？", "answer": "1874"}]
WANTED = Request((("user", "Ask."),), 50, schema=PAIRS)
PLAIN = Request((("user", "Talk."),), 50)


def filled(schema: Any) -> Any:
    """What a server that keeps to a schema makes its model say."""
    if "enum" in schema:
        return schema["enum"][0]
    if schema["type"] == "object":
        return {name: filled(part) for name, part in schema["properties"].items()}
    return [filled(schema["items"])] if schema["type"] == "array" else "something"


def schema_of(body: dict[str, Any]) -> Any:
    return body.get("response_format", {}).get("json_schema", {}).get("schema")


def obeying(body: dict[str, Any]) -> Answer:
    schema = schema_of(body)
    return Answer(completion(json.dumps(filled(schema)) if schema else "free"), seconds=0.02)


def ignoring(body: dict[str, Any]) -> Answer:
    return Answer(completion("Four." if schema_of(body) else "free"))


def rejecting(body: dict[str, Any]) -> Answer:
    error = {"error": {"message": "response_format is not supported"}}
    return Answer(error, 400) if "response_format" in body else Answer(completion("free"))


def garbling(body: dict[str, Any]) -> Answer:
    return Answer(b"<html>", 200) if "response_format" in body else Answer(completion("free"))


@pytest.fixture
def ask(server: Server) -> Callable[..., list[Any]]:
    """`ask(requests, mode)` asks all at once; failures are returned. Further lists are asked one after another."""

    def run(requests: Sequence[Request], mode: str = "auto", *later: Sequence[Request]) -> list[Any]:
        async def go() -> list[Any]:
            model = Structured(Endpoint(server.url, "writer", timeout=5), mode)
            try:
                replies = []
                for some in (requests, *later):
                    replies += await asyncio.gather(*(model.ask(one) for one in some), return_exceptions=True)
                return replies
            finally:
                await model.close()

        return asyncio.run(go())

    return run


def test_a_server_that_keeps_to_schemas_is_tried_once_and_then_held_to_them(server: Server, ask: Any) -> None:
    server.script = obeying
    replies = ask([WANTED, WANTED, PLAIN], "auto", [PLAIN], [WANTED, PLAIN, WANTED])
    made = '[{"question": "something", "answer": "something"}]'
    assert [reply.text for reply in replies[:4]] == ["free"] * 4, "none waits until it is known"
    assert [reply.text for reply in replies[4:]] == [made, "free", made]
    schemas = [schema_of(body) for body in server.seen]
    assert len(schemas) == 8
    assert sum(schema is not None and "quoll" in json.dumps(schema) for schema in schemas) == 1
    sent = next(schema for schema in schemas if schema and "question" in json.dumps(schema))
    assert sent["type"] == "object", "some servers take no list"
    assert list(sent["properties"].values()) == [json.loads(PAIRS)]


@pytest.mark.parametrize("script", [ignoring, rejecting, garbling], ids=lambda script: script.__name__)
def test_a_server_that_does_not_is_asked_in_words(server: Server, ask: Any, script: Any) -> None:
    server.script = script
    assert [reply.text for reply in ask([WANTED, WANTED], "auto", [PLAIN], [WANTED])] == ["free"] * 4
    assert sum("response_format" in body for body in server.seen) == 1


def test_on_and_off_try_nothing(server: Server, ask: Any) -> None:
    server.script = obeying
    assert [reply.text for reply in ask([WANTED], "off")] == ["free"]
    assert json.loads(ask([WANTED], "on")[0].text) == [{"question": "something", "answer": "something"}]
    assert ["response_format" in body for body in server.seen] == [False, True]


@pytest.mark.parametrize("status", [500, 429, 401], ids=["down", "busy", "wrong key"])
def test_a_server_that_could_not_be_tried_is_tried_again(server: Server, ask: Any, status: int) -> None:
    failures = [Answer({"error": {"message": "no"}}, status)]
    server.script = lambda body: failures.pop() if failures and "response_format" in body else obeying(body)
    *first, last = ask([WANTED, WANTED], "auto", [PLAIN], [WANTED], [PLAIN], [WANTED])
    assert [reply.text for reply in first] == ["free"] * 5
    assert json.loads(last.text) == [{"question": "something", "answer": "something"}]
    assert len(server.seen) == 8


def test_the_request_that_tries_has_a_place_like_any(server: Server) -> None:
    # The trial is still on its way when the other answer has come.
    server.script = lambda body: replace(obeying(body), seconds=0.5 if schema_of(body) else 0.0)
    window = Window(2)

    async def go() -> None:
        model = Structured(Endpoint(server.url, "writer", timeout=5), place=lambda: window.place(9))
        async with window.place(0):
            await model.ask(WANTED)
            assert window.under_way == 2
        while window.under_way:
            await asyncio.sleep(0.01)
        await model.close()

    asyncio.run(asyncio.wait_for(go(), 10))


def test_a_server_that_can_never_be_tried_is_not_tried_for_ever(server: Server, ask: Any) -> None:
    server.script = lambda body: Answer({}, 500) if "response_format" in body else Answer(completion("free"))
    replies = ask([WANTED], "auto", *([[PLAIN], [WANTED]] * 9))
    assert {reply.text for reply in replies} == {"free"}
    assert sum("response_format" in body for body in server.seen) == 5


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        (json.dumps({"items": VALUE}), json.dumps(VALUE, ensure_ascii=False)),
        ('{"items": []}', "[]"),
        ('{ "items":\n[{"question": "Which', '[{"question": "Which'),
        ('{"other": []}', '{"other": []}'),
        ("[1]", "[1]"),
    ],
)
def test_the_list_is_taken_out_of_what_holds_it(server: Server, ask: Any, said: str, kept: str) -> None:
    server.script = lambda body: Answer(completion(said, "length" if said.endswith("Which") else "stop"))
    (reply,) = ask([WANTED], "on")
    assert reply == Reply(kept, said.endswith("Which"), 11, 7)


def test_the_identity_of_a_request_does_not_tell_what_its_server_can(server: Server, ask: Any) -> None:
    assert WANTED.key("m") != PLAIN.key("m")
    before = WANTED.key("m")
    server.script = rejecting
    ask([WANTED])
    assert WANTED.key("m") == before
