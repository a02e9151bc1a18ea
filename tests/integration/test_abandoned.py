"""Callers that leave: the call ends with them, in whatever phase it is, and the upstream is let go at once."""

import pytest

from harness.bounds import SANITIZED, SLOW, Stopwatch
from harness.load import load

HOW = pytest.mark.parametrize("how", ["close", "reset"])


def gone(proxy, phase, exchange=None, seconds=0.5):
    """It ends long before its deadline."""
    watch = Stopwatch()
    if exchange:
        assert exchange.wait_ended()
    metrics = proxy.wait_idle()
    assert watch.elapsed() < seconds * SLOW
    assert metrics.calls("abandoned") == 1
    if phase:
        assert metrics.calls("abandoned", phase=phase) == 1
    line, = proxy.log(1)
    assert (line["outcome"], line["cause"]) == ("abandoned", "caller_gone")


@HOW
def test_before_its_head_is_whole_it_was_never_a_call(pair, how):
    proxy, up = pair()
    caller = proxy.caller()
    caller.send(b"GET /x HTTP/1.1\r\nHost: x\r\nX-Half")
    proxy.wait_metric("curfew_connections", 1, side="downstream")
    getattr(caller, how)()
    metrics = proxy.wait_metric("curfew_connections", 0, side="downstream")
    assert metrics.calls("started") == 0
    up.must_have_no_connection()


