"""The report page and the same figures as tables for a terminal."""

import base64
import hashlib
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from lxml import html

from knowledge_update.config import Config
from knowledge_update.display import clean
from knowledge_update.evaluation import formats, report
from knowledge_update.evaluation.names import MODELS
from knowledge_update.evaluation.terminal import terminal_tables
from knowledge_update.run_folder import Row, RunFolder

HOSTILE = (
    "<script>alert(1)</script>", "</script><b>out</b>", '"><img src=x onerror="alert(2)">', "{{7*7}} {% raw %}",
    "<!--<script>", "a\u2028b\u2029c", "\x1b[31mred\x1b[0m \x1b]0;title\x07bell\x07", "javascript:alert(3)//'",
)  # fmt: skip


def answer(text: str, right: bool) -> Row:
    return {"response": text, "right": right, "f1": float(right)}


def question(name: str, text: str = "Who founded it?", **changes: Any) -> Row:
    row = {
        "id": name, "set": "held_out", "kind": "direct", "doc_id": "yard", "fact": "f1", "category": None,
        "question": text, "answers": ["Abel"], "base": answer("Nobody", False), "updated": answer("Abel.", True),
        "open_book": answer("Abel", True),
        "origin": {"text": "Abel founded it.", "quote": "It was founded by Abel.", "path": "yard.md"},
    }  # fmt: skip
    return row | changes


def part(n: int, base: float, updated: float, open_book: float) -> Row:
    shares = {"base": base, "updated": updated, "open_book": open_book}
    intervals = {name: (max(0.0, share - 0.04), min(1.0, share + 0.03)) for name, share in shares.items()}
    return {
        "n": n, **shares, "interval": intervals["updated"], "intervals": intervals, "gain": (0.8, 0.9),
        "against_open_book": (0.2, 0.3), "f1": shares,
    }  # fmt: skip


@pytest.fixture
def figures() -> Row:
    return {
        "held_out": part(336, 0.0119, 0.8690, 0.6101),
        "human": part(1138, 0.02, 0.7, 0.66),
        "multi": part(18, 0.0, 0.3333, 0.7222),
        "reversed": part(28, 0.0, 0.25, 0.6429),
        "retention": {
            "n": 250, "base": 0.4, "updated": 0.396, "kept": 0.97, "interval": (0.94, 1.0), "lost": 3, "gained": 2,
            "by_category": {
                "arts": {"n": 100, "base": 0.5, "updated": 0.49}, "food": {"n": 150, "base": 0.3, "updated": 0.3}
            },
        },
        "facts": {
            "n": 30, "asked": 20, "learned": 17, "by_document": {
                "yard": {"n": 20, "asked": 12, "learned": 9, "title": "The yard"},
                "line": {"n": 10, "asked": 8, "learned": 8, "title": ""},
            },
        },
        "seconds": {"write": 8.25, "train": 1312.0, "infer": 388.0},
    }  # fmt: skip


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    found = RunFolder(tmp_path / "run")
    found.create()
    np.save(found.losses, np.linspace(3, 0.5, 200, dtype=np.float32))
    return found


def written(folder: RunFolder, figures: Row, rows: list[Row], config: Config | None = None) -> str:
    report.write(config or Config(documents="/data/orvessay"), folder, figures, rows)
    return folder.report.read_text(encoding="utf-8")


def shown(page: str) -> str:
    """What a reader without JavaScript sees, with single spaces."""
    tree = html.fromstring(page)
    for hidden in tree.xpath("//script|//style"):
        hidden.drop_tree()
    return re.sub(r"\s+", " ", tree.text_content())


def embedded(page: str) -> Any:
    return json.loads(html.fromstring(page).xpath("//script[@type='application/json']")[0].text)


