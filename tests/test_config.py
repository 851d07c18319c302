"""The configuration is composed, checked, stored and compared."""

from pathlib import Path

import pytest

from knowledge_update.composition import CONF, keys, load
from knowledge_update.config import ChatModelConfig, Config
from knowledge_update.errors import ConfigError, RunFolderError
from knowledge_update.run_config import changed, save, stored, to_yaml
from knowledge_update.run_folder import RunFolder

ODD = ["文档", "~/x", "a(1)", "two words", "a=b", "a,b", "${x}", "{a}", "[b]", "it's", 'say "hi"', "null", "1e3", "#1"]


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    made = RunFolder(tmp_path / "run")
    made.create()
    return made


def told(*overrides: str, **values: object) -> str:
    with pytest.raises(ConfigError) as raised:
        load(overrides, values)
    assert "\n" not in str(raised.value)
    return str(raised.value)


def test_nothing_said_gives_the_defaults_of_the_dataclasses() -> None:
    assert to_yaml(load()) == to_yaml(Config())


def test_options_and_overrides_win_over_the_defaults() -> None:
    config = load(["training.epochs=6", "schedule=linear", "optimizer.betas=[0.8,0.9]"], {"seed": 3})
    assert (config.training.epochs, config.schedule.name, config.seed) == (6.0, "linear", 3)
    assert tuple(config.optimizer.betas) == (0.8, 0.9)
    assert load(["seed=1"], {"seed": 2}).seed == 2


@pytest.mark.parametrize("file", sorted(CONF.glob("*/*.yaml")), ids=lambda file: f"{file.parent.name}={file.stem}")
def test_every_group_file_composes(file: Path) -> None:
    config = load([f"{file.parent.name}={file.stem}"])
    if file.parent.name != "preset":
        assert getattr(config, file.parent.name).name == file.stem


def test_the_preset_for_looking_makes_everything_small() -> None:
    config = load(["preset=debug"])
    assert (config.reader.limit, config.training.epochs, config.inference.max_new_tokens) == (2, 0.2, 8)
    assert config.evaluation.retention is False
    assert load(["preset=debug", "training.epochs=1"]).training.epochs == 1.0


@pytest.mark.parametrize("name", ["./folder", "/tmp/文档 (1)", "owner/name", "~/models/a=b"])
def test_a_model_may_be_named_by_a_path_or_a_hub_id(name: str) -> None:
    assert load([f"model={name}"]).model.name == name


@pytest.mark.parametrize("value", ODD)
def test_values_of_options_are_taken_as_they_are(folder: RunFolder, value: str) -> None:
    config = load([], {"documents": value})
    assert config.documents == value
    save(config, folder)
    assert stored(folder) == config


@pytest.mark.parametrize("value", ["文档", "~/x", "a(1)", "two words"])
def test_values_of_overrides_need_no_quotes(value: str) -> None:
    assert load([f"documents={value}"]).documents == value
    assert load([f"documents='{value}'"]).documents == value


@pytest.mark.parametrize(
    ("word", "hint"),
    [
        ("training.epoch=1", "unknown key 'training.epoch'; did you mean training.epochs?"),
        ("epochs=1", "unknown key 'epochs'; did you mean training.epochs?"),
        ("modle.name=x", "unknown key 'modle.name'; did you mean model.name?"),
        ("zzz=1", "unknown key 'zzz'; `kupdate config` prints all keys"),
        ("training", "'training' is neither an option nor key=value"),
    ],
)
def test_an_unknown_key_is_named_with_the_nearest_one(word: str, hint: str) -> None:
    assert told(word) == hint


