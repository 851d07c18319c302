"""Choices by size: rank and rate where nobody names them, and whether what is to be taught has its place and its time.

Measured here is one model (SmolLM2-135M) with 50 to 210 facts: rank 64, rate 1.5e-3 (benchmarks/LOG.md), the passes by
the number of questions (`batching.epochs_of`). All that leads from there to other sizes is from the literature and not
measured here: the best rate of LoRA does not depend on the rank, is ten times that of full fine-tuning and falls with
the model's width to the power 0.781 (LoRA Without Regret, Thinking Machines 2025, its rule for Llama models); ranks of
16 to 32 do for a thousand facts, 64 to 128 beyond; an adapter on the MLPs holds 2.43 bits a parameter, a model trained
whole 2 bits (Physics of Language Models 3.3).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import islice
from statistics import fmean
from typing import Any

from knowledge_update.config import Config
from knowledge_update.training.batching import Streams
from knowledge_update.training.rows import Encoded
from knowledge_update.training.speed import Work
from knowledge_update.training_config import RANK, RATE, AdapterConfig, TrainingConfig

# What was measured: the width of the embedded model, to which `RANK` and `RATE` belong.
WIDTH = 576
_RATE_POWER, _FULL = 0.781, 0.1
# Wider models than this need less rank for the same facts; beyond so many facts twice the rank is taken.
_WIDE, _MANY, MOST_RANK = 1024, 1000, 256
_ADAPTER_BITS, _MODEL_BITS = 2.43, 2.0
# Questions about a fact in a training: 12 taught two facts of three, 8 taught two of five, 19 five of six.
LEAST_EXPOSURES = 12.0
# Of rows whose facts are not told: what 1,402 rows of 190 facts come to.
_QUESTIONS = 7.4
# The share of the matmul peak at which steps were measured to run, the lower end.
SPEED = 0.5
# Rows that are looked at to tell what one costs.
_LOOKED_AT = 500


@dataclass(frozen=True)
class Size:
    """What choices depend on.

    Args:
        facts: How many are taught.
        bits: What a fact says at most: the tokens of its sentence, each of the whole vocabulary.
        width: Of the model, its hidden size.
        inner: Of its MLPs.
        layers: How many are trained.
    """

    facts: int
    bits: float
    width: int
    inner: int
    layers: int

    def held(self, adapter: AdapterConfig) -> int:
        """How many such facts what is trained can hold."""
        mlps = 3 * self.layers * (self.width + self.inner) * adapter.r
        whole = self.layers * (4 * self.width**2 + 3 * self.width * self.inner)
        room = _ADAPTER_BITS * mlps if adapter.name == "lora" else _MODEL_BITS * whole
        return int(room / max(self.bits, 1.0))


def size_of(model: Any, adapter: AdapterConfig, facts: int, tokens: float) -> Size:
    """The size of a training.

    Args:
        model: The configuration of a model, as transformers has it.
        adapter: Tells the share of the layers.
        facts: How many there are.
        tokens: Of a fact's sentence.
    """
    text = model.get_text_config()
    width, layers = int(text.hidden_size), int(text.num_hidden_layers)
    inner = getattr(text, "intermediate_size", None) or 4 * width
    trained = max(1, round(layers * adapter.share))
    return Size(facts, tokens * math.log2(text.vocab_size), width, int(inner), trained)


def facts_of(known: int, questions: int) -> int:
    """How many facts rows are about: those that are known, else as many as so many questions usually ask about."""
    return known or max(1, round(questions / _QUESTIONS))


def rate_for(size: Size, *, full: bool = False) -> float:
    """The highest learning rate, to two digits; never above the measured one.

    Args:
        size: Of the training.
        full: Whether the model itself is trained.
    """
    rate = RATE * min(1.0, (WIDTH / size.width) ** _RATE_POWER) * (_FULL if full else 1.0)
    return float(f"{rate:.1e}")


def rank_for(size: Size) -> int:
    """The rank of an adapter: by facts and width, doubled until what it can hold is enough, up to the highest."""
    rank = (RANK if size.width <= _WIDE else RANK // 2) * (1 if size.facts <= _MANY else 2)
    while rank < MOST_RANK and size.held(AdapterConfig(rank=rank)) < size.facts:
        rank *= 2
    return rank


def chosen(config: Config, size: Size) -> tuple[Config, list[str]]:
    """The configuration with what nobody has named, and for each choice a line that gives the reason."""
    adapter, optimizer, lines = config.adapter, config.optimizer, list[str]()
    model = f"a model of width {size.width:,}"
    # An adapter that is trained on has its rank.
    if adapter.name == "lora" and adapter.rank is None and adapter.start_from is None:
        adapter = replace(adapter, rank=rank_for(size))
        lines.append(f"rank {adapter.rank} for {size.facts:,} facts and {model} (adapter.rank sets it)")
    if optimizer.learning_rate is None:
        full = adapter.name == "full"
        optimizer = replace(optimizer, learning_rate=rate_for(size, full=full))
        whole = ", trained whole" if full else ""
        lines.append(f"learning rate {optimizer.learning_rate:g} for {model}{whole} (optimizer.learning_rate sets it)")
    return replace(config, adapter=adapter, optimizer=optimizer), lines


def too_many(size: Size, adapter: AdapterConfig) -> str:
    """A line that says that there are more facts than what is trained can hold; empty where it can."""
    held = size.held(adapter)
    if adapter.start_from or size.facts <= held:
        return ""
    what = f"an adapter of rank {adapter.r}" if adapter.name == "lora" else "the layers that are trained"
    return (
        f"{size.facts:,} facts are more than {what} can be expected to hold (about {held:,}): expect the rest to be "
        "lost; a higher adapter.rank or adapter.upper_share, a larger model or fewer documents help"
    )


def exposures(streams: Streams, settings: TrainingConfig, work: Work, flops: float, facts: int) -> float:
    """How often a fact can be asked about, at the speed at which steps were measured to run on processors.

    Args:
        streams: The rows.
        settings: The shares of the streams.
        work: FLOP of a token and of a label.
        flops: What the machine's matmuls can do in the time.
        facts: How many there are.
    """
    shares = streams.shares(settings)
    each = sum(share * _flop(rows, work) for rows, share in zip(streams.parts, shares, strict=True) if share)
    return SPEED * flops / each * shares[0] / max(facts, 1)


def _flop(rows: Sequence[Encoded], work: Work) -> float:
    """What a row costs, the mean of the first ones."""
    return fmean(work.flop(len(row.ids), row.learned) for row in islice(rows, _LOOKED_AT))


def fitting(facts: int, exposures: float) -> int:
    """How many facts can be taught so that each is asked often enough; at least one.

    Args:
        facts: How many there are.
        exposures: How often each could be asked in the time.
    """
    return max(1, min(facts, int(facts * exposures / LEAST_EXPOSURES)))


def in_turn(documents: Sequence[str]) -> list[int]:
    """The order in which facts are given up last: the beginning of each document before the rest of any.

    Args:
        documents: Of each fact, in the order of the documents.

    Returns:
        The numbers of the facts, the first to be taught first.
    """
    seen: dict[str, int] = {}
    places = []
    for document in documents:
        seen[document] = seen.get(document, -1) + 1
        places.append(seen[document])
    return sorted(range(len(documents)), key=lambda number: (places[number], number))
