"""Questions with passages before them: the right one (the open book), or those that a search finds."""

from knowledge_update.evaluation.retrieval import Retriever
from knowledge_update.inference import Prompt, reading
from knowledge_update.ledger import Ledger
from knowledge_update.run_folder import Row, RunFolder
from knowledge_update.templates import ChatTemplate


class Passages:
    """The passages of a run's documents, and prompts with some of them.

    Args:
        folder: Its ledger holds them.
        template: How a model is asked.
    """

    def __init__(self, folder: RunFolder, template: ChatTemplate) -> None:
        with Ledger(folder.ledger) as ledger:
            self.documents = {document.id: document for document in ledger.documents()}
            self.chunks = list(ledger.chunks())
            self.chunk_of = {known.fact.id: known.fact.chunk for known in ledger.facts()}
        self.template = template
        self.index = {chunk.id: number for number, chunk in reversed(list(enumerate(self.chunks)))}
        titled = [f"{self.documents[chunk.document].title} {chunk.heading_path} {chunk.text}" for chunk in self.chunks]
        self.retriever = Retriever(titled)

    def open_book(self, row: Row) -> Prompt:
        """With the passage the fact came from, else the best of its document, else of all."""
        right = self._right(row)
        return self._prompt(row, [right], best=right)

    def retrieved(self, row: Row, count: int) -> Prompt:
        """With the passages that a search finds best, knowing the question alone.

        They stand in the order of the documents: questions with the same ones begin alike and are read together.
        """
        found = self.retriever.top(row["question"], count)
        return self._prompt(row, sorted(found), best=found[0])

    def _right(self, row: Row) -> int:
        if row["fact"] in self.chunk_of:
            return self.index[self.chunk_of[row["fact"]]]
        own = [i for i, chunk in enumerate(self.chunks) if self.documents[chunk.document].doc_id == row["doc_id"]]
        return self.retriever.best(row["question"], own or None)

    def _prompt(self, row: Row, numbers: list[int], *, best: int) -> Prompt:
        chunks = [self.chunks[number] for number in numbers]
        titled = [f"{self.documents[chunk.document].title}\n{chunk.text}" for chunk in chunks]
        language = self.documents[self.chunks[best].document].language
        text = reading("\n\n".join(titled), row["question"], language)
        group = " ".join(chunk.id for chunk in chunks)
        return Prompt(row["id"], tuple(self.template.question(text)), group)
