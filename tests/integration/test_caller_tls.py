"""TLS towards callers: `listen_tls`, `caller_tls`, `limits.handshake_timeout`."""

import http.client
import json
import re
import shutil
import socket
import ssl
import subprocess
import threading

import pytest

from harness.bounds import SLOW, SOON, Stopwatch, poll, readable
from harness.h2_caller import NO_ERROR, H2Caller
from harness.peers import ScriptedCaller
from harness.problem import expect_stuck
from harness.wire import Cut

V12, V13 = ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3
VERSIONS = pytest.mark.parametrize("version", [V12, V13], ids=["1.2", "1.3"])
HELLO_HEAD = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"


def echo(exchange):
    exchange.answer(content=exchange.recv_request().content)


def trusting(certificates, cert=None, version=None, alpn=("http/1.1",)):
    """A client's context, that shows a certificate if told to."""
    context = ssl.create_default_context(cafile=certificates.ca)
    if alpn:
        context.set_alpn_protocols(alpn)
    if cert:
        context.load_cert_chain(certificates.cert(cert), certificates.key(cert))
    if version:
        context.minimum_version = context.maximum_version = version
    return context


class TlsCaller(ScriptedCaller):
    def __init__(self, address, context, session=None, **more):
        super().__init__(address, **more)
        self.raw = self.sock
        try:
            self.sock = context.wrap_socket(self.sock, server_hostname="localhost", session=session, suppress_ragged_eofs=False)
        except OSError:
            self.raw.close()
            raise


class Front:
    """curfew with an upstream "api" that has a plain listener, and one by TLS."""

    def __init__(self, curfew, certificates, url, *, mutual=False, names=None, **more):
        self.certificates = certificates
        self.keys = {"url": url, "listen_tls": "127.0.0.1:0", **more.pop("keys", {})}
        self.keys["caller_tls"] = {"cert_file": certificates.cert("server"), "key_file": certificates.key("server"),
                                   **({"client_ca_file": certificates.ca} if mutual else {}),
                                   **({"client_names": names} if names else {}), **more.pop("caller_tls", {})}
        self.proxy = curfew(upstreams={"api": {"deadline": "5s", **self.keys}}, **more)
        self.address = self.proxy.address("api", 1)

    def caller(self, cert=None, version=None, alpn=("http/1.1",), **more):
        caller = TlsCaller(self.address, trusting(self.certificates, cert, version, alpn), **more)
        self.proxy.callers.append(caller)
        return caller

    def ask(self, *args, cert=None, version=None, **more):
        caller = self.caller(cert, version)
        try:
            return caller.ask(*args, **more)
        finally:
            caller.close()

    def fails(self, reason):
        return self.proxy.wait_metric("curfew_handshakes_failed_total", 1, reason=reason)

    def refuses(self, cert=None, version=None):
        """In TLS 1.3 a client hears of it when it first reads."""
        with pytest.raises((ssl.SSLError, ConnectionResetError)) as raised:
            self.ask(cert=cert, version=version)
        return str(raised.value)


@pytest.fixture
def front(curfew, certificates, upstream):
    def make(script=echo, **more):
        up = upstream(script)
        made = Front(curfew, certificates, up.url, **more)
        made.upstream = up
        return made

    return make


# ---------------------------------------------------------------------------------------- calls


@VERSIONS
def test_calls_come_by_tls_and_by_plain_http_side_by_side(front, version):
    there = front()
    caller = there.caller(version=version)
    assert caller.sock.version() == {V12: "TLSv1.2", V13: "TLSv1.3"}[version]
    assert caller.sock.selected_alpn_protocol() == "http/1.1"
    for size in (0, 1, 16384, 300000):
        response = caller.ask("POST", "/", content=bytes(size))
        assert (response.status, response.content) == (200, bytes(size))
    assert there.proxy.ask("POST", "/", content=b"plain").content == b"plain"
    assert there.proxy.metrics().sum("curfew_handshakes_failed_total") == 0


@pytest.mark.timed
@VERSIONS
def test_a_call_by_tls_has_its_deadline_from_its_first_byte_on(front, version):
    """Of the handshake, and of the time before the request, nothing is on the call's account."""
    there = front(script=None, keys={"deadline": "300ms"})
    caller = there.caller(version=version)
    caller.sock.settimeout(0.4)
    with pytest.raises(TimeoutError):
        caller.sock.recv(1)
    caller.sock.settimeout(SOON)
    watch = Stopwatch()
    caller.request()
    exchange = there.upstream.take()[0]
    expect_stuck(caller.recv_response(), "wait", 300)
    watch.is_over_at(0.3)
    exchange.close()


