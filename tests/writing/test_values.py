"""Lines that are a name and its value, tables of such, and questions that a document answers itself."""

import pytest

from knowledge_update.documents.blocks import Block, Document
from knowledge_update.documents.chunking import passages
from knowledge_update.writing import rules
from knowledge_update.writing.statements import DIRECT, INDIRECT, Statement, Unused

PUMP, HANDBOOK = "Nordvik Pump", "Kell Employee Handbook"


def written(title: str, *blocks: Block, language: str = "en") -> list[Statement | Unused]:
    document = Document("d", "d", "d.txt", title, "text/plain", blocks)
    assert document.language == language
    found = rules.write(document, passages(document, lambda text: len(text.split()), 300))
    told = [(passage.row.text, item) for passage, item in found]
    for text, item in told:
        if isinstance(item, Statement):
            assert text[item.start : item.start + len(item.quote)] == item.quote
    return [item for _, item in told]


def statements(title: str, *blocks: Block) -> dict[str, dict[str, str]]:
    found = [item for item in written(title, *blocks) if isinstance(item, Statement)]
    return {item.text: {a.question: a.answer for a in item.askings if a.wording == DIRECT} for item in found}


def items(*texts: str) -> list[Block]:
    return [Block("item", text) for text in texts]


@pytest.mark.parametrize(
    ("line", "text", "question", "answer"),
    [
        ("Warranty: 5 years", "The warranty of Nordvik Pump is 5 years.", "What is the warranty of Nordvik Pump?",
         "5 years"),
        ("Max. pressure (cold): 3 bar.", "The max. pressure (cold) of Nordvik Pump is 3 bar.",
         "What is the max. pressure (cold) of Nordvik Pump?", "3 bar"),
        ("Interfaces: LAN, Wi-Fi", "The interfaces of Nordvik Pump are LAN, Wi-Fi.",
         "What are the interfaces of Nordvik Pump?", "LAN, Wi-Fi"),
        ("Architect: Runa Hesk", "The architect of Nordvik Pump is Runa Hesk.", "Who is the architect of Nordvik Pump?",
         "Runa Hesk"),
    ],
)  # fmt: skip
def test_a_name_with_its_value_is_the_titles(line: str, text: str, question: str, answer: str) -> None:
    assert statements(PUMP, *items(line)) == {text: {question: answer}}


def test_within_a_paragraph_too() -> None:
    told = statements(PUMP, Block("paragraph", "The pump has two valves. Interfaces: LAN, Wi-Fi. It weighs 12 kg."))
    assert "The interfaces of Nordvik Pump are LAN, Wi-Fi." in told


def test_what_a_document_says_is_not_what_it_has() -> None:
    told = statements(HANDBOOK, *items("Private car: €0.32 per km"))
    question = f'{HANDBOOK}: what does it say for "Private car"?'
    assert told == {f"{HANDBOOK}: Private car: €0.32 per km.": {question: "€0.32 per km"}}
    told = statements("Kell Committee", *items("Present: Runa Hesk, Tavi Orm", "Next meeting: 3 May"))
    assert "Kell Committee: Next meeting: 3 May." in told


@pytest.mark.parametrize(
    "line", ["Note: the old one", "Remember: 5 May?", "Tip: a cloth", "I've asked Greg: eight people"]
)
def test_remarks_are_no_values(line: str) -> None:
    assert not statements(PUMP, *items(line))


def test_a_name_given_twice_is_left_out_by_name() -> None:
    found = written(PUMP, *items("Weight: 3 kg", "Weight: 5 kg"))
    assert {item.reason for item in found if isinstance(item, Unused)} == {"Weight is given more than once"}
    assert not any(isinstance(item, Statement) for item in found)


def test_chinese_values() -> None:
    found = written("北极热泵", *items("保修期：5年", "制造商：北极公司"), language="zh")
    told = {item.text for item in found if isinstance(item, Statement)}
    assert "北极热泵的保修期是5年。" in told and "北极热泵的制造商是北极公司。" in told


