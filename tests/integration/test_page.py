"""The page at the admin listener's "/", in a browser: what it shows, what it does, and what it must not."""

import re
import socket

import pytest

from harness.bounds import SOON
from harness.browser import PAGE_TESTS, Browser
from harness.curfew import Curfew, write_config
from harness.peers import ScriptedCaller
from harness.process import run
from harness.programs import tool

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
    # What the browser itself says there, when curfew is away or can't answer.
    theirs = "ERR_CONNECTION", "status of 503"
    assert not noted["elsewhere"] and not [line for line in noted["console"] if not any(text in line for text in theirs)], noted


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


WINDOWS = {"light": {"width": 1280, "height": 800, "dark": False}, "dark": {"width": 1280, "height": 800, "dark": True},
           "phone": {"width": 360, "height": 740, "dark": False}}


def test_five_hundred_stuck_calls_are_seen_at_a_glance(curfew, faulty, browser):
    """500 calls that wait at one of three upstreams, and some at another one."""
    keys = {"url": faulty().url, "deadline": "50s", "pool": {"size": 500}}
    proxy = curfew(upstreams={name: keys for name in ("alpha", "payments", "zeta")})
    callers = [*ask_many(proxy, 500, "payments", "/stuck"), *ask_many(proxy, 3, "alpha", "/stuck")]
    proxy.wait_metric("curfew_calls_in_flight", 503, 4 * SOON)
    assert browser.open(page_of(proxy)) == 200
    for name, window in WINDOWS.items():
        browser.resize(window["width"], window["height"])
        browser.change_scheme(window["dark"])
        headline = browser.wait_text("#headline", "payments", "500 calls in wait", "all 500 permits are held")
        assert "of 50 s" in headline
        first = browser.wait_text("#cards article:first-child", "payments", "500 of 500 permits held", "pool full")
        assert "500 calls in wait" in first
        assert is_seen(browser, "#headline") and is_seen(browser, "#cards article:first-child .sentence")
        assert not is_wider_than_its_window(browser)
        assert browser.evaluate("() => document.querySelectorAll('#calls tbody tr').length") == 100
        browser.shot(f"stuck-{name}")
    browser.shot("stuck-phone-whole", whole=True)
    for caller in callers:
        caller.close()
    proxy.wait_idle(4 * SOON)


def stuck_ones(proxy, count, upstream=None):
    """Calls that get stuck at their deadline."""
    callers = ask_many(proxy, count, upstream, "/stuck")
    for caller in callers:
        assert caller.recv_response().status == 504
        caller.close()


def test_what_got_stuck_is_shown_by_phase_with_where_its_time_went(curfew, faulty, browser):
    api = faulty()
    keys = {"url": api.url, "deadline": "300ms", "routes": [{"path": "/slow", "deadline": "20s"}]}
    proxy = curfew(upstreams={"payments": keys, "search": keys, "mail": {"url": "http://127.0.0.1:9"}})
    stuck_ones(proxy, 20, "payments")
    for _ in range(30):
        assert proxy.ask("GET", "/ok", upstream="search").status == 200
    assert proxy.ask("GET", "/ok", upstream="mail").status == 502
    browser.open(page_of(proxy))
    browser.wait_text("#headline", "payments", "20 of 20 calls stuck in the last minute, in wait")
    browser.wait_text("#further", "mail", "1 of 1 call failed in the last minute")
    card = browser.wait_text("#cards article:first-child", "payments", "getting stuck", "a route has 20 s", "deadline 300 ms")
    assert "wait" in browser.text("#cards article:first-child .by-phase") and "Nothing" not in card
    stuck = browser.wait_text("#stuck li", "payments", "GET", "stuck in wait, at its deadline of 300 ms", "sent whole")
    assert "connect" in stuck
    assert browser.evaluate("() => document.querySelectorAll('.stuck-call').length") == 12
    words = browser.evaluate("() => document.querySelector('canvas.outcomes').getAttribute('aria-label')")
    assert "20 stuck" in words
    assert browser.evaluate("""() => {
        const canvas = document.querySelector("canvas.outcomes");
        return new Set(canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data).size > 20;
    }"""), "the chart is empty"
    browser.shot("what-got-stuck-light", whole=True)
    browser.change_scheme(dark=True)
    browser.shot("what-got-stuck-dark", whole=True)


def test_what_became_of_a_call_that_was_cut_is_shown(curfew, faulty, browser):
    proxy = curfew(url=faulty().url, deadline="300ms", late=True, pool={"linger": "2s"})
    assert proxy.ask("GET", "/delay/600").status == 504
    browser.open(page_of(proxy))
    browser.wait_text("#stuck li", "The API answered 200", "after the call began: too late for its caller.")


