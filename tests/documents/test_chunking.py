"""Documents are cut into passages whose places are known."""

from itertools import pairwise

from hypothesis import example, given
from hypothesis import strategies as st

from knowledge_update.documents.blocks import Block, Document, row
from knowledge_update.documents.chunking import Passage, passages, sentences, text_of

WORDS = st.lists(st.sampled_from("lamp tower 1874 sea 灯塔 Mr. e.g. “keeper” (red)".split()), min_size=1, max_size=9)
SENTENCES = st.builds(lambda words, end: " ".join(words) + end, WORDS, st.sampled_from(["."] * 3 + ["!", "。", "?”"]))
PARAGRAPHS = st.lists(SENTENCES, min_size=1, max_size=6).map(" ".join)
BLOCKS = st.one_of(
    PARAGRAPHS.map(lambda text: Block("paragraph", text)),
    SENTENCES.map(lambda text: Block("item", text)),
    st.tuples(WORDS, st.integers(1, 6)).map(lambda pair: Block("heading", " ".join(pair[0]), level=pair[1])),
    st.lists(st.sampled_from(["Sool", "1991", "Yard"]), min_size=1, max_size=3).map(lambda cells: row(cells, ())),
)


def count(text: str) -> int:
    return len(text.split())


def document(*blocks: Block) -> Document:
    return Document("d", "lamp", "lamp.txt", "Lamp", "text/plain", blocks)


def cut(max_tokens: int, *blocks: Block) -> list[Passage]:
    return passages(document(*blocks), count, max_tokens)


@given(st.lists(BLOCKS, max_size=10), st.integers(1, 40))
def test_every_block_lies_at_its_offset_and_every_span_is_right(blocks: list[Block], budget: int) -> None:
    source = document(*blocks)
    whole, _ = text_of(source)
    for passage in passages(source, count, budget):
        assert whole[passage.row.start : passage.row.end] == passage.row.text
        for block, offset in passage.blocks:
            assert passage.row.text[offset : offset + len(block.text)] == block.text


@given(st.lists(BLOCKS, max_size=10), st.integers(1, 40))
def test_no_passage_is_over_the_budget_unless_it_cannot_be_cut(blocks: list[Block], budget: int) -> None:
    for passage in cut(budget, *blocks):
        assert sum(count(block.text) for block, _ in passage.blocks) <= budget or len(passage.blocks) == 1
        for block, _ in passage.blocks:
            if block.kind == "paragraph" and count(block.text) > budget:
                assert len(sentences(block.text)) == 1


@example([Block("paragraph", "lamp lamp lamp sea “keeper” e.g. lamp.")], 1)
@given(st.lists(BLOCKS, max_size=10), st.integers(1, 40))
def test_passages_cover_all_text_once_in_order(blocks: list[Block], budget: int) -> None:
    found = cut(budget, *blocks)
    covered = " ".join(block.text for passage in found for block, _ in passage.blocks)
    while blocks and blocks[-1].kind == "heading":
        blocks = blocks[:-1]
    told = " ".join(block.text for block in blocks)
    # Headings after the last text head nothing; they may be left out.
    assert " ".join(covered.split()).startswith(" ".join(told.split()))
    spans = [(passage.row.start, passage.row.end) for passage in found]
    assert all(end < start for (_, end), (start, _) in pairwise(spans))


@given(PARAGRAPHS)
def test_sentences_lie_at_their_offsets_and_cover_the_text(text: str) -> None:
    found = sentences(text)
    assert all(text[start : start + len(sentence)] == sentence for sentence, start in found)
    assert "".join(sentence for sentence, _ in found) == text


def test_sentences() -> None:
    assert [sentence for sentence, _ in sentences("It cost 3.5 m. “Why?” he asked. 灯塔建于1874年。它很高！")] == [
        "It cost 3.5 m. ",
        "“Why?” ",
        "he asked. ",
        "灯塔建于1874年。",
        "它很高！",
    ]


def test_a_long_paragraph_is_cut_at_sentences() -> None:
    found = cut(4, Block("paragraph", "One two three. Four five. Six seven eight nine ten. Eleven."))
    assert [passage.row.text for passage in found] == [
        "One two three.",
        "Four five.",
        "Six seven eight nine ten.",
        "Eleven.",
    ]


