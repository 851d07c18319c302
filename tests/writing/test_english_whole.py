"""Sentences that are kept whole and asked about by their gaps."""

import pytest
from written import asked, statements, texts

from knowledge_update.writing.statements import CLOZE, DIRECT


def test_a_name_with_of_is_left_out_as_one() -> None:
    (statement,) = statements(
        "Estermoth", "Due to an increase in fishing as well as to the Port of Lubiz, Estermoth has grown since 1672."
    )
    gaps = {asking.answer for asking in statement.askings if asking.wording == CLOZE}
    assert "Port of Lubiz" in gaps and not gaps & {"Port", "Lubiz"}


@pytest.mark.parametrize(
    "text",
    [
        "Gulls have also been seen to follow trawlers as they leave.",
        "In spring, Hesk and his sons moved to the farm at Lubiz.",
        "A third office in the guild is that of the keeper.",
    ],
)
def test_what_its_own_sentence_makes_clear_is_kept_whole(text: str) -> None:
    assert any(told.endswith(text) for told in texts("Lubiz", f"The guild and the yard agreed. {text}"))


@pytest.mark.parametrize(
    "text",
    ["Newcastle replaced him in 1756.", "The fort at Lubiz fell in 1756 when he left.", "Lubiz fell as they left."],
)
def test_whom_another_sentence_told_of_is_not_guessed(text: str) -> None:
    told = texts("Guild of Lubiz", f"A fort at Lubiz was weak in 1754. {text}")
    assert len(told) == 1 and told[0].endswith("was weak in 1754.")


def test_a_verb_before_its_subject_is_not_taken_for_one_behind_it() -> None:
    for text in texts("Lions", "Not only was the keeper hurt, the coach of the Lions left before the end of May."):
        assert not text.startswith(("The keeper", "Lions: The keeper"))


def test_a_name_that_begins_so_is_asked_for() -> None:
    (statement,) = statements("Hesk", "Never Summer is a film by Runa Hesk.")
    assert asked(statement, DIRECT)
