"""The options of the described systems under their own names: one table, applied before Typer sees the arguments.

A flag is accepted with `-` and `_` alike, as `--flag value` or `--flag=value`; a boolean also bare.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from difflib import get_close_matches
from typing import Any

from knowledge_update.config import ChatModelConfig
from knowledge_update.errors import ConfigError


@dataclass(frozen=True)
class Flag:
    """A described option.

    Args:
        name: As it is described, with underscores.
        verbs: The verbs that take it.
        key: The dotted key it sets.
        parse: From its text to the key's value.
        bare: Whether it may stand without a value, which is true then.
        yields: Whether another option of the same key wins: `--model` names a kind of model, `--ckpt_path` its weights.
        implied: Keys with their values that it sets besides, unless another option does.
    """

    name: str
    verbs: tuple[str, ...]
    key: str
    parse: Callable[[str], Any] = str
    bare: bool = False
    yields: bool = False
    implied: Mapping[str, Any] = field(default_factory=dict)


def boolean(text: str) -> bool:
    """Parses `True`, `false`, `1`, `no`, …."""
    word = text.strip().lower()
    if word not in ("true", "false", "1", "0", "yes", "no"):
        raise ValueError("True or False")
    return word in ("true", "1", "yes")


def _betas(text: str) -> list[float]:
    return [float(part) for part in text.strip("()[] ").replace(",", " ").split()]


def _size(text: str) -> float:
    """A number, or a share as `0.1` or `10%`."""
    return float(text.removesuffix("%")) / 100 if text.endswith("%") else float(text)


def _backend(text: str) -> str:
    if text not in ChatModelConfig.KINDS:
        raise ValueError(f"one of {', '.join(ChatModelConfig.KINDS)}")
    return text


def _switch(on: Any, off: Any) -> Callable[[str], Any]:
    """What parses a boolean to one of two values."""
    return lambda text: on if boolean(text) else off


def _known_as(**names: str) -> Callable[[str], str]:
    """Names that transformers has for what is here, in any case."""
    return lambda text: names.get(text.strip().lower(), text.strip().lower())


def _unless_negative(text: str) -> int | None:
    """Parses a number; one below zero means that there is no limit."""
    return int(text) if int(text) >= 0 else None


def _unless_auto(text: str) -> int | None:
    """Parses a number of rows; `auto` leaves batches to their tokens."""
    return None if text.strip().lower() == "auto" else int(text)


def _log(text: str) -> int:
    """Parses when something is logged; `steps` says nothing of how many."""
    try:
        return {"steps": 10, "no": 1_000_000_000}[text.strip().lower()]
    except KeyError as error:
        raise ValueError("steps or no; `--eval_strategy epoch` logs the loss of rows aside after each epoch") from error


_OPTIMIZER = _known_as(adamw_torch="adamw", adamw_torch_fused="adamw", adamw_bnb_8bit="adamw_8bit")
_SCHEDULE = _known_as(polynomial="poly", constant_with_warmup="warmup")

_MODEL = ("run", "collect", "train", "infer")
_TRAIN = ("run", "train")
_TALK = ("chat", "web", "serve")

FLAGS: tuple[Flag, ...] = (
    Flag("data_path", ("collect",), "documents"),
    Flag("file_type", ("run", "collect"), "reader.pattern", lambda ending: f"**/*.{ending.strip().lstrip('.')}"),
    Flag("chunk_size_by_token", ("run", "collect"), "reader.chunk_tokens", int),
    Flag("qa_amount_per_fact", ("run", "collect"), "writer.wordings_per_fact", int),
    # The chat model that writes; without a name of its own it is that of --model_name_or_path, as described.
    Flag("model_type", ("run", "collect"), "writer.name", _backend),
    Flag("role_amount_per_fact", ("run", "collect"), "writer.roles_per_fact", int),
    Flag("max_failures", ("run", "collect"), "writer.max_failures", int),
    Flag("save_dir", ("run", "collect"), "pairs_jsonl"),
    Flag("json_save_dir", ("run", "collect"), "pairs_json"),
    Flag("model_name_or_path", (*_MODEL, "merge"), "model.name"),
    Flag("model", _TRAIN, "model.name", yields=True),
    Flag("base_model", (*_TRAIN, "merge"), "model.name"),
    Flag("ckpt_path", _TRAIN, "model.name"),
    Flag("local_files_only", (*_MODEL, "merge", *_TALK), "model.local_files_only", boolean, bare=True),
    # Quantised weights cannot be trained themselves.
    Flag("use_quant", _TRAIN, "model.bits", _switch(4, None), bare=True, implied={"adapter.name": "lora"}),
    Flag("load_8bit", ("infer", "chat", "web"), "model.bits", _switch(8, None), bare=True),
    Flag("use_8bit", _TRAIN, "model.bits", _switch(8, None), bare=True, implied={"adapter.name": "lora"}),
    Flag("seed", ("run", "collect", "train"), "seed", int),
    Flag("num_train_epochs", _TRAIN, "training.epochs", float),
    Flag("max_steps", _TRAIN, "training.max_steps", _unless_negative),
    Flag("budget", ("run",), "budget"),
    Flag("budget", ("train",), "training.budget"),
    Flag("per_device_train_batch_size", _TRAIN, "training.batch_rows", _unless_auto),
    Flag("per_gpu_train_batch_size", _TRAIN, "training.batch_rows", _unless_auto),
    Flag("per_device_eval_batch_size", _TRAIN, "training.validation_rows", int),
    Flag("per_gpu_eval_batch_size", _TRAIN, "training.validation_rows", int),
    Flag("gradient_accumulation_steps", _TRAIN, "training.accumulation", int),
    Flag("logging_steps", _TRAIN, "training.log_steps", int),
    Flag("logging_strategy", _TRAIN, "training.log_steps", _log, yields=True),
    Flag("eval_strategy", _TRAIN, "training.validate"),
    Flag("evaluation_strategy", _TRAIN, "training.validate"),
    Flag("eval_steps", _TRAIN, "training.validation_steps", int),
    Flag("save_strategy", _TRAIN, "training.save"),
    Flag("save_steps", _TRAIN, "training.save_steps", int),
    Flag("save_total_limit", _TRAIN, "training.save_limit", int),
    Flag("load_best_model_at_end", _TRAIN, "training.keep_best", boolean, bare=True),
    Flag("output_dir", ("train",), "output_dir"),
    Flag("output_path", ("train",), "output_dir"),
    Flag("bf16", (*_MODEL, "merge", *_TALK), "model.dtype", _switch("bfloat16", "auto"), bare=True),
    Flag("fp16", (*_MODEL, "merge", *_TALK), "model.dtype", _switch("float16", "auto"), bare=True),
    Flag("dtype", ("merge", "serve"), "model.dtype"),
    Flag("learning_rate", _TRAIN, "optimizer.learning_rate", float),
    Flag("optimizer", _TRAIN, "optimizer.name", _OPTIMIZER),
    Flag("optim", _TRAIN, "optimizer.name", _OPTIMIZER),
    Flag("bit_training", _TRAIN, "optimizer.bits", _switch(8, 32), bare=True),
    Flag("weight_decay", _TRAIN, "optimizer.weight_decay", float),
    Flag("adam_epsilon", _TRAIN, "optimizer.eps", float),
    Flag("adam_betas", _TRAIN, "optimizer.betas", _betas),
    Flag("max_grad_norm", _TRAIN, "optimizer.max_grad_norm", float),
    Flag("lr_scheduler", _TRAIN, "schedule.name", _SCHEDULE),
    Flag("lr_scheduler_type", _TRAIN, "schedule.name", _SCHEDULE),
    Flag("warmup_proportion", _TRAIN, "schedule.warmup", float),
    Flag("warmup_ratio", _TRAIN, "schedule.warmup", float),
    Flag("data_path", ("train",), "rows.files"),
    Flag("instruction_tuning_data_dir", ("train",), "rows.instruction_tuning_data_dir"),
    Flag("pretraining_data_dir", ("train",), "rows.pretraining_data_dir"),
    Flag("skip_bad_rows", ("train",), "rows.skip_bad_rows", boolean),
    Flag("max_seq_length", ("train",), "rows.max_seq_length", int),
    Flag("validation", ("train",), "rows.validation", boolean),
    Flag("validation_size", ("train",), "rows.validation_size", _size),
    Flag("lazy_preprocess", ("train",), "rows.lazy_preprocess", boolean),
    Flag("num_workers", ("train",), "rows.num_workers", int),
    Flag("prefetch_factor", ("train",), "rows.prefetch_factor", int),
    Flag("warmup_steps", _TRAIN, "schedule.warmup_steps", int),
    Flag("use_wandb", _TRAIN, "tracker.name", _switch("wandb", "none"), bare=True),
    Flag("report_to", _TRAIN, "tracker.name", _known_as(all="tensorboard,wandb,trackio")),
    Flag("wandb_run_name", _TRAIN, "tracker.run"),
    Flag("run_name", _TRAIN, "tracker.run"),
    Flag("wandb_project", _TRAIN, "tracker.project"),
    Flag("logging_dir", _TRAIN, "tracker.folder"),
    Flag("use_lora", _TRAIN, "adapter.name", _switch("lora", "full"), bare=True),
    Flag("lora_r", _TRAIN, "adapter.rank", int),
    Flag("lora_alpha", _TRAIN, "adapter.alpha", int),
    Flag("lora_dropout", _TRAIN, "adapter.dropout", float),
    Flag("use_rslora", _TRAIN, "adapter.rslora", boolean, bare=True),
    Flag("use_dora", _TRAIN, "adapter.dora", boolean, bare=True),
    Flag("deepspeed", _TRAIN, "engine.deepspeed"),
    Flag("nproc_per_node", _TRAIN, "engine.processes", int),
    Flag("gradient_checkpointing", _TRAIN, "training.gradient_checkpointing", boolean, bare=True),
    # What only transformers' trainer calls so.
    Flag("activation_checkpointing", _TRAIN, "training.gradient_checkpointing", boolean, bare=True),
    Flag("dataloader_num_workers", ("train",), "rows.num_workers", int),
    Flag("dataloader_prefetch_factor", ("train",), "rows.prefetch_factor", int),
    Flag("project", _TRAIN, "tracker.project"),
    Flag("use_cpu", (*_TRAIN, "infer", *_TALK), "model.device", _switch("cpu", "auto"), bare=True),
    Flag("max_new_tokens", ("run", "infer", "chat", "web"), "inference.max_new_tokens", int),
    Flag("data_path", ("evaluate",), "evaluation.data_path"),
    Flag("data_name_sft", ("evaluate",), "evaluation.data_name_sft"),
    Flag("data_name_base", ("evaluate",), "evaluation.data_name_base"),
    Flag("max_attempts", ("evaluate",), "judge.max_attempts", int),
    Flag("retry_delay", ("evaluate",), "judge.retry_delay", float),
    Flag("local_model_path", ("evaluate",), "judge.model", implied={"judge.name": "hf"}),
)


def apply(verb: str, words: Sequence[str], own: Iterable[str]) -> tuple[list[str], dict[str, Any]]:
    """Takes the described options out of a verb's arguments.

    Args:
        verb: The verb.
        words: Its arguments.
        own: Options that Typer knows for this verb (`--out`, …); these are left.

    Returns:
        The other arguments, and dotted keys with their values.

    Raises:
        ConfigError: For an option nobody knows, with the nearest known one, for a value that does not parse, and for
            two options that say different things of one key.
    """
    known = {flag.name: flag for flag in FLAGS if verb in flag.verbs}
    own_names = {_plain(name) for name in own}
    left: list[str] = []
    values: dict[str, Any] = {}
    implied: dict[str, Any] = {}
    said: dict[str, Flag] = {}
    queue = list(words)
    while queue:
        word = queue.pop(0)
        name, sign, value = word.partition("=")
        if word == "--":
            left += [word, *queue]
            break
        if not word.startswith("--") or _plain(name) in own_names:
            left.append(name.replace("_", "-") + sign + value if word.startswith("--") else word)
        elif _plain(name) in known:
            flag = known[_plain(name)]
            given = _value(flag, name, value if sign else None, queue)
            if _wins(flag, given, said.get(flag.key), values):
                values[flag.key], said[flag.key] = given, flag
                implied |= flag.implied if given is not None else {}
        else:
            raise ConfigError(_unknown(verb, name, [*known, *own_names]))
    return left, {**implied, **values}


def _wins(flag: Flag, given: Any, other: Flag | None, values: Mapping[str, Any]) -> bool:
    """Whether an option's value is taken, beside one that set the same key before it.

    Raises:
        ConfigError: When the two say different things.
    """
    if other is None or other.name == flag.name or other.yields or values[flag.key] is None:
        return True
    if flag.yields or given is None:
        return False
    if given != values[flag.key]:
        raise ConfigError(f"--{other.name} and --{flag.name} set {flag.key} to different values; give one of them")
    return True


def _plain(name: str) -> str:
    return name.lstrip("-").replace("-", "_")


def _value(flag: Flag, name: str, given: str | None, queue: list[str]) -> Any:
    bare = given is None and (not queue or queue[0].startswith("--"))
    if given is None and (flag.bare or flag.parse is boolean):
        bare = not queue or queue[0].lower() not in ("true", "false", "1", "0", "yes", "no")
        given = "true" if bare else queue.pop(0)
    elif bare:
        raise ConfigError(f"{name} needs a value")
    elif given is None:
        given = queue.pop(0)
    assert given is not None
    try:
        return flag.parse(given)
    except ValueError as error:
        raise ConfigError(f"{name} {given}: {error}") from error


def _unknown(verb: str, name: str, names: Sequence[str]) -> str:
    near = get_close_matches(_plain(name), names, n=1)
    if verb in _TRAIN and _of_transformers(_plain(name)):
        instead = f"; --{near[0]} is the nearest it has" if near else ""
        return f"{verb} has no {name}: what transformers' trainer does by it, this training does not{instead}"
    hint = f"did you mean --{near[0]}?" if near else f"`kupdate {verb} --help` lists them"
    return f"{verb} has no option {name}; {hint}"


def _of_transformers(name: str) -> bool:
    """Whether a name is an argument of transformers' trainer."""
    from transformers import TrainingArguments

    return name in {argument.name for argument in fields(TrainingArguments)}
