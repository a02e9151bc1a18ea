"""How a call comes into each situation of matrix.txt, makes progress there, and goes on to a good end."""

import socket

from harness.bounds import SLOW, SOON, poll, writable
from harness.peers import ScriptedUpstream, SilentAddress

CHUNKED = "Transfer-Encoding: chunked"
OK_HEAD = b"HTTP/1.1 200 OK\r\n"


class Situation:
    """The defaults fit a call that has a connection of its own."""

    keys = {}  # of the upstream, beside those that all have
    permits = 1  # that the call holds
    needs_names = False  # the cell's name, which the name server of the setting knows
    rest_of_response = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
    content = b"ok"

    def make_upstream(self, cell):
        del cell
        return ScriptedUpstream()

    def url(self, cell):
        return f"{cell.scheme}://{cell.up.authority}"

    def fit(self, keys):
        """Adds keys that hang on others."""

    def pool_keys(self, cell):
        """Of its pool, beside those that all have."""
        del cell
        return {}

    def others(self, cell, keys):
        """More upstreams; `keys` are those of the cell's own."""
        del cell, keys
        return {}

    def limit(self, keys, limit):
        """The limit that runs in this situation."""
        keys["timeouts"] = {"idle": limit}

    def top(self, event):
        """Keys at the top of the file that this cell needs: then it has a curfew of its own."""
        del event
        return {}

    def enter(self, cell):
        raise NotImplementedError

    def progress(self, cell):
        """A little of it, so that no idle timer would ever run out. False: nothing can move here."""
        del cell
        return False

    def wait_out(self, cell):
        """What the caller does while time passes: he reads, so that there is nothing else to do."""

    def complete(self, cell):
        """The call goes on to its end, the response whole."""
        cell.exchange.send(self.rest_of_response)

    def check_upstream(self, cell):
        """What has become of more than the connection that the event has hit."""

    def let_pass(self, cell):
        """What stood in the way of the call stands no more in the way of the next one."""

    shows_connections = True  # at its listener

    def can_be_reached(self, cell):
        """Is there an upstream to which a next call can be made?"""
        del cell
        return True

    def is_reused(self, cell):
        """The next call comes by the connection that is there."""
        return cell.row.upstream == "reusable"


class ReadingHead(Situation):
    def limit(self, keys, limit):
        pass  # it is not the upstream's: see top

    def top(self, event):
        return {"limits": {"request_head_timeout": event.limit}} if event.limit else {}

    def enter(self, cell):
        cell.begin()
        cell.caller.send(b"GET /cell HTTP/1.1\r\nHost: curfew.test\r\nX-Half: ")
        cell.watch.barrier()

    def progress(self, cell):
        cell.caller.send(b"x")

    def complete(self, cell):
        cell.caller.send(b"whole\r\n\r\n")
        cell.take("/cell")
        super().complete(cell)


class QueuedBehind(Situation):
    """`cell.exchange` is that of the call that holds the permit."""

    def limit(self, keys, limit):
        keys["pool"]["queue_timeout"] = limit

    def enter(self, cell):
        cell.fill_pool()
        cell.call()
        cell.reach("queue")

    def complete(self, cell):
        cell.exchange.answer()
        if cell.event.together == "reload":  # connections of a configuration go with it
            self.complete_anew(cell)
            return
        request = cell.exchange.recv_request()
        assert request.target == "/cell", request
        super().complete(cell)

    def complete_anew(self, cell):
        """The holder's connection can't be used again: the permit is this call's, and a connection of its own."""
        cell.take("/cell")
        super().complete(cell)

    def let_pass(self, cell):
        if cell.row.upstream == "none":
            cell.exchange.answer()

    def is_reused(self, cell):
        return cell.row.upstream in ("reusable", "none")  # none of its own: by the holder's


class BackoffAfter503(Situation):
    """`cell.exchange` has given the answer that it is waited after, and is idle."""

    keys = {"retries": {"attempts": 2, "when": [503], "retry_after": "2m"}}

    def enter(self, cell):
        cell.call()
        cell.take("/cell")
        # What hits all cells together comes when the last one of them is where it has to be.
        wait = {"drain": 30, "shutdown": 30, "reload": 4}.get(cell.event.together, 2)
        cell.exchange.answer(503, f"Retry-After: {wait * SLOW:g}", content=b"later")
        cell.reach("backoff")

    def complete(self, cell):
        if cell.event.together == "drain":  # it has ended, with the answer that it had
            return
        if cell.event.together == "reload":  # connections of a configuration go with it
            cell.take("/cell")
        else:
            assert cell.exchange.recv_request().target == "/cell"
        super().complete(cell)


