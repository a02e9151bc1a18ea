"""Two tries at once (hedge: true): when the second one begins, which of them the caller gets, and what becomes of the other."""

import json

import pytest

from harness.bounds import SLOW, Stopwatch, poll
from harness.curfew import curfew_command
from harness.problem import expect

PER_TRY = 0.1
RETRIES = {"attempts": 2, "when": ["connect", "reset", 503], "per_try": "100ms", "backoff": {"base": "1ms", "max": "4ms"}}


@pytest.fixture
def hedged(pair):
    """(proxy, api): the test takes the api's exchanges itself; the keys are those of the upstream, and of retries."""
    def make(retries=None, **upstream):
        return pair(hedge=True, deadline="10s", retries={**RETRIES, **(retries or {})}, **upstream)

    return make


@pytest.fixture
def two(curfew, upstream):
    """Two scripted APIs, the second one the fallback of the first: (proxy, main, backup)."""
    def make(main_keys=None, backup_keys=None, **retries):
        main, backup = upstream(), upstream()
        proxy = curfew(upstreams={
            "api": {"url": main.url, "deadline": "10s", "hedge": True, "retries": {**RETRIES, "fallback": "backup", **retries},
                    **(main_keys or {})},
            "backup": {"url": backup.url, **(backup_keys or {})}})
        return proxy, main, backup

    return make


def begun(proxy, up, *request, hedge_up=None, **more):
    """A call with two tries on their way: (caller, first, hedge), the tries with their requests."""
    caller = proxy.caller("api")
    caller.request(*request, **more)
    first = up.take()
    hedge = (hedge_up or up).take()
    return caller, first, hedge


def tries_of(line):
    return [(one["status"], one["cause"], one.get("hedge", False)) for one in line["tries"]]


def figures(proxy):
    """(tries by kind, tries by verdict) without zeros, and the books are right."""
    metrics = proxy.wait_idle()
    assert metrics.sum("pool_audit_errors_total") == metrics.sum("broken_invariants_total") == 0
    assert metrics.sum("pool_acquired_total") == metrics.sum("pool_released_total")
    return tuple({key: int(value) for key, value in metrics.sums(label, name).items() if value}
                 for label, name in (("kind", "curfew_tries_started_total"), ("verdict", "curfew_tries_ended_total")))


# ---------------------------------------------------------------------------- who wins


def test_the_first_response_is_the_callers_and_the_other_try_is_cut(hedged):
    proxy, up = hedged()
    watch = Stopwatch()
    caller, (first, one), (hedge, other) = begun(proxy, up, "GET", "/path")
    assert watch.elapsed() >= PER_TRY
    assert one.raw_head == other.raw_head
    hedge.answer(200, "X-Who: hedge", content=b"good")
    response = caller.recv_response()
    assert (response.status, response["x-who"], response.content) == (200, "hedge", b"good")
    first.wait_ended()
    line, = proxy.log()
    assert tries_of(line) == [(0, "hedge_lost", False), (200, "none", True)]
    assert (line["outcome"], line["sent"]) == ("completed", "complete") and "retry_stopped" not in line
    assert figures(proxy) == ({"first": 1, "hedge": 1}, {"good": 1, "neutral": 1})
    assert proxy.metrics().sum("calls_saved_total") == 0  # none has failed
    caller.must_be_open()


def test_a_first_try_that_answers_after_all_is_the_callers(hedged):
    proxy, up = hedged()
    caller, (first, _), (hedge, _) = begun(proxy, up, "GET", "/")
    first.answer(200, content=b"late, and good")
    assert caller.recv_response().content == b"late, and good"
    hedge.wait_ended()
    line, = proxy.log()
    assert tries_of(line) == [(0, "hedge_lost", True), (200, "none", False)]
    assert figures(proxy) == ({"first": 1, "hedge": 1}, {"good": 1, "neutral": 1})


def test_a_fast_answer_needs_no_hedge(hedged):
    proxy, up = hedged({"per_try": "3s"})
    caller = proxy.caller()
    caller.request()
    up.take()[0].answer(200)
    assert caller.recv_response().status == 200
    line, = proxy.log()
    assert "tries" not in line
    assert figures(proxy) == ({"first": 1}, {"good": 1})


