"""A fixed number of permits, and a bounded, fair queue in front of them."""

import threading

import pytest

from harness.bounds import SANITIZED, SLOW, SOON, Stopwatch
from harness.load import load
from harness.problem import expect, expect_stuck


def ask_many(proxy, count, prefix="/", **more):
    callers = []
    for n in range(count):
        callers.append(proxy.caller(**more))
        callers[-1].request("GET", f"{prefix}{n}")
    return callers


def queue_up(proxy, count, prefix="/q", already=0, **more):
    """Callers that are in the queue in this order for certain: each is seen there before the next one asks."""
    callers = []
    for n in range(count):
        callers.append(proxy.caller(**more))
        callers[-1].request("GET", f"{prefix}{n}")
        proxy.wait_metric("curfew_pool_waiting", already + n + 1)
    return callers


@pytest.mark.one_worker
def test_no_more_calls_than_permits_reach_the_upstream(pair):
    proxy, up = pair(pool={"size": 3, "queue": 10})
    callers = ask_many(proxy, 8)
    exchanges = [up.take()[0] for _ in range(3)]
    metrics = proxy.wait_metric("curfew_pool_waiting", 5)
    assert metrics.sum("curfew_pool_held") == metrics.sum("curfew_pool_size") == 3
    assert metrics.in_flight(phase="queue") == 5
    up.must_have_no_connection(0.05)
    for _ in range(5):  # each response lets exactly one more in, on the connection that has become free
        exchanges[0].answer()
        exchanges[0].recv_request()
        up.must_have_no_connection()
    for exchange in exchanges:
        exchange.answer()
    assert [caller.recv_response().status for caller in callers] == [200] * 8
    metrics = proxy.wait_idle()
    assert metrics.sum("curfew_pool_held_peak") == 3 and metrics.sum("curfew_pool_acquired_total") == 8
    assert metrics.sum("curfew_queue_wait_seconds_count") >= 5


@pytest.mark.one_worker
def test_waiters_are_served_first_come_first_served(pair):
    proxy, up = pair(pool={"size": 1, "queue": 10})
    holder, = ask_many(proxy, 1, "/holder")
    exchange, _ = up.take()
    waiters = queue_up(proxy, 6)
    order = []
    exchange.answer()
    for _ in waiters:
        order.append(exchange.recv_request().target)
        exchange.answer()
    assert order == [f"/q{n}" for n in range(6)]
    for caller in (holder, *waiters):
        assert caller.recv_response().status == 200


@pytest.mark.one_worker
@pytest.mark.timed
def test_a_full_queue_refuses_at_once(pair):
    proxy, up = pair(pool={"size": 1, "queue": 2})
    holder, = ask_many(proxy, 1, "/holder")
    exchange, _ = up.take()
    waiters = queue_up(proxy, 2)
    watch = Stopwatch()
    late = proxy.caller()
    late.request("GET", "/late")
    response = late.recv_response()
    watch.is_over_at(0)
    expect(response, 503, "connection_limit_reached", sent="none")
    assert int(response["retry-after"]) >= 1
    late.must_be_open()  # its request was read whole
    metrics = proxy.metrics()
    assert metrics.calls("rejected", upstream="api", reason="queue_full") == 1 and metrics.calls("failed") == 0
    exchange.answer()
    for _ in waiters:
        exchange.recv_request()
        exchange.answer()
    for caller in (holder, *waiters):
        assert caller.recv_response().status == 200
    late.request("GET", "/again")
    assert exchange.recv_request().target == "/again"
    exchange.answer()
    assert late.recv_response().status == 200


@pytest.mark.one_worker
def test_without_a_queue_all_but_the_permitted_are_refused(pair):
    proxy, up = pair(pool={"size": 1, "queue": 0})
    holder, = ask_many(proxy, 1)
    exchange, _ = up.take()
    assert proxy.ask().status == 503
    exchange.answer()
    assert holder.recv_response().status == 200
    other = proxy.caller()
    other.request()
    exchange.recv_request()
    exchange.answer()
    assert other.recv_response().status == 200


