"""Documents are found, read, told apart; what cannot be read is named with its reason."""

import itertools
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from whole import Reading, read

from knowledge_update.documents.blocks import Block, Document, document_id
from knowledge_update.documents.reading import Refused, Source
from knowledge_update.documents.records import Fields
from knowledge_update.documents.records import jsonl as jsonl_lines
from knowledge_update.errors import DocumentError

SENTENCE = "The lamp was lit in 1874."


def put(folder: Path, files: dict[str, str | bytes]) -> Path:
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return folder


def jsonl(*rows: object) -> str:
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


def paths(reading: Reading) -> list[str]:
    return [document.path for document in reading.documents]


def test_one_file(tmp_path: Path) -> None:
    put(tmp_path, {"grey-lamp.txt": SENTENCE})
    block = Block("paragraph", SENTENCE)
    document = Document(
        document_id(SENTENCE.encode()), "grey-lamp", "grey-lamp.txt", "grey lamp", "text/plain", (block,)
    )
    assert read(tmp_path / "grey-lamp.txt") == Reading((document,), ())


def test_a_folder_is_read_in_order_without_hidden_and_lock_files(tmp_path: Path) -> None:
    put(
        tmp_path,
        {
            "b.txt": SENTENCE + " Bee.", "a/c.md": SENTENCE + " Sea.", ".hidden.txt": SENTENCE, ".git/d.txt": SENTENCE,
            "~$b.docx": "lock", "questions.jsonl": "{}",
        },
    )  # fmt: skip
    reading = read(tmp_path)
    assert (paths(reading), reading.refused) == (["a/c.md", "b.txt"], ())


def test_refused_files_are_named_and_the_others_read(tmp_path: Path, word_file: Callable[..., bytes]) -> None:
    whole = word_file(lambda document: document.add_paragraph(SENTENCE))
    kinds = "read are txt, md, markdown, html, htm, docx, pptx, xlsx, pdf, epub, csv, tsv, jsonl"
    put(
        tmp_path,
        {
            "binary.txt": b"\x00\x01\x02", "damaged.docx": whole[:200], "empty.txt": b"", "good.txt": SENTENCE,
            "heading.md": "# Only a heading", "locked.docx": b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(504),
            "photo.png": b"\x89PNG", "README": "no ending", "word.docx": whole,
        },
    )  # fmt: skip
    reading = read(tmp_path)
    assert paths(reading) == ["good.txt", "word.docx"]
    assert reading.refused == (
        Refused("README", f"is of a kind that is not read (no ending; {kinds})"),
        Refused("binary.txt", "is not text"),
        Refused("damaged.docx", "is not a readable Word document (BadZipFile)"),
        Refused("empty.txt", "has no text"),
        Refused("heading.md", "has no text"),
        Refused("locked.docx", "is encrypted or in the old .doc format"),
        Refused("photo.png", f"is of a kind that is not read (.png; {kinds})"),
    )


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("odd.txt", b"\xff\xfea"),
        ("latin.jsonl", '{"doc_id": "a", "text": "Größe"}'.encode("latin-1")),
        ("comment.html", b"<!-- nothing here -->"),
        ("span.md", b"\xff\xfe"),
        ("list.jsonl", b"[1, 2]\n"),
    ],
)
def test_no_content_stops_the_reading_of_the_others(tmp_path: Path, name: str, content: bytes) -> None:
    reading = read(put(tmp_path, {name: content, "good.txt": SENTENCE}))
    assert paths(reading) == ["good.txt"]
    assert [refused.path for refused in reading.refused] == [name]


def test_a_file_that_may_not_be_read_is_refused(tmp_path: Path) -> None:
    put(tmp_path, {"good.txt": SENTENCE})
    (tmp_path / "loop.txt").symlink_to(tmp_path / "good.txt")
    (tmp_path / "gone.txt").symlink_to(tmp_path / "nothing.txt")
    assert paths(read(tmp_path)) == ["good.txt"]


def test_documents_of_a_jsonl_file(tmp_path: Path) -> None:
    put(
        tmp_path,
        {
            "documents.jsonl": jsonl({"doc_id": "lamp", "title": "The  Lamp", "text": f"{SENTENCE}\n\nIt burns oil."})
            + "\n"
            + jsonl({"doc_id": 7, "text": "它建于一八七四年。"})
        },
    )
    first, second = read(tmp_path / "documents.jsonl").documents
    assert (first.doc_id, first.title, first.media_type, first.language) == (
        "lamp", "The Lamp", "application/jsonl", "en",
    )  # fmt: skip
    assert first.blocks == (Block("paragraph", SENTENCE), Block("paragraph", "It burns oil."))
    assert (second.doc_id, second.title, second.language) == ("7", "", "zh")


def test_a_jsonl_title_may_be_null(tmp_path: Path) -> None:
    put(tmp_path, {"documents.jsonl": jsonl({"doc_id": "a", "title": None, "text": SENTENCE})})
    assert read(tmp_path).documents[0].title == ""


def test_line_separators_inside_a_json_text_do_not_end_its_line(tmp_path: Path) -> None:
    put(tmp_path, {"documents.jsonl": jsonl({"doc_id": "a", "text": "One lamp.\u2028Two lamps.\x85Three."})})
    assert [document.doc_id for document in read(tmp_path).documents] == ["a"]


