"""Who and what a document is about: its title, its people, the kinds and the places of things."""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from knowledge_update.writing.english.lexicon import DAYS, HUMAN_VERBS, MONTHS, THING_NAMES, is_person_noun

Token = Any
Span = Any

# Nouns by which a title may be taken up again, by the last word of the title.
_GENERIC = {
    "company": ("line", "yard", "shipyard", "dairy", "works", "company", "bank", "brewery", "bakery", "studio", "sons"),
    "newspaper": ("courier", "times", "herald", "gazette", "news", "post"),
    "paper": ("courier", "times", "herald", "gazette"),
    "yard": ("shipyard",),
    "island": ("island", "isle"),
}
# Nouns that say of no name what it is.
_ABSTRACT = frozenset("beginning end kind name one part reason result success thing way".split())
# What in a title stands behind the noun it goes by: `the university` of `University of Lubiz`.
_BEHIND = re.compile(r" (?:of|in|on|at|for|upon) |,")
# What a biography's title tells of its subject besides the name.
_YEARS = re.compile(r"\s*\((?:born |b\. )?\d{3,4}(?:\s*[–-]\s*\d{0,4})?\)$")


@dataclass
class Cast:
    """Who and what a document is about.

    Args:
        title: Its title, with the article it is used with.
        people: Full names by the last word; where several share it, nobody but the title's bearer is meant by it alone.
        title_nouns: Nouns that mean the title.
        classes: Of what kind a name is.
        names: Words of names that stand inside a sentence, where a capital means something.
        places: Names that something is said to be in.
        roles: Who is said to be an engineer, a mayor, …
    """

    title: str
    people: dict[str, str] = field(default_factory=dict)
    title_nouns: set[str] = field(default_factory=set)
    classes: dict[str, str] = field(default_factory=dict)
    names: set[str] = field(default_factory=set)
    places: set[str] = field(default_factory=set)
    roles: dict[str, set[str]] = field(default_factory=dict)

    def called(self, token: Token) -> str:
        """The name a token heads as it is used in full: of a surname alone, whose it is."""
        name, known = name_of(token), self.people.get(token.text, "")
        if name == token.text:
            # "Varga & Daughters" is a firm's.
            return known if known and not _joined(token) else name
        return known if known.split(" ")[0] == name.split(" ")[0] else name

    def last_of_title(self, noun: Token) -> bool:
        """Whether a name is the last word of a thing's longer title: `the Courier` of `Orvessay Courier`."""
        words = self.title.removeprefix("the ").split()
        return len(words) > 1 and noun.pos_ == "PROPN" and noun.text == words[-1] and noun.text not in self.people


def _joined(token: Token) -> bool:
    beside = (token.doc[at].text for at in (token.i - 1, token.i + 1) if 0 <= at < len(token.doc))
    return "&" in beside


def cast_of(title: str, docs: Iterable[Span], classes: Mapping[str, str]) -> Cast:
    """Reads a document's cast: its people and the nouns that mean its title.

    Args:
        title: The document's title.
        docs: Its parsed paragraphs.
        classes: What its tables say of what kind something is, by name.
    """
    docs = list(docs)
    text = " ".join(doc.text for doc in docs)
    title = _as_written(title, text)
    cast = Cast(_title_phrase(title, text), classes=dict(classes))
    last = (re.findall(r"\w+", _BEHIND.split(title.lower())[0]) or [""])[-1]
    if not re.search(rf"\b(?:an? {re.escape(title)}|{re.escape(title)}s)\b", text, re.I) or " " not in title:
        # Of "a prime number" there are many, and "the number" is one of them.
        cast.title_nouns.update({last, *(noun for noun, words in _GENERIC.items() if last in words)})
    for doc in docs:
        for token in doc:
            _learn_class(token, cast)
            if token.pos_ == "PROPN" and token.dep_ == "pobj" and token.head.lower_ in ("in", "near", "at"):
                cast.places.add(name_of(token))
    if _is_persons_name(title, docs):
        cast.people[title.split()[-1]] = title
    for doc in docs:
        for name in names(doc):
            _learn_name(name, cast)
            cast.names.update(token.text for token in name if not token.is_sent_start)
    for doc in docs:
        for token in doc:
            if token.text in cast.people and token.text[:1].isupper() and token.pos_ in ("ADJ", "ADV", "NOUN", "X"):
                # The tagger knows few surnames.
                token.pos_, token.tag_ = "PROPN", "NNP"
            _learn_role(token, cast)
    return cast


