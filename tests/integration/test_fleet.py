"""One cap over several curfews, by a real store: whatever is killed, stopped or lost, the API never has more in work."""

import re
import signal
import time

import pytest

from harness.bounds import SLOW, SOON, poll
from harness.load import load
from harness.problem import expect
from harness.process import BINARY, run

POOL = "prod/api"


def done(result):
    return result.statuses.get(200, 0)


def wait_lent(fleet, hosts, seconds=SOON):
    """Until the store lends to these hosts again."""
    for host in hosts:
        poll(lambda host=host: fleet.hosts[host].ask("GET", "/ok").status == 200, f"host {host} to take calls", seconds)


def says(host, text):
    assert host.process.stderr.wait(lambda lines: any(text in line for line in lines), 2 * SOON), (text, host.process.stderr.lines)


@pytest.mark.timed
def test_a_cap_holds_over_all_hosts_and_is_used_by_all_alike(fleet):
    f = fleet(4, size=6)
    f.begin()
    results = f.load("/delay/50", rate=240, seconds=2)
    calls = [done(result) for result in results]
    assert f.api.stats()["in_work_max"] == 6
    assert min(calls) >= 0.5 * sum(calls) / len(calls), calls
    assert sum(calls) >= 0.6 * 2 * 6 / 0.05, calls


@pytest.mark.timed
def test_a_cap_below_the_number_of_hosts_goes_round(fleet):
    f = fleet(4, size=2)
    f.begin()
    calls = [done(result) for result in f.load("/delay/20", rate=200, seconds=2)]
    assert f.api.stats()["in_work_max"] == 2
    assert min(calls) >= 0.5 * sum(calls) / len(calls), calls


def test_one_host_alone_has_all(fleet):
    f = fleet(3, size=6)
    f.begin()
    f.load("/delay/100", rate=120, seconds=1, hosts=[1])
    assert f.api.stats()["in_work_max"] == 6


def test_while_nobody_waits_a_host_asks_once_in_renew(fleet):
    f = fleet(3, size=30)
    f.begin()
    f.load("/delay/20", rate=60, seconds=2)
    asked, began = f.store.questions(), time.monotonic()
    results = f.load("/delay/20", rate=60, seconds=6)  # so long that one question more of each host, at the edge, is no fifth
    assert f.store.questions() - asked <= 1.2 * 3 * (time.monotonic() - began), "more than a fifth above once a second and host"
    assert [result.statuses for result in results] == [{200: 120}] * 3


@pytest.mark.timed
def test_a_burst_at_one_host_of_an_idle_fleet_has_all_that_it_needs_at_once(fleet):
    f = fleet(4, size=50)
    f.begin()
    f.wait_calm()
    burst = load(f.hosts[2].address(), "/delay/500", calls=40, at_once=True)
    assert burst.statuses == {200: 40}
    metrics = f.hosts[2].metrics()
    assert metrics.sum("curfew_queue_wait_seconds_bucket", le="0.025" if SLOW == 1 else "0.1") == 40, metrics.text


@pytest.mark.timed
def test_what_one_host_has_goes_to_another_as_calls_end(fleet):
    f = fleet(2, size=20)
    f.begin()
    first = f.start_load("/delay/200", rate=200, seconds=3, hosts=[0])
    poll(lambda: f.figures(0)["held"] >= 19, "one host to have nearly all")
    second = f.start_load("/delay/200", rate=200, seconds=2, hosts=[1])
    poll(lambda: f.figures(1)["waiting"] or f.figures(1)["held"], "a call to come to the other one")
    poll(lambda: f.figures(1)["held"] >= 10, "the other one to have half", 0.2 + 1.0 * SLOW)
    first(), second()
    assert f.api.stats()["in_work_max"] <= 20


def test_while_another_size_is_rolled_out_the_smallest_one_holds(fleet):
    f = fleet(3, size=9)
    f.begin()
    finish = f.start_load("/delay/50", rate=300, seconds=4)
    poll(lambda: f.api.stats()["in_work"] == 9, "the size to be used")
    f.resize(0, 4)
    poll(lambda: int(f.store.book(POOL)["booked"]) <= 4, "the smaller size to hold")
    f.api.reset_stats()
    for host in f.hosts[1:]:
        says(host, "pool api: a smaller size holds, another host's or that of before: 4, not 9")
    f.resize(1, 4)
    says(f.hosts[1], "pool api: no smaller size holds any more: its own does")
    f.add()
    finish()
    assert 3 <= f.api.stats()["in_work_max"] <= 4


