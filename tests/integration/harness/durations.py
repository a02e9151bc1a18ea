"""
Which tests take time of their own: those of tests/integration/long, a test in each line, with the seconds that it took when
`make test-times` measured all. `scripts/test quick` leaves them out, and those marked `timed` or `alone`.

The list is held to what is: `make lint` fails if a test that it names is gone, and a run of a release build names at its end each test
that took over LIMIT and has no line. Such a run does not fail: how long something takes says more of the machine than of the change.
"""

import os
from pathlib import Path

import pytest

from .bounds import SANITIZED

LIST = Path(__file__).resolve().parent.parent / "long"
LONG = 1.0
LIMIT = 8.0
QUICK = bool(os.environ.get("CURFEW_QUICK"))
MEASURE = bool(os.environ.get("CURFEW_TIMES"))


def name_of(nodeid):
    """file::function, whatever its case."""
    return Path(nodeid.partition("[")[0]).name


def listed():
    return {line.split()[0] for line in LIST.read_text("utf-8").splitlines()}


class Durations:
    def __init__(self):
        self.by_test, self.timed, self.late = {}, set(), {}

    def pytest_collection_modifyitems(self, config, items):
        if QUICK:
            names = listed()
            config.hook.pytest_deselected(items=[item for item in items if name_of(item.nodeid) in names])
            items[:] = [item for item in items if name_of(item.nodeid) not in names]

    def pytest_runtest_logreport(self, report):
        self.by_test[report.nodeid] = self.by_test.get(report.nodeid, 0.0) + report.duration
        if "timed" in report.keywords or "alone" in report.keywords:
            self.timed.add(name_of(report.nodeid))

    def longest(self):
        """Seconds of each test: of the case that took longest."""
        found = {}
        for nodeid, seconds in self.by_test.items():
            found[name_of(nodeid)] = max(seconds, found.get(name_of(nodeid), 0.0))
        return {name: seconds for name, seconds in found.items() if name not in self.timed}

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session):
        if hasattr(session.config, "workerinput"):
            return  # it is the one that gathers all results that sees to it
        if MEASURE:
            lines = [f"{name} {seconds:.1f}\n" for name, seconds in sorted(self.longest().items()) if seconds >= LONG]
            LIST.write_text("".join(lines), "utf-8")
        elif not SANITIZED:
            self.late = {name: seconds for name, seconds in self.longest().items() if seconds > LIMIT and name not in listed()}

    def pytest_terminal_summary(self, terminalreporter):
        for name, seconds in sorted(self.late.items()):
            terminalreporter.write_line(f"{name} took {seconds:.1f} s, and has no line in tests/integration/long: make test-times")
