"""Rows of the forward proxy, and of a fleet."""

import os
import subprocess
import time
from contextlib import ExitStack

from .machine import cpu_s
from .programs import TREE, Failed, Program, binary, fetch, program
from .proxies import curfew_with, squid, tinyproxy
from .scenario import Metric, Scenario, throughput
from .work import load, tunnels, wrk

FORWARD = {"group": "Forward proxy"}
HOSTS = 5
POOL = 50


def forward(name, to, directory):
    """A proxy that lets its callers go to this address."""
    if name != "curfew":
        return {"squid": squid, "tinyproxy": tinyproxy}[name](None, directory)
    destination = {"name": "api", "hosts": [to[0]], "addresses": [f"{to[0]}/32"], "tunnel": {"sni": "off"}}
    return curfew_with({
        "workers": 1, "limits": {"connections": 20000}, "log": {"level": "info", "access": "off"},
        "forward": {"egress": {"listen": "127.0.0.1:0", "ports": [to[1]], "deadline": "30s", "pool": {"size": 10000, "queue": 0},
                               "destinations": [destination]}}}, directory)


def until_forwards(proxy, url):
    for _ in range(200):
        if proxy.popen.poll() is None:
            try:
                if fetch(proxy.address, url)[0] == 200:
                    return
            except Failed:
                pass
        time.sleep(0.05)
    proxy.stop()
    raise Failed(f"{proxy.name} does not forward {url}: {proxy.output.read_text('utf-8', 'replace')[-500:]}")


def forward_get(bench, name):
    """CPU per request with a whole url as its target, on kept connections, of which tinyproxy has none."""
    url = "http://%s:%d/small" % bench.plain.address
    with forward(name, bench.plain.address, bench.directory) as proxy:
        until_forwards(proxy, url)
        os.environ["BENCH_TARGET"] = url
        done = wrk(proxy.pid, proxy.address, "/", seconds=bench.seconds, script=TREE / "bench/wrk/absolute.lua")
        return {"cpu": done.cpu_us, "rate": done.rate}


def forward_connect(bench, name):
    """CPU per tunnel: CONNECT, one request, its response, the end."""
    target = "%s:%d" % bench.plain.address
    with forward(name, bench.plain.address, bench.directory) as proxy:
        until_forwards(proxy, f"http://{target}/small")
        tunnels(proxy.pid, bench.directory, "connect", *proxy.address, target, 16, 0.3)
        told, used = tunnels(proxy.pid, bench.directory, "connect", *proxy.address, target, 16, bench.seconds)
        return {"cpu": used * 1e6 / told["done"], "rate": told["done"] / told["seconds"]}


# --------------------------------------------------------------------------------------- a fleet of five


def fleet(bench, name):
    """Calls by way of five curfews to an API that takes 5 ms: one pool of 50 for all, or ten permits for each of them."""
    together = name == "curfew"
    with ExitStack() as running:
        store = bench.directory / "store.sock"
        redis = running.enter_context(Program("redis", [
            program("redis-server"), "--port", "0", "--unixsocket", store, "--save", "", "--dir", bench.directory], bench.directory))
        hosts = []
        for n in range(HOSTS):
            directory = bench.directory / f"host{n}"
            directory.mkdir(exist_ok=True)
            conf = {"workers": 1, "log": {"level": "info", "access": "off"}, "upstreams": {"api": {
                "listen": "127.0.0.1:0", "url": "http://%s:%d" % bench.faulty.address, "deadline": "2s",
                "pool": {"size": POOL, "queue": 1000, "fleet": True} if together else {"size": POOL // HOSTS, "queue": 1000}}}}
            if together:
                conf["fleet"] = {"store": f"unix:{store}", "name": "bench", "hosts": HOSTS}
            hosts.append(running.enter_context(curfew_with(conf, directory)))
        if together:
            begin(bench.directory / "host0/curfew.yaml")
        os.environ["BENCH_PORTS"] = " ".join(str(host.address[1]) for host in hosts)
        until_all_answer(hosts)
        how = {"threads": 2 * HOSTS, "connections": 100, "script": TREE / "bench/wrk/spread.lua"}
        for host in hosts:
            load(host.address, "/delay/5", calls=100, concurrency=20, keepalive=True, timeout=10)
        bench.faulty.reset()
        before = [cpu_s(one.pid) for one in (redis, *hosts)]
        done = wrk(hosts[0].pid, hosts[0].address, "/delay/5", seconds=bench.seconds, **how)
        used = [cpu_s(one.pid) - start for one, start in zip((redis, *hosts), before)]
        return {"cpu": sum(used[1:]) * 1e6 / done.requests, "store": used[0] * 1e6 / done.requests,
                "peak": bench.faulty.stats()["in_work_max"], "rate": done.rate}


def begin(path):
    """Nobody holds anything yet, so nothing has to be learnt first."""
    for _ in range(100):
        told = subprocess.run([binary(), "fleet", "-c", path], capture_output=True, text=True, timeout=10, check=False)
        if f", {HOSTS} hosts, " in told.stdout:
            break
        time.sleep(0.05)
    done = subprocess.run([binary(), "fleet", "begin", "-c", path], capture_output=True, text=True, timeout=10, check=False)
    if done.returncode:
        raise Failed(f"fleet begin: {done.stderr}")


def until_all_answer(hosts):
    for host in hosts:
        for _ in range(200):
            if fetch(host.address, "/ok")[0] == 200:
                break
            time.sleep(0.05)
        else:
            raise Failed(f"{host.name} answers nothing but refusals")


SCENARIOS = [
    throughput("forward", "forward proxy, 64 connections, 128 bytes", forward_get, who=("curfew", "squid"), **FORWARD),
    Scenario("forward-connect", "forward proxy, 16 tunnels at a time, a request in each", forward_connect, [
        Metric("cpu", "CPU per tunnel", "µs", 1)], who=("curfew", "squid", "tinyproxy"), **FORWARD),
    Scenario("fleet", f"{HOSTS} curfews, 100 connections, an API that takes 5 ms", fleet, [
        Metric("cpu", "CPU per request, all curfews", "µs", 1), Metric("store", "CPU per request, the store", "µs", 2, compared=False),
        Metric("peak", "at the API at most", "calls", 0, value_at_most=POOL, compared=False)],
        who=("curfew", "alone"), group="A fleet of five"),
]
