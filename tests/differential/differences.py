"""Where the parsers differ, and why that is no hole."""

import re


class Message:
    """One message as a reader wrote it."""

    __slots__ = ("text", "end", "start", "minor", "keep_alive", "target", "fields", "content", "trailers")

    def __init__(self, text):
        self.text = text
        end, self.start, minor, keep_alive, target, fields, content, trailers = text.split(",")
        self.end = None if end == "-" else int(end)
        self.minor = int(minor)
        self.keep_alive = keep_alive == "1"
        self.target, self.content = bytes.fromhex(target), bytes.fromhex(content)
        self.fields, self.trailers = fields, trailers

    @staticmethod
    def lines(text):
        return [tuple(line.split(b":", 1)) for line in bytes.fromhex(text).splitlines()]

    def values(self, name):
        return [value for key, value in self.lines(self.fields) if key.lower() == name]

    def __repr__(self):
        return f"{self.start} {self.target!r} 1.{self.minor} ends at {self.end}, {'keeps' if self.keep_alive else 'closes'}, " \
               f"{self.lines(self.fields)}, {self.content!r}, {self.lines(self.trailers)}"


class Difference:
    """
    The first message of a stream that another parser does not see as curfew does. `other` is what it sees instead, if anything;
    `refusal` its word for why it reads no further, if that is why.
    """

    def __init__(self, parser, case, at, curfew, other, refusal):
        self.parser, self.case, self.at = parser, case, at
        self.curfew, self.other, self.refusal = curfew, other, refusal

    @property
    def raw(self):
        """The message's bytes."""
        before = self.case.messages[self.at - 1].end if self.at else 0
        return self.case.stream.data[before:self.curfew.end or self.case.taken]

    @property
    def answers_head(self):
        finals = sum(not message.start.startswith("1") for message in self.case.messages[:self.at])
        return self.case.stream.methods[finals:finals + 1] == b"H"

    @property
    def kind(self):
        """What differs, in a word or some."""
        if self.refusal:
            return f"refuses {self.refusal}"
        if not self.curfew or not self.other:
            return "another number of messages"
        return "sees another " + ", ".join(what for what in ("end", "start", "minor", "keep_alive", "target", "fields", "content", "trailers")
                                           if getattr(self.curfew, what) != getattr(self.other, what))

    def __str__(self):
        return f"{self.parser}: message {self.at} of {self.case.stream.data!r} (curfew stopped: {self.case.why})\n" \
               f"        curfew: {self.curfew}\n        other:  {self.refusal or self.other}"


class Class:
    """
    Differences with one reason: what the message has about it, and why no harm comes of it. `holds` says if a difference is
    one of these, as narrowly as can be. `versions` tells if a version of the parser, as a tuple, has it.
    """

    def __init__(self, name, reason, holds, parsers=("http-parser", "llhttp"), versions=None):
        self.name, self.reason, self.holds = name, reason, holds
        self.parsers, self.versions = parsers, versions

    def applies(self, parser, version):
        return parser in self.parsers and (self.versions is None or self.versions(tuple(map(int, version.split(".")))))



