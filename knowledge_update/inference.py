"""Answers: batched generation, what prompts share computed once."""

from collections import defaultdict, deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from knowledge_update.templates import ChatTemplate, common_prefix
from knowledge_update.workers import workers

if TYPE_CHECKING:
    from torch import Tensor

# Every token of an answer reads the keys and values of all rows before it: more of them than this are slower together
# than apart (benchmarks/LOG.md).
BATCH_TOKENS = 12_000
# How a model is asked with a text before it.
READING = {
    "en": "{text}\n\nAnswer with a few words from the text above.\nQuestion: {question}",
    "zh": "{text}\n\n请用上文中的几个字回答。\n问题：{question}",
}
# A beginning of fewer tokens that groups share is as fast read again as found again.
WORTH_SHARING = 48


@dataclass(frozen=True)
class Prompt:
    """A prompt to continue.

    Args:
        id: Its name.
        ids: Its tokens.
        group: Names what shares a long beginning (the passage of an open-book question).
        room: Tokens that its answer may have, where that is more than the others'.
    """

    id: str
    ids: tuple[int, ...]
    group: str = ""
    room: int = 0


@dataclass(frozen=True)
class Part:
    """Prompts that begin alike."""

    prefix: list[int]
    prompts: list[Prompt]


class Generator:
    """Greedy generation on one model.

    What the prompts of a group begin with goes through the model once, its keys and values are seen by every one of its
    rows; rows of several groups are continued together. A row leaves its batch when it ends, so late rows do not pay
    for early ones.

    Args:
        model: A causal language model of transformers, adapter included.
        template: Its chat template, which knows what ends an answer.
        batch_rows: Rows that are generated together at most.
        max_new_tokens: Tokens of an answer at most.
    """

    def __init__(self, model: Any, template: ChatTemplate, *, batch_rows: int, max_new_tokens: int) -> None:
        self.model = model
        self.template = template
        self.batch_rows = batch_rows
        self.max_new_tokens = max_new_tokens

    def answers(self, prompts: Sequence[Prompt]) -> Iterator[list[tuple[str, str]]]:
        """Yields the answers batch by batch, as (prompt id, text)."""
        with workers(self.model.device.type) as hands:
            waiting: deque[tuple[list[Part], Future[list[list[int]]]]] = deque()
            for batch in self._batches(prompts):
                waiting.append((batch, hands.start(self._generate, batch)))
                if len(waiting) == hands.count:
                    yield self._told(*waiting.popleft())
            while waiting:
                yield self._told(*waiting.popleft())

    def _told(self, batch: list[Part], rows: "Future[list[list[int]]]") -> list[tuple[str, str]]:
        texts = [self.template.tokenizer.decode(row, skip_special_tokens=True).strip() for row in rows.result()]
        asked = [prompt for part in batch for prompt in part.prompts]
        return [(prompt.id, text) for prompt, text in zip(asked, texts, strict=True)]

    def _batches(self, prompts: Sequence[Prompt]) -> Iterator[list[Part]]:
        """A batch holds whole groups, unless one alone is too large."""
        batch: list[Part] = []
        for part in _in_order(parts_of(prompts, self.batch_rows)):
            rows = sum(len(other.prompts) for other in [*batch, part])
            if batch and (rows > self.batch_rows or rows * len(part.prompts[-1].ids) > BATCH_TOKENS):
                yield batch
                batch = []
            batch.append(part)
        if batch:
            yield batch

    def _generate(self, parts: Sequence[Part]) -> list[list[int]]:
        import torch

        limits = [max(self.max_new_tokens, prompt.room) for part in parts for prompt in part.prompts]
        with torch.inference_mode():
            ended = dict(continued(self.model, parts, self.template.end_ids, limits, greedy))
        return [ended[row] for row in range(len(limits))]


def parts_of(prompts: Sequence[Prompt], most: int) -> list[Part]:
    """Prompts by their groups, with what those of a group begin with; `most` is how many a part holds."""
    groups: dict[str, list[Prompt]] = defaultdict(list)
    for prompt in prompts:
        groups[prompt.group].append(prompt)
    parts = []
    for group in groups.values():
        ordered = sorted(group, key=lambda prompt: len(prompt.ids))
        prefix = common_prefix([prompt.ids[:-1] for prompt in ordered])
        parts += [Part(prefix, ordered[start : start + most]) for start in range(0, len(ordered), most)]
    return parts


def _in_order(parts: Sequence[Part]) -> list[Part]:
    """Groups that begin alike side by side where that saves a quarter of the reading, else groups of like length."""
    by_text = sorted(parts, key=lambda part: part.prefix)
    shared = sum(_shared(left.prefix, right.prefix) for left, right in pairwise(by_text))
    if 4 * shared > sum(len(part.prefix) for part in parts):
        return by_text
    return sorted(parts, key=lambda part: (len(part.prefix), len(part.prompts[-1].ids)))


def _shared(left: list[int], right: list[int]) -> int:
    """How many tokens two groups begin with alike; none where it is not worth it."""
    length = len(common_prefix([left, right]))
    return length if length >= WORTH_SHARING else 0


Choice = Callable[["Tensor", list[int]], "Tensor"]


