"""`curfew serve` as a process under test."""

import http.client
import json
import re
import signal
import socket

from .bounds import SLOW, SOON, THREAD_SANITIZED, poll
from .metrics import Metrics
from .peers import ScriptedCaller
from .process import BINARY, Process, run

# What curfew says on stderr when it starts: the one place where tests read it.
LISTENS = re.compile(r"upstream (\S+) listens on (\S+)\Z")
ADMIN = re.compile(r"admin listens on (\S+)\Z")
METRICS = re.compile(r"metrics are served on (\S+)\Z")
READY = re.compile(r"\bready\Z")
FAULTY = re.compile(r"listening on (\S+)\Z")


def address_of(text):
    """"127.0.0.1:80", "[::1]:80" or "unix:/path" as a socket address."""
    if text.startswith("unix:"):
        return text[len("unix:"):]
    host, port = text.rsplit(":", 1)
    return host.strip("[]"), int(port)


def to_yaml(value):
    """Flow style: what JSON writes is YAML."""
    return json.dumps(value)


def write_config(path, upstreams, top):
    """Writes a configuration. Every upstream listens on a port that the kernel chooses unless it says otherwise."""
    lines = [f"{key}: {to_yaml(value)}" for key, value in top.items()]
    if upstreams:
        lines.append("upstreams:")
    for name, keys in upstreams.items():
        lines.append(f"  {name}:")
        lines += [f"    {key}: {to_yaml(value)}" for key, value in {"listen": "127.0.0.1:0", **keys}.items()]
    path.write_text("\n".join(lines) + "\n")


class Curfew:
    """
    A running proxy. Made by the fixture `curfew`, which at the end of the test closes what it made, waits until the
    books are balanced, stops it, and wants status 0 and no sanitizer finding.
    """

    def __init__(self, directory, config, *, stdin=None, stdout=None, env=None, wrap=()):
        more = {"stdin": stdin} if stdin is not None else {}
        if stdout is not None:
            more["stdout"] = stdout
        self.directory = directory
        self.config = config
        self.access_log = directory / "access.log"
        self.callers = []
        self.process = Process([*wrap, BINARY, "serve", "-c", config], env=env, **more)
        self.listeners = {}
        self.admin = self.metrics_address = None
        if not self.process.stderr.wait(self._is_ready, 10 * SLOW):
            running = self.process.is_running()
            self.process.kill()
            raise AssertionError(f"curfew {'is not ready' if running else 'has ended'}:\n{self.process.stderr.text()}")
        self._read_addresses()
        if THREAD_SANITIZED and self.admin:
            # gcc 12's runtime loses a signal that comes while a thread waits for its first time: let the main thread do so.
            self.admin_get("/healthz")

    @staticmethod
    def _is_ready(lines):
        return any(READY.search(line) for line in lines)

    def _read_addresses(self):
        self.listeners = {}
        for line in self.process.stderr.lines:
            if match := LISTENS.search(line):
                self.listeners.setdefault(match[1], []).append(address_of(match[2]))
            elif match := ADMIN.search(line):
                self.admin = address_of(match[1])
            elif match := METRICS.search(line):
                self.metrics_address = address_of(match[1])

    # ------------------------------------------------------------------ callers

    def address(self, upstream=None, index=0):
        if upstream and upstream not in self.listeners:  # new since a reload, and its line may be on its way
            self.process.stderr.wait(lambda lines: any((m := LISTENS.search(line)) and m[1] == upstream
                                                       for line in lines), SOON)
            self._read_addresses()
        return self.listeners[upstream or next(iter(self.listeners))][index]

    def caller(self, upstream=None, index=0, **more):
        caller = ScriptedCaller(self.address(upstream, index), **more)
        self.callers.append(caller)
        return caller

    def ask(self, method="GET", target="/", *lines, upstream=None, **more):
        """One request on a connection of its own, and its whole response."""
        caller = self.caller(upstream)
        try:
            return caller.ask(method, target, *lines, **more)
        finally:
            caller.close()

    def url(self, target="/", upstream=None):
        host, port = self.address(upstream)
        return f"http://{host}:{port}{target}"

    # -------------------------------------------------------------------- admin

    def admin_get(self, target):
        """(status, text)"""
        return self.admin_ask("GET", target)

    def admin_ask(self, method, target, headers=None):
        """(status, text)"""
        connection = _UnixHTTP(self.admin) if isinstance(self.admin, str) else \
            http.client.HTTPConnection(*self.admin, timeout=SOON)
        try:
            connection.request(method, target, headers=headers or {})
            answer = connection.getresponse()
            return answer.status, answer.read().decode()
        finally:
            connection.close()

    def rewrite(self, upstreams, **top):
        """Another configuration in the same file. A listener that is not written stays where it is."""
        keys = {"workers": 1, "admin": {"listen": "127.0.0.1:0"}, "log": {"access": str(self.access_log)}, **top}
        write_config(self.config, upstreams, keys)

    def reload(self):
        """(status, text) when it is done."""
        return self.admin_ask("POST", "/reload")

    def must_reload(self):
        status, text = self.reload()
        assert status == 200, text
        return text

    def metrics(self):
        status, text = self.admin_get("/metrics")
        assert status == 200, text
        metrics = Metrics(text)
        metrics.must_add_up()
        return metrics

    def pools(self):
        status, text = self.admin_get("/pools")
        assert status == 200, text
        return json.loads(text)

    def calls(self, query="", **filters):
        """GET /calls, parsed. Filters by name, or a whole query."""
        query = query or "&".join(f"{key}={value}" for key, value in filters.items())
        status, text = self.admin_get("/calls" + (f"?{query}" if query else ""))
        assert status == 200, text
        return json.loads(text)

    def wait_metric(self, name, value, seconds=SOON, **labels):
        """Until the sum of these samples is `value`; returns the scrape in which it was."""
        seen = []

        def is_there():
            seen[:] = [metrics := self.metrics()]
            return metrics if metrics.sum(name, **labels) == value else None

        return poll(is_there, lambda: f"{name}{labels or ''} is {seen[0].sum(name, **labels):g}, not {value:g}", seconds)

    def wait_in_flight(self, count, phase=None, **labels):
        if phase:
            labels["phase"] = phase
        return self.wait_metric("curfew_calls_in_flight", count, **labels)

    def wait_idle(self, seconds=SOON):
        """Until nothing is in flight, held or waiting and every call has an outcome. Scrapes of a crowd that has just left may be under way."""
        why = [None]

        def is_idle():
            status, text = self.admin_get("/metrics")
            if status == 503 and "Too many scrapes" in text:
                why[0] = text
                return None
            assert status == 200, text
            metrics = Metrics(text)
            metrics.must_add_up()
            why[0] = metrics.why_not_idle()
            return None if why[0] else metrics

        return poll(is_idle, lambda: f"nothing left going on: {why[0]}", seconds)

    # ---------------------------------------------------------------------- log

    def log(self, count=1, seconds=SOON):
        """The access log once it has `count` lines, each parsed."""
        def lines():
            text = self.access_log.read_text("utf-8") if self.access_log.exists() else ""
            whole = text[:text.rfind("\n") + 1].splitlines()
            return whole if len(whole) >= count else None

        found = [json.loads(line) for line in poll(lines, f"{count} lines in the access log", seconds)]
        assert len(found) == count, f"{len(found)} lines in the access log, not {count}: {found}"
        return found

    # ---------------------------------------------------------------------- end

    def stop(self, number=signal.SIGTERM):
        self.process.signal(number)
        status = self.process.wait_exit(10 * SLOW)
        assert status == 0, f"exit status {status}; stderr:\n{self.process.stderr.text()}"
        self.process.must_be_clean()

    def finish(self):
        """What every test ends with."""
        for caller in self.callers:
            caller.close()
        try:
            if not self.process.is_running():
                status = self.process.wait_exit()
                self.process.must_be_clean()
                assert status == 0, f"curfew has died with {status}:\n{self.process.stderr.text()}"
                return
            if self.admin:
                self.wait_idle(10 * SLOW)
            self.stop()
        finally:
            self.process.kill()


