"""
The work that is done by way of a proxy: by wrk, h2load or bench/peers/tunnels (closed loops), or by tests/tools/load (instants
fixed beforehand).
"""

import json
import re
import subprocess
import time
from dataclasses import dataclass

from .machine import Usage, cpu_s
from .programs import Failed, load_tool, program

_SECONDS = {"us": 1e-6, "ms": 1e-3, "s": 1.0}


@dataclass
class Done:
    requests: int
    seconds: float
    cpu_s: float

    @property
    def cpu_us(self):
        """Per request."""
        return self.cpu_s * 1e6 / self.requests

    @property
    def rate(self):
        return self.requests / self.seconds


def wrk_command(address, path, *, connections=64, threads=1, seconds=2.0, header=None, script=None, args=()):
    argv = [program("wrk"), "-t", threads, "-c", connections, "-d", f"{max(1, round(seconds))}s", "--timeout", "10s"]
    if header:
        argv += ["-H", header]
    if script:
        argv += ["-s", script]
    argv += [f"http://{address[0]}:{address[1]}{path}", *(["--", *args] if args else [])]
    return [str(arg) for arg in argv]


def wrk(pid, address, path, **how):
    """All of it has to be answered with 2xx. `pid`: the proxy whose CPU time is taken."""
    argv = wrk_command(address, path, **how)
    before = cpu_s(pid)
    done = subprocess.run(argv, capture_output=True, text=True, timeout=how.get("seconds", 2) * 3 + 20, check=False)
    used = cpu_s(pid) - before
    match = re.search(r"^\s*(\d+) requests in ([\d.]+)(us|ms|s)", done.stdout, re.M)
    if done.returncode or not match or not int(match[1]):
        raise Failed(f"wrk: {done.stdout} {done.stderr}")
    if wrong := re.search(r"Socket errors: .*|Non-2xx or 3xx responses: \d+", done.stdout):
        raise Failed(f"wrk: {wrong[0]}")
    return Done(int(match[1]), float(match[2]) * _SECONDS[match[3]], used)


def h2load(pid, address, path, *, connections=8, streams=1, seconds=2.0, calls=None, status="2xx", tls=False, args=()):
    """Over HTTP/2: for `seconds`, or so many `calls`, all at once if there are as many streams. All of this class of status."""
    argv = [program("h2load"), "-c", connections, "-m", streams, *(["-n", calls] if calls else ["-D", max(1, round(seconds))]),
            *args, f"{'https' if tls else 'http'}://{address[0]}:{address[1]}{path}"]
    start, before = time.monotonic(), cpu_s(pid)
    done = subprocess.run([str(arg) for arg in argv], capture_output=True, text=True, timeout=60, check=False)
    used, took = cpu_s(pid) - before, time.monotonic() - start
    match = re.search(r"^requests: \d+ total, \d+ started, (\d+) done, \d+ succeeded, \d+ failed, (\d+) errored, (\d+) timeout",
                      done.stdout, re.M)
    if done.returncode or not match or not int(match[1]):
        raise Failed(f"h2load: {done.stdout} {done.stderr}")
    statuses = {kind: int(count) for count, kind in re.findall(r"(\d+) ([2-5]xx)", done.stdout) if int(count)}
    if int(match[2]) or int(match[3]) or list(statuses) != [status]:
        raise Failed(f"h2load: {statuses} of {match[1]}, {match[2]} errored, {match[3]} late")
    return Done(int(match[1]), took, used)


def tunnels(pid, directory, *argv):
    """What bench/peers/tunnels says, and the CPU time of the process meanwhile."""
    before = cpu_s(pid)
    done = subprocess.run([str(arg) for arg in (directory / "tunnels", *argv)], capture_output=True, text=True, timeout=60,
                          check=False)
    used = cpu_s(pid) - before
    told = json.loads(done.stdout) if done.returncode == 0 else {}
    if not told or told["wrong"] or not told["done"]:
        raise Failed(f"tunnels: {done.stdout} {done.stderr}")
    return told, used


def load(address, *paths, calls, timeout=30, **options):
    """What tests/tools/load says. `options` are its own: rate=2000, at_once=True, read_rate=1000."""
    argv = [load_tool(), "--target", "%s:%d" % address, "--calls", calls, "--timeout", timeout]
    for path in paths:
        argv += ["--path", path]
    for name, value in options.items():
        argv.append("--" + name.replace("_", "-"))
        if value is not True:
            argv.append(value)
    argv = [str(arg) for arg in argv]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=timeout * 2 + 60, check=False)
    if done.returncode:
        raise Failed(f"load: {done.stderr}")
    return json.loads(done.stdout)


def measured_load(pid, address, *paths, **options):
    """(what load says, what the process has used)"""
    with Usage(pid) as usage:
        told = load(address, *paths, **options)
    return told, usage