@HOW
@pytest.mark.parametrize("part", [b"\r\n", b"GE", b"GET /x HTTP/1.1\r\nHost: x\r\nX-Half", b"PRI * HT",
                                  b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0\0\0"],
                         ids=["empty-line", "method", "head", "preface", "http2"])
def test_a_part_and_the_end_that_come_in_one_event(pair, how, part):
    """Of the end, no other event tells."""
    proxy, up = pair(deadline="60s")
    caller = proxy.caller()
    proxy.wait_metric("curfew_connections", 1, side="downstream")
    with proxy.process.paused():
        caller.send(part)
        getattr(caller, how)()
    metrics = proxy.wait_metric("curfew_connections", 0, side="downstream")
    assert metrics.calls("started") == 0
    up.must_have_no_connection()


@HOW
def test_while_sending_its_content(pair, how):
    proxy, up = pair()
    caller = proxy.caller()
    caller.send(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nhalf")
    exchange = up.accept()
    exchange.recv_head()
    getattr(caller, how)()
    gone(proxy, None, exchange)


@HOW
def test_while_waiting_in_the_queue(pair, how):
    proxy, up = pair(pool={"size": 1, "queue": 5})
    holder = proxy.caller()
    holder.request("GET", "/holder")
    exchange, _ = up.take()
    caller = proxy.caller()
    caller.request("GET", "/waits")
    proxy.wait_metric("curfew_pool_waiting", 1)
    getattr(caller, how)()
    metrics = proxy.wait_metric("curfew_pool_waiting", 0)
    assert metrics.calls("abandoned", phase="queue") == 1
    exchange.answer()
    assert holder.recv_response().status == 200
    exchange.must_be_silent()


@HOW
def test_while_connecting(curfew, deaf_listener, how):
    proxy = curfew(url=deaf_listener.url, deadline="10s")
    caller = proxy.caller()
    caller.request()
    proxy.wait_in_flight(1, "connect")
    getattr(caller, how)()
    gone(proxy, "connect")


@HOW
def test_while_a_name_is_looked_up(curfew, name_server, how):
    _, wrap = name_server({"silent.test": None})
    proxy = curfew(url="http://silent.test:80", deadline="10s", wrap=wrap)
    caller = proxy.caller()
    caller.request()
    proxy.wait_in_flight(1, "dns")
    getattr(caller, how)()
    gone(proxy, "dns")


@HOW
def test_in_the_tls_handshake(pair, how):
    proxy, up = pair(url_scheme="https", deadline="10s")
    caller = proxy.caller()
    caller.request()
    exchange = up.accept()
    proxy.wait_in_flight(1, "tls")
    getattr(caller, how)()
    gone(proxy, "tls", exchange)


@HOW
def test_while_the_upstream_does_not_read(pair, how):
    """Its end is behind bytes that nobody takes, so no event tells of it: it is looked for."""
    proxy, up = pair(deadline="10s", upstream_options={"receive_buffer": 4096})
    caller = proxy.caller()
    caller.request("POST", "/", "Content-Length: 100000000")
    exchange = up.accept()
    caller.fill()
    getattr(caller, how)()
    gone(proxy, None, exchange, seconds=1.5)


@HOW
def test_while_waiting_for_the_response(pair, how):
    proxy, up = pair(deadline="10s")
    caller = proxy.caller()
    caller.request()
    exchange, _ = up.take()
    proxy.wait_in_flight(1, "wait")
    getattr(caller, how)()
    gone(proxy, "wait", exchange)


@HOW
def test_while_receiving(pair, how):
    proxy, up = pair(deadline="10s")
    caller = proxy.caller()
    caller.request()
    exchange, _ = up.take()
    exchange.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")
    assert caller.recv_response_head().status == 200
    getattr(caller, how)()
    gone(proxy, "receive", exchange)


@HOW
def test_while_it_does_not_read(pair, how):
    proxy, up = pair(deadline="10s")
    caller = proxy.caller(receive_buffer=4096)
    caller.request()
    exchange, _ = up.take()
    exchange.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100000000\r\n\r\n")
    exchange.fill()
    getattr(caller, how)()
    gone(proxy, "receive", exchange)


@HOW
def test_on_a_unix_socket(curfew, upstream, tmp_path, how):
    up = upstream()
    proxy = curfew(url=up.url, listen=f"unix:{tmp_path}/api.sock", deadline="10s")
    caller = proxy.caller()
    caller.request()
    exchange, _ = up.take()
    getattr(caller, how)()
    gone(proxy, "wait", exchange)


def test_with_a_pipelined_request_unread(pair):
    """Bytes that wait in the socket do not hide that their sender has gone."""
    proxy, up = pair(deadline="10s")
    caller = proxy.caller()
    caller.send(b"GET /1 HTTP/1.1\r\nHost: x\r\n\r\nGET /2 HTTP/1.1\r\nHost: x\r\n\r\n")
    exchange, _ = up.take()
    caller.reset()
    assert exchange.wait_ended()
    metrics = proxy.wait_idle()
    assert metrics.calls("completed") == 0 and metrics.calls("abandoned") >= 1


# -------------------------------------------------------------------- a half-close is not gone


def test_a_caller_that_has_ended_its_side_gets_its_response(pair):
    proxy, up = pair()
    caller = proxy.caller()
    caller.request("GET", "/")
    caller.half_close()
    exchange, _ = up.take()
    caller.must_be_silent(0.1)
    exchange.must_be_open()
    exchange.answer(content=b"still here")
    assert caller.recv_response().content == b"still here"
    assert caller.must_end() == "closed"
    assert proxy.wait_idle().calls("completed") == 1


def test_a_half_close_while_the_response_streams(pair):
    proxy, up = pair()
    caller = proxy.caller()
    caller.request("GET", "/")
    exchange, _ = up.take()
    exchange.send(b"HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\nhalf")
    response = caller.recv_response_head()
    caller.half_close()
    caller.read_exactly(4)
    caller.must_be_silent(0.1)
    exchange.send(b"rest")
    assert response.status == 200 and caller.read_exactly(4) == b"rest"
    assert proxy.wait_idle().calls("completed") == 1


@pytest.mark.one_worker
def test_a_half_close_in_the_queue(pair):
    proxy, up = pair(pool={"size": 1, "queue": 5})
    holder = proxy.caller()
    holder.request("GET", "/holder")
    exchange, _ = up.take()
    caller = proxy.caller()
    caller.request("GET", "/waits")
    caller.half_close()
    proxy.wait_metric("curfew_pool_waiting", 1)
    exchange.answer()
    assert exchange.recv_request().target == "/waits"
    exchange.answer(content=b"served")
    assert caller.recv_response().content == b"served" and holder.recv_response().status == 200


def test_a_half_close_behind_pipelined_requests(pair):
    proxy, up = pair()
    caller = proxy.caller()
    caller.send(b"GET /1 HTTP/1.1\r\nHost: x\r\n\r\nGET /2 HTTP/1.1\r\nHost: x\r\n\r\n")
    caller.half_close()
    exchange = up.accept()
    for n in (1, 2):
        assert exchange.recv_request().target == f"/{n}"
        exchange.answer(content=b"%d" % n)
    assert [caller.recv_response().content for _ in range(2)] == [b"1", b"2"]
    assert caller.must_end() == "closed"


def test_a_half_close_on_a_unix_socket(curfew, upstream, tmp_path):
    up = upstream()
    proxy = curfew(url=up.url, listen=f"unix:{tmp_path}/api.sock")
    caller = proxy.caller()
    caller.request()
    caller.half_close()
    exchange, _ = up.take()
    caller.must_be_silent(0.1)
    exchange.answer(content=b"still here")
    assert caller.recv_response().content == b"still here"


def test_a_half_close_before_the_request_is_whole_ends_the_call(pair):
    """The rest can not come any more: it is over at once, and nothing has been sent as if it were whole."""
    proxy, up = pair(deadline="10s")
    caller = proxy.caller()
    caller.send(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nhalf")
    exchange = up.accept()
    exchange.recv_head()
    caller.half_close()
    assert exchange.wait_ended(0.5 * SLOW)
    metrics = proxy.wait_idle()
    assert metrics.calls("abandoned") == 1


def test_a_caller_that_leaves_after_its_half_close_is_gone(pair):
    """No packet tells of it any more: it is looked for."""
    proxy, up = pair(deadline="10s")
    caller = proxy.caller()
    caller.request("GET", "/")
    caller.half_close()
    exchange, _ = up.take()
    caller.must_be_silent(0.05)
    caller.close()
    gone(proxy, "wait", exchange, seconds=1.5)


# -------------------------------------------------------------------------------- in numbers


@pytest.mark.alone
@pytest.mark.parametrize("how", ["close", "rst"])
def test_hundreds_of_callers_leave_at_random(curfew, faulty, how):
    """Twice: a thousand. Every call has an outcome, every permit comes back, every upstream connection is closed."""
    calls, rate = (300, 150) if SANITIZED else (700, 1000)
    api = faulty()
    proxy = curfew(url=api.url, deadline="10s", pool={"size": 40, "queue": 2000}, top={"workers": 2})
    result = load(proxy.address(), "/delay/120", "/drip/20", "/stuck", "/bytes/3000000", "/headdrip/10",
                  calls=calls, rate=rate, abort_after="0:150", abort_with=how)
    assert result.aborted > calls * 0.72, result
    metrics = proxy.wait_idle()
    assert metrics.calls("abandoned") + metrics.calls("completed") == metrics.calls("started") <= calls
    assert metrics.calls("abandoned") >= result.aborted * 0.9
    assert metrics.calls("stuck") == metrics.calls("failed") == 0
    assert metrics.sum("curfew_pool_acquired_total") == metrics.sum("curfew_pool_released_total")
    api.wait_stats(lambda stats: stats["in_work"] == 0, "the upstream to be left alone")
    assert len(proxy.log(int(metrics.calls("started")))) == metrics.calls("started")
