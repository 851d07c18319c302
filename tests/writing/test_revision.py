"""Which facts hold when documents change, contradict each other, go and come back, and a person has had a say."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from knowledge_update.documents.blocks import Block, Document
from knowledge_update.ledger import ChunkRow, DocumentRow, FactRow, Ledger, QuestionRow, content_id
from knowledge_update.run_folder import RunFolder, read_rows
from knowledge_update.writing import dataset
from knowledge_update.writing.contradictions import claim_of_question, claims_of_fact
from knowledge_update.writing.revision import settle
from knowledge_update.writing.statements import DIRECT

TITLE = "Tolvick Lighthouse"
HIGH, HIGHER = (
    "The tower of Tolvick Lighthouse is 38 metres high.",
    "The tower of Tolvick Lighthouse is 41 metres high.",
)
OIL, GAS = "The lamp of Tolvick Lighthouse burns oil.", "The lamp of Tolvick Lighthouse burns gas."


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with Ledger(tmp_path / "ledger.sqlite") as opened:
        yield opened


def document(*passages: str, path: str = "tolvick.txt", title: str = TITLE, date: str = "") -> Document:
    blocks = tuple(Block("paragraph", passage) for passage in passages)
    identity = content_id(path, *passages)
    return Document(identity, Path(path).stem, path, title, "text/plain", blocks, date)


def enter(ledger: Ledger, found: Document, asked: dict[str, tuple[str, str]] | None = None) -> None:
    """Enters a document of which every sentence is a fact, with the questions that are asked about it."""
    if ledger.has_document(found.id):
        return
    chunks, facts, questions, start = [], [], [], 0
    for block in found.blocks:
        chunk = content_id(found.title, block.text)
        chunks.append(ChunkRow(chunk, block.text, found.id, start, start + len(block.text), ""))
        for sentence in (f"{part}." for part in block.text.rstrip(".").split(". ")):
            at, fact = block.text.index(sentence), content_id(chunk, sentence)
            facts.append(FactRow(fact, chunk, sentence, sentence, at, at + len(sentence)))
            if asked and sentence in asked:
                question, answer = asked[sentence]
                identity = content_id(fact, question)
                questions.append(QuestionRow(identity, fact, "train", "what", "", DIRECT, question, answer))
        start += len(block.text) + 1
    row = DocumentRow(found.id, found.doc_id, found.path, found.title, "text/plain", "en", date=found.date)
    ledger.add(row, chunks, facts, questions, [])


def collect(ledger: Ledger, *documents: Document, asked: dict[str, tuple[str, str]] | None = None) -> None:
    for found in documents:
        enter(ledger, found, asked)
    settle(ledger, documents)


def texts(ledger: Ledger, status: str = "active") -> list[str]:
    return [known.fact.text for known in ledger.facts(status)]


def replaced(ledger: Ledger) -> list[tuple[str, str]]:
    query = """SELECT f.text, n.text FROM fact f JOIN fact n ON n.id = f.replaced_by
        WHERE f.status = 'superseded' ORDER BY 1"""
    return [(old, new) for old, new in ledger.execute(query)]


def touch(ledger: Ledger, text: str, person: str, new: str = "") -> str:
    (fact,) = ledger.execute("SELECT id FROM fact WHERE text = ?", (text,)).fetchone()
    ledger.execute("UPDATE fact SET person = ?, text = ? WHERE id = ?", (person, new or text, fact))
    if new:
        ledger.execute("INSERT INTO edit VALUES (?, 'text', ?, ?)", (fact, text, new))
    return str(fact)


def test_what_a_passage_said_that_is_gone_is_retired_and_comes_back(ledger: Ledger) -> None:
    before, after = document("It was built by Hesk.", OIL), document(OIL, "It has a new roof.")
    collect(ledger, before)
    collect(ledger, after)
    assert (texts(ledger), texts(ledger, "retired")) == ([OIL, "It has a new roof."], ["It was built by Hesk."])
    assert [row.version for row in ledger.documents()] == [2]
    collect(ledger, before)
    assert (texts(ledger), texts(ledger, "retired")) == (["It was built by Hesk.", OIL], ["It has a new roof."])


def test_a_removed_document_is_retired_with_all_its_facts_but_those_that_stand_elsewhere(ledger: Ledger) -> None:
    one, two = document(OIL, HIGH), document(OIL, path="other.txt")
    collect(ledger, one, two)
    collect(ledger, two)
    assert (texts(ledger), texts(ledger, "retired")) == ([OIL], [HIGH])
    assert [known.path for known in ledger.facts()] == ["other.txt"]
    assert [row.path for row in ledger.documents()] == ["other.txt"]


def test_a_fact_that_was_written_again_in_a_changed_passage_is_told_apart(ledger: Ledger) -> None:
    collect(ledger, document(f"{HIGH} It is red."))
    collect(ledger, document(f"{HIGH} It is white."))
    assert texts(ledger) == [HIGH, "It is white."]
    retired = {known.fact.text: bool(known.fact.replaced_by) for known in ledger.facts("retired")}
    assert retired == {HIGH: True, "It is red.": False}


def test_a_new_version_supersedes_what_it_says_otherwise(ledger: Ledger) -> None:
    asked = {OIL: ("What does its lamp burn?", "oil"), GAS: ("What does its lamp burn?", "gas")}
    collect(ledger, document(HIGH, OIL, "It has a keeper."), asked=asked)
    collect(ledger, document(HIGHER, GAS), asked=asked)
    assert replaced(ledger) == [(OIL, GAS), (HIGH, HIGHER)]
    assert (texts(ledger), texts(ledger, "retired")) == ([HIGHER, GAS], ["It has a keeper."])
    collect(ledger, document(HIGH, OIL, "It has a keeper."), asked=asked)
    assert replaced(ledger) == [(GAS, OIL), (HIGHER, HIGH)]


def test_what_both_versions_say_supersedes_nothing(ledger: Ledger) -> None:
    first, second = "Ann Bell wrote of 12 lamps.", "Ann Bell wrote of 14 lamps."
    collect(ledger, document(first, second))
    collect(ledger, document(second))
    assert (replaced(ledger), texts(ledger, "retired")) == ([], [first])


@pytest.mark.parametrize(
    ("old_date", "new_date", "active"),
    [("2019", "2024-05-17", [HIGHER]), ("2024-05", "2024-04-30", [HIGH]), ("2024", "2024-05", [HIGH, HIGHER]),
     ("", "", [HIGH, HIGHER])],
)  # fmt: skip
def test_of_two_documents_the_later_date_is_right(
    ledger: Ledger, old_date: str, new_date: str, active: list[str]
) -> None:
    collect(ledger, document(HIGH, path="a.txt", date=old_date), document(HIGHER, path="b.txt", date=new_date))
    assert texts(ledger) == active


def test_without_dates_the_later_collection_is_right(ledger: Ledger) -> None:
    one, two = document(HIGH, path="b.txt"), document(HIGHER, path="a.txt")
    collect(ledger, one)
    collect(ledger, one, two)
    assert replaced(ledger) == [(HIGH, HIGHER)]
    settle(ledger, [one, two])
    assert replaced(ledger) == [(HIGH, HIGHER)], "settling again changes nothing"


def test_a_collection_in_two_attempts_is_one(ledger: Ledger) -> None:
    one, two = document(HIGH, path="b.txt"), document(HIGHER, path="a.txt")
    enter(ledger, one)
    collect(ledger, one, two)
    assert replaced(ledger) == []


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("The ferry of Varrow burned in 1921.", "The ferry of Varrow burned in 1974."),
        ("The tower is 38 metres high.", "The tower is 41 metres high."),
        ("The ship Grey Wendel was built in 1963.", "The ship Silver Ommel was built in 1974."),
        ("The keeper of Tolvick was Hesk.", "The keeper of Tolvick was Varne."),
    ],
    ids=["happens again", "says not which tower", "differs in its subject", "no value"],
)
def test_what_may_both_be_true_is_left_alone(ledger: Ledger, one: str, other: str) -> None:
    first = document(one, path="a.txt", title="A", date="2019")
    collect(ledger, first, document(other, path="b.txt", title="B", date="2024"))
    assert texts(ledger) == [one, other]


def test_several_values_in_one_document_contradict_nobody(ledger: Ledger) -> None:
    three = "The tower of Tolvick Lighthouse is 50 metres high."
    one = document(HIGH, three, path="a.txt", date="2019")
    collect(ledger, one, document(HIGHER, path="b.txt", date="2024"))
    assert replaced(ledger) == []


def test_a_built_year_can_be_wrong_only_once(ledger: Ledger) -> None:
    one, other = (f"Tolvick Lighthouse was built in {year} by Runa Hesk." for year in (1874, 1875))
    collect(ledger, document(one, path="a.txt", date="2019"), document(other, path="b.txt", date="2024"))
    assert replaced(ledger) == [(one, other)]


def test_what_a_person_edited_is_never_superseded(ledger: Ledger) -> None:
    mine = "The tower of Tolvick Lighthouse is 39 metres high."
    one, two = document(HIGH, path="a.txt", date="2019"), document(HIGHER, path="b.txt", date="2024")
    collect(ledger, one, two)
    touch(ledger, HIGH, "edited", mine)
    settle(ledger, [one, two])
    assert (texts(ledger), replaced(ledger)) == ([mine], [(HIGHER, mine)])


@pytest.mark.parametrize("person", ["rejected", "edited"])
def test_what_a_person_said_goes_along_with_its_quote(ledger: Ledger, person: str) -> None:
    """Around a quote a passage changes, the fact is written again, and the person's word still counts."""
    mine = "The tower of Tolvick Lighthouse is thirty-eight metres high."
    first, second = document(f"{HIGH} It is red."), document(f"It stands alone. {HIGH} It is white.")
    collect(ledger, first)
    fact = touch(ledger, HIGH, person, mine if person == "edited" else "")
    kept = [mine] if person == "edited" else []
    for found, others in ((second, ["It stands alone.", "It is white."]), (first, ["It is red."])):
        collect(ledger, found)
        assert sorted(texts(ledger)) == sorted([*kept, *others])
        query = "SELECT c.text, quote_start, quote_end FROM fact f JOIN chunk c ON c.id = f.chunk WHERE f.id = ?"
        text, start, end = ledger.execute(query, (fact,)).fetchone()
        assert text[start:end] == HIGH
        assert text == found.blocks[0].text


