"""Redirects: with headers.location: rewrite, those to the API's own origin lead back through curfew, and no others do."""

import pytest

from harness.curfew import curfew_command
from harness.programs import curl


@pytest.fixture
def led(curfew, upstream, certificates, tmp_path):
    """led(name, location, …) -> the response's Location and so on: one curfew, an upstream for each configuration."""
    plain, tls = upstream(), upstream(tls=certificates.server())
    on = {"location": "rewrite"}
    ca = {"tls": {"ca_file": certificates.ca}}
    listen = ["127.0.0.1:0", "[::1]:0"]
    proxy = curfew(upstreams={name: {"deadline": "5s", "listen": [*listen, f"unix:{tmp_path}/{name}.sock"], **keys} for name, keys in {
        "kept": {"url": plain.url},
        "plain": {"url": plain.url, "headers": on},
        "based": {"url": plain.url + "/v2", "headers": on, "server_timing": True},
        "tls": {"url": tls.named("localhost"), "headers": on, **ca},
        "named": {"url": tls.named("localhost"), "headers": {**on, "set": {"Host": "shop.example"}}, **ca},
    }.items()})
    ups = {"tls": tls, "named": tls}

    def lead(name, *locations, index=0, version="1.1", host="Host: here:81", target="/", status=302, field="Location", interim=b""):
        up = ups.get(name, plain)
        caller = proxy.caller(name, index)
        caller.send("\r\n".join([f"GET {target} HTTP/{version}", *([host] if host else []), "", ""]).encode())
        exchange, _ = up.take()
        own = [location.format(up.authority, up.port) for location in locations]
        exchange.send(interim + f"HTTP/1.1 {status} X\r\nContent-Length: 0\r\nConnection: close\r\n".encode()
                      + "".join(f"{field}: {location}\r\n" for location in own).encode() + b"\r\n")
        response = caller.recv_response()
        caller.close()
        assert response.status == status
        told = response.fields.all(field)
        return (told, own) if len(told) > 1 or len(own) > 1 else (told[0], own[0])

    lead.proxy = proxy
    return lead


def stays(told):
    return told[0] == told[1]


def test_a_location_stays_unless_asked(led):
    assert stays(led("kept", "http://{}/a"))


def test_a_location_of_the_apis_own_origin_is_the_callers(led):
    assert led("plain", "http://{}/a?b#c")[0] == "http://here:81/a?b#c"
    assert led("plain", "HTTP://{}")[0] == "http://here:81/"
    assert led("plain", "//{}?a")[0] == "http://here:81/?a"
    for status in (201, 200, 301, 303, 307, 308):
        assert led("plain", "http://{}/a", status=status)[0] == "http://here:81/a"
    assert led("plain", "http://{}/a", field="content-LOCATION")[0] == "http://here:81/a"
    assert led("plain", "http://{}/a", "/b", "http://other.example/c")[0] == ["http://here:81/a", "/b", "http://other.example/c"]
    assert led("tls", "https://LOCALHOST:{1}/a")[0] == led("tls", "//localhost:{1}/a")[0] == "http://here:81/a"


def test_other_origins_and_relative_ones_stay(led):
    for location in ("/a", "a?b", "", "https://{}/a", "http://{}1/a", "http://user@{}/a", "http://other.example/a", "http://{}@other.example/",
                     "http://127.0.0.1/a", "http://localhost:{1}/a", "//other.example/a", "http:/a"):
        assert stays(led("plain", location)), location
    for location in ("http://localhost:{1}/a", "https://localhost/a", "https://127.0.0.1:{1}/a"):
        assert stays(led("tls", location)), location
    assert stays(led("plain", "http://{}/a", field="Link")) and stays(led("plain", "http://{}/a", field="Refresh"))


def test_the_host_that_was_set_is_the_apis_own(led):
    assert led("named", "https://shop.example/a")[0] == led("named", "https://localhost:{1}/a")[0] == "http://here:81/a"
    assert stays(led("named", "http://shop.example/a")) and stays(led("named", "https://shop.example:{1}/a"))


def test_the_base_path_is_taken_off(led):
    assert led("based", "http://{}/v2/a")[0] == "http://here:81/a"
    assert led("based", "http://{}/v2")[0] == led("based", "http://{}/v2/")[0] == "http://here:81/"
    assert led("based", "http://{}/v2?a")[0] == "http://here:81/?a"
    for location in ("http://{}/a", "http://{}/v22", "http://{}/", "http://{}/v2/../a", "http://{}/v2/%2e%2e/a", "/v2/a"):
        assert stays(led("based", location)), location


def test_the_caller_is_led_to_where_it_finds_curfew(led):
    """By the host that it used, in whatever form; without one, at the address that it has connected to."""
    for index in range(3):
        assert led("plain", "http://{}/a", index=index)[0] == "http://here:81/a"
    assert led("plain", "http://{}/a", target="http://localhost:82/b", host="Host: localhost:82")[0] == "http://localhost:82/a"
    assert led("plain", "http://{}/a", host="Host: [::1]:83")[0] == "http://[::1]:83/a"
    for host, version in ((None, "1.0"), ("Host:", "1.1"), ("Host: " + "h" * 300, "1.1")):
        for index in range(2):
            address = led.proxy.address("plain", index)
            name = ("[%s]:%d" if index else "%s:%d") % tuple(address[:2])
            assert led("plain", "http://{}/a", host=host, version=version, index=index)[0] == f"http://{name}/a"
        assert stays(led("plain", "http://{}/a", host=host, version=version, index=2))


def test_an_interim_response_leads_nowhere(led):
    told, _ = led("plain", "http://{}/a", interim=b"HTTP/1.1 103 Early Hints\r\nLocation: http://x/\r\n\r\n")
    assert told == "http://here:81/a"


def test_a_client_that_follows_stays_behind_curfew(curfew, upstream):
    def script(exchange):
        request = exchange.recv_request()
        if request.target == "/v2/old":
            exchange.answer(308, f"Location: http://{up.authority}/v2/new?x=1")
        else:
            exchange.answer(200, content=request.target.encode())

    up = upstream(script)
    proxy = curfew(url=up.url + "/v2", headers={"location": "rewrite"})
    done = curl("-L", "-w", " %{url_effective}", proxy.url("/old"))
    assert done.stdout == f"/v2/new?x=1 {proxy.url('/new?x=1')}"
    assert [line["target"] for line in proxy.log(2)] == ["/old", "/new?x=1"]
    explained = curfew_command("explain", "-c", proxy.config, "GET", "/old")
    assert "A Location under the API's own url leads back here" in explained.stdout
