"""Chromium, headless, driven by playwright-core (tests/page/browser.mjs)."""

import itertools
import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from .bounds import SOON
from .process import BINARY, PEERS, Process

PAGE_TESTS = Path(__file__).resolve().parents[2] / "page"
NODE_MODULES = PEERS / "page" / "node_modules"
# For people to look at after the tests.
SHOTS = Path(BINARY).parent / "page" / "shots"


class Browser:
    """One window of one profile. `open` leaves what was in it, and begins with nothing noted."""

    def __init__(self):
        chromium = shutil.which("chromium")
        assert chromium, "chromium is not installed"
        if not NODE_MODULES.exists():
            # Who has no way to npm's registry can still run all other tests; CI has to run these.
            (pytest.fail if os.environ.get("CI") else pytest.skip)(f"{NODE_MODULES}: npm could not fetch playwright-core")
        env = {"CHROMIUM": chromium, "NODE_MODULES": str(NODE_MODULES)}
        self._process = Process(["node", PAGE_TESTS / "browser.mjs"], stdin=subprocess.PIPE, env=env)
        self._numbers = itertools.count()
        SHOTS.mkdir(parents=True, exist_ok=True)

    def _do(self, what, seconds=4 * SOON, **more):
        number = next(self._numbers)
        line = json.dumps({"id": number, "do": what, **more}) + "\n"
        self._process.popen.stdin.write(line.encode())
        self._process.popen.stdin.flush()
        found = self._process.stdout.wait(lambda lines: len(lines) > number and lines[number], seconds)
        assert found, f"the browser does not answer to {line}\n{self._process.stderr.text()}"
        answer = json.loads(found)
        assert "error" not in answer, f"{line}{answer.get('error')}\n{self._why()}"
        return answer["value"]

    def _why(self):
        number = next(self._numbers)
        self._process.popen.stdin.write(json.dumps({"id": number, "do": "evaluate", "code": "() => document.body.innerText"}).encode() + b"\n")
        self._process.popen.stdin.flush()
        found = self._process.stdout.wait(lambda lines: len(lines) > number and lines[number], SOON)
        return json.loads(found).get("value", "") if found else ""

    def open(self, url, **more):
        """width=, height=, dark="""
        return self._do("open", url=url, **more)

    def evaluate(self, code, arg=None):
        """What the function, written in JavaScript, returns for `arg`."""
        return self._do("evaluate", code=code, arg=arg)

    def wait(self, code, arg=None, seconds=3 * SOON):
        """Until the function says true."""
        self._do("wait", code=code, arg=arg, ms=seconds * 1000, seconds=seconds + SOON)

    def wait_text(self, selector, *texts, seconds=3 * SOON):
        """Until the element has all of these; its text."""
        code = "([selector, texts]) => { const e = document.querySelector(selector); " \
               "return e && texts.every((text) => e.textContent.replaceAll('\\u00a0', ' ').includes(text)); }"
        self.wait(code, [selector, texts], seconds)
        return self.text(selector)

    def text(self, selector):
        return self.evaluate("(selector) => document.querySelector(selector).textContent", selector).replace("\u00a0", " ")

    def click(self, selector):
        self._do("click", selector=selector)

    def press(self, key):
        self._do("press", key=key)

    def type(self, text):
        self._do("type", text=text)

    def change_scheme(self, dark):
        self._do("scheme", dark=dark)

    def resize(self, width, height):
        self._do("resize", width=width, height=height)

    def shot(self, name, whole=False):
        """A picture in the build's folder."""
        return self._do("shot", path=str(SHOTS / f"{name}.png"), whole=whole)

    def accessibility(self):
        """What a screen reader is told of, as an outline."""
        return self._do("accessibility")

    def noted(self):
        """What the page has said on the console (errors, warnings), and asked of others."""
        return self._do("noted")

    def close(self):
        self._process.popen.stdin.close()
        try:
            self._process.wait_exit(2 * SOON)
        finally:
            self._process.kill()
