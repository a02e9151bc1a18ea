"""`curfew faulty`, the API that misbehaves on purpose: each path does what --help says of it."""

import contextlib
import json
import os
import re
import signal
import socket
import ssl
import struct
import subprocess
import time
import zlib
from pathlib import Path

import pytest

from harness.bounds import readable
from harness.curfew import curfew_command

# The program, and the load client that other tests measure with: it is tried out here, where each failure can be had.
CURFEW = os.environ.get("CURFEW", str(Path(__file__).resolve().parents[2] / "build/release/curfew"))
LOAD = str(Path(os.environ.get("CURFEW_TOOLS", Path(CURFEW).parent / "tools")) / "load")
# No wait is longer than this, however slow the machine and the sanitizers are.
PATIENCE_S = 20
PERIOD = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxy"


def pattern(length):
    return (PERIOD * (length // len(PERIOD) + 1))[:length]


class Server:
    """A running `curfew faulty`; address is that of its first listener."""

    def __init__(self, *args, listen=("127.0.0.1:0",)):
        command = [CURFEW, "faulty", *args]
        for address in listen:
            command += ["--listen", address]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.addresses = [self._address(self.process.stdout.readline()) for _ in listen]
        self.address = self.addresses[0]

    def _address(self, line):
        if not line.startswith("listening on "):
            self.process.kill()
            raise AssertionError(f"{line!r} {self.process.communicate()[1]}")
        text = line[len("listening on ") :].strip()
        if text.startswith("unix:"):
            return text[5:]
        host, port = text.rsplit(":", 1)
        return host.strip("[]"), int(port)

    def connect(self, address=None):
        address = address or self.address
        if isinstance(address, str):
            sock = socket.socket(socket.AF_UNIX)
            sock.settimeout(PATIENCE_S)
            sock.connect(address)
            return sock
        return socket.create_connection(address, timeout=PATIENCE_S)

    def stats(self, address=None):
        with self.connect(address) as sock:
            return json.loads(call(sock, "GET /stats")[2])

    def stop(self, signum=signal.SIGTERM):
        """Ends it; returns exit status and stderr, which has a sanitizer's findings."""
        self.process.send_signal(signum)
        err = self.process.communicate(timeout=PATIENCE_S)[1]
        return self.process.returncode, err


@contextlib.contextmanager
def running(*args, **kwargs):
    server = Server(*args, **kwargs)
    try:
        yield server
        assert server.stop() == (0, "")
    finally:
        server.process.kill()
        server.process.communicate()


@pytest.fixture(scope="module")
def shared():
    with running() as server:
        yield server


@pytest.fixture
def faulty(shared):
    """One server for all tests; its counts begin at 0 in each."""
    eventually(lambda: shared.stats()["in_work"] == 0)
    with shared.connect() as sock:
        call(sock, "POST /stats/reset")
    return shared


@pytest.fixture
def sock(faulty):
    with faulty.connect() as connected:
        yield connected


def request(line, *fields, content=b""):
    fields = ("Host: test", *fields)
    return (f"{line} HTTP/1.1\r\n" + "".join(f"{f}\r\n" for f in fields) + "\r\n").encode() + content


def read_head(stream):
    lines = []
    while (line := stream.readline()) not in (b"\r\n", b""):
        assert line.endswith(b"\r\n"), line
        lines.append(line[:-2].decode())
    assert line, f"the connection ended in a head: {lines}"
    version, status, _ = lines[0].split(" ", 2)
    assert version in ("HTTP/1.1", "HTTP/1.0")
    fields = dict(f.split(": ", 1) for f in lines[1:])
    return int(status), fields


def read_chunks(stream):
    content = b""
    while size := int(stream.readline().strip() or b"0", 16):
        content += stream.read(size)
        assert stream.readline() == b"\r\n"
    trailers = {}
    while (line := stream.readline()) != b"\r\n":
        assert line, "the connection ended in the trailers"
        name, value = line.decode().strip().split(": ", 1)
        trailers[name] = value
    return content, trailers


def read_response(stream, head=False):
    """Status, fields (trailers too), content."""
    status, fields = read_head(stream)
    if head or status < 200 or status in (204, 304):
        return status, fields, b""
    if fields.get("Transfer-Encoding") == "chunked":
        content, trailers = read_chunks(stream)
        return status, fields | trailers, content
    if "Content-Length" in fields:
        return status, fields, stream.read(int(fields["Content-Length"]))
    return status, fields, stream.read()


def send(sock, data):
    sock.sendall(data)
    return sock.makefile("rb")


def call(sock, line, *fields, content=b"", head=False):
    if content and not any(f.startswith("Transfer-Encoding") for f in fields):
        fields += (f"Content-Length: {len(content)}",)
    with send(sock, request(line, *fields, content=content)) as stream:
        return read_response(stream, head=head)


def eventually(check):
    """Waits until check() holds: what the server does about other connections has no signal of its own."""
    end = time.monotonic() + PATIENCE_S
    while not check():
        assert time.monotonic() < end, "it never came to that"


def silent(sock, seconds=0.15):
    """Is nothing to be read, not even an end?"""
    return not readable(sock, seconds)


def reset_on_close(sock):
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def end_of(sock):
    """How the connection ends: all bytes, and whether by a reset."""
    data = b""
    try:
        while part := sock.recv(65536):
            data += part
    except ConnectionResetError:
        return data, True
    return data, False


# ------------------------------------------------------------------------------------ correct answers


def test_ok_is_answered_again_and_again_on_one_connection(faulty, sock):
    for _ in range(3):
        assert call(sock, "GET /ok")[::2] == (200, b"ok\n")
    assert faulty.stats()["requests_total"] == 3


def test_requests_in_a_row_are_answered_in_order(sock):
    with send(sock, request("GET /bytes/1") + request("GET /delay/30") + request("GET /bytes/2")) as stream:
        assert [read_response(stream)[2] for _ in range(3)] == [b"0", b"ok\n", b"01"]


def test_a_request_byte_by_byte_is_understood(sock):
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    for byte in request("POST /sink", "Transfer-Encoding: chunked", content=b"3\r\nabc\r\n0\r\n\r\n"):
        sock.sendall(bytes([byte]))
    assert json.loads(read_response(sock.makefile("rb"))[2])["bytes"] == 3


@pytest.mark.parametrize("path", ["bytes", "chunked"])
@pytest.mark.parametrize("length", [0, 1, 61, 62465, 1000000])
def test_generated_content_is_the_pattern(sock, path, length):
    status, fields, content = call(sock, f"GET /{path}/{length}")
    assert (status, content) == (200, pattern(length))
    assert ("Content-Length" in fields) == (path == "bytes")
    assert call(sock, "GET /ok")[2] == b"ok\n"


def test_large_content_takes_little_memory(faulty, sock):
    def resident_kib():
        text = Path(f"/proc/{faulty.process.pid}/status").read_text()
        return int(re.search(r"VmHWM:\s+(\d+)", text)[1])

    before = resident_kib()
    with send(sock, request("GET /bytes/134217728")) as stream:
        read_head(stream)
        for _ in range(128):
            assert len(stream.read(1 << 20)) == 1 << 20
    assert resident_kib() - before < 4096


def test_delay_answers_after_that_time(sock):
    start = time.monotonic()
    assert call(sock, "GET /delay/200")[0] == 200
    assert time.monotonic() - start >= 0.2


@pytest.mark.parametrize("code", [200, 201, 302, 404, 418, 500, 503, 599])
def test_status_is_the_one_asked_for(sock, code):
    assert call(sock, f"GET /status/{code}")[::2] == (code, f"status {code}\n".encode())


@pytest.mark.parametrize("code", [204, 205, 304])
def test_status_without_content_keeps_the_connection(sock, code):
    assert call(sock, f"GET /status/{code}")[::2] == (code, b"")
    assert call(sock, "GET /ok")[2] == b"ok\n"


@pytest.mark.parametrize("path, interim", [("/status/102", 102), ("/hints", 103)])
def test_interim_responses_come_before_the_final_one(sock, path, interim):
    with send(sock, request(f"GET {path}")) as stream:
        assert read_response(stream)[0] == interim
        assert read_response(stream)[::2] == (200, b"ok\n")


@pytest.mark.parametrize("path", ["/bytes/10", "/chunked/10", "/ok", "/drip/1", "/trailers", "/echo", "/half/10"])
def test_head_has_no_content(sock, path):
    assert call(sock, f"HEAD {path}", head=True)[0] == 200
    if path != "/half/10":
        assert call(sock, "GET /ok")[2] == b"ok\n"


def test_close_ends_the_content_with_the_connection(faulty):
    for path, expected in (("/close", b"ok\n"), ("/close?bytes=100000", pattern(100000))):
        with faulty.connect() as sock:
            status, fields, content = call(sock, f"GET {path}")
            assert (status, content, fields["Connection"]) == (200, expected, "close")
            assert "Content-Length" not in fields and "Transfer-Encoding" not in fields


@pytest.mark.parametrize("query, has_length", [("", True), ("?nolength", False), ("?bytes=9", True)])
def test_http10_answers_as_an_old_server(faulty, query, has_length):
    with faulty.connect() as sock:
        sock.sendall(request(f"GET /http10{query}"))
        data, _ = end_of(sock)
    assert data.startswith(b"HTTP/1.0 200 OK\r\n")
    assert (b"Content-Length" in data) == has_length
    assert data.endswith(b"012345678" if "bytes" in query else b"ok\n")


def test_trailers_follow_the_content(sock):
    status, fields, content = call(sock, "GET /trailers")
    assert (status, content) == (200, pattern(100))
    assert fields["X-Count"] == "1" and "X-Checksum" in fields["Trailer"]


def test_an_http10_client_gets_no_chunks_and_a_close(faulty):
    with faulty.connect() as sock:
        sock.sendall(b"GET /chunked/5 HTTP/1.0\r\n\r\n")
        data, _ = end_of(sock)
    assert data.endswith(b"\r\n\r\n01234") and b"chunked" not in data


def test_an_http10_client_may_keep_the_connection(sock):
    for _ in range(2):
        with send(sock, b"GET /ok HTTP/1.0\r\nConnection: keep-alive\r\n\r\n") as stream:
            assert read_response(stream)[1]["Connection"] == "keep-alive"


def test_connection_close_is_honoured(faulty):
    with faulty.connect() as sock:
        sock.sendall(request("GET /ok", "Connection: close"))
        data, reset = end_of(sock)
    assert data.endswith(b"ok\n") and not reset


def test_answers_a_client_that_has_shut_down_its_sending_side(sock):
    sock.sendall(request("GET /ok"))
    sock.shutdown(socket.SHUT_WR)
    assert end_of(sock)[0].endswith(b"ok\n")


# -------------------------------------------------------------------------------------------- content


def test_echo_returns_the_request_byte_for_byte(sock):
    sent = request("PUT /echo?a=b", "x-ODD:  spaced \t", "X-Two: 1", "X-Two: 2", "Content-Length: 5", content=b"a\0b\r\n")
    with send(sock, sent) as stream:
        assert read_response(stream)[::2] == (200, sent)


def test_echo_decodes_chunks_unless_raw(sock):
    wire = b"3;ext=1\r\nabc\r\n2\r\nde\r\n0\r\nX-Trailer: 1\r\n\r\n"
    for query, expected in (("", b"abcde"), ("?raw", wire)):
        content = call(sock, f"POST /echo{query}", "Transfer-Encoding: chunked", content=wire)[2]
        assert content.split(b"\r\n\r\n", 1)[1] == expected


def test_echo_has_a_limit_and_survives_it(sock):
    assert call(sock, "POST /echo", content=bytes(1 << 20))[0] == 413
    assert call(sock, "POST /echo", content=bytes(1000))[0] == 200


@pytest.mark.parametrize("length", [0, 1, 3000000])
def test_sink_counts_and_checks_content(sock, length):
    content = pattern(length)
    answer = json.loads(call(sock, "POST /sink", content=content)[2])
    assert answer == {"bytes": length, "crc32": f"{zlib.crc32(content):08x}"}


def test_slowread_takes_its_time(sock):
    start = time.monotonic()
    assert json.loads(call(sock, "POST /slowread/50000", content=bytes(20000))[2])["bytes"] == 20000
    assert time.monotonic() - start > 0.3


def test_slowread_of_nothing_holds_the_sender_back(faulty, sock):
    sock.sendall(request("POST /slowread/0", "Content-Length: 1000000000"))
    sock.setblocking(False)
    with pytest.raises(BlockingIOError):
        for _ in range(1000):
            sock.send(bytes(65536))
    assert faulty.stats()["in_work"] == 1
    reset_on_close(sock)  # a FIN would have to wait behind what is never read


def test_early_answers_before_the_content_and_keeps_the_connection(sock):
    sock.sendall(request("POST /early", "Content-Length: 6", "Expect: 100-continue"))
    assert read_response(sock.makefile("rb"))[::2] == (200, b"ok\n")
    sock.sendall(b"abcdef")
    assert call(sock, "GET /bytes/3")[2] == b"012"


def test_expect_is_answered_by_100(sock):
    sock.sendall(request("POST /sink", "Content-Length: 3", "Expect: 100-continue"))
    with sock.makefile("rb") as stream:
        assert read_response(stream)[0] == 100
        sock.sendall(b"abc")
        assert json.loads(read_response(stream)[2])["bytes"] == 3


# ------------------------------------------------------------------------------------------- failures


def test_stuck_never_answers(faulty, sock):
    sock.sendall(request("GET /stuck"))
    assert silent(sock)
    assert faulty.stats()["in_work"] == 1


@pytest.mark.parametrize("query", ["?bytes=20", "?bytes=20&chunked"])
def test_drip_sends_a_byte_at_a_time(sock, query):
    start = time.monotonic()
    assert call(sock, f"GET /drip/10{query}")[::2] == (200, pattern(20))
    assert time.monotonic() - start >= 0.19


def test_drip_sends_the_head_at_once_and_has_no_end(sock):
    with send(sock, request("GET /drip/50")) as stream:
        status, fields = read_head(stream)
        assert status == 200 and int(fields["Content-Length"]) > 10**9
        assert stream.read(3) == b"012"


def test_headdrip_sends_the_head_a_byte_at_a_time(sock):
    start = time.monotonic()
    assert call(sock, "GET /headdrip/2")[::2] == (200, b"ok\n")
    assert time.monotonic() - start >= 0.1
    assert call(sock, "GET /ok")[2] == b"ok\n"


@pytest.mark.parametrize("length", [10, 100001])
def test_half_breaks_its_promise(sock, length):
    sock.sendall(request(f"GET /half/{length}"))
    data, reset = end_of(sock)
    head, content = data.split(b"\r\n\r\n", 1)
    assert f"Content-Length: {length}".encode() in head and b"Connection: close" not in head
    assert content == pattern(length // 2) and not reset


def test_half_in_chunks_has_no_last_chunk(sock):
    sock.sendall(request("GET /half/10?chunked"))
    assert end_of(sock)[0].endswith(b"\r\n\r\n5\r\n01234\r\n")


def test_reset_sends_nothing_but_a_reset(sock):
    sock.sendall(request("GET /reset"))
    assert end_of(sock) == (b"", True)


def test_garbage_is_not_http(sock):
    sock.sendall(request("GET /garbage"))
    data, reset = end_of(sock)
    assert data and not data.startswith(b"HTTP/") and not reset


def flaky_outcomes(server, percent, count):
    outcomes = []
    for _ in range(count):
        with server.connect() as sock:
            sock.sendall(request(f"GET /flaky/{percent}", "Connection: close"))
            data, reset = end_of(sock)
        if reset:
            outcomes.append("reset")
        else:
            outcomes.append("half" if b"Content-Length: 1000" in data else data[9:12].decode())
    return outcomes


def test_flaky_fails_as_often_as_it_says_and_in_turn(faulty):
    outcomes = flaky_outcomes(faulty, 30, 100)
    failures = [o for o in outcomes if o != "200"]
    assert failures == ["reset", "half", "500"] * 10


def test_flaky_repeats_itself_after_a_reset_and_differs_by_seed(faulty):
    first = flaky_outcomes(faulty, 50, 30)
    with faulty.connect() as sock:
        call(sock, "POST /stats/reset")
    assert flaky_outcomes(faulty, 50, 30) == first
    with running("--seed", "12345") as other:
        assert flaky_outcomes(other, 50, 30) != first


def steps_of(sock, path, count):
    return [call(sock, f"GET {path}")[0] for _ in range(count)]


def test_a_sequence_is_gone_through_once_and_its_last_step_stays(sock):
    assert steps_of(sock, "/seq/503,429,200", 5) == [503, 429, 200, 200, 200]


def test_each_key_has_a_sequence_of_its_own(faulty, sock):
    paths = ("/seq/500,201?key=a", "/seq/500,201?key=b", "/seq/500,201", "/seq/500,202")
    assert [steps_of(sock, path, 1) for path in paths] == [[500]] * 4
    assert [steps_of(sock, path, 1) for path in paths] == [[201], [201], [201], [202]]
    assert (faulty.stats()["keys"], faulty.stats()["attempts_max"]) == (4, 2)
    call(sock, "POST /stats/reset")
    assert (faulty.stats()["keys"], faulty.stats()["attempts_max"]) == (0, 0)
    assert steps_of(sock, paths[0], 2) == [500, 201]


@pytest.mark.parametrize("step, ends", [("reset", (b"", True)), ("close", (b"", False)), ("garbage", (b"\x16", False)),
                                        ("half", (b"H", False))])
def test_a_step_may_be_a_failure(sock, step, ends):
    sock.sendall(request(f"GET /seq/{step}"))
    data, reset = end_of(sock)
    assert (data[:1], reset) == ends


PIECES = {"event": b'data: {"text": "word "}\n\n', "ping": b'event: ping\ndata: {"type": "ping"}\n\n', "comment": b": ping\n\n",
          "retry": b"retry: 3000\n\n", "done": b"data: [DONE]\n\n"}


def test_events_come_by_their_schedule(sock):
    began = time.monotonic()
    status, fields, content = call(sock, "GET /sse/event,ping~50,comment,retry,event*3~20,done")
    assert (status, fields["Content-Type"]) == (200, "text/event-stream")
    assert content == b"".join(PIECES[name] for name in "event ping comment retry event event event done".split())
    assert time.monotonic() - began >= 0.11
    assert call(sock, "GET /sse/end")[2] == b""
    assert call(sock, "GET /ok")[0] == 200


@pytest.mark.parametrize("how, reset", [("close", False), ("reset", True)])
def test_events_may_end_early(sock, how, reset):
    sock.sendall(request(f"GET /sse/event,{how}~50"))
    data, was_reset = end_of(sock)
    assert data.endswith(b"\n\n\r\n") and was_reset == reset


def test_events_may_begin_again_or_stall(sock):
    sock.sendall(request("GET /sse/comment~10,again"))
    received = b""
    while received.count(PIECES["comment"]) < 5:
        received += sock.recv(4096)


def test_towards_http_1_0_events_end_with_the_connection(sock):
    sock.sendall(b"GET /sse/event*2 HTTP/1.0\r\n\r\n")
    data, _ = end_of(sock)
    assert data.split(b"\r\n\r\n", 1)[1] == PIECES["event"] * 2


def test_a_step_may_take_its_time(sock):
    began = time.monotonic()
    assert steps_of(sock, "/seq/204~100,200", 2) == [204, 200]
    assert time.monotonic() - began >= 0.1


def test_a_status_may_say_when_to_come_again(sock):
    status, fields, _ = call(sock, "GET /seq/429,503?after=Sun,%2006%20Nov%201994%2008:49:37%20GMT&told")
    assert (status, fields["Retry-After"]) == (429, "Sun, 06 Nov 1994 08:49:37 GMT")
    assert fields["X-Should-Retry"] == "false"
    assert call(sock, "GET /status/503?after=-1")[1]["Retry-After"] == "-1"
    assert "Retry-After" not in call(sock, "GET /status/503")[1]
    assert "Retry-After" not in call(sock, "GET /seq/503?key=5")[1]


def test_flapping_keeps_to_its_schedule(sock):
    began, seen = time.monotonic(), []
    while time.monotonic() - began < 0.9:
        seen += steps_of(sock, "/flap/200?down=100&by=502", 1)
    changes = [a for a, b in zip(seen, seen[1:] + [0]) if a != b]
    assert changes[:4] == [200, 502, 200, 502]


# --------------------------------------------------------------------------------- requests it refuses


@pytest.mark.parametrize(
    "data, status",
    [
        (b"GET /ok HTTP/1.1\r\n\r\n", 400),
        (b"GET /ok HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400),
        (b"GET  /ok HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        (b"GET /ok HTTP/1.1\nHost: a\r\n\r\n", 400),
        (b"GET /ok HTTP/1.1\r\nHost : a\r\n\r\n", 400),
        (b"GET /ok HTTP/1.1\r\nHost: a\r\n folded\r\n\r\n", 400),
        (b"GET /ok HTTP/1.1\r\nHost: a\r\nX: a\x01b\r\n\r\n", 400),
        (b"GET /ok HTTP/2.0\r\nHost: a\r\n\r\n", 505),
        (b"nonsense\r\n\r\n", 400),
        (b"POST /ok HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", 400),
        (b"POST /ok HTTP/1.1\r\nHost: a\r\nContent-Length: +1\r\n\r\n", 400),
        (b"POST /ok HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", 400),
        (b"POST /ok HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", 501),
        (b"POST /ok HTTP/1.1\r\nHost: a\r\nExpect: more\r\n\r\n", 417),
        (b"POST /ok HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n", 400),
        (b"POST /ok HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nab\r\n", 400),
        (b"POST /ok HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n" + b"1" * 17 + b"\r\n", 400),
        (b"GET /ok HTTP/1.1\r\nHost: a\r\nX: " + b"x" * 70000 + b"\r\n\r\n", 431),
    ],
)
def test_a_request_that_breaks_the_rules_is_refused(sock, data, status):
    sock.sendall(data)
    sock.shutdown(socket.SHUT_WR)
    answer, _ = end_of(sock)
    assert answer.startswith(b"HTTP/1.1 %d " % status), answer
    assert b"Connection: close" in answer


@pytest.mark.parametrize("path, status", [("/nope", 404), ("/ok/", 404), ("/bytes/", 400), ("/bytes/-1", 400)] + [
    (p, 400) for p in ("/bytes/99999999999999", "/status/600", "/drip/0", "/flaky/101", "/close?bytes=x", "/seq/", "/seq/99", "/seq/200,nope", "/seq/200~x", "/flap/0", "/flap/9?by=x",
                        "/sse/", "/sse/nope", "/sse/event~x", "/sse/event*0", "/sse/end*2", "/sse/event,again", "/status/200?after=%0d", "/status/200?after=%4")
])
def test_a_wrong_path_or_number_is_said_and_the_connection_kept(sock, path, status):
    assert call(sock, f"POST {path}", content=b"abc")[0] == status
    assert call(sock, "GET /ok")[0] == 200


def test_absolute_form_targets_are_understood(sock):
    assert call(sock, "GET http://api.test:80/bytes/2?x")[2] == b"01"
    assert call(sock, "GET http://api.test")[0] == 404


# ----------------------------------------------------------------------------------------- statistics


def test_stats_count_what_is_in_work_and_not_themselves(faulty):
    socks = [faulty.connect() for _ in range(5)]
    for sock in socks:
        sock.sendall(request("GET /stuck"))
    eventually(lambda: faulty.stats()["in_work_max"] == 5)  # which comes a turn after in_work
    for sock in socks[:3]:
        sock.close()
    eventually(lambda: faulty.stats()["in_work"] == 2)
    stats = faulty.stats()
    assert (stats["in_work_max"], stats["gone_total"], stats["requests_total"]) == (5, 3, 5)
    for sock in socks[3:]:
        sock.close()
    eventually(lambda: faulty.stats()["in_work"] == 0)


@pytest.mark.parametrize("line", ["GET /stuck", "GET /drip/1000", "GET /headdrip/1000", "GET /delay/60000",
                                  "GET /bytes/1000000000", "POST /slowread/1"])
@pytest.mark.parametrize("reset", [False, True])
def test_a_peer_that_leaves_is_noticed_whatever_its_request_waits_for(faulty, line, reset):
    sock = faulty.connect()
    sock.sendall(request(line, *(["Content-Length: 100"] if "slowread" in line else []), content=b""))
    if "slowread" in line:
        sock.sendall(bytes(50))
    eventually(lambda: faulty.stats()["in_work"] == 1)
    if reset:
        reset_on_close(sock)
    sock.close()
    eventually(lambda: faulty.stats()["in_work"] == 0)
    assert faulty.stats()["gone_total"] == 1


def test_stats_reset_wants_post(sock):
    assert call(sock, "GET /stats/reset")[0] == 405


def test_hundreds_of_connections_are_in_work_at_once(faulty):
    socks = []
    try:
        for _ in range(400):
            socks.append(faulty.connect())
            socks[-1].sendall(request("GET /delay/300"))
        for sock in socks:
            with sock.makefile("rb") as stream:
                assert read_response(stream)[0] == 200
    finally:
        for sock in socks:
            sock.close()
    stats = faulty.stats()
    assert (stats["responses_total"], stats["in_work"]) == (400, 0)


# ------------------------------------------------------------------------------------------------ TLS


def tls_connect(server, cafile, name="localhost", cert=None, session=None, version=None):
    context = ssl.create_default_context(cafile=cafile)
    if version:
        context.maximum_version = version
    if cert:
        context.load_cert_chain(*cert)
    return context.wrap_socket(server.connect(), server_hostname=name)


def make_certificate(directory, name):
    cert, key = directory / f"{name}.pem", directory / f"{name}.key"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
         "-subj", f"/CN={name}", "-addext", f"subjectAltName=DNS:{name}", "-keyout", str(key), "-out", str(cert)],
        check=True, capture_output=True, timeout=PATIENCE_S,
    )  # fmt: skip
    return str(cert), str(key)


@pytest.fixture(scope="module")
def tls(tmp_path_factory):
    ca = str(tmp_path_factory.mktemp("tls") / "ca.pem")
    with running("--tls", "--ca-out", ca) as server:
        server.ca = ca
        yield server


@pytest.mark.parametrize("name", ["localhost", "api.test", "127.0.0.1", "::1"])
def test_the_certificate_that_it_makes_can_be_trusted(tls, name):
    with tls_connect(tls, tls.ca, name) as sock:
        assert call(sock, "GET /ok")[2] == b"ok\n"


def test_check_has_nothing_to_say_against_the_certificate(tls, tmp_path):
    config = tmp_path / "curfew.yaml"
    config.write_text(f"upstreams: {{api: {{listen: 0, url: 'https://localhost', tls: {{ca_file: {tls.ca}}}}}}}\n")
    done = curfew_command("check", "--strict", "--descriptors", "20000", "--memory", "64GiB", config)
    assert (done.returncode, done.stderr) == (0, "")


def test_the_certificate_stands_for_no_other_name(tls):
    with pytest.raises(ssl.SSLCertVerificationError):
        tls_connect(tls, tls.ca, "example.com")


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_paths_work_over_tls(tls, version):
    with tls_connect(tls, tls.ca, version=version) as sock:
        assert call(sock, "GET /bytes/1000000")[2] == pattern(1000000)
        assert json.loads(call(sock, "POST /sink", content=pattern(1000000))[2])["bytes"] == 1000000
        assert call(sock, "POST /slowread/2000000", content=bytes(100000))[0] == 200
        assert call(sock, "GET /drip/2?bytes=20&chunked")[2] == pattern(20)
        assert call(sock, "GET /close")[2] == b"ok\n"


def test_reset_works_over_tls(tls):
    with tls_connect(tls, tls.ca) as sock:
        sock.sendall(request("GET /reset"))
        assert end_of(sock)[0] == b""  # Python's ssl takes a reset for an end


def test_a_peer_that_leaves_is_noticed_over_tls(tls):
    def stats():
        with tls_connect(tls, tls.ca) as sock:
            return json.loads(call(sock, "GET /stats")[2])

    sock = tls_connect(tls, tls.ca)
    sock.sendall(request("GET /stuck"))
    eventually(lambda: stats()["in_work"] == 1)
    sock.close()
    eventually(lambda: stats()["in_work"] == 0)


def test_plain_http_to_a_tls_port_is_a_failed_handshake(tls):
    with tls.connect() as sock:
        sock.sendall(request("GET /ok"))
        assert not end_of(sock)[0].startswith(b"HTTP/")


def test_certificate_and_key_from_files(tmp_path):
    cert, key = make_certificate(tmp_path, "files.test")
    out = tmp_path / "out.pem"
    with running("--tls", "--cert", cert, "--key", key, "--ca-out", str(out)) as server:
        with tls_connect(server, cert, "files.test") as sock:
            assert call(sock, "GET /ok")[0] == 200
    assert out.read_text() in Path(cert).read_text()


def test_client_certificates_can_be_demanded(tmp_path):
    client = make_certificate(tmp_path, "client.test")
    ca = str(tmp_path / "ca.pem")
    with running("--tls", "--ca-out", ca, "--client-ca", client[0]) as server:
        with tls_connect(server, ca, cert=client) as sock:
            assert call(sock, "GET /ok")[0] == 200
        with pytest.raises((ssl.SSLError, ConnectionError)):
            with tls_connect(server, ca) as sock:
                sock.sendall(request("GET /ok"))
                assert sock.recv(1) != b""


def test_tls_stall_reads_the_hello_and_never_answers():
    with running("--tls-stall") as server:
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        hello = ssl.create_default_context().wrap_bio(incoming, outgoing, server_hostname="localhost")
        with pytest.raises(ssl.SSLWantReadError):
            hello.do_handshake()
        with server.connect() as sock:
            sock.sendall(outgoing.read())
            assert silent(sock)


# -------------------------------------------------------------------------------------- command line


def run(*args):
    done = subprocess.run([CURFEW, "faulty", *args], capture_output=True, text=True, timeout=PATIENCE_S)
    return done.returncode, done.stdout, done.stderr


def test_help_lists_every_path():
    status, out, err = run("--help")
    assert (status, err) == (0, "")
    for path in ("/ok", "/bytes/N", "/stuck", "/drip/MS", "/flaky/PERCENT", "/seq/STEP", "/flap/MS", "/sse/EVENT", "/slowread/RATE", "/stats"):
        assert path in out


@pytest.mark.parametrize(
    "args, said",
    [
        ([], "--listen is missing"),
        (["--listen"], "a value is missing after --listen"),
        (["--listen", "nowhere"], "nowhere is neither"),
        (["--listen", "127.0.0.1:70000"], "127.0.0.1:70000 is neither"),
        (["--listen", "localhost:80"], "localhost:80 is neither"),
        (["--listen", "127.0.0.1:0", "--nonsense"], "unknown option --nonsense"),
        (["--listen", "127.0.0.1:0", "extra"], "unexpected argument extra"),
        (["--listen", "127.0.0.1:0", "--tls", "--cert", "x"], "belong together"),
        (["--listen", "127.0.0.1:0", "--ca-out", "x"], "need --tls"),
        (["--listen", "127.0.0.1:0", "--seed", "x"], "--seed takes a number"),
    ],
)
def test_wrong_usage_is_said_and_exits_with_2(args, said):
    status, out, err = run(*args)
    assert (status, out) == (2, "") and said in err


def test_a_port_alone_is_one_of_this_machine():
    server = Server(listen=("0",))
    try:
        assert server.address[0] == "127.0.0.1" and server.address[1] != 0
    finally:
        server.process.kill()
        server.process.communicate()


def test_a_port_in_use_is_said_and_exits_with_1(faulty):
    address = "%s:%d" % faulty.address
    assert run("--listen", address) == (1, "", f"curfew faulty: cannot listen on {address}: Address already in use\n")


@pytest.mark.parametrize("option", ["--client-ca", "--cert"])
def test_a_missing_file_is_said_and_exits_with_1(tmp_path, option):
    missing = str(tmp_path / "missing.pem")
    args = [option, missing] + (["--key", missing] if option == "--cert" else [])
    status, out, err = run("--listen", "127.0.0.1:0", "--tls", *args)
    assert (status, out) == (1, "") and missing in err and "No such file" in err


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGINT])
def test_signals_end_it_with_0_even_with_calls_in_work(signum):
    with running() as server:
        with server.connect() as sock:
            sock.sendall(request("GET /drip/10"))
            sock.recv(1)
            assert server.stop(signum) == (0, "")


def test_several_listeners_of_all_kinds(tmp_path):
    path = tmp_path / "faulty.sock"
    with running(listen=("127.0.0.1:0", "[::1]:0", f"unix:{path}")) as server:
        for address in server.addresses:
            with server.connect(address) as sock:
                assert call(sock, "GET /ok")[2] == b"ok\n"
        assert server.stats()["connections_total"] == 4
    assert not path.exists()


def test_a_stale_unix_socket_is_replaced_and_a_live_one_is_not(tmp_path):
    path = tmp_path / "faulty.sock"
    with socket.socket(socket.AF_UNIX) as left_behind:
        left_behind.bind(str(path))
    with running(listen=(f"unix:{path}",)) as server:
        status, _, err = run("--listen", f"unix:{path}")
        assert status == 1 and "Address already in use" in err
        with server.connect() as sock:
            assert call(sock, "GET /ok")[0] == 200


# ------------------------------------------------------------------------------------ the load client


def load(server, *args):
    target = "%s:%d" % server.address
    command = [LOAD, "--target", target, "--timeout", str(PATIENCE_S), *map(str, args)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=3 * PATIENCE_S)
    assert (done.returncode, done.stderr) == (0, "")
    report = json.loads(done.stdout)
    ways = ("completed", "incomplete", "empty", "reset", "refused", "invalid", "aborted", "no_answer", "connect_errors")
    assert sum(report[way] for way in ways) == report["calls"]
    assert sum(report["status"].values()) == report["completed"]
    return report


@pytest.mark.parametrize(
    "path, way",
    [
        ("/ok", "completed"),
        ("/chunked/100000", "completed"),
        ("/close", "completed"),
        ("/http10", "completed"),
        ("/trailers", "completed"),
        ("/hints", "completed"),
        ("/status/204", "completed"),
        ("/half/1000", "incomplete"),
        ("/half/1000?chunked", "incomplete"),
        ("/reset", "reset"),
        ("/garbage", "invalid"),
    ],
)
def test_load_tells_how_calls_end(faulty, path, way):
    for pace in (["--at-once"], ["--concurrency", 2, "--keepalive"], ["--rate", 1000]):
        assert load(faulty, "--path", path, "--calls", 10, *pace)[way] == 10


def test_load_counts_by_status_and_takes_paths_in_turn(faulty):
    report = load(faulty, "--path", "/ok", "--path", "/status/503", "--calls", 10, "--at-once")
    assert report["status"] == {"200": 5, "503": 5}
    assert report["latency_ms"]["503"]["calls"] == 5


def test_load_keeps_its_rate_whatever_the_answers_take(faulty):
    report = load(faulty, "--path", "/delay/500", "--calls", 100, "--rate", 200)
    assert faulty.stats()["in_work_max"] > 50
    assert report["latency_ms"]["all"]["min"] >= 500 and report["wall_s"] >= 0.99


def test_load_aborts_and_gives_up(faulty):
    report = load(faulty, "--path", "/stuck", "--calls", 50, "--at-once", "--abort-after", "0:200")
    assert report["aborted"] == 50 and report["latency_ms"]["aborted"]["max"] >= 50
    assert load(faulty, "--path", "/stuck", "--calls", 5, "--at-once", "--timeout", 1)["no_answer"] == 5
    eventually(lambda: faulty.stats()["in_work"] == 0)


def test_load_uploads_and_reads_at_a_rate(faulty):
    args = ["--calls", 3, "--at-once"]
    slow = load(faulty, "--path", "/sink", "--body", 20000, "--upload-rate", 40000, *args)
    assert slow["status"] == {"200": 3} and 480 <= slow["latency_ms"]["all"]["min"]
    slow = load(faulty, "--path", "/bytes/100000", "--read-rate", 200000, "--verify", *args)
    assert slow["status"] == {"200": 3} and 300 <= slow["latency_ms"]["all"]["min"]
    assert load(faulty, "--path", "/ok", "--verify", *args)["invalid"] == 3


def test_load_says_when_it_is_refused(tmp_path):
    with running() as server:
        pass
    assert load(server, "--path", "/ok", "--calls", 3, "--at-once")["refused"] == 3


@pytest.mark.parametrize("args", [[], ["--calls", "1"], ["--target", "x"], ["--nonsense"]])
def test_load_exits_with_2_for_wrong_usage(args):
    done = subprocess.run([LOAD, *args], capture_output=True, text=True, timeout=PATIENCE_S)
    assert done.returncode == 2 and "--help" in done.stderr