def test_an_api_that_answers_with_errors_is_not_fine(curfew, faulty, browser):
    url = faulty().url
    proxy = curfew(upstreams={name: {"url": url, "deadline": "5s"} for name in ("charges", "mail", "search")})
    for name, target, count in (("charges", "/status/503", 12), ("charges", "/status/429", 5), ("charges", "/ok", 25), ("mail", "/status/429", 8),
                                ("search", "/status/500", 1), ("search", "/ok", 30)):
        for _ in range(count):
            proxy.ask("GET", target, upstream=name)
    browser.open(page_of(proxy))
    browser.wait_text("#headline", "charges", "12 of 42 calls answered with 5xx, 5 with 429 in the last minute")
    browser.wait_text("#further", "mail", "8 of 8 calls answered with 429 in the last minute")
    card = browser.wait_text("#cards article:first-child", "charges", "answers with errors", "5xx, 1 min", "429, 1 min")
    assert "fine" not in card
    browser.wait_text("#cards article:last-child", "search", "fine")
    browser.wait_text("#legend", "completed with 5xx", "completed with 429")
    words = browser.evaluate("() => document.querySelector('canvas.outcomes').getAttribute('aria-label')")
    assert "42 completed" in words and "12 with 5xx, 5 with 429" in words
    for name, window in WINDOWS.items():
        browser.resize(window["width"], window["height"])
        browser.change_scheme(window["dark"])
        browser.wait("() => document.documentElement.scrollWidth <= innerWidth")  # charts follow their window
        browser.shot(f"errors-{name}", whole=True)


def test_a_deadline_that_cuts_nothing_is_said_to_be_observed(curfew, faulty, browser):
    keys = {"url": faulty().url, "deadline": "100ms"}
    proxy = curfew(upstreams={"watched": {**keys, "observe": True}, "kept": keys})
    assert proxy.ask("GET", "/delay/200", upstream="watched").status == 200
    browser.open(page_of(proxy))
    browser.wait_text("#cards article:first-child", "watched", "deadline 100 ms; observed: it cuts nothing")
    assert "observed" not in browser.text("#cards article:last-child")


def test_a_pool_of_a_fleet_is_told_here_and_over_all_hosts(fleet, browser):
    f = fleet(2, size=6, deadline="20s")
    f.begin()
    callers = ask_many(f.hosts[0], 4, "api", "/stuck")
    browser.open(page_of(f.hosts[0]))
    browser.wait_text("#cards article:first-child", "held 4 of 5 here, 6 of 6 in the fleet, 2 hosts, 0 wait, 0 calls wait here, peak 4")
    browser.shot("fleet")
    f.store.stop()
    browser.wait_text("#cards article:first-child", "The fleet's store is away: calls start by what it has lent, for ")
    for caller in callers:
        caller.close()


def test_a_click_cuts_a_call(pair, browser):
    proxy, up = pair(deadline="50s")
    caller = proxy.caller()
    caller.request("POST", "/v1/charges", content=b"1")
    exchange, _ = up.take()
    call, = proxy.calls()["calls"]
    browser.open(page_of(proxy))
    browser.wait_text("#calls tbody", "api", "POST", "wait")
    browser.click(f"button.cut[data-id='{call['id']}']")
    assert caller.recv_response().status == 504
    browser.wait_text("#said", f"Call {call['id']} of api was cut in phase wait")
    browser.wait_text("#stuck", call["id"], "cut by an operator")
    exchange.wait_ended()
    metrics = proxy.wait_idle()
    assert metrics.calls("stuck", phase="wait") == 1
    line, = proxy.log(1)
    assert (line["outcome"], line["cause"]) == ("stuck", "operator")
    browser.shot("cut")


def test_the_keyboard_suffices(pair, browser):
    """Tab reaches a call's button and Enter cuts the call; then the next call's button has the focus."""
    proxy, up = pair(deadline="50s")
    callers = [proxy.caller() for _ in range(2)]
    for caller in callers:
        caller.request()
        up.take()
    browser.open(page_of(proxy))
    browser.wait("() => document.querySelectorAll('#calls tbody tr').length === 2")
    focused = "() => document.activeElement.dataset.id ?? ''"
    for _ in range(30):
        browser.press("Tab")
        if browser.evaluate(focused):
            break
    first = browser.evaluate(focused)
    second, = {call["id"] for call in proxy.calls()["calls"]} - {first}
    assert browser.evaluate("() => getComputedStyle(document.activeElement).outlineStyle") == "solid"
    browser.press("Enter")
    browser.wait("([id]) => document.activeElement.dataset.id === id", [second])
    browser.press("Enter")
    browser.wait_text("#calls-note", "none")
    browser.wait("() => document.activeElement === document.getElementById('main')")
    for caller in callers:
        assert caller.recv_response().status == 504


