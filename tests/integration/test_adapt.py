"""pool.adapt: how many permits are given out goes by what the API refuses."""

import json

import pytest

from harness.curfew import curfew_command

ADAPT = {"min": 2, "when": [429]}


def answered(proxy, up, status):
    """A call, and what the API says to it."""
    caller = proxy.caller()
    caller.request()
    exchange, _ = up.take()
    exchange.answer(status)
    assert caller.recv_response().status == status
    caller.close()


def limit(proxy, pool="api"):
    return proxy.metrics().sum("curfew_pool_limit", pool=pool)


def keys(up, proxy=None, **pool):
    listen = {"listen": "%s:%d" % proxy.address()} if proxy else {}
    return {"url": up.url, "deadline": "5s", "keepalive": {"max_idle": 0}, "pool": {"size": 4, "queue": 5, **pool}, **listen}


@pytest.fixture
def adapting(curfew, upstream):
    def make(**adapt):
        up = upstream()
        return curfew(upstreams={"api": keys(up, adapt={**ADAPT, **adapt})}), up

    return make


def test_a_refusal_lowers_what_is_given_out_and_good_answers_raise_it(adapting):
    proxy, up = adapting()
    assert limit(proxy) == 4
    answered(proxy, up, 429)
    answered(proxy, up, 429)  # of the same second
    metrics = proxy.metrics()
    assert (metrics.sum("curfew_pool_limit"), metrics.sum("curfew_pool_size")) == (2, 4)
    pool, = proxy.pools()["pools"]
    assert (pool["limit"], pool["size"]) == (2, 4)
    callers = [proxy.caller() for _ in range(3)]
    for caller in callers:
        caller.request()
    exchanges = [up.take()[0] for _ in range(2)]
    proxy.wait_metric("curfew_pool_waiting", 1)  # though the pool has four
    up.must_have_no_connection()
    exchanges[0].answer(404)  # which is an answer
    exchanges.append(up.take()[0])
    assert limit(proxy) == 2
    exchanges[1].answer(200)
    proxy.wait_metric("curfew_pool_limit", 3)
    exchanges[2].answer(200)
    assert sorted(caller.recv_response().status for caller in callers) == [200, 200, 404]
    assert limit(proxy) == 3  # the last one did not have all that is given out beside it


def test_other_errors_neither_lower_nor_raise_it(adapting):
    proxy, up = adapting(min=1)
    for status in (503, 500, 200):
        answered(proxy, up, status)
    assert limit(proxy) == 4
    answered(proxy, up, 429)
    for status in (503, 502, 504):
        answered(proxy, up, status)
    assert limit(proxy) == 2


def test_it_outlives_a_reload_and_is_forgotten_where_it_is_turned_off(adapting):
    proxy, up = adapting()
    answered(proxy, up, 429)
    for pool, expected in (({"size": 9, "adapt": ADAPT}, 2), ({"size": 9, "adapt": {**ADAPT, "min": 5}}, 5),
                           ({"size": 9}, 9), ({"size": 3, "adapt": ADAPT}, 3)):
        proxy.rewrite({"api": keys(up, proxy, **pool)})
        proxy.must_reload()
        metrics = proxy.metrics()
        assert (metrics.sum("curfew_pool_limit"), metrics.sum("curfew_pool_size")) == (expected, pool["size"])


def test_waiters_are_let_in_when_it_is_turned_off(adapting):
    proxy, up = adapting()
    answered(proxy, up, 429)
    callers = [proxy.caller() for _ in range(4)]
    for caller in callers:
        caller.request()
    exchanges = [up.take()[0] for _ in range(2)]
    proxy.wait_metric("curfew_pool_waiting", 2)
    proxy.rewrite({"api": keys(up, proxy)})
    proxy.must_reload()
    exchanges += [up.take()[0] for _ in range(2)]
    for exchange in exchanges:
        exchange.answer()
    assert [caller.recv_response().status for caller in callers] == [200] * 4


def test_a_pool_in_pools_may_have_it_and_without_it_nothing_moves(curfew, upstream):
    up = upstream()
    api = {"url": up.url, "deadline": "5s", "keepalive": {"max_idle": 0}, "pool": {"size": 4},
           "routes": [{"path": "/shared", "pool": "shared"}]}
    proxy = curfew(upstreams={"api": api}, top={"pools": {"shared": {"size": 10, "adapt": {}}}})
    answered(proxy, up, 429)
    caller = proxy.caller()
    caller.request("GET", "/shared")
    exchange, _ = up.take()
    exchange.answer(503)
    assert caller.recv_response().status == 503
    assert (limit(proxy), limit(proxy, "shared")) == (4, 7)
    pools = json.loads(proxy.admin_get("/config")[1])["config"]["pools"]
    assert (pools["api"]["adapt"], pools["shared"]["adapt"]) == ("none", {"min": 1, "when": [429, 503]})
    done = curfew_command("explain", "-c", proxy.config, "GET", "/shared")
    assert "and fewer, down to 1, after 429 503 of the API" in done.stdout
    assert "and fewer" not in curfew_command("explain", "-c", proxy.config, "GET", "/").stdout
