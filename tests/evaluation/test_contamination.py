"""Questions worded nearly like trained ones."""

from hypothesis import given
from hypothesis import strategies as st

from knowledge_update.evaluation.contamination import NEAR, Trained
from knowledge_update.writing.checks import jaccard, words

WORDS = st.lists(st.sampled_from("when was the old tower of Hesk built by 塔 建 于 哪 年".split()), max_size=9).map(
    " ".join
)


def test_the_nearest_is_found() -> None:
    trained = Trained(["How long is the bridge?", "How long is the Ansgild Bridge?", "Who built it?", "塔建于哪年？"])
    assert trained.nearest("How long is the Ansgild Bridge today?") == "How long is the Ansgild Bridge?"
    assert trained.nearest("塔建于哪一年？") == "塔建于哪年？"
    assert trained.nearest("Could you tell me how long the Ansgild Bridge is, please?") == ""
    assert Trained([]).nearest("Who?") == ""


@given(st.lists(WORDS, max_size=8), WORDS)
def test_it_is_what_comparing_with_each_finds(questions: list[str], asked: str) -> None:
    shares = [jaccard(words(question), words(asked)) for question in questions if words(question)]
    found = Trained(questions).nearest(asked)
    if words(asked) and max(shares, default=0) >= NEAR:
        assert jaccard(words(found), words(asked)) == max(shares)
    else:
        assert found == ""
