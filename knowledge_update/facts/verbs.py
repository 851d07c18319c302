"""The verb `kupdate facts`: the ledger in the terminal, and in a sheet to edit."""

from pathlib import Path
from typing import Annotated

import typer

from knowledge_update.errors import UserError
from knowledge_update.run_folder import RunFolder


def facts(
    folder: Annotated[Path, typer.Argument(help="A run folder, as `kupdate run` and `kupdate collect` leave it.")],
    learned: Annotated[bool, typer.Option("--learned", help="Only facts the model has learned.")] = False,
    missed: Annotated[bool, typer.Option("--missed", help="Only facts it has not learned.")] = False,
    dropped: Annotated[bool, typer.Option("--dropped", help="What was left out, and why.")] = False,
    superseded: Annotated[bool, typer.Option("--superseded", help="What a newer document says otherwise.")] = False,
    retired: Annotated[bool, typer.Option("--retired", help="What no document says any more.")] = False,
    coverage: Annotated[bool, typer.Option("--coverage", help="How much of each document became facts.")] = False,
    document: Annotated[str | None, typer.Option(help="Only facts of this document.")] = None,
    limit: Annotated[int, typer.Option(min=0, help="Rows that are shown; 0 for all.")] = 200,
    sheet: Annotated[Path | None, typer.Option("--export", help="Write a sheet to edit: xlsx, csv or jsonl.")] = None,
    edited: Annotated[Path | None, typer.Option("--import", help="Take an edited sheet back.")] = None,
) -> None:  # fmt: skip
    """The ledger: every fact, whether it was learned, with quote and file.

    `kupdate facts export RUN FILE` and `kupdate facts import RUN FILE` say the same as the options of these names.
    """
    given = {
        "learned": learned, "missed": missed, "dropped": dropped, "superseded": superseded, "retired": retired,
        "coverage": coverage, "export": sheet is not None, "import": edited is not None,
    }  # fmt: skip
    chosen = [name for name, wanted in given.items() if wanted]
    if len(chosen) > 1:
        raise UserError(f"one at a time: --{' or --'.join(chosen)}")
    if sheet is not None:
        from knowledge_update.facts.review import export

        export(RunFolder.existing(folder), sheet)
    elif edited is not None:
        from knowledge_update.facts.review import take_back

        take_back(RunFolder.existing(folder), edited)
    else:
        from knowledge_update.facts.listing import View, show

        show(RunFolder.existing(folder), View(chosen[0] if chosen else "all", document, limit or None))
