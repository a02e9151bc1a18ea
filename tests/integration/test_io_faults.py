"""When the system refuses: no descriptors, no buffers, no space on the disk, a byte at a time."""

import errno
import json
import os
import resource
import threading

import pytest

from harness import problem
from harness.bounds import SLOW, SOON, Stopwatch, poll
from harness.faults import ACCEPT, CONNECT, RECEIVE, SEND, SOCKET, WATCH, WRITE
from harness.peers import echo, ok
from harness.process import BINARY, run
from harness.wire import Cut

OUT_OF_DESCRIPTORS = [errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM]
name_of = errno.errorcode.get


def cpu_seconds(pid):
    """That the process has used so far."""
    with open(f"/proc/{pid}/stat", encoding="ascii") as file:
        fields = file.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def must_not_spin(proxy, seconds=0.6):
    """For a while, it hardly uses the processor."""
    watch, before = Stopwatch(), cpu_seconds(proxy.process.pid)
    threading.Event().wait(seconds)
    used, window = cpu_seconds(proxy.process.pid) - before, watch.elapsed()
    assert used < window / 2, f"{used:.2f} s of CPU in {window:.2f} s of waiting"


# ----------------------------------------------------------------------------------- descriptors


@pytest.mark.parametrize("error", OUT_OF_DESCRIPTORS, ids=name_of)
def test_accepting_pauses_and_resumes(pair, faults, error):
    proxy, _ = pair(echo, env=faults.env)
    within = proxy.caller()
    assert within.ask("POST", "/", content=b"before").content == b"before"
    with faults.armed(ACCEPT, ever=True, error=error):
        beyond = [proxy.caller() for _ in range(20)]
        for n, caller in enumerate(beyond):
            caller.request("POST", "/", content=b"%d" % n)
        poll(lambda: faults.failed, "an accept that fails")
        assert within.ask("POST", "/", content=b"meanwhile").content == b"meanwhile"
        must_not_spin(proxy)
        assert faults.failed < 50, "it tries again and again"
    for n, caller in enumerate(beyond):
        assert caller.recv_response().content == b"%d" % n
    proxy.wait_idle()


def test_at_the_limit_of_the_kernel_nothing_accepted_is_lost(pair):
    """The real EMFILE, for callers and for upstream connections at once."""
    proxy, up = pair(keepalive={"max_idle": 0})
    pid, count = proxy.process.pid, 40
    early = [proxy.caller() for _ in range(count)]
    proxy.wait_metric("curfew_connections", count, side="downstream")
    usual = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    highest = max(int(fd) for fd in os.listdir(f"/proc/{pid}/fd"))
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (highest + 1, usual[1]))
    try:
        free = highest + 1 - proxy.process.descriptors()
        late = [proxy.caller() for _ in range(free + 10)]
        poll(lambda: proxy.process.descriptors() == highest + 1, "no descriptor to be left")
        must_not_spin(proxy)
        for caller in early:
            response = caller.ask()
            problem.expect(response, 500, "proxy_internal_error", phase="connect", sent="none")
    finally:
        resource.prlimit(pid, resource.RLIMIT_NOFILE, usual)
    for caller in early + late:
        caller.request()
        exchange, _ = up.take()
        exchange.answer()
        assert caller.recv_response().status == 200
    assert proxy.wait_idle().calls("failed", reason="proxy_internal_error") == count


REFUSALS = [(SOCKET, error, 500) for error in OUT_OF_DESCRIPTORS] + \
    [(CONNECT, error, 500) for error in (errno.ENOBUFS, errno.ENOMEM, errno.EAGAIN, errno.EADDRNOTAVAIL)] + \
    [(CONNECT, error, 502) for error in (errno.ENETUNREACH, errno.EACCES, errno.ECONNREFUSED)] + \
    [(WATCH, error, 500) for error in (errno.ENOMEM, errno.ENOSPC)]


@pytest.mark.parametrize("kind,error,status", REFUSALS, ids=str)
def test_a_connection_that_can_not_be_made(pair, faults, kind, error, status):
    proxy, _ = pair(echo, env=faults.env, keepalive={"max_idle": 0})
    caller = proxy.caller()
    assert caller.ask().status == 200
    with faults.armed(kind, ever=True, error=error):
        response = caller.ask()
    assert response.status == status, response.content
    assert problem.parse(response)["sent"] == "none"
    caller.must_be_open()
    assert caller.ask("POST", "/", content=b"again").content == b"again"