class ConnectingDns(Situation):
    needs_names = True

    @staticmethod
    def _name(cell):
        return f"{cell.name}.test"

    def url(self, cell):
        return cell.by_name(self._name(cell), None)

    def limit(self, keys, limit):
        keys["timeouts"] = {"connect": limit}

    def enter(self, cell):
        cell.call()
        cell.reach("dns")
        server, name = cell.setting.name_server, self._name(cell)
        poll(lambda: (name, 1) in server.asked, f"{name} to be asked for")

    def refuse(self, cell):
        cell.setting.name_server.release(self._name(cell), [])

    def garble(self, cell):
        """Nonsense comes where the answer is expected; then the answer."""
        server, name = cell.setting.name_server, self._name(cell)
        query, peer = next(one for one in list(server.unanswered) if name.split(".")[0].encode() in one[0])
        server.sock.sendto(bytes([query[0] ^ 0xff, query[1]]) + b"\x81\x80" + query[4:], peer)
        server.sock.sendto(b"nonsense", peer)

    def complete(self, cell):
        cell.setting.name_server.release(self._name(cell), ["127.0.0.1"])
        cell.take("/cell")
        super().complete(cell)

    def let_pass(self, cell):
        if cell.row.upstream == "none":
            cell.setting.name_server.release(self._name(cell), ["127.0.0.1"])


class ConnectingConnect(Situation):
    def make_upstream(self, cell):
        return FullUpstream()

    def limit(self, keys, limit):
        keys["timeouts"] = {"connect": limit}

    def enter(self, cell):
        cell.call()
        cell.reach("connect")

    shows_connections = False  # there are those that fill it

    def refuse(self, cell):
        cell.up.refuse()

    def complete(self, cell):
        cell.up.make_room()
        cell.take("/cell")
        super().complete(cell)

    def can_be_reached(self, cell):
        return cell.row.upstream == "reusable"


class FullUpstream(ScriptedUpstream):
    """Its backlog is full: connections are neither accepted nor refused."""

    def __init__(self):
        super().__init__(backlog=0)
        self._fillers = []
        self._names = set()
        while not self._fillers or writable(self._fillers[-1], 0.1):
            filler = socket.socket()
            filler.setblocking(False)
            filler.connect_ex((self.host, self.port))
            self._fillers.append(filler)
            self._names.add(filler.getsockname())
            assert len(self._fillers) < 64, "the backlog does not fill"

    def make_room(self):
        """From now on connections are accepted; those that filled the backlog are gone."""
        self.sock.listen(64)
        for filler in self._fillers:
            filler.close()

    def accept(self, seconds=SOON):
        while True:
            exchange = super().accept(seconds)
            if exchange.sock.getpeername() not in self._names:
                return exchange
            exchange.close()

    def close(self):
        super().close()
        for filler in self._fillers:
            filler.close()


class ConnectingRaced(ConnectingConnect):
    """Both attempts are on their way, and whatever becomes of the call, they end together."""

    needs_names = True

    def make_upstream(self, cell):
        return HalfSilentUpstream()

    def url(self, cell):
        return cell.by_name(f"{cell.name}.test", [cell.up.silent_host, cell.up.host])

    def enter(self, cell):
        super().enter(cell)
        poll(cell.up.is_tried, "the second address to be tried")


class HalfSilentUpstream(FullUpstream):
    """It has a second address, where nothing answers at all."""

    silent_host = "127.0.0.77"

    def __init__(self):
        super().__init__()
        self._silent = SilentAddress(self.silent_host, self.port)

    def is_tried(self):
        """Is there a connection on its way to the address whose backlog is full, but for those that fill it?"""
        ours = {port for _, port in self._names}
        with open("/proc/net/tcp", encoding="ascii") as table:
            for line in table:
                local, remote, state = line.split()[1:4]
                if state == "02" and remote == f"0100007F:{self.port:04X}" and int(local.split(":")[1], 16) not in ours:
                    return True
        return False

    def refuse(self):
        super().refuse()
        self._silent.refuse()

    def close(self):
        super().close()
        self._silent.close()


