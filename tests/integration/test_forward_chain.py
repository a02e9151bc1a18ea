"""A forward proxy whose own way out leads through another one: what that one is asked for, and what becomes of its answers."""

import json
import os

import pytest

from harness import problem
from harness.bounds import SLOW
from harness.curfew import curfew_command
from harness.faults import ALLOC, WORKERS, each_fault
from harness.names import A, Answer
from harness.peers import ok
from harness.wire import Cut

OK = b"HTTP/1.1 200 Connection established\r\n\r\n"
PUBLIC = ("198.51.100.7", "203.0.113.9")


def destinations():
    return [{"name": "api", "hosts": ["*.test", "198.51.100.7", "127.0.0.1"], "tunnel": {"sni": "off"}}]


@pytest.fixture
def chained(curfew, upstream):
    """chained(proxy…, keys…): (curfew, the corporate proxy). Names under .test have the addresses PUBLIC, "inside.test" a private one."""
    def make(proxy=None, names=(), env=None, **keys):
        corp = upstream()
        corp_keys = {"url": corp.url, **(proxy or {})} if not isinstance(proxy, str) else proxy
        made = curfew(upstreams={}, env=env(corp) if env else None, wrap=names, top={"forward": {"egress": {
            "listen": "127.0.0.1:0", "deadline": "5s", "proxy": corp_keys, "destinations": destinations(), **keys}}})
        return made, corp
    return make


@pytest.fixture
def known(names):
    """A system whose names under .test are known."""
    def answer(name, kind, tcp):
        if kind != A:
            return Answer()
        return Answer("10.0.0.1") if name.startswith("inside") else Answer(*PUBLIC)
    return names(answer)[1].wrap


def without_proxies():
    return {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}


def connect(proxy, authority):
    caller = proxy.caller()
    caller.send(f"CONNECT {authority} HTTP/1.1\r\nHost: {authority}\r\n\r\n".encode())
    return caller


def asked(corp):
    """(the proxy's end, the place that it is asked for)"""
    exchange = corp.accept()
    head = exchange.read_until(b"\r\n\r\n").decode()
    line, host, *fields = head.split("\r\n")
    assert line.startswith("CONNECT ") and line.endswith(" HTTP/1.1"), head
    assert host == f"Host: {line.split()[1]}"
    return exchange, line.split()[1], [field for field in fields if field]


# ------------------------------------------------------------------------------------------------ tunnels


def test_a_tunnel_is_asked_for_by_the_address_that_was_vetted(chained, known):
    """No second lookup decides where it leads (crawl4ai#2142, OpenShell#2245)."""
    proxy, corp = chained(names=known)
    caller = connect(proxy, "name.test:443")
    exchange, place, fields = asked(corp)
    assert (place, fields) == (f"{PUBLIC[0]}:443", [])
    exchange.send(OK + b"first")
    assert caller.recv_response_head().status == 200
    assert caller.read_exactly(5) == b"first"
    caller.send(b"ping")
    assert exchange.read_exactly(4) == b"ping"
    caller.close()
    exchange.wait_ended()
    line, = proxy.log()
    assert (line["host"], line["port"], line["address"]) == ("name.test", 443, f"{PUBLIC[0]}:443")
    assert line["upstream_address"] == corp.authority and line["end"] == "caller" and line["outcome"] == "completed"
    assert {"connect", "tunnel"} <= set(line["phases_ms"])


def test_what_is_private_is_refused_before_the_proxy_hears_of_it(chained, known):
    proxy, corp = chained(names=known)
    for authority in ("inside.test:443", "127.0.0.1:443"):
        answer = connect(proxy, authority).recv_response()
        assert (answer.status, answer.reason) == (403, "curfew: destination_ip_prohibited")
    corp.must_have_no_connection(0.05)


