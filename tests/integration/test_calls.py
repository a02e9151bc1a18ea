"""Live calls: GET /calls, DELETE /calls/ID, the gauges by age, and `curfew calls`."""

import json
import threading

import pytest

from harness.bounds import SOON, Stopwatch, poll
from harness.curfew import curfew_command
from harness.peers import ScriptedCaller
from harness.problem import expect
from harness.wire import Cut

MEMBERS = {"id", "upstream", "route", "method", "phase", "age_ms", "left_ms", "phase_ms", "bytes_up", "bytes_down",
           "sent"}


def cut(proxy, call_id, headers=None):
    status, text = proxy.admin_ask("DELETE", f"/calls/{call_id}", headers)
    return status, json.loads(text)


def ask(proxy, up, upstream="api", target="/", method="GET", **more):
    """A call that has reached the upstream: (caller, exchange, its id)."""
    known = {call["id"] for call in proxy.calls()["calls"]}
    caller = proxy.caller(upstream)
    caller.request(method, target, **more)
    exchange, _ = up.take()
    new, = (call["id"] for call in proxy.calls(phase="wait")["calls"] if call["id"] not in known)
    return caller, exchange, new


# -------------------------------------------------------------------------------------- the list


def test_nothing_in_flight_is_an_empty_list(pair):
    proxy, _ = pair()
    listed = proxy.calls()
    assert (listed["calls"], listed["matching"], listed["in_flight"]) == ([], 0, 0)


