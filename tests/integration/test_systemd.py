"""What systemd is told and hands over: sd_notify, the watchdog, sockets."""

import contextlib
import os
import signal
import socket
import stat

import pytest

from harness.bounds import SLOW, poll
from harness.curfew import curfew_command, write_config
from harness.peers import ScriptedCaller, ok
from harness.process import BINARY, Process
from harness.programs import tool
from harness.service import ACTIVATE, Activated, NotifySocket, hand_over, wait_ready


@pytest.fixture
def notify(tmp_path):
    one = NotifySocket(tmp_path)
    yield one
    one.close()


def test_the_messages_come_in_their_order(curfew, upstream, notify):
    up = upstream(ok)
    proxy = curfew(url=f"http://{up.authority}", env=notify.env)
    notify.wait("READY")
    before = notify.keys()
    assert before == ["READY"]
    proxy.must_reload()
    notify.wait("READY", count=2)
    reloading = next(m for m in notify.read() if "RELOADING" in m)
    assert reloading["RELOADING"] == "1" and int(reloading["MONOTONIC_USEC"]) > 0
    proxy.config.write_text("bad")
    assert proxy.reload()[0] == 422
    notify.wait("READY", count=3)
    proxy.stop()
    keys = notify.keys()
    assert keys[:6] == ["READY", "RELOADING", "READY", "RELOADING", "READY", "STOPPING"]
    assert set(keys[6:]) <= {"EXTEND_TIMEOUT_USEC"}


def test_the_status_says_calls_in_flight_and_stuck(curfew, upstream, notify):
    up = upstream()
    proxy = curfew(url=f"http://{up.authority}", deadline="2s", env=notify.env)
    notify.wait("STATUS", "^0 calls in flight, 0 got stuck")
    caller = proxy.caller()
    caller.request("GET", "/")
    up.take()
    notify.wait("STATUS", "^1 calls in flight, 0 got stuck")
    assert caller.recv_response().status == 504
    notify.wait("STATUS", "^0 calls in flight, 1 got stuck")
    texts = [m["STATUS"] for m in notify.read() if "STATUS" in m]
    assert all(one != next_one for one, next_one in zip(texts, texts[1:])), "sent though nothing has changed"


def test_a_stop_that_takes_its_time_asks_for_it(curfew, upstream, notify):
    up = upstream()
    proxy = curfew(url=f"http://{up.authority}", deadline="30s", top={"drain": "30s"}, env=notify.env)
    caller = proxy.caller()
    caller.request("GET", "/")
    exchange, _ = up.take()
    proxy.process.signal(signal.SIGTERM)
    notify.wait("STOPPING")
    assert int(notify.wait("EXTEND_TIMEOUT_USEC")["EXTEND_TIMEOUT_USEC"]) >= 30_000_000
    notify.wait("EXTEND_TIMEOUT_USEC", count=2)
    notify.wait("STATUS", "^draining: 1 calls")
    exchange.answer()
    assert caller.recv_response().status == 200
    assert proxy.process.wait_exit(10 * SLOW) == 0


def test_a_stop_asks_for_the_time_of_delay_and_drain(curfew, upstream, notify):
    proxy = curfew(url=upstream(ok).url, top={"drain_delay": "40s", "drain": "30s"}, env=notify.env)
    proxy.process.signal(signal.SIGTERM)
    notify.wait("STOPPING")
    assert int(notify.wait("EXTEND_TIMEOUT_USEC")["EXTEND_TIMEOUT_USEC"]) >= 70_000_000
    notify.wait("STATUS", "^about to drain: 0 calls")
    assert proxy.ask().status == 200
    proxy.process.signal(signal.SIGTERM)
    assert proxy.process.wait_exit(10 * SLOW) == 0


def test_nothing_is_fed_to_a_watchdog_that_is_not_there(curfew, upstream, notify):
    proxy = curfew(url="http://127.0.0.1:1", env=notify.env)
    notify.wait("STATUS")
    assert not any("WATCHDOG" in m for m in notify.read())
    assert proxy.metrics()