def test_a_refused_upload_is_read_or_its_connection_ends(pair):
    proxy, up = pair(pool={"size": 1, "queue": 0})
    holder, = ask_many(proxy, 1)
    exchange, _ = up.take()
    caller = proxy.caller()
    caller.request("POST", "/", "Content-Length: 1000000")
    response = caller.recv_response()
    assert (response.status, response["connection"]) == (503, "close")
    caller.must_end()
    exchange.answer()
    assert holder.recv_response().status == 200


@pytest.mark.timed
def test_the_queue_timeout(pair):
    proxy, up = pair(deadline="3s", pool={"size": 1, "queue": 10, "queue_timeout": "300ms"})
    holder, = ask_many(proxy, 1)
    exchange, _ = up.take()
    watch = Stopwatch()
    response = proxy.ask("GET", "/waits")
    watch.is_over_at(0.3)
    problem = expect(response, 503, "connection_limit_reached", phase="queue", sent="none")
    assert problem["phases_ms"]["queue"] >= 298 and response["retry-after"]
    metrics = proxy.metrics()
    assert metrics.calls("rejected", reason="queue_timeout") == 1 and metrics.sum("curfew_pool_waiting") == 0
    exchange.answer()
    assert holder.recv_response().status == 200


@pytest.mark.one_worker
def test_a_waiter_that_leaves_gives_its_place_free(pair):
    proxy, up = pair(pool={"size": 1, "queue": 3})
    holder, = ask_many(proxy, 1, "/holder")
    exchange, _ = up.take()
    waiters = queue_up(proxy, 3)
    waiters[1].close()
    metrics = proxy.wait_metric("curfew_pool_waiting", 2)
    assert metrics.calls("abandoned", phase="queue") == 1
    late = proxy.caller()
    late.request("GET", "/late")
    proxy.wait_metric("curfew_pool_waiting", 3)
    order = []
    exchange.answer()
    for _ in range(3):
        order.append(exchange.recv_request().target)
        exchange.answer()
    assert order == ["/q0", "/q2", "/late"]
    for caller in (holder, waiters[0], waiters[2], late):
        assert caller.recv_response().status == 200


@pytest.mark.one_worker
def test_an_expired_waiter_is_not_run_and_leaves_its_place(pair):
    proxy, up = pair(deadline="5s", pool={"size": 1, "queue": 2}, routes=[{"path": "/short", "deadline": "1s"}])
    holder, = ask_many(proxy, 1, "/holder")
    exchange, _ = up.take()
    short = proxy.caller()
    short.request("GET", "/short")
    proxy.wait_metric("curfew_pool_waiting", 1)
    long = proxy.caller()
    long.request("GET", "/long")
    proxy.wait_metric("curfew_pool_waiting", 2)
    expect_stuck(short.recv_response(), "queue", 1000)
    assert proxy.metrics().sum("curfew_pool_waiting") == 1
    exchange.answer()
    assert exchange.recv_request().target == "/long"
    exchange.answer()
    assert holder.recv_response().status == long.recv_response().status == 200
    exchange.must_be_silent()


def test_the_permit_is_held_until_the_exchange_is_over(pair):
    """A caller that has got its 504 is not the end of the work: the permit goes with the connection."""
    proxy, up = pair(deadline="300ms", pool={"size": 1, "queue": 5}, routes=[{"path": "/next", "deadline": "3s"}])
    first = proxy.caller()
    first.request("GET", "/stuck")
    exchange, _ = up.take()
    second = proxy.caller()
    second.request("GET", "/next")
    other, request = up.take()  # comes only once the first one's connection has been destroyed
    assert request.target == "/next" and exchange.wait_ended(0.5 * SLOW)
    other.answer()
    assert first.recv_response().status == 504 and second.recv_response().status == 200


