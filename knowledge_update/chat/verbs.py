"""The verbs that talk to a model, and let others: `kupdate chat`, `kupdate web`, `kupdate serve`."""

from pathlib import Path
from typing import Annotated, Any

import typer

from knowledge_update.chat.addresses import listening
from knowledge_update.errors import UserError

Model = Annotated[str | None, typer.Argument(help="A run folder, an adapter's, or any model.")]
Settings = Annotated[
    list[str] | None, typer.Argument(help="Any configuration key: training.epochs=6. `kupdate config` prints them.")
]
ModelPath = Annotated[str | None, typer.Option(help="The same as naming it first.")]
LoraWeights = Annotated[str | None, typer.Option(help="An adapter for the model.")]
Gpus = Annotated[int | None, typer.Option(min=1, help="GPUs that the model is laid out over.")]
Pattern = Annotated[str | None, typer.Option(help="chat or prompt: how the model is asked.")]
System = Annotated[str, typer.Option(help="What the model is told before all else.")]


def chat(
    context: typer.Context, model: Model = None, settings: Settings = None, model_path: ModelPath = None,
    lora_weights: LoraWeights = None, num_gpus: Gpus = None, input_pattern: Pattern = None, system: System = "",
    stream: Annotated[bool, typer.Option(help="Show the answer as it is written.")] = True,
) -> int:  # fmt: skip
    """Talk to a model in the terminal; lines that are piped in are answered one by one."""
    model, words = _named(model, settings, model_path)
    session, name = _opened(context, model, words, lora_weights, num_gpus, input_pattern, system)
    from knowledge_update.chat.terminal import talk

    return talk(session, name, stream=stream)


def web(
    context: typer.Context, model: Model = None, settings: Settings = None, model_path: ModelPath = None,
    lora_weights: LoraWeights = None, num_gpus: Gpus = None, input_pattern: Pattern = None, system: System = "",
    host: Annotated[str, typer.Option(help="The address to listen at.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 takes any that is free.")] = 7860,
    at_once: Annotated[int, typer.Option(min=1, help="Answers that are written at once; others wait.")] = 4,
    waiting: Annotated[int, typer.Option(min=1, help="Answers that may wait.")] = 64,
) -> None:  # fmt: skip
    """Talk to a model in the browser, see base and updated side by side, and follow its run."""
    from knowledge_update.chat import web as page

    model, words = _named(model, settings, model_path)
    page.quiet()
    page.login()
    crowd = page.Crowd(at_once, waiting)
    # A port that is taken is told before a model is loaded.
    with listening(host, port) as bound:
        if run := page.untrained(model):
            page.serve(bound, crowd, None, run)
            return
        session, _ = _opened(context, model, words, lora_weights, num_gpus, input_pattern, system)
        page.serve(bound, crowd, session, session.ready.run)


def serve(
    context: typer.Context, model: Model = None, model_path: ModelPath = None,
    output_dir: Annotated[str | None, typer.Option(help="Where an adapter is merged to; RUN/merged for a run.")] = None,
    host: Annotated[str, typer.Option(help="The address to listen at.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 takes any that is free.")] = 8000,
    server: Annotated[str, typer.Option(help="vllm, transformers, or auto: vLLM where there is one.")] = "auto",
    vllm_python: Annotated[
        str | None, typer.Option(help="The interpreter of an environment with vLLM; also KUPDATE_VLLM_PYTHON.")
    ] = None,
) -> None:  # fmt: skip
    """The endpoint of OpenAI's form that other programs ask: an existing server's, on the merged model."""
    from knowledge_update.chat import serving

    if model and model_path and model != model_path:
        raise UserError(f"two models were named: {model} and --model_path {model_path}; give one of them")
    config, _ = of_model(context, model or model_path, [])
    serving.serve(serving.Serving(config.model, output_dir, host, port, server, vllm_python))


def _named(model: str | None, settings: list[str] | None, model_path: str | None) -> tuple[str | None, list[str]]:
    """What is talked to, and keys of the configuration: the first word may be either."""
    words = list(settings or [])
    if model and "=" in model and not Path(model).exists():
        words.insert(0, model)
        model = None
    if model and model_path and model != model_path:
        raise UserError(f"two models were named: {model} and --model_path {model_path}; give one of them")
    return model or model_path, words


def _opened(
    context: typer.Context, model: str | None, settings: list[str], lora_weights: str | None, num_gpus: int | None,
    input_pattern: str | None, system: str,
) -> tuple[Any, str]:  # fmt: skip
    """A conversation that has not begun, and what its model was named by."""
    config, named = of_model(context, model, ["inference.max_new_tokens=256", *settings])
    from knowledge_update.chat.session import Sampling, Session
    from knowledge_update.ready_model import ready

    loaded = ready(config.model, named=named, adapter=lora_weights, pattern=input_pattern, gpus=num_gpus)
    sampling = Sampling(max_new_tokens=config.inference.max_new_tokens, seed=config.seed)
    return Session(loaded, sampling, system), str(model or lora_weights or config.model.name)


def of_model(context: typer.Context, named: str | None, settings: list[str]) -> tuple[Any, bool]:
    """The configuration with the model that was named, and whether one was."""
    from knowledge_update.composition import load, set_by

    values = dict(context.obj or {})
    told = "model.name" in values or any("model.name" in set_by(word) for word in settings if "=" in word)
    if named and told:
        raise UserError(f"two models were named: {named}, and one by an option or a key; give one of them")
    if named:
        values["model.name"] = named
    return load(settings, values), bool(named) or told