@pytest.mark.sound_only
def test_the_watchdog_is_fed_while_every_loop_turns_and_starves_when_one_hangs(curfew, upstream, notify, tmp_path):
    """The hook is a library for the test alone: in it, a worker's epoll_wait waits while a file is there."""
    hang = tmp_path / "hang"
    env = {**notify.env, "WATCHDOG_USEC": "400000", "LD_PRELOAD": tool("hang.so"), "HANG_FILE": str(hang)}
    proxy = curfew(url="http://127.0.0.1:1", top={"workers": 2}, env=env)
    notify.wait("WATCHDOG", count=3)
    hang.write_text("")
    poll(lambda: (tmp_path / "hang.held").exists(), "a worker that hangs", 10 * SLOW)
    # What was on its way may still come; then nothing does, though the main thread lives and answers.
    fed = []

    def starves():
        fed.append(sum("WATCHDOG" in m for m in notify.read()))
        assert proxy.admin_get("/readyz")[0] == 200
        return len(fed) > 40 and fed[-1] == fed[-40]

    poll(starves, "an end of the feeding", 20 * SLOW)
    before = fed[-1]
    hang.unlink()
    notify.wait("WATCHDOG", count=before + 2)


# ---------------------------------------------------------------------------------------------- sockets


def listener():
    return socket.create_server(("127.0.0.1", 0), backlog=512)


def test_sockets_find_their_upstreams_by_name_and_by_address(tmp_path, upstream):
    one, two = upstream(ok), upstream(ok)
    config = tmp_path / "c.yaml"
    named, unnamed, admin, metrics = listener(), listener(), listener(), listener()
    with named, unnamed, admin, metrics:
        write_config(config, {"one": {"url": one.url, "listen": "127.0.0.1:%d" % unnamed.getsockname()[1]},
                              "two": {"url": two.url}},
                     {"workers": 1, "admin": {"listen": "127.0.0.1:0", "metrics_listen": "127.0.0.1:0"},
                      "log": {"access": "off"}})
        process = hand_over(config, [named, unnamed, admin, metrics], ["two", "unknown", "admin", "metrics"])
        try:
            wait_ready(process)
            for sock, up in ((named, two), (unnamed, one)):
                caller = ScriptedCaller(sock.getsockname())
                assert caller.ask("GET", "/").status == 200
                caller.close()
            for sock, status in ((admin, 200), (metrics, 404)):
                caller = ScriptedCaller(sock.getsockname())
                assert caller.ask("GET", "/readyz").status == 200
                assert caller.ask("GET", "/pools").status == status
                caller.close()
        finally:
            process.signal(signal.SIGTERM)
            assert process.wait_exit(10 * SLOW) == 0
        process.must_be_clean()


def test_an_upstream_that_is_called_admin_has_the_socket_of_this_name(tmp_path, upstream):
    up = upstream(ok)
    config = tmp_path / "c.yaml"
    named = listener()
    with named:
        write_config(config, {"admin": {"url": up.url, "listen": "127.0.0.1:%d" % named.getsockname()[1]}},
                     {"workers": 1, "admin": {"listen": f"unix:{tmp_path}/admin.sock"}, "log": {"access": "off"}})
        process = hand_over(config, [named], ["admin"])
        try:
            wait_ready(process)
            for where in (named.getsockname(), f"{tmp_path}/admin.sock"):
                caller = ScriptedCaller(where)
                assert caller.ask("GET", "/readyz").status == 200
                caller.close()
        finally:
            process.signal(signal.SIGTERM)
            assert process.wait_exit(10 * SLOW) == 0


