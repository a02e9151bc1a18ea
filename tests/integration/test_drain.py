"""SIGTERM: no new connections, calls in flight finish, nobody is left without an answer."""

import signal
import socket

import pytest

from harness.bounds import SLOW, SOON, Stopwatch, poll
from harness.peers import ok
from harness.problem import TIMEOUT_ERROR, expect


def begin_drain(proxy):
    proxy.process.signal(signal.SIGTERM)
    poll(lambda: proxy.admin_get("/readyz")[0] == 503, "readyz to say 503")


def must_have_ended(proxy, status=0):
    assert proxy.process.wait_exit(10 * SLOW) == status
    proxy.process.must_be_clean()


def refuses(proxy):
    try:
        socket.create_connection(proxy.address(), SOON).close()
    except ConnectionRefusedError:
        return True
    return False


def test_a_call_in_flight_finishes_and_its_response_is_the_last_one(pair):
    proxy, up = pair()
    caller = proxy.caller()
    caller.request("GET", "/")
    exchange, _ = up.take()
    begin_drain(proxy)
    poll(lambda: refuses(proxy), "the listener closed")
    assert proxy.metrics().in_flight() == 1
    exchange.answer(content=b"in time")
    response = caller.recv_response()
    assert response.status == 200 and response.content == b"in time" and response["connection"] == "close"
    caller.must_end()
    must_have_ended(proxy)


def test_a_response_that_has_begun_is_delivered_whole(pair):
    proxy, up = pair()
    caller = proxy.caller()
    caller.request("GET", "/")
    exchange, _ = up.take()
    exchange.send(b"HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\nhalf")
    head = caller.recv_response_head()
    begin_drain(proxy)
    exchange.send(b"half")
    caller.recv_content(head)
    assert head.content == b"halfhalf"
    caller.must_end()
    must_have_ended(proxy)


def test_waiters_are_refused_at_once(pair):
    proxy, up = pair(pool={"size": 1, "queue": 5})
    holder, waiter = proxy.caller(), proxy.caller()
    holder.request("GET", "/holder")
    exchange, _ = up.take()
    waiter.request("GET", "/waiter")
    proxy.wait_metric("curfew_pool_waiting", 1)
    begin_drain(proxy)
    response = waiter.recv_response()
    expect(response, 503, "connection_limit_reached", phase="queue", sent="none")
    assert response["connection"] == "close"
    assert proxy.wait_metric("curfew_calls_rejected_total", 1, reason="draining").sum("curfew_pool_waiting") == 0
    exchange.answer()
    assert holder.recv_response().status == 200
    must_have_ended(proxy)


def test_an_idle_connection_may_ask_once_more_and_is_closed_if_it_does_not(pair):
    proxy, up = pair()
    busy, idle, late = [proxy.caller() for _ in range(3)]
    busy.request("GET", "/busy")
    exchange, _ = up.take()
    begin_drain(proxy)
    late.request("GET", "/late")
    other, request = up.take()
    assert request.target == "/late"
    other.answer()
    response = late.recv_response()
    assert response.status == 200 and response["connection"] == "close"
    idle.must_end()
    exchange.answer()
    assert busy.recv_response().status == 200
    must_have_ended(proxy)


def test_a_call_is_still_cut_at_its_deadline(pair):
    proxy, up = pair(deadline="700ms")
    caller = proxy.caller()
    caller.request("GET", "/")
    up.take()
    begin_drain(proxy)
    expect(caller.recv_response(), 504, "http_response_timeout", phase="wait")
    must_have_ended(proxy)


def in_flight(curfew, upstream, drain, **keys):
    """A curfew with that drain, the caller of a call that waits for its upstream, and the upstream's side of it."""
    up = upstream()
    proxy = curfew(url=up.url, deadline="60s", top={"drain": drain}, **keys)
    caller = proxy.caller()
    caller.request("GET", "/")
    return proxy, caller, up.take()[0]


def must_be_cut(caller, proxy, phase="wait", sent="complete"):
    """Its time is over: it may have been acted on, so nobody is told to ask again."""
    response = caller.recv_response()
    expect(response, 504, TIMEOUT_ERROR.get(phase, "http_response_timeout"), phase=phase, sent=sent)
    assert "retry-after" not in response.fields and response["connection"] == "close"
    must_have_ended(proxy)
    line = proxy.log()[0]
    assert (line["outcome"], line["cause"], line["phase"], line["sent"], line["status"]) == \
        ("stuck", "draining", phase, sent, 504), line


