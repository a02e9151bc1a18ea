"""Streams of HTTP messages, sound ones and odd ones, from a grammar and from bytes put in at every place. Deterministic."""

import random

# Bytes by which parsers are known to differ, put in at every place of BASES.
ODD_BYTES = (b"\0", b"\x01", b"\x08", b"\t", b"\n", b"\x0b", b"\x0c", b"\r", b"\r\n", b"\n\n", b"\r\r\n", b"\x1b", b" ", b"  ",
             b"!", b'"', b"#", b"%", b"'", b"(", b"*", b"+", b",", b"-", b".", b"/", b"0", b"1", b"9", b":", b";", b"<", b"=",
             b"?", b"@", b"A", b"[", b"\\", b"]", b"_", b"`", b"f", b"x", b"{", b"|", b"~", b"\x7f", b"\x80", b"\x85", b"\xa0",
             b"\xc3\xa9", b"\xff", b"0x", b"\r\n ", b"\r\n\t", b"\r\n\r\n", b"chunked", b"http://")

REQUEST_BASES = (
    b"POST /a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nX: b\r\n\r\n3;e=f\r\nabc\r\n0\r\nT: u\r\n\r\nGET /b HTTP/1.1\r\nHost: a\r\n\r\n",
    b"POST http://a/c HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nConnection: x\r\n\r\nabcGET /d HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
    b"GET / HTTP/1.0\r\nConnection: close, keep-alive\r\n\r\n",
)
RESPONSE_BASES = (
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nX: b\r\n\r\n3;e\r\nabc\r\n0\r\nT: u\r\n\r\nHTTP/1.1 204 None\r\n\r\n",
    b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.0 404 No\r\nContent-Length: 3\r\nConnection: keep-alive\r\n\r\nabcHTTP/1.1 304 N\r\n\r\n",
)


class Stream:
    """What a parser reads: bytes, and for responses the methods that they answer (b"G", b"H")."""

    __slots__ = ("responses", "methods", "data")

    def __init__(self, data, methods=None):
        self.responses = methods is not None
        self.methods = methods or b""
        self.data = data


def every_place():
    """Every odd byte before each byte of every base, and in place of it."""
    for bases, methods in ((REQUEST_BASES, None), (RESPONSE_BASES, b"GGG")):
        for base in bases:
            for at in range(len(base)):
                for odd in ODD_BYTES:
                    yield Stream(base[:at] + odd + base[at:], methods)
                    yield Stream(base[:at] + odd + base[at + 1:], methods)


# ------------------------------------------------------------------------------------------------------------- grammar

METHODS = ["GET", "POST", "PUT", "DELETE", "HEAD", "OPTIONS", "PATCH", "TRACE"]
ODD_METHODS = ["M-SEARCH", "PURGE", "PROPFIND", "QUERY", "get", "Get", "CONNECT", "PRI", "SOURCE", "BREW", "G", "GETT", "A'`|~",
               "X" * 32, "X" * 33, "G(T", "G\xc9T", "", "HTTP/1.1"]
TARGETS = ["/", "/a", "/a/b?c=d&e", "/v1/charges", "/a%20b", "/a;b=c"]
ODD_TARGETS = ["*", "//a/b", "/../x", "/%00%zz", '/"<>\\^`{|}', "/~!$&'()*+,;=:@[]", "/?", "/??", "/" + "x" * 700, "?x", "a", "", "/a b",
               "/\xe9", "/a#b", "/a\tb", "/a\x01", "/\x7f", "http://a.example/x", "http://a.example", "http://a.example?q=/x",
               "HTTP://A.example:80/x", "https://a.example/", "http://[::1]:80/", "http://u@a.example/", "http://", "http:///x",
               "http://a.example:99999/", "ftp://a.example/", "a.example:80", "/http://b.example/", "http://a%41/"]
VERSIONS = ["HTTP/1.1"]
ODD_VERSIONS = ["HTTP/1.0", "HTTP/1.0", "HTTP/1.0", "HTTP/1.0", "HTTP/1.2", "HTTP/1.9", "HTTP/2.0", "HTTP/0.9", "HTTP/1.10", "HTTP/1", "HTTP/11",
                "HTTP/01.1", "http/1.1", "HTTP/1,1", "HTTPS/1.1", "ICE/1.0", "HTTP/1.1 ", "HTTP/1.1x", "", "RTSP/1.0"]
