"""Passages that stand in a changed document as they did stay passages."""

import random

from hypothesis import given
from hypothesis import strategies as st

from knowledge_update.documents.blocks import Block, Document
from knowledge_update.documents.chunking import Passage, passages, text_of
from knowledge_update.documents.recutting import recut


def document(*texts: str) -> Document:
    blocks = tuple(Block("heading", t[2:], 2) if t.startswith("# ") else Block("paragraph", t) for t in texts)
    return Document("id", "d", "d.txt", "Title", "text/plain", blocks)


def cut(found: Document) -> list[Passage]:
    return passages(found, lambda text: len(text.split()), 20)


PARAGRAPHS = [f"Sentence {n} has seven words in it. And {n} more has six words." for n in range(12)]


def test_a_paragraph_more_costs_one_passage() -> None:
    before = cut(document(*PARAGRAPHS))
    changed = document(PARAGRAPHS[0], "A new one stands here.", *PARAGRAPHS[1:])
    after = recut(changed, [passage.row.text for passage in before], cut)
    assert len({passage.row.id for passage in cut(changed)} - {passage.row.id for passage in before}) > 0
    assert [p.row.text for p in after if p.row.id not in {b.row.id for b in before}] == ["A new one stands here."]


def test_a_changed_sentence_costs_its_passage() -> None:
    long = " ".join(f"Word {n} is in a long paragraph." for n in range(12))
    before = cut(document("# One", long, "# Two", *PARAGRAPHS[:4]))
    after = recut(document("# One", long.replace("Word 4", "Word x"), "# Two", *PARAGRAPHS[:4]),
                  [passage.row.text for passage in before], cut)  # fmt: skip
    new = {p.row.id for p in after} - {p.row.id for p in before}
    assert len(new) == 1
    assert [p.row.heading_path for p in after] == [p.row.heading_path for p in before]


def test_what_is_not_changed_is_cut_as_before() -> None:
    found = document("# One", *PARAGRAPHS[:5], "# Two", *PARAGRAPHS[5:])
    before = cut(found)
    assert recut(found, [passage.row.text for passage in before], cut) == before
    assert recut(found, ["it stands nowhere"], cut) == before


@given(st.integers(0, 10_000))
def test_nothing_is_lost_or_said_twice_whatever_changed(seed: int) -> None:
    draw = random.Random(seed)
    texts = [f"# Part {n}" if draw.random() < 0.2 else PARAGRAPHS[n % 12].replace("has", f"has{n}") for n in range(14)]
    before = cut(document(*texts))
    for _ in range(draw.randrange(4)):
        at = draw.randrange(len(texts))
        texts[at : at + draw.randrange(2)] = [f"New {draw.randrange(99)} is here. It has a second sentence."]
    changed = document(*texts)
    whole, _ = text_of(changed)
    after = recut(changed, [passage.row.text for passage in before], cut)
    place = 0
    for passage in after:
        assert whole[passage.row.start : passage.row.end] == passage.row.text
        assert not [
            line for line in whole[place : passage.row.start].split("\n") if line and line not in _headings(texts)
        ]
        assert passage.row.start >= place
        for block, offset in passage.blocks:
            assert passage.row.text[offset : offset + len(block.text)] == block.text
        place = passage.row.end


def _headings(texts: list[str]) -> set[str]:
    return {text[2:] for text in texts if text.startswith("# ")}
