"""HTTP/2 to the API (`http2.use`), one call at a time on a connection."""

import contextlib
import threading

import pytest

from harness import h2, problem
from harness.bounds import SOON, Stopwatch, poll
from harness.h2_caller import H2Caller
from harness.h2 import CANCEL, INTERNAL_ERROR, NO_ERROR, PROTOCOL_ERROR, REFUSED_STREAM, H2Api, frame, settings
from harness.peers import ScriptedUpstream
from harness.peers import ok as ok_in_h1
from harness.problem import expect, expect_stuck
from harness.programs import node_http2
from harness.wire import Cut


def echo(peer):
    request = peer.take()
    peer.answer(request, content=request.content)


@pytest.fixture
def api():
    made = []

    def make(script=None, **more):
        made.append(H2Api(script, **more))
        return made[-1]

    yield make
    for one in made:
        one.close()


@pytest.fixture
def front(curfew, api):
    """(proxy, api) that speak HTTP/2 by prior knowledge."""
    def make(script=None, use="always", http2=None, top=None, **keys):
        options = {name: keys.pop(name) for name in ("greeting", "gives_window") if name in keys}
        made = api(script, **options)
        return curfew(url=made.url, http2={"use": use, **(http2 or {})}, top=top, **keys), made

    return make


# -------------------------------------------------------------------------------------- calls


@pytest.mark.one_worker
def test_calls_go_by_http2_on_a_connection_that_is_kept(front):
    proxy, api = front(echo)
    caller = proxy.caller()
    for size in (0, 1, 16384, 16385, 300000):
        response = caller.ask("POST", "/x?y", "X-Name: value", content=bytes(size))
        assert (response.status, response.content) == (200, bytes(size))
    assert (api.connections, len(api.seen)) == (1, 5)
    request = api.seen[1]
    assert [request[name] for name in (":method", ":scheme", ":authority", ":path")] == \
        ["POST", "http", f"127.0.0.1:{api.port}", "/x?y"]
    assert (request["x-name"], request["content-length"]) == ("value", "1")
    assert request.names[:4] == [":method", ":scheme", ":authority", ":path"]
    assert not {"host", "connection", "transfer-encoding", "keep-alive", "te"} & set(request.names)


@pytest.mark.parametrize("use", ["auto", "always"])
def test_over_tls_the_api_chooses(curfew, api, certificates, use):
    up = api(echo, tls=certificates.server())
    proxy = curfew(url=up.url, tls={"ca_file": certificates.ca}, http2={"use": use})
    for _ in range(3):
        assert proxy.ask("POST", content=b"x" * 100000).content == b"x" * 100000
    assert up.seen[0][":scheme"] == "https"


@pytest.mark.parametrize("offers", [["http/1.1"], None])
def test_auto_speaks_http1_where_the_api_does_and_always_does_not(curfew, upstream, certificates, offers):
    context = certificates.server()
    if offers:
        context.set_alpn_protocols(offers)
    up = upstream(ok_in_h1, tls=context)
    keys = {"url": up.url, "tls": {"ca_file": certificates.ca}}
    proxy = curfew(upstreams={"auto": {**keys, "http2": {"use": "auto"}}, "api": {**keys, "http2": {"use": "always"}}})
    assert proxy.ask(upstream="auto").status == 200
    expect(proxy.ask(upstream="api"), 502, "tls_protocol_error", phase="tls", sent="none")


