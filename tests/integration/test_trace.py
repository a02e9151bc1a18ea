"""Traces (W3C Trace Context): passed on as they came, begun where there is none, in the log and in the problems."""

import re

import pytest

from harness import problem
from harness.curfew import curfew_command

ID, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
VALID = f"00-{ID}-{PARENT}-00"
NEW = re.compile(r"00-([0-9a-f]{32})-([0-9a-f]{16})-01")

# Not valid, each for another reason (all of them: tests/unit/test_trace.c).
INVALID = ["", "x", VALID.upper(), VALID + "-more", f"ff-{ID}-{PARENT}-01", f"00-{32 * '0'}-{PARENT}-01",
           f"00-{ID}-{16 * '0'}-01", f"{VALID}, {VALID}", f'00-{ID[:-1]}"-{PARENT}-01']


def of_a_trace(message):
    """Field lines as they came, in their order."""
    return [(name, value) for name, value in message.fields if name.lower() in ("traceparent", "tracestate")]


def serve(caller, exchange, *lines):
    """A call on connections that are there; what the upstream got of its trace."""
    caller.request("GET", "/", *lines)
    got = exchange.recv_request()
    exchange.answer()
    assert caller.recv_response().status == 200
    return of_a_trace(got)


@pytest.fixture
def warm(pair):
    """(proxy, caller, exchange), with a connection to the upstream that the next call takes."""
    def make(**keys):
        proxy, up = pair(**keys)
        caller = proxy.caller()
        caller.request("GET", "/warm-up")
        exchange, _ = up.take()
        exchange.answer()
        assert caller.recv_response().status == 200
        return proxy, caller, exchange

    return make


def trace_of(line):
    """Of an access log line."""
    return line.get("trace_id"), line.get("parent_id")


def must_be_new(got):
    """Exactly one traceparent, which curfew has made; its ids."""
    (name, value), = got
    match = NEW.fullmatch(value)
    assert name == "traceparent" and match, got
    assert match[1] != ID and int(match[1], 16) and int(match[2], 16)
    return match[1], match[2]


# ------------------------------------------------------------------------------- passed on


@pytest.mark.parametrize("trace", [False, True])
def test_a_valid_trace_goes_on_as_it_came_and_is_in_the_log(warm, trace):
    proxy, caller, exchange = warm(trace=trace)
    later = f"cc-{ID}-{PARENT}-01-what-the-future-brings"
    for lines in ([f"traceparent: {VALID}"], [f"TraceParent:\t{VALID} ", "TRACESTATE: a=1", "tracestate: b=2,c=3"],
                  [f"traceparent: {later}", "tracestate: a=1"]):
        sent = [tuple(part.strip() for part in line.split(":", 1)) for line in lines]
        assert serve(caller, exchange, *lines) == sent
    assert [trace_of(line) for line in proxy.log(4)[1:]] == 3 * [(ID, PARENT)]


def test_what_is_no_trace_goes_on_all_the_same_and_is_not_in_the_log(warm):
    proxy, caller, exchange = warm()
    assert serve(caller, exchange) == []
    assert serve(caller, exchange, "tracestate: a=1") == [("tracestate", "a=1")]
    assert serve(caller, exchange, f"traceparent: {VALID}", f"traceparent: {VALID}") == 2 * [("traceparent", VALID)]
    for value in INVALID:
        assert serve(caller, exchange, f"traceparent: {value}") == [("traceparent", value)]
    assert {trace_of(line) for line in proxy.log(4 + len(INVALID))} == {(None, None)}


def test_the_trace_is_in_the_problem_too(pair):
    proxy, up = pair(deadline="300ms", pool={"size": 1, "queue": 0})
    caller = proxy.caller()
    caller.request("GET", "/stuck", f"traceparent: {VALID}")
    exchange, _ = up.take()
    refused = proxy.ask("GET", "/refused", f"traceparent: {VALID[:-2]}01")
    stuck = caller.recv_response()
    exchange.wait_ended()
    untraced = proxy.caller()
    untraced.request("GET", "/reset", "traceparent: garbage")
    up.take()[0].reset()
    assert (refused.status, problem.parse(refused)["trace_id"]) == (503, ID)
    assert (stuck.status, problem.parse(stuck)["trace_id"]) == (504, ID)
    assert "trace_id" not in problem.parse(untraced.recv_response())
    told = {line["target"]: trace_of(line) for line in proxy.log(3)}
    assert told == {"/stuck": (ID, PARENT), "/refused": (ID, PARENT), "/reset": (None, None)}


# ----------------------------------------------------------------------------------- begun


def test_a_call_without_a_valid_trace_gets_its_own(warm):
    """Somebody else's tracestate does not go along with it."""
    proxy, caller, exchange = warm(trace=True)
    news = [must_be_new(serve(caller, exchange)), must_be_new(serve(caller, exchange, "tracestate: a=1")),
            must_be_new(serve(caller, exchange, f"traceparent: {VALID}", f"traceparent: {VALID}", "tracestate: a=1")),
            must_be_new(serve(caller, exchange, f"Connection: traceparent\r\ntraceparent: {VALID}"))]
    for value in INVALID:
        news.append(must_be_new(serve(caller, exchange, "TraceState: a=1", f"Traceparent: {value}")))
    assert len({trace for trace, _ in news}) == len({parent for _, parent in news}) == len(news)
    assert [trace_of(line) for line in proxy.log(1 + len(news))[1:]] == news