LINE_ENDS = [b"\r\n"]
ODD_LINE_ENDS = [b"\n", b"\r", b"\r\r\n", b"\n\r", b" \r\n", b"\t\r\n", b"\0\r\n", b"\r\n ", b"\x0b\r\n", b"\r\n\r\n", b"", b"\x85", b"\r\0\n"]
COLONS = [": ", ": ", ": ", ":", ":\t", ":  \t "]
ODD_COLONS = [" : ", "\t:", "", " ", "::", "=", ":\x0b", ":\x0c", ":\xa0", ":\r\n ", "\0:", ": \0", ";"]
HOSTS = ["a.example"]
ODD_HOSTS = ["", "A.EXAMPLE", "a.example:80", "a.example:", ":80", "[::1]", "[::1]:8080", "[::1", "a b", "a/b", "u@a", "a,b", "a%41", "a%4", "a\xe9",
             "a.example:x", "a.example:999999", "a\"b", "a_b", "a;b", "<a>"]
ODD_LENGTHS = ["+{0}", "-{0}", "0x{0}", "0{0}", "000000000000000000000000{0}", "{0} ", " {0}\t", "{0}, {0}", "{0},", ",{0}", "{0} {0}", "{0}.0", "{0}e0",
               "\"{0}\"", "{0};", "", "\t{0}", "{0}\x0b", "1_0", "\xb2", "18446744073709551615", "18446744073709551616", "9223372036854775807",
               "9223372036854775808", "99999999999999999999999999", "-1", "{0}\0", "NaN"]
CODINGS = ["chunked", "Chunked", "CHUNKED"]
ODD_CODINGS = ["identity", "gzip, chunked", "chunked, gzip", "chunked, chunked", "chunked,", ",chunked", " chunked", "chunked ", "xchunked", "chunkedx",
               "\"chunked\"", "chunked;q=1", "chunked\x0b", "\x0bchunked", "chun ked", "", "gzip", "chunked, identity", "identity, chunked",
               "\x00chunked", "'chunked'", "cow", "chunked\t", "x chunked", "deflate,chunked", "chunk\xe9d", "chunked/1"]
CONNECTIONS = ["close", "keep-alive", "Keep-Alive", "CLOSE"]
ODD_CONNECTIONS = ["close, keep-alive", "keep-alive, close", "x-a", "X-A, close", "close,", ",close", "close;x", "\"close\"", "closex", "keep-alivex",
                   "upgrade", "Upgrade, keep-alive", "te", "transfer-encoding", "content-length", "host", "c lose", "", "x" * 40, "close\tkeep-alive",
                   "keep-alive\tx", "close x"]
FIELDS = [("X-A", "b"), ("Accept", "*/*"), ("User-Agent", "t"), ("X-Empty", ""), ("Accept-Encoding", "gzip, br"), ("Content-Type", "a/b; c=\"d\"")]
ODD_FIELDS = [("Expect", "100-continue"), ("Expect", "x"), ("TE", "trailers"), ("Trailer", "T"), ("Upgrade", "h2c"), ("Upgrade", "websocket"),
              ("Keep-Alive", "timeout=5"), ("Proxy-Connection", "close"), ("Proxy-Connection", "keep-alive"), ("X-Bytes", "\xe9\xff\x80"),
              ("X-Tab", "a\tb"), ("X-Quote", "\"a\\\"b"), ("X-Nul", "\0"), ("X-Esc", "\x1b[0m"), ("X-Del", "\x7f"), ("X-Cr", "a\rb"), ("X-Lf", "a\nb"),
              ("X-Fold", "a\r\n b"), ("", "b"), ("X A", "b"), ("X\0A", "b"), ("X(A)", "b"), ("X\xe9", "b"), ("X_A", "b"), ("!#$%&'*+.^`|~", "b"),
              ("Content-Lengt", "5"), ("Content-Lengthx", "5"), ("Content_Length", "5"), ("Transfer-Encodin", "chunked"), ("Transfer-Encodingx", "chunked"), ("Transfer_Encoding", "chunked"),
              ("Transfer-Encoding ", "chunked"), ("Content-Length\t", "5"), ("GET / HTTP/1.1", "x"), ("X" * 300, "y"), ("X-Long", "y" * 900),
              ("Set-Cookie", "a=b"), ("Content-Length\0", "5"), ("Cont\xadent-Length", "5"), ("HTTP/1.1 200 OK", ""), ("X-Colon", ":"), ("X-Trail", "a \t ")]
CODES = ["200", "200", "200", "201", "404", "500"]
ODD_CODES = ["204", "304", "100", "103", "101", "199", "205", "599", "600", "099", "20", "2000", "2 00", "+20", "0x2", "", "2OO", "999", "\xb2\xb2\xb2", "206"]
REASONS = ["OK", "Not Found", ""]
ODD_REASONS = ["a\tb", "\xe9", "a\0b", "a\rb", "\x1b", "\x7f", "OK ", " OK", "x" * 300, "HTTP/1.1 200 OK", "a:b"]
SEPARATORS = [" "]
ODD_SEPARATORS = ["  ", "\t", "", "\x0b", "\r\n", "\0", "\xa0", " \t"]
CONTENTS = [b"", b"a", b"hello", b"0\r\n\r\n", b"GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n", b"\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
            bytes(range(256)), b"5\r\nhello\r\n0\r\n\r\n", b"x" * 700]
