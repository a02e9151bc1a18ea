"""Rows of HTTP/2, gRPC, event streams and tunnels."""

import re
import subprocess

from .machine import Usage
from .programs import FILES, GRPC_MESSAGE, PATTERN, Failed, program, until_answers
from .proxies import Setup, start
from .scenario import WITHOUT_GO, Metric, Scenario, throughput
from .work import h2load, load, measured_load, tunnels

H2 = {"group": "HTTP/2 and gRPC"}
LONG = {"group": "Streams and tunnels"}


# ------------------------------------------------------------------------------------------- HTTP/2


def nghttp(proxy, path, *args, tls=False):
    """What it prints of one request, once it is answered."""
    url = f"{'https' if tls else 'http'}://{proxy.address[0]}:{proxy.address[1]}{path}"
    argv = [program("nghttp"), "--no-verify-peer", "--timeout=5", *map(str, args), url]
    for _ in range(50):
        done = subprocess.run(argv, capture_output=True, timeout=20, check=False)
        if done.stdout:
            return done.stdout
        if proxy.popen.poll() is not None:
            break
    raise Failed(f"{proxy.name} does not answer {path}: {done.stderr.decode('utf-8', 'replace')}")


def check_h2_content(proxy, path):
    size = FILES[path.strip("/")]
    if nghttp(proxy, path) != (PATTERN * (size // len(PATTERN) + 1))[:size]:
        raise Failed(f"{proxy.name} answers {path} with other bytes than those of the file")


def get_h2(streams, api="h1"):
    """CPU per request of getting a file over HTTP/2."""
    def run(bench, name):
        up = bench.plain if api == "h1" else bench.h2
        with start(name, Setup(up.address, callers="h2", api=api), bench.directory) as proxy:
            check_h2_content(proxy, "/small")
            h2load(proxy.pid, proxy.address, "/small", streams=streams, calls=800)
            done = h2load(proxy.pid, proxy.address, "/small", streams=streams, seconds=bench.seconds)
            check_h2_content(proxy, "/small")
            return {"cpu": done.cpu_us, "rate": done.rate}
    return run


def stuck_h2(bench, name):
    """Calls over 20 connections of 100 streams, TLS on both sides, to an API that does not answer."""
    calls, connections = bench.calls(2000), bench.calls(20)
    setup = Setup(bench.faulty_tls.address, tls=True, callers="h2-tls", api="h2", deadline="3s")
    with start(name, setup, bench.directory) as proxy:
        nghttp(proxy, "/ok", tls=True)
        h2load(proxy.pid, proxy.address, "/ok", calls=200, tls=True)
        with Usage(proxy.pid) as usage:
            h2load(proxy.pid, proxy.address, "/stuck", connections=connections, streams=100, calls=calls, status="5xx", tls=True)
        return {"rss": usage.rss_growth / calls / 1024, "cpu": usage.cpu_s * 1e6 / calls}


# --------------------------------------------------------------------------------------------- gRPC


def unary(bench, name):
    """CPU per call of a unary method, its message of 100 bytes both ways."""
    message = bench.directory / "message"
    message.write_bytes(GRPC_MESSAGE)
    fields = ["-H", "content-type: application/grpc", "-H", "te: trailers", "-d", message]
    path = "/unary.grpc"
    with start(name, Setup(bench.h2.address, callers="h2", api="grpc"), bench.directory) as proxy:
        def must_be_ok():
            if not re.search(rb"grpc-status: 0", nghttp(proxy, path, "-v", *fields)):
                raise Failed(f"{name}: no grpc-status 0")

        must_be_ok()
        h2load(proxy.pid, proxy.address, path, streams=10, calls=800, args=fields)
        done = h2load(proxy.pid, proxy.address, path, streams=10, seconds=bench.seconds, args=fields)
        must_be_ok()
        return {"cpu": done.cpu_us, "rate": done.rate}


# --------------------------------------------------------------------------------- streams and tunnels

EVENTS = 20
STREAMS = 1000


def sse(bench, name):
    """Streams of events, all at once, an event each 100 ms."""
    streams = bench.calls(STREAMS)
    with start(name, Setup(bench.faulty.address, streams=True), bench.directory) as proxy:
        until_answers(proxy, "/ok")
        load(proxy.address, "/sse/event*3", calls=200, concurrency=20, timeout=10)
        told, used = measured_load(proxy.pid, proxy.address, f"/sse/event*{EVENTS}~100", calls=streams, at_once=True, timeout=15)
        if told["status"] != {"200": streams} or told["completed"] != streams:
            raise Failed(f"{name}: {told['status']}, {told['completed']} whole, of {streams} streams")
        return {"cpu": used.cpu_s * 1e6 / streams / EVENTS, "rss": used.rss_growth / streams / 1024}


TUNNELS = 500
MESSAGE = 128


def websockets(bench, name):
    """Tunnels that each send a message and wait for it to come back."""
    count = bench.calls(TUNNELS)
    with start(name, Setup(bench.faulty.address, upgrade=True), bench.directory) as proxy:
        until_answers(proxy, "/status/204")
        with Usage(proxy.pid) as usage:
            told, _ = tunnels(proxy.pid, bench.directory, "echo", *proxy.address, "/ws/echo", count, bench.seconds, MESSAGE)
        if told["opened"] != count:
            raise Failed(f"{name}: {told['opened']} tunnels of {count}")
        return {"cpu": usage.cpu_s * 1e6 / told["done"], "rss": usage.rss_growth / count / 1024}


SCENARIOS = [
    throughput("h2-1", "HTTP/2 from callers, 8 connections × 1 stream", get_h2(1), 0.9, who=("curfew", "haproxy", "nghttpx"), **H2),
    throughput("h2-10", "HTTP/2 from callers, 8 connections × 10 streams", get_h2(10), 0.9,
               who=("curfew", "haproxy", "nghttpx"), **H2),
    throughput("h2-both", "HTTP/2 on both sides, 8 connections × 10 streams", get_h2(10, "h2"), 1.0, "haproxy",
               who=("curfew", "haproxy", "nghttpx"), **H2),
    throughput("grpc", "gRPC, unary, 8 connections × 10 streams", unary, who=("curfew", "haproxy", "nginx", "nghttpx"), **H2),
    Scenario("stuck-h2", "2000 stuck calls, HTTP/2 and TLS on both sides, 100 streams a connection", stuck_h2, [
        Metric("rss", "memory per call", "KiB", 2, value_at_most=2), Metric("cpu", "CPU per call", "µs", 1)],
        who=("curfew", "haproxy"), timed=True, **H2),  # nghttpx resets what is late
    Scenario("sse", f"{STREAMS} streams of events, one each 100 ms", sse, [
        Metric("cpu", "CPU per event", "µs", 1), Metric("rss", "memory per stream", "KiB", 2)],
        who=WITHOUT_GO, timed=True, **LONG),
    Scenario("websockets", f"{TUNNELS} WebSockets, messages of {MESSAGE} bytes sent back", websockets, [
        Metric("cpu", "CPU per message, there and back", "µs", 1), Metric("rss", "memory per tunnel", "KiB", 2)],
        who=WITHOUT_GO, **LONG),
]
