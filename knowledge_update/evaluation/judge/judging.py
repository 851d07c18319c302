"""A judging from its beginning to its end: the judge is opened, tried, and asked about every answer and every pair."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from knowledge_update.chat_models.calls import Attempts, Journal
from knowledge_update.chat_models.session import at_work, who
from knowledge_update.config import Config
from knowledge_update.display import log, progress
from knowledge_update.errors import WorkError
from knowledge_update.evaluation.judge import figures, prompts, trial
from knowledge_update.evaluation.judge.cases import Case, Judge, Verdict
from knowledge_update.evaluation.judge.chat import ChatJudge
from knowledge_update.evaluation.judge.rules import Rules

# Who is compared: how often the first is better than the second.
UPDATED, BASE = "updated", "base"


@dataclass(frozen=True)
class Judgement:
    """What a judge said.

    Args:
        judge: Its name.
        trial: How it did on planted answers.
        failed: What of the trial it failed, in the languages that are judged.
        cases: What was judged, in the order of their identities.
        right: Whether each answer is right, by model and case.
        better: Whether the updated model's answer is better than the base's, by case.
    """

    judge: str
    trial: trial.Trial
    failed: list[str]
    cases: list[Case]
    right: dict[str, dict[str, Verdict]]
    better: dict[str, Verdict]

    @property
    def head(self) -> dict[str, Any]:
        """Who judged, and whether that is to be trusted."""
        tried = self.trial.figures()
        return {"judge": self.judge, "trusted": not self.failed, "failed": self.failed, "trial": tried}

    def accuracy(self, model: str, cases: Sequence[Case], draw: figures.Draw) -> dict[str, Any]:
        """The accuracy of a model on some of the cases."""
        verdicts = [self.right[model][case.id] for case in cases]
        return figures.accuracy(verdicts, [case.responses[model] for case in cases], draw)

    def win_rate(self, cases: Sequence[Case], draw: figures.Draw) -> dict[str, Any]:
        """The win rate of the updated model over the base on some of the cases."""
        pairs = [(case.responses[UPDATED], case.responses[BASE]) for case in cases]
        right = [(self.right[UPDATED][case.id], self.right[BASE][case.id]) for case in cases]
        return figures.win_rate([self.better[case.id] for case in cases], pairs, right, draw)


def judge(config: Config, cases: Iterable[Case], journal: Journal | None, folder: Path) -> Judgement:
    """Judges every answer of every case, and the pair of updated model and base.

    Args:
        config: Who judges.
        cases: What is judged.
        journal: Keeps what a chat model says; rules need none.
        folder: Where a server that is started writes its log.

    Raises:
        ConfigError: When the chat model's key, address or name is wrong.
        ModelError: When a model of this machine cannot be loaded.
        WorkError: When the chat model answers nothing; what it answered before is kept.
    """
    ordered = sorted(cases, key=lambda case: case.id)
    planted = trial.cases(answers=all(case.answers for case in ordered))
    if config.judge.name == "rules":
        return _judgement(Rules(ordered), trial.held(Rules(planted), planted), ordered)
    assert journal is not None
    return _by_chat_model(config, ordered, planted, journal, folder)


def _by_chat_model(
    config: Config, cases: list[Case], planted: list[Case], journal: Journal, folder: Path
) -> Judgement:  # fmt: skip
    settings, texts = config.judge, prompts.load(config.judge)
    attempts = Attempts(settings.max_attempts, settings.retry_delay)
    with (
        progress("Judging", trial.REQUESTS + _requests(cases), "verdicts") as advance,
        at_work(settings, config.model, journal, folder / "vllm.log", attempts=attempts) as session,
    ):
        asked = ChatJudge(session, texts, f"{settings.model or config.model.name} ({settings.name})", advance)
        tried = trial.held(asked, planted)
        if not session.calls.asked + session.calls.known:
            raise WorkError(f"{who(settings)}: no request was answered; the same command tries again")
        return _judgement(asked, tried, cases)


def _judgement(asked: Judge, tried: trial.Trial, cases: list[Case]) -> Judgement:
    failed = tried.failed(case.language for case in cases)
    if failed:
        log.warning("%s fails its trial, its verdicts are not to be trusted: %s", asked.name, "; ".join(failed))
    answers = [(case, model) for case in cases for model in case.responses]
    said = asked.right([(case, case.responses[model]) for case, model in answers])
    right: dict[str, dict[str, Verdict]] = {}
    for (case, model), verdict in zip(answers, said, strict=True):
        right.setdefault(model, {})[case.id] = verdict
    better = asked.better([(case, case.responses[UPDATED], case.responses[BASE]) for case in cases])
    won = {case.id: verdict for case, verdict in zip(cases, better, strict=True)}
    return Judgement(asked.name, tried, failed, cases, right, won)


def _requests(cases: Sequence[Case]) -> int:
    """How many requests they are: one an answer that says something, two a pair that differs."""
    return sum(
        sum(bool(response.strip()) for response in case.responses.values())
        + 2 * (case.responses[UPDATED].strip() != case.responses[BASE].strip())
        for case in cases
    )