SIZES = ["{0:x}", "{0:X}", "0{0:x}", "0000{0:x}"]
ODD_SIZES = ["0x{0:x}", "+{0:x}", "-{0:x}", " {0:x}", "{0:x} ", "{0:x}\t", "{0:x}h", "{0:x}_", "{0:x},", "00000000000000{0:x}", "000000000000000{0:x}",
             "0000000000000000000{0:x}", "1000000000000000{0:x}", "ffffffffffffffff", "fffffffffffffff", "", "g", "{0:x}\0", "\"{0:x}\"", "{0:x}.",
             "{0:x}\r", "\n{0:x}", "7fffffff", "{0:d}"]
EXTENSIONS = [""]
ODD_EXTENSIONS = [";", ";a", ";a=b", ";a=\"b\"", "; a = b", ";;", ";=", ";a=", ";a=\"", ";a=\"\\\"\"", ";\xe9", ";a=\x01", ";a\nb", ";a\rb", ";a=\"\r\n\"", " ;a",
                  "\t;a", ";" + "x" * 250, ";" + "x" * 300, ";a\0", ";a=b;c=d", ";a,b", ";0\n", "a", ";a=b c", ";(a)", ";a=\"b\tc\"", ";a=\"\xe9\""]
TRAILERS = [[], [], [], [("T", "u")], [("T", "u"), ("X-B", "c")]]
ODD_TRAILERS = [("Content-Length", "5"), ("Transfer-Encoding", "chunked"), ("Host", "b"), ("Connection", "close"), ("T ", "u"), ("", "u"), ("T\0", "u"),
                ("T", "\0"), ("T", "a\rb"), ("T", "a\r\n b"), ("no colon", None), ("X" * 200, "u" * 300), ("Upgrade", "x"), ("T", "\xe9"),
                ("Proxy-Connection", "close"), ("Transfer-Encoding", "gzip"), ("Content-Length", "x"), ("Expect", "100-continue")]
GAPS = [b""]
ODD_GAPS = [b"\r\n", b"\r\n\r\n", b"\n", b"\r", b" ", b"\0", b"\t\r\n", b"x"]
SPLICES = [b"\r\n", b"\n", b"\r", b"\0", b" ", b"\t", b":", b",", b";", b"0", b"chunked", b"Content-Length: 5\r\n", b"Transfer-Encoding: chunked\r\n",
           b"Connection: close\r\n", b"\x0b", b"\xff", b"HTTP/1.1", b"\r\n\r\n"]


