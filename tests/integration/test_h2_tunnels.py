"""WebSockets of callers that speak HTTP/2 (RFC 8441): CONNECT with :protocol becomes an upgrade of HTTP/1.1."""

import base64
import hashlib
import json
import os
import subprocess
import threading

import pytest

from harness.bounds import SLOW, SOON
from harness.h2_caller import H2Caller

GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
ENABLE_CONNECT_PROTOCOL = 8
CANCEL = 8


def accept_of(key):
    return base64.b64encode(hashlib.sha1(key.encode() + GUID).digest()).decode()


def switch(exchange, request, accept=None):
    exchange.send(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nX-Of-Api: 1\r\n"
                  b"Sec-WebSocket-Accept: " + (accept or accept_of(request["sec-websocket-key"])).encode() + b"\r\n\r\n")


@pytest.fixture
def h2(curfew, upstream):
    def make(**keys):
        up = upstream()
        proxy = curfew(upstreams={"api": {"url": up.url, "deadline": "2s", "upgrade": {}, **keys}})
        caller = H2Caller(proxy.address())
        proxy.callers.append(caller)
        caller.until(lambda: caller.settings)
        return proxy, up, caller
    return make


def ask(caller, path="/chat", protocol="websocket", *fields):
    stream, caller.next = caller.next, caller.next + 2
    block = caller.encoder.encode([(":method", "CONNECT"), (":protocol", protocol), (":scheme", "http"), (":path", path),
                                   (":authority", "curfew"), ("sec-websocket-version", "13"), *fields])
    caller.put(1, 4, stream, block)
    return stream


def open_tunnel(up, caller):
    stream = ask(caller)
    exchange, request = up.take()
    switch(exchange, request)
    caller.until(lambda: caller.answer_to(stream).fields)
    assert caller.answer_to(stream)[":status"] == "200"
    return stream, exchange


def test_connect_with_protocol_becomes_an_upgrade(h2):
    proxy, up, caller = h2()
    assert caller.settings[ENABLE_CONNECT_PROTOCOL] == 1
    stream = ask(caller, "/chat?x=1", "websocket", ("sec-websocket-protocol", "realtime"), ("sec-websocket-key", "of the caller"))
    exchange, request = up.take()
    assert request.raw_head.startswith(b"GET /chat?x=1 HTTP/1.1\r\n") and request["upgrade"] == "websocket"
    assert len(base64.b64decode(request["sec-websocket-key"])) == 16 and request.fields.all("sec-websocket-key") != ["of the caller"]
    assert (request["sec-websocket-version"], request["sec-websocket-protocol"], request["transfer-encoding"]) == ("13", "realtime", None)
    switch(exchange, request)
    answer = caller.answer_to(stream)
    caller.until(lambda: answer.fields)
    assert (answer[":status"], answer["x-of-api"], answer["sec-websocket-accept"], answer["connection"], answer["upgrade"]) == ("200", "1", None, None, None)
    caller.data(stream, b"up", end=False)
    assert exchange.read_exactly(2) == b"up"
    exchange.send(b"down")
    caller.until(lambda: answer.content == b"down")
    assert proxy.metrics().sum("tunnels", upstream="api") == 1
    exchange.half_close()
    caller.until(lambda: answer.ended)
    caller.data(stream, b"last", end=True)
    assert exchange.read_exactly(4) == b"last"
    exchange.wait_ended()
    line = proxy.log()[0]
    assert (line["method"], line["status"], line["end"], line["bytes_up"], line["bytes_down"]) == ("GET", 101, "upstream", 6, 4)


def test_a_megabyte_each_way(h2):
    _, up, caller = h2()
    stream, exchange = open_tunnel(up, caller)
    data = os.urandom(1 << 20)
    sender = threading.Thread(target=caller.data, args=(stream, data), kwargs={"end": False})
    sender.start()
    assert exchange.read_exactly(len(data)) == data
    sender.join(SOON)
    sender = threading.Thread(target=exchange.send, args=(data,))
    sender.start()
    answer = caller.answer_to(stream)
    caller.until(lambda: len(answer.content) == len(data))
    assert answer.content == data
    sender.join(SOON)


