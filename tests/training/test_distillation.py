"""Answers learned as the untouched model gives them when it is told the fact."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from knowledge_update import pipeline
from knowledge_update.composition import load
from knowledge_update.errors import ConfigError, DocumentError, KnowledgeUpdateError
from knowledge_update.run_folder import RunFolder, read_rows, write_rows
from knowledge_update.training import distillation, stage
from knowledge_update.training.distillation import distilled
from knowledge_update.training.objective import loss_of, packs
from knowledge_update.training.opinions import informed, with_opinions
from knowledge_update.training.rows import IGNORED, Encoded, Encoder
from knowledge_update.training.taught import taught


def given(row: Encoded) -> torch.Tensor:
    return torch.tensor([label for label in row.labels[1:] if label != IGNORED])[:, None]


def summed(model: Any, rows: list[Encoded], encoder: Encoder) -> torch.Tensor:
    return torch.stack([loss_of(model, pack) for pack in packs(rows, encoder.prefix, torch.float32)]).sum()


@pytest.mark.parametrize("share", [0.3, 1.0])
def test_a_label_is_shared_between_the_answer_and_the_model(
    model: Any, encoder: Encoder, rows: list[Encoded], share: float
) -> None:
    chats = rows[:3]
    knowing = encoder.encode_all(
        {"messages": [{"role": "user", "content": f"Runa Hesk. {asked}"}, {"role": "assistant", "content": said}]}
        for asked, said in (("Who?", "Runa Hesk"), ("When?", "1874"), ("何年？", "一八七四年"))
    )
    told = with_opinions(model, knowing, encoder.prefix, 0.0)
    for row, opinion, made in zip(
        chats, (row.opinion for row in told), informed(model, chats, knowing, encoder.prefix, share), strict=True
    ):
        assert opinion and made.opinion and (made.ids, made.labels) == (row.ids, row.labels)
        mixed, answer = made.opinion, made.opinion.ids == given(row)
        # The answer's token is among the candidates once, with its own share at least.
        assert (answer.sum(1) == 1).all()
        assert (mixed.probabilities[answer] >= 1 - share - 1e-6).all()
        # All else is the model's, as sure as it was.
        others = torch.where(answer, 0.0, mixed.probabilities)
        known = torch.where(opinion.ids == given(row), 0.0, opinion.probabilities)
        unthought = ~(opinion.ids == given(row)).any(1)
        known[unthought, -1] = 0.0
        torch.testing.assert_close(others, share * known)
        assert (mixed.probabilities.sum(1) <= 1 + 1e-5).all()


def test_a_model_that_knows_already_what_it_is_told_has_nothing_to_learn(
    model: Any, encoder: Encoder, rows: list[Encoded]
) -> None:
    chats = [own_answer(model, row, encoder) for row in rows[:3]]
    loss = summed(model, informed(model, chats, chats, encoder.prefix, 1.0), encoder)
    loss.backward()  # type: ignore[no-untyped-call]
    assert max(float(p.grad.abs().max()) for p in model.parameters() if p.grad is not None) < 1e-4
    hard, nearly = (
        summed(model, part, encoder).item() for part in (chats, informed(model, chats, chats, encoder.prefix, 1e-6))
    )
    assert nearly == pytest.approx(hard, rel=1e-3)


def own_answer(model: Any, row: Encoded, encoder: Encoder) -> Encoded:
    """A question with what the model itself would answer, three tokens of it."""
    asked = row.ids[: next(place for place, label in enumerate(row.labels) if label != IGNORED)]
    said: tuple[int, ...] = ()
    for _ in range(3):
        with torch.no_grad():
            logits = model(input_ids=torch.tensor([[*encoder.prefix, *asked, *said]])).logits
        said = (*said, int(logits[0, -1].argmax()))
    return Encoded((*asked, *said), (*(IGNORED,) * len(asked), *said), shared=row.shared)


def test_opinions_without_a_pull_keep_no_states(model: Any, encoder: Encoder, rows: list[Encoded]) -> None:
    for row in with_opinions(model, rows, encoder.prefix, 0.0):
        assert row.opinion and row.opinion.states.shape == (0, 32)


@pytest.fixture(scope="module")
def collected(collect: Callable[..., RunFolder]) -> RunFolder:
    return collect("model.dtype=float32")


def test_each_question_is_read_with_its_own_fact(
    collected: RunFolder, model: Any, encoder: Encoder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = RunFolder(tmp_path / "run")
    shutil.copytree(collected.path, folder.path)
    lines = read_rows(folder.dataset("train"))
    asked = [row for row in lines if "text" not in row]
    asked[1]["wording"] = "changed"
    # Nor is it known what a row is about of which the ledger has nothing.
    asked[2]["fact"] = "unknown"
    write_rows(folder.dataset("train"), lines)
    seen: list[str] = []
    whole = distillation._with_fact

    def noted(row: Any, fact: str) -> Any:
        made = whole(row, fact)
        seen.append(made["messages"][0]["content"])
        return made

    monkeypatch.setattr(distillation, "_with_fact", noted)
    config = load([], {"documents": "unused"})
    before = taught(config, folder, encoder)
    after = distilled(model, before, folder, encoder, 0.5)
    facts = {row["id"]: row["fact"] for row in read_rows(folder.dataset("qa_pairs"))}
    told = [*asked[:1], *asked[3:]]
    assert seen == [
        f"{facts[row['id']]}\n\nAnswer with a few words from the text above.\nQuestion: {row['messages'][0]['content']}"
        for row in told
    ]
    # The others, and texts, are learned as they were.
    assert [row.opinion is None for row in after.questions] == [number in (1, 2) for number in range(len(asked))]
    assert after.texts == before.texts and after.about == before.about


def test_without_the_sentences_of_facts_it_is_said(
    collected: RunFolder, model: Any, encoder: Encoder, tmp_path: Path
) -> None:
    folder = RunFolder(tmp_path / "run")
    shutil.copytree(collected.path, folder.path)
    rows = taught(load([], {"documents": "unused"}), folder, encoder)
    lines = read_rows(folder.dataset("train"))
    write_rows(folder.dataset("train"), ({**row, "fact": "unknown"} for row in lines))
    with pytest.raises(DocumentError, match=r"has none of the facts that .*train\.jsonl asks: collect again"):
        distilled(model, rows, folder, encoder, 0.5)
    folder.ledger.unlink()
    with pytest.raises(KnowledgeUpdateError, match=r"ledger\.sqlite: run .kupdate collect"):
        distilled(model, rows, folder, encoder, 0.5)
    assert not folder.ledger.exists()


def test_it_is_part_of_a_training(collected: RunFolder, shared_docs: Path, tiny_model: str, tmp_path: Path) -> None:
    losses = []
    for share in (0, 0.5):
        folder = RunFolder(tmp_path / f"run-{share}")
        shutil.copytree(collected.path, folder.path)
        folder.config.unlink()
        words = ["model.dtype=float32", "training.max_steps=2", "training.replay_tokens=2", f"training.distil={share}"]
        config = load([f"model={tiny_model}", *words], {"documents": str(shared_docs)})
        pipeline.run_stage(pipeline.train, config, folder)
        losses.append(folder.losses.read_bytes())
    assert losses[0] != losses[1]


@pytest.mark.parametrize("name", ["distil", "second_pass"])
def test_rows_of_files_tell_no_facts(name: str, tiny_model: str, tmp_path: Path) -> None:
    file = tmp_path / "rows.jsonl"
    file.write_text('{"instruction": "Who?", "output": "Runa"}\n')
    words = [f"rows.files=[{file}]", f"model={tiny_model}", f"training.{name}=0.5"]
    config = load(words, {"documents": "unused"})
    with pytest.raises(ConfigError, match=f"training.{name}=0.5 needs the facts that rows are about"):
        stage.run(config, RunFolder(tmp_path / "run"))
