"""Whatever accepted style a model writes in, what it said comes back unchanged; what does not has a reason."""

import json
import random
import re
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from knowledge_update.writing.prompted.parsing import ANSWER, FACT, QUESTION, QUOTE, Pair, facts_of, lines_of, pairs_of

# Texts as facts and answers are: words, numbers, marks; a first word that is no mark of a list.
WORDS = st.sampled_from(
    ["built", "1874", "3.5%", "增长3.5%", "灯塔", "Dr.", "A:", "U.S.", "(1)", "5.", "12:30", "O'Brien", '"so"', "x=1",
     "《书》", "€4", "和", "No.", "half-way", "é", "{a}", "[b]"]
)  # fmt: skip
TEXTS = st.builds(
    lambda first, rest: " ".join([first, *rest]),
    st.sampled_from(["Tolvick", "灯塔", "The", "Zwölf", "“Old", "Runa"]),
    st.lists(WORDS, max_size=8),
)
LISTS = st.lists(TEXTS, min_size=1, max_size=14)
PAIRS = st.lists(st.builds(Pair, TEXTS, TEXTS), min_size=1, max_size=6)

Style = Callable[[list[str]], str]
LIST_STYLES: dict[str, Style] = {
    "json": lambda items: json.dumps(items, ensure_ascii=False),
    "json in an object": lambda items: json.dumps({"roles": items}),
    "fenced": lambda items: f"Here they are:\n```json\n{json.dumps(items, indent=2)}\n```\nThat is all.",
    "dots": lambda items: "\n".join(f"{n}. {item}" for n, item in enumerate(items, 1)),
    "no space": lambda items: "\n".join(f"{n}.{item}" for n, item in enumerate(items, 1)),
    "brackets": lambda items: "\n\n".join(f"{n}) {item}" for n, item in enumerate(items, 1)),
    "full-width": lambda items: "\n".join(f"{n}、{item}" for n, item in enumerate(items, 1)),
    "full-width brackets": lambda items: "\n".join(f"（{n}）{item}" for n, item in enumerate(items, 1)),
    "labelled": lambda items: "\n".join(f"Fact {n}: {item}" for n, item in enumerate(items, 1)),
    "labelled in Chinese": lambda items: "\n".join(f"事实{n}：{item}" for n, item in enumerate(items, 1)),
    "bold": lambda items: "\n".join(f"**{n}.** {item}" for n, item in enumerate(items, 1)),
    "bullets": lambda items: "\n".join(f"- {item}" for item in items),
    "reasoned": lambda items: f"<think>1. hm\n2. ah</think>\n{LIST_STYLES['dots'](items)}",
    "reasoning begun in the prompt": lambda items: f"1. hm\n</think>{LIST_STYLES['dots'](items)}",
    "introduced": lambda items: f"Sure! The facts are:\n\n{LIST_STYLES['dots'](items)}\n\nI hope this helps.",
    "carriage returns": lambda items: LIST_STYLES["dots"](items).replace("\n", "\r\n"),
}

PAIR_STYLES: dict[str, Callable[[list[Pair]], str]] = {
    "json": lambda pairs: json.dumps([{"question": p.first, "answer": p.second} for p in pairs], ensure_ascii=False),
    "json nested": lambda pairs: json.dumps({"qa": {"pairs": [{"Question": p.first, "A": p.second} for p in pairs]}}),
    "json lines": lambda pairs: "\n".join(json.dumps({"q": p.first, "a": p.second}) for p in pairs),
    "fenced": lambda pairs: f"Sure:\n```json\n{PAIR_STYLES['json'](pairs)}\n```",
    "python": lambda pairs: str([{"question": p.first, "answer": p.second} for p in pairs]),
    "labels": lambda pairs: "\n".join(f"Q: {p.first}\nA: {p.second}" for p in pairs),
    "full-width": lambda pairs: "\n\n".join(f"Q：{p.first}\nA：{p.second}" for p in pairs),
    "Chinese": lambda pairs: "\n".join(f"问题：{p.first}\n答案：{p.second}" for p in pairs),
    "numbered": lambda pairs: "\n".join(f"{n}. Q: {p.first}\n   A: {p.second}" for n, p in enumerate(pairs, 1)),
    "numbered labels": lambda pairs: "\n".join(f"Q{n}: {p.first}\nA{n}: {p.second}" for n, p in enumerate(pairs, 1)),
    "bold": lambda pairs: "\n\n".join(f"**Question:** {p.first}\n**Answer:** {p.second}" for p in pairs),
    "numbers alone": lambda pairs: "\n".join(f"{n}.\nQ: {p.first}\nA: {p.second}" for n, p in enumerate(pairs, 1)),
    "reasoned": lambda pairs: f"<think>Q: hm\nA: ah</think>{PAIR_STYLES['labels'](pairs)}",
}


@pytest.mark.parametrize("style", LIST_STYLES)
@settings(max_examples=60)
@given(items=LISTS)
def test_any_list_comes_back_unchanged(style: str, items: list[str]) -> None:
    assert lines_of(LIST_STYLES[style](items))[0] == items


@pytest.mark.parametrize("style", PAIR_STYLES)
@settings(max_examples=60)
@given(pairs=PAIRS)
def test_any_pair_comes_back_unchanged(style: str, pairs: list[Pair]) -> None:
    parsed = pairs_of(PAIR_STYLES[style](pairs), QUESTION, ANSWER)
    assert list(parsed.pairs) == pairs
    assert parsed.lost == ()


