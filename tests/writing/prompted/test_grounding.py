"""A fact stands in its passage and a question belongs to its fact, or there is a reason."""

import pytest

from knowledge_update.writing.prompted.grounding import placed, why_no_fact, why_no_pair
from knowledge_update.writing.prompted.parsing import Pair

PASSAGE = (
    "The “Grey Lamp” – a lighthouse of 38 metres – was built in 1874 by Runa Hesk,\nan engineer from Corvane. "
    "It cost 1,200 brenns. 灯塔建于１８７４年。"
)
FACT = "The Grey Lamp was built in 1874 by Runa Hesk."


@pytest.mark.parametrize(
    ("quote", "found"),
    [
        ("was built in 1874 by Runa Hesk", "was built in 1874 by Runa Hesk"),
        ('The "Grey Lamp" - a lighthouse', "The “Grey Lamp” – a lighthouse"),
        ("BY RUNA HESK, AN ENGINEER", "by Runa Hesk,\nan engineer"),
        ("was built ... from Corvane.", "was built in 1874 by Runa Hesk,\nan engineer from Corvane."),
        ("“was built in 1874”", "was built in 1874"),
        ("灯塔建于1874年", "灯塔建于１８７４年"),
    ],
)
def test_a_copied_quote_is_found_where_it_stands(quote: str, found: str) -> None:
    span = placed(quote, PASSAGE)
    assert span is not None
    assert PASSAGE[span.start : span.end] == found


@pytest.mark.parametrize("quote", ["", "  ", "...", "was built in 1875", "Hesk ... The Grey", "by"])
def test_a_quote_that_is_not_there_is_not_found(quote: str) -> None:
    span = placed(quote, PASSAGE)
    assert span is None or PASSAGE[span.start : span.end] == quote == "by"


@pytest.mark.parametrize(
    ("fact", "reason"),
    [
        (FACT, ""),
        ("The Grey Lamp cost 1200 brenns.", ""),
        ("灰灯塔建于1874年。", ""),
        ("Runa.", "is no sentence"),
        ("It was built in 1874 by Runa Hesk.", "does not say what it is about"),
        ("该灯塔建于1874年。", "does not say what it is about"),
        ("The passage says that Runa Hesk built it.", "speaks of the text"),
        ("The Grey Lamp was built in 1875.", "has a number that is not in the passage: 1875"),
        ("The Grey Lamp is 8 metres high.", "has a number that is not in the passage: 8"),
        ("The Grey Lamp was built by Tavi Orm.", "has a name that is not in the passage: Tavi"),
    ],
)
def test_a_fact_says_what_the_passage_says(fact: str, reason: str) -> None:
    assert why_no_fact(fact, f"灰灯塔\n{PASSAGE.replace('１８７４', '1874')}") == reason


@pytest.mark.parametrize(
    ("question", "answer", "reason"),
    [
        ("Who built the Grey Lamp?", "Runa Hesk", ""),
        ("Which lighthouse did Runa Hesk build?", "the Grey Lamp", ""),
        ("When was the Grey Lamp built?", "1874.", ""),
        ("According to the passage, who built the Grey Lamp?", "Runa Hesk", "speaks of the text"),
        ("Who built the Grey Lamp?", "Tavi Orm", "its answer is not in the fact"),
        ("Who built the Grey Lamp?", "", "its answer is not in the fact"),
        ("Who was Runa Hesk of the Grey Lamp?", "Runa Hesk", "gives its answer away"),
        ("When was it done?", "1874", "does not say what it is about"),
        ("Who was the builder?", "Runa Hesk", "does not name its subject"),
        ("Who built the Grey Lamp?", " ".join(["Runa"] * 26), "its answer is long"),
    ],
)
def test_a_question_belongs_to_its_fact(question: str, answer: str, reason: str) -> None:
    assert why_no_pair(Pair(question, answer), FACT, "was built in 1874 by Runa Hesk") == reason
