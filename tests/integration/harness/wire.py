"""HTTP/1.x over a raw socket, read strictly: what these readers accept, every client accepts."""

import contextlib
import re
import select
import socket
import ssl
import struct

from .bounds import SOON, readable, writable

_TOKEN = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
_STATUS_LINE = re.compile(rb"HTTP/1\.([01]) ([1-9][0-9][0-9]) ([\t \x21-\x7e\x80-\xff]*)\Z")
_REQUEST_LINE = re.compile(rb"(" + _TOKEN + rb") ([\x21-\x7e\x80-\xff]+) HTTP/1\.([01])\Z")
_FIELD_LINE = re.compile(rb"(" + _TOKEN + rb"):[ \t]*([^\x00-\x08\x0a-\x1f\x7f]*?)[ \t]*\Z")
_CHUNK_LINE = re.compile(rb"([0-9A-Fa-f]{1,16})((?:[ \t]*;[^\x00-\x08\x0a-\x1f\x7f]*)?)\Z")


class Malformed(AssertionError):
    """The peer sent what is not HTTP."""


class Cut(Exception):
    """The connection ended before the message was whole. `how` is "closed" or "reset"."""

    def __init__(self, how, head=None, content=b""):
        super().__init__(f"{how} after {head!r} and {len(content)} bytes of content")
        self.how = how
        self.head = head
        self.content = content


class Fields(list):
    """Field lines in order, as (name, value) in latin-1."""

    def all(self, name):
        return [value for key, value in self if key.lower() == name.lower()]

    def get(self, name, default=None):
        values = self.all(name)
        assert len(values) <= 1, f"more than one {name}: {values}"
        return values[0] if values else default

    def __contains__(self, name):
        return any(key.lower() == name.lower() for key, _ in self)

    def names(self):
        return [key.lower() for key, _ in self]


class Message:
    """A request or a response. `raw_head` is the head as it came."""

    def __init__(self, raw_head, fields, minor):
        self.raw_head = raw_head
        self.fields = fields
        self.minor = minor
        self.content = b""
        self.trailers = Fields()
        self.framing = "none"

    def __getitem__(self, name):
        return self.fields.get(name)

    def __repr__(self):
        return f"<{self.raw_head.splitlines()[0].decode('latin-1')}>"


class Request(Message):
    method = target = None


class Response(Message):
    status = reason = None
    interim = ()  # the 1xx responses that came before it


def _parse_fields(lines):
    fields = Fields()
    for line in lines:
        match = _FIELD_LINE.match(line)
        if not match:
            raise Malformed(f"field line {line!r}")
        fields.append((match[1].decode("latin-1"), match[2].decode("latin-1")))
    return fields


def _lines(raw):
    text = raw[:-4]
    if b"\n" in text.replace(b"\r\n", b"") or b"\r" in text.replace(b"\r\n", b""):
        raise Malformed(f"bare CR or LF in {raw!r}")
    return text.split(b"\r\n")


def _framing(fields):
    """("none", None), ("length", n) or ("chunked", None); anything that could be read in two ways is Malformed."""
    lengths, codings = fields.all("content-length"), fields.all("transfer-encoding")
    if lengths and codings:
        raise Malformed("both Content-Length and Transfer-Encoding")
    if len(lengths) > 1 or len(codings) > 1:
        raise Malformed(f"framing said more than once: {lengths} {codings}")
    if codings:
        if codings[0] != "chunked":
            raise Malformed(f"transfer coding {codings[0]!r}")
        return "chunked", None
    if lengths:
        if not re.fullmatch("[0-9]{1,19}", lengths[0]):
            raise Malformed(f"Content-Length {lengths[0]!r}")
        return "length", int(lengths[0])
    return "none", None


def parse_request(raw):
    lines = _lines(raw)
    match = _REQUEST_LINE.match(lines[0])
    if not match:
        raise Malformed(f"request line {lines[0]!r}")
    request = Request(raw, _parse_fields(lines[1:]), int(match[3]))
    request.method, request.target = match[1].decode(), match[2].decode("latin-1")
    return request


def parse_response(raw):
    lines = _lines(raw)
    match = _STATUS_LINE.match(lines[0])
    if not match:
        raise Malformed(f"status line {lines[0]!r}")
    response = Response(raw, _parse_fields(lines[1:]), int(match[1]))
    response.status, response.reason = int(match[2]), match[3].decode("latin-1")
    return response


