"""Pools in which more than a free permit is needed to start: time that is left, a slot of the rate."""

import json
import signal
import threading
import time

import pytest

from harness.bounds import SANITIZED, SLOW, SOON, Stopwatch, poll
from harness.curfew import curfew_command
from harness.load import load
from harness.problem import expect
from test_pool import ask_many, queue_up


def rejected(metrics, reason):
    return metrics.sum("curfew_calls_rejected_total", reason=reason)


# ------------------------------------------------------------------------------- least


@pytest.mark.one_worker
def test_a_waiter_with_too_little_time_left_is_refused_and_the_permit_goes_on(pair):
    proxy, up = pair(deadline="30s", pool={"size": 1, "queue": 10, "least": "10s"},
                     caller_deadline={"headers": ["X-Timeout-Ms"]})
    holder, = ask_many(proxy, 1, "/holder")
    exchange, _ = up.take()
    short = []
    for n in range(3):
        caller = proxy.caller()
        caller.request("GET", f"/short{n}", f"X-Timeout-Ms: {int(10000 + 300 * SLOW)}")
        proxy.wait_metric("curfew_pool_waiting", n + 1)
        short.append(caller)
    long, = queue_up(proxy, 1, "/long", already=3)
    poll(lambda: sum(call["left_ms"] < 10_000 for call in proxy.calls()["calls"]) == 3, "less than 10 s to be left to the three")
    exchange.answer()
    assert exchange.recv_request().target == "/long0"  # on the connection that has become free
    for caller in short:
        response = caller.recv_response()
        problem = expect(response, 503, "connection_limit_reached", phase="queue", sent="none")
        assert problem["type"] == "urn:curfew:problem:too_late" and response["retry-after"] == "1"
    exchange.answer()
    assert holder.recv_response().status == long.recv_response().status == 200
    metrics = proxy.wait_idle()
    assert rejected(metrics, "too_late") == 3 and metrics.sum("curfew_pool_acquired_total") == 2
    assert [line["cause"] for line in proxy.log(5)].count("too_late") == 3


@pytest.mark.one_worker
@pytest.mark.timed
def test_who_would_have_to_wait_with_too_little_time_is_refused_on_arrival(pair):
    proxy, up = pair(deadline="1s", pool={"size": 1, "queue": 10, "least": "5s"})
    holder, = ask_many(proxy, 1)  # a permit is free: it begins, whatever is left
    exchange, _ = up.take()
    watch = Stopwatch()
    expect(proxy.ask(), 503, "connection_limit_reached", phase="queue", sent="none")
    assert watch.elapsed() < 0.5 * SLOW
    exchange.answer()
    assert holder.recv_response().status == 200
    assert proxy.wait_idle().sum("curfew_pool_waiting") == 0


@pytest.mark.one_worker
def test_of_an_observed_upstream_nobody_is_refused_and_it_is_counted(pair):
    proxy, up = pair(deadline="1s", observe=True, observe_ceiling="60s", pool={"size": 1, "queue": 10, "least": "900ms"})
    holder, = ask_many(proxy, 1)
    exchange, _ = up.take()
    waiting, = queue_up(proxy, 1)
    poll(lambda: all(call["age_ms"] > 100 for call in proxy.calls()["calls"]), "less than 900 ms of 1 s to be left")
    exchange.answer()
    exchange.recv_request()
    exchange.answer()
    assert (holder.recv_response().status, waiting.recv_response().status) == (200, 200)
    assert proxy.wait_idle().sum("curfew_calls_spared_total", phase="queue") == 1
    assert next(line["spared"]["cause"] for line in proxy.log(2) if line.get("spared")) == "too_late"


@pytest.mark.one_worker
@pytest.mark.timed
def test_p95_is_learnt_from_calls_that_have_completed(curfew, upstream):
    """Twice as many calls as the pool can take: without it, all would be started when it is too late for them."""
    release = threading.Event()

    def serve(exchange):
        while True:
            request = exchange.recv_request()
            release.wait(0.1 if request.target == "/work" else 0)
            exchange.answer()

    up = upstream(serve)
    proxy = curfew(url=up.url, deadline="600ms", pool={"size": 4, "queue": 1000, "least": "p95"})
    load(proxy.address(), "/work", calls=120, concurrency=4)
    result = load(proxy.address(), "/work", calls=240, rate=80)
    metrics = proxy.wait_idle()
    assert rejected(metrics, "too_late") > 0
    assert result.statuses[200] >= 0.35 * 240, result
    assert result.statuses.get(504, 0) <= 0.1 * 240, result


# -------------------------------------------------------------------------------- rate


