"""
Without memory. In every scenario here each allocation fails once: the first, the second, and so on, until the scenario
runs through without meeting the fault. `make oom` does that for all (test_oom_*.py too); scripts/test takes samples
of the long scenarios.
"""

import contextlib
import http.client
import itertools
import ssl
import threading

import pytest

from harness import bounds, problem
from harness.bounds import SLOW, SOON, poll, readable
from harness.faults import ALLOC, MAIN, WORKERS, each_fault
from harness.h2 import H2Api
from harness.h2_caller import INTERNAL_ERROR, REFUSED_STREAM, H2Caller
from harness.wire import Cut


# -------------------------------------------------------------------------------------- in a call


class Unserved(Exception):
    """curfew has answered that it could not."""


class Api:
    """An upstream that answers, but for /bystander, which waits until it is released."""

    def __init__(self, upstream, **more):
        self.waiting, self.release = threading.Event(), threading.Event()
        self.asked, self.left = threading.Event(), threading.Event()
        self.failed = set()
        self.upstream = upstream(self._serve, **more)

    def _serve(self, exchange):
        try:
            return self._answer(exchange)
        except ssl.SSLError as error:  # an alert: curfew has given up
            raise Cut("reset") from error

    def _answer(self, exchange):
        request = exchange.recv_head()
        if request["expect"]:
            exchange.send(b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n")
        exchange.recv_content_of(request)
        if request.target == "/bystander":
            self.waiting.set()
            self.release.wait(bounds.TEST)
        if request.target == "/never":
            self.asked.set()
            readable(exchange.sock, bounds.TEST)
            self.left.set()
            return False
        if request.target == "/slow" and request["x-key"] not in self.failed:
            self.failed.add(request["x-key"])
            if readable(exchange.sock, 0.1 * SLOW):  # another try has been quicker
                return False
        if request.target == "/second" and request["x-key"] not in self.failed:
            self.failed.add(request["x-key"])
            exchange.answer(503, content=b"not now")
        elif request.target == "/chunked":
            exchange.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n"
                          b"4;x=y\r\ndefg\r\n0\r\nX-After: 1\r\n\r\n")
        elif request.target == "/stream":
            exchange.send(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
                          b"7\r\n: warm\n\r\n1\r\n\n\r\n9\r\ndata: 1\n\n\r\n")
            exchange.send(b"bbb\r\ndata: " + bytes(2995) + b"\n\n\r\n0\r\nX-After: 1\r\n\r\n")
        elif request.target == "/close":
            exchange.send(b"HTTP/1.1 200 OK\r\n\r\nuntil the end")
            return False
        else:
            exchange.answer(content=LARGE if request.target == "/large" else request.content)
        return True


LARGE = bytes(range(256)) * 3000


def _final(caller, *statuses):
    """The response; curfew's own for want of memory is Unserved."""
    response = caller.recv_response()
    if response.status in statuses:
        problem.parse(response)
        raise Unserved(f"{response.status}")
    assert response.status == 200, (response, response.content)
    return response


@contextlib.contextmanager
def _calling(proxy, **more):
    caller = proxy.caller(**more)
    try:
        yield caller
    except (ConnectionResetError, BrokenPipeError) as error:
        raise Cut("reset") from error
    finally:
        caller.close()


def post(proxy, *statuses):
    """`statuses` are those that curfew may answer with."""
    with _calling(proxy) as caller:
        caller.request("POST", "/", content=b"to and fro")
        assert _final(caller, *statuses).content == b"to and fro"


def two_on_one_connection(proxy):
    with _calling(proxy) as caller:
        for content in (b"one", b"two"):
            caller.request("POST", "/", content=content)
            assert _final(caller, 500).content == content


def chunked_both_ways(proxy):
    with _calling(proxy) as caller:
        caller.request("POST", "/chunked", "Transfer-Encoding: chunked", "Expect: 100-continue",
                       content=b"5\r\nhello\r\n0\r\nX-Trailer: 1\r\n\r\n")
        response = _final(caller, 500)
        assert response.content == b"abcdefg" and response.trailers.get("x-after") == "1"


def until_the_end(proxy):
    with _calling(proxy) as caller:
        caller.request("GET", "/close")
        assert _final(caller, 500).content == b"until the end"


