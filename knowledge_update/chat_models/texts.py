"""Texts on their way to a chat model and back: prompt files by language, fields filled in, thoughts taken out."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from knowledge_update.errors import ConfigError

LANGUAGES = ("en", "zh")
_THOUGHT = re.compile(r"<(think|thinking|thought|reasoning|reflection)>.*?(?:</\1>|\Z)", re.S | re.I)
_THOUGHT_END = re.compile(r"\A.*</(?:think|thinking|thought|reasoning|reflection)>", re.S | re.I)


def prompt_files(
    shipped: Path, names: Sequence[str], fields: Mapping[str, Sequence[str]], key: str, own: Path | None
) -> dict[str, dict[str, str]]:
    """Reads the prompts of every language by their names, each file from the user's folder where it is there.

    Args:
        shipped: The folder of the package's own.
        names: Of the prompts.
        fields: What each has to have for filling in.
        key: The dotted key that names the user's folder.
        own: That folder.

    Raises:
        ConfigError: When the folder holds none of them, or one lacks what has to be filled in.
    """
    if own is not None:
        paths = [own / language / f"{name}.txt" for language in LANGUAGES for name in names]
        if not any(path.exists() for path in paths):
            raise ConfigError(f"{key}={own} holds no prompt; prompts are {', '.join(map(str, paths[:3]))}, …")
    return {language: _of(language, shipped, names, fields, own) for language in LANGUAGES}


def _of(
    language: str, shipped: Path, names: Sequence[str], fields: Mapping[str, Sequence[str]], own: Path | None
) -> dict[str, str]:
    texts = {}
    for name in names:
        path = shipped / language / f"{name}.txt"
        if own is not None and (own / language / path.name).exists():
            path = own / language / path.name
        texts[name] = path.read_text(encoding="utf-8").strip()
        missing = [field for field in fields.get(name, ()) if f"{{{field}}}" not in texts[name]]
        if missing:
            raise ConfigError(f"{path} lacks {{{missing[0]}}}")
    return texts


def filled(text: str, **values: str) -> str:
    """A text with its fields filled in, in one go: what is filled in is not looked into for fields."""
    return re.sub(r"\{(\w+)\}", lambda field: values.get(field[1], field[0]), text)


def apart(text: str) -> str:
    """A text that cannot close marks such as <<<PASSAGE; who looks for it passes over white space."""
    return re.sub(r"(?<=[<>])(?=[<>])", " ", text)


def without_thoughts(reply: str) -> str:
    """A reply without the reasoning that some models put before it."""
    return _THOUGHT_END.sub("", _THOUGHT.sub("", reply.replace("\r\n", "\n").replace("\r", "\n")))
