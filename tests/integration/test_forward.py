"""A forward proxy: plain requests in absolute form, where they may go, and the guard of addresses (docs/egress.md)."""

import json
import os
import signal
import socket
import ssl
import sys
import threading

import pytest

from harness.bounds import SLOW, SOON, TEST, poll
from harness.curfew import curfew_command
from harness.faults import ALLOC, WORKERS, each_fault
from harness.names import A, NXDOMAIN, Answer
from harness.peers import ok
from harness.problem import parse, proxy_error
from harness.process import run
from harness.programs import GO_CACHE
from harness.wire import Cut

LOOPBACK = ["127.0.0.0/8"]


def forward(ports, *destinations, **keys):
    return {"forward": {"egress": {"listen": "127.0.0.1:0", "deadline": "5s", "ports": ports,
                                   "destinations": list(destinations), **keys}}}


def here(name="here", hosts="127.0.0.1", **keys):
    return {"name": name, "hosts": hosts, "addresses": LOOPBACK, **keys}


@pytest.fixture
def proxied(curfew, upstream):
    """proxied(script, destinations…, keys…) gives (proxy, an API on loopback that its callers may reach)."""
    def make(script=ok, *destinations, wrap=(), ports=(), **keys):
        up = upstream(script)
        port = int(up.url.rsplit(":", 1)[1])
        proxy = curfew(upstreams={}, top=forward([port, *ports], *(destinations or [here()]), **keys), wrap=wrap)
        return proxy, up

    return make


def port_of(up):
    return int(up.url.rsplit(":", 1)[1])


def refusals(proxy, reason):
    return proxy.metrics().sum("curfew_forward_refused_total", listener="egress", reason=reason)


def expect_refused(answer, reason, error="http_request_denied", status=403):
    assert answer.status == status, (answer, answer.content)
    assert answer.reason.startswith(f"curfew: {reason}"), answer.reason
    problem = parse(answer)
    assert problem["type"] == f"urn:curfew:problem:{reason}"
    assert proxy_error(answer) == error
    return problem


# ------------------------------------------------------------------------------------- plain requests


def test_a_plain_request_goes_where_it_says_with_the_host_that_it_says(proxied):
    seen = []

    def script(exchange):
        seen.append(exchange.recv_request())
        exchange.answer(content=b"hello")

    proxy, up = proxied(script)
    answer = proxy.ask("GET", f"{up.url}/a?b=c", "Proxy-Authorization: Basic c2VjcmV0", "Proxy-Connection: keep-alive",
                       "Authorization: of the API", host="other.example")
    assert (answer.status, answer.content) == (200, b"hello")
    request, = seen
    assert request.target == "/a?b=c"
    assert request["host"] == up.authority
    assert request["authorization"] == "of the API"
    assert "proxy-authorization" not in request.fields.names() and "proxy-connection" not in request.fields.names()
    line, = proxy.log()
    assert (line["destination"], line["host"], line["port"]) == ("here", "127.0.0.1", port_of(up))
    assert line["address"] == up.authority and line["upstream"] == "egress" and line["route"] == "here"
    assert proxy.metrics().sum("curfew_calls_completed_total", upstream="egress", route="here") == 1


@pytest.mark.one_worker
def test_connections_are_kept_for_the_same_host_and_port_alone(curfew, upstream):
    one, two = upstream(ok), upstream(ok)
    proxy = curfew(upstreams={}, top=forward([port_of(one), port_of(two)], here(hosts=["127.0.0.1", "localhost"])))
    for _ in range(3):
        assert proxy.ask("GET", f"{one.url}/").status == 200
        assert proxy.ask("GET", f"{two.url}/").status == 200
        assert proxy.ask("GET", f"http://localhost:{port_of(one)}/").status == 200
    assert (one.connections, two.connections) == (2, 1)


def test_a_plain_request_has_the_deadline_and_the_answers_of_any_call(proxied):
    proxy, up = proxied(None, deadline="300ms")
    answer = proxy.ask("GET", f"{up.url}/slow")
    assert answer.status == 504 and answer.reason == "curfew: deadline (http_response_timeout)"
    problem = parse(answer)
    assert (problem["phase"], problem["upstream"]) == ("wait", "egress")
    up.take()[0].close()
    assert proxy.wait_idle().sum("curfew_calls_stuck_total", upstream="egress", route="here", phase="wait") == 1


def test_each_destination_has_its_own_cap(proxied):
    hosts = [here("one", "127.0.0.1", pool={"size": 1, "queue": 0}), here("two", "localhost")]
    proxy, up = proxied(None, *hosts)
    first = proxy.caller()
    first.request("GET", f"{up.url}/")
    exchange, _ = up.take()
    answer = proxy.ask("GET", f"{up.url}/")
    assert answer.status == 503 and answer.reason == "curfew: queue_full (connection_limit_reached)"
    second = proxy.caller()
    second.request("GET", f"http://localhost:{port_of(up)}/")
    other, _ = up.take()
    exchange.answer()
    other.answer()
    assert (first.recv_response().status, second.recv_response().status) == (200, 200)


