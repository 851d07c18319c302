"""When a document is of: as its front matter or its page says, else its title, its file's name, its properties."""

import io
import re
import zipfile
import zlib
from pathlib import Path

_MONTHS = "jan feb mar apr may jun jul aug sep oct nov dec".split()
_MONTH = rf"(?P<{{}}>{'|'.join(_MONTHS)})[a-z]*\.?"
_FORMS = (
    re.compile(r"(?<!\d)(?P<y>(?:19|20)\d\d)\s*[-_/.年]\s*(?P<m>\d{1,2})(?:\s*[-_/.月]\s*(?P<d>\d{1,2}))?(?!\d)"),
    re.compile(r"(?<!\d)(?P<y>(?:19|20)\d\d)(?P<m>\d\d)(?P<d>\d\d)(?!\d)"),
    re.compile(rf"\b(?:(?P<d>\d{{1,2}})(?:st|nd|rd|th)?\s+)?{_MONTH.format('m')},?\s+(?P<y>(?:19|20)\d\d)(?!\d)", re.I),
    re.compile(rf"\b{_MONTH.format('m')}\s+(?P<d>\d{{1,2}})(?:st|nd|rd|th)?,?\s+(?P<y>(?:19|20)\d\d)(?!\d)", re.I),
    re.compile(r"(?<!\d)(?P<y>(?:19|20)\d\d)(?!\d)"),
)
_FRONT_MATTER = re.compile(r"\A\ufeff?---\s*\n(.*?)\n---\s*(?:\n|\Z)", re.S)
# What was changed last is what a document says now; of equals the first.
_KEYS = ("updated", "modified", "last_modified", "lastmod", "date", "published", "更新日期", "日期", "发布日期")
_META = re.compile(r"<meta\s[^>]*>", re.I)
_META_NAMES = ("article:modified_time", "datemodified", "last-modified", "article:published_time", "datepublished",
               "dcterms.modified", "dc.date", "date")  # fmt: skip
_PROPERTIES = re.compile(r"<(?:dcterms:modified|dcterms:created|dc:date)\b[^>]*>([^<]+)<")
_MOST = 200_000


def iso(text: str) -> str:
    """The first date that stands in a text, as `2024`, `2024-05` or `2024-05-17`; empty where there is none."""
    for form in _FORMS:
        for found in form.finditer(text):
            parts = found.groupdict()
            month = parts.get("m") or ""
            number = int(month) if month.isdigit() else _MONTHS.index(month[:3].lower()) + 1 if month else 0
            day = int(parts.get("d") or 0)
            if (month and not 1 <= number <= 12) or day > 31:
                continue
            return "-".join([parts["y"], *([f"{number:02d}"] if number else []), *([f"{day:02d}"] if day else [])])
    return ""


def date_of(data: bytes, path: Path, title: str) -> str:
    """The date of a file's content, as `iso` writes it; empty where nothing tells."""
    ending = path.suffix.lower()
    said = _said(data[:_MOST].decode("utf-8", "replace"), ending)
    return iso(said) or iso(title) or iso(path.stem) or iso(_properties(data, ending))


def later(one: str, other: str) -> bool:
    """Whether a date is later than another, as far as both tell; unknown is not."""
    shared = min(len(one), len(other))
    return bool(shared) and one[:shared] > other[:shared]


def _said(text: str, ending: str) -> str:
    """What a text's front matter or a page's head calls its date."""
    if ending in (".md", ".markdown", ".txt") and (front := _FRONT_MATTER.match(text)):
        pairs = (line.partition(":") for line in front[1].splitlines())
        named = {key.strip().lower().replace("-", "_"): value for key, _, value in pairs}
        return next((named[key] for key in _KEYS if named.get(key, "").strip()), "")
    if ending in (".html", ".htm"):
        tags = {name: tag for tag in _META.findall(text) if (name := _attribute(tag, "name|property|itemprop").lower())}
        return next((_attribute(tags[name], "content") for name in _META_NAMES if name in tags), "")
    return ""


def _attribute(tag: str, names: str) -> str:
    found = re.search(rf"""\b(?:{names})\s*=\s*["']([^"']*)["']""", tag, re.I)
    return found[1] if found else ""


def _properties(data: bytes, ending: str) -> str:
    """When the program that wrote a file says that it was changed."""
    if ending == ".pdf":
        found = re.search(rb"/(?:ModDate|CreationDate)\s*\(D:(\d{8})", data)
        return found[1].decode() if found else ""
    if ending not in (".docx", ".pptx", ".xlsx", ".epub"):
        return ""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as packed:
            names = [name for name in packed.namelist() if name == "docProps/core.xml" or name.endswith(".opf")]
            text = packed.open(names[0]).read(_MOST).decode("utf-8", "replace") if names else ""
    except (zipfile.BadZipFile, zlib.error, OSError, NotImplementedError):
        # The file was read; that its properties are damaged is no loss.
        return ""
    return max((iso(found[1]) for found in _PROPERTIES.finditer(text)), default="")
