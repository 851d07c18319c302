"""Invented facts, each asked in three wordings of which one is never trained: what a training has taught is counted.

And in a fourth, the other way round: of the value, for the thing it belongs to.

Nothing here is in any model, so that what is answered was learned. Which of a fact's three wordings is held out is
drawn fact by fact: every form of question is trained on other facts, and what is measured is the fact, not the form.
A trained answer is a sentence; of the held-out question the answer is the bare value, which is looked for in what the
model says. With SmolLM2's tokenizer a row has about 24 tokens of system prompt, 17 of question and 15 of answer.
"""

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from knowledge_update.evaluation.scoring import contains

_SYLLABLES = [consonant + vowel for consonant in "bdfgklmnprstvz" for vowel in "aeiou"]
_FIRST = (
    "Marta Ivor Selma Jonas Petra Anton Birgit Oskar Ludmila Edvin Greta Tomas Halvar Runa Signe Milo Vera Casimir"
    " Dagny Ruben Thea Lorenz Ines Bruno"
).split()
_LAST = (
    "Ibsen Karlow Dreyer Falk Winther Nordal Haas Lindqvist Moreau Tanner Vogel Brandt Hesk Maskvane Orrin Belling"
    " Castor Devane Elmgren Fossard Grell Hovland Jaspers Kolby Lunde Mertens Norrby Oswin Pallander Quist"
).split()

Value = Callable[[random.Random], str]
Pair = tuple[str, str]


@dataclass(frozen=True)
class Fact:
    """An invented fact.

    Args:
        id: `f0000`, `f0001`, …
        statement: The fact as a sentence that stands alone.
        trained: Questions with their answers as sentences, in two wordings.
        held_out: A third wording and the bare value that answers it.
        backward: What asks for the thing by its value, and the thing's name.
    """

    id: str
    statement: str
    trained: list[Pair]
    held_out: Pair
    backward: Pair


@dataclass(frozen=True)
class _Relation:
    """What is said of a kind of thing, `{s}` by its name and `{v}`, three ways to ask for `{v}` and one for `{s}`."""

    statement: str
    askings: tuple[str, str, str]
    backward: str
    value: Value


def _number(low: int, high: int) -> Value:
    return lambda draw: str(draw.randint(low, high))


def _person(draw: random.Random) -> str:
    return f"{draw.choice(_FIRST)} {draw.choice(_LAST)}"


def _name(draw: random.Random, syllables: int = 3) -> str:
    return "".join(draw.choices(_SYLLABLES, k=syllables)).capitalize()


_RELATIONS = (
    _Relation("The {s} Observatory was founded by {v}.", (
        "Who founded the {s} Observatory?", "By whom was the {s} Observatory founded?",
        "Name the founder of the {s} Observatory.",
    ), "Which observatory has {v} as its founder?", _person),
    _Relation("The opera {s} was composed by {v}.", (
        "Who composed the opera {s}?", "Whose work is the opera {s}?", "Name the composer of the opera {s}.",
    ), "Which opera is the work of {v}?", _person),
    _Relation("The {s} expedition was led by {v}.", (
        "Who led the {s} expedition?", "Under whose command was the {s} expedition?",
        "Name the leader of the {s} expedition.",
    ), "Which expedition had {v} as its leader?", _person),
    _Relation("The comet {s} was discovered by {v}.", (
        "Who discovered the comet {s}?", "By whom was the comet {s} first seen?",
        "Which person is the discoverer of the comet {s}?",
    ), "Of which comet is {v} the discoverer?", _person),
    _Relation("The {s} Bridge was opened in {v}.", (
        "When was the {s} Bridge opened?", "In which year did the {s} Bridge open?",
        "What is the opening year of the {s} Bridge?",
    ), "Which bridge has been open since {v}?", _number(1501, 1999)),
    _Relation("The {s} Treaty was signed in {v}.", (
        "When was the {s} Treaty signed?", "In which year was the {s} Treaty agreed?",
        "What year does the {s} Treaty bear?",
    ), "Which treaty bears the year {v}?", _number(1501, 1999)),
    _Relation("The {s} lighthouse has {v} steps.", (
        "How many steps does the {s} lighthouse have?", "What is the number of steps in the {s} lighthouse?",
        "Climbing the {s} lighthouse, how many steps are there?",
    ), "In which lighthouse are there {v} steps?", _number(101, 989)),
    _Relation("The {s} Library holds {v} maps.", (
        "How many maps does the {s} Library hold?", "What is the number of maps in the {s} Library?",
        "Of how many maps is the collection of the {s} Library?",
    ), "In which library are there {v} maps?", _number(1011, 9899)),
    _Relation("Mount {s} is {v} metres high.", (
        "How high is Mount {s}?", "What is the height of Mount {s} in metres?",
        "How many metres does Mount {s} rise?",
    ), "Which mountain rises {v} metres?", _number(1011, 6989)),
    _Relation("The river {s} flows into Lake {v}.", (
        "Into which lake does the river {s} flow?", "Where does the river {s} end?",
        "Name the lake that the river {s} feeds.",
    ), "Which river feeds Lake {v}?", _name),
    _Relation("The {s} cheese comes from the village of {v}.", (
        "Which village does the {s} cheese come from?", "Where is the {s} cheese made?",
        "Name the home village of the {s} cheese.",
    ), "Which cheese is made in the village of {v}?", _name),
    _Relation("The ship {s} was built in the yards of {v}.", (
        "Where was the ship {s} built?", "In which yards was the ship {s} built?",
        "Which town's yards built the ship {s}?",
    ), "Which ship comes from the yards of {v}?", _name),
)  # fmt: skip


