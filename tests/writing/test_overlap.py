"""What two passages share becomes facts once."""

from collections import Counter
from itertools import pairwise
from pathlib import Path

from knowledge_update import pipeline
from knowledge_update.composition import load
from knowledge_update.config import WriterConfig
from knowledge_update.documents.blocks import Block, Document
from knowledge_update.documents.chunking import Passage
from knowledge_update.ledger import ChunkRow, Ledger
from knowledge_update.run_folder import RunFolder
from knowledge_update.writing import stage
from knowledge_update.writing.statements import Statement


def collected(docs: Path, out: Path, model: str, overlap: int) -> tuple[list[tuple[str, int]], int]:
    """The facts with the place in their document that they quote, and how many sentences stand in two passages."""
    config = load(["reader.chunk_tokens=80", f"reader.chunk_overlap_tokens={overlap}"], {"model.name": model})
    config.documents = str(docs)
    folder = RunFolder(out)
    pipeline.run_stage(pipeline.collect, config, folder)
    with Ledger(folder.ledger) as ledger:
        chunks = {chunk.id: chunk for chunk in ledger.chunks()}
        facts = [known.fact for known in ledger.facts()]
        spans = sorted((chunk.document, chunk.start, chunk.end) for chunk in chunks.values())
    shared = sum(one[0] == other[0] and other[1] < one[2] for one, other in pairwise(spans))
    return [(fact.text, chunks[fact.chunk].start + fact.quote_start) for fact in facts], shared


def test_facts_of_what_passages_share_are_told_once(tiny_model: str, docs: Path, tmp_path: Path) -> None:
    alone, none = collected(docs, tmp_path / "alone", tiny_model, 0)
    overlapping, shared = collected(docs, tmp_path / "overlapping", tiny_model, 40)
    assert none == 0 < shared
    assert Counter(overlapping).most_common(1)[0][1] == 1
    assert {text for text, _ in overlapping} == {text for text, _ in alone}


def test_a_statement_in_other_words_of_what_passages_share_is_told_once(tmp_path: Path) -> None:
    sentence = "The tower of Tolvick was raised in 1874 by the keeper Runa Hesk and her two brothers."
    text = f"Sea. {sentence}"
    document = Document("d", "d", "d.txt", "Tolvick", "text/plain", (Block("paragraph", text),))
    rows = [
        ChunkRow("c0", text, "d", 0, len(text), ""),
        ChunkRow("c1", sentence, "d", 5, len(text), ""),
    ]
    passages = [Passage(row, ()) for row in rows]
    said = [
        (passages[0], sentence, 5), (passages[1], sentence.replace("The tower", "A tower"), 0),
        (passages[1], sentence.replace("1874", "1875"), 0), (passages[1], sentence, 0),
    ]  # fmt: skip
    with Ledger(tmp_path / "ledger.sqlite") as ledger:
        writings = [(passage, Statement(text, sentence, start, ())) for passage, text, start in said]
        stage._enter(document, passages, writings, ledger, WriterConfig())
        assert [known.fact.text for known in ledger.facts()] == [sentence, sentence.replace("1874", "1875")]
        assert [drop.reason for drop in ledger.drops()] == ["a neighbouring passage says it too"]
