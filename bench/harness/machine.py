"""What the machine is, and what processes have used of it."""

import os
import platform
import re
import subprocess
from pathlib import Path


def family(pid):
    """A process and all that it has started."""
    found, todo = [], [pid]
    while todo:
        one = todo.pop()
        found.append(one)
        try:
            for task in os.listdir(f"/proc/{one}/task"):
                todo += map(int, Path(f"/proc/{one}/task/{task}/children").read_text().split())
        except OSError:
            pass  # it has just ended
    return found


def _tasks(pid):
    for one in family(pid):
        try:
            for task in os.listdir(f"/proc/{one}/task"):
                yield f"/proc/{one}/task/{task}"
        except OSError:
            pass


def _ticks_s(stat):
    fields = Path(stat).read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _process_s(pid):
    """Of its threads to the nanosecond, where the kernel says it; those that have ended are only in its own, in ticks."""
    total = 0.0
    for task in os.listdir(f"/proc/{pid}/task"):
        try:
            total += int(Path(f"/proc/{pid}/task/{task}/schedstat").read_text().split()[0]) / 1e9
        except FileNotFoundError:
            total += _ticks_s(f"/proc/{pid}/task/{task}/stat")
    ticks = _ticks_s(f"/proc/{pid}/stat")
    return ticks if ticks > total + 0.1 else total


def cpu_s(pid):
    """User and system time of a process and its children, in seconds."""
    total = 0.0
    for one in family(pid):
        try:
            total += _process_s(one)
        except OSError:
            pass  # it has just ended
    return total


def _kib(path, key):
    try:
        match = re.search(rf"^{key}:\s+(\d+)", Path(path).read_text(), re.M)
    except OSError:
        return 0
    return int(match[1]) if match else 0


def rss_bytes(pid):
    return sum(_kib(f"/proc/{one}/status", "VmRSS") for one in family(pid)) * 1024


def anonymous_bytes(pid):
    """Of its resident memory what is no file's."""
    return sum(_kib(f"/proc/{one}/status", "RssAnon") for one in family(pid)) * 1024


def rss_peak_bytes(pid):
    """The highest since forget_peak()."""
    return sum(_kib(f"/proc/{one}/status", "VmHWM") for one in family(pid)) * 1024


def forget_peak(pid):
    for one in family(pid):
        Path(f"/proc/{one}/clear_refs").write_text("5")


def switches(pid):
    return sum(_kib(f"{task}/status", key) for task in _tasks(pid)
               for key in ("voluntary_ctxt_switches", "nonvoluntary_ctxt_switches"))


class Usage:
    """A context: what a process has used from its start to its end. Looks at it only then: that is work, too."""

    def __init__(self, pid):
        self.pid = pid

    def __enter__(self):
        forget_peak(self.pid)
        self._rss = rss_bytes(self.pid)
        self._switches = switches(self.pid)
        self._cpu = cpu_s(self.pid)
        return self

    def __exit__(self, *_):
        self.cpu_s = cpu_s(self.pid) - self._cpu
        self.switches = switches(self.pid) - self._switches
        self.rss_growth = rss_peak_bytes(self.pid) - self._rss


def _first_line(*argv):
    done = subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=20, check=False)
    return done.stdout.splitlines()[0].strip()


def describe():
    """(what, value) pairs: machine and versions."""
    cpu = re.search(r"model name\s*:\s*(.*)", Path("/proc/cpuinfo").read_text())
    memory = _kib("/proc/meminfo", "MemTotal") >> 20
    system = re.search(r'PRETTY_NAME="(.*)"', Path("/etc/os-release").read_text())
    return [("machine", f"{os.cpu_count()} CPUs ({cpu[1] if cpu else platform.machine()}), {memory} GiB of memory"),
            ("system", f"{system[1] if system else platform.system()}, Linux {platform.release()}")]


def version(argv, pattern):
    match = re.search(pattern, _first_line(*argv))
    return match[1] if match else "?"