def test_a_file_that_cannot_be_read_this_time_keeps_what_it_said(ledger: Ledger) -> None:
    one, two = document(HIGH, path="a.txt"), document(OIL, path="b.txt")
    collect(ledger, one, two)
    settle(ledger, [one], kept=["b.txt"])
    assert texts(ledger) == [HIGH, OIL]


def test_a_moved_file_is_the_same_document(ledger: Ledger) -> None:
    found = document(HIGH)
    collect(ledger, found)
    moved = Document(found.id, "lamp", "old/lamp.txt", TITLE, "text/plain", found.blocks)
    collect(ledger, moved)
    assert [(row.path, row.doc_id, row.version) for row in ledger.documents()] == [("old/lamp.txt", "lamp", 1)]
    assert texts(ledger) == [HIGH]


def values(text: str, title: str = "") -> Sequence[tuple[str, bool]]:
    return [(claim.value, claim.single) for claim in claims_of_fact(text, title)]


def test_claims_of_sentences() -> None:
    assert values("Tolvick Lighthouse has 1,200 steps and 12 lamps.") == [("1200", True), ("12", True)]
    assert values("It has 12 lamps.") == [("12", False)]
    assert values("The Grey Wendel was founded on 3 May 1921.") == [("3 may 1921", True)]
    assert values("The Grey Wendel sank on 3 May 1921.") == [("3 may 1921", False)]
    assert values("灰灯塔建于1874年。", "灰灯塔") == [("1874 年", True)]
    assert values("灰灯塔有38名员工。", "灰灯塔") == [("38", True)]
    assert values("增长3.5%。") == [("3.5", False)]


