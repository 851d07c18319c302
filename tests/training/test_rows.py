"""Every answer of a conversation is learned behind what the model is asked with in use."""

from itertools import pairwise

import pytest
from conversations import answers, talk, whole
from jinja2 import TemplateError

from knowledge_update.models import load_tokenizer
from knowledge_update.templates import PLAIN_TEMPLATE, ChatTemplate
from knowledge_update.training.rows import IGNORED, Encoder

# Earlier answers are written without their thoughts, as some models' templates do.
THINKING = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{{ message['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n<think></think>{% endif %}"
)


def with_template(tiny_model: str, template: str) -> Encoder:
    tokenizer = load_tokenizer(tiny_model)
    tokenizer.chat_template = template
    return Encoder(ChatTemplate(tokenizer))


def test_every_answer_of_a_conversation_is_learned(encoder: Encoder) -> None:
    row = talk("Who built it?", "Runa Hesk.", "When?", "In 1874.")
    (part,) = encoder.parts(row)
    assert answers(part, encoder) == ["Runa Hesk.", "In 1874."]
    # It is what the template writes, but for what may stand behind the last answer.
    ids, _ = whole(part, encoder)
    written = encoder.template.tokenizer.apply_chat_template(row["messages"], tokenize=True, return_dict=False)
    assert ids == written[: len(ids)]


def test_each_answer_stands_behind_what_is_asked_in_use(encoder: Encoder) -> None:
    row = talk("Who built it?", "Runa Hesk.", "When?", "In 1874.", system="Be short.")
    (part,) = encoder.parts(row)
    ids, labels = whole(part, encoder)
    begins = [at for at, (a, b) in enumerate(pairwise(labels), 1) if a == IGNORED and b != IGNORED]
    prompts = [encoder.template.prompt(row["messages"][:at]) for at in (2, 4)]
    assert [ids[:at] for at in begins] == prompts
    assert "Be short." in encoder.template.tokenizer.decode(ids)


@pytest.mark.parametrize("template", [THINKING, PLAIN_TEMPLATE])
def test_where_no_sequence_holds_all_prompts_there_is_one_for_each_answer(tiny_model: str, template: str) -> None:
    encoder = with_template(tiny_model, template)
    row = talk("Who built it?", "Runa Hesk.", "When?", "In 1874.")
    parts = encoder.parts(row)
    assert [answers(part, encoder) for part in parts] == [["Runa Hesk."], ["In 1874."]]
    for part, at in zip(parts, (1, 3), strict=True):
        prompt = encoder.template.prompt(row["messages"][:at])
        assert whole(part, encoder)[0][: len(prompt)] == prompt


@pytest.mark.parametrize("head", ["{{ raise_exception('no system') }}", ""])
def test_a_template_without_a_place_for_the_system_has_it_in_the_first_question(tiny_model: str, head: str) -> None:
    # One template refuses a system message, the other drops it.
    named = f"{{% if messages[0]['role'] == 'system' %}}{head}{{% set messages = messages[1:] %}}{{% endif %}}"
    encoder = with_template(tiny_model, named + str(load_tokenizer(tiny_model).chat_template))
    row = talk("Who built it?", "Runa Hesk.", "When?", "In 1874.")
    first, second = row["messages"][:1], {"role": "system", "content": "Be short."}
    (plain,), (told,) = encoder.parts(row), encoder.parts({"messages": [second, *row["messages"]]})
    assert answers(told, encoder) == answers(plain, encoder)
    decode = encoder.template.tokenizer.decode
    asked, expected = decode(whole(plain, encoder)[0]), f"Be short.\n\n{first[0]['content']}"
    assert decode(whole(told, encoder)[0]) == asked.replace(first[0]["content"], expected, 1)


def test_what_a_template_refuses_is_not_hidden(tiny_model: str) -> None:
    plain = str(load_tokenizer(tiny_model).chat_template)
    encoder = with_template(
        tiny_model, "{% if messages|length > 2 %}{{ raise_exception('too many') }}{% endif %}" + plain
    )
    with pytest.raises(TemplateError, match="too many"):
        encoder.parts(talk("a", "b", "c", "d"))
