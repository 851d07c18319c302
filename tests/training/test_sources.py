"""Rows are loaded from files: checked before anything is trained, held out, Weighed, kept on disk."""

import gzip
import json
import logging
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from knowledge_update.composition import load
from knowledge_update.config import Config
from knowledge_update.errors import ConfigError, DocumentError, UserError, WorkError
from knowledge_update.run_config import merged, stored, write
from knowledge_update.run_folder import RunFolder
from knowledge_update.training import tokenising
from knowledge_update.training.rows import IGNORED, Encoder, Weighed
from knowledge_update.training.sources import Loaded, load_rows, name_usual_folders
from knowledge_update.training.tokenised import Writer


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("KUPDATE_CACHE", str(tmp_path / "cache"))
    return tmp_path


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> Callable[[], list[str]]:
    """What was logged so far."""
    log = logging.getLogger("knowledge_update")
    monkeypatch.setattr(log, "propagate", True)
    monkeypatch.setattr(log, "handlers", [])
    caplog.set_level(logging.INFO, "knowledge_update")
    return lambda: [record.getMessage() for record in caplog.records]


def pairs(count: int, first: int = 0) -> list[dict[str, Any]]:
    return [{"input": f"Question {at}?", "target": f"Answer {at}."} for at in range(first, first + count)]


def lines(path: str, rows: list[Any]) -> str:
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Path(path).write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def loaded(encoder: Encoder, **values: Any) -> Loaded:
    return load_rows(load([], {f"rows.{key}": value for key, value in values.items()}), encoder)


def taught(rows: Any, encoder: Encoder) -> list[str]:
    """The learned text of rows, without the ends of turns."""
    found = [[token for token in row.labels if token != IGNORED] for row in rows]
    return [encoder.template.tokenizer.decode(ids, skip_special_tokens=True) for ids in found]


def numbered(first: int, last: int) -> list[str]:
    return [f"Answer {at}." for at in range(first, last)]


def test_rows_of_every_format_and_kind_of_file_are_loaded_together(encoder: Encoder, told: Any) -> None:
    import pyarrow
    from pyarrow import parquet

    lines("data/a.jsonl", [*pairs(2), {"text": "The tower."}])
    Path("data/b.json").write_text(json.dumps([{"instruction": "Say 2.", "input": "", "output": "Answer 2."}]))
    chat = {"id": "x", "conversations": [{"from": "human", "value": "3?"}, {"from": "gpt", "value": "Answer 3."}]}
    Path("data/c.jsonl.gz").write_bytes(gzip.compress(json.dumps(chat).encode()))
    messages = [{"role": "user", "content": "4?"}, {"role": "assistant", "content": "Answer 4."}]
    parquet.write_table(pyarrow.Table.from_pylist([{"messages": messages}]), "data/d.parquet")
    found = loaded(encoder, files="data")
    assert taught(found.rows, encoder) == ["Answer 0.", "Answer 1.", "The tower.", *numbered(2, 5)]
    assert (len(found.validation), found.languages) == (0, {"en"})
    assert found.files == ("data/a.jsonl", "data/b.json", "data/c.jsonl.gz", "data/d.parquet")
    assert [found.rows.origin(at).number for at in range(6)] == [1, 2, 3, 1, 1, 1]
    assert told()[0] == (
        "data/a.jsonl, data/b.json, data/c.jsonl.gz and 1 more: 6 rows, 2 of {input, target}, 1 of {text}, "
        "1 of {instruction, output}, 1 of {conversations}, 1 of {messages}"
    )


def test_the_encoding_is_that_of_a_run_folders_rows(encoder: Encoder) -> None:
    row = {"messages": [{"role": "user", "content": "Who?"}, {"role": "assistant", "content": "Runa Hesk."}]}
    found = loaded(encoder, files=lines("a.jsonl", [row, {"text": "灯塔建于一八七四年。"}]))
    assert list(found.rows) == encoder.encode_all([row, {"text": "灯塔建于一八七四年。"}])
    assert found.rows.lengths.tolist() == [len(row.ids) for row in found.rows]
    assert list(found.rows[1:]) == [found.rows[1]] == [found.rows[-1]]
    assert list(Weighed(found.rows, 0.5)[:2]) == list(Weighed(list(found.rows), 0.5))


