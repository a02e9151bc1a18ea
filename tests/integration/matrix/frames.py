"""
Peers of the matrix over HTTP/2. A script says in HTTP/1.1 what its peer sends, halves of messages and nonsense among it;
here it goes out as frames that mean the same (RFC 9113 8), so that one script serves all pairs of protocols.
"""

import contextlib
import re

from harness import h2
from harness.h2_caller import CONTINUATION, DATA, END_HEADERS, END_STREAM, GOAWAY, HEADERS, H2Caller, frame
from harness.peers import Exchange
from harness.wire import Cut, Fields, Peer

_START = re.compile(r"(?:HTTP/1\.1 (?P<status>\d{3}) .*|(?P<method>[A-Z]+) (?P<path>[!-~]+) HTTP/1\.1)\r\n")
_OF_A_HOP = ("host", "connection", "transfer-encoding")
_HALF = 4000  # bytes of a field's value that a half of a head leaves open
GRPC = "application/grpc"


class InFrames:
    """
    `peer` has send_raw(bytes), send_content(stream, bytes, last), new_stream() and encoder. `extra` are fields of each
    head, `trailers` those behind the content of a 200, if any.
    """

    def __init__(self, peer, extra=(), trailers=()):
        self.peer = peer
        self.extra, self.trailers = list(extra), list(trailers)
        self.stream = None   # of the next message, or the one that goes on; None: it takes a new one
        self._pending = b""  # of a head
        self._open = 0       # bytes of a frame that are yet to come
        self._framing = self._left = self._is_success = None

    @property
    def is_in_a_frame(self):
        return self._open > 0

    def begin_anew(self):
        """What was said last is over, wherever it was."""
        self._framing = self.stream = None
        self._pending = b""

    def go_on(self, stream):
        """With content of a stream that is open."""
        self.stream, self._framing = stream, "close"

    def send(self, data):
        while data:
            data = self._content(data) if self._framing else self._head(data)

    # ---------------------------------------------------------------- a message's head

    def _head(self, data):
        """Returns what is behind it."""
        text = (self._pending + data).decode("latin-1")
        start = _START.match(text)
        if not start or b"\0" in data:
            self.nonsense(data)
            return b""
        head, mark, rest = text.partition("\r\n\r\n")
        if not mark:
            self._half(text, data)
            return b""
        self._begin(start, head)
        return rest.encode("latin-1")

    def _half(self, text, data):
        """A HEADERS frame that does not come to its end; what follows is of a field's value."""
        if self._open:
            self._open -= len(data)
            assert self._open > 0
            self.peer.send_raw(b"x" * len(data))
            return
        self._pending = text.encode("latin-1")
        lines = text.split("\r\n")
        block = self.peer.encoder.encode(self._pseudo(_START.match(text)) + self._fields(lines[1:-1]))
        name = lines[-1].split(":")[0].lower().encode()
        literal = b"\x00" + bytes([len(name)]) + name + b"\x7f" + _integer(_HALF - 127)
        self.stream = self.stream or self.peer.new_stream()
        is_request = not text.startswith("HTTP/")
        whole = frame(HEADERS, END_STREAM if is_request else 0, self.stream, block + literal + bytes(_HALF))
        self.peer.send_raw(whole[:-_HALF])
        self._open = _HALF

    def _finish_half(self):
        """True: there was one."""
        self.peer.send_raw(b"x" * self._open)
        was_open, self._open = self._open > 0, 0
        return was_open

    def _begin(self, start, head):
        lines = head.split("\r\n")[1:]
        names = dict(line.lower().split(": ", 1) for line in lines if ": " in line)
        status = start["status"]
        self._is_success = status == "200"
        if status and status.startswith("1"):
            framing, left = None, 0
        elif "transfer-encoding" in names or status and "content-length" not in names:
            framing, left = "chunked" if "transfer-encoding" in names else "close", None
        else:
            left = int(names.get("content-length", 0))
            framing = "length" if left else None
        is_last = not framing and not (status and status.startswith("1"))
        if self._finish_half():
            block = self.peer.encoder.encode([field for field in self._fields(lines) if field[0] == "content-length"])
            self._put(CONTINUATION, END_HEADERS, block)
        else:
            self.stream = self.stream or self.peer.new_stream()
            block = self.peer.encoder.encode(self._pseudo(start) + self._fields(lines))
            self._put(HEADERS, END_HEADERS | (END_STREAM if is_last and not self._has_trailers else 0), block)
        self._pending, self._framing, self._left = b"", framing, left
        if is_last:
            self._end()

    @property
    def _has_trailers(self):
        return bool(self._is_success and self.trailers)

    def _pseudo(self, start):
        if start["status"]:
            return [(":status", start["status"])]
        return [(":method", start["method"]), (":scheme", "http"), (":path", start["path"]), (":authority", "curfew")]

    def _fields(self, lines):
        named = [tuple(line.split(": ", 1)) for line in lines if ": " in line]
        return [(name.lower(), value) for name, value in named if name.lower() not in _OF_A_HOP] + self.extra

    # ------------------------------------------------------------------- its content

    def _content(self, data):
        if self._framing == "close":
            self.peer.send_content(self.stream, data, False)
            return b""
        if self._framing == "length":
            part = data[:self._left]
            self._left -= len(part)
            self._data(part, not self._left)
            return data[len(part):]
        size, mark, rest = data.partition(b"\r\n")
        if not re.fullmatch(b"[0-9a-f]+", size) or not mark:
            self.nonsense(data)
            return b""
        size = int(size, 16)
        self._data(rest[:size], not size)
        return rest[size + 2:]

    def _data(self, content, last):
        is_end = last and not self._has_trailers
        if content or is_end:
            self.peer.send_content(self.stream, content, is_end)
        if last:
            self._end()

    def _end(self):
        """Of the message: trailers, if it has some. Whatever is said next has no place."""
        if self._has_trailers:
            self._put(HEADERS, END_HEADERS | END_STREAM, self.peer.encoder.encode(self.trailers))
        self._framing = self.stream = None

    def _put(self, kind, flags, payload):
        self.peer.send_raw(frame(kind, flags, self.stream, payload))

    def nonsense(self, data):
        """Content of no stream breaks the connection (RFC 9113 6.1)."""
        self._finish_half()
        self.peer.send_raw(frame(DATA, 0, 0, data))


