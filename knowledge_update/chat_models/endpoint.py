"""A server that speaks the OpenAI protocol: an API, a vLLM server, anything local."""

import json
import re
import time
from email.utils import parsedate_to_datetime
from typing import Any

from knowledge_update.chat_models.protocol import (
    Fatal,
    Malformed,
    Overloaded,
    Refused,
    Reply,
    Request,
    Unreachable,
)


class Endpoint:
    """A model behind a base URL.

    Requests are not repeated here: who repeats them must see every one that failed.

    Args:
        base_url: Up to and with `/v1`.
        model: The model's name there.
        key: The key, where the server wants one; it is sent and kept nowhere else.
        timeout: Seconds until an answer counts as lost.
        proxies: Whether proxies that the environment names are used.
    """

    def __init__(
        self, base_url: str, model: str, key: str = "", timeout: float = 600.0, *, proxies: bool = True
    ) -> None:
        from openai import AsyncOpenAI, DefaultAioHttpClient

        self._model = model
        # Measured (benchmarks/LOG.md): a request costs 1.3 ms of processor time through aiohttp, 2.1 without.
        http = DefaultAioHttpClient(trust_env=proxies)
        self._client = AsyncOpenAI(
            api_key=key or "none", base_url=base_url, max_retries=0, timeout=timeout, http_client=http
        )

    @property
    def name(self) -> str:
        """The model's name."""
        return self._model

    async def ask(self, request: Request) -> Reply:
        """Answers, or raises a `CallError`."""
        import httpx2
        import openai

        body: dict[str, Any] = {
            "model": self._model,
            "messages": [{"role": role, "content": content} for role, content in request.messages],
            "max_tokens": request.max_tokens,
            "temperature": request.temperature,
        }
        if request.schema:
            body["response_format"] = {"type": "json_schema", "json_schema": _named(request.schema)}
        try:
            # The plain value: validating every answer into the library's classes costs more than reading it.
            answer: Any = await self._client.post("/chat/completions", cast_to=object, body=body)
        except openai.APIStatusError as error:
            raise _of_status(error) from error
        except openai.APITimeoutError as error:
            # A connection that was lost comes as one that could not be made in time.
            lost = isinstance(error.__cause__, httpx2.ConnectTimeout)
            raise Unreachable(f"no connection: {error.__cause__}" if lost else "no answer in time") from error
        except openai.APIConnectionError as error:
            raise Unreachable(f"no connection: {error.__cause__ or error}") from error
        except (openai.OpenAIError, ValueError) as error:
            raise Malformed(f"no chat completion came back ({type(error).__name__})") from error
        return _reply(answer)

    async def close(self) -> None:
        """Closes the connections."""
        await self._client.close()


def _named(schema: str) -> dict[str, Any]:
    return {"name": "answer", "schema": json.loads(schema), "strict": True}


def _reply(answer: Any) -> Reply:
    try:
        choice = answer["choices"][0]
        text = choice["message"].get("content") or ""
        reason = choice.get("finish_reason")
        usage = answer.get("usage") or {}
        counts = int(usage.get("prompt_tokens") or 0), int(usage.get("completion_tokens") or 0)
    except (TypeError, KeyError, IndexError, AttributeError, ValueError) as error:
        raise Malformed("what came back is no chat completion") from error
    if not isinstance(text, str):
        raise Malformed("the answer is no text")
    if reason == "content_filter":
        raise Refused("the server's filter held the answer back")
    return Reply(text, reason == "length", *counts)


def _of_status(error: Any) -> Exception:
    """What a status means for this request and for the others."""
    status, said = error.status_code, _said(error)
    code = str(getattr(error, "code", "") or "")
    if status in (401, 403) or code == "insufficient_quota":
        return Fatal(f"the server refuses this key: {said}")
    if status == 404:
        return Fatal(f"there is no such model or address: {said}")
    if status == 429 or (status == 503 and "retry-after" in error.response.headers):
        return Overloaded(said, _after(error.response.headers.get("retry-after")))
    if status in (408, 409, 425) or status >= 500:
        return Unreachable(f"the server failed with {status}: {said}")
    return Refused(said)


def _after(value: str | None) -> float | None:
    """Seconds that a Retry-After names, as a number or as a date."""
    if value is None:
        return None
    if re.fullmatch(r"\s*\d+(\.\d*)?\s*", value):
        return float(value)
    try:
        return max(0.0, parsedate_to_datetime(value).timestamp() - time.time())
    except ValueError:
        # It names neither; what the server wants is told by its status all the same.
        return None


def _said(error: Any) -> str:
    """What a server said of an error, in a line of bearable length."""
    body = error.body
    said = body.get("message") if isinstance(body, dict) else None
    text = " ".join(str(said or error.message).split())
    return text if len(text) <= 300 else f"{text[:299]}…"
