"""pool.linger: the permit of a call that was cut stays held for as long as its API may be working on."""

import json
import threading

import pytest

from harness.bounds import SLOW, SOON, Stopwatch, readable
from harness.curfew import curfew_command
from harness.load import load
from harness.problem import expect

LONG = "1h"


class CappedApi:
    """Has room for so many requests, refuses more, and works on for so long after it has seen that a caller has left."""

    def __init__(self, upstream, room, after):
        self.room, self.after = room, after
        self.busy = self.refused = self.most = 0
        self.lock = threading.Lock()
        self.never = threading.Event()
        self.upstream = upstream(self._serve)

    def _serve(self, exchange):
        request = exchange.recv_request()
        with self.lock:
            is_refused = self.busy == self.room
            self.refused += is_refused
            self.busy += not is_refused
            self.most = max(self.most, self.busy)
        if is_refused:
            exchange.answer(429, reason="Too Many Requests")
            return
        try:
            if request.target == "/slow":
                readable(exchange.sock, SOON)
                self.never.wait(self.after)
            else:
                self.never.wait(0.02)
        finally:
            with self.lock:
                self.busy -= 1
        exchange.answer(content=b"ok")


@pytest.mark.timed
@pytest.mark.parametrize("lingers", [False, True])
def test_an_api_that_works_on_refuses_none_if_permits_linger_as_long(curfew, upstream, lingers):
    api = CappedApi(upstream, 5, 0.5)
    linger = {"linger": f"{int(500 + 200 * SLOW)}ms"} if lingers else {}
    proxy = curfew(url=api.upstream.url, deadline="200ms", pool={"size": 5, "queue": 20, **linger})
    result = load(proxy.address(), "/slow", "/quick", "/quick", "/quick", "/quick", calls=200, rate=60)
    assert api.most == 5
    if lingers:
        assert api.refused == 0 and 429 not in result.statuses
    else:
        assert api.refused > 0 and result.statuses[429] == api.refused
    metrics = proxy.wait_idle()
    assert metrics.sum("curfew_pool_held_peak") <= 5
    assert metrics.sum("curfew_ghosts_missed_total") == 0


def cut(proxy, up, target="/", exchange=None):
    """A call that its API leaves without an answer until it is cut; the API's side of it."""
    caller = proxy.caller()
    caller.request("GET", target)
    if exchange is None:
        exchange, _ = up.take()
    expect(caller.recv_response(), 504, "http_response_timeout", phase="wait", sent="complete")
    exchange.must_end()
    return exchange


def test_the_permit_of_a_call_that_was_cut_stays_held_and_is_seen(pair):
    proxy, up = pair(deadline="200ms", pool={"size": 2, "queue": 5, "linger": LONG})
    cut(proxy, up)
    metrics = proxy.metrics()
    assert metrics.sum("curfew_pool_held") == metrics.sum("curfew_pool_ghosts", pool="api") == 1
    assert metrics.in_flight() == 0
    cut(proxy, up)
    pool, = proxy.pools()["pools"]
    assert (pool["held"], pool["ghosts"], pool["waiting"]) == (2, 2, 0)
    expect(proxy.ask(), 504, "connection_limit_reached", sent="none")  # no permit is left, though no call is there
    first, second, third = proxy.log(3)
    assert first["lingered_ms"] == second["lingered_ms"] == 3600000 and "lingered_ms" not in third
    assert first["sent"] == "complete" and third["phase"] == "queue"
    proxy.stop()  # a drain does not wait for ghosts


def test_a_waiter_gets_the_permit_when_the_ghost_is_over(pair):
    proxy, up = pair(deadline="5s", routes=[{"path": "/cut", "timeouts": {"first_byte": "50ms"}}], pool={"size": 1, "queue": 5, "linger": "1s"})
    caller = proxy.caller()
    watch = Stopwatch()
    caller.request("GET", "/cut")
    up.take()
    assert caller.recv_response().status == 504
    caller.request("GET", "/next")
    exchange, request = up.take()
    assert request.target == "/next" and watch.elapsed() >= 1.05
    exchange.answer()
    assert caller.recv_response().status == 200
    first, second = proxy.log(2)
    assert first["lingered_ms"] == 1000 and 200 <= second["phases_ms"]["queue"] <= 1000 + 1000 * SLOW
    proxy.wait_metric("curfew_pool_ghosts", 0)