def test_an_address_goes_before_a_name(tmp_path, upstream):
    """All sockets of one unit have one name, be it another upstream's; what counts is who listens there."""
    one, two = upstream(lambda e: e.answer(content=b"one")), upstream(lambda e: e.answer(content=b"two"))
    config = tmp_path / "c.yaml"
    socks = [listener(), listener(), listener()]
    with socks[0], socks[1], socks[2]:
        addresses = ["127.0.0.1:%d" % sock.getsockname()[1] for sock in socks]
        write_config(config, {"one": {"url": one.url, "listen": addresses[0]}, "two": {"url": two.url, "listen": addresses[1]}},
                     {"workers": 1, "admin": {"listen": addresses[2]}, "log": {"access": "off"}})
        for names in (["one"] * 3, ["two", "one", "one"], ["admin", "admin", "two"]):
            process = hand_over(config, socks, names)
            try:
                wait_ready(process)
                for sock, target, said in zip(socks, ("/", "/", "/readyz"), (b"one", b"two", b"ready\n")):
                    caller = ScriptedCaller(sock.getsockname())
                    assert caller.ask("GET", target).content == said, names
                    caller.close()
                assert "warning" not in process.stderr.text()
            finally:
                process.signal(signal.SIGTERM)
                assert process.wait_exit(10 * SLOW) == 0


def test_listen_and_sockets_that_differ_are_warned_of(tmp_path, upstream):
    up = upstream(ok)
    config = tmp_path / "c.yaml"
    named, admin = listener(), listener()
    with named, admin:
        write_config(config, {"moved": {"url": up.url, "listen": f"unix:{tmp_path}/moved.sock"},
                              "more": {"url": up.url, "listen": f"unix:{tmp_path}/more.sock"}},
                     {"workers": 1, "admin": {"listen": f"unix:{tmp_path}/admin.sock"}, "log": {"access": "off"}})
        process = hand_over(config, [named, admin], ["moved", "admin"])
        try:
            wait_ready(process)
            told = process.stderr.text()
            where = ["127.0.0.1:%d" % sock.getsockname()[1] for sock in (named, admin)]
            assert f'warning: upstreams.moved.listen: unix:{tmp_path}/moved.sock is not open: socket "moved" at {where[0]} is in its place' in told
            assert f"warning: upstreams.more.listen: unix:{tmp_path}/more.sock: no socket unit holds it" in told
            assert f'warning: socket "admin" at {where[1]} is in the place of admin.listen' in told
            assert told.count("warning: ") == 3
            for target in (named.getsockname(), f"{tmp_path}/more.sock"):
                caller = ScriptedCaller(target)
                assert caller.ask("GET", "/").status == 200
                caller.close()
        finally:
            process.signal(signal.SIGTERM)
            assert process.wait_exit(10 * SLOW) == 0


def test_a_socket_that_matches_nothing_is_an_error_that_names_it(tmp_path, upstream):
    config = tmp_path / "c.yaml"
    write_config(config, {"api": {"url": "http://127.0.0.1:1"}}, {"log": {"access": "off"}})
    with listener() as sock:
        process = hand_over(config, [sock], ["other"])
        assert process.wait_exit(10 * SLOW) == 1
    assert 'socket "other" at 127.0.0.1:' in process.stderr.text()


@pytest.mark.parametrize("names, top, said", [
    (["api", "api"], {}, "each address in upstreams.api.listen has a socket already: add this one's, or take it out of "
                         "its unit"),
    (["api", "way", "way"], {"forward": {"way": {"listen": "127.0.0.1:0", "destinations": [{"hosts": ["example.com"]}]}}},
     "each address in forward.way.listen has a socket already: "),
    (["api", "api.tls"], {}, "there is no upstreams.api.listen_tls: write its address there, or take it out of its unit"),
    (["admin"], {}, "there is no admin.listen: "),
    (["metrics"], {"admin": {"listen": "127.0.0.1:0"}}, "there is no admin.metrics_listen: "),
    (["admin", "admin"], {"admin": {"listen": "127.0.0.1:0"}}, "admin.listen has a socket already: take one of the two out of its unit"),
])
def test_a_socket_too_many_is_told_what_it_is_named_for(tmp_path, names, top, said):
    """What it is named for has its sockets, or is not in the configuration."""
    config = tmp_path / "c.yaml"
    write_config(config, {"api": {"url": "http://127.0.0.1:1"}}, {"log": {"access": "off"}, **top})
    with contextlib.ExitStack() as stack:
        socks = [stack.enter_context(listener()) for _ in names]
        process = hand_over(config, socks, names)
        assert process.wait_exit(10 * SLOW) == 1
        where = "127.0.0.1:%d" % socks[-1].getsockname()[1]
    assert f'socket "{names[-1]}" at {where} was handed over, but {said}' in process.stderr.text()


