"""Options under their described names become keys and values."""

import pytest

from knowledge_update.composition import keys, load
from knowledge_update.errors import ConfigError
from knowledge_update.flags import FLAGS, apply

OWN = ["--out", "-o", "--limit", "--help"]
SAMPLES = {
    "max_steps": ("40", 40), "budget": ("1h30m", "1h30m"), "per_device_eval_batch_size": ("4", 4),
    "per_gpu_eval_batch_size": ("4", 4), "gradient_accumulation_steps": ("8", 8), "logging_steps": ("4", 4),
    "logging_strategy": ("steps", 10), "eval_strategy": ("epoch", "epoch"), "evaluation_strategy": ("steps", "steps"),
    "eval_steps": ("4", 4), "save_strategy": ("steps", "steps"), "save_steps": ("50", 50), "save_total_limit": ("3", 3),
    "output_dir": ("output/", "output/"), "output_path": ("./输出", "./输出"), "bf16": ("True", "bfloat16"),
    "fp16": ("false", "auto"), "dtype": ("float32", "float32"), "load_best_model_at_end": ("True", True),
    "data_path": ("./文档 (1)", "./文档 (1)"), "file_type": (".docx", "**/*.docx"),
    "chunk_size_by_token": ("64", 64), "qa_amount_per_fact": ("3", 3),
    "model_type": ("hf", "hf"),
    "role_amount_per_fact": ("0", 0), "save_dir": ("datasets/a b.jsonl", "datasets/a b.jsonl"),
    "json_save_dir": ("a.json", "a.json"), "max_failures": ("5", 5),
    "model_name_or_path": ("owner/name", "owner/name"), "base_model": ("~/m", "~/m"), "ckpt_path": ("a b", "a b"),
    "model": ("llama-7b", "llama-7b"), "use_quant": ("True", 4), "use_8bit": ("yes", 8), "load_8bit": ("True", 8),
    "use_rslora": ("1", True),
    "deepspeed": ("ds config.json", "ds config.json"), "nproc_per_node": ("2", 2),
    "use_dora": ("true", True), "gradient_checkpointing": ("True", True),
    "local_files_only": ("True", True), "seed": ("7", 7), "num_train_epochs": ("2.5", 2.5),
    "per_device_train_batch_size": ("8", 8), "per_gpu_train_batch_size": ("8", 8), "learning_rate": ("1e-4", 1e-4),
    "weight_decay": ("0.1", 0.1), "adam_epsilon": ("1e-6", 1e-6), "adam_betas": ("(0.9, 0.95)", [0.9, 0.95]),
    "max_grad_norm": ("2", 2.0), "lr_scheduler": ("linear", "linear"), "lr_scheduler_type": ("cosine", "cosine"),
    "optimizer": ("NVLAMB", "nvlamb"), "optim": ("adamw_bnb_8bit", "adamw_8bit"), "bit_training": ("True", 8),
    "warmup_steps": ("50", 50), "use_wandb": ("True", "wandb"), "report_to": ("wandb,trackio", "wandb,trackio"),
    "wandb_run_name": ("run-lora", "run-lora"), "run_name": ("a b", "a b"), "wandb_project": ("p", "p"),
    "logging_dir": ("~/logs (1)", "~/logs (1)"),
    "warmup_proportion": ("0.1", 0.1), "warmup_ratio": ("0.1", 0.1), "use_lora": ("true", "lora"),
    "instruction_tuning_data_dir": ("a b", "a b"), "pretraining_data_dir": ("~/文", "~/文"),
    "skip_bad_rows": ("True", True), "max_seq_length": ("512", 512), "validation": ("True", True),
    "validation_size": ("10%", 0.1), "lazy_preprocess": ("yes", True), "num_workers": ("0", 0),
    "prefetch_factor": ("4", 4), "activation_checkpointing": ("True", True), "dataloader_num_workers": ("0", 0),
    "dataloader_prefetch_factor": ("4", 4), "project": ("a b", "a b"), "use_cpu": ("True", "cpu"),
    "lora_r": ("4", 4), "lora_alpha": ("8", 8), "lora_dropout": ("0.1", 0.1), "max_new_tokens": ("5", 5),
    "data_name_sft": ("a b.json", "a b.json"), "data_name_base": ("基础.json", "基础.json"), "max_attempts": ("5", 5),
    "retry_delay": ("0.5", 0.5), "local_model_path": ("~/m", "~/m"),
}  # fmt: skip