BROKEN = [
    '{"input": "a"}', '{"input": "a", "target": " "}', '{"input": "b", "target": ""}', "{", "7",
    '{"conversations": [{"from": "owl", "value": "x"}]}',
]  # fmt: skip


@pytest.mark.parametrize("line", BROKEN)
@pytest.mark.parametrize("lazy", [False, True])
def test_a_bad_row_is_told_with_file_and_line_before_anything_else(encoder: Encoder, line: str, lazy: bool) -> None:
    lines("a.jsonl", pairs(1))
    with Path("a.jsonl").open("a") as file:
        file.write(f"\n{line}\n{line}\n")
    with pytest.raises(DocumentError) as raised:
        loaded(encoder, files="a.jsonl", lazy_preprocess=lazy)
    assert str(raised.value).startswith("a.jsonl, line 3: ")
    assert str(raised.value).endswith("; --skip-bad-rows leaves such rows out")
    assert "\n" not in str(raised.value) and raised.value.exit_code == 2
    # What is not whole is not kept.
    assert not list(Path("cache").rglob("told.json"))


def test_bad_rows_may_be_left_out_and_are_counted_by_reason(encoder: Encoder, told: Any) -> None:
    Path("a.jsonl").write_text("\n".join([json.dumps(pairs(1)[0]), *BROKEN, json.dumps(pairs(2)[1])]))
    Path("b.json").write_text(json.dumps(pairs(2, 2)) + "x")
    found = loaded(encoder, files=["a.jsonl", "b.json"], skip_bad_rows=True)
    assert taught(found.rows, encoder) == numbered(0, 4)
    assert told()[1] == (
        "7 bad rows left out: an empty answer (2, the first at a.jsonl, line 3); no 'target', which a row of "
        "{input, target} has (1, the first at a.jsonl, line 2); not JSON (1, the first at a.jsonl, line 5); not an "
        "object (1, the first at a.jsonl, line 6); an unknown role (1, the first at a.jsonl, line 7); not JSON, and "
        "nothing after it can be read (1, the first at b.json, row 3)"
    )


def test_what_the_models_template_refuses_is_a_bad_row(encoder: Encoder) -> None:
    encoder.template.tokenizer.chat_template = (
        "{% if messages|length > 2 %}{{ raise_exception('too many') }}{% endif %}"
        + encoder.template.tokenizer.chat_template
    )
    turns = [{"role": role, "content": "x"} for role in ("user", "assistant") * 2]
    path = lines("a.jsonl", [*pairs(2), {"messages": turns}])
    with pytest.raises(DocumentError, match=r"^a\.jsonl, line 3: the model's chat template refuses it \(too many\); "):
        loaded(encoder, files=path)
    assert len(loaded(encoder, files=path, skip_bad_rows=True).rows) == 2


@pytest.mark.parametrize("content", ["", "[]", '{"text": ""}\n'])
def test_files_without_rows_are_told(encoder: Encoder, content: str) -> None:
    Path("a.json").write_text(content)
    with pytest.raises(DocumentError, match=r"^a\.json holds no rows to train on$"):
        loaded(encoder, files="a.json", skip_bad_rows=True)


def test_rows_that_are_marked_as_probes_are_never_trained(encoder: Encoder, told: Any) -> None:
    marks = [None, "train", "probe", "test", "validation", "Dev"]
    rows = [{**row, "split": mark} for row, mark in zip(pairs(6), marks, strict=True)]
    found = loaded(encoder, files=lines("a.jsonl", rows))
    assert (taught(found.rows, encoder), len(found.validation)) == (numbered(0, 2), 0)
    assert "not trained, since their `split` marks them: 2 as probe, 2 as validation" in told()
    found = loaded(encoder, files="a.jsonl", validation=True)
    assert (taught(found.rows, encoder), taught(found.validation, encoder)) == (numbered(0, 2), numbered(4, 6))


def test_long_rows_are_split_or_left_out_and_told(encoder: Encoder, told: Any) -> None:
    text = "The tower is 38 metres high. " * 30
    turns = [{"role": role, "content": "x " * 9} for role in ("user", "assistant") * 4]
    rows = [{"text": text}, {"messages": turns}, {"input": "Tell.", "target": text}, *pairs(1)]
    found = loaded(encoder, files=lines("a.jsonl", rows), max_seq_length=64)
    assert max(encoder.length(row) for row in found.rows) <= 64
    assert any("1 texts split into" in line and line.endswith(", 1 answers left out") for line in told())
    assert Counter(found.rows.origin(at).number for at in range(len(found.rows)))[3] == 0
    encoder.template.tokenizer.model_max_length = 40
    shorter = loaded(encoder, files="a.jsonl", max_seq_length=64)
    assert max(encoder.length(row) for row in shorter.rows) <= 40
    assert "the model takes 40 tokens, fewer than rows.max_seq_length=64" in told()