def test_two_sockets_at_one_address_are_one_too_many(tmp_path):
    """SO_REUSEPORT lets two units hold one address; the kernel would share callers out, half to nobody."""
    config = tmp_path / "c.yaml"
    first, second = socket.socket(), socket.socket()
    with first, second:
        for sock in (first, second):
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        first.bind(("127.0.0.1", 0))
        second.bind(first.getsockname())
        for sock in (first, second):
            sock.listen()
        address = "127.0.0.1:%d" % first.getsockname()[1]
        write_config(config, {"api": {"url": "http://127.0.0.1:1", "listen": address}}, {"log": {"access": "off"}})
        process = hand_over(config, [first, second], ["a", "b"])
        assert process.wait_exit(10 * SLOW) == 1
    assert f'socket "b" at {address} was handed over, but another socket at this address is' in process.stderr.text()


def test_a_reload_that_leaves_a_socket_without_its_upstream_warns_of_it(tmp_path, upstream):
    """The kernel goes on taking connections there, and the next start would fail."""
    up = upstream(ok)
    config = tmp_path / "c.yaml"
    stays, goes, admin = listener(), listener(), listener()
    top = {"workers": 1, "admin": {"listen": "127.0.0.1:%d" % admin.getsockname()[1]}, "log": {"access": "off"}}
    both = {name: {"url": up.url, "listen": "127.0.0.1:%d" % sock.getsockname()[1]}
            for name, sock in (("stays", stays), ("goes", goes))}

    def reload(upstreams):
        write_config(config, upstreams, top)
        caller = ScriptedCaller(admin.getsockname())
        answer = caller.ask("POST", "/reload")
        caller.close()
        assert answer.status == 200
        return answer.content.decode()

    with stays, goes, admin:
        write_config(config, both, top)
        process = hand_over(config, [stays, goes, admin], ["stays", "goes", "admin"])
        try:
            wait_ready(process)
            assert reload(both) == ""
            told = reload({"stays": both["stays"]})
            assert told.startswith('warning: socket "goes" at 127.0.0.1:%d: ' % goes.getsockname()[1])
            assert told.count("\n") == 1
            assert process.stderr.wait(lambda lines: any('warn: reload: warning: socket "goes"' in line for line in lines),
                                       10 * SLOW)
            assert reload(both) == ""
            caller = ScriptedCaller(goes.getsockname())
            assert caller.ask("GET", "/").status == 200
            caller.close()
        finally:
            process.signal(signal.SIGTERM)
            assert process.wait_exit(10 * SLOW) == 0
        process.must_be_clean()


def test_systemd_socket_activate_hands_two_named_sockets_over(tmp_path, upstream):
    if ACTIVATE is None:
        pytest.skip("no systemd-socket-activate here")
    one, two = upstream(ok), upstream(ok)
    config, paths = tmp_path / "c.yaml", [tmp_path / "1.sock", tmp_path / "2.sock"]
    write_config(config, {"one": {"url": one.url, "listen": f"unix:{tmp_path}/x"},
                          "two": {"url": two.url, "listen": f"unix:{tmp_path}/y"}},
                 {"workers": 1, "log": {"access": "off"}})
    activated = Activated([str(path) for path in paths], ["two", "one"], config)
    poll(lambda: all(path.exists() for path in paths), "the sockets")
    for path, up in zip(paths, (two, one)):
        caller = ScriptedCaller(str(path))
        assert caller.ask("GET", "/").status == 200
        caller.close()
    assert activated.stop() == 0
    # The sockets are others': their files stay.
    assert all(stat.S_ISSOCK(os.stat(path).st_mode) for path in paths)


