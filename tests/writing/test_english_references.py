"""What a pronoun or a short name means, and that nothing is said of what it may not mean."""

import pytest
from written import texts


@pytest.mark.parametrize(
    ("title", "paragraph", "told"),
    [
        (
            "University of Lubiz",
            "The University of Lubiz is old. The university owns 12 farms.",
            "The University of Lubiz owns 12 farms.",
        ),
        (
            "Ilsa and Tomas Museum",
            "The Ilsa and Tomas Museum is in Corvane. It was founded in 1852.",
            "The Ilsa and Tomas Museum was founded in 1852.",
        ),
        (
            "Corvane",
            "Tolvick, a captain from Lubiz, sailed to Corvane in 1702. He sold 40 barrels of oil there.",
            "Corvane: Tolvick sold 40 barrels of oil.",
        ),
        # That Torvane is a man is told by the next sentence alone.
        (
            "Isce",
            "While studying in Lubiz, Torvane became a member of the guild of Orrin. He came back to Corvane in 1908.",
            "Torvane came back to Corvane in 1908.",
        ),
        (
            "Isce",
            "Torvane ruled the coast. His books were sold in Corvane in 1908.",
            "Torvane's books were sold in Corvane in 1908.",
        ),
    ],
)
def test_what_is_meant_is_named(title: str, paragraph: str, told: str) -> None:
    assert told in texts(title, paragraph)


@pytest.mark.parametrize(
    ("title", "paragraph", "never"),
    [
        # "His army" of the shah, not of him who comes later.
        (
            "Temur Khan",
            "Temur Khan conquered Lubiz. The shah's army was split by the shah's decision to divide his army in 1219.",
            "Temur Khan's army",
        ),
        # Whose capital it is stands behind the pronoun.
        ("Lubiz", "With Corvane as its capital, the Isce Duchy ruled 40 villages in 1520.", "Corvane's capital"),
        # A membership has no article, and is no member of anything.
        ("Isce", "In 1990 worldwide membership rose. It joined the Council of Mills in 1991.", "membership joined"),
        # Several are not one thing.
        ("Lubiz", "The Ledra has grown since 1702 in the upland areas (central Ommel).", "areas is central Ommel"),
        # Years offer nothing.
        (
            "Corvane",
            "Bars are houses, found in Ommel since the late 1990s that offer 12 kinds of air.",
            "the late 1990s offer",
        ),
        (
            "Lubiz",
            "As a result of clearance (Bronze Age farming), in the upland areas (central Ommel), the river Ledra "
            "has grown.",
            "Lubiz: Of clearance",
        ),
        # What has an article is no man.
        ("Isce", "The Torvane was wrecked in 1702. He bought 12 mills in 1703.", "The Torvane bought"),
        # Of many numbers one is not the title.
        (
            "Round number",
            "A round number ends in zero. If the test fails, Hesk wrote in 1702 that the number is odd.",
            "Round number is odd",
        ),
        # "Council of Mills" is not the Tolvick Mills.
        (
            "Isce",
            "Tolvick Mills burnt in 1702. The Isce Bank is a member of the Council of Mills.",
            "Council of Tolvick Mills",
        ),
        # Another church is not the title's.
        (
            "Isce Old Church",
            "The Isce Old Church has 40 members. In 1830 the Lubiz Free Church left over a vote in the church.",
            "vote in the Isce Old Church",
        ),
    ],
)
def test_what_may_be_meant_is_not_said(title: str, paragraph: str, never: str) -> None:
    found = texts(title, paragraph)
    assert found
    assert not [text for text in found if never.lower() in text.lower()]


def test_what_is_clear_in_its_sentence_stays_in_it() -> None:
    found = texts("Temur Khan", "Temur Khan won. The shah died on a small island within his empire in 1220.")
    assert any("within his empire" in text for text in found)
    assert not any("Temur Khan's empire" in text for text in found)


def test_two_names_stay_together() -> None:
    found = texts("Lubiz", "The Isce and Orrin hold the coast. In 1702 the duke sent 40 men to them.")
    assert not any("to the Isce." in text for text in found)


def test_a_rank_used_as_a_name_is_a_person() -> None:
    found = texts("Lubiz", "The Shah ruled Lubiz from 1702. He built 12 forts in Corvane.")
    assert "The Shah built 12 forts in Corvane." in found


def test_who_is_examined_does_not_examine() -> None:
    assert texts("Isce", "In 1702 the duke had Hesk examined at Corvane.") == [
        "Isce: In 1702, the duke had Hesk examined at Corvane."
    ]


@pytest.mark.parametrize(
    ("title", "paragraph"),
    [
        (
            "Orrinism",
            "Orrinism spread in 1702. The period ended with the sale of 12 mills. Here orrinism lives on.",
        ),
        ("Lubizer", "A Lubizer is rich. The period ended with the sale of 12 mills. Many Lubizers left."),
        ("Third Isce War", "The Third Isce War lasted. The war was long. The period ended with the sale of 12 mills."),
    ],
)
def test_an_idea_a_people_and_a_war_own_nothing(title: str, paragraph: str) -> None:
    found = texts(title, paragraph)
    assert any("period ended" in text for text in found)
    assert not [text for text in found if f"period of {title}" in text or f"period of the {title}" in text]
