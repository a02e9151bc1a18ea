"""What goes through: every byte that should, none that should not, in both directions."""

import datetime
import json
import random
import re
import socket

import pytest

from harness.bounds import SLOW, poll
from harness.curfew import curfew_command
from harness.wire import Cut

CRLF = b"\r\n"


def big(size, seed=1):
    return random.Random(seed).randbytes(size)


def chunked(*pieces, trailers=b"", extension=b""):
    return b"".join(b"%x%s\r\n%s\r\n" % (len(piece), extension, piece) for piece in pieces) + \
        b"0\r\n" + trailers + CRLF


# --------------------------------------------------------------------- methods and content


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PURGE", "M-SEARCH"])
def test_every_method_is_passed_on(gate, method):
    proxy, up = gate
    caller = proxy.caller()
    caller.request(method, "/thing")
    exchange, request = up.take()
    assert (request.method, request.target, request.content) == (method, "/thing", b"")
    exchange.answer(200, "Connection: close", content=b"fine")
    response = caller.recv_response(method)
    assert (response.status, response.reason, response.content) == (200, "OK", b"fine")


def test_connect_is_refused(pair):
    proxy, up = pair()
    caller = proxy.caller()
    caller.send(b"CONNECT api.test:443 HTTP/1.1\r\nHost: api.test:443\r\n\r\n")
    assert caller.recv_response().status == 405
    up.must_have_no_connection()


@pytest.mark.parametrize("size", [0, 1, 1000, 16384, 300_000])
def test_content_with_a_length_is_passed_on_both_ways(pair, size):
    proxy, up = pair()
    caller = proxy.caller()
    caller.request("POST", "/", content=big(size, 1))
    exchange, request = up.take()
    assert request["content-length"] == str(size) and request.content == big(size, 1)
    exchange.answer(content=big(size, 2))
    response = caller.recv_response()
    assert response["content-length"] == str(size) and response.content == big(size, 2)


def test_chunked_content_is_passed_on_both_ways(pair):
    proxy, up = pair()
    caller = proxy.caller()
    pieces = [big(n, n) for n in (1, 5000, 16384, 100_000)]
    caller.send(b"PUT /up HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n" + chunked(*pieces))
    exchange, request = up.take()
    assert request.framing == "chunked" and request.content == b"".join(pieces)
    exchange.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunked(*reversed(pieces)))
    response = caller.recv_response()
    assert response.framing == "chunked" and response.content == b"".join(reversed(pieces))


