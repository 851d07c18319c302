"""Rows that people wrote, from files to what is trained: `load_rows`.

    loaded = load_rows(config, encoder)      # where config.rows.given, or there is no run folder to take rows from
    loaded.rows, loaded.validation           # sequences of Encoded, decoded as they are taken
    loaded.digest                            # changes with what is trained or validated

Everything is read, checked and encoded before it returns, so that a bad row costs no training. Eagerly, tokens are held
in memory, four bytes each; lazily (`rows.lazy_preprocess`), in a file in the cache folder, named after all that its
content depends on: the files' content, the tokenizer with its template, the length. There what grows in memory with
the data is the order of the rows, 8 bytes a row, besides what the system keeps of the mapped index while it has room.
"""

import hashlib
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from knowledge_update.config import Config
from knowledge_update.display import log, progress
from knowledge_update.errors import ConfigError, DocumentError
from knowledge_update.models import cache_folder
from knowledge_update.own_code import own
from knowledge_update.training.files import DataFile, Entry, entries
from knowledge_update.training.held_out import Parts, split, weighted
from knowledge_update.training.rows import Encoder
from knowledge_update.training.tokenised import Tokenised, Writer, in_memory, on_disk
from knowledge_update.training.tokenising import Raw, tokenise
from knowledge_update.training_config import RowsConfig

# Where the folders are that PandaLLM describes.
FOLDERS = {
    "instruction_tuning_data_dir": "./dataset/instruction_tuning",
    "pretraining_data_dir": "./dataset/pretraining",
}
# Of the form of what is kept on disk, and of how rows become it.
_VERSION = 1
_MEGABYTE = 1e6


@dataclass(frozen=True)
class Loaded:
    """Rows ready to be trained on.

    Args:
        rows: What an epoch is, in the order of the files.
        validation: What is held out; empty where none was asked for.
        languages: The languages the rows are in.
        digest: Of both, to tell one training from another.
        files: The files, by the numbers that `Tokenised.origin` gives.
    """

    rows: Tokenised
    validation: Tokenised
    languages: frozenset[str]
    digest: str
    files: tuple[str, ...]


def load_rows(config: Config, encoder: Encoder) -> Loaded:
    """Reads, checks, encodes and divides the rows that the configuration names.

    Raises:
        DocumentError: When there are none, or at the first bad one, unless they are skipped.
        ConfigError: When more rows are to be held out than there are, or a reader cannot be called.
        WorkError: When a process dies, or the disk is full.
    """
    settings = config.rows
    found = _entries(settings)
    most = _most(settings, encoder)
    fill = partial(_fill, found, settings, encoder, most)
    rows, told = _kept(found, settings, encoder, most, fill) if settings.lazy_preprocess else in_memory(fill)
    names = [str(entry.path) for entry in found] + ([settings._target_] if settings._target_ else [])
    _tell(told, names, most)
    parts = split(rows, settings, config.seed)
    weights = [entry.weight for entry in found] + [1.0]
    train = weighted(parts.train, weights, config.seed)
    if not len(train):
        raise DocumentError(f"{_shown(names)} hold{'s' if len(names) == 1 else ''} no rows to train on")
    _tell_parts(parts, train)
    return Loaded(train, parts.validation, frozenset(told["languages"]), _digest(parts, train), tuple(names))


def name_usual_folders(settings: RowsConfig) -> None:
    """Where nothing is named, names those of the usual folders that are there."""
    if not settings.given:
        for key, usual in FOLDERS.items():
            if Path(usual).exists():
                setattr(settings, key, usual)


def _entries(settings: RowsConfig) -> list[Entry]:
    """The files that are named, each once; where nothing is named, those of the usual folders."""
    found = entries(settings.files, "rows.files") if settings.files else []
    named = {key: place for key in FOLDERS if (place := getattr(settings, key))}
    if named or not (found or settings._target_):
        found += _of_folders(named)
    known: dict[Path, Entry] = {}
    for entry in found:
        known.setdefault(entry.path.resolve(), entry)
    return list(known.values())


def _of_folders(named: dict[str, str]) -> list[Entry]:
    """The files of the folders that are named, and of the usual ones in place of those that are not."""
    found: list[Entry] = []
    for key, usual in FOLDERS.items():
        if key in named or Path(usual).exists():
            found += entries([named.get(key, usual)], f"rows.{key}")
    if not found:
        raise DocumentError(
            f"no rows are named, and neither {' nor '.join(FOLDERS.values())} is there: --data_path FILE"
        )
    return found


def _most(settings: RowsConfig, encoder: Encoder) -> int:
    """Tokens of a sequence: as configured, or as many as the model takes."""
    takes = int(min(encoder.template.tokenizer.model_max_length, 1 << 30))
    if takes < settings.max_seq_length:
        log.info("the model takes %d tokens, fewer than rows.max_seq_length=%d", takes, settings.max_seq_length)
    return min(takes, settings.max_seq_length)


