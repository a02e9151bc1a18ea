"""Through a corporate proxy: CONNECT and what it answers, credentials, plain http, NO_PROXY (docs/proxy.md)."""

import base64
import os
import socket
import ssl
import threading

import pytest

from harness import problem
from harness.bounds import SLOW, SOON, poll
from harness.curfew import curfew_command
from harness.peers import Exchange

OK = b"HTTP/1.1 200 Connection established\r\n\r\n"


@pytest.fixture
def through(curfew, upstream, certificates):
    """A curfew whose API, by https, is behind a proxy: (curfew, proxy). The API's name is known to nobody."""
    def make(top=None, env=None, proxy=None, **keys):
        corp = upstream()
        made = curfew(top=top, env=env, upstreams={"api": {
            "url": "https://api.test:8443/v1", "deadline": "2s", "proxy": proxy or {"url": corp.url},
            "tls": {"ca_file": certificates.ca}, **keys}})
        return made, corp
    return make


def asked(proxy, corp, *request, **more):
    """A call whose CONNECT has come: (its caller, the proxy's end)."""
    caller = proxy.caller()
    caller.request(*request, **more)
    exchange = corp.accept()
    exchange.read_until(b"\r\n\r\n")
    return caller, exchange


def be_api(exchange, certificates):
    """Behind the proxy's 200, its end of the connection is the API's."""
    context = certificates.server("server")
    secured = Exchange(context.wrap_socket(exchange.sock, server_side=True))
    return secured


def test_https_goes_by_connect_and_tls_is_with_the_api(through, certificates):
    proxy, corp = through()
    caller = proxy.caller()
    caller.request("GET", "/users")
    exchange = corp.accept()
    head = exchange.read_until(b"\r\n\r\n")
    assert head == b"CONNECT api.test:8443 HTTP/1.1\r\nHost: api.test:8443\r\n\r\n"
    exchange.send(OK)
    proxy.wait_in_flight(1, phase="tls")
    api = be_api(exchange, certificates)
    request = api.recv_request()
    assert (request.target, request["host"]) == ("/v1/users", "api.test:8443")
    api.answer(content=b"hello")
    assert caller.recv_response().content == b"hello"
    caller.request("GET", "/again")  # by the connection that is kept
    assert api.recv_request().target == "/v1/again"
    api.answer(content=b"again")
    assert caller.recv_response().content == b"again"
    line = proxy.log(2)[0]
    assert line["upstream_address"] == corp.authority and {"connect", "tls"} <= set(line["phases_ms"])