def test_a_host_has_no_more_than_its_own_size(fleet):
    f = fleet(2, size=6, pool={"host_size": 2})
    f.begin()
    f.load("/delay/100", rate=120, seconds=1, hosts=[1])
    assert f.api.stats()["in_work_max"] == 2


def test_a_host_that_is_killed_leaves_the_cap_as_it_is(fleet):
    f = fleet(3, size=6)
    f.begin()
    finish = f.start_load("/delay/100", rate=120, seconds=3, hosts=[0, 1])
    victim = f.start_load("/delay/100", rate=60, seconds=1, hosts=[2])
    poll(lambda: f.figures(2)["held"] > 0, "the victim to hold something")
    f.hosts[2].process.kill()
    victim()
    results = finish()
    assert f.api.stats()["in_work_max"] <= 6
    assert all(done(result) > 0 for result in results)


def test_a_host_that_starts_again_with_its_identity_has_its_permits_at_once(fleet, tmp_path):
    state = tmp_path / "state"
    state.mkdir()
    f = fleet(1, size=4, env={"STATE_DIRECTORY": str(state)})
    f.begin()
    identity = (state / "fleet.id").read_text()
    assert len(identity) == 32 and list(f.store.entries(POOL)) == [identity]
    finish = f.start_load("/stuck", rate=40, seconds=1)
    poll(lambda: f.figures(0)["held"] == 4, "all permits to be held")
    f.hosts[0].process.kill()
    finish()
    f.add()
    assert (state / "fleet.id").read_text() == identity
    f.load("/delay/200", rate=100, seconds=1, hosts=[1])
    assert f.api.stats()["in_work_max"] == 4
    assert f.figures(1)["held_peak"] == 4


def test_two_processes_do_not_share_an_identity(fleet, tmp_path):
    state = tmp_path / "state"
    state.mkdir()
    f = fleet(2, size=4, env={"STATE_DIRECTORY": str(state)})
    poll(lambda: len(f.store.entries(POOL)) == 2, "two hosts in the book")


def test_while_the_store_is_away_calls_go_on_by_what_was_lent(fleet):
    f = fleet(2, size=6, fallback="closed", ride_out="5s")
    f.begin()
    f.load("/delay/20", rate=100, seconds=1)
    f.wait_calm()  # a host that has given back its last one to others who waited has one again
    f.store.stop()
    results = f.load("/delay/20", rate=20, seconds=2)
    assert [result.statuses for result in results] == [{200: 20}, {200: 20}]
    assert f.api.stats()["in_work_max"] <= 6


@pytest.mark.parametrize("fallback,expected", [("closed", 0), ("share", 2), ("open", 6)])
def test_a_store_that_was_never_there(fleet, fallback, expected):
    f = fleet(1, size=6, fallback=fallback, hosts=3)
    f.store.stop()
    host = f.add()
    if expected:
        poll(lambda: host.ask("GET", "/ok").status == 200, "the fallback to hold")
    f.load("/delay/200", rate=50, seconds=1, hosts=[1])
    assert f.figures(1)["held_peak"] == expected


def test_closed_names_the_store_when_nothing_may_start(fleet):
    f = fleet(1, size=6, fallback="closed", pool={"queue_timeout": "300ms"})
    f.store.stop()
    host = f.add()
    answer = host.ask("GET", "/ok")
    expect(answer, 503, "connection_limit_reached", sent="none")
    assert answer["retry-after"] == "1"
    assert host.metrics().sum("curfew_calls_rejected_total", reason="fleet_unavailable") == 1


def test_closed_answers_at_the_deadline_or_when_the_queue_is_full(fleet):
    f = fleet(1, size=6, fallback="closed", deadline="1s", pool={"queue": 1})
    f.store.stop()
    host = f.add()
    waits = host.caller()
    waits.request("GET", "/ok")
    host.wait_metric("curfew_pool_waiting", 1)
    expect(host.ask("GET", "/ok"), 503, "connection_limit_reached", sent="none")
    expect(waits.recv_response(), 503, "connection_limit_reached", sent="none")
    assert host.metrics().sum("curfew_calls_rejected_total", reason="fleet_unavailable") == 2


