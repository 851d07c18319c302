"""Whether a text says by itself what it is about, and how it is made to."""

import re

from knowledge_update.writing.english.cast import Cast
from knowledge_update.writing.english.lexicon import DAYS, DOCUMENTS, MONTHS

_MARKS = (("(", ")"), ("[", "]"), ("“", "”"))
# A name: capitalised words, joined by little ones; a class noun may stand before it.
NAME = re.compile(
    r"(?:the )?(?:[a-z]{3,} ){0,2}[A-Z][\w.-]*(?:(?: (?:of|the|and|de|la|van|von|under))* [A-Z0-9][\w.-]*)*"
)
_MAX_NAME_WORDS = 7


def bare(title: str) -> str:
    """A title without its article."""
    return title.removeprefix("the ")


def topic(cast: Cast) -> str:
    """What is put before a text that names nothing: its title and a colon."""
    return f"{bare(cast.title)}: " if cast.title else ""


def names_subject(text: str, cast: Cast) -> bool:
    """Whether a text names something: the title, a person, or another proper name after its first word."""
    title = bare(cast.title)
    if title and title.lower() in text.lower():
        return True
    words = re.findall(r"[\w'’-]+", text)
    known = {word for name in (*cast.people.values(), *cast.classes) for word in name.split()}
    named = [word for word in words[1:] if word[:1].isupper() and word not in MONTHS and word not in DAYS]
    return bool(named) or bool(words and words[0].removesuffix("'s") in known)


def stands_alone(said: str, subject: str, cast: Cast) -> bool:
    """Whether a statement says whom or what it is about: it names its title, or its subject is named."""
    title = bare(cast.title).lower()
    # "This Agreement", which every contract is.
    if subject.lower().removeprefix("the ") in DOCUMENTS and title not in said.lower():
        return False
    return bool((title and title in said.lower()) or re.search(r"\s[\"“]?[A-Z]", subject) or _is_known(subject, cast))


def _is_known(subject: str, cast: Cast) -> bool:
    """Whether the first word of a subject is a name elsewhere too: at the start any word has a capital."""
    first = re.sub(r"['’]s?$", "", subject.split(" ")[0])
    return first in cast.names or first in cast.people or first in cast.classes


def is_name(subject: str, cast: Cast) -> bool:
    """Whether a subject is nothing but a name: `the ferry Silver Ommel`, not `the colour of the Silver Ommel`."""
    words = subject.split()
    known = len(words) > 1 or _is_known(subject, cast) or subject == cast.title
    return known and len(words) <= _MAX_NAME_WORDS and NAME.fullmatch(subject) is not None


def is_sound(text: str) -> bool:
    """Whether quotation marks and brackets come in pairs, and nothing is left of what was taken out."""
    paired = text.count('"') % 2 == 0 and all(text.count(left) == text.count(right) for left, right in _MARKS)
    return paired and not re.search(r"[,:;—–-][.?]|\s[,.?]|[.!?]:\d|\.\.|\w[\"“]\w|\[", text.removesuffix(" ..."))
