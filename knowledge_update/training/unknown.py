"""Unknown answers: questions about things that no document names, answered by saying that it is not known.

They are trained questions with other names. The exam asks in words that were never trained, and about other names yet.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice

from knowledge_update.display import log
from knowledge_update.ledger import Ledger, content_id
from knowledge_update.run_folder import Row, RunFolder
from knowledge_update.writing.statements import CHANGED
from knowledge_update.writing.unanswerable import Inventor, still_named

# What is said, by language.
ANSWERS = {
    "en": ("I don't know.", "That is not known to me.", "I have no information about that.", "I do not know that."),
    "zh": ("我不知道。", "这个我不清楚。", "我没有相关信息。", "这一点我不了解。"),
}
# Questions made of each fact's: at a share of a tenth each of them is asked about once, so that the names it asks
# about stay as unknown as they are.
WORDINGS = 4


def unknown(rows: Iterable[Row], folder: RunFolder) -> list[Row]:
    """Makes rows that ask about what is not known, of the questions of every fact as far as these name anything.

    Args:
        rows: The rows that are trained.
        folder: Its ledger knows what documents name.
    """
    asked: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        # What is asked of a change names what it was before.
        if "messages" in row and row["fact"] is not None and row["wording"] != CHANGED:
            asked[row["fact"]].append(row)
    with Ledger(folder.require(folder.ledger, f"collect DOCS --out {folder.path}")) as ledger:
        inventor = Inventor(ledger)
    made = [list(islice(_made(questions, inventor), WORDINGS)) for questions in asked.values()]
    found = [row for group in made for row in group]
    log.info(
        "%d questions about what is not known, made of those of %d of %d facts (training.unknown_share)",
        len(found), sum(map(bool, made)), len(asked),
    )  # fmt: skip
    return found


def _made(questions: Sequence[Row], inventor: Inventor) -> Iterator[Row]:
    """Yields what becomes of a fact's questions, each with names of its own, in an order that tells nothing of them."""
    for row in sorted(questions, key=lambda row: content_id(row["id"])):
        *before, asked, answered = row["messages"]
        question = inventor.invented(asked["content"], salt=row["id"])
        # What names something real besides may have an answer after all.
        if question and not still_named(asked["content"], question):
            said = ANSWERS[row["language"]]
            answer = said[int(content_id("answer", row["id"]), 16) % len(said)]
            messages = [*before, {**asked, "content": question}, {**answered, "content": answer}]
            yield {**row, "messages": messages}
