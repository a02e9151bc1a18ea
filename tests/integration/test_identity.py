"""Connections that authenticate a caller (NTLM, Negotiate): they are the caller's own, and nobody else's."""

import signal

import pytest

from harness.bounds import SLOW, Stopwatch


def offer(exchange, *lines, status=401):
    exchange.recv_request()
    exchange.answer(status, *lines)


def must_be_on(exchange, caller, target, *lines, method="GET"):
    """The caller's request comes on that connection."""
    caller.request(method, target, *lines)
    assert exchange.recv_request().target == target
    exchange.answer()
    assert caller.recv_response().status == 200


def personal(proxy, up, *lines):
    """A caller for whom a connection is reserved: (caller, the connection)."""
    caller = proxy.caller()
    caller.request("GET", "/first")
    exchange = up.accept()
    offer(exchange, *(lines or ["WWW-Authenticate: NTLM"]))
    assert caller.recv_response().status == 401
    proxy.wait_metric("curfew_connections", 1, side="upstream_idle")
    return caller, exchange


def must_not_be_shared(proxy, up, exchange):
    """Another caller gets a connection of its own, even with that one idle."""
    other = proxy.caller()
    other.request("GET", "/other")
    fresh, request = up.take()
    assert request.target == "/other" and not exchange.has_bytes()
    fresh.answer(200, "Connection: close")
    assert other.recv_response().status == 200
    other.close()


@pytest.mark.one_worker
def test_each_caller_has_its_own_connection_through_the_whole_handshake(pair):
    proxy, up = pair()
    callers = [proxy.caller() for _ in range(3)]
    exchanges = []
    for caller in callers:
        caller.request("GET", "/", "Authorization: NTLM type1")
        exchanges.append(up.accept())
        offer(exchanges[-1], "WWW-Authenticate: NTLM challenge")
        assert caller.recv_response().status == 401
    for caller, exchange in zip(callers, exchanges):
        must_be_on(exchange, caller, "/proved", "Authorization: NTLM type3")
    assert proxy.metrics().sum("curfew_connections", side="upstream_idle") == 3
    for caller, exchange in reversed(list(zip(callers, exchanges))):
        must_be_on(exchange, caller, "/without-a-word", method="DELETE")
        caller.send(b"POST /more HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nab")
        assert exchange.recv_request().content == b"ab"
        exchange.answer()
        assert caller.recv_response().status == 200
    must_not_be_shared(proxy, up, exchanges[0])
    for caller, exchange in zip(callers, exchanges):
        caller.close()
        exchange.wait_ended()
    proxy.wait_metric("curfew_connections", 0, side="upstream_idle")


@pytest.mark.parametrize("lines, status", [
    (["WWW-Authenticate: NTLM"], 401), (["www-authenticate: negotiate"], 401), (["WWW-Authenticate: Negotiate oYG2MIGzoAMKAQ=="], 200),
    (['WWW-Authenticate: Basic realm="a, b", NTLM'], 401), (["WWW-Authenticate: Bearer", "WWW-Authenticate: Negotiate"], 403),
    (["Proxy-Authenticate: NTLM"], 407), (["Persistent-Auth: true"], 200)], ids=str)
def test_a_connection_on_which_such_a_challenge_was_made_serves_nobody_else(gate, lines, status):
    proxy, up = gate
    caller = proxy.caller()
    caller.request()
    exchange = up.accept()
    offer(exchange, *lines, status=status)
    assert caller.recv_response().status == status
    must_not_be_shared(proxy, up, exchange)
    must_be_on(exchange, caller, "/again")
    caller.close()
    exchange.wait_ended()


@pytest.mark.parametrize("line", ["Authorization: NTLM TlRMTVNT", "authorization: nEGOTIATE YII=", "Proxy-Authorization: NTLM TlRMTVNT"])
def test_a_connection_on_which_such_credentials_were_sent_serves_nobody_else(gate, line):
    """Whatever the answer: it may be a server that says no word of it."""
    proxy, up = gate
    caller = proxy.caller()
    caller.request("GET", "/", line)
    exchange = up.accept()
    offer(exchange, status=200)
    assert caller.recv_response().status == 200
    must_not_be_shared(proxy, up, exchange)
    caller.close()
    exchange.wait_ended()


@pytest.mark.one_worker
@pytest.mark.parametrize("request_line, response_line", [("Authorization: Basic TlRMTQ==", 'WWW-Authenticate: Basic realm="ntlm-zone"'),
                                                         ("Authorization: Bearer Negotiate", "Persistent-Auth: false")])
def test_what_belongs_to_a_request_leaves_its_connection_to_all(gate, request_line, response_line):
    proxy, up = gate
    caller, other = proxy.caller(), proxy.caller()
    caller.request("GET", "/", request_line)
    exchange = up.accept()
    offer(exchange, response_line, status=200)
    assert caller.recv_response().status == 200
    other.request("GET", "/other")
    assert exchange.recv_request().target == "/other"
    exchange.answer(200, "Connection: close")
    assert other.recv_response().status == 200
    for each in (caller, other):
        each.close()


