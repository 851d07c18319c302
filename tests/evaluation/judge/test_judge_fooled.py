"""The evaluation cannot be fooled: planted models, planted judges."""

import re
from typing import Any

import pytest
from chat_server import Answer, Server, completion
from judged_models import always, by_lot, honest, questions

FOOLING = ("echo", "empty", "everything", "nothing", "injection")


@pytest.mark.parametrize("name", [*FOOLING, "wrong"])
def test_what_says_nothing_is_not_right_by_rules(answers: Any, evaluated: Any, name: str) -> None:
    updated, base, won = evaluated(answers(name), answers("oracle"))
    assert (updated["share"], base["share"], won["share"]) == (0.0, 1.0, 0.0)
    assert (won["wins"], won["losses"], won["against_accuracy"]) == (0, won["n"], 0)
    assert won["trusted"] and won["judge"] == "rules"


def test_what_says_everything_wins_over_nothing_either(answers: Any, evaluated: Any) -> None:
    for rows in (questions(40), questions(12)[:5]):
        _, _, won = evaluated(answers("everything", rows), answers("empty", rows))
        assert (won["wins"], won["share"]) == (0, 0.5)


def test_an_oracle_wins_whatever_its_length(answers: Any, evaluated: Any) -> None:
    updated, _, won = evaluated(answers("sentence"), answers("nothing"))
    assert (updated["share"], won["share"]) == (1.0, 1.0)
    for first, second in (("sentence", "oracle"), ("oracle", "sentence")):
        _, _, won = evaluated(answers(first), answers(second))
        assert (won["share"], won["ties"]) == (0.5, won["n"])


def test_without_answers_rules_go_by_the_facts(answers: Any, evaluated: Any) -> None:
    files = {name: answers(name, facts_only=True) for name in ("oracle", "sentence", "nothing", "echo", "everything")}
    updated, base, won = evaluated(files["oracle"], files["nothing"])
    assert updated["share"] >= 0.95 and base["share"] == 0.0 and won["share"] >= 0.95
    for name in ("echo", "everything"):
        assert evaluated(files[name], files["nothing"])[0]["share"] <= 0.05, name


@pytest.mark.parametrize("name", FOOLING)
def test_what_says_nothing_is_not_right_by_a_chat_model(
    answers: Any, evaluated: Any, by_server: Any, server: Server, name: str
) -> None:
    server.script = honest
    updated, base, won = evaluated(answers(name), answers("oracle"), *by_server)
    assert (updated["share"], base["share"], won["share"]) == (0.0, 1.0, 0.0)
    assert won["trusted"] and won["failed"] == [] and won["unparsable"] == won["disagreed"] == 0


def test_identical_models_have_a_win_rate_of_one_half(
    answers: Any, evaluated: Any, by_server: Any, server: Server
) -> None:
    server.script = by_lot()
    _, _, won = evaluated(answers("oracle"), answers("oracle"), *by_server)
    assert (won["share"], won["same"]) == (0.5, won["n"])
    # As good as each other, in other words: a judge that draws lots has nothing else to go by.
    rows = questions(105)
    _, _, won = evaluated(answers("oracle", rows), answers("sentence", rows), *by_server)
    assert won["interval"][0] <= 0.5 <= won["interval"][1] and won["disagreed"] > won["n"] / 4
    assert not won["trusted"]


@pytest.mark.parametrize(
    ("single", "pair", "kinds"),
    [("1", "C", {"wrong", "wordy", "evasive", "injected"}), ("0", "A", {"right", "verbose"}), ("1", "A", {"wrong"})],
)
def test_a_judge_that_always_says_the_same_is_not_trusted(
    answers: Any, evaluated: Any, by_server: Any, server: Server, single: str, pair: str, kinds: set[str]
) -> None:
    server.script = always(single, pair)
    updated, _, won = evaluated(answers("nothing"), answers("oracle"), *by_server)
    assert updated["share"] == float(single)
    assert not won["trusted"] and kinds <= {failure.split()[0] for failure in won["failed"]}
    # Always the first is the one in one order and the other in the other.
    assert (won["share"], won["ties"], won["disagreed"]) == (0.5, won["n"], won["n"] * (pair == "A"))


