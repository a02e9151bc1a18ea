"""TLS towards APIs whose servers are peculiar: about resumption, and about when a client's certificate is asked for."""

import socket
import ssl
import subprocess
import threading

import pytest

from harness.bounds import SOON
from harness.peers import ScriptedUpstream, ok
from harness.ports import free_port
from harness.problem import expect
from harness.process import Lines

V12, V13 = ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3
VERSIONS = pytest.mark.parametrize("version", [V12, V13])


def offers_session(hello):
    """Does this ClientHello (a record) offer one: by a ticket (RFC 5077) or a pre-shared key (RFC 8446 4.2.11)?"""
    at = 5 + 4 + 2 + 32
    at += 1 + hello[at]
    at += 2 + int.from_bytes(hello[at:at + 2], "big")
    at += 1 + hello[at] + 2
    while at < len(hello):
        kind, size = (int.from_bytes(hello[i:i + 2], "big") for i in (at, at + 2))
        if kind == 41 or (kind == 35 and size):
            return True
        at += 4 + size
    return False


class Choosy(ScriptedUpstream):
    """Looks at each ClientHello before the handshake; `choke(sock)` takes those that it `chokes_on`."""

    def __init__(self, *args, choke, chokes_on=offers_session, **more):
        self.choked, self.choke, self.chokes_on = 0, choke, chokes_on
        super().__init__(*args, **more)

    def _adopt(self, sock):
        sock.settimeout(SOON)
        head = sock.recv(5, socket.MSG_PEEK | socket.MSG_WAITALL)
        hello = sock.recv(5 + int.from_bytes(head[3:5], "big"), socket.MSG_PEEK | socket.MSG_WAITALL)
        if not self.chokes_on(hello):
            return super()._adopt(sock)
        self.choked += 1
        sock.recv(len(hello), socket.MSG_WAITALL)
        self.choke(sock)
        raise ConnectionError("choked")


def alert(sock):
    sock.sendall(b"\x15\x03\x03\x00\x02\x02\x50")  # fatal, internal_error
    sock.shutdown(socket.SHUT_WR)


def end(sock):
    sock.shutdown(socket.SHUT_WR)


def reset(sock):
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    sock.close()


def no_tls(sock):
    sock.sendall(b"HTTP/1.1 500 Oops\r\n\r\n")
    sock.shutdown(socket.SHUT_WR)


@pytest.fixture(name="choosy")
def choosy_upstream():
    made = []

    def make(*args, **more):
        made.append(Choosy(*args, **more))
        return made[-1]

    yield make
    for up in made:
        up.close()
        up.must_be_content()


NEVER_KEPT = {"max_idle": 0}

# ---------------------------------------------------------------------------------- resumption


@pytest.mark.one_worker
@VERSIONS
@pytest.mark.parametrize("choke", [alert, end, reset, no_tls])
def test_a_server_that_chokes_on_resumption_costs_no_call_and_is_offered_no_session_again(curfew, choosy, certificates, version, choke):
    up = choosy(ok, choke=choke, tls=certificates.server(maximum=version))
    proxy = curfew(url=up.named("127.0.0.1"), tls={"ca_file": certificates.ca}, keepalive=NEVER_KEPT)
    assert [proxy.ask("POST", "/", content=b"x").status for _ in range(6)] == [200] * 6
    assert (up.choked, up.connections) == (1, 6)