COMMON_METHODS = ("GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "TRACE", "PATCH")
# Names that a parser may act on although they stand in a trailer section.
FRAMING_NAMES = {b"content-length", b"transfer-encoding", b"connection", b"proxy-connection", b"upgrade"}


def _method(it):
    return it.curfew.start not in COMMON_METHODS and (it.refusal == "INVALID_METHOD" or (it.refusal, it.curfew.start) == ("INVALID_VERSION", "PRI"))


def _minor(it):
    return it.refusal == "INVALID_VERSION" and re.search(rb"HTTP/1\.[2-9]", it.raw.lstrip().split(b"\r\n", 1)[0])


def _extension(it):
    return it.refusal == "STRICT" and it.curfew.values(b"transfer-encoding") and re.search(rb"\r\n[0-9A-Fa-f]+;", it.raw)


def _head(it):
    return it.kind == "sees another keep_alive" and it.answers_head and it.curfew.keep_alive and \
        not it.curfew.values(b"content-length") and not it.curfew.values(b"transfer-encoding")


def _upgrade(it):
    return it.refusal == "UPGRADE" and any(message.values(b"upgrade") for message in it.case.messages[:it.at + 1])


def _trailers(it):
    seen = it.case.messages[:it.at + 1]
    acted = it.refusal or it.other is None or it.curfew is None or it.kind == "sees another keep_alive" or it.kind.startswith("sees another end")
    return acted and any(key.lower() in FRAMING_NAMES for message in seen for key, _ in message.lines(message.trailers))


def _proxy_connection(it):
    return it.kind == "sees another keep_alive" and it.curfew.values(b"proxy-connection")


def _connection_list(it):
    return it.kind == "sees another keep_alive" and re.search(rb"(?i)\r\nconnection:(?: *,|[^\r]*\t|[^\r]*,[ \t]*,)", it.raw)


def _both_options(it):
    options = b",".join(it.curfew.values(b"connection")).lower()
    return it.kind == "sees another keep_alive" and it.curfew.minor == 0 and b"close" in options and b"keep-alive" in options and \
        not it.curfew.keep_alive


def _longer_name(it):
    longer = any(key.lower().startswith(b"transfer-encoding") and len(key) > len("transfer-encoding") for key, _ in it.curfew.lines(it.curfew.fields))
    until_close = it.curfew.start.isdigit() and it.other and not it.other.keep_alive
    return longer and (it.refusal in ("INVALID_TRANSFER_ENCODING", "UNEXPECTED_CONTENT_LENGTH") or until_close)


def _head_before(it):
    return it.at > 0 and it.case.stream.responses and it.kind.startswith("sees another end") and \
        any(message.values(b"content-length") and not message.content for message in it.case.messages[:it.at])


def _head_of(it):
    """Up to its empty line, with it."""
    return re.match(rb"(?s)(?:\r?\n)?(?:.*?\n\r?\n|.*)", it.raw)[0]


def _is_empty(it):
    return it.answers_head or it.curfew.start in ("204", "304") or it.curfew.start.startswith("1")


def _says_more_than_once(it):
    return b"," in b",".join(it.curfew.values(b"content-length"))


def _lf_alone(it):
    return it.case.stream.responses and re.search(rb"(?:[^\r]|^)\n", _head_of(it)) and \
        (it.refusal in ("CR_EXPECTED", "INVALID_HEADER_TOKEN", "INVALID_STATUS", "LF_EXPECTED") or _closes_only_here(it))


def _closes_only_here(it):
    return it.kind == "sees another keep_alive" and it.other.keep_alive


def _tab_behind_framing(it):
    return re.search(rb"(?i)\n(?:transfer-encoding:[ \t]*chunked|content-length:[ \t]*[0-9]+) *\t[ \t]*\r?\n", _head_of(it))


def _blanks_behind_size(it):
    return it.refusal in ("INVALID_CHUNK_SIZE", "STRICT") and it.curfew.values(b"transfer-encoding") and \
        re.search(rb"\n[0-9A-Fa-f]+[ \t]+(?:\r\n|;)" if it.case.stream.responses else rb"\n[0-9A-Fa-f]+[ \t]+;", it.raw)


def _blanks_around_code(it):
    return it.case.stream.responses and re.match(rb"(?:\r?\n)?HTTP/1\.\d(?:[ \t]{2,}\d|\t\d|[ \t]\d\d\d\t)", it.raw) and \
        (it.refusal in ("INVALID_VERSION", "INVALID_STATUS") or _closes_only_here(it))


def _unreadable_framing(it):
    return it.case.stream.responses and _is_empty(it) and \
        it.refusal in ("INVALID_CONTENT_LENGTH", "UNEXPECTED_CONTENT_LENGTH", "INVALID_TRANSFER_ENCODING")


def _framed_without_content(it):
    framed = it.curfew.values(b"content-length") or it.curfew.values(b"transfer-encoding")
    ends_here = it.kind.startswith("sees another end") or _closes_only_here(it)
    return it.case.stream.responses and _is_empty(it) and framed and ends_here and not it.curfew.keep_alive


def _same_length(it):
    return it.case.stream.responses and _says_more_than_once(it) and not _is_empty(it) and \
        (it.refusal in ("UNEXPECTED_CONTENT_LENGTH", "INVALID_CONTENT_LENGTH") or _closes_only_here(it))


def _odd_option(it):
    odd = any(not re.fullmatch(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]*", option.strip(b" \t"))
              or (it.case.stream.responses and option.strip(b" \t").lower() in (b"content-length", b"transfer-encoding", b"host"))
              for option in b",".join(it.curfew.values(b"connection")).split(b","))
    return odd and _closes_only_here(it) and not it.curfew.keep_alive


CLASSES = (
    Class("a method that it does not know", "curfew passes on every token; no method changes the framing of a request (RFC 9110 9.1)", _method),
    Class("a minor version above 1", "it is read as the highest that curfew knows (RFC 9110 2.5), and written anew", _minor, ("llhttp",)),
    Class("a chunk extension of another syntax", "curfew takes any text without control bytes for one, and passes none on", _extension, ("llhttp",),
          lambda version: version >= (8,)),
    Class("a response to HEAD without a length", "Node asks whether the connection goes on before it says that there is no content", _head, ("llhttp",)),
    Class("a protocol switch that is asked for", "it hands the connection over; curfew takes Upgrade away and refuses a 101", _upgrade),
    Class("a framing field in the trailers", "it acts on it; curfew does not, and passes none on", _trailers),
    Class("Proxy-Connection", "it is read as Connection there; whoever closes, no byte becomes another message's", _proxy_connection),
    Class("a tab or an empty element beside an option of Connection", "the option is overlooked there (RFC 9110 5.6.1); curfew writes Connection anew",
          _connection_list),
    Class("HTTP/1.0 with both close and keep-alive", "keep-alive wins there; curfew closes", _both_options),
    Class("a name that only begins with Transfer-Encoding", "a fault of http-parser: it marks the message before it has seen the name's end",
          _longer_name, ("http-parser",)),
    Class("a line of a response's head that LF ends", "there is no other way to read it; curfew writes it anew and does not use the connection again", _lf_alone),
    Class("a tab behind a length or a transfer coding", "it is part of the value there; for curfew it is white space (RFC 9110 5.6.3), and is not passed on",
          _tab_behind_framing),
    Class("white space behind a chunk size", "curfew takes it before an extension (RFC 9112 7.1.1), in a response also without one, and passes none on",
          _blanks_behind_size),
    Class("blanks around a status code", "there is no other way to read it; curfew writes it anew and does not use the connection again",
          _blanks_around_code),
    Class("framing of no content that can not be read", "method or code have said that there is none (RFC 9112 6.3), so curfew leaves it out",
          _unreadable_framing),
    Class("framing of no content that is believed", "method or code have said that there is none (RFC 9112 6.3); curfew does not use the connection again",
          _framed_without_content),
    Class("the same length more than once, in a response", "curfew says it once (RFC 9110 8.6) and does not use the connection again", _same_length),
    Class("an option of Connection that no message should have", "curfew skips it, and closes: whoever else reads on, reads nothing of curfew's",
          _odd_option),
    Class("the response behind one without content that says a length", "a fault of llhttp 6: it adds up both lengths", _head_before, ("llhttp",),
          lambda version: version < (8,)),
)
