"""The Prometheus text format, read strictly, and the equations that have to hold in every scrape."""

import re

_SAMPLE = re.compile(r'([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})? (\S+)\Z')
_LABEL = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\]|\\.)*)"(?:,|\Z)')

OUTCOMES = ("completed", "stuck", "failed", "rejected", "abandoned")


class Metrics:
    def __init__(self, text):
        self.text = text
        self.samples = {}
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
        match = _SAMPLE.match(line)
        assert match, f"not a sample: {line!r}"
        labels, at = [], 0
        while match[2] and at < len(match[2]):
            label = _LABEL.match(match[2], at)
            assert label, f"not a label: {match[2][at:]!r}"
            labels.append((label[1], label[2]))
            at = label.end()
        key = (match[1], frozenset(labels))
        assert key not in self.samples, f"twice in one scrape: {line}"
        family = re.sub("_(bucket|sum|count)$", "", match[1])
        assert match[1] in self.types or family in self.types, f"no TYPE before {line!r}"
        self.samples[key] = float(match[3])

    def sum(self, name, **labels):
        """Of all samples of `name` (with or without the prefix curfew_) that have these labels."""
        wanted = set(labels.items())
        names = (name, "curfew_" + name)
        return sum(value for (found, have), value in self.samples.items() if found in names and wanted <= have)

    def has(self, name, **labels):
        wanted = set(labels.items())
        return any(found in (name, "curfew_" + name) and wanted <= have for found, have in self.samples)

    def calls(self, outcome, **labels):
        return self.sum(f"curfew_calls_{outcome}_total", **labels)

    def in_flight(self, **labels):
        return self.sum("curfew_calls_in_flight", **labels)

    def ended(self, **labels):
        return sum(self.calls(outcome, **labels) for outcome in OUTCOMES)

    def values(self, label):
        return {value for _, labels in self.samples for key, value in labels if key == label}

    def must_add_up(self):
        """What is exact at each scrape (DESIGN 5)."""
        upstreams = {dict(labels)["upstream"] for (name, labels) in self.samples
                     if name == "curfew_calls_started_total"}
        for upstream in upstreams:
            started, ended = self.calls("started", upstream=upstream), self.ended(upstream=upstream)
            flying = self.in_flight(upstream=upstream)
            assert started == ended + flying, f"{upstream}: {started} started, {ended} ended, {flying} in flight"
            by_age = self.sum("curfew_calls_in_flight_by_age", upstream=upstream)
            assert by_age == flying, f"{upstream}: {flying} in flight, by age {by_age}"
        for (name, labels), held in self.samples.items():
            if name != "curfew_pool_held":
                continue
            pool = dict(labels)
            assert held <= self.sum("curfew_pool_size", **pool), f"{pool}: {held} held"
            if not self.sum("curfew_config_reloads_total", result="success"):  # else it may have been larger
                assert self.sum("curfew_pool_held_peak", **pool) <= self.sum("curfew_pool_size", **pool)
            taken = self.sum("curfew_pool_acquired_total", **pool) - self.sum("curfew_pool_released_total", **pool)
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
