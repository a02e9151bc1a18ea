"""
How many instructions curfew runs for a request, counted by valgrind: the same on a fast and on a slow machine, a busy
and an idle one. What it guards is the fast path: a GET on a kept-alive connection, answered from one.

Two runs that differ only in the number of requests are subtracted, so that starting, connecting, warming up and ending
are not in the figure. The compiler and the C library are: the record is of `make` as it is, with Debian 12's gcc.
"""

import os
import re
import sys
import tempfile
from pathlib import Path

TREE = Path(__file__).resolve().parents[2]
RECORD = Path(__file__).with_name("instructions")
TOLERANCE = 0.03
WARM, COUNTED = 50, 500

os.environ.setdefault("CURFEW", str(TREE / "build/release/curfew"))
os.environ["CURFEW_SLOW"] = "12"  # under valgrind
sys.path.insert(0, str(TREE / "tests/integration"))
from harness.curfew import Curfew, Faulty, write_config  # noqa: E402 pylint: disable=wrong-import-position

FIELDS = ("User-Agent: perf/1", "Accept: application/json", "Accept-Encoding: gzip", "Authorization: Bearer 0123456789",
          "X-Request-Id: 4f2b8a1c-77aa-4f0e-9a55-0e1d2c3b4a5f")


class Unusable(Exception):
    """The count is not to be had."""


def _collected(directory, api, requests, keep=None):
    """Instructions of one run of curfew from start to end, with so many requests in it."""
    config, out = directory / "curfew.yaml", keep or directory / "callgrind.out"
    write_config(config, {"api": {"url": api.url, "deadline": "60s"}},
                 {"workers": 1, "log": {"access": "off"}})
    proxy = Curfew(directory, config, wrap=("valgrind", "--tool=callgrind", f"--callgrind-out-file={out}"))
    try:
        caller = proxy.caller()
        for _ in range(requests):
            answer = caller.ask("GET", "/bytes/128", *FIELDS)
            if answer.status != 200 or len(answer.content) != 128:
                raise Unusable(f"{answer.status} with {len(answer.content)} bytes instead of 200 with 128")
        caller.close()
        proxy.stop()
    finally:
        proxy.process.kill()
    match = re.search(r"Collected : (\d+)", proxy.process.stderr.text())
    if not match:
        raise Unusable(proxy.process.stderr.text())
    return int(match[1])


def count(keep=None):
    """Instructions per request. `keep`: where to leave callgrind's output of the longer run."""
    with tempfile.TemporaryDirectory(prefix="curfew-perf.") as name:
        api = Faulty()
        try:
            few = _collected(Path(name), api, WARM)
            many = _collected(Path(name), api, WARM + COUNTED, keep)
        finally:
            api.finish()
    return (many - few) / COUNTED


def recorded():
    """The last line's figure."""
    lines = [line for line in RECORD.read_text().splitlines() if line and not line.startswith("#")]
    if not lines:
        raise Unusable(f"{RECORD} has no figure yet: tests/perf/record REASON")
    return int(lines[-1].split()[0])
