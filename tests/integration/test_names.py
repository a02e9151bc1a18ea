"""How the API's name is found, beside the C library, and what becomes of calls when DNS fails (docs/names.md)."""

import json
import socket

import pytest

from harness.bounds import SLOW, SOON, Stopwatch, poll
from harness.names import A, NXDOMAIN, REFUSED, SERVFAIL, Answer
from harness.peers import ok
from harness.problem import expect

NEVER_KEEP = {"max_idle": 0}
HOSTS = "127.0.0.1 localhost\n"
KUBERNETES = "search shop.svc.test svc.test corp.test\noptions ndots:5\n"

pytestmark = pytest.mark.one_worker


def answers(proxy, result):
    return proxy.metrics().sum("curfew_dns_answers_total", result=result)


# ------------------------------------------------------------------------- beside the C library


def of_search(name, kind, tcp):
    del tcp
    if name in ("api.test", "short", "deep.shop.svc.test"):
        return Answer("127.0.0.1") if kind == A else Answer()
    if name.endswith(".corp.test"):
        return Answer(rcode=SERVFAIL)
    return Answer(rcode=NXDOMAIN) if not name.endswith(".empty.test") else Answer()


SEARCHES = {
    "none": "search .\n",
    "kubernetes": KUBERNETES,
    "servfail-first": "search corp.test empty.test\noptions ndots:2\n",
    "empty": "search empty.test shop.svc.test\n",
    "domain": "search empty.test\ndomain shop.svc.test\n",
    "ndots-0": "options ndots:0\nsearch shop.svc.test\n",
}


@pytest.mark.parametrize("search", SEARCHES)
def test_the_search_list_is_gone_through_as_the_c_library_does(curfew, upstream, names, search):
    up = upstream(ok)
    server, system = names(of_search, resolv="nameserver {}\n" + SEARCHES[search])
    hosts = ["api.test", "api.test.", "short", "deep", "missing.test", "missing"]
    proxy = curfew(upstreams={f"u{n}": {"url": up.named(host), "deadline": "5s"} for n, host in enumerate(hosts)}, wrap=system.wrap)
    for n, host in enumerate(hosts):
        server.asked.clear()
        found = system.resolves(host)
        by_c_library = server.names()
        server.asked.clear()
        response = proxy.ask(upstream=f"u{n}")
        assert (response.status == 200) == bool(found), (host, found, response.status)
        assert server.names() == by_c_library, host


SOURCES = {
    "files dns": True, "dns files": False, "files": True, "dns": False, "dns [NOTFOUND=return] files": False,
    "mymachines resolve [!UNAVAIL=return] files myhostname dns": True, "files mdns4_minimal [NOTFOUND=return] dns": True,
}


@pytest.mark.parametrize("sources", SOURCES)
def test_sources_are_asked_in_the_order_of_nsswitch_conf(curfew, upstream, names, sources):
    """`pinned.test` is in both, and good in the hosts file; `filed.test` is in the hosts file alone, `api.test` in DNS alone."""
    up = upstream(ok)
    server, system = names({"pinned.test": ["127.0.0.99"], "api.test": ["127.0.0.1"]}, nsswitch=f"hosts: {sources}\n",
                           hosts=HOSTS + "127.0.0.1 Pinned.test # ours\n127.0.0.1 filed.test\n")
    hosts = ["pinned.test", "filed.test", "api.test"]
    proxy = curfew(upstreams={host: {"url": up.named(host), "deadline": "5s"} for host in hosts}, wrap=system.wrap)
    found = {host: system.resolves(host) for host in hosts}
    assert (found["pinned.test"] == ["127.0.0.1"]) == SOURCES[sources]
    assert {host: proxy.ask(upstream=host).status == 200 for host in hosts} == \
        {host: found[host] == ["127.0.0.1"] for host in hosts}
    assert server.asked or "dns" not in sources


def test_files_that_change_are_in_force_at_once(curfew, upstream, names):
    up = upstream(ok)
    server, system = names({"api.test": ["127.0.0.1"]}, resolv="")
    proxy = curfew(url=up.named("api.test"), wrap=system.wrap, keepalive=NEVER_KEEP, deadline="2s")
    expect(proxy.ask(), 502, "dns_error", phase="dns", sent="none")
    system.put("resolv_conf", f"nameserver {server.host}\n")
    assert proxy.ask().status == 200
    system.put("hosts", HOSTS + "127.0.0.99 api.test\n")
    assert proxy.ask().status == 502
    system.put("hosts", HOSTS)
    assert proxy.ask().status == 200


