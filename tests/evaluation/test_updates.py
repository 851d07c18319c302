"""What an update changed is asked and counted: what is so now, what is said of before, what is gone."""

import pytest

from knowledge_update.config import Config
from knowledge_update.evaluation.summary import Summary
from knowledge_update.evaluation.updates import exchanged, outdated


@pytest.mark.parametrize(
    ("response", "is_outdated"),
    [
        ("41 metres", False),
        ("It is 38 metres high.", True),
        ("38 or 41 metres", True),
        ("Until 2024 it was 38 metres; now it is 41 metres.", False),
        ("41 metres, no longer 38 metres", False),
        ("Formerly it stood elsewhere. It is 38 metres.", True),
        ("以前是38米，现在是41米。", False),
        ("是38米。", True),
        ("", False),
        ("138 metres", False),
    ],
)
def test_the_old_value_counts_where_it_is_given_as_what_is_so(response: str, is_outdated: bool) -> None:
    assert outdated(response, ["41 metres"], ["38"]) is is_outdated


def test_a_value_that_is_part_of_the_present_one_is_not_outdated() -> None:
    assert not outdated("Odd Varne the younger", ["Odd Varne the younger"], ["Odd Varne"])


@pytest.mark.parametrize(
    ("answer", "value", "other", "found"),
    [
        ("38 metres", "38 metres", "41 metres", "41 metres"),
        ("38", "38 metres", "41 metres", "41"),
        ("in the year 1874", "1874", "1875", "in the year 1875"),
        ("the keeper", "Odd Varne", "Runa Hesk", ""),
        ("38", "38 metres", "40 feet", ""),
    ],
)
def test_an_answer_with_the_other_value(answer: str, value: str, other: str, found: str) -> None:
    assert exchanged(answer, value, other) == found


def test_the_two_models_on_what_only_they_were_asked() -> None:
    rows = [{"base": {"right": False}, "updated": {"right": number < 3}} for number in range(4)]
    found = Summary(Config()).both(rows)
    assert (found["n"], found["base"], found["updated"]) == (4, 0.0, 0.75)
    assert found["intervals"]["updated"][0] < 0.75 < found["intervals"]["updated"][1]
