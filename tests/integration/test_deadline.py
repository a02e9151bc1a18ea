"""One absolute instant for the whole call: whatever it is doing then, it is over, and everything is given back."""

import threading

import pytest

from harness.bounds import LATE, SOON, Stopwatch, poll
from harness.problem import expect, expect_stuck, parse
from harness.wire import Cut

pytestmark = pytest.mark.timed

DEADLINE = 0.4
BUDGET_MS = 400
ONE_WORKER = {"pool": {"size": 1, "queue": 10}}


def all_is_given_back(proxy, phase):
    """Counted once, by its phase, and the only permit is free for the next call."""
    metrics = proxy.wait_idle()
    assert metrics.calls("stuck", upstream="api", phase=phase) == metrics.calls("stuck") == 1
    assert metrics.sum("curfew_deadline_overshoot_seconds_count") >= 1


def next_call_works(proxy, up):
    caller = proxy.caller()
    caller.request("GET", "/next")
    exchange = up.accept()
    assert exchange.recv_request().target == "/next"
    exchange.answer(content=b"fine")
    assert caller.recv_response().content == b"fine"


# ------------------------------------------------------------------------ each phase, a 504


def test_in_the_head_of_the_request(pair):
    proxy, up = pair(deadline="400ms")
    caller = proxy.caller()
    watch = Stopwatch()
    caller.send(b"GET /slow HTTP/1.1\r\nHost: x\r\nX-Half: ")
    response = caller.recv_response()
    watch.is_over_at(DEADLINE)
    expect_stuck(response, "upload", BUDGET_MS, sent="none")
    caller.must_end()
    up.must_have_no_connection()
    all_is_given_back(proxy, "upload")


def test_in_the_head_while_bytes_keep_coming(pair):
    """A byte now and then must not move the deadline."""
    proxy, up = pair(deadline="400ms")
    caller = proxy.caller()
    stop = threading.Event()

    def drip():
        for byte in b"GET /slow HTTP/1.1\r\nX-Long: " + b"x" * 1000:
            try:
                caller.send(bytes([byte]))
            except OSError:
                return
            if stop.wait(0.02):
                return

    dripper = threading.Thread(target=drip)
    watch = Stopwatch()
    dripper.start()
    try:
        response = caller.recv_response()
        watch.is_over_at(DEADLINE)
    finally:
        stop.set()
        dripper.join(SOON)
    expect_stuck(response, "upload", BUDGET_MS, sent="none")
    up.must_have_no_connection()
    all_is_given_back(proxy, "upload")


def test_before_the_request_line_is_whole(pair):
    proxy, up = pair(deadline="400ms")
    caller = proxy.caller()
    watch = Stopwatch()
    caller.send(b"GE")
    try:
        response = caller.recv_response()
        assert response.status == 504
    except Cut as cut:
        assert cut.how == "closed" and not cut.content
    watch.is_over_at(DEADLINE)
    up.must_have_no_connection()
    proxy.wait_idle()


def test_in_the_content_of_the_request(pair):
    proxy, up = pair(deadline="400ms", **ONE_WORKER)
    caller = proxy.caller()
    watch = Stopwatch()
    caller.send(b"POST /slow HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\nhalf")
    exchange = up.accept()
    exchange.recv_head()
    response = caller.recv_response()
    watch.is_over_at(DEADLINE)
    problem = expect(response, 504, "http_response_timeout", sent="partial")
    assert problem["phase"] in ("upload", "send", "wait") and response["connection"] == "close"
    exchange.wait_ended()
    watch.is_over_at(DEADLINE)
    caller.must_end()
    proxy.wait_idle()
    next_call_works(proxy, up)


def test_in_the_queue(pair):
    proxy, up = pair(deadline="400ms", pool={"size": 1, "queue": 10},
                     routes=[{"path": "/holds", "deadline": "5s"}])
    holder = proxy.caller()
    holder.request("GET", "/holds")
    exchange, _ = up.take()
    caller = proxy.caller()
    watch = Stopwatch()
    caller.request("GET", "/waits")
    response = caller.recv_response()
    watch.is_over_at(DEADLINE)
    expect_stuck(response, "queue", BUDGET_MS, sent="none")
    up.must_have_no_connection()
    metrics = proxy.metrics()
    assert metrics.calls("stuck", phase="queue") == 1 and metrics.sum("curfew_pool_waiting") == 0
    exchange.answer(content=b"held")
    assert holder.recv_response().content == b"held"
    up.must_have_no_connection(0.05)  # a waiter that has expired is not run all the same


