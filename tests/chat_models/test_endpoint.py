"""What a server says becomes a reply or the right kind of failure."""

import asyncio
import json
import time
from email.utils import formatdate
from typing import Any

import pytest
from chat_server import Answer, Server, completion

from knowledge_update.chat_models.endpoint import Endpoint
from knowledge_update.chat_models.protocol import (
    CallError,
    Fatal,
    Malformed,
    Overloaded,
    Refused,
    Reply,
    Request,
    Unreachable,
)

QUESTION = Request((("system", "Be brief."), ("user", "灯塔建于哪一年？")), max_tokens=40, temperature=0.3)


def ask(url: str, request: Request = QUESTION, key: str = "sk-test", timeout: float = 5.0) -> Reply:
    async def go() -> Reply:
        endpoint = Endpoint(url, "writer", key, timeout)
        try:
            return await endpoint.ask(request)
        finally:
            await endpoint.close()

    return asyncio.run(go())


def error(message: str = "no", code: str | None = None) -> dict[str, Any]:
    return {"error": {"message": message, "code": code}}


def test_a_request_arrives_as_it_was_meant_and_its_answer_comes_back(server: Server) -> None:
    server.script = lambda body: Answer(completion("一八七四年"))
    assert ask(server.url) == Reply("一八七四年", cut=False, prompt_tokens=11, completion_tokens=7)
    assert server.seen == [
        {
            "model": "writer",
            "messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "灯塔建于哪一年？"}],
            "max_tokens": 40,
            "temperature": 0.3,
        }
    ]
    assert server.headers[0]["authorization"] == "Bearer sk-test"


def test_a_schema_is_asked_for_as_servers_take_it(server: Server) -> None:
    schema = {"type": "object", "properties": {"fact": {"type": "string"}}}
    ask(server.url, Request((("user", "x"),), 5, schema=json.dumps(schema)))
    assert server.seen[0]["response_format"] == {
        "type": "json_schema",
        "json_schema": {"name": "answer", "schema": schema, "strict": True},
    }


def test_an_answer_that_was_cut_off_says_so(server: Server) -> None:
    server.script = lambda body: Answer(completion("one, two,", finish="length"))
    assert ask(server.url).cut


def test_a_model_that_only_reasoned_said_nothing(server: Server) -> None:
    server.script = lambda body: Answer(completion(None))
    assert ask(server.url).text == ""


FAILURES = [
    (401, error("bad key"), {}, Fatal, "the server refuses this key: bad key"),
    (403, error("no"), {}, Fatal, "the server refuses this key: no"),
    (404, error("no model writer"), {}, Fatal, "there is no such model or address: no model writer"),
    (429, error("quota", "insufficient_quota"), {}, Fatal, "the server refuses this key: quota"),
    (429, error("slow down"), {}, Overloaded, "slow down"),
    (503, error("busy"), {"Retry-After": "2"}, Overloaded, "busy"),
    (503, error("down"), {}, Unreachable, "the server failed with 503: down"),
    (500, b"<html>oops</html>", {}, Unreachable, "the server failed with 500"),
    (400, error("too long"), {}, Refused, "too long"),
    (422, error("bad schema"), {}, Refused, "bad schema"),
    (200, b"not json", {}, Malformed, "chat completion"),
    (200, {"choices": []}, {}, Malformed, "what came back is no chat completion"),
    (200, {"choices": [{"message": {"content": ["a"]}}]}, {}, Malformed, "the answer is no text"),
    (200, [1], {}, Malformed, "what came back is no chat completion"),
]


@pytest.mark.parametrize(("status", "body", "headers", "kind", "reason"), FAILURES, ids=lambda value: str(value)[:30])
def test_failures_have_their_kind(
    server: Server, status: int, body: Any, headers: dict[str, str], kind: type[CallError], reason: str
) -> None:
    server.script = lambda _: Answer(body, status, headers)
    with pytest.raises(kind) as raised:
        ask(server.url)
    assert reason in str(raised.value)
    assert "\n" not in str(raised.value)
    assert len(server.seen) == 1, "nobody below repeats a request"


def test_a_filtered_answer_is_refused(server: Server) -> None:
    server.script = lambda body: Answer(completion("", finish="content_filter"))
    with pytest.raises(Refused):
        ask(server.url)


@pytest.mark.parametrize(
    ("value", "low", "high"),
    [("3", 3, 3), ("0.5", 0.5, 0.5), (formatdate(time.time() + 6000, usegmt=True), 5000, 6001), ("soon", None, None)],
)
def test_the_time_a_server_asks_for_is_told(server: Server, value: str, low: float, high: float) -> None:
    server.script = lambda _: Answer(error(), 429, {"Retry-After": value})
    with pytest.raises(Overloaded) as raised:
        ask(server.url)
    after = raised.value.after
    assert after is None if low is None else after is not None and low <= after <= high


def test_a_server_that_hangs_hangs_up_or_is_not_there_is_unreachable(server: Server) -> None:
    server.script = lambda _: Answer(completion("late"), seconds=0.6)
    with pytest.raises(Unreachable, match="no answer in time"):
        ask(server.url, timeout=0.2)
    server.script = lambda _: Answer(hangs_up=True)
    with pytest.raises(Unreachable, match="no connection"):
        ask(server.url)
    with pytest.raises(Unreachable, match="no connection"):
        ask("http://127.0.0.1:9/v1")


def test_no_failure_tells_the_key(server: Server) -> None:
    server.script = lambda _: Answer(error("unknown"), 401)
    with pytest.raises(Fatal) as raised:
        ask(server.url, key="sk-secret-value")
    assert "sk-secret-value" not in str(raised.value) + repr(raised.value.__cause__)
