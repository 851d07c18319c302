"""What two passages share becomes facts once."""

from collections import Counter
from itertools import pairwise
from pathlib import Path

from knowledge_update import pipeline
from knowledge_update.composition import load
from knowledge_update.ledger import Ledger
from knowledge_update.run_folder import RunFolder


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
