"""A cell of a pair of protocols: its caller and its upstream speak them, with TLS on both sides or on none."""

import base64
import contextlib
import hashlib
import socket

from harness.bounds import SOON
from harness.h2_caller import INTERNAL_ERROR, NO_ERROR
from harness.peers import ScriptedCaller

from .cell import FAR, LIMIT_MS, Cell
from .frames import GRPC, CallerInFrames, ExchangeInFrames

_WINDOW = 65535  # of a stream, at first
GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # RFC 6455 4.2.2


class TlsCaller(ScriptedCaller):
    """By HTTP/1.1 over TLS; it ends its side by a close_notify, as libraries do."""

    def __init__(self, address, context, **more):
        super().__init__(address, **more)
        self.sock = context.wrap_socket(self.sock, server_hostname="localhost", suppress_ragged_eofs=False)

    def half_close(self):
        self.sock.settimeout(0)
        with contextlib.suppress(OSError):  # ours has gone; nobody waits for the other's
            self.sock.unwrap()
        self.sock.settimeout(self.timeout)
        with contextlib.suppress(OSError):
            socket.socket.shutdown(self.sock, socket.SHUT_WR)  # SSLSocket's own would end TLS in both directions

    def wait_has(self, mark):
        while mark not in self._buffer:
            assert not self._receive(), f"the end, and not {mark!r}"


class PairCell(Cell):
    @property
    def _speaks_h2(self):
        return self.row.pair[0] != "h1"

    @property
    def _is_grpc(self):
        return self.row.pair[0] == "grpc"

    # ------------------------------------------------------------ configuration

    def config(self):
        upstreams = super().config()
        keys = upstreams[self.name]
        if self.row.pair[1] == "h2":
            keys["http2"] = {"use": "always", "probe_after": FAR}
        if self.tls:
            certificates = self.setting.certificates
            keys["listen_tls"] = "127.0.0.1:0"
            keys["caller_tls"] = {"cert_file": certificates.cert("server"), "key_file": certificates.key("server")}
        if self._is_grpc and "retries" in keys:  # all its calls are POST
            keys["retries"] = {**keys["retries"], "repeat": {"methods": ["POST"]}}
        return upstreams

    # -------------------------------------------------------------------- peers

    def _new_caller(self, upstream=None, **more):
        if upstream:  # beside the pair
            return super()._new_caller(upstream, **more)
        address = self.proxy.address(self.name, 1 if self.tls else 0)
        tls = self.setting.client_context("h2" if self._speaks_h2 else "http/1.1") if self.tls else None
        if self._speaks_h2:
            caller = CallerInFrames(address, is_grpc=self._is_grpc, tls=tls, **more)
        else:
            caller = TlsCaller(address, tls, **more) if tls else ScriptedCaller(address, **more)
        self._closables.append(caller)
        return caller

    def secure(self, exchange, certificate="server"):
        secured = super().secure(exchange, certificate)
        if self.row.pair[1] == "h2":
            secured = ExchangeInFrames(secured.sock, self._is_grpc)
            self._closables.append(secured)
        return secured

    def context(self, certificate):
        return self.setting.context(certificate, "h2" if self.row.pair[1] == "h2" else None)

    # ------------------------------------------------------------------- states

    def caller_has(self, mark):
        if self._speaks_h2:
            self.caller.until(lambda: mark in self.caller.answer.content)
        elif self.tls:
            self.caller.wait_has(mark)
        else:
            super().caller_has(mark)

    def unread_is_taken(self):
        return _WINDOW if self._speaks_h2 else super().unread_is_taken()

    def break_framing(self, data):
        if self._speaks_h2:
            self.caller.break_framing()
        else:
            super().break_framing(data)

    def read_on(self):
        if self._speaks_h2:
            self.caller.read_on()

    def wait_out(self):
        """Nobody reads what comes meanwhile: TLS is not for two threads at once."""
        self.watch.wait(lambda sample: sample.calls(self.row.outcome, upstream=self.name, route="default") == 1,
                        f"the call of {self.name} to be {self.row.outcome}", LIMIT_MS / 1000 + SOON)
        self.stop_drip()

    def complete_again(self):
        """If the API has not looked at the request, it gets it on another connection."""
        if self.row.outcome != "completed" or not self.row.situation.startswith(("SENDING", "WAITING")):
            return
        self.exchange = self.accept()
        self.exchange.recv_head()
        if self.row.situation.startswith("SENDING"):
            self.exchange.must_get(b"half")
        self.situation.complete(self)

    # --------------------------------------------------------------- afterwards

    def check_answer(self):
        if self.row.answer.startswith("200"):
            self.read_on()
        super().check_answer()

    def is_late_heard(self, line):
        """A stream of HTTP/2 to which a part of a request has gone is reset, and nothing more is heard of it."""
        return super().is_late_heard(line) and (self.row.pair[1] == "h1" or line["sent"] == "complete")

    def accept_of(self, request):
        key = request["sec-websocket-key"]
        return b"Sec-WebSocket-Accept: %s\r\n" % base64.b64encode(hashlib.sha1(key.encode() + GUID).digest()) if key else b""

    def must_be_open(self):
        if self._speaks_h2:
            self.caller.until(lambda: self.caller.answer.content == b"d")
            assert self.caller.answer.status == 200
        else:
            super().must_be_open()

    def end_tunnel(self):
        if self._speaks_h2:
            self.caller.end_stream()
        else:
            super().end_tunnel()

    def tunnel_must_end(self, how):
        if not self._speaks_h2:
            super().tunnel_must_end(how)
            return
        answer = self.caller.recv(self.caller.stream)
        assert (answer.reset is None) == (how == "closed"), f"the tunnel was not {how}: reset {answer.reset}"
        if how == "closed":
            self.caller.end_stream()

    def says_that_it_closes(self, response):
        return self._speaks_h2 or super().says_that_it_closes(response)

    def must_have_reset(self, error=None):
        """
        The head, or half of the response, and RST_STREAM: never an end, or a code that looks like one to some. Without
        an error: where no head can be told.
        """
        answer = self.caller.recv(self.caller.stream)
        assert not answer.ended and answer.status == (200 if error else None), f"no cut: {answer.status} {answer.content[:99]!r}, ended: {answer.ended}"
        assert answer.reset == INTERNAL_ERROR, f"RST_STREAM({answer.reset})"

    def must_have_status(self, status, error, sent):
        """Trailers alone, with a status of gRPC."""
        del sent
        answer = self._must_have_told(status, error)
        assert answer.trailers is None and not answer.content and answer["content-type"] == GRPC, answer.fields

    def must_have_trailers(self, status, error):
        """Behind what has come, in place of a reset."""
        answer = self._must_have_told(status, error)
        assert answer.trailers is not None, f"trailers alone: {answer.fields}"

    def _must_have_told(self, status, error):
        answer = self.caller.recv(self.caller.stream)
        assert answer.ended and answer.status == 200, f"{answer.status} {answer.fields} {answer.content[:200]}, reset: {answer.reset}"
        fields = dict(answer.trailers or answer.fields)
        assert fields.get("grpc-status") == status, fields
        assert fields["proxy-status"].split("error=")[1].split(";")[0] == error, fields
        assert fields["grpc-message"] and fields["x-curfew-call"], fields
        assert answer.reset in (None, NO_ERROR), f"RST_STREAM({answer.reset})"
        return answer

    def must_have_goaway(self, code):
        """The connection ends with an error."""
        self.caller.must_go_away(int(code))
