"""What others fell into with HTTP/2 on either side: field cases of HAProxy, nginx, h2o, Envoy, gRPC and others, replayed against curfew."""

import contextlib
import json
import queue
import re
import signal
import socket
import subprocess
import threading
import time

import pytest

from harness import grpc_peers, h2
from harness.bounds import SANITIZED, SLOW, SOON, Stopwatch, poll
from harness.grpc_peers import CALLERS, Server
from harness.h2 import CANCEL, ENHANCE_YOUR_CALM, INTERNAL_ERROR, NO_ERROR, REFUSED_STREAM, H2Api, frame, settings
from harness.h2_caller import H2Caller
from harness.peers import ScriptedUpstream
from harness.problem import expect, expect_stuck
from harness.wire import Cut

SETTINGS_WINDOW = 4


@pytest.fixture
def front(curfew):
    """(proxy, api): an API by HTTP/2, of prior knowledge."""
    made = []

    def make(script=None, streams=10, http2=None, **keys):
        options = {name: keys.pop(name) for name in ("greeting", "gives_window", "tls") if name in keys}
        made.append(H2Api(script, **options))
        return curfew(url=made[-1].url, http2={"use": "always", "streams": streams, **(http2 or {})}, **keys), made[-1]

    yield make
    for one in made:
        one.close()


