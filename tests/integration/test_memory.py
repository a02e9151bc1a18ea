"""Memory is bounded, whatever the size of what goes through and whoever is slow."""

import hashlib
import threading

import pytest

from harness.bounds import SOON
from harness.load import load

pytestmark = pytest.mark.sound_only

SIZE = 64 << 20
MIB = 1 << 20


class _Pump:
    """Sends SIZE bytes from a thread; the digest of what was sent."""

    def __init__(self, peer, before=b""):
        self.digest = hashlib.sha256()
        self.failure = None
        self._thread = threading.Thread(target=self._run, args=(peer, before))
        self._thread.start()

    def _run(self, peer, before):
        try:
            peer.send(before)
            for n in range(SIZE // MIB):
                block = bytes([n]) * MIB
                self.digest.update(block)
                peer.send(block)
        except OSError as error:
            self.failure = error

    def join(self):
        self._thread.join(SOON)
        assert not self.failure, self.failure


def slowly(proxy, peer, pump):
    """Reads SIZE bytes: the first tenth of them in drops, to fill every buffer on the way. Highest growth, digest."""
    before = proxy.process.rss_bytes()
    digest, got, highest, drop = hashlib.sha256(), 0, before, threading.Event()
    while got < SIZE:
        block = peer.read_some()
        got += len(block)
        digest.update(block)
        if got < SIZE // 10:
            drop.wait(0.0005)
        highest = max(highest, proxy.process.rss_bytes())
    pump.join()
    assert digest.digest() == pump.digest.digest(), "the content has changed on its way"
    return highest - before


@pytest.fixture
def warmed(pair):
    """A proxy that has done all kinds of work once."""
    proxy, up = pair(deadline="30s")
    caller = proxy.caller(receive_buffer=16384)
    exchange = None
    for _ in range(3):
        caller.request("POST", "/", content=bytes(300_000))
        exchange = exchange or up.accept()
        exchange.recv_request()
        exchange.answer(content=bytes(300_000))
        assert len(caller.recv_response().content) == 300_000
    proxy.metrics()
    return proxy, caller, exchange


def test_a_large_download_to_a_slow_caller(warmed):
    proxy, caller, exchange = warmed
    caller.request("GET", "/large")
    exchange.recv_request()
    pump = _Pump(exchange, b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % SIZE)
    assert caller.recv_response_head().status == 200
    growth = slowly(proxy, caller, pump)
    assert growth < MIB, f"grew by {growth} bytes"


def test_a_large_upload_to_a_slow_upstream(warmed):
    proxy, caller, exchange = warmed
    pump = _Pump(caller, b"PUT /large HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % SIZE)
    assert exchange.recv_head().method == "PUT"
    growth = slowly(proxy, exchange, pump)
    assert growth < MIB, f"grew by {growth} bytes"
    exchange.answer()
    assert caller.recv_response().status == 200


def test_a_second_round_of_load_needs_no_more_memory(curfew, faulty):
    api = faulty()
    proxy = curfew(url=api.url, deadline="500ms", pool={"size": 50, "queue": 200}, top={"workers": 2})

    def round_of_load():
        load(proxy.address(), "/stuck", "/delay/30", "/drip/10", "/bytes/50000", calls=2500, rate=2500)
        metrics = proxy.wait_idle()
        proxy.wait_metric("curfew_connections", 0, side="downstream")
        assert metrics.calls("stuck") > 0 and metrics.calls("rejected") > 0
        return proxy.process.rss_bytes(), proxy.process.descriptors()

    round_of_load()
    first, first_descriptors = round_of_load()
    second, second_descriptors = round_of_load()
    assert second <= first * 1.10, f"{first} bytes after one round, {second} after the next"
    assert second_descriptors <= first_descriptors + 70, "descriptors leak"


@pytest.mark.one_worker
def test_idle_connections_cost_little(pair):
    """A connection that waits for its next request holds no buffer."""
    proxy, up = pair()
    exchange, callers = None, []
    before = proxy.process.rss_bytes()
    for _ in range(500):
        callers.append(proxy.caller())
        callers[-1].request()
        exchange = exchange or up.accept()
        exchange.recv_request()
        exchange.answer()
        assert callers[-1].recv_response().status == 200
    per_connection = (proxy.process.rss_bytes() - before) / 500
    assert per_connection < 4096, f"{per_connection:.0f} bytes a connection"
