"""Clients as people use them, through curfew to `curfew faulty`: python3-websockets, ws of npm, curl."""

import asyncio
import json
import os
import subprocess

import pytest
import websockets

from harness.bounds import SLOW



@pytest.fixture
def sockets(curfew, faulty):
    def make(upgrade=None, **keys):
        api = faulty()
        return curfew(upstreams={"api": {"url": api.url, "upgrade": {} if upgrade is None else upgrade, **keys}})
    return make


def url(proxy, target):
    host, port = proxy.address()
    return f"ws://{host}:{port}{target}"


def test_python_websockets_talks_through_it(sockets):
    proxy = sockets()

    async def talk():
        async with websockets.connect(url(proxy, "/ws/echo"), max_size=None) as socket:
            await socket.send("hello")
            assert await socket.recv() == "hello"
            big = os.urandom(1 << 20)
            await socket.send(big)
            assert await socket.recv() == big
            await asyncio.wait_for(await socket.ping(), 5)

    asyncio.run(talk())
    line = proxy.log()[0]
    assert (line["status"], line["outcome"], line["end"]) == (101, "completed", "upstream")  # a server closes first (RFC 6455 7.1.1)


def test_python_websockets_sees_a_stall_cut(sockets):
    proxy = sockets({"idle": f"{300 * SLOW:g}ms"})

    async def talk():
        async with websockets.connect(url(proxy, "/ws/stall"), ping_interval=None) as socket:
            await socket.send("hello")
            with pytest.raises(websockets.ConnectionClosed):
                await socket.recv()

    asyncio.run(talk())
    assert proxy.log()[0]["end"] == "idle"


def test_python_websockets_sees_a_refusal(sockets):
    proxy = sockets(pool={"size": 1, "queue": 0})

    async def talk():
        async with websockets.connect(url(proxy, "/ws/echo")):
            with pytest.raises(websockets.InvalidStatusCode) as refused:
                await websockets.connect(url(proxy, "/ws/echo"))
            assert refused.value.status_code == 503

    asyncio.run(talk())


SCRIPT = """
const WebSocket = require('ws');
const socket = new WebSocket(process.argv[2]);
const big = Buffer.alloc(1 << 20, 7);
const seen = [];
socket.on('open', () => { socket.send('hello'); socket.send(big); });
socket.on('message', (data, isBinary) => {
  seen.push(isBinary ? data.equals(big) : data.toString());
  if (seen.length === 2) socket.close(1000, 'done');
});
socket.on('close', (code, reason) => console.log(JSON.stringify({seen, code, reason: reason.toString()})));
socket.on('error', (error) => { console.log(JSON.stringify({error: error.message})); process.exit(1); });
"""


def test_ws_of_npm_talks_through_it(sockets, tmp_path):
    proxy = sockets()
    script = tmp_path / "client.js"
    script.write_text(SCRIPT)
    done = subprocess.run(["node", str(script), url(proxy, "/ws/echo")], capture_output=True, text=True, timeout=30,
                          env={**os.environ, "NODE_PATH": "/usr/share/nodejs"}, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert json.loads(done.stdout) == {"seen": ["hello", True], "code": 1000, "reason": "done"}
    assert proxy.log()[0]["end"] in ("upstream", "caller")  # either may be quicker


def test_curl_gets_the_101_and_what_follows(sockets):
    proxy = sockets({"idle": f"{400 * SLOW:g}ms"})
    done = subprocess.run(
        ["curl", "-sN", "--include", "--http1.1", "--max-time", "10", "-H", "Connection: Upgrade", "-H", "Upgrade: websocket", "-H", "Sec-WebSocket-Version: 13",
         "-H", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", proxy.url("/ws/stall")], capture_output=True, timeout=30, check=False)
    assert done.stdout.startswith(b"HTTP/1.1 101 Switching Protocols\r\n") and b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n" in done.stdout
    assert proxy.log()[0]["end"] in ("idle", "caller")


def test_without_upgrade_a_websocket_client_is_told(curfew, faulty):
    api = faulty()
    proxy = curfew(upstreams={"api": {"url": api.url}})
    done = subprocess.run(["curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", "-H", "Connection: Upgrade", "-H", "Upgrade: websocket",
                           "-H", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", proxy.url("/ws/echo")], capture_output=True, timeout=30, check=False)
    assert done.stdout == b"426"


