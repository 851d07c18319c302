"""Phrases: how a part of a sentence reads on its own, and how it is asked for."""

import re
from dataclasses import dataclass
from typing import Any

from knowledge_update.writing.english.cast import name_of
from knowledge_update.writing.english.lexicon import (
    COLOURS,
    DATE,
    DAYS,
    FULL_DATE,
    KIN,
    MEASURE_ADJECTIVES,
    MEASURE_NOUNS,
    MEASURE_VERBS,
    MONTHS,
    NUMBER_WORDS,
    PLACE_NOUNS,
    TIME_UNITS,
    YEAR,
    is_person_noun,
)
from knowledge_update.writing.english.parsing import is_quoted
from knowledge_update.writing.english.references import Memory

Token = Any

MAX_ANSWER_WORDS = 8
_DEFINITE = re.compile(r"the [a-z][a-z -]*")
# Times that say nothing without what was said before.
_VAGUE = re.compile(r"(?:(?:a|the|that) )?(?:few|following|past|last|next|same|recent|several|previous|time)\b", re.I)
# Prepositions that may be left at the end of a question.
_STRANDED = frozenset("of with to from after into by against over for about as on in through".split())


@dataclass(frozen=True)
class Ask:
    """A way to ask for a phrase.

    Args:
        form: What is asked for.
        wh: The words that stand for it, in lower case.
        answer: What answers it.
        tail: What of the phrase stays where it was.
    """

    form: str
    wh: str
    answer: str
    tail: str = ""


