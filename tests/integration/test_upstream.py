"""The other side: connections that fail, connections that are kept, names, and TLS."""

import contextlib
import signal
import socket
import ssl

import pytest

from harness.bounds import SLOW, SOON, Stopwatch, poll
from harness.peers import echo, ok
from harness.problem import expect
from harness.wire import Cut


def failed(proxy, reason):
    metrics = proxy.wait_idle()
    assert metrics.calls("failed", upstream="api", reason=reason) == metrics.calls("failed") == 1


def warm(proxy, up):
    """One call that has completed: (caller, the upstream connection that is kept)."""
    caller = proxy.caller()
    caller.request("GET", "/warm")
    exchange, _ = up.take()
    exchange.answer(content=b"warm")
    assert caller.recv_response().content == b"warm"
    return caller, exchange


# ---------------------------------------------------------------------------- failures


@pytest.mark.timed
def test_a_refused_connection(pair):
    proxy, up = pair()
    up.refuse()
    caller = proxy.caller()
    watch = Stopwatch()
    caller.request("POST", "/", content=b"abc")
    expect(caller.recv_response(), 502, "connection_refused", phase="connect", sent="none")
    watch.is_over_at(0)
    caller.must_be_open()
    failed(proxy, "connection_refused")


def test_an_address_without_a_route(curfew):
    """A multicast address can't be connected to: the kernel says so at once."""
    proxy = curfew(url="http://224.0.0.1:80", deadline="1s")
    response = proxy.ask()
    expect(response, 502, "destination_ip_unroutable", phase="connect", sent="none")
    failed(proxy, "destination_ip_unroutable")


@pytest.mark.parametrize("ending", ["close", "reset"])
def test_an_end_before_the_response(pair, ending):
    proxy, up = pair()
    caller = proxy.caller()
    caller.request("POST", "/", content=b"abc")
    exchange, _ = up.take()
    getattr(exchange, ending)()
    expect(caller.recv_response(), 502, "connection_terminated", phase="wait", sent="complete")
    caller.must_be_open()
    failed(proxy, "connection_terminated")
    up.must_have_no_connection(0.05)


@pytest.mark.parametrize("ending", ["close", "reset"])
def test_an_end_within_the_response_head(pair, ending):
    proxy, up = pair()
    caller = proxy.caller()
    caller.request("GET", "/")
    exchange, _ = up.take()
    exchange.send(b"HTTP/1.1 200 OK\r\nContent-Le")
    poll(lambda: proxy.metrics().in_flight() == 1, "the call")
    getattr(exchange, ending)()
    response = caller.recv_response()
    assert response.status == 502
    up.must_have_no_connection(0.05)  # a byte of a response has come: no second try


@pytest.mark.parametrize("ending", ["close", "reset"])
@pytest.mark.parametrize("head", [b"Content-Length: 100\r\n\r\nhalf", b"Transfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n",
                                  b"Transfer-Encoding: chunked\r\n\r\n9\r\nhalf"])
def test_an_end_within_the_content_is_not_complete_for_the_caller(pair, head, ending):
    proxy, up = pair()
    caller = proxy.caller()
    caller.request("GET", "/")
    exchange, _ = up.take()
    exchange.send(b"HTTP/1.1 200 OK\r\n" + head)
    response = caller.recv_response_head()
    assert response.status == 200
    getattr(exchange, ending)()
    with pytest.raises(Cut):
        caller.recv_content(response)
    line, = proxy.log(1)
    assert (line["outcome"], line["cause"], line["phase"]) == ("failed", "http_response_incomplete", "receive")
    failed(proxy, "http_response_incomplete")


def test_a_reset_within_close_delimited_content_is_not_complete(pair):
    proxy, up = pair()
    caller = proxy.caller()
    caller.request("GET", "/")
    exchange, _ = up.take()
    exchange.send(b"HTTP/1.1 200 OK\r\n\r\nsome")
    response = caller.recv_response_head()
    exchange.reset()
    with pytest.raises(Cut):
        caller.recv_content(response)


