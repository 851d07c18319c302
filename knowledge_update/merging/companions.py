"""What stands beside a merged model's weights: its configuration, tokenizer, chat template, and how it generates."""

import shutil
from pathlib import Path
from typing import Any

from knowledge_update.models import load_tokenizer
from knowledge_update.run_folder import read_json, write_json
from knowledge_update.templates import ChatTemplate

_TOKENIZER = (
    "tokenizer*", "special_tokens_map.json", "added_tokens.json", "vocab.json", "vocab.txt", "merges.txt",
    "chat_template*", "additional_chat_templates", "spiece.model",
)  # fmt: skip


def write_tokenizer(source: Path, folder: Path) -> ChatTemplate:
    """Copies a tokenizer as it is, and adds the chat template where it has none of its own.

    Raises:
        ModelError: When it cannot be read.
    """
    for pattern in _TOKENIZER:
        for file in sorted(source.glob(pattern)):
            if file.is_dir():
                shutil.copytree(file, folder / file.name)
            else:
                shutil.copyfile(file, folder / file.name)
    tokenizer = load_tokenizer(str(folder))
    bare = not tokenizer.chat_template
    template = ChatTemplate(tokenizer)
    if bare:
        (folder / "chat_template.jinja").write_text(tokenizer.chat_template, encoding="utf-8")
    return template


def write_generation(base: Path, folder: Path, template: ChatTemplate) -> None:
    """Writes how the model generates: as its base does, and stopping where it was taught to."""
    path = base / "generation_config.json"
    settings: dict[str, Any] = read_json(path) if path.exists() else {}
    given = settings.get("eos_token_id", read_json(base / "config.json").get("eos_token_id"))
    ends = given if isinstance(given, list) else [] if given is None else [given]
    ends += [token for token in (template.end_id,) if token not in ends]
    settings["eos_token_id"] = ends if len(ends) > 1 else ends[0]
    if settings.get("pad_token_id") is None:
        settings["pad_token_id"] = template.tokenizer.pad_token_id
    write_json(folder / "generation_config.json", settings)


def configuration(base: Path, dtype: str | None, *, untied: bool) -> dict[str, Any]:
    """The base's configuration, with what the merge has changed.

    Args:
        base: The folder of the base.
        dtype: What the weights are kept in now, where that is not what they were.
        untied: Whether shared weights have become two.
    """
    settings: dict[str, Any] = read_json(base / "config.json")
    parts = [settings, *(part for part in settings.values() if isinstance(part, dict))]
    if dtype:
        for name in ("dtype", "torch_dtype"):
            for part in parts:
                if name in part:
                    part[name] = dtype
        if not {"dtype", "torch_dtype"} & settings.keys():
            settings["dtype"] = dtype
    if untied:
        settings["tie_word_embeddings"] = False
        for part in parts[1:]:
            if "tie_word_embeddings" in part:
                part["tie_word_embeddings"] = False
    return settings
