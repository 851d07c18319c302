"""Clauses turned round: passive to active and back, synonyms, and questions for each part."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from knowledge_update.writing.english.clauses import Clause, singular_finite
from knowledge_update.writing.english.lexicon import AGENTS, MEASURES, VERB_MEASURES, is_person_noun, synonyms
from knowledge_update.writing.english.naming import NAME
from knowledge_update.writing.english.phrases import Ask, tidy
from knowledge_update.writing.english.slots import Slot, upper_first

# In the other voice these would mean somebody else.
_POSSESSIVE = re.compile(r"\b(?:its|his|her|their)\b")
_PLAIN = r"(?!(?:and|for|from|in|of|on|to|with)\b)[a-z-]+"
# A named owner, and one thing of his in few words.
_OWNED = re.compile(rf"({NAME.pattern})['’]s? ({_PLAIN}(?: {_PLAIN}){{0,2}})")


@dataclass(frozen=True)
class Question:
    """A question for a part of a clause, in main-clause and in indirect order."""

    slot: str
    form: str
    direct: str
    indirect: str
    answer: str
    short: bool = False


def questions_of(clause: Clause) -> Iterator[Question]:
    """Yields every question the rules can ask about a clause, the fullest of each part first."""
    for slot in (clause.subject, *clause.slots):
        for ask in slot.asks:
            if slot is not clause.subject:
                # Not "which warden is the warden?".
                if ask.wh.removeprefix("which ") not in clause.subject.text.lower().split():
                    yield from _questions(clause, slot, ask)
            elif _tells(clause, ask):
                yield _subject_question(clause, ask, list(clause.slots))


def _tells(clause: Clause, ask: Ask) -> bool:
    """Whether asking for a subject asks for something: not "what is a firm?"."""
    if not clause.copular:
        return True
    attribute = next((slot.text for slot in clause.slots if slot.role == "attribute"), "")
    kind = ask.wh.removeprefix("which ")
    plain = re.match(r"an? ", attribute) and not re.search(r"[A-Z\d]", attribute)
    return not plain and kind not in attribute.lower().split()


def _reads_well(clause: Clause, slot: Slot, ask: Ask, others: list[Slot]) -> bool:
    """Whether a question with these other parts does not end in a preposition that stands badly there."""
    if slot.role == "agent":
        # "Who were the plans drawn by for the tower?"; "by in 1959" is bearable, "how many by" is not.
        beside = [other for other in others if other.role in ("prep", "clause") and not other.fronted]
        crowded = any(not _is_time(other) for other in beside)
        return not crowded and not ask.form.startswith("how")
    if slot.role != "prep":
        return True
    objects = any(other.role == "object" for other in others)
    if not ask.tail:
        # "Where does it guard the cape?": with what is so now, the place is the object's.
        present = clause.tag in ("VBZ", "VBP") or clause.auxiliaries[:1] in (("is",), ("are",))
        acts = objects or any(other.role == "agent" for other in others)
        return not (ask.form == "where" and present and acts)
    beside = [other for other in others if other.role in ("prep", "clause")]
    crowded = any(not (other.fronted and _is_time(other)) for other in beside)
    made = clause.passive and any(other.role == "agent" for other in others)
    # "From the ice age to": what it leads from is half of where it leads to.
    words = {other.text.split(" ")[0] for other in clause.slots}
    paired = {"from", "to"} <= words and slot.text.startswith(("from ", "to "))
    inside = slot.text.startswith("in ") and (objects or made)
    return not (slot.fronted or crowded or made or inside or paired)


def _is_time(slot: Slot) -> bool:
    return any(ask.form in ("when", "how_old") for ask in slot.asks)


def _questions(clause: Clause, slot: Slot, ask: Ask) -> Iterator[Question]:
    """The full question and a short one; where the full one reads badly, the short one takes its place."""
    others = [other for other in clause.slots if other is not slot]
    full = _reads_well(clause, slot, ask, others)
    if full:
        yield _question(clause, slot, ask, others, short=False)
    # "Since when has it been printed?" leaves out what matters.
    perfect = clause.auxiliaries[:1] in (("has",), ("have",), ("had",))
    core = [other for other in others if other.role in ("object", "attribute", "adjective", "agent", "clause")]
    shorter = slot.role in ("prep", "time") and len(core) < len(others) and (core or clause.passive) and not perfect
    # "What was it built from?" of what it was built of something from: the first of several is the verb's own.
    first = full or all(_is_time(other) or other.fronted for other in clause.slots[: clause.slots.index(slot)]
                        if other.role == "prep")  # fmt: skip
    if shorter and first and _reads_well(clause, slot, ask, core):
        yield _question(clause, slot, ask, core, short=full)


def _subject_question(clause: Clause, ask: Ask, others: list[Slot]) -> Question:
    plural = ask.form == "how_many"
    words = list(clause.auxiliaries) or []
    verb = clause.verb
    if not plural:
        if words:
            words[0] = singular_finite(words[0])
        elif clause.tag == "VBP" or clause.copular:
            verb = singular_finite(verb) if clause.lemma in ("be", "have", "do") else _inflect(clause.lemma, "VBZ")
    rest = _in_order(others)
    text = _join([ask.wh, ask.tail, *words, clause.adverb, verb, clause.particle, *rest])
    return Question("subject", ask.form, f"{upper_first(text)}?", text, ask.answer)


def _question(clause: Clause, slot: Slot, ask: Ask, others: list[Slot], *, short: bool) -> Question:
    rest = _in_order(
        [*others, Slot("tail", ask.tail)] if ask.tail else others, after=slot, clause=clause, tail=ask.tail
    )
    finite, kept = _split_finite(clause)
    direct = _join([ask.wh, finite, clause.subject.text, *kept, clause.particle, *rest])
    group = [*clause.auxiliaries, clause.adverb, clause.verb]
    indirect = _join([ask.wh, clause.subject.text, *group, clause.particle, *rest])
    return Question(slot.role + slot.text, ask.form, f"{upper_first(direct)}?", indirect, ask.answer, short)


def _split_finite(clause: Clause) -> tuple[str, list[str]]:
    """The word that goes before the subject in a question, and the verb words that stay."""
    if clause.auxiliaries:
        return clause.auxiliaries[0], [*clause.auxiliaries[1:], clause.adverb, clause.verb]
    if clause.copular:
        return clause.verb, [clause.adverb]
    do = {"VBD": "did", "VBZ": "does"}.get(clause.tag, "do")
    return do, [clause.adverb, clause.lemma]


def _in_order(slots: list[Slot], after: Slot | None = None, clause: Clause | None = None, tail: str = "") -> list[str]:
    """Words of the slots: what stood after the verb, the asked slot's tail in its place, then what stood before."""
    if clause is not None and after is not None and tail:
        # "Who was it held by in 1959?": the agent's preposition stays with the verb.
        ordered: list[str] = [tail] if after.role == "agent" else []
        for slot in clause.slots:
            if slot is after and after.role == "agent":
                continue
            if slot is after:
                ordered.append(tail)
            elif slot in slots and not slot.fronted:
                ordered.append(slot.text)
    else:
        ordered = [slot.text for slot in slots if not slot.fronted and slot.role != "tail"]
    return [*ordered, *(slot.text for slot in slots if slot.fronted and slot.role != "adverb")]


