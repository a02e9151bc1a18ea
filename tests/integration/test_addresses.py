"""A name with several addresses: raced, remembered, shared (docs/addresses.md)."""

import socket
import statistics
import threading
import time

import pytest

from harness.bounds import SLOW, Stopwatch
from harness.peers import ScriptedUpstream, SilentAddress, ok
from harness.problem import expect

# Each call makes a connection of its own.
ANEW = {"keepalive": {"max_idle": 0}, "deadline": "2s"}

pytestmark = pytest.mark.one_worker


@pytest.fixture
def silent():
    """silent(port) gives an address at which connections to the port are not answered."""
    made = []

    def make(port):
        made.append(SilentAddress("127.0.0.77", port))
        return "127.0.0.77"

    yield make
    for one in made:
        one.close()


def races(proxy):
    metrics = proxy.wait_idle()
    return [metrics.sum("curfew_connect_races_total", winner=winner) for winner in ("first", "later", "none")]


def seconds_of(proxy, calls):
    took = []
    for _ in range(calls):
        start = time.monotonic()
        assert proxy.ask().status == 200
        took.append(time.monotonic() - start)
    return took


@pytest.mark.timed
def test_a_silent_address_costs_one_call_a_stagger_and_no_other_anything(curfew, upstream, name_server, silent):
    up = upstream(ok)
    _, wrap = name_server({"half.test": [silent(up.port), "127.0.0.1"]})
    half = curfew(url=up.named("half.test"), wrap=wrap, **ANEW)
    # New connections are shared out: the silent address has its first turn in one of the first two calls.
    first = seconds_of(half, 2)
    assert sorted(first)[0] < 0.25 and 0.25 <= max(first) < 0.3 + 0.1 * SLOW
    healthy = curfew(url=up.named("127.0.0.1"), **ANEW)
    late = statistics.median(seconds_of(half, 100)) - statistics.median(seconds_of(healthy, 100))
    assert late < 0.005 * SLOW
    assert half.metrics().calls("stuck") == half.metrics().calls("failed") == 0
    assert races(half) == [101, 1, 0] and races(healthy) == [0, 0, 0]


def test_addresses_that_refuse_are_passed_over_at_once(curfew, upstream, name_server):
    up = upstream(ok)
    _, wrap = name_server({"api.test": ["127.0.0.66", "127.0.0.67", "127.0.0.1"]})
    proxy = curfew(url=up.named("api.test"), wrap=wrap, addresses={"stagger": "2s"}, **ANEW)
    watch = Stopwatch()
    assert [proxy.ask().status for _ in range(4)] == [200] * 4
    assert watch.elapsed() < 1 * SLOW
    assert proxy.metrics().calls("failed") == 0
    first, later, none = races(proxy)
    assert first + later == 4 and later >= 1 and none == 0


@pytest.mark.timed
@pytest.mark.parametrize("limit", ["800ms", "none"])
def test_an_address_whose_backlog_is_full_does_not_use_up_the_time(curfew, upstream, name_server, limit):
    up = upstream(ok)
    with socket.socket() as deaf:
        deaf.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        deaf.bind(("127.0.0.77", up.port))
        deaf.listen(0)
        fillers = [socket.socket() for _ in range(4)]
        for filler in fillers:
            filler.setblocking(False)
            filler.connect_ex(("127.0.0.77", up.port))
        _, wrap = name_server({"api.test": ["127.0.0.77", "127.0.0.1"]})
        proxy = curfew(url=up.named("api.test"), wrap=wrap, timeouts={"connect": limit}, **ANEW)
        watch = Stopwatch()
        assert [proxy.ask().status for _ in range(2)] == [200] * 2
        assert watch.elapsed() < 0.8 * SLOW
        for filler in fillers:
            filler.close()


def test_all_addresses_refuse(curfew, upstream, name_server):
    up = upstream()
    up.refuse()
    _, wrap = name_server({"api.test": ["127.0.0.66", "127.0.0.67"]})
    proxy = curfew(url=up.named("api.test"), wrap=wrap, deadline="3s")
    expect(proxy.ask(), 502, "connection_refused", phase="connect", sent="none")
    assert races(proxy) == [0, 0, 1]


def test_a_race_that_a_deadline_ends_is_won_by_none(curfew, upstream, name_server, silent):
    up = upstream(ok)
    _, wrap = name_server({"api.test": [silent(up.port), "127.0.0.66"]})
    proxy = curfew(url=up.named("api.test"), wrap=wrap, deadline="300ms")
    expect(proxy.ask(), 504, "connection_timeout", phase="connect", sent="none")
    assert races(proxy) == [0, 0, 1]
    line, = proxy.log()
    assert line["upstream_address"] == f"127.0.0.77:{up.port}"  # not the one that has refused


def test_new_connections_are_shared_by_all_addresses_that_are_up(curfew, upstream, name_server):
    up = upstream(ok, host="0.0.0.0")
    addresses = [f"127.0.0.{last}" for last in (71, 72, 73)]
    _, wrap = name_server({"api.test": addresses})
    proxy = curfew(url=f"http://api.test:{up.port}", wrap=wrap, **ANEW)
    assert [proxy.ask().status for _ in range(9)] == [200] * 9
    at = [line["upstream_address"].rpartition(":")[0] for line in proxy.log(9)]
    assert sorted(at) == sorted(addresses * 3)


class FarAway(ScriptedUpstream):
    """Each TLS handshake takes a while, as if it had to go round the world."""

    round_trips = 0.18

    def _adopt(self, sock):
        threading.Event().wait(self.round_trips)
        return super()._adopt(sock)


@pytest.mark.timed
@pytest.mark.parametrize("round_trips, connections", [(0.18, 1), (0.6, 3)])
def test_healthy_addresses_that_are_far_away_are_no_failure(curfew, certificates, name_server, round_trips, connections):
    up = FarAway(ok, host="0.0.0.0", tls=certificates.server())
    up.round_trips = round_trips
    _, wrap = name_server({"api.test": [f"127.0.0.{last}" for last in range(71, 83)]})
    proxy = curfew(url=f"https://api.test:{up.port}", wrap=wrap, tls={"ca_file": certificates.ca}, **ANEW)
    assert proxy.ask().status == 200
    assert proxy.log(1)[-1]["phases_ms"]["tls"] >= round_trips * 1000 - 20
    assert up.connections <= connections
    up.close()
    up.must_be_content()