def told(*words: str, verb: str = "run") -> str:
    with pytest.raises(ConfigError) as raised:
        apply(verb, words, OWN)
    return str(raised.value)


@pytest.mark.parametrize("flag", FLAGS, ids=lambda flag: flag.name)
def test_every_flag_is_taken_in_all_its_spellings_by_all_its_verbs(flag: object) -> None:
    text, value = SAMPLES[flag.name]
    assert flag.key in keys()
    load([], {flag.key: value})
    for verb in flag.verbs:
        for name in (f"--{flag.name}", f"--{flag.name.replace('_', '-')}"):
            expected = (["docs", "a=b"], {**flag.implied, flag.key: value})
            assert apply(verb, ["docs", name, text, "a=b"], OWN) == expected
            assert apply(verb, ["docs", f"{name}={text}", "a=b"], OWN) == expected


def test_flags_of_other_verbs_are_unknown() -> None:
    assert told("--lora_r", "4", verb="infer").startswith("infer has no option --lora_r; ")
    assert told("--max_new_tokens=4", verb="collect").startswith("collect has no option --max_new_tokens; ")


def test_what_is_no_described_option_is_left_in_its_order() -> None:
    words = ["docs", "-o", "x", "--out", "y", "--limit=3", "training.epochs=1", "--seed", "4", "-h"]
    left = ["docs", "-o", "x", "--out", "y", "--limit=3", "training.epochs=1", "-h"]
    assert apply("run", words, OWN) == (left, {"seed": 4})
    assert apply("run", ["--", "--seed", "4"], OWN) == (["--", "--seed", "4"], {})


@pytest.mark.parametrize(
    ("words", "left", "value"),
    [
        (["--local_files_only"], [], True),
        (["--local-files-only", "docs"], ["docs"], True),
        (["--local_files_only", "--seed=1"], [], True),
        (["--local_files_only", "false", "docs"], ["docs"], False),
        (["--local_files_only=No"], [], False),
        (["--local_files_only", "1"], [], True),
    ],
)
def test_a_boolean_may_stand_bare(words: list[str], left: list[str], value: bool) -> None:
    rest, values = apply("run", words, OWN)
    assert (rest, values["model.local_files_only"]) == (left, value)


def test_a_switch_may_stand_bare_and_be_off() -> None:
    assert apply("train", ["--bit_training", "folder"], OWN) == (["folder"], {"optimizer.bits": 8})
    assert apply("train", ["--bit_training", "False"], OWN) == ([], {"optimizer.bits": 32})
    assert apply("train", ["--use_wandb=False"], OWN) == ([], {"tracker.name": "none"})


@pytest.mark.parametrize(
    ("option", "text", "key", "value"),
    [
        ("optimizer", "AdamW", "optimizer.name", "adamw"),
        ("optim", "adamw_torch", "optimizer.name", "adamw"),
        ("lr_scheduler", "constant_with_warmup", "schedule.name", "warmup"),
        ("lr_scheduler_type", "Polynomial", "schedule.name", "poly"),
        ("report_to", "all", "tracker.name", "tensorboard,wandb,trackio"),
    ],
)
def test_names_of_transformers_are_known(option: str, text: str, key: str, value: str) -> None:
    assert apply("train", [f"--{option}", text], OWN) == ([], {key: value})
    load([], {key: value})


