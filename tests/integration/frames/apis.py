"""
What APIs send to curfew: RFC 9113's section, what it is, the bytes, what may come of it. Stream 1 has a call that goes on
all the while; stream 3's is a GET that has come whole, and the case is about it, or the connection.

    goaway CODE      the connection ends, with this GOAWAY; its calls are 502, or cut
    502 rst CODE     what stream 3's caller gets, and what the API; the connection and its other call live
    cut rst CODE     likewise, behind the head
    STATUS           likewise, without a reset
    ignored          nothing comes of it: the answer can still be given
"""

from .words import (ACK, ANSWERED, END_HEADERS, END_STREAM, GET, GOAWAY, GOOD_BLOCKS, HEADERS, INTERIM, OK, PADDED, PING, PRIORITIZED,
                    PRIORITY, PRIORITY_3, PUSH_PROMISE, RST_STREAM, SETTINGS, UNKNOWN, WHOLE, WINDOW_UPDATE, bad_blocks, data, frame, headers,
                    indexed, integer, literal, more, reset, settings, string, table_size, u32, update)

LARGE = (1 << 31) - 1
MALFORMED = "502 rst 1"
HEAD = headers(OK, 3, END_HEADERS)


def status(code):
    return integer(8, 4) + string(code.encode())


CASES = [
    # ---- frames
    ("4.1", "a type that nobody knows", UNKNOWN + headers(OK), "200"),
    ("4.1", "a type that nobody knows, on an idle stream", frame(0x42, 0, 5, b"x") + headers(OK), "200"),
    ("4.1", "the reserved bit of a stream's number", frame(HEADERS, WHOLE, 3 | 1 << 31, OK), "200"),
    ("4.1", "flags that mean nothing at a PING", frame(PING, 0xfe, 0, bytes(8)) + headers(OK), "200"),
    ("4.2", "DATA as long as may be", HEAD + data(bytes(16384), 3, END_STREAM), "200"),
    ("4.2", "DATA that is too long", data(bytes(16385)), "goaway 6"),
    ("4.2", "HEADERS that are too long", headers(OK + literal("x", "y" * 16384)), "goaway 6"),
    ("4.2", "a type that nobody knows that is too long", frame(0x42, 0, 0, bytes(16385)), "goaway 6"),
    ("4.3", "a head that ends in the middle of a field", headers(OK + b"\x00\x05ab"), "goaway 9"),
    ("4.3", "PRIORITY within a head", headers(OK, 3, END_STREAM) + PRIORITY_3, "goaway 1"),
    ("4.3", "another stream's head within a head", headers(OK, 3, END_STREAM) + headers(OK, 1), "goaway 1"),
    ("5.5", "a type that nobody knows within a head", headers(OK, 3, END_STREAM) + UNKNOWN, "goaway 1"),
    # ---- states of a stream
    ("5.1", "idle: HEADERS", headers(OK, 9), "goaway 1"),
    ("5.1", "idle: DATA", data(b"x", 9), "goaway 1"),
    ("5.1", "idle: RST_STREAM", reset(9), "goaway 1"),
    ("5.1", "idle: WINDOW_UPDATE", update(9, 1), "goaway 1"),
    ("5.1", "idle: CONTINUATION", more(OK, 9), "goaway 1"),
    ("5.1", "idle: PRIORITY", frame(PRIORITY, 0, 9, bytes(4) + b"\x0f") + headers(OK), "200"),
    ("5.1", "ended: DATA", [headers(OK), ANSWERED, data(b"x")], "ignored | goaway 5"),
    ("5.1", "ended: HEADERS", [headers(OK), ANSWERED, headers(OK)], "ignored | goaway 5"),
    ("5.1", "ended: CONTINUATION", [headers(OK), ANSWERED, more(OK)], "goaway 1 | goaway 5"),
    ("5.1", "ended: WINDOW_UPDATE", [headers(OK), ANSWERED, update(3, 1)], "ignored"),
    ("5.1", "ended: RST_STREAM", [headers(OK), ANSWERED, reset()], "ignored"),
    ("5.1", "ended: PRIORITY", [headers(OK), ANSWERED, PRIORITY_3], "ignored"),
    ("5.1", "WINDOW_UPDATE of a request that is whole", update(3, 100) + headers(OK), "200"),
    ("5.1.1", "an even stream that nobody promised", headers(OK, 2), "goaway 1"),
    ("5.3.1", "a stream that depends on itself", headers(u32(3) + b"\x0f" + OK, 3, WHOLE | PRIORITIZED), "200 | goaway 1 | " + MALFORMED),
    # ---- types
    ("6.1", "DATA on stream 0", data(b"x", 0), "goaway 1"),
    ("6.1", "DATA with padding", HEAD + data(b"\x03abc" + bytes(3), 3, END_STREAM | PADDED), "200"),
    ("6.1", "DATA of padding alone", HEAD + data(b"\x03" + bytes(3), 3, END_STREAM | PADDED), "200"),
    ("6.1", "DATA with padding longer than it is", HEAD + data(b"\x04" + bytes(3), 3, PADDED), "goaway 1"),
    ("6.1", "DATA with PADDED and no byte", HEAD + data(b"", 3, PADDED), "goaway 1 | goaway 6"),
    ("6.2", "HEADERS on stream 0", headers(OK, 0), "goaway 1"),
    ("6.2", "HEADERS with padding", headers(b"\x05" + OK + bytes(5), 3, WHOLE | PADDED), "200"),
    ("6.2", "HEADERS with priority", headers(u32(0) + b"\x0f" + OK, 3, WHOLE | PRIORITIZED), "200"),
    ("6.2", "HEADERS with padding longer than it is", headers(b"\xff" + OK, 3, WHOLE | PADDED), "goaway 1"),
    ("6.3", "PRIORITY on stream 0", frame(PRIORITY, 0, 0, u32(1) + b"\x0f"), "goaway 1"),
    ("6.3", "PRIORITY of four bytes", frame(PRIORITY, 0, 3, u32(0)), "goaway 6 | 502 rst 6"),
    ("6.4", "RST_STREAM on stream 0", reset(0), "goaway 1"),
    ("6.4", "RST_STREAM of three bytes", frame(RST_STREAM, 0, 3, bytes(3)), "goaway 6"),
    ("6.5", "SETTINGS of 5 bytes", frame(SETTINGS, 0, 0, bytes(5)), "goaway 6"),
    ("6.5", "SETTINGS on a stream", frame(SETTINGS, 0, 3, b""), "goaway 1"),
    ("6.5", "an ACK with a setting", frame(SETTINGS, ACK, 0, bytes(6)), "goaway 6"),
    ("6.5.2", "a setting that nobody knows", settings((0xff00, 7)) + headers(OK), "200"),
    ("6.5.2", "a table of no bytes", settings((1, 0)) + headers(OK), "200"),
    ("6.5.2", "ENABLE_PUSH 0", settings((2, 0)) + headers(OK), "200"),
    ("6.5.2", "ENABLE_PUSH 1 of a server", settings((2, 1)), "goaway 1"),
    ("6.5.2", "ENABLE_PUSH 2", settings((2, 2)), "goaway 1"),
    ("6.5.2", "a window of 2^31", settings((4, 1 << 31)), "goaway 3"),
    ("6.5.2", "frames of 16383 bytes", settings((5, 16383)), "goaway 1"),
    ("6.5.2", "frames of 2^24 bytes", settings((5, 1 << 24)), "goaway 1"),
    ("6.5.2", "lists of fields of one byte, which is advice", settings((6, 1)) + headers(OK), "200"),
    ("8441 3", "ENABLE_CONNECT_PROTOCOL 2", settings((8, 2)), "goaway 1"),
    ("6.6", "PUSH_PROMISE, which is switched off", frame(PUSH_PROMISE, END_HEADERS, 3, u32(2) + GET), "goaway 1"),
    ("6.6", "PUSH_PROMISE on stream 0", frame(PUSH_PROMISE, END_HEADERS, 0, u32(2) + GET), "goaway 1"),
    ("6.7", "a PING's answer that nobody waits for", frame(PING, ACK, 0, bytes(8)) + headers(OK), "200"),
    ("6.7", "PING on a stream", frame(PING, 0, 3, bytes(8)), "goaway 1"),
    ("6.7", "PING of six bytes", frame(PING, 0, 0, bytes(6)), "goaway 6"),
    ("6.8", "GOAWAY on a stream", frame(GOAWAY, 0, 3, bytes(8)), "goaway 1"),
    ("6.8", "GOAWAY of seven bytes", frame(GOAWAY, 0, 0, bytes(7)), "goaway 6"),
    ("6.8", "GOAWAY whose last stream is above the one before", frame(GOAWAY, 0, 0, u32(3) + u32(0)) + frame(GOAWAY, 0, 0, u32(99) + u32(0)), "goaway 1 | ignored"),
    ("6.9", "WINDOW_UPDATE of nothing on a stream", update(3, 0), MALFORMED + " | goaway 1"),
    ("6.9", "WINDOW_UPDATE of nothing on the connection", update(0, 0), "goaway 1"),
    ("6.9", "WINDOW_UPDATE of three bytes", frame(WINDOW_UPDATE, 0, 0, bytes(3)), "goaway 6"),
    ("6.9.1", "a connection's window above 2^31-1", update(0, LARGE), "goaway 3"),
    ("6.9.1", "a stream's window above 2^31-1", update(3, LARGE), "502 rst 3 | goaway 3 | ignored"),
    ("6.10", "a head in three pieces", headers(OK + literal("x-a", "b")[:2], 3, END_STREAM) + more(literal("x-a", "b")[2:4], 3, 0) + more(literal("x-a", "b")[4:]), "200"),
    ("6.10", "CONTINUATION on stream 0", headers(OK, 3, END_STREAM) + more(b"", 0), "goaway 1"),
    ("6.10", "CONTINUATION of another stream", headers(OK, 3, END_STREAM) + more(b"", 1), "goaway 1"),
    ("6.10", "CONTINUATION behind a whole head", HEAD + more(OK), "goaway 1"),
    ("6.10", "CONTINUATION behind DATA", HEAD + data(b"x") + more(OK), "goaway 1"),
    # ---- messages
    ("8.1", "DATA before a head", data(b"x"), MALFORMED + " | goaway 1"),
    ("8.1", "trailers", HEAD + data(b"x") + headers(literal("x-sum", "7")), "200"),
    ("8.1", "trailers that do not end the stream", HEAD + data(b"x") + headers(literal("x-sum", "7"), 3, END_HEADERS), "cut rst 1 | " + MALFORMED),
    ("8.1", "trailers with a pseudo-field", HEAD + data(b"x") + headers(OK), "cut rst 1 | " + MALFORMED),
    ("8.1", "DATA behind trailers", [HEAD + data(b"x") + headers(literal("x-sum", "7")), ANSWERED, data(b"y")], "ignored | goaway 5"),
    ("8.1", "a reset with NO_ERROR behind a whole answer", headers(OK) + reset(3, 0), "200"),
    ("8.1", "a head of 103 and one of 200", headers(status("103"), 3, END_HEADERS) + headers(OK), "200"),
    ("8.1", "a head that is cut off right behind 103", [headers(status("103"), 3, END_HEADERS) + headers(OK)[:10], INTERIM, headers(OK)[10:]], "200"),
    ("8.1", "103 that ends the stream", headers(status("103")), MALFORMED),
    ("8.1", "DATA behind 103", headers(status("103"), 3, END_HEADERS) + data(b"x"), MALFORMED),
    ("8.1.1", "content shorter than its length", headers(OK + literal("content-length", "5"), 3, END_HEADERS) + data(b"abc", 3, END_STREAM), MALFORMED + " | cut rst 1"),
    ("8.1.1", "content longer than its length", headers(OK + literal("content-length", "2"), 3, END_HEADERS) + data(b"abc", 3, END_STREAM), MALFORMED + " | cut rst 1"),
    ("8.1.1", "a length and no content", headers(OK + literal("content-length", "5")), MALFORMED),
    ("8.1.1", "a length that is no number", headers(OK + literal("content-length", "x")), MALFORMED),
    ("8.1.1", "two lengths", headers(OK + literal("content-length", "0") + literal("content-length", "1")), MALFORMED),
    ("8.1.1", "304 with a length", headers(status("304") + literal("content-length", "5")), "304"),
    ("8.1.1", "204 with a length", headers(status("204") + literal("content-length", "5")), MALFORMED + " | 204"),
    ("8.1.1", "204 with content", headers(status("204"), 3, END_HEADERS) + data(b"x", 3, END_STREAM), MALFORMED + " | cut rst 1 | 204"),
    ("8.2", "an upper case name", headers(OK + literal("X-A", "b")), MALFORMED),
    ("8.2.1", "a name with a space", headers(OK + literal("x a", "b")), MALFORMED),
    ("8.2.1", "a name with a colon", headers(OK + literal("x:a", "b")), MALFORMED),
    ("8.2.1", "a value with NUL", headers(OK + literal("x", "a\0b")), MALFORMED),
    ("8.2.1", "a value with CR", headers(OK + literal("x", "a\rb")), MALFORMED),
    ("8.2.1", "a value with LF", headers(OK + literal("x", "a\nb")), MALFORMED),
    ("8.2.1", "a value above ASCII", headers(OK + literal("x", "\xe4")), "200"),
    ("8.2.2", "Connection", headers(OK + literal("connection", "close")), MALFORMED),
    ("8.2.2", "Keep-Alive", headers(OK + literal("keep-alive", "1")), MALFORMED),
    *(("8.2.2", f"{name} with a blank at its edge", headers(OK + literal(name, value)), MALFORMED)
      for name, value in (("transfer-encoding", "chunked "), ("transfer-encoding", " "), ("connection", " close"), ("content-length", "0 "))),
    ("8.2.2", "Transfer-Encoding", headers(OK + literal("transfer-encoding", "chunked")), MALFORMED),
    ("8.2.2", "Upgrade", headers(OK + literal("upgrade", "h2c")), MALFORMED),
    ("8.3", "a pseudo-field that nobody knows", headers(OK + literal(":x", "y")), MALFORMED),
    ("8.3", "a request's pseudo-field", headers(OK + indexed(2)), MALFORMED),
    ("8.3", "a pseudo-field behind others", headers(literal("x", "y") + OK), MALFORMED),
    ("8.3.2", "no status", headers(literal("x", "y")), MALFORMED),
    ("8.3.2", "two statuses", headers(OK + OK), MALFORMED),
    ("8.3.2", "a status of letters", headers(status("abc")), MALFORMED),
    ("8.3.2", "a status of two digits", headers(status("20")), MALFORMED),
    ("8.3.2", "a status of four digits", headers(status("2000")), MALFORMED),
    ("8.3.2", "a status that is empty", headers(status("")), MALFORMED),
    ("8.6", "101", headers(status("101")), MALFORMED),
    # ---- fields
    *((f"7541 {section}", name, headers(block), "goaway 9") for section, name, block in bad_blocks(OK)),
    *((f"7541 {section}", name, headers(OK + block), "200") for section, name, block in GOOD_BLOCKS),
    ("7541 4.2", "two new sizes of the table before all fields", headers(table_size(0) + table_size(4096) + OK), "200"),
    ("7541 2.3.2", "an entry of a response that was refused", headers(OK + literal("X", "y") + literal("x-a", "b", 0x40)) + headers(status("103") + indexed(62), 1, END_HEADERS), MALFORMED),
]

# The connection's very first bytes, in place of SETTINGS; the call that it was made for is 502.
FIRST = [
    ("3.4", "HTTP/1.1", b"HTTP/1.1 400 Bad Request\r\n\r\n"),
    ("3.4", "nonsense", b"\xff" * 100),
    ("3.4", "PING before SETTINGS", frame(PING, 0, 0, bytes(8))),
    ("3.4", "HEADERS before SETTINGS", headers(OK, 1)),
    ("3.4", "an ACK before SETTINGS", frame(SETTINGS, ACK, 0, b"")),
    ("3.4", "SETTINGS of 7 bytes", frame(SETTINGS, 0, 0, bytes(7))),
    ("3.4", "SETTINGS on a stream", frame(SETTINGS, 0, 1, b"")),
]
