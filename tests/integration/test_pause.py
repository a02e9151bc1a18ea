"""pool.pause: nothing starts for as long as the API asks for by Retry-After; then one call first, then 2, 4, …."""

import json
import time
from email.utils import formatdate

import pytest

from harness.bounds import SLOW, Stopwatch
from harness.curfew import curfew_command
from harness.problem import expect
from test_pool import ask_many, queue_up

PAUSE = {"statuses": [429], "max": "30s"}
# So long that calls are in the queue before it is over.
SHORT = f"retry-after-ms: {1000 * SLOW:g}"


def refuse(exchange, *fields, status=429):
    exchange.answer(status, *fields, reason="Too Many Requests", content=b"slow down")


def make_pause(proxy, up, *fields, status=429):
    """One call that the API answers so; it goes to the caller as it came."""
    caller, = ask_many(proxy, 1, "/asks")
    exchange, _ = up.take()
    refuse(exchange, *fields, status=status)
    response = caller.recv_response()
    assert (response.status, response.content) == (status, b"slow down")
    return exchange


def left(proxy):
    return proxy.metrics().sum("curfew_pause_seconds", pool="api")


@pytest.fixture
def paused(pair):
    def make(*fields, deadline="5s", status=429, pause=None, **pool):
        pool = {"size": 10, "queue": 100, "pause": {**PAUSE, **(pause or {})}, **pool}
        proxy, up = pair(deadline=deadline, pool=pool)
        exchange = make_pause(proxy, up, *fields, status=status)
        return proxy, up, exchange

    return make


@pytest.mark.one_worker
@pytest.mark.timed
def test_who_cant_wait_for_its_end_is_refused_at_once_with_the_true_retry_after(paused):
    proxy, up, _ = paused("Retry-After: 20")
    watch = Stopwatch()
    response = proxy.ask()
    problem = expect(response, 503, "connection_limit_reached", phase="queue", sent="none")
    assert watch.elapsed() < 1 * SLOW and problem["elapsed_ms"] <= 50 * SLOW
    assert problem["type"] == "urn:curfew:problem:paused" and 19 <= int(response["retry-after"]) <= 20
    up.must_have_no_connection(0.05)
    metrics = proxy.wait_idle()
    assert metrics.sum("curfew_calls_rejected_total", reason="paused") == 1
    assert 15 < metrics.sum("curfew_pause_seconds") <= 20 and metrics.sum("curfew_pauses_total") == 1
    pool, = proxy.pools()["pools"]
    assert 15 < pool["pause_seconds"] <= 20 and pool["pauses"] == 1


def date_in(seconds):
    return "Retry-After: " + formatdate(time.time() + seconds, usegmt=True)


@pytest.mark.one_worker
@pytest.mark.parametrize("fields, at_least, at_most", [
    (["Retry-After: 2"], 1, 2), (["Retry-After: 2.0"], 1, 2), (["Retry-After: 2.75"], 1.75, 2.75),
    (["retry-after-ms: 2500"], 1.5, 2.5), (["Retry-After: 9", "retry-after-ms: 2000"], 1, 2),
    (["Retry-After: 99999"], 29, 30), (["Retry-After: 99999999999999999999999"], 29, 30),
    (["Retry-After: date"], 7, 10),
    ([], 0, 0), (["Retry-After: soon"], 0, 0), (["Retry-After: -5"], 0, 0), (["Retry-After: 0"], 0, 0),
    (["Retry-After: past"], 0, 0),
])
def test_only_what_is_there_and_can_be_read_is_a_pause(paused, fields, at_least, at_most):
    fields = [date_in(10) if field.endswith("date") else date_in(-10) if field.endswith("past") else field for field in fields]
    proxy, up, exchange = paused(*fields)
    seconds = left(proxy)
    assert at_least - (SLOW - 1) <= seconds <= at_most
    assert proxy.metrics().sum("curfew_pauses_total") == (at_most > 0)
    if at_most == 0:
        caller, = ask_many(proxy, 1)
        exchange.recv_request()
        exchange.answer()
        assert caller.recv_response().status == 200


