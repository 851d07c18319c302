"""What a chat model is asked as a judge: prompts by the question's language, answers between marks of their own."""

import re
from dataclasses import dataclass
from pathlib import Path

from knowledge_update.chat_models.protocol import Request
from knowledge_update.chat_models.texts import apart, filled, prompt_files
from knowledge_update.config import JudgeConfig
from knowledge_update.evaluation.judge.cases import Case
from knowledge_update.ledger import content_id

FOLDER = Path(__file__).parent / "prompts"
_NAMES = ("system", "fact", "answers", "accuracy", "pair")
_FIELDS = {
    "fact": ("fact",), "answers": ("answers",), "accuracy": ("reference", "question", "answer", "mark"),
    "pair": ("reference", "question", "first", "second", "mark"),
}  # fmt: skip
# What chat templates mark turns with; a tokenizer takes it for the mark wherever it stands.
_TURN = re.compile(r"<(?=[|｜/a-z_])|\[(?=/?[A-Z_]+\])", re.I)


@dataclass(frozen=True)
class Prompts:
    """The prompts of one language.

    Args:
        texts: By name, as the files in `prompts/` are called.
        config: How long a verdict may be, and how it is drawn.
    """

    texts: dict[str, str]
    config: JudgeConfig

    def accuracy(self, case: Case, answer: str) -> Request:
        """Asks whether an answer is right."""
        return self._request("accuracy", case, answer=answer)

    def pair(self, case: Case, first: str, second: str) -> Request:
        """Asks which of two answers is better."""
        return self._request("pair", case, first=first, second=second)

    def _request(self, name: str, case: Case, **answers: str) -> Request:
        given = {name: _harmless(text) for name, text in answers.items()}
        # Of all that is judged, so that none of it can hold the mark; the same whenever the same is judged.
        mark = content_id(case.question, case.fact, *case.answers, *given.values())
        shown = {"reference": self._reference(case), "question": apart(case.question), "mark": mark, **given}
        messages = (("system", self.texts["system"]), ("user", filled(self.texts[name], **shown)))
        return Request(messages, self.config.max_tokens, self.config.temperature)

    def _reference(self, case: Case) -> str:
        """What is right, as far as it is known."""
        lines = [filled(self.texts["fact"], fact=apart(case.fact))] if case.fact else []
        if case.answers:
            lines.append(filled(self.texts["answers"], answers=apart("; ".join(case.answers))))
        return "\n".join(lines)


def load(config: JudgeConfig) -> dict[str, Prompts]:
    """Reads the prompts of every language, each file from the user's folder where it is there.

    Raises:
        ConfigError: When the folder holds none of them, or one lacks what has to be filled in.
    """
    own = Path(config.prompts).expanduser() if config.prompts else None
    found = prompt_files(FOLDER, _NAMES, _FIELDS, "judge.prompts", own)
    return {language: Prompts(texts, config) for language, texts in found.items()}


def _harmless(answer: str) -> str:
    """An answer that can neither close its marks nor begin a turn of the conversation."""
    return _TURN.sub(lambda found: f"{found[0]} ", apart(answer))