def _integer(value):
    """What is left of one beyond a full prefix (RFC 7541 5.1)."""
    out = bytearray()
    while value >= 128:
        out.append(value % 128 + 128)
        value //= 128
    return bytes(out) + bytes([value])


class _Request:
    def __init__(self, request):
        self.target, self.content, self.raw = request[":path"], request.content, request

    def __repr__(self):
        return f"<{self.raw[':method']} {self.target}>"


class _Peer(h2.H2Peer):
    """What is said in one breath goes in one write, as libraries do."""

    held = None

    def hold(self):
        self.held = b""

    def let_go(self):
        held, self.held = self.held, None
        if held:
            self.send(held)

    def send(self, data):
        if self.held is not None:
            self.held += data
        else:
            super().send(data)

    def read_frame(self):
        self.let_go()
        return super().read_frame()


class ExchangeInFrames(Exchange):
    """An API's end of a connection, one call at a time."""

    def __init__(self, sock, is_grpc):
        super().__init__(sock)
        self.h2 = _Peer(sock)
        self.encoder = self.h2.encoder
        self.request = None
        extra, trailers = ([("content-type", GRPC)], [("grpc-status", "0")]) if is_grpc else ((), ())
        self._told = InFrames(self, extra, trailers)
        self._next = 1

    def send_raw(self, data):
        self.h2.send(data)

    def send_content(self, stream, content, last):
        if stream == self.request.stream:
            self.h2.data(self.request, content, last, at_once=len(content) < 10000)
        else:
            self.send_raw(frame(DATA, END_STREAM if last else 0, stream, content))

    def new_stream(self):
        """That nobody has asked anything on."""
        self._next += 2
        return self._next

    def send(self, data):
        self.h2.hold()
        self._told.send(data)
        self.h2.let_go()

    def recv_head(self):
        self.request = self.h2.take(whole=False)
        self._told.stream = self._next = self.request.stream
        return _Request(self.request)

    def recv_request(self):
        self.recv_head()
        self.h2.until(lambda peer: self.request.ended)
        return _Request(self.request)

    def must_get(self, content):
        self.h2.until(lambda peer: self.request.content.endswith(content))

    def must_get_end(self):
        self.h2.until(lambda peer: self.request.ended)

    def reset_stream(self, code):
        self.h2.reset(self.request, code)

    def go_away(self, last):
        self.h2.go_away(last)


