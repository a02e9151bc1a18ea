"""Responses that are streams: events count, not bytes; they have a deadline of their own."""

import statistics
import threading

import pytest

from harness.bounds import LATE, SOON, Stopwatch, poll
from harness.h2 import DATA, H2Api, frame
from harness.h2_caller import H2Caller
from harness.wire import Cut

pytestmark = pytest.mark.timed

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream; charset=utf-8\r\nTransfer-Encoding: chunked\r\n\r\n"
END = b"0\r\n\r\n"
EVENT = b"event: token\ndata: {\"text\": \"a\"}\n\n"
PING = b"event: ping\ndata: {\"type\": \"ping\"}\n\n"
COMMENT = b": ping\n\n"
KEEP_ALIVES = {"comment": COMMENT, "ping": PING, "retry": b"retry: 3000\n\n", "blank": b"\n\n"}


def chunk(data):
    return b"%x\r\n%s\r\n" % (len(data), data)


class Beat:
    """Sends a piece every 20 ms from a thread, until stopped or until the peer has gone."""

    def __init__(self, peer, piece):
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(peer, piece))
        self._thread.start()

    def _run(self, peer, piece):
        while not self._stop.wait(0.02):
            try:
                peer.send(piece)
            except OSError:
                return

    def stop(self):
        self._stop.set()
        self._thread.join(SOON)


def due(watch, seconds):
    """Now; the watch was started when the limit was running already, but only just."""
    assert seconds - 0.1 <= watch.elapsed() <= seconds + LATE, watch.elapsed()


def begin(pair, events=1, head=HEAD, caller=None, **keys):
    """A call whose response is a stream of which the head, and so many events, have come."""
    proxy, up = pair(**{"deadline": "5s", "streams": {}, **keys})
    caller = proxy.caller(**(caller or {}))
    caller.request()
    exchange, _ = up.take()
    exchange.send(head)
    assert caller.recv_response_head().status == 200
    for _ in range(events):
        exchange.send(chunk(EVENT))
        assert caller.read_until(b"\n\n\r\n").endswith(chunk(EVENT))
    return proxy, caller, exchange


def is_cut(proxy, caller, exchange, cause, watch=None, at=None, phase="receive"):
    """The response ends early for the caller, and the API's connection and the permit go."""
    with pytest.raises((Cut, ConnectionResetError)):
        while caller.sock.recv(65536):
            pass
        raise Cut("end")
    if watch:
        due(watch, at)
    exchange.wait_ended()
    line, = proxy.log(1)
    assert (line["outcome"], line["cause"], line["phase"], line["error"]) == ("stuck", cause, phase, "http_response_incomplete")
    metrics = proxy.wait_idle()
    assert metrics.calls("stuck", phase=phase) == 1
    assert metrics.sum("curfew_pool_held") == 0
    return line


# ------------------------------------------------------------------- S1: a head is no token

@pytest.mark.parametrize("keep_alive", [None, *KEEP_ALIVES])
def test_a_head_and_no_event_is_cut_at_first_event(pair, keep_alive):
    proxy, caller, exchange = begin(pair, events=0, streams={"first_event": "300ms", "idle": "10s"})
    watch = Stopwatch()
    beat = Beat(exchange, chunk(KEEP_ALIVES[keep_alive])) if keep_alive else None
    line = is_cut(proxy, caller, exchange, "first_event_timeout", watch, 0.3)
    if beat:
        beat.stop()
    assert line["events"] == 0 and "first_event_ms" not in line


def test_the_first_event_counts_from_the_request_sent(pair):
    """What the head took is gone already; and what the queue took is not in it."""
    proxy, up = pair(deadline="5s", streams={"first_event": "500ms"})
    caller = proxy.caller()
    watch = Stopwatch()
    caller.request()
    exchange, _ = up.take()
    poll(lambda: proxy.calls(older="300ms")["calls"], "300 ms without a head")
    exchange.send(HEAD)
    is_cut(proxy, caller, exchange, "first_event_timeout", watch, 0.5)


# ------------------------------------------------------------------- S2: heartbeats hide a stall

