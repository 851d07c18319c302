"""Every cell of a table is a fact about what its row is named after."""

from collections.abc import Sequence

import pytest

from knowledge_update.documents.blocks import Block, Document, row
from knowledge_update.documents.chunking import passages
from knowledge_update.writing.frames import embedded
from knowledge_update.writing.statements import (
    ABOUT,
    CLOZE,
    DIRECT,
    EMBEDDED,
    INDIRECT,
    SYNONYM,
    TEXT,
    TITLED,
    Asking,
    Statement,
    Unused,
)
from knowledge_update.writing.tables import write

FLEET = ("Ship", "Launched", "Builder", "Seats")


def written(*blocks: Block, title: str = "Varrow Line") -> list[Statement | Unused]:
    document = Document("d", "d", "d.md", title, "text/markdown", blocks)
    found = list(write(document, passages(document, len, 1000)))
    for passage, item in found:
        if isinstance(item, Statement):
            assert passage.row.text[item.start : item.start + len(item.quote)] == item.quote
    return [item for _, item in found]


def texts(cells: Sequence[str], header: tuple[str, ...] = FLEET) -> list[str]:
    return [item.text for item in written(row(list(cells), header)) if isinstance(item, Statement)]


def test_a_row_in_all_its_wordings() -> None:
    before = Block("paragraph", "The fleet:")
    line = row(["Sool", "1991"], ("Ship", "Launched"))
    answer = "1991"
    assert written(before, line) == [
        Statement(
            "The ship Sool was launched in 1991.",
            "Ship: Sool; Launched: 1991",
            11,
            (
                Asking("when", DIRECT, "When was the ship Sool launched?", answer, "Launched"),
                Asking("when", SYNONYM, "In what year was the ship Sool launched?", answer, "Launched"),
                Asking(
                    "when", TITLED, 'In the article "Varrow Line": When was the ship Sool launched?', answer, "Launched"
                ),
                Asking("when", EMBEDDED, embedded("when the ship Sool was launched"), answer, "Launched"),
                Asking("when", INDIRECT, "Could you tell me when the ship Sool was launched?", answer, "Launched"),
                Asking("cloze", CLOZE, "Fill in the blank: The ship Sool was launched in ____.", answer, "Launched"),
                Asking("text", TEXT, "", "Varrow Line: The ship Sool was launched in 1991."),
                Asking("about", ABOUT, "Tell me about the ship Sool.", "The ship Sool was launched in 1991.", "about"),
                Asking("which", DIRECT, "Varrow Line: which ship was launched in 1991?", "Sool", "name"),
                Asking(
                    "which", TITLED, 'In the article "Varrow Line": Which ship was launched in 1991?', "Sool", "name"
                ),
                Asking(
                    "which",
                    EMBEDDED,
                    f"About Varrow Line: {embedded('which ship was launched in 1991')}",
                    "Sool",
                    "name",
                ),
                Asking(
                    "which",
                    INDIRECT,
                    "About Varrow Line: Could you tell me which ship was launched in 1991?",
                    "Sool",
                    "name",
                ),
                Asking(
                    "cloze",
                    CLOZE,
                    "Fill in the blank: Varrow Line: The ship ____ was launched in 1991.",
                    "Sool",
                    "name",
                ),
            ),
        )
    ]


def test_each_cell_is_a_fact() -> None:
    assert texts(["Sool", "1991", "Pellarick Shipyard", "240"]) == [
        "The ship Sool was launched in 1991.",
        "The builder of the ship Sool is Pellarick Shipyard.",
        "The ship Sool has 240 seats.",
    ]


def test_the_kind_of_the_rows_is_not_said_twice() -> None:
    assert texts(["The ship Sool", "1991"], ("Ship", "Launched")) == ["The ship Sool was launched in 1991."]
    assert texts(["Sool", "1991"], ("", "Launched")) == ["Sool was launched in 1991."]


def test_columns_in_capitals_and_cells_that_are_empty() -> None:
    assert texts(["Sool", "-", "–", ""]) == []
    assert texts(["Sool", "9Q-XY"], ("Ship", "IMO")) == ["The IMO of the ship Sool is 9Q-XY."]


