"""One eye on /metrics for many cells: each scrape serves all that wait, and is held to what is always true."""

import re
import threading
import time

from harness.bounds import SOON
from harness.metrics import OUTCOMES

_SAMPLE = re.compile(r"curfew_(\w+)(?:\{(.*)\})? (\S+)")
_LABEL = re.compile(r'(\w+)="([^"]*)"')


class Sample:
    """A scrape. What is 0 is left out, so that one with hundreds of upstreams is quick to read."""

    def __init__(self, text):
        self.values = {}
        for line in text.splitlines():
            if line.startswith("curfew_") and not line.endswith(" 0") and "_bucket{" not in line:
                match = _SAMPLE.fullmatch(line)
                labels = frozenset(_LABEL.findall(match[2] or ""))
                self.values.setdefault(match[1], []).append((labels, float(match[3])))

    def sum(self, name, **labels):
        wanted = labels.items()
        return sum(value for have, value in self.values.get(name, ()) if wanted <= have)

    def calls(self, outcome, **labels):
        return self.sum(f"calls_{outcome}_total", **labels)

    def _all(self, name, key):
        return {value for have, _ in self.values.get(name, ()) for label, value in have if label == key}

    def complaints(self):
        """What may never be, at any instant."""
        found = []
        for upstream in self._all("calls_started_total", "upstream"):
            started = self.calls("started", upstream=upstream)
            ended = sum(self.calls(outcome, upstream=upstream) for outcome in OUTCOMES)
            flying = self.sum("calls_in_flight", upstream=upstream)
            if started != ended + flying:
                found.append(f"{upstream}: {started:g} started, {ended:g} ended, {flying:g} in flight")
        for pool in self._all("pool_acquired_total", "pool"):
            taken = self.sum("pool_acquired_total", pool=pool) - self.sum("pool_released_total", pool=pool)
            if taken != (held := self.sum("pool_held", pool=pool)):
                found.append(f"{pool}: {taken:g} acquired and not released, {held:g} held")
        for name in ("pool_audit_errors_total", "calls_overdue", "broken_invariants_total", "log_lines_dropped_total"):
            if count := self.sum(name):
                found.append(f"{name} is {count:g}")
        return found


class Watch:
    def __init__(self, proxy):
        self.proxy = proxy
        self.complaints = set()
        self._changed = threading.Condition()
        self._sample = None
        self._begun = 0      # scrapes begun, and the one that _sample is from
        self._number = 0
        self._waiting = 0
        self._error = None
        self._over = False
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self):
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting or self._over)
                if self._over:
                    return
                self._begun += 1
                number = self._begun
            self._scrape(number)

    def _scrape(self, number):
        sample = error = None
        start = time.monotonic()
        try:
            status, text = self.proxy.admin_get("/metrics")
            assert status == 200, text
            sample = Sample(text)
        except (AssertionError, OSError) as failure:
            error = failure
        with self._changed:
            self._number, self._error = number, error
            if sample:
                self._sample = sample
                self.complaints.update(sample.complaints())
            self._changed.notify_all()
            # So that many watches leave the machine to those that they watch.
            self._changed.wait_for(lambda: self._over, 0.02 + (time.monotonic() - start))

    def fresh(self):
        """A scrape that began after now."""
        return self.wait(lambda sample: True, "a scrape")

    def barrier(self):
        """
        What has reached curfew's sockets before has been dealt with: the first scrape may be answered before a
        connection is accepted, the second before it is read.
        """
        for _ in range(3):
            self.fresh()

    def wait(self, condition, what, seconds=SOON):
        """Until `condition(sample)` holds of a scrape that began after now; returns it."""
        end = time.monotonic() + seconds
        with self._changed:
            after = self._begun
            self._waiting += 1
            self._changed.notify_all()
            try:
                while True:
                    left = end - time.monotonic()
                    number = self._number
                    self._changed.wait_for(lambda n=number: self._number != n or self._over, max(left, 0))
                    if self._number > after and not self._error and condition(self._sample):
                        return self._sample
                    if left <= 0 or self._over or self._error:
                        raise AssertionError(f"not within {seconds:g} s: {what() if callable(what) else what}"
                                             + (f" ({self._error})" if self._error else ""))
            finally:
                self._waiting -= 1

    def close(self):
        with self._changed:
            self._over = True
            self._changed.notify_all()
        self._thread.join(SOON)
