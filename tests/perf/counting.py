"""
How many instructions curfew runs for a request, counted by valgrind: the same on a fast and on a slow machine, a busy
and an idle one. What it guards are the fast paths: kept-alive connections on both sides, and nothing goes wrong.

Two runs that differ only in the number of requests are subtracted, so that starting, connecting, warming up and ending
are not in the figure. The compiler and the libraries are: the record is of `make` as it is, with Debian 12's gcc.
"""

import contextlib
import os
import queue
import re
import sys
import tempfile
from pathlib import Path

TREE = Path(__file__).resolve().parents[2]
RECORD = Path(__file__).with_name("instructions")
WARM, COUNTED = 50, 500
TOLERANCE = 0.03

os.environ.setdefault("CURFEW", str(TREE / "build/release/curfew"))
os.environ["CURFEW_SLOW"] = "12"  # under valgrind
sys.path.insert(0, str(TREE / "tests/integration"))
from harness.bounds import poll  # noqa: E402 pylint: disable=wrong-import-position
from harness.curfew import Curfew, Faulty, write_config  # noqa: E402 pylint: disable=wrong-import-position
from harness.fleet import Store  # noqa: E402 pylint: disable=wrong-import-position
from harness.h2_caller import DATA, END_HEADERS, END_STREAM, HEADERS, WINDOW_UPDATE, H2Caller, frame  # noqa: E402 pylint: disable=wrong-import-position
from harness.peers import ScriptedUpstream  # noqa: E402 pylint: disable=wrong-import-position

FIELDS = ("User-Agent: perf/1", "Accept: application/json", "Accept-Encoding: gzip", "Authorization: Bearer 0123456789",
          "X-Request-Id: 4f2b8a1c-77aa-4f0e-9a55-0e1d2c3b4a5f")
H2_FIELDS = tuple((name.lower(), value) for name, value in (field.split(": ") for field in FIELDS))
GRPC_FIELDS = (("te", "trailers"), ("content-type", "application/grpc"), ("user-agent", "perf/1"))
MESSAGE = b"\0\0\0\0\3abc"
EVENT = b'event: delta\ndata: {"index": 0, "delta": {"text": "a few words of an answer"}}\n\n'


class Unusable(Exception):
    """The count is not to be had."""


def _must(holds, answer):
    if not holds:
        raise Unusable(f"an answer that was not expected: {answer}")


def _h1(proxy, requests):
    caller = proxy.caller()
    for _ in range(requests):
        answer = caller.ask("GET", "/bytes/128", *FIELDS)
        _must(answer.status == 200 and len(answer.content) == 128, answer)
    caller.close()


def _ask_h2(caller, method, path, fields, content=b""):
    """In one segment, so that the number of reads is always the same."""
    stream, caller.next = caller.next, caller.next + 2
    block = caller.encoder.encode(caller.fields_of(method, path, *fields))
    request = frame(HEADERS, END_HEADERS | (0 if content else END_STREAM), stream, block)
    caller.send(request + (frame(DATA, END_STREAM, stream, content) if content else b""))
    return caller.recv(stream)


@contextlib.contextmanager
def _h2_caller(proxy):
    """With a window for all that comes."""
    with contextlib.closing(H2Caller(proxy.address(), reads=False)) as caller:
        caller.put(WINDOW_UPDATE, 0, 0, (1 << 24).to_bytes(4, "big"))
        yield caller


def _h2(proxy, requests):
    with _h2_caller(proxy) as caller:
        for _ in range(requests):
            answer = _ask_h2(caller, "GET", "/bytes/128", H2_FIELDS)
            _must(answer.status == 200 and len(answer.content) == 128, vars(answer))


def _grpc(proxy, requests):
    with _h2_caller(proxy) as caller:
        for _ in range(requests):
            answer = _ask_h2(caller, "POST", "/grpc/0", GRPC_FIELDS, MESSAGE)
            _must(answer.status == 200 and dict(answer.trailers or ()).get("grpc-status") == "0", vars(answer))


