"""Of what the tables are made: frames, and blocks of fields that need no table but the static one (RFC 7541 A)."""

from harness.h2_caller import frame

DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = range(10)
END_STREAM, ACK, END_HEADERS, PADDED, PRIORITIZED = 0x1, 0x1, 0x4, 0x8, 0x20
WHOLE = END_HEADERS | END_STREAM
CANCEL = 8
# A step of a case: what was sent so far has its effect before the rest is sent.
ANSWERED = "answered"  # stream 3 has its whole answer
INTERIM = "interim"  # the caller of stream 3 has a 103


def literal(name, value, first=0x00):
    """A literal field with a new name; 0x00: not indexed, 0x10: never, 0x40: put into the table."""
    name, value = name.encode("latin-1"), value.encode("latin-1")
    return bytes([first]) + string(name) + string(value)


def string(text):
    return integer(len(text), 7) + text


def integer(value, bits, first=0):
    """RFC 7541 5.1."""
    most = (1 << bits) - 1
    if value < most:
        return bytes([first | value])
    out, value = bytearray([first | most]), value - most
    while value >= 128:
        out.append(value % 128 + 128)
        value //= 128
    return bytes(out) + bytes([value])


def indexed(number):
    return integer(number, 7, 0x80)


def table_size(size):
    return integer(size, 5, 0x20)


def path(text):
    return integer(4, 4) + string(text.encode())


SCHEME, AUTHORITY, ROOT, GET_METHOD, POST_METHOD = indexed(6), integer(1, 4) + string(b"curfew"), indexed(4), indexed(2), indexed(3)
GET = GET_METHOD + SCHEME + ROOT + AUTHORITY
POST = POST_METHOD + SCHEME + ROOT + AUTHORITY
BESIDE = GET_METHOD + SCHEME + path("/beside") + AUTHORITY  # likewise, of the call beside a case
HELD = GET_METHOD + SCHEME + path("/held") + AUTHORITY  # answered when the test says so
HELD_POST = POST_METHOD + SCHEME + path("/held") + AUTHORITY
OK = indexed(8)  # :status 200


def u32(value):
    return value.to_bytes(4, "big")


def settings(*pairs):
    return frame(SETTINGS, 0, 0, b"".join(name.to_bytes(2, "big") + u32(value) for name, value in pairs))


def update(stream, size):
    return frame(WINDOW_UPDATE, 0, stream, u32(size))


def headers(block, stream=3, flags=WHOLE):
    return frame(HEADERS, flags, stream, block)


def data(content, stream=3, flags=0):
    return frame(DATA, flags, stream, content)


def more(block, stream=3, flags=END_HEADERS):
    return frame(CONTINUATION, flags, stream, block)


def reset(stream=3, code=CANCEL):
    return frame(RST_STREAM, 0, stream, u32(code))


UNKNOWN = frame(0x42, 0xff, 0, b"whatever")
PRIORITY_3 = frame(PRIORITY, 0, 3, u32(0) + b"\x0f")

# Blocks that no decoder takes, whichever side sends them: RFC 7541's section, what it is, the bytes behind a sound beginning.
BAD_BLOCKS = [
    ("2.3.3", "an index behind both tables", indexed(70)),
    ("2.3.3", "an index far behind both tables", indexed(1 << 20)),
    ("4.2", "a table's new size behind a field", table_size(0)),
    ("4.2", "a table's new size that is more than was allowed", None),
    ("4.3", "an entry that a smaller table has lost", None),
    ("4.4", "an entry that one too large has driven out", None),
    ("5.1", "an integer that overflows", b"\xff" * 10 + b"\x0f"),
    ("5.1", "an integer of many zeros behind", b"\xff" + b"\x80" * 12 + b"\x01"),
    ("5.1", "an integer that does not end", b"\xff\xff"),
    ("5.2", "a name longer than the block", b"\x00\x7f\x02abc"),
    ("5.2", "a value longer than the block", b"\x00\x01a\x05abc"),
    ("5.2", "a name without a value", b"\x00\x01a"),
    ("5.2", "Huffman: padding longer than seven bits", b"\x00\x01a\x82\x1f\xff"),
    ("5.2", "Huffman: padding of zeros", b"\x00\x01a\x81\x18"),
    ("5.2", "Huffman: the symbol EOS", b"\x00\x01a\x84\xff\xff\xff\xff"),
    ("6.1", "index 0", indexed(0)),
    ("6.2.1", "a name's index behind both tables", integer(70, 6, 0x40) + string(b"v")),
    ("6.2.2", "a name's index behind both tables, not indexed", integer(70, 4) + string(b"v")),
    ("6.2.3", "a name's index behind both tables, never indexed", integer(70, 4, 0x10) + string(b"v")),
]


def bad_blocks(start):
    """(section, name, block) with the start that the side needs."""
    for section, name, rest in BAD_BLOCKS:
        if rest is not None:
            yield section, name, start + rest
        elif "allowed" in name:
            yield section, name, table_size(1 << 16) + start
        elif "lost" in name:
            yield section, name, start + literal("x-a", "b", 0x40) + indexed(62) + literal("x-c", "d", 0x40) + indexed(64)
        else:
            yield section, name, start + literal("x-a", "b", 0x40) + literal("x-large", "x" * 4096, 0x40) + indexed(62)


# And those that each takes.
GOOD_BLOCKS = [
    ("2.3.2", "an entry of the dynamic table, in the block that makes it", literal("x-a", "b", 0x40) + indexed(62)),
    ("5.1", "a length in more bytes than it needs", b"\x00\x01a" + b"\x7f\x80\x80\x00" + b"v" * 127),
    ("5.2", "Huffman in name and value", b"\x00\x81\x1f\x81\x1f"),
    ("5.2", "an empty value", literal("x-a", "")),
    ("6.2.2", "not indexed", literal("x-a", "b", 0x00)),
    ("6.2.3", "never indexed", literal("x-a", "b", 0x10)),
]
