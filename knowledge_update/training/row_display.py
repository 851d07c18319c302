"""Rows as they are trained, shown token by token: what is learned stands out from what is only read."""

from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Any

from rich.console import Console
from rich.text import Text

from knowledge_update.config import Config
from knowledge_update.display import ESCAPES
from knowledge_update.models import load_tokenizer, resolve
from knowledge_update.run_folder import RunFolder, read_rows
from knowledge_update.templates import ChatTemplate
from knowledge_update.training.rows import IGNORED, Encoded, Encoder
from knowledge_update.training.sources import Loaded, load_rows

LEARNED, READ, BETWEEN = "bold green", "dim", "│"
# Where there are no colours, learned tokens stand between these.
OPEN, CLOSE = "⟦", "⟧"


def show(config: Config, folder: RunFolder | None, count: int, console: Console) -> None:
    """Prints the first rows of a training.

    Args:
        config: Names the rows, and the model whose tokens they become.
        folder: Where the rows are, if the configuration names none.
        count: How many rows.
        console: Where they are printed.

    Raises:
        UserError: When there are no rows, or a bad one.
    """
    template = ChatTemplate(
        load_tokenizer(resolve(config.model.name, local_files_only=config.model.local_files_only)),
    )
    encoder = Encoder(template)
    if config.rows.given or folder is None:
        loaded = load_rows(config, encoder)
        rows: Sequence[Encoded] = loaded.rows[:count]
        named = [_origin(loaded, at) for at in range(len(rows))]
    else:
        path = folder.require(folder.dataset("train"), f"collect DOCS --out {folder.path}")
        first = read_rows(path)[:count]
        encoded = [(encoder.parts(row), f"{path}, line {line}") for line, row in enumerate(first, 1)]
        rows = [part for parts, _ in encoded for part in parts]
        named = [name for parts, name in encoded for _ in parts]
    for row, name in zip(rows, named, strict=True):
        console.print(Text(_heading(row, encoder, name), style="bold"))
        console.print(painted(row, encoder, coloured=console.is_terminal and not console.no_color))


def painted(row: Encoded, encoder: Encoder, *, coloured: bool) -> Text:
    """A row's tokens, its learned ones marked: by colour, or between brackets.

    Args:
        row: The row.
        encoder: That made it.
        coloured: Whether there are colours.
    """
    text = Text()
    for learned, group in groupby(_tokens(row, encoder), lambda token: token[1]):
        joined = BETWEEN.join(escaped(token) for token, _ in group)
        if coloured:
            text.append(joined + BETWEEN, style=LEARNED if learned else READ)
        else:
            text.append(f"{OPEN}{joined}{CLOSE}" if learned else joined)
    return text


def _tokens(row: Encoded, encoder: Encoder) -> Iterator[tuple[str, bool]]:
    """Texts of tokens with whether they are learned; tokens that are parts of one character together are one text."""
    head = encoder.prefix if row.shared else ()
    # Nothing stands before a row's first token that could predict it, unless the prefix does.
    first = (IGNORED,) if not row.shared else row.labels[:1]
    labels = [*(IGNORED,) * len(head), *first, *row.labels[1:]]
    tokenizer: Any = encoder.template.tokenizer
    for learned, group in groupby(zip([*head, *row.ids], labels, strict=True), lambda token: token[1] != IGNORED):
        held: list[int] = []
        for token, _ in group:
            held.append(token)
            text = tokenizer.decode(held, clean_up_tokenization_spaces=False)
            # Half a character decodes to this; four bytes make the longest.
            if not text.endswith("\ufffd") or len(held) >= 4:
                yield text, learned
                held = []
        if held:
            yield tokenizer.decode(held, clean_up_tokenization_spaces=False), learned


def escaped(text: str) -> str:
    """A text whose control characters and line ends can be seen, and do nothing."""
    plain = ESCAPES.sub(lambda found: repr(found.group())[1:-1], text)
    return "".join(
        character if character.isprintable() else character.encode("unicode_escape").decode() for character in plain
    )


def _heading(row: Encoded, encoder: Encoder, name: str) -> str:
    learned = sum(label != IGNORED for label in (row.labels if row.shared else row.labels[1:]))
    return f"{escaped(name)}: {encoder.length(row)} tokens, {learned} learned"


def _origin(loaded: Loaded, at: int) -> str:
    origin = loaded.rows.origin(at)
    return f"{loaded.files[origin.file]}, row {origin.number}"
