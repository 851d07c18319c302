"""The verb `kupdate harness`: a run's base and updated model on tasks of lm-eval."""

from pathlib import Path
from typing import Annotated

import typer


def harness(
    folder: Annotated[Path, typer.Argument(help="A run folder whose model is trained.")],
    tasks: Annotated[
        str | None,
        typer.Option(help="Of lm-eval, NAME,NAME, or a task file, FILE.yaml; general questions if not given."),
    ] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Ask only the first questions of each task.")] = None,
    batch_size: Annotated[int, typer.Option(min=1, help="Rows that are computed together.")] = 16,
    apply_chat_template: Annotated[
        bool, typer.Option(help="Ask as in a conversation; bare text is what most published figures are of.")
    ] = True,
) -> None:
    """What tasks of lm-eval say of the base model and of the updated one: before, after, and the difference."""
    from knowledge_update import display
    from knowledge_update.harness import comparison
    from knowledge_update.harness.tasks import require
    from knowledge_update.run_folder import RunFolder

    require()
    run = RunFolder.existing(folder)
    figures = comparison.compare(run, comparison.Asking(tasks, limit, batch_size, apply_chat_template))
    display.table(*comparison.shown(figures))
    display.console.print(f"figures: {run.lm_eval}", markup=False)
