"""A sentence taken apart into clauses that each can be said, turned round and asked about on their own."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from knowledge_update.writing.english.lexicon import ASSERTING, CALLING, CLAIMING, DATE, KIN, LIFE, NOW
from knowledge_update.writing.english.parsing import is_quoted
from knowledge_update.writing.english.phrases import Ask, Reader, tidy
from knowledge_update.writing.english.roles import is_subject
from knowledge_update.writing.english.slots import (
    Slot,
    is_mid_adverb,
    is_particle,
    lower_first,
    slots_of,
    stands_for_head,
    upper_first,
)

Token = Any


_BRACKETS = re.compile(r"\s*\([^)]*\)")
# What contractions are parsed as, and adverbs without which a verb says the opposite.
_WHOLE = {"ca": "can", "wo": "will", "sha": "shall", "n't": "not", "n’t": "not"}
_FINITE = ("VBD", "VBZ", "VBP", "MD")
_AUXILIARY = ("aux", "auxpass")
_DENYING = frozenset("barely hardly longer rarely scarcely seldom".split())
_BE = {"is": "is", "are": "is", "was": "was", "were": "was", "am": "is", "be": "is"}


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
        elif token.dep_ == "acl" and token.tag_ in ("VBN", "VBD") and not _of_a_life(token):
            yield from _participial(token, reader)


def _of_a_life(verb: Token) -> bool:
    at = verb.idx - verb.sent.start_char
    return any(found.start() < at < found.end() for found in LIFE.finditer(verb.sent.text))


def _verbal(verb: Token, reader: Reader) -> Clause | None:
    if verb.dep_ == "advcl" and not (verb.tag_ == "VBD" and any(c.lower_ in ("when", "while") for c in verb.children)):
        return None
    subject = _subject(verb, reader)
    if verb.i and verb.doc[verb.i - 1].lower_ == "best":
        return None
    # "£14,750 plus VAT" is taken apart by the parser.
    denied = any(child.dep_ == "advmod" and child.lower_ in _DENYING for child in verb.children)
    if denied or any(child.lower_ == "plus" for child in verb.children):
        return None
    if _is_told(verb):
        return None
    if subject is None or verb.tag_ not in ("VBD", "VBZ", "VBP", "VBN", "VBG", "VB") or _is_distrusted(verb):
        return None
    auxiliaries = _auxiliaries(verb)
    # "President Lorn not having seen it": a participle says nothing by itself.
    if auxiliaries and not any(child.tag_ in _FINITE for child in _own_or_shared(verb) if child.dep_ in _AUXILIARY):
        return None
    # "Which a monk copied": a participle without auxiliary that has a subject of its own is a past tense.
    own = any(child.dep_ == "nsubj" and child.pos_ != "PRON" for child in verb.children)
    tag = "VBD" if verb.tag_ == "VBN" and own and not auxiliaries else verb.tag_
    if not auxiliaries and tag in ("VBN", "VBG", "VB"):
        return None
    particle = next((child.text for child in verb.rights if is_particle(child, verb)), "")
    adverb = " ".join(child.lower_ for child in verb.lefts if is_mid_adverb(child, verb))
    slots = tuple(slots_of(verb, reader))
    passive = any(child.dep_ == "auxpass" for child in _own_or_shared(verb))
    clause = Clause(subject, auxiliaries, verb.text, verb.lemma_.lower(), tag, slots, passive, particle, adverb)
    return None if _loses_denial(verb, clause) else clause


def _is_told(verb: Token) -> bool:
    """Whether a clause is what somebody says, believes or wonders, and not what its sentence says is so."""
    while verb.dep_ == "conj":
        verb = verb.head
    if verb.dep_ != "ccomp":
        return False
    telling = verb.head
    marks = [child for child in verb.lefts if child.dep_ == "mark" or child.tag_ in ("WP", "WRB", "WDT")]
    # "They had Runa examined": not that Runa examined.
    done = telling.lemma_ in ("have", "get", "let", "make") and verb.tag_ in ("VBN", "VBD")
    if not marks and not done:
        return telling.lemma_ in CLAIMING
    open_question = any(mark.lower_ != "that" for mark in marks)
    unsure = any(child.dep_ == "neg" or child.tag_ == "MD" for child in telling.children)
    return open_question or unsure or telling.lemma_ not in ASSERTING


def _loses_denial(verb: Token, clause: Clause) -> bool:
    """Whether what says that something is not so would not be said with a clause."""
    near = [verb, *(child for child in verb.children if child.dep_ in ("attr", "acomp", "dobj", "prep", "advmod"))]
    denials = [child.lower_ for word in near for child in word.children if child.dep_ == "neg"]
    said = clause.say().lower()
    return any(_WHOLE.get(denial, denial) not in said for denial in denials)


def _own_or_shared(verb: Token) -> list[Token]:
    """The children of a verb, or of the verb it is coordinated with when it has no auxiliaries of its own."""
    own = list(verb.children)
    borrowed = verb.dep_ == "conj" and verb.tag_ == "VBN" and not any(c.dep_ in ("aux", "auxpass") for c in own)
    return [*own, *verb.head.children] if borrowed else own


def _auxiliaries(verb: Token) -> tuple[str, ...]:
    words = [
        c for c in _own_or_shared(verb) if c.dep_ in ("aux", "auxpass", "neg") and c.lower_ != "to" and c.i < verb.i
    ]
    return tuple(_WHOLE.get(word.lower_, word.lower_) for word in words)


def _subject(verb: Token, reader: Reader) -> Slot | None:
    found = [child for child in verb.children if is_subject(child)]
    # "… and there were signs": the subject stands behind.
    if any(child.dep_ == "expl" for child in verb.children):
        return None
    if not found and verb.dep_ == "conj" and not _misread(verb):
        if any(is_subject(child) for child in verb.head.children) and verb.head.tag_ != "VB":
            return _subject(verb.head, reader)
        return None
    if not found:
        return None
    token = found[0]
    if token.tag_ in ("WP", "WDT") and _says_little(verb):
        return None
    if token.tag_ in ("WP", "WDT"):
        if verb.dep_ != "relcl" or verb.head.pos_ not in ("NOUN", "PROPN") or verb.head.ent_type_ in ("DATE", "TIME"):
            return None
        token = _meant(token, verb, reader)
        if _differ_in_number(token, verb):
            return None
        # "The history of the island, which would …": of which island only its sentence tells.
        if not reader.place and [child.lower_ for child in token.lefts] == ["the"] and token.pos_ == "NOUN":
            return None
        later = frozenset(part.i for part in verb.subtree)
        # "X, a midwife who crossed the strait": it was X who crossed it.
        if token.dep_ == "appos" and token.head.pos_ == "PROPN":
            return _noun_subject(token.head, reader, frozenset(part.i for part in token.subtree))
        return _noun_subject(token, reader, later)
    if token.pos_ == "PRON" and token.i not in reader.replaced:
        return None
    # "on 3 November, when the steamer struck a rock" is a clause of its own; "the rock it struck" is not.
    if verb.dep_ == "relcl" and not any(child.lower_ == "when" or stands_for_head(child) for child in verb.children):
        return None
    return _noun_subject(token, reader, frozenset())


def _differ_in_number(noun: Token, verb: Token) -> bool:
    """`The craters, which is …`: it is something else that the relative pronoun stands for."""
    finite = next((child for child in verb.lefts if child.dep_ in _AUXILIARY), verb).lower_
    several = noun.tag_ == "NNS" or any(child.dep_ == "conj" for child in noun.children)
    return (several and finite in ("is", "was", "has")) or (
        noun.tag_ == "NN" and not several and finite in ("are", "were", "have")
    )


def _says_little(verb: Token) -> bool:
    """Whether a relative clause says which thing is meant, and nothing more: `a plant that grows nowhere else`."""
    head = verb.head
    loose = verb.doc[verb.left_edge.i - 1].text == ","
    indefinite = head.pos_ == "NOUN" and not any(child.lower_ in ("the", "its", "his", "her") for child in head.lefts)
    told = any(part.pos_ in ("PROPN", "NUM") for part in verb.subtree)
    return indefinite and not (loose or told or head.dep_ == "appos")


def _is_distrusted(verb: Token) -> bool:
    """Whether a parse tells by itself that it is wrong: subject and verb differ in number, or a name gets no bearer."""
    if verb.lemma_ in CALLING and verb.tag_ == "VBD" and not any(child.dep_ == "dobj" for child in verb.children):
        return not any(child.dep_ == "auxpass" for child in verb.children)
    subject = next((child for child in verb.children if child.dep_ == "nsubj"), None)
    # "Ruled by a duke" has lost its auxiliary.
    if verb.tag_ == "VBD" and any(child.dep_ == "agent" for child in verb.children):
        return not any(child.dep_ == "auxpass" for child in verb.children)
    if subject is None or any(child.dep_ in ("aux", "auxpass") for child in verb.children):
        return False
    several = any(child.dep_ in ("cc", "conj") or child.lower_ == "of" for child in subject.children)
    return not several and (subject.tag_, verb.tag_) in (("NN", "VBP"), ("NNP", "VBP"), ("NNS", "VBZ"))


def _misread(verb: Token) -> bool:
    """Whether a coordinated verb without subject is likely a noun, as in `and bicycles travel free`."""
    objects = [child for child in verb.children if child.dep_ == "dobj" and not list(child.children)]
    loose = any(child.dep_ in ("acomp", "oprd") for child in verb.children)
    clausal = any(child.dep_ == "csubj" for child in verb.children)
    return clausal or bool(loose and objects and objects[0].tag_ == "NN")


def _meant(pronoun: Token, verb: Token, reader: Reader) -> Token:
    """The noun a relative pronoun stands for: `a painting by her, which dates from` goes on about the painting."""
    noun = verb.head
    while pronoun.lower_ == "which" and reader.is_person(noun) and noun.head.dep_ in ("prep", "agent"):
        noun = noun.head.head
    return noun if noun.pos_ in ("NOUN", "PROPN") else verb.head


def _noun_subject(token: Token, reader: Reader, without: frozenset[int]) -> Slot | None:
    text = reader.text(token, without=without, place=True)
    if LIFE.search(token.sent.text):
        text = _BRACKETS.sub("", text)
    # "On 17 February Nils …": a parse that runs a date into the name after it is not to be trusted.
    if re.match(rf"(?:{DATE.pattern}) \S", text):
        return None
    plural = token.tag_ in ("NNS", "NNPS") or any(child.dep_ == "conj" for child in token.children)
    asks = [] if _clausal(token) else _subject_asks(token, reader, without)
    short = tuple(replace(ask, tail=ask.tail if ask.form.startswith("how") else "") for ask in asks)
    return Slot("subject", lower_first(text, token, reader), short, plural=plural)


def _subject_asks(token: Token, reader: Reader, without: frozenset[int]) -> list[Ask]:
    """The ways to ask for a subject that say something; of `the highest point, Hagrel Tor` for its name."""
    asks = reader.noun_asks(token, role="subject", without=without)
    asks = [
        replace(ask, answer=lower_first(ask.answer, token, reader))
        for ask in asks
        if _telling(ask, token, whole=not without)
    ]
    given = [child for child in token.rights if child.dep_ == "appos" and child.pos_ == "PROPN"]
    loose = len(given) == 1 and given[0].left_edge.nbor(-1).text == ","
    beside = len(given) == 1 and given[0].left_edge.i == token.i + 1 + loose
    if without or token.tag_ != "NN" or not beside or token.lemma_ in KIN:
        return asks
    which = Ask("which", f"which {token.lower_}", reader.text(given[0]))
    return [which, *(reader.noun_asks(given[0]) if loose else asks)]


def _telling(ask: Ask, token: Token, *, whole: bool) -> bool:
    """Whether an answer says something: a name, a number, something new; "the wind" does not."""
    if ask.form.startswith("how") or token.pos_ == "PROPN" or re.search(r"[A-Z\d]", ask.answer[1:]):
        return True
    if whole and _is_equation(token):
        return True
    determiners = [child.lower_ for child in token.children if child.dep_ in ("det", "poss")]
    return determiners in (["a"], ["an"]) or (not determiners and token.tag_ == "NNS")


def _is_equation(subject: Token) -> bool:
    """Whether a sentence says of the only one of its kind what it is: `the mermaid is the city's symbol`."""
    said = next((child for child in subject.head.children if child.dep_ == "attr" and child.pos_ == "NOUN"), None)
    return said is not None and any(child.dep_ == "poss" or child.lower_ == "the" for child in said.lefts)


def _clausal(token: Token) -> bool:
    return token.pos_ not in ("NOUN", "PROPN", "PRON", "NUM")


def _appositive(token: Token, reader: Reader) -> Iterator[Clause]:
    """`Mirel Tovask, a retired pilot`: Mirel Tovask is a retired pilot."""
    head = token.head
    separated = token.left_edge.i > 0 and token.doc[token.left_edge.i - 1].text in (",", "(")
    if not separated or head.pos_ not in ("NOUN", "PROPN") or token.pos_ not in ("NOUN", "PROPN"):
        return
    determined = any(child.dep_ in ("det", "poss") for child in token.children)
    hedged = any(child.dep_ in ("advmod", "neg") and child.i < token.i for child in token.children)
    # "Houston, Texas" and "Gateshead (population 201,000)" are no equations.
    counted = any(part.like_num for part in token.subtree)
    bare = not determined and (counted or token.pos_ != "PROPN" or head.pos_ == "PROPN")
    # In an enumeration commas separate, and what follows a name is the next one.
    listed = head.dep_ == "conj" or any(child.dep_ == "conj" for child in (*head.children, *token.children))
    if hedged or bare or listed or is_quoted(head):
        return
    ends = (child.i for child in head.rights if child.is_punct and child.i > token.right_edge.i)
    asides_of_head = frozenset([*(part.i for part in token.subtree), *ends])
    subject = _noun_subject(head, reader.with_owners(), asides_of_head)
    text = reader.text(token)
    asks: list[Ask] = []
    if token.pos_ == "PROPN":
        asks = [replace(ask, tail="") for ask in reader.noun_asks(token)]
    elif reader.is_person(head):
        asks = [Ask("what", "who", text)] if len(text.split()) <= 8 else []
    elif len(text.split()) <= 8:
        asks = [Ask("what", "what", text)]
    past = _past(head) and not _lasting(token)
    # "The warden" is somebody that can be asked for; who is "a farmer" cannot.
    only = token.pos_ == "NOUN" and any(child.lower_ == "the" for child in token.children)
    # What is equated agrees in number: "the uplands (central Ommel)" is no equation.
    if subject is not None and subject.plural == (token.tag_ in ("NNS", "NNPS")):
        asked = subject.asks if only else ()
        tense = ("were" if past else "are") if subject.plural else ("was" if past else "is")
        yield Clause(replace(subject, asks=asked), (), tense, "be", "VBD", (Slot("attribute", text, tuple(asks)),))


def _past(token: Token) -> bool:
    verb = token
    while verb.head != verb and verb.pos_ not in ("VERB", "AUX"):
        verb = verb.head
    finite = [verb, *(child for child in verb.children if child.dep_ in ("aux", "auxpass"))]
    return any(word.tag_ == "VBD" for word in finite)


def _lasting(apposition: Token) -> bool:
    """Whether an apposition says what is so now: `the present editor`, `a plant that grows`, or of who now does."""
    if any(child.lower_ in NOW for child in apposition.children):
        return True
    verbs = [part for part in (*apposition.children, *apposition.head.head.children) if part.dep_ in ("relcl", "conj")]
    return any(verb.tag_ in ("VBZ", "VBP") for verb in verbs)


def _participial(verb: Token, reader: Reader) -> Iterator[Clause]:
    """`the lens, made by Vidrel and Sons`: the lens was made by …; `an eel called Uncle Wriggle`: … is called …."""
    # "It was Hesk's adopted home": it is not Hesk who was adopted.
    if verb.head.pos_ not in ("NOUN", "PROPN") or verb.head.dep_ == "poss":
        return
    subject = _noun_subject(verb.head, reader, frozenset(part.i for part in verb.subtree))
    if verb.head.dep_ == "appos":
        subject = _noun_subject(verb.head.head, reader, frozenset(part.i for part in verb.head.subtree))
    if subject is None:
        return
    # What somebody is "best known" for is read wrongly more often than not; so is what "used to be".
    if verb.doc[verb.i - 1].lower_ == "best" or verb.nbor(1).lower_ == "to":
        return
    if any(child.dep_ in ("aux", "auxpass") for child in verb.children):
        return
    called = verb.lemma_ in CALLING or verb.lemma_ == "know"
    definite = re.match(r"the |[A-Z]", subject.text)
    # "a monk named Wulfen": without its name the monk is any monk.
    loose = verb.head.dep_ == "appos" or verb.doc[verb.left_edge.i - 1].text == ","
    if not definite and not (called and loose):
        return
    slots = tuple(slots_of(verb, reader))
    if slots:
        auxiliary = "are" if subject.plural else "is"
        past = "were" if subject.plural else "was"
        present = called or any(child.lower_ in NOW for child in verb.children)
        yield Clause(subject, (auxiliary if present else past,), verb.text, verb.lemma_, "VBN", slots, True)


def singular_finite(word: str) -> str:
    """The third person singular of a finite form of `be`, `have` or `do`."""
    return {**_BE, "have": "has", "do": "does"}.get(word, word)
