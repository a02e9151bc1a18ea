"""`curfew advise`, and GET /durations from which it works: what was measured, and what follows from it."""

import json
import threading

import pytest

from harness.bounds import SOON, poll
from harness.curfew import curfew_command
from harness.wire import Cut


def durations(proxy):
    status, text = proxy.admin_get("/durations")
    assert status == 200, text
    return json.loads(text)


def route_of(proxy, upstream="api", route="default"):
    found, = (one for one in durations(proxy)["routes"] if (one["upstream"], one["route"]) == (upstream, route))
    return found


def advise(proxy, *args):
    host, port = proxy.admin
    done = curfew_command("advise", "--admin", f"{host}:{port}", *args)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def advice(proxy, *rates):
    return json.loads(advise(proxy, "--json", *(word for rate in rates for word in ("-f", rate))))


def call_often(proxy, targets, callers=6):
    """Each of so many callers calls all of the targets, one after the other."""
    def call_all():
        caller = proxy.caller()
        for target in targets:
            try:
                caller.ask("GET", target)
            except Cut:
                caller = proxy.caller()

    threads = [threading.Thread(target=call_all) for _ in range(callers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(4 * SOON)


MIX = ["/delay/300"] + 9 * ["/delay/2"]


def test_nine_in_ten_fast_and_one_slow_observed(curfew, faulty):
    proxy = curfew(url=faulty().url, deadline="150ms", observe=True)
    call_often(proxy, 2 * MIX)
    api, = advice(proxy, "20%", "5%")["routes"]
    assert (api["completed"], api["cut"], api["abandoned"], api["failed"]) == (120, 0, 0, 0)
    loose, strict = api["deadlines"]
    assert loose["at_most"] == 0.2 and 2 <= loose["deadline_ms"] < 300
    assert 0.05 <= loose["false_timeouts"] <= 0.2
    assert strict["at_most"] == 0.05 and 300 < strict["deadline_ms"] < 2000
    assert strict["false_timeouts"] <= 0.05
    assert api["completed_in_ms"]["p50"] < 300 < api["completed_in_ms"]["p99"]
    spared = proxy.wait_idle().calls("spared")
    assert spared >= 12
    now = api["now"]
    assert now["observed"] and now["deadline_ms"] == 150
    assert now["false_timeouts"] == now["cut"] == pytest.approx(spared / 120)


@pytest.mark.timed
def test_what_is_cut_is_not_known_without_observing(curfew, faulty):
    proxy = curfew(url=faulty().url, deadline="200ms")
    call_often(proxy, MIX)
    result = advice(proxy, "20%", "5%")
    api, = result["routes"]
    assert api["completed"] + api["cut"] == 60 and api["cut"] >= 6
    assert api["now"]["false_timeouts"] is None
    assert api["now"]["cut"] == pytest.approx(api["cut"] / 60)
    loose, strict = api["deadlines"]
    assert loose["deadline_ms"] is None or loose["deadline_ms"] <= 200
    assert (strict["deadline_ms"], strict["why"]) == (None, "more were cut")
    text = advise(proxy, "-f", "5%")
    assert "for at most 5%: not known; more than that were cut" in text
    assert "observe: true finds out" in text


def test_too_few_calls_and_none(curfew, upstream):
    up = upstream(lambda exchange: (exchange.recv_request(), exchange.answer(content=b"x")))
    proxy = curfew(url=up.url, deadline="5s", observe=True, routes=[{"path": "/never"}])
    caller = proxy.caller()
    for _ in range(3):
        assert caller.ask().status == 200
    text = advise(proxy)
    assert "api, route /never: no call has ended yet\n" in text
    assert "3 completed and 0 were cut" in text
    assert "for at most 1%: too few calls; it takes 300\n" in text
    assert "for at most 0.1%: too few calls; it takes 3000\n" in text
    never, default = advice(proxy)["routes"]
    assert never["deadlines"][0] == {"at_most": 0.01, "deadline_ms": None, "why": "too few calls", "needed_calls": 300}
    assert default["completed_in_ms"]["p99"] is None and default["now"]["cut"] == 0


def test_what_a_try_and_a_waiter_need_is_proposed(curfew, faulty):
    proxy = curfew(url=faulty().url, deadline="2s", pool={"size": 8, "queue": 100}, routes=[{"path": "/none"}])
    call_often(proxy, 20 * ["/delay/40"])
    result = advice(proxy, "5%")
    api, = (one for one in result["routes"] if one["route"] == "default")
    none, = (one for one in result["routes"] if one["route"] == "/none")
    pool, = result["pools"]
    assert 40 <= pool["advised_least_ms"] <= api["advised_per_try_ms"] < 1000 and none["advised_per_try_ms"] is None
    assert 0 < pool["advised_queue"] <= 8 * 1960 // 40
    text = advise(proxy)
    assert "\n  per_try: " in text and ", the p99, for retries: " in text
    assert "\n  least: " in text and f"\n  queue: {pool['advised_queue']} at most, by the p95: " in text


@pytest.mark.one_worker
def test_what_is_measured_is_what_the_log_has(pair):
    """Permits are held from the end of the queue to the end of the exchange."""
    proxy, up = pair(deadline="20s", pool={"size": 1})
    callers = [proxy.caller() for _ in range(2)]
    callers[0].request("GET", "/1")
    exchange, _ = up.take()
    callers[1].request("GET", "/2")
    poll(lambda: proxy.calls(phase="queue", older="150ms")["calls"], "a waiter")
    exchange.answer()
    assert exchange.recv_request().target == "/2"
    exchange.answer()
    for caller in callers:
        assert caller.recv_response().status == 200
    lines = proxy.log(2)
    api = route_of(proxy)
    assert sum(calls for _, calls, _ in api["buckets"]) == 2
    held_ms = sum(held for _, _, held in api["buckets"]) / 1000
    in_exchange = sum(ms for line in lines for phase, ms in line["phases_ms"].items() if phase not in ("upload", "queue"))
    assert held_ms == pytest.approx(in_exchange, abs=0.1)
    assert sum(line["elapsed_ms"] for line in lines) > held_ms + 140
    assert api["longest_us"] / 1000 == pytest.approx(max(line["elapsed_ms"] for line in lines), abs=0.1)
    pool, = advice(proxy)["pools"]
    assert (pool["name"], pool["size"], pool["held_peak"]) == ("api", 1, 1)
    assert pool["held_mean"] == pytest.approx(pool["calls_per_second"] * pool["held_ms"] / 1000)
    assert 0 < pool["held_mean"] <= 1 and pool["advised_size"] >= 1


def test_the_other_ends_of_calls(pair):
    """One that is rejected, one that an operator cuts, one whose caller leaves, and one that fails."""
    proxy, up = pair(deadline="20s", pool={"size": 1, "queue": 0})
    for end in "operator", "caller", "upstream":
        caller = proxy.caller()
        caller.request()
        exchange, _ = up.take()
        if end == "operator":
            assert proxy.caller().ask().status == 503
            call, = proxy.calls()["calls"]
            assert proxy.admin_ask("DELETE", f"/calls/{call['id']}")[0] == 200
        elif end == "caller":
            caller.close()
        else:
            exchange.close()
        proxy.wait_idle()
        exchange.close()
    api = route_of(proxy)
    assert [api[end]["calls"] for end in ("cut", "rejected", "abandoned", "failed")] == [0, 1, 2, 1]
    assert api["buckets"] == []


def test_a_reload_keeps_what_was_measured_under_the_same_limits(pair):
    proxy, up = pair(lambda exchange: (exchange.recv_request(), exchange.answer(content=b"x")), deadline="5s")
    caller = proxy.caller()
    seen = []
    for deadline in "5s", "5s", "4s":
        proxy.rewrite({"api": {"url": up.url, "deadline": deadline}})
        proxy.must_reload()
        assert caller.ask().status == 200
        seen.append(sum(calls for _, calls, _ in route_of(proxy)["buckets"]))
    assert seen == [1, 2, 1]


def test_a_call_that_outlives_a_change_of_its_limits_is_not_counted_under_the_new_ones(pair):
    proxy, up = pair(deadline="5s")
    caller = proxy.caller()
    caller.request()
    exchange, _ = up.take()
    proxy.rewrite({"api": {"url": up.url, "deadline": "4s"}})
    proxy.must_reload()
    exchange.answer()
    assert caller.recv_response().status == 200
    assert "buckets" not in route_of(proxy)
    proxy.rewrite({"api": {"url": up.url, "deadline": "3s"}})
    proxy.must_reload()
    assert "buckets" not in route_of(proxy)


def test_only_one_upstream_and_the_pools_it_uses(curfew, upstream):
    up = upstream(lambda exchange: (exchange.recv_request(), exchange.answer(content=b"x")))
    proxy = curfew(upstreams={"a": {"url": up.url, "pool": "shared"}, "b": {"url": up.url}},
                   top={"pools": {"shared": {"size": 3}}})
    for name in "ab":
        assert proxy.caller(name).ask().status == 200
    result = json.loads(advise(proxy, "--json", "--upstream", "a"))
    assert [route["upstream"] for route in result["routes"]] == ["a"]
    assert [pool["name"] for pool in result["pools"]] == ["shared"]
    assert "b, route" not in advise(proxy, "-u", "a")
    host, port = proxy.admin
    done = curfew_command("advise", "--admin", f"{host}:{port}", "-u", "nobody")
    assert (done.returncode, done.stdout, done.stderr) == (1, "", 'curfew: advise: There is no upstream "nobody".\n')


def test_the_command_says_what_is_wrong(tmp_path):
    nobody = curfew_command("advise", "--admin", f"unix:{tmp_path}/nobody")
    assert nobody.returncode == 1 and "No such file or directory" in nobody.stderr
    there = ("--admin", "127.0.0.1:1")
    for args in (("--admin",), (*there, "-c", "x"), (*there, "more"), (*there, "-f", "1"), (*there, "-f", "60%"),
                 (*there, "-f", "0%"), (*there, *(9 * ("-f", "1%"))), (*there, "--nonsense")):
        assert curfew_command("advise", *args).returncode == 2, args
    done = curfew_command("advise", "--help")
    assert done.returncode == 0 and done.stdout.startswith("usage: curfew advise [OPTION]... [[-c] FILE]")


@pytest.mark.timed
def test_streams_are_counted_apart(curfew, faulty):
    """How long they take says nothing of the other calls, and their limits have rows of their own."""
    proxy = curfew(url=faulty().url, deadline="2s", streams={"deadline": "9s", "first_event": "100ms", "idle": "250ms"})
    call_often(proxy, ["/ok", "/sse/comment,event~50,event~150"] * 2, callers=5)
    call_often(proxy, ["/sse/comment~10,again"], callers=2)
    call_often(proxy, ["/sse/event,ping*9~100"], callers=1)
    rows = {row["of"]: row for row in advice(proxy, "20%")["routes"]}
    assert {of: (row["completed"], row["cut"]) for of, row in rows.items()} == {
        "calls": (10, 0), "streams": (10, 3), "first_event": (11, 2), "idle": (10, 1)}
    assert {of: row["now"]["deadline_ms"] for of, row in rows.items()} == {
        "calls": 2000, "streams": 9000, "first_event": 100, "idle": 250}
    assert rows["calls"]["completed_in_ms"]["longest"] < 50 < rows["first_event"]["completed_in_ms"]["longest"] < 100
    assert 150 <= rows["idle"]["completed_in_ms"]["longest"] <= 250 and rows["streams"]["completed_in_ms"]["longest"] >= 200
    text = advise(proxy)
    for words in ("route default, streams: 10 completed and 3 were cut", "route default, streams, first event: 11 completed and 2 were cut",
                  "route default, streams, longest time without an event: 10 completed", "  FIRST_EVENT ", "  IDLE "):
        assert words in text, text
    pool, = advice(proxy)["pools"]
    assert pool["calls_per_second"] > 0