def test_a_call_is_described(pair):
    proxy, up = pair(deadline="20s", routes=[{"path": "/v1", "methods": ["POST"], "deadline": "30s"}])
    caller = proxy.caller()
    caller.request("POST", "/v1/x", content=b"12345")
    exchange, _ = up.take()
    exchange.send(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf")
    proxy.wait_in_flight(1, phase="receive")
    call, = proxy.calls()["calls"]
    assert set(call) == MEMBERS
    assert (call["upstream"], call["route"], call["method"]) == ("api", "POST /v1", "POST")
    assert (call["phase"], call["sent"], call["bytes_up"]) == ("receive", "complete", 5)
    assert 0 <= call["phase_ms"] <= call["age_ms"] < 30000
    assert 29998 <= call["age_ms"] + call["left_ms"] <= 30000
    poll(lambda: proxy.calls()["calls"][0]["bytes_down"] == 4, "the bytes of the response")
    exchange.send(b"- end.")
    answer = caller.recv_response()
    assert answer.content == b"half- end."
    line, = proxy.log(1)
    assert line["id"] == call["id"]


def test_least_left_comes_first(curfew, upstream):
    ups = {name: upstream() for name in ("slow", "quick", "middle")}
    deadlines = {"slow": "50s", "quick": "20s", "middle": "30s"}
    proxy = curfew(upstreams={name: {"url": up.url, "deadline": deadlines[name]} for name, up in ups.items()})
    for name, up in ups.items():
        ask(proxy, up, name)
    assert [call["upstream"] for call in proxy.calls()["calls"]] == ["quick", "middle", "slow"]
    assert [call["upstream"] for call in proxy.calls(sort="age")["calls"]] == ["slow", "quick", "middle"]
    limited = proxy.calls(limit=1)
    assert [call["upstream"] for call in limited["calls"]] == ["quick"]
    assert (limited["matching"], limited["in_flight"]) == (3, 3)


def test_filters(curfew, upstream):
    ups = {name: upstream() for name in ("a", "b")}
    proxy = curfew(upstreams={name: {"url": up.url, "deadline": "30s", "pool": {"size": 1}}
                              for name, up in ups.items()})
    for name, up in ups.items():
        ask(proxy, up, name)
    waiter = proxy.caller("b")
    waiter.request()
    proxy.wait_in_flight(1, phase="queue")

    def found(**filters):
        return [(call["upstream"], call["phase"]) for call in proxy.calls(**filters)["calls"]]

    assert sorted(found()) == [("a", "wait"), ("b", "queue"), ("b", "wait")]
    assert found(phase="queue") == [("b", "queue")]
    assert found(upstream="a") == [("a", "wait")]
    assert found(upstream="b", phase="wait") == [("b", "wait")]
    assert found(upstream="a", phase="queue") == []
    assert found(older="1h") == []
    assert len(poll(lambda: found(older="20ms", phase="queue"), "a waiter that is 20 ms old")) == 1
    assert proxy.calls(phase="queue")["in_flight"] == 3


BAD_FILTERS = {
    "older=5": "duration", "older=": "duration", "older=-1s": "duration", "upstream=nobody": '"nobody"', "upstream=": "upstream",
    "phase=thinking": "upload queue backoff dns connect tls send wait receive", "limit=0": "1 to 10000", "limit=10001": "10000",
    "limit=x": "1 to 10000", "limit=1&limit=2": "twice", "colour=red": "older, upstream, phase, limit and sort",
    "sort=colour": "left or age", "older": "KEY=VALUE", "=1s": "KEY=VALUE",
    "upstream=%ff": 'upstream "?"', "upstream=%1b[31m": 'upstream "?[31m"', "upstream=api%00x": "KEY=VALUE",
    "upstream=" + 63 * "x" + "%C3%A9": "xxx?",
}


@pytest.mark.parametrize("query", BAD_FILTERS)
def test_a_bad_filter_is_named(gate, query):
    proxy, _ = gate
    status, text = proxy.admin_get(f"/calls?{query}")
    problem = json.loads(text)
    assert status == problem["status"] == 400 and problem["title"] == "Bad Request"
    assert BAD_FILTERS[query] in problem["detail"], problem


def test_calls_are_listed_by_age_in_the_metrics(pair):
    proxy, up = pair(deadline="30s")
    ask(proxy, up)
    metrics = proxy.metrics()
    name = "curfew_calls_in_flight_by_age"
    assert metrics.sum(name, phase="wait") == 1 and metrics.sum(name) == 1
    assert metrics.values("age") == {"0-1s", "1-5s", "5-30s", "30s+"}
    proxy.wait_metric(name, 1, phase="wait", age="1-5s")


# ------------------------------------------------------------------------------------- the cutting


def test_a_call_that_waits_is_cut(pair):
    proxy, up = pair(deadline="30s")
    caller, exchange, call_id = ask(proxy, up)
    status, answer = cut(proxy, call_id)
    assert status == 200 and answer["cut"]["id"] == call_id
    problem = expect(caller.recv_response(), 504, "http_response_timeout", phase="wait", sent="complete")
    assert problem["type"] == "urn:curfew:problem:operator" and problem["call"] == call_id
    assert problem["elapsed_ms"] < problem["budget_ms"] == 30000
    exchange.wait_ended()
    line, = proxy.log(1)
    assert (line["outcome"], line["cause"], line["phase"], line["status"]) == ("stuck", "operator", "wait", 504)
    metrics = proxy.wait_idle()
    assert metrics.calls("stuck", phase="wait") == 1
    assert cut(proxy, call_id)[0] == 404


def test_a_waiter_in_the_queue_is_cut_and_leaves_its_place(pair):
    proxy, up = pair(deadline="30s", pool={"size": 1, "queue": 1})
    holder, exchange, _ = ask(proxy, up)
    waiter = proxy.caller()
    waiter.request()
    proxy.wait_metric("curfew_pool_waiting", 1)
    call, = proxy.calls(phase="queue")["calls"]
    assert cut(proxy, call["id"])[0] == 200
    expect(waiter.recv_response(), 504, "connection_limit_reached", phase="queue", sent="none")
    proxy.wait_metric("curfew_pool_waiting", 0)
    exchange.answer()
    assert holder.recv_response().status == 200


def test_a_call_that_connects_is_cut(curfew, deaf_listener):
    proxy = curfew(url=deaf_listener.url, deadline="30s")
    caller = proxy.caller()
    caller.request()
    proxy.wait_in_flight(1, phase="connect")
    call, = proxy.calls()["calls"]
    assert cut(proxy, call["id"])[0] == 200
    expect(caller.recv_response(), 504, "connection_timeout", phase="connect", sent="none")


def test_a_response_under_way_is_cut_so_that_it_is_not_taken_for_whole(pair):
    proxy, up = pair(deadline="30s")
    caller, exchange, call_id = ask(proxy, up)
    exchange.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n")
    proxy.wait_in_flight(1, phase="receive")
    poll(lambda: proxy.calls()["calls"][0]["bytes_down"] == 4, "the first half")
    assert cut(proxy, call_id)[0] == 200
    with pytest.raises(Cut):
        caller.recv_response()
    line, = proxy.log(1)
    assert (line["outcome"], line["cause"], line["error"]) == ("stuck", "operator", "http_response_incomplete")


@pytest.mark.parametrize("call_id, status", [("1", 404), ("ffffffffffffffff", 404), ("0", 400), ("", 400), ("xyz", 400),
                                             ("11111111111111111", 400), ("1/2", 400)])
def test_an_id_that_is_none(gate, call_id, status):
    proxy, _ = gate
    assert cut(proxy, call_id)[0] == status


def test_browsers_cut_nothing(pair):
    proxy, up = pair(deadline="30s")
    _, exchange, call_id = ask(proxy, up)
    status, problem = cut(proxy, call_id, {"Origin": "http://127.0.0.1:9600"})
    assert status == 403 and problem["title"] == "Forbidden"
    assert proxy.calls()["in_flight"] == 1
    exchange.answer()


@pytest.mark.parametrize("method", ["GET", "POST", "PUT"])
def test_a_call_takes_delete_alone(pair, method):
    proxy, _ = pair()
    status, text = proxy.admin_ask(method, "/calls/1")
    assert status == 405 and "DELETE" in text


# ------------------------------------------------------------------------------------------- many


def queue_many(proxy, count):
    """So many calls in flight; all but one wait in the queue."""
    callers = [ScriptedCaller(proxy.address()) for _ in range(count)]
    for caller in callers:
        caller.request()
    proxy.wait_metric("curfew_calls_in_flight", count, 4 * SOON)
    return callers


def test_a_list_of_many_has_each_once(pair):
    count = 1500
    proxy, _ = pair(deadline="50s", pool={"size": 1, "queue": count}, top={"workers": 2})
    callers = queue_many(proxy, count)
    listed = proxy.calls(limit=10000)
    ids = [call["id"] for call in listed["calls"]]
    assert len(set(ids)) == len(ids) == listed["matching"] == listed["in_flight"] == count
    left = [call["left_ms"] for call in listed["calls"]]
    assert left == sorted(left)
    assert len(proxy.calls()["calls"]) == 100
    for caller in callers:
        caller.close()
    proxy.wait_idle()


def test_while_lists_are_taken_the_books_are_exact_and_no_call_is_lost(pair):
    """A list walks in pieces: between them calls come, end and are counted, by scrapes and by the pools' audit."""
    staying, coming = 1200, 400
    proxy, _ = pair(deadline="50s", pool={"size": 1, "queue": 2 * (staying + coming)}, top={"workers": 2})
    stay = queue_many(proxy, staying)
    ids = {call["id"] for call in proxy.calls(limit=10000)["calls"]}
    stop, wrong = threading.Event(), []

    def list_on():
        while not stop.is_set():
            found = [call["id"] for call in proxy.calls(limit=10000)["calls"]]
            if len(found) != len(set(found)) or not ids <= set(found):
                wrong.append(len(found))

    lister = threading.Thread(target=list_on)
    lister.start()
    try:
        for _ in range(coming):
            caller = ScriptedCaller(proxy.address())
            caller.request()
            proxy.metrics()
            caller.close()
    finally:
        stop.set()
        lister.join(SOON)
    assert not wrong
    for caller in stay:
        caller.close()
    assert proxy.wait_idle().sum("curfew_pool_audit_errors_total") == 0


@pytest.mark.alone
@pytest.mark.sound_only
def test_a_list_of_ten_thousand_stops_no_worker_for_a_millisecond_and_scrapes_are_quick(pair):
    count = 10000
    proxy, _ = pair(deadline="50s", pool={"size": 1, "queue": count},
                    top={"workers": 1, "limits": {"connections": count + 10}})
    callers = queue_many(proxy, count)
    # A worker that loses the processor in the middle seems to take longer: the best of some shows what the work takes.
    stops = [proxy.calls(limit=limit)["longest_stop_ms"] for limit in (100, 10000) * 10]
    for limit, some in (100, stops[0::2]), (10000, stops[1::2]):
        print(f"longest stop of lists of {limit}: {sorted(some)[0]:.3f} ms at best, median {sorted(some)[5]:.3f} ms")
        assert min(some) < 1, some
    scrapes = []
    for _ in range(20):
        watch = Stopwatch()
        assert proxy.admin_get("/metrics")[0] == 200
        scrapes.append(watch.elapsed() * 1000)
    print(f"scrapes: {min(scrapes):.3f} ms at best, median {sorted(scrapes)[10]:.3f} ms")
    assert min(scrapes) < 5, scrapes
    for caller in callers:
        caller.close()
    proxy.wait_idle(4 * SOON)


def test_a_list_outlives_a_reload_and_a_drain(pair):
    proxy, up = pair(deadline="3s", pool={"size": 1, "queue": 1000}, top={"workers": 2})
    callers = queue_many(proxy, 800)
    stop, statuses = threading.Event(), []

    def list_on():
        while not stop.is_set():
            try:
                statuses.append(proxy.admin_get("/calls?limit=10000")[0])
            except OSError:
                return

    listers = [threading.Thread(target=list_on) for _ in range(4)]
    for lister in listers:
        lister.start()
    try:
        for n in range(5):
            proxy.rewrite({"api": {"url": up.url, "deadline": "3s", "pool": {"size": 1, "queue": 1000}},
                           f"new{n}": {"url": up.url}}, workers=2)
            proxy.must_reload()
        proxy.stop()
    finally:
        stop.set()
        for lister in listers:
            lister.join(SOON)
    assert set(statuses) <= {200, 503} and statuses.count(200) > 5
    for caller in callers:
        caller.close()


# ------------------------------------------------------------------------------------ the command


def ask_command(proxy, *args):
    host, port = proxy.admin
    done = curfew_command("calls", "--admin", f"{host}:{port}", *args)
    return done.returncode, done.stdout, done.stderr


def test_the_command_prints_a_table(pair):
    proxy, up = pair(deadline="30s")
    _, exchange, call_id = ask(proxy, up, method="DELETE")
    status, out, err = ask_command(proxy)
    head, row = out.splitlines()
    assert (status, err) == (0, "")
    assert head.split() == ["LEFT", "AGE", "PHASE", "FOR", "UPSTREAM", "METHOD", "ROUTE", "ID", "SENT", "UP", "DOWN"]
    assert row.split()[2:3] + row.split()[4:] == ["wait", "api", "DELETE", "default", call_id, "complete", "0", "0"]
    assert row.split()[0] in ("29s", "30s")
    assert [line.split() for line in ask_command(proxy, "-p", "queue")[1].splitlines()] == [head.split()]
    exchange.answer()


def test_the_command_passes_filters_and_json_on(pair):
    proxy, up = pair(deadline="30s", pool={"size": 1})
    _, exchange, _ = ask(proxy, up)
    waiter = proxy.caller()
    waiter.request()
    proxy.wait_in_flight(1, phase="queue")
    for args, phases in {("--phase", "queue"): ["queue"], ("--upstream", "api", "--older", "1ms"): ["wait", "queue"],
                         ("--limit", "1", "--sort", "age"): ["wait"], ("--older", "1h"): []}.items():
        status, out, _ = ask_command(proxy, "--json", *args)
        assert status == 0 and [call["phase"] for call in json.loads(out)["calls"]] == phases, args
    assert "1 of 2" in ask_command(proxy, "-n", "1")[1]
    waiter.close()
    exchange.answer()


def test_the_command_cuts(pair):
    proxy, up = pair(deadline="30s")
    caller, _, call_id = ask(proxy, up)
    assert ask_command(proxy, "--cut", call_id)[0] == 0
    assert caller.recv_response().status == 504
    assert ask_command(proxy, "--cut", call_id) == (1, "", "curfew: calls: No call in flight has this id.\n")


def test_the_command_finds_the_listener_in_the_configuration(curfew, tmp_path):
    path = tmp_path / "admin.sock"
    proxy = curfew(url="http://127.0.0.1:9", top={"admin": {"listen": f"unix:{path}"}})
    done = curfew_command("calls", "-c", proxy.config)
    assert done.returncode == 0 and done.stdout.startswith("   LEFT")


def test_the_command_says_what_is_wrong(pair, tmp_path):
    proxy, _ = pair()
    for option, value in (("--older", "1"), ("--phase", "nap"), ("--limit", "0"), ("--sort", "name"), ("--cut", "x")):
        done = ask_command(proxy, option, value)
        assert done[0] == 2 and done[2], option
    assert ask_command(proxy, "-u", "no & body")[2] == 'curfew: calls: There is no upstream "no & body".\n'
    nobody = curfew_command("calls", "--admin", f"unix:{tmp_path}/nobody")
    assert nobody.returncode == 1 and "No such file or directory" in nobody.stderr
    for args in ((), ("--admin",), ("--admin", "127.0.0.1:1", "-c", "x"), ("--admin", "127.0.0.1:1", "more"),
                 ("--admin", "127.0.0.1:1", "--cut", "1", "-n", "5")):
        assert curfew_command("calls", *args).returncode == 2, args
