"""A forward proxy is spoken to by HTTP/1.1: what comes over HTTP/2 is told so."""

import json

import pytest

from harness.h2_caller import H2Caller

PROTOCOL_ERROR = 1


@pytest.fixture
def gateway(curfew):
    return curfew(upstreams={}, top={"forward": {"egress": {"listen": "127.0.0.1:0", "destinations": [{"name": "other", "hosts": "*"}]}}})


@pytest.mark.parametrize("fields", [
    [(":method", "CONNECT"), (":authority", "api.test:443")],
    [(":method", "GET"), (":scheme", "http"), (":path", "/"), (":authority", "api.test")],
], ids=("connect", "get"))
def test_a_request_over_http2_is_told_how_a_forward_proxy_is_spoken_to(gateway, fields):
    caller = H2Caller(gateway.address("egress"))
    gateway.callers.append(caller)
    for stream in (1, 3):  # the connection is none the worse for it
        caller.put(1, 5, stream, caller.encoder.encode(fields))
        answer = caller.recv(stream)
        assert (answer.status, answer.reset) == (505, None) and answer["proxy-status"] == "curfew; error=http_request_error"
        problem = json.loads(answer.content)
        assert problem["type"] == "urn:curfew:problem:http_version" and problem["detail"] == "a forward proxy takes requests by HTTP/1.1"
    sample = gateway.metrics()
    assert sample.sum("curfew_requests_refused_total", reason="http_version") == 2
    assert sample.sum("curfew_calls_started_total") == 0


def test_a_websocket_over_http2_is_not_offered(gateway):
    """CONNECT with :protocol (RFC 8441) needs a setting that a forward proxy does not send."""
    caller = H2Caller(gateway.address("egress"))
    gateway.callers.append(caller)
    caller.until(lambda: caller.settings)
    assert 8 not in caller.settings
    caller.put(1, 4, 1, caller.encoder.encode([(":method", "CONNECT"), (":protocol", "websocket"), (":scheme", "http"), (":path", "/"),
                                               (":authority", "api.test")]))
    assert caller.recv(1).reset == PROTOCOL_ERROR