@pytest.mark.parametrize("keep_alive", [None, *KEEP_ALIVES])
def test_keep_alives_are_no_progress(pair, keep_alive):
    proxy, caller, exchange = begin(pair, streams={"idle": "300ms"}, timeouts={"idle": "150ms"})
    watch = Stopwatch()
    beat = Beat(exchange, chunk(KEEP_ALIVES[keep_alive])) if keep_alive else None
    line = is_cut(proxy, caller, exchange, "idle_timeout", watch, 0.3)
    if beat:
        beat.stop()
    assert line["events"] == 1 and line["longest_gap_ms"] >= 299


def test_a_ping_byte_by_byte_is_no_progress_either(pair):
    proxy, caller, exchange = begin(pair, streams={"idle": "500ms"})
    watch = Stopwatch()
    exchange.sock.setsockopt(6, 1, 1)
    for i in range(len(PING)):
        exchange.send(chunk(PING[i:i + 1]))
    is_cut(proxy, caller, exchange, "idle_timeout", watch, 0.5)


def test_events_of_other_types_can_be_ignored(pair):
    proxy, caller, exchange = begin(pair, events=0, streams={"first_event": "300ms", "ignore": ["token"]})
    exchange.send(chunk(EVENT))
    assert is_cut(proxy, caller, exchange, "first_event_timeout")["events"] == 0


def test_nothing_need_be_ignored(pair):
    proxy, caller, exchange = begin(pair, events=0, streams={"first_event": "300ms", "ignore": "none"})
    exchange.send(chunk(PING) + END)
    caller.read_until(END)
    line, = proxy.log(1)
    assert (line["outcome"], line["events"]) == ("completed", 1)


def test_events_are_progress(pair):
    """20 of them, each within the limit; the whole is longer than any limit but the deadline of streams."""
    proxy, caller, exchange = begin(pair, streams={"first_event": "500ms", "idle": "500ms"},
                                    deadline="300ms", timeouts={"begin": "300ms"})
    for _ in range(20):
        exchange.send(chunk(EVENT))
        caller.read_until(b"\n\n\r\n")
        caller.must_be_silent(0.04)
    exchange.send(END)
    caller.read_until(END)
    line, = proxy.log(1)
    assert (line["outcome"], line["events"]) == ("completed", 21) and line["elapsed_ms"] > 800
    assert 0 <= line["first_event_ms"] < 300 and 40 <= line["longest_gap_ms"] < 500


# ------------------------------------------------------------------- S3: both limits; an end of its own

def test_a_stream_that_never_ends_is_cut_at_its_own_deadline(pair):
    proxy, caller, exchange = begin(pair, deadline="300ms", streams={"deadline": "800ms"})
    beat = Beat(exchange, chunk(EVENT))
    line = is_cut(proxy, caller, exchange, "deadline")
    assert 800 <= line["elapsed_ms"] < 800 + LATE * 1000 and line["budget_ms"] == 800
    beat.stop()


def test_the_deadline_holds_until_the_head_has_come(pair):
    proxy, up = pair(deadline="300ms", streams={"deadline": "10s"})
    caller = proxy.caller()
    watch = Stopwatch()
    caller.request()
    exchange, _ = up.take()
    exchange.send(HEAD[:-2])
    assert caller.recv_response().status == 504
    due(watch, 0.3)
    assert proxy.log(1)[0]["budget_ms"] == 300


@pytest.mark.parametrize("content_type", ["application/json", "text/event-streams", "text", "", "text/plain;a=text/event-stream"])
def test_what_is_no_stream_keeps_the_deadline(pair, content_type):
    head = HEAD.replace(b"text/event-stream; charset=utf-8", content_type.encode())
    proxy, caller, exchange = begin(pair, events=0, head=head, deadline="300ms", streams={"deadline": "10s"})
    beat = Beat(exchange, chunk(EVENT))
    line = is_cut(proxy, caller, exchange, "deadline")
    beat.stop()
    assert line["budget_ms"] == 300 and "events" not in line


