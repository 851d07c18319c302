"""The command line: verbs, their daily options, and how errors are told. Heavy imports happen inside the verbs."""

import os
import signal
import sys
import traceback
import warnings
from pathlib import Path
from typing import Annotated, Any

import typer

from knowledge_update import __version__, credentials, flags, processes
from knowledge_update.acceptance import verbs as acceptance
from knowledge_update.chat import verbs as talking
from knowledge_update.chat.verbs import of_model
from knowledge_update.errors import DocumentError, KnowledgeUpdateError, UserError
from knowledge_update.facts.verbs import facts
from knowledge_update.harness.verbs import harness
from knowledge_update.merging.verbs import merge
from knowledge_update.run_folder import RunFolder

app = typer.Typer(
    name="kupdate",
    help="Turns a folder of documents into a language model that knows them, and proves it.",
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.add_typer(acceptance.app, name="check")

Out = Annotated[Path | None, typer.Option("--out", "-o", help="The run folder; runs/<name of DOCS> when not given.")]
Run = Annotated[Path, typer.Argument(help="A run folder, as `kupdate run` and `kupdate collect` leave it.")]
Questions = Annotated[
    Path | None, typer.Option("--questions", "-q", help="Questions people wrote: JSONL {question, answer, doc_id}.")
]
Limit = Annotated[int | None, typer.Option("--limit", help="Read only the first documents.")]
Conf = Annotated[
    Path | None, typer.Option("--conf-path", help="A configuration, whole or in part: a run's config.yaml, your own.")
]
Overrides = Annotated[
    list[str] | None, typer.Argument(help="Any configuration key: training.epochs=6. `kupdate config` prints them.")
]


@app.command()
def run(
    context: typer.Context, docs: Annotated[Path, typer.Argument(help="A folder or a file of documents.")],
    settings: Overrides = None, out: Out = None, questions: Questions = None, limit: Limit = None, conf: Conf = None,
) -> None:  # fmt: skip
    """Documents to a model that knows them, and a report that proves it."""
    from knowledge_update import pipeline

    config, folder = _new(context, docs, settings, out, questions, limit, conf)
    _show(pipeline.run(config, folder), folder)


@app.command()
def collect(
    context: typer.Context, docs: Annotated[str | None, typer.Argument(help="A folder or a file.")] = None,
    settings: Overrides = None, out: Out = None, questions: Questions = None, limit: Limit = None, conf: Conf = None,
) -> None:  # fmt: skip
    """Documents to facts, questions and a dataset."""
    from knowledge_update import pipeline

    # Behind `--data_path DOCS` the first word is a setting.
    if docs and "=" in docs and "documents" in (context.obj or {}):
        settings, docs = [docs, *(settings or [])], None
    config, folder = _new(context, Path(docs) if docs else None, settings, out, questions, limit, conf)
    pipeline.run_stage(pipeline.collect, config, folder)


@app.command()
def train(
    context: typer.Context,
    folder: Annotated[Path | None, typer.Argument(help="A run folder; none where --data_path names rows.")] = None,
    settings: Overrides = None, conf: Conf = None,
    show_rows: Annotated[int, typer.Option(min=0, help="Print so many rows, what is learned in colour, and end.")] = 0,
) -> None:  # fmt: skip
    """Rows to an adapter: those of a run folder, or of files (--data_path FILE --output_dir DIR)."""
    from knowledge_update.composition import load
    from knowledge_update.run_config import merged, stored

    folder, settings = _parted(folder, settings)
    values = context.obj or {}
    collected = RunFolder.existing(folder) if folder else None
    config = (
        merged(stored(collected), settings or (), values, conf) if collected else load(settings or (), values, conf)
    )
    if show_rows:
        from knowledge_update import display
        from knowledge_update.training.row_display import show

        show(config, collected, show_rows, display.console)
    elif folder:
        _stage(context, "train", folder, settings, conf)
    else:
        from knowledge_update import pipeline

        pipeline.run_stage(pipeline.train, config, _output(config))


def _output(config: Any) -> Any:
    """The folder of a training that names its rows."""
    from knowledge_update.run_folder import OutputFolder
    from knowledge_update.training.sources import name_usual_folders

    name_usual_folders(config.rows)
    if not config.rows.given:
        raise UserError("nothing to train on was named: kupdate train RUN, or kupdate train --data_path FILE")
    named = config.rows.files or config.rows.instruction_tuning_data_dir or config.rows.pretraining_data_dir
    first = named[0] if isinstance(named, list) else str(named or "rows").split(",")[0]
    name = Path(first).name.split(".")[0].replace("*", "") or "rows"
    return OutputFolder(config.output_dir or "output", name)


@app.command()
def infer(
    context: typer.Context,
    folder: Annotated[Path | None, typer.Argument(help="A run folder; with --test_data_path, any model.")] = None,
    settings: Overrides = None,
    test_data_path: Annotated[Path | None, typer.Option(help="A file of questions of your own: JSON or JSONL.")] = None,
    output_path: Annotated[Path | None, typer.Option(help="Where the answers to it go: .json or .jsonl.")] = None,
    lora_weights: Annotated[str | None, typer.Option(help="An adapter for the model.")] = None,
    num_gpus: Annotated[int | None, typer.Option(min=1, help="GPUs that the model is laid out over.")] = None,
    input_pattern: Annotated[str | None, typer.Option(help="chat or prompt: how the model is asked.")] = None,
) -> None:
    """Answers to a run's questions (base, updated, base with the passage), or of any model to a file of yours."""
    folder, settings = _parted(folder, settings)
    given = {
        "output_path": output_path, "lora_weights": lora_weights, "num_gpus": num_gpus, "input_pattern": input_pattern,
    }  # fmt: skip
    if test_data_path is None:
        for name, value in given.items():
            if value is not None:
                raise UserError(f"--{name} is for a question file of your own: name it with --test_data_path")
        if folder is None:
            raise UserError("nothing to ask was named: kupdate infer RUN, or --test_data_path FILE --output_path FILE")
        _stage(context, "infer", folder, settings)
        return
    if output_path is None:
        raise UserError("--output_path: name the file that the answers go to, as answers.json")
    _ask_file(context, folder, settings, test_data_path.expanduser(), output_path.expanduser(), given)


def _ask_file(
    context: typer.Context, named: Path | None, settings: list[str] | None, asked: Path, output: Path,
    given: dict[str, Any],
) -> None:  # fmt: skip
    from knowledge_update import answer_files, display
    from knowledge_update.ready_model import ready

    config, own = of_model(context, str(named) if named else None, ["inference.max_new_tokens=256", *(settings or [])])
    answer_files.check(output, asked)
    questions = answer_files.questions(asked)
    model = ready(
        config.model, named=own, adapter=given["lora_weights"], pattern=given["input_pattern"], gpus=given["num_gpus"]
    )
    count = answer_files.answer(model, questions, output, config.inference)
    display.console.print(f"{count} answers in {output}", markup=False)


@app.command()
def evaluate(
    context: typer.Context,
    folder: Annotated[Path | None, typer.Argument(help="A run folder; none where --data_path names answers.")] = None,
    settings: Overrides = None,
) -> None:
    """Figures and a report from a run's answers; or accuracy and win rate of two files of answers, by a judge."""
    folder, settings = _parted(folder, settings)
    if folder:
        if "evaluation.data_path" in (context.obj or {}):
            raise UserError(f"one at a time: kupdate evaluate {folder}, or --data_path with two files of answers")
        _show(_stage(context, "evaluate", folder, settings), RunFolder.existing(folder))
    else:
        from knowledge_update.composition import load
        from knowledge_update.evaluation.judge import files

        files.run(load(settings or (), context.obj))


@app.command()
def report(
    folders: Annotated[
        list[Path], typer.Argument(help="A run folder, whose page is written anew; several to compare.")
    ],
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="The page that compares; runs.html if not given.")
    ] = None,
) -> None:
    """One run's page anew, or several runs compared."""
    from knowledge_update.evaluation import runs, stage
    from knowledge_update.run_config import stored

    made = [RunFolder.existing(path) for path in folders]
    if len(made) == 1 and out is not None:
        raise UserError(f"the page of one run stands in its folder: kupdate report {folders[0]}")
    if len(made) == 1:
        _show(stage.page(stored(made[0]), made[0]), made[0])
    else:
        page = out or Path("runs.html")
        _print(runs.compare(folders, page), page)


