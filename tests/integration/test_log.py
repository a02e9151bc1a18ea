"""The access log: one JSON line a call, whatever the call was, written without holding anything up."""

import datetime
import fcntl
import json
import os
import re
import signal
import threading

import pytest

from harness.bounds import SLOW, SOON, poll
from harness.load import load
from harness.peers import ok
from harness.problem import PHASES
from harness.wire import Cut

MEMBERS = {"time", "id", "upstream", "route", "method", "target", "status", "outcome", "cause", "phase", "sent",
           "budget_ms", "elapsed_ms", "phases_ms", "bytes_up", "bytes_down", "upstream_address", "caller"}


def test_a_call_that_has_completed(pair):
    proxy, up = pair(deadline="2s")
    caller = proxy.caller()
    caller.request("POST", "/thing?x=1", content=b"abcde")
    exchange, _ = up.take()
    exchange.answer(201, content=b"four")
    response = caller.recv_response()
    line, = proxy.log(1)
    assert set(line) == MEMBERS, set(line) ^ MEMBERS
    told = datetime.datetime.fromisoformat(line["time"].replace("Z", "+00:00"))
    age = datetime.datetime.now(datetime.timezone.utc) - told
    assert abs(age.total_seconds()) < 60
    assert line["id"] == response["x-curfew-call"]
    wanted = {"upstream": "api", "route": "default", "method": "POST", "target": "/thing?x=1", "status": 201,
              "outcome": "completed", "cause": "none", "sent": "complete", "budget_ms": 2000, "bytes_up": 5,
              "bytes_down": 4, "upstream_address": up.authority}
    assert {key: line[key] for key in wanted} == wanted
    assert line["caller"].startswith("127.0.0.1")
    assert set(line["phases_ms"]) <= set(PHASES) and line["phase"] in PHASES
    assert 0 <= line["elapsed_ms"] < 2000
    assert abs(sum(line["phases_ms"].values()) - line["elapsed_ms"]) <= len(PHASES)


@pytest.mark.one_worker
def test_every_outcome_has_its_line(pair):
    proxy, up = pair(deadline="5s", routes=[{"path": "/stuck", "deadline": f"{500 * SLOW:g}ms"}], pool={"size": 1, "queue": 0})
    first = proxy.caller()
    first.request("GET", "/stuck")
    exchange, _ = up.take()
    assert proxy.ask("GET", "/rejected").status == 503
    assert first.recv_response().status == 504
    exchange.wait_ended()
    first.request("GET", "/failed")
    up.take()[0].reset()
    assert first.recv_response().status == 502
    leaver = proxy.caller()
    leaver.request("GET", "/abandoned")
    exchange, _ = up.take()
    leaver.close()
    exchange.wait_ended()
    first.request("GET", "/completed")
    up.take()[0].answer(404, content=b"no")
    assert first.recv_response().status == 404
    told = {line["target"]: (line["outcome"], line["cause"], line["sent"], line["status"]) for line in proxy.log(5)}
    assert told["/stuck"] == ("stuck", "deadline", "complete", 504)
    assert told["/rejected"] == ("rejected", "queue_full", "none", 503)
    assert told["/failed"] == ("failed", "connection_terminated", "complete", 502)
    assert told["/abandoned"][:3] == ("abandoned", "caller_gone", "complete")
    assert told["/completed"] == ("completed", "none", "complete", 404)
    metrics = proxy.metrics()
    for outcome in ("stuck", "rejected", "failed", "abandoned"):
        assert metrics.calls(outcome) == 1
    assert metrics.calls("completed", **{"class": "4xx"}) == 1


