"""`curfew top` on a terminal, and into a pipe."""

import os
import signal

import pytest

from harness.bounds import SOON, poll
from harness.curfew import Curfew, curfew_command, write_config
from harness.peers import ScriptedCaller
from harness.process import BINARY
from harness.programs import tool
from harness.terminal import Terminal


@pytest.fixture
def terminal():
    made = []

    def make(*size):
        made.append(Terminal(*size))
        return made[-1]

    yield make
    for one in made:
        one.close()


@pytest.fixture
def api(curfew, upstream, tmp_path):
    """A proxy whose admin listener stays where it is when it is started anew: (proxy, upstream, how to start another)."""
    up = upstream()
    admin = f"unix:{tmp_path}/admin.sock"

    def start():
        return curfew(upstreams={"api": {"url": up.url, "deadline": "50s"}}, top={"admin": {"listen": admin}})

    return start(), up, start


def where(proxy):
    return f"unix:{proxy.admin}" if isinstance(proxy.admin, str) else "%s:%d" % proxy.admin


def top(screen, proxy, *options):
    screen.run(BINARY, "top", "--admin", where(proxy), "--delay", "200ms", *options)
    return screen.wait("q quit", "UPSTREAM")


def ask_many(proxy, count, upstream, target="/"):
    callers = [ScriptedCaller(proxy.address(upstream)) for _ in range(count)]
    for caller in callers:
        caller.request("GET", target)
    proxy.wait_metric("curfew_calls_in_flight", count, 4 * SOON, upstream=upstream)
    return callers


@pytest.mark.parametrize("width, height", [(80, 24), (120, 40)])
def test_five_hundred_stuck_calls_are_seen_at_a_glance(curfew, upstream, terminal, width, height):
    names = ("alpha", "payments", "zeta")
    ups = {name: upstream(backlog=1024) for name in names}
    proxy = curfew(upstreams={name: {"url": ups[name].url, "deadline": "50s", "pool": {"size": 500}} for name in names})
    callers = [*ask_many(proxy, 500, "payments"), *ask_many(proxy, 3, "alpha")]
    screen = terminal(width, height)
    top(screen, proxy)
    seen = screen.wait("500/500", "now wait 500", "503 in flight")
    rows = seen.splitlines()
    assert rows[3].startswith("payments ") and "500/500" in rows[4] and "wait 500" in rows[4], seen
    assert [row.split()[0] for row in rows[5:9:2]] == ["alpha", "zeta"]
    assert sum(" wait " in row and " payments " in row for row in rows[10:]) >= height - 16, seen
    assert all(len(row) <= width for row in rows)
    screen.capture(f"top-{width}x{height}")
    for caller in callers:
        caller.close()
    proxy.wait_idle(4 * SOON)


def test_what_got_stuck_is_told_by_phase(pair, terminal):
    proxy, _ = pair(deadline="100ms")
    screen = terminal(120, 40)
    top(screen, proxy)
    assert proxy.ask().status == 504
    seen = screen.wait("stuck wait 1")
    row = next(row for row in seen.splitlines() if row.startswith("api "))
    assert float(row.split()[5]) > 0 and row.split()[9] == "100ms", seen  # stuck, p99: the deadline, and no more


def test_what_stands_between_callers_and_the_api_is_told(curfew, faulty, terminal):
    api = faulty().url
    proxy = curfew(upstreams={
        "paced": {"url": api, "pool": {"rate": {"limit": "100/h", "burst": 1}}},
        "paused": {"url": api, "pool": {"pause": {"statuses": [429], "max": "10m"}}},
        "retried": {"url": api, "retries": {"attempts": 2, "budget": {"share": "0%", "burst": 1}}},
        "streamed": {"url": api, "streams": {}}})
    screen = terminal(160, 40)
    top(screen, proxy)
    for target, upstream, status, *pieces in (
            ("/ok", "paced", 200), ("/ok", "paced", 503, "rejected rate 1"),
            ("/status/429?after=600", "paused", 429, "paused 59"), ("/ok", "paused", 503, "rejected paused 1"),
            ("/seq/503,200?key=a", "retried", 200, "retries ", "saved 1"),
            ("/seq/503,200?key=b", "retried", 503, "retry budget stopped 1"),
            ("/sse/event*2~10", "streamed", 200, "first event ")):
        assert proxy.ask("GET", target, upstream=upstream).status == status
        screen.wait(*pieces)
    screen.capture("top-refusals")


def test_a_pool_of_a_fleet_is_told_here_and_over_all_hosts(fleet, terminal):
    f = fleet(2, size=6, deadline="20s")
    f.begin()
    host = f.hosts[0]
    callers = ask_many(host, 4, "api", "/stuck")
    screen = terminal(80, 24)
    top(screen, host)
    screen.wait("held 4 of 5 here, 6 of 6 in the fleet, 2 hosts, 0 wait")
    screen.capture("top-fleet")
    f.store.stop()
    screen.wait("fleet's store AWAY")
    for caller in callers:
        caller.close()