def test_a_plain_request_is_tried_again_as_its_retries_say(proxied):
    def refuse(exchange):
        exchange.recv_request()
        exchange.answer(503)

    answers = [refuse]
    proxy, up = proxied(lambda exchange: (answers.pop() if answers else ok)(exchange), retries={"attempts": 2})
    assert proxy.ask("GET", f"{up.url}/").status == 200
    assert proxy.metrics().sum("curfew_tries_started_total", upstream="egress", route="here") == 2


# ---------------------------------------------------------------------------------------- destinations


@pytest.mark.one_worker
def test_the_first_destination_that_has_the_host_decides_and_none_is_a_refusal(proxied):
    proxy, up = proxied(ok, here("refused", "127.0.0.9", action="refuse"), here("reported", "127.0.0.1", action="report"))
    port = port_of(up)
    assert proxy.ask("GET", f"{up.url}/").status == 200
    expect_refused(proxy.ask("GET", f"http://127.0.0.9:{port}/"), "destination")
    expect_refused(proxy.ask("GET", f"http://127.0.0.2:{port}/"), "no_destination")
    expect_refused(proxy.ask("GET", "http://127.0.0.1:9/"), "port")
    metrics = proxy.metrics()
    assert [metrics.sum("curfew_forward_refused_total", listener="egress", reason=reason)
            for reason in ("destination", "no_destination", "port", "address", "sni")] == [1, 1, 1, 0, 0]
    assert metrics.sum("curfew_requests_refused_total") == 3
    assert metrics.sum("curfew_calls_started_total") == 1
    assert metrics.sum("curfew_forward_reported_total", listener="egress", destination="reported") == 1
    lines = proxy.log(4)
    assert [line.get("destination") for line in lines] == ["reported", "refused", None, "reported"]
    assert lines[0]["reported"] is True and "reported" not in lines[1]
    assert [line["outcome"] for line in lines[1:]] == ["not_a_call"] * 3


@pytest.mark.parametrize("target", ["/", "/v1", "*", "https://127.0.0.1:443/", "ftp://127.0.0.1/", "http://user@127.0.0.1/",
                                    "http://u:p@127.0.0.1/", "http://a%2eb/", "http://a..b/", "http://127.0.0.1:0/",
                                    "http://127.0.0.1:99999/"])
def test_other_targets_are_bad_requests(gateway, target):
    answer = gateway.ask("OPTIONS", target)
    assert answer.status == 400 and answer.reason.startswith("curfew: bad_request"), answer


def test_a_reverse_proxy_takes_no_request_for_another_host(curfew, upstream):
    up = upstream(ok)
    proxy = curfew(upstreams={"api": {"url": up.url}}, top=forward([80], {"hosts": "*"}))
    assert proxy.ask("GET", "http://other.example/", upstream="api").status == 404
    assert proxy.ask("GET", f"{up.url}/", upstream="api").status == 200
    expect_refused(proxy.ask("GET", f"{up.url}/", upstream="egress"), "port")


# ------------------------------------------------------------------------------------------- the guard


@pytest.fixture
def gateway(curfew):
    """A proxy that lets everything pass but what the guard denies."""
    return curfew(upstreams={}, top=forward([80, 443, 8080], {"hosts": "*"}))


SPELLINGS = ["127.0.0.1", "127.1", "0", "0.0.0.0", "2130706433", "017700000001", "0x7f000001", "0x7f.1", "0177.1", "127.0.0.1.",
             "10.0.0.1", "012.1.1.1", "172.16.0.1", "192.168.1.1", "100.64.0.1", "169.254.169.254", "0xa9fea9fe", "2852039166",
             "168.63.129.16", "198.18.0.1", "192.0.0.192", "224.0.0.1", "255.255.255.255", "[::]", "[::1]", "[0:0:0:0:0:0:0:1]",
             "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[::127.0.0.1]", "[64:ff9b::7f00:1]", "[64:ff9b:1::1]", "[2002:7f00:1::]",
             "[2001::1]", "[fd00:ec2::254]", "[fc00::1]", "[fe80::1]", "[ff02::1]", "localhost", "LOCALHOST", "a.localhost", "localhost."]