def test_a_call_after_a_quiet_time_finds_the_store_as_it_was(fleet):
    f = fleet(1, size=6, deadline="100ms", fallback="closed", ride_out="1s", renew="100ms", timeout="100ms")
    f.begin()
    epoch = f.store.book(POOL)["epoch"]
    assert f.hosts[0].ask("GET", "/ok").status == 200
    poll(lambda: f.store.entries(POOL)[next(iter(f.store.entries(POOL)))][0] == 0, "the host to leave")
    until = int(f.store.book(POOL)["now"]) + 7_000_000  # nothing but a renewal of a host that has left comes until then
    poll(lambda: int(f.store.book(POOL)["now"]) > until, "the quiet time to be over", 3 * SOON)
    assert f.hosts[0].ask("GET", "/ok").status == 200
    assert f.store.book(POOL)["epoch"] == epoch
    poll(lambda: f.store.entries(POOL)[next(iter(f.store.entries(POOL)))][0] == 0, "the host to leave")
    f.store.stop()
    poll(lambda: f.figures(0)["fleet"]["mode"] == "fallback", "a host that wants nothing to know that the fallback holds", 2 * SOON)
    f.store.start()
    poll(lambda: f.figures(0)["fleet"]["mode"] == "calm", "the store to be back", 2 * SOON)


def test_the_book_is_shown_host_by_host(fleet):
    f = fleet(2, size=6)
    assert f.begin().startswith("pool api (api in the fleet): 0 of 6 lent, 2 hosts, ")
    f.load("/ok", rate=20, seconds=1)
    lines = run([BINARY, "fleet", f.hosts[0].config]).stdout.splitlines()
    assert lines[1].split() == ["HOST", "LENT", "HELD", "WANTED"]
    lent = [int(line.split()[1]) for line in lines[2:]]
    assert min(lent) >= 1 and sum(lent) <= 6
    assert lines[0].startswith(f"pool api (api in the fleet): {sum(lent)} of 6 lent, 2 hosts, 0 wait")
    assert sorted(line.split()[0] for line in lines[2:]) == sorted(f.store.entries(POOL))
    f.store.stop()
    done = run([BINARY, "fleet", f.hosts[0].config])
    assert (done.returncode, done.stdout) == (1, "") and "curfew: fleet: pool api: " in done.stderr


def test_what_becomes_of_it_is_seen(fleet):
    f = fleet(2, size=6)
    f.begin()
    finish = f.start_load("/delay/100", rate=120, seconds=2, hosts=[0])
    poll(lambda: f.figures(0)["held"] >= 5, "most permits to be held by one host")
    shown = f.figures(0)["fleet"]
    assert shown.keys() == {"name", "size", "granted", "total_granted", "hosts", "waiting_hosts", "mode", "lease_ms"}
    assert (shown["name"], shown["size"], shown["hosts"]) == ("api", 6, 2)
    assert 5 <= shown["granted"] <= shown["total_granted"] <= 6 and shown["mode"] in ("calm", "tight") and shown["lease_ms"] > 8000
    metrics = f.hosts[0].metrics()
    assert metrics.sum("curfew_fleet_connected") == 1
    assert metrics.sum("curfew_fleet_renewals_total", result="ok") > 0
    assert metrics.sum("curfew_fleet_round_trip_seconds_count") > 0
    assert metrics.sum("curfew_fleet_mode") == 1
    assert metrics.sum("curfew_fleet_size") == 6 and metrics.sum("curfew_fleet_hosts") == 2
    assert metrics.sum("curfew_fleet_granted") == metrics.sum("curfew_pool_size")
    assert metrics.sum("curfew_fleet_over_granted") == 0
    assert metrics.sum("curfew_fleet_lease_seconds") > 8 and metrics.sum("curfew_fleet_ride_out_seconds") == 10
    found = f.directory / "found.yaml"
    found.write_text(f.hosts[0].config.read_text().replace("127.0.0.1:0", "%s:%d" % f.hosts[0].admin, 1))
    said = run([BINARY, "explain", "-c", found, "GET", "/", "--upstream", "api"]).stdout
    assert re.search(r"^ +6 over the fleet prod, where it is api; this host has 6 at most; this host holds \d now$", said, re.M), said
    finish()
    f.store.stop()
    f.hosts[0].wait_metric("curfew_fleet_connected", 0)


@pytest.mark.timed
def test_after_ride_out_each_has_its_share_and_the_cap_holds_until_the_store_is_back_empty(fleet):
    f = fleet(3, size=6, fallback="share", ride_out="3s", deadline="500ms", pool={"queue": 4})
    f.begin()
    finish = f.start_load("/delay/100", rate=90, seconds=14)
    poll(lambda: f.api.stats()["in_work"] == 6, "the cap to be used")
    f.store.stop()
    for host in f.hosts:
        assert host.process.stderr.wait(lambda lines: any("the fallback holds, 2 permits" in line for line in lines), 10)
    poll(lambda: f.api.stats()["in_work"] == 6, "all shares to be used")
    f.store.start()
    poll(lambda: len(f.store.entries(POOL)) == 3, "all hosts to be back")
    results = finish()
    assert f.api.stats()["in_work_max"] == 6
    assert all(done(result) >= 100 for result in results), [result.statuses for result in results]