def test_page_holds_every_section_without_javascript(folder: RunFolder, figures: Row) -> None:
    page = written(folder, figures, [question("q1")], Config(documents="/data/orvessay", seed=41))
    text = shown(page)
    headings = [
        "Answers before and after", "Loss", "Facts learned by document", "General knowledge by category",
        "Time by stage", "Every question", "How it was measured",
    ]  # fmt: skip
    places = [text.index(heading) for heading in headings]
    assert places == sorted(places)
    assert "smollm2-135m after orvessay" in text
    assert "200 optimizer steps. The line is the mean of 5 steps at a time; it ends at 0.525." in text
    rows = html.fromstring(page).xpath("//section[@class='documents']//tr")
    assert [[cell.text_content() for cell in row][:4] for row in rows] == [
        ["Document", "Facts", "Asked", "Learned"],
        ["The yardyard", "20", "12", "9"],
        ["line", "10", "8", "8"],
        ["All documents", "30", "20", "17"],
    ]
    assert "3 answers the base had right were lost, 2 were gained" in text
    assert "Questions with their answers (1) are listed here when JavaScript is allowed" in text
    assert "documents: /data/orvessay questions: null" in text
    assert "seed: 41" in text


def test_page_parses_with_names_used_once(folder: RunFolder, figures: Row) -> None:
    tree = html.fromstring(written(folder, figures, [question("q1")]))
    names = tree.xpath("//@id")
    assert len(names) == len(set(names))
    assert len(tree.xpath("//svg")) == 4
    assert {use.lstrip("#") for use in tree.xpath("//use/@*[contains(name(), 'href')]")} <= set(names)


def test_plots_follow_the_colours_of_the_page(folder: RunFolder, figures: Row) -> None:
    page = written(folder, figures, [question("q1")])
    drawings = "".join(re.findall(r"<svg.*?</svg>", page, flags=re.DOTALL))
    assert set(re.findall(r"var\(--([a-z-]+)\)", drawings)) == {
        "ink", "muted", "line", "base", "updated", "open-book"
    }  # fmt: skip
    assert "#00000" not in drawings


def test_verdict_is_made_of_the_figures(figures: Row) -> None:
    assert report.verdict(figures) == (
        "The updated model answers 87 % of 336 held-out questions right (base 1 %, with the passage open 61 %) "
        "and keeps 97 % of what the base knew."
    )


def test_verdict_leaves_out_what_was_not_measured(figures: Row) -> None:
    del figures["retention"]
    assert report.verdict(figures).endswith("with the passage open 61 %).")
    figures["held_out"] = part(0, 0, 0, 0)
    assert report.verdict(figures) == "No held-out question was asked."


def test_kept_share_of_nothing_is_not_claimed(figures: Row) -> None:
    figures["retention"] |= {"base": 0.0, "kept": 0.0, "interval": (0.0, 0.0)}
    assert "keeps" not in report.verdict(figures)
    assert "Knowledge kept" not in [tile.label for tile in report.tiles(figures)]
    assert dict((title, rows) for title, _, rows in terminal_tables(figures))["Retention"][0][4:6] == ["–", "–"]


def test_tiles_say_what_they_rest_on(figures: Row) -> None:
    assert [(tile.label, tile.value, tile.notes) for tile in report.tiles(figures)] == [
        ("Held-out questions", "87 %", ("83–90 % (95 % CI)", "n = 336")),
        ("Human questions", "70 %", ("66–73 % (95 % CI)", "n = 1,138")),
        ("Knowledge kept", "97 %", ("94–100 % (95 % CI)", "n = 100 known before")),
        ("Facts learned", "17", ("of 20 asked", "30 in the documents")),
        ("Total time", "28 min 28 s", ("3 stages",)),
    ]


def test_missing_parts_are_absent(tmp_path: Path, figures: Row) -> None:
    kept = {name: figures[name] for name in ("held_out", "facts")} | {"seconds": {}}
    folder = RunFolder(tmp_path)
    page = written(folder, kept, [question("q1")])
    text = shown(page)
    assert "This run holds no record of its losses." in text
    assert len(html.fromstring(page).xpath("//svg")) == 2
    for absent in ("General knowledge", "Human questions", "Knowledge kept", "Time by stage", "Reversed", "reversed"):
        assert absent not in text