def test_no_spelling_of_a_private_address_is_dialled(gateway):
    """A listener on each port that may be dialled there sees nobody; with IPv6 as far as there is one."""
    seen, listeners = [], []
    for family, address in (socket.AF_INET, "0.0.0.0"), (socket.AF_INET6, "::"):
        try:
            one = socket.socket(family)
            one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                one.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            one.bind((address, 8080))
        except OSError:
            continue
        one.listen()
        one.settimeout(0.05)
        listeners.append(one)
    if not listeners:
        pytest.skip("port 8080 is taken")

    def watch(one):
        while True:
            try:
                seen.append(one.accept()[1])
            except TimeoutError:
                continue
            except OSError:
                return

    threads = [threading.Thread(target=watch, args=(one,), daemon=True) for one in listeners]
    for thread in threads:
        thread.start()
    try:
        for host in SPELLINGS:
            answer = gateway.ask("GET", f"http://{host}:8080/")
            assert answer.status == 403, (host, answer)
            assert answer.reason == "curfew: destination_ip_prohibited", (host, answer.reason)
    finally:
        for one in listeners:
            one.close()
        for thread in threads:
            thread.join(SOON)
    assert seen == []
    metrics = gateway.metrics()
    assert metrics.sum("curfew_forward_refused_total", listener="egress", reason="address") == len(SPELLINGS)
    assert metrics.sum("curfew_calls_started_total") == 0, "what is refused is no call"
    assert metrics.sum("curfew_pool_acquired_total") == 0


def test_what_is_lifted_for_one_destination_is_lifted_for_no_other(proxied):
    narrow = {"name": "narrow", "hosts": "localhost", "addresses": "127.7.0.0/16"}
    proxy, up = proxied(ok, narrow, here(), {"name": "other", "hosts": "*"})
    port = port_of(up)
    assert proxy.ask("GET", f"{up.url}/").status == 200
    expect_refused(proxy.ask("GET", f"http://localhost:{port}/"), "destination_ip_prohibited", "destination_ip_prohibited")
    expect_refused(proxy.ask("GET", f"http://127.0.0.2:{port}/"), "destination_ip_prohibited", "destination_ip_prohibited")
    assert up.connections == 1


def test_curfews_own_listeners_are_never_dialled(curfew, upstream):
    up = upstream(ok)
    proxy = curfew(upstreams={"api": {"url": up.url}}, top=forward([80], here()))
    mine = [proxy.admin[1], proxy.address("api")[1], proxy.address("egress")[1]]
    proxy.rewrite({"api": {"url": up.url, "listen": f"127.0.0.1:{mine[1]}"}}, admin={"listen": f"127.0.0.1:{mine[0]}"},
                  **{"forward": {"egress": {"listen": f"127.0.0.1:{mine[2]}", "ports": mine, "destinations": [here()]}}})
    proxy.must_reload()
    for port in mine:
        expect_refused(proxy.ask("GET", f"http://127.0.0.1:{port}/", upstream="egress"), "destination_ip_prohibited",
                       "destination_ip_prohibited")


def test_of_an_answer_with_private_addresses_only_the_others_are_dialled(proxied, names):
    """127.7.0.1, at which nobody listens, may be dialled; 127.0.0.1, where the API is, may not."""
    _, system = names(lambda name, kind, tcp: Answer("127.0.0.1", "127.7.0.1", "10.0.0.1") if kind == A else Answer())
    lifted = {"name": "mixed", "hosts": "mixed.test", "addresses": "127.7.0.0/16"}
    proxy, up = proxied(ok, lifted, wrap=system.wrap)
    answer = proxy.ask("GET", f"http://mixed.test:{port_of(up)}/")
    assert answer.status == 502 and answer.reason == "curfew: connection_refused"
    assert "127.7.0.1" in parse(answer)["detail"]
    up.must_have_no_connection(0.05)


def test_a_name_whose_answers_alternate_never_leads_to_a_denied_address(proxied, names):
    """What was harmless at one lookup is 127.0.0.1 at the next one, with a TTL of 0: each answer is judged for itself."""
    turn = []

    def rule(name, kind, tcp):
        if kind != A:
            return Answer()
        turn.append(name)
        return Answer("127.7.0.1" if len(turn) % 2 else "127.0.0.1", ttl=0)

    server, system = names(rule)
    lifted = {"name": "rebound", "hosts": "*.test", "addresses": "127.7.0.0/16"}
    proxy, up = proxied(ok, lifted, wrap=system.wrap, keepalive={"max_idle": 0}, dns={"stale": "0s", "stale_negative": "0s"})
    seen = set()
    for at in range(12):
        answer = proxy.ask("GET", f"http://n{at % 3}.test:{port_of(up)}/")
        seen.add((answer.status, answer.reason))
    assert seen <= {(502, "curfew: connection_refused"), (403, "curfew: destination_ip_prohibited")}
    assert (403, "curfew: destination_ip_prohibited") in seen
    up.must_have_no_connection(0.05)
    assert server.asked


def test_a_name_without_an_address_is_a_failed_call_and_a_refused_one_is_not_looked_up(proxied, names):
    server, system = names(lambda name, kind, tcp: Answer(rcode=NXDOMAIN))
    proxy, up = proxied(ok, {"name": "known", "hosts": "known.test"}, wrap=system.wrap)
    answer = proxy.ask("GET", f"http://known.test:{port_of(up)}/")
    assert answer.status == 502 and answer.reason == "curfew: dns_error"
    assert parse(answer)["phase"] == "dns"
    asked = len(server.asked)
    expect_refused(proxy.ask("GET", f"http://unknown.test:{port_of(up)}/"), "no_destination")
    assert len(server.asked) == asked
    metrics = proxy.metrics()
    assert metrics.sum("curfew_calls_failed_total", upstream="egress", route="known", reason="dns_error") == 1