def test_without_lora_the_model_itself_is_trained() -> None:
    assert apply("train", ["--use_lora", "folder"], OWN) == (["folder"], {"adapter.name": "lora"})
    assert apply("train", ["--use_lora", "False", "folder"], OWN) == (["folder"], {"adapter.name": "full"})


@pytest.mark.parametrize(
    ("words", "values"),
    [
        (["--use_quant"], {"model.bits": 4, "adapter.name": "lora"}),
        (["--use_8bit=True"], {"model.bits": 8, "adapter.name": "lora"}),
        (["--use_8bit", "False"], {"model.bits": None}),
        (["--use_8bit", "False", "--use_quant"], {"model.bits": 4, "adapter.name": "lora"}),
        (["--use_quant", "--use_8bit", "False"], {"model.bits": 4, "adapter.name": "lora"}),
        (["--use_lora", "False", "--use_quant"], {"model.bits": 4, "adapter.name": "full"}),
    ],
)
def test_quantised_weights_take_an_adapter_unless_something_else_is_said(words: list[str], values: object) -> None:
    assert apply("train", [*words, "--seed", "1"], OWN) == ([], {**dict(values), "seed": 1})


def test_the_weights_that_are_named_win_over_the_kind_of_model() -> None:
    for words in (["--model", "llama-7b", "--ckpt_path", "a/b"], ["--ckpt_path", "a/b", "--model", "llama-7b"]):
        assert apply("train", words, OWN) == ([], {"model.name": "a/b"})


def test_two_options_that_contradict_each_other_are_told() -> None:
    message = "--use_quant and --use_8bit set model.bits to different values; give one of them"
    assert told("--use_quant", "--use_8bit") == message
    assert told("--base_model=a", "--ckpt_path=b").startswith("--base_model and --ckpt_path set model.name to ")
    assert apply("train", ["--base_model=a", "--ckpt_path=a", "--seed=1", "--seed=2"], OWN)[1]["seed"] == 2


def test_what_means_no_limit() -> None:
    assert apply("train", ["--max_steps", "-1"], OWN) == ([], {"training.max_steps": None})
    assert apply("train", ["--per_device_train_batch_size=auto"], OWN) == ([], {"training.batch_rows": None})
    words = ["--logging_steps", "3", "--logging_strategy", "steps"]
    assert apply("train", words, OWN)[1] == {"training.log_steps": 3}
    assert told("--logging_strategy", "epoch", verb="train").startswith("--logging_strategy epoch: steps or no; ")


def test_a_negative_value_is_a_value() -> None:
    assert apply("run", ["--seed", "-1"], OWN) == ([], {"seed": -1})


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--lora_rr", "4"], "run has no option --lora_rr; did you mean --lora_r?"),
        (["--learning-rat=4"], "run has no option --learning-rat; did you mean --learning_rate?"),
        (["--ouT", "x"], "run has no option --ouT; did you mean --out?"),
        (["--frobnicate"], "run has no option --frobnicate; `kupdate run --help` lists them"),
        (["--seed"], "--seed needs a value"),
        (["--seed", "--lora_r", "4"], "--seed needs a value"),
        (["--adam_betas=a"], "--adam_betas a: could not convert string to float: 'a'"),
        (["--model_type=gguf"], "--model_type gguf: one of api, vllm, hf"),
        (["--local_files_only=maybe"], "--local_files_only maybe: True or False"),
    ],
)
def test_mistakes_are_told(words: list[str], message: str) -> None:
    assert told(*words) == message


def test_a_value_that_is_no_number_is_told_with_its_option() -> None:
    assert told("--seed", "x").startswith("--seed x: ")


def test_what_only_the_trainer_of_transformers_does_is_said() -> None:
    assert told("--label_smoothing_factor=0.1", verb="train") == (
        "train has no --label_smoothing_factor: what transformers' trainer does by it, this training does not"
    )
    assert told("--adam_beta1=0.8", verb="train").endswith("; --adam_betas is the nearest it has")
    assert told("--label_smoothing_factor=0.1", verb="infer").startswith("infer has no option ")