def test_an_address_that_the_proxy_can_not_reach_is_not_the_last(chained, known):
    proxy, corp = chained(names=known)
    caller = connect(proxy, "name.test:443")
    exchange, place, _ = asked(corp)
    assert place == f"{PUBLIC[0]}:443"
    exchange.send(b"HTTP/1.1 503 Host unreachable\r\nContent-Length: 0\r\n\r\n")
    second, place, _ = asked(corp)
    assert place == f"{PUBLIC[1]}:443"
    second.send(OK)
    assert caller.recv_response_head().status == 200
    caller.close()
    second.wait_ended()
    assert proxy.log()[0]["address"] == f"{PUBLIC[1]}:443"


@pytest.mark.parametrize("status", ["407 Proxy Authentication Required", "403 Forbidden", "502 Bad Gateway"])
@pytest.mark.parametrize("method", ["CONNECT", "GET"])
def test_what_the_proxy_refuses_is_a_502_that_says_so_and_never_a_407(chained, status, method):
    proxy, corp = chained()
    caller = proxy.caller()
    if method == "CONNECT":
        caller = connect(proxy, f"{PUBLIC[0]}:443")
    else:
        caller.request("GET", f"http://{PUBLIC[0]}/")
    exchange, place, _ = asked(corp)
    assert place == f"{PUBLIC[0]}:{443 if method == 'CONNECT' else 80}"
    exchange.send(f"HTTP/1.1 {status}\r\nProxy-Authenticate: Basic\r\nContent-Length: 0\r\n\r\n".encode())
    answer = caller.recv_response()
    said = problem.expect(answer, 502, "proxy_refused", phase="connect", upstream="egress", sent="none")
    assert status in said["detail"] and answer.reason == "curfew: proxy_refused", answer.reason
    assert answer["proxy-authenticate"] is None
    exchange.wait_ended()
    assert proxy.wait_idle().sum("curfew_calls_failed_total", upstream="egress", route="api", reason="proxy_refused") == 1


def test_a_silent_proxy_is_within_the_deadline(chained):
    proxy, corp = chained(deadline=f"{300 * SLOW:g}ms")
    caller = connect(proxy, f"{PUBLIC[0]}:443")
    exchange, *_ = asked(corp)
    problem.expect(caller.recv_response(), 504, "connection_timeout", phase="connect", upstream="egress", sent="none")
    exchange.wait_ended()


# ----------------------------------------------------------------------------------------- plain requests


def test_a_plain_request_goes_by_a_tunnel_to_the_vetted_address_too(chained, known):
    proxy, corp = chained(names=known)
    caller = proxy.caller()
    caller.request("GET", "http://name.test/a?b", "Proxy-Authorization: Basic bWluZQ==")
    exchange, place, _ = asked(corp)
    assert place == f"{PUBLIC[0]}:80"
    exchange.send(OK)
    for target in ("/a?b", "/again"):
        request = exchange.recv_request()
        assert (request.target, request["host"], request["proxy-authorization"]) == (target, "name.test", None)
        exchange.answer(content=b"hello")
        assert caller.recv_response().content == b"hello"
        if target == "/a?b":
            caller.request("GET", "http://name.test/again")  # by the tunnel that is kept
    for line in proxy.log(2):
        assert (line["address"], line["upstream_address"]) == (f"{PUBLIC[0]}:80", corp.authority)


# ------------------------------------------------------------------------------------------------ by name


def test_by_name_the_proxy_is_told_names_that_have_been_vetted(chained, known):
    proxy, corp = chained({"by": "name", "authorization": "Basic eDp5"}, names=known)
    caller = connect(proxy, "Name.test:443")
    exchange, place, fields = asked(corp)
    assert (place, fields) == ("name.test:443", ["Proxy-Authorization: Basic eDp5"])
    exchange.send(OK)
    assert caller.recv_response_head().status == 200
    caller.close()
    exchange.wait_ended()
    assert "address" not in proxy.log()[0]
    answer = connect(proxy, "inside.test:443").recv_response()
    assert (answer.status, answer.reason) == (403, "curfew: destination_ip_prohibited")
    corp.must_have_no_connection(0.05)


