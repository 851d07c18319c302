"""A person edits, rejects and adds; what was said stays, and what cannot be entered changes nothing."""

import json
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from knowledge_update.facts import sheets
from knowledge_update.facts.changes import COLUMNS

Kupdate = Callable[..., tuple[int, str, str]]
HIGH = "The tower of Tolvick Lighthouse is 38 metres high."
Rows = list[dict[str, str]]


@pytest.fixture
def collect(kupdate: Kupdate, docs: Path, tiny_model: str) -> Callable[[], None]:
    def run() -> None:
        code, _, stderr = kupdate("collect", docs, f"model={tiny_model}", "--out", "out")
        assert code == 0, stderr

    return run


@pytest.fixture
def sheet(kupdate: Kupdate, collect: Callable[[], None], tmp_path: Path) -> Rows:
    """The rows of an exported sheet."""
    collect()
    assert kupdate("facts", "export", "out", "sheet.jsonl")[0] == 0
    return [row for _, row in sheets.read(tmp_path / "sheet.jsonl")]


def take_back(kupdate: Kupdate, rows: Rows, ending: str = "jsonl") -> tuple[int, str, str]:
    path = Path.cwd() / f"edited.{ending}"
    sheets.write(path, COLUMNS, rows)
    return kupdate("facts", "import", "out", path.name)


def tables(tmp_path: Path) -> dict[str, Any]:
    with sqlite3.connect(tmp_path / "out" / "ledger.sqlite") as db:
        names = ("fact", "question", "edit")
        content: dict[str, Any] = {name: sorted(db.execute(f"SELECT * FROM {name}")) for name in names}
    db.close()
    return content | {p.name: p.read_bytes() for p in sorted((tmp_path / "out" / "dataset").iterdir())}


def dataset(tmp_path: Path) -> Rows:
    lines = (tmp_path / "out" / "dataset" / "qa_pairs.jsonl").read_text(encoding="utf-8").splitlines()
    pairs = (json.loads(line) for line in lines)
    return [
        {"fact": p["fact"], "question": p["conversations"][0]["value"], "answer": p["conversations"][1]["value"],
         "split": p["split"]}
        for p in pairs
    ]  # fmt: skip


def of(rows: Rows, fact: str) -> Rows:
    return [row for row in rows if row["fact"] == fact]


@pytest.mark.parametrize("ending", ["xlsx", "csv", "jsonl"])
def test_a_sheet_without_an_edit_changes_nothing(
    kupdate: Kupdate, collect: Callable[[], None], tmp_path: Path, ending: str
) -> None:
    collect()
    before = tables(tmp_path)
    assert kupdate("facts", "out", "--export", f"sheet.{ending}")[0] == 0
    code, stdout, stderr = kupdate("facts", "out", "--import", f"sheet.{ending}")
    assert (code, stderr) == (0, "")
    count = sum(1 for _ in sheets.read(tmp_path / f"sheet.{ending}"))
    assert stdout == f"{count} rows unchanged\n"
    assert tables(tmp_path) == before


def test_what_a_person_said_is_in_the_dataset_and_stays_there(
    kupdate: Kupdate, collect: Callable[[], None], sheet: Rows, docs: Path, tmp_path: Path
) -> None:
    edited, rejected = "The tower of Tolvick Lighthouse is 39 metres high.", sheet[-1]["fact"]
    pair = next(row for row in sheet if row["fact"] not in (HIGH, rejected) and row["split"] == "train")
    for row in sheet:
        if row["fact"] == HIGH:
            row["fact"] = edited
            row["question"], row["answer"] = (row[name].replace("38", "39") for name in ("question", "answer"))
        if row["fact"] == rejected:
            row["reject"] = "fact"
    pair["reject"] = "x"
    blank = dict.fromkeys(COLUMNS, "")
    added = {**blank, "document": "tolvick.txt", "fact": "Odd Varne repaired the lamp of Tolvick in 1922.",
             "quote": "Odd Varne repaired the lamp in 1922"}  # fmt: skip
    new = [
        {**added, "question": f"{asked} the lamp of Tolvick?", "answer": "Odd Varne"}
        for asked in ("Who mended", "By whom was kept")
    ]
    more = {
        **blank,
        "fact_id": of(sheet, edited)[0]["fact_id"],
        "question": "How tall is Tolvick?",
        "answer": "39 metres",
    }
    code, stdout, stderr = take_back(kupdate, [*sheet, *new, more], "xlsx")
    assert (code, stderr) == (0, "")
    count = len(of(sheet, edited))
    assert stdout.startswith(
        f"1 facts and {count} pairs edited, 1 facts and 1 pairs rejected, 1 facts and 3 pairs added"
    )

    def check(others: bool = True) -> None:
        pairs = dataset(tmp_path)
        assert not of(pairs, HIGH)
        assert not of(pairs, rejected)
        assert {"How tall is Tolvick?"} < {row["question"] for row in of(pairs, edited)}
        assert all("38" not in row["question"] + row["answer"] for row in of(pairs, edited))
        assert [row["split"] for row in sorted(of(pairs, added["fact"]), key=lambda r: r["split"])] == [
            "probe",
            "train",
        ]
        train = (tmp_path / "out" / "dataset" / "train.jsonl").read_text(encoding="utf-8")
        assert "38 metres" not in train
        if others:
            assert pair["question"] not in {row["question"] for row in of(pairs, pair["fact"])}

    check()
    before = tables(tmp_path)
    collect()
    assert tables(tmp_path) == before, "collecting again changes nothing"
    (docs / "tolvick.txt").write_text(
        (docs / "tolvick.txt").read_text(encoding="utf-8") + "\nThe cape is bare.\n", encoding="utf-8"
    )
    (docs / "varrow.md").write_text(
        (docs / "varrow.md").read_text(encoding="utf-8").replace("1889", "1890"), encoding="utf-8"
    )
    (docs / "new.txt").write_text("Ansgild Bridge\n\nThe bridge was opened in 1931.", encoding="utf-8")
    collect()
    check(others=pair["document"] == "dunhask.html")