class Reader:
    """Reads phrases of one sentence, references resolved.

    Args:
        memory: Whose cast says who is a person.
        replaced: Words that stand for tokens, by index.
        place: What definite nouns of nobody are placed with (` of the Varrow Line`), or nothing.
    """

    def __init__(self, memory: Memory, replaced: dict[int, str], place: str) -> None:
        self.memory = memory
        self.replaced = replaced
        self.place = place

    def with_owners(self) -> "Reader":
        """A reader that also names the owners of what is "its" in a clause's own subject."""
        return Reader(self.memory, {**self.memory.owners, **self.replaced}, self.place)

    def text(self, token: Token, *, without: frozenset[int] = frozenset(), place: bool = False) -> str:
        """The phrase that a token heads, without its asides; `without` names more tokens to leave out."""
        hidden = asides(token) | without | _behind_semicolon(token)
        placed = token.i if place and self.homeless(token) else -1
        parts = []
        for part in token.subtree:
            if part.i in hidden:
                continue
            word = self.replaced.get(part.i, part.text)
            # Also "it", where that is "the tower".
            if part.i == placed or (place and part.i == token.i and _DEFINITE.fullmatch(self.replaced.get(part.i, ""))):
                word += self.place
            parts.append(word + (part.whitespace_ or "") if word else "")
            if part.i not in self.replaced and part.nbor(-1).i in hidden if part.i else False:
                parts[-1] = " " + parts[-1]
        return tidy("".join(parts))

    def homeless(self, token: Token) -> bool:
        """Whether a definite noun says nothing about whose it is."""
        if not self.place or token.pos_ != "NOUN" or token.i in self.replaced:
            return False
        inside = [part for part in token.subtree if part.i not in asides(token)]
        named = any(part.pos_ == "PROPN" or part.i in self.replaced for part in inside)
        owned = any(child.dep_ == "poss" or child.lower_ == "of" for child in token.children)
        definite = any(child.dep_ == "det" and child.lower_ == "the" for child in token.children)
        return definite and not named and not owned

    def is_person(self, token: Token) -> bool:
        """Whether the phrase means a person."""
        word = self.replaced.get(token.i)
        if word is not None:
            return word in self.memory.cast.people.values()
        return self.memory.is_person(token)

    def _is_thing(self, token: Token) -> bool:
        return token.i in self.replaced or self.memory.is_thing(token)

    def noun_asks(
        self, token: Token, *, verb: str = "", role: str = "object", without: frozenset[int] = frozenset()
    ) -> list[Ask]:
        """The ways to ask for a noun phrase."""
        text = self.text(token, without=without)
        quantity = self.quantity_ask(token, verb, without)
        if quantity:
            return quantity
        nested = self._nested_quantity(token)
        if nested:
            return nested
        # Of a subject nothing stays where it was, so that it is an answer whole or not.
        whole = role == "subject" and len(text.split()) <= MAX_ANSWER_WORDS and not is_quoted(token)
        short = text if whole else self._short(token, without)
        if not short or token.pos_ == "PRON" or len(short.split()) > MAX_ANSWER_WORDS:
            return []
        tail = text[len(short) :].strip() if text.startswith(short) and role != "subject" else ""
        # "What does it have with a diameter of a metre?"
        if tail and verb == "have":
            return []
        if role == "subject" and token.pos_ == "PROPN" and not (self.is_person(token) or self._is_thing(token)):
            return []
        if is_quoted(token):
            short = short.strip('"“”')
        if self.is_person(token):
            return [Ask("who", "who", short, tail), *self._by_role(token, short, tail)]
        asks = []
        kind = self.memory.cast.classes.get(name_of(token)) if token.pos_ == "PROPN" else None
        if kind and kind not in short.lower().split():
            asks.append(Ask("which", f"which {kind}", short, tail))
        return [*asks, Ask("what", "what", short, tail)]

    def _by_role(self, token: Token, short: str, tail: str) -> list[Ask]:
        """`Dag Rusvold, a foreman`, `the foreman Dag Rusvold`: which foreman."""
        cast = self.memory.cast
        name = self.replaced.get(token.i) or cast.called(token)
        before = [left.lower_ for left in token.lefts if left.dep_ in ("compound", "nmod") and left.pos_ == "NOUN"]
        said = [*before, *(role for role, names in cast.roles.items() if name in names)]
        # "Brothers" are two, and whose wife somebody is matters more than that she is one.
        roles = [role for role in dict.fromkeys(said) if is_person_noun(role) and role not in KIN]
        return [
            Ask("which", f"which {role}", short.removeprefix("the ").removeprefix(f"{role} "), tail) for role in roles
        ]

    def _short(self, token: Token, without: frozenset[int] = frozenset()) -> str:
        """The phrase without what follows its head, if the whole is too long for an answer."""
        text = self.text(token, without=without)
        if len(text.split()) <= 5:
            return text
        hidden = asides(token) | without
        # "The first player to win" without its winning, or "the brothers" without their names, is another thing.
        if any(child.dep_ in ("acl", "relcl", "appos") and child.i not in hidden for child in token.rights):
            return text if len(text.split()) <= MAX_ANSWER_WORDS else ""
        later = frozenset(
            part.i
            for child in token.rights
            if child.dep_ not in ("compound", "punct", "conj", "cc") and child.lower_ != "of"
            for part in child.subtree
        )
        return self.text(token, without=later | without)

    def quantity_ask(self, token: Token, verb: str, without: frozenset[int] = frozenset()) -> list[Ask]:
        """`17 members`: how many members; `68.5 % of the power`: what percentage of the power."""
        number = next((child for child in token.lefts if child.dep_ in ("nummod", "quantmod")), None)
        if number is None and token.like_num and token.lemma_ not in TIME_UNITS:
            return []
        if number is None or YEAR.fullmatch(number.text) or token.pos_ == "PROPN":
            return []
        if any(part.is_currency for part in token.doc[max(0, token.left_edge.i - 1) : token.i + 1]):
            # "£11.5 million" are not so many millions.
            return []
        amount = tidy("".join(part.text_with_ws for part in number.subtree))
        before = {part.i for child in token.lefts if child.i <= number.i for part in child.subtree}
        rest = self.text(token, without=frozenset(before) | without)
        if any(part.pos_ == "PROPN" for part in token.lefts) or not rest:
            return []
        noun = token.text
        if noun in ("%", "percent", "per cent"):
            tail = rest.removeprefix(noun).strip()
            return [Ask("how_much", f"what percentage {tail}".strip(), f"{amount} {noun}")]
        whole = f"{amount} {rest}"
        if any(child.dep_ == "conj" for child in token.children) or " and " in rest:
            return [Ask("how_much", MEASURE_VERBS[verb], whole)] if verb in MEASURE_VERBS else []
        if amount.lower() in ("one", "1"):
            return []
        asks = [Ask("how_many", f"how many {rest}", amount)]
        if verb in MEASURE_VERBS:
            asks.insert(0, Ask("how_much", MEASURE_VERBS[verb], whole))
        return asks

    def _nested_quantity(self, token: Token) -> list[Ask]:
        """`a height of 588 metres`: what height."""
        of = next((child for child in token.rights if child.dep_ == "prep" and child.lower_ == "of"), None)
        amount = next((child for child in of.children if child.dep_ == "pobj"), None) if of is not None else None
        if amount is None or not any(child.dep_ == "nummod" for child in amount.lefts):
            return []
        if token.lemma_ not in MEASURE_NOUNS or not any(child.lower_ in ("a", "an") for child in token.lefts):
            return []
        return [Ask("how_much", f"what {token.lemma_}", self.text(amount))]

    def prep_asks(self, prep: Token, verb: str) -> list[Ask]:
        """The ways to ask for a prepositional phrase."""
        noun = next((child for child in prep.children if child.dep_ == "pobj"), None)
        if noun is None or any(child.tag_ == "TO" for part in noun.children for child in part.children):
            return []
        word, text = prep.lower_, self.text(noun)
        time = time_asks(word, text, noun)
        if time:
            return time
        if word == "because":
            return [Ask("why", "why", text)]
        if word == "for" and noun.lemma_ in TIME_UNITS:
            return [Ask("how_long", "for how long", text), *_prefixed("for", self.quantity_ask(noun, verb))]
        if word in ("in", "on", "at", "near", "above", "under", "beside", "behind", "opposite") and self._is_place(
            noun
        ):
            return [Ask("where", "where", self._short(noun))] if len(self._short(noun).split()) <= 6 else []
        quantity = self.quantity_ask(noun, verb) or self._nested_quantity(noun)
        if quantity:
            return _prefixed(word, quantity)
        if word in (
            [
                "of",
                "with",
                "to",
                "from",
                "after",
                "into",
                "by",
                "against",
                "over",
                "for",
                "about",
                "as",
                "on",
                "in",
                "through",
            ]
        ):
            return self._stranded(word, noun)
        return []

    def _stranded(self, word: str, noun: Token) -> list[Ask]:
        """`is named after Ansgild Rookery`: who is it named after."""
        if noun.pos_ == "PRON":
            return []
        asks = self.noun_asks(noun)
        return [Ask(ask.form, ask.wh, ask.answer, f"{word} {ask.tail}".strip()) for ask in asks if not ask.tail]

    def _is_place(self, noun: Token) -> bool:
        if self.is_person(noun) or noun.text in DAYS or noun.text in MONTHS or re.search(r"\d", self.text(noun)):
            return False
        if noun.pos_ == "PROPN":
            return noun.ent_type_ in ("GPE", "LOC", "FAC", "ORG", "PERSON", "") and not YEAR.search(noun.text)
        return noun.lemma_.lower() in PLACE_NOUNS

    def adjective_asks(self, token: Token) -> list[Ask]:
        """`742 metres long`: how long; `rust red`: what colour."""
        if token.lemma_.lower() in COLOURS:
            return [Ask("what", "what colour", self.text(token))]
        measure = next((child for child in token.lefts if child.dep_ in ("npadvmod", "nummod", "advmod")), None)
        if measure is None or token.lemma_ not in MEASURE_ADJECTIVES or not re.search(r"\d", measure.sent.text):
            return []
        amount = self.text(measure)
        if not re.search(r"\d", amount) and not any(word in NUMBER_WORDS for word in amount.lower().split()):
            return []
        return [Ask("how_much", MEASURE_ADJECTIVES[token.lemma_], amount)]


