"""What a chat model wrote, read tolerantly: JSON whole or broken, fenced, numbered, bulleted, labelled, full-width.

Whatever of a reply does not become an item is returned with the reason: nothing disappears here.
"""

import ast
import json
import re
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from knowledge_update.chat_models.texts import without_thoughts
from knowledge_update.documents.blocks import joined

# The keys of JSON objects, and the labels of lines, under which models write a thing; the first is what is asked for.
FACT = ("fact", "text", "statement", "事实", "陈述")
QUOTE = ("quote", "evidence", "source", "原文", "引文", "依据")
QUESTION = ("question", "q", "instruction", "prompt", "问题", "问")
ANSWER = ("answer", "a", "response", "output", "答案", "回答", "答")
FORM = ("form", "kind", "type", "形式", "类型")
ROLE = ("role", "asker", "who", "角色", "提问者")
THEME = ("theme", "topic", "subject", "主题", "话题")
ROLES = ("roles", "askers", "people", "角色", "提问者")
# The forms of a pair; whatever else a reply says is taken for a short answer.
SHORT, REVERSED, SENTENCE = "short", "reversed", "sentence"

_SNIPPET = 120
_FENCE = re.compile(r"^[ \t]*(?:```|~~~)[^\n]*$", re.M)
_SKIPPED = re.compile(r"\W*(?:skip|skipped|n/?a|none|no facts?|无|没有|跳过|略)\W*", re.I)
_NUMBER = re.compile(
    r"""[ \t]*(?:\*\*|__|\#{1,4}[ \t]+)?  (?:(?:facts?|item|no\.|statement|事实|第)[ \t]*)?
    (?:[(（\[【](?P<inside>\d{1,3})[)）\]】] | (?P<plain>\d{1,3})(?:[.):：](?!\d)|[、．）]|\*\*[ \t]*[.:：)]))
    (?:\*\*|__)?  [.:：、]?[ \t]*""",
    re.I | re.X,
)
_BULLET = re.compile(r"[ \t]*(?:[-*+•·–—▪◦][ \t]+|[•·▪◦])")
_FLAT_OBJECT = re.compile(r"""\{(?:[^{}'"]|'(?:\\.|[^'\\])*'|"(?:\\.|[^"\\])*")*\}""")


@dataclass(frozen=True)
class Pair:
    """Two texts that belong together: a fact and the quote it rests on, or a question and its answer.

    Args:
        first: The fact or the question.
        second: The quote or the answer.
        form: What kind of question it is, where the reply says so.
        role: Who asks it, where the reply says so.
    """

    first: str
    second: str
    form: str = ""
    role: str = ""


@dataclass(frozen=True)
class Parsed:
    """What a reply holds, and what of it could not be used, with the reason."""

    pairs: tuple[Pair, ...]
    lost: tuple[str, ...]


def pairs_of(reply: str, first: Sequence[str], second: Sequence[str]) -> Parsed:
    """Reads pairs out of a reply.

    Args:
        reply: All that the model wrote.
        first: Keys and labels of the first of a pair, as `QUESTION`.
        second: Those of the second, as `ANSWER`.
    """
    said, lost = _said(reply)
    if not said:
        return Parsed((), lost)
    found, bad = _from_json(said, first, second)
    if not found and not bad:
        found, bad = _from_labels(said, first, second)
    if not found and not bad:
        bad = [f"no pairs in: {_snippet(said)}"]
    return Parsed(tuple(found), (*lost, *bad))


def questions_of(reply: str) -> Parsed:
    """Reads questions with their answers out of a reply."""
    return pairs_of(reply, QUESTION, ANSWER)


def facts_of(reply: str) -> Parsed:
    """Reads facts with their quotes out of a reply; one of a list without quotes is its own, if it is a copy."""
    parsed = pairs_of(reply, FACT, QUOTE)
    if parsed.pairs or ("{" in reply and _whole_json(_said(reply)[0]) is None):
        return parsed
    lines, lost = lines_of(reply)
    return Parsed(tuple(Pair(line, line) for line in lines), tuple(lost) if lines else parsed.lost)


@dataclass(frozen=True)
class Outline:
    """What a passage is about, who would ask about it, and what of the reply could not be used."""

    theme: str
    roles: tuple[str, ...]
    lost: tuple[str, ...]


