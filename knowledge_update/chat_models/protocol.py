"""A question to a chat model and what comes back, whatever serves the model.

CallError
├── Overloaded     the server wants fewer requests, or none for a while
├── Unreachable    no answer came: the connection, the time, the server's own error; the same request may succeed
├── Malformed      what came is no chat completion
├── Refused        this request will not be answered; others may be
└── Fatal          no request will be: the key, the address or the model is wrong
    ├── Gone       no request was answered for longer than anybody wanted to wait, or too many were not
    └── Stopped    somebody wants no more of them
"""

import hashlib
import json
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True)
class Request:
    """What is asked.

    Args:
        messages: Role and content of each, in order.
        max_tokens: The longest answer, in tokens.
        temperature: 0 for the likeliest answer.
        schema: A JSON schema that the answer has to fit, as JSON; empty where any text will do.
    """

    messages: tuple[tuple[str, str], ...]
    max_tokens: int
    temperature: float = 0.0
    schema: str = ""

    def key(self, model: str) -> str:
        """The identity of this request to a model: a hash of all that its answer depends on."""
        parts = [model, self.messages, self.max_tokens, self.temperature, self.schema]
        return hashlib.sha256(json.dumps(parts, ensure_ascii=False).encode()).hexdigest()[:24]


@dataclass(frozen=True)
class Reply:
    """What came back.

    Args:
        text: The answer.
        cut: Whether it ends because it was as long as it might be.
        prompt_tokens: As the server counted them; 0 where it did not.
        completion_tokens: The same of the answer.
    """

    text: str
    cut: bool
    prompt_tokens: int
    completion_tokens: int


class CallError(Exception):
    """A request that got no answer."""


class Overloaded(CallError):
    """The server wants fewer requests.

    Args:
        reason: What it said.
        after: Seconds it asked to wait, where it did.
    """

    def __init__(self, reason: str, after: float | None = None) -> None:
        super().__init__(reason)
        self.after = after


class Unreachable(CallError):
    """No answer came, and the same request may succeed later."""


class Malformed(CallError):
    """What came is no chat completion."""


class Refused(CallError):
    """This request will not be answered, however often it is asked."""


class Fatal(CallError):
    """No request will be answered."""


class Gone(Fatal):
    """The server has been away for too long, or has failed too often."""


class Stopped(Fatal):
    """The work was stopped by hand."""


class ChatModel(Protocol):
    """Whatever answers."""

    @property
    def name(self) -> str:
        """The model's name: answers of two models of one name are taken for each other."""

    async def ask(self, request: Request) -> Reply:
        """Answers, or raises a `CallError`."""

    async def close(self) -> None:
        """Gives back what it holds."""
