"""The Prometheus text format, read strictly, and the equations that have to hold in every scrape."""

import functools
import re
from collections import defaultdict

_SERIES = re.compile(r'([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})?\Z')
_LABEL = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\]|\\.)*)"(?:,|\Z)')

OUTCOMES = ("completed", "stuck", "failed", "rejected", "abandoned")


@functools.lru_cache(maxsize=1 << 16)
def _series(text):
    """Name, labels and family of a sample without its value: every scrape repeats them."""
    match = _SERIES.match(text)
    assert match, f"not a sample: {text!r}"
    labels, at = [], 0
    while match[2] and at < len(match[2]):
        label = _LABEL.match(match[2], at)
        assert label, f"not a label: {match[2][at:]!r}"
        labels.append((label[1], label[2]))
        at = label.end()
    return match[1], frozenset(labels), re.sub("_(bucket|sum|count)$", "", match[1])


class Metrics:
    def __init__(self, text):
        self.text = text
        self.samples = defaultdict(dict)  # by name, then by labels
        self.types = {}
        for line in text.split("\n"):
            if line.startswith("# TYPE "):
                _, _, name, kind = line.split(" ")
                assert name not in self.types, f"{name} is described twice"
                self.types[name] = kind
            elif line and not line.startswith("#"):
                self._sample(line)
        assert text.endswith("\n"), "the last line is not ended"

    def _sample(self, line):
        series, _, value = line.rpartition(" ")
        name, labels, family = _series(series)
        samples = self.samples[name]
        assert labels not in samples, f"twice in one scrape: {line}"
        assert name in self.types or family in self.types, f"no TYPE before {line!r}"
        samples[labels] = float(value)

    def _named(self, name):
        """The samples of `name`, with or without the prefix curfew_."""
        return self.samples.get(name) or self.samples.get("curfew_" + name) or {}

    def sum(self, name, **labels):
        """Of all samples of `name` (with or without the prefix curfew_) that have these labels."""
        wanted = set(labels.items())
        return sum(value for have, value in self._named(name).items() if wanted <= have)

    def sums(self, label, *names):
        """Of all samples of `names` that have the same value of this label."""
        sums = defaultdict(float)
        for name in names:
            for have, value in self._named(name).items():
                sums[dict(have)[label]] += value
        return sums

    def has(self, name, **labels):
        wanted = set(labels.items())
        return any(wanted <= have for have in self._named(name))

    def calls(self, outcome, **labels):
        return self.sum(f"curfew_calls_{outcome}_total", **labels)

    def in_flight(self, **labels):
        return self.sum("curfew_calls_in_flight", **labels)

    def ended(self, **labels):
        return sum(self.calls(outcome, **labels) for outcome in OUTCOMES)

    def values(self, label):
        return {value for samples in self.samples.values() for labels in samples for key, value in labels if key == label}

    def must_add_up(self):
        """What is exact at each scrape (DESIGN 5)."""
        all_ended = self.sums("upstream", *(f"curfew_calls_{outcome}_total" for outcome in OUTCOMES))
        all_flying = self.sums("upstream", "curfew_calls_in_flight")
        all_by_age = self.sums("upstream", "curfew_calls_in_flight_by_age")
        for upstream, started in self.sums("upstream", "curfew_calls_started_total").items():
            ended, flying, by_age = all_ended[upstream], all_flying[upstream], all_by_age[upstream]
            assert started == ended + flying, f"{upstream}: {started} started, {ended} ended, {flying} in flight"
            assert by_age == flying, f"{upstream}: {flying} in flight, by age {by_age}"
        over, trying = self.sums("upstream", "curfew_tries_ended_total"), self.sums("upstream", "curfew_tries_in_flight")
        for upstream, started in self.sums("upstream", "curfew_tries_started_total").items():
            assert started == over[upstream] + trying[upstream], f"{upstream}: {started} tries, {over[upstream]} over, {trying[upstream]} in flight"
        size, peak = self.sums("pool", "curfew_pool_size"), self.sums("pool", "curfew_pool_held_peak")
        for pool, cap in self.sums("pool", "curfew_fleet_size").items():
            size[pool] = cap  # what its host has of it comes and goes
        acquired, released = self.sums("pool", "curfew_pool_acquired_total"), self.sums("pool", "curfew_pool_released_total")
        for pool, held in self.sums("pool", "curfew_pool_held").items():
            assert held <= size[pool], f"{pool}: {held} held"
            assert self.sum("curfew_pool_ghosts", pool=pool) <= held, f"{pool}: more ghosts than {held} held"
            if not self.sum("curfew_config_reloads_total", result="success"):  # else it may have been larger
                assert peak[pool] <= size[pool], f"{pool}: {peak[pool]} held at the most"
            taken = acquired[pool] - released[pool]
            assert taken == held, f"{pool}: acquired - released = {taken}, held = {held}"
        assert self.sum("curfew_pool_audit_errors_total") == 0, "the pools' audit has found errors"
        assert self.sum("curfew_broken_invariants_total") == 0, "a call has made a move that is not allowed"

    def why_not_idle(self):
        """What is still going on; "" if nothing is."""
        busy = {
            "in flight": self.in_flight(), "overdue": self.sum("curfew_calls_overdue"),
            "held": self.sum("curfew_pool_held"), "waiting": self.sum("curfew_pool_waiting"),
            "not released": self.sum("curfew_pool_acquired_total") - self.sum("curfew_pool_released_total"),
            "not ended": self.calls("started") - self.ended(),
            "upstream connections in use": self.sum("curfew_connections", side="upstream"),
        }
        return ", ".join(f"{count:g} {what}" for what, count in busy.items() if count)