@pytest.fixture
def port():
    """A port that nobody else takes while curfew is away: bound by both, listened on by curfew alone."""
    with socket.socket() as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind(("127.0.0.1", 0))
        yield sock.getsockname()[1]


def test_a_restart_under_the_open_page(curfew, faulty, tmp_path, browser, port):
    api = faulty()
    config = tmp_path / "curfew.yaml"
    upstreams = {"api": {"url": api.url, "deadline": "300ms"}}
    top = {"admin": {"listen": f"127.0.0.1:{port}"}}
    write_config(config, upstreams, {**top, "log": {"access": "off"}})
    first = Curfew(tmp_path, config)
    try:
        stuck_ones(first, 1)
        browser.open(page_of(first))
        browser.wait_text("#stuck", "stuck in wait")
        assert "Live" in browser.text("#connection-text")
    finally:
        first.process.kill()
    browser.wait_text("#connection-text", "Connection to curfew lost", "trying again")
    browser.shot("lost")
    curfew(upstreams={"another": {"url": api.url}}, top=top)
    browser.wait_text("#connection-text", "Live")
    browser.wait_text("#said", "started anew")
    browser.wait_text("#headline", "Nothing is stuck")
    browser.wait_text("#cards", "another")
    assert browser.evaluate("() => [...document.querySelectorAll('.card h3')].map((title) => title.textContent)") == ["another"]
    assert browser.text("#stuck") == ""


def test_a_worker_that_hangs_is_told_as_long_as_it_does(curfew, faulty, browser, tmp_path):
    """The hook is a library for the test alone, as in test_admin.py."""
    hang = tmp_path / "hang"
    proxy = curfew(url=faulty().url, top={"workers": 2}, env={"LD_PRELOAD": tool("hang.so"), "HANG_FILE": str(hang)})
    browser.open(page_of(proxy))
    browser.wait_text("#headline", "Nothing is stuck")
    hang.write_text("")
    browser.wait_text("#said", "A worker did not answer within 1 s.")
    hang.unlink()
    browser.wait("() => document.querySelector('#said').textContent === ''")


def test_a_hundred_upstreams(curfew, faulty, browser):
    """The worst is on top, six are open, all others are short, and one is found by its name."""
    api = faulty()
    proxy = curfew(upstreams={f"api{n}": {"url": api.url, "deadline": "300ms"} for n in range(100)})
    stuck_ones(proxy, 3, "api42")
    browser.open(page_of(proxy), width=1440, height=900)
    browser.wait_text("#cards article:first-child", "api42", "getting stuck")
    shape = browser.evaluate("() => [document.querySelectorAll('.card').length, document.querySelectorAll('#cards .card').length]")
    assert shape == [100, 1]
    browser.shot("hundred")
    browser.click("#find")
    browser.type("api77")
    browser.wait("() => document.querySelectorAll('.card').length === 1")
    browser.click(".card .more")
    browser.wait("() => document.querySelector('.card canvas').clientHeight > 50")
    browser.resize(360, 740)
    browser.wait("() => document.documentElement.scrollWidth <= innerWidth")


# ------------------------------------------------------------------------------------- for everybody

# What axe asks for first of all.
NAMES_AND_ORDER = """() => {
    const faults = [];
    const name = (e) => e.getAttribute("aria-label") || e.labels?.[0]?.textContent || e.textContent.trim();
    for (const e of document.querySelectorAll("button, input, a, [role=meter], canvas[role=img]"))
        if (e.checkVisibility() && !name(e)) faults.push(`no name: ${e.outerHTML.slice(0, 80)}`);
    for (const e of document.querySelectorAll("img")) if (!e.hasAttribute("alt")) faults.push("img without alt");
    let level = 0;
    for (const e of document.querySelectorAll("h1, h2, h3, h4")) {
        if (!e.checkVisibility()) continue;
        const next = Number(e.tagName[1]);
        if (next > level + 1) faults.push(`${e.tagName} ${e.textContent} after level ${level}`);
        level = next;
    }
    if (document.querySelectorAll("h1").length !== 1) faults.push("h1");
    if (document.documentElement.lang !== "en") faults.push("lang");
    if (!document.title) faults.push("title");
    const ids = [...document.querySelectorAll("[id]")].map((e) => e.id);
    if (new Set(ids).size !== ids.length) faults.push("an id twice");
    for (const e of document.querySelectorAll("[aria-labelledby]"))
        if (!document.getElementById(e.getAttribute("aria-labelledby"))) faults.push("aria-labelledby");
    for (const landmark of ["header", "main", "footer"]) if (!document.querySelector(`body > ${landmark}`)) faults.push(landmark);
    return faults;
}"""