def large_and_slowly_read(proxy):
    with _calling(proxy, receive_buffer=4096) as caller:
        caller.request("GET", "/large")
        response = caller.recv_response_head()
        if response.status == 200:
            readable(caller.sock, 0.005)
        caller.recv_content(response)
        if response.status == 500:
            raise Unserved("500")
        assert response.content == LARGE


def large_upload(proxy):
    with _calling(proxy) as caller:
        caller.request("POST", "/", content=LARGE)
        assert _final(caller, 500).content == LARGE


def large_head(proxy):
    with _calling(proxy) as caller:
        caller.request("POST", "/", *(f"X-{n}: {'y' * 1000}" for n in range(25)), content=b"z")
        assert _final(caller, 500).content == b"z"


def bad_request(proxy):
    with _calling(proxy) as caller:
        caller.send(b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n")
        response = caller.recv_response()
        if response.status == 500:
            raise Unserved("500")
        assert response.status == 400


SCENARIOS = [post, two_on_one_connection, chunked_both_ways, until_the_end, large_and_slowly_read, large_upload, large_head,
             bad_request]


def stream(proxy, content):
    with _calling(proxy) as caller:
        caller.request("GET", "/stream")
        assert _final(caller, 500).content == content


@pytest.fixture
def service(curfew, faults, upstream):
    """A proxy with faults, and a call that waits at the upstream through all of them."""
    made = []

    def make(named=None, upstream_options=None, wrap=(), **keys):
        api = Api(upstream, **(upstream_options or {}))
        made.append(api)
        url = api.upstream.named(named) if named else api.upstream.url
        proxy = curfew(url=url, env=faults.env, wrap=wrap, **{"deadline": "10m", "keepalive": {"max_idle": 0}, **keys})
        bystander = proxy.caller()
        bystander.request("POST", "/bystander", content=b"still there")
        assert api.waiting.wait(SOON)
        return proxy, api, bystander

    yield make
    for api in made:
        api.release.set()


def endure(service, faults, scenario, *args, stride=1):
    """
    Runs the scenario once for each fault, and once without after each. It may fail only where it met a fault; nothing may
    be left of it, and the call that waited all the while is served.
    """
    proxy, api, bystander = service
    ends = []
    scenario(proxy, *args)  # what is made once and kept
    _callers_have_gone(proxy)
    for nth in each_fault(faults, ALLOC, stride, threads=WORKERS):
        try:
            scenario(proxy, *args)
        except (Cut, Unserved) as end:
            assert faults.failed, f"{end!r} without a fault"
            ends.append(end)
        except AssertionError as wrong:
            raise AssertionError(f"fault {nth}: {wrong}\n{proxy.process.stderr.text()}") from wrong
        faults.disarm()
        _must_be_sound(proxy, nth)
        scenario(proxy, *args)
        _callers_have_gone(proxy)
    api.release.set()
    assert bystander.recv_response().content == b"still there"
    return proxy.wait_idle(), ends


def _callers_have_gone(proxy):
    """All but the one who waits: their buffers are at hand for the next one."""
    proxy.wait_metric("curfew_connections", 1, side="downstream")


def _must_be_sound(proxy, nth):
    assert proxy.process.is_running(), f"fault {nth} has ended it:\n{proxy.process.stderr.text()}"
    for name, labels in (("curfew_calls_in_flight", {}), ("curfew_pool_held", {}),
                         ("curfew_connections", {"side": "upstream"})):
        proxy.wait_metric(name, 1, **labels)


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.__name__)
def test_a_call_without_memory(service, faults, scenario):
    metrics, _ = endure(service(), faults, scenario, *([500] if scenario is post else []))
    # Nobody else is blamed.
    assert metrics.calls("abandoned") == metrics.calls("stuck") == metrics.calls("rejected") == 0
    assert metrics.calls("failed") == metrics.calls("failed", reason="proxy_internal_error")


@pytest.mark.parametrize("commit", ["head", "event"])
def test_a_stream_without_memory(service, faults, commit):
    events = b"data: 1\n\ndata: " + bytes(2995) + b"\n\n"
    content = (b": warm\n\n" if commit == "head" else b"") + events
    keys = {"streams": {"commit": commit}, "timeouts": {"min_rate": {}}}
    metrics, _ = endure(service(**keys), faults, stream, content)
    assert metrics.calls("failed") == metrics.calls("failed", reason="proxy_internal_error")