def test_servers_that_change_are_asked_by_lookups_under_way(curfew, upstream, names):
    up = upstream(ok)
    silent, _ = names(lambda name, kind, tcp: None)
    server, system = names({"api.test": ["127.0.0.1"]}, resolv=f"nameserver {silent.host}\n")
    proxy = curfew(url=up.named("api.test"), wrap=system.wrap, keepalive=NEVER_KEEP, deadline="30s")
    waiting = proxy.caller()
    waiting.request()
    poll(lambda: silent.asked, "the first server to be asked")
    system.put("resolv_conf", f"nameserver {server.host}\n")
    watch = Stopwatch()
    assert proxy.ask().status == 200
    assert waiting.recv_response().status == 200
    assert watch.elapsed() < SOON  # the silent one would be given 9 s
    asked = len(silent.asked)
    assert proxy.ask().status == 200 and len(silent.asked) == asked


# ------------------------------------------------------------------------------ answers of all kinds


def odd_answers(name, kind, tcp):
    many = [f"127.0.{2 + n // 200}.{1 + n % 200}" for n in range(600)] if kind == A else []
    return {
        "many.test": Answer(*many, truncated=not tcp),
        "alias.test": Answer("127.0.0.1", alias="target.test"),
        "dangling.test": Answer(alias="target.test"),
        "no6.test": Answer("127.0.0.1") if kind == A else None,
        "slow6.test": Answer("127.0.0.1", delay=0 if kind == A else 1),
        "denied6.test": Answer("127.0.0.1") if kind == A else Answer(rcode=NXDOMAIN),
        "refused6.test": Answer("127.0.0.1") if kind == A else Answer(rcode=REFUSED),
        "empty.test": Answer(),
        "servfail.test": Answer(rcode=SERVFAIL),
    }.get(name, Answer(rcode=NXDOMAIN))


@pytest.mark.timed
def test_answers_of_all_kinds(curfew, upstream, names):
    up = upstream(ok)
    _, system = names(odd_answers)
    good = ["alias.test", "no6.test", "slow6.test", "denied6.test", "refused6.test"]
    bad = ["dangling.test", "empty.test", "servfail.test", "missing.test"]
    proxy = curfew(upstreams={host: {"url": up.named(host), "deadline": "4s"} for host in [*good, *bad, "many.test"]}, wrap=system.wrap)
    for host in good:
        watch = Stopwatch()
        assert proxy.ask(upstream=host).status == 200, host
        assert watch.elapsed() < 0.5 * SLOW, host
    for host in bad:
        expect(proxy.ask(upstream=host), 502, "dns_error", phase="dns", sent="none", upstream=host)
    response = proxy.ask(upstream="many.test")
    assert response.status in (502, 504) and json.loads(response.content)["phase"] != "dns"
    assert answers(proxy, "failed") == len(bad)


# --------------------------------------------------------------------------------- DNS fails


@pytest.mark.timed
def test_calls_go_on_while_dns_is_silent_or_denies(curfew, upstream, names):
    """On new connections, with a TTL of 1 s: no call fails, and none waits."""
    up = upstream(ok)
    mood = [Answer("127.0.0.1", ttl=1)]
    server, system = names(lambda name, kind, tcp: mood[0] and Answer(*mood[0].addresses, ttl=1, rcode=mood[0].rcode))
    proxy = curfew(url=up.named("api.test"), wrap=system.wrap, keepalive=NEVER_KEEP)
    assert proxy.ask().status == 200
    for mood[0] in (None, Answer(rcode=NXDOMAIN)):
        asked, watch = server.count(), Stopwatch()
        while server.count() < asked + 1 or watch.elapsed() < 0.3:
            assert proxy.ask().status == 200
            assert watch.elapsed() < 15 * SLOW
    poll(lambda: proxy.ask().status == 200 and answers(proxy, "stale") > 0, "stale answers are counted", 15 * SLOW)
    assert answers(proxy, "failed") == 0
    poll(lambda: '"dns":"stale"' in proxy.access_log.read_text(), "the access log says it", SOON)
    lines = [json.loads(line) for line in proxy.access_log.read_text().splitlines()]
    assert "dns" not in lines[0]
    assert max(line["elapsed_ms"] for line in lines[1:]) < 300 * SLOW
    began = [line for line in proxy.process.stderr.lines if "its last addresses are used" in line]
    assert len(began) == 1 and "api.test can't be looked up" in began[0]
    mood[0] = Answer("127.0.0.1")
    assert poll(lambda: proxy.ask().status == 200 and
                any("api.test can be looked up again" in line for line in proxy.process.stderr.lines), "it is over", 15 * SLOW)


