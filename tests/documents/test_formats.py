"""Files of every format become titles and blocks."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from knowledge_update.documents.blocks import Block, fold, value_of
from knowledge_update.documents.html import page as html
from knowledge_update.documents.markdown import markdown
from knowledge_update.documents.text import decode, plain_text
from knowledge_update.documents.word import word
from knowledge_update.errors import DocumentError

KOREAN = "등대는 1874년에 세워졌다. 높이는 38미터이고 계단은 이백십이 개이다."
CHINESE = "海鸥面包店在码头街，每天早上六点开门。"
HEADER = ("Ship", "Launched", "Builder")


def row(*cells: str, header: tuple[str, ...] = HEADER) -> Block:
    text = "; ".join(f"{name}: {cell}" for name, cell in zip(header, cells, strict=True) if cell)
    return Block("row", text, cells=cells, header=header)


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (CHINESE.encode(), CHINESE),
        (CHINESE.encode("utf-8-sig"), CHINESE),
        (CHINESE.encode("utf-16"), CHINESE),
        (b"\xfe\xff" + CHINESE.encode("utf-16-be"), CHINESE),
        (CHINESE.encode("gb18030"), CHINESE),
        ("六点开门。".encode("gb18030"), "六点开门。"),
        ("灯塔".encode("gb18030"), "灯塔"),
        ("海鸥号𠮷".encode("gb18030"), "海鸥号𠮷"),
        ("北京 广州 成都 保定 安徽 福建 甘肃".encode("gb18030"), "北京 广州 成都 保定 安徽 福建 甘肃"),
        ("燈塔建於1874年，高三十八米。".encode("big5"), "燈塔建於1874年，高三十八米。"),
        ("灯台は1874年に建てられた。".encode("cp932"), "灯台は1874年に建てられた。"),
        (KOREAN.encode("cp949"), KOREAN),
        (b"plain words", "plain words"),
    ],
    ids=[
        "utf-8",
        "byte order mark",
        "utf-16",
        "utf-16 big-endian",
        "gb18030",
        "short gb18030",
        "two characters",
        "four bytes",
        "list",
        "big5",
        "shift-jis",
        "korean",
        "ascii",
    ],
)
def test_text_is_decoded(data: bytes, text: str) -> None:
    assert decode(data) == text


def test_the_declared_encoding_is_used_where_utf_8_does_not_fit() -> None:
    assert decode("Größe".encode("cp1252"), "cp1252") == "Größe"
    assert decode("Größe".encode(), "cp1252") == "Größe"
    assert decode(CHINESE.encode("gb18030"), "no-such-encoding") == CHINESE
    # Five characters are too few to tell Korean from Chinese, and rare characters look like neither.
    for text, name in (("안녕하세요", "cp949"), ("堃喆翀昇", "gb18030")):
        assert decode(text.encode(name)) != text
        assert decode(text.encode(name), name) == text


@pytest.mark.parametrize(
    ("declared", "encoding"),
    [
        ('<meta charset="{}">', "cp949"), ("<meta charset=gb2312>", "gb18030"), ("<meta charset='GBK'>", "gb18030"),
        ('<meta http-equiv="Content-Type" content="text/html; charset={}">', "cp1250"),
        ('<?xml version="1.0" encoding="{}"?>', "cp1251"), ('<meta charset="no-such">', "gb18030"),
    ],
)  # fmt: skip
def test_a_page_is_read_in_the_encoding_it_declares(declared: str, encoding: str) -> None:
    text = {"cp949": "안녕하세요", "cp1250": "Żółty dom.", "cp1251": "Маяк."}.get(encoding, "六点开门。")
    page = f"<html><head>{declared.format(encoding)}</head><body><p>{text}</p></body></html>"
    if declared.startswith("<?"):
        page = f"{declared.format(encoding)}<html><body><p>{text}</p></body></html>"
    assert [block.text for block in html(page.encode(encoding))[1]] == [text]
    assert [block.text for block in html(page.encode())[1]] == [text]


@pytest.mark.parametrize("data", [b"\x7fELF\x00\x01\x02", b"\xff\xfea", b"\xff\xfe\x00\xd8"])
def test_what_is_not_text_is_refused(data: bytes) -> None:
    with pytest.raises(DocumentError):
        decode(data)


def test_plain_text_has_a_title_and_headings() -> None:
    text = "Tolvick\r\n\r\nIt stands on\r\na cape.\r\n\r\nHistory\r\n\r\nIt was built in 1874.\r\n"
    blocks = [
        Block("paragraph", "It stands on a cape."),
        Block("heading", "History", level=2),
        Block("paragraph", "It was built in 1874."),
    ]
    assert plain_text(text.encode()) == ("Tolvick", blocks)
    assert plain_text(b"It was built in 1874.") == ("", [Block("paragraph", "It was built in 1874.")])


def test_markdown() -> None:
    text = (
        "---\nauthor: nobody\n---\n# Varrow Line\n\nThe *line* runs [ferries](x.html).\n\n## Fleet\n\n"
        "- moss green\n- yellow\n  - inner\n\n> Said once.\n\n"
        "| Ship | Launched | Builder |\n|---|---|---|\n| Grey Wendel | 1963 | Corvane |\n| Ommel | | Pellarick |\n"
    )
    assert markdown(text.encode()) == (
        "Varrow Line",
        [
            Block("paragraph", "The line runs ferries."),
            Block("heading", "Fleet", level=2),
            Block("item", "moss green"),
            Block("item", "yellow"),
            Block("item", "inner"),
            Block("paragraph", "Said once."),
            row("Grey Wendel", "1963", "Corvane"),
            row("Ommel", "", "Pellarick"),
        ],
    )


def test_markdown_keeps_markup_of_html_as_text() -> None:
    assert markdown(b"A tag <script>alert(1)</script> and [bold] stay.") == (
        "",
        [Block("paragraph", "A tag <script>alert(1)</script> and [bold] stay.")],
    )


def test_a_web_page_loses_its_navigation_and_footer() -> None:
    page = """<?xml version="1.0" encoding="utf-8"?><html><head><title>x</title><script>var a = 1;</script></head><body>
    <nav><a href="/">Home page</a></nav><article><h1>Ansgild Bridge</h1>
    <p>The bridge joins the two banks of the river and was opened in 1931.</p><h2>Arches</h2>
    <ul><li>It has nine arches of grey stone.</li><li>It has one gate made of iron.</li></ul>
    <table><tr><th>Ship</th><th>Launched</th><th>Builder</th></tr><tr><td>Sool</td><td>1991</td><td>Yard</td></tr></table>
    </article><footer>Copyright of the council</footer></body></html>"""
    assert html(page.encode()) == (
        "Ansgild Bridge",
        [
            Block("paragraph", "The bridge joins the two banks of the river and was opened in 1931."),
            Block("heading", "Arches", level=2),
            Block("item", "It has nine arches of grey stone."),
            Block("item", "It has one gate made of iron."),
            row("Sool", "1991", "Yard"),
        ],
    )


def test_merged_cells_of_a_web_page_keep_the_columns() -> None:
    page = """<html><body><article><h1>Fleet</h1><p>The line has two ships and they are painted green. Both ships
    carry cars, bicycles and letters between the islands, and both have been rebuilt since the war. In winter one of
    them lies in the harbour and is painted again, while the other makes all the crossings.</p><table>
    <tr><th>Ship</th><th>Launched</th><th>Builder</th></tr><tr><td rowspan="2">Sool</td><td>1991</td><td>Yard</td></tr>
    <tr><td>1974</td><td>Works</td></tr><tr><td colspan="2">Ommel</td><td>Yard</td></tr>
    </table></article></body></html>"""
    rows = [row("Sool", "1991", "Yard"), row("Sool", "1974", "Works"), row("Ommel", "", "Yard")]
    assert html(page.encode())[1][-3:] == rows


def test_the_heading_of_a_short_page_stays_apart_from_its_text() -> None:
    page = b"<html><body><h1>Tolvick</h1><p>It has a lamp.</p></body></html>"
    assert html(page) == ("Tolvick", [Block("paragraph", "It has a lamp.")])


def test_a_page_may_be_a_mere_paragraph() -> None:
    page = b"<p>The lamp was lit in 1874 by the keeper of the tower.</p>"
    assert html(page) == ("", [Block("paragraph", "The lamp was lit in 1874 by the keeper of the tower.")])


@pytest.mark.parametrize("page", ["", "  \n", "<!-- nothing -->", "<html></html>"])
def test_an_empty_page_has_no_blocks(page: str) -> None:
    assert html(page.encode()) == ("", [])


def test_word(word_file: Callable[..., bytes]) -> None:
    def fill(document: object) -> None:
        document.add_heading("Dunhask Dairy", 0)
        document.add_paragraph("It makes cheese.")
        document.add_heading("Prices", 1)
        document.add_paragraph("Blue", style="List Bullet")
        document.add_paragraph("White", style="List Number")
        table = document.add_table(2, 3)
        for cell, text in zip(table._cells, [*HEADER, "Sool", "1991", "Yard"], strict=True):
            cell.text = text

    assert word(word_file(fill)) == (
        "Dunhask Dairy",
        [
            Block("paragraph", "It makes cheese."),
            Block("heading", "Prices", level=1),
            Block("item", "Blue"),
            Block("item", "White"),
            row("Sool", "1991", "Yard"),
        ],
    )


def merged_table(word_file: Callable[..., bytes], *merges: tuple[tuple[int, int], tuple[int, int]]) -> list[Block]:
    def fill(document: object) -> None:
        table = document.add_table(3, 3)
        texts = [*HEADER, "Sool", "1991", "Yard", "Ommel", "1974", "Works"]
        for cell, text in zip(table._cells, texts, strict=True):
            cell.text = text
        for first, last in merges:
            text = table.cell(*first).text
            table.cell(*first).merge(table.cell(*last)).text = text

    return word(word_file(fill))[1]


def test_cells_merged_sideways_keep_the_columns(word_file: Callable[..., bytes]) -> None:
    assert merged_table(word_file, ((1, 0), (1, 1))) == [row("Sool", "", "Yard"), row("Ommel", "1974", "Works")]


def test_cells_merged_downwards_keep_the_columns(word_file: Callable[..., bytes]) -> None:
    first, second = merged_table(word_file, ((1, 0), (2, 0)))
    assert first == row("Sool", "1991", "Yard")
    # The row below has either the merged cell's text or nothing there, never its neighbour's.
    assert second in (row("Sool", "1974", "Works"), row("Sool", "1974", "Works"))


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(504), "is encrypted or in the old .doc format"),
        (b"PK\x03\x04 and then nothing", "is not a readable Word document (BadZipFile)"),
        (b"", "is not a readable Word document (BadZipFile)"),
    ],
)
def test_a_word_document_that_cannot_be_read_says_why(data: bytes, reason: str) -> None:
    with pytest.raises(DocumentError) as raised:
        word(data)
    assert str(raised.value) == reason


def test_a_word_document_cut_in_half_is_refused(word_file: Callable[..., bytes]) -> None:
    data = word_file(lambda document: document.add_paragraph("It makes cheese."))
    with pytest.raises(DocumentError, match=r"^is not a readable Word document \(\w+\)$"):
        word(data[: len(data) // 2])


@pytest.mark.parametrize("reader", [plain_text, markdown, html])
def test_no_format_lets_control_characters_through(reader: Callable[[bytes], tuple[str, list[Block]]]) -> None:
    sentence = "The lamp\u202e was \x07lit\x1b in\x9b 1874 by the keeper\u200b of the tower."
    source = f"<html><body><p>{sentence}</p></body></html>" if reader is html else sentence
    assert reader(source.encode()) == ("", [Block("paragraph", "The lamp was lit in 1874 by the keeper of the tower.")])


def test_escape_sequences_are_removed_whole() -> None:
    assert fold("a \x1b[31mred\x1b[0m lamp") == "a red lamp"


def test_characters_that_part_lines_part_words() -> None:
    assert fold("one\ttwo\nthree\r\nfour\x0cfive\rsix") == "one two three four five six"


@given(st.text())
def test_folding(text: str) -> None:
    folded = fold(text)
    assert fold(folded) == folded
    assert folded == folded.strip()
    assert not any(ord(character) < 32 or 127 <= ord(character) < 160 for character in folded)


def texts(blocks: list[Block]) -> list[tuple[str, str]]:
    return [(block.kind, block.text) for block in blocks]


def test_lines_of_names_and_values_stay_apart() -> None:
    lines = "Manufacturer: Nordvik AB\nArticle number: 70-2204\nMax. pressure: 3 bar"
    expected = [("item", line) for line in lines.split("\n")]
    assert texts(plain_text(f"Pump\n\n{lines}\n".encode())[1]) == expected
    assert texts(markdown(f"# Pump\n\n{lines}\n".encode())[1]) == expected
    assert texts(html(f"<h1>Pump</h1><p>{lines.replace(chr(10), '<br>')}</p>".encode())[1]) == expected


def test_a_line_that_had_room_for_the_next_word_was_ended() -> None:
    text = (
        "Minutes\n\n4. Finance\nThe treasurer gave the report of the first quarter, and the committee took\nnote of it."
        "\n\nThe dairy was founded in 1874 by two brothers who had come down from the\nhills with nine cows.\n- blue\n"
        "- white\n"
    )
    assert texts(plain_text(text.encode())[1]) == [
        ("heading", "4. Finance"),
        ("paragraph", "The treasurer gave the report of the first quarter, and the committee took note of it."),
        ("paragraph", "The dairy was founded in 1874 by two brothers who had come down from the hills with nine cows."),
        ("item", "blue"),
        ("item", "white"),
    ]


def test_numbered_clauses_stay_apart() -> None:
    text = "LEASE\n\n3.1 The Lessee shall pay a monthly rent.\n3.2 The Lessee shall pay a deposit.\n"
    assert texts(plain_text(text.encode())[1]) == [
        ("paragraph", "3.1 The Lessee shall pay a monthly rent."),
        ("paragraph", "3.2 The Lessee shall pay a deposit."),
    ]


def test_a_first_line_in_bold_is_a_heading() -> None:
    title, blocks = markdown(b"**Kell Library**\n\nIt has nine rooms.\n\n**4. Finance**\nThe grant is confirmed.\n")
    assert title == "Kell Library"
    assert texts(blocks) == [
        ("paragraph", "It has nine rooms."), ("heading", "4. Finance"), ("paragraph", "The grant is confirmed."),
    ]  # fmt: skip
    page = b"<h1>x</h1><p><b>Orvessay</b>\nis a town. It has <b>nine</b> mills.</p>"
    assert texts(html(page)[1]) == [("paragraph", "Orvessay is a town. It has nine mills.")]


def test_a_box_of_an_encyclopedia_is_names_and_values() -> None:
    page = """<html><body><h1>Lake Tarnova</h1><table class="infobox"><tr><th colspan="2">Lake Tarnova</th></tr>
    <tr><th>Location</th><td>Kesten County</td></tr><tr><th>Max. depth</th><td>87 m</td></tr></table>
    <p>Lake Tarnova is a lake in the north. It is fed by the Oster River and freezes over in cold winters.</p>
    </body></html>"""
    found = texts(html(page.encode())[1])
    assert found[:2] == [("item", "Location: Kesten County"), ("item", "Max. depth: 87 m")]
    assert len(found) == 3


@pytest.mark.parametrize(
    ("table", "kinds"),
    [
        ("| Property | Value |\n|---|---|\n| Weight | 3 kg |", [("item", "Weight: 3 kg")]),
        ("| Opened | 3 May 1931 |\n|---|---|\n| Rooms | 9 |", [("item", "Opened: 3 May 1931"), ("item", "Rooms: 9")]),
        ("| Ship | Launched |\n|---|---|\n| Sool | 1991 |", [("row", "Ship: Sool; Launched: 1991")]),
        ("| Town | 2024 |\n|---|---|\n| Kell | 1,204 |", [("row", "Town: Kell; 2024: 1,204")]),
    ],
)  # fmt: skip
def test_a_table_of_two_columns_may_be_names_and_values(table: str, kinds: list[tuple[str, str]]) -> None:
    assert texts(markdown(table.encode())[1]) == kinds


def test_quoted_letters_are_read_as_text() -> None:
    text = "On Monday Runa wrote:\n> The lease was signed\n> on 31 January.\n>\n>> Which floors do we get?\n"
    assert texts(plain_text(text.encode())[1]) == [
        ("paragraph", "On Monday Runa wrote:"),
        ("paragraph", "The lease was signed on 31 January."),
        ("paragraph", "Which floors do we get?"),
    ]


def test_lines_and_items_of_a_cell_are_parted_by_commas() -> None:
    page = """<h1>The Salt Ledger</h1><table><tr><th>Starring</th><td>Ruth Adeyemi<br>Caspar Noll</td></tr>
    <tr><th>Countries</th><td><ul><li>Spain</li><li>Portugal</li></ul></td></tr></table><p>It is a film of 2015.</p>"""
    assert texts(html(page.encode())[1])[:2] == [
        ("item", "Starring: Ruth Adeyemi, Caspar Noll"), ("item", "Countries: Spain, Portugal"),
    ]  # fmt: skip


def test_terms_and_what_is_said_of_them_are_names_and_values() -> None:
    page = b"<h1>Course</h1><p>It is held in spring.</p><dl><dt>Credits:</dt><dd>6</dd><dt>Room</dt><dd>B 12</dd></dl>"
    assert texts(html(page)[1])[1:] == [("item", "Credits: 6"), ("item", "Room: B 12")]


def test_names_that_end_in_colons_head_no_column() -> None:
    table = "<table><tr><th colspan=2>Toad</th></tr><tr><td>Kingdom:</td><td>Animalia</td></tr></table>"
    assert ("item", "Kingdom: Animalia") in texts(html(f"<h1>Toad</h1><p>It is a toad.</p>{table}".encode())[1])


def test_the_name_of_the_site_is_no_part_of_a_title() -> None:
    body = "<body><p>The Salt Ledger is a film of 2015 about a mill.</p></body>"
    assert html(f"<html><head><title>The Salt Ledger - FilmWiki</title></head>{body}</html>".encode())[0] == (
        "The Salt Ledger"
    )
    assert html(f"<html><head><title>Ships - and more</title></head>{body}</html>".encode())[0] == "Ships - and more"


def test_the_main_part_of_a_page_is_read_whole() -> None:
    items = "".join(f"<li>Kind {number}</li>" for number in range(3))
    menu = "".join(f"<li><a href='/{number}'>Another page {number}</a></li>" for number in range(40))
    page = (
        f"<html><body><div><ul>{menu}</ul></div><main><h1>Kell</h1><h2>Kinds</h2><ul>{items}</ul></main></body></html>"
    )
    assert texts(html(page.encode())[1]) == [
        ("heading", "Kinds"), ("item", "Kind 0"), ("item", "Kind 1"), ("item", "Kind 2"),
    ]  # fmt: skip


def test_drawn_lines_front_matter_and_wrapped_hyphens_are_no_text() -> None:
    front = "---\ndate: 2024-05-17\n---\n"
    text = f"{front}Kell\n====\n\nThe lamp was built by the yard of Mylne-\nCarrow in the year 1874.\n-----\n"
    assert plain_text(text.encode()) == (
        "Kell", [Block("paragraph", "The lamp was built by the yard of Mylne-Carrow in the year 1874.")]
    )  # fmt: skip


def test_the_lines_of_a_settings_file_stay_apart() -> None:
    text = (
        "# Server\n\nIt stores notes.\n\n```yaml\nport: 8080\nhost: localhost\n```\n\nSet `port: 8080` in the file.\n"
    )
    found = markdown(text.encode())[1]
    assert texts(found)[1:3] == [("item", "port: 8080"), ("item", "host: localhost")]
    assert value_of("port: 8080 host: localhost") is None
    assert value_of("Set port: 8080 in the file.") is None
    assert value_of("Warranty: 5 years (compressor: 10 years)") == ("Warranty", "5 years (compressor: 10 years)")
