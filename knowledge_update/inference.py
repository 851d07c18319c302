"""Answers: batched greedy generation, what prompts share computed once."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from knowledge_update.templates import ChatTemplate, common_prefix


@dataclass(frozen=True)
class Prompt:
    """A prompt to continue; `group` names what shares a long beginning (the passage of an open-book question)."""

    id: str
    ids: tuple[int, ...]
    group: str = ""


class Generator:
    """Greedy generation on one model.

    Prompts of a group are answered together: what they all begin with goes through the model once, its keys and values
    are seen by every row. A row leaves its batch when it ends, so late rows do not pay for early ones.

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
        groups: dict[str, list[Prompt]] = defaultdict(list)
        for prompt in prompts:
            groups[prompt.group].append(prompt)
        for group in groups.values():
            ordered = sorted(group, key=lambda prompt: len(prompt.ids))
            prefix = common_prefix([prompt.ids[:-1] for prompt in ordered])
            for start in range(0, len(ordered), self.batch_rows):
                batch = ordered[start : start + self.batch_rows]
                rows = self._generate(prefix, [list(prompt.ids[len(prefix) :]) for prompt in batch])
                decode = self.template.tokenizer.decode
                texts = [decode(row, skip_special_tokens=True).strip() for row in rows]
                yield [(prompt.id, text) for prompt, text in zip(batch, texts, strict=True)]

    def _generate(self, prefix: list[int], rows: list[list[int]]) -> list[list[int]]:
        import torch

        with torch.inference_mode():
            return _greedy(self.model, prefix, rows, self.template.end_ids, self.max_new_tokens)


def _greedy(
    model: Any, prefix: list[int], rows: list[list[int]], end_ids: frozenset[int], max_new_tokens: int
) -> list[list[int]]:
    """Continues rows that share a prefix.

    Rows are padded at the left; padding is masked, and positions count real tokens only, so that a row's answer does
    not depend on its neighbours.
    """
    import torch

    device = model.get_input_embeddings().weight.device
    width = max(len(row) for row in rows)
    ids = torch.tensor([[0] * (width - len(row)) + row for row in rows], device=device)
    real = torch.tensor([[0] * (width - len(row)) + [1] * len(row) for row in rows], device=device)
    cache = _prefix_cache(model, prefix, len(rows), device)
    mask = torch.cat([torch.ones(len(rows), len(prefix), dtype=torch.long, device=device), real], dim=1)
    positions = (len(prefix) + real.cumsum(1) - 1).clamp(min=0)
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


def _prefix_cache(model: Any, prefix: list[int], rows: int, device: Any) -> Any:
    import torch
    from transformers import DynamicCache

    if not prefix:
        return DynamicCache()
    cache = model(
        input_ids=torch.tensor([prefix], device=device),
        past_key_values=DynamicCache(),
        use_cache=True,
        logits_to_keep=1,
    ).past_key_values
    cache.batch_repeat_interleave(rows)
    return cache


def question_prompts(template: ChatTemplate, questions: Sequence[tuple[str, str]]) -> list[Prompt]:
    """Prompts for (id, question) pairs, asked without any document."""
    return [Prompt(identity, tuple(template.question(question))) for identity, question in questions]