class ConnectingTls(Situation):
    """`cell.exchange` takes the bytes of the handshake, and says nothing."""

    def limit(self, keys, limit):
        keys["timeouts"] = {"connect": limit}

    def enter(self, cell):
        cell.call()
        cell.exchange = cell.up.accept()
        cell.reach("tls")

    def progress(self, cell):
        # The head of a record that is as long as it may be, and then its bytes.
        if not cell.dripping:
            cell.exchange.send(b"\x16\x03\x03\x40\x00\x02\x00\x3f\xfc")
        cell.exchange.send(b"\x02")

    def refuse(self, cell):
        cell.exchange = cell.wrap(cell.exchange, "untrusted")
        try:
            cell.exchange.sock.do_handshake()
        except OSError:
            return
        raise AssertionError("curfew trusts anybody")

    def complete(self, cell):
        cell.exchange = cell.secure(cell.exchange)
        cell.exchange.recv_request()
        super().complete(cell)


class ConnectingAnew(ConnectingTls):
    """The handshake before this one offered a session of an earlier call, and the upstream could not bear that."""

    ALERT = b"\x15\x03\x03\x00\x02\x02\x50"  # fatal, internal_error

    def enter(self, cell):
        cell.fill_pool()
        cell.exchange.answer(200, "Connection: close")
        assert cell.holder.recv_response().status == 200
        cell.call()
        first = cell.up.accept()
        first.read_some()
        first.send(self.ALERT)
        first.wait_ended()
        cell.exchange = cell.up.accept()
        cell.reach("tls")


class SendingBlocked(Situation):
    SIZE = 4 << 20

    def make_upstream(self, cell):
        up = ScriptedUpstream(receive_buffer=16384)
        up.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, 1400)  # so that curfew's buffer is not large either
        return up

    def enter(self, cell):
        cell.call("POST", f"Content-Length: {self.SIZE}", send_buffer=16384)
        cell.exchange = cell.accept()
        cell.uploaded = cell.caller.fill()
        assert cell.uploaded < self.SIZE, "everything was taken"
        cell.reach("send")

    def progress(self, cell):
        cell.exchange.sock.recv(4096)

    def read_on(self, cell):
        """The upstream reads what is there and then what ends it."""
        def drink():
            while cell.exchange.sock.recv(65536):
                pass

        cell.in_background(drink)

    def complete(self, cell):
        cell.in_background(lambda: cell.caller.send(bytes(self.SIZE - cell.uploaded)))
        request = cell.exchange.recv_request()
        assert len(request.content) == self.SIZE
        super().complete(cell)


class SendingUploading(Situation):
    def enter(self, cell):
        cell.call("POST", CHUNKED)
        cell.exchange = cell.accept()
        cell.exchange.recv_head()
        cell.caller.send(b"4\r\nhalf\r\n")
        cell.exchange.must_get(b"half")
        cell.reach("send")

    def progress(self, cell):
        cell.caller.send(b"1\r\nx\r\n")

    def complete(self, cell):
        cell.caller.send(b"0\r\n\r\n")
        cell.exchange.must_get_end()
        super().complete(cell)


class WaitingWhole(Situation):
    def limit(self, keys, limit):
        keys["timeouts"] = {"first_byte": limit}

    def enter(self, cell):
        cell.call("POST", content=b"all of it")
        cell.take("/cell")
        cell.reach("wait")

    def progress(self, cell):
        cell.exchange.send(b"HTTP/1.1 102 Processing\r\n\r\n")


class WaitingStale(WaitingWhole):
    """No name server answers any more: the connection is made to the last good address."""

    needs_names = True

    def url(self, cell):
        return cell.by_name(f"{cell.name}.test", [cell.up.host])

    def enter(self, cell):
        self.is_stale(cell)
        cell.by_name(f"{cell.name}.test", None)
        poll(lambda: self.is_stale(cell), "the old answer to be used")
        super().enter(cell)

    @staticmethod
    def is_stale(cell):
        """Was the name's old answer used, for a call that had a connection made?"""
        cell.fill_pool()
        cell.exchange.answer(200, "Connection: close")
        assert cell.holder.recv_response().status == 200
        return cell.watch.fresh().sum("dns_answers_total", upstream=cell.name, result="stale") > 0


class WaitingOnce(WaitingWhole):
    """On a connection that has served before, which may have been closed behind our back."""

    def enter(self, cell):
        cell.fill_pool()
        cell.exchange.answer()
        assert cell.holder.recv_response().status == 200
        self.ask(cell)
        request = cell.exchange.recv_request()
        assert request.target == "/cell", request
        cell.reach("wait")

    def ask(self, cell):
        cell.call("POST", content=b"once")


