"""HTTP/2 frame by frame (RFC 9113): an API that does what the test says, also what no library would send."""

import socket
import struct
import threading

import hpack

from .bounds import SOON, poll
from .ports import bind_for_good
from .wire import Cut

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, RST_STREAM, SETTINGS, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = 0, 1, 3, 4, 6, 7, 8, 9
END_STREAM = ACK = 1
END_HEADERS = 4
PADDED = 8
NO_ERROR, PROTOCOL_ERROR, INTERNAL_ERROR, REFUSED_STREAM, CANCEL, ENHANCE_YOUR_CALM = 0, 1, 2, 7, 8, 11
MAX_CONCURRENT_STREAMS, INITIAL_WINDOW_SIZE = 3, 4


def frame(kind, stream=0, flags=0, payload=b""):
    return len(payload).to_bytes(3, "big") + struct.pack(">BBI", kind, flags, stream) + payload


def settings(**values):
    names = {"streams": MAX_CONCURRENT_STREAMS, "window": INITIAL_WINDOW_SIZE}
    return frame(SETTINGS, payload=b"".join(struct.pack(">HI", names[name], value) for name, value in values.items()))


class Request:
    """What has come of one stream."""

    def __init__(self, stream):
        self.stream = stream
        self.fields, self.trailers = [], None
        self.content = b""
        self.ended = False

    def __getitem__(self, name):
        values = [value for key, value in self.fields if key == name]
        assert len(values) <= 1, f"more than one {name}: {values}"
        return values[0] if values else None

    @property
    def names(self):
        return [name for name, _ in self.fields]


class H2Peer:
    """An API's end of a connection. Reads frames when it is asked for something; answers SETTINGS and PING by itself."""

    def __init__(self, sock, greeting=settings(), gives_window=True):
        self.sock = sock
        self.sock.settimeout(SOON)
        self.decoder, self.encoder = hpack.Decoder(), hpack.Encoder()
        self.requests, self.order, self.resets, self.pongs, self.pings, self.goaway = {}, [], {}, 0, 0, None
        self.gives_window = gives_window
        self._buffer = b""
        self._preface = False
        self._taken = 0
        self._window, self._given, self._sent = 65535, {}, {}
        self.block = b""
        if greeting:
            self.send(greeting)

    def send(self, data):
        self.sock.sendall(data)

    def _receive(self):
        data = self.sock.recv(65536)
        if not data:
            raise Cut("closed")
        self._buffer += data

    def _need(self, count):
        while len(self._buffer) < count:
            self._receive()

    def read_frame(self):
        """(kind, flags, stream, payload), noted."""
        if not self._preface:
            self._need(len(PREFACE))
            assert self._buffer.startswith(PREFACE), self._buffer[:24]
            self._buffer, self._preface = self._buffer[len(PREFACE):], True
        self._need(9)
        size = int.from_bytes(self._buffer[:3], "big")
        kind, flags, stream = struct.unpack(">BBI", self._buffer[3:9])
        self._need(9 + size)
        payload, self._buffer = self._buffer[9:9 + size], self._buffer[9 + size:]
        self._note(kind, flags, stream, payload)
        return kind, flags, stream, payload

    def _note(self, kind, flags, stream, payload):
        if kind in (HEADERS, CONTINUATION):
            self.block += payload
            if flags & END_HEADERS:
                fields = [(str(n), str(v)) for n, v in self.decoder.decode(self.block, raw=False)]
                self.block = b""
                request = self.requests.get(stream)
                if request:
                    request.trailers = fields
                else:
                    request = self.requests[stream] = Request(stream)
                    request.fields = fields
                    self.order.append(request)
        if kind == DATA:
            self.requests[stream].content += payload
            if payload and self.gives_window:
                self.window(stream, len(payload))
        if kind in (DATA, HEADERS) and flags & END_STREAM:
            self.requests[stream].ended = True
        if kind == SETTINGS and not flags & ACK:
            for name, value in struct.iter_unpack(">HI", payload):
                if name == INITIAL_WINDOW_SIZE:
                    self._window = value
            self.send(frame(SETTINGS, flags=ACK))
        if kind == WINDOW_UPDATE:
            self._given[stream] = self._given.get(stream, 0) + int.from_bytes(payload, "big")
        if kind == PING:
            if flags & ACK:
                self.pongs += 1
            else:
                self.pings += 1
                self.send(frame(PING, flags=ACK, payload=payload))
        if kind == RST_STREAM:
            self.resets[stream] = int.from_bytes(payload, "big")
        if kind == GOAWAY:
            self.goaway = struct.unpack(">II", payload[:8])

    def window(self, stream, size):
        for one in (0, stream):
            self.send(frame(WINDOW_UPDATE, one, payload=struct.pack(">I", size)))

    def until(self, condition):
        """Reads frames until it is true of this peer."""
        while not condition(self):
            self.read_frame()

    def take(self, whole=True):
        """The next request: whole, or as soon as its head is there."""
        self.until(lambda peer: len(peer.order) > self._taken)
        request = self.order[self._taken]
        self._taken += 1
        if whole:
            self.until(lambda peer: request.ended)
        return request

    def headers(self, request, fields, end=False, split=None):
        # The Huffman coding of hpack takes the square of a value's length: 2 s for 120,000 bytes.
        block = self.encoder.encode(fields, huffman=all(len(value) < 20_000 for _, value in fields))
        size = split or 16384
        parts = [block[at:at + size] for at in range(0, len(block), size)] or [b""]
        for n, part in enumerate(parts):
            flags = (END_STREAM if end and n == 0 else 0) | (END_HEADERS if part is parts[-1] else 0)
            self.send(frame(CONTINUATION if n else HEADERS, request.stream, flags, part))

    def head(self, request, status=200, *fields, end=False, **more):
        self.headers(request, [(":status", str(status)), *fields], end, **more)

    def _credit(self, stream):
        """What the stream's window and the connection's have room for."""
        return min(self._window + self._given.get(stream, 0) - self._sent.get(stream, 0),
                   65535 + self._given.get(0, 0) - sum(self._sent.values()))

    def data(self, request, content=b"", end=False, at_once=True):
        """`at_once`: whatever the stream's window says; else as it has room, and frames are read until it has."""
        while True:
            part, content = content[:16384], content[16384:]
            if not at_once:
                self.until(lambda peer, size=len(part): peer._credit(request.stream) >= size)
            self._sent[request.stream] = self._sent.get(request.stream, 0) + len(part)
            self.send(frame(DATA, request.stream, END_STREAM if end and not content else 0, part))
            if not content:
                return

    def answer(self, request, status=200, *fields, content=b""):
        self.head(request, status, *fields, end=not content)
        if content:
            self.data(request, content, end=True, at_once=False)

    def reset(self, request, code):
        self.send(frame(RST_STREAM, request.stream, payload=struct.pack(">I", code)))

    def go_away(self, last, code=NO_ERROR, text=b""):
        self.send(frame(GOAWAY, payload=struct.pack(">II", last, code) + text))

    def ping(self):
        self.send(frame(PING, payload=b"12345678"))
        pongs = self.pongs
        self.until(lambda peer: peer.pongs > pongs)

    def close(self):
        self.sock.close()


