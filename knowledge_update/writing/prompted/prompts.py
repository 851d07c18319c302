"""The prompts: files by language, the package's own or the user's, with a version that changes when they do."""

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path

from knowledge_update.chat_models.protocol import Request
from knowledge_update.chat_models.structure import list_of
from knowledge_update.documents.blocks import Document
from knowledge_update.documents.chunking import Passage
from knowledge_update.errors import ConfigError

FOLDER = Path(__file__).parent / "prompts"
LANGUAGES = ("en", "zh")
_NAMES = ("system", "passage", "facts", "pairs", "roles")
_FIELDS = {"passage": ("passage",), "pairs": ("fact", "count")}
# What a facts or a pairs answer may be long at most, in tokens: a fact with its quote, and a question with its answer.
_TOKENS_PER_FACT, _TOKENS_PER_PAIR, _LEAST_TOKENS = 120, 80, 256
# What answers are where a server can hold its model to it; the prompts ask for the same in words.
FACTS, PAIRS = list_of("fact", "quote"), list_of("question", "answer")


@dataclass(frozen=True)
class Prompts:
    """The prompts of one language.

    Args:
        texts: By name: system, passage, facts, pairs, roles.
        version: The hash of all of them.
    """

    texts: dict[str, str]
    version: str

    def facts(self, document: Document, passage: Passage, temperature: float) -> Request:
        """Asks for the facts of a passage."""
        longest = max(_LEAST_TOKENS, len(passage.row.text) // 30 * _TOKENS_PER_FACT // 2)
        return self._request(document, passage, self.texts["facts"], longest, temperature, FACTS)

    def pairs(self, document: Document, passage: Passage, fact: str, count: int, temperature: float) -> Request:
        """Asks for questions about a fact of a passage."""
        task = _filled(self.texts["pairs"], fact=fact, count=str(count), roles=self.texts["roles"])
        longest = max(_LEAST_TOKENS, count * _TOKENS_PER_PAIR)
        return self._request(document, passage, task, longest, temperature, PAIRS)

    def _request(
        self, document: Document, passage: Passage, task: str, longest: int, temperature: float, schema: str
    ) -> Request:
        # The passage first and the task last: a server that caches prefixes reads a passage once.
        material = {"title": document.title, "heading": passage.row.heading_path, "passage": passage.row.text}
        # No document closes the marks around it; quotes are found whatever their white space.
        apart = {name: re.sub(r"(?<=[<>])(?=[<>])", " ", text) for name, text in material.items()}
        shown = _filled(self.texts["passage"], **apart)
        messages = (("system", self.texts["system"]), ("user", f"{shown}\n\n{task}"))
        return Request(messages, longest, temperature, schema, self.version)


def load(folder: Path | None) -> dict[str, Prompts]:
    """Reads the prompts of every language, each file from the user's folder where it is there.

    Raises:
        ConfigError: When the folder holds none of them, or one lacks what has to be filled in.
    """
    if folder is not None:
        own = [folder / language / f"{name}.txt" for language in LANGUAGES for name in _NAMES]
        if not any(path.exists() for path in own):
            raise ConfigError(f"writer.prompts={folder} holds no prompt; prompts are {', '.join(map(str, own[:3]))}, …")
    return {language: _of(language, folder) for language in LANGUAGES}


def _of(language: str, folder: Path | None) -> Prompts:
    texts = {}
    for name in _NAMES:
        path = FOLDER / language / f"{name}.txt"
        if folder is not None and (folder / language / path.name).exists():
            path = folder / language / path.name
        texts[name] = path.read_text(encoding="utf-8").strip()
        missing = [field for field in _FIELDS.get(name, ()) if f"{{{field}}}" not in texts[name]]
        if missing:
            raise ConfigError(f"{path} lacks {{{missing[0]}}}")
    version = hashlib.sha256("\x1f".join(texts[name] for name in _NAMES).encode()).hexdigest()[:12]
    return Prompts(texts, version)


def _filled(text: str, **values: str) -> str:
    """A text with its fields filled in, in one go: what is filled in is not looked into for fields."""
    return re.sub(r"\{(\w+)\}", lambda field: values.get(field[1], field[0]), text)