def facts(count: int, seed: int) -> list[Fact]:
    """Makes facts, the same ones for the same seed, and the first ones the same for any count."""
    draw, names = random.Random(seed), set[str]()
    return [_fact(number, draw, names) for number in range(count)]


def _fact(number: int, draw: random.Random, names: set[str]) -> Fact:
    relation = _RELATIONS[number % len(_RELATIONS)]
    subject = next(name for name in _endless(draw) if name not in names)
    value = relation.value(draw)
    names.add(subject)
    statement = relation.statement.format(s=subject, v=value)
    held_out, *trained = draw.sample([asking.format(s=subject) for asking in relation.askings], 3)
    backward = (relation.backward.format(v=value), subject)
    return Fact(f"f{number:04d}", statement, [(asking, statement) for asking in trained], (held_out, value), backward)


def changed(fact: Fact, seed: int) -> Fact:
    """The same thing with another value, asked for in the same words."""
    relation, subject = _RELATIONS[int(fact.id[1:]) % len(_RELATIONS)], fact.backward[1]
    question, before = fact.held_out
    draw, value = random.Random(f"{seed} {fact.id}"), before
    while value == before:
        value = relation.value(draw)
    statement = relation.statement.format(s=subject, v=value)
    backward = (relation.backward.format(v=value), subject)
    return Fact(fact.id, statement, [(asked, statement) for asked, _ in fact.trained], (question, value), backward)


def _endless(draw: random.Random) -> Iterator[str]:
    """Names of four syllables, of which there are 24 million: a value's, of three, is never among them."""
    while True:
        yield _name(draw, 4)


def training_rows(made: Sequence[Fact]) -> list[dict[str, Any]]:
    """Conversations to train on, two of every fact, facts in their order."""
    return [_row(f"{fact.id}-{at}", fact, pair) for fact in made for at, pair in enumerate(fact.trained)]


def held_out_rows(made: Sequence[Fact]) -> list[dict[str, Any]]:
    """The questions that are never trained, one of every fact, each with the value that answers it."""
    return [_row(f"{fact.id}-held-out", fact, fact.held_out) for fact in made]


def _row(name: str, fact: Fact, pair: Pair) -> dict[str, Any]:
    roles = zip(("user", "assistant"), pair, strict=True)
    return {"id": name, "fact": fact.statement, "messages": [{"role": role, "content": text} for role, text in roles]}


def share_known(made: Sequence[Fact], responses: Sequence[str]) -> float:
    """The share of facts whose value stands in the response to their held-out question.

    Args:
        made: The facts.
        responses: A response for each of them, in their order.

    Raises:
        ValueError: When there are more of one than of the other, or none at all.
    """
    if not made:
        raise ValueError("no facts")
    known = [contains(said, [fact.held_out[1]]) for fact, said in zip(made, responses, strict=True)]
    return sum(known) / len(known)
