"""One chat template for training and for use: how a question is put to a model, and where its answer ends."""

from collections.abc import Sequence
from functools import cached_property
from typing import Any

from knowledge_update.errors import ModelError

# For a model without a chat template of its own; saved beside its adapter.
PLAIN_TEMPLATE = (
    "{% for message in messages %}"
    "{{ ('Question: ' if message['role'] == 'user' else 'Answer: ' if message['role'] == 'assistant' else '')"
    " + message['content'] + (eos_token if message['role'] == 'assistant' else '') + '\n' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ 'Answer:' }}{% endif %}"
)


class ChatTemplate:
    """Turns messages into token ids, the same way in training and in use.

    Args:
        tokenizer: The model's tokenizer; it is given `PLAIN_TEMPLATE` when it has no template.
        end_ids: Token ids that generation stops at; the tokenizer's end-of-sequence token counts always.

    Raises:
        ModelError: When the model has no token to end a turn with.
    """

    def __init__(self, tokenizer: Any, end_ids: Sequence[int] = ()) -> None:
        self.tokenizer = tokenizer
        if not tokenizer.chat_template:
            tokenizer.chat_template = PLAIN_TEMPLATE
        self.end_ids = frozenset(end_ids) | {tokenizer.eos_token_id}
        if tokenizer.eos_token_id is None:
            raise ModelError("the model's tokenizer has no end-of-sequence token, so no answer could end")

    def prompt(self, messages: Sequence[dict[str, str]]) -> list[int]:
        """Token ids of a conversation up to where the assistant's answer begins."""
        given = list(messages) if self._takes_system else _folded(messages)
        ids = self.tokenizer.apply_chat_template(
            given, add_generation_prompt=True, enable_thinking=False, tokenize=True, return_dict=False
        )
        return list(ids)

    @cached_property
    def _takes_system(self) -> bool:
        """Whether the template has a place for a system message: some refuse it, some drop it."""
        from jinja2 import TemplateError

        said = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "a"}]
        try:
            return "Be brief." in self.tokenizer.apply_chat_template(said, tokenize=False)
        except TemplateError:
            return False

    def answer(self, text: str) -> list[int]:
        """Token ids of an answer, closed by the token that ends a turn.

        The last id is one that generation stops at, so that what is taught includes to stop.
        """
        ids = self.tokenizer(text, add_special_tokens=False)["input_ids"]
        return [*ids, self.end_id]

    @cached_property
    def end_id(self) -> int:
        """The token that ends an assistant's turn in this template."""
        marked = self.tokenizer.apply_chat_template(
            [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}], tokenize=True, return_dict=False
        )
        return next(
            (int(token) for token in reversed(marked) if token in self.end_ids), int(self.tokenizer.eos_token_id)
        )

    def question(self, text: str) -> list[int]:
        """Token ids of one question put to the model."""
        return self.prompt([{"role": "user", "content": text}])

    def shared_prefix(self) -> list[int]:
        """The ids that every single-question prompt begins with."""
        return common_prefix([self.question("a b"), self.question("1, c"), self.question("是")])


def _folded(messages: Sequence[dict[str, str]]) -> list[dict[str, str]]:
    """Messages with what the system says at the head of the first question."""
    if len(messages) < 2 or messages[0]["role"] != "system":
        return list(messages)
    system, first, *rest = messages
    return [{**first, "content": f"{system['content']}\n\n{first['content']}"}, *rest]


def common_prefix(rows: Sequence[Sequence[int]]) -> list[int]:
    """The longest beginning that all rows share."""
    ordered = sorted(list(row) for row in rows)
    first, last = ordered[0], ordered[-1]
    length = next((i for i, (a, b) in enumerate(zip(first, last, strict=False)) if a != b), min(len(first), len(last)))
    return list(first[:length])
