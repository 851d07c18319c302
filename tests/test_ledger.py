"""The ledger holds a document wholly or not at all, and nothing twice."""

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from knowledge_update.errors import RunFolderError, WorkError
from knowledge_update.ledger import (
    ChunkRow,
    DocumentRow,
    Drop,
    FactRow,
    KnownFact,
    Ledger,
    QuestionRow,
    content_id,
)

TEXT = "The lamp was lit in 1874. It burns oil."


def document(name: str) -> DocumentRow:
    return DocumentRow(f"id-{name}", name, f"{name}.txt", f"Title {name}", "text/plain", "en")


def chunk(name: str, text: str = TEXT, start: int = 0, of: str = "a") -> ChunkRow:
    return ChunkRow(name, text, f"id-{of}", start, start + len(text), f"Heading {of}")


def fact(name: str, of: str, quote: str) -> FactRow:
    start = TEXT.index(quote)
    return FactRow(name, of, quote, quote, start, start + len(quote))


def question(name: str, of: str, split: str = "train") -> QuestionRow:
    return QuestionRow(name, of, split, "when", "", "direct", "When was the lamp lit?", "1874")


LIT, OIL = fact("f1", "c1", "The lamp was lit in 1874."), fact("f2", "c1", "It burns oil.")


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with Ledger(tmp_path / "ledger.sqlite") as opened:
        yield opened


def content(ledger: Ledger) -> tuple[list[object], ...]:
    return (
        list(ledger.documents()),
        list(ledger.chunks()),
        list(ledger.facts()),
        list(ledger.questions()),
        list(ledger.drops()),
    )


def test_identities_depend_on_every_part_and_its_borders() -> None:
    assert content_id("a", "b") == "f04cdced9736a69d"
    assert len({content_id("a", "b"), content_id("ab"), content_id("b", "a"), content_id("a", "b", "")}) == 4


def test_what_was_entered_is_read_back(ledger: Ledger) -> None:
    rows = [question("q2", "f1"), question("q1", "f1", "probe")]
    ledger.add(document("a"), [chunk("c1")], [OIL, LIT], rows, [Drop("write", "x", "unclear")])
    known = ("a", "a.txt", "en", TEXT, "Heading a", "Title a")
    assert content(ledger) == (
        [document("a")],
        [chunk("c1")],
        [KnownFact(LIT, *known), KnownFact(OIL, *known)],
        [question("q1", "f1", "probe"), question("q2", "f1")],
        [Drop("write", "x", "unclear")],
    )
    assert list(ledger.questions("probe")) == [question("q1", "f1", "probe")]
    assert list(ledger.facts("retired")) == []
    assert (ledger.has_document("id-a"), ledger.has_document("a")) == (True, False)


def test_what_was_entered_is_there_after_reopening(tmp_path: Path, ledger: Ledger) -> None:
    ledger.add(document("a"), [chunk("c1")], [LIT], [question("q1", "f1")], [])
    with Ledger(tmp_path / "ledger.sqlite") as again:
        assert content(again) == content(ledger)


def test_entering_twice_changes_nothing(ledger: Ledger) -> None:
    for _ in range(2):
        ledger.add(document("a"), [chunk("c1")], [LIT], [question("q1", "f1")], [Drop("write", "x", "unclear")])
        ledger.add_drops([Drop("write", "x", "unclear")])
    assert [len(rows) for rows in content(ledger)] == [1, 1, 1, 1, 1]


def test_a_failure_while_entering_leaves_nothing(ledger: Ledger) -> None:
    ledger.add(document("a"), [chunk("c1")], [LIT], [], [])
    before = content(ledger)

    def failing() -> Iterator[QuestionRow]:
        yield question("q1", "f9")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        ledger.add(document("b"), [chunk("c2", of="b")], [fact("f9", "c2", "It burns oil.")], failing(), [])
    assert content(ledger) == before
    ledger.add(document("b"), [chunk("c2", of="b")], [], [], [])
    assert list(ledger.documents()) == [document("a"), document("b")]


@pytest.mark.parametrize(
    ("facts", "questions"),
    [([fact("f1", "c9", "It burns oil.")], []), ([LIT], [question("q1", "f9")])],
    ids=["fact without passage", "question without fact"],
)
def test_a_row_that_hangs_in_the_air_is_refused(
    ledger: Ledger, facts: list[FactRow], questions: list[QuestionRow]
) -> None:
    with pytest.raises(sqlite3.IntegrityError):
        ledger.add(document("a"), [chunk("c1")], facts, questions, [])
    assert content(ledger) == ([], [], [], [], [])