def test_a_head_that_grows_without_memory_is_answered(service, faults):
    """From the first buffer on there is an answer: no more connections are cut than with a small head."""
    ended = [endure(service(), faults, scenario, *args)[1] for scenario, *args in ((post, 500), (large_head,))]
    cut = [sum(isinstance(end, Cut) for end in ends) for ends in ended]
    assert cut[1] <= cut[0], ended


def test_a_call_to_a_kept_connection_without_memory(service, faults):
    endure(service(keepalive={"max_idle": 8}), faults, post, 500)


def test_a_call_that_is_tried_again_without_memory(service, faults):
    """Without memory for another try, its caller has the API's answer to the first one."""
    keys = itertools.count()

    def again(proxy):
        with _calling(proxy) as caller:
            caller.request("POST", "/second", f"X-Key: {next(keys)}", "Idempotency-Key: k", content=b"twice")
            response = caller.recv_response()
            if response.status == 503 and response.content == b"not now":
                raise Unserved("503")
            if response.status == 500:
                problem.parse(response)
                raise Unserved("500")
            assert (response.status, response.content) == (200, b"twice")

    retries = {"attempts": 2, "when": [503], "backoff": {"base": "1ms", "max": "1ms"}, "budget": {"share": "100%", "burst": 1000}}
    metrics, _ = endure(service(retries=retries), faults, again)
    assert metrics.calls("abandoned") == metrics.calls("stuck") == metrics.calls("rejected") == 0
    assert metrics.calls("failed") == metrics.calls("failed", reason="proxy_internal_error")


def test_a_call_that_is_hedged_without_memory(service, faults):
    """Without memory for a second try the first one goes on."""
    keys = itertools.count()

    def hedged(proxy):
        with _calling(proxy) as caller:
            caller.request("POST", "/slow", f"X-Key: {next(keys)}", "Idempotency-Key: k", content=b"twice")
            assert _final(caller, 500).content == b"twice"

    retries = {"attempts": 2, "per_try": f"{10 * SLOW:g}ms", "budget": {"share": "100%", "burst": 1000}}
    metrics, _ = endure(service(retries=retries, hedge=True), faults, hedged)
    assert metrics.calls("abandoned") == metrics.calls("stuck") == metrics.calls("rejected") == 0
    assert metrics.calls("failed") == metrics.calls("failed", reason="proxy_internal_error")
    assert metrics.sum("tries_started_total", kind="hedge") > 10


POLICIES = {
    "everything idle": {"retries": {"attempts": 3, "per_try": "10s"}, "breaker": {}, "streams": {}, "addresses": {"eject": {}}, "late": True,
                        "pool": {"size": 5, "least": "p95", "linger": "20ms", "adapt": {"when": [503]}, "share_by": "X-Tenant",
                                 "rate": {"limit": "100000/s", "burst": 1000}, "pause": {"statuses": [429], "max": "1s"}}},
    "rate": {"pool": {"size": 2, "queue": 5, "rate": {"limit": "300/s", "burst": 1}}},
    "least and shares": {"pool": {"size": 2, "queue": 5, "least": "p95", "share_by": "caller"}},
}


@pytest.mark.parametrize("policy", POLICIES)
def test_a_call_under_a_policy_without_memory(service, faults, policy):
    """Nobody is blamed, and nothing is taken that does not come back: no permit, no place of a probe, no share of the queue."""
    metrics, _ = endure(service(**POLICIES[policy]), faults, post, 500)
    assert metrics.calls("abandoned") == metrics.calls("stuck") == metrics.calls("rejected") == 0
    assert metrics.calls("failed") == metrics.calls("failed", reason="proxy_internal_error")
    assert metrics.sum("curfew_breaker_opened_total") == 0


def survive(proxy, faults, scenario):
    """As endure(), where no other call waits all the while."""
    scenario(proxy)  # a sanitizer needs memory for a thread that begins: the workers have
    for nth in each_fault(faults, ALLOC, threads=WORKERS):
        with contextlib.suppress(Cut, Unserved):
            scenario(proxy)
        faults.disarm()
        assert proxy.process.is_running(), f"fault {nth}:\n{proxy.process.stderr.text()}"
        scenario(proxy)


