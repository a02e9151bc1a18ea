"""The page at the admin listener's "/", in a browser: what it shows, what it does, and what it must not."""

import signal

import pytest

from harness.bounds import SOON, poll
from harness.browser import SHOTS, Browser
from harness.curfew import Curfew, write_config
from harness.peers import ScriptedCaller

pytestmark = [pytest.mark.sound_only, pytest.mark.one_worker]


@pytest.fixture(scope="module")
def chromium():
    browser = Browser()
    yield browser
    browser.close()


@pytest.fixture
def browser(chromium):
    """Whatever a test does, the page says nothing on the console, breaks no policy, and asks nobody else."""
    yield chromium
    noted = chromium.noted()
    assert not noted["elsewhere"] and not [line for line in noted["console"] if "ERR_CONNECTION" not in line], noted


def page_of(proxy):
    return "http://%s:%d/" % proxy.admin


def ask_many(proxy, count, upstream, target="/"):
    callers = [ScriptedCaller(proxy.address(upstream)) for _ in range(count)]
    for caller in callers:
        caller.request("GET", target)
    return callers


def is_seen(browser, selector):
    """In the window without scrolling, all of it."""
    return browser.evaluate("""(selector) => {
        const box = document.querySelector(selector).getBoundingClientRect();
        return box.height > 0 && box.top >= 0 && box.left >= 0 && box.bottom <= innerHeight && box.right <= innerWidth;
    }""", selector)


def is_wider_than_its_window(browser):
    return browser.evaluate("() => document.documentElement.scrollWidth > innerWidth")


@pytest.fixture
def five_hundred(curfew, upstream):
    """500 calls that wait at one of three upstreams, and some at another one."""
    names = ("alpha", "payments", "zeta")
    ups = {name: upstream(backlog=1024) for name in names}
    proxy = curfew(upstreams={name: {"url": ups[name].url, "deadline": "50s", "pool": {"size": 500}} for name in names})
    callers = [*ask_many(proxy, 500, "payments", "/v1/charges"), *ask_many(proxy, 3, "alpha")]
    proxy.wait_metric("curfew_calls_in_flight", 503, 4 * SOON)
    yield proxy
    for caller in callers:
        caller.close()
    proxy.wait_idle(4 * SOON)


@pytest.mark.parametrize("name, width, height, dark", [("light", 1280, 800, False), ("dark", 1280, 800, True),
                                                       ("phone", 360, 740, False)])
def test_five_hundred_stuck_calls_are_seen_at_a_glance(five_hundred, browser, name, width, height, dark):
    assert browser.open(page_of(five_hundred), width=width, height=height, dark=dark) == 200
    headline = browser.wait_text("#headline", "payments", "500 calls in wait", "all 500 permits are held")
    assert "of 50 s" in headline
    first = browser.wait_text("#cards article:first-child", "payments", "500 of 500 permits held", "pool full")
    assert "500 calls in wait" in first
    assert is_seen(browser, "#headline") and is_seen(browser, "#cards article:first-child .sentence")
    assert not is_wider_than_its_window(browser)
    assert browser.evaluate("() => document.querySelectorAll('#calls tbody tr').length") == 100
    browser.shot(f"stuck-{name}")
    browser.shot(f"stuck-{name}-whole", whole=True)
