"""The command line: what is wrong is said clearly, before anything has been started."""

import os
import signal
import socket

import pytest

from harness.bounds import SOON, Stopwatch, poll
from harness.curfew import Curfew, curfew_command, write_config
from harness.process import BINARY, Process, run
from harness.peers import ok
from harness.wire import Cut

SUBCOMMANDS = ["serve", "reload", "ready", "top", "calls", "advise", "check", "explain", "fleet", "faulty", "help", "version"]


@pytest.fixture
def config(tmp_path):
    """Writes a configuration: its path."""
    def make(text=None, *, top=None, **api):
        path = tmp_path / "curfew.yaml"
        if text is not None:
            path.write_text(text)
        else:
            write_config(path, {"api": {"url": "http://127.0.0.1:9", "deadline": "1s", **api}},
                         {"admin": {"listen": "127.0.0.1:0"}, **(top or {})})
        return path

    return make


# ------------------------------------------------------------------------------- usage


def test_help_names_every_subcommand():
    done = curfew_command("--help")
    assert done.returncode == 0 and done.stderr == ""
    for name in SUBCOMMANDS:
        assert name in done.stdout


@pytest.mark.parametrize("name", SUBCOMMANDS)
def test_every_subcommand_has_its_help(name):
    done = curfew_command(name, "--help")
    assert done.returncode == 0 and name in done.stdout and done.stderr == ""


@pytest.mark.parametrize("spelling", ["version", "--version"])
def test_the_version_is_told(spelling):
    done = curfew_command(spelling)
    assert done.returncode == 0
    assert done.stdout.startswith("curfew ") and done.stdout.split()[1][0].isdigit()


@pytest.mark.parametrize("args", [
    ["version"], ["help", "check"], ["top", "--help"], ["check", "FILE"], ["explain", "-c", "FILE", "GET", "/x"],
    ["calls", "-c", "FILE"], ["calls", "-c", "FILE", "--json"], ["top", "-c", "FILE", "--once", "-d", "100ms"], ["advise", "-c", "FILE"], ["advise", "-c", "FILE", "--json"]])
def test_an_answer_that_can_not_be_written_is_status_1(curfew, tmp_path, args):
    config = tmp_path / "one.yaml"
    write_config(config, {"api": {"url": "http://127.0.0.1:9", "listen": f"unix:{tmp_path}/api.sock"}},
                 {"admin": {"listen": f"unix:{tmp_path}/admin.sock"}})
    curfew(url="http://127.0.0.1:9", top={"admin": {"listen": f"unix:{tmp_path}/admin.sock"}})
    args = [config if arg == "FILE" else arg for arg in args]
    assert curfew_command(*args).returncode == 0
    done = run(["sh", "-c", 'exec "$@" >/dev/full', "sh", BINARY, *args])
    assert done.returncode == 1 and "could not be written" in done.stderr


@pytest.mark.parametrize("args", [
    [], ["surf"], ["--surf"], ["serve", "-c"], ["serve", "--surf"], ["serve", "-c", "x", "more"],
    ["check", "a", "b"], ["faulty"], ["faulty", "--surf"], ["version", "more"]])
def test_wrong_usage_is_status_2(args):
    done = curfew_command(*args)
    assert done.returncode == 2 and done.stderr and done.stdout == ""


# ------------------------------------------------------------------------------- check


def test_check_takes_a_sound_file(config):
    done = curfew_command("check", config())
    assert done.returncode == 0 and done.stderr == ""


def test_check_tells_all_errors_at_once_with_their_places(config):
    path = config("""\
workers: two
upstreams:
  payments:
    listen: 127.0.0.1:0
    url: https://api.example.com
    deadlin: 2s
    pool: {size: 50, size: 60}
    timeouts: {connect: 500}
""")
    done = curfew_command("check", path)
    assert done.returncode == 1
    told = done.stderr + done.stdout
    assert f"{path}:1:10: workers: " in told
    assert f"{path}:6:5: upstreams.payments.deadlin: " in told and "deadline" in told
    assert f"{path}:7:22: upstreams.payments.pool.size: " in told
    assert f"{path}:8:25: upstreams.payments.timeouts.connect: " in told


def test_check_starts_nothing_and_needs_no_free_port(config):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        done = curfew_command("check", config(listen="127.0.0.1:%d" % taken.getsockname()[1]))
    assert done.returncode == 0


# ----------------------------------------------------------- serve: what is wrong is said, exit 1