def test_a_caller_that_resets_the_stream_has_left(h2):
    proxy, up, caller = h2()
    stream, exchange = open_tunnel(up, caller)
    caller.reset_stream(stream, CANCEL)
    exchange.wait_ended()
    assert proxy.log()[0]["end"] == "caller"
    other, exchange = open_tunnel(up, caller)  # the connection goes on
    caller.data(other, b"x", end=False)
    assert exchange.read_exactly(1) == b"x"


def test_idle_resets_the_stream_alone(h2):
    proxy, up, caller = h2(upgrade={"idle": f"{300 * SLOW:g}ms"})
    stream, exchange = open_tunnel(up, caller)
    answer = caller.answer_to(stream)
    caller.until(lambda: answer.reset is not None)
    assert exchange.wait_ended() == "reset"
    assert proxy.log()[0]["end"] == "idle"
    open_tunnel(up, caller)


def test_lifetime_ends_it_in_order(h2):
    proxy, up, caller = h2(upgrade={"lifetime": f"{400 * SLOW:g}ms"})
    stream, exchange = open_tunnel(up, caller)
    answer = caller.answer_to(stream)
    caller.until(lambda: answer.ended)
    exchange.wait_ended()
    assert proxy.log()[0]["end"] == "lifetime"


def test_an_answer_to_another_key_is_a_502(h2):
    _, up, caller = h2()
    stream = ask(caller)
    exchange, request = up.take()
    switch(exchange, request, accept_of("another key"))
    assert caller.recv(stream)[":status"] == "502"
    exchange.wait_ended()


def test_a_refusal_is_an_ordinary_response(h2):
    _, up, caller = h2()
    stream = ask(caller)
    exchange, _ = up.take()
    exchange.answer(403, content=b"no")
    answer = caller.recv(stream)
    assert (answer[":status"], answer.content) == ("403", b"no")


def test_a_protocol_that_is_not_let_through_is_a_501(h2):
    _, up, caller = h2()
    assert caller.recv(ask(caller, "/", "connect-udp"))[":status"] == "501"
    up.must_have_no_connection(0.05)


def test_without_the_key_it_is_not_offered(curfew, upstream):
    up = upstream()
    proxy = curfew(upstreams={"api": {"url": up.url}})
    caller = H2Caller(proxy.address())
    caller.until(lambda: caller.settings)
    assert ENABLE_CONNECT_PROTOCOL not in caller.settings
    stream = ask(caller)
    assert caller.recv(stream).reset is not None
    caller.close()
    up.must_have_no_connection(0.05)


SCRIPT = """
const http2 = require('http2');
const client = http2.connect(process.argv[2]);
client.on('remoteSettings', (settings) => {
  if (!settings.enableConnectProtocol) { console.log('not offered'); process.exit(1); }
  const stream = client.request({':method': 'CONNECT', ':protocol': 'websocket', ':scheme': 'http', ':path': '/ws/echo',
                                 ':authority': 'api', 'sec-websocket-version': '13'});
  stream.on('response', (headers) => {
    const frame = Buffer.from([0x81, 0x85, 0, 0, 0, 0, ...Buffer.from('hello')]);  // masked with zeros
    stream.write(frame);
    stream.on('data', (data) => { console.log(JSON.stringify({status: headers[':status'], data: data.slice(2).toString()})); stream.end(); });
    stream.on('end', () => client.close());
  });
});
"""


def test_node_speaks_it_to_faulty(curfew, faulty, tmp_path):
    proxy = curfew(upstreams={"api": {"url": faulty().url, "upgrade": {}}})
    script = tmp_path / "client.js"
    script.write_text(SCRIPT)
    done = subprocess.run(["node", str(script), proxy.url("/")], capture_output=True, text=True, timeout=30, check=False)
    assert json.loads(done.stdout) == {"status": 200, "data": "hello"}, done.stderr
