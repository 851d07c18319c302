"""A sentence taken apart into clauses that each can be said, turned round and asked about on their own."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from knowledge_update.writing.english.lexicon import COLOURS, DATE, MEASURE_VERBS, NUMBER_WORDS, PARTICLES
from knowledge_update.writing.english.phrases import Ask, Reader, tidy, time_asks

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
_BE = {"is": "is", "are": "is", "was": "was", "were": "was", "am": "is", "be": "is"}


@dataclass(frozen=True)
class Slot:
    """A part of a clause, as it reads, with the ways to ask for it."""

    role: str
    text: str
    asks: tuple[Ask, ...] = ()
    fronted: bool = False
    plural: bool = False


@dataclass(frozen=True)
class Clause:
    """Subject, verb and the rest.

    Args:
        subject: The subject.
        auxiliaries: Finite and other auxiliaries in order, negation included; empty in the simple tenses.
        verb: The main verb as it stands, with its particle; of a copular clause the form of `be`.
        lemma: Its base form, without particle.
        tag: Its Penn tag.
        slots: What else there is, in order.
        passive: Whether it is in the passive voice.
        particle: What belongs to the verb and follows it.
        adverb: What stands right before the verb.
    """

    subject: Slot
    auxiliaries: tuple[str, ...]
    verb: str
    lemma: str
    tag: str
    slots: tuple[Slot, ...]
    passive: bool = False
    particle: str = ""
    adverb: str = ""

    @property
    def copular(self) -> bool:
        """Whether the main verb is `be`, which inverts without `do`."""
        return self.lemma == "be" and not self.auxiliaries

    def say(self) -> str:
        """The clause as a sentence without its full stop."""
        front = [slot.text for slot in self.slots if slot.fronted]
        rest = [slot.text for slot in self.slots if not slot.fronted]
        words = [self.subject.text, *self.auxiliaries, self.adverb, self.verb, self.particle, *rest]
        said = " ".join(word for word in words if word)
        return upper_first(tidy(", ".join([*front, said]) if front else said))


def clauses_of(sentence: Any, reader: Reader) -> Iterator[Clause]:
    """Yields the clauses of a parsed sentence: main, coordinate, relative, appositive and `called` ones."""
    for token in sentence:
        if token.pos_ in ("VERB", "AUX") and token.dep_ in ("ROOT", "conj", "relcl", "ccomp", "advcl"):
            clause = _verbal(token, reader)
            if clause:
                yield clause
        elif token.dep_ == "appos":
            yield from _appositive(token, reader)
        elif token.dep_ == "acl" and token.tag_ == "VBN":
            yield from _participial(token, reader)


def _verbal(verb: Token, reader: Reader) -> Clause | None:
    if verb.dep_ == "advcl" and not (verb.tag_ == "VBD" and any(c.lower_ in ("when", "while") for c in verb.children)):
        return None
    subject = _subject(verb, reader)
    if subject is None or verb.tag_ not in ("VBD", "VBZ", "VBP", "VBN", "VBG", "VB"):
        return None
    auxiliaries = _auxiliaries(verb)
    if not auxiliaries and verb.tag_ in ("VBN", "VBG", "VB"):
        return None
    particle = next((child.text for child in verb.rights if _is_particle(child, verb)), "")
    adverb = " ".join(child.lower_ for child in verb.lefts if _is_mid_adverb(child, verb))
    slots = tuple(_slots(verb, reader))
    passive = any(child.dep_ == "auxpass" for child in _own_or_shared(verb))
    return Clause(subject, auxiliaries, verb.text, verb.lemma_.lower(), verb.tag_, slots, passive, particle, adverb)


def _is_particle(child: Token, verb: Token) -> bool:
    return child.dep_ == "prt" or (child.dep_ == "advmod" and child.i == verb.i + 1 and child.lower_ in PARTICLES)


def _is_mid_adverb(child: Token, verb: Token) -> bool:
    if child.dep_ != "advmod" or child.lower_ in _TEMPORAL or list(child.children):
        return False
    return any(other.dep_ in ("nsubj", "nsubjpass", "aux", "auxpass") and other.i < child.i for other in verb.children)


def _own_or_shared(verb: Token) -> list[Token]:
    """The children of a verb, or of the verb it is coordinated with when it has no auxiliaries of its own."""
    own = list(verb.children)
    borrowed = verb.dep_ == "conj" and verb.tag_ == "VBN" and not any(c.dep_ in ("aux", "auxpass") for c in own)
    return [*own, *verb.head.children] if borrowed else own


def _auxiliaries(verb: Token) -> tuple[str, ...]:
    words = [
        c for c in _own_or_shared(verb) if c.dep_ in ("aux", "auxpass", "neg") and c.lower_ != "to" and c.i < verb.i
    ]
    return tuple(word.lower_ for word in words)


def _subject(verb: Token, reader: Reader) -> Slot | None:
    found = [child for child in verb.children if child.dep_ in ("nsubj", "nsubjpass")]
    if not found and verb.dep_ == "conj":
        if any(child.dep_ in ("nsubj", "nsubjpass") for child in verb.head.children) and verb.head.tag_ != "VB":
            return _subject(verb.head, reader)
        return None
    if not found:
        return None
    token = found[0]
    if token.tag_ in ("WP", "WDT"):
        if verb.dep_ != "relcl" or verb.head.pos_ not in ("NOUN", "PROPN"):
            return None
        token = verb.head
        later = frozenset(part.i for part in verb.subtree)
        # "X, a midwife who crossed the strait": it was X who crossed it.
        if token.dep_ == "appos" and token.head.pos_ == "PROPN":
            return _noun_subject(token.head, reader, frozenset(part.i for part in token.subtree))
        return _noun_subject(token, reader, later)
    if token.pos_ == "PRON" and token.i not in reader.replaced:
        return None
    # "on 3 November, when the steamer struck a rock" is a clause of its own; "the rock it struck" is not.
    if verb.dep_ == "relcl" and not any(child.lower_ == "when" for child in verb.children):
        return None
    return _noun_subject(token, reader, frozenset())


def _noun_subject(token: Token, reader: Reader, without: frozenset[int]) -> Slot | None:
    text = reader.text(token, without=without, place=True)
    # "On 17 February Nils …": a parse that runs a date into the name after it is not to be trusted.
    if re.match(rf"(?:{DATE.pattern}) \S", text):
        return None
    plural = token.tag_ in ("NNS", "NNPS") or any(child.dep_ == "conj" for child in token.children)
    asks = [] if _clausal(token) else reader.noun_asks(token, role="subject", without=without)
    short = tuple(
        replace(
            ask,
            answer=lower_first(ask.answer, token, reader),
            tail=ask.tail if ask.form.startswith("how") else "",
        )
        for ask in asks
        if _telling(ask, token)
    )
    return Slot("subject", lower_first(text, token, reader), short, plural=plural)


def _telling(ask: Ask, token: Token) -> bool:
    """Whether an answer says something: a name, a number, something new; "the wind" does not."""
    if ask.form.startswith("how") or token.pos_ == "PROPN" or re.search(r"[A-Z\d]", ask.answer[1:]):
        return True
    determiners = [child.lower_ for child in token.children if child.dep_ in ("det", "poss")]
    return determiners in (["a"], ["an"]) or (not determiners and token.tag_ == "NNS")


def _clausal(token: Token) -> bool:
    return token.pos_ not in ("NOUN", "PROPN", "PRON", "NUM")


def lower_first(text: str, token: Token, reader: Reader) -> str:
    """Lowers the first letter of a phrase that stood at the start of a sentence, unless it is a name's."""
    first = token.left_edge
    if first.i in reader.replaced or first.pos_ == "PROPN" or first.lower_ in ("i",):
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


