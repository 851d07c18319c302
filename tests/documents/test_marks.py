"""Marks of sources, footnotes and editors go; brackets that say something stay."""

from pathlib import Path

import pytest
from whole import read

from knowledge_update.documents.blocks import Block, row
from knowledge_update.documents.html import page
from knowledge_update.documents.marks import unmarked

NAMED = "The bridge was built in 1702.[1]"


def texts(*paragraphs: str) -> list[str]:
    return [block.text for block in unmarked([Block("paragraph", text) for text in paragraphs])]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("It was founded in 1652[2] by Dag Rusvold.[3][4] It has a mill.[a]",
         "It was founded in 1652 by Dag Rusvold. It has a mill."),
        ("It cost 300 crowns.[5]:110", "It cost 300 crowns."),
        ("It cost 300 crowns.[5]: 110", "It cost 300 crowns."),
        ("It was sold.[6]It was bought.", "It was sold. It was bought."),
        ("It was sold,[note 1] and bought.[2–4][7, 9]", "It was sold, and bought."),
        ("它建于1652年。[1]后来重建[2]。", "它建于1652年。后来重建。"),
        ("The arrays x and y[0] differ.", "The arrays x and y[0] differ."),
        ("He wrote [1] on it.", "He wrote [1] on it."),
    ],
)  # fmt: skip
def test_who_names_sources_behind_a_full_stop_names_them_so_elsewhere(text: str, told: str) -> None:
    assert texts(NAMED, text) == ["The bridge was built in 1702.", told]


@pytest.mark.parametrize(
    "text",
    [
        "The first argument is argv[1] and the second argv[2].",
        "Take f(x)[1] or the vector [1, 2].",
        "He said that [the bridge] was old.",
        "The filter is .[1] here.",
        "The ratio is 3:110.",
        "It opens at 9:30 and closes at 17:00.",
    ],
)
def test_elsewhere_brackets_and_colons_stay(text: str) -> None:
    assert texts(text) == [text]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("It opened in 1978,[citation needed] at the weir.", "It opened in 1978, at the weir."),
        ("It was the first[by whom?] of its kind. [clarification needed]", "It was the first of its kind."),
        ("It fired him because of his weight.:110", "It fired him because of his weight."),
        ("In Europe,:76 it was known.:162–164 In 1912 it burned.", "In Europe, it was known. In 1912 it burned."),
        ("It was founded in 1752.[^1] It burned.[^note]", "It was founded in 1752. It burned."),
        ("它建于1652年[来源请求]。", "它建于1652年。"),
    ],
)
def test_what_can_be_nothing_else_goes_everywhere(text: str, told: str) -> None:
    assert texts(text) == [told]


def test_a_list_of_sources_tells_what_numbers_apart_from_words_are() -> None:
    cited = "The bridge was built in 1702 [2] and paid in 1703 [1, 3]. It is described in [2]."
    assert texts(cited) == [cited]
    source = "[1] Rusvold, D.: Annals. Kell, 1901."
    told = "The bridge was built in 1702 and paid in 1703. It is described in [2]."
    assert texts(cited, source) == [told, source]


def test_marks_in_a_table_go_too() -> None:
    marked = row(["Orvessay[2]", "4,212[3][4]"], ("Town[a]", "Inhabitants"))
    found = unmarked([Block("paragraph", NAMED), marked])[1]
    assert found == row(["Orvessay", "4,212"], ("Town", "Inhabitants"))


PAGE = """<html><body><h1>Orvessay</h1><div class="toc"><a href="#h">History</a></div>
<p>Orvessay has 4,212 inhabitants.<sup class="reference"><a href="#cite-1">[1]</a></sup> It lies on the
<a class="reference external" href="ell.html#ell">river Ell</a>.<sup><a href="#fn2">2</a></sup> It has 5 km<sup>2</sup>
and a mill.<sup>[<a href="/wiki/Citation"><i>citation needed</i></a>]</sup></p>
<h2 id="h">History<span class="mw-editsection">[<a href="edit">edit source</a>]</span></h2><p>It burned in 1702.</p>
<ol class="references"><li>Rusvold, Annals.</li></ol></body></html>"""


def test_a_page_is_read_without_its_notes(tmp_path: Path) -> None:
    assert "Rusvold" not in str(page(PAGE.encode()))
    (tmp_path / "orvessay.html").write_text(PAGE, encoding="utf-8")
    blocks = read(tmp_path).documents[0].blocks
    assert [block.text for block in blocks] == [
        "Orvessay has 4,212 inhabitants. It lies on the river Ell. It has 5 km2 and a mill.", "History",
        "It burned in 1702.",
    ]  # fmt: skip
