"""What is no prose is left out by name and does not hold up the rest."""

from knowledge_update.documents.blocks import Block, Document
from knowledge_update.documents.chunking import passages
from knowledge_update.writing.rules import MAX_CHARACTERS, write
from knowledge_update.writing.statements import Statement, Unused


def test_text_without_a_sentence_end_is_left_out_and_the_rest_written() -> None:
    endless = Block("paragraph", "word " * (MAX_CHARACTERS // 5 + 1))
    prose = Block("paragraph", "The Tarn Mill was built in 1901 by Ada Lind.")
    document = Document("d", "d", "d.txt", "Tarn Mill", "text/plain", (endless, prose))
    found = [item for _, item in write(document, passages(document, len, 200))]
    assert "runs on without the end of a sentence" in [item.reason for item in found if isinstance(item, Unused)]
    texts = [item.text for item in found if isinstance(item, Statement)]
    assert "The Tarn Mill was built in 1901 by Ada Lind." in texts
