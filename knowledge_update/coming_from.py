"""The commands and options of the described systems and what they are here: `python -m knowledge_update.coming_from`.

What an option sets is looked up in `flags.FLAGS`; the page `docs/coming-from.md` is what this prints.
"""

from dataclasses import dataclass

from knowledge_update.credentials import OPTIONS, VARIABLES
from knowledge_update.flags import FLAGS, Flag


@dataclass(frozen=True)
class Command:
    """A described command.

    Args:
        described: As it is described.
        here: The command in its place, empty while there is none.
        verb: The verb that takes its options.
        options: Names of its options as they are described, and of environment variables of its script.
        note: What differs.
    """

    described: str
    here: str
    verb: str
    options: tuple[str, ...] = ()
    note: str = ""


_COLLECT = tuple(
    "data_path file_type model_name_or_path model_type chunk_size_by_token qa_amount_per_fact role_amount_per_fact"
    " save_dir json_save_dir".split()
)
_EVALUATE = tuple("data_path data_name_sft data_name_base max_attempts retry_delay local_model_path".split())
_TALK = tuple("model_path num_gpus input_pattern load_8bit".split())

SYSTEMS: dict[str, tuple[Command, ...]] = {
    "KnowledgeUpdate": (
        Command("bash shells/collect_data.sh", "bash shells/collect_data.sh", "collect", _COLLECT,
                "from any folder; options are passed on"),
        Command("bash collect_data.sh", "bash shells/collect_data.sh", "collect"),
        Command("python data_processor/data_collection_local.py", "kupdate collect DOCS", "collect", _COLLECT),
        Command("python data_processor/data_collection_api.py", "kupdate collect DOCS writer=api", "collect", _COLLECT,
                "calls go out side by side, within the rates you name (`writer.rpm`, `writer.tpm`)"),
        Command("python collect_data.py", "kupdate collect DOCS", "collect", _COLLECT),
        Command("bash shells/finetune_lora_ds.sh", "bash shells/finetune_lora_ds.sh", "train", (),
                "`-m`, `-d`, `--deepspeed`, `--wandb_key`; other options of `kupdate train` are passed on"),
        Command("torchrun finetune.py", "kupdate train --data_path FILE", "train", tuple(
            "model_name_or_path key use_wandb wandb_run_name data_path bf16 output_dir num_train_epochs"
            " per_device_train_batch_size per_device_eval_batch_size gradient_accumulation_steps validation"
            " validation_size logging_strategy logging_steps eval_strategy eval_steps save_strategy save_total_limit"
            " learning_rate use_lora deepspeed wandb_key GPUS_PER_NODE NNODES NODE_RANK MASTER_ADDR MASTER_PORT MODEL"
            " DATA DS_CONFIG_PATH WANDB_KEY".split()
        ), "or `torchrun -m knowledge_update train`; a run folder has rows too"),
        Command("bash shells/inference.sh", "bash shells/inference.sh", "infer",
                ("model_name_or_path", "test_data_path", "output_path", "lora_weights", *_TALK[1:]),
                "or `kupdate infer`; with a run folder alone, the questions are the run's own"),
        Command("bash shells/evaluate.sh", "bash shells/evaluate.sh", "evaluate", _EVALUATE,
                "from any folder; options are passed on"),
        Command("python evaluate.py", "kupdate evaluate --data_path DIR", "evaluate", _EVALUATE,
                "both orders of a pair are asked; without `--local_model_path` rules judge, or `judge=api`"),
        Command("bash test_case_1.sh", "bash shells/test_case_1.sh", "check", (),
                "`kupdate check time`: exit code 0 for a pass, 1 for a failure; a training that fails, fails it"),
        Command("bash cauchy_test.sh", "bash shells/cauchy_test.sh", "check", ("folder", "threshold", "script"),
                "the smoothed loss is judged, from some step to the end; `--rule any-pair` is the described rule"),
        Command("python cauchy_test.py", "kupdate check convergence", "check", ("loss_folder", "threshold")),
    ),
    "The QLoRA project": (
        Command("python finetune.py", "kupdate train RUN", "train", tuple(
            "base_model local_files_only data_path per_device_train_batch_size gradient_accumulation_steps output_path"
            " output_dir use_8bit".split()
        ), "it takes a run folder"),
        Command("python merge_lora.py", "kupdate merge RUN", "merge", ("lora_model", "output_dir"),
                "RUN may be an adapter's folder or a hub id; verified before it is called done"),
        Command("python cli_demo.py", "kupdate chat MODEL", "chat", _TALK, "answers are streamed; `--no-stream`"),
        Command("python gradio_ui.py", "kupdate web MODEL", "web", _TALK, "streamed, at 127.0.0.1; `--host`"),
    ),
    "PandaLLM": (
        Command("python train.py", "kupdate train RUN", "train", tuple(
            "model conf_path instruction_tuning_data_dir pretraining_data_dir num_workers prefetch_factor"
            " max_seq_length ckpt_path per_gpu_train_batch_size per_gpu_eval_batch_size optimizer learning_rate"
            " lr_scheduler gradient_accumulation_steps weight_decay adam_epsilon adam_betas max_grad_norm"
            " num_train_epochs max_steps warmup_proportion warmup_steps bit_training use_lora lora_r lora_alpha"
            " lora_dropout use_quant".split()
        ), "the composed `conf/tmp.yaml` is a run folder's `config.yaml`; `kupdate config` prints it"),
    ),
}  # fmt: skip

