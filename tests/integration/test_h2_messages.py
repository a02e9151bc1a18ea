"""
What callers say over HTTP/2 is, as HTTP/1.1 to an API, the same messages: http-parser and Node's llhttp read what curfew
wrote, and find each request with its content, its end and its trailers where it was meant to be, and nothing between.
"""

import os
import random
import struct
import subprocess
import sys
from pathlib import Path

import pytest

from harness.h2_caller import DATA, END_HEADERS, END_STREAM, HEADERS, PADDED, H2Caller
from harness.peers import Exchange, ScriptedUpstream

TESTS = Path(__file__).resolve().parents[1]
sys.path.append(str(TESTS / "differential"))
from differences import Message  # noqa: E402  pylint: disable=wrong-import-position

READERS = {"http-parser": [str(Path(os.environ.get("CURFEW_TOOLS", "build/release/tools")).resolve().parent / "differential" / "http_parser")],
           "llhttp": [os.environ.get("NODE", "node"), "--no-deprecation", str(TESTS / "differential" / "llhttp.js")]}
COUNT = 600
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
NAMES = ("x-a", "x-b", "accept", "cookie", "te", "user-agent", "content-language", "x_under.score", "x!#$%&'*+-^`|~", "range", "if-match")
# Of values; the last ones can't stand in a field, and no request that has one may come out.
PIECES = ("a", "b", ",", " ", "\t", ";", "=", "\"", "0", "\xe9", "\x80", "chunked", "GET / HTTP/1.1", ": ", "\\") * 6 + ("\r\n", "\n", "\0", "\r\nX: y\r\n\r\n")
PATHS = ("/", "/a", "/a?b=c", "/%0d%0a", "//x", "/;", "/a/../b", "/\xe9") * 5 + ("/a b", "/ HTTP/1.1\r\nX: y", "a", "", "http://other/", "/\r\n\r\nGET /x")


class Recording(Exchange):
    """It keeps all bytes that come."""

    def __init__(self, sock):
        super().__init__(sock)
        self.raw = b""

    def _receive(self):
        before = len(self._buffer)
        how = super()._receive()
        self.raw += self._buffer[before:]
        return how


class RecordingApi(ScriptedUpstream):
    def _adopt(self, sock):
        exchange = super()._adopt(sock)
        recording = Recording(exchange.sock)
        self._peers[self._peers.index(exchange)] = recording
        return recording

    @property
    def streams(self):
        return [peer.raw for peer in self._peers if peer.raw]


def some_request(luck, number):
    """(fields, pieces of content or None, trailers)"""
    method = luck.choice(METHODS)
    fields = [(":method", method), (":scheme", "http"), (":path", luck.choice(PATHS)), (":authority", "curfew"), ("x-number", str(number))]
    for _ in range(luck.randrange(4)):
        name = luck.choice(NAMES)
        fields.append((name, "trailers" if name == "te" else "".join(luck.choice(PIECES) for _ in range(luck.randrange(5)))))
    if method in ("GET", "HEAD") or luck.random() < 0.3:
        return fields, None, []
    pieces = [bytes(luck.choices(b"0\r\nabc;= ", k=luck.choice((0, 1, 5, 300)))) for _ in range(luck.randrange(1, 4))]
    if luck.random() < 0.5:
        length = sum(map(len, pieces)) + luck.choice((0,) * 8 + (1, -1))
        fields.append(("content-length", str(length)))
    return fields, pieces, [("x-sum", "7")] if luck.random() < 0.3 else []


def send(caller, luck, request):
    fields, pieces, trailers = request
    stream, caller.next = caller.next, caller.next + 2
    block = caller.encoder.encode([(name.encode("latin-1"), value.encode("latin-1")) for name, value in fields])
    caller.put(HEADERS, END_HEADERS | (END_STREAM if pieces is None else 0), stream, block)
    for at, piece in enumerate(pieces or []):
        last = END_STREAM if at == len(pieces) - 1 and not trailers else 0
        pad = luck.randrange(20)
        caller.put(DATA, last | (PADDED if pad else 0), stream, bytes([pad]) * (pad > 0) + piece + bytes(pad))
    if trailers:
        caller.put(HEADERS, END_HEADERS | END_STREAM, stream, caller.encoder.encode(trailers))
    return stream