def test_hints_decide_it_too(hedged):
    """What has told the caller something of a response is the one that goes on."""
    proxy, up = hedged()
    caller, (first, _), (hedge, _) = begun(proxy, up, "GET", "/")
    hedge.answer(103, "Link: </a>")
    assert caller.recv_response_head().status == 103
    first.wait_ended()
    hedge.answer(200, content=b"whole")
    assert caller.recv_response().content == b"whole"
    assert figures(proxy)[1] == {"good": 1, "neutral": 1}


def test_the_losers_permit_is_free_before_the_caller_has_the_response(hedged):
    proxy, up = hedged(pool={"size": 2, "queue": 0})
    for _ in range(5):
        caller, (first, _), (hedge, _) = begun(proxy, up, "GET", "/")
        hedge.answer(200, "Connection: close")
        assert caller.recv_response().status == 200
        first.wait_ended()
    assert figures(proxy)[0] == {"first": 5, "hedge": 5}


def test_a_loser_leaves_a_ghost_where_permits_linger(hedged):
    proxy, up = hedged(pool={"size": 5, "linger": "1s"})
    caller, (first, _), (hedge, _) = begun(proxy, up, "GET", "/")
    hedge.answer(200)
    assert caller.recv_response().status == 200
    first.wait_ended()
    proxy.wait_metric("pool_ghosts", 1)
    proxy.wait_metric("pool_ghosts", 0)
    assert figures(proxy)[0] == {"first": 1, "hedge": 1}


@pytest.mark.parametrize("method, status", [("GET", 429), ("GET", 500), ("GET", 409), ("DELETE", 404), ("PUT", 412), ("POST", 409)])
def test_what_the_second_is_told_about_there_being_two_is_not_the_answer(hedged, method, status):
    """A hedge costs no call: Stripe's 409 for a key that is in use, the 404 to a second DELETE, a rate that is reached by it."""
    proxy, up = hedged()
    caller, (first, _), (hedge, _) = begun(proxy, up, method, "/", "Idempotency-Key: 1", content=b"abc" if method in ("PUT", "POST") else None)
    hedge.answer(status, content=b"there are two of you")
    proxy.wait_metric("tries_in_flight", 1)
    caller.must_be_silent()
    first.answer(200, content=b"done")
    assert caller.recv_response().content == b"done"
    line, = proxy.log()
    assert tries_of(line) == [(status, "hedge_lost", True), (200, "none", False)]
    assert proxy.wait_idle().sum("calls_saved_total") == 0
    assert figures(proxy)[0] == {"first": 1, "hedge": 1}


@pytest.mark.parametrize("who, method, status", [("hedge", "GET", 404), ("hedge", "GET", 304), ("first", "GET", 500), ("first", "POST", 409)])
def test_any_other_answer_is_the_answer(hedged, who, method, status):
    proxy, up = hedged()
    caller, (first, _), (hedge, _) = begun(proxy, up, method, "/", "Idempotency-Key: 1")
    wins, loses = (first, hedge) if who == "first" else (hedge, first)
    wins.answer(status)
    assert caller.recv_response().status == status
    loses.wait_ended()


def test_if_the_first_fails_after_that_it_is_its_failure(hedged):
    proxy, up = hedged()
    caller, (first, _), (hedge, _) = begun(proxy, up, "POST", "/", "Idempotency-Key: 1", content=b"abc")
    hedge.answer(409, "Connection: close", content=b"in use")
    proxy.wait_metric("tries_in_flight", 1)
    first.reset()
    problem = expect(caller.recv_response(), 502, "connection_terminated", sent="complete")
    assert problem["retry_stopped"] == "attempts" and [one["status"] for one in problem["tries"]] == [409, 0]


# ------------------------------------------------------------------- when one of them fails