class H2Api:
    """Listens. Without a script the test takes connections by accept(); with one, each has a thread that runs it."""

    def __init__(self, script=None, *, tls=None, greeting=settings(), gives_window=True):
        self.tls, self.script, self.greeting, self.gives_window = tls, script, greeting, gives_window
        if tls:
            tls.set_alpn_protocols(["h2"])
        self.connections, self.refuses = 0, False
        self.peers, self.errors = [], []
        self.sock = socket.socket()
        bind_for_good(self.sock, "127.0.0.1")
        self.port = self.sock.getsockname()[1]
        self.sock.listen(512)
        self.url = f"{'https' if tls else 'http'}://127.0.0.1:{self.port}"
        if script:
            threading.Thread(target=self._serve, daemon=True).start()

    def accept(self, seconds=SOON):
        self.sock.settimeout(seconds)
        sock, address = self.sock.accept()
        self.connections += 1
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if self.tls:
            sock = self.tls.wrap_socket(sock, server_side=True)
        peer = H2Peer(sock, self.greeting, self.gives_window)
        peer.address = address
        self.peers.append(peer)
        return peer

    def refuse(self):
        """From now on connections are refused."""
        self.refuses = True
        self.sock.shutdown(socket.SHUT_RDWR)

    def _serve(self):
        while True:
            try:
                peer = self.accept(None)
            except OSError:
                if self.sock.fileno() < 0 or self.refuses:
                    return
                continue  # curfew has given up already
            threading.Thread(target=self._run, args=(peer,), daemon=True).start()

    def _run(self, peer):
        try:
            while self.script(peer) is not False:
                pass
            peer.close()
        except (Cut, OSError):
            peer.close()
        except BaseException as error:  # noqa: the test that made it fails
            self.errors.append(error)
            peer.close()

    @property
    def seen(self):
        """Requests, on all connections."""
        return [request for peer in self.peers for request in peer.order]

    def wait_seen(self, count):
        poll(lambda: len(self.seen) >= count, lambda: f"{len(self.seen)} requests seen, not {count}")

    def wait_read(self):
        """Until scripts have read all that came on connections, which curfew has ended: one that is made now is accepted after them."""
        with socket.create_connection(("127.0.0.1", self.port)) as last:
            poll(lambda: last.getsockname() in [peer.address for peer in self.peers], "all connections to be accepted")
        poll(lambda: all(peer.sock.fileno() < 0 for peer in self.peers), "all connections to be read to their end")

    def close(self):
        self.sock.close()
        for peer in self.peers:
            peer.close()
        assert not self.errors, self.errors