@VERSIONS
@pytest.mark.parametrize("framing", [b"Content-Length: 1000\r\n\r\n", b"Transfer-Encoding: chunked\r\n\r\n3e8\r\n", b"\r\n"])
def test_a_cut_has_no_closing_alert_and_a_whole_response_has(front, version, framing):
    def script(exchange):
        request = exchange.recv_request()
        exchange.send(b"HTTP/1.1 200 OK\r\n" + framing + bytes(100))
        if request.target == "/stuck":
            exchange.sock.recv(1)
        return False

    there = front(script=script, keys={"deadline": "500ms"})
    caller = there.caller(version=version)
    caller.send(b"GET /stuck HTTP/1.0\r\n\r\n")
    with pytest.raises((ssl.SSLEOFError, ConnectionResetError)):
        while caller.sock.recv(4096):
            pass
    if framing == b"\r\n":  # it ends with the connection
        caller = there.caller(version=version)
        caller.send(b"GET / HTTP/1.0\r\n\r\n")
        while caller.sock.recv(4096):  # an end without an alert would raise SSLEOFError
            pass


@VERSIONS
def test_a_large_response_that_ends_with_the_connection_is_whole_for_a_slow_reader(front, version):
    size = 3_000_000

    def script(exchange):
        exchange.recv_request()
        exchange.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size + bytes(size))

    caller = front(script=script).caller(version=version, receive_buffer=4096)
    caller.send(b"GET / HTTP/1.0\r\nConnection: close\r\n\r\n")
    caller.recv_response_head()
    got = len(caller.read_some())
    while part := caller.sock.recv(65536):
        got += len(part)
    assert got == size


def test_a_caller_that_leaves_is_noticed(front):
    there = front(script=None)
    caller = there.caller()
    caller.request()
    there.upstream.take()
    there.proxy.wait_in_flight(1, "wait")
    caller.close()
    there.proxy.wait_metric("curfew_calls_abandoned_total", 1)


@pytest.mark.parametrize("tells, said", [("x-forwarded", "X-Forwarded-Proto: https"), ("rfc7239", "proto=https")])
def test_the_api_is_told_that_the_caller_used_tls(front, tells, said):
    def script(exchange):
        exchange.answer(302, "Location: " + there.upstream.url + "/next", content=exchange.recv_request().raw_head)

    there = front(script=script, keys={"headers": {"forwarded": tells, "location": "rewrite"}})
    response = there.ask(host="shop.test")
    assert said in response.content.decode()
    assert response["location"] == "https://shop.test/next"
    plain = there.proxy.ask(host="shop.test")
    assert said.replace("https", "http") + ("\r\n" if tells == "x-forwarded" else ";") in plain.content.decode()
    assert plain["location"] == "http://shop.test/next"


# ------------------------------------------------------------------------------------ who may call


@VERSIONS
def test_with_client_ca_file_a_caller_needs_a_certificate_of_it(front, certificates, version):
    there = front(mutual=True)
    assert there.ask(cert="client", version=version).status == 200
    assert there.proxy.log()[0]["caller_name"] == "client.test"
    there.refuses(version=version)
    there.refuses(cert="untrusted", version=version)
    there.refuses(cert="expired", version=version)
    metrics = there.proxy.wait_metric("curfew_handshakes_failed_total", 3)
    assert metrics.sum("curfew_handshakes_failed_total", reason="certificate") == 3
    assert metrics.sum("curfew_calls_started_total") == 1


@VERSIONS
def test_with_client_names_the_certificate_needs_one_of_them(front, version):
    there = front(mutual=True, names=["other.test", "CLIENT.test"])
    assert there.ask(cert="client", version=version).status == 200
    there.refuses(cert="wrong-name", version=version)
    there.fails("name")


def test_a_uri_is_a_name_whose_letters_have_their_case(front):
    there = front(mutual=True, names="spiffe://cluster.local/ns/shop/sa/checkout")
    assert there.ask(cert="spiffe").status == 200
    assert there.proxy.log()[0]["caller_name"] == "spiffe://cluster.local/ns/shop/sa/checkout"
    there.refuses(cert="client")
    there.fails("name")


