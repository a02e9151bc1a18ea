"""An API that notes when each request arrived, and answers as it is told to; one thread, so that it is not late itself."""

import selectors
import socket
import threading
import time


def window_max(instants, seconds):
    """The most that are within so long of each other."""
    instants, first, most = sorted(instants), 0, 0
    for last, instant in enumerate(instants):
        while instant - instants[first] > seconds:
            first += 1
        most = max(most, last - first + 1)
    return most


class NotingApi:
    def __init__(self):
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=512)
        self.url = f"http://127.0.0.1:{self.listener.getsockname()[1]}"
        self.instants, self.held = [], []
        self.holds = False
        self.head = "200 OK"
        self._ends = False
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def refuse_once(self, *fields):
        """The next request gets a 429 with these fields, all others a 200."""
        self.head = "\r\n".join(("429 Too Many Requests", *fields))

    def release(self):
        """Those that are held are answered, and no more are."""
        with self._lock:
            self.holds = False
            for sock in self.held:
                self._answer(sock)
            self.held = []

    def _answer(self, sock):
        head, self.head = self.head, "200 OK"
        try:
            sock.sendall(f"HTTP/1.1 {head}\r\nContent-Length: 2\r\n\r\nok".encode())
        except OSError:
            pass

    def _heard(self, selector, sock):
        try:
            data = sock.recv(65536)
        except OSError:
            data = b""
        if not data:
            selector.unregister(sock)
            sock.close()
        for _ in range(data.count(b"\r\n\r\n")):
            self.instants.append(time.monotonic())
            with self._lock:
                if self.holds:
                    self.held.append(sock)
                else:
                    self._answer(sock)

    def _run(self):
        with selectors.DefaultSelector() as selector:
            selector.register(self.listener, selectors.EVENT_READ)
            while not self._ends:
                for key, _ in selector.select(0.1):
                    if key.fileobj is self.listener:
                        sock, _ = self.listener.accept()
                        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                        selector.register(sock, selectors.EVENT_READ)
                    else:
                        self._heard(selector, key.fileobj)

    def stop(self):
        self._ends = True
        self._thread.join()
        self.listener.close()