def test_headings_open_passages_and_are_told_as_a_path() -> None:
    found = cut(
        9,
        Block("paragraph", "Before any heading there is this."),
        Block("heading", "History", level=2),
        Block("heading", "Early years", level=3),
        Block("paragraph", "The first lamp burned oil."),
        Block("heading", "Today", level=2),
        Block("paragraph", "It is electric."),
        Block("heading", "Nothing follows", level=2),
    )
    assert [(passage.row.heading_path, passage.row.text) for passage in found] == [
        ("", "Before any heading there is this."),
        ("History", "History\nEarly years\nThe first lamp burned oil."),
        ("Today", "Today\nIt is electric."),
    ]


def test_the_same_passage_in_two_documents_has_one_identity() -> None:
    text = Block("paragraph", "The first lamp burned oil.")
    (alone,), (_, after) = cut(6, text), cut(6, Block("paragraph", "It stands on a cape."), text)
    assert alone.row.id == after.row.id
    assert (alone.row.start, after.row.start) == (0, 21)


@given(st.lists(BLOCKS, max_size=10), st.integers(1, 40), st.integers(0, 30))
def test_overlap_repeats_whole_sentences_and_contains_no_passage(
    blocks: list[Block], budget: int, overlap: int
) -> None:
    # Headings after the last text may be left out.
    while blocks and blocks[-1].kind == "heading":
        blocks = blocks[:-1]
    source = document(*blocks)
    whole, _ = text_of(source)
    found = passages(source, count, budget, overlap)
    alone = [(passage.row.start, passage.row.end) for passage in passages(source, count, budget)]
    spans = [(passage.row.start, passage.row.end) for passage in found]
    assert (spans == alone) or overlap
    assert [end for _, end in spans][-1:] == [end for _, end in alone][-1:]
    for before, after in pairwise(found):
        # Both ends move on: neither contains the other, and each has something of its own.
        assert before.row.start < after.row.start
        assert before.row.end < after.row.end
        repeated = [block for block, offset in after.blocks if after.row.start + offset < before.row.end]
        told = {sentence.rstrip() for block, _ in before.blocks for sentence, _ in sentences(block.text)}
        told |= {block.text for block, _ in before.blocks}
        assert all(block.kind != "heading" and block.text in told for block in repeated)
        assert sum(count(block.text) for block in repeated) <= overlap
        assert whole[before.row.end : after.row.start].strip() == ""
    for passage in found:
        assert whole[passage.row.start : passage.row.end] == passage.row.text
        assert sum(count(block.text) for block, _ in passage.blocks) <= budget or len(passage.blocks) == 1
        for block, offset in passage.blocks:
            assert passage.row.text[offset : offset + len(block.text)] == block.text


def test_overlap_stays_behind_a_heading_and_keeps_its_path() -> None:
    blocks = [
        Block("heading", "History", level=2),
        Block("paragraph", "The first lamp burned oil. It was red. Nobody liked it."),
        Block("paragraph", "The second lamp burned gas."),
        Block("heading", "Today", level=2),
        Block("paragraph", "It is electric."),
    ]
    found = passages(document(*blocks), count, 12, 6)
    assert [(passage.row.heading_path, passage.row.text) for passage in found] == [
        ("History", "History\nThe first lamp burned oil. It was red. Nobody liked it."),
        ("History", "It was red. Nobody liked it.\nThe second lamp burned gas."),
        ("Today", "Today\nIt is electric."),
    ]


@given(st.integers(1, 400), st.sampled_from([" ", ", ", "，", ""]), st.integers(1, 30))
def test_a_text_without_an_end_is_cut_when_no_model_could_take_it(words: int, between: str, budget: int) -> None:
    source = document(Block("item", between.join(["灯塔"] * words)))
    whole, _ = text_of(source)
    found = passages(source, len, budget)
    assert "".join(whole.split()) == "".join("".join(passage.row.text for passage in found).split())
    for passage in found:
        # White space between the parts is nobody's.
        assert sum(len(block.text) for block, _ in passage.blocks) <= (4 * budget if len(found) == 1 else budget)
        assert whole[passage.row.start : passage.row.end] == passage.row.text


def test_a_long_text_is_cut_behind_a_clause_near_its_middle() -> None:
    text = "one two three four five six seven eight, nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen"
    assert [passage.row.text for passage in cut(4, Block("row", text, cells=(text,)))] == [
        "one two three four", "five six seven eight,", "nine ten eleven", "twelve thirteen",
        "fourteen fifteen sixteen seventeen",
    ]  # fmt: skip