def outline_of(reply: str) -> Outline:
    """Reads a theme and a list of roles out of a reply: an object, or lines behind their labels."""
    said, lost = _said(reply)
    value = _whole_json(said)
    if isinstance(value, dict):
        known = {str(key).strip().lower(): part for key, part in value.items()}
        listed = [text for name in ROLES for text in _strings(known.get(name))]
        theme, roles = _under(value, THEME), [" ".join(text.split()) for text in listed]
    else:
        heads = re.compile(rf"[ \t*#]*(?:(?P<theme>{_any(THEME)})|(?:{_any(ROLES)}))[ \t*]*[:：][ \t*]*", re.I)
        lines = [(heads.match(line), line) for line in said.split("\n")]
        theme = next((line[head.end() :].strip(" *") for head, line in lines if head and head["theme"]), "")
        rest = [line[head.end() :] if head else line for head, line in lines if not (head and head["theme"])]
        roles = _roles("\n".join(rest)) if theme else []
    wanting = [] if theme or not said else [f"no theme in: {_snippet(said)}"]
    return Outline(theme, tuple(role for role in roles if role), (*lost, *wanting))


def _roles(text: str) -> list[str]:
    """Roles in a list, or in lines or with commas between."""
    items, _ = _items(text.strip())
    return items or [part.strip(" .。") for part in re.split("[,，、;；\n]", text)]


def skipped(reply: str) -> bool:
    """Whether a reply says in a word that there is nothing to say."""
    return bool(_SKIPPED.fullmatch(reply.strip()))


def text_of(reply: str) -> tuple[str, tuple[str, ...]]:
    """Reads running text out of a reply; returns it with its paragraphs, and the reason where there is none."""
    said, lost = _said(reply)
    return "\n".join(folded for line in said.split("\n") if (folded := " ".join(line.split()))), lost


def lines_of(reply: str) -> tuple[list[str], list[str]]:
    """Reads a list of short texts (roles, statements) out of a reply; returns it and the reasons for what was lost."""
    said, lost = _said(reply)
    if not said:
        return [], list(lost)
    value = _whole_json(said)
    if value is not None:
        items, rest = [" ".join(text.split()) for text in _strings(value)], list[str]()
    else:
        items, rest = _items(said)
    items = [item for item in items if item]
    return items, [*lost, *rest, *([] if items or rest else [f"no list in: {_snippet(said)}"])]


def _said(reply: str) -> tuple[str, tuple[str, ...]]:
    """A reply without its reasoning and fences; with the reason where nothing is left."""
    text = _FENCE.sub("", without_thoughts(reply)).strip()
    if not text:
        return "", ("the reply was empty" if not reply.strip() else "the reply was reasoning alone",)
    if _SKIPPED.fullmatch(text):
        return "", (f"the model skipped it: {_snippet(text)}",)
    return text, ()


def _whole_json(text: str) -> Any:
    """The JSON value that stands in a text, or nothing where there is none or it is broken."""
    starts = [at for at in (text.find("["), text.find("{")) if at >= 0]
    if not starts:
        return None
    try:
        value, _ = json.JSONDecoder(strict=False).raw_decode(text, min(starts))
    except ValueError:
        return None
    return value


def _from_json(text: str, first: Sequence[str], second: Sequence[str]) -> tuple[list[Pair], list[str]]:
    """Pairs from every innermost object of a text: one that is broken or cut off does not take the others with it."""
    named = re.compile(rf"""["'](?:{_any((*first, *second))})["'][ \t]*:""", re.I)
    found: list[Pair] = []
    lost: list[str] = []
    at = text.find("{")
    while at >= 0:
        value, end = _object_at(text, at)
        following = text.find("{", end)
        if value is None:
            torn = text[at : following if following >= 0 else len(text)]
            lost.extend([f"broken or cut off: {_snippet(torn)}"] if named.search(torn) else [])
        for inner in _innermost(value):
            one, other = _under(inner, first), _under(inner, second)
            if one and other and not _SKIPPED.fullmatch(other):
                found.append(Pair(one, other, _under(inner, FORM), _under(inner, ROLE)))
            elif one or other:
                lost.append(f"without {second[0] if one else first[0]}: {_snippet(one or other)}")
        at = following
    return found, lost


def _object_at(text: str, at: int) -> tuple[Any, int]:
    """The object that begins somewhere, in JSON or as Python writes it, with its end; or nothing and the next place."""
    try:
        value, end = json.JSONDecoder(strict=False).raw_decode(text, at)
    except (ValueError, RecursionError):
        flat = _FLAT_OBJECT.match(text, at)
        try:
            with warnings.catch_warnings():
                # Of the model's escapes the user has nothing.
                warnings.simplefilter("ignore")
                return (ast.literal_eval(flat[0]), flat.end()) if flat else (None, at + 1)
        except (ValueError, TypeError, SyntaxError, RecursionError, MemoryError):
            return None, at + 1
    return value, end


def _innermost(value: Any) -> Iterator[dict[str, Any]]:
    if isinstance(value, list):
        for item in value:
            yield from _innermost(item)
    elif isinstance(value, dict):
        below = [inner for part in value.values() for inner in _innermost(part)]
        yield from below or [value]


