"""gRPC callers: what their libraries are told of deadlines, refusals and failures, and what their API is told."""

import json
import signal
import socket

import pytest

from harness.bounds import Stopwatch
from harness.h2 import H2Api
from harness.h2 import INTERNAL_ERROR as API_INTERNAL_ERROR
from harness.h2_caller import CANCEL, INTERNAL_ERROR, NO_ERROR, H2Caller
from harness.peers import ScriptedUpstream

GRPC = ("content-type", "application/grpc+proto")
TE = ("te", "trailers")
MESSAGE = b"\0\0\0\0\3abc"
OK, DEADLINE_EXCEEDED, RESOURCE_EXHAUSTED, UNIMPLEMENTED, INTERNAL, UNAVAILABLE = 0, 4, 8, 12, 13, 14


class Side:
    """An API by either protocol, with the same words to script it."""

    def __init__(self, protocol, script):
        self.protocol, self.script, self.taken = protocol, script, []
        self.server = ScriptedUpstream(self._h1) if protocol == "h1" else H2Api(self._h2)

    @property
    def keys(self):
        http2 = {"h1": {"use": "never"}, "h2": {"use": "always"}, "h2 shared": {"use": "always", "streams": 10}}
        return {"url": self.server.url, "http2": http2[self.protocol]}

    def _h2(self, peer):
        self.script(H2Answer(self, peer))

    def _h1(self, exchange):
        self.script(H1Answer(self, exchange))

    def close(self):
        self.server.close()


class H2Answer:
    def __init__(self, side, peer):
        self.side, self.peer = side, peer

    def take(self, whole=True):
        self.request = self.peer.take(whole=whole)
        fields = dict(self.request.fields)
        self.side.taken.append(fields)
        return fields

    def head(self, *more, end=False):
        self.peer.head(self.request, 200, GRPC, *more, end=end)

    def data(self, content):
        self.peer.data(self.request, content)

    def trailers(self, *fields):
        self.peer.headers(self.request, list(fields), end=True)

    def hang(self):
        self.peer.until(lambda peer: False)

    def end(self):
        self.peer.data(self.request, b"", end=True)

    def die(self):
        self.peer.reset(self.request, API_INTERNAL_ERROR)


class H1Answer:
    def __init__(self, side, exchange):
        self.side, self.exchange = side, exchange

    def take(self, whole=True):
        request = self.exchange.recv_request() if whole else None
        head = request.raw_head if whole else self.exchange.read_until(b"\r\n\r\n")
        fields = {line.split(b":", 1)[0].decode().lower(): line.split(b":", 1)[1].strip().decode() for line in head.split(b"\r\n")[1:] if line}
        self.side.taken.append(fields)
        return fields

    def head(self, *more, end=False):
        framing = "Content-Length: 0" if end else "Transfer-Encoding: chunked"
        lines = ["HTTP/1.1 200 OK", "Content-Type: application/grpc+proto", framing] + [f"{name}: {value}" for name, value in more]
        self.exchange.send("\r\n".join(lines).encode() + b"\r\n\r\n")

    def data(self, content):
        self.exchange.send(b"%x\r\n%s\r\n" % (len(content), content))

    def trailers(self, *fields):
        self.exchange.send(b"0\r\n" + b"".join(f"{name}: {value}\r\n".encode() for name, value in fields) + b"\r\n")

    def end(self):
        self.exchange.send(b"0\r\n\r\n")

    def hang(self):
        self.exchange.wait_ended()

    def die(self):
        self.exchange.reset()


@pytest.fixture(params=["h1", "h2", "h2 shared"])
def gate(request, curfew):
    """(proxy, API, caller) of a script."""
    made = []

    def make(script, top=None, **keys):
        side = Side(request.param, script)
        made.append(side)
        proxy = curfew(upstreams={"api": {"deadline": "5s", **side.keys, **keys}}, top=top)
        caller = H2Caller(proxy.address("api"))
        made.append(caller)
        return proxy, side, caller

    yield make
    for each in made:
        each.close()


def ask(caller, *fields, content=MESSAGE, path="/p.S/M", end=True):
    stream = caller.begin("POST", path, GRPC, TE, *fields, end=False)
    caller.data(stream, content, end=end)
    return caller.recv(stream)


def expect_status(answer, code, *, in_trailers=False):
    """As an answer of trailers alone, or behind what has gone."""
    fields = answer.trailers if in_trailers else answer.fields
    assert answer.status == 200 and answer.ended and fields is not None, (answer.status, answer.fields, answer.reset)
    found = dict(fields)
    assert found["grpc-status"] == str(code) and found["grpc-message"] and found["x-curfew-call"], fields
    if not in_trailers:
        assert answer["content-type"] == GRPC[1] and answer.content == b"" and answer.trailers is None and answer["content-length"] is None
    return found