def test_the_deadline_holds_while_a_name_is_looked_up(proxied, names):
    _, system = names(lambda name, kind, tcp: None)
    proxy, up = proxied(ok, {"name": "silent", "hosts": "*"}, wrap=system.wrap, deadline="200ms")
    answer = proxy.ask("GET", f"http://silent.test:{port_of(up)}/")
    assert answer.status == 504 and answer.reason == "curfew: deadline (dns_timeout)"
    assert parse(answer)["phase"] == "dns"
    caller = proxy.caller()
    caller.request("GET", f"http://silent.test:{port_of(up)}/")
    caller.close()
    metrics = proxy.wait_idle()
    assert metrics.sum("curfew_calls_stuck_total", upstream="egress", phase="dns") >= 1


# --------------------------------------------------------------------------------- clients, configuration


def test_get_config_shows_what_is_in_force(curfew):
    proxy = curfew(upstreams={}, top={"forward": {"egress": {
        "listen": "127.0.0.1:0", "destinations": [
            {"name": "registry", "hosts": "Registry.Corp.", "addresses": ["10.1.0.0/16", "::1"], "tunnel": {"idle": "1m"}},
            {"hosts": ["*.example.com", "*"], "action": "report", "pool": {"size": 3}}]}}})
    status, text = proxy.admin_get("/config")
    shown = json.loads(text)["config"]
    assert status == 200 and shown["upstreams"] == {}
    egress = shown["forward"]["egress"]
    assert (egress["deadline"], egress["ports"]) == ("30s", [80, 443])
    tunnel = {"idle": "5m", "lifetime": "1h", "sni": "match", "reclaim": "none"}
    assert egress["tunnel"] == tunnel
    assert egress["destinations"] == [
        {"name": "registry", "hosts": ["registry.corp"], "action": "allow", "addresses": ["10.1.0.0/16", "::1"], "pool": "egress",
         "tunnel": {**tunnel, "idle": "1m"}},
        {"name": "other", "hosts": ["*.example.com", "*"], "action": "report", "addresses": [], "pool": "egress/other",
         "tunnel": tunnel}]


def test_a_reload_changes_where_requests_may_go(proxied):
    proxy, up = proxied(ok)
    caller = proxy.caller()
    assert caller.ask("GET", f"{up.url}/").status == 200
    proxy.rewrite({}, **forward([port_of(up)], here(action="refuse")))
    proxy.must_reload()
    expect_refused(caller.ask("GET", f"{up.url}/"), "destination")


# -------------------------------------------------------------------------------------------- CONNECT


def raw(**keys):
    """A destination whose tunnels may carry anything."""
    return here(tunnel={"sni": "off", **keys})


def connect(proxy, authority, *lines, send=b""):
    """(caller, the response's head) of CONNECT."""
    caller = proxy.caller()
    caller.send("\r\n".join([f"CONNECT {authority} HTTP/1.1", f"Host: {authority}", *lines]).encode() + b"\r\n\r\n" + send)
    return caller, caller.recv_response_head()


def ended(proxy, end):
    return proxy.metrics().sum("curfew_tunnels_ended_total", upstream="egress", end=end)


def test_connect_opens_a_tunnel_whose_bytes_nobody_reads(proxied):
    proxy, up = proxied(None, raw())
    caller, head = connect(proxy, up.authority, "Proxy-Authorization: Basic c2VjcmV0")
    assert head.status == 200 and "content-length" not in head.fields and "transfer-encoding" not in head.fields
    peer = up.accept()
    caller.send(b"hello\0\r\n")
    assert peer.read_exactly(8) == b"hello\0\r\n", "and not a byte of CONNECT itself"
    peer.send(b"\xffworld")
    assert caller.read_exactly(6) == b"\xffworld"
    metrics = proxy.metrics()
    assert metrics.sum("curfew_tunnels", upstream="egress") == 1 and metrics.sum("curfew_calls_in_flight", phase="tunnel") == 1
    caller.half_close()
    peer.wait_ended()
    peer.send(b"after")
    peer.close()
    assert caller.read_all() == b"after"
    metrics = proxy.wait_idle()
    assert metrics.sum("curfew_calls_completed_total", upstream="egress", route="here") == 1
    assert metrics.sum("curfew_tunnels_ended_total", upstream="egress", end="caller") == 1
    line, = proxy.log()
    assert (line["method"], line["target"], line["end"], line["destination"]) == ("CONNECT", up.authority, "caller", "here")
    assert (line["bytes_up"], line["bytes_down"], line["status"]) == (8, 11, 200)


def test_bytes_behind_connect_go_first_and_in_order(proxied):
    proxy, up = proxied(None, raw())
    caller, head = connect(proxy, up.authority, send=b"first")
    assert head.status == 200
    caller.send(b"second")
    assert up.accept().read_exactly(11) == b"firstsecond"


