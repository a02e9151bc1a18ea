"""The configuration is loaded anew while calls run: SIGHUP, POST /reload."""

import os
import re
import signal
import socket

import pytest

from harness.bounds import SLOW, SOON, poll
from harness.curfew import curfew_command, write_config
from harness.peers import ok
from harness.problem import expect, expect_stuck


def keys(up, **more):
    return {"url": f"http://{up.authority}", "deadline": "5s", **more}


@pytest.fixture
def api(curfew, upstream):
    """(proxy, upstream): one upstream "api", whose exchanges the test takes itself."""
    def make(**more):
        up = upstream()
        return curfew(upstreams={"api": keys(up, **more)}), up

    return make


def serve_one(proxy, up, target="/", upstream="api", exchange=None, content=b""):
    """A call that is answered; its exchange with the upstream and its response."""
    caller = proxy.caller(upstream)
    caller.request("GET", target)
    exchange = exchange or up.accept()
    request = exchange.recv_request()
    exchange.answer(content=content)
    response = caller.recv_response()
    caller.close()
    return exchange, request, response


def wait_log(proxy, text):
    assert proxy.process.stderr.wait(lambda lines: any(text in line for line in lines), SOON), \
        f"no {text!r} in:\n{proxy.process.stderr.text()}"


def test_sighup_puts_the_new_file_in_force(api):
    proxy, up = api()
    proxy.rewrite({"api": keys(up, headers={"set": {"X-New": "yes"}})})
    proxy.process.signal(signal.SIGHUP)
    proxy.wait_metric("curfew_config_reloads_total", 1, result="success")
    wait_log(proxy, "is in force")
    _, request, _ = serve_one(proxy, up)
    assert request["x-new"] == "yes"


def test_a_bad_file_changes_nothing_and_says_all_that_is_wrong(api):
    proxy, up = api()
    serve_one(proxy, up)
    good = proxy.config.read_text()
    write_config(proxy.config, {"api": keys(up, dedline="1s", pool={"size": 0})}, {"workers": 1})
    status, text = proxy.reload()
    assert status == 422
    assert 'upstreams.api.dedline: unknown key; did you mean "deadline"?' in text and "pool.size" in text
    wait_log(proxy, "dedline")
    wait_log(proxy, "nothing has changed")
    metrics = proxy.metrics()
    assert metrics.sum("curfew_config_reloads_total", result="failure") == 1
    assert metrics.sum("curfew_config_reloads_total", result="success") == 0
    assert metrics.sum("curfew_pool_size", pool="api") == 50
    proxy.config.write_text(good)
    proxy.must_reload()
    assert proxy.metrics().sum("curfew_config_reloads_total", result="success") == 1


@pytest.mark.parametrize("broken", ["", "\t", "upstreams: [", "\0"])
def test_what_is_no_configuration_at_all_is_refused(api, broken):
    proxy, up = api()
    proxy.config.write_text(broken)
    status, text = proxy.reload()
    assert status == 422 and str(proxy.config) in text
    proxy.config.unlink()
    status, text = proxy.reload()
    assert status == 422 and "No such file" in text
    serve_one(proxy, up)


def test_what_is_said_again_and_again_in_turn_is_counted(api):
    proxy, _ = api()
    proxy.config.write_text("bad")
    for _ in range(20):
        assert proxy.reload()[0] == 422
    proxy.stop()
    for said in ("nothing has changed", "a map of keys and values is needed here"):
        lines = [line for line in proxy.process.stderr.lines if said in line]
        left_out = [int(n) for line in lines for n in re.findall(r" \((\d+) times more\)$", line)]
        assert len(left_out) >= 1 and len(lines) - len(left_out) + sum(left_out) == 20