def _join(words: list[str]) -> str:
    return tidy(" ".join(word for word in words if word))


def converse(clause: Clause) -> Clause | None:
    """The same in the other voice: `Y built X` for `X was built by Y`, and back, in the simple tenses."""
    if clause.passive:
        return _to_active(clause)
    return _to_passive(clause)


def _to_active(clause: Clause) -> Clause | None:
    agent = next((slot for slot in clause.slots if slot.role == "agent"), None)
    if agent is None or clause.auxiliaries not in (("was",), ("were",), ("is",), ("are",)):
        return None
    if any(slot.role in ("attribute", "clause") or _POSSESSIVE.search(slot.text) for slot in clause.slots):
        return None
    name = agent.text.removeprefix("by ")
    plural = " and " in name
    tag = "VBD" if clause.auxiliaries[0] in ("was", "were") else ("VBP" if plural else "VBZ")
    asks = tuple(replace(ask, tail="") for ask in agent.asks)
    subject = Slot("subject", name, asks, plural=plural)
    object_ = replace(clause.subject, role="object", asks=_object_asks(clause.subject))
    rest = tuple(slot for slot in clause.slots if slot is not agent)
    verb = _inflect(clause.lemma, tag)
    return Clause(subject, (), verb, clause.lemma, tag, (object_, *rest), False, clause.particle, clause.adverb)