def test_facts_come_in_the_order_of_the_documents(ledger: Ledger) -> None:
    first, second = chunk("c1", start=100), chunk("c2", "It burns oil.", start=0)
    ledger.add(document("b"), [chunk("c3", "Last.", of="b")], [FactRow("f0", "c3", "Last.", "Last.", 0, 5)], [], [])
    early = FactRow("f3", "c2", "It burns oil.", "It burns oil.", 0, 13)
    ledger.add(document("a"), [first, second], [OIL, LIT, early], [], [])
    assert [known.fact.id for known in ledger.facts()] == ["f3", "f1", "f2", "f0"]


def test_a_passage_of_two_documents_counts_once(ledger: Ledger) -> None:
    for name in ("b", "a"):
        ledger.add(document(name), [chunk("c1", of=name)], [LIT], [question("q1", "f1")], [])
    assert list(ledger.chunks()) == [chunk("c1", of="a"), chunk("c1", of="b")]
    assert [(known.fact, known.doc_id) for known in ledger.facts()] == [(LIT, "a")]
    assert len(list(ledger.questions())) == 1


def test_drops_are_sorted_and_kept_once(ledger: Ledger) -> None:
    late, early = Drop("write", "b", "unclear"), Drop("read", "z.png", "an image")
    ledger.add_drops([late, early, late])
    assert list(ledger.drops()) == [early, late]


def test_readers_do_not_wait_for_a_writer(tmp_path: Path, ledger: Ledger) -> None:
    other = sqlite3.connect(tmp_path / "ledger.sqlite")
    assert other.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    with ledger.transaction(), Ledger(tmp_path / "ledger.sqlite") as reader:
        assert list(reader.documents()) == []
    other.close()


def test_a_file_that_is_no_ledger_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite"
    path.write_text("Dear diary, " * 100, encoding="utf-8")
    with pytest.raises(RunFolderError, match=r"ledger\.sqlite is not a ledger \(file is not a database\); remove it"):
        Ledger(path)
    assert path.read_text(encoding="utf-8").startswith("Dear diary")


def test_a_ledger_in_no_folder_cannot_be_opened(tmp_path: Path) -> None:
    with pytest.raises(WorkError, match=r"^cannot open the ledger .*: unable to open database file$"):
        Ledger(tmp_path / "absent" / "ledger.sqlite")


OLD_TABLES = """
CREATE TABLE document (
    id TEXT PRIMARY KEY, doc_id TEXT NOT NULL, path TEXT NOT NULL, title TEXT NOT NULL,
    media_type TEXT NOT NULL, language TEXT NOT NULL, version INTEGER NOT NULL);
CREATE TABLE fact (
    id TEXT PRIMARY KEY, chunk TEXT NOT NULL REFERENCES chunk(id), text TEXT NOT NULL, quote TEXT NOT NULL,
    quote_start INTEGER NOT NULL, quote_end INTEGER NOT NULL,
    status TEXT NOT NULL CHECK (status IN ('active', 'superseded', 'retired')));
CREATE TABLE question (
    id TEXT PRIMARY KEY, fact TEXT NOT NULL REFERENCES fact(id), split TEXT NOT NULL, form TEXT NOT NULL,
    role TEXT NOT NULL, wording TEXT NOT NULL, question TEXT NOT NULL, answer TEXT NOT NULL);
CREATE TABLE "drop" (stage TEXT NOT NULL, item TEXT NOT NULL, reason TEXT NOT NULL, PRIMARY KEY (stage, item, reason));
INSERT INTO document VALUES ('id-a', 'a', 'a.txt', 'Title a', 'text/plain', 'en', 1);
INSERT INTO "drop" VALUES ('write', 'x', 'unclear');
"""


def test_a_ledger_of_an_earlier_version_opens(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "ledger.sqlite") as old:
        old.executescript(OLD_TABLES)
    old.close()
    for _ in range(2):
        with Ledger(tmp_path / "ledger.sqlite") as ledger:
            assert next(ledger.documents()) == document("a")
            assert list(ledger.drops()) == [Drop("write", "x", "unclear")]
            ledger.add(document("b"), [chunk("c1", of="b")], [LIT], [question("q1", "f1")], [])
            assert [known.fact for known in ledger.facts()] == [LIT]


def test_a_transaction_within_another_is_a_part_of_it(ledger: Ledger) -> None:
    with pytest.raises(KeyboardInterrupt), ledger.transaction():
        ledger.add(document("a"), [chunk("c1")], [LIT], [], [])
        raise KeyboardInterrupt
    assert list(ledger.documents()) == []
