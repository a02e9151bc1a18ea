"""What can be understood in two ways is refused, and only what can be understood in one way is sent on."""

import json

import pytest

from harness.peers import ok
from harness.problem import proxy_error
from harness.wire import Cut

# Requests that are refused with 400 and the connection's end: what is odd about them, and their bytes.
AMBIGUOUS = {
    "length and chunked": b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "chunked and length": b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
    "two lengths that differ": b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello!",
    "two lengths that agree": b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\nhello",
    "a list of lengths": b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5, 5\r\n\r\nhello",
    "a signed length": b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: +5\r\n\r\nhello",
    "a negative length": b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: -5\r\n\r\nhello",
    "a hexadecimal length": b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 0x5\r\n\r\nhello",
    "an empty length": b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: \r\n\r\nhello",
    "a length with a space in it": b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1 0\r\n\r\nhellohello",
    "two transfer codings fields":
        b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "chunked twice": b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n",
    "a coding after chunked": b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked, gzip\r\n\r\n0\r\n\r\n",
    "an obscured chunked": b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    "a quoted chunked": b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: \"chunked\"\r\n\r\n0\r\n\r\n",
    "chunked in HTTP/1.0": b"POST / HTTP/1.0\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "a space before the colon": b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length : 5\r\n\r\nhello",
    "a tab before the colon": b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding\t: chunked\r\n\r\n0\r\n\r\n",
    "a line that is folded": b"GET / HTTP/1.1\r\nHost: x\r\nX-A: 1\r\n  2\r\n\r\n",
    "a fold before the first field": b"GET / HTTP/1.1\r\n Host: x\r\n\r\n",
    "a bare LF after the request line": b"GET / HTTP/1.1\nHost: x\r\n\r\n",
    "a bare LF after a field": b"GET / HTTP/1.1\r\nHost: x\nX-A: 1\r\n\r\n",
    "bare LFs only": b"GET / HTTP/1.1\nHost: x\n\n",
    "a bare CR in a value": b"GET / HTTP/1.1\r\nHost: x\r\nX-A: 1\r2\r\n\r\n",
    "a CR before the CRLF": b"GET / HTTP/1.1\r\nHost: x\r\r\n\r\n",
    "NUL in a value": b"GET / HTTP/1.1\r\nHost: x\r\nX-A: 1\x002\r\n\r\n",
    "NUL in a name": b"GET / HTTP/1.1\r\nHost: x\r\nX\x00A: 1\r\n\r\n",
    "a control byte in a value": b"GET / HTTP/1.1\r\nHost: x\r\nX-A: \x1b[31m\r\n\r\n",
    "DEL in a value": b"GET / HTTP/1.1\r\nHost: x\r\nX-A: \x7f\r\n\r\n",
    "a field without a name": b"GET / HTTP/1.1\r\nHost: x\r\n: 1\r\n\r\n",
    "a field without a colon": b"GET / HTTP/1.1\r\nHost: x\r\nnonsense\r\n\r\n",
    "a name that is no token": b"GET / HTTP/1.1\r\nHost: x\r\nX(A): 1\r\n\r\n",
    "a name beyond ASCII": b"GET / HTTP/1.1\r\nHost: x\r\nX-\xc3\xa4: 1\r\n\r\n",
    "no Host": b"GET / HTTP/1.1\r\n\r\n",
    "two Hosts": b"GET / HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n",
    "a Host that is none": b"GET / HTTP/1.1\r\nHost: a b\r\n\r\n",
    "a Host with a path": b"GET / HTTP/1.1\r\nHost: x/y\r\n\r\n",
    "a Host with user information": b"GET / HTTP/1.1\r\nHost: me@x\r\n\r\n",
    "two spaces in the request line": b"GET  / HTTP/1.1\r\nHost: x\r\n\r\n",
    "a tab in the request line": b"GET\t/ HTTP/1.1\r\nHost: x\r\n\r\n",
    "a space in the target": b"GET /a b HTTP/1.1\r\nHost: x\r\n\r\n",
    "a space after the version": b"GET / HTTP/1.1 \r\nHost: x\r\n\r\n",
    "no version": b"GET /\r\nHost: x\r\n\r\n",
    "a lower-case version": b"GET / http/1.1\r\nHost: x\r\n\r\n",
    "HTTP/0.9 by number": b"GET / HTTP/0.9\r\nHost: x\r\n\r\n",
    "a version of three figures": b"GET / HTTP/1.1.1\r\nHost: x\r\n\r\n",
    "a version with a zero before it": b"GET / HTTP/01.1\r\nHost: x\r\n\r\n",
    "a space before the method": b" GET / HTTP/1.1\r\nHost: x\r\n\r\n",
    "a method that is no token": b"G(T / HTTP/1.1\r\nHost: x\r\n\r\n",
    "no target": b"GET  HTTP/1.1\r\nHost: x\r\n\r\n",
    "a target without a slash": b"GET index HTTP/1.1\r\nHost: x\r\n\r\n",
    "a target beyond ASCII": b"GET /\xc3\xa4 HTTP/1.1\r\nHost: x\r\n\r\n",
    "a target with a fragment": b"GET /a#b HTTP/1.1\r\nHost: x\r\n\r\n",
    "a target with NUL": b"GET /a\x00b HTTP/1.1\r\nHost: x\r\n\r\n",
    "a target of another scheme": b"GET ftp://x/ HTTP/1.1\r\nHost: x\r\n\r\n",
    "a star for another method": b"GET * HTTP/1.1\r\nHost: x\r\n\r\n",
    "a TLS handshake": b"\x16\x03\x01\x00\xa5\x01\x00\x00\xa1\x03\x03" + bytes(range(32)) + b"\n",
}