def test_without_stale_an_answer_ends_with_its_time(curfew, upstream, names):
    up = upstream(ok)
    alive = [True]
    _, system = names(lambda name, kind, tcp: Answer("127.0.0.1", ttl=1) if alive[0] else Answer(rcode=SERVFAIL))
    proxy = curfew(url=up.named("api.test"), wrap=system.wrap, keepalive=NEVER_KEEP, dns={"stale": "0s", "negative": "0s"})
    assert proxy.ask().status == 200
    alive[0] = False
    poll(lambda: proxy.ask().status == 502, "the answer's time is over", 10 * SLOW)


def test_a_lookup_outlives_the_call_that_began_it(curfew, upstream, names):
    up = upstream(ok)
    _, system = names(lambda name, kind, tcp: Answer("127.0.0.1", delay=0.6))
    proxy = curfew(url=up.named("api.test"), wrap=system.wrap, timeouts={"connect": "200ms"})
    expect(proxy.ask(), 504, "dns_timeout", phase="dns", sent="none")
    poll(lambda: proxy.ask().status == 200, "the answer has come", SOON)


@pytest.mark.timed
def test_a_silent_first_server_costs_300_ms_and_a_refusing_one_nothing(curfew, upstream, names):
    up = upstream(ok)
    server, system = names({"api.test": ["127.0.0.1"], "other.test": ["127.0.0.1"]}, resolv="nameserver 127.0.0.98\nnameserver {}\n")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
        silent.bind(("127.0.0.98", 53))
        proxy = curfew(upstreams={host: {"url": up.named(host), "deadline": "3s"} for host in ("api.test", "other.test")}, wrap=system.wrap)
        watch = Stopwatch()
        assert proxy.ask(upstream="api.test").status == 200
        assert 0.29 <= watch.elapsed() < 0.6 + 0.3 * SLOW
    watch = Stopwatch()
    assert proxy.ask(upstream="other.test").status == 200
    assert watch.elapsed() < 0.25 * SLOW


def test_errors_do_not_flood_the_name_server(curfew, names):
    server, system = names({})
    proxy = curfew(url="http://missing.test.", wrap=system.wrap, dns={"negative": "1m"})
    for _ in range(20):
        expect(proxy.ask(), 502, "dns_error", phase="dns", sent="none")
    assert server.count() == 2


# --------------------------------------------------------------------------------- names that move


def test_idle_connections_to_an_address_that_is_gone_are_not_used_again(curfew, upstream, names):
    up = upstream(ok)
    other = socket.create_server(("127.0.0.66", up.port))
    addresses = ["127.0.0.1"]
    server, system = names(lambda name, kind, tcp: Answer(*addresses, ttl=1))
    proxy = curfew(url=up.named("api.test"), wrap=system.wrap, keepalive={"max_age": "1h"})
    assert proxy.ask().status == 200
    addresses[0] = "127.0.0.66"
    poll(lambda: proxy.metrics().sum("curfew_connections", side="upstream_idle") == 0, "the idle connection is closed", SOON)
    other.close()
    expect(proxy.ask(), 502, "connection_refused", phase="connect", sent="none")
    addresses[0] = "127.0.0.1"
    poll(lambda: proxy.ask().status == 200, "what refuses is looked up anew", SOON)


def test_a_reload_looks_names_up_anew(curfew, upstream, names):
    up = upstream(ok)
    addresses = ["127.0.0.1"]
    server, system = names(lambda name, kind, tcp: Answer(*addresses, ttl=3600) if addresses else None)
    proxy = curfew(url=up.named("api.test"), wrap=system.wrap)
    assert proxy.ask().status == 200
    addresses[0] = "127.0.0.66"
    proxy.must_reload()
    expect(proxy.ask(), 502, "connection_refused", phase="connect", sent="none")
    addresses[0] = "127.0.0.1"
    proxy.must_reload()
    assert proxy.ask().status == 200
    addresses.clear()  # silence
    proxy.must_reload()
    watch = Stopwatch()
    assert proxy.ask().status == 200
    assert watch.elapsed() < 1 + SLOW