def test_when_the_time_is_up_calls_in_flight_are_cut_and_not_asked_again(curfew, upstream):
    proxy, caller, _ = in_flight(curfew, upstream, "300ms")
    begin_drain(proxy)
    must_be_cut(caller, proxy)
    assert "the time for it is up" in proxy.process.stderr.text()
    assert "all calls have ended" not in proxy.process.stderr.text()


@pytest.mark.parametrize("second", [signal.SIGTERM, signal.SIGINT])
def test_a_second_signal_ends_at_once(curfew, upstream, second):
    proxy, caller, _ = in_flight(curfew, upstream, "60s")
    begin_drain(proxy)
    caller.must_be_open()
    proxy.process.signal(second)
    must_be_cut(caller, proxy)


def test_without_a_drain_calls_are_cut_at_once(curfew, upstream):
    proxy, caller, _ = in_flight(curfew, upstream, "0s")
    proxy.process.signal(signal.SIGTERM)
    must_be_cut(caller, proxy)


def test_a_request_that_has_gone_in_part_is_not_asked_again(curfew, upstream):
    up = upstream()
    proxy = curfew(url=up.url, deadline="60s", top={"drain": "0s"})
    caller = proxy.caller()
    caller.request("POST", "/", "Content-Length: 8")
    caller.send(b"half")
    exchange = up.accept()
    exchange.read_until(b"\r\n\r\n")
    assert exchange.read_exactly(4) == b"half"
    proxy.process.signal(signal.SIGTERM)
    must_be_cut(caller, proxy, phase="send", sent="partial")


def test_a_call_that_is_connecting_holds_a_permit(curfew, deaf_listener):
    proxy = curfew(url=deaf_listener.url, deadline="60s", top={"drain": "0s"})
    caller = proxy.caller()
    caller.request("GET", "/")
    proxy.wait_in_flight(1, phase="connect")
    proxy.process.signal(signal.SIGTERM)
    must_be_cut(caller, proxy, phase="connect", sent="none")


def test_a_response_that_has_begun_is_cut_as_at_a_deadline(curfew, upstream):
    proxy, caller, exchange = in_flight(curfew, upstream, "0s")
    exchange.send(b"HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\nhalf")
    head = caller.recv_response_head()
    assert head.status == 200 and caller.read_exactly(4) == b"half"
    proxy.process.signal(signal.SIGTERM)
    caller.must_end()
    must_have_ended(proxy)
    line = proxy.log()[0]
    assert (line["outcome"], line["cause"], line["error"], line["status"]) == \
        ("stuck", "draining", "http_response_incomplete", 200), line


def test_without_a_drain_only_those_without_a_permit_are_to_ask_again(curfew, upstream):
    """One holds the only permit, one waits for it, one has not sent its head whole."""
    proxy, holder, _ = in_flight(curfew, upstream, "0s", pool={"size": 1, "queue": 1})
    waiter, reader = proxy.caller(), proxy.caller()
    waiter.request("GET", "/waiter")
    reader.send(b"GET / HTTP/1.1\r\n")
    proxy.wait_metric("curfew_pool_waiting", 1)
    proxy.wait_metric("curfew_connections", 3, side="downstream")
    proxy.process.signal(signal.SIGTERM)
    for caller, phase in ((waiter, "queue"), (reader, "upload")):
        response = caller.recv_response()
        expect(response, 503, "connection_limit_reached", phase=phase, sent="none")
        assert response["retry-after"] == "1"
    response = holder.recv_response()
    expect(response, 504, "http_response_timeout", phase="wait", sent="complete")
    assert "retry-after" not in response.fields
    must_have_ended(proxy)
    assert {(line["outcome"], line["cause"], line["phase"]) for line in proxy.log(3)} == \
        {("stuck", "draining", "wait"), ("rejected", "draining", "queue"), ("rejected", "draining", "upload")}


@pytest.mark.parametrize("top, signals", [
    ({"drain": "0s"}, [signal.SIGTERM]), ({"drain": "0s", "drain_delay": "100ms"}, [signal.SIGTERM]),
    ({"drain_delay": "60s"}, [signal.SIGTERM, signal.SIGTERM])], ids=["no drain", "delay and no drain", "second signal"])