@pytest.mark.parametrize("line", ["{", "[]", '"text"', '{"doc_id": "a"}', '{"text": "a"}', "null"])
def test_a_bad_line_is_named(tmp_path: Path, line: str) -> None:
    put(tmp_path, {"good.txt": SENTENCE, "documents.jsonl": jsonl({"doc_id": "a", "text": "A lamp."}) + line + "\n"})
    (refused,) = read(tmp_path).refused
    assert refused.path == "documents.jsonl"
    assert refused.reason.startswith("line 2 is not {doc_id, title, text}")


def test_the_same_bytes_count_once_and_the_same_stem_is_told_apart(tmp_path: Path) -> None:
    put(tmp_path, {"a/lamp.txt": SENTENCE, "b/lamp.txt": SENTENCE, "c/lamp.txt": SENTENCE + " Again.", "d.txt": "D."})
    documents = read(tmp_path).documents
    assert [(document.doc_id, document.path) for document in documents] == [
        ("lamp", "a/lamp.txt"),
        ("c/lamp.txt", "c/lamp.txt"),
        ("d", "d.txt"),
    ]


def test_the_limit_counts_documents(tmp_path: Path) -> None:
    put(tmp_path, {"a.txt": SENTENCE, "b.txt": SENTENCE, "c.txt": "It is red.", "d.txt": "It is blue."})
    assert paths(read(tmp_path, limit=2)) == ["a.txt", "c.txt"]


def test_nothing_to_read_says_so(tmp_path: Path) -> None:
    with pytest.raises(DocumentError, match=r"^no such file or folder: .*/absent$"):
        read(tmp_path / "absent")
    with pytest.raises(DocumentError, match=r"^no documents in .*: put txt, .* files there$"):
        read(tmp_path)
    put(tmp_path, {"a.png": b"", "b.jpg": b"", "c.gif": b""})
    with pytest.raises(DocumentError, match=r"could be read: a\.png is of a kind .* \(and 2 more\)$"):
        read(tmp_path)


def test_documents_are_read_one_after_another(tmp_path: Path) -> None:
    put(tmp_path, {f"{number}.txt": f"{number} lamps burn." for number in range(3)})
    source = Source(tmp_path)
    documents = source.documents()
    assert next(documents).path == "0.txt"
    (tmp_path / "1.txt").unlink()
    (tmp_path / "2.txt").write_text("The gull flies.", encoding="utf-8")
    assert [block.text for document in documents for block in document.blocks] == ["The gull flies."]
    assert [refused.path for refused in source.refused] == ["1.txt"]


def test_lines_of_jsonl_are_read_one_after_another(tmp_path: Path) -> None:
    lines = (json.dumps({"doc_id": str(at), "text": SENTENCE}).encode() + b"\n" for at in itertools.count())
    found = list(itertools.islice(jsonl_lines(lines, "endless.jsonl", Fields()), 3))
    assert [document.doc_id for document in found] == ["0", "1", "2"]


def test_reading_is_told_in_a_line(tmp_path: Path) -> None:
    chinese = "灯塔建于一八七四年。"
    put(
        tmp_path,
        {
            "a.txt": SENTENCE, "b.txt": SENTENCE, "c.TXT": chinese.encode("gb18030"), "d.md": "The gull flies.",
            "e.jsonl": jsonl({"doc_id": "x", "text": "It is red."}, {"doc_id": "y", "text": "It is blue."}, {}),
            "f.png": b"", "g.jpg": b"", "h.txt": "",
        },
    )  # fmt: skip
    source = Source(tmp_path)
    # Lines of JSONL, and every other file of a kind that is read.
    assert source.expected() == 8
    assert len(list(source.documents())) == 5
    assert [(found.doc_id, found.blocks) for found in source.found.values()] == [
        ("a", ()), ("c", ()), ("d", ()), ("x", ()), ("y", ()),
    ]  # fmt: skip
    assert source.summary() == (
        "4 files read (1 md, 3 txt); 1 repeated; encoding guessed of 1 as gb18030 (reader.encoding declares it);"
        " 4 not read: is of a kind that is not read (2), line 3 is not {doc_id, title, text} (1), has no text (1)"
    )
    declared = Source(tmp_path, encoding="gb18030", limit=2)
    assert declared.expected() == 2
    assert [document.path for document in declared.documents()] == ["a.txt", "c.TXT"]
    assert declared.summary() == "3 files read (3 txt); 1 repeated"


def test_what_was_told_is_told_anew_when_documents_are_read_again(tmp_path: Path) -> None:
    put(tmp_path, {"a.png": b"", "b.txt": SENTENCE, "c.png": b""})
    source = Source(tmp_path)
    assert next(source.documents()).path == "b.txt"
    assert [refused.path for refused in source.refused] == ["a.png"]
    assert [document.path for document in source.documents()] == ["b.txt"]
    assert [refused.path for refused in source.refused] == ["a.png", "c.png"]


@pytest.mark.parametrize("limit", [1, 2, None])
def test_what_is_told_to_have_been_read_is_what_was_read(tmp_path: Path, limit: int | None) -> None:
    for name in ("a", "b"):
        (tmp_path / f"{name}.txt").write_text(f"{name}\n\nThe {name} lamp was lit.\n", encoding="utf-8")
    source = Source(tmp_path, limit=limit)
    count = len(list(source.documents()))
    assert source.summary() == f"{count} files read ({count} txt)"
