"""What an answer rests on: the facts of the run's ledger that have its words, each with its quote and its document."""

from dataclasses import dataclass
from functools import lru_cache

from knowledge_update.chat.session import Session
from knowledge_update.errors import UserError
from knowledge_update.evaluation.retrieval import Retriever
from knowledge_update.evaluation.scoring import tokens
from knowledge_update.ledger import KnownFact, Ledger
from knowledge_update.run_folder import RunFolder

NONE = "no fact of the ledger has any word of this answer"
_SHOWN = 3


@dataclass(frozen=True)
class Evidence:
    """A fact, and which words of the answer it has."""

    known: KnownFact
    shared: tuple[str, ...]


class Sources:
    """The facts of a run.

    Args:
        run: Its folder.

    Raises:
        RunFolderError: When it has no ledger.
    """

    def __init__(self, run: RunFolder) -> None:
        with Ledger(run.require(run.ledger, f"collect DOCS --out {run.path}")) as ledger:
            self._facts = list(ledger.facts())
        self._words = [set(tokens(f"{known.title} {known.fact.text}")) for known in self._facts]
        self._retriever = Retriever([f"{known.title} {known.fact.text}" for known in self._facts])

    def of(self, question: str, answer: str) -> list[Evidence]:
        """The facts that fit question and answer best, those first that have most of the answer's words.

        A fact without any word that the answer adds to the question is none: nothing of the answer rests on it.
        """
        added = [word for word in dict.fromkeys(tokens(answer)) if word not in set(tokens(question))] or tokens(answer)
        among = [at for at, words in enumerate(self._words) if words & set(added)]
        found: list[Evidence] = []
        while among and len(found) < _SHOWN:
            best = self._retriever.best(f"{question} {answer}", among)
            among.remove(best)
            found.append(Evidence(self._facts[best], tuple(word for word in added if word in self._words[best])))
        return sorted(found, key=lambda evidence: -len(evidence.shared))


@lru_cache(maxsize=1)
def sources(run: RunFolder) -> Sources:
    """The facts of a run, read once."""
    return Sources(run)


def rests_on(session: Session) -> list[Evidence]:
    """What the last answer of a conversation may be checked against.

    Raises:
        UserError: When no ledger is known, or nothing has been answered.
    """
    if not session.ready.run:
        raise UserError("no ledger is known: name the run folder instead of a model")
    if not session.turns:
        raise UserError("nothing has been answered yet")
    turn = session.turns[-1]
    return sources(session.ready.run).of(turn.question, turn.answer)
