"""What pronouns, short names and "the company" mean, sentence by sentence.

A document is read once for its cast (who is a person, which nouns the title goes by) and then from top to bottom with
a memory of what was mentioned last. What cannot be resolved is said to be so: no fact is made of it.
"""

from dataclasses import dataclass, replace
from typing import Any

from knowledge_update.writing.english.cast import Cast, described_as_person, name_of
from knowledge_update.writing.english.lexicon import DOCUMENTS, THING_NAMES, is_person_noun

Token = Any
Span = Any

_PERSONAL = {"he": "person", "she": "person", "him": "person", "it": "thing", "they": "plural", "them": "plural"}
_POSSESSIVE = {"his": "person", "her": "person", "its": "thing", "their": "plural"}
SPOKEN = ("you", "we", "us")
# Mentions of a higher rank stand too deep in their sentence to be taken up again without doubt.
_LAST_CERTAIN = 1


@dataclass(frozen=True)
class Entity:
    """Something that was mentioned: how it is called, whether person, thing or plural, and by which token.

    `rank` is how soon it is taken up again: subjects before objects, and those before the rest.
    """

    text: str
    kind: str
    source: int = -1
    rank: int = 0


class UnresolvedError(Exception):
    """A reference whose meaning is not certain; it becomes a named drop."""


class Memory:
    """What was mentioned last, and what references mean in its light."""

    def __init__(self, cast: Cast) -> None:
        self.cast = cast
        # References of the last sentence to something in that same sentence: where it stands whole they are clear.
        self.inner: set[int] = set()
        # Whether the last sentence has a reference that is clear only to who reads it whole.
        self.whole = False
        # Whose the possessive pronouns are that may stay in their clause, but not in another.
        self.owners: dict[int, str] = {}
        # Nouns that were brought in as something of their own: what they mean is not to be guessed from the title.
        self.introduced: set[str] = set()
        self._introducing: set[str] = set()
        self._met: set[Entity] = set()
        self._mentioned: list[Entity] = []

    def resolve(self, sentence: Span) -> dict[int, str]:
        """Returns the words that stand for tokens of a sentence, by token index; then remembers the sentence.

        Raises:
            UnresolvedError: When a reference's meaning is not certain.
        """
        replaced: dict[int, str] = {}
        here: list[Entity] = []
        self.inner = set()
        self.owners = {}
        self.whole = False
        unresolved: UnresolvedError | None = None
        for token in sentence:
            try:
                self._resolve_token(token, here, replaced)
            except UnresolvedError as error:
                if self._clear_inside(token):
                    self.whole = True
                else:
                    unresolved = unresolved or error
            entity = self._entity(token, replaced)
            if entity:
                here.append(replace(entity, rank=_rank(token)))
        self._mentioned = sorted(here, key=lambda entity: entity.rank) + self._mentioned[:6]
        self._met.update(here)
        self.introduced |= self._introducing
        self._introducing = {token.lower_ for token in sentence if token.pos_ == "NOUN" and _introduces(token)}
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
            # Who a handbook speaks to and for is the same in all of it.
            and not (word in SPOKEN and self.cast.title)
        ):
            raise UnresolvedError(f"'{token.text}' is nobody in particular")
        elif token.tag_ == "PRP$" and word in _POSSESSIVE:
            if self._bound(token, _POSSESSIVE[word]):
                self._remember_owner(token, replaced)
            else:
                owner = self._antecedent(_POSSESSIVE[word], here, token)
                replaced[token.i] = owner + ("'" if owner.endswith("s") else "'s")
                if token.head.dep_ in ("nsubj", "nsubjpass"):
                    # "Its motto is X. It appears daily": what the first sentence goes on about is meant again.
                    here.append(Entity(owner, _POSSESSIVE[word], token.i, rank=-1))
        elif token.tag_ == "DT" and word in ("this", "these", "those", "that", "such"):
            if word == "this" and token.head.lower_ in DOCUMENTS and self.cast.title:
                replaced[token.i] = "the"
                return
            raise UnresolvedError(f"'{token.text}' may mean several things")
        elif word == "the" and token.dep_ == "det":
            self._resolve_definite(token, replaced)
        elif (
            token.pos_ == "PROPN"
            and name_of(token) == token.text != self.cast.called(token)
            and token.dep_ not in ("compound", "nmod")
        ):
            replaced[token.i] = self.cast.called(token)

    def _remember_owner(self, token: Token, replaced: dict[int, str]) -> None:
        """Remembers whose a thing is whose pronoun may stay in its own clause."""
        head = token
        while head.head != head and head.pos_ not in ("VERB", "AUX"):
            head = head.head
        subject = _subjects(head)[0]
        if subject.tag_ not in ("WP", "WDT") and (subject.pos_ != "PRON" or subject.i in replaced):
            owner = replaced.get(subject.i) or self._called(subject, self._kind(subject))
            self.owners[token.i] = owner + ("'" if owner.endswith("s") else "'s")

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
            return
        if noun.i == token.i + 1 and not modified and self.cast.last_of_title(noun):
            replaced[token.i] = ""
            replaced[noun.i] = f"the {self.cast.title.removeprefix('the ')}"
            return
        bearers = self.cast.roles.get(noun.lower_, set())
        known = any(entity.text in bearers for entity in self._met)
        if noun.pos_ == "NOUN" and noun.i == token.i + 1 and not modified and len(bearers) == 1 and known:
            # "The engineer", of whom it was said that she is one.
            replaced[token.i] = ""
            replaced[noun.i] = next(iter(bearers))

    def _antecedent(self, kind: str, here: list[Entity], token: Token) -> str:
        nearest = list(reversed(here))
        if token.dep_ == "dobj":
            # What is acted on goes on being acted on.
            nearest.sort(key=lambda entity: token.doc[entity.source].dep_ != "dobj")
        # "The trust counts the birds; in 2021 it counted 40": a subject of the same sentence is nearer than any before.
        inside = _subordinate(token) or any(_is_subject(token.doc[entity.source]) for entity in here)
        order = [*nearest, *self._mentioned] if inside else [*self._mentioned, *nearest]
        alike = [entity for entity in order if entity.kind == kind]
        title_is_person = self.cast.title in self.cast.people.values()
        certain = alike and not (alike[0] not in here and self._rivalled(alike[0], kind))
        if certain and not (kind == "plural" and alike[0] not in here and alike[0].rank > 0):
            if alike[0] in here:
                self.inner.add(token.i)
            return alike[0].text
        if not alike and self.cast.title and kind == ("person" if title_is_person else "thing"):
            return self.cast.title
        raise UnresolvedError(f"'{token.text}' may mean several things")

    def _rivalled(self, chosen: Entity, kind: str) -> bool:
        """Whether somebody else was mentioned who may be meant instead of a person who was no subject or object."""
        others = any(entity.kind == kind and entity.text != chosen.text for entity in self._mentioned)
        return kind == "person" and others and chosen.rank > _LAST_CERTAIN

    def _clear_inside(self, token: Token) -> bool:
        """Whether a reference is to what its sentence told before: `Edda sent his nephew`, `such as that of Ada`."""
        if token.tag_ == "DT":
            complements = any(child.dep_ in ("prep", "relcl", "acl") for child in token.children)
            return token.lower_ in ("that", "those") and complements and token.i > token.sent.start
        kind = _PERSONAL.get(token.lower_) or _POSSESSIVE.get(token.lower_)
        # "Newcastle replaced him": not himself.
        if kind is None or token.dep_ in ("dobj", "dative"):
            return False
        told = (word for word in token.doc[token.sent.start : token.i] if _is_subject(word))
        return any(word.pos_ in ("NOUN", "PROPN") and self._may_mean(word, token, kind) for word in told)

    def _may_mean(self, noun: Token, pronoun: Token, kind: str) -> bool:
        # Of many names the parser does not know whose they are; a firm, too, has "their" customers.
        unknown = kind == "person" and noun.pos_ == "PROPN" and not self.is_thing(noun)
        many = kind == "plural" and pronoun.tag_ == "PRP$" and not self.is_person(noun)
        return unknown or many or self._kind(noun) == kind

    def _bound(self, token: Token, kind: str) -> bool:
        """Whether a pronoun means the subject of its own clause, so that it may stay."""
        verb = token
        while verb.head != verb and verb.pos_ not in ("VERB", "AUX"):
            if verb.dep_ in ("nsubj", "nsubjpass"):
                return False
            verb = verb.head
        subjects = _subjects(verb)
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
            known = token.text in self.cast.people or described_as_person(token)
            return known or self._may_be_surname(token)
        return token.pos_ == "NOUN" and is_person_noun(token.lemma_)

    def is_thing(self, token: Token) -> bool:
        """Whether a name is certainly nobody's; of many names the parser cannot tell."""
        name = name_of(token)
        told = name in self.cast.classes or name in self.cast.places or name.lower() in self.cast.title.lower()
        determined = any(
            child.dep_ == "det" or (child.pos_ == "NOUN" and child.dep_ != "conj") for child in token.children
        )
        return told or determined or token.text.lower() in THING_NAMES or not token.text[:1].isalpha()

    def _may_be_surname(self, token: Token) -> bool:
        """Whether a single name that acts, and is no thing's that is known, is taken for somebody's by the parser."""
        acts = token.dep_ in ("nsubj", "poss") or (token.dep_ == "pobj" and token.head.dep_ == "agent")
        single = name_of(token) == token.text and not any(child.dep_ == "det" for child in token.children)
        thing = token.text in self.cast.classes or token.text.lower() in self.cast.title.lower()
        return bool(token.ent_type_ == "PERSON" and acts and single and not thing)

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
                return self.cast.called(token)
            definite = any(child.lower_ == "the" for child in token.children)
            return f"the {name_of(token)}" if definite else name_of(token)
        kept = [child for child in token.lefts if child.dep_ in ("amod", "compound", "nummod", "nmod")]
        first = min([part.left_edge.i for part in kept], default=token.i)
        return f"the {token.doc[first : token.i + 1].text}"


