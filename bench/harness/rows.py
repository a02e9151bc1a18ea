"""
The rows of the comparison: what callers over HTTP/1.1 do, and stuck calls. Running one on one proxy gives a value for each of
its metrics, or raises Failed if a response was not what it had to be.
"""

import os
import subprocess
import sys
import threading
from contextlib import ExitStack

from .programs import FILES, PATTERN, TREE, Failed, fetch, until_answers
from .proxies import Setup, start
from .scenario import PROXIES, WITHOUT_GO, Metric, Scenario, throughput
from .work import load, measured_load, wrk

DEADLINE_MS = 2000
POOL = 50
QUEUE = 200


# ----------------------------------------------------------------------------------------- throughput


def check_content(proxy, path):
    size = FILES[path.strip("/")]
    status, content = until_answers(proxy, path)
    if status != 200 or content != (PATTERN * (size // len(PATTERN) + 1))[:size]:
        raise Failed(f"{proxy.name} answers {path} with {status} and {len(content)} bytes, not those of the file")


def get(path, tls=False, workers=1, log=False, retries=False, **how):
    """CPU per request of getting a file."""
    def run(bench, name):
        up = bench.tls if tls else bench.plain
        with start(name, Setup(up.address, tls=tls, workers=workers, log=log, retries=retries), bench.directory) as proxy:
            check_content(proxy, path)
            wrk_warm(proxy, path, **how)
            done = wrk(proxy.pid, proxy.address, path, seconds=bench.seconds, **how)
            check_content(proxy, path)
            return {"cpu": done.cpu_us, "rate": done.rate}
    return run


def wrk_warm(proxy, path, **how):
    """So that connections are there and memory is warm: a few requests on each."""
    told = load(proxy.address, path, calls=how.get("connections", 64) * 4, concurrency=how.get("connections", 64),
                keepalive=True, timeout=10)
    if told["status"].get("200") != told["calls"]:
        raise Failed(f"{proxy.name}: {told['status']} when warming up")


def upload(bench, name):
    with start(name, Setup(bench.faulty.address), bench.directory) as proxy:
        until_answers(proxy, "/ok")
        status, said = fetch(proxy.address, "/sink", "POST", PATTERN * 1000)
        if status != 200 or b'"bytes":%d' % (len(PATTERN) * 1000) not in said.replace(b" ", b""):
            raise Failed(f"{name}: {status} {said!r} to an upload")
        done = wrk(proxy.pid, proxy.address, "/sink", seconds=bench.seconds, connections=16,
                   script=TREE / "bench/wrk/upload.lua")
        return {"cpu": done.cpu_us, "rate": done.rate}


# -------------------------------------------------------------------------------------------- latency

LATENCY_RATE = 3000


def latency(bench, name):
    """Of an open loop at half of what the slowest can do. "direct" is the upstream itself."""
    def measure(address):
        options = {"calls": int(LATENCY_RATE * bench.seconds), "rate": LATENCY_RATE, "keepalive": True}
        load(address, "/small", **{**options, "calls": LATENCY_RATE // 10})
        told = load(address, "/small", **options)
        if told["status"] != {"200": told["calls"]}:
            raise Failed(f"{name}: {told['status']}")
        return told["latency_ms"]["all"]

    if name == "direct":
        found = measure(bench.plain.address)
    else:
        with start(name, Setup(bench.plain.address), bench.directory) as proxy:
            check_content(proxy, "/small")
            found = measure(proxy.address)
    return {"p50": found["p50"] * 1000, "p99": found["p99"] * 1000}


# ---------------------------------------------------------------------------------------- stuck calls

CUT_STATUS = "504"


def stuck(bench, name):
    """Calls at 2000/s to an API that never answers, with a deadline of 2 s."""
    calls, rate = bench.calls(6000), 2000
    with start(name, Setup(bench.faulty.address, deadline=f"{DEADLINE_MS}ms"), bench.directory) as proxy:
        until_answers(proxy, "/ok")
        load(proxy.address, "/ok", calls=200, concurrency=20, timeout=10)
        told, used = measured_load(proxy.pid, proxy.address, "/stuck", calls=calls, rate=rate, timeout=15)
        if told["status"] != {CUT_STATUS: calls}:
            raise Failed(f"{name}: {told['status']}, {told['no_answer']} without answer, of {calls} stuck calls")
        flying = min(calls, rate * DEADLINE_MS // 1000)
        late = told["from_sent_ms"][CUT_STATUS]
        return {"rss": used.rss_growth / flying / 1024,
                "p50": late["p50"] - DEADLINE_MS, "p99": late["p99"] - DEADLINE_MS, "max": late["max"] - DEADLINE_MS,
                "min": late["min"] - DEADLINE_MS, "cpu": used.cpu_s * 1e6 / calls}


def stuck_full(bench, name):
    """Beside a loop without end on each processor, which takes turns with proxy, API and load."""
    calls, rate = bench.calls(2000), 1000
    with ExitStack() as running, start(name, Setup(bench.faulty.address, deadline=f"{DEADLINE_MS}ms"), bench.directory) as proxy:
        until_answers(proxy, "/ok")
        load(proxy.address, "/ok", calls=200, concurrency=20, timeout=10)
        for _ in range(os.cpu_count()):
            running.callback(subprocess.Popen([sys.executable, "-c", "while True: pass"]).kill)
        told, used = measured_load(proxy.pid, proxy.address, "/stuck", calls=calls, rate=rate, timeout=15)
        if told["status"] != {CUT_STATUS: calls}:
            raise Failed(f"{name}: {told['status']}, {told['no_answer']} without answer, of {calls} stuck calls")
        late = told["from_sent_ms"][CUT_STATUS]
        return {"p50": late["p50"] - DEADLINE_MS, "p99": late["p99"] - DEADLINE_MS, "switches": used.switches / calls}


def stuck_tls(bench, name):
    """Calls at 500/s to an API that answers the handshake and nothing more. Each has a connection of its own."""
    calls, rate, deadline_s = bench.calls(1500), 500, 3
    setup = Setup(bench.faulty_tls.address, tls=True, deadline=f"{deadline_s}s")
    with start(name, setup, bench.directory) as proxy:
        until_answers(proxy, "/ok")
        load(proxy.address, "/ok", calls=200, concurrency=20, timeout=10)
        told, used = measured_load(proxy.pid, proxy.address, "/stuck", calls=calls, rate=rate, timeout=15)
        if told["status"] != {CUT_STATUS: calls}:
            raise Failed(f"{name}: {told['status']}, {told['no_answer']} without answer, of {calls} stuck calls")
        flying = min(calls, rate * deadline_s)
        return {"rss": used.rss_growth / flying / 1024, "cpu": used.cpu_s * 1e6 / calls}


# ------------------------------------------------------------------------------- slow, but never still

NEVER_MS = 2 * DEADLINE_MS


def cut_after(options, path):
    """When the call is over, in seconds; None if it is not within NEVER_MS."""
    def measure(address):
        told = load(address, path, calls=4, at_once=True, timeout=NEVER_MS // 1000, **options)
        if "200" in told["status"]:
            raise Failed(f"{path} was answered whole: {told['status']}")
        return told["from_sent_ms"]["all"]["max"] / 1000 if not told["no_answer"] else None
    return measure


SLOW = {
    "drip": cut_after({}, "/drip/100"),
    "headdrip": cut_after({}, "/headdrip/100"),
    "reader": cut_after({"read_rate": 20_000}, "/bytes/20000000"),
    "uploader": cut_after({"body": 1_000_000, "upload_rate": 20_000}, "/sink"),
}


def slow(bench, name):
    """All four at once: they cost nothing."""
    found, failures = {}, []

    def measure(key, address):
        try:
            found[key] = SLOW[key](address)
        except Failed as failure:
            failures.append(failure)

    with start(name, Setup(bench.faulty.address, deadline=f"{DEADLINE_MS}ms"), bench.directory) as proxy:
        until_answers(proxy, "/ok")
        threads = [threading.Thread(target=measure, args=(key, proxy.address)) for key in SLOW]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    if failures:
        raise failures[0]
    return found


# ------------------------------------------------------------------------------------- a pool of fifty


def pool(bench, name):
    """8,000 calls at 2000/s to an API that takes 3 s; 50 at once, 200 may wait, 2 s for each."""
    calls = bench.calls(8000)
    setup = Setup(bench.faulty.address, deadline=f"{DEADLINE_MS}ms", pool=POOL, queue=QUEUE)
    with start(name, setup, bench.directory) as proxy:
        until_answers(proxy, "/ok")
        load(proxy.address, "/ok", calls=200, concurrency=20, timeout=10)
        bench.faulty.reset()
        told, used = measured_load(proxy.pid, proxy.address, "/delay/3000", calls=calls, rate=2000, timeout=15)
        peak = bench.faulty.stats()["in_work_max"]
        # nginx says 502 where the others say 503: no server is free.
        refused = max((told["latency_ms"][s] for s in ("503", "502") if s in told["latency_ms"]),
                      key=lambda one: one["calls"], default=None)
        if not refused or sum(told["status"].values()) != calls:
            raise Failed(f"{name}: {told['status']} of {calls} calls")
        return {"peak": peak, "p50": refused["p50"], "p99": refused["p99"], "rss": used.rss_growth / 1048576,
                "switches": used.switches / calls, "cpu": used.cpu_s * 1e6 / calls}


# Go is far behind, and each more that runs takes its time: it is there where it shows what a language's library does.
SCENARIOS = [
    throughput("plain-1", "1 connection, 128 bytes", get("/small", connections=1), 0.8),
    throughput("plain-64", "64 connections, 128 bytes", get("/small"), 0.8),
    throughput("tls-64", "64 connections, TLS to the upstream", get("/small", tls=True), 0.8, who=WITHOUT_GO),
    throughput("tls-1", "1 connection, TLS to the upstream", get("/small", tls=True, connections=1), 0.8, who=WITHOUT_GO),
    throughput("100k", "16 connections, 100 KB responses", get("/100k", connections=16), 0.8, who=WITHOUT_GO),
    throughput("1m", "16 connections, 1 MB responses", get("/1m", connections=16), 0.8, who=WITHOUT_GO),
    throughput("upload", "16 connections, 64 KiB uploads", upload, 0.8, who=WITHOUT_GO),
    throughput("close", "64 connections, a new one for each request", get("/small", header="Connection: close"), 0.8, who=WITHOUT_GO),
    throughput("workers-2", "64 connections, two workers", get("/small", workers=2), who=WITHOUT_GO),
    throughput("log", "64 connections, access log to a file", get("/small", log=True), who=WITHOUT_GO),
    throughput("retries", "64 connections, retries on", get("/small", retries=True), 0.8, who=WITHOUT_GO),
    Scenario("latency", f"added at {LATENCY_RATE} calls a second", latency, [
        Metric("p50", "latency added, p50", "µs", 0, ratio_at_most=1), Metric("p99", "latency added, p99", "µs", 0, ratio_at_most=1)],
        who=("direct", *WITHOUT_GO)),
    Scenario("stuck", "6000 stuck calls at 2000/s, deadline 2 s", stuck, [
        Metric("rss", "memory per call", "KiB", 2, ratio_at_most=0.5, value_at_most=1.6),
        Metric("p50", "late by, p50", "ms", 2), Metric("p99", "late by, p99", "ms", 2, ratio_at_most=0.5),
        Metric("max", "late by, max", "ms", 2),
        Metric("min", "the earliest against the deadline", "ms", 2, value_at_least=0, compared=False),
        Metric("cpu", "CPU per cut", "µs", 1, ratio_at_most=0.9)], who=WITHOUT_GO, timed=True),
    Scenario("stuck-full", "2000 stuck calls at 1000/s, deadline 2 s, processors full", stuck_full, [
        Metric("p50", "late by, p50", "ms", 2, ratio_at_most=1), Metric("p99", "late by, p99", "ms", 2, ratio_at_most=1),
        Metric("switches", "context switches per call", "", 3)], who=WITHOUT_GO, timed=True),
    Scenario("stuck-tls", "1500 stuck calls over TLS at 500/s, deadline 3 s, certificate verified", stuck_tls, [
        Metric("rss", "memory per call", "KiB", 2, ratio_at_most=0.5),
        Metric("cpu", "CPU per call, handshake included", "µs", 1, ratio_at_most=0.9)], who=WITHOUT_GO, timed=True),
    Scenario("slow", "deadline 2 s: the call is over after", slow, [
        Metric("drip", "a byte of the body each 100 ms", "s", 2, value_at_most=2.1, compared=False),
        Metric("headdrip", "a byte of the head each 100 ms", "s", 2, value_at_most=2.1, compared=False),
        Metric("reader", "a caller that reads 20 kB/s", "s", 2, value_at_most=2.1, compared=False),
        Metric("uploader", "a caller that uploads 20 kB/s", "s", 2, value_at_most=2.1, compared=False)],
        who=PROXIES, timed=True, once=True),
    Scenario("pool", "8000 calls at 2000/s to an API that takes 3 s, pool of 50", pool, [
        Metric("peak", "at the upstream at most", "calls", 0, value_at_most=POOL, compared=False),
        Metric("p50", "refused after, p50", "ms", 3, value_at_most=1),
        Metric("p99", "refused after, p99", "ms", 3),
        Metric("rss", "memory grows by", "MiB", 2), Metric("switches", "context switches per call", "", 3),
        Metric("cpu", "CPU per call", "µs", 1)], who=WITHOUT_GO, timed=True),
]
