"""Answers are kept as long as they are to what is asked, and only what is missing is asked."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from planted import CONFIG, HUMAN, source

from knowledge_update.config import Config, EvaluationConfig, InferenceConfig, ModelConfig
from knowledge_update.evaluation.answers import run_base
from knowledge_update.evaluation.exam import exam
from knowledge_update.inference import Generator, Prompt
from knowledge_update.ledger import ChunkRow, DocumentRow, Ledger
from knowledge_update.models import load_tokenizer, resolve
from knowledge_update.run_folder import RunFolder, read_json, read_rows, write_rows

ASKED = ("base", "open_book", "base_retrieval")


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    return source(tmp_path / "run")


@pytest.fixture
def config(tiny_model: str) -> Config:
    model, inference = ModelConfig(tiny_model, dtype="float32"), InferenceConfig(max_new_tokens=3)
    few = EvaluationConfig(200, False, trained=2, unanswerable=2, retrieval=2)
    return replace(CONFIG, model=model, inference=inference, evaluation=few)


def marked(folder: RunFolder) -> dict[str, set[str]]:
    """Marks every answer that there is; returns to what questions they are."""
    found = {}
    for name in ASKED:
        rows = read_rows(folder.answers(name))
        write_rows(folder.answers(name), [{**row, "response": "kept"} for row in rows])
        found[name] = {row["id"] for row in rows}
    return found


def answered(folder: RunFolder, name: str, *, kept: bool) -> set[str]:
    return {row["id"] for row in read_rows(folder.answers(name)) if (row["response"] == "kept") is kept}


def test_a_larger_exam_asks_what_is_new_and_a_smaller_one_nothing(folder: RunFolder, config: Config) -> None:
    asked = run_base(config, folder)
    assert (asked.base, asked.open_book) == (12 + 3 + 2 + 2, 12 + 3 + 2)
    taken = [read_json(folder.answers(name).with_suffix(".seconds.json")) for name in ("base", "base_retrieval")]
    assert asked.seconds == sum(taken) > 0
    before = marked(folder)
    larger = replace(config, evaluation=EvaluationConfig(200, False, trained=5, unanswerable=6, retrieval=4))
    run_base(larger, folder)
    for name in ASKED:
        wanted = {row["id"] for row in exam(larger, folder).of(name)}
        assert before[name] < wanted
        assert answered(folder, name, kept=True) == before[name]
        assert answered(folder, name, kept=False) == wanted - before[name]
    run_base(config, folder)
    assert {name: answered(folder, name, kept=True) for name in ASKED} == before
    assert not any(answered(folder, name, kept=False) for name in ASKED)


def test_a_question_that_was_changed_is_asked_again(folder: RunFolder, config: Config) -> None:
    run_base(config, folder)
    before = marked(folder)
    changed = {**HUMAN[0], "question": "When did Hesk build it?"}
    right = {**HUMAN[1], "answers": ["the bridge", "a bridge"]}
    write_rows(folder.dataset("questions"), [changed, right, HUMAN[2]])
    run_base(config, folder)
    assert answered(folder, "base", kept=False) == {"q1"}
    assert answered(folder, "base", kept=True) == before["base"] - {"q1"}
    rows = {row["id"]: row for row in read_rows(folder.answers("base"))}
    assert rows["q2"]["answers"] == ["the bridge", "a bridge"], "what is right is set right without asking"


def test_a_torn_journal_goes_on(folder: RunFolder, config: Config) -> None:
    run_base(config, folder)
    before = {name: {row["id"]: row["response"] for row in read_rows(folder.answers(name))} for name in ASKED}
    for name in ASKED:
        lines = folder.answers(name).read_bytes().splitlines(keepends=True)
        folder.answers(name).write_bytes(b"".join(lines[:2]) + lines[2][:9])
    run_base(config, folder)
    assert {name: {row["id"]: row["response"] for row in read_rows(folder.answers(name))} for name in ASKED} == before


def test_answers_of_another_model_are_not_kept(folder: RunFolder, config: Config) -> None:
    run_base(config, folder)
    marked(folder)
    run_base(replace(config, inference=InferenceConfig(max_new_tokens=2)), folder)
    assert not any(answered(folder, name, kept=True) for name in ASKED)


def test_an_answer_may_be_as_long_as_what_is_right(
    folder: RunFolder, config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    long = {**HUMAN[0], "answers": ["bridge", "the bridge over the river " * 3]}
    page = {**HUMAN[1], "answers": ["the bridge over the river " * 900]}
    write_rows(folder.dataset("questions"), [long, page, *HUMAN[2:]])
    told: dict[str, int] = {}

    def noted(self: Generator, prompts: Sequence[Prompt]) -> Iterator[list[tuple[str, str]]]:
        told.update({prompt.id: max(self.max_new_tokens, prompt.room) for prompt in prompts})
        yield [(prompt.id, "") for prompt in prompts]

    monkeypatch.setattr(Generator, "answers", noted)
    run_base(config, folder)
    tokens = load_tokenizer(resolve(config.model.name)).encode(long["answers"][1], add_special_tokens=False)
    assert told["q1"] > len(tokens) > config.inference.max_new_tokens
    assert told[page["id"]] == 128, "a page given as an answer does not make every model write a page"
    nothing = next(identity for identity, room in told.items() if room == config.inference.max_new_tokens)
    assert nothing not in {row["id"] for row in HUMAN}, "only of what has no right answer it is the setting alone"


def test_with_other_passages_only_searches_are_asked_again(folder: RunFolder, config: Config) -> None:
    with Ledger(folder.ledger) as ledger:
        row = DocumentRow("e", "coast", "coast.txt", "The coast", "text/plain", "en")
        ledger.add(row, [ChunkRow("c2", "The coast is built of stone.", "e", 0, 28, "")], [], [], [])
    run_base(config, folder)
    before = marked(folder)
    run_base(replace(config, evaluation=replace(config.evaluation, passages=1)), folder)
    assert answered(folder, "base", kept=True) == before["base"]
    assert answered(folder, "base_retrieval", kept=False) == before["base_retrieval"]
