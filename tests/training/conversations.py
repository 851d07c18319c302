"""Conversations, and what of them is learned."""

from knowledge_update.run_folder import Row
from knowledge_update.training.rows import IGNORED, Encoded, Encoder


def talk(*texts: str, system: str = "") -> Row:
    """A conversation: a question, its answer, the next question, and so on."""
    turns = [
        {"role": role, "content": text} for role, text in zip(("user", "assistant") * len(texts), texts, strict=False)
    ]
    return {"messages": [*([{"role": "system", "content": system}] if system else []), *turns]}


def whole(row: Encoded, encoder: Encoder) -> tuple[list[int], list[int]]:
    """Ids and labels, the shared prefix with them."""
    head = list(encoder.prefix) if row.shared else []
    return [*head, *row.ids], [*(IGNORED,) * len(head), *row.labels]


def answers(row: Encoded, encoder: Encoder) -> list[str]:
    """The learned runs of a row as text, each without the end of its turn."""
    runs: list[list[int]] = [[]]
    ids, labels = whole(row, encoder)
    for token, label in zip(ids, labels, strict=True):
        if label == IGNORED:
            runs.append([])
        else:
            assert token == label
            runs[-1].append(token)
    found = [run for run in runs if run]
    assert all(run[-1] == encoder.template.end_id and encoder.template.end_id not in run[:-1] for run in found)
    return [encoder.template.tokenizer.decode(run[:-1]) for run in found]