def test_who_has_his_answer_finds_the_permit_free(curfew, faulty):
    """On whichever worker he asks next: the permit does not come a moment after the answer."""
    proxy = curfew(url=faulty().url, deadline="60s", pool={"size": 1, "queue": 0}, top={"workers": 2})
    assert [proxy.ask("POST", "/reset").status for _ in range(300)] == [502] * 300
    metrics = proxy.wait_idle()
    assert (metrics.calls("failed"), metrics.calls("rejected")) == (300, 0)


def test_permits_come_back_from_failures(pair):
    proxy, up = pair(pool={"size": 1, "queue": 0})
    for _ in range(5):
        caller = proxy.caller()
        caller.request("GET", "/")
        exchange, _ = up.take()
        exchange.reset()
        assert caller.recv_response().status == 502
    assert proxy.wait_idle().sum("curfew_pool_released_total") == 5


def test_a_pool_by_name_is_shared_by_upstreams(curfew, upstream):
    one, two = upstream(), upstream()
    proxy = curfew(top={"pools": {"both": {"size": 2, "queue": 5}}}, upstreams={
        "one": {"url": one.url, "pool": "both", "deadline": "5s"},
        "two": {"url": two.url, "pool": "both", "deadline": "5s"}})
    first, second, third = proxy.caller("one"), proxy.caller("two"), proxy.caller("one")
    first.request("GET", "/")
    exchange_one, _ = one.take()
    second.request("GET", "/")
    exchange_two, _ = two.take()
    third.request("GET", "/third")
    metrics = proxy.wait_metric("curfew_pool_waiting", 1, pool="both")
    assert metrics.sum("curfew_pool_held", pool="both") == 2
    one.must_have_no_connection()
    exchange_two.answer()
    exchange_third, request = one.take()
    assert request.target == "/third"
    exchange_one.answer()
    exchange_third.answer()
    assert [caller.recv_response().status for caller in (first, second, third)] == [200] * 3
    pools = proxy.pools()
    assert "both" in str(pools)


def test_a_route_may_have_a_pool_of_its_own(curfew, upstream):
    up = upstream()
    proxy = curfew(url=up.url, pool={"size": 1, "queue": 0}, top={"pools": {"reports": {"size": 1, "queue": 0}}},
                   routes=[{"path": "/reports", "pool": "reports"}])
    report, other = proxy.caller(), proxy.caller()
    report.request("GET", "/reports/1")
    first, _ = up.take()
    other.request("GET", "/other")
    second, _ = up.take()
    assert proxy.ask("GET", "/reports/2").status == 503
    assert proxy.ask("GET", "/other").status == 503
    first.answer()
    second.answer()
    assert report.recv_response().status == other.recv_response().status == 200


def test_the_cap_holds_over_all_workers(curfew, faulty):
    api = faulty()
    proxy = curfew(url=api.url, pool={"size": 7, "queue": 1000}, top={"workers": 2})
    callers = ask_many(proxy, 140, "/delay/20?")
    assert [caller.recv_response().status for caller in callers] == [200] * 140
    stats = api.stats()
    assert stats["in_work_max"] <= 7 and stats["requests_total"] == 140
    assert proxy.wait_idle().sum("curfew_pool_held_peak") == 7


def test_a_permit_is_handed_from_worker_to_worker(pair):
    """With two workers the waiter and the holder are often on different threads: none may be forgotten."""
    proxy, up = pair(pool={"size": 1, "queue": 50}, top={"workers": 2})
    callers = ask_many(proxy, 30)
    served = threading.Thread(target=_serve_all, args=(up, 30))
    served.start()
    assert [caller.recv_response().status for caller in callers] == [200] * 30
    served.join(SOON)
    assert proxy.wait_idle().sum("curfew_pool_acquired_total") == 30


