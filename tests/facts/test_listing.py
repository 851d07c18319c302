"""What `kupdate facts` shows: a part of it, all of it counted."""

from pathlib import Path

import pytest

from knowledge_update import display
from knowledge_update.errors import RunFolderError
from knowledge_update.facts.listing import View, show
from knowledge_update.ledger import ChunkRow, DocumentRow, Drop, FactRow, Ledger, QuestionRow
from knowledge_update.run_folder import RunFolder, write_rows
from knowledge_update.writing import dataset
from knowledge_update.writing.coverage import Coverage, coverage, drops_by_reason, total

LINES = ["The lamp burns oil.", "The tower is red.", "The cape is bare."]
TEXT = " ".join(LINES) + " Nothing."


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    """A ledger of two documents with three facts and no question, one and two about them."""
    found = RunFolder(tmp_path / "run")
    found.create()
    with Ledger(found.ledger) as ledger:
        row = DocumentRow("d", "tolvick", "tolvick.txt", "Tolvick", "text/plain", "en", date="2024")
        facts = [FactRow(f"f{n}", "c", line, line, TEXT.index(line), TEXT.index(line) + len(line))
                 for n, line in enumerate(LINES)]  # fmt: skip
        asked = [
            QuestionRow(f"q{n}", f"f{n // 2 + 1}", "probe", "what", "", "direct", f"What {n}?", str(n))
            for n in (0, 2, 3)
        ]
        unclear = [
            Drop("write", item, f"unresolved reference: {word}", "c") for item, word in (("x", "it"), ("y", "he"))
        ]
        drops = [*unclear, Drop("read", "z.png", "an image")]
        ledger.add(row, [ChunkRow("c", TEXT, "d", 0, len(TEXT), "")], facts, asked, drops)
        empty = DocumentRow("e", "empty", "empty.txt", "Empty", "text/plain", "en")
        ledger.add(empty, [ChunkRow("c2", "Hm. Yes!", "e", 0, 8, "")], [], [], [])
        dataset.write(ledger, found)
    return found


def shown(folder: RunFolder, view: View, capsys: pytest.CaptureFixture[str], width: int = 80) -> list[str]:
    display.console.width = width
    show(folder, view)
    return capsys.readouterr().out.splitlines()


def test_the_first_facts_are_shown_and_all_are_counted(folder: RunFolder, capsys: pytest.CaptureFixture[str]) -> None:
    assert shown(folder, View(limit=1), capsys) == [
        "The lamp burns oil.", "  not asked; tolvick.txt: “The lamp burns oil.”",
        "3 not asked (the first 1 are shown; --limit N shows more)",
    ]  # fmt: skip
    assert shown(folder, View(), capsys)[-1] == "3 not asked"
    assert shown(folder, View(document="empty"), capsys) == ["no facts"]
    with pytest.raises(RunFolderError, match=r"no document 'x' in .*run; there are empty, tolvick"):
        show(folder, View(document="x"))


def test_what_was_learned_counts_only_by_questions_as_they_are(
    folder: RunFolder, capsys: pytest.CaptureFixture[str]
) -> None:
    def answer(name: str, fact: str, gold: str, response: str) -> dict[str, object]:
        asked = {"set": "held_out", "question": f"What {name[1]}?", "answers": [gold]}
        return {"id": name, "fact": fact, **asked, "response": response}

    rows = [answer("q0", "f1", "0", "0"), answer("q2", "f2", "2", "2"), answer("q3", "f2", "3", "no")]
    write_rows(folder.answers("updated"), rows)
    assert shown(folder, View(), capsys)[-1] == "1 learned, 1 not learned, 1 not asked"
    assert shown(folder, View("missed"), capsys) == [
        "The cape is bare.",
        "  not learned; tolvick.txt: “The cape is bare.”",
        "1 not learned",
    ]
    assert shown(folder, View("learned", limit=0), capsys) == [
        "1 learned (the first 0 are shown; --limit N shows more)"
    ]
    with Ledger(folder.ledger) as ledger:
        ledger.execute("UPDATE question SET answer = 'zero' WHERE id = 'q0'")
        dataset.write(ledger, folder)
    assert shown(folder, View(), capsys)[-1] == "1 not learned, 2 not asked"


def test_superseded_and_retired_facts_tell_what_holds_now(
    folder: RunFolder, capsys: pytest.CaptureFixture[str]
) -> None:
    with Ledger(folder.ledger) as ledger:
        ledger.execute("UPDATE fact SET status = 'superseded', replaced_by = 'f1' WHERE id = 'f0'")
        ledger.execute("UPDATE fact SET status = 'retired' WHERE id = 'f2'")
    assert shown(folder, View("superseded"), capsys) == [
        "The lamp burns oil.", "  superseded; tolvick.txt (2024): “The lamp burns oil.”",
        "  now: The tower is red.", "  tolvick.txt (2024)", "1 superseded",
    ]  # fmt: skip
    assert shown(folder, View("retired"), capsys)[-1] == "1 retired"
    assert shown(folder, View(), capsys)[-1] == "1 not asked"
    assert "The lamp burns oil." in shown(folder, View("superseded"), capsys, 200)[4]


def test_coverage_counts_text_facts_questions_and_reasons(
    folder: RunFolder, capsys: pytest.CaptureFixture[str]
) -> None:
    with Ledger(folder.ledger) as ledger:
        parts = {part.doc_id: part for part in coverage(ledger)}
        without = 1 - sum(map(len, LINES)) / len(TEXT)
        assert parts["tolvick"].figures() == {
            "doc_id": "tolvick", "path": "tolvick.txt", "chunks": 1, "facts": 3,
            "questions_per_fact": {"min": 0, "median": 1.0, "max": 2}, "text_without_facts": round(without, 4),
        }  # fmt: skip
        assert parts["empty"].figures()["questions_per_fact"] == {"min": 0, "median": 0.0, "max": 0}
        whole = total(parts.values())
        assert (whole.documents, whole.chunks, whole.facts) == (2, 2, 3)
        assert drops_by_reason(ledger) == [("write", "unresolved reference", 2), ("read", "an image", 1)]
        assert drops_by_reason(ledger, "tolvick") == [("write", "unresolved reference", 2)]
    lines = shown(folder, View("coverage"), capsys)
    assert lines[-1].startswith("2 documents: 2 passages, 3 facts, 0–2 questions a fact (median 1), ")
    assert (
        shown(folder, View("dropped", limit=1), capsys)[-1]
        == "3 left out (the first 1 are shown; --limit N shows more)"
    )


@pytest.mark.parametrize("values", [[3], [1, 2], [1, 2, 2, 9], [0, 0, 5], list(range(8))])
def test_the_median_is_the_median(values: list[int]) -> None:
    import statistics

    found = Coverage()
    found.questions.update(values)
    assert found.questions_per_fact == (min(values), statistics.median(values), max(values))