def test_calls_in_flight_end_under_the_policy_they_began_with(api, upstream):
    proxy, up = api(caller_deadline={"headers": ["X-Request-Timeout-Ms"], "forward": "X-Left"})
    other = upstream()
    caller = proxy.caller()
    caller.request("GET", "/before", "X-Request-Timeout-Ms: 30000")
    exchange, request = up.take()
    assert int(request["x-left"]) > 1000
    proxy.rewrite({"api": keys(other, deadline="1s")})
    proxy.must_reload()
    after = proxy.caller()
    after.request("GET", "/after")
    _, request = other.take()
    assert request.target == "/after"
    expect_stuck(after.recv_response(), "wait", 1000)
    exchange.answer(content=b"late but in time")
    assert caller.recv_response().content == b"late but in time"


def test_a_waiter_is_sent_to_where_its_call_began(api, upstream):
    """It is granted after the reload, and still goes to the old address, under the old queue timeout."""
    proxy, up = api(pool={"size": 1, "queue": 5})
    other = upstream()
    holder = proxy.caller()
    holder.request("GET", "/holder")
    exchange, _ = up.take()
    waiter = proxy.caller()
    waiter.request("GET", "/waiter")
    proxy.wait_metric("curfew_pool_waiting", 1)
    proxy.rewrite({"api": keys(other, pool={"size": 1, "queue": 5, "queue_timeout": "1ms"})})
    proxy.must_reload()
    exchange.answer()
    assert holder.recv_response().status == 200
    exchange, request = up.take()
    assert request.target == "/waiter"
    exchange.answer()
    assert waiter.recv_response().status == 200
    serve_one(proxy, other)


@pytest.mark.one_worker
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_connections_of_the_new_configuration_are_not_used_for_old_calls(api, upstream, method):
    """Another pool's calls have left one behind; what is set for the old address would go to the new one by it."""
    routes = [{"path": "/slow", "pool": {"size": 1, "queue": 5}}]
    proxy, up = api(routes=routes, headers={"set": {"Authorization": "for the old address"}})
    other = upstream()
    holder = proxy.caller()
    holder.request("GET", "/slow/holder")
    exchange, _ = up.take()
    waiter = proxy.caller()
    waiter.request(method, "/slow/waiter")
    proxy.wait_metric("curfew_pool_waiting", 1)
    proxy.rewrite({"api": keys(other, routes=routes)})
    proxy.must_reload()
    idle, _, _ = serve_one(proxy, other)
    exchange.answer()
    assert holder.recv_response().status == 200
    exchange, request = up.take()
    assert (request.target, request["authorization"]) == ("/slow/waiter", "for the old address")
    exchange.answer()
    assert waiter.recv_response().status == 200
    serve_one(proxy, other, exchange=idle)


@pytest.mark.one_worker
def test_connections_of_the_old_configuration_are_not_used_for_new_calls(api, upstream):
    proxy, up = api()
    other = upstream()
    idle, _, _ = serve_one(proxy, up)
    busy = proxy.caller()
    busy.request("GET", "/busy")
    idle.recv_request()
    proxy.rewrite({"api": keys(other)})
    proxy.must_reload()
    idle.answer()
    assert busy.recv_response().status == 200
    serve_one(proxy, other)
    idle.must_end()


def test_callers_connections_live_on_and_their_next_request_goes_by_the_new_configuration(api, upstream):
    proxy, up = api()
    other = upstream()
    caller = proxy.caller()
    caller.request("GET", "/1")
    exchange, _ = up.take()
    exchange.answer()
    assert caller.recv_response().status == 200
    proxy.rewrite({"api": keys(other)})
    proxy.must_reload()
    caller.request("GET", "/2")
    exchange, request = other.take()
    assert request.target == "/2"
    exchange.answer()
    assert caller.recv_response().status == 200


