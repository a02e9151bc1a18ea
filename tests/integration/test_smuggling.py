"""Attacks on the borders between messages: the request that hides in another, the response that is for somebody else.

test_framing.py has what is plainly malformed. Here are the variants by which proxies have been deceived (RFC 9112 11.2, and
what has been published on request smuggling since), with what the upstream and the caller see, and what becomes of their
connections. What reaches an upstream is read by the strict parser of harness/wire.py, which knows one reading only.
"""

import contextlib
import json
import random
import re
import socket
import string

import pytest

from harness.bounds import poll
from harness.curfew import curfew_command
from harness.peers import ok
from harness.problem import proxy_error
from harness.wire import Cut

SMUGGLED = b"GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n"
POST = b"POST / HTTP/1.1\r\nHost: x\r\n"
OK = b"HTTP/1.1 200 OK\r\n"
FORGED = OK + b"Content-Length: 6\r\n\r\nforged"
LATE = OK + b"Content-Length: 4\r\n\r\ntrue"

# --------------------------------------------------------------------------------------- requests that go no further

# What is odd about them: (status, bytes). Behind each comes SMUGGLED, which nobody may see.
REFUSED = {
    # one framing for one, another for the other
    "CL.TE": (400, POST + b"Content-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nG"),
    "TE.CL": (400, POST + b"Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n8\r\nSMUGGLED\r\n0\r\n\r\n"),
    "CL.TE with a length of 0": (400, POST + b"Content-Length: 0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
    "a length and identity": (400, POST + b"Content-Length: 5\r\nTransfer-Encoding: identity\r\n\r\nhello"),
    "a length and an empty coding": (400, POST + b"Content-Length: 5\r\nTransfer-Encoding:\r\n\r\nhello"),
    "TE.TE: chunked and another": (400, POST + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: cow\r\n\r\n0\r\n\r\n"),
    "TE.TE: another and chunked": (400, POST + b"Transfer-Encoding: cow\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
    "TE.TE: in another case": (400, POST + b"Transfer-Encoding: chunked\r\ntransfer-encoding: identity\r\n\r\n0\r\n\r\n"),
    "CL.TE in HTTP/1.0": (400, b"POST / HTTP/1.0\r\nHost: x\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
    # transfer codings
    "identity": (501, POST + b"Transfer-Encoding: identity\r\n\r\n"),
    "identity, then chunked": (501, POST + b"Transfer-Encoding: identity, chunked\r\n\r\n0\r\n\r\n"),
    "chunked, then identity": (400, POST + b"Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n"),
    "a comma behind chunked": (400, POST + b"Transfer-Encoding: chunked,\r\n\r\n0\r\n\r\n"),
    "a comma before chunked": (400, POST + b"Transfer-Encoding: ,chunked\r\n\r\n0\r\n\r\n"),
    "chunked with a parameter": (400, POST + b"Transfer-Encoding: chunked;q=1\r\n\r\n0\r\n\r\n"),
    "chunked in apostrophes": (400, POST + b"Transfer-Encoding: 'chunked'\r\n\r\n0\r\n\r\n"),
    "a word before chunked": (400, POST + b"Transfer-Encoding: x chunked\r\n\r\n0\r\n\r\n"),
    "letters behind chunked": (400, POST + b"Transfer-Encoding: chunkedx\r\n\r\n0\r\n\r\n"),
    "chunked behind a vertical tab": (400, POST + b"Transfer-Encoding:\x0bchunked\r\n\r\n0\r\n\r\n"),
    "chunked before a vertical tab": (400, POST + b"Transfer-Encoding: chunked\x0b\r\n\r\n0\r\n\r\n"),
    "chunked behind a no-break space": (400, POST + b"Transfer-Encoding: \xa0chunked\r\n\r\n0\r\n\r\n"),
    "chunked on a folded line": (400, POST + b"Transfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n"),
    "chunked behind NUL": (400, POST + b"Transfer-Encoding: \0chunked\r\n\r\n0\r\n\r\n"),
    "a name that NUL ends": (400, POST + b"Transfer-Encoding\0: chunked\r\n\r\n0\r\n\r\n"),
    "a name behind a space": (400, b"POST / HTTP/1.1\r\nHost: x\r\n Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
    "a name behind a bare CR": (400, POST + b"X: y\rTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
    "a name behind a bare LF": (400, POST + b"X: y\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
    "no colon behind the name": (400, POST + b"Transfer-Encoding chunked\r\n\r\n0\r\n\r\n"),
    # lengths
    "three lengths that agree": (400, POST + b"Content-Length: 5\r\n" * 3 + b"\r\nhello"),
    "a length and an empty one": (400, POST + b"Content-Length: 5\r\nContent-Length:\r\n\r\nhello"),
    "a length before a comma": (400, POST + b"Content-Length: 5,\r\n\r\nhello"),
    "a length before a semicolon": (400, POST + b"Content-Length: 5;\r\n\r\nhello"),
    "a length with an exponent": (400, POST + b"Content-Length: 5e0\r\n\r\nhello"),
    "a length with a fraction": (400, POST + b"Content-Length: 5.0\r\n\r\nhello"),
    "a length with an underscore": (400, POST + b"Content-Length: 0_5\r\n\r\nhello"),
    "a length in quotes": (400, POST + b"Content-Length: \"5\"\r\n\r\nhello"),
    "a length before NUL": (400, POST + b"Content-Length: 5\0\r\n\r\nhello"),
    "a length in other digits": (400, POST + b"Content-Length: \xd9\xa5\r\n\r\nhello"),
    "a length that wraps 64 bits": (413, POST + b"Content-Length: 18446744073709551621\r\n\r\nhello"),
    "a length that wraps 63 bits": (413, POST + b"Content-Length: 9223372036854775813\r\n\r\nhello"),
    # Host
    "two Hosts that agree": (400, b"GET / HTTP/1.1\r\nHost: x\r\nHost: x\r\n\r\n"),
    "a list of Hosts": (400, b"GET / HTTP/1.1\r\nHost: x, y\r\n\r\n"),
    "a tab within Host": (400, b"GET / HTTP/1.1\r\nHost: x\ty\r\n\r\n"),
    "NUL in Host": (400, b"GET / HTTP/1.1\r\nHost: x\0y\r\n\r\n"),
    "two ports in Host": (400, b"GET / HTTP/1.1\r\nHost: x:80:81\r\n\r\n"),
    "a name for a port": (400, b"GET / HTTP/1.1\r\nHost: x:http\r\n\r\n"),
    "half an IPv6 address for Host": (400, b"GET / HTTP/1.1\r\nHost: [::1\r\n\r\n"),
    "half an escape in Host": (400, b"GET / HTTP/1.1\r\nHost: x%4\r\n\r\n"),
    "a query in Host": (400, b"GET / HTTP/1.1\r\nHost: x?y\r\n\r\n"),
    "bytes beyond ASCII in Host": (400, b"GET / HTTP/1.1\r\nHost: \xc3\xa9\r\n\r\n"),
    "an absolute target and no Host": (400, b"GET http://x/ HTTP/1.1\r\n\r\n"),
    "user information in the target": (400, b"GET http://x@y/ HTTP/1.1\r\nHost: y\r\n\r\n"),
    "an absolute target without a host": (400, b"GET http:///x HTTP/1.1\r\nHost: x\r\n\r\n"),
    # the request line, and what comes before it
    "HTTP/0.9": (400, b"GET /\r\n"),
    "two versions": (400, b"GET / HTTP/1.1 HTTP/1.0\r\nHost: x\r\n\r\n"),
    "a line end in the target": (400, b"GET /\r\nX: y HTTP/1.1\r\nHost: x\r\n\r\n"),
    "a bare CR in the target": (400, b"GET /\rX HTTP/1.1\r\nHost: x\r\n\r\n"),
    "a vertical tab for a space": (400, b"GET\x0b/ HTTP/1.1\r\nHost: x\r\n\r\n"),
    "a form feed for a space": (400, b"GET /\x0cHTTP/1.1\r\nHost: x\r\n\r\n"),
    "NUL before the method": (400, b"\0GET / HTTP/1.1\r\nHost: x\r\n\r\n"),
    "a bare CR before the version": (400, b"GET / \rHTTP/1.1\r\nHost: x\r\n\r\n"),
    "an escape before the request": (400, b"\x1b[0mGET / HTTP/1.1\r\nHost: x\r\n\r\n"),
    "two empty lines before the request": (400, b"\r\n\r\nGET / HTTP/1.1\r\nHost: x\r\n\r\n"),
    "a bare LF before the request": (400, b"\nGET / HTTP/1.1\r\nHost: x\r\n\r\n"),
    "a response for a request": (400, b"HTTP/1.1 200 OK\r\nHost: x\r\n\r\n"),
    "a method of 33 letters": (400, b"A" * 33 + b" / HTTP/1.1\r\nHost: x\r\n\r\n"),
    "the preface of HTTP/2 behind an empty line": (505, b"\r\nPRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
}


@pytest.mark.parametrize("odd", REFUSED)
def test_nothing_reaches_the_upstream_of(gate, odd):
    proxy, up = gate
    status, sent = REFUSED[odd]
    caller = proxy.caller()
    caller.send(sent + SMUGGLED)
    response = caller.recv_response()
    assert response.status == status, response.content
    assert proxy_error(response) == "http_request_error" and response["connection"] == "close"
    assert json.loads(response.content)["status"] == status
    caller.must_end()
    up.must_have_no_connection()
    assert proxy.metrics().calls("started") == 0


def test_no_control_byte_passes_anywhere_in_a_head(pair):
    """Put in at every place: each is refused, and no connection to the upstream is made."""
    proxy, up = pair()
    head = POST + b"Content-Length: 5\r\n\r\n"
    for odd in (b"\0", b"\r", b"\n", b"\x0b", b"\x0c", b"\x1f", b"\x7f"):
        for at in range(1, len(head) - 1):
            if odd == b"\n" and head[at - 1:at] == b"\r" and head[at:at + 1] != b"\n":
                continue  # that would be a line end of its own
            caller = proxy.caller()
            caller.send(head[:at] + odd + head[at:] + b"hello")
            assert caller.recv_response().status == 400, (odd, at)
            caller.close()
    up.must_have_no_connection()


# ----------------------------------------------------------------------------- requests that have one reading only

# What is odd about them: (bytes, method, target, content, names of fields that must not be there). Whoever read them
# otherwise would find SMUGGLED in them, or take the next request for content.
PASSED = {
    "content that looks like a request": (POST + b"Content-Length: %d\r\n\r\n" % len(SMUGGLED) + SMUGGLED, "POST", "/", SMUGGLED, ()),
    "chunked content that looks like a request":
        (POST + b"Transfer-Encoding: chunked\r\n\r\n%x\r\n" % len(SMUGGLED) + SMUGGLED + b"\r\n0\r\n\r\n", "POST", "/", SMUGGLED, ()),
    "a chunk that looks like the last":
        (POST + b"Transfer-Encoding: chunked\r\n\r\n5\r\n0\r\n\r\n\r\n0\r\n\r\n", "POST", "/", b"0\r\n\r\n", ()),
    "content with GET": (b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(SMUGGLED) + SMUGGLED, "GET", "/", SMUGGLED, ()),
    "a length with zeros before it": (POST + b"Content-Length: 00000000000000000000005\r\n\r\nhello", "POST", "/", b"hello", ()),
    "spaces around the length": (POST + b"Content-Length:   5  \r\n\r\nhello", "POST", "/", b"hello", ()),
    "a chunk size with zeros before it":
        (POST + b"Transfer-Encoding: chunked\r\n\r\n" + b"0" * 40 + b"5\r\nhello\r\n" + b"0" * 99 + b"\r\n\r\n", "POST", "/", b"hello", ()),
    "white space around the semicolon of a chunk extension":
        (POST + b"Transfer-Encoding: chunked\r\n\r\n5 ; a = \"b ; c\"\r\nhello\r\n0\t;d\r\n\r\n", "POST", "/", b"hello", ()),
    "chunked in capitals": (POST + b"TRANSFER-ENCODING: CHUNKED\r\n\r\n5\r\nhello\r\n0\r\n\r\n", "POST", "/", b"hello", ()),
    "chunk extensions":
        (POST + b"Transfer-Encoding: chunked\r\n\r\n5;a=\"0\";;=\r\nhello\r\n0;b\r\n\r\n", "POST", "/", b"hello", ()),
    "framing in the trailers":
        (POST + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nContent-Length: 99\r\nTransfer-Encoding: cow\r\nHost: y\r\n"
         b"Connection: close\r\nUpgrade: z\r\n\r\n", "POST", "/", b"hello", ()),
    "fields whose names are almost those of framing":
        (b"GET / HTTP/1.1\r\nHost: x\r\nTransfer-Encodingx: chunked\r\nContent-Lengt: 99\r\nXTransfer-Encoding: chunked\r\n\r\n", "GET", "/", b"", ()),
    "a switch to HTTP/2":
        (b"GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA\r\n\r\n",
         "GET", "/", b"", ("upgrade", "http2-settings", "connection")),
    "a switch to a websocket":
        (b"GET / HTTP/1.1\r\nHost: x\r\nConnection: upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 1\r\n\r\n", "GET", "/", b"",
         ("upgrade", "connection")),
    "Connection, which takes away what we set":
        (b"GET / HTTP/1.1\r\nHost: x\r\nConnection: X-Forwarded-For, Via, X-Secret, close-not\r\nX-Secret: a\r\n\r\n", "GET", "/", b"", ("x-secret",)),
    "an empty line before it": (b"\r\nGET / HTTP/1.1\r\nHost: x\r\n\r\n", "GET", "/", b"", ()),
    "an absolute target": (b"GET http://127.0.0.1/a HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", "GET", "/a", b"", ()),
    "two slashes that look like an authority": (b"GET //y/a HTTP/1.1\r\nHost: x\r\n\r\n", "GET", "//y/a", b"", ()),
    "an absolute target within another": (b"GET /http://y/ HTTP/1.1\r\nHost: x\r\n\r\n", "GET", "/http://y/", b"", ()),
    "a length between tabs": (POST + b"Content-Length:\t5\t \r\n\r\nhello", "POST", "/", b"hello", ()),
    "chunked between tabs": (POST + b"Transfer-Encoding:\tchunked \t\r\n\r\n5\r\nhello\r\n0\r\n\r\n", "POST", "/", b"hello", ()),
    "a length that Connection takes away": (POST + b"Content-Length: 5\r\nConnection: content-length\r\n\r\nhello", "POST", "/", b"hello", ("connection",)),
    "a coding that Connection takes away":
        (POST + b"Transfer-Encoding: chunked\r\nConnection: x, Transfer-Encoding\r\n\r\n5\r\nhello\r\n0\r\n\r\n", "POST", "/", b"hello", ()),
    "Host taken away by Connection": (b"GET / HTTP/1.1\r\nHost: x\r\nConnection: Host,, keep-alive\r\n\r\n", "GET", "/", b"", ()),
    "Connection, which names a thousand fields":
        (b"GET / HTTP/1.1\r\nHost: x\r\nX-Last: a\r\nConnection: " + b"x," * 1000 + b"x-last\r\n\r\n", "GET", "/", b"", ("x-last",)),
    "an absolute target and an empty Host": (b"GET http://localhost/a HTTP/1.1\r\nHost:\r\n\r\n", "GET", "/a", b"", ()),
    "an absolute target and another Host": (b"GET http://localhost:81/a HTTP/1.1\r\nHost: evil.example\r\n\r\n", "GET", "/a", b"", ()),
    "HTTP/1.0 that is kept alive":
        (b"POST / HTTP/1.0\r\nConnection: keep-alive\r\nContent-Length: 5\r\n\r\nhello", "POST", "/", b"hello", ("connection",)),
}
ONE_HOP = {"connection", "keep-alive", "proxy-connection", "te", "upgrade"}


@pytest.mark.parametrize("odd", PASSED)
def test_the_upstream_and_the_next_request_see_one_reading_of(gate, odd):
    proxy, up = gate
    sent, method, target, content, absent = PASSED[odd]
    caller = proxy.caller()
    caller.send(sent + b"GET /next HTTP/1.1\r\nHost: x\r\n\r\n")
    exchange, request = up.take()
    assert (request.method, request.target, request.content, request.minor) == (method, target, content, 1)
    assert request.fields.all("host") == [up.authority]
    assert not ONE_HOP & set(request.fields.names()) and not set(absent) & set(request.fields.names()), request.fields
    assert not request.trailers
    exchange.answer(content=b"one")
    assert caller.recv_response().content == b"one"
    request = exchange.recv_request()
    assert (request.method, request.target, request.content) == ("GET", "/next", b"")
    exchange.answer(200, "Connection: close", content=b"two")
    assert caller.recv_response().content == b"two"
    caller.must_be_silent()
    up.must_have_no_connection()


# An option of Connection that is no token says nothing; it may have been meant to say "close".
@pytest.mark.parametrize("option", [b"close;x", b'"close"', b"close x", b"close\tkeep-alive", b"clo(se", b"\xe9", b"keep-alive, a b", b"a=b"])
def test_a_request_is_served_and_its_connection_closed_whose_connection_field_has(gate, option):
    proxy, up = gate
    caller = proxy.caller()
    caller.send(POST + b"Content-Length: 5\r\nConnection: " + option + b"\r\n\r\nhello" + SMUGGLED)
    exchange, request = up.take()
    assert request.content == b"hello" and "connection" not in request.fields.names()
    exchange.answer(200, "Connection: close", content=b"one")
    response = caller.recv_response()
    assert response.content == b"one" and response["connection"] == "close"
    caller.must_end()
    up.must_have_no_connection()
    proxy.wait_idle()


def test_a_request_is_refused_whose_connection_field_names_too_many_of_too_many_fields(gate):
    """Each is looked for among all, and that is bounded: 800 names among 800 fields are beyond it."""
    proxy, up = gate
    caller = proxy.caller()
    caller.send(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: " + b"x," * 3000 + b"\r\n" + b"A:\r\n" * 100 + b"\r\n")
    assert caller.recv_response().status == 431
    up.must_have_no_connection()


def test_what_is_removed_and_set_can_not_come_back_as_a_trailer(pair):
    proxy, up = pair(headers={"set": {"X-Key": "ours"}, "remove": ["X-Debug"]},
                     caller_deadline={"headers": ["X-Timeout"], "forward": "X-Left"})
    proxy.caller().send(POST + b"Transfer-Encoding: chunked\r\n\r\n0\r\nX-Key: theirs\r\nx-debug: 1\r\nX-Timeout: 9\r\nX-Left: 9\r\nX-Sum: 5\r\n\r\n")
    exchange, request = up.take()
    assert request.fields.all("x-key") == ["ours"]
    assert request.trailers == [("X-Sum", "5")]
    exchange.answer()


# ------------------------------------------------------------------------- responses that would desynchronise a caller

# What is odd about them: (method, bytes).
BAD = {
    "chunks in HTTP/1.0": ("GET", b"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
    "lengths in fields that differ": ("GET", OK + b"Content-Length: 5\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello!"),
    "lengths in a list that differ": ("GET", OK + b"Content-Length: 5, 6\r\n\r\nhello!"),
    "a length and an empty one": ("GET", OK + b"Content-Length: 5\r\nContent-Length:\r\n\r\nhello"),
    "a length before a comma": ("GET", OK + b"Content-Length: 5,\r\n\r\nhello"),
    "a length in 1xx, and content behind it": ("GET", b"HTTP/1.1 103 Early Hints\r\nContent-Length: 5\r\n\r\nhello" + LATE),
    "chunks behind a 1xx": ("GET", b"HTTP/1.1 100 Continue\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + LATE),
    "a signed length": ("GET", OK + b"Content-Length: +5\r\n\r\nhello"),
    "a length in hexadecimal": ("GET", OK + b"Content-Length: 0x5\r\n\r\nhello"),
    "an empty length": ("GET", OK + b"Content-Length:\r\n\r\nhello"),
    "a length that wraps": ("GET", OK + b"Content-Length: 18446744073709551621\r\n\r\nhello"),
    "identity": ("GET", OK + b"Transfer-Encoding: identity\r\n\r\nhello"),
    # By RFC 9110 5.6.1 this is chunked; http-parser and llhttp read until the connection closes.
    "a comma behind chunked": ("GET", OK + b"Transfer-Encoding: chunked,\r\n\r\n0\r\n\r\n"),
    "codings that are all empty": ("GET", OK + b"Transfer-Encoding: , ,\r\n\r\n0\r\n\r\n"),
    "chunked twice among commas": ("GET", OK + b"Transfer-Encoding: chunked, , chunked\r\n\r\n0\r\n\r\n"),
    "chunked and a parameter": ("GET", OK + b"Transfer-Encoding: chunked;q=1\r\n\r\n0\r\n\r\n"),
    "xchunked": ("GET", OK + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n"),
    "chunked behind a vertical tab": ("GET", OK + b"Transfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n"),
    "two fields of codings": ("GET", OK + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n"),
    "a fold before the first field": ("GET", OK + b" Content-Length: 5\r\n\r\nhello"),
    "a length on a folded line": ("GET", OK + b"Content-Length:\r\n 5\r\n\r\nhello"),
    "a field without a name": ("GET", OK + b": x\r\nContent-Length: 0\r\n\r\n"),
    "a field without a colon": ("GET", OK + b"Content-Length 0\r\n\r\n"),
    "a response split by CR in a field": ("GET", OK + b"Set-Cookie: a\rContent-Length: 0\r\rX: y\r\nContent-Length: 0\r\n\r\n"),
    "a response split by CR in the reason": ("GET", b"HTTP/1.1 200 OK\rX: y\r\nContent-Length: 0\r\n\r\n"),
    "NUL in the reason": ("GET", b"HTTP/1.1 200 O\0K\r\nContent-Length: 0\r\n\r\n"),
    "an escape in the reason": ("GET", b"HTTP/1.1 200 \x1b[31m\r\nContent-Length: 0\r\n\r\n"),
    "two empty lines before it": ("GET", b"\r\n\r\n" + FORGED),
    "a CR before it": ("GET", b"\r" + FORGED),
    "a bare CR before LF": ("GET", b"HTTP/1.1 200 OK\r\r\nContent-Length: 0\r\n\r\n"),
    "a line that LF ends and that is folded": ("GET", b"HTTP/1.1 200 OK\nX: y\n Content-Length: 0\n\n"),
    "a code below 100": ("GET", b"HTTP/1.1 000 X\r\nContent-Length: 0\r\n\r\n"),
    "a code of four digits": ("GET", b"HTTP/1.1 1000 X\r\nContent-Length: 0\r\n\r\n"),
    "a space before it": ("GET", b" " + FORGED),
    "no space before the code": ("GET", b"HTTP/1.1200 OK\r\nContent-Length: 0\r\n\r\n"),
    "a code of more than three digits": ("GET", b"HTTP/1.1 200OK\r\nContent-Length: 0\r\n\r\n"),
    "HTTP/1.10": ("GET", b"HTTP/1.10 200 OK\r\nContent-Length: 0\r\n\r\n"),
    "a request for a response": ("GET", SMUGGLED),
    "a switch behind a 103": ("GET", b"HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n"),
}


def next_call_is_its_own(proxy, up, caller):
    """The next call has another connection to the upstream, and its own response."""
    caller.request("GET", "/next")
    exchange, request = up.take()
    assert request.target == "/next"
    exchange.answer(200, "Connection: close", content=b"own")
    assert caller.recv_response().content == b"own"
    caller.must_be_silent()
    proxy.wait_idle()


@pytest.mark.parametrize("odd", BAD)
def test_a_response_is_a_502_and_its_connection_destroyed_that_has(gate, odd):
    proxy, up = gate
    method, sent = BAD[odd]
    caller = proxy.caller()
    caller.request(method, "/")
    exchange, _ = up.take()
    exchange.send(sent)
    response = caller.recv_response(method)
    assert response.status == 502 and proxy_error(response) == "http_protocol_error"
    exchange.wait_ended()
    next_call_is_its_own(proxy, up, caller)


# Responses that are not as they should be, yet can be read in one way: (method, bytes, status, content, fields that the
# caller gets and, with None, those that it must not get). They are delivered, and their connection serves nobody else.
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"
ODD = {
    "a blank behind a chunk size": ("GET", CHUNKED + b"4 \r\ntrue\r\n0\r\n\r\n", 200, b"true", {}),
    "a tab behind a chunk size": ("GET", CHUNKED + b"4\t\r\ntrue\r\n0\r\n\r\n", 200, b"true", {}),
    "chunk sizes padded to four places": ("GET", CHUNKED + b"4   \r\ntrue\r\n0   \r\n\r\n", 200, b"true", {}),
    "a length and content in a 204": ("DELETE", b"HTTP/1.1 204 No Content\r\nContent-Length: 4\r\nX-A: b\r\n\r\nnull", 204, b"", {"x-a": "b", "content-length": None}),
    "a length in a 204": ("GET", b"HTTP/1.1 204 No Content\r\nContent-Length: 2\r\n\r\n", 204, b"", {"content-length": None}),
    "chunks in a 204": ("GET", b"HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 204, b"", {"transfer-encoding": None}),
    "chunked in a 204, and no chunk": ("GET", b"HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n", 204, b"", {"transfer-encoding": None}),
    "all that framing can have wrong, in a 204":
        ("GET", b"HTTP/1.1 204 No Content\r\nContent-Length: 5\r\nContent-Length: six\r\nTransfer-Encoding: cow\r\nTransfer-Encoding: chunked, x\r\n\r\n", 204, b"",
         {"content-length": None, "transfer-encoding": None}),
    "a length that is no number, in a 204 of HTTP/1.0":
        ("GET", b"HTTP/1.0 204 No Content\r\nConnection: keep-alive\r\nContent-Length: +1\r\n\r\n", 204, b"", {"content-length": None}),
    "a length and no content in a 1xx": ("GET", b"HTTP/1.1 103 Early Hints\r\nContent-Length: 5\r\n\r\n" + LATE, 200, b"true", {"content-length": "4"}),
    "a coding in a 1xx that is not passed on": ("GET", b"HTTP/1.1 100 Continue\r\nTransfer-Encoding: chunked\r\n\r\n" + LATE, 200, b"true", {}),
    "two lengths in a 1xx": ("GET", b"HTTP/1.1 100 C\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n" + LATE, 200, b"true", {}),
    "length and chunks, in answer to HEAD":
        ("HEAD", OK + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n", 200, b"", {"content-length": None, "transfer-encoding": None}),
    "lengths that differ, in answer to HEAD": ("HEAD", OK + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\n", 200, b"", {"content-length": None}),
    "the same length twice, in answer to HEAD": ("HEAD", OK + b"Content-Length: 5\r\nContent-Length: 05\r\n\r\n", 200, b"", {"content-length": "5"}),
    "a length that is no number, in answer to HEAD": ("HEAD", OK + b"Content-Length: -1\r\n\r\n", 200, b"", {"content-length": None}),
    "a coding that is not known, in answer to HEAD": ("HEAD", OK + b"Transfer-Encoding: gzip\r\n\r\n", 200, b"", {"transfer-encoding": None}),
    "content in answer to HEAD": ("HEAD", OK + b"Content-Length: 4\r\n\r\ntrue", 200, b"", {"content-length": "4"}),
    "two lengths in a 304": ("GET", b"HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n", 304, b"", {"content-length": None}),
    "chunks in a 304 of HTTP/1.0":
        ("GET", b"HTTP/1.0 304 Not Modified\r\nConnection: keep-alive\r\nTransfer-Encoding: chunked\r\n\r\n", 304, b"", {"transfer-encoding": None}),
    "the same length twice": ("GET", OK + b"Content-Length: 4\r\nX-A: b\r\nContent-Length: 4\r\n\r\ntrue", 200, b"true", {"content-length": "4", "x-a": "b"}),
    "the same length in a list": ("GET", OK + b"Content-Length: 4,4 ,\t4\r\n\r\ntrue", 200, b"true", {"content-length": "4"}),
    "the same length in fields and lists": ("GET", OK + b"Content-Length: 4, 4\r\ncontent-length: 004\r\n\r\ntrue", 200, b"true", {"content-length": "4"}),
    "a length that Connection takes away":
        ("GET", OK + b"Content-Length: 4\r\nConnection: content-length\r\n\r\ntrue", 200, b"true", {"content-length": "4", "connection": None}),
    "a coding that Connection takes away":
        ("GET", OK + b"Transfer-Encoding: chunked\r\nConnection: keep-alive\r\nConnection: Transfer-Encoding\r\n\r\n4\r\ntrue\r\n0\r\n\r\n", 200, b"true",
         {"transfer-encoding": "chunked", "connection": None}),
    "an option of Connection that is no token": ("GET", OK + b"Connection: x y, X-A\r\nX-A: b\r\nContent-Length: 4\r\n\r\ntrue", 200, b"true", {"x-a": None}),
    "an option of Connection that is almost close": ("GET", OK + b"Connection: close;\r\nContent-Length: 4\r\n\r\ntrue", 200, b"true", {"connection": None}),
    "an empty line before it": ("GET", b"\r\n" + LATE, 200, b"true", {}),
    "an LF before it": ("GET", b"\n" + LATE, 200, b"true", {}),
    "an empty line before a 1xx": ("GET", b"\r\nHTTP/1.1 103 Early Hints\r\nLink: <a>\r\n\r\n" + LATE, 200, b"true", {}),
    "an empty line behind a 1xx": ("GET", b"HTTP/1.1 103 Early Hints\r\nLink: <a>\r\n\r\n\r\n" + LATE, 200, b"true", {}),
    "a tab behind the version": ("GET", b"HTTP/1.1\t404 x\r\nContent-Length: 4\r\n\r\ntrue", 404, b"true", {}),
    "two spaces before the code": ("GET", b"HTTP/1.1  200 OK\r\nContent-Length: 4\r\n\r\ntrue", 200, b"true", {}),
    "a tab behind the code": ("GET", b"HTTP/1.0 200\tOK\r\nConnection: keep-alive\r\nContent-Length: 4\r\n\r\ntrue", 200, b"true", {}),
    "lines that end with LF": ("GET", b"HTTP/1.1 200 OK\nX-A: b \nContent-Length: 4\nX-B:\n\ntrue", 200, b"true", {"x-a": "b", "x-b": "", "content-length": "4"}),
    "a status line that ends with LF": ("GET", b"HTTP/1.1 200 OK\nX-A: b\r\nContent-Length: 4\r\n\r\ntrue", 200, b"true", {"x-a": "b"}),
    "one field that ends with LF": ("GET", OK + b"X-A: b\nX-B: c\r\nContent-Length: 4\r\n\r\ntrue", 200, b"true", {"x-a": "b", "x-b": "c"}),
    "an LF for the empty line": ("GET", OK + b"Content-Length: 4\r\n\ntrue", 200, b"true", {}),
    "LFs, and chunks": ("GET", b"HTTP/1.1 200\nTransfer-Encoding: chunked\n\n4\r\ntrue\r\n0\r\n\r\n", 200, b"true", {}),
    "LFs in a 1xx and behind it": ("GET", b"HTTP/1.1 103 Early Hints\nLink: <a>\n\n" + LATE, 200, b"true", {}),
    "a field and a response that LF ends": ("GET", OK + b"Set-Cookie: a\nContent-Length: 0\n\n" + FORGED, 200, b"", {"set-cookie": "a"}),
    "a reason and a response that LF ends": ("GET", b"HTTP/1.1 200 OK\nContent-Length: 0\n\n" + FORGED, 200, b"", {}),
    "blanks behind the last chunk's size": ("GET", CHUNKED + b"4\r\ntrue\r\n0     \r\nX-Sum: 1\r\n\r\n", 200, b"true", {}),
}


@pytest.mark.parametrize("odd", ODD)
def test_a_response_is_delivered_and_its_connection_destroyed_that_has(gate, odd):
    proxy, up = gate
    method, sent, status, content, fields = ODD[odd]
    caller = proxy.caller()
    caller.request(method, "/")
    exchange, _ = up.take()
    exchange.send(sent)
    response = caller.recv_response(method)
    assert (response.status, response.content) == (status, content)
    for name, value in fields.items():
        assert response.fields.all(name) == ([] if value is None else [value])
    exchange.wait_ended()
    next_call_is_its_own(proxy, up, caller)


# Likewise, but as the grammar has them: their connection serves the next call.
SOUND = {
    "zeros before chunk sizes": ("GET", CHUNKED + b"0" * 40 + b"4\r\ntrue\r\n00000000\r\n\r\n", 200, b"true", {}),
    "a length of 0 in a 204": ("GET", b"HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n", 204, b"", {"content-length": None}),
    "a length of 0 in a 1xx": ("GET", b"HTTP/1.1 100\r\nConnection: Keep-Alive\r\nContent-Length: 0\r\n\r\n" + LATE, 200, b"true", {}),
    "chunked in answer to HEAD": ("HEAD", OK + b"Transfer-Encoding: chunked\r\n\r\n", 200, b"", {"transfer-encoding": "chunked", "content-length": None}),
    "a length in answer to HEAD": ("HEAD", OK + b"Content-Length: 0012345\r\n\r\n", 200, b"", {"content-length": "12345"}),
    "a length in a 304": ("GET", b"HTTP/1.1 304 Not Modified\r\nContent-Length: 999\r\n\r\n", 304, b"", {"content-length": "999"}),
    "tabs around a length": ("GET", OK + b"Content-Length:\t4\t\r\n\r\ntrue", 200, b"true", {"content-length": "4"}),
    "tabs around a coding": ("GET", OK + b"Transfer-Encoding: \tchunked\t\r\n\r\n4\r\ntrue\r\n0\r\n\r\n", 200, b"true", {"transfer-encoding": "chunked"}),
    "a code of 600": ("GET", b"HTTP/1.1 600 X\r\nContent-Length: 4\r\n\r\ntrue", 600, b"true", {}),
    "a code of 999": ("GET", b"HTTP/1.1 999 Request denied\r\nContent-Length: 4\r\n\r\ntrue", 999, b"true", {}),
    "no reason": ("GET", b"HTTP/1.1 200\r\nContent-Length: 4\r\n\r\ntrue", 200, b"true", {}),
    "a reason beyond ASCII": ("GET", b"HTTP/1.1 404 N\xc3\xa3o\t\xe9\r\nContent-Length: 4\r\n\r\ntrue", 404, b"true", {}),
    "a later minor version": ("GET", b"HTTP/1.2 200 OK\r\nContent-Length: 4\r\n\r\ntrue", 200, b"true", {}),
    "Connection, which takes away what we set": ("GET", OK + b"Connection: Via, x-curfew-call,, keep-alive\r\nContent-Length: 4\r\n\r\ntrue", 200, b"true", {}),
    "white space around the semicolon of a chunk extension": ("GET", CHUNKED + b"4 ; a = \"b ; c\"\r\ntrue\r\n0\t;d\r\n\r\n", 200, b"true", {}),
}


@pytest.mark.parametrize("kind", SOUND)
def test_a_response_is_delivered_and_its_connection_kept_that_has(gate, kind):
    proxy, up = gate
    method, sent, status, content, fields = SOUND[kind]
    caller = proxy.caller()
    caller.request(method, "/")
    exchange, _ = up.take()
    exchange.send(sent)
    response = caller.recv_response(method)
    assert (response.status, response.content) == (status, content)
    for name, value in fields.items():
        assert response.fields.all(name) == ([] if value is None else [value])
    caller.request("GET", "/next")
    assert exchange.recv_request().target == "/next"
    exchange.answer(200, "Connection: close", content=b"own")
    assert caller.recv_response().content == b"own"
    caller.must_be_silent()
    proxy.wait_idle()


# What an upstream sends behind a response that is sound: (method, the response, its content as the caller gets it).
EXTRA = {
    "a length": ("GET", OK + b"Content-Length: 4\r\n\r\ntrue", b"true"),
    "a length of 0": ("GET", OK + b"Content-Length: 0\r\n\r\n", b""),
    "chunks": ("GET", OK + b"Transfer-Encoding: chunked\r\n\r\n4\r\ntrue\r\n0\r\n\r\n", b"true"),
    "no content": ("GET", b"HTTP/1.1 204 No Content\r\n\r\n", b""),
    "304 that says a length": ("GET", b"HTTP/1.1 304 Not Modified\r\nContent-Length: %d\r\n\r\n" % len(FORGED), b""),
    "HEAD's length": ("HEAD", OK + b"Content-Length: %d\r\n\r\n" % len(FORGED), b""),
    "HEAD's chunks": ("HEAD", OK + b"Transfer-Encoding: chunked\r\n\r\n", b""),
    "a 1xx before": ("GET", b"HTTP/1.1 103 Early Hints\r\n\r\n" + LATE, b"true"),
}


@pytest.mark.parametrize("end", EXTRA)
def test_bytes_behind_a_response_are_no_ones_that_ends_with(pair, end):
    proxy, up = pair()
    method, sent, content = EXTRA[end]
    caller = proxy.caller()
    caller.request(method, "/")
    exchange, _ = up.take()
    exchange.send(sent + FORGED)
    assert caller.recv_response(method).content == content
    exchange.wait_ended()
    next_call_is_its_own(proxy, up, caller)


@pytest.mark.parametrize("size", [4096, 8192, 16384, 32768, 65536, 131072])
def test_bytes_behind_a_response_are_no_ones_when_it_just_fills_a_read(pair, size):
    """They stay in the socket, whose event has been there already."""
    proxy, up = pair()
    caller = proxy.caller()
    caller.request("GET", "/")
    exchange, _ = up.take()
    head = OK + b"Content-Length: %06d\r\n\r\n"
    content = bytes(size - len(head % 0))
    exchange.send(head % len(content) + content + FORGED)
    assert caller.recv_response().content == content
    exchange.wait_ended()
    next_call_is_its_own(proxy, up, caller)


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_bytes_behind_a_response_are_no_ones_in_a_tls_record_of_their_own(curfew, upstream, certificates, method):
    """They are in OpenSSL's buffer: neither the socket nor its events tell of them."""
    up = upstream(tls=certificates.server())
    proxy = curfew(url=up.named("localhost"), tls={"ca_file": certificates.ca})
    caller = proxy.caller()
    caller.request("GET", "/")
    exchange, _ = up.take()
    exchange.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_CORK, 1)
    exchange.send(LATE)
    exchange.send(FORGED)
    exchange.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_CORK, 0)
    assert caller.recv_response().content == b"true"
    caller.request(method, "/next", content=b"x" if method == "POST" else None)
    other, request = up.take()
    assert request.target == "/next"
    other.answer(content=b"own")
    assert caller.recv_response().content == b"own"


def test_a_response_before_a_request_is_no_ones(pair):
    """It comes while the connection is idle, in many ways of cutting it."""
    proxy, up = pair()
    caller = proxy.caller()
    for unasked in (FORGED, b"H", b"\r\n", b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\n\r\n"):
        caller.request("GET", "/")
        exchange, _ = up.take()
        exchange.answer(content=b"true")
        assert caller.recv_response().content == b"true"
        exchange.send(unasked)
        exchange.wait_ended()
    next_call_is_its_own(proxy, up, caller)


def test_a_response_before_the_request_is_whole_ends_both_connections(pair):
    """The rest of the content must be nobody's request."""
    proxy, up = pair()
    caller = proxy.caller()
    caller.send(POST + b"Content-Length: %d\r\n\r\n" % (2 * len(SMUGGLED)))
    exchange = up.accept()
    exchange.recv_head()
    exchange.send(FORGED)
    assert caller.recv_response()["connection"] == "close"
    exchange.wait_ended()
    caller.send_some(SMUGGLED * 3)
    caller.must_end()
    up.must_have_no_connection(0.1)


def test_content_that_an_early_response_left_behind_is_no_request(pair):
    """
    All of it has been read when the answer and the connection's end are seen, so the caller's connection is kept; but the
    upstream never took it.
    """
    proxy, up = pair()
    caller = proxy.caller()
    caller.send(POST + b"Content-Length: %d\r\n\r\n" % len(SMUGGLED))
    exchange = up.accept()
    exchange.recv_head()
    with proxy.process.paused():
        caller.send(SMUGGLED)
        exchange.answer(content=b"early")
        exchange.reset()
    response = caller.recv_response()
    assert response.content == b"early"
    if response["connection"] == "close":  # the upstream was looked at before the content was
        caller.must_end()
        up.must_have_no_connection()
        return
    caller.request("GET", "/next")
    other, request = up.take()
    assert request.target == "/next"
    other.answer(content=b"own")
    assert caller.recv_response().content == b"own"


def test_interim_responses_do_not_pile_up_for_a_caller_who_does_not_read(pair):
    proxy, up = pair(deadline="20s")
    caller = proxy.caller(receive_buffer=4096)
    caller.request("GET", "/")
    exchange, _ = up.take()
    many = (b"HTTP/1.1 103 Early Hints\r\nLink: " + b"x" * 4000 + b"\r\n\r\n") * 16

    def has_ended():
        with contextlib.suppress(ConnectionError):
            exchange.send_some(many)
        return exchange.ended()

    poll(has_ended, "the upstream's connection to end")
    line, = proxy.log(1)
    assert (line["outcome"], line["cause"]) == ("failed", "http_response_header_section_size")
    with pytest.raises(Cut):
        caller.recv_response()


# ------------------------------------------------------------------------------------------- what curfew writes itself


@pytest.mark.parametrize("value", ["a\r\nX-Evil: b", "a\nb", "a\rb", "a\0b", "a\x0bb", "a\x1bb", "a\x7fb", "\r\n\r\nGET / HTTP/1.1"])
@pytest.mark.parametrize("source", ["text", "file"])
def test_a_field_that_would_break_its_line_is_an_error_of_the_configuration(tmp_path, value, source):
    if source == "file":
        (tmp_path / "value").write_bytes(value.encode("latin-1"))
    told = json.dumps(value) if source == "text" else f"{{file: {tmp_path / 'value'}}}"
    config = tmp_path / "curfew.yaml"
    config.write_text(f"upstreams:\n  api:\n    listen: 127.0.0.1:0\n    url: http://127.0.0.1:1\n    headers: {{set: {{X-A: {told}}}}}\n")
    result = curfew_command("check", config)
    assert result.returncode == 1 and re.search("control character|NUL", result.stderr), result


def test_values_of_the_caller_stay_on_their_line_in_the_fields_that_are_added(pair):
    proxy, up = pair(headers={"forwarded": "x-forwarded"})
    caller = proxy.caller()
    caller.send(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: X-Forwarded-For\r\nX-Forwarded-For: a\tb, \xff, \"\r\nX-Forwarded-For: c\r\nVia: 1.1 y\r\n\r\n")
    exchange, request = up.take()
    assert request.fields.all("x-forwarded-for") == ["a\tb, \xff, \", c, 127.0.0.1"]
    assert request.fields.all("x-forwarded-proto") == ["http"]
    exchange.answer(200, "X-Curfew-Call: forged", content=b"x")
    response = caller.recv_response()
    line, = proxy.log(1)
    assert response.fields.all("x-curfew-call") == [line["id"]]


def hostile_targets(count):
    """Every byte that a target may hold, with those more often that mean something in JSON, in a shell or in a log."""
    rng = random.Random(1)
    allowed = [chr(byte) for byte in range(0x21, 0x7f) if chr(byte) != "#"]
    yield "/" + "".join(allowed)
    yield from ("/\"", "/\\", "/\\\"", "/\\u0000", "/\"}\\n{\"", "/%0d%0a", "/\\r\\n", "/?", "?", "/?\"", "/%00", "/{{x}}", "/%s%n", "/'\"`$(x)")
    for _ in range(count):
        yield "/" + "".join(rng.choices(allowed + ["\"", "\\"] * 20, k=rng.randint(1, 60)))


def test_hostile_targets_come_back_from_the_log_as_they_were(pair):
    proxy, _ = pair(ok)
    caller = proxy.caller()
    sent = []
    for target in hostile_targets(300):
        if target.startswith("?"):  # only an absolute target can begin with its query
            target = "http://127.0.0.1" + target
            assert caller.ask("GET", target, host="127.0.0.1").status == 200
        else:
            assert caller.ask("GET", target).status == 200
        sent.append(target)
    assert [line["target"] for line in proxy.log(len(sent))] == sent


def test_the_query_of_a_target_without_a_path_is_logged_whole(pair):
    proxy, _ = pair(ok)
    for count, sent in enumerate(("http://127.0.0.1?a=b", "http://127.0.0.1", "http://127.0.0.1/?"), 1):
        assert proxy.ask("GET", sent, host="127.0.0.1").status == 200
        assert proxy.log(count)[-1]["target"] == sent


def test_hostile_methods_fields_and_refusals_leave_lines_of_json(pair):
    proxy, _ = pair(ok)
    token = "!#$%&'*+-.^_`|~" + string.digits + string.ascii_letters
    count = 0
    for start in range(0, len(token), 30):
        assert proxy.ask(token[start:start + 30], "/").status == 200
        count += 1
    for byte in range(256):
        caller = proxy.caller()
        caller.send(b"GET /\"\\%c HTTP/1.1\r\nHost: \"\\%c\r\nX\"%c: \"\\%c\r\n\r\n" % (byte, byte, byte, byte))
        response = caller.recv_response()
        assert json.loads(response.content)["status"] == response.status == 400
        caller.close()
        count += 1
    for target in ("http://evil.example/\"\\", "http://e\"vil/", "ftp://\"/", "/\"\x7f"):
        response = proxy.ask("GET", target, host="evil.example")
        assert json.loads(response.content)["status"] == response.status in (400, 404)
        count += 1
    for line in proxy.log(count):
        assert line["outcome"] in ("completed", "not_a_call")
