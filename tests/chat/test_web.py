"""The page in a real browser: what is seen and done, that nobody hears another, and that nothing leaves the machine."""

import hashlib
import importlib
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from browser import PATIENCE, Browser, needed, opened

ROOT = Path(__file__).parents[2]
Kupdate = Callable[..., tuple[int, str, str]]
# Every look-up and connection of the server is written down.
WATCH = """
import os, sys
def hook(event, values):
    if event in ("socket.getaddrinfo", "socket.gethostbyname", "socket.connect", "socket.sendto"):
        where = values[1] if event in ("socket.connect", "socket.sendto") else values[0]
        with open(os.environ["WATCHED"], "a") as file:
            file.write(f"{event} {where}\\n")
sys.addaudithook(hook)
"""


class Served:
    """`kupdate web` in a process of its own.

    Args:
        folder: A place to work in.
        words: Its arguments.
        environment: Variables besides.
    """

    def __init__(self, folder: Path, *words: str | Path, **environment: str) -> None:
        (folder / "sitecustomize.py").write_text(WATCH, encoding="utf-8")
        self.watched = folder / "watched.txt"
        known = {
            **os.environ, "PYTHONPATH": f"{folder}{os.pathsep}{ROOT}", "WATCHED": str(self.watched), **environment,
        }  # fmt: skip
        known.pop("HF_HUB_OFFLINE", None)
        command = [sys.executable, "-m", "knowledge_update", "web", *map(str, words), "--port", "0"]
        self.process = subprocess.Popen(
            command, cwd=folder, env=known, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, encoding="utf-8"
        )
        assert self.process.stdout is not None
        told: list[str] = []
        for line in self.process.stdout:
            told.append(line)
            if found := re.match(r"open (http://\S+) in a browser; Ctrl-C ends", line):
                self.url = found[1]
                break
        else:
            raise AssertionError("".join(told))

    def seconds(self) -> float:
        """What the processor has spent on it."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def quiet(self) -> bool:
        """Whether it computes nothing for a while."""
        before = self.seconds()
        time.sleep(0.5)
        return self.seconds() - before < 0.15

    def end(self) -> int:
        self.process.send_signal(signal.SIGINT)
        try:
            return self.process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise


@pytest.fixture(scope="module")
def served(taught: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    needed()
    server = Served(tmp_path_factory.mktemp("served"), taught, "--max_new_tokens=40")
    yield server
    assert server.end() == 0


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    needed()
    with opened(tmp_path_factory.mktemp("profile")) as browser:
        yield browser


@pytest.fixture
def browser(shared: Browser, served: Served) -> Browser:
    """The page, opened anew: a visitor who has said nothing."""
    shared.open(served.url)
    return shared


def files(folder: Path) -> dict[str, str]:
    """What stands in a run folder, by its files' hashes."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*")) if path.is_file() and not path.name.endswith(("-shm", "-wal"))
    }  # fmt: skip


def _set(browser: Browser, place: str, value: str) -> bool:
    """Whether a setting is as it was typed: a page that is still being put together sets it back."""
    browser.type(place, value)
    time.sleep(1)
    return browser.value(place) == value


def test_tokens_are_seen_as_they_come_and_stop_keeps_them(browser: Browser, served: Served) -> None:
    browser.click("button.label-wrap")
    browser.until(lambda: _set(browser, "#tokens input", "1900"), "the setting")
    browser.watch()
    browser.ask("Who built it?")
    browser.until(lambda: len(browser.painted()) > 5, "more than five paints")
    browser.click("#stop")
    browser.until(lambda: "stopped; what was said is kept" in browser.text("#note"), "what was stopped")
    painted, ((_, question), (_, kept)) = browser.painted(), browser.said()
    assert question == "Who built it?" and 0 < len(painted[0]) < len(painted[-1])
    browser.until(served.quiet, "an end of generation")
    assert browser.said()[1][1] == kept and browser.painted()[-1] == kept
    browser.type("#tokens input", "8")
    browser.ask("And then?")
    said = browser.answered(2)
    assert [what for who, what in said if who == "user"] == ["Who built it?", "And then?"] and said[1][1] == kept