def test_a_larger_pool_lets_waiters_in_at_once(api):
    proxy, up = api(pool={"size": 1, "queue": 10})
    callers = [proxy.caller() for _ in range(4)]
    for n, caller in enumerate(callers):
        caller.request("GET", f"/{n}")
        proxy.wait_metric("curfew_pool_waiting", n)
    exchanges = [up.take()]
    proxy.rewrite({"api": keys(up, pool={"size": 3, "queue": 10})})
    proxy.must_reload()
    exchanges += [up.take(), up.take()]
    assert [request.target for _, request in exchanges] == ["/0", "/1", "/2"]
    metrics = proxy.wait_metric("curfew_pool_waiting", 1)
    assert metrics.sum("curfew_pool_held") == metrics.sum("curfew_pool_size") == 3
    for exchange, _ in exchanges:
        exchange.answer()
    last, _ = up.take()
    last.answer()
    assert [caller.recv_response().status for caller in callers] == [200] * 4


def test_a_smaller_pool_shrinks_as_permits_come_back(api):
    proxy, up = api(pool={"size": 3, "queue": 10})
    callers = [proxy.caller() for _ in range(4)]
    for n, caller in enumerate(callers):
        caller.request("GET", f"/{n}")
        proxy.wait_in_flight(n + 1)
    exchanges = [up.take()[0] for _ in range(3)]
    proxy.wait_metric("curfew_pool_waiting", 1)
    proxy.rewrite({"api": keys(up, pool={"size": 1, "queue": 10})})
    proxy.must_reload()
    for left in (2, 1):
        exchanges.pop().answer()
        metrics = proxy.wait_metric("curfew_pool_held", left)
        assert metrics.sum("curfew_pool_size") == left and metrics.sum("curfew_pool_waiting") == 1
        up.must_have_no_connection()
    exchanges.pop().answer()
    last, _ = up.take()
    assert proxy.metrics().sum("curfew_pool_held") == 1
    last.answer()
    assert [caller.recv_response().status for caller in callers] == [200] * 4


@pytest.mark.one_worker
def test_counters_stay_with_what_stays_and_end_with_what_goes(curfew, upstream):
    up = upstream()
    route = [{"path": "/r", "pool": {"size": 2}}]
    proxy = curfew(upstreams={"a": keys(up), "b": keys(up, routes=route), "c": keys(up)})
    exchange, _, _ = serve_one(proxy, up, upstream="a")
    exchange, _, _ = serve_one(proxy, up, upstream="b")
    serve_one(proxy, up, target="/r/1", upstream="b", exchange=exchange)
    gone = proxy.caller("c")
    gone.request("GET", "/")
    last, _ = up.take()
    proxy.rewrite({"new": keys(up), "b": keys(up, routes=route)})
    proxy.must_reload()
    metrics = proxy.metrics()
    assert metrics.calls("started", upstream="b", route="default") == 1
    assert metrics.calls("started", upstream="b", route="/r") == 1
    assert metrics.sum("curfew_pool_acquired_total", pool="b/r") == 1
    assert metrics.calls("started", upstream="new") == 0
    # As long as a call is in flight, what it belongs to is shown.
    assert metrics.in_flight(upstream="c") == 1 and metrics.sum("curfew_pool_held", pool="c") == 1
    last.answer()
    assert gone.recv_response().status == 200
    metrics = poll(lambda: None if (m := proxy.metrics()).has("curfew_pool_size", pool="c") else m,
                   "the end of c", 10 * SLOW)
    assert metrics.values("upstream") == {"b", "new"} and metrics.values("pool") == {"b", "b/r", "new"}
    # Its number may be another one's now, who begins at zero.
    proxy.rewrite({"b": keys(up, routes=route), "new": keys(up), "later": keys(up), "last": keys(up)})
    proxy.must_reload()
    metrics = proxy.metrics()
    for name in ("later", "last", "new"):
        assert metrics.calls("started", upstream=name) == 0
        assert metrics.sum("curfew_pool_acquired_total", pool=name) == 0
        assert metrics.sum("curfew_call_duration_seconds_count", upstream=name) == 0
    assert metrics.calls("completed", upstream="b") == 2