@pytest.mark.timed
def test_a_book_that_is_wiped_is_learnt_anew_and_what_is_held_goes_on(fleet):
    f = fleet(3, size=6, pool={"queue": 4})
    f.begin()
    finish = f.start_load("/delay/50", rate=240, seconds=3)
    poll(lambda: f.api.stats()["in_work"] == 6, "the cap to be used")
    f.store.client.flushall()
    f.store.client.script_flush()
    results = finish()
    assert f.api.stats()["in_work_max"] == 6
    assert sum(done(result) for result in results) >= 0.7 * 3 * 6 / 0.05


def test_a_host_that_was_stopped_starts_nothing_by_what_it_had(fleet):
    f = fleet(2, size=4, fallback="closed", ride_out="3s", deadline="300ms")
    f.begin()
    f.load("/delay/50", rate=80, seconds=1)
    with f.hosts[0].process.paused():
        f.load("/delay/50", rate=80, seconds=10, hosts=[1])
        assert f.api.stats()["in_work_max"] <= 4
        callers = [f.hosts[0].caller() for _ in range(8)]
        for caller in callers:
            caller.request("GET", "/delay/50")
        busy = f.start_load("/delay/50", rate=160, seconds=1, hosts=[1])
    busy()
    assert f.api.stats()["in_work_max"] <= 4
    for caller in callers:
        caller.close()


def test_what_is_drained_goes_back_at_once(fleet):
    f = fleet(2, size=4)
    f.begin()
    f.load("/delay/100", rate=80, seconds=1, hosts=[0])
    f.hosts[0].process.signal(signal.SIGTERM)
    assert f.hosts[0].process.wait_exit() == 0
    entries = f.store.entries(POOL)
    assert sorted(entry[0] for entry in entries.values())[0] == 0
    f.load("/delay/200", rate=80, seconds=1, hosts=[1])
    assert f.figures(1)["held_peak"] == 4


def test_a_reload_keeps_what_was_lent(fleet):
    f = fleet(1, size=4)
    f.begin()
    host = f.hosts[0]
    finish = f.start_load("/delay/50", rate=60, seconds=2)
    poll(lambda: f.api.stats()["in_work"] == 4 or f.api.stats()["in_work_max"] > 1, "calls")
    before = f.store.entries(POOL)
    host.must_reload()
    assert list(f.store.entries(POOL)) == list(before)
    assert [result.statuses for result in finish()] == [{200: 120}]
    assert "learns anew" not in host.process.stderr.text()


def test_a_reload_brings_a_fleet_and_takes_it_away(curfew, fleet):
    f = fleet(2, size=4)
    f.begin()
    host = f.hosts[0]
    host.rewrite({"api": {**f.keys, "pool": {"size": 9}}})
    host.must_reload()
    f.load("/delay/200", rate=100, seconds=1, hosts=[0])
    assert f.figures(0)["held_peak"] == 9
    host.rewrite({"api": f.keys}, fleet=f.fleet_of(0))
    host.must_reload()
    wait_lent(f, [0])


def test_a_reload_that_gives_a_pool_another_name_leaves_the_cap_as_it_is(fleet):
    """What the pool before was lent is counted until its calls are over, whoever has its name in the fleet now."""
    f = fleet(1, size=2, deadline="2s")
    f.begin()
    host = f.hosts[0]
    callers = [host.caller() for _ in range(2)]
    for caller in callers:
        caller.request("GET", "/delay/1500")
    poll(lambda: f.api.stats()["in_work"] == 2, "the cap to be used")
    host.rewrite({"api": {**f.keys, "pool": "other"}}, pools={"other": {"size": 2, "fleet": "api"}}, fleet=f.fleet_of(0))
    host.must_reload()
    results = f.load("/delay/300", rate=20, seconds=1)
    assert f.api.stats()["in_work_max"] == 2, results[0].statuses
    assert [caller.recv_response().status for caller in callers] == [200, 200]
    assert len(f.store.entries(POOL)) == 2
    for caller in callers:
        caller.close()


def test_reserved_permits_need_no_store(fleet):
    f = fleet(1, size=6, fallback="closed", hosts=3, pool={"reserve": 1})
    f.store.stop()
    host = f.add()
    assert host.ask("GET", "/ok").status == 200
    f.load("/delay/200", rate=30, seconds=1, hosts=[1])
    assert f.figures(1)["held_peak"] == 1
