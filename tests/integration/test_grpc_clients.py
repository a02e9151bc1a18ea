"""gRPC's own libraries on both sides of curfew: what their users see of calls that go well, of deadlines and of refusals."""

from pathlib import Path

import grpc
import pytest

from harness import grpc_peers
from harness.bounds import Stopwatch
from harness.grpc_peers import CALLERS, Server
from harness.h2 import H2Api
from harness.h2_caller import H2Caller
from harness.peers import ScriptedUpstream

NOT_FOUND, DEADLINE_EXCEEDED, RESOURCE_EXHAUSTED, UNIMPLEMENTED, INTERNAL, UNAVAILABLE = 5, 4, 8, 12, 13, 14
LATE = {"deadline": "800ms"}
languages = pytest.mark.parametrize("language", CALLERS)


@pytest.fixture
def server():
    one = Server()
    yield one
    one.close()


@languages
def test_all_four_kinds_of_calls(curfew, server, language):
    proxy = curfew(deadline="10s", **server.keys)
    for kind, method, messages in [("unary", "Echo", 1), ("server", "Three", 3), ("client", "Count", 1), ("bidi", "Echo", 2)]:
        told = grpc_peers.call(language, proxy, f"/t.T/{method}", kind)
        assert (told["code"], told["messages"]) == (0, messages), (kind, told)
    proxy.wait_metric("curfew_grpc_completed_total", 4, code="0")
    assert 0 < server.left[0] <= 10  # the caller's 20 s are more than curfew's 10
    proxy.wait_idle()


@languages
def test_what_the_api_says_comes_through(curfew, server, language):
    proxy = curfew(deadline="10s", **server.keys)
    told = grpc_peers.call(language, proxy, "/t.T/Fail", "server")
    assert (told["code"], told["details"], told["messages"]) == (NOT_FOUND, "no such thing", 1)
    assert grpc_peers.call(language, proxy, "/t.T/Nothing")["code"] == UNIMPLEMENTED
    proxy.wait_metric("curfew_grpc_completed_total", 1, code="5")


def silent_upload(curfew, server, _):
    return curfew(**LATE, **server.keys), "/t.T/Count", "client-open"


def in_the_queue(curfew, server, _):
    hung = H2Api(lambda peer: peer.until(lambda peer: False))
    proxy = curfew(upstreams={
        "api": {"url": hung.url, "http2": {"use": "always"}, "pool": "one", **LATE},
        "slow": {"url": hung.url, "http2": {"use": "always"}, "pool": "one", "deadline": "60s"},
    }, top={"pools": {"one": {"size": 1, "queue": 5}}})
    proxy.holder = H2Caller(proxy.address("slow"))
    proxy.holder.begin("POST", "/")
    proxy.wait_in_flight(1)
    return proxy, "/t.T/Hang", "unary"


def connecting(curfew, _server, deaf):
    return curfew(url=deaf.url, http2={"use": "always"}, **LATE), "/t.T/Echo", "unary"


def in_tls(curfew, _server, _deaf):
    silent = ScriptedUpstream(lambda exchange: exchange.wait_ended())
    return curfew(url=silent.url.replace("http:", "https:"), http2={"use": "auto"}, **LATE), "/t.T/Echo", "unary"


def waiting(curfew, server, _):
    return curfew(**LATE, **server.keys), "/t.T/Hang", "unary"


def between_messages(curfew, server, _):
    return curfew(**LATE, **server.keys), "/t.T/After", "server"


def between_messages_both_open(curfew, server, _):
    return curfew(**LATE, **server.keys), "/t.T/Echo", "bidi-open"


def within_a_message(curfew, _server, _deaf):
    def script(peer):
        request = peer.take()
        peer.head(request, 200, ("content-type", "application/grpc"))
        peer.data(request, b"\0\0\0\0\1x" + b"\0\0\0\0\x64half")
        peer.until(lambda peer: False)

    return curfew(url=H2Api(script).url, http2={"use": "always"}, **LATE), "/t.T/Half", "server"


PHASES = [silent_upload, in_the_queue, connecting, in_tls, waiting, between_messages, between_messages_both_open, within_a_message]


@languages
@pytest.mark.parametrize("phase", PHASES)
def test_a_deadline_is_deadline_exceeded_in_each_phase(curfew, server, deaf_listener, phase, language):
    """curfew's, while the caller's own is far away."""
    proxy, method, kind = phase(curfew, server, deaf_listener)
    watch = Stopwatch()
    told = grpc_peers.call(language, proxy, method, kind, upstream="api")
    assert 0.75 < watch.elapsed() < 15
    if language == "go" and phase is within_a_message:  # as with each end there: a part of a message is an error of its own
        assert (told["code"], told["messages"]) == (INTERNAL, 1)
    else:
        assert told["code"] == DEADLINE_EXCEEDED, told
        assert told["messages"] == (phase in (between_messages, between_messages_both_open, within_a_message))
    metrics = proxy.wait_in_flight(0, upstream="api")
    # A server that keeps to its grpc-timeout says so by itself, a moment before curfew would.
    assert metrics.calls("stuck") + metrics.sum("curfew_grpc_completed_total", code="4") == 1


@languages
def test_a_callers_own_deadline_is_curfews_and_the_apis(curfew, server, language):
    proxy = curfew(deadline="30s", **server.keys)
    assert grpc_peers.call(language, proxy, "/t.T/Hang", deadline_ms=700)["code"] == DEADLINE_EXCEEDED
    assert 0 < server.left[0] <= 0.7
    proxy.wait_idle()


def test_over_tls_on_both_sides(curfew, certificates):
    server = Server(certificates)
    try:
        keys = {"listen_tls": "127.0.0.1:0", "caller_tls": {"cert_file": certificates.cert("server"), "key_file": certificates.key("server"),
                                                           "client_ca_file": certificates.ca}}
        proxy = curfew(upstreams={"api": {**keys, "url": server.keys["url"], "http2": {"use": "auto"}, "tls": {"ca_file": certificates.ca}, **LATE}})
        words = [Path(path).read_bytes() for path in (certificates.ca, certificates.key("client"), certificates.cert("client"))]
        host, port = proxy.address("api", -1)
        with grpc.secure_channel(f"{host}:{port}", grpc.ssl_channel_credentials(*words), [("grpc.ssl_target_name_override", "localhost")]) as channel:
            assert list(channel.stream_stream("/t.T/Echo")(iter([b"one", b"two"]), timeout=20)) == [b"one", b"two"]
            with pytest.raises(grpc.RpcError) as told:
                channel.unary_unary("/t.T/Hang")(b"one", timeout=20)
            assert told.value.code() == grpc.StatusCode.DEADLINE_EXCEEDED
    finally:
        server.close()


@languages
def test_refusals_and_failures(curfew, server, language):
    port = server.port
    proxy = curfew(pool={"size": 1, "queue": 0}, deadline="20s", **server.keys)
    with grpc.insecure_channel("%s:%d" % proxy.address()) as channel:
        held = channel.unary_unary("/t.T/Hang").future(b"one")
        proxy.wait_in_flight(1)
        assert grpc_peers.call(language, proxy, "/t.T/Echo")["code"] == RESOURCE_EXHAUSTED
        held.cancel()
    proxy.wait_idle()
    server.close()
    told = grpc_peers.call(language, proxy, "/t.T/Echo")
    assert told["code"] == UNAVAILABLE and "connection" in told["details"], (told, port)