def test_content_is_streamed_as_it_comes(pair):
    """Neither side waits for the whole of it."""
    proxy, up = pair()
    caller = proxy.caller()
    caller.send(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 6\r\n\r\nabc")
    exchange = up.accept()
    assert exchange.recv_head()["content-length"] == "6"
    assert exchange.read_exactly(3) == b"abc"
    caller.send(b"def")
    assert exchange.read_exactly(3) == b"def"
    exchange.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nghi\r\n")
    response = caller.recv_response_head()
    assert response.status == 200
    assert caller.read_exactly(8) == b"3\r\nghi\r\n"
    exchange.send(b"0\r\n\r\n")
    assert caller.read_exactly(5) == b"0\r\n\r\n"


def test_messages_that_come_byte_by_byte_are_the_same(pair):
    proxy, up = pair()
    caller = proxy.caller()
    for byte in b"POST /slow HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n" + chunked(b"hello", b"world"):
        caller.send(bytes([byte]))
    exchange, request = up.take()
    assert (request.target, request.content) == ("/slow", b"helloworld")
    for byte in b"HTTP/1.1 200 OK\r\nX-A: b\r\nTransfer-Encoding: chunked\r\n\r\n" + chunked(b"bye"):
        exchange.send(bytes([byte]))
    response = caller.recv_response()
    assert (response["x-a"], response.content) == ("b", b"bye")


def test_chunk_extensions_go_no_further(pair):
    proxy, up = pair()
    caller = proxy.caller()
    caller.send(b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
                + chunked(b"abc", extension=b';secret="1;2"'))
    exchange = up.accept()
    exchange.recv_head()
    assert b"secret" not in exchange.read_until(b"0\r\n\r\n")
    exchange.answer()
    assert caller.recv_response().status == 200


def test_trailers_are_passed_on_both_ways(pair):
    proxy, up = pair()
    caller = proxy.caller()
    caller.send(b"POST / HTTP/1.1\r\nHost: x\r\nTE: trailers\r\nTrailer: X-Sum\r\nTransfer-Encoding: chunked\r\n\r\n"
                + chunked(b"abc", trailers=b"X-Sum: 294\r\n"))
    exchange, request = up.take()
    assert request.trailers.get("x-sum") == "294"
    exchange.send(b"HTTP/1.1 200 OK\r\nTrailer: X-Check\r\nTransfer-Encoding: chunked\r\n\r\n"
                  + chunked(b"xyz", trailers=b"X-Check: ok\r\nX-More: 1\r\n"))
    response = caller.recv_response()
    assert response.content == b"xyz"
    assert list(response.trailers) == [("X-Check", "ok"), ("X-More", "1")]


def test_trailers_can_not_smuggle_framing(pair):
    proxy, up = pair()
    caller = proxy.caller()
    caller.send(b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
                + chunked(b"abc", trailers=b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\nHost: evil\r\nX-Ok: 1\r\n"))
    exchange, request = up.take()
    assert list(request.trailers) == [("X-Ok", "1")]
    exchange.answer()
    assert caller.recv_response().status == 200


# ------------------------------------------------------------------ responses without content


def test_head_keeps_its_length_and_the_connection_goes_on(pair):
    proxy, up = pair()
    caller = proxy.caller()
    caller.request("HEAD", "/size")
    exchange, request = up.take()
    assert request.method == "HEAD"
    exchange.send(b"HTTP/1.1 200 OK\r\nContent-Length: 12345\r\nETag: \"a\"\r\n\r\n")
    response = caller.recv_response("HEAD")
    assert (response["content-length"], response["etag"]) == ("12345", '"a"')
    caller.must_be_silent()
    caller.request("GET", "/next")
    assert exchange.recv_request().target == "/next"
    exchange.answer(content=b"x")
    assert caller.recv_response().content == b"x"


@pytest.mark.parametrize("status", [204, 304])
def test_responses_that_have_no_content_have_none(pair, status):
    proxy, up = pair()
    caller, exchange = proxy.caller(), None
    for _ in range(2):
        caller.request("GET", "/")
        exchange = exchange or up.accept()
        exchange.recv_request()
        exchange.send(b"HTTP/1.1 %d Whatever\r\nETag: \"b\"\r\n\r\n" % status)
        response = caller.recv_response()
        assert (response.status, response["etag"], response["transfer-encoding"]) == (status, '"b"', None)
    caller.must_be_silent()


def test_304_may_say_the_length_of_what_it_does_not_send(pair):
    proxy, up = pair()
    caller = proxy.caller()
    caller.request("GET", "/")
    exchange, _ = up.take()
    exchange.send(b"HTTP/1.1 304 Not Modified\r\nContent-Length: 77\r\n\r\n")
    assert caller.recv_response().status == 304
    caller.must_be_silent()
    caller.must_be_open()


# ---------------------------------------------------------------------------------- 1xx


def test_interim_responses_are_passed_on(pair):
    proxy, up = pair()
    caller = proxy.caller()
    caller.request("GET", "/")
    exchange, _ = up.take()
    exchange.send(b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n")
    hint = caller.recv_response_head()
    assert (hint.status, hint["link"]) == (103, "</a>")
    exchange.send(b"HTTP/1.1 102 Processing\r\n\r\n")
    exchange.answer(content=b"done")
    response = caller.recv_response()
    assert [one.status for one in response.interim] == [102]
    assert response.content == b"done"


def test_a_hundred_interim_responses_are_passed_on_and_one_more_is_a_flood(pair):
    """As over HTTP/2. Each response may have so many, not each connection."""
    proxy, up = pair()
    caller = proxy.caller()
    exchange = None
    for _ in range(2):
        caller.request("GET", "/")
        if exchange is None:
            exchange, _ = up.take()
        else:
            exchange.recv_request()
        exchange.send(b"HTTP/1.1 103 Early Hints\r\n\r\n" * 100)
        exchange.answer(content=b"done")
        response = caller.recv_response()
        assert (response.status, response.content, len(response.interim)) == (200, b"done", 100)
    caller.request("GET", "/")
    exchange.recv_request()
    exchange.send(b"HTTP/1.1 103 Early Hints\r\n\r\n" * 101)
    response = caller.recv_response()
    assert (response.status, len(response.interim)) == (502, 100)
    assert response["proxy-status"].endswith("error=http_protocol_error")
    assert json.loads(response.content)["detail"] == "too many interim responses"
    exchange.wait_ended()


def hint(letter, size=50000):
    return b"HTTP/1.1 103 Early Hints\r\nX-Pad: " + letter * size + b"\r\n\r\n"


def all_is_taken(proxy):
    """What has reached curfew so far has been dealt with: each worker answers a scrape between two turns of its loop."""
    proxy.metrics()
    proxy.metrics()


LARGE_HEADS = {"limits": {"request_head": "64KiB", "response_head": "64KiB"}}


def test_an_interim_response_that_waited_for_its_reader_needs_no_word_of_the_upstream(pair):
    proxy, up = pair(top=LARGE_HEADS)
    caller = proxy.caller(receive_buffer=4096)
    caller.request("GET", "/")
    exchange, _ = up.take()
    exchange.send(hint(b"a") + hint(b"b"))
    all_is_taken(proxy)
    for letter in "ab":
        assert caller.recv_response_head()["x-pad"] == letter * 50000
    exchange.answer(content=b"done")
    assert caller.recv_response().content == b"done"


def test_a_head_that_waits_for_its_reader_is_the_callers_own(pair):
    """Also behind an interim response that waited before, and while others are served."""
    proxy, up = pair(top=LARGE_HEADS)
    caller = proxy.caller(receive_buffer=4096)
    caller.request("GET", "/")
    exchange, _ = up.take()
    exchange.send(hint(b"a") + hint(b"b"))
    all_is_taken(proxy)
    for letter in "ab":
        assert caller.recv_response_head()["x-pad"] == letter * 50000
    exchange.send(hint(b"c", 1))
    assert caller.recv_response_head()["x-pad"] == "c"
    exchange.send(hint(b"d"))
    all_is_taken(proxy)
    exchange.answer(200, "X-Pad: " + "e" * 50000, content=b"done")
    proxy.wait_in_flight(1, "receive")
    other = proxy.caller()
    other.request("GET", "/", "X-Secret: " + "s" * 60000)
    exchange.recv_request()
    exchange.answer(content=b"other")
    assert other.recv_response().content == b"other"
    assert caller.recv_response_head()["x-pad"] == "d" * 50000
    response = caller.recv_response()
    assert (response["x-pad"], response.content) == ("e" * 50000, b"done")


def test_interim_responses_do_not_reach_a_caller_of_http_1_0(pair):
    proxy, up = pair()
    caller = proxy.caller()
    caller.send(b"GET / HTTP/1.0\r\nHost: x\r\n\r\n")
    exchange, _ = up.take()
    exchange.send(b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n")
    exchange.answer(content=b"done")
    response = caller.recv_response()
    assert (response.status, list(response.interim), response.content) == (200, [], b"done")


def test_100_continue_comes_from_the_upstream(pair):
    proxy, up = pair()
    caller = proxy.caller()
    caller.request("POST", "/", "Expect: 100-continue", "Content-Length: 5")
    exchange = up.accept()
    assert exchange.recv_head()["expect"] == "100-continue"
    caller.must_be_silent()
    exchange.send(b"HTTP/1.1 100 Continue\r\n\r\n")
    assert caller.recv_response_head().status == 100
    caller.send(b"hello")
    assert exchange.read_exactly(5) == b"hello"
    exchange.answer(content=b"thanks")
    assert caller.recv_response().content == b"thanks"


def test_a_caller_that_does_not_wait_for_100_is_served(pair):
    proxy, up = pair()
    caller = proxy.caller()
    caller.request("POST", "/", "Expect: 100-continue", content=b"hello")
    exchange, request = up.take()
    assert request.content == b"hello"
    exchange.answer(content=b"thanks")
    assert caller.recv_response().content == b"thanks"


def test_an_upstream_that_never_says_100_gets_the_content_once_it_comes(pair):
    """A caller does not wait for ever, and neither side may wait for the other."""
    proxy, up = pair()
    caller = proxy.caller()
    caller.request("POST", "/", "Expect: 100-continue", "Content-Length: 5")
    exchange = up.accept()
    exchange.recv_head()
    caller.must_be_silent()
    caller.send(b"hello")
    assert exchange.read_exactly(5) == b"hello"
    exchange.answer(content=b"thanks")
    assert caller.recv_response().content == b"thanks"


def test_a_final_response_instead_of_100_is_passed_on_and_both_connections_end(pair):
    proxy, up = pair()
    caller = proxy.caller()
    caller.request("POST", "/", "Expect: 100-continue", "Content-Length: 5")
    exchange = up.accept()
    exchange.recv_head()
    exchange.answer(417, content=b"no", reason="Expectation Failed")
    response = caller.recv_response()
    assert (response.status, response.content, response["connection"]) == (417, b"no", "close")
    exchange.wait_ended()
    caller.must_end()


def test_an_unknown_expectation_is_refused(pair):
    proxy, up = pair()
    response = proxy.ask("POST", "/", "Expect: miracles", content=b"x")
    assert response.status == 417
    up.must_have_no_connection()


# ------------------------------------------------------------- early responses while uploading


def test_an_early_response_ends_both_connections(pair):
    """Bytes of the first request's content must never be read as a second request."""
    proxy, up = pair()
    caller = proxy.caller()
    caller.send(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n" + bytes(1000))
    exchange = up.accept()
    exchange.recv_head()
    exchange.answer(413, content=b"too large", reason="Content Too Large")
    response = caller.recv_response()
    assert (response.status, response.content, response["connection"]) == (413, b"too large", "close")
    exchange.wait_ended()
    caller.must_end()
    assert up.connections == 1


def test_a_call_after_an_early_response_gets_a_fresh_upstream_connection(pair):
    proxy, up = pair()
    first = proxy.caller()
    first.send(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nhalf")
    exchange = up.accept()
    exchange.recv_head()
    exchange.answer(content=b"early")
    assert first.recv_response().content == b"early"
    second = proxy.caller()
    second.request("GET", "/second")
    other, request = up.take()
    assert request.target == "/second"
    other.answer(content=b"fresh")
    assert second.recv_response().content == b"fresh"


def test_an_early_response_reaches_a_caller_that_goes_on_sending(pair):
    """The caller's unread bytes must not turn the close into a reset that destroys what is on its way (RFC 9112 9.6)."""
    proxy, up = pair()
    caller = proxy.caller(receive_buffer=4096)
    caller.send(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10000000\r\n\r\n")
    exchange = up.accept()
    exchange.recv_head()
    exchange.answer(403, content=big(60_000), reason="Forbidden")
    poll(lambda: exchange.ended(), "the upstream connection to end")
    caller.send_some(bytes(200_000))
    response = caller.recv_response()
    assert (response.status, response.content) == (403, big(60_000))
    caller.must_end()


# ---------------------------------------------------------------------------- HTTP/1.0


def test_a_caller_of_http_1_0_gets_a_plain_response_and_a_close(pair):
    proxy, up = pair()
    caller = proxy.caller()
    caller.send(b"GET /old HTTP/1.0\r\n\r\n")
    exchange, request = up.take()
    assert (request.minor, request["host"]) == (1, up.authority)
    exchange.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunked(b"abc", b"def"))
    response = caller.recv_response()
    assert (response["transfer-encoding"], response.content) == (None, b"abcdef")
    assert caller.must_end() == "closed"


def test_a_caller_of_http_1_0_may_keep_its_connection(pair):
    proxy, up = pair()
    caller, exchange = proxy.caller(), None
    for _ in range(2):
        caller.send(b"GET / HTTP/1.0\r\nHost: x\r\nConnection: keep-alive\r\n\r\n")
        exchange = exchange or up.accept()
        exchange.recv_request()
        exchange.answer(content=b"abc")
        response = caller.recv_response()
        assert response.content == b"abc" and response["connection"].lower() == "keep-alive"


def test_http_1_0_keep_alive_ends_where_the_length_is_not_known(pair):
    proxy, up = pair()
    caller = proxy.caller()
    caller.send(b"GET / HTTP/1.0\r\nHost: x\r\nConnection: keep-alive\r\n\r\n")
    exchange, _ = up.take()
    exchange.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunked(b"abc"))
    assert caller.recv_response().content == b"abc"
    assert caller.ended() == "closed"


@pytest.mark.parametrize("version", [b"1.0", b"1.1"])
def test_close_delimited_content_becomes_chunked(pair, version):
    proxy, up = pair()
    caller = proxy.caller()
    caller.request("GET", "/")
    exchange, _ = up.take()
    exchange.send(b"HTTP/%s 200 OK\r\n\r\n" % version + big(50_000))
    exchange.close()
    response = caller.recv_response()
    assert (response.framing, response.minor, response.content) == ("chunked", 1, big(50_000))
    caller.must_be_open()


def test_a_response_of_http_1_0_with_a_length_is_passed_on(pair):
    proxy, up = pair()
    caller = proxy.caller()
    caller.request("GET", "/")
    exchange, _ = up.take()
    exchange.send(b"HTTP/1.0 200 OK\r\nContent-Length: 3\r\n\r\nabc")
    response = caller.recv_response()
    assert (response.minor, response.content) == (1, b"abc")
    exchange.wait_ended()  # HTTP/1.0 without keep-alive: not reused
    caller.must_be_open()


# ------------------------------------------------------------------------- connections


def test_pipelined_requests_are_answered_in_order(pair):
    proxy, up = pair()
    caller = proxy.caller()
    caller.send(b"".join(b"GET /%d HTTP/1.1\r\nHost: x\r\n\r\n" % n for n in range(5)))
    exchange = up.accept()
    for n in range(5):
        assert exchange.recv_request().target == f"/{n}"
        exchange.answer(content=b"answer %d" % n)
    assert [caller.recv_response().content for _ in range(5)] == [b"answer %d" % n for n in range(5)]


def test_a_pipelined_request_behind_content_is_found(pair):
    proxy, up = pair()
    caller = proxy.caller()
    caller.send(b"POST /1 HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabcPOST /2 HTTP/1.1\r\nHost: x\r\n"
                b"Transfer-Encoding: chunked\r\n\r\n" + chunked(b"de") + b"GET /3 HTTP/1.1\r\nHost: x\r\n\r\n")
    exchange = up.accept()
    seen = []
    for _ in range(3):
        request = exchange.recv_request()
        seen.append((request.target, request.content))
        exchange.answer()
    assert seen == [("/1", b"abc"), ("/2", b"de"), ("/3", b"")]
    for _ in range(3):
        assert caller.recv_response().status == 200


@pytest.mark.one_worker
def test_an_upstream_connection_is_reused_by_other_callers(pair):
    proxy, up = pair()
    exchange = None
    for n in range(4):
        caller = proxy.caller()
        caller.request("GET", f"/{n}")
        exchange = exchange or up.accept()
        assert exchange.recv_request().target == f"/{n}"
        exchange.answer()
        assert caller.recv_response().status == 200
    assert up.connections == 1
    up.must_have_no_connection()


@pytest.mark.one_worker
def test_the_most_recently_used_upstream_connection_is_taken_first(pair):
    proxy, up = pair()
    callers = [proxy.caller() for _ in range(3)]
    exchanges = []
    for n, caller in enumerate(callers):
        caller.request("GET", f"/{n}")
        exchanges.append(up.take()[0])
    for place in (0, 2, 1):  # the order in which they become idle
        exchanges[place].answer()
        assert callers[place].recv_response().status == 200
    callers[0].request("GET", "/again")
    assert exchanges[1].recv_request().target == "/again"
    exchanges[1].answer()
    assert callers[0].recv_response().status == 200


def test_a_caller_that_says_close_is_closed(pair):
    proxy, up = pair()
    caller = proxy.caller()
    caller.request("GET", "/", "Connection: close")
    exchange, request = up.take()
    assert request["connection"] != "close"
    exchange.answer(content=b"bye")
    response = caller.recv_response()
    assert (response["connection"], response.content) == ("close", b"bye")
    assert caller.must_end() == "closed"
    exchange.must_be_open()


def test_an_upstream_that_says_close_does_not_close_the_caller(pair):
    proxy, up = pair()
    caller = proxy.caller()
    caller.request("GET", "/")
    exchange, _ = up.take()
    exchange.answer(200, "Connection: close", content=b"x")
    response = caller.recv_response()
    assert response["connection"] is None
    exchange.wait_ended()
    caller.request("GET", "/2")
    exchange, _ = up.take()
    exchange.answer(content=b"y")
    assert caller.recv_response().content == b"y"


def test_idle_callers_are_closed_after_the_idle_timeout(pair):
    proxy, up = pair(top={"limits": {"idle_timeout": "200ms"}})
    caller = proxy.caller()
    caller.request("GET", "/")
    exchange, _ = up.take()
    exchange.answer()
    assert caller.recv_response().status == 200
    assert caller.must_end() == "closed"
    assert proxy.caller().must_end() == "closed"  # one that has never asked


@pytest.mark.one_worker
def test_connections_beyond_the_limit_are_refused(pair):
    proxy, up = pair(top={"limits": {"connections": 3}})
    within = [proxy.caller() for _ in range(3)]
    for caller in within:
        caller.request("GET", "/")
    exchanges = [up.take()[0] for _ in within]
    beyond = proxy.caller()
    try:
        response = beyond.recv_response()
        assert response.status == 503
    except Cut:
        pass
    assert beyond.wait_ended()
    for exchange in exchanges:
        exchange.answer()
    assert [caller.recv_response().status for caller in within] == [200, 200, 200]
    assert proxy.metrics().sum("curfew_requests_refused_total", reason="connections") == 1
    within[0].close()
    proxy.wait_metric("curfew_connections", 2, side="downstream")
    caller = proxy.caller()
    caller.request("GET", "/")
    exchanges[-1].recv_request()
    exchanges[-1].answer()
    assert caller.recv_response().status == 200


# ------------------------------------------------------------------------------- fields


def test_hop_by_hop_fields_of_a_request_go_no_further(pair):
    proxy, up = pair()
    caller = proxy.caller()
    caller.request("GET", "/", "Connection: X-Private, keep-alive", "X-Private: 1", "Keep-Alive: timeout=5",
                   "Proxy-Connection: keep-alive", "Upgrade: websocket", "TE: gzip", "X-Public: 2")
    exchange, request = up.take()
    for name in ("x-private", "keep-alive", "proxy-connection", "upgrade"):
        assert name not in request.fields, name
    assert "gzip" not in (request["te"] or "")
    assert request["x-public"] == "2"
    exchange.answer()
    assert caller.recv_response().status == 200


def test_hop_by_hop_fields_of_a_response_go_no_further(pair):
    proxy, up = pair()
    caller = proxy.caller()
    caller.request("GET", "/")
    exchange, _ = up.take()
    exchange.answer(200, "Connection: X-Inner, keep-alive", "X-Inner: 1", "Keep-Alive: timeout=5",
                    "Proxy-Connection: close", "X-Outer: 2", content=b"z")
    response = caller.recv_response()
    for name in ("x-inner", "keep-alive", "proxy-connection", "connection"):
        assert name not in response.fields, name
    assert response["x-outer"] == "2"


@pytest.mark.parametrize("nominated", ["Content-Length", "Host", "Transfer-Encoding"])
def test_a_connection_field_can_not_strip_framing_or_host(pair, nominated):
    """Either refused, or sent on with exactly one framing and one Host."""
    proxy, up = pair()
    caller = proxy.caller()
    caller.request("POST", "/", f"Connection: {nominated}", content=b"abc")
    if poll(lambda: caller.ended() or up.has_connection(), "an answer or a connection") is True:
        exchange, request = up.take()
        assert (request.content, request["host"]) == (b"abc", up.authority)
        exchange.answer()
        assert caller.recv_response().status == 200
    else:
        assert caller.recv_response().status == 400


def test_other_fields_keep_their_order_case_and_bytes(pair):
    proxy, up = pair()
    caller = proxy.caller()
    lines = ["X-B: 1", "x-a:  two  words ", "X-B: 3", "Accept: */*", "COOKIE: a=b; c=\"d\"", "X-Latin: caf\xe9", "X-Empty:"]
    caller.request("GET", "/", *lines)
    exchange, request = up.take()
    wanted = [("X-B", "1"), ("x-a", "two  words"), ("X-B", "3"), ("Accept", "*/*"), ("COOKIE", 'a=b; c="d"'),
              ("X-Latin", "caf\xe9"), ("X-Empty", "")]
    assert [field for field in request.fields if field in wanted] == wanted
    exchange.answer(200, "Set-Cookie: a=1", "Server: up", "Set-Cookie: b=2", "Date: yesterday")
    response = caller.recv_response()
    wanted = [("Set-Cookie", "a=1"), ("Server", "up"), ("Set-Cookie", "b=2"), ("Date", "yesterday")]
    assert [field for field in response.fields if field in wanted] == wanted


def is_now(date):
    told = datetime.datetime.strptime(date, "%a, %d %b %Y %H:%M:%S GMT").replace(tzinfo=datetime.timezone.utc)
    return abs((datetime.datetime.now(datetime.timezone.utc) - told).total_seconds()) < 5


@pytest.mark.parametrize("version", ["1.1", "1.0"])
def test_a_response_without_a_date_gets_one(gate, version):
    proxy, up = gate
    for method, status in (("GET", 200), ("HEAD", 200), ("GET", 204), ("GET", 304), ("POST", 503)):
        caller = proxy.caller()
        caller.send(f"{method} / HTTP/{version}\r\nHost: x\r\n\r\n".encode())
        exchange, _ = up.take()
        exchange.send(b"HTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\nHTTP/1.1 %d X\r\nContent-Length: 0\r\nConnection: close\r\n\r\n" % status)
        response = caller.recv_response(method)
        assert response.status == status and is_now(response["date"])
        assert [one["date"] for one in response.interim] == ([None] if version == "1.1" else [])
        caller.close()


def test_a_date_that_came_stays(gate):
    proxy, up = gate
    for date in ("Sun, 06 Nov 1994 08:49:37 GMT", "yesterday", ""):
        caller = proxy.caller()
        caller.request("GET", "/")
        exchange, _ = up.take()
        exchange.answer(200, f"date: {date}", "Connection: close, Date")
        assert caller.recv_response().fields.all("date") == [date]
        caller.close()


def test_curfews_own_answers_have_a_date(pair):
    proxy, up = pair(deadline=f"{500 * SLOW:g}ms", pool={"size": 1, "queue": 0}, top={"limits": {"connections": 3}})
    first, second, bad = proxy.caller(), proxy.caller(), proxy.caller()
    first.request("GET", "/stuck")
    up.accept()
    second.request("GET", "/rejected")
    bad.send(b"no request\r\n\r\n")
    for caller, status in ((second, 503), (bad, 400), (first, 504)):
        response = caller.recv_response()
        assert response.status == status and is_now(response["date"])
    turned_away = [proxy.caller() for _ in range(2)][-1].recv_response()
    assert turned_away.status == 503 and is_now(turned_away["date"])


def test_host_is_the_upstreams(pair):
    proxy, up = pair()
    caller = proxy.caller()
    caller.request("GET", "/", host="something.else:81")
    exchange, request = up.take()
    assert request["host"] == up.authority
    exchange.answer()
    assert caller.recv_response().status == 200


def test_host_of_a_named_upstream_has_a_port_only_if_it_is_not_the_default(curfew, upstream):
    up = upstream()
    proxy = curfew(url=up.named("localhost"))
    caller = proxy.caller()
    caller.request("GET", "/")
    exchange, request = up.take()
    assert request["host"] == f"localhost:{up.port}"
    exchange.answer()
    assert caller.recv_response().status == 200


def test_every_response_names_its_call(pair):
    proxy, up = pair()
    caller = proxy.caller()
    seen = set()
    exchange = None
    for _ in range(3):
        caller.request("GET", "/")
        exchange = exchange or up.accept()
        exchange.recv_request()
        exchange.answer()
        seen.add(caller.recv_response()["x-curfew-call"])
    assert len(seen) == 3 and None not in seen
    assert {line["id"] for line in proxy.log(3)} == seen


def test_fields_are_set_from_text_and_from_a_file_and_removed(pair, tmp_path):
    token = tmp_path / "token"
    token.write_text("Bearer s3cret\n")
    proxy, up = pair(headers={"set": {"Authorization": {"file": str(token)}, "X-Set": "by curfew"},
                              "remove": ["Cookie", "X-Drop"]})
    caller = proxy.caller()
    caller.request("GET", "/", "Authorization: Basic mine", "cookie: a=b", "X-DROP: 1", "X-Set: by the caller", "X-Keep: 1")
    exchange, request = up.take()
    assert (request["authorization"], request["x-set"], request["x-keep"]) == ("Bearer s3cret", "by curfew", "1")
    assert "cookie" not in request.fields and "x-drop" not in request.fields
    exchange.answer()
    assert caller.recv_response().status == 200


# ------------------------------------------------------------------------------ targets


@pytest.mark.parametrize("target", [
    "/", "/a/../b/./c//d", "/%2e%2E/%2f%zz", "/x?a=b&c=d?e", "/?", "/a;b=c,d", "/~!$&'()*+,;=:@", "/[x]|{y}^`\"<>\\",
    "/" + "long/" * 1000])
def test_the_target_is_passed_byte_for_byte(gate, target):
    proxy, up = gate
    caller = proxy.caller()
    caller.request("GET", target)
    exchange, request = up.take()
    assert request.target == target
    exchange.answer(200, "Connection: close")
    assert caller.recv_response().status == 200


def test_a_target_in_absolute_form_is_sent_in_origin_form(pair):
    proxy, up = pair()
    caller, exchange = proxy.caller(), None
    port = proxy.address()[1]
    for target, host, sent in (
            ("http://localhost/a?b", "localhost", "/a?b"), ("http://127.0.0.1:1", "127.0.0.1:1", "/"),
            (f"http://127.0.0.1:{port}/own", f"127.0.0.1:{port}", "/own"), (f"HTTP://LocalHost:{port}?q", "x", "/?q"),
            ("http://localhost:80/default-written", "localhost", "/default-written"), ("http://localhost/", "localhost:80", "/"),
            ("http://localhost./a", "localhost", "/a"), ("http://[::1]:80/six", "other.test", "/six"),
            (f"http://{up.authority}/its", "other.test:99", "/its"), ("https://127.0.0.1/tls", "", "/tls")):
        caller.request("GET", target, host=host)
        exchange = exchange or up.accept()
        request = exchange.recv_request()
        assert (request.target, request["host"]) == (sent, up.authority)
        exchange.answer()
        assert caller.recv_response().status == 200


def test_a_target_of_another_host_is_not_sent_to_the_upstream(pair):
    """A program that takes curfew for a forward proxy hears of it."""
    proxy, up = pair()
    caller = proxy.caller()
    others = ("http://other.test/a", "http://localhost.other.test/", "http://127.0.0.1.other.test/", "http://1and1.test/", "http://xlocalhost/")
    for target in others:
        for host in ("other.test", "localhost"):
            caller.request("GET", target, host=host)
            response = caller.recv_response()
            assert response.status == 404 and "destination_not_found" in response["proxy-status"]
    up.must_have_no_connection()
    assert proxy.metrics().sum("curfew_requests_refused_total", reason="no_route") == 2 * len(others)


def test_a_target_may_name_the_api_by_the_host_that_it_is_sent(curfew, upstream):
    up = upstream()
    proxy = curfew(url=up.url, headers={"set": {"Host": "api.example.test:8443"}})
    caller = proxy.caller()
    for target in ("http://api.example.test/a", "https://API.example.test.:443/a", "http://api.example.test:8443/a"):
        caller.request("GET", target)
        exchange, request = up.take()
        assert (request.target, request["host"]) == ("/a", "api.example.test:8443")
        exchange.answer(200, "Connection: close")
        assert caller.recv_response().status == 200


def test_options_of_the_whole_server(pair):
    proxy, up = pair()
    caller = proxy.caller()
    caller.request("OPTIONS", "*")
    exchange, request = up.take()
    assert request.target == "*"
    exchange.answer()
    assert caller.recv_response("OPTIONS").status == 200


@pytest.mark.parametrize("base", ["/v2", "/v2/", "/deep/base"])
def test_the_base_path_is_put_before_the_target(curfew, upstream, base):
    up = upstream()
    proxy = curfew(url=up.url + base)
    caller = proxy.caller()
    caller.request("GET", "/things?x=1")
    exchange, request = up.take()
    assert request.target == base.rstrip("/") + "/things?x=1"
    exchange.answer()
    assert caller.recv_response().status == 200


# ---------------------------------------------------------------------------- listeners


def test_a_unix_socket_listens(curfew, upstream, tmp_path):
    up = upstream()
    proxy = curfew(url=up.url, listen=f"unix:{tmp_path}/api.sock")
    caller = proxy.caller()
    caller.request("GET", "/")
    exchange, request = up.take()
    exchange.answer(content=b"by path")
    assert caller.recv_response().content == b"by path"


@pytest.mark.one_worker
def test_an_upstream_listens_on_several_addresses(curfew, upstream, tmp_path):
    up = upstream()
    proxy = curfew(url=up.url, listen=["127.0.0.1:0", "[::1]:0", f"unix:{tmp_path}/api.sock", "127.0.0.1:0"])
    assert len(proxy.listeners["api"]) == 4
    exchange = None
    for n in range(4):
        caller = proxy.caller(index=n)
        caller.request("GET", f"/{n}")
        exchange = exchange or up.accept()
        request = exchange.recv_request()
        assert request.target == f"/{n}"
        exchange.answer()
        assert caller.recv_response().status == 200


def test_upstreams_are_told_apart_by_their_listeners(curfew, upstream):
    one, two = upstream(), upstream()
    proxy = curfew(upstreams={"one": {"url": one.url, "deadline": "5s"}, "two": {"url": two.url, "deadline": "5s"}})
    for name, up in (("two", two), ("one", one)):
        caller = proxy.caller(name)
        caller.request("GET", "/")
        up.take()[0].answer(content=name.encode())
        assert caller.recv_response().content == name.encode()


def test_an_upstream_may_be_reached_by_ipv6(curfew, upstream):
    up = upstream(host="::1")
    proxy = curfew(url=up.url)
    caller = proxy.caller()
    caller.request("GET", "/")
    exchange, request = up.take()
    assert request["host"] == f"[::1]:{up.port}"
    exchange.answer()
    assert caller.recv_response().status == 200


def test_admin_may_listen_on_a_unix_socket(curfew, upstream, tmp_path):
    up = upstream()
    proxy = curfew(url=up.url, top={"admin": {"listen": f"unix:{tmp_path}/admin.sock"}})
    assert proxy.metrics().calls("started") == 0


def test_a_stale_unix_socket_is_replaced(curfew, upstream, tmp_path):
    left = socket.socket(socket.AF_UNIX)
    left.bind(f"{tmp_path}/api.sock")
    left.close()  # its file stays
    up = upstream()
    proxy = curfew(url=up.url, listen=f"unix:{tmp_path}/api.sock")
    caller = proxy.caller()
    caller.request("GET", "/")
    up.take()[0].answer()
    assert caller.recv_response().status == 200


# ------------------------------------------------------------------------------- limits


def head_of(size, start=b"GET / HTTP/1.1\r\nHost: x\r\n"):
    filler = size - len(start) - len(b"X-F: \r\n\r\n")
    return start + b"X-F: " + b"f" * filler + b"\r\n\r\n"


def test_a_request_head_up_to_the_limit_is_taken(pair):
    proxy, up = pair(top={"limits": {"request_head": "4KiB"}})
    caller = proxy.caller()
    caller.send(head_of(4096))
    exchange, request = up.take()
    assert len(request["x-f"]) > 4000
    exchange.answer()
    assert caller.recv_response().status == 200


@pytest.mark.parametrize("size", [4097, 100_000])
def test_a_larger_request_head_is_refused(pair, size):
    proxy, up = pair(top={"limits": {"request_head": "4KiB"}})
    caller = proxy.caller()
    caller.send(head_of(size))
    response = caller.recv_response()
    assert (response.status, response["connection"]) == (431, "close")
    caller.must_end()
    up.must_have_no_connection()
    assert proxy.metrics().sum("curfew_requests_refused_total", reason="head_too_large") == 1


def test_the_default_limit_takes_a_large_head(pair):
    proxy, up = pair()
    caller = proxy.caller()
    caller.send(head_of(32 * 1024))
    exchange, request = up.take()
    assert len(request["x-f"]) > 32_000
    exchange.answer()
    assert caller.recv_response().status == 200


def test_a_head_has_as_many_fields_as_its_size_allows(gate):
    """In both directions: only bytes are bounded."""
    proxy, up = gate
    names = [f"x-{n}" for n in range(2400)]
    caller = proxy.caller()
    caller.request("GET", "/", *[f"{name}: 1" for name in names])
    exchange, request = up.take()
    assert [name for name in request.fields.names() if name.startswith("x-") and name[2:].isdigit()] == names
    exchange.send(b"HTTP/1.1 200 OK\n" + b"".join(b"%s:\n" % name.encode() for name in names) + b"A:\n" * 12_000 + b"Content-Length: 2\n\nok")
    response = caller.recv_response()
    assert response.content == b"ok" and len(response.fields.all("a")) == 12_000 and response.fields.all(names[-1]) == [""]
    exchange.wait_ended()


def test_a_value_that_is_set_may_be_as_long_as_a_head(curfew, upstream, tmp_path):
    up = upstream()
    token = "t" * 30_000
    proxy = curfew(url=up.url, headers={"set": {"Authorization": token}})
    proxy.caller().request("GET", "/")
    exchange, request = up.take()
    assert request["authorization"] == token
    exchange.answer()
    config = tmp_path / "small.yaml"
    config.write_text("limits: {request_head: 16KiB}\nupstreams:\n  api: {listen: 127.0.0.1:0, url: http://127.0.0.1:1, headers: {set: {X-A: %s}}}\n" % token)
    result = curfew_command("check", config)
    assert result.returncode == 1 and "headers.set.X-A: the value is longer than limits.request_head" in result.stderr


def test_too_many_fields_are_refused(pair):
    proxy, up = pair()
    response = proxy.ask("GET", "/", *[f"X-{n}: 1" for n in range(4000)])
    assert response.status == 431
    up.must_have_no_connection()


def test_room_for_fields_grows_at_a_reload(curfew, upstream):
    up = upstream()
    proxy = curfew(url=up.url, top={"limits": {"request_head": "1KiB", "response_head": "1KiB"}})
    lines = ["A: b"] * 2000
    assert proxy.ask("GET", "/", *lines).status == 431
    proxy.rewrite({"api": {"listen": "127.0.0.1:%d" % proxy.address()[1], "url": up.url}}, limits={"request_head": "1MiB"})
    proxy.must_reload()
    caller = proxy.caller()
    caller.request("GET", "/" + "x" * 300_000, *lines)
    exchange, request = up.take()
    assert len(request.target) == 300_001 and len(request.fields.all("a")) == 2000
    exchange.answer()
    assert caller.recv_response().status == 200


def test_a_response_head_up_to_the_limit_is_taken(pair):
    proxy, up = pair(top={"limits": {"response_head": "4KiB"}})
    caller = proxy.caller()
    caller.request("GET", "/")
    exchange, _ = up.take()
    exchange.send(head_of(4096, b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n"))
    assert len(caller.recv_response()["x-f"]) > 4000


@pytest.mark.parametrize("size", [4097, 200_000])
def test_a_larger_response_head_is_a_failure(pair, size):
    proxy, up = pair(top={"limits": {"response_head": "4KiB"}})
    caller = proxy.caller()
    caller.request("GET", "/")
    exchange, _ = up.take()
    exchange.send_some(head_of(size, b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n"))
    response = caller.recv_response()
    assert response.status == 502
    assert "http_response_header_section_size" in response["proxy-status"]
    exchange.wait_ended()
    caller.must_be_open()


def test_empty_lines_before_a_request_are_skipped(pair):
    proxy, up = pair()
    caller = proxy.caller()
    caller.send(b"\r\nGET / HTTP/1.1\r\nHost: x\r\n\r\n")
    up.take()[0].answer()
    assert caller.recv_response().status == 200


@pytest.mark.parametrize("stray", [b"\r\n", b"\r"])
def test_an_empty_line_behind_a_request_begins_none(curfew, upstream, stray):
    """Nothing that gets stuck, nothing that is answered; the connection is idle, and its next request a call as any other."""
    up = upstream()
    proxy = curfew(url=up.url, deadline="300ms")
    caller = proxy.caller()
    caller.send(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nab" + stray)
    exchange, _ = up.take()
    exchange.answer()
    assert caller.recv_response().status == 200
    caller.must_be_silent(0.4)
    caller.send(b"\r\n"[len(stray):] + b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
    exchange.recv_request()
    exchange.answer()
    assert caller.recv_response().status == 200
    metrics = proxy.wait_idle()
    assert (metrics.calls("started"), metrics.calls("completed")) == (2, 2)


# ------------------------------------------------------------------------------- routes


def test_routes_are_matched_on_segment_borders_longest_first(curfew, upstream):
    up = upstream()
    proxy = curfew(url=up.url, routes=[
        {"path": "/v1", "deadline": "3s"}, {"path": "/v1/reports", "methods": ["POST"], "deadline": "2s"},
        {"path": "/v1/reports", "methods": ["GET", "HEAD"], "deadline": "4s"}])
    caller, exchange = proxy.caller(), None
    wanted = {"/v1": 3000, "/v1/": 3000, "/v1?q": 3000, "/v12": 5000, "/v1/reports": 4000, "/v1/reportsx": 3000,
              "/v1/reports/7?x=/v1": 4000, "/": 5000}
    for target in wanted:
        caller.request("GET", target)
        exchange = exchange or up.accept()
        assert exchange.recv_request().target == target
        exchange.answer()
        assert caller.recv_response().status == 200
    caller.request("POST", "/v1/reports", content=b"")
    exchange.recv_request()
    exchange.answer()
    assert caller.recv_response().status == 200
    lines = proxy.log(len(wanted) + 1)
    assert {line["target"]: line["budget_ms"] for line in lines[:-1]} == wanted
    assert lines[-1]["budget_ms"] == 2000
    assert len({line["route"] for line in lines}) == 4
