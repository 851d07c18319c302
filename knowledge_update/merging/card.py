"""The card of a merged model: what it was taught, from which documents, and how well that is known."""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from knowledge_update.display import clean
from knowledge_update.ledger import Ledger
from knowledge_update.run_folder import RunFolder, read_json

# Documents that are named; of more, how many there are.
_NAMED = 50
_SETS = {
    "held_out": "held-out wordings", "human": "questions people wrote", "multi": "questions that need two documents",
    "retention": "general knowledge",
}  # fmt: skip


def taught(folder: RunFolder | None) -> str:
    """What a run taught: its documents, facts and figures, as Markdown; of no run, nothing is known."""
    if folder is None or not folder.ledger.exists():
        return "What the adapter was taught is not known here: it came without its run.\n"
    return "\n".join([*_documents(folder), "", *_figures(folder)])


def card(name: str, base: str, adapter: str, about: str, verified: Mapping[str, Any] | None, dtype: str) -> str:
    """The whole card.

    Args:
        name: Of the folder.
        base: The base model's name.
        adapter: Where the adapter came from.
        about: As `taught` gives it.
        verified: Comparisons by what was compared.
        dtype: What the weights are kept in.
    """
    lines = ["---", f"base_model: {json.dumps(base, ensure_ascii=False)}", "library_name: transformers"]
    lines += [
        "pipeline_tag: text-generation",
        "tags: [knowledge-update, lora, merged]",
        "---",
        "",
        f"# {_text(name)}",
        "",
    ]
    lines += [f"{_text(base)} with the adapter {_text(adapter)} merged into its weights ({dtype}).", ""]
    lines += ["## What it was taught", "", about, "## The merge", "", *_verification(verified), ""]
    lines += ["## Use", "", "It loads as any model of transformers does, with its tokenizer and chat template:", ""]
    lines += [
        "```",
        "kupdate chat PATH",
        "kupdate infer --model_name_or_path PATH --test_data_path questions.json",
        "```",
    ]
    return "\n".join(lines) + "\n"


def _documents(folder: RunFolder) -> list[str]:
    with Ledger(folder.ledger) as ledger:
        documents = list(ledger.documents())
        facts = ledger.count()
    lines = [f"{facts:,} facts of {len(documents):,} documents:", ""]
    lines += [f"- {_text(document.title)} (`{_code(Path(document.path).name)}`)" for document in documents[:_NAMED]]
    if len(documents) > _NAMED:
        lines.append(f"- and {len(documents) - _NAMED:,} more")
    return lines


def _figures(folder: RunFolder) -> list[str]:
    if not folder.evaluation.exists():
        return ["It has not been evaluated.", ""]
    figures = read_json(folder.evaluation)
    lines = [
        "Shares of questions answered rightly:",
        "",
        "| | n | base | updated | base, open book |",
        "|---|---|---|---|---|",
    ]
    for name, title in _SETS.items():
        if name in figures:
            part = figures[name]
            book = f"{part['open_book']:.2f}" if "open_book" in part else "–"
            lines.append(f"| {title} | {part['n']} | {part['base']:.2f} | {part['updated']:.2f} | {book} |")
    if "kept" in figures.get("retention", {}):
        lines += [
            "",
            f"Of the general questions that the base got right it still gets {figures['retention']['kept']:.2f}.",
        ]
    return [*lines, ""]


def _verification(verified: Mapping[str, Any] | None) -> list[str]:
    if not verified:
        return ["It was not verified (`--prompts 0`)."]
    lines = ["| compared with base and adapter in fp32 | prompts | same greedy answer | largest difference of log p |"]
    lines += ["|---|---|---|---|"]
    for what, part in verified.items():
        difference = f"{part['max_logprob_difference']:.2g}"
        lines.append(f"| {what.replace('_', ' ')} | {part['prompts']} | {part['agreement']:.3f} | {difference} |")
    return lines


def _text(text: str) -> str:
    """Text of strangers as text, whatever Markdown or HTML stands in it."""
    one = " ".join(clean(text).split())
    return (
        re.sub(r"([\\`*_{}\[\]<>#|~!$])", r"\\\1", one)
        .replace("&", "&amp;")
        .replace("\\<", "&lt;")
        .replace("\\>", "&gt;")
    )


def _code(text: str) -> str:
    return " ".join(clean(text).replace("`", "'").split())
