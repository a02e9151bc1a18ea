"""`observe: true`: deadline and limits are watched, and cut nothing before the ceiling."""

import pytest

from harness.bounds import poll
from harness.problem import parse, proxy_error
from harness.wire import Cut


def outlives(proxy, age):
    """Until the only call in flight is so old."""
    poll(lambda: proxy.calls(older=age)["calls"], f"a call that is {age} old")


def stays(proxy, phase, ms=100):
    """Until a call has been in this phase for so long."""
    poll(lambda: any(call["phase_ms"] >= ms for call in proxy.calls(phase=phase)["calls"]), f"{ms} ms in {phase}")


def must_be_spared(proxy, phase, cause="deadline", after_ms=None, count=1):
    """The last of `count` calls was, and completed all the same."""
    line = proxy.log(count)[-1]
    assert line["outcome"] == "completed" and line["status"] == 200, line
    assert (line["spared"]["phase"], line["spared"]["cause"]) == (phase, cause)
    assert after_ms is None or line["spared"]["after_ms"] == after_ms
    metrics = proxy.wait_idle()
    assert metrics.calls("spared", phase=phase) == metrics.calls("spared") == 1
    assert metrics.calls("stuck") == metrics.calls("rejected") == 0
    return metrics


def test_a_call_past_its_deadline_goes_on_and_is_counted(pair):
    proxy, up = pair(deadline="50ms", observe=True)
    caller = proxy.caller()
    caller.request()
    exchange, _ = up.take()
    outlives(proxy, "60ms")
    exchange.answer(content=b"late")
    response = caller.recv_response()
    assert (response.status, response.content) == (200, b"late")
    metrics = must_be_spared(proxy, "wait", after_ms=50)
    assert metrics.sum("curfew_upstream_observed", upstream="api") == 1
    # The share of the deadline, not of the ceiling.
    assert metrics.sum("curfew_deadline_used_ratio_bucket", le="1") == 0
    assert metrics.sum("curfew_deadline_used_ratio_bucket", le="+Inf") == 1


def test_a_call_in_time_is_none(pair):
    proxy, up = pair(deadline="20s", observe=True)
    caller = proxy.caller()
    caller.request()
    exchange, _ = up.take()
    exchange.answer()
    assert caller.recv_response().status == 200
    line, = proxy.log(1)
    assert "spared" not in line and line["budget_ms"] == 60000
    assert proxy.wait_idle().calls("spared") == 0


@pytest.mark.one_worker
def test_the_phase_is_that_of_the_deadline_not_of_the_end(pair):
    proxy, up = pair(deadline="150ms", observe=True, pool={"size": 1})
    holder = proxy.caller()
    holder.request("GET", "/1")
    first, _ = up.take()
    waiter = proxy.caller()
    waiter.request("GET", "/2")
    proxy.wait_in_flight(1, phase="queue")
    poll(lambda: proxy.calls(phase="queue", older="200ms")["calls"], "a waiter past its deadline")
    first.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\na")
    first.send(b"b")
    assert holder.recv_response().status == 200
    assert first.recv_request().target == "/2"
    first.answer()
    assert waiter.recv_response().status == 200
    assert sorted(line["spared"]["phase"] for line in proxy.log(2)) == ["queue", "wait"]
    assert proxy.wait_idle().calls("spared", phase="queue") == 1


