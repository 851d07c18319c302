"""EPUB: the chapters in the order of reading, each as HTML."""

import io
import posixpath
import zipfile
from typing import Any
from urllib.parse import unquote

from knowledge_update.documents.archives import xml
from knowledge_update.documents.blocks import Block, Content, fold
from knowledge_update.documents.html import fragment
from knowledge_update.errors import DocumentError

_CONTAINER = "META-INF/container.xml"


def book(data: bytes, encoding: str | None = None) -> Content:
    """Reads an electronic book (EPUB 2 and 3).

    Raises:
        DocumentError: When it is damaged or its chapters are encrypted.
    """
    from lxml import etree

    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            place = xml(archive.read(_CONTAINER)).xpath("string(//*[local-name()='rootfile']/@full-path)")
            package = xml(archive.read(str(place)))
            chapters = [_chapter(archive, path) for path in _spine(package, posixpath.dirname(str(place)))]
    except (zipfile.BadZipFile, KeyError, etree.XMLSyntaxError, RuntimeError, NotImplementedError) as error:
        raise DocumentError(f"is not a readable book ({type(error).__name__})") from error
    title = fold(str(package.xpath("string(//*[local-name()='metadata']/*[local-name()='title'])")))
    return title, [block for blocks in chapters for block in blocks if block.text != title]


def _spine(package: Any, folder: str) -> list[str]:
    """The paths of the chapters inside the archive, in the order of reading."""
    files = {item.get("id"): item.get("href") for item in package.xpath("//*[local-name()='manifest']/*")}
    order = [item.get("idref") for item in package.xpath("//*[local-name()='spine']/*[local-name()='itemref']")]
    return [posixpath.normpath(posixpath.join(folder, unquote(files[name]))) for name in order]


def _chapter(archive: zipfile.ZipFile, path: str) -> list[Block]:
    from lxml import etree
    from lxml import html as lxml_html

    try:
        body = lxml_html.document_fromstring(archive.read(path)).find("body")
    except etree.ParserError:
        return []
    if body is None:
        return []
    title, blocks = fragment(lxml_html.tostring(body, encoding="unicode"))
    return [Block("heading", title, level=1), *blocks] if title else blocks