@pytest.mark.parametrize("content_type", ["TEXT/EVENT-STREAM", "text/event-stream ;charset=utf-8"])
def test_media_types_have_no_case_and_no_parameters(pair, content_type):
    head = HEAD.replace(b"text/event-stream; charset=utf-8", content_type.encode())
    proxy, caller, exchange = begin(pair, head=head, deadline="300ms")
    caller.must_be_silent(0.4)
    exchange.send(END)
    caller.read_until(END)
    assert proxy.log(1)[0]["events"] == 1


def test_a_caller_can_shorten_the_deadline_of_a_stream_too(pair):
    proxy, up = pair(deadline="300ms", streams={"deadline": "10s"}, caller_deadline={"headers": ["X-Left"]})
    caller = proxy.caller()
    watch = Stopwatch()
    caller.request("GET", "/", "X-Left: 600")
    exchange, _ = up.take()
    exchange.send(HEAD)
    beat = Beat(exchange, chunk(EVENT))
    line = is_cut(proxy, caller, exchange, "deadline", watch, 0.6)
    beat.stop()
    assert line["budget_ms"] == 600 and line["elapsed_ms"] >= 600


def test_begin_waits_for_the_first_event(pair):
    proxy, caller, exchange = begin(pair, events=0, timeouts={"begin": "300ms"})
    beat = Beat(exchange, chunk(COMMENT))
    is_cut(proxy, caller, exchange, "begin_timeout")
    beat.stop()


# ------------------------------------------------------------------- S4, S5: the caller leaves

@pytest.mark.parametrize("phase", ["wait", "head", "receive"])
def test_the_api_sees_at_once_that_the_caller_has_left(pair, phase):
    """The median of 20: litellm and others notice when they write next, or never."""
    proxy, up = pair(deadline="5s", streams={}, pool={"size": 1, "queue": 0})
    took = []
    for _ in range(20):
        caller = proxy.caller()
        caller.request()
        exchange, _ = up.take()
        if phase != "wait":
            exchange.send(HEAD + (chunk(EVENT) if phase == "receive" else b""))
            caller.recv_response_head()
        watch = Stopwatch()
        caller.close()
        exchange.wait_ended()
        took.append(watch.elapsed())
        proxy.wait_metric("curfew_pool_held", 0)
    assert statistics.median(took) <= 0.005, took
    lines = proxy.log(20)
    assert {(line["outcome"], line["phase"]) for line in lines} == {("abandoned", "wait" if phase == "wait" else "receive")}
    if phase == "receive":
        assert {(line["events"], line["bytes_down"]) for line in lines} == {(1, len(EVENT))}
        assert all("first_event_ms" in line for line in lines)
    metrics = proxy.wait_idle()
    assert metrics.calls("started") == metrics.calls("abandoned") == 20


# ------------------------------------------------------------------- S7: a reader who sleeps

def test_a_caller_who_does_not_read_stops_the_clock(pair):
    data = EVENT + b"data: " + bytes(8 << 20) + b"\n\n" + EVENT
    head = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nContent-Length: %d\r\n\r\n" % len(data)
    proxy, caller, exchange = begin(pair, events=0, head=head, caller={"receive_buffer": 4096}, streams={"idle": "300ms"},
                                    timeouts={"min_rate": {"bytes": "1KiB", "per": "300ms"}})
    sender = threading.Thread(target=exchange.send, args=(data,))
    sender.start()
    poll(lambda: proxy.calls(older="1s")["calls"], "a second without a byte read")
    assert caller.read_exactly(len(data)) == data
    sender.join(SOON)
    line, = proxy.log(1)
    assert (line["outcome"], line["events"]) == ("completed", 3) and line["longest_gap_ms"] < 1000


# ------------------------------------------------------------------- what is not looked into

@pytest.mark.parametrize("field", ["Content-Encoding: gzip", "Content-Type: application/x-ndjson"])
def test_of_other_content_each_read_is_an_event(pair, field):
    head = HEAD.replace(b"Transfer-Encoding", field.encode() + b"\r\nTransfer-Encoding")
    if "Type" in field:
        head = head.replace(b"Content-Type: text/event-stream; charset=utf-8\r\n", b"")
    proxy, caller, exchange = begin(pair, events=0, head=head,
                                    streams={"types": ["text/event-stream", "application/x-ndjson"], "idle": "400ms"})
    for _ in range(3):
        exchange.send(chunk(b"\x1f\x8b"))
        caller.read_until(b"\x1f\x8b\r\n")
    watch = Stopwatch()
    assert is_cut(proxy, caller, exchange, "idle_timeout", watch, 0.4)["events"] == 3


