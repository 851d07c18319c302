"""The options of the described systems under their own names: one table, applied before Typer sees the arguments.

A flag is accepted with `-` and `_` alike, as `--flag value` or `--flag=value`; a boolean also bare.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
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
        parse: From its text to the key's value; `boolean` may stand bare.
        bare: It may stand bare although it sets something else.
    """

    name: str
    verbs: tuple[str, ...]
    key: str
    parse: Callable[[str], Any] = str
    bare: bool = False


def boolean(text: str) -> bool:
    """Parses `True`, `false`, `1`, `no`, …."""
    word = text.strip().lower()
    if word not in ("true", "false", "1", "0", "yes", "no"):
        raise ValueError("True or False")
    return word in ("true", "1", "yes")


def _betas(text: str) -> list[float]:
    return [float(part) for part in text.strip("()[] ").replace(",", " ").split()]


def _backend(text: str) -> str:
    if text not in ChatModelConfig.KINDS:
        raise ValueError(f"one of {', '.join(ChatModelConfig.KINDS)}")
    return text


def _only(wanted: bool) -> Callable[[str], Any]:
    def parse(text: str) -> str:
        if boolean(text) is not wanted:
            raise ValueError(f"this version has only {wanted}")
        return "lora"

    return parse


def _switch(on: Any, off: Any) -> Callable[[str], Any]:
    return lambda text: on if boolean(text) else off


def _known_as(**names: str) -> Callable[[str], str]:
    """Names that transformers has for what is here, in any case."""
    return lambda text: names.get(text.strip().lower(), text.strip().lower())


_OPTIMIZER = _known_as(adamw_torch="adamw", adamw_torch_fused="adamw", adamw_bnb_8bit="adamw_8bit")
_SCHEDULE = _known_as(polynomial="poly", constant_with_warmup="warmup")

_MODEL = ("run", "collect", "train", "infer")
_TRAIN = ("run", "train")

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
    Flag("model_name_or_path", _MODEL, "model.name"),
    Flag("base_model", _TRAIN, "model.name"),
    Flag("ckpt_path", _TRAIN, "model.name"),
    Flag("local_files_only", _MODEL, "model.local_files_only", boolean),
    Flag("seed", ("run", "collect", "train"), "seed", int),
    Flag("num_train_epochs", _TRAIN, "training.epochs", float),
    Flag("per_device_train_batch_size", _TRAIN, "training.batch_rows", int),
    Flag("per_gpu_train_batch_size", _TRAIN, "training.batch_rows", int),
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
    Flag("warmup_steps", _TRAIN, "schedule.warmup_steps", int),
    Flag("use_wandb", _TRAIN, "tracker.name", _switch("wandb", "none"), bare=True),
    Flag("report_to", _TRAIN, "tracker.name", _known_as(all="tensorboard,wandb,trackio")),
    Flag("wandb_run_name", _TRAIN, "tracker.run"),
    Flag("run_name", _TRAIN, "tracker.run"),
    Flag("wandb_project", _TRAIN, "tracker.project"),
    Flag("logging_dir", _TRAIN, "tracker.folder"),
    Flag("use_lora", _TRAIN, "adapter.name", _only(True), bare=True),
    Flag("lora_r", _TRAIN, "adapter.rank", int),
    Flag("lora_alpha", _TRAIN, "adapter.alpha", int),
    Flag("lora_dropout", _TRAIN, "adapter.dropout", float),
    Flag("max_new_tokens", ("run", "infer"), "inference.max_new_tokens", int),
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
        ConfigError: For an option nobody knows, with the nearest known one, and for a value that does not parse.
    """
    known = {flag.name: flag for flag in FLAGS if verb in flag.verbs}
    own_names = {_plain(name) for name in own}
    left: list[str] = []
    values: dict[str, Any] = {}
    queue = list(words)
    while queue:
        word = queue.pop(0)
        name, sign, value = word.partition("=")
        if word == "--":
            return [*left, word, *queue], values
        if not word.startswith("--") or _plain(name) in own_names:
            left.append(name.replace("_", "-") + sign + value if word.startswith("--") else word)
        elif _plain(name) in known:
            flag = known[_plain(name)]
            values[flag.key] = _value(flag, name, value if sign else None, queue)
        else:
            raise ConfigError(_unknown(verb, name, [*known, *own_names]))
    return left, values


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
    hint = f"did you mean --{near[0]}?" if near else f"`kupdate {verb} --help` lists them"
    return f"{verb} has no option {name}; {hint}"
