"""A name server whose every answer a test chooses, and a system that is configured to ask it."""

import os
import shutil
import socket
import struct
import threading

from .bounds import SOON
from .process import run

A, AAAA = 1, 28
NOERROR, SERVFAIL, NXDOMAIN, REFUSED = 0, 2, 3, 5


class Answer:
    def __init__(self, *addresses, ttl=60, rcode=NOERROR, delay=0, truncated=False, alias=None):
        self.addresses, self.ttl, self.rcode, self.delay = addresses, ttl, rcode, delay
        self.truncated, self.alias = truncated, alias


class Names:
    """
    On port 53 of a loopback address of its own, UDP and TCP. `rule(name, type, tcp)` gives an Answer, or None for silence; it may
    be replaced at any time. `asked` are the names and types.
    """

    def __init__(self, rule):
        self.rule, self.asked = rule, []
        self.udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        pid = os.getpid()
        for attempt in range(64):
            self.host = f"127.{120 + attempt}.{pid >> 8 & 255}.{max(1, pid & 255)}"
            try:
                self.udp.bind((self.host, 53))
                break
            except OSError as error:
                if isinstance(error, PermissionError):
                    raise
        self.tcp = socket.create_server((self.host, 53))
        self._closing = False
        self._threads = [threading.Thread(target=each, daemon=True) for each in (self._serve_udp, self._serve_tcp)]
        for thread in self._threads:
            thread.start()

    def names(self):
        """Those that were asked for, in order, each once in a row."""
        seen = [name for name, _ in list(self.asked)]
        return [name for at, name in enumerate(seen) if at == 0 or seen[at - 1] != name]

    def count(self, kind=A):
        return sum(one == kind for _, one in list(self.asked))

    def _serve_udp(self):
        self.udp.settimeout(0.05)
        while not self._closing:
            try:
                query, peer = self.udp.recvfrom(4096)
            except TimeoutError:
                continue
            except OSError:
                return
            self._answer(query, False, lambda reply, peer=peer: self.udp.sendto(reply, peer))

    def _serve_tcp(self):
        self.tcp.settimeout(0.05)
        while not self._closing:
            try:
                sock = self.tcp.accept()[0]
            except TimeoutError:
                continue
            except OSError:
                return
            with sock:
                sock.settimeout(SOON)
                try:
                    while len(size := sock.recv(2, socket.MSG_WAITALL)) == 2:
                        query = sock.recv(struct.unpack("!H", size)[0], socket.MSG_WAITALL)
                        self._answer(query, True, lambda reply, s=sock: s.sendall(struct.pack("!H", len(reply)) + reply), now=True)
                except OSError:
                    pass

    def _answer(self, query, tcp, send, now=False):
        labels, at = [], 12
        while query[at]:
            labels.append(query[at + 1:at + 1 + query[at]].decode().lower())
            at += 1 + query[at]
        name, kind = ".".join(labels), struct.unpack("!H", query[at + 1:at + 3])[0]
        self.asked.append((name, kind))
        answer = self.rule(name, kind, tcp)
        if answer is None:
            return
        reply = self._reply(query, at, kind, answer)
        if now or not answer.delay:
            send(reply)
        else:
            threading.Timer(answer.delay, self._send_late, (send, reply)).start()

    @staticmethod
    def _send_late(send, reply):
        try:
            send(reply)
        except OSError:
            pass  # the test is over

    @staticmethod
    def _reply(query, at, kind, answer):
        records, owner = [], b"\xc0\x0c"
        if answer.alias:
            target = b"".join(bytes([len(part)]) + part.encode() for part in answer.alias.split(".")) + b"\0"
            records.append(owner + struct.pack("!HHIH", 5, 1, answer.ttl, len(target)) + target)
            owner = target
        for address in () if answer.truncated else answer.addresses:
            if (":" in address) == (kind == AAAA):
                data = socket.inet_pton(socket.AF_INET6 if kind == AAAA else socket.AF_INET, address)
                records.append(owner + struct.pack("!HHIH", kind, 1, answer.ttl, len(data)) + data)
        flags = 0x8180 | answer.rcode | (0x200 if answer.truncated else 0)
        return query[:2] + struct.pack("!HHHHH", flags, 1, len(records), 0, 0) + query[12:at + 5] + b"".join(records)

    def close(self):
        self._closing = True
        self.udp.close()
        self.tcp.close()
        for thread in self._threads:
            thread.join(SOON)


def zone(names, ttl=60):
    """The rule of a server that knows these names: name to addresses, and no others."""
    return lambda name, kind, tcp: Answer(*names[name], ttl=ttl) if name in names else Answer(rcode=NXDOMAIN)


class System:
    """A command prefix under which files of /etc say what `put` says, also while the program runs; None where that can't be done."""

    def __init__(self, directory, **files):
        self.directory = directory
        directory.mkdir(exist_ok=True)
        binds = []
        for name, text in files.items():
            self.put(name, text)
            binds.append(f'mount --bind "{self._path(name)}" /etc/{name.replace("_", ".")}')
        self.wrap = [shutil.which("unshare"), "--mount", "sh", "-c", " && ".join([*binds, 'exec "$@"']), "sh"]
        if os.geteuid() != 0 or not self.wrap[0] or run([*self.wrap, "true"]).returncode != 0:
            self.wrap = None

    def _path(self, name):
        return self.directory / name

    def put(self, name, text):
        self._path(name).write_text(text)

    def resolves(self, host):
        """What the C library finds: addresses in its order."""
        told = run([*self.wrap, "getent", "ahosts", host]).stdout
        text = told.decode() if isinstance(told, bytes) else told
        return list(dict.fromkeys(line.split()[0] for line in text.splitlines()))