def test_page_without_any_question_is_written(folder: RunFolder, figures: Row) -> None:
    nothing = {"n": 0, "asked": 0, "learned": 0, "by_document": {}}
    text = shown(written(folder, {"held_out": part(0, 0, 0, 0), "facts": nothing, "seconds": {}}, []))
    assert "No held-out question was asked." in text
    assert "Answers before and after" not in text


@pytest.mark.parametrize("losses", [[], [np.nan, np.nan], [2.0], [0.0, 0.0], [3.0, np.inf, 1.0]])
def test_odd_losses_do_not_stop_the_report(folder: RunFolder, figures: Row, losses: list[float]) -> None:
    np.save(folder.losses, np.array(losses, dtype=np.float32))
    drawn = len(html.fromstring(written(folder, figures, [question("q1")])).xpath("//svg"))
    assert drawn == (4 if np.isfinite(losses).any() else 2)


def test_nothing_is_loaded_from_elsewhere(folder: RunFolder, figures: Row) -> None:
    link = "see https://example.org/x.js and url(https://example.org/y.png)"
    page = written(folder, figures, [question("q1", link)])
    tree = html.fromstring(page)
    loaded = tree.xpath("//@src|//@href|//@srcset|//@action|//@data|//@poster|//@*[name()='xlink:href']")
    assert all(value.startswith(("#", "data:")) for value in loaded)
    assert not tree.xpath("//iframe|//object|//embed|//base|//img")
    sheets = "".join(tree.xpath("//style/text()|//@style|//@clip-path|//@fill"))
    assert "@import" not in sheets
    assert all(value.startswith("#") for value in re.findall(r"url\(([^)]*)\)", sheets))
    assert "//" not in tree.xpath("//script[not(@type)]")[0].text.replace("  // Text of documents", "")


def test_policy_allows_the_one_script_and_nothing_else(folder: RunFolder, figures: Row) -> None:
    page = written(folder, figures, [question("q1")])
    policy = html.fromstring(page).xpath("//meta[@http-equiv='Content-Security-Policy']/@content")[0]
    (script,) = re.findall(r"<script>(.*?)</script>", page, flags=re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert policy == (
        f"default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{digest}'; img-src data:; "
        "base-uri 'none'; form-action 'none'"
    )
    assert page.index("Content-Security-Policy") < page.index("<style>")
    assert "&#" not in script


def test_script_never_reads_markup(folder: RunFolder, figures: Row) -> None:
    script = html.fromstring(written(folder, figures, [])).xpath("//script[not(@type)]")[0].text
    for sink in ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "Function(", "fetch("):
        assert sink not in script


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_texts_stay_texts(folder: RunFolder, figures: Row, text: str) -> None:
    plain = written(folder, figures, [question("q1")])
    figures["facts"]["by_document"] = {text: {"n": 1, "asked": 1, "learned": 1, "title": text}}
    figures["retention"]["by_category"] = {text: {"n": 1, "base": 1.0, "updated": 1.0}}
    figures["seconds"] = {text: 1.0}
    config = Config(documents=f"/data/{text.replace('/', ' ')}")
    config.model.name = text
    hostile = question(
        "q2", text, set=text, doc_id=text, answers=[text], origin={"text": text, "quote": text, "path": text},
        base=answer(text, False), updated=answer(text, True), open_book=answer(text, True),
    )  # fmt: skip
    page = written(folder, figures, [question("q1"), hostile], config)
    assert _elements(page) - _elements(plain) <= {"small", "option"}
    if re.search("[<>]", text):
        assert text not in page
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]", page)
    for name in ("script", "img", "b"):
        assert len(html.fromstring(page).xpath(f"//{name}")) == len(html.fromstring(plain).xpath(f"//{name}"))
    row = embedded(page)["rows"][1]
    cleaned = clean(text)
    assert row["question"] == row["quote"] == row["base"][0] == row["doc"] == cleaned
    assert html.fromstring(page).xpath("//option[@value=$text]", text=cleaned)