def _prefixed(word: str, asks: list[Ask]) -> list[Ask]:
    return [Ask(ask.form, f"{word} {ask.wh}", ask.answer, ask.tail) for ask in asks]


def time_asks(word: str, text: str, noun: Token) -> list[Ask]:
    """The ways to ask for a time phrase: `in 1931`, `on 14 March 1987`, `on Saturday`, `since 2011`."""
    if word not in ("in", "on", "at", "since", "until", "by", "during", "from", "before", "after", ""):
        return []
    bare = re.sub(r"^the ", "", text)
    age = re.fullmatch(r"(?:the )?age (?:of )?(\w+)", text)
    if age or _VAGUE.match(text):
        return [Ask("how_old", "at what age", age[1])] if age and word == "at" else []
    if YEAR.fullmatch(text):
        if word == "since":
            return [Ask("when", "since when", text), Ask("when", "since what year", text)]
        if word in ("until", "by", "from", "before", "after", "during"):
            return [Ask("when", f"{word} what year", text)]
        return [Ask("when", "when", text), Ask("when", "in what year", text), Ask("when", "what year", text)]
    if DATE.fullmatch(text) or DATE.fullmatch(bare):
        if text in MONTHS:
            return [Ask("when", "when", text), Ask("when", "in which month", text)]
        if word in ("until", "by", "from", "before", "after", "since"):
            return [Ask("when", f"{word} when", text)] if word in ("since", "until") else []
        exact = [Ask("when", "on what date", text)] if FULL_DATE.search(text) else []
        return [Ask("when", "when", text), *exact]
    if text.rstrip("s") in DAYS or bare.rstrip("s") in DAYS:
        return [Ask("when", "when", text), Ask("when", "on which day", text)]
    if noun is not None and noun.ent_type_ in ("DATE", "TIME") and word in ("in", "on", "at", "during"):
        return [Ask("when", "when", text)] if len(text.split()) <= 6 and not text.startswith("that") else []
    return []


