"""What pronouns, short names and "the company" mean, sentence by sentence.

A document is read once for its cast (who is a person, which nouns the title goes by) and then from top to bottom with
a memory of what was mentioned last. What cannot be resolved is said to be so: no fact is made of it.
"""

from dataclasses import dataclass, replace
from typing import Any

from knowledge_update.writing.english.cast import Cast, described_as_person, name_of
from knowledge_update.writing.english.lexicon import DOCUMENTS, THING_NAMES, is_person_noun
from knowledge_update.writing.english.parsing import is_quoted
from knowledge_update.writing.english.roles import (
    following_subject,
    introduces,
    is_actor,
    is_definite,
    is_impersonal,
    is_subject,
    is_subordinate,
    rank_of,
    subjects_of,
)

Token = Any
Span = Any

_PERSONAL = {"he": "person", "she": "person", "him": "person", "it": "thing", "they": "plural", "them": "plural"}
_POSSESSIVE = {"his": "person", "her": "person", "its": "thing", "their": "plural"}
SPOKEN = ("you", "we", "us")
_GENDERS = {"he": "he", "him": "he", "his": "he", "she": "she", "her": "she"}
_ROLES = ("nsubj", "nsubjpass", "dobj", "pobj", "attr", "conj", "appos", "ROOT")
_AMOUNTS = ("DATE", "TIME", "CARDINAL", "QUANTITY", "PERCENT", "MONEY")
# Mentions of a higher rank stand too deep in their sentence to be taken up by the next one without doubt.
_LAST_CERTAIN = 1
# Stands for a reference that is clear where its sentence stands whole, and that no clause may be taken out with.
INNER = "\N{OBJECT REPLACEMENT CHARACTER}"


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
        # Whose the possessive pronouns are that may stay in their clause, but not in another.
        self.owners: dict[int, str] = {}
        # Nouns that were brought in as something of their own: what they mean is not to be guessed from the title.
        self.introduced: set[str] = set()
        self._introducing: set[str] = set()
        self._met: set[Entity] = set()
        self._mentioned: list[Entity] = []
        self._genders: dict[str, str] = {}
        # How many things the last sentence has.
        self._things = 0
        # A name that the last sentence is about, of which it does not say whether it is somebody's.
        self._acting = ""

    def resolve(self, sentence: Span) -> dict[int, str]:
        """Returns the words that stand for tokens of a sentence, by token index; then remembers the sentence.

        Raises:
            UnresolvedError: When a reference's meaning is not certain.
        """
        replaced: dict[int, str] = {}
        here: list[Entity] = []
        self.inner = set()
        self.owners = {}
        unresolved: UnresolvedError | None = None
        for token in sentence:
            try:
                self._resolve_token(token, here, replaced)
            except UnresolvedError as error:
                if self._clear_inside(token, here):
                    self.inner.add(token.i)
                    replaced[token.i] = INNER
                else:
                    unresolved = unresolved or error
            entity = self._entity(token, replaced)
            if entity:
                here.append(replace(entity, rank=rank_of(token)))
        self._mentioned = sorted(here, key=lambda entity: entity.rank) + self._mentioned[:6]
        self._things = len({token.lower_ for token in sentence if self._is_one_thing(token)})
        self._acting = next((self._called(t, "thing") for t in sentence if self._may_be_anybody(t)), "")
        if sentence.text.count('"') % 2:
            # Of whom somebody speaks is not told by who speaks.
            self._mentioned, self._acting = [], ""
        self._met.update(here)
        self.introduced |= self._introducing
        self._introducing = {token.lower_ for token in sentence if token.pos_ == "NOUN" and introduces(token)}
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
                if is_subject(token.head):
                    # "Its motto is X. It appears daily": what the first sentence goes on about is meant again.
                    here.append(Entity(owner, _POSSESSIVE[word], token.i, rank=-1))
        elif token.tag_ == "DT" and word in ("this", "these", "those", "that", "such"):
            if word == "this" and token.head.lower_ in DOCUMENTS and self.cast.title:
                replaced[token.i] = "the"
                return
            raise UnresolvedError(f"'{token.text}' may mean several things")
        elif word == "the" and token.dep_ == "det":
            self._resolve_definite(token, replaced)
        elif token.pos_ == "PROPN" and name_of(token) == token.text != self.cast.called(token) and _is_whole(token):
            replaced[token.i] = self.cast.called(token)

    def _remember_owner(self, token: Token, replaced: dict[int, str]) -> None:
        """Remembers whose a thing is whose pronoun may stay in its own clause."""
        head = token
        while head.head != head and head.pos_ not in ("VERB", "AUX"):
            head = head.head
        subject = subjects_of(head)[0]
        if subject.tag_ not in ("WP", "WDT") and (subject.pos_ != "PRON" or subject.i in replaced):
            owner = replaced.get(subject.i) or self._called(subject, self._kind(subject))
            self.owners[token.i] = owner + ("'" if owner.endswith("s") else "'s")

    def _resolve_personal(self, token: Token, here: list[Entity], replaced: dict[int, str]) -> None:
        if token.dep_ == "expl" or is_impersonal(token):
            return
        kind = _PERSONAL[token.lower_]
        if is_subject(token) or not self._bound(token, kind):
            replaced[token.i] = self._antecedent(kind, here, token)

    def _resolve_definite(self, token: Token, replaced: dict[int, str]) -> None:
        """Makes `the company` the title's name; other definite nouns are placed by the writer."""
        noun = token.head
        modified = any(child.dep_ not in ("det", "case", "punct", "relcl", "appos") for child in noun.children)
        if noun.pos_ == "NOUN" and noun.i == token.i + 1 and not modified and noun.lower_ in self.cast.title_nouns:
            if self._is_anothers(noun):
                raise UnresolvedError(f"'the {noun.text}' may mean several things")
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

    def _is_anothers(self, noun: Token) -> bool:
        """Whether a name before it in its sentence goes by a noun, which is then no word for the title."""
        named = (token for token in noun.doc[noun.sent.start : noun.i] if token.lower_ == noun.lower_)
        title = self.cast.title.lower()
        return any(token.pos_ == "PROPN" and name_of(token).lower() not in title for token in named)

    def _antecedent(self, kind: str, here: list[Entity], token: Token) -> str:
        found = next((entity for entity in self._order(here, token) if self._agrees(entity, kind, token)), None)
        if found in here and self._is_taken_up(found, token):
            self.inner.add(token.i)
        elif found in here or self._clear_inside(token, here):
            # What is no subject is seldom meant, and who reads the sentence whole sees what is.
            raise UnresolvedError(f"'{token.text}' may mean several things")
        if kind == "person" and found not in here and self._acting and not (found and found.rank <= 0):
            # "Iqbal became a member. He came back": that it is a man is told only now.
            self.cast.people.setdefault(self._acting.split()[-1], self._acting)
            return self._acting
        title_is_person = self.cast.title in self.cast.people.values()
        if found is None and self.cast.title and kind == ("person" if title_is_person else "thing"):
            return self.cast.title
        if found is None or (found not in here and not self._is_certain(found, kind)):
            raise UnresolvedError(f"'{token.text}' may mean several things")
        if token.lower_ in _GENDERS:
            self._genders.setdefault(found.text, _GENDERS[token.lower_])
        return found.text

    def _order(self, here: list[Entity], token: Token) -> list[Entity]:
        """What may be meant, the likeliest first."""
        nearest = list(reversed(here))
        if token.dep_ == "dobj":
            # What is acted on goes on being acted on.
            nearest.sort(key=lambda entity: token.doc[entity.source].dep_ != "dobj")
        # "The trust counts the birds; in 2021 it counted 40": a subject of the same sentence is nearer than any before.
        inside = is_subordinate(token) or any(is_subject(token.doc[entity.source]) for entity in here)
        return [*nearest, *self._mentioned] if inside else [*self._mentioned, *nearest]

    def _agrees(self, entity: Entity, kind: str, token: Token) -> bool:
        gender = _GENDERS.get(token.lower_, "")
        return entity.kind == kind and self._genders.get(entity.text, gender) == gender

    def _is_taken_up(self, entity: Entity, token: Token) -> bool:
        """Whether something in a pronoun's own sentence is what it means: its subject, or what is acted on."""
        source = token.doc[entity.source]
        # "The trust counts the birds; in 2021 it counted 40 of them".
        objects = ("dobj",) if entity.kind == "person" else ("dobj", "pobj")
        return is_actor(source) or (source.dep_ == "dobj" and token.dep_ in objects)

    def _is_certain(self, entity: Entity, kind: str) -> bool:
        """Whether what earlier sentences mentioned is certainly what is meant: a subject, or the only one there was."""
        if entity.rank <= (0 if kind == "plural" else _LAST_CERTAIN):
            return True
        alone = all(other.text == entity.text for other in self._mentioned if other.kind == kind)
        if kind == "person":
            return alone and entity.text in self.cast.people.values()
        return kind == "thing" and self._things == 1

    def _clear_inside(self, token: Token, here: list[Entity]) -> bool:
        """Whether a reference is to what its own sentence tells: `Edda sent his nephew`, `such as that of Ada`."""
        if token.tag_ == "DT":
            complements = any(child.dep_ in ("prep", "relcl", "acl") for child in token.children)
            return token.lower_ in ("that", "those") and complements and token.i > token.sent.start
        kind = _PERSONAL.get(token.lower_) or _POSSESSIVE.get(token.lower_)
        if kind is None:
            return False
        found = next((entity for entity in self._order(here, token) if self._agrees(entity, kind, token)), None)
        if found in here:
            return True
        # "Newcastle replaced him": not himself.
        acts = token.dep_ not in ("dobj", "dative")
        told = [word for word in token.doc[token.sent.start : token.i] if acts and is_actor(word)]
        following = following_subject(token)
        told += [following] if following is not None else []
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
            if is_subject(verb):
                return False
            verb = verb.head
        subjects = subjects_of(verb)
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
            known = token.text in self.cast.people or described_as_person(token) or _is_the_ruler(token)
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
        if token.dep_ not in _ROLES or token.pos_ not in ("NOUN", "PROPN", "PRON") or is_quoted(token):
            return None
        # Who "remained its leader" is meant again, not the leader.
        told = token.dep_ == "attr" and self._kind(token) == "person"
        if told or replaced.get(token.i) == INNER:
            return None
        if token.i in replaced:
            person = replaced[token.i] in self.cast.people.values() or self._kind(token) == "person"
            return Entity(replaced[token.i], "person" if person else self._kind(token), token.i)
        if token.pos_ == "PRON" or token.ent_type_ in _AMOUNTS:
            return None
        kind = self._kind(token)
        if token.dep_ == "ROOT" and kind != "person":
            return None
        indefinite = token.pos_ == "NOUN" and not is_definite(token)
        if indefinite and (token.dep_ in ("pobj", "conj", "appos", "attr") or kind == "plural"):
            return None
        # What has no article is no one thing: "worldwide membership".
        if token.pos_ == "NOUN" and not any(child.dep_ in ("det", "poss", "nummod") for child in token.children):
            return None
        return Entity(self._called(token, kind), kind, token.i)

    def _may_be_anybody(self, token: Token) -> bool:
        """Whether a main subject is a name alone, of which nothing says that it is a thing's."""
        named = token.pos_ == "PROPN" and is_subject(token) and rank_of(token) == 0
        joined = any(child.dep_ in ("conj", "det", "poss") for child in token.children)
        return named and not joined and token.tag_ == "NNP" and not self.is_person(token) and not self.is_thing(token)

    def _is_one_thing(self, token: Token) -> bool:
        mentioned = token.pos_ in ("NOUN", "PROPN") and token.dep_ not in ("compound", "nmod")
        return mentioned and self._kind(token) == "thing" and token.ent_type_ not in _AMOUNTS

    def _called(self, token: Token, kind: str) -> str:
        if token.pos_ == "PROPN":
            if kind == "person":
                return f"the {token.text}" if _is_the_ruler(token) else self.cast.called(token)
            definite = any(child.lower_ == "the" for child in token.children)
            name = _together(token) if kind == "plural" else name_of(token)
            return f"the {name}" if definite else name
        kept = [child for child in token.lefts if child.dep_ in ("amod", "compound", "nummod", "nmod")]
        first = min([part.left_edge.i for part in kept], default=token.i)
        return f"the {token.doc[first : token.i + 1].text}"


def _is_whole(name: Token) -> bool:
    """Whether a single name is no part of a longer one: `Albert Museum`, `Council of Churches`."""
    if name.dep_ in ("compound", "nmod") or (name.i + 1 < len(name.doc) and name.nbor(1).pos_ == "PROPN"):
        return False
    return not (name.i >= 2 and name.nbor(-1).lower_ == "of" and name.nbor(-2).pos_ == "PROPN")


def _is_the_ruler(token: Token) -> bool:
    """`The Shah`: a rank that is used as a name."""
    return is_person_noun(token.lower_) and [child.lower_ for child in token.lefts] == ["the"]


def _together(name: Token) -> str:
    """A name with those it is joined to: `Creek and Cherokee`."""
    last = name
    while joined := [child for child in last.children if child.dep_ == "conj" and child.pos_ == "PROPN"]:
        last = joined[-1]
    return (
        name_of(name) if last is name else f"{name_of(name)}{name.whitespace_}{name.doc[name.i + 1 : last.i + 1].text}"
    )
