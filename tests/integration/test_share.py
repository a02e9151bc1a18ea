"""pool.share_by: waiters are served in turn by the value of a field, or by their caller."""

import json
import threading

import pytest

from harness.bounds import SLOW
from harness.curfew import curfew_command
from harness.load import load
from harness.problem import expect

SHARED = {"size": 1, "queue": 6, "share_by": "X-Tenant"}


def queue_up(proxy, *tenants, already=0):
    callers = []
    for n, tenant in enumerate(tenants):
        caller = proxy.caller()
        caller.request("GET", f"/{tenant}{n}", *([f"X-Tenant: {tenant}"] if tenant != "none" else []))
        proxy.wait_metric("curfew_pool_waiting", already + n + 1)
        callers.append(caller)
    return callers


def hold(proxy, up):
    holder = proxy.caller()
    holder.request("GET", "/holder")
    return holder, up.take()[0]


def serve(exchange, count):
    """The targets of the next requests, in their order."""
    targets = []
    for _ in range(count):
        exchange.answer()
        targets.append(exchange.recv_request().target)
    exchange.answer()
    return targets


def two_keys(proxy, up):
    """Two tenants that are not in one bucket in this process; a caller that holds the permit, and the API's side of it."""
    holder, exchange = hold(proxy, up)
    for n in range(30):
        other = f"b{n}x"
        callers = queue_up(proxy, "a", "a", other)
        order = serve(exchange, 3)
        assert [caller.recv_response().status for caller in (holder, *callers)] == [200] * 4
        holder = proxy.caller()
        holder.request("GET", "/holder")
        exchange.recv_request()
        if order[1].startswith("/b") or order[0].startswith("/b"):
            return "a", other, holder, exchange
    raise AssertionError("30 values in one of 64 buckets")


@pytest.mark.one_worker
def test_values_are_served_in_turn_and_each_by_arrival(pair):
    proxy, up = pair(deadline="60s", pool=SHARED)
    a, b, holder, exchange = two_keys(proxy, up)
    callers = queue_up(proxy, a, a, a, b, b)
    order = serve(exchange, 5)
    assert [target[1:].rstrip("0123456789")[:1] for target in order[:4]] in (["a", "b", "a", "b"], ["b", "a", "b", "a"])
    assert [target for target in order if target.startswith("/a")] == ["/a0", "/a1", "/a2"]
    assert [caller.recv_response().status for caller in (holder, *callers)] == [200] * 6


@pytest.mark.one_worker
def test_the_newest_of_the_longest_makes_room_in_a_full_queue(pair):
    proxy, up = pair(deadline="60s", pool=SHARED)
    a, b, holder, exchange = two_keys(proxy, up)
    callers = queue_up(proxy, *[a] * 6)
    light = proxy.caller()
    light.request("GET", "/light", f"X-Tenant: {b}")
    problem = expect(callers[5].recv_response(), 503, "connection_limit_reached", phase="queue", sent="none")
    assert problem["type"] == "urn:curfew:problem:queue_full"
    heavy = proxy.caller()
    expect(heavy.ask("GET", "/", f"X-Tenant: {a}"), 503, "connection_limit_reached", phase="queue", sent="none")
    order = serve(exchange, 6)
    assert "/light" in order[:2]
    assert [caller.recv_response().status for caller in (holder, light, *callers[:5])] == [200] * 7
    metrics = proxy.wait_idle()
    assert metrics.sum("curfew_calls_rejected_total", reason="queue_full") == 2
    assert metrics.sum("curfew_pool_audit_errors_total") == 0


@pytest.mark.timed
def test_one_that_asks_much_stands_in_its_own_way(curfew, faulty):
    """One tenant at more than all that the pool can take, beside one at a little: the light one is always served."""
    statuses = {}
    proxy = curfew(url=faulty().url, deadline="1s", top={"workers": 2}, pool={"size": 2, "queue": 20, "share_by": "X-Tenant"})

    def light():
        caller = proxy.caller()
        for _ in range(40):
            status = caller.ask("GET", "/delay/20", "X-Tenant: light").status
            statuses[status] = statuses.get(status, 0) + 1

    thread = threading.Thread(target=light)
    thread.start()
    heavy = load(proxy.address(), "/delay/20", calls=int(600 / SLOW), rate=300, header="X-Tenant: heavy")
    thread.join()
    assert heavy.statuses.get(503, 0) > 50 / SLOW
    assert statuses.get(200, 0) >= 39, (statuses, heavy)


@pytest.mark.one_worker
def test_callers_are_told_apart_by_their_address(pair):
    proxy, up = pair(deadline="60s", pool={**SHARED, "share_by": "caller"})
    holder, exchange = hold(proxy, up)
    callers = queue_up(proxy, "x", "y", "z")
    assert serve(exchange, 3) == ["/x0", "/y1", "/z2"]  # all are 127.0.0.1
    assert [caller.recv_response().status for caller in (holder, *callers)] == [200] * 4


@pytest.mark.one_worker
def test_a_reload_that_shares_the_queue_or_does_not_keeps_who_waits(pair):
    proxy, up = pair(deadline="60s", pool={"size": 1, "queue": 10})
    holder, exchange = hold(proxy, up)
    callers = queue_up(proxy, "a", "a", "b")
    keys = {"url": f"http://{up.authority}", "deadline": "60s"}
    proxy.rewrite({"api": {**keys, "pool": {"size": 1, "queue": 10, "share_by": "X-Tenant"}}})
    proxy.must_reload()
    callers += queue_up(proxy, "c", already=3)
    assert proxy.metrics().sum("curfew_pool_waiting") == 4
    proxy.rewrite({"api": {**keys, "pool": {"size": 1, "queue": 10}}})
    proxy.must_reload()
    exchange.answer()
    for _ in range(4):
        exchange = up.take()[0]  # a reload closes what is kept
        exchange.answer()
    assert [caller.recv_response().status for caller in (holder, *callers)] == [200] * 5
    assert proxy.wait_idle().sum("curfew_pool_audit_errors_total") == 0


def test_what_is_no_name_is_said(tmp_path):
    file = tmp_path / "c.yaml"
    file.write_text(json.dumps({"upstreams": {"api": {"listen": "127.0.0.1:0", "url": "http://127.0.0.1:1",
                                                      "pool": {"share_by": "X Tenant"}}}}))
    done = curfew_command("check", file)
    assert done.returncode == 1 and "upstreams.api.pool.share_by" in done.stderr and "no name of a field" in done.stderr