def must_not_start(path, *words, status=1):
    done = curfew_command("serve", "-c", path)
    assert done.returncode == status, done
    assert "info: ready" not in done.stderr and " listens on " not in done.stderr
    for word in words:
        assert str(word) in done.stderr, done.stderr
    return done


def test_a_file_that_is_missing(tmp_path):
    must_not_start(tmp_path / "none.yaml", tmp_path / "none.yaml", "No such file")


def test_a_directory_for_a_file(tmp_path):
    """Its *.yaml are the configuration: here are none."""
    must_not_start(tmp_path, tmp_path, "no *.yaml is in this directory")


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_a_file_that_is_unreadable(config):
    path = config()
    path.chmod(0)
    must_not_start(path, path, "Permission denied")


def test_a_file_whose_bytes_cannot_be_had():
    """Root, too, can open this one and not read it."""
    must_not_start("/proc/self/mem", "/proc/self/mem", "Input/output error")


@pytest.mark.parametrize("text", ["", "upstreams: {}\n", "just text\n", "upstreams: [\n", "\x00", "a: &a [*a]\n",
                                  "upstreams: {a: {listen: 127.0.0.1:0}}\n"])
def test_a_file_that_is_no_configuration(config, text):
    path = config(text)
    must_not_start(path, path)


def test_an_unknown_key(config):
    path = config(deadlin="1s")
    must_not_start(path, f"{path}:", "upstreams.api.deadlin", "deadline")


def test_a_duplicate_key(config):
    path = config("upstreams:\n  api: {listen: 127.0.0.1:0, url: 'http://127.0.0.1:9', deadline: 1s, deadline: 2s}\n")
    must_not_start(path, f"{path}:2:", "upstreams.api.deadline")


def test_a_deadline_without_a_unit(config):
    path = config(deadline=2)
    must_not_start(path, f"{path}:", "upstreams.api.deadline")


def test_a_port_that_is_in_use(config):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = "127.0.0.1:%d" % taken.getsockname()[1]
        must_not_start(config(listen=["127.0.0.1:0", address]), address, "in use")


def test_an_admin_port_that_is_in_use(config):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = "127.0.0.1:%d" % taken.getsockname()[1]
        must_not_start(config(top={"admin": {"listen": address}}), address, "in use")


def test_two_upstreams_on_one_address(config):
    must_not_start(config("""\
upstreams:
  one: {listen: 127.0.0.1:45678, url: 'http://127.0.0.1:9', deadline: 1s}
  two: {listen: 127.0.0.1:45678, url: 'http://127.0.0.1:9', deadline: 1s}
"""), "127.0.0.1:45678")


def test_a_unix_socket_that_cannot_be_made(config, tmp_path):
    path = f"{tmp_path}/missing/api.sock"
    must_not_start(config(listen=f"unix:{path}"), path)


def test_a_file_at_the_place_of_a_unix_socket_is_not_destroyed(config, tmp_path):
    place = tmp_path / "precious"
    place.write_text("data")
    must_not_start(config(listen=f"unix:{place}"), place)
    assert place.read_text() == "data"


def test_a_unix_socket_that_is_in_use_is_not_taken_away(curfew, upstream, config, tmp_path):
    up = upstream(ok)
    running = curfew(url=up.url, listen=f"unix:{tmp_path}/api.sock")
    must_not_start(config(listen=f"unix:{tmp_path}/api.sock"), tmp_path / "api.sock")
    assert running.ask().content == b"ok"


@pytest.mark.parametrize("key", ["ca_file", "cert_file", "key_file"])
def test_a_certificate_that_is_missing(config, certificates, key):
    files = {"ca_file": certificates.ca, "cert_file": certificates.cert("client"), "key_file": certificates.key("client")}
    files[key] = "/nowhere/to/be/found.pem"
    must_not_start(config(url="https://127.0.0.1:9", tls=files), "/nowhere/to/be/found.pem", key)


def test_a_certificate_that_is_none(config, tmp_path):
    (tmp_path / "bad.pem").write_text("nonsense\n")
    must_not_start(config(url="https://127.0.0.1:9", tls={"ca_file": str(tmp_path / "bad.pem")}), tmp_path / "bad.pem")


def test_a_key_that_is_not_the_certificates(config, certificates):
    must_not_start(config(url="https://127.0.0.1:9", tls={
        "cert_file": certificates.cert("client"), "key_file": certificates.key("server")}), "key")


def test_a_header_file_that_is_missing(config):
    must_not_start(config(headers={"set": {"Authorization": {"file": "/nowhere/token"}}}), "/nowhere/token")


