"""What holds over a fleet while its store, or the way there, is at fault: partitions, late messages, clocks, lost writes."""

import pytest

from harness.bounds import SLOW, SOON, poll
from harness.stores import Between, RedisServer, Sentinel

POOL = "prod/api"
# Leases that are over while a test runs: 1.35 s, and a share is that of nobody.
SHORT = {"deadline": "300ms", "fallback": "closed", "ride_out": "1s", "renew": "250ms"}


def done(results):
    return [result.statuses.get(200, 0) for result in results]


@pytest.fixture
def server(tmp_path, later):
    def start(*args):
        one = RedisServer(tmp_path / f"redis{len(list(tmp_path.iterdir()))}", *args)
        later(one.process.kill)
        return one

    return start


@pytest.mark.timed
def test_half_of_the_hosts_cut_off_and_messages_that_are_late_leave_the_cap_as_it_is(fleet, server, later):
    store = server()
    ways = [Between(store.port, late=0.02, late_by=(0.2, 1.0), seed=number) for number in range(4)]
    for way in ways:
        later(way.close)
    f = fleet(4, size=8, pool={"reserve": 1, "queue": 3}, store=store, way=lambda number: ways[number].url, **SHORT)
    f.begin()
    finish = f.start_load("/delay/50", rate=320, seconds=9)
    for cut in (0, 1), (2, 3):
        poll(lambda: f.api.stats()["in_work"] >= 6, "the cap to be used")
        for number in cut:
            ways[number].mode = "cut"
        for number in cut:
            assert f.hosts[number].process.stderr.wait(lambda lines: any("the fallback holds, 1 permits" in line for line in lines), 2 * SOON)
        for number in cut:
            ways[number].mode = "forward"
    results = finish()
    assert f.api.stats()["in_work_max"] <= 8
    assert min(done(results)) >= 9 / 0.05 / 2, "a host had less than half of what it owns"


@pytest.mark.timed
def test_a_clock_of_the_store_that_steps_leaves_the_cap_as_it_is(fleet):
    f = fleet(3, size=6, pool={"queue": 3}, steps=True, **SHORT)
    f.begin()
    load = f.start_load("/delay/50", rate=240, seconds=8)
    poll(lambda: f.api.stats()["in_work"] == 6, "the cap to be used")
    steps = []
    for ahead in (60, 63, 33):
        f.store.step_clock(ahead)
        before = [host.metrics() for host in f.hosts]
        for host, then in zip(f.hosts, before):
            for name, more in ("curfew_fleet_renewals_total", 2), ("curfew_calls_completed_total", 5):
                poll(lambda host=host, then=then, name=name, more=more: host.metrics().sum(name) >= then.sum(name) + more, f"{more} {name}", 2 * SOON)
            steps.append(host.metrics().sum("curfew_fleet_store_clock_step_seconds"))
    calls = done(load())
    assert f.api.stats()["in_work_max"] <= 6
    assert sum(calls) >= 0.5 * 8 * 6 / 0.05, calls
    assert 50 < max(steps) < 70 and min(steps) > -10, "back it does not go, to its hosts"
    assert f.hosts[0].metrics().sum("curfew_fleet_epochs_total") == 2, "a step of a minute, and none of 3 s, is a new book"


@pytest.mark.timed
def test_a_replica_that_missed_the_last_grants_is_followed_and_the_cap_holds(fleet, server, later, tmp_path):
    """Replication is stalled before anything is lent: what the new master remembers is worth nothing."""
    master = server("--repl-diskless-sync-delay", 0)
    stalls = Between(master.port)
    later(stalls.close)
    replica = server("--replicaof", "127.0.0.1", stalls.listener.getsockname()[1])
    poll(lambda: master.client.info("replication")["connected_slaves"] == 1, "the replica to connect", 2 * SOON)
    sentinel = Sentinel(tmp_path / "sentinel", master, down_after_milliseconds=500, failover_timeout=2000)
    later(sentinel.process.kill)
    poll(lambda: sentinel.client.execute_command("SENTINEL", "replicas", "main"), "Sentinel to know the replica", 4 * SOON)
    f = fleet(3, size=6, store=master, way=lambda _: sentinel.url, sentinel="main", deadline="1s", ride_out="20s", pool={"queue": 3})
    poll(lambda: len(f.store.entries(POOL)) == 3, "all hosts to be in the book")
    poll(lambda: len(replica.entries(POOL)) == 3, "the replica to have them too")
    stalls.mode = "stall"
    f.begin()
    finish = f.start_load("/delay/100", rate=120, seconds=6)
    poll(lambda: f.api.stats()["in_work"] == 6, "the cap to be used")
    assert sum(entry[0] for entry in replica.entries(POOL).values()) == 0, "the replica knows of no grant"
    master.process.kill()
    poll(lambda: sentinel.master() == replica.port, "the replica to be promoted", 4 * SOON)
    poll(lambda: len(replica.entries(POOL)) == 3, "all hosts to come over", 2 * SLOW)
    results = finish()
    assert f.api.stats()["in_work_max"] == 6
    assert sum(done(results)) >= 0.7 * 6 * 6 / 0.1, results
