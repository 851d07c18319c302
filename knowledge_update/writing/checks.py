"""What keeps training and evaluation apart in a fact: which wordings are trained, and which is its probe."""

import math
import re
from collections import defaultdict
from collections.abc import Iterable, Sequence

from knowledge_update.ledger import QuestionRow, content_id
from knowledge_update.writing.frames import framed
from knowledge_update.writing.statements import (
    ABOUT,
    CLOZE,
    COMPLETION,
    CONVERSE,
    DIRECT,
    EMBEDDED,
    FRAMED,
    FRONTED,
    PROBE_FAMILY,
    SHORT,
    SYNONYM,
    TEXT,
    TITLED,
    Asking,
)

# In this order wordings are taken until a fact has its number; the one that asks to tell about something comes last.
_ORDER = (DIRECT, CONVERSE, FRAMED, EMBEDDED, COMPLETION, SYNONYM, CLOZE, SHORT, TITLED, FRONTED)
NEAR_DUPLICATE = 0.9


def words(text: str) -> frozenset[str]:
    """The words of a text, Chinese by character, for comparing wordings."""
    return frozenset(re.findall(r"[\u4e00-\u9fff]|[^\W_]+", text.lower()))


def sequence(text: str) -> str:
    """The words of a text in their order, as `words` finds them."""
    return " ".join(re.findall(r"[\u4e00-\u9fff]|[^\W_]+", text.lower()))


def similarity(left: str, right: str) -> float:
    """Jaccard similarity of two wordings' words."""
    return jaccard(words(left), words(right))


def alike(left: str, right: str) -> bool:
    """Whether two texts say the same in nearly the same words, and with the same numbers."""
    return re.findall(r"\d+", left) == re.findall(r"\d+", right) and similarity(left, right) >= NEAR_DUPLICATE


def jaccard(left: frozenset[str], right: frozenset[str]) -> float:
    """Jaccard similarity of two sets of words."""
    return len(left & right) / len(left | right) if left | right else 1.0


def telling(asked: frozenset[str], least: float) -> list[str]:
    """Some words of a wording: two wordings of at least this Jaccard similarity share one of each other's.

    Whatever order words are put in, the first few of each have one in common (prefix filtering, Chaudhuri et al. 2006;
    exact).
    """
    # Long words are the rarer ones.
    ordered = sorted(asked, key=lambda word: (-len(word), word))
    return ordered[: len(ordered) - math.ceil(round(least * len(ordered), 6)) + 1]


def split(fact: str, askings: Sequence[Asking], *, wordings: int, validation_share: float) -> list[QuestionRow]:
    """Chooses a fact's trained wordings, its validation wordings and its probe.

    Args:
        fact: The fact's identity; every choice depends on it and on the wordings alone.
        askings: All that can be asked.
        wordings: How many questions are trained at most, beside plain restatements.
        validation_share: The share of trained wordings that is set aside.
    """
    probes = [asking for asking in askings if asking.wording == PROBE_FAMILY]
    texts = [asking for asking in askings if asking.wording == TEXT]
    abouts = [asking for asking in askings if asking.wording == ABOUT]
    plain = [asking for asking in askings if asking.wording not in (PROBE_FAMILY, TEXT, ABOUT)]
    trained = _in_turn([*plain, *framed(plain)])
    rows = [_row(fact, "probe", asking) for asking in _chosen_probe(fact, probes)]
    asked = [row.question for row in rows]
    kept = [a for a in trained if not any(similarity(a.question, probe) >= NEAR_DUPLICATE for probe in asked)]
    chosen = _with_about(kept[:wordings], abouts, wordings)
    for asking in chosen:
        row = _row(fact, "train", asking)
        aside = int(row.id[:8], 16) / 0xFFFFFFFF < validation_share and len(kept) > 2 and asking.wording != ABOUT
        rows.append(_row(fact, "validation", asking) if aside else row)
    return [*rows, *(_row(fact, "train", asking) for asking in texts)]


def _with_about(chosen: list[Asking], abouts: Sequence[Asking], wordings: int) -> list[Asking]:
    """Adds one asking to tell about the fact's thing, in place of the last wording if there are enough.

    A direct question is never given up for it: what is asked for directly is what the fact is learned by.
    """
    if len(chosen) < wordings:
        return [*chosen, *abouts[:1]]
    spare = [at for at, asking in enumerate(chosen) if asking.wording != DIRECT]
    if not abouts or not spare:
        return chosen
    return [*(asking for at, asking in enumerate(chosen) if at != spare[-1]), abouts[0]]


def _chosen_probe(fact: str, probes: Sequence[Asking]) -> list[Asking]:
    """One probe: of the wordings that need no topic before them, the one the fact's hash points at."""
    plain = [asking for asking in probes if not asking.question.startswith("About ")] or list(probes)
    return [plain[int(fact[:8], 16) % len(plain)]] if plain else []


def _in_turn(askings: Iterable[Asking]) -> list[Asking]:
    """Orders wordings so that every part of a fact is asked for before any part is asked for again."""
    by_slot: dict[str, list[Asking]] = defaultdict(list)
    for asking in sorted(askings, key=lambda asking: _ORDER.index(asking.wording)):
        by_slot[asking.slot].append(asking)
    turns = max((len(group) for group in by_slot.values()), default=0)
    return [group[turn] for turn in range(turns) for group in by_slot.values() if turn < len(group)]


def _row(fact: str, part: str, asking: Asking) -> QuestionRow:
    identity = content_id(fact, asking.wording, asking.question, asking.answer)
    return QuestionRow(identity, fact, part, asking.form, asking.role, asking.wording, asking.question, asking.answer)
