"""What a training teaches: the rows that were collected into a run folder, or those of files that are named."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from statistics import fmean

from knowledge_update.config import Config
from knowledge_update.display import log
from knowledge_update.errors import ConfigError, DocumentError
from knowledge_update.ledger import Ledger
from knowledge_update.run_folder import Row, RunFolder, digest, read_rows
from knowledge_update.training.batching import Streams
from knowledge_update.training.rows import Encoded, Encoder, Weighed
from knowledge_update.training.sources import load_rows
from knowledge_update.training.unknown import unknown
from knowledge_update.training_config import TrainingConfig

# Rows that are looked at to tell how long rows are.
_LOOKED_AT = 500


@dataclass(frozen=True)
class Taught:
    """Rows, encoded.

    Args:
        questions: Conversations, or all rows of files.
        texts: Plain texts beside them.
        aside: Rows that are not trained, whose loss is wanted.
        languages: The languages the rows are in.
        digest: Tells these rows from others.
        about: Of each question and of each text the fact it is about, in their order; of rows of files none is known.
        unknown: Questions about what is not known, where they are wanted.
    """

    questions: Sequence[Encoded]
    texts: Sequence[Encoded]
    aside: Sequence[Encoded]
    languages: frozenset[str]
    digest: str
    about: tuple[Sequence[str | None], Sequence[str | None]] = ((), ())
    unknown: Sequence[Encoded] = ()

    @property
    def facts(self) -> list[str]:
        """The facts that are known, in the order of their first question."""
        return [fact for fact in dict.fromkeys(self.about[0]) if fact is not None]

    @property
    def tokens(self) -> float:
        """How long the sentence of a fact is: the mean of texts, or of answers where there are no texts."""
        return fmean(row.learned for row in islice(self.texts or self.questions, _LOOKED_AT))

    def of(self, facts: Collection[str]) -> "Taught":
        """The rows about some of the facts, and those about none in particular."""
        (questions, about), (texts, told) = (
            _of(rows, about, facts) for rows, about in zip((self.questions, self.texts), self.about, strict=True)
        )
        return replace(self, questions=questions, texts=texts, about=(about, told))


def streams_of(rows: Taught, replay: Sequence[Encoded], settings: TrainingConfig) -> Streams:
    """What batches are drawn from: rows, and general prompts, each weighed."""
    return Streams(
        Weighed(rows.questions, settings.balance),
        Weighed(rows.texts, settings.balance),
        Weighed(replay, settings.balance, settings.replay_weight),
        Weighed(rows.unknown, settings.balance),
    )


def _of(
    rows: Sequence[Encoded], about: Sequence[str | None], facts: Collection[str]
) -> tuple[list[Encoded], list[str | None]]:  # fmt: skip
    kept = [(row, fact) for row, fact in zip(rows, about, strict=True) if fact is None or fact in facts]
    return [row for row, _ in kept], [fact for _, fact in kept]


def documents_of(facts: Iterable[str], folder: RunFolder) -> dict[str, str]:
    """Facts in the order of the documents, each with its document; as they come, of one, where there is no ledger."""
    if not folder.ledger.exists():
        return dict.fromkeys(facts, "")
    wanted = set(facts)
    with Ledger(folder.ledger) as ledger:
        return {known.fact.id: known.path for known in ledger.facts() if known.fact.id in wanted}


def taught(config: Config, folder: RunFolder, encoder: Encoder) -> Taught:
    """The rows of the training that is configured.

    Raises:
        DocumentError: When there are none, or a bad one.
        ConfigError: When the best is to be kept and there is nothing to tell it by.
    """
    found = _given(config, encoder) if config.rows.given else _collected(config.training, folder, encoder)
    if config.training.keep_best and not found.aside:
        raise ConfigError("training.keep_best needs rows aside to tell the best by: training.validate=epoch")
    return found


def _given(config: Config, encoder: Encoder) -> Taught:
    loaded = load_rows(config, encoder)
    if config.training.unknown_share:
        log.info("rows of files name no facts: nothing asks about what is not known (training.unknown_share)")
    return Taught(loaded.rows, (), loaded.validation, loaded.languages, loaded.digest)


def _collected(settings: TrainingConfig, folder: RunFolder, encoder: Encoder) -> Taught:
    wanted = settings.validated_every(1) is not None
    file = folder.require(folder.dataset("train"), f"collect DOCS --out {folder.path}")
    rows = read_rows(file)
    if not rows:
        raise DocumentError(f"{file} holds no rows to train on")
    aside = read_rows(folder.dataset("validation")) if wanted and folder.dataset("validation").exists() else []
    if wanted and not aside:
        raise DocumentError(f"{folder.dataset('validation')} holds no rows to validate with: writer.validation_share")
    questions, asked = _encoded((row for row in rows if "text" not in row), encoder)
    texts, told = _encoded((row for row in rows if "text" in row), encoder)
    languages = frozenset(row["language"] for row in rows)
    made = encoder.encode_all(unknown(rows, folder)) if settings.unknown_share else []
    return Taught(questions, texts, encoder.encode_all(aside), languages, digest(file), (asked, told), made)


def _encoded(rows: Iterable[Row], encoder: Encoder) -> tuple[list[Encoded], list[str | None]]:
    """Rows as they are learned, each with its fact."""
    parts = [(part, row.get("fact")) for row in rows for part in encoder.parts(row)]
    return [part for part, _ in parts], [fact for _, fact in parts]