class Clocked:
    """Answers at once and writes down when each request came."""

    def __init__(self, upstream):
        self.came, self.lock = [], threading.Lock()
        self.upstream = upstream(self._serve)
        self.url = self.upstream.url

    def _serve(self, exchange):
        while True:
            exchange.recv_request()
            with self.lock:
                self.came.append(time.monotonic())
            exchange.answer()

    def most_within(self, seconds):
        came = sorted(self.came)
        first, most = 0, 0
        for last, at in enumerate(came):
            while at - came[first] > seconds:
                first += 1
            most = max(most, last - first + 1)
        return most


@pytest.mark.alone
@pytest.mark.parametrize("workers", [1, 2])
def test_of_a_crowd_as_many_start_as_the_rate_lets_and_the_others_are_refused_at_once(curfew, faulty, workers):
    api = faulty()
    proxy = curfew(url=api.url, deadline="2s", top={"workers": workers, "limits": {"connections": 2000}},
                   pool={"size": 1000, "queue": 1000, "rate": {"limit": "100/s", "burst": 20}})
    result = load(proxy.address(), "/ok", calls=1000, at_once=True)
    lines = proxy.log(1000)
    spread = max(line["elapsed_ms"] for line in lines if line["status"] == 200)
    assert spread >= 1900
    # The crowd takes a moment to come in: each 10 ms of it are a slot more.
    assert 219 <= result.statuses[200] <= 221 + 30 * SLOW, result
    # A loop that is late by more than the slot has to leave finds the last one's deadline first.
    late = [(line["phase"], line["phases_ms"]) for line in lines if line["status"] == 504]
    assert len(late) <= (2 if SANITIZED else 0), late
    assert set(result.statuses) - {504} == {200, 503} and result.statuses[200] + result.statuses[503] + len(late) == 1000
    refused = [line for line in lines if line["status"] == 503]
    assert {line["cause"] for line in refused} <= {"rate", "too_late"}
    at_once = sorted(line["elapsed_ms"] for line in refused if line["cause"] == "rate")
    assert len(at_once) >= len(refused) - 1 and at_once[-1] <= 1 * SLOW
    metrics = proxy.wait_idle()
    assert metrics.sum("curfew_rate_started_total", pool="api") == metrics.sum("curfew_pool_acquired_total")
    assert metrics.sum("curfew_rate_limit", pool="api") == 100
    assert metrics.sum("curfew_pool_audit_errors_total") == 0


@pytest.mark.alone
def test_no_second_has_more_starts_than_burst_and_rate_allow(curfew, upstream):
    api = Clocked(upstream)
    proxy = curfew(url=api.url, deadline="5s", top={"workers": 2, "limits": {"connections": 2000}},
                   pool={"size": 1000, "queue": 1000, "rate": {"limit": "100/s", "burst": 20}})
    result = load(proxy.address(), "/", calls=300, at_once=True)
    assert result.statuses == {200: 300}
    assert api.most_within(1.0) <= 120 + 5 * SLOW  # what is on its way for some ms comes a little closer together
    assert api.most_within(0.1) <= 30 + 5 * SLOW
    assert proxy.wait_idle().sum("curfew_rate_started_total") == 300


@pytest.mark.one_worker
@pytest.mark.timed
def test_retry_after_is_the_time_of_the_slot_that_would_have_been(pair):
    proxy, up = pair(deadline="5s", pool={"size": 10, "queue": 10, "rate": {"limit": "6/m"}})
    first, = ask_many(proxy, 1)
    exchange, _ = up.take()
    response = proxy.ask()
    problem = expect(response, 503, "connection_limit_reached", phase="queue", sent="none")
    assert problem["type"] == "urn:curfew:problem:rate" and 9 <= int(response["retry-after"]) <= 10
    assert problem["elapsed_ms"] <= 100 * SLOW
    exchange.answer()
    assert first.recv_response().status == 200
    pool, = proxy.pools()["pools"]
    assert (pool["rate_limit"], pool["rate_started"]) == (0.1, 1)


@pytest.mark.one_worker
def test_a_slot_beyond_queue_timeout_is_no_use(pair):
    proxy, up = pair(deadline="1m", pool={"size": 10, "queue": 10, "queue_timeout": "1s", "rate": {"limit": "6/m"}})
    ask_many(proxy, 1)
    up.take()
    expect(proxy.ask(), 503, "connection_limit_reached", phase="queue", sent="none")
    assert proxy.log(1)[0]["cause"] == "rate"


def test_a_call_waits_for_its_slot_and_no_permit_is_held_meanwhile(pair):
    proxy, up = pair(deadline="20s", pool={"size": 1, "queue": 10, "rate": {"limit": "1/s"}})
    watch = Stopwatch()
    caller = proxy.caller()
    caller.request("GET", "/")
    exchange, _ = up.take()
    exchange.answer()
    assert caller.recv_response().status == 200
    caller.request("GET", "/")
    metrics = proxy.wait_metric("curfew_pool_waiting", 1)
    waits_at = watch.elapsed()
    assert metrics.sum("curfew_pool_held") == 0 and metrics.in_flight(phase="queue") == 1
    exchange.recv_request()
    assert 0.95 <= watch.elapsed()
    exchange.answer()
    assert caller.recv_response().status == 200
    assert 950 - waits_at * 1000 <= proxy.log(2)[1]["phases_ms"]["queue"]