def test_a_reset_that_an_upload_hears_of_first_is_not_the_end_of_the_content(pair):
    """Close-delimited: an end would make it complete."""
    proxy, up = pair(upstream_options={"receive_buffer": 4096})
    caller = proxy.caller()
    caller.request("POST", "/", "Content-Length: 50000000")
    exchange = up.accept()
    exchange.recv_head()
    caller.fill()
    exchange.send(b"HTTP/1.1 200 OK\r\n\r\nsome")
    response = caller.recv_response_head()
    exchange.reset()
    with pytest.raises(Cut):
        caller.recv_content(response)
    line, = proxy.log(1)
    assert (line["outcome"], line["cause"]) == ("failed", "http_response_incomplete")


@pytest.mark.parametrize("size", range(66000, 150000, 12000))
def test_a_reset_behind_what_a_slow_reader_has_not_taken_is_seen_when_he_has(pair, size):
    """It came together with the bytes before it: no other event tells of it."""
    proxy, up = pair(deadline="20s")
    caller = proxy.caller(receive_buffer=4096)
    caller.request("GET", "/")
    exchange, _ = up.take()
    exchange.sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4 << 20)
    with proxy.process.paused():
        exchange.send(b"HTTP/1.1 200 OK\r\nContent-Length: 10000000\r\n\r\n" + bytes(size))
        exchange.reset()
    proxy.metrics()
    with pytest.raises(Cut):
        caller.recv_response()
    line, = proxy.log(1)
    assert (line["outcome"], line["cause"]) == ("failed", "http_response_incomplete")


def test_an_upstream_that_stops_reading_an_upload_and_answers(pair):
    proxy, up = pair()
    caller = proxy.caller()
    caller.request("POST", "/", "Content-Length: 50000000")
    exchange = up.accept()
    exchange.recv_head()
    caller.fill()
    exchange.answer(413, content=b"enough", reason="Content Too Large")
    exchange.half_close()
    response = caller.recv_response()
    assert (response.status, response.content) == (413, b"enough")


# ----------------------------------------------------------------- connections that are kept


def test_a_connection_that_the_upstream_has_closed_is_not_used(pair):
    proxy, up = pair()
    caller, exchange = warm(proxy, up)
    exchange.close()
    proxy.wait_metric("curfew_connections", 0, side="upstream_idle")
    caller.request("POST", "/2", content=b"x")
    other, request = up.take()
    assert request.target == "/2"
    other.answer()
    assert caller.recv_response().status == 200


def stale(proxy, up, method, content=None):
    """A call on a kept connection that closes as soon as the request is there, without a byte of a response."""
    caller, exchange = warm(proxy, up)
    caller.request(method, "/again", content=content)
    assert exchange.recv_request().target == "/again"
    exchange.close()
    return caller


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS", "PUT", "DELETE"])
def test_a_stale_connection_is_replaced_for_an_idempotent_request(pair, method):
    proxy, up = pair()
    caller = stale(proxy, up, method)
    exchange, request = up.take()
    assert (request.method, request.target) == (method, "/again")
    exchange.answer()
    assert caller.recv_response(method).status == 200
    metrics = proxy.wait_idle()
    assert metrics.calls("started") == metrics.calls("completed") == 2
    assert metrics.sum("curfew_pool_acquired_total") == 2


CHUNKED = "Transfer-Encoding: chunked"


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE", "OPTIONS"])
@pytest.mark.parametrize("lines, content", [(["Content-Length: 0"], b""), ([CHUNKED], b"0\r\n\r\n"),
                                            ([CHUNKED, "Trailer: A"], b"0\r\nA: b\r\n\r\n")], ids=["length", "chunk", "trailer"])
def test_no_content_may_also_be_said(gate, method, lines, content):
    """A PUT or DELETE without content mostly says `Content-Length: 0`: it is sent again like any other."""
    proxy, up = gate
    caller, exchange = warm(proxy, up)
    caller.request(method, "/second", *lines)
    caller.send(content)
    first = exchange.recv_request()
    exchange.close()
    again, second = up.take()
    assert (second.raw_head, second.content, second.trailers) == (first.raw_head, first.content, first.trailers)
    again.answer(200, "Connection: close")
    assert caller.recv_response(method).status == 200
    caller.close()


