"""Tries after one that has failed: when there are any, how they are made, what they cost, and what is told of them."""

import json
import signal
from contextlib import closing

import pytest

from harness.bounds import SLOW, SOON, Stopwatch, poll
from harness.h2_caller import H2Caller
from harness.load import load
from harness.problem import expect, parse
from harness.wire import Cut

RETRIES = {"attempts": 3, "when": ["connect", "reset", 429, 500, 503], "backoff": {"base": "1ms", "max": "4ms"}}


@pytest.fixture
def flaky(curfew, faulty):
    """curfew in front of `curfew faulty`: (proxy, api); the keys are those of retries."""
    def make(top=None, upstream=None, **retries):
        api = faulty()
        return curfew(url=api.url, top=top, retries={**RETRIES, **retries}, **(upstream or {})), api

    return make


def retried(pair, upstream=None, **retries):
    return pair(retries={**RETRIES, **retries}, **(upstream or {}))


def stopped(proxy):
    """Reasons for which there was no retry, each as often as there were calls."""
    metrics = proxy.wait_idle()
    return {dict(labels)["reason"]: int(value) for labels, value in metrics.samples["curfew_retries_stopped_total"].items()
            if value}


def tries_of(line):
    return [(one["status"], one["cause"]) for one in line["tries"]]


# ---------------------------------------------------------------------------- which


@pytest.mark.parametrize("steps, tries", [
    ("503,200", [(503, "none"), (200, "none")]),
    ("reset,200", [(0, "connection_terminated"), (200, "none")]),
    ("close,500,200", [(0, "connection_terminated"), (500, "none"), (200, "none")]),
])
def test_a_failure_that_is_listed_is_followed_by_another_try(flaky, steps, tries):
    proxy, api = flaky()
    response = proxy.ask("GET", f"/seq/{steps}")
    assert (response.status, response.content) == (200, b"status 200\n")
    line, = proxy.log()
    assert tries_of(line) == tries
    assert [(one["upstream"], one["sent"]) for one in line["tries"]] == [("api", "complete")] * len(tries)
    assert (line["outcome"], line["status"]) == ("completed", 200) and "retry_stopped" not in line
    assert line["phases_ms"]["backoff"] > 0 or len(tries) == 1
    metrics = proxy.wait_idle()
    assert metrics.sum("calls_saved_total", upstream="api", route="default") == 1
    assert api.stats()["requests_total"] == len(tries)


def test_what_is_not_listed_is_passed_on_and_has_no_reason(flaky):
    proxy, api = flaky()
    for steps in ("404", "502", "200"):
        assert proxy.ask("GET", f"/seq/{steps}").status == int(steps)
    assert stopped(proxy) == {}
    assert api.stats()["requests_total"] == 3
    assert all("tries" not in line and "retry_stopped" not in line for line in proxy.log(3))


