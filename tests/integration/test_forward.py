"""A forward proxy: plain requests in absolute form, where they may go, and the guard of addresses (docs/egress.md)."""

import json
import socket
import threading

import pytest

from harness.bounds import SOON
from harness.names import A, NXDOMAIN, Answer, Names, System
from harness.peers import ok
from harness.problem import parse, proxy_error

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


@pytest.fixture
def names(tmp_path):
    made = []

    def make(rule):
        try:
            made.append(Names(rule))
        except PermissionError:
            pytest.skip("port 53 of a loopback address needs root")
        system = System(tmp_path / "etc", resolv_conf=f"nameserver {made[-1].host}\n", hosts="127.0.0.1 localhost\n",
                        nsswitch_conf="hosts: files dns\n")
        if not system.wrap:
            pytest.skip("a mount namespace of its own is not allowed here")
        return made[-1], system

    yield make
    for one in made:
        one.close()


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
