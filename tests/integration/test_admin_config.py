"""GET /config: the configuration in force, whole, and without its secrets."""

import grp
import json
import os
import re
from datetime import datetime, timezone
from pathlib import Path

import pytest

from harness.bounds import SLOW

TREE = Path(__file__).resolve().parents[2]
ROW = re.compile(r'^(?:OPTION|NESTED)\((\w+), \w+, "(\w+)"', re.M)


def shown(proxy):
    status, text = proxy.admin_get("/config")
    assert status == 200, text
    return json.loads(text)


@pytest.fixture
def full(curfew, certificates, tmp_path):
    """A proxy with a value for everything: (proxy, what must not be shown)."""
    token = tmp_path / "token"
    token.write_text("Bearer from-a-file\n")
    key = certificates.key("client")
    password = tmp_path / "password"
    password.write_text("of-the-store\n")
    proxy = curfew(
        top={"pools": {"shared": {"size": 5, "queue": 7, "queue_timeout": "900ms", "adapt": {"when": 503},
                                  "least": "p95", "share_by": "X-Tenant", "rate": {"limit": "3000/m", "burst": 4},
                                  "pause": {"statuses": [429, 503]}, "fleet": True, "host_size": 4, "reserve": 1}},
             "fleet": {"store": ["rediss://redis.test:7000"], "name": "prod", "hosts": 3, "fallback": "closed", "user": "me",
                       "password": {"file": str(password)}, "tls": {"ca_file": certificates.ca}},
             "drain": "1500ms", "drain_delay": "20ms",
             "defaults": {"headers": {"set": {"X-Api-Key": "from-the-defaults"}}},
             "limits": {"request_head": "16KiB", "idle_timeout": "2m"},
             "forward": {"egress": {"listen": "127.0.0.1:0", "proxy": "http://proxy.corp:3128", "destinations": {"hosts": "*"}}}},
        upstreams={"api": {
            "url": "https://api.example.com:8443/v2", "listen": ["127.0.0.1:0", f"unix:{tmp_path}/api.sock"],
            "deadline": "2500us", "timeouts": {"connect": "1ms", "min_rate": {"per": "3s"}}, "pool": "shared",
            "streams": {"ignore": "none", "idle": "9s"}, "upgrade": {"idle": "8s"}, "proxy": {"url": "http://proxy.corp:3128", "authorization": "Basic ZnJvbS1oZXJl"},
            "caller_deadline": {"headers": ["X-Left", "grpc-timeout"], "forward": "X-Rest"},
            "tls": {"ca_file": certificates.ca, "cert_file": certificates.cert("client"), "key_file": key,
                    "renegotiate": True, "min_version": "1.3"},
            "listen_tls": "127.0.0.1:0",
            "caller_tls": {"cert_file": certificates.cert("server"), "key_file": certificates.key("server"),
                           "client_ca_file": certificates.ca, "client_names": "client.test"},
            "keepalive": {"max_idle": 3}, "server_timing": True, "addresses": {"eject": {"failures": 7, "time": "10m"}}, "breaker": {"failures": 7, "open": "3s", "statuses": [500, 503]},
            "retries": {"when": [503, "reset", 429], "repeat": {"methods": ["GET", "BREW"], "key": "none"}, "tell": "X-Try",
                        "budget": {"share": "5%"}},
            "headers": {"set": {"Authorization": {"file": str(token)}, "X-Tenant": "from-the-text",
                                "Host": "from-host"},
                        "remove": ["Cookie", "X-Tenant", "X-Left"], "forwarded": "rfc7239"},
            "routes": [{"path": "/slow", "deadline": "1h", "pool": {"size": 1}, "streams": "none", "upgrade": "none", "breaker": "none", "retries": "none"},
                       {"path": "/slow/very", "methods": ["GET", "BREW"], "timeouts": {"idle": "7s"}}]},
            "bare": {"url": "http://[::1]"}})
    return proxy, ("of-the-store", "from-a-file", "from-the-defaults", "from-the-text", "from-host",
                   *re.findall(r"[A-Za-z0-9+/]{40,}", Path(key).read_text()))


