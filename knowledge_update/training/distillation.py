"""Context distillation: the answer is learned partly as the untouched model gives it with the fact before the question.

What the model makes of an answer that it reads says more than the answer's tokens: which other wordings were as good.
It is read with the fact's sentence, not the whole passage: that holds the answer, and costs a tenth of the tokens.
"""

from dataclasses import replace
from typing import Any

from knowledge_update.errors import DocumentError
from knowledge_update.inference import reading
from knowledge_update.ledger import Ledger
from knowledge_update.run_folder import Row, RunFolder, read_rows
from knowledge_update.training.opinions import informed
from knowledge_update.training.rows import Encoder
from knowledge_update.training.taught import Taught
from knowledge_update.writing.statements import CHANGED


def distilled(model: Any, rows: Taught, folder: RunFolder, encoder: Encoder, share: float) -> Taught:
    """The rows, their questions learned partly from the untouched model.

    Args:
        model: The untouched model.
        rows: As they were collected into the folder.
        folder: Its ledger knows the facts.
        encoder: Of the rows.
        share: How much of each label is the model's, up to 1.

    Raises:
        DocumentError: When no question's fact is known.
    """
    with Ledger(folder.require(folder.ledger, f"collect DOCS --out {folder.path}")) as ledger:
        facts = {known.fact.id: known.fact.text for known in ledger.facts()}
    asked = [row for row in read_rows(folder.dataset("train")) if "text" not in row]
    # What is asked of a change is about two facts: with the new one alone before it the model would be misled.
    places = [number for number, row in enumerate(asked) if row["wording"] != CHANGED and row["fact"] in facts]
    if not places:
        raise DocumentError(f"{folder.ledger} has none of the facts that {folder.dataset('train')} asks: collect again")
    knowing = encoder.encode_all(_with_fact(asked[number], facts[asked[number]["fact"]]) for number in places)
    questions = list(rows.questions)
    told = informed(model, [questions[number] for number in places], knowing, encoder.prefix, share)
    for number, row in zip(places, told, strict=True):
        questions[number] = row
    return replace(rows, questions=questions)


def _with_fact(row: Row, fact: str) -> Row:
    question, answer = row["messages"]
    return {"messages": [{**question, "content": reading(fact, question["content"], row["language"])}, answer]}
