"""Two files of answers: joined by question, judged once, told in files and on the terminal."""

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from chat_server import Answer, Server, completion
from judged_models import ROOT, honest, questions, write


def mistake(result: tuple[int, str, str]) -> str:
    code, _, err = result
    assert (code, err.count("\n")) == (2, 1), err
    return err.removeprefix("kupdate: ").rstrip("\n")


def evaluate(kupdate: Any, *words: str) -> Any:
    names = ("--data_name_sft", "oracle.json", "--data_name_base", "wrong.json")
    return kupdate("evaluate", "--data_path", "answers", *names, *words)


def results(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.glob("*_*.json"))}


def test_the_order_of_the_rows_changes_nothing(kupdate: Any, answers: Any, tmp_path: Path) -> None:
    answers("oracle"), answers("wrong")
    assert evaluate(kupdate)[0] == 0
    before = results(tmp_path / "answers")
    assert len(before) == 3
    answers("oracle", shuffled=True)
    code, out, _ = evaluate(kupdate)
    assert code == 0 and results(tmp_path / "answers") == before
    assert "│ oracle.json │" in out and "judged by rules" in out and "every verdict: answers/*_acc.json" in out


def test_a_missing_or_doubled_question_is_an_error_by_name(kupdate: Any, answers: Any, tmp_path: Path) -> None:
    rows = questions()
    answers("oracle", rows), answers("wrong", rows[:-1])
    assert mistake(evaluate(kupdate)) == (
        f"answers/wrong.json has no answer to the question {rows[-1]['question']!r} of answers/oracle.json"
    )
    answers("oracle", rows[:-1]), answers("wrong", rows)
    assert mistake(evaluate(kupdate)).startswith("answers/oracle.json has no answer to the question ")
    answers("oracle", [*rows, {**rows[0], "question": f" {rows[0]['question']}\n"}])
    assert mistake(evaluate(kupdate)) == f"answers/oracle.json: the question {rows[0]['question']!r} stands twice"
    answers("oracle", [{**rows[0], "fact": "Another."}, *rows[1:]])
    assert " differ in fact of the question " in mistake(evaluate(kupdate))
    assert results(tmp_path / "answers") == {}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "is neither a JSON list nor JSONL: "), ("[1]", "row 1 is not {question, response} with fact or answers"),
        ('[{"question": "Who?", "response": "A"}]', "the question 'Who?' has neither fact nor answers"),
        ('[{"question": "Who?", "fact": "A.", "response": null}]', "row 1 is not {question, response}"),
        ('[{"question": "Who?", "fact": ["A."], "response": "A"}]', "row 1 has a question, a fact or answers that are"),
        ("[]", "holds no answers"), ("\xff", "are not UTF-8"), (None, "cannot read the answers "),
    ],
)  # fmt: skip
def test_what_cannot_be_used_is_told(kupdate: Any, tmp_path: Path, text: str | None, message: str) -> None:
    (tmp_path / "answers").mkdir()
    for name in ("oracle", "wrong"):
        if text is not None:
            (tmp_path / "answers" / f"{name}.json").write_bytes(text.encode("latin-1"))
    assert message in mistake(evaluate(kupdate))


def test_without_files_what_is_needed_is_told(kupdate: Any) -> None:
    for words in ((), ("judge=rules",), ("--data_path", "answers", "--data_name_sft", "a.json")):
        assert mistake(kupdate("evaluate", *words)).startswith(
            "nothing to evaluate was named: kupdate evaluate RUN, or "
        )
    told = mistake(kupdate("evaluate", "runs/x", "--data_path", "answers"))
    assert told == "one at a time: kupdate evaluate runs/x, or --data_path with two files of answers"
    same = ("--data_path", ".", "--data_name_sft", "a.json", "--data_name_base", "a.jsonl")
    assert mistake(kupdate("evaluate", *same)) == "a.json and a.jsonl: their results would have the same name"


def test_answers_of_a_run_folder_are_read(kupdate: Any, tmp_path: Path) -> None:
    (tmp_path / "answers").mkdir()
    for name, said in (("updated", "1874."), ("base", "No.")):
        row = {"id": "a", "fact": "0123456789abcdef", "question": "When?", "answers": ["1874"], "response": said}
        (tmp_path / "answers" / f"{name}.jsonl").write_text(json.dumps(row) + "\n", encoding="utf-8")
    names = ("--data_name_sft", "updated.jsonl", "--data_name_base", "base.jsonl")
    assert kupdate("evaluate", "--data_path=answers", *names)[0] == 0
    found = json.loads((tmp_path / "answers" / "updated_win_rate.json").read_text(encoding="utf-8"))
    assert (found["win_rate"], found["results"][0]["answers"], "fact" in found["results"][0]) == (1.0, ["1874"], False)


