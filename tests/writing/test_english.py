"""Facts and questions from English prose."""

import re
from pathlib import Path

import pytest
from whole import read
from written import asked, statements, texts, written

from knowledge_update.documents.blocks import Block, Document
from knowledge_update.documents.chunking import Passage, passages
from knowledge_update.evaluation.scoring import contains
from knowledge_update.writing import rules
from knowledge_update.writing.english.writer import write
from knowledge_update.writing.frames import embedded
from knowledge_update.writing.statements import (
    ABOUT,
    CLOZE,
    COMPLETION,
    CONVERSE,
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

EXAMPLES = Path(__file__).parents[2] / "examples" / "orvessay"
LIGHTHOUSE, FERRY = "Tolvick Lighthouse", "Varrow Line"


@pytest.mark.parametrize(
    ("title", "paragraph", "told"),
    [
        (LIGHTHOUSE, "It was built in 1874.", "Tolvick Lighthouse was built in 1874."),
        (LIGHTHOUSE, "Its lamp burns 40 litres of oil.", "Tolvick Lighthouse's lamp burns 40 litres of oil."),
        (FERRY, "The Varrow Line is a company. It owns 5 ships.", "The Varrow Line owns 5 ships."),
        (FERRY, "The Varrow Line is a company. The company owns 5 ships.", "The Varrow Line owns 5 ships."),
        ("Kellmarrow Library", "The library owns 900 books.", "Kellmarrow Library owns 900 books."),
        (
            LIGHTHOUSE,
            "It was built by Runa Hesk, an engineer. She was born in 1840 in Corvane.",
            "Runa Hesk was born in 1840 in Corvane.",
        ),
        (
            LIGHTHOUSE,
            "The engineer Runa Hesk drew the plans. Hesk died in 1901.",
            "Runa Hesk died in 1901.",
        ),
        (
            LIGHTHOUSE,
            "The plans were drawn by Runa Hesk, an engineer. The engineer was born in 1840 in Corvane.",
            "Runa Hesk was born in 1840 in Corvane.",
        ),
        (
            "heron",
            "The main threat is the mink. The Isce Bird Trust counts the birds; in 2021 it counted 40 of them.",
            "In 2021, the Isce Bird Trust counted 40 of the birds.",
        ),
        ("heron", "The heron is grey. The heron feeds on sand shrimp.", "The heron feeds on sand shrimp."),
    ],
)
def test_references_are_resolved(title: str, paragraph: str, told: str) -> None:
    assert texts(title, paragraph)[-1] == told


@pytest.mark.parametrize(
    ("sentence", "reason"),
    [
        ("They sold 12 lamps.", "unresolved reference: 'They' may mean several things"),
        ("She sold 12 lamps.", "unresolved reference: 'She' may mean several things"),
        ("This was sold in 1921.", "unresolved reference: 'This' may mean several things"),
        ("I sold 12 lamps in 1921.", "unresolved reference: 'I' is nobody in particular"),
        ("Very old.", "not a sentence"),
    ],
)
def test_what_cannot_be_resolved_is_left_out_with_its_reason(sentence: str, reason: str) -> None:
    ((_, item),) = written(LIGHTHOUSE, sentence)
    assert isinstance(item, Unused)
    assert item == Unused(sentence, reason)


def test_a_passive_is_asked_both_ways() -> None:
    (statement,) = statements("Kellmarrow Library", "The library was founded by Odd Varne.")
    assert asked(statement, DIRECT, CONVERSE) == {
        "Who was Kellmarrow Library founded by?": "Odd Varne",
        "Who founded Kellmarrow Library?": "Odd Varne",
    }
    assert [asking.answer for asking in statement.askings if asking.wording == TEXT] == [
        "Kellmarrow Library was founded by Odd Varne.",
        "Odd Varne founded Kellmarrow Library.",
    ]


def test_an_active_is_asked_both_ways() -> None:
    (statement,) = statements("Kellmarrow Library", "The writer Odd Varne founded Kellmarrow Library in 1872.")
    questions = asked(statement, DIRECT, CONVERSE)
    founder = {answer for question, answer in questions.items() if question.startswith("Who ")}
    assert (len(founder), founder.pop().endswith("Odd Varne")) == (1, True)
    assert any(question.startswith("Who founded Kellmarrow Library") for question in questions)
    assert any(question.startswith("Who was Kellmarrow Library founded by") for question in questions)
    assert questions["When was Kellmarrow Library founded by the writer Odd Varne?"] == "1872"


@pytest.mark.parametrize(
    ("sentence", "question", "answer"),
    [
        ("The worst storm came on 3 November 1937.", "On what date did the worst storm {of} come?", "3 November 1937"),
        ("The tower was closed in May 1921.", "When was the tower {of} closed?", "May 1921"),
        ("The tower is 38 metres high.", "How high is the tower {of}?", "38 metres"),
        ("The ticket costs 34 brenns.", "How much does the ticket {of} cost?", "34 brenns"),
        ("The tower has 212 steps.", "How many steps does the tower {of} have?", "212"),
    ],
)
def test_dates_and_counts_are_asked_for(sentence: str, question: str, answer: str) -> None:
    (_, statement) = statements(LIGHTHOUSE, "Tolvick Lighthouse stands on a cape.", sentence)
    assert asked(statement, DIRECT)[question.format(of="of Tolvick Lighthouse")] == answer


def test_an_apposition_is_a_fact_of_its_own() -> None:
    sentence = "It was built in 1874 by Runa Hesk, an engineer from Corvane."
    found = statements(LIGHTHOUSE, sentence)
    assert [(statement.text, statement.quote) for statement in found] == [
        ("Tolvick Lighthouse was built in 1874 by Runa Hesk.", sentence),
        ("Runa Hesk was an engineer from Corvane.", sentence),
    ]
    assert asked(found[1], DIRECT) == {"Who was Runa Hesk?": "an engineer from Corvane"}


def test_a_relative_clause_is_a_fact_of_its_own() -> None:
    assert texts("Petrel Song", "The Petrel Song, which was launched in 2016, carries 240 passengers.") == [
        "The Petrel Song was launched in 2016.",
        "The Petrel Song carries 240 passengers.",
    ]
    assert texts("Kellmarrow Library", "Odd Varne, who was a teacher, wrote 12 books.") == [
        "Odd Varne was a teacher.",
        "Odd Varne wrote 12 books.",
    ]


def test_every_family_of_wordings_is_written() -> None:
    statement, _ = statements(LIGHTHOUSE, "It was built in 1874 by Runa Hesk, an engineer from Corvane.")
    by_family = {asking.wording: asking.question for asking in reversed(statement.askings)}
    assert by_family == {
        DIRECT: "When was Tolvick Lighthouse built by Runa Hesk?",
        TITLED: 'In the article "Tolvick Lighthouse": When was Tolvick Lighthouse built by Runa Hesk?',
        EMBEDDED: embedded("when Tolvick Lighthouse was built by Runa Hesk"),
        INDIRECT: "Could you tell me when Tolvick Lighthouse was built by Runa Hesk?",
        CONVERSE: "Who built Tolvick Lighthouse in 1874?",
        SYNONYM: "When was Tolvick Lighthouse constructed by Runa Hesk?",
        CLOZE: "Fill in the blank: Tolvick Lighthouse was built in ____ by Runa Hesk.",
        COMPLETION: "Complete the sentence: Tolvick Lighthouse was built in 1874 by ...",
        ABOUT: "Tell me about Tolvick Lighthouse.",
        TEXT: "",
    }


@pytest.mark.parametrize(
    ("paragraph", "told"),
    [
        (
            "In December 1999 the storm Gudula tore away 65 metres of railing.",
            ["In December 1999, the storm Gudula tore away 65 metres of railing."],
        ),
        (
            "On 17 February 1949 Nils Adebrück, a night assistant, discovered a comet.",
            ["Nils Adebrück was a night assistant.", "On 17 February 1949, Nils Adebrück discovered a comet."],
        ),
        (
            'Lazlo Finnimark composed the hymn, "Row Me Under", in 1966.',
            ["Lazlo Finnimark composed the hymn in 1966.", 'Tolvick Lighthouse: The hymn was "Row Me Under".'],
        ),
        (
            'Islanders call the foghorn "the Cow", and nobody asks why.',
            ['Tolvick Lighthouse: Islanders call the foghorn "the Cow".'],
        ),
        (
            "The wind turbines at Cape Sorrel supply 68.5 % of the island's power.",
            ["The wind turbines at Cape Sorrel supply 68.5 % of the island's power."],
        ),
        (
            "The director is Imre Salvatane, who was born in Dunhask and took over in 2014.",
            [
                "Tolvick Lighthouse: The director is Imre Salvatane.",
                "Imre Salvatane was born in Dunhask.",
                "Imre Salvatane took over in 2014.",
            ],
        ),
        (
            "Its best lamp is the Tide Star, which a monk named Wulfen built in 1513.",
            ["Tolvick Lighthouse's best lamp is the Tide Star.", "A monk named Wulfen built the Tide Star in 1513."],
        ),
        (
            'Its best chart is "The Salt Women" by Corisande Ebbing, which dates from 1887. Its motto is "Salt". '
            "In 1990 it was closed.",
            [
                '"The Salt Women" by Corisande Ebbing dates from 1887.',
                'Tolvick Lighthouse\'s motto is "Salt".',
                "In 1990, Tolvick Lighthouse was closed.",
            ],
        ),
    ],
)
def test_what_the_parser_gets_wrong_is_mended(paragraph: str, told: list[str]) -> None:
    found = texts(LIGHTHOUSE, paragraph)
    assert [text for text in found if text in told] == told, found


@pytest.mark.parametrize(
    "paragraph",
    [
        "Ward fumbled the ball.",  # whoever that is
        'In 1653 the poet Odd Varne asked the question: "Why? Where to',
        "In 1653 the poet Odd Varne asked the question:",
        "Ward threw a long ball. The ball was fumbled in 1921.",
        "On the 35-yard line of the Panthers.",
    ],
)
def test_what_does_not_stand_alone_is_not_asked(paragraph: str) -> None:
    for statement in statements("Super Bowl", paragraph):
        assert not any("what fumbled" in asking.question for asking in statement.askings), statement
        assert "Super Bowl" in statement.text, statement


@pytest.mark.parametrize(
    ("sentence", "question"),
    [
        ("Runa Hesk crossed the strait in a rowing boat.", "What did Runa Hesk cross the strait in?"),
        ("The race leads from Gannet Quay to Little Pirren.", "What does the race lead from Gannet Quay to?"),
        ("Odd Varne was elected mayor in 1921.", "Who was Odd Varne elected in 1921?"),
        ("Odd Varne led the Broncos to victory in 1921.", "Who was the leader of the Broncos?"),
        ("An adult pays 34 brenns for a ticket.", "What pays 34 brenns for a ticket?"),
        ("The accident took place in 1921.", "What did the accident take in 1921?"),
        ("The tower has been printed on blue paper since 1894.", "Since when has the tower been printed?"),
        ("The motto was printed by mistake by Odd Varne.", "by by"),
        ("The tower, in Corvane, Texas, was built in 1908.", "What is Corvane?"),
        ("The tower was built by 26 farmers in 1908.", "How many farmers was the tower built by in 1908?"),
    ],
)
def test_questions_that_read_badly_are_not_asked(sentence: str, question: str) -> None:
    asked_now = [asking.question for item in statements(LIGHTHOUSE, sentence) for asking in item.askings]
    assert asked_now
    assert not any(question.lower() in asking.lower() for asking in asked_now)


def test_of_two_engineers_neither_is_the_engineer() -> None:
    paragraph = "Runa Hesk, an engineer, and Odd Varne, an engineer, drew plans. The engineer died in 1901."
    assert not any("1901" in text for text in texts(LIGHTHOUSE, paragraph))


def test_items_are_read_as_the_end_of_what_introduces_them() -> None:
    blocks = (
        Block("paragraph", "The steel is red. Each coat requires:"),
        Block("item", "16 tonnes of paint;"),
        Block("item", "a crew of 22 painters."),
    )
    document = Document("d", "d", "d.txt", "Ansgild Bridge", "text/plain", blocks)
    found = [
        (item.text, item.quote)
        for passage, item in write(document, passages(document, lambda text: len(text.split()), 200))
        if isinstance(item, Statement) and passage.row.text[item.start :].startswith(item.quote)
    ]
    assert found[-2:] == [
        ("Ansgild Bridge: Each coat requires 16 tonnes of paint.", "16 tonnes of paint;"),
        ("Ansgild Bridge: Each coat requires a crew of 22 painters.", "a crew of 22 painters."),
    ]


def test_an_item_that_more_is_said_about_is_still_an_item() -> None:
    blocks = (
        Block("paragraph", "Other exhibits include:"),
        Block("item", "the printing press Old Clatter, a gift from Odd Varne;"),
    )
    document = Document("d", "d", "d.txt", "Kellmarrow Museum", "text/plain", blocks)
    told = [item.text for _, item in write(document, passages(document, len, 1000)) if isinstance(item, Statement)]
    assert told == [
        "Old Clatter is a gift from Odd Varne.",
        "Kellmarrow Museum: Other exhibits include the printing press Old Clatter, a gift from Odd Varne.",
    ]


def test_a_gap_that_takes_the_only_name_has_its_topic_before_it() -> None:
    (statement,) = statements("Orvessay Courier", "Evert Quillane was the mayor of the town.")
    assert "Fill in the blank: Orvessay Courier: ____ was the mayor of the town." in asked(statement, CLOZE)


@pytest.mark.parametrize(
    ("sentence", "told"),
    [
        ("The ferry Silver Ommel carries 240 passengers.", "Silver Ommel"),
        ("Runa Hesk was born in Corvane.", "Runa Hesk"),
        ("The colour of the Silver Ommel is red.", ""),
        ("The tower is 37 metres high.", ""),
    ],
)
def test_only_of_named_things_it_is_asked_what_is_known(sentence: str, told: str) -> None:
    (statement,) = statements(LIGHTHOUSE, sentence)
    about = asked(statement, ABOUT)
    assert len(about) == bool(told)
    assert all(told in question and answer == statement.text for question, answer in about.items())


def test_writing_again_gives_the_same() -> None:
    paragraph = "It was built in 1874 by Runa Hesk, an engineer from Corvane. She sold 12 lamps."
    assert written(LIGHTHOUSE, paragraph) == written(LIGHTHOUSE, paragraph)


@pytest.mark.parametrize(
    "paragraph",
    [
        "The keeper and his lamp in its tower.",
        "",
        "1874",
        "?!",
        "A. B. C.",
        "()",
        "Lamp " * 400,
        "The. " * 50,
        "“",
        "😀 was lit.",
    ],
)
def test_no_paragraph_breaks_the_writer(paragraph: str) -> None:
    for _, item in written("", paragraph):
        assert isinstance(item, Statement | Unused)


@pytest.fixture(scope="module")
def corpus() -> list[tuple[Document, Passage, Statement | Unused]]:
    documents = [document for document in read(EXAMPLES).documents if document.language == "en"]
    assert len(documents) == 11
    return [
        (document, passage, item)
        for document in documents
        for passage, item in rules.write(document, passages(document, lambda text: len(text.split()), 200))
    ]


@pytest.fixture(scope="module")
def questions(corpus: list[tuple[Document, Passage, Statement | Unused]]) -> list[tuple[Document, Statement, Asking]]:
    found = [
        (document, item, asking)
        for document, _, item in corpus
        if isinstance(item, Statement)
        for asking in item.askings
        if asking.question
    ]
    assert len(found) > 1000
    return found


def test_every_quote_of_the_corpus_lies_at_its_offset(
    corpus: list[tuple[Document, Passage, Statement | Unused]],
) -> None:
    for _, passage, item in corpus:
        if isinstance(item, Statement):
            assert passage.row.text[item.start : item.start + len(item.quote)] == item.quote
        else:
            assert item.quote in passage.row.text


def test_every_answer_of_the_corpus_stands_in_its_quote(
    questions: list[tuple[Document, Statement, Asking]],
) -> None:
    assert [
        (asking.question, asking.answer)
        for _, statement, asking in questions
        if asking.wording != ABOUT and not contains(statement.quote, [asking.answer])
    ] == []


def test_no_question_of_the_corpus_contains_its_answer(
    questions: list[tuple[Document, Statement, Asking]],
) -> None:
    given = [
        (asking.question, asking.answer) for _, _, asking in questions if contains(asking.question, [asking.answer])
    ]
    assert given == []


def test_every_question_of_the_corpus_names_its_subject(
    questions: list[tuple[Document, Statement, Asking]],
) -> None:
    loose = re.compile(r"\b(?:it|he|she|they|him|them|this|these|those)\b", re.I)
    for document, _, asking in questions:
        if asking.form != "cloze":
            titled = document.title.removeprefix("the ").lower() in asking.question.lower()
            assert titled or re.search(r"(?<!^)\b[A-Z][\w'’-]+", asking.question), asking.question
            # After a topic, as in "Grey Wendel: when was it launched?", a pronoun is clear.
            assert ": " in asking.question or not loose.search(asking.question), asking.question


def test_most_of_the_corpus_becomes_facts(corpus: list[tuple[Document, Passage, Statement | Unused]]) -> None:
    unused = [item for _, _, item in corpus if isinstance(item, Unused)]
    assert len(unused) <= len(corpus) // 20
    assert all(item.reason for item in unused)
