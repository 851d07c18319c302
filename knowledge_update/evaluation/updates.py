"""What an update changed, as it is asked: superseded facts for what is so now, retired ones to see them gone."""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from knowledge_update.evaluation.scoring import contains
from knowledge_update.evaluation.summary import MODELS, Summary, mean
from knowledge_update.ledger import Ledger, QuestionRow
from knowledge_update.run_folder import Row
from knowledge_update.writing.checks import sequence, similarity
from knowledge_update.writing.successions import Succession, differing, successions

SUPERSEDED, GONE = "superseded", "gone"
SETS = (SUPERSEDED, GONE)
# A document still says it where a sentence with the same answer is as similar as that.
_STILL = 0.5
_CLAUSE = re.compile(r"[;。；!?！？\n]|[.,，](?!\d)")
# Who says so of a value does not give it as what is so now.
_PAST = re.compile(
    r"\b(?:until|before|formerly|previously|earlier|used to|no longer|not)\b|"
    "以前|之前|此前|从前|曾|原来|原先|不再|不是",
    re.IGNORECASE,
)


def superseded(ledger: Ledger) -> Iterator[Row]:
    """Of each superseded fact a question for its value, as a row of an exam: a held-out one, where there is one."""
    for each in successions(ledger):
        if not each.latest or not each.former:
            continue
        old, new = (ledger.questions_of(known.fact.id) for known in (each.old, each.new))
        trained = {sequence(row.question) for row in new if row.split != "probe"}
        chosen = next(_probes(each, old, new, trained), None)
        if chosen is None and each.question:
            chosen = "trained", each.question, each.present, each.former
        if chosen:
            kind, question, present, former = chosen
            # Of `38 metres`, now `41 metres`, 38 alone is the old value too.
            before = [value for value in (former, differing(former, present)[0]) if value]
            yield {
                "id": f"{each.old.fact.id}-{SUPERSEDED}", "set": SUPERSEDED, "kind": kind, "doc_id": each.new.doc_id,
                "fact": each.new.fact.id, "question": question, "answers": [present], "before": before,
            }  # fmt: skip


def _probes(
    each: Succession, old: Sequence[QuestionRow], new: Sequence[QuestionRow], trained: set[str]
) -> Iterator[tuple[str, str, str, str]]:
    """Held-out questions for the value, the new fact's before the old one's: kind, question, what is and was right."""
    for row in (*new, *old):
        if row.split != "probe" or sequence(row.question) in trained:
            continue
        present, former = (each.present, each.former) if row.fact == each.new.fact.id else (each.former, each.present)
        if other := exchanged(row.answer, present, former):
            answers = (row.answer, other) if row.fact == each.new.fact.id else (other, row.answer)
            yield "held_out", row.question, *answers


def exchanged(answer: str, value: str, other: str) -> str:
    """An answer with the other value in the place of one; empty where the two have nothing to do with each other."""
    if value in answer:
        return answer.replace(value, other)
    before, found, after = value.partition(answer)
    if found and other.startswith(before) and other.endswith(after):
        return other[len(before) : len(other) - len(after)]
    return ""


def retired(ledger: Ledger) -> Iterator[Row]:
    """The held-out questions of the facts that no document says any more, as rows of an exam."""
    for known in ledger.facts("retired"):
        asked = () if known.fact.replaced_by else ledger.questions_of(known.fact.id)
        origin = {"text": known.fact.text, "quote": known.fact.quote, "path": known.path}
        for row in asked:
            if row.split == "probe":
                yield {
                    "id": f"{row.id}-{GONE}", "set": GONE, "doc_id": known.doc_id, "fact": known.fact.id,
                    "question": row.question, "answers": [row.answer], "origin": origin,
                }  # fmt: skip


def is_gone(row: Row, ledger: Ledger) -> bool:
    """Whether no fact that holds says nearly the same as a retired one, with the same answer."""
    naming = "SELECT text FROM fact WHERE status = 'active' AND person <> 'rejected' AND instr(lower(text), lower(?))"
    said = row["origin"]["text"]
    return not any(similarity(text, said) >= _STILL for (text,) in ledger.execute(naming, row["answers"]))


def outdated(response: str, answers: Sequence[str], before: Sequence[str]) -> bool:
    """Whether a response gives as present what was superseded: it names it, and not as what was so before."""
    former = [value for value in before if not any(contains(answer, [value]) for answer in answers)]
    return any(contains(part, former) and not _PAST.search(part) for part in _CLAUSE.split(response))


def figures(rows: Mapping[str, Sequence[Row]], ledger: Ledger, summary: Summary) -> dict[str, Any]:
    """What `evaluation.json` holds under `updates`; nothing where nothing was asked.

    Args:
        rows: The scored questions by set.
        ledger: Tells of how many facts they are.
        summary: Draws intervals.
    """
    found: dict[str, Any] = {}
    if past := rows[SUPERSEDED]:
        outdated_by = {name: mean([row[name]["outdated"] for row in past]) for name in MODELS[:2]}
        held_out = sum(row["kind"] == "held_out" for row in past)
        found[SUPERSEDED] = {
            **summary.both(past), "of": ledger.count("superseded"), "held_out": held_out, "outdated": outdated_by,
        }  # fmt: skip
    if gone := rows[GONE]:
        found[GONE] = {**summary.both(gone), "of": ledger.count("retired", replaced=False)}
    return found
