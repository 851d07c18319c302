"""The verb `kupdate merge`: adapter and base to a model that stands alone."""

from typing import Annotated

import typer

from knowledge_update.errors import UserError


def merge(
    context: typer.Context,
    adapter: Annotated[str | None, typer.Argument(help="A run folder, an adapter's folder, or a hub id.")] = None,
    lora_model: Annotated[str | None, typer.Option(help="The same as naming it first.")] = None,
    output_dir: Annotated[str | None, typer.Option(help="Where <base>-finetune goes; RUN/merged for a run.")] = None,
    max_shard_size: Annotated[str, typer.Option(help="Of a file at most: 5GB, 500MB.")] = "5GB",
    prompts: Annotated[int, typer.Option(min=0, help="Questions that verify the merge; 0 for none.")] = 200,
    allow_pickle: Annotated[bool, typer.Option("--allow-pickle", help="Read an adapter_model.bin too.")] = False,
) -> None:
    """Adapter and base to a model that stands alone, verified."""
    from knowledge_update import display
    from knowledge_update.composition import load
    from knowledge_update.merging.stage import Merge
    from knowledge_update.merging.stage import merge as done

    if adapter and lora_model and adapter != lora_model:
        raise UserError(f"two adapters were named: {adapter} and --lora_model {lora_model}; give one of them")
    if not (adapter or lora_model):
        raise UserError(
            "no adapter was named: kupdate merge RUN, or kupdate merge --lora_model=DIR --output_dir=models/"
        )
    model = load((), context.obj).model
    base = model.name if "model.name" in (context.obj or {}) else None
    merged = done(Merge(
        str(adapter or lora_model), output_dir, base, None if model.dtype == "auto" else model.dtype, max_shard_size,
        prompts, allow_pickle, model.local_files_only,
    ))  # fmt: skip
    display.console.print(f"model: {merged.folder}", markup=False)