def _slots(verb: Token, reader: Reader) -> Iterator[Slot]:
    for child in verb.children:
        if child.i in asides(verb, child):
            continue
        fronted = child.i < verb.i
        slot = _slot(child, verb, reader)
        if slot:
            text = lower_first(slot.text, child, reader)
            yield replace(slot, text=text, fronted=fronted)
        if child.dep_ in ("dobj", "attr", "prep") and not fronted:
            yield from _late_times(child, reader)


def asides(verb: Token, child: Token) -> frozenset[int]:
    """Coordinated or loosely added clauses, which are clauses of their own."""
    if (
        child.dep_ in ("advmod", "npadvmod", "amod")
        and child.i > verb.i
        and child.doc[child.left_edge.i - 1].text == ","
    ):
        return frozenset([child.i])
    loose = child.dep_ in ("conj", "cc", "parataxis", "relcl") or (child.dep_ == "advcl" and child.i > verb.i)
    return frozenset([child.i]) if loose else frozenset()


def _slot(child: Token, verb: Token, reader: Reader) -> Slot | None:
    role = child.dep_
    if role in ("dobj", "attr", "oprd"):
        late = frozenset(part.i for prep in _late(child) for part in prep.subtree)
        asks = reader.noun_asks(child, verb=verb.lemma_) if child.pos_ in ("NOUN", "PROPN", "NUM") else []
        if role == "attr":
            asks = _attribute_asks(asks, verb, child)
        if role == "oprd" and child.lemma_.lower() in COLOURS:
            asks = [Ask("what", "what colour", reader.text(child))]
        text = reader.text(child, without=late)
        return Slot("object" if role == "dobj" else "attribute", text, tuple(asks), plural=_is_plural(child, text))
    if role == "acomp":
        return Slot("adjective", reader.text(child), tuple(reader.adjective_asks(child)))
    if role == "agent":
        noun = next((inner for inner in child.children if inner.dep_ == "pobj"), None)
        asks = _agent_asks(noun, reader) if noun is not None else []
        return Slot("agent", reader.text(child), tuple(asks))
    if role == "prep":
        late = frozenset(part.i for prep in _late(child) for part in prep.subtree)
        asks = reader.prep_asks(child, verb.lemma_) if not late else []
        return Slot("prep", reader.text(child, without=late), tuple(asks))
    if role == "npadvmod":
        text = reader.text(child)
        often = [Ask("how_often", "how often", text)] if re.match(r"(?:every|each) ", text, re.I) else []
        often = often or [ask for ask in reader.quantity_ask(child, verb.lemma_) if verb.lemma_ in MEASURE_VERBS]
        return Slot("time", text, tuple(often or time_asks("", text, child)))
    if role in ("advmod", "xcomp", "ccomp", "dative", "advcl", "pobj"):
        if _is_particle(child, verb) or _is_mid_adverb(child, verb) or child.lower_ in _TEMPORAL:
            return None
        return Slot("adverb" if role == "advmod" else "clause", reader.text(child))
    return None


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
            if inner and ends and DATE.fullmatch(tidy(" ".join(word.text for word in inner[0].subtree))):
                found.append(part)
    return found[:1]