# Refused too, with a status of its own.
UNSUPPORTED = {
    "a coding that is not known": (501, b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n"),
    "a coding without chunked": (501, b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip\r\n\r\n"),
    "a length beyond all bounds": (413, b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999999999999999\r\n\r\n"),
    "HTTP/2.0": (505, b"GET / HTTP/2.0\r\nHost: x\r\n\r\n"),
    "HTTP/3.0": (505, b"GET / HTTP/3.0\r\nHost: x\r\n\r\n"),
    "a target that is too long": (414, b"GET /" + b"a" * 40_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n"),
}


def refused(gate, sent, statuses):
    proxy, up = gate
    before = proxy.metrics().sum("curfew_requests_refused_total")
    caller = proxy.caller()
    caller.send(sent + b"GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n")
    response = caller.recv_response()
    assert response.status in statuses, response.content
    assert response["connection"] == "close"
    assert proxy_error(response) == "http_request_error"
    problem = json.loads(response.content)
    assert problem["status"] == response.status and problem["detail"]
    caller.must_end()
    up.must_have_no_connection()
    metrics = proxy.metrics()
    assert metrics.calls("started") == metrics.ended(), "refusals are no calls, or balanced ones"
    assert metrics.sum("curfew_requests_refused_total") == before + 1


@pytest.mark.parametrize("odd", AMBIGUOUS)
def test_a_request_is_refused_that_has(gate, odd):
    refused(gate, AMBIGUOUS[odd], {400})


@pytest.mark.parametrize("odd", UNSUPPORTED)
def test_a_request_is_refused_with_its_own_status_that_has(gate, odd):
    status, sent = UNSUPPORTED[odd]
    refused(gate, sent, {status})


def test_a_later_minor_version_is_served_as_ours(pair):
    """RFC 9110 2.5."""
    proxy, up = pair()
    caller = proxy.caller()
    caller.send(b"GET / HTTP/1.2\r\nHost: x\r\n\r\n")
    exchange, request = up.take()
    assert request.minor == 1
    exchange.answer()
    assert caller.recv_response().minor == 1


# Content that breaks its framing after a head that was sound.
BROKEN_CHUNKS = {
    "no hexadecimal size": b"xyz\r\nabc\r\n0\r\n\r\n",
    "a negative size": b"-1\r\nabc\r\n0\r\n\r\n",
    "a size with 0x": b"0x3\r\nabc\r\n0\r\n\r\n",
    "a size beyond 64 bits": b"10000000000000003\r\nabc\r\n0\r\n\r\n",
    "a space before the size": b" 3\r\nabc\r\n0\r\n\r\n",
    "a bare LF after the size": b"3\nabc\r\n0\r\n\r\n",
    "a bare LF after the data": b"3\r\nabc\n0\r\n\r\n",
    "no line end after the data": b"3\r\nabcd\r\n0\r\n\r\n",
    "a CR and a byte before the data's line end": b"3\r\nabc\rX\r\n0\r\n\r\n",
    "three CRs behind the data": b"3\r\nabc\r\r\r\n0\r\n\r\n",
    "a space behind the size": b"3 \r\nabc\r\n0\r\n\r\n",
    "a tab behind the last size": b"3\r\nabc\r\n0\t\r\n\r\n",
    "a space between the digits": b"0 3\r\nabc\r\n0\r\n\r\n",
    "a size of zeros without end": b"0" * 100_000,
    "a plus before the size": b"+3\r\nabc\r\n0\r\n\r\n",
    "no size": b"\r\nabc\r\n0\r\n\r\n",
    "an underscore in the size": b"0_3\r\nabc\r\n0\r\n\r\n",
    "NUL in an extension": b"3;a=\0\r\nabc\r\n0\r\n\r\n",
    "a quoted line end in an extension": b"3;a=\"\r\n\"\r\nabc\r\n0\r\n\r\n",
    "a CR and a byte for the end": b"3\r\nabc\r\n0\r\n\rX",
    "a space before the end": b"3\r\nabc\r\n0\r\n \r\n",
    "NUL in a trailer": b"3\r\nabc\r\n0\r\nX-A: \0\r\n\r\n",
    "extensions that outweigh the content": (b"1;" + b"a" * 200 + b"\r\nb\r\n") * 200 + b"0\r\n\r\n",
    "a bare LF at the end": b"3\r\nabc\r\n0\n\n",
    "a bare CR in an extension": b"3;a=\rb\r\nabc\r\n0\r\n\r\n",
    "a bare LF in an extension": b"3;a=\nb\r\nabc\r\n0\r\n\r\n",
    "an extension without end": b"3;" + b"a" * 100_000,
    "a trailer that is no field": b"3\r\nabc\r\n0\r\nnonsense\r\n\r\n",
    "a trailer that is folded": b"3\r\nabc\r\n0\r\nX-A: 1\r\n 2\r\n\r\n",
    "a space before a trailer's colon": b"3\r\nabc\r\n0\r\nX-A : 1\r\n\r\n",
    "trailers without end": b"3\r\nabc\r\n0\r\n" + b"X-A: 1\r\n" * 5000,
}


@pytest.mark.parametrize("broken", BROKEN_CHUNKS)
def test_request_content_is_refused_that_has(gate, broken):
    """The upstream must never see an end of the content: the connection to it is cut instead."""
    proxy, up = gate
    caller = proxy.caller()
    caller.send(b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n" + BROKEN_CHUNKS[broken])
    caller.send_some(b"GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n")
    response = caller.recv_response()
    assert (response.status, response["connection"]) == (400, "close")
    caller.must_end()
    proxy.wait_idle()
    while up.has_connection():
        with pytest.raises(Cut):
            up.take()


# Responses that are no HTTP, or could be read in two ways.
BAD_RESPONSES = {
    "no HTTP at all": b"SSH-2.0-OpenSSH_9.2\r\n\r\n",
    "HTTP/0.9": b"<html>hello</html>\r\n\r\n",
    "HTTP/2.0": b"HTTP/2.0 200 OK\r\nContent-Length: 0\r\n\r\n",
    "a status of two digits": b"HTTP/1.1 20 OK\r\nContent-Length: 0\r\n\r\n",
    "a status of four digits": b"HTTP/1.1 2000 OK\r\nContent-Length: 0\r\n\r\n",
    "a status out of range": b"HTTP/1.1 099 OK\r\nContent-Length: 0\r\n\r\n",
    "a status that is no number": b"HTTP/1.1 2xx OK\r\nContent-Length: 0\r\n\r\n",
    "length and chunked": b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "two lengths that differ": b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello!",
    "a length that is no number": b"HTTP/1.1 200 OK\r\nContent-Length: five\r\n\r\nhello",
    "a negative length": b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\nhello",
    "a coding that is not known": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\nhello",
    "chunked twice": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n",
    "a line that is folded": b"HTTP/1.1 200 OK\r\nX-A: 1\r\n 2\r\nContent-Length: 0\r\n\r\n",
    "a space before the colon": b"HTTP/1.1 200 OK\r\nContent-Length : 5\r\n\r\nhello",
    "a bare CR": b"HTTP/1.1 200 OK\r\nX-A: 1\r2\r\nContent-Length: 0\r\n\r\n",
    "NUL in a value": b"HTTP/1.1 200 OK\r\nX-A: \x00\r\nContent-Length: 0\r\n\r\n",
    "a name that is no token": b"HTTP/1.1 200 OK\r\nX A: 1\r\nContent-Length: 0\r\n\r\n",
    "101 that nobody asked for": b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
}


@pytest.mark.parametrize("bad", BAD_RESPONSES)
def test_a_response_is_a_failure_that_has(gate, bad):
    proxy, up = gate
    before = proxy.metrics().calls("failed", reason="http_protocol_error")
    caller = proxy.caller()
    caller.request("GET", "/")
    exchange, _ = up.take()
    exchange.send(BAD_RESPONSES[bad])
    response = caller.recv_response()
    assert response.status == 502 and proxy_error(response) == "http_protocol_error"
    exchange.wait_ended()
    caller.must_be_open()
    assert proxy.wait_idle().calls("failed", reason="http_protocol_error") == before + 1


# Peers of another protocol, or of none: they say something, and wait.
GREETINGS = {
    "SSH": b"SSH-2.0-OpenSSH_9.2\r\n",
    "SMTP": b"220 mail.example ESMTP\r\n",
    "one byte": b"{",
    "HTTP/2": b"\0\0\x12\x04\0\0\0\0\0",
    "a version that is not ours": b"HTTP/2",
    "an alert of TLS": b"\x15\x03\x01\0\x02\x02\x50",
    "a status line without a code": b"HTTP/1.1 OK\r\n",
}


@pytest.mark.parametrize("greeting", GREETINGS)
def test_a_peer_that_can_be_no_api_is_not_waited_for(gate, greeting):
    proxy, up = gate
    caller = proxy.caller()
    caller.request("GET", "/")
    exchange, _ = up.take()
    exchange.send(GREETINGS[greeting])
    response = caller.recv_response()
    assert response.status == 502 and proxy_error(response) == "http_protocol_error"
    exchange.wait_ended()
    proxy.wait_idle()


BROKEN_RESPONSE_CHUNKS = {
    "no hexadecimal size": b"zz\r\n",
    "a bare LF after the size": b"3\nabc\r\n",
    "no line end after the data": b"3\r\nabcd\r\n",
    "a CR and a byte before the data's line end": b"3\r\nabc\rX\r\n0\r\n\r\n",
    "a size beyond 64 bits": b"10000000000000003\r\nabc\r\n",
    "a space before the size": b" 3\r\nabc\r\n0\r\n\r\n",
    "a space between the digits": b"3 0\r\nabc\r\n0\r\n\r\n",
    "a size of zeros without end": b"0" * 100_000,
    "a trailer that is no field": b"0\r\nnonsense\r\n\r\n",
}


@pytest.mark.parametrize("broken", BROKEN_RESPONSE_CHUNKS)
def test_a_response_is_cut_whose_content_has(pair, broken):
    proxy, up = pair()
    caller = proxy.caller()
    caller.request("GET", "/")
    exchange, _ = up.take()
    exchange.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n")
    response = caller.recv_response_head()
    assert response.status == 200
    exchange.send(BROKEN_RESPONSE_CHUNKS[broken])
    with pytest.raises(Cut) as cut:
        caller.recv_content(response)
    assert cut.value.content[:5] == b"hello"[:len(cut.value.content)]
    exchange.wait_ended()
    line, = proxy.log(1)
    assert (line["outcome"], line["cause"]) in (("failed", "http_protocol_error"), ("failed", "http_response_incomplete"))


BROKEN_AT_ONCE = {name: content for name, content in BROKEN_RESPONSE_CHUNKS.items() if len(content) < 1000} | {
    "chunked in name only": b'{"ok": true}', "a name for a size": b"chunked\r\n", "the data without a size": b"hello, world\r\n"}
# What is sound before the fault and came with it: nothing, a chunk, one that is written by itself, some of each.
BEFORE = [b"", b"5\r\nhello\r\n", b"1770\r\n" + bytes(6000) + b"\r\n", b"1\r\na\r\n1770\r\n" + bytes(6000) + b"\r\n" + b"1\r\nb\r\n"]


@pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
@pytest.mark.one_worker
def test_content_that_is_broken_when_its_head_comes_is_a_502(curfew, upstream, certificates, tls):
    up = upstream(tls=certificates.server() if tls else None)
    proxy = curfew(url=up.named("localhost"), **({"tls": {"ca_file": certificates.ca}} if tls else {}))
    asked = 0
    for version in (b"1.1", b"1.0"):
        for name, content in BROKEN_AT_ONCE.items():
            caller = proxy.caller()
            for before in BEFORE:
                caller.send(b"GET /%d HTTP/%s\r\nHost: x\r\nConnection: keep-alive\r\n\r\n" % (asked, version))
                asked += 1
                exchange, _ = up.take()
                exchange.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + before + content)
                response = caller.recv_response()
                assert (response.status, proxy_error(response)) == (502, "http_protocol_error"), (name, before[:9])
                exchange.wait_ended()
                if version == b"1.0":
                    caller.close()
                    caller = proxy.caller()
            caller.close()
    lines = proxy.log(asked)
    assert {(line["status"], line["outcome"], line["cause"]) for line in lines} == {(502, "failed", "http_protocol_error")}
    assert 'the response\'s content breaks its framing: "{\\"ok\\": true}"' in {line["detail"] for line in lines}


def test_what_follows_a_response_without_content_breaks_none(gate):
    proxy, up = gate
    for method, code in (("HEAD", 200), ("GET", 204), ("GET", 304)):
        caller = proxy.caller()
        caller.request(method, "/")
        exchange, _ = up.take()
        exchange.send(b"HTTP/1.1 %d X\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n" % code)
        assert caller.recv_response(method).status == code
        exchange.wait_ended()
        caller.must_be_open()
        caller.close()


def test_a_request_that_is_broken_when_its_head_comes_never_reaches_the_api(pair):
    proxy, up = pair()
    head = b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
    for number, before in enumerate(BEFORE):
        caller = proxy.caller()
        caller.send(head + before + b"zz\r\n")
        assert caller.recv_response().status == 400
        caller.must_end()
        line = proxy.log(number + 1)[-1]
        assert (line["status"], line["sent"]) == (400, "none")


def test_the_embedded_apis_garbage_and_halves(curfew, faulty):
    api = faulty()
    proxy = curfew(url=api.url, deadline="2s")
    assert proxy.ask("GET", "/garbage").status == 502
    assert proxy.ask("GET", "/reset").status == 502
    for target in ("/half/1000", "/half/1000?chunked"):
        with pytest.raises(Cut) as cut:
            proxy.ask("GET", target)
        assert len(cut.value.content) == 500


def test_the_caller_may_send_a_body_with_get(pair):
    """Content with any method is sound as long as its framing is."""
    proxy, _ = pair(ok)
    caller = proxy.caller()
    for method in ("GET", "DELETE", "OPTIONS"):
        assert caller.ask(method, "/", content=b"GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n").content == b"ok"
    caller.must_be_silent()
