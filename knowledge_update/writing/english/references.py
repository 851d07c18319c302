"""What pronouns, short names and "the company" mean, sentence by sentence.

A document is read once for its cast (who is a person, which nouns the title goes by) and then from top to bottom with
a memory of what was mentioned last. What cannot be resolved is said to be so: no fact is made of it.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from knowledge_update.writing.english.lexicon import DAYS, MONTHS, THING_NAMES, is_person_noun

Token = Any
Span = Any

_PERSONAL = {"he": "person", "she": "person", "him": "person", "it": "thing", "they": "plural", "them": "plural"}
_POSSESSIVE = {"his": "person", "her": "person", "its": "thing", "their": "plural"}
# Nouns by which a title may be taken up again, by the last word of the title.
_GENERIC = {
    "company": ("line", "yard", "shipyard", "dairy", "works", "company", "bank", "brewery", "bakery", "studio", "sons"),
    "newspaper": ("courier", "times", "herald", "gazette", "news", "post"),
    "paper": ("courier", "times", "herald", "gazette"),
    "yard": ("shipyard",),
    "island": ("island", "isle"),
}


@dataclass(frozen=True)
class Entity:
    """Something that was mentioned: how it is called, whether person, thing or plural, and by which token."""

    text: str
    kind: str
    source: int = -1


@dataclass
class Cast:
    """Who and what a document is about."""

    title: str
    people: dict[str, str] = field(default_factory=dict)
    title_nouns: set[str] = field(default_factory=set)
    classes: dict[str, str] = field(default_factory=dict)


class UnresolvedError(Exception):
    """A reference whose meaning is not certain; it becomes a named drop."""


def cast_of(title: str, docs: Iterable[Span]) -> Cast:
    """Reads a document's cast: its people and the nouns that mean its title.

    Args:
        title: The document's title.
        docs: Its parsed paragraphs.
    """
    docs = list(docs)
    cast = Cast(_title_phrase(title, " ".join(doc.text for doc in docs)))
    last = (re.findall(r"\w+", title.lower()) or [""])[-1]
    cast.title_nouns.update({last, *(noun for noun, words in _GENERIC.items() if last in words)})
    for doc in docs:
        for name in names(doc):
            _learn_name(name, cast)
        for token in doc:
            _learn_class(token, cast)
    return cast


def _title_phrase(title: str, text: str) -> str:
    if title and not title.lower().startswith("the ") and re.search(rf"\bthe {re.escape(title)}\b", text, re.I):
        return f"the {title}"
    return title


def names(doc: Span) -> Iterator[Span]:
    """Proper names: runs of capitalised proper nouns."""
    start = None
    for token in doc:
        if token.pos_ == "PROPN" and token.text[:1].isupper() and token.text not in DAYS and token.text not in MONTHS:
            start = token.i if start is None else start
        elif start is not None:
            yield doc[start : token.i]
            start = None
    if start is not None:
        yield doc[start:]


def _learn_name(name: Span, cast: Cast) -> None:
    words = [token.text for token in name]
    if not 2 <= len(words) <= 4 or words[-1].lower() in THING_NAMES or name.text.lower() in cast.title.lower():
        return
    determined = any(child.lower_ == "the" for child in name.root.children)
    if not determined and (name.root.ent_type_ == "PERSON" or _described_as_person(name.root)):
        cast.people[words[-1]] = name.text


def _described_as_person(root: Token) -> bool:
    """Whether an apposition, a title before the name, or a relative `who` makes a name a person's."""
    for child in root.children:
        if child.dep_ == "appos" and child.pos_ == "NOUN" and is_person_noun(child.lemma_):
            return True
        if child.dep_ == "relcl" and any(inner.lower_ == "who" for inner in child.children):
            return True
        if child.dep_ in ("compound", "nmod") and child.pos_ == "NOUN" and is_person_noun(child.lemma_):
            return True
    return bool(root.dep_ == "appos" and root.head.pos_ == "NOUN" and is_person_noun(root.head.lemma_))


