"""What can hit a call: each event of matrix.txt, and what it takes in the configuration."""

from harness.h2 import INTERNAL_ERROR, REFUSED_STREAM

from .cell import LIMIT

BAD_REQUEST = b"GET\x00/ HTTP/1.1\r\n\r\n"
UNASKED = b"HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\nunasked"


class Event:
    limit = None    # of the situation, if the event is that it passes
    deadline = None
    drips = False   # progress goes on all the while
    together = None  # "reload", "shutdown", "drain": hits all calls of a curfew at once

    def hit(self, cell):
        raise NotImplementedError


class Deadline(Event):
    """It passes while everything that can move moves."""

    deadline = LIMIT
    drips = True

    def hit(self, cell):
        cell.drip()
        cell.wait_out()


class TimeLimit(Event):
    limit = LIMIT

    def hit(self, cell):
        """It passes by itself."""


class OperatorCuts(Event):
    """DELETE /calls/ID, of the call that is listed."""

    def hit(self, cell):
        listed = [call for call in cell.proxy.calls(upstream=cell.name)["calls"] if call["route"] == "default"]
        assert [call["phase"] for call in listed] == [cell.row.phase], listed
        status, text = cell.proxy.admin_ask("DELETE", f"/calls/{listed[0]['id']}")
        assert status == 200, text
        cell.wait_out()


class CallerCloses(Event):
    def hit(self, cell):
        cell.caller.close()


class CallerHalfCloses(Event):
    def hit(self, cell):
        cell.caller.half_close()
        if cell.row.outcome == "completed" and cell.row.answer != "-":
            cell.watch.barrier()
            cell.situation.complete(cell)
        elif hasattr(cell.situation, "read_on"):
            cell.situation.read_on(cell)


class CallerResets(Event):
    def hit(self, cell):
        cell.caller.reset()


class CallerBreaksFraming(Event):
    """In the head, in chunked content, or by what comes after the request."""

    def hit(self, cell):
        cell.break_framing(b"\x00\r\n" if cell.row.outcome != "completed" else BAD_REQUEST)
        if cell.row.outcome == "completed" and not cell.row.answer.startswith("goaway"):
            cell.watch.barrier()
            cell.situation.complete(cell)


class UpstreamRefuses(Event):
    def hit(self, cell):
        cell.situation.refuse(cell)


class UpstreamCloses(Event):
    notify = True

    def hit(self, cell):
        if cell.row.situation == "STREAMING/close":
            cell.exchange.send(b"rest")
        cell.end_upstream(self.notify)
        cell.complete_anew()


class UpstreamTruncates(UpstreamCloses):
    notify = False


class UpstreamResets(Event):
    def hit(self, cell):
        cell.exchange.reset()
        cell.complete_anew()


class UpstreamSendsGarbage(Event):
    """No response, bad framing of one, or bytes after one."""

    def hit(self, cell):
        if hasattr(cell.situation, "garble"):
            cell.situation.garble(cell)
            cell.situation.complete(cell)
            return
        pieces = [b"\x00garbage\r\n\r\n"]
        if cell.row.outcome == "completed" and cell.row.situation.startswith("STREAMING"):
            pieces.insert(0, cell.situation.rest_of_response)
        # Several TLS records, but they come together: nothing may stay unnoticed in a buffer of the library.
        cell.exchange.send_together(pieces)
        cell.complete_anew()


class UpstreamSendsEarly(Event):
    """A response before the request has come whole; after that, one that nobody has asked for."""

    def hit(self, cell):
        name = cell.row.situation
        if name.startswith("SENDING") or name == "CONNECTING/tls":
            cell.exchange.answer(413, content=b"early", reason="Content Too Large")
        elif name.startswith(("QUEUED", "DELIVERING")):
            cell.exchange.send(UNASKED + UNASKED)
        elif name == "STREAMING/uploading":
            cell.exchange.send(cell.situation.rest_of_response)
        else:
            cell.exchange.send_together([cell.situation.rest_of_response, UNASKED])
        cell.complete_anew()


class UpstreamAnswersAndResets(Event):
    """A reset that comes along with a part of the response, or with more of it."""

    def hit(self, cell):
        name = cell.row.situation
        if name.startswith("STREAMING"):
            part = b"1\r\nr\r\n" if name in ("STREAMING/chunked", "STREAMING/head", "STREAMING/comments") else b"r"
        elif name == "WAITING/held":
            part = b"1\r\nr\r\n"
        else:
            part = b"\r\nContent-Length: 8\r\n\r\nhalf"
            part = part if name == "WAITING/head" else b"HTTP/1.1 200 OK" + part
        cell.exchange.send(part)
        cell.exchange.reset()
        cell.complete_anew()


class UpstreamStalls(Event):
    """Nothing moves any more, until the deadline."""

    deadline = LIMIT

    def hit(self, cell):
        cell.wait_out()


class PoolShrinks(Event):
    """A new configuration, in which the pool has a place less than there are calls that hold one."""

    together = "reload"

    def hit(self, cell):
        cell.situation.complete(cell)


class Shutdown(Event):
    """SIGTERM, and the calls in flight get no time."""

    together = "shutdown"

    def hit(self, cell):
        """It has come for all."""


class Drain(Event):
    """SIGTERM, and the calls in flight may end as they would."""

    together = "drain"

    def hit(self, cell):
        if cell.row.outcome == "completed":
            cell.situation.complete(cell)


class CallerResetsStream(Event):
    """RST_STREAM(CANCEL), and his connection stays."""

    def hit(self, cell):
        cell.caller.cancel()


class CallerGoesAway(Event):
    """GOAWAY: it makes no more requests, and waits for the answer."""

    def hit(self, cell):
        cell.caller.go_away()
        cell.watch.barrier()
        cell.situation.complete(cell)


class UpstreamResetsStream(Event):
    def hit(self, cell):
        cell.exchange.reset_stream(INTERNAL_ERROR)
        cell.complete_anew()


class UpstreamRefusesStream(Event):
    """RST_STREAM(REFUSED_STREAM): it has not looked at the request, which goes again."""

    def hit(self, cell):
        cell.exchange.reset_stream(REFUSED_STREAM)
        cell.complete_again()


class UpstreamGoesAway(Event):
    """GOAWAY, the call's stream above the last one: likewise."""

    def hit(self, cell):
        cell.exchange.go_away(0)
        cell.complete_again()


EVENTS = {
    "deadline": Deadline(),
    "time limit": TimeLimit(),
    "operator cuts": OperatorCuts(),
    "caller closes": CallerCloses(),
    "caller half-closes": CallerHalfCloses(),
    "caller resets": CallerResets(),
    "caller breaks the framing": CallerBreaksFraming(),
    "upstream refuses": UpstreamRefuses(),
    "upstream closes": UpstreamCloses(),
    "upstream truncates TLS": UpstreamTruncates(),
    "upstream resets": UpstreamResets(),
    "upstream sends garbage": UpstreamSendsGarbage(),
    "upstream sends early": UpstreamSendsEarly(),
    "upstream answers and resets": UpstreamAnswersAndResets(),
    "upstream stalls": UpstreamStalls(),
    "pool shrinks": PoolShrinks(),
    "shutdown": Shutdown(),
    "drain": Drain(),
}

# What only a stream of HTTP/2 can have: see pairs.txt.
STREAM_EVENTS = {
    "caller resets the stream": CallerResetsStream(),
    "caller goes away": CallerGoesAway(),
    "upstream resets the stream": UpstreamResetsStream(),
    "upstream refuses the stream": UpstreamRefusesStream(),
    "upstream goes away": UpstreamGoesAway(),
}
