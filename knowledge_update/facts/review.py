"""A person in the loop: the ledger's facts and pairs as a sheet, and the edited sheet taken back."""

from collections.abc import Iterator
from pathlib import Path

from knowledge_update.display import console
from knowledge_update.errors import DocumentError
from knowledge_update.facts import sheets
from knowledge_update.facts.changes import COLUMNS, Changes, read_changes
from knowledge_update.ledger import FactRow, KnownFact, Ledger, QuestionRow
from knowledge_update.run_folder import RunFolder
from knowledge_update.writing import dataset
from knowledge_update.writing.revision import settle
from knowledge_update.writing.statements import TEXT


def export(folder: RunFolder, path: Path) -> None:
    """Writes every fact that is there now with its questions, one row a pair, for a person to edit.

    Raises:
        RunFolderError: When the folder has no ledger.
        ConfigError: When the file is of no kind that is written.
    """
    folder.require(folder.ledger, f"collect DOCS --out {folder.path}")
    path = path.expanduser()
    with Ledger(folder.ledger) as ledger:
        count = sheets.write(path, COLUMNS, _rows(ledger))
    console.print(f"{count} rows in {path}: edit fact, quote, question and answer, write fact or pair into reject, add "
                  f"rows without ids; then `kupdate facts import {folder.path} {path}`", markup=False)  # fmt: skip


def _rows(ledger: Ledger) -> Iterator[sheets.Row]:
    for status in ("active", "superseded"):
        for known in ledger.facts(status, rejected=True):
            asked = [row for row in ledger.questions_of(known.fact.id, rejected=True) if row.question]
            yield from (_row(known, question) for question in asked)
            if not asked:
                yield _row(known)


def _row(known: KnownFact, question: QuestionRow | None = None) -> sheets.Row:
    gone = known.fact.person == "rejected"
    row = {
        "document": known.path, "fact_id": known.fact.id, "fact": known.fact.text, "quote": known.fact.quote,
        "question_id": "", "question": "", "answer": "", "split": "",
        "status": "rejected" if gone else known.fact.status, "reject": "fact" if gone else "",
    }  # fmt: skip
    if question is None:
        return row
    asked = {"question_id": question.id, "question": question.question, "answer": question.answer}
    reject = "pair" if question.person == "rejected" and not gone else row["reject"]
    return {**row, **asked, "split": question.split, "reject": reject}


def take_back(folder: RunFolder, path: Path) -> None:
    """Reads an edited sheet, checks all of it, enters what changed, and writes the dataset anew.

    Raises:
        DocumentError: When a line cannot be used; nothing is changed then.
    """
    folder.require(folder.ledger, f"collect DOCS --out {folder.path}")
    path = path.expanduser()
    with Ledger(folder.ledger) as ledger:
        changes, problems = read_changes(ledger, sheets.read(path))
        if problems:
            lines = ", ".join(str(number) for number, _ in problems[1:11])
            more = f" (and {len(problems) - 1} more, in lines {lines}{', …' if len(problems) > 11 else ''})"
            number, reason = problems[0]
            raise DocumentError(
                f"{path} line {number}: {reason}{more if len(problems) > 1 else ''}; nothing was changed"
            )
        with ledger.transaction():
            aside = _apply(ledger, changes)
            settle(ledger)
        before = dataset.digest(folder)
        dataset.write(ledger, folder)
    dataset.tell_of_change(folder, before)
    console.print(changes.line() + (f"; {aside} restatements of edited facts set aside" if aside else ""))


def _apply(ledger: Ledger, changes: Changes) -> int:
    """Enters what a person said; returns how many restatements no longer fit their fact."""
    aside = 0
    for fact, text in changes.texts.items():
        aside += _reword(ledger, fact, text)
    for fact, (quote, start) in changes.quotes.items():
        _note(ledger, "fact", fact, "quote", quote)
        ledger.execute("UPDATE fact SET quote_start = ?, quote_end = ? WHERE id = ?", (start, start + len(quote), fact))
    for pair, (question, answer) in changes.pairs.items():
        _note(ledger, "question", pair, "question", question)
        _note(ledger, "question", pair, "answer", answer)
    ledger.enter(changes.new_facts, changes.new_pairs)
    added: list[FactRow | QuestionRow] = [*changes.new_facts, *changes.new_pairs]
    journalled = ((row.id, row.text if isinstance(row, FactRow) else row.question) for row in added)
    for identity, text in journalled:
        ledger.execute("INSERT INTO edit VALUES (?, 'added', '', ?)", (identity, text))
    for table, rejected in (("fact", changes.facts_rejected), ("question", changes.pairs_rejected)):
        for identity, gone in rejected.items():
            _reject(ledger, table, identity, gone)
    return aside


def _reword(ledger: Ledger, fact: str, text: str) -> int:
    """Edits a fact, and what of its questions is the fact itself."""
    (before,) = ledger.execute("SELECT text FROM fact WHERE id = ?", (fact,)).fetchone()
    _note(ledger, "fact", fact, "text", text)
    aside = 0
    for row in ledger.questions_of(fact, rejected=True):
        if before in row.answer:
            _note(ledger, "question", row.id, "answer", row.answer.replace(before, text))
        elif row.wording == TEXT and row.person != "rejected":
            _reject(ledger, "question", row.id, True)
            aside += 1
    return aside


def _note(ledger: Ledger, table: str, identity: str, field: str, after: str) -> None:
    """Changes a field and remembers what stood there."""
    (before,) = ledger.execute(f"SELECT {field} FROM {table} WHERE id = ?", (identity,)).fetchone()
    if before == after:
        return
    ledger.execute("INSERT INTO edit VALUES (?, ?, ?, ?)", (identity, field, before, after))
    ledger.execute(f"UPDATE {table} SET {field} = ? WHERE id = ?", (after, identity))
    ledger.execute(f"UPDATE {table} SET person = 'edited' WHERE id = ? AND person = ''", (identity,))


def _reject(ledger: Ledger, table: str, identity: str, gone: bool) -> None:
    """Rejects something, or takes it back as what a person had made of it before."""
    fields = {row[0] for row in ledger.execute("SELECT field FROM edit WHERE item = ?", (identity,))}
    before = "added" if "added" in fields else "edited" if fields - {"rejected"} else ""
    person = "rejected" if gone else before
    ledger.execute(f"UPDATE {table} SET person = ? WHERE id = ?", (person, identity))
    was, now = ("", "yes") if gone else ("yes", "")
    ledger.execute("INSERT INTO edit VALUES (?, 'rejected', ?, ?)", (identity, was, now))