def _learn_class(token: Token, cast: Cast) -> None:
    """Learns `the ferry Silver Ommel` and `The Varrow Line is the ferry company`."""
    if token.dep_ in ("compound", "nmod") and token.pos_ == "NOUN" and token.head.pos_ == "PROPN":
        cast.classes.setdefault(name_of(token.head), token.lemma_.lower())
    if token.dep_ != "attr" or token.pos_ != "NOUN" or token.head.lemma_ != "be":
        return
    for subject in token.head.children:
        if subject.dep_ == "nsubj" and subject.pos_ == "PROPN":
            called = name_of(subject)
            cast.classes.setdefault(called, token.lemma_.lower())
            if called.lower() in cast.title.lower():
                cast.title_nouns.add(token.lemma_.lower())


def name_of(root: Token) -> str:
    """The proper name whose head a token is, without determiner and class noun."""
    words = [child for child in root.lefts if child.dep_ in ("compound", "nmod", "flat") and child.pos_ == "PROPN"]
    return " ".join(token.text for token in [*words, root])


class Memory:
    """What was mentioned last, and what references mean in its light."""

    def __init__(self, cast: Cast) -> None:
        self.cast = cast
        self._mentioned: list[Entity] = []

    def resolve(self, sentence: Span) -> dict[int, str]:
        """Returns the words that stand for tokens of a sentence, by token index; then remembers the sentence.

        Raises:
            UnresolvedError: When a reference's meaning is not certain.
        """
        replaced: dict[int, str] = {}
        here: list[Entity] = []
        unresolved: UnresolvedError | None = None
        for token in sentence:
            try:
                self._resolve_token(token, here, replaced)
            except UnresolvedError as error:
                unresolved = unresolved or error
            entity = self._entity(token, replaced)
            if entity:
                here.append(entity)
        # Subjects are taken up again sooner than objects, and those sooner than the rest.
        self._mentioned = sorted(here, key=lambda entity: _rank(entity, sentence)) + self._mentioned[:6]
        if unresolved:
            raise unresolved
        return replaced

    def _resolve_token(self, token: Token, here: list[Entity], replaced: dict[int, str]) -> None:
        word = token.lower_
        if token.tag_ == "PRP" and word in _PERSONAL:
            self._resolve_personal(token, here, replaced)
        elif (
            token.tag_ == "PRP"
            and (token.text == word or token.i == token.sent.start)
            and word not in ("itself", "himself", "herself", "themselves")
        ):
            raise UnresolvedError(f"'{token.text}' is nobody in particular")
        elif token.tag_ == "PRP$" and word in _POSSESSIVE:
            if not self._bound(token, _POSSESSIVE[word]):
                owner = self._antecedent(_POSSESSIVE[word], here, token)
                replaced[token.i] = owner + ("'" if owner.endswith("s") else "'s")
        elif token.tag_ == "DT" and word in ("this", "these", "those", "that", "such"):
            raise UnresolvedError(f"'{token.text}' may mean several things")
        elif word == "the" and token.dep_ == "det":
            self._resolve_definite(token, replaced)
        elif (
            token.pos_ == "PROPN"
            and name_of(token) == token.text != self.cast.people.get(token.text, token.text)
            and token.dep_ not in ("compound", "nmod")
        ):
            replaced[token.i] = self.cast.people[token.text]

    def _resolve_personal(self, token: Token, here: list[Entity], replaced: dict[int, str]) -> None:
        if token.dep_ == "expl" or _impersonal(token):
            return
        kind = _PERSONAL[token.lower_]
        if token.dep_ in ("nsubj", "nsubjpass") or not self._bound(token, kind):
            replaced[token.i] = self._antecedent(kind, here, token)

    def _resolve_definite(self, token: Token, replaced: dict[int, str]) -> None:
        """Makes `the company` the title's name; other definite nouns are placed by the writer."""
        noun = token.head
        modified = any(child.dep_ not in ("det", "case", "punct", "relcl", "appos") for child in noun.children)
        if noun.pos_ == "NOUN" and noun.i == token.i + 1 and not modified and noun.lower_ in self.cast.title_nouns:
            replaced[token.i] = ""
            replaced[noun.i] = self.cast.title

    def _antecedent(self, kind: str, here: list[Entity], token: Token) -> str:
        nearest = list(reversed(here))
        order = [*nearest, *self._mentioned] if _subordinate(token) else [*self._mentioned, *nearest]
        for entity in order:
            if entity.kind == kind:
                return entity.text
        if kind == "thing" and self.cast.title:
            return self.cast.title
        raise UnresolvedError(f"'{token.text}' may mean several things")

    def _bound(self, token: Token, kind: str) -> bool:
        """Whether a pronoun means the subject of its own clause, so that it may stay."""
        verb = token
        while verb.head != verb and verb.pos_ not in ("VERB", "AUX"):
            if verb.dep_ in ("nsubj", "nsubjpass"):
                return False
            verb = verb.head
        subjects = [child for child in verb.children if child.dep_ in ("nsubj", "nsubjpass")]
        if not subjects or subjects[0].i > token.i:
            return False
        return subjects[0].tag_ in ("WP", "WDT") or self._kind(subjects[0]) == kind

    def _kind(self, token: Token) -> str:
        if any(child.dep_ == "conj" for child in token.children) or token.tag_ in ("NNS", "NNPS"):
            return "plural"
        if token.tag_ == "PRP":
            return _PERSONAL.get(token.lower_, "thing")
        if token.tag_ in ("WP", "WDT"):
            return "person" if token.lower_ == "who" else "thing"
        return "person" if self.is_person(token) else "thing"

    def is_person(self, token: Token) -> bool:
        """Whether a noun or name means a person."""
        if token.pos_ == "PROPN":
            return token.text in self.cast.people or _described_as_person(token)
        return token.pos_ == "NOUN" and is_person_noun(token.lemma_)

    def _entity(self, token: Token, replaced: dict[int, str]) -> Entity | None:
        roles = ("nsubj", "nsubjpass", "dobj", "pobj", "attr", "conj", "appos")
        if token.dep_ not in roles or token.pos_ not in ("NOUN", "PROPN", "PRON"):
            return None
        if token.i in replaced:
            person = replaced[token.i] in self.cast.people.values() or self._kind(token) == "person"
            return Entity(replaced[token.i], "person" if person else self._kind(token), token.i)
        if token.pos_ == "PRON" or token.ent_type_ in ("DATE", "TIME", "CARDINAL", "QUANTITY", "PERCENT", "MONEY"):
            return None
        kind = self._kind(token)
        indefinite = token.pos_ == "NOUN" and not _definite(token)
        if indefinite and (token.dep_ in ("pobj", "conj", "appos", "attr") or kind == "plural"):
            return None
        return Entity(self._called(token, kind), kind, token.i)

    def _called(self, token: Token, kind: str) -> str:
        if token.pos_ == "PROPN":
            if kind == "person":
                return self.cast.people.get(token.text, name_of(token))
            definite = any(child.lower_ == "the" for child in token.children)
            return f"the {name_of(token)}" if definite else name_of(token)
        kept = [child for child in token.lefts if child.dep_ in ("amod", "compound", "nummod", "nmod")]
        return "the " + " ".join(part.text for part in [*kept, token])