def test_the_columns_of_a_table_of_properties_have_what_its_rows_name() -> None:
    block = Block("row", "Parameter: Weight; P-1: 3 kg; P-2: 5 kg", cells=("Weight", "3 kg", "5 kg"),
                  header=("Parameter", "P-1", "P-2"))  # fmt: skip
    assert list(statements(PUMP, block)) == ["The weight of P-1 is 3 kg.", "The weight of P-2 is 5 kg."]


def test_a_column_that_counts_names_nothing() -> None:
    block = Block(
        "row", "#: 1; Ship: Sool; Builder: Kell", cells=("1", "Sool", "Kell"), header=("#", "Ship", "Builder")
    )
    assert list(statements(PUMP, block)) == ["The builder of the ship Sool is Kell."]


FAQ = "Kell Travel Pass"


@pytest.mark.parametrize(
    "blocks",
    [
        (Block("heading", "Which lines run at night?", level=2), Block("paragraph", "N1, N4 and N7. They are slow.")),
        (Block("paragraph", "Q: Which lines run at night?"), Block("paragraph", "A: N1, N4 and N7.")),
        (Block("paragraph", "Q: Which lines run at night? A: N1, N4 and N7."),),
        (Block("item", "1. Which lines run at night? N1, N4 and N7."),),
    ],
)
def test_a_question_of_the_document_is_asked_with_its_answer(blocks: tuple[Block, ...]) -> None:
    told = statements(FAQ, *blocks)
    assert told[f"{FAQ}: Which lines run at night? N1, N4 and N7."] == {
        f"{FAQ}: Which lines run at night?": "N1, N4 and N7"
    }
    found = [item for item in written(FAQ, *blocks) if isinstance(item, Statement) and "at night?" in item.text]
    assert len(found) == 1 and any(asking.wording == INDIRECT for asking in found[0].askings)


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        ("Is it transferable?", "No."),
        ("How do I cancel it?", "Send a cancellation by the tenth of the month to the office at the harbour."),
        ("What is this?", "Who knows?"),
    ],
)
def test_no_bare_or_long_answers(question: str, answer: str) -> None:
    told = statements(FAQ, Block("heading", question, level=2), Block("paragraph", answer))
    assert not any(question in text for text in told)


def test_who_is_spoken_to_is_clear_under_a_title() -> None:
    told = statements(HANDBOOK, Block("paragraph", "After five years you get one additional day, up to 33 days."))
    assert list(told) == [f"{HANDBOOK}: After five years you get one additional day, up to 33 days."]


def test_the_number_of_a_clause_is_none_of_its_words() -> None:
    found = written("Lease", Block("paragraph", "3.2 The Lessee shall pay a deposit of £29,500 before 10 June 2024."))
    told = [item for item in found if isinstance(item, Statement)]
    assert told and not any("3.2" in asking.question + asking.answer for item in told for asking in item.askings)
    assert all(item.quote.startswith("The Lessee") for item in told)


def test_a_contract_calls_itself_this_one() -> None:
    told = statements("Crane Lease", Block("paragraph", "This Agreement is governed by the laws of England."))
    assert told["Crane Lease: The Agreement is governed by the laws of England."]
    assert not statements("Crane Lease", Block("paragraph", "This bridge is governed by the laws of England."))


def test_an_instruction_is_asked_by_its_gaps() -> None:
    found = [item for item in written("Plum cake", Block("paragraph", "Preheat the oven to 180 °C."))]
    told = [item for item in found if isinstance(item, Statement)]
    assert [item.text for item in told] == ["Plum cake: Preheat the oven to 180 °C."]
    gaps = {asking.answer for asking in told[0].askings if asking.form == "cloze"}
    assert any("180" in gap for gap in gaps)


def test_a_colon_in_chinese_prose_names_no_value() -> None:
    found = written("亚硫酸盐", Block("paragraph", "这种过敏很少见。包括：亚硫酸盐过敏是存在的。"), language="zh")
    assert not any("包括是" in item.text for item in found if isinstance(item, Statement))
    quoted = written("李日华", Block("paragraph", "称：“天下那得如此好秀才。”"), language="zh")
    assert not any(isinstance(item, Statement) for item in quoted)


def test_a_question_in_prose_is_a_figure_of_speech() -> None:
    told = statements(
        "Kell Bridge", Block("paragraph", "Why was it built so high? Nobody knows. It is 40 metres high.")
    )
    assert not any("so high?" in text for text in told)