def test_in_the_lookup_of_a_name(curfew, name_server):
    server, wrap = name_server({"silent.test": None})
    proxy = curfew(url="http://silent.test:80", deadline="400ms", wrap=wrap)
    caller = proxy.caller()
    watch = Stopwatch()
    caller.request("GET", "/")
    response = caller.recv_response()
    watch.is_over_at(DEADLINE)
    expect_stuck(response, "dns", BUDGET_MS, sent="none")
    assert ("silent.test", 1) in server.asked
    all_is_given_back(proxy, "dns")


def test_in_connecting(curfew, deaf_listener):
    proxy = curfew(url=deaf_listener.url, deadline="400ms")
    caller = proxy.caller()
    watch = Stopwatch()
    caller.request("GET", "/")
    response = caller.recv_response()
    watch.is_over_at(DEADLINE)
    expect_stuck(response, "connect", BUDGET_MS, sent="none")
    caller.must_be_open()
    all_is_given_back(proxy, "connect")


def test_in_the_tls_handshake(pair):
    proxy, up = pair(deadline="400ms", url_scheme="https", **ONE_WORKER)
    caller = proxy.caller()
    watch = Stopwatch()
    caller.request("GET", "/")
    exchange = up.accept()  # the upstream itself speaks no TLS: it takes the bytes and says nothing
    response = caller.recv_response()
    watch.is_over_at(DEADLINE)
    expect_stuck(response, "tls", BUDGET_MS, sent="none")
    exchange.wait_ended()
    watch.is_over_at(DEADLINE)
    all_is_given_back(proxy, "tls")


def test_in_sending_to_an_upstream_that_does_not_read(pair):
    proxy, up = pair(deadline="400ms", upstream_options={"receive_buffer": 4096}, **ONE_WORKER)
    caller = proxy.caller()
    watch = Stopwatch()
    caller.request("POST", "/", "Content-Length: 100000000")
    exchange = up.accept()
    stop = threading.Event()

    def push():
        while not stop.is_set():
            try:
                caller.sock.send(bytes(65536))
            except OSError:
                return

    pusher = threading.Thread(target=push)
    pusher.start()
    try:
        exchange.wait_ended()
        watch.is_over_at(DEADLINE)
    finally:
        stop.set()
        caller.close()
        pusher.join(SOON)
    metrics = proxy.wait_idle()
    assert metrics.calls("stuck") == metrics.calls("stuck", phase="send") == 1
    assert proxy.log(1)[0]["sent"] == "partial"


def test_an_uploading_caller_gets_its_504_though_it_is_still_sending(pair):
    proxy, up = pair(deadline="400ms", upstream_options={"receive_buffer": 4096})
    caller = proxy.caller()
    watch = Stopwatch()
    caller.request("POST", "/", "Content-Length: 100000000")
    caller.fill()
    response = caller.recv_response()
    watch.is_over_at(DEADLINE)
    assert response.status == 504 and parse(response)["sent"] == "partial"
    up.accept().wait_ended()


def test_in_waiting_for_the_first_byte(pair):
    proxy, up = pair(deadline="400ms", **ONE_WORKER)
    caller = proxy.caller()
    watch = Stopwatch()
    caller.request("POST", "/", content=b"all of it")
    exchange, _ = up.take()
    response = caller.recv_response()
    watch.is_over_at(DEADLINE)
    problem = expect_stuck(response, "wait", BUDGET_MS, sent="complete")
    assert problem["phases_ms"]["wait"] >= 300
    exchange.wait_ended()
    watch.is_over_at(DEADLINE)
    caller.must_be_open()  # its request was read whole
    all_is_given_back(proxy, "wait")
    caller.request("GET", "/again")
    exchange, request = up.take()
    assert request.target == "/again"
    exchange.answer(content=b"ok")
    assert caller.recv_response().content == b"ok"


def test_in_a_response_head_that_drips(pair):
    """Every byte of the head is progress; the deadline does not care."""
    proxy, up = pair(deadline="400ms", **ONE_WORKER)
    caller = proxy.caller()
    watch = Stopwatch()
    caller.request("GET", "/")
    exchange, _ = up.take()
    drip = _Drip(exchange, b"HTTP/1.1 200 OK\r\nX-Long: " + b"x" * 1000)
    response = caller.recv_response()
    watch.is_over_at(DEADLINE)
    drip.stop()
    problem = expect(response, 504, "http_response_timeout", sent="complete")
    assert problem["phase"] in ("wait", "receive")
    exchange.wait_ended()
    metrics = proxy.wait_idle()
    assert metrics.calls("stuck") == 1
    caller.must_be_open()