def test_priorities_are_for_the_journal_alone(tmp_path):
    config = tmp_path / "c.yaml"
    write_config(config, {"api": {"url": "http://127.0.0.1:1"}}, {"log": {"access": "off"}})
    process = Process([BINARY, "serve", "-c", config], env={"JOURNAL_STREAM": "1:1"})
    wait_ready(process)
    assert "curfew: info: ready" in process.stderr.text()
    process.signal(signal.SIGTERM)
    assert process.wait_exit(10 * SLOW) == 0
    log = tmp_path / "journal"
    with open(log, "wb") as out:
        info = os.fstat(out.fileno())
        process = Process(["bash", "-c", 'exec "$@" 2>>"$LOG"', "sh", BINARY, "serve", "-c", config],
                          env={"JOURNAL_STREAM": f"{info.st_dev}:{info.st_ino}", "LOG": str(log)})
        poll(lambda: "<6>ready\n" in log.read_text(), "ready", 10 * SLOW)
        process.signal(signal.SIGTERM)
        assert process.wait_exit(10 * SLOW) == 0
        config.write_text("workers: 0\nupstrems: {}\n")
        process = Process(["bash", "-c", 'exec "$@" 2>>"$LOG"', "sh", BINARY, "serve", "-c", config],
                          env={"JOURNAL_STREAM": f"{info.st_dev}:{info.st_ino}", "LOG": str(log)})
        assert process.wait_exit(10 * SLOW) == 1
    assert f"<3>{config}:1:10: workers: " in log.read_text() and f"\n<3>{config}:2:1: upstrems: " in log.read_text()


def exec_reload(proxy, journal, env=None):
    """curfew reload as ExecReload runs it: what it writes is in the journal of the process that it asks."""
    with open(journal, "wb") as out:
        info = os.fstat(out.fileno())
    env = {"MAINPID": str(proxy.process.pid), "JOURNAL_STREAM": f"{info.st_dev}:{info.st_ino}", **(env or {})}
    process = Process(["bash", "-c", 'exec "$@" >>"$LOG" 2>>"$LOG"', "sh", BINARY, "reload", "-c", proxy.config],
                      env={**env, "LOG": str(journal)})
    return process.wait_exit(10 * SLOW), journal.read_text()


def test_what_is_wrong_with_a_file_is_in_the_journal_once(curfew, tmp_path):
    """The process that is asked says it; ExecReload, whose output goes to the same journal, does not."""
    proxy = curfew(url="http://127.0.0.1:1", top={"admin": {"listen": f"unix:{tmp_path}/admin.sock"}})
    journal, good = tmp_path / "journal", proxy.config.read_text()
    proxy.config.write_text(good.replace("upstreams:", "upstrems:"))
    assert exec_reload(proxy, journal) == (1, "")
    assert proxy.process.stderr.text().count("upstrems: ") == 1
    # Anywhere else, the command says it, too.
    done = curfew_command("reload", "-c", proxy.config, env={"MAINPID": str(proxy.process.pid)})
    assert done.returncode == 1 and "upstrems: " in done.stderr
    proxy.config.write_text("upstreams: [")
    code, said = exec_reload(proxy, journal)
    assert (code, said) == (1, f"<3>curfew: reload: process {proxy.process.pid} was asked by SIGHUP; its log says how that went\n")
    proxy.wait_metric("curfew_config_reloads_total", 3, result="failure")
    # A process that is not there says nothing; then the command does.
    code, said = exec_reload(proxy, journal, {"MAINPID": "0"})
    assert code == 1 and said.startswith(f"{proxy.config}:2:1: ")
    proxy.config.write_text(good)
    assert exec_reload(proxy, journal) == (0, "")
