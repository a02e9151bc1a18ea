"""A breaker refuses calls while their API is down, and lets one through now and then to see."""

import json
import select
import threading
import time

import pytest

from harness.bounds import SANITIZED, SLOW, poll
from harness.curfew import Faulty, curfew_command
from harness.load import load
from harness.ports import free_port
from harness.problem import expect
from harness.process import go_ahead_of_others

CLOSE = "Connection: close"


@pytest.fixture
def api(curfew, upstream):
    """api(…) -> (proxy, upstream): one upstream "api" with a breaker, whose exchanges the test takes itself."""
    def make(breaker=None, top=None, **more):
        up = upstream()
        return curfew(url=up.url, breaker=breaker or {}, top=top, **more), up

    return make


def ask_and_answer(proxy, up, status=200, target="/", **more):
    caller = proxy.caller(**more)
    caller.request("GET", target)
    exchange, _ = up.take()
    exchange.answer(status, CLOSE)
    response = caller.recv_response()
    caller.close()
    exchange.close()
    return response


def open_it(proxy, up, failures=5):
    for _ in range(failures):
        assert ask_and_answer(proxy, up, 503).status == 503
    must_be(proxy, "open")


def state_of(proxy, route="default", upstream="api"):
    metrics = proxy.metrics()
    (state,) = [state for state in ("closed", "open", "half_open")
                if metrics.sum("curfew_breaker_state", state=state, route=route, upstream=upstream)]
    return state


def must_be(proxy, state, **labels):
    poll(lambda: state_of(proxy, **labels) == state, lambda: f"{state}, not {state_of(proxy, **labels)}")


def opened(proxy, **labels):
    return proxy.metrics().sum("curfew_breaker_opened_total", **labels)


def rejected(proxy):
    return proxy.metrics().calls("rejected", reason="breaker_open")


def refused(response, state="open", reason="consecutive", upstream="api"):
    problem = expect(response, 503, "destination_unavailable", sent="none", upstream=upstream)
    assert problem["type"] == "urn:curfew:problem:breaker_open"
    assert (problem["state"], problem["reason"]) == (state, reason)
    return problem


def let_in(proxy, up, target="/probe"):
    """Asks until a call is let in, as a probe: (caller, exchange)."""
    found = []

    def asks():
        caller = proxy.caller()
        caller.request("GET", target)
        while not up.has_connection(0.02):
            if select.select([caller.sock], [], [], 0)[0]:
                assert caller.recv_response().status == 503
                caller.close()
                return False
        found.extend((caller, up.take()[0]))
        return True

    poll(asks, "a call to be let in")
    return found