def test_an_identity_encoding_is_none(pair):
    head = HEAD.replace(b"Transfer-Encoding", b"Content-Encoding: identity\r\nTransfer-Encoding")
    proxy, caller, exchange = begin(pair, head=head)
    exchange.send(chunk(COMMENT) + END)
    caller.read_until(END)
    assert proxy.log(1)[0]["events"] == 1


# ------------------------------------------------------------------- what is shown

def test_what_is_shown_of_streams(pair):
    proxy, up = pair(deadline="5s", streams={})
    text = proxy.admin_get("/metrics")[1]
    assert "curfew_stream_first_event_seconds_count" not in text  # of upstreams alone that had one
    caller = proxy.caller()
    for n in range(2):
        caller.request()
        exchange, _ = up.take() if n == 0 else (exchange, exchange.recv_request())
        exchange.send(HEAD)
        caller.recv_response_head()
        caller.must_be_silent(0.03)
        exchange.send(chunk(EVENT + EVENT) + chunk(EVENT) + END)
        caller.read_until(END)
    lines = proxy.log(2)
    assert [line["events"] for line in lines] == [3, 3]
    assert all(line["first_event_ms"] >= 30 and line["longest_gap_ms"] < 30 for line in lines)
    metrics = proxy.wait_idle()
    assert metrics.sum("curfew_stream_first_event_seconds_count", upstream="api") == 2
    assert metrics.sum("curfew_stream_first_event_seconds_bucket", upstream="api", le="0.025") == 0
    assert metrics.sum("curfew_stream_longest_gap_seconds_count", upstream="api") == 2


def test_a_response_without_content_is_no_stream(pair):
    proxy, up = pair(deadline="5s", streams={"first_event": "200ms"})
    caller = proxy.caller()
    caller.request("HEAD", "/")
    exchange, _ = up.take()
    exchange.send(HEAD)
    assert caller.recv_response_head().status == 200
    line, = proxy.log(1)
    assert line["outcome"] == "completed" and "events" not in line


def test_a_stream_may_end_without_an_event(pair):
    proxy, caller, exchange = begin(pair, events=0)
    exchange.send(chunk(COMMENT) + END)
    caller.read_until(END)
    line, = proxy.log(1)
    assert (line["outcome"], line["events"]) == ("completed", 0)


def test_observed_limits_of_streams_cut_nothing(pair):
    proxy, caller, exchange = begin(pair, events=0, observe=True, streams={"first_event": "50ms", "deadline": "10s"})
    caller.must_be_silent(0.1)
    exchange.send(chunk(EVENT) + END)
    caller.read_until(END)
    line, = proxy.log(1)
    assert (line["outcome"], line["spared"]["cause"], line["spared"]["phase"]) == ("completed", "first_event_timeout", "receive")


def test_a_route_may_have_streams_of_its_own(pair):
    proxy, up = pair(deadline="5s", streams={"first_event": "200ms"},
                     routes=[{"path": "/off", "streams": "none"}, {"path": "/slow", "streams": {"first_event": "10s"}}])
    callers = {}
    for path in ("/off", "/slow", "/"):
        callers[path] = proxy.caller()
        callers[path].request("GET", path)
        exchange, _ = up.take()
        exchange.send(HEAD)
        callers[path].recv_response_head()
        callers[path].exchange = exchange
    with pytest.raises((Cut, ConnectionResetError, AssertionError)):
        callers["/"].read_exactly(1)
    assert proxy.log(1)[0]["cause"] == "first_event_timeout"
    for path in ("/off", "/slow"):
        callers[path].exchange.send(END)
        callers[path].read_until(END)
    assert {line["route"]: line.get("events") for line in proxy.log(3)} == {"default": 0, "/off": None, "/slow": 0}


# ------------------------------------------------------------------- S6: commit: event

