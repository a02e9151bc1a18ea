"""Several curfews that share a cap by a real redis-server, in front of one API that counts what is open at it."""

import os
import shutil
import subprocess
import threading
import time

import redis

from .bounds import SLOW, SOON, poll
from .curfew import Curfew, Faulty, write_config
from .load import load
from .process import BINARY, Process, run
from .programs import tool
from .stores import Book

SERVER = shutil.which("redis-server")


class Store(Book):
    """
    redis-server on a unix socket; it can be stopped, and started again, empty or not reached at all. `steps`: its wall clock can be
    set (step_clock).
    """

    def __init__(self, directory, steps=False):
        assert SERVER, "redis-server is not installed: scripts/install-packages test installs it"
        directory.mkdir(exist_ok=True)
        self.directory, self.path = directory, directory / "redis.sock"
        self.env = {"LD_PRELOAD": tool("store_clock.so"), "STEP_FILE": str(directory / "step")} if steps else None
        self.process = self.client = None
        self.start()

    @property
    def url(self):
        return f"unix:{self.path}"

    def start(self):
        self.process = Process([SERVER, "--port", "0", "--unixsocket", self.path, "--save", "", "--dir", self.directory,
                                "--enable-debug-command", "local"], stdout=subprocess.DEVNULL, env=self.env)
        self.client = redis.Redis(unix_socket_path=str(self.path), decode_responses=True)
        poll(self._answers, "redis-server to answer", 10 * SLOW)

    def _answers(self):
        try:
            return self.client.ping()
        except redis.ConnectionError:
            return False

    def stop(self):
        self.client.close()
        self.process.kill()

    def step_clock(self, seconds):
        """As far ahead of the wall clock, from now on."""
        written = self.directory / "step.new"
        written.write_text(f"{round(seconds * 1000)}")
        written.rename(self.directory / "step")


class Watch:
    """Looks at what an API has in work, again and again, from the beginning of a `with` to its end."""

    def __init__(self, api):
        self.api = api
        self.seen = []  # (monotonic time, calls in work)
        self.over = threading.Event()
        self.thread = threading.Thread(target=self._look, daemon=True)

    def _look(self):
        while not self.over.wait(0.02):
            self.seen.append((time.monotonic(), self.api.stats()["in_work"]))

    def __enter__(self):
        self.began = time.monotonic()
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        self.thread.join()

    def mean(self, after, until):
        """Between so many seconds after the beginning."""
        seen = [count for at, count in self.seen if after <= at - self.began <= until]
        return sum(seen) / len(seen)


class Fleet:
    """`count` curfews with one worker each (or CURFEW_WORKERS), one upstream "api" each, whose pool is "prod/api" in the store."""

    def __init__(self, directory, count, *, size, api=None, deadline="1s", pool=None, env=None, store=None, way=None, steps=False, **fleet):
        """`store`: another one than a Store of its own, which has `steps`. `way`: gives the url by which the host of this number reaches it."""
        self.directory = directory
        self.store = store or Store(directory / "store", steps)
        self.way = way or (lambda number: self.store.url)
        self.api = api or Faulty()
        self.keys = {"url": self.api.url, "deadline": deadline,
                     "pool": {"size": size, "queue": 1000, "fleet": True, **(pool or {})}}
        self.fleet = {"name": "prod", "hosts": count, **fleet}
        self.env = env
        self.hosts = []
        for _ in range(count):
            self.add()

    def fleet_of(self, number):
        """What this host's file has under `fleet`."""
        return {"store": self.way(number), **self.fleet}

    def add(self, env=None):
        directory = self.directory / f"host{len(self.hosts)}"
        directory.mkdir()
        write_config(directory / "curfew.yaml", {"api": self.keys},
                     {"workers": int(os.environ.get("CURFEW_WORKERS") or 1), "admin": {"listen": "127.0.0.1:0"}, "log": {"access": "off"},
                      "fleet": self.fleet_of(len(self.hosts))})
        self.hosts.append(Curfew(directory, directory / "curfew.yaml", env=env or self.env))
        return self.hosts[-1]

    def begin(self):
        """Nobody holds anything yet: nothing has to be learnt."""
        poll(lambda: len(self.store.entries("prod/api")) == len(self.hosts), "all hosts to be in the book")
        done = run([BINARY, "fleet", "begin", "-c", self.hosts[0].config])
        assert done.returncode == 0, done.stderr
        return done.stdout

    def resize(self, host, size):
        """A reload, after which the host has another size for the fleet."""
        self.hosts[host].rewrite({"api": {**self.keys, "pool": {**self.keys["pool"], "size": size}}}, fleet=self.fleet_of(host))
        self.hosts[host].must_reload()

    def figures(self, host):
        return self.hosts[host].pools()["pools"][0]

    def wait_calm(self):
        """Until each host has been told that nobody has waited for a second, and has a permit more than it needs."""
        def is_calm(pool):
            return pool["fleet"]["mode"] == "calm" and pool["size"] > pool["held"]

        poll(lambda: all(is_calm(self.figures(host)) for host in range(len(self.hosts))), "all hosts to know that the fleet is calm", 2 * SOON)

    def running(self):
        return [host for host in self.hosts if host.process.is_running()]

    def start_load(self, path, *, rate, seconds, hosts=None):
        """An open loop at each of these hosts, `rate` calls a second over all of them; call the result for the results."""
        hosts = list(range(len(self.hosts))) if hosts is None else hosts
        results = {}

        def one(host):
            results[host] = load(self.hosts[host].address(), path, calls=max(1, round(rate * seconds / len(hosts))),
                                 rate=max(1, round(rate / len(hosts))), seconds=seconds + 30)

        threads = [threading.Thread(target=one, args=(host,)) for host in hosts]
        for thread in threads:
            thread.start()

        def finish():
            for thread in threads:
                thread.join()
            return [results.get(host) for host in hosts]

        return finish

    def load(self, path, **more):
        return self.start_load(path, **more)()

    def close(self):
        for host in self.hosts:
            if host.process.is_running():
                host.process.kill()
        (getattr(self.api, "stop", None) or self.api.process.kill)()
        self.store.process.kill()
        for host in self.hosts:
            host.process.must_be_clean()
