"""A conversation: what is streamed is what generate says, its context holds, and a failure leaves it usable."""

import itertools
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import LoraConfig, get_peft_model
from transformers import AutoModelForCausalLM

from knowledge_update.chat.session import Sampling, Session
from knowledge_update.config import ModelConfig
from knowledge_update.errors import UserError
from knowledge_update.ready_model import ReadyModel, ready


@pytest.fixture(scope="module")
def loaded(tiny_model: str, tmp_path_factory: pytest.TempPathFactory) -> ReadyModel:
    """The tiny model with an adapter that makes every token matter."""
    folder = tmp_path_factory.mktemp("adapter")
    torch.manual_seed(1)
    model = AutoModelForCausalLM.from_pretrained(tiny_model, dtype=torch.float32)
    settings = LoraConfig(
        r=8, lora_alpha=64, task_type="CAUSAL_LM", init_lora_weights=False, target_modules="all-linear"
    )
    get_peft_model(model, settings).save_pretrained(str(folder))
    return ready(ModelConfig(name=tiny_model, dtype="float32"), named=True, adapter=str(folder))


@pytest.fixture
def session(loaded: ReadyModel) -> Session:
    return Session(loaded, Sampling(max_new_tokens=12))


def generated(loaded: ReadyModel, messages: list[dict[str, str]], count: int) -> str:
    """What transformers' own generation says."""
    ids = torch.tensor([loaded.template.prompt(messages)])
    said = loaded.model.generate(
        input_ids=ids, attention_mask=torch.ones_like(ids), max_new_tokens=count, do_sample=False,
        eos_token_id=sorted(loaded.template.end_ids), pad_token_id=0,
    )  # fmt: skip
    return str(loaded.template.tokenizer.decode(said[0, ids.shape[1] :], skip_special_tokens=True))


@pytest.mark.parametrize("question", ["Who built it?", "灯塔建于哪一年？", "a\nb", "🙂 é"])
def test_what_is_streamed_is_what_generate_says(session: Session, loaded: ReadyModel, question: str) -> None:
    pieces = list(session.answer(question))
    expected = generated(loaded, [{"role": "user", "content": question}], 12)
    assert "".join(pieces) == expected == session.turns[-1].answer
    assert len(pieces) > 1 or len(expected) < 3
    assert session.turns[-1].whole
    # The next answer depends on this one.
    said = "".join(session.answer("And then?"))
    history = [{"role": "user", "content": question}, {"role": "assistant", "content": expected}]
    assert said == generated(loaded, [*history, {"role": "user", "content": "And then?"}], 12)


def test_a_character_of_several_tokens_comes_whole(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    text = "灯塔 é 🙂 ok"
    tokens = session.template.tokenizer(text, add_special_tokens=False)["input_ids"]
    assert len(tokens) > len(text), "the tokenizer knows these characters whole: nothing is shown"
    monkeypatch.setattr(Session, "_tokens", lambda *_, **__: iter(tokens))
    pieces = list(session.answer("x"))
    assert "".join(pieces) == text and len(pieces) > 5
    assert not any("\ufffd" in piece for piece in pieces)


def test_a_stopped_answer_is_kept_and_the_session_goes_on(session: Session) -> None:
    pieces = session.answer("Who built it?")
    said = "".join(itertools.islice(pieces, 3))
    pieces.close()
    turn = session.turns[-1]
    assert (turn.answer, turn.whole) == (said, False) and said
    assert "".join(session.answer("Go on.")) and [turn.whole for turn in session.turns] == [False, True]


def test_a_failed_turn_leaves_the_session_as_it_was(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    list(session.answer("One?"))
    before = session.messages()

    def broken(*_: Any, **__: Any) -> Any:
        raise RuntimeError("out of memory")

    with monkeypatch.context() as patched:
        patched.setattr(type(session.ready.model), "forward", broken)
        with pytest.raises(RuntimeError):
            list(session.answer("Two?"))
    assert session.messages() == before
    assert "".join(session.answer("Two?")) and len(session.turns) == 2


def test_the_oldest_turns_go_and_the_system_stays(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    session.system = "Be brief."
    session.sampling.context = 200
    asked: list[list[int]] = []
    monkeypatch.setattr(Session, "_tokens", lambda _, ids, **__: (asked.append(ids), iter([65, 66]))[1])
    for number in range(1000):
        list(session.answer(f"Question {number}?"))
    decode = session.template.tokenizer.decode
    assert all(len(ids) <= session.room() == 188 for ids in asked)
    assert all("Be brief." in decode(ids) for ids in asked[::100])
    last = decode(asked[-1])
    assert "Question 999?" in last and "Question 998?" in last and "Question 990?" not in last
    assert len(session.messages()) == 2001, "what no longer fits is still the conversation"
    session.undo()
    list(session.answer("Again?"))
    assert "Question 998?" in decode(asked[-1]) and "Question 999?" not in decode(asked[-1])
    session.new()
    list(session.answer("New?"))
    assert "Question" not in decode(asked[-1]) and "Be brief." in decode(asked[-1])


def test_a_question_that_does_not_fit_is_told(session: Session) -> None:
    list(session.answer("One?"))
    with pytest.raises(UserError, match=r"^this is [\d,]+ tokens long, and 2,036 fit: ask in fewer words$"):
        list(session.answer("word " * 20_000))
    assert [turn.question for turn in session.turns] == ["One?"]
    assert "".join(session.answer("Two?"))


def test_aside_the_base_answers_as_the_base_does(session: Session, loaded: ReadyModel) -> None:
    base, updated = ("".join(session.aside("Who built it?", base=base)) for base in (True, False))
    asked = [{"role": "user", "content": "Who built it?"}]
    with loaded.model.disable_adapter():
        assert base == generated(loaded, asked, 12)
    assert updated == generated(loaded, asked, 12) != base
    assert session.turns == []


def test_what_is_drawn_is_drawn_anew_and_the_same_from_the_same_seed(loaded: ReadyModel) -> None:
    def said(**settings: Any) -> list[str]:
        session = Session(loaded, Sampling(max_new_tokens=12, **settings))
        return ["".join(session.aside("Who built it?")) for _ in range(4)]

    assert len(set(said(temperature=1.5))) > 1
    assert said(temperature=1.5) == said(temperature=1.5) != said(temperature=1.5, seed=10)
    assert set(said(temperature=1.5, top_p=1e-6)) == set(said())


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("heat", "1", "no setting 'heat': there are temperature, top_p, max_new_tokens, context, seed"),
        ("temperature", "warm", "temperature warm: a number"),
        ("top_p", "0", "top_p 0: from 1e-06 to 1"),
        ("max_new_tokens", "0", "max_new_tokens 0: from 1 to "),
        ("temperature", "nan", "temperature nan: from 0 to 10"),
    ],
)
def test_settings_are_checked(name: str, value: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        Sampling().change(name, value)


def test_a_model_is_found_by_what_it_is_named(tiny_model: str, tmp_path: Path) -> None:
    session = Session(ready(ModelConfig(name=tiny_model), named=True))
    assert session.ready.adapter is None and session.ready.run is None
