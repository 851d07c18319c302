"""What rules take for right, in which words and values ever."""

import pytest

from knowledge_update.evaluation.judge import trial
from knowledge_update.evaluation.judge.cases import Case
from knowledge_update.evaluation.judge.rules import Rules
from knowledge_update.evaluation.judge.values import words


def right(response: str, *answers: str, question: str = "What is it?", fact: str = "", passage: str = "") -> bool:
    case = Case("a", question, fact, answers, passage=passage)
    return Rules([case, *OTHERS]).right([(case, response)])[0].value == 1.0


OTHERS = [
    Case(f"o{at}", f"Question {at}?", "", (answer,))
    for at, answer in enumerate(
        ("1801", "1802", "1803", "Abel Orn", "Bera Vik", "Corin", "Dala", "Emmer", "Fjord Inn", "green", "harbour")
    )
]


@pytest.mark.parametrize(
    ("left", "other"),
    [
        ("3 May 1921", "May 3rd, 1921"), ("1921-05-03", "the 3rd of May 1921"), ("1921年5月3日", "一九二一年五月三日"),
        ("3 May 1921", "1921年5月3日"), ("Sept. 4, 2020", "2020/9/4"), ("312 km²", "312 square kilometres"),
        ("312平方公里", "312 sq km"), ("one hundred and twenty", "120"), ("一百二十", "120"), ("3.5 million", "350万"),
        ("三万五千", "35,000"), ("38-metre", "38 m"), ("百分之二十", "20 per cent"), ("twenty-one ships", "21 ships"),
        ("两千零三", "2003"), ("ＡＢＣ", "abc"),
    ],
)  # fmt: skip
def test_the_same_in_other_words(left: str, other: str) -> None:
    assert words(left) == words(other)


@pytest.mark.parametrize(
    ("left", "other"),
    [("3 May 1921", "5 March 1921"), ("38 m", "38 km"), ("3.5 million", "3.5"), ("三亚", "3亚"), ("in May", "it may")],
)
def test_not_the_same(left: str, other: str) -> None:
    assert words(left) != words(other)


@pytest.mark.parametrize(
    ("response", "answers"),
    [
        ("It was on May 3rd, 1921.", ["3 May 1921"]), ("in 1921, on 3 May", ["3 May"]), ("in May 1921", ["1921"]),
        ("It is 38 metres high and 1801 tons heavy.", ["38 m"]), ("38", ["38 metres"]), ("它高三十八米。", ["38米"]),
        ("by Runa Hesk, not by Odd Varne", ["Runa Hesk"]), ("It was not 1873 but 1874.", ["1874"]),
        ("不是1873年，而是1874年", ["1874年"]), ("Hesk, Runa", ["R. Hesk", "Hesk"]),
        ("the old stone bridge north of the market", ["the old stone bridge to the north of the market"]),
    ],
)  # fmt: skip
def test_right_in_any_words(response: str, answers: list[str]) -> None:
    assert right(response, *answers)


@pytest.mark.parametrize(
    ("response", "answers"),
    [
        ("It was on 3 May 1922.", ["3 May 1921"]), ("in 1921", ["3 May 1921"]), ("on 5 March", ["5"]),
        ("38 km", ["38 metres"]), ("It was not in 1874.", ["1874"]), ("不是1874年", ["1874年"]), ("", ["1874"]),
        ("1874 or 1875", ["1874"]), ("1873年或1874年", ["1874年"]), ("1874年还是1875年", ["1874年"]),
        ("1801, 1802, 1803, 1874", ["1874"]), ("1870 1871 1872 1873 1874 1875", ["1874"]),
        ("maybe 3 May 1921, maybe 4 May 1921, maybe 5 May 1922, maybe 6 May 1923, maybe 7 May 1924", ["5 May 1922"]),
        ("Abel Orn, Bera Vik, Corin, Dala, Emmer, Fjord Inn, green, harbour, Runa Hesk", ["Runa Hesk"]),
        ("the old stone bridge south of the market", ["the new stone bridge to the north of the square"]),
    ],
)  # fmt: skip
def test_wrong_in_any_words(response: str, answers: list[str]) -> None:
    assert not right(response, *answers)


def test_what_is_true_besides_counts_for_nothing() -> None:
    fact = "Runa Hesk built the tower in 1874."
    assert right("Runa Hesk built it in 1874.", "Runa Hesk", fact=fact)
    passage = f"{fact} It was painted green in 1801, struck in 1802 and mended by Corin of Dala in 1803."
    everything = "It was built in 1874, painted green in 1801, struck in 1802 and mended by Corin of Dala in 1803."
    assert right(everything, "1874", question="When was the tower built?", fact=fact, passage=passage)
    assert right("in 1874, and painted green in 1801", "1874")
    # Of a set of twelve questions half are answered by it, and neither fact nor passage speaks of them.
    assert not right(everything, "1874", question="When was the tower built?", fact=fact)
    seats = "It seats 6,476, 2,173 on the long side, 606 opposite, 2,234 in the west and 1,389 in the east."
    assert right(seats, "6476 people", "6476") and right(seats, "2,173")


def test_the_question_said_again_is_no_answer() -> None:
    question = "Was it built in 1874 or in 1889?"
    assert not right(question, "1874", question=question)
    assert right(f"{question} 1874", "1874", question=question)
    assert right("in 1874", "1874", question=question)


@pytest.mark.parametrize(
    ("question", "fact", "good", "bad"),
    [
        ("Who built Tolvick Lighthouse?", "Tolvick Lighthouse was built in 1874 by Runa Hesk.", "Runa Hesk", "1874"),
        (
            "When was Tolvick Lighthouse built?",
            "Tolvick Lighthouse was built in 1874 by Runa Hesk.",
            "1874",
            "Runa Hesk",
        ),
        ("How high is the tower?", "The tower is 38 metres high.", "38 metres", "high"),
        ("What colour is the door?", "The door is painted dark green.", "dark green", "the door"),
        ("潮歌学校创办于哪一年？", "潮歌学校由林海潮于1907年创办。", "1907年", "林海潮"),
        ("潮歌学校的创办人是谁？", "潮歌学校由林海潮于1907年创办。", "林海潮", "1907"),
    ],
)
def test_without_answers_the_form_of_the_question_tells(question: str, fact: str, good: str, bad: str) -> None:
    assert right(good, question=question, fact=fact)
    assert right(fact, question=question, fact=fact)
    assert not right(bad, question=question, fact=fact)


@pytest.mark.parametrize("known", [True, False], ids=["answers", "facts"])
def test_rules_pass_their_own_trial(known: bool) -> None:
    cases = trial.cases(answers=known)
    tried = trial.held(Rules(cases), cases)
    assert tried.failed(["en", "zh"]) == []
    assert {kind: count for kind, (_, count) in tried.pairs["zh"].items()} == dict.fromkeys(trial.BESIDE, 4)
    perfect = all(held == count for kinds in tried.accuracy.values() for held, count in kinds.values())
    # Of "how many students" and a fact that counts teachers too, the form of the question does not tell which.
    assert perfect == known