def test_it_refuses_after_failures_in_a_row_and_says_why(api):
    proxy, up = api({"open": "5s", "open_max": "5s"})
    for _ in range(4):
        ask_and_answer(proxy, up, 503)
    must_be(proxy, "closed")
    ask_and_answer(proxy, up, 502)
    must_be(proxy, "open")
    response = proxy.ask()
    problem = refused(response)
    assert 3000 / SLOW < problem["opens_in_ms"] <= 5500
    assert int(response["retry-after"]) == -(-problem["opens_in_ms"] // 1000)
    up.must_have_no_connection()
    metrics = proxy.metrics()
    assert opened(proxy, reason="consecutive") == opened(proxy) == rejected(proxy) == 1
    assert metrics.sum("curfew_tries_started_total") == 5
    line = proxy.log(6)[-1]
    assert (line["outcome"], line["cause"], line["error"], line["sent"]) == ("rejected", "breaker_open", "destination_unavailable", "none")


def test_without_a_breaker_nothing_is_refused_and_no_state_is_told(curfew, upstream):
    up = upstream()
    proxy = curfew(url=up.url)
    for _ in range(8):
        assert ask_and_answer(proxy, up, 503).status == 503
    assert not proxy.metrics().has("curfew_breaker_state")


def test_a_good_probe_closes_it_and_the_log_says_which_call_it_was(api):
    proxy, up = api({"open": "50ms"})
    open_it(proxy, up)
    caller, exchange = let_in(proxy, up)
    assert state_of(proxy) == "half_open"
    assert [call["breaker"] for call in proxy.calls()["calls"]] == ["probe"]
    refused(proxy.ask(), state="half_open")
    exchange.answer(200, CLOSE)
    assert caller.recv_response().status == 200
    must_be(proxy, "closed")
    assert ask_and_answer(proxy, up).status == 200
    proxy.wait_idle()
    probes = [line for line in proxy.log(int(proxy.metrics().ended())) if line.get("breaker") == "probe"]
    assert [(line["target"], line["status"]) for line in probes] == [("/probe", 200)]


def test_a_bad_probe_opens_it_again_for_longer(api):
    proxy, up = api({"open": "50ms", "open_max": "30s", "failures": 1})
    open_it(proxy, up, 1)
    caller, exchange = let_in(proxy, up)
    exchange.answer(503, CLOSE)
    assert caller.recv_response().status == 503
    must_be(proxy, "open")
    assert opened(proxy, reason="consecutive") == 2
    caller, exchange = let_in(proxy, up)
    exchange.answer(429, CLOSE)
    assert caller.recv_response().status == 429
    must_be(proxy, "open")
    assert opened(proxy) == 3


def breaker_of(proxy):
    status, text = proxy.admin_get("/upstreams")
    assert status == 200, text
    [breaker] = json.loads(text)["upstreams"][0]["breakers"]
    return breaker


def test_two_hundred_callers_at_half_open_are_one_call_at_the_api(api):
    proxy, up = api({"open": "100ms"}, deadline="20s")
    open_it(proxy, up)
    callers = [proxy.caller() for _ in range(200)]
    poll(lambda: breaker_of(proxy)["opens_in_ms"] == 0, "its time to be over, though nobody has asked")
    for caller in callers:
        caller.request("GET", "/many")
    exchange, _ = up.take()
    up.must_have_no_connection(0.2)
    proxy.wait_metric("curfew_calls_rejected_total", 199, reason="breaker_open")
    exchange.answer(200, CLOSE)
    statuses = [caller.recv_response().status for caller in callers]
    assert statuses.count(200) == 1 and statuses.count(503) == 199
    must_be(proxy, "closed")


def test_as_many_probes_as_it_says(api):
    proxy, up = api({"open": "50ms", "probes": 3}, deadline="20s")
    open_it(proxy, up)
    first = let_in(proxy, up)
    others = [let_in(proxy, up) for _ in range(2)]
    refused(proxy.ask(), state="half_open")
    for caller, exchange in (*others, first):
        exchange.answer(200, CLOSE)
        assert caller.recv_response().status == 200
    must_be(proxy, "closed")


def test_a_ratio_of_bad_ones_opens_it(api):
    proxy, up = api({"failures": 100, "ratio": "50%", "volume": 10, "window": "1m", "open": "5s"})
    for status in (200, 503) * 4:
        ask_and_answer(proxy, up, status)
    ask_and_answer(proxy, up, 200)
    must_be(proxy, "closed")
    ask_and_answer(proxy, up, 504)
    must_be(proxy, "open")
    refused(proxy.ask(), reason="ratio")
    assert opened(proxy, reason="ratio") == opened(proxy) == 1


def test_statuses_are_those_that_are_named(api):
    proxy, up = api({"failures": 2, "statuses": [500], "open": "5s"})
    for _ in range(3):
        ask_and_answer(proxy, up, 503)
    must_be(proxy, "closed")
    for _ in range(2):
        ask_and_answer(proxy, up, 500)
    must_be(proxy, "open")
    assert proxy.metrics().sums("verdict", "curfew_tries_ended_total") == {"good": 3, "bad": 2, "neutral": 0}


def test_an_api_that_refuses_connections_opens_it(api):
    proxy, up = api({"open": "5s"})
    up.refuse()
    for _ in range(5):
        assert proxy.ask().status == 502
    refused(proxy.ask())


def test_an_api_that_hangs_opens_it_at_the_deadline(api):
    proxy, up = api({"open": "5s", "failures": 3}, deadline="100ms")
    callers = [proxy.caller() for _ in range(3)]
    for caller in callers:
        caller.request()
        up.take()
    for caller in callers:
        assert caller.recv_response().status == 504
    must_be(proxy, "open")
    refused(proxy.ask())


def test_who_waits_for_a_permit_is_refused_when_it_opens(api):
    proxy, up = api({"failures": 1, "open": "5s"}, pool={"size": 2, "queue": 50}, deadline="20s")
    holders = []
    for _ in range(2):
        caller = proxy.caller()
        caller.request()
        holders.append((caller, up.take()[0]))
    waiters = [proxy.caller() for _ in range(20)]
    for waiter in waiters:
        waiter.request("GET", "/waits")
    proxy.wait_metric("curfew_pool_waiting", 20)
    caller, exchange = holders[0]
    exchange.answer(503, CLOSE)
    assert caller.recv_response().status == 503
    for waiter in waiters:
        problem = refused(waiter.recv_response())
        assert problem["phase"] == "queue"
    up.must_have_no_connection(0.05)
    metrics = proxy.metrics()
    assert metrics.sum("curfew_pool_waiting") == 0 and metrics.sum("curfew_pool_held") == 1
    caller, exchange = holders[1]  # it was there before: it goes on, and its verdict is of before
    exchange.answer(200, CLOSE)
    assert caller.recv_response().status == 200
    must_be(proxy, "open")
    assert proxy.wait_idle().sum("curfew_tries_started_total") == 2


def test_waiters_of_another_upstream_on_the_same_pool_stay(curfew, upstream):
    one, two = upstream(), upstream()
    proxy = curfew(upstreams={"one": {"url": one.url, "breaker": {"failures": 1, "open": "5s"}, "pool": "shared", "deadline": "20s"},
                              "two": {"url": two.url, "breaker": {}, "pool": "shared", "deadline": "20s"}},
                   top={"pools": {"shared": {"size": 1, "queue": 10}}})
    holder = proxy.caller(upstream="one")
    holder.request()
    exchange, _ = one.take()
    waiters = {name: proxy.caller(upstream=name) for name in ("one", "two")}
    for number, waiter in enumerate(waiters.values()):
        waiter.request()
        proxy.wait_metric("curfew_pool_waiting", number + 1)
    exchange.answer(503, CLOSE)
    assert holder.recv_response().status == 503
    refused(waiters["one"].recv_response(), upstream="one")
    exchange, _ = two.take()
    exchange.answer(200, CLOSE)
    assert waiters["two"].recv_response().status == 200


def test_a_hung_probe_keeps_nobody_waiting_beyond_its_verdict(api):
    proxy, up = api({"open": "50ms", "open_max": "50ms", "verdict": "200ms"}, deadline="10m")
    open_it(proxy, up)
    hung, exchange = let_in(proxy, up, "/hung")
    other, answered = let_in(proxy, up, "/other")
    assert opened(proxy) == 2
    exchange.answer(200, CLOSE)  # the hung one lives on; its verdict is of before
    assert hung.recv_response().status == 200
    assert state_of(proxy) == "half_open"
    answered.answer(200, CLOSE)
    assert other.recv_response().status == 200
    must_be(proxy, "closed")


LEAVE = {
    "caller leaves": lambda proxy, caller, exchange: caller.close(),
    "caller resets": lambda proxy, caller, exchange: caller.reset(),
    "operator": lambda proxy, caller, exchange: proxy.admin_ask("DELETE", f"/calls/{proxy.calls()['calls'][0]['id']}"),
}


@pytest.mark.parametrize("how", LEAVE)
def test_a_neutral_probe_gives_its_place_back(api, how):
    proxy, up = api({"open": "50ms"}, deadline="20s")
    open_it(proxy, up)
    for _ in range(3):
        caller, exchange = let_in(proxy, up)
        LEAVE[how](proxy, caller, exchange)
        exchange.wait_ended()
    assert opened(proxy) == 1
    caller, exchange = let_in(proxy, up)
    exchange.answer(200, CLOSE)
    assert caller.recv_response().status == 200
    must_be(proxy, "closed")


def test_a_probe_that_leaves_the_queue_gives_its_place_back(curfew, upstream):
    up, other = upstream(), upstream()
    proxy = curfew(upstreams={"api": {"url": up.url, "breaker": {"failures": 1, "open": "50ms"}, "pool": "shared", "deadline": "20s"},
                              "other": {"url": other.url, "pool": "shared", "deadline": "20s"}},
                   top={"pools": {"shared": {"size": 1, "queue": 1}}})
    ask_and_answer(proxy, up, 503, upstream="api")
    must_be(proxy, "open")
    holder = proxy.caller(upstream="other")
    holder.request()
    exchange, _ = other.take()
    for _ in range(3):
        queue_a_probe(proxy).close()
        proxy.wait_metric("curfew_pool_waiting", 0)
        assert state_of(proxy) == "half_open"
    caller = queue_a_probe(proxy)
    exchange.answer(200, CLOSE)
    assert holder.recv_response().status == 200
    exchange, _ = up.take()
    exchange.answer(200, CLOSE)
    assert caller.recv_response().status == 200
    must_be(proxy, "closed")


def queue_a_probe(proxy):
    """Asks until a call is let in, and waits for a permit."""
    waiting = []

    def asks():
        caller = proxy.caller(upstream="api")
        caller.request("GET", "/in-the-queue")
        poll(lambda: caller.has_bytes() or proxy.metrics().sum("curfew_pool_waiting"), "it to be refused, or to wait")
        if not caller.has_bytes():
            waiting.append(caller)
        return bool(waiting)

    poll(asks, "a probe in the queue")
    return waiting[0]


def test_callers_who_leave_do_not_open_it(api):
    proxy, up = api({"failures": 1})
    for _ in range(30):
        caller = proxy.caller()
        caller.request()
        exchange, _ = up.take()
        caller.close()
        exchange.wait_ended()
    assert state_of(proxy) == "closed"
    assert ask_and_answer(proxy, up).status == 200


def test_its_own_refusals_do_not_open_it(api):
    proxy, up = api({"failures": 1}, pool={"size": 1, "queue": 0}, deadline="20s")
    holder = proxy.caller()
    holder.request()
    exchange, _ = up.take()
    for _ in range(50):
        expect(proxy.ask(), 503, "connection_limit_reached")
    assert state_of(proxy) == "closed"
    exchange.answer(200, CLOSE)
    assert holder.recv_response().status == 200


def test_a_route_may_have_a_breaker_of_its_own(api):
    proxy, up = api({"failures": 2, "open": "5s"}, routes=[{"path": "/own", "breaker": {"failures": 1}}, {"path": "/none", "breaker": "none"},
                                                         {"path": "/same"}])
    ask_and_answer(proxy, up, 503, "/own")
    must_be(proxy, "open", route="/own")
    assert state_of(proxy) == "closed"
    refused(proxy.ask("GET", "/own/x"))
    for _ in range(3):
        assert ask_and_answer(proxy, up, 503, "/none").status == 503
    ask_and_answer(proxy, up, 503, "/same")
    ask_and_answer(proxy, up, 503, "/")
    must_be(proxy, "open")
    refused(proxy.ask("GET", "/same"))
    assert ask_and_answer(proxy, up, 200, "/none").status == 200
    metrics = proxy.metrics()
    assert {dict(labels)["route"] for labels in metrics.samples["curfew_breaker_state"]} == {"default", "/own"}


def test_observed_it_refuses_nobody_and_says_whom_it_would_have(api):
    proxy, up = api({"failures": 2, "open": "5s"}, observe=True)
    for _ in range(2):
        ask_and_answer(proxy, up, 503)
    must_be(proxy, "open")
    for _ in range(3):
        assert ask_and_answer(proxy, up, 200).status == 200
    metrics = proxy.wait_idle()
    assert rejected(proxy) == 0 and metrics.calls("spared") == 3
    spared = [line["spared"] for line in proxy.log(5) if "spared" in line]
    assert [one["cause"] for one in spared] == ["breaker_open"] * 3


def test_it_stays_as_it_is_over_a_reload_of_the_same_api(api):
    proxy, up = api({"failures": 2, "open": "20s", "open_max": "20s"})
    open_it(proxy, up, 2)
    proxy.rewrite({"api": {"listen": "127.0.0.1:0", "url": up.url, "breaker": {"failures": 3, "open": "10s"}, "deadline": "3s"}})
    proxy.must_reload()
    refused(proxy.ask())
    assert state_of(proxy) == "open" and opened(proxy) == 1


def test_another_api_begins_with_a_closed_one(api, upstream):
    proxy, up = api({"failures": 2, "open": "20s", "open_max": "20s"})
    open_it(proxy, up, 2)
    other = upstream()
    proxy.rewrite({"api": {"listen": "127.0.0.1:0", "url": other.url, "breaker": {}}})
    proxy.must_reload()
    assert ask_and_answer(proxy, other).status == 200
    assert state_of(proxy) == "closed"


def test_one_that_is_taken_away_and_comes_back_is_closed(api):
    proxy, up = api({"failures": 2, "open": "20s", "open_max": "20s"})
    open_it(proxy, up, 2)
    proxy.rewrite({"api": {"listen": "127.0.0.1:0", "url": up.url}})
    proxy.must_reload()
    assert ask_and_answer(proxy, up, 503).status == 503
    assert not proxy.metrics().has("curfew_breaker_state")
    proxy.rewrite({"api": {"listen": "127.0.0.1:0", "url": up.url, "breaker": {}}})
    proxy.must_reload()
    assert state_of(proxy) == "closed"
    assert ask_and_answer(proxy, up).status == 200


def test_a_reload_in_the_middle_of_a_probe(api):
    proxy, up = api({"open": "50ms"}, deadline="20s")
    open_it(proxy, up)
    caller, exchange = let_in(proxy, up)
    proxy.rewrite({"api": {"listen": "127.0.0.1:0", "url": up.url, "breaker": {"open": "50ms"}, "deadline": "20s"}})
    proxy.must_reload()
    assert state_of(proxy) == "half_open"
    exchange.answer(200, CLOSE)
    assert caller.recv_response().status == 200
    must_be(proxy, "closed")


def test_a_drain_with_an_open_breaker_ends(api):
    proxy, up = api({"failures": 1, "open": "20s", "open_max": "20s"}, pool={"size": 1, "queue": 10}, deadline="20s")
    holder = proxy.caller()
    holder.request()
    exchange, _ = up.take()
    waiter = proxy.caller()
    waiter.request()
    proxy.wait_metric("curfew_pool_waiting", 1)
    exchange.answer(503, CLOSE)
    assert holder.recv_response().status == 503
    refused(waiter.recv_response())
    proxy.stop()


def test_get_upstreams_says_how_the_breakers_are(curfew, upstream):
    up = upstream()
    proxy = curfew(upstreams={"api": {"url": up.url + "/v1", "breaker": {"failures": 1, "open": "20s", "open_max": "20s"},
                                      "routes": [{"path": "/own", "breaker": {}}, {"path": "/same"}]},
                              "bare": {"url": "http://127.0.0.1:1"}})
    status, text = proxy.admin_get("/upstreams")
    closed = {"state": "closed", "opens_in_ms": 0, "reason": None}
    assert status == 200 and json.loads(text) == {"upstreams": [
        {"name": "api", "url": up.url + "/v1", "breakers": [{"route": "default", **closed}, {"route": "/own", **closed}], "addresses": None},
        {"name": "bare", "url": "http://127.0.0.1:1", "breakers": [], "addresses": None}]}
    ask_and_answer(proxy, up, 503, "/", upstream="api")
    must_be(proxy, "open")
    default, own = json.loads(proxy.admin_get("/upstreams")[1])["upstreams"][0]["breakers"]
    assert (default["state"], default["reason"], own["state"]) == ("open", "consecutive", "closed")
    assert 10000 < default["opens_in_ms"] <= 22000


def test_the_history_and_top_say_that_calls_are_refused(api):
    proxy, up = api({"failures": 1, "open": "20s", "open_max": "20s"})
    told = lambda: [one.get("breaker_open", False) for one in json.loads(proxy.admin_get("/history")[1])["upstreams"]]  # noqa: E731
    poll(lambda: told() == [False], "the history to begin")
    open_it(proxy, up, 1)
    poll(lambda: told() == [True], "the page to be told")
    shown = curfew_command("top", "--once", "--admin", f"{proxy.admin[0]}:{proxy.admin[1]}", "--delay", "100ms")
    assert shown.returncode == 0 and "breaker open" in shown.stdout


class Killable:
    """An API that is killed, and comes back at the same address."""

    def __init__(self):
        self.authority = f"127.0.0.1:{free_port()}"
        self.come_back()

    def kill(self):
        self.process.kill()

    def come_back(self):
        self.process = Faulty(listen=self.authority).process


@pytest.fixture
def killable():
    api = Killable()
    yield api
    api.kill()


@pytest.mark.timed
def test_an_api_that_is_killed_costs_a_few_tries_and_is_asked_again_soon(curfew, killable):
    """Dead for 4 s at 500 calls a second. For 10 s: 10 tries came to nothing, and the first 200 came 1.3 s after it was back."""
    rate, outage = int(500 / SLOW), 4
    proxy = curfew(url=f"http://{killable.authority}", breaker={}, deadline="2s")
    results, is_ahead = [], go_ahead_of_others(proxy.process.pid)

    def call():
        go_ahead_of_others()
        results.append(load(proxy.address(), "/ok", calls=int(rate * (outage + 4)), rate=rate))

    calls = threading.Thread(target=call)
    calls.start()
    poll(lambda: proxy.metrics().calls("completed") > rate // 2, "calls that go well")
    killable.kill()
    poll(lambda: rejected(proxy) > rate * (outage - 0.5), "calls that are refused", 3 * outage * SLOW)
    killable.come_back()
    back = time.monotonic()
    poll(lambda: proxy.ask("GET", "/ok").status == 200, "the API to be asked again")
    assert time.monotonic() - back < 2.3 * SLOW
    calls.join()
    (result,) = results
    metrics = proxy.wait_idle()
    assert metrics.sum("curfew_tries_ended_total", verdict="bad") <= 20
    assert result.statuses[503] > rate * (outage - 1) and result.statuses.get(502, 0) <= 20
    refusals = result.told["from_sent_ms"]["503"]
    assert SANITIZED or (refusals["p90"] <= 1 and refusals["p99"] <= (1 if is_ahead else 5)), refusals
    took = sorted(line["elapsed_ms"] for line in proxy.log(int(metrics.sum("curfew_calls_started_total"))) if line["status"] == 503)
    assert SANITIZED or took[len(took) * 99 // 100] <= 1


# ------------------------------------------------------------------------------- and retries

RETRIES = {"attempts": 2, "when": ["reset"], "backoff": {"base": "0s"}}


def begin(proxy, up, target):
    caller = proxy.caller()
    caller.request("GET", target)
    exchange, _ = up.take()
    return caller, exchange


def test_a_retry_that_would_find_the_probes_place_taken_is_not_made(api):
    """Half open, and somebody is there to see: the retry's token is not spent on a refusal."""
    proxy, up = api({"failures": 2, "open": "50ms", "verdict": "1m"}, deadline="20s", retries=RETRIES)
    older, exchange = begin(proxy, up, "/older")
    open_it(proxy, up, 2)
    prober, probe = let_in(proxy, up)
    exchange.reset()
    problem = expect(older.recv_response(), 502, "connection_terminated", sent="complete")
    assert problem["retry_stopped"] == "breaker" and "tries" not in problem
    metrics = proxy.metrics()
    assert metrics.sum("retries_stopped_total", reason="breaker") == 1 and metrics.sum("retry_tokens") == 10
    probe.answer(200)
    assert prober.recv_response().status == 200


def test_a_retry_is_the_probe_when_the_time_is_over(api):
    proxy, up = api({"failures": 2, "open": "50ms"}, deadline="20s", retries=RETRIES)
    older, exchange = begin(proxy, up, "/older")
    open_it(proxy, up, 2)
    poll(lambda: '"opens_in_ms":0' in proxy.admin_get("/upstreams")[1].replace(" ", ""), "its time to be over")
    assert state_of(proxy) == "open"  # until somebody comes
    exchange.reset()
    again, request = up.take()
    assert request.target == "/older"
    again.answer(200, CLOSE)
    assert older.recv_response().status == 200
    must_be(proxy, "closed")


# --------------------------------------------------------------------------- what operators are told


def said(proxy):
    return [line for line in proxy.process.stderr.text().splitlines() if "breaker of" in line]


def test_it_is_said_once_that_it_opened_and_once_that_it_closed(api):
    """And not at each probe that fails."""
    proxy, up = api({"failures": 2, "open": "20ms", "open_max": "20ms"}, deadline="20s")
    open_it(proxy, up, 2)
    for status in (503, 503, 200):
        prober, probe = let_in(proxy, up)
        probe.answer(status, CLOSE)
        assert prober.recv_response().status == status
    must_be(proxy, "closed")
    lines = poll(lambda: said(proxy) if len(said(proxy)) == 2 else None, lambda: f"two lines: {said(proxy)}")
    assert "info: breaker of upstream api opened: tries went wrong one after the other" in lines[0]
    assert "info: breaker of upstream api closed" in lines[1]
    assert opened(proxy) == 3


def test_a_breaker_of_a_route_is_said_to_be_that(api):
    proxy, up = api(routes=[{"path": "/v1", "methods": ["GET"], "breaker": {"failures": 1, "open": "1m", "open_max": "1m"}}])
    assert ask_and_answer(proxy, up, 503, "/v1/x").status == 503
    line, = poll(lambda: said(proxy), "a line")
    assert "breaker of upstream api, route GET /v1 opened" in line


def test_who_asks_for_streams_is_told_to_come_back_at_different_times(api):
    proxy, up = api({"open": "200s", "open_max": "200s"}, streams={})
    open_it(proxy, up)

    def told(method):
        response = proxy.ask(method)
        return int(response["retry-after"]), -(-refused(response)["opens_in_ms"] // 1000)

    spread = [told("GET") for _ in range(40)]
    assert all(0.9 * true - 1 <= after <= 1.1 * true + 1 for after, true in spread)
    assert len({after - true for after, true in spread}) > 10
    assert all(after == true for after, true in (told(method) for method in ["POST", "PUT", "OPTIONS"]))