def test_a_unary_call_comes_through_and_is_counted_by_its_status(gate):
    def script(api):
        api.take()
        api.head()
        api.data(MESSAGE)
        api.trailers(("grpc-status", "5"), ("grpc-message", "no such thing"))

    proxy, api, caller = gate(script)
    answer = ask(caller)
    assert (answer.status, answer.content, answer.trailers) == (200, MESSAGE, [("grpc-status", "5"), ("grpc-message", "no such thing")])
    assert api.taken[0]["te"] == "trailers" and api.taken[0]["content-type"] == GRPC[1]
    proxy.wait_metric("curfew_grpc_completed_total", 1, upstream="api", route="default", code="5")
    assert proxy.metrics().calls("completed", **{"class": "2xx"}) == 1
    [line] = [line for line in proxy.log() if line["outcome"] == "completed"]
    assert (line["status"], line["grpc_status"]) == (200, 5)


def test_trailers_alone_have_a_status_too(gate):
    def script(api):
        api.take()
        api.head(("grpc-status", "12"), end=True)

    proxy, _, caller = gate(script)
    assert ask(caller)["grpc-status"] == "12"
    proxy.wait_metric("curfew_grpc_completed_total", 1, code="12")


@pytest.mark.parametrize("status,code", [("0", "0"), ("16", "16"), ("17", "other"), ("x", "other"), (None, "none")])
def test_each_status_has_its_label(gate, status, code):
    def script(api):
        api.take()
        api.head()
        api.data(MESSAGE)
        if status:
            api.trailers(("grpc-status", status))
        else:
            api.end()

    proxy, _, caller = gate(script)
    assert ask(caller).ended
    proxy.wait_metric("curfew_grpc_completed_total", 1, code=code)


def test_no_series_where_nobody_speaks_grpc(gate):
    def script(api):
        api.take()
        api.head(end=True)

    proxy, _, caller = gate(script)
    assert caller.ask2("GET", "/").status == 200
    assert not proxy.metrics().has("curfew_grpc_completed_total")


# ------------------------------------------------------------------------------------ what a caller is told


def test_a_deadline_before_the_head(gate):
    def script(api):
        api.take()
        api.hang()

    proxy, _, caller = gate(script, deadline="300ms")
    watch = Stopwatch()
    found = expect_status(ask(caller), DEADLINE_EXCEEDED)
    assert 0.29 < watch.elapsed() < 2
    assert found["proxy-status"] == "curfew; error=http_response_timeout" and "phase wait" in found["grpc-message"]
    proxy.wait_metric("curfew_calls_stuck_total", 1, phase="wait")
    [line] = proxy.log()
    assert (line["status"], line["grpc_status"], line["outcome"]) == (200, DEADLINE_EXCEEDED, "stuck")
    assert "grpc-retry-pushback-ms" not in found


@pytest.mark.parametrize("content", [MESSAGE, MESSAGE[:5], b""])
def test_a_deadline_behind_the_head_is_told_in_trailers(gate, content):
    def script(api):
        api.take()
        api.head()
        if content:
            api.data(content)
        api.hang()

    proxy, _, caller = gate(script, deadline="800ms")
    answer = ask(caller)
    if content:
        expect_status(answer, DEADLINE_EXCEEDED, in_trailers=True)
        assert answer.content == content and answer.reset is None
    else:
        code = dict(answer.trailers or answer.fields)["grpc-status"]  # the head goes with the first content
        assert answer.ended and code == str(DEADLINE_EXCEEDED)
    proxy.wait_metric("curfew_calls_stuck_total", 1, phase="receive")


def test_a_deadline_while_the_caller_uploads(gate):
    proxy, _, caller = gate(lambda api: (api.take(whole=False), api.hang()), deadline="300ms")
    stream = caller.begin("POST", "/p.S/M", GRPC, TE, end=False)
    caller.data(stream, MESSAGE, end=False)
    answer = caller.recv(stream)
    expect_status(answer, DEADLINE_EXCEEDED)
    caller.until(lambda: answer.reset is not None)
    assert answer.reset == NO_ERROR


def test_a_deadline_for_a_caller_that_opens_no_window(gate):
    """Trailers need none."""
    def script(api):
        api.take()
        api.head()
        api.data(b"x" * 200_000)
        api.hang()

    proxy, _, caller = gate(script, deadline="1s")
    caller.reads = False
    answer = ask(caller)
    expect_status(answer, DEADLINE_EXCEEDED, in_trailers=True)
    assert len(answer.content) <= 65535


