"""What callers, operators and readers of the log can take up is bounded, and none of them can stop the proxy."""

import errno
import json
import os
import re
import resource
import socket
import ssl
import threading

import pytest

from harness import problem
from harness.bounds import SANITIZED, SLOW, SOON, poll
from harness.faults import RECEIVE
from harness.load import load
from harness.peers import ScriptedCaller, echo, ok

KIB, MIB = 1 << 10, 1 << 20
SCRAPES_MAX = 64
MANUAL = os.path.join(os.path.dirname(__file__), "..", "..", "docs", "operations.md")


def stated(what):
    """The figure in the manual's section on memory: "| what | 7 KiB | …"."""
    with open(MANUAL, encoding="utf-8") as file:
        match = re.search(rf"^\| {re.escape(what)} \| (\d+) (KiB|MiB) ", file.read(), re.M)
    assert match, f"docs/operations.md does not say what {what} takes"
    return int(match[1]) * {"KiB": KIB, "MiB": MIB}[match[2]]


def refused(proxy, reason):
    return proxy.metrics().sum("curfew_requests_refused_total", reason=reason)


@pytest.fixture
def many():
    """many(count, address): as many connections, closed at the end."""
    made = []

    def make(count, address):
        hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        new = [ScriptedCaller(address) for _ in range(count)]
        made.extend(new)
        return new

    yield make
    for one in made:
        one.close()


# --------------------------------------------------------------------------------- heads of requests


def test_heads_that_drip_in_are_cut_while_others_are_served(pair, many):
    """Slowloris: each byte comes in time, the head does not."""
    proxy, _ = pair(echo, top={"limits": {"request_head_timeout": "500ms"}})
    slow = many(300, proxy.address())
    answered = set()
    for byte in b"GET / HTTP/1.1\r\nHost: x\r\nX-Drip: ":
        for n, one in enumerate(slow):
            if n not in answered and one.ended():
                answered.add(n)
            if n not in answered:
                one.send_some(bytes([byte]))
        assert proxy.ask("POST", "/", content=b"quick").content == b"quick"
    for one in slow:
        problem.expect(one.recv_response(), 504, "http_response_timeout", phase="upload", sent="none")
        one.close()
    metrics = proxy.wait_idle()
    assert metrics.calls("stuck", phase="upload") == 300
    proxy.wait_metric("curfew_connections", 0, side="downstream")