COMMIT = {"commit": "event", "first_event": "300ms"}
COMMIT_LATER = {"commit": "event", "first_event": "10s"}


def ask(pair, head=HEAD, streams=COMMIT_LATER, **keys):
    """A call of which the API has sent a stream's head, and the caller has nothing."""
    proxy, up = pair(**{"deadline": "5s", "streams": streams, **keys})
    caller = proxy.caller()
    caller.request()
    exchange, _ = up.take()
    exchange.send(head)
    caller.must_be_silent(0.03)
    return proxy, caller, exchange


@pytest.mark.parametrize("keep_alive", [None, *KEEP_ALIVES])
def test_a_stream_that_never_begins_is_answered_by_504(pair, keep_alive):
    proxy, caller, exchange = ask(pair, streams={**COMMIT, "first_event": "700ms"})
    beat = Beat(exchange, chunk(KEEP_ALIVES[keep_alive])) if keep_alive else None
    response = caller.recv_response()
    assert response.status == 504 and response.fields.get("Content-Type") == "application/problem+json"
    exchange.wait_ended()
    if beat:
        beat.stop()
    line, = proxy.log(1)
    assert (line["cause"], line["phase"], line["status"], line["events"]) == ("first_event_timeout", "wait", 504, 0)
    assert proxy.wait_idle().calls("stuck", phase="wait") == 1
    caller.must_be_open()


def test_head_and_first_event_go_together_without_the_comments_before(pair):
    proxy, caller, exchange = ask(pair)
    for piece in (COMMENT, b": a\n:", b" b\n\n", b"retry: 3000\n\n", COMMENT, PING, b"event: to"):
        exchange.send(chunk(piece))
        caller.must_be_silent(0.02)
    exchange.send(chunk(b"ken\ndata: 1\n\n" + COMMENT + EVENT))
    response = caller.recv_response_head()
    assert response.status == 200 and response.fields.get("Content-Type").startswith("text/event-stream")
    exchange.send(chunk(COMMENT) + END)
    caller.recv_content(response)
    assert response.content == b"retry: 3000\n\n" + PING + b"event: token\ndata: 1\n\n" + COMMENT + EVENT + COMMENT
    line, = proxy.log(1)
    assert (line["outcome"], line["events"], line["status"]) == ("completed", 2, 200)
    caller.must_be_open()


def test_an_end_before_the_first_event_goes_to_the_caller(pair):
    proxy, caller, exchange = ask(pair)
    exchange.send(chunk(COMMENT) + chunk(b"data: half") + b"0\r\nX-Trailer: 1\r\n\r\n")
    response = caller.recv_response()
    assert (response.status, response.content) == (200, b"data: half")
    assert proxy.log(1)[0]["outcome"] == "completed"
    caller.request()
    exchange.recv_request()
    exchange.answer()
    assert caller.recv_response().status == 200


def test_what_breaks_before_the_first_event_is_answered_by_502(pair):
    proxy, caller, exchange = ask(pair)
    exchange.send(chunk(b"data: half"))
    caller.must_be_silent(0.02)
    exchange.reset()
    assert caller.recv_response().status == 502
    line, = proxy.log(1)
    assert (line["outcome"], line["cause"], line["status"]) == ("failed", "http_response_incomplete", 502)


def test_no_more_than_64_kib_are_held_back(pair):
    proxy, caller, exchange = ask(pair)
    data = b"data: " + bytes(100) + b"\n"
    for _ in range(700):
        exchange.send(chunk(data))
    response = caller.recv_response_head()
    assert response.status == 200
    exchange.send(chunk(b"\n") + END)
    caller.recv_content(response)
    assert response.content == data * 700 + b"\n"
    assert proxy.log(1)[0]["events"] == 1


def test_comments_fill_nothing_however_many_come(pair):
    proxy, caller, exchange = ask(pair)
    exchange.send(chunk(b": " + bytes(998) + b"\n\n") * 200)
    assert caller.has_bytes() is False
    caller.must_be_silent(0.1)
    exchange.send(chunk(EVENT) + END)
    response = caller.recv_response()
    assert response.content == EVENT
    assert proxy.log(1)[0]["bytes_down"] == 200 * 1002 + len(EVENT)


