"""What each try says of the API: curfew_tries_started_total, and curfew_tries_ended_total by verdict."""

import pytest

from harness.bounds import poll

CLOSE = "Connection: close"


def verdicts(proxy):
    """Of all tries, once nothing is in flight: {verdict: count} without zeros."""
    metrics = proxy.wait_idle()
    return {verdict: count for verdict, count in metrics.sums("verdict", "curfew_tries_ended_total").items() if count}


@pytest.fixture
def api(curfew, upstream):
    """api(…) -> (proxy, upstream): one upstream "api", whose exchanges the test takes itself."""
    def make(**more):
        up = upstream()
        return curfew(url=up.url, **more), up

    return make


def answered(proxy, up, status, *lines, content=b""):
    caller = proxy.caller()
    caller.request()
    exchange, _ = up.take()
    exchange.answer(status, CLOSE, *lines, content=content)
    assert caller.recv_response().status == status
    caller.close()


@pytest.mark.parametrize("statuses, verdict", [
    ((200, 204, 301, 304, 400, 401, 404, 408, 418, 425, 499, 500, 501, 505, 599), "good"), ((502, 503, 504), "bad"), ((429,), "neutral")],
    ids=["good", "bad", "neutral"])
def test_a_status_speaks_for_or_against_the_api(api, statuses, verdict):
    proxy, up = api()
    for status in statuses:
        answered(proxy, up, status)
    assert verdicts(proxy) == {verdict: len(statuses)}
    assert proxy.metrics().sum("curfew_tries_started_total", kind="first", route="default") == len(statuses)


def test_a_call_that_is_not_let_in_is_no_try(api):
    proxy, up = api(pool={"size": 1, "queue": 0})
    holder = proxy.caller()
    holder.request()
    exchange, _ = up.take()
    for _ in range(3):
        assert proxy.ask().status == 503
    metrics = proxy.metrics()
    assert metrics.sum("curfew_tries_started_total") == metrics.sum("curfew_tries_in_flight") == 1
    exchange.answer(200, CLOSE)
    assert holder.recv_response().status == 200
    assert verdicts(proxy) == {"good": 1}


def test_an_api_that_refuses_connections_is_bad(api):
    proxy, up = api()
    up.refuse()
    assert proxy.ask().status == 502
    assert verdicts(proxy) == {"bad": 1}


@pytest.mark.parametrize("sent, verdict", [
    (b"", "bad"), (b"HTTP/1.1 200", "bad"), (b"SSH-2.0-OpenSSH\r\n\r\n", "bad"),
    (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nab", "bad"), (b"HTTP/1.1 503 No\r\nContent-Length: 5\r\n\r\nab", "bad"),
    (b"HTTP/1.1 429 No\r\nContent-Length: 5\r\n\r\nab", "bad"), (b"HTTP/1.1 103 Hints\r\n\r\n", "bad"),
    (b"HTTP/1.1 200 OK\r\n\r\nab", "good")], ids=["nothing", "half-a-head", "junk", "incomplete", "incomplete-503", "incomplete-429",
                                                  "interim-alone", "until-the-end"])
def test_an_api_that_breaks_off_is_bad(api, sent, verdict):
    proxy, up = api()
    caller = proxy.caller()
    caller.request()
    exchange, _ = up.take()
    exchange.send(sent)
    exchange.close()
    proxy.log(1)
    assert verdicts(proxy) == {verdict: 1}


@pytest.mark.parametrize("limit", ["first_byte", "idle"])
def test_an_api_that_passes_a_limit_is_bad(api, limit):
    proxy, up = api(deadline="20s", timeouts={limit: "30ms"})
    caller = proxy.caller()
    caller.request()
    exchange, _ = up.take()
    if limit == "idle":
        exchange.send(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nab")
    proxy.log(1)
    assert verdicts(proxy) == {"bad": 1}


def test_an_address_that_does_not_answer_is_bad(curfew, deaf_listener):
    proxy = curfew(url=deaf_listener.url, timeouts={"connect": "30ms"})
    assert proxy.ask().status == 504
    assert verdicts(proxy) == {"bad": 1}


def test_a_deadline_that_the_api_had_for_itself_is_bad(api):
    proxy, up = api(deadline="60ms")
    caller = proxy.caller()
    caller.request()
    exchange, _ = up.take()
    assert caller.recv_response().status == 504
    exchange.wait_ended()
    assert verdicts(proxy) == {"bad": 1}


def test_a_callers_own_short_deadline_says_nothing_of_the_api(api):
    proxy, up = api(deadline="10s", caller_deadline={"headers": ["X-Request-Timeout-Ms"]})
    caller = proxy.caller()
    caller.request("GET", "/", "X-Request-Timeout-Ms: 30")
    up.take()
    assert caller.recv_response().status == 504
    assert verdicts(proxy) == {"neutral": 1}


def test_a_slow_upload_says_nothing_of_the_api(api):
    proxy, up = api(deadline="60ms")
    caller = proxy.caller()
    caller.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nab")
    up.accept()
    assert caller.recv_response().status == 504
    assert verdicts(proxy) == {"neutral": 1}


def test_a_caller_who_leaves_says_nothing_of_the_api(api):
    proxy, up = api()
    for _ in range(5):
        caller = proxy.caller()
        caller.request()
        up.take()
        caller.close()
    assert verdicts(proxy) == {"neutral": 5}


def test_a_caller_who_leaves_after_a_good_head_takes_nothing_back(api):
    proxy, up = api()
    caller = proxy.caller()
    caller.request()
    exchange, _ = up.take()
    exchange.send(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nab")
    caller.recv_response_head()
    caller.close()
    assert verdicts(proxy) == {"good": 1}


def test_an_operators_cut_says_nothing_of_the_api(api):
    proxy, up = api()
    caller = proxy.caller()
    caller.request()
    up.take()
    (call,) = proxy.calls()["calls"]
    proxy.admin_ask("DELETE", f"/calls/{call['id']}")
    assert caller.recv_response().status == 504
    assert verdicts(proxy) == {"neutral": 1}


@pytest.mark.one_worker
def test_a_stale_connection_that_was_replaced_is_one_try(api):
    proxy, up = api()
    assert_kept = proxy.caller()
    assert_kept.request()
    exchange, _ = up.take()
    exchange.answer(200)
    assert assert_kept.recv_response().status == 200
    proxy.wait_metric("curfew_connections", 1, side="upstream_idle")
    assert_kept.request()
    exchange.recv_request()
    exchange.close()
    fresh, _ = up.take()
    fresh.answer(200, CLOSE)
    assert assert_kept.recv_response().status == 200
    poll(lambda: verdicts(proxy) == {"good": 2}, "two tries, both good")
    assert proxy.metrics().sum("curfew_tries_started_total") == 2
    assert [line.get("reconnected") for line in proxy.log(2)] == [None, True]