def test_by_name_plain_requests_go_to_it_with_the_whole_url(chained, known):
    proxy, corp = chained({"by": "name", "authorization": "Basic eDp5"}, names=known)
    caller = proxy.caller()
    caller.request("GET", "http://name.test:80/users?x=1", "Proxy-Authorization: Basic bWluZQ==")
    exchange = corp.accept()
    request = exchange.recv_request()
    assert request.raw_head.startswith(b"GET http://name.test:80/users?x=1 HTTP/1.1\r\nHost: name.test:80\r\n")
    assert request.fields.all("proxy-authorization") == ["Basic eDp5"]
    exchange.answer(content=b"one")
    assert caller.recv_response().content == b"one"
    caller.request("OPTIONS", "http://name.test:80")
    assert exchange.recv_request().raw_head.startswith(b"OPTIONS http://name.test:80 HTTP/1.1\r\nHost: name.test:80\r\n")
    exchange.answer(content=b"two")
    assert caller.recv_response().content == b"two"
    caller.request("GET", "http://name.test/")
    exchange.recv_request()
    exchange.answer(407, "Proxy-Authenticate: Basic", content=b"no")
    answer = caller.recv_response()
    problem.expect(answer, 502, "proxy_refused", upstream="egress")
    assert answer.reason == "curfew: proxy_refused" and answer["proxy-authenticate"] is None


# -------------------------------------------------------------------------------- environment, configuration


def test_the_environment_says_which_proxy_and_what_does_not_go_by_it(curfew, upstream):
    secure, plain, near = upstream(), upstream(), upstream()
    port = int(near.url.rsplit(":", 1)[1])
    env = {**without_proxies(), "https_proxy": f"http://us%65r:p%40ss@{secure.authority}", "HTTP_PROXY": plain.authority, "NO_PROXY": "127.0.0.0/8,.near.test"}
    proxy = curfew(upstreams={}, env=env, top={"forward": {"egress": {
        "listen": "127.0.0.1:0", "proxy": "env", "ports": [80, 443, port],
        "destinations": [{**destinations()[0], "addresses": "127.0.0.0/8"}]}}})
    first = connect(proxy, f"{PUBLIC[0]}:443")
    _, place, fields = asked(secure)
    assert (place, fields) == (f"{PUBLIC[0]}:443", ["Proxy-Authorization: Basic dXNlcjpwQHNz"])
    second = proxy.caller()
    second.request("GET", f"http://{PUBLIC[0]}/")
    _, place, fields = asked(plain)
    assert (place, fields) == (f"{PUBLIC[0]}:80", [])
    third = connect(proxy, near.authority)
    near.accept()
    assert third.recv_response_head().status == 200
    first.close()
    second.close()
    _, text = proxy.admin_get("/config")
    assert "dXNlcjpwQHNz" not in text and "p@ss" not in text and "p%40ss" not in text
    shown = json.loads(text)["config"]["forward"]["egress"]
    assert shown["proxy"] == {"url": secure.url, "authorization": True, "by": "address"}
    assert shown["proxy_of_plain"] == {"url": plain.url, "authorization": False, "by": "address"}


def test_without_a_proxy_in_the_environment_there_is_none(curfew, upstream):
    near = upstream()
    port = int(near.url.rsplit(":", 1)[1])
    proxy = curfew(upstreams={}, env=without_proxies(), top={"forward": {"egress": {
        "listen": "127.0.0.1:0", "proxy": "env", "ports": port, "destinations": [{**destinations()[0], "addresses": "127.0.0.0/8"}]}}})
    caller = connect(proxy, near.authority)
    near.accept()
    assert caller.recv_response_head().status == 200
    assert json.loads(proxy.admin_get("/config")[1])["config"]["forward"]["egress"]["proxy"] is None


def test_a_reload_changes_the_way_and_leaves_tunnels_alone(chained):
    proxy, corp = chained()
    caller = connect(proxy, f"{PUBLIC[0]}:443")
    exchange, *_ = asked(corp)
    exchange.send(OK)
    assert caller.recv_response_head().status == 200
    proxy.rewrite({}, forward={"egress": {"listen": "127.0.0.1:0", "proxy": {"url": corp.url, "authorization": "Basic eDp5"},
                                          "destinations": destinations()}})
    proxy.must_reload()
    caller.send(b"still")
    assert exchange.read_exactly(5) == b"still"
    caller = connect(proxy, f"{PUBLIC[0]}:443")
    assert asked(corp)[2] == ["Proxy-Authorization: Basic eDp5"]