def test_an_api_that_speaks_http1_alone_is_no_http2(curfew, upstream):
    def script(exchange):
        exchange.read_until(b"\r\n\r\n")
        exchange.send(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
        return False

    proxy = curfew(url=upstream(script).url, http2={"use": "always"})
    expect(proxy.ask(), 502, "http_protocol_error")


def test_head_and_responses_without_content(front):
    def script(peer):
        request = peer.take()
        status = int(request[":path"][1:])
        peer.head(request, status, *([("content-length", "5")] if request[":method"] == "HEAD" else []), end=True)

    proxy, api = front(script)
    caller = proxy.caller()
    head = caller.ask("HEAD", "/200")
    assert (head.status, head["content-length"], head.content) == (200, "5", b"")
    assert (caller.ask("GET", "/204").status, caller.ask("GET", "/304").status) == (204, 304)
    empty = caller.ask("GET", "/200")
    assert (empty.status, empty["content-length"]) == (200, "0")
    assert api.connections == 1


@pytest.mark.parametrize("status", [200, 203, 299, 400, 431, 451, 500, 505, 511, 599, 999])
def test_statuses_have_their_reasons(front, status):
    proxy, _ = front(lambda peer: peer.answer(peer.take(), status))
    response = proxy.ask()
    assert response.status == status and response.reason is not None


def test_content_of_unknown_length_and_trailers_both_ways(front):
    def script(peer):
        request = peer.take()
        peer.head(request, 200, ("trailer", "x-sum"))
        peer.data(request, request.content)
        peer.headers(request, [("x-sum", str(request.trailers))], end=True)

    proxy, api = front(script)
    response = proxy.ask("POST", "/", "Transfer-Encoding: chunked", "TE: trailers", "Trailer: X-In",
                         content=b"3\r\nabc\r\n4\r\ndefg\r\n0\r\nX-In: 1\r\nHost: no\r\n\r\n")
    assert response.content == b"abcdefg" and response.framing == "chunked"
    assert api.seen[0].trailers == [("x-in", "1")]
    assert response.trailers.get("x-sum") == "[('x-in', '1')]"
    assert "transfer-encoding" not in api.seen[0].names


def test_interim_responses_and_expect(front):
    def script(peer):
        request = peer.take(whole=False)
        assert request["expect"] == "100-continue"
        peer.head(request, 100)
        peer.until(lambda _: request.ended)
        peer.head(request, 103, ("link", "</x>"))
        peer.answer(request, content=request.content)

    proxy, _ = front(script)
    caller = proxy.caller()
    caller.send(b"POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n")
    assert caller.recv_response_head().status == 100
    caller.send(b"abc")
    response = caller.recv_response()
    assert (response.content, [one.status for one in response.interim]) == (b"abc", [103])


def test_all_frames_of_a_response_in_one_read(front):
    def script(peer):
        request = peer.take()
        parts = [peer.encoder.encode(fields) for fields in ([(":status", "103"), ("link", "x")], [(":status", "200")], [("x-t", "1")])]
        peer.send(frame(h2.HEADERS, request.stream, h2.END_HEADERS, parts[0]) + frame(h2.HEADERS, request.stream, h2.END_HEADERS, parts[1])
                  + frame(h2.DATA, request.stream, h2.PADDED, b"\x05" + b"abc" + bytes(5)) + frame(h2.DATA, request.stream)
                  + frame(h2.HEADERS, request.stream, h2.END_HEADERS | h2.END_STREAM, parts[2]))

    proxy, api = front(script)
    for _ in range(3):
        response = proxy.ask("GET", "/", "TE: trailers")
        assert (response.content, response.trailers.get("x-t"), len(response.interim)) == (b"abc", "1", 1)


def test_a_head_in_many_pieces(front):
    def script(peer):
        request = peer.take()
        peer.head(request, 200, *((f"x-{i}", "v" * 100) for i in range(50)), end=True, split=900)

    proxy, _ = front(script)
    assert len([name for name, _ in proxy.ask().fields if name.startswith("x-") and name != "X-Curfew-Call"]) == 50


def test_secrets_are_not_put_into_the_table_of_the_compression(front):
    proxy, api = front(echo)
    for _ in range(2):
        assert proxy.ask("GET", "/", "Authorization: Basic c2VjcmV0", "Cookie: a=b", "X-Other: not-secret").status == 200
    table = [name for peer in api.peers for name, _ in peer.decoder.header_table.dynamic_entries]
    assert b"x-other" in table and b"authorization" not in table and b"cookie" not in table


# ---------------------------------------------------------------------------------------- cuts


@pytest.mark.timed
@pytest.mark.parametrize("content", [b"", b"x" * 100000], ids=["get", "post"])
def test_a_call_that_gets_no_answer_is_cut_at_its_deadline(front, content):
    proxy, api = front(deadline="300ms")
    caller = proxy.caller()
    watch = Stopwatch()
    caller.request("POST", content=content)
    peer = api.accept()
    peer.take()
    expect_stuck(caller.recv_response(), "wait", 300, sent="complete")
    watch.is_over_at(0.3)
    with pytest.raises((Cut, ConnectionResetError)):
        while True:
            peer.read_frame()
    proxy.wait_idle()


@pytest.mark.timed
def test_an_api_that_opens_no_window_is_cut_in_send(front):
    proxy, api = front(deadline="300ms", gives_window=False)
    caller = proxy.caller()
    watch = Stopwatch()
    caller.request("POST", content=b"x" * 70000)
    peer = api.accept()
    request = peer.take(whole=False)
    peer.until(lambda _: len(request.content) == 65535)
    expect_stuck(caller.recv_response(), "send", 300, sent="partial")
    watch.is_over_at(0.3)


@pytest.mark.timed
@pytest.mark.parametrize("fields", [(), (("content-length", "1000"),)])
def test_a_response_that_drips_is_cut_so_that_it_is_not_whole(front, fields):
    proxy, api = front(deadline="400ms")
    caller = proxy.caller()
    watch = Stopwatch()
    caller.request()
    peer = api.accept()
    request = peer.take()
    peer.head(request, 200, *fields)
    peer.data(request, b"x")
    response = caller.recv_response_head()
    with pytest.raises(Cut):
        caller.recv_content(response)
    watch.is_over_at(0.4)


def test_a_caller_who_leaves_ends_it_at_the_api(front):
    proxy, api = front()
    caller = proxy.caller()
    caller.request()
    peer = api.accept()
    peer.take()
    caller.close()
    with pytest.raises((Cut, ConnectionResetError)):
        while True:
            peer.read_frame()
    proxy.wait_metric("curfew_calls_abandoned_total", 1)


@pytest.mark.parametrize("code", [NO_ERROR, PROTOCOL_ERROR, INTERNAL_ERROR, CANCEL, 13, 99])
@pytest.mark.parametrize("stage", ["before", "head", "content"])
def test_a_reset_by_the_api_is_no_end(front, code, stage):
    def script(peer):
        request = peer.take()
        if stage != "before":
            peer.head(request, 200)
        if stage == "content":
            peer.data(request, b"half")
        peer.reset(request, code)

    proxy, _ = front(script)
    if stage == "content":
        with pytest.raises(Cut):
            proxy.ask()
    else:
        try:
            expect(proxy.ask(), 502, "http_response_incomplete", sent="complete")
        except Cut:
            assert stage == "head"
    assert proxy.wait_idle().calls("failed") == 1


def test_a_reset_after_the_end_is_nothing(front):
    def script(peer):
        request = peer.take()
        peer.answer(request, content=b"whole")
        peer.reset(request, NO_ERROR)

    proxy, _ = front(script)
    for _ in range(5):
        assert proxy.ask().content == b"whole"


@pytest.mark.one_worker
def test_an_early_answer_ends_the_upload_and_the_connection_lives(front):
    def script(peer):
        request = peer.take(whole=False)
        if request[":path"] == "/large":
            peer.head(request, 413, end=True)
            peer.until(lambda _: request.stream in peer.resets or request.ended)
        else:
            peer.answer(request, content=b"ok")

    proxy, api = front(script)
    caller = proxy.caller()
    caller.send(b"POST /large HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n" + bytes(1000))
    assert caller.recv_response().status == 413
    assert proxy.ask().content == b"ok"
    assert (api.connections, api.peers[0].resets) == (1, {1: NO_ERROR})


# ------------------------------------------------------------------------ what was not processed


def refusing(how, times, count=None):
    """A script that refuses so many requests, by GOAWAY or REFUSED_STREAM, and serves all others."""
    left = [times]
    lock = threading.Lock()

    def script(peer):
        request = peer.take(whole=how != "early")
        with lock:
            refuses = left[0] > 0
            left[0] -= 1
        if not refuses:
            peer.until(lambda _: request.ended)
            peer.answer(request, content=request.content)
            return True
        if how == "goaway":
            peer.go_away(request.stream - 2 if request.stream > 1 else 0)
        else:
            peer.reset(request, REFUSED_STREAM)
        return True

    return script


REQUESTS = [("GET", b""), ("POST", b""), ("POST", b"x" * 1000), ("POST", b"x" * 16384), ("BREW", b"tea")]


@pytest.mark.parametrize("method, content", REQUESTS, ids=lambda value: str(value)[:4] + str(len(value)))
@pytest.mark.parametrize("how", ["goaway", "reset"])
def test_what_the_api_has_not_processed_is_sent_again_whatever_it_is(front, how, method, content):
    proxy, api = front(refusing(how, 1))
    response = proxy.ask(method, "/", content=content or None)
    assert (response.status, response.content) == (200, content)
    assert len(api.seen) == 2 and api.seen[0].content == api.seen[1].content == content
    metrics = proxy.wait_idle()
    assert (metrics.calls("completed"), metrics.calls("failed")) == (1, 0)
    assert metrics.sum("curfew_calls_started_total") == 1


def test_what_is_not_here_any_more_can_be_sent_again_by_its_caller(front):
    proxy, api = front(refusing("reset", 3))
    caller = H2Caller(proxy.address())
    answer = caller.ask2("POST", content=b"x" * 16385)
    assert (answer.status, answer.reset) == (None, REFUSED_STREAM)
    answer = caller.ask2("POST", "/", ("content-type", "application/grpc"), content=b"x" * 16385)
    assert (answer.status, answer["grpc-status"]) == (200, "14")
    expect(proxy.ask("POST", content=b"x" * 16385), 502, "connection_terminated", sent="none")
    assert len(api.seen) == 3
    assert {(line["outcome"], line["sent"], line["cause"]) for line in proxy.log(3)} == {("failed", "none", "connection_terminated")}
    assert caller.ask2("POST", content=b"y").status == 200


def test_a_second_refusal_is_the_apis_failure(front):
    proxy, api = front(refusing("reset", 2))
    expect(proxy.ask("POST", content=b"x"), 502, "connection_terminated", sent="none")
    assert len(api.seen) == 2
    assert proxy.wait_idle().calls("failed") == 1


def test_what_is_too_much_to_be_kept_is_not_sent_again(front):
    proxy, api = front(refusing("reset", 1))
    expect(proxy.ask("POST", content=b"x" * 20000), 502, "connection_terminated", sent="none")
    assert len(api.seen) == 1


def test_content_that_is_still_coming_goes_on_on_the_other_connection(front):
    proxy, api = front(refusing("early", 1))
    caller = proxy.caller()
    caller.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 60\r\n\r\n" + b"a" * 20)
    api.wait_seen(2)
    caller.send(b"b" * 40)
    assert caller.recv_response().content == b"a" * 20 + b"b" * 40


def test_a_call_below_the_last_id_goes_on_and_the_connection_takes_no_other(front):
    def script(peer):
        request = peer.take()
        peer.go_away(request.stream)
        peer.answer(request, content=b"served")

    proxy, api = front(script)
    assert [proxy.ask("POST").content for _ in range(5)] == [b"served"] * 5
    assert api.connections == 5


def test_a_goaway_on_an_idle_connection_costs_no_call(front):
    proxy, api = front(echo)
    for n in range(1, 6):
        assert proxy.ask("POST", content=b"x").content == b"x"
        peer = api.peers[-1]
        peer.go_away(peer.order[-1].stream)
        proxy.wait_metric("curfew_connections", 0, side="upstream_idle")
        assert api.connections == n


def test_an_api_that_ends_each_connection_after_some_requests_loses_none(front):
    served = {}

    def script(peer):
        request = peer.take()
        served[peer] = served.get(peer, 0) + 1
        if served[peer] == 20:
            peer.go_away(request.stream)
        peer.answer(request, content=b"ok")
        return served[peer] != 20

    proxy, api = front(script)
    results = []
    threads = [threading.Thread(target=lambda: results.extend(proxy.ask("POST", content=b"x").status for _ in range(50)))
               for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [200] * 400
    assert proxy.wait_idle().calls("failed") == 0


@pytest.mark.one_worker
def test_a_connection_is_retired_after_max_calls(front):
    proxy, api = front(echo, http2={"max_calls": 3})
    assert [proxy.ask().status for _ in range(7)] == [200] * 7
    assert [len(peer.order) for peer in api.peers] == [3, 3, 1]
    poll(lambda: api.peers[0].goaway == (0, NO_ERROR), "the GOAWAY")


@pytest.mark.timed
def test_an_api_that_allows_no_stream_is_waited_for_until_the_deadline(front):
    proxy, api = front(lambda peer: peer.reset(peer.take(), REFUSED_STREAM), greeting=settings(streams=0), deadline="400ms")
    watch = Stopwatch()
    expect_stuck(proxy.ask(), "send", 400)
    watch.is_over_at(0.4)
    assert api.connections <= 2 and len(api.seen) <= 1


# ------------------------------------------------------------------------------ what is malformed


def respond(fields, content=b"", end=True):
    def script(peer):
        request = peer.take()
        peer.headers(request, fields, end=end and not content)
        if content or not end:
            peer.data(request, content, end=end)

    return script


MALFORMED = {
    "no-status": [("x", "y")], "status-abc": [(":status", "abc")], "status-99": [(":status", "99")], "status-1000": [(":status", "1000")],
    "status-101": [(":status", "101")], "two-statuses": [(":status", "200"), (":status", "200")],
    "pseudo-late": [("x", "y"), (":status", "200")], "pseudo-unknown": [(":status", "200"), (":path", "/")],
    "connection": [(":status", "200"), ("connection", "close")], "te": [(":status", "200"), ("transfer-encoding", "chunked")],
    "upper": [(":status", "200"), ("X-Y", "z")], "lf": [(":status", "200"), ("x", "a\nb")], "nul": [(":status", "200"), ("x", "a\0b")],
    "name": [(":status", "200"), ("x y", "z")], "empty-name": [(":status", "200"), ("", "z")],
    "length-abc": [(":status", "200"), ("content-length", "abc")], "length-two": [(":status", "200"), ("content-length", "1"), ("content-length", "2")],
    "length-5-of-0": [(":status", "200"), ("content-length", "5")], "interim-at-the-end": [(":status", "103")],
}


@pytest.mark.parametrize("name", MALFORMED)
def test_a_malformed_response_is_refused(front, name):
    proxy, _ = front(respond(MALFORMED[name]))
    expect(proxy.ask(), 502, "http_protocol_error", sent="complete")


@pytest.mark.parametrize("said, sent", [(5, b"1234"), (5, b"123456"), (0, b"1")])
def test_content_that_is_not_as_long_as_it_says_is_no_whole_response(front, said, sent):
    proxy, _ = front(respond([(":status", "200"), ("content-length", str(said))], sent))
    caller = proxy.caller()  # that stays: one that has all of an empty response could leave before more comes
    caller.request()
    try:
        response = caller.recv_response()
        if said or response.status != 200:
            expect(response, 502, "http_protocol_error")
    except Cut:
        pass
    metrics = proxy.wait_idle()
    assert (metrics.calls("failed"), metrics.calls("completed")) == (1, 0)


def test_a_value_with_blanks_at_its_edges_is_trimmed(front):
    proxy, _ = front(respond([(":status", "200"), ("x", " a b\t")]))
    assert proxy.ask()["x"] == "a b"


@pytest.mark.parametrize("fields, most", [([(f"x-{i}", "y" * 50) for i in range(1000)], "16KiB"), ([("x", "y" * 120_000)], "1MiB")])
def test_a_head_that_is_too_large_is_refused(front, fields, most):
    proxy, _ = front(respond([(":status", "200"), *fields]), top={"limits": {"response_head": most}})
    expect(proxy.ask(), 502, "http_response_header_section_size")


def test_fields_of_all_sizes_find_room(front):
    sizes = (10000, 9000, 1, 16000, 12000)
    proxy, _ = front(respond([(":status", "200"), *((f"x-{size}", "y" * size) for size in sizes)]))
    response = proxy.ask()
    assert [len(response[f"x-{size}"]) for size in sizes] == list(sizes)


def test_a_flood_of_interim_responses_is_refused(front):
    def script(peer):
        request = peer.take()
        for _ in range(200):
            peer.head(request, 103)

    proxy, _ = front(script)
    caller = proxy.caller()
    caller.request()
    while (response := caller.recv_response_head()).status == 103:
        pass
    assert response.status == 502
    assert proxy.wait_idle().calls("failed") == 1


@pytest.mark.parametrize("bytes_", [b"HTTP/1.1 200 OK\r\n\r\n", frame(h2.DATA, 1, 0, b"x"), frame(h2.SETTINGS, 0, 0, b"abc"),
                                    frame(5, 1, 4, b"\0\0\0\2"), frame(h2.WINDOW_UPDATE, 0, 0, bytes(4)), b"\xff" * 100], ids=range(6))
def test_what_is_no_http2_is_refused(front, bytes_):
    proxy, api = front(greeting=b"")
    caller = proxy.caller()
    caller.request()
    peer = api.accept()
    peer.send(bytes_)
    response = caller.recv_response()
    assert response.status == 502
    problem.parse(response)


def test_pings_and_settings_are_answered_while_a_call_runs_and_between_calls(front):
    proxy, api = front()
    caller = proxy.caller()
    caller.request()
    peer = api.accept()
    request = peer.take()
    peer.ping()
    peer.send(settings(window=100000, streams=1))
    peer.answer(request, content=b"x")
    assert caller.recv_response().content == b"x"
    peer.ping()


def test_a_flood_of_pings_ends_the_connection(front):
    proxy, api = front()
    caller = proxy.caller()
    caller.request()
    peer = api.accept()
    peer.take()
    with pytest.raises((Cut, OSError)):
        for _ in range(200):
            peer.send(frame(h2.PING, payload=bytes(8)) * 1000)
    caller.close()


# -------------------------------------------------------------------------------- flow control


def test_a_small_window_of_the_api_is_kept_to(front):
    def script(peer):
        request = peer.take(whole=False)
        while not request.ended:
            peer.read_frame()
        peer.answer(request, content=str(len(request.content)).encode())

    proxy, _ = front(script, greeting=settings(window=1000))
    assert proxy.ask("POST", content=bytes(100_000)).content == b"100000"


def test_a_window_that_shrinks_to_nothing_and_comes_back(front):
    proxy, api = front(gives_window=False)
    caller = proxy.caller()
    caller.request()
    peer = api.accept()
    peer.send(settings(window=0))
    request = peer.take()
    peer.ping()
    peer.answer(request)
    assert caller.recv_response().status == 200
    caller.request("POST", content=b"x" * 50000)
    request = peer.take(whole=False)
    peer.ping()
    assert request.content == b""
    peer.send(settings(window=10))
    peer.until(lambda _: len(request.content) == 10)
    peer.send(settings(window=0))
    peer.ping()
    peer.send(settings(window=65535))
    peer.until(lambda _: request.ended)
    peer.answer(request, content=b"ok")
    assert caller.recv_response().content == b"ok"


@pytest.mark.sound_only
def test_a_caller_that_does_not_read_holds_no_more_than_a_window(front):
    proxy, api = front(http2={"window": "64KiB"}, deadline="30s")
    callers = [proxy.caller(receive_buffer=4096) for _ in range(20)]
    before = proxy.process.rss_bytes()
    peers = []
    for caller in callers:
        caller.request()
        peer = api.accept()
        request = peer.take()
        peer.head(request, 200)
        peer.data(request, bytes(65535))
        peers.append((peer, request))
    for peer, _ in peers:
        peer.ping()
    assert (proxy.process.rss_bytes() - before) / 20 < 300_000
    for (peer, request), caller in zip(peers, callers):
        thread = threading.Thread(target=peer.data, args=(request, b"", True))
        thread.start()
        assert len(caller.recv_response().content) == 65535
        thread.join()


# ------------------------------------------------------------------------ other people's servers


def test_node_beside_calls_that_are_cut(curfew):
    with node_http2() as url:
        proxy = curfew(url=url, http2={"use": "always"}, deadline="3s",
                       routes=[{"path": "/hang", "deadline": "20ms"}], pool={"size": 20, "queue": 1000})
        results = []
        cut = [threading.Thread(target=lambda: [proxy.ask("GET", "/hang").status for _ in range(40)]) for _ in range(4)]
        good = [threading.Thread(target=lambda: results.extend(proxy.ask("POST", "/", content=bytes(1000)).content for _ in range(40)))
                for _ in range(4)]
        for thread in (*cut, *good):
            thread.start()
        for thread in (*cut, *good):
            thread.join()
        assert results == [b"1000"] * 160
        metrics = proxy.wait_idle()
        assert (metrics.calls("stuck"), metrics.calls("failed")) == (160, 0)


# ---------------------------------------------------------------- what becomes of calls that were cut


LATE = {"deadline": "200ms", "late": True, "pool": {"size": 1, "queue": 0, "linger": "5s"}}


def late_of(proxy, lines=2):
    return proxy.log(lines)[-1]["late"]


def test_what_the_api_answers_after_the_cut_is_written_down(front):
    proxy, api = front(**LATE)
    caller = proxy.caller()
    caller.request("POST", "/", content=b"pay")
    peer = api.accept()
    request = peer.take()
    expect_stuck(caller.recv_response(), "wait", 200, sent="complete")
    assert proxy.metrics().sum("curfew_pool_ghosts") == 1
    peer.head(request, 201)
    peer.data(request, b"paid", end=True)
    assert late_of(proxy)["status"] == 201
    assert proxy.wait_idle().calls("late", **{"class": "2xx"}) == 1


@pytest.mark.parametrize("end", ["reset", "close", "nothing"])
def test_an_api_that_ends_the_stream_or_says_nothing_has_no_late_answer(front, end):
    proxy, api = front(**{**LATE, "pool": {**LATE["pool"], "linger": "300ms" if end == "nothing" else "5s"}})
    caller = proxy.caller()
    caller.request("POST", "/", content=b"pay")
    peer = api.accept()
    request = peer.take()
    expect_stuck(caller.recv_response(), "wait", 200, sent="complete")
    if end == "reset":
        peer.reset(request, INTERNAL_ERROR)
    elif end == "close":
        peer.close()
    late = late_of(proxy)
    assert (late["status"], late["whole"]) == (0, False)
    assert proxy.wait_idle().calls("late", **{"class": "none"}) == 1


def test_a_response_in_the_middle_of_which_the_call_was_cut_is_read_to_its_end(front):
    proxy, api = front(**LATE)
    caller = proxy.caller()
    caller.request("GET", "/")
    peer = api.accept()
    request = peer.take()
    peer.head(request, 200)
    peer.data(request, b"half")
    caller.recv_response_head()
    proxy.log(1)
    peer.data(request, b" whole", end=True)
    late = late_of(proxy)
    assert late["status"] == 200 and "whole" not in late
    assert proxy.wait_idle().sum("curfew_responses_total") == 1


def test_a_request_that_went_in_part_leaves_a_ghost_and_no_late_answer(front):
    proxy, api = front(**{**LATE, "pool": {**LATE["pool"], "linger": "300ms"}})
    caller = proxy.caller()
    caller.request("POST", "/", "Content-Length: 100")
    caller.send(b"a part")
    peer = api.accept()
    peer.take(whole=False)
    expect_stuck(caller.recv_response(), "send", 200, sent="partial")
    line, = proxy.log(1)
    assert line["lingered_ms"] == 300
    assert proxy.wait_idle().calls("late") == 0


# -------------------------------------------------------------------------------------- tried again


@pytest.mark.parametrize("fails", ["status", "reset"])
def test_a_call_over_http2_is_tried_again(front, fails):
    tries = []

    def second(peer):
        request = peer.take()
        tries.append(request.content)
        if len(tries) > 1:
            peer.answer(request, content=request.content)
        elif fails == "status":
            peer.answer(request, 503)
        else:
            peer.reset(request, INTERNAL_ERROR)

    proxy, _ = front(second, retries={"attempts": 2, "when": ["reset", 503], "backoff": {"base": "1ms"}})
    response = proxy.ask("PUT", "/", content=b"x" * 5000)
    assert (response.status, response.content) == (200, b"x" * 5000)
    assert tries == [b"x" * 5000] * 2
    metrics = proxy.wait_idle()
    assert metrics.sum("curfew_calls_saved_total") == 1


@pytest.mark.parametrize("who", ["first", "hedge"])
def test_two_tries_over_http2_go_by_two_connections(front, who):
    """The first response counts, and the other stream is cut."""
    proxy, api = front(hedge=True, retries={"attempts": 2, "per_try": "50ms"})
    content = bytes(range(256)) * 100
    caller = proxy.caller()
    caller.request("PUT", "/", content=content)
    first = api.accept()
    one = first.take()
    hedge = api.accept()
    other = hedge.take()
    assert one.content == other.content == content
    assert one.fields == other.fields
    (wins, request), (loses, lost) = ((first, one), (hedge, other)) if who == "first" else ((hedge, other), (first, one))
    wins.answer(request, content=b"good")
    assert caller.recv_response().content == b"good"
    with contextlib.suppress(Cut, OSError):  # by the connection's end
        loses.until(lambda peer: lost.stream in peer.resets)
    line, = proxy.log(1)
    assert sorted(one["cause"] for one in line["tries"]) == ["hedge_lost", "none"]
    metrics = proxy.wait_idle()
    assert metrics.sum("curfew_tries_ended_total", verdict="neutral") == 1
    assert metrics.sum("curfew_pool_audit_errors_total") == metrics.sum("curfew_broken_invariants_total") == 0


def test_a_stream_that_was_refused_leaves_it_to_the_other_try(front):
    proxy, api = front(hedge=True, retries={"attempts": 2, "per_try": "50ms"})
    caller = proxy.caller()
    caller.request("GET", "/")
    first = api.accept()
    one = first.take()
    hedge = api.accept()
    other = hedge.take()
    first.reset(one, INTERNAL_ERROR)
    proxy.wait_metric("curfew_tries_in_flight", 1)
    hedge.answer(other, content=b"good")
    assert caller.recv_response().content == b"good"
    assert proxy.wait_idle().sum("curfew_calls_saved_total") == 1


@pytest.mark.parametrize("content", [b"", b"x" * 100], ids=["without", "with content"])
def test_who_was_refused_and_finds_nobody_then_has_sent_nothing(curfew, content):
    """A rolling restart: GOAWAY, and the port is closed. Any method may be tried again, since nobody has processed it."""
    def script(peer):
        request = peer.take()
        api.refuse()
        peer.go_away(request.stream - 2 if request.stream > 1 else 0)
        return True

    api = H2Api(script)
    try:
        proxy = curfew(url=api.url, http2={"use": "always"},
                       retries={"attempts": 3, "when": ["connect", "reset"], "backoff": {"base": "20ms", "max": "40ms"}})
        problem = expect(proxy.ask("POST", content=content), 502, "connection_refused")
        assert problem["sent"] == "none"
        assert (len(problem.get("tries", [0])), problem["retry_stopped"]) == ((1, "content") if content else (3, "attempts"))
    finally:
        api.close()