@pytest.mark.parametrize(
    "line", [row(["Sool", "1991"], ()), row(["Sool"], ("Ship",)), row(["", "1991"], ("Ship", "Launched"))]
)
def test_a_row_without_names_is_left_out(line: Block) -> None:
    assert written(line) == [Unused(line.text, "a table row without column names")]


def test_chinese_rows() -> None:
    (statement,) = written(
        Block("paragraph", "航线上有许多渡船。"), row(["海鸥号", "四十年"], ("船名", "船龄")), title="渡轮"
    )
    assert isinstance(statement, Statement)
    assert (statement.text, statement.quote) == ("海鸥号的船龄是四十年。", "船名: 海鸥号; 船龄: 四十年")
    assert [asking.question for asking in statement.askings if asking.answer == "海鸥号"] == [
        "关于渡轮：船龄是四十年的是哪个船名？",
        "关于渡轮：请问你知不知道哪个船名的船龄是四十年？",
        "填空：渡轮：____的船龄是四十年。",
    ]
    assert {asking.wording: asking.question for asking in statement.askings if asking.answer != "海鸥号"} == {
        DIRECT: "海鸥号的船龄是什么？",
        SYNONYM: "船名海鸥号的船龄是多少、是什么？",
        TITLED: "关于渡轮：海鸥号的船龄是什么？",
        INDIRECT: "请问你知不知道海鸥号的船龄？",
        CLOZE: "填空：海鸥号的船龄是____。",
        ABOUT: "请介绍一下海鸥号。",
        TEXT: "",
    }


def test_the_gap_is_the_cell_alone() -> None:
    (statement,) = written(row(["Route 5", "5"], ("Line", "Stops")))
    assert isinstance(statement, Statement)
    gaps = [asking.question for asking in statement.askings if asking.wording == CLOZE and asking.slot != "name"]
    assert gaps == ["Fill in the blank: The line Route 5 has ____ stops."]


def back(*rows: Sequence[str], header: tuple[str, ...] = FLEET) -> list[str]:
    """The direct questions for the rows' names."""
    found = [item for item in written(*(row(list(cells), header) for cells in rows)) if isinstance(item, Statement)]
    askings = [asking for item in found for asking in item.askings]
    return [asking.question for asking in askings if (asking.slot, asking.wording) == ("name", DIRECT)]


def test_what_is_so_of_one_row_alone_asks_for_its_name() -> None:
    # Two ships have one builder, and as many seats.
    assert back(["Sool", "1991", "Corvane", "240"], ["Ommel", "1974", "Corvane", "240"]) == [
        "Varrow Line: which ship was launched in 1991?",
        "Varrow Line: which ship was launched in 1974?",
    ]
    assert back(["Sool", "1991", "Corvane", "240"]) == [
        "Varrow Line: which ship was launched in 1991?",
        "Varrow Line: which ship's builder is Corvane?",
        "Varrow Line: which ship has 240 seats?",
    ]
    assert back(["Sool", "9Q-XY"], header=("Ship", "IMO")) == ["Varrow Line: which ship's IMO is 9Q-XY?"]
    # A name that the statement has in other words too leaves no gap of its own.
    assert back(["e", "1991"], header=("Letter", "Launched")) == []
    # Nobody says what rows are, or the name is given away.
    assert back(["Sool", "1991"], header=("", "Launched")) == back(["Route 5", "5"], header=("Line", "Stops")) == []


def test_two_rows_of_one_name_are_not_asked_for_what_differs() -> None:
    found = written(
        *(row(cells, FLEET) for cells in (["Sool", "1991", "Corvane", "240"], ["Sool", "1974", "Corvane", "240"]))
    )
    assert [item.reason for item in found if isinstance(item, Unused)] == ["Sool has more than one Launched"] * 2
    assert {item.text for item in found if isinstance(item, Statement)} == {
        "The builder of the ship Sool is Corvane.", "The ship Sool has 240 seats.",
    }  # fmt: skip


def test_other_blocks_are_not_table_rows() -> None:
    assert written(Block("paragraph", "The fleet is green."), Block("item", "A: b")) == []