def test_it_has_what_is_set_and_the_defaults(full, certificates, tmp_path):
    proxy, _ = full
    config = shown(proxy)["config"]
    assert config["limits"] == {"connections": 10000, "request_head": "16KiB", "response_head": "64KiB", "replay": "64MiB",
                                "request_head_timeout": "10s", "handshake_timeout": "10s", "idle_timeout": "2m", "connection_age": "none", "streams": "auto"}
    assert config["drain_delay"] == "20ms"
    assert (config["drain"], config["log"]) == ("1.5s", {"level": "info", "access": str(proxy.access_log)})
    pool = {"size": 50, "queue": 100, "queue_timeout": "none", "linger": "0s", "adapt": "none", "least": "none", "share_by": "none", "rate": "none", "pause": "none",
            "fleet": False, "host_size": 50, "weight": 1, "reserve": 0}
    assert config["pools"] == {"shared": {**pool, "size": 5, "queue": 7, "queue_timeout": "900ms", "adapt": {"min": 1, "when": [503]},
                                          "least": "p95", "share_by": "X-Tenant", "rate": {"limit": "50/s", "burst": 4},
                                          "pause": {"statuses": [429, 503], "max": "30s"}, "fleet": "shared", "host_size": 4, "reserve": 1},
                               "api/slow": {**pool, "size": 1, "host_size": 1}, "bare": pool, "egress": pool}
    assert config["fleet"] == {
        "store": ["rediss://redis.test:7000"], "sentinel": None, "name": "prod", "user": "me",
        "password": {"file": str(tmp_path / "password")}, "hosts": 3, "fallback": "closed", "ride_out": "10s", "renew": "1s",
        "timeout": "250ms", "margin": "5s",
        "tls": {"ca_file": certificates.ca, "cert_file": None, "key_file": None, "server_name": None, "renegotiate": False,
                "min_version": "1.2"}}
    api = config["upstreams"]["api"]
    assert (api["url"], api["deadline"], api["pool"]) == ("https://api.example.com:8443/v2", "2.5ms", "shared")
    assert api["timeouts"] == {"connect": "1ms", "first_byte": "none", "begin": "none", "idle": "none",
                               "min_rate": {"bytes": "1KiB", "per": "3s"}}
    assert api["caller_deadline"] == {"headers": ["X-Left", "grpc-timeout"], "forward": "X-Rest"}
    assert api["keepalive"] == {"max_idle": 3, "idle_timeout": "30s", "max_age": "10m"}
    assert api["retries"] == {
        "attempts": 2, "when": ["reset", "429", "503"], "per_try": "none", "backoff": {"base": "25ms", "max": "250ms"},
        "budget": {"share": "5%", "burst": 10}, "retry_after": "2s", "fallback": "none", "tell": "X-Try", "say": False,
        "repeat": {"methods": ["GET", "BREW"], "key": "none", "refused": False, "content": "64KiB"}}
    assert (api["server_timing"], api["trace"]) == (True, False)
    assert (api["observe"], api["observe_ceiling"]) == (False, "1m")
    assert (api["tls"]["server_name"], api["tls"]["renegotiate"], api["tls"]["min_version"]) == ("api.example.com", True, "1.3")
    slow, very = api["routes"]
    assert slow == {"path": "/slow", "methods": "all", "deadline": "1h", "pool": "api/slow",
                    "timeouts": api["timeouts"], "streams": None, "upgrade": None, "breaker": None, "retries": None}
    assert api["streams"] == {"types": ["text/event-stream"], "deadline": "10m", "first_event": "20s", "idle": "9s", "ignore": [],
                               "commit": "head"}
    assert api["upgrade"] == very["upgrade"] == {"protocols": ["websocket"], "idle": "8s", "lifetime": "1h"}
    assert (api["proxy"], config["upstreams"]["bare"]["proxy"]) == ({"url": "http://proxy.corp:3128", "authorization": True}, None)
    assert api["addresses"] == {"stagger": "250ms", "remember": "10m", "private": "allow", "eject": {"failures": 7, "time": "10m", "time_max": "10m"}}
    assert api["breaker"] == very["breaker"] == {
        "failures": 7, "ratio": "50%", "volume": 20, "window": "10s", "open": "3s", "open_max": "3s", "probes": 1, "verdict": "5s",
        "statuses": [500, 503]}
    assert (very["methods"], very["timeouts"]["idle"], very["pool"]) == (["GET", "BREW"], "7s", "shared")
    assert api["http2"] == {"use": "never", "streams": 1, "max_calls": 900, "window": "256KiB", "probe_after": "5s", "probe_timeout": "1s"}
    assert len(api["listen_tls"]) == 1 and api["caller_tls"] == {
        "cert_file": certificates.cert("server"), "key_file": certificates.key("server"), "client_ca_file": certificates.ca,
        "client_names": ["client.test"], "min_version": "1.2"}
    bare = config["upstreams"]["bare"]
    assert (bare["streams"], bare["timeouts"]["min_rate"]) == (None, "none")
    assert (bare["listen_tls"], bare["caller_tls"], bare["breaker"]) == ([], None, None)
    assert (very["retries"], bare["retries"]) == (api["retries"], None)
    assert (bare["url"], bare["deadline"], bare["tls"], bare["routes"]) == ("http://[::1]", "5s", None, [])