def test_interim_responses_do_not_move_the_deadline(pair):
    proxy, up = pair(deadline="400ms")
    caller = proxy.caller()
    watch = Stopwatch()
    caller.request("GET", "/")
    exchange, _ = up.take()
    drip = _Drip(exchange, [b"HTTP/1.1 102 Processing\r\n\r\n"] * 1000)
    response = caller.recv_response()
    watch.is_over_at(DEADLINE)
    drip.stop()
    assert response.status == 504 and len(response.interim) > 5
    exchange.wait_ended()


class _Drip:
    """Sends a piece every 20 ms from a thread, until stopped or until the peer has gone."""

    def __init__(self, peer, pieces):
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(peer, pieces))
        self._thread.start()

    def _run(self, peer, pieces):
        for piece in pieces:
            try:
                peer.send(piece if isinstance(piece, bytes) else bytes([piece]))
            except OSError:
                return
            if self._stop.wait(0.02):
                return

    def stop(self):
        self._stop.set()
        self._thread.join(SOON)


# ---------------------------------------------------------- after the head: a cut, not an end


HEADS = {
    "length": b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n",
    "chunked": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
    "until close": b"HTTP/1.1 200 OK\r\n\r\n",
}


@pytest.mark.parametrize("framing", HEADS)
def test_a_response_that_drips_is_cut_so_that_it_is_not_complete(pair, framing):
    proxy, up = pair(deadline="400ms", **ONE_WORKER)
    caller = proxy.caller()
    watch = Stopwatch()
    caller.request("GET", "/")
    exchange, _ = up.take()
    exchange.send(HEADS[framing])
    drip = _Drip(exchange, [b"1\r\nx\r\n" if framing == "chunked" else b"x"] * 1000)
    with pytest.raises(Cut) as cut:
        caller.recv_response()
    watch.is_over_at(DEADLINE)
    assert len(cut.value.content) > 5 and cut.value.head.status == 200
    exchange.wait_ended()
    watch.is_over_at(DEADLINE)
    drip.stop()
    all_is_given_back(proxy, "receive")
    line, = proxy.log(1)
    assert (line["outcome"], line["phase"], line["status"]) == ("stuck", "receive", 200)
    assert (line["cause"], line["error"]) == ("deadline", "http_response_incomplete")
    next_call_works(proxy, up)


@pytest.mark.parametrize("framing", HEADS)
def test_a_caller_of_http_1_0_sees_a_reset_not_an_end(pair, framing):
    """Its response may be delimited by the close alone: then only a reset says that it is not whole."""
    proxy, up = pair(deadline="400ms")
    caller = proxy.caller()
    watch = Stopwatch()
    caller.send(b"GET / HTTP/1.0\r\nHost: x\r\n\r\n")
    exchange, _ = up.take()
    exchange.send(HEADS[framing] + (b"3\r\nabc\r\n" if framing == "chunked" else b"abc"))
    with pytest.raises(Cut) as cut:
        caller.recv_response()
    watch.is_over_at(DEADLINE)
    if framing != "length":
        assert cut.value.how == "reset"
    exchange.wait_ended()


def test_a_caller_that_does_not_read_is_cut(pair):
    proxy, up = pair(deadline="400ms", **ONE_WORKER)
    caller = proxy.caller(receive_buffer=4096)
    watch = Stopwatch()
    caller.request("GET", "/")
    exchange, _ = up.take()
    exchange.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100000000\r\n\r\n")
    exchange.fill()
    exchange.wait_ended()
    watch.is_over_at(DEADLINE)
    assert caller.wait_ended() == "reset"
    all_is_given_back(proxy, "receive")


def test_a_caller_that_reads_slowly_is_cut(pair):
    """The upstream is done with long before; the caller still reads, and its time is counted."""
    proxy, up = pair(deadline="400ms", **ONE_WORKER)
    caller = proxy.caller(receive_buffer=4096)
    watch = Stopwatch()
    caller.request("GET", "/")
    exchange, _ = up.take()
    exchange.send(b"HTTP/1.1 200 OK\r\nContent-Length: 8000000\r\n\r\n")
    sender = threading.Thread(target=_push_quietly, args=(exchange, 8_000_000))
    sender.start()
    got = 0
    try:
        while not caller.ended():
            got += len(caller.sock.recv(1024))
            threading.Event().wait(0.01)
            assert watch.elapsed() < DEADLINE + LATE + 1
    except ConnectionResetError:
        pass
    watch.is_over_at(DEADLINE, LATE + 0.02)
    sender.join(SOON)
    assert 0 < got < 8_000_000
    metrics = proxy.wait_idle()
    assert metrics.calls("stuck", phase="receive") == 1


