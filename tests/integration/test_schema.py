"""conf/curfew.schema.json, by which editors complete and check: it takes what curfew takes, and refuses what they can see is wrong."""

import json
import re
from pathlib import Path

import pytest
import yaml

from harness.curfew import curfew_command

jsonschema = pytest.importorskip("jsonschema", reason="python3-jsonschema is not there")

TREE = Path(__file__).resolve().parents[2]
SCHEMA = json.loads((TREE / "conf/curfew.schema.json").read_text())


class Loader(yaml.SafeLoader):
    """Scalars as YAML 1.2 has them, as editors do: yes, off and 1:30 are texts."""

    yaml_implicit_resolvers = {}


for _tag, _pattern, _first in (("bool", r"true|false", "tf"), ("null", r"null|~|", "n~"), ("int", r"[-+]?[0-9]+", "-+0123456789"),
                               ("float", r"[-+]?[0-9]+\.[0-9]+", "-+0123456789")):
    Loader.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", re.compile(f"^(?:{_pattern})$"), list(_first))
# 0660 is a number, and no octal one.
Loader.add_constructor("tag:yaml.org,2002:int", lambda loader, node: int(loader.construct_scalar(node)))


def complaints(text):
    validator = jsonschema.Draft7Validator(SCHEMA)
    return [f"{'.'.join(map(str, error.absolute_path))}: {error.message}" for error in validator.iter_errors(yaml.load(text, Loader))]


def with_keys(keys="", top=""):
    return f"{top}\nupstreams:\n  p:\n    listen: 127.0.0.1:8080\n    url: https://api.example.com\n    {keys}\n"


def test_it_is_a_schema():
    jsonschema.Draft7Validator.check_schema(SCHEMA)


def examples():
    return [path for path in sorted([*(TREE / "conf").glob("*.yaml"), *(TREE / "conf/examples").glob("*.yaml")])
            if "upstreams:" in path.read_text() and not path.stem.endswith(("kubernetes", "compose", "mtls-pod"))]


@pytest.mark.parametrize("path", examples(), ids=lambda path: path.stem)
def test_the_examples_keep_to_it(path):
    assert complaints(path.read_text()) == []


@pytest.mark.parametrize("name", ["kubernetes", "fleet-kubernetes"])
def test_the_configuration_in_the_manifest_keeps_to_it(name):
    documents = yaml.safe_load_all((TREE / f"conf/examples/{name}.yaml").read_text())
    config = next(document for document in documents if document["kind"] == "ConfigMap")
    assert complaints(config["data"]["curfew.yaml"]) == []


RIGHT = [
    "deadline: 1m30s", "deadline: ${DEADLINE:-2s}", "deadline: \"1.5s\"", "pool: shared", "pool: {size: 5, queue_timeout: none}",
    "pool: {size: \"${SIZE}\"}", "pool: {size: \"50\"}", "headers: {remove: Cookie}", "headers: {remove: [Cookie, X-A], via: true}",
    "headers: {set: {X-Number: 5, X-On: true, A: b, C: {file: /x, prefix: \"Bearer \"}}}", "tls: {min_version: 1.3}", "tls: {min_version: \"1.2\"}",
    "routes: {path: /v1, methods: GET, deadline: 1s}", "routes: [{path: /v1, methods: [GET, PURGE], pool: {size: 3}}, {path: /v2, timeouts: {idle: 1s}}]",
    "caller_deadline: {headers: X-Deadline}", "dns: {refresh: 50%}", "keepalive: {max_idle: 0}",
    "deadline: 1h0m1.5s", "deadline: 0m5s", "dns: {refresh: 100%}", "dns: {stale: 0s}", "pool: {rate: {limit: 1/h}}", "pool: {pause: {statuses: none}}",
    "pool: {pause: {statuses: [429, \"503\"]}}", "pool: {rate: none}", "pool: {share_by: X-Api-Key}", "pool: {least: p95}", "retries: none",
    "retries: {when: [connect, 500]}", "retries: {repeat: {key: none, methods: [GET, Purge]}}", "streams: {types: [text/event-stream, application/x-ndjson]}",
    "proxy: env", "proxy: {url: http://a, authorization: 5}", "proxy: http://proxy.corp:3128", "pool: \"${POOL}\"", "headers: {remove: [1, true]}", "timeouts: {min_rate: none}",
    "addresses: {eject: none}", "breaker: none"]
RIGHT_ON_TOP = [
    "workers: auto", "workers: 2", "drain: 0s", "admin: {listen: 9600}", "admin: {listen: {address: 'unix:/x', mode: 0660, group: app}}",
    "log: {access: off}", "log: {access: ./a.log}", "limits: {request_head: 16KiB}", "pools: {}", "pools: {a.b-c_1: {size: 3}}",
    "defaults: {deadline: 1s, timeouts: {connect: 300ms}}", "watch: true", "limits: {replay: 0B}", "limits: {streams: auto}",
    "forward: {f: {listen: 3128, ports: [443, \"8443\"], destinations: [{name: a.b_c, hosts: [\"*.example.com\", 10.0.0.1], addresses: [10.0.0.0/8, \"::1\"]}]}}"]