@app.command()
def export(
    folder: Run, file: Annotated[Path, typer.Argument(help="Ends in .jsonl, .json or .parquet.")],
    form: Annotated[
        str | None, typer.Option("--format", "-f", help="messages (default), sharegpt, alpaca, pairs or parquet.")
    ] = None,
    split: Annotated[str, typer.Option(help="train, validation, probe (the exam) or all.")] = "train",
) -> None:  # fmt: skip
    """A run's questions and answers in a form that other programs read."""
    from knowledge_update.exports import export as write

    typer.echo(f"{write(RunFolder.existing(folder), file.expanduser(), form, split)} pairs in {file}")


@app.command()
def config(context: typer.Context, settings: Overrides = None, conf: Conf = None) -> None:
    """Prints the composed configuration."""
    from knowledge_update.composition import load
    from knowledge_update.run_config import to_yaml

    typer.echo(to_yaml(load(settings or (), context.obj, conf)), nl=False)


app.command()(talking.chat)
app.command()(talking.web)
app.command()(talking.serve)
app.command()(facts)
app.command()(merge)
app.command()(harness)


@app.callback(invoke_without_command=True)
def _options(version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False) -> None:
    if version:
        typer.echo(__version__)
        raise typer.Exit


def _new(
    context: typer.Context, docs: Path | None, settings: list[str] | None, out: Path | None, questions: Path | None,
    limit: int | None, conf: Path | None,
) -> tuple[Any, Any]:  # fmt: skip
    """Composes the configuration of a new run, and names its folder."""
    from knowledge_update.composition import load

    given = {"documents": docs, "questions": questions, "reader.limit": limit}
    values = {key: str(v) if isinstance(v, Path) else v for key, v in given.items() if v is not None}
    composed = load(settings or (), {**(context.obj or {}), **values}, conf)
    if composed.documents is None:
        raise DocumentError("no documents were named: kupdate collect DOCS")
    name = Path(composed.documents).expanduser().resolve().stem
    return composed, RunFolder(out or Path("runs") / name)


