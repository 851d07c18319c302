"""What a training teaches: the rows that were collected into a run folder, or those of files that are named."""

from collections.abc import Sequence
from dataclasses import dataclass

from knowledge_update.config import Config
from knowledge_update.errors import ConfigError, DocumentError
from knowledge_update.run_folder import RunFolder, digest, read_rows
from knowledge_update.training.rows import Encoded, Encoder
from knowledge_update.training.sources import load_rows


@dataclass(frozen=True)
class Taught:
    """Rows, encoded.

    Args:
        questions: Conversations, or all rows of files.
        texts: Plain texts beside them.
        aside: Rows that are not trained, whose loss is wanted.
        languages: The languages the rows are in.
        digest: Tells these rows from others.
    """

    questions: Sequence[Encoded]
    texts: Sequence[Encoded]
    aside: Sequence[Encoded]
    languages: frozenset[str]
    digest: str


def taught(config: Config, folder: RunFolder, encoder: Encoder) -> Taught:
    """The rows of the training that is configured.

    Raises:
        DocumentError: When there are none, or a bad one.
        ConfigError: When the best is to be kept and there is nothing to tell it by.
    """
    wanted = config.training.validated_every(1) is not None
    found = _given(config, encoder) if config.rows.given else _collected(folder, encoder, wanted=wanted)
    if config.training.keep_best and not found.aside:
        raise ConfigError("training.keep_best needs rows aside to tell the best by: training.validate=epoch")
    return found


def _given(config: Config, encoder: Encoder) -> Taught:
    loaded = load_rows(config, encoder)
    return Taught(loaded.rows, (), loaded.validation, loaded.languages, loaded.digest)


def _collected(folder: RunFolder, encoder: Encoder, *, wanted: bool) -> Taught:
    file = folder.require(folder.dataset("train"), f"collect DOCS --out {folder.path}")
    rows = read_rows(file)
    if not rows:
        raise DocumentError(f"{file} holds no rows to train on")
    aside = read_rows(folder.dataset("validation")) if wanted and folder.dataset("validation").exists() else []
    if wanted and not aside:
        raise DocumentError(f"{folder.dataset('validation')} holds no rows to validate with: writer.validation_share")
    return Taught(
        encoder.encode_all(row for row in rows if "text" not in row),
        encoder.encode_all(row for row in rows if "text" in row),
        encoder.encode_all(aside),
        frozenset(row["language"] for row in rows),
        digest(file),
    )
