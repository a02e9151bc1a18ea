"""Both ends of a call, scripted: an upstream that does what the test says, and a caller that does."""

import ctypes
import socket
import struct
import threading

from .bounds import SOON, poll, readable, writable
from .ports import bind_for_good
from .wire import Cut, Peer


class ScriptedCaller(Peer):
    """A caller's connection to curfew. `address` is (host, port), or a path for a unix socket."""

    def __init__(self, address, *, receive_buffer=None, send_buffer=None, segment=None):
        family = socket.AF_UNIX if isinstance(address, str) else \
            socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        sock = socket.socket(family)
        if receive_buffer:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        if send_buffer:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, send_buffer)
        if segment:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, segment)
        sock.settimeout(SOON)
        sock.connect(address)
        if family != socket.AF_UNIX:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        super().__init__(sock)

    def request(self, method="GET", target="/", *lines, content=None, host="curfew"):
        """Sends a request; `lines` are field lines. Content gets a Content-Length unless a line says chunked."""
        head = [f"{method} {target} HTTP/1.1", f"Host: {host}", *lines]
        if content is not None and not any(line.lower().startswith("transfer-encoding") for line in lines):
            head.append(f"Content-Length: {len(content)}")
        self.send("\r\n".join(head).encode("latin-1") + b"\r\n\r\n" + (content or b""))

    def ask(self, method="GET", target="/", *lines, **more):
        """A request and its whole response."""
        self.request(method, target, *lines, **more)
        return self.recv_response(method)


class Exchange(Peer):
    """A connection that curfew has made to the scripted upstream."""

    def fall_into_a_hole(self):
        """
        From now on the kernel drops each packet that comes on it, as a gateway does that has forgotten the connection.
        What was sent has been acknowledged by then, so that nothing is sent again into the other direction.
        """
        poll(lambda: struct.unpack_from("I", self.sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 64), 24) == (0,),
             "all to be acknowledged")
        nothing = ctypes.create_string_buffer(struct.pack("=HBBI", 0x06, 0, 0, 0))  # BPF: return 0
        program = struct.pack("@HxxxxxxP", 1, ctypes.addressof(nothing))
        self.sock.setsockopt(socket.SOL_SOCKET, 26, program)  # SO_ATTACH_FILTER

    def answer(self, status=200, *lines, content=b"", reason="OK"):
        head = [f"HTTP/1.1 {status} {reason}", *lines]
        if status >= 200 and status not in (204, 304):
            head.append(f"Content-Length: {len(content)}")
        self.send("\r\n".join(head).encode("latin-1") + b"\r\n\r\n" + content)

    def must_get(self, content):
        """A chunk of a request's content comes."""
        whole = b"%x\r\n%s\r\n" % (len(content), content)
        assert (came := self.read_exactly(len(whole))) == whole, came

    def must_get_end(self):
        """The last chunk comes, without trailers."""
        assert (came := self.read_exactly(5)) == b"0\r\n\r\n", came

    def send_together(self, pieces):
        """Each a TLS record of its own, if there is TLS, but all in one segment."""
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_CORK, 1)
        for piece in pieces:
            self.send(piece)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_CORK, 0)

    def end_tls(self):
        """close_notify, without waiting for the other's, and then the connection's end."""
        self.sock.settimeout(0.1)
        try:
            self.sock.unwrap().close()
        except OSError:  # the other side's close_notify did not come: ours has gone
            self.sock.close()


