"""The prompts: files by language, the package's own or the user's; a changed prompt makes other requests."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from knowledge_update.chat_models.protocol import Request
from knowledge_update.chat_models.structure import list_of
from knowledge_update.chat_models.texts import apart, filled, prompt_files
from knowledge_update.documents.blocks import Document
from knowledge_update.documents.chunking import Passage

FOLDER = Path(__file__).parent / "prompts"
_NAMES = ("system", "passage", "outline", "facts", "rest", "pairs", "again", "repair", "rewrite", "genres", "roles")
_FIELDS = {
    "passage": ("passage",), "outline": ("count",), "rest": ("sentences",), "pairs": ("fact", "count"),
    "again": ("questions", "count"), "repair": ("reason",), "rewrite": ("genre",),
}  # fmt: skip
# What an answer may be long at most, in tokens: a fact with its quote, and a question with its answer.
_TOKENS_PER_FACT, _TOKENS_PER_PAIR, _LEAST_TOKENS = 120, 80, 256
# What answers are where a server can hold its model to it; the prompts ask for the same in words.
FACTS = list_of("fact", "quote")


@dataclass(frozen=True)
class Prompts:
    """The prompts of one language.

    Args:
        texts: By name, as the files in `prompts/` are called.
    """

    texts: dict[str, str]

    @property
    def roles(self) -> tuple[str, ...]:
        """Who asks where a passage's own roles are not known."""
        return tuple(re.split("[,、]\\s*", self.texts["roles"]))

    @property
    def genres(self) -> tuple[str, ...]:
        """What a passage is rewritten as."""
        return tuple(line.strip() for line in self.texts["genres"].split("\n") if line.strip())

    def outline(self, document: Document, passage: Passage, count: int) -> Request:
        """Asks for the theme of a passage and for `count` people who would ask about it."""
        return self._request(document, passage, self._task("outline", count=str(count)), _LEAST_TOKENS)

    def facts(self, document: Document, passage: Passage, theme: str) -> Request:
        """Asks for the facts of a passage."""
        return self._request(
            document, passage, self._task("facts", theme=theme), _for_facts(passage.row.text), schema=FACTS
        )

    def rest(self, document: Document, passage: Passage, sentences: Sequence[str]) -> Request:
        """Asks for the facts of those sentences of a passage that have none yet."""
        text = "\n".join(sentences)
        return self._request(
            document, passage, self._task("rest", sentences=apart(text)), _for_facts(text), schema=FACTS
        )

    def pairs(
        self, document: Document, passage: Passage, fact: str, roles: Sequence[str], count: int, temperature: float
    ) -> Request:
        """Asks for questions about a fact of a passage."""
        comma = ", " if document.language == "en" else "、"
        task = self._task("pairs", fact=apart(fact), count=str(count), roles=apart(comma.join(roles)))
        return self._request(document, passage, task, _for_pairs(count), temperature, _pairs(count))

    def again(self, request: Request, questions: Sequence[str], count: int) -> Request:
        """Asks for other questions than those that a request has brought already."""
        *before, (role, content) = request.messages
        more = self._task("again", questions=apart("\n".join(questions)), count=str(count))
        messages = (*before, (role, f"{content}\n\n{more}"))
        return replace(request, messages=messages, max_tokens=_for_pairs(count), schema=_pairs(count))

    def repair(self, request: Request, reply: str, reason: str) -> Request:
        """Asks once more for what could not be read."""
        said = (("assistant", reply),) if reply.strip() else ()
        return replace(request, messages=(*request.messages, *said, ("user", self._task("repair", reason=reason))))

    def rewrite(self, document: Document, passage: Passage, genre: str, temperature: float) -> Request:
        """Asks for a passage in another genre."""
        longest = max(_LEAST_TOKENS, len(passage.row.text))
        return self._request(document, passage, self._task("rewrite", genre=genre), longest, temperature)

    def _task(self, name: str, **values: str) -> str:
        return filled(self.texts[name], **values)

    def _request(
        self,
        document: Document,
        passage: Passage,
        task: str,
        longest: int,
        temperature: float = 0.0,
        schema: str = "",
    ) -> Request:
        # The passage first and the task last: a server that caches prefixes reads a passage once.
        material = {"title": document.title, "heading": passage.row.heading_path, "passage": passage.row.text}
        shown = filled(self.texts["passage"], **{name: apart(text) for name, text in material.items()})
        messages = (("system", self.texts["system"]), ("user", f"{shown}\n\n{task}"))
        return Request(messages, longest, temperature, schema)


def load(folder: Path | None) -> dict[str, Prompts]:
    """Reads the prompts of every language, each file from the user's folder where it is there.

    Raises:
        ConfigError: When the folder holds none of them, or one lacks what has to be filled in.
    """
    found = prompt_files(FOLDER, _NAMES, _FIELDS, "writer.prompts", folder)
    return {language: Prompts(texts) for language, texts in found.items()}


def _for_facts(text: str) -> int:
    return max(_LEAST_TOKENS, len(text) // 30 * _TOKENS_PER_FACT // 2)


def _for_pairs(count: int) -> int:
    return max(_LEAST_TOKENS, count * _TOKENS_PER_PAIR)


def _pairs(count: int) -> str:
    # A model too weak to end its list is ended when it has what was wanted.
    return list_of("question", "answer", "form", "role", most=count)
