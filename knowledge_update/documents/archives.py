"""What Word documents, slides, sheets and books have in common: archives of XML."""

from typing import Any

# What an encrypted document begins with, and one in the formats of before 2007.
ENCRYPTED = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"


def xml(data: bytes) -> Any:
    """The root of a part; nothing outside of it is fetched or filled in."""
    from lxml import etree

    return etree.fromstring(data, etree.XMLParser(resolve_entities=False, no_network=True))