def test_what_was_rejected_can_be_taken_back(kupdate: Kupdate, sheet: Rows, tmp_path: Path) -> None:
    before = tables(tmp_path)
    sheet[0]["reject"], sheet[-1]["reject"] = "pair", "fact"
    assert take_back(kupdate, sheet)[1].startswith("1 facts and 1 pairs rejected")
    assert kupdate("facts", "export", "out", "again.csv")[0] == 0
    rows = [row for _, row in sheets.read(tmp_path / "again.csv")]
    rejects = {row["question_id"]: row["reject"] for row in rows}
    assert rejects[sheet[0]["question_id"]] == "pair"
    assert {row["reject"] for row in of(rows, sheet[-1]["fact"])} == {"fact"}
    assert {row["status"] for row in of(rows, sheet[-1]["fact"])} == {"rejected"}
    assert kupdate("facts", "import", "out", "again.csv")[1] == f"{len(rows)} rows unchanged\n"
    for row in rows:
        row["reject"] = ""
    assert take_back(kupdate, rows)[1].startswith("1 facts and 1 pairs taken back")
    after = tables(tmp_path)
    assert {name: after[name] for name in before if name != "edit"} == {n: before[n] for n in before if n != "edit"}


def test_adding_the_same_twice_adds_it_once(kupdate: Kupdate, sheet: Rows, tmp_path: Path) -> None:
    blank = dict.fromkeys(COLUMNS, "")
    fact = {**blank, "document": "tolvick", "fact": "Odd Varne repaired the lamp of Tolvick.",
            "quote": "Odd Varne repaired the lamp in 1922"}  # fmt: skip
    pair = {**fact, "question": "Who repaired the lamp of Tolvick?", "answer": "Odd Varne"}
    assert "1 facts and 1 pairs added" in take_back(kupdate, [*sheet, pair, pair])[1]
    before = tables(tmp_path)
    assert take_back(kupdate, [*sheet, pair])[1] == f"{len(sheet) + 1} rows unchanged\n"
    assert tables(tmp_path) == before


@pytest.mark.parametrize(
    ("edit", "told"),
    [
        ({"reject": "maybe"}, "reject is 'maybe': fact, pair or empty"),
        ({"fact": " "}, "fact is empty: to leave it out, write fact or pair into reject"),
        ({"answer": ""}, "a pair needs a question and an answer; to leave it out, write pair into reject"),
        ({"fact_id": "f9"}, "there is no fact 'f9' in the ledger"),
        ({"fact_id": ""}, "a row with a question_id needs its fact_id"),
        ({"question_id": "q9"}, "there is no question 'q9' about fact "),
        ({"split": "validation"}, "for good: what was trained cannot be an exam"),
        ({"quote": "No such words"}, "the quote is not in the fact's passage, word for word"),
        ({"fact_id": "", "question_id": "", "document": "x"}, "a new fact names its document; 'x' is none of this run"),
        ({"fact_id": "", "question_id": "", "quote": "Not there"}, "a new fact needs a quote that stands in "),
        ({"fact": "The tower of Tolvick Lighthouse is 39 metres high."}, "says '38"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_a_line_that_cannot_be_used_is_told_and_nothing_is_changed(
    kupdate: Kupdate, sheet: Rows, tmp_path: Path, edit: dict[str, str], told: str
) -> None:
    before = tables(tmp_path)
    at = next(number for number, row in enumerate(sheet) if row["fact"] == HIGH and "38" in row["answer"])
    sheet[at].update(edit)
    sheet[-1]["reject"] = "fact"
    code, _, stderr = take_back(kupdate, sheet, "csv")
    assert (code, stderr.count("\n")) == (2, 1)
    assert stderr.startswith("kupdate: edited.csv line ") or "/edited.csv line " in stderr
    assert told in stderr
    assert "nothing was changed" in stderr
    assert tables(tmp_path) == before


def test_a_sheet_that_lacks_columns_and_two_wishes_at_once(kupdate: Kupdate, sheet: Rows, tmp_path: Path) -> None:
    (tmp_path / "few.csv").write_text("fact,answer\na,b\n", encoding="utf-8")
    assert (
        "line 2: the columns lack fact_id, question_id, question, reject"
        in kupdate("facts", "import", "out", "few.csv")[2]
    )
    assert "one at a time: --missed or --export" in kupdate("facts", "out", "--missed", "--export", "a.csv")[2]
