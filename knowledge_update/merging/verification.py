"""Whether two models say the same: one answers, the other is asked at each of its tokens what it would have said."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from knowledge_update.display import progress
from knowledge_update.inference import Prompt, continued, parts_of
from knowledge_update.templates import ChatTemplate

if TYPE_CHECKING:
    from torch import Tensor

_ROWS = 16
# Where the likeliest token leads by less than this, rounding decides.
NEAR = 1e-3


@dataclass(frozen=True)
class Answers:
    """Greedy answers: tokens with their log-probabilities by prompt, the token that ends an answer included."""

    tokens: list[list[int]]
    logs: list[list[float]]


@dataclass(frozen=True)
class Comparison:
    """How near a model is to another.

    Args:
        prompts: How many there were.
        agreement: The share of prompts whose greedy answers are the same.
        max_logprob_difference: Of the chosen tokens' natural logarithms of probability, the largest.
        near_ties: Prompts answered otherwise because of a token that led by less than `NEAR`.
    """

    prompts: int
    agreement: float
    max_logprob_difference: float
    near_ties: int


@dataclass
class _Listener:
    """Chooses tokens, the likeliest or those of a script, and notes what the model makes of them."""

    script: Sequence[Sequence[int]] | None
    tokens: dict[int, list[int]] = field(default_factory=dict)
    logs: dict[int, list[float]] = field(default_factory=dict)
    # By how much the token that the model would have said leads, where it is another than the script's.
    strays: dict[int, float] = field(default_factory=dict)

    def choose(self, logits: "Tensor", alive: list[int]) -> "Tensor":
        import torch

        logs = torch.log_softmax(logits.float(), dim=-1)
        chosen = logits.argmax(-1)
        for at, row in enumerate(alive):
            said = self.tokens.setdefault(row, [])
            if self.script is not None:
                wanted = self.script[row][len(said)]
                if wanted != int(chosen[at]):
                    self.strays.setdefault(row, float(logs[at, chosen[at]] - logs[at, wanted]))
                chosen[at] = wanted
            said.append(int(chosen[at]))
            self.logs.setdefault(row, []).append(float(logs[at, chosen[at]]))
        return chosen


def answers(model: Any, template: ChatTemplate, questions: Sequence[str], max_new_tokens: int) -> Answers:
    """The greedy answers of a model.

    Args:
        model: A causal language model, adapter included.
        template: Its chat template.
        questions: What it is asked.
        max_new_tokens: Tokens of an answer at most.
    """
    heard = _heard(model, template, questions, max_new_tokens, None)
    order = range(len(questions))
    return Answers([heard.tokens[row] for row in order], [heard.logs[row] for row in order])


def compare(model: Any, template: ChatTemplate, questions: Sequence[str], before: Answers) -> Comparison:
    """How near a model is to the one that gave the answers.

    Args:
        model: A causal language model.
        template: Its chat template.
        questions: What was asked.
        before: The other's answers.
    """
    longest = max((len(row) for row in before.tokens), default=1)
    heard = _heard(model, template, questions, longest, before.tokens)
    pairs = [
        (ours, theirs)
        for row, said in enumerate(before.logs)
        for ours, theirs in zip(heard.logs[row], said, strict=True)
    ]
    return Comparison(
        prompts=len(questions),
        agreement=1 - len(heard.strays) / max(1, len(questions)),
        max_logprob_difference=max((abs(ours - theirs) for ours, theirs in pairs), default=0.0),
        near_ties=sum(lead < NEAR for lead in heard.strays.values()),
    )


def _heard(
    model: Any,
    template: ChatTemplate,
    questions: Sequence[str],
    max_new_tokens: int,
    script: Sequence[Sequence[int]] | None,
) -> _Listener:
    import torch

    prompts = [Prompt(str(row), tuple(template.question(text))) for row, text in enumerate(questions)]
    prompts.sort(key=lambda prompt: len(prompt.ids))
    whole = _Listener(script)
    with torch.inference_mode(), progress("Verifying", len(prompts), "prompts") as advance:
        for start in range(0, len(prompts), _ROWS):
            batch = prompts[start : start + _ROWS]
            parts = parts_of(batch, _ROWS)
            rows = [int(prompt.id) for part in parts for prompt in part.prompts]
            heard = _Listener([script[row] for row in rows] if script else None)
            limits = [len(script[row]) if script else max_new_tokens for row in rows]
            for _ in continued(model, parts, template.end_ids, limits, heard.choose):
                pass
            for at, row in enumerate(rows):
                whole.tokens[row], whole.logs[row] = heard.tokens[at], heard.logs[at]
                if at in heard.strays:
                    whole.strays[row] = heard.strays[at]
            advance(len(batch))
    return whole