@pytest.mark.parametrize("content", [False, True])
def test_a_caller_who_leaves_leaves_a_ghost(pair, content):
    proxy, up = pair(pool={"size": 1, "queue": 0, "linger": LONG})
    caller = proxy.caller()
    caller.request("POST", "/", content=b"pay")
    exchange, _ = up.take()
    if content:  # a part of the response has come
        exchange.send(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf")
        caller.recv_response_head()
    caller.close()
    exchange.must_end()
    line, = proxy.log()
    assert (line["outcome"], line["lingered_ms"]) == ("abandoned", 3600000)
    assert proxy.wait_metric("curfew_pool_ghosts", 1).sum("curfew_pool_held") == 1
    proxy.stop()


def test_what_an_operator_cuts_and_what_a_limit_cuts_lingers_too(pair):
    proxy, up = pair(timeouts={"idle": "100ms"}, pool={"size": 2, "queue": 0, "linger": LONG})
    caller = proxy.caller()
    caller.request()
    up.take()
    call, = proxy.calls()["calls"]
    assert proxy.admin_ask("DELETE", f"/calls/{call['id']}")[0] == 200
    expect(caller.recv_response(), 504, "http_response_timeout", phase="wait", sent="complete")
    other = proxy.caller()
    other.request()
    exchange, _ = up.take()
    exchange.send(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf")
    other.recv_response_head()
    proxy.wait_metric("curfew_pool_ghosts", 2)
    proxy.stop()


def test_where_the_api_has_ended_the_exchange_or_was_sent_nothing_no_permit_lingers(pair):
    proxy, up = pair(pool={"size": 1, "queue": 5, "linger": LONG})
    whole, half = (b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\nok" % length for length in (2, 3))
    for n, ending in enumerate((whole, half, b"")):
        caller = proxy.caller()
        caller.request("POST", "/", content=b"x")
        exchange, _ = up.take()
        exchange.send(ending)
        exchange.close()
        proxy.log(n + 1)
    holder = proxy.caller()
    holder.request("GET", "/holder")
    exchange, _ = up.take()
    waiter = proxy.caller()
    waiter.request("GET", "/waiter")
    proxy.wait_metric("curfew_pool_waiting", 1)
    waiter.close()
    proxy.wait_metric("curfew_pool_waiting", 0)
    exchange.answer()
    assert holder.recv_response().status == 200
    lines = proxy.log(5)
    assert {line["outcome"] for line in lines} == {"completed", "failed", "abandoned"}
    assert not any("lingered_ms" in line for line in lines)
    assert proxy.metrics().sum("curfew_pool_ghosts") == 0


def test_a_connection_that_is_not_made_in_time_leaves_no_ghost(curfew, deaf_listener):
    proxy = curfew(url=deaf_listener.url, deadline="100ms", pool={"size": 1, "queue": 0, "linger": LONG})
    expect(proxy.ask(), 504, "connection_timeout", sent="none")
    assert proxy.metrics().sum("curfew_pool_ghosts") == 0


def test_forty_calls_cut_at_once_leave_forty_ghosts_and_the_audit_agrees(pair):
    proxy, up = pair(deadline="400ms", pool={"size": 40, "queue": 0, "linger": f"{1500 * SLOW:g}ms"})
    callers = [proxy.caller() for _ in range(40)]
    for caller in callers:
        caller.request()
    exchanges = [up.take()[0] for _ in callers]
    for caller in callers:
        assert caller.recv_response().status == 504
    for exchange in exchanges:
        exchange.must_end()
    assert proxy.metrics().sum("curfew_pool_ghosts") == 40
    metrics = proxy.wait_metric("curfew_pool_ghosts", 0)  # by then audits have counted them
    assert metrics.sum("curfew_pool_audit_errors_total") == 0 == metrics.sum("curfew_pool_held")


def test_a_reload_that_shrinks_counts_ghosts(pair):
    proxy, up = pair(deadline="200ms", pool={"size": 3, "queue": 5, "linger": f"{2 * SLOW:g}s"})
    for _ in range(3):
        cut(proxy, up)
    keys = {"url": up.url, "listen": "%s:%d" % proxy.address(), "deadline": "30s"}
    proxy.rewrite({"api": {**keys, "pool": {"size": 1, "queue": 5}}})
    proxy.must_reload()
    metrics = proxy.metrics()
    assert metrics.sum("curfew_pool_held") == metrics.sum("curfew_pool_size") == metrics.sum("curfew_pool_ghosts") == 3
    caller = proxy.caller()
    caller.request("GET", "/waits")
    proxy.wait_metric("curfew_pool_waiting", 1)
    exchange, request = up.take()  # when the last of them is over
    assert request.target == "/waits"
    metrics = proxy.metrics()
    assert metrics.sum("curfew_pool_size") == metrics.sum("curfew_pool_held") == 1 and metrics.sum("curfew_pool_ghosts") == 0
    exchange.answer()
    assert caller.recv_response().status == 200


def test_a_pool_that_a_reload_takes_away_lives_until_its_ghosts_are_over(pair):
    proxy, up = pair(deadline="200ms", pool={"size": 1, "queue": 5, "linger": f"{1000 * SLOW:g}ms"})
    cut(proxy, up)
    for name in ("b", "c", "d"):
        proxy.rewrite({name: {"url": up.url, "deadline": "5s", "pool": {"size": 1}}})
        proxy.must_reload()
    assert proxy.metrics().sum("curfew_pool_ghosts", pool="api") == 1
    proxy.wait_metric("curfew_pool_held", 0)
    cut_by = proxy.caller("d")
    cut_by.request()
    exchange, _ = up.take()
    exchange.answer()
    assert cut_by.recv_response().status == 200


def test_a_pool_in_pools_and_one_of_a_route_may_have_it(curfew, upstream):
    up = upstream()
    routes = [{"path": "/shared", "pool": "shared"}, {"path": "/own", "pool": {"linger": "0s"}}]
    keys = {"url": up.url, "deadline": "200ms", "pool": {"size": 2, "linger": LONG}, "routes": routes}
    proxy = curfew(upstreams={"api": keys}, top={"pools": {"shared": {"size": 1, "linger": "2h"}}})
    for target in ("/", "/shared", "/own"):
        cut(proxy, up, target)
    assert [line.get("lingered_ms") for line in proxy.log(3)] == [3600000, 7200000, None]
    metrics = proxy.metrics()
    assert [metrics.sum("curfew_pool_ghosts", pool=name) for name in ("api", "shared", "api/own")] == [1, 1, 0]
    pools = json.loads(proxy.admin_get("/config")[1])["config"]["pools"]
    assert [pools[name]["linger"] for name in ("api", "shared", "api/own")] == ["1h", "2h", "0s"]
    done = curfew_command("explain", "-c", proxy.config, "GET", "/shared")
    assert "stays held for 2h" in done.stdout
    done = curfew_command("explain", "-c", proxy.config, "GET", "/own")
    assert "stays held" not in done.stdout
    proxy.stop()
