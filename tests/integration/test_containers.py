"""The examples for containers: that they are what they say, as far as no container is needed to see it."""

import json
import os
import re
import subprocess
from pathlib import Path

import pytest
import yaml

from harness.bounds import SANITIZED
from harness.curfew import curfew_command
from harness.peers import ScriptedCaller
from harness.process import PEERS

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
    return next(one for one in pod["spec"]["initContainers"] if one["name"] == "curfew")


def in_mib(quantity):
    return int(re.fullmatch(r"(\d+)Mi", quantity)[1])


def test_the_configuration_in_the_manifest_is_sound_for_what_the_pod_gets(manifest, pod, sidecar, tmp_path):
    token = tmp_path / "token"
    token.write_text(manifest["Secret"]["stringData"]["token"] + "\n")
    conf = tmp_path / "curfew.yaml"
    conf.write_text(manifest["ConfigMap"]["data"]["curfew.yaml"].replace("/run/secrets/payments/token", str(token)))
    done = curfew_command(
        "check", "--strict", "--descriptors", "65536", "--memory", f"{in_mib(sidecar['resources']['limits']['memory'])}MiB",
        "--stop-timeout", f"{pod['spec']['terminationGracePeriodSeconds']}s", conf)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.fixture(scope="module")
def mtls():
    documents = list(yaml.safe_load_all((EXAMPLES / "mtls-pod.yaml").read_text()))
    return {document["kind"]: document for document in documents}


def test_the_pod_that_callers_reach_by_mtls_takes_those_it_names(mtls, certificates, tmp_path):
    pod = mtls["Deployment"]["spec"]["template"]["spec"]
    curfew, = pod["containers"]
    conf = mtls["ConfigMap"]["data"]["curfew.yaml"]
    for name, file in {"tls.crt": certificates.cert("server"), "tls.key": certificates.key("server"), "ca.crt": certificates.ca}.items():
        assert f"/run/tls/{name}" in conf
        conf = conf.replace(f"/run/tls/{name}", str(file))
    written = tmp_path / "curfew.yaml"
    written.write_text(conf)
    done = curfew_command("check", "--strict", "--descriptors", "65536", "--memory", f"{in_mib(curfew['resources']['limits']['memory'])}MiB",
                          "--stop-timeout", f"{pod['terminationGracePeriodSeconds']}s", written)
    assert (done.returncode, done.stderr) == (0, "")
    ports = {port["name"]: port["containerPort"] for port in curfew["ports"]}
    assert yaml.safe_load(conf)["upstreams"]["payments"]["listen_tls"] == f"0.0.0.0:{ports['calls']}"
    assert mtls["Service"]["spec"]["selector"] == mtls["Deployment"]["spec"]["template"]["metadata"]["labels"]
    assert {port["targetPort"] for port in mtls["Service"]["spec"]["ports"]} <= set(ports)


# For TypeScript, an object that is written out is an error if its type has no such member: a key that is misspelt is found.
TYPES = {"ConfigMap": "core/v1", "Secret": "core/v1", "Deployment": "apps/v1", "NetworkPolicy": "networking/v1", "Service": "core/v1"}
FETCHED = PEERS / "kubernetes" / "node_modules"


def told_by_kubernetes(documents, tmp_path):
    """What the types made of Kubernetes' published schema say against these documents."""
    if not FETCHED.exists():
        (pytest.fail if os.environ.get("CI") else pytest.skip)(f"{FETCHED}: npm could not fetch kubernetes-types")
    source = tmp_path / "manifest.ts"
    source.write_text("".join(
        f'import {{{kind}}} from "kubernetes-types/{TYPES[kind]}";\nexport const a{kind}: {kind} = {json.dumps(document, indent=1)};\n'
        for kind, document in documents.items()))
    if not (tmp_path / "node_modules").exists():
        (tmp_path / "node_modules").symlink_to(FETCHED)
    done = subprocess.run([FETCHED / ".bin/tsc", "--noEmit", "--strict", source.name], cwd=tmp_path, capture_output=True, text=True, timeout=60)
    return done.stdout


typed = pytest.mark.skipif(SANITIZED, reason="no part of curfew runs")


@typed
def test_the_manifest_is_what_kubernetes_takes(manifest, tmp_path):
    assert told_by_kubernetes(manifest, tmp_path) == ""


@typed
def test_the_pod_that_callers_reach_by_mtls_is_what_kubernetes_takes(mtls, manifest, tmp_path):
    assert {*mtls, *manifest} == set(TYPES)
    assert told_by_kubernetes(mtls, tmp_path) == ""