class Grammar:
    """Writes streams. `oddness` is how likely each choice is an odd one."""

    def __init__(self, seed):
        self.rng = random.Random(seed)
        self.oddness = 0.0

    def pick(self, usual, odd):
        return self.rng.choice(odd if self.rng.random() < self.oddness else usual)

    def end(self):
        return self.pick(LINE_ENDS, ODD_LINE_ENDS)

    def field(self, name, value):
        """A field line; a value of None: no colon either."""
        if value is None:
            return name.encode("latin-1") + self.end()
        if self.rng.random() < 0.15:
            name = self.rng.choice((str.lower, str.upper, str.swapcase))(name)
        return f"{name}{self.pick(COLONS, ODD_COLONS)}{value}".encode("latin-1") + self.end()

    def chunked(self, content):
        out, at = b"", 0
        while at < len(content):
            size = self.rng.randint(1, len(content) - at)
            out += self._chunk_line(size) + content[at:at + size] + self.end()
            at += size
        return out + self._chunk_line(0) + self._trailers() + self.end()

    def _chunk_line(self, size):
        if self.rng.random() < self.oddness / 4:
            size += self.rng.choice((-1, 1, 2, 16)) if size else 0
        line = self.pick(SIZES, ODD_SIZES).format(max(size, 0)) + self.pick(EXTENSIONS, ODD_EXTENSIONS)
        return line.encode("latin-1") + self.end()

    def _trailers(self):
        trailers = list(self.rng.choice(TRAILERS))
        if self.rng.random() < self.oddness:
            trailers.append(self.rng.choice(ODD_TRAILERS))
        return b"".join(self.field(name, value) for name, value in trailers)

    def framing(self, content, must):
        """(field lines, what is sent as content)"""
        rng, odd = self.rng, self.oddness
        kind = rng.choice(("length", "chunked", "none", "length", "chunked") if must or content else ("none", "none", "length", "chunked"))
        lines, sent = [], content
        if kind == "length":
            length = len(content) + (rng.choice((-1, 1, 5)) if rng.random() < odd / 4 else 0)
            lines.append(("Content-Length", self.pick(["{0}"], ODD_LENGTHS).format(length)))
        elif kind == "chunked":
            lines.append(("Transfer-Encoding", self.pick(CODINGS, ODD_CODINGS)))
            sent = self.chunked(content)
        elif not must:
            sent = b""
        if rng.random() < odd / 2:
            lines.append(rng.choice((("Content-Length", str(len(sent))), ("Content-Length", "0"), ("Transfer-Encoding", "chunked"),
                                     ("Transfer-Encoding", rng.choice(ODD_CODINGS)), ("Content-Length", rng.choice(ODD_LENGTHS).format(5)))))
        return lines, sent

    def fields(self, lines):
        rng = self.rng
        lines += rng.choices(FIELDS, k=rng.randint(0, 3))
        if rng.random() < 0.1 + self.oddness:
            lines.append(("Connection", self.pick(CONNECTIONS, ODD_CONNECTIONS)))
        if rng.random() < self.oddness / 4:
            lines += [("Upgrade", "websocket"), ("Connection", "upgrade")]
        while rng.random() < self.oddness * 2:
            lines.append(rng.choice(ODD_FIELDS))
        rng.shuffle(lines)
        return b"".join(self.field(name, value) for name, value in lines)

    def request(self):
        rng = self.rng
        method = self.pick(METHODS, ODD_METHODS)
        content = rng.choice(CONTENTS) if method in ("POST", "PUT", "PATCH") or rng.random() < 0.1 else b""
        lines, sent = self.framing(content, False)
        if rng.random() >= self.oddness / 2:
            lines.append(("Host", self.pick(HOSTS, ODD_HOSTS)))
        if rng.random() < self.oddness / 4:
            lines.append(("Host", rng.choice(HOSTS + ODD_HOSTS)))
        start = method + self.pick(SEPARATORS, ODD_SEPARATORS) + self.pick(TARGETS, ODD_TARGETS) + self.pick(SEPARATORS, ODD_SEPARATORS) + \
            self.pick(VERSIONS, ODD_VERSIONS)
        return start.encode("latin-1") + self.end() + self.fields(lines) + self.end() + sent

    def response(self, method):
        rng = self.rng
        code = self.pick(CODES, ODD_CODES + ["204", "304", "100", "103"] * 3)
        empty = method == "H" or code in ("204", "304") or code.startswith("1")
        lines, sent = self.framing(rng.choice(CONTENTS), True)
        if empty:
            sent = b"" if rng.random() >= self.oddness else sent
            if code not in ("304",) and method != "H" and rng.random() < 0.8:
                lines = []
        start = self.pick(VERSIONS, ODD_VERSIONS) + self.pick(SEPARATORS, ODD_SEPARATORS) + code + self.pick(SEPARATORS, ODD_SEPARATORS) + \
            self.pick(REASONS, ODD_REASONS)
        final = not (len(code) == 3 and code.startswith("1"))
        return start.encode("latin-1") + self.end() + self.fields(lines) + self.end() + sent, final

    def mutate(self, data):
        rng = self.rng
        for _ in range(rng.randint(1, 3)):
            at = rng.randint(0, len(data))
            kind = rng.randrange(6)
            if kind == 0:
                data = data[:at] + bytes([rng.randrange(256)]) + data[at + 1:]
            elif kind == 1:
                data = data[:at] + rng.choice(SPLICES) + data[at:]
            elif kind == 2:
                data = data[:at] + data[at + rng.randint(1, 4):]
            elif kind == 3:
                line = data.rfind(b"\n", 0, at) + 1
                end = data.find(b"\n", at) + 1 or len(data)
                data = data[:end] + data[line:end] + data[end:]
            elif kind == 4:
                data = data[:at] + data[at:at + rng.randint(1, 30)] + data[at:]
            else:
                data = data[:at]
        return data

    def stream(self):
        rng = self.rng
        self.oddness = rng.choice((0.0, 0.02, 0.02, 0.05, 0.05, 0.15))
        responses = rng.random() < 0.4
        data, methods = b"", ""
        for _ in range(rng.choice((1, 1, 2, 3))):
            gap = self.pick(GAPS, ODD_GAPS)
            if responses:
                method = "H" if rng.random() < 0.15 else "G"
                one, final = self.response(method)
                methods += method if final else ""
            else:
                one = self.request()
            data += gap + one
        if rng.random() < 0.15:
            data = self.mutate(data)
        return Stream(data, methods.encode() if responses else None)


def generated(seed, count):
    grammar = Grammar(seed)
    for _ in range(count):
        yield grammar.stream()