def _strings(value: Any) -> Iterator[str]:
    """All texts of a JSON value, in their order."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, (list, dict)):
        for part in value.values() if isinstance(value, dict) else value:
            yield from _strings(part)


def _under(value: dict[str, Any], names: Sequence[str]) -> str:
    """The text under the first of some keys that an object has."""
    known = {str(key).strip().lower(): part for key, part in value.items()}
    for name in names:
        part = known.get(name)
        if isinstance(part, (str, int, float)) and not isinstance(part, bool) and str(part).strip():
            return str(part).strip()
    return ""


def _from_labels(text: str, first: Sequence[str], second: Sequence[str]) -> tuple[list[Pair], list[str]]:
    """Pairs whose parts stand after labels, `Q: …` and `A: …`, at the start of a line or behind its number."""
    label = re.compile(
        rf"""[ \t]*(?:\*\*|__)?  (?:(?P<first>{_any(first)})|(?P<second>{_any(second)}))  [ \t]*\d{{0,3}}
        (?:\*\*|__)?[ \t]*[:：](?:\*\*|__)?[ \t]*""",
        re.I | re.X,
    )
    parts: list[tuple[str, list[str]]] = []
    stray: list[str] = []
    ended = True
    for line in text.split("\n"):
        marked = _NUMBER.match(line) or _BULLET.match(line)
        match = label.match(line) or (label.match(line, marked.end()) if marked else None)
        if match:
            parts.append(("first" if match["first"] else "second", [line[match.end() :]]))
            ended = False
        elif not line.strip() or (marked and not line[marked.end() :].strip()):
            # What comes behind an empty line is the model talking, not the answer going on.
            ended = not parts or bool(joined(parts[-1][1]))
        elif ended:
            stray.append(line)
        else:
            parts[-1][1].append(line)
    found, lost = _paired([(kind, joined(lines)) for kind, lines in parts], first, second)
    return found, [*lost, *(f"beside the pairs: {_snippet(line)}" for line in stray if parts)]


def _paired(
    parts: Sequence[tuple[str, str]], first: Sequence[str], second: Sequence[str]
) -> tuple[list[Pair], list[str]]:
    inline = re.compile(rf"(?<=[\s?？。.])(?:{_any(second)})[ \t]*[:：][ \t]*", re.I)
    found: list[Pair] = []
    lost: list[str] = []
    queue = list(parts)
    while queue:
        kind, text = queue.pop(0)
        if kind == "first" and queue and queue[0][0] == "second":
            pair = Pair(text, queue.pop(0)[1])
        elif kind == "first" and len(halves := inline.split(text, maxsplit=1)) == 2:
            pair = Pair(halves[0].strip(), halves[1].strip())
        else:
            pair = Pair(text, "") if kind == "first" else Pair("", text)
        if pair.first and pair.second and not _SKIPPED.fullmatch(pair.second):
            found.append(pair)
        else:
            missing = second[0] if pair.first else first[0]
            lost.append(f"without {missing}: {_snippet(pair.first or pair.second)}")
    return found, lost


def _any(names: Sequence[str]) -> str:
    return "|".join(re.escape(name) for name in sorted(names, key=len, reverse=True))


def _items(text: str) -> tuple[list[str], list[str]]:
    """The items of a numbered or bulleted list, and what stood beside them.

    A number counts as a mark only where it goes on from the one before, so that a line that wraps before "1874." does
    not begin an item. What stands before a first mark of 2 is the item whose mark stood in the prompt.
    """
    lines = text.split("\n")
    marks = _numbers(lines) or {at: mark.end() for at, line in enumerate(lines) if (mark := _BULLET.match(line))}
    groups: list[list[str]] = []
    beside: list[str] = []
    ended = True
    for at, line in enumerate(lines):
        if at in marks:
            groups.append([line[marks[at] :]])
            ended = False
        elif not line.strip():
            ended = True
        elif ended:
            beside.append(line)
        else:
            groups[-1].append(line)
    return [joined(group) for group in groups], [f"beside the list: {_snippet(line)}" for line in beside]


def _numbers(lines: Sequence[str]) -> dict[int, int]:
    """The lines that begin an item, with where its text begins."""
    marks: dict[int, int] = {}
    last = 0
    for at, line in enumerate(lines):
        number = _NUMBER.match(line)
        value = int(number["inside"] or number["plain"]) if number else 0
        if number and not marks and value == 2 and any(before.strip() for before in lines[:at]):
            marks[next(before for before, text in enumerate(lines) if text.strip())] = 0
            last = 1
        if number and value == last + 1:
            marks[at] = number.end()
            last = value
    return marks


def _snippet(text: str) -> str:
    short = " ".join(text.split())
    return short if len(short) <= _SNIPPET else f"{short[: _SNIPPET - 1]}…"
