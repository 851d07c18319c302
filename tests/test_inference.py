"""Generation gives each prompt the answer it would get alone, however prompts are put together."""

from dataclasses import replace
from typing import Any

import pytest

from knowledge_update.inference import Generator, Prompt
from knowledge_update.models import load_model, load_tokenizer, precision
from knowledge_update.templates import ChatTemplate


@pytest.fixture(scope="module")
def parts(tiny_model: str) -> tuple[Any, ChatTemplate]:
    model = load_model(tiny_model, precision("float32", "cpu"))
    # Random layers of the usual size hardly change what passes them: louder ones make every token matter.
    for layer in model.get_decoder().layers.parameters():
        layer.data.mul_(12)
    return model, ChatTemplate(load_tokenizer(tiny_model))


def prompts(template: ChatTemplate) -> list[Prompt]:
    passages = {"a": "The tower is 38 metres high and it has 212 steps. ", "b": "灯塔建于一八七四年。", "": ""}
    questions = ("Who founded it?", "What is the height of the tower of Tolvick?", "Which year?", "建于哪一年？")
    return [
        Prompt(f"{group}{number}", tuple(template.question(passage + question)), group)
        for group, passage in passages.items()
        for number, question in enumerate(questions)
    ]


@pytest.mark.parametrize("rows", [2, 3, 5, 64])
def test_answers_do_not_depend_on_the_batch(parts: tuple[Any, ChatTemplate], rows: int) -> None:
    model, template = parts
    alone, together = (Generator(model, template, batch_rows=count, max_new_tokens=12) for count in (1, rows))
    expected = {name: text for prompt in prompts(template) for batch in alone.answers([prompt]) for name, text in batch}
    found = [pair for batch in together.answers(prompts(template)) for pair in batch]
    assert len(found) == len(expected) and dict(found) == expected
    assert len(set(expected.values())) > 4, "a model that says the same to everything would prove nothing"


def test_batches_are_bounded(parts: tuple[Any, ChatTemplate]) -> None:
    model, template = parts
    generator = Generator(model, template, batch_rows=5, max_new_tokens=1)
    sizes = [len(batch) for batch in generator.answers(prompts(template))]
    assert max(sizes) <= 5 and sum(sizes) == 12


def test_an_answer_with_more_room_may_be_longer(parts: tuple[Any, ChatTemplate]) -> None:
    model, template = parts
    asked = [replace(prompt, room=9) if at % 2 else prompt for at, prompt in enumerate(prompts(template))]
    answers = []
    for most in (2, 9):
        generator = Generator(model, template, batch_rows=8, max_new_tokens=most)
        answers.append(dict(pair for batch in generator.answers(asked) for pair in batch))
    same = {name for name, text in answers[0].items() if text == answers[1][name]}
    assert {prompt.id for prompt in asked if prompt.room} <= same < {prompt.id for prompt in asked}


def test_prompts_that_begin_differently(parts: tuple[Any, ChatTemplate]) -> None:
    model, template = parts
    mixed = [Prompt("x", (5,), "one"), Prompt("y", (7, 9, 11), "two"), Prompt("z", (8, 9, 11), "two")]
    generator = Generator(model, template, batch_rows=8, max_new_tokens=6)
    alone = {name: text for prompt in mixed for batch in generator.answers([prompt]) for name, text in batch}
    assert dict(pair for batch in generator.answers(mixed) for pair in batch) == alone


def shelves(template: ChatTemplate) -> list[Prompt]:
    """Prompts of two passages each, out of three: many begin with the same one."""
    books = (
        "The tower is 38 metres high and it has 212 steps. " * 3,
        "灯塔建于一八七四年。" * 9,
        "The dairy sells. " * 9,
    )
    pairs = [(first, second) for first in books for second in books if first is not second]
    return [
        Prompt(f"{number}{question}", tuple(template.question("".join(pair) + question)), f"group {number}")
        for number, pair in enumerate(pairs)
        for question in ("Which year?", "Who founded the company of the island?")
    ]


def test_what_groups_begin_with_alike_is_read_once(
    parts: tuple[Any, ChatTemplate], monkeypatch: pytest.MonkeyPatch
) -> None:
    model, template = parts
    alone = Generator(model, template, batch_rows=1, max_new_tokens=8)
    expected = {name: text for prompt in shelves(template) for batch in alone.answers([prompt]) for name, text in batch}
    read = 0
    whole = model.forward

    def counted(*words: Any, **named: Any) -> Any:
        nonlocal read
        read += named["input_ids"].numel() if named["input_ids"].shape[0] == 1 else 0
        return whole(*words, **named)

    monkeypatch.setattr(model, "forward", counted)
    together = Generator(model, template, batch_rows=64, max_new_tokens=8)
    assert dict(pair for batch in together.answers(shelves(template)) for pair in batch) == expected
    assert len(set(expected.values())) > 4
    groups = {prompt.group: prompt for prompt in shelves(template)}
    assert read < 0.8 * sum(len(prompt.ids) for prompt in groups.values())


def test_a_group_that_begins_with_all_of_another(parts: tuple[Any, ChatTemplate]) -> None:
    model, template = parts
    long = tuple(range(5, 105))
    mixed = [Prompt("x", (*long, 7), "one"), Prompt("y", (*long, 9), "one"), Prompt("z", (*long, 9, 11, 12), "two"),
             Prompt("w", (*long, 9, 11, 13), "two"), Prompt("v", long, "three")]  # fmt: skip
    generator = Generator(model, template, batch_rows=8, max_new_tokens=6)
    alone = {name: text for prompt in mixed for batch in generator.answers([prompt]) for name, text in batch}
    assert dict(pair for batch in generator.answers(mixed) for pair in batch) == alone
