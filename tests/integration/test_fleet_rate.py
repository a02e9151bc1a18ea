"""A rate and a pause over several curfews, by a real store: never above it in any window, whoever is away."""

import pytest

from harness.bounds import LATE, SLOW, SOON, poll
from harness.fleet import Fleet
from harness.noting_api import NotingApi, window_max

RATE = {"limit": "100/s", "burst": 20}
# What a window may have beside burst and limit: that much later does a start arrive than its slot was.
JITTER = round(100 * LATE)
PAUSE = {"pause": {"statuses": [429], "max": "30s"}}


@pytest.fixture
def fleet(tmp_path):
    made = []

    def make(count, **more):
        made.append(Fleet(tmp_path, count, api=NotingApi(), size=50, **more))
        return made[-1]

    yield make
    for one in made:
        one.close()


def started(fleet):
    return sum(host.metrics().sum("curfew_rate_started_total") for host in fleet.hosts)


def must_be_used(instants, since, limit=100, burst=20):
    assert len(instants) >= 0.9 / SLOW ** 0.2 * (burst + limit * (instants[-1] - since)), len(instants)


@pytest.mark.timed
def test_a_rate_holds_over_all_hosts_and_is_used(fleet):
    f = fleet(4, pool={"rate": RATE})
    f.begin()
    f.hosts[0].wait_metric("curfew_rate_limit", 100)
    results = f.load("/", rate=400, seconds=3)
    instants = f.api.instants
    assert window_max(instants, 1.0) <= 120 + JITTER
    assert window_max(instants, 0.1) <= 30 + JITTER
    must_be_used(instants, instants[0])
    for result in results:
        assert result.statuses.keys() <= {200, 503, 504} and result.statuses.get(504, 0) <= 3 * SLOW, result.statuses
        assert result.statuses[200] >= 0.5 * len(instants) / 4, result.statuses
    late = sum(result.statuses.get(504, 0) for result in results)
    assert len(instants) <= started(f) <= len(instants) + late  # one that has begun late may not have come to the API
    refused = sum(host.metrics().sum("curfew_calls_rejected_total", reason=reason)
                  for host in f.hosts for reason in ("rate", "too_late"))  # a slot that comes late finds too little time left
    assert refused == sum(result.statuses[503] for result in results)


@pytest.mark.timed
def test_one_host_alone_has_all_of_it(fleet):
    f = fleet(3, pool={"rate": RATE})
    f.begin()
    f.load("/", rate=300, seconds=2, hosts=[1])
    assert window_max(f.api.instants, 1.0) <= 120 + JITTER
    must_be_used(f.api.instants, f.api.instants[0])


@pytest.mark.timed
def test_while_the_store_is_away_each_has_its_part_and_the_rate_holds_when_it_is_back(fleet):
    f = fleet(4, pool={"rate": RATE}, hosts=4, fallback="open")
    f.begin()
    finish = f.start_load("/", rate=400, seconds=11)
    poll(lambda: len(f.api.instants) > 100, "the rate to be used")
    f.store.stop()
    for host in f.hosts:
        poll(lambda host=host: host.metrics().sum("curfew_rate_limit") == 25, "each to have its part")
    before = [host.metrics().sum("curfew_rate_started_total") for host in f.hosts]
    mark = len(f.api.instants)
    poll(lambda: len(f.api.instants) > mark + 200, "parts to be used", 2 * SOON)
    seconds = f.api.instants[-1] - f.api.instants[mark]
    for host, had in zip(f.hosts, before):
        assert host.metrics().sum("curfew_rate_started_total") - had <= 25 * (seconds + 4 * LATE) + 6
    f.store.start()
    for host in f.hosts:
        poll(lambda host=host: host.metrics().sum("curfew_rate_limit") == 100, "slots to be lent again", 2 * SOON)
    finish()
    assert window_max(f.api.instants, 1.0) <= 120 + JITTER
    assert window_max(f.api.instants, 4.0) <= 420 + JITTER


@pytest.mark.timed
def test_a_store_that_forgets_lends_no_second_burst(fleet):
    f = fleet(3, pool={"rate": RATE})
    f.begin()
    finish = f.start_load("/", rate=300, seconds=6)
    for count in (150, 300):
        poll(lambda count=count: len(f.api.instants) > count, "the rate to be used")
        f.store.client.flushall()
    finish()
    assert window_max(f.api.instants, 1.0) <= 120 + JITTER
    must_be_used(f.api.instants, f.api.instants[0])