def test_retry_undo_clear_and_what_cannot_be_asked(browser: Browser) -> None:
    browser.ask("Who built it?")
    ((_, _), (_, first)) = browser.answered(1)
    browser.watch()
    browser.click("#retry")
    browser.until(lambda: len(browser.painted()) > 1, "another answer")
    assert browser.answered(1)[1][1] == first, "the likeliest answer is always the same"
    browser.ask("And then?")
    browser.answered(2)
    browser.click("#undo")
    browser.until(lambda: len(browser.said()) == 2, "a turn less")
    assert browser.value("#question textarea") == "And then?"
    browser.type("#question textarea", "")
    browser.click("#send")
    browser.until(lambda: "nothing was asked" in browser.text("#note"), "a word about the empty message")
    browser.type("#question textarea", "a b " * 25_000)
    browser.click("#send")
    browser.until(lambda: "fit: ask in fewer words" in browser.text("#note"), "a word about its length")
    assert len(browser.value("#question textarea")) == 100_000, "what was typed is lost"
    browser.type("#question textarea", "x\x07\x1b[31my\u202e")
    browser.click("#send")
    assert browser.answered(2)[2] == ("user", "xy")
    browser.click("#clear")
    browser.until(lambda: browser.said() == [], "an empty conversation")
    browser.ask("Who built it?")
    assert browser.answered(1)[1][1] == first


def test_base_and_updated_the_sources_and_the_run(browser: Browser, taught: Path) -> None:
    browser.tab("Compare")
    browser.click("#compare")
    browser.until(lambda: "nothing has been asked yet" in browser.text("#compare-note"), "a word about no question")
    browser.tab("Sources")
    browser.until(lambda: "nothing has been answered yet" in browser.text("#sources"), "a word about no answer")
    browser.tab("Chat")
    browser.type("#question textarea", "When was Tolvick Lighthouse built by Runa Hesk?")
    browser.click("#send")
    browser.answered(1)
    browser.tab("Compare")
    browser.click("#compare")
    answers = browser.until(
        lambda: (found := [browser.value(f"#answer-{name} textarea") for name in ("base", "updated")])
        and all(found) and found, "two answers",
    )  # fmt: skip
    assert answers[0] != answers[1]
    browser.tab("Sources")
    browser.until(lambda: "nothing has been answered yet" not in browser.text("#sources"), "sources")
    browser.tab("Run")
    browser.until(lambda: "the training is done" in browser.text("#progress"), "the training")
    assert "运行 (1)" in browser.text("#progress") and "loss" in browser.text("#progress")
    assert browser.run("return document.querySelectorAll('#progress svg').length") == 2
    browser.until(lambda: "There is no report yet" in browser.text("#report"), "that there is no report")


def test_two_conversations_at_once_do_not_mix(shared: Browser, served: Served) -> None:
    interleaved(shared, served, turns=5)


@pytest.mark.soak
def test_a_hundred_interleaved_turns_do_not_mix(shared: Browser, served: Served) -> None:
    interleaved(shared, served, turns=50)


def interleaved(browser: Browser, served: Served, turns: int) -> None:
    """Two windows talk by turns, each beginning while the other's answer is written."""
    driver = browser.driver
    windows = [driver.current_window_handle]
    browser.open(served.url)
    driver.switch_to.new_window("tab")
    windows.append(driver.current_window_handle)
    browser.open(served.url)
    try:
        for turn in range(turns):
            for number, window in enumerate(windows):
                driver.switch_to.window(window)
                if turn:
                    browser.answered(turn)
                browser.ask(f"I am {number}, turn {turn}")
        for number, window in enumerate(windows):
            driver.switch_to.window(window)
            said = browser.answered(turns)
            assert [what for who, what in said if who == "user"] == [f"I am {number}, turn {n}" for n in range(turns)]
            assert not any(f"I am {1 - number}" in what for _, what in said)
    finally:
        driver.close()
        driver.switch_to.window(windows[0])


def test_a_page_that_is_left_stops_its_answer_and_touches_no_training(
    browser: Browser, served: Served, taught: Path
) -> None:
    before = files(taught)
    for _ in range(2):
        browser.click("button.label-wrap")
        browser.type("#tokens input", "1900")
        browser.watch()
        browser.ask("Who built it?")
        browser.until(lambda: browser.painted(), "a first paint")
        browser.open(served.url)
        browser.until(served.quiet, "an end of generation")
        assert browser.said() == []
    browser.ask("Who?")
    browser.answered(1)
    assert files(taught) == before


