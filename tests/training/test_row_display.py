"""Rows are shown as they are trained: what is learned stands out, and nothing in a row steers the terminal."""

import io
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from conversations import talk
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rich.console import Console

from knowledge_update.training.row_display import BETWEEN, CLOSE, LEARNED, OPEN, READ, escaped, painted
from knowledge_update.training.rows import Encoder


def shown(row: dict[str, object], encoder: Encoder) -> str:
    return painted(encoder.parts(row)[0], encoder, coloured=False).plain


def test_what_is_learned_stands_between_marks(encoder: Encoder) -> None:
    text = shown(talk("Who built it?", "Runa Hesk.", "When?", "灯塔"), encoder)
    assert text.replace(BETWEEN, "").startswith("<|im_start|>user\\nWho built it?<|im_end|>\\n<|im_start|>assistant")
    runs = [part.partition(CLOSE)[0].replace(BETWEEN, "") for part in text.split(OPEN)[1:]]
    assert runs == ["Runa Hesk.<|im_end|>", "灯塔<|im_end|>"]


def test_of_a_text_all_is_learned_but_what_nothing_predicts(encoder: Encoder) -> None:
    text = shown({"text": "The tower."}, encoder)
    first, _, rest = text.partition(OPEN)
    assert first == encoder.template.tokenizer.decode([encoder.parts({"text": "The tower."})[0].ids[0]])
    assert rest.endswith(f"<|im_end|>{CLOSE}")


def test_there_are_colours_where_there_is_a_terminal(encoder: Encoder) -> None:
    row = encoder.parts(talk("Who?", "Runa."))[0]
    text = painted(row, encoder, coloured=True)
    assert OPEN not in text.plain
    assert {text.plain[span.start : span.end].replace(BETWEEN, ""): span.style for span in text.spans} == {
        "<|im_start|>user\\nWho?<|im_end|>\\n<|im_start|>assistant\\n": READ, "Runa.<|im_end|>": LEARNED,
    }  # fmt: skip
    out = io.StringIO()
    Console(file=out, force_terminal=True, width=500).print(text)
    assert "\x1b[1;32m" in out.getvalue()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a\x1b[2Jb", "a\\x1b[2Jb"), ("\x1b]0;title\x07", "\\x1b]0;title\\x07"), ("a\nb\tc", "a\\nb\\tc"),
        ("\u202eabc", "\\u202eabc"), ("[bold]x[/bold]", "[bold]x[/bold]"), ("灯 塔", "灯 塔"), ("\x9b2J", "\\x9b2J"),
    ],
)  # fmt: skip
def test_what_would_steer_the_terminal_is_written_out(text: str, expected: str) -> None:
    assert escaped(text) == expected


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text(st.characters(codec="utf-8"), min_size=1, max_size=60).filter(str.strip))
def test_whatever_a_row_says_nothing_of_it_steers(encoder: Encoder, text: str) -> None:
    assert shown({"text": text}, encoder).isprintable()


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.text(st.characters(codec="utf-8", categories=["L", "N", "P"], exclude_characters="⟦⟧"), min_size=1, max_size=60)
)
def test_characters_of_several_tokens_are_shown_whole(encoder: Encoder, text: str) -> None:
    found = shown({"text": text}, encoder).replace(OPEN, "").replace(CLOSE, "").replace(BETWEEN, "")
    # A first character of several tokens is learned but for the first of them.
    if len(encoder.template.tokenizer(text[0])["input_ids"]) == 1:
        assert found == text + "<|im_end|>"


def test_the_command_shows_rows_and_trains_nothing(
    kupdate: Callable[..., tuple[int, str, str]], docs: Path, tiny_model: str, tmp_path: Path
) -> None:
    code, _, said = kupdate("collect", docs, "--out", "run", f"model={tiny_model}")
    assert code == 0, said
    before = (tmp_path / "run" / "config.yaml").read_bytes()
    code, out, said = kupdate("train", "run", "--show-rows", "3")
    assert code == 0, said
    assert out.count(OPEN) == 3 and "run/dataset/train.jsonl, line 1: " in out and " learned\n" in out
    (tmp_path / "own.jsonl").write_text(json.dumps({"input": "[red]Who?", "target": "Runa\x1b[2J"}) + "\n")
    code, out, said = kupdate("train", "run", "--show-rows", "3", "--data_path", "own.jsonl")
    assert code == 0, said
    assert "own.jsonl, row 1: " in out and "\\x1b" in out and "\x1b" not in out and "red" in out
    (tmp_path / "own.jsonl").write_text('{"input": "Who?"}\n')
    code, _, said = kupdate("train", "run", "--show-rows", "3", "--data_path", "own.jsonl")
    reason = "no 'target', which a row of {input, target} has"
    assert (code, said) == (2, f"kupdate: own.jsonl, line 1: {reason}; --skip-bad-rows leaves such rows out\n")
    assert (tmp_path / "run" / "config.yaml").read_bytes() == before
    assert not (tmp_path / "run" / "adapter").exists()
