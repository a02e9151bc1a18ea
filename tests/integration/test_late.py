"""upstream.late: what became of a call that was cut is written down, and delivered to nobody."""

import contextlib
import json

import pytest

from harness.bounds import SOON, Stopwatch, poll
from harness.curfew import curfew_command
from harness.problem import expect

POOL = {"size": 1, "queue": 0, "linger": "5s"}
KEYS = {"deadline": "200ms", "late": True, "pool": POOL, "routes": [{"path": "/next", "deadline": "5s"}]}


def cut(proxy, up, method="POST", target="/charges", *, sent=b"", content=b"pay"):
    """(caller, exchange) after the call was cut; `sent` is what the API had said by then."""
    caller = proxy.caller()
    caller.request(method, target, content=content)
    exchange, _ = up.take()
    if sent:
        exchange.send(sent)
        caller.recv_response_head()
        return caller, exchange
    expect(caller.recv_response(), 504, "http_response_timeout", phase="wait", sent="complete")
    return caller, exchange


def stuck(proxy):
    """GET /stuck, once it knows what became of the newest."""
    def known():
        entries = json.loads(proxy.admin_get("/stuck")[1])["stuck"]
        return entries if entries and "late" in entries[0] else None

    return poll(known, "what became of it to be known", 3 * SOON)


def late_line(proxy, lines=2):
    first, line = proxy.log(lines)[-2:]
    assert line["id"] == first["id"] and (line["upstream"], line["route"]) == (first["upstream"], first["route"])
    assert set(line) == {"time", "id", "upstream", "route", "late"}, line
    return line["late"]


