"""Answers that fit a JSON schema, where the server can hold its model to one; whether it does is tried out once."""

import asyncio
import json
import re
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import replace
from typing import Any

from knowledge_update.chat_models.protocol import CallError, ChatModel, Malformed, Refused, Reply, Request

Place = Callable[[], AbstractAsyncContextManager[object]]

# Some servers want an object where we want a list: on its way the list is what such an object holds.
_FIELD = "items"
_OPENING = re.compile(rf'\A\s*\{{\s*"{_FIELD}"\s*:\s*')
# Nobody says this to that question who is not made to.
_WORD = "quoll"
_QUESTION = "What is two plus two?"
# A server that could not be tried so many times is asked in words.
_TRIES = 5


def list_of(*names: str, most: int | None = None) -> str:
    """The schema, as JSON, of a list of objects that hold a text under each of some names and nothing else.

    Args:
        names: Of the texts.
        most: How many objects the list may hold, where that is known.
    """
    bound = {} if most is None else {"maxItems": most}
    return json.dumps({"type": "array", **bound, "items": _object({name: {"type": "string"} for name in names})})


class Structured:
    """A chat model whose schemas are sent only where its server keeps to them.

    A server may refuse a schema, pass over it, or hold its model to it. One request beside the first that has a schema
    finds out which. None waits for it, so that none leaves later than it was let: until it is known, as where schemas
    are of no use, they are not sent, and the prompts ask for the same in words.

    Args:
        model: Who answers.
        mode: `auto`, `on` where schemas are sent without trying, `off` where they are not sent.
        place: Makes the context in which the one request is sent that finds out: its place among the others.
    """

    def __init__(self, model: ChatModel, mode: str = "auto", place: Place = nullcontext) -> None:
        self.model, self._place = model, place
        self._able: bool | None = {"on": True, "off": False}.get(mode)
        self._trying: asyncio.Task[None] | None = None
        self._tries = 0

    @property
    def name(self) -> str:
        """The model's name."""
        return self.model.name

    async def ask(self, request: Request) -> Reply:
        """Answers, or raises a `CallError`."""
        if not request.schema:
            return await self.model.ask(request)
        if self._able is None and self._trying is None:
            self._trying = asyncio.create_task(self._try())
        if not self._able:
            return await self.model.ask(replace(request, schema=""))
        wrapped = json.dumps(_object({_FIELD: json.loads(request.schema)}))
        reply = await self.model.ask(replace(request, schema=wrapped))
        return replace(reply, text=_unwrapped(reply.text))

    async def close(self) -> None:
        """Closes the model."""
        if self._trying is not None:
            self._trying.cancel()
            await asyncio.gather(self._trying, return_exceptions=True)
        await self.model.close()

    async def _try(self) -> None:
        """Finds out whether the server makes its model say what no model would.

        What tells nothing of schemas (no connection, an overload, a wrong key) is told by the other requests too; a
        later one tries again, a few times.
        """
        forced = {"type": "array", "minItems": 1, "maxItems": 1, "items": _object({"word": {"enum": [_WORD]}})}
        schema = json.dumps(_object({_FIELD: forced}))
        self._tries += 1
        try:
            async with self._place():
                reply = await self.model.ask(Request((("user", _QUESTION),), max_tokens=100, schema=schema))
            self._able = bool(json.loads(reply.text) == {_FIELD: [{"word": _WORD}]})
        except (Refused, Malformed, ValueError):
            self._able = False
        except CallError:
            self._able = False if self._tries == _TRIES else None
        finally:
            self._trying = None


def _object(properties: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": "object", "properties": properties, "required": list(properties),
        "additionalProperties": False,
    }  # fmt: skip


def _unwrapped(text: str) -> str:
    """The list that an answer holds, as far as it goes; what is no such object stays as it is."""
    try:
        value = json.loads(text)
    except ValueError:
        return _OPENING.sub("", text)
    if isinstance(value, dict) and isinstance(value.get(_FIELD), list):
        return json.dumps(value[_FIELD], ensure_ascii=False)
    return text