def test_the_described_script_runs_from_any_folder(tmp_path: Path) -> None:
    write(tmp_path / "my results", "oracle", questions(9)), write(tmp_path / "my results", "echo", questions(9))
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    said = {"DATA_PATH": "my results", "DATA_NAME_SFT": "oracle.json", "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        ["bash", str(ROOT / "shells" / "evaluate.sh"), "--data_name_base", "echo.json"], cwd=tmp_path, check=False,
        capture_output=True, encoding="utf-8", timeout=120, stdin=subprocess.DEVNULL,
        env={**os.environ, "PATH": path, **said},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert json.loads((tmp_path / "my results" / "oracle_win_rate.json").read_bytes())["win_rate"] == 1.0


def test_a_model_of_this_machine_judges_and_is_tried(
    kupdate: Any, answers: Any, tiny_model: str, tmp_path: Path
) -> None:
    """`--local_model_path`: a random model says nothing that can be read, which is told and not hidden."""
    rows = questions(8)
    answers("oracle", rows), answers("wrong", rows)
    code, out, err = evaluate(kupdate, "--local_model_path", tiny_model, "judge.max_tokens=2", "model.dtype=float32")
    assert (code, err) == (0, "")
    assert "fails its trial, its verdicts are not to be trusted" in out and "NOT TRUSTED" in out
    won = json.loads((tmp_path / "answers" / "oracle_win_rate.json").read_bytes())
    assert won["judge"] == f"{tiny_model} (hf)" and not won["trusted"]
    assert (won["unparsable"], won["share"], won["bounds"]) == (8, None, [0.0, 1.0])


def test_after_kill_nothing_is_asked_twice(kupdate: Any, answers: Any, server: Server, tmp_path: Path) -> None:
    answers("oracle"), answers("wrong")
    where = ("judge=api", f"judge.base_url={server.url}", "judge.model=m", "judge.concurrency=4")
    server.script = honest
    assert evaluate(kupdate, *where)[0] == 0
    count, whole = len(server.seen), results(tmp_path / "answers")
    (tmp_path / "answers" / "judge.sqlite").unlink()
    for path in (tmp_path / "answers").glob("*_*.json"):
        path.unlink()
    server.seen.clear()
    server.script = lambda body: Answer(honest(body).body, seconds=0.02)
    words = ["--data_path", "answers", "--data_name_sft", "oracle.json", "--data_name_base", "wrong.json", *where]
    kills = 0
    for until in (count // 4, count // 2, 3 * count // 4):
        process = subprocess.Popen(
            [sys.executable, "-m", "knowledge_update", "evaluate", *words], cwd=tmp_path, stdout=subprocess.DEVNULL,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )  # fmt: skip
        while process.poll() is None and len(server.seen) < until:
            time.sleep(0.002)
        assert process.poll() is None, "it ended before it was killed"
        process.send_signal(signal.SIGKILL)
        process.wait()
        kills += 1
    server.script = honest
    assert evaluate(kupdate, *where)[0] == 0
    assert count <= len(server.seen) <= count + kills * 4, "asked again is what was in flight"
    assert results(tmp_path / "answers") == whole
    before = len(server.seen)
    assert evaluate(kupdate, *where)[0] == 0
    assert len(server.seen) == before
    with sqlite3.connect(tmp_path / "answers" / "judge.sqlite") as db:
        assert db.execute("SELECT count(*) FROM call").fetchone() == (count,)
    # Another judge is asked anew.
    assert evaluate(kupdate, *where, "judge.model=other")[0] == 0
    assert len(server.seen) == before + count


def test_an_overloaded_judge_is_waited_for(kupdate: Any, answers: Any, server: Server) -> None:
    rows = questions(8)
    answers("oracle", rows), answers("wrong", rows)
    refused: set[str] = set()

    def busy(body: Any) -> Answer:
        key = str(body)
        if len(refused) < 5 and key not in refused:
            refused.add(key)
            return Answer({"error": "slow down"}, status=429, headers={"Retry-After": "0.05"})
        return honest(body)

    server.script = busy
    words = ("judge=api", f"judge.base_url={server.url}", "judge.model=m", "--max_attempts", "1", "--retry_delay", "0")
    code, out, err = evaluate(kupdate, *words)
    assert (code, err) == (0, "") and len(refused) == 5
    assert "5 without an answer" not in out


def test_a_wrong_key_is_told_in_one_line(kupdate: Any, answers: Any, server: Server) -> None:
    answers("oracle"), answers("wrong")
    server.script = lambda body: Answer({"error": {"message": "no such key"}}, status=401)
    words = ("judge=api", f"judge.base_url={server.url}", "judge.model=m")
    assert mistake(evaluate(kupdate, *words)).endswith("the server refuses this key: no such key")
    assert mistake(evaluate(kupdate, "judge=api")) == (
        "judge=api needs judge.base_url=URL (up to /v1) and judge.model=NAME"
    )
    server.script = lambda body: Answer(completion("1"))
    assert mistake(evaluate(kupdate, "judge.max_attempts=0")) == "judge.max_attempts=0: at least 1"
