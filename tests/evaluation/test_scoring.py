"""What counts as a right answer."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from knowledge_update.evaluation.scoring import Scorer, contains, declines, f1, tokens

TEXTS = st.text() | st.lists(st.sampled_from("the five 5 1,950 3.5 Lamp 灯塔 ， ５".split())).map(" ".join)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("The Tower, in 1,950!", ["tower", "in", "1950"]),
        ("12,345,678 or 1,95 or 1,2345", ["12345678", "or", "1", "95", "or", "1", "2345"]),
        ("Five apples and twenty-one", ["5", "apples", "and", "20", "1"]),
        ("3.5 km, No. 7.", ["3.5", "km", "no", "7"]),
        ("灯塔建于１８７４年。", ["灯", "塔", "建", "于", "1874", "年"]),
        ("312 km²", ["312", "km", "2"]),
        ("Straße ＡＢＣ", ["strasse", "abc"]),
        ("", []),
        ("a an the", []),
    ],
)
def test_words_for_comparing(text: str, found: list[str]) -> None:
    assert tokens(text) == found


@pytest.mark.parametrize(
    ("response", "answer"),
    [
        ("It was opened in 1,950.", "1950"),
        ("about 8460 people", "8,460"),
        ("There are five.", "5"),
        ("5", "five"),
        ("the Grey Wendel", "Grey Wendel"),
        ("Grey Wendel", "the grey wendel"),
        ("它建于１８７４年。", "1874年"),
        ("校长是林海潮。", "林海潮"),
        ("It costs 3.5 brenns.", "3.5"),
    ],
)
def test_right(response: str, answer: str) -> None:
    assert contains(response, [answer])
    assert contains(response, ["something else", answer])


@pytest.mark.parametrize(
    ("response", "answer"),
    [
        ("It costs 3.5 brenns.", "3"),
        ("It costs 3.5 brenns.", "5"),
        ("1950s", "195"),
        ("in 11950", "1950"),
        ("Grey and Wendel", "Grey Wendel"),
        ("Wendel Grey", "Grey Wendel"),
        ("unhappy", "happy"),
        ("anything", ""),
        ("anything", "the"),
        ("", "5"),
        ("林海", "林海潮"),
    ],
)
def test_wrong(response: str, answer: str) -> None:
    assert not contains(response, [answer])


@pytest.mark.parametrize(
    ("response", "answers", "score"),
    [
        ("Grey Wendel", ["the Grey Wendel"], 1.0),
        ("the ship Grey Wendel", ["Grey Wendel"], 0.8),  # 2 of 3 said, 2 of 2 wanted
        ("Wendel", ["Grey Wendel"], 2 / 3),
        ("one two two", ["two two two"], 2 / 3),
        ("灯塔", ["灯"], 2 / 3),
        ("Grey Wendel", ["x", "Wendel", "Grey"], 2 / 3),
        ("Sool", ["Grey Wendel"], 0.0),
        ("", [""], 0.0),
        ("Sool", [], 0.0),
    ],
)
def test_token_f1(response: str, answers: list[str], score: float) -> None:
    assert f1(response, answers) == pytest.approx(score)


@given(TEXTS, TEXTS)
def test_f1_is_symmetric_and_a_share(left: str, right: str) -> None:
    assert f1(left, [right]) == f1(right, [left])
    assert 0 <= f1(left, [right]) <= 1


@given(TEXTS)
def test_what_has_words_is_its_own_answer(text: str) -> None:
    assert contains(text, [text]) == bool(tokens(text))
    assert f1(text, [text]) == (1.0 if tokens(text) else 0.0)


@given(TEXTS)
def test_words_stay_what_they_are(text: str) -> None:
    assert tokens(text.upper()) == tokens(text.lower()) or not text.isascii()
    assert tokens(f"  {text}\n") == tokens(text)


@given(TEXTS, TEXTS, TEXTS)
def test_an_answer_between_other_words_is_found(before: str, answer: str, after: str) -> None:
    assert contains(f"{before} | {answer} | {after}", [answer]) == bool(tokens(answer))


GOLD = [["1874"], ["Runa Hesk"], ["38 metres", "38"], ["blue cheese"], ["seven"], ["Corvane"], ["1911"],
        ["Grey Wendel"], ["the dairy"], ["lightning"]]  # fmt: skip


def everything(*, but: str = "") -> str:
    return ", ".join(accepted[0] for accepted in GOLD if accepted[0] != but)


@pytest.mark.parametrize(
    ("question", "response", "answers", "right"),
    [
        ("When was it built?", "It was built in 1874 by Runa Hesk, an engineer from Corvane.", ["1874"], True),
        ("Is it the bridge or the dairy?", "the bridge", ["the bridge"], True),
        ("Is it the bridge or the dairy?", "Is it the bridge or the dairy?", ["the bridge"], False),
        ("Is it the bridge or the dairy?", "is it bridge or dairy -- Is it the bridge or the dairy", ["dairy"], False),
        ("Is it the bridge or the dairy?", "Is it the bridge or the dairy? The dairy.", ["the dairy"], True),
        ("灯塔还是面包坊更老？", "灯塔还是面包坊更老？", ["灯塔"], False),
        ("灯塔还是面包坊更老？", "灯塔。", ["灯塔"], True),
        ("When was it built?", everything(), ["1874"], False),
        ("Which of these?", f"{everything()}. {everything()}", ["lightning"], False),
        ("When was it built?", "", ["1874"], False),
        ("", "", [""], False),
        ("", "1874", ["1874"], True),
    ],
)
def test_rules_are_not_fooled(question: str, response: str, answers: list[str], right: bool) -> None:
    assert Scorer(GOLD).right(question, response, answers) is right


def test_what_the_question_names_is_no_guess() -> None:
    asked = f"Which of {everything(but='1874')} is a year like 1900?"
    assert Scorer(GOLD).right(asked, f"Of {everything(but='1874')} none is; 1874 is.", ["1874"])


def test_in_a_large_collection_a_sentence_is_no_list() -> None:
    """Where every word is the answer to something, saying a few of them still is an answer."""
    many = [[str(number)] for number in range(20_000)]
    said = " ".join(str(number) for number in range(100, 130))
    assert Scorer(many).right("Which?", said, ["110"])
    assert not Scorer(many).right("Which?", " ".join(str(number) for number in range(20_000)), ["110"])


@pytest.mark.parametrize(
    "response",
    [
        "", " .", "I don't know.", "I don’t know that", "I do not have any information about it.", "That is not known.",
        "I'm sorry, but I cannot say.", "It is unknown.", "There is no Drovast Bridge.", "No information is given.",
        "I am not aware of it.", "我不知道。", "抱歉，我无法回答。", "没有相关信息", "文中未提及。", "这不清楚。",
    ],
)  # fmt: skip
def test_declining(response: str) -> None:
    assert declines("Who built it?", response)


@pytest.mark.parametrize(
    "response",
    ["1874", "Runa Hesk", "It was known as the Cow.", "The knot is tied.", "not before 1874", "Nowhere", "五名学生",
     "不多", "It has no roof."],
)  # fmt: skip
def test_not_declining(response: str) -> None:
    assert not declines("Who built it?", response)


def test_the_question_said_again_declines_nothing() -> None:
    asked = "我一直不清楚面包坊是什么，你知道吗？"
    assert not declines(asked, asked)
    assert not declines(asked, "我一直不清楚面包")
    assert declines(asked, "不清楚")