def test_only_the_statuses_that_are_listed_pause(paused):
    proxy, _, _ = paused("Retry-After: 20", pause={"statuses": "none"})
    assert proxy.metrics().sum("curfew_pauses_total") == 0
    assert json.loads(proxy.admin_get("/config")[1])["config"]["pools"]["api"]["pause"] == "none"
    proxy, _, _ = paused("Retry-After: 20", status=503)
    assert left(proxy) == 0
    proxy, _, _ = paused("Retry-After: 20", status=503, pause={"statuses": [429, 503]})
    assert left(proxy) > 15


@pytest.mark.one_worker
def test_those_in_the_queue_who_cant_wait_are_refused_when_it_begins_and_the_others_wait(pair):
    proxy, up = pair(deadline="60s", pool={"size": 1, "queue": 10, "pause": PAUSE},
                     caller_deadline={"headers": ["X-Timeout-Ms"]})
    holder, = ask_many(proxy, 1, "/holder")
    exchange, _ = up.take()
    short = proxy.caller()
    short.request("GET", "/short", "X-Timeout-Ms: 3000")
    proxy.wait_metric("curfew_pool_waiting", 1)
    long, = queue_up(proxy, 1, "/long", already=1)
    watch = Stopwatch()
    refuse(exchange, "retry-after-ms: 4000")
    response = short.recv_response()
    assert expect(response, 503, "connection_limit_reached", phase="queue", sent="none")["type"].endswith(":paused")
    assert watch.elapsed() < 2 * SLOW and 3 <= int(response["retry-after"]) <= 4
    assert exchange.recv_request().target == "/long0"
    assert 3.9 <= watch.elapsed() <= 4 + 1 * SLOW
    exchange.answer()
    assert (holder.recv_response().status, long.recv_response().status) == (429, 200)


@pytest.mark.one_worker
def test_a_later_answer_lengthens_it_and_never_shortens_it(pair):
    proxy, up = pair(deadline="5s", pool={"size": 10, "queue": 10, "pause": PAUSE})
    callers = ask_many(proxy, 3)
    exchanges = [up.take()[0] for _ in callers]
    refuse(exchanges[0], "Retry-After: 10")
    callers[0].recv_response()
    assert left(proxy) > 8
    refuse(exchanges[1], "Retry-After: 1")
    callers[1].recv_response()
    assert left(proxy) > 7
    response = proxy.ask()  # the next one is refused at once
    assert response.status == 503 and int(response["retry-after"]) >= 8
    refuse(exchanges[2], "Retry-After: 20")
    callers[2].recv_response()
    assert left(proxy) > 15
    assert proxy.metrics().sum("curfew_pauses_total") == 1


@pytest.mark.one_worker
def test_afterwards_one_call_goes_first_then_two_then_four(paused):
    proxy, up, first = paused(SHORT, deadline="60s")
    callers = queue_up(proxy, 10)
    first.recv_request()
    open_exchanges = [first]
    for wave in (1, 2, 4):
        while len(open_exchanges) < wave:
            open_exchanges.append(up.take()[0])
        up.must_have_no_connection(0.1)
        assert proxy.metrics().sum("curfew_pool_held") == wave
        exchange = open_exchanges.pop(0)
        exchange.answer()  # one good answer doubles what may be open, and makes room for itself
        exchange.recv_request()
        open_exchanges.append(exchange)
    proxy.wait_metric("curfew_pool_waiting", 0)
    assert len(callers) == 10


@pytest.mark.one_worker
def test_a_call_that_ends_without_a_good_answer_leaves_its_place_to_the_next(paused):
    proxy, up, exchange = paused(SHORT, deadline="60s")
    callers = queue_up(proxy, 3)
    exchange.recv_request()
    exchange.answer(503)
    assert callers[0].recv_response().status == 503
    exchange.recv_request()
    up.must_have_no_connection(0.1)
    callers[1].close()
    exchange.must_end()
    up.take()[0].answer()
    assert callers[2].recv_response().status == 200