def asides(token: Token) -> frozenset[int]:
    """Tokens of a phrase that stand between commas, dashes or brackets: appositions and relative clauses."""
    hidden: set[int] = set()
    for part in token.subtree:
        aside = part.dep_ in ("relcl", "appos", "acl", "parataxis", "advcl") and part.i != token.i
        before = part.left_edge.i - 1
        opened = before >= token.left_edge.i and part.doc[before].text in (",", "(", "–", "—", "[")
        if aside and opened:
            hidden.update(inner.i for inner in part.subtree)
            hidden.add(before)
            after = part.right_edge.i + 1
            if after < len(part.doc) and part.doc[after].text in (",", ")", "–", "—", "]"):
                hidden.add(after)
    return frozenset(hidden)


def _behind_semicolon(token: Token) -> frozenset[int]:
    """What the parser takes for a part of a phrase although it comes after it."""
    last = token.right_edge.i
    ended = semicolon(token.doc[token.i : last]) or last
    return frozenset(range(ended, last + 1)) if ended < last else frozenset()


def semicolon(span: Any) -> int | None:
    """Where a semicolon that stands in no brackets parts a text, by its token's index."""
    depth = 0
    for token in span:
        depth += (token.text == "(") - (token.text == ")")
        if token.text == ";" and depth <= 0:
            return int(token.i)
    return None


def tidy(text: str) -> str:
    """Mends spaces and punctuation after words were taken out."""
    text = re.sub(r"\s+", " ", text)
    text = re.sub(r"\s+([,.;:!?%])", lambda match: (" " if match[1] == "%" else "") + match[1], text)
    text = re.sub(r",(\s*[,.;:])", r"\1", text)
    return text.strip(" ,;:–—-")