class Peer:
    """One end of a connection. Every operation is bounded by `timeout`; a peer that closes is noticed at once."""

    def __init__(self, sock, timeout=SOON):
        self.sock = sock
        self.timeout = timeout
        self.sock.settimeout(timeout)
        self._buffer = bytearray()

    # ---------------------------------------------------------------- sending

    def send(self, data):
        self.sock.sendall(data)

    def send_some(self, data):
        """Sends what the socket takes without waiting; returns how much that was."""
        self.sock.settimeout(0)
        try:
            return self.sock.send(data)
        except (BlockingIOError, ssl.SSLWantWriteError):
            return 0
        finally:
            self.sock.settimeout(self.timeout)

    def fill(self, data=bytes(65536)):
        """Sends until nothing has been taken for a while: every buffer on the way is full. Returns the bytes sent."""
        total = 0
        while writable(self.sock, 0.15):
            total += self.send_some(data)
        return total

    # ---------------------------------------------------------------- reading

    def _receive(self):
        """More bytes into the buffer; "" if some came, else how the connection ended."""
        try:
            data = self.sock.recv(262144)
        except (ConnectionResetError, BrokenPipeError):
            return "reset"
        except (ssl.SSLEOFError, ssl.SSLZeroReturnError):
            return "closed"
        except TimeoutError:
            raise AssertionError(f"nothing came within {self.timeout:g} s, have {bytes(self._buffer[:200])!r}") from None
        if not data:
            return "closed"
        self._buffer += data
        return ""

    def _take(self, count):
        data = bytes(self._buffer[:count])
        del self._buffer[:count]
        return data

    def read_until(self, mark):
        """Bytes up to and including `mark`. Cut if the connection ends first."""
        start = 0
        while (at := self._buffer.find(mark, start)) < 0:
            start = max(0, len(self._buffer) - len(mark))
            if how := self._receive():
                raise Cut(how, content=bytes(self._buffer))
        return self._take(at + len(mark))

    def read_exactly(self, count):
        while len(self._buffer) < count:
            if how := self._receive():
                raise Cut(how, content=bytes(self._buffer))
        return self._take(count)

    def nibble(self, count=1):
        """At most `count` bytes come in, to be read later."""
        self._buffer += self.sock.recv(count)

    def read_some(self):
        """At least one byte, as it comes."""
        if not self._buffer and (how := self._receive()):
            raise Cut(how)
        return self._take(len(self._buffer))

    def read_all(self):
        """All bytes until the peer ends its side. Cut if it resets instead."""
        while not (how := self._receive()):
            pass
        data = self._take(len(self._buffer))
        if how == "reset":
            raise Cut(how, content=data)
        return data

    def read_chunked(self, into):
        """Chunked content into `into` (a bytearray); returns the trailers. Bad framing is Malformed."""
        while True:
            line = self.read_until(b"\r\n")[:-2]
            match = _CHUNK_LINE.match(line)
            if not match:
                raise Malformed(f"chunk size line {line!r}")
            size = int(match[1], 16)
            if size == 0:
                break
            into += self.read_exactly(size)
            if self.read_exactly(2) != b"\r\n":
                raise Malformed("no CRLF after a chunk")
        lines = []
        while line := self.read_until(b"\r\n")[:-2]:
            lines.append(line)
        return _parse_fields(lines)

    def _read_content(self, message, framing, length):
        content = bytearray()
        message.framing = framing
        try:
            if framing == "length":
                self._into(content, length)
            elif framing == "chunked":
                message.trailers = self.read_chunked(content)
            elif framing == "close":
                content += self.read_all()
        except Cut as cut:
            raise Cut(cut.how, message, bytes(content) + cut.content) from None
        message.content = bytes(content)

    def _into(self, content, count):
        content += self.read_exactly(count)

    def recv_head(self):
        """A request's head; its content stays unread."""
        return parse_request(self.read_until(b"\r\n\r\n"))

    def recv_request(self):
        """A whole request. Its framing has to be unambiguous."""
        request = self.recv_head()
        self.recv_content_of(request)
        return request

    def recv_content_of(self, request):
        self._read_content(request, *_framing(request.fields))

    def recv_response_head(self):
        return parse_response(self.read_until(b"\r\n\r\n"))

    def recv_response(self, method="GET"):
        """A whole final response to `method`, the 1xx before it included; Cut if the connection ends early."""
        interim = []
        while (response := self.recv_response_head()).status < 200:
            assert response.status != 101, "switching protocols was not asked for"
            interim.append(response)
        response.interim = interim
        self.recv_content(response, method)
        return response

    def recv_content(self, response, method="GET"):
        framing, length = _framing(response.fields)
        if method == "HEAD" or response.status in (204, 304):
            return
        self._read_content(response, "close" if framing == "none" else framing, length)

    # ------------------------------------------------------------------ ending

    def half_close(self):
        """Ends this side; the other one stays open. If the peer has reset all of it, the next read says so."""
        with contextlib.suppress(OSError):
            self.sock.shutdown(socket.SHUT_WR)

    def close(self):
        self.sock.close()

    def reset(self):
        """Closes with a RST."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()

    def has_bytes(self):
        """Has something come?"""
        return bool(self._buffer or readable(self.sock))

    def ended(self):
        """How the peer's side has ended so far: "closed", "reset", or "". Reads nothing, so unread bytes do not hide it."""
        poller = select.poll()
        poller.register(self.sock, select.POLLRDHUP)
        events = dict(poller.poll(0)).get(self.sock.fileno(), 0)
        if events & select.POLLERR:
            return "reset"
        return "closed" if events & (select.POLLRDHUP | select.POLLHUP) else ""

    def wait_ended(self, seconds=SOON):
        """Waits until the peer has closed or reset the connection; says which."""
        poller = select.poll()
        poller.register(self.sock, select.POLLRDHUP)
        if not poller.poll(seconds * 1000):
            raise AssertionError(f"the peer did not close within {seconds:g} s")
        return self.ended()

    def must_be_open(self):
        assert not self.ended(), f"the peer has {self.ended()} the connection"

    def must_be_silent(self, seconds=0.05):
        """Nothing is here, and nothing comes for a while."""
        assert not self._buffer, f"unread: {bytes(self._buffer)!r}"
        if readable(self.sock, seconds):
            how = self._receive()
            assert how, f"came unasked: {bytes(self._buffer)!r}"

    def must_end(self):
        """The peer closes its side (or resets) and sends nothing more. Returns how."""
        how = self._receive() if not self._buffer else ""
        assert how, f"came unasked: {bytes(self._buffer[:300])!r}"
        return how
