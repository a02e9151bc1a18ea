"""
The fault matrix of a forward proxy: what becomes of a plain request, of a CONNECT and of its tunnel, in each state and by each event;
and that all of it is given back.

A row: the call's state, the event, what the caller gets (a status; cut: the response or the tunnel ends by a reset; end: in order;
-: nobody is there), and what the log says: outcome, phase, cause, and of a tunnel its end.
"""

import contextlib
import json

import pytest

from harness.bounds import SLOW, poll
from harness.curfew import Curfew, write_config
from harness.peers import DeafListener, ScriptedUpstream
from harness.wire import Cut

LIMIT = f"{int(1000 * SLOW)}ms"  # long enough to get into any state before it; the ClientHello has 5 s
FAR = "60s"

TABLE = """
plain in the queue       | limit              | 504 | stuck queue deadline
plain in the queue       | operator           | 504 | stuck queue operator
plain in the queue       | caller closes      | -   | abandoned queue caller_gone
plain in the queue       | caller resets      | -   | abandoned queue caller_gone
plain connecting         | limit              | 504 | stuck connect deadline
plain connecting         | operator           | 504 | stuck connect operator
plain connecting         | caller closes      | -   | abandoned connect caller_gone
plain connecting         | caller resets      | -   | abandoned connect caller_gone
plain waiting            | limit              | 504 | stuck wait deadline
plain waiting            | operator           | 504 | stuck wait operator
plain waiting            | caller closes      | -   | abandoned wait caller_gone
plain waiting            | caller resets      | -   | abandoned wait caller_gone
plain waiting            | API closes         | 502 | failed wait connection_terminated
plain waiting            | API resets         | 502 | failed wait connection_terminated
plain waiting            | API sends garbage  | 502 | failed wait http_protocol_error
plain receiving          | limit              | cut | stuck receive deadline
plain receiving          | operator           | cut | stuck receive operator
plain receiving          | caller closes      | -   | abandoned receive caller_gone
plain receiving          | caller resets      | -   | abandoned receive caller_gone
plain receiving          | API closes         | cut | failed receive http_response_incomplete
plain receiving          | API resets         | cut | failed receive http_response_incomplete
CONNECT in the queue     | limit              | 504 | stuck queue deadline
CONNECT in the queue     | operator           | 504 | stuck queue operator
CONNECT in the queue     | caller closes      | -   | abandoned queue caller_gone
CONNECT in the queue     | caller resets      | -   | abandoned queue caller_gone
CONNECT connecting       | limit              | 504 | stuck connect deadline
CONNECT connecting       | operator           | 504 | stuck connect operator
CONNECT connecting       | caller closes      | -   | abandoned connect caller_gone
CONNECT connecting       | caller resets      | -   | abandoned connect caller_gone
tunnel before its hello  | limit              | cut | stuck tunnel idle_timeout idle
tunnel before its hello  | operator           | cut | stuck tunnel operator operator
tunnel before its hello  | caller closes      | -   | completed tunnel none caller
tunnel before its hello  | caller resets      | -   | completed tunnel none caller
tunnel before its hello  | caller sends garbage | cut | abandoned tunnel sni error
tunnel before its hello  | API closes         | end | completed tunnel none upstream
tunnel before its hello  | API resets         | cut | failed tunnel http_response_incomplete error
open tunnel              | limit              | cut | stuck tunnel idle_timeout idle
open tunnel              | operator           | cut | stuck tunnel operator operator
open tunnel              | caller closes      | -   | completed tunnel none caller
open tunnel              | caller half-closes | end | completed tunnel none caller
open tunnel              | caller resets      | -   | completed tunnel none caller
open tunnel              | API closes         | end | completed tunnel none upstream
open tunnel              | API resets         | cut | failed tunnel http_response_incomplete error
open tunnel              | API sends garbage  | end | completed tunnel none upstream
"""
ROWS = [tuple(cell.strip() for cell in line.split("|")) for line in TABLE.strip().splitlines()]


def destination(name, hosts, sni="off", pool=None, **tunnel):
    return {"name": name, "hosts": hosts, "addresses": ["127.0.0.0/8"], "tunnel": {"sni": sni, **tunnel}, **({"pool": pool} if pool else {})}


@pytest.fixture(scope="module")
def gateway(tmp_path_factory):
    """(proxy, API, deaf listener). Listener `far` has far limits, `near` near ones; the host says what is in the way."""
    directory, up, deaf = tmp_path_factory.mktemp("curfew"), ScriptedUpstream(), DeafListener()
    ports = [int(one.url.rsplit(":", 1)[1]) for one in (up, deaf)]

    def listener(deadline):
        return {"listen": "127.0.0.1:0", "deadline": deadline, "ports": ports, "keepalive": {"max_idle": 0}, "tunnel": {"idle": deadline}, "destinations": [
            destination("open", "127.0.0.1"), destination("hello", "hello.localhost", sni="match"),
            destination("full", "full.localhost", pool={"size": 1, "queue": 9}, idle=FAR)]}

    write_config(directory / "curfew.yaml", {}, {"admin": {"listen": "127.0.0.1:0"}, "log": {"access": str(directory / "access.log")},
                                                 "forward": {"far": listener(FAR), "near": listener(LIMIT)}})
    proxy = Curfew(directory, directory / "curfew.yaml")
    yield proxy, up, deaf
    proxy.finish()
    up.close()
    deaf.close()


