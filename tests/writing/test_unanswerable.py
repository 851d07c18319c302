"""Questions that nobody can answer: names are exchanged for names that are in no document."""

import re
from pathlib import Path

import pytest

from knowledge_update.ledger import ChunkRow, DocumentRow, Ledger
from knowledge_update.writing.unanswerable import Inventor, still_named

TEXTS = {
    "The Ansgild Bridge": "The bridge leads to Little Pirren. In May, the engineer Runa Hesk of Corvane opened the "
    "Ansgild Bridge. He had a little boat. Old Duke is a cheese, and the cheese Old Duke is old.",
    "戈斯菲尔德面包坊": "戈斯菲尔德面包坊创立于1836年。面包坊酿造“雾角”。戈斯菲尔德面包坊的老板是卢西恩·戈斯菲尔德。",
    "潮歌（学校）": "潮歌有学生一百二十名。",
}


@pytest.fixture(scope="module")
def inventor(tmp_path_factory: pytest.TempPathFactory) -> Inventor:
    with Ledger(tmp_path_factory.mktemp("ledger") / "ledger.sqlite") as ledger:
        for title, text in TEXTS.items():
            language = "en" if title.isascii() else "zh"
            row = DocumentRow(title, title, f"{title}.txt", title, "text/plain", language)
            ledger.add(row, [ChunkRow(title, text, title, 0, len(text), "")], [], [], [])
        return Inventor(ledger)


def test_names_are_exchanged_and_the_form_stays(inventor: Inventor) -> None:
    asked = "Could you tell me when Runa Hesk of Corvane opened the Ansgild Bridge in May?"
    made = inventor.invented(asked)
    found = re.fullmatch(r"Could you tell me when (\w+) (\w+) of (\w+) opened the (\w+) Bridge in May\?", made)
    assert found and len(set(found.groups())) == 4
    everything = " ".join([*TEXTS, *TEXTS.values()]).lower()
    assert not [name for name in found.groups() if name.lower() in everything]
    assert made == inventor.invented(asked)


def test_one_name_becomes_one_name(inventor: Inventor) -> None:
    found = re.fullmatch(r"Is (\w+) near (\w+), and (\w+)'s engineer there\?",
                         inventor.invented("Is Corvane near Pirren, and Corvane's engineer there?"))  # fmt: skip
    assert found and found[1] == found[3] != found[2]


def test_a_chinese_title_is_exchanged_but_for_its_kind(inventor: Inventor) -> None:
    made = inventor.invented("请问戈斯菲尔德面包坊创立于哪一年？")
    found = re.fullmatch(r"请问([\u4e00-\u9fff]+)面包坊创立于哪一年？", made)
    assert found and found[1] not in "".join(TEXTS.values())
    whole = re.fullmatch(r"([\u4e00-\u9fff]+)有多少学生？", inventor.invented("潮歌有多少学生？"))
    assert whole and "潮歌" not in whole[1]


@pytest.mark.parametrize(
    "question",
    [
        "What does the little boat do?", "Could you tell me what leads to it in May?", "谁酿造“雾角”？", "",
        "Which words are missing here: the Ansgild Bridge leads to ____.",
        "戈斯菲尔德面包坊的老板卢西恩·戈斯菲尔德多大？",
    ],
)  # fmt: skip
def test_what_names_nothing_that_could_be_exchanged_is_left_out(inventor: Inventor, question: str) -> None:
    assert inventor.invented(question) == ""


@pytest.mark.parametrize(
    ("asked", "made"),
    [
        ("Could you tell me when Runa Hesk of Corvane opened the Ansgild Bridge in May?",
         "Could you tell me when Staelisk Tostax of Pendis opened the Kroutes Bridge in May?"),
        ("请问戈斯菲尔德面包坊创立于哪一年？", "请问贝奥诺洛诺面包坊创立于哪一年？"),
        ("潮歌有多少学生？", "佐格有多少学生？"),
    ],
)  # fmt: skip
def test_what_is_drawn_without_a_salt_stays_what_it_was(inventor: Inventor, asked: str, made: str) -> None:
    """An exam of today is compared with those of before."""
    assert inventor.invented(asked) == made
    salted = [inventor.invented(asked, salt) for salt in ("a", "b", "a")]
    assert salted[0] == salted[2] != salted[1] and made not in salted


def test_names_of_a_salt_are_none_of_the_others_even_where_these_are_all_of_their_length(tmp_path: Path) -> None:
    titles = [chr(0x5000 + at) + chr(0x5100 + at // 7) for at in range(4000)]
    with Ledger(tmp_path / "ledger.sqlite") as ledger:
        for title in titles:
            row = DocumentRow(title, title, f"{title}.txt", title, "text/plain", "zh")
            ledger.add(row, [ChunkRow(title, f"{title}。", title, 0, 3, "")], [], [], [])
        inventor = Inventor(ledger)
    drawn = {inventor.invented(f"{title}？") for title in titles}
    assert len(drawn) == 20**2, "there are no more names of two syllables"
    for title in titles[:5]:
        made = inventor.invented(f"{title}？", "salt")
        assert made not in drawn and len(made) == 4


def test_english_names_of_a_salt_are_none_of_the_others(inventor: Inventor) -> None:
    names = ("Runa", "Hesk", "Corvane", "Ansgild", "Pirren", "Duke")
    drawn = {inventor.invented(f"Who is {name}?") for name in names}
    # Of some 130,000 names as many as there are salts: without care some would be the same.
    salted = {inventor.invented(f"Who is {name}?", str(salt)) for name in names for salt in range(30_000)}
    assert len(drawn) == 6 and len(salted) > 50_000 and not drawn & salted


@pytest.mark.parametrize(
    ("asked", "made", "names"),
    [
        ('In "Varrow Line": When was the Grey Wendel launched in May?',
         'In "Trum Bel": When was the Grey Wendel launched in May?', {"Grey Wendel"}),
        ("Who built the Grey Wendel at the Varrow Line?", "Who built the Grey Sulb at the Trum Line?", set()),
        ("Why is Varrow called Home?", "Why is Trum called Home?", {"Home"}),
        ("Ansgild Bridge: why?", "Trum Bridge: why?", set()),
        ("面包坊的“雾角”用什么调味？", "茨尼的“雾角”用什么调味？", {"“雾角”"}),
    ],
)  # fmt: skip
def test_what_is_still_named_is_found(asked: str, made: str, names: set[str]) -> None:
    assert still_named(asked, made) == names


def test_an_empty_ledger_has_no_names(tmp_path: Path) -> None:
    with Ledger(tmp_path / "ledger.sqlite") as ledger:
        assert Inventor(ledger).invented("Who is Runa Hesk?") == ""
