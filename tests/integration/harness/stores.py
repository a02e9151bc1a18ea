"""Stores of a fleet: real ones, one that stands between a curfew and a real one and misbehaves, and what is none."""

import contextlib
import random
import select
import shutil
import socket
import subprocess
import threading

import redis

from .bounds import SLOW, poll
from .ports import free_port
from .process import Process

SERVER = shutil.which("redis-server")


class Book:
    """What a store knows of fleets, by its `client`."""

    def questions(self):
        """How often hosts have asked."""
        return self.client.info("commandstats").get("cmdstat_evalsha", {"calls": 0})["calls"]

    def book(self, key):
        return self.client.hgetall(f"curfew:{{{key}}}:book")

    def entries(self, key):
        """By host: [granted, number, want, held, weight, raised, hinted]."""
        return {host: list(map(int, text.split())) for host, text in self.client.hgetall(f"curfew:{{{key}}}:entries").items()}


class RedisServer(Book):
    """redis-server on a port of 127.0.0.1; with `tls`, (certificates, name, whether clients need one), by TLS alone."""

    def __init__(self, directory, *args, tls=None, port=None):
        assert SERVER, "redis-server is not installed: scripts/install-packages test installs it"
        directory.mkdir(exist_ok=True)
        self.port = port or free_port()
        ports = ["--port", self.port] if not tls else [
            "--port", "0", "--tls-port", self.port, "--tls-cert-file", tls[0].cert(tls[1]), "--tls-key-file", tls[0].key(tls[1]),
            "--tls-ca-cert-file", tls[0].ca, "--tls-auth-clients", tls[2]]
        self.process = Process([SERVER, *map(str, ports), "--save", "", "--dir", directory, *map(str, args)], stdout=subprocess.DEVNULL)
        poll(self._listens, "redis-server to listen", 10 * SLOW)
        secure = {"ssl": True, "ssl_ca_certs": tls[0].ca, "ssl_certfile": tls[0].cert("client"), "ssl_keyfile": tls[0].key("client")} if tls else {}
        self.client = redis.Redis("127.0.0.1", self.port, decode_responses=True, **secure)

    def _listens(self):
        try:
            socket.create_connection(("127.0.0.1", self.port)).close()
            return True
        except OSError:
            return False

    @property
    def url(self):
        return f"redis://127.0.0.1:{self.port}"


class Sentinel:
    """One that watches a master of the name `main`."""

    def __init__(self, directory, master, **settings):
        directory.mkdir()
        conf = directory / "sentinel.conf"
        conf.write_text(f"sentinel monitor main 127.0.0.1 {master.port} 1\n" +
                        "".join(f"sentinel {name.replace('_', '-')} main {value}\n" for name, value in settings.items()))
        self.port = free_port()
        self.process = Process([SERVER, conf, "--sentinel", "--port", str(self.port)], stdout=subprocess.DEVNULL)
        self.client = redis.Redis("127.0.0.1", self.port, decode_responses=True)
        poll(self.master, "Sentinel to answer", 10 * SLOW)

    def master(self):
        """Its port."""
        try:
            return int(self.client.execute_command("SENTINEL", "get-master-addr-by-name", "main")[1])
        except redis.ConnectionError:
            return None

    @property
    def url(self):
        return f"redis://127.0.0.1:{self.port}"


