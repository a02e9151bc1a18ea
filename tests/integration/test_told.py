"""What an API is told of the way to it: nothing, unless the configuration asks for it; what a caller sends of it passes."""

import gzip

import pytest

from harness.programs import curl

WAY = ("via", "forwarded", "x-forwarded-for", "x-forwarded-proto", "x-forwarded-host")
CAME = {"via": "1.0 before", "forwarded": "for=192.0.2.1;proto=https", "x-forwarded-for": "192.0.2.1", "x-forwarded-proto": "https",
        "x-forwarded-host": "shop.example"}
LINES = [f"{name}: {value}" for name, value in CAME.items()]
NAMED = {
    "plain": {},
    "x": {"forwarded": "x-forwarded"},
    "rfc": {"forwarded": "rfc7239"},
    "via": {"via": True},
    "removed": {"forwarded": "x-forwarded", "via": True, "remove": list(WAY)},
    "some": {"forwarded": "x-forwarded", "via": True, "remove": ["x-forwarded-for"], "set": {"X-Forwarded-Proto": "https", "Via": "1.1 me"}},
}


@pytest.fixture
def told(curfew, upstream, tmp_path):
    """told(name, *lines) -> what the API got of WAY, all else that it got, what its caller got."""
    up = upstream()
    listen = ["127.0.0.1:0", "[::1]:0"]
    proxy = curfew(upstreams={name: {"url": up.url, "deadline": "5s", "headers": headers, "listen": listen + [f"unix:{tmp_path}/{name}.sock"]}
                              for name, headers in NAMED.items()})

    def ask(name, *lines, index=0, version="1.1", host="Host: here:80", answer=()):
        caller = proxy.caller(name, index)
        caller.send("\r\n".join([f"GET / HTTP/{version}", *([host] if host else []), *lines, "", ""]).encode())
        exchange, request = up.take()
        exchange.answer(200, "Connection: close", *answer)
        response = caller.recv_response()
        caller.close()
        way = {key: ", ".join(request.fields.all(key)) for key in WAY if key in request.fields}
        return way, {key.lower() for key, _ in request.fields} - set(WAY), response

    return ask


def test_nothing_is_told_unless_asked(told):
    for index in range(3):
        way, others, response = told("plain", index=index)
        assert (way, others) == ({}, {"host"}) and "via" not in response.fields
        assert told("plain", *LINES, index=index)[:2] == (CAME, {"host"})
    assert told("plain", version="1.0", host=None)[:2] == ({}, {"host"})
    assert told("plain", "X-Forwarded-For: a", "X-Forwarded-For: b", "Connection: x-forwarded-for")[0] == {"x-forwarded-for": "a, b"}
    assert told("plain", answer=["Via: 1.1 behind"])[2].fields.all("via") == ["1.1 behind"]


def test_the_caller_is_named_by_x_forwarded(told):
    for index, address in enumerate(["127.0.0.1", "::1", None]):
        rest = {"x-forwarded-proto": "http", "x-forwarded-host": "here:80"}
        assert told("x", index=index)[0] == rest | ({"x-forwarded-for": address} if address else {})
        extended = {"x-forwarded-for": f"192.0.2.1, {address}"} if address else {}
        assert told("x", *LINES, index=index)[0] == CAME | extended
    assert told("x", host=None, version="1.0")[0] == {"x-forwarded-for": "127.0.0.1", "x-forwarded-proto": "http"}
    assert told("x", "X-Forwarded-For: a", "X-Forwarded-For:", "x-forwarded-for: b, c")[0]["x-forwarded-for"] == "a, b, c, 127.0.0.1"


def test_the_caller_is_named_by_forwarded(told):
    for index, name in enumerate(["127.0.0.1", '"[::1]"', "unknown"]):
        element = f'for={name};proto=http;host="here:80"'
        assert told("rfc", index=index)[0] == {"forwarded": element}
        assert told("rfc", *LINES, index=index)[0] == CAME | {"forwarded": f"for=192.0.2.1;proto=https, {element}"}
    assert told("rfc", host=None, version="1.0")[0] == {"forwarded": "for=127.0.0.1;proto=http"}
    assert told("rfc", 'Forwarded: for="x')[0] == {"forwarded": 'for=127.0.0.1;proto=http;host="here:80"'}


def test_via_is_told_to_both_sides_if_asked_for(told):
    way, _, response = told("via")
    assert way == {"via": "1.1 curfew"} and response["via"] == "1.1 curfew"
    way, _, response = told("via", *LINES, version="1.0", answer=["Via: 1.1 behind"])
    assert way == CAME | {"via": "1.0 before, 1.0 curfew"} and response.fields.all("via") == ["1.1 behind", "1.1 curfew"]


def test_remove_and_set_go_before_what_would_be_told(told):
    for index in range(3):
        assert told("removed", *LINES, index=index)[:2] == ({}, {"host"})
        assert told("removed", index=index)[:2] == ({}, {"host"})
    ours = {"x-forwarded-proto": "https", "x-forwarded-host": "here:80", "via": "1.1 me"}
    assert told("some")[0] == ours
    way = told("some", *LINES)[0]
    assert way.pop("x-forwarded-host") == "shop.example" and way.pop("forwarded") == CAME["forwarded"]
    assert way == {"x-forwarded-proto": "https", "via": "1.1 me"}


def test_nginx_compresses_as_it_does_without_a_proxy(curfew, nginx, tmp_path):
    """gzip_proxied is off by default: an nginx that is told of a proxy sends 20 times as many bytes."""
    server = nginx(more="location /text { alias %s/files/text; gzip on; gzip_types *; }" % (tmp_path / "nginx0"))
    server.file("text", content := b"hello " * 5000)
    proxy = curfew(upstreams={name: {"url": server.url, "deadline": "5s", "headers": NAMED[name]} for name in ("plain", "x", "rfc", "via")})
    for name in ("plain", "x", "rfc"):
        done = curl("-H", "Accept-Encoding: gzip", "-o", tmp_path / name, "-w", "%header{content-encoding}", proxy.url("/text", name))
        assert done.stdout == "gzip" and gzip.decompress((tmp_path / name).read_bytes()) == content
    assert curl("-H", "Accept-Encoding: gzip", proxy.url("/text", "via")).stdout == content.decode()