def inode(proxy, address):
    """Of the socket that listens there."""
    with open("/proc/net/tcp", encoding="ascii") as table:
        for line in table:
            fields = line.split()
            if fields[1] == f"0100007F:{address[1]:04X}" and fields[3] == "0A":
                return fields[9]
    raise AssertionError(f"nobody listens on {address}")


def test_listeners_that_stay_are_not_closed_new_ones_open_and_old_ones_close(curfew, upstream):
    up = upstream()
    proxy = curfew(upstreams={"stays": keys(up), "goes": keys(up)})
    stays, goes = proxy.address("stays"), proxy.address("goes")
    before = inode(proxy, stays)
    proxy.rewrite({"comes": keys(up), "stays": keys(up)})
    proxy.must_reload()
    assert inode(proxy, stays) == before
    serve_one(proxy, up, upstream="comes")
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(goes, SOON).close()


@pytest.mark.one_worker
def test_who_came_in_by_a_listener_that_is_gone_is_answered_and_leaves(curfew, upstream):
    up = upstream()
    proxy = curfew(upstreams={"stays": keys(up), "goes": keys(up)})
    idle, busy, late = [proxy.caller("goes") for _ in range(3)]
    for caller in (idle, busy, late):
        caller.request("GET", "/")
        exchange = up.take()[0] if caller is idle else exchange
        if caller is not idle:
            exchange.recv_request()
        exchange.answer()
        assert caller.recv_response().status == 200
    busy.request("GET", "/busy")
    exchange.recv_request()
    proxy.rewrite({"stays": keys(up)})
    proxy.must_reload()
    late.request("GET", "/late")  # it may have been on its way
    another, request = up.take()
    assert request.target == "/late"
    for upstream_side, caller in ((exchange, busy), (another, late)):
        upstream_side.answer()
        response = caller.recv_response()
        assert response.status == 200 and response["connection"] == "close"
        caller.must_end()
    idle.must_end()


def test_an_address_may_change_hands(curfew, upstream):
    first, second = upstream(), upstream()
    proxy = curfew(upstreams={"a": keys(first)})
    address = "%s:%d" % proxy.address("a")
    proxy.rewrite({"a": keys(first, listen=address)})
    proxy.must_reload()
    caller = proxy.caller("a")
    proxy.rewrite({"b": keys(second, listen=address)})
    proxy.must_reload()
    caller.request("GET", "/")
    exchange, _ = second.take()
    exchange.answer()
    assert caller.recv_response().status == 200
    assert proxy.wait_idle().calls("completed", upstream="b") == 1


def test_a_listener_that_cant_be_opened_makes_the_reload_fail_as_a_whole(curfew, upstream):
    up = upstream()
    proxy = curfew(upstreams={"api": keys(up)})
    with socket.create_server(("127.0.0.1", 0)) as taken:
        proxy.rewrite({"first": keys(up), "api": keys(up, deadline="1s"),
                       "taken": keys(up, listen="127.0.0.1:%d" % taken.getsockname()[1])})
        status, text = proxy.reload()
    assert status == 422 and "upstreams.taken.listen" in text and "in use" in text
    metrics = proxy.metrics()
    assert metrics.values("upstream") == {"api"}
    serve_one(proxy, up)


def test_unix_listeners_come_and_go_with_their_files(curfew, upstream, tmp_path):
    up = upstream()
    one, two = tmp_path / "one.sock", tmp_path / "two.sock"
    proxy = curfew(upstreams={"api": keys(up, listen=f"unix:{one}")})
    proxy.rewrite({"api": keys(up, listen=[f"unix:{one}", f"unix:{two}"])})
    proxy.must_reload()
    serve_one(proxy, up)
    assert one.is_socket() and two.is_socket()
    proxy.rewrite({"api": keys(up, listen=f"unix:{two}")})
    proxy.must_reload()
    assert not one.exists() and two.is_socket()
    with socket.socket(socket.AF_UNIX) as caller:
        caller.connect(str(two))