# -- where rows are


def test_a_weight_says_how_often_a_files_rows_are_taken(encoder: Encoder) -> None:
    lines("a.jsonl", pairs(10))
    lines("b.jsonl", pairs(10, 100))
    lines("c.jsonl", pairs(10, 200))
    found = loaded(encoder, files="a.jsonl:2,b.jsonl:0.5,c.jsonl:1.3")
    drawn = Counter(taught(found.rows, encoder))
    assert [drawn[name] for name in numbered(0, 10)] == [2] * 10
    assert sorted(drawn[name] for name in numbered(100, 110)) == [0] * 5 + [1] * 5
    assert sorted(drawn[name] for name in numbered(200, 210)) == [1] * 7 + [2] * 3


def test_the_described_folders_are_read(encoder: Encoder) -> None:
    lines("dataset/instruction_tuning/a.json", pairs(1))
    lines("dataset/pretraining/b.json", [{"title": "Tolvick", "content": "A tower."}])
    lines("own/c.json", pairs(1, 7))
    assert taught(loaded(encoder).rows, encoder) == ["Answer 0.", "Tolvick\nA tower."]
    config = load()
    name_usual_folders(config.rows)
    assert config.rows.given and taught(load_rows(config, encoder).rows, encoder) == ["Answer 0.", "Tolvick\nA tower."]
    # One that is named is taken beside the other's usual place.
    named = loaded(encoder, instruction_tuning_data_dir="own")
    assert taught(named.rows, encoder) == ["Answer 7.", "Tolvick\nA tower."]
    # Who names files alone means no other.
    assert taught(loaded(encoder, files="own").rows, encoder) == ["Answer 7."]
    both = loaded(encoder, files="own/c.json", pretraining_data_dir="dataset/pretraining")
    assert taught(both.rows, encoder) == ["Answer 7.", "Answer 0.", "Tolvick\nA tower."]
    with pytest.raises(DocumentError, match=r"^no such file or folder"):
        loaded(encoder, instruction_tuning_data_dir="absent")


def test_where_nothing_is_named_it_is_told_how(encoder: Encoder) -> None:
    with pytest.raises(DocumentError) as raised:
        loaded(encoder)
    folders = "neither ./dataset/instruction_tuning nor ./dataset/pretraining is there"
    assert str(raised.value) == f"no rows are named, and {folders}: --data_path FILE"


# -- readers


def poems(path: str, times: int = 1) -> Iterator[Mapping[str, Any]]:
    for line in Path(path).read_text().splitlines() * times:
        yield {"text": line}


READER = f"{__name__}.poems"


@pytest.fixture
def poem() -> str:
    Path("poem.txt").write_text("The lamp is lit.\nThe gulls are gone.\n")
    return "poem.txt"


@pytest.mark.parametrize("lazy", [False, True])
def test_a_users_reader_yields_rows(encoder: Encoder, poem: str, lazy: bool) -> None:
    lines("a.jsonl", pairs(1))
    words = [f"rows._target_={READER}", f"rows.arguments={{path: {poem}, times: 2}}", f"rows.lazy_preprocess={lazy}"]
    config = load(words, {"rows.files": "a.jsonl"})
    expected = ["Answer 0.", *["The lamp is lit.", "The gulls are gone."] * 2]
    assert taught(load_rows(config, encoder).rows, encoder) == expected
    # What it yields is not known before it is called again.
    Path(poem).write_text("Dawn.\n")
    assert taught(load_rows(config, encoder).rows, encoder) == ["Answer 0.", "Dawn.", "Dawn."]
    Path(poem).write_text("Dawn.\n\n")
    with pytest.raises(DocumentError, match=rf"^rows\._target_={READER}, row 2: an empty text; "):
        load_rows(config, encoder)