def _to_passive(clause: Clause) -> Clause | None:
    object_ = next((slot for slot in clause.slots if slot.role == "object"), None)
    if object_ is None or clause.auxiliaries or clause.tag not in ("VBD", "VBZ", "VBP"):
        return None
    if clause.lemma in (
        "have",
        "be",
        "cost",
        "weigh",
        "last",
        "take",
        "measure",
        "resemble",
        "contain",
        "become",
        "win",
        "include",
    ):
        return None
    if any(slot.role in ("clause", "attribute", "adjective") for slot in clause.slots) or _POSSESSIVE.search(
        object_.text
    ):
        return None
    # "The Broncos" and "the Times" do not show their number.
    if re.match(r"the [A-Z].*[^s]s$", object_.text):
        return None
    plural = object_.plural
    auxiliary = ("were" if plural else "was") if clause.tag == "VBD" else ("are" if plural else "is")
    counted = any(ask.form.startswith("how") for ask in object_.asks)
    agents = () if counted else clause.subject.asks
    agent_asks = tuple(replace(ask, tail="by") for ask in agents if not ask.form.startswith("how"))
    agent = Slot("agent", f"by {clause.subject.text}", agent_asks)
    subject = replace(
        object_, role="subject", asks=tuple(replace(ask, tail="") for ask in object_.asks if not ask.tail)
    )
    rest = tuple(slot for slot in clause.slots if slot is not object_)
    late = tuple(slot for slot in rest if not slot.fronted)
    front = tuple(slot for slot in rest if slot.fronted)
    participle = _inflect(clause.lemma, "VBN")
    slots = (*front, agent, *late)
    return Clause(subject, (auxiliary,), participle, clause.lemma, "VBN", slots, True, clause.particle, clause.adverb)


def _object_asks(subject: Slot) -> tuple[Ask, ...]:
    return tuple(ask for ask in subject.asks if not ask.form.startswith("how"))


def nominal(clause: Clause) -> Iterator[Question]:
    """Questions with a noun for what the verb says: the founder of X, the length of X, the name of X."""
    be = "was" if clause.tag in ("VBD", "VBN") and clause.auxiliaries[:1] not in (("is",), ("are",)) else "is"
    subject = clause.subject.text
    made = next((slot for slot in clause.slots if slot.role == "object"), None)
    by = next((slot for slot in clause.slots if slot.role == "agent"), None)
    if clause.lemma in AGENTS and clause.passive and by is not None:
        yield from _nominal("who", f"the {AGENTS[clause.lemma]} of {subject}", be, by.asks)
    elif clause.lemma == "lead" and be == "was":
        # Who led a team somewhere once was not its leader.
        return
    elif clause.lemma in AGENTS and made is not None and not clause.auxiliaries:
        yield from _nominal("who", f"the {AGENTS[clause.lemma]} of {made.text}", be, clause.subject.asks)
    for slot in clause.slots:
        for ask in slot.asks:
            measure = MEASURES.get(ask.wh) if clause.copular else VERB_MEASURES.get(clause.lemma)
            if ask.form == "how_much" and measure and ask.wh.startswith("how"):
                yield from _nominal("what", f"the {measure} of {subject}", be, [ask])
        named = clause.passive and clause.lemma in ("call", "name", "nickname", "dub") and slot.role == "attribute"
        if named and not re.match(r"an? ", subject):
            yield from _nominal("what", f"the name of {subject}", be, [ask for ask in slot.asks if not ask.tail])
        if clause.copular and slot.role == "attribute" and re.match(r"an? ", slot.text):
            jobs = [ask for ask in slot.asks if is_person_noun(ask.answer.split(" of ")[0].split()[-1])]
            yield from _nominal("what", f"the profession of {subject}", be, jobs)


def _nominal(wh: str, phrase: str, be: str, asks: Iterable[Ask]) -> Iterator[Question]:
    for ask in asks:
        if not ask.form.startswith("how_many"):
            yield Question("nominal", ask.form, f"{upper_first(wh)} {be} {phrase}?", f"{wh} {phrase} {be}", ask.answer)


def with_of(clause: Clause) -> Iterator[Clause]:
    """The clause about `the motto of the Courier` where it says `the Courier's motto`."""
    owned = _OWNED.fullmatch(clause.subject.text)
    if owned and " and " not in owned[1]:
        yield replace(clause, subject=replace(clause.subject, text=f"the {owned[2]} of {owned[1]}"))


def with_synonyms(clause: Clause) -> Iterator[Clause]:
    """The clause with verbs of the same meaning."""
    if clause.particle or clause.lemma == "be":
        return
    for verb in synonyms(clause.lemma):
        base, _, particle = verb.partition(" ")
        if base == "be" or (clause.passive and base in ("have", "get")):
            continue
        yield replace(clause, verb=_inflect(base, clause.tag), lemma=base, particle=particle)


def _inflect(lemma: str, tag: str) -> str:
    from lemminflect import getInflection

    forms = getInflection(lemma, tag)
    return str(forms[0]) if forms else lemma