@pytest.mark.one_worker
def test_a_shared_connection_becomes_the_callers_that_authenticates_on_it(pair):
    proxy, up = pair()
    stranger, caller = proxy.caller(), proxy.caller()
    stranger.request()
    exchange, _ = up.take()
    exchange.answer()
    assert stranger.recv_response().status == 200
    must_be_on(exchange, caller, "/mine", "Authorization: Negotiate YII=")
    must_not_be_shared(proxy, up, exchange)
    must_be_on(exchange, caller, "/mine-still")


@pytest.mark.parametrize("head", [b"GET / HTTP/1.0\r\nHost: a\r\n\r\n", b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"])
def test_without_a_connection_of_the_callers_nothing_is_reserved(gate, head):
    proxy, up = gate
    caller = proxy.caller()
    caller.send(head)
    exchange = up.accept()
    offer(exchange, "WWW-Authenticate: NTLM")
    assert caller.recv_response().status == 401
    exchange.wait_ended()
    caller.close()


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_reserved_connection_that_the_upstream_has_closed_is_replaced_by_a_new_one(gate, method):
    """Where the API asks for credentials anew."""
    proxy, up = gate
    caller, exchange = personal(proxy, up)
    exchange.close()
    proxy.wait_metric("curfew_connections", 0, side="upstream_idle")
    caller.request(method, "/again")
    fresh = up.accept()
    offer(fresh, "WWW-Authenticate: NTLM")
    assert caller.recv_response().status == 401
    must_be_on(fresh, caller, "/once-more", "Authorization: NTLM type3")
    caller.close()
    fresh.wait_ended()


def test_a_reserved_connection_that_closes_under_a_request_is_replaced_if_that_does_no_harm(gate):
    proxy, up = gate
    caller, exchange = personal(proxy, up)
    caller.request("GET", "/again")
    exchange.recv_request()
    exchange.close()
    fresh, request = up.take()
    assert request.target == "/again"
    fresh.answer(200, "Connection: close")
    assert caller.recv_response().status == 200
    caller.close()


@pytest.mark.one_worker
def test_reserved_connections_are_no_part_of_max_idle(pair):
    """Or no caller could authenticate at all."""
    proxy, up = pair(keepalive={"max_idle": 0})
    caller, exchange = personal(proxy, up)
    must_be_on(exchange, caller, "/again", "Authorization: NTLM type3")


@pytest.mark.timed
@pytest.mark.parametrize("keys, lines", [({"idle_timeout": "300ms"}, []), ({"max_age": "300ms"}, []),
                                         ({"idle_timeout": "20s"}, ["Keep-Alive: timeout=2"])], ids=str)
def test_a_reserved_connection_is_kept_no_longer_than_others(pair, keys, lines):
    proxy, up = pair(keepalive=keys)
    due = 1 if lines else 0.3
    watch = Stopwatch()
    _, exchange = personal(proxy, up, "WWW-Authenticate: NTLM", *lines)
    exchange.wait_ended()
    assert due <= watch.elapsed() <= due + 0.3 * SLOW
    proxy.wait_metric("curfew_connections", 0, side="upstream_idle")


def test_bytes_that_nobody_asked_for_end_a_reserved_connection(gate):
    proxy, up = gate
    caller, exchange = personal(proxy, up)
    exchange.send(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil")
    exchange.wait_ended()
    caller.request("GET", "/again")
    fresh, _ = up.take()
    fresh.answer(200, "Connection: close")
    assert caller.recv_response().content == b""
    caller.close()


def test_a_caller_that_leaves_takes_its_connection_along_even_in_the_middle(gate):
    proxy, up = gate
    caller, exchange = personal(proxy, up)
    caller.request("GET", "/again", "Authorization: NTLM type3")
    exchange.recv_request()
    caller.reset()
    exchange.wait_ended()
    proxy.wait_metric("curfew_connections", 0, side="upstream_idle")


def test_a_reload_ends_reserved_connections(pair):
    proxy, up = pair()
    caller, exchange = personal(proxy, up)
    proxy.must_reload()
    exchange.wait_ended()
    caller.request("GET", "/again")
    fresh, _ = up.take()
    fresh.answer()
    assert caller.recv_response().status == 200


def test_reserved_connections_do_not_hold_up_a_drain(pair):
    proxy, up = pair()
    _, exchange = personal(proxy, up)
    proxy.process.signal(signal.SIGTERM)
    exchange.wait_ended()
    assert proxy.process.wait_exit() == 0


@pytest.mark.one_worker
def test_under_tls_as_well(curfew, upstream, certificates):
    up = upstream(tls=certificates.server())
    proxy = curfew(url=up.named("localhost"), tls={"ca_file": certificates.ca})
    caller, exchange = personal(proxy, up, "WWW-Authenticate: Negotiate, NTLM")
    must_not_be_shared(proxy, up, exchange)
    must_be_on(exchange, caller, "/again", "Authorization: NTLM type3")
    caller.close()
    exchange.wait_ended()