@given(items=LISTS)
def test_a_list_whose_first_mark_stood_in_the_prompt_keeps_its_first_item(items: list[str]) -> None:
    written = LIST_STYLES["dots"](items).removeprefix("1. ")
    if len(items) > 1:
        assert lines_of(written)[0] == items


def test_a_fact_that_wraps_is_one_and_a_year_begins_none() -> None:
    written = (
        "1. The light was lit in\n1874. It has\n   stood since.\n2、灯塔建于\n一八七四年。\n3. 增长3.5%\n3.5% in all"
    )
    assert lines_of(written) == (
        ["The light was lit in 1874. It has stood since.", "灯塔建于一八七四年。", "增长3.5% 3.5% in all"],
        [],
    )


@pytest.mark.parametrize("said", ["SKIP。", "skip", "  N/A.", "无", "没有。", "**SKIP**"])
def test_skipping_is_no_answer(said: str) -> None:
    assert lines_of(said) == ([], [f"the model skipped it: {said.strip()}"])
    parsed = pairs_of(f"Q: Who?\nA: {said.strip()}", QUESTION, ANSWER)
    assert (parsed.pairs, parsed.lost) == ((), ("without answer: Who?",))


@pytest.mark.parametrize("style", LIST_STYLES)
def test_facts_without_quotes_are_their_own(style: str) -> None:
    items = ["The Grey Lamp was lit in 1874.", "增长3.5%"]
    assert facts_of(LIST_STYLES[style](items)).pairs == tuple(Pair(item, item) for item in items)


def test_one_broken_object_takes_no_other_with_it() -> None:
    written = (
        '{"facts": [{"fact": "It is old.", "quote": "an old tower"}, {"fact": "He said "no".", "quote": "x"},\n'
        '{"fact": "It is tall.", "quote": "a tall tower"}, {"fact": "It is re'
    )
    parsed = pairs_of(written, FACT, QUOTE)
    assert [pair.first for pair in parsed.pairs] == ["It is old.", "It is tall."]
    assert len(parsed.lost) == 2
    assert all(reason.startswith("broken or cut off: ") for reason in parsed.lost)


@pytest.mark.parametrize(
    ("written", "reason"),
    [
        ("", "the reply was empty"),
        (" \n", "the reply was empty"),
        ("<think>endless", "the reply was reasoning alone"),
        ("I cannot help with that.", "no pairs in: I cannot help with that."),
        ("A: 1874", "without question: 1874"),
        ("Q: When?", "without answer: When?"),
        ('{"question": "When?"}', "without answer: When?"),
        ("{['a']: 'b'}", "no pairs in: {['a']: 'b'}"),
        (r"{'\d': '\w'}", r"no pairs in: {'\d': '\w'}"),
    ],
)
def test_what_is_no_pair_has_a_reason(written: str, reason: str) -> None:
    parsed = pairs_of(written, QUESTION, ANSWER)
    assert (parsed.pairs, parsed.lost) == ((), (reason,))


def test_a_pair_on_one_line_is_two_parts() -> None:
    assert pairs_of("1. Q: When? A: 1874", QUESTION, ANSWER).pairs == (Pair("When?", "1874"),)


def test_talk_around_the_pairs_is_no_part_of_them() -> None:
    parsed = pairs_of("Sure!\nQ: When?\nA: 1874\n\nLet me know.", QUESTION, ANSWER)
    assert parsed.pairs == (Pair("When?", "1874"),)
    assert parsed.lost == ("beside the pairs: Sure!", "beside the pairs: Let me know.")


PIECES = ("\n", '"', "{", "}]", "```", "</think>", "2.", "Q：", "\u2028", "\x00", "\\")


def mutated(text: str, order: random.Random) -> str:
    """A text with pieces cut out, doubled, moved or replaced, as broken replies are."""
    for _ in range(order.randint(1, 6)):
        at, to = sorted(order.randrange(len(text) + 1) for _ in range(2))
        piece = order.choice(
            ["", text[at:to] * 2, "\n", '"', "{", "}]", "```", "</think>", "2.", "Q：", "\u2028", "\x00"]
        )
        text = text[:at] + piece + text[to:]
    return text


def shaken(count: int, seed: int) -> None:
    order = random.Random(seed)
    items = ["Runa built it in 1874.", "增长3.5%", "A tower: tall"]
    pairs = [Pair("Who built it?", "Runa"), Pair("灯塔多高？", "34米")]
    replies = [style(items) for style in LIST_STYLES.values()] + [style(pairs) for style in PAIR_STYLES.values()]
    for _ in range(count):
        reply = mutated(order.choice(replies), order)
        parsed = pairs_of(reply, QUESTION, ANSWER)
        assert parsed.pairs or parsed.lost, reply
        assert all(pair.first and pair.second for pair in parsed.pairs), reply
        found, lost = lines_of(reply)
        assert found or lost, reply
        assert all(re.search(r"\S", item) for item in found), reply


def test_no_broken_reply_is_lost_without_a_reason() -> None:
    shaken(2_000, seed=0)


@pytest.mark.soak
def test_no_broken_reply_is_lost_without_a_reason_at_length() -> None:
    shaken(100_000, seed=1)
