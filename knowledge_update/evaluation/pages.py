"""Pages that load nothing from elsewhere, and what makes foreign text harmless in them.

Every text of a document, a question file or a model is foreign: templates escape it, embedded rows are escaped for a
script element, a page builds them as text nodes, and its content security policy allows its one script only.
"""

import base64
import hashlib
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from knowledge_update import __version__
from knowledge_update.display import clean
from knowledge_update.evaluation.formats import chance, duration, percent, points, span
from knowledge_update.run_folder import whole_file

SCRIPT_ESCAPES = {ord(char): f"\\u{ord(char):04x}" for char in "<>&\u2028\u2029"}


def write_page(path: Path, template: str, content: Mapping[str, Any]) -> None:
    """Writes one self-contained page.

    Args:
        path: Where it goes.
        template: A file of `templates/`.
        content: What it shows.

    Raises:
        WorkError: When it cannot be written.
    """
    page = _environment().get_template(template).render(version=__version__, **content)
    with whole_file(path) as file:
        # A file name that is not UTF-8 reaches this as lone surrogates, which no UTF-8 file can hold.
        file.write(page.encode("utf-8", "replace").decode())


def embedded(value: Any) -> Markup:
    """A value as JSON that can stand in a script element: nothing in it can end the element or begin another."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return Markup(text.translate(SCRIPT_ESCAPES))


def cleaned(value: Any) -> Any:
    """The same value without control characters in any text."""
    if isinstance(value, str):
        return clean(value)
    if isinstance(value, Mapping):
        return {cleaned(key): cleaned(inner) for key, inner in value.items()}
    return [cleaned(inner) for inner in value] if isinstance(value, list | tuple) else value


def _environment() -> Environment:
    found = Environment(
        loader=FileSystemLoader(Path(__file__).parent / "templates"), autoescape=True, undefined=StrictUndefined,
        trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    found.filters |= {
        "percent": percent, "span": span, "points": points, "duration": duration, "chance": chance,
        "sha256": _sha256, "unbroken": _unbroken,
    }  # fmt: skip
    return found


def _sha256(script: str) -> str:
    """The hash by which a content security policy knows a script."""
    return base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()


def _unbroken(text: str) -> str:
    """The text with its figures tied to their units."""
    return re.sub(r"(?<=\d) (?=%|s\b|min\b|h\b)", "\u00a0", text)