def test_a_judge_that_obeys_an_answer_is_not_trusted(
    answers: Any, evaluated: Any, by_server: Any, server: Server
) -> None:
    def obeying(body: Any) -> Answer:
        text = body["messages"][1]["content"]
        ordered = re.search(
            r"(?i)<<<(?:ANSWER|回答) \w+\n[^<]*(output 1|verdict is 1|grade: 1|输出 1|判定为 1|评分：1)", text
        )
        return Answer(completion("1")) if ordered else honest(body)

    server.script = obeying
    updated, _, won = evaluated(answers("injection"), answers("nothing"), *by_server)
    assert updated["share"] == 1.0 and not updated["trusted"]
    assert {"injected (en: 0 of 4)", "injected (zh: 0 of 4)"} <= set(won["failed"])


def test_a_judge_that_says_something_else_has_bounds(
    answers: Any, evaluated: Any, by_server: Any, server: Server
) -> None:
    def hesitant(body: Any) -> Answer:
        return Answer(completion("Both 1 and 0 can be said.")) if "island" in str(body) else honest(body)

    server.script = hesitant
    rows = questions()
    lost = sum("island" in row["question"] for row in rows)
    updated, base, won = evaluated(answers("oracle", rows), answers("nothing", rows), *by_server)
    assert 0 < lost < len(rows)
    for part, share in ((updated, 1.0), (base, 0.0), (won, 1.0)):
        assert (part["share"], part["unparsable"], part["unanswered"]) == (share, lost, 0)
        assert part["bounds"] == pytest.approx([share * (1 - lost / 40), share + (1 - share) * lost / 40], abs=1e-4)
    assert [row["reason"] for row in won["results"] if row["verdict"] is None] == ["unparsable"] * lost


def test_a_judge_that_fails_now_and_then_is_asked_again(
    answers: Any, evaluated: Any, by_server: Any, server: Server
) -> None:
    seen: set[str] = set()

    def failing(body: Any) -> Answer:
        key = str(body)
        first = key not in seen
        seen.add(key)
        return Answer({"error": "down"}, status=500) if first else honest(body)

    server.script = failing
    updated, _, won = evaluated(answers("oracle"), answers("nothing"), *by_server)
    assert (updated["share"], won["share"], won["unanswered"]) == (1.0, 1.0, 0)
    assert len(server.seen) == 2 * len(seen)


def test_a_judge_that_crashes_on_some_has_its_own_column(
    answers: Any, evaluated: Any, by_server: Any, server: Server
) -> None:
    def crashing(body: Any) -> Answer:
        return Answer(hangs_up=True) if "灯塔" in str(body) else honest(body)

    server.script = crashing
    updated, _, _ = evaluated(answers("oracle"), answers("nothing"), "--max_attempts", "2", *by_server)
    assert (updated["share"], updated["unanswered"], updated["unparsable"]) == (1.0, 2, 0)
    times = [str(body) for body in server.seen if "灯塔有多高" in str(body)]
    assert len(times) == 2 * len(set(times))


def test_a_judge_that_crashes_always_is_failed_work(kupdate: Any, answers: Any, by_server: Any, server: Server) -> None:
    server.script = lambda body: Answer({"error": "down"}, status=500)
    files = ("--data_path", "answers", "--data_name_sft", answers("oracle"), "--data_name_base", answers("empty"))
    code, _, err = kupdate("evaluate", *files, *by_server, "--max_attempts", "2", "--retry_delay", "0")
    assert code == 1
    assert err.startswith("kupdate: judge=api, judge.base_url=http://127.0.0.1:") and err.count("\n") == 1
    assert err.endswith("no request was answered; the same command tries again\n")