def _fill(found: list[Entry], settings: RowsConfig, encoder: Encoder, most: int, writer: Writer) -> dict[str, Any]:
    return tokenise(_raw(found, settings), encoder, most, settings, writer)


def _raw(found: list[Entry], settings: RowsConfig) -> Iterator[Raw]:
    """All rows as they are read."""
    total = sum(entry.path.stat().st_size for entry in found) / _MEGABYTE
    # The bar shows whole numbers.
    with progress("Reading rows", max(1, round(total)), "MB") as advance:
        for number, entry in enumerate(found):
            file, before = DataFile(entry.path), 0
            for at, value in file.rows():
                yield Raw(number, at, f"{entry.path}, {file.unit} {at}", value)
                if file.read - before > _MEGABYTE:
                    advance((file.read - before) / _MEGABYTE)
                    before = file.read
            advance((file.read - before) / _MEGABYTE)
    if settings._target_:
        name = f"rows._target_={settings._target_}"
        for at, value in enumerate(_called(settings), 1):
            yield Raw(len(found), at, f"{name}, row {at}", value)


def _called(settings: RowsConfig) -> Iterator[Any]:
    """What a user's function yields.

    Raises:
        ConfigError: When the user did not name it with this command, or it cannot be called so.
    """
    target = str(settings._target_)
    make = own("rows._target_", settings._target_ or "")
    try:
        return iter(make(**(settings.arguments or {})))
    except TypeError as error:
        raise ConfigError(f"rows._target_={target}: {error}") from error


def _kept(
    found: list[Entry], settings: RowsConfig, encoder: Encoder, most: int, fill: Callable[[Writer], dict[str, Any]]
) -> tuple[Tokenised, dict[str, Any]]:
    """The rows on disk; of the same content they are there already."""
    files = [_of_file(entry.path) for entry in found]
    parts = [_VERSION, files, settings._target_, settings.arguments, settings.skip_bad_rows, most, _of_encoder(encoder)]
    key = hashlib.sha256(json.dumps(parts, default=str).encode()).hexdigest()[:20]
    folder = cache_folder() / "rows" / key
    # What a function yields, nothing but calling it tells.
    rows, told = on_disk(folder, fill, again=settings._target_ is not None)
    size = sum(file.stat().st_size for file in folder.iterdir()) / _MEGABYTE
    log.info("tokenised rows are read from %s (%.1f MB)", folder, size)
    return rows, told


def _of_file(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _of_encoder(encoder: Encoder) -> str:
    """A hash of all of a tokenizer that decides what rows become."""
    tokenizer = encoder.template.tokenizer
    backend = tokenizer.backend_tokenizer.to_str() if tokenizer.is_fast else json.dumps(tokenizer.get_vocab())
    parts = [type(tokenizer).__name__, backend, tokenizer.chat_template, sorted(encoder.template.end_ids)]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def _digest(parts: Parts, train: Tokenised) -> str:
    found = hashlib.sha256()
    for rows in (train, parts.validation):
        found.update(rows.table["content"][rows.which].tobytes())
        found.update(rows.lengths.tobytes())
    return found.hexdigest()[:16]


def _tell(told: dict[str, Any], names: list[str], most: int) -> None:
    """What was read, and what was not taken as it stood, in a line each."""
    formats = ", ".join(f"{count:,} of {form}" for form, count in told["formats"].items())
    log.info("%s: %s rows%s", _shown(names), f"{told['rows']:,}", f", {formats}" if formats else "")
    if told["bad"]:
        kinds = sorted(told["bad"].items(), key=lambda item: -item[1][0])
        said = "; ".join(f"{reason} ({count:,}, the first at {first})" for reason, (count, first) in kinds)
        log.info("%s bad rows left out: %s", f"{sum(count for _, (count, _) in kinds):,}", said)
    marked = ", ".join(f"{count:,} as {mark}" for mark, count in told["marked"].items())
    if marked:
        log.info("not trained, since their `split` marks them: %s", marked)
    changed = []
    for what in ("texts", "conversations"):
        rows, pieces = told[what]
        if rows:
            changed.append(f"{rows:,} {what} split into {pieces:,}")
    if told["left_out"]:
        changed.append(f"{told['left_out']:,} answers left out")
    if changed:
        log.info("longer than %d tokens (rows.max_seq_length): %s", most, ", ".join(changed))


def _tell_parts(parts: Parts, train: Tokenised) -> None:
    if len(parts.validation):
        copies = f", {parts.copies:,} that say the same left out of training" if parts.copies else ""
        log.info("%s rows held out for validation%s", f"{parts.rows:,}", copies)
    tokens = int(train.lengths.sum())
    log.info("%s sequences an epoch, %s tokens without the prompt's shared beginning", f"{len(train):,}", f"{tokens:,}")


def _shown(names: list[str]) -> str:
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
