"""HTTP/2 from callers, by prior knowledge, to an API that speaks HTTP/1.1: what goes on, what is refused, how a cut looks."""

import contextlib
import json
import signal
import ssl
import subprocess

import pytest

from harness.bounds import Stopwatch, poll
from harness.h2_caller import (CANCEL, CONTINUATION, DATA, END_HEADERS, END_STREAM, ENHANCE_YOUR_CALM, GOAWAY, H2Caller, HEADERS, INTERNAL_ERROR,
                        NO_ERROR, PADDED, PING, PREFACE, PRIORITY, PROTOCOL_ERROR, RST_STREAM, SETTINGS, WINDOW_UPDATE, frame)
from harness.peers import ScriptedCaller, ScriptedUpstream
from harness.wire import Cut

SETTINGS_STREAMS, SETTINGS_WINDOW, SETTINGS_TUNNELS = 3, 4, 8


class Gate:
    """curfew before a scripted API."""

    def __init__(self, curfew, script=None, top=None, **keys):
        self.api = ScriptedUpstream(script)
        self.proxy = curfew(upstreams={"api": {"url": self.api.url, "deadline": "5s", **keys}}, top=top)

    def caller(self, **more):
        return H2Caller(self.proxy.address("api"), **more)


@pytest.fixture
def gate(curfew):
    made = []

    def make(script=None, **more):
        made.append(Gate(curfew, script, **more))
        return made[-1]
    yield make
    for each in made:
        each.api.close()


def echo(exchange):
    """200 with what was asked, as JSON."""
    request = exchange.recv_request()
    exchange.answer(200, "Content-Type: application/json", "X-API: yes",
                    content=json.dumps({"head": request.raw_head.decode("latin-1"), "content": len(request.content)}).encode())


def head_of(answer):
    """The lines that the API got."""
    assert answer.status == 200 and answer.ended, (answer.status, answer.content)
    return json.loads(answer.content)["head"].split("\r\n")


def problem(answer):
    assert answer["content-type"] == "application/problem+json"
    assert int(answer["content-length"]) == len(answer.content)
    return json.loads(answer.content)


def test_a_request_goes_on_as_one_of_http_1(gate):
    caller = gate(echo).caller()
    answer = caller.ask2("GET", "/x?y=1", ("accept", "text/plain"), ("x-empty", ""), ("cookie", "a=1"), ("cookie", "b=2"), ("te", "trailers"),
                         authority="me.example:80")
    lines = head_of(answer)
    assert lines[0] == "GET /x?y=1 HTTP/1.1"
    assert [line for line in lines if line.lower().startswith(("cookie", "accept"))] == ["accept: text/plain", "cookie: a=1; b=2"]
    assert sum(line.lower().startswith("host:") for line in lines) == 1 and "TE: trailers" in lines
    assert "x-empty: " in lines and not any(line.lower().startswith((":", "transfer-encoding", "content-length")) for line in lines)
    assert answer["x-api"] == "yes" and answer["x-curfew-call"] and answer["connection"] is None


@pytest.mark.parametrize("size", [0, 1, 16384, 300_000])
@pytest.mark.parametrize("has_length", [True, False])
def test_content_goes_on_with_the_framing_that_is_true_of_it(gate, size, has_length):
    caller = gate(echo).caller()
    fields = [("content-length", str(size))] if has_length else []
    stream = caller.begin("POST", "/", *fields, end=False)
    caller.data(stream, bytes(size))
    answer = caller.recv(stream)
    lines = [line.lower() for line in head_of(answer)]
    assert json.loads(answer.content)["content"] == size
    assert (f"content-length: {size}" in lines) == has_length and ("transfer-encoding: chunked" in lines) == (not has_length)


def test_streams_run_beside_each_other_and_a_slow_one_holds_up_none(gate):
    def script(exchange):
        request = exchange.recv_request()
        if b"/slow" in request.raw_head:
            exchange.wait_ended()
        else:
            exchange.answer(content=b"x" * 200_000)
    caller = gate(script).caller()
    slow = [caller.begin("GET", "/slow") for _ in range(20)]
    fast = [caller.begin("GET", "/fast") for _ in range(20)]
    for stream in fast:
        answer = caller.recv(stream)
        assert answer.status == 200 and answer.content == b"x" * 200_000 and answer.reset is None
    assert all(caller.answer_to(stream).status is None for stream in slow)
    for stream in slow:
        caller.reset_stream(stream)