def greedy(logits: "Tensor", _: list[int]) -> "Tensor":
    """The likeliest token of every row: a `Choice`."""
    return logits.argmax(-1)


def continued(
    model: Any, parts: Sequence[Part], end_ids: frozenset[int], limits: Sequence[int], choose: Choice
) -> Iterator[tuple[int, list[int]]]:
    """Continues the prompts of the parts; yields each row, by its place among them, with its tokens, as it ends.

    Rows are padded at the left, prefix and rest each for itself; padding is masked, and positions count real tokens
    only, so that a row's answer does not depend on its neighbours. Who takes the rows does so in inference mode.

    Args:
        model: A causal language model of transformers.
        parts: The prompts.
        end_ids: Tokens that end an answer; they are not part of it.
        limits: Tokens of an answer at most, at least 1, by row.
        choose: The next tokens, (rows,), from the logits of rows that still go on, (rows, vocabulary), and which
            rows they are.
    """
    import torch

    device = model.get_input_embeddings().weight.device
    heads = torch.tensor([len(part.prefix) for part in parts for _ in part.prompts], device=device)
    rows = [list(prompt.ids[len(part.prefix) :]) for part in parts for prompt in part.prompts]
    width, head = max(len(row) for row in rows), int(heads.max())
    ids = torch.tensor([[0] * (width - len(row)) + row for row in rows], device=device)
    real = torch.tensor([[0] * (width - len(row)) + [1] * len(row) for row in rows], device=device)
    cache = _prefix_cache(model, parts, device)
    before = (torch.arange(head, device=device) >= head - heads[:, None]).long()
    mask = torch.cat([before, real], dim=1)
    positions = (heads[:, None] + real.cumsum(1) - 1).clamp(min=0)
    answers: list[list[int]] = [[] for _ in rows]
    alive = list(range(len(rows)))
    while alive:
        output = model(
            input_ids=ids, attention_mask=mask, position_ids=positions, past_key_values=cache, use_cache=True,
            logits_to_keep=1,
        )  # fmt: skip
        cache, chosen = output.past_key_values, choose(output.logits[:, -1], alive)
        going: list[int] = []
        for index, (row, token) in enumerate(zip(alive, chosen.tolist(), strict=True)):
            if token not in end_ids:
                answers[row].append(token)
            if token in end_ids or len(answers[row]) >= limits[row]:
                yield row, answers[row]
            else:
                going.append(index)
        if not going:
            return
        keep = torch.tensor(going, device=device)
        if len(going) < len(alive):
            cache.batch_select_indices(keep)
            alive = [alive[index] for index in going]
        ids = chosen[keep].unsqueeze(1)
        mask = torch.cat([mask[keep], torch.ones(len(going), 1, dtype=torch.long, device=device)], dim=1)
        positions = positions[keep][:, -1:] + 1


def _prefix_cache(model: Any, parts: Sequence[Part], device: Any) -> Any:
    """Keys and values of every part's prefix, once a row, padded at the left to the longest."""
    import torch
    from torch.nn.functional import pad
    from transformers import DynamicCache

    longest = max(len(part.prefix) for part in parts)
    if not longest:
        return DynamicCache()
    caches: list[_Layers] = []
    for number, part in enumerate(parts):
        # The last token is always read: something has to be.
        same = min(_shared(parts[number - 1].prefix, part.prefix), len(part.prefix) - 1) if number else 0
        known = [(keys[:, :, :same], values[:, :, :same]) for keys, values in caches[-1]] if same else []
        caches.append(_read(model, part.prefix, device, known))
    joined = DynamicCache()
    for layer in range(len(caches[0])):
        keys, values = (
            torch.cat([
                pad(layers[layer][which], (0, 0, longest - len(part.prefix), 0)).expand(len(part.prompts), -1, -1, -1)
                for layers, part in zip(caches, parts, strict=True)
            ])
            for which in (0, 1)
        )  # fmt: skip
        joined.update(keys, values, layer)
    return joined


# Keys and values, (1, groups, length, size) each, by layer.
_Layers = list[tuple[Any, Any]]


def _read(model: Any, prefix: list[int], device: Any, known: _Layers) -> _Layers:
    """Keys and values of a prefix, of whose beginning those are `known`."""
    import torch
    from transformers import DynamicCache

    # A model cannot read nothing: for an empty prefix it reads one token, of which nothing is kept.
    ids = torch.tensor([prefix or [0]], device=device)
    cache = DynamicCache()
    for layer, (keys, values) in enumerate(known):
        cache.update(keys, values, layer)
    start = known[0][0].shape[2] if known else 0
    mask = torch.ones_like(ids) if start else None
    cache = model(
        input_ids=ids[:, start:], attention_mask=mask, past_key_values=cache, use_cache=True, logits_to_keep=1
    ).past_key_values
    return [(layer.keys[:, :, : len(prefix)], layer.values[:, :, : len(prefix)]) for layer in cache.layers]


def question_prompts(template: ChatTemplate, questions: Sequence[tuple[str, str]]) -> list[Prompt]:
    """Prompts for (id, question) pairs, asked without any document."""
    return [Prompt(identity, tuple(template.question(question))) for identity, question in questions]


def reading(text: str, question: str, language: str) -> str:
    """A question with a text before it that answers it, in the text's language."""
    return READING[language].format(text=text, question=question)
