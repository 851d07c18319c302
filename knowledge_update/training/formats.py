"""The formats of rows that can be trained on, and the one form that all of them take.

| a row has | learned |
|---|---|
| `messages: [{role, content}]`, `conversations: [{from, value}]` | every answer |
| `instruction`, `output`; `input`, `history: [[q, a]]`, `system` if it likes | the answers, of the history too |
| `input`, `target`; or `prompt`, `completion` | the second |
| `title`, `content`; or `text` | all of it |

The one form is that of a run folder's `dataset/train.jsonl`: `{id, messages}` or `{id, text}`, and `language`. Texts
are taken as they are, white space included. Fields beside these are left alone.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from knowledge_update.documents.blocks import Block, language_of
from knowledge_update.run_folder import Row

Message = dict[str, str]

ROLES = {"user": "user", "human": "user", "assistant": "assistant", "gpt": "assistant", "system": "system"}
_KINDS = {str: "text", bool: "true or false", int: "a number", float: "a number", list: "a list", dict: "an object"}
# What a language is told by: more letters say the same.
_SAMPLE = 200


class BadRow(ValueError):
    """A row that cannot be trained on. What stands in brackets differs from row to row, the reason before it does not.

    Args:
        reason: Why.
    """

    @property
    def kind(self) -> str:
        """The reason without its particulars."""
        return str(self).partition(" (")[0]


@dataclass(frozen=True)
class Format:
    """A format of rows.

    Args:
        needs: The fields that a row of it has.
        read: From a row to its messages, or to its text.
    """

    needs: tuple[str, ...]
    read: Callable[[Row], list[Message] | str]

    def __str__(self) -> str:
        return f"{{{', '.join(self.needs)}}}"


def canonical(value: Any, name: str, expected: Format | None = None) -> tuple[Format, Row]:
    """The one form of a row.

    Args:
        value: What was read.
        name: The row's name where it has no `id`.
        expected: The format of its file's first row, to tell what a row of no format lacks.

    Raises:
        BadRow: When it cannot be trained on.
    """
    if not isinstance(value, dict):
        raise BadRow(f"not an object (it is {_kind(value)})")
    given = {key: part for key, part in value.items() if part is not None}
    found = next((form for form in FORMATS if all(field in given for field in form.needs)), None)
    if found is None:
        raise BadRow(_lacking(given, expected))
    content = found.read(given)
    shape: Row = {"text": content} if isinstance(content, str) else {"messages": content}
    identity = given.get("id")
    named = str(identity) if isinstance(identity, str | int) and str(identity) else name
    return found, {"id": named, **shape, "language": _language(content)}


def _lacking(given: Row, expected: Format | None) -> str:
    """Why a row is of no format: what it lacks to be of the likeliest."""
    near = sorted(FORMATS, key=lambda form: -sum(field in given for field in form.needs))
    form = expected if expected and any(field in given for field in expected.needs) else near[0]
    missing = [field for field in form.needs if field not in given]
    if len(missing) < len(form.needs):
        return f"no {missing[0]!r}, which a row of {form} has"
    fields = ", ".join(map(str, list(given)[:6])) or "none"
    return f"of no known format (its fields: {fields}; known are {', '.join(map(str, FORMATS))})"


def _messages(row: Row) -> list[Message]:
    return _chat([_turn(turn, at) for at, turn in enumerate(_listed(row, "messages"), 1)])


def _conversations(row: Row) -> list[Message]:
    return _chat([_turn(turn, at) for at, turn in enumerate(_listed(row, "conversations"), 1)])


def _instruction(row: Row) -> list[Message]:
    system = [("system", _text(row, "system"))] if "system" in row else []
    asked = [_text(row, "instruction"), _text(row, "input") if "input" in row else ""]
    history = [turn for at, pair in enumerate(_history(row), 1) for turn in _pair(pair, at)]
    question = "\n".join(part for part in asked if part.strip())
    return _chat([*system, *history, ("user", question), ("assistant", _text(row, "output"))])


def _history(row: Row) -> list[Any]:
    return _listed(row, "history") if "history" in row else []


def _pair(pair: Any, number: int) -> list[tuple[str, str]]:
    if not isinstance(pair, list) or len(pair) != 2 or not all(isinstance(part, str) for part in pair):
        raise BadRow(f"'history' is no list of [question, answer] (pair {number})")
    return [("user", pair[0]), ("assistant", pair[1])]


def _two(question: str, answer: str) -> Callable[[Row], list[Message]]:
    def read(row: Row) -> list[Message]:
        return _chat([("user", _text(row, question)), ("assistant", _text(row, answer))])

    return read


def _article(row: Row) -> str:
    title, content = _text(row, "title"), _text(row, "content")
    return f"{title}\n{_whole(content)}" if title.strip() else _whole(content)


def _plain(row: Row) -> str:
    return _whole(_text(row, "text"))


# A row is of the first that it has all fields of.
FORMATS: tuple[Format, ...] = (
    Format(("messages",), _messages),
    Format(("conversations",), _conversations),
    Format(("instruction", "output"), _instruction),
    Format(("input", "target"), _two("input", "target")),
    Format(("prompt", "completion"), _two("prompt", "completion")),
    Format(("title", "content"), _article),
    Format(("text",), _plain),
)


def _turn(turn: Any, number: int) -> tuple[str, str]:
    """A turn, `{from, value}` or `{role, content}`, as role and text."""
    if not isinstance(turn, dict):
        raise BadRow(f"a turn that is no object (turn {number} is {_kind(turn)})")
    who, what = ("from", "value") if "from" in turn else ("role", "content")
    if who not in turn:
        raise BadRow(f"a turn without a role (turn {number})")
    role = ROLES.get(turn[who]) if isinstance(turn[who], str) else None
    if role is None:
        raise BadRow(f"an unknown role (turn {number}: {str(turn[who])[:40]!r}; known are {', '.join(ROLES)})")
    if not isinstance(turn.get(what), str):
        raise BadRow(f"a turn whose {what!r} is not text (turn {number}: it is {_kind(turn.get(what))})")
    return role, _written(turn[what])


def _chat(turns: Sequence[tuple[str, str]]) -> list[Message]:
    """Turns as messages up to the last answer: of what comes after it nothing could be learned."""
    answers = [at for at, (role, _) in enumerate(turns) if role == "assistant"]
    if not answers:
        raise BadRow("no assistant turn")
    for at, (role, text) in enumerate(turns, 1):
        if role == "system" and at > 1:
            raise BadRow(f"a system turn that is not the first (turn {at})")
        if role != "system" and not text.strip():
            raise BadRow(f"an empty {'answer' if role == 'assistant' else 'question'} (turn {at})")
    kept = [(role, text) for role, text in turns[: answers[-1] + 1] if role != "system" or text.strip()]
    return [{"role": role, "content": text} for role, text in kept]


def _text(row: Row, field: str) -> str:
    value = row[field]
    if not isinstance(value, str):
        raise BadRow(f"{field!r} is not text (it is {_kind(value)})")
    return _written(value)


def _listed(row: Row, field: str) -> list[Any]:
    value = row[field]
    if not isinstance(value, list):
        raise BadRow(f"{field!r} is not a list (it is {_kind(value)})")
    return value


def _whole(text: str) -> str:
    if not text.strip():
        raise BadRow("an empty text")
    return text


def _written(text: str) -> str:
    """A text as it is, unless it has half of a surrogate pair, which JSON can escape: no tokenizer takes it."""
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise BadRow(f"half of a surrogate pair, which is no character (at character {error.start + 1})") from error
    return text


def _kind(value: Any) -> str:
    return "nothing" if value is None else _KINDS.get(type(value), type(value).__name__)


def _language(content: list[Message] | str) -> str:
    texts = [content] if isinstance(content, str) else [message["content"] for message in content]
    return language_of([Block("paragraph", text[:_SAMPLE]) for text in texts])