def together(count, ask):
    """What ask(i) returns, for so many at once."""
    results = [None] * count

    def run(i):
        results[i] = ask(i)

    threads = [threading.Thread(target=run, args=(i,)) for i in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


# --------------------------------------------------------------------------------- content and trailers


@pytest.mark.parametrize("protocol", ["h1", "h2"])
def test_trailers_behind_a_full_frame_wait_for_a_caller_that_opens_its_window_slowly(curfew, protocol):
    """HAProxy 738: trailers overtook DATA that waited for a window."""
    def in_h2(peer):
        request = peer.take()
        blocks = [peer.encoder.encode(fields) for fields in ([(":status", "200")], [("x-sum", "7")])]
        peer.send(frame(h2.HEADERS, request.stream, h2.END_HEADERS, blocks[0]) + frame(h2.DATA, request.stream, 0, b"y" * 16384) +
                  frame(h2.HEADERS, request.stream, h2.END_HEADERS | h2.END_STREAM, blocks[1]))

    def in_h1(exchange):
        exchange.recv_request()
        exchange.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4000\r\n" + b"y" * 16384 + b"\r\n0\r\nX-Sum: 7\r\n\r\n")

    api = H2Api(in_h2) if protocol == "h2" else ScriptedUpstream(in_h1)
    proxy = curfew(url=api.url, deadline="20s", **({"http2": {"use": "always"}} if protocol == "h2" else {}))
    caller = H2Caller(proxy.address(), settings=[(SETTINGS_WINDOW, 0)], reads=False)
    stream = caller.begin("GET", "/")
    answer = caller.answer_to(stream)
    for given in range(1024, 16384 + 1, 1024):
        caller.put(h2.WINDOW_UPDATE, 0, stream, (1024).to_bytes(4, "big"))
        caller.until(lambda given=given: len(answer.content) == given)
        assert answer.trailers is None or given == 16384
    caller.recv(stream)
    assert (answer.status, answer.content, answer.trailers, answer.reset) == (200, b"y" * 16384, [("x-sum", "7")], None)
    api.close()


@pytest.mark.parametrize("streams", [1, 10])
@pytest.mark.parametrize("ends", ["end", "end, then RST_STREAM(NO_ERROR)", "all of it in one write"])
def test_an_early_answer_to_a_large_upload_reaches_a_caller_who_goes_on_sending(front, streams, ends):
    """HAProxy 1219, nginx 2376: RST_STREAM(NO_ERROR) behind a whole response is no error."""
    def script(peer):
        request = peer.take(whole=False)
        if request[":path"] == "/large" and ends.startswith("all"):
            peer.send(frame(h2.HEADERS, request.stream, h2.END_HEADERS, peer.encoder.encode([(":status", "403")])) +
                      frame(h2.DATA, request.stream, h2.END_STREAM, b"no") + frame(h2.RST_STREAM, request.stream, payload=bytes(4)))
        elif request[":path"] == "/large":
            peer.answer(request, 403, content=b"no")
            if "RST" in ends:
                peer.reset(request, NO_ERROR)
        else:
            peer.answer(request, content=b"ok")

    proxy, _ = front(script, streams=streams, deadline="10s")
    caller = H2Caller(proxy.address())
    stream = caller.begin("POST", "/large", ("content-length", "1000000"), end=False)
    caller.put(h2.DATA, 0, stream, bytes(10_000))
    answer = caller.recv(stream)
    assert (answer.status, answer.content, answer.ended) == (403, b"no", True)
    caller.until(lambda: answer.reset is not None)
    assert answer.reset == NO_ERROR
    caller.put(h2.DATA, 0, stream, bytes(10_000))  # was on its way
    assert caller.ask2("GET", "/").content == b"ok" and not caller.goaways
    plain = proxy.caller()
    plain.send(b"POST /large HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n" + bytes(1000))
    assert plain.recv_response().content == b"no"
    assert proxy.wait_idle().calls("failed") == 0


def test_both_directions_are_full_and_go_on_when_windows_open(front):
    """h2o 912: who does not read while it can't write never sees the WINDOW_UPDATE."""
    proxy, api = front(greeting=settings(window=1000), gives_window=False, deadline="20s")
    caller = H2Caller(proxy.address(), settings=[(SETTINGS_WINDOW, 0)])
    streams = [caller.begin("POST", f"/{i}", end=False) for i in range(3)]
    for stream in streams:
        caller.put(h2.DATA, 0, stream, b"u" * 16384)
    peer = api.accept()
    requests = [peer.take(whole=False) for _ in streams]
    for request in requests:
        peer.until(lambda _, request=request: len(request.content) >= 1000)  # the first may be on its way before SETTINGS
        peer.head(request, 200)
        peer.data(request, b"d" * 16384)
    for stream in streams:
        caller.until(lambda stream=stream: caller.answer_to(stream).status == 200)
        caller.put(h2.DATA, h2.END_STREAM, stream, b"v" * 4096)
    peer.ping()
    for request in requests:
        peer.window(request.stream, 100_000)
    for request in requests:
        peer.until(lambda _, request=request: request.ended)
        assert request.content == b"u" * 16384 + b"v" * 4096
        peer.data(request, b"e" * 100, end=True)
    caller.put(h2.SETTINGS, 0, 0, SETTINGS_WINDOW.to_bytes(2, "big") + (65535).to_bytes(4, "big"))
    for stream in streams:
        answer = caller.recv(stream)
        assert (answer.content, answer.ended) == (b"d" * 16384 + b"e" * 100, True)


def test_a_window_of_the_caller_that_shrinks_below_what_has_gone_is_waited_for(front):
    """h2o d972e854d, nghttp2 129daeff: a window that SETTINGS make negative."""
    def script(peer):
        request = peer.take()
        peer.head(request, 200)
        peer.data(request, b"z" * 60_000, end=True)

    proxy, _ = front(script, deadline="20s")
    caller = H2Caller(proxy.address(), settings=[(SETTINGS_WINDOW, 30_000)], reads=False)
    stream = caller.begin("GET", "/")
    answer = caller.answer_to(stream)
    caller.until(lambda: len(answer.content) == 30_000)
    caller.put(h2.SETTINGS, 0, 0, SETTINGS_WINDOW.to_bytes(2, "big") + (1000).to_bytes(4, "big"))  # its window is -29,000
    caller.put(h2.WINDOW_UPDATE, 0, stream, (29_000).to_bytes(4, "big"))
    caller.put(h2.PING, 0, 0, bytes(8))
    caller.until(lambda: caller.pongs == 1)
    assert len(answer.content) == 30_000
    caller.put(h2.WINDOW_UPDATE, 0, stream, (1).to_bytes(4, "big"))
    caller.until(lambda: len(answer.content) == 30_001)
    caller.put(h2.SETTINGS, 0, 0, SETTINGS_WINDOW.to_bytes(2, "big") + (65535).to_bytes(4, "big"))
    caller.put(h2.WINDOW_UPDATE, 0, 0, (60_000).to_bytes(4, "big"))
    assert caller.recv(stream).content == b"z" * 60_000


class Distance:
    """A way to `address` that takes so long in each direction, whatever goes by it."""

    def __init__(self, address, seconds):
        self.seconds, self.target = seconds, address
        self.sock = socket.create_server(("127.0.0.1", 0))
        self.address = self.sock.getsockname()
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self):
        with contextlib.suppress(OSError):
            while True:
                near, _ = self.sock.accept()
                far = socket.create_connection(self.target)
                for one, other in ((near, far), (far, near)):
                    one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                    way = queue.Queue()
                    threading.Thread(target=self._take, args=(one, way), daemon=True).start()
                    threading.Thread(target=self._give, args=(other, way), daemon=True).start()

    def _take(self, sock, way):
        data = b"x"
        while data:
            try:
                data = sock.recv(1 << 20)
            except OSError:
                data = b""
            way.put((time.monotonic() + self.seconds, data))

    @staticmethod
    def _give(sock, way):
        with contextlib.suppress(OSError):
            while True:
                at, data = way.get()
                while (left := at - time.monotonic()) > 0:
                    time.sleep(left)
                if not data:
                    sock.shutdown(socket.SHUT_WR)
                    return
                sock.sendall(data)

    def close(self):
        self.sock.close()