def test_a_full_pool_is_no_reason_to_try_again_at_once(gate):
    proxy, _, caller = gate(lambda api: (api.take(), api.hang()), pool={"size": 1, "queue": 0}, deadline="5s")
    first = caller.begin("POST", "/", GRPC, TE)
    proxy.wait_in_flight(1)
    found = expect_status(ask(caller), RESOURCE_EXHAUSTED)
    assert int(found["grpc-retry-pushback-ms"]) >= 1000 and found["proxy-status"] == "curfew; error=connection_limit_reached"
    caller.reset_stream(first)


def test_the_queue_in_time(gate):
    proxy, _, caller = gate(lambda api: (api.take(), api.hang()), pool={"size": 1, "queue": 5, "queue_timeout": "200ms"})
    caller.begin("POST", "/", GRPC, TE)
    proxy.wait_in_flight(1)
    expect_status(ask(caller), RESOURCE_EXHAUSTED)


@pytest.mark.parametrize("after", [b"", MESSAGE])
def test_an_operator_cuts(gate, after):
    def script(api):
        api.take()
        if after:
            api.head()
            api.data(after)
        api.hang()

    proxy, _, caller = gate(script, deadline="20s")
    stream = caller.begin("POST", "/p.S/M", GRPC, TE)
    proxy.wait_in_flight(1, phase="receive" if after else "wait")
    [call] = proxy.calls()["calls"]
    assert proxy.admin_ask("DELETE", f"/calls/{call['id']}")[0] // 100 == 2
    found = expect_status(caller.recv(stream), DEADLINE_EXCEEDED, in_trailers=bool(after))
    assert "operator" in found["grpc-message"]


def test_a_breaker_that_is_open(gate):
    def script(api):
        api.take()
        api.die()

    proxy, _, caller = gate(script, breaker={"failures": 1, "open": "20s"})
    expect_status(ask(caller), UNAVAILABLE)
    found = expect_status(ask(caller), UNAVAILABLE)
    assert found["proxy-status"] == "curfew; error=destination_unavailable" and 1000 <= int(found["grpc-retry-pushback-ms"]) <= 25000


def test_a_shutdown(gate):
    """Who waits for a permit is to ask elsewhere; who holds one has until the drain is over."""
    proxy, _, caller = gate(lambda api: (api.take(), api.hang()), top={"drain": "1s"}, pool={"size": 1, "queue": 5}, deadline="20s")
    held = caller.begin("POST", "/p.S/M", GRPC, TE)
    proxy.wait_in_flight(1, phase="wait")
    waits = caller.begin("POST", "/p.S/M", GRPC, TE)
    proxy.wait_in_flight(1, phase="queue")
    proxy.process.signal(signal.SIGTERM)
    found = expect_status(caller.recv(waits), UNAVAILABLE)
    assert "grpc-retry-pushback-ms" not in found
    expect_status(caller.recv(held), DEADLINE_EXCEEDED)
    caller.recv_to_end()
    assert proxy.process.wait_exit() == 0


@pytest.mark.parametrize("after", [b"", MESSAGE])
def test_an_api_that_dies_is_unavailable(gate, after):
    def script(api):
        api.take()
        if after:
            api.head()
            api.data(after)
        api.die()

    proxy, _, caller = gate(script)
    answer = ask(caller)
    if after and answer.trailers:
        expect_status(answer, UNAVAILABLE, in_trailers=True)
    else:
        expect_status(answer, UNAVAILABLE)
    assert proxy.metrics().calls("failed") == 1


def test_nobody_listens(gate):
    with socket.socket() as deaf:
        deaf.bind(("127.0.0.1", 0))
        _, _, caller = gate(lambda api: None, url=f"http://127.0.0.1:{deaf.getsockname()[1]}")
        assert expect_status(ask(caller), UNAVAILABLE)["proxy-status"] == "curfew; error=connection_refused"


@pytest.mark.parametrize("fields,code,reason", [
    ([("grpc-timeout", "5x")], INTERNAL, "bad_caller_deadline"),
    ([(f"x-{number}", "y") for number in range(130)], RESOURCE_EXHAUSTED, "head_too_large"),
    ([("content-length", "1"), ("content-length", "2")], INTERNAL, "bad_request"),
])
def test_refused_requests(gate, fields, code, reason):
    proxy, api, caller = gate(lambda api: api.take())
    stream = caller.begin("POST", "/", GRPC, TE, *fields)
    answer = caller.recv(stream)
    if answer.status is None:
        assert reason == "bad_request" and answer.reset  # by the session, before curfew sees it
        return
    expect_status(answer, code)
    assert proxy.metrics().sum("curfew_requests_refused_total", reason=reason) == 1 and not api.taken