class ScriptedUpstream:
    """
    Listens. Without a script the test takes the connections itself, by accept(). With one, every connection gets a
    thread that runs script(exchange) again and again until the peer leaves; what goes wrong in it fails the test.
    """

    def __init__(self, script=None, *, tls=None, host="127.0.0.1", port=0, backlog=512, receive_buffer=None):
        self.tls = tls
        self.script = script
        self.connections = 0
        self.errors = []
        self._peers = []
        self._closing = False
        self._lock = threading.Lock()
        self.sock = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
        if receive_buffer:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        bind_for_good(self.sock, host, port)
        self.sock.listen(backlog)
        self.host, self.port = self.sock.getsockname()[:2]
        self._thread = None
        if script:
            self._thread = threading.Thread(target=self._serve, daemon=True)
            self._thread.start()

    @property
    def authority(self):
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def url(self):
        return self.named("")

    def named(self, name):
        """The URL with another host name."""
        scheme = "https" if self.tls else "http"
        return f"{scheme}://{name}:{self.port}" if name else f"{scheme}://{self.authority}"

    def accept(self, seconds=SOON):
        """The next connection, with its TLS handshake done."""
        self.sock.settimeout(seconds)
        try:
            sock, _ = self.sock.accept()
        except TimeoutError:
            raise AssertionError(f"no connection to the upstream within {seconds:g} s") from None
        return self._adopt(sock)

    def _adopt(self, sock):
        self.connections += 1
        sock.settimeout(SOON)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if self.tls:
            sock = self.tls.wrap_socket(sock, server_side=True)
        exchange = Exchange(sock)
        with self._lock:
            self._peers.append(exchange)
        return exchange

    def take(self, seconds=SOON):
        """The next connection and the request on it."""
        exchange = self.accept(seconds)
        return exchange, exchange.recv_request()

    def has_connection(self, seconds=0.0):
        """Is there one to accept?"""
        return readable(self.sock, seconds)

    def must_have_no_connection(self, seconds=0.0):
        assert not self.has_connection(seconds), "curfew has connected to the upstream"

    def refuse(self):
        """From now on connections are refused. The port stays ours: nobody else's listener answers in our place."""
        self.sock.shutdown(socket.SHUT_RDWR)

    def _serve(self):
        while not self._closing:
            if not readable(self.sock, 0.2):
                continue
            try:
                sock, _ = self.sock.accept()
            except OSError:
                return
            threading.Thread(target=self._run, args=(sock,), daemon=True).start()

    def _run(self, sock):
        try:
            exchange = self._adopt(sock)
        except OSError:  # a handshake that failed is for the test to see on curfew's side
            sock.close()
            return
        try:
            while self.script(exchange) is not False:
                pass
        except (Cut, ConnectionError):
            pass
        except Exception as error:  # pylint: disable=broad-except
            if not self._closing:
                self.errors.append(error)
        finally:
            exchange.close()

    def close(self):
        self._closing = True
        self.sock.close()
        with self._lock:
            for peer in self._peers:
                try:
                    peer.sock.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass
                peer.close()
        if self._thread:
            self._thread.join(SOON)

    def must_be_content(self):
        assert not self.errors, f"the upstream's script failed: {self.errors}"


def echo(exchange):
    """A script: answers every request with what was received."""
    request = exchange.recv_request()
    exchange.answer(200, "Content-Type: application/octet-stream", content=request.content or request.raw_head)


def ok(exchange):
    """A script: 200 with "ok"."""
    exchange.recv_request()
    exchange.answer(content=b"ok")


SO_ATTACH_FILTER = 26


class SilentAddress:
    """An address and port where the kernel drops whatever comes: a firewall, or a host that has gone."""

    def __init__(self, host, port):
        drop = ctypes.create_string_buffer(struct.pack("=HBBI", 0x06, 0, 0, 0))  # BPF: return 0
        self.sock = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.sock.bind((host, port))
        self.sock.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, struct.pack("@HP", 1, ctypes.addressof(drop)))
        self.sock.listen()

    def refuse(self):
        """From now on connections are refused; the port stays ours."""
        self.sock.shutdown(socket.SHUT_RDWR)

    def close(self):
        self.sock.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


class DeafListener:
    """A listener whose backlog is full: connections to it are neither accepted nor refused."""

    def __init__(self):
        self.sock = socket.socket()
        self.sock.bind(("127.0.0.1", 0))
        self.sock.listen(0)
        self.url = f"http://127.0.0.1:{self.sock.getsockname()[1]}"
        self._fillers = []
        for _ in range(64):
            filler = socket.socket()
            filler.setblocking(False)
            filler.connect_ex(self.sock.getsockname())
            self._fillers.append(filler)
            if not writable(filler, 0.1):
                return
        raise AssertionError("the backlog does not fill")

    def close(self):
        for sock in (*self._fillers, self.sock):
            sock.close()