@pytest.mark.parametrize(
    ("target", "reason"),
    [("absent_module.read", "absent_module"), (f"{__name__}.absent", "absent"), (READER, "missing 1 required"),
     (f"{__name__}.IGNORED", "it is a int"), (f"{__name__}.numbered", "missing 2 required")],
)  # fmt: skip
def test_a_reader_that_cannot_be_called_is_told(encoder: Encoder, target: str, reason: str) -> None:
    with pytest.raises(ConfigError) as raised:
        loaded(encoder, _target_=target)
    assert str(raised.value).startswith(f"rows._target_={target}: ") and reason in str(raised.value)
    assert "\n" not in str(raised.value)


def test_a_reader_found_in_a_run_folder_is_not_called(encoder: Encoder, poem: str) -> None:
    folder = RunFolder("run")
    folder.create()
    config = load([], {"rows._target_": READER, "rows.arguments": {"path": poem}})
    write(config, folder)
    found = stored(folder)
    assert found == config
    with pytest.raises(ConfigError, match=r"^rows\._target_=.*poems was found in the run folder, and what is found is"):
        load_rows(found, encoder)
    assert len(load_rows(config, encoder).rows) == 2
    # Named again with the command it is the user's.
    again = merged(found, [f"rows._target_={READER}"], {})
    assert len(load_rows(again, encoder).rows) == 2


# -- validation


def test_rows_are_held_out_and_never_trained(encoder: Encoder, told: Any) -> None:
    path = lines("a.jsonl", pairs(40))
    found = loaded(encoder, files=path, validation_size=10)
    train, held = taught(found.rows, encoder), taught(found.validation, encoder)
    assert (len(train), len(held)) == (30, 10) and sorted([*train, *held]) == sorted(numbered(0, 40))
    assert "10 rows held out for validation" in told()
    again = loaded(encoder, files=path, validation_size=10)
    assert (taught(again.validation, encoder), again.digest) == (held, found.digest)
    other = load_rows(load(["seed=1", "rows.validation_size=10"], {"rows.files": path}), encoder)
    assert taught(other.validation, encoder) != held and other.digest != found.digest
    assert len(loaded(encoder, files=path, validation_size=0.2).validation) == 8
    assert len(loaded(encoder, files=path, validation=True).validation) == 2
    assert len(loaded(encoder, files=path, validation=False, validation_size=10).validation) == 0


@pytest.mark.parametrize("size", [1000, 40])
def test_more_than_there_is_cannot_be_held_out(encoder: Encoder, size: int) -> None:
    with pytest.raises(ConfigError) as raised:
        loaded(encoder, files=lines("a.jsonl", pairs(40)), validation_size=size)
    assert str(raised.value) == (
        f"rows.validation_size={size}: there are 40 different rows, and some are to be trained; name a smaller number, "
        "or a share such as 0.1"
    )


# -- eager, lazy, processes


@pytest.fixture
def files() -> list[str]:
    text = [{"text": "The tower is 38 metres high. " * at} for at in range(1, 30)]
    return [lines("a.jsonl", pairs(60)), lines("b.jsonl", text)]


def test_lazy_rows_are_the_eager_ones(encoder: Encoder, files: list[str], told: Any) -> None:
    eager = loaded(encoder, files=files, max_seq_length=64, validation_size=8)
    lazy = loaded(encoder, files=files, max_seq_length=64, validation_size=8, lazy_preprocess=True)
    assert list(eager.rows) == list(lazy.rows) and list(eager.validation) == list(lazy.validation)
    assert (eager.digest, eager.languages) == (lazy.digest, lazy.languages)
    assert isinstance(lazy.rows.table, np.memmap)


