"""That a statement says what its sentence says is so: no opposite, no opinion, nothing a broken parse made up."""

import pytest
from written import texts


@pytest.mark.parametrize(
    ("sentence", "never"),
    [
        # Denials behind the verb.
        ("Tolvick is not a town of Lubiz, and Hesk is not the duke of Orrin.", "Tolvick is a"),
        (
            "Although Lubiz is poor, it is not one of the least visited towns of Isce.",
            "Although Lubiz is poor, Lubiz is one",
        ),
        ("By 1702 the guild began to accept that Tolvick is not a town of Isce.", "Tolvick is a"),
        # What is only thought, said, asked for or wondered about.
        ("In 1702 the bishop Wulfen concluded that Tolvick was the seat of 12 demons.", "Tolvick was"),
        ("In 1702 the bishop said that the mill of Lubiz was built by 12 demons.", "The mill"),
        ("Since it is believed that Lubiz was built by monks, Hesk went there in 1702.", "Lubiz was"),
        ("Hesk wondered in 1702 whether the mill of Lubiz grinds 40 sacks.", "The mill of Lubiz"),
        ("In 1958 a study recommended that the town of Lubiz buy 12 mills.", "The town of Lubiz buy"),
        ("Hesk tested in 1958 how life began on the isle of Orrin.", "Life began"),
        ("The survey of 1958 did not prove that the mill of Lubiz stands on sand.", "The mill of Lubiz"),
        # What a relative pronoun does not stand for.
        ("In 1702 Hesk found craters in the sand, which is never seen in Lubiz.", "Craters"),
        # There were signs; the town was none.
        ("In 1702 the town of Lubiz lost 40 ships, and there were signs of a war in Orrin.", "The town of Lubiz were"),
        # A participle is no statement.
        ("Lorn visited Lubiz in 1702 after a stop in Orrin and not having visited Isce.", "Lorn not having"),
        # Who owns what was adopted was not adopted.
        ("Lubiz was Hesk's adopted home and the seat of the guild.", "Hesk's was"),
    ],
)
def test_what_is_not_said_to_be_so_is_not_said(sentence: str, never: str) -> None:
    found = texts("Isce", sentence)
    assert found
    assert not [text for text in found if text.removeprefix("Isce: ").startswith(never)]


@pytest.mark.parametrize(
    ("sentence", "told"),
    [
        ("In 1971 Hesk revealed that the mill of Lubiz was built by monks.", "The mill of Lubiz was built by monks."),
        ("Tolvick is not a town of Lubiz.", "Tolvick is not a town of Lubiz."),
        ("Lubiz did not buy the mill in 1702.", "Lubiz did not buy the mill in 1702."),
    ],
)
def test_what_is_said_to_be_so_is_said(sentence: str, told: str) -> None:
    assert any(told in text for text in texts("Isce", sentence))


def test_where_something_happened_is_nobody() -> None:
    found = texts("Isce", "Hesk sailed to Lubiz in 1702. It was here that Hesk saw 12 stars in the sky.")
    assert not [text for text in found if "was here that" in text and not text.startswith(("It", "Isce: It"))]
