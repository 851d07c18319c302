"""The parts of a clause: how each reads, whether it belongs to the verb, and how it is asked for."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from knowledge_update.writing.english.lexicon import (
    CALLING,
    COLOURS,
    DATE,
    FULL_DATE,
    MEASURE_VERBS,
    NUMBER_WORDS,
    PARTICLES,
    SET_PHRASES,
)
from knowledge_update.writing.english.phrases import MAX_ANSWER_WORDS, Ask, Reader, semicolon, tidy, time_asks

Token = Any

# Adverbs that tie a sentence to its neighbours and say nothing by themselves.
_TEMPORAL = frozenset(
    [
        "when",
        "where",
        "how",
        "also",
        "then",
        "thus",
        "therefore",
        "however",
        "there",
        "here",
        "now",
        "later",
        "today",
        "still",
    ]
)
# Kinds of names, of which some are adjectives.
_NAMED = frozenset("NORP GPE LOC PERSON LANGUAGE".split())


@dataclass(frozen=True)
class Slot:
    """A part of a clause, as it reads, with the ways to ask for it."""

    role: str
    text: str
    asks: tuple[Ask, ...] = ()
    fronted: bool = False
    plural: bool = False


def slots_of(verb: Token, reader: Reader) -> Iterator[Slot]:
    for child in verb.children:
        if child.i in asides(verb, child) or semicolon(verb.doc[verb.i : child.left_edge.i]):
            continue
        fronted = child.i < verb.i and not stands_for_head(child)
        slot = _slot(child, verb, reader)
        if slot:
            text = lower_first(slot.text, child, reader)
            yield replace(slot, text=text, fronted=fronted)
        if child.dep_ in ("dobj", "attr", "prep") and not fronted:
            yield from _late_times(child, reader)


def _slot(child: Token, verb: Token, reader: Reader) -> Slot | None:
    role = child.dep_
    if stands_for_head(child):
        without = frozenset(part.i for part in verb.subtree)
        asks = reader.noun_asks(verb.head, verb=verb.lemma_, without=without)
        text = lower_first(reader.text(verb.head, without=without), verb.head, reader)
        return Slot("object", text, tuple(asks), plural=_is_plural(verb.head, text))
    if role in ("dobj", "attr", "oprd"):
        late = frozenset(part.i for prep in _late(child) for part in prep.subtree)
        asks = _object_asks(child, verb, reader)
        text = reader.text(child, without=late)
        return Slot("object" if role == "dobj" else "attribute", text, tuple(asks), plural=_is_plural(child, text))
    if role == "acomp":
        return Slot("adjective", reader.text(child), tuple(reader.adjective_asks(child)))
    if role == "agent":
        noun = next((inner for inner in child.children if inner.dep_ == "pobj"), None)
        asks = _agent_asks(noun, reader) if noun is not None else []
        return Slot("agent", reader.text(child), tuple(asks))
    if is_particle(child, verb):
        return None
    if role == "prep" or (role == "dative" and child.pos_ == "ADP"):
        late = frozenset(part.i for prep in _late(child) for part in prep.subtree)
        asks = reader.prep_asks(child, verb.lemma_) if not late else []
        return Slot("prep", reader.text(child, without=late), tuple(asks))
    if role == "npadvmod":
        text = reader.text(child)
        often = [Ask("how_often", "how often", text)] if re.match(r"(?:every|each) ", text, re.I) else []
        often = often or [ask for ask in reader.quantity_ask(child, verb.lemma_) if verb.lemma_ in MEASURE_VERBS]
        # "Born 3 May 1950": whole sentences say "was born on".
        day = "on " if FULL_DATE.search(text) else "in "
        said = f"{day}{text}" if verb.lemma_ == "bear" and DATE.fullmatch(text) else text
        return Slot("time", said, tuple(often or time_asks("", text, child)))
    if role in ("advmod", "xcomp", "ccomp", "dative", "advcl", "pobj"):
        # A clause that is joined on by a comma or a semicolon alone.
        if role == "ccomp" and child.i < verb.i:
            return None
        if is_mid_adverb(child, verb) or child.lower_ in _TEMPORAL:
            return None
        return Slot("adverb" if role == "advmod" else "clause", reader.text(child))
    return None


def asides(verb: Token, child: Token) -> frozenset[int]:
    """Coordinated or loosely added clauses, which are clauses of their own."""
    if (
        child.dep_ in ("advmod", "npadvmod", "amod")
        and child.i > verb.i
        and child.doc[child.left_edge.i - 1].text == ","
    ):
        return frozenset([child.i])
    purpose = any(part.tag_ == "TO" for part in child.lefts) and child.doc[child.left_edge.i - 1].text != ","
    added = child.dep_ == "advcl" and child.i > verb.i and not purpose
    loose = added or child.dep_ in ("conj", "cc", "parataxis", "relcl")
    return frozenset([child.i]) if loose else frozenset()


def stands_for_head(child: Token) -> bool:
    """Whether a word is the object of a loose relative clause: `the psalter, which a monk copied`."""
    verb = child.head
    if verb.dep_ != "relcl" or child.dep_ != "dobj" or child.tag_ not in ("WDT", "WP"):
        return False
    return verb.head.pos_ in ("NOUN", "PROPN") and child.doc[verb.left_edge.i - 1].text == ","


def is_particle(child: Token, verb: Token) -> bool:
    # "Were written about through": a preposition without its noun belongs to the verb.
    bare = child.dep_ == "prep" and not list(child.children)
    adverb = child.dep_ == "advmod" and child.lower_ in PARTICLES
    return child.dep_ == "prt" or (child.i == verb.i + 1 and (bare or adverb))


def is_mid_adverb(child: Token, verb: Token) -> bool:
    if child.dep_ != "advmod" or child.lower_ in _TEMPORAL or list(child.children):
        return False
    return any(other.dep_ in ("nsubj", "nsubjpass", "aux", "auxpass") and other.i < child.i for other in verb.children)


def _object_asks(child: Token, verb: Token, reader: Reader) -> list[Ask]:
    """The ways to ask for an object or a complement."""
    asks = reader.noun_asks(child, verb=verb.lemma_) if child.pos_ in ("NOUN", "PROPN", "NUM") else []
    if child.dep_ == "attr":
        return _whole_answers(_attribute_asks(asks, verb, child), reader.text(child))
    # "What other exhibits include" is heard as what includes them.
    if verb.lemma_ == "include" and child.dep_ == "dobj":
        return [ask for ask in asks if ask.form.startswith("how")]
    # "What would an event take?" is no question for "place", nor "who did he become?" for what he became.
    if (verb.lemma_, child.lower_) in SET_PHRASES or (verb.lemma_ == "become" and child.pos_ == "NOUN"):
        return []
    if child.dep_ == "oprd" and child.lemma_.lower() in COLOURS:
        return [Ask("what", "what colour", reader.text(child))]
    if child.dep_ == "oprd" and verb.lemma_ in CALLING:
        return [replace(ask, form="what", wh="what") for ask in asks[-1:]]
    # "Who was she elected?" is no question for "mayor".
    return [] if child.dep_ == "oprd" else asks


def _agent_asks(noun: Token, reader: Reader) -> list[Ask]:
    """`by X`: who by, also of a firm with a name of its own; `by a storm`: what by."""
    named = noun.pos_ == "PROPN"
    return [
        replace(ask, form="who", wh="who", tail="by") if ask.wh == "what" and named else replace(ask, tail="by")
        for ask in reader.noun_asks(noun)
    ]


def _attribute_asks(asks: list[Ask], verb: Token, noun: Token) -> list[Ask]:
    """`What is X?`, and `what has X been` of what a person was for a time."""
    simple = not any(child.dep_ == "aux" for child in verb.children)
    found = []
    for ask in asks:
        if ask.form.startswith("how"):
            found.append(ask)
        elif noun.pos_ == "PROPN" or (ask.form == "who" and simple):
            found.append(replace(ask, tail=""))
        elif ask.form != "which":
            found.append(Ask("what", "what", ask.answer))
    return found


def _whole_answers(asks: list[Ask], text: str) -> list[Ask]:
    """What something is, in full if that is short: "the only newspaper on the island", not "the only newspaper"."""
    if len(text.split()) > MAX_ANSWER_WORDS:
        return asks
    return [replace(ask, answer=text) if text.startswith(f"{ask.answer} ") else ask for ask in asks]


def _is_plural(noun: Token, text: str) -> bool:
    counted = re.match(r"[\d.,]+ ", text) is not None and not text.startswith("1 ")
    counted = counted or text.split(" ")[0].lower() in NUMBER_WORDS - {"one", "half"}
    return counted or noun.tag_ in ("NNS", "NNPS") or any(child.dep_ == "conj" for child in noun.children)


def _late(noun: Token) -> list[Token]:
    """Time phrases that the parse hangs on the object, though they belong to the verb: `won it at a fair in 1998`."""
    found = []
    for part in noun.subtree:
        if part.dep_ == "prep" and part.lower_ in ("in", "on") and part.i > noun.i:
            inner = [child for child in part.children if child.dep_ == "pobj"]
            ends = part.right_edge.i == noun.right_edge.i
            own = not any(above.pos_ in ("VERB", "AUX") and above.i > noun.i for above in part.ancestors)
            same = semicolon(noun.doc[noun.i : part.i]) is None
            if (
                inner
                and ends
                and own
                and same
                and DATE.fullmatch(tidy(" ".join(word.text for word in inner[0].subtree)))
            ):
                found.append(part)
    return found[:1]


def _late_times(noun: Token, reader: Reader) -> Iterator[Slot]:
    for prep in _late(noun):
        yield Slot("prep", reader.text(prep), tuple(reader.prep_asks(prep, "")))


def lower_first(text: str, token: Token, reader: Reader) -> str:
    """Lowers the first letter of a phrase that stood at the start of a sentence, unless it is a name's."""
    first = token.left_edge
    if first.i in reader.replaced or first.pos_ == "PROPN" or first.lower_ == "i" or first.ent_type_ in _NAMED:
        return text
    # A capital after it, or a noun where a capital may be a name's: the tagger takes rare names for common words.
    if first.pos_ not in ("DET", "ADP", "ADV", "SCONJ", "PRON", "CCONJ") and re.match(r"\S+ [A-Z]", text):
        return text
    if first.lower_ == "the" and re.match(r"The [A-Z]", text):
        return "the" + text[3:]
    return text[:1].lower() + text[1:] if first.is_title else text


def upper_first(text: str) -> str:
    """Raises the first letter."""
    return text[:1].upper() + text[1:]