def _introduces(token: Token) -> bool:
    """Whether a noun is more than `the tower`: `a tower`, `the old tower`, `the tower of the church`."""
    return [child.lower_ for child in token.children if child.dep_ != "punct"] != ["the"]


def _is_subject(token: Token) -> bool:
    return token.dep_ in ("nsubj", "nsubjpass")


def _subjects(verb: Token) -> list[Token]:
    """A verb's subject, or that of the verb it is coordinated with."""
    own = [child for child in verb.children if child.dep_ in ("nsubj", "nsubjpass")]
    return own or (_subjects(verb.head) if verb.dep_ == "conj" and verb.head.pos_ in ("VERB", "AUX") else [])


def _definite(token: Token) -> bool:
    return any(
        child.dep_ in ("det", "poss") and child.lower_ in ("the", "its", "his", "her") for child in token.children
    )


def _rank(token: Token) -> int:
    if token.tag_ == "PRP$":
        return -1
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
    verb = token.head
    if token.dep_ == "nsubjpass" and verb.lemma_ in ("agree", "decide", "resolve"):
        return True
    clausal = any(child.dep_ in ("ccomp", "xcomp") for child in verb.children)
    return verb.lemma_ in ("rain", "snow", "seem", "appear") or (
        clausal and verb.lemma_ in ("say", "believe", "think", "know")
    )
