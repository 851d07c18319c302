"""Answers: batched greedy generation, what prompts share computed once."""

from collections import defaultdict, deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any

from knowledge_update.templates import ChatTemplate, common_prefix
from knowledge_update.workers import workers

# Every token of an answer reads the keys and values of all rows before it: more of them than this are slower together
# than apart (benchmarks/LOG.md).
BATCH_TOKENS = 12_000


@dataclass(frozen=True)
class Prompt:
    """A prompt to continue; `group` names what shares a long beginning (the passage of an open-book question)."""

    id: str
    ids: tuple[int, ...]
    group: str = ""


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
            waiting: deque[tuple[list[_Part], Future[list[list[int]]]]] = deque()
            for batch in self._batches(prompts):
                waiting.append((batch, hands.start(self._generate, batch)))
                if len(waiting) == hands.count:
                    yield self._told(*waiting.popleft())
            while waiting:
                yield self._told(*waiting.popleft())

    def _told(self, batch: list["_Part"], rows: "Future[list[list[int]]]") -> list[tuple[str, str]]:
        texts = [self.template.tokenizer.decode(row, skip_special_tokens=True).strip() for row in rows.result()]
        asked = [prompt for part in batch for prompt in part.prompts]
        return [(prompt.id, text) for prompt, text in zip(asked, texts, strict=True)]

    def _batches(self, prompts: Sequence[Prompt]) -> Iterator[list["_Part"]]:
        """Groups of like length side by side; a batch holds whole groups, unless one alone is too large."""
        parts = sorted(_parts(prompts, self.batch_rows), key=lambda part: (len(part.prefix), len(part.prompts[-1].ids)))
        batch: list[_Part] = []
        for part in parts:
            rows = sum(len(other.prompts) for other in [*batch, part])
            if batch and (rows > self.batch_rows or rows * len(part.prompts[-1].ids) > BATCH_TOKENS):
                yield batch
                batch = []
            batch.append(part)
        if batch:
            yield batch

    def _generate(self, parts: Sequence["_Part"]) -> list[list[int]]:
        import torch

        with torch.inference_mode():
            return _greedy(self.model, parts, self.template.end_ids, self.max_new_tokens)


@dataclass(frozen=True)
class _Part:
    """Prompts that begin alike."""

    prefix: list[int]
    prompts: list[Prompt]


def _parts(prompts: Sequence[Prompt], most: int) -> Iterator[_Part]:
    groups: dict[str, list[Prompt]] = defaultdict(list)
    for prompt in prompts:
        groups[prompt.group].append(prompt)
    for group in groups.values():
        ordered = sorted(group, key=lambda prompt: len(prompt.ids))
        prefix = common_prefix([prompt.ids[:-1] for prompt in ordered])
        for start in range(0, len(ordered), most):
            yield _Part(prefix, ordered[start : start + most])


def _greedy(model: Any, parts: Sequence[_Part], end_ids: frozenset[int], max_new_tokens: int) -> list[list[int]]:
    """Continues the prompts of the parts, in their order.

    Rows are padded at the left, prefix and rest each for itself; padding is masked, and positions count real tokens
    only, so that a row's answer does not depend on its neighbours.
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
    for _ in range(max_new_tokens):
        output = model(
            input_ids=ids, attention_mask=mask, position_ids=positions, past_key_values=cache, use_cache=True,
            logits_to_keep=1,
        )  # fmt: skip
        cache, chosen = output.past_key_values, output.logits[:, -1].argmax(-1)
        tokens = chosen.tolist()
        going = [index for index, token in enumerate(tokens) if token not in end_ids]
        for index in going:
            answers[alive[index]].append(tokens[index])
        if not going:
            break
        keep = torch.tensor(going, device=device)
        if len(going) < len(alive):
            cache.batch_select_indices(keep)
            alive = [alive[index] for index in going]
        ids = chosen[keep].unsqueeze(1)
        mask = torch.cat([mask[keep], torch.ones(len(going), 1, dtype=torch.long, device=device)], dim=1)
        positions = positions[keep][:, -1:] + 1
    return answers


def _prefix_cache(model: Any, parts: Sequence[_Part], device: Any) -> Any:
    """Keys and values of every part's prefix, once a row, padded at the left to the longest."""
    import torch
    from torch.nn.functional import pad
    from transformers import DynamicCache

    longest = max(len(part.prefix) for part in parts)
    if not longest:
        return DynamicCache()
    caches = [_read(model, part.prefix, device) for part in parts]
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


def _read(model: Any, prefix: list[int], device: Any) -> list[tuple[Any, Any]]:
    """Keys and values of a prefix, (1, groups, length, size) twice a layer."""
    import torch
    from transformers import DynamicCache

    # A model cannot read nothing: for an empty prefix it reads one token, of which nothing is kept.
    ids = torch.tensor([prefix or [0]], device=device)
    cache = model(input_ids=ids, past_key_values=DynamicCache(), use_cache=True, logits_to_keep=1).past_key_values
    return [(layer.keys[:, :, : len(prefix)], layer.values[:, :, : len(prefix)]) for layer in cache.layers]


def question_prompts(template: ChatTemplate, questions: Sequence[tuple[str, str]]) -> list[Prompt]:
    """Prompts for (id, question) pairs, asked without any document."""
    return [Prompt(identity, tuple(template.question(question))) for identity, question in questions]
