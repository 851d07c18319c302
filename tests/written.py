"""What the English rules write of some paragraphs."""

from knowledge_update.documents.blocks import Block, Document
from knowledge_update.documents.chunking import Passage, passages
from knowledge_update.writing.english.writer import write
from knowledge_update.writing.statements import Statement, Unused

Written = list[tuple[Passage, Statement | Unused]]


def written(title: str, *paragraphs: str) -> Written:
    blocks = tuple(Block("paragraph", text) for text in paragraphs)
    document = Document("d", "d", "d.txt", title, "text/plain", blocks)
    return list(write(document, passages(document, lambda text: len(text.split()), 200)))


def statements(title: str, *paragraphs: str) -> list[Statement]:
    return [item for _, item in written(title, *paragraphs) if isinstance(item, Statement)]


def texts(title: str, *paragraphs: str) -> list[str]:
    return [statement.text for statement in statements(title, *paragraphs)]


def asked(statement: Statement, *families: str) -> dict[str, str]:
    return {asking.question: asking.answer for asking in statement.askings if asking.wording in families}