@pytest.mark.parametrize("ending", ["503", "reset", "close"])
@pytest.mark.parametrize("who", ["first", "hedge"])
def test_one_that_fails_leaves_it_to_the_other(hedged, who, ending):
    proxy, up = hedged()
    caller, (first, _), (hedge, _) = begun(proxy, up, "GET", "/")
    fails, stays = (first, hedge) if who == "first" else (hedge, first)
    if ending == "503":
        fails.answer(503, "Connection: close", content=b"no")
    else:
        getattr(fails, ending)()
    proxy.wait_metric("tries_in_flight", 1)
    caller.must_be_silent()
    up.must_have_no_connection()
    stays.answer(200, content=b"good")
    assert caller.recv_response().content == b"good"
    line, = proxy.log()
    status = 503 if ending == "503" else 0
    assert [(one["status"], one.get("hedge", False)) for one in line["tries"]] == [(status, who == "hedge"), (200, who != "hedge")]
    assert figures(proxy) == ({"first": 1, "hedge": 1}, {"good": 1, "bad": 1})
    assert proxy.metrics().sum("calls_saved_total") == 1


def test_if_both_fail_the_call_ends_as_after_a_retry(hedged):
    proxy, up = hedged()
    caller, (first, _), (hedge, _) = begun(proxy, up, "GET", "/")
    first.answer(503, "Connection: close", content=b"the first says no")
    first.wait_ended()
    hedge.reset()
    response = caller.recv_response()
    assert (response.status, response.content) == (503, b"the first says no")
    line, = proxy.log()
    assert line["retry_stopped"] == "attempts" and tries_of(line) == [(503, "none", False), (0, "connection_terminated", True)]
    assert figures(proxy)[1] == {"bad": 2}


def test_a_retry_may_follow_two_that_failed(hedged):
    proxy, up = hedged({"attempts": 3, "tell": "X-Try", "per_try": f"{500 * SLOW:g}ms"})
    caller, (first, one), (hedge, two) = begun(proxy, up, "GET", "/")
    assert (one["x-try"], two["x-try"]) == (None, "2")
    hedge.reset()
    proxy.wait_metric("tries_in_flight", 1)
    first.reset()
    exchange, three = up.take()
    assert three["x-try"] == "3"
    exchange.answer(200)
    assert caller.recv_response().status == 200
    assert figures(proxy) == ({"first": 1, "hedge": 1, "retry": 1}, {"good": 1, "bad": 2})


def test_one_that_is_left_alone_may_get_another_one_beside_it(hedged):
    proxy, up = hedged({"attempts": 3})
    caller, (first, _), (hedge, _) = begun(proxy, up, "GET", "/")
    first.reset()
    third, _ = up.take()
    hedge.must_be_silent()
    third.answer(200, content=b"third")
    assert caller.recv_response().content == b"third"
    hedge.wait_ended()
    assert figures(proxy) == ({"first": 1, "hedge": 2}, {"good": 1, "bad": 1, "neutral": 1})


def test_there_are_never_three_at_once(hedged):
    proxy, up = hedged({"attempts": 5})
    caller, (first, _), (hedge, _) = begun(proxy, up, "GET", "/")
    up.must_have_no_connection(3 * PER_TRY)
    first.answer(200)
    assert caller.recv_response().status == 200
    assert figures(proxy)[0] == {"first": 1, "hedge": 1}


# ------------------------------------------------------------------------------ when not


def test_it_needs_a_permit_that_is_free_at_once(hedged):
    """And without one the try goes on: per_try costs no call."""
    proxy, up = hedged(pool={"size": 1, "queue": 5})
    caller = proxy.caller()
    caller.request()
    first, _ = up.take()
    up.must_have_no_connection(2 * PER_TRY)
    first.answer(200, content=b"good")
    assert caller.recv_response().content == b"good"
    metrics = proxy.wait_idle()
    assert metrics.sum("retry_tokens") == 10  # none was spent
    assert figures(proxy)[0] == {"first": 1}


def test_it_needs_a_token(hedged):
    proxy, up = hedged({"budget": {"burst": 1, "share": "0%"}})
    caller, (first, _), (hedge, _) = begun(proxy, up, "GET", "/")
    hedge.answer(200, "Connection: close")
    assert caller.recv_response().status == 200
    first.wait_ended()
    caller.request("GET", "/")
    first, _ = up.take()
    up.must_have_no_connection(2 * PER_TRY)
    first.answer(200)
    assert caller.recv_response().status == 200
    assert proxy.wait_idle().sum("retry_tokens") == 0
    assert "retry_stopped" not in proxy.log(2)[1]