def test_an_api_that_answers_with_errors_is_not_ok(curfew, faulty, terminal):
    """Whatever ends at its upstream is in one column, though all of these calls complete."""
    url = faulty().url
    targets = {"broken": "/status/503", "busy": "/status/429", "fine": "/status/404"}
    proxy = curfew(upstreams={name: {"url": url, "deadline": "20s"} for name in targets})
    screen = terminal(80, 24)
    top(screen, proxy)

    def rates(name):
        """Is there any OK/S, 5XX/S, 429/S?"""
        row = next(row for row in screen.screen().splitlines() if row.startswith(name))
        return [float(rate) > 0 for rate in row.split()[2:5]]

    def is_seen():
        for name, target in targets.items():
            assert proxy.ask("GET", target, upstream=name).status == int(target[-3:])
        return [rates(name) for name in targets] == [[False, True, False], [False, False, True], [True, False, False]]

    poll(is_seen, screen.screen)
    seen = screen.screen()
    assert "UPSTREAM     CALLS/S OK/S 5XX/S 429/S STUCK/S FAIL/S REJ/S    P50    P99   LATE" in seen
    assert all(len(row) <= 80 for row in seen.splitlines())
    screen.capture("top-errors")
    screen.keys("s")
    poll(lambda: [row[:6].strip() for row in screen.screen().splitlines()[3:9:2]] == ["broken", "busy", "fine"], screen.screen)
    screen.keys("q")
    screen.must_be_restored()


def test_it_says_that_curfew_is_gone_and_goes_on_when_it_is_back(api, terminal):
    proxy, _, start_another = api
    screen = terminal()
    top(screen, proxy)
    proxy.stop()
    screen.wait("CONNECTION LOST", "trying again", "api ")
    start_another()
    screen.wait("q quit", "api ", gone=["LOST"])
    screen.keys("q")
    screen.must_be_restored()


def test_it_goes_on_after_a_kill(curfew, upstream, tmp_path, terminal):
    admin, url = f"unix:{tmp_path}/admin.sock", upstream().url
    config = tmp_path / "curfew.yaml"
    write_config(config, {"api": {"url": url}}, {"admin": {"listen": admin}, "log": {"access": "off"}})
    first = Curfew(tmp_path, config)
    screen = terminal()
    try:
        top(screen, first)
    finally:
        first.process.kill()
    screen.wait("CONNECTION LOST", "again: Connection refused")
    second = curfew(url=url, deadline="50s", top={"admin": {"listen": admin}})
    screen.wait("0 in flight", gone=["LOST"])
    caller = second.caller()
    caller.request()
    screen.wait("now wait 1")
    caller.close()


def test_it_may_be_there_before_curfew(curfew, tmp_path, terminal):
    screen = terminal()
    screen.run(BINARY, "top", "--admin", f"unix:{tmp_path}/admin.sock", "--delay", "200ms")
    screen.wait("CONNECTION LOST", "No such file")
    curfew(url="http://127.0.0.1:9", top={"admin": {"listen": f"unix:{tmp_path}/admin.sock"}})
    screen.wait("api ", gone=["LOST"])


def test_a_call_is_cut_by_keys(pair, terminal):
    proxy, _ = pair(deadline="50s")
    caller = proxy.caller()
    caller.request()
    proxy.wait_in_flight(1, phase="wait")
    call, = proxy.calls()["calls"]
    screen = terminal(120, 30)
    top(screen, proxy)
    screen.wait(call["id"])
    screen.keys("Down", "x")
    screen.wait(f"Cut call {call['id']}?")
    screen.keys("n")
    screen.wait(gone=["Cut call"])
    assert proxy.calls()["in_flight"] == 1
    screen.keys("x", "y")
    screen.wait(f"Call {call['id']} was cut.")
    assert caller.recv_response().status == 504
    line, = proxy.log(1)
    assert line["cause"] == "operator"


def test_keys_filter_and_sort(curfew, upstream, terminal):
    ups = {name: upstream() for name in ("one", "two")}
    proxy = curfew(upstreams={name: {"url": up.url, "deadline": "50s"} for name, up in ups.items()})
    callers = [*ask_many(proxy, 2, "two"), *ask_many(proxy, 1, "one")]
    screen = terminal(120, 30)
    top(screen, proxy)
    screen.wait("upstream: all, phase: all: 3 of 3")
    screen.keys("u")
    screen.wait("upstream: one, phase: all: 1 of 3")
    screen.keys("p")
    screen.wait("phase: upload: 0 of 3")
    screen.keys("l")
    screen.wait("least left first")
    rows = screen.screen().splitlines()
    assert rows[3].startswith("two ")
    screen.keys("s")
    poll(lambda: screen.screen().splitlines()[3].startswith("one "), "upstreams by name")
    for caller in callers:
        caller.close()