def test_no_waiter_gets_a_permit_from_a_call_that_the_end_cuts(curfew, upstream, top, signals):
    """It would be sent to the API in vain, and its caller could not be told to ask again."""
    up = upstream()
    proxy = curfew(url=up.url, deadline="60s", pool={"size": 2, "queue": 8}, top={"workers": 2, **top})
    holders, waiters = [proxy.caller() for _ in range(2)], [proxy.caller() for _ in range(8)]
    for caller in holders:
        caller.request("GET", "/holder")
        up.take()
    for caller in waiters:
        caller.request("GET", "/waiter")
    proxy.wait_metric("curfew_pool_waiting", 8)
    for number in signals:
        proxy.process.signal(number)
        poll(lambda: proxy.process.stderr.text().count("ending") >= 1, "the signal to be heard")
    for caller in waiters:
        response = caller.recv_response()
        expect(response, 503, "connection_limit_reached", phase="queue", sent="none")
        assert response["retry-after"] == "1"
    for caller in holders:
        expect(caller.recv_response(), 504, "http_response_timeout", phase="wait", sent="complete")
    must_have_ended(proxy)
    assert {(line["target"], line["outcome"]) for line in proxy.log(10)} == {("/holder", "stuck"), ("/waiter", "rejected")}


def test_nobody_is_reloaded_while_draining(pair):
    proxy, up = pair()
    caller = proxy.caller()
    caller.request("GET", "/")
    exchange, _ = up.take()
    begin_drain(proxy)
    assert proxy.reload()[0] == 503
    proxy.process.signal(signal.SIGHUP)
    exchange.answer()
    assert caller.recv_response().status == 200
    must_have_ended(proxy)


def test_without_callers_the_end_is_at_once(pair):
    proxy, _ = pair()
    proxy.process.signal(signal.SIGTERM)
    must_have_ended(proxy)
    assert "all calls have ended" in proxy.process.stderr.text()


# ------------------------------------------------------------------------------------- drain_delay


def delayed(curfew, upstream, delay, script=None, **top):
    up = upstream(script)
    pool = {"pool": top.pop("pool")} if "pool" in top else {}
    return curfew(url=up.url, deadline="60s", top={"drain_delay": delay, **top}, **pool), up


def test_until_the_delay_is_over_calls_are_served_as_ever(curfew, upstream):
    proxy, _ = delayed(curfew, upstream, "60s", ok)
    kept = proxy.caller()
    assert kept.ask().status == 200
    begin_drain(proxy)
    for _ in range(3):
        response = kept.ask()
        assert response.status == 200 and "connection" not in response.fields
        assert proxy.ask().status == 200
        assert (proxy.admin_get("/readyz")[0], proxy.admin_get("/healthz")[0]) == (503, 200)
    assert proxy.reload()[0] == 503
    proxy.process.signal(signal.SIGTERM)
    must_have_ended(proxy)
    assert "all calls have ended" not in proxy.process.stderr.text()


def test_after_the_delay_the_drain_begins(curfew, upstream):
    proxy, up = delayed(curfew, upstream, "300ms")
    caller = proxy.caller()
    caller.request("GET", "/")
    exchange, _ = up.take()
    watch = Stopwatch()
    proxy.process.signal(signal.SIGTERM)
    poll(lambda: proxy.admin_get("/readyz")[0] == 503, "readyz to say 503")
    poll(lambda: refuses(proxy), "the listener closed")
    assert watch.elapsed() >= 0.3
    assert proxy.admin_get("/healthz")[0] == 200
    exchange.answer(content=b"in time")
    response = caller.recv_response()
    assert response.content == b"in time" and response["connection"] == "close"
    must_have_ended(proxy)


def test_the_delay_is_waited_for_though_nobody_calls(curfew, upstream):
    proxy, _ = delayed(curfew, upstream, "300ms")
    watch = Stopwatch()
    proxy.process.signal(signal.SIGTERM)
    must_have_ended(proxy)
    assert watch.elapsed() >= 0.3


def test_without_a_drain_calls_are_cut_when_the_delay_is_over(curfew, upstream):
    proxy, up = delayed(curfew, upstream, "300ms", drain="0s")
    caller = proxy.caller()
    caller.request("GET", "/")
    up.take()
    proxy.process.signal(signal.SIGTERM)
    must_be_cut(caller, proxy)


def test_a_second_signal_in_the_delay_ends_at_once(curfew, upstream):
    proxy, up = delayed(curfew, upstream, "60s", pool={"size": 1, "queue": 1})
    holder, waiter = proxy.caller(), proxy.caller()
    holder.request("GET", "/holder")
    up.take()
    waiter.request("GET", "/waiter")
    proxy.wait_metric("curfew_pool_waiting", 1)
    begin_drain(proxy)
    holder.must_be_open()
    waiter.must_be_open()
    proxy.process.signal(signal.SIGINT)
    expect(waiter.recv_response(), 503, "connection_limit_reached", phase="queue", sent="none")
    expect(holder.recv_response(), 504, "http_response_timeout", phase="wait", sent="complete")
    must_have_ended(proxy)
