"""What a browser may ask of the admin listener, and for whom; and the files that it gets."""

import gzip
import json

import pytest

from harness.peers import ScriptedCaller


@pytest.fixture(scope="module")
def service(gate):
    proxy, _ = gate
    return proxy


def authority(proxy):
    return "%s:%d" % proxy.admin


def ask(proxy, method, target, host=None, **fields):
    lines = [f"{name.replace('_', '-')}: {value}" for name, value in fields.items()]
    caller = ScriptedCaller(proxy.admin)
    try:
        return caller.ask(method, target, *lines, host=host or authority(proxy))
    finally:
        caller.close()


def waiting_call(proxy, up):
    caller = proxy.caller()
    caller.request()
    exchange, _ = up.take()
    call, = proxy.calls()["calls"]
    return caller, exchange, call["id"]


# ------------------------------------------------------------------------------------- names


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.1:9600", "[::1]:9600", "localhost", "LOCALHOST:1", "a.localhost", "curfew",
                                  "sidecar:9600", "10.1.2.3"])
def test_it_is_known_by_addresses_and_local_names(service, host):
    assert ask(service, "GET", "/calls", host=host).status == 200


@pytest.mark.parametrize("host", ["evil.example", "evil.example:9600", "127.0.0.1.evil.example", "localhost.evil.example", "evil.",
                                  "1.2.3", "a" * 300 + ".b"])
def test_a_name_that_somebody_let_point_here_gets_nothing(service, host):
    """DNS rebinding: to the browser, page and admin listener are of one origin."""
    for method, target in ("GET", "/"), ("GET", "/calls"), ("GET", "/metrics"), ("DELETE", "/calls/1"), ("POST", "/reload"):
        answer = ask(service, method, target, host=host)
        assert answer.status == 421, (method, target)
        assert json.loads(answer.content)["title"] == "Misdirected Request"


def test_a_unix_socket_is_reached_by_no_browser(curfew, tmp_path):
    proxy = curfew(url="http://127.0.0.1:9", top={"admin": {"listen": f"unix:{tmp_path}/admin.sock"}})
    assert ask(proxy, "GET", "/calls", host="some.name.example").status == 200


def test_a_listener_for_others_is_read_by_its_name_but_acts_for_no_page_of_that_name(curfew, upstream):
    up = upstream()
    proxy = curfew(url=up.url, deadline="50s", top={"admin": {"listen": "0.0.0.0:0", "allow_remote": True}})
    proxy.admin = ("127.0.0.1", proxy.admin[1])
    caller, exchange, call = waiting_call(proxy, up)
    assert ask(proxy, "GET", "/calls", host="curfew.example").status == 200
    refused = ask(proxy, "DELETE", f"/calls/{call}", host="curfew.example", Origin="http://curfew.example")
    assert refused.status == 403 and b"by its address" in refused.content
    assert ask(proxy, "DELETE", f"/calls/{call}", host="curfew.example").status == 200  # a tool
    assert caller.recv_response().status == 504
    exchange.wait_ended()


# ------------------------------------------------------------------------------------- origins


def test_the_page_cuts_a_call(pair):
    proxy, up = pair(deadline="50s")
    caller, exchange, call = waiting_call(proxy, up)
    answer = ask(proxy, "DELETE", f"/calls/{call}", Origin=f"http://{authority(proxy)}", Sec_Fetch_Site="same-origin")
    assert answer.status == 200
    assert caller.recv_response().status == 504
    exchange.wait_ended()


@pytest.mark.parametrize("fields", [
    {"Origin": "null"}, {"Origin": "http://evil.example"}, {"Origin": "http://127.0.0.1"}, {"Origin": "http://127.0.0.1:1"},
    {"Origin": "https://{admin}"}, {"Origin": "http://{admin}.evil.example"}, {"Origin": ""},
    {"Sec_Fetch_Site": "cross-site"}, {"Sec_Fetch_Site": "same-site", "Sec_Fetch_Mode": "cors"},
    {"Origin": "http://{admin}", "Sec_Fetch_Site": "same-site"}])