@pytest.mark.parametrize("target", ["127.0.0.1", "127.0.0.1:", "127.0.0.1:0", "http://127.0.0.1:80/", "/", "user@127.0.0.1:443", "a%2eb:443",
                                    "127.0.0.1:443:443", "-a:443"])
def test_connect_names_a_host_and_a_port(gateway, target):
    caller, head = connect(gateway, target)
    assert head.status == 400 and head.reason.startswith("curfew: bad_request"), head


def test_connect_has_no_content(gateway):
    for line in "Content-Length: 3", "Transfer-Encoding: chunked":
        caller, head = connect(gateway, "127.0.0.1:443", line, send=b"abc")
        assert head.status == 400, line
    caller, head = connect(gateway, "127.0.0.1:443", "Content-Length: 0")
    assert head.status == 403


def test_no_spelling_of_a_private_address_is_connected_to(gateway):
    for host in SPELLINGS:
        _, head = connect(gateway, f"{host}:443")
        assert (head.status, head.reason) == (403, "curfew: destination_ip_prohibited"), host
    assert refusals(gateway, "address") == len(SPELLINGS)
    assert gateway.metrics().sum("curfew_calls_started_total") == 0


def test_a_refusal_leaves_the_connection_for_another_try(proxied):
    proxy, up = proxied(None, raw())
    caller, head = connect(proxy, "10.0.0.1:443")
    assert head.status == 403
    caller.recv_content(head)
    caller.send(f"CONNECT {up.authority} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    assert caller.recv_response_head().status == 200
    up.accept()


def test_a_tunnel_that_can_not_be_opened_is_answered_by_why(proxied, upstream):
    gone = upstream(None)
    gone.refuse()
    proxy, up = proxied(None, raw(), ports=[port_of(gone)], deadline="1s", pool={"size": 1, "queue": 1})
    _, head = connect(proxy, gone.authority)
    assert (head.status, head.reason) == (502, "curfew: connection_refused")
    first, head = connect(proxy, up.authority)
    assert head.status == 200
    _, head = connect(proxy, up.authority)
    assert (head.status, head.reason) == (504, "curfew: deadline (connection_limit_reached)"), "in the queue"
    first.close()
    metrics = proxy.wait_idle()
    assert metrics.sum("curfew_calls_stuck_total", upstream="egress", route="here", phase="queue") == 1
    assert metrics.sum("curfew_calls_failed_total", upstream="egress", route="here", reason="connection_refused") == 1


def test_at_most_size_tunnels_at_once(proxied):
    proxy, up = proxied(None, here(tunnel={"sni": "off"}, pool={"size": 2, "queue": 0}))
    tunnels = [connect(proxy, up.authority) for _ in range(2)]
    assert [head.status for _, head in tunnels] == [200, 200]
    _, head = connect(proxy, up.authority)
    assert (head.status, head.reason) == (503, "curfew: queue_full (connection_limit_reached)")
    tunnels[0][0].close()
    proxy.wait_metric("curfew_pool_held", 1)
    assert connect(proxy, up.authority)[1].status == 200


def test_the_deadline_ends_when_the_tunnel_opens_and_idle_and_lifetime_hold(proxied):
    slow, short = here("slow", "127.0.0.1", tunnel={"sni": "off", "idle": "1s"}), here("short", "localhost", tunnel={"sni": "off", "lifetime": "1s"})
    proxy, up = proxied(None, slow, short, deadline="600ms")
    caller, head = connect(proxy, up.authority)
    peer = up.accept()
    assert head.status == 200
    caller.wait_ended()
    peer.wait_ended()
    caller, head = connect(proxy, f"localhost:{port_of(up)}")
    assert head.status == 200
    up.accept()
    caller.wait_ended()
    metrics = proxy.wait_idle()
    assert metrics.sum("curfew_tunnels_ended_total", end="idle") == 1 and metrics.sum("curfew_tunnels_ended_total", end="lifetime") == 1
    assert metrics.sum("curfew_calls_stuck_total", route="slow", phase="tunnel") == 1
    assert metrics.sum("curfew_calls_completed_total", route="short") == 1


def test_an_idle_tunnel_is_reclaimed_for_who_waits_and_for_nobody_else(proxied):
    """A client's pool of kept connections does not starve others of permits."""
    proxy, up = proxied(None, here(tunnel={"sni": "off", "reclaim": "200ms"}, pool={"size": 1, "queue": 5}))
    first, head = connect(proxy, up.authority)
    peer = up.accept()
    assert head.status == 200
    second = proxy.caller()
    first.must_be_silent(0.5)
    second.send(f"CONNECT {up.authority} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    assert second.recv_response_head().status == 200
    assert first.wait_ended() == "closed"
    peer.wait_ended()
    up.accept()
    metrics = proxy.metrics()
    assert metrics.sum("curfew_tunnels_ended_total", upstream="egress", end="idle") == 1
    assert metrics.sum("curfew_calls_completed_total", upstream="egress", route="here") == 1


# --------------------------------------------------------------------------------------- ClientHello


def hello_for(name):
    """A ClientHello, as Python's ssl writes it."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    tls = context.wrap_bio(incoming, outgoing, server_hostname=name)
    with pytest.raises(ssl.SSLWantReadError):
        tls.do_handshake()
    return outgoing.read()


def in_records(hello, size):
    """The same message, in records of so many bytes."""
    body = hello[5:]
    return b"".join(hello[:3] + len(part).to_bytes(2, "big") + part for part in (body[at:at + size] for at in range(0, len(body), size)))


@pytest.fixture
def matching(proxied):
    """A destination by two names, and another one that has everything."""
    return proxied(None, here("mine", ["localhost", "*.localhost"]), here("other", "*"))


def test_a_hello_for_the_same_destination_goes_through_in_whatever_pieces(matching):
    proxy, up = matching
    hello = hello_for("api.localhost")
    for data in hello, in_records(hello, 90), in_records(hello, 7):
        for pieces in 1, 2, 20:
            caller, head = connect(proxy, f"localhost:{port_of(up)}")
            assert head.status == 200
            peer = up.accept()
            size = -(-len(data) // pieces)
            for at in range(0, len(data), size):
                if at != 0:
                    peer.must_be_silent(0.01)
                caller.send(data[at:at + size])
            assert peer.read_exactly(len(data)) == data
            peer.send(b"x")
            assert caller.read_exactly(1) == b"x"
            caller.close()
    line = proxy.log(9)[0]
    assert line["sni"] == "api.localhost"


@pytest.mark.parametrize("what", ["another", "none", "http", "cut", "silence", "large"])
def test_what_is_no_hello_for_the_same_destination_gets_no_byte_through(matching, what):
    proxy, up = matching
    sent = {"another": lambda: hello_for("api.example.com"), "none": lambda: hello_for(None), "http": lambda: b"GET / HTTP/1.1\r\n\r\n",
            "cut": lambda: hello_for("localhost")[:40], "silence": lambda: b"\x16",
            "large": lambda: in_records(b"\x16\x03\x01\0\0\x01\0\x3f\x00" + bytes(16500), 1000)}[what]()
    caller, head = connect(proxy, f"localhost:{port_of(up)}")
    assert head.status == 200
    peer = up.accept()
    caller.send(sent)
    if what == "cut":
        caller.half_close()
    caller.wait_ended(8 * SLOW)
    peer.wait_ended()
    assert not peer.has_bytes() or peer.ended() == "reset"
    metrics = proxy.wait_idle()
    assert metrics.sum("curfew_forward_refused_total", listener="egress", reason="sni") == 1
    assert metrics.sum("curfew_calls_abandoned_total", upstream="egress", route="mine", phase="tunnel") == 1
    line, = proxy.log()
    assert (line["cause"], line["end"], line["sent"]) == ("sni", "error", "none")


def test_a_hello_that_comes_with_connect_is_judged_before_the_answer(matching):
    proxy, up = matching
    caller, head = connect(proxy, f"localhost:{port_of(up)}", send=hello_for("api.example.com"))
    assert (head.status, head.reason) == (403, "curfew: sni (http_request_denied)")
    assert parse(caller.recv_content(head) or head)["detail"] == "the TLS client asks for a name of another destination"


def test_a_caller_that_leaves_without_a_word_is_no_refusal(matching):
    proxy, up = matching
    caller, head = connect(proxy, f"localhost:{port_of(up)}")
    peer = up.accept()
    caller.close()
    peer.wait_ended()
    metrics = proxy.wait_idle()
    assert metrics.sum("curfew_forward_refused_total", reason="sni") == 0
    assert metrics.sum("curfew_calls_completed_total", route="mine") == 1


def test_reloads_leave_tunnels_alone_and_a_drain_ends_them(proxied):
    proxy, up = proxied(None, raw())
    caller, _ = connect(proxy, up.authority)
    peer = up.accept()
    for _ in range(3):
        proxy.rewrite({}, drain="200ms", **forward([port_of(up)], here(action="refuse")))
        proxy.must_reload()
    caller.send(b"a")
    assert peer.read_exactly(1) == b"a"
    proxy.process.signal(signal.SIGTERM)
    caller.wait_ended()
    peer.wait_ended()
    assert proxy.process.wait_exit() == 0


# --------------------------------------------------------------------------------------------- explain


EXPLAINED = """\
upstreams:
  api: {listen: 127.0.0.1:8080, url: "https://api.example.com"}
forward:
  egress:
    listen: 127.0.0.1:3128
    destinations:
      - {name: mine, hosts: [localhost], addresses: [127.0.0.0/8, "::1"], tunnel: {reclaim: 10s}}
      - {name: no, hosts: ["*.no.example"], action: refuse}
      - {hosts: ["*"], action: report}
"""


@pytest.mark.parametrize("method, url, status, words", [
    ("CONNECT", "localhost:443", 0, ["destination mine: allowed (localhost)", "127.0.0.1:443", "may be dialled", "idle 5m, lifetime 1h", "idle for 10s",
                                     "no deadline for a request inside it"]),
    ("CONNECT", "10.0.0.1:443", 1, ["403 destination_ip_prohibited", "is never dialled", "destination other: allowed, counted and marked in the log (*)"]),
    ("CONNECT", "0x7f.1:443", 1, ["403 destination_ip_prohibited", "plain dotted quad"]),
    ("CONNECT", "a.no.example:443", 1, ["403 http_request_denied", "destination no: refused (*.no.example)"]),
    ("CONNECT", "localhost:22", 1, ["403 http_request_denied: Requests may not go to this port"]),
    ("CONNECT", "localhost", 1, ["400 http_request_error", "the target's port is not a number"]),
    ("GET", "http://localhost/v1", 0, ["destination mine", "Host: localhost", "never Proxy-Authorization"]),
    ("GET", "https://api.example.com/v1", 0, ["upstream    api"]),
])
def test_explain_says_destination_addresses_and_verdict(tmp_path, method, url, status, words):
    config = tmp_path / "curfew.yaml"
    config.write_text(EXPLAINED)
    told = curfew_command("explain", "-c", str(config), method, url)
    assert told.returncode == status, told.stdout + told.stderr
    for word in words:
        assert word in told.stdout, told.stdout


# --------------------------------------------------------------------------------------------- clients


@pytest.fixture
def secure(curfew, upstream, certificates):
    """(proxy, an API by TLS that callers may reach, one that they may not by its address)."""
    up = upstream(ok, tls=certificates.server())
    proxy = curfew(upstreams={}, top=forward([port_of(up)], here("api", "localhost"), {"name": "other", "hosts": "*"}))
    return proxy, up


def proxy_url(proxy):
    return "http://{}:{}".format(*proxy.address("egress"))


def environment(proxy, certificates):
    return {**os.environ, "HTTPS_PROXY": proxy_url(proxy), "https_proxy": proxy_url(proxy), "http_proxy": proxy_url(proxy), "NO_PROXY": "",
            "no_proxy": "", "SSL_CERT_FILE": str(certificates.ca), "REQUESTS_CA_BUNDLE": str(certificates.ca)}


def test_curl_goes_through_and_shows_why_not(secure, certificates):
    proxy, up = secure
    port = port_of(up)
    told = run(["curl", "-sS", "-i", "--cacert", certificates.ca, "-x", proxy_url(proxy), f"https://localhost:{port}/"])
    assert told.returncode == 0 and told.stdout.endswith("ok"), told
    told = run(["curl", "-sS", "-i", "--cacert", certificates.ca, "-x", proxy_url(proxy), f"https://10.0.0.1:{port}/"])
    assert told.returncode == 56 and "403 curfew: destination_ip_prohibited" in told.stdout, told


@pytest.mark.parametrize("program", [
    "import urllib.request as u; print(u.urlopen('https://{}/').read().decode())",
    "import requests; print(requests.get('https://{}/').text)",
], ids=["urllib", "requests"])
def test_python_goes_through_and_shows_why_not(secure, certificates, program):
    proxy, up = secure
    port = port_of(up)
    told = run([sys.executable, "-c", program.format(f"localhost:{port}")], env=environment(proxy, certificates), seconds=4 * SOON)
    assert (told.returncode, told.stdout.strip()) == (0, "ok"), told
    told = run([sys.executable, "-c", program.format(f"10.0.0.1:{port}")], env=environment(proxy, certificates), seconds=4 * SOON)
    assert told.returncode != 0 and "Tunnel connection failed: 403 curfew: destination_ip_prohibited" in told.stderr, told


NODE = """
const http = require('http'), tls = require('tls'), fs = require('fs');
const [proxy, target, ca] = process.argv.slice(2);
const at = new URL(proxy);
http.request({host: at.hostname, port: at.port, method: 'CONNECT', path: target}).on('connect', (answer, socket) => {
  if (answer.statusCode != 200) { console.log(answer.statusCode + ' ' + answer.statusMessage); process.exit(3); }
  const inner = tls.connect({socket, servername: 'localhost', ca: fs.readFileSync(ca)}, () => inner.write('GET / HTTP/1.1\\r\\nHost: localhost\\r\\n\\r\\n'));
  inner.on('data', data => { console.log(data.toString().split('\\r\\n').pop()); process.exit(0); });
}).end();
"""


def test_node_goes_through_and_shows_why_not(secure, certificates, tmp_path):
    proxy, up = secure
    script = tmp_path / "client.js"
    script.write_text(NODE)
    told = run(["node", str(script), proxy_url(proxy), f"localhost:{port_of(up)}", str(certificates.ca)], seconds=4 * SOON)
    assert (told.returncode, told.stdout.strip()) == (0, "ok"), told
    told = run(["node", str(script), proxy_url(proxy), f"10.0.0.1:{port_of(up)}", str(certificates.ca)], seconds=4 * SOON)
    assert (told.returncode, told.stdout.strip()) == (3, "403 curfew: destination_ip_prohibited"), told


GO = """
package main

import ("fmt"; "io"; "net/http"; "net/url"; "os")

func main() {
	proxy, _ := url.Parse(os.Args[1])
	client := http.Client{Transport: &http.Transport{Proxy: http.ProxyURL(proxy)}}
	answer, err := client.Get(os.Args[2])
	if err != nil { fmt.Println(err); os.Exit(3) }
	text, _ := io.ReadAll(answer.Body)
	fmt.Println(string(text))
}
"""


def test_go_goes_through_and_shows_why_not(secure, certificates, tmp_path):
    proxy, up = secure
    (tmp_path / "client.go").write_text(GO)
    env = {**environment(proxy, certificates), "GOCACHE": str(GO_CACHE), "GOFLAGS": "-mod=mod", "GO111MODULE": "off"}
    built = run(["go", "build", "-o", str(tmp_path / "client"), str(tmp_path / "client.go")], env=env, seconds=TEST)
    assert built.returncode == 0, built
    told = run([str(tmp_path / "client"), proxy_url(proxy), f"https://localhost:{port_of(up)}/"], env=env)
    assert (told.returncode, told.stdout.strip()) == (0, "ok"), told
    told = run([str(tmp_path / "client"), proxy_url(proxy), f"https://10.0.0.1:{port_of(up)}/"], env=env)
    assert told.returncode == 3 and "curfew: destination_ip_prohibited" in told.stdout, told


# ------------------------------------------------------------------------------- the guard of an upstream


def test_an_upstream_can_deny_private_addresses_too(curfew, upstream, tmp_path):
    up = upstream(ok)
    proxy = curfew(url=f"http://localhost:{port_of(up)}", addresses={"private": "deny"})
    answer = proxy.ask("GET", "/")
    assert answer.status == 502 and proxy_error(answer) == "destination_ip_prohibited"
    assert parse(answer)["sent"] == "none"
    assert up.connections == 0
    assert proxy.metrics().sum("curfew_calls_failed_total", reason="destination_ip_prohibited") == 1
    config = tmp_path / "literal.yaml"
    config.write_text('upstreams: {api: {listen: 127.0.0.1:0, url: "http://10.0.0.1", addresses: {private: deny}}}')
    told = curfew_command("check", str(config))
    assert told.returncode == 1 and "would never be dialled" in told.stderr


# ------------------------------------------------------------------------------ without memory, and many


@pytest.mark.parametrize("method", ["GET", "CONNECT"])
def test_without_memory_a_request_ends_alone(curfew, upstream, faults, method):
    """Each allocation of a request to a name fails once; nothing is left of it."""
    up = upstream(ok)
    proxy = curfew(upstreams={}, top=forward([port_of(up)], here(hosts="localhost"), keepalive={"max_idle": 0}), env=faults.env)
    authority, hello = f"localhost:{port_of(up)}", hello_for("localhost")

    def once(may_fail):
        caller = proxy.caller()
        try:
            if method == "GET":
                caller.request("GET", f"http://{authority}/")
                answer = caller.recv_response()
            else:
                caller.send(f"CONNECT {authority} HTTP/1.1\r\nHost: {authority}\r\n\r\n".encode() + hello)
                answer = caller.recv_response_head()
            assert answer.status == 200 or (may_fail and answer.status in (500, 502)), answer
        except (Cut, ConnectionError):
            assert may_fail
        finally:
            caller.close()

    up.script = ok if method == "GET" else lambda exchange: exchange.read_exactly(len(hello)) is None
    once(False)
    for nth in each_fault(faults, ALLOC, threads=WORKERS):
        once(True)
        faults.disarm()
        assert proxy.process.is_running(), f"fault {nth} has ended it:\n{proxy.process.stderr.text()}"
        once(False)
    metrics = proxy.wait_idle()
    assert metrics.sum("curfew_broken_invariants_total") == 0


@pytest.mark.sound_only
def test_ten_thousand_tunnels_that_were_opened_and_left_leave_no_descriptor(proxied):
    proxy, up = proxied(None, raw())
    descriptors = lambda: len(os.listdir(f"/proc/{proxy.process.pid}/fd"))
    connect(proxy, up.authority)[0].close()
    up.accept()
    proxy.wait_idle()
    before = descriptors()
    for _ in range(200):
        callers = [connect(proxy, up.authority)[0] for _ in range(50)]
        peers = [up.accept() for _ in callers]
        for one in callers + peers:
            one.close()
    metrics = proxy.wait_idle()
    assert metrics.sum("curfew_tunnels_ended_total", upstream="egress") == 10_001
    poll(lambda: descriptors() <= before, lambda: f"{descriptors()} descriptors, not {before}")
