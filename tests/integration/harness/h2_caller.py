"""A caller that speaks HTTP/2 frame by frame (RFC 9113), also what no library would send."""

import hpack

from .peers import ScriptedCaller
from .wire import Cut

DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = range(10)
END_STREAM, ACK, END_HEADERS, PADDED = 0x1, 0x1, 0x4, 0x8
NO_ERROR, PROTOCOL_ERROR, INTERNAL_ERROR, FLOW_CONTROL_ERROR, REFUSED_STREAM, CANCEL, ENHANCE_YOUR_CALM = 0, 1, 2, 3, 7, 8, 11
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"


def frame(kind, flags=0, stream=0, payload=b""):
    return len(payload).to_bytes(3, "big") + bytes((kind, flags)) + stream.to_bytes(4, "big") + payload


class Answer:
    """What has come on a stream."""

    def __init__(self):
        self.interims, self.status, self.fields, self.content, self.trailers = [], None, [], b"", None
        self.ended, self.reset = False, None

    def take_fields(self, fields):
        status = dict(fields).get(":status")
        if status is None:
            self.trailers = fields
        elif status.startswith("1"):
            self.interims.append((int(status), fields))
        else:
            self.status, self.fields = int(status), fields

    def __getitem__(self, name):
        values = [value for key, value in self.fields if key == name]
        assert len(values) <= 1, (name, values)
        return values[0] if values else None


class H2Caller(ScriptedCaller):
    """Windows are given back at once, unless `reads` is False."""

    def __init__(self, address, *, settings=(), reads=True, tls=None, **more):
        super().__init__(address, **more)
        if tls:
            self.sock = tls.wrap_socket(self.sock, server_hostname="localhost", suppress_ragged_eofs=False)
        self.encoder, self.decoder = hpack.Encoder(), hpack.Decoder()
        self.answers, self.goaways, self.settings, self.pongs = {}, [], {}, 0
        self.reads, self.block, self.next = reads, b"", 1
        self.window, self.windows = 65535, {}  # a stream's: what was given beside the one that SETTINGS say
        self.send(PREFACE + frame(SETTINGS, payload=b"".join(key.to_bytes(2, "big") + value.to_bytes(4, "big") for key, value in settings)))

    def put(self, kind, flags=0, stream=0, payload=b""):
        self.send(frame(kind, flags, stream, payload))

    def fields_of(self, method, path, *fields, authority="curfew"):
        pseudo = [(":method", method), (":scheme", "http"), (":path", path)]
        return pseudo + ([(":authority", authority)] if authority else []) + list(fields)

    def begin(self, method="GET", path="/", *fields, end=True, **more):
        """HEADERS of a request; returns the stream's number."""
        stream, self.next = self.next, self.next + 2
        block = self.encoder.encode(self.fields_of(method, path, *fields, **more))
        self.put(HEADERS, END_HEADERS | (END_STREAM if end else 0), stream, block)
        return stream

    def window_of(self, stream):
        """How much may be sent of it now."""
        return min(self.window, self.windows.get(stream, 0) + self.settings.get(4, 65535))

    def data(self, stream, content, end=True):
        """As the windows allow; gives up if the stream is reset."""
        while content:
            part = content[:min(16384, self.window_of(stream))]
            if part:
                self.put(DATA, 0, stream, part)
                self.window -= len(part)
                self.windows[stream] = self.windows.get(stream, 0) - len(part)
                content = content[len(part):]
            elif self.answer_to(stream).reset is None:
                self.step()
            else:
                return
        if end:
            self.put(DATA, END_STREAM, stream)

    def reset_stream(self, stream, code=CANCEL):
        self.put(RST_STREAM, 0, stream, code.to_bytes(4, "big"))

    def answer_to(self, stream):
        return self.answers.setdefault(stream, Answer())

    def _take_block(self, flags, stream, payload):
        self.block += payload
        if flags & END_HEADERS:
            self.answer_to(stream).take_fields([(str(k), str(v)) for k, v in self.decoder.decode(self.block)])
            self.block = b""

    def step(self):
        """Takes one frame. Returns its kind; Cut: the connection has ended."""
        head = self.read_exactly(9)
        length, kind, flags, stream = int.from_bytes(head[:3], "big"), head[3], head[4], int.from_bytes(head[5:], "big")
        payload = self.read_exactly(length) if length else b""
        if kind in (HEADERS, CONTINUATION):
            self._take_block(flags, stream, payload)
        elif kind == DATA:
            self.answer_to(stream).content += payload
            if self.reads and payload:
                self.put(WINDOW_UPDATE, 0, 0, length.to_bytes(4, "big"))
                if not flags & END_STREAM:
                    self.put(WINDOW_UPDATE, 0, stream, length.to_bytes(4, "big"))
        elif kind == RST_STREAM:
            self.answer_to(stream).reset = int.from_bytes(payload, "big")
        elif kind == SETTINGS and not flags & ACK:
            self.settings.update((int.from_bytes(payload[i:i + 2], "big"), int.from_bytes(payload[i + 2:i + 6], "big"))
                                 for i in range(0, length, 6))
            self.put(SETTINGS, ACK)
        elif kind == WINDOW_UPDATE and stream == 0:
            self.window += int.from_bytes(payload, "big")
        elif kind == WINDOW_UPDATE:
            self.windows[stream] = self.windows.get(stream, 0) + int.from_bytes(payload, "big")
        elif kind == PING:
            self.pongs += bool(flags & ACK)
        elif kind == GOAWAY:
            self.goaways.append((int.from_bytes(payload[:4], "big"), int.from_bytes(payload[4:8], "big")))
        if kind in (HEADERS, DATA) and flags & END_STREAM:
            self.answer_to(stream).ended = True
        return kind

    def until(self, condition):
        while not condition():
            self.step()

    def recv(self, stream):
        """The whole answer: to its end, or to a reset."""
        answer = self.answer_to(stream)
        self.until(lambda: answer.ended or answer.reset is not None)
        return answer

    def ask2(self, method="GET", path="/", *fields, content=None, **more):
        stream = self.begin(method, path, *fields, end=content is None, **more)
        if content is not None:
            self.data(stream, content)
        return self.recv(stream)

    def recv_to_end(self):
        """All frames up to the connection's end."""
        try:
            while True:
                self.step()
        except (Cut, ConnectionError, AssertionError):
            return self