@pytest.mark.parametrize("error", [errno.ENOMEM, errno.ENOSPC], ids=name_of)
def test_a_caller_that_can_not_be_watched_is_cut(pair, faults, error):
    proxy, _ = pair(echo, env=faults.env)
    with faults.armed(WATCH, error=error):
        with pytest.raises((Cut, ConnectionError)):
            proxy.ask()
    assert faults.failed == 1
    assert proxy.ask("POST", "/", content=b"next").content == b"next"
    proxy.wait_metric("curfew_connections", 0, side="downstream")


# ----------------------------------------------------------------------------- bytes on their way


LARGE = bytes(range(256)) * 1200


def chunked(exchange):
    request = exchange.recv_request()
    assert request.framing == "chunked"
    half = len(request.content) // 2
    exchange.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    for part in (request.content[:half], request.content[half:]):
        exchange.send(b"%x\r\n%s\r\n" % (len(part), part))
    exchange.send(b"0\r\nX-After: 1\r\n\r\n")


@pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
@pytest.mark.parametrize("size,most", [(300, 1), (len(LARGE), 1500)])
def test_never_ready_and_never_more_than_a_few_bytes(curfew, upstream, faults, certificates, tls, size, most):
    """Every second read or write finds the socket not ready; the others move `most` bytes."""
    options = {"tls": {"ca_file": certificates.ca, "server_name": "api.test"}} if tls else {}
    for script in (echo, chunked):
        up = upstream(script, tls=certificates.server() if tls else None)
        proxy = curfew(url=up.url, deadline="30s", env=faults.env, **options)
        caller = proxy.caller()
        with faults.armed(RECEIVE | SEND, ever=True, period=2, error=errno.EAGAIN, bytes=most):
            for _ in range(2):
                if script is echo:
                    caller.request("POST", "/", content=LARGE[:size])
                else:
                    caller.request("POST", "/", "Transfer-Encoding: chunked",
                                   content=b"%x\r\n%s\r\n0\r\nX-T: 1\r\n\r\n" % (size, LARGE[:size]))
                response = caller.recv_response()
                assert response.content == LARGE[:size]
            assert faults.failed > 20
        assert proxy.wait_idle().calls("completed") == 2
        assert up.connections == 1


@pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
@pytest.mark.parametrize("kind,error", [(RECEIVE, errno.ECONNRESET), (RECEIVE, errno.ENOMEM), (SEND, errno.EPIPE),
                                        (SEND, errno.ENOBUFS), (SEND, errno.ENOMEM)], ids=str)
def test_each_read_and_write_fails_once(curfew, upstream, faults, certificates, tls, kind, error):
    """The call ends in one of the ways that a caller can tell from success, and the next one is served."""
    options = {"tls": {"ca_file": certificates.ca, "server_name": "api.test"}} if tls else {}

    def script(exchange):
        try:
            echo(exchange)
        except OSError as gone:
            raise Cut("reset") from gone

    up = upstream(script, tls=certificates.server() if tls else None)
    proxy = curfew(url=up.url, env=faults.env, keepalive={"max_idle": 0}, **options)
    content, nth = LARGE[:100_000], 0
    while True:
        nth += 1
        faults.arm(kind, nth, error=error)
        try:
            response = proxy.ask("POST", "/", content=content)
            assert response.content == content if response.status == 200 else response.status in (500, 502), response
        except (Cut, ConnectionError):
            assert faults.failed
        faults.disarm()
        proxy.wait_idle()
        assert proxy.ask("POST", "/", content=b"next").content == b"next"
        if not faults.failed:
            break
    assert nth > 3


# ------------------------------------------------------------------------------------ the log


def _lines(path):
    """(those that are JSON, those that are not)"""
    good, torn = [], []
    for line in path.read_text().splitlines():
        try:
            good.append(json.loads(line))
        except ValueError:
            torn.append(line)
    return good, torn


def _lost(proxy):
    return proxy.metrics().sum("curfew_log_lines_dropped_total")


def test_a_full_disk_under_the_log(pair):
    proxy, _ = pair(ok, top={"log": {"access": "/dev/full"}})
    caller = proxy.caller()
    for _ in range(50):
        assert caller.ask().status == 200
    proxy.wait_metric("curfew_log_lines_dropped_total", 50)


