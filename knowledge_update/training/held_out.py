"""What of the rows is trained and what is held out to validate with, and how often each is taken."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from knowledge_update.errors import ConfigError
from knowledge_update.training.tokenised import VALIDATION, Tokenised
from knowledge_update.training_config import RowsConfig

# Of the rows, when validation is asked for and nothing says how much.
SHARE = 0.05

Places = NDArray[np.int64]


@dataclass(frozen=True)
class Parts:
    """Rows to train and rows to validate with: no row of one has the content of a row of the other.

    Args:
        train: What is trained.
        validation: What is held out.
        rows: How many rows of the files the held-out ones are; a long one may be several.
        copies: Rows left out of training because they say the same as a held-out one.
    """

    train: Tokenised
    validation: Tokenised
    rows: int
    copies: int


def split(rows: Tokenised, settings: RowsConfig, seed: int) -> Parts:
    """Holds rows out: as many as are asked for, drawn by the seed from rows of different content.

    Rows that their file marks as validation are never trained; they are what is held out where no number is named.

    Raises:
        ConfigError: When more are to be held out than there are.
    """
    table = rows.table
    marked: NDArray[np.bool_] = (table["kind"] & VALIDATION) > 0
    wanted = settings.validation if settings.validation is not None else settings.validation_size is not None
    held = np.zeros_like(marked)
    if wanted and settings.validation_size is None and marked.any():
        held = marked
    elif wanted:
        held = _drawn(table, ~marked, settings.validation_size or SHARE, seed)
    same = np.isin(table["content"], table["content"][held])
    train = ~marked & ~same
    places = [np.flatnonzero(part) for part in (train, held)]
    own = _rows_of(table[held])
    copies = len(_rows_of(table[same & ~marked & ~held]))
    return Parts(rows.of(places[0]), rows.of(places[1]), len(own), copies)


def _drawn(table: NDArray[Any], among: NDArray[np.bool_], size: float, seed: int) -> NDArray[np.bool_]:
    """Rows drawn among some, the first of those that say the same."""
    contents, first = np.unique(table["content"][among], return_index=True)
    count = int(size) if size >= 1 else max(1, round(size * len(contents)))
    if count >= len(contents):
        raise ConfigError(
            f"rows.validation_size={size:g}: there are {len(contents)} different rows, and some are to be trained; "
            "name a smaller number, or a share such as 0.1"
        )
    drawn = np.random.default_rng(seed).permutation(len(contents))[:count]
    origins = _origins(table)
    return among & np.isin(origins, origins[among][first[drawn]])


def _origins(table: NDArray[Any]) -> NDArray[np.uint64]:
    """One number for each row of the files: the parts of a long row have the same."""
    return np.asarray(table["file"].astype(np.uint64) << np.uint64(48) | table["number"].astype(np.uint64))


def _rows_of(table: NDArray[Any]) -> NDArray[np.uint64]:
    return np.unique(_origins(table))


def weighted(rows: Tokenised, weights: Sequence[float], seed: int) -> Tokenised:
    """The rows as often as their files' weights say: at 2 each twice, at 0.5 half of them, drawn by the seed.

    Args:
        rows: The rows.
        weights: By the number of the file.
        seed: Of the draw.
    """
    if all(weight == 1 for weight in weights):
        return rows
    files = rows.table["file"][rows.which]
    times: Places = np.zeros(len(rows), dtype=np.int64)
    for file, weight in enumerate(weights):
        own = np.flatnonzero(files == file)
        times[own] = int(weight)
        more = round((weight - int(weight)) * len(own))
        times[np.random.default_rng([seed, file]).permutation(own)[:more]] += 1
    return rows.of(np.repeat(rows.which, times))
