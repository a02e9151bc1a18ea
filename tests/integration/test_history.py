"""The last 15 minutes, as GET /history and GET /stuck tell of them."""

import errno
import json

import pytest

from harness.bounds import SOON, poll
from harness.faults import ALLOC, MAIN, RECEIVE

PHASES = ["upload", "queue", "dns", "connect", "tls", "send", "wait", "receive"]


def get(proxy, target):
    status, text = proxy.admin_get(target)
    assert status == 200, text
    return json.loads(text)


def history(proxy, query=""):
    return get(proxy, "/history" + query)


def series(answer, upstream):
    """Of an upstream; none in the first second."""
    return next((one["series"] for one in answer["upstreams"] if one["name"] == upstream), {})


def total(answer, upstream, name):
    return sum(value or 0 for value in series(answer, upstream).get(name, []))


def wait_total(proxy, upstream, name, count):
    """Until so many are told of: the answer."""
    last = []

    def is_told():
        last[:] = [answer := history(proxy)]
        return answer if total(answer, upstream, name) == count else None

    return poll(is_told, lambda: f"{count} {name} of {upstream} in {last[0]}")


def wait_seconds(proxy, count):
    return poll(lambda: (answer := history(proxy))["seconds"] >= count and answer, f"{count} seconds", SOON + count)


def test_each_outcome_has_its_series(curfew, faulty):
    api = faulty()
    proxy = curfew(upstreams={
        "api": {"url": api.url, "deadline": "200ms", "routes": [{"path": "/slow", "deadline": "20s"}]},
        "away": {"url": "http://127.0.0.1:9"}, "narrow": {"url": api.url, "deadline": "30s", "pool": {"size": 1, "queue": 0}}})
    for _ in range(5):
        assert proxy.ask("GET", "/ok").status == 200
    assert proxy.ask("GET", "/stuck").status == 504
    assert proxy.ask("GET", "/", upstream="away").status == 502
    holder = proxy.caller("narrow")
    holder.request("GET", "/stuck")
    proxy.wait_in_flight(1, "wait", upstream="narrow")
    assert proxy.ask("GET", "/", upstream="narrow").status == 503
    poll(lambda: 1 in series(history(proxy), "narrow").get("held", []), "a second in which a permit is held")
    holder.close()
    answer = wait_total(proxy, "narrow", "abandoned", 1)
    found = {name: {key: total(answer, name, key) for key in series(answer, name) if key[0] not in "phw"}
             for name in ("api", "away", "narrow")}
    assert found == {"api": {"completed": 5, "stuck.wait": 1}, "away": {"failed": 1}, "narrow": {"rejected": 1, "abandoned": 1}}
    api_, = (one for one in answer["upstreams"] if one["name"] == "api")
    assert (api_["deadline_ms"], api_["longest_ms"], api_["pool"]) == (200, 20000, "api")
    assert {pool["name"]: pool["size"] for pool in answer["pools"]} == {"api": 50, "away": 50, "narrow": 1}
    assert all(len(values) == answer["points"] for one in answer["upstreams"] for values in one["series"].values())


def test_responses_that_complete_calls_and_are_not_fine_have_their_series(curfew, upstream):
    up = upstream()
    proxy = curfew(upstreams={"api": {"url": up.url, "deadline": "5s", "routes": [{"path": "/stuck", "deadline": "300ms"}]}, "idle": {"url": up.url}})
    caller = proxy.caller("api")
    for status in 200, 500, 429, 503, 429, 404, 429, 600:
        caller.request()
        exchange, _ = up.take()
        exchange.answer(status, "Connection: close")
        assert caller.recv_response().status == status
    caller.request("GET", "/stuck")
    exchange, _ = up.take()
    exchange.send(b"HTTP/1.1 500 x\r\nContent-Length: 9\r\n\r\n")
    caller.wait_ended()
    answer = wait_total(proxy, "api", "stuck.receive", 1)
    found = {key: total(answer, "api", key) for key in series(answer, "api") if key[0] not in "phw"}
    assert found == {"completed": 8, "stuck.receive": 1, "responses.5xx": 4, "responses.429": 3}
    assert not any(key.startswith("responses") for key in series(answer, "idle"))


def percentiles(answer, upstream, outcome):
    """Of the second in which the one call of this outcome ended."""
    at = series(answer, upstream)[outcome].index(1)
    return [series(answer, upstream)[name][at] for name in ("p50_us", "p99_us")]


def test_percentiles_of_what_is_observed_may_be_above_its_deadline(curfew, faulty):
    proxy = curfew(upstreams={"api": {"url": faulty().url, "deadline": "50ms", "observe": True, "observe_ceiling": "20s"}})
    assert proxy.ask("GET", "/delay/600").status == 200
    answer = wait_total(proxy, "api", "completed", 1)
    p50, p99 = percentiles(answer, "api", "completed")
    assert 500_000 <= p50 <= p99