def left(host):
    return host.metrics().sum("curfew_pause_seconds")


def pause(f, *fields):
    f.api.refuse_once(*fields)
    assert f.hosts[0].ask("GET", "/").status == 429


@pytest.mark.timed
def test_a_pause_of_one_host_is_one_of_all_and_one_has_the_first_call_after_it(fleet):
    f = fleet(3, deadline="10s", pool=PAUSE)
    f.begin()
    for host in f.hosts:
        assert host.ask("GET", "/").status == 200
    pause(f, "Retry-After: 2")
    for host in f.hosts:
        poll(lambda host=host: left(host) > 0, "the pause to be heard of", 1 * SLOW)
        assert left(host) <= 2
    f.api.holds, mark = True, len(f.api.instants)
    callers = [(host, host.caller()) for host in f.hosts for _ in range(4)]
    for _, caller in callers:
        caller.request("GET", "/")
    poll(lambda: len(f.api.instants) == mark + 1, "the first call")
    for host in f.hosts:
        poll(lambda host=host: left(host) == 0, "the pause to be over")
    with pytest.raises(AssertionError):
        poll(lambda: len(f.api.instants) > mark + 1, "nobody else", 0.8)
    f.api.release()
    for _, caller in callers:
        assert caller.recv_response().status == 200


@pytest.mark.timed
@pytest.mark.parametrize("fields,least,most", [(["Retry-After: 2.0"], 1, 2), (["Retry-After: 99999"], 29, 30), ([], 0, 0)])
def test_a_pause_is_as_long_everywhere_as_the_api_asks_for(fleet, fields, least, most):
    f = fleet(2, pool=PAUSE)
    f.begin()
    assert f.hosts[1].ask("GET", "/").status == 200
    pause(f, *fields)
    if most:
        poll(lambda: left(f.hosts[1]) > 0, "the pause to be heard of", 1 * SLOW)
    for host in f.hosts:
        assert least - (SLOW - 1) <= left(host) <= most + LATE


def test_if_the_first_host_vanishes_another_one_is(fleet):
    f = fleet(2, deadline="1s", pool=PAUSE, ride_out="2s")
    f.begin()
    for host in f.hosts:
        assert host.ask("GET", "/").status == 200
    f.api.holds, mark = True, len(f.api.instants)
    pausing = f.hosts[0].caller()
    pausing.request("GET", "/")
    poll(lambda: f.api.held, "the call to be at the API")
    f.api.head = "429 Too Many Requests\r\nretry-after-ms: 600"
    f.api.release()
    assert pausing.recv_response().status == 429
    f.api.holds = True
    first = f.hosts[0].caller()
    first.request("GET", "/")
    poll(lambda: len(f.api.instants) == mark + 2, "the first call")
    f.hosts[0].process.kill()
    f.api.release()
    poll(lambda: f.hosts[1].ask("GET", "/").status == 200, "the other one to be first", 2 * SOON)


def reload_with(f, host, **pool):
    host.rewrite({"api": {**f.keys, "pool": {**f.keys["pool"], **pool}}}, fleet=f.fleet_of(0))
    host.must_reload()


def test_a_reload_gives_a_rate_and_a_pause_and_takes_them_away(fleet):
    f = fleet(1, hosts=4)
    f.begin()
    host, = f.hosts
    assert host.ask("GET", "/").status == 200
    for rate, limit in (({"limit": "100/s", "burst": 5}, 100), ({"limit": "8/s", "burst": 1}, 8), ("none", None)):
        reload_with(f, host, rate=rate, **PAUSE)
        poll(lambda: host.ask("GET", "/").status == 200, "slots to be lent", 2 * SOON)
        assert {"rate_limit": limit}.items() <= {"rate_limit": None, **host.pools()["pools"][0]}.items()
    pause(f, "Retry-After: 20")
    assert host.ask("GET", "/").status == 503
    reload_with(f, host)
    assert host.ask("GET", "/").status == 200
    reload_with(f, host, rate=RATE, fleet=False)
    assert [host.ask("GET", "/").status for _ in range(15)] == 15 * [200]
    reload_with(f, host, rate=RATE)
    poll(lambda: host.ask("GET", "/").status == 200, "permits and slots to be lent", 4 * SOON)
