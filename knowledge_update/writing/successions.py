"""Superseded facts, taught as changed: what they said is what was so formerly, never what is so.

Without a model: templates around the sentences and the values that were written of both. A fact of before is told,
asked for as what was, and as what might still be; its own questions are trained no more.
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from knowledge_update.documents.dates import later
from knowledge_update.ledger import KnownFact, Ledger, QuestionRow, content_id
from knowledge_update.writing.checks import sequence
from knowledge_update.writing.statements import ABOUT, CHANGED, CLOZE, COMPLETION, DIRECT, TEXT

_OPEN = (CLOZE, COMPLETION, ABOUT, TEXT)
# Words of a value; what is longer is a sentence.
_SHORT = 8
_PART = re.compile(r"[\u3400-\u9fff]|[^\s\u3400-\u9fff]+")
_EDGES = " \t\n.,;:!?()，。；：！？（）、“”\"'"
_MONTHS = (
    "January February March April May June July August September October November December"
).split()  # fmt: skip

# By language: what is told of a change whose values are known (a text, then a question and its answer twice), and of
# one where only the sentences are. `until` and `since` are one of the words below.
_VALUES = {
    "en": (
        "{new} {until} it was {former}; now it is {present}.",
        ("What was it before it changed: {question}", "{until} it was {former}; now it is {present}."),
        ("Is this still so: {old}", "No, {since} it is {present}."),
    ),
    "zh": (
        "{new}{until}是{former}，现在是{present}。",
        ("变更以前是怎样的：{question}", "{until}是{former}，现在是{present}。"),
        ("现在还是这样吗：{old}", "不是，{since}是{present}。"),
    ),
}
_SENTENCES = {
    "en": (
        "{until} this was so: {old} Now it is otherwise: {new}",
        ("What was so before this: {new}", "{until} this was so: {old}"),
        ("Is this still so: {old}", "No. {new}"),
    ),
    "zh": (
        "{until}是这样：{old}现在不同了：{new}",
        ("在此以前是怎样的：{new}", "{until}是这样：{old}"),
        ("现在还是这样吗：{old}", "不是。{new}"),
    ),
}
_DATED = {"en": ("Until {date}", "since {date}"), "zh": ("{date}以前", "从{date}起")}
_UNDATED = {"en": ("Formerly", "now"), "zh": ("以前", "现在")}


@dataclass(frozen=True)
class Succession:
    """A superseded fact and the active one that says otherwise.

    Args:
        old: What is so no longer.
        new: What is so now.
        until: The date until which the old one held, as `documents.dates` writes it; empty where nothing tells.
        since: The date from which the new one holds, the same.
        latest: Whether no other fact came between the two.
        question: A question that is trained about the new one and was asked about the old one; empty where none is.
        former: What the old one answers to it, or in what its sentence differs; empty where that is no short value.
        present: The same of the new one.
    """

    old: KnownFact
    new: KnownFact
    until: str
    since: str
    latest: bool
    question: str
    former: str
    present: str


def successions(ledger: Ledger) -> list[Succession]:
    """All superseded facts whose successor is active, the older ones of a claim first."""
    replaced = dict(ledger.execute("SELECT id, replaced_by FROM fact WHERE status = 'superseded'"))
    if not replaced:
        return []
    ends = {old: _end(old, replaced) for old in replaced}
    wanted = set(ends.values())
    active = {known.fact.id: known for known in ledger.facts() if known.fact.id in wanted}
    groups: dict[tuple[str, str], list[tuple[KnownFact, str, str]]] = defaultdict(list)
    for old in ledger.facts("superseded"):
        if new := active.get(ends[old.fact.id]):
            question, former, present = _values(ledger, old, new)
            groups[new.fact.id, question].append((old, former, present))
    return [each for (new, question), olds in groups.items() for each in _in_line(ledger, active[new], question, olds)]


def _end(old: str, replaced: dict[str, str]) -> str:
    """The last of those that superseded one another."""
    seen = {old}
    while (old := replaced[old]) in replaced and old not in seen:
        seen.add(old)
    return old


def _in_line(
    ledger: Ledger, new: KnownFact, question: str, olds: Sequence[tuple[KnownFact, str, str]]
) -> Iterator[Succession]:  # fmt: skip
    """What one fact superseded, the oldest first: each held until the next one came."""
    ordered = sorted(olds, key=lambda old: _age(ledger, old[0].fact.chunk))
    dates = [_age(ledger, known.fact.chunk)[1] for known in (*(old[0] for old in ordered), new)]
    ends = [after if after and (not date or later(after, date)) else "" for date, after in pairwise(dates)]
    for number, ((old, former, present), until) in enumerate(zip(ordered, ends, strict=True)):
        yield Succession(old, new, until, ends[-1], number == len(ends) - 1, question, former, present)


def _age(ledger: Ledger, chunk: str) -> tuple[int, str, int]:
    """What puts passages in their order in time: the collection, the date and the version of the newest document."""
    query = """SELECT d.collected, d.date, d.version FROM occurrence o JOIN document d ON d.id = o.document
        WHERE o.chunk = ? ORDER BY d.collected DESC, d.version DESC LIMIT 1"""
    collected, date, version = ledger.execute(query, (chunk,)).fetchone()
    return int(collected), str(date), int(version)


def _values(ledger: Ledger, old: KnownFact, new: KnownFact) -> tuple[str, str, str]:
    """A question asked about both, and what each answers; else no question, and in what the sentences differ."""
    before = {
        sequence(row.question): row.answer for row in ledger.questions_of(old.fact.id)
        if row.question and row.wording not in _OPEN
    }  # fmt: skip
    asked = [row for row in ledger.questions_of(new.fact.id) if row.split == "train" and row.wording not in _OPEN]
    for row in sorted(asked, key=lambda row: (row.wording != DIRECT, len(row.question), row.id)):
        former = before.get(sequence(row.question), "")
        if row.question and former and _differ(former, row.answer):
            return row.question, former, row.answer
    return "", *differing(old.fact.text, new.fact.text)


def _differ(one: str, other: str) -> bool:
    """Whether both are short values, neither a part of the other."""
    left, right = sequence(one).split(), sequence(other).split()
    return max(len(left), len(right)) <= _SHORT and not set(left) <= set(right) and not set(right) <= set(left)


def differing(old: str, new: str) -> tuple[str, str]:
    """The one short place in which two sentences differ, as each has it; nothing where there is no such place."""
    left, right = ([found.span() for found in _PART.finditer(text)] for text in (old, new))
    words = [[text[start:end] for start, end in spans] for text, spans in ((old, left), (new, right))]
    most = min(map(len, words))
    first = next((at for at in range(most) if words[0][at] != words[1][at]), most)
    last = next((at for at in range(most - first) if words[0][-1 - at] != words[1][-1 - at]), most - first)
    values = [
        text[spans[first][0] : spans[len(spans) - last - 1][1]].strip(_EDGES) if first < len(spans) - last else ""
        for text, spans in ((old, left), (new, right))
    ]
    if not all(values) or first + last < max(map(len, words)) / 2 or not _differ(*values):
        return "", ""
    return values[0], values[1]


def changed(ledger: Ledger) -> Iterator[tuple[KnownFact, QuestionRow]]:
    """What is trained of superseded facts, each row with the fact that holds now."""
    for each in successions(ledger):
        yield from ((each.new, row) for row in rows_of(each))


def rows_of(each: Succession) -> Iterator[QuestionRow]:
    """A text that tells of the change, and questions for what was and for whether it still is."""
    templates, words = _templates(each)
    told, *asked = templates
    yield _row(each, "", told, words)
    for (question, answer), wanted in zip(asked, (each.latest, True), strict=True):
        if wanted:
            yield _row(each, question, answer, words)


def _templates(each: Succession) -> tuple[tuple[str, tuple[str, str], tuple[str, str]], dict[str, str]]:
    language = each.new.language if each.new.language in _VALUES else "en"
    told, was, still = _VALUES[language] if each.former else _SENTENCES[language]
    if each.former and not each.question:
        was = _SENTENCES[language][1]
    until, since = (
        (dated if date else undated).format(date=spelled(date, language))
        for date, dated, undated in zip((each.until, each.since), _DATED[language], _UNDATED[language], strict=True)
    )
    words = {"until": until, "since": since, "old": each.old.fact.text, "new": each.new.fact.text}
    return (told, was, still), {
        **words, "former": each.former, "present": each.present, "question": each.question,
    }  # fmt: skip


def _row(each: Succession, question: str, answer: str, words: dict[str, str]) -> QuestionRow:
    asked, said = (text.format(**words) for text in (question, answer))
    identity = content_id(each.new.fact.id, each.old.fact.id, CHANGED, asked, said)
    return QuestionRow(identity, each.new.fact.id, "train", CHANGED, "", CHANGED, asked, said)


def spelled(date: str, language: str) -> str:
    """A date as it is written in a language: `17 May 2024`, `2024年5月17日`; empty where there is none."""
    parts = [int(part) for part in date.split("-")] if date else []
    if language == "zh":
        return "".join(f"{part}{unit}" for part, unit in zip(parts, "年月日", strict=False))
    return " ".join(_spelled(parts))


def _spelled(parts: Sequence[int]) -> Iterable[str]:
    year, month, day = (*parts, 0, 0, 0)[:3]
    return [str(part) for part in (day, _MONTHS[month - 1] if month else "", year) if part]