class Between:
    """
    A TCP proxy before a real store. `mode` says what becomes of what the store answers: "forward"; "stall": it is kept; "drip": a byte
    of it now and then; else bytes, which are sent in its place, again and again, as fast as they are taken. "cut": nothing goes either
    way. From when it is set, nothing is passed on by the mode before. `late`: this share of messages, of either side, is late by a
    random time of `late_by` seconds.
    """

    def __init__(self, port, late=0.0, late_by=(0.2, 3.0), seed=1):
        self.late, self.late_by, self.random = late, late_by, random.Random(seed)
        self.to = ("127.0.0.1", port)
        self.listener = socket.create_server(("127.0.0.1", 0))
        self._mode, self._passing = "forward", threading.Condition()
        self.ended = threading.Event()
        self.threads = [threading.Thread(target=self._accept, daemon=True)]
        self.threads[0].start()

    @property
    def url(self):
        return f"redis://127.0.0.1:{self.listener.getsockname()[1]}"

    @property
    def mode(self):
        return self._mode

    @mode.setter
    def mode(self, mode):
        with self._passing:
            self._mode = mode
            self._passing.notify_all()

    def _accept(self):
        while not self.ended.is_set():
            if not select.select([self.listener], [], [], 0.05)[0]:
                continue
            conn, _ = self.listener.accept()
            thread = threading.Thread(target=self._serve, args=(conn,), daemon=True)
            self.threads.append(thread)
            thread.start()

    def _serve(self, conn):
        with conn, socket.create_connection(self.to) as store:
            conn.settimeout(0.05)
            try:
                while not self.ended.is_set() and self._turn(conn, store):
                    pass
            except OSError:
                pass

    def _turn(self, conn, store):
        """One step; false: the connection is over."""
        if self.mode == "cut":
            with self._passing:
                self._passing.wait_for(lambda: self.mode != "cut" or self.ended.is_set())
            return True
        ready = self._ready(conn, store)
        if ready and self.random.random() < self.late:
            self.ended.wait(self.random.uniform(*self.late_by))
        with self._passing:
            going_on = self._pass(ready, conn, store)
        if self.mode == "drip":
            self.ended.wait(0.05)
        return going_on

    @staticmethod
    def _ready(*socks):
        """Those of them that have something to be read, after a moment at most. They may be many."""
        poller = select.poll()
        for sock in socks:
            poller.register(sock, select.POLLIN)
        found = [number for number, _ in poller.poll(20)]
        return [sock for sock in socks if sock.fileno() in found]

    def _pass(self, ready, conn, store):
        if self.mode == "cut":
            return True
        if conn in ready:
            asked = conn.recv(65536)
            if not asked:
                return False
            store.sendall(asked)
        if isinstance(self.mode, bytes):
            conn.sendall(self.mode)
        elif store in ready and self.mode != "stall":
            said = store.recv(1 if self.mode == "drip" else 65536)
            conn.sendall(said)
            return bool(said)
        return True

    def close(self):
        self.ended.set()
        with self._passing:
            self._passing.notify_all()
        for thread in self.threads:
            thread.join()
        self.listener.close()


class Impostor:
    """Accepts, and says the same to everybody, once or for ever."""

    def __init__(self, says, forever=False):
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.says, self.forever, self.conns = says, forever, []
        self.thread = threading.Thread(target=self._serve, daemon=True)
        self.thread.start()

    @property
    def url(self):
        return f"redis://127.0.0.1:{self.listener.getsockname()[1]}"

    def _serve(self):
        while True:
            try:
                conn, _ = self.listener.accept()
            except OSError:
                return
            self.conns.append(conn)
            try:
                conn.sendall(self.says)
                while self.forever:
                    conn.sendall(b"x" * 65536)
            except OSError:
                pass

    def close(self):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        for conn in self.conns:
            conn.close()
        self.thread.join()


class Elsewhere:
    """A node of a cluster that sends whoever asks for a script to another place."""

    HELLO = b"*6\r\n$6\r\nserver\r\n$5\r\nredis\r\n$7\r\nversion\r\n$5\r\n7.0.0\r\n$4\r\nrole\r\n$6\r\nmaster\r\n"

    def __init__(self, place):
        self.answers = {b"HELLO": self.HELLO, b"PING": b"+PONG\r\n", b"EVALSHA": b"-MOVED 1 %s\r\n" % place.encode()}
        self.listener = socket.create_server(("127.0.0.1", 0))
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def url(self):
        return f"redis://127.0.0.1:{self.listener.getsockname()[1]}"

    def _accept(self):
        while True:
            try:
                conn, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(conn,), daemon=True).start()

    def _serve(self, conn):
        with conn, contextlib.suppress(OSError):
            while said := conn.recv(65536):
                for command, answer in self.answers.items():
                    conn.sendall(answer * said.count(b"\r\n%s\r\n" % command))

    def close(self):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