def _is_persons_name(title: str, docs: Iterable[Span]) -> bool:
    """Whether a title is somebody's: two or three names, the last of which the text uses alone, and pronouns."""
    words = title.split()
    if not 2 <= len(words) <= 3 or not all(re.fullmatch(r"[A-Z][a-z]\w+", word) for word in words):
        return False
    if words[-1].lower() in THING_NAMES:
        return False
    tokens = [token for doc in docs for token in doc]
    personal = any(token.lower_ in ("he", "she", "his", "her") for token in tokens)
    return personal and any(
        token.text == words[-1] and (token.dep_ in ("nsubj", "poss") or token.ent_type_ == "PERSON") for token in tokens
    )


def _as_written(title: str, text: str) -> str:
    """`Ilona Varga` for `ILONA VARGA (1887–1961)`, where the text has those words."""
    title = _YEARS.sub("", title)
    small = title.title()
    return (
        small
        if title.isupper() and all(re.search(rf"\b{re.escape(word)}\b", text) for word in small.split())
        else title
    )


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
    root = name.root
    if root.tag_ == "NNPS":
        return
    determined = any(child.lower_ == "the" for child in root.children)
    kind = cast.classes.get(name.text)
    if determined or (kind is not None and not is_person_noun(kind)):
        return
    if root.ent_type_ == "PERSON" or described_as_person(root) or _acts_as_person(root):
        known = cast.people.get(words[-1], name.text)
        if known != cast.title:
            cast.people[words[-1]] = name.text if known.split(" ")[0] == words[0] else words[-1]


def _acts_as_person(root: Token) -> bool:
    """Whether a name does what only people do, or is whom a work is by."""
    if any(child.dep_ in ("conj", "cc") for child in root.children):
        return False
    if root.dep_ == "pobj" and root.head.lower_ == "by":
        work = root.head.head
        made = work.lemma_ in HUMAN_VERBS if root.head.dep_ == "agent" else work.pos_ == "PROPN"
        return bool(made and root.ent_type_ not in ("GPE", "LOC", "FAC"))
    return bool(root.dep_ == "nsubj" and root.head.lemma_ in HUMAN_VERBS)


def described_as_person(root: Token) -> bool:
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
    if token.dep_ != "attr" or token.pos_ != "NOUN" or token.head.lemma_ != "be" or token.lower_ in _ABSTRACT:
        return
    for subject in token.head.children:
        if subject.dep_ == "nsubj" and subject.pos_ == "PROPN":
            called = name_of(subject)
            cast.classes.setdefault(called, token.lemma_.lower())
            if called.lower() in cast.title.lower():
                cast.title_nouns.add(token.lemma_.lower())


def _learn_role(token: Token, cast: Cast) -> None:
    """Learns of `Runa Hesk, an engineer` and `Runa Hesk was an engineer` who the engineer is."""
    if token.pos_ != "NOUN" or not is_person_noun(token.lemma_):
        return
    bearers = [token.head] if token.dep_ in ("appos", "compound", "nmod") else []
    if token.dep_ == "attr":
        bearers = [child for child in token.head.children if child.dep_ == "nsubj"]
    for bearer in bearers:
        if bearer.pos_ == "PROPN" and bearer.text in cast.people:
            cast.roles.setdefault(token.lower_, set()).add(cast.called(bearer))


def name_of(root: Token) -> str:
    """The proper name whose head a token is, without determiner and class noun."""
    words = [child for child in root.lefts if child.dep_ in ("compound", "nmod", "flat") and child.pos_ == "PROPN"]
    between = root.doc[words[0].i : root.i] if words else []
    if any(token.lower_ == "and" for token in between) and all(token.pos_ in ("PROPN", "CCONJ") for token in between):
        # "Victoria and Albert Museum".
        return str(root.doc[words[0].i : root.i + 1].text)
    return " ".join(token.text for token in [*words, root])