@VERSIONS
@pytest.mark.parametrize("mutual", [False, True])
def test_sessions_are_resumed_only_where_nobody_is_verified(front, mutual, version):
    there = front(mutual=mutual)
    context = trusting(there.certificates, "client" if mutual else None, version)
    first = TlsCaller(there.address, context)
    assert first.ask().status == 200
    second = TlsCaller(there.address, context, session=first.sock.session)
    assert second.ask().status == 200
    assert second.sock.session_reused is not mutual
    first.close()
    second.close()


# ------------------------------------------------------------------------------------ what is no TLS


@pytest.mark.parametrize("method", ["GET", "POST", "DELETE", "PRI", "BREW"])
def test_plain_http_to_a_tls_listener_is_told_so(front, method):
    there = front()
    caller = ScriptedCaller(there.address)
    response = caller.ask(method, content=b"x" * 100000)
    problem = json.loads(response.content)
    assert (response.status, response["connection"], problem["upstream"]) == (400, "close", "api")
    assert "TLS" in problem["detail"]
    caller.must_end()
    caller.close()
    there.fails("protocol")
    line, = there.proxy.log()
    assert (line["id"], line["upstream"], line["detail"]) == (problem["call"], "api", problem["detail"])
    assert (line["status"], line["outcome"], line["cause"], line["error"], line["phase"], line["sent"]) == \
        (400, "not_a_call", "bad_request", "http_request_error", "upload", "none")
    assert line["caller"].startswith("127.0.0.1:")


def test_plain_http_to_a_tls_listener_leaves_no_line_without_an_access_log(front):
    there = front(top={"log": {"access": "off"}})
    caller = ScriptedCaller(there.address)
    assert caller.ask("GET").status == 400
    caller.close()
    there.fails("protocol")


def test_tls_to_a_plain_listener_is_told_so(front):
    there = front()
    with pytest.raises(ssl.SSLError, match="WRONG_VERSION_NUMBER|wrong version number"):
        TlsCaller(there.proxy.address(), trusting(there.certificates))
    assert "TLS" in there.proxy.log()[0]["detail"]
    caller = there.proxy.caller()
    caller.send(HELLO_HEAD + bytes(100))
    response = caller.recv_response()
    assert response.status == 400 and "TLS" in json.loads(response.content)["detail"]


@pytest.mark.parametrize("garbage", [b"\x16\x03\x01\xff\xff" + bytes(1000), b"\0" * 100, b"\x16\x03\x01\x00\x05hello",
                                     b"\x80\x2e\x01\x03\x01" + bytes(60), b"\xff"], ids=range(5))
def test_garbage_ends_the_connection_and_nothing_else(front, garbage):
    there = front(top={"limits": {"handshake_timeout": "500ms"}})
    caller = ScriptedCaller(there.address)
    caller.send(garbage)
    caller.half_close()
    caller.read_until_the_end = caller.wait_ended()
    caller.close()
    assert there.proxy.wait_metric("curfew_handshakes_failed_total", 1)
    assert there.ask().status == 200


@pytest.mark.parametrize("offer", [("h3",), ("spdy/1", "foo")])
def test_a_caller_that_offers_other_protocols_alone_is_refused(front, offer):
    there = front()
    with pytest.raises(ssl.SSLError, match="(?i)no.application.protocol"):
        there.caller(alpn=offer)
    there.fails("protocol")
    assert there.caller(alpn=(*offer, "http/1.1")).ask().status == 200
    assert there.caller(alpn=None).ask().status == 200


def test_min_version_refuses_older_ones(front):
    there = front(caller_tls={"min_version": "1.3"})
    with pytest.raises(ssl.SSLError):
        there.caller(version=V12)
    there.fails("protocol")
    assert there.ask(version=V13).status == 200


# --------------------------------------------------------------------------------------- limits


@pytest.mark.timed
@pytest.mark.parametrize("bytes_sent", [b"", HELLO_HEAD])
def test_a_handshake_has_its_time_and_no_more(front, bytes_sent):
    there = front(top={"limits": {"handshake_timeout": "300ms"}})
    watch = Stopwatch()
    caller = ScriptedCaller(there.address)
    if bytes_sent:
        caller.send(bytes_sent)
    caller.wait_ended()
    watch.is_over_at(0.3)
    caller.close()
    there.fails("timeout")
    assert there.proxy.metrics().sum("curfew_calls_started_total") == 0