def test_a_pause_without_memory(curfew, faults, upstream):
    """It begins, or does not, and ends: no call is held up for longer than it."""
    answers = itertools.count()

    def answer(exchange):
        exchange.recv_request()
        if next(answers) % 2 == 0:
            exchange.answer(429, "Retry-After: 0.01", content=b"later")
        else:
            exchange.answer(content=b"ok")

    proxy = curfew(url=upstream(answer).url, env=faults.env, deadline="20s", keepalive={"max_idle": 0},
                   pool={"size": 2, "pause": {"statuses": [429], "max": "1s"}, "adapt": {"when": [429]}})

    def two(proxy):
        with _calling(proxy) as caller:
            for status in 429, 200:
                caller.request("GET", "/")
                response = caller.recv_response()
                if response.status == 500:
                    raise Unserved("500")
                assert response.status in (429, 200), (status, response)

    survive(proxy, faults, two)
    metrics = proxy.wait_idle()
    assert metrics.calls("stuck") == metrics.calls("rejected") == 0


def test_a_fallback_without_memory(curfew, faults, upstream):
    """Without memory for it, its caller has what the first API has said, or that we could not."""
    api = Api(upstream)
    policy = {"attempts": 2, "when": ["connect"], "backoff": {"base": "1ms", "max": "1ms"}, "budget": {"share": "100%", "burst": 10000},
              "fallback": "other"}
    proxy = curfew(env=faults.env, upstreams={
        "api": {"url": "http://127.0.0.1:1", "deadline": "30s", "retries": policy, "breaker": {"failures": 10000, "volume": 10000}},
        "other": {"url": api.upstream.url, "keepalive": {"max_idle": 0}}})

    def ask(proxy):
        caller = proxy.caller("api")
        try:
            caller.request("POST", "/", content=b"to and fro")
            assert _final(caller, 500, 502).content == b"to and fro"
        except (ConnectionResetError, BrokenPipeError) as error:
            raise Cut("reset") from error
        finally:
            caller.close()

    survive(proxy, faults, ask)
    assert proxy.wait_idle().calls("stuck") == 0
    api.release.set()


def test_a_call_that_waits_in_the_queue_without_memory(service, faults):
    def two(proxy):
        with _calling(proxy) as first, _calling(proxy) as second:
            ends = []
            first.request("POST", "/", content=b"1")
            second.request("POST", "/", content=b"2")
            for caller in (first, second):
                try:
                    ends.append(_final(caller, 500).content)
                except (Cut, Unserved) as end:
                    ends.append(end)
            failed = [end for end in ends if not isinstance(end, bytes)]
            assert len(failed) <= 1, ends
            if failed:
                raise failed[0]

    endure(service(pool={"size": 2, "queue": 5}), faults, two)


@pytest.mark.parametrize("late", [False, True])
def test_a_caller_who_leaves_a_ghost_without_memory(service, faults, late):
    def leave(proxy):
        api.asked.clear()
        api.left.clear()
        with _calling(proxy) as caller:
            caller.request("POST", "/never", content=b"pay")
            poll(lambda: api.asked.is_set() or readable(caller.sock), "the API to be asked, or an answer")
            if readable(caller.sock):
                _final(caller, 500)
        assert api.left.wait(SOON)

    for _ in range(5):  # what else a worker does in a round may meet the fault that the ghost would have met
        made = service(pool={"size": 2, "queue": 5, "linger": "30ms"}, late=late)
        api = made[1]
        metrics, _ = endure(made, faults, leave)
        if metrics.sum("curfew_ghosts_missed_total") > 0:
            break
    # Its permit goes back at once then: the next call finds it.
    assert metrics.sum("curfew_ghosts_missed_total") > 0 == metrics.sum("curfew_pool_ghosts")
    assert (metrics.calls("late") > 0) == late


def test_a_call_to_a_name_without_memory(service, faults, name_server):
    server, wrap = name_server({"api.test": ["127.0.0.1"]}, ttl=0)
    endure(service("api.test", wrap=wrap), faults, post, 500, 502, stride=7)
    assert server.asked


@pytest.mark.parametrize("version", ["1.2", "1.3"])
def test_a_call_under_tls_without_memory(service, faults, certificates, version):
    tls = {"ca_file": certificates.ca, "server_name": "api.test"}
    which = ssl.TLSVersion.TLSv1_2 if version == "1.2" else ssl.TLSVersion.TLSv1_3
    options = {"tls": certificates.server(maximum=which)}
    endure(service(upstream_options=options, tls=tls), faults, post, 500, 502, stride=11)