RIGHT_LISTENERS = ["{address: 'unix:/x', mode: 384}", "65535", "LOCALHOST:0", "127.0.0.1:08080", "'[fe80::1]:65535'", "80", "0", "\"8080\"", "localhost:80", "'[::1]:80'", "unix:/run/x.sock", "[80, {address: 81}]", "'${ADDRESS}'"]
# What each has to be complained of.
WRONG = [
    "deadlin: 2s", "deadline: 2", "deadline: 5 s", "deadline: 2sec", "deadline: none", "deadline: [2s]", "deadline: null", "pool: {size: 0}",
    "pool: {size: many}", "pool: {queue_timeout: auto}", "pool: [a]", "trace: yes", "tls: {min_version: 1.1}", "tls: {verify: false}",
    "headers: {X: y}", "headers: {remove: []}", "headers: {set: [a]}", "headers: {forwarded: xff}", "routes: [{deadline: 1s}]", "routes: {path: v1}",
    "routes: {path: /v1, url: http://b}", "timeouts: 2s", "caller_deadline: {}", "dns: {refresh: 50}", "workers: 2",
    "deadline: 1s1m", "deadline: 1h1h", "deadline: 1.5m1s", "deadline: 0s", "deadline: 0h0.0s", "deadline: -1s", "dns: {refresh: 101%}", "dns: {refresh: 0%}",
    "pool: {size: \"0\"}", "pool: {rate: {limit: 0/s}}", "pool: {rate: 100/s}", "pool: {pause: {statuses: 200}}", "pool: {pause: {statuses: [429, \"600\"]}}",
    "pool: {share_by: two words}", "pool: a/b", "pool: ''", "retries: 2", "retries: twice", "retries: {when: [refused]}", "retries: {when: 399}",
    "retries: {repeat: {methods: [\"G T\"]}}", "streams: {types: text}", "streams: {types: text/*}", "proxy: http://a/b", "proxy: {url: socks5://a:1}",
    "headers: {remove: \"X:\"}", "caller_deadline: {headers: X-A, forward: \"a b\"}", "breaker: {statuses: [502, 301]}", "http2: {window: 0B}",
    "timeouts: {min_rate: 1}", "addresses: {eject: yes}", "upgrade: websocket", "headers: {remove: \"\"}"]
WRONG_ON_TOP = [
    "workers: 0", "workers: 257", "workers: four", "drain: 30", "listen: 80", "admin: 9600", "admin: {listen: [80]}", "admin: {listen: http://a}",
    "log: debug", "log: {level: warning}", "log: {access: true}", "log: {access: stderr}", "limits: {request_head: 32}", "limits: {request_head: 32kb}",
    "pools: [a]", "pools: {'a b': {}}", "defaults: {listen: 80}", "defaults: {url: http://a}", "defaults: {listen_tls: 80}", "defaults:", "limits: {request_head: 0KiB}",
    "fleet: {name: a b, store: redis://a:1}", "fleet: {name: a, store: http://a:1}", "forward: {f: {listen: 3128, ports: 65536}}",
    "forward: {f: {listen: 3128, ports: [0]}}", "forward: {f: {listen: 3128, destinations: [{hosts: a.b, name: a/b}]}}",
    "forward: {f: {listen: 3128, destinations: [{hosts: a.b, addresses: private}]}}", "upstream: {}", "watch: 2"]
WRONG_LISTENERS = ["127.0.0.1:65536", "256.0.0.1:80", "01.2.3.4:80", "'[1.2.3.4]:80'", "{address: 65536}", "{address: 'unix:/x', mode: 5}",
                   "http://127.0.0.1:80", "127.0.0.1", "':80'", "65536", "[]", "{mode: 0660}", "{address: 80, owner: me}", "/run/x.sock", "'*:80'"]


def listening(value):
    return f"upstreams: {{p: {{url: 'http://a', listen: {value}}}}}\n"


ALL_RIGHT = [*(with_keys(keys) for keys in RIGHT), *(with_keys(top=top) for top in RIGHT_ON_TOP), *map(listening, RIGHT_LISTENERS)]
ALL_WRONG = [*(with_keys(keys) for keys in WRONG), *(with_keys(top=top) for top in WRONG_ON_TOP), *map(listening, WRONG_LISTENERS),
             "upstreams: {}\n", "upstreams: {p: {}}\n", "upstreams: {p: {listen: 80}}\n", "upstreams: {p: {listen: 80, url: ftp://a}}\n", "upstreams: {p: {listen: 80, url: 'http:///x'}}\n",
             "upstreams: {p: {listen: 80, url: 'http://u:p@a'}}\n", "upstreams: {p: {listen: 80, url: 'http://a/b?c'}}\n", "upstreams: [a]\n"]


@pytest.mark.parametrize("text", ALL_RIGHT)
def test_what_is_right_is_not_complained_of(text):
    assert complaints(text) == []


@pytest.mark.parametrize("text", ALL_WRONG)
def test_what_is_wrong_is_complained_of(text, tmp_path):
    assert complaints(text) != []
    # So that nothing here is only the schema's opinion.
    path = tmp_path / "curfew.yaml"
    path.write_text(text)
    assert curfew_command("check", path).returncode == 1