# WCAG 2 1.4.3: 4.5 to 1 for each text that is seen.
CONTRAST = """() => {
    const channels = (colour) => colour.match(/[0-9.]+/g).map(Number);
    const luminance = ([r, g, b]) => [r, g, b].map((v) => v / 255)
        .map((v) => (v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4))
        .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
    const behind = (e) => {
        for (; e; e = e.parentElement) {
            const colour = channels(getComputedStyle(e).backgroundColor);
            if (colour.length === 3 || colour[3] > 0) return colour;
        }
        return [255, 255, 255];
    };
    const faults = new Set();
    const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    while (walker.nextNode()) {
        const e = walker.currentNode.parentElement;
        if (!walker.currentNode.textContent.trim() || !e.checkVisibility() || e.closest(".unseen, .skip, template, noscript")) continue;
        const [one, other] = [channels(getComputedStyle(e).color), behind(e)].map(luminance);
        const ratio = (Math.max(one, other) + 0.05) / (Math.min(one, other) + 0.05);
        if (ratio < 4.5) faults.add(`${e.tagName}.${e.className}: ${ratio.toFixed(2)}`);
    }
    return [...faults];
}"""


def test_it_is_there_for_everybody(curfew, faulty, upstream, browser):
    api = faulty()
    proxy = curfew(upstreams={"payments": {"url": api.url, "deadline": "300ms"},
                              "search": {"url": upstream().url, "deadline": "50s"}})
    stuck_ones(proxy, 2, "payments")
    caller = proxy.caller("search")
    caller.request()
    browser.open(page_of(proxy))
    browser.wait_text("#headline", "payments")
    browser.wait_text("#calls tbody", "search")
    assert browser.evaluate(NAMES_AND_ORDER) == []
    for dark in True, False:
        browser.change_scheme(dark)
        assert browser.evaluate(CONTRAST) == []
    outline = browser.accessibility()
    for expected in ('heading "curfew" [level=1]', 'heading "payments" [level=3]', "meter", "Cut call", "row", "img"):
        assert expected in outline, outline
    spoken = browser.wait_text("#spoken", "payments", "2 of 2 calls stuck in the last minute")
    stuck_ones(proxy, 3, "payments")
    browser.wait_text("#headline", "5 of 5 calls stuck in the last minute")
    assert browser.text("#spoken") == spoken, "it is said again for a figure"


# ------------------------------------------------------------------------------------- what is hostile


def test_what_callers_write_is_text(pair, browser):
    """A method may have all of these (RFC 9110 5.6.2)."""
    proxy, up = pair(deadline="50s")
    method = "A&B'#$%*+-.^_`|~!"
    caller = proxy.caller()
    caller.request(method)
    exchange, _ = up.take()
    browser.open(page_of(proxy))
    browser.wait_text("#calls tbody", method)
    exchange.answer()
    assert caller.recv_response().status == 200


def test_no_markup_is_made_of_text():
    """The sources of the page do not even know how."""
    sources = list((PAGE_TESTS.parents[1] / "src" / "page").glob("*.mjs"))
    assert len(sources) > 3
    for source in sources:
        assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|DOMParser|\beval\b|new Function|https?://",
                             source.read_text()), source


def test_another_page_can_neither_read_nor_cut(pair, browser, upstream):
    """A page that another program on this machine serves: what it asks for is not answered, or not shown to it."""
    proxy, up = pair(deadline="50s")
    caller = proxy.caller()
    caller.request()
    exchange, _ = up.take()
    call, = proxy.calls()["calls"]
    other = upstream(lambda exchange: exchange.recv_request() and exchange.answer(
        200, "Content-Type: text/html", content=b"<!doctype html><title>x</title>"))
    browser.open(other.url + "/")
    tried = browser.evaluate("""async ([admin, id]) => {
        const said = [];
        for (const [target, init] of [["calls", {}], ["calls", {mode: "no-cors"}], [`calls/${id}`, {method: "DELETE"}],
                                      ["reload", {method: "POST", mode: "no-cors"}], [`calls/${id}`, {method: "POST", mode: "no-cors"}]])
            said.push(await fetch(admin + target, init).then((answer) => answer.text(), () => "refused"));
        return said;
    }""", [page_of(proxy), call["id"]])
    assert set(tried) <= {"refused", ""}, tried
    assert proxy.calls()["in_flight"] == 1
    assert proxy.metrics().sum("curfew_config_reloads_total") == 0
    browser.open(page_of(proxy))
    exchange.answer()
    assert caller.recv_response().status == 200


def test_what_the_page_knows_and_says():
    """The parts of the page that need no browser."""
    done = run(["node", "--test", PAGE_TESTS / "model.test.mjs"], seconds=30)
    assert done.returncode == 0, done.stdout