class _Response:
    """An answer, with the words of harness.wire.Response."""

    def __init__(self, answer):
        self.status, self.content, self.answer = answer.status, answer.content, answer
        self.fields = Fields((name, value) for name, value in answer.fields if name != ":status")

    def __getitem__(self, name):
        return self.fields.get(name)

    def __repr__(self):
        return f"<{self.status} {self.fields} trailers {self.answer.trailers} reset {self.answer.reset}>"


class CallerInFrames(H2Caller):
    """One call at a time, each on a stream of its own. One with a small buffer does not read: it gives no window."""

    def __init__(self, address, *, is_grpc=False, tls=None, receive_buffer=None, send_buffer=None, segment=None):
        del segment, send_buffer
        self._told = None
        self._waiting = b""
        self.has_gone = False
        self.is_grpc = is_grpc
        super().__init__(address, tls=tls, reads=receive_buffer is None)
        self._told = InFrames(self, [("content-type", GRPC), ("te", "trailers")] if is_grpc else ())
        self.stream = None

    def send_raw(self, data):
        Peer.send(self, data)

    def send(self, data):
        """What the script says; frames that H2Caller sends of itself wait for the end of one that has begun."""
        if self._told:
            self._told.send(data)
            if self._waiting and not self._told.is_in_a_frame:
                self._waiting, waiting = b"", self._waiting
                self.send_raw(waiting)
        else:
            self.send_raw(data)

    def put(self, kind, flags=0, stream=0, payload=b""):
        if self._told and self._told.is_in_a_frame:
            self._waiting += frame(kind, flags, stream, payload)
            return
        with contextlib.suppress(OSError):  # curfew may have ended, and what it said before is still to be read
            self.send_raw(frame(kind, flags, stream, payload))

    def send_content(self, stream, content, last):
        self.data(stream, content, last)

    def new_stream(self):
        self.stream, self.next = self.next, self.next + 2
        return self.stream

    def request(self, method="GET", target="/", *lines, content=None, host="curfew"):
        self._told.begin_anew()
        if self.stream:
            self.read_on()
        if any(line.startswith("Upgrade: ") for line in lines):
            self._connect(target)
        else:
            super().request("POST" if self.is_grpc else method, target, *lines, content=content, host=host)

    def _connect(self, target):
        """A WebSocket (RFC 8441)."""
        fields = [(":method", "CONNECT"), (":protocol", "websocket"), (":scheme", "http"), (":path", target), (":authority", "curfew"),
                  ("sec-websocket-version", "13")]
        self.put(HEADERS, END_HEADERS, self.new_stream(), self.encoder.encode(fields))
        self._told.go_on(self.stream)

    @property
    def answer(self):
        return self.answer_to(self.stream)

    def recv_response(self, method="GET"):
        del method
        answer = self.recv(self.stream)
        if not answer.ended:
            raise Cut("reset", _Response(answer) if answer.status else None, answer.content)
        return _Response(answer)

    def give_window(self, size):
        for stream in (0, self.stream):
            self.put(8, 0, stream, size.to_bytes(4, "big"))

    def nibble(self, count=1):
        self.give_window(count)

    def read_on(self):
        """From now on it reads."""
        if not self.reads:
            self.reads = True
            self.give_window(1 << 20)

    def break_framing(self):
        self._told.nonsense(b"x")

    def go_away(self):
        self.has_gone = True
        self.put(GOAWAY, 0, 0, bytes(8))

    def end_stream(self):
        self.put(DATA, END_STREAM, self.stream)

    def cancel(self):
        self.reset_stream(self.stream)

    def must_end(self):
        """In order: GOAWAY, unless the caller has said it, and the connection's end."""
        self.must_go_away(0, self.has_gone)

    def must_go_away(self, code, may_be_silent=False):
        """GOAWAY with this code, and the connection's end."""
        with contextlib.suppress(Cut, ConnectionError):
            while True:
                self.step()
        assert may_be_silent and not self.goaways or self.goaways[-1][1] == code, f"no GOAWAY({code}): {self.goaways}"