def test_percentiles_are_those_of_their_second(pair):
    proxy, up = pair(deadline="300ms", routes=[{"path": "/nobody/asks/for/it", "deadline": "20s"}])
    assert proxy.ask().status == 504
    answer = wait_total(proxy, "api", "stuck.wait", 1)
    at = series(answer, "api")["stuck.wait"].index(1)
    p50, p99 = percentiles(answer, "api", "stuck.wait")
    assert 250_000 <= p50 <= p99 <= 300_000
    assert all(value is None for n, value in enumerate(series(answer, "api")["p99_us"]) if n != at)


def test_what_got_stuck_is_told_with_its_phases(pair):
    proxy, _ = pair(deadline="200ms", routes=[{"path": "/v1", "methods": ["POST"], "timeouts": {"first_byte": "100ms"}}])
    before = get(proxy, "/stuck")
    assert (before["told"], before["stuck"]) == (0, [])
    assert proxy.ask("GET", "/secret").status == 504
    assert proxy.ask("POST", "/v1/x", content=b"secret").status == 504
    wait_total(proxy, "api", "stuck.wait", 2)
    told = get(proxy, "/stuck")
    assert told["told"] == 2 and told["instance"] == history(proxy)["instance"]
    newest, first = told["stuck"]
    assert [(one["route"], one["method"], one["cause"]) for one in (newest, first)] == \
        [("POST /v1", "POST", "first_byte_timeout"), ("default", "GET", "deadline")]
    lines = {line["id"]: line for line in proxy.log(2)}
    for one in told["stuck"]:
        line = lines[one["id"]]
        assert (one["upstream"], one["phase"], one["sent"]) == ("api", "wait", "complete")
        assert {part["phase"]: part["ms"] for part in one["phases"]} == line["phases_ms"]
        assert [part["phase"] for part in one["phases"]] == [phase for phase in PHASES if phase in line["phases_ms"]]
        assert one["budget_ms"] == 200 and abs(one["elapsed_ms"] - line["elapsed_ms"]) <= 1
    assert "secret" not in json.dumps(told)


def test_the_newest_thirty_two_are_kept_of_all_workers(curfew, faulty):
    api = faulty()
    proxy = curfew(url=api.url, deadline="100ms", top={"workers": 2})
    callers = [proxy.caller() for _ in range(40)]
    for caller in callers:
        caller.request("GET", "/stuck")
    for caller in callers:
        assert caller.recv_response().status == 504
    wait_total(proxy, "api", "stuck.wait", 40)
    told = get(proxy, "/stuck")
    assert len(told["stuck"]) == 32 and told["told"] >= 32
    assert len({one["id"] for one in told["stuck"]}) == 32
    assert told["stuck"] == sorted(told["stuck"], key=lambda one: -one["ended_ms"])


@pytest.mark.sound_only
def test_since_and_step(curfew):
    proxy = curfew(url="http://127.0.0.1:9")
    assert proxy.ask().status == 502
    answer = wait_seconds(proxy, 3)
    assert (answer["from"], answer["step"], answer["points"]) == (0, 1, answer["seconds"])
    for step in 2, 10, 900:
        answer = history(proxy, f"?step={step}")
        assert (answer["from"], answer["step"]) == (0, step)
        assert answer["points"] == (answer["seconds"] - 1) // step + 1
        assert total(answer, "api", "failed") == 1
    answer = history(proxy, "?since=2")
    assert (answer["from"], answer["points"]) == (2, answer["seconds"] - 2)
    answer = history(proxy, "?since=3&step=2")
    assert answer["from"] == 2
    answer = history(proxy, "?since=100000")
    assert answer["points"] == 0 and answer["upstreams"][0]["series"] == {}


def test_a_query_that_can_not_be_read(curfew):
    proxy = curfew(url="http://127.0.0.1:9")
    for query in "since=x", "since=-1", "since=99999999999", "step=0", "step=901", "step=", "colour=red", "since":
        status, text = proxy.admin_get(f"/history?{query}")
        assert status == 400 and "since=SECOND" in json.loads(text)["detail"], query


def test_upstreams_come_and_go(curfew, faulty):
    api = faulty()
    proxy = curfew(upstreams={name: {"url": api.url} for name in ("stays", "goes")})
    for name in ("stays", "goes"):
        assert proxy.ask("GET", "/ok", upstream=name).status == 200
    wait_total(proxy, "goes", "completed", 1)
    instance = history(proxy)["instance"]
    proxy.rewrite({name: {"url": api.url} for name in ("stays", "comes")})
    proxy.must_reload()
    assert proxy.ask("GET", "/ok", upstream="comes").status == 200
    answer = wait_total(proxy, "comes", "completed", 1)
    assert total(answer, "stays", "completed") == 1 and answer["instance"] == instance
    poll(lambda: {one["name"] for one in history(proxy)["upstreams"]} == {"stays", "comes"}, "the other one to be gone")


def test_another_process_is_another_instance(curfew):
    first, second = (history(curfew(url="http://127.0.0.1:9")) for _ in range(2))
    assert first["instance"] != second["instance"] and first["page"] == second["page"]