@pytest.mark.timed
@pytest.mark.parametrize("streams", [1, 10])
def test_a_response_from_afar_comes_as_fast_as_its_window_allows(curfew, faulty, streams):
    """3 MB by windows of 256 KiB at a round trip of 50 ms: 12 of them, in no more than three times as long."""
    api = faulty("--http2")
    way = Distance(("127.0.0.1", int(api.url.rsplit(":", 1)[1])), 0.025)
    proxy = curfew(url="http://%s:%d" % way.address, http2={"use": "always", "streams": streams}, deadline="10s")
    assert proxy.ask("GET", "/ok").status == 200
    watch = Stopwatch()
    assert len(proxy.ask("GET", "/bytes/3000000").content) == 3_000_000
    assert watch.elapsed() < 1.8 * SLOW
    way.close()


# ------------------------------------------------------------------------------------------------ fields


@pytest.mark.parametrize("protocol", ["h1", "h2"])
def test_cookie_crumbs_become_one_line_in_their_order(curfew, protocol):
    """Pingora 892, Varnish 2291."""
    api = H2Api(lambda peer: peer.answer(peer.take())) if protocol == "h2" else ScriptedUpstream()
    proxy = curfew(url=api.url, **({"http2": {"use": "always"}} if protocol == "h2" else {}))
    caller = H2Caller(proxy.address())
    stream = caller.begin("GET", "/", ("cookie", "a=1"), ("x", "y"), ("cookie", "b=2; c=3"), ("accept", "*/*"), ("cookie", "d=4"))
    if protocol == "h1":
        exchange, request = api.take()
        cookies = [line for line in request.raw_head.decode().split("\r\n") if line.lower().startswith("cookie")]
        exchange.answer()
    else:
        caller.recv(stream)
        cookies = ["cookie: " + "; ".join(value for name, value in api.seen[0].fields if name == "cookie")]
    assert [line.lower() for line in cookies] == ["cookie: a=1; b=2; c=3; d=4"]
    assert caller.recv(stream).status == 200
    api.close()


def test_interim_responses_of_an_api_do_not_reach_a_caller_of_http_1_0(front):
    def script(peer):
        request = peer.take()
        peer.head(request, 103, ("link", "</x>"))
        peer.answer(request, content=b"ok")

    proxy, _ = front(script)
    caller = proxy.caller()
    caller.send(b"GET / HTTP/1.0\r\n\r\n")
    response = caller.recv_response()
    assert (response.status, response.content, response.interim) == (200, b"ok", [])