@pytest.mark.one_worker
def test_calls_from_before_say_nothing_of_now(pair):
    proxy, up = pair(deadline="60s", pool={"size": 10, "queue": 10, "pause": PAUSE})
    callers = ask_many(proxy, 2)
    before, asks = (up.take()[0] for _ in callers)
    refuse(asks, SHORT)
    waiting = queue_up(proxy, 3)
    asks.recv_request()  # the first one after the pause
    before.answer()  # good, but of a call that started before
    up.must_have_no_connection(0.1)
    assert proxy.metrics().sum("curfew_pool_waiting") == 2
    asks.answer()
    proxy.wait_metric("curfew_pool_waiting", 0)
    assert len(waiting) == 3


def test_other_pools_go_on(curfew, upstream):
    def serve(exchange):
        while True:
            request = exchange.recv_request()
            if request.target == "/limited":
                refuse(exchange, "Retry-After: 20")
            else:
                exchange.answer()

    up = upstream(serve)
    proxy = curfew(url=up.url, pool={"pause": PAUSE}, routes=[{"path": "/other", "pool": {"pause": PAUSE}}])
    assert proxy.ask(target="/limited").status == 429
    assert proxy.ask(target="/free").status == 503
    assert proxy.ask(target="/other").status == 200
    metrics = proxy.metrics()
    assert metrics.sum("curfew_pause_seconds", pool="api") > 15 and metrics.sum("curfew_pause_seconds", pool="api/other") == 0


@pytest.mark.one_worker
def test_a_reload_keeps_the_pause_and_one_without_it_ends_it(paused):
    proxy, up, _ = paused("Retry-After: 20", deadline="60s")
    waiting, = queue_up(proxy, 1)
    keys = {"url": f"http://{up.authority}", "deadline": "60s"}
    proxy.rewrite({"api": {**keys, "pool": {"size": 5, "queue": 100, "pause": PAUSE}}})
    proxy.must_reload()
    assert left(proxy) > 10 and proxy.metrics().sum("curfew_pool_waiting") == 1
    proxy.rewrite({"api": {**keys, "pool": {"size": 5, "queue": 100}}})
    proxy.must_reload()
    up.take()[0].answer()
    assert waiting.recv_response().status == 200
    assert "curfew_pause_seconds{" not in proxy.metrics().text


def test_what_a_call_from_before_a_reload_is_told_pauses_nothing_that_has_no_pause_any_more(pair):
    keys = {"deadline": "60s", "pool": {"size": 5, "queue": 100}}
    proxy, up = pair(**{**keys, "pool": {**keys["pool"], "pause": PAUSE}})
    before, = ask_many(proxy, 1)
    exchange, _ = up.take()
    proxy.rewrite({"api": {**keys, "url": f"http://{up.authority}"}})
    proxy.must_reload()
    refuse(exchange, "Retry-After: 20")
    assert before.recv_response().status == 429
    after, = ask_many(proxy, 1)
    up.take()[0].answer()
    assert after.recv_response().status == 200


@pytest.mark.parametrize("pause, message", [
    (True, "none"), ("429", "write pause: {statuses: [429]}"), ({"statuses": [200]}, "no status of an error"),
    ({"statuses": []}, "empty"), ({"statuses": [429], "max": "0s"}, "out of bounds"),
])
def test_what_is_wrong_is_said(tmp_path, pause, message):
    config = {"upstreams": {"api": {"listen": "127.0.0.1:0", "url": "http://127.0.0.1:1", "pool": {"pause": pause}}}}
    file = tmp_path / "c.yaml"
    file.write_text(json.dumps(config))
    done = curfew_command("check", file)
    assert done.returncode == 1 and "upstreams.api.pool.pause" in done.stderr and message in done.stderr, done.stderr
