"""Under a steady load: reloads, good and bad, and restarts whose listeners somebody else holds. No call is lost."""

import signal
import socket
import threading

import pytest

from harness.bounds import SANITIZED, SLOW, SOON, poll
from harness.curfew import write_config
from harness.load import load
from harness.metrics import Metrics
from harness.peers import ScriptedCaller
from harness.service import hand_over, wait_ready

pytestmark = pytest.mark.alone

RATE = 200 if SANITIZED else 1000
DEADLINE_S = 5 * SLOW


class Background:
    """The load, while the test does other things."""

    def __init__(self, address, calls):
        self.result = None
        self._thread = threading.Thread(target=self._run, args=(address, calls), daemon=True)
        self._thread.start()

    def _run(self, address, calls):
        self.result = load(address, "/delay/5", calls=calls, rate=RATE)

    def is_running(self):
        return self._thread.is_alive()

    def join(self):
        self._thread.join(40 * SLOW)
        assert self.result is not None, "the load has not ended"
        return self.result


def must_all_be_answered(result, calls):
    assert result.completed == calls and result.statuses == {200: calls}, result


def test_twenty_reloads_good_and_bad_in_turn(curfew, faulty):
    api = faulty()
    keys = {"url": api.url, "deadline": f"{DEADLINE_S:g}s", "pool": {"size": 50, "queue": 2000}}
    proxy = curfew(upstreams={"api": keys}, top={"workers": 2})
    calls = 8 * RATE
    background = Background(proxy.address(), calls)
    for n in range(20):
        if n % 2 == 0:
            size = 20 + 5 * (n % 7)
            proxy.rewrite({"api": {**keys, "pool": {"size": size, "queue": 2000}}, f"other{n}": keys}, workers=2)
        else:
            proxy.rewrite({"api": {**keys, "pool": {"size": 0}}}, workers=2)
        assert background.is_running()
        assert proxy.reload()[0] == (200 if n % 2 == 0 else 422)
        proxy.metrics()  # which has to add up at each instant
    must_all_be_answered(background.join(), calls)
    metrics = proxy.wait_idle()
    assert metrics.sum("curfew_config_reloads_total", result="success") == 10
    assert metrics.sum("curfew_config_reloads_total", result="failure") == 10
    assert metrics.calls("completed", upstream="api") == calls
    assert metrics.sum("curfew_pool_acquired_total", pool="api") == calls


def scrape(address):
    caller = ScriptedCaller(address)
    try:
        metrics = Metrics(caller.ask("GET", "/metrics", "Connection: close").content.decode())
    finally:
        caller.close()
    metrics.must_add_up()
    return metrics


def test_five_restarts_with_the_listeners_held(tmp_path, faulty):
    """The test holds the sockets, as systemd does for a service with a socket unit."""
    api = faulty()
    config = tmp_path / "curfew.yaml"
    calls = 8 * RATE
    with socket.create_server(("127.0.0.1", 0), backlog=4096) as api_socket, \
            socket.create_server(("127.0.0.1", 0), backlog=64) as admin_socket:
        write_config(config, {"api": {"url": api.url, "deadline": f"{DEADLINE_S:g}s",
                                      "pool": {"size": 50, "queue": 2000}}},
                     {"workers": 2, "admin": {"listen": "127.0.0.1:0"}, "log": {"access": "off"}, "drain": "10s"})

        def start():
            process = hand_over(config, [api_socket, admin_socket], ["api", "admin"])
            wait_ready(process)
            return process

        process = start()
        try:
            background = Background(api_socket.getsockname(), calls)
            for _ in range(5):
                poll(lambda: scrape(admin_socket.getsockname()).calls("completed") > RATE / 4, "calls", SOON)
                assert background.is_running()
                process.signal(signal.SIGTERM)
                assert process.wait_exit(15 * SLOW) == 0
                process.must_be_clean()
                assert "all calls have ended" in process.stderr.text()
                process = start()
            must_all_be_answered(background.join(), calls)
            metrics = poll(lambda: None if (m := scrape(admin_socket.getsockname())).why_not_idle() else m, "idle")
            assert metrics.sum("curfew_pool_held") == 0
        finally:
            process.signal(signal.SIGTERM)
            assert process.wait_exit(15 * SLOW) == 0
        process.must_be_clean()
