"""Upgrades: what is let through, what it is answered with, and how long a tunnel lives (docs/websockets.md)."""

import contextlib
import os
import signal
import socket
import ssl
import threading

import pytest

from harness import problem
from harness.bounds import SLOW, SOON, Stopwatch, poll
from harness.curfew import curfew_command
from harness.peers import ScriptedUpstream

ASK = ("Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==")
ASK_BYTES = b"GET /chat HTTP/1.1\r\nHost: a\r\n" + "".join(line + "\r\n" for line in ASK).encode() + b"\r\n"
SWITCH = (b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
          b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n")
FAST = {"idle": f"{400 * SLOW:g}ms"}


@pytest.fixture
def api(curfew):
    """A curfew whose upstream lets WebSockets through; keys and `top` may be added."""
    with contextlib.ExitStack() as stack:
        def make(upgrade=None, top=None, **keys):
            up = ScriptedUpstream()
            stack.callback(up.close)
            proxy = curfew(top=top, upstreams={"api": {
                "url": up.url, "deadline": "2s", "upgrade": {} if upgrade is None else upgrade, **keys}})
            return proxy, up
        yield make


def open_tunnel(proxy, up, ask=ASK_BYTES, switch=SWITCH):
    caller = proxy.caller()
    caller.send(ask)
    exchange, request = up.take()
    assert request["upgrade"] == "websocket" and request["connection"] == "Upgrade", request.fields
    exchange.send(switch)
    response = caller.recv_response_head()
    assert (response.status, response["upgrade"], response["connection"]) == (101, "websocket", "Upgrade")
    return caller, exchange


def ended(proxy, end, count=1):
    return proxy.wait_metric("curfew_tunnels_ended_total", count, upstream="api", end=end)


def last_line(proxy):
    """Of the only call."""
    return proxy.log()[0]


def test_what_is_asked_for_goes_on_and_nothing_else_of_it(api):
    proxy, up = api()
    caller = proxy.caller()
    caller.request("GET", "/chat?x=1", "Connection: keep-alive, Upgrade, X-Hop", "Upgrade: h2c, WebSocket", "HTTP2-Settings: AAEA", "X-Hop: 1",
                   "Sec-WebSocket-Protocol: realtime")
    _, request = up.take()
    assert request.fields.all("upgrade") == ["websocket"] and request.fields.all("connection") == ["Upgrade"]
    assert request["x-hop"] is None and request["sec-websocket-protocol"] == "realtime"
    caller.close()


@pytest.mark.parametrize("lines", [
    ("Upgrade: websocket",),                                         # Connection does not name it
    ("Connection: Upgrade", "Upgrade: h2c"),
    ("Connection: Upgrade", "Upgrade: TLS/1.2"),
    ("Connection: Upgrade", "Upgrade: websocket", "Content-Length: 2"),
], ids=("not named", "h2c", "tls", "content"))
def test_what_is_no_upgrade_is_an_ordinary_request(api, lines):
    proxy, up = api()
    caller = proxy.caller()
    caller.request("GET", "/", *lines)
    if "Content-Length: 2" in lines:
        caller.send(b"hi")
    exchange, request = up.take()
    assert request["upgrade"] is None and request["connection"] is None, request.fields
    exchange.answer(content=b"plain")
    assert caller.recv_response().content == b"plain"


def test_without_the_key_nothing_is_passed_on(curfew, upstream):
    up = upstream()
    proxy = curfew(upstreams={"api": {"url": up.url}})
    caller = proxy.caller()
    caller.send(ASK_BYTES)
    exchange, request = up.take()
    assert request["upgrade"] is None and request["connection"] is None
    exchange.send(SWITCH)
    problem.expect(caller.recv_response(), 502, "http_protocol_error", phase="wait", upstream="api", sent="complete")


@pytest.mark.parametrize("switch", [
    b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n\r\n",
    b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n\r\n",
    b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket, h2c\r\nConnection: Upgrade\r\n\r\n",
], ids=("another", "none", "two"))
def test_a_switch_to_another_protocol_is_a_502(api, switch):
    proxy, up = api()
    caller = proxy.caller()
    caller.send(ASK_BYTES)
    exchange, _ = up.take()
    exchange.send(switch)
    problem.expect(caller.recv_response(), 502, "http_protocol_error", phase="wait", upstream="api", sent="complete")
    exchange.wait_ended()


@pytest.mark.one_worker
def test_another_status_is_an_ordinary_response_and_what_came_behind_the_request_is_no_other_request(api):
    proxy, up = api()
    caller = proxy.caller()
    caller.send(ASK_BYTES + b"GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n")
    exchange, request = up.take()
    assert request.target == "/chat"
    exchange.answer(403, content=b"no")
    response = caller.recv_response()
    assert (response.status, response.content, response["connection"]) == (403, b"no", "close")
    caller.must_end()
    up.must_have_no_connection(0.05)
    caller = proxy.caller()
    caller.send(ASK_BYTES)
    exchange.recv_request()
    exchange.answer(401, content=b"no")
    assert caller.recv_response()["connection"] is None  # and the next one may ask again
    caller.send(ASK_BYTES)
    exchange.recv_request()
    exchange.send(SWITCH)
    assert caller.recv_response_head().status == 101


def test_bytes_sent_with_the_request_and_with_the_101_arrive_in_order_behind_it(api):
    """Trap U1."""
    proxy, up = api()
    caller = proxy.caller()
    caller.send(ASK_BYTES + b"first of the caller")
    exchange = up.accept()
    exchange.recv_head()
    exchange.must_be_silent(0.1)  # they wait for the 101
    exchange.send(SWITCH + b"first of the API")
    assert caller.recv_response_head().status == 101
    assert caller.read_exactly(16) == b"first of the API"
    assert exchange.read_exactly(19) == b"first of the caller"


def test_a_megabyte_goes_each_way_at_once(api):
    proxy, up = api()
    caller, exchange = open_tunnel(proxy, up)
    data = os.urandom(1 << 20)
    senders = [threading.Thread(target=peer.send, args=(data,)) for peer in (caller, exchange)]
    for sender in senders:
        sender.start()
    got = [None, None]

    def read(index, peer):
        got[index] = peer.read_exactly(len(data))

    readers = [threading.Thread(target=read, args=pair) for pair in enumerate((exchange, caller))]
    for thread in readers:
        thread.start()
    for thread in senders + readers:
        thread.join(SOON * 4)
    assert got[0] == data and got[1] == data
    caller.close()
    exchange.wait_ended()
    line = last_line(proxy)
    assert (line["status"], line["outcome"], line["end"], line["bytes_up"], line["bytes_down"]) == (101, "completed", "caller", 1 << 20, 1 << 20)
    assert line["phase"] == "tunnel" and "tunnel" in line["phases_ms"]


def test_a_half_close_is_passed_on_and_the_other_way_goes_on(api):
    """Trap U3."""
    proxy, up = api()
    caller, exchange = open_tunnel(proxy, up)
    caller.send(b"the end")
    caller.half_close()
    assert exchange.read_exactly(7) == b"the end"
    exchange.wait_ended()
    data = os.urandom(1 << 20)
    sender = threading.Thread(target=lambda: (exchange.send(data), exchange.close()))
    sender.start()
    assert caller.read_exactly(len(data)) == data
    caller.must_end()
    sender.join(SOON)
    ended(proxy, "caller")
    caller, exchange = open_tunnel(proxy, up)
    exchange.send(b"bye")
    exchange.half_close()
    assert caller.read_exactly(3) == b"bye"
    caller.must_end()
    caller.send(b"last words")
    caller.close()
    assert exchange.read_exactly(10) == b"last words"
    ended(proxy, "upstream")


def test_idle_counts_bytes_in_either_direction(api):
    """Traps U2, U6."""
    proxy, up = api({"idle": f"{800 * SLOW:g}ms"})
    caller, exchange = open_tunnel(proxy, up)
    for _ in range(12):  # longer than idle in all, the caller silent
        stopwatch = Stopwatch()
        exchange.send(b"x")
        exchange.must_be_silent(0.1 * SLOW)
    assert caller.read_exactly(12) == b"x" * 12
    assert caller.wait_ended() == "reset"
    assert stopwatch.elapsed() >= 0.8 * SLOW
    assert exchange.wait_ended() == "reset"
    line = last_line(proxy)
    assert (line["outcome"], line["cause"], line["phase"], line["end"], line["status"]) == ("stuck", "idle_timeout", "tunnel", "idle", 101)
    ended(proxy, "idle")
    assert proxy.metrics().sum("calls_stuck_total", upstream="api", phase="tunnel") == 1


def test_two_hundred_silent_tunnels_are_gone_after_idle(api):
    """Trap U6."""
    proxy, up = api({"idle": f"{1500 * SLOW:g}ms"}, pool={"size": 300, "queue": 0})
    pairs = [open_tunnel(proxy, up) for _ in range(200)]
    assert proxy.metrics().sum("tunnels", upstream="api") <= 200
    ended(proxy, "idle", 200)
    sample = proxy.metrics()
    assert (sample.sum("tunnels", upstream="api"), sample.sum("pool_held", pool="api")) == (0, 0)
    for caller, exchange in pairs:
        caller.close()
        exchange.close()


@pytest.mark.timed
def test_the_deadline_ends_with_the_101_and_lifetime_takes_its_place(api):
    """Trap U5: neither the deadline, nor a limit of HTTP, strikes in a tunnel."""
    proxy, up = api({"lifetime": f"{1500 * SLOW:g}ms"}, deadline=f"{800 * SLOW:g}ms",
                    timeouts={"idle": f"{500 * SLOW:g}ms", "first_byte": f"{500 * SLOW:g}ms", "begin": f"{600 * SLOW:g}ms"},
                    top={"limits": {"idle_timeout": f"{500 * SLOW:g}ms", "request_head_timeout": f"{500 * SLOW:g}ms"}})
    asked = Stopwatch()
    caller, exchange = open_tunnel(proxy, up)
    opened = Stopwatch()
    caller.must_be_silent(0.9 * SLOW)
    assert caller.wait_ended() == "closed"
    assert asked.elapsed() >= 1.5 * SLOW and opened.elapsed() <= 2 * SLOW
    exchange.wait_ended()
    line = last_line(proxy)
    assert (line["outcome"], line["cause"], line["end"], line["status"]) == ("completed", "none", "lifetime", 101)
    assert proxy.metrics().sum("calls_completed_total", upstream="api", **{"class": "1xx"}) == 1


def test_until_the_101_it_is_a_call_with_a_deadline(api):
    proxy, up = api(deadline=f"{300 * SLOW:g}ms")
    caller = proxy.caller()
    caller.send(ASK_BYTES)
    exchange, _ = up.take()
    problem.expect(caller.recv_response(), 504, "http_response_timeout", phase="wait", upstream="api", sent="complete")
    exchange.wait_ended()


def test_a_tunnel_holds_its_permit_to_the_end(api):
    proxy, up = api(pool={"size": 1, "queue": 0})
    caller, exchange = open_tunnel(proxy, up)
    assert proxy.ask().status == 503
    sample = proxy.metrics()
    assert (sample.sum("tunnels", upstream="api"), sample.sum("calls_in_flight", upstream="api", phase="tunnel")) == (1, 1)
    caller.close()
    exchange.wait_ended()
    proxy.wait_metric("curfew_pool_held", 0, pool="api")


def test_a_tunnel_is_a_good_answer_to_a_pool_that_adapts_or_has_paused(api):
    """It may be open for an hour: others go on behind a pause as soon as it is."""
    proxy, up = api(deadline="20s", pool={"size": 2, "queue": 10, "adapt": {"when": [503]}, "pause": {"statuses": [429], "max": "10s"}})
    asks = proxy.caller()
    asks.request()
    up.take()[0].answer(429, "retry-after-ms: 100", "Connection: close")
    assert asks.recv_response().status == 429
    opens, waits = proxy.caller(), proxy.caller()
    opens.send(ASK_BYTES)
    exchange, _ = up.take()
    waits.request()
    proxy.wait_metric("curfew_pool_waiting", 1)
    exchange.send(SWITCH)
    assert opens.recv_response_head().status == 101
    up.take()[0].answer()
    assert waits.recv_response().status == 200
    opens.close()


def test_reloads_leave_tunnels_alone(api):
    """Trap U4."""
    proxy, up = api(pool={"size": 60, "queue": 0})
    pairs = [open_tunnel(proxy, up) for _ in range(50)]
    for count in range(1, 21):
        proxy.process.signal(signal.SIGHUP)
        proxy.wait_metric("curfew_config_reloads_total", count, result="success")
    for caller, exchange in pairs:
        caller.send(b"ping")
        assert exchange.read_exactly(4) == b"ping"
        exchange.send(b"pong")
        assert caller.read_exactly(4) == b"pong"
    assert proxy.metrics().sum("tunnels", upstream="api") == 50
    for caller, exchange in pairs:
        exchange.close()
        caller.close()
    poll(lambda: proxy.metrics().sum("tunnels", upstream="api") == 0, "all tunnels to end")


def test_a_drain_gives_tunnels_its_time_and_then_cuts_them(api):
    proxy, up = api(top={"drain": "1s"})
    caller, exchange = open_tunnel(proxy, up)
    proxy.process.signal(signal.SIGTERM)
    caller.send(b"still")
    assert exchange.read_exactly(5) == b"still"
    assert caller.wait_ended() == "reset"
    assert proxy.process.wait_exit(SOON) == 0
    line = last_line(proxy)
    assert (line["outcome"], line["cause"], line["end"]) == ("stuck", "draining", "drain")


def test_an_operator_cuts_one(api):
    proxy, up = api()
    caller, exchange = open_tunnel(proxy, up)
    call = proxy.calls()["calls"][0]
    assert call["phase"] == "tunnel"
    assert proxy.admin_ask("DELETE", f"/calls/{call['id']}")[0] == 200
    assert caller.wait_ended() == "reset"
    exchange.wait_ended()
    ended(proxy, "operator")


def test_an_api_that_resets_is_an_error(api):
    proxy, up = api()
    caller, exchange = open_tunnel(proxy, up)
    exchange.reset()
    assert caller.wait_ended() == "reset"
    line = last_line(proxy)
    assert (line["outcome"], line["end"], line["status"]) == ("failed", "error", 101)


def test_a_caller_that_does_not_read_stops_the_api_and_is_idle(api):
    proxy, up = api({"idle": f"{700 * SLOW:g}ms"})
    caller, exchange = open_tunnel(proxy, up)
    assert exchange.fill() > 0
    assert caller.wait_ended() == "reset"
    ended(proxy, "idle")


def test_an_observed_tunnel_is_noted_and_goes_on(api):
    proxy, up = api(FAST, observe=True, observe_ceiling="30s")
    caller, exchange = open_tunnel(proxy, up)
    caller.must_be_silent(0.8 * SLOW)
    caller.send(b"late")
    assert exchange.read_exactly(4) == b"late"
    caller.close()
    exchange.wait_ended()
    line = last_line(proxy)
    assert (line["end"], line["spared"]["cause"], line["spared"]["phase"]) == ("caller", "idle_timeout", "tunnel")


def test_a_silent_peer_of_a_caller_that_has_left_holds_nothing(api):
    """Trap U3: the caller is gone for good, which the kernel knows; the API says nothing."""
    proxy, up = api()
    caller, exchange = open_tunnel(proxy, up)
    caller.close()
    exchange.wait_ended()
    proxy.wait_metric("curfew_pool_held", 0, pool="api")
    ended(proxy, "caller")


def test_a_handshake_that_fails_is_tried_again(api):
    proxy, up = api(retries={"attempts": 2, "when": [503]})
    caller = proxy.caller()
    caller.send(ASK_BYTES + b"early")
    exchange, _ = up.take()
    exchange.answer(503, "Connection: close")
    exchange = up.accept()
    exchange.recv_head()
    exchange.send(SWITCH)
    assert caller.recv_response_head().status == 101
    assert exchange.read_exactly(5) == b"early"


@pytest.fixture
def secure(curfew, upstream, certificates):
    """As `api`, by TLS, that offers what `alpn` says."""
    def make(alpn=(), **keys):
        context = certificates.server("server")
        if alpn:
            context.set_alpn_protocols(alpn)
        up = upstream(tls=context)
        return curfew(upstreams={"api": {"url": up.url, "upgrade": {}, "tls": {"ca_file": certificates.ca, "server_name": "api.test"}, **keys}}), up
    return make


def test_an_api_by_tls(secure):
    proxy, up = secure()
    caller, exchange = open_tunnel(proxy, up)
    data = os.urandom(1 << 18)
    sender = threading.Thread(target=caller.send, args=(data,))
    sender.start()
    assert exchange.read_exactly(len(data)) == data
    sender.join(SOON)
    exchange.send(b"back")
    assert caller.read_exactly(4) == b"back"
    caller.close()
    exchange.wait_ended()
    ended(proxy, "caller")


@pytest.mark.sound_only
def test_an_idle_tunnel_takes_less_than_8_kib(api):
    count = 1000
    proxy, up = api(pool={"size": count + 10, "queue": 0})
    open_tunnel(proxy, up)
    before = proxy.metrics().sum("process_resident_memory_bytes")
    pairs = [open_tunnel(proxy, up) for _ in range(count)]
    each = (proxy.metrics().sum("process_resident_memory_bytes") - before) / count
    assert each <= 8192, f"{each:.0f} bytes"
    for caller, exchange in pairs:
        caller.close()
        exchange.close()


def test_tunnels_that_were_opened_and_left_take_no_descriptor_more(api):
    proxy, up = api(pool={"size": 50, "queue": 100})

    def serve():
        with contextlib.suppress(OSError, AssertionError):
            while True:
                exchange, _ = up.take(SOON)
                exchange.send(SWITCH)
                peers.append(exchange)

    peers = []
    server = threading.Thread(target=serve, daemon=True)
    server.start()
    warm = proxy.metrics().sum("process_open_fds")
    for index in range(400):
        with socket.create_connection(proxy.address()) as sock:
            sock.sendall(ASK_BYTES)
            assert sock.recv(4096).startswith(b"HTTP/1.1 101")
            if index % 2:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    poll(lambda: proxy.metrics().sum("tunnels", upstream="api") == 0, "all tunnels to end")
    poll(lambda: proxy.metrics().sum("process_open_fds") <= warm + 1, "all descriptors to be given back")
    for peer in peers:
        peer.close()


def test_to_an_api_that_would_choose_http2_it_is_http1(secure):
    proxy, up = secure(["h2", "http/1.1"], http2={"use": "auto"})
    caller, exchange = open_tunnel(proxy, up)
    assert exchange.sock.selected_alpn_protocol() == "http/1.1"
    caller.send(b"x")
    assert exchange.read_exactly(1) == b"x"


def test_a_kept_connection_that_was_closed_is_replaced(api):
    proxy, up = api()
    caller = proxy.caller()
    caller.request()
    exchange, _ = up.take()
    exchange.answer(content=b"kept")
    assert caller.recv_response().content == b"kept"
    caller.send(ASK_BYTES + b"early")
    exchange.recv_head()
    exchange.close()
    exchange, request = up.take()
    assert request["upgrade"] == "websocket"
    exchange.send(SWITCH)
    assert caller.recv_response_head().status == 101
    assert exchange.read_exactly(5) == b"early"


def test_callers_on_a_unix_socket(curfew, upstream, tmp_path):
    up = upstream()
    proxy = curfew(upstreams={"api": {"url": up.url, "upgrade": {}, "listen": f"unix:{tmp_path}/api.sock"}})
    caller, exchange = open_tunnel(proxy, up)
    caller.send(b"up")
    caller.half_close()
    assert exchange.read_exactly(2) == b"up"
    exchange.wait_ended()
    exchange.send(b"down")
    assert caller.read_exactly(4) == b"down"
    caller.close()
    exchange.send(b"to nobody")
    exchange.wait_ended()
    proxy.wait_metric("curfew_pool_held", 0, pool="api")
    ended(proxy, "caller")


def test_callers_by_tls(curfew, upstream, certificates):
    up = upstream()
    proxy = curfew(upstreams={"api": {"url": up.url, "upgrade": {}, "listen_tls": "127.0.0.1:0", "caller_tls": {
        "cert_file": certificates.cert("server"), "key_file": certificates.key("server")}}})
    context = ssl.create_default_context(cafile=certificates.ca)
    with context.wrap_socket(socket.create_connection(proxy.address(index=1)), server_hostname="api.test") as sock:
        sock.sendall(ASK_BYTES + b"early")
        exchange, _ = up.take()
        exchange.send(SWITCH + b"late")
        got = b""
        while not got.endswith(b"late"):
            got += sock.recv(4096)
        assert exchange.read_exactly(5) == b"early"
        exchange.half_close()
        assert sock.recv(4096) == b""
        sock.sendall(b"last")
        assert exchange.read_exactly(4) == b"last"
    exchange.wait_ended()
    ended(proxy, "upstream")


def test_a_caller_that_resets_ends_both_sides_at_once(api):
    proxy, up = api()
    caller, exchange = open_tunnel(proxy, up)
    caller.reset()
    exchange.wait_ended()
    assert last_line(proxy)["end"] == "caller"
    caller, exchange = open_tunnel(proxy, up)
    assert exchange.fill() > 0  # it does not read: nothing is read of it, and it resets
    caller.reset()
    exchange.wait_ended()
    ended(proxy, "caller", 2)


def test_a_route_has_its_own_and_can_have_none(api):
    proxy, up = api(routes=[{"path": "/off", "upgrade": "none"}, {"path": "/other", "upgrade": {"protocols": ["chat"], "idle": "7s"}}])
    caller = proxy.caller()
    for target, protocol, passed in (("/off", "websocket", None), ("/other", "websocket", None), ("/other", "Chat", "chat"), ("/x", "websocket", "websocket")):
        caller.request("GET", target, "Connection: Upgrade", f"Upgrade: {protocol}")
        exchange, request = up.take() if target == "/off" else (exchange, exchange.recv_request())
        assert request["upgrade"] == passed, (target, protocol)
        exchange.answer()
        assert caller.recv_response().status == 200


@pytest.mark.parametrize("written, why", [
    ("{protocols: [h2c]}", "can't be let through"), ("{protocols: [HTTP/2.0]}", "can't be let through"), ("{protocols: ['web socket']}", "is not the name of a protocol"),
    ("{idle: 0s}", "idle"), ("true", "write {protocols"), ("{ping: 3s}", "unknown key"),
])
def test_what_can_not_be_meant_is_refused(tmp_path, written, why):
    path = tmp_path / "curfew.yaml"
    path.write_text(f"upstreams: {{a: {{listen: 127.0.0.1:0, url: 'http://b', upgrade: {written}}}}}\n")
    done = curfew_command("check", str(path))
    assert done.returncode == 1 and why in done.stdout + done.stderr, done.stderr


def test_check_warns_of_a_pool_that_others_use_and_of_an_idle_that_can_not_strike(tmp_path):
    path = tmp_path / "curfew.yaml"
    path.write_text("upstreams:\n  a:\n    listen: 127.0.0.1:0\n    url: http://b\n    routes: [{path: /ws, upgrade: {idle: 2h}}]\n")
    done = curfew_command("check", str(path))
    assert done.returncode == 0 and "a pool of their own is right" in done.stderr and "2h is longer than a tunnel's lifetime, 1h" in done.stderr, done.stderr
