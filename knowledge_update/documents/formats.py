"""The formats that are read, by the ending of a file's name: one table."""

from collections.abc import Callable

from knowledge_update.documents.blocks import Content
from knowledge_update.documents.books import book
from knowledge_update.documents.html import page
from knowledge_update.documents.markdown import markdown
from knowledge_update.documents.office import sheets, slides
from knowledge_update.documents.pdf import pdf
from knowledge_update.documents.text import plain_text
from knowledge_update.documents.word import word

_OPEN_XML = "application/vnd.openxmlformats-officedocument"

FORMATS: dict[str, tuple[str, Callable[[bytes, str | None], Content]]] = {
    ".txt": ("text/plain", plain_text),
    ".md": ("text/markdown", markdown),
    ".markdown": ("text/markdown", markdown),
    ".html": ("text/html", page),
    ".htm": ("text/html", page),
    ".docx": (f"{_OPEN_XML}.wordprocessingml.document", word),
    ".pptx": (f"{_OPEN_XML}.presentationml.presentation", slides),
    ".xlsx": (f"{_OPEN_XML}.spreadsheetml.sheet", sheets),
    ".pdf": ("application/pdf", pdf),
    ".epub": ("application/epub+zip", book),
}