class WaitingKept(WaitingOnce):
    """The GET may be sent again: on an end without a byte of response it gets a second connection."""

    def ask(self, cell):
        cell.call()

    def complete_anew(self, cell):
        cell.take("/cell")
        self.complete(cell)


class WaitingHead(WaitingWhole):
    rest_of_response = b"\r\nContent-Length: 2\r\n\r\nok"

    def limit(self, keys, limit):
        keys["timeouts"] = {"idle": limit}

    def enter(self, cell):
        super().enter(cell)
        cell.exchange.send(OK_HEAD + b"X-Half: ")
        cell.watch.barrier()

    def progress(self, cell):
        cell.exchange.send(b"x")


class WaitingHeld(WaitingWhole):
    """A stream's head and a comment have come, and are held back until there is an event."""

    content = b"data: x\n\n"
    rest_of_response = b"9\r\ndata: x\n\n\r\n0\r\n\r\n"

    def fit(self, keys):
        keys["streams"] = {"commit": "event", "deadline": keys["deadline"], "first_event": keys["deadline"]}

    def limit(self, keys, limit):
        keys["streams"]["first_event"] = limit

    def enter(self, cell):
        super().enter(cell)
        cell.exchange.send(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n")
        self.progress(cell)
        cell.watch.barrier()

    def progress(self, cell):
        cell.exchange.send(b"8\r\n: ping\n\n\r\n")


class WaitingHedge(WaitingWhole):
    """Two tries wait. `cell.exchange` is the second one's, `cell.other` the one that it runs beside."""

    keys = {"hedge": True, "retries": {"attempts": 2, "per_try": "200ms"}}
    permits = 2

    def fit(self, keys):
        keys["pool"] = {**keys["pool"], "size": self.permits}
        keys["routes"] = [{**route, "retries": "none"} for route in keys["routes"]]

    def enter(self, cell):
        cell.call()
        cell.take("/cell")
        cell.other = cell.exchange
        cell.take("/cell")
        cell.reach("wait")

    def complete(self, cell):
        super().complete(cell)
        cell.other.wait_ended()

    def complete_anew(self, cell):
        """One has failed, the other one answers."""
        cell.watch.wait(lambda sample: sample.sum("tries_in_flight", upstream=cell.name) == 1, "one try to be left")
        cell.exchange, cell.other = cell.other, cell.exchange
        super().complete(cell)

    def check_upstream(self, cell):
        if cell.row.upstream == "destroyed":
            cell.other.wait_ended()


class WaitingHedged(WaitingHedge):
    """Likewise; `cell.exchange` is the first one's."""

    def enter(self, cell):
        super().enter(cell)
        cell.exchange, cell.other = cell.other, cell.exchange


class StreamingLength(Situation):
    content = b"halfrest"
    half_of_response = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\nhalf"
    rest_of_response = b"rest"

    def enter(self, cell):
        cell.call()
        cell.take("/cell")
        self.begin_response(cell)

    def begin_response(self, cell):
        # One that drips must not come to its end by that.
        cell.exchange.send(self.half_of_response % (1000000 if cell.event.drips else len(self.content)))
        cell.caller_has(b"half")

    def progress(self, cell):
        cell.exchange.send(b"x")


class StreamingChunked(StreamingLength):
    half_of_response = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n"
    rest_of_response = b"4\r\nrest\r\n0\r\n\r\n"

    def begin_response(self, cell):
        cell.exchange.send(self.half_of_response)
        cell.caller_has(b"half")

    def progress(self, cell):
        cell.exchange.send(b"1\r\nx\r\n")


class StreamingHead(StreamingChunked):
    content = b"rest"
    half_of_response = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"

    def limit(self, keys, limit):
        keys["timeouts"] = {"begin": limit}

    def begin_response(self, cell):
        cell.exchange.send(self.half_of_response)
        cell.caller_has(b"\r\n\r\n")

    def progress(self, cell):
        cell.exchange.send(b"0")  # of the zeros that may stand before a chunk's size


class StreamingComments(StreamingChunked):
    content = b": ping\n\ndata: x\n\n"
    half_of_response = (b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
                        b"8\r\n: ping\n\n\r\n")
    rest_of_response = b"9\r\ndata: x\n\n\r\n0\r\n\r\n"

    def limit(self, keys, limit):
        keys["streams"] = {"first_event": limit}

    def begin_response(self, cell):
        cell.exchange.send(self.half_of_response)
        cell.caller_has(b": ping")

    def progress(self, cell):
        cell.exchange.send(b"8\r\n: ping\n\n\r\n")


class StreamingClose(StreamingChunked):
    half_of_response = b"HTTP/1.1 200 OK\r\n\r\nhalf"

    def limit(self, keys, limit):
        keys["timeouts"] = {"min_rate": {"bytes": "1MiB", "per": limit}}

    def progress(self, cell):
        cell.exchange.send(b"x")

    def complete(self, cell):
        cell.exchange.send(b"rest")
        cell.end_upstream()


class StreamingUploading(StreamingLength):
    def enter(self, cell):
        cell.call("POST", CHUNKED)
        cell.exchange = cell.accept()
        cell.exchange.recv_head()
        cell.caller.send(b"4\r\nhalf\r\n")
        cell.exchange.must_get(b"half")
        self.begin_response(cell)

    def complete(self, cell):
        cell.caller.send(b"0\r\n\r\n")
        cell.exchange.must_get_end()
        super().complete(cell)


class TunnelingOpen(Situation):
    """Its deadline is over; the tunnel's lifetime is what the event has for one."""

    keys = {"upgrade": {}}

    def fit(self, keys):
        keys["upgrade"] = {"lifetime": keys["deadline"]}

    def limit(self, keys, limit):
        keys["upgrade"]["idle"] = limit

    def enter(self, cell):
        cell.call("GET", "Connection: Upgrade", "Upgrade: websocket")
        accept = cell.accept_of(cell.take("/cell"))
        cell.exchange.send(b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n%s\r\nd" % accept)
        cell.must_be_open()
        cell.caller.send(b"u")
        assert cell.exchange.read_exactly(1) == b"u"
        cell.reach("tunnel")

    def progress(self, cell):
        cell.exchange.send(b"x")

    def garble(self, cell):
        cell.exchange.send(b"\x00garbage\r\n\r\n")

    def complete(self, cell):
        """Either side ends: the permit is free when both have."""
        cell.exchange.send(b"last words")
        cell.end_upstream()
        cell.end_tunnel()


class DeliveringUnread(Situation):
    """
    What the kernel takes for a caller who does not read is known; the response is larger by less than curfew's own
    buffer. Its last part comes in one piece (one TLS record), so that curfew takes all of it.
    """

    LAST = 16000

    def enter(self, cell):
        taken = cell.unread_is_taken()
        cell.content = bytes(taken + self.LAST // 2)
        cell.call(receive_buffer=1, segment=536)
        cell.take("/cell")
        cell.exchange.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(cell.content))
        cell.exchange.send(cell.content[self.LAST:])
        cell.watch.barrier()
        cell.exchange.send(cell.content[:self.LAST])
        others = 1 if cell.extra else 0
        cell.watch.wait(lambda sample: sample.sum("pool_held", pool=cell.name) == others
                        and sample.sum("calls_in_flight", upstream=cell.name, phase="receive") == 1,
                        "the upstream to be done with, and the caller not")

    def progress(self, cell):
        cell.caller.nibble()

    def wait_out(self, cell):
        cell.caller.wait_ended()
        cell.stop_drip()

    def complete(self, cell):
        """There is nothing more to come: he only has to read."""
        cell.read_on()


SITUATIONS = {
    "READING/head": ReadingHead(),
    "QUEUED/behind": QueuedBehind(),
    "BACKOFF/503": BackoffAfter503(),
    "CONNECTING/dns": ConnectingDns(),
    "CONNECTING/connect": ConnectingConnect(),
    "CONNECTING/raced": ConnectingRaced(),
    "CONNECTING/tls": ConnectingTls(),
    "CONNECTING/anew": ConnectingAnew(),
    "SENDING/blocked": SendingBlocked(),
    "SENDING/uploading": SendingUploading(),
    "WAITING/whole": WaitingWhole(),
    "WAITING/stale": WaitingStale(),
    "WAITING/kept": WaitingKept(),
    "WAITING/once": WaitingOnce(),
    "WAITING/head": WaitingHead(),
    "WAITING/held": WaitingHeld(),
    "WAITING/hedge": WaitingHedge(),
    "WAITING/hedged": WaitingHedged(),
    "STREAMING/head": StreamingHead(),
    "STREAMING/length": StreamingLength(),
    "STREAMING/chunked": StreamingChunked(),
    "STREAMING/comments": StreamingComments(),
    "STREAMING/close": StreamingClose(),
    "STREAMING/uploading": StreamingUploading(),
    "TUNNELING/open": TunnelingOpen(),
    "DELIVERING/unread": DeliveringUnread(),
}