@pytest.mark.timed
def test_a_handshake_that_drips_has_no_more_time(front):
    there = front(top={"limits": {"handshake_timeout": "300ms"}})
    watch = Stopwatch()
    caller = ScriptedCaller(there.address)
    for i in range(1000):
        caller.send(HELLO_HEAD[i:i + 1] or b"\0")
        if readable(caller.sock, 0.02):
            break
    watch.is_over_at(0.3)
    caller.close()
    there.fails("timeout")


def test_a_caller_that_leaves_in_the_handshake_is_counted_as_closed(front):
    there = front()
    caller = ScriptedCaller(there.address)
    caller.send(HELLO_HEAD)
    caller.close()
    there.fails("closed")


def test_why_a_handshake_failed_is_said_of_each_address_and_cause_once(front):
    there = front(mutual=True, names="client.test", top={"limits": {"handshake_timeout": "300ms"}})
    for _ in range(4):
        there.refuses()
    there.refuses(cert="untrusted")
    there.refuses(cert="expired")
    there.refuses(cert="wrong-name")
    with pytest.raises(ssl.SSLError):
        there.caller(alpn=("h3",))
    with pytest.raises(ssl.SSLError):
        TlsCaller(there.address, ssl.create_default_context())
    for said in (b"", HELLO_HEAD, b"GET / HTTP/1.1\r\n\r\n"):
        caller = ScriptedCaller(there.address)
        if said:
            caller.send(said)
        if said != HELLO_HEAD:
            caller.half_close()
        caller.wait_ended()
        caller.close()
    causes = ["TLS: peer did not return a certificate",
              "certificate: unable to get local issuer certificate",
              "certificate: certificate has expired", "certificate: it carries none of caller_tls.client_names",
              "TLS: no application protocol", "TLS: .*alert unknown ca", "this listener speaks TLS, and a request in plain HTTP came",
              "it was not over within limits.handshake_timeout"]
    expected = [re.compile(rf"curfew: warn: upstream api: TLS handshake of 127\.0\.0\.1 failed: ({cause})"
                           r"( \(since the last such line, 3 more have failed\))?") for cause in causes]
    stderr = there.proxy.process.stderr
    assert stderr.wait(lambda lines: all(any(one.fullmatch(line) for line in lines) for one in expected), SOON), stderr.text()
    said = [line for line in stderr.lines if "handshake" in line]
    assert len(said) == len(expected), said
    assert sum("3 more" in line for line in said) == 1
    assert there.ask(cert="client").status == 200


def test_a_thousand_handshakes_at_once_keep_no_call_waiting(front):
    """Silent ones, half ones and whole ones; a call on the plain listener goes on meanwhile, and all is given back."""
    there = front(top={"limits": {"handshake_timeout": "3s"}})
    silent = [ScriptedCaller(there.address) for _ in range(400)]
    half = [ScriptedCaller(there.address) for _ in range(400)]
    for caller in half:
        caller.send(HELLO_HEAD)
    statuses = []
    threads = [threading.Thread(target=lambda: statuses.extend(there.ask().status for _ in range(25))) for _ in range(8)]
    for thread in threads:
        thread.start()
    assert [there.proxy.ask().status for _ in range(20)] == [200] * 20
    for thread in threads:
        thread.join()
    assert statuses == [200] * 200
    there.proxy.wait_metric("curfew_handshakes_failed_total", 800, reason="timeout", seconds=4 * SOON)
    for caller in (*silent, *half):
        caller.close()


def test_beyond_limits_connections_a_tls_caller_gets_an_alert(front):
    there = front(top={"limits": {"connections": 1}})
    first = there.caller()
    assert first.ask().status == 200
    with pytest.raises(ssl.SSLError, match="(?i)alert.internal.error"):
        there.caller()
    assert there.proxy.metrics().sum("curfew_requests_refused_total", reason="connections") == 1
    first.close()


def test_between_requests_a_connection_has_the_idle_timeout(front):
    there = front(top={"limits": {"handshake_timeout": "10s", "idle_timeout": "200ms"}})
    caller = there.caller()
    assert caller.ask().status == 200
    assert caller.sock.recv(1) == b""  # by a closing alert