class Events:
    """An API that sends an event when curfew waits for it, so that each is read by itself, in a turn of its own."""

    def __init__(self):
        self.pieces = queue.Queue()
        self.server = ScriptedUpstream(self._stream)
        self.url = self.server.url

    def _stream(self, exchange):
        exchange.recv_request()
        exchange.send(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n")
        while piece := self.pieces.get():
            exchange.send(b"%x\r\n%s\r\n" % (len(piece), piece))
        exchange.send(b"0\r\n\r\n")

    def run(self, proxy, events):
        caller = proxy.caller()
        caller.request("GET", "/events", *FIELDS)
        _must(caller.recv_response_head().status == 200, "no stream")
        for _ in range(events):
            poll(proxy.process.sleeps, "curfew to wait")
            self.pieces.put(EVENT)
            caller.read_until(EVENT + b"\r\n")
        self.pieces.put(b"")
        caller.read_until(b"0\r\n\r\n")
        caller.close()

    def finish(self):
        self.server.close()


class Row:
    """What is counted: an upstream's keys, how the API is started, and what asks so many times."""

    counted = COUNTED
    by_worker = False  # what the worker's thread runs, and not the main thread

    def __init__(self, what, run=_h1, *, api=(), tls=False, keys=None, more=None):
        self.what, self.ask, self.api, self.tls = what, run, api, tls
        self.keys, self.more = keys or {}, more or {}

    def top(self, directory):  # pylint: disable=unused-argument
        """Of the file, beside upstreams."""
        return {}

    def start(self, directory):
        return Faulty(*self.api, *(("--ca-out", str(directory / "ca.pem")) if self.tls else ()), tls=self.tls)

    def run(self, _, proxy, requests):
        self.ask(proxy, requests)

    def finish(self):
        """Of what it has started beside the API."""


class EventsRow(Row):
    def start(self, directory):
        return Events()

    def run(self, api, proxy, requests):
        api.run(proxy, requests)


class FleetRow(Row):
    """A host alone in a fleet, whose block suffices. How often its main thread asks the store is a matter of time, and not of calls."""

    by_worker = True

    def start(self, directory):
        self.store = Store(directory / "store")  # pylint: disable=attribute-defined-outside-init
        return super().start(directory)

    def top(self, directory):
        self.store.client.flushall()
        return {"fleet": {"store": self.store.url, "name": "perf", "fallback": "closed", "renew": "2s"}}

    def run(self, api, proxy, requests):
        key = "perf/api"
        poll(lambda: self.store.entries(key), "the host to be in the book")
        self.store.client.hset(f"curfew:{{{key}}}:book", mapping={"unknown_until": 0, "minted": 0})
        poll(lambda: all(entry[0] > 0 for entry in self.store.entries(key).values()), "a permit to be lent")
        poll(lambda: int(self.store.book(key)["tight_until"]) < self.store.client.time()[0] * 1_000_000, "nobody to have waited of late")
        asked = self.store.questions()
        poll(lambda: self.store.questions() > asked, "the host to be told so")
        super().run(api, proxy, requests)

    def finish(self):
        self.store.stop()


IDLE = {"hedge": True, "late": True, "breaker": {}, "addresses": {"eject": {}},
        "retries": {"attempts": 2, "per_try": "10s", "fallback": "other", "tell": "X-Try", "say": True},
        "pool": {"size": 50, "queue": 100, "queue_timeout": "1s", "linger": "500ms", "least": "1ms", "adapt": {},
                 "share_by": "X-Tenant", "rate": {"limit": "1000000/s", "burst": 1000},
                 "pause": {"statuses": [429]}}}

# Of IDLE what keeps nothing for later: a fallback has a copy of the request's head.
GUARD = {"breaker": {}, "retries": {"attempts": 2}, "pool": {"size": 50, "queue": 100, "rate": {"limit": "1000000/s", "burst": 1000}}}

ROWS = {
    "h1": Row("a GET"),
    "guard": Row("a GET, with retries, a breaker and a rate configured and idle", keys=GUARD),
    "idle": Row("a GET, with retries, a fallback, breaker, hedge and all of a pool configured and idle", keys=IDLE,
                more={"other": {"url": "http://127.0.0.1:9"}}),
    "tls": Row("a GET, with TLS to the API", api=("--tls",), tls=True),
    "h2": Row("a GET, HTTP/2 on both sides", _h2, api=("--http2",), keys={"http2": {"use": "always"}}),
    "grpc": Row("a gRPC call, HTTP/2 on both sides", _grpc, api=("--http2",), keys={"http2": {"use": "always"}}),
    "fleet": FleetRow("a GET, by a pool of a fleet", keys={"pool": {"size": 50, "queue": 100, "fleet": True}}),
    "sse": EventsRow("an event of a stream", keys={"streams": {}}),
}


def _total(path):
    """Of a thread's output; the first is the main thread's."""
    return int(re.search(r"^totals: (\d+)", path.read_text(), re.MULTILINE)[1])


def collected(row, directory, api, requests, out):
    """Instructions of one run of curfew from start to end, with so many requests in it."""
    config = directory / "curfew.yaml"
    keys = {"url": api.url, "deadline": "60s", **row.keys}
    if row.tls:
        keys["tls"] = {"ca_file": str(directory / "ca.pem"), "server_name": "api.test"}
    write_config(config, {"api": keys, **row.more}, {"workers": 1, "log": {"access": "off"}, **row.top(directory)})
    apart = ("--separate-threads=yes",) if row.by_worker else ()
    proxy = Curfew(directory, config, wrap=("valgrind", "--tool=callgrind", f"--callgrind-out-file={out}", *apart))
    try:
        row.run(api, proxy, requests)
        proxy.stop()
    finally:
        proxy.process.kill()
    if row.by_worker:
        return max(_total(each) for each in directory.glob(f"{out.name}-*") if not each.name.endswith("-01"))
    match = re.search(r"Collected : (\d+)", proxy.process.stderr.text())
    if not match:
        raise Unusable(proxy.process.stderr.text())
    return int(match[1])


def count(name, keep=None):
    """Instructions per request of this row. `keep`: where to leave callgrind's output of the longer run."""
    row = ROWS[name]
    with tempfile.TemporaryDirectory(prefix="curfew-perf.") as where:
        directory = Path(where)
        api = row.start(directory)
        try:
            few = collected(row, directory, api, WARM, directory / "few.out")
            many = collected(row, directory, api, WARM + row.counted, keep or directory / "many.out")
        finally:
            api.finish()
            row.finish()
    return (many - few) / row.counted


def recorded():
    """Of each row the last line's figure."""
    lines = [line.split() for line in RECORD.read_text().splitlines() if line and not line.startswith("#")]
    return {line[0]: int(line[1]) for line in lines}