def _serve_all(up, count):
    """One call at a time, on whatever connection it comes."""
    exchanges, done = [], 0
    while done < count:
        if up.has_connection(0.001):
            exchanges.append(up.accept())
        for exchange in exchanges:
            if exchange.has_bytes():
                assert sum(other.has_bytes() for other in exchanges) == 1, "two calls at once"
                exchange.recv_request()
                exchange.answer()
                done += 1


def test_pools_are_told_by_the_admin(pair):
    proxy, up = pair(pool={"size": 4, "queue": 9})
    caller = proxy.caller()
    caller.request()
    exchange, _ = up.take()
    pools = proxy.pools()
    text = str(pools)
    assert "'size': 4" in text and "'held': 1" in text and "'waiting': 0" in text, text
    exchange.answer()
    assert caller.recv_response().status == 200


def test_health_is_told_by_the_admin(pair):
    proxy, _ = pair()
    assert proxy.admin_get("/healthz")[0] == 200 and proxy.admin_get("/readyz")[0] == 200
    assert proxy.admin_get("/nothing-here")[0] == 404


# ---------------------------------------------------------------------------------- in numbers


@pytest.mark.alone
def test_eight_thousand_calls_to_an_api_that_is_stuck(curfew, faulty):
    """2,000 a second, fifty permits: at most fifty at the upstream at any instant, and everyone has an answer in time."""
    calls, rate = (1600, 400) if SANITIZED else (8000, 2000)
    api = faulty()
    proxy = curfew(url=api.url, deadline="2s", pool={"size": 50, "queue": 200}, top={"workers": 2})
    result = load(proxy.address(), "/delay/3000", calls=calls, rate=rate)
    assert result.completed == calls and set(result.statuses) == {503, 504}, result
    assert result.latency("504", "min") >= 1999 and result.latency("all", "max") <= 2000 + 100 * SLOW, result
    assert result.latency("503", "p50") <= 2 * SLOW, "refusals come at once"
    assert api.stats()["in_work_max"] <= 50
    metrics = proxy.wait_idle()
    assert metrics.calls("started") == metrics.calls("stuck") + metrics.calls("rejected") == calls
    assert metrics.sum("curfew_pool_held_peak") == 50 and metrics.calls("completed") == 0
    assert metrics.calls("stuck") == result.statuses[504] and metrics.calls("rejected") == result.statuses[503]
    api.wait_stats(lambda stats: stats["in_work"] == 0, "the upstream to be left alone")


WAYS_TO_BE_SLOW = {
    "the API": ({"calls": 4000}, ("/stuck", "/headdrip/100", "/drip/100", "/drip/100?chunked")),
    "uploading callers": ({"calls": 1000, "body": 100, "upload_rate": 1}, ("/sink",)),
    "reading callers": ({"calls": 100, "read_rate": 1}, ("/bytes/10000000",)),
}


@pytest.mark.alone
@pytest.mark.sound_only
@pytest.mark.parametrize("who", WAYS_TO_BE_SLOW)
def test_thousands_at_once_are_over_at_the_deadline(curfew, faulty, who):
    options, paths = WAYS_TO_BE_SLOW[who]
    api = faulty()
    proxy = curfew(url=api.url, deadline="2s", pool={"size": 5000, "queue": 0}, top={"workers": 2})
    result = load(proxy.address(), *paths, at_once=True, **options)
    assert result.statuses.keys() <= {200, 504}, result
    ends = result.told["from_sent_ms"]
    assert all(2000 <= ends[how]["min"] for how in ends), "never early"
    metrics = proxy.wait_idle()
    assert metrics.calls("stuck") == metrics.calls("started") == options["calls"]
    late = metrics.sum("curfew_deadline_overshoot_seconds_sum") / options["calls"]
    # On a quiet machine it is some 20 ms; others that are at work on this one make calls late, not broken.
    assert late < 0.250 * SLOW, f"late by {late * 1000:.1f} ms on average"
    api.wait_stats(lambda stats: stats["in_work"] == 0, "the upstream to be left alone")