def _elements(page: str) -> set[str]:
    return {element.tag for element in html.fromstring(page).iter() if isinstance(element.tag, str)}


def test_template_syntax_in_a_text_is_not_run(folder: RunFolder, figures: Row) -> None:
    figures["facts"]["by_document"]["yard"]["title"] = "{{7*7}}"
    text = shown(written(folder, figures, [question("q1", "{{7*7}}")]))
    assert "{{7*7}}" in text
    assert "49" not in html.fromstring(folder.report.read_text()).xpath(
        "//section[@class='documents']//tbody//th/text()"
    )


def test_embedded_json_has_no_character_that_markup_or_old_scripts_read(folder: RunFolder, figures: Row) -> None:
    page = written(folder, figures, [question(text, text) for text in HOSTILE])
    block = re.findall(r'<script type="application/json" id="rows">(.*?)</script>', page, flags=re.DOTALL)[0]
    assert not set("<>&\u2028\u2029") & set(block)
    assert [row["question"] for row in json.loads(block)["rows"]] == [clean(text) for text in HOSTILE]


def test_rows_keep_what_a_reader_needs(folder: RunFolder, figures: Row) -> None:
    general = question("q2", set="retention", doc_id=None, fact=None, origin={}, category="arts")
    del general["open_book"]
    first, second = embedded(written(folder, figures, [question("q1"), general]))["rows"]
    assert first == {
        "set": "held_out", "question": "Who founded it?", "answers": ["Abel"], "doc": "yard", "base": ["Nobody", False],
        "updated": ["Abel.", True], "open_book": ["Abel", True], "text": "Abel founded it.",
        "quote": "It was founded by Abel.", "path": "yard.md",
    }  # fmt: skip
    assert second.keys() == {"set", "question", "answers", "doc", "base", "updated"}


def test_filters_offer_the_sets_and_documents_asked(folder: RunFolder, figures: Row) -> None:
    rows = [question("q1"), question("q2", doc_id="line"), question("q3", set="human", doc_id=None)]
    tree = html.fromstring(written(folder, figures, rows))
    assert tree.xpath("//select[@name='set']/option/@value") == ["", "held_out", "human"]
    assert tree.xpath("//select[@name='place']/option/text()") == ["All", "line", "The yard (yard)"]


def test_same_input_gives_the_same_page(folder: RunFolder, figures: Row) -> None:
    rows = [question("q1"), question("q2")]
    assert written(folder, figures, rows) == written(folder, figures, rows)


def test_file_name_that_is_not_unicode_is_written(folder: RunFolder, figures: Row) -> None:
    config = Config(documents="/data/caf\udce9")
    assert "after caf?" in shown(written(folder, figures, [question("q1", "\ud800")], config))


def test_terminal_tables_hold_all_figures(figures: Row) -> None:
    tables = {title: (columns, rows) for title, columns, rows in terminal_tables(figures)}
    assert tables["Questions answered right"] == (
        ["questions", "n", "base", "updated", "open book", "95 % interval"],
        [
            ["held-out probes", "336", "1 %", "87 %", "61 %", "83–90 %"],
            ["human questions", "1138", "2 %", "70 %", "66 %", "66–73 %"],
            ["reversed", "28", "0 %", "25 %", "64 %", "21–28 %"],
            ["multi-document", "18", "0 %", "33 %", "72 %", "29–36 %"],
        ],
    )
    assert tables["Retention"][1] == [["general", "250", "40 %", "40 %", "97 %", "94–100 %", "3", "2"]]
    assert tables["Facts learned"][1] == [["facts", "30", "20", "17", "85 %"]]
    assert tables["Time"][1][-2:] == [["infer", "388.0"], ["total", "1,708.2"]]
    assert all(len(row) == len(columns) for columns, rows in tables.values() for row in rows)


