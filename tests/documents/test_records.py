"""Files of records: documents by named fields, or a table."""

from pathlib import Path

import pytest
from whole import read

from knowledge_update.documents.records import Fields
from knowledge_update.errors import DocumentError

SHIPS = "Ship;Launched;Builder\nMarit Sool;1991;Pellarick\n\nGrey Gull;1874;\n"


def put(path: Path, content: str, encoding: str = "utf-8") -> Path:
    path.write_bytes(content.encode(encoding))
    return path


@pytest.mark.parametrize("mark", [";", ",", "\t", "|"])
def test_a_csv_without_texts_is_a_table(tmp_path: Path, mark: str) -> None:
    (document,) = read(put(tmp_path / "ships.csv", SHIPS.replace(";", mark))).documents
    assert (document.doc_id, document.title, document.media_type) == ("ships", "ships", "text/csv")
    assert [block.text for block in document.blocks] == [
        "Ship: Marit Sool; Launched: 1991; Builder: Pellarick",
        "Ship: Grey Gull; Launched: 1874",
    ]


def test_a_csv_may_be_in_another_encoding(tmp_path: Path) -> None:
    (document,) = read(put(tmp_path / "船.csv", "船名,建造年份\n灯塔号,一八七四年\n", "gb18030")).documents
    assert document.blocks[0].text == "船名: 灯塔号; 建造年份: 一八七四年"


def test_a_csv_with_texts_is_documents(tmp_path: Path) -> None:
    content = 'title,text\nThe Lamp,"It was lit in 1874.\nRuna Hesk kept it."\nThe Gull,"A ship, grey."\nEmpty,\n'
    lamp, gull = read(put(tmp_path / "docs.csv", content)).documents
    assert (lamp.doc_id, lamp.title) == ("docs-2", "The Lamp")
    assert [block.text for block in lamp.blocks] == ["It was lit in 1874.", "Runa Hesk kept it."]
    assert (gull.doc_id, [block.text for block in gull.blocks]) == ("docs-3", ["A ship, grey."])


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.jsonl", '{"key": "lamp", "body": "It burns.", "name": "L"}\n'),
        ("a.csv", "key,body,name\nlamp,It burns.,L\n"),
    ],
)
def test_fields_have_the_names_the_user_gives(tmp_path: Path, name: str, content: str) -> None:
    (document,) = read(put(tmp_path / name, content), fields=Fields("key", "name", "body")).documents
    assert (document.doc_id, document.title, document.blocks[0].text) == ("lamp", "L", "It burns.")


@pytest.mark.parametrize("content", ["", "\n \n", "title,text\nA,\n"])
def test_a_csv_with_nothing_in_it_is_refused(tmp_path: Path, content: str) -> None:
    with pytest.raises(DocumentError, match=r"a\.csv has no text$"):
        read(put(tmp_path / "a.csv", content))


def test_only_files_that_fit_the_pattern_are_read(tmp_path: Path) -> None:
    for name in ("a.txt", "b.md", "c.docx.txt"):
        put(tmp_path / name, "The lamp burns.")
    (tmp_path / "inner").mkdir()
    put(tmp_path / "inner" / "d.txt", "The gull flies.")
    assert [document.path for document in read(tmp_path, pattern="**/*.txt").documents] == ["a.txt", "inner/d.txt"]
    assert [document.path for document in read(tmp_path, pattern="inner/*").documents] == ["inner/d.txt"]
    with pytest.raises(DocumentError, match=r"^no files in .* fit reader\.pattern=\*\*/\*\.pdf$"):
        read(tmp_path, pattern="**/*.pdf")
