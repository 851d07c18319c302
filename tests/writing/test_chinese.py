"""Facts and questions from Chinese prose."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from whole import read

from knowledge_update.documents.blocks import Block, Document
from knowledge_update.documents.chunking import Passage, passages
from knowledge_update.writing.chinese import write
from knowledge_update.writing.statements import (
    ABOUT,
    CLOZE,
    COMPLETION,
    DIRECT,
    INDIRECT,
    SHORT,
    SYNONYM,
    TEXT,
    TITLED,
    Asking,
    Statement,
    Unused,
)

DOCUMENTS = {
    "gorsefield-bakery": Path(__file__).parents[2] / "examples" / "orvessay" / "gorsefield-bakery.txt",
    "tidesong-school": Path(__file__).parent / "data" / "tidesong-school.txt",
}
Written = list[tuple[Passage, Statement | Unused]]


def document(title: str, *paragraphs: str) -> Document:
    blocks = tuple(Block("paragraph", text) for text in paragraphs)
    return Document("d", "d", "d.txt", title, "text/plain", blocks)


def written(source: Document, max_tokens: int = 200) -> Written:
    return list(write(source, passages(source, len, max_tokens)))


def statements(title: str, *paragraphs: str) -> list[Statement]:
    return [found for _, found in written(document(title, *paragraphs)) if isinstance(found, Statement)]


def texts(title: str, *paragraphs: str) -> list[str]:
    return [statement.text for statement in statements(title, *paragraphs)]


def questions(statement: Statement, wording: str) -> list[tuple[str, str]]:
    return [(asking.question, asking.answer) for asking in statement.askings if asking.wording == wording]


def of_example(name: str) -> Written:
    return written(read(DOCUMENTS[name]).documents[0])


def test_founding_sentence_is_written_in_all_wordings() -> None:
    (statement,) = statements("潮歌学校", "学校由退役女军医贝莎·洛林登于1898年创办。")
    when, who = "1898年@17", "贝莎·洛林登@10"
    year, name = "1898年", "贝莎·洛林登"
    assert statement == Statement(
        "潮歌学校由退役女军医贝莎·洛林登于1898年创办。",
        "学校由退役女军医贝莎·洛林登于1898年创办",
        0,
        (
            Asking("when", DIRECT, "潮歌学校由退役女军医贝莎·洛林登于哪一年创办？", year, when),
            Asking("when", SYNONYM, "潮歌学校是哪一年创办的？", year, when),
            Asking("when", SYNONYM, "潮歌学校创办于哪一年？", year, when),
            Asking("when", SYNONYM, "潮歌学校由退役女军医贝莎·洛林登于哪一年创立？", year, when),
            Asking("when", TITLED, "关于潮歌学校：由退役女军医贝莎·洛林登于哪一年创办？", year, when),
            Asking("cloze", CLOZE, "填空：潮歌学校由退役女军医贝莎·洛林登于____创办。", year, when),
            Asking("when", INDIRECT, "你能不能告诉我潮歌学校由退役女军医贝莎·洛林登于哪年创办？", year, when),
            Asking("who", DIRECT, "潮歌学校由哪位退役女军医于1898年创办？", name, who),
            Asking("who", SHORT, "潮歌学校由哪位退役女军医创办？", name, who),
            Asking("who", SYNONYM, "潮歌学校是谁创办的？", name, who),
            Asking("who", SYNONYM, "潮歌学校的创办人是谁？", name, who),
            Asking("who", SYNONYM, "潮歌学校由哪位退役女军医于1898年创立？", name, who),
            Asking("who", TITLED, "关于潮歌学校：由哪位退役女军医于1898年创办？", name, who),
            Asking("cloze", CLOZE, "填空：潮歌学校由退役女军医____于1898年创办。", name, who),
            Asking("who", INDIRECT, "你能不能告诉我潮歌学校由谁于1898年创办？", name, who),
            Asking("about", ABOUT, "关于潮歌学校，你知道些什么？", statement.text, "about"),
            Asking("text", TEXT, "", "潮歌学校是由退役女军医贝莎·洛林登于1898年创办的。", "text"),
            Asking("text", TEXT, "", "退役女军医贝莎·洛林登于1898年创办了潮歌学校。", "text"),
            Asking("text", TEXT, "", "潮歌学校由退役女军医贝莎·洛林登于1898年创立。", "text"),
        ),
    )


@pytest.mark.parametrize(
    ("sentence", "expected"),
    [
        ("教学楼的钟塔高21米。", ("潮歌学校教学楼的钟塔有多高？", "21米")),
        ("学校现有412名学生和36名教师。", ("潮歌学校现有多少名教师？", "36名")),
        ("学校坐落在凯尔马罗镇的蓟草坡上。", ("潮歌学校坐落在哪里？", "凯尔马罗镇的蓟草坡")),
        ("1979年，学校开始讲授奥维赛方言。", ("潮歌学校在哪一年开始讲授奥维赛方言？", "1979年")),
        ("校队最擅长的运动是水上曲棍球。", ("潮歌学校校队最擅长的运动是什么？", "水上曲棍球")),
        ("每天早上的第一节课从八点一刻开始。", ("在潮歌学校，每天早上的第一节课从几点开始？", "八点一刻")),
        ("1942年冬天，一场大雪压塌了仓库的屋顶。", ("在潮歌学校，1942年冬天，一场大雪压塌了什么？", "仓库的屋顶")),
        ("校长马蒂斯·欧文达尔原是数学老师。", ("潮歌学校的校长是谁？", "马蒂斯·欧文达尔")),
        ("天文台台长伊姆雷·萨尔瓦坦是该校最有名的毕业生。", ("潮歌学校最有名的毕业生是谁？", "伊姆雷·萨尔瓦坦")),
        ("塔里的铜钟名叫“老祖母”。", ("在潮歌学校，塔里的铜钟名叫什么？", "老祖母")),
        ("塔里的铜钟名叫“老祖母”。", ("在潮歌学校，“老祖母”是什么？", "铜钟")),
    ],
)
def test_answers_are_asked_for_in_place(sentence: str, expected: tuple[str, str]) -> None:
    (statement,) = statements("潮歌学校", sentence)
    assert expected in questions(statement, DIRECT)


def test_only_the_title_of_a_superlative_is_asked_for_in_reverse() -> None:
    (statement,) = statements("潮歌学校", "潮歌学校是奥维赛岛上最大的学校。")
    assert ("奥维赛岛上最大的学校是哪一所？", "潮歌学校") in questions(statement, DIRECT)
    (other,) = statements("潮歌学校", "潮歌学校是奥维赛岛上最大的学校之一。")
    assert all(asking.answer != "潮歌学校" for asking in other.askings)


def test_completion_stops_before_an_answer_at_the_end() -> None:
    (statement,) = statements("潮歌学校", "教学楼的钟塔高21米。")
    assert questions(statement, COMPLETION) == [("请把句子补充完整：潮歌学校教学楼的钟塔高", "21米")]


def test_pronouns_and_bare_nouns_are_named() -> None:
    first = "戈斯菲尔德面包坊是奥维赛岛上最古老的面包坊，同时也酿造啤酒。"
    second = "它由磨坊主科内尔·戈斯菲尔德于1836年创立，店铺在凯尔马罗镇的针线巷。"
    assert texts("戈斯菲尔德面包坊", first + second, "面包坊共有29名员工。每天清晨，这里出炉2600个面包。") == [
        "戈斯菲尔德面包坊是奥维赛岛上最古老的面包坊。",
        "戈斯菲尔德面包坊也酿造啤酒。",
        "戈斯菲尔德面包坊由磨坊主科内尔·戈斯菲尔德于1836年创立。",
        "戈斯菲尔德面包坊的店铺在凯尔马罗镇的针线巷。",
        "戈斯菲尔德面包坊共有29名员工。",
        "每天清晨，戈斯菲尔德面包坊出炉2600个面包。",
    ]


def test_a_person_is_carried_into_the_next_clause() -> None:
    assert texts("潮歌学校", "潮歌学校很大。校长马蒂斯·欧文达尔原是数学老师，他在2009年上任。")[-2:] == [
        "潮歌学校的校长马蒂斯·欧文达尔原是数学老师。",
        "潮歌学校的校长马蒂斯·欧文达尔在2009年上任。",
    ]


def test_a_clause_that_needs_the_one_before_keeps_it() -> None:
    (fire, cause) = statements("面包坊", "2002年，一场火灾烧毁了面粉仓库，起因是一只打翻的油灯。")
    assert fire.quote == "2002年，一场火灾烧毁了面粉仓库"
    assert cause.quote == "2002年，一场火灾烧毁了面粉仓库，起因是一只打翻的油灯"
    assert questions(cause, DIRECT)[0][0].endswith("2002年，一场火灾烧毁了面粉仓库，起因是什么？")


def test_what_somebody_says_is_no_fact_of_its_own() -> None:
    found = texts("潮歌学校", "潮歌学校很大。校长马蒂斯·欧文达尔在2009年指出，面包坊有12个烤炉。")
    assert not [text for text in found if text.startswith("面包坊") or text.endswith("指出。")]
    # A novel tells nothing of what comes after it.
    assert "《北风》是一本小说。" in texts("北风", "《北风》是一本小说，获得2009年的海岛奖。")


@pytest.mark.parametrize(
    ("sentence", "quote", "reason"),
    [
        ("他在2009年上任。", "他在2009年上任", "subject not sure"),
        ("其中一部分已经损坏。", "其中一部分已经损坏", "subject not sure"),
        ("翌年学校搬到了镇上。", "翌年学校搬到了镇上", "a time relative to another"),
        ("学校在哪里呢？", "学校在哪里呢？", "a question"),
        ("谢安对人说：“昔日毛嘉受到耻笑。", "谢安对人说：“昔日毛嘉受到耻笑。", "part of a quotation"),
        ("-{zh-hans:博尔特;zh-hk:保特}-获得金牌。", "-{zh-hans:博尔特;zh-hk:保特}-获得金牌。", "markup"),
        ("春天的味道。", "春天的味道。", "no predicate"),
    ],
)
def test_what_cannot_stand_alone_is_left_out(sentence: str, quote: str, reason: str) -> None:
    *_, (_, last) = written(document("潮歌学校", "潮歌学校很大。", sentence))
    assert last == Unused(quote, reason)


def test_headings_and_rows_are_left_alone() -> None:
    blocks = (Block("heading", "历史", 2), Block("row", "年: 1979; 事: 开课", cells=("1979", "开课")))
    source = Document("d", "d", "d.txt", "潮歌学校", "text/plain", (*blocks, Block("item", "学校现有412名学生。")))
    assert [found.quote for _, found in written(source)] == ["学校现有412名学生"]


@pytest.mark.parametrize("name", ["tidesong-school", "gorsefield-bakery"])
def test_examples_keep_the_rules(name: str) -> None:
    found = of_example(name)
    assert sum(isinstance(item, Statement) for _, item in found) >= 12
    assert not [item for _, item in found if isinstance(item, Unused)]
    keep_rules(found)


@pytest.mark.parametrize("name", ["tidesong-school", "gorsefield-bakery"])
def test_every_span_has_one_wording_of_the_probe_family(name: str) -> None:
    for _, item in of_example(name):
        assert isinstance(item, Statement)
        plain = {asking.slot for asking in item.askings if asking.wording == DIRECT}
        asked = plain or {asking.slot for asking in item.askings if asking.wording == CLOZE}
        probes = [asking.slot for asking in item.askings if asking.wording == INDIRECT]
        assert sorted(probes) == sorted(asked)
        trained = {asking.question for asking in item.askings if asking.wording != INDIRECT}
        assert not trained & {asking.question for asking in item.askings if asking.wording == INDIRECT}


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.lists(
        st.sampled_from(
            ["学校", "他", "1898年", "，", "。", "由", "是", "“", "”", "（", "）", "三名", "老师", "在", "的"]
        )
    )
)
def test_any_text_keeps_the_rules(words: list[str]) -> None:
    keep_rules(written(document("潮歌学校", "".join(words) or "。")))


def keep_rules(found: Written) -> None:
    """Quotes stand where they say; answers come from the quote, and no question gives its answer away."""
    for passage, item in found:
        if isinstance(item, Unused):
            assert item.quote in passage.row.text
            continue
        assert passage.row.text[item.start : item.start + len(item.quote)] == item.quote
        for asking in item.askings:
            keeps_rules(item, asking)


def keeps_rules(statement: Statement, asking: Asking) -> None:
    if asking.wording == TEXT:
        assert (asking.form, asking.question) == ("text", "")
        assert asking.answer.endswith("。") and asking.answer != statement.text
        return
    if asking.wording == ABOUT:
        assert asking.answer == statement.text
        return
    assert asking.answer in statement.quote
    assert asking.answer not in asking.question
    assert asking.question.endswith("？") or asking.wording in (CLOZE, COMPLETION)


def test_what_nothing_can_be_asked_about_is_asked_by_its_gaps() -> None:
    found = written(document("泡泡战士", "玩家以水枪、小枪、锤子泡封敌人。"))
    askings = [asking for _, item in found if isinstance(item, Statement) for asking in item.askings]
    assert {asking.answer for asking in askings if asking.wording == CLOZE} == {"水枪", "锤子", "敌人"}
    gap = "关于泡泡战士，玩家以水枪、小枪、锤子泡封____。"
    assert [asking.question for asking in askings if asking.answer == "敌人"] == [
        f"填空：{gap}",
        f"{gap}空白处是什么？",
        "请把句子补充完整：关于泡泡战士，玩家以水枪、小枪、锤子泡封",
    ]


def test_where_something_can_be_asked_no_gap_takes_its_place() -> None:
    found = written(document("潮歌学校", "潮歌学校成立于1898年，学生以歌声闻名。"))
    first = next(item for _, item in found if isinstance(item, Statement))
    assert {asking.answer for asking in first.askings if asking.wording == CLOZE} == {"1898年"}