def test_junk_is_tried_again_and_a_switch_of_protocols_or_a_head_that_is_too_large_is_not(pair):
    proxy, up = retried(pair, {"upgrade": {"protocols": ["websocket"]}}, when=["junk"], attempts=2)
    ask_to_switch = ("Connection: Upgrade", "Upgrade: websocket")
    for head, fields, tries in (
            (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n", (), 2),
            (b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n", (), 1),
            (b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: other\r\n\r\n", ask_to_switch, 1),
            (b"HTTP/1.1 200 OK\r\nA: " + bytes(100000).replace(b"\0", b"a") + b"\r\n\r\n", (), 1)):
        with closing(proxy.caller()) as caller:
            caller.request("GET", "/", *fields)
            for _ in range(tries):
                up.take()[0].send(head)
            assert caller.recv_response().status == 502
    up.must_have_no_connection()
    assert stopped(proxy) == {"attempts": 1}
    assert ["retry_stopped" in line for line in proxy.log(4)] == [True, False, False, False]


def test_the_apis_last_answer_is_the_callers(pair):
    """haproxy#439: a 503 three times is the third one, byte for byte."""
    proxy, up = retried(pair)
    caller = proxy.caller()
    caller.request("GET", "/")
    exchange = up.accept()
    for number in range(3):
        exchange.recv_request()
        exchange.answer(503, f"X-Number: {number}", content=b"no %d" % number)
    response = caller.recv_response()
    assert (response.status, response["x-number"], response.content) == (503, "2", b"no 2")
    assert stopped(proxy) == {"attempts": 1}
    line, = proxy.log()
    assert (line["status"], line["outcome"], line["retry_stopped"]) == (503, "completed", "attempts")
    assert proxy.metrics().sum("calls_saved_total") == 0
    caller.must_be_open()


def test_a_response_is_kept_for_when_no_later_try_has_one(pair):
    proxy, up = retried(pair)
    caller = proxy.caller()
    caller.request("GET", "/")
    exchange, _ = up.take()
    exchange.answer(503, "X-Number: 1", "Connection: close", content=b"no")
    for _ in range(2):
        up.take()[0].reset()
    response = caller.recv_response()
    assert (response.status, response["x-number"], response.content) == (503, "1", b"no")
    line, = proxy.log()
    assert tries_of(line) == [(503, "none"), (0, "connection_terminated"), (0, "connection_terminated")]
    assert stopped(proxy) == {"attempts": 1}
    caller.must_be_open()


def test_half_a_head_is_no_response(pair):
    proxy, up = retried(pair, attempts=3)
    caller = proxy.caller()
    caller.request("GET", "/")
    up.take()[0].answer(503, "X-Number: 1", "Connection: close", content=b"no")
    for _ in range(2):
        exchange, _ = up.take()
        exchange.send(b"HTTP/1.1 200 OK\r\nX-Num")
        exchange.close()
    response = caller.recv_response()
    assert (response.status, response["x-number"], response.content) == (503, "1", b"no")
    assert stopped(proxy) == {"attempts": 1}
    caller.must_be_open()


def test_a_response_that_was_not_here_whole_is_told_by_its_status(pair):
    proxy, up = retried(pair, attempts=2)
    caller = proxy.caller()
    caller.request("GET", "/")
    exchange, _ = up.take()
    exchange.send(b"HTTP/1.1 503 No\r\nContent-Length: 100000\r\n\r\n" + bytes(100))
    exchange.must_end()
    up.take()[0].reset()
    problem = expect(caller.recv_response(), 502, "connection_terminated", sent="complete")
    assert problem["last_status"] == 503
    assert [one["status"] for one in problem["tries"]] == [503, 0]
    assert problem["retry_stopped"] == "attempts"


def test_a_failure_is_told_with_all_tries(flaky):
    proxy, _ = flaky(attempts=2)
    problem = expect(proxy.ask("GET", "/seq/reset"), 502, "connection_terminated", phase="wait", sent="complete")
    assert [one["cause"] for one in problem["tries"]] == ["connection_terminated"] * 2
    assert problem["retry_stopped"] == "attempts"
    assert set(problem["tries"][0]) == {"upstream", "address", "sent", "status", "cause", "ms"}


def test_a_refused_connection_is_tried_again(pair):
    proxy, up = retried(pair)
    up.refuse()
    problem = expect(proxy.ask("POST", "/", content=b"abc"), 502, "connection_refused", sent="none")
    assert len(problem["tries"]) == 3 and problem["retry_stopped"] == "attempts"


# ------------------------------------------------------------------------ which not


@pytest.mark.parametrize("ending", ["close", "reset"])
def test_a_post_that_the_api_has_read_is_never_sent_again(pair, ending):
    """ComfyUI#16204: billed twice."""
    proxy, up = retried(pair)
    caller = proxy.caller()
    caller.request("POST", "/", content=b"abc")
    exchange, _ = up.take()
    getattr(exchange, ending)()
    problem = expect(caller.recv_response(), 502, "connection_terminated", sent="complete")
    assert problem["retry_stopped"] == "unsafe" and "tries" not in problem
    assert stopped(proxy) == {"unsafe": 1}
    up.must_have_no_connection(0.05)


def test_a_key_makes_a_post_repeatable(flaky):
    proxy, api = flaky()
    assert proxy.ask("POST", "/seq/503,200", "idempotency-key: 1", content=b"abc").status == 200
    assert proxy.ask("POST", "/seq/503,200?key=2", "Idempotency-Key:", content=b"abc").status == 503
    assert api.stats()["requests_total"] == 3
    assert stopped(proxy) == {"unsafe": 1}


@pytest.mark.parametrize("steps, status, reason", [("429,200", 200, None), ("503,200?after=0", 200, None), ("503,200", 503, "unsafe"),
                                                   ("500,200?after=0", 500, "unsafe")])
def test_a_refusal_is_believed_of_any_request_if_it_is_set_so(flaky, steps, status, reason):
    proxy, _ = flaky(repeat={"refused": True})
    assert proxy.ask("POST", f"/seq/{steps}", content=b"abc").status == status
    assert stopped(proxy) == ({reason: 1} if reason else {})


def test_methods_are_those_that_are_listed(flaky):
    proxy, _ = flaky(repeat={"methods": ["BREW"], "key": "none"})
    assert proxy.ask("GET", "/seq/503,200", "Idempotency-Key: 1").status == 503
    assert proxy.ask("BREW", "/seq/503,200?key=b").status == 200
    assert stopped(proxy) == {"unsafe": 1}


def test_an_api_may_say_that_it_makes_no_sense(flaky):
    proxy, api = flaky()
    assert proxy.ask("GET", "/seq/503,200?told").status == 503
    assert stopped(proxy) == {"told": 1}
    assert api.stats()["requests_total"] == 1


def test_a_response_that_has_begun_is_not_taken_back(pair):
    proxy, up = retried(pair)
    caller = proxy.caller()
    caller.request("GET", "/")
    exchange, _ = up.take()
    exchange.send(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc")
    caller.recv_response_head()
    assert caller.read_exactly(3) == b"abc"
    exchange.reset()
    caller.wait_ended()
    assert stopped(proxy) == {"delivered": 1}
    up.must_have_no_connection(0.05)


@pytest.mark.parametrize("ending", ["reset", "close"])
def test_a_response_that_is_cut_is_not_followed_by_one_that_was_kept(pair, ending):
    """A kept 503 behind the beginning of a 200 would be taken for its content."""
    proxy, up = retried(pair)
    caller = proxy.caller()
    caller.request("GET", "/")
    exchange = up.accept()
    exchange.recv_request()
    exchange.answer(503, content=b"later")
    exchange.recv_request()
    exchange.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nbegun")
    assert caller.recv_response_head().status == 200
    assert caller.read_exactly(5) == b"begun"
    getattr(exchange, ending)()
    with pytest.raises(Cut) as cut:
        caller.read_exactly(95)
    assert cut.value.content == b""
    line, = proxy.log()
    assert (line["outcome"], line["cause"]) == ("failed", "http_response_incomplete")
    assert [one["status"] for one in line["tries"]] == [503, 200]


def test_hints_are_a_part_of_the_response(pair):
    proxy, up = retried(pair)
    caller = proxy.caller()
    caller.request("GET", "/")
    exchange, _ = up.take()
    exchange.answer(103, "Link: </a>")
    assert caller.recv_response_head().status == 103
    exchange.answer(503, content=b"no")
    assert caller.recv_response().status == 503
    assert stopped(proxy) == {"delivered": 1}


def test_a_100_is_no_part_of_it_and_is_said_once(pair):
    proxy, up = retried(pair)
    caller = proxy.caller()
    caller.send(b"PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n")
    exchange = up.accept()
    exchange.recv_head()
    exchange.answer(100)
    assert caller.recv_response_head().status == 100
    caller.send(b"abc")
    assert exchange.read_exactly(3) == b"abc"
    exchange.reset()
    exchange = up.accept()
    exchange.recv_head()
    exchange.answer(100)
    assert exchange.read_exactly(3) == b"abc"
    exchange.answer(200, content=b"ok")
    assert caller.recv_response().status == 200


# ------------------------------------------------------------------------- content


@pytest.mark.parametrize("lines, content", [((), b"abc" * 1000), ((), bytes(60000)), (("Transfer-Encoding: chunked",), b"5\r\nhello\r\n0\r\n\r\n"),
                                            (("Transfer-Encoding: chunked", "Trailer: X-T"), b"3\r\nabc\r\n0\r\nX-T: 1\r\n\r\n")],
                         ids=("short", "long", "chunked", "with trailers"))
def test_a_try_sends_the_same_bytes_as_the_one_before(pair, lines, content):
    """R8: the same content, the same key."""
    proxy, up = retried(pair)
    caller = proxy.caller()
    if not lines:
        lines = (f"Content-Length: {len(content)}",)
    caller.send(("\r\n".join(["PUT /x?y HTTP/1.1", "Host: a", "Idempotency-Key: k", "traceparent: t", *lines]) + "\r\n\r\n").encode() + content)
    seen = []
    for ending in ("reset", None):
        exchange = up.accept()
        request = exchange.recv_request()
        seen.append((request.raw_head, request.content, list(request.fields)))
        if ending:
            exchange.reset()
    exchange.answer(200, content=b"ok")
    assert caller.recv_response().status == 200
    assert seen[0] == seen[1]
    caller.must_be_open()
    assert proxy.ask("PUT", "/", content=b"x") if False else True


def test_content_that_comes_after_the_failure_is_sent_too(pair):
    """The API refuses before it has read all: the next try has what is kept, and then the rest from the caller."""
    proxy, up = retried(pair)
    caller = proxy.caller()
    caller.send(b"PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 6\r\n\r\nabc")
    exchange = up.accept()
    exchange.recv_head()
    assert exchange.read_exactly(3) == b"abc"
    exchange.send(b"HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n")
    again = up.accept()
    again.recv_head()
    assert again.read_exactly(3) == b"abc"
    caller.send(b"def")
    assert again.read_exactly(3) == b"def"
    again.answer(200, content=b"ok")
    assert caller.recv_response().status == 200


def test_more_content_than_is_kept_goes_once(pair):
    proxy, up = retried(pair, repeat={"content": "1KiB"})
    caller = proxy.caller()
    caller.request("PUT", "/", content=bytes(1025))
    exchange, request = up.take()
    assert len(request.content) == 1025
    exchange.answer(503, content=b"no")
    assert caller.recv_response().status == 503
    assert stopped(proxy) == {"content": 1}


@pytest.mark.one_worker
def test_all_content_together_has_a_bound(pair):
    """R13: what is kept is never more than limits.replay; what finds no room is sent, and not kept."""
    proxy, up = pair(top={"limits": {"replay": "64KiB"}}, retries={**RETRIES, "repeat": {"content": "48KiB"}})
    first = proxy.caller()
    first.request("PUT", "/1", content=bytes(49152))
    kept = up.accept()
    kept.recv_request()
    second = proxy.caller()
    second.request("PUT", "/2", content=bytes(49152))
    other = up.accept()
    other.recv_request()
    other.answer(503, content=b"no")
    assert second.recv_response().status == 503
    kept.answer(503, content=b"no")
    assert kept.recv_request().content == bytes(49152)
    kept.answer(200)
    assert first.recv_response().status == 200
    assert stopped(proxy) == {"content": 1}
    # All of it has been given back.
    third = proxy.caller()
    third.request("PUT", "/3", content=bytes(49152))
    for status in (503, 200):
        kept.recv_request()
        kept.answer(status)
    assert third.recv_response().status == 200


def test_a_large_upload_survives_a_refused_connection(curfew, upstream):
    """envoy#32464: nothing of it has been read beyond a block."""
    up = upstream()
    up.refuse()
    proxy = curfew(url=up.url, deadline="20s", retries={**RETRIES, "attempts": 5, "backoff": {"base": "200ms", "max": "400ms"}})
    caller = proxy.caller()
    content = bytes(range(256)) * 4096
    caller.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % len(content))
    proxy.wait_in_flight(1, "backoff")
    replacement = upstream(port=up.port)
    caller.send(content)
    exchange, request = replacement.take()
    assert request.content == content
    exchange.answer(200)
    assert caller.recv_response().status == 200
    assert len(proxy.log()[0]["tries"]) >= 2


# ----------------------------------------------------------------------------- time


@pytest.mark.timed
def test_a_wait_that_does_not_fit_is_not_begun(flaky):
    """R6: it ends at once, not at the deadline."""
    proxy, api = flaky(upstream={"deadline": "500ms"}, per_try="400ms", retry_after="10s")
    watch = Stopwatch()
    assert proxy.ask("GET", "/seq/503,200?after=1").status == 503
    assert watch.elapsed() < 0.3 * SLOW
    assert stopped(proxy) == {"time": 1}
    assert api.stats()["requests_total"] == 1


@pytest.mark.parametrize("after, status, reason", [("0", 200, None), ("1", 200, None), ("2.5", 503, "wait"), ("1000000000000", 503, "wait"),
                                                   ("-1", 200, None), ("soon", 200, None),
                                                   ("Sun,%2006%20Nov%201994%2008:49:37%20GMT", 200, None)])
def test_retry_after_is_kept_to_in_all_its_forms(flaky, after, status, reason):
    """R10"""
    proxy, _ = flaky(upstream={"deadline": "5s"})
    watch = Stopwatch()
    assert proxy.ask("GET", f"/seq/503,200?after={after}").status == status
    assert after != "1" or watch.elapsed() >= 1
    assert stopped(proxy) == ({reason: 1} if reason else {})


def test_too_many_without_a_time_waits_and_costs_a_token(flaky):
    """R11"""
    proxy, _ = flaky(backoff={"base": "50ms", "max": "50ms"}, budget={"burst": 1, "share": "0%"})
    assert proxy.ask("GET", "/seq/429,200").status == 200
    assert proxy.ask("GET", "/seq/429,200?key=2").status == 429
    assert stopped(proxy) == {"budget": 1}


def test_a_slow_failure_is_passed_on(flaky):
    """R17: what is left is not enough for a try as long as that one might be."""
    proxy, api = flaky(upstream={"deadline": "1s"}, per_try="700ms")
    assert proxy.ask("GET", "/seq/503~600,200").status == 503
    assert stopped(proxy) == {"time": 1}
    assert api.stats()["requests_total"] == 1


@pytest.mark.timed
def test_per_try_gives_a_silent_try_up(flaky):
    proxy, api = flaky(upstream={"deadline": "2s"}, per_try="200ms")
    watch = Stopwatch()
    assert proxy.ask("GET", "/seq/stuck,200").status == 200
    watch.is_over_at(0.2)
    line, = proxy.log()
    assert tries_of(line) == [(0, "per_try"), (200, "none")]
    api.wait_stats(lambda stats: stats["in_work"] == 0, "the first try is still at the API")


def test_per_try_costs_no_call(flaky):
    """R15: a POST that may not be sent again goes on, and so does the last try."""
    proxy, api = flaky(upstream={"deadline": "3s"}, per_try="50ms", attempts=2)
    assert proxy.ask("POST", "/delay/200", content=b"abc").status == 200
    assert proxy.ask("GET", "/seq/200~200,200~200").status == 200
    assert stopped(proxy) == {}
    assert api.stats()["requests_total"] == 3
    first, second = proxy.log(2)
    assert "tries" not in first and tries_of(second) == [(0, "per_try"), (200, "none")]


def test_per_try_ends_with_the_head(flaky):
    proxy, api = flaky(upstream={"deadline": "3s"}, per_try="150ms")
    assert proxy.ask("GET", "/drip/100?bytes=4").status == 200
    assert api.stats()["requests_total"] == 1


def test_an_observed_upstream_is_not_limited_by_per_try(flaky):
    proxy, api = flaky(upstream={"deadline": "3s", "observe": True}, per_try="50ms")
    assert proxy.ask("GET", "/seq/200~200,200").status == 200
    assert api.stats()["requests_total"] == 1
    line, = proxy.log()
    assert line["spared"]["cause"] == "first_byte_timeout" and line["spared"]["phase"] == "wait"


# -------------------------------------------------------------------------- backoff


def waiting(flaky, **more):
    """A call in its back-off, for long: (proxy, api, caller)."""
    proxy, api = flaky(retry_after="1m", **more)
    caller = proxy.caller()
    caller.request("GET", "/seq/503?after=20")
    proxy.wait_in_flight(1, "backoff")
    return proxy, api, caller


def test_a_call_in_its_back_off_holds_nothing(flaky):
    proxy, api, _ = waiting(flaky, upstream={"deadline": "1m", "pool": {"size": 1, "queue": 0}})
    assert proxy.pools()["pools"][0]["held"] == 0 if "pools" in proxy.pools() else True
    assert proxy.ask("GET", "/ok").status == 200
    assert proxy.metrics().sum("connections", side="upstream") == 0
    call, = proxy.calls()["calls"]
    assert call["phase"] == "backoff" and call["try"] == 2
    assert api.stats()["in_work"] == 0


@pytest.mark.parametrize("leave", ["close", "reset"])
def test_a_caller_who_leaves_in_it_ends_all(flaky, leave):
    """R5"""
    proxy, api, caller = waiting(flaky, upstream={"deadline": "1m"})
    getattr(caller, leave)()
    metrics = proxy.wait_idle()
    assert metrics.calls("abandoned", phase="backoff") == 1
    assert stopped(proxy) == {"gone": 1}
    assert api.stats()["requests_total"] == 1


def test_an_operator_may_cut_it(flaky):
    proxy, _, caller = waiting(flaky, upstream={"deadline": "1m"})
    call, = proxy.calls()["calls"]
    assert proxy.admin_ask("DELETE", f"/calls/{call['id']}")[0] == 200
    problem = expect(caller.recv_response(), 504, "http_response_timeout", phase="backoff", sent="complete")
    assert problem["type"].endswith("operator")
    assert stopped(proxy) == {}


def test_a_drain_ends_it_with_its_last_failure(flaky):
    proxy, _, caller = waiting(flaky, upstream={"deadline": "1m"}, top={"drain": "10s"})
    proxy.process.signal(signal.SIGTERM)
    response = caller.recv_response()
    assert (response.status, response.content) == (503, b"status 503\n")
    assert proxy.process.wait_exit(10 * SLOW) == 0
    line, = proxy.log()
    assert (line["retry_stopped"], line["outcome"], line["status"]) == ("draining", "completed", 503)


def test_a_reload_leaves_it_alone(flaky):
    proxy, api, caller = waiting(flaky, upstream={"deadline": "1m"})
    proxy.rewrite({"api": {"url": api.url, "retries": "none"}})
    proxy.must_reload()
    assert proxy.metrics().in_flight(phase="backoff") == 1
    caller.close()


def test_its_retry_is_a_newcomer_to_the_pool(pair):
    """And if it is full, the call ends with its last failure, not with the queue's refusal."""
    proxy, up = retried(pair, upstream={"pool": {"size": 1, "queue": 0}, "deadline": "10s"}, backoff={"base": "300ms", "max": "300ms"},
                        when=["connect"])
    up.refuse()
    caller = proxy.caller()
    caller.request("GET", "/")
    proxy.wait_in_flight(1, "backoff")
    # Somebody else takes the one permit.
    proxy.rewrite({"api": {"url": "http://127.0.0.1:9"}})
    caller.close()


def test_a_full_pool_is_no_refusal_of_what_the_api_has_seen(curfew, faulty):
    api = faulty()
    proxy = curfew(url=api.url, deadline="20s", pool={"size": 1, "queue": 0}, retries={**RETRIES, "retry_after": "5s"})
    caller = proxy.caller()
    caller.request("GET", "/seq/503?after=1")
    proxy.wait_in_flight(1, "backoff")
    holder = proxy.caller()
    holder.request("GET", "/stuck")
    response = caller.recv_response()
    assert (response.status, response.content) == (503, b"status 503\n")
    line, = proxy.log()
    assert (line["retry_stopped"], line["outcome"]) == ("queue", "completed")
    assert [one["status"] for one in line.get("tries", [])] in ([], [503])
    holder.close()
    assert stopped(proxy) == {"queue": 1}
    assert proxy.metrics().calls("rejected") == 0


# --------------------------------------------------------------------------- budget


def test_a_budget_that_is_used_up_stops_retries(flaky):
    proxy, api = flaky(budget={"burst": 3, "share": "0%"}, attempts=2)
    answers = [proxy.ask("GET", "/status/503").status for _ in range(10)]
    assert answers == [503] * 10
    assert stopped(proxy) == {"attempts": 3, "budget": 7}
    assert api.stats()["requests_total"] == 13
    assert proxy.metrics().sum("retry_tokens", upstream="api") == 0


def test_good_calls_fill_it_again(flaky):
    """R3"""
    proxy, _ = flaky(budget={"burst": 10, "share": "20%"}, attempts=2)
    for _ in range(12):
        proxy.ask("GET", "/status/503")
    assert stopped(proxy)["budget"] == 2
    assert proxy.metrics().sum("retry_tokens") == 0
    for _ in range(50):
        proxy.ask("GET", "/ok")
    assert proxy.metrics().sum("retry_tokens") == 10


def test_a_reload_keeps_the_tokens(flaky):
    proxy, api = flaky(budget={"burst": 10, "share": "0%"}, attempts=2)
    for _ in range(4):
        proxy.ask("GET", "/status/503")
    assert proxy.metrics().sum("retry_tokens") == 6
    proxy.rewrite({"api": {"url": api.url, "retries": {**RETRIES, "budget": {"burst": 100, "share": "0%"}}}})
    proxy.must_reload()
    assert proxy.metrics().sum("retry_tokens") == 6
    proxy.rewrite({"api": {"url": api.url, "retries": {**RETRIES, "budget": {"burst": 2, "share": "0%"}}}})
    proxy.must_reload()
    assert proxy.metrics().sum("retry_tokens") == 2


def test_those_that_wait_count(flaky):
    """R1, envoy#30205: a token is taken when the retry is decided upon, not when it begins."""
    proxy, api = flaky(upstream={"deadline": "1m", "pool": {"size": 200}}, budget={"burst": 10, "share": "20%"}, retry_after="1m", attempts=2)
    callers = [proxy.caller() for _ in range(100)]
    for number, caller in enumerate(callers):
        caller.request("GET", f"/seq/503?after=20&key={number}")
    proxy.wait_metric("curfew_tries_ended_total", 100)
    metrics = proxy.wait_in_flight(10)
    assert metrics.in_flight(phase="backoff") == 10
    assert api.stats()["requests_total"] == 100
    for caller in callers:
        caller.close()
    assert stopped(proxy) == {"budget": 90, "gone": 10}


# ------------------------------------------------------------------- what is told


def test_the_api_is_told_the_number_of_the_try(pair):
    proxy, up = retried(pair, tell="X-Try")
    caller = proxy.caller()
    caller.request("GET", "/", "X-Try: 7")
    exchange = up.accept()
    numbers = []
    for status in (503, 503, 200):
        numbers.append(exchange.recv_request()["x-try"])
        exchange.answer(status)
    assert caller.recv_response().status == 200
    assert numbers == [None, "2", "3"]


def test_a_response_after_a_retry_may_say_that_it_was_tried(flaky):
    """R18: a client library that knows it does not multiply."""
    proxy, _ = flaky(say=True, attempts=2)
    assert proxy.ask("GET", "/ok")["x-should-retry"] is None
    assert proxy.ask("GET", "/seq/503,200")["x-should-retry"] == "false"
    assert proxy.ask("GET", "/seq/503")["x-should-retry"] == "false"
    failed = proxy.ask("GET", "/seq/reset")
    assert (failed.status, failed["x-should-retry"]) == (502, "false")


def test_server_timing_tells_what_the_retries_took(flaky):
    proxy, _ = flaky(upstream={"server_timing": True}, retry_after="5s")
    response = proxy.ask("GET", "/seq/503,200?after=0.2")
    timing = ", ".join(response.fields.all("server-timing"))
    duration = float(timing.split("retry;dur=")[1].split(";")[0])
    assert duration >= 200 and 'desc="2 tries"' in timing
    assert "retry" not in ", ".join(proxy.ask("GET", "/ok").fields.all("server-timing"))


def test_what_is_left_is_told_anew(curfew, upstream):
    up = upstream()
    proxy = curfew(url=up.url, deadline="10s", caller_deadline={"headers": ["X-Left"], "forward": "X-Rest"},
                   retries={**RETRIES, "backoff": {"base": "0s", "max": "0s"}, "retry_after": "5s"})
    caller = proxy.caller()
    caller.request("GET", "/")
    exchange = up.accept()
    first = int(exchange.recv_request()["x-rest"])
    exchange.answer(503, "Retry-After: 1")
    second = int(exchange.recv_request()["x-rest"])
    exchange.answer(200)
    assert caller.recv_response().status == 200
    assert first - second >= 1000


def test_sent_is_the_most_of_all_tries(pair):
    """R9: a DELETE that was read, and then a refused connection."""
    proxy, up = retried(pair, attempts=2)
    caller = proxy.caller()
    caller.request("DELETE", "/")
    exchange, _ = up.take()
    up.refuse()
    exchange.reset()
    problem = expect(caller.recv_response(), 502, "connection_refused", sent="complete")
    assert [one["sent"] for one in problem["tries"]] == ["complete", "none"]


def test_a_new_try_is_on_a_new_connection_if_the_old_one_broke(pair):
    """R16"""
    proxy, up = retried(pair, attempts=2)
    callers = [proxy.caller() for _ in range(2)]
    exchanges = []
    for caller in callers:
        caller.request("GET", "/warm")
        exchanges.append(up.take()[0])
    for caller, exchange in zip(callers, exchanges):
        exchange.answer(200)
        assert caller.recv_response().status == 200
    callers[0].request("PUT", "/", content=b"abc")
    used = poll(lambda: next((e for e in exchanges if e.has_bytes()), None), "the request")
    used.recv_request()
    used.reset()
    fresh, request = up.take()
    assert request.content == b"abc"
    fresh.answer(200)
    assert callers[0].recv_response().status == 200


# ----------------------------------------------------------------------- fallback


@pytest.fixture
def two(curfew, upstream):
    """Two scripted APIs, the second one the fallback of the first: (proxy, main, backup)."""
    def make(main_keys=None, backup_keys=None, top=None, **retries):
        main, backup = upstream(), upstream()
        proxy = curfew(top=top, upstreams={
            "api": {"url": main.url + "/main", "deadline": "10s", "retries": {**RETRIES, "attempts": 2, "fallback": "backup", **retries},
                    "headers": {"set": {"Authorization": "of-main", "X-Main": "1"}, "remove": ["X-Private"]}, **(main_keys or {})},
            "backup": {"url": backup.url + "/backup", "headers": {"set": {"Authorization": "of-backup"}}, **(backup_keys or {})}})
        return proxy, main, backup

    return make


def test_a_fallback_has_its_own_url_and_credentials(two):
    proxy, main, backup = two(tell="X-Try")
    caller = proxy.caller("api")
    caller.request("POST", "/v1?x", "Authorization: of-caller", "Idempotency-Key: 1", "X-Private: 1", "X-Other: 1", content=b"abc")
    exchange, first = main.take()
    assert (first.target, first["authorization"], first["x-main"]) == ("/main/v1?x", "of-main", "1")
    exchange.answer(503)
    exchange, second = backup.take()
    assert (second.target, second["host"], second["authorization"]) == ("/backup/v1?x", backup.authority, "of-backup")
    assert (second["x-main"], second["x-private"], second["x-other"], second["x-try"]) == (None, None, "1", "2")
    assert (second["idempotency-key"], second.content) == ("1", b"abc")
    exchange.answer(200, content=b"from backup")
    assert caller.recv_response().content == b"from backup"
    line, = proxy.log()
    assert (line["upstream"], line["route"]) == ("api", "default")
    assert [(one["upstream"], one["status"]) for one in line["tries"]] == [("api", 503), ("backup", 200)]
    metrics = proxy.wait_idle()
    assert metrics.sum("tries_started_total", upstream="api", kind="fallback") == 1
    assert metrics.sum("calls_started_total", upstream="backup") == 0
    assert metrics.sum("responses_total", upstream="backup", code="200") == 1
    assert metrics.sum("calls_saved_total", upstream="api") == 1


def test_a_switch_of_protocols_does_not_fall_back_to_an_api_that_speaks_http2_alone(two):
    proxy, main, _ = two({"upgrade": {}}, {"http2": {"use": "always"}})
    main.refuse()
    caller = proxy.caller("api")
    caller.request("GET", "/", "Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==")
    expect(caller.recv_response(), 502, "connection_refused")
    assert proxy.wait_idle().sum("tries_started_total", upstream="api", kind="fallback") == 0


def told(request):
    """What an API gets of a request that both APIs are to get alike."""
    return [(name.lower(), value) for name, value in request.fields if name.lower() not in ("host", "authorization", "x-main")]


def test_a_fallback_gets_what_the_caller_has_said_and_no_more(two):
    """Of its own rules and those of the upstream; the trace that begins with the call is one for both."""
    headers = {"headers": {"forwarded": "x-forwarded"}, "keepalive": {"max_idle": 0}}
    proxy, main, backup = two(main_keys={"trace": True, "upgrade": {}, **headers}, backup_keys=headers)
    caller = proxy.caller("api")
    for head in (("GET", "/a", "X-Forwarded-For: 192.0.2.1", "Connection: X-Hop", "X-Hop: 1", "TE: trailers"),
                 ("GET", "http://localhost/b?c", "Accept: */*"),
                 ("GET", "/chat", "Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13")):
        caller.request(*head)
        exchange, first = main.take()
        exchange.answer(503)
        exchange, second = backup.take()
        assert told(first) == told(second) and first["x-hop"] is None and first["traceparent"] is not None
        assert second.target == first.target.replace("/main", "/backup")
        exchange.answer(200)
        assert caller.recv_response().status == 200


def test_a_fallback_gets_what_a_caller_over_http2_has_said(two):
    proxy, main, backup = two()
    with closing(H2Caller(proxy.address("api"))) as caller:
        stream = caller.begin("POST", "/a", ("idempotency-key", "1"), ("cookie", "a=1"), ("cookie", "b=2"), end=False)
        caller.data(stream, b"abc")
        for api in (main, backup):
            exchange, request = api.take()
            assert (request["cookie"], request["transfer-encoding"], request.content) == ("a=1; b=2", "chunked", b"abc")
            exchange.answer(503 if api is main else 200)
        assert caller.recv(stream).status == 200


def test_a_fallback_has_its_own_pool(two):
    proxy, main, backup = two(backup_keys={"pool": {"size": 1, "queue": 0}})
    holder = proxy.caller("backup")
    holder.request("GET", "/holds")
    backup.take()
    caller = proxy.caller("api")
    caller.request("GET", "/")
    exchange, _ = main.take()
    exchange.answer(503, content=b"main says no")
    assert caller.recv_response().content == b"main says no"
    holder.close()
    assert stopped(proxy) == {"queue": 1}




def test_a_call_that_is_cut_in_the_fallback_lingers_as_that_pool_has_it(two):
    proxy, main, backup = two(main_keys={"pool": {"size": 1, "linger": "2h"}}, backup_keys={"pool": {"size": 1, "linger": "1h"}})
    caller = proxy.caller("api")
    caller.request("GET", "/")
    main.take()[0].answer(503)
    exchange, _ = backup.take()
    caller.close()
    exchange.must_end()
    line, = proxy.log()
    assert (line["outcome"], line["lingered_ms"]) == ("abandoned", 3600000)
    assert proxy.wait_metric("curfew_pool_ghosts", 1).sum("curfew_pool_ghosts", pool="backup") == 1
    proxy.stop()


def test_an_open_breaker_sends_the_first_try_to_the_fallback(two):
    proxy, main, backup = two(main_keys={"breaker": {"failures": 1, "open": "30s", "open_max": "30s"}}, when=[503])
    caller = proxy.caller("api")
    for target in ("/opens", "/next"):
        caller.request("GET", target)
        if target == "/opens":
            main.take()[0].answer(503, "Connection: close")
        exchange = backup.accept() if target == "/opens" else exchange
        assert exchange.recv_request().target == f"/backup{target}"
        exchange.answer(200, content=b"backup")
        assert caller.recv_response().content == b"backup"
    main.must_have_no_connection()
    assert "tries" not in proxy.log(2)[1]
    metrics = proxy.wait_idle()
    assert metrics.sum("tries_started_total", kind="fallback") == 2 and metrics.calls("rejected") == 0
    assert metrics.sum("retry_tokens", upstream="api") == 9  # it costs none


PAUSING = {"size": 10, "queue": 10, "pause": {"statuses": [429], "max": "60s"}}


def make_pause(proxy, up, upstream, seconds):
    """One call that the API answers so; it goes to the caller as it came."""
    caller = proxy.caller(upstream)
    caller.request("GET", "/asks")
    up.take()[0].answer(429, f"Retry-After: {seconds}", "Connection: close")
    assert caller.recv_response().status == 429
    caller.close()


def test_a_paused_pool_sends_the_first_try_to_the_fallback(two):
    proxy, main, backup = two(main_keys={"pool": PAUSING}, when=[503])
    make_pause(proxy, main, "api", 3)  # which the call's deadline could wait for
    caller = proxy.caller("api")
    caller.request("GET", "/")
    exchange, _ = backup.take()
    exchange.answer(200, content=b"backup")
    assert caller.recv_response().content == b"backup"
    metrics = proxy.wait_idle()
    assert metrics.sum("tries_started_total", kind="fallback") == 1 and metrics.calls("rejected") == 0
    assert metrics.sum("retry_tokens", upstream="api") == 10  # it costs none
    assert "tries" not in proxy.log(2)[1]
    main.must_have_no_connection()


@pytest.mark.parametrize("here, there", [(40, 20), (20, 40)])
def test_where_both_pools_are_paused_the_sooner_end_is_told(two, here, there):
    """OrcaRouter#121: all providers in cool-down."""
    proxy, main, backup = two(main_keys={"pool": PAUSING}, backup_keys={"pool": PAUSING}, when=[503])
    make_pause(proxy, main, "api", here)
    make_pause(proxy, backup, "backup", there)
    response = proxy.ask("GET", "/", upstream="api")
    expect(response, 503, "connection_limit_reached", sent="none")
    assert 15 < int(response["retry-after"]) <= 20
    assert proxy.wait_idle().sum("curfew_calls_rejected_total", upstream="api", reason="paused") == 1


def test_of_two_pauses_that_can_be_waited_for_the_shorter_one_is(two):
    proxy, main, backup = two(main_keys={"pool": PAUSING}, backup_keys={"pool": PAUSING}, when=[503])
    make_pause(proxy, main, "api", 1)
    make_pause(proxy, backup, "backup", 30)
    caller = proxy.caller("api")
    caller.request("GET", "/waits")
    exchange, _ = main.take()
    exchange.answer(200, content=b"main")
    assert caller.recv_response().content == b"main"


def test_where_a_breaker_and_a_pause_refuse_the_sooner_end_is_told(two):
    proxy, main, backup = two(main_keys={"breaker": {"failures": 1, "open": "20s", "open_max": "20s"}},
                              backup_keys={"pool": PAUSING}, when=[500])
    caller = proxy.caller("api")
    caller.request("GET", "/opens")
    main.take()[0].answer(503, "Connection: close")
    assert caller.recv_response().status == 503
    make_pause(proxy, backup, "backup", 50)
    response = proxy.ask("GET", "/", upstream="api")
    assert response.status == 503 and 15 < int(response["retry-after"]) <= 22


def test_a_caller_who_leaves_in_the_fallback_frees_its_permit(two):
    proxy, main, backup = two(backup_keys={"pool": {"size": 1, "queue": 0}})
    caller = proxy.caller("api")
    caller.request("GET", "/")
    main.take()[0].answer(503)
    exchange, _ = backup.take()
    assert proxy.metrics().sum("pool_held", pool="backup") == 1
    caller.close()
    exchange.wait_ended()
    metrics = proxy.wait_idle()
    assert metrics.sum("pool_held", pool="backup") == 0
    assert metrics.calls("abandoned", upstream="api") == 1
    assert metrics.sum("pool_audit_errors_total") == 0


# ------------------------------------------------------------------- acceptance


@pytest.mark.sound_only
def test_fifteen_percent_of_failures_become_six_and_a_half(flaky):
    # On new connections alone: one that is kept and turns out to be closed is replaced without a retry.
    proxy, api = flaky(upstream={"pool": {"size": 50, "queue": 1000}, "deadline": "10s", "keepalive": {"max_idle": 0}}, when=["connect", "reset", 500], attempts=2,
                       backoff={"base": "25ms", "max": "250ms"})
    result = load(proxy.address(), "/flaky/15", calls=10000, concurrency=32)
    metrics = proxy.wait_idle()
    requests = api.stats()["requests_total"]
    assert 0.927 <= metrics.calls("completed", **{"class": "2xx"}) / 10000 <= 0.943, result
    assert 1.09 <= requests / 10000 <= 1.11
    assert metrics.sum("tries_started_total", kind="first") == 10000
    assert metrics.sum("tries_started_total", kind="retry") == requests - 10000
    # What was saved is what would have failed otherwise: of all that were tried again, those that came to a good end.
    again = [line for line in proxy.log(10000) if "tries" in line]
    assert len(again) == requests - 10000
    assert metrics.sum("calls_saved_total") == sum(line["outcome"] == "completed" and line["status"] == 200 for line in again)
