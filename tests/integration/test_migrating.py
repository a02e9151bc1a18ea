"""What docs/migrating.md promises: its configurations are taken by the programs that they are for, and one of 0.1.0 by this version."""

import json
import re
import shutil
from pathlib import Path

import pytest
import yaml

from harness.process import BINARY, run

PAGE = Path(__file__).resolve().parents[2] / "docs/migrating.md"
SBIN = "/usr/sbin:/usr/bin:/sbin:/bin"
TOKEN = {"PAYMENTS_TOKEN": "x"}

# Every key of 0.1.0 with the default that it had, or, where that is "none" or a file, with what does no harm.
OF_0_1_0 = """
workers: auto
drain: 30s
admin: {listen: 127.0.0.1:0, allow_remote: false}
log: {level: info, access: stdout}
limits: {connections: 10000, request_head: 32KiB, response_head: 64KiB, request_head_timeout: 10s, idle_timeout: 60s}
defaults: {deadline: 5s}
pools:
  shared: {size: 50, queue: 100, queue_timeout: none}
upstreams:
  api:
    listen: 127.0.0.1:8080
    url: https://api.example.com
    deadline: 5s
    observe: false
    observe_ceiling: 60s
    timeouts: {connect: none, first_byte: none, idle: none}
    pool: shared
    caller_deadline: {headers: [X-Request-Timeout-Ms], forward: X-Request-Timeout-Ms}
    tls: {min_version: "1.2"}
    keepalive: {max_idle: 64, idle_timeout: 30s, max_age: 10m}
    headers: {set: {X-A: b}, remove: [Cookie]}
    trace: false
    server_timing: false
    routes:
      - {path: /v1/reports, methods: [POST], deadline: 30s, pool: {size: 5, queue: 20}}
"""


def listings(language, begins=""):
    found = [body for kind, body in re.findall(r"^```(\w+)\n(.*?)^```", PAGE.read_text("utf-8"), re.M | re.S)
             if kind == language and body.startswith(begins)]
    assert found, f"no {language} in {PAGE}"
    return found


def program(name):
    path = shutil.which(name, path=SBIN)
    assert path, f"{name} is not installed: scripts/install-packages test installs it"
    return path


def check(directory, text):
    file = directory / "curfew.yaml"
    file.write_text(text)
    return run([BINARY, "check", "--strict", "--offline", "-c", file], env=TOKEN)


@pytest.mark.parametrize("whose", ["HAProxy", "nginx", "Envoy"])
def test_what_the_page_says_that_it_becomes_is_taken_without_a_warning(tmp_path, whose):
    secret = tmp_path / "secret"
    secret.write_text("x\n")
    [text] = listings("yaml", f"# curfew, for {whose}'s")
    done = check(tmp_path, text.replace("/run/credentials/payments", str(secret)))
    assert done.returncode == 0, done.stderr


def test_haproxys_own_is_taken_by_haproxy(tmp_path):
    [text] = listings("haproxy")
    (tmp_path / "haproxy.cfg").write_text(text.replace("api.example.com:443", "127.0.0.1:443"))  # it looks names up
    done = run([program("haproxy"), "-c", "-f", tmp_path / "haproxy.cfg"], env=TOKEN)
    assert done.returncode == 0, done.stderr


def test_nginxs_own_is_taken_by_nginx(tmp_path):
    [text] = listings("nginx")
    (tmp_path / "nginx.conf").write_text(text.replace("server api.example.com:443", "server 127.0.0.1:443"))
    done = run([program("nginx"), "-t", "-p", tmp_path, "-e", tmp_path / "error.log", "-g", f"pid {tmp_path}/pid;", "-c", tmp_path / "nginx.conf"])
    assert done.returncode == 0, done.stderr


def test_envoys_own_is_yaml_with_a_listener_and_a_cluster():
    [text] = listings("yaml", "# Envoy")
    resources = yaml.safe_load(text)["static_resources"]
    [cluster] = resources["clusters"]
    routes = resources["listeners"][0]["filter_chains"][0]["filters"][0]["typed_config"]["route_config"]["virtual_hosts"][0]["routes"]
    assert {route["route"]["cluster"] for route in routes} == {cluster["name"]}


def test_a_configuration_of_0_1_0_is_taken_without_a_warning(tmp_path):
    done = check(tmp_path, OF_0_1_0)
    assert done.returncode == 0, done.stderr


def test_what_0_1_0_had_by_default_it_has_still(tmp_path, curfew):
    """A file that says each default, and one that says none, are the same configuration."""
    plain = {"listen": "127.0.0.1:0", "url": "http://127.0.0.1:1"}
    said = yaml.safe_load(OF_0_1_0)
    api = {**said["upstreams"]["api"], **plain}
    api = {key: api[key] for key in (*plain, "deadline", "observe", "observe_ceiling", "timeouts", "keepalive", "trace", "server_timing")}
    api["pool"] = said["pools"]["shared"]
    top = {key: said[key] for key in ("drain", "limits")}

    def in_force(proxy):
        status, text = proxy.admin_get("/config")
        assert status == 200
        answer = json.loads(text)["config"]
        return {key: answer[key] for key in ("drain", "limits", "upstreams")}

    assert in_force(curfew(upstreams={"api": api}, top=top)) == in_force(curfew(upstreams={"api": plain}))
