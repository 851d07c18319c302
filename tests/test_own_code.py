"""A user's own parts are found by their dotted path, and run only where the user names them."""

from collections.abc import Callable
from pathlib import Path

import pytest

from knowledge_update.composition import load
from knowledge_update.errors import ConfigError
from knowledge_update.own_code import own
from knowledge_update.run_config import changed, save, stored
from knowledge_update.run_folder import RunFolder
from knowledge_update.training import optimizers, schedules, trackers

Kupdate = Callable[..., tuple[int, str, str]]


def test_a_function_of_this_folder_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "of_this_folder.py").write_text("def twice(x):\n    return 2 * x\n")
    monkeypatch.chdir(tmp_path)
    assert own("optimizer._target_", "of_this_folder.twice")(4) == 8


@pytest.mark.parametrize(
    ("path", "told"),
    [
        ("no_module.name", "key=no_module.name: No module named 'no_module'"),
        ("math.nothing", "key=math.nothing: module 'math' has no attribute 'nothing'"),
        ("math.pi", "key=math.pi: a function or a class, it is a float"),
    ],
)
def test_what_is_not_there_is_told_in_a_line(path: str, told: str) -> None:
    with pytest.raises(ConfigError) as raised:
        own("key", path)
    assert str(raised.value) == told


def test_a_module_that_fails_is_told_in_a_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "that_fails.py").write_text("raise RuntimeError('not\\ntoday')\n")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError) as raised:
        own("key", "that_fails.name")
    assert str(raised.value) == "key=that_fails.name: not"


def test_code_that_a_folder_names_is_run_only_where_the_user_names_it(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "run")
    folder.create()
    save(load(["optimizer._target_=os.remove"]), folder)
    again = "optimizer._target_=os.remove was found in the run folder, and what is found is not called: name it again"
    for words in ([], ["optimizer.eps=1e-3"], ["schedule._target_=math.sqrt"]):
        with pytest.raises(ConfigError) as raised:
            optimizers.check(changed(stored(folder), words, {}, folder).optimizer)
        assert str(raised.value) == again
    optimizers.check(changed(stored(folder), ["optimizer._target_=torch.optim.RAdam"], {}, folder).optimizer)
    other = RunFolder(tmp_path / "other")
    other.create()
    save(load(["schedule._target_=os.remove", "tracker._target_=os.remove"]), other)
    with pytest.raises(ConfigError, match="what is found is not called"):
        schedules.check(stored(other).schedule)
    with pytest.raises(ConfigError, match="what is found is not called"):
        trackers.check(stored(other).tracker)


def test_a_training_with_own_parts(kupdate: Kupdate, docs: Path, tiny_model: str, tmp_path: Path) -> None:
    (tmp_path / "my_parts.py").write_text(
        "import torch\n"
        "made = []\n"
        "def optimizer(parameters, lr, weight_decay):\n"
        "    made.append((lr, weight_decay))\n"
        "    return torch.optim.RMSprop(parameters, lr=lr, weight_decay=weight_decay)\n"
        "def rate(done, total_steps):\n"
        "    return 1 - done / 2\n"
    )
    small = [f"model={tiny_model}", "preset=debug", "training.replay_share=0", "adapter.rank=2"]
    assert kupdate("collect", docs, "--out", "out", *small)[0] == 0
    own_parts = ["optimizer._target_=my_parts.optimizer", "schedule._target_=my_parts.rate", "--weight_decay", "0.1"]
    code, stdout, stderr = kupdate("train", "out", *own_parts)
    assert (code, stderr) == (0, ""), stdout
    assert "the rate follows my_parts.rate, 0.0015 times what it says" in stdout
    import my_parts

    assert my_parts.made == [(0.0015, 0.1)]
    code, _, stderr = kupdate("train", "out", "seed=1")
    assert (code, stderr.count("\n")) == (2, 1)
    assert "optimizer._target_=my_parts.optimizer was found in the run folder" in stderr
    assert kupdate("infer", "out")[0] == 0