NOTES = {
    "data_path": "the folder; the same as naming it first: `kupdate collect DOCS`",
    "file_type": "`docx` reads `**/*.docx`; without it every kind that can be read is",
    "model_name_or_path": "the model that is taught; chunks are counted in its tokens",
    "save_dir": "a JSONL file, besides the run folder's `dataset/qa_pairs.jsonl`; a folder takes `qa_pairs.jsonl`",
    "json_save_dir": "a file that holds one JSON array; a folder takes `qa_pairs.json`",
    "model": "`llama-7b`, `llama-13b`, `llama-33b`, `llama-65b`, and newer ones (`knowledge_update/model_names.py`)",
    "base_model": "`decapoda-research/llama-7b-hf` is gone from the hub: `llama-7b` is a mirror of it",
    "ckpt_path": "a folder, also one under `./pretrained-models`, or a hub id; it wins over `--model`",
    "infer model_name_or_path": "a run folder, an adapter's folder, a merged one, a model's, a short name, a hub id",
    "test_data_path": "a JSON array or JSONL, of the collected form or `{question}`",
    "infer output_path": "`{fact, question, response}`: a JSON array, or JSONL by its name; the same command goes on",
    "lora_weights": "an adapter's folder, a run folder, a hub id",
    "model_path": "a run folder, an adapter's folder, a merged one, a model's, a short name, a hub id",
    "num_gpus": "the model is laid out over so many; where there are fewer, a line says so",
    "input_pattern": "`chat` (the model's template) or `prompt` (plain question and answer); `chat` where it has one",
    "load_8bit": "bitsandbytes; `--load_8bit=False` is what holds without it",
    "lora_model": "a run folder, `output/checkpoint-final` (or `adapter_model` in it), any adapter's folder, a hub id",
    "merge output_dir": "`<base>-finetune` in it; a run folder's own `merged` where it is not named",
    "use_lora": "`False` trains the model itself (`full`)",
    "use_quant": "4 bits (NF4, scales quantised too), with LoRA: quantised weights are not trained themselves",
    "use_8bit": "8 bits, with LoRA",
    "conf_path": "a run folder's `config.yaml`, or a few keys of your own; options and `key=value` win over it",
    "key": "moved there with a warning, and written nowhere",
    "wandb_key": "moved there with a warning, and written nowhere",
    "WANDB_KEY": "read as well",
    "use_wandb": "offline where there is no key or no network",
    "optimizer": "`adamw`, `adamw_8bit`, `lamb`, `nvlamb`, `sgd`, in any case",
    "bit_training": "`optimizer.bits=8`: moments of 8 bits",
    "lr_scheduler": "`cosine`, `linear`, `constant`, `poly`, `warmup` (warm-up, then constant)",
    "warmup_proportion": "`--warmup_steps` wins where both are given, and a line says so",
    "train data_path": "a file, folder or glob, or several with commas between; `FILE:2` takes its rows twice an epoch",
    "instruction_tuning_data_dir": "`./dataset/instruction_tuning` where it is not named",
    "pretraining_data_dir": "`./dataset/pretraining` where it is not named",
    "num_workers": "processes that tokenise, beyond the first 10,000 rows; training reads tokens, it waits for nobody",
    "prefetch_factor": "packets of 250 rows that are read ahead for each of those processes",
    "max_seq_length": "longer texts are split, longer conversations too; an answer without its end is never learned",
    "evaluate data_path": "the folder of the answer files; what is found is written there",
    "data_name_sft": "JSON or JSONL of `{question, response}` with `fact`, `answers` or both",
    "data_name_base": "answers to the same questions, in any order",
    "max_attempts": "of a request that gets no answer; an overloaded server's wishes do not count",
    "retry_delay": "seconds, doubled from one attempt to the next",
    "local_model_path": "`judge=hf`; `judge=vllm judge.model=…` for a server of its own",
    "validation": "without a size, the rows that are marked as validation, else 5 %",
    "validation_size": "a number of rows, or a share: `0.1`, `10%`",
    "folder": "`losses`; also `-f`",
    "threshold": "0.001; also `-t`",
    "script": "a Python script of your own that judges instead; also `-s`",
    "deepspeed": "`zero2`, `zero3`, or a file of your own; what it says against other options is an error",
    "GPUS_PER_NODE": "processes of this machine",
    "NNODES": "machines; the same command is given on each",
    "NODE_RANK": "which of them this is, from 0",
    "MASTER_ADDR": "the address of the first",
    "MASTER_PORT": "a port there; 29500, and any free one on a single machine",
    "MODEL": "by the script; `-m` wins",
    "DATA": "by the script; `-d` wins",
    "DS_CONFIG_PATH": "by the script; `--deepspeed` wins",
    "lora_alpha": "2 · rank where it is not given",
}