def test_a_log_file_that_cannot_be_written(config):
    must_not_start(config(top={"log": {"access": "/nowhere/access.log"}}), "/nowhere/access.log")


def test_a_second_instance_on_the_same_port(curfew, upstream, config):
    up = upstream(ok)
    running = curfew(url=up.url)
    address = "%s:%d" % running.address()
    must_not_start(config(listen=address), address, "in use")
    assert running.ask().content == b"ok"


# -------------------------------------------------------------------------------- ending


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it(pair, number):
    proxy, _ = pair(ok)
    assert proxy.ask().content == b"ok"
    watch = Stopwatch()
    proxy.stop(number)
    assert watch.elapsed() < SOON


def test_signals_are_for_the_main_thread(curfew):
    """Another one's wait or write would be interrupted, and what ThreadSanitizer holds back until it goes on, lost. A crash is its own."""
    proxy = curfew(url="http://127.0.0.1:9", top={"workers": 2})
    ours = {signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1}
    masks = {}

    def have_begun():
        """The main thread, the writer of the access log and both workers: until then, a thread has all signals blocked."""
        masks.update(proxy.process.blocked_signals())
        return sum(blocked.isdisjoint({signal.SIGSEGV, signal.SIGABRT}) for blocked in masks.values()) >= 4

    poll(have_begun, lambda: masks)
    for thread, blocked in masks.items():
        assert blocked & ours == (set() if thread == proxy.process.pid else ours)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_with_calls_in_flight(pair, number):
    """In every phase that there is: nothing is used after it has gone."""
    proxy, up = pair(deadline="2s", pool={"size": 3, "queue": 5}, top={"workers": 2})
    callers = [proxy.caller() for _ in range(6)]
    for n, caller in enumerate(callers[:3]):
        caller.request("POST", f"/{n}", content=b"abc")
    exchanges = [up.take()[0] for _ in range(3)]
    exchanges[1].send(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf")
    for caller in callers[3:5]:
        caller.request("GET", "/waits")
    callers[5].send(b"GET /half HTTP/1.1\r\n")
    proxy.wait_in_flight(5)
    proxy.stop(number)
    for caller in callers:
        with pytest.raises((Cut, AssertionError)):
            assert caller.recv_response().status >= 500
            raise AssertionError("told that it is over")
    for exchange in exchanges:
        assert exchange.ended()


def test_sigterm_while_it_starts_ends_it(config):
    process = Process([BINARY, "serve", "-c", config()])
    process.signal(signal.SIGTERM)
    assert process.wait_exit() in (0, -signal.SIGTERM)
    process.must_be_clean()


def test_sighup_does_not_end_it(pair):
    """It reloads, and the file is the same."""
    proxy, _ = pair(ok)
    proxy.process.signal(signal.SIGHUP)
    assert proxy.ask().content == b"ok" and proxy.process.is_running()


def test_a_unix_socket_is_removed_at_the_end(pair, tmp_path):
    path = tmp_path / "api.sock"
    proxy, _ = pair(ok, listen=f"unix:{path}")
    assert path.is_socket() and proxy.ask().content == b"ok"
    proxy.stop()
    assert not path.exists()


def test_it_runs_without_stdin_and_stdout(upstream, tmp_path):
    """Closed, not /dev/null: no socket may end up on their numbers and be written to."""
    up = upstream(ok)
    config = tmp_path / "curfew.yaml"
    write_config(config, {"api": {"url": up.url, "deadline": "2s"}},
                 {"admin": {"listen": "127.0.0.1:0"}, "log": {"access": "stdout"}})
    proxy = Curfew(tmp_path, config, wrap=("sh", "-c", 'exec "$@" <&- >&-', "sh"))
    try:
        for _ in range(3):
            assert proxy.ask().content == b"ok"
        for number in (0, 1):
            assert os.readlink(f"/proc/{proxy.process.pid}/fd/{number}") == "/dev/null"
    finally:
        proxy.finish()
    assert proxy.process.stdout.text() == ""


def test_the_port_is_free_again_at_once(curfew, upstream):
    up = upstream(ok)
    first = curfew(url=up.url)
    assert first.ask().content == b"ok"
    host, port = first.address()
    kept = first.caller()  # left open: the old process's connections must not hold the port
    assert kept.ask().content == b"ok"
    first.stop()
    second = curfew(url=up.url, listen=f"{host}:{port}")
    assert second.ask().content == b"ok"