BOMBS = {
    "one-field": (b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"a" * MIB, 431),
    "many-fields": (b"GET / HTTP/1.1\r\nHost: x\r\n" + b"A: b\r\n" * 100_000, 431),
    "empty-fields": (b"GET / HTTP/1.1\r\nHost: x\r\n" + b"A:\r\n" * 200_000, 431),
    "a-few-too-many": (b"GET / HTTP/1.1\r\nHost: x\r\n" + b"A: b\r\n" * 6000 + b"\r\n", 431),
    "target": (b"GET /" + b"a" * MIB, 414),
    "method": (b"A" * MIB, 414),
    "no-name": (b"GET / HTTP/1.1\r\nHost: x\r\n" + b"a" * MIB, 431),
    "empty-lines": (b"\r\n" * (MIB // 2), 400),
}


@pytest.mark.parametrize("bomb", BOMBS)
def test_a_head_that_is_too_much_is_refused(pair, bomb):
    proxy, up = pair()
    bytes_, status = BOMBS[bomb]
    for _ in range(5):
        caller = proxy.caller()
        sender = threading.Thread(target=_send_all, args=(caller, bytes_))
        sender.start()
        response = caller.recv_response()
        assert response.status == status and response["connection"] == "close"
        problem.parse(response)
        sender.join(SOON)
        caller.close()
    up.must_have_no_connection()
    proxy.wait_metric("curfew_connections", 0, side="downstream")
    assert proxy.metrics().sum("curfew_requests_refused_total") == 5


def _send_all(caller, bytes_):
    try:
        caller.send(bytes_)
    except OSError:  # it need not take all of them
        pass


# --------------------------------------------------------------------------------- connections


def test_each_connection_beyond_the_limit_has_a_clear_answer(pair, many):
    proxy, _ = pair(echo, top={"limits": {"connections": 50}})
    within = many(50, proxy.address())
    proxy.wait_metric("curfew_connections", 50, side="downstream")
    for _ in range(4):
        beyond = many(50, proxy.address())
        for one in beyond:
            response = one.recv_response()
            assert response.status == 503 and response["retry-after"] == "1" and response["connection"] == "close"
            assert problem.proxy_error(response) == "connection_limit_reached"
            said = problem.parse(response)
            assert said["type"] == "urn:curfew:problem:connections" and "limits.connections" in said["detail"]
            one.must_end()
    for n, one in enumerate(within):
        assert one.ask("POST", "/", content=b"%d" % n).content == b"%d" % n
    assert refused(proxy, "connections") == 200


def test_one_that_has_sent_its_request_before_has_the_answer_too(pair, many):
    proxy, _ = pair(ok, top={"limits": {"connections": 1}})
    within, = many(1, proxy.address())
    assert within.ask().status == 200
    for _ in range(50):
        beyond, = many(1, proxy.address())
        try:
            beyond.request("POST", "/", content=bytes(100))
        except ConnectionError:
            pass
        assert beyond.recv_response().status == 503


def test_a_request_that_nobody_will_read_makes_no_reset_of_the_refusal(pair, many):
    """It is there before curfew accepts the connection. A reset could throw the answer away before it is read."""
    proxy, _ = pair(ok, top={"limits": {"connections": 1}})
    within, = many(1, proxy.address())
    assert within.ask().status == 200
    with proxy.process.paused():
        beyond, = many(1, proxy.address())
        beyond.request("POST", "/", content=bytes(10000))
    assert beyond.wait_ended() == "closed"
    assert beyond.recv_response().status == 503


# --------------------------------------------------------------------------------- memory


def _must_be_within(what, measured):
    print(f"{what}: {measured:.0f} bytes")  # pytest -s shows it
    assert measured < stated(what)


@pytest.mark.sound_only
def test_ten_thousand_idle_connections(curfew, upstream, many):
    """As many as the limit of open files allows, if that is less."""
    up = upstream(ok)
    wanted = 10_000
    proxy = curfew(url=up.url, top={"limits": {"connections": wanted + 10, "idle_timeout": "10m"}})
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    count = min(wanted, hard - 500)
    assert proxy.ask().status == 200
    before = proxy.process.rss_bytes()
    callers = many(count, proxy.address())
    proxy.wait_metric("curfew_connections", count, side="downstream", seconds=20)
    silent = (proxy.process.rss_bytes() - before) / count
    for caller in callers:
        caller.request()
        assert caller.recv_response().status == 200
    kept = (proxy.process.rss_bytes() - before) / count
    _must_be_within("an idle caller's connection", max(silent, kept))
    assert proxy.metrics().sum("curfew_connections", side="downstream") == count


HELLO_HEAD = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"


@pytest.mark.sound_only
@pytest.mark.parametrize("what, in_handshake", [("an idle caller's connection, under TLS", False),
                                                ("a caller's connection in its TLS handshake", True)], ids=["idle", "handshake"])
def test_a_thousand_callers_under_tls(curfew, upstream, many, certificates, what, in_handshake):
    proxy = curfew(url=upstream(ok).url, listen_tls="127.0.0.1:0", top={"limits": {"handshake_timeout": "1m"}},
                   caller_tls={"cert_file": certificates.cert("server"), "key_file": certificates.key("server")})
    context = ssl.create_default_context(cafile=certificates.ca)

    def connect(count):
        callers = many(count, proxy.address("api", 1))
        for caller in callers:
            if in_handshake:
                caller.send(HELLO_HEAD)
            else:
                caller.sock = context.wrap_socket(caller.sock, server_hostname="localhost")
                assert caller.ask().status == 200
        if in_handshake:  # until curfew has read them: what it does later it does after that
            assert proxy.ask().status == 200

    connect(1)
    before = proxy.process.rss_bytes()
    connect(1000)
    _must_be_within(what, (proxy.process.rss_bytes() - before) / 1000)


@pytest.mark.sound_only
def test_curfew_itself(pair):
    proxy, _ = pair(ok)
    assert proxy.ask().status == 200
    _must_be_within("curfew itself, with one worker", proxy.process.rss_bytes())


@pytest.mark.sound_only
def test_each_further_upstream_with_its_history(curfew):
    """The history is there from the first second on, and has its full size then."""
    resident = {}
    for count in 1, 101:
        proxy = curfew(upstreams={f"api{n}": {"url": "http://127.0.0.1:9"} for n in range(count)})
        poll(lambda: json.loads(proxy.admin_get("/history")[1])["seconds"] > 0, "the first second")
        resident[count] = proxy.process.rss_bytes()
    _must_be_within("each further upstream, with its last 15 minutes", (resident[101] - resident[1]) / 100)


def _wait_for_nothing(proxy, many, count, at_once=None):
    """Small requests that are all sent on and get no answer, so many at once: bytes for each."""
    before = proxy.process.rss_bytes()
    step = at_once or count
    for sent in range(step, count + 1, step):
        for caller in many(step, proxy.address()):
            caller.request("GET", "/stuck")
        proxy.wait_in_flight(sent, "wait", seconds=20)
    return (proxy.process.rss_bytes() - before) / count


@pytest.mark.sound_only
def test_calls_that_wait_for_the_upstream(curfew, faulty, many):
    api, count = faulty(), 2000
    proxy = curfew(url=api.url, deadline="30s", pool={"size": count, "queue": 0})
    assert proxy.ask("GET", "/ok").status == 200
    _must_be_within("a call that waits, with both connections", _wait_for_nothing(proxy, many, count))


@pytest.mark.sound_only
@pytest.mark.parametrize("what, at_once", [("a call that waits, under TLS", 10), ("a call that makes a connection, under TLS", 200)])
def test_calls_that_wait_for_an_upstream_under_tls(curfew, upstream, many, certificates, what, at_once):
    release, count = threading.Event(), 200

    def script(exchange):
        if exchange.recv_request().target == "/stuck":
            release.wait(SOON * 10)
            return False
        exchange.answer()
        return True

    up = upstream(script, tls=certificates.server())
    proxy = curfew(url=up.url, deadline="30s", pool={"size": count, "queue": 0},
                   tls={"ca_file": certificates.ca, "server_name": "api.test"})
    try:
        assert proxy.ask("GET", "/ok").status == 200
        _must_be_within(what, _wait_for_nothing(proxy, many, count, at_once))
    finally:
        release.set()


def _unsent(ports):
    """Bytes that the kernel keeps for peers who do not take them: of each connection from or to one of these ports."""
    with open("/proc/net/tcp", encoding="ascii") as table:
        rows = [line.split() for line in list(table)[1:]]
    at_work = [row for row in rows if int(row[3], 16) == 1]
    return {port: [int(row[4].split(":")[0], 16) for row in at_work if port == int(row[side].split(":")[1], 16)]
            for port, side in ports.items()}


@pytest.mark.sound_only
def test_calls_of_the_worst_kind(curfew, upstream, many):
    """A large head, content that the upstream does not take, and a response that the caller does not read."""
    parked, count = [], 100
    release = threading.Event()

    def script(exchange):
        exchange.recv_head()
        exchange.sock.setblocking(False)
        head = b"HTTP/1.1 200 OK\r\nX-Large: " + b"l" * 60_000 + b"\r\nTransfer-Encoding: chunked\r\n\r\n"
        exchange.send_some(head)
        chunk = b"10000\r\n" + bytes(65536) + b"\r\n"
        while exchange.send_some(chunk):
            pass
        parked.append(exchange)
        release.wait(SOON * 10)
        return False

    up = upstream(script, receive_buffer=4096)
    proxy = curfew(url=up.url, deadline="50s", pool={"size": count, "queue": 0})
    before = proxy.process.rss_bytes()
    lines = "".join(f"X-{n}: {'y' * 1000}\r\n" for n in range(31)).encode()
    for caller in many(count, proxy.address()):
        caller.send(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100000000\r\n" + lines + b"\r\n")
        while caller.send_some(bytes(65536)):
            pass
    poll(lambda: len(parked) == count, "all calls to be stuck on both sides", 20)
    each = (proxy.process.rss_bytes() - before) / count
    to_callers, to_upstream = proxy.address()[1], up.port
    queues = poll(lambda: (both := _unsent({to_callers: 1, to_upstream: 2})) and all(
        len(queue) == count and min(queue) >= 32 * KIB for queue in both.values()) and both, "all queues to be full")
    release.set()
    _must_be_within("a call at worst", each)
    for queue in queues.values():
        _must_be_within("bytes in the kernel, for a peer that does not read", max(queue))


# --------------------------------------------------------------------------------- log and admin


def _must_answer(proxy, times=20):
    for n in range(times):
        assert proxy.ask("POST", "/", content=b"%d" % n).content == b"%d" % n


def test_a_thousand_slow_operators_stop_nothing(pair, many):
    """Some say nothing, some drip, some ask for everything and read none of it."""
    proxy, _ = pair(echo)
    assert proxy.admin_get("/metrics")[0] == 200
    before = proxy.process.rss_bytes()
    operators = many(1000, proxy.admin)
    for n, one in enumerate(operators):
        if n % 3 == 1:
            one.send(b"GET /met")
        elif n % 3 == 2:
            one.send(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n" * 20)
    _must_answer(proxy)
    assert proxy.process.descriptors() < 300
    if not SANITIZED:
        _must_be_within("an operator's connection, with one upstream", (proxy.process.rss_bytes() - before) / 100)
    for one in operators:
        one.close()
    poll(lambda: _answers(proxy), "an answer for the next operator", 10 * SLOW)
    _must_answer(proxy)


def _answers(proxy):
    try:
        return proxy.admin_get("/metrics")[0] == 200
    except OSError:
        return False


def test_a_scrape_that_is_never_read_stops_nothing(curfew, upstream, many):
    """Many upstreams make a page that no socket takes at once."""
    up = upstream(echo)
    upstreams = {f"api{n}": {"url": up.url, "keepalive": {"max_idle": 0}} for n in range(100)}
    proxy = curfew(upstreams=upstreams)
    page = len(proxy.admin_get("/metrics")[1])
    before = proxy.process.rss_bytes()
    operators = many(20, proxy.admin)
    for one in operators:
        one.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        one.send(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n" * 50)
    _must_answer(proxy)
    assert page > 100 * KIB
    assert proxy.metrics().calls("completed") == 20
    if not SANITIZED:
        each = (proxy.process.rss_bytes() - before) / len(operators)
        _must_be_within("an operator's connection, with 100 upstreams", each)


def test_scrapes_that_a_worker_does_not_answer_do_not_pile_up(pair, faults, many):
    """They are given up after a second, and no new ones are begun while a worker that hangs has so many of them."""
    proxy, _ = pair(echo, env=faults.env)
    caller = proxy.caller()
    assert caller.ask().status == 200
    with faults.armed(RECEIVE, error=errno.EAGAIN, hangs=1):
        caller.request()
        poll(lambda: faults.failed, "the worker to hang")
        asking = many(SCRAPES_MAX, proxy.admin)
        for one in asking:
            one.send(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
        for one in asking:
            response = one.recv_response()
            assert response.status == 503 and b"did not answer" in response.content
        status, text = proxy.admin_get("/metrics")
        assert status == 503 and "Too many" in text
        assert proxy.admin_get("/healthz")[0] == 200
    assert caller.recv_response().status == 200
    poll(lambda: proxy.admin_get("/metrics")[0] == 200, "the worker to have answered all of them")
    proxy.wait_idle()


@pytest.mark.sound_only
def test_a_log_that_is_never_read_takes_no_more_memory(curfew, faulty):
    reader, writer = os.pipe()
    api = faulty()
    proxy = curfew(url=api.url, stdout=writer, top={"log": {"access": "stdout"}}, pool={"size": 100, "queue": 100})
    os.close(writer)
    try:
        load(proxy.address(), "/ok", calls=3000, concurrency=10, keepalive=True)
        before = proxy.process.rss_bytes()
        load(proxy.address(), "/ok", calls=6000, concurrency=10, keepalive=True)
        assert proxy.metrics().sum("curfew_log_lines_dropped_total") > 3000
        assert proxy.process.rss_bytes() - before < MIB
    finally:
        os.close(reader)


def test_requests_in_advance_wait_in_the_kernel(pair):
    """Pipelining: curfew reads no further than a buffer while a call is on."""
    proxy, up = pair()
    caller = proxy.caller()
    caller.request("GET", "/first")
    exchange, _ = up.take()
    before = proxy.process.anonymous_bytes()
    sent = caller.fill(b"GET /next HTTP/1.1\r\nHost: x\r\n\r\n" * 2000)
    assert sent > MIB
    if not SANITIZED:
        grown = proxy.process.anonymous_bytes() - before
        assert grown < 512 * KIB, grown
    up.must_have_no_connection()
    exchange.answer()
    assert caller.recv_response().status == 200
    assert exchange.recv_request().target == "/next"
    caller.close()
    exchange.close()