def test_interim_responses_and_trailers_come_through(gate):
    def script(exchange):
        exchange.recv_request()
        exchange.send(b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"
                      b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n"
                      b"4000\r\n" + b"y" * 16384 + b"\r\n0\r\nX-Sum: 7\r\nContent-Length: 3\r\n\r\n")
    answer = gate(script).caller().ask2("GET", "/")
    assert [code for code, _ in answer.interims] == [103] and dict(answer.interims[0][1])["link"] == "</a>"
    assert answer.status == 200 and answer.content == b"y" * 16384 and answer["transfer-encoding"] is None
    assert answer.trailers == [("x-sum", "7")] and answer.ended


def test_responses_without_content_end_at_once(gate):
    def script(exchange):
        exchange.recv_request()
        exchange.send(b"HTTP/1.1 204 No Content\r\n\r\n")
        exchange.recv_request()
        exchange.send(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n")
    caller = gate(script).caller()
    assert caller.ask2("GET", "/").status == 204
    answer = caller.ask2("HEAD", "/")
    assert answer.status == 200 and answer["content-length"] == "10" and answer.content == b"" and answer.ended


def test_a_deadline_before_the_head_is_an_answer_and_the_connection_goes_on(gate):
    here = gate(lambda exchange: exchange.wait_ended(), deadline="300ms")
    caller, watch = here.caller(), Stopwatch()
    answer = caller.ask2("GET", "/")
    assert 0.29 < watch.elapsed() < 2
    assert answer.status == 504 and answer.ended and answer.reset is None and problem(answer)["phase"] == "wait"
    assert caller.ask2("GET", "/").status == 504 and not caller.goaways
    here.proxy.wait_metric("curfew_calls_stuck_total", 2, phase="wait")


def test_an_answer_before_the_request_is_whole_is_followed_by_no_error(gate):
    here = gate(lambda exchange: exchange.wait_ended(), deadline="300ms")
    caller = here.caller()
    stream = caller.begin("POST", "/", ("content-length", "10"), end=False)
    answer = caller.recv(stream)
    assert answer.status == 504 and answer.ended
    caller.until(lambda: answer.reset is not None)
    assert answer.reset == NO_ERROR


CUTS = {
    "deadline": lambda exchange: exchange.wait_ended(),
    "closed": lambda exchange: exchange.close(),
    "reset": lambda exchange: exchange.reset(),
}


UNTIL_CLOSE = "X: y"  # a framing to which "closed" is the end


@pytest.mark.parametrize("how,framing", [(how, framing) for how in CUTS
                                         for framing in ("Content-Length: 1000", "Transfer-Encoding: chunked", UNTIL_CLOSE)
                                         if (how, framing) != ("closed", UNTIL_CLOSE)])
def test_a_cut_after_the_head_never_looks_whole(gate, how, framing):
    """RST_STREAM(INTERNAL_ERROR): what CANCEL and NO_ERROR say, Node takes for the end of a whole response."""
    def script(exchange):
        exchange.recv_request()
        exchange.send(b"HTTP/1.1 200 OK\r\n" + framing.encode() + b"\r\n\r\n" + (b"a\r\n0123456789\r\n" if "chunked" in framing else b"0123456789"))
        CUTS[how](exchange)
    answer = gate(script, deadline="400ms").caller().ask2("GET", "/")
    assert answer.status == 200 and not answer.ended and answer.reset == INTERNAL_ERROR


def test_a_caller_that_resets_its_stream_has_left(gate):
    here = gate(lambda exchange: exchange.wait_ended(), deadline="10s")
    caller = here.caller()
    stream = caller.begin("GET", "/")
    here.proxy.wait_in_flight(1, phase="wait")
    caller.reset_stream(stream)
    here.proxy.wait_metric("curfew_calls_abandoned_total", 1, phase="wait")
    assert here.proxy.metrics().sum("curfew_pool_held", pool="api") == 0


def test_all_calls_end_with_their_callers_connection(gate):
    here = gate(lambda exchange: exchange.wait_ended(), deadline="10s")
    caller = here.caller()
    for _ in range(7):
        caller.begin("GET", "/")
    here.proxy.wait_in_flight(7)
    caller.close()
    here.proxy.wait_idle()
    assert here.proxy.metrics().calls("abandoned") == 7


def test_more_streams_are_allowed_than_the_pool_takes_and_the_one_too_many_is_told(gate):
    here = gate(lambda exchange: exchange.wait_ended(), pool={"size": 50, "queue": 100}, deadline="20s")
    caller = here.caller()
    streams = [caller.begin("GET", "/") for _ in range(150)]
    here.proxy.wait_in_flight(150)
    caller.until(lambda: caller.settings)
    assert caller.settings[SETTINGS_STREAMS] >= len(streams)
    small = gate(lambda exchange: exchange.wait_ended(), pool={"size": 1, "queue": 0}, deadline="20s")
    full = small.caller()
    full.begin("GET", "/")
    small.proxy.wait_in_flight(1)
    answer = full.ask2("GET", "/")
    assert answer.status == 503 and answer["retry-after"] == "1" and problem(answer)["type"].endswith("queue_full")
    assert full.settings[SETTINGS_STREAMS] == 100


def test_a_stream_counts_as_a_connection_but_for_the_first(gate):
    here = gate(lambda exchange: exchange.wait_ended(), top={"limits": {"connections": 5}}, deadline="20s")
    caller = here.caller()
    streams = [caller.begin("GET", "/") for _ in range(5)]
    here.proxy.wait_in_flight(5)
    answer = caller.ask2("GET", "/")
    assert answer.status == 503 and answer.ended and problem(answer)["type"].endswith(":connections")
    assert ScriptedCaller(here.proxy.address("api")).ask().status == 503
    caller.reset_stream(streams[0])
    here.proxy.wait_in_flight(4)
    caller.begin("GET", "/")
    here.proxy.wait_in_flight(5)
    caller.close()
    here.proxy.wait_idle()
    other = here.caller()
    for _ in range(5):
        other.begin("GET", "/")
    here.proxy.wait_in_flight(5)


# What breaks HTTP's rules, though its frames are sound: (fields, status of the answer, or None for a reset by PROTOCOL_ERROR).
def pseudo(method=b"GET", path=b"/", authority=b"a", scheme=b"http"):
    return [(b":method", method), (b":scheme", scheme), (b":path", path), (b":authority", authority)]


MALFORMED = {
    "Host and :authority differ": (pseudo() + [(b"host", b"b")], 400),
    "a path without a slash": (pseudo(path=b"x"), (400, None)),
    "a path that is a URL": (pseudo(path=b"http://b/x"), (400, None)),
    "a path with a space": (pseudo(path=b"/a b"), (400, None)),
    "a path with a line": (pseudo(path=b"/ HTTP/1.1\r\nX: y\r\n\r\n"), (400, None)),
    "a method with a space": (pseudo(method=b"GE T"), (400, None)),
    "an authority with a user": (pseudo(authority=b"u@a"), (400, None)),
    "no authority and no host": (pseudo()[:3], (400, None)),
    "CONNECT": ([(b":method", b"CONNECT"), (b":authority", b"a:80")], (405, None)),
    "a value with a line feed": (pseudo() + [(b"x", b"a\nb: c")], (400, None)),
    "a value with a NUL": (pseudo() + [(b"x", b"a\0b")], (400, None)),
    "an upper case name": (pseudo() + [(b"X-Y", b"a")], (400, None)),
    "a name with a space": (pseudo() + [(b"x y", b"a")], (400, None)),
    "Transfer-Encoding": (pseudo() + [(b"transfer-encoding", b"chunked")], (400, None)),
    "Connection": (pseudo() + [(b"connection", b"x")], (400, None)),
    "Upgrade": (pseudo() + [(b"upgrade", b"h2c")], (400, None)),
    "TE other than trailers": (pseudo() + [(b"te", b"gzip")], (400, None)),
    "two lengths": (pseudo() + [(b"content-length", b"1"), (b"content-length", b"2")], (400, None)),
    "a length without content": (pseudo() + [(b"content-length", b"5")], (400, None)),
    "a pseudo-field behind others": ([(b"x", b"y")] + pseudo(), (400, None)),
    "a pseudo-field twice": (pseudo() + pseudo()[:1], (400, None)),
    "a response's pseudo-field": (pseudo() + [(b":status", b"200")], (400, None)),
    "too many fields": (pseudo() + [(b"x%d" % n, b"y") for n in range(200)], 431),
    "a head too long": (pseudo() + [(b"x", b"y" * 40_000)], 431),
}


@pytest.mark.parametrize("what", MALFORMED)
def test_a_malformed_request_never_reaches_the_api(gate, what):
    here = gate(echo)
    caller = here.caller()
    fields, expected = MALFORMED[what]
    block = caller.encoder.encode([(name, value) for name, value in fields])
    pieces = [block[i:i + 16000] for i in range(0, len(block), 16000)]
    for number, piece in enumerate(pieces):
        caller.put(CONTINUATION if number else HEADERS, (0 if number else END_STREAM) | (END_HEADERS if piece is pieces[-1] else 0), 1, piece)
    answer = caller.recv(1)
    allowed = expected if isinstance(expected, tuple) else (expected,)
    assert answer.status in allowed and (answer.status is not None or answer.reset == PROTOCOL_ERROR), (answer.status, answer.reset)
    here.api.must_have_no_connection()
    caller.next = 3
    assert caller.ask2("GET", "/after").status == 200, "the connection goes on"
    assert here.proxy.metrics().calls("started") == 1


def refused_for_its_head(caller, parts, proxy):
    """The line in the log of a head whose caller gets no answer: the connection ends."""
    with contextlib.suppress(ConnectionError):
        for number, part in enumerate(parts):
            caller.put(CONTINUATION if number else HEADERS, END_HEADERS if number == len(parts) - 1 else 0, 1, part)
    caller.recv_to_end()
    assert proxy.wait_idle().calls("started") == 0
    return proxy.log()[-1]


def test_a_field_that_is_too_long_for_anybody_to_read_is_called_a_head_that_is_too_large(gate):
    here = gate(echo, top={"limits": {"request_head": "1MiB"}})
    caller = here.caller()
    block = caller.encoder.encode(pseudo() + [(b"x", b"y" * 120_000)], huffman=False)
    assert refused_for_its_head(caller, [block[i:i + 16384] for i in range(0, len(block), 16384)], here.proxy)["cause"] == "head_too_large"


def test_of_a_head_that_unfolds_to_hundreds_of_megabytes_most_is_not_looked_at(gate):
    here = gate(echo)
    caller = here.caller()
    parts = [caller.encoder.encode(pseudo() + [(b"x", b"y" * 4000)])] + [b"\xbe" * 16384] * 8
    assert refused_for_its_head(caller, parts, here.proxy)["cause"] == "head_too_large"
    assert caller.answer_to(1).reset == INTERNAL_ERROR, "with its rest read for nothing it was a 431"


def test_white_space_at_the_edges_of_a_value_is_no_part_of_it(gate):
    lines = head_of(gate(echo).caller().ask2("GET", "/", ("authorization", " Bearer x\t")))
    assert "authorization: Bearer x" in lines


def test_content_that_is_not_as_long_as_was_said_never_looks_whole(gate):
    seen = []

    def script(exchange):
        try:
            seen.append(exchange.recv_request())
        except Exception:  # pylint: disable=broad-except
            seen.append(None)
    for sent in (b"123", b"1234567"):
        caller = gate(script).caller()
        stream = caller.begin("POST", "/", ("content-length", "5"), end=False)
        caller.data(stream, sent)
        answer = caller.recv(stream)
        assert answer.status is None and answer.reset == PROTOCOL_ERROR or answer.status in (400, 502)
    assert not any(seen)


def ended_connection(caller):
    caller.recv_to_end()
    return [code for _, code in caller.goaways]


FRAMES = {
    "no preface's SETTINGS": lambda c: c.put(PING, 0, 0, bytes(8)),
    "DATA on stream 0": lambda c: c.put(DATA, 0, 0, b"x"),
    "DATA on an idle stream": lambda c: c.put(DATA, 0, 1, b"x"),
    "HEADERS on stream 0": lambda c: c.put(HEADERS, END_HEADERS, 0, b""),
    "HEADERS on an even stream": lambda c: c.put(HEADERS, END_HEADERS | END_STREAM, 2, c.encoder.encode(pseudo())),
    "a frame that is too long": lambda c: c.put(DATA, 0, 1, bytes(16385)),
    "SETTINGS of a wrong length": lambda c: c.put(SETTINGS, 0, 0, bytes(5)),
    "PING of a wrong length": lambda c: c.put(PING, 0, 0, bytes(7)),
    "WINDOW_UPDATE 0 of the connection": lambda c: c.put(WINDOW_UPDATE, 0, 0, bytes(4)),
    "a window that overflows": lambda c: c.put(WINDOW_UPDATE, 0, 0, (2 ** 31 - 1).to_bytes(4, "big")),
    "CONTINUATION of nothing": lambda c: c.put(CONTINUATION, END_HEADERS, 1, b""),
    "a frame within a head": lambda c: [c.put(HEADERS, 0, 1, b""), c.put(PING, 0, 0, bytes(8))],
    "padding longer than the frame": lambda c: c.put(HEADERS, END_HEADERS | PADDED, 1, b"\xff"),
    "a head that can't be decompressed": lambda c: c.put(HEADERS, END_HEADERS, 1, b"\xff\xff\xff\xff\xff\xff"),
    "RST_STREAM of an idle stream": lambda c: c.put(RST_STREAM, 0, 1, bytes(4)),
}


@pytest.mark.parametrize("what", FRAMES)
def test_a_breach_of_the_framing_ends_the_connection_and_nothing_else(gate, what):
    here = gate(echo)
    caller = here.caller()
    if what == "no preface's SETTINGS":
        caller.close()
        caller = ScriptedCaller(here.proxy.address("api"))
        caller.send(PREFACE + frame(PING, 0, 0, bytes(8)))
        caller.read_all()
    else:
        FRAMES[what](caller)
        assert ended_connection(caller)[-1:] not in ([], [NO_ERROR])
    assert here.caller().ask2("GET", "/").status == 200
    here.proxy.wait_idle()


def test_unknown_frames_padding_and_priority_do_not_matter(gate):
    caller = gate(echo).caller()
    caller.put(0x42, 0xff, 0, b"whatever")
    caller.put(PRIORITY, 0, 9, bytes(5))
    caller.put(HEADERS, END_HEADERS | END_STREAM | PADDED, 1, b"\x05" + caller.encoder.encode(pseudo()) + bytes(5))
    assert caller.recv(1).status == 200


def test_a_preface_in_pieces_is_one_and_what_only_begins_like_one_is_a_request(gate):
    here = gate(echo)
    caller = ScriptedCaller(here.proxy.address("api"))
    for byte in b"PRI * HTT":
        caller.send(bytes((byte,)))
    caller.send(b"P/1.1\r\n\r\n")
    assert caller.recv_response().status in (400, 405, 501)
    caller = ScriptedCaller(here.proxy.address("api"))
    for piece in (b"P", b"O", b"ST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n"):
        caller.send(piece)
    assert caller.recv_response().status == 200
    caller = here.caller()
    assert caller.ask2("GET", "/").status == 200


def test_what_stops_within_the_preface_is_a_request_that_does_not_come(gate):
    here = gate(echo, top={"limits": {"request_head_timeout": "300ms"}})
    caller, watch = ScriptedCaller(here.proxy.address("api")), Stopwatch()
    caller.send(b"PRI")
    response = caller.recv_response()
    assert response.status in (408, 504) and 0.29 < watch.elapsed() < 2


def test_a_preface_in_pieces_makes_no_call_of_a_connection_that_has_ended(gate):
    """It lingers for two seconds, while its caller stays: nothing is begun then."""
    here = gate(echo)
    caller = ScriptedCaller(here.proxy.address("api"))
    caller.send(PREFACE[:7])
    for _ in range(2):
        here.proxy.metrics()  # the first piece has been read by then
    caller.send(PREFACE[7:] + frame(SETTINGS) + frame(DATA, 0, 0, b"x"))
    assert b"HTTP" not in caller.read_all()
    metrics = here.proxy.wait_metric("curfew_connections", 0, side="downstream")
    assert metrics.calls("started") == 0
    caller.close()


def test_a_head_that_does_not_come_ends_the_connection(gate):
    here = gate(echo, top={"limits": {"request_head_timeout": "300ms"}})
    caller = here.caller()
    assert caller.ask2("GET", "/").status == 200
    watch = Stopwatch()
    caller.put(HEADERS, 0, 3, caller.encoder.encode(pseudo()))
    assert ended_connection(caller)[-1] == ENHANCE_YOUR_CALM and 0.29 < watch.elapsed() < 2
    assert here.caller().ask2("GET", "/").status == 200


FLOODS = {
    "PING": lambda c, n: frame(PING, 0, 0, bytes(8)),
    "SETTINGS": lambda c, n: frame(SETTINGS),
    "WINDOW_UPDATE 0 of streams": lambda c, n: frame(HEADERS, END_HEADERS, 2 * n + 1, c.encoder.encode(pseudo())) +
                                  frame(WINDOW_UPDATE, 0, 2 * n + 1, bytes(4)),
    "CONTINUATION": lambda c, n: frame(HEADERS, 0, 1, c.encoder.encode(pseudo())) if n == 0 else frame(CONTINUATION, 0, 1, b""),
    "fields by the index": lambda c, n: frame(HEADERS, 0, 1, c.encoder.encode(pseudo() + [(b"x", b"y" * 4000)])) if n == 0 else
                           frame(CONTINUATION, 0, 1, b"\xbe" * 16000),
}


@pytest.mark.parametrize("what", FLOODS)
def test_a_flood_ends_its_connection_and_costs_the_api_nothing(gate, what):
    here = gate(lambda exchange: exchange.wait_ended(), pool={"size": 5, "queue": 5})
    caller = here.caller()
    try:
        for n in range(20_000):
            caller.send(FLOODS[what](caller, n))
    except (ConnectionError, TimeoutError):
        pass
    ended_connection(caller)
    here.proxy.wait_idle()
    pool = here.proxy.metrics()
    assert pool.sum("curfew_pool_held", pool="api") == 0 and pool.sum("curfew_pool_held_peak", pool="api") <= 5


def test_thousands_of_cancelled_calls_do_not_end_a_healthy_connection(gate):
    here = gate(lambda exchange: exchange.wait_ended(), pool={"size": 5, "queue": 5}, deadline="10s")
    caller = here.caller()
    for _ in range(50):
        for stream in [caller.begin("GET", "/") for _ in range(20)]:
            caller.reset_stream(stream)
        caller.put(PING, 0, 0, bytes(8))
        pongs = caller.pongs
        caller.until(lambda: caller.pongs > pongs)  # pylint: disable=cell-var-from-loop
    assert not caller.goaways
    here.proxy.wait_idle()


def test_a_caller_that_opens_no_window_holds_what_one_stream_holds_and_no_other(gate):
    def script(exchange):
        exchange.recv_request()
        exchange.answer(content=b"z" * 3_000_000)
    here = gate(script, deadline="20s")
    caller = here.caller(settings=[(SETTINGS_WINDOW, 0)])
    stuck = caller.begin("GET", "/a")
    caller.until(lambda: caller.answer_to(stuck).status == 200)
    caller.put(SETTINGS, 0, 0, SETTINGS_WINDOW.to_bytes(2, "big") + (65535).to_bytes(4, "big"))
    other = caller.recv(caller.begin("GET", "/b"))
    assert other.content == b"z" * 3_000_000 and other.ended
    answer = caller.recv(stuck)
    assert answer.content == b"z" * 3_000_000 and answer.ended


def test_windows_of_dead_uploads_are_given_back(gate):
    def script(exchange):
        exchange.recv_request()
        exchange.answer()
    here = gate(script, deadline="5s")
    caller = here.caller()
    for _ in range(60):
        stream = caller.begin("POST", "/", end=False)
        caller.put(DATA, PADDED, stream, b"\xff" + bytes(16000) + bytes(255))
        caller.reset_stream(stream)
    assert caller.ask2("POST", "/", content=bytes(60_000)).status == 200
    here.proxy.wait_idle()


def test_a_drain_says_goaway_twice_and_serves_what_came_in_between(gate):
    held = []

    def script(exchange):
        exchange.recv_request()
        held.append(exchange)
    here = gate(script, deadline="10s")
    caller = here.caller()
    first = caller.begin("GET", "/1")
    poll(lambda: len(held) == 1, "the first to be at the API")
    here.proxy.process.signal(signal.SIGTERM)
    caller.until(lambda: caller.goaways)
    assert caller.goaways[0] == (2 ** 31 - 1, NO_ERROR)
    second = caller.begin("GET", "/2")
    poll(lambda: len(held) == 2, "the second to be at the API")
    caller.until(lambda: len(caller.goaways) == 2)
    assert caller.goaways[1] == (second, NO_ERROR)
    for exchange in held:
        exchange.answer(content=b"ok")
    assert caller.recv(first).content == b"ok" and caller.recv(second).content == b"ok"
    caller.recv_to_end()
    assert here.proxy.process.wait_exit() == 0


@pytest.mark.parametrize("limits, pool, allowed", [({}, {}, 150), ({}, {"size": 1, "queue": 0}, 100), ({"streams": 7}, {}, 7),
                                                   ({"streams": 100000}, {}, 100000), ({}, {"size": 2000, "queue": 0}, 2000)])
def test_as_many_streams_as_the_pools_take_or_as_limits_say(gate, limits, pool, allowed):
    caller = gate(echo, top={"limits": limits}, pool=pool).caller()
    caller.until(lambda: caller.settings)
    assert caller.settings[SETTINGS_STREAMS] == allowed


def test_a_reload_that_lets_more_calls_in_tells_the_connections_that_are_there(gate):
    here = gate(echo, pool={"size": 100, "queue": 50})
    caller = here.caller()
    assert caller.ask2().status == 200 and caller.settings == {**caller.settings, SETTINGS_STREAMS: 150}
    upstream = {"url": here.api.url, "deadline": "5s", "pool": {"size": 200, "queue": 50}, "upgrade": {}}
    here.proxy.rewrite({"api": upstream})
    here.proxy.must_reload()
    caller.until(lambda: caller.settings[SETTINGS_STREAMS] == 250)
    assert caller.settings[SETTINGS_TUNNELS] == 1
    here.proxy.rewrite({"api": {**upstream, "pool": {"size": 1, "queue": 0}}})
    here.proxy.must_reload()
    assert caller.ask2().status == 200 and caller.settings[SETTINGS_STREAMS] == 250, "what was allowed is not taken back"


@pytest.mark.parametrize("knows", [False, True])
def test_a_stream_that_is_one_too_many_is_refused_and_harms_no_other(gate, knows):
    here = gate(top={"limits": {"streams": 3}})
    caller = here.caller()
    if knows:  # that there may be three: it has said so, and been heard
        caller.until(lambda: caller.settings)
        caller.put(PING, 0, 0, bytes(8))
        caller.until(lambda: caller.pongs)
    streams = [caller.begin("GET", "/") for _ in range(4)]
    caller.until(lambda: caller.answer_to(streams[3]).reset is not None)
    assert caller.answer_to(streams[3]).reset == 7  # REFUSED_STREAM
    assert all(caller.answer_to(stream).reset is None for stream in streams[:3])


def test_a_connection_that_is_old_is_wound_down_and_its_call_ends_in_order(gate):
    held = []

    def script(exchange):
        exchange.recv_request()
        held.append(exchange)
    here = gate(script, deadline="20s", top={"limits": {"connection_age": "1s"}})
    caller, watch = here.caller(), Stopwatch()
    stream = caller.begin("GET", "/")
    caller.until(lambda: len(caller.goaways) == 2)
    assert watch.elapsed() > 0.9
    assert caller.goaways == [(2 ** 31 - 1, NO_ERROR), (stream, NO_ERROR)]
    held[0].answer(content=b"ok")
    assert caller.recv(stream).content == b"ok"
    caller.recv_to_end()
    here.proxy.wait_metric("curfew_connections", 0, side="downstream")


def test_an_old_connection_of_http1_ends_with_its_call_or_at_once(gate):
    held = []

    def script(exchange):
        exchange.recv_request()
        held.append(exchange)
    here = gate(script, deadline="20s", top={"limits": {"connection_age": "1s"}})
    idle, busy = here.proxy.caller(), here.proxy.caller()
    busy.request()
    assert idle.must_end() == "closed"
    poll(lambda: held, "the request to be at the API")
    held[0].answer(content=b"ok")
    response = busy.recv_response()
    assert (response.content, response["connection"]) == (b"ok", "close")
    assert busy.must_end() == "closed"


def test_without_connection_age_a_connection_lives_on(gate):
    caller = gate(echo).caller()
    for _ in range(3):
        assert caller.ask2("GET", "/").status == 200
    assert not caller.goaways


def test_an_idle_connection_ends_and_pings_do_not_keep_it(gate):
    here = gate(echo, top={"limits": {"idle_timeout": "400ms"}})
    caller, watch = here.caller(), Stopwatch()
    assert caller.ask2("GET", "/").status == 200
    try:
        while not caller.goaways and watch.elapsed() < 3:
            caller.put(PING, 0, 0, bytes(8))
            caller.step()
    except (Cut, ConnectionError):
        pass
    assert caller.goaways and caller.goaways[0][1] == NO_ERROR and 0.39 < watch.elapsed() < 2.5


@pytest.mark.parametrize("path,expected", [("/bytes/128", "200 2 128"), ("/chunked/1000000", "200 2 1000000"), ("/stuck", "504 2"), ("/status/404", "404 2")])
def test_curl_takes_it_as_http_2(curfew, faulty, path, expected):
    proxy = curfew(upstreams={"api": {"url": faulty().url, "deadline": "500ms"}})
    done = subprocess.run(["curl", "-sS", "--max-time", "10", "--http2-prior-knowledge", "-o", "/dev/null", "-w", "%{http_code} %{http_version} %{size_download}",
                           proxy.url(path)], capture_output=True, text=True, check=False, timeout=30)
    assert done.returncode == 0 and done.stdout.startswith(expected), done


@pytest.mark.parametrize("path", ["/drip/50", "/half/1000", "/half/1000?chunked"])
def test_curl_and_node_take_no_cut_for_a_whole_response(curfew, faulty, path):
    proxy = curfew(upstreams={"api": {"url": faulty().url, "deadline": "500ms"}})
    done = subprocess.run(["curl", "-sS", "--max-time", "10", "--http2-prior-knowledge", "-o", "/dev/null", proxy.url(path)],
                          capture_output=True, text=True, check=False, timeout=30)
    assert done.returncode == 92, done
    script = f"""
        const session = require('http2').connect({proxy.url('')!r});
        const stream = session.request({{':path': {path!r}}});
        stream.on('error', error => {{ console.log('error', error.code); session.close(); }});
        stream.on('end', () => console.log('end'));
        stream.on('close', () => session.close());
        stream.resume();
    """
    done = subprocess.run(["node", "-e", script], capture_output=True, text=True, check=False, timeout=30)
    assert "error ERR_HTTP2_STREAM_ERROR" in done.stdout, done


def test_by_tls_the_protocol_is_agreed_on_by_alpn(gate, certificates):
    keys = {"cert_file": certificates.cert("server"), "key_file": certificates.key("server")}
    here = gate(echo, listen_tls="127.0.0.1:0", caller_tls=keys)
    context = ssl.create_default_context(cafile=certificates.ca)
    context.set_alpn_protocols(["h2", "http/1.1"])
    caller = H2Caller(here.proxy.address("api", 1), tls=context)
    assert caller.sock.selected_alpn_protocol() == "h2"
    answer = caller.ask2("POST", "/", content=bytes(200_000))
    assert answer.status == 200 and json.loads(answer.content)["content"] == 200_000
    plain = ssl.create_default_context(cafile=certificates.ca)
    plain.set_alpn_protocols(["http/1.1"])
    with plain.wrap_socket(ScriptedCaller(here.proxy.address("api", 1)).sock, server_hostname="localhost") as sock:
        assert sock.selected_alpn_protocol() == "http/1.1"


def test_five_thousand_requests_of_a_multiplexing_client_are_all_answered(curfew, faulty):
    proxy = curfew(upstreams={"api": {"url": faulty().url, "deadline": "20s"}})
    for path in ("/bytes/100", "/chunked/20000"):
        done = subprocess.run(["h2load", "-n", "2500", "-c", "5", "-m", "20", proxy.url(path)], capture_output=True, text=True, check=False, timeout=60)
        assert "2500 succeeded, 0 failed" in done.stdout, done.stdout
    metrics = proxy.metrics()
    assert metrics.calls("started") == 5000 == metrics.calls("completed")


# -------------------------------------------------------------------------------------- tried again


def test_a_stream_is_tried_again(gate):
    tries = []

    def second(exchange):
        request = exchange.recv_request()
        tries.append(request.content)
        exchange.answer(200 if len(tries) > 1 else 503, content=request.content)

    front = gate(second, retries={"attempts": 2, "when": [503], "backoff": {"base": "1ms"}})
    answer = front.caller().ask2("PUT", "/", content=b"x" * 5000)
    assert (answer.status, answer.content, answer.ended) == (200, b"x" * 5000, True)
    assert tries == [b"x" * 5000] * 2


def test_a_stream_of_a_caller_is_hedged(curfew, upstream):
    up = upstream()
    proxy = curfew(url=up.url, hedge=True, retries={"attempts": 2, "per_try": "50ms"})
    caller = H2Caller(proxy.address())
    streams = [caller.begin("GET", f"/{number}") for number in range(3)]
    exchanges = {}
    for _ in range(6):
        exchange, request = up.take()
        exchanges.setdefault(request.target, []).append(exchange)
    for target, (first, hedge) in exchanges.items():
        hedge.answer(200, content=target.encode())
        first.wait_ended()
    for number, stream in enumerate(streams):
        assert caller.recv(stream).content == f"/{number}".encode()
    metrics = proxy.wait_idle()
    assert metrics.sum("curfew_tries_started_total", kind="hedge") == 3
    assert metrics.sum("curfew_pool_audit_errors_total") == metrics.sum("curfew_broken_invariants_total") == 0