def test_what_lies_behind_the_200_is_not_the_heads(through, certificates):
    """bun#30406: an answer in pieces, with fields and an interim one before it; then TLS begins with its first byte."""
    proxy, corp = through()
    caller, exchange = asked(proxy, corp)
    for piece in (b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.0 2", b"00 OK\r\nX-Long: ", b"y" * 5000, b"\r\n\r", b"\n"):
        exchange.send(piece)
    api = be_api(exchange, certificates)
    api.recv_request()
    api.answer(content=b"well")
    assert caller.recv_response().content == b"well"


@pytest.mark.parametrize("answer, told", [
    (b"HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic\r\nContent-Length: 3\r\n\r\nno\n", "407 Proxy Authentication Required"),
    (b"HTTP/1.1 403 Forbidden\r\n\r\n", "403 Forbidden"),
    (b"HTTP/1.0 502 Bad Gateway\r\n\r\n", "502 Bad Gateway"),
    (b"HTTP/1.1 302 Found\r\nLocation: /login\r\n\r\n", "302 Found"),
    (b"SSH-2.0-OpenSSH\r\n\r\n", "no HTTP"),
    (b"", "closed the connection"),
    (b"HTTP/1.1 200 OK\r\nX: " + b"y" * 70000 + b"\r\n\r\n", "too large"),
], ids=("407", "403", "502", "302", "ssh", "close", "large"))
def test_a_proxy_that_refuses_is_a_502_and_nothing_was_sent(through, answer, told):
    proxy, corp = through()
    caller, exchange = asked(proxy, corp, "POST", "/pay", content=b"money")
    exchange.send_some(answer)
    exchange.half_close()
    response = caller.recv_response()
    said = problem.expect(response, 502, "proxy_refused", phase="connect", upstream="api", sent="none")
    assert told in said["detail"], said
    line = proxy.log()[0]
    assert (line["cause"], line["phase"], line["sent"]) == ("proxy_refused", "connect", "none")
    sample = proxy.wait_metric("curfew_tries_ended_total", 1, upstream="api", verdict="bad")
    assert sample.sum("calls_failed_total", upstream="api", reason="proxy_refused") == 1
    assert sample.sum("pool_held", pool="api") == 0
    exchange.wait_ended()


def test_a_refusal_is_tried_again_as_a_connect_failure(through, certificates):
    proxy, corp = through(retries={"attempts": 2, "when": ["connect"]})
    caller, exchange = asked(proxy, corp, "POST", "/pay", content=b"money")
    exchange.send(b"HTTP/1.1 503 Service Unavailable\r\n\r\n")
    exchange = corp.accept()
    exchange.read_until(b"\r\n\r\n")
    exchange.send(OK)
    api = be_api(exchange, certificates)
    assert api.recv_request().content == b"money"
    api.answer()
    assert caller.recv_response().status == 200


def test_a_silent_proxy_is_within_the_connect_limit(through):
    proxy, corp = through(timeouts={"connect": f"{300 * SLOW:g}ms"})
    caller, exchange = asked(proxy, corp)
    problem.expect(caller.recv_response(), 504, "connection_timeout", phase="connect", upstream="api", sent="none")
    exchange.wait_ended()


def test_credentials_from_a_file_go_to_the_proxy_alone(through, certificates, tmp_path):
    (tmp_path / "credentials").write_text("c2VjcmV0OnB3\n")
    def proxy_keys(corp):
        return {"url": corp.url, "authorization": {"file": str(tmp_path / "credentials"), "prefix": "Basic "}}

    proxy, corp = through()
    proxy.rewrite({"api": {"url": "https://api.test:8443/v1", "proxy": proxy_keys(corp), "tls": {"ca_file": certificates.ca}}})
    proxy.must_reload()
    caller = proxy.caller()
    caller.request()
    exchange = corp.accept()
    assert b"\r\nProxy-Authorization: Basic c2VjcmV0OnB3\r\n" in exchange.read_until(b"\r\n\r\n")
    exchange.send(OK)
    api = be_api(exchange, certificates)
    assert api.recv_request()["proxy-authorization"] is None
    api.answer()
    assert caller.recv_response().status == 200
    _, text = proxy.admin_get("/config")
    assert "c2VjcmV0OnB3" not in text and f'"url": "{corp.url}"'.replace(" ", "") in text.replace(" ", "")


def test_http_is_asked_for_in_absolute_form(curfew, upstream):
    corp = upstream()
    proxy = curfew(upstreams={"api": {"url": "http://api.test:8080/v1", "proxy": {"url": corp.url, "authorization": "Basic eDp5"}}})
    caller = proxy.caller()
    caller.request("GET", "/users?x=1", "Proxy-Authorization: Basic bWluZQ==")
    exchange = corp.accept()
    request = exchange.recv_request()
    assert request.raw_head.startswith(b"GET http://api.test:8080/v1/users?x=1 HTTP/1.1\r\nHost: api.test:8080\r\n")
    assert request.fields.all("proxy-authorization") == ["Basic eDp5"]
    exchange.answer(content=b"one")
    assert caller.recv_response().content == b"one"
    caller.request("OPTIONS", "*")
    assert exchange.recv_request().raw_head.startswith(b"OPTIONS http://api.test:8080 HTTP/1.1\r\n")
    exchange.answer(content=b"two")
    assert caller.recv_response().content == b"two"
    lines = proxy.log(2)
    assert [line["target"] for line in lines] == ["/users?x=1", "*"]


def test_the_environment_says_which_proxy_and_what_does_not_go_by_it(curfew, upstream, certificates):
    corp, direct = upstream(), upstream()
    env = {**os.environ, "HTTPS_PROXY": f"http://us%65r:p%40ss@{corp.authority}", "NO_PROXY": "example.org, .direct.test,127.0.0.0/8"}
    tls = {"ca_file": certificates.ca}
    proxy = curfew(env=env, upstreams={
        "api": {"url": "https://api.test:8443", "proxy": "env", "tls": tls},
        "near": {"url": f"https://{direct.authority}", "proxy": "env", "tls": {**tls, "server_name": "api.test"}}})
    caller = proxy.caller("api")
    caller.request()
    head = corp.accept().read_until(b"\r\n\r\n")
    secret = base64.b64encode(b"user:p@ss").decode()
    assert f"\r\nProxy-Authorization: Basic {secret}\r\n".encode() in head
    caller = proxy.caller("near")
    caller.request()
    direct.accept()
    _, text = proxy.admin_get("/config")
    assert secret not in text and "p@ss" not in text and "p%40ss" not in text


@pytest.mark.parametrize("written, why", [
    ("https://proxy:1", "is spoken to by http:// alone"),
    ("socks5://proxy:1", "is spoken to by http:// alone"),
    ("http://user:pw@proxy:1", "authorization is for them"),
    ("http://proxy:1/path", "a proxy has no path"),
    ("http://", "there is no host"),
])
def test_what_is_no_proxy_is_refused(tmp_path, written, why):
    path = tmp_path / "curfew.yaml"
    path.write_text(f"upstreams: {{a: {{listen: 127.0.0.1:0, url: 'https://b', proxy: {{url: '{written}'}}}}}}\n")
    done = curfew_command("check", str(path))
    assert done.returncode == 1 and why in done.stdout + done.stderr


def test_a_proxy_that_is_down_is_refused_as_any_address(curfew, certificates):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        proxy = curfew(upstreams={"api": {"url": "https://api.test", "proxy": f"http://127.0.0.1:{free.getsockname()[1]}",
                                          "tls": {"ca_file": certificates.ca}}})
        problem.expect(proxy.ask(), 502, "connection_refused", phase="connect", upstream="api", sent="none")


def test_a_certificate_is_verified_through_the_tunnel(through, certificates):
    proxy, corp = through()
    caller, exchange = asked(proxy, corp)
    exchange.send(OK)

    def shake():
        try:
            certificates.server("untrusted").wrap_socket(exchange.sock, server_side=True)
        except (OSError, ssl.SSLError):
            pass

    thread = threading.Thread(target=shake, daemon=True)
    thread.start()
    problem.expect(caller.recv_response(), 502, "tls_certificate_error", phase="tls", upstream="api", sent="none")
    thread.join(SOON)


def test_calls_that_are_cut_leave_no_descriptor(through):
    proxy, corp = through(deadline=f"{200 * SLOW:g}ms", pool={"size": 50, "queue": 0})
    before = proxy.metrics().sum("process_open_fds")
    callers = [proxy.caller() for _ in range(20)]
    for caller in callers:
        caller.request()
    exchanges = [corp.accept() for _ in callers]
    for caller in callers:
        assert caller.recv_response().status == 504
    for one in [*exchanges, *callers]:
        one.close()
    poll(lambda: proxy.metrics().sum("process_open_fds") <= before + 1, "all descriptors to be given back")


@pytest.mark.parametrize("status, wanted", [("200", 200), ("407", 502), ("403", 502), ("503", 502)])
def test_faulty_is_behind_a_proxy(curfew, faulty, tmp_path, status, wanted):
    api = faulty("--proxy", status, "--tls", "--ca-out", str(tmp_path / "ca.pem"))
    proxy = curfew(upstreams={"api": {"url": "https://api.test", "proxy": f"http://{api.url.split('//')[1]}", "tls": {"ca_file": str(tmp_path / "ca.pem")}}})
    response = proxy.ask("GET", "/bytes/10")
    assert response.status == wanted
    if wanted == 502:
        assert status in problem.parse(response)["detail"]


def test_faultys_proxy_takes_whole_urls_and_says_something_behind_its_200(curfew, faulty):
    api = faulty("--proxy", "200", "--proxy-behind", "hello")
    proxy = curfew(upstreams={"api": {"url": "http://api.test", "proxy": api.url}})
    assert proxy.ask("GET", "/bytes/10").content
    host, port = api.url.split("//")[1].split(":")
    with socket.create_connection((host, int(port))) as sock:
        sock.sendall(b"CONNECT api.test:80 HTTP/1.1\r\nHost: api.test:80\r\n\r\n")
        got = b""
        while not got.endswith(b"hello"):
            got += sock.recv(4096)
        assert got == b"HTTP/1.1 200 OK\r\n\r\nhello"
        sock.sendall(b"GET /bytes/3 HTTP/1.1\r\nHost: x\r\n\r\n")
        assert sock.recv(4096).startswith(b"HTTP/1.1 200")
