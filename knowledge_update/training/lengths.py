"""Rows that are longer than what is trained at once: `rows.max_seq_length`.

- A text is split into windows of at most so many tokens, behind the last sentence that ends in a window's second half,
  else where the window is full. Nothing of it is lost; only its last window is taught to end.
- A conversation is split between questions into as few parts as fit, each with the system message: the last part loses
  its oldest turns to the part before, and every answer is learned once.
- A single question with its answer that does not fit is left out and counted: cut off in front it would ask something
  else, cut off behind it would teach not to end.
"""

from dataclasses import dataclass
from itertools import pairwise

from knowledge_update.run_folder import Row
from knowledge_update.training.formats import Message
from knowledge_update.training.rows import Encoded, Encoder

# What ends a sentence, as a token's last character; of Latin ones white space or nothing must follow.
_ENDS, _LATIN_ENDS = "。！？\n", ".!?"


@dataclass(frozen=True)
class Fitted:
    """What became of a row.

    Args:
        parts: What is trained of it.
        split: Whether it was too long for one sequence.
        left_out: Answers that no sequence has room for.
    """

    parts: tuple[Encoded, ...]
    split: bool = False
    left_out: int = 0


def fitted(row: Row, encoder: Encoder, most: int) -> Fitted:
    """Encodes a row in sequences of at most `most` tokens.

    Args:
        row: A row in the one form.
        encoder: Of the model that is taught.
        most: Tokens of a sequence.
    """
    whole = tuple(encoder.parts(row))
    if all(encoder.length(part) <= most for part in whole):
        return Fitted(whole)
    if "text" in row:
        return Fitted(_windows(row["text"], encoder, most), split=True)
    return _conversation(row["messages"], encoder, most)


def _windows(text: str, encoder: Encoder, most: int) -> tuple[Encoded, ...]:
    tokenizer, end = encoder.template.tokenizer, encoder.template.end_id
    plain = tokenizer(text, add_special_tokens=False, return_offsets_mapping=tokenizer.is_fast)
    ids = plain["input_ids"]
    # What the tokenizer puts before a text stands before each of its windows.
    marked = tokenizer(text)["input_ids"]
    head = marked[: len(marked) - len(ids)] if marked[-len(ids) :] == ids else []
    room = most - len(head) - 1
    cuts = _cuts(text, plain.get("offset_mapping"), len(ids), room)
    windows = [(*head, *ids[start:stop]) for start, stop in pairwise(cuts)]
    windows[-1] = (*windows[-1], end)
    return tuple(Encoded(window, window, False) for window in windows)


def _cuts(text: str, offsets: list[tuple[int, int]] | None, count: int, room: int) -> list[int]:
    """Where windows of at most `room` tokens begin, and the end."""
    cuts = [0]
    while count - cuts[-1] > room:
        full = cuts[-1] + room
        # A token may be a part of a character: no window ends within one.
        whole = [at for at in range(full, full - room // 2, -1) if offsets and offsets[at][0] >= offsets[at - 1][1]]
        ends = (at for at in whole if offsets and _ends(text, offsets[at - 1][1]))
        cuts.append(next(ends, whole[0] if whole else full))
    return [*cuts, count]


def _ends(text: str, at: int) -> bool:
    """Whether a sentence of a text ends before a character."""
    before, behind = text[max(0, at - 1) : at], text[at : at + 1]
    return bool(before) and (before in _ENDS or (before in _LATIN_ENDS and (not behind or behind.isspace())))


def _conversation(messages: list[Message], encoder: Encoder, most: int) -> Fitted:
    """The longest end of a conversation that fits, and the same of what stands before it."""
    system = [message for message in messages if message["role"] == "system"]
    exchanges = _exchanges(messages[len(system) :])
    found: list[tuple[Encoded, ...]] = []
    left_out, stop = 0, len(exchanges)
    while stop:
        best: tuple[Encoded, ...] = ()
        for start in range(stop - 1, -1, -1):
            turns = [message for exchange in exchanges[start:stop] for message in exchange]
            parts = tuple(encoder.parts({"messages": [*system, *turns]}))
            if any(encoder.length(part) > most for part in parts):
                break
            best, begin = parts, start
        if best:
            found.append(best)
            stop = begin
        else:
            left_out += sum(message["role"] == "assistant" for message in exchanges[stop - 1])
            stop -= 1
    parts = tuple(part for group in reversed(found) for part in group)
    return Fitted(parts, split=len(found) > 1, left_out=left_out)


def _exchanges(messages: list[Message]) -> list[list[Message]]:
    """Questions with their answers: a new one begins where a question follows an answer."""
    found: list[list[Message]] = []
    for before, message in zip([None, *messages], messages, strict=False):
        if before is None or (before["role"] == "assistant" and message["role"] == "user"):
            found.append([])
        found[-1].append(message)
    return found