def _push_quietly(exchange, size):
    try:
        exchange.send(bytes(size))
    except OSError:
        pass


@pytest.mark.one_worker
def test_the_permit_is_free_once_the_upstream_is_done_with(pair):
    """Held until the exchange with the upstream is over, not until the caller has read it all."""
    proxy, up = pair(deadline="5s", pool={"size": 1, "queue": 1})
    slow = proxy.caller(receive_buffer=4096)
    slow.request("GET", "/")
    exchange, _ = up.take()
    exchange.answer(content=bytes(60_000))
    proxy.wait_metric("curfew_pool_held", 0)
    other = proxy.caller()
    other.request("GET", "/")
    exchange.recv_request()
    exchange.answer(content=b"x")
    assert other.recv_response().content == b"x"
    assert slow.recv_response().content == bytes(60_000)


def test_many_calls_are_over_at_their_own_instants(pair):
    proxy, up = pair(deadline="500ms")
    del up
    callers = []
    for _ in range(20):
        callers.append((proxy.caller(), Stopwatch()))
        callers[-1][0].request("GET", "/stuck")
    for caller, watch in callers:
        response = caller.recv_response()
        watch.is_over_at(0.5)
        expect_stuck(response, "wait", 500)
    metrics = proxy.wait_idle()
    assert metrics.calls("stuck", phase="wait") == 20
    assert metrics.sum("curfew_deadline_overshoot_seconds_count") == 20


def test_a_second_request_on_a_connection_has_a_deadline_of_its_own(pair):
    proxy, up = pair(deadline="400ms")
    caller = proxy.caller()
    caller.request("GET", "/1")
    exchange, _ = up.take()
    exchange.answer(content=b"x")
    assert caller.recv_response().content == b"x"
    caller.must_be_silent(0.2)
    watch = Stopwatch()
    caller.request("GET", "/2")
    exchange.recv_request()
    expect_stuck(caller.recv_response(), "wait", BUDGET_MS)
    watch.is_over_at(DEADLINE)


def test_a_call_in_flight_is_seen_by_its_phase_and_never_overdue(pair):
    proxy, up = pair(deadline="2s")
    caller = proxy.caller()
    caller.request("GET", "/")
    exchange, _ = up.take()
    metrics = proxy.wait_in_flight(1, "wait", upstream="api")
    assert metrics.sum("curfew_pool_held") == 1 and metrics.sum("curfew_calls_overdue") == 0
    exchange.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\na")
    proxy.wait_in_flight(1, "receive")
    exchange.send(b"b")
    assert caller.recv_response().content == b"ab"
    metrics = proxy.wait_in_flight(0)
    assert metrics.calls("completed", **{"class": "2xx"}) == 1


# --------------------------------------------------------------------- limits within the deadline


def test_the_connect_limit(curfew, deaf_listener):
    proxy = curfew(url=deaf_listener.url, deadline="3s", timeouts={"connect": "200ms"})
    caller = proxy.caller()
    watch = Stopwatch()
    caller.request("GET", "/")
    response = caller.recv_response()
    watch.is_over_at(0.2)
    expect_stuck(response, "connect", 3000, sent="none", after_ms=200)
    assert proxy.log(1)[0]["cause"] == "connect_timeout"


def test_the_connect_limit_holds_for_the_tls_handshake(pair):
    proxy, up = pair(url_scheme="https", deadline="3s", timeouts={"connect": "200ms"})
    caller = proxy.caller()
    watch = Stopwatch()
    caller.request("GET", "/")
    exchange = up.accept()
    expect_stuck(caller.recv_response(), "tls", 3000, sent="none", after_ms=200)
    watch.is_over_at(0.2)
    exchange.wait_ended()


def test_the_connect_limit_is_clipped_by_the_deadline(curfew, deaf_listener):
    proxy = curfew(url=deaf_listener.url, deadline="300ms", timeouts={"connect": "5s"})
    caller = proxy.caller()
    watch = Stopwatch()
    caller.request("GET", "/")
    expect_stuck(caller.recv_response(), "connect", 300)
    watch.is_over_at(0.3)
    assert proxy.log(1)[0]["cause"] == "deadline"


