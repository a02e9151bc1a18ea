"""
A scenario is one piece of work; running it on one proxy gives a value for each of its metrics (a row of the table), or raises
Failed if a response was not what it had to be.
"""

from dataclasses import dataclass
from typing import Callable, Optional

from . import programs

PEERS_H1 = ("haproxy", "nginx", "go")
ALL = ("curfew", *PEERS_H1, "relay")
PROXIES = ("curfew", *PEERS_H1)
WITHOUT_GO = ("curfew", "haproxy", "nginx")
NO_PEERS = ("curfew", "relay", "direct")


@dataclass
class Metric:
    key: str
    title: str
    unit: str
    digits: int = 1
    ratio_at_most: Optional[float] = None  # of the best peer,
    ratio_to: Optional[str] = None  # or of this one
    value_at_most: Optional[float] = None  # may stand beside a ratio
    value_at_least: Optional[float] = None
    compared: bool = True  # has a ratio to the best peer


@dataclass
class Scenario:
    key: str
    title: str
    run: Callable  # (bench, proxy's name) -> {metric's key: value}
    metrics: list
    who: tuple = ALL
    timed: bool = False  # takes as long whatever the number of rounds is for: --quick does it once
    once: bool = False  # yes or no: once is enough
    group: str = "HTTP/1.1"  # the table that it is in

    @property
    def peers(self):
        return [name for name in self.who if name not in NO_PEERS]


def throughput(key, title, run, target=None, target_to=None, **more):
    return Scenario(key, title, run, [Metric("cpu", "CPU per request", "µs", 1, ratio_at_most=target, ratio_to=target_to)], **more)


class Bench:
    """What the scenarios share: upstreams, and how much of everything."""

    def __init__(self, directory, seconds=2.0, scale=1.0):
        self.directory = directory
        self.seconds = seconds
        self.scale = scale
        self.plain = self.tls = self.h2 = self.faulty = self.faulty_tls = None
        self._running = []

    def __enter__(self):
        self.plain = programs.nginx_upstream(self.directory)
        self.tls = programs.nginx_upstream(self.directory, tls=True)
        self.h2 = programs.nghttpd(self.directory)
        self.faulty = programs.Faulty(self.directory)
        self.faulty_tls = programs.Faulty(self.directory, tls=True)
        self._running = [self.plain, self.tls, self.h2, self.faulty, self.faulty_tls]
        return self

    def __exit__(self, *_):
        for one in self._running:
            one.stop()

    def calls(self, count):
        return int(count * self.scale)