class _UnixHTTP(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__("localhost", timeout=SOON)
        self._path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


class Faulty:
    """`curfew faulty`: the embedded API that misbehaves."""

    def __init__(self, *options, tls=False, listen="127.0.0.1:0"):
        self.process = Process([BINARY, "faulty", "--listen", listen, *options])
        self.tls = tls
        lines = self.process.stdout.wait(self._address, 10 * SLOW)
        if not lines:
            self.process.kill()
            raise AssertionError(f"faulty does not listen:\n{self.process.stderr.text()}")
        self.address = address_of(lines)

    @staticmethod
    def _address(lines):
        for line in lines:
            if match := FAULTY.search(line):
                return match[1].split("//")[-1]
        return None

    @property
    def url(self):
        host, port = self.address
        return f"{'https' if self.tls else 'http'}://{host}:{port}"

    def stats(self):
        return json.loads(self._ask("GET", "/stats"))

    def reset_stats(self):
        self._ask("POST", "/stats/reset")

    def _ask(self, method, target):
        connection = http.client.HTTPConnection(*self.address, timeout=SOON)
        try:
            connection.request(method, target)
            return connection.getresponse().read()
        finally:
            connection.close()

    def wait_stats(self, condition, what, seconds=SOON):
        last = []

        def holds():
            last[:] = [stats := self.stats()]
            return stats if condition(stats) else None

        return poll(holds, lambda: f"{what}: {last[0]}", seconds)

    def finish(self):
        try:
            assert self.process.is_running(), f"faulty has died:\n{self.process.stderr.text()}"
            self.process.signal(signal.SIGTERM)
            assert self.process.wait_exit() == 0
            self.process.must_be_clean()
        finally:
            self.process.kill()


def curfew_command(*args, **more):
    """A subcommand that ends by itself."""
    return run([BINARY, *args], **more)
