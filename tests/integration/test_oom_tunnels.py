"""Tunnels, and connections through a proxy, whose memory runs out: each allocation of each scenario fails once."""

import contextlib

import pytest

from harness import problem
from harness.faults import ALLOC, WORKERS, each_fault
from harness.h2_caller import H2Caller
from harness.wire import Cut
from test_h2_tunnels import accept_of, ask
from test_websockets import ASK_BYTES


class Unserved(Exception):
    """curfew has answered that it has no memory."""


class Api:
    """Switches to whatever is asked for, and sends back what comes."""

    def __init__(self, upstream):
        self.upstream = upstream(self._serve)

    @staticmethod
    def _serve(exchange):
        head = exchange.recv_head()
        exchange.send(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                      b"Sec-WebSocket-Accept: " + accept_of(head["sec-websocket-key"]).encode() + b"\r\n\r\nhello")
        with contextlib.suppress(Cut, OSError):
            while data := exchange.read_some():
                exchange.send(data)
        return False


def by_http1(proxy):
    caller = proxy.caller()
    try:
        caller.send(ASK_BYTES + b"early")
        response = caller.recv_response_head()
        if response.status != 101:
            problem.parse(caller.recv_content(response) or response)
            raise Unserved(response.status)
        assert caller.read_exactly(10) == b"helloearly"
        caller.send(b"x" * 5000)
        assert caller.read_exactly(5000) == b"x" * 5000
    except (ConnectionResetError, BrokenPipeError) as error:
        raise Cut("reset") from error
    finally:
        caller.close()


def by_http2(proxy):
    caller = H2Caller(proxy.address())
    try:
        stream = ask(caller)
        answer = caller.answer_to(stream)
        caller.until(lambda: answer.fields or answer.reset is not None)
        if answer.reset is not None or answer[":status"] != "200":
            raise Unserved("the stream")
        caller.data(stream, b"x" * 5000, end=False)
        caller.until(lambda: answer.reset is not None or len(answer.content) == 5005)
        if answer.reset is not None:
            raise Unserved("the stream")
        assert answer.content == b"hello" + b"x" * 5000
    except (ConnectionResetError, BrokenPipeError) as error:
        raise Cut("reset") from error
    finally:
        caller.close()


def endure(proxy, faults, scenario):
    scenario(proxy)  # what is made once and kept
    proxy.wait_idle()
    for nth in each_fault(faults, ALLOC, 1, threads=WORKERS):
        try:
            scenario(proxy)
        except (Cut, Unserved) as end:
            assert faults.failed, f"{end!r} without a fault"
        except AssertionError as wrong:
            raise AssertionError(f"fault {nth}: {wrong}\n{proxy.process.stderr.text()}") from wrong
        faults.disarm()
        assert proxy.process.is_running(), f"fault {nth} has ended it:\n{proxy.process.stderr.text()}"
        proxy.wait_idle()
        scenario(proxy)
        proxy.wait_idle()
        proxy.wait_metric("curfew_connections", 0, side="upstream")


@pytest.mark.parametrize("scenario", [by_http1, by_http2], ids=lambda scenario: scenario.__name__)
def test_a_tunnel_without_memory(curfew, faults, upstream, scenario):
    api = Api(upstream)
    proxy = curfew(url=api.upstream.url, env=faults.env, deadline="30s", upgrade={}, keepalive={"max_idle": 0})
    endure(proxy, faults, scenario)
    sample = proxy.metrics()
    assert sample.sum("tunnels") == 0 and sample.calls("stuck") == 0


def test_a_connection_through_a_proxy_without_memory(curfew, faults, upstream, certificates):
    def be_both(exchange):
        exchange.read_until(b"\r\n\r\n")
        exchange.send(b"HTTP/1.1 200 OK\r\nX-Long: " + b"y" * 3000 + b"\r\n\r\n")
        with contextlib.suppress(OSError):
            secured = type(exchange)(certificates.server("server").wrap_socket(exchange.sock, server_side=True))
            secured.recv_request()
            secured.answer(content=b"well")
        return False

    def call(proxy):
        caller = proxy.caller()
        try:
            caller.request()
            response = caller.recv_response()
        except (ConnectionResetError, BrokenPipeError) as error:
            raise Cut("reset") from error
        finally:
            caller.close()
        if response.status in (500, 502):
            raise Unserved(response.status)
        assert response.content == b"well"

    corp = upstream(be_both)
    proxy = curfew(url="https://api.test", env=faults.env, deadline="30s", proxy=corp.url, keepalive={"max_idle": 0}, tls={"ca_file": certificates.ca})
    call(proxy)
    for _ in each_fault(faults, ALLOC, 7, threads=WORKERS):
        with contextlib.suppress(Cut, Unserved):
            call(proxy)
        faults.disarm()
        assert proxy.process.is_running(), proxy.process.stderr.text()
        proxy.wait_idle()
        call(proxy)


