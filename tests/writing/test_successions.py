"""Superseded facts are taught as changed, in their language, with the dates that are known, and only so."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from knowledge_update.composition import load
from knowledge_update.ledger import Ledger
from knowledge_update.pipeline import collect, run_stage
from knowledge_update.run_folder import Row, RunFolder, read_rows
from knowledge_update.writing.successions import differing, spelled, successions

ENGLISH = "{front}Tolvick Lighthouse\n\nThe tower of Tolvick Lighthouse is {high} metres high. It has a red roof."
CHINESE = "灰灯塔\n\n灰灯塔建于{year}年。灰灯塔的馆长是{keeper}。"


def collected(folder: RunFolder, documents: Path, model: str, **texts: str) -> list[Row]:
    """The trained rows of a folder of documents as they are now."""
    documents.mkdir(exist_ok=True)
    for name, text in texts.items():
        (documents / f"{name}.txt").write_text(text, encoding="utf-8")
    run_stage(collect, load([f"model={model}"], {"documents": str(documents)}), folder)
    return read_rows(folder.dataset("train"))


def said(rows: Sequence[Row]) -> list[tuple[str, ...]]:
    """What is taught of changes: a text, or a question and its answer."""
    return [
        (row["text"],) if "text" in row else tuple(message["content"] for message in row["messages"])
        for row in rows if row["wording"] == "changed"
    ]  # fmt: skip


@pytest.fixture
def places(tmp_path: Path) -> tuple[RunFolder, Path]:
    return RunFolder(tmp_path / "run"), tmp_path / "docs"


def test_a_first_collection_teaches_no_changes(places: tuple[RunFolder, Path], tiny_model: str) -> None:
    assert said(collected(*places, tiny_model, a=ENGLISH.format(front="", high=38))) == []


def test_what_was_superseded_is_told_as_past_with_its_date(places: tuple[RunFolder, Path], tiny_model: str) -> None:
    collected(*places, tiny_model, a=ENGLISH.format(front="", high=38))
    dated = ENGLISH.format(front="---\ndate: 2024-05-17\n---\n", high=41)
    rows = collected(*places, tiny_model, a=dated)
    told = "Until 17 May 2024 it was 38 metres; now it is 41 metres."
    assert said(rows) == [
        (f"The tower of Tolvick Lighthouse is 41 metres high. {told}",),
        ("What was it before it changed: How high is the tower of Tolvick Lighthouse?", told),
        ("Is this still so: The tower of Tolvick Lighthouse is 38 metres high.",
         "No, since 17 May 2024 it is 41 metres."),
    ]  # fmt: skip
    others = [row for row in rows if row["wording"] != "changed"]
    assert "38" not in str([{**row, "id": "", "fact": ""} for row in others]), (
        "its own questions are not trained any more"
    )
    assert "41 metres" in str(others)
    probes = [row for row in read_rows(places[0].dataset("probes")) if "high" in row["question"]]
    assert [row["answers"] for row in probes] == [["41 metres"]], "the exam asks what is so now"


def test_chinese_changes_are_told_in_chinese(places: tuple[RunFolder, Path], tiny_model: str) -> None:
    collected(*places, tiny_model, a=CHINESE.format(year=1874, keeper="林晓"))
    told = said(collected(*places, tiny_model, a=CHINESE.format(year=1875, keeper="王强")))
    assert ("灰灯塔建于1875年。以前是1874年，现在是1875年。",) in told
    assert ("变更以前是怎样的：灰灯塔的馆长是谁？", "以前是林晓，现在是王强。") in told
    assert ("现在还是这样吗：灰灯塔的馆长是林晓。", "不是，现在是王强。") in told
    assert len(told) == 6


def test_of_several_changes_each_held_until_the_next_and_the_last_is_what_was_before(
    places: tuple[RunFolder, Path], tiny_model: str
) -> None:
    for year, high in ((2019, 38), (2021, 39), (2024, 41)):
        rows = collected(*places, tiny_model, a=ENGLISH.format(front=f"---\ndate: {year}\n---\n", high=high))
    told = said(rows)
    texts = [pair[0] for pair in told if len(pair) == 1]
    assert [text.partition("high. ")[2] for text in texts] == [
        "Until 2021 it was 38 metres; now it is 41 metres.", "Until 2024 it was 39 metres; now it is 41 metres.",
    ]  # fmt: skip
    before = [pair for pair in told if pair[0].startswith("What was it")]
    assert [pair[1] for pair in before] == ["Until 2024 it was 39 metres; now it is 41 metres."]
    still = [pair[1] for pair in told if pair[0].startswith("Is this")]
    assert still == ["No, since 2024 it is 41 metres."] * 2
    # Back to what it was: nothing of what is so now is told as past.
    rows = collected(*places, tiny_model, a=ENGLISH.format(front="---\ndate: 2019\n---\n", high=38))
    assert {pair[-1] for pair in said(rows) if pair[0].startswith("Is this")} == {"No, now it is 38 metres."}
    with Ledger(places[0].ledger) as ledger:
        assert {each.present for each in successions(ledger)} == {"38 metres"}


@pytest.mark.parametrize(
    ("old", "new", "values"),
    [
        ("The lamp burns oil.", "The lamp burns gas.", ("oil", "gas")),
        ("It rose to 3.5 %, they say.", "It rose to 4.1 %, they say.", ("3.5", "4.1")),
        ("灯塔高38米，白色。", "灯塔高41米，白色。", ("38", "41")),
        ("The lamp burns oil.", "The lamp burns.", ("", "")),
        ("The lamp burns oil.", "A new keeper came to the rock in May.", ("", "")),
        ("The lamp burns oil.", "The lamp burns oil.", ("", "")),
    ],
)
def test_the_place_in_which_two_sentences_differ(old: str, new: str, values: tuple[str, str]) -> None:
    assert differing(old, new) == values


def test_dates_are_written_as_people_do() -> None:
    dates = ("2024-05-17", "2024-05", "2024", "")
    assert [spelled(date, "en") for date in dates] == ["17 May 2024", "May 2024", "2024", ""]
    assert [spelled(date, "zh") for date in dates] == ["2024年5月17日", "2024年5月", "2024年", ""]
