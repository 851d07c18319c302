"""A real browser for tests: Debian's Chromium without a screen, driven by Selenium."""

import json
import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

CHROMIUM, DRIVER = "/usr/bin/chromium", "/usr/bin/chromedriver"
OPTIONS = (
    "--headless=new --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync --disable-dev-shm-usage --window-size=1000,860"
)
# A test that is waited for longer has failed; a machine under load is slow.
PATIENCE = 120.0


def needed() -> None:
    """Skips a test where there is no browser, and fails it where there has to be one."""
    missing = [path for path in (CHROMIUM, DRIVER) if not shutil.which(path)]
    if missing:
        told = f"no {' and no '.join(missing)}: apt-get install chromium chromium-driver"
        (pytest.fail if os.environ.get("KUPDATE_BROWSER") == "required" else pytest.skip)(told)


@contextmanager
def opened(profile: Path) -> Iterator["Browser"]:
    """A browser with a profile of its own."""
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for option in (*OPTIONS.split(), f"--user-data-dir={profile}"):
        options.add_argument(option)
    options.set_capability("goog:loggingPrefs", {"performance": "ALL", "browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service(DRIVER))
    driver.set_script_timeout(PATIENCE)
    try:
        yield Browser(driver)
    finally:
        driver.quit()


class Browser:
    """What a person does with a page, and what they see.

    Args:
        driver: Selenium's.
    """

    def __init__(self, driver: Any) -> None:
        self.driver = driver
        self.asked: set[str] = set()

    def open(self, url: str) -> None:
        self.driver.get(url)
        self.until(lambda: self.driver.find_elements("css selector", "button[role=tab]"), "the page")

    def until(self, done: Callable[[], Any], what: str, seconds: float = PATIENCE) -> Any:
        end = time.monotonic() + seconds
        while not (found := done()):
            assert time.monotonic() < end, f"no {what}: {self.text('body')[:2000]}"
            time.sleep(0.03)
        return found

    def run(self, script: str, *values: Any) -> Any:
        return self.driver.execute_script(script, *values)

    def text(self, selector: str) -> str:
        """What a part of the page shows; nothing where there is no such part."""
        return str(self.run("return document.querySelector(arguments[0])?.innerText ?? ''", selector))

    def value(self, selector: str) -> str:
        return str(self.run("return document.querySelector(arguments[0])?.value ?? ''", selector))

    def click(self, selector: str) -> None:
        self.until(lambda: self.driver.find_elements("css selector", selector), selector)[0].click()

    def tab(self, name: str) -> None:
        found = "return [...document.querySelectorAll('button[role=tab]')].find(tab => tab.innerText === arguments[0])"
        self.until(lambda: self.run(found, name), f"tab {name}").click()

    def type(self, selector: str, text: str) -> None:
        """Puts text where one types, as a paste does."""
        script = """
            const [place, text] = [document.querySelector(arguments[0]), arguments[1]];
            const kind = place instanceof HTMLTextAreaElement ? HTMLTextAreaElement : HTMLInputElement;
            Object.getOwnPropertyDescriptor(kind.prototype, 'value').set.call(place, text);
            place.dispatchEvent(new Event('input', {bubbles: true}));
        """
        self.until(lambda: self.driver.find_elements("css selector", selector), selector)
        self.run(script, selector, text)

    def said(self) -> list[tuple[str, str]]:
        """The conversation: who, and what."""
        script = """
            return [...document.querySelectorAll('#conversation [data-testid=user], #conversation [data-testid=bot]')]
                .map(place => [place.dataset.testid, place.innerText]);
        """
        return [(str(who), str(what)) for who, what in self.run(script)]

    def watch(self) -> None:
        """Counts from now on what the last answer was each time that it had changed."""
        self.run("""
            window.seen = [];
            const look = () => {
                const answers = document.querySelectorAll('#conversation [data-testid=bot]');
                const last = answers.length ? answers[answers.length - 1].innerText : '';
                if (last && window.seen.at(-1) !== last) window.seen.push(last);
                window.watching = requestAnimationFrame(look);
            };
            cancelAnimationFrame(window.watching);
            look();
        """)

    def painted(self) -> list[str]:
        return list(self.run("return window.seen"))

    def ask(self, text: str) -> None:
        """Types a question, and presses Enter."""
        from selenium.webdriver.common.keys import Keys

        place = self.until(lambda: self.driver.find_elements("css selector", "#question textarea"), "the question")[0]
        place.send_keys(text + Keys.ENTER)

    def answered(self, turns: int) -> list[tuple[str, str]]:
        """The conversation once it has so many turns and nothing is being written."""

        def done() -> list[tuple[str, str]] | None:
            said = self.said()
            if len(said) != 2 * turns or not said[-1][1].strip():
                return None
            # The two parts of the page do not change in the same instant.
            time.sleep(0.2)
            return said if "writing" not in self.text("#note") and said == self.said() else None

        return list(self.until(done, f"{turns} turns"))

    def hosts(self) -> set[str]:
        """Whom the browser's pages have asked so far, but for what a page holds within itself."""
        for entry in self.driver.get_log("performance"):
            message = json.loads(entry["message"])["message"]
            if message["method"] in ("Network.requestWillBeSent", "Network.webSocketCreated"):
                url = message["params"].get("request", message["params"])["url"]
                if not url.startswith(("data:", "blob:", "chrome:", "about:")):
                    self.asked.add(urlsplit(url).hostname or url)
        return self.asked