@pytest.mark.one_worker
def test_files_that_the_configuration_names_are_read_again(curfew, upstream, tmp_path):
    up = upstream()
    token = tmp_path / "token"
    token.write_text("first\n")
    config = {"api": keys(up, headers={"set": {"Authorization": {"file": str(token)}}})}
    proxy = curfew(upstreams=config)
    _, request, _ = serve_one(proxy, up)
    assert request["authorization"] == "first"
    token.write_text("second\n")
    proxy.rewrite(config)
    proxy.must_reload()
    exchange, request, _ = serve_one(proxy, up)
    assert request["authorization"] == "second"
    token.unlink()
    status, text = proxy.reload()
    assert status == 422 and "headers.set.Authorization.file" in text
    _, request, _ = serve_one(proxy, up, exchange=exchange)
    assert request["authorization"] == "second"


def test_tls_files_are_read_again(curfew, upstream, certificates, tmp_path):
    up = upstream(ok, tls=certificates.server())
    trusted = tmp_path / "ca.pem"
    trusted.write_text(open(certificates.cert("other-ca"), encoding="ascii").read())
    config = {"api": {"url": f"https://localhost:{up.authority.split(':')[1]}", "tls": {"ca_file": str(trusted)}}}
    proxy = curfew(upstreams=config)
    expect(proxy.ask(), 502, "tls_certificate_error", phase="tls")
    trusted.write_text(open(certificates.ca, encoding="ascii").read())
    proxy.must_reload()
    assert proxy.ask().status == 200
    trusted.write_text("no certificate\n")
    status, text = proxy.reload()
    assert status == 422 and "upstreams.api.tls.ca_file" in text
    assert proxy.ask().status == 200


@pytest.mark.one_worker
def test_what_a_running_process_cant_change_is_said(api):
    proxy, up = api()
    proxy.rewrite({"api": keys(up)}, workers=2, admin={"listen": "127.0.0.1:1"})
    text = proxy.must_reload()
    assert "warning: workers: " in text and "warning: admin.listen: " in text
    wait_log(proxy, "workers: stays as it is")
    serve_one(proxy, up)


def test_the_access_log_moves(api, tmp_path):
    proxy, up = api()
    serve_one(proxy, up, target="/old")
    assert proxy.log(1)[0]["target"] == "/old"
    old, proxy.access_log = proxy.access_log, tmp_path / "new.log"
    proxy.rewrite({"api": keys(up)})
    proxy.must_reload()
    serve_one(proxy, up, target="/new")
    assert proxy.log(1)[0]["target"] == "/new"
    assert old.read_text().count("\n") == 1
    for access in ("off", str(proxy.access_log)):
        proxy.rewrite({"api": keys(up)}, log={"access": access})
        proxy.must_reload()
        serve_one(proxy, up, target=f"/{len(access)}")
    assert [line["target"] for line in proxy.log(2)] == ["/new", f"/{len(str(proxy.access_log))}"]
    proxy.rewrite({"api": keys(up)}, log={"access": str(tmp_path / "none" / "x.log")})
    status, text = proxy.reload()
    assert status == 422 and "log.access" in text


def open_files(proxy):
    names = []
    for fd in os.listdir(f"/proc/{proxy.process.pid}/fd"):
        try:
            names.append(os.readlink(f"/proc/{proxy.process.pid}/fd/{fd}"))
        except OSError:
            pass  # closed meanwhile
    return names


@pytest.mark.one_worker
def test_sigusr1_opens_the_access_log_anew(api):
    proxy, up = api()
    exchange, _, _ = serve_one(proxy, up, target="/1")
    proxy.log(1)
    rotated = proxy.access_log.with_suffix(".1")
    proxy.access_log.rename(rotated)
    proxy.process.signal(signal.SIGUSR1)
    poll(proxy.access_log.exists, "a new log file")
    serve_one(proxy, up, target="/2", exchange=exchange)
    assert proxy.log(1)[0]["target"] == "/2"
    assert rotated.read_text().count("\n") == 1
    poll(lambda: str(rotated) not in open_files(proxy), "the old file closed")


