"""The verbs `kupdate check time` and `kupdate check convergence`; both spellings of an option are declared here."""

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(help="The acceptance tests of training: its time, and its loss. Exit code 0 only for a pass.")


@app.command()
def convergence(
    folder: Annotated[
        Path, typer.Option("--loss-folder", "--loss_folder", "--folder", "-f", help="Holds a .npy file a training.")
    ] = Path("losses"),
    threshold: Annotated[
        float, typer.Option("--threshold", "-t", help="What successive smoothed losses may differ by.")
    ] = 0.001,
    rule: Annotated[
        str, typer.Option(help="settled, or any-pair: any two neighbours that are close, as described; it is weak.")
    ] = "settled",
    script: Annotated[
        Path | None, typer.Option("--script", "-s", help="A Python script that judges instead; it gets both options.")
    ] = None,
) -> None:
    """Whether the loss of every training has converged."""
    from knowledge_update.acceptance.convergence import check, judged_by

    raise typer.Exit(judged_by(script, folder, threshold) if script else 0 if check(folder, threshold, rule) else 1)


# What else is given goes to the trainings as it is.
@app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def time(
    context: typer.Context,
    data: Annotated[
        list[str] | None,
        typer.Option("--data-path", "--data_path", help="A dataset or a pattern; three of datasets/ when not given."),
    ] = None,
    output: Annotated[
        Path, typer.Option("--output-dir", "--output_dir", help="Gets a folder for every dataset.")
    ] = Path("output"),
    limit_hours: Annotated[
        float, typer.Option("--limit-hours", "--limit_hours", help="What the trainings may take on average.")
    ] = 8.0,
) -> None:
    """Whether training takes no longer than it may: one training a dataset, with the described settings.

    Options and settings of `kupdate train` are passed on: --model_name_or_path MODEL training.epochs=1.
    """
    from knowledge_update.acceptance.duration import check

    raise typer.Exit(0 if check(data or [], output, limit_hours, context.args) else 1)
