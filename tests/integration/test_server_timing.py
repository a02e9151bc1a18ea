"""Server-Timing: callers are told where the time of a call went, the same as problem and access log say."""

import re

import pytest

from harness import problem
from harness.bounds import SLOW
from harness.curfew import curfew_command

TOLD = ("queue", "dns", "connect", "tls", "wait")
METRIC = re.compile(r"([a-z]+);dur=([0-9]+(?:\.[0-9]{1,3})?)")


def timing(response):
    """Phase to milliseconds, in the order in which they are told; of curfew's own field line, the last."""
    lines = response.fields.all("server-timing")
    metrics = [METRIC.fullmatch(one) for one in lines[-1].split(", ")]
    assert all(metrics), lines
    names = [match[1] for match in metrics]
    assert names == [name for name in TOLD if name in names], "each once, in the order of the phases"
    return {match[1]: float(match[2]) for match in metrics}


def took(phases_ms):
    """What the log or a problem says of the same phases."""
    return {name: value for name, value in phases_ms.items() if name in TOLD and value}


def nonzero(told):
    return {name: value for name, value in told.items() if value}


def answer_one(proxy, up, method="GET", status=200, *lines, exchange=None, caller=None):
    """A call that the upstream answers: its response and its exchange."""
    caller = caller or proxy.caller()
    caller.request(method, "/")
    exchange = exchange or up.accept()
    exchange.recv_request()
    head = "".join(f"{line}\r\n" for line in (f"HTTP/1.1 {status} Fine", *lines))
    exchange.send(head.encode() + (b"\r\n" if status in (204, 304) else b"Content-Length: 0\r\n\r\n"))
    return caller.recv_response(method), exchange


@pytest.mark.parametrize("method, status", [("GET", 200), ("HEAD", 200), ("GET", 204), ("GET", 304), ("POST", 500)])
def test_each_response_tells_it_beside_what_the_upstream_tells(pair, method, status):
    proxy, up = pair(server_timing=True)
    own = 'Server-Timing: db;dur=53, cache;desc="hit, or not"'
    response, _ = answer_one(proxy, up, method, status, own, "Timing-Allow-Origin: *")
    line, = proxy.log(1)
    assert response.fields.all("server-timing")[:-1] == ['db;dur=53, cache;desc="hit, or not"']
    assert response["timing-allow-origin"] == "*"
    told = timing(response)
    assert "wait" in told and not {"queue", "dns", "tls"} & set(told)
    assert nonzero(told) == took(line["phases_ms"])


def test_nothing_is_told_unless_it_is_wanted(pair):
    proxy, up = pair(deadline="300ms", server_timing=False)
    response, _ = answer_one(proxy, up, "GET", 200, "Server-Timing: theirs")
    assert response["server-timing"] == "theirs"
    caller = proxy.caller()
    caller.request()
    response = caller.recv_response()
    assert response.status == 504 and "server-timing" not in response.fields


def test_an_interim_response_tells_nothing(pair):
    proxy, up = pair(server_timing=True)
    caller = proxy.caller()
    caller.request()
    exchange, _ = up.take()
    exchange.send(b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n")
    exchange.answer()
    response = caller.recv_response()
    assert "server-timing" not in response.interim[0].fields and "wait" in timing(response)


def test_a_kept_connection_took_no_time_to_connect(pair):
    proxy, up = pair(server_timing=True)
    caller = proxy.caller()
    _, exchange = answer_one(proxy, up, caller=caller)
    response, _ = answer_one(proxy, up, caller=caller, exchange=exchange)
    assert list(timing(response)) == ["wait"]


def test_a_replaced_connection_is_in_it_with_both_waits(pair):
    proxy, up = pair(server_timing=True)
    caller = proxy.caller()
    _, exchange = answer_one(proxy, up, caller=caller)
    caller.request()
    exchange.recv_request()
    exchange.close()
    exchange, _ = up.take()
    exchange.answer()
    response = caller.recv_response()
    line = proxy.log(2)[1]
    assert nonzero(timing(response)) == took(line["phases_ms"]) and line["outcome"] == "completed"


def test_tls_is_told(pair, certificates):
    proxy, up = pair(upstream_options={"tls": certificates.server()}, url_scheme="https", server_timing=True,
                     tls={"ca_file": str(certificates.ca), "server_name": "api.test"})
    caller = proxy.caller()
    caller.request()
    proxy.wait_in_flight(1, phase="tls")
    up.take()[0].answer()
    response = caller.recv_response()
    assert timing(response)["tls"] > 0
    assert nonzero(timing(response)) == took(proxy.log(1)[0]["phases_ms"])


def test_problems_tell_the_same_in_head_and_body(pair):
    """504 in wait, 503 in queue, 503 at once, 502."""
    proxy, up = pair(server_timing=True, deadline=f"{600 * SLOW:g}ms",
                     pool={"size": 1, "queue": 1, "queue_timeout": f"{300 * SLOW:g}ms"})
    callers = [proxy.caller() for _ in range(3)]
    for place, caller in enumerate(callers):
        caller.request("GET", f"/{place}")
        if place == 0:
            exchange, _ = up.take()
        elif place == 1:
            proxy.wait_in_flight(1, phase="queue")
    refused, queued, stuck = (caller.recv_response() for caller in reversed(callers))
    exchange.wait_ended()
    assert (stuck.status, queued.status, refused.status) == (504, 503, 503)
    assert list(timing(queued)) == ["queue"] and timing(queued)["queue"] > 100
    assert timing(refused) == {"queue": 0}
    assert timing(stuck)["wait"] > 100
    callers[0].request()
    up.take()[0].reset()
    failed = callers[0].recv_response()
    assert failed.status == 502
    for response in (stuck, queued, refused, failed):
        assert nonzero(timing(response)) == took(problem.parse(response)["phases_ms"])


def test_what_never_came_so_far_tells_nothing(pair):
    proxy, up = pair(server_timing=True, deadline="200ms")
    caller = proxy.caller()
    caller.send(b"GET / HTTP/1.1\r\nHost: x\r\nX-Slow: ")
    slow = caller.recv_response()
    caller = proxy.caller()
    caller.send(b"GET / HTTP/1.1\r\n\r\n")
    bad = caller.recv_response()
    assert (slow.status, bad.status) == (504, 400)
    assert "server-timing" not in slow.fields and "server-timing" not in bad.fields
    up.must_have_no_connection()


def test_a_reload_switches_it_on_and_off(pair):
    proxy, up = pair()
    caller = proxy.caller()
    for server_timing in (True, False):
        proxy.rewrite({"api": {"url": up.url, "server_timing": server_timing}})
        proxy.must_reload()
        response, _ = answer_one(proxy, up, caller=caller)
        assert ("server-timing" in response.fields) == server_timing


def test_explain_says_that_it_is_told(tmp_path):
    config = tmp_path / "curfew.yaml"
    config.write_text("upstreams: {a: {listen: 127.0.0.1:1, url: http://a, server_timing: true}}")
    assert "Each response has Server-Timing" in curfew_command("explain", "-c", config, "GET", "/").stdout
    config.write_text("upstreams: {a: {listen: 127.0.0.1:1, url: http://a}}")
    assert "Server-Timing" not in curfew_command("explain", "-c", config, "GET", "/").stdout