def test_terminal_tables_leave_out_what_was_not_measured(figures: Row) -> None:
    nothing = {"n": 0, "asked": 0, "learned": 0, "by_document": {}}
    tables = terminal_tables({"held_out": part(0, 0, 0, 0), "facts": nothing, "seconds": {}})
    assert [title for title, _, _ in tables] == ["Questions answered right", "Facts learned"]
    assert tables[0][2] == [["held-out probes", "0", "–", "–", "–", "–"]]
    assert tables[1][2] == [["facts", "0", "0", "0", "–"]]


@pytest.mark.parametrize(
    ("share", "text"),
    [(0, "0 %"), (1, "100 %"), (0.8690, "87 %"), (0.9990, "99.9 %"), (0.9999, "99.9 %"), (0.003, "0.3 %")],
)  # fmt: skip
def test_only_all_is_a_hundred_percent_and_only_nothing_is_none(share: float, text: str) -> None:
    assert formats.percent(share) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(8.25, "8.2 s"), (59.97, "1 min 00 s"), (60, "1 min 00 s"), (200.4, "3 min 20 s"), (3599.6, "1 h 00 min"),
     (3900, "1 h 05 min")],
)  # fmt: skip
def test_durations_read_well(seconds: float, text: str) -> None:
    assert formats.duration(seconds) == text


@pytest.mark.parametrize(("difference", "text"), [(0.234, "+23"), (-0.06, "−6"), (0.004, "0"), (-0.004, "0")])
def test_points_carry_their_sign(difference: float, text: str) -> None:
    assert formats.points(difference) == text


JUDGED = {
    "n": 336, "share": 0.5, "interval": (0.4, 0.6), "bounds": (0.4, 0.7), "unparsable": 2, "unanswered": 1,
    "length": {"mean": 4.2, "correlation": 0.1},
}  # fmt: skip
WON = JUDGED | {
    "wins": 200,
    "ties": 36,
    "losses": 100,
    "disagreed": 12,
    "same": 3,
    "one_right": 150,
    "against_accuracy": 2,
    "length": {"updated": 4.2, "base": 9.1, "correlation": None},
}
SEARCHED = ("base_retrieval", "updated_retrieval")


@pytest.fixture
def fuller(figures: Row) -> Row:
    """Figures with all that may be there."""
    shares = {name: 0.25 for name in MODELS}
    intervals = {name: (0.1, 0.5) for name in shares}
    drawn = {"n": 12, **shares, "intervals": intervals, "gain": (0.1, 0.4), "mcnemar": 0.0312}
    for name in ("held_out", "human"):
        figures[name] |= {"retrieval": drawn, "mcnemar": {"base": 0.00004, "open_book": 0.21}}
    figures["human"] |= {"near_trained": 40, "without_near": part(1098, 0.02, 0.61, 0.66)}
    figures["trained"] = part(40, 0.0, 0.95, 0.6)
    figures["contamination"] = {"least": 0.7, "n": 40, "of": 1492}
    figures["retrieval"] = {**drawn, "n": 24}
    figures["unanswerable"] = {
        "n": 24, "base": 0.875, "updated": 1.0, "intervals": {"base": (0.7, 1.0), "updated": (1.0, 1.0)},
        "gain": (0.0, 0.3), "mcnemar": 0.25,
    }  # fmt: skip
    figures["facts"]["missed"] = {"never_asked": 10, "another": 2, "wrong": 1}
    figures["judge"] = {
        "judge": "some model", "trusted": False, "failed": ["injected", "verbose"],
        "sets": {"held_out": {"n": 336, "accuracy": {"base": JUDGED, "updated": JUDGED | {"share": None}},
                              "win_rate": WON}},
    }  # fmt: skip
    return figures


