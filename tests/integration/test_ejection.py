"""addresses.eject: an address whose server answers, but badly, is left out for a while beside others that are well."""

import json

import pytest

from harness.bounds import poll
from harness.peers import ok

ANEW = {"keepalive": {"max_idle": 0}, "deadline": "5s"}

pytestmark = pytest.mark.one_worker


class Server:
    """An API at an address of its own, that answers what it is told."""

    def __init__(self, upstream, host, port=0):
        self.status, self.requests, self.host = 200, 0, host
        self.up = upstream(self._serve, host=host, port=port)

    def _serve(self, exchange):
        exchange.recv_request()
        self.requests += 1
        exchange.answer(self.status, content=b"x")


@pytest.fixture
def three(curfew, upstream, name_server):
    """three(…) -> (proxy, servers): a name with three addresses, each with a server behind it."""
    def make(count=3, eject=None, **more):
        servers = [Server(upstream, "127.0.0.61")]
        servers += [Server(upstream, f"127.0.0.{61 + n}", servers[0].up.port) for n in range(1, count)]
        _, wrap = name_server({"api.test": [one.host for one in servers]})
        proxy = curfew(url=servers[0].up.named("api.test"), wrap=wrap, addresses={"eject": eject or {"failures": 2, "time": "300ms"}},
                       **{**ANEW, **more})
        return proxy, servers

    return make


def states(proxy):
    metrics = proxy.metrics()
    return {state: int(metrics.sum("curfew_addresses", state=state)) for state in ("up", "out", "probing")}


def told(proxy):
    (one,) = json.loads(proxy.admin_get("/upstreams")[1])["upstreams"]
    return one["addresses"]


def ask_until(proxy, condition, what):
    def asks():
        proxy.ask()
        return condition()

    poll(asks, what)


def test_an_address_that_answers_badly_is_left_out_and_comes_back(three):
    proxy, servers = three(eject={"failures": 2, "time": "1s"})
    servers[1].status = 503
    ask_until(proxy, lambda: states(proxy)["out"] == 1, "the address to be left out")
    assert states(proxy) == {"up": 2, "out": 1, "probing": 0}
    assert told(proxy) == {"up": 2, "out": ["127.0.0.62"], "probing": []}
    before = servers[1].requests
    assert [proxy.ask().status for _ in range(12)] == [200] * 12
    assert servers[1].requests == before == 2
    servers[1].status = 200
    ask_until(proxy, lambda: servers[1].requests > before, "a call to try it again")
    assert states(proxy) == {"up": 3, "out": 0, "probing": 0}


def test_a_probe_that_goes_wrong_leaves_it_out_for_longer(three):
    proxy, servers = three(eject={"failures": 1, "time": "100ms", "time_max": "20s"})
    servers[2].status = 503
    statuses = []

    def asks():
        statuses.append(proxy.ask().status)
        return servers[2].requests >= 4

    poll(asks, "three probes")
    assert statuses.count(503) == 4
    assert states(proxy)["out"] == 1


def test_kept_connections_to_it_are_not_used_and_it_is_tried_by_a_new_one(three):
    proxy, servers = three(count=2, eject={"failures": 2, "time": "1s"}, keepalive={"max_idle": 10})
    callers = [proxy.caller() for _ in range(6)]

    def all_ask():
        for caller in callers:
            caller.request()
        for caller in callers:
            caller.recv_response()
        return states(proxy)["out"] == 1

    assert not all_ask()
    assert all(server.requests for server in servers)
    servers[0].status = 503
    poll(all_ask, "the address to be left out")
    before = servers[0].requests
    assert [proxy.ask().status for _ in range(8)] == [200] * 8 and servers[0].requests == before
    servers[0].status = 200
    ask_until(proxy, lambda: servers[0].requests > before, "a call to try it again")
    assert states(proxy) == {"up": 2, "out": 0, "probing": 0}


def test_never_more_than_half_of_them_are_left_out(three):
    proxy, servers = three(eject={"failures": 1, "time": "10s"})
    for server in servers:
        server.status = 503
    assert [proxy.ask().status for _ in range(12)] == [503] * 12
    assert states(proxy) == {"up": 2, "out": 1, "probing": 0}


def test_one_address_is_never_left_out(curfew, upstream):
    up = upstream(lambda exchange: (exchange.recv_request(), exchange.answer(503)))
    proxy = curfew(url=up.url, addresses={"eject": {"failures": 1}}, **ANEW)
    assert [proxy.ask().status for _ in range(5)] == [503] * 5
    assert states(proxy)["out"] == 0


def test_without_eject_nothing_is_told(curfew, upstream):
    up = upstream(ok)
    proxy = curfew(url=up.url)
    assert proxy.ask().status == 200
    assert not proxy.metrics().has("curfew_addresses")
    assert told(proxy) is None


def test_it_stays_out_over_a_reload(three):
    proxy, servers = three(eject={"failures": 1, "time": "20s"})
    servers[1].status = 503
    ask_until(proxy, lambda: states(proxy)["out"] == 1, "the address to be left out")
    url = servers[0].up.named("api.test")
    proxy.rewrite({"api": {"listen": "127.0.0.1:0", "url": url, "addresses": {"eject": {"failures": 1, "time": "20s"}}, "deadline": "4s", **{"keepalive": {"max_idle": 0}}}})
    proxy.must_reload()
    before = servers[1].requests
    assert [proxy.ask().status for _ in range(6)] == [200] * 6 and servers[1].requests == before