# --------------------------------------------------------------------------------------- reload


def copied(certificates, directory, cert="server"):
    """Paths of copies that can be changed."""
    paths = {name: directory / name for name in ("cert.pem", "key.pem", "ca.pem")}
    for path, source in zip(paths.values(), (certificates.cert(cert), certificates.key(cert), certificates.ca)):
        shutil.copy(source, path)
    return {"cert_file": str(paths["cert.pem"]), "key_file": str(paths["key.pem"]), "client_ca_file": str(paths["ca.pem"])}


@VERSIONS
def test_an_authority_that_is_taken_away_is_gone_for_old_connections_too(front, certificates, tmp_path, version):
    files = copied(certificates, tmp_path)
    there = front(caller_tls=files)
    context = trusting(certificates, "client", version)
    idle, busy = (TlsCaller(there.address, context) for _ in range(2))
    assert (idle.ask().status, busy.ask().status) == (200, 200)
    shutil.copy(certificates.cert("other-ca"), files["client_ca_file"])
    there.proxy.must_reload()
    assert idle.sock.recv(1) == b""
    try:  # one that is on its way is answered, and is the last
        response = busy.ask()
        assert (response.status, response["connection"]) == (200, "close")
    except (Cut, OSError):
        pass
    with pytest.raises((ssl.SSLError, ConnectionResetError)):
        TlsCaller(there.address, context, session=idle.sock.session).ask()
    with pytest.raises(ssl.SSLError):
        untrusted = trusting(certificates, "untrusted", version)
        untrusted.check_hostname, untrusted.verify_mode = False, ssl.CERT_NONE
        assert TlsCaller(there.address, untrusted).ask().status == 200
        raise ssl.SSLError("the new authority's callers are let in")
    for caller in (idle, busy):
        caller.close()


def test_an_authority_that_is_taken_away_sends_goaway_and_ends_no_call(front, certificates, tmp_path):
    """Envoy 28758, APISIX 9525: old connections went on under the old trust."""
    files, held = copied(certificates, tmp_path), []

    def script(exchange):
        exchange.recv_request()
        held.append(exchange)

    there = front(script, caller_tls=files)
    context = trusting(certificates, "client", alpn=["h2"])
    caller, idle = (H2Caller(there.address, tls=context) for _ in range(2))
    idle.until(lambda: idle.settings)
    stream = caller.begin("GET", "/")
    poll(lambda: held, "the call to be at the API")
    shutil.copy(certificates.cert("other-ca"), files["client_ca_file"])
    watch = Stopwatch()
    there.proxy.must_reload()
    for each, last in ((caller, stream), (idle, 0)):
        each.until(lambda each=each: len(each.goaways) == 2)
        assert each.goaways == [(2 ** 31 - 1, NO_ERROR), (last, NO_ERROR)]
    assert watch.elapsed() < 2 * SLOW
    held[0].answer(content=b"ok")
    assert caller.recv(stream).content == b"ok"
    caller.recv_to_end()
    with pytest.raises((ssl.SSLError, ConnectionResetError, Cut)):
        other = H2Caller(there.address, tls=context)
        other.until(lambda: other.settings)


def test_names_that_change_reach_old_connections_and_a_new_certificate_does_not(front, certificates, tmp_path):
    files = copied(certificates, tmp_path)
    there = front(caller_tls=files)
    caller = there.caller("client")
    assert caller.ask().status == 200
    shutil.copy(certificates.cert("wrong-name"), files["cert_file"])
    shutil.copy(certificates.key("wrong-name"), files["key_file"])
    there.proxy.must_reload()
    assert caller.ask().status == 200
    with pytest.raises(ssl.SSLCertVerificationError):
        there.caller("client")
    caller.must_be_open()
    there.keys["caller_tls"]["client_names"] = ["other.test"]
    there.proxy.rewrite({"api": {"deadline": "5s", **there.keys}})
    there.proxy.must_reload()
    assert caller.sock.recv(1) == b""
    caller.close()


def test_a_bad_file_at_a_reload_changes_nothing(front, certificates, tmp_path):
    files = copied(certificates, tmp_path)
    there = front(caller_tls=files)
    (tmp_path / "key.pem").write_text("no key")
    status, text = there.proxy.reload()
    assert status != 200 and "upstreams.api.caller_tls.key_file" in text
    assert there.ask(cert="client").status == 200


