"""The tables of frames (frames/), case by case: what comes of it, and that nobody else is harmed."""

import contextlib
import threading

import pytest

from frames import apis as api_cases
from frames import callers
from frames.words import ANSWERED, BESIDE, END_HEADERS, END_STREAM, HEADERS, INTERIM, PING
from harness.curfew import Curfew, write_config
from harness import h2
from harness.h2 import H2Api, settings
from harness.h2_caller import Answer, H2Caller
from harness.peers import ScriptedCaller, ScriptedUpstream
from harness.wire import Cut, parse_response


def allowed(text):
    return [one.strip() for one in text.split("|")]


def ids(cases):
    return [f"{section} {name}" for section, name, *_ in cases]


def curfew_in(directory, keys):
    write_config(directory / "curfew.yaml", {"api": keys},
                 {"workers": 1, "admin": {"listen": "127.0.0.1:0"}, "log": {"access": str(directory / "access.log")}})
    return Curfew(directory, directory / "curfew.yaml")


# ------------------------------------------------------------------------------------------------ callers to curfew


class HoldingApi:
    """It answers at once, but for /beside and /held: when it is told to, or never if its caller leaves."""

    def __init__(self):
        self.has_beside = threading.Semaphore(0)
        self.released = threading.Event()
        self.server = ScriptedUpstream(self._serve)

    def _serve(self, exchange):
        request = exchange.recv_request()
        if request.target in ("/beside", "/held"):
            released = self.released
            if request.target == "/beside":
                self.has_beside.release()
            while not released.wait(0.005):
                if exchange.ended():
                    return False
        exchange.answer(content=b"ok")
        return True

    def release(self):
        self.released.set()
        self.released = threading.Event()


class Caller(H2Caller):
    """Its connection's compression has no state that a case could find."""

    def hold(self, api):
        self.put(HEADERS, END_HEADERS | END_STREAM, 1, BESIDE)
        assert api.has_beside.acquire(timeout=self.timeout), "the API has not got the call"

    def what_comes(self, wanted):
        """Of stream 3, or of the connection, once it has read all that was sent."""
        self.put(PING, 0, 0, b"question")
        answer = self.answer_to(3)
        try:
            self.until(lambda: answer.ended or answer.reset is not None or "ignored" in wanted and self.pongs)
        except (Cut, ConnectionError):
            return f"goaway {self.goaways[-1][1]}" if self.goaways else "closed"
        if answer.ended:
            return str(answer.status)
        return "ignored" if answer.reset is None else f"rst {answer.reset}"


@pytest.fixture(scope="module")
def front(tmp_path_factory):
    """One curfew for all callers, and a caller beside them."""
    api = HoldingApi()
    proxy = curfew_in(tmp_path_factory.mktemp("callers"), {"url": api.server.url, "deadline": "30s"})
    proxy.api, proxy.beside = api, H2Caller(proxy.address("api"))
    proxy.callers.append(proxy.beside)
    yield proxy
    api.release()
    proxy.finish()
    api.server.close()


def send(caller, steps):
    """The bytes of a case. Its steps have their effects, one after the other."""
    for step in steps if isinstance(steps, list) else [steps]:
        if step == ANSWERED:
            assert caller.recv(3).status == 200
            caller.answers[3] = Answer()
        else:
            caller.send(step)


@pytest.mark.parametrize("case", callers.CASES, ids=ids(callers.CASES))
def test_what_callers_send(front, case):
    _, _, steps, reaction = case
    caller = Caller(front.address("api"))
    try:
        caller.hold(front.api)
        send(caller, steps)
        came = caller.what_comes(allowed(reaction))
        assert came in allowed(reaction), f"{came}, GOAWAY {caller.goaways}"
        front.api.release()
        if not came.startswith(("goaway", "closed")):
            held = caller.recv(1)
            assert (held.status, held.content, held.reset) == (200, b"ok", None), "the call beside it"
    finally:
        front.api.release()
        caller.close()
    assert front.beside.ask2("GET", "/").status == 200, "the connection beside it"


@pytest.mark.parametrize("case", callers.FIRST, ids=ids(callers.FIRST))
def test_how_callers_begin(front, case):
    _, _, data, reaction = case
    caller = ScriptedCaller(front.address("api"))
    front.callers.append(caller)
    caller.send(data)
    caller.half_close()
    came = "closed"
    try:
        text = caller.read_all()
    except Cut as cut:
        text = cut.content
    if text.startswith(b"HTTP/"):
        came = f"http/1.1 {parse_response(text[:text.index(b'%c%c%c%c' % (13, 10, 13, 10)) + 4]).status}"
    while text and not came.startswith("http"):
        size, kind, payload = int.from_bytes(text[:3], "big"), text[3], text[9:]
        if kind == 7:
            came = f"goaway {int.from_bytes(payload[4:8], 'big')}"
        text = payload[size:]
    assert came in allowed(reaction)
    assert front.beside.ask2("GET", "/").status == 200, "the connection beside it"