def test_browsers_may_not_reload_and_get_does_not(api):
    proxy, _ = api()
    assert proxy.admin_ask("POST", "/reload", {"Origin": "http://evil.test"})[0] == 403
    assert proxy.admin_ask("GET", "/reload")[0] == 405
    assert proxy.metrics().sum("curfew_config_reloads_total") == 0


def test_reloads_leave_nothing_behind(api):
    """Descriptors, and generations whose calls have ended: many reloads are as one."""
    proxy, up = api()
    serve_one(proxy, up)
    counts = []
    for n in range(30):
        proxy.rewrite({"api": keys(up), f"other{n}": keys(up)})
        proxy.must_reload()
        counts.append(proxy.process.descriptors())
    assert max(counts[3:]) <= max(counts[:3]) + 2
    metrics = poll(lambda: m if len((m := proxy.metrics()).values("upstream")) == 2 else None,
                   "the ends of old generations", 10 * SLOW)
    assert metrics.values("upstream") == {"api", "other29"}


@pytest.mark.one_worker
def test_curfew_reload_asks_by_the_admin_listener_and_tells_the_outcome(curfew, upstream, tmp_path):
    up = upstream()
    admin = {"listen": f"unix:{tmp_path}/admin.sock"}
    proxy = curfew(upstreams={"api": keys(up)}, top={"admin": admin})
    proxy.rewrite({"api": keys(up)}, admin=admin)
    done = curfew_command("reload", "-c", proxy.config)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    proxy.rewrite({"api": keys(up)}, admin=admin, workers=2)
    done = curfew_command("reload", "--admin", admin["listen"])
    assert done.returncode == 0 and "warning: workers: " in done.stdout
    # It finds who is to be asked though the file is not sound: the running one has to say so, and to count it.
    proxy.rewrite({"api": keys(up, dedline="1s")}, admin=admin)
    done = curfew_command("reload", "-c", proxy.config)
    assert done.returncode == 1 and "upstreams.api.dedline" in done.stderr
    assert proxy.metrics().sum("curfew_config_reloads_total", result="failure") == 1
    proxy.rewrite({"api": keys(up)}, admin={"listen": f"unix:{tmp_path}/moved.sock"})
    done = curfew_command("reload", "-c", proxy.config)
    assert done.returncode == 1 and "moved.sock: No such file" in done.stderr and "--admin" in done.stderr
    proxy.config.write_text("upstreams: [")
    done = curfew_command("reload", "-c", proxy.config)
    assert done.returncode == 1 and str(proxy.config) in done.stderr
    assert proxy.metrics().sum("curfew_config_reloads_total", result="failure") == 1
    assert curfew_command("reload").returncode == 2
    assert curfew_command("reload", "--admin", "127.0.0.1:1").returncode == 1


@pytest.mark.parametrize("broken", ["upstreams: [", "admin: {listen: 127.0.0.1:1}", "upstreams: {}"])
def test_where_the_file_leads_to_nobody_systemd_s_main_process_gets_sighup(api, broken):
    """As ExecReload runs it. The process says in its log what is wrong, and counts it."""
    proxy, up = api()
    proxy.config.write_text(broken)
    done = curfew_command("reload", "-c", proxy.config, env={"MAINPID": str(proxy.process.pid)})
    assert done.returncode == 1 and f"process {proxy.process.pid} was asked by SIGHUP" in done.stderr
    proxy.wait_metric("curfew_config_reloads_total", 1, result="failure")
    serve_one(proxy, up)


@pytest.mark.parametrize("main_pid", ["", "0", "1", "-1", "x", "99999999999", "4194304"])
def test_a_main_process_that_cannot_be_is_not_asked(api, main_pid):
    proxy, _ = api()
    proxy.config.write_text("upstreams: [")
    done = curfew_command("reload", "-c", proxy.config, env={"MAINPID": main_pid})
    assert done.returncode == 1 and "asked by SIGHUP" not in done.stderr
