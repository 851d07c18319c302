"""The parts that words play in their sentence: who acts, who is acted on, what is only said beside it."""

from typing import Any

Token = Any


def introduces(token: Token) -> bool:
    """Whether a noun is more than `the tower`: `a tower`, `the old tower`, `the tower of the church`."""
    return [child.lower_ for child in token.children if child.dep_ != "punct"] != ["the"]


def is_subject(token: Token) -> bool:
    """Whether a word is a subject, of a passive verb too."""
    return token.dep_ in ("nsubj", "nsubjpass")


def is_actor(token: Token) -> bool:
    """Whether a noun is a subject, or whose a thing is: `the Shah's decision to divide his army`."""
    return is_subject(token) or token.dep_ == "poss"


def following_subject(token: Token) -> Token | None:
    """The subject that comes after a pronoun in its clause: `With Lubiz as its capital, the duchy …`."""
    verb = token
    while verb.head != verb:
        verb = verb.head
        own = [child for child in verb.children if is_subject(child)]
        if own:
            return own[0] if own[0].i > token.i and own[0].left_edge.i > token.i else None
    return None


def subjects_of(verb: Token) -> list[Token]:
    """A verb's subject, or that of the verb it is coordinated with."""
    own = [child for child in verb.children if is_subject(child)]
    return own or (subjects_of(verb.head) if verb.dep_ == "conj" and verb.head.pos_ in ("VERB", "AUX") else [])


def is_definite(token: Token) -> bool:
    """`The tower`, `its tower`: one that is known."""
    return any(
        child.dep_ in ("det", "poss") and child.lower_ in ("the", "its", "his", "her") for child in token.children
    )


def rank_of(token: Token) -> int:
    """How soon a word is taken up again: 0 for a main subject, more for what stands deeper."""
    if token.tag_ == "PRP$":
        return -1
    # "Hesk, a captain who …" without a verb is about Hesk.
    order = {"ROOT": 0, "nsubj": 0, "nsubjpass": 0, "dobj": 1, "attr": 1, "pobj": 2}
    return order.get(token.dep_, 3) + (0 if token.head.dep_ == "ROOT" else 3)


def is_subordinate(token: Token) -> bool:
    """Whether a pronoun stands in a later clause of its sentence, where that sentence's subject comes to mind first."""
    verb = token
    while verb.head != verb:
        if verb.dep_ in ("advcl", "relcl", "ccomp", "conj", "acl", "xcomp") and verb.pos_ in ("VERB", "AUX"):
            return True
        verb = verb.head
    return False


def is_impersonal(token: Token) -> bool:
    """`It is said that`, `it rained`."""
    if token.lower_ != "it" or not is_subject(token):
        return False
    verb = token.head
    if token.dep_ == "nsubjpass" and verb.lemma_ in ("agree", "decide", "resolve"):
        return True
    # "It was here that Hesk landed".
    if verb.lemma_ == "be" and any(part.dep_ == "mark" for child in verb.children for part in child.children):
        return any(child.dep_ == "ccomp" for child in verb.children)
    clausal = any(child.dep_ in ("ccomp", "xcomp") for child in verb.children)
    told = [part for child in verb.children if child.dep_ in ("acomp", "ROOT") for part in (child, *child.children)]
    if verb.lemma_ == "be" and any(part.dep_ in ("xcomp", "ccomp", "advcl") for part in (*told, *verb.children)):
        # "It was not uncommon for bands to join": what it is stands behind.
        return bool(told)
    return verb.lemma_ in ("rain", "snow", "seem", "appear") or (
        clausal and verb.lemma_ in ("say", "believe", "think", "know")
    )