@pytest.mark.timed
def test_a_caller_who_leaves_while_waiting_for_a_slot_takes_none(pair):
    proxy, up = pair(deadline="20s", pool={"size": 5, "queue": 10, "rate": {"limit": "2/s"}})
    callers = ask_many(proxy, 1)
    up.take()
    callers += queue_up(proxy, 2)
    callers[1].close()
    proxy.wait_metric("curfew_pool_waiting", 1)
    exchange, request = up.take()  # half a second after the first, not a whole one
    assert request.target == "/q1"
    exchange.answer()
    assert callers[2].recv_response().status == 200
    line = next(line for line in proxy.log(2) if line["target"] == "/q1")
    assert line["phases_ms"]["queue"] <= 500 + 300 * SLOW


def test_a_drain_refuses_who_waits_for_a_slot(pair):
    proxy, up = pair(deadline="20s", pool={"size": 5, "queue": 10, "rate": {"limit": "6/m"}},
                     top={"drain": "10s"})
    callers = ask_many(proxy, 1)
    exchange, _ = up.take()
    callers += queue_up(proxy, 1)
    proxy.process.signal(signal.SIGTERM)
    expect(callers[1].recv_response(), 503, "connection_limit_reached", phase="queue", sent="none")
    exchange.answer()
    assert callers[0].recv_response().status == 200
    proxy.process.wait_exit()


@pytest.mark.one_worker
def test_a_reload_that_takes_the_rate_away_lets_waiters_in(pair):
    proxy, up = pair(deadline="60s", pool={"size": 5, "queue": 10, "rate": {"limit": "6/m"}})
    callers = ask_many(proxy, 1)
    up.take()
    callers += queue_up(proxy, 2)
    proxy.rewrite({"api": {"url": f"http://{up.authority}", "deadline": "60s", "pool": {"size": 5, "queue": 10}}})
    proxy.must_reload()
    for _ in range(2):
        up.take()[0].answer()
    assert [caller.recv_response().status for caller in callers[1:]] == [200, 200]
    assert proxy.metrics().sum("curfew_rate_limit") == 0


def test_a_pool_without_a_rate_has_no_metrics_of_one(pair):
    proxy, _ = pair()
    text = proxy.metrics().text
    assert "curfew_rate_limit{" not in text and "curfew_rate_started_total{" not in text
    assert "rate_limit" not in proxy.pools()["pools"][0]


@pytest.mark.parametrize("pool, message", [
    ({"rate": "100/s"}, "write rate: {limit: 100/s}"),
    ({"rate": {"burst": 3}}, "limit"),
    ({"rate": {"limit": "100"}}, "did you mean 100/s"),
    ({"rate": {"limit": "100rps"}}, "did you mean 100/s"),
    ({"rate": {"limit": "100/min"}}, "did you mean 100/m"),
    ({"rate": {"limit": "0/s"}}, "out of bounds"),
    ({"rate": {"limit": "2000000/s"}}, "out of bounds"),
    ({"rate": {"limit": "100/s", "burst": 0}}, "out of bounds"),
    ({"least": "p99"}, "p99"),
    ({"least": "0s"}, "out of bounds"),
])
def test_what_is_wrong_is_said(tmp_path, pool, message):
    config = {"upstreams": {"api": {"listen": "127.0.0.1:0", "url": "http://127.0.0.1:1", "pool": pool}}}
    file = tmp_path / "c.yaml"
    file.write_text(json.dumps(config))
    done = curfew_command("check", file)
    assert done.returncode == 1 and "upstreams.api.pool" in done.stderr and message in done.stderr


def test_what_was_set_above_can_be_taken_back(tmp_path):
    file = tmp_path / "c.yaml"
    file.write_text("""
defaults: {pool: {least: p95, rate: {limit: 3600/h, burst: 5}}}
upstreams:
  api:
    listen: 127.0.0.1:8080
    url: http://127.0.0.1:1
    routes:
      - {path: /free, pool: {least: none, rate: none}}
      - {path: /slow, pool: {rate: {limit: 1/h}}}
""")
    for target, lines in (("/", ["1/s may start, after a rest 5 at once", "19 of 20"]),
                          ("/slow", ["1/h may start, after a rest 5 at once"]), ("/free", [])):
        said = curfew_command("explain", "-c", file, "GET", f"http://127.0.0.1:8080{target}").stdout
        assert all(line in said for line in lines), said
        assert ("may start" in said) == (" no slot in time" in said) == bool(lines), said
