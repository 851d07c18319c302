"""What a writer returns: statements with the questions about them, rewritten passages, and what it left out."""

from dataclasses import dataclass

# Wording families. All wordings of the probe family are asked in the evaluation and never trained.
DIRECT, SHORT, SYNONYM, CONVERSE, FRONTED, TITLED = "direct", "short", "synonym", "converse", "fronted", "titled"
CLOZE, COMPLETION, ABOUT, TEXT = "cloze", "completion", "about", "text"
# A direct question with some words around it, and the same as a part of a sentence; none of the words around it are the
# held-out family's.
FRAMED, EMBEDDED = "framed", "embedded"
INDIRECT = "indirect"
# What was superseded, taught as changed.
CHANGED = "changed"
PROBE_FAMILY = INDIRECT


@dataclass(frozen=True)
class Asking:
    """One wording of a question.

    Args:
        form: What is asked for: `who`, `what`, `when`, `where`, `how_many`, `cloze`, …; `text` for a plain restatement.
        wording: The wording family, one of the names above.
        question: The question; empty for plain text.
        answer: A short answer, or the whole text where the form is a restatement.
        slot: Which part of the statement is asked for; askings of one slot are wordings of one question.
        role: Who asks it, where that was decided.
    """

    form: str
    wording: str
    question: str
    answer: str
    slot: str = ""
    role: str = ""


@dataclass(frozen=True)
class Statement:
    """A fact that stands alone, with its verbatim quote and the offset of the quote in the passage."""

    text: str
    quote: str
    start: int
    askings: tuple[Asking, ...]


@dataclass(frozen=True)
class Rewrite:
    """What a passage says, written anew in another genre."""

    genre: str
    text: str


@dataclass(frozen=True)
class Unused:
    """A passage's sentence that became no fact, and why."""

    quote: str
    reason: str


Part = Statement | Rewrite | Unused