@pytest.mark.parametrize("kept", [1, 100])
def test_a_disk_that_is_full_for_a_while_tears_no_other_line(pair, faults, tmp_path, kept):
    """A line may be torn where the disk was full. The next one begins anew, and what is not there has been counted."""
    log = tmp_path / "calls.log"
    proxy, _ = pair(ok, env=faults.env, top={"log": {"access": str(log)}})
    caller = proxy.caller()
    calls = 0
    for round_ in range(3):
        faults.arm(WRITE, 2, error=errno.ENOSPC, bytes=kept)
        assert caller.ask("GET", f"/torn{round_}").status == 200
        proxy.wait_metric("curfew_log_lines_dropped_total", round_ + 1)
        faults.disarm()
        assert caller.ask("GET", f"/whole{round_}").status == 200
        calls += 2
        poll(lambda: len(_lines(log)[0]) + _lost(proxy) == calls, lambda: log.read_text())
    good, torn = _lines(log)
    assert [line["target"] for line in good] == ["/whole0", "/whole1", "/whole2"]
    assert [len(line) for line in torn] == [kept] * 3


def test_a_log_that_may_not_grow_ends_nothing(pair, tmp_path):
    """SIGXFSZ would, if it were not ignored."""
    log = tmp_path / "calls.log"
    proxy, _ = pair(ok, top={"log": {"access": str(log)}})
    caller = proxy.caller()
    assert caller.ask().status == 200
    poll(log.read_text, "the first line")
    usual = resource.prlimit(proxy.process.pid, resource.RLIMIT_FSIZE)
    resource.prlimit(proxy.process.pid, resource.RLIMIT_FSIZE, (log.stat().st_size + 10, usual[1]))
    assert caller.ask().status == 200
    proxy.wait_metric("curfew_log_lines_dropped_total", 1)
    resource.prlimit(proxy.process.pid, resource.RLIMIT_FSIZE, usual)
    assert caller.ask("GET", "/after").status == 200
    poll(lambda: len(_lines(log)[0]) == 2, log.read_text)
    good, torn = _lines(log)
    assert good[1]["target"] == "/after" and [len(line) for line in torn] == [10]


def test_a_log_in_small_pieces_is_whole(pair, faults, tmp_path):
    log = tmp_path / "calls.log"
    proxy, _ = pair(ok, env=faults.env, top={"log": {"access": str(log)}})
    caller = proxy.caller()
    with faults.armed(WRITE, error=0, bytes=7):
        for _ in range(20):
            assert caller.ask().status == 200
        poll(lambda: len(_lines(log)[0]) == 20, log.read_text)
    assert _lines(log)[1] == [] and _lost(proxy) == 0


def test_a_fifo_that_nobody_reads_is_an_error_at_the_start(tmp_path):
    fifo, config = tmp_path / "log", tmp_path / "curfew.yaml"
    os.mkfifo(fifo)
    config.write_text(f"log: {{access: {fifo}}}\nupstreams: {{api: {{listen: '127.0.0.1:0', url: 'http://127.0.0.1:1'}}}}\n")
    done = run([BINARY, "serve", "-c", config], seconds=SOON)
    assert done.returncode == 1 and f"log.access: {fifo}: " in done.stderr, done


def test_a_fifo_whose_reader_stops_and_leaves_and_comes_back(pair, tmp_path):
    fifo = tmp_path / "log"
    os.mkfifo(fifo)
    reader = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    proxy, _ = pair(ok, top={"log": {"access": str(fifo)}})
    caller = proxy.caller()
    long = "/" + "x" * 1500
    for _ in range(500):  # more than the pipe and the ring hold
        assert caller.ask("GET", long).status == 200
    must_not_spin(proxy, 0.3)
    os.close(reader)
    poll(lambda: _lost(proxy) > 0, "lines that have been lost with the reader")
    for _ in range(3):
        assert caller.ask().status == 200
    proxy.wait_idle()
    reader = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    seen = []

    def comes_back():
        assert caller.ask("GET", "/back").status == 200
        try:
            seen.append(os.read(reader, 65536))
        except BlockingIOError:
            pass
        return b"/back" in b"".join(seen)

    poll(comes_back, "a line for the new reader", 10 * SLOW)
    os.close(reader)
