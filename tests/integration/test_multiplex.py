"""Several calls at once on a connection over HTTP/2 to the API (`http2.streams`)."""

import json
import socket
import threading

import pytest

from harness.bounds import SLOW, Stopwatch, poll
from harness.curfew import curfew_command
from harness.h2 import CANCEL, ENHANCE_YOUR_CALM, HEADERS, NO_ERROR, PREFACE, REFUSED_STREAM, H2Api, frame, settings
from harness.h2_caller import H2Caller
from harness.peers import ok as ok_in_h1
from harness.problem import expect, expect_stuck
from harness.programs import node_http2
from harness.wire import Cut


def serve(handle):
    """A script: each request is handled when it is whole; what handle() does not answer stays open."""
    def script(peer):
        handled = peer.__dict__.setdefault("handled", set())
        peer.until(lambda _: any(request.ended and request.stream not in handled for request in peer.order))
        for request in list(peer.order):
            if request.ended and request.stream not in handled:
                handled.add(request.stream)
                handle(peer, request)

    return script


def hang_or_answer(peer, request):
    if not request[":path"].startswith("/hang"):
        peer.answer(request, content=request.content)


@pytest.fixture
def front(curfew):
    """(proxy, api) that speak HTTP/2 by prior knowledge, with many calls on a connection."""
    made = []

    def make(script=None, streams=10, http2=None, top=None, workers=1, **keys):
        options = {name: keys.pop(name) for name in ("greeting", "gives_window", "tls") if name in keys}
        made.append(H2Api(script, **options))
        keys.setdefault("pool", {"size": 100, "queue": 100})
        return curfew(url=made[-1].url, http2={"use": "always", "streams": streams, **(http2 or {})},
                      top={"workers": workers, **(top or {})}, **keys), made[-1]

    yield make
    for one in made:
        one.close()


class Many:
    """So many calls at once, each by a caller of its own."""

    def __init__(self, proxy, count, method="GET", target="/", **more):
        self.results = [None] * count
        self.threads = [threading.Thread(target=self._ask, args=(i, proxy, method, target, more)) for i in range(count)]
        for thread in self.threads:
            thread.start()

    def _ask(self, i, proxy, method, target, more):
        try:
            self.results[i] = proxy.ask(method, target, **more)
        except Cut as cut:
            self.results[i] = cut

    def join(self):
        for thread in self.threads:
            thread.join()
        return [getattr(result, "status", "cut") for result in self.results]


def answer_together(count):
    """An API that answers only when so many requests are there, on whichever connections."""
    seen, lock = [], threading.Lock()

    def handle(peer, request):
        with lock:
            seen.append((peer, request))
            if len(seen) == count:
                for one, asked in seen:
                    one.answer(asked, content=asked[":path"].encode())

    return handle


# --------------------------------------------------------------------------------- one connection


@pytest.mark.parametrize("count, streams, connections", [(10, 10, 1), (30, 10, 3), (100, 100, 1), (5, 1, 5)])
def test_calls_share_a_connection_as_far_as_streams_says(front, count, streams, connections):
    proxy, api = front(serve(answer_together(count)), streams=streams)
    assert Many(proxy, count).join() == [200] * count
    assert api.connections == connections
    assert proxy.wait_idle().calls("completed") == count
    assert all(not peer.resets for peer in api.peers)


def test_no_worker_uses_anothers_connection(front):
    proxy, api = front(serve(answer_together(20)), streams=100, workers=2)
    assert Many(proxy, 20).join() == [200] * 20
    assert api.connections <= 2


def protocols(one):
    return one.get("caller_protocol"), one.get("upstream_protocol")


def test_who_speaks_http2_is_seen_while_a_call_runs_and_when_it_has_ended(front):
    proxy, _ = front(serve(hang_or_answer))
    assert proxy.ask().status == 200
    caller = H2Caller(proxy.address())
    assert caller.ask2("GET", "/").status == 200
    caller.begin("GET", "/hang")
    proxy.wait_in_flight(1, "wait")
    assert [protocols(call) for call in proxy.calls()["calls"]] == [("h2", "h2")]
    shown = curfew_command("calls", "--admin", "%s:%s" % proxy.admin)
    assert "  h2 on both sides\n" in shown.stdout
    caller.close()
    assert [protocols(line) for line in proxy.log(3)] == [(None, "h2"), ("h2", "h2"), ("h2", "h2")]
    metrics = proxy.wait_idle()
    assert [metrics.sum("curfew_http2_calls_total", upstream="api", side=side) for side in ("downstream", "upstream")] == [2, 3]