class H2Echo:
    """An API that speaks HTTP/2; /bystander waits until it is released."""

    def __init__(self):
        self.waiting, self.release = threading.Event(), threading.Event()
        self.listener = H2Api(self._serve)

    def _serve(self, peer):
        request = peer.take(whole=False)
        if request[":path"] == "/bystander":
            self.waiting.set()
            self.release.wait(bounds.TEST)
        peer.until(lambda _: request.ended)
        peer.head(request, 103)
        peer.head(request, 200)
        peer.data(request, request.content)
        peer.headers(request, [("x-sum", "1")], end=True)


@pytest.mark.parametrize("kept", [0, 8])
def test_a_call_over_http2_without_memory(curfew, faults, kept):
    api = H2Echo()
    try:
        proxy = curfew(url=api.listener.url, env=faults.env, deadline="10m", http2={"use": "always"}, keepalive={"max_idle": kept})
        bystander = proxy.caller()
        bystander.request("POST", "/bystander", content=b"still there")
        assert api.waiting.wait(SOON)
        endure((proxy, api, bystander), faults, chunked_over_http2, stride=3)
    finally:
        api.release.set()
        api.listener.close()


def one_leaves_another_stays(proxy):
    """On a connection to the API that both share, if there was memory for that."""
    leaver = None
    try:
        leaver = proxy.caller(upstream="api")
        leaver.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\n" + b"a part")
        chunked_over_http2(proxy)
    except (ConnectionResetError, BrokenPipeError) as error:
        raise Cut("reset") from error
    finally:
        if leaver:
            leaver.close()


@pytest.mark.parametrize("kept", [0, 8])
def test_calls_on_one_connection_over_http2_without_memory(curfew, faults, kept):
    def answer(peer):
        done = peer.__dict__.setdefault("done", set())
        peer.until(lambda _: any(request.ended and request.stream not in done for request in peer.order))
        for request in [each for each in peer.order if each.ended and each.stream not in done]:
            done.add(request.stream)
            peer.head(request, 103)
            peer.head(request, 200)
            peer.data(request, request.content)
            peer.headers(request, [("x-sum", "1")], end=True)

    waits, shared = H2Echo(), H2Api(answer)
    keys = {"deadline": "10m", "keepalive": {"max_idle": kept}}
    try:
        proxy = curfew(upstreams={"api": {"url": shared.url, "http2": {"use": "always", "streams": 10}, **keys},
                                  "other": {"url": waits.listener.url, "http2": {"use": "always"}, **keys}}, env=faults.env)
        bystander = proxy.caller(upstream="other")
        bystander.request("POST", "/bystander", content=b"still there")
        assert waits.waiting.wait(SOON)
        endure((proxy, waits, bystander), faults, one_leaves_another_stays, stride=3)
    finally:
        waits.release.set()
        waits.listener.close()
        shared.close()


def two_streams_over_http2(proxy):
    """Each stream may fail alone, or all with their connection."""
    caller = None
    try:
        caller = H2Caller(proxy.address("api"))
        streams = [caller.begin("POST", "/", ("x-long", "z" * 300), end=False) for _ in range(2)] + [caller.begin("GET", "/chunked")]
        for stream in streams[:2]:
            caller.data(stream, b"to and fro" * 2000)
        answers = [caller.recv(stream) for stream in streams]
    except (ConnectionResetError, BrokenPipeError) as error:
        raise Cut("reset") from error
    finally:
        if caller:
            caller.close()
    if any(answer.status == 500 or answer.reset == INTERNAL_ERROR or answer.reset == REFUSED_STREAM for answer in answers):
        raise Unserved("a stream")
    assert [answer.content for answer in answers] == [b"to and fro" * 2000] * 2 + [b"abcdefg"] and all(answer.ended for answer in answers)


def test_a_caller_over_http2_without_memory(service, faults):
    endure(service(), faults, two_streams_over_http2)