def _parted(folder: Path | None, settings: list[str] | None) -> tuple[Path | None, list[str] | None]:
    """A run folder and settings; the first word is a setting where none was named."""
    if folder and "=" in str(folder) and not folder.exists():
        return None, [str(folder), *(settings or [])]
    return folder, settings


def _stage(context: typer.Context, stage: str, path: Path, settings: list[str] | None, conf: Path | None = None) -> Any:
    """Runs one stage of a run folder, with the keys changed that were named."""
    from knowledge_update import pipeline
    from knowledge_update.run_config import changed, stored, write

    folder = RunFolder.existing(path)
    before = stored(folder)
    try:
        config = changed(before, settings or (), context.obj or {}, folder, conf)
        return pipeline.run_stage(getattr(pipeline, stage), config, folder)
    except UserError:
        # A mistake (a model that does not exist) must not stay in the folder.
        write(before, folder)
        raise


def _show(result: Any, folder: Any) -> None:
    if not processes.first():
        return
    from knowledge_update.evaluation.terminal import terminal_tables

    _print(terminal_tables(result.figures), folder.report)


def _print(tables: Any, page: Path) -> None:
    """Prints figures, and where the page with them is."""
    from knowledge_update.display import console, table

    for title, columns, rows in tables:
        table(title, columns, rows)
    console.print(f"report: {page}", markup=False)


def main() -> None:
    """The entry point: applies the described options, runs the verb, tells errors in one line."""
    from knowledge_update import display

    # The fast tokenizers warn about forks that happen here only after they are done.
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    # Deprecations inside libraries are for us to follow, not for users to read.
    warnings.filterwarnings("ignore", category=FutureWarning)
    processes.end_with_parent()
    if processes.first():
        display.to_terminal()
    else:
        display.to_nobody()
    credentials.put_away()
    # A scheduler that wants its machine back is told what Ctrl-C is told.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    processes.said[:] = sys.argv[1:]
    try:
        code = _main(sys.argv[1:])
    except KnowledgeUpdateError as error:
        _say(str(error))
        code = error.exit_code
    except KeyboardInterrupt:
        _say("stopped; what was finished is kept, the same command goes on from there")
        code = 130
    except Exception as error:
        if os.environ.get("KUPDATE_TRACEBACK"):
            traceback.print_exc()
        _say(_told(error))
        code = 1
    processes.leave(code)


def _say(line: str) -> None:
    """Tells why all ends: once, if several processes have come to it."""
    from knowledge_update.display import clean

    if line and processes.tells():
        print(f"kupdate: {clean(line)}", file=sys.stderr, flush=True)


def _told(error: Exception) -> str:
    """An error nobody foresaw, in a line."""
    first = (str(error).strip().splitlines() or [""])[0]
    here = processes.place()
    whose = f"process {here.rank}: " if here.rank else ""
    # PyTorch has an error of its own for a GPU, and a mere RuntimeError for a CPU.
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError" or "allocate memory" in first:
        return f"{whose}out of memory: lower training.batch_tokens (train) or inference.batch_rows (infer)"
    if here.count > 1 and ("closed by peer" in first or "reset by peer" in first):
        # Who started this one knows which.
        return "" if processes.STARTED in os.environ else "another of the processes was ended from outside"
    if isinstance(error, OSError):
        return whose + f"{error.strerror or error}: {error.filename or ''}".rstrip(": ")
    kind = type(error).__name__
    return f"{whose}{kind}: {first}".rstrip(": ") + "; KUPDATE_TRACEBACK=1 in the environment shows the traceback"


def _main(words: list[str]) -> int:
    command = typer.main.get_command(app)
    values: dict[str, Any] = {}
    verb = words[0] if words else ""
    verbs = getattr(command, "commands", {})
    if words[:2] in (["facts", "export"], ["facts", "import"]) and len(words) == 4:
        words = ["facts", words[2], f"--{words[1]}", words[3]]
    # A verb of verbs (`check`) has no settings of its own.
    if verb in verbs and not hasattr(verbs[verb], "commands"):
        own = [option for parameter in verbs[verb].params for option in (*parameter.opts, *parameter.secondary_opts)]
        rest, values = flags.apply(verb, words[1:], [*own, "--help"])
        words = [verb, *rest]
    try:
        result = command.main(args=words or ["--help"], prog_name="kupdate", standalone_mode=False, obj=values)
    except typer.TyperException as error:
        raise UserError(" ".join(error.format_message().split())) from error
    # Typer makes an exit code of Ctrl-C.
    if result == 130:
        raise KeyboardInterrupt
    return result if isinstance(result, int) else 0