@pytest.mark.parametrize("answer,status,kind", [
    (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", 200, "2xx"),
    (b"HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 201 Created\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n", 201, "2xx"),
    (b"HTTP/1.1 402 Payment Required\r\nContent-Length: 0\r\n\r\n", 402, "4xx"),
    (b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n", 503, "5xx"),
    (b"HTTP/1.0 200 OK\r\n\r\nuntil the end", 200, "2xx")])
def test_what_the_api_answers_after_the_cut_is_written_down(pair, answer, status, kind):
    proxy, up = pair(**KEYS)
    caller, exchange = cut(proxy, up)
    assert proxy.metrics().sum("curfew_pool_ghosts") == 1
    exchange.must_be_silent()  # it is not closed
    half = len(answer) // 2
    exchange.send(answer[:half])
    proxy.metrics()
    exchange.send(answer[half:])
    if b"HTTP/1.0" in answer:
        exchange.half_close()
    exchange.must_end()
    late = late_line(proxy)
    assert late["status"] == status and "whole" not in late and late["after_ms"] >= 200
    metrics = proxy.wait_idle()  # the API has done with it, so its permit goes back at once
    assert metrics.calls("late", upstream="api", route="default") == metrics.calls("late", **{"class": kind}) == 1
    assert metrics.sum("curfew_responses_total", code=str(status)) == 1
    entry, = stuck(proxy)
    assert entry["late"]["status"] == status and "whole" not in entry["late"]
    assert metrics.calls("stuck") == metrics.calls("started") == 1  # an outcome it has one
    caller.must_be_silent()
    caller.request("GET", "/next")
    exchange, request = up.take()
    assert request.target == "/next"
    exchange.answer(content=b"next")
    assert caller.recv_response().content == b"next"


def test_over_tls_too(pair, certificates):
    proxy, up = pair(upstream_options={"tls": certificates.server()}, url_scheme="https",
                     tls={"ca_file": str(certificates.ca), "server_name": "api.test"}, **KEYS)
    _, exchange = cut(proxy, up)
    exchange.answer(200, content=b"paid")
    exchange.must_end()
    assert late_line(proxy)["status"] == 200
    proxy.wait_idle()


def test_an_api_that_says_nothing_is_left_when_linger_is_over(pair):
    proxy, up = pair(**{**KEYS, "pool": {**POOL, "linger": "300ms"}})
    _, exchange = cut(proxy, up)
    watch = Stopwatch()
    exchange.wait_ended()
    assert watch.elapsed() >= 0.25
    assert late_line(proxy)["status"] == 0
    metrics = proxy.wait_idle()
    assert metrics.calls("late", **{"class": "none"}) == metrics.calls("late") == 1
    assert stuck(proxy)[0]["late"]["status"] == 0


@pytest.mark.parametrize("end", ["close", "reset"])
def test_an_api_that_ends_the_connection_gives_its_permit_back_and_no_answer(pair, end):
    proxy, up = pair(**KEYS)
    _, exchange = cut(proxy, up)
    getattr(exchange, end)()
    assert late_line(proxy)["status"] == 0
    assert proxy.wait_idle().calls("late", **{"class": "none"}) == 1


def test_no_more_than_64_kib_are_read(pair):
    proxy, up = pair(**KEYS)
    _, exchange = cut(proxy, up)
    exchange.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100000000\r\n\r\n")
    with contextlib.suppress(ConnectionError):
        exchange.fill()
    late = late_line(proxy)
    assert (late["status"], late["whole"]) == (200, False)
    metrics = proxy.metrics()
    assert metrics.sum("curfew_pool_ghosts") == 1  # it works on
    assert metrics.sum("curfew_connections", side="upstream") == 0 and metrics.calls("late", **{"class": "2xx"}) == 1
    proxy.stop()


def test_a_response_that_was_cut_in_the_middle_is_read_to_its_end(pair):
    proxy, up = pair(**KEYS)
    caller, exchange = cut(proxy, up, sent=b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf")
    proxy.log(1)
    exchange.send(b" whole")
    exchange.must_end()
    assert late_line(proxy)["status"] == 200
    assert proxy.wait_idle().sum("curfew_responses_total") == 1


def test_a_response_of_which_the_head_had_begun_counts_once(pair):
    proxy, up = pair(**KEYS)
    caller = proxy.caller()
    caller.request("POST", "/", content=b"x")
    exchange, _ = up.take()
    exchange.send(b"HTTP/1.1 200 OK\r\nX-Slow")
    expect(caller.recv_response(), 504, "http_response_timeout", sent="complete")
    exchange.send(b": yes\r\nContent-Length: 0\r\n\r\n")
    exchange.must_end()
    assert late_line(proxy)["status"] == 200
    assert proxy.wait_idle().sum("curfew_responses_total", code="200") == 1


def test_what_lay_unread_before_a_slow_caller_was_cut_is_read(pair):
    proxy, up = pair(**{**KEYS, "deadline": "400ms"})
    caller = proxy.caller(receive_buffer=4096)
    caller.request("GET", "/")
    exchange, _ = up.take()
    content = b"x" * 400000
    exchange.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(content) + content)
    late = late_line(proxy)
    assert late["status"] == 200
    proxy.wait_metric("curfew_connections", 0, side="upstream")
    proxy.stop()


def test_garbage_is_no_answer(pair):
    proxy, up = pair(**KEYS)
    _, exchange = cut(proxy, up)
    exchange.send(b"\x00\x01 this is not HTTP\r\n\r\n")
    exchange.must_end()
    late = late_line(proxy)
    assert (late["status"], late["whole"]) == (0, False)
    proxy.stop()


def test_a_request_that_was_sent_in_part_may_be_answered_too(pair):
    proxy, up = pair(**KEYS)
    caller = proxy.caller()
    caller.request("POST", "/", "Content-Length: 100")
    caller.send(b"a part")
    exchange = up.accept()
    exchange.recv_head()
    expect(caller.recv_response(), 504, "http_response_timeout", sent="partial")
    exchange.send(b"HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\n\r\n")
    exchange.wait_ended()
    assert late_line(proxy)["status"] == 408


def test_of_a_caller_who_left_it_is_known_too(pair):
    proxy, up = pair(**{**KEYS, "deadline": "5s"})
    caller = proxy.caller()
    caller.request("POST", "/", content=b"x")
    exchange, _ = up.take()
    caller.close()
    first, = proxy.log(1)
    assert first["outcome"] == "abandoned"
    exchange.answer(201)
    exchange.must_end()
    assert late_line(proxy)["status"] == 201


def test_a_stop_of_the_process_ends_it(pair):
    proxy, up = pair(**KEYS)
    _, exchange = cut(proxy, up)
    watch = Stopwatch()
    proxy.stop()
    assert watch.elapsed() < 4
    exchange.must_end()
    assert late_line(proxy)["status"] == 0


def test_a_reload_leaves_it(pair):
    proxy, up = pair(**KEYS)
    _, exchange = cut(proxy, up)
    proxy.rewrite({"other": {"url": up.url}})
    proxy.must_reload()
    exchange.answer(200)
    exchange.must_end()
    assert late_line(proxy)["status"] == 200
    assert proxy.wait_idle().calls("late", upstream="api", **{"class": "2xx"}) == 1


def test_of_a_try_that_a_retry_has_replaced_the_permit_lingers_and_nothing_is_awaited(pair):
    proxy, up = pair(**{**KEYS, "deadline": "5s", "pool": {**POOL, "size": 2}}, retries={"attempts": 2, "per_try": "150ms"})
    caller = proxy.caller()
    caller.request()
    first, _ = up.take()
    second, _ = up.take()
    first.wait_ended()
    assert proxy.metrics().sum("curfew_pool_ghosts") == 1
    second.answer(content=b"second")
    assert caller.recv_response().content == b"second"
    line, = proxy.log(1)
    assert (line["outcome"], line["tries"][0]["sent"]) == ("completed", "complete")
    assert proxy.metrics().calls("late") == 0
    proxy.stop()


def test_explain_says_it(pair):
    proxy, _ = pair(**KEYS)
    done = curfew_command("explain", "-c", proxy.config, "GET", "/")
    assert "its permit stays held for 5s" in done.stdout and "what the API still says is written down" in done.stdout


def test_what_is_completed_fails_or_was_not_sent_has_no_second_line(pair):
    proxy, up = pair(**KEYS)
    caller = proxy.caller()
    caller.request("POST", "/", content=b"x")
    exchange, _ = up.take()
    exchange.answer(200)
    assert caller.recv_response().status == 200
    caller.request("POST", "/", content=b"x")
    exchange.recv_request()
    exchange.close()
    assert caller.recv_response().status == 502
    assert len(proxy.log(2)) == 2 and proxy.metrics().calls("late") == 0


@pytest.mark.parametrize("pool,routes,wrong,odd", [
    ({}, [], True, False),
    ({"linger": "1s"}, [], False, False),
    ({"linger": "1s"}, [{"path": "/a", "pool": {"linger": "0s"}}], False, True),
    ({}, [{"path": "/a", "pool": {"linger": "1s"}}], False, True)])
def test_check_says_that_it_needs_linger(tmp_path, pool, routes, wrong, odd):
    file = tmp_path / "curfew.yaml"
    api = {"listen": "127.0.0.1:0", "url": "http://127.0.0.1:1", "late": True, "pool": {"size": 1, **pool}, "routes": routes}
    if not routes:
        del api["routes"]
    file.write_text(json.dumps({"upstreams": {"api": api}}))
    done = curfew_command("check", file)
    assert (done.returncode != 0) == wrong, done
    assert ("needs a pool with linger" in done.stdout + done.stderr) == wrong
    assert ("finds nothing out" in done.stdout + done.stderr) == odd