@pytest.mark.parametrize("method, lines", [("DELETE", []), ("PUT", ["Content-Length: 0"])])
def test_what_the_first_connection_was_sent_stays_sent_though_the_next_is_refused(pair, method, lines):
    """The upstream may have done it: nobody may be told that it has seen nothing."""
    proxy, up = pair()
    caller, exchange = warm(proxy, up)
    up.refuse()
    caller.request(method, "/second", *lines)
    assert exchange.recv_request().target == "/second"
    exchange.close()
    response = caller.recv_response()
    expect(response, 502, "connection_refused", phase="connect", sent="complete")
    assert response["retry-after"] is None
    assert proxy.log(2)[1]["sent"] == "complete"


def test_after_an_interim_response_nothing_is_sent_again(pair):
    """103: the upstream has begun to work on it."""
    proxy, up = pair()
    caller, exchange = warm(proxy, up)
    caller.request("GET", "/second")
    exchange.recv_request()
    exchange.send(b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n")
    assert caller.read_until(b"\r\n\r\n").startswith(b"HTTP/1.1 103 ")
    exchange.close()
    assert caller.recv_response().status == 502
    up.must_have_no_connection(0.05)


@pytest.mark.parametrize("method, content", [("POST", None), ("PATCH", None), ("POST", b"abc"), ("PUT", b"abc")])
def test_a_stale_connection_is_never_replaced_for_another(pair, method, content):
    proxy, up = pair()
    caller = stale(proxy, up, method, content)
    expect(caller.recv_response(), 502, "connection_terminated", sent="complete")
    up.must_have_no_connection(0.05)


def test_a_stale_connection_is_replaced_only_once(pair):
    proxy, up = pair()
    caller = stale(proxy, up, "GET")
    exchange, _ = up.take()
    exchange.close()
    expect(caller.recv_response(), 502, "connection_terminated", sent="complete")
    up.must_have_no_connection(0.05)


@pytest.mark.one_worker
def test_the_replacement_is_a_fresh_connection(pair):
    """Not another one that may be as stale."""
    proxy, up = pair()
    callers = [proxy.caller() for _ in range(3)]
    exchanges = []
    for caller in callers:
        caller.request("GET", "/")
        exchanges.append(up.take()[0])
    for exchange, caller in zip(exchanges, callers):
        exchange.answer()
        assert caller.recv_response().status == 200
    callers[0].request("GET", "/again")
    assert exchanges[2].recv_request().target == "/again"
    exchanges[2].close()
    fresh, request = up.take()
    assert request.target == "/again"
    fresh.answer()
    assert callers[0].recv_response().status == 200
    for exchange in exchanges[:2]:
        assert not exchange.has_bytes() or exchange.ended()


def test_a_fresh_connection_that_closes_is_not_replaced(pair):
    proxy, up = pair()
    caller = proxy.caller()
    caller.request("GET", "/")
    exchange, _ = up.take()
    exchange.close()
    assert caller.recv_response().status == 502
    up.must_have_no_connection(0.05)


def test_bytes_after_a_response_make_the_connection_unclean(pair):
    proxy, up = pair()
    caller = proxy.caller()
    caller.request("GET", "/")
    exchange, _ = up.take()
    exchange.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil")
    assert caller.recv_response().content == b"ok"
    exchange.wait_ended()
    caller.request("GET", "/2")
    other, _ = up.take()
    other.answer(content=b"good")
    assert caller.recv_response().content == b"good"


def test_bytes_on_an_idle_connection_make_it_unclean(pair):
    """Nobody has asked: whoever asks next must not get them as his answer."""
    proxy, up = pair()
    caller, exchange = warm(proxy, up)
    exchange.send(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil")
    exchange.wait_ended()
    caller.request("GET", "/2")
    other, _ = up.take()
    other.answer(content=b"good")
    assert caller.recv_response().content == b"good"


@pytest.mark.timed
def test_idle_connections_are_closed_after_the_idle_timeout(pair):
    proxy, up = pair(keepalive={"idle_timeout": "300ms"})
    watch = Stopwatch()
    _, exchange = warm(proxy, up)
    exchange.wait_ended()
    assert 0.3 <= watch.elapsed() <= 0.3 + 0.3 * SLOW
    assert proxy.metrics().sum("curfew_connections", side="upstream_idle") == 0


@pytest.mark.timed
@pytest.mark.parametrize("minor", [0, 1])
def test_a_connection_is_not_used_in_the_last_second_that_the_upstream_gives_it(pair, minor):
    proxy, up = pair(keepalive={"idle_timeout": "60s"})
    caller = proxy.caller()
    caller.request("POST", "/", content=b"1")
    exchange, _ = up.take()
    exchange.send(b"HTTP/1.%d 200 OK\r\nConnection: Keep-Alive\r\nKeep-Alive: timeout=2, max=100\r\nContent-Length: 0\r\n\r\n" % minor)
    assert caller.recv_response().status == 200
    watch = Stopwatch()
    caller.request("POST", "/", content=b"2")
    assert exchange.recv_request().content == b"2"
    exchange.answer()  # that says nothing of it, and takes nothing back
    assert caller.recv_response().status == 200
    exchange.wait_ended()
    assert 1 <= watch.elapsed() <= 1 + 0.3 * SLOW


@pytest.mark.parametrize("lines", [["Keep-Alive: timeout=1"], ["Keep-Alive: TIMEOUT=0"], ["Keep-Alive: timeout=60, max=0"],
                                   ["Keep-Alive: timeout=60", "Keep-Alive: timeout=1"]], ids=str)
def test_a_connection_that_the_upstream_is_about_to_end_is_not_kept(gate, lines):
    proxy, up = gate
    caller = proxy.caller()
    caller.request("POST", "/", content=b"1")
    exchange, _ = up.take()
    exchange.answer(200, *lines)
    assert caller.recv_response().status == 200
    exchange.wait_ended()
    caller.close()


@pytest.mark.one_worker
@pytest.mark.parametrize("lines", ["Keep-Alive: timeout=86400000000000000000", "Keep-Alive: timeout=-1", "Keep-Alive: x",
                                   "Keep-Alive: timeout=60, max=2"], ids=str)
def test_what_an_upstream_says_of_its_connection_never_makes_it_unfit_by_mistake(gate, lines):
    proxy, up = gate
    caller = proxy.caller()
    caller.request()
    exchange, _ = up.take()
    exchange.answer(200, lines)
    assert caller.recv_response().status == 200
    caller.request("POST", "/2", content=b"2")
    assert exchange.recv_request().target == "/2"
    exchange.answer(200, "Connection: close")
    assert caller.recv_response().status == 200
    caller.close()


def test_a_connection_beyond_its_age_is_not_used_again(pair):
    proxy, up = pair(keepalive={"max_age": "300ms", "idle_timeout": "10s"})
    caller = proxy.caller()
    watch = Stopwatch()
    exchange = None
    with contextlib.suppress(Cut):  # which it is as soon as a request comes after its time
        while True:
            caller.request("GET", "/")
            exchange = exchange or up.accept()
            exchange.recv_request()
            exchange.answer()
            assert caller.recv_response().status == 200
    assert watch.elapsed() >= 0.3
    exchange.wait_ended()
    up.take()[0].answer()
    assert caller.recv_response().status == 200


@pytest.mark.one_worker
@pytest.mark.parametrize("max_idle", [0, 2])
def test_no_more_than_max_idle_connections_are_kept(pair, max_idle):
    proxy, up = pair(keepalive={"max_idle": max_idle})
    callers, exchanges = [], []
    for _ in range(5):
        callers.append(proxy.caller())
        callers[-1].request("GET", "/")
        exchanges.append(up.take()[0])
    for caller, exchange in zip(callers, exchanges):
        exchange.answer()
        assert caller.recv_response().status == 200
    poll(lambda: sum(not exchange.ended() for exchange in exchanges) == max_idle, "the others to be closed")
    proxy.wait_metric("curfew_connections", max_idle, side="upstream_idle")


# -------------------------------------------------------------------------------- names


def test_localhost_resolves(curfew, upstream):
    up = upstream(ok)
    proxy = curfew(url=up.named("localhost"))
    assert proxy.ask().content == b"ok"


def test_a_name_that_does_not_exist(curfew, name_server):
    _, wrap = name_server({})
    proxy = curfew(url="http://nowhere.test:80", deadline="3s", wrap=wrap)
    expect(proxy.ask(), 502, "dns_error", phase="dns", sent="none")
    failed(proxy, "dns_error")


@pytest.mark.timed
def test_a_name_that_cannot_be_asked_for_ends_at_the_deadline_or_before(curfew):
    """Whatever this machine's resolver does with it."""
    proxy = curfew(url="http://nowhere.invalid:80", deadline="500ms")
    watch = Stopwatch()
    response = proxy.ask()
    assert watch.elapsed() <= 0.5 + 0.05 * SLOW
    assert response.status in (502, 504) and ("dns_error" in response["proxy-status"]
                                              or "dns_timeout" in response["proxy-status"])


@pytest.mark.one_worker
def test_a_name_is_looked_up_once_within_its_time_to_live(curfew, upstream, name_server):
    up = upstream(ok)
    server, wrap = name_server({"api.test": ["127.0.0.1"]}, ttl=60)
    proxy = curfew(url=up.named("api.test"), wrap=wrap, keepalive={"max_idle": 0})
    assert [proxy.ask().status for _ in range(5)] == [200] * 5
    assert sum(kind == 1 for _, kind in server.asked) == 1


@pytest.mark.one_worker
def test_a_name_is_looked_up_again_after_its_time_to_live(curfew, upstream, name_server):
    up = upstream(ok)
    server, wrap = name_server({"api.test": ["127.0.0.1"]}, ttl=1)
    proxy = curfew(url=up.named("api.test"), wrap=wrap, keepalive={"max_idle": 0})
    watch = Stopwatch()
    while sum(kind == 1 for _, kind in server.asked) < 2:
        assert proxy.ask().status == 200
        assert watch.elapsed() < 5, "never asked again"
    assert watch.elapsed() >= 0.9


def test_a_name_that_moves_is_told_of_once(curfew, upstream, name_server):
    """Over all workers, and not when only the order differs."""
    up = upstream(ok)
    server, wrap = name_server({"api.test": ["127.0.0.1", "127.0.0.66"]})
    proxy = curfew(url=up.named("api.test"), wrap=wrap, keepalive={"max_idle": 0}, top={"workers": 2})

    def ask(*addresses):
        server.answers["api.test"] = addresses
        before = len(server.asked)
        proxy.must_reload()  # each worker looks it up anew
        while len(server.asked) < before + 4:
            assert proxy.ask().status == 200

    ask("127.0.0.66", "127.0.0.1")
    ask("127.0.0.1")
    line = "api.test is at 127.0.0.1 now, it was at "
    assert proxy.process.stderr.wait(lambda lines: any(line in one for one in lines), SOON), proxy.process.stderr.text()
    ask("127.0.0.1", "127.0.0.67")  # within the minute: not told
    proxy.process.signal(signal.SIGTERM)
    proxy.process.wait_exit()
    told = [one for one in proxy.process.stderr.text().splitlines() if " is at " in one]
    assert len(told) == 1 and told[0].startswith(f"curfew: info: {line}"), told
    assert set(told[0].rpartition("was at ")[2].split(", ")) == {"127.0.0.1", "127.0.0.66"}


@pytest.mark.one_worker
def test_lookups_of_one_name_at_once_are_one(curfew, name_server):
    server, wrap = name_server({"silent.test": None})
    proxy = curfew(url="http://silent.test:80", deadline="400ms", wrap=wrap)
    callers = [proxy.caller() for _ in range(10)]
    for caller in callers:
        caller.request()
    assert [caller.recv_response().status for caller in callers] == [504] * 10
    assert sum(kind == 1 for _, kind in server.asked) <= 2  # and once more after 300 ms


# ---------------------------------------------------------------------------------- TLS


def tls_pair(curfew, upstream, certificates, script=echo, *, server="server", name="localhost", tls=None, **more):
    context = {key: more.pop(key) for key in ("client_ca", "maximum", "minimum") if key in more}
    up = upstream(script, tls=certificates.server(server, **context))
    return curfew(url=up.named(name), tls={"ca_file": certificates.ca, **(tls or {})}, **more), up


@pytest.mark.parametrize("name", ["localhost", "127.0.0.1"])
def test_tls(curfew, upstream, certificates, name):
    proxy, up = tls_pair(curfew, upstream, certificates, name=name)
    caller = proxy.caller()
    for n in range(3):
        content = bytes([n]) * 100_000
        assert caller.ask("POST", "/", content=content).content == content
    assert up.connections == 1
    assert [line["outcome"] for line in proxy.log(3)] == ["completed"] * 3


def test_the_name_is_indicated_and_may_be_configured(curfew, upstream, certificates):
    seen = []
    context = certificates.server()
    context.sni_callback = lambda _socket, name, _context: seen.append(name)
    up = upstream(ok, tls=context)
    proxy = curfew(url=up.url, tls={"ca_file": certificates.ca, "server_name": "api.test"})
    assert proxy.ask().content == b"ok"
    assert seen == ["api.test"]


def test_what_nobody_asked_for_is_never_given_to_the_next_call_though_tls_has_read_it_ahead(curfew, upstream, certificates):
    """It comes in a record of its own behind the response, and along with it: no event tells of it."""
    proxy, up = tls_pair(curfew, upstream, certificates, script=None)
    caller = proxy.caller()
    caller.request()
    exchange, _ = up.take()
    responses = [b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n" + content for content in (b"asked", b"stale")]
    exchange.send_together(responses)
    assert caller.recv_response().content == b"asked"
    exchange.wait_ended()
    caller.request()
    exchange, _ = up.take()
    exchange.answer(content=b"fresh")
    assert caller.recv_response().content == b"fresh"


@pytest.mark.parametrize("server", ["untrusted", "wrong-name", "expired"])
def test_a_certificate_that_is_not_trusted(curfew, upstream, certificates, server):
    proxy, up = tls_pair(curfew, upstream, certificates, server=server)
    expect(proxy.ask("POST", "/", content=b"secret"), 502, "tls_certificate_error", phase="tls", sent="none")
    failed(proxy, "tls_certificate_error")
    assert not up.errors


def test_a_name_that_the_certificate_does_not_have(curfew, upstream, certificates):
    proxy, _ = tls_pair(curfew, upstream, certificates, tls={"server_name": "other.test"})
    expect(proxy.ask(), 502, "tls_certificate_error", phase="tls", sent="none")


def test_without_a_ca_file_the_systems_authorities_count(curfew, upstream, certificates):
    up = upstream(ok, tls=certificates.server())
    proxy = curfew(url=up.named("localhost"))
    expect(proxy.ask(), 502, "tls_certificate_error", phase="tls", sent="none")


def test_a_client_certificate_is_shown(curfew, upstream, certificates):
    proxy, _ = tls_pair(curfew, upstream, certificates, client_ca=certificates.ca, tls={
        "cert_file": certificates.cert("client"), "key_file": certificates.key("client")})
    assert proxy.ask("POST", "/", content=b"mutual").content == b"mutual"


@pytest.mark.parametrize("maximum", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_a_client_certificate_that_is_missing(curfew, upstream, certificates, maximum):
    """With TLS 1.3 the refusal comes after the client's side of the handshake is done: no response all the same."""
    proxy, _ = tls_pair(curfew, upstream, certificates, client_ca=certificates.ca, maximum=maximum)
    response = proxy.ask()
    assert response.status == 502, response
    assert proxy.wait_idle().calls("failed") == 1


@pytest.mark.parametrize("name", ["127.0.0.1", "localhost"])
def test_a_server_below_the_least_version(curfew, upstream, certificates, name):
    """An alert ends the handshake; that another address of localhost refuses then does not make it a failure to connect."""
    proxy, _ = tls_pair(curfew, upstream, certificates, name=name, maximum=ssl.TLSVersion.TLSv1_2,
                        tls={"min_version": "1.3"})
    expect(proxy.ask(), 502, "tls_protocol_error", phase="tls", sent="none")


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_both_versions_are_spoken(curfew, upstream, certificates, version):
    proxy, _ = tls_pair(curfew, upstream, certificates, maximum=version, minimum=version)
    assert proxy.ask("POST", "/", content=b"hello").content == b"hello"


def test_a_server_that_does_not_speak_tls(pair):
    proxy, up = pair(url_scheme="https")
    caller = proxy.caller()
    caller.request()
    up.accept().send(b"HTTP/1.1 400 Bad Request\r\n\r\nplain\r\n")
    expect(caller.recv_response(), 502, "tls_protocol_error", phase="tls", sent="none")


def test_a_reset_within_the_handshake(pair):
    proxy, up = pair(url_scheme="https")
    caller = proxy.caller()
    caller.request()
    exchange = up.accept()
    exchange.read_some()
    exchange.reset()
    response = caller.recv_response()
    assert response.status == 502


@pytest.mark.one_worker
@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_sessions_are_resumed(curfew, upstream, certificates, version):
    resumed = []

    def script(exchange):
        exchange.recv_request()
        resumed.append(exchange.sock.session_reused)
        exchange.answer()

    proxy, up = tls_pair(curfew, upstream, certificates, script, keepalive={"max_idle": 0}, maximum=version)
    assert [proxy.ask().status for _ in range(4)] == [200] * 4
    assert up.connections == 4 and resumed[0] is False and all(resumed[1:]), resumed


def test_truncation_under_tls_is_not_an_end(curfew, upstream, certificates):
    """Close-delimited content ends with close_notify; a bare FIN is a truncation (RFC 8446 6.1)."""
    up = upstream(tls=certificates.server())
    proxy = curfew(url=up.named("localhost"), tls={"ca_file": certificates.ca})
    caller = proxy.caller()
    caller.request()
    exchange, _ = up.take()
    exchange.send(b"HTTP/1.1 200 OK\r\n\r\nhalf of it")
    response = caller.recv_response_head()
    exchange.close()  # without close_notify
    with pytest.raises(Cut):
        caller.recv_content(response)


def test_tls_close_notify_ends_close_delimited_content(curfew, upstream, certificates):
    up = upstream(tls=certificates.server())
    proxy = curfew(url=up.named("localhost"), tls={"ca_file": certificates.ca})
    caller = proxy.caller()
    caller.request()
    exchange, _ = up.take()
    exchange.send(b"HTTP/1.1 200 OK\r\n\r\nall of it")
    exchange.end_tls()
    assert caller.recv_response().content == b"all of it"


@pytest.mark.timed
def test_the_deadline_cuts_a_tls_exchange(curfew, upstream, certificates):
    up = upstream(tls=certificates.server())
    proxy = curfew(url=up.named("localhost"), tls={"ca_file": certificates.ca}, deadline="400ms")
    caller = proxy.caller()
    watch = Stopwatch()
    caller.request()
    exchange, _ = up.take()
    assert caller.recv_response().status == 504
    watch.is_over_at(0.4)
    exchange.wait_ended()


def test_the_embedded_api_over_tls(curfew, faulty, tmp_path):
    api = faulty("--tls", "--ca-out", tmp_path / "ca.pem", tls=True)
    proxy = curfew(url=api.url, tls={"ca_file": str(tmp_path / "ca.pem")}, deadline="1s")
    assert proxy.ask("GET", "/ok").content == b"ok\n"
    assert len(proxy.ask("GET", "/bytes/1000000").content) == 1_000_000
    assert proxy.ask("GET", "/garbage").status == 502


@pytest.mark.timed
def test_the_embedded_api_stalls_in_the_handshake(curfew, faulty):
    api = faulty("--tls-stall", tls=True)
    proxy = curfew(url=api.url, deadline="300ms")
    watch = Stopwatch()
    response = proxy.ask()
    watch.is_over_at(0.3)
    assert response.status == 504 and "connection_timeout" in response["proxy-status"]