def test_other_pages_neither_read_nor_cut(pair, fields):
    proxy, up = pair(deadline="50s")
    caller, exchange, call = waiting_call(proxy, up)
    fields = {name: value.format(admin=authority(proxy)) for name, value in fields.items()}
    for method, target in ("DELETE", f"/calls/{call}"), ("GET", "/calls"), ("GET", "/page/page.mjs"), ("POST", "/reload"):
        answer = ask(proxy, method, target, **fields)
        assert answer.status == 403, (method, target)
        assert answer["access-control-allow-origin"] is None
    assert proxy.calls()["in_flight"] == 1
    exchange.answer()
    assert caller.recv_response().status == 200


def test_no_page_reloads(service):
    answer = ask(service, "POST", "/reload", Origin=f"http://{authority(service)}", Sec_Fetch_Site="same-origin")
    assert answer.status == 403 and b"not for browsers" in answer.content


def test_a_link_leads_to_the_page(service):
    answer = ask(service, "GET", "/", Accept="text/html", Sec_Fetch_Site="cross-site", Sec_Fetch_Mode="navigate")
    assert answer.status == 200 and answer["content-type"].startswith("text/html")


# ------------------------------------------------------------------------------------- files

FILES = {"index.html": "text/html", "page.css": "text/css", "page.mjs": "text/javascript", "model.mjs": "text/javascript",
         "words.mjs": "text/javascript", "view.mjs": "text/javascript", "charts.mjs": "text/javascript",
         "chart.min.js": "text/javascript", "icon.svg": "image/svg+xml"}


def test_browsers_get_a_page_and_tools_a_list(service):
    for accept in "text/html", "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8":
        answer = ask(service, "GET", "/", Accept=accept)
        assert answer["content-type"] == "text/html; charset=utf-8" and b"<title>curfew</title>" in answer.content
        assert answer["vary"] == "Accept"
    for fields in {}, {"Accept": "*/*"}, {"Accept": "application/json"}:
        answer = ask(service, "GET", "/", **fields)
        assert answer["content-type"].startswith("text/plain") and b"/history" in answer.content
        assert answer["vary"] == "Accept"


@pytest.mark.parametrize("name", FILES)
def test_a_file_is_kept_by_browsers_until_it_is_another(service, name):
    answer = ask(service, "GET", f"/page/{name}")
    assert answer.status == 200 and answer["content-type"].startswith(FILES[name])
    assert answer["cache-control"] == "no-cache" and len(answer.content) == int(answer["content-length"]) > 100
    again = ask(service, "GET", f"/page/{name}", If_None_Match=answer["etag"])
    assert again.status == 304 and again["etag"] == answer["etag"] and not again.content
    head = ask(service, "HEAD", f"/page/{name}")
    assert head["content-length"] == answer["content-length"]
    assert ask(service, "GET", f"/page/{name}", If_None_Match='"0123456789abcdef"').status == 200


def test_the_page_may_do_nothing_but_what_it_has_to(service):
    answer = ask(service, "GET", "/", Accept="text/html")
    policy = answer["content-security-policy"]
    assert policy.startswith("default-src 'none'; ") and "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy and "http" not in policy and "*" not in policy
    assert answer["x-frame-options"] == "DENY"
    for target in "/", "/calls", "/metrics", "/healthz", "/history", "/nothing":
        answer = ask(service, "GET", target)
        assert answer["x-content-type-options"] == "nosniff" and answer["cross-origin-resource-policy"] == "same-origin"


def test_chart_js_has_its_licence_with_it(service):
    answer = ask(service, "GET", "/page/chart.min.js")
    assert answer["content-encoding"] == "gzip"
    assert b"Released under the MIT License" in gzip.decompress(answer.content)[:400]


@pytest.mark.parametrize("name", ["", "x", "../etc/passwd", "page.js", "index.html/", "%2e%2e/x"])
def test_there_are_no_other_files(service, name):
    assert ask(service, "GET", f"/page/{name}").status == 404
