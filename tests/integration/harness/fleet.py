"""Several curfews that share a cap by a real redis-server, in front of one API that counts what is open at it."""

import shutil
import subprocess
import threading

import redis

from .bounds import SLOW, SOON, poll
from .curfew import Curfew, Faulty, write_config
from .load import load
from .process import BINARY, Process, run

SERVER = shutil.which("redis-server")


class Store:
    """redis-server on a unix socket; it can be stopped, and started again, empty or not reached at all."""

    def __init__(self, directory):
        assert SERVER, "redis-server is not installed: scripts/install-packages test installs it"
        directory.mkdir(exist_ok=True)
        self.directory, self.path = directory, directory / "redis.sock"
        self.process = self.client = None
        self.start()

    @property
    def url(self):
        return f"unix:{self.path}"

    def start(self):
        self.process = Process([SERVER, "--port", "0", "--unixsocket", self.path, "--save", "", "--dir", self.directory,
                                "--enable-debug-command", "local"], stdout=subprocess.DEVNULL)
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

    def book(self, key):
        return self.client.hgetall(f"curfew:{{{key}}}:book")

    def entries(self, key):
        """By host: [granted, number, want, held, weight, raised, hinted]."""
        return {host: list(map(int, text.split())) for host, text in self.client.hgetall(f"curfew:{{{key}}}:entries").items()}


class Fleet:
    """`count` curfews with one worker each, one upstream "api" each, whose pool is "prod/api" in the store."""

    def __init__(self, directory, count, *, size, api=("--",), deadline="1s", pool=None, env=None, **fleet):
        self.directory = directory
        self.store = Store(directory / "store")
        self.api = Faulty()
        self.keys = {"url": self.api.url, "deadline": deadline,
                     "pool": {"size": size, "queue": 1000, "fleet": True, **(pool or {})}}
        self.fleet = {"store": self.store.url, "name": "prod", "hosts": count, **fleet}
        self.env = env
        self.hosts = []
        for _ in range(count):
            self.add()

    def add(self, env=None):
        directory = self.directory / f"host{len(self.hosts)}"
        directory.mkdir()
        write_config(directory / "curfew.yaml", {"api": self.keys},
                     {"workers": 1, "admin": {"listen": "127.0.0.1:0"}, "log": {"access": "off"}, "fleet": self.fleet})
        self.hosts.append(Curfew(directory, directory / "curfew.yaml", env=env or self.env))
        return self.hosts[-1]

    def begin(self):
        """Nobody holds anything yet: nothing has to be learnt."""
        poll(lambda: len(self.store.entries("prod/api")) == len(self.hosts), "all hosts to be in the book")
        done = run([BINARY, "fleet", "begin", "-c", self.hosts[0].config])
        assert done.returncode == 0, done.stderr
        return done.stdout

    def figures(self, host):
        return self.hosts[host].pools()["pools"][0]

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
        self.api.process.kill()
        self.store.stop()
        for host in self.hosts:
            host.process.must_be_clean()