def test_in_receive(pair):
    proxy, up = pair(deadline="200ms", observe=True)
    caller = proxy.caller()
    caller.request()
    exchange, _ = up.take()
    exchange.send(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf")
    proxy.wait_in_flight(1, phase="receive")
    outlives(proxy, "250ms")
    exchange.send(b"- end.")
    assert caller.recv_response().content == b"half- end."
    must_be_spared(proxy, "receive", after_ms=200)


LIMITS = {
    "wait": ({"timeouts": {"first_byte": "50ms"}}, "first_byte_timeout", b""),
    "wait, begin": ({"timeouts": {"begin": "50ms"}}, "begin_timeout", b""),
    "receive, begin": ({"timeouts": {"begin": "50ms"}}, "begin_timeout", b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n"),
    "receive, rate": ({"timeouts": {"min_rate": {"bytes": "1KiB", "per": "100ms"}}}, "rate_limit",
                      b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\ny"),
    "receive": ({"timeouts": {"idle": "50ms"}}, "idle_timeout", b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n"),
}


@pytest.mark.parametrize("name", LIMITS)
def test_a_time_limit_cuts_nothing(pair, name):
    keys, cause, begin = LIMITS[name]
    phase = name.split(",")[0]
    proxy, up = pair(deadline="20s", observe=True, **keys)
    caller = proxy.caller()
    caller.request()
    exchange, _ = up.take()
    exchange.send(begin)
    stays(proxy, phase, 200)
    exchange.send(b"x" if begin else b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
    assert caller.recv_response().status == 200
    must_be_spared(proxy, phase, cause)


@pytest.mark.one_worker
def test_the_queues_timeout_rejects_nothing_but_a_full_queue_does(pair):
    proxy, up = pair(deadline="20s", observe=True, pool={"size": 1, "queue": 1, "queue_timeout": "50ms"})
    callers = [proxy.caller() for _ in range(3)]
    callers[0].request()
    exchange, _ = up.take()
    callers[1].request()
    proxy.wait_in_flight(1, phase="queue")
    assert callers[2].ask().status == 503
    stays(proxy, "queue")
    for n in range(2):
        if n == 1:
            exchange.recv_request()
        exchange.answer()
        assert callers[n].recv_response().status == 200
    metrics = proxy.wait_idle()
    assert metrics.calls("spared", phase="queue") == metrics.calls("spared") == 1
    assert metrics.calls("rejected", reason="queue_full") == metrics.calls("rejected") == 1
    spared, = (line["spared"] for line in proxy.log(3) if "spared" in line)
    assert spared["cause"] == "queue_timeout"


def test_a_caller_who_leaves_after_the_deadline_had_been_spared(curfew, deaf_listener):
    proxy = curfew(url=deaf_listener.url, deadline="20s", observe=True, timeouts={"connect": "50ms"})
    caller = proxy.caller()
    caller.request()
    stays(proxy, "connect")
    caller.close()
    line, = proxy.log(1)
    assert (line["outcome"], line["spared"]["cause"], line["spared"]["phase"]) == ("abandoned", "connect_timeout", "connect")
    metrics = proxy.wait_idle()
    assert metrics.calls("spared", phase="connect") == metrics.calls("abandoned", phase="connect") == 1


# ------------------------------------------------------------------------------------- what still cuts


def test_the_ceiling_cuts(pair):
    proxy, up = pair(deadline="50ms", observe=True, observe_ceiling="800ms")
    caller = proxy.caller()
    caller.request()
    exchange, _ = up.take()
    call, = proxy.calls()["calls"]
    assert call["observed"] is True and call["age_ms"] + call["left_ms"] in (799, 800)
    response = caller.recv_response()
    problem = parse(response)
    assert (response.status, proxy_error(response)) == (504, "http_response_timeout")
    assert problem["spared"] == {"cause": "deadline", "phase": "wait", "after_ms": 50}
    assert problem["budget_ms"] == 800 <= problem["elapsed_ms"]
    exchange.wait_ended()
    metrics = proxy.wait_idle()
    assert metrics.calls("stuck", phase="wait") == metrics.calls("spared", phase="wait") == 1
    assert metrics.sum("curfew_deadline_overshoot_seconds_count") == 1


def test_the_ceiling_cuts_a_response_under_way(pair):
    proxy, up = pair(deadline="50ms", observe=True, observe_ceiling="200ms")
    caller = proxy.caller()
    caller.request()
    exchange, _ = up.take()
    exchange.send(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf")
    with pytest.raises(Cut):
        caller.recv_response()
    exchange.wait_ended()
    assert proxy.wait_idle().calls("stuck", phase="receive") == 1


def test_a_deadline_beyond_the_ceiling_is_the_ceiling(pair):
    proxy, up = pair(deadline="20s", observe=True, observe_ceiling="1ms")
    caller = proxy.caller()
    caller.request()
    exchange, _ = up.take()
    outlives(proxy, "50ms")
    exchange.answer()
    assert caller.recv_response().status == 200
    assert proxy.wait_idle().calls("spared") == 0


def test_a_request_head_has_its_time_all_the_same(pair):
    proxy, _ = pair(deadline="20s", observe=True, top={"limits": {"request_head_timeout": "100ms"}})
    caller = proxy.caller()
    caller.send(b"GET / HTTP/1.1\r\n")
    assert caller.recv_response().status == 504
    metrics = proxy.wait_idle()
    assert metrics.calls("stuck", phase="upload") == 1 and metrics.calls("spared") == 0


# ------------------------------------------------------------------------------------- with other things


def test_a_callers_own_deadline_is_observed_too(pair):
    proxy, up = pair(deadline="20s", observe=True,
                     caller_deadline={"headers": ["X-Timeout-Ms"], "forward": "X-Left-Ms"})
    caller = proxy.caller()
    caller.request("GET", "/", "X-Timeout-Ms: 50")
    exchange, request = up.take()
    assert 50000 < int(request["X-Left-Ms"]) <= 60000
    outlives(proxy, "60ms")
    exchange.answer()
    assert caller.recv_response().status == 200
    must_be_spared(proxy, "wait", after_ms=50)


def test_a_reload_ends_it_for_calls_to_come(pair):
    proxy, up = pair(deadline="50ms", observe=True)
    caller = proxy.caller()
    caller.request()
    first, _ = up.take()
    proxy.rewrite({"api": {"url": up.url, "deadline": "50ms", "observe": False}})
    proxy.must_reload()
    outlives(proxy, "60ms")
    assert proxy.metrics().sum("curfew_upstream_observed") == 0
    second = proxy.caller()
    second.request()
    up.take()
    assert second.recv_response().status == 504
    first.answer()
    assert caller.recv_response().status == 200
    metrics = proxy.wait_idle()
    assert metrics.calls("spared") == metrics.calls("stuck") == metrics.calls("completed") == 1
    proxy.rewrite({"api": {"url": up.url, "deadline": "50ms", "observe": True}})
    proxy.must_reload()
    assert proxy.metrics().sum("curfew_upstream_observed") == 1


def test_one_upstream_of_two(curfew, upstream):
    ups = {name: upstream() for name in ("watched", "strict")}
    proxy = curfew(upstreams={name: {"url": up.url, "deadline": "50ms", "observe": name == "watched"}
                              for name, up in ups.items()})
    callers, exchanges = {}, {}
    for name, up in ups.items():
        callers[name] = proxy.caller(name)
        callers[name].request()
        exchanges[name], _ = up.take()
    assert callers["strict"].recv_response().status == 504
    outlives(proxy, "60ms")
    exchanges["watched"].answer()
    assert callers["watched"].recv_response().status == 200
    metrics = proxy.wait_idle()
    assert metrics.calls("spared", upstream="watched") == metrics.calls("spared") == 1
    assert metrics.calls("stuck", upstream="strict") == metrics.calls("stuck") == 1
