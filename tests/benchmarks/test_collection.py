"""The measurement of a collection measures: its server, its ideal and its count, on a few quick calls."""

import asyncio
import json
from collections.abc import Callable
from typing import Any

import pytest

from knowledge_update.chat_models.endpoint import Endpoint
from knowledge_update.chat_models.protocol import Overloaded, Request
from knowledge_update.writing.prompted.grounding import why_no_fact, why_no_pair
from knowledge_update.writing.prompted.parsing import Pair


@pytest.fixture(scope="module")
def parts(imported: Callable[[str], Any]) -> Any:
    return imported("collection")


@pytest.fixture(scope="module")
def server(imported: Callable[[str], Any], parts: Any) -> Any:
    return imported("collecting.server")


def test_every_fact_and_pair_passes_the_checks(parts: Any) -> None:
    for number in range(60):
        fact = parts.corpus.fact(number)
        assert parts.corpus.number_of(fact.name) == number
        assert why_no_fact(fact.sentence, fact.sentence) == ""
        for question, answer in fact.questions.items():
            assert why_no_pair(Pair(question, answer), fact.sentence, fact.sentence) == ""
            assert parts.corpus.stations(question) == [number]


def test_what_is_lost_double_or_misattached_is_counted(parts: Any) -> None:
    facts = [parts.corpus.fact(number) for number in range(3)]
    right = [
        (question, answer, fact.sentence) for fact in facts for question, answer in list(fact.questions.items())[:2]
    ]
    counted = parts.corpus.count(right, range(3), 2)
    assert (counted.expected, counted.kept, counted.lost, counted.duplicated, counted.misattached) == (6, 6, 0, 0, 0)
    other = parts.corpus.fact(7)
    question, answer = next(iter(other.questions.items()))
    spoilt = [
        *right[1:], right[2], (right[0][0], "1066", facts[0].sentence), (right[0][0], right[0][1], facts[1].sentence),
        (question, answer, other.sentence), ("What is this?", "nothing", ""),
    ]  # fmt: skip
    counted = parts.corpus.count(spoilt, range(3), 2)
    assert (counted.expected, counted.kept, counted.lost, counted.duplicated, counted.misattached) == (6, 5, 1, 1, 4)


def test_the_ideal_is_the_schedule_that_can_be_worked_out_by_hand(parts: Any) -> None:
    job = parts.schedule.Job
    # On two places: a chain of 3 + 3 beside four of 1; begun late, the chain would end at 8.
    made = [job(1, ()), job(1, ()), job(1, ()), job(1, ()), job(3, ()), job(3, (4,))]
    assert parts.schedule.makespan(made, 2, lambda at: (at, at)) == 8
    assert parts.schedule.makespan(made, 2, lambda at: (-at, at)) == 6
    assert parts.schedule.ideal([job(2, ()), job(2, (0,)), job(1, ()), job(1, (2,))], 1) == 6


def test_questions_wait_for_the_facts_of_their_passage_and_more_of_them_for_the_first(parts: Any) -> None:
    def seen(key: str, kind: str, passage: str, fact: str, arrived: float, answered: bool = True) -> dict[str, Any]:
        return {"key": key, "kind": kind, "passage": passage, "fact": fact, "arrived": arrived, "seconds": 1.0,
                "answered": answered}  # fmt: skip

    log = [
        seen("b", "facts", "1-2", "", 2), seen("a", "outline", "1-2", "", 1), seen("x", "facts", "3", "", 2.5, False),
        seen("c", "questions", "1-2", "1", 3), seen("d", "questions", "1-2", "2", 4),
        seen("c", "questions", "1-2", "1", 5), seen("e", "questions", "1-2", "1", 6),
        seen("f", "generate", "9", "", 7), seen("g", "check", "9", "", 8),
    ]  # fmt: skip
    needs = [sorted(job.needs) for job in parts.schedule.jobs(log)]
    assert needs == [[], [0], [0, 1], [0, 1], [0, 1, 2], [], [5]]


PASSAGE = "Document: Records\nSection: x\n<<<PASSAGE\n{text}\nPASSAGE>>>\n\n"


@pytest.mark.parametrize(
    ("task", "kind", "items"),
    [
        ('Say what it is about: {"theme": "...", "roles": ["..."]}', "outline", 1),
        ('List every fact: [{"fact": "...", "quote": "..."}, ...]', "facts", 2),
        ('Fact: {fact}\nWrite 3 questions: [{"question": "...", "answer": "...", "form": "..."}]', "questions", 3),
        (
            'Fact: {fact}\nAsked: {asked}\nWrite 9 more questions: [{"question": "...", "answer": "..."}]',
            "questions",
            9,
        ),
        ("Retell the passage as a letter.", "rewrite", 0),
    ],
)
def test_the_server_knows_what_is_asked_for_and_answers_it(
    parts: Any, server: Any, task: str, kind: str, items: int
) -> None:
    facts = [parts.corpus.fact(number) for number in (4, 5)]
    text = " ".join(fact.sentence for fact in facts)
    task = task.replace("{fact}", facts[1].sentence).replace("{asked}", next(iter(facts[1].questions)))
    seen = server.recognise([{"role": "user", "content": PASSAGE.replace("{text}", text) + task}])
    assert (seen["kind"], seen["passage"], seen["fact"]) == (kind, "4-5", "5" if kind == "questions" else "")
    answer = server.answer(seen)
    if kind == "rewrite":
        assert answer == "\n".join(fact.sentence for fact in facts)
    else:
        value = json.loads(answer)
        assert items == (len(value) if isinstance(value, list) else 1)


def test_thirty_calls_are_served_timed_and_counted(parts: Any) -> None:
    """Three slots, latencies of milliseconds: never more than three at once, and what was seen gives the figures."""

    async def go(url: str) -> None:
        endpoint = Endpoint(url, "scribe", timeout=5)
        left = list(range(30))

        async def some() -> None:
            while left:
                sentence = parts.corpus.fact(left.pop(0)).sentence
                await endpoint.ask(Request((("user", f'{sentence} [{{"question": "...", "answer": "..."}}]'),), 9))

        await asyncio.gather(*(some() for _ in range(3)))
        await endpoint.close()

    facts = [parts.corpus.fact(number) for number in range(30)]
    pairs = [(*next(iter(fact.questions.items())), fact.sentence) for fact in facts]
    with parts.server(scale=0.01, slots=3) as url:
        asyncio.run(asyncio.wait_for(go(url), 30))
        log = parts.seen(url)
        assert parts.seen(url) == []
    row = parts.figures(log, pairs[:-1], range(30), 1, slots=3)
    assert (row["calls"], row["expected"], row["kept"], row["lost"], row["over_limit"]) == (30, 30, 29, 1, 0)
    assert row["makespan"] >= row["ideal"] > 0
    assert 0 < row["utilisation"] <= 1
    assert len({record["seconds"] for record in log}) == 30


def test_a_request_over_the_rate_is_refused_and_counted(parts: Any) -> None:
    async def go(url: str) -> None:
        endpoint = Endpoint(url, "scribe", timeout=5)
        request = Request((("user", "x"),), 9)
        for _ in range(4):
            await endpoint.ask(request)
        with pytest.raises(Overloaded):
            await endpoint.ask(request)
        await endpoint.close()

    with parts.server(rpm=4, scale=0.001) as url:
        asyncio.run(asyncio.wait_for(go(url), 30))
        assert [record["over"] for record in parts.seen(url)] == [False] * 4 + [True]