@pytest.mark.parametrize("phase", ["before", "after"])
def test_a_caller_that_leaves_a_held_stream_is_noticed(pair, phase):
    proxy, caller, exchange = ask(pair, streams={"commit": "event"})
    exchange.send(chunk(b"data: half"))
    if phase == "after":
        exchange.send(chunk(b"\n\n"))
        caller.recv_response_head()
    caller.close()
    exchange.wait_ended()
    line, = proxy.log(1)
    assert (line["outcome"], line["phase"], line["events"]) == ("abandoned", "wait" if phase == "before" else "receive", phase == "after")


def test_a_held_stream_whose_caller_reads_late_comes_whole(pair):
    data = b"data: " + bytes(50000) + b"\n\n"
    head = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nContent-Length: %d\r\n\r\n" % (300 * len(data))
    proxy, up = pair(deadline="5s", streams={"commit": "event"})
    caller = proxy.caller(receive_buffer=4096)
    caller.request()
    exchange, _ = up.take()
    sender = threading.Thread(target=exchange.send, args=(head + 300 * data,))
    sender.start()
    proxy.wait_in_flight(1, phase="receive")
    caller.must_be_open()
    assert caller.recv_response().content == 300 * data
    sender.join(SOON)
    assert proxy.log(1)[0]["events"] == 300


def test_what_is_no_stream_is_not_held_back(pair):
    proxy, up = pair(deadline="5s", streams={"commit": "event"})
    caller = proxy.caller()
    caller.request()
    exchange, _ = up.take()
    exchange.send(HEAD.replace(b"text/event-stream; charset=utf-8", b"text/plain"))
    assert caller.recv_response_head().status == 200
    exchange.send(END)
    caller.read_until(END)


def test_of_encoded_content_the_first_read_is_waited_for(pair):
    _, caller, exchange = ask(pair, head=HEAD.replace(b"Transfer", b"Content-Encoding: gzip\r\nTransfer"))
    exchange.send(chunk(b"\x1f") + END)
    assert caller.recv_response().content == b"\x1f"


@pytest.mark.parametrize("framing", ["length", "close"])
def test_a_held_stream_in_other_framings(pair, framing):
    head = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n%s\r\n" % (
        b"Content-Length: %d\r\n" % (2 * len(EVENT)) if framing == "length" else b"")
    _, caller, exchange = ask(pair, head=head)
    exchange.send(EVENT[:-1])
    caller.must_be_silent(0.02)
    exchange.send(EVENT[-1:] + EVENT)
    if framing == "close":
        exchange.close()
    assert caller.recv_response().content == EVENT + EVENT


@pytest.mark.parametrize("stall", ["silent", "comments", "breaks"])
def test_a_stream_that_never_begins_is_tried_again(pair, stall):
    """The caller has one head, the second one's, and the deadline of a stream."""
    proxy, up = pair(deadline="5s", streams={**COMMIT, "first_event": "700ms", "deadline": "8s"},
                     retries={"attempts": 2, "when": ["timeout", "reset"], "repeat": {"key": "Idempotency-Key"}})
    caller = proxy.caller()
    caller.request("POST", "/", "Idempotency-Key: 1", content=b"prompt")
    first, request = up.take()
    assert request.content == b"prompt"
    first.send(HEAD.replace(b"200 OK", b"203 First"))
    beat = Beat(first, chunk(COMMENT)) if stall == "comments" else None
    if stall == "breaks":
        first.send(chunk(b"data: half"))
        first.reset()
    second, request = up.take()
    if beat:
        beat.stop()
    assert request.content == b"prompt"
    second.send(HEAD)
    caller.must_be_silent(0.03)
    second.send(chunk(EVENT) + END)
    response = caller.recv_response()
    assert (response.status, response.content) == (200, EVENT)
    line, = proxy.log(1)
    assert (line["outcome"], line["status"], line["events"], line["budget_ms"], len(line["tries"])) == ("completed", 200, 1, 8000, 2)
    caller.must_be_open()
    proxy.wait_idle()