@pytest.mark.parametrize(
    "word",
    [
        "training.epochs=0", "training.epochs=many", "adapter.rank=0", "model.device=tpu", "schedule.name=steps",
        "reader.chunk_tokens=1", "reader.limit=0", "reader.chunk_overlap_tokens=-1", "reader.chunk_overlap_tokens=129",
        "reader.encoding=gb1803", "writer.roles_per_fact=-1", "writer.validation_share=1", "writer.wordings_per_fact=1",
        "optimizer.learning_rate=-1", "training.text_share=0.95", "inference.batch_rows=0", "evaluation.resamples=0",
        "model.dtype=int8", "seed=x", "adapter.dropout=1", "writer.structured=maybe", "writer.temperature=-1",
        "writer.patience=0", "writer.vllm_timeout=0", "writer.batch_tokens=0", "writer.base_url=http://a/v1,b/v1",
        "writer.key_variable=A,B", "writer.name=other",
    ],
)  # fmt: skip
def test_a_value_that_does_not_fit_names_its_key(word: str) -> None:
    assert word.partition("=")[0] in told(word)


@pytest.mark.parametrize("word", ["schedule=steps", "training.epochs={", "training={epochs: 1"])
def test_what_cannot_be_composed_is_told_in_a_line(word: str) -> None:
    assert told(word)


def test_a_chat_model_may_stand_behind_several_addresses() -> None:
    words = ["writer=api", "writer.base_url=http://a:1/v1, http://b/v1", "writer.key_variable=ONE,TWO"]
    config = load(words)
    assert config.writer.addresses == ("http://a:1/v1", "http://b/v1")
    assert config.writer.key_variables == ("ONE", "TWO")
    assert load([], {"writer.base_url": "http://a/v1"}).writer.addresses == ("http://a/v1",)
    assert load().writer.addresses == ()


@pytest.mark.parametrize(
    "word",
    [
        "writer.base_url=http://a/v1,http://me:secret@b/v1", "writer.base_url=http://b/v1?key=secret,http://a/v1",
        "writer.vllm_arguments='--api-key secret'", "writer.vllm_arguments=--api_key=secret",
    ],
)  # fmt: skip
def test_a_secret_in_the_configuration_is_refused_and_not_repeated(word: str) -> None:
    assert "secret" not in told(word)


def test_another_chat_model_takes_the_same_keys_under_its_own_name() -> None:
    class JudgeConfig(ChatModelConfig):
        SECTION = "judge"

    with pytest.raises(ConfigError, match=r"^judge\.concurrency=0: at least 1$"):
        JudgeConfig(concurrency=0)
    with pytest.raises(ConfigError, match=r"^judge\.base_url=ftp://a: "):
        JudgeConfig(base_url="ftp://a")
    assert JudgeConfig().name == "api"
    assert {"judge.base_url", "judge.rpm", "judge.structured", "judge.vllm_python"} <= JudgeConfig.how()
    assert not {"judge.name", "judge.model", "judge.temperature"} & JudgeConfig.how()


def test_through_whom_a_folder_was_written_may_change_but_not_by_what(folder: RunFolder) -> None:
    save(load(["writer=api", "writer.model=m", "writer.base_url=http://a/v1"]), folder)
    elsewhere = ["writer.base_url=http://b/v1,http://c/v1", "writer.structured=off", "writer.rpm=10"]
    save(load(["writer=api", "writer.model=m", *elsewhere]), folder)
    with pytest.raises(RunFolderError, match=r"writer\.model \(m, now n\)"):
        save(load(["writer=api", "writer.model=n"]), folder)


def test_shares_of_a_training_leave_room_for_questions() -> None:
    assert "share" in told("training.text_share=0.6", "training.replay_share=0.6")
    assert told("training.unknown_share=-0.1").startswith("training.unknown_share=-0.1: ")
    three = told("training.text_share=0.3", "training.replay_share=0.3", "training.unknown_share=0.4")
    assert three.startswith("training.text_share + training.replay_share + training.unknown_share=1.0: ")


def test_all_keys_are_unique_and_lead_to_values() -> None:
    assert len(set(keys())) == len(keys())
    assert {key.partition(".")[0] for key in keys()} == set(vars(Config()))
    assert all(f"{key.rpartition('.')[2]}:" in to_yaml(Config()) for key in keys())