def test_of_grpc_web_and_of_callers_over_http1_nothing_changes(gate):
    proxy, _, caller = gate(lambda api: (api.take(), api.hang()), deadline="200ms")
    answer = caller.ask2("POST", "/", ("content-type", "application/grpc-web+proto"), content=MESSAGE)
    assert answer.status == 504 and json.loads(answer.content)["status"] == 504
    assert proxy.ask("POST", "/", "Content-Type: application/grpc", content=MESSAGE, upstream="api").status == 504


# ------------------------------------------------------------------------------------ grpc-timeout


def milliseconds(value):
    return int(value[:-1]) * {"m": 1, "S": 1000, "M": 60_000, "H": 3_600_000, "u": 0.001}[value[-1]]


@pytest.mark.parametrize("asked,least,most", [("2S", 1000, 2000), (None, 4000, 5000), ("1H", 4000, 5000), ("900m", 1, 900)])
def test_what_is_left_is_sent_on(gate, asked, least, most):
    def script(api):
        api.take()
        api.head(("grpc-status", "0"), end=True)

    _, api, caller = gate(script)
    assert ask(caller, *([("grpc-timeout", asked)] if asked else []))["grpc-status"] == "0"
    assert least <= milliseconds(api.taken[0]["grpc-timeout"]) <= most


def test_a_timeout_shortens_the_deadline(gate):
    _, _, caller = gate(lambda api: (api.take(), api.hang()), deadline="5s")
    watch = Stopwatch()
    expect_status(ask(caller, ("grpc-timeout", "300m")), DEADLINE_EXCEEDED)
    assert 0.29 < watch.elapsed() < 2


def test_a_timeout_that_headers_set_or_remove_is_theirs(gate):
    def script(api):
        api.take()
        api.head(("grpc-status", "0"), end=True)

    _, api, caller = gate(script, headers={"remove": ["grpc-timeout"]})
    ask(caller, ("grpc-timeout", "2S"))
    assert "grpc-timeout" not in api.taken[0]
    _, api, caller = gate(script, headers={"set": {"grpc-timeout": "7S"}})
    ask(caller, ("grpc-timeout", "2S"))
    assert api.taken[0]["grpc-timeout"] == "7S"


def test_forward_may_be_grpcs_field(gate):
    def script(api):
        api.take()
        api.head(("grpc-status", "0"), end=True)

    _, api, caller = gate(script, caller_deadline={"headers": ["X-Left"], "forward": "grpc-timeout"})
    ask(caller, ("X-Left".lower(), "2000"))
    caller.ask2("GET", "/", ("x-left", "2000"))
    for taken in api.taken:
        assert 1000 <= milliseconds(taken["grpc-timeout"]) <= 2000 and "x-left" not in taken


# ------------------------------------------------------------------------------------ streams


def test_messages_go_both_ways_one_at_a_time(gate):
    def script(api):
        api.take(whole=False)
        api.head()
        for number in range(3):
            api.data(MESSAGE * (number + 1))
        api.trailers(("grpc-status", "0"))

    _, _, caller = gate(script)
    stream = caller.begin("POST", "/p.S/Chat", GRPC, TE, end=False)
    caller.data(stream, MESSAGE, end=False)
    answer = caller.recv(stream)
    assert answer.content == MESSAGE * 6 and dict(answer.trailers)["grpc-status"] == "0"


def test_a_caller_that_cancels_has_left(gate):
    proxy, _, caller = gate(lambda api: (api.take(), api.hang()), deadline="10s")
    stream = caller.begin("POST", "/", GRPC, TE)
    proxy.wait_in_flight(1, phase="wait")
    caller.reset_stream(stream, CANCEL)
    proxy.wait_metric("curfew_calls_abandoned_total", 1)
    proxy.wait_idle()


def test_an_api_that_resets_behind_the_head_is_told_in_trailers_not_by_a_reset(gate):
    def script(api):
        api.take()
        api.head()
        api.data(MESSAGE)
        api.die()

    proxy, _, caller = gate(script)
    answer = ask(caller)
    assert answer.reset not in (CANCEL, INTERNAL_ERROR)
    assert dict(answer.trailers or answer.fields)["grpc-status"] == str(UNAVAILABLE)
    proxy.wait_metric("curfew_calls_failed_total", 1)
