"""Questions with passages before them."""

import pytest

from knowledge_update.evaluation.passages import Passages
from knowledge_update.ledger import ChunkRow, DocumentRow, FactRow, Ledger
from knowledge_update.models import load_tokenizer
from knowledge_update.run_folder import Row, RunFolder
from knowledge_update.templates import ChatTemplate

TEXTS = {
    "bridge": ["The bridge is 742 metres long.", "The bridge was opened in 1988."],
    "dairy": ["The dairy makes a blue cheese.", "The dairy exports cheese to seven countries."],
    "面包坊": ["面包坊创立于1836年。"],
}


@pytest.fixture(scope="module")
def passages(tmp_path_factory: pytest.TempPathFactory, tiny_model: str) -> Passages:
    folder = RunFolder(tmp_path_factory.mktemp("passages") / "run")
    folder.create()
    with Ledger(folder.ledger) as ledger:
        for name, texts in TEXTS.items():
            chunks = [ChunkRow(text, text, name, 100 * at, 100 * at + len(text), "") for at, text in enumerate(texts)]
            facts = [FactRow(f"fact {name}", texts[0], texts[0], texts[0], 0, len(texts[0]))]
            language = "en" if name.isascii() else "zh"
            row = DocumentRow(name, name, f"{name}.txt", name.title(), "text/plain", language)
            ledger.add(row, chunks, facts, [], [])
    return Passages(folder, ChatTemplate(load_tokenizer(tiny_model)))


def text_of(passages: Passages, prompt: object) -> str:
    said = str(passages.template.tokenizer.decode(list(prompt.ids)))
    return said.split("user\n")[1].split("<|im_end|>")[0]


def row(question: str, **changes: object) -> Row:
    return {"id": "q", "doc_id": None, "fact": None, "question": question, "answers": ["x"], **changes}


def test_the_open_book_has_the_right_passage(passages: Passages) -> None:
    told = "Dairy\nThe dairy makes a blue cheese.\n\nAnswer with a few words from the text above.\nQuestion: How long?"
    assert text_of(passages, passages.open_book(row("How long?", fact="fact dairy"))) == told
    assert "exports cheese" in text_of(passages, passages.open_book(row("How many countries?", doc_id="dairy")))
    assert "1988" in text_of(passages, passages.open_book(row("In what year was the bridge opened?")))


def test_a_search_knows_the_question_alone_and_puts_passages_in_order(passages: Passages) -> None:
    asked = row("Which cheese is exported over the bridge?", fact="fact 面包坊", doc_id="面包坊")
    said = text_of(passages, passages.retrieved(asked, 3))
    found = [text for texts in TEXTS.values() for text in texts if text in said]
    assert len(found) == 3 and "面包坊" not in said
    assert [said.index(text) for text in found] == sorted(said.index(text) for text in found)
    assert said.endswith("Question: Which cheese is exported over the bridge?")
    assert passages.retrieved(asked, 3).group == passages.retrieved({**asked, "id": "other"}, 3).group


def test_the_language_is_that_of_the_best_passage(passages: Passages) -> None:
    said = text_of(passages, passages.retrieved(row("面包坊创立于哪一年？"), 2))
    assert said.endswith("请用上文中的几个字回答。\n问题：面包坊创立于哪一年？")
    assert said.startswith("Bridge\n")


def test_more_passages_than_there_are(passages: Passages) -> None:
    said = text_of(passages, passages.retrieved(row("cheese?"), 99))
    assert all(text in said for texts in TEXTS.values() for text in texts)