def test_a_run_folder_keeps_its_configuration(folder: RunFolder) -> None:
    config = load(["training.epochs=2", "optimizer.betas=[0.8,0.9]"], {"documents": "文档"})
    save(config, folder)
    written = folder.config.read_text(encoding="utf-8")
    assert "versions:\n  torch: " in written
    save(load(["training.epochs=2", "optimizer.betas=[0.8,0.9]"], {"documents": "文档"}), folder)
    assert (stored(folder), folder.config.read_text(encoding="utf-8")) == (config, written)


def test_another_configuration_is_refused_and_the_key_named(folder: RunFolder) -> None:
    save(load(), folder)
    before = folder.config.read_text(encoding="utf-8")
    with pytest.raises(RunFolderError) as raised:
        save(load(["training.epochs=2", "seed=1"]), folder)
    reason = "seed (0, now 1), training.epochs (null, now 2.0)"
    assert str(raised.value) == f"{folder.path} was made with another configuration: {reason}; use another --out"
    with pytest.raises(RunFolderError, match=r" and 1 more; use another --out$"):
        save(load(["seed=1", "adapter.rank=2", "training.epochs=2", "inference.batch_rows=2"]), folder)
    assert folder.config.read_text(encoding="utf-8") == before


@pytest.mark.parametrize("content", ["- a list", "training:\n  epochs: many\n", "{", "colour: red\n", "\x00"])
def test_a_configuration_that_is_not_ours_is_refused(folder: RunFolder, content: str) -> None:
    folder.config.write_text(content, encoding="utf-8")
    with pytest.raises(RunFolderError, match=r"config\.yaml cannot be read: ") as raised:
        stored(folder)
    assert "\n" not in str(raised.value)


def test_a_folder_without_configuration_is_no_run_folder(tmp_path: Path) -> None:
    with pytest.raises(RunFolderError, match=r"is not a run folder: it has no config\.yaml$"):
        stored(RunFolder(tmp_path))


def test_a_later_verb_may_change_a_few_keys(folder: RunFolder) -> None:
    save(load(["training.epochs=2"], {"documents": "x"}), folder)
    config = changed(stored(folder), ["adapter.rank=4", "schedule=linear", "model=./m"], {"seed": 5}, folder)
    assert config == stored(folder)
    assert (config.documents, config.training.epochs, config.adapter.rank) == ("x", 2.0, 4)
    assert (config.schedule.name, config.model.name, config.seed) == ("linear", "./m", 5)
    assert changed(config, [], {}, folder) == config


def test_a_later_verb_may_take_a_preset(folder: RunFolder) -> None:
    save(load(), folder)
    config = changed(stored(folder), ["preset=debug"], {}, folder)
    assert (config.training.epochs, config.inference.max_new_tokens) == (0.2, 8)


def test_a_group_takes_over_only_what_it_sets(folder: RunFolder) -> None:
    save(load(["schedule.warmup=0.2"]), folder)
    config = changed(stored(folder), ["schedule=linear"], {}, folder)
    assert (config.schedule.name, config.schedule.warmup) == ("linear", 0.2)


def test_a_change_must_fit_what_is_stored(folder: RunFolder) -> None:
    save(load(["training.text_share=0.5"]), folder)
    with pytest.raises(ConfigError, match=r"^training\.text_share \+ training\.replay_share \+ .*=1\.05: "):
        changed(stored(folder), ["training.replay_share=0.5"], {}, folder)
    assert stored(folder).training.replay_share == Config().training.replay_share


def test_a_wrong_change_leaves_the_configuration(folder: RunFolder) -> None:
    save(load(), folder)
    before = folder.config.read_text(encoding="utf-8")
    with pytest.raises(ConfigError):
        changed(stored(folder), ["training.epoch=2"], {}, folder)
    with pytest.raises(ConfigError):
        changed(stored(folder), ["training.epochs=0"], {}, folder)
    assert folder.config.read_text(encoding="utf-8") == before