def test_it_fits_a_telephone_and_follows_light_and_dark(browser: Browser) -> None:
    driver = browser.driver
    grounds = {}
    try:
        for scheme in ("light", "dark"):
            driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", {
                "width": 375, "height": 700, "deviceScaleFactor": 1, "mobile": True,
            })  # fmt: skip
            features = {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
            driver.execute_cdp_cmd("Emulation.setEmulatedMedia", features)
            browser.open(driver.current_url)
            browser.ask("word" * 200)
            browser.answered(1)
            assert browser.run("return document.documentElement.scrollWidth") <= 375
            grounds[scheme] = browser.run("return getComputedStyle(document.body).backgroundColor")
            for place in ("#send", "#stop", "#question"):
                left, right = browser.run(
                    "const box = document.querySelector(arguments[0]).getBoundingClientRect();"
                    "return [box.left, box.right]", place,
                )  # fmt: skip
                assert 0 <= left < right <= 375
    finally:
        driver.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
        driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})
    light, dark = (sum(map(int, re.findall(r"\d+", grounds[scheme])[:3])) for scheme in ("light", "dark"))
    assert dark < 200 < light


def test_what_is_said_is_shown_as_text_and_nobody_is_called(browser: Browser, served: Served) -> None:
    hostile = (
        "![seen](http://192.0.2.1/a.png) <img src=http://192.0.2.1/b.png onerror=\"document.title='taken'\"> "
        "<script>document.title='taken'</script> [go](javascript:alert(1)) $$x$$ **bold** "
        "<details open>x\n\n  # &amp;\n  y"
    )
    browser.type("#question textarea", hostile)
    browser.click("#send")
    said = browser.answered(1)
    assert said[0][1] == hostile
    assert browser.driver.title == "Knowledge Update"
    inside = "return document.querySelectorAll('#conversation :is(img, script, a, strong, details)').length"
    assert browser.run(inside) == 0
    assert "192.0.2.1" not in browser.hosts()
    # Even a script that got in would reach nobody.
    blocked = browser.driver.execute_async_script(
        "const done = arguments[0]; fetch('http://192.0.2.1/c').then(() => done('sent'), error => done('' + error));"
    )
    assert "Failed to fetch" in blocked
    refused = [entry for entry in browser.driver.get_log("browser") if "Content Security Policy" in entry["message"]]
    assert len(refused) >= 1
    browser.hosts()
    browser.asked.discard("192.0.2.1")


def test_no_request_leaves_the_machine(browser: Browser, served: Served) -> None:
    browser.ask("Who built it?")
    browser.answered(1)
    for name in ("Compare", "Sources", "Run"):
        browser.tab(name)
        time.sleep(0.2)
    assert browser.hosts() == {"127.0.0.1"}
    places = served.watched.read_text(encoding="utf-8").splitlines() if served.watched.exists() else []
    assert [place for place in places if not re.search(r"127\.0\.0\.1|localhost|^socket\.connect /", place)] == []


def test_it_is_told_that_too_many_wait(shared: Browser, taught: Path, tmp_path: Path) -> None:
    """One answer at once, and one that waits: a third is told, keeps its question, and may come again."""
    words = ["--max_new_tokens=1900", "--at-once=1", "--waiting=1"]
    server, driver = Served(tmp_path, taught, *words), shared.driver
    windows = [driver.current_window_handle]
    try:
        for number in range(3):
            if number:
                driver.switch_to.new_window("tab")
                windows.append(driver.current_window_handle)
            shared.open(server.url)
            shared.ask(f"I am {number}")
            if number == 0:
                shared.until(shared.said, "an answer under way")
        shared.until(lambda: "currently busy. Please try again" in shared.text("body"), "a word")
        assert shared.value("#question textarea") == "I am 2" and shared.said() == []
        driver.close()
        for window in windows[1::-1]:
            driver.switch_to.window(window)
            shared.click("#stop")
        driver.switch_to.window(windows[1])
        shared.until(server.quiet, "an end of generation")
        shared.type("#question textarea", "And now?")
        shared.click("#send")
        shared.until(lambda: ("user", "And now?") in shared.said(), "an answer now")
        driver.close()
    finally:
        driver.switch_to.window(windows[0])
        assert server.end() == 0