def test_a_stream_that_never_begins_falls_back(curfew, upstream):
    """Of two starts of a stream the caller has one: the other provider's."""
    api, other = upstream(), upstream()
    retries = {"attempts": 2, "when": ["timeout"], "repeat": {"methods": ["POST"]}, "fallback": "other"}
    proxy = curfew(upstreams={"api": {"url": api.url, "deadline": "5s", "streams": COMMIT, "retries": retries},
                              "other": {"url": other.url, "deadline": "5s"}})
    caller = proxy.caller()
    caller.request("POST", "/", content=b"prompt")
    first, _ = api.take()
    first.send(HEAD.replace(b"200 OK", b"200 First") + chunk(COMMENT))
    second, request = other.take()
    assert request.content == b"prompt"
    second.send(HEAD + chunk(EVENT) + END)
    response = caller.recv_response()
    assert (response.status, response.reason, response.content) == (200, "OK", EVENT)
    first.wait_ended()
    line, = proxy.log(1)
    assert (line["upstream"], line["events"], [one["upstream"] for one in line["tries"]]) == ("api", 1, ["api", "other"])
    proxy.wait_idle()


def test_after_a_stream_that_never_began_another_response_has_the_deadline_of_any(pair):
    proxy, up = pair(deadline="700ms", streams={**COMMIT, "deadline": "8s"}, retries={"attempts": 2, "when": ["timeout"]})
    caller = proxy.caller()
    watch = Stopwatch()
    caller.request()
    first, _ = up.take()
    first.send(HEAD)
    second, _ = up.take()
    second.send(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhalf")
    with pytest.raises(Cut):
        caller.recv_response()
    due(watch, 0.7)
    line, = proxy.log(1)
    assert (line["cause"], line["budget_ms"]) == ("deadline", 700) and "events" not in line


# ------------------------------------------------------------------- over HTTP/2

@pytest.fixture
def over_http2(curfew):
    """(proxy, a call by HTTP/2, the API's side of it by HTTP/2 too)."""
    made = []

    def make(**keys):
        api = H2Api()
        made.append(api)
        proxy = curfew(url=api.url, deadline="5s", http2={"use": "always"}, **keys)
        caller = H2Caller(proxy.address("api"))
        made.append(caller)
        stream = caller.begin("GET", "/")
        peer = api.accept()
        peer.api = api
        return proxy, caller, stream, peer, peer.take()

    yield make
    for one in made:
        one.close()


SSE = ("content-type", "text/event-stream")


def test_over_http2_events_count_too(over_http2):
    proxy, caller, stream, peer, request = over_http2(streams={"idle": "300ms"})
    peer.head(request, 200, SSE)
    peer.data(request, EVENT[:10])
    peer.data(request, EVENT[10:] + PING)
    answer = caller.answer_to(stream)
    caller.until(lambda: answer.content.endswith(PING))
    watch = Stopwatch()
    beat = Beat(peer, frame(DATA, request.stream, 0, COMMENT))
    caller.recv(stream)
    due(watch, 0.3)
    beat.stop()
    assert answer.reset is not None
    line, = proxy.log(1)
    assert (line["cause"], line["phase"], line["events"]) == ("idle_timeout", "receive", 1)


def test_over_http2_a_head_is_held_back_until_the_first_event(over_http2):
    proxy, caller, stream, peer, request = over_http2(streams={"commit": "event"})
    peer.head(request, 200, SSE)
    peer.data(request, COMMENT)
    proxy.wait_in_flight(1, phase="wait")
    peer.data(request, EVENT, end=True)
    answer = caller.recv(stream)
    assert (answer.status, bytes(answer.content)) == (200, EVENT)
    assert proxy.log(1)[0]["events"] == 1


def test_over_http2_what_never_begins_is_tried_again_or_answered_by_504(over_http2):
    proxy, caller, stream, peer, request = over_http2(streams=COMMIT, retries={"attempts": 2, "when": ["timeout"]})
    peer.head(request, 200, SSE)
    peer = peer.api.accept()
    peer.head(peer.take(), 200, SSE)
    answer = caller.recv(stream)
    assert answer.status == 504
    line, = proxy.log(1)
    assert (line["cause"], line["phase"], len(line["tries"])) == ("first_event_timeout", "wait", 2)
