"""A run's questions and answers in the forms that other programs read: JSONL, JSON or Parquet, row by row."""

import json
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from pathlib import Path

from knowledge_update.config import Config
from knowledge_update.display import log
from knowledge_update.errors import ConfigError
from knowledge_update.run_folder import Row, RunFolder, whole_file, whole_path

SPLITS = ("train", "validation", "probe")
# Rows of a Parquet file that are in memory at once.
_TOGETHER = 10_000


def _asked(row: Row) -> tuple[str, str]:
    question, answer = row["conversations"]
    return question["value"], answer["value"]


def _messages(row: Row) -> Row:
    question, answer = _asked(row)
    messages = [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]
    return {"id": row["id"], "messages": messages, "fact": row["fact"], "file_name": row["file_name"]}


def _sharegpt(row: Row) -> Row:
    question, answer = _asked(row)
    return {"id": row["id"], "conversations": [{"from": "human", "value": question}, {"from": "gpt", "value": answer}]}


def _alpaca(row: Row) -> Row:
    question, answer = _asked(row)
    return {"instruction": question, "input": "", "output": answer}


FORMATS: dict[str, Callable[[Row], Row]] = {
    "messages": _messages, "sharegpt": _sharegpt, "alpaca": _alpaca, "pairs": dict,
}  # fmt: skip


def export(folder: RunFolder, file: Path, form: str | None = None, split: str = "train") -> int:
    """Writes a run's pairs into a file of another form.

    Args:
        folder: The run folder.
        file: Its ending says how rows are kept: `.jsonl`, `.json` (one array) or `.parquet`.
        form: A name of `FORMATS`, or `parquet`: messages in Parquet; without it, messages.
        split: Which questions: one of `SPLITS`, or `all`.

    Returns:
        How many pairs were written.

    Raises:
        ConfigError: When a name is unknown, or Parquet is asked for without pyarrow.
        RunFolderError: When nothing has been collected.
        WorkError: When the file cannot be written.
    """
    if form not in (None, "parquet", *FORMATS):
        raise ConfigError(f"--format {form}: one of {', '.join(FORMATS)}, parquet")
    if split not in (*SPLITS, "all"):
        raise ConfigError(f"--split {split}: one of {', '.join(SPLITS)}, all")
    ending = ".parquet" if form == "parquet" else file.suffix.lower()
    if ending not in _WRITERS:
        raise ConfigError(f"{file}: its name has to end in {', '.join(_WRITERS)}, so that the kind of file is known")
    if file.is_dir():
        raise ConfigError(f"{file} is a folder: name a file in it")
    pairs = _pairs(folder)
    shaped = FORMATS["messages" if form in (None, "parquet") else str(form)]
    return _WRITERS[ending]((shaped(row) for row in pairs if split in ("all", row["split"])), file)


def places(config: Config) -> dict[Path, str]:
    """Where collecting also writes the pairs, with the ending of each kind; a folder takes a file `qa_pairs`."""
    named = {".jsonl": config.pairs_jsonl, ".json": config.pairs_json}
    found: dict[Path, str] = {}
    for ending, name in named.items():
        if name is None:
            continue
        path = Path(name).expanduser()
        if path.is_dir() or name.endswith("/"):
            path = path / f"qa_pairs{ending}"
        if path in found:
            raise ConfigError(f"pairs_jsonl and pairs_json are the same file: {path}")
        found[path] = ending
    return found


def save(config: Config, folder: RunFolder) -> None:
    """Writes the collected pairs, whatever their split, where the configuration wants them too.

    Raises:
        WorkError: When one cannot be written.
    """
    for path, ending in places(config).items():
        count = _WRITERS[ending](_pairs(folder), path)
        log.info("%d pairs in %s", count, path)


def _pairs(folder: RunFolder) -> Iterator[Row]:
    path = folder.require(folder.dataset("qa_pairs"), f"collect DOCS --out {folder.path}")
    return _lines(path)


def _lines(path: Path) -> Iterator[Row]:
    with path.open(encoding="utf-8") as file:
        for line in file:
            yield json.loads(line)


def _jsonl(rows: Iterable[Row], path: Path) -> int:
    count = 0
    with whole_file(path) as file:
        for row in rows:
            file.write(json.dumps(row, ensure_ascii=False) + "\n")
            count += 1
    return count


def _json(rows: Iterable[Row], path: Path) -> int:
    count = 0
    with whole_file(path) as file:
        file.write("[")
        for row in rows:
            file.write(f"{',' if count else ''}\n{json.dumps(row, ensure_ascii=False)}")
            count += 1
        file.write("\n]\n")
    return count


def _parquet(rows: Iterable[Row], path: Path) -> int:
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError as error:
        raise ConfigError("Parquet needs pyarrow: pip install 'knowledge-update[parquet]'") from error
    rows, count = iter(rows), 0
    with whole_path(path) as partial:
        first = pyarrow.Table.from_pylist(list(islice(rows, _TOGETHER)))
        with parquet.ParquetWriter(partial, first.schema) as writer:
            while first.num_rows:
                writer.write_table(first)
                count += first.num_rows
                first = pyarrow.Table.from_pylist(list(islice(rows, _TOGETHER)), schema=first.schema)
    return count


_WRITERS: dict[str, Callable[[Iterable[Row], Path], int]] = {".jsonl": _jsonl, ".json": _json, ".parquet": _parquet}