def test_the_described_command_serves_and_asks_for_a_login(shared: Browser, unending: Path, tmp_path: Path) -> None:
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "llama-7b-hf-finetune").symlink_to(unending)
    described = "--model_path=./models/llama-7b-hf-finetune --num_gpus=2 --input_pattern=prompt --load_8bit=False"
    server = Served(tmp_path, *described.split(), KUPDATE_WEB_USER="教授", KUPDATE_WEB_PASSWORD="s3 cret")
    try:
        for place in ("config", "gradio_api/info"):
            with pytest.raises(urllib.error.HTTPError, match="401"):
                urllib.request.urlopen(f"{server.url}/{place}", timeout=PATIENCE)
        # Files are not taken, nor what is longer than any question.
        for place, size in (("gradio_api/upload", 10), ("gradio_api/queue/join", 8 << 20)):
            request = urllib.request.Request(f"{server.url}/{place}", data=b"x" * size, method="POST")
            with pytest.raises((urllib.error.HTTPError, urllib.error.URLError), match=r"413|pipe|reset"):
                urllib.request.urlopen(request, timeout=PATIENCE)
        with urllib.request.urlopen(server.url, timeout=PATIENCE) as answer:
            assert "connect-src 'self'" in answer.headers["content-security-policy"]
        shared.driver.get(server.url)
        for password in ("wrong", "s3 cret"):
            shared.type("input[type=text], textarea", "教授")
            shared.type("input[type=password]", password)
            assert not shared.driver.find_elements("css selector", "#question")
            shared.click("button.primary, button.lg")
            time.sleep(0.5)
        shared.until(lambda: shared.driver.find_elements("css selector", "#question"), "the page behind the login")
        # A model without base or run has neither of their tabs.
        assert shared.run("return [...document.querySelectorAll('button[role=tab]')].map(t => t.innerText)") == ["Chat"]
        shared.ask("Who?")
        shared.until(shared.said, "an answer")
    finally:
        assert server.end() == 0
    assert not [path for path in tmp_path.glob("*.*") if path.is_file() and b"s3 cret" in path.read_bytes()]


@pytest.mark.soak
def test_a_crowd_is_answered_without_error_mixing_or_growth(taught: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    found = importlib.import_module("crowd").measure([str(taught)], users=32, seconds=300)
    print(found)
    assert (found["users"], found["errors"], found["mixed"]) == (32, 0, 0)
    assert found["turns"] > 32 and found["memory_growth"] < 0.05


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["web", "absent"], "no model 'absent': give"),
        (["web", "a", "--model_path=b"], "two models were named: a and --model_path b; give one of them"),
        (["web", "a", "--host", "192.0.2.1"], "cannot listen at 192.0.2.1:7860: "),
        (["web", "a", "--port", "70000"], "Invalid value for '--port'"),
        (["web", "--modle_path=a"], "web has no option --modle_path; did you mean --model_path?"),
        (["web", "a", "--load_8bit=maybe"], "--load_8bit maybe: True or False"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_mistakes_are_told_in_a_line(kupdate: Kupdate, words: list[str], message: str) -> None:
    code, _, stderr = kupdate(*words)
    assert (code, stderr.count("\n")) == (2, 1), stderr
    assert stderr.startswith("kupdate: " + message)


def test_a_port_that_is_taken_is_told_before_a_model_is_loaded(
    kupdate: Kupdate, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        code, stdout, stderr = kupdate("web", "absent", "--port", str(port))
    told = f"kupdate: cannot listen at 127.0.0.1:{port}: Address already in use; --port names another\n"
    assert (code, stdout, stderr) == (2, "", told)
    monkeypatch.setenv("KUPDATE_WEB_USER", "me")
    code, _, stderr = kupdate("web", "absent", "--port", "0")
    assert (code, stderr) == (2, "kupdate: KUPDATE_WEB_USER and KUPDATE_WEB_PASSWORD: set both, or neither\n")
