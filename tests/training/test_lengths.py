"""What is too long is split or left out: nothing is cut off, and no answer is learned without its end."""

from typing import Any

from conversations import answers, talk, whole
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from knowledge_update.training.lengths import Fitted, fitted
from knowledge_update.training.rows import Encoder

SENTENCES = (
    "The tower is 38 metres high. It was built in 1874 by Runa Hesk! 灯塔建于一八七四年。Who lives there? Nobody\n"
)


def test_a_row_that_fits_is_left_as_it_is(encoder: Encoder) -> None:
    row = talk("Who built it?", "Runa Hesk.", "When?", "In 1874.")
    (part,) = encoder.parts(row)
    assert fitted(row, encoder, encoder.length(part)) == Fitted((part,))
    assert fitted(row, encoder, encoder.length(part) - 1) != Fitted((part,))


def texts(found: Fitted, encoder: Encoder) -> list[str]:
    return [encoder.template.tokenizer.decode(part.ids).removesuffix("<|im_end|>") for part in found.parts]


def test_a_long_text_is_split_behind_sentences_and_loses_nothing(encoder: Encoder) -> None:
    text = SENTENCES * 20
    found = fitted({"text": text}, encoder, 60)
    assert found.split and len(found.parts) >= 15 and not found.left_out
    assert "".join(texts(found, encoder)) == text
    # In 60 tokens there is a sentence's end in every second half.
    assert {window.rstrip(" ")[-1] for window in texts(found, encoder)} <= set(".!?。\n")
    assert all(part.labels == part.ids and not part.shared for part in found.parts)
    # Only the last one is taught to end.
    ends = [encoder.template.end_id in part.ids for part in found.parts]
    assert ends == [False] * (len(ends) - 1) + [True]


def test_a_window_does_not_end_within_a_character(encoder: Encoder) -> None:
    # Each of these is four bytes, and four tokens.
    found = fitted({"text": "𠮷𠮷𠮷𠮷𠮷𠮷𠮷𠮷𠮷𠮷"}, encoder, 16)
    assert len(found.parts) == 4
    assert {window.strip("𠮷") for window in texts(found, encoder)} == {""}


class Marking:
    """A tokenizer that puts a token of its own before a text."""

    def __init__(self, inner: Any) -> None:
        self.inner = inner

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)

    def __call__(self, text: str, add_special_tokens: bool = True, **more: Any) -> Any:
        found = self.inner(text, add_special_tokens=False, **more)
        return {"input_ids": [1, *found["input_ids"]]} if add_special_tokens else found


def test_what_stands_before_a_text_stands_before_all_its_windows(encoder: Encoder) -> None:
    plain = encoder.template.tokenizer
    encoder.template.tokenizer = Marking(plain)
    found = fitted({"text": SENTENCES * 3}, encoder, 40)
    assert len(found.parts) > 2 and {part.ids[0] for part in found.parts} == {1}
    assert max(len(part.ids) for part in found.parts) <= 40
    assert "".join(plain.decode(part.ids[1:]) for part in found.parts) == SENTENCES * 3 + "<|im_end|>"


def test_a_long_conversation_is_split_between_questions(encoder: Encoder) -> None:
    row = talk(*(f"{word} {number}" for number in range(8) for word in ("Question", "Answer")), system="Be short.")
    (part,) = encoder.parts(row)
    found = fitted(row, encoder, encoder.length(part) // 2)
    assert len(found.parts) > 2 and found.split and not found.left_out
    assert [text for part in found.parts for text in answers(part, encoder)] == [f"Answer {at}" for at in range(8)]
    for part in found.parts:
        text = encoder.template.tokenizer.decode(whole(part, encoder)[0])
        assert text.startswith("<|im_start|>system\nBe short.<|im_end|>\n<|im_start|>user\nQuestion")


def test_an_answer_that_does_not_fit_is_left_out_and_no_other(encoder: Encoder) -> None:
    row = talk("Who?", "Runa Hesk.", "Tell all.", SENTENCES * 5, "When?", "In 1874.")
    found = fitted(row, encoder, 100)
    assert found.left_out == 1
    assert [text for part in found.parts for text in answers(part, encoder)] == ["Runa Hesk.", "In 1874."]
    assert fitted(talk("Tell all.", SENTENCES * 5), encoder, 100) == Fitted((), False, 1)
    # Nor is one asked something else than it answers.
    assert fitted(talk(SENTENCES * 5, "Yes."), encoder, 100) == Fitted((), False, 1)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(st.text(st.characters(codec="utf-8", exclude_characters="<|>"), min_size=1, max_size=30).filter(str.strip),
             min_size=2, max_size=12).map(lambda texts: texts[: len(texts) // 2 * 2]),
    st.integers(16, 120), st.booleans(),
)  # fmt: skip
def test_whatever_is_said_nothing_is_longer_and_every_answer_ends(
    encoder: Encoder, texts: list[str], most: int, first: bool
) -> None:
    row = talk(*texts, system="Be short." if first else "")
    found = fitted(row, encoder, most)
    assert all(encoder.length(part) <= most for part in found.parts)
    learned = [text for part in found.parts for text in answers(part, encoder)]
    decode, tokenizer = encoder.template.tokenizer.decode, encoder.template.tokenizer
    said = [decode(tokenizer(text, add_special_tokens=False)["input_ids"]) for text in texts[1::2]]
    assert len(learned) + found.left_out == len(said)
    kept = iter(said)
    assert all(any(text == one for one in kept) for text in learned)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text(st.characters(codec="utf-8"), min_size=1, max_size=400).filter(str.strip), st.integers(16, 80))
def test_whatever_a_text_holds_its_windows_are_its_tokens(encoder: Encoder, text: str, most: int) -> None:
    found = fitted({"text": text}, encoder, most)
    assert all(len(part.ids) <= most for part in found.parts)
    (plain,) = encoder.parts({"text": text})
    assert [token for part in found.parts for token in part.ids] == list(plain.ids)
