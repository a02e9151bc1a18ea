"""curfew_responses_total: every status that an API gives is counted once, by its number, whatever becomes of the call."""

import pytest

from harness.bounds import poll


def counted(proxy, upstream="api"):
    """{code: how many}; only codes that were seen are there."""
    return {code: int(count) for code, count in proxy.metrics().sums("code", "curfew_responses_total").items()
            if proxy.metrics().has("curfew_responses_total", code=code, upstream=upstream)}


@pytest.fixture
def api(curfew, upstream):
    """api(…) -> (proxy, upstream): one upstream "api", whose exchanges the test takes itself."""
    def make(**more):
        up = upstream()
        return curfew(url=up.url, **more), up

    return make


def ask(proxy, up, sent, *, method="GET", version="1.1", then=None):
    """A call to which the API sends these bytes, and then what `then(exchange, caller)` does, on a connection of its own."""
    caller = proxy.caller()
    caller.send(f"{method} / HTTP/{version}\r\nHost: a\r\n\r\n".encode())
    exchange, _ = up.take()
    exchange.send(sent)
    response = then(exchange, caller) if then else caller.recv_response(method)
    caller.close()
    exchange.close()
    proxy.wait_idle()
    return response


CLOSE = b"Content-Length: 0\r\nConnection: close\r\n\r\n"


def test_each_code_is_counted_by_its_number_on_kept_connections_too(api):
    proxy, up = api()
    assert counted(proxy) == {}
    codes = [200, 200, 201, 204, 206, 224, 225, 299, 304, 399, 400, 404, 424, 425, 429, 429, 429, 499, 500, 500, 503, 529, 599]
    caller = proxy.caller()
    caller.request()
    exchange = up.accept()
    for code in codes:
        exchange.recv_request()
        exchange.answer(code)
        assert caller.recv_response().status == code
        caller.request()
    for code in (600, 999):
        exchange.recv_request()
        exchange.answer(code)
        assert caller.recv_response().status == code
        caller.request()
    caller.close()
    proxy.wait_idle()
    assert counted(proxy) == {**{str(code): codes.count(code) for code in codes}, "other": 2}


def test_interim_responses_are_counted_each_whoever_asked(api):
    proxy, up = api()
    final = b"HTTP/1.1 200 OK\r\n" + CLOSE
    early = b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"
    ask(proxy, up, b"HTTP/1.1 100 Continue\r\n\r\n" + early + early + b"HTTP/1.1 199 x\r\n\r\n" + final)
    assert counted(proxy) == {"100": 1, "103": 2, "199": 1, "200": 1}
    assert ask(proxy, up, early + final, version="1.0").status == 200
    assert ask(proxy, up, early + b"HTTP/1.1 500 x\r\n" + CLOSE, method="HEAD").status == 500
    assert counted(proxy) == {"100": 1, "103": 4, "199": 1, "200": 2, "500": 1}