def test_every_option_is_there(full):
    config = shown(full[0])["config"]
    api, egress = config["upstreams"]["api"], config["forward"]["egress"]
    places = {"ROOT": config, "ADMIN": config["admin"], "LOG": config["log"], "LIMITS": config["limits"],
              "POOL": config["pools"]["shared"], "ADAPT": config["pools"]["shared"]["adapt"],
              "RATE": config["pools"]["shared"]["rate"], "PAUSE": config["pools"]["shared"]["pause"], "UPSTREAM": api, "TIMEOUTS": api["timeouts"],
              "MIN_RATE": api["timeouts"]["min_rate"], "STREAMS": api["streams"], "UPGRADE": api["upgrade"], "PROXY": egress["proxy"], "TLS": api["tls"],
              "CALLER_TLS": api["caller_tls"], "HTTP2": api["http2"],
              "CALLER_DEADLINE": api["caller_deadline"], "BREAKER": api["breaker"], "EJECT": api["addresses"]["eject"], "KEEPALIVE": api["keepalive"], "HEADERS": api["headers"],
              "ADDRESSES": api["addresses"], "DNS": api["dns"], "ROUTE": api["routes"][0],
              "RETRIES": api["retries"], "BACKOFF": api["retries"]["backoff"], "BUDGET": api["retries"]["budget"],
              "REPEAT": api["retries"]["repeat"], "FORWARD": egress, "TUNNEL": egress["tunnel"],
              "DESTINATION": egress["destinations"][0],
              "FLEET": config["fleet"], "PASSWORD": config["fleet"]["password"]}
    # A listener is shown as its address, and its mode and group only if they are written; a field as its name.
    rows = [row for row in ROW.findall((TREE / "include/config/options.def").read_text()) if row[0] not in ("LISTENER", "FIELD")]
    assert rows
    # What `defaults` says is where it holds.
    missing = [row for row in rows if row[1] not in places[row[0]] and row != ("ROOT", "defaults")]
    assert missing == []


def test_it_has_names_of_header_fields_and_no_value(full):
    proxy, secrets = full
    text = proxy.admin_get("/config")[1]
    headers = json.loads(text)["config"]["upstreams"]["api"]["headers"]
    assert sorted(headers["set"]) == ["Authorization", "Host", "X-Api-Key", "X-Tenant"]
    assert headers["remove"] == ["Cookie"] and (headers["forwarded"], headers["via"], headers["location"]) == ("rfc7239", False, "keep")
    assert len(secrets) > 5
    for secret in secrets:
        assert secret not in text


def test_after_a_reload_it_is_the_new_one(curfew):
    proxy = curfew(url="http://127.0.0.1:9", deadline="1s")
    before = shown(proxy)
    since = datetime.fromisoformat(before["in_force_since"].replace("Z", "+00:00"))
    assert abs((datetime.now(timezone.utc) - since).total_seconds()) < 10 * SLOW
    assert (before["edition"], before["config"]["upstreams"]["api"]["deadline"]) == (1, "1s")

    proxy.rewrite({"api": {"url": "http://127.0.0.1:9", "deadline": "nonsense"}})
    assert proxy.reload()[0] == 422
    assert shown(proxy) == before

    proxy.rewrite({"api": {"url": "http://127.0.0.1:9", "deadline": "2s"}, "new": {"url": "http://127.0.0.1:9"}})
    proxy.must_reload()
    after = shown(proxy)
    assert (after["edition"], list(after["config"]["upstreams"])) == (2, ["api", "new"])
    assert after["config"]["upstreams"]["api"]["deadline"] == "2s"
    assert after["in_force_since"] >= before["in_force_since"]


def test_what_only_a_start_can_change_is_as_it_is(curfew):
    proxy = curfew(url="http://127.0.0.1:9", top={"workers": 2})
    host, port = proxy.admin
    proxy.rewrite({"api": {"url": "http://127.0.0.1:9"}}, workers=1)
    proxy.must_reload()
    config = shown(proxy)["config"]
    assert config["workers"] == 2
    assert config["admin"] == {"listen": f"{host}:{port}", "metrics_listen": None, "allow_remote": False}


def test_a_listener_shows_its_mode_and_group(curfew, tmp_path):
    group = grp.getgrgid(os.getegid()).gr_name
    plain, shared, numbered = (f"unix:{tmp_path}/{name}.sock" for name in ("plain", "shared", "numbered"))
    listen = [plain, {"address": shared, "mode": "0620", "group": group}, {"address": numbered, "group": os.getegid()}]
    admin = f"unix:{tmp_path}/admin.sock"
    proxy = curfew(url="http://127.0.0.1:9", listen=listen, top={"admin": {"listen": {"address": admin, "mode": "0600", "group": group}}})
    config = shown(proxy)["config"]
    assert config["upstreams"]["api"]["listen"] == [
        plain, {"address": shared, "mode": "0620", "group": group}, {"address": numbered, "group": str(os.getegid())}]
    # Also when its configuration is gone.
    proxy.rewrite({"api": {"url": "http://127.0.0.1:9", "listen": plain}}, admin={"listen": admin})
    proxy.must_reload()
    config = shown(proxy)["config"]
    assert config["admin"]["listen"] == {"address": admin, "mode": "0600", "group": group}
    assert config["upstreams"]["api"]["listen"] == [plain]


def test_odd_texts_are_valid_json(curfew, tmp_path):
    path = str(tmp_path / 'a"b\\c\n\x7f\u2028\u00e9<script>.log')
    proxy = curfew(url="http://127.0.0.1:9", top={"log": {"access": path}})
    assert shown(proxy)["config"]["log"]["access"] == path


def test_it_can_only_be_read(curfew):
    proxy = curfew(url="http://127.0.0.1:9")
    assert proxy.admin_ask("POST", "/config")[0] == 405
    assert "/config " in proxy.admin_get("/")[1]
