"""One cell of the matrix: a caller, curfew and an upstream, and what has to be true of them afterwards."""

import contextlib
import json
import socket
import ssl
import threading

from harness import problem
from harness.bounds import SLOW, SOON, Stopwatch, poll
from harness.metrics import OUTCOMES
from harness.peers import Exchange, ScriptedUpstream
from harness.wire import Cut

# A limit that a cell waits for: long enough to get into any state before it, on a busy machine too.
LIMIT_MS = int(1500 * SLOW)
LIMIT = f"{LIMIT_MS}ms"
FAR = "120s"
FURTHER = "300s"
LINGER = "10ms"
# By these causes the upstream itself has ended the exchange, and no permit lingers.
ENDED_BY_UPSTREAM = ("connection_terminated", "http_response_incomplete", "tls_protocol_error")


class Cell:
    """
    `name` is the name of its upstream, and of that upstream's pool, in the curfew that it shares with other cells.
    The call under test has the target /cell; others, under /aux, have a route and so counters of their own.
    """

    def __init__(self, number, row, situation, event, setting):
        self.name = f"c{number}"
        self.row = row
        self.situation = situation
        self.event = event
        self.setting = setting  # what all cells share: certificates, name server
        self.tls = row.transport == "tls"
        self.up = situation.make_upstream(self)
        self.side = ScriptedUpstream() if event.together == "reload" else None
        self.proxy = self.watch = self.caller = self.stopwatch = None
        self.exchange = None  # the upstream's end of the connection that the event hits
        self.other = None  # that of another try of the same call
        self.holder = self.extra = self.late = self.side_exchange = None
        self.content = situation.content
        self._closables = []
        self._threads = []
        self.dripping = False
        self._over = None  # tells the dripping to end

    # ------------------------------------------------------------ configuration

    def config(self):
        """The upstreams of this cell."""
        keys = {"url": self.situation.url(self), "deadline": self.event.deadline or FAR,
                "pool": {"size": 1, "queue": 2, "linger": LINGER, **self.situation.pool_keys(self)}, "routes": [{"path": "/aux", "deadline": FAR}]}
        if self.tls and not self.side:
            keys["late"] = True
        if self.tls:
            keys["tls"] = {"ca_file": self.setting.certificates.ca, "server_name": "api.test"}
        keys.update(self.situation.keys)
        self.situation.fit(keys)
        if self.event.limit:
            self.situation.limit(keys, self.event.limit)
        others = self.situation.others(self, keys)
        if not self.side:
            return {self.name: keys, **others}
        keys["pool"] = self.name
        others[f"{self.name}x"] = {"url": self.side.url, "deadline": FURTHER, "pool": self.name}
        return {self.name: keys, **others}

    @property
    def scheme(self):
        return "https" if self.tls else "http"

    def by_name(self, name, addresses):
        """The upstream's url with this name, at these addresses; None: the name server does not answer."""
        self.setting.name_server.answers[name] = addresses
        return f"{self.scheme}://{name}:{self.up.port}"

    # -------------------------------------------------------------------- peers

    def _new_caller(self, upstream=None, **more):
        caller = self.proxy.caller(upstream or self.name, **more)
        self._closables.append(caller)
        return caller

    def begin(self, **more):
        """The caller under test connects."""
        self.caller = self._new_caller(**more)
        self.stopwatch = Stopwatch()

    def call(self, method="GET", *lines, content=None, **more):
        """The call under test begins."""
        self.begin(**more)
        self.caller.request(method, "/cell", *lines, content=content)

    def fill_pool(self):
        """Another call takes the permit, and `exchange` is its."""
        self.holder = self._new_caller()
        self.holder.request("GET", "/aux/holds")
        self.take("/aux/holds")

    def accept(self):
        """The next connection at the upstream, its handshake done."""
        return self.secure(self.up.accept())

    def secure(self, exchange, certificate="server"):
        if not self.tls:
            return exchange
        secured = self.wrap(exchange, certificate)
        secured.sock.do_handshake()
        return secured

    def wrap(self, exchange, certificate="server"):
        """The upstream's side of TLS, its handshake yet to come."""
        context = self.context(certificate)
        secured = Exchange(context.wrap_socket(exchange.sock, server_side=True, do_handshake_on_connect=False))
        self._closables.append(secured)
        return secured

    def context(self, certificate):
        return self.setting.context(certificate)

    def take(self, target):
        """A new connection and the request on it."""
        self.exchange = self.accept()
        request = self.exchange.recv_request()
        assert request.target == target, f"{request} came, not {target}"
        return request

    def end_upstream(self, notify=True):
        """The upstream ends its side in order: under TLS by a close_notify too, unless it truncates."""
        sock = self.exchange.sock
        if notify and isinstance(sock, ssl.SSLSocket):
            sock.settimeout(0)
            with contextlib.suppress(OSError):  # ours has gone; nobody waits for the other's
                sock.unwrap()
        self.exchange.half_close()

    def complete_anew(self):
        """Where the event has hit a connection that can be done without, the call ends well on another."""
        if hasattr(self.situation, "complete_anew") and self.row.upstream == "reusable":
            self.situation.complete_anew(self)

    def in_background(self, run):
        def quietly():
            with contextlib.suppress(OSError, Cut):
                run()

        thread = threading.Thread(target=quietly, daemon=True)
        self._threads.append(thread)
        thread.start()

    def drip(self):
        """A little progress every now and then, until its receiver has gone or the cell is over."""
        progress = None
        with contextlib.suppress(OSError):  # on a slow machine the cell may be over already
            progress = self.situation.progress(self)
        if progress is not False:
            self.dripping = True
            self._over = threading.Event()
            self.in_background(self._drip)

    def _drip(self):
        while not self._over.wait(0.02 * SLOW):
            self.situation.progress(self)

    def stop_drip(self):
        if self._over:
            self._over.set()
            self._threads[-1].join(SOON)

    # ------------------------------------------------------------------- states

    def reach(self, phase):
        """Until the call under test is seen in a phase."""
        self.watch.wait(lambda sample: sample.sum("calls_in_flight", upstream=self.name, phase=phase) == 1,
                        f"phase {phase}")

    def wait_pool(self, **wanted):
        self.watch.wait(
            lambda sample: all(sample.sum(f"pool_{key}", pool=self.name) == value for key, value in wanted.items()),
            f"the pool to have {wanted}")

    def caller_has(self, mark):
        """Until these bytes are among those that have come to the caller; they stay unread."""
        poll(lambda: mark in self.caller.sock.recv(65536, socket.MSG_PEEK), f"the caller to have {mark!r}")

    def unread_is_taken(self):
        """How many bytes of a response are taken for a caller who does not read."""
        return self.setting.kernel_takes()

    def break_framing(self, data):
        """The caller does."""
        self.caller.send(data)

    def read_on(self):
        """A caller who has not read begins to."""

    def accept_of(self, request):
        """The field line that a WebSocket's 101 has, if it has to."""
        del request
        return b""

    def must_be_open(self):
        """A tunnel, for the caller, and the byte "d" has come by it."""
        assert self.caller.recv_response_head().status == 101
        assert self.caller.read_exactly(1) == b"d"

    def end_tunnel(self):
        """By the caller's end."""
        self.caller.half_close()

    def wait_out(self):
        """While time passes."""
        self.situation.wait_out(self)

    # ------------------------------------------------------- a pool that shrinks

    def hold_one_more(self):
        """A second permit of the same pool is held by a call to another upstream."""
        self.extra = self._new_caller(f"{self.name}x")
        self.extra.request("GET", "/extra")
        self.side_exchange, _ = self.side.take()

    def pool_has_shrunk(self):
        """With one permit less than were held: one that comes back is not handed out again."""
        held = self.watch.fresh().sum("pool_held", pool=self.name)
        waiting = 1 if self.row.situation.startswith("QUEUED") else 0
        self.late = self._new_caller(f"{self.name}x")
        self.late.request("GET", "/late")
        self.wait_pool(held=held, waiting=waiting + 1)
        self.side_exchange.answer(content=b"extra")
        assert self.extra.recv_response().content == b"extra"
        permits = self.situation.permits
        if held == permits + 1:
            self.wait_pool(size=permits, held=permits, waiting=waiting + 1)
        else:
            self.serve_late()

    def serve_late(self):
        if not self.late:
            return
        exchange, request = self.side.take()  # connections of a configuration go with it
        assert request.target == "/late", request
        exchange.answer(content=b"late")
        assert self.late.recv_response().content == b"late"
        self.late = None

    # --------------------------------------------------------------- afterwards

    def check(self):
        """All that the row says, and that everything has been given back."""
        self.check_answer()
        self.stop_drip()
        self._wait_abandoned()
        self._check_upstream()
        self._check_reuse()
        self._check_books()
        self._check_log()

    def check_after_the_end(self):
        """Of a curfew that has ended: there is nothing more to be asked, but its log."""
        self._check_upstream()
        self._check_log()

    def check_answer(self):
        kind, *more = self.row.answer.split()
        if hasattr(self, f"must_have_{kind}"):
            getattr(self, f"must_have_{kind}")(*more)
        elif kind == "cut":
            self._must_be_cut()
        elif kind == "end":
            self.caller.must_end()
        elif kind == "tunnel":
            self.tunnel_must_end(more[0])
        elif kind != "-" and more:
            self._must_be_problem(self.caller.recv_response(), int(kind), *more)
        elif kind != "-":
            self._must_be_answered(*kind.split("+"))
        if kind not in ("-", "end", "cut", "tunnel") and self.row.caller == "closed":
            self.caller.must_end()
        if self.row.cause == "queue_timeout" or (self.row.outcome == "stuck" and self.row.cause not in ("operator", "draining")):
            assert self.stopwatch.elapsed() >= LIMIT_MS / 1000, "over too early"

    def _must_be_cut(self):
        try:
            response = self.caller.recv_response()
        except Cut as cut:
            assert cut.head is None or cut.head.status == 200
        else:
            raise AssertionError(f"whole: {response} {response.content[:200]!r}")

    def tunnel_must_end(self, how):
        """The caller has what was sent to it before, sees how it ends, and leaves."""
        assert self.caller.wait_ended() == how or how == "closed", f"the tunnel was not {how}"
        with contextlib.suppress(ConnectionResetError, ssl.SSLError):
            while self.caller.sock.recv(65536):
                pass
        self.caller.close()

    def _must_be_problem(self, response, status, error, sent):
        if self.row.outcome:
            problem.expect(response, status, error, phase=self.row.phase, upstream=self.name,
                           sent=sent)
        else:
            assert response.status == status and problem.proxy_error(response) == error
            problem.parse(response)
        assert (response["retry-after"] is not None) == (status == 503)
        assert self.says_that_it_closes(response) or self.row.caller != "closed", response.fields
        assert response["connection"] != "close" or self.row.caller == "closed", response.fields

    def says_that_it_closes(self, response):
        return response["connection"] == "close"

    def _must_be_answered(self, status, then=None):
        response = self.caller.recv_response()
        assert response.status == int(status), (response, response.content)
        if int(status) == 200:
            assert response.content == self.content, f"{len(response.content)} bytes of content: {response.content[:99]!r}"
        if then:
            assert self.caller.recv_response().status == int(then)

    def _wait_abandoned(self):
        """No answer tells a caller who has left that curfew knows, and what comes next must not be quicker."""
        if self.row.outcome == "abandoned":
            self.watch.wait(lambda sample: sample.calls("abandoned", upstream=self.name) == 1,
                            f"the call of {self.name} to be abandoned")

    def _check_upstream(self):
        if self.row.upstream == "destroyed":
            self.exchange.wait_ended()
        elif self.row.upstream == "none" and self.situation.shows_connections:
            assert not self.up.has_connection(), "curfew has connected to the upstream"
        elif self.row.upstream == "reusable":
            self.exchange.must_be_open()
        self.situation.check_upstream(self)

    def _check_reuse(self):
        """The next call gets the permit, comes by the connection that the row says, and is answered."""
        if not self.situation.can_be_reached(self):
            return
        self.situation.let_pass(self)
        caller = self.caller if self.row.caller == "kept" else self._new_caller()
        caller.request("GET", "/aux/next")
        if self.situation.is_reused(self):
            request = self.exchange.recv_request()
            assert request.target == "/aux/next", request
            assert not self.up.has_connection(), "curfew has connected anew"
        else:
            self.take("/aux/next")
        self.exchange.answer(content=b"next")
        assert caller.recv_response().content == b"next"

    def _check_books(self):
        sample = self.watch.wait(
            lambda sample: not sample.sum("calls_in_flight", upstream=self.name)
            and not sample.sum("pool_held", pool=self.name) and not sample.sum("pool_waiting", pool=self.name),
            f"nothing of {self.name} to be left in flight, held or waiting")
        own = {"upstream": self.name, "route": "default"}
        assert sample.calls("started", **own) == (1 if self.row.outcome else 0)
        for outcome in OUTCOMES:
            count = 1 if outcome == self.row.outcome else 0
            assert sample.calls(outcome, **own) == count, f"{sample.calls(outcome, **own):g} {outcome}, not {count}"
        if self.row.outcome:
            assert sample.calls(self.row.outcome, **own, **self.row.label) == 1, f"{self.row.outcome} not by {self.row.label}"
        acquired, released = (sample.sum(f"pool_{what}_total", pool=self.name) for what in ("acquired", "released"))
        assert acquired == released, f"{acquired:g} permits acquired, {released:g} released"

    def _check_log(self):
        if not self.row.outcome:
            return
        line = self._log_line()
        cause = self.row.cause or "none"
        assert (line["outcome"], line["cause"]) == (self.row.outcome, cause), line
        if self.row.phase:
            assert line["phase"] == self.row.phase, line
        if self.row.cut_by and self.row.outcome != "abandoned":
            assert line.get("error") == self.row.cut_by, line
        assert ("lingered_ms" in line) == self._lingers(line), line
        if self._lingers(line) and self.is_late_heard(line):
            mark = f'"id":"{line["id"]}"'
            poll(lambda: sum(mark in one for one in self.proxy.access_log.read_text("utf-8").splitlines()) == 2,
                 f"what became of {self.name} to be in the access log")

    def is_late_heard(self, line):
        """Is what the upstream says to a call that has ended written down?"""
        return self.tls and line["phase"] != "tunnel"

    def _lingers(self, line):
        """Has the call ended in the middle of an exchange that its upstream may go on with?"""
        is_exchanging = line["phase"] in ("send", "wait", "receive", "tunnel") and not self.row.situation.startswith("DELIVERING")
        return is_exchanging and self.row.outcome != "completed" and self.row.cause not in ENDED_BY_UPSTREAM and \
            line["sent"] != "none" and not self.side

    def _log_line(self):
        mark = f'"upstream":"{self.name}","route":"default"'

        def found():
            text = self.proxy.access_log.read_text("utf-8") if self.proxy.access_log.exists() else ""
            lines = text[:text.rfind("\n") + 1].splitlines()
            return [line for line in lines if mark in line and '"outcome":"' in line and '"outcome":"not_a_call"' not in line]

        lines = poll(found, f"a line of {self.name} in the access log")
        assert len(lines) == 1, lines
        return json.loads(lines[0])

    def close(self):
        self.stop_drip()
        for one in self._closables:
            one.close()
        self.up.close()
        if self.side:
            self.side.close()
        for thread in self._threads:
            thread.join(SOON)