@typed
def test_a_key_that_kubernetes_does_not_have_is_found(manifest, tmp_path):
    wrong = json.loads(json.dumps(manifest["Deployment"]).replace("startupProbe", "startUpProbe"))
    assert "\"startUpProbe\"' does not exist in type 'Container'" in told_by_kubernetes({"Deployment": wrong}, tmp_path)


def test_the_sidecar_is_native(sidecar, pod):
    """It starts before the application and is stopped after it; its drain fits into the time that the pod has."""
    assert sidecar["restartPolicy"] == "Always" and "startupProbe" in sidecar
    assert [one["name"] for one in pod["spec"]["containers"]] == ["shop"]


def test_only_prometheus_reaches_the_metrics(manifest, pod, sidecar):
    policy = manifest["NetworkPolicy"]["spec"]
    assert policy["podSelector"]["matchLabels"] == pod["metadata"]["labels"] and policy["policyTypes"] == ["Ingress"]
    names = {port["name"] for one in [sidecar, *pod["spec"]["containers"]] for port in one["ports"]}
    rules = {port["port"]: rule.get("from") for rule in policy["ingress"] for port in rule["ports"]}
    assert set(rules) == names and rules["metrics"] and not rules["web"]


def test_what_is_mounted_is_what_is_named(manifest, pod, sidecar):
    mounts = {one["mountPath"]: one["name"] for one in sidecar["volumeMounts"]}
    volumes = {one["name"]: one for one in pod["spec"]["volumes"]}
    config, = re.findall(r"(\S+)/curfew.yaml", sidecar["args"][-1])
    assert volumes[mounts[config]]["configMap"]["name"] == manifest["ConfigMap"]["metadata"]["name"]
    secret, = re.findall(r"file: (\S+)/token, prefix: \"Bearer \"", manifest["ConfigMap"]["data"]["curfew.yaml"])
    assert volumes[mounts[secret]]["secret"]["items"] == [{"key": "token", "path": "token"}]
    assert volumes[mounts[secret]]["secret"]["secretName"] == manifest["Secret"]["metadata"]["name"]
    labels = pod["metadata"]["labels"]
    assert manifest["Deployment"]["spec"]["selector"]["matchLabels"].items() <= labels.items()


def status_of(host, port, target):
    caller = ScriptedCaller((host, port))
    try:
        return caller.ask("GET", target).status
    finally:
        caller.close()


def test_the_probes_ask_what_there_is(manifest, pod, sidecar, curfew):
    port = next(one["containerPort"] for one in sidecar["ports"] if one["name"] == "metrics")
    assert pod["metadata"]["annotations"]["prometheus.io/port"] == str(port)
    conf = yaml.safe_load(manifest["ConfigMap"]["data"]["curfew.yaml"])
    assert conf["admin"] == {"listen": "127.0.0.1:9600", "metrics_listen": f"0.0.0.0:{port}"}
    proxy = curfew(url="http://127.0.0.1:9", top={"admin": {"metrics_listen": "127.0.0.1:0"}})
    host, at = proxy.metrics_address
    for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
        assert sidecar[probe]["httpGet"]["port"] == "metrics"
        assert status_of(host, at, sidecar[probe]["httpGet"]["path"]) == 200


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


def test_the_images_health_is_what_curfew_says(curfew, tmp_path):
    """The check of the image, of a curfew that runs and of one that has ended."""
    check = json.loads(dict(dockerfile())["HEALTHCHECK"].split(" CMD ")[1])
    assert check[0] == "/usr/bin/curfew" and "/etc/curfew/curfew.yaml" in check
    socket = tmp_path / "admin.sock"
    proxy = curfew(url="http://127.0.0.1:9", top={"admin": {"listen": f"unix:{socket}"}})
    command = [str(proxy.config) if word == "/etc/curfew/curfew.yaml" else word for word in check[1:]]
    assert curfew_command(*command).returncode == 0
    proxy.stop()
    assert curfew_command(*command).returncode == 1


def test_the_image_is_built_without_what_it_does_not_need():
    ignored = {line for line in (TREE / ".dockerignore").read_text().splitlines() if not line.startswith("#")}
    wanted = re.findall(r"(?<![\w./-])(completion|conf|docs|include|man|scripts|src|systemd)/", (TREE / "Makefile").read_text())
    assert wanted and not ignored & set(wanted) and ignored >= {".git", "build"}