def test_a_status_counts_though_its_call_is_cut_or_fails(api):
    proxy, up = api(deadline="300ms")
    begun = b"Content-Length: 9\r\n\r\nabc"

    def cut(_, caller):
        caller.wait_ended()

    def told(status):
        def recv(_, caller):
            assert caller.recv_response().status == status
        return recv

    def reset(exchange, caller):
        exchange.reset()
        caller.wait_ended()

    def caller_leaves(exchange, caller):
        caller.read_until(b"abc")
        caller.close()
        exchange.wait_ended()

    ask(proxy, up, b"HTTP/1.1 210 drips\r\n" + begun, then=cut)
    ask(proxy, up, b"HTTP/1.1 510 hangs in its head\r\nA: b\r\nC", then=told(504))
    ask(proxy, up, b"HTTP/1.1 511 hangs behind its line\n", then=told(504))
    ask(proxy, up, b"HTTP/1.1 512 has no end of the line", then=told(504))
    ask(proxy, up, b"HTTP/1.1 103 x\r\n\r\nHTTP/1.1 513 x\r\n", version="1.0", then=told(504))
    ask(proxy, up, b"HTTP/1.1 514 is reset\r\n" + begun, then=reset)
    ask(proxy, up, b"HTTP/1.1 515 is not read\r\n" + begun, then=caller_leaves)
    ask(proxy, up, b"HTTP/1.1 516 is ambiguous\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", then=told(502))
    ask(proxy, up, b"HTTP/1.1 517 has no name\r\n: a\r\n\r\n", then=told(502))
    ask(proxy, up, b"HTTP/1.1 518 is large\r\nA: " + b"a" * 70000 + b"\r\n\r\n", then=told(502))
    ask(proxy, up, b"HTTP/1.1 101 was not asked for\r\n\r\n", then=told(502))
    ask(proxy, up, b"HTTP/1.1 099 x\r\n\r\n", then=told(502))
    ask(proxy, up, b"HTTP/1.1 519 ends\r\nA", then=lambda exchange, caller: (exchange.close(), told(502)(exchange, caller)))
    ask(proxy, up, b"garbage\r\n\r\n", then=told(502))
    ask(proxy, up, b"", then=told(504))
    assert counted(proxy) == {"210": 1, "510": 1, "511": 1, "103": 1, "513": 1, "514": 1, "515": 1, "516": 1, "517": 1, "518": 1,
                              "101": 1, "other": 1, "519": 1}
    proxy.metrics().must_add_up()


def test_what_curfew_says_itself_is_no_response_of_the_api(curfew, upstream, deaf_listener):
    gone = upstream()
    gone.refuse()
    proxy = curfew(upstreams={"gone": {"url": gone.url, "deadline": "5s"},
                              "deaf": {"url": deaf_listener.url, "deadline": "100ms"}})
    assert proxy.caller("gone").ask().status == 502
    assert proxy.caller("deaf").ask().status == 504
    assert not proxy.metrics().has("curfew_responses_total")


def test_a_response_over_tls_is_counted_once(curfew, upstream, certificates):
    up = upstream(tls=certificates.server())
    proxy = curfew(url=up.named("localhost"), tls={"ca_file": certificates.ca})
    caller = proxy.caller()
    caller.request()
    exchange, _ = up.take()
    exchange.answer(503)
    assert caller.recv_response().status == 503
    assert counted(proxy) == {"503": 1}


def serve(proxy, up, upstream, status):
    """A call, on a new connection: a reload has closed those that were kept."""
    caller = proxy.caller(upstream)
    caller.request()
    exchange, _ = up.take()
    exchange.answer(status, "Connection: close")
    assert caller.recv_response().status == status
    caller.close()


def test_what_stays_at_a_reload_counts_on_and_what_goes_takes_its_counters_along(curfew, upstream):
    up = upstream()
    keys = {"url": up.url, "deadline": "5s"}
    proxy = curfew(upstreams={"stays": keys, "goes": keys})
    for name, status in (("stays", 500), ("goes", 429), ("goes", 200)):
        serve(proxy, up, name, status)
    proxy.wait_idle()
    proxy.rewrite({"stays": {**keys, "deadline": "4s"}})
    proxy.must_reload()
    poll(lambda: proxy.metrics().samples["curfew_responses_total"].keys() == {frozenset({("upstream", "stays"), ("code", "500")})},
         "the counters of what is gone to be gone")
    proxy.rewrite({"stays": keys, "comes": keys})
    proxy.must_reload()
    assert counted(proxy, "stays") == {"500": 1} and counted(proxy, "comes") == {}
    serve(proxy, up, "comes", 404)
    serve(proxy, up, "stays", 500)
    proxy.wait_idle()
    metrics = proxy.metrics()
    assert metrics.sum("curfew_responses_total", upstream="comes") == metrics.sum("curfew_responses_total", code="404") == 1
    assert metrics.sum("curfew_responses_total", upstream="stays", code="500") == 2