@pytest.mark.parametrize("text, why", [
    ("forward: {a: {listen: 1, proxy: 'https://proxy:1', destinations: [{hosts: '*'}]}}", "forward.a.proxy: the proxy is spoken to by http:// alone"),
    ("forward: {a: {listen: 1, proxy: {by: name}, destinations: [{hosts: '*'}]}}", "forward.a.proxy.url: is missing"),
    ("forward: {a: {listen: 1, proxy: {url: 'http://p', by: ip}, destinations: [{hosts: '*'}]}}", "forward.a.proxy.by: "),
    ("upstreams: {a: {listen: 1, url: 'https://b', proxy: {url: 'http://p', by: name}}}", "upstreams.a.proxy.by: is for a forward proxy's"),
])
def test_what_can_not_be_a_way_is_refused(tmp_path, text, why):
    path = tmp_path / "curfew.yaml"
    path.write_text(text + "\n")
    done = curfew_command("check", str(path))
    assert done.returncode == 1 and why in done.stdout + done.stderr, done.stdout + done.stderr


def test_explain_says_the_way(tmp_path):
    path = tmp_path / "curfew.yaml"
    for by, method, url, words in (("address", "CONNECT", f"{PUBLIC[0]}:443", "by CONNECT to an address that may be dialled"),
                                   ("name", "CONNECT", f"{PUBLIC[0]}:443", "by CONNECT to the name"),
                                   ("name", "GET", f"http://{PUBLIC[0]}/", "which gets the whole url")):
        path.write_text(f"forward: {{a: {{listen: 3128, proxy: {{url: 'http://proxy.corp:8080', by: {by}}}, destinations: [{{hosts: '*'}}]}}}}\n")
        done = curfew_command("explain", "-c", str(path), method, url)
        assert f"http://proxy.corp:8080, {words}" in done.stdout, done.stdout + done.stderr
        assert ("proxy_refused" in done.stdout) == (words != "which gets the whole url")


@pytest.mark.parametrize("method, by", [("GET", "address"), ("GET", "name"), ("CONNECT", "address"), ("CONNECT", "name")])
def test_without_memory_a_request_ends_alone(curfew, upstream, faults, method, by):
    """Each allocation of a request that goes through another proxy fails once; nothing is left of it."""
    def script(exchange):
        if method == "CONNECT" or by == "address":
            exchange.read_until(b"\r\n\r\n")
            exchange.send(OK)
        if method == "CONNECT":
            exchange.read_exactly(4)
        else:
            ok(exchange)
        return False

    corp = upstream(script)
    proxy = curfew(upstreams={}, env=faults.env, top={"forward": {"egress": {
        "listen": "127.0.0.1:0", "keepalive": {"max_idle": 0}, "proxy": {"url": corp.url.replace("127.0.0.1", "localhost"), "by": by, "authorization": "Basic eDp5"},
        "destinations": [{"name": "here", "hosts": "localhost", "addresses": ["127.0.0.0/8", "::1"], "tunnel": {"sni": "off"}}]}}})

    def once(may_fail):
        caller = proxy.caller()
        try:
            if method == "GET":
                caller.request("GET", "http://localhost/")
                answer = caller.recv_response()
            else:
                caller.send(b"CONNECT localhost:443 HTTP/1.1\r\nHost: localhost:443\r\n\r\nping")
                answer = caller.recv_response_head()
            assert answer.status == 200 or (may_fail and answer.status in (500, 502)), answer
        except (Cut, ConnectionError):
            assert may_fail
        finally:
            caller.close()

    once(False)
    for nth in each_fault(faults, ALLOC, threads=WORKERS):
        once(True)
        faults.disarm()
        assert proxy.process.is_running(), f"fault {nth} has ended it:\n{proxy.process.stderr.text()}"
        once(False)
    assert proxy.wait_idle().sum("curfew_broken_invariants_total") == 0
