"""Kept connections that have died without a word, all at once: one call finds out, not each."""

import os
import resource

import pytest

from harness.bounds import SLOW

pytestmark = pytest.mark.one_worker

LONG = {"idle_timeout": "60s"}
ROUTES = [{"path": path, "deadline": "10s"} for path in ("/warm", "/next", "/new")]  # "/" alone is to get stuck


def keep(proxy, up, count):
    """So many idle connections; the last is the one that is used next."""
    callers = [proxy.caller() for _ in range(count)]
    exchanges = []
    for caller in callers:
        caller.request("GET", "/warm")
        exchanges.append(up.take()[0])
    for caller, exchange in zip(callers, exchanges):
        exchange.answer()
        assert caller.recv_response().status == 200
        caller.close()
    proxy.wait_metric("curfew_connections", count, side="upstream_idle")
    return exchanges


def must_take(proxy, exchange, target="/next"):
    """The next call comes on this connection, and is answered."""
    caller = proxy.caller()
    caller.request("POST", target)
    assert exchange.recv_request().target == target
    exchange.answer()
    assert caller.recv_response().status == 200
    caller.close()


def must_take_a_new_one(proxy, up):
    caller = proxy.caller()
    caller.request("POST", "/new")
    exchange, _ = up.take()
    exchange.answer()
    assert caller.recv_response().status == 200
    caller.close()
    return exchange


def lose(proxy):
    response = proxy.ask()
    assert response.status == 504, response


@pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
def test_of_many_in_a_hole_one_costs_a_call(curfew, upstream, certificates, tls):
    up = upstream(tls=certificates.server() if tls else None)
    proxy = curfew(url=up.named("localhost" if tls else ""), deadline="300ms", keepalive=LONG, routes=ROUTES,
                   **({"tls": {"ca_file": certificates.ca}} if tls else {}))
    for exchange in keep(proxy, up, 5):
        exchange.fall_into_a_hole()
    lose(proxy)
    fresh = must_take_a_new_one(proxy, up)
    must_take(proxy, fresh)
    proxy.wait_metric("curfew_connections", 1, side="upstream_idle", seconds=3 + SLOW)
    must_take(proxy, fresh)


def test_those_that_are_alive_prove_it_and_are_used_again(pair):
    proxy, up = pair(deadline="300ms", keepalive=LONG, routes=ROUTES)
    alive, dead, first = keep(proxy, up, 3)
    for exchange in (dead, first):
        exchange.fall_into_a_hole()
    lose(proxy)
    proxy.wait_metric("curfew_connections", 1, side="upstream_idle", seconds=3 + SLOW)
    must_take(proxy, alive)
    must_take(proxy, alive)
    up.must_have_no_connection()


def test_an_upstream_that_thinks_for_too_long_loses_no_connection_but_that(pair):
    proxy, up = pair(deadline="300ms", keepalive=LONG, routes=ROUTES)
    rest, first = keep(proxy, up, 2)
    lose(proxy)
    assert first.recv_request().target == "/"
    must_take(proxy, rest)
    must_take(proxy, rest)
    lose(proxy)  # it has given a response since: no word on the others
    assert rest.recv_request().target == "/"
    up.must_have_no_connection()


def test_behind_a_peer_that_acknowledges_and_never_answers_two_calls_are_lost_at_most(pair):
    """A load balancer whose backend is gone: TCP is well."""
    proxy, up = pair(deadline="300ms", keepalive=LONG, routes=ROUTES)
    exchanges = keep(proxy, up, 5)
    lose(proxy)
    lose(proxy)
    must_take_a_new_one(proxy, up)
    for exchange in exchanges:
        exchange.wait_ended()


def test_a_caller_that_leaves_before_its_request_is_even_acknowledged_tells_of_a_hole(pair):
    proxy, up = pair(deadline="20s", keepalive=LONG)
    for exchange in keep(proxy, up, 3):
        exchange.fall_into_a_hole()
    caller = proxy.caller()
    caller.sock.settimeout(1.1)
    caller.request()
    with pytest.raises(AssertionError):
        caller.recv_response()
    caller.close()
    proxy.wait_idle()
    must_take_a_new_one(proxy, up)


def test_a_caller_that_leaves_a_thinking_upstream_tells_nothing(pair):
    proxy, up = pair(deadline="20s", keepalive=LONG)
    rest, first = keep(proxy, up, 2)
    caller = proxy.caller()
    caller.request()
    assert first.recv_request().target == "/"
    caller.reset()
    proxy.wait_idle()
    must_take(proxy, rest)


def test_what_is_reserved_for_a_caller_is_not_trusted_either(pair):
    proxy, up = pair(deadline="300ms", keepalive=LONG, routes=ROUTES)
    owner = proxy.caller()
    owner.request()
    reserved, _ = up.take()
    reserved.answer(401, "WWW-Authenticate: NTLM")
    assert owner.recv_response().status == 401
    caller = proxy.caller()
    caller.request("GET", "/warm")
    shared, _ = up.take()
    shared.answer()
    assert caller.recv_response().status == 200
    for exchange in (reserved, shared):
        exchange.fall_into_a_hole()
    lose(proxy)
    owner.request()
    fresh, _ = up.take()
    fresh.answer(401, "WWW-Authenticate: NTLM")
    assert owner.recv_response().status == 401


def test_idle_connections_are_given_up_for_calls_where_descriptors_run_out(curfew, upstream):
    kept, other = upstream(), upstream()
    proxy = curfew(upstreams={"api": {"url": kept.url, "deadline": "5s", "keepalive": LONG}, "other": {"url": other.url, "deadline": "5s"}})
    keep(proxy, kept, 8)
    last = max(int(name) for name in os.listdir(f"/proc/{proxy.process.pid}/fd"))
    resource.prlimit(proxy.process.pid, resource.RLIMIT_NOFILE, (last + 1, last + 1))
    crowd = []
    while proxy.metrics().sum("curfew_connections", side="upstream_idle") > 4:  # until callers have what was free, and more
        crowd.append(proxy.caller("other"))
        assert len(crowd) < last
    crowd[-1].request("GET", "/")
    exchange, _ = other.take()
    exchange.answer()
    assert crowd[-1].recv_response().status == 200
    for one in crowd:
        one.close()
