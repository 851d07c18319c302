"""Who is asked: several servers, servers that keep to schemas, a model in this process."""

import json
from pathlib import Path
from typing import Any

from chat_server import Answer, Server, completion
from scribes import collected, rows, scribe


def test_two_servers_share_the_work_and_one_may_die(
    server: Server, collect: Any, shared_docs: Path, tmp_path: Path
) -> None:
    server.script = scribe
    assert collect(shared_docs, tmp_path / "one").code == 0
    other = Server()
    try:
        other.script = lambda body: Answer(hangs_up=True) if len(other.seen) > 3 else scribe(body)
        before = len(server.seen)
        done = collect(shared_docs, tmp_path / "two", f"writer.base_url={other.url},{server.url}")
        assert done.code == 0, done.stderr
        assert other.seen and len(server.seen) > before
        assert collected(tmp_path / "two") == collected(tmp_path / "one")
        assert rows(tmp_path / "two", "SELECT key, text FROM call ORDER BY 1") == rows(
            tmp_path / "one", "SELECT key, text FROM call ORDER BY 1"
        ), "who answered is no part of what an answer is known by"
    finally:
        other.close()


def test_each_server_is_sent_its_own_key_alone(server: Server, collect: Any, shared_docs: Path, tmp_path: Path) -> None:
    server.script = scribe
    other = Server()
    try:
        other.script = scribe
        where = (f"writer.base_url={server.url},{other.url}", "writer.key_variable=KEY_ONE,KEY_TWO")
        assert collect(shared_docs, tmp_path / "run", *where, KEY_ONE="sk-one", KEY_TWO="sk-two").code == 0
        assert {headers["authorization"] for headers in server.headers} == {"Bearer sk-one"}
        assert {headers["authorization"] for headers in other.headers} == {"Bearer sk-two"}
    finally:
        other.close()
    kept = b"".join(path.read_bytes() for path in (tmp_path / "run").rglob("*") if path.is_file())
    assert b"sk-one" not in kept and b"sk-two" not in kept


def test_schemas_change_neither_what_comes_of_it_nor_what_it_is_known_by(
    server: Server, collect: Any, shared_docs: Path, tmp_path: Path
) -> None:
    def obeying(body: dict[str, Any]) -> Answer:
        if "response_format" not in body:
            return scribe(body)
        wanted = json.dumps(body["response_format"])
        if "quoll" in wanted:
            return Answer(completion('{"items": [{"word": "quoll"}]}'))
        assert ("quote" in wanted) != ("answer" in wanted.replace('"name": "answer"', ""))
        return Answer(completion(f'{{"items": {scribe(body).body["choices"][0]["message"]["content"]}}}'))

    found = {}
    for mode in ("off", "auto", "on"):
        server.script, before = obeying, len(server.seen)
        assert collect(shared_docs, tmp_path / mode, f"writer.structured={mode}").code == 0
        found[mode] = (collected(tmp_path / mode), rows(tmp_path / mode, "SELECT key, text FROM call ORDER BY 1"))
        asked = len(server.seen) - before
        assert asked == len(found[mode][1]) + (mode == "auto"), "one request tries what the server can"
    assert [text for _, text in found["auto"][1]] and found["off"][0] == found["auto"][0] == found["on"][0]
    assert [key for key, _ in found["off"][1]] == [key for key, _ in found["auto"][1]]
    count = len(server.seen)
    assert collect(shared_docs, tmp_path / "off", "writer.structured=auto").code == 0
    assert len(server.seen) == count, "where all is known nothing is tried"


def test_a_model_in_this_process_answers_every_request(
    run_kupdate: Any, shared_docs: Path, tmp_path: Path, tiny_model: str
) -> None:
    words = ["collect", shared_docs, "--out", tmp_path / "run", "--model_type", "hf", f"model={tiny_model}"]
    done = run_kupdate(*words, "reader.chunk_tokens=64", "reader.limit=2", "model.dtype=float32")
    assert done.code == 1
    assert f"nothing that {tiny_model} wrote could be used" in done.stderr.splitlines()[-1]
    calls = rows(tmp_path / "run", "SELECT prompt_tokens, completion_tokens FROM call")
    chunks = rows(tmp_path / "run", "SELECT id FROM chunk")
    assert len(calls) >= 4 * len(chunks) > 8 and all(asked > 50 and answered > 0 for asked, answered in calls)
    assert len(rows(tmp_path / "run", "SELECT * FROM \"drop\" WHERE stage = 'write'")) >= len(chunks)
    assert run_kupdate(*words, "reader.chunk_tokens=64", "reader.limit=2", "model.dtype=float32").code == 1
    assert rows(tmp_path / "run", "SELECT prompt_tokens, completion_tokens FROM call") == calls
