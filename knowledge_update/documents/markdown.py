"""Markdown through HTML, so that headings, lists and tables are understood in one place."""

import re

from knowledge_update.documents.blocks import Content
from knowledge_update.documents.html import fragment
from knowledge_update.documents.text import decode


def markdown(data: bytes, encoding: str | None = None) -> Content:
    """Reads Markdown (CommonMark with tables)."""
    from markdown_it import MarkdownIt

    text = re.sub(r"\A---\n.*?\n---\n", "", decode(data, encoding), flags=re.DOTALL)
    return fragment(MarkdownIt("commonmark", {"html": False, "breaks": True}).enable("table").render(text))