@pytest.mark.parametrize("protocol", ["h1", "h2"])
def test_an_upload_over_http2_that_waits_for_100_gets_it_from_the_api(curfew, protocol):
    def in_h2(peer):
        request = peer.take(whole=False)
        assert request["expect"] == "100-continue" and not request.content
        peer.head(request, 100)
        peer.until(lambda _: request.ended)
        peer.answer(request, content=request.content)

    def in_h1(exchange):
        head = exchange.read_until(b"\r\n\r\n")
        assert b"xpect: 100-continue" in head
        exchange.send(b"HTTP/1.1 100 Continue\r\n\r\n")
        exchange.send(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n" + exchange.read_exactly(3))

    api = H2Api(in_h2) if protocol == "h2" else ScriptedUpstream(in_h1)
    proxy = curfew(url=api.url, **({"http2": {"use": "always"}} if protocol == "h2" else {}))
    caller = H2Caller(proxy.address())
    stream = caller.begin("POST", "/", ("expect", "100-continue"), ("content-length", "3"), end=False)
    answer = caller.answer_to(stream)
    caller.until(lambda: answer.interims)
    assert [code for code, _ in answer.interims] == [100]
    caller.data(stream, b"abc")
    assert (caller.recv(stream).status, answer.content) == (200, b"abc")
    api.close()


def test_every_status_of_an_api_has_a_reason_that_nodes_parser_takes(front):
    """h2load and others take an empty reason phrase for no response at all."""
    codes = [*range(200, 210), 226, *range(300, 309), *range(400, 432), 451, 499, *range(500, 512), 599]
    proxy, _ = front(lambda peer: peer.head((request := peer.take()), int(request[":path"][1:]), end=True))
    script = f"""
        const http = require("http"), codes = {codes};
        const next = () => codes.length ? http.get({proxy.url("/")!r} + codes[0], response => {{
          console.log(response.statusCode === codes.shift(), response.statusMessage.length > 0);
          response.resume().on("end", next);
        }}) : 0;
        next();
    """
    done = subprocess.run(["node", "-e", script], capture_output=True, text=True, check=False, timeout=30)
    assert done.stdout == "true true\n" * len(codes), done


def test_421_is_the_apis_answer(front):
    proxy, api = front(lambda peer: peer.answer(peer.take(), 421, content=b"not here"))
    response = proxy.ask()
    assert (response.status, response.content, len(api.seen)) == (421, b"not here", 1)


# --------------------------------------------------------------------------------- connections and streams


@pytest.mark.timed
@pytest.mark.parametrize("streams", [1, 10])
def test_a_caller_who_resets_its_stream_is_heard_by_the_api_at_once(front, streams):
    """HAProxy 172; the permit is free, too."""
    proxy, api = front(streams=streams, pool={"size": 1, "queue": 0}, deadline="20s")
    caller = H2Caller(proxy.address())
    times = 5 if streams == 1 else 1
    for _ in range(times):
        stream = caller.begin("GET", "/")
        peer = api.accept()
        request = peer.take()
        watch = Stopwatch()
        caller.reset_stream(stream)
        with contextlib.suppress(Cut, ConnectionResetError):
            peer.until(lambda _, request=request: request.stream in peer.resets)
        assert watch.elapsed() < 0.05 * SLOW
        assert peer.resets.get(request.stream) in ([CANCEL] if streams > 1 else [CANCEL, None])
    assert proxy.wait_idle().sum("curfew_calls_abandoned_total") == times


def test_a_limit_that_is_raised_is_used(front):
    """pushy 732: an API begins with one stream, and allows more once it trusts."""
    proxy, api = front(greeting=settings(streams=1), deadline="20s")
    callers = [proxy.caller() for _ in range(6)]
    callers[0].request()
    peer = api.accept()
    requests = [peer.take()]
    peer.send(settings(streams=6))
    peer.ping()
    for caller in callers[1:]:
        caller.request()
        requests.append(peer.take())
    for request in requests:
        peer.answer(request, content=b"x")
    assert [caller.recv_response().content for caller in callers] == [b"x"] * 6 and api.connections == 1


def cpu_ticks(pid):
    with open(f"/proc/{pid}/stat", encoding="ascii") as stat:
        return sum(int(field) for field in stat.read().rsplit(")", 1)[1].split()[11:13])


@pytest.mark.parametrize("streams", [1, 10])
def test_calls_that_wait_for_an_api_that_allows_no_stream_cost_no_processor(front, streams):
    """akka 774: it span."""
    proxy, _ = front(lambda peer: peer.until(lambda _: False), greeting=settings(streams=0), streams=streams, deadline="1s")
    before = cpu_ticks(proxy.process.pid)
    for response in together(10, lambda _: proxy.ask("POST", content=b"x")):
        assert response.status == 504
    assert cpu_ticks(proxy.process.pid) - before < 25 * SLOW  # hundredths of a second, of two workers
    proxy.wait_idle()


def test_an_api_that_takes_one_stream_at_a_time_has_one(front):
    """Amazon Transcribe: a second stream of a session is reset."""
    def script(peer):
        request = peer.take()
        peer.open = getattr(peer, "open", 0) + 1
        if peer.open > 1:
            peer.reset(request, INTERNAL_ERROR)
        else:
            peer.answer(request, content=request.content)
            peer.open -= 1

    proxy, _ = front(script, streams=1)
    assert [response.status for response in together(20, lambda _: proxy.ask("POST", content=b"x"))] == [200] * 20


def test_an_api_that_takes_one_stream_on_a_connection_has_one(front):
    def script(peer):
        request = peer.take()
        if request.stream > 1:
            peer.reset(request, INTERNAL_ERROR)
        else:
            peer.answer(request)

    proxy, api = front(script, streams=1, http2={"max_calls": 1})
    assert [proxy.ask("POST", content=b"x").status for _ in range(5)] == [200] * 5
    assert api.connections == 5


def test_an_api_that_speaks_http2_alone_where_nobody_asked_for_it_is_none(curfew, certificates):
    api = H2Api(lambda peer: peer.answer(peer.take()), tls=certificates.server())
    proxy = curfew(upstreams={"never": {"url": api.url, "tls": {"ca_file": certificates.ca}},
                              "auto": {"url": api.url, "tls": {"ca_file": certificates.ca}, "http2": {"use": "auto"}}})
    expect(proxy.ask(upstream="never"), 502, "http_protocol_error", upstream="never")
    assert proxy.ask(upstream="auto").status == 200
    api.sock.close()


ENDS = {
    "reset": lambda stream: frame(h2.RST_STREAM, stream, payload=CANCEL.to_bytes(4, "big")),
    "refused": lambda stream: frame(h2.RST_STREAM, stream, payload=REFUSED_STREAM.to_bytes(4, "big")),
    "goaway below": lambda stream: frame(h2.GOAWAY, payload=bytes(8)),
    "goaway": lambda stream: frame(h2.GOAWAY, payload=stream.to_bytes(4, "big") + ENHANCE_YOUR_CALM.to_bytes(4, "big")),
    "two of them": lambda stream: frame(h2.GOAWAY, payload=b"\x7f\xff\xff\xff" + bytes(4)) + frame(h2.GOAWAY, payload=bytes(8)),
    "nonsense": lambda stream: frame(h2.HEADERS, 0, h2.END_HEADERS, b""),
}


@pytest.mark.parametrize("streams", [1, 10])
@pytest.mark.parametrize("how", ENDS)
def test_whatever_ends_a_stream_in_the_same_read_as_parts_of_its_response_ends_one_call(front, how, streams):
    """bun 43475: a session was freed inside of one of its own callbacks."""
    at = iter(range(10 ** 6))

    def script(peer):
        request = peer.take()
        blocks = [peer.encoder.encode(fields) for fields in ([(":status", "103")], [(":status", "200")], [("x-sum", "7")])]
        frames = [frame(h2.HEADERS, request.stream, h2.END_HEADERS, blocks[0]), frame(h2.HEADERS, request.stream, h2.END_HEADERS, blocks[1]),
                  frame(h2.DATA, request.stream, 0, b"abc"), frame(h2.PING, payload=bytes(8)),
                  frame(h2.HEADERS, request.stream, h2.END_HEADERS | h2.END_STREAM, blocks[2])]
        peer.send(b"".join(frames[:next(at) % 6]) + ENDS[how](request.stream) + frame(h2.PING, payload=bytes(8)))

    proxy, _ = front(script, streams=streams, deadline="500ms")
    outcomes = []
    for _ in range(6):
        try:
            outcomes.append(proxy.ask("GET", "/").status)
        except Cut:
            outcomes.append("cut")
    assert set(outcomes) <= {200, 502, 504, "cut"} and outcomes.count(200) <= 2, outcomes
    metrics = proxy.wait_idle()
    assert metrics.calls("started") == 6
    proxy.wait_metric("curfew_connections", 0, side="upstream")


def test_cancelled_calls_by_the_thousand_use_up_no_connection_to_the_api(front):
    """CVE-2023-44487 passed on: what is reset on one side is reset on the other, within each connection's budget."""
    def script(peer):
        request = peer.take(whole=False)
        if request[":path"] == "/ok":
            peer.answer(request)

    proxy, api = front(script, streams=50, pool={"size": 50, "queue": 50}, deadline="20s")
    caller = H2Caller(proxy.address())
    for _ in range(20):
        for stream in [caller.begin("GET", "/") for _ in range(50)]:
            caller.reset_stream(stream)
        assert caller.ask2("GET", "/ok").status == 200
    assert not caller.goaways and max(len(peer.resets) for peer in api.peers) < 150
    metrics = proxy.wait_idle()
    assert metrics.sum("curfew_pool_held_peak") <= 50 and metrics.calls("completed") == 20
    assert metrics.calls("failed") == 0


class Seen(Server):
    """Knows by which connections calls came."""

    def __init__(self):
        super().__init__()
        self.peers = []

    def _begin(self, context):
        super()._begin(context)
        self.peers.append(context.peer())


@pytest.mark.one_worker
def test_a_grpc_server_never_finds_that_there_are_too_many_pings(curfew):
    """grpc 33661: after two PINGs without data between them, gRPC's servers end the connection."""
    server = Seen()
    try:
        proxy = curfew(url=server.keys["url"], http2={"use": "always", "probe_after": "10ms"}, deadline="10s", top={"workers": 1})
        for _ in range(20):
            assert grpc_peers.call("python", proxy, "/t.T/Echo")["code"] == 0
            watch = Stopwatch()
            poll(lambda watch=watch: watch.elapsed() > 0.02, "probe_after")
        assert len(server.peers) == 20 and len(set(server.peers)) == 1
    finally:
        server.close()


# -------------------------------------------------------------------------------------------------- floods


def head_of(coder, *fields, method=b"GET"):
    return coder.encode([(b":method", method), (b":scheme", b"http"), (b":path", b"/"), (b":authority", b"a"), *fields])


def first_then(first, then):
    return lambda coder, n: first(coder) if n == 0 else then


def each(flags, then, *fields):
    """A stream each, and what comes behind its head."""
    return lambda coder, n: frame(h2.HEADERS, 2 * n + 1, h2.END_HEADERS | flags, head_of(coder, *fields)) + then(2 * n + 1)


UPLOAD = lambda coder: frame(h2.HEADERS, 1, h2.END_HEADERS, head_of(coder, method=b"POST"))  # noqa: E731
# By a caller who reads nothing; some of it is HTTP/2 (empty frames), some is not: CVE-2019-9518, CVE-2025-8671 (MadeYouReset), HPACK bombs.
CALLERS_FLOODS = {
    "empty DATA": first_then(UPLOAD, frame(h2.DATA, 1)),
    "padding": first_then(UPLOAD, frame(h2.DATA, 1, h2.PADDED, b"\0")),
    "DATA behind the end": each(h2.END_STREAM, lambda stream: frame(h2.DATA, stream, 0, b"x")),
    "heads behind the end": lambda coder, n: each(h2.END_STREAM, lambda stream: frame(h2.HEADERS, stream, h2.END_HEADERS, head_of(coder)))(coder, n),
    "windows that overflow": each(0, lambda stream: frame(h2.WINDOW_UPDATE, stream, 0, b"\x7f\xff\xff\xff")),
    "PRIORITY": lambda coder, n: frame(2, 2 * n + 1, 0, bytes(5)),
    "PRIORITY too short": each(0, lambda stream: frame(2, stream, 0, bytes(4))),
    "unknown frames": lambda coder, n: frame(0x42, 0, 0xff, bytes(100)),
    "malformed heads": each(h2.END_STREAM, lambda stream: b"", (b"X-Y", b"z")),
    "fields without names": each(h2.END_STREAM, lambda stream: b"", *[(b"", b"")] * 50),
    "answers to no PING": lambda coder, n: frame(h2.PING, 0, h2.ACK, bytes(8)),
    "answers to no SETTINGS": lambda coder, n: frame(h2.SETTINGS, 0, h2.ACK),
    "windows of one byte": lambda coder, n: frame(h2.WINDOW_UPDATE, 0, 0, b"\0\0\0\1"),
    "streams beyond all bounds": each(0, lambda stream: b""),
    "4,000 bytes for one": first_then(lambda coder: frame(h2.HEADERS, 1, 0, head_of(coder, (b"x", b"y" * 4000))), frame(h2.CONTINUATION, 1, 0, b"\xbe" * 16000)),
}
# By an API, in place of a response.
APIS_FLOODS = {
    "SETTINGS": lambda peer, n: settings(window=n),
    "PING": lambda peer, n: frame(h2.PING, 0, 0, bytes(8)),
    "empty DATA": first_then(lambda peer: frame(h2.HEADERS, 1, h2.END_HEADERS, peer.encoder.encode([(":status", "200")])), frame(h2.DATA, 1)),
    "PRIORITY": lambda peer, n: frame(2, 2 * n + 1, 0, bytes(5)),
    "resets of others": lambda peer, n: frame(h2.RST_STREAM, 2 * n + 3, 0, bytes(4)),
    "interim responses": lambda peer, n: frame(h2.HEADERS, 1, h2.END_HEADERS, peer.encoder.encode([(":status", "103")])),
    "CONTINUATION": first_then(lambda peer: frame(h2.HEADERS, 1, 0, peer.encoder.encode([(":status", "200")])), frame(h2.CONTINUATION, 1)),
    "4,000 bytes for one": first_then(lambda peer: frame(h2.HEADERS, 1, 0, peer.encoder.encode([(":status", "200"), ("x", "y" * 4000)])),
                                      frame(h2.CONTINUATION, 1, 0, b"\xbe" * 16000)),
}


class Costs:
    """What curfew has taken since."""

    def __init__(self, proxy):
        self.proxy = proxy
        self.ticks, self.bytes = cpu_ticks(proxy.process.pid), proxy.process.rss_bytes()

    def must_be_small(self):
        ticks, grown = cpu_ticks(self.proxy.process.pid) - self.ticks, self.proxy.process.rss_bytes() - self.bytes
        assert SANITIZED or ticks < 50 and grown < 4 << 20, (ticks, grown)  # half a second of a processor


@pytest.mark.parametrize("what", CALLERS_FLOODS)
def test_a_flood_of_a_caller_costs_little_and_the_api_nothing(curfew, what):
    up = ScriptedUpstream(lambda exchange: exchange.wait_ended())
    proxy = curfew(upstreams={"api": {"url": up.url, "pool": {"size": 5, "queue": 5}, "deadline": "20s"},
                              "other": {"url": up.url, "deadline": "50ms"}})
    assert proxy.ask(upstream="other").status == 504
    caller = H2Caller(proxy.address("api"))
    costs = Costs(proxy)
    with contextlib.suppress(ConnectionError, TimeoutError):
        for n in range(20_000):
            caller.send(CALLERS_FLOODS[what](caller.encoder, n))
    assert proxy.ask(upstream="other").status == 504
    costs.must_be_small()
    caller.close()
    metrics = proxy.wait_idle()
    assert metrics.sum("curfew_pool_held_peak", pool="api") <= 5 and metrics.calls("completed") == 0
    up.close()


@pytest.mark.parametrize("streams", [1, 10])
@pytest.mark.parametrize("what", APIS_FLOODS)
def test_a_flood_of_an_api_costs_little_and_no_other_call(front, streams, what):
    def script(peer):
        request = peer.take()
        if request[":path"] == "/ok":
            peer.answer(request)
            return True
        with contextlib.suppress(OSError):
            for n in range(20_000):
                peer.send(APIS_FLOODS[what](peer, n))
        return True

    proxy, _ = front(script, streams=streams, deadline="1s", routes=[{"path": "/ok", "deadline": "20s"}])  # the script may be at it still
    costs = Costs(proxy)
    with contextlib.suppress(Cut):
        caller = proxy.caller()
        caller.request()
        while (response := caller.recv_response_head()).status == 103:
            pass
        if response.status == 200:
            caller.recv_content(response)
        assert response.status in (502, 504)
    costs.must_be_small()
    assert proxy.ask("GET", "/ok").status == 200
    metrics = proxy.wait_idle()
    assert metrics.calls("completed") == 1 and metrics.calls("failed") + metrics.calls("stuck") == 1


# ---------------------------------------------------------------------------------------------- shutdown


def test_a_shutdown_under_load_loses_no_response_that_was_given(curfew, faulty, tmp_path):
    """HAProxy 3ed936168: of a connection that is closed behind its last response, that was lost by a reset."""
    log = tmp_path / "access.log"
    proxy = curfew(url=faulty().url, deadline="5s", top={"log": {"access": str(log)}, "drain": "5s"})
    with subprocess.Popen(["h2load", "-n", "500000", "-c", "4", "-m", "10", proxy.url("/bytes/3000")], stdout=subprocess.PIPE, text=True) as load:
        poll(lambda: proxy.metrics().calls("completed") > 1000, "load", 10 * SLOW)
        proxy.process.signal(signal.SIGTERM)
        said, _ = load.communicate(timeout=60)
    assert proxy.process.wait_exit() == 0
    outcomes = [json.loads(line)["outcome"] for line in log.read_text().splitlines()]
    succeeded = int(re.search(r"(\d+) succeeded", said)[1])
    assert outcomes.count("completed") == succeeded == len(outcomes), said


def test_a_shutdown_ends_no_call_of_grpc_that_is_on_its_way(front):
    held, is_down = [], threading.Event()

    def script(peer):
        request = peer.take()
        held.append(request)
        assert is_down.wait(4 * SOON)  # until programs of three languages have come
        peer.head(request, 200, ("content-type", "application/grpc"))
        peer.data(request, b"\0\0\0\0\1x")
        peer.headers(request, [("grpc-status", "0")], end=True)

    proxy, _ = front(script, streams=1, deadline="20s", top={"drain": "20s"})
    told = []
    threads = [threading.Thread(target=lambda language=language: told.append(grpc_peers.call(language, proxy, "/t.T/M"))) for language in CALLERS]
    for thread in threads:
        thread.start()
    poll(lambda: len(held) == len(threads), "the calls", 10 * SLOW)
    proxy.process.signal(signal.SIGTERM)
    poll(lambda: any("ending" in line for line in proxy.process.stderr.lines), "the drain")
    is_down.set()
    for thread in threads:
        thread.join()
    assert [(one["code"], one["messages"]) for one in told] == [(0, 1)] * len(threads), told
    assert proxy.process.wait_exit() == 0