def _definite(token: Token) -> bool:
    return any(
        child.dep_ in ("det", "poss") and child.lower_ in ("the", "its", "his", "her") for child in token.children
    )


def _rank(entity: Entity, sentence: Span) -> int:
    token = sentence.doc[entity.source]
    order = {"nsubj": 0, "nsubjpass": 0, "dobj": 1, "attr": 1, "pobj": 2}
    return order.get(token.dep_, 3) + (0 if token.head.dep_ == "ROOT" else 3)


def _subordinate(token: Token) -> bool:
    """Whether a pronoun stands in a later clause of its sentence, where that sentence's subject comes to mind first."""
    verb = token
    while verb.head != verb:
        if verb.dep_ in ("advcl", "relcl", "ccomp", "conj", "acl", "xcomp") and verb.pos_ in ("VERB", "AUX"):
            return True
        verb = verb.head
    return False


def _impersonal(token: Token) -> bool:
    """`It is said that`, `it rained`."""
    if token.lower_ != "it" or token.dep_ not in ("nsubj", "nsubjpass"):
        return False
    clausal = any(child.dep_ in ("ccomp", "xcomp") for child in token.head.children)
    return token.head.lemma_ in ("rain", "snow", "seem", "appear") or (
        clausal and token.head.lemma_ in ("say", "believe", "think", "know")
    )