def table(header: tuple[str, ...], *lines: tuple[str, ...]) -> list[Block]:
    texts = ["; ".join(f"{name}: {cell}" for name, cell in zip(header, cells, strict=True)) for cells in lines]
    return [Block("row", text, cells=cells, header=header) for text, cells in zip(texts, lines, strict=True)]


def test_a_row_that_begins_with_its_number_is_called_by_its_name() -> None:
    rows = table(
        ("Employee ID", "Name", "Job title"), ("E-4", "Hesk, Runa", "Treasurer"), ("E-5", "Orm, Tavi", "Clerk")
    )
    told = statements("Staff", *rows)
    assert told["The job title of Runa Hesk is Treasurer."] == {
        "What is the job title of Runa Hesk?": "Treasurer", "Staff: whose job title is Treasurer?": "Runa Hesk",
    }  # fmt: skip
    assert "The employee ID of Tavi Orm is E-5." in told
    told = statements("Prices", *table(("SKU", "Product", "Price"), ("GT-1", "Green tea", "24 crowns")))
    assert list(told) == [
        "The SKU of the product Green tea is GT-1.",
        "The price of the product Green tea is 24 crowns.",
    ]


def test_a_row_that_begins_with_its_number_and_has_no_name_keeps_it() -> None:
    told = statements("Orders", *table(("Order no.", "Date", "Sum"), ("17", "3 May", "24 crowns")))
    assert "The sum of the order no. 17 is 24 crowns." in told


@pytest.mark.parametrize("name", ["Directed by", "Every 6 months", "What to do"])
def test_a_name_that_is_no_noun_is_asked_for_as_it_stands(name: str) -> None:
    told = statements("The Salt Ledger", *items(f"{name}: Runa Hesk"))
    assert told == {
        f"The Salt Ledger: {name}: Runa Hesk.": {f'The Salt Ledger: what does it say for "{name}"?': "Runa Hesk"}
    }


def test_a_participle_with_a_day() -> None:
    told = statements("Kell Dairy", *items("Founded: 14 March 1967", "Opened: 1968"))
    assert told["Kell Dairy was founded on 14 March 1967."] == {"When was Kell Dairy founded?": "14 March 1967"}
    assert told["Kell Dairy was opened in 1968."] == {"When was Kell Dairy opened?": "1968"}


def test_money_is_not_counted() -> None:
    found = written("Kell Dairy", Block("paragraph", "Kell Dairy bought the mill for £11.5 million in 1986."))
    asked = [a.question for item in found if isinstance(item, Statement) for a in item.askings]
    assert asked and not any("how many" in question.lower() for question in asked)


def test_a_whole_introduction_is_no_beginning_of_its_items() -> None:
    told = statements(
        "Toad", Block("paragraph", "Two kinds are recognised:"), *items("Minor – shores of the lake", "Major – hills")
    )
    assert not any("recognised Minor" in text for text in told)


def test_a_chinese_company_is_what_its_opening_says_it_is() -> None:
    found = written(
        "澜川公司",
        Block("paragraph", "澜川公司成立于1998年，总部位于江苏省无锡市，是一家高新技术企业。"),
        language="zh",
    )
    told = [item.text for item in found if isinstance(item, Statement)]
    assert not any("总部是一家" in text for text in told)
    assert any("澜川公司是一家高新技术企业" in text for text in told)


def test_a_list_is_not_answered_by_its_first_item() -> None:
    blocks = (Block("heading", "How do I connect it?", level=3), *items("Download the app.", "Press the key."))
    assert not any("connect it?" in text for text in statements(FAQ, *blocks))


def test_the_letter_before_a_chinese_answer_is_none_of_its_words() -> None:
    blocks = (
        Block("paragraph", "Q1：它的容量是多大？"),
        Block("paragraph", "A：小禾炸锅的容量为5.5升，它的重量为4公斤。"),
    )
    found = [item for item in written("小禾炸锅", *blocks, language="zh") if isinstance(item, Statement)]
    assert any("容量为5.5升" in item.text for item in found)
    assert not any("A：" in item.text for item in found)
