"""Questions about what is not known: of every fact, in its language, and none of them or their names in the exam."""

import re
import shutil
from collections import Counter, defaultdict
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path

import pytest

import knowledge_update
from knowledge_update import pipeline
from knowledge_update.composition import load
from knowledge_update.config import Config
from knowledge_update.evaluation.exam import exam
from knowledge_update.evaluation.scoring import declines
from knowledge_update.ledger import ChunkRow, DocumentRow, Ledger
from knowledge_update.run_config import stored
from knowledge_update.run_folder import Row, RunFolder, read_rows
from knowledge_update.training import stage
from knowledge_update.training.rows import Encoder
from knowledge_update.training.taught import taught
from knowledge_update.training.unknown import ANSWERS, WORDINGS, unknown

ISLAND = Path(__file__).parents[2] / "examples" / "orvessay"
# All that the exam could ever ask.
WHOLE = ("evaluation.unanswerable=null", "evaluation.trained=null")


@pytest.fixture(scope="module")
def island(tiny_model: str, tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    """The example corpus, English and Chinese, collected."""
    folder = RunFolder(tmp_path_factory.mktemp("island") / "run")
    config = load([f"model={tiny_model}", *WHOLE], {"documents": str(ISLAND)})
    pipeline.run_stage(pipeline.collect, config, folder)
    return folder


@pytest.fixture(scope="module")
def few(collect: Callable[..., RunFolder]) -> RunFolder:
    """Three documents, one of them a table, collected."""
    return collect(*WHOLE)


@pytest.fixture(params=["island", "few"])
def folder(request: pytest.FixtureRequest) -> RunFolder:
    found: RunFolder = request.getfixturevalue(request.param)
    return found


def asked_of(row: Row) -> str:
    text: str = row["messages"][0]["content"]
    return text


def made_of(folder: RunFolder) -> list[Row]:
    return unknown(read_rows(folder.dataset("train")), folder)


def names(asked: str, made: str) -> set[str]:
    """What stands in a made question where the one it is made of has something else: words, or Chinese characters."""
    if not re.search("[\u4e00-\u9fff]", asked):
        return set(re.findall(r"\w+", made)) - set(re.findall(r"\w+", asked))
    start = next(at for at, (one, other) in enumerate(zip(asked, made, strict=False)) if one != other)
    return {re.split("面包坊", made[start:])[0]}


def test_neither_a_question_nor_a_name_is_one_of_the_exam(folder: RunFolder) -> None:
    trained = {row["id"]: asked_of(row) for row in read_rows(folder.dataset("train")) if "messages" in row}
    probes = {row["id"]: row["question"] for row in read_rows(folder.dataset("probes"))}
    whole = exam(stored(folder), folder)
    assert len(whole.unanswerable) > len(probes) / 2
    in_exam = {
        name for row in whole.unanswerable
        for name in names(probes[row["id"].removesuffix("-unanswerable")], row["question"])
    }  # fmt: skip
    made = made_of(folder)
    invented = {name for row in made for name in names(trained[row["id"]], asked_of(row))}
    assert len(in_exam) >= 10 and len(invented) > 5 * len(in_exam)
    assert not in_exam & invented
    documents = "\n".join(chunk.text for chunk in Ledger(folder.ledger).chunks()).lower()
    assert not [name for name in invented if name.lower() in re.findall(r"\w+", documents)]
    asked = {asked_of(row) for row in made}
    assert len(asked) == len(made)
    assert not asked & {row["question"] for row in whole.closed}
    assert not asked & {*trained.values(), *probes.values()}


def test_every_fact_is_asked_about_in_several_wordings(folder: RunFolder) -> None:
    trained = [row for row in read_rows(folder.dataset("train")) if "messages" in row]
    first = {row["fact"]: row["id"] for row in reversed(trained)}
    of_fact: dict[str, list[Row]] = defaultdict(list)
    for row in made_of(folder):
        of_fact[row["fact"]].append(row)
    assert len(of_fact) > 0.95 * len(first)
    assert max(map(len, of_fact.values())) == WORDINGS
    assert sum(first[fact] in {row["id"] for row in group} for fact, group in of_fact.items()) < 0.9 * len(first)
    wordings = Counter(row["wording"] for group in of_fact.values() for row in group)
    assert {"direct", "synonym", "converse", "completion", "titled", "about"} <= wordings.keys()
    assert not wordings.keys() & {"changed", "cloze", "indirect"}


def test_answers_say_in_the_language_of_the_question_that_it_is_not_known(island: RunFolder) -> None:
    said: dict[str, Counter[str]] = {"en": Counter(), "zh": Counter()}
    for row in made_of(island):
        answer = row["messages"][-1]["content"]
        assert declines(asked_of(row), answer)
        language = "zh" if re.search("[\u4e00-\u9fff]", asked_of(row)) else "en"
        said[language][answer] += 1
    assert {language: set(counts) for language, counts in said.items()} == {
        language: set(answers) for language, answers in ANSWERS.items()
    }
    assert min(said["en"].values()) > 0.15 * said["en"].total()


def test_what_names_something_real_besides_is_left_out(island: RunFolder) -> None:
    asked = [asked_of(row) for row in read_rows(island.dataset("train")) if "messages" in row]
    assert [text for text in asked if "“雾角”" in text and "戈斯菲尔德" in text]
    assert not [row for row in made_of(island) if "“雾角”" in asked_of(row) or "the Cow" in asked_of(row)]


def test_nothing_before_the_exam_takes_anything_from_it() -> None:
    package = Path(knowledge_update.__file__).parent
    files = [file for room in ("documents", "writing", "training") for file in (package / room).rglob("*.py")]
    assert len(files) > 80
    assert not [file for file in files if "knowledge_update.evaluation" in file.read_text(encoding="utf-8")]


def test_where_no_question_names_anything_it_is_said(
    few: RunFolder, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = RunFolder(tmp_path / "run")
    shutil.copytree(few.path, folder.path)
    rows = [row for row in read_rows(folder.dataset("train")) if "messages" in row][:3]
    for row in rows:
        row["messages"][0]["content"] = "What is it?"
    with caplog.at_level("INFO", logger="knowledge_update"):
        assert unknown(rows, folder) == []
    assert "0 questions about what is not known, made of those of 0 of 1 facts" in caplog.text


def test_rows_of_files_have_none_and_it_is_said(
    tiny_model: str, encoder: Encoder, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file = tmp_path / "rows.jsonl"
    file.write_text('{"instruction": "Who?", "output": "Runa"}\n')
    config = load([f"rows.files=[{file}]", f"model={tiny_model}"], {"documents": "unused"})
    with caplog.at_level("INFO", logger="knowledge_update"):
        assert not taught(config, RunFolder(tmp_path / "run"), encoder).unknown
    assert "rows of files name no facts: nothing asks about what is not known" in caplog.text


def test_another_share_and_other_names_are_another_training(
    few: RunFolder, encoder: Encoder, tiny_model: str, tmp_path: Path
) -> None:
    folder = RunFolder(tmp_path / "run")
    shutil.copytree(few.path, folder.path)

    def key(share: float) -> str:
        config = load([f"model={tiny_model}", f"training.unknown_share={share}"], {"documents": "unused"})
        return stage._key(config, taught(config, folder, encoder), tiny_model)

    keys = [key(share) for share in (0.0, 0.1, 0.2)]
    assert len(set(keys)) == 3 and keys == [key(share) for share in (0.0, 0.1, 0.2)]
    # A document without a fact leaves the dataset as it is, but what it names can no longer be invented.
    invented = asked_of(made_of(folder)[0])
    with Ledger(folder.ledger) as ledger:
        row = DocumentRow("d", "d", "d.txt", "D", "text/plain", "en")
        ledger.add(row, [ChunkRow("c", invented.lower(), "d", 0, len(invented), "")], [], [], [])
    assert key(0.0) == keys[0] and key(0.1) != keys[1]


def test_rows_stay_when_time_is_enough_for_some_facts_only(few: RunFolder, encoder: Encoder) -> None:
    rows = taught(load([], {"documents": "unused"}), few, encoder)
    assert len(rows.unknown) == len(made_of(few)) and rows.of(rows.facts[:2]).unknown == rows.unknown
    without = load(["training.unknown_share=0"], {"documents": "unused"})
    assert taught(without, few, encoder) == replace(rows, unknown=[])


def test_they_are_part_of_a_training_that_goes_on_after_a_kill(
    few: RunFolder, tiny_model: str, shared_docs: Path, tmp_path: Path,
    killed_after: Callable[[int], AbstractContextManager[None]],
) -> None:  # fmt: skip
    def trained(name: str, share: float, *, kill: bool = False) -> bytes:
        folder = RunFolder(tmp_path / name)
        if not folder.path.exists():
            shutil.copytree(few.path, folder.path)
            folder.config.unlink()
        config = config_of(share)
        if kill:
            with killed_after(2):
                pipeline.run_stage(pipeline.train, config, folder)
        pipeline.run_stage(pipeline.train, config, folder)
        return folder.losses.read_bytes()

    def config_of(share: float) -> Config:
        words = (
            f"model={tiny_model}", "model.dtype=float32", "training.replay_tokens=2", "training.checkpoint_seconds=0",
            "training.max_steps=6", f"training.unknown_share={share}",
        )  # fmt: skip
        return load(words, {"documents": str(shared_docs)})

    whole = trained("whole", 0.3)
    assert trained("killed", 0.3, kill=True) == whole
    assert trained("without", 0.0) != whole