def test_a_post_is_hedged_only_with_its_key(hedged):
    proxy, up = hedged()
    caller = proxy.caller()
    caller.request("POST", "/", content=b"abc")
    first, _ = up.take()
    up.must_have_no_connection(2 * PER_TRY)
    first.answer(200, "Connection: close")
    assert caller.recv_response().status == 200
    caller, (first, one), (hedge, other) = begun(proxy, up, "POST", "/", "Idempotency-Key: 1", content=b"abc")
    assert one.raw_head == other.raw_head and one.content == other.content == b"abc"
    hedge.answer(200)
    assert caller.recv_response().status == 200
    first.wait_ended()


def test_a_response_that_has_begun_is_waited_for(hedged):
    proxy, up = hedged()
    caller = proxy.caller()
    caller.request()
    first, _ = up.take()
    first.send(b"HTTP/1.1 200 OK\r\nContent-")
    up.must_have_no_connection(2 * PER_TRY)
    first.send(b"Length: 2\r\n\r\nok")
    assert caller.recv_response().content == b"ok"


def test_a_request_that_is_not_all_here_is_not_hedged(hedged):
    proxy, up = hedged()
    caller = proxy.caller()
    caller.send(b"PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\na")
    first = up.accept()
    first.recv_head()
    up.must_have_no_connection(2 * PER_TRY)
    caller.send(b"bc")
    assert first.read_exactly(3) == b"abc"
    first.answer(200)
    assert caller.recv_response().status == 200