def two_grpc_calls(proxy):
    """One that is answered by the API, and one by curfew. Without memory to know them for gRPC's, they are answered as HTTP has it."""
    caller = None
    try:
        caller = H2Caller(proxy.address("api"))
        type_ = ("content-type", "application/grpc+proto")
        answers = [caller.ask2("POST", "/", type_, ("te", "trailers"), ("grpc-timeout", timeout), content=b"to and fro") for timeout in ("20S", "soon")]
    except (ConnectionResetError, BrokenPipeError) as error:
        raise Cut("reset") from error
    finally:
        if caller:
            caller.close()
    if answers[0].content != b"to and fro" or answers[1]["grpc-message"] is None or answers[1]["content-type"] != "application/grpc+proto":
        raise Unserved("a call")
    assert answers[0].ended and answers[1]["grpc-status"] == "13" and answers[1].content == b""


def test_a_grpc_call_without_memory(service, faults):
    endure(service(), faults, two_grpc_calls, stride=2)


def chunked_over_http2(proxy):
    with _calling(proxy) as caller:
        caller.request("POST", "/", "Transfer-Encoding: chunked", "TE: trailers", "Authorization: x",
                       content=b"5\r\nhello\r\n0\r\nX-Trailer: 1\r\n\r\n")
        response = _final(caller, 500, 502)
        assert response.content == b"hello" and response.trailers.get("x-sum") == "1"


@pytest.mark.parametrize("version", ["1.2", "1.3"])
def test_a_caller_under_tls_without_memory(service, faults, certificates, version):
    """A handshake fails, or a call does; who is not verified for want of memory is not let in."""
    context = ssl.create_default_context(cafile=certificates.ca)
    context.load_cert_chain(certificates.cert("client"), certificates.key("client"))
    context.maximum_version = ssl.TLSVersion.TLSv1_2 if version == "1.2" else ssl.TLSVersion.TLSv1_3

    def post_by_tls(proxy):
        caller = proxy.caller(index=1)
        try:
            caller.sock = context.wrap_socket(caller.sock, server_hostname="localhost")
            caller.request("POST", "/", content=b"to and fro")
            assert _final(caller, 500).content == b"to and fro"
        except (ConnectionResetError, BrokenPipeError, ssl.SSLError) as error:
            raise Cut("reset") from error
        finally:
            caller.close()

    keys = {"listen_tls": "127.0.0.1:0",
            "caller_tls": {"cert_file": certificates.cert("server"), "key_file": certificates.key("server"),
                           "client_ca_file": certificates.ca, "client_names": ["client.test"]}}
    endure(service(**keys), faults, post_by_tls, stride=5)


def test_a_call_that_a_breaker_refuses_without_memory(curfew, faults, upstream):
    """That neither opens nor closes anything: memory is not the API's."""
    api = upstream(lambda exchange: (exchange.recv_request(), exchange.answer(503)))
    proxy = curfew(url=api.url, env=faults.env, breaker={"failures": 1, "open": "30s", "open_max": "30s"})
    assert proxy.ask().status == 503
    for _ in each_fault(faults, ALLOC):
        caller = proxy.caller()
        with contextlib.suppress(Cut, OSError):
            caller.request()
            assert caller.recv_response().status in (500, 503)
        caller.close()
        faults.disarm()
        assert proxy.process.is_running(), proxy.process.stderr.text()
        response = proxy.ask()
        assert (response.status, response["proxy-status"]) == (503, "curfew; error=destination_unavailable")
    metrics = proxy.metrics()
    assert metrics.sum("curfew_breaker_opened_total") == metrics.sum("curfew_tries_started_total") == 1


# -------------------------------------------------------------------------------- for an operator


@pytest.mark.parametrize("target,ever", [("/metrics", False), ("/pools", False), ("/calls", False), ("/config", False),
                                         ("/durations", False), ("/upstreams", False), ("/none", False), ("/metrics", True)])
def test_an_operators_question_without_memory(service, faults, target, ever):
    """It may have no answer, but the next one has, and calls are served all the while."""
    proxy, api, _ = service(breaker={}, addresses={"eject": {}})
    wanted = proxy.admin_get(target)[0]
    for _ in each_fault(faults, ALLOC, threads=MAIN, ever=ever):
        with contextlib.suppress(OSError, http.client.HTTPException):
            assert proxy.admin_get(target)[0] in (wanted, 500, 503)
        faults.disarm()
        assert proxy.process.is_running(), proxy.process.stderr.text()
        assert proxy.admin_get(target)[0] == wanted
        post(proxy)
    api.release.set()