def test_a_worker_that_hangs_leaves_a_gap(pair, faults):
    """Nothing piles up, and what is counted meanwhile is in the second after."""
    proxy, up = pair(env=faults.env)
    caller = proxy.caller()
    caller.request()
    exchange, _ = up.take()
    exchange.answer()
    assert caller.recv_response().status == 200
    answer = wait_total(proxy, "api", "completed", 1)
    with faults.armed(RECEIVE, error=errno.EAGAIN, hangs=1):
        caller.request()
        poll(lambda: faults.failed, "the worker to hang")
        before = history(proxy)["seconds"]
        assert before >= answer["seconds"]
    exchange.recv_request()
    exchange.answer()
    assert caller.recv_response().status == 200
    wait_total(proxy, "api", "completed", 2)


def test_without_memory_a_second_is_left_out(pair, faults):
    proxy, _ = pair(deadline="100ms", env=faults.env)
    assert proxy.ask().status == 504
    wait_total(proxy, "api", "stuck.wait", 1)
    with faults.armed(ALLOC, ever=True, threads=MAIN):
        assert proxy.admin_get("/history")[0] == 503
        before = faults.failed
        poll(lambda: faults.failed > before, "a second without memory")
    wait_total(proxy, "api", "stuck.wait", 1)
    assert get(proxy, "/stuck")["told"] == 1


@pytest.mark.sound_only
def test_an_answer_is_bounded_whatever_the_number_of_upstreams(curfew):
    upstreams = {f"api{n}": {"url": "http://127.0.0.1:9"} for n in range(100)}
    proxy = curfew(upstreams=upstreams)
    answer = wait_seconds(proxy, 1)
    assert len(answer["upstreams"]) == 100
    assert answer["step"] == 10
    assert history(proxy, "?step=60")["step"] == 60
    assert answer["points"] == 1 + (answer["seconds"] - 1) // 10


def test_the_phases_of_calls_in_flight_are_counted(curfew, upstream):
    ups = {name: upstream() for name in ("a", "b")}
    proxy = curfew(upstreams={name: {"url": up.url, "deadline": "30s", "pool": {"size": 2}} for name, up in ups.items()})
    for name, count in ("a", 1), ("b", 3):
        for _ in range(count):
            proxy.caller(name).request()
    proxy.wait_in_flight(3, "wait")
    proxy.wait_in_flight(1, "queue")
    listed = proxy.calls(limit=1)
    assert {(one["upstream"], one["phase"]): one["calls"] for one in listed["phases"]} == \
        {("a", "wait"): 1, ("b", "wait"): 2, ("b", "queue"): 1}
    for one in listed["phases"]:
        assert one["oldest_ms"] >= 0 and 29998 <= one["oldest_ms"] + one["oldest_left_ms"] <= 30000
    assert {one["upstream"] for one in proxy.calls(upstream="a")["phases"]} == {"a"}


def test_the_last_minute_says_what_stood_between_callers_and_the_api(curfew, faulty):
    """Why calls were rejected, what retries did, how soon streams began."""
    api = faulty().url
    proxy = curfew(upstreams={
        "paced": {"url": api, "pool": {"size": 5, "rate": {"limit": "1/h", "burst": 2}}},
        "retried": {"url": api, "retries": {"attempts": 2, "budget": {"share": "0%", "burst": 1}}},
        "streamed": {"url": api, "streams": {}},
        "paused": {"url": api, "deadline": "5s", "pool": {"pause": {"statuses": [429], "max": "10m"}}},
        "quiet": {"url": api}})
    assert [proxy.ask("GET", "/ok", upstream="paced").status for _ in range(3)] == [200, 200, 503]
    assert [proxy.ask("GET", f"/seq/503,200?key={n}", upstream="retried").status for n in range(2)] == [200, 503]
    assert proxy.ask("GET", "/sse/event*2~10", upstream="streamed").status == 200
    assert proxy.ask("GET", "/status/429?after=600", upstream="paused").status == 429
    assert proxy.ask("GET", "/ok", upstream="paused").status == 503
    answer = wait_total(proxy, "paused", "rejected", 1)
    told = {one["name"]: one["minute"] for one in answer["upstreams"]}
    first_event = told["streamed"]
    assert set(first_event) == {"first_event_p50_us", "first_event_p99_us"}
    assert 0 < first_event["first_event_p50_us"] <= first_event["first_event_p99_us"] <= 30_000_000
    del told["streamed"]
    assert told == {"paced": {"rejected.rate": 1}, "retried": {"retries": 1, "saved": 1, "budget_stops": 1},
                    "paused": {"rejected.paused": 1}, "quiet": {}}
    pools = {pool["name"]: pool for pool in answer["pools"]}
    assert 590 < pools["paused"]["pause_seconds"] <= 600 and pools["paced"]["rate_limit"] * 3600 == pytest.approx(1, rel=1e-2)
    assert "rate_limit" not in pools["quiet"] and "pause_seconds" not in pools["quiet"]
