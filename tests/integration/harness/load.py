"""The load tool: many calls at instants that are fixed beforehand, and how each of them ended."""

import json

from .bounds import SLOW
from .process import run
from .programs import tool

ENDS = ("completed", "incomplete", "empty", "reset", "refused", "invalid", "aborted", "no_answer", "connect_errors")


class LoadResult:
    def __init__(self, told):
        self.told = told
        self.calls = told["calls"]
        self.statuses = {int(status): count for status, count in told["status"].items()}
        assert sum(told[end] for end in ENDS) == self.calls, told

    def __getattr__(self, name):
        return self.told[name]

    def latency(self, which="all", figure="max"):
        """In milliseconds from the instant at which the call was due to the last byte of its answer."""
        return self.told["latency_ms"][which][figure]

    def __repr__(self):
        return str(self.told)


def load(address, *paths, calls, seconds=30 * SLOW, **options):
    """`options` are those of the tool: rate=2000, at_once=True, abort_after="0:50" and so on."""
    target = "unix:" + address if isinstance(address, str) else "%s:%d" % address
    argv = [tool("load"), "--target", target, "--calls", calls, "--timeout", int(seconds)]
    for path in paths:
        argv += ["--path", path]
    for name, value in options.items():
        argv.append("--" + name.replace("_", "-"))
        if value is not True:
            argv.append(value)
    done = run(argv, seconds=seconds + 10)
    assert done.returncode == 0, done.stderr
    return LoadResult(json.loads(done.stdout))