# Options that Typer declares, by their verbs.
_OWN = {
    ("train", "conf_path"): "--conf-path",
    ("infer", "test_data_path"): "--test-data-path",
    ("infer", "output_path"): "--output-path",
    ("infer", "lora_weights"): "--lora-weights",
    ("infer", "num_gpus"): "--num-gpus",
    ("infer", "input_pattern"): "--input-pattern",
    **{(verb, name): f"--{name.replace('_', '-')}" for verb in ("chat", "web") for name in _TALK[:3]},
    ("merge", "lora_model"): "--lora-model",
    ("merge", "output_dir"): "--output-dir",
    ("check", "folder"): "--loss-folder",
    ("check", "loss_folder"): "--loss-folder",
    ("check", "threshold"): "--threshold",
    ("check", "script"): "--script",
}

# Variables of the script for several processes.
_READ = {
    "GPUS_PER_NODE": "`engine.processes`", "NNODES": "read", "NODE_RANK": "read", "MASTER_ADDR": "read",
    "MASTER_PORT": "read", "MODEL": "`model.name`", "DATA": "`rows.files`", "DS_CONFIG_PATH": "`engine.deepspeed`",
}  # fmt: skip

_HEAD = """# Coming from another system

Every command and option of the three described systems, and what it is here. Options are accepted under their own
names, with `-` and `_` alike, as `--name value` or `--name=value`; a boolean also bare. Each sets a key, which can be
set without it too: `--chunk_size_by_token 128` is `reader.chunk_tokens=128` at the end of a command.

This page is made by `make docs` out of the tables that the command line itself reads (`knowledge_update/flags.py`,
`knowledge_update/coming_from.py`). **Not yet** means what it says: such an option is refused, with the nearest
known one named, and such a variable is not looked at.
"""


def page() -> str:
    """The page, as Markdown."""
    lines = [_HEAD]
    for system, commands in SYSTEMS.items():
        lines += [f"## {system}", "", "| command | here | |", "|---|---|---|"]
        for command in commands:
            here = f"`{command.here}`" if command.here else "**not yet**"
            lines.append(f"| `{command.described}` | {here} | {command.note} |")
        lines.append("")
        for verb, options in _by_verb(commands).items():
            lines += [f"### {system}: options of `{verb}`", "", "| option | key | |", "|---|---|---|"]
            lines += [_row(name, verb) for name in options]
            lines.append("")
    lines += ["## Other names", "", "Names that the field knows, beside those above.", ""]
    lines += ["| option | verbs | key |", "|---|---|---|"]
    lines += [f"| `--{flag.name}` | {', '.join(flag.verbs)} | `{flag.key}` |" for flag in _others()]
    return "\n".join(lines) + "\n"


def _by_verb(commands: tuple[Command, ...]) -> dict[str, list[str]]:
    """Options by the verb that takes them, each once, in the order they are described."""
    found: dict[str, dict[str, None]] = {}
    for command in commands:
        found.setdefault(command.verb, {}).update(dict.fromkeys(command.options))
    return {verb: list(options) for verb, options in found.items() if options}


def _row(name: str, verb: str) -> str:
    flag = _flag(name, verb)
    variable = {**OPTIONS, **VARIABLES}.get(name) if verb == "train" else None
    shown = name if name.isupper() else f"--{name}"
    here = flag.key if flag else _OWN.get((verb, name))
    note = NOTES.get(f"{verb} {name}") or NOTES.get(name, "")
    if verb == "train" and name in _READ:
        return f"| `{shown}` | {_READ[name]} | {note} |"
    note = note if here or variable else ""
    if variable:
        return f"| `{shown}` | `{variable}` in the environment | {note} |"
    return f"| `{shown}` | {f'`{here}`' if here else '**not yet**'} | {note} |"


def _flag(name: str, verb: str) -> Flag | None:
    return next((flag for flag in FLAGS if flag.name == name and verb in flag.verbs), None)


def _others() -> list[Flag]:
    """Flags that none of the systems describes."""
    described = {name for commands in SYSTEMS.values() for command in commands for name in command.options}
    return [flag for flag in FLAGS if flag.name not in described]


if __name__ == "__main__":
    print(page(), end="")