# What is refused before it is a call: bytes, status, and what the log says of method and target.
REFUSED = [
    (b"GET /a?b HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n", 400, "GET", "/a?b"),
    (b"\r\nPUT /b HTTP/1.1\r\nHost: x\r\nX: \0\r\n\r\n", 400, "PUT", "/b"),
    (b"GET /0.9\r\n\r\n", 400, "GET", "/0.9"),
    (b"POST http://other.test/c HTTP/1.1\r\nHost: other.test\r\n\r\n", 404, "POST", "http://other.test/c"),
    (b"GET /d HTTP/1.1\r\nHost: x\r\nX-Left: soon\r\n\r\n", 400, "GET", "/d"),
    (b"POST /e HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: br\r\n\r\n", 501, "POST", "/e"),
    (b"GET /f HTTP/3.0\r\nHost: x\r\n\r\n", 505, "GET", "/f"),
    (b"POST /g HTTP/1.1\r\nHost: x\r\nExpect: wonders\r\nContent-Length: 1\r\n\r\n", 417, "POST", "/g"),
    (b"CONNECT h.test:443 HTTP/1.1\r\nHost: h.test:443\r\n\r\n", 405, "CONNECT", "h.test:443"),
    (b"GET /i HTTP/1.1\r\nHost: x\r\nX: " + b"a" * 70_000, 431, "GET", "/i"),
    (b"GET /" + b"j" * 70_000, 414, "GET", "/" + "j" * 2047),
    (b"PROPFIND /\xff\"\\ HTTP/1.1\r\nHost: x\r\n\r\n", 400, "PROPFIND", "/\ufffd\"\\"),
    (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc", 400, None, None),
    (b"G@T / HTTP/1.1\r\nHost: x\r\n\r\n", 400, None, None),
]


@pytest.mark.one_worker
def test_a_request_that_is_refused_has_method_and_target_as_far_as_they_are_known(pair):
    proxy, up = pair(caller_deadline={"headers": ["X-Left"]})
    for number, (sent, status, method, target) in enumerate(REFUSED):
        caller = proxy.caller()
        caller.send_some(sent)
        assert caller.recv_response().status == status, sent[:40]
        caller.close()
        line = proxy.log(number + 1)[-1]
        assert (line["status"], line["outcome"]) == (status, "not_a_call")
        assert (line.get("method"), line.get("target")) == (method, target)
    up.must_have_no_connection()


@pytest.mark.one_worker
def test_a_head_that_never_came_whole_has_what_came(pair):
    proxy, _ = pair(deadline="200ms")
    for number, (sent, method, target) in enumerate([(b"GET /slow HTTP/1.1\r\nHo", "GET", "/slow"), (b"POST /hal", "POST", "/hal"),
                                                     (b"DEL", None, None)]):
        caller = proxy.caller()
        caller.send(sent)
        assert caller.recv_response().status == 504
        line = proxy.log(number + 1)[-1]
        assert (line["outcome"], line.get("method"), line.get("target")) == ("stuck", method, target)


def test_the_target_stands_as_it_came_and_the_caller_with_its_port(curfew, upstream, tmp_path):
    up = upstream(ok)
    proxy = curfew(url=up.url + "/base", listen=["127.0.0.1:0", "[::1]:0", f"unix:{tmp_path}/c.sock"])
    lines = 0
    for index in range(3):
        for method, target in (("GET", "/a?b=/c"), ("GET", "http://localhost:1/d?e"), ("GET", "HTTP://127.0.0.1?f"), ("GET", "http://localhost"),
                               ("OPTIONS", "*"), ("OPTIONS", "http://localhost"), ("GET", "http://localhost/" + "g" * 3000)):
            caller = proxy.caller(index=index)
            assert caller.ask(method, target, host=target.split("/")[2].split("?")[0] if "//" in target else "localhost").status == 200
            name = caller.sock.getsockname()
            lines += 1
            line = proxy.log(lines)[-1]
            assert (line["method"], line["target"]) == (method, target[:2048])
            assert line["caller"] == ("unix" if index == 2 else ("127.0.0.1:%d", "[::1]:%d")[index] % name[1])


def test_the_line_of_a_response_that_was_cut(pair):
    proxy, up = pair(deadline="600ms")
    caller = proxy.caller()
    caller.request("GET", "/cut")
    exchange, _ = up.take()
    exchange.send(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc")
    with pytest.raises(Cut):
        caller.recv_response()
    line, = proxy.log(1)
    assert (line["status"], line["outcome"], line["phase"], line["bytes_down"]) == (200, "stuck", "receive", 3)
    assert 599 <= line["elapsed_ms"] and line["phases_ms"]["receive"] > 100


@pytest.mark.one_worker
def test_what_was_odd_about_a_response_stands_in_the_log_alone(pair):
    proxy, up = pair()
    caller = proxy.caller()
    head = b"HTTP/1.1 200 OK\r\n"
    odd = [
        (b"\x15\x03\x01\x00\x02\x02", '"\\x15\\x03\\x01\\x00\\x02\\x02"'),  # an alert: the port speaks TLS
        (b"nonsense\r\nA: b\r\n\r\n", '"nonsense"'),
        (head + b"A: 1\r\nX-Odd\xff: 2\r\nB: 3\r\n\r\n", '"X-Odd\\xff: 2"'),
        (head + b"A: 1\r\nB: 2\x00\r\nC: 3\r\n\r\n", '"B: 2\\x00"'),
        (head + b"Content-Length: 5x\r\nA: 1\r\n\r\n", '"Content-Length: 5x"'),
        (head + b"Transfer-Encoding: br\r\nA: 1\r\n\r\n", '"Transfer-Encoding: br"'),
        (head + b"Content-Length: " + b"1" * 1000 + b"\r\n\r\n", '"Content-Length: ' + "1" * 64 + '"...'),
        (head + b"A: 1\r\nX-Large: " + b"c" * 70_000 + b"\r\n\r\n", '"X-Large: ' + "c" * 71 + '"...'),
    ]
    for number, (response, excerpt) in enumerate(odd):
        caller.request("GET", f"/{number}")
        exchange, _ = up.take()
        exchange.send(response)
        answer = caller.recv_response()
        assert answer.status == 502 and excerpt.strip('".') not in answer.content.decode()
        exchange.close()
        line = proxy.log(number + 1)[-1]
        assert (line["target"], line["status"]) == (f"/{number}", 502)
        assert line["detail"].endswith(": " + excerpt), line
    caller.request("GET", "/last")
    exchange, _ = up.take()
    exchange.send(head + b"Content-Type: te")
    exchange.close()
    assert caller.recv_response().status == 502
    assert proxy.log(len(odd) + 1)[-1]["detail"].endswith(': "Content-Type: te"')


@pytest.mark.parametrize("target", ['/"', "/\\", "/%00%ff", '/"},{"outcome":"forged"}', "/\\u0000\\n", "/<script>"])
def test_hostile_bytes_in_the_target_stay_inside_their_string(pair, target):
    proxy, _ = pair(ok)
    assert proxy.ask("GET", target).status == 200
    line, = proxy.log(1)
    assert line["target"] == target and line["outcome"] == "completed"


def test_a_long_target_does_not_break_the_line(pair):
    proxy, _ = pair(ok)
    target = "/" + '"' * 15_000
    assert proxy.ask("GET", target).status == 200
    line, = proxy.log(1)
    assert line["target"].startswith('/"""') and line["outcome"] == "completed"


def test_hostile_bytes_in_the_method_and_the_fields(pair):
    proxy, up = pair()
    caller = proxy.caller()
    caller.send(b"A'`|~ /x HTTP/1.1\r\nHost: x\r\nX-Bytes: \xff\xfe\"\\\r\n\r\n")
    exchange = up.accept()
    exchange.recv_request()
    exchange.send(b'HTTP/1.1 200 "\\\xff\r\nContent-Length: 0\r\n\r\n')
    assert caller.recv_response().status == 200
    line, = proxy.log(1)
    assert line["method"] == "A'`|~"


def test_no_log_is_written_if_it_is_off(pair):
    proxy, _ = pair(ok, top={"log": {"access": "off"}})
    assert proxy.ask().status == 200
    proxy.stop()
    assert not proxy.access_log.exists() and proxy.process.stdout.text() == ""


def test_the_log_goes_to_stdout(pair):
    proxy, _ = pair(ok, top={"log": {"access": "stdout"}})
    caller = proxy.caller()  # one, so that a worker writes all of them, in their order
    for n in range(3):
        assert caller.ask("GET", f"/{n}").status == 200
    assert proxy.process.stdout.wait(lambda lines: len(lines) >= 3, SOON)
    assert [json.loads(line)["target"] for line in proxy.process.stdout.lines] == ["/0", "/1", "/2"]


def test_lines_are_added_to_a_file_that_is_there(pair, tmp_path):
    log = tmp_path / "calls.log"
    log.write_text("before\n")
    proxy, _ = pair(ok, top={"log": {"access": str(log)}})
    assert proxy.ask().status == 200
    poll(lambda: log.read_text().count("\n") == 2, "the line")
    assert log.read_text().startswith("before\n{")


def test_nothing_is_lost_at_the_end(pair):
    proxy, _ = pair(ok)
    caller = proxy.caller()
    for _ in range(200):
        assert caller.ask().content == b"ok"
    proxy.stop()
    assert len(proxy.log(200)) == 200


def test_a_log_that_nobody_reads_holds_nothing_up(curfew, faulty):
    """stdout is a full pipe: calls go on as before, and what is dropped is counted."""
    reader, writer = os.pipe()
    fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, 4096)
    api = faulty()
    proxy = curfew(url=api.url, stdout=writer, top={"log": {"access": "stdout"}}, pool={"size": 500, "queue": 100})
    os.close(writer)
    calls = 20_000
    try:
        result = load(proxy.address(), "/ok", calls=calls, concurrency=20, keepalive=True)
        assert result.statuses == {200: calls} and result.latency("all", "max") < SOON * 1000, result
        metrics = proxy.metrics()
        dropped = metrics.sum("curfew_log_lines_dropped_total")
        assert metrics.calls("completed") == calls and dropped > 0
        lines = _read_in_background(reader)
        proxy.stop()
        whole = lines()
        assert len(whole) + dropped == calls
        for line in whole:
            assert json.loads(line)["status"] == 200
    finally:
        os.close(reader)


def _read_in_background(descriptor):
    chunks = []

    def read():
        while chunk := os.read(descriptor, 65536):
            chunks.append(chunk)

    thread = threading.Thread(target=read)
    thread.start()

    def result():
        thread.join(SOON)
        return b"".join(chunks).decode().splitlines()

    return result


def test_a_reader_that_leaves_does_not_stop_the_proxy(pair):
    """SIGPIPE ends nothing."""
    reader, writer = os.pipe()
    proxy, _ = pair(ok, stdout=writer, top={"log": {"access": "stdout"}})
    os.close(writer)
    os.close(reader)
    for _ in range(5):
        assert proxy.ask().status == 200
    assert proxy.process.is_running()


def test_the_programs_own_lines_have_a_level(pair):
    proxy, _ = pair()
    for line in proxy.process.stderr.lines:
        assert re.match(r"curfew: (info|warn|error|debug): ", line), line


def test_debug_says_what_was_read_and_how_many_calls_there_are(pair):
    proxy, up = pair()
    proxy.rewrite({"api": {"url": up.url}, "other": {"url": up.url}}, log={"level": "debug"})
    proxy.must_reload()
    lines = proxy.process.stderr
    caller = proxy.caller()
    caller.request("GET", "/")
    exchange, _ = up.take()
    assert lines.wait(lambda found: "curfew: debug: 1 calls in flight, 0 got stuck so far" in found, SOON)
    proxy.process.signal(signal.SIGTERM)
    assert lines.wait(lambda found: "curfew: debug: draining: 1 calls in flight, 0 got stuck so far" in found, SOON)
    exchange.answer()
    assert caller.recv_response().status == 200
    assert proxy.process.wait_exit() == 0
    read, = [line for line in lines.lines if "configuration" in line]
    assert re.fullmatch(r"curfew: debug: configuration \S+/curfew.yaml: upstreams 2, pools 2, routes 2, workers \d", read)