def test_a_handshake_that_is_on_at_a_reload_ends_well(front):
    there = front()
    sock = socket.create_connection(there.address, SOON)
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = trusting(there.certificates).wrap_bio(incoming, outgoing, server_hostname="localhost")
    with pytest.raises(ssl.SSLWantReadError):
        tls.do_handshake()
    sock.sendall(outgoing.read())
    incoming.write(sock.recv(65536))
    there.proxy.must_reload()
    poll(lambda: _finish(tls, incoming, outgoing, sock), "the handshake")
    tls.write(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
    sock.sendall(outgoing.read())
    answer = b""
    while part := sock.recv(65536):
        answer += part
    incoming.write(answer)
    assert tls.read(100).startswith(b"HTTP/1.1 200")
    sock.close()


def _finish(tls, incoming, outgoing, sock):
    try:
        tls.do_handshake()
    except ssl.SSLWantReadError:
        incoming.write(sock.recv(65536))
        return False
    sock.sendall(outgoing.read())
    return True


# ------------------------------------------------------------------------- other people's clients


CURL = shutil.which("curl")
NODE = shutil.which("node")


@pytest.mark.skipif(not CURL, reason="no curl")
@pytest.mark.parametrize("options", [(), ("--tls-max", "1.2"), ("--tlsv1.3",), ("--http1.0",), ("--http2",), ("--no-alpn",)])
def test_curl(front, certificates, options):
    there = front(mutual=True)
    url = f"https://localhost:{there.address[1]}/"
    done = subprocess.run([CURL, "-sS", "-w", "%{http_code}", "-o", "/dev/null", "--cacert", certificates.ca, *options,
                           "--cert", certificates.cert("client"), "--key", certificates.key("client"), url, url],
                          capture_output=True, text=True, timeout=SOON)
    assert (done.returncode, done.stdout[:3], done.stderr) == (0, "200", "")


def test_openssl_s_client(front, certificates):
    there = front()
    done = subprocess.run(["openssl", "s_client", "-connect", "%s:%d" % there.address, "-CAfile", certificates.ca, "-alpn", "http/1.1",
                           "-verify_return_error", "-quiet", "-ign_eof"], capture_output=True, timeout=SOON,
                          input=b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
    assert done.stdout.startswith(b"HTTP/1.1 200 OK"), done.stderr


def test_renegotiation_by_a_client_is_refused(front, certificates):
    there = front()
    with subprocess.Popen(["openssl", "s_client", "-connect", "%s:%d" % there.address, "-CAfile", certificates.ca, "-tls1_2"],
                          stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as client:
        out, _ = client.communicate(b"R\n", timeout=SOON)
    assert b"no renegotiation" in out or b"alert" in out or b"RENEGOTIATING" in out
    assert there.ask().status == 200


def test_python_http_client(front):
    there = front(mutual=True)
    connection = http.client.HTTPSConnection("localhost", there.address[1], timeout=SOON,
                                             context=trusting(there.certificates, "client"))
    for _ in range(3):
        connection.request("POST", "/", b"x" * 70000)
        assert len(connection.getresponse().read()) == 70000
    connection.close()
    assert there.upstream.connections == 1


@pytest.mark.skipif(not NODE, reason="no node")
def test_node(front, certificates):
    there = front(mutual=True)
    script = """
        const https = require("https"), fs = require("fs"), [port, ca, cert, key] = process.argv.slice(1);
        const agent = new https.Agent({keepAlive: true, ca: fs.readFileSync(ca), cert: fs.readFileSync(cert), key: fs.readFileSync(key)});
        let left = 5;
        (function ask() {
          const request = https.request({host: "localhost", port, agent, method: "POST"}, (response) => {
            let size = 0;
            response.on("data", (part) => size += part.length).on("end", () => {
              console.log(response.statusCode, size);
              if (--left) ask(); else agent.destroy();
            });
          });
          request.end(Buffer.alloc(50000));
        })();
    """
    done = subprocess.run([NODE, "-e", script, str(there.address[1]), certificates.ca, certificates.cert("client"),
                           certificates.key("client")], capture_output=True, text=True, timeout=2 * SOON)
    assert done.stdout == "200 50000\n" * 5, done.stderr