def must_be_what_was_asked(message, requests):
    """Of the request whose number it has: what is in its message is what was put into its frames."""
    [number] = message.values(b"x-number")
    fields, pieces, trailers = requests[int(number)]
    given = dict(fields)
    assert message.end is not None and message.start == given[":method"]
    assert message.target == given[":path"].encode("latin-1")
    content = b"".join(pieces or [])
    assert message.content == content or given["content-length"] == str(len(message.content)) and content.startswith(message.content)
    assert message.lines(message.trailers) in ([], [(name.encode(), value.encode()) for name, value in trailers])
    assert len(message.values(b"host")) == 1 and len(message.values(b"content-length")) + len(message.values(b"transfer-encoding")) <= 1
    for name in set(NAMES) - {"te", "cookie"}:
        wanted = [value.strip(" \t").encode("latin-1") for key, value in fields if key == name]
        assert [value.strip(b" \t") for value in message.values(name.encode())] == wanted
    cookies = [value.strip(" \t").encode("latin-1") for key, value in fields if key == "cookie"]
    assert len(message.values(b"cookie")) == (1 if cookies else 0)
    return int(number)


def has_false_length(request):
    fields, pieces, _ = request
    return dict(fields).get("content-length", None) not in (None, str(sum(map(len, pieces or []))))


def read_with(reader, streams):
    records = b"".join(b"Q" + struct.pack("<BHI", 0, 0, len(stream)) + stream for stream in streams)
    done = subprocess.run(READERS[reader], input=records, capture_output=True, timeout=60, check=True)
    lines = done.stdout.decode().splitlines()
    return lines[1:] if reader == "llhttp" else lines


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """(requests, the numbers of those that were answered, the bytes that the API got, connection by connection)"""
    from harness.curfew import Curfew, write_config  # pylint: disable=import-outside-toplevel

    def script(exchange):
        exchange.recv_request()
        exchange.answer(content=b"ok")

    directory, luck, api = tmp_path_factory.mktemp("messages"), random.Random(7), RecordingApi(script)
    write_config(directory / "curfew.yaml", {"api": {"url": api.url, "deadline": "30s"}},
                 {"workers": 1, "admin": {"listen": "127.0.0.1:0"}, "log": {"access": str(directory / "access.log")}})
    proxy = Curfew(directory, directory / "curfew.yaml")
    caller, requests, answered = None, [some_request(luck, number) for number in range(COUNT)], set()
    for number, request in enumerate(requests):
        if number % 50 == 0:  # a connection ends after a hundred breaches
            caller = H2Caller(proxy.address("api"))
            proxy.callers.append(caller)
        answer = caller.recv(send(caller, luck, request))
        if answer.status == 200:
            answered.add(number)
        else:
            assert answer.status in (400, None), (request, answer.status)
    proxy.finish()
    api.close()
    assert not api.errors, api.errors
    return requests, answered, api.streams


@pytest.mark.parametrize("reader", READERS)
def test_what_came_in_frames_goes_on_as_the_same_messages(written, reader):
    requests, answered, streams = written
    seen = []
    for stream, line in zip(streams, read_with(reader, streams), strict=True):
        *messages, stop = line.split("/")
        for message in map(Message, messages):
            if message.end is not None:  # else its length was no truth, and the connection was cut
                seen.append(must_be_what_was_asked(message, requests))
        assert stop == "end", (stop, stream[-300:])
    assert len(seen) == len(set(seen)) and answered <= set(seen)
    assert all(has_false_length(requests[number]) for number in set(seen) - answered)
    assert COUNT / 4 < len(answered) < COUNT, "of both kinds"