class Fault:
    def __init__(self, gateway, state, event):
        self.proxy, self.up, self.deaf = gateway
        self.kind, self.state = state.split(" ", 1)
        self.listener = "near" if event == "limit" else "far"
        self.caller = self.proxy.caller(self.listener)
        self.name = "{}:{}".format(*self.caller.sock.getsockname())
        self.exchange = self.holder = self.held = None
        self.told = len(self._log())  # a port comes again, so that lines from before may have it too

    def _log(self):
        return self.proxy.access_log.read_text("utf-8") if self.proxy.access_log.exists() else ""

    def request(self, authority, caller=None, connect=None):
        caller = caller or self.caller
        if connect if connect is not None else self.kind != "plain":
            caller.send(f"CONNECT {authority} HTTP/1.1\r\nHost: {authority}\r\n\r\n".encode())
        else:
            caller.request("GET", f"http://{authority}/x")

    def place(self, host, up=None):
        return f"{host}:{(up or self.up).url.rsplit(':', 1)[1]}"

    def enter(self):
        if self.state == "in the queue":
            self.holder = self.proxy.caller(self.listener)
            self.request(self.place("full.localhost"), self.holder, connect=True)
            self.held = self.up.accept()
            assert self.holder.recv_response_head().status == 200
            self.request(self.place("full.localhost"))
            self.proxy.wait_in_flight(1, phase="queue", upstream=self.listener)
        elif self.state == "connecting":
            self.request(self.place("127.0.0.1", self.deaf))
            self.proxy.wait_in_flight(1, phase="connect", upstream=self.listener)
        elif self.kind == "plain":
            self._enter_exchange()
        else:
            self._enter_tunnel()

    def _enter_exchange(self):
        self.request(self.place("127.0.0.1"))
        self.exchange = self.up.accept()
        self.exchange.recv_request()
        if self.state == "receiving":
            self.exchange.send(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf")
            poll(lambda: self.caller.has_bytes(), "the head at the caller")
            self.proxy.wait_in_flight(1, phase="receive", upstream=self.listener)

    def _enter_tunnel(self):
        self.request(self.place("hello.localhost" if self.state == "before its hello" else "127.0.0.1"))
        self.exchange = self.up.accept()
        assert self.caller.recv_response_head().status == 200
        if self.kind == "open":
            self.exchange.send(b"d")
            assert self.caller.read_exactly(1) == b"d"
            self.caller.send(b"u")
            assert self.exchange.read_exactly(1) == b"u"

    def hit(self, event):
        getattr(self, event.replace(" ", "_").replace("-", "_"))()

    def limit(self):
        """It passes by itself."""

    def operator(self):
        listed = [call for call in self.proxy.calls(upstream=self.listener)["calls"] if call["phase"] not in ("tunnel",) or self.kind in ("tunnel", "open")]
        assert len(listed) == 1, listed
        assert self.proxy.admin_ask("DELETE", f"/calls/{listed[0]['id']}")[0] == 200

    def caller_closes(self):
        self.caller.close()

    def caller_resets(self):
        self.caller.reset()

    def caller_half_closes(self):
        self.caller.half_close()
        self.exchange.must_end()
        self.exchange.send(b"last words")
        self.exchange.half_close()
        assert self.caller.read_exactly(10) == b"last words"

    def caller_sends_garbage(self):
        self.caller.send(b"GET / HTTP/1.1\r\n\r\n")

    def API_closes(self):
        self.exchange.half_close()
        if self.kind != "plain":
            self.caller.must_end()
            self.caller.half_close()

    def API_resets(self):
        self.exchange.reset()
        self.exchange = None

    def API_sends_garbage(self):
        self.exchange.send(b"\x00garbage\r\n\r\n")
        if self.kind == "open":
            assert self.caller.read_exactly(12) == b"\x00garbage\r\n\r\n"
            self.API_closes()

    def answered(self, wanted):
        if wanted == "cut":
            with contextlib.suppress(Cut, ConnectionError):
                if self.kind == "plain":
                    raise AssertionError(f"whole: {self.caller.recv_response()}")
                self.caller.must_end()
        elif wanted == "end":
            self.caller.close()
        elif wanted != "-":
            assert self.caller.recv_response().status == int(wanted)

    def line(self):
        """Of the access log, by the caller's port."""
        def find():
            return next((line for line in self._log()[self.told:].splitlines() if f'"caller":"{self.name}"' in line.replace('": "', '":"')), None)

        return json.loads(poll(find, f"a line of the log about {self.name}"))

    def leave(self):
        for one in (self.held, self.holder):
            if one:
                one.close()
        if self.exchange:
            with contextlib.suppress(ConnectionError):
                self.exchange.wait_ended()
            self.exchange.close()
        self.caller.close()


@pytest.mark.parametrize("state, event, answer, told", ROWS, ids=[f"{row[0]}-{row[1]}" for row in ROWS])
def test_row(gateway, state, event, answer, told):
    fault = Fault(gateway, state, event)
    fault.enter()
    fault.hit(event)
    fault.answered(answer)
    line = fault.line()
    assert " ".join([line["outcome"], line["phase"], line["cause"], *([line["end"]] if "end" in line else [])]) == told
    fault.leave()
    sample = fault.proxy.wait_idle()
    assert sample.sum("curfew_pool_held") == sample.sum("curfew_pool_waiting") == sample.sum("curfew_tunnels") == 0
    ended = sum(sample.sum(f"curfew_calls_{outcome}_total") for outcome in ("completed", "stuck", "failed", "rejected", "abandoned"))
    assert sample.sum("curfew_calls_started_total") == ended
    assert sample.sum("curfew_pool_audit_errors_total") == sample.sum("curfew_broken_invariants_total") == 0
