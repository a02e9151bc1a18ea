"""The examples for containers: that they are what they say, as far as no container is needed to see it."""

import json
import re
from pathlib import Path

import pytest
import yaml

from harness.curfew import curfew_command

TREE = Path(__file__).resolve().parents[2]
EXAMPLES = TREE / "conf/examples"
PACKAGES = [line.split() for line in (TREE / "scripts/packages").read_text().splitlines()
            if line and not line.startswith("#")]


@pytest.fixture(scope="module")
def manifest():
    documents = list(yaml.safe_load_all((EXAMPLES / "kubernetes.yaml").read_text()))
    return {document["kind"]: document for document in documents}


@pytest.fixture
def pod(manifest):
    return manifest["Deployment"]["spec"]["template"]


@pytest.fixture
def sidecar(pod):
    return next(one for one in pod["spec"]["containers"] if one["name"] == "curfew")


def in_mib(quantity):
    return int(re.fullmatch(r"(\d+)Mi", quantity)[1])


def test_the_configuration_in_the_manifest_is_sound_for_what_the_pod_gets(manifest, pod, sidecar, tmp_path):
    token = tmp_path / "token"
    token.write_text("Bearer x\n")
    conf = tmp_path / "curfew.yaml"
    conf.write_text(manifest["ConfigMap"]["data"]["curfew.yaml"].replace("/run/secrets/payments/token", str(token)))
    done = curfew_command(
        "check", "--strict", "--descriptors", "65536", "--memory", f"{in_mib(sidecar['resources']['limits']['memory'])}MiB",
        "--stop-timeout", f"{pod['spec']['terminationGracePeriodSeconds']}s", conf)
    assert (done.returncode, done.stderr) == (0, "")


def test_what_is_mounted_is_what_is_named(manifest, pod, sidecar):
    mounts = {one["mountPath"]: one["name"] for one in sidecar["volumeMounts"]}
    volumes = {one["name"]: one for one in pod["spec"]["volumes"]}
    config, = re.findall(r"(\S+)/curfew.yaml", sidecar["args"][-1])
    assert volumes[mounts[config]]["configMap"]["name"] == manifest["ConfigMap"]["metadata"]["name"]
    secret, = re.findall(r"file: (\S+)/token", manifest["ConfigMap"]["data"]["curfew.yaml"])
    assert volumes[mounts[secret]]["secret"]["items"] == [{"key": "token", "path": "token"}]
    labels = pod["metadata"]["labels"]
    assert manifest["Deployment"]["spec"]["selector"]["matchLabels"].items() <= labels.items()


def test_the_probes_ask_what_there_is(manifest, sidecar, curfew):
    port = next(one["containerPort"] for one in sidecar["ports"] if one["name"] == "metrics")
    conf = yaml.safe_load(manifest["ConfigMap"]["data"]["curfew.yaml"])
    assert conf["admin"]["listen"].endswith(f":{port}") and conf["admin"]["allow_remote"]
    proxy = curfew(url="http://127.0.0.1:9")
    for probe in ("readinessProbe", "livenessProbe"):
        assert sidecar[probe]["httpGet"]["port"] == "metrics"
        assert proxy.admin_get(sidecar[probe]["httpGet"]["path"])[0] == 200


def test_the_application_calls_the_listener(manifest, pod):
    app = next(one for one in pod["spec"]["containers"] if one["name"] != "curfew")
    conf = yaml.safe_load(manifest["ConfigMap"]["data"]["curfew.yaml"])
    assert app["env"][0]["value"] == f"http://{conf['upstreams']['payments']['listen']}"


def dockerfile():
    """(instruction, arguments) of each stage's lines."""
    text = re.sub(r"^#.*\n", "", (EXAMPLES / "Dockerfile").read_text(), flags=re.M).replace("\\\n", " ")
    return [tuple(line.split(None, 1)) for line in text.splitlines() if line.strip()]


def test_the_image_is_built_with_what_the_tree_says():
    stages = [args for name, args in dockerfile() if name == "FROM"]
    assert stages == ["debian:12-slim AS build", "debian:12-slim"]
    first = next(args for name, args in dockerfile() if name == "RUN")
    wanted = {package for section, package in PACKAGES if section == "build"}
    assert wanted == set(first.split("--no-install-recommends")[1].split())


def test_the_image_runs_curfew_as_nobody():
    instructions = dict(dockerfile())
    assert instructions["USER"] == "65534:65534"
    command = json.loads(instructions["ENTRYPOINT"]) + json.loads(instructions["CMD"])
    assert command[0] == "/usr/bin/curfew" and command[1] == "serve"
    assert curfew_command(command[1], "--help").returncode == 0