@pytest.mark.sound_only
def test_a_worker_that_hangs_is_told_as_long_as_it_does(curfew, faulty, terminal, tmp_path):
    """And what was chosen stays. The hook is a library for the test alone, as in test_admin.py."""
    hang = tmp_path / "hang"
    proxy = curfew(upstreams={name: {"url": faulty().url} for name in ("api", "other")}, top={"workers": 2},
                   env={"LD_PRELOAD": tool("hang.so"), "HANG_FILE": str(hang)})
    screen = terminal()
    top(screen, proxy)
    screen.keys("u")
    screen.wait("upstream: api, phase: all: 0 of 0")
    hang.write_text("")
    screen.wait("A worker did not answer within 1 s.")
    hang.unlink()
    screen.wait("upstream: api, phase: all: 0 of 0", gone=["A worker did not answer", "CONNECTION LOST"])


def test_it_follows_the_size_of_the_terminal(api, terminal):
    proxy, _, _ = api
    screen = terminal(120, 40)
    top(screen, proxy)
    for width, height in (80, 24), (30, 8), (5, 2), (100, 30):
        screen.resize(width, height)
        poll(lambda: len(screen.screen().rstrip("\n").splitlines()) == height and
             screen.screen().splitlines()[-1].startswith("q quit"[:width]), f"a page of {width}x{height}")
    screen.keys("q")
    screen.must_be_restored()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_a_signal_leaves_the_terminal_as_it_was(api, terminal, number):
    proxy, _, _ = api
    screen = terminal()
    top(screen, proxy)
    child, = screen.processes()
    os.kill(child, number)
    screen.must_be_restored()


def test_it_can_be_stopped_and_continued(api, terminal):
    proxy, _, _ = api
    screen = terminal()
    top(screen, proxy)
    screen.keys("C-z")
    screen.wait("Stopped", gone=["q quit"])
    screen.run("fg")
    screen.wait("q quit")
    screen.keys("C-c")
    screen.must_be_restored()


def test_into_a_pipe_it_is_one_plain_page(api):
    proxy, _, _ = api
    caller = proxy.caller()
    caller.request()
    proxy.wait_in_flight(1, phase="wait")
    done = curfew_command("top", "--admin", where(proxy), "--delay", "100ms")
    assert (done.returncode, done.stderr) == (0, "")
    assert "\x1b" not in done.stdout and "q quit" not in done.stdout
    rows = done.stdout.splitlines()
    assert rows[0].startswith("curfew ") and ": 1 in flight, up " in rows[0]
    assert rows[2].split() == ["UPSTREAM", "CALLS/S", "OK/S", "5XX/S", "429/S", "STUCK/S", "FAIL/S", "REJ/S", "P50", "P99", "LATE"]
    assert rows[3].startswith("api ") and rows[4].endswith("1/50 now wait 1")
    assert rows[-1].split()[2] == "wait" and len(rows) == 9


def test_once_is_one_plain_page_on_a_terminal_too(api, terminal):
    proxy, _, _ = api
    screen = terminal()
    screen.run(BINARY, "top", "--once", "--admin", where(proxy), "--delay", "100ms")
    screen.wait("0 in flight", "UPSTREAM", gone=["q quit"])
    screen.must_be_restored()


@pytest.mark.parametrize("name", ["nothing-known", "dumb"])
def test_on_a_terminal_that_can_not_be_drawn_on_it_is_one_page(api, terminal, name):
    proxy, _, _ = api
    screen = terminal()
    screen.run("env", f"TERM={name}", BINARY, "top", "--admin", where(proxy), "--delay", "100ms")
    seen = screen.wait("0 in flight", "UPSTREAM", gone=["q quit"])
    assert "\napi " in seen
    screen.must_be_restored()


def test_nobody_is_there(tmp_path):
    done = curfew_command("top", "--once", "--admin", f"unix:{tmp_path}/nobody")
    assert done.returncode == 1 and "No such file or directory" in done.stderr and done.stdout == ""


def test_somebody_else_is_there(upstream):
    other = upstream(lambda exchange: (exchange.recv_request(), exchange.answer(200, content=b"hello\n")))
    done = curfew_command("top", "--once", "--admin", other.authority)
    assert done.returncode == 1 and "no page of a curfew" in done.stderr


def test_wrong_usage():
    for args in ((), ("--admin",), ("--admin", "127.0.0.1:1", "-c", "x"), ("--admin", "127.0.0.1:1", "more"),
                 ("--admin", "127.0.0.1:1", "-d", "1ms"), ("--admin", "127.0.0.1:1", "-d", "fast")):
        assert curfew_command("top", *args).returncode == 2, args
