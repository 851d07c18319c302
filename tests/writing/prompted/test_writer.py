"""The writer against a real server on loopback: what it asks for, again where something is missing."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from chat_server import Answer, Server, completion

from knowledge_update.config import Config, WriterConfig
from knowledge_update.documents.blocks import Block, Document
from knowledge_update.documents.chunking import passages
from knowledge_update.ledger import Ledger
from knowledge_update.writing.prompted.collector import write
from knowledge_update.writing.statements import Part, Rewrite, Statement, Unused

TEXT = "The Grey Gull was launched in 1931. The Grey Gull was sold to Finn Aldersey for 400 crowns."
LAUNCHED, SOLD = TEXT.split(". ")[0] + ".", TEXT.split(". ")[1]
GULL = Document("d1", "gull", "gull.txt", "Grey Gull", "text/plain", (Block("paragraph", TEXT),))

Script = Callable[[str, str], Any]


@pytest.fixture
def written(server: Server, tmp_path: Path) -> Callable[..., tuple[str, list[Part]]]:
    """Writes of the Grey Gull with a script of (kind, task) -> what is answered; returns theme and parts."""

    def run(script: Script, **settings: Any) -> tuple[str, list[Part]]:
        def answer(body: dict[str, Any]) -> Answer:
            task = body["messages"][-1]["content"].rpartition("PASSAGE>>>")[2]
            value = script(kind_of(task), task)
            if isinstance(value, Answer):
                return value
            return Answer(completion(value if isinstance(value, str) else json.dumps(value)))

        server.script = answer
        some = {"name": "api", "base_url": server.url, "model": "scribe", "structured": "off", "patience": 5.0}
        few = {"wordings_per_fact": 3, "rewrites_per_passage": 0}
        config = Config(writer=WriterConfig(**{**some, **few, **settings}))
        with Ledger(tmp_path / "ledger.sqlite") as ledger:
            ((_, chunks, parts),) = write([(GULL, passages(GULL, len, 1000))], config, ledger)
        return chunks[0].row.theme, [part for _, part in parts]

    return run


def kind_of(task: str) -> str:
    marks = {"outline": '"theme"', "rest": "no fact has been written yet", "again": "written already",
             "pairs": "Fact: ", "facts": '"quote"', "repair": "could not be read", "rewrite": "anew, as"}  # fmt: skip
    return next(kind for kind, mark in marks.items() if mark in task)


def fact(text: str) -> dict[str, str]:
    return {"fact": text, "quote": text}


def asked(of: str, start: int, count: int) -> list[dict[str, str]]:
    """Different questions about a fact, all answered by its last word."""
    last = of.rstrip(".").split()[-1]
    starts = ["In what", "Say which", "Name the thing that is", "Give", "Which one ends it that"]
    return [
        {"question": f"{starts[at]} {of.rsplit(None, 1)[0]}?", "answer": last} for at in range(start, start + count)
    ]


def plain(kind: str, task: str) -> Any:
    """All is well at once."""
    if kind == "outline":
        return {"theme": "The boat Grey Gull.", "roles": ["a sailor", "a clerk", "a child", "a fourth too many"]}
    if kind == "facts":
        return [fact(LAUNCHED), fact(SOLD)]
    about = re.search("^Fact: (.*)$", task, re.M)
    return asked(about[1], 0, 4) if about else []


def kinds(server: Server) -> list[str]:
    return [kind_of(body["messages"][-1]["content"].rpartition("PASSAGE>>>")[2]) for body in server.seen]


def statements(parts: list[Part]) -> dict[str, Statement]:
    return {part.text: part for part in parts if isinstance(part, Statement)}


def reasons(parts: list[Part]) -> list[str]:
    return [part.reason for part in parts if isinstance(part, Unused)]


def test_theme_and_roles_are_asked_for_once_and_used(server: Server, written: Any) -> None:
    def script(kind: str, task: str) -> Any:
        pairs = plain(kind, task)
        if kind == "pairs":
            pairs[0]["role"], pairs[1]["role"] = "a sailor", "a stranger"
        return pairs

    theme, parts = written(script)
    assert sorted(kinds(server)) == ["facts", "outline", "pairs", "pairs"]
    assert theme == "The boat Grey Gull."
    shown = [body["messages"][-1]["content"] for body in server.seen]
    assert "Theme: The boat Grey Gull." in shown[1]
    assert "a sailor, a clerk, a child." in shown[2]
    roles = {asking.role for asking in statements(parts)[LAUNCHED].askings}
    assert roles == {"", "a sailor"}, "nobody asks who was not named"
    assert not reasons(parts)


def test_a_passage_without_an_outline_has_its_title_and_the_usual_people(server: Server, written: Any) -> None:
    theme, parts = written(lambda kind, task: "I cannot say." if kind == "outline" else plain(kind, task))
    assert theme == "Grey Gull"
    assert set(statements(parts)) == {LAUNCHED, SOLD}
    assert reasons(parts) == ["no theme in: I cannot say."]
    written(plain, roles_per_fact=0)
    assert kinds(server).count("outline") == 1, "nobody is asked for who would ask"


def test_sentences_without_a_fact_are_asked_about_once_more(server: Server, written: Any) -> None:
    def script(kind: str, task: str) -> Any:
        if kind == "facts":
            return [fact(LAUNCHED)]
        if kind == "rest":
            assert SOLD in task
            assert LAUNCHED not in task
            return [fact(SOLD)]
        return plain(kind, task)

    _, parts = written(script)
    assert set(statements(parts)) == {LAUNCHED, SOLD}
    assert kinds(server).count("rest") == 1


def test_facts_that_were_cut_off_are_had_the_second_time(server: Server, written: Any) -> None:
    def script(kind: str, task: str) -> Any:
        if kind == "facts":
            return Answer(completion(json.dumps([fact(LAUNCHED), fact(SOLD)])[:-40], "length"))
        return [fact(SOLD)] if kind == "rest" else plain(kind, task)

    _, parts = written(script)
    assert set(statements(parts)) == {LAUNCHED, SOLD}
    assert "the answer was cut off" in reasons(parts)


def test_questions_are_asked_for_until_there_are_enough(server: Server, written: Any) -> None:
    def script(kind: str, task: str) -> Any:
        about = re.search("^Fact: (.*)$", task, re.M)
        if kind == "again":
            assert "In what" in task
            return asked(about[1], 2, 2)
        return asked(about[1], 0, 2) if kind == "pairs" else plain(kind, task)

    _, parts = written(script)
    questions = {text: len([a for a in said.askings if a.question]) for text, said in statements(parts).items()}
    assert questions == {LAUNCHED: 4, SOLD: 4}, "three wordings and one for the exam"
    assert kinds(server).count("again") == 2
    assert not reasons(parts)


def test_a_quota_that_is_not_met_is_told(server: Server, written: Any) -> None:
    _, parts = written(lambda kind, task: plain(kind, task)[:2] if kind in ("pairs", "again") else plain(kind, task))
    assert reasons(parts).count("has 2 of 4 questions") == 2
    assert reasons(parts).count("asked before") == 4
    assert kinds(server).count("again") == 2, "what brings nothing new is not asked a third time"


def test_what_cannot_be_read_is_repaired_once(server: Server, written: Any) -> None:
    def script(kind: str, task: str) -> Any:
        if kind == "facts":
            return f"Here is what I know: {LAUNCHED}"
        return [fact(LAUNCHED), fact(SOLD)] if kind == "repair" else plain(kind, task)

    _, parts = written(script)
    assert set(statements(parts)) == {LAUNCHED, SOLD}
    repair = next(body["messages"] for body in server.seen if kind_of(body["messages"][-1]["content"]) == "repair")
    assert [message["role"] for message in repair] == ["system", "user", "assistant", "user"]
    assert repair[2]["content"] == f"Here is what I know: {LAUNCHED}"


def test_rewrites_are_kept_unless_they_change_or_lose_something(written: Any) -> None:
    good = f"A speech. {TEXT}"
    for text, why in [
        (good, ""),
        (good.replace("1931", "1932"), "has a number that is not in the passage: 1932"),
        (good.replace("1931", "then").replace("400", "some"), "leaves out numbers of the passage: 1931, 400"),
        (good + " That was before 1999.", "has a number that is not in the passage: 1999"),
        (good + " It was bought by Olaf Brand.", "has a name that is not in the passage: Olaf"),
        ("The Grey Gull, 1931, 400.", "is much shorter than the passage"),
        (good + " So the text says.", "speaks of the text"),
        ("", "the reply was empty"),
    ]:
        _, parts = written(lambda kind, task, text=text: text if kind == "rewrite" else plain(kind, task),
                           rewrites_per_passage=1, model=f"scribe {why}")  # fmt: skip
        if why:
            assert any(why in reason for reason in reasons(parts)), (why, reasons(parts))
        assert [part.text for part in parts if isinstance(part, Rewrite)] == ([] if why else [text])


def test_forms_are_told_apart_and_a_sentence_is_no_exam(written: Any) -> None:
    def script(kind: str, task: str) -> Any:
        if kind not in ("pairs", "again"):
            return plain(kind, task)
        return [
            {"question": "What happened to the Grey Gull in 1931?", "answer": LAUNCHED, "form": "sentence"},
            {"question": "What ship was launched in 1931?", "answer": "Grey Gull", "form": "reversed"},
            {"question": "When was the Grey Gull launched?", "answer": "1931", "form": "short"},
            {"question": "In which year did they launch the Grey Gull?", "answer": "1931", "form": "short"},
            {"question": "Where was the Grey Gull in 1931?", "answer": "It sank off Olaf Bay.", "form": "sentence"},
        ]

    _, parts = written(script)
    askings = {asking.question: asking for asking in statements(parts)[LAUNCHED].askings if asking.question}
    assert askings["What happened to the Grey Gull in 1931?"].wording == "about"
    assert askings["What ship was launched in 1931?"].wording == "converse"
    (exam,) = [asking for asking in askings.values() if asking.wording == "indirect"]
    assert exam.answer == "1931", "one that is asked in other words too"
    assert "Where was the Grey Gull in 1931?" not in askings