# --------------------------------------------------------------------------------------------------- APIs to curfew


class Apis:
    """One curfew to one API, where each case has a connection of its own."""

    def __init__(self, directory):
        self.api = H2Api(greeting=settings(streams=100))
        self.proxy = curfew_in(directory, {"url": self.api.url, "deadline": "30s", "http2": {"use": "always", "streams": 10}})

    def open(self):
        """(the connection, the caller of stream 1, the one of stream 3)"""
        beside = self.proxy.caller()
        beside.request("GET", "/beside")
        peer = self.api.accept()
        peer.beside = peer.take()
        peer.ping()  # by now curfew knows how many streams there may be
        peer.asked = peer.pongs
        caller = self.proxy.caller()
        caller.request("GET", "/case")
        peer.case = peer.take()
        assert (peer.beside.stream, peer.case.stream) == (1, 3)
        return peer, beside, caller

    def must_serve(self):
        """The next call, on a connection of its own."""
        caller = self.proxy.caller()
        caller.request("GET", "/next")
        peer = self.api.accept()
        peer.answer(peer.take(), content=b"next")
        assert caller.recv_response().content == b"next"
        end(peer)
        caller.close()


def end(peer):
    """In order, so that no call is on its way to it."""
    with contextlib.suppress(Cut, OSError):
        peer.go_away(2 ** 31 - 1)
        peer.until(lambda peer: False)
    peer.close()


@pytest.fixture(scope="module")
def apis(tmp_path_factory):
    made = Apis(tmp_path_factory.mktemp("apis"))
    yield made
    made.proxy.finish()
    made.api.close()


def what_the_api_hears(peer):
    """Once curfew has read all that was sent, and, a second PING later, has answered it."""
    try:
        for _ in range(2):
            with contextlib.suppress(ConnectionError):  # what it has said before its end is still to be read
                peer.send(h2.frame(PING, payload=b"question"))
            peer.asked += 1
            peer.until(lambda peer: peer.pongs >= peer.asked)
    except (Cut, ConnectionError):
        return f"goaway {peer.goaway[1]}" if peer.goaway else "closed"
    return f"rst {peer.resets[3]}" if 3 in peer.resets else ""


def what_the_caller_gets(caller):
    try:
        return str(caller.recv_response().status)
    except Cut:
        return "cut"


@pytest.mark.parametrize("case", api_cases.CASES, ids=ids(api_cases.CASES))
def test_what_apis_send(apis, case):
    _, _, steps, reaction = case
    peer, beside, caller = apis.open()
    try:
        answered = False
        for step in steps if isinstance(steps, list) else [steps]:
            if step == ANSWERED:
                assert caller.recv_response().status == 200
                answered = True
            elif step == INTERIM:
                assert caller.recv_response_head().status == 103
            else:
                peer.send(step)
        came = what_comes_of(peer, caller, answered, "ignored" in allowed(reaction))
        assert came in allowed(reaction), f"{came}, GOAWAY {peer.goaway}"
        if came.startswith("goaway"):
            assert what_the_caller_gets(beside) == "502"
        else:
            peer.answer(peer.beside, content=b"beside")
            assert beside.recv_response().content == b"beside", "the call beside it"
    finally:
        end(peer)
        beside.close()
        caller.close()
    apis.must_serve()


def what_comes_of(peer, caller, answered, may_go_on):
    heard = what_the_api_hears(peer)
    if heard.startswith(("goaway", "closed")):
        assert answered or what_the_caller_gets(caller) in ("502", "cut")
        return heard
    if may_go_on and not heard:
        if not answered:
            peer.answer(peer.case)
            assert caller.recv_response().status == 200
        return "ignored"
    return f"{what_the_caller_gets(caller)} {heard}".strip()


@pytest.mark.parametrize("case", api_cases.FIRST, ids=ids(api_cases.FIRST))
def test_how_apis_begin(apis, case):
    caller = apis.proxy.caller()
    caller.request("GET", "/case")
    apis.api.greeting = b""
    peer = apis.api.accept()
    apis.api.greeting = settings(streams=100)
    try:
        peer.send(case[2])
        assert what_the_caller_gets(caller) == "502"
    finally:
        peer.close()
        caller.close()
    apis.must_serve()