@pytest.mark.parametrize("kind", ["length", "chunked"])
def test_content_is_sent_twice_byte_for_byte(hedged, kind):
    proxy, up = hedged({"attempts": 3, "per_try": f"{500 * SLOW:g}ms"})
    content = bytes(range(256)) * 200
    caller = proxy.caller()
    if kind == "length":
        caller.request("PUT", "/", content=content)
    else:
        caller.send(b"PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
        for at in range(0, len(content), 5000):
            piece = content[at:at + 5000]
            caller.send(b"%x\r\n%s\r\n" % (len(piece), piece))
        caller.send(b"0\r\nX-Sum: 1\r\n\r\n")
    first, one = up.take()
    hedge, other = up.take()
    assert one.content == other.content == content
    first.reset()
    hedge.reset()
    third, again = up.take()
    assert again.content == content
    third.answer(200)
    assert caller.recv_response().status == 200
    assert figures(proxy)[0] == {"first": 1, "hedge": 1, "retry": 1}


@pytest.mark.parametrize("later", [False, True])
def test_a_request_that_belongs_to_its_connection_is_not_hedged(hedged, later):
    """NTLM: on another connection it is nobody's, and the 401 would be the first response."""
    proxy, up = hedged()
    caller = proxy.caller()
    caller.request("GET", "/", "Authorization: NTLM abc")
    exchange, _ = up.take()
    if later:
        exchange.answer(200)
        assert caller.recv_response().status == 200
        caller.request("GET", "/later")
        assert exchange.recv_request().target == "/later"
    up.must_have_no_connection(2 * PER_TRY)
    exchange.answer(200)
    assert caller.recv_response().status == 200


def test_an_observed_upstream_is_not_hedged(hedged):
    proxy, up = hedged(observe=True)
    caller = proxy.caller()
    caller.request()
    first, _ = up.take()
    up.must_have_no_connection(2 * PER_TRY)
    first.answer(200)
    assert caller.recv_response().status == 200


# ----------------------------------------------------------------------- how a call ends with both


def test_a_caller_who_leaves_ends_both(hedged):
    proxy, up = hedged()
    caller, (first, _), (hedge, _) = begun(proxy, up, "GET", "/")
    caller.close()
    first.wait_ended()
    hedge.wait_ended()
    line, = proxy.log()
    assert line["outcome"] == "abandoned" and [one["cause"] for one in line["tries"]] == ["caller_gone"] * 2
    assert figures(proxy) == ({"first": 1, "hedge": 1}, {"neutral": 2})


def test_at_the_deadline_both_are_cut(pair):
    proxy, up = pair(hedge=True, deadline="500ms", retries=RETRIES)
    caller, (first, _), (hedge, _) = begun(proxy, up, "GET", "/")
    problem = expect(caller.recv_response(), 504, "http_response_timeout", phase="wait", sent="complete")
    assert [one["cause"] for one in problem["tries"]] == ["deadline"] * 2
    first.wait_ended()
    hedge.wait_ended()
    assert figures(proxy)[0] == {"first": 1, "hedge": 1}
    caller.must_be_open()


def test_an_operator_cuts_both(hedged):
    proxy, up = hedged()
    caller, (first, _), (hedge, _) = begun(proxy, up, "GET", "/")
    call, = poll(lambda: proxy.calls()["calls"], "a call in the list")
    assert call["try"] == 2 and call["hedged"] is True
    assert proxy.admin_ask("DELETE", f"/calls/{call['id']}")[0] == 200
    expect(caller.recv_response(), 504, "http_response_timeout", sent="complete")
    first.wait_ended()
    hedge.wait_ended()
    assert figures(proxy) == ({"first": 1, "hedge": 1}, {"neutral": 2})


def test_tries_in_flight_are_two(hedged):
    proxy, up = hedged()
    caller, (first, _), _ = begun(proxy, up, "GET", "/")
    metrics = proxy.metrics()
    assert metrics.sum("tries_in_flight") == metrics.sum("tries_started_total") == metrics.sum("pool_held") == 2
    assert metrics.sum("calls_in_flight", phase="wait") == 1
    first.answer(200)
    assert caller.recv_response().status == 200


def test_a_limit_of_one_of_them_is_its_own(hedged):
    """first_byte of the first try strikes while the other one still has time."""
    proxy, up = hedged({"per_try": "700ms"}, timeouts={"first_byte": "1s"})
    caller, (first, _), (hedge, _) = begun(proxy, up, "GET", "/")
    first.wait_ended()
    hedge.answer(200, content=b"in time")
    assert caller.recv_response().content == b"in time"
    line, = proxy.log()
    assert tries_of(line) == [(0, "first_byte_timeout", False), (200, "none", True)]


# ------------------------------------------------------------------------- fallback, streams


def test_with_a_fallback_the_other_try_is_there(two):
    proxy, main, backup = two()
    caller, (first, _), (hedge, _) = begun(proxy, main, "GET", "/", hedge_up=backup)
    assert [proxy.metrics().sum("pool_held", pool=pool) for pool in ("api", "backup")] == [1, 1]
    hedge.answer(200, content=b"backup")
    assert caller.recv_response().content == b"backup"
    first.wait_ended()
    line, = proxy.log()
    assert [one["upstream"] for one in line["tries"]] == ["api", "backup"]
    assert figures(proxy) == ({"first": 1, "hedge": 1}, {"good": 1, "neutral": 1})


@pytest.mark.parametrize("fails", ["first", "hedge"])
def test_the_pools_books_are_right_for_whoever_is_left(two, fails):
    """Audited each second, while only one of the two is there still."""
    proxy, main, backup = two()
    caller, (first, _), (hedge, _) = begun(proxy, main, "GET", "/", hedge_up=backup)
    (first if fails == "first" else hedge).reset()
    proxy.wait_metric("pool_held", 0, pool="api" if fails == "first" else "backup")
    (hedge if fails == "first" else first).answer(200, content=b"good")
    assert caller.recv_response().content == b"good"
    assert figures(proxy)[1] == {"good": 1, "bad": 1}


def test_a_held_back_stream_wins_by_its_head(hedged):
    proxy, up = hedged(streams={"types": ["text/event-stream"], "deadline": "10s", "commit": "event"})
    caller, (first, _), (hedge, _) = begun(proxy, up, "GET", "/")
    hedge.send(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n")
    first.wait_ended()
    hedge.send(b"9\r\ndata: 1\n\n\r\n0\r\n\r\n")
    assert caller.recv_response().content == b"data: 1\n\n"


def test_hedges_are_in_the_configuration(curfew, upstream):
    up = upstream()
    proxy = curfew(url=up.url, hedge=True, retries=RETRIES)
    assert json.loads(proxy.admin_get("/config")[1])["config"]["upstreams"]["api"]["hedge"] is True


def test_a_hedge_that_never_begins_is_warned_of(tmp_path):
    path = tmp_path / "curfew.yaml"
    path.write_text("upstreams:\n  api:\n    listen: 127.0.0.1:8080\n    url: http://127.0.0.1:1\n    hedge: true\n    retries: {attempts: 2}\n")
    done = curfew_command("check", str(path))
    assert done.returncode == 0
    assert ":5:12: warning: upstreams.api.hedge: comes to nothing without retries.per_try" in done.stdout + done.stderr


def test_many_calls_at_once(curfew, faulty):
    """One request in five is slow; p99 falls to little more than per_try, and the books are right."""
    api = faulty()
    proxy = curfew(url=api.url, hedge=True, deadline="10s", pool={"size": 50, "queue": 1000},
                   retries={**RETRIES, "per_try": "50ms", "budget": {"burst": 1000, "share": "100%"}})
    watch = Stopwatch()
    for round_number in range(5):
        callers = [proxy.caller() for _ in range(20)]
        for number, caller in enumerate(callers):
            caller.request("GET", f"/seq/{'200~5000' if number % 5 == 0 else '200'},200?key={round_number}-{number}")
        assert [caller.recv_response().status for caller in callers] == [200] * 20
        for caller in callers:
            caller.close()
    assert watch.elapsed() < 5 * SLOW
    assert figures(proxy)[0] == {"first": 100, "hedge": 20}


# ------------------------------------------------------------------------- several addresses


class Places:
    """A name with two addresses, and at each a server whose exchanges the test takes itself."""

    def __init__(self, upstream):
        first = upstream(host="127.0.0.81")
        self.of = {up.host: up for up in (first, upstream(host="127.0.0.82", port=first.port))}

    def take(self):
        """The next exchange, wherever it is: (host, exchange)."""
        host = poll(lambda: next((host for host, up in self.of.items() if up.has_connection()), None), "a connection")
        exchange, _ = self.of[host].take()
        return host, exchange


@pytest.fixture
def places(curfew, upstream, name_server):
    def make(**keys):
        made = Places(upstream)
        _, wrap = name_server({"api.test": list(made.of)})
        url = next(iter(made.of.values())).named("api.test")
        return curfew(url=url, wrap=wrap, deadline="10s", **{"retries": RETRIES, **keys}), made

    return make


@pytest.mark.parametrize("times", range(2))
def test_a_hedge_is_at_the_other_address(places, times):
    """Also where an idle connection to the first one's is there."""
    proxy, made = places(hedge=True)
    caller = proxy.caller()
    for _ in range(times):  # whose turn it is to be first changes
        caller.request()
        made.take()[1].answer(200, "Connection: close")
        assert caller.recv_response().status == 200
    caller.request()
    first, slow = made.take()
    second, hedge = made.take()
    assert first != second
    hedge.answer(200)
    assert caller.recv_response().status == 200
    slow.wait_ended()
    assert {one["address"].split(":")[0] for one in proxy.log(times + 1)[times]["tries"]} == set(made.of)


@pytest.mark.parametrize("ending", ["reset", "close", "silent"])
def test_a_retry_is_at_the_other_address(places, ending):
    """envoy#37709: not where a connection has just been lost."""
    proxy, made = places()
    caller = proxy.caller()
    for _ in range(3):
        caller.request()
        first, exchange = made.take()
        if ending == "reset":
            exchange.reset()
        elif ending == "close":
            exchange.close()
        second, again = made.take()
        assert first != second
        again.answer(200, "Connection: close")
        assert caller.recv_response().status == 200


def test_a_retry_after_a_kept_connection_was_reset_is_at_the_other_address(places):
    proxy, made = places()
    caller = proxy.caller()
    caller.request()
    first, exchange = made.take()
    exchange.answer(200)
    assert caller.recv_response().status == 200
    caller.request("POST", "/", "Idempotency-Key: 1", content=b"abc")
    assert exchange.recv_request().content == b"abc"
    exchange.reset()
    second, again = made.take()
    assert second != first
    again.answer(200)
    assert caller.recv_response().status == 200