def test_many_calls_at_once_to_a_server_that_chokes_on_resumption(curfew, choosy, certificates):
    up = choosy(ok, choke=reset, tls=certificates.server())
    proxy = curfew(url=up.named("127.0.0.1"), tls={"ca_file": certificates.ca}, keepalive=NEVER_KEPT,
                   top={"workers": 2})
    statuses = []
    threads = [threading.Thread(target=lambda: statuses.extend(proxy.ask().status for _ in range(6))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert statuses == [200] * 48
    assert proxy.wait_idle().calls("failed") == 0


@pytest.mark.one_worker
def test_of_two_addresses_the_one_that_chokes_is_tried_again(curfew, choosy, certificates, name_server):
    context = certificates.server()
    first = choosy(ok, choke=alert, tls=context)
    second = choosy(ok, choke=alert, tls=context, host="127.0.0.2", port=first.port)
    _, wrap = name_server({"api.test": ["127.0.0.1", "127.0.0.2"]})
    proxy = curfew(url=first.named("api.test"), wrap=wrap, tls={"ca_file": certificates.ca}, keepalive=NEVER_KEPT)
    assert [proxy.ask().status for _ in range(8)] == [200] * 8
    assert first.choked + second.choked == 1
    # Neither is remembered as an address that fails: calls are spread over them.
    assert min(first.connections, second.connections) >= 3


@pytest.mark.one_worker
def test_a_reload_in_the_middle_leaves_the_second_try_alone(curfew, choosy, certificates):
    chokes, may_choke = threading.Event(), threading.Event()

    def choke(sock):
        chokes.set()
        may_choke.wait(SOON)
        alert(sock)

    up = choosy(ok, choke=choke, tls=certificates.server())
    proxy = curfew(url=up.named("127.0.0.1"), tls={"ca_file": certificates.ca}, keepalive=NEVER_KEPT)
    assert proxy.ask().status == 200
    caller = proxy.caller()
    caller.request()
    assert chokes.wait(SOON)
    proxy.must_reload()
    may_choke.set()
    assert caller.recv_response().status == 200
    assert proxy.ask().status == 200  # in the new generation, which has no session yet
    assert up.choked == 1


@pytest.mark.one_worker
@VERSIONS
def test_a_server_that_has_forgotten_its_ticket_keys_is_offered_sessions_as_before(curfew, upstream, certificates, version):
    resumed = []

    def script(exchange):
        exchange.recv_request()
        resumed.append(exchange.sock.session_reused)
        exchange.answer()

    up = upstream(script, tls=certificates.server(maximum=version))
    proxy = curfew(url=up.named("127.0.0.1"), tls={"ca_file": certificates.ca}, keepalive=NEVER_KEPT)
    for _ in range(2):
        assert [proxy.ask().status for _ in range(3)] == [200] * 3
        up.tls = certificates.server(maximum=version)
    assert resumed == [False, True, True] * 2 and up.connections == 6


@pytest.mark.one_worker
@pytest.mark.parametrize("choke", [alert, end, reset])
def test_a_server_that_fails_each_handshake_is_tried_once_more_and_no_more(curfew, choosy, certificates, choke):
    good = []
    up = choosy(ok, choke=choke, chokes_on=lambda _: len(good) == 2, tls=certificates.server())
    proxy = curfew(url=up.named("127.0.0.1"), tls={"ca_file": certificates.ca}, keepalive=NEVER_KEPT)
    for _ in range(2):
        assert proxy.ask().status == 200
        good.append(True)
    expect(proxy.ask("POST", "/", content=b"x"), 502, "tls_protocol_error", phase="tls", sent="none")
    assert up.choked == 2  # with the session, and without it
    expect(proxy.ask(), 502, "tls_protocol_error", phase="tls", sent="none")
    assert up.choked == 3
    good.clear()
    assert [proxy.ask().status for _ in range(2)] == [200] * 2


# ---------------------------------------------------------------------------------- a client's certificate, asked for late


def shows(certificates):
    return {"ca_file": certificates.ca, "cert_file": certificates.cert("client"), "key_file": certificates.key("client")}


def test_a_missing_client_certificate_is_told_by_name(curfew, upstream, certificates):
    """TLS 1.3: the alert comes when the request may have been sent already."""
    up = upstream(ok, tls=certificates.server(client_ca=certificates.ca, minimum=V13))
    proxy = curfew(url=up.named("127.0.0.1"), tls={"ca_file": certificates.ca})
    for count, (method, content) in enumerate((("GET", None), ("POST", b"x" * 100_000)), 1):
        problem = expect(proxy.ask(method, "/", content=content), 502, "tls_protocol_error")
        assert "certificate required" in problem["detail"], problem
        assert "certificate required" in proxy.log(count)[-1]["detail"]


@pytest.mark.one_worker
def test_a_client_certificate_is_shown_after_the_handshake(curfew, upstream, certificates):
    """RFC 8446 4.6.2, as Apache does it for SSLVerifyClient in a Location."""
    def script(exchange):
        exchange.recv_request()
        exchange.sock.verify_client_post_handshake()
        # The answer to this is read with the certificate, which comes unasked for by the script.
        exchange.answer(content=b"welcome")
        exchange.recv_request()
        exchange.answer(content=repr(exchange.sock.getpeercert()["subject"]).encode())

    context = certificates.server(client_ca=certificates.ca, minimum=V13)
    context.post_handshake_auth = True
    context.verify_mode = ssl.CERT_OPTIONAL
    up = upstream(script, tls=context)
    proxy = curfew(url=up.named("127.0.0.1"), tls=shows(certificates))
    assert proxy.ask().content == b"welcome"
    assert b"'client'" in proxy.ask().content
    assert up.connections == 1


class Renegotiating:
    """openssl's own server, for TLS 1.2; Python's can't renegotiate. One connection at a time."""

    def __init__(self, certificates):
        self.port = free_port()
        # pylint: disable=consider-using-with
        self.popen = subprocess.Popen(
            ["openssl", "s_server", "-accept", f"127.0.0.1:{self.port}", "-tls1_2", "-cert", certificates.cert("server"),
             "-key", certificates.key("server"), "-CAfile", certificates.ca, "-no_resumption_on_reneg"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT)
        self.stdout = Lines(self.popen.stdout)
        self.hear("ACCEPT")

    def hear(self, what):
        assert self.stdout.wait(lambda lines: any(what in line for line in lines), SOON), self.stdout.text()

    def say(self, what):
        self.popen.stdin.write(what)
        self.popen.stdin.flush()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.popen.kill()
        self.popen.wait(SOON)
        self.popen.stdin.close()


@pytest.mark.parametrize("allowed", [False, True])
def test_a_renegotiation_is_done_if_it_is_allowed_and_else_the_caller_is_told_how(curfew, certificates, allowed):
    """As IIS and Apache do it before TLS 1.3, to ask for a certificate when they have seen the path."""
    with Renegotiating(certificates) as server:
        proxy = curfew(url=f"https://127.0.0.1:{server.port}", tls={**shows(certificates), "renegotiate": allowed})
        caller = proxy.caller()
        caller.request()
        server.hear("GET / HTTP/1.1")
        server.say(b"R\n")  # which asks for a certificate
        server.hear("SSL_do_handshake -> 1")
        server.say(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nConnection: close\r\n\r\nyes")
        response = caller.recv_response()
        if allowed:
            assert response.content == b"yes", response.content
            server.hear("CN = client")
            return
        problem = expect(response, 502, "tls_protocol_error", phase="wait", sent="complete")
        assert "renegotiation" in problem["detail"] and "tls.renegotiate" in problem["detail"], problem
        assert "tls.renegotiate" in proxy.log()[-1]["detail"]