def test_claims_of_questions() -> None:
    single = claim_of_question("Who is the mayor of Corvane?", "Odd Varne", "")
    assert single and single.single
    for question, answer in (
        ("Who visited Corvane?", "Odd Varne"), ("Who is the mayor?", "Odd Varne"),
        ("What is the name of a ship of Varrow?", "Wendel"), ("Which storm hit Corvane?", "1874"),
    ):  # fmt: skip
        claim = claim_of_question(question, answer, "")
        assert claim and not claim.single, question
    one, other = (claim_of_question("How high is Tolvick Tower?", answer, "") for answer in ("38 metres", "120 feet"))
    assert one and other and one.about != other.about
    assert claim_of_question("What is it?", "a b c d e f g h i", "") is None


def test_a_passage_written_anew_is_left_out_where_a_fact_of_it_no_longer_holds(ledger: Ledger, tmp_path: Path) -> None:
    found, folder = document(HIGH, OIL), RunFolder(tmp_path / "run")
    folder.create()
    collect(ledger, found)
    for number, block in enumerate(found.blocks):
        chunk = content_id(found.title, block.text)
        ledger.execute("INSERT INTO rewrite VALUES (?, ?, 'a letter', ?)", (f"r{number}", chunk, f"Dear {number}."))
    touch(ledger, HIGH, "rejected")
    settle(ledger, [found])
    dataset.write(ledger, folder)
    trained = [row["id"] for row in read_rows(folder.dataset("train"))]
    assert trained == ["r1"]
    reason = "rewritten as a letter from facts that a person or a newer document changed"
    assert [(drop.item, drop.reason) for drop in ledger.drops()] == [("r0", reason)]