def test_upstream_problem_and_log_are_told_of_the_same_trace(pair):
    proxy, up = pair(trace=True, deadline="300ms")
    caller = proxy.caller()
    caller.request("GET", "/")
    exchange, request = up.take()
    ids = must_be_new(of_a_trace(request))
    told = problem.parse(caller.recv_response())
    exchange.wait_ended()
    line, = proxy.log(1)
    assert ids == trace_of(line) and ids[0] == told["trace_id"] and line["id"] == told["call"]


def test_a_request_that_is_sent_twice_is_of_one_trace(pair):
    proxy, up = pair(trace=True)
    caller = proxy.caller()
    caller.request("GET", "/1")
    exchange, _ = up.take()
    exchange.answer()
    caller.recv_response()
    proxy.wait_metric("curfew_connections", 1, side="upstream_idle")
    caller.request("GET", "/2")
    first = must_be_new(of_a_trace(exchange.recv_request()))
    exchange.close()
    exchange, request = up.take()
    exchange.answer()
    assert caller.recv_response().status == 200
    assert must_be_new(of_a_trace(request)) == first == trace_of(proxy.log(2)[1])


def test_thousands_of_traces_are_all_different(faulty, curfew):
    api = faulty()
    proxy = curfew(url=api.url, trace=True)
    caller = proxy.caller()
    count = 1000  # more than one block of the kernel's randomness
    caller.send(count * b"GET /ok HTTP/1.1\r\nHost: x\r\n\r\n")
    for _ in range(count):
        assert caller.recv_response().status == 200
    lines = proxy.log(count)
    assert len({line["trace_id"] for line in lines}) == len({line["parent_id"] for line in lines}) == count


def test_what_never_becomes_a_call_is_of_no_trace(pair):
    proxy, up = pair(trace=True)
    caller = proxy.caller()
    caller.send(f"GET / HTTP/1.1\r\nHost: x\r\ntraceparent: {VALID}\r\nContent-Length: x\r\n\r\n".encode())
    response = caller.recv_response()
    assert response.status == 400 and "trace_id" not in problem.parse(response)
    assert trace_of(proxy.log(1)[0]) == (None, None)
    up.must_have_no_connection()


# ------------------------------------------------------------------------- with other options


def test_a_traceparent_that_is_removed_ends_the_callers_trace(warm):
    """With `trace`, the call begins its own; without, it is of none."""
    proxy, caller, exchange = warm(headers={"remove": ["TraceParent"]})
    assert serve(caller, exchange, f"traceparent: {VALID}") == []
    assert trace_of(proxy.log(2)[1]) == (None, None)
    proxy, caller, exchange = warm(trace=True, headers={"remove": ["TraceParent"]})
    ids = must_be_new(serve(caller, exchange, f"traceparent: {VALID}", "tracestate: a=1"))
    assert trace_of(proxy.log(2)[1]) == ids


def test_a_tracestate_that_is_removed_leaves_the_trace(warm):
    _, caller, exchange = warm(trace=True, headers={"remove": ["tracestate"]})
    assert serve(caller, exchange, f"traceparent: {VALID}", "tracestate: a=1") == [("traceparent", VALID)]


def test_a_traceparent_can_be_set_only_where_none_is_written(warm, tmp_path):
    _, caller, exchange = warm(headers={"set": {"traceparent": "ours"}})
    assert serve(caller, exchange, f"traceparent: {VALID}") == [("traceparent", "ours")]
    config = tmp_path / "both.yaml"
    config.write_text("upstreams: {a: {listen: 127.0.0.1:1, url: http://a, trace: true, headers: {set: {Traceparent: x}}}}")
    done = curfew_command("check", config)
    assert done.returncode == 1 and "headers.set.Traceparent: is what trace writes" in done.stderr


def test_a_reload_switches_it_on_and_off(pair):
    proxy, up = pair()
    caller = proxy.caller()
    for trace in (True, False):
        proxy.rewrite({"api": {"url": up.url, "trace": trace}})
        proxy.must_reload()
        caller.request("GET", "/")
        exchange, request = up.take()
        exchange.answer()
        assert caller.recv_response().status == 200
        assert len(of_a_trace(request)) == trace


def test_explain_shows_what_the_api_gets(tmp_path):
    config = tmp_path / "curfew.yaml"
    config.write_text("upstreams: {a: {listen: 127.0.0.1:1, url: http://a, trace: true}}")
    asked = ["explain", "-c", config, "-H", "tracestate: a=1"]
    begun = curfew_command(*asked, "GET", "/").stdout
    assert "\n  traceparent: 00-…-…-01 (a trace that begins here)\n" in begun and "tracestate" not in begun
    passed = curfew_command(*asked, "-H", f"traceparent: {VALID}", "GET", "/").stdout
    assert f"\n  tracestate: a=1\n  traceparent: {VALID}\n" in passed and "begins here" not in passed
