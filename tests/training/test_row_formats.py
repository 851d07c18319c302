"""Rows of every described format become one form, or say why not."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from knowledge_update.training.formats import BadRow, canonical

ASKED = {"role": "user", "content": "Who built it?"}
ANSWERED = {"role": "assistant", "content": "Runa Hesk."}
AGAIN = [{"role": "user", "content": "When?"}, {"role": "assistant", "content": "In 1874."}]
SYSTEM = {"role": "system", "content": "Be short."}

GOOD: list[tuple[Any, Any]] = [
    ({"messages": [ASKED, ANSWERED]}, [ASKED, ANSWERED]),
    ({"messages": [SYSTEM, ASKED, ANSWERED, *AGAIN]}, [SYSTEM, ASKED, ANSWERED, *AGAIN]),
    (
        {"conversations": [{"from": "user", "value": "Who built it?"}, {"from": "assistant", "value": "Runa Hesk."}]},
        [ASKED, ANSWERED],
    ),
    (
        {
            "conversations": [
                {"from": "system", "value": "Be short."}, {"from": "human", "value": "Who built it?"},
                {"from": "gpt", "value": "Runa Hesk."}, {"from": "human", "value": "When?"},
                {"from": "gpt", "value": "In 1874."},
            ]
        },
        [SYSTEM, ASKED, ANSWERED, *AGAIN],
    ),
    ({"conversations": [ASKED, ANSWERED]}, [ASKED, ANSWERED]),
    ({"instruction": "Who built it?", "input": "", "output": "Runa Hesk."}, [ASKED, ANSWERED]),
    ({"instruction": "Who built it?", "input": None, "output": "Runa Hesk."}, [ASKED, ANSWERED]),
    (
        {"instruction": "Say it. ", "input": "When?", "output": " In 1874."},
        [{"role": "user", "content": "Say it. \nWhen?"}, {"role": "assistant", "content": " In 1874."}],
    ),
    (
        {
            "instruction": "When?", "output": "In 1874.", "system": "Be short.",
            "history": [["Who built it?", "Runa Hesk."]],
        },
        [SYSTEM, ASKED, ANSWERED, *AGAIN],
    ),
    ({"input": "Who built it?", "target": "Runa Hesk."}, [ASKED, ANSWERED]),
    ({"prompt": "Who built it?", "completion": "Runa Hesk."}, [ASKED, ANSWERED]),
    ({"title": "Tolvick", "content": "It is 38 m high."}, "Tolvick\nIt is 38 m high."),
    ({"title": "", "content": "It is 38 m high."}, "It is 38 m high."),
    ({"text": " It is 38 m high.\n"}, " It is 38 m high.\n"),
    # What is asked after the last answer is not learned, and no answer.
    ({"messages": [ASKED, ANSWERED, ASKED]}, [ASKED, ANSWERED]),
    # A system message that says nothing is none.
    ({"messages": [{"role": "system", "content": " "}, ASKED, ANSWERED]}, [ASKED, ANSWERED]),
    # Of two formats it is the one that is a conversation.
    ({"text": "x", "messages": [ASKED, ANSWERED]}, [ASKED, ANSWERED]),
]  # fmt: skip

BAD: list[tuple[Any, str]] = [
    (7, "not an object (it is a number)"),
    (None, "not an object (it is nothing)"),
    (["a"], "not an object (it is a list)"),
    ({}, "of no known format (its fields: none; known are {messages}, {conversations}, {instruction, output}, "
         "{input, target}, {prompt, completion}, {title, content}, {text})"),
    ({"colour": "red"}, "of no known format (its fields: colour; known are {messages}, {conversations}, "
     "{instruction, output}, {input, target}, {prompt, completion}, {title, content}, {text})"),
    ({"instruction": "a", "input": "b"}, "no 'output', which a row of {instruction, output} has"),
    ({"title": "a"}, "no 'content', which a row of {title, content} has"),
    ({"text": None, "title": "a"}, "no 'content', which a row of {title, content} has"),
    ({"text": "  \n"}, "an empty text"),
    ({"title": "a", "content": ""}, "an empty text"),
    ({"text": 5}, "'text' is not text (it is a number)"),
    ({"input": "a", "target": ["b"]}, "'target' is not text (it is a list)"),
    ({"input": "a", "target": " "}, "an empty answer (turn 2)"),
    ({"instruction": "", "output": "a"}, "an empty question (turn 1)"),
    ({"instruction": "a", "output": "b", "history": "c"}, "'history' is not a list (it is text)"),
    ({"instruction": "a", "output": "b", "history": [["c"]]}, "'history' is no list of [question, answer] (pair 1)"),
    ({"instruction": "a", "output": "b", "history": [["c", "d"], ["e", 1]]},
     "'history' is no list of [question, answer] (pair 2)"),
    ({"messages": "a"}, "'messages' is not a list (it is text)"),
    ({"messages": []}, "no assistant turn"),
    ({"messages": [ASKED]}, "no assistant turn"),
    ({"messages": [ASKED, {"role": "assistant", "content": ""}]}, "an empty answer (turn 2)"),
    ({"messages": [{"role": "user", "content": ""}, ANSWERED]}, "an empty question (turn 1)"),
    ({"messages": [ASKED, ANSWERED, SYSTEM]}, "a system turn that is not the first (turn 3)"),
    ({"messages": ["a"]}, "a turn that is no object (turn 1 is text)"),
    ({"messages": [{"content": "a"}]}, "a turn without a role (turn 1)"),
    ({"messages": [ASKED, {"role": "assistant", "content": None}]},
     "a turn whose 'content' is not text (turn 2: it is nothing)"),
    ({"conversations": [{"from": "user", "value": 5}]}, "a turn whose 'value' is not text (turn 1: it is a number)"),
    ({"conversations": [{"from": "owl", "value": "a"}]},
     "an unknown role (turn 1: 'owl'; known are user, human, assistant, gpt, system)"),
    ({"conversations": [{"from": ["a"], "value": "a"}]},
     "an unknown role (turn 1: \"['a']\"; known are user, human, assistant, gpt, system)"),
    ({"text": "a\ud800b"}, "half of a surrogate pair, which is no character (at character 2)"),
]  # fmt: skip


@pytest.mark.parametrize(("value", "content"), GOOD, ids=lambda part: json.dumps(part)[:40])
def test_a_row_of_every_format_becomes_the_one_form(value: Any, content: Any) -> None:
    expected = {"text": content} if isinstance(content, str) else {"messages": content}
    assert canonical(value, "x 1")[1] == {"id": "x 1", **expected, "language": "en"}


@pytest.mark.parametrize(("value", "reason"), BAD, ids=lambda part: repr(part)[:40])
def test_a_bad_row_says_why(value: Any, reason: str) -> None:
    with pytest.raises(BadRow) as raised:
        canonical(value, "x 1")
    assert str(raised.value) == reason
    assert "(" not in raised.value.kind


def test_what_a_row_lacks_is_told_by_the_format_of_its_file() -> None:
    form, _ = canonical({"input": "a", "target": "b"}, "x")
    with pytest.raises(BadRow, match=r"^no 'target', which a row of \{input, target\} has$"):
        canonical({"input": "a"}, "x", form)
    # A row of another format is one all the same.
    assert canonical({"text": "a"}, "x", form)[1]["text"] == "a"


@pytest.mark.parametrize(("identity", "named"), [("q-1", "q-1"), (7, "7"), ("", "x 1"), ([], "x 1")])
def test_a_row_keeps_its_name(identity: Any, named: str) -> None:
    assert canonical({"id": identity, "text": "a"}, "x 1")[1]["id"] == named


def test_the_language_is_told_by_the_letters() -> None:
    assert canonical({"input": "灯塔建于哪一年？", "target": "1874"}, "x")[1]["language"] == "zh"


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                "id messages conversations from value role content instruction input output history system target"
                " prompt completion title text split".split()
            ),
            inner,
        )
    ),
    max_leaves=12,
)


@given(VALUES)
def test_whatever_is_read_is_a_row_or_a_bad_row(value: Any) -> None:
    try:
        _, row = canonical(value, "x")
    except BadRow as reason:
        assert str(reason) and "\n" not in str(reason)
        return
    texts = [row["text"]] if "text" in row else [message["content"] for message in row["messages"]]
    assert texts and all(text.strip() and text.encode() for text in texts)
    assert "text" in row or row["messages"][-1]["role"] == "assistant"