def test_all_that_may_be_measured_is_shown(folder: RunFolder, fuller: Row) -> None:
    searched = {name: answer("Search", False) for name in SEARCHED}
    rows = [
        question("q1", near="Who was it founded by?", **searched),
        question("q2", reason="another", updated=answer("Cain", False)),
        question("q3", set="unanswerable", answers=[], updated=answer("A king", False)),
        question("q4", set="retention", base=answer("Paris", True), updated=answer("Rome", False)),
    ]
    page = written(folder, fuller, rows)
    text = shown(page)
    for told in (
        "With passages searched for", "12 of 336", "All that were not trained", "24 of 1,492", "p = 0.03",
        "p < 0.001", "Without what is worded nearly like training", "share 70 % of their words or more",
        "What nobody can know", "the base answers 88 % of them", "Why the others were not",
        "answered with what is right of another fact", "A few answers side by side", "Judged by some model",
        "Not to be trusted", "(injected; verbose)", "2 unparsable", "40–70 %", "200, 36, 100", "2 of 150",
        "Trained questions", "Answers invented",
        "with 3 passages that a search found",
    ):  # fmt: skip
        assert told in text, told
    assert set(re.findall(r"var\(--([a-z-]+)\)", "".join(re.findall(r"<svg.*?</svg>", page, flags=re.DOTALL)))) == {
        "ink", "muted", "line", "base", "updated", "open-book", "base-retrieval", "updated-retrieval"
    }  # fmt: skip
    tree = html.fromstring(page)
    samples = tree.xpath("//section[@class='samples']//tbody/tr/th/small/text()")
    assert samples == ["gained", "missed", "lost", "invented"]
    assert tree.xpath("//select[@name='judged']/option/@value")[-2:] == ["near", "another"]
    first, second, *_ = embedded(page)["rows"]
    assert (first["near"], first["base_retrieval"]) == ("Who was it founded by?", ["Search", False])
    assert second["reason"] == "another"


def test_terminal_tables_tell_of_searches_and_inventions(fuller: Row) -> None:
    tables = {title: rows for title, _, rows in terminal_tables(fuller)}
    assert tables["With passages searched for"][-1] == ["all not trained", "24", *["25 %"] * 5]
    assert tables["Answers invented"] == [["unanswerable", "24", "88 %", "100 %", "100–100 %"]]
    assert tables["Facts not learned"][1] == ["answered with what is right of another fact", "2"]


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_texts_stay_texts_in_every_section(folder: RunFolder, fuller: Row, text: str) -> None:
    plain = written(folder, fuller, [question("q1", near="x", reason="another", updated=answer("y", False))])
    fuller["judge"] |= {"judge": text, "failed": [text]}
    fuller["judge"]["sets"] = {text: fuller["judge"]["sets"]["held_out"]}
    fuller["facts"]["missed"] = {text: 3}
    wrong = answer(text, False)
    page = written(folder, fuller, [
        question("q1", text, near=text, reason=text, answers=[text], base=wrong, updated=wrong, open_book=wrong)
    ])  # fmt: skip
    assert _elements(page) == _elements(plain)
    if re.search("[<>]", text):
        assert text not in page
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]", page)
    for name in ("script", "img", "b"):
        assert len(html.fromstring(page).xpath(f"//{name}")) == len(html.fromstring(plain).xpath(f"//{name}"))
    assert embedded(page)["rows"][0]["near"] == clean(text)


def test_samples_are_drawn_from_each_outcome() -> None:
    rows = [question(f"g{number}") for number in range(9)]
    rows += [question(f"m{number}", updated=answer("no", False)) for number in range(9)]
    rows += [question(f"t{number}", set="trained") for number in range(9)]
    rows += [question(f"k{number}", base=answer("Abel", True)) for number in range(9)]
    found = report.samples(rows)
    assert [outcome for outcome, _ in found] == ["gained"] * 3 + ["missed"] * 3
    assert found == report.samples(rows[::-1])
