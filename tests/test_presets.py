"""Each described system's defaults as a preset, and a configuration that comes from a file."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from knowledge_update.composition import load, value_of
from knowledge_update.errors import ConfigError
from knowledge_update.flags import apply
from knowledge_update.run_config import changed, save, stored, to_yaml
from knowledge_update.run_folder import RunFolder

DESCRIBED: dict[str, dict[str, Any]] = {
    "knowledge_update": {
        "adapter.name": "lora", "training.epochs": 20, "training.batch_rows": 32, "optimizer.learning_rate": 1e-5,
        "training.accumulation": 8, "training.log_steps": 4, "training.save_limit": 3, "schedule.name": "linear",
    },
    "qlora": {"model.name": "llama-7b", "model.bits": 8, "optimizer.learning_rate": 1e-3, "schedule.name": "linear"},
    "panda": {
        "adapter.name": "full", "adapter.rank": 64, "adapter.alpha": 16, "adapter.dropout": 0.05,
        "optimizer.learning_rate": 1e-3, "optimizer.betas": (0.9, 0.99), "optimizer.eps": 1e-6,
        "optimizer.weight_decay": 0.0, "optimizer.max_grad_norm": 0.3, "training.epochs": 1, "training.batch_rows": 1,
        "training.accumulation": 64, "schedule.name": "warmup", "schedule.warmup_steps": 50, "schedule.warmup": 0.0,
        "training.validation_rows": 2, "rows.max_seq_length": 2048, "rows.num_workers": 2, "rows.prefetch_factor": 2,
    },
}  # fmt: skip


def of(config: Any, keys: Any) -> dict[str, Any]:
    found = {key: value_of(config, key) for key in keys}
    return {key: tuple(value) if isinstance(value, list) else value for key, value in found.items()}


@pytest.mark.parametrize("name", DESCRIBED)
def test_a_preset_holds_what_is_described(name: str) -> None:
    assert of(load([f"preset={name}"]), DESCRIBED[name]) == DESCRIBED[name]


def test_what_is_named_wins_over_the_preset() -> None:
    words = ["model=smollm2-135m", "schedule=cosine", "adapter=lora", "optimizer.eps=1e-7"]
    for order in (["preset=qlora", *words], [*words, "preset=qlora"]):
        config = load(order)
        assert (config.model.name, config.model.bits, config.schedule.name) == ("smollm2-135m", 8, "cosine")
        assert config.optimizer.eps == 1e-7
    assert load(["preset=qlora"], {"model.name": "a/b"}).model.name == "a/b"


@pytest.mark.parametrize(
    ("words", "found"),
    [
        (["--use_lora", "--lora_r", "8"], ("lora", 8, None)),
        (["--use_quant"], ("lora", 64, 4)),
        (["--use_8bit", "True"], ("lora", 64, 8)),
        ([], ("full", 64, None)),
    ],
)
def test_the_panda_options_win_over_its_preset(words: list[str], found: tuple[Any, ...]) -> None:
    _, values = apply("train", words, ())
    config = load(["preset=panda"], values)
    assert (config.adapter.name, config.adapter.rank, config.model.bits) == found


def test_quantised_weights_are_not_trained_themselves() -> None:
    with pytest.raises(ConfigError, match=r"^model\.bits=4: quantised weights cannot be trained themselves: say "):
        load(["adapter=full", "model.bits=4"])
    with pytest.raises(ConfigError, match=r"^adapter\.start_from=x: for adapter=lora; a whole model is named by "):
        load(["adapter=full", "adapter.start_from=x"])
    with pytest.raises(ConfigError, match=r"^model\.bits=3: 4, 8, or null"):
        load(["model.bits=3"])


@pytest.fixture
def conf(tmp_path: Path) -> Callable[[str], Path]:
    """`conf(text)` writes a configuration file."""

    def write(text: str) -> Path:
        path = tmp_path / "my conf.yaml"
        path.write_text(text, encoding="utf-8")
        return path

    return write


def test_a_saved_configuration_is_read_to_the_same(tmp_path: Path) -> None:
    config = load(["preset=panda", "optimizer.betas=[0.8,0.9]", "seed=3"], {"documents": "文档 ${x}"})
    folder = RunFolder(tmp_path / "run")
    folder.create()
    save(config, folder)
    assert to_yaml(load([], {}, folder.config)) == to_yaml(config)


def test_a_few_keys_by_hand_are_enough(conf: Callable[[str], Path]) -> None:
    file = conf("preset: panda\nschedule: linear\ntraining.epochs: 2\nadapter:\n  rank: 8\nseed: 5\n")
    config = load([], {}, file)
    assert (config.schedule.name, config.training.epochs, config.adapter.rank, config.seed) == ("linear", 2.0, 8, 5)
    assert (config.adapter.alpha, config.optimizer.max_grad_norm) == (16, 0.3)


def test_options_win_over_the_file(conf: Callable[[str], Path]) -> None:
    file = conf("preset: panda\nschedule: linear\ntraining:\n  epochs: 2\nadapter:\n  rank: 8\n  dropout: 0.3\n")
    config = load(["training.epochs=3", "schedule=cosine"], {"adapter.rank": 2}, file)
    assert (config.training.epochs, config.schedule.name, config.adapter.rank) == (3.0, "cosine", 2)
    assert (config.adapter.dropout, config.adapter.alpha) == (0.3, 16)
    # A preset is an option like another.
    assert load(["preset=debug"], {}, file).training.epochs == 0.2


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("training:\n  epoch: 2\n", "unknown key 'training.epoch'; did you mean training.epochs?"),
        ("learning_rate: 1\n", "unknown key 'learning_rate'; did you mean optimizer.learning_rate?"),
        ("- a\n", "holds no keys"),
        ("a: {\n", "cannot be read: "),
        ("a: ${b}\n", "cannot be read: "),
    ],
)
def test_a_file_that_does_not_fit_is_told_in_a_line(conf: Callable[[str], Path], text: str, message: str) -> None:
    file = conf(text)
    with pytest.raises(ConfigError) as raised:
        load([], {}, file)
    told = str(raised.value)
    assert told.startswith(str(file)) and message in told and "\n" not in told


def test_values_of_the_file_are_checked(conf: Callable[[str], Path], tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"training\.epochs"):
        load([], {}, conf("training:\n  epochs: many\n"))
    with pytest.raises(ConfigError, match="No such file or directory"):
        load([], {}, tmp_path / "absent.yaml")


def test_a_later_verb_may_take_a_file(conf: Callable[[str], Path], tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "run")
    folder.create()
    save(load(["training.epochs=7", "adapter.rank=16"], {"documents": "mine"}), folder)
    file = conf("documents: others\nschedule: linear\nadapter:\n  rank: 8\n  dropout: 0.1\n")
    config = changed(stored(folder), ["adapter.dropout=0.2"], {"seed": 4}, folder, file)
    assert config == stored(folder)
    # What another run was made of is not what this one is made of.
    assert (config.documents, config.training.epochs) == ("mine", 7.0)
    assert (config.adapter.rank, config.adapter.dropout, config.seed) == (8, 0.2, 4)
    assert config.schedule.name == "linear"


def test_the_command_line_takes_it(kupdate: Callable[..., Any], conf: Callable[[str], Path]) -> None:
    file = conf("adapter:\n  rank: 8\n")
    for words in (["--conf_path", file], [f"--conf-path={file}"]):
        code, stdout, stderr = kupdate("config", *words, "seed=2")
        assert (code, stderr) == (0, "")
        assert "  rank: 8\n" in stdout and "seed: 2\n" in stdout
    code, _, stderr = kupdate("config", "--conf_path", "absent.yaml")
    assert (code, stderr) == (2, "kupdate: absent.yaml: No such file or directory\n")