def test_the_services_of_compose_fit_together(tmp_path):
    compose = yaml.safe_load((EXAMPLES / "compose.yaml").read_text())
    curfew, shop = compose["services"]["curfew"], compose["services"]["shop"]
    assert set(compose) == {"services", "configs", "secrets"}
    assert (TREE / "conf/examples" / curfew["build"]["context"]).resolve() == TREE
    assert (TREE / curfew["build"]["dockerfile"]).is_file()
    assert curfew["configs"][0]["target"] == "/etc/curfew/curfew.yaml" and curfew["configs"][0]["source"] in compose["configs"]
    assert shop["network_mode"] == "service:curfew" and set(curfew["secrets"]) == set(compose["secrets"])
    text = compose["configs"]["curfew"]["content"]
    conf = yaml.safe_load(text)
    assert shop["environment"]["PAYMENTS_URL"] == f"http://{conf['upstreams']['payments']['listen']}"
    token = tmp_path / "token"
    token.write_text("x\n")
    path = tmp_path / "curfew.yaml"
    path.write_text(text.replace("/run/secrets/payments", str(token)))
    done = curfew_command("check", "--strict", "--descriptors", "65536", "--stop-timeout", curfew["stop_grace_period"], path)
    assert (done.returncode, done.stderr) == (0, "")


# ------------------------------------------------------------------------------------------------ a fleet

@pytest.fixture(scope="module")
def fleet_manifest():
    documents = list(yaml.safe_load_all((EXAMPLES / "fleet-kubernetes.yaml").read_text()))
    return {document["kind"]: document for document in documents}


def with_secrets(text, tmp_path, *paths):
    """The configuration with files that are there in place of these."""
    for number, path in enumerate(paths):
        file = tmp_path / f"secret{number}"
        file.write_text("x\n")
        assert path in text
        text = re.sub(re.escape(path) + r"(?![\w/])", str(file), text)
    config = tmp_path / "curfew.yaml"
    config.write_text(text)
    return config


def test_the_fleet_in_the_manifest_is_sound_and_large_enough(fleet_manifest, manifest, tmp_path):
    config = with_secrets(fleet_manifest["ConfigMap"]["data"]["curfew.yaml"], tmp_path, "/run/secrets/redis/password", "/run/secrets/payments/token")
    stop = manifest["Deployment"]["spec"]["template"]["spec"]["terminationGracePeriodSeconds"]
    done = curfew_command("check", "--strict", "--descriptors", "65536", "--memory", "160MiB", "--stop-timeout", f"{stop}s", config)
    assert (done.returncode, done.stderr) == (0, "")
    spec = fleet_manifest["Deployment"]["spec"]
    surge = int(spec["strategy"]["rollingUpdate"]["maxSurge"].removesuffix("%"))
    hosts = yaml.safe_load(config.read_text())["fleet"]["hosts"]
    assert hosts == -(-spec["replicas"] * (100 + surge) // 100)


def test_the_fleet_s_manifest_fits_the_other_one(fleet_manifest, manifest):
    ours, theirs = (m["Deployment"]["spec"]["template"]["spec"] for m in (fleet_manifest, manifest))
    for kind in ("ConfigMap", "Deployment"):
        assert fleet_manifest[kind]["metadata"] == manifest[kind]["metadata"]
    for list_name in ("containers", "initContainers"):
        assert [(one["name"], one["image"]) for one in ours[list_name]] == [(one["name"], one["image"]) for one in theirs[list_name]]
    mount, = ours["initContainers"][0]["volumeMounts"]
    volume, = ours["volumes"]
    assert volume["name"] == mount["name"] and volume["secret"]["secretName"] == fleet_manifest["Secret"]["metadata"]["name"]
    assert f"{mount['mountPath']}/{volume['secret']['items'][0]['path']}" in fleet_manifest["ConfigMap"]["data"]["curfew.yaml"]


@typed
def test_the_fleet_s_manifest_is_what_kubernetes_takes(fleet_manifest, tmp_path):
    assert told_by_kubernetes(fleet_manifest, tmp_path) == ""


def test_the_fleet_of_compose_fits_together(tmp_path):
    compose = yaml.safe_load((EXAMPLES / "fleet-compose.yaml").read_text())
    curfew, shop, redis = (compose["services"][name] for name in ("curfew", "shop", "redis"))
    assert set(curfew["secrets"]) == set(compose["secrets"]) >= set(redis["secrets"])
    text = compose["configs"]["curfew"]["content"]
    conf = yaml.safe_load(text)
    assert conf["fleet"]["hosts"] == curfew["deploy"]["replicas"] and conf["fleet"]["store"] == "redis://redis:6379"
    assert shop["environment"]["PAYMENTS_URL"].rsplit(":", 1)[1] == conf["upstreams"]["payments"]["listen"].rsplit(":", 1)[1]
    config = with_secrets(text, tmp_path, "/run/secrets/redis", "/run/secrets/payments")
    done = curfew_command("check", "--descriptors", "65536", "--stop-timeout", curfew["stop_grace_period"], config)
    # Within the network of Compose it is plain, as the warning says.
    assert done.returncode == 0 and re.fullmatch(r'\S+: warning: fleet\.store: "redis" is reached without TLS: [^\n]*\n', done.stderr)