def test_the_first_byte_limit(pair):
    proxy, up = pair(deadline="3s", timeouts={"first_byte": "200ms"})
    caller = proxy.caller()
    watch = Stopwatch()
    caller.request("GET", "/")
    exchange, _ = up.take()
    response = caller.recv_response()
    watch.is_over_at(0.2)
    expect_stuck(response, "wait", 3000, sent="complete", after_ms=200)
    exchange.wait_ended()
    assert proxy.log(1)[0]["cause"] == "first_byte_timeout"
    caller.must_be_open()


def test_interim_responses_do_not_move_the_first_byte_limit(pair):
    proxy, up = pair(deadline="5s", timeouts={"first_byte": "400ms"})
    caller = proxy.caller()
    watch = Stopwatch()
    caller.request("GET", "/")
    exchange, _ = up.take()
    drip = _Drip(exchange, [b"HTTP/1.1 103 Early Hints\r\n\r\n"] * 1000)
    response = caller.recv_response()
    watch.is_over_at(0.4)
    drip.stop()
    expect_stuck(response, "wait", 5000, sent="complete", after_ms=400)
    assert len(response.interim) > 5
    assert proxy.log(1)[0]["cause"] == "first_byte_timeout"


def test_the_first_byte_limit_does_not_run_once_the_response_has_begun(pair):
    proxy, up = pair(deadline="3s", timeouts={"first_byte": "200ms"})
    caller = proxy.caller()
    caller.request("GET", "/")
    exchange, _ = up.take()
    exchange.send(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n")
    assert caller.recv_response_head().status == 200
    caller.must_be_silent(0.3)
    exchange.send(b"x")
    assert caller.read_exactly(1) == b"x"


def test_the_begin_limit_while_waiting(pair):
    proxy, up = pair(deadline="3s", timeouts={"begin": "200ms"})
    caller = proxy.caller()
    watch = Stopwatch()
    caller.request("GET", "/")
    exchange, _ = up.take()
    response = caller.recv_response()
    watch.is_over_at(0.2)
    expect_stuck(response, "wait", 3000, sent="complete", after_ms=200)
    exchange.wait_ended()
    assert proxy.log(1)[0]["cause"] == "begin_timeout"
    caller.must_be_open()


def test_a_head_is_no_beginning(pair):
    proxy, up = pair(deadline="3s", timeouts={"begin": "200ms"})
    caller = proxy.caller()
    watch = Stopwatch()
    caller.request("GET", "/")
    exchange, _ = up.take()
    exchange.send(HEADS["length"])
    with pytest.raises(Cut):
        caller.recv_response()
    watch.is_over_at(0.2)
    exchange.wait_ended()
    line, = proxy.log(1)
    assert (line["outcome"], line["cause"], line["phase"]) == ("stuck", "begin_timeout", "receive")


def test_the_begin_limit_counts_from_the_first_byte_of_the_request(pair):
    """Also while the request is still coming, and while another call has the permit."""
    proxy, up = pair(deadline="3s", timeouts={"begin": "300ms"}, pool={"size": 1})
    holder = proxy.caller()
    holder.request("GET", "/1")
    exchange, _ = up.take()
    exchange.send(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nx")
    assert holder.recv_response_head().status == 200
    waiter, sender = proxy.caller(), proxy.caller()
    watch = Stopwatch()
    waiter.request("GET", "/2")
    sender.send(b"GET /3 HTTP/1.1\r\n")
    expect_stuck(waiter.recv_response(), "queue", 3000, after_ms=300)
    expect_stuck(sender.recv_response(), "upload", 3000, after_ms=300)
    watch.is_over_at(0.3)
    assert {line["cause"] for line in proxy.log(2)} == {"begin_timeout"}


def test_the_begin_limit_does_not_run_once_content_has_come(pair):
    proxy, up = pair(deadline="3s", timeouts={"begin": "200ms"})
    caller = proxy.caller()
    caller.request("GET", "/")
    exchange, _ = up.take()
    exchange.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nx")
    assert caller.recv_response_head().status == 200
    assert caller.read_exactly(1) == b"x"
    caller.must_be_silent(0.3)
    exchange.send(b"y")
    assert caller.read_exactly(1) == b"y"
    proxy.log(1)
    caller.request("HEAD", "/")  # a response without content ends before it would begin
    exchange.recv_request()
    exchange.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n")
    assert caller.recv_response_head().status == 200
    assert proxy.log(2)[1]["outcome"] == "completed"


RATE = {"bytes": "100B", "per": "400ms"}


def test_a_response_that_drips_is_cut_by_the_least_rate(pair):
    """20 ms a byte: it never stands still, and would take minutes."""
    proxy, up = pair(deadline="30s", timeouts={"min_rate": RATE, "idle": "200ms"})
    caller = proxy.caller()
    caller.request("GET", "/")
    exchange, _ = up.take()
    watch = Stopwatch()
    drip = _Drip(exchange, [HEADS["length"]] + [b"x"] * 1000)
    with pytest.raises(Cut):
        caller.recv_response()
    watch.is_over_at(0.4)
    drip.stop()
    exchange.wait_ended()
    line, = proxy.log(1)
    assert (line["outcome"], line["cause"], line["phase"]) == ("stuck", "rate_limit", "receive")
    assert proxy.wait_idle().calls("stuck", phase="receive") == 1


def test_the_least_rate_begins_with_the_first_content(pair):
    proxy, up = pair(deadline="30s", timeouts={"min_rate": RATE})
    caller = proxy.caller()
    caller.request("GET", "/")
    exchange, _ = up.take()
    exchange.send(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n")
    assert caller.recv_response_head().status == 200
    caller.must_be_silent(0.6)
    exchange.send(b"x")
    assert caller.read_exactly(1) == b"x"
    assert proxy.log(1)[0]["outcome"] == "completed"


def test_a_caller_who_does_not_read_breaks_no_least_rate(pair):
    """The API has no room to send more in, which is not its fault; the clock stands."""
    size = 8 << 20
    proxy, up = pair(deadline="30s", timeouts={"min_rate": RATE, "idle": "200ms"})
    caller = proxy.caller(receive_buffer=4096)
    caller.request("GET", "/")
    exchange, _ = up.take()
    exchange.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size)
    sender = threading.Thread(target=exchange.send, args=(bytes(size),))
    sender.start()
    assert caller.recv_response_head().status == 200
    poll(lambda: proxy.calls(older="1s")["calls"], "a second without a byte read")
    assert caller.read_exactly(size) == bytes(size)
    sender.join(SOON)
    assert proxy.log(1)[0]["outcome"] == "completed"


def test_the_idle_limit(pair):
    proxy, up = pair(deadline="3s", timeouts={"idle": "200ms"})
    caller = proxy.caller()
    caller.request("GET", "/")
    exchange, _ = up.take()
    watch = Stopwatch()
    exchange.send(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf")
    with pytest.raises(Cut) as cut:
        caller.recv_response()
    watch.is_over_at(0.2)
    assert cut.value.content == b"half"
    exchange.wait_ended()
    line, = proxy.log(1)
    assert (line["outcome"], line["cause"], line["phase"]) == ("stuck", "idle_timeout", "receive")


def test_progress_restarts_the_idle_limit_but_never_moves_the_deadline(pair):
    proxy, up = pair(deadline="600ms", timeouts={"idle": "100ms"})
    caller = proxy.caller()
    watch = Stopwatch()
    caller.request("GET", "/")
    exchange, _ = up.take()
    exchange.send(HEADS["length"])
    drip = _Drip(exchange, [b"x"] * 1000)
    with pytest.raises(Cut) as cut:
        caller.recv_response()
    watch.is_over_at(0.6)
    drip.stop()
    assert len(cut.value.content) > 10
    assert proxy.log(1)[0]["cause"] == "deadline"


def test_the_request_head_limit(pair):
    proxy, up = pair(deadline="5s", top={"limits": {"request_head_timeout": "200ms"}})
    caller = proxy.caller()
    watch = Stopwatch()
    caller.send(b"GET / HTTP/1.1\r\nHost")
    response = caller.recv_response()
    watch.is_over_at(0.2)
    assert response.status == 504
    caller.must_end()
    up.must_have_no_connection()
    assert proxy.log(1)[0]["cause"] == "request_head_timeout"


# --------------------------------------------------------------------------- the caller's deadline


CALLERS = {"headers": ["X-Request-Timeout-Ms", "grpc-timeout", "X-Envoy-Upstream-Rq-Timeout-Ms"]}


@pytest.mark.parametrize("line", ["X-Request-Timeout-Ms: 300", "grpc-timeout: 300m", "grpc-timeout: 300000u",
                                  "X-Envoy-Upstream-Rq-Timeout-Ms: 300", "x-request-timeout-ms:   300  "])
def test_a_caller_may_shorten_its_deadline(pair, line):
    proxy, up = pair(deadline="3s", caller_deadline=CALLERS)
    caller = proxy.caller()
    watch = Stopwatch()
    caller.request("GET", "/", line)
    exchange, request = up.take()
    assert line.split(":")[0] not in request.fields
    response = caller.recv_response()
    watch.is_over_at(0.3)
    expect_stuck(response, "wait", 300)
    exchange.wait_ended()


@pytest.mark.parametrize("line", ["X-Request-Timeout-Ms: 5000", "grpc-timeout: 1H", "grpc-timeout: 99999999H",
                                  "X-Request-Timeout-Ms: 99999999999999999999"])
def test_a_caller_can_not_lengthen_its_deadline(pair, line):
    proxy, up = pair(deadline="300ms", caller_deadline=CALLERS)
    caller = proxy.caller()
    watch = Stopwatch()
    caller.request("GET", "/", line)
    up.accept()
    expect_stuck(caller.recv_response(), "wait", 300)
    watch.is_over_at(0.3)


def test_the_shortest_of_several_counts(pair):
    proxy, up = pair(deadline="3s", caller_deadline=CALLERS)
    caller = proxy.caller()
    watch = Stopwatch()
    caller.request("GET", "/", "X-Request-Timeout-Ms: 2000", "grpc-timeout: 250m")
    up.accept()
    expect_stuck(caller.recv_response(), "wait", 250)
    watch.is_over_at(0.25)


@pytest.mark.parametrize("line", [
    "X-Request-Timeout-Ms: soon", "X-Request-Timeout-Ms: -1", "X-Request-Timeout-Ms:", "X-Request-Timeout-Ms: 1.5",
    "X-Request-Timeout-Ms: 100ms", "grpc-timeout: 100", "grpc-timeout: 123456789m", "grpc-timeout: 1x",
    "X-Envoy-Upstream-Rq-Timeout-Ms: 0x10"])
def test_a_deadline_that_can_not_be_read_is_refused(pair, line):
    proxy, up = pair(caller_deadline=CALLERS)
    response = proxy.ask("GET", "/", line)
    assert response.status == 400
    right = "1 to 8 digits and a unit" if line.startswith("grpc") else "a whole number of milliseconds"
    assert right in parse(response)["detail"]
    up.must_have_no_connection()
    assert proxy.metrics().sum("curfew_requests_refused_total", reason="bad_caller_deadline") == 1


@pytest.mark.one_worker
def test_what_is_left_is_forwarded_and_the_originals_do_not_pass(pair):
    proxy, up = pair(deadline="3s", caller_deadline={**CALLERS, "forward": "X-Request-Timeout-Ms"},
                     pool={"size": 1, "queue": 1})
    first = proxy.caller()
    first.request("GET", "/", "X-Request-Timeout-Ms: 2500", "grpc-timeout: 2S")
    exchange, request = up.take()
    assert 1800 <= int(request["x-request-timeout-ms"]) <= 2000 and "grpc-timeout" not in request.fields
    second = proxy.caller()
    second.request("GET", "/", "X-Request-Timeout-Ms: 1000")
    proxy.wait_in_flight(1, "queue")
    first.must_be_silent(0.2)
    exchange.answer()
    assert first.recv_response().status == 200
    request = exchange.recv_request()
    assert 300 <= int(request["x-request-timeout-ms"]) <= 800, "the time in the queue is taken off"
    exchange.answer()
    assert second.recv_response().status == 200


def test_what_is_left_is_forwarded_though_the_caller_has_said_nothing(pair):
    proxy, up = pair(deadline="3s", caller_deadline={**CALLERS, "forward": "X-Left"})
    caller = proxy.caller()
    caller.request("GET", "/", "X-Left: 99999")
    exchange, request = up.take()
    assert 2500 <= int(request["x-left"]) <= 3000
    exchange.answer()
    assert caller.recv_response().status == 200


def test_without_caller_deadline_the_fields_mean_nothing(pair):
    proxy, up = pair(deadline="300ms")
    caller = proxy.caller()
    watch = Stopwatch()
    caller.request("GET", "/", "X-Request-Timeout-Ms: 50", "grpc-timeout: nonsense")
    _, request = up.take()
    assert (request["x-request-timeout-ms"], request["grpc-timeout"]) == ("50", "nonsense")
    expect_stuck(caller.recv_response(), "wait", 300)
    watch.is_over_at(0.3)


def test_a_deadline_of_zero_is_over_at_once(pair):
    proxy, up = pair(deadline="3s", caller_deadline=CALLERS)
    watch = Stopwatch()
    response = proxy.ask("GET", "/", "X-Request-Timeout-Ms: 0")
    watch.is_over_at(0)
    assert response.status in (400, 504)
    up.must_have_no_connection()


# ------------------------------------------------------------------------------- at its worst


def _read_after(seconds, watch, caller):
    """A 504, or a response that is cut. Nothing is read before it is time, so that who reads slowly stays slow."""
    if (left := seconds - watch.elapsed()) > 0:
        threading.Event().wait(left)
    try:
        assert caller.recv_response().status == 504
    except Cut:
        pass


def test_everything_that_is_slow_at_once(curfew, faulty):
    """Twenty calls of each kind, all over at the deadline."""
    api = faulty()
    proxy = curfew(url=api.url, deadline="1s", pool={"size": 200, "queue": 10}, top={"workers": 2})
    watch = Stopwatch()
    waiting = []
    for _ in range(20):
        for target in ("/stuck", "/headdrip/50", "/drip/50", "/drip/50?chunked"):
            caller = proxy.caller()
            caller.request("GET", target)
            waiting.append(caller)
        caller = proxy.caller()
        caller.send(b"POST /sink HTTP/1.1\r\nHost: x\r\nContent-Length: 50\r\n\r\n1")
        waiting.append(caller)
        reader = proxy.caller(receive_buffer=4096)
        reader.request("GET", "/bytes/100000000")
        waiting.append(reader)
    begun = watch.elapsed()
    for caller in waiting:
        _read_after(1.0, watch, caller)
    watch.is_over_at(1.0, begun + LATE)
    proxy.wait_idle()
    api.wait_stats(lambda stats: stats["in_work"] == 0, "the upstream to be left alone")
    assert proxy.metrics().calls("stuck") == 120


# ---------------------------------------------------------------------------------- others' work


def _cuts_are_punctual(proxy, upstream, rounds=5):
    """Calls get stuck there one after another, and curfew ends none of them late."""
    for _ in range(rounds):
        assert proxy.ask("GET", "/stuck", upstream=upstream).status == 504
    metrics = proxy.metrics()
    assert metrics.sum("curfew_deadline_overshoot_seconds_bucket", upstream=upstream, le="0.05") == \
        metrics.sum("curfew_deadline_overshoot_seconds_count", upstream=upstream) == rounds


@pytest.mark.sound_only
def test_a_response_of_tiny_chunks_makes_no_other_call_late(curfew, faulty, upstream):
    count = 1 << 20

    def tiny_chunks(exchange):
        exchange.recv_request()
        exchange.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"1\r\nx\r\n" * count + b"0\r\n\r\n")

    keys = {"api": {"url": faulty().url, "deadline": "50ms"}, "bulk": {"url": upstream(tiny_chunks).url, "deadline": "30s"}}
    proxy = curfew(upstreams=keys, top={"workers": 1})
    contents = []

    def read():
        contents.append(proxy.ask("GET", "/", upstream="bulk").content)

    readers = [threading.Thread(target=read) for _ in range(2)]
    for reader in readers:
        reader.start()
    proxy.wait_in_flight(2, upstream="bulk")
    _cuts_are_punctual(proxy, "api")
    for reader in readers:
        reader.join(4 * SOON)
    assert [len(content) for content in contents] == [count, count] and set(contents[0]) == set(b"x")


@pytest.mark.sound_only
def test_a_caller_who_talks_on_after_his_answer_makes_no_other_call_late(curfew, faulty):
    keys = {"url": faulty().url, "deadline": "50ms"}
    proxy = curfew(upstreams={"api": keys, "talk": keys}, top={"workers": 1})
    caller = proxy.caller("talk")
    caller.request("POST", "/stuck", "Content-Length: 100000000000")
    assert caller.recv_response().status == 504
    talks = threading.Event()

    def talk():
        try:
            while not talks.is_set():
                caller.send(bytes(1 << 20))
        except OSError:
            pass

    talker = threading.Thread(target=talk)
    talker.start()
    try:
        _cuts_are_punctual(proxy, "api")
    finally:
        talks.set()
        talker.join(SOON)
    assert not talker.is_alive()