def _late_times(noun: Token, reader: Reader) -> Iterator[Slot]:
    for prep in _late(noun):
        yield Slot("prep", reader.text(prep), tuple(reader.prep_asks(prep, "")))


def _appositive(token: Token, reader: Reader) -> Iterator[Clause]:
    """`Mirel Tovask, a retired pilot`: Mirel Tovask is a retired pilot."""
    head = token.head
    separated = token.left_edge.i > 0 and token.doc[token.left_edge.i - 1].text in (",", "(")
    if not separated or head.pos_ not in ("NOUN", "PROPN") or token.pos_ not in ("NOUN", "PROPN"):
        return
    determined = any(child.dep_ in ("det", "poss") for child in token.children)
    if not determined and token.pos_ != "PROPN":
        return
    asides_of_head = frozenset(part.i for part in token.subtree)
    subject = _noun_subject(head, reader, asides_of_head)
    text = reader.text(token)
    asks: list[Ask] = []
    if token.pos_ == "PROPN":
        asks = [replace(ask, tail="") for ask in reader.noun_asks(token)]
    elif reader.is_person(head):
        asks = [Ask("what", "who", text)] if len(text.split()) <= 8 else []
    elif len(text.split()) <= 8:
        asks = [Ask("what", "what", text)]
    tense = "was" if _past(head) else "is"
    if subject is not None:
        yield Clause(replace(subject, asks=()), (), tense, "be", "VBD", (Slot("attribute", text, tuple(asks)),))


def _past(token: Token) -> bool:
    verb = token
    while verb.head != verb and verb.pos_ not in ("VERB", "AUX"):
        verb = verb.head
    finite = [verb, *(child for child in verb.children if child.dep_ in ("aux", "auxpass"))]
    return any(word.tag_ == "VBD" for word in finite)


def _participial(verb: Token, reader: Reader) -> Iterator[Clause]:
    """`the lens, made by Vidrel and Sons`: the lens was made by …; `an eel called Uncle Wriggle`: … is called …."""
    if verb.head.pos_ not in ("NOUN", "PROPN"):
        return
    subject = _noun_subject(verb.head, reader, frozenset(part.i for part in verb.subtree))
    if verb.head.dep_ == "appos":
        subject = _noun_subject(verb.head.head, reader, frozenset(part.i for part in verb.head.subtree))
    if subject is None:
        return
    called = verb.lemma_ in ("call", "name", "know", "dub", "nickname")
    definite = re.match(r"the |[A-Z]", subject.text)
    if not definite and not called:
        return
    slots = tuple(_slots(verb, reader))
    if slots:
        auxiliary = "are" if subject.plural else "is"
        past = "were" if subject.plural else "was"
        yield Clause(subject, (auxiliary if called else past,), verb.text, verb.lemma_, "VBN", slots, True)


def singular_finite(word: str) -> str:
    """The third person singular of a finite form of `be`, `have` or `do`."""
    return {**_BE, "have": "has", "do": "does"}.get(word, word)