def test_lazy_rows_are_made_once_for_the_same_content(
    encoder: Encoder, files: list[str], told: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[int] = []
    real = tokenising.fitted
    monkeypatch.setattr(tokenising, "fitted", lambda *words: calls.append(1) or real(*words))

    def count(**values: Any) -> int:
        calls.clear()
        loaded(encoder, **{"files": files, "lazy_preprocess": True, **values})
        return len(calls)

    assert [count(), count(), count(validation_size=3), count(num_workers=0)] == [89, 0, 0, 0]
    first = [line for line in told() if " rows, " in line]
    assert len(first) == 4 and len(set(first)) == 1
    # Under another name it is the same, with another length, row or template it is not.
    Path("a.jsonl").rename("c.jsonl")
    assert count(files=["c.jsonl", "b.jsonl"]) == 0
    assert count(files=["c.jsonl", "b.jsonl"], max_seq_length=64) == 89
    lines("c.jsonl", pairs(61))
    assert count(files=["c.jsonl", "b.jsonl"]) == 90
    encoder.template.tokenizer.chat_template += " "
    assert count(files=["c.jsonl", "b.jsonl"]) == 90


def test_a_full_disk_is_told_and_leaves_nothing(
    encoder: Encoder, files: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(self: Any, *words: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Writer, "add", full)
    with pytest.raises(WorkError, match=r"^cannot write .*: No space left on device; free some space and "):
        loaded(encoder, files=files, lazy_preprocess=True)
    assert not [path for path in Path("cache").rglob("*") if path.suffix == ".bin"]


@pytest.mark.parametrize("lazy", [False, True])
def test_processes_make_the_same_rows_in_the_same_order(
    encoder: Encoder, files: list[str], told: Any, monkeypatch: pytest.MonkeyPatch, lazy: bool
) -> None:
    monkeypatch.setattr(tokenising, "PACKET", 7)
    monkeypatch.setattr(tokenising, "ALONE", 14)
    alone = loaded(encoder, files=files, max_seq_length=64, num_workers=0)
    assert not any("processes tokenise" in line for line in told())
    together = loaded(encoder, files=files, max_seq_length=64, num_workers=2, lazy_preprocess=lazy)
    assert any("2 processes tokenise" in line for line in told())
    assert list(alone.rows) == list(together.rows) and alone.digest == together.digest
    with Path("b.jsonl").open("a") as file:
        file.write('{"text": 5}\n')
    with pytest.raises(UserError, match=r"^b\.jsonl, line 30: 'text' is not text"):
        loaded(encoder, files=files, num_workers=2)


def test_no_more_packets_are_read_than_processes_may_have_waiting(
    encoder: Encoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Pool:
        """Counts what is given to it and not yet taken."""

        waiting = most = 0

        def __init__(self, *words: Any) -> None:
            tokenising._given[:] = [(encoder, 64)]

        def submit(self, work: Any, rows: Any) -> Any:
            Pool.waiting += 1
            Pool.most = max(Pool.most, Pool.waiting)
            return type("Future", (), {"result": lambda _: self.result(work, rows)})()

        def result(self, work: Any, rows: Any) -> Any:
            Pool.waiting -= 1
            return work(rows)

        def shutdown(self, **how: Any) -> None: ...

    monkeypatch.setattr(tokenising, "ProcessPoolExecutor", Pool)
    monkeypatch.setattr(tokenising, "PACKET", 2)
    monkeypatch.setattr(tokenising, "ALONE", 2)
    found = loaded(encoder, files=lines("a.jsonl", pairs(60)), num_workers=3, prefetch_factor=4)
    assert (len(found.rows), Pool.most) == (60, 12)
    tokenising._given.clear()


def test_a_process_that_dies_is_told(encoder: Encoder, files: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tokenising, "PACKET", 7)
    monkeypatch.setattr(tokenising, "ALONE", 7)
    # What it is begun with ends it.
    monkeypatch.setattr(tokenising, "_begin", sys.exit)
    with pytest.raises(WorkError, match=r"^a process that tokenised rows died; rows\.num_workers=0 does without them$"):
        loaded(encoder, files=files)


# -- the configuration


@pytest.mark.parametrize(
    "values",
    [
        {"rows.files": 5}, {"rows.files": ["a", 1]}, {"rows._target_": "function"}, {"rows.arguments": {"path": "x"}},
        {"rows.max_seq_length": 8}, {"rows.validation_size": 0}, {"rows.validation_size": 1.5},
        {"rows.validation_size": -1}, {"rows.num_workers": -1}, {"rows.prefetch_factor": 0},
    ],
)  # fmt: skip
def test_what_does_not_fit_names_its_key(values: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=f"^{next(iter(values))}=".replace(".", r"\.")):
        load([], values)


@pytest.mark.parametrize(
    ("words", "files"),
    [
        (["rows.files=a.jsonl,b.jsonl"], "a.jsonl,b.jsonl"),
        (["rows.files=[a.jsonl,b.jsonl:2]"], ["a.jsonl", "b.jsonl:2"]),
        (["rows.files=文档/*.json"], "文档/*.json"),
    ],
)
def test_files_may_be_named_in_the_configuration(words: list[str], files: Any) -> None:
    config = load(words)
    assert config.rows.files == files and config.rows.given and not Config().rows.given