def test_each_call_gets_its_own_answer(front):
    def handle(peer, request):
        peer.later = getattr(peer, "later", []) + [request]
        if len(peer.later) == 20:
            for one in peer.later:
                peer.head(one, 200)
            for part in range(3):
                for one in reversed(peer.later):
                    peer.data(one, one.content[part * 1000:(part + 1) * 1000], end=part == 2)

    proxy, api = front(serve(handle), streams=20)
    results = [None] * 20

    def ask(i):
        content = bytes([65 + i]) * 3000
        results[i] = proxy.ask("POST", f"/{i}", content=content).content == content

    threads = [threading.Thread(target=ask, args=(i,)) for i in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [True] * 20 and api.connections == 1


@pytest.mark.timed  # curfew waits 100 ms for SETTINGS
def test_what_the_api_allows_is_kept_to(front):
    proxy, api = front(serve(answer_together(30)), streams=100, greeting=settings(streams=3))
    assert Many(proxy, 30).join() == [200] * 30
    assert max(len(peer.order) for peer in api.peers) == 3  # none was answered before all were there
    assert proxy.wait_idle().calls("failed") == 0


@pytest.mark.timed  # as above
def test_a_burst_does_not_find_out_what_the_api_allows_the_hard_way(front):
    """HAProxy 2853: a server that ends the connection at the stream that is one too many."""
    def script(peer):
        peer.until(lambda _: [r for r in peer.order if r.ended and r.stream not in peer.__dict__.setdefault("handled", set())])
        open_ = [r for r in peer.order if r.stream not in peer.handled]
        if len(open_) > 5:
            peer.go_away(open_[4].stream, ENHANCE_YOUR_CALM)
            return False
        request = next(r for r in open_ if r.ended)
        peer.handled.add(request.stream)
        peer.answer(request)
        return True

    proxy, api = front(script, streams=100, greeting=settings(streams=5))
    assert Many(proxy, 50).join() == [200] * 50
    assert proxy.wait_idle().calls("failed") == 0
    assert not any(peer.goaway and peer.goaway[1] != NO_ERROR for peer in api.peers)


def heads_waiting(peer):
    """How many HEADERS frames have come that nobody has read."""
    data, count = peer.sock.recv(65536, socket.MSG_PEEK)[len(PREFACE):], 0
    while len(data) >= 9:
        count += data[3] == HEADERS
        data = data[9 + int.from_bytes(data[:3], "big"):]
    return count


def test_an_api_that_says_late_what_it_allows_is_not_waited_for(front):
    proxy, api = front(greeting=b"")
    calls = Many(proxy, 10)
    peer = api.accept()
    poll(lambda: heads_waiting(peer) == 10, "all of them")
    peer.send(settings(streams=4))
    for request in [peer.take() for _ in range(10)]:
        peer.answer(request)
    assert calls.join() == [200] * 10
    assert api.connections == 1


def test_a_limit_that_is_lowered_ends_no_call(front):
    proxy, api = front(streams=10)
    calls = Many(proxy, 5)
    peer = api.accept()
    requests = [peer.take() for _ in range(5)]
    peer.send(settings(streams=1))
    peer.ping()
    other = Many(proxy, 1)
    second = api.accept()
    second.answer(second.take())
    assert other.join() == [200]
    for request in requests:
        peer.answer(request)
    assert calls.join() == [200] * 5
    assert proxy.wait_idle().calls("completed") == 6


def test_a_connection_is_retired_after_max_calls(front):
    proxy, api = front(serve(hang_or_answer), http2={"max_calls": 25})
    for _ in range(10):
        assert Many(proxy, 10).join() == [200] * 10
    assert max(len(peer.order) for peer in api.peers) <= 25
    assert 4 <= api.connections <= 14


@pytest.mark.one_worker
@pytest.mark.parametrize("offers", [["http/1.1"], ["h2", "http/1.1"]])
def test_a_burst_over_tls_finds_what_the_api_speaks(curfew, upstream, certificates, offers):
    tls = certificates.server()
    if offers == ["http/1.1"]:
        tls.set_alpn_protocols(offers)
        api = upstream(ok_in_h1, tls=tls)
    else:
        api = H2Api(serve(hang_or_answer), tls=tls)
    proxy = curfew(url=api.url, tls={"ca_file": certificates.ca}, http2={"use": "auto", "streams": 100})
    for _ in range(2):
        assert Many(proxy, 20).join() == [200] * 20
    if offers != ["http/1.1"]:
        assert api.connections == 1
        api.close()


# -------------------------------------------------------------------------------------- cuts


@pytest.mark.timed
def test_a_call_that_is_cut_does_not_harm_those_beside_it(front):
    proxy, api = front(deadline="5s", routes=[{"path": "/hang", "deadline": "300ms"}])
    healthy = Many(proxy, 4, "POST", content=b"x" * 1000)
    peer = api.accept()
    requests = [peer.take() for _ in range(4)]
    caller = proxy.caller()
    watch = Stopwatch()
    caller.request("GET", "/hang")
    hanging = peer.take()
    expect_stuck(caller.recv_response(), "wait", 300, sent="complete")
    watch.is_over_at(0.3)
    peer.until(lambda _: hanging.stream in peer.resets)
    for request in requests:
        peer.answer(request, content=request.content)
    assert healthy.join() == [200] * 4
    assert peer.resets == {hanging.stream: CANCEL} and api.connections == 1


def test_a_caller_who_leaves_ends_its_stream_alone(front):
    proxy, api = front()
    other = Many(proxy, 1)
    peer = api.accept()
    request = peer.take()
    caller = proxy.caller()
    caller.request()
    left = peer.take()
    caller.close()
    peer.until(lambda _: left.stream in peer.resets)
    assert peer.resets == {left.stream: CANCEL}
    proxy.wait_metric("curfew_calls_abandoned_total", 1)
    assert proxy.metrics().sum("curfew_pool_held") == 1
    peer.answer(request)
    assert other.join() == [200]


def test_what_is_whole_is_not_reset_and_an_early_answer_ends_the_upload(front):
    def script(peer):
        request = peer.take(whole=False)
        if request[":path"] == "/large":
            peer.head(request, 413, end=True)
            peer.until(lambda _: request.stream in peer.resets)
        else:
            peer.until(lambda _: request.ended)
            peer.answer(request)

    proxy, api = front(script)
    caller = proxy.caller()
    caller.send(b"POST /large HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n" + bytes(1000))
    assert caller.recv_response().status == 413
    assert proxy.ask().status == 200
    assert (api.connections, api.peers[0].resets) == (1, {1: NO_ERROR})


@pytest.mark.timed
def test_the_permit_is_free_at_once_after_a_cut(front):
    proxy, _ = front(serve(hang_or_answer), pool={"size": 1, "queue": 0}, routes=[{"path": "/hang", "deadline": "100ms"}])
    for _ in range(20):
        assert proxy.ask("GET", "/hang").status == 504
        assert proxy.ask().status == 200


@pytest.mark.timed
def test_an_api_that_does_not_take_the_reset_is_cut_off(front):
    """The cap must not rest on a reset that nobody can have seen."""
    proxy, api = front(deadline="20s", routes=[{"path": "/large", "deadline": "500ms"}], http2={"probe_timeout": "10s"},
                       pool={"size": 2, "queue": 0}, greeting=settings(window=2 ** 30))
    other = Many(proxy, 1)
    peer = api.accept()
    peer.take()
    peer.send(frame(8, 0, 0, (2 ** 30).to_bytes(4, "big")))
    watch = Stopwatch()
    large = Many(proxy, 1, "POST", "/large", content=bytes(20_000_000))
    assert large.join() in ([504], ["cut"])
    assert proxy.metrics().sum("curfew_pool_held") == 2  # it is not taken for free
    assert proxy.ask().status == 503
    assert other.join() == [502]
    assert 1.4 < watch.elapsed() < 1.6 + SLOW
    proxy.wait_idle()


def test_no_connection_sees_as_many_resets_as_servers_end_it_for(front):
    proxy, api = front(serve(hang_or_answer), streams=50, routes=[{"path": "/hang", "deadline": "20ms"}], pool={"size": 60, "queue": 1000})
    results, good = [], []
    threads = [threading.Thread(target=lambda: results.extend(proxy.ask("GET", "/hang").status for _ in range(30))) for _ in range(20)]
    threads += [threading.Thread(target=lambda: good.extend(proxy.ask().status for _ in range(100))) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [504] * 600 and good == [200] * 300
    assert max(len(peer.resets) for peer in api.peers) < 150
    poll(lambda: sum(len(peer.resets) for peer in api.peers) >= 590, "a reset for each, but for what a connection's end has cut off")
    assert api.connections <= 12


@pytest.mark.timed
def test_more_calls_cut_at_once_than_a_connection_may_see_resets(front):
    proxy, api = front(serve(hang_or_answer), streams=400, deadline="500ms", pool={"size": 400, "queue": 0})
    assert Many(proxy, 300, "GET", "/hang").join() == [504] * 300
    proxy.wait_idle()
    assert len(api.seen) == 300 and max(len(peer.resets) for peer in api.peers) < 150
    assert proxy.ask().status == 200


# ------------------------------------------------------------------- what the API ends or refuses


@pytest.mark.parametrize("method, content", [("GET", None), ("POST", b"x" * 1000)])
@pytest.mark.parametrize("code", [NO_ERROR, ENHANCE_YOUR_CALM])
def test_of_a_goaway_those_above_go_again_and_those_below_go_on(front, code, method, content):
    proxy, api = front(pool={"size": 10, "queue": 0})
    calls = Many(proxy, 6, method, content=content)
    peer = api.accept()
    requests = [peer.take() for _ in range(6)]
    peer.go_away(requests[2].stream, code)
    second = api.accept()
    again = [second.take() for _ in range(3)]
    for request in requests[:3]:
        peer.answer(request)
    for request in again:
        second.answer(request)
    assert calls.join() == [200] * 6
    metrics = proxy.wait_idle()
    assert (metrics.calls("completed"), metrics.calls("failed")) == (6, 0)
    assert api.connections == 2
    with pytest.raises(Cut):  # it is closed behind the last one
        while True:
            peer.read_frame()


def test_a_stream_that_is_refused_goes_again_elsewhere(front):
    proxy, api = front()
    calls = Many(proxy, 3, "POST", content=b"x")
    peer = api.accept()
    requests = [peer.take() for _ in range(3)]
    peer.reset(requests[2], REFUSED_STREAM)
    second = api.accept()
    second.answer(second.take())
    more = Many(proxy, 1)  # the API takes two at once, as it has shown
    second.answer(second.take())
    assert more.join() == [200]
    for request in requests[:2]:
        peer.answer(request)
    assert calls.join() == [200] * 3
    assert proxy.wait_idle().calls("failed") == 0


@pytest.mark.parametrize("how", ["close", "error"])
def test_a_connection_that_ends_ends_its_calls(front, how):
    proxy, api = front()
    calls = Many(proxy, 3, "POST", content=b"x")
    peer = api.accept()
    for _ in range(3):
        peer.take()
    if how == "close":
        peer.close()
    else:
        peer.send(frame(0, 0, 0, b"DATA on no stream"))
    assert calls.join() == [502] * 3
    assert proxy.wait_idle().calls("failed") == 3


def test_a_connection_that_breaks_the_rules_goes_with_the_calls_that_it_cuts(front):
    """One has content that is passed on, of the others nothing has come: all hear of it in the same turn."""
    proxy, api = front(late=True, pool={"size": 10, "linger": "300ms"})
    calls = Many(proxy, 3)
    peer = api.accept()
    first, *_ = [peer.take() for _ in range(3)]
    peer.head(first, 200)
    proxy.wait_in_flight(1, phase="receive")
    with proxy.process.paused():
        peer.data(first, bytes(3000))
        peer.send(frame(0, 0, 0, b"DATA on no stream"))
    assert sorted(calls.join(), key=str) == [502, 502, "cut"]
    proxy.wait_idle()


def test_an_api_that_asks_for_calm_gets_it(front):
    def script(peer):
        peer.take()
        peer.go_away(0, ENHANCE_YOUR_CALM)
        return False

    proxy, api = front(script, deadline="5s")
    watch = Stopwatch()
    for n in range(1, 4):
        expect(proxy.ask("POST"), 502, "connection_terminated", sent="none")
        assert api.connections == 2 * n
    assert watch.elapsed() > 0.1 + 0.2 + 0.4 + 0.8 + 1.6 - 0.2


def test_a_call_that_waits_for_calm_is_in_connect_and_has_its_deadline(front):
    def script(peer):
        peer.take()
        peer.go_away(0, ENHANCE_YOUR_CALM)
        return False

    proxy, api = front(script, deadline="5s", routes=[{"path": "/short", "deadline": "1200ms"}])
    for _ in range(2):
        assert proxy.ask("POST").status == 502
    expect_stuck(proxy.ask("POST", "/short"), "connect", 1200, sent="none")  # by a connection after 0.8 s, and none before 1.6 s more
    assert api.connections == 5


def test_an_api_that_ends_each_connection_after_some_requests_loses_none(front):
    def handle(peer, request):
        if len(peer.handled) == 50:
            peer.go_away(request.stream)
        if len(peer.handled) <= 50:
            peer.answer(request)

    proxy, api = front(serve(handle))
    statuses = []
    threads = [threading.Thread(target=lambda: statuses.extend(proxy.ask("POST", content=b"x").status for _ in range(60))) for _ in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert statuses == [200] * 600
    assert proxy.wait_idle().calls("failed") == 0


# ----------------------------------------------------------------------------------- silence


PROBE = {"probe_after": "50ms", "probe_timeout": "300ms"}


def is_silent(peer):
    """Nothing is sent for longer than probe_after."""
    watch = Stopwatch()
    poll(lambda: watch.elapsed() > 0.1, "time")


@pytest.mark.timed
@pytest.mark.parametrize("streams", [1, 10])
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_dead_connection_is_found_out_before_the_call(front, streams, method):
    proxy, api = front(streams=streams, http2=PROBE, deadline="5s")
    first = Many(proxy, 1)
    peer = api.accept()
    peer.answer(peer.take())
    assert first.join() == [200]
    if streams > 1:  # what it says while nobody uses it answers no PING that is still to come
        proxy.wait_metric("curfew_connections", 1, side="upstream_idle")
        peer.ping()
    is_silent(peer)
    watch = Stopwatch()
    call = Many(proxy, 1, method, content=b"x" if method == "POST" else None)
    second = api.accept()
    assert 0.25 < watch.elapsed() < 0.35 + SLOW
    second.answer(second.take())
    assert call.join() == [200]
    assert proxy.wait_idle().calls("failed") == 0


@pytest.mark.parametrize("streams", [1, 10])
def test_a_connection_that_answers_the_ping_is_used(front, streams):
    proxy, api = front(streams=streams, http2={**PROBE, "probe_timeout": "5s"})
    peer = None
    for n in range(3):
        call = Many(proxy, 1, "POST", content=b"x")
        peer = peer or api.accept()
        request = peer.take()
        peer.answer(request)
        assert call.join() == [200]
        assert peer.pings == n
        is_silent(peer)
    assert api.connections == 1


@pytest.mark.timed
def test_where_nothing_was_read_a_ping_goes_with_the_reset(front):
    proxy, api = front(http2={"probe_timeout": "300ms"}, deadline="5s", routes=[{"path": "/hang", "deadline": "200ms"}])
    calls = Many(proxy, 3, "POST", content=b"x")
    peer = api.accept()
    for _ in range(3):
        peer.take()
    peer.ping()
    watch = Stopwatch()
    assert proxy.ask("GET", "/hang").status == 504
    call = Many(proxy, 1)
    second = api.accept()  # the first one is doubtful
    second.answer(second.take())
    assert call.join() == [200]
    assert calls.join() == [502] * 3  # at once, and not each at its deadline
    assert 0.45 < watch.elapsed() < 0.6 + SLOW
    proxy.wait_idle()


def test_of_a_slow_api_that_is_there_the_connection_stays(front):
    proxy, api = front(serve(hang_or_answer), http2={"probe_timeout": "1s"}, routes=[{"path": "/hang", "deadline": "110ms"}])
    for _ in range(10):
        assert proxy.ask("GET", "/hang").status == 504
        proxy.wait_metric("curfew_connections", 1, side="upstream_idle")  # the PING is answered
    assert api.connections == 1 and api.peers[0].pings == 1  # never again until a response comes
    assert proxy.ask().status == 200
    assert proxy.ask("GET", "/hang").status == 504
    poll(lambda: api.peers[0].pings == 2, "the second PING")
    assert api.connections == 1


def test_an_api_that_complains_of_pings_gets_fewer(front):
    """grpc A8: too_many_pings doubles the interval."""
    proxy, api = front(http2={"probe_after": f"{1000 * SLOW:g}ms", "probe_timeout": "5s"}, deadline="10s")
    call = Many(proxy, 1)
    peer = api.accept()
    request = peer.take()
    peer.go_away(request.stream, ENHANCE_YOUR_CALM, b"too_many_pings")
    peer.answer(request)
    assert call.join() == [200]
    call = Many(proxy, 1)
    peer = api.accept()
    peer.answer(peer.take())
    assert call.join() == [200]
    watch = Stopwatch()
    poll(lambda: watch.elapsed() > 1.2 * SLOW, "more time than it was before")
    call = Many(proxy, 1)
    peer.answer(peer.take())
    assert call.join() == [200]
    assert peer.pings == 0


# ------------------------------------------------------------------------------- flow control


def test_a_caller_that_does_not_read_holds_up_no_other(front):
    """golang 16510, hyper 2899, curl 16955."""
    proxy, api = front(http2={"window": "64KiB"}, deadline="20s")
    slow = proxy.caller(receive_buffer=4096)
    slow.request("GET", "/slow")
    peer = api.accept()
    request = peer.take()
    peer.head(request, 200)
    peer.data(request, bytes(65535))
    for _ in range(30):
        fast = Many(proxy, 1, "GET", "/fast")
        other = peer.take()
        peer.head(other, 200)
        peer.data(other, bytes(65535), end=True)
        assert fast.join() == [200]
    peer.data(request, end=True)
    assert len(slow.recv_response().content) == 65535


def test_uploads_share_the_window_of_the_connection(front):
    """The API's connection window is 64 KiB: each of these uploads is as large, and all of them go through."""
    proxy, api = front(serve(hang_or_answer), streams=20)
    calls = Many(proxy, 20, "POST", content=b"x" * 65535)
    assert calls.join() == [200] * 20
    assert {len(result.content) for result in calls.results} == {65535}


def test_an_upload_without_a_window_holds_up_no_other(front):
    proxy, api = front(gives_window=False, greeting=settings(window=1000), deadline="20s")
    first = Many(proxy, 1)
    peer = api.accept()
    peer.answer(peer.take())
    assert first.join() == [200]
    blocked = Many(proxy, 1, "POST", "/blocked", content=b"x" * 5000)
    request = peer.take(whole=False)
    peer.until(lambda _: len(request.content) == 1000)
    for _ in range(5):
        other = Many(proxy, 1)
        peer.answer(peer.take())
        assert other.join() == [200]
    for _ in range(4):
        peer.window(request.stream, 1000)
    peer.until(lambda _: request.ended)
    peer.answer(request)
    assert blocked.join() == [200]


# ------------------------------------------------------------------------------ reload, late, Node


def test_after_a_reload_calls_go_on_and_the_connection_takes_no_other(front):
    proxy, api = front()
    call = Many(proxy, 1)
    peer = api.accept()
    request = peer.take()
    proxy.reload()
    other = Many(proxy, 1)
    second = api.accept()
    second.answer(second.take())
    assert other.join() == [200]
    peer.answer(request)
    assert call.join() == [200]
    with pytest.raises(Cut):
        while True:
            peer.read_frame()
    assert peer.goaway == (0, NO_ERROR)


def test_what_becomes_of_a_call_that_was_cut_is_written_down(front):
    proxy, api = front(late=True, routes=[{"path": "/pay", "deadline": "200ms"}],
                       pool={"size": 2, "queue": 0, "linger": "5s"})
    other = Many(proxy, 1)
    peer = api.accept()
    beside = peer.take()
    caller = proxy.caller()
    caller.request("POST", "/pay", content=b"pay")
    request = peer.take()
    expect_stuck(caller.recv_response(), "wait", 200, sent="complete")
    peer.answer(request, 201, content=b"paid")
    assert proxy.log(2)[-1]["late"]["status"] == 201
    peer.answer(beside)
    assert other.join() == [200]
    assert api.connections == 1


@pytest.mark.alone
def test_thousands_of_calls_cut_at_a_node_api_fail_none_of_the_healthy_ones(curfew):
    """Node ends connections that have seen 1000 resets, and all calls on them."""
    with node_http2() as url:
        proxy = curfew(url=url, http2={"use": "always", "streams": 100}, deadline="10s",
                       routes=[{"path": "/hang", "deadline": "20ms"}], pool={"size": 200, "queue": 1000}, top={"workers": 1})
        results, stuck = [], []
        cut = [threading.Thread(target=lambda: stuck.extend(caller_asks(proxy, "GET", "/hang", 150))) for _ in range(20)]
        good = [threading.Thread(target=lambda: results.extend(caller_asks(proxy, "POST", "/", 150, b"x" * 1000))) for _ in range(4)]
        for thread in (*cut, *good):
            thread.start()
        for thread in (*cut, *good):
            thread.join()
        assert results == [200] * 600 and stuck == [504] * 3000
        metrics = proxy.wait_idle()
        assert (metrics.calls("stuck"), metrics.calls("failed")) == (3000, 0)


def caller_asks(proxy, method, target, times, content=None):
    caller = proxy.caller()
    return [caller.ask(method, target, content=content).status for _ in range(times)]


def test_a_hedge_goes_by_another_connection_if_there_is_one(front):
    proxy, api = front(streams=2, deadline="20s", hedge=True, retries={"attempts": 2, "per_try": f"{1000 * SLOW:g}ms"})
    callers = {name: proxy.caller() for name in ("/hedged", "/beside", "/apart")}

    def begin(name, peer):
        callers[name].request("GET" if name == "/hedged" else "POST", name)
        request = peer().take()
        assert request[":path"] == name
        return request

    first = begin("/hedged", api.accept)
    here = api.peers[0]
    beside = begin("/beside", lambda: here)
    begin("/apart", api.accept)
    there = api.peers[1]
    here.answer(beside)  # both connections have a slot, and a call each
    assert callers["/beside"].recv_response().status == 200
    hedge = there.take()
    assert hedge[":path"] == "/hedged"
    there.answer(hedge, content=b"good")
    assert callers["/hedged"].recv_response().content == b"good"
    here.until(lambda peer: first.stream in peer.resets)
    for caller in callers.values():
        caller.close()


@pytest.mark.parametrize("content", [b"", b"x" * 100], ids=["without", "with content"])
def test_what_still_waits_for_a_stream_has_been_sent_to_nobody(front, content):
    """All are refused once; then the API allows one at a time, which may let the next one in when that is cut."""
    def script(peer):
        if peer is api.peers[0]:
            peer.send(settings(streams=10))
            for _ in range(4):
                peer.take()
            peer.go_away(0)
        else:
            peer.send(settings(streams=1))
        peer.until(lambda _: False)

    proxy, api = front(script, greeting=b"", deadline="700ms")
    calls = Many(proxy, 4, "POST", content=content)
    assert calls.join() == [504] * 4
    proxy.stop()
    sent = [json.loads(result.content)["sent"] for result in calls.results]
    api.wait_read()
    seen = sum(len(peer.order) for peer in api.peers[1:])
    assert seen >= 1 and sent.count("none") == 4 - seen, (sent, seen)
